/* SPDX-License-Identifier: MIT */
/* Shadow stacks and the tracker of indirect branches: SDM vol. 1, chapter 17, vol. 2 at each instruction, vol. 3, 4.6
 * (pages) and 6.15 (#CP). */
#include "cpu/cet.h"
#include "tests/unit/modes.h"

enum { PT = 0x6000, SHADOW = 0x7000, TOP = SHADOW + 0x800, PD = 0xf000, TARGET = CODE + 0x80 };
enum { P = 1, W = 2, U = 4, D = 0x40 };

static void cet_setup(void) { bare_new("max,+shstk,+ibt", RAM_SIZE); }

/* In 64-bit mode at CPL, by pages of 4 KBytes; SHADOW is a shadow stack, of the user if CPL is 3. */
static void arrange(unsigned cpl, u64 control)
{
	enter(LONG, cpl);
	poke64(PML4 + 0x1000, PD | 0x67);
	poke64(PD, PT | 0x67);
	for (unsigned i = 0; i < 16; i++)
		poke64(PT + 8 * i, i << 12 | 0x67);
	poke64(PT + 8 * (SHADOW >> 12), SHADOW | P | D | (cpl == 3 ? U : 0));
	c->cr0 |= CR0_WP;
	c->cr4 |= CR4_CET;
	*(cpl == 3 ? &c->u_cet : &c->s_cet) = control;
	c->ssp = TOP;
	settle();
}

static int step(void)
{
	c->activity = ACTIVITY_RUN;
	c->fault.vector = 0xff;
	settle();
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) == CPU_EXCEPTION ? c->fault.vector : -1;
}
#define RETIRES() ck_assert_int_eq(step(), -1)
#define FAULTS(number, code) \
	do { \
		ck_assert_int_eq(step(), number); \
		ck_assert_uint_eq(c->fault.error, code); \
	} while (0)
static void put_shadow(u64 at, u64 v) { poke64(at, v); }

/* ---- near calls and returns ---- */

START_TEST(near_call)
{
	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		arrange(cpl, CET_SHSTK);
		POKE(CODE, 0xe8, 0x7b, 0, 0, 0); /* call TARGET */
		POKE(TARGET, 0xc2, 8, 0);        /* ret 8 */
		RETIRES();
		ck_assert_uint_eq(c->r[RIP], TARGET);
		ck_assert_uint_eq(c->ssp, TOP - 8);
		ck_assert_uint_eq(peek(TOP - 8, 8), CODE + 5);
		ck_assert_uint_eq(peek(STACK - 8, 8), CODE + 5);
		RETIRES();
		ck_assert_uint_eq(c->r[RIP], CODE + 5);
		ck_assert_uint_eq(c->ssp, TOP);
		ck_assert_uint_eq(c->r[RSP], STACK + 8);
		/* the other return address */
		arrange(cpl, CET_SHSTK);
		POKE(CODE, 0xc3);
		poke64(STACK, TARGET);
		put_shadow(TOP, TARGET + 1);
		FAULTS(VEC_CP, CP_NEAR_RET);
		ck_assert_uint_eq(c->r[RSP], STACK);
		ck_assert_uint_eq(c->ssp, TOP);
		/* where the stack faults, the shadow stack stays */
		arrange(cpl, CET_SHSTK);
		POKE(CODE, 0xff, 0xd3); /* call rbx */
		c->r[RBX] = TARGET;
		c->r[RSP] = 0x20000;
		put_shadow(TOP - 8, 5);
		ck_assert_int_eq(step(), VEC_PF);
		ck_assert_uint_eq(c->ssp, TOP);
		ck_assert_uint_eq(peek(TOP - 8, 8), 5);
	}
}
END_TEST

/* A call to the next instruction has no use for a return address. */
START_TEST(call_zero)
{
	arrange(3, CET_SHSTK);
	POKE(CODE, 0xe8, 0, 0, 0, 0);
	RETIRES();
	ck_assert_uint_eq(c->r[RSP], STACK - 8);
	ck_assert_uint_eq(c->ssp, TOP);
}
END_TEST

