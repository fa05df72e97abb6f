/* SPDX-License-Identifier: MIT */
/* The MC146818 against its data sheet; dates against the host's C library. */
#include <time.h>
#include "io/timer/rtc.h"
#include "device.h"

enum { IRQ8, NMI_MASK };
#define SECOND 1000000000u

static struct rtc *rtc;
static const u64 start = 946684800 + 12345; /* 2000-01-01 03:25:45 UTC */

static void *make(void)
{
	return rtc_new(&bus, &test_clock, wire(IRQ8), wire(NMI_MASK), start, 6 * GiB, 3 * GiB);
}

static void setup(void)
{
	fresh();
	rtc = make();
}

static void teardown(void)
{
	rtc_free(rtc);
}

static u8 get(u8 index)
{
	out8(0x70, index);
	return in8(0x71);
}

static void put(u8 index, u8 value)
{
	out8(0x70, index);
	out8(0x71, value);
}

static unsigned bcd(u8 v)
{
	return (v >> 4) * 10 + (v & 15);
}

static void shows(u64 t)
{
	time_t host = (time_t)t;
	struct tm tm;

	tm = *gmtime(&host);
	ck_assert_uint_eq(bcd(get(0)), tm.tm_sec);
	ck_assert_uint_eq(bcd(get(2)), tm.tm_min);
	ck_assert_uint_eq(bcd(get(4)), tm.tm_hour);
	ck_assert_uint_eq(get(6), tm.tm_wday + 1);
	ck_assert_uint_eq(bcd(get(7)), tm.tm_mday);
	ck_assert_uint_eq(bcd(get(8)), tm.tm_mon + 1);
	ck_assert_uint_eq(bcd(get(9)), tm.tm_year % 100);
	ck_assert_uint_eq(bcd(get(0x32)), 19 + tm.tm_year / 100);
}

/* Set the clock as a program does: stop updates, write, start. */
static void set_time(u64 t)
{
	time_t host = (time_t)t;
	struct tm tm;
	u8 b = get(0x0b);

#define TO_BCD(n) (u8)((n) / 10 << 4 | (n) % 10)
	tm = *gmtime(&host);
	put(0x0b, b | 0x80);
	put(0, TO_BCD(tm.tm_sec));
	put(2, TO_BCD(tm.tm_min));
	put(4, TO_BCD(tm.tm_hour));
	put(7, TO_BCD(tm.tm_mday));
	put(8, TO_BCD(tm.tm_mon + 1));
	put(9, TO_BCD(tm.tm_year % 100));
	put(0x32, TO_BCD(19 + tm.tm_year / 100));
	put(0x0b, b);
}

START_TEST(time_passes)
{
	shows(start);
	pass(SECOND - 1);
	shows(start);
	pass(1);
	shows(start + 1);
	pass((u64)86400 * 400 * SECOND);
	shows(start + 1 + 86400 * 400);
}
END_TEST

START_TEST(calendar)
{
	u64 seed = 1;

	for (unsigned i = 0; i < 3000; i++) {
		u64 t = test_random(&seed) % ((u64)230 * 365 * 86400); /* to 2199 */

		set_time(t);
		shows(t);
	}
	set_time(951782399); /* 2000-02-28 23:59:59: a leap year */
	pass(SECOND);
	shows(951782400);
	ck_assert_uint_eq(get(7), 0x29);
	set_time(4107542399); /* 2100-02-28 23:59:59: none */
	pass(SECOND);
	ck_assert_uint_eq(get(7), 0x01);
	ck_assert_uint_eq(get(8), 0x03);
}
END_TEST

START_TEST(binary_and_12_hours)
{
	set_time(946684800 + 15 * 3600 + 59 * 60 + 58); /* 15:59:58 */
	put(0x0b, 0x06);
	ck_assert_uint_eq(get(4), 15);
	ck_assert_uint_eq(get(2), 59);
	put(0x0b, 0x04);
	ck_assert_uint_eq(get(4), 0x83);
	put(0x0b, 0x00);
	ck_assert_uint_eq(get(4), 0x83);
	set_time(946684800);
	ck_assert_uint_eq(get(4), 0x12); /* the data sheet: midnight is 12 AM */
	put(0x0b, 0x80);
	put(4, 0x92); /* noon is 12 PM */
	put(0x0b, 0x00);
	put(0x0b, 0x02);
	ck_assert_uint_eq(get(4), 0x12);
}
END_TEST

