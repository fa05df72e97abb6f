/* SPDX-License-Identifier: MIT */
/* The clock: order, ties, lateness, and conversions that never drift. */
#include "device.h"

static struct event events[4];
static char fired[64];
static u64 lateness;

static void fire(void *owner, u64 late)
{
	strcat(fired, owner);
	lateness = late;
}

static void setup(void)
{
	fresh();
	fired[0] = 0;
	/* made in an order that is not the one of their names */
	clock_add(&test_clock, &events[2], "c", fire, "c");
	clock_add(&test_clock, &events[0], "a", fire, "a");
	clock_add(&test_clock, &events[1], "b", fire, "b");
}

START_TEST(order)
{
	ck_assert_uint_eq(clock_next(&test_clock), CLOCK_NEVER);
	clock_arm(&test_clock, &events[0], 30);
	clock_arm(&test_clock, &events[1], 20);
	clock_arm(&test_clock, &events[2], 10);
	ck_assert_uint_eq(clock_next(&test_clock), 10);
	test_clock.now = 9;
	clock_fire(&test_clock);
	ck_assert_str_eq(fired, "");
	test_clock.now = 25;
	clock_fire(&test_clock);
	ck_assert_str_eq(fired, "cb");
	ck_assert_uint_eq(lateness, 5);
	ck_assert_uint_eq(clock_next(&test_clock), 30);
	ck_assert_uint_eq(events[1].when, CLOCK_NEVER);
}
END_TEST

START_TEST(ties_go_by_name)
{
	clock_arm(&test_clock, &events[2], 10);
	clock_arm(&test_clock, &events[0], 10);
	clock_arm(&test_clock, &events[1], 10);
	test_clock.now = 10;
	clock_fire(&test_clock);
	ck_assert_str_eq(fired, "abc");
}
END_TEST

START_TEST(moved_is_told)
{
	u32 moved = 0;

	test_clock.attention = &moved;
	clock_arm(&test_clock, &events[0], 10);
	ck_assert_uint_eq(moved, CLOCK_MOVED);
	moved = 0;
	clock_arm(&test_clock, &events[0], 10);
	ck_assert_uint_eq(moved, 0);
	clock_arm(&test_clock, &events[0], CLOCK_NEVER);
	ck_assert_uint_eq(moved, CLOCK_MOVED);
	ck_assert_uint_eq(clock_next(&test_clock), CLOCK_NEVER);
}
END_TEST

/* The same seed, the same delays; another, others; never early, never beyond the bound. */
START_TEST(jitter_is_a_function_of_the_seed)
{
	u64 when[2][2];

	for (int i = 0; i < 2; i++) {
		test_clock.seed = 7 + (u64)i;
		for (int k = 0; k < 2; k++) {
			clock_arm(&test_clock, &events[0], CLOCK_NEVER);
			clock_arm(&test_clock, &events[0], 5000);
			when[i][k] = clock_next(&test_clock);
			ck_assert_uint_ge(when[i][k], 5000);
			ck_assert_uint_lt(when[i][k], 5000 + CLOCK_JITTER);
		}
		ck_assert_uint_eq(when[i][0], when[i][1]);
	}
	ck_assert_uint_ne(when[0][0], when[1][0]);
	test_clock.seed = 0;
}
END_TEST

static void again(void *owner, u64 late)
{
	struct event *event = owner;

	strcat(fired, "r");
	if (strlen(fired) < 3)
		clock_arm(&test_clock, event, test_clock.now - late + 10);
}

START_TEST(arms_itself)
{
	clock_add(&test_clock, &events[3], "r", again, &events[3]);
	clock_arm(&test_clock, &events[3], 10);
	test_clock.now = 100;
	clock_fire(&test_clock);
	ck_assert_str_eq(fired, "rrr");
}
END_TEST

START_TEST(never_never_comes)
{
	test_clock.now = CLOCK_NEVER;
	clock_fire(&test_clock);
	ck_assert_str_eq(fired, "");
	ck_assert_uint_eq(clock_in(&test_clock, 1), CLOCK_NEVER);
	test_clock.now = CLOCK_NEVER - 10;
	ck_assert_uint_eq(clock_in(&test_clock, 9), CLOCK_NEVER - 1);
	ck_assert_uint_eq(clock_in(&test_clock, 10), CLOCK_NEVER);
}
END_TEST

START_TEST(sorted_after_a_load)
{
	clock_arm(&test_clock, &events[0], 10);
	clock_arm(&test_clock, &events[1], 20);
	events[0].when = 40;
	events[2].when = 30;
	clock_sort(&test_clock);
	test_clock.now = 50;
	clock_fire(&test_clock);
	ck_assert_str_eq(fired, "bca");
}
END_TEST

/* The n-th tick's instant is the first at which the counter shows n: for the PIT's, the ACPI timer's and the RTC's
 * frequencies. */
START_TEST(conversions_are_exact)
{
	static const u64 hz[] = { 1193182, 3579545, 32768, 100000000, 1000000000, 1843200 };

	for (unsigned i = 0; i < ARRAY_LEN(hz); i++) {
		ck_assert_uint_eq(clock_ticks(1000000000u, hz[i]), hz[i]);
		ck_assert_uint_eq(clock_ticks((u64)86400 * 365 * 1000000000u, hz[i]), 86400 * 365 * hz[i]);
		for (u64 n = 1; n < (u64)1 << 40; n = n * 3 + 1) {
			u64 ns = clock_ns(n, hz[i]);

			ck_assert_uint_eq(clock_ticks(ns, hz[i]), n);
			ck_assert_uint_eq(clock_ticks(ns - 1, hz[i]), n - 1);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *all = tcase_create("clock");

	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_test(all, order);
	tcase_add_test(all, ties_go_by_name);
	tcase_add_test(all, moved_is_told);
	tcase_add_test(all, jitter_is_a_function_of_the_seed);
	tcase_add_test(all, arms_itself);
	tcase_add_test(all, never_never_comes);
	tcase_add_test(all, sorted_after_a_load);
	tcase_add_test(all, conversions_are_exact);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
