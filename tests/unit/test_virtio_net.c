/* SPDX-License-Identifier: MIT */
/* The virtio network device against virtio 1.2, 5.1; its checksums against the worked example of RFC 1071. */
#include "io/net/frames.h"
#include "io/net/inet.h"
#include "io/virtio/virtio_net.h"
#include "virtio.h"

enum { SIZE = 64, RX = 0, TX = 1, CTRL = 2, FRAME = BUFFERS, RXBUF = BUFFERS + 0x40000 };
enum { F_CSUM = 1 << 0, F_GUEST_CSUM = 1 << 1, F_GUEST_TSO4 = 1 << 7, F_HOST_TSO4 = 1 << 11, F_MRG = 1 << 15,
	F_CTRL = 1 << 17 };

static const u8 mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static struct virtio_net *net;
static u8 out[FRAME_MAX];
static size_t out_len;
static unsigned outs;

static void on_out(void *owner, const void *frame, size_t len)
{
	(void)owner;
	memcpy(out, frame, len);
	out_len = len;
	outs++;
}

static void setup(void)
{
	virtio_fresh();
	outs = 0;
	net = virtio_net_new(&test_clock, mac, on_out, NULL, NULL);
	ck_assert(pci_attach(pci_bus, virtio_net_pci(net), SLOT, 0));
}

static void teardown(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	virtio_net_free(net);
	ram_free(test_ram);
	test_ram = NULL;
}

/* A TCP segment of PAYLOAD bytes for the guest, with right checksums; returns its length. */
static size_t tcp_frame(u8 *f, unsigned payload)
{
	struct inet i;
	size_t len = 14 + 20 + 20 + payload;

	memset(f, 0, len);
	memcpy(f, mac, 6);
	memcpy(f + 6, "\x52\x55\x0a\x00\x02\x02", 6);
	put16be(f + 12, 0x0800);
	f[14] = 0x45;
	put16be(f + 16, (u16)(len - 14));
	f[22] = 64;
	f[23] = INET_TCP;
	put32be(f + 26, 0x0a000202);
	put32be(f + 30, 0x0a00020f);
	put16be(f + 24, (u16)~inet_sum(f + 14, 20, 0));
	put16be(f + 34, 80);
	put16be(f + 36, 40000);
	f[46] = 0x50;
	f[47] = 0x10;
	for (unsigned k = 0; k < payload; k++)
		f[54 + k] = (u8)(k * 3);
	ck_assert(inet_parse(f, len, &i));
	put16be(f + 50, (u16)~inet_sum(f + 34, len - 34, inet_pseudo(f, &i)));
	ck_assert(inet_l4_valid(f, &i));
	return len;
}

static void give_buffers(unsigned count, unsigned size)
{
	for (unsigned i = 0; i < count; i++) {
		put_desc(desc_of(RX), i, RXBUF + i * 2048, size, D_WRITE, 0);
		offer(RX, SIZE, (u16)i);
	}
	kick(RX);
}

static void transmit(u16 csum_start, u16 csum_offset, const u8 *frame, u32 len)
{
	u8 header[12] = { csum_start != 0 };

	put16(header + 6, csum_start);
	put16(header + 8, csum_offset);
	space_write_block(&bus, FRAME, header, 12);
	space_write_block(&bus, FRAME + 12, frame, len);
	put_desc(desc_of(TX), 0, FRAME, 12, D_NEXT, 1);
	put_desc(desc_of(TX), 1, FRAME + 12, len, 0, 0);
	offer(TX, SIZE, 0);
	kick(TX);
	pass(VIRTIO_WORK_NS);
}

