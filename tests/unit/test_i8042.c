/* SPDX-License-Identifier: MIT */
/* The keyboard controller, keyboard and mouse, as their drivers talk to them; codes from the IBM PS/2 technical
 * reference. */
#include "io/input/i8042.h"
#include "io/chipset/port92.h"
#include "device.h"

enum { IRQ1, IRQ12, A20, RESET };

static struct i8042 *k;

static void *make(void)
{
	return i8042_new(&bus, &test_clock, wire(IRQ1), wire(IRQ12), wire(A20), wire(RESET), NULL);
}

static void setup(void)
{
	fresh();
	k = make();
}

static void teardown(void)
{
	i8042_free(k);
}

/* Wait for a byte and read it; -1 if none comes within 10 ms. Bit 8: it is the mouse's. */
static int get(void)
{
	for (unsigned i = 0; i < 100; i++) {
		u8 status = in8(0x64);

		if (status & 1)
			return in8(0x60) | (status & 0x20) << 3;
		pass(100000);
	}
	return -1;
}

static int ask(u8 command)
{
	out8(0x64, command);
	return get();
}

static void expect(const char *bytes, size_t len, int flag)
{
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(get(), (u8)bytes[i] | flag);
	ck_assert_int_eq(get(), -1);
}
#define EXPECT(text) expect(text, sizeof text - 1, 0)
#define EXPECT_MOUSE(text) expect(text, sizeof text - 1, 0x100)

static void mode(u8 value)
{
	out8(0x64, 0x60);
	out8(0x60, value);
}

static void mouse(u8 byte)
{
	out8(0x64, 0xd4);
	out8(0x60, byte);
}

START_TEST(controller)
{
	ck_assert_int_eq(ask(0xaa), 0x55);
	ck_assert_int_eq(ask(0xab), 0x00);
	ck_assert_int_eq(ask(0xa9), 0x00);
	mode(0x30);
	ck_assert_int_eq(ask(0x20), 0x30);
	out8(0x64, 0xae);
	ck_assert_int_eq(ask(0x20), 0x20);
	out8(0x64, 0xa8);
	ck_assert_int_eq(ask(0x20), 0x00);
	out8(0x64, 0xad);
	out8(0x64, 0xa7);
	ck_assert_int_eq(ask(0x20), 0x30);
	out8(0x64, 0x71); /* the rest of its RAM */
	out8(0x60, 0x99);
	ck_assert_int_eq(ask(0x31), 0x99);
	ck_assert_uint_eq(in8(0x64) & 0x08, 0x08); /* the last write was a command */
	out8(0x60, 0xee);
	ck_assert_uint_eq(in8(0x64) & 0x08, 0x00);
	ck_assert_int_eq(get(), 0xee);
	ck_assert_int_eq(ask(0xc0), 0x80); /* the input port: the keyboard is not locked */
	/* its lower half, and its upper half, in the status up to the next command; */
	ck_assert_int_eq(ask(0xc1), -1);
	ck_assert_uint_eq(in8(0x64) & 0xf0, 0x00);
	ck_assert_int_eq(ask(0xc2), -1);
	ck_assert_uint_eq(in8(0x64) & 0xf0, 0x80);
	out8(0x60, 0xee);                  /* they take no byte */
	ck_assert_int_eq(get(), 0xee);
	out8(0x64, 0xc2);
	out8(0x64, 0xae);
	ck_assert_uint_eq(in8(0x64) & 0xf0, 0x10);
}
END_TEST

START_TEST(a20_gate)
{
	i8042_refresh(k);
	ck_assert(wires[A20].level);
	ck_assert_int_eq(ask(0xd0) & 3, 3);
	out8(0x64, 0xdd);
	ck_assert(!wires[A20].level);
	ck_assert_int_eq(ask(0xd0) & 3, 1);
	out8(0x64, 0xd1);
	out8(0x60, 0xdf);
	ck_assert(wires[A20].level);
}
END_TEST

