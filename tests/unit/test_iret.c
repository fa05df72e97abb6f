/* SPDX-License-Identifier: MIT */
/* IRET (SDM vol. 2, its operation): to the same ring, an outer one, virtual-8086 mode, 64-bit code; from each of them;
 * which flags it loads. */
#include "tests/unit/modes.h"

/* IRET with a frame of SIZE-byte words; nothing beyond what it needs is on the stack. */
struct frame { u64 rip; u16 cs; u32 flags; u64 rsp; u16 ss; };
static void iret(enum mode m, unsigned size, const struct frame *f)
{
	const u64 words[] = { f->rip, 0xbad0000 | f->cs, f->flags, f->rsp, 0xbad0000 | f->ss };

	if (size == 8)
		POKE(CODE, 0x48, 0xcf);
	else if (size == word_of(m))
		POKE(CODE, 0xcf);
	else
		POKE(CODE, 0x66, 0xcf);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		poke(STACK + i * size, &words[i], size);
}

/* ---- the code segment ---- */

static int code_fault(enum mode m, unsigned access, unsigned flags, unsigned cpl, unsigned rpl)
{
	unsigned dpl = access >> 5 & 3;

	if ((access & 0x18) != 0x18 || rpl < cpl || (access & 4 ? dpl > rpl : dpl != rpl) ||
	    (is_long(m) && (flags & 6) == 6))
		return VEC_GP;
	return access & 0x80 ? RETIRED : VEC_NP;
}

static void code_segments(enum mode m, unsigned step)
{
	static const u8 sizes[] = { 0xc, 0, 0xa, 0xe };

	for (unsigned n = 0; n < 4 * 4 * 256; n += step) {
		unsigned cpl = n & 3, rpl = n >> 2 & 3, access = n >> 4 & 0xff, flags = sizes[(n >> 2 ^ n >> 6) & 3],
			 size = n / step & 1 ? 2 : 4;
		int vector = code_fault(m, access, flags, cpl, rpl);
		bool all = rpl > cpl || m == LONG; /* SS:RSP, too */

		name_case("%s, ring %u: IRET to access %x, flags %x, RPL %u, %u bytes", mode_names[m], cpl, access,
			  flags, rpl, size);
		enter(m, cpl);
		set_descriptor(SLOT, descriptor(0, 0xfffff, access, flags));
		iret(m, size, &(struct frame){ HANDLER, (u16)(SLOT | rpl), FL_1 | FL_C, STACK - 0x100, DATA32(rpl) });
		expect(vector, vector == RETIRED ? 0 : SLOT);
		if (vector != RETIRED)
			continue;
		EQ(c->cpl, rpl);
		EQ(c->seg[CS].sel, SLOT | rpl);
		EQ(c->r[RIP], HANDLER);
		EQ(access_of(SLOT), access | 1);
		EQ(c->r[RSP], all ? STACK - 0x100 : STACK + 3 * size);
		EQ(c->seg[SS].sel, all ? DATA32(rpl) : data_of(m, cpl));
	}
}
START_TEST(code_protected) { code_segments(P32, 1); } END_TEST
START_TEST(code_64) { code_segments(LONG, 1); } END_TEST
START_TEST(code_others)
{
	code_segments(P16, 3);
	code_segments(C16, 3);
	code_segments(C32, 3);
}
END_TEST

/* ---- the stack segment ---- */

START_TEST(stack_segments)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 256 * 2; n++) {
			unsigned to = n >> 10 ? 3 : 0, rpl = n & 3, access = n >> 2 & 0xff, dpl = access >> 5 & 3;
			int vector = rpl != to || (access & 0x1a) != 0x12 || dpl != to ? VEC_GP
				     : access & 0x80                                   ? RETIRED
										       : VEC_SS;

			if (!to && m != LONG)
				continue; /* it stays */
			name_case("%s: IRET to ring %u, stack of access %x, RPL %u", mode_names[m], to, access, rpl);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0, 0xfffff, access, 0xc));
			iret(m, word_of(m), &(struct frame){ HANDLER, code_of(m, to), FL_1, STACK, (u16)(SLOT | rpl) });
			expect(vector, vector == RETIRED ? 0 : SLOT);
		}
}
END_TEST

