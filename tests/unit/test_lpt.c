/* SPDX-License-Identifier: MIT */
/* The parallel port, as the printer adapter's reference describes it and as the BIOS prints: data, strobe on, strobe
 * off. */
#include "io/serial/lpt.h"
#include "device.h"

static char printed[16];
static size_t count;

static void print(void *owner, const void *data, size_t len)
{
	(void)owner;
	for (size_t i = 0; i < len; i++)
		printed[count++ % sizeof printed] = ((const char *)data)[i];
}

static void *make(void) { return lpt_new(&bus, &test_clock, 0x378, wire(7), print, NULL); }
static struct part part_of(void *p) { return lpt_part(p); }
static void refresh(void *p) { lpt_refresh(p); }
static void destroy(void *p) { lpt_free(p); }

static struct lpt *lpt;

static void setup(void)
{
	fresh();
	count = 0;
	lpt = make();
}

static void teardown(void) { lpt_free(lpt); }

START_TEST(printing)
{
	out8(0x378, 0xaa); /* how a BIOS finds it */
	ck_assert_uint_eq(in8(0x378), 0xaa);
	ck_assert_uint_eq(in8(0x379) & 0xf8, 0xd8); /* not busy, not acknowledging, paper, selected, no error */
	for (const char *c = "Hi"; *c; c++) {
		out8(0x378, (u8)*c);
		out8(0x37a, 0x0d);
		out8(0x37a, 0x0c);
		ck_assert_uint_eq(in8(0x379) & 0xc0, 0x40); /* busy */
		pass(1000);
		ck_assert_uint_eq(in8(0x379) & 0xc0, 0x00); /* acknowledges */
		pass(1000);
		ck_assert_uint_eq(in8(0x379) & 0xc0, 0xc0);
	}
	ck_assert_uint_eq(count, 2);
	ck_assert_mem_eq(printed, "Hi", 2);
	ck_assert_uint_eq(wires[7].rises, 0);
	out8(0x37a, 0x1c); /* with interrupts */
	out8(0x37a, 0x1d);
	pass(10000);
	ck_assert_uint_eq(wires[7].rises, 1);
	ck_assert(!wires[7].level);
	out8(0x37a, 0x2c); /* inputs */
	ck_assert_uint_eq(in8(0x378), 0xff);
	ck_assert_uint_eq(in8(0x37a), 0xec);
}
END_TEST

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x378, 3 } };

	round_trips(make, destroy, part_of, refresh, ranges, 1, 2);
}
END_TEST

static void begin(void) { lpt = make(); }
static unsigned parts(struct part *out) { return out[0] = lpt_part(lpt), 1; }
static void refresh_all(void) { lpt_refresh(lpt); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, printing);
}

int main(void)
{
	Suite *suite = suite_create("lpt");
	TCase *t = tcase_create("lpt"), *bare = tcase_create("state");

	tcase_add_checked_fixture(t, setup, teardown);
	add_tests(t);
	suite_add_tcase(suite, t);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