START_TEST(reset_pulse)
{
	out8(0x64, 0xff); /* pulses nothing */
	ck_assert_uint_eq(wires[RESET].rises, 0);
	out8(0x64, 0xfe);
	ck_assert_uint_eq(wires[RESET].rises, 1);
	ck_assert(!wires[RESET].level);
	out8(0x64, 0xd1);
	out8(0x60, 0xde); /* bit 0 of the output port low */
	ck_assert_uint_eq(wires[RESET].rises, 2);
}
END_TEST

START_TEST(keys_translated)
{
	/* A down, A up, right Ctrl down and up, Pause, F7, F11, F12 */
	static const char keys[] = "\x1e\x9e\xe0\x1d\xe0\x9d\xe1\x1d\x45\xe1\x9d\xc5\x41\xc1\x57\xd7\x58\xd8";

	ck_assert(i8042_keyboard_input(k, keys, sizeof keys - 1));
	EXPECT("\x1e\x9e\xe0\x1d\xe0\x9d\xe1\x1d\x45\xe1\x9d\xc5\x41\xc1\x57\xd7\x58\xd8");
}
END_TEST

START_TEST(every_key_survives_translation)
{
	for (unsigned code = 1; code < 0x80; code++) {
		u8 keys[2] = { (u8)code, (u8)code | 0x80 };

		if (code == 0x60 || code == 0x61) /* would be the prefixes when released */
			continue;
		i8042_keyboard_input(k, keys, 2);
		ck_assert_int_eq(get(), keys[0]);
		ck_assert_int_eq(get(), keys[1]);
	}
}
END_TEST

/* Set 2, from the reference's table: A 1C, F7 83, Esc 76, Enter 5A, up arrow E0 75. */
START_TEST(keys_raw)
{
	mode(0x01);
	i8042_keyboard_input(k, "\x1e\x9e\x41\xc1\x01\x1c\xe0\x48\xe0\xc8", 10);
	EXPECT("\x1c\xf0\x1c\x83\xf0\x83\x76\x5a\xe0\x75\xe0\xf0\x75");
	out8(0x60, 0xf0);
	ck_assert_int_eq(get(), 0xfa);
	out8(0x60, 0x01);
	ck_assert_int_eq(get(), 0xfa);
	i8042_keyboard_input(k, "\x1e\x9e", 2);
	EXPECT("\x1e\x9e");
}
END_TEST

START_TEST(irq1)
{
	i8042_keyboard_input(k, "\x1e\x9e", 2);
	ck_assert(!wires[IRQ1].level);
	pass(1000000);
	ck_assert(wires[IRQ1].level);
	pass(1000000);
	ck_assert_uint_eq(wires[IRQ1].rises, 1);
	in8(0x60);
	ck_assert(!wires[IRQ1].level);
	pass(1000000);
	ck_assert_uint_eq(wires[IRQ1].rises, 2);
	in8(0x60);
	mode(0x40);
	i8042_keyboard_input(k, "\x1e", 1);
	pass(1000000);
	ck_assert_uint_eq(wires[IRQ1].rises, 2);
	ck_assert_uint_eq(in8(0x64) & 0x21, 0x01);
}
END_TEST

START_TEST(keyboard_off_holds)
{
	out8(0x64, 0xad);
	i8042_keyboard_input(k, "\x1e", 1);
	ck_assert_int_eq(get(), -1);
	out8(0x64, 0xae);
	ck_assert_int_eq(get(), 0x1e);
}
END_TEST