/* From ring 0. ROOM: words that lie below the stack's limit. */
START_TEST(rows)
{
	static const struct { u16 cs; u32 rip; u16 ss; unsigned room; int vector; u16 error; } frames[] = {
		{ 0, HANDLER, 0, 9, VEC_GP, 0 }, { 3, HANDLER, 0, 9, VEC_GP, 0 },
			{ BEYOND, HANDLER, 0, 9, VEC_GP, BEYOND }, { LDT_END | 4, HANDLER, 0, 9, VEC_GP, LDT_END | 4 },
		{ CODE32(3), HANDLER, 0, 9, VEC_GP, 0 }, { CODE32(3), HANDLER, 3, 9, VEC_GP, 0 },
			{ CODE32(1), HANDLER, 1, 9, VEC_GP, 0 }, { CODE32(3), HANDLER, BEYOND | 3, 9, VEC_GP, BEYOND },
		{ CODE32(0), HANDLER, 0, 3, RETIRED, 0 }, { CODE32(0), HANDLER, 0, 2, VEC_SS, 0 },
			{ CODE32(0), HANDLER, 0, 0, VEC_SS, 0 }, { CODE32(3), HANDLER, DATA32(3), 5, RETIRED, 0 },
		{ CODE32(3), HANDLER, DATA32(3), 4, VEC_SS, 0 }, { CODE32(3), HANDLER, DATA32(3), 3, VEC_SS, 0 },
			{ CODE16(0), 0x12345, 0, 9, VEC_GP, 0 },
		{ CODE16(3), 0x12345, DATA32(3), 9, VEC_GP, 0 }, { CODE16(3), 0x12345, 0, 9, VEC_GP, 0 },
	};

	for (enum mode m = P16; m <= C32; m++)
		for (unsigned i = 0; i < ARRAY_LEN(frames); i++) {
			name_case("%s: IRET to %x:%x, SS %x, %u words", mode_names[m], frames[i].cs, frames[i].rip,
				  frames[i].ss, frames[i].room);
			enter(m, 0);
			iret(m, 4, &(struct frame){ frames[i].rip, frames[i].cs, FL_1, STACK - 0x100, frames[i].ss });
			c->seg[SS].limit = STACK + frames[i].room * 4 - 1;
			settle();
			expect(frames[i].vector, frames[i].error);
		}
}
END_TEST

START_TEST(rows_64)
{
	static const struct { struct frame f; int vector; } frames[] = {
		{ { HANDLER, CODE64(3), FL_1, STACK, DATA32(3) }, RETIRED },
			{ { HANDLER, CODE64(3), FL_1, STACK, 3 }, VEC_GP },
			{ { HANDLER, CODE64(0), FL_1, STACK, 0 }, RETIRED },
		{ { HANDLER, CODE64(0), FL_1, STACK, 3 }, VEC_GP }, { { HANDLER, CODE64(2), FL_1, STACK, 2 }, RETIRED },
			{ { HANDLER, CODE64(1), FL_1, STACK, 0 }, VEC_GP },
		{ { HANDLER, CODE32(0), FL_1, STACK, 0 }, VEC_GP }, { { HANDLER, CODE32(2), FL_1, STACK, 2 }, VEC_GP },
			{ { 0x800000000000, CODE64(0), FL_1, STACK, 0 }, VEC_GP },
		{ { 0x800000000000, CODE64(3), FL_1, STACK, DATA32(3) }, VEC_GP },
			{ { 0xffff800000000000, CODE64(3), FL_1, STACK, DATA32(3) }, RETIRED },
		{ { HANDLER, CODE64(3), FL_1, 0x800000000000, DATA32(3) }, RETIRED }, /* RSP may be anything */
		/* VM means nothing here */
		{ { HANDLER, CODE64(0), FL_1 | FL_NT, STACK, 0 }, RETIRED },
			{ { HANDLER, CODE64(0), FL_1 | FL_VM, STACK, 0 }, RETIRED },
	};

	for (unsigned i = 0; i < ARRAY_LEN(frames); i++) {
		name_case("IRETQ, row %u", i);
		enter(LONG, 0);
		iret(LONG, 8, &frames[i].f);
		expect(frames[i].vector, 0);
		if (frames[i].vector != RETIRED)
			continue;
		EQ(c->r[RSP], frames[i].f.rsp);
		EQ(c->seg[SS].sel, frames[i].f.ss);
		EQ(c->eflags & (FL_VM | FL_NT), frames[i].f.flags & FL_NT);
	}
	/* NT: #GP(0) in all of IA-32e mode. */
	for (enum mode m = C16; m < MODE_COUNT; m++) {
		name_case("%s: NT", mode_names[m]);
		enter(m, 0);
		iret(m, word_of(m), &(struct frame){ HANDLER, code_of(m, 0), FL_1, STACK, data_of(m, 0) });
		c->eflags |= FL_NT;
		settle();
		expect(VEC_GP, 0);
	}
	/* To code of the other sizes, SS:RSP come along in 64-bit mode only. */
	enter(LONG, 0);
	name_case("64-bit to compatibility mode");
	iret(LONG, 8, &(struct frame){ 0x7700000000 | HANDLER, CODE32(0), FL_1, 0x7700000000 | STACK, DATA32(0) });
	expect(RETIRED, 0);
	EQ(c->r[RIP], HANDLER);
	EQ(c->r[RSP], STACK);
}
END_TEST

