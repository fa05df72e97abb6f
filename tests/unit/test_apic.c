/* SPDX-License-Identifier: MIT */
/* The local APIC against SDM vol. 3, chapter 11: registers, priorities, timer, messages, modes. */
#include <check.h>
#include <stdlib.h>
#include "cpu/system/apic.h"

enum { REG_ID = 0x20, REG_VERSION = 0x30, REG_TPR = 0x80, REG_PPR = 0xa0, REG_EOI = 0xb0, REG_LDR = 0xd0,
	REG_DFR = 0xe0, REG_SVR = 0xf0,
       REG_ISR = 0x100, REG_TMR = 0x180, REG_IRR = 0x200, REG_ESR = 0x280, REG_ICR = 0x300, REG_ICR2 = 0x310,
       REG_TIMER = 0x320,
       REG_LINT0 = 0x350, REG_LINT1 = 0x360, REG_ERROR = 0x370, REG_INITIAL = 0x380, REG_CURRENT = 0x390,
       REG_DIVIDE = 0x3e0 };
enum { MASKED = 1 << 16 };
#define BASE 0xfee00000u

static struct space mem, io;
static struct clock clk;
static struct model model;
static struct cpu *c;
static u8 last_eoi;

/* C is processor ID. */
static void build(unsigned id)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .apic = true };

	ck_assert(model_parse(&model, "max", NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	for (unsigned i = 0; i <= id; i++) {
		c = cpu_new(&config);
		ck_assert_ptr_nonnull(c);
		if (!i)
			config.with = c;
	}
	c->all->turn = id;
	last_eoi = 0;
}

static void setup(void) { build(0); }

static void teardown(void)
{
	struct cpus *all = c->all;

	for (unsigned n = all->count; n-- > 0;)
		cpu_free(all->cpu[n]);
	space_free(&mem);
	space_free(&io);
}

static u32 in(unsigned reg) { return (u32)space_read(&mem, BASE + reg, 4); }
static void out(unsigned reg, u32 v) { space_write(&mem, BASE + reg, 4, v); }
static void enable(void) { out(REG_SVR, 0x1ff); }
static void fixed(unsigned vector) { apic_message(c->apic, BASE, vector); }

static void pass_until(u64 then)
{
	while (clock_next(&clk) <= then) {
		clk.now = clock_next(&clk);
		clock_fire(&clk);
	}
	clk.now = then;
}

static void eoi_of_level(void *owner, u8 vector)
{
	(void)owner;
	last_eoi = vector;
}

/* 11.4.7.1, on a processor that is not the first: that one begins with the virtual wire. */
START_TEST(after_reset)
{
	ck_assert_uint_eq(c->apic_base, BASE | 0x900);
	ck_assert_uint_eq(in(REG_LINT0), 0x700);
	ck_assert_uint_eq(in(REG_LINT1), 0x400);
	teardown();
	build(1);
	ck_assert_uint_eq(c->apic_base, BASE | 0x800);
	ck_assert_uint_eq(in(REG_ID), 1 << 24);
	ck_assert_uint_eq(in(REG_VERSION) & 0xff, 0x14);
	ck_assert_uint_eq(in(REG_SVR), 0xff);
	ck_assert_uint_eq(in(REG_DFR), 0xffffffff);
	ck_assert_uint_eq(in(REG_LDR), 0);
	for (unsigned reg = REG_TIMER; reg <= REG_ERROR; reg += 0x10)
		ck_assert_uint_eq(in(reg), MASKED);
	ck_assert_uint_eq(in(REG_INITIAL) | in(REG_CURRENT) | in(REG_DIVIDE) | in(REG_TPR), 0);
	/* LVT masks cannot be cleared while the APIC is disabled by software (11.4.7.2). */
	out(REG_TIMER, 0x30);
	ck_assert_uint_eq(in(REG_TIMER), 0x30 | MASKED);
}
END_TEST

/* 11.8.3.1: the processor priority is the higher of task priority and what is in service, by class. */
START_TEST(priorities)
{
	enable();
	fixed(0x41);
	fixed(0x62);
	ck_assert_uint_eq(in(REG_IRR + 0x20), 2);
	ck_assert(apic_pending(c->apic));
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x62);
	ck_assert_uint_eq(in(REG_PPR), 0x60);
	ck_assert_uint_eq(in(REG_ISR + 0x30), 4);
	ck_assert(!apic_pending(c->apic)); /* 41h waits */
	fixed(0x6f);
	ck_assert(!apic_pending(c->apic)); /* the same class waits too */
	fixed(0x70);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x70);
	out(REG_EOI, 0);
	ck_assert_uint_eq(in(REG_PPR), 0x60);
	out(REG_EOI, 0);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x6f);
	out(REG_EOI, 0);
	out(REG_TPR, 0x4a);
	ck_assert_uint_eq(in(REG_PPR), 0x4a);
	ck_assert(!apic_pending(c->apic)); /* 41h is not above class 4 */
	out(REG_TPR, 0x3f);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x41);
	/* Nothing is left: the spurious vector (11.9). */
	ck_assert_int_eq(apic_acknowledge(c->apic), 0xff);
}
END_TEST

