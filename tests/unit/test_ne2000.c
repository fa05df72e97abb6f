/* SPDX-License-Identifier: MIT */
/* The RTL8029AS against the DP8390 data sheet, as a driver of an NE2000 sees it. */
#include "io/net/ne2000.h"
#include "virtio.h" /* a PCI bus with RAM */

enum { IO = 0xc000, PSTART = 0x46, PSTOP = 0x80, TXPAGE = 0x40 };

static const u8 mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static struct ne2000 *ne;
static u8 sent[2048];
static size_t sent_len;
static unsigned outs;

static void on_out(void *owner, const void *frame, size_t len)
{
	(void)owner;
	memcpy(sent, frame, len);
	sent_len = len;
	outs++;
}

static u8 rd(unsigned reg)
{
	u8 value = (u8)space_read(&ports, IO + reg, 1);

	cut_here();
	return value;
}

static void wr(unsigned reg, u8 value)
{
	space_write(&ports, IO + reg, 1, value);
	cut_here();
}

static void remote(unsigned command, unsigned address, unsigned count)
{
	wr(0, 0x22);
	wr(8, (u8)address);
	wr(9, (u8)(address >> 8));
	wr(10, (u8)count);
	wr(11, (u8)(count >> 8));
	wr(0, (u8)(0x02 | command << 3));
}

static void setup(void)
{
	virtio_fresh();
	outs = 0;
	ne = ne2000_new(&test_clock, mac, on_out, NULL);
	ck_assert(pci_attach(pci_bus, ne2000_pci(ne), SLOT, 0));
	config_set(SLOT, PCI_BAR0, 4, IO);
	config_set(SLOT, PCI_COMMAND, 2, PCI_COMMAND_IO);
	wr(0, 0x21);
	wr(14, 0x49); /* words, FIFO */
	wr(12, 0x04); /* broadcast */
	wr(13, 0x00);
	wr(1, PSTART);
	wr(2, PSTOP);
	wr(3, PSTOP - 1);
	wr(7, 0xff);
	wr(15, 0x3f);
	wr(0, 0x61);
	for (unsigned i = 0; i < 6; i++)
		wr(1 + i, mac[i]);
	wr(7, PSTART);
	wr(0, 0x22);
}

static void teardown(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	ne2000_free(ne);
	ram_free(test_ram);
	test_ram = NULL;
}

START_TEST(identity)
{
	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x802910ec);
	ck_assert_uint_eq(rd(10), 0x50);
	ck_assert_uint_eq(rd(11), 0x43);
	rd(0x1f);
	ck_assert_uint_eq(rd(7) & 0x80, 0x80);
	/* The PROM: in words, a byte access takes both copies of a byte. */
	wr(0, 0x22);
	wr(14, 0x49);
	remote(1, 0, 32);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(rd(16), i < 6 ? mac[i] : i < 14 ? 0 : 0x57);
	ck_assert_uint_eq(rd(7) & 0x40, 0x40);
	wr(14, 0x48);
	remote(1, 0, 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(rd(16), mac[i / 2]);
}
END_TEST

START_TEST(transmits)
{
	remote(2, TXPAGE * 256, 60);
	for (unsigned i = 0; i < 60; i += 4)
		space_write(&ports, IO + 16, 4, 0x03020100u + 0x04040404u * (i / 4));
	ck_assert_uint_eq(rd(7) & 0x40, 0x40);
	wr(7, 0x40);
	wr(4, TXPAGE);
	wr(5, 60);
	wr(6, 0);
	wr(0, 0x26);
	pass(84 * 800 - 1); /* 60 bytes, CRC, preamble and gap at 10 Mbit/s */
	ck_assert_uint_eq(outs, 0);
	ck_assert_uint_eq(rd(0) & 4, 4);
	wr(0, 0x22); /* a 0 does not stop it */
	pass(1);
	ck_assert_uint_eq(outs, 1);
	ck_assert_uint_eq(sent_len, 60);
	for (unsigned i = 0; i < 60; i++)
		ck_assert_uint_eq(sent[i], i);
	ck_assert_uint_eq(rd(7) & 2, 2);
	ck_assert_uint_eq(rd(4) & 1, 1);
	ck_assert_uint_eq(rd(0) & 4, 0);
	ck_assert(wires[2].level);
	wr(7, 2);
	ck_assert(!wires[2].level);
}
END_TEST

static u8 curr(void)
{
	u8 value;

	wr(0, 0x62);
	value = rd(7);
	wr(0, 0x22);
	return value;
}