START_TEST(near_call_32)
{
	enter(P32, 0);
	c->cr0 |= CR0_WP;
	c->cr4 |= CR4_CET;
	c->s_cet = CET_SHSTK;
	c->ssp = TOP;
	settle();
	POKE(CODE, 0xe8, 0x7b, 0, 0, 0);
	POKE(TARGET, 0xc3);
	RETIRES();
	ck_assert_uint_eq(c->ssp, TOP - 4);
	ck_assert_uint_eq(peek(TOP - 4, 4), CODE + 5);
	RETIRES();
	ck_assert_uint_eq(c->ssp, TOP);
}
END_TEST

/* ---- pages ---- */

START_TEST(pages)
{
	/* the entry of the page; who; the error code of a near call, 0: none; then of an ordinary write */
	static const struct { u8 entry, cpl, upper; u32 call, write; } cases[] = {
		{ P | D | U, 3, 0x67, 0, 7 },          { P | D, 3, 0x67, 0x40 | 7, 7 },
		{ P | D, 0, 0x67, 0, 3 },              { P | D | U, 0, 0x67, 0x40 | 3, 3 },
		{ P | W | D | U, 3, 0x67, 0x40 | 7, 0 }, { P | U, 3, 0x67, 0x40 | 7, 7 },
		{ 0, 3, 0x67, 0x40 | 6, 6 },           { P | D | U, 3, 0x65, 0x40 | 7, 7 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		for (unsigned write = 0; write < 2; write++) {
			u32 want = write ? cases[i].write : cases[i].call;

			arrange(cases[i].cpl, CET_SHSTK);
			/* a second way to the page, so that only that is of the kind */
			poke64(PML4 + 0x1008, PD | 0x67);
			poke64(PD + 8 * 511, PT | cases[i].upper);
			poke64(PT + 8 * 15, SHADOW | cases[i].entry);
			c->ssp = 0x7fe0f800; /* through the second gigabyte's last 2 MBytes */
			c->r[RBX] = c->ssp;
			if (write)
				POKE(CODE, 0x89, 0x03); /* mov [rbx], eax */
			else
				POKE(CODE, 0xe8, 0x7b, 0, 0, 0);
			if (!want) {
				RETIRES();
				continue;
			}
			FAULTS(VEC_PF, want);
			ck_assert_uint_eq(c->cr2, write ? c->ssp : c->ssp - 8);
		}
	}
}
END_TEST

/* ---- far transfers and interruptions ---- */

START_TEST(far_calls)
{
	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		arrange(cpl, CET_SHSTK);
		POKE(CODE, 0x48, 0xff, 0x1b);   /* call far [rbx] */
		POKE(TARGET, 0x48, 0xcb);       /* ret far */
		poke64(DATA, TARGET);
		poke16(DATA + 8, CODE64(cpl));
		c->r[RBX] = DATA;
		c->ssp = TOP - 4; /* a hole of four bytes is filled */
		put_shadow(TOP - 8, ~(u64)0);
		RETIRES();
		ck_assert_uint_eq(c->ssp, TOP - 32);
		ck_assert_uint_eq(peek(TOP - 8, 8), 0xffffffff00000000);
		ck_assert_uint_eq(peek(TOP - 16, 8), CODE64(cpl));
		ck_assert_uint_eq(peek(TOP - 24, 8), CODE + 3);
		ck_assert_uint_eq(peek(TOP - 32, 8), TOP - 4);
		for (unsigned word = 0; word < 3; word++) { /* CS, LIP, SSP */
			u64 at = TOP - 16 - 8 * word, before = peek(at, 8);

			put_shadow(at, before ^ 1);
			FAULTS(VEC_CP, CP_FAR_RET);
			put_shadow(at, before);
		}
		RETIRES();
		ck_assert_uint_eq(c->r[RIP], CODE + 3);
		ck_assert_uint_eq(c->ssp, TOP - 4);
	}
}
END_TEST

