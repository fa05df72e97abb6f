/* SPDX-License-Identifier: MIT */
/* Debug exceptions (SDM vol. 3, chapter 17; 6.9 for what comes before what): the debug registers, breakpoints of every
 * kind, single steps, and when each of them is reported. */
#include "tests/unit/modes.h"

enum { B0 = 1, B1 = 2, B2 = 4, B3 = 8, BD = 1 << 13, BS = 1 << 14, BT = 1 << 15, DR6_SHOWS = 0xe00f };
enum { RW_CODE, RW_WRITE, RW_IO, RW_ACCESS };
#define DR7(n, rw, len) (2u << 2 * (n) | (u32)((rw) | ((len) == 1 ? 0 : (len) == 2 ? 1 : (len) == 4 ? 3 \
	: 2) << 2) << (16 + 4 * (n)))

static u8 acknowledge(void *owner)
{
	(void)owner;
	cpu_intr(c, 0, false);
	return 0x41;
}
static void setup(void)
{
	modes_setup();
	c->acknowledge = acknowledge;
}

/* #DB must be taken, with SHOWN in DR6, before the instruction at RIP; its handler's frame has word-sized entries of
 * the mode. */
static u64 frame(unsigned word)
{
	unsigned size = !(c->cr0 & CR0_PE) ? 2 : in_long(c) ? 8 : 4;

	return peek((c->cr0 & CR0_PE ? 0 : c->seg[SS].base) + c->r[RSP] + word * size, size);
}
static void trap(u32 shown, u64 rip)
{
	EQ(taken(), VEC_DB);
	EQ(c->dr[6] & DR6_SHOWS, shown);
	EQ(frame(0), rip);
}

/* ---- the registers ---- */

/* MOV to and from DRn (vol. 2): who may, which are there, which bits are. */
START_TEST(access_rights)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 8 * 2 * 4; n++) {
			unsigned cpl = n & 3, dr = n >> 2 & 7, to = n >> 5 & 1, de = n >> 6 & 1, gd = n >> 7;
			int vector;

			if (m <= V86 && cpl)
				continue;
			vector = m == V86 || cpl ? VEC_GP : (dr == 4 || dr == 5) && de ? VEC_UD : gd ? VEC_DB : RETIRED;
			name_case("%s, ring %u: MOV %s DR%u, DE %u, GD %u", mode_names[m], cpl, to ? "to" : "from", dr,
				  de, gd);
			enter(m, cpl);
			c->cr4 |= de ? CR4_DE : 0;
			c->dr[7] |= gd << 13;
			POKE(CODE, 0x0f, to ? 0x23 : 0x21, (u8)(0xc0 | dr << 3));
			c->r[RAX] = 0;
			if (vector == VEC_DB) {
				with_idt();
				trap(BD, CODE);
				EQ(c->dr[7] & 0x2000, 0); /* so that the handler may look */
				if (m != REAL)
					/* a fault, and no instruction breakpoint (17.3.1.1) */
					EQ(frame(2) & FL_RF, FL_RF);
				continue;
			}
			if ((dr == 4 || dr == 5) && de && (cpl || m == V86))
				continue; /* both are true, and the manual gives no order */
			expect(vector, 0);
		}
}
END_TEST