/* RFC 1071, 3: 0001 f203 f4f5 f6f7 has the sum ddf2. */
START_TEST(sums)
{
	static const u8 rfc[8] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	/* The IPv4 header that everybody's textbook has: checksum b861. */
	static const u8 header[20] = { 0x45, 0,    0,    0x73, 0, 0, 0x40, 0,    0x40, 0x11,
				       0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,    0xc7 };

	ck_assert_uint_eq(inet_sum(rfc, 8, 0), 0xddf2);
	ck_assert_uint_eq(inet_sum(rfc, 7, 0), 0xdcfb);
	ck_assert_uint_eq(inet_sum(rfc + 1, 7, 0),
			  inet_sum((u8[8]){ 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0 }, 8, 0));
	ck_assert_uint_eq(inet_sum(header, 20, 0), 0xffff);
}
END_TEST

START_TEST(configuration)
{
	place_bars();
	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x10001af4);
	ck_assert_uint_eq(config_get(SLOT, 10, 2), 0x0200);
	ck_assert_uint_eq(in32(BAR4 + 0x2000), 0x12005452);
	ck_assert_uint_eq(in32(BAR4 + 0x2004), 0x00015634);
}
END_TEST

START_TEST(sends)
{
	u8 frame[2000];
	u32 head, len;
	size_t n = tcp_frame(frame, 100);

	driver_start(F_CSUM, 2, SIZE);
	transmit(0, 0, frame, (u32)n);
	ck_assert_uint_eq(outs, 1);
	ck_assert_uint_eq(out_len, n);
	ck_assert_mem_eq(out, frame, n);
	ck_assert(used(TX, SIZE, &head, &len));
	/* The device finishes a checksum of which the driver has given the pseudo header. */
	struct inet i;

	ck_assert(inet_parse(frame, n, &i));
	memcpy(out, frame, n);
	put16be(frame + 50, inet_pseudo(frame, &i));
	transmit(34, 16, frame, (u32)n);
	ck_assert_uint_eq(outs, 2);
	ck_assert(inet_l4_valid(out, &i));
	/* Offsets that lead nowhere, and frames that are none. */
	transmit(60000, 60000, frame, (u32)n);
	ck_assert_uint_eq(outs, 3);
	transmit(0, 0, frame, 13);
	ck_assert_uint_eq(outs, 3);
	ck_assert_uint_eq(in8(BAR4 + 0x14) & 0x40, 0);
}
END_TEST

START_TEST(sends_64k)
{
	static u8 frame[FRAME_MAX];
	struct inet i;
	size_t n = tcp_frame(frame, 60000);

	driver_start(F_CSUM | F_HOST_TSO4, 2, SIZE);
	ck_assert(inet_parse(frame, n, &i));
	put16be(frame + 50, inet_pseudo(frame, &i));
	transmit(34, 16, frame, (u32)n);
	ck_assert_uint_eq(out_len, n);
	ck_assert(inet_l4_valid(out, &i));
}
END_TEST

START_TEST(receives)
{
	u8 frame[2000], header[12], got[2000];
	u32 head, len;
	size_t n = tcp_frame(frame, 1000);

	driver_start(F_GUEST_CSUM | F_MRG, 2, SIZE);
	ck_assert(virtio_net_input(net, frame, n)); /* no buffer yet: it waits */
	pass(10 * VIRTIO_WORK_NS);
	ck_assert(!used(RX, SIZE, &head, &len));
	give_buffers(4, 1536);
	pass(VIRTIO_WORK_NS);
	ck_assert(used(RX, SIZE, &head, &len));
	ck_assert_uint_eq(len, n + 12);
	space_read_block(&bus, RXBUF, header, 12);
	space_read_block(&bus, RXBUF + 12, got, n);
	ck_assert_mem_eq(got, frame, n);
	ck_assert_uint_eq(header[0], 2); /* the checksum is right, and the driver hears it */
	ck_assert_uint_eq(get16(header + 10), 1);
	frame[1000] ^= 1; /* and not if it is wrong */
	ck_assert(virtio_net_input(net, frame, n));
	pass(VIRTIO_WORK_NS);
	ck_assert(used(RX, SIZE, &head, &len));
	ck_assert_uint_eq(in8(RXBUF + 2048), 0);
	/* Not for us; for all. */
	frame[0] = 0x02;
	ck_assert(virtio_net_input(net, frame, n));
	pass(VIRTIO_WORK_NS);
	ck_assert(!used(RX, SIZE, &head, &len));
	memset(frame, 0xff, 6);
	ck_assert(virtio_net_input(net, frame, n));
	pass(VIRTIO_WORK_NS);
	ck_assert(used(RX, SIZE, &head, &len));
	ck_assert(!virtio_net_input(net, frame, 13));
	ck_assert(!virtio_net_input(net, frame, FRAME_MAX + 1));
}
END_TEST

