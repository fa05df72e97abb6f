/* SPDX-License-Identifier: MIT */
/* Segment registers: what may be loaded into them, what LAR, LSL, VERR, VERW, ARPL, LLDT and LTR make of descriptors,
 * and which bytes a segment lets through (SDM vol. 2, each instruction's operation; vol. 3, 3.4, 5.3 to 5.6 and 5.10).
 * */
#include "tests/unit/modes.h"

/* ---- loads ---- */

/* Vol. 2, MOV, "Operation": the checks of a selector that is neither null nor beyond its table. */
static int load_fault(bool ss, unsigned access, unsigned cpl, unsigned rpl)
{
	unsigned dpl = access >> 5 & 3, type = access & 15;
	bool s = access & 0x10, code = s && type & 8, data = s && !code;

	if (ss) {
		if (rpl != cpl || !(data && type & 2) || dpl != cpl)
			return VEC_GP;
		return access & 0x80 ? RETIRED : VEC_SS;
	}
	if (!(data || (code && type & 2)))
		return VEC_GP;
	if ((data || !(type & 4)) && (rpl > dpl || cpl > dpl))
		return VEC_GP;
	return access & 0x80 ? RETIRED : VEC_NP;
}

/* MOV sreg, AX; POP sreg; Lsreg. False: there is no such instruction. */
enum how { MOV, POP, LXS, HOWS };
static bool load_instruction(enum how how, enum mode m, unsigned reg, u16 sel)
{
	static const u8 pops[] = { [ES] = 0x07, [SS] = 0x17, [DS] = 0x1f, [FS] = 0xa1, [GS] = 0xa9 },
			loads[] = { [ES] = 0xc4, [DS] = 0xc5, [SS] = 0xb2, [FS] = 0xb4, [GS] = 0xb5 };
	bool two = reg >= FS;

	c->r[RAX] = sel;
	c->r[RBX] = DATA;
	if (how == MOV) {
		POKE(CODE, 0x8e, (u8)(0xc0 | reg << 3));
	} else if (how == POP) {
		if (m == LONG && !two)
			return false;
		POKE(CODE, two ? 0x0f : pops[reg], pops[reg]);
		poke64(STACK, sel);
	} else {
		two |= reg == SS;
		if (m == LONG && !two)
			return false;
		if (two)
			POKE(CODE, 0x0f, loads[reg], rm_bx(m));
		else
			POKE(CODE, loads[reg], rm_bx(m));
		poke32(DATA, 0x1234);
		poke16(DATA + word_of(m), sel);
	}
	return true;
}

static void loads(enum mode m, unsigned step)
{
	for (unsigned n = 0; n < 4 * 4 * 256; n += step) {
		static const u8 regs[] = { ES, SS, DS, FS, GS };
		unsigned cpl = n & 3, rpl = n >> 2 & 3, access = n >> 4, reg = regs[n / step % 5];
		enum how how = (enum how)(n / step / 5 % HOWS);
		u16 sel = (u16)(SLOT | rpl);
		int vector;

		for (unsigned twice = 0; twice < 2; twice++, reg = SS) {
			name_case("%s, ring %u: load %u way %u of RPL %u, access %x", mode_names[m], cpl, reg, how, rpl,
				  access);
			enter(m, cpl);
			set_descriptor(SLOT, descriptor(0x1230, 0xff, access, 0xc));
			if (!load_instruction(how, m, reg, sel))
				continue;
			vector = load_fault(reg == SS, access, cpl, rpl);
			expect(vector, vector == RETIRED ? 0 : SLOT);
			if (vector != RETIRED)
				continue;
			EQ(c->seg[reg].sel, sel);
			EQ(c->seg[reg].base, 0x1230);
			EQ(c->seg[reg].limit, 0xfffff);
			EQ(access_of(SLOT), access | 1);
		}
	}
}
START_TEST(loads_protected) { loads(P32, 1); } END_TEST
START_TEST(loads_64) { loads(LONG, 1); } END_TEST
START_TEST(loads_others)
{
	loads(P16, 7);
	loads(C16, 11);
	loads(C32, 13);
}
END_TEST

/* Null selectors (vol. 2, MOV; vol. 3, 5.4.1): in DS, ES, FS, GS always; in SS in 64-bit code of rings 0 to 2 with RPL
 * = CPL. */
