/* SPDX-License-Identifier: MIT */
/* Virtual-8086 mode: the instructions that look at IOPL, with and without the extensions of CR4.VME, the interrupt
 * redirection bitmap, and the virtual interrupts of CR4.PVI in protected mode (SDM vol. 3, 20.2.7, 20.3, 20.4; vol. 2,
 * each instruction). */
#include "tests/unit/modes.h"

enum { IMAGE = FL_1 | FL_C | FL_NT | FL_D, OLD_CS = 0x10, VECTOR = 0x43 };

static void v86(unsigned level, bool vme, u32 flags)
{
	enter(V86, 3);
	c->eflags |= level << 12 | flags;
	c->cr4 |= vme ? CR4_VME : 0;
	seg_load_real(c, CS, OLD_CS);
	settle();
}
#define AT_CODE(...) POKE(CODE + 0x10 * OLD_CS, __VA_ARGS__)

/* ---- CLI, STI, PUSHF, POPF, IRET ---- */

/* With IOPL 3 as in real mode; with VME and operands of 16 bits VIF stands for IF; else #GP(0): tables 3-7 and 4-20 of
 * vol. 2. */
START_TEST(cli_sti)
{
	for (unsigned n = 0; n < 4 * 2 * 2 * 8; n++) {
		unsigned level = n & 3, vme = n >> 2 & 1, sti = n >> 3 & 1;
		u32 flags = (n & 16 ? FL_I : 0) | (n & 32 ? FL_VIF : 0) | (n & 64 ? FL_VIP : 0);
		int vector = level == 3 ? RETIRED : !vme || (sti && flags & FL_VIP) ? VEC_GP : RETIRED;
		u32 which = level == 3 ? FL_I : FL_VIF;

		name_case("%s, IOPL %u, VME %u, flags %x", sti ? "STI" : "CLI", level, vme, flags);
		v86(level, vme, flags);
		AT_CODE(sti ? 0xfb : 0xfa);
		expect(vector, 0);
		if (vector == RETIRED)
			EQ(c->eflags & (FL_I | FL_VIF | FL_VIP), sti ? flags | which : flags & ~which);
	}
}
END_TEST

START_TEST(pushf)
{
	for (unsigned n = 0; n < 4 * 2 * 2 * 8; n++) {
		unsigned level = n & 3, vme = n >> 2 & 1, wide = n >> 3 & 1;
		u32 flags = (n & 16 ? FL_I : 0) | (n & 32 ? FL_VIF : 0) | (n & 64 ? FL_VIP : 0) | FL_NT | FL_AC | FL_RF,
		    pushed;
		int vector = level == 3 ? RETIRED : !vme || wide ? VEC_GP : RETIRED;

		name_case("PUSHF of %u bytes, IOPL %u, VME %u, flags %x", wide ? 4 : 2, level, vme, flags);
		v86(level, vme, flags);
		AT_CODE(wide ? 0x66 : 0x9c, 0x9c);
		expect(vector, 0);
		if (vector != RETIRED)
			continue;
		pushed = FL_1 | FL_IOPL | FL_NT;
		pushed |= level == 3 ? flags & FL_I : flags & FL_VIF ? FL_I : 0;
		if (wide) /* but VM and RF */
			pushed |= flags & (FL_VIF | FL_VIP | FL_AC);
		EQ(peek(c->r[RSP], wide ? 4 : 2), pushed);
		EQ(c->r[RSP], STACK - (wide ? 4 : 2));
	}
}
END_TEST