/* 5.1.6.3.1: a frame over several buffers; and as a packet to be segmented. */
START_TEST(merges_buffers)
{
	static u8 frame[FRAME_MAX];
	u8 header[12];
	u32 head, len, sum = 0;
	size_t n = tcp_frame(frame, 20000);
	struct inet i;

	driver_start(F_GUEST_CSUM | F_GUEST_TSO4 | F_MRG, 2, SIZE);
	give_buffers(10, 2048);
	ck_assert(virtio_net_input(net, frame, n)); /* needs 10 of 2048 = 20480 */
	pass(VIRTIO_WORK_NS);
	for (unsigned k = 0; k < 10; k++) {
		ck_assert(used(RX, SIZE, &head, &len));
		ck_assert_uint_eq(head, k);
		sum += len;
	}
	ck_assert_uint_eq(sum, n + 12);
	space_read_block(&bus, RXBUF, header, 12);
	ck_assert_uint_eq(header[0], 1);
	ck_assert_uint_eq(header[1], 1); /* TCPV4 */
	ck_assert_uint_eq(get16(header + 2), 54);
	ck_assert_uint_eq(get16(header + 4), 1460);
	ck_assert_uint_eq(get16(header + 6), 34);
	ck_assert_uint_eq(get16(header + 8), 16);
	ck_assert_uint_eq(get16(header + 10), 10);
	ck_assert(inet_parse(frame, n, &i));
	ck_assert_uint_eq(get16be((u8[2]){ in8(RXBUF + 12 + 50), in8(RXBUF + 12 + 51) }), inet_pseudo(frame, &i));
	/* A driver that does not take such does not get it. */
	driver_start(F_MRG, 2, SIZE);
	memset(queue_next, 0, sizeof queue_next);
	memset(queue_seen, 0, sizeof queue_seen);
	out16(used_of(RX) + 2, 0);
	give_buffers(20, 2048);
	ck_assert(virtio_net_input(net, frame, n));
	pass(VIRTIO_WORK_NS);
	ck_assert(!used(RX, SIZE, &head, &len));
}
END_TEST

/* Segments in order become one that the guest could have been sent as such (5.1.6.4.1: gso_type, gso_size); others stay
 * alone. */
