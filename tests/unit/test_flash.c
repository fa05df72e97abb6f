/* SPDX-License-Identifier: MIT */
/* The flash chip: Intel's command set as its data sheets (28F640J3) and JESD68 have it, and the way in which OVMF finds
 * out that it is one. */
#include "io/firmware/flash.h"
#include "device.h"

#define BASE 0xffc00000u
#define SIZE (64 * KiB)

static struct ram *ram;
static struct flash *flash;
static u64 changed_at, changed_len;
static unsigned changes;

static void changed(void *owner, u64 offset, u64 len)
{
	(void)owner;
	changed_at = offset;
	changed_len = len;
	changes++;
}

static void *make(void)
{
	ram_free(ram);
	ram = ram_new(SIZE);
	memset(ram->host, 0x5a, SIZE);
	changes = 0;
	return flash = flash_new(&bus, BASE, ram, changed, NULL, NULL);
}

static void setup(void)
{
	fresh();
	make();
}

static void teardown(void)
{
	flash_free(flash);
}

START_TEST(program)
{
	out8(BASE + 0x1000, 0x40);
	ck_assert_uint_eq(in8(BASE), 0);
	out8(BASE + 0x1000, 0xf0);
	ck_assert_uint_eq(in8(BASE), 0x80);
	out8(BASE + 0x1001, 0x10);
	out8(BASE + 0x1001, 0xff); /* a 0 stays one */
	out8(BASE, 0xff);
	ck_assert_uint_eq(in32(BASE + 0x1000), 0x5a5a5a50);
	ck_assert_uint_eq(changes, 2);
	ck_assert_uint_eq(changed_at, 0x1001);
	ck_assert_uint_eq(changed_len, 1);
	out32(BASE, 0xffffffff); /* commands are no contents */
	ck_assert_uint_eq(in32(BASE), 0x5a5a5a5a);
}
END_TEST

START_TEST(erase)
{
	out8(BASE + 0x2345, 0x20);
	out8(BASE + 0x2345, 0xd0);
	ck_assert_uint_eq(in8(BASE), 0x80);
	out8(BASE, 0xff);
	ck_assert_uint_eq(in8(BASE + 0x1fff), 0x5a);
	ck_assert_uint_eq(in8(BASE + 0x2000), 0xff);
	ck_assert_uint_eq(in8(BASE + 0x2fff), 0xff);
	ck_assert_uint_eq(in8(BASE + 0x3000), 0x5a);
	ck_assert_uint_eq(changed_at, 0x2000);
	ck_assert_uint_eq(changed_len, 0x1000);
	out8(BASE, 0x20);
	out8(BASE, 0x00); /* not confirmed: a sequence error, nothing else */
	ck_assert_uint_eq(in8(BASE), 0xb0);
	out8(BASE, 0x50);
	ck_assert_uint_eq(in8(BASE), 0x5a);
	ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(identity)
{
	out8(BASE, 0x90);
	ck_assert_uint_eq(in8(BASE), 0x89);
	out8(BASE, 0x98);
	ck_assert_uint_eq(in8(BASE + 0x10), 'Q');
	ck_assert_uint_eq(in8(BASE + 0x11), 'R');
	ck_assert_uint_eq(in8(BASE + 0x12), 'Y');
	ck_assert_uint_eq(in8(BASE + 0x13), 1);
	ck_assert_uint_eq(1u << in8(BASE + 0x27), SIZE);
	ck_assert_uint_eq((in16(BASE + 0x2d) + 1) * in16(BASE + 0x2f) * 256, SIZE);
	ck_assert_uint_eq(in8(BASE + SIZE - 1), 0);
}
END_TEST

/* Writes 50h, 70h, programs a byte with itself: neither RAM nor ROM answers so. */
START_TEST(detection)
{
	u8 original = in8(BASE);

	out8(BASE, 0x50);
	ck_assert_uint_eq(in8(BASE), original);
	out8(BASE, 0x70);
	ck_assert_uint_eq(in8(BASE), 0);
	out8(BASE, 0x10);
	out8(BASE, original);
	out8(BASE, 0x70);
	ck_assert_uint_eq(in8(BASE) & 0x10, 0);
	out8(BASE, 0xff);
	ck_assert_uint_eq(in8(BASE), original);
}
END_TEST

static struct part part_of(void *p) { return flash_part(p); }
static void refresh(void *p) { flash_refresh(p); }
static void destroy(void *p) { flash_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { BASE, SIZE } };

	round_trips(make, destroy, part_of, refresh, ranges, 1, 4);
}
END_TEST

static void begin(void) { flash = flash_new(&bus, BASE, ram, changed, NULL, NULL); }
static unsigned parts(struct part *out) { return out[0] = flash_part(flash), 1; }
static void refresh_all(void) { flash_refresh(flash); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, program);
	tcase_add_test(tc, erase);
	tcase_add_test(tc, identity);
	tcase_add_test(tc, detection);
}

int main(void)
{
	Suite *suite = suite_create("flash");
	TCase *chip = tcase_create("chip"), *bare = tcase_create("state");

	tcase_add_checked_fixture(chip, setup, teardown);
	add_tests(chip);
	suite_add_tcase(suite, chip);
	tcase_add_checked_fixture(bare, fresh, NULL);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
