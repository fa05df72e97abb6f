/* The parallel port, as the printer adapter's reference describes it and as the BIOS prints: data, strobe on, strobe off. */
#include "io/lpt.h"
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

START_TEST(printing)
{
	struct lpt *lpt;

	fresh();
	count = 0;
	lpt = make();
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
	lpt_free(lpt);
}
END_TEST

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x378, 3 } };

	round_trips(make, destroy, part_of, refresh, ranges, 1, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lpt");
	TCase *t = tcase_create("lpt");

	tcase_add_test(t, printing);
	tcase_add_test(t, state);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
