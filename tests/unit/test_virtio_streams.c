/* SPDX-License-Identifier: MIT */
/* The virtio console, the source of random numbers and the 9P transport, each against its section of virtio 1.2. */
#include "io/virtio/virtio_9p.h"
#include "io/virtio/virtio_console.h"
#include "io/virtio/virtio_rng.h"
#include "virtio.h"

enum { SIZE = 16, A = BUFFERS, B = BUFFERS + 0x10000 };

static u8 out[1 << 16];
static size_t out_len;

static void on_out(void *owner, const void *data, size_t len)
{
	(void)owner;
	ck_assert_uint_le(out_len + len, sizeof out);
	memcpy(out + out_len, data, len);
	out_len += len;
}

static void setup(void)
{
	virtio_fresh();
	out_len = 0;
}

static void teardown(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	ram_free(test_ram);
	test_ram = NULL;
}

START_TEST(console)
{
	struct virtio_console *con = virtio_console_new(&test_clock, on_out, NULL, NULL);
	u8 text[100];
	u32 head, len;

	ck_assert(pci_attach(pci_bus, virtio_console_pci(con), SLOT, 0));
	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x10031af4);
	ck_assert(virtio_console_input(con, "typed before", 12)); /* nobody is there yet: it waits */
	driver_start(0, 2, SIZE);
	space_write_block(&bus, A, "hello, console", 14);
	put_desc(desc_of(1), 0, A, 5, D_NEXT, 1);
	put_desc(desc_of(1), 1, A + 5, 9, 0, 0);
	offer(1, SIZE, 0);
	kick(1);
	pass(VIRTIO_WORK_NS);
	ck_assert(used(1, SIZE, &head, &len));
	ck_assert_uint_eq(out_len, 14);
	ck_assert_mem_eq(out, "hello, console", 14);
	put_desc(desc_of(0), 0, B, 5, D_WRITE, 0);
	put_desc(desc_of(0), 1, B + 16, 100, D_WRITE, 0);
	offer(0, SIZE, 0);
	offer(0, SIZE, 1);
	kick(0);
	pass(VIRTIO_WORK_NS);
	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(len, 5);
	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(len, 7);
	space_read_block(&bus, B, text, 23);
	ck_assert_mem_eq(text, "typed", 5);
	ck_assert_mem_eq(text + 16, " before", 7);
	for (unsigned i = 0; i < 65536 / 64; i++)
		ck_assert(virtio_console_input(con, out, 64));
	ck_assert(!virtio_console_input(con, out, 1));
	virtio_console_free(con);
}
END_TEST

/* The same seed, the same numbers; they are not all alike; an empty buffer does no harm. */
START_TEST(rng)
{
	u8 numbers[3][1000];
	u32 head, len;
	unsigned ones = 0;

	for (unsigned run = 0; run < 3; run++) {
		struct virtio_rng *source;

		setup();
		source = virtio_rng_new(&test_clock, run == 2 ? 8 : 7, NULL);
		ck_assert(pci_attach(pci_bus, virtio_rng_pci(source), SLOT, 0));
		ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x10051af4);
		driver_start(0, 1, SIZE);
		put_desc(desc_of(0), 0, A, 1000, D_WRITE, 0);
		put_desc(desc_of(0), 1, A, 0, D_WRITE, 0);
		offer(0, SIZE, 1);
		offer(0, SIZE, 0);
		kick(0);
		pass(VIRTIO_WORK_NS);
		ck_assert(used(0, SIZE, &head, &len) && len == 0);
		ck_assert(used(0, SIZE, &head, &len) && len == 1000);
		space_read_block(&bus, A, numbers[run], 1000);
		teardown();
		virtio_rng_free(source);
	}
	setup();
	ck_assert_mem_eq(numbers[0], numbers[1], 1000);
	ck_assert_mem_ne(numbers[0], numbers[2], 1000);
	for (unsigned i = 0; i < 1000; i++)
		ones += (unsigned)__builtin_popcount(numbers[0][i]);
	ck_assert_uint_gt(ones, 3700);
	ck_assert_uint_lt(ones, 4300);
}
END_TEST

static void request(u16 tag, unsigned at)
{
	u8 message[12] = { 12, 0, 0, 0, 100 };

	put16(message + 5, tag);
	space_write_block(&bus, A + 64 * at, message, 12);
	put_desc(desc_of(0), 2 * at, A + 64 * at, 12, D_NEXT, (u16)(2 * at + 1));
	put_desc(desc_of(0), 2 * at + 1, B + 64 * at, 40, D_WRITE, 0);
	offer(0, SIZE, (u16)(2 * at));
	kick(0);
}

/* Answers in another order find their requests; those that fit nothing are refused. */
START_TEST(p9)
{
	struct virtio_9p *transport = virtio_9p_new(&test_clock, "stuff", on_out, NULL, NULL);
	u8 answer[40] = { 9, 0, 0, 0, 101, 7, 0, 'o', 'k' };
	u32 head, len;
	struct part part = virtio_9p_part(transport);
	u8 *saved = malloc(part_size(&part));

	ck_assert(pci_attach(pci_bus, virtio_9p_pci(transport), SLOT, 0));
	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x10091af4);
	place_bars();
	ck_assert_uint_eq(in16(BAR4 + 0x2000), 5);
	ck_assert_uint_eq(in32(BAR4 + 0x2002), 0x66757473);
	driver_start(1, 1, SIZE);
	request(7, 0);
	request(8, 1);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(out_len, 24);
	ck_assert(!used(0, SIZE, &head, &len));
	part_save(&part, saved); /* in the middle: the requests are out */
	out8(BAR4 + 0x14, 0);
	ck_assert(!virtio_9p_input(transport, answer, 9));
	ck_assert(part_load(&part, saved, part_size(&part), NULL));
	put16(answer + 5, 9);
	ck_assert(!virtio_9p_input(transport, answer, 9));
	put16(answer + 5, 8);
	ck_assert(!virtio_9p_input(transport, answer, 8));
	put32(answer, 41);
	ck_assert(!virtio_9p_input(transport, answer, 41)); /* more than there is room for */
	put32(answer, 9);
	ck_assert(virtio_9p_input(transport, answer, 9));
	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(head, 2);
	ck_assert_uint_eq(len, 9);
	ck_assert_uint_eq(in16(B + 64 + 7), 'o' | 'k' << 8);
	ck_assert(!virtio_9p_input(transport, answer, 9)); /* once only */
	put16(answer + 5, 7);
	ck_assert(virtio_9p_input(transport, answer, 9));
	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(head, 0);
	ck_assert(wires[2].level);
	/* A request that says it is longer than it is. */
	request(1, 0);
	out32(A, 13);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(in8(BAR4 + 0x14) & 0x40, 0x40);
	free(saved);
	virtio_9p_free(transport);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_streams");
	TCase *tc = tcase_create("virtio_streams");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, console);
	tcase_add_test(tc, rng);
	tcase_add_test(tc, p9);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
