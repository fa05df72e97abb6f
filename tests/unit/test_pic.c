/* SPDX-License-Identifier: MIT */
/* The 8259A pair against its data sheet: initialisation, priorities, the ways to end an interrupt, modes, spurious
 * requests. */
#include "io/chipset/pic.h"
#include "device.h"

enum { INTR };

static struct pic *pic;

static void *make(void)
{
	return pic_new(&bus, wire(INTR), NULL);
}

static void init_chip(u16 port, u8 base, u8 icw3, u8 icw4)
{
	out8(port, 0x11);
	out8(port + 1, base);
	out8(port + 1, icw3);
	out8(port + 1, icw4);
}

static void init(u8 master_icw4, u8 slave_icw4)
{
	init_chip(0x20, 0x20, 0x04, master_icw4);
	init_chip(0xa0, 0x70, 0x02, slave_icw4);
}

static void setup(void)
{
	fresh();
	pic = make();
	init(0x01, 0x01);
}

static void teardown(void)
{
	pic_free(pic);
}

static void pulse(int n)
{
	pic_set_irq(pic, n, false);
	pic_set_irq(pic, n, true);
}

static u8 irr(u16 port)
{
	out8(port, 0x0a);
	return in8(port);
}

static u8 isr(u16 port)
{
	out8(port, 0x0b);
	return in8(port);
}

START_TEST(quiet_before_init)
{
	struct pic *cold;

	fresh();
	cold = make();
	pic_set_irq(cold, 0, true);
	ck_assert(!wires[INTR].level);
	pic_free(cold);
}
END_TEST

START_TEST(init_state)
{
	out8(0x21, 0xff);
	pic_set_irq(pic, 3, true);
	init_chip(0x20, 0x40, 4, 1);
	ck_assert_uint_eq(in8(0x21), 0); /* IMR is cleared */
	ck_assert_uint_eq(in8(0x20), 0); /* IRR is what is read, and the edge is forgotten */
	ck_assert(!wires[INTR].level);
	pulse(3);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x43);
}
END_TEST

START_TEST(no_interrupt_during_init)
{
	out8(0x20, 0x11);
	pulse(1);
	ck_assert(!wires[INTR].level);
	out8(0x21, 0x20);
	out8(0x21, 4);
	out8(0x21, 1);
	ck_assert(wires[INTR].level);
}
END_TEST

START_TEST(fixed_priority)
{
	pulse(5);
	pulse(3);
	ck_assert(wires[INTR].level);
	ck_assert_uint_eq(irr(0x20), 0x28);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x23);
	ck_assert(!wires[INTR].level); /* 5 waits behind 3 */
	ck_assert_uint_eq(isr(0x20), 0x08);
	pulse(1); /* nests */
	ck_assert(wires[INTR].level);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x21);
	out8(0x20, 0x20);
	ck_assert_uint_eq(isr(0x20), 0x08);
	out8(0x20, 0x20);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x25);
	ck_assert_uint_eq(irr(0x20), 0);
}
END_TEST

START_TEST(masks)
{
	out8(0x21, 0x02);
	pulse(1);
	ck_assert(!wires[INTR].level);
	ck_assert_uint_eq(irr(0x20), 0x02);
	out8(0x21, 0x00);
	ck_assert(wires[INTR].level);
}
END_TEST

START_TEST(edge_counts_once)
{
	pic_set_irq(pic, 1, true);
	pic_acknowledge(pic);
	out8(0x20, 0x61);
	ck_assert(!wires[INTR].level); /* still high, but no new edge */
	pulse(1);
	ck_assert(wires[INTR].level);
}
END_TEST

START_TEST(edge_withdrawn_is_spurious)
{
	pic_set_irq(pic, 3, true);
	pic_set_irq(pic, 3, false);
	ck_assert(!wires[INTR].level);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x27);
	ck_assert_uint_eq(isr(0x20), 0); /* which is how a handler tells */
	pic_set_irq(pic, 8, true);
	pic_set_irq(pic, 8, false);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x27);
}
END_TEST