START_TEST(null_selectors)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 4 * 6; n++) {
			unsigned cpl = n & 3, rpl = n >> 2 & 3, reg = n >> 4;

			if (reg == CS)
				continue;
			name_case("%s, ring %u: segment %u := %u", mode_names[m], cpl, reg, rpl);
			enter(m, cpl);
			load_instruction(MOV, m, reg, (u16)rpl);
			expect(reg != SS || (m == LONG && cpl < 3 && rpl == cpl) ? RETIRED : VEC_GP, 0);
			/* It loads, and can be used in 64-bit mode only (vol. 3, 3.4.4). */
			if (reg == SS)
				continue;
			enter(m, cpl);
			load_instruction(MOV, m, reg, (u16)rpl);
			/* mov al, reg:[bx] */
			POKE(CODE + 2, (const u8[]){ [ES] = 0x26, [DS] = 0x3e, [FS] = 0x64, [GS] = 0x65 }[reg], 0x8a,
				rm_bx(m));
			expect(RETIRED, 0);
			expect(m == LONG ? RETIRED : VEC_GP, 0);
		}
}
END_TEST

/* The tables' ends: #GP(selector); of a table that is not there, too. */
START_TEST(table_limits)
{
	static const struct { u16 sel; bool no_ldt; u16 gdt_limit; int vector; } rows[] = {
		{ BEYOND, false, GDT_END - 1, VEC_GP }, { 0xfff8, false, GDT_END - 1, VEC_GP },
			{ DATA32(3), false, (DATA32(3) & 0xfff8) + 7, RETIRED },
		{ DATA32(3), false, (DATA32(3) & 0xfff8) + 6, VEC_GP }, { DATA32(3), false, 0, VEC_GP },
			{ FAR_SLOT | 3, false, GDT_END - 1, RETIRED },
		/* entry 0 of the LDT is none of nothing */
		{ FAR_SLOT | 3, true, GDT_END - 1, VEC_GP }, { LDT_END | 7, false, GDT_END - 1, VEC_GP },
			{ 4, false, GDT_END - 1, VEC_GP },
	};

	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			name_case("%s: ES := %x with a limit of %x", mode_names[m], rows[i].sel, rows[i].gdt_limit);
			enter(m, 3);
			set_descriptor(FAR_SLOT, descriptor(0, 0xffff, 0xf3, 4));
			c->gdtr.limit = rows[i].gdt_limit;
			if (rows[i].no_ldt)
				c->seg[LDTR] = (struct seg){ .attr = SEG_UNUSABLE };
			load_instruction(MOV, m, ES, rows[i].sel);
			expect(rows[i].vector, rows[i].vector == RETIRED ? 0 : rows[i].sel & 0xfffc);
		}
}
END_TEST

/* Real and virtual-8086 mode know no checks. CS cannot be loaded: #UD. */
START_TEST(loads_8086)
{
	for (enum mode m = REAL; m <= V86; m++)
		for (unsigned reg = ES; reg <= GS + 1; reg++) {
			name_case("%s: segment %u", mode_names[m], reg);
			enter(m, 0);
			POKE(CODE, 0x8e, (u8)(0xc0 | reg << 3));
			c->r[RAX] = 0xfff3;
			expect(reg == CS || reg > GS ? VEC_UD : RETIRED, 0);
			if (reg != CS && reg <= GS) {
				EQ(c->seg[reg].sel, 0xfff3);
				EQ(c->seg[reg].base, 0xfff30);
				EQ(c->seg[reg].limit, 0xffff);
			}
		}
}
END_TEST

/* ---- looking at descriptors ---- */

static bool reachable(unsigned access, unsigned cpl, unsigned rpl)
{
	unsigned dpl = access >> 5 & 3;

	return (access & 0x1c) == 0x1c || (dpl >= cpl && dpl >= rpl);
}

