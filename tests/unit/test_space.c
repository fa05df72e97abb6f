/* SPDX-License-Identifier: MIT */
/* Address spaces: who answers, how accesses are cut, what code pages and ROM do. */
#include "device.h"
#include "tests/unit/random.h"

static struct { u64 offset; unsigned size; u64 value; bool write; } seen[32];
static unsigned seen_count;

static u64 spy_read(void *owner, u64 offset, unsigned size)
{
	(void)owner;
	seen[seen_count].offset = offset;
	seen[seen_count].size = size;
	seen[seen_count++].write = false;
	return 0x8877665544332211u >> (8 * (offset & 7));
}

static void spy_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)owner;
	seen[seen_count].offset = offset;
	seen[seen_count].size = size;
	seen[seen_count].value = value;
	seen[seen_count++].write = true;
}

static const struct device_ops spy_any = { spy_read, spy_write, 0, 0 };
static const struct device_ops spy_byte = { spy_read, spy_write, 1, 1 };
static const struct device_ops spy_wide = { spy_read, spy_write, 4, 8 };

static void setup(void)
{
	fresh();
	seen_count = 0;
}

START_TEST(nothing_there)
{
	ck_assert_uint_eq(space_read(&bus, 0x1234, 1), 0xff);
	ck_assert_uint_eq(space_read(&bus, 0x1234, 2), 0xffff);
	ck_assert_uint_eq(space_read(&bus, 0x1234, 4), 0xffffffff);
	ck_assert_uint_eq(space_read(&bus, ~(u64)0 - 3, 8), ~(u64)0);
	space_write(&bus, 0x1234, 8, 0);
}
END_TEST

/* RAM that this host does not have; Windows promises no more than it has. */
#ifdef _WIN32
#define STEP (GiB / 32)
#else
#define STEP GiB
#endif

START_TEST(ram_is_lazy_and_zero)
{
	struct ram *ram = ram_new(64 * STEP);

	ck_assert_ptr_nonnull(ram);
	ck_assert_int_ge(space_add_ram(&bus, "ram", 0, ram->size, ram, 0, false), 0);
	ck_assert_uint_eq(space_read(&bus, 63 * STEP, 8), 0);
	space_write(&bus, 40 * STEP + 5, 8, 0x0123456789abcdef);
	ck_assert_uint_eq(space_read(&bus, 40 * STEP + 5, 8), 0x0123456789abcdef);
	ck_assert_uint_eq(space_read(&bus, 40 * STEP + 6, 1), 0xcd);
	ck_assert_uint_eq(ram->pages[(40 * STEP) >> PAGE_SHIFT], PAGE_DIRTY);
	ck_assert_uint_eq(ram->pages[((40 * STEP) >> PAGE_SHIFT) + 1], 0);
	ram_free(ram);
	ck_assert_ptr_null(ram_new(0));
	ram_free(NULL);
}
END_TEST

static u64 next_one_by_one(const struct ram *ram, u64 page, u64 end, u8 flag)
{
	while (page < end && !(ram->pages[page] & flag))
		page++;
	return page;
}

/* Pages with a flag are found by groups, whatever sets flags and takes them away. */
START_TEST(flags_are_found)
{
	enum { PAGES = 1000 };
	struct ram *ram = ram_new(PAGES * (u64)PAGE_SIZE);
	static const u8 flags[] = { PAGE_OWN, PAGE_SINCE, PAGE_MARKED, PAGE_UNHASHED };

	for (unsigned i = 0; i < 200000; i++) {
		u64 page = rnd() % PAGES, end = page + rnd() % (PAGES + 1 - page);
		u8 flag = flags[rnd() % ARRAY_LEN(flags)];

		switch (rnd() % 8) {
		case 0: ram_flag(ram, page, flag); break;
		case 1: ram_touch(ram, page * PAGE_SIZE + rnd() % PAGE_SIZE, 1, 0); break;
		case 2: ram->pages[page] &= (u8)~flag; break;
		case 3:
			if (rnd() % 64 == 0)
				ram_unflag_all(ram, flag);
			else if (rnd() % 64 == 0)
				ram_flag_all(ram, page, (end - page) % 70, flag);
			else if (rnd() % 512 == 0)
				ram_clear(ram);
			break;
		default:
			if (rnd() % 2) {
				page = 0;
				end = PAGES;
			}
			while (page < end) {
				u64 next = ram_next(ram, page, end, flag);

				ck_assert_uint_eq(next, next_one_by_one(ram, page, end, flag));
				page = next + 1;
			}
		}
	}
	ram_unflag_all(ram, PAGE_OWN);
	ck_assert_uint_eq(next_one_by_one(ram, 0, PAGES, PAGE_OWN), PAGES);
	ram_free(ram);
}
END_TEST

