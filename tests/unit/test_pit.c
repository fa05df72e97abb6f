/* SPDX-License-Identifier: MIT */
/* The 8254 against its data sheet: the six modes tick by tick, reading, latching, BCD, and a year without drift. */
#include "io/timer/pit.h"
#include "device.h"

enum { IRQ0 };

static struct pit *pit;

static void *make(void)
{
	return pit_new(&bus, &test_clock, wire(IRQ0));
}

static void setup(void)
{
	fresh();
	pit = make();
}

static void teardown(void)
{
	pit_free(pit);
}

static u64 tick(void)
{
	return clock_ticks(test_clock.now, PIT_HZ);
}

/* Go to the first instant of tick T. */
static void at(u64 t)
{
	pass_until(clock_ns(t, PIT_HZ));
	ck_assert_uint_eq(tick(), t);
}

static void program(unsigned i, unsigned mode, u16 count)
{
	out8(0x43, (u8)(i << 6 | 3 << 4 | mode << 1));
	out8(0x40 + i, (u8)count);
	out8(0x40 + i, count >> 8);
}

static u16 count_of(unsigned i)
{
	u16 v;

	out8(0x43, (u8)(i << 6));
	v = in8(0x40 + i);
	return v | (u16)(in8(0x40 + i) << 8);
}

static u8 status_of(unsigned i)
{
	out8(0x43, (u8)(0xe0 | 2 << i));
	return in8(0x40 + i);
}

static bool out2(void)
{
	return in8(0x61) & 0x20;
}

/* Counter 2, whose gate and output can be seen: expected OUT from the tick after the count was written, as a string of
 * 0 and 1. */
static void expect(const char *wave)
{
	u64 t = tick();

	for (unsigned i = 0; wave[i]; i++) {
		at(t + 1 + i);
		ck_assert_msg(out2() == (wave[i] == '1'), "tick %u of %s", i, wave);
	}
}

START_TEST(mode0)
{
	out8(0x61, 1);
	at(10);
	out8(0x43, 0xb0);
	ck_assert(!out2());
	out8(0x42, 4);
	out8(0x42, 0);
	expect("000011111");
}
END_TEST

START_TEST(mode0_rewritten)
{
	out8(0x61, 1);
	program(2, 0, 4);
	expect("00001");
	out8(0x42, 2); /* the first byte takes OUT low and stops the counting */
	ck_assert(!out2());
	expect("000000");
	out8(0x42, 0);
	expect("0011");
}
END_TEST

START_TEST(mode0_gate)
{
	out8(0x61, 1);
	program(2, 0, 5);
	expect("000");
	out8(0x61, 0);
	expect("0000000000");
	ck_assert_uint_eq(count_of(2), 3);
	out8(0x61, 1);
	expect("001");
}
END_TEST

START_TEST(mode1)
{
	program(2, 1, 3);
	ck_assert(out2());
	expect("1111");
	out8(0x61, 1);
	expect("000111");
	out8(0x61, 0);
	out8(0x61, 1);
	expect("00");
	out8(0x61, 0);
	out8(0x61, 1); /* retriggered: three more */
	expect("000111");
}
END_TEST

START_TEST(mode1_new_count)
{
	out8(0x61, 0);
	program(2, 1, 3);
	out8(0x61, 1);
	expect("0");
	out8(0x42, 5); /* for the next trigger */
	out8(0x42, 0);
	expect("0011");
	out8(0x61, 0);
	out8(0x61, 1);
	expect("0000011");
}
END_TEST

START_TEST(mode2)
{
	out8(0x61, 1);
	program(2, 2, 4);
	expect("1110111011101");
}
END_TEST

START_TEST(mode2_gate_and_new_count)
{
	out8(0x61, 1);
	program(2, 2, 4);
	expect("1110");
	out8(0x61, 0); /* takes OUT high at once */
	ck_assert(out2());
	expect("11111");
	out8(0x61, 1);
	expect("11101");
	out8(0x42, 3); /* after this period */
	out8(0x42, 0);
	expect("110110110");
}
END_TEST

START_TEST(mode3_even)
{
	out8(0x61, 1);
	program(2, 3, 4);
	expect("11001100");
	expect("1");
	ck_assert_uint_eq(count_of(2), 4);
	expect("1");
	ck_assert_uint_eq(count_of(2), 2);
	expect("0");
	ck_assert_uint_eq(count_of(2), 4);
}
END_TEST

