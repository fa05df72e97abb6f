/* SPDX-License-Identifier: MIT */
/* Virtio's transport and rings against the specification, with a device that answers what it is given, backwards. */
#include "io/virtio/virtio.h"
#include "virtio.h"

enum { SIZE = 8 };

static struct virtio *v;
static unsigned runs, resets;

static void echo(void *owner)
{
	static struct virtio_chain c;
	struct virtio *d = owner;
	u8 bytes[256], back[256];

	runs++;
	while (virtio_peek(d, 0, 0, &c)) {
		struct virtio_cursor out = virtio_out(&c), in = virtio_in(&c);
		size_t n = virtio_read(d, &out, bytes, sizeof bytes);

		for (size_t i = 0; i < n; i++)
			back[i] = bytes[n - 1 - i];
		n = virtio_write(d, &in, back, n);
		virtio_take(d, 0, 1);
		virtio_push(d, 0, c.head, (u32)n);
	}
	virtio_interrupt(d, 0);
}

static void was_reset(void *owner)
{
	(void)owner;
	resets++;
}

static void setup(void)
{
	virtio_fresh();
	runs = resets = 0;
	v = calloc(1, sizeof *v);
	virtio_init(v, "echo", 0, VIRTIO_RNG, 0x00ff00, 2, &test_clock, echo, was_reset, v, NULL);
	v->features |= 1 << 5;
	v->config_size = 6;
	memcpy(v->config, "abcdef", 6);
	ck_assert(pci_attach(pci_bus, &v->pci, SLOT, 0));
}

static void teardown(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	free(v);
	ram_free(test_ram);
	test_ram = NULL;
}

/* 4.1.2, 4.1.4: ids of a transitional device, and where the structures are. */
START_TEST(capabilities)
{
	unsigned seen = 0, bounds = 0;

	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x10051af4);
	ck_assert_uint_eq(config_get(SLOT, 8, 1), 0);
	ck_assert_uint_eq(config_get(SLOT, PCI_SUBSYSTEM, 4), 4u << 16 | 0x1af4);
	for (unsigned cap = config_get(SLOT, PCI_CAPABILITIES, 1); cap; cap = config_get(SLOT, cap + 1, 1)) {
		ck_assert_uint_lt(bounds++, 20);
		if (config_get(SLOT, cap, 1) != 9)
			continue;
		seen |= 1u << config_get(SLOT, cap + 3, 1);
		if (config_get(SLOT, cap + 3, 1) == 5)
			continue;
		ck_assert_uint_eq(config_get(SLOT, cap + 4, 1), 4);
		ck_assert_uint_le(config_get(SLOT, cap + 8, 4) + config_get(SLOT, cap + 12, 4), 0x4000);
	}
	ck_assert_uint_eq(seen, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
}
END_TEST

START_TEST(features_and_configuration)
{
	place_bars();
	out32(BAR4, 1);
	ck_assert_uint_eq(in32(BAR4 + 4), 1); /* VERSION_1 */
	out32(BAR4, 0);
	ck_assert_uint_eq(in32(BAR4 + 4) & (1 << 28 | 1 << 29 | 1 << 5), 1 << 28 | 1 << 29 | 1 << 5);
	out32(BAR4, 2);
	ck_assert_uint_eq(in32(BAR4 + 4), 0);
	ck_assert_uint_eq(in16(BAR4 + 0x12), 2);
	ck_assert_uint_eq(in32(BAR4 + 0x2000), 0x64636261);
	ck_assert_uint_eq(in32(BAR4 + 0x2004), 0x6665); /* nothing behind its end */
	/* Features that were not offered, or not VERSION_1: FEATURES_OK does not stay. */
	out8(BAR4 + 0x14, 3);
	out32(BAR4 + 8, 1);
	out32(BAR4 + 0xc, 3);
	out8(BAR4 + 0x14, 11);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 3);
	out32(BAR4 + 0xc, 0);
	out8(BAR4 + 0x14, 11);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 3);
	out32(BAR4 + 0xc, 1);
	out8(BAR4 + 0x14, 11);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 11);
	/* A queue that is not there has size 0; sizes are powers of two. */
	out16(BAR4 + 0x16, 2);
	ck_assert_uint_eq(in16(BAR4 + 0x18), 0);
	out16(BAR4 + 0x16, 1);
	ck_assert_uint_eq(in16(BAR4 + 0x18), VIRTIO_QUEUE_MAX);
	out16(BAR4 + 0x18, 24);
	ck_assert_uint_eq(in16(BAR4 + 0x18), VIRTIO_QUEUE_MAX);
	out16(BAR4 + 0x18, 16);
	ck_assert_uint_eq(in16(BAR4 + 0x18), 16);
	out8(BAR4 + 0x14, 0);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 0);
	ck_assert_uint_eq(in16(BAR4 + 0x18), 0x100);
	ck_assert_uint_eq(resets, 1);
}
END_TEST