START_TEST(keyboard_commands)
{
	out8(0x60, 0xff);
	EXPECT("\xfa\xaa");
	out8(0x60, 0xf2);
	EXPECT("\xfa\xab\x41"); /* 83 is translated */
	out8(0x60, 0xee);
	EXPECT("\xee");
	out8(0x60, 0xed);
	EXPECT("\xfa");
	out8(0x60, 0x07);
	EXPECT("\xfa");
	out8(0x60, 0xed); /* bits that have no indicator */
	EXPECT("\xfa");
	out8(0x60, 0x1f);
	EXPECT("\xfa");
	out8(0x60, 0xf3);
	EXPECT("\xfa");
	out8(0x60, 0x20);
	EXPECT("\xfa");
	out8(0x60, 0xf0);
	EXPECT("\xfa");
	out8(0x60, 0x00);
	EXPECT("\xfa\x41"); /* set 2, translated */
	out8(0x60, 0xfe);
	EXPECT("\x41");
	i8042_keyboard_input(k, "\x1e", 1);
	out8(0x60, 0xf0); /* no code of the old set comes behind it, and no key repeats */
	EXPECT("\xfa");
	out8(0x60, 0x02);
	EXPECT("\xfa");
	pass(2000000000);
	EXPECT("");
	out8(0x60, 0x10);
	EXPECT("\xfe");
	out8(0x60, 0xf5);
	EXPECT("\xfa");
	i8042_keyboard_input(k, "\x1e", 1); /* not scanning */
	EXPECT("");
	out8(0x60, 0xf4);
	EXPECT("\xfa");
	i8042_keyboard_input(k, "\x1e", 1);
	EXPECT("\x1e");
	out8(0x60, 0xed); /* a command in the place of an argument */
	EXPECT("\xfa");
	out8(0x60, 0xf4);
	EXPECT("\xfa");
}
END_TEST

START_TEST(answers_overtake_keys)
{
	i8042_keyboard_input(k, "\x1e\x9e", 2);
	out8(0x60, 0xee);
	EXPECT("\xee\x1e\x9e");
}
END_TEST

START_TEST(key_queue_is_bounded)
{
	u8 keys[4096];

	memset(keys, 0x1e, sizeof keys);
	ck_assert(!i8042_keyboard_input(k, keys, sizeof keys));
	ck_assert(i8042_keyboard_input(k, keys, 2048));
	ck_assert(i8042_keyboard_input(k, keys, 1024));
	ck_assert(!i8042_keyboard_input(k, keys, 1024));
	ck_assert_int_eq(get(), 0x1e);
}
END_TEST

START_TEST(mouse_commands)
{
	mode(0x02);
	mouse(0xff);
	EXPECT_MOUSE("\xfa\xaa\x00");
	mouse(0xf2);
	EXPECT_MOUSE("\xfa\x00");
	mouse(0xe9);
	EXPECT_MOUSE("\xfa\x00\x02\x64");
	mouse(0xf3);
	mouse(40);
	mouse(0xe8);
	mouse(3);
	mouse(0xe7);
	mouse(0xf4);
	EXPECT_MOUSE("\xfa\xfa\xfa\xfa\xfa\xfa");
	mouse(0xe9);
	EXPECT_MOUSE("\xfa\x30\x03\x28");
	mouse(0xf6);
	mouse(0xe9);
	EXPECT_MOUSE("\xfa\xfa\x00\x02\x64");
	mouse(0xe1);
	EXPECT_MOUSE("\xfe");
	mouse(0xee);
	mouse(0x12);
	mouse(0xec);
	EXPECT_MOUSE("\xfa\x12\xfa");
}
END_TEST

START_TEST(mouse_moves)
{
	mode(0x02);
	i8042_mouse_input(k, 5, 5, 0, 0);
	EXPECT_MOUSE(""); /* not before it is told to report */
	mouse(0xf4);
	ck_assert_int_eq(get(), 0x1fa);
	EXPECT_MOUSE("\x08\x05\x05");
	i8042_mouse_input(k, 10, -3, 0, 1);
	pass(1000000);
	ck_assert(wires[IRQ12].level);
	EXPECT_MOUSE("\x29\x0a\xfd");
	i8042_mouse_input(k, 300, 0, 0, 0); /* more than a packet can say */
	EXPECT_MOUSE("\x08\xff\x00\x08\x2d\x00");
	mouse(0xf0); /* remote: only when asked */
	i8042_mouse_input(k, -1, 0, 0, 2);
	EXPECT_MOUSE("\xfa");
	mouse(0xeb);
	EXPECT_MOUSE("\xfa\x1a\xff\x00");
}
END_TEST