/* From the user to the supervisor and back: the token of IA32_PL0_SSP is taken and given back. */
START_TEST(interrupt_from_user)
{
	for (unsigned bad = 0; bad < 4; bad++) {
		arrange(3, CET_SHSTK);
		with_idt();
		POKE(CODE, 0xcd, 0x40);
		POKE(handler_of(0x40), 0x48, 0xcf); /* iretq */
		poke64(PT + 8 * 4, 0x4000 | P | D);  /* the supervisor's shadow stack */
		c->s_cet = CET_SHSTK;
		c->pl0_ssp = 0x4800 - 8 + (bad == 1 ? 4 : bad == 2 ? 8 : 0);
		put_shadow(0x4800 - 8, bad == 3 ? 0x47f9 : 0x47f8);
		put_shadow(0x4800, 0x4800);
		c->idtr.limit = bad ? 0x40 * 16 + 15 : c->idtr.limit;
		if (bad) { /* #GP of the delivery: nothing has changed */
			set_gate(VEC_GP, 0);
			step();
			ck_assert_uint_eq(c->r[RIP], CODE);
			ck_assert_uint_eq(c->ssp, TOP);
			continue;
		}
		RETIRES();
		ck_assert_uint_eq(c->cpl, 0);
		ck_assert_uint_eq(c->pl3_ssp, TOP);
		ck_assert_uint_eq(c->ssp, 0x47f8);
		ck_assert_uint_eq(peek(0x47f8, 8), 0x47f9);
		RETIRES();
		ck_assert_uint_eq(c->cpl, 3);
		ck_assert_uint_eq(c->ssp, TOP);
		ck_assert_uint_eq(peek(0x47f8, 8), 0x47f8);
	}
}
END_TEST

/* Within the supervisor, on the same stack, and by IST on the one of the table. */
START_TEST(interrupt_in_supervisor)
{
	for (unsigned ist = 0; ist < 2; ist++) {
		u64 start = ist ? SHADOW + 0x3f8 : TOP;

		arrange(0, CET_SHSTK);
		with_idt();
		POKE(CODE, 0xcd, 0x40);
		POKE(handler_of(0x40), 0x48, 0xcf);
		set_gate(0x40, gate(CODE64(0), handler_of(0x40), 0xee, ist));
		poke64(TSS_AT + 36, STACK0 + 0x400);
		c->interrupt_ssp_table = DATA;
		poke64(DATA + 8, start);
		if (ist)
			put_shadow(start, start);
		RETIRES();
		ck_assert_uint_eq(c->ssp, start - 24);
		ck_assert_uint_eq(peek(start - 8, 8), CODE64(0));
		ck_assert_uint_eq(peek(start - 16, 8), CODE + 2);
		ck_assert_uint_eq(peek(start - 24, 8), TOP);
		if (ist)
			ck_assert_uint_eq(peek(start, 8), start | 1);
		c->idtr.limit = 0;
		put_shadow(start - 16, CODE + 3);
		FAULTS(VEC_CP, CP_FAR_RET);
		put_shadow(start - 16, CODE + 2);
		RETIRES();
		ck_assert_uint_eq(c->ssp, TOP);
		if (ist)
			ck_assert_uint_eq(peek(start, 8), start);
	}
}
END_TEST

START_TEST(system_calls)
{
	arrange(3, CET_SHSTK);
	POKE(CODE, 0x0f, 0x05);
	POKE(TARGET, 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x0f, 0x07); /* endbr64; sysret */
	c->s_cet = CET_SHSTK | CET_ENDBR | CET_SUPPRESS;
	c->lstar = TARGET;
	c->star = (u64)CODE64(0) << 32 | (u64)(CODE64(3) - 16) << 48;
	RETIRES();
	ck_assert_uint_eq(c->pl3_ssp, TOP);
	ck_assert_uint_eq(c->ssp, 0);
	ck_assert_uint_eq(c->s_cet, CET_SHSTK | CET_ENDBR | CET_WAIT);
	RETIRES();
	ck_assert_uint_eq(c->s_cet, CET_SHSTK | CET_ENDBR);
	c->pl3_ssp = TOP - 64;
	RETIRES();
	ck_assert_uint_eq(c->ssp, TOP - 64);
}
END_TEST

