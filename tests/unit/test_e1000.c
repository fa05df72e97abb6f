/* SPDX-License-Identifier: MIT */
/* The 82540EM against Intel's 8254x manual, as a driver sees it. */
#include "io/net/e1000.h"
#include "io/net/inet.h"
#include "virtio.h" /* a PCI bus with RAM */

enum { MMIO = 0xe0000000u, TX_RING = RINGS, RX_RING = RINGS + 0x4000, DATA = BUFFERS, RXBUF = BUFFERS + 0x80000,
	COUNT = 16 };
enum { WORK = 2000 };

static const u8 mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static struct e1000 *e;
static struct { u8 bytes[2048]; size_t len; } sent[64];
static unsigned outs;

static void on_out(void *owner, const void *frame, size_t len)
{
	(void)owner;
	ck_assert_uint_le(len, sizeof sent->bytes);
	memcpy(sent[outs % 64].bytes, frame, len);
	sent[outs++ % 64].len = len;
}

static u32 rd(u32 reg) { return in32(MMIO + reg); }
static void wr(u32 reg, u32 value) { out32(MMIO + reg, value); }

static void setup(void)
{
	virtio_fresh();
	outs = 0;
	e = e1000_new(&test_clock, mac, on_out, NULL);
	ck_assert(pci_attach(pci_bus, e1000_pci(e), SLOT, 0));
	config_set(SLOT, PCI_BAR0, 4, MMIO);
	config_set(SLOT, PCI_BAR0 + 4, 4, BAR0);
	config_set(SLOT, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void teardown(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	e1000_free(e);
	ram_free(test_ram);
	test_ram = NULL;
}

START_TEST(identity)
{
	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x100e8086);
	ck_assert_uint_eq(rd(8) & 0xc3, 0x83); /* link up, full duplex, 1000 Mbit/s */
	ck_assert_uint_eq(rd(0x5400), 0x12005452);
	ck_assert_uint_eq(rd(0x5404), 0x80005634);
	/* The same register through the ports. */
	space_write(&ports, BAR0, 4, 0x5400);
	ck_assert_uint_eq(space_read(&ports, BAR0 + 4, 4), 0x12005452);
}
END_TEST

static unsigned eerd(unsigned word)
{
	wr(0x14, 1 | word << 8);
	ck_assert_uint_eq(rd(0x14) & 0x10, 0x10);
	return rd(0x14) >> 16;
}

static void pins(u32 bits)
{
	wr(0x10, 0x40 | bits);
}

static void clock_in_bit(unsigned bit)
{
	pins(2 | bit << 2);
	pins(2 | 1 | bit << 2);
	pins(2 | bit << 2);
}

/* 5.6: sum BABAh; by EERD and bit by bit. */
START_TEST(eeprom)
{
	u16 sum = 0;

	for (unsigned word = 0; word < 64; word++) {
		unsigned value = 0;

		pins(0);
		pins(2);
		for (int bit = 8; bit >= 0; bit--)
			clock_in_bit((6u << 6 | word) >> bit & 1);
		for (unsigned bit = 0; bit < 16; bit++) {
			pins(2 | 1);
			value = value << 1 | (rd(0x10) >> 3 & 1);
			pins(2);
		}
		ck_assert_uint_eq(value, eerd(word));
		sum = (u16)(sum + value);
	}
	ck_assert_uint_eq(sum, 0xbaba);
	ck_assert_uint_eq(eerd(0), 0x5452);
	ck_assert_uint_eq(eerd(2), 0x5634);
}
END_TEST

static unsigned mdio(unsigned reg)
{
	wr(0x20, 2u << 26 | 1 << 21 | reg << 16);
	ck_assert_uint_eq(rd(0x20) >> 28 & 5, 1); /* ready, no error */
	return rd(0x20) & 0xffff;
}

START_TEST(phy)
{
	ck_assert_uint_eq(mdio(2), 0x0141);
	ck_assert_uint_eq(mdio(3) & 0xfff0, 0x0c20);
	ck_assert_uint_eq(mdio(1) & 0x24, 0x24); /* link, negotiation complete */
	ck_assert_uint_eq(mdio(17) & 0xac00, 0xac00);
	wr(0x20, 2u << 26 | 2 << 21); /* nobody there */
	ck_assert_uint_eq(rd(0x20) >> 30 & 1, 1);
}
END_TEST

static void start_tx(void)
{
	wr(0x3800, TX_RING);
	wr(0x3808, COUNT * 16);
	wr(0x400, 0x0a);
}

static void tx_desc(unsigned i, u64 address, u32 low, u32 high)
{
	space_write(&bus, TX_RING + 16 * i, 8, address);
	out32(TX_RING + 16 * i + 8, low);
	out32(TX_RING + 16 * i + 12, high);
}

START_TEST(transmits)
{
	start_tx();
	for (unsigned i = 0; i < 100; i++)
		out8(DATA + i, (u8)i);
	tx_desc(0, DATA, 60, 0);                       /* two pieces of a frame */
	tx_desc(1, DATA + 60, 40 | 0x0b000000, 0);     /* EOP, IFCS, RS */
	wr(0xd0, 1);
	wr(0x3818, 2);
	ck_assert_uint_eq(outs, 0);
	pass(WORK);
	ck_assert_uint_eq(outs, 1);
	ck_assert_uint_eq(sent[0].len, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(sent[0].bytes[i], i);
	ck_assert_uint_eq(in8(TX_RING + 16 + 12) & 1, 1);
	ck_assert_uint_eq(rd(0x3810), 2);
	ck_assert(wires[2].level);
	ck_assert_uint_eq(rd(0xc0) & 3, 3);
	ck_assert(!wires[2].level);
	ck_assert_uint_eq(rd(0xc0), 0);
	ck_assert_uint_eq(rd(0x4080), 1); /* GPTC, cleared by reading */
	ck_assert_uint_eq(rd(0x4080), 0);
}
END_TEST

/* 3.5: 3000 bytes in segments of 1460; all checksums right, sequence numbers and identification counted, FIN only at
 * the end. */
START_TEST(segments_tcp)
{
	u8 head[54] = { [12] = 8,  [14] = 0x45, [22] = 64, [23] = 6,    [26] = 10,
			[29] = 15, [30] = 10,   [33] = 2,  [46] = 0x50, [47] = 0x19 };
	struct inet i;
	u32 total = 0;

	put16be(head + 18, 0x1234);
	put32be(head + 38, 1000000);
	put16be(head + 50, inet_sum(head + 26, 8, 6)); /* the pseudo header without its length */
	space_write_block(&bus, DATA, head, 54);
	for (unsigned k = 0; k < 3000; k++)
		out8(DATA + 54 + k, (u8)(k / 7));
	start_tx();
	/* Context: IP header 14..33, checksum at 24; TCP from 34, checksum at 50; 3000 bytes, TSE, IP, TCP, 54 of
	 * header, 1460 MSS. */
	space_write(&bus, TX_RING, 8, 14 | 24 << 8 | 33 << 16 | (u64)(34 | 50 << 8) << 32);
	out32(TX_RING + 8, 3000 | 0x27000000);
	out32(TX_RING + 12, 54 << 8 | 1460 << 16);
	tx_desc(1, DATA, 3054 | 0x2d100000, 0x300); /* data, EOP, TSE, RS, DEXT; insert both checksums */
	wr(0x3818, 2);
	pass(WORK);
	ck_assert_uint_eq(outs, 3);
	for (unsigned n = 0; n < 3; n++) {
		u8 *f = sent[n].bytes;

		ck_assert_uint_eq(sent[n].len, n < 2 ? 1514 : 54 + 80);
		ck_assert(inet_parse(f, sent[n].len, &i));
		ck_assert_uint_eq(i.end, sent[n].len);
		ck_assert(inet_ip_valid(f, &i));
		ck_assert(inet_l4_valid(f, &i));
		ck_assert_uint_eq(get16be(f + 18), 0x1234 + n);
		ck_assert_uint_eq(get32be(f + 38), 1000000 + total);
		ck_assert_uint_eq(f[47], n < 2 ? 0x10 : 0x19);
		for (size_t k = 54; k < sent[n].len; k++, total++)
			ck_assert_uint_eq(f[k], (u8)(total / 7));
	}
	ck_assert_uint_eq(total, 3000);
}
END_TEST

/* Segments of one byte are a million frames in a ring; at one instant, not many more than 16384 leave. */
START_TEST(segments_of_a_byte)
{
	u8 head[54] = { [12] = 8, [14] = 0x45, [22] = 64, [23] = 6, [46] = 0x50 };

	space_write_block(&bus, DATA, head, 54);
	start_tx();
	space_write(&bus, TX_RING, 8, 14 | 24 << 8 | 33 << 16 | (u64)(34 | 50 << 8) << 32);
	out32(TX_RING + 8, 10000 | 0x27000000);
	out32(TX_RING + 12, 54 << 8 | 1 << 16);
	for (unsigned n = 1; n <= 6; n++)
		tx_desc(n, DATA, 10054 | 0x2d100000, 0x300);
	wr(0x3818, 7);
	for (unsigned before = 0, instants = 0; outs < 60000; before = outs) {
		ck_assert_uint_lt(instants++, 100000);
		pass(100);
		ck_assert_uint_lt(outs - before, 16384 + 10000);
	}
	ck_assert_uint_eq(outs, 60000);
}
END_TEST

static void start_rx(u32 rctl)
{
	for (unsigned i = 0; i < COUNT; i++)
		space_write(&bus, RX_RING + 16 * i, 8, RXBUF + 2048 * i);
	wr(0x2800, RX_RING);
	wr(0x2808, COUNT * 16);
	wr(0x2818, COUNT - 1);
	wr(0x100, 2 | rctl);
}

START_TEST(receives)
{
	u8 frame[1514] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1, 8, 6 };

	ck_assert(e1000_input(e, frame, 60)); /* the receiver is off: lost */
	start_rx(0x8000);
	wr(0xd0, 0x80);
	ck_assert(e1000_input(e, frame, 42));
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 1);
	ck_assert_uint_eq(in16(RX_RING + 8), 64); /* padded, and with its CRC */
	ck_assert_uint_eq(in8(RX_RING + 12) & 3, 3);
	ck_assert_uint_eq(in32(RXBUF), 0x12005452);
	ck_assert(wires[2].level);
	ck_assert_uint_eq(rd(0xc0) & 0x80, 0x80);
	/* Filters: another's address, multicast, broadcast. */
	frame[5] = 0x57;
	ck_assert(e1000_input(e, frame, 60));
	frame[0] = 0x53;
	ck_assert(e1000_input(e, frame, 60));
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 1);
	wr(0x5200 + 4 * (((0x57 << 8 | 0x34) >> 4 & 0xfff) / 32), 1u << ((0x57 << 8 | 0x34) >> 4 & 0x1f)); /* 13.5.1 */
	ck_assert(e1000_input(e, frame, 60));
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 2);
	memset(frame, 0xff, 6);
	ck_assert(e1000_input(e, frame, 60));
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 3);
	/* Over several buffers of 256 bytes; promiscuous; CRC stripped. */
	frame[0] = 2;
	wr(0x100, 2 | 8 | 3 << 16 | 1 << 26);
	ck_assert(e1000_input(e, frame, 1000));
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 7);
	ck_assert_uint_eq(in16(RX_RING + 16 * 6 + 8), 1000 - 3 * 256);
	ck_assert_uint_eq(in8(RX_RING + 16 * 5 + 12) & 3, 1);
	ck_assert_uint_eq(in8(RX_RING + 16 * 6 + 12) & 3, 3);
	/* 8 descriptors are left: the ninth frame waits for the tail. */
	for (unsigned i = 0; i < 9; i++)
		ck_assert(e1000_input(e, frame, 60));
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 15);
	wr(0x2818, 3);
	pass(WORK);
	ck_assert_uint_eq(rd(0x2810), 0);
}
END_TEST