/* Microsoft's knock: the rates 200, 100, 80, and the mouse's identity is 3; 200, 200, 80, and it is 4. */
START_TEST(mouse_with_a_wheel)
{
	mode(0x02);
	for (unsigned i = 0; i < 3; i++) {
		mouse(0xf3);
		mouse((u8[]){ 200, 100, 80 }[i]);
		EXPECT_MOUSE("\xfa\xfa");
	}
	mouse(0xf2);
	EXPECT_MOUSE("\xfa\x03");
	mouse(0xf4);
	ck_assert_int_eq(get(), 0x1fa);
	i8042_mouse_input(k, 1, 2, -1, 0);
	EXPECT_MOUSE("\x08\x01\x02\xff");
	mouse(0xf5);
	EXPECT_MOUSE("\xfa");
	for (unsigned i = 0; i < 3; i++) {
		mouse(0xf3);
		mouse((u8[]){ 200, 200, 80 }[i]);
		EXPECT_MOUSE("\xfa\xfa");
	}
	mouse(0xf2);
	EXPECT_MOUSE("\xfa\x04");
	mouse(0xf4);
	ck_assert_int_eq(get(), 0x1fa);
	i8042_mouse_input(k, 0, 0, 2, 0x11);
	EXPECT_MOUSE("\x09\x00\x00\x22");
	i8042_mouse_input(k, 0, 0, -1, 0x0a);
	EXPECT_MOUSE("\x0a\x00\x00\x1f");
	mouse(0xff);
	EXPECT_MOUSE("\xfa\xaa\x00");
	mouse(0xf2);
	EXPECT_MOUSE("\xfa\x00");
}
END_TEST

/* 2:1 scaling (reference, "Set Scaling 2:1"): 0 1 2 3 4 5 6 become 0 1 1 3 6 9 12. */
START_TEST(mouse_scaling)
{
	mode(0x02);
	mouse(0xe7);
	mouse(0xf4);
	EXPECT_MOUSE("\xfa\xfa");
	i8042_mouse_input(k, 2, -4, 0, 0);
	EXPECT_MOUSE("\x28\x01\xfa");
	i8042_mouse_input(k, 6, 5, 0, 0);
	EXPECT_MOUSE("\x08\x0c\x09");
}
END_TEST

/* Set 3, from the reference's table; keys repeat and do not tell that they go up, but for those that shift. */
START_TEST(keys_of_set_3)
{
	mode(0x01);
	out8(0x60, 0xf0);
	out8(0x60, 0x03);
	EXPECT("\xfa\xfa");
	i8042_keyboard_input(k, "\x1e\x9e\x2a\xaa\xe0\x48\xe0\xc8\x3b\xbb", 10); /* A, Shift, up arrow, F1 */
	EXPECT("\x1c\x12\xf0\x12\x63\x07");
	out8(0x60, 0xf8); /* all tell */
	EXPECT("\xfa");
	i8042_keyboard_input(k, "\x1e\x9e\xe1\x1d\x45\xe1\x9d\xc5", 8);
	EXPECT("\x1c\xf0\x1c\x62\xf0\x62");
	out8(0x60, 0xfd); /* A only goes down */
	out8(0x60, 0x1c);
	EXPECT("\xfa\xfa");
	i8042_keyboard_input(k, "\x1e\x9e\x30\xb0", 4);
	EXPECT("\x1c\x32\xf0\x32");
}
END_TEST