START_TEST(level_repeats)
{
	out8(0x4d0, 0xff);
	out8(0x4d1, 0xff);
	ck_assert_uint_eq(in8(0x4d0), 0xf8); /* 0, 1, 2, 8 and 13 cannot be levels */
	ck_assert_uint_eq(in8(0x4d1), 0xde);
	pic_set_irq(pic, 5, true);
	pic_acknowledge(pic);
	ck_assert(!wires[INTR].level);
	ck_assert_uint_eq(irr(0x20), 0x20);
	out8(0x20, 0x20);
	ck_assert(wires[INTR].level);
	pic_set_irq(pic, 5, false);
	ck_assert(!wires[INTR].level);
}
END_TEST

START_TEST(cascade)
{
	pulse(8);
	pulse(12);
	ck_assert_uint_eq(irr(0xa0), 0x11);
	ck_assert_uint_eq(irr(0x20), 0x04);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x70);
	ck_assert_uint_eq(isr(0xa0), 0x01);
	ck_assert_uint_eq(isr(0x20), 0x04);
	out8(0xa0, 0x20);
	ck_assert(!wires[INTR].level); /* the master still serves IR2 */
	out8(0x20, 0x20);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x74);
}
END_TEST

START_TEST(slave_priority_over_master_3)
{
	pulse(3);
	pulse(15);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x77);
	pulse(1);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x21);
}
END_TEST

START_TEST(spurious_slave)
{
	/* the slave's request goes away between the two INTA cycles' point of view: master has IR2, slave has nothing
	 * */
	out8(0xa1, 0x00);
	pulse(9);
	out8(0xa0, 0x0c); /* poll takes it away from the slave */
	ck_assert_uint_eq(in8(0xa0), 0x81);
	ck_assert(!wires[INTR].level);
}
END_TEST

START_TEST(special_fully_nested)
{
	init(0x11, 0x01);
	pulse(12);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x74);
	pulse(14);
	ck_assert(!wires[INTR].level);
	pulse(9); /* of higher priority in the same slave */
	ck_assert(wires[INTR].level);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x71);
	pulse(3);
	ck_assert(!wires[INTR].level);
}
END_TEST

START_TEST(not_nested_without_sfnm)
{
	pulse(12);
	pic_acknowledge(pic);
	pulse(9);
	ck_assert(!wires[INTR].level);
}
END_TEST

START_TEST(specific_eoi)
{
	pulse(5);
	pic_acknowledge(pic);
	pulse(2 + 1);
	pic_acknowledge(pic);
	out8(0x20, 0x65);
	ck_assert_uint_eq(isr(0x20), 0x08);
}
END_TEST

START_TEST(rotation)
{
	/* the data sheet's example: IR4 and IR6 in service; rotate on non-specific EOI makes 4 the lowest */
	pulse(6);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x26);
	pulse(4);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x24);
	out8(0x20, 0xa0);
	ck_assert_uint_eq(isr(0x20), 0x40);
	pulse(4);
	ck_assert(!wires[INTR].level); /* 6 is above 4 now */
	pulse(5);
	ck_assert(wires[INTR].level); /* and 5 is the highest */
	ck_assert_uint_eq(pic_acknowledge(pic), 0x25);
}
END_TEST

START_TEST(set_priority)
{
	out8(0x20, 0xc5); /* 5 lowest: 6 highest */
	pulse(0);
	pulse(6);
	pulse(5);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x26);
	out8(0x20, 0xe6); /* rotate on specific EOI */
	ck_assert_uint_eq(pic_acknowledge(pic), 0x20);
}
END_TEST

START_TEST(automatic_eoi)
{
	init(0x03, 0x01);
	pulse(3);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x23);
	ck_assert_uint_eq(isr(0x20), 0);
	out8(0x20, 0x80); /* rotate in automatic EOI mode */
	pulse(3);
	pic_acknowledge(pic);
	pulse(3);
	pulse(4);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x24);
}
END_TEST