START_TEST(gathers)
{
	static u8 frame[FRAME_MAX], got[FRAME_MAX];
	static const struct { u32 sequence; unsigned payload; u8 flags; unsigned becomes; } segments[] = {
		/* wraps; PSH ends it */
		{ 0xfffffc00, 1400, 0x10, 0 }, { 0xfffffc00 + 1400u, 1400, 0x10, 0 },
			{ 0xfffffc00 + 2800u, 300, 0x18, 3100 },
		{ 0xfffffc00 + 3100u, 1400, 0x10, 1400 }, { 7, 1400, 0x10, 1400 },  /* not what follows */
		{ 1407, 100, 0x11, 100 },                                           /* FIN */
	};
	u8 header[12];
	u32 head, len;
	unsigned buffer = 0;
	struct inet i;

	driver_start(F_GUEST_CSUM | F_GUEST_TSO4 | F_MRG, 2, SIZE);
	for (unsigned k = 0; k < ARRAY_LEN(segments); k++) {
		size_t n = tcp_frame(frame, segments[k].payload);

		put32be(frame + 38, segments[k].sequence);
		frame[47] = segments[k].flags;
		put16be(frame + 50, 0);
		ck_assert(inet_parse(frame, n, &i));
		put16be(frame + 50, (u16)~inet_sum(frame + 34, n - 34, inet_pseudo(frame, &i)));
		ck_assert(virtio_net_input(net, frame, n));
	}
	give_buffers(10, 2048);
	pass(VIRTIO_WORK_NS);
	for (unsigned k = 0; k < ARRAY_LEN(segments); k++) {
		u32 all = segments[k].becomes + 54 + 12, sum = 0;

		if (!segments[k].becomes)
			continue;
		for (; sum < all; sum += len) {
			ck_assert(used(RX, SIZE, &head, &len));
			space_read_block(&bus, RXBUF + 2048 * buffer++, got + sum, len);
		}
		ck_assert_uint_eq(sum, all);
		memcpy(header, got, 12);
		ck_assert_uint_eq(header[1], segments[k].becomes > 1460);
		ck_assert_uint_eq(get16(header + 4), segments[k].becomes > 1460 ? 1400 : 0);
		ck_assert(inet_parse(got + 12, sum - 12, &i));
		ck_assert(inet_ip_valid(got + 12, &i));
		ck_assert_uint_eq(i.end - i.payload, segments[k].becomes);
		ck_assert_uint_eq(got[12 + 47], segments[k].flags);
		if (header[1]) { /* NEEDS_CSUM: the field has the pseudo header's sum; the data is the segments' */
			ck_assert_uint_eq(get16be(got + 12 + 50), inet_pseudo(got + 12, &i));
			for (unsigned b = 0; b < segments[k].becomes; b++)
				ck_assert_uint_eq(got[12 + 54 + b], (u8)(b % 1400 * 3));
		} else {
			ck_assert(inet_l4_valid(got + 12, &i));
		}
	}
	ck_assert(!used(RX, SIZE, &head, &len));
}
END_TEST

/* A few small buffers are enough for one at a time. */
START_TEST(gathers_no_more_than_fits)
{
	u8 frame[2000];
	u32 head, len;

	driver_start(F_GUEST_CSUM | F_GUEST_TSO4 | F_MRG, 2, SIZE);
	for (unsigned k = 0; k < 3; k++) {
		size_t n = tcp_frame(frame, 1400);
		struct inet i;

		put32be(frame + 38, 1400 * k);
		put16be(frame + 50, 0);
		ck_assert(inet_parse(frame, n, &i));
		put16be(frame + 50, (u16)~inet_sum(frame + 34, n - 34, inet_pseudo(frame, &i)));
		ck_assert(virtio_net_input(net, frame, n));
	}
	give_buffers(2, 2048);
	pass(VIRTIO_WORK_NS);
	for (unsigned k = 0; k < 2; k++) {
		ck_assert(used(RX, SIZE, &head, &len));
		ck_assert_uint_eq(len, 1400 + 54 + 12);
	}
	ck_assert(!used(RX, SIZE, &head, &len));
}
END_TEST

START_TEST(control)
{
	static const u8 promiscuous[3] = { 0, 0, 1 }, address[8] = { 1, 1, 2, 3, 4, 5, 6, 7 }, unknown[3] = { 9, 9, 9 };
	const struct { const u8 *data; u32 len; u8 ack; } commands[] = { { promiscuous, 3, 0 }, { address, 8, 0 },
		{ unknown, 3, 1 } };

	driver_start(F_CTRL, 3, SIZE);
	for (unsigned i = 0; i < 3; i++) {
		space_write_block(&bus, FRAME, commands[i].data, commands[i].len);
		put_desc(desc_of(CTRL), 0, FRAME, 2, D_NEXT, 1);
		put_desc(desc_of(CTRL), 1, FRAME + 2, commands[i].len - 2, D_NEXT, 2);
		out8(FRAME + 100, 0xee);
		put_desc(desc_of(CTRL), 2, FRAME + 100, 1, D_WRITE, 0);
		offer(CTRL, SIZE, 0);
		kick(CTRL);
		pass(VIRTIO_WORK_NS);
		ck_assert_uint_eq(in8(FRAME + 100), commands[i].ack);
	}
	ck_assert_uint_eq(in32(BAR4 + 0x2000), 0x05040302);
	out8(BAR4 + 0x14, 0);
	ck_assert_uint_eq(in32(BAR4 + 0x2000), 0x12005452);
}
END_TEST