/* LAR, LSL, VERR, VERW, over all access bytes: vol. 2, tables 3-53 and 3-58. */
START_TEST(lar_lsl_verr_verw)
{
	/* System types; bit 0 LAR, bit 1 LSL. */
	static const u8 legacy[16] = { 0, 3, 3, 3, 1, 1, 0, 0, 0, 3, 0, 3, 1, 0, 0, 0 },
			ia32e[16] = { [2] = 3, [9] = 3, [11] = 3, [12] = 1 };
	static const enum mode modes[] = { P32, C32, LONG };

	for (unsigned k = 0; k < ARRAY_LEN(modes); k++)
		for (unsigned n = 0; n < 4 * 4 * 256; n++) {
			unsigned cpl = n & 3, rpl = n >> 2 & 3, access = n >> 4;
			bool s = access & 0x10, code = s && access & 8, reach = reachable(access, cpl, rpl);
			unsigned valid = !reach ? 0 : s ? 3 : (is_long(modes[k]) ? ia32e : legacy)[access & 15];
			bool z[4] = { valid & 1, valid >> 1, s && reach && (!code || access & 2),
				      s && reach && !code && access & 2 };

			name_case("%s, ring %u: RPL %u, access %x", mode_names[modes[k]], cpl, rpl, access);
			enter(modes[k], cpl);
			set_descriptor(SLOT, descriptor(0x12345678, 0x12345, access, 0xd));
			c->r[RAX] = SLOT | rpl;
			c->r[RBX] = c->r[RCX] = 0x55;
			/* lar ebx, eax; lsl ecx, eax; verr ax; verw ax */
			POKE(CODE, 0x0f, 0x02, 0xd8, 0x0f, 0x03, 0xc8, 0x0f, 0x00, 0xe0, 0x0f, 0x00, 0xe8);
			for (unsigned i = 0; i < 4; i++) {
				expect(RETIRED, 0);
				EQ(flag_z(c), z[i]);
			}
			EQ(c->r[RBX], z[0] ? 0xd10000 | access << 8 : 0x55);
			EQ(c->r[RCX], z[1] ? 0x12345fff : 0x55);
			EQ(access_of(SLOT), access); /* looking is not using */
		}
}
END_TEST

/* Selectors that name nothing clear ZF; in real and virtual-8086 mode there is no such instruction. A 16-bit LAR has no
 * upper half. */
START_TEST(look_at_nothing)
{
	static const u8 opcodes[][3] = {
		{ 0x0f, 0x02, 0xd8 }, { 0x0f, 0x03, 0xd8 }, { 0x0f, 0x00, 0xe0 }, { 0x0f, 0x00, 0xe8 }
	};
	static const u16 sels[] = { 0, 3, 4, BEYOND, 0xffff, LDT_END | 4 };

	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(opcodes); i++)
			for (unsigned k = 0; k < ARRAY_LEN(sels); k++) {
				name_case("%s: %02x %02x of %x", mode_names[m], opcodes[i][1], opcodes[i][2], sels[k]);
				enter(m, 0);
				poke(CODE, opcodes[i], 3);
				c->r[RAX] = sels[k];
				c->r[RBX] = 0x55;
				cpu_set_arith(c, FL_Z);
				expect(m <= V86 ? VEC_UD : RETIRED, 0);
				EQ(flag_z(c), m <= V86);
				EQ(c->r[RBX], 0x55);
			}
	enter(P16, 0);
	set_descriptor(SLOT, descriptor(0, 0x12345, 0xf3, 0xd));
	POKE(CODE, 0x0f, 0x02, 0xd8, 0x0f, 0x03, 0xc8);
	c->r[RAX] = SLOT;
	c->r[RBX] = c->r[RCX] = 0xaaaa0000;
	expect(RETIRED, 0);
	expect(RETIRED, 0);
	EQ(c->r[RBX], 0xaaaaf300);
	EQ(c->r[RCX], 0xaaaa5fff);
}
END_TEST

/* ARPL: the RPL of the first is raised to that of the second, and ZF says whether it was. */
START_TEST(arpl)
{
	for (enum mode m = REAL; m < LONG; m++)
		for (unsigned n = 0; n < 32; n++) {
			unsigned to = n & 3, from = n >> 2 & 3, higher = to < from ? from : to;
			bool in_memory = n & 16;

			name_case("%s: %u, %u", mode_names[m], to, from);
			enter(m, 3);
			POKE(CODE, 0x63, in_memory ? 8 | rm_bx(m) : 0xc8);
			c->r[RAX] = 0x12345670 | to;
			c->r[RBX] = DATA;
			c->r[RCX] = from;
			poke16(DATA, (u16)(0x5670 | to));
			expect(m <= V86 ? VEC_UD : RETIRED, 0);
			if (m <= V86)
				continue;
			EQ(in_memory ? peek(DATA, 2) : c->r[RAX], in_memory ? 0x5670 | higher : 0x12345670 | higher);
			EQ(flag_z(c), to < from);
		}
}
END_TEST

/* ---- LLDT and LTR ---- */

