/* SPDX-License-Identifier: MIT */
/* The 16550A against its data sheet. */
#include "io/serial/uart.h"
#include "device.h"

enum { IRQ4 };
#define COM1 0x3f8
#define CHAR_115200 86806u /* 10 bits of 16 / 1843200 s, in ns, rounded up */

static struct uart *uart;
static char sent[256];
static size_t sent_count;

static void sink(void *owner, const void *data, size_t len)
{
	(void)owner;
	for (size_t i = 0; i < len && sent_count < sizeof sent - 1; i++)
		sent[sent_count++] = ((const char *)data)[i];
}

static void *make(void)
{
	return uart_new(&bus, &test_clock, "com1", COM1, wire(IRQ4), sink, NULL);
}

static void setup(void)
{
	fresh();
	memset(sent, 0, sizeof sent);
	sent_count = 0;
	uart = make();
	out8(COM1 + 4, 0x0b); /* DTR, RTS, OUT2 */
}

static void teardown(void)
{
	uart_free(uart);
}

START_TEST(reset_state)
{
	struct uart *other;

	fresh();
	other = make();
	ck_assert_uint_eq(in8(COM1 + 1), 0x00);
	ck_assert_uint_eq(in8(COM1 + 2), 0x01);
	ck_assert_uint_eq(in8(COM1 + 4), 0x00);
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
	uart_free(other);
}
END_TEST

START_TEST(registers)
{
	out8(COM1 + 7, 0x5a);
	ck_assert_uint_eq(in8(COM1 + 7), 0x5a);
	out8(COM1 + 1, 0xff);
	ck_assert_uint_eq(in8(COM1 + 1), 0x0f);
	out8(COM1 + 3, 0x83);
	out8(COM1, 0x0c);
	out8(COM1 + 1, 0x34);
	ck_assert_uint_eq(in16(COM1), 0x340c);
	out8(COM1 + 3, 0x03);
	ck_assert_uint_eq(in8(COM1 + 1), 0x0f);
	out8(COM1 + 4, 0xff);
	ck_assert_uint_eq(in8(COM1 + 4), 0x1f);
}
END_TEST

/* How drivers tell the chips apart. */
START_TEST(is_a_16550a)
{
	out8(COM1 + 2, 0x01);
	ck_assert_uint_eq(in8(COM1 + 2) & 0xc0, 0xc0);
	out8(COM1 + 2, 0x00);
	ck_assert_uint_eq(in8(COM1 + 2) & 0xc0, 0x00);
}
END_TEST

START_TEST(sends)
{
	const char *text = "hello";

	for (const char *c = text; *c; c++) {
		while (!(in8(COM1 + 5) & 0x20))
			pass(1000);
		out8(COM1, (u8)*c);
	}
	ck_assert_str_eq(sent, text);
	ck_assert_uint_ge(test_clock.now, 3 * CHAR_115200); /* one in the shift register, one in THR */
	ck_assert_uint_le(test_clock.now, 4 * CHAR_115200);
}
END_TEST

START_TEST(transmitter_status)
{
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
	out8(COM1, 'a'); /* goes to the shift register at once */
	ck_assert_uint_eq(in8(COM1 + 5), 0x20);
	out8(COM1, 'b');
	ck_assert_uint_eq(in8(COM1 + 5), 0x00);
	pass(CHAR_115200);
	ck_assert_uint_eq(in8(COM1 + 5), 0x20);
	pass(CHAR_115200);
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
}
END_TEST

/* QEMU's: the transmitter is always empty, and interrupts for each character, with an edge. */
START_TEST(instant)
{
	uart_set_instant(uart);
	out8(COM1 + 1, 0x02);
	for (unsigned i = 1; i <= 40; i++) {
		ck_assert_uint_eq(wires[IRQ4].rises, i);
		out8(COM1, 'x');
		ck_assert_uint_eq(in8(COM1 + 5), 0x60);
		ck_assert_uint_eq(sent_count, i);
	}
	ck_assert_uint_eq(in8(COM1 + 2), 0x02);
	ck_assert_uint_eq(in8(COM1 + 2), 0x01);
	ck_assert_uint_eq(test_clock.now, 0);
	uart_input(uart, "ab", 2); /* what comes in does so at the line's pace */
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
	pass(CHAR_115200);
	ck_assert_uint_eq(in8(COM1 + 5), 0x61);
}
END_TEST

START_TEST(character_time)
{
	out8(COM1 + 3, 0x80);
	out8(COM1, 12); /* 9600 baud */
	out8(COM1 + 1, 0);
	out8(COM1 + 3, 0x1f); /* 8 data, even parity, 2 stop: 12 bits */
	out8(COM1, 'x');
	pass(1250000 - 1);
	ck_assert_uint_eq(in8(COM1 + 5), 0x20);
	pass(1);
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
}
END_TEST