START_TEST(mode3_odd)
{
	static const u16 counts[] = { 4, 2, 0, 4, 2 };

	out8(0x61, 1);
	program(2, 3, 5);
	expect("1110011100");
	for (unsigned i = 0; i < 10; i++) {
		expect(i % 5 < 3 ? "1" : "0");
		ck_assert_uint_eq(count_of(2), counts[i % 5]);
	}
}
END_TEST

START_TEST(mode3_new_count)
{
	out8(0x61, 1);
	program(2, 3, 8);
	expect("11"); /* in the high half: it ends as it began, then 2 low, 2 high */
	out8(0x42, 4);
	out8(0x42, 0);
	expect("1100110011");
}
END_TEST

START_TEST(mode4)
{
	out8(0x61, 1);
	program(2, 4, 3);
	ck_assert(out2());
	expect("11101111");
	out8(0x42, 1);
	out8(0x42, 0);
	expect("1011");
}
END_TEST

START_TEST(mode5)
{
	program(2, 5, 3);
	expect("11111");
	out8(0x61, 1);
	expect("111011111");
}
END_TEST

START_TEST(counts_down)
{
	program(1, 2, 1000);
	at(1);
	ck_assert_uint_eq(count_of(1), 1000);
	at(2);
	ck_assert_uint_eq(count_of(1), 999);
	at(1000);
	ck_assert_uint_eq(count_of(1), 1);
	at(1001);
	ck_assert_uint_eq(count_of(1), 1000);
	program(0, 0, 2);
	at(1002);
	ck_assert_uint_eq(count_of(0), 2);
	at(1005);
	ck_assert_uint_eq(count_of(0), 0xffff); /* goes on below zero */
}
END_TEST

/* The counting element keeps what it has reached when the first byte of a count (mode 0) or a control word stops it:
 * 82C54, "Mode 0" and "Write Operations". */
START_TEST(stopped)
{
	for (unsigned mode = 0; mode < 6; mode++) {
		u16 reached;

		out8(0x61, mode != 1 && mode != 5);
		program(2, mode, 0x4000);
		out8(0x61, 1); /* the trigger of modes 1 and 5 */
		at(tick() + 101);
		reached = count_of(2);
		ck_assert_uint_eq(reached, mode == 3 ? 0x4000 - 200 : 0x4000 - 100);
		if (!mode) {
			out8(0x42, 0x10);
			at(tick() + 50);
			ck_assert_uint_eq(count_of(2), reached);
			out8(0x61, 0), out8(0x61, 1);
			ck_assert_uint_eq(count_of(2), reached);
			out8(0x42, 0x20);
			at(tick() + 1);
			ck_assert_uint_eq(count_of(2), 0x2010);
			reached = 0x2010;
		}
		out8(0x43, (u8)(0xb1 | mode << 1)); /* BCD: the contents do not change */
		at(tick() + 50);
		ck_assert_uint_eq(count_of(2), reached);
		out8(0x61, 0), out8(0x61, 1);
		ck_assert_uint_eq(count_of(2), reached);
		/* Before the trigger of modes 1 and 5 a new count is not loaded. */
		out8(0x42, 0x34), out8(0x42, 0x12);
		at(tick() + 1);
		ck_assert_uint_eq(count_of(2), mode == 1 || mode == 5 ? reached : 0x1234);
	}
}
END_TEST

/* Status has the mode's three bits as they were written; 6 and 7 count as 2 and 3. */
START_TEST(mode_as_written)
{
	for (unsigned mode = 0; mode < 8; mode++) {
		out8(0x43, (u8)(0xb0 | mode << 1));
		ck_assert_uint_eq(status_of(2), (mode ? 0xf0 : 0x70) | mode << 1);
		out8(0x61, 1);
		program(2, mode, 1000);
		at(tick() + 11);
		ck_assert_uint_eq(status_of(2) & 0x0e, mode << 1);
		if (mode == 6 || mode == 7)
			ck_assert_uint_eq(count_of(2), mode == 6 ? 990 : 980);
	}
}
END_TEST