/* POPF and IRET. IOPL never changes, VIF only where it stands for IF, and VIP not at all. */
START_TEST(popf_iret)
{
	for (unsigned n = 0; n < 2 * 4 * 2 * 2 * 8 * 4; n++) {
		bool iret = n & 1, wide = n & 2, vme = n & 4, virtual_if;
		unsigned level = n >> 3 & 3, size = wide ? 4 : 2;
		u32 flags = (n & 32 ? FL_I : 0) | (n & 64 ? FL_VIF : 0) | (n & 128 ? FL_VIP : 0);
		u32 popped = IMAGE | (n & 256 ? FL_I : 0) | (n & 512 ? FL_T : 0) | FL_IOPL | FL_VIF | FL_VIP | FL_AC |
			     FL_ID | FL_RF,
		    now;
		int vector = RETIRED;

		virtual_if = level < 3;
		if (virtual_if && (!vme || wide || popped & FL_T || (popped & FL_I && flags & FL_VIP)))
			vector = VEC_GP;
		name_case("%s of %u bytes, IOPL %u, VME %d, flags %x, image %x", iret ? "IRET" : "POPF", size, level,
			  vme, flags, popped);
		v86(level, vme, flags);
		if (wide)
			AT_CODE(0x66, iret ? 0xcf : 0x9d);
		else
			AT_CODE(iret ? 0xcf : 0x9d, 0x90);
		if (iret) {
			poke(STACK, &(u32){ 0x6000 }, size);
			poke(STACK + size, &(u32){ 0x20 }, size);
		}
		poke(STACK + (iret ? 2 * size : 0), &popped, size);
		expect(vector, 0);
		if (vector != RETIRED)
			continue;
		now = (popped & (FL_1 | FL_C | FL_NT | FL_D | FL_T)) | (level << 12) | FL_VM;
		if (virtual_if)
			now |= (flags & (FL_I | FL_VIP)) | (popped & FL_I ? FL_VIF : 0);
		else
			now |= (popped & FL_I) | (flags & (FL_VIF | FL_VIP));
		if (wide)
			now |= FL_AC | FL_ID | (iret ? FL_RF : 0);
		EQ(cpu_flags(c), now);
		EQ(c->r[RSP], STACK + (iret ? 3 * size : size));
		if (iret)
			EQ(c->seg[CS].base + c->r[RIP], 0x6200);
	}
}
END_TEST

/* ---- INT n ---- */

/* Table 20-2: methods 1 to 6. */
START_TEST(int_n)
{
	for (unsigned n = 0; n < 4 * 2 * 2 * 4; n++) {
		unsigned level = n & 3, vme = n >> 2 & 1, bit = n >> 3 & 1;
		u32 flags = (n & 16 ? FL_I : 0) | (n & 32 ? FL_VIF : 0) | FL_NT, pushed;
		bool to_8086 = vme && !bit;

		name_case("INT n, IOPL %u, VME %u, bit %u, flags %x", level, vme, bit, flags);
		v86(level, vme, flags);
		AT_CODE(0xcd, VECTOR);
		if (bit)
			poke8(TSS_AT + 0x68 + VECTOR / 8, 1 << (VECTOR & 7));
		else
			poke8(TSS_AT + 0x68 + VECTOR / 8, (u8)~(1 << (VECTOR & 7)));
		if (!to_8086 && level < 3) { /* methods 2, 3 of the monitor */
			expect(VEC_GP, 0);
			continue;
		}
		with_idt();
		if (!to_8086) {
			EQ(taken(), VECTOR);
			EQ(c->cpl, 0);
			EQ(peek(ring_stack(0) - 36, 4), CODE + 2);
			continue;
		}
		expect(RETIRED, 0);
		EQ(c->eflags & FL_VM, FL_VM);
		EQ(c->seg[CS].sel, 0);
		EQ(c->r[RIP], handler_of(VECTOR)); /* of the table at linear address 0 */
		EQ(c->r[RSP], STACK - 6);
		EQ(peek(STACK - 6, 2), CODE + 2);
		EQ(peek(STACK - 4, 2), OLD_CS);
		pushed = FL_1 | FL_NT | FL_IOPL | (level == 3 ? flags & FL_I : flags & FL_VIF ? FL_I : 0);
		EQ(peek(STACK - 2, 2), pushed);
		EQ(c->eflags & (FL_I | FL_VIF | FL_T), level == 3 ? flags & FL_VIF : flags & FL_I);
		EQ(c->eflags & FL_IOPL, level << 12);
	}
}
END_TEST

/* Each vector has its bit in the 32 bytes below the I/O map; those must be in the TSS. */
START_TEST(bitmap)
{
	for (unsigned v = 0; v < 256; v++)
		for (unsigned bit = 0; bit < 2; bit++) {
			name_case("INT %x, bit %u", v, bit);
			v86(0, true, 0);
			AT_CODE(0xcd, (u8)v);
			for (unsigned i = 0; i < 32; i++)
				poke8(TSS_AT + 0x68 + i, (u8)((bit ? 0 : 0xff) ^ (i == v / 8 ? 1 << (v & 7) : 0)));
			poke32(IVT + 4 * v, 0x00200123);
			expect(bit ? VEC_GP : RETIRED, 0);
			if (!bit) {
				EQ(c->r[RIP], 0x123);
				EQ(c->seg[CS].sel, 0x20);
			}
		}
	for (unsigned limit = 0x66; limit < 0x90; limit++) {
		name_case("TSS limit %x", limit);
		v86(0, true, 0);
		AT_CODE(0xcd, VECTOR);
		c->seg[TR].limit = limit;
		expect(limit >= 0x68 + VECTOR / 8 ? RETIRED : VEC_GP, 0);
	}
}
END_TEST