START_TEST(later_lies_over_earlier)
{
	struct ram *ram = ram_new(1 * MiB);
	int number;
	u64 end;

	space_add_ram(&bus, "ram", 0, 1 * MiB, ram, 0, false);
	number = space_add_device(&bus, "card", 0xa0000, 0x20000, &spy_any, NULL);
	ck_assert_str_eq(space_find(&bus, 0x9ffff, &end)->name, "ram");
	ck_assert_uint_eq(end, 0xa0000);
	ck_assert_str_eq(space_find(&bus, 0xa0000, &end)->name, "card");
	ck_assert_uint_eq(end, 0xc0000);
	ck_assert_ptr_null(space_find(&bus, 0x100000, &end));
	ck_assert_uint_eq(end, ~(u64)0);
	space_remove(&bus, number);
	ck_assert_str_eq(space_find(&bus, 0xa0000, &end)->name, "ram");
	ck_assert_uint_eq(end, 0x100000);
	/* a number is used again, and always means the same range */
	ck_assert_int_eq(space_add_device(&bus, "card", 0xa0000, 1, &spy_any, NULL), number);
	ram_free(ram);
}
END_TEST

/* Ranks decide, and only among equals who came last. */
START_TEST(ranks)
{
	static const struct device_ops none = { .max = 1 };
	const int order_of[] = { 0, -3, 2, -2, 0, 1 }; /* from the bottom: 1, 3, 0, 4, 5, 2 */
	static const u64 order[] = { 2, 5, 4, 0, 3, 1 };
	int number[ARRAY_LEN(order_of)];

	for (unsigned i = 0; i < ARRAY_LEN(order_of); i++) {
		number[i] = space_add_device(&bus, "", 0, 0x100 + i, &none, NULL);
		space_rank(&bus, number[i], order_of[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(order_of); i++) {
		ck_assert_uint_eq(space_find(&bus, 0, NULL)->size, 0x100 + order[i]);
		space_remove(&bus, number[order[i]]);
	}
	ck_assert_ptr_null(space_find(&bus, 0, NULL));
}
END_TEST

START_TEST(bad_ranges)
{
	struct ram *ram = ram_new(1 * MiB);

	ck_assert_int_eq(space_add_device(&bus, "empty", 0, 0, &spy_any, NULL), -1);
	ck_assert_int_eq(space_add_device(&bus, "wraps", ~(u64)0, 2, &spy_any, NULL), -1);
	ck_assert_int_ge(space_add_device(&bus, "top", ~(u64)0, 1, &spy_any, NULL), 0);
	ck_assert_int_eq(space_add_ram(&bus, "too long", 0, 2 * MiB, ram, 0, false), -1);
	ck_assert_int_eq(space_add_ram(&bus, "too late", 0, PAGE_SIZE, ram, 1 * MiB, false), -1);
	ram_free(ram);
}
END_TEST

START_TEST(access_over_an_edge)
{
	struct ram *ram = ram_new(PAGE_SIZE);

	space_add_ram(&bus, "ram", 0, PAGE_SIZE, ram, 0, false);
	space_write(&bus, PAGE_SIZE - 2, 4, 0x44332211);
	ck_assert_uint_eq(space_read(&bus, PAGE_SIZE - 2, 4), 0xffff2211);
	space_add_device(&bus, "device", PAGE_SIZE, 0x10, &spy_byte, NULL);
	ck_assert_uint_eq(space_read(&bus, PAGE_SIZE - 2, 4), 0x22112211);
	ck_assert_uint_eq(seen_count, 2);
	ram_free(ram);
}
END_TEST

START_TEST(wide_is_cut)
{
	space_add_device(&bus, "bytes", 0x40, 4, &spy_byte, NULL);
	space_write(&bus, 0x41, 2, 0xbbaa);
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_uint_eq(seen[0].offset, 1);
	ck_assert_uint_eq(seen[0].value, 0xaa);
	ck_assert_uint_eq(seen[1].offset, 2);
	ck_assert_uint_eq(seen[1].value, 0xbb);
	seen_count = 0;
	ck_assert_uint_eq(space_read(&bus, 0x42, 4), 0xffff4433); /* two bytes are the device's, two nobody's */
	ck_assert_uint_eq(seen_count, 2);
}
END_TEST

START_TEST(unaligned_is_cut)
{
	space_add_device(&bus, "dwords", 0x100, 0x100, &spy_any, NULL);
	ck_assert_uint_eq(space_read(&bus, 0x101, 4), 0x55443322);
	ck_assert_uint_eq(seen_count, 3);
	ck_assert_uint_eq(seen[0].size, 1);
	ck_assert_uint_eq(seen[1].size, 2);
	ck_assert_uint_eq(seen[2].size, 1);
}
END_TEST

START_TEST(narrow_is_widened)
{
	space_add_device(&bus, "wide", 0x1000, 0x100, &spy_wide, NULL);
	ck_assert_uint_eq(space_read(&bus, 0x1006, 1), 0x77);
	ck_assert_uint_eq(seen[0].offset, 4);
	ck_assert_uint_eq(seen[0].size, 4);
	seen_count = 0;
	space_write(&bus, 0x1005, 1, 0xee);
	ck_assert_uint_eq(seen_count, 2);
	ck_assert(!seen[0].write);
	ck_assert_uint_eq(seen[1].size, 4);
	ck_assert_uint_eq(seen[1].value, 0x8877ee55);
	seen_count = 0;
	ck_assert_uint_eq(space_read(&bus, 0x1000, 8), 0x8877665544332211);
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(seen[0].size, 8);
}
END_TEST

START_TEST(rom_keeps)
{
	struct ram *rom = ram_new(PAGE_SIZE);

	space_add_ram(&bus, "rom", 0xf0000, PAGE_SIZE, rom, 0, true);
	space_poke(&bus, 0xf0010, "firm", 4);
	space_write(&bus, 0xf0010, 4, 0);
	space_write_block(&bus, 0xf0010, "soft", 4);
	ck_assert_uint_eq(space_read(&bus, 0xf0010, 4), 0x6d726966);
	ram_free(rom);
}
END_TEST

START_TEST(rom_page_flag)
{
	struct ram *ram = ram_new(2 * PAGE_SIZE);

	space_add_ram(&bus, "ram", 0, 2 * PAGE_SIZE, ram, 0, false);
	ram->pages[1] = PAGE_ROM;
	space_write(&bus, PAGE_SIZE - 2, 4, 0x44332211);
	ck_assert_uint_eq(space_read(&bus, PAGE_SIZE - 2, 4), 0x2211);
	ck_assert_uint_eq(ram->pages[1], PAGE_ROM);
	ram_free(ram);
}
END_TEST

START_TEST(a20)
{
	struct ram *ram = ram_new(2 * MiB);
	u64 end;

	space_add_ram(&bus, "ram", 0, 2 * MiB, ram, 0, false);
	space_write(&bus, 0x100000, 1, 0x22);
	space_set_mask(&bus, ~(u64)0x100000);
	space_write(&bus, 0, 1, 0x11);
	ck_assert_uint_eq(space_read(&bus, 0x100000, 1), 0x11);
	space_write(&bus, 0xfffff, 2, 0x5566); /* wraps in its middle */
	ck_assert_uint_eq(space_read(&bus, 0, 1), 0x55);
	space_find(&bus, 0, &end);
	ck_assert_uint_eq(end, 0x100000);
	space_set_mask(&bus, ~(u64)0);
	ck_assert_uint_eq(space_read(&bus, 0x100000, 1), 0x22);
	ram_free(ram);
}
END_TEST

/* space_ram has an answer of its own that it remembers: it must be space_find's, in every order of looks and after
 * every change of the map. */
START_TEST(ram_is_found_again)
{
	enum { PAGES = 0x202 };
	struct ram *ram = ram_new(PAGES * PAGE_SIZE);
	u32 state = 1;
	int card = -1;

	ck_assert_int_ge(space_add_ram(&bus, "low", 0, 0x200 * PAGE_SIZE, ram, 0, false), 0);
	ck_assert_int_ge(space_add_ram(&bus, "rom", 0xff000, 2 * PAGE_SIZE, ram, 0x200 * PAGE_SIZE, true), 0);
		/* over the edge that A20 makes */
	for (unsigned i = 0; i < 100000; i++) {
		const struct range *range = NULL, *right;
		unsigned len = i & 1 ? 8 : PAGE_SIZE;
		u64 addr, end;
		u8 *host;

		state = state * 1664525 + 1013904223;
		if (state >> 24 == 0)
			space_set_mask(&bus, bus.mask ^ 0x100000);
		if (state >> 24 == 1 && card < 0)
			card = space_add_device(&bus, "card", 0x40000, 0x8010, &spy_byte, NULL);
		else if (state >> 24 == 2 && card >= 0)
			space_remove(&bus, card), card = -1;
		addr = (state >> 8 & 7 ? (state >> 11) % (0x210 * PAGE_SIZE) : 0xfe000 + (state >> 11 & 0x3fff)) &
		       bus.mask;
		right = space_find(&bus, addr, &end);
		host = space_ram(&bus, addr, len, &range);
		if (!right || right->kind != RANGE_RAM || end - addr < len) {
			ck_assert_ptr_null(host);
			continue;
		}
		ck_assert_ptr_eq(range, right);
		ck_assert_ptr_eq(host, ram->host + right->ram_offset + (addr - right->base));
	}
	ram_free(ram);
}
END_TEST

START_TEST(ports_wrap)
{
	space_set_mask(&bus, 0xffff);
	space_add_device(&bus, "zero", 0, 1, &spy_byte, NULL);
	ck_assert_uint_eq(space_read(&bus, 0xffff, 2), 0x11ff);
}
END_TEST

static u64 told_addr;
static unsigned told_len, told;

static void written(void *owner, u64 addr, unsigned len)
{
	(void)owner;
	told_addr = addr;
	told_len = len;
	told++;
}

START_TEST(code_is_told)
{
	struct ram *ram = ram_new(4 * PAGE_SIZE);

	space_add_ram(&bus, "ram", 0x10000, 4 * PAGE_SIZE, ram, 0, false);
	ram->written = written;
	ram->pages[1] = PAGE_CODE;
	told = 0;
	space_write(&bus, 0x10100, 4, 0);
	ck_assert_uint_eq(told, 0);
	space_write(&bus, 0x10ffe, 4, 0);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(told_addr, 0x11000);
	ck_assert_uint_eq(told_len, 2);
	space_write_block(&bus, 0x10000, ram->host + 2 * PAGE_SIZE, PAGE_SIZE + 16);
	ck_assert_uint_eq(told, 2);
	ck_assert_uint_eq(told_len, 16);
	space_poke(&bus, 0x11234, "x", 1);
	ck_assert_uint_eq(told, 3);
	ck_assert_uint_eq(ram->pages[1], PAGE_CODE | PAGE_DIRTY);
	ram_free(ram);
}
END_TEST

START_TEST(blocks_and_peeks)
{
	struct ram *ram = ram_new(PAGE_SIZE);
	u8 out[8];

	space_add_ram(&bus, "ram", 0, PAGE_SIZE, ram, 0, false);
	space_add_device(&bus, "device", PAGE_SIZE, 2, &spy_byte, NULL);
	space_write_block(&bus, PAGE_SIZE - 2, "abcdefgh", 8);
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_uint_eq(seen[1].value, 'd');
	seen_count = 0;
	space_read_block(&bus, PAGE_SIZE - 2, out, 8);
	ck_assert_mem_eq(out, "ab\x11\x22\xff\xff\xff\xff", 8);
	ck_assert_uint_eq(seen_count, 2);
	seen_count = 0;
	space_poke(&bus, PAGE_SIZE - 2, "ABCDEFGH", 8);
	space_peek(&bus, PAGE_SIZE - 2, out, 8);
	ck_assert_mem_eq(out, "AB\xff\xff\xff\xff\xff\xff", 8);
	ck_assert_uint_eq(seen_count, 0);
	ram_free(ram);
}
END_TEST

static unsigned changes;

static void changed(void *owner)
{
	(void)owner;
	changes++;
}

START_TEST(changes_are_told)
{
	int number;

	changes = 0;
	bus.changed = changed;
	number = space_add_device(&bus, "device", 0, 1, &spy_byte, NULL);
	space_set_mask(&bus, 0xffff);
	space_set_mask(&bus, 0xffff);
	space_remove(&bus, number);
	space_remove(&bus, number);
	ck_assert_uint_eq(changes, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("space");
	TCase *all = tcase_create("space");

	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_test(all, nothing_there);
	tcase_add_test(all, ram_is_lazy_and_zero);
	tcase_add_test(all, flags_are_found);
	tcase_add_test(all, later_lies_over_earlier);
	tcase_add_test(all, ranks);
	tcase_add_test(all, bad_ranges);
	tcase_add_test(all, access_over_an_edge);
	tcase_add_test(all, wide_is_cut);
	tcase_add_test(all, unaligned_is_cut);
	tcase_add_test(all, narrow_is_widened);
	tcase_add_test(all, rom_keeps);
	tcase_add_test(all, rom_page_flag);
	tcase_add_test(all, a20);
	tcase_add_test(all, ram_is_found_again);
	tcase_add_test(all, ports_wrap);
	tcase_add_test(all, code_is_told);
	tcase_add_test(all, blocks_and_peeks);
	tcase_add_test(all, changes_are_told);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