/* ITR: 1000 * 256 ns between two interrupts. RDTR: 100 * 1.024 us of delay. */
START_TEST(moderation)
{
	u64 first;

	wr(0xc4, 1000);
	wr(0xd0, 0x84);
	wr(0xc8, 4);
	ck_assert(wires[2].level);
	first = test_clock.now;
	rd(0xc0);
	wr(0xc8, 4);
	ck_assert(!wires[2].level);
	pass(255999);
	ck_assert(!wires[2].level);
	pass(1);
	ck_assert(wires[2].level);
	ck_assert_uint_eq(wires[2].rose_at, first + 256000);
	rd(0xc0);
	wr(0xc4, 0);
	start_rx(8);
	wr(0x2820, 100);
	pass(1000000);
	u8 frame[60] = { 2 };

	ck_assert(e1000_input(e, frame, 60));
	pass(WORK + 102399);
	ck_assert(!wires[2].level);
	pass(1);
	ck_assert(wires[2].level);
}
END_TEST

/* 3.4.3.1: TIDV = 100 * 1.024 us after the last frame that asks for a delay, but at most TADV = 150 * 1.024 us after
 * the first. */
START_TEST(delayed_transmit)
{
	start_tx();
	wr(0x3820, 100);
	wr(0x382c, 150);
	wr(0xd0, 1);
	for (unsigned i = 0; i < 3; i++)
		tx_desc(i, DATA, 60 | 0x8b000000, 0); /* EOP, IFCS, RS, IDE */
	wr(0x3818, 1);
	pass(WORK);
	ck_assert_uint_eq(outs, 1);
	for (unsigned i = 0; i < 30; i++) /* places to be cut at */
		ck_assert_uint_eq(rd(0x3810), 1);
	pass(100 * 1024 - 1);
	ck_assert(!wires[2].level);
	pass(1);
	ck_assert(wires[2].level);
	ck_assert_uint_eq(rd(0xc0) & 1, 1);

	wr(0x3818, 2);
	pass(80 * 1024);
	wr(0x3818, 3);
	pass(70 * 1024 + WORK - 1);
	ck_assert_uint_eq(outs, 3);
	ck_assert(!wires[2].level);
	pass(1);
	ck_assert(wires[2].level);
}
END_TEST