START_TEST(register_bits)
{
	static const struct { enum mode m; u8 dr; u64 written, read; int vector; } rows[] = {
		{ LONG, 6, 0, 0xffff0ff0, RETIRED }, { LONG, 6, 0xffffffff, 0xffffefff, RETIRED },
			{ LONG, 7, 0, 0x400, RETIRED }, { LONG, 7, 0xffffffff, 0xffff27ff, RETIRED },
		{ LONG, 6, (u64)1 << 32, 0, VEC_GP }, { LONG, 7, (u64)1 << 63, 0, VEC_GP },
			{ LONG, 4, (u64)1 << 32, 0, VEC_GP }, { LONG, 5, (u64)1 << 40, 0, VEC_GP },
		{ LONG, 0, 0x123456789abcdef0, 0x123456789abcdef0, RETIRED }, { LONG, 3, ~(u64)0, ~(u64)0, RETIRED },
			{ LONG, 5, 0x3, 0x403, RETIRED },
		{ P32, 6, 0, 0xffff0ff0, RETIRED }, { P32, 7, 0x300, 0x700, RETIRED },
			{ REAL, 2, 0x89abcdef, 0x89abcdef, RETIRED }, { REAL, 4, 0xf, 0xffff0fff, RETIRED },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s: DR%u := %llx", mode_names[rows[i].m], rows[i].dr, (unsigned long long)rows[i].written);
		enter(rows[i].m, 0);
		/* mov drn, eax; mov ebx, drn */
		POKE(CODE, 0x0f, 0x23, (u8)(0xc0 | rows[i].dr << 3), 0x0f, 0x21, (u8)(0xc3 | rows[i].dr << 3));
		c->r[RAX] = rows[i].written;
		expect(rows[i].vector, 0);
		if (rows[i].vector != RETIRED)
			continue;
		c->dr[7] &= 0xffffdfff; /* GD */
		expect(RETIRED, 0);
		EQ(c->r[RBX] | (rows[i].dr == 7 || rows[i].dr == 5 ? rows[i].written & 0x2000 : 0), rows[i].read);
	}
	enter(LONG, 0); /* there are no DR8 to DR15 */
	name_case("DR8");
	POKE(CODE, 0x44, 0x0f, 0x23, 0xc0);
	expect(VEC_UD, 0);
}
END_TEST

/* ---- instructions ---- */

/* A fault before the instruction, at the linear address of its first byte; RF lets it pass once; disabled ones that
 * match are shown, too. */
START_TEST(code_breakpoints)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 8; n++) {
			bool rf = n & 1, global = n & 2, by_base = n & 4 && m != LONG;

			name_case("%s: RF %d, %s, base %d", mode_names[m], rf, global ? "global" : "local", by_base);
			enter(m, 0);
			POKE(CODE, 0x90, 0x90, 0x90, 0x90, 0x90);
			c->dr[0] = CODE + 1;
			c->dr[1] = CODE + 1; /* not enabled */
			c->dr[2] = CODE + 3;
			c->dr[7] |= (global ? 2 : 1) | 0x20;
			if (by_base) {
				c->seg[CS].base = 0x100;
				poke(CODE + 0x100, ram->host + CODE, 16);
				c->dr[0] += 0x100;
				c->dr[1] += 0x100;
				c->dr[2] += 0x100;
			}
			c->r[RIP] = rf ? CODE + 1 : CODE;
			c->eflags |= rf ? FL_RF : 0;
			settle();
			with_idt();
			trap(rf ? B2 : B0 | B1, rf ? CODE + 3 : CODE + 1);
			EQ(frame(2) & FL_RF, 0);
		}
}
END_TEST

/* RF (17.3.1.1): cleared by every instruction that is over but IRET and task switches, which may load it anew; a
 * repeated one is over after its last repetition. */
START_TEST(resume_flag)
{
	static const struct { const char *name; u8 code[8]; unsigned watched, next; bool iret; u32 image; } rows[] = {
		{ "nop", { 0x90, 0x90 }, 0, 1, false, 0 }, { "rep stosb", { 0xf3, 0xaa, 0x90 }, 0, 2, false, 0 },
			{ "iret with RF", { 0xcf, 0x90, 0x90, 0x90 }, 2, 3, true, FL_RF },
		{ "iret without", { 0xcf, 0x90, 0x90, 0x90 }, 3, 2, true, 0 },
			{ "popf of RF", { 0x9d, 0x90 }, 0, 1, false, FL_RF },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].name);
		enter(P32, 0);
		poke(CODE, rows[i].code, 8);
		c->r[RCX] = 0x9000; /* too many for one part */
		c->seg[ES].base = GiB; /* nothing is there */
		poke32(STACK, rows[i].iret ? CODE + 2 : FL_1 | rows[i].image);
		poke32(STACK + 4, CODE32(0));
		poke32(STACK + 8, FL_1 | rows[i].image);
		c->dr[0] = CODE + rows[i].watched;
		c->dr[1] = CODE + rows[i].next;
		c->dr[7] |= 2 | 8;
		c->eflags |= FL_RF;
		settle();
		with_idt();
		trap(B1, CODE + rows[i].next);
		if (rows[i].code[0] == 0xf3)
			EQ(c->r[RCX], 0);
	}
}
END_TEST