START_TEST(lldt_and_ltr)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 2 * 4 * 64; n++) {
			bool ltr = n & 1, s = n >> 3 & 1, present = n >> 4 & 1;
			unsigned cpl = n >> 1 & 3, type = n >> 5,
				 access = 0x60 | (present ? 0x80 : 0) | (s ? 0x10 : 0) | type;
			bool right = !s && (ltr ? type == 9 || (type == 1 && !is_long(m)) : type == 2);
			int vector;

			if (cpl && m <= V86)
				continue;
			vector = m <= V86 ? VEC_UD : cpl ? VEC_GP : !right ? VEC_GP : present ? RETIRED : VEC_NP;
			name_case("%s, ring %u: %s of access %x", mode_names[m], cpl, ltr ? "LTR" : "LLDT", access);
			enter(m, cpl);
			set_descriptor(SLOT, descriptor(0x123400, 0x3ff, access, 0));
			if (m == LONG)
				poke64(GDT + SLOT + 8, 0x7fff);
			POKE(CODE, 0x0f, 0x00, ltr ? 0xd8 : 0xd0);
			c->r[RAX] = SLOT;
			expect(vector, vector == VEC_UD || cpl || vector == RETIRED ? 0 : SLOT);
			if (vector != RETIRED)
				continue;
			EQ(c->seg[ltr ? TR : LDTR].sel, SLOT);
			EQ(c->seg[ltr ? TR : LDTR].base, m == LONG ? 0x7fff00123400 : 0x123400);
			EQ(c->seg[ltr ? TR : LDTR].limit, 0x3ff);
			EQ(access_of(SLOT), ltr ? access | 2 : access); /* busy */
		}
}
END_TEST

START_TEST(lldt_and_ltr_selectors)
{
	static const struct { u16 sel; bool ltr, upper; u64 high; int vector; u16 error; } rows[] = {
		{ 0, false, false, 0, RETIRED, 0 }, { 3, false, false, 0, RETIRED, 0 },
			{ 0, true, false, 0, VEC_GP, 0 }, { 3, true, false, 0, VEC_GP, 0 },
		{ FAR_SLOT, false, false, 0, VEC_GP, FAR_SLOT }, { FAR_SLOT, true, false, 0, VEC_GP, FAR_SLOT },
			{ BEYOND, false, false, 0, VEC_GP, BEYOND },
		{ BEYOND | 3, true, false, 0, VEC_GP, BEYOND },
		/* the second half of 16 bytes is beyond the limit */
		{ GDT_END - 8, false, true, 0, VEC_GP, GDT_END - 8 },
		{ SLOT, false, true, 0x8000, VEC_GP, SLOT }, { SLOT, false, true, (u64)1 << 40, VEC_GP, SLOT },
			{ SLOT, false, true, 0xffff8000, RETIRED, 0 },
	};

	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			if (rows[i].upper && m != LONG)
				continue;
			name_case("%s: %s of %x, %llx above", mode_names[m], rows[i].ltr ? "LTR" : "LLDT", rows[i].sel,
				  (unsigned long long)rows[i].high);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0, 0x3ff, rows[i].ltr ? 0x89 : 0x82, 0));
			set_descriptor(FAR_SLOT, descriptor(0, 0x3ff, rows[i].ltr ? 0x89 : 0x82, 0));
			set_descriptor(GDT_END - 8, descriptor(0, 0x3ff, 0x82, 0));
			poke64(GDT + SLOT + 8, rows[i].high);
			POKE(CODE, 0x0f, 0x00, rows[i].ltr ? 0xd8 : 0xd0);
			c->r[RAX] = rows[i].sel;
			expect(rows[i].vector, rows[i].error);
			/* a null LDTR: its selectors name nothing */
			if (rows[i].vector == RETIRED && rows[i].sel < 4) {
				EQ(c->seg[LDTR].sel, rows[i].sel);
				set_descriptor(FAR_SLOT, descriptor(0, 0xffff, 0xf3, 4));
				POKE(CODE + 3, 0x8e, 0xc0);
				c->r[RAX] = FAR_SLOT;
				expect(VEC_GP, FAR_SLOT);
			}
		}
}
END_TEST

/* ---- bytes ---- */

/* Vol. 3, 5.3: the offsets of a segment. */
static bool inside(unsigned type, u32 limit, bool big, u64 offset)
{
	if ((type & 12) == 4) /* data, expand-down */
		return offset > limit && offset <= (big ? 0xffffffff : 0xffff);
	return offset <= limit;
}

/* By type (vol. 3, 5.3 and 5.5): every byte of the access must be inside. */
static int access_fault(unsigned type, u32 limit, bool big, u64 offset, unsigned size, bool write, bool stack)
{
	int vector = stack ? VEC_SS : VEC_GP;

	if (write ? type & 8 || !(type & 2) : type & 8 && !(type & 2))
		return vector;
	for (unsigned i = 0; i < size; i++)
		if (!inside(type, limit, big, offset + i))
			return vector;
	return RETIRED;
}