/* CR8 is bits 4-7 of TPR (11.8.6). */
START_TEST(cr8)
{
	ck_assert(write_cr8(c, 9));
	ck_assert_uint_eq(in(REG_TPR), 0x90);
	ck_assert_uint_eq(apic_get_tpr(c->apic), 0x90);
	ck_assert(!write_cr8(c, 16));
}
END_TEST

/* TMR tells level from edge; the EOI of a level interrupt is broadcast (11.8.5). */
START_TEST(level)
{
	enable();
	apic_set_eoi(c->apic, eoi_of_level, NULL);
	apic_message(c->apic, BASE, 0x50 | 1 << 15 | 1 << 14);
	ck_assert_uint_eq(in(REG_TMR + 0x20), 1 << 16);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x50);
	out(REG_EOI, 0);
	ck_assert_uint_eq(last_eoi, 0x50);
	last_eoi = 0;
	fixed(0x50);
	ck_assert_uint_eq(in(REG_TMR + 0x20), 0);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x50);
	out(REG_EOI, 0);
	ck_assert_uint_eq(last_eoi, 0);
}
END_TEST

/* One shot: INITIAL counts of the divided clock of CPUID leaf 15h, which is 40 ns. */
START_TEST(one_shot)
{
	static const struct {
		u8 code;
		unsigned divider;
	} all[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };
	u64 period = 1000 * 40 * all[_i].divider;

	enable();
	pass_until(123);
	out(REG_TIMER, 0x30);
	out(REG_DIVIDE, all[_i].code);
	out(REG_INITIAL, 1000);
	ck_assert_uint_eq(in(REG_CURRENT), 1000);
	pass_until(123 + period / 4);
	ck_assert_uint_eq(in(REG_CURRENT), 750);
	pass_until(123 + period - 1);
	ck_assert_uint_eq(in(REG_CURRENT), 1);
	ck_assert(!apic_pending(c->apic));
	pass_until(123 + period);
	ck_assert_uint_eq(in(REG_CURRENT), 0);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x30);
	ck_assert_uint_eq(clock_next(&clk), CLOCK_NEVER);
}
END_TEST

START_TEST(periodic)
{
	enable();
	out(REG_TIMER, 0x31 | 1 << 17);
	out(REG_DIVIDE, 11);
	out(REG_INITIAL, 250); /* 10 us */
	for (unsigned i = 1; i <= 5; i++) {
		ck_assert_uint_eq(clock_next(&clk), 10000 * i);
		pass_until(10000 * i);
		ck_assert_uint_eq(in(REG_CURRENT), 250);
		ck_assert_int_eq(apic_acknowledge(c->apic), 0x31);
		out(REG_EOI, 0);
	}
	out(REG_INITIAL, 0);
	ck_assert_uint_eq(clock_next(&clk), CLOCK_NEVER);
}
END_TEST