static void echo_chain(void)
{
	space_write_block(&bus, BUFFERS, "hello, world", 12);
	put_desc(desc_of(0), 0, BUFFERS, 5, D_NEXT, 3);
	put_desc(desc_of(0), 3, BUFFERS + 5, 7, D_NEXT, 1);
	put_desc(desc_of(0), 1, BUFFERS + 0x100, 4, D_NEXT | D_WRITE, 2);
	put_desc(desc_of(0), 2, BUFFERS + 0x200, 100, D_WRITE, 0);
}

static void expect_echo(void)
{
	u8 got[12];
	u32 head, len;

	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(head, 0);
	ck_assert_uint_eq(len, 12);
	space_read_block(&bus, BUFFERS + 0x100, got, 4);
	space_read_block(&bus, BUFFERS + 0x200, got + 4, 8);
	ck_assert_mem_eq(got, "dlrow ,olleh", 12);
	ck_assert(!used(0, SIZE, &head, &len));
}

START_TEST(chain_by_intx)
{
	driver_start(0, 1, SIZE);
	echo_chain();
	offer(0, SIZE, 0);
	kick(0);
	ck_assert(!wires[2].level);
	ck_assert_uint_eq(in16(used_of(0) + 2), 0); /* not before its time */
	pass(VIRTIO_WORK_NS);
	expect_echo();
	ck_assert(wires[2].level); /* INTA# of slot 3 is PIRQC# */
	ck_assert_uint_eq(in8(BAR4 + 0x1000), 1);
	ck_assert(!wires[2].level);
	ck_assert_uint_eq(in8(BAR4 + 0x1000), 0);
	/* VIRTQ_AVAIL_F_NO_INTERRUPT */
	out16(avail_of(0), 1);
	offer(0, SIZE, 0);
	kick(0);
	pass(VIRTIO_WORK_NS);
	expect_echo();
	ck_assert(!wires[2].level);
}
END_TEST

START_TEST(chain_by_msix)
{
	unsigned cap = config_get(SLOT, PCI_CAPABILITIES, 1);

	while (cap && config_get(SLOT, cap, 1) != 0x11)
		cap = config_get(SLOT, cap + 1, 1);
	ck_assert_uint_ne(cap, 0);
	ck_assert_uint_eq(config_get(SLOT, cap + 2, 2) & 0x7ff, 2); /* three vectors */
	config_set(SLOT, cap + 2, 2, 0x8000);
	driver_start(0, 2, SIZE);
	for (unsigned i = 0; i < 3; i++) {
		out32(BAR1 + 16 * i, 0xfee00000);
		out32(BAR1 + 16 * i + 8, 0x40 + i);
		out32(BAR1 + 16 * i + 12, 0);
	}
	out16(BAR4 + 0x16, 0);
	out16(BAR4 + 0x1a, 77); /* not there: refused */
	ck_assert_uint_eq(in16(BAR4 + 0x1a), 0xffff);
	out16(BAR4 + 0x1a, 1);
	ck_assert_uint_eq(in16(BAR4 + 0x1a), 1);
	echo_chain();
	offer(0, SIZE, 0);
	kick(0);
	pass(VIRTIO_WORK_NS);
	expect_echo();
	ck_assert_uint_eq(messages.count, 1);
	ck_assert_uint_eq(messages.data, 0x41);
	ck_assert(!wires[2].level);
}
END_TEST