static const struct accessor { const char *name; u8 bytes[8]; unsigned size; bool write; } accesses[] = {
	{ "mov al, [ebx]", { 0x8a, 0x03 }, 1, false }, { "mov [ebx], al", { 0x88, 0x03 }, 1, true },
		{ "mov ax, [ebx]", { 0x66, 0x8b, 0x03 }, 2, false },
	{ "mov [ebx], ax", { 0x66, 0x89, 0x03 }, 2, true }, { "mov eax, [ebx]", { 0x8b, 0x03 }, 4, false },
		{ "add [ebx], eax", { 0x01, 0x03 }, 4, true },
	{ "fld qword [ebx]", { 0xdd, 0x03 }, 8, false }, { "movq [ebx], mm0", { 0x0f, 0x7f, 0x03 }, 8, true },
		{ "fstp tword [ebx]", { 0xdb, 0x3b }, 10, true },
	{ "movups xmm0, [ebx]", { 0x0f, 0x10, 0x03 }, 16, false }, { "movups [ebx], xmm0", { 0x0f, 0x11, 0x03 }, 16,
		true },
	{ "fxsave [ebx]", { 0x0f, 0xae, 0x03 }, 512, true }, { "test al, [ebx]", { 0x84, 0x03 }, 1, false },
		{ "lgdt [ebx]", { 0x0f, 0x01, 0x13 }, 6, false },
};

/* All types of code and data at the edges of limits, through DS and SS, in 32-bit code of both kinds. */
static void bytes(enum mode m)
{
	static const u32 limits[] = { 0, 1, 0xf, 0xffe, 0xfff, 0x1000, 0xffff, 0x10fff, 0xffffffff };

	for (unsigned n = 0; n < 16 * 2 * ARRAY_LEN(limits) * ARRAY_LEN(accesses) * 12; n++) {
		unsigned type = n & 15, k = n >> 5, edge = k % 12;
		bool big = n & 16, stack, g;
		u32 limit = limits[k / 12 % ARRAY_LEN(limits)];
		const struct accessor *a = &accesses[k / 12 / ARRAY_LEN(limits)];
		u32 at = edge < 6   ? limit + 2 - edge - (edge & 1 ? a->size : 0)
			 : edge < 9 ? 0x10001 - (edge - 6) - a->size
				    : edge - 9;
		int vector;

		stack = !(type & 8) && type & 2 && edge & 1; /* what SS can be */
		g = limit > 0xfffff;
		if (a->size == 512)
			at &= ~15u;
		if (a->size > 1 && (u64)at + a->size > 0x100000000) /* a wrap has a test of its own */
			continue;
		name_case("%s: %s at %x, type %x, limit %x, B %d, %s", mode_names[m], a->name, at, type, limit, big,
			  stack ? "SS" : "DS");
		enter(m, 0);
		c->seg[DS] = (struct seg){ .base = 0, .limit = limit, .sel = DATA32(0), .attr = SEG_P | SEG_S | SEG_A |
			type | (big ? SEG_DB : 0) | (g ? SEG_G : 0) };
		if (stack) {
			c->seg[SS] = c->seg[DS];
			POKE(CODE, 0x36);
		} else {
			POKE(CODE, 0x3e);
		}
		poke(CODE + 1, a->bytes, sizeof a->bytes);
		c->r[RBX] = at;
		c->x87.valid = 0xff;
		settle();
		vector = access_fault(type, limit, big, at, a->size, a->write, stack);
		if (vector != RETIRED || m == P32 || at < GiB) /* which is what is mapped */
			expect(vector, 0);
	}
}
START_TEST(bytes_protected) { bytes(P32); } END_TEST
START_TEST(bytes_compatibility) { bytes(C32); } END_TEST

/* PUSH and POP at the edges of a stack: a word above the limit, a word that wraps. An access over 4 GBytes is beyond
 * the limit, except in a flat segment, where the manual leaves it open (5.3) and silicon wraps. */