START_TEST(zero_is_largest)
{
	u64 t = tick();

	program(0, 2, 0);
	ck_assert_uint_eq(wires[IRQ0].rises, 0);
	at(t + 1 + 65536);
	ck_assert_uint_eq(wires[IRQ0].rises, 1);
	at(t + 1 + 65536 + 65535);
	ck_assert_uint_eq(wires[IRQ0].rises, 1);
	at(t + 1 + 2 * 65536);
	ck_assert_uint_eq(wires[IRQ0].rises, 2);
}
END_TEST

START_TEST(bcd)
{
	out8(0x43, 0x75); /* counter 1, both bytes, mode 2, BCD */
	out8(0x41, 0x00);
	out8(0x41, 0x10); /* 1000 */
	at(2);
	ck_assert_uint_eq(count_of(1), 0x0999);
	at(991);
	ck_assert_uint_eq(count_of(1), 0x0010);
	at(992);
	ck_assert_uint_eq(count_of(1), 0x0009);
	out8(0x43, 0x71); /* mode 0: 0 is 10000 */
	out8(0x41, 0);
	out8(0x41, 0);
	at(994);
	ck_assert_uint_eq(count_of(1), 0x9999);
}
END_TEST

START_TEST(latching)
{
	program(1, 2, 0x1234);
	at(1);
	out8(0x43, 0x40);
	at(500);
	out8(0x43, 0x40); /* ignored until it is read */
	ck_assert_uint_eq(in8(0x41), 0x34);
	at(600);
	ck_assert_uint_eq(in8(0x41), 0x12);
	ck_assert_uint_eq(in8(0x41), (0x1234 - 599) & 0xff);
}
END_TEST

START_TEST(single_byte_access)
{
	out8(0x43, 0x54); /* counter 1, low byte, mode 2: RAM refresh of old */
	out8(0x41, 18);
	at(1);
	ck_assert_uint_eq(in8(0x41), 18);
	at(18);
	ck_assert_uint_eq(in8(0x41), 1);
	out8(0x43, 0x64); /* high byte */
	out8(0x41, 2);
	at(19);
	ck_assert_uint_eq(in8(0x41), 2);
	at(20);
	ck_assert_uint_eq(in8(0x41), 1);
}
END_TEST

START_TEST(read_back)
{
	out8(0x43, 0x34);
	ck_assert_uint_eq(status_of(0), 0xf4); /* OUT, null count, both bytes, mode 2 */
	out8(0x40, 100);
	out8(0x40, 0);
	ck_assert_uint_eq(status_of(0), 0xf4); /* not loaded before the next tick */
	at(1);
	ck_assert_uint_eq(status_of(0), 0xb4);
	at(100);
	ck_assert_uint_eq(status_of(0), 0x34);
	out8(0x43, 0xc2); /* status and count: status comes first */
	at(105);
	ck_assert_uint_eq(in8(0x40), 0x34);
	ck_assert_uint_eq(in8(0x40), 1);
	ck_assert_uint_eq(in8(0x40), 0);
	out8(0x43, 0x3e); /* mode 7 is mode 3, and shows as it was written */
	ck_assert_uint_eq(status_of(0) & 0x0e, 0x0e);
}
END_TEST

START_TEST(irq0_has_no_drift)
{
	u64 start = tick() + 1;

	program(0, 2, 1193);
	for (u64 n = 1; n <= 5000; n++) {
		at(start + 1193 * n);
		ck_assert_uint_eq(wires[IRQ0].rises, n);
		ck_assert_uint_eq(wires[IRQ0].rose_at, clock_ns(start + 1193 * n, PIT_HZ));
	}
}
END_TEST

START_TEST(irq0_square_wave)
{
	program(0, 3, 100);
	pass(1000000000);
	ck_assert_uint_eq(wires[IRQ0].rises, (PIT_HZ - 1) / 100);
}
END_TEST

START_TEST(irq0_one_shot)
{
	program(0, 0, 1000);
	ck_assert(!wires[IRQ0].level);
	at(1000);
	ck_assert(!wires[IRQ0].level);
	at(1001);
	ck_assert(wires[IRQ0].level);
	ck_assert_uint_eq(clock_next(&test_clock), CLOCK_NEVER);
}
END_TEST

/* A processor that takes long steps sees an event late; what rose meanwhile must have risen. */
START_TEST(late_events)
{
	program(0, 2, 100);
	for (unsigned n = 1; n <= 50; n++) {
		test_clock.now = clock_ns(1 + 100 * n + 50, PIT_HZ);
		clock_fire(&test_clock);
		ck_assert_uint_eq(wires[IRQ0].rises, n);
	}
}
END_TEST