START_TEST(update_in_progress)
{
	ck_assert_uint_eq(get(0x0a), 0x26);
	pass(SECOND - 2228001);
	ck_assert_uint_eq(get(0x0a), 0x26);
	pass(1);
	ck_assert_uint_eq(get(0x0a), 0xa6);
	pass(2227999);
	ck_assert_uint_eq(get(0x0a), 0xa6);
	pass(1);
	ck_assert_uint_eq(get(0x0a), 0x26);
	put(0x0a, 0xff); /* UIP cannot be written */
	ck_assert_uint_eq(get(0x0a), 0x7f);
}
END_TEST

START_TEST(set_stops_updates)
{
	put(0x0b, 0x92); /* SET, and with it UIE is cleared */
	ck_assert_uint_eq(get(0x0b), 0x82);
	pass((u64)10 * SECOND + SECOND / 2);
	shows(start);
	ck_assert_uint_eq(get(0x0c), 0x40); /* no update ended; the periodic flag goes on */
	put(0x0b, 0x02);
	pass(SECOND / 2 - 1);
	shows(start);
	pass(1); /* the divider kept its phase */
	shows(start + 1);
}
END_TEST

START_TEST(divider_reset)
{
	pass(300000000);
	put(0x0a, 0x76);
	pass((u64)5 * SECOND);
	shows(start);
	put(0x0a, 0x26);
	pass(499999999);
	shows(start);
	pass(1); /* the first update comes half a second later */
	shows(start + 1);
}
END_TEST

START_TEST(update_interrupt)
{
	get(0x0c);
	put(0x0b, 0x12);
	pass(SECOND - 1);
	ck_assert(!wires[IRQ8].level);
	pass(1);
	ck_assert(wires[IRQ8].level);
	ck_assert_uint_eq(get(0x0c) & 0x90, 0x90);
	ck_assert(!wires[IRQ8].level);
	ck_assert_uint_eq(get(0x0c), 0);
	for (unsigned i = 2; i < 10; i++) {
		pass(SECOND);
		ck_assert_uint_eq(wires[IRQ8].rises, i);
		ck_assert_uint_eq(wires[IRQ8].rose_at, (u64)i * SECOND);
		get(0x0c);
	}
	pass((u64)5 * SECOND); /* unread: it stays up and no more events come */
	ck_assert_uint_eq(wires[IRQ8].rises, 10);
	ck_assert_uint_eq(clock_next(&test_clock), CLOCK_NEVER);
}
END_TEST

/* Data sheet table: RS 1 to 15 with a 32768 Hz crystal. */
START_TEST(periodic_rates)
{
	static const unsigned hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };

	for (u8 rs = 0; rs < 16; rs++) {
		unsigned count = 0;
		u64 end = test_clock.now + SECOND;

		put(0x0b, 0x02);
		put(0x0a, 0x20 | rs);
		get(0x0c);
		put(0x0b, 0x42);
		while (clock_next(&test_clock) <= end) {
			pass_until(clock_next(&test_clock));
			ck_assert(wires[IRQ8].level);
			ck_assert_uint_eq(get(0x0c) & 0xc0, 0xc0);
			count++;
		}
		pass_until(end);
		ck_assert_uint_eq(count, hz[rs]);
	}
}
END_TEST

START_TEST(alarm_at_a_time)
{
	put(1, 0x30);
	put(3, 0x26);
	put(5, 0x03);
	get(0x0c);
	put(0x0b, 0x22);
	pass_until((u64)(1 * 60 - 15) * SECOND - 1); /* 03:25:45 to 03:26:30 */
	ck_assert(!wires[IRQ8].level);
	pass(1);
	ck_assert(wires[IRQ8].level);
	ck_assert_uint_eq(get(0x0c) & 0xa0, 0xa0);
	pass((u64)86400 * SECOND - 1);
	ck_assert(!wires[IRQ8].level);
	pass(1);
	ck_assert(wires[IRQ8].level);
}
END_TEST