/* ---- the tracker ---- */

START_TEST(tracker)
{
	/* the code at the target; does it go on? in 32-bit mode? */
	static const struct { u8 code[4]; bool ok; } targets[] = {
		{ { 0xf3, 0x0f, 0x1e, 0xfa }, true }, { { 0xf3, 0x0f, 0x1e, 0xfb }, false }, { { 0x90 }, false },
		{ { 0x0f, 0x0b }, false },
	};
	static const u8 branches[][3] = { { 0xff, 0xe3 }, { 0xff, 0xd3 }, { 0xff, 0x26 }, { 0xff, 0x16 } };

	for (unsigned t = 0; t < ARRAY_LEN(targets); t++)
		for (unsigned b = 0; b < ARRAY_LEN(branches); b++)
			for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
				arrange(cpl, CET_ENDBR);
				poke(CODE, branches[b], 3);
				poke(TARGET, targets[t].code, 4);
				c->r[RBX] = TARGET;
				c->r[RSI] = DATA;
				poke64(DATA, TARGET);
				RETIRES();
				ck_assert_uint_eq(*cet_control(c, cpl), CET_ENDBR | CET_WAIT);
				if (targets[t].ok)
					RETIRES();
				else
					FAULTS(VEC_CP, CP_ENDBR);
				ck_assert_uint_eq(c->r[RIP], targets[t].ok ? TARGET + 4 : TARGET);
				ck_assert_uint_eq(*cet_control(c, cpl), CET_ENDBR | (targets[t].ok ? 0 : CET_WAIT));
			}
}
END_TEST

START_TEST(not_tracked)
{
	for (unsigned on = 0; on < 2; on++) {
		arrange(3, CET_ENDBR | (on ? CET_NOTRACK : 0));
		POKE(CODE, 0x3e, 0xff, 0xe3); /* notrack jmp rbx */
		POKE(TARGET, 0x90);
		c->r[RBX] = TARGET;
		RETIRES();
		ck_assert_int_eq(step(), on ? -1 : VEC_CP);
	}
	/* direct branches and returns */
	arrange(3, CET_ENDBR);
	POKE(CODE, 0xe8, 0x7b, 0, 0, 0, 0x90);
	POKE(TARGET, 0xc3);
	RETIRES();
	RETIRES();
	RETIRES();
	ck_assert_uint_eq(c->r[RIP], CODE + 6);
	/* INT3 in place of ENDBR is a breakpoint */
	arrange(3, CET_ENDBR | CET_WAIT);
	POKE(CODE, 0xcc);
	c->idtr.limit = 0;
	ck_assert_int_eq(step(), VEC_GP);
}
END_TEST

/* A bitmap names pages of code that is older: there the tracker is suppressed until the next ENDBR. */
START_TEST(legacy_code)
{
	for (unsigned known = 0; known < 2; known++) {
		arrange(3, CET_ENDBR | CET_LEGACY | DATA);
		POKE(CODE, 0xff, 0xe3);
		POKE(TARGET, 0x90, 0xff, 0xe3);
		poke8(DATA + (TARGET >> 15), (u8)(known << (TARGET >> 12 & 7)));
		c->r[RBX] = TARGET;
		RETIRES();
		if (!known) {
			FAULTS(VEC_CP, CP_ENDBR);
			continue;
		}
		RETIRES();
		ck_assert_uint_eq(c->u_cet, CET_ENDBR | CET_LEGACY | DATA | CET_SUPPRESS);
		RETIRES();
		RETIRES();
		ck_assert_uint_eq(c->r[RIP], TARGET + 1);
	}
}
END_TEST

/* ---- instructions ---- */