START_TEST(thre_interrupt)
{
	out8(COM1 + 1, 0x02); /* asks at once */
	ck_assert(wires[IRQ4].level);
	ck_assert_uint_eq(in8(COM1 + 2), 0x02);
	ck_assert(!wires[IRQ4].level); /* reading IIR took it back */
	ck_assert_uint_eq(in8(COM1 + 2), 0x01);
	out8(COM1, 'a');
	ck_assert(wires[IRQ4].level);
	out8(COM1, 'b');
	ck_assert(!wires[IRQ4].level);
	pass(CHAR_115200 - 1);
	ck_assert(!wires[IRQ4].level);
	pass(1);
	ck_assert(wires[IRQ4].level);
}
END_TEST

START_TEST(fifo_sends_16)
{
	out8(COM1 + 2, 0x07);
	out8(COM1 + 1, 0x02);
	in8(COM1 + 2);
	for (unsigned i = 0; i < 17; i++)
		out8(COM1, (u8)('a' + i));
	ck_assert(!wires[IRQ4].level);
	pass(15 * CHAR_115200);
	ck_assert(!wires[IRQ4].level);
	pass(CHAR_115200);
	ck_assert(wires[IRQ4].level);
	ck_assert_uint_eq(in8(COM1 + 5), 0x20);
	ck_assert_str_eq(sent, "abcdefghijklmnopq");
}
END_TEST

START_TEST(out2_gates_the_interrupt)
{
	out8(COM1 + 4, 0x03);
	out8(COM1 + 1, 0x02);
	ck_assert(!wires[IRQ4].level);
	out8(COM1 + 4, 0x0b);
	ck_assert(wires[IRQ4].level);
}
END_TEST

START_TEST(receives_at_the_line_s_pace)
{
	out8(COM1 + 1, 0x01);
	ck_assert(uart_input(uart, "xyz", 3));
	ck_assert_uint_eq(in8(COM1 + 5) & 1, 0);
	pass(CHAR_115200 - 1);
	ck_assert(!wires[IRQ4].level);
	pass(1);
	ck_assert(wires[IRQ4].level);
	ck_assert_uint_eq(in8(COM1 + 2), 0x04);
	ck_assert_uint_eq(in8(COM1 + 5) & 1, 1);
	pass(10 * CHAR_115200); /* one register: the sender waits, nothing is lost */
	ck_assert_uint_eq(in8(COM1 + 5) & 2, 0);
	ck_assert_uint_eq(in8(COM1), 'x');
	ck_assert(!wires[IRQ4].level);
	pass(CHAR_115200);
	ck_assert_uint_eq(in8(COM1), 'y');
	pass(CHAR_115200);
	ck_assert_uint_eq(in8(COM1), 'z');
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
}
END_TEST

START_TEST(fifo_trigger_levels)
{
	static const u8 level[] = { 1, 4, 8, 14 };

	out8(COM1 + 1, 0x01);
	for (unsigned i = 0; i < 4; i++) {
		out8(COM1 + 2, (u8)(0x07 | i << 6));
		uart_input(uart, "0123456789abcdef", 16);
		for (unsigned n = 1; n < level[i]; n++) {
			pass(CHAR_115200);
			ck_assert(!wires[IRQ4].level);
		}
		pass(CHAR_115200);
		ck_assert(wires[IRQ4].level);
		ck_assert_uint_eq(in8(COM1 + 2), 0xc4);
		pass(16 * CHAR_115200);
		for (unsigned n = 0; n < 16; n++)
			ck_assert_uint_eq(in8(COM1), "0123456789abcdef"[n]);
		ck_assert(!wires[IRQ4].level);
	}
}
END_TEST

START_TEST(character_timeout)
{
	out8(COM1 + 1, 0x01);
	out8(COM1 + 2, 0xc7);
	uart_input(uart, "ab", 2);
	pass(2 * CHAR_115200);
	ck_assert(!wires[IRQ4].level);
	pass(4 * CHAR_115200 - 1);
	ck_assert(!wires[IRQ4].level);
	pass(1); /* four characters' time after the last one */
	ck_assert(wires[IRQ4].level);
	ck_assert_uint_eq(in8(COM1 + 2), 0xcc);
	ck_assert_uint_eq(in8(COM1), 'a'); /* a read starts the time again */
	ck_assert(!wires[IRQ4].level);
	pass(4 * CHAR_115200);
	ck_assert_uint_eq(in8(COM1 + 2), 0xcc);
	ck_assert_uint_eq(in8(COM1), 'b');
	pass(100 * CHAR_115200);
	ck_assert_uint_eq(in8(COM1 + 2), 0xc1);
}
END_TEST

START_TEST(fifo_reset)
{
	out8(COM1 + 2, 0x01);
	uart_input(uart, "abc", 3);
	pass(3 * CHAR_115200);
	out8(COM1 + 2, 0x03);
	ck_assert_uint_eq(in8(COM1 + 5) & 1, 0);
	uart_input(uart, "d", 1);
	pass(CHAR_115200);
	out8(COM1 + 2, 0x00); /* switching modes clears it as well */
	ck_assert_uint_eq(in8(COM1 + 5) & 1, 0);
}
END_TEST

