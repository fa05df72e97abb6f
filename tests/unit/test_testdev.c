/* SPDX-License-Identifier: MIT */
/* QEMU's test device, as kvm-unit-tests (x86/emulator.c, x86/ioapic.c, x86/lam.c) expect it. */
#include "io/chipset/exitports.h"
#include "io/chipset/testdev.h"
#include "device.h"

static void *make(void) { return testdev_new(&bus, &bus, wire(0)); }
static struct part part_of(void *p) { return testdev_part(p); }
static void refresh(void *p) { testdev_refresh(p); }
static void destroy(void *p) { testdev_free(p); }

static struct testdev *testdev;

static void setup(void)
{
	fresh();
	testdev = make();
}

static void teardown(void) { testdev_free(testdev); }

/* One register behind E0h and E8h, in any size; it comes back as it was written. */
START_TEST(ioport)
{
	space_write(&bus, 0xe0, 4, 0x12345678);
	ck_assert_uint_eq(in8(0xe0), 0x78);
	ck_assert_uint_eq(in8(0xe3), 0x12);
	ck_assert_uint_eq(space_read(&bus, 0xe2, 2), 0x1234);
	out8(0xe1, 0xff);
	ck_assert_uint_eq(space_read(&bus, 0xe8, 4), 0x1234ff78);
	space_write(&bus, 0xe8, 4, 0xcafe);
	ck_assert_uint_eq(space_read(&bus, 0xe0, 4), 0xcafe);
	space_write(&bus, 0xe4, 4, 0x1000); /* QEMU unmaps a page and maps it again */
	ck_assert_uint_eq(space_read(&bus, 0xe0, 4), 0xcafe);
}
END_TEST

START_TEST(interrupts)
{
	for (int i = 0; i < TESTDEV_IRQS; i++) {
		out8((u16)(0x2000 + i), 1);
		ck_assert(wires[i].level);
		out8((u16)(0x2000 + i), 0);
		ck_assert(!wires[i].level);
		ck_assert_uint_eq(wires[i].rises, 1);
	}
	space_write(&bus, 0x200b, 4, 1); /* as x86/realmode.c does: one line, and three that stay low */
	ck_assert(wires[11].level && !wires[12].level);
}
END_TEST

START_TEST(memory)
{
	space_write(&bus, 0xff000000, 8, 0x1122334455667788);
	ck_assert_uint_eq(space_read(&bus, 0xff000003, 1), 0x55);
	space_write(&bus, 0xff00fffc, 4, 0xdecafbad);
	ck_assert_uint_eq(space_read(&bus, 0xff00fffc, 4), 0xdecafbad);
}
END_TEST

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0xe0, 12 }, { 0x2000, TESTDEV_IRQS }, { 0xff000000, 64 } };

	round_trips(make, destroy, part_of, refresh, ranges, 3, 1);
}
END_TEST

/* ---- the ports that end a run ---- */

static u32 value;
static unsigned exits;
static void exited(void *owner, u32 v) { (void)owner; value = v; exits++; }
static void *make_exits(void) { return exitports_new(&bus, wire(0), exited, NULL); }
static void destroy_exits(void *p) { exitports_free(p); }
static struct part exits_part(void *p) { return exitports_part(p); }
static void refresh_exits(void *p) { exitports_refresh(p); }

static void say(const char *word)
{
	while (*word)
		out8(0x8900, (u8)*word++);
}

START_TEST(shutdown)
{
	static const char *const no[] = { "shutdown", "Shutdow", "Shut down", "SSShutdonw", "ShutShutdow" };
	struct exitports *e;

	for (unsigned i = 0; i < ARRAY_LEN(no); i++) {
		e = make_exits();
		say(no[i]);
		ck_assert_msg(!wires[0].level, "%s", no[i]);
		exitports_free(e);
		fresh();
	}
	e = make_exits();
	say("xShuShutdown");
	ck_assert(wires[0].level);
	exitports_free(e);
}
END_TEST

START_TEST(others)
{
	struct exitports *e = make_exits();

	out16(0xb004, 0x2400); /* another type of sleep */
	out16(0xb004, 0);
	out8(0xb004, 0x20);
	out8(0xb005, 0x20);
	ck_assert(!wires[0].level);
	out16(0xb004, 0x2000);
	ck_assert(wires[0].level);
	out8(0x501, 0x31);
	ck_assert_uint_eq(value, 0x31);
	out32(0x501, 0x12345678);
	ck_assert_uint_eq(value, 0x12345678);
	ck_assert_uint_eq(exits, 2);
	exitports_free(e);
}
END_TEST

START_TEST(exit_state)
{
	static const u64 ranges[][2] = { { 0x8900, 1 }, { 0xb004, 2 }, { 0x501, 4 } };

	round_trips(make_exits, destroy_exits, exits_part, refresh_exits, ranges, 3, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("testdev");
	TCase *t = tcase_create("testdev");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, ioport);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, memory);
	tcase_add_test(t, state);
	suite_add_tcase(suite, t);
	t = tcase_create("exit ports");
	tcase_add_checked_fixture(t, fresh, NULL);
	tcase_add_test(t, shutdown);
	tcase_add_test(t, others);
	tcase_add_test(t, exit_state);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