START_TEST(pointer)
{
	arrange(3, CET_SHSTK);
	POKE(CODE, 0xf3, 0x48, 0x0f, 0x1e, 0xc8, 0xf3, 0x48, 0x0f, 0xae, 0xe8); /* rdsspq rax; incsspq rax */
	RETIRES();
	ck_assert_uint_eq(c->r[RAX], TOP);
	c->r[RAX] = 0x103;
	RETIRES();
	ck_assert_uint_eq(c->ssp, TOP + 24);
	c->r[RIP] = CODE + 5;
	c->r[RAX] = 0xff;
	c->ssp = SHADOW + 0xff0;
	FAULTS(VEC_PF, 0x45); /* the last one is beyond the page */
	arrange(3, 0);
	POKE(CODE, 0xf3, 0x48, 0x0f, 0x1e, 0xc8, 0xf3, 0x48, 0x0f, 0xae, 0xe8);
	c->r[RAX] = 7;
	RETIRES();
	ck_assert_uint_eq(c->r[RAX], 7);
	ck_assert_int_eq(step(), VEC_UD);
}
END_TEST

START_TEST(writes)
{
	arrange(3, CET_SHSTK | CET_WRSS);
	POKE(CODE, 0x48, 0x0f, 0x38, 0xf6, 0x0b); /* wrssq [rbx], rcx */
	c->r[RBX] = TOP;
	c->r[RCX] = 0x123456789abcdef;
	RETIRES();
	ck_assert_uint_eq(peek(TOP, 8), 0x123456789abcdef);
	c->r[RIP] = CODE;
	c->r[RBX] = TOP + 4;
	FAULTS(VEC_GP, 0);
	c->r[RBX] = DATA;
	FAULTS(VEC_PF, 0x47);
	c->u_cet = CET_SHSTK;
	ck_assert_int_eq(step(), VEC_UD);
	arrange(0, 0);
	POKE(CODE, 0x66, 0x48, 0x0f, 0x38, 0xf5, 0x0b); /* wrussq [rbx], rcx */
	poke64(PT + 8 * (SHADOW >> 12), SHADOW | P | D | U);
	c->r[RBX] = TOP;
	c->r[RCX] = 5;
	RETIRES();
	ck_assert_uint_eq(peek(TOP, 8), 5);
	arrange(0, 0);
	POKE(CODE, 0x66, 0x48, 0x0f, 0x38, 0xf5, 0x0b);
	c->r[RBX] = TOP;
	FAULTS(VEC_PF, 0x47); /* a page of the supervisor */
	c->cr4 &= ~(u64)CR4_CET;
	ck_assert_int_eq(step(), VEC_UD);
	arrange(3, CET_SHSTK);
	POKE(CODE, 0x66, 0x48, 0x0f, 0x38, 0xf5, 0x0b);
	ck_assert_int_eq(step(), VEC_GP);
}
END_TEST

/* To another stack with a restore token, and a token on the one that is left. */
START_TEST(switches)
{
	u64 other = SHADOW + 0x400, token = other + 8;

	for (unsigned bad = 0; bad < 4; bad++) {
		arrange(3, CET_SHSTK);
		POKE(CODE, 0xf3, 0x0f, 0x01, 0x2b, 0xf3, 0x0f, 0x01, 0xea); /* rstorssp [rbx]; saveprevssp */
		c->r[RBX] = other + (bad == 1 ? 4 : 0);
		put_shadow(other, bad == 2 ? token : bad == 3 ? token + 8 + 1 : token | 1);
		if (bad) {
			FAULTS(bad == 1 ? VEC_GP : VEC_CP, bad == 1 ? 0 : CP_RSTORSSP);
			continue;
		}
		cpu_set_arith(c, OSZAPC);
		RETIRES();
		ck_assert_uint_eq(c->ssp, other);
		ck_assert_uint_eq(peek(other, 8), TOP | 3);
		ck_assert_uint_eq(cpu_flags(c) & OSZAPC, 0);
		RETIRES();
		ck_assert_uint_eq(c->ssp, other + 8);
		ck_assert_uint_eq(peek(TOP - 8, 8), TOP | 1);
		c->r[RIP] = CODE; /* and back */
		c->r[RBX] = TOP - 8;
		RETIRES();
		ck_assert_uint_eq(c->ssp, TOP - 8);
	}
}
END_TEST