START_TEST(edges)
{
	static const struct { u8 code[2]; u32 base, limit; u8 type; u32 esp; int vector; } rows[] = {
		{ { 0x50 }, 0, 0xfff, 3, 0x1000, RETIRED }, { { 0x50 }, 0, 0xfff, 3, 0x1001, VEC_SS },
			{ { 0x50 }, 0, 0xfff, 3, 2, VEC_SS }, { { 0x50 }, 0, 0xfff, 7, 0x1004, RETIRED },
		{ { 0x50 }, 0, 0xfff, 7, 0x1003, VEC_SS }, { { 0x58 }, 0, 0xfff, 3, 0xffc, RETIRED },
			{ { 0x58 }, 0, 0xfff, 3, 0xffd, VEC_SS }, { { 0x58 }, 0, 0xfff, 7, 0xfff, VEC_SS },
		{ { 0x58 }, 0x10, 0xffffffff, 3, 0xfffffffe, VEC_SS }, { { 0x58 }, 0, 0xfff, 7, 0xfffffffe, VEC_SS },
			{ { 0x58 }, 0, 0xffffffff, 3, 0xfffffffe, RETIRED },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("row %u", i);
		enter(P32, 0);
		c->seg[SS] = (struct seg){ .base = rows[i].base, .limit = rows[i].limit, .sel = DATA32(0),
			.attr = SEG_P | SEG_S | SEG_A | SEG_DB | rows[i].type };
		poke(CODE, rows[i].code, 2);
		c->r[RSP] = rows[i].esp;
		settle();
		expect(rows[i].vector, 0);
	}
}
END_TEST

/* 16-bit addresses: the sum wraps at 64 KBytes, the access does not; of an expand-down segment without B nothing above
 * FFFFh is inside. */
START_TEST(addresses_16)
{
	static const struct { enum mode m; u32 limit; u8 type; u16 bx; s8 disp; u8 size; int vector; } rows[] = {
		{ REAL, 0xffff, 3, 0xffff, 0, 2, VEC_GP }, { REAL, 0xffff, 3, 0xffff, 0, 1, RETIRED },
			{ REAL, 0xffff, 3, 0xffff, 1, 2, RETIRED }, { REAL, 0xffff, 3, 0, -1, 2, VEC_GP },
		{ V86, 0xffff, 3, 0xffff, 0, 2, VEC_GP }, { V86, 0xffff, 3, 0xfffe, 0, 2, RETIRED },
			{ P16, 0xffff, 3, 0xffff, 0, 2, VEC_GP },
		{ P16, 0xfffff, 3, 0xffff, 0, 1, RETIRED }, { P16, 0xfff, 7, 0xffff, 0, 2, VEC_GP },
			{ P16, 0xfff, 7, 0xfffe, 0, 2, RETIRED }, { P16, 0xfff, 7, 0xfff, 0, 1, VEC_GP },
		{ P16, 0xfff, 7, 0x1000, 0, 2, RETIRED }, { P16, 0xffff, 7, 0x5000, 0, 1, VEC_GP },
			{ C16, 0xfff, 3, 0x1000, -1, 1, RETIRED }, { C16, 0xfff, 3, 0x1000, -1, 2, VEC_GP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s, row %u", mode_names[rows[i].m], i);
		enter(rows[i].m, 0);
		if (rows[i].m > V86)
			c->seg[DS] = (struct seg){ .limit = rows[i].limit, .sel = DATA16(0), .attr = SEG_P | SEG_S |
				SEG_A | rows[i].type };
		POKE(CODE, rows[i].size == 1 ? 0x8a : 0x8b, 0x47, (u8)rows[i].disp);
		c->r[RBX] = rows[i].bx;
		settle();
		expect(rows[i].vector, 0);
	}
}
END_TEST

/* Back in real mode by the steps of vol. 3, 9.9.2, a far JMP has changed CS's selector and base. From the Pentium on it is
 * the code segment that it was (a Zen 3 does so, and Xen relies on it): writable in real mode, but not when CR0.PE is 1
 * again. The processors before the Pentium make it a data segment. */
START_TEST(code_in_real_mode)
{
	static const struct { const char *model; u8 access; int vector; } rows[] = {
		{ "486", 0x93, RETIRED }, { "pentium", 0x9b, VEC_GP }, { "haswell", 0x9b, VEC_GP }, { "zen3", 0x9b, VEC_GP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].model);
		bare_free();
		bare_new(rows[i].model, RAM_SIZE);
		enter(P16, 0);
		c->r[RAX] = c->cr0 & ~(u64)CR0_PE;
		c->r[RDX] = c->cr0;
		c->r[RBX] = DATA;
		POKE(CODE, 0x0f, 0x22, 0xc0,                   /* mov cr0, eax */
		     0xea, (CODE + 8) & 0xff, CODE >> 8, 0, 0, /* jmp 0:next */
		     0x2e, 0x88, 0x07,                         /* mov cs:[bx], al */
		     0x0f, 0x22, 0xc2,                         /* mov cr0, edx */
		     0x2e, 0x88, 0x07);                        /* mov cs:[bx], al */
		for (unsigned n = 0; n < 4; n++)
			expect(RETIRED, 0);
		EQ(c->seg[CS].sel, 0);
		EQ(c->seg[CS].attr, rows[i].access);
		expect(rows[i].vector, 0);
	}
}
END_TEST