START_TEST(indirect)
{
	driver_start(VIRTIO_F_INDIRECT, 1, SIZE);
	space_write_block(&bus, BUFFERS, "abc", 3);
	put_desc(desc_of(0), 5, BUFFERS + 0x1000, 32, D_INDIRECT, 0);
	put_desc(BUFFERS + 0x1000, 0, BUFFERS, 3, D_NEXT, 1);
	put_desc(BUFFERS + 0x1000, 1, BUFFERS + 0x100, 3, D_WRITE, 0);
	offer(0, SIZE, 5);
	kick(0);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(in32(used_of(0) + 4), 5);
	ck_assert_uint_eq(in32(BUFFERS + 0x100), 0x616263);
}
END_TEST

/* 2.7.7, 2.7.10: interrupts when the index passes used_event, and avail_event says what was taken. */
START_TEST(event_index)
{
	u32 head, len;

	driver_start(VIRTIO_F_EVENT_IDX, 1, SIZE);
	echo_chain();
	out16(avail_of(0) + 4 + 2 * SIZE, 2); /* interrupt when the third is there */
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!wires[2].level);
		offer(0, SIZE, 0);
		kick(0);
		pass(VIRTIO_WORK_NS);
		ck_assert(used(0, SIZE, &head, &len));
		ck_assert_uint_eq(in16(used_of(0) + 4 + 8 * SIZE), i + 1);
	}
	ck_assert(wires[2].level);
	/* The indexes wrap at 64Ki; the rings at their size. */
	out16(avail_of(0) + 4 + 2 * SIZE, 0x8000);
	for (unsigned i = 0; i < 70000; i++) {
		offer(0, SIZE, 0);
		if (i % SIZE == SIZE - 1) {
			kick(0);
			pass(VIRTIO_WORK_NS);
		}
	}
	ck_assert_uint_eq(in16(used_of(0) + 2), (3 + 70000) & 0xffff);
}
END_TEST

/* The same through ports, as drivers of 0.9.5 do. */
START_TEST(legacy)
{
	u64 page = RINGS / 4096;
	unsigned size;

	place_bars();
	space_write(&ports, BAR0 + 0x12, 1, 0);
	space_write(&ports, BAR0 + 0x12, 1, 3);
	ck_assert_uint_eq(space_read(&ports, BAR0 + 0x14, 4), 0x64636261);
	space_write(&ports, BAR0 + 4, 4, 1 << 5);
	space_write(&ports, BAR0 + 0xe, 2, 0);
	size = (unsigned)space_read(&ports, BAR0 + 0xc, 2);
	ck_assert_uint_eq(size, 256);
	space_write(&ports, BAR0 + 8, 4, page);
	ck_assert_uint_eq(space_read(&ports, BAR0 + 8, 4), page);
	space_write(&ports, BAR0 + 0x12, 1, 7);
	/* descriptors 4096 bytes, then the available ring, then the used ring on the next page */
	space_write_block(&bus, BUFFERS, "xyz", 3);
	put_desc(RINGS, 0, BUFFERS, 3, D_NEXT, 1);
	put_desc(RINGS, 1, BUFFERS + 0x100, 3, D_WRITE, 0);
	out16(RINGS + 4096 + 4, 0);
	out16(RINGS + 4096 + 2, 1);
	space_write(&ports, BAR0 + 0x10, 2, 0);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(in16(RINGS + 2 * 4096 + 2), 1);
	ck_assert_uint_eq(in32(BUFFERS + 0x100), 0x78797a);
	ck_assert(wires[2].level);
	ck_assert_uint_eq(space_read(&ports, BAR0 + 0x13, 1), 1);
	ck_assert(!wires[2].level);
}
END_TEST