START_TEST(tokens)
{
	for (unsigned busy = 0; busy < 2; busy++) {
		arrange(0, CET_SHSTK);
		POKE(CODE, 0xf3, 0x0f, 0x01, 0xe8, 0xf3, 0x0f, 0xae, 0x33); /* setssbsy; clrssbsy [rbx] */
		c->pl0_ssp = c->r[RBX] = TOP - 8;
		put_shadow(TOP - 8, (TOP - 8) | busy);
		if (busy) {
			FAULTS(VEC_CP, CP_SETSSBSY);
			continue;
		}
		RETIRES();
		ck_assert_uint_eq(c->ssp, TOP - 8);
		ck_assert_uint_eq(peek(TOP - 8, 8), TOP - 7);
		cpu_set_arith(c, OSZAPC);
		RETIRES();
		ck_assert_uint_eq(c->ssp, 0);
		ck_assert_uint_eq(peek(TOP - 8, 8), TOP - 8);
		ck_assert_uint_eq(cpu_flags(c) & OSZAPC, 0);
		c->r[RIP] = CODE + 4;
		RETIRES();
		ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_C);
	}
	arrange(3, CET_SHSTK);
	POKE(CODE, 0xf3, 0x0f, 0x01, 0xe8);
	ck_assert_int_eq(step(), VEC_GP);
	arrange(0, 0);
	POKE(CODE, 0xf3, 0x0f, 0x01, 0xe8);
	ck_assert_int_eq(step(), VEC_UD);
}
END_TEST

/* ---- registers ---- */

/* ---- task switches ---- */

enum { TASK_SHADOW = SHADOW + 0x400, TASK_CODE = CODE + 0x40, TASK_SSP = TSS2_AT + 104 };

/* In 32-bit code at CPL, with pages of 4 KBytes; SLOT is a task of ring NEW with a free token at TASK_SHADOW. The code
 * calls it, or, JUMP, jumps to it; the task returns. */
static void arrange_task(unsigned cpl, unsigned new, bool jump)
{
	enter(P32, cpl);
	poke32(PD, PT | 0x67);
	for (unsigned i = 0; i < 16; i++)
		poke32(PT + 4 * i, i << 12 | 0x67);
	poke32(PT + 4 * (SHADOW >> 12), SHADOW | P | D | (cpl == 3 || new == 3 ? U : 0));
	for (unsigned i = 0; i < 6; i++)
		poke16(TSS2_AT + 72 + 4 * i, i == 1 ? CODE32(new) : DATA32(new));
	poke32(TSS2_AT + 28, PD);
	poke32(TSS_AT + 28, PD);
	poke32(TSS2_AT + 32, TASK_CODE);
	poke32(TSS2_AT + 36, FL_1);
	poke32(TSS2_AT + 56, 0x6800);
	poke32(TASK_SSP, TASK_SHADOW);
	poke64(TASK_SHADOW, TASK_SHADOW);
	set_descriptor(SLOT, descriptor(TSS2_AT, 0x6b, 0xe9, 0));
	set_descriptor(TASK, descriptor(TSS_AT, 0x1ff, 0x8b, 0));
	POKE(CODE, 0xff, jump ? 0x2b : 0x1b, 0x90); /* [ebx] */
	POKE(TASK_CODE, 0xcf, 0x90);
	c->r[RBX] = DATA;
	poke16(DATA + 4, SLOT | cpl);
	c->cr3 = PD;
	c->cr0 |= CR0_PG | CR0_WP;
	c->cr4 |= CR4_CET;
	c->s_cet = c->u_cet = CET_SHSTK;
	c->ssp = TOP;
	c->pl3_ssp = TOP + 0x40;
	settle();
	with_idt();
}