/* What comes first at the next instruction: a trap of the one before, an interrupt, its breakpoint, faults of its fetch
 * and of itself. */
START_TEST(code_priority)
{
	static const struct { const char *name; u8 code[4]; u32 flags; bool intr, limit; int vector; u32 shown;
		} rows[] = {
		{ "bad instruction", { 0x90, 0x0f, 0x0b }, 0, false, false, VEC_DB, B0 },
			{ "fetch", { 0x90, 0x90 }, 0, false, true, VEC_DB, B0 },
		{ "interrupt", { 0x90, 0x90 }, FL_I, true, false, 0x41, 0 },
			{ "single step", { 0x90, 0x90 }, FL_T, false, false, VEC_DB, BS },
		{ "single step and interrupt", { 0x90, 0x90 }, FL_T | FL_I, true, false, VEC_DB, BS },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].name);
		enter(P32, 0);
		poke(CODE, rows[i].code, 4);
		c->dr[0] = CODE + 1;
		c->dr[7] |= 2;
		c->eflags |= rows[i].flags;
		if (rows[i].limit)
			c->seg[CS].limit = CODE;
		settle();
		with_idt();
		if (rows[i].intr) { /* it rises while the first instruction runs */
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			cpu_intr(c, 0, true);
		}
		EQ(taken(), rows[i].vector);
		EQ(c->dr[6] & DR6_SHOWS, rows[i].shown);
		EQ(frame(0), CODE + 1);
		cpu_intr(c, 0, false);
	}
	/* Behind MOV SS and POP SS an instruction has no breakpoint (6.8.3). */
	enter(P32, 0);
	name_case("after pop ss");
	POKE(CODE, 0x17, 0x90, 0x90, 0x90);
	poke32(STACK, DATA32(0));
	c->dr[0] = CODE + 1;
	c->dr[1] = CODE + 2;
	c->dr[7] |= 2 | 8;
	with_idt();
	trap(B1, CODE + 2);
}
END_TEST

/* ---- data ---- */

/* Every kind and length at every distance (17.2.5): a byte in common is a hit. A trap: behind the instruction, which
 * has been done. */