START_TEST(alarm_dont_care)
{
	put(1, 0x10);
	put(3, 0xff);
	put(5, 0xc0);
	put(0x0b, 0x22);
	for (unsigned i = 1; i < 70; i++) {
		get(0x0c);
		pass((u64)60 * SECOND);
		ck_assert_uint_eq(wires[IRQ8].rises, i);
	}
	get(0x0c);
	put(5, 0x99); /* no such hour */
	pass((u64)3 * 86400 * SECOND);
	ck_assert_uint_eq(wires[IRQ8].rises, 69);
}
END_TEST

START_TEST(flags_without_interrupts)
{
	put(1, 0xff);
	put(3, 0xff);
	put(5, 0xff);
	get(0x0c);
	pass((u64)2 * SECOND);
	ck_assert_uint_eq(get(0x0c), 0x70);
	ck_assert_uint_eq(wires[IRQ8].rises, 0);
	pass((u64)2 * SECOND);
	put(0x0b, 0x12); /* enabled with the flag up: at once */
	ck_assert(wires[IRQ8].level);
}
END_TEST

START_TEST(cmos)
{
	unsigned sum = 0;

	ck_assert_uint_eq(get(0x0d), 0x80);
	put(0x0d, 0);
	ck_assert_uint_eq(get(0x0d), 0x80);
	put(0x7f, 0x5a);
	ck_assert_uint_eq(get(0x7f), 0x5a);
	ck_assert_uint_eq(get(0xff), 0x5a); /* bit 7 of the index masks NMI */
	ck_assert(wires[NMI_MASK].level);
	get(0x00);
	ck_assert(!wires[NMI_MASK].level);
	ck_assert_uint_eq(get(0x15) | get(0x16) << 8, 640);
	ck_assert_uint_eq(get(0x17) | get(0x18) << 8, 0xffff);
	ck_assert_uint_eq(get(0x30) | get(0x31) << 8, 0xffff);
	ck_assert_uint_eq(get(0x34) | get(0x35) << 8, (3 * GiB - 16 * MiB) / (64 * KiB));
	ck_assert_uint_eq(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 3 * GiB / (64 * KiB));
	for (u8 i = 0x10; i < 0x2e; i++)
		sum += get(i);
	ck_assert_uint_eq(get(0x2e) << 8 | get(0x2f), sum & 0xffff);
}
END_TEST

START_TEST(small_memory)
{
	struct rtc *small;

	fresh();
	small = rtc_new(&bus, &test_clock, wire(0), wire(1), 0, 8 * MiB, 3 * GiB);
	ck_assert_uint_eq(get(0x30) | get(0x31) << 8, 7 * 1024);
	ck_assert_uint_eq(get(0x34) | get(0x35) << 8, 0);
	shows(0);
	rtc_free(small);
}
END_TEST

static struct part part_of(void *p) { return rtc_part(p); }
static void refresh(void *p) { rtc_refresh(p); }
static void destroy(void *p) { rtc_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x70, 2 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 2);
}
END_TEST

static void begin(void) { rtc = make(); }
static unsigned parts(struct part *out) { return out[0] = rtc_part(rtc), 1; }
static void refresh_all(void) { rtc_refresh(rtc); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, time_passes);
	tcase_add_test(tc, binary_and_12_hours);
	tcase_add_test(tc, update_in_progress);
	tcase_add_test(tc, set_stops_updates);
	tcase_add_test(tc, divider_reset);
	tcase_add_test(tc, update_interrupt);
	tcase_add_test(tc, periodic_rates);
	tcase_add_test(tc, alarm_at_a_time);
	tcase_add_test(tc, alarm_dont_care);
	tcase_add_test(tc, flags_without_interrupts);
	tcase_add_test(tc, cmos);
}

int main(void)
{
	Suite *suite = suite_create("rtc");
	TCase *all = tcase_create("rtc"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	tcase_add_test(all, calendar);
	tcase_add_test(all, small_memory);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