/* Loopback: what is sent comes in, modem outputs are the inputs, the world is shut out. */
START_TEST(loopback)
{
	out8(COM1 + 4, 0x1e);
	out8(COM1, 0xae);
	ck_assert_uint_eq(sent_count, 0);
	ck_assert_uint_eq(in8(COM1 + 5) & 1, 1);
	ck_assert_uint_eq(in8(COM1), 0xae);
	in8(COM1 + 6);
	out8(COM1 + 4, 0x1a); /* the classic test: RTS and OUT2 */
	ck_assert_uint_eq(in8(COM1 + 6) & 0xf0, 0x90);
	uart_input(uart, "q", 1);
	pass(10 * CHAR_115200);
	ck_assert_uint_eq(in8(COM1 + 5) & 1, 0);
	out8(COM1 + 4, 0x0b);
	pass(10 * CHAR_115200);
	ck_assert_uint_eq(in8(COM1), 'q');
}
END_TEST

START_TEST(overrun)
{
	out8(COM1 + 1, 0x05);
	out8(COM1 + 4, 0x18);
	out8(COM1, 1);
	out8(COM1, 2);
	ck_assert_uint_eq(in8(COM1 + 2), 0x06); /* line status comes before data */
	ck_assert_uint_eq(in8(COM1 + 5) & 0x03, 0x03);
	ck_assert_uint_eq(in8(COM1 + 5) & 0x03, 0x01);
	ck_assert_uint_eq(in8(COM1 + 2), 0x04);
	ck_assert_uint_eq(in8(COM1), 2); /* without FIFOs the old one is lost */
	out8(COM1 + 2, 0x01);
	for (u8 i = 0; i < 17; i++)
		out8(COM1, i);
	ck_assert_uint_eq(in8(COM1 + 5) & 0x03, 0x03);
	for (u8 i = 0; i < 16; i++) /* with FIFOs the new one is */
		ck_assert_uint_eq(in8(COM1), i);
}
END_TEST

START_TEST(modem_status)
{
	ck_assert_uint_eq(in8(COM1 + 6), 0xb0); /* a peer: CTS, DSR, DCD */
	out8(COM1 + 1, 0x08);
	out8(COM1 + 4, 0x1f);
	ck_assert_uint_eq(in8(COM1 + 6), 0xf0);
	out8(COM1 + 4, 0x1b); /* RI falls: its trailing edge counts */
	ck_assert_uint_eq(in8(COM1 + 2), 0x00);
	ck_assert_uint_eq(in8(COM1 + 6), 0xb4);
	ck_assert_uint_eq(in8(COM1 + 6), 0xb0);
	ck_assert_uint_eq(in8(COM1 + 2), 0x01);
	out8(COM1 + 4, 0x10);
	ck_assert_uint_eq(in8(COM1 + 6), 0x0b);
}
END_TEST

START_TEST(queue_is_bounded)
{
	static u8 much[65537];

	ck_assert(!uart_input(uart, much, sizeof much));
	ck_assert(uart_input(uart, much, 65536));
	ck_assert(!uart_input(uart, much, 1));
	pass(CHAR_115200);
	ck_assert(uart_input(uart, much, 1));
}
END_TEST

START_TEST(other_crystal)
{
	uart_set_crystal(uart, 16 * UART_HZ);
	out8(COM1, 'x');
	pass(CHAR_115200 / 16 - 1);
	ck_assert_uint_eq(in8(COM1 + 5), 0x20);
	pass(2);
	ck_assert_uint_eq(in8(COM1 + 5), 0x60);
}
END_TEST

static struct part part_of(void *p) { return uart_part(p); }
static void refresh(void *p) { uart_refresh(p); }
static void destroy(void *p) { uart_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { COM1, 8 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 2);
}
END_TEST

static void begin(void) { uart = make(); }
static unsigned parts(struct part *out) { return out[0] = uart_part(uart), 1; }
static void refresh_all(void) { uart_refresh(uart); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, registers);
	tcase_add_test(tc, is_a_16550a);
	tcase_add_test(tc, sends);
	tcase_add_test(tc, transmitter_status);
	tcase_add_test(tc, character_time);
	tcase_add_test(tc, thre_interrupt);
	tcase_add_test(tc, fifo_sends_16);
	tcase_add_test(tc, out2_gates_the_interrupt);
	tcase_add_test(tc, receives_at_the_line_s_pace);
	tcase_add_test(tc, fifo_trigger_levels);
	tcase_add_test(tc, character_timeout);
	tcase_add_test(tc, fifo_reset);
	tcase_add_test(tc, loopback);
	tcase_add_test(tc, overrun);
	tcase_add_test(tc, modem_status);
	tcase_add_test(tc, queue_is_bounded);
}

int main(void)
{
	Suite *suite = suite_create("uart");
	TCase *all = tcase_create("uart"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	tcase_add_test(all, reset_state);
	tcase_add_test(all, instant);
	tcase_add_test(all, other_crystal);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
