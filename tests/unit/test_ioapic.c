/* SPDX-License-Identifier: MIT */
/* The 82093AA against its data sheet: registers, edges, levels with remote IRR and end of interrupt, messages. */
#include "io/chipset/ioapic.h"
#include "device.h"

static struct ioapic *ioapic;
static struct { u64 address; u32 data; } messages[64];
static unsigned count;

static void msi(void *owner, u64 address, u32 data)
{
	(void)owner;
	messages[count % 64].address = address;
	messages[count++ % 64].data = data;
}

static void *make(void)
{
	return ioapic_new(&bus, 5, msi, NULL);
}

static void setup(void)
{
	fresh();
	count = 0;
	ioapic = make();
}

static void teardown(void)
{
	ioapic_free(ioapic);
}

static u32 get(u8 reg)
{
	out32(IOAPIC_BASE, reg);
	return in32(IOAPIC_BASE + 0x10);
}

static void put(u8 reg, u32 value)
{
	out32(IOAPIC_BASE, reg);
	out32(IOAPIC_BASE + 0x10, value);
}

static void entry(unsigned pin, u32 high, u32 low)
{
	put((u8)(0x11 + 2 * pin), high);
	put((u8)(0x10 + 2 * pin), low);
}

START_TEST(registers)
{
	ck_assert_uint_eq(get(0), 0x05000000);
	put(0, 0xffffffff);
	ck_assert_uint_eq(get(0), 0x0f000000);
	ck_assert_uint_eq(get(1), 0x00170020);
	put(1, 0);
	ck_assert_uint_eq(get(1), 0x00170020);
	for (u8 pin = 0; pin < 24; pin++) {
		ck_assert_uint_eq(get(0x10 + 2 * pin), 0x00010000);
		ck_assert_uint_eq(get(0x11 + 2 * pin), 0);
		entry(pin, 0xffffffff, 0xffffffff);
		ck_assert_uint_eq(get(0x10 + 2 * pin), 0x0001afff); /* delivery status and remote IRR are read-only */
		ck_assert_uint_eq(get(0x11 + 2 * pin), 0xff000000);
	}
	ck_assert_uint_eq(get(0x40), 0);
	put(0x40, 1);
	ck_assert_uint_eq(in8(IOAPIC_BASE), 0x40);
}
END_TEST

START_TEST(edge)
{
	entry(4, 0x03000000, 0x0034); /* to APIC 3, vector 34h */
	ioapic_set_irq(ioapic, 4, true);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(messages[0].address, 0xfee03000);
	ck_assert_uint_eq(messages[0].data & 0x87ff, 0x34);
	ioapic_set_irq(ioapic, 4, true);
	ck_assert_uint_eq(count, 1);
	ioapic_set_irq(ioapic, 4, false);
	ioapic_set_irq(ioapic, 4, true);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(get(0x18) & 0x4000, 0);
}
END_TEST

START_TEST(masked_edge_is_lost)
{
	entry(4, 0, 0x10034);
	ioapic_set_irq(ioapic, 4, true);
	entry(4, 0, 0x00034);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(level)
{
	entry(9, 0, 0x8039);
	ioapic_set_irq(ioapic, 9, true);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(messages[0].data, 0xc039); /* level, assert */
	ck_assert_uint_eq(get(0x22), 0xc039); /* remote IRR */
	ioapic_set_irq(ioapic, 9, false);
	ioapic_set_irq(ioapic, 9, true);
	ck_assert_uint_eq(count, 1);
	ioapic_eoi(ioapic, 0x38);
	ck_assert_uint_eq(count, 1);
	ioapic_eoi(ioapic, 0x39); /* still high: again */
	ck_assert_uint_eq(count, 2);
	ioapic_set_irq(ioapic, 9, false);
	ioapic_eoi(ioapic, 0x39);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(get(0x22), 0x8039);
}
END_TEST

START_TEST(masked_level_waits)
{
	entry(9, 0, 0x18039);
	ioapic_set_irq(ioapic, 9, true);
	ck_assert_uint_eq(count, 0);
	entry(9, 0, 0x8039);
	ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(eoi_register)
{
	entry(9, 0, 0x8039);
	entry(10, 0, 0x8039);
	ioapic_set_irq(ioapic, 9, true);
	ioapic_set_irq(ioapic, 10, true);
	ioapic_set_irq(ioapic, 9, false);
	ioapic_set_irq(ioapic, 10, false);
	out32(IOAPIC_BASE + 0x40, 0x39);
	ck_assert_uint_eq(get(0x22) & 0x4000, 0);
	ck_assert_uint_eq(get(0x24) & 0x4000, 0);
}
END_TEST

/* Drivers clear remote IRR by going to edge and back. */
START_TEST(edge_and_back)
{
	entry(9, 0, 0x8039);
	ioapic_set_irq(ioapic, 9, true);
	entry(9, 0, 0x10039);
	ck_assert_uint_eq(get(0x22), 0x10039);
	entry(9, 0, 0x8039);
	ck_assert_uint_eq(count, 2);
}
END_TEST

START_TEST(messages_say_it_all)
{
	static const u32 modes[] = { 0, 1, 2, 4, 5, 7 };

	for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
		entry(1, 0xc1000000, 0x800 | modes[i] << 8 | 0x55);
		ioapic_set_irq(ioapic, 1, true);
		ioapic_set_irq(ioapic, 1, false);
		ck_assert_uint_eq(count, i + 1);
		ck_assert_uint_eq(messages[i].address, 0xfeec1004); /* destination C1h, logical */
		ck_assert_uint_eq(messages[i].data & 0x7ff, modes[i] << 8 | 0x55);
	}
}
END_TEST

START_TEST(wild_pins)
{
	ioapic_set_irq(ioapic, -1, true);
	ioapic_set_irq(ioapic, 24, true);
	ck_assert_uint_eq(count, 0);
}
END_TEST

static struct part part_of(void *p) { return ioapic_part(p); }
static void refresh(void *p) { ioapic_refresh(p); }
static void destroy(void *p) { ioapic_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { IOAPIC_BASE, 0x1000 }, { IOAPIC_BASE, 0x20 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 4);
}
END_TEST

static void begin(void) { ioapic = make(); }
static unsigned parts(struct part *out) { return out[0] = ioapic_part(ioapic), 1; }
static void refresh_all(void) { ioapic_refresh(ioapic); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, registers);
	tcase_add_test(tc, edge);
	tcase_add_test(tc, masked_edge_is_lost);
	tcase_add_test(tc, level);
	tcase_add_test(tc, masked_level_waits);
	tcase_add_test(tc, eoi_register);
	tcase_add_test(tc, edge_and_back);
	tcase_add_test(tc, messages_say_it_all);
	tcase_add_test(tc, wild_pins);
}

int main(void)
{
	Suite *suite = suite_create("ioapic");
	TCase *all = tcase_create("ioapic"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	suite_add_tcase(suite, all);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
