/* SPDX-License-Identifier: MIT */
/* User interrupts, step by step as SDM vol. 3, chapter 8, and vol. 2, SENDUIPI and UIRET, have them. */
#include "cpu/system/apic.h"
#include "cpu/system/xsave.h"
#include "cpu/uintr.h"
#include "tests/unit/modes.h"

enum { TABLE = DATA, UPID = DATA + 0x100, AREA = DATA + 0x400, UINV = 0xec };
enum { RR = 0x985, UI_HANDLER, STACKADJUST, MISC, PD, TT };

static void uintr_setup(void)
{
	struct cpu_config config = {
		.model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true, .apic = true
	};

	ck_assert(model_parse(&model, "max,+uintr", NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(RAM_SIZE);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, RAM_SIZE, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
	enter(LONG, 3);
	c->apic->svr |= 0x100;
	c->cr4 |= CR4_UINTR | CR4_OSXSAVE;
	c->eflags |= FL_I;
	settle();
	ck_assert(write_msr(c, UI_HANDLER, HANDLER) && write_msr(c, STACKADJUST, 128) && write_msr(c, PD, UPID) &&
		  write_msr(c, MISC, (u64)UINV << 32 | 3) && write_msr(c, TT, TABLE | 1));
	for (unsigned i = 0; i < 4; i++) { /* vectors 5, 15, 25, 35 */
		poke64(TABLE + 16 * i, 1 | (5 + 10 * i) << 8);
		poke64(TABLE + 16 * i + 8, UPID);
	}
	poke64(UPID, UINV << 16);
	poke64(UPID + 8, 0);
	POKE(HANDLER, 0x90, 0x48, 0x83, 0xc4, 0x08, 0xf3, 0x0f, 0x01, 0xec); /* nop; add rsp, 8; uiret */
}

/* The vector of the fault of the instruction at CODE, or RETIRED. */
static int run(const u8 *code, unsigned len)
{
	poke(CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) == CPU_EXCEPTION ? c->fault.vector : RETIRED;
}
#define RUN_CODE(...) run((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))
static int clui(void) { return RUN_CODE(0xf3, 0x0f, 0x01, 0xee); }
static int stui(void) { return RUN_CODE(0xf3, 0x0f, 0x01, 0xef); }
static int testui(void) { return RUN_CODE(0xf3, 0x0f, 0x01, 0xed); }
static int senduipi(u64 index)
{
	c->r[RAX] = index;
	return RUN_CODE(0xf3, 0x0f, 0xc7, 0xf0, 0x90, 0x90);
}
static u64 msr(u32 index)
{
	u64 v;

	ck_assert(read_msr(c, index, &v));
	return v;
}
static void step(void) { ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT); }

START_TEST(the_flag)
{
	cpu_set_arith(c, FL_Z | FL_O | FL_C);
	ck_assert_int_eq(testui(), RETIRED);
	ck_assert_uint_eq(cpu_flags(c) & 0x8d5, 0);
	ck_assert_int_eq(stui(), RETIRED);
	ck_assert_int_eq(testui(), RETIRED);
	ck_assert_uint_eq(cpu_flags(c) & 0x8d5, FL_C);
	ck_assert_int_eq(clui(), RETIRED);
	ck_assert_int_eq(testui(), RETIRED);
	ck_assert_uint_eq(cpu_flags(c) & 0x8d5, 0);
	c->cr4 &= ~(u64)CR4_UINTR;
	ck_assert_int_eq(testui(), VEC_UD);
	ck_assert_int_eq(stui(), VEC_UD);
	ck_assert_int_eq(clui(), VEC_UD);
	ck_assert_int_eq(senduipi(0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0xf3, 0x0f, 0x01, 0xec), VEC_UD);
}
END_TEST

START_TEST(registers)
{
	static const struct {
		u32 index;
		u64 refused;
	} wrong[] = {
		{ UI_HANDLER, (u64)1 << 60 }, { STACKADJUST, 2 }, { STACKADJUST, (u64)1 << 60 },
		{ MISC, (u64)1 << 40 },       { PD, UPID + 32 },  { TT, TABLE | 2 },
		{ TT, (u64)1 << 60 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert(!write_msr(c, wrong[i].index, wrong[i].refused));
	ck_assert(write_msr(c, RR, ~(u64)0));
	ck_assert_uint_eq(msr(RR), ~(u64)0);
	ck_assert_uint_eq(msr(MISC), (u64)UINV << 32 | 3);
}
END_TEST

START_TEST(targets)
{
	c->eflags &= ~(u32)FL_I;
	ck_assert_int_eq(senduipi(2), RETIRED);
	ck_assert_uint_eq(peek(UPID, 8), (UINV << 16) | 1);
	ck_assert_uint_eq(peek(UPID + 8, 8), 1 << 25);
	ck_assert(apic_pending(c->apic));
	ck_assert_int_eq(senduipi(0), RETIRED);
	ck_assert_uint_eq(peek(UPID + 8, 8), 1 << 25 | 1 << 5);
	ck_assert_int_eq(apic_acknowledge(c->apic), UINV);
	poke64(UPID, (UINV << 16) | 2); /* SN */
	ck_assert_int_eq(senduipi(1), RETIRED);
	ck_assert_uint_eq(peek(UPID, 8), (UINV << 16) | 2);
	ck_assert(!apic_pending(c->apic));
	ck_assert_int_eq(senduipi(4), VEC_GP);
	poke64(UPID, (UINV << 16) | 4);
	ck_assert_int_eq(senduipi(0), VEC_GP);
	poke64(UPID, UINV << 16);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool vector = bit >= 8 && bit < 14;

		poke64(TABLE, (1 | 5 << 8) ^ (u64)1 << bit);
		ck_assert_int_eq(senduipi(0), vector ? RETIRED : VEC_GP);
	}
	poke64(TABLE, 1);
	poke64(TABLE + 8, UPID + 8);
	ck_assert_int_eq(senduipi(0), VEC_GP);
	poke64(TABLE + 8, (u64)1 << 60);
	ck_assert_int_eq(senduipi(0), VEC_GP);
	ck_assert(write_msr(c, TT, TABLE));
	ck_assert_int_eq(senduipi(1), VEC_UD);
}
END_TEST

/* SENDUIPI to itself: the notification, the delivery, and the way back. */
START_TEST(there_and_back)
{
	u64 rsp = STACK - 3, frame = ((rsp - 128) & ~(u64)15) - 32;

	ck_assert_int_eq(stui(), RETIRED);
	c->r[RSP] = rsp;
	cpu_set_arith(c, FL_C | FL_S);
	ck_assert_int_eq(senduipi(3), RETIRED);
	ck_assert_uint_eq(c->r[RIP], CODE + 4);
	while (c->r[RIP] >= CODE && c->r[RIP] < HANDLER)
		step();
	ck_assert_uint_eq(c->r[RIP], HANDLER + 1);
	ck_assert_uint_eq(peek(UPID, 8), UINV << 16);
	ck_assert_uint_eq(peek(UPID + 8, 8), 0);
	ck_assert_uint_eq(msr(RR), 0);
	ck_assert_uint_eq(c->apic->isr[UINV / 32] | c->apic->irr[UINV / 32], 0);
	ck_assert(!c->uintr->uif);
	ck_assert_uint_eq(c->r[RSP], frame);
	ck_assert_uint_eq(peek(frame, 8), 35);
	ck_assert_uint_eq(peek(frame + 8, 8) & ~(u64)3, CODE + 4);
	ck_assert_uint_eq(peek(frame + 16, 8) & 0xfff, 0x200 | FL_C | FL_S | 2);
	ck_assert_uint_eq(peek(frame + 24, 8), rsp);
	step();
	poke64(frame + 16, FL_D | FL_Z | 2 | FL_IOPL); /* IOPL and IF stay */
	step();
	ck_assert_uint_eq(c->r[RIP] & ~(u64)3, CODE + 4);
	ck_assert_uint_eq(c->r[RSP], rsp);
	ck_assert(c->uintr->uif);
	ck_assert_uint_eq(cpu_flags(c) & 0xfffff, FL_D | FL_Z | FL_I | 2);
	c->r[RSP] = STACK;
	poke64(STACK, (u64)1 << 60);
	ck_assert_int_eq(RUN_CODE(0xf3, 0x0f, 0x01, 0xec), VEC_GP);
	ck_assert_uint_eq(c->r[RSP], STACK);
}
END_TEST

START_TEST(held_off)
{
	ck_assert(write_msr(c, RR, 1 << 7 | 1 << 9));
	ck_assert_int_eq(RUN_CODE(0x90), RETIRED); /* UIF is 0 */
	ck_assert_uint_eq(c->r[RIP], CODE + 1);
	ck_assert_int_eq(stui(), RETIRED);
	c->eflags &= ~(u32)FL_I; /* IF has nothing to do with it */
	ck_assert(write_msr(c, STACKADJUST, (STACK0 + 8) | 1));
	step();
	ck_assert_uint_eq(c->r[RIP], HANDLER + 1);
	ck_assert_uint_eq(c->r[RSP], STACK0 - 32);
	ck_assert_uint_eq(peek(c->r[RSP], 8), 9);
	ck_assert_uint_eq(msr(RR), 1 << 7);
	/* at CPL 0 */
	enter(LONG, 0);
	c->cr4 |= CR4_UINTR;
	c->uintr->uif = true;
	c->uintr->rr = 1;
	c->uintr->handler = HANDLER;
	ck_assert_int_eq(RUN_CODE(0x90), RETIRED);
	ck_assert_uint_eq(c->r[RIP], CODE + 1);
	/* a fault leaves everything as it was */
	enter(LONG, 3);
	c->cr4 |= CR4_UINTR;
	settle();
	c->uintr->uif = true;
	c->uintr->rr = 1;
	c->uintr->handler = HANDLER;
	c->r[RSP] = (u64)5 << 30;
	with_idt();
	ck_assert_int_eq(taken(), VEC_PF);
	ck_assert_uint_eq(peek(c->r[RSP] + 8, 8), CODE);
	ck_assert_uint_eq(peek(c->r[RSP] + 32, 8), (u64)5 << 30);
	ck_assert(c->uintr->uif && c->uintr->rr == 1);
}
END_TEST

/* One that waited while the system ran comes before the program's next instruction. */
START_TEST(behind_iret)
{
	u64 frame[] = { CODE + 0x20, CODE64(3), FL_1, STACK, DATA32(3) };

	enter(LONG, 0);
	c->cr4 |= CR4_UINTR;
	settle();
	c->uintr->uif = true;
	c->uintr->rr = 1;
	c->uintr->handler = HANDLER;
	poke(STACK0 - sizeof frame, frame, sizeof frame);
	c->r[RSP] = STACK0 - sizeof frame;
	POKE(CODE, 0x48, 0xcf); /* iretq */
	POKE(CODE + 0x20, 0x90, 0x90);
	POKE(HANDLER, 0x90);
	ck_assert_int_eq(cpu_run(c, c->icount + 2, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RIP], HANDLER + 1);
	ck_assert_uint_eq(peek(c->r[RSP] + 8, 8), CODE + 0x20);
}
END_TEST

START_TEST(component)
{
	enter(LONG, 0);
	c->cr4 |= CR4_UINTR | CR4_OSXSAVE;
	settle();
	ck_assert(write_msr(c, 0xda0, 1 << 14));
	ck_assert(write_msr(c, RR, 0x1234) && write_msr(c, UI_HANDLER, HANDLER) && write_msr(c, STACKADJUST, 128) &&
		  write_msr(c, PD, UPID) && write_msr(c, MISC, (u64)UINV << 32 | 3) && write_msr(c, TT, TABLE | 1));
	c->uintr->uif = true;
	memset(ram->host + AREA, 0, 1024);
	c->r[RAX] = 1 << 14, c->r[RDX] = 0, c->r[RBX] = AREA;
	ck_assert_int_eq(RUN_CODE(0x0f, 0xc7, 0x2b), RETIRED); /* xsaves [rbx] */
	ck_assert_uint_eq(peek(AREA + 512, 8), 1 << 14);
	ck_assert_uint_eq(peek(AREA + 520, 8), (u64)1 << 63 | 1 << 14);
	ck_assert_uint_eq(peek(AREA + 576, 8), HANDLER);
	ck_assert_uint_eq(peek(AREA + 584, 8), 128);
	ck_assert_uint_eq(peek(AREA + 592, 8), (u64)1 << 63 | (u64)UINV << 32 | 3);
	ck_assert_uint_eq(peek(AREA + 600, 8), UPID);
	ck_assert_uint_eq(peek(AREA + 608, 8), 0x1234);
	ck_assert_uint_eq(peek(AREA + 616, 8), TABLE | 1);
	ck_assert_uint_eq(msr(MISC), 3); /* no notification until XRSTORS */
	ck_assert(write_msr(c, RR, 0) && write_msr(c, UI_HANDLER, 0));
	c->uintr->uif = false;
	ck_assert_int_eq(RUN_CODE(0x0f, 0xc7, 0x1b), RETIRED); /* xrstors [rbx] */
	ck_assert_uint_eq(msr(RR), 0x1234);
	ck_assert_uint_eq(msr(UI_HANDLER), HANDLER);
	ck_assert_uint_eq(msr(MISC), (u64)UINV << 32 | 3);
	ck_assert(c->uintr->uif);
	ck_assert_int_eq(RUN_CODE(0x0f, 0xc7, 0x1b), VEC_GP); /* UINV is there */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("user interrupts");
	TCase *tc = tcase_create("SDM");

	tcase_add_checked_fixture(tc, uintr_setup, bare_free);
	tcase_add_test(tc, the_flag);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, targets);
	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, held_off);
	tcase_add_test(tc, behind_iret);
	tcase_add_test(tc, component);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