/* 4.1.4.9: the registers through configuration space. */
START_TEST(window)
{
	unsigned cap = config_get(SLOT, PCI_CAPABILITIES, 1);

	place_bars();
	while (cap && !(config_get(SLOT, cap, 1) == 9 && config_get(SLOT, cap + 3, 1) == 5))
		cap = config_get(SLOT, cap + 1, 1);
	config_set(SLOT, cap + 4, 1, 4);
	config_set(SLOT, cap + 8, 4, 0x2000);
	config_set(SLOT, cap + 12, 4, 4);
	ck_assert_uint_eq(config_get(SLOT, cap + 16, 4), 0x64636261);
	config_set(SLOT, cap + 8, 4, 0x14);
	config_set(SLOT, cap + 12, 4, 1);
	config_set(SLOT, cap + 16, 1, 3);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 3);
}
END_TEST

/* Drivers that break the rules: nothing is written, and the device says so. */
static void expect_broken(void)
{
	kick(0);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(in8(BAR4 + 0x14) & 0x40, 0x40);
	ck_assert_uint_eq(in16(used_of(0) + 2), 0);
	out8(BAR4 + 0x14, 0);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 0);
}

START_TEST(hostile)
{
	static const struct { u64 addr; u32 len; u16 flags, next; } bad[] = {
		{ BUFFERS, 16, D_NEXT, 0 },                  /* a loop */
		{ BUFFERS, 16, D_NEXT, SIZE },               /* beyond the table */
		{ BUFFERS, 16, D_NEXT | D_INDIRECT, 1 },
		{ BUFFERS, 0, D_INDIRECT, 0 },
		{ BUFFERS, 24, D_INDIRECT, 0 },
		{ 0xd0000000, 0xfffffff0, D_INDIRECT, 0 },   /* no RAM */
		{ 0xd0000000, 16, 0, 0 },
		{ ~(u64)0, ~0u, 0, 0 },
		{ BAR4, 16, 0, 0 },                          /* its own registers */
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		memset(queue_next, 0, sizeof queue_next);
		out16(avail_of(0) + 2, 0);
		driver_start(VIRTIO_F_INDIRECT, 1, SIZE);
		put_desc(desc_of(0), 0, bad[i].addr, bad[i].len, bad[i].flags, bad[i].next);
		offer(0, SIZE, 0);
		if (i < ARRAY_LEN(bad) - 3) {
			expect_broken();
			continue;
		}
		kick(0); /* the chain itself is fine; its contents are not */
		pass(VIRTIO_WORK_NS);
		ck_assert_uint_eq(in8(BAR4 + 0x14) & 0x40, 0x40);
		out8(BAR4 + 0x14, 0);
	}
	/* A table within a table; a head and an index out of range; rings in registers. */
	memset(queue_next, 0, sizeof queue_next);
	driver_start(VIRTIO_F_INDIRECT, 1, SIZE);
	put_desc(desc_of(0), 0, BUFFERS, 16, D_INDIRECT, 0);
	put_desc(BUFFERS, 0, BUFFERS + 64, 16, D_INDIRECT, 0);
	out16(used_of(0) + 2, 0);
	offer(0, SIZE, 0);
	expect_broken();
	memset(queue_next, 0, sizeof queue_next);
	driver_start(0, 1, SIZE);
	offer(0, SIZE, SIZE);
	expect_broken();
	driver_start(0, 1, SIZE);
	out16(avail_of(0) + 2, SIZE + 1);
	expect_broken();
	out32(BAR4 + 8, 1);
	out32(BAR4 + 0xc, 1);
	out16(BAR4 + 0x16, 0);
	space_write(&bus, BAR4 + 0x20, 8, BAR4);
	space_write(&bus, BAR4 + 0x28, 8, BAR4);
	space_write(&bus, BAR4 + 0x30, 8, BAR4);
	out16(BAR4 + 0x1c, 1);
	out8(BAR4 + 0x14, 15);
	expect_broken();
}
END_TEST