/* CS, LIP and SSP go to the stack of the called task, but not from ring 3 to an inner one, and come back. */
START_TEST(tasks)
{
	static const struct { u8 cpl, new; bool jump, pushed; } rows[] = {
		{ 0, 0, false, true }, { 3, 3, false, true }, { 0, 0, true, false },
		{ 2, 1, false, true },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u64 top = TASK_SHADOW - (rows[i].pushed ? 24 : 0);

		name_case("row %u", i);
		arrange_task(rows[i].cpl, rows[i].new, rows[i].jump);
		RETIRES();
		EQ(c->r[RIP], TASK_CODE);
		EQ(c->ssp, top);
		EQ(peek(TASK_SHADOW, 8), TASK_SHADOW | 1);
		if (!rows[i].pushed)
			continue;
		EQ(peek(TASK_SHADOW - 8, 8), CODE32(rows[i].cpl));
		EQ(peek(TASK_SHADOW - 16, 8), CODE + 2);
		EQ(peek(TASK_SHADOW - 24, 8), TOP);
		RETIRES();
		EQ(c->r[RIP], CODE + 2);
		EQ(c->ssp, TOP);
		EQ(peek(TASK_SHADOW, 8), TASK_SHADOW);
	}
}
END_TEST

/* From ring 3 to ring 0 and back: IA32_PL3_SSP keeps it. */
START_TEST(tasks_of_users)
{
	arrange_task(3, 0, false);
	poke32(PT + 4 * (SHADOW >> 12), SHADOW | P | D);
	tlb_flush(c, true);
	RETIRES();
	ck_assert_uint_eq(c->ssp, TASK_SHADOW);
	ck_assert_uint_eq(c->pl3_ssp, TOP);
	c->pl3_ssp = TOP - 16;
	RETIRES();
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->ssp, TOP - 16);
	ck_assert_uint_eq(peek(TASK_SHADOW, 8), TASK_SHADOW);
}
END_TEST

