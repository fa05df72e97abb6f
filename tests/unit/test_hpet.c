/* SPDX-License-Identifier: MIT */
/* The HPET against the IA-PC HPET specification 1.0a. */
#include "io/timer/hpet.h"
#include "device.h"

/* Wires 0 to 31 are the I/O APIC's pins. */
enum { IRQ0 = 32, IRQ8, LEGACY };
#define TIMER(n) (HPET_BASE + 0x100 + 0x20 * (n))
#define PIN(n) ((u64)(n) << 9)
#define TICK 10u /* ns */

static struct hpet *hpet;

static void *make(void)
{
	return hpet_new(&bus, &test_clock, wire(0), wire(IRQ0), wire(IRQ8), wire(LEGACY));
}

static void setup(void)
{
	fresh();
	hpet = make();
}

static void teardown(void)
{
	hpet_free(hpet);
}

static u64 get(u64 addr) { return bus_read(addr, 8); }
static void put(u64 addr, u64 value) { bus_write(addr, 8, value); }

START_TEST(capabilities)
{
	u64 id = get(HPET_BASE);

	ck_assert_uint_eq(id >> 32, 10000000); /* femtoseconds: 100 MHz */
	ck_assert_uint_le(id >> 32, 0x05f5e100); /* the specification's limit */
	ck_assert_uint_eq(id >> 16 & 0xffff, 0x8086);
	ck_assert_uint_eq(id >> 13 & 1, 1); /* 64 bits */
	ck_assert_uint_eq(id >> 15 & 1, 1); /* legacy replacement */
	ck_assert_uint_eq(id >> 8 & 31, 2); /* number of the last timer */
	ck_assert_uint_ne(id & 0xff, 0);
	put(HPET_BASE, 0);
	ck_assert_uint_eq(get(HPET_BASE), id);
	ck_assert_uint_eq(in32(HPET_BASE), (u32)id);
	ck_assert_uint_eq(in32(HPET_BASE + 4), id >> 32);
	for (unsigned n = 0; n < 3; n++)
		ck_assert_uint_eq(get(TIMER(n)) & 0x30, 0x30); /* periodic, 64 bits */
}
END_TEST

START_TEST(counter)
{
	pass(1000);
	ck_assert_uint_eq(get(HPET_BASE + 0xf0), 0);
	put(HPET_BASE + 0xf0, 0xfffffffe);
	put(HPET_BASE + 0x10, 1);
	pass(9);
	ck_assert_uint_eq(get(HPET_BASE + 0xf0), 0xfffffffe);
	pass(1);
	ck_assert_uint_eq(get(HPET_BASE + 0xf0), 0xffffffff);
	pass(10);
	ck_assert_uint_eq(get(HPET_BASE + 0xf0), 0x100000000);
	ck_assert_uint_eq(in32(HPET_BASE + 0xf4), 1);
	put(HPET_BASE + 0x10, 0);
	pass(1000);
	ck_assert_uint_eq(get(HPET_BASE + 0xf0), 0x100000000);
	put(HPET_BASE + 0x10, 1);
	pass((u64)3600 * 1000000000);
	ck_assert_uint_eq(get(HPET_BASE + 0xf0), 0x100000000 + (u64)3600 * HPET_HZ);
}
END_TEST

START_TEST(one_shot)
{
	put(HPET_BASE + 0x10, 1);
	put(TIMER(2), PIN(20) | 4);
	put(TIMER(2) + 8, 1000);
	pass(1000 * TICK - 1);
	ck_assert(!wires[20].level);
	pass(1);
	ck_assert_uint_eq(wires[20].rises, 1);
	ck_assert_uint_eq(get(HPET_BASE + 0x20), 0); /* status is for levels only */
	pass((u64)100 * 1000000000);
	ck_assert_uint_eq(wires[20].rises, 1);
	put(TIMER(2) + 8, get(HPET_BASE + 0xf0) + 500);
	pass(500 * TICK);
	ck_assert_uint_eq(wires[20].rises, 2);
}
END_TEST

START_TEST(one_shot_32_bits_wraps)
{
	put(HPET_BASE + 0xf0, 0xfffffff0);
	put(TIMER(1), PIN(16) | 4 | 0x100);
	put(TIMER(1) + 8, 0x10);
	put(HPET_BASE + 0x10, 1);
	pass(0x20 * TICK);
	ck_assert_uint_eq(wires[16].rises, 1);
	pass(((u64)1 << 32) * TICK);
	ck_assert_uint_eq(wires[16].rises, 2);
}
END_TEST

START_TEST(disabled_timer_is_silent)
{
	put(HPET_BASE + 0x10, 1);
	put(TIMER(0), PIN(16));
	put(TIMER(0) + 8, 100);
	pass(10000);
	ck_assert_uint_eq(wires[16].rises, 0);
	put(TIMER(0), PIN(16) | 4);
	put(HPET_BASE + 0x10, 0); /* the whole block off */
	put(TIMER(0) + 8, 2000);
	pass(100000);
	ck_assert_uint_eq(wires[16].rises, 0);
}
END_TEST