START_TEST(special_mask)
{
	pulse(3);
	pic_acknowledge(pic);
	pulse(5);
	out8(0x21, 0x08);
	ck_assert(!wires[INTR].level);
	out8(0x20, 0x68); /* special mask mode: level 3 is masked and blocks nobody */
	ck_assert(wires[INTR].level);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x25);
	out8(0x20, 0x20); /* a masked level is not what it ends */
	ck_assert_uint_eq(isr(0x20), 0x08);
	pulse(6);
	out8(0x20, 0x48);
	ck_assert(!wires[INTR].level);
}
END_TEST

START_TEST(polling)
{
	pulse(4);
	pulse(6);
	out8(0x20, 0x0c);
	ck_assert_uint_eq(in8(0x20), 0x84);
	ck_assert_uint_eq(isr(0x20), 0x10);
	out8(0x20, 0x0c);
	ck_assert_uint_eq(in8(0x21) & 0x80, 0);
	ck_assert_uint_eq(in8(0x21), 0x00);
}
END_TEST

START_TEST(read_select_is_kept)
{
	pulse(4);
	pic_acknowledge(pic);
	pulse(6);
	out8(0x20, 0x0b);
	ck_assert_uint_eq(in8(0x20), 0x10);
	ck_assert_uint_eq(in8(0x20), 0x10);
	out8(0x20, 0x08); /* no read command: nothing changes */
	ck_assert_uint_eq(in8(0x20), 0x10);
	out8(0x20, 0x0a);
	ck_assert_uint_eq(in8(0x20), 0x40);
}
END_TEST

START_TEST(single_mode)
{
	out8(0x20, 0x13); /* SNGL: no ICW3 */
	out8(0x21, 0x50);
	out8(0x21, 0x01);
	pulse(0);
	ck_assert_uint_eq(pic_acknowledge(pic), 0x50);
	ck_assert_uint_eq(in8(0x21), 0);
}
END_TEST

START_TEST(wild_inputs)
{
	pic_set_irq(pic, -1, true);
	pic_set_irq(pic, 2, true);
	pic_set_irq(pic, 16, true);
	ck_assert(!wires[INTR].level);
}
END_TEST

static struct part part_of(void *p) { return pic_part(p); }
static void destroy(void *p) { pic_free(p); }

/* INTR is recomputed from the rest; the sane parts of a random state keep it as it was. */
static void refresh(void *p) { (void)p; }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 2);
}
END_TEST

static void begin(void) { pic = make(); }
static unsigned parts(struct part *out) { return out[0] = pic_part(pic), 1; }
static void refresh_all(void) { pic_refresh(pic); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, quiet_before_init);
	tcase_add_test(tc, init_state);
	tcase_add_test(tc, no_interrupt_during_init);
	tcase_add_test(tc, fixed_priority);
	tcase_add_test(tc, masks);
	tcase_add_test(tc, edge_counts_once);
	tcase_add_test(tc, edge_withdrawn_is_spurious);
	tcase_add_test(tc, level_repeats);
	tcase_add_test(tc, cascade);
	tcase_add_test(tc, slave_priority_over_master_3);
	tcase_add_test(tc, spurious_slave);
	tcase_add_test(tc, special_fully_nested);
	tcase_add_test(tc, not_nested_without_sfnm);
	tcase_add_test(tc, specific_eoi);
	tcase_add_test(tc, rotation);
	tcase_add_test(tc, set_priority);
	tcase_add_test(tc, automatic_eoi);
	tcase_add_test(tc, special_mask);
	tcase_add_test(tc, polling);
	tcase_add_test(tc, read_select_is_kept);
	tcase_add_test(tc, single_mode);
	tcase_add_test(tc, wild_inputs);
}

int main(void)
{
	Suite *suite = suite_create("pic");
	TCase *all = tcase_create("pic"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