/* F3h 00: after 250 ms, 30 times a second (reference, "Set Typematic Rate/Delay"). */
START_TEST(typematic)
{
	unsigned seen = 0;

	out8(0x60, 0xf3);
	out8(0x60, 0x00);
	EXPECT("\xfa\xfa");
	i8042_keyboard_input(k, "\x1e", 1);
	ck_assert_int_eq(get(), 0x1e);
	pass(245000000);
	ck_assert_int_eq(in8(0x64) & 1, 0);
	for (unsigned i = 0; i < 1000; i++) {
		pass(1000000);
		if (in8(0x64) & 1) {
			ck_assert_int_eq(in8(0x60), 0x1e);
			seen++;
		}
	}
	ck_assert_uint_ge(seen, 29);
	ck_assert_uint_le(seen, 31);
	i8042_keyboard_input(k, "\x9e", 1);
	ck_assert_int_eq(get(), 0x9e);
	pass(1000000000);
	ck_assert_int_eq(in8(0x64) & 1, 0);
}
END_TEST

START_TEST(loop_commands)
{
	mode(0x43);
	out8(0x64, 0xd3); /* how a driver finds an auxiliary port */
	out8(0x60, 0x5a);
	ck_assert_int_eq(get(), 0x15a);
	out8(0x64, 0xd2);
	out8(0x60, 0xa5);
	ck_assert_int_eq(get(), 0xa5);
}
END_TEST

START_TEST(fast_a20)
{
	struct port92 *port92 = port92_new(&bus, wire(A20), wire(RESET));

	ck_assert_uint_eq(in8(0x92), 0);
	out8(0x92, 0x02);
	ck_assert(wires[A20].level);
	ck_assert_uint_eq(in8(0x92), 2);
	out8(0x92, 0x03);
	out8(0x92, 0x03); /* the pulse is on the rise */
	ck_assert_uint_eq(wires[RESET].rises, 1);
	out8(0x92, 0x00);
	ck_assert(!wires[A20].level);
	port92_free(port92);
}
END_TEST

static struct part part_of(void *p) { return i8042_part(p); }
static void refresh(void *p) { i8042_refresh(p); }
static void destroy(void *p) { i8042_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x60, 1 }, { 0x64, 1 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 2);
}
END_TEST

static void *make92(void) { return port92_new(&bus, wire(A20), wire(RESET)); }
static struct part part_of92(void *p) { return port92_part(p); }
static void refresh92(void *p) { port92_refresh(p); }
static void destroy92(void *p) { port92_free(p); }

START_TEST(state92)
{
	static const u64 ranges[][2] = { { 0x92, 1 } };

	round_trips(make92, destroy92, part_of92, refresh92, ranges, ARRAY_LEN(ranges), 2);
}
END_TEST

static void begin(void) { k = make(); }
static unsigned parts(struct part *out) { return out[0] = i8042_part(k), 1; }
static void refresh_all(void) { i8042_refresh(k); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, controller);
	tcase_add_test(tc, a20_gate);
	tcase_add_test(tc, reset_pulse);
	tcase_add_test(tc, keys_translated);
	tcase_add_test(tc, every_key_survives_translation);
	tcase_add_test(tc, keys_raw);
	tcase_add_test(tc, irq1);
	tcase_add_test(tc, keyboard_off_holds);
	tcase_add_test(tc, keyboard_commands);
	tcase_add_test(tc, answers_overtake_keys);
	tcase_add_test(tc, key_queue_is_bounded);
	tcase_add_test(tc, mouse_commands);
	tcase_add_test(tc, mouse_moves);
	tcase_add_test(tc, mouse_with_a_wheel);
	tcase_add_test(tc, mouse_scaling);
	tcase_add_test(tc, keys_of_set_3);
	tcase_add_test(tc, typematic);
	tcase_add_test(tc, loop_commands);
}

int main(void)
{
	Suite *suite = suite_create("i8042");
	TCase *all = tcase_create("i8042"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	tcase_add_test(all, fast_a20);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	tcase_add_test(bare, state92);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