/* ---- flags ---- */

#define WORD_FLAGS (OSZAPC | FL_T | FL_D | FL_NT)

/* Which bits of EFLAGS come from the frame (vol. 2, IRET, "RETURN-TO-SAME-PRIVILEGE-LEVEL" and "RETURN-TO-OUTER..."):
 * by the CPL and the IOPL that it comes from. Real mode: all but VM, VIF and VIP. */
static u32 loaded(enum mode m, unsigned cpl, unsigned level, unsigned size)
{
	u32 mask = WORD_FLAGS;

	if (m == REAL)
		return mask | FL_I | FL_IOPL | (size == 2 ? 0 : FL_RF | FL_AC | FL_ID);
	if (m == V86)
		return mask | FL_I | (size == 2 ? 0 : FL_RF | FL_AC | FL_ID); /* with IOPL 3 */
	if (cpl <= level)
		mask |= FL_I;
	if (cpl == 0)
		mask |= FL_IOPL;
	if (size > 2)
		mask |= FL_RF | FL_AC | FL_ID | (cpl == 0 ? FL_VIF | FL_VIP : 0);
	return mask;
}

START_TEST(flags)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 4 * 3 * 2 * 2; n++) {
			unsigned cpl = n & 3, level = n >> 2 & 3, size = 2u << (n / 16 % 3), to = n / 48 & 1 ? 3 : cpl;
			u32 all = 0x3d7fd5 & ~(u32)FL_VM, ones = n / 96, mask, was, popped;

			if ((m == V86 && (cpl != 3 || level != 3)) || (m == REAL && cpl) || (size == 8 && m != LONG) ||
			    (m <= V86 && to != cpl))
				continue;
			name_case("%s, ring %u to %u, IOPL %u: IRET of %u bytes, %s", mode_names[m], cpl, to, level,
				  size, ones ? "ones" : "zeros");
			enter(m, cpl);
			iret(m, size,
			     &(struct frame){ HANDLER, m <= V86 ? 0 : code_of(m, to), ones ? all & ~(u32)FL_T : 0,
					      STACK, data_of(m, to) });
			/* but NT, which would be another task */
			c->eflags |= (ones ? 0 : FL_D | FL_AC | FL_ID | FL_VIF | FL_VIP | FL_I) | level << 12;
			if (!ones)
				cpu_set_arith(c, OSZAPC);
			settle();
			was = cpu_flags(c);
			popped = ones ? all & ~(u32)FL_T : 0;
			mask = loaded(m, cpl, level, size);
			expect(RETIRED, 0);
			EQ(cpu_flags(c), (was & ~mask) | (popped & mask) | FL_1);
		}
}
END_TEST

/* ---- virtual-8086 mode ---- */

/* To it, from ring 0 of a 32-bit task: figure 20-4. */
START_TEST(to_v86)
{
	static const u32 tail[] = { 0x12345678, 0x1111, 0x2222, 0x3333, 0x4444, 0x5555 }; /* ESP SS ES DS FS GS */

	for (unsigned n = 0; n < 10 + 2; n++) {
		name_case("room for %u words, EIP %s", n, n > 9 ? "beyond" : "good");
		enter(P32, 0);
		iret(P32, 4,
		     &(struct frame){ n == 10 ? 0x10000 : HANDLER, 0x123,
				      FL_1 | FL_VM | FL_IOPL | FL_VIF | FL_VIP | FL_I | FL_AC | FL_C, 0, 0 });
		for (unsigned i = 0; i < ARRAY_LEN(tail); i++)
			poke32(STACK + 12 + 4 * i, 0xdead0000 | tail[i]);
		poke32(STACK + 12, tail[0]);
		c->seg[SS].limit = STACK + (n > 9 ? 9 : n) * 4 - 1;
		settle();
		expect(n < 9 ? VEC_SS : n == 10 ? VEC_GP : RETIRED, 0);
		if (n < 9 || n == 10)
			continue;
		EQ(cpu_flags(c), FL_1 | FL_VM | FL_IOPL | FL_VIF | FL_VIP | FL_I | FL_AC | FL_C);
		EQ(c->cpl, 3);
		EQ(c->seg[CS].base, 0x1230);
		EQ(c->seg[SS].base, 0x11110);
		EQ(c->seg[ES].base, 0x22220);
		EQ(c->seg[DS].base, 0x33330);
		EQ(c->seg[FS].base, 0x44440);
		EQ(c->seg[GS].base, 0x55550);
		EQ(c->seg[GS].limit, 0xffff);
		EQ(c->r[RSP], tail[0]);
		EQ(c->r[RIP], HANDLER);
	}
	/* VM counts in ring 0 only, and in an image of 32 bits. */
	for (unsigned n = 0; n < 2; n++) {
		name_case("VM in ring %u, %u bytes", n ? 0 : 3, n ? 2 : 4);
		enter(P32, n ? 0 : 3);
		iret(P32, n ? 2 : 4, &(struct frame){ HANDLER, n ? CODE32(0) : CODE32(3), FL_1 | FL_VM, 0, 0 });
		expect(RETIRED, 0);
		EQ(c->eflags & FL_VM, 0);
	}
}
END_TEST