/* 11.5.4.1 */
START_TEST(deadline)
{
	u64 v;

	enable();
	pass_until(500);
	ck_assert(write_msr(c, 0x10, 1000000)); /* TSC */
	clk.now = 500;
	ck_assert(write_msr(c, 0x6e0, 1000100));
	ck_assert(read_msr(c, 0x6e0, &v));
	ck_assert_uint_eq(v, 0); /* not in this mode: ignored */
	out(REG_TIMER, 0x32 | 2 << 17);
	clk.now = 500;
	apic_write_deadline(c->apic, clk.now + c->tsc_offset + 100);
	ck_assert_uint_ne(apic_read_deadline(c->apic), 0);
	ck_assert_uint_eq(clock_next(&clk), 600);
	out(REG_INITIAL, 5); /* ignored */
	ck_assert_uint_eq(clock_next(&clk), 600);
	pass_until(600);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x32);
	ck_assert_uint_eq(apic_read_deadline(c->apic), 0);
	out(REG_EOI, 0);
	/* A deadline that has passed fires at once; zero disarms. */
	apic_write_deadline(c->apic, 1);
	ck_assert_uint_le(clock_next(&clk), 600);
	apic_write_deadline(c->apic, 0);
	ck_assert_uint_eq(clock_next(&clk), CLOCK_NEVER);
}
END_TEST

/* 11.6.2.2: flat and cluster model; FFh is everybody. */
START_TEST(destinations)
{
	static const struct { u32 dfr, ldr, dest; bool logical, hit; } all[] = {
		{ 0xffffffff, 0x02000000, 0x02, true, true }, { 0xffffffff, 0x02000000, 0x06, true, true },
			{ 0xffffffff, 0x02000000, 0x05, true, false },
		{ 0x0fffffff, 0x32000000, 0x32, true, true }, { 0x0fffffff, 0x32000000, 0x3f, true, true },
			{ 0x0fffffff, 0x32000000, 0x22, true, false },
		{ 0x0fffffff, 0x32000000, 0x34, true, false }, { 0xffffffff, 0x02000000, 0, false, true },
			{ 0xffffffff, 0x02000000, 2, false, false },
		{ 0xffffffff, 0, 0xff, true, true }, { 0xffffffff, 0, 0xff, false, true },
	};

	enable();
	out(REG_DFR, all[_i].dfr);
	out(REG_LDR, all[_i].ldr);
	apic_message(c->apic, BASE | all[_i].dest << 12 | (u64)all[_i].logical << 2, 0x40);
	ck_assert_int_eq(apic_pending(c->apic), all[_i].hit);
}
END_TEST

/* Interrupts to oneself, by all four ways to say so (11.6.1). */
START_TEST(interrupts_to_self)
{
	static const u32 low[] = { 0x45, 0x45 | 1 << 18, 0x45 | 2 << 18 };

	enable();
	out(REG_ICR2, 0);
	out(REG_ICR, low[_i]);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x45);
	out(REG_EOI, 0);
	out(REG_ICR, 0x45 | 3 << 18); /* everybody but me */
	ck_assert(!apic_pending(c->apic));
}
END_TEST

/* 11.5.3: ESR shows what happened since it was last written. */
START_TEST(errors)
{
	enable();
	out(REG_ERROR, 0x55);
	out(REG_ICR, 5); /* vectors below 16 */
	ck_assert_uint_eq(in(REG_ESR), 0);
	out(REG_ESR, 0);
	ck_assert_uint_eq(in(REG_ESR), 0x20);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x55);
	fixed(3);
	out(REG_ESR, 0);
	ck_assert_uint_eq(in(REG_ESR), 0x40);
	in(0x40);
	out(REG_ESR, 0);
	ck_assert_uint_eq(in(REG_ESR), 0x80);
	out(REG_ESR, 0);
	ck_assert_uint_eq(in(REG_ESR), 0);
}
END_TEST