/* The queue is bounded, in order, and part of the state. */
START_TEST(queue)
{
	u8 frame[1514], saved_frame[8];
	struct part part;
	u8 *saved;
	unsigned n = 0;
	u32 head, len;
	u64 hash;

	driver_start(F_MRG, 2, SIZE);
	tcp_frame(frame, 1460);
	for (;; n++) {
		put32(frame + 54, n);
		if (!virtio_net_input(net, frame, sizeof frame))
			break;
	}
	ck_assert_uint_eq(n, FRAMES_ROOM / (1514 + 4));
	pass(VIRTIO_WORK_NS);
	part = virtio_net_part(net);
	hash = part_hash(&part, 0);
	saved = malloc(part_size(&part));
	part_save(&part, saved);
	out8(BAR4 + 0x14, 0);
	ck_assert(part_load(&part, saved, part_size(&part), NULL));
	ck_assert_uint_eq(part_hash(&part, 0), hash);
	clock_sort(&test_clock);
	for (unsigned i = 0; i < n; i++) {
		put_desc(desc_of(RX), 0, RXBUF, 2048, D_WRITE, 0);
		offer(RX, SIZE, 0);
		kick(RX);
		pass(VIRTIO_WORK_NS);
		ck_assert(used(RX, SIZE, &head, &len));
		space_read_block(&bus, RXBUF + 12 + 54, saved_frame, 4);
		ck_assert_uint_eq(get32(saved_frame), i);
	}
	free(saved);
}
END_TEST

/* Any state, any memory, frames from both sides. */
START_TEST(random_states)
{
	u64 seed = 11;
	static u8 frame[FRAME_MAX];

	for (unsigned round = 0; round < 60; round++) {
		struct part part = virtio_net_part(net);

		place_bars();
		for (unsigned i = 0; i < 0x10000; i += 8)
			put64(test_ram->host + i, test_random(&seed) & (i % 16 ? 0x000700030000ffff : 0x1ffff));
		part_randomise(&part, &seed);
		clock_sort(&test_clock);
		for (unsigned i = 0; i < 30; i++) {
			struct virtio *v = (struct virtio *)net;

			for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
				v->desc[q] &= 0xffff;
				v->avail[q] &= 0xffff;
				v->used[q] &= 0xffff;
				v->enabled[q] = true;
			}
			v->status = 15;
			for (unsigned k = 0; k < 200; k++)
				frame[test_random(&seed) % 100] = (u8)test_random(&seed);
			put16be(frame + 12, 0x0800);
			virtio_net_input(net, frame, test_random(&seed) % (round % 2 ? 1600 : FRAME_MAX));
			kick(i % 3);
			pass(10000);
		}
		teardown();
		setup();
	}
}
END_TEST

static void begin(void)
{
	virtio_bus();
	net = virtio_net_new(&test_clock, mac, on_out, NULL, NULL);
	pci_attach(pci_bus, virtio_net_pci(net), SLOT, 0);
}

static void end(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	virtio_net_free(net);
}

static unsigned parts(struct part *to) { return virtio_parts(to, virtio_net_part(net)); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ end, begin, parts, virtio_refresh, .every = 3 });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, configuration);
	tcase_add_test(tc, sends);
	tcase_add_test(tc, sends_64k);
	tcase_add_test(tc, receives);
	tcase_add_test(tc, merges_buffers);
	tcase_add_test(tc, gathers);
	tcase_add_test(tc, gathers_no_more_than_fits);
	tcase_add_test(tc, control);
	tcase_add_test(tc, queue);
}

int main(void)
{
	Suite *suite = suite_create("virtio_net");
	TCase *tc = tcase_create("virtio_net");

	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	tcase_add_test(tc, sums);
	tcase_add_test(tc, random_states);
	suite_add_tcase(suite, tc);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