START_TEST(receives)
{
	u8 frame[1514] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 1, 2, 3, 4, 5, 6 };

	ck_assert(ne2000_input(ne, frame, 300));
	pass(324 * 800);
	ck_assert_uint_eq(curr(), PSTART + 2);
	ck_assert_uint_eq(rd(7) & 1, 1);
	ck_assert(wires[2].level);
	remote(1, PSTART * 256, 10);
	/* status, next, count with CRC */
	ck_assert_uint_eq(space_read(&ports, IO + 16, 4), 0x01 | (PSTART + 2) << 8 | 304 << 16);
	ck_assert_uint_eq(space_read(&ports, IO + 16, 4), 0x12005452);
	/* Not for us; broadcast; multicast by its hash. */
	frame[5] = 9;
	ck_assert(ne2000_input(ne, frame, 60));
	pass(100000);
	ck_assert_uint_eq(curr(), PSTART + 2);
	memset(frame, 0xff, 6);
	ck_assert(ne2000_input(ne, frame, 60));
	pass(100000);
	ck_assert_uint_eq(curr(), PSTART + 3);
	memcpy(frame, "\x01\x00\x5e\x00\x00\x01", 6); /* all hosts: the highest six bits of its CRC are 31 */
	ck_assert(ne2000_input(ne, frame, 60));
	pass(100000);
	ck_assert_uint_eq(curr(), PSTART + 3);
	wr(12, 0x0c);
	wr(0, 0x62);
	wr(8 + 31 / 8, 1 << 31 % 8);
	wr(0, 0x22);
	ck_assert(ne2000_input(ne, frame, 60));
	pass(100000);
	ck_assert_uint_eq(curr(), PSTART + 4);
}
END_TEST

/* The ring runs around; a frame that finds it full comes when there is room. */
START_TEST(ring)
{
	u8 frame[1514] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	unsigned n = (PSTOP - PSTART - 1) / 6; /* of 1514 bytes: 6 pages each */

	for (unsigned i = 0; i < n + 1; i++)
		ck_assert(ne2000_input(ne, frame, 1514));
	pass(20 * 1538 * 800);
	ck_assert_uint_eq(curr(), PSTART + 6 * n);
	wr(3, PSTART + 11); /* the driver has read two */
	pass(1538 * 800);
	ck_assert_uint_eq(curr(), PSTART + 6 * (n + 1) - (PSTART + 6 * (n + 1) >= PSTOP ? PSTOP - PSTART : 0));
	ck_assert(!ne2000_input(ne, frame, 13));
	ck_assert(!ne2000_input(ne, frame, 1600));
}
END_TEST

static void *make(void)
{
	virtio_fresh();
	ne = ne2000_new(&test_clock, mac, NULL, NULL);
	pci_attach(pci_bus, ne2000_pci(ne), SLOT, 0);
	config_set(SLOT, PCI_BAR0, 4, IO);
	config_set(SLOT, PCI_COMMAND, 2, PCI_COMMAND_IO);
	return ne;
}

static void destroy(void *device)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	ne2000_free(device);
}

/* Any state: every port read and written, frames from outside, time. */
START_TEST(random_states)
{
	u64 seed = 3;
	u8 frame[1518] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	teardown();
	for (unsigned round = 0; round < 100; round++) {
		struct part part;

		make();
		part = ne2000_part(ne);
		part_randomise(&part, &seed);
		clock_sort(&test_clock);
		for (unsigned i = 0; i < 300; i++) {
			unsigned port = IO + test_random(&seed) % 0x18, size = 1u << test_random(&seed) % 3;

			if (test_random(&seed) % 2)
				space_read(&ports, port, size);
			else
				space_write(&ports, port, size, test_random(&seed));
			if (i % 8 == 0)
				ne2000_input(ne, frame, test_random(&seed) % sizeof frame);
			pass(test_random(&seed) % 2000000);
		}
		destroy(ne);
	}
	setup();
}
END_TEST

static void begin(void)
{
	virtio_bus();
	ne = ne2000_new(&test_clock, mac, on_out, NULL);
	pci_attach(pci_bus, ne2000_pci(ne), SLOT, 0);
}

static void end(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	ne2000_free(ne);
}

static unsigned parts(struct part *out) { return virtio_parts(out, ne2000_part(ne)); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ end, begin, parts, virtio_refresh });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, identity);
	tcase_add_test(tc, transmits);
	tcase_add_test(tc, receives);
	tcase_add_test(tc, ring);
}

int main(void)
{
	Suite *suite = suite_create("ne2000");
	TCase *tc = tcase_create("ne2000");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	tcase_add_test(tc, random_states);
	suite_add_tcase(suite, tc);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