/* LINT0 as ExtINT: the 8259 gives the vector; without the APIC it is INTR (11.5.1, 11.4.3). */
START_TEST(virtual_wire)
{
	apic_lint(c->apic, 0, true);
	out(REG_LINT0, 0x700 | MASKED);
	ck_assert(!apic_pending(c->apic));
	out(REG_LINT0, 0x700);
	ck_assert(apic_pending(c->apic));
	ck_assert_int_eq(apic_acknowledge(c->apic), -1);
	apic_lint(c->apic, 0, false);
	ck_assert(!apic_pending(c->apic));
	apic_lint(c->apic, 1, true);
	ck_assert(c->nmi_pending);
	ck_assert(apic_set_base(c->apic, BASE | 0x100));
	apic_lint(c->apic, 0, true);
	ck_assert(apic_pending(c->apic));
	ck_assert_uint_eq(in(REG_VERSION), 0xffffffff); /* the page is gone */
}
END_TEST

/* Figure 11-27: modes, and the ways between them. */
START_TEST(modes)
{
	enum { OFF = 0x100, XAPIC = 0x900, X2APIC = 0xd00, INVALID = 0x500 };
	static const struct { unsigned from, to; bool ok; } all[] = {
		{ XAPIC, X2APIC, true }, { XAPIC, OFF, true }, { X2APIC, OFF, true }, { OFF, XAPIC, true },
			{ X2APIC, XAPIC, false },
		{ OFF, X2APIC, false }, { XAPIC, INVALID, false }, { X2APIC, INVALID, false }, { OFF, INVALID, false },
	};

	if (all[_i].from != XAPIC)
		ck_assert(apic_set_base(c->apic, BASE | all[_i].from));
	ck_assert_int_eq(apic_set_base(c->apic, BASE | all[_i].to), all[_i].ok);
}
END_TEST

/* 11.12.1: the registers that are MSRs, and what faults. */
START_TEST(x2apic)
{
	u64 v;

	ck_assert(!read_msr(c, 0x802, &v)); /* not yet */
	ck_assert(write_msr(c, 0x1b, BASE | 0xd00));
	ck_assert(read_msr(c, 0x802, &v));
	ck_assert_uint_eq(v, 0);
	ck_assert(read_msr(c, 0x80d, &v)); /* logical ID: cluster 0, bit 0 */
	ck_assert_uint_eq(v, 1);
	ck_assert(!write_msr(c, 0x80d, 1));
	ck_assert(!read_msr(c, 0x80e, &v)); /* no DFR */
	ck_assert(!read_msr(c, 0x80b, &v)); /* EOI is write-only */
	ck_assert(!write_msr(c, 0x80b, 1));
	ck_assert(!write_msr(c, 0x808, 0x100));
	ck_assert(!read_msr(c, 0x831, &v));
	ck_assert(write_msr(c, 0x80f, 0x1ff));
	ck_assert(write_msr(c, 0x83f, 0x77)); /* self IPI */
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x77);
	ck_assert(write_msr(c, 0x80b, 0));
	ck_assert(write_msr(c, 0x830, 0x78)); /* to ID 0 */
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x78);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("apic");
	TCase *t = tcase_create("apic");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, after_reset);
	tcase_add_test(t, priorities);
	tcase_add_test(t, cr8);
	tcase_add_test(t, level);
	tcase_add_loop_test(t, one_shot, 0, 8);
	tcase_add_test(t, periodic);
	tcase_add_test(t, deadline);
	tcase_add_loop_test(t, destinations, 0, 11);
	tcase_add_loop_test(t, interrupts_to_self, 0, 3);
	tcase_add_test(t, errors);
	tcase_add_test(t, virtual_wire);
	tcase_add_loop_test(t, modes, 0, 9);
	tcase_add_test(t, x2apic);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