START_TEST(resets)
{
	start_rx(8);
	wr(0xd0, 0xff);
	wr(0, 1 << 26);
	ck_assert_uint_eq(rd(0x100), 0);
	ck_assert_uint_eq(rd(0xd0), 0);
	ck_assert_uint_eq(rd(0x5400), 0x12005452);
}
END_TEST

static void *make(void)
{
	virtio_fresh();
	e = e1000_new(&test_clock, mac, NULL, NULL);
	pci_attach(pci_bus, e1000_pci(e), SLOT, 0);
	config_set(SLOT, PCI_BAR0, 4, MMIO);
	config_set(SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return e;
}

static void destroy(void *device)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	e1000_free(device);
}

static struct part part_of(void *device) { return e1000_part(device); }
static void refresh(void *device) { (void)device; }

START_TEST(random_states)
{
	static const u64 ranges[][2] = { { MMIO, 0x6000 }, { MMIO + 0x2800, 0x40 }, { MMIO + 0x3800, 0x40 },
		{ MMIO + 0xc0, 0x20 }, { MMIO + 0x100, 4 } };

	teardown();
	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 3);
	setup();
}
END_TEST

static void begin(void)
{
	virtio_bus();
	e = e1000_new(&test_clock, mac, on_out, NULL);
	pci_attach(pci_bus, e1000_pci(e), SLOT, 0);
}

static void end(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	e1000_free(e);
}

static unsigned parts(struct part *out) { return virtio_parts(out, e1000_part(e)); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ end, begin, parts, virtio_refresh, .every = 29 });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, identity);
	tcase_add_test(tc, eeprom);
	tcase_add_test(tc, phy);
	tcase_add_test(tc, transmits);
	tcase_add_test(tc, segments_tcp);
	tcase_add_test(tc, segments_of_a_byte);
	tcase_add_test(tc, receives);
	tcase_add_test(tc, moderation);
	tcase_add_test(tc, delayed_transmit);
	tcase_add_test(tc, resets);
}

int main(void)
{
	Suite *suite = suite_create("e1000");
	TCase *tc = tcase_create("e1000");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	tcase_add_test(tc, random_states);
	suite_add_tcase(suite, tc);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