/* The 8086 handler's frame must fit: #SS(0), and nothing has happened. */
START_TEST(int_n_stack)
{
	static const struct { u16 sp; int vector; } rows[] = { { 6, RETIRED }, { 0, RETIRED }, { 2, RETIRED },
		{ 4, RETIRED }, { 1, VEC_SS }, { 3, VEC_SS }, { 5, VEC_SS }, { 7, RETIRED } };

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("SP %x", rows[i].sp);
		v86(0, true, 0);
		AT_CODE(0xcd, VECTOR);
		c->r[RSP] = rows[i].sp;
		expect(rows[i].vector, 0);
	}
}
END_TEST

/* ---- protected mode ---- */

/* CLI and STI by CPL and IOPL; with CR4.PVI ring 3 has VIF (20.4). The other instructions do not know PVI. */
START_TEST(protected)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 4 * 2 * 2 * 8; n++) {
			unsigned cpl = n & 3, level = n >> 2 & 3, pvi = n >> 4 & 1, sti = n >> 5 & 1;
			u32 flags = (n & 64 ? FL_I : 0) | (n & 128 ? FL_VIF : 0) | (n & 256 ? FL_VIP : 0),
			    which = cpl <= level ? FL_I : FL_VIF;
			int vector = cpl <= level                                 ? RETIRED
				     : !pvi || cpl < 3 || (sti && flags & FL_VIP) ? VEC_GP
										  : RETIRED;

			name_case("%s, ring %u: %s, IOPL %u, PVI %u, flags %x", mode_names[m], cpl, sti ? "STI" : "CLI",
				  level, pvi, flags);
			enter(m, cpl);
			c->cr4 |= pvi ? CR4_PVI : 0;
			c->eflags |= flags | level << 12;
			POKE(CODE, sti ? 0xfb : 0xfa);
			settle();
			expect(vector, 0);
			if (vector == RETIRED)
				EQ(c->eflags & (FL_I | FL_VIF | FL_VIP), sti ? flags | which : flags & ~which);
		}
}
END_TEST

/* POPF: which bits it loads, by CPL, IOPL and size. PUSHF: all but VM and RF. */
START_TEST(popf_protected)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 4 * 2 * 2; n++) {
			unsigned cpl = n & 3, level = n >> 2 & 3, prefix = n >> 4 & 1, ones = n >> 5, size;
			u32 all = 0x3f7fd7, mask = OSZAPC | FL_T | FL_D | FL_NT, was;

			if (m == V86 || (m == REAL && cpl))
				continue;
			size = m == LONG ? prefix ? 2 : 8 : prefix ? 6 - word_of(m) : word_of(m);
			name_case("%s, ring %u, IOPL %u: POPF of %u bytes, %s", mode_names[m], cpl, level, size,
				  ones ? "ones" : "zeros");
			enter(m, cpl);
			POKE(CODE, prefix ? 0x66 : 0x9d, 0x9d);
			poke64(STACK, ones ? all & ~(u32)FL_T : 0);
			c->eflags |= level << 12 | (ones ? 0 : FL_I | FL_D | FL_NT | FL_AC | FL_VIF | FL_VIP | FL_ID);
			c->cr4 |= CR4_PVI;
			if (!ones)
				cpu_set_arith(c, OSZAPC);
			settle();
			was = cpu_flags(c);
			mask |= cpl <= level ? FL_I : 0;
			mask |= cpl == 0 ? FL_IOPL : 0;
			mask |= size > 2 ? FL_AC | FL_ID : 0;
			expect(RETIRED, 0);
			EQ(cpu_flags(c), (was & ~mask) | ((ones ? all & ~(u32)FL_T : 0) & mask) | FL_1);
			was = cpu_flags(c);
			POKE(CODE + 2, prefix ? 0x66 : 0x9c, 0x9c);
			c->r[RIP] = CODE + 2;
			c->eflags |= FL_RF;
			expect(RETIRED, 0);
			EQ(peek(c->r[RSP], size), size == 2 ? (u16)was : was);
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("v86");
	TCase *t = tcase_create("v86");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, cli_sti);
	tcase_add_test(t, pushf);
	tcase_add_test(t, popf_iret);
	tcase_add_test(t, int_n);
	tcase_add_test(t, bitmap);
	tcase_add_test(t, int_n_stack);
	tcase_add_test(t, protected);
	tcase_add_test(t, popf_protected);
	suite_add_tcase(s, t);
	return bare_run(s);
}