START_TEST(data_breakpoints)
{
	static const struct { u8 code[4]; u8 len, size; bool write; } accesses[] = {
		{ { 0x8a, 0x03 }, 2, 1, false }, { { 0x88, 0x03 }, 2, 1, true }, { { 0x8b, 0x03 }, 2, 4, false },
			{ { 0x89, 0x03 }, 2, 4, true }, { { 0x66, 0x8b, 0x03 }, 3, 2, false },
		{ { 0x48, 0x89, 0x03 }, 3, 8, true }, { { 0x0f, 0x10, 0x03 }, 3, 16, false },
			{ { 0x0f, 0x11, 0x03 }, 3, 16, true }, { { 0xff, 0x03 }, 2, 4, true },
		{ { 0x3b, 0x03 }, 2, 4, false }, { { 0xdd, 0x03 }, 2, 8, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(accesses); i++)
		for (unsigned kind = RW_WRITE; kind <= RW_ACCESS; kind += 2)
			for (unsigned len = 1; len <= 8; len *= 2)
				for (int at = -17; at <= 9; at++) {
					u64 watched = DATA + 0x40, from = watched + (u64)(s64)at;
					bool hit = from < watched + len && watched < from + accesses[i].size &&
						   (kind == RW_ACCESS || accesses[i].write);

					name_case("access %u at %d of %u bytes, kind %u", i, at, len, kind);
					enter(LONG, 0);
					poke(CODE, accesses[i].code, 3);
					POKE(CODE + accesses[i].len, 0x90, 0xeb, 0xfe);
					c->r[RBX] = from;
					c->dr[3] = watched + (len > 1 ? 1 : 0); /* low bits do not count */
					c->dr[1] = watched;
					c->dr[7] |= DR7(3, kind, len);
					settle();
					with_idt();
					if (hit) {
						trap(B3, CODE + accesses[i].len);
						EQ(frame(2) & FL_RF, 0);
					} else {
						ck_assert_int_eq(cpu_run(c, c->icount + 3, CLOCK_NEVER), CPU_LIMIT);
						EQ(c->r[RIP], CODE + accesses[i].len + 1);
						EQ(c->dr[6] & DR6_SHOWS, 0);
					}
				}
}
END_TEST

/* When, and together with what. WATCH0 covers DATA, WATCH1 the word below the stack. */
static const struct sequence { const char *name; enum mode m; u8 code[16]; u32 flags; u32 shown; unsigned at;
	} sequences[] = {
	/* data */
	{ "push", P32, { 0x50, 0x90 }, 0, B1, 1 }, { "call", P32, { 0xe8, 1, 0, 0, 0, 0x90, 0x90 }, 0, B1, 6 },
		{ "push, 64 bits", LONG, { 0x50, 0x90 }, 0, B1, 1 },
	{ "xchg [ebx], eax", P32, { 0x87, 0x03, 0x90 }, 0, B0, 2 }, { "real mode", REAL, { 0x88, 0x07, 0x90 }, 0, B0,
		2 },
	{ "push [ebx]: both", P32, { 0xff, 0x33, 0x90 }, 0, B0 | B1, 2 },
		{ "lock inc [ebx]", P32, { 0xf0, 0xff, 0x03, 0x90 }, 0, B0, 3 },
	{ "with a single step", P32, { 0x88, 0x03, 0x90 }, FL_T, B0 | BS, 2 },
	{ "rep stosb: at once", P32, { 0x89, 0xdf, 0xf3, 0xaa, 0x90 }, 0, B0,
		2 }, /* between two repetitions: at the instruction again */
	{ "movsb that stores there", P32, { 0x89, 0xdf, 0xa4, 0x90 }, 0, B0, 3 },
	{ "a jump in front", P32, { 0x88, 0x03, 0xeb, 0xfe }, 0, B0, 2 },
	/* single steps */
	{ "nop", P32, { 0x90, 0x90 }, FL_T, BS, 1 }, { "jmp", P32, { 0xeb, 2, 0x90, 0x90, 0x90 }, FL_T, BS, 4 },
		{ "jcc not taken", P32, { 0x74, 2, 0x90 }, FL_T, BS, 2 },
	{ "cmp and jcc", P32, { 0x39, 0xc0, 0x74, 0x10 }, FL_T, BS, 2 },
		{ "64 bits", LONG, { 0x90, 0x90 }, FL_T, BS, 1 }, { "compatibility", C32, { 0x90, 0x90 }, FL_T, BS, 1 },
	{ "real mode step", REAL, { 0x90, 0x90 }, FL_T, BS, 1 }, { "popf that clears TF", P32, { 0x9d, 0x90, 0x90 },
		FL_T, BS, 1 },
	{ "popf that sets TF", P32, { 0x66, 0x68, 2, 1, 0x66, 0x9d, 0x90, 0x90, 0x90 }, 0, BS, 7 },
		{ "rep stosb steps", P32, { 0xf3, 0xaa, 0x90 }, FL_T, BS, 0 },
	{ "hlt", P32, { 0xf4, 0x90 }, FL_T, BS, 1 }, { "cpuid", P32, { 0x0f, 0xa2, 0x90 }, FL_T, BS, 2 },
		{ "mov cr3", P32, { 0x0f, 0x22, 0xd8, 0x90 }, FL_T, BS, 3 },
	{ "icebp", P32, { 0xf1, 0x90 }, 0, 0, 1 },
};

START_TEST(sequences_of_one)
{
	for (unsigned i = 0; i < ARRAY_LEN(sequences); i++) {
		const struct sequence *q = &sequences[i];
		u64 watched = DATA + 0x40;

		name_case("%s", q->name);
		enter(q->m, 0);
		poke(CODE, q->code, sizeof q->code);
		if (!strncmp(q->name, "rep", 3) || !strncmp(q->name, "movsb", 5))
			c->r[RCX] = 3;
		c->r[RBX] = watched;
		c->r[RSI] = DATA + 0x80;
		c->r[RDI] = DATA + 0x100;
		c->dr[0] = watched;
		c->dr[1] = STACK - 4;
		c->dr[7] |= DR7(0, RW_WRITE, 1) | (q->shown & B1 ? DR7(1, RW_WRITE, 4) : 0);
		if (!strcmp(q->name, "push [ebx]: both"))
			c->dr[7] |= DR7(0, RW_ACCESS, 1);
		c->eflags |= q->flags;
		settle();
		with_idt();
		trap(q->shown, CODE + q->at);
		EQ(frame(2) & FL_T, q->flags & FL_T && strcmp(q->name, "popf that clears TF") ? FL_T
			: !strcmp(q->name, "popf that sets TF") ? FL_T : 0);
		EQ(c->eflags & FL_T, 0);
	}
}
END_TEST

/* TF and transfers to handlers: the handler runs without, and its first instruction is not trapped; IRET brings TF back
 * for the next instruction but one. A fault is no completed instruction. */
START_TEST(steps_and_handlers)
{
	static const struct { const char *name; u8 code[4]; int vector; unsigned at; } rows[] = {
		{ "int 40h", { 0xcd, 0x40 }, 0x40, 2 }, { "int3", { 0xcc }, VEC_BP, 1 },
			{ "ud2", { 0x0f, 0x0b }, VEC_UD, 0 }, { "mov ds, ax", { 0x8e, 0xd8 }, VEC_GP, 0 },
	};

	for (enum mode m = P32; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			name_case("%s: %s", mode_names[m], rows[i].name);
			if (is_16(m))
				continue;
			enter(m, 0);
			poke(CODE, rows[i].code, 4);
			c->r[RAX] = BEYOND;
			c->eflags |= FL_T;
			settle();
			with_idt();
			EQ(taken(), rows[i].vector);
			EQ(frame(rows[i].vector == VEC_GP), CODE + rows[i].at);
			EQ(frame(2 + (rows[i].vector == VEC_GP)) & FL_T, FL_T);
			EQ(c->dr[6] & DR6_SHOWS, 0);
		}
	name_case("iret with TF");
	enter(P32, 0);
	POKE(CODE, 0xcf, 0xf4, 0xf4, 0xf4, 0x90, 0x90);
	poke32(STACK, CODE + 4);
	poke32(STACK + 4, CODE32(0));
	poke32(STACK + 8, FL_1 | FL_T);
	with_idt();
	trap(BS, CODE + 5);
	name_case("iret without TF");
	enter(P32, 0);
	POKE(CODE, 0xcf, 0xf4, 0xf4, 0xf4, 0x90, 0x90);
	poke32(STACK, CODE + 4);
	poke32(STACK + 4, CODE32(0));
	poke32(STACK + 8, FL_1);
	c->eflags |= FL_T;
	settle();
	with_idt();
	trap(BS, CODE + 4);
}
END_TEST

/* MOV SS and POP SS hold traps back until the next instruction is over (6.8.3): of the load itself, too; they are
 * reported together. What that is an INT: in the handler, before its first instruction. */
START_TEST(held_back)
{
	static const struct { const char *name; u8 code[8]; u32 flags; bool watch; u32 shown; u32 at; } rows[] = {
		{ "mov ss, [ebx]; nop", { 0x8e, 0x13, 0x90, 0x90 }, 0, true, B0, CODE + 3 },
			{ "step over mov ss", { 0x8e, 0xd0, 0x90, 0x90 }, FL_T, false, BS, CODE + 3 },
		{ "both", { 0x8e, 0x13, 0x90, 0x90 }, FL_T, true, B0 | BS, CODE + 3 },
			{ "pop ss", { 0x17, 0x90, 0x90 }, FL_T, false, BS, CODE + 2 },
		{ "mov ss, [ebx]; int 40h", { 0x8e, 0x13, 0xcd, 0x40 }, 0, true, B0, HANDLER + 0x400 },
			{ "mov ss, [ebx]; int3", { 0x8e, 0x13, 0xcc }, 0, true, B0, HANDLER + 0x30 },
		{ "lss", { 0x0f, 0xb2, 0x23, 0x90, 0x90 }, FL_T, false, BS, CODE + 3 },
		{ "mov ss, [ebx]; icebp", { 0x8e, 0x13, 0xf1, 0x90 }, 0, true, B0, CODE + 3 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].name);
		enter(P32, 0);
		poke(CODE, rows[i].code, 8);
		c->r[RAX] = DATA32(0);
		c->r[RBX] = DATA;
		poke32(DATA, rows[i].code[0] == 0x0f ? STACK : DATA32(0));
		poke32(DATA + 4, DATA32(0));
		poke32(STACK, DATA32(0));
		if (rows[i].watch) {
			c->dr[0] = DATA;
			c->dr[7] |= DR7(0, RW_ACCESS, 2);
		}
		c->eflags |= rows[i].flags;
		settle();
		with_idt();
		trap(rows[i].shown, rows[i].at);
	}
}
END_TEST