/* To a stack of 16 bits: SP alone is loaded, and the upper half of ESP stays what the handler's was. */
START_TEST(small_stacks)
{
	for (enum mode m = P16; m < MODE_COUNT; m++) {
		name_case("%s", mode_names[m]);
		enter(m, 0);
		iret(m, 4, &(struct frame){ HANDLER, code_of(m, 3), FL_1, 0x12345678, DATA16(3) });
		if (is_16(m)) /* whose stack pointer has 16 bits here */
			c->r[RSP] |= 0x55550000;
		settle();
		expect(RETIRED, 0);
		EQ(c->r[RSP], m == LONG ? 0x12345678 : is_16(m) ? 0x55555678 : 0x5678);
	}
}
END_TEST

/* Data segments that the outer ring may not have, and null selectors with an RPL, become null. */
START_TEST(data_segments)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 16 * 2; n++) {
			unsigned dpl = n & 3, type = n >> 2 & 15, rpl = n & 64 ? 3 : 0;
			bool stays = rpl == 0 || dpl >= rpl || (type & 12) == 12;
			u16 sel = (u16)(SLOT | dpl);

			if (type & 8 && !(type & 2))
				continue;
			name_case("%s: to ring %u with access %x", mode_names[m], rpl, dpl << 5 | type);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0x1230, 0xffff, 0x91 | dpl << 5 | type, 4));
			load_seg(DS, sel);
			load_seg(FS, sel);
			c->seg[ES] = (struct seg){ .sel = 3, .attr = SEG_UNUSABLE };
			settle();
			iret(m, word_of(m), &(struct frame){ HANDLER, code_of(m, rpl), FL_1, STACK, data_of(m, rpl) });
			expect(RETIRED, 0);
			EQ(c->seg[DS].sel, stays ? sel : 0);
			EQ(c->seg[FS].sel, stays ? sel : 0);
			EQ(c->seg[ES].sel, rpl ? 0 : 3);
		}
}
END_TEST

/* Real mode: IP must be within the limit; the stack wraps at 64 KBytes, but no word does. */
START_TEST(real_mode)
{
	static const struct { u32 rip; u16 sp; unsigned size; int vector; } frames[] = {
		{ HANDLER, STACK, 2, RETIRED }, { HANDLER, STACK, 4, RETIRED }, { 0x10000, STACK, 4, VEC_GP },
			{ HANDLER, 0xfffe, 2, RETIRED }, { HANDLER, 0xffff, 2, VEC_SS },
		{ HANDLER, 0xfffd, 2, VEC_SS }, { HANDLER, 0xfffe, 4, VEC_SS }, { HANDLER, 0xfffc, 4, RETIRED },
	};

	for (unsigned i = 0; i < ARRAY_LEN(frames); i++) {
		name_case("row %u", i);
		enter(REAL, 0);
		iret(REAL, frames[i].size, &(struct frame){ frames[i].rip, 0x123, FL_1, 0, 0 });
		for (unsigned k = 0; k < 3 * frames[i].size; k++)
			poke8((u16)(frames[i].sp + k), (u8)peek(STACK + k, 1));
		c->r[RSP] = frames[i].sp;
		expect(frames[i].vector, 0);
		if (frames[i].vector == RETIRED) {
			EQ(c->r[RIP], HANDLER);
			EQ(c->seg[CS].base, 0x1230);
			EQ(c->r[RSP], (u16)(frames[i].sp + 3 * frames[i].size));
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("iret");
	TCase *t = tcase_create("iret");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, code_protected);
	tcase_add_test(t, code_64);
	tcase_add_test(t, code_others);
	tcase_add_test(t, stack_segments);
	tcase_add_test(t, rows);
	tcase_add_test(t, rows_64);
	tcase_add_test(t, flags);
	tcase_add_test(t, to_v86);
	tcase_add_test(t, small_stacks);
	tcase_add_test(t, data_segments);
	tcase_add_test(t, real_mode);
	suite_add_tcase(s, t);
	return bare_run(s);
}