/* No bus master, no work. */
START_TEST(not_a_master)
{
	driver_start(0, 1, SIZE);
	config_set(SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	echo_chain();
	offer(0, SIZE, 0);
	kick(0);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(runs, 0);
}
END_TEST

/* Saved between the notification and the work, and loaded elsewhere: the work is done there. */
START_TEST(saved_in_the_middle)
{
	struct part part = virtio_part(v), parts[8];
	u8 *saved = malloc(part_size(&part)), *pci_saved, *memory = malloc(RAM_SIZE);
	u64 now;
	unsigned n;

	driver_start(0, 1, SIZE);
	echo_chain();
	offer(0, SIZE, 0);
	kick(0);
	pass(VIRTIO_WORK_NS / 2);
	now = test_clock.now;
	part_save(&part, saved);
	n = pci_parts(pci_bus, parts, 8);
	ck_assert_uint_eq(n, 2);
	pci_saved = malloc(part_size(&parts[0]) + part_size(&parts[1]));
	part_save(&parts[0], pci_saved);
	part_save(&parts[1], pci_saved + part_size(&parts[0]));
	memcpy(memory, test_ram->host, RAM_SIZE);
	teardown();
	setup();
	part = virtio_part(v);
	pci_parts(pci_bus, parts, 8);
	memcpy(test_ram->host, memory, RAM_SIZE);
	test_clock.now = now;
	ck_assert(part_load(&part, saved, part_size(&part), NULL));
	ck_assert(part_load(&parts[0], pci_saved, part_size(&parts[0]), NULL));
	ck_assert(part_load(&parts[1], pci_saved + part_size(&parts[0]), part_size(&parts[1]), NULL));
	clock_sort(&test_clock);
	pci_refresh(pci_bus);
	pass(VIRTIO_WORK_NS / 2);
	expect_echo();
	ck_assert(wires[2].level);
	free(saved);
	free(pci_saved);
	free(memory);
}
END_TEST

/* Any state at all, over any memory: it must live. */
START_TEST(random_states)
{
	u64 seed = 7;

	teardown();
	for (unsigned round = 0; round < 300; round++) {
		struct part part, parts[8];
		u8 *saved, *again;

		setup();
		place_bars();
		for (unsigned i = 0; i < 0x10000; i += 8) /* small numbers, so that some of it makes sense */
			put64(test_ram->host + i, test_random(&seed) & (i % 16 ? 0x0007000300001fff : 0x1ffff));
		part = virtio_part(v);
		ck_assert_uint_eq(pci_parts(pci_bus, parts, 8), 2);
		part_randomise(&part, &seed);
		for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
			v->desc[q] &= 0xffff;
			v->avail[q] &= 0xffff;
			v->used[q] &= 0xffff;
			v->enabled[q] = true;
		}
		saved = malloc(part_size(&part));
		again = malloc(part_size(&part));
		part_save(&part, saved);
		ck_assert(part_load(&part, saved, part_size(&part), NULL));
		part_save(&part, again);
		ck_assert_mem_eq(saved, again, part_size(&part));
		clock_sort(&test_clock);
		for (unsigned i = 0; i < 100; i++) {
			u64 at = test_random(&seed) % 0x4000;

			if (i % 10 == 0) {
				v->status = 15;
				kick(0);
				pass(VIRTIO_WORK_NS);
			} else if (test_random(&seed) % 2) {
				space_read(&bus, BAR4 + at, 1u << test_random(&seed) % 4);
			} else {
				space_write(&bus, BAR4 + (at & 0x103f), 1u << test_random(&seed) % 4,
					    test_random(&seed));
			}
			space_write(&ports, BAR0 + at % 64, 1u << test_random(&seed) % 3,
				    test_random(&seed) >> test_random(&seed) % 64);
		}
		free(saved);
		free(again);
		teardown();
	}
	setup();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio");
	TCase *tc = tcase_create("virtio");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, capabilities);
	tcase_add_test(tc, features_and_configuration);
	tcase_add_test(tc, chain_by_intx);
	tcase_add_test(tc, chain_by_msix);
	tcase_add_test(tc, indirect);
	tcase_add_test(tc, event_index);
	tcase_add_test(tc, legacy);
	tcase_add_test(tc, window);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, not_a_master);
	tcase_add_test(tc, saved_in_the_middle);
	tcase_add_test(tc, random_states);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