/* 64-bit mode (vol. 3, 3.4.4 and 5.3.1): no limits, no types, bases of FS and GS only; addresses must be canonical,
 * also the last byte; what goes through RSP or RBP is #SS. */
START_TEST(addresses_64)
{
	static const struct { u8 code[8]; u64 rbx, fs; int vector; } rows[] = {
		{ { 0x8b, 0x03 }, DATA, 0, RETIRED }, { { 0x2e, 0x88, 0x03 }, DATA, 0, RETIRED },
			{ { 0x3e, 0x88, 0x03 }, DATA, 0, RETIRED }, { { 0x26, 0x8b, 0x03 }, DATA, 0, RETIRED },
		{ { 0x64, 0x8a, 0x03 }, 0x10, DATA, RETIRED }, { { 0x64, 0x8a, 0x03 }, 0, 0x7fffffffffff, VEC_PF },
			{ { 0x64, 0x8a, 0x03 }, 1, 0x7fffffffffff, VEC_GP },
		{ { 0x64, 0x8b, 0x03 }, 0, 0x7ffffffffffe, VEC_GP }, { { 0x64, 0x8a, 0x03 }, (u64)-0x100, DATA + 0x100,
			RETIRED }, { { 0x8b, 0x03 }, 0x800000000000, 0, VEC_GP },
		{ { 0x8b, 0x03 }, 0x7ffffffffffc, 0, VEC_PF }, { { 0x8b, 0x03 }, 0x7ffffffffffd, 0, VEC_GP },
			{ { 0x8b, 0x03 }, 0xffff7fffffffffff, 0, VEC_GP },
		/* SS prefix: ignored */
		{ { 0x8b, 0x03 }, 0xffff800000000000, 0, VEC_PF }, { { 0x36, 0x8b, 0x03 }, 0x800000000000, 0, VEC_GP },
		{ { 0x8b, 0x45, 0 }, 0x800000000000, 0, VEC_SS },
			{ { 0x3e, 0x8b, 0x45, 0 }, 0x800000000000, 0, VEC_SS },
			{ { 0x64, 0x8b, 0x45, 0 }, 0x800000000000, 0, VEC_GP },
		{ { 0x8b, 0x04, 0x24 }, 0x800000000000, 0, VEC_SS }, { { 0x50 }, 0x800000000001, 0, VEC_SS },
			{ { 0x58 }, 0x7ffffffffffc, 0, VEC_SS },
		/* 32-bit address */
		{ { 0x67, 0x8b, 0x03 }, 0xffffffff00000000 | DATA, 0, RETIRED },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		for (unsigned cpl = 0; cpl < 4; cpl += 3) {
			name_case("ring %u, row %u", cpl, i);
			enter(LONG, cpl);
			poke(CODE, rows[i].code, sizeof rows[i].code);
			for (unsigned reg = ES; reg <= GS; reg++)
				if (reg != CS) {
					c->seg[reg] = (struct seg){
						.sel = 0x33, .base = 0x77700000, .limit = 0, .attr = SEG_UNUSABLE
					};
					c->seg[reg].base = reg == FS ? rows[i].fs : reg == GS ? 0 : 0x77700000;
				}
			c->seg[SS].attr |= cpl << 5;
			c->r[RBX] = rows[i].rbx;
			if (rows[i].code[0] == 0x50 || rows[i].code[0] == 0x58 || rows[i].code[2] == 0x24)
				c->r[RSP] = rows[i].rbx;
			c->r[RBP] = rows[i].rbx;
			settle();
			expect(rows[i].vector, rows[i].vector == VEC_PF ? (cpl ? 4 : 0) : 0);
		}
}
END_TEST

/* Fetches: an instruction must be inside CS to its last byte; what lies before the end runs. */
START_TEST(fetches)
{
	/* nop; mov eax, imm32 (16-bit: imm16, add al, [...]); nop */
	static const u8 code[] = { 0x90, 0xb8, 1, 2, 3, 4, 0x90 };

	for (enum mode m = P16; m <= C32; m++)
		for (unsigned end = 0; end <= 6; end++) {
			unsigned length = is_16(m) ? 3 : 5;

			name_case("%s, limit %x", mode_names[m], CODE + end);
			enter(m, 0);
			poke(CODE, code, sizeof code);
			c->seg[CS].limit = CODE + end - 1;
			settle();
			expect(end < 1 ? VEC_GP : RETIRED, 0);
			if (end < 1)
				continue;
			expect(end < 1 + length ? VEC_GP : RETIRED, 0);
		}
	/* Longer than 15 bytes: #GP(0), unless the limit is met first: the same. */
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned prefixes = 13; prefixes < 17; prefixes++) {
			name_case("%s, %u prefixes", mode_names[m], prefixes);
			enter(m, 0);
			for (unsigned i = 0; i < prefixes; i++)
				poke8(CODE + i, 0x26);
			poke8(CODE + prefixes, 0x90);
			expect(prefixes + 1 > 15 ? VEC_GP : RETIRED, 0);
		}
}
END_TEST