START_TEST(port61)
{
	unsigned toggles = 0;
	u8 last = in8(0x61) & 0x10;

	out8(0x61, 0xff);
	ck_assert_uint_eq(in8(0x61) & 0xcf, 0x0f);
	for (unsigned i = 0; i < 15086 * 4; i++) {
		pass(1);
		if ((in8(0x61) & 0x10) != last)
			toggles++;
		last = in8(0x61) & 0x10;
	}
	ck_assert_uint_eq(toggles, 4); /* every 15.085 us */
}
END_TEST

START_TEST(speaker)
{
	program(2, 3, 1193);
	ck_assert_uint_eq(pit_speaker(pit), 0);
	out8(0x61, 3);
	ck_assert_uint_eq(pit_speaker(pit) / 1000, 499); /* 1000.15 Hz */
}
END_TEST

/* Linux's TSC calibration: mode 0 on counter 2, 50 ms, polled at port 61h. */
START_TEST(calibration)
{
	u64 start;

	out8(0x61, (in8(0x61) & ~2) | 1);
	out8(0x43, 0xb0);
	out8(0x42, 59659 & 0xff);
	out8(0x42, 59659 >> 8);
	start = test_clock.now;
	while (!out2())
		pass(500);
	ck_assert_uint_ge(test_clock.now - start, 49999000);
	ck_assert_uint_le(test_clock.now - start, 50002000);
}
END_TEST

static struct part part_of(void *p) { return pit_part(p); }
static void refresh(void *p) { pit_refresh(p); }
static void destroy(void *p) { pit_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x40, 4 }, { 0x61, 1 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 2);
}
END_TEST

/* A machine that is saved and loaded in the middle goes on as the other one. */
START_TEST(goes_on)
{
	struct part part;
	u8 image[512];
	u64 now;

	program(0, 2, 777);
	pass(123456);
	part = pit_part(pit);
	ck_assert_uint_le(part_size(&part), sizeof image);
	part_save(&part, image);
	now = test_clock.now;
	pit_free(pit);
	fresh();
	test_clock.now = now;
	pit = make();
	part = pit_part(pit);
	ck_assert(part_load(&part, image, part_size(&part), NULL));
	clock_sort(&test_clock);
	pit_refresh(pit);
	wires[IRQ0].rises = 0;
	at(1 + 777 * 190);
	ck_assert_uint_eq(wires[IRQ0].rises, 190);
	ck_assert_uint_eq(count_of(0), 777);
}
END_TEST

static void begin(void) { pit = make(); }
static unsigned parts(struct part *out) { return out[0] = pit_part(pit), 1; }
static void refresh_all(void) { pit_refresh(pit); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all, .every = 7 });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, mode0);
	tcase_add_test(tc, mode0_rewritten);
	tcase_add_test(tc, mode0_gate);
	tcase_add_test(tc, mode1);
	tcase_add_test(tc, mode1_new_count);
	tcase_add_test(tc, mode2);
	tcase_add_test(tc, mode2_gate_and_new_count);
	tcase_add_test(tc, mode3_even);
	tcase_add_test(tc, mode3_odd);
	tcase_add_test(tc, mode3_new_count);
	tcase_add_test(tc, mode4);
	tcase_add_test(tc, mode5);
	tcase_add_test(tc, counts_down);
	tcase_add_test(tc, stopped);
	tcase_add_test(tc, mode_as_written);
	tcase_add_test(tc, zero_is_largest);
	tcase_add_test(tc, bcd);
	tcase_add_test(tc, latching);
	tcase_add_test(tc, single_byte_access);
	tcase_add_test(tc, read_back);
	tcase_add_test(tc, irq0_has_no_drift);
	tcase_add_test(tc, irq0_square_wave);
	tcase_add_test(tc, irq0_one_shot);
	tcase_add_test(tc, late_events);
	tcase_add_test(tc, port61);
	tcase_add_test(tc, speaker);
	tcase_add_test(tc, calibration);
}

int main(void)
{
	Suite *suite = suite_create("pit");
	TCase *all = tcase_create("pit"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	tcase_add_test(all, goes_on);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