/* A data breakpoint that an instruction passed before it faulted is not reported: the instruction was not done. */
START_TEST(faults_win)
{
	name_case("push [watched], with no stack");
	enter(P32, 0);
	POKE(CODE, 0xff, 0x33, 0x90);
	c->r[RBX] = DATA;
	c->dr[0] = DATA;
	c->dr[7] |= DR7(0, RW_ACCESS, 1);
	c->seg[SS].limit = 0xfff;
	settle();
	expect(VEC_SS, 0);
	c->seg[SS].limit = 0xffffffff;
	settle();
	with_idt();
	trap(B0, CODE + 2);
	/* Nor is a step. */
	name_case("a step that faults");
	enter(P32, 0);
	POKE(CODE, 0x0f, 0x0b);
	c->eflags |= FL_T;
	settle();
	with_idt();
	EQ(taken(), VEC_UD);
	EQ(c->dr[6] & DR6_SHOWS, 0);
	EQ(peek(c->r[RSP] + 8, 4) & (FL_T | FL_RF), FL_T | FL_RF);
}
END_TEST

/* SYSCALL and SYSRET (vol. 2): the step that follows depends on the TF that they leave. SYSENTER and SYSEXIT leave it.
 * */
START_TEST(system_calls)
{
	static const struct { const char *name; u8 code[3]; unsigned cpl; u32 flags, r11, mask; bool traps; } rows[] = {
		{ "syscall, TF masked", { 0x0f, 0x05 }, 3, FL_T, 0, FL_T, false },
			{ "syscall, TF kept", { 0x0f, 0x05 }, 3, FL_T, 0, 0, true },
			{ "syscall", { 0x0f, 0x05 }, 3, 0, 0, 0, false },
		{ "sysretq sets TF", { 0x48, 0x0f, 0x07 }, 0, 0, FL_1 | FL_T, 0, true },
			{ "sysretq clears TF", { 0x48, 0x0f, 0x07 }, 0, FL_T, FL_1, 0, false },
		{ "sysenter", { 0x0f, 0x34 }, 3, FL_T, 0, 0, true }, { "sysexitq", { 0x48, 0x0f, 0x35 }, 0, FL_T, 0, 0,
			true },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].name);
		enter(LONG, rows[i].cpl);
		poke(CODE, rows[i].code, 3);
		c->star = (u64)CODE64(0) << 32 | (u64)(CODE64(3) & 0xfff8) << 48;
		c->lstar = c->sysenter_eip = DATA;
		c->sysenter_esp = STACK;
		c->sysenter_cs = CODE64(0);
		c->sfmask = rows[i].mask;
		c->r[RCX] = rows[i].code[2] == 0x35 ? STACK : DATA;
		c->r[RDX] = DATA;
		c->r[R11] = rows[i].r11;
		POKE(DATA, 0xeb, 0xfe);
		c->eflags |= rows[i].flags;
		settle();
		with_idt();
		if (rows[i].traps) {
			trap(BS, DATA);
		} else {
			ck_assert_int_eq(cpu_run(c, c->icount + 4, CLOCK_NEVER), CPU_LIMIT);
			EQ(c->r[RIP], DATA);
			EQ(c->dr[6] & DR6_SHOWS, 0);
		}
	}
}
END_TEST