START_TEST(tasks_refused)
{
	static const struct { u64 at, value; int vector; u16 error; } rows[] = {
		{ GDT + SLOT, 0x67, VEC_TS, SLOT }, { TASK_SSP, TASK_SHADOW + 4, VEC_TS, SLOT },
		{ TASK_SHADOW, TASK_SHADOW | 1, VEC_TS, SLOT }, { TASK_SHADOW, 0, VEC_TS, SLOT },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("row %u", i);
		arrange_task(0, 0, false);
		poke16(rows[i].at, (u16)rows[i].value);
		EQ(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
		FAULT(0, rows[i].vector, rows[i].error);
		EQ(c->seg[TR].sel, i ? SLOT : TASK);
	}
	for (unsigned i = 0; i < 2; i++) {
		arrange_task(3, 3, false);
		c->s_cet = 0; /* of the handler; SSP is 0 by then */
		RETIRES();
		poke64(TASK_SHADOW - (i ? 16 : 8), CODE + 3);
		EQ(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
		FAULT(0, VEC_CP, CP_FAR_RET);
		EQ(c->seg[TR].sel, TASK);
	}
	arrange_task(0, 0, false);
	RETIRES();
	c->ssp += 4;
	EQ(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
	FAULT(0, VEC_TS, SLOT);
	EQ(c->seg[TR].sel, SLOT);
}
END_TEST

/* The tracker waits for ENDBR in the new task. */
START_TEST(tasks_tracked)
{
	arrange_task(0, 0, false);
	c->s_cet = CET_ENDBR;
	RETIRES();
	ck_assert_uint_eq(c->s_cet, CET_ENDBR | CET_WAIT);
	POKE(TASK_CODE, 0xf3, 0x0f, 0x1e, 0xfb, 0xcf); /* endbr32; iret */
	RETIRES();
	RETIRES();
	ck_assert_uint_eq(c->s_cet, CET_ENDBR);
}
END_TEST

START_TEST(registers)
{
	arrange(0, 0);
	ck_assert(!write_cr0(c, c->cr0 & ~(u64)CR0_WP));
	ck_assert(write_cr4(c, c->cr4 & ~(u64)CR4_CET));
	ck_assert(write_cr0(c, c->cr0 & ~(u64)CR0_WP));
	ck_assert(!write_cr4(c, c->cr4 | CR4_CET));
	for (u32 msr = 0x6a0; msr <= 0x6a8; msr++) {
		u64 v;

		ck_assert_int_eq(read_msr(c, msr, &v), msr != 0x6a1 && msr != 0x6a3);
		ck_assert_int_eq(write_msr(c, msr, 0x123456789000), msr != 0x6a1 && msr != 0x6a3);
		ck_assert(!write_msr(c, msr, (u64)1 << 60));
		if (msr >= 0x6a4)
			ck_assert(!write_msr(c, msr, 1));
	}
	ck_assert(write_msr(c, 0x6a0, CET_ENDBR | CET_WAIT));
	ck_assert(!write_msr(c, 0x6a0, CET_ENDBR | CET_WAIT | CET_SUPPRESS));
	ck_assert(!write_msr(c, 0x6a0, 0x40));
	ck_assert(write_msr(c, 0xda0, 0x1800));
	ck_assert(!write_msr(c, 0xda0, 0x2000));
}
END_TEST

/* XSAVES and XRSTORS: components 11 and 12 (vol. 1, 13.5.9). */
START_TEST(components)
{
	u32 out[4];

	arrange(0, 0);
	c->cr4 |= CR4_OSXSAVE;
	c->xcr0 = 3;
	c->xss = 0x1800;
	POKE(CODE, 0x0f, 0xc7, 0x2b, 0x0f, 0xc7, 0x1b); /* xsaves [rbx], xrstors [rbx] */
	c->r[RBX] = DATA;
	c->r[RAX] = 0x1800;
	c->r[RDX] = 0;
	c->u_cet = CET_SHSTK;
	c->pl3_ssp = 0x1008;
	c->pl0_ssp = 0x2008;
	c->pl2_ssp = 0x4008;
	RETIRES();
	ck_assert_uint_eq(peek(DATA + 512, 8), 0x1800);
	ck_assert_uint_eq(peek(DATA + 520, 8), (u64)1 << 63 | 0x1800);
	ck_assert_uint_eq(peek(DATA + 576, 8), CET_SHSTK);
	ck_assert_uint_eq(peek(DATA + 584, 8), 0x1008);
	ck_assert_uint_eq(peek(DATA + 592, 8), 0x2008);
	ck_assert_uint_eq(peek(DATA + 600, 8), 0);
	ck_assert_uint_eq(peek(DATA + 608, 8), 0x4008);
	c->u_cet = c->pl3_ssp = c->pl0_ssp = c->pl1_ssp = 5;
	poke64(DATA + 584, 0x1009);
	FAULTS(VEC_GP, 0);
	poke64(DATA + 584, 0x100c);
	RETIRES();
	ck_assert_uint_eq(c->u_cet, CET_SHSTK);
	ck_assert_uint_eq(c->pl3_ssp, 0x100c);
	ck_assert_uint_eq(c->pl0_ssp, 0x2008);
	ck_assert_uint_eq(c->pl1_ssp, 0);
	cpuid(c, 0xd, 1, out);
	ck_assert_uint_eq(out[2], 0x1800);
	ck_assert_uint_eq(out[1], 576 + 40);
	cpuid(c, 0xd, 11, out);
	ck_assert_uint_eq(out[0], 16);
	ck_assert_uint_eq(out[2], 1);
	cpuid(c, 0xd, 12, out);
	ck_assert_uint_eq(out[0], 24);
	cpuid(c, 7, 0, out);
	ck_assert(out[2] >> 7 & 1 && out[3] >> 20 & 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cet");
	TCase *tc = tcase_create("shadow stacks and the tracker");

	tcase_add_checked_fixture(tc, cet_setup, bare_free);
	tcase_add_test(tc, near_call);
	tcase_add_test(tc, call_zero);
	tcase_add_test(tc, near_call_32);
	tcase_add_test(tc, pages);
	tcase_add_test(tc, far_calls);
	tcase_add_test(tc, interrupt_from_user);
	tcase_add_test(tc, interrupt_in_supervisor);
	tcase_add_test(tc, system_calls);
	tcase_add_test(tc, tracker);
	tcase_add_test(tc, not_tracked);
	tcase_add_test(tc, legacy_code);
	tcase_add_test(tc, pointer);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, switches);
	tcase_add_test(tc, tokens);
	tcase_add_test(tc, tasks);
	tcase_add_test(tc, tasks_of_users);
	tcase_add_test(tc, tasks_refused);
	tcase_add_test(tc, tasks_tracked);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, components);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