START_TEST(level)
{
	put(HPET_BASE + 0x10, 1);
	put(TIMER(1), PIN(17) | 4 | 2);
	put(TIMER(1) + 8, 100);
	pass(100 * TICK);
	ck_assert(wires[17].level);
	ck_assert_uint_eq(get(HPET_BASE + 0x20), 2);
	put(HPET_BASE + 0x20, 1);
	ck_assert(wires[17].level);
	put(HPET_BASE + 0x20, 2);
	ck_assert(!wires[17].level);
	ck_assert_uint_eq(get(HPET_BASE + 0x20), 0);
}
END_TEST

/* Specification 2.3.9.2.2: with the counter stopped, write the first comparator with the set bit, then the period. */
START_TEST(periodic)
{
	put(HPET_BASE + 0xf0, 0);
	put(TIMER(0), PIN(18) | 4 | 8 | 0x40);
	put(TIMER(0) + 8, 100);
	put(TIMER(0) + 8, 40);
	ck_assert_uint_eq(get(TIMER(0)) & 0x40, 0);
	ck_assert_uint_eq(get(TIMER(0) + 8), 100);
	put(HPET_BASE + 0x10, 1);
	pass(100 * TICK);
	ck_assert_uint_eq(wires[18].rises, 1);
	ck_assert_uint_eq(get(TIMER(0) + 8), 140);
	for (unsigned n = 2; n < 100; n++) {
		pass(40 * TICK);
		ck_assert_uint_eq(wires[18].rises, n);
		ck_assert_uint_eq(wires[18].rose_at, (100 + 40 * (n - 1)) * TICK);
	}
}
END_TEST

START_TEST(periodic_32_bits)
{
	put(HPET_BASE + 0xf0, 0xffffff00);
	put(TIMER(0), PIN(18) | 4 | 8 | 0x40 | 0x100);
	out32(TIMER(0) + 8, 0x100);
	put(HPET_BASE + 0x10, 1);
	pass(0x200 * TICK);
	ck_assert_uint_eq(wires[18].rises, 1);
	pass(0x1000 * TICK);
	ck_assert_uint_eq(wires[18].rises, 17);
	put(TIMER(0), PIN(18) | 4 | 8 | 0x40);
	put(TIMER(0) + 8, 0); /* no period at all: must not hang */
	pass(10000);
}
END_TEST

START_TEST(late_periods_are_skipped)
{
	put(TIMER(0), PIN(18) | 4 | 8 | 0x40);
	put(TIMER(0) + 8, 10);
	put(HPET_BASE + 0x10, 1);
	test_clock.now = 10000 * TICK + 5 * TICK;
	clock_fire(&test_clock);
	ck_assert_uint_eq(wires[18].rises, 1);
	ck_assert_uint_eq(get(TIMER(0) + 8), 10010);
}
END_TEST

START_TEST(legacy_replacement)
{
	put(TIMER(0), PIN(18) | 4);
	put(TIMER(1), PIN(18) | 4);
	put(TIMER(0) + 8, 100);
	put(TIMER(1) + 8, 200);
	put(HPET_BASE + 0x10, 3);
	ck_assert(wires[LEGACY].level);
	pass(150 * TICK);
	ck_assert_uint_eq(wires[IRQ0].rises, 1);
	ck_assert_uint_eq(wires[IRQ8].rises, 0);
	pass(100 * TICK);
	ck_assert_uint_eq(wires[IRQ8].rises, 1);
	ck_assert_uint_eq(wires[18].rises, 0);
	put(HPET_BASE + 0x10, 1);
	ck_assert(!wires[LEGACY].level);
	ck_assert(!wires[IRQ0].level);
}
END_TEST

START_TEST(exact_now)
{
	put(HPET_BASE + 0x10, 1);
	pass(1000 * TICK);
	put(TIMER(2), PIN(20) | 4);
	put(TIMER(2) + 8, 1000); /* equal at this very tick */
	pass(1);
	ck_assert_uint_eq(wires[20].rises, 1);
	put(TIMER(2) + 8, 999); /* just missed: a whole wrap away */
	pass((u64)100 * 1000000000);
	ck_assert_uint_eq(wires[20].rises, 1);
}
END_TEST

static struct part part_of(void *p) { return hpet_part(p); }
static void refresh(void *p) { hpet_refresh(p); }
static void destroy(void *p) { hpet_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { HPET_BASE, 0x400 }, { HPET_BASE, 0x160 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 4);
}
END_TEST

static void begin(void) { hpet = make(); }
static unsigned parts(struct part *out) { return out[0] = hpet_part(hpet), 1; }
static void refresh_all(void) { hpet_refresh(hpet); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, capabilities);
	tcase_add_test(tc, counter);
	tcase_add_test(tc, one_shot);
	tcase_add_test(tc, one_shot_32_bits_wraps);
	tcase_add_test(tc, disabled_timer_is_silent);
	tcase_add_test(tc, level);
	tcase_add_test(tc, periodic);
	tcase_add_test(tc, periodic_32_bits);
	tcase_add_test(tc, late_periods_are_skipped);
	tcase_add_test(tc, legacy_replacement);
	tcase_add_test(tc, exact_now);
}

int main(void)
{
	Suite *suite = suite_create("hpet");
	TCase *all = tcase_create("hpet"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