/* DEBUGCTL.BTF (17.4.3): single steps trap behind branches that are taken only; the trap clears it. */
START_TEST(branch_steps)
{
	static const struct { const char *name; u8 code[12]; unsigned at; } rows[] = {
		{ "jmp", { 0x90, 0x90, 0xeb, 2, 0, 0, 0x90 }, 6 }, { "jcc", { 0x75, 8, 0x74, 2, 0, 0, 0x90 }, 6 },
			{ "call", { 0x90, 0xe8, 2, 0, 0, 0, 0, 0, 0x90 }, 8 },
		{ "ret", { 0x50, 0xc3 }, 0x40 }, { "loop", { 0x90, 0xe2, 4, 0, 0, 0, 0, 0x90 }, 7 },
			{ "rep stosb, jmp", { 0xf3, 0xaa, 0xeb, 3, 0, 0, 0, 0x90 }, 7 },
		{ "jmp eax", { 0x90, 0x90, 0xff, 0xe0 }, 0x40 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].name);
		enter(P32, 0);
		poke(CODE, rows[i].code, sizeof rows[i].code);
		POKE(CODE + 0x40, 0x90);
		c->debugctl = 2;
		c->r[RCX] = 4;
		c->r[RDI] = DATA;
		c->r[RAX] = CODE + 0x40;
		cpu_set_arith(c, FL_Z);
		c->eflags |= FL_T;
		settle();
		with_idt();
		trap(BS, CODE + rows[i].at);
		EQ(c->debugctl, 0);
	}
}
END_TEST