/* A loop in which DS is flat in one half of each round, and has a base and a limit in the other; addresses wrap around
 * 4 GiB, and upper halves of registers are not theirs. The limit lets 50 rounds through, or all. */
START_TEST(flat_and_not)
{
	enum { ROUNDS = 100, BASE = 0x1000, SECOND = CODE + 5, LENGTH = 12 };

	for (unsigned i = 0; i < 4; i++) {
		enum mode m = i & 1 ? C32 : P32;
		unsigned rounds = i & 2 ? ROUNDS : ROUNDS / 2;
		enum cpu_stop stop;

		name_case("%s, %u rounds", mode_names[m], rounds);
		enter(m, 0);
		set_descriptor(SLOT, descriptor(BASE, DATA + 4 * rounds - 1, 0x93, 4));
		POKE(CODE, 0x03, 0x14, 0x8b, /* add edx, [ebx + ecx * 4] */
		     0x8e, 0xde,             /* mov ds, si */
		     0x03, 0x14, 0x8b,       /* add edx, [ebx + ecx * 4] */
		     0x87, 0xee,             /* xchg esi, ebp */
		     0xff, 0x34, 0x24,       /* push dword [esp] */
		     0x58,                   /* pop eax */
		     0x83, 0xc3, 0x04,       /* add ebx, 4 */
		     0x83, 0xef, 0x01,       /* sub edi, 1 */
		     0x75, 0xea,             /* jnz */
		     0xf4);                  /* hlt */
		for (unsigned n = 0; n < ROUNDS; n++) {
			poke32(DATA + 4 * n, 1);
			poke32(DATA + BASE + 4 * n, 0x10000);
		}
		poke32(STACK, 0xabcdef01);
		c->r[RBX] = DATA | (m == C32 ? (u64)5 << 40 : 0);
		c->r[RCX] = 0x40000000;
		c->r[RDX] = 0;
		c->r[RSI] = SLOT;
		c->r[RBP] = DATA32(0);
		c->r[RDI] = ROUNDS;
		stop = cpu_run(c, c->icount + ROUNDS * LENGTH, CLOCK_NEVER);
		EQ(c->r[RDX], rounds * 0x10001 + (rounds < ROUNDS));
		EQ(c->r[RAX], 0xabcdef01);
		EQ(c->r[RSP], STACK);
		if (rounds < ROUNDS) {
			EQ(stop, CPU_EXCEPTION);
			EQ(c->fault.vector, VEC_GP);
			EQ(c->r[RIP], SECOND);
		} else {
			EQ(stop, CPU_IDLE);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("segments");
	TCase *t = tcase_create("segments");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, loads_protected);
	tcase_add_test(t, loads_64);
	tcase_add_test(t, loads_others);
	tcase_add_test(t, null_selectors);
	tcase_add_test(t, table_limits);
	tcase_add_test(t, loads_8086);
	tcase_add_test(t, lar_lsl_verr_verw);
	tcase_add_test(t, look_at_nothing);
	tcase_add_test(t, arpl);
	tcase_add_test(t, lldt_and_ltr);
	tcase_add_test(t, lldt_and_ltr_selectors);
	tcase_add_test(t, bytes_protected);
	tcase_add_test(t, bytes_compatibility);
	tcase_add_test(t, edges);
	tcase_add_test(t, addresses_16);
	tcase_add_test(t, code_in_real_mode);
	tcase_add_test(t, addresses_64);
	tcase_add_test(t, fetches);
	tcase_add_test(t, flat_and_not);
	suite_add_tcase(s, t);
	return bare_run(s);
}