/* I/O breakpoints (17.2.4): with CR4.DE, a trap behind the instruction. */
START_TEST(ports)
{
	for (unsigned de = 0; de < 2; de++)
		for (unsigned kind = 0; kind < 3; kind++)
			for (unsigned port = 0x5e; port < 0x66; port++) {
				static const struct {
					u8 code[2];
					unsigned size, len;
				} ways[] = { { { 0xec }, 1, 1 }, { { 0xef }, 4, 1 }, { { 0x66, 0xed }, 2, 2 } };
				bool hit = de && port < 0x62 && port + ways[kind].size > 0x60;

				name_case("port %x, way %u, DE %u", port, kind, de);
				enter(P32, 0);
				POKE(CODE, 0x90, 0x90, 0x90, 0xeb, 0xfe);
				poke(CODE, ways[kind].code, ways[kind].len);
				c->cr4 |= de ? CR4_DE : 0;
				c->r[RDX] = port;
				c->dr[2] = 0x60;
				c->dr[7] |= DR7(2, RW_IO, 2);
				settle();
				with_idt();
				if (hit) {
					trap(B2, CODE + ways[kind].len);
				} else {
					ck_assert_int_eq(cpu_run(c, c->icount + 6, CLOCK_NEVER), CPU_LIMIT);
					EQ(c->dr[6] & DR6_SHOWS, 0);
				}
			}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("traps");
	TCase *t = tcase_create("traps");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, access_rights);
	tcase_add_test(t, register_bits);
	tcase_add_test(t, code_breakpoints);
	tcase_add_test(t, resume_flag);
	tcase_add_test(t, code_priority);
	tcase_add_test(t, data_breakpoints);
	tcase_add_test(t, sequences_of_one);
	tcase_add_test(t, steps_and_handlers);
	tcase_add_test(t, held_back);
	tcase_add_test(t, faults_win);
	tcase_add_test(t, system_calls);
	tcase_add_test(t, branch_steps);
	tcase_add_test(t, ports);
	suite_add_tcase(s, t);
	return bare_run(s);
}
