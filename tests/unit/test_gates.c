/* SPDX-License-Identifier: MIT */
/* Far CALL, JMP and RET (SDM vol. 2, each instruction's operation; vol. 3, 5.8): every check of a target, a gate, a
 * stack, and what they leave. */
#include "tests/unit/modes.h"

enum how { JMP, CALL };
static const char *const how_names[] = { "JMP", "CALL" };

/* JMP or CALL SEL:OFFSET, through memory, which every mode can. WIDE: REX.W. */
static void transfer_wide(enum how how, enum mode m, u16 sel, u64 offset, bool wide)
{
	unsigned size = wide ? 8 : word_of(m);

	c->r[RBX] = DATA;
	poke64(DATA, offset);
	poke16(DATA + size, sel);
	POKE(CODE, wide ? 0x48 : 0x90, 0xff, (how == JMP ? 5 << 3 : 3 << 3) | rm_bx(m));
	if (!wide)
		c->r[RIP] = CODE + 1;
}
static void transfer(enum how how, enum mode m, u16 sel, u64 offset) { transfer_wide(how, m, sel, offset, false); }
enum { AFTER = CODE + 3 };

/* ---- to a code segment ---- */

/* Vol. 2, CALL: "CONFORMING-CODE-SEGMENT", "NONCONFORMING-CODE-SEGMENT", and what is no code segment and no gate. 286
 * and 386 TSSs, task gates and call gates are elsewhere. */
static int direct_fault(enum mode m, unsigned access, unsigned flags, unsigned cpl, unsigned rpl)
{
	unsigned dpl = access >> 5 & 3;

	if ((access & 0x18) != 0x18)
		return VEC_GP;
	if (is_long(m) && (flags & 6) == 6)
		return VEC_GP;
	if (access & 4 ? dpl > cpl : rpl > cpl || dpl != cpl)
		return VEC_GP;
	return access & 0x80 ? RETIRED : VEC_NP;
}

static bool is_system_target(enum mode m, unsigned access)
{
	unsigned type = access & 31;

	return type == 12 || (!is_long(m) && (type == 1 || type == 4 || type == 5 || type == 9));
}

static void direct(enum mode m, unsigned step)
{
	static const u8 sizes[] = { 0xc, 0, 0xa, 0xe };

	for (unsigned n = 0; n < 4 * 4 * 256 * 2; n += step) {
		unsigned cpl = n & 3, rpl = n >> 2 & 3, access = n >> 4 & 0xff, flags = sizes[(n >> 3 ^ n >> 7) & 3];
		enum how how = (enum how)(n >> 12);
		bool to64 = is_long(m) && (flags & 2);
		unsigned size = word_of(m);
		int vector;

		if (is_system_target(m, access))
			continue;
		name_case("%s, ring %u: %s to access %x, flags %x, RPL %u", mode_names[m], cpl, how_names[how], access,
			  flags, rpl);
		enter(m, cpl);
		set_descriptor(SLOT, descriptor(0, 0xfffff, access, flags));
		transfer(how, m, (u16)(SLOT | rpl), HANDLER);
		vector = direct_fault(m, access, flags, cpl, rpl);
		expect(vector, vector == RETIRED ? 0 : SLOT);
		if (vector != RETIRED)
			continue;
		EQ(c->cpl, cpl);
		EQ(c->seg[CS].sel, SLOT | cpl); /* the RPL becomes CPL */
		EQ(c->r[RIP], HANDLER);
		EQ(in_64(c), to64);
		EQ(access_of(SLOT), access | 1);
		EQ(c->r[RSP], how == CALL ? STACK - 2 * size : STACK);
		if (how == CALL) {
			EQ(peek(STACK - 2 * size, size), AFTER);
			EQ(peek(STACK - size, 2), code_of(m, cpl));
		}
	}
}
START_TEST(direct_protected) { direct(P32, 1); } END_TEST
START_TEST(direct_64) { direct(LONG, 1); } END_TEST
START_TEST(direct_others)
{
	direct(P16, 3);
	direct(C16, 3);
	direct(C32, 3);
}
END_TEST

/* Selectors and offsets. LIMIT: of the new segment. */
START_TEST(direct_rows)
{
	static const struct { u16 sel; u32 offset, limit; u32 rsp; int vector; u16 error; } rows[] = {
		{ 0, HANDLER, 0xffff, STACK, VEC_GP, 0 }, { 3, HANDLER, 0xffff, STACK, VEC_GP, 0 },
			{ BEYOND, HANDLER, 0xffff, STACK, VEC_GP, BEYOND },
		{ LDT_END | 4, HANDLER, 0xffff, STACK, VEC_GP, LDT_END | 4 },
			{ SLOT, HANDLER, HANDLER, STACK, RETIRED, 0 }, { SLOT, HANDLER + 1, HANDLER, STACK, VEC_GP, 0 },
		{ FAR_SLOT, HANDLER, 0xffff, STACK, RETIRED, 0 },
	};

	for (enum mode m = P16; m <= C32; m++)
		for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
			unsigned k = i / 2;

			name_case("%s: %s %x:%x", mode_names[m], how_names[i & 1], rows[k].sel, rows[k].offset);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0, rows[k].limit, 0x9b, 4));
			set_descriptor(FAR_SLOT, descriptor(0, rows[k].limit, 0x9b, 4));
			transfer(i & 1 ? CALL : JMP, m, rows[k].sel, rows[k].offset);
			expect(rows[k].vector, rows[k].error);
		}
	/* 64-bit code: canonical offsets, with REX.W 64 bits of them; no limits. */
	for (unsigned how = JMP; how <= CALL; how++) {
		name_case("64-bit %s", how_names[how]);
		enter(LONG, 0);
		transfer_wide((enum how)how, LONG, CODE64(0), 0x800000000000, true);
		expect(VEC_GP, 0);
		enter(LONG, 0);
		transfer_wide((enum how)how, LONG, CODE64(0), 0xffff800000000000, true);
		expect(RETIRED, 0);
		EQ(c->r[RIP], 0xffff800000000000);
		EQ(c->r[RSP], how == CALL ? STACK - 16 : STACK);
		enter(LONG, 0); /* to compatibility mode: 32 bits count */
		transfer_wide((enum how)how, LONG, CODE32(0), 0xffffffff00000000 | HANDLER, true);
		expect(RETIRED, 0);
		EQ(c->r[RIP], HANDLER);
	}
}
END_TEST

/* The stack of a CALL: what does not fit is #SS(0), before the offset is looked at; a page that is not there is #PF
 * with nothing written. */
START_TEST(call_stack)
{
	for (enum mode m = REAL; m <= C32; m++) {
		unsigned size = word_of(m);

		for (unsigned room = 0; room <= 3; room++) {
			name_case("%s: CALL with room for %u words", mode_names[m], room);
			enter(m, 0);
			transfer(CALL, m, m <= V86 ? 0 : code_of(m, m == V86 ? 3 : 0), HANDLER);
			c->seg[SS].limit = STACK + room * size - 1;
			c->seg[SS].attr |= SEG_DB; /* else SP would wrap */
			c->r[RSP] = STACK + 2 * size;
			settle();
			expect(room < 2 ? VEC_SS : RETIRED, 0);
		}
		if (m <= V86)
			continue;
		name_case("%s: CALL with neither room nor a good offset", mode_names[m]);
		enter(m, 0);
		set_descriptor(SLOT, descriptor(0, 0xfff, 0x9b, is_16(m) ? 0 : 4));
		transfer(CALL, m, SLOT, HANDLER);
		c->seg[SS].limit = STACK - 1;
		c->seg[SS].attr |= SEG_DB;
		c->r[RSP] = STACK + 1;
		settle();
		expect(VEC_SS, 0);
	}
}
END_TEST

/* Real and virtual-8086 mode: no checks, but IP stays below 64 KBytes. */
START_TEST(transfers_8086)
{
	for (enum mode m = REAL; m <= V86; m++)
		for (unsigned how = JMP; how <= CALL; how++)
			for (unsigned wide = 0; wide < 3; wide++) {
				name_case("%s: %s, %u", mode_names[m], how_names[how], wide);
				enter(m, 0);
				POKE(CODE, 0x66, 0xff, how == JMP ? 0x2f : 0x1f);
				c->r[RBX] = DATA;
				if (!wide)
					c->r[RIP]++;
				poke32(DATA, wide == 2 ? 0x10000 : HANDLER);
				poke16(DATA + (wide ? 4 : 2), 0x123);
				expect(wide == 2 ? VEC_GP : RETIRED, 0);
				if (wide == 2)
					continue;
				EQ(c->seg[CS].base, 0x1230);
				EQ(c->r[RIP], HANDLER);
				if (how == CALL) {
					EQ(c->r[RSP], STACK - (wide ? 8 : 4));
					EQ(peek(c->r[RSP], 2), AFTER);
					EQ(peek(c->r[RSP] + (wide ? 4 : 2), 2), 0);
				}
			}
}
END_TEST

/* ---- call gates ---- */

/* Vol. 2, "CALL-GATE": the gate, then the code segment that it names. JMP: conforming code, or of the same ring. */
static int gate_fault(enum mode m, enum how how, unsigned gate_access, unsigned access, unsigned flags, unsigned cpl,
		      unsigned rpl, u16 *error)
{
	unsigned gate_dpl = gate_access >> 5 & 3, dpl = access >> 5 & 3;
	bool conforming = access & 4;

	*error = SLOT;
	if (gate_dpl < cpl || gate_dpl < rpl)
		return VEC_GP;
	if (!(gate_access & 0x80))
		return VEC_NP;
	*error = SLOT3;
	if ((access & 0x18) != 0x18 || dpl > cpl)
		return VEC_GP;
	if (how == JMP && !conforming && dpl != cpl)
		return VEC_GP;
	if (is_long(m) && (flags & 6) != 2)
		return VEC_GP;
	if (!(access & 0x80))
		return VEC_NP;
	*error = 0;
	return RETIRED;
}

static void gates(enum mode m, unsigned step)
{
	for (unsigned n = 0; n < 4 * 4 * 4 * 2 * 2 * 2 * 64; n += step) {
		unsigned cpl = n & 3, rpl = n >> 2 & 3, gate_dpl = n >> 4 & 3, small = n >> 6 & 1, t = n >> 9;
		unsigned gate_access = (n >> 7 & 1 ? 0x80 : 0) | gate_dpl << 5 | (small && !is_long(m) ? 4 : 12);
		unsigned access = (t & 1 ? 0x80 : 0x80 * (n >> 8 & 1)) | (t >> 1 & 3) << 5 | (t & 8 ? 0x10 : 0x18) |
				  (t >> 4 & 3) << 1 | 1;
		unsigned flags = is_long(m) ? (t & 4 ? 0xa : 0xc) : small ? 0 : 0xc, size = is_long(m) ? 8 : small ? 2
			: 4, to;
		enum how how = (enum how)(n >> 8 & 1);
		bool inner;
		u16 error;
		int vector = gate_fault(m, how, gate_access, access, flags, cpl, rpl, &error);

		name_case("%s, ring %u: %s gate %x to access %x, flags %x, RPL %u", mode_names[m], cpl, how_names[how],
			  gate_access, access, flags, rpl);
		enter(m, cpl);
		/* the RPL in the gate means nothing */
		set_descriptor(SLOT, gate(SLOT3 | 3, 0x66660000 | HANDLER, gate_access, 0));
		if (size != 2)
			set_descriptor(SLOT, gate(SLOT3 | 3, HANDLER, gate_access, 0));
		set_descriptor(SLOT3, descriptor(0, 0xfffff, access, flags));
		transfer(how, m, (u16)(SLOT | rpl), 0xbadbad); /* nor does this offset */
		expect(vector, error);
		if (vector != RETIRED)
			continue;
		inner = !(access & 4) && (access >> 5 & 3) < cpl;
		to = inner ? access >> 5 & 3 : cpl;
		EQ(c->cpl, to);
		EQ(c->seg[CS].sel, SLOT3 | to);
		EQ(c->r[RIP], HANDLER);
		if (how == JMP) {
			EQ(c->r[RSP], STACK);
			continue;
		}
		EQ(c->r[RSP], inner ? ring_stack(to) - 4 * size : STACK - 2 * size);
		EQ(peek(c->r[RSP], size), AFTER);
		EQ(peek(c->r[RSP] + size, 2), code_of(m, cpl));
		if (inner) {
			EQ(peek(c->r[RSP] + 2 * size, size), STACK);
			EQ(peek(c->r[RSP] + 3 * size, 2), data_of(m, cpl));
			EQ(c->seg[SS].sel, is_long(m) ? to : m == P16 ? DATA16(to) : DATA32(to));
		}
	}
}
START_TEST(gates_protected) { gates(P32, 1); } END_TEST
START_TEST(gates_64) { gates(LONG, 1); } END_TEST
START_TEST(gates_others)
{
	gates(P16, 3);
	gates(C16, 5);
	gates(C32, 5);
}
END_TEST

/* What a gate may name. */
START_TEST(gate_selectors)
{
	static const struct { u16 sel; u32 offset; u64 high; bool only_64; int vector; u16 error; } rows[] = {
		{ 0, HANDLER, 0, false, VEC_GP, 0 }, { 3, HANDLER, 0, false, VEC_GP, 0 },
			{ BEYOND, HANDLER, 0, false, VEC_GP, BEYOND },
		{ LDT_END | 4, HANDLER, 0, false, VEC_GP, LDT_END | 4 }, { SLOT3, HANDLER, 0, false, RETIRED, 0 },
			{ SLOT3, 0x12345678, 0, false, VEC_GP, 0 },
		{ SLOT3, HANDLER, 0x8000, true, VEC_GP, 0 }, { SLOT3, HANDLER, 0xffff8000, true, RETIRED, 0 },
		{ SLOT3, HANDLER, (u64)1 << 40, true, VEC_GP, SLOT },
			{ SLOT3, HANDLER, (u64)31 << 40, true, VEC_GP, SLOT },
		/* the other bits are reserved, but not looked at */
		{ SLOT3, HANDLER, (u64)1 << 45 | (u64)0xff << 32, true, RETIRED, 0 },
	};

	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < 4 * ARRAY_LEN(rows); i++) {
			unsigned k = i / 4, cpl = i & 2 ? 3 : 0;
			enum how how = (enum how)(i & 1);

			if ((rows[k].only_64 && !is_long(m)) || (rows[k].offset > 0xffff && is_long(m)) ||
			    (how == JMP && cpl))
				continue;
			name_case("%s, ring %u: %s gate to %x:%x, %llx above", mode_names[m], cpl, how_names[how],
				  rows[k].sel, rows[k].offset, (unsigned long long)rows[k].high);
			enter(m, cpl);
			set_descriptor(SLOT, gate(rows[k].sel, rows[k].offset, 0xec, 0));
			poke64(GDT + SLOT + 8, rows[k].high);
			set_descriptor(SLOT3, descriptor(0, 0xffff, 0x9b, is_long(m) ? 2 : 4));
			transfer(how, m, SLOT | 3, 0);
			expect(rows[k].vector, rows[k].error);
			if (rows[k].vector == RETIRED)
				EQ(c->r[RIP], rows[k].offset | (rows[k].high & 0xffffffff) << 32);
		}
	/* A gate of the GDT's last 8 bytes is half a gate in IA-32e mode. */
	enter(LONG, 0);
	name_case("half a gate");
	set_descriptor(GDT_END - 8, gate(CODE64(0), HANDLER, 0xec, 0));
	transfer(CALL, LONG, GDT_END - 8, 0);
	expect(VEC_GP, GDT_END - 8);
}
END_TEST

/* The inner stack (vol. 2, "MORE-PRIVILEGE"), with two parameters. */
START_TEST(gate_stack)
{
	for (enum mode m = P16; m <= P32; m++)
		for (unsigned i = 0; i < 4 * ARRAY_LEN(stack_rows); i++) {
			const struct stack_row *r = &stack_rows[i / 4];
			unsigned size = i & 1 ? 4 : 2, beyond = i & 2 ? 0x10000 : 0;

			if (beyond && size == 2)
				continue;
			name_case("%s, %u-byte gate, stack row %u, offset + %x", mode_names[m], size, i / 4, beyond);
			enter(m, 3);
			set_descriptor(SLOT, gate(SLOT3, HANDLER + beyond, size == 4 ? 0xec : 0xe4, 2));
			set_descriptor(SLOT3, descriptor(0, 0xffff, 0x9b, 4));
			set_inner_stack(r, 6, size);
			transfer(CALL, m, SLOT | 3, 0);
			poke32(STACK, 0x11112222);
			poke32(STACK + 4, 0x33334444);
			/* room first, then the offset */
			expect(r->vector == RETIRED && beyond ? VEC_GP : r->vector, r->error);
			if (r->vector != RETIRED || beyond)
				continue;
			EQ(c->r[RSP], INNER - 6 * size);
			EQ(peek(c->r[RSP] + 2 * size, size), size == 4 ? 0x11112222 : 0x2222);
			EQ(peek(c->r[RSP] + 3 * size, size), size == 4 ? 0x33334444 : 0x1111);
			EQ(peek(c->r[RSP] + 4 * size, size), STACK);
		}
}
END_TEST

/* The caller's parameters must be on its stack: #SS(0) of that. */
START_TEST(gate_parameters)
{
	for (unsigned room = 0; room <= 4; room++) {
		name_case("%u of 3 parameters", room);
		enter(P32, 3);
		set_descriptor(SLOT, gate(CODE32(0), HANDLER, 0xec, 3));
		transfer(CALL, P32, SLOT | 3, 0);
		c->seg[SS].limit = STACK + 4 * room - 1;
		settle();
		expect(room < 3 ? VEC_SS : RETIRED, 0);
	}
}
END_TEST

/* A 16-bit TSS has its stacks at 2 + 4n. */
START_TEST(gate_stack_16)
{
	for (unsigned limit = 4; limit < 7; limit++) {
		name_case("limit %u", limit);
		enter(P32, 3);
		set_descriptor(SLOT, gate(CODE32(0), HANDLER, 0xec, 0));
		c->seg[TR].attr = SEG_P | 3;
		c->seg[TR].limit = limit;
		poke16(TSS_AT + 2, STACK0 - 0x40);
		poke16(TSS_AT + 4, DATA32(0));
		transfer(CALL, P32, SLOT | 3, 0);
		expect(limit < 5 ? VEC_TS : RETIRED, limit < 5 ? TASK : 0);
		if (limit >= 5)
			EQ(c->r[RSP], STACK0 - 0x40 - 16);
	}
}
END_TEST

/* IA-32e mode: RSP of the TSS, which must be canonical, #SS(0); SS becomes null with the new CPL (vol. 3, 5.8.5.1). */
START_TEST(gate_stack_64)
{
	static const struct { u64 rsp; u16 limit; int vector; u16 error; } rows[] = {
		{ STACK0, 0x67, RETIRED, 0 }, { STACK0 + 4, 0x67, RETIRED, 0 }, { STACK0, 11, RETIRED, 0 },
			{ STACK0, 10, VEC_TS, TASK }, { 0x800000000000, 0x67, VEC_SS, 0 },
		{ 0x800000000020, 0x67, VEC_SS, 0 },
	};

	for (enum mode m = C16; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			name_case("%s, row %u", mode_names[m], i);
			enter(m, 3);
			set_descriptor(SLOT, gate(CODE64(0), HANDLER, 0xec, 31)); /* no parameters */
			poke64(TSS_AT + 4, rows[i].rsp);
			c->seg[TR].limit = rows[i].limit;
			transfer(CALL, m, SLOT | 3, 0);
			expect(rows[i].vector, rows[i].error);
			if (rows[i].vector == RETIRED) {
				EQ(c->r[RSP], rows[i].rsp - 32);
				EQ(c->seg[SS].sel, 0);
				EQ(peek(c->r[RSP] + 24, 2), data_of(m, 3));
			}
		}
}
END_TEST

/* ---- RET ---- */

/* RET far, or with IMM bytes to release; the stack has SEL:OFFSET, and SS:RSP. */
static void ret(enum mode m, bool wide, unsigned pop, u16 sel, u64 offset, u16 ss, u64 rsp)
{
	unsigned size = wide ? 8 : word_of(m);

	POKE(CODE, wide ? 0x48 : 0x90, pop ? 0xca : 0xcb, (u8)pop, (u8)(pop >> 8));
	if (!wide)
		c->r[RIP]++;
	poke(STACK, &(u64){ offset }, size);
	poke(STACK + size, &(u64){ 0xdead0000 | sel }, size);
	poke(STACK + 2 * size + pop, &rsp, size);
	poke(STACK + 3 * size + pop, &(u64){ 0xdead0000 | ss }, size);
}

/* Vol. 2, RET: "RETURN-TO-SAME-PRIVILEGE-LEVEL", "RETURN-TO-OUTER-PRIVILEGE-LEVEL": the code segment. */
static int return_code_fault(enum mode m, unsigned access, unsigned flags, unsigned cpl, unsigned rpl)
{
	unsigned dpl = access >> 5 & 3;

	if ((access & 0x18) != 0x18 || rpl < cpl || (access & 4 ? dpl > rpl : dpl != rpl))
		return VEC_GP;
	if (is_long(m) && (flags & 6) == 6)
		return VEC_GP;
	return access & 0x80 ? RETIRED : VEC_NP;
}

static void returns(enum mode m, unsigned step)
{
	static const u8 sizes[] = { 0xc, 0, 0xa, 0xe };

	for (unsigned n = 0; n < 4 * 4 * 256; n += step) {
		unsigned cpl = n & 3, rpl = n >> 2 & 3, access = n >> 4 & 0xff, flags = sizes[(n >> 2 ^ n >> 6) & 3],
			 size = word_of(m), pop = n & 0x40 ? 0x18 : 0;
		int vector = return_code_fault(m, access, flags, cpl, rpl);
		bool to64 = is_long(m) && flags & 2;

		name_case("%s, ring %u: RET to access %x, flags %x, RPL %u", mode_names[m], cpl, access, flags, rpl);
		enter(m, cpl);
		set_descriptor(SLOT, descriptor(0, 0xfffff, access, flags));
		ret(m, false, pop, (u16)(SLOT | rpl), HANDLER, DATA32(rpl), STACK - 0x100);
		expect(vector, vector == RETIRED ? 0 : SLOT);
		if (vector != RETIRED)
			continue;
		EQ(c->cpl, rpl);
		EQ(c->seg[CS].sel, SLOT | rpl);
		EQ(c->r[RIP], HANDLER);
		EQ(in_64(c), to64);
		EQ(access_of(SLOT), access | 1);
		EQ(c->r[RSP], rpl == cpl ? STACK + 2 * size + pop : STACK - 0x100 + pop);
		EQ(c->seg[SS].sel, rpl == cpl ? data_of(m, cpl) : DATA32(rpl));
	}
}
START_TEST(returns_protected) { returns(P32, 1); } END_TEST
START_TEST(returns_64) { returns(LONG, 1); } END_TEST
START_TEST(returns_others)
{
	returns(P16, 3);
	returns(C16, 3);
	returns(C32, 3);
}
END_TEST

/* To an outer ring: the stack segment. */
START_TEST(return_stack)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 256; n++) {
			unsigned rpl = n & 3, access = n >> 2, dpl = access >> 5 & 3;
			int vector = rpl != 3 || (access & 0x1a) != 0x12 || dpl != 3 ? VEC_GP
				     : access & 0x80                                 ? RETIRED
										     : VEC_SS;

			name_case("%s: RET to a stack of access %x, RPL %u", mode_names[m], access, rpl);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0, 0xfffff, access, 0xc));
			ret(m, false, 0, code_of(m, 3), HANDLER, (u16)(SLOT | rpl), STACK - 0x100);
			expect(vector, vector == RETIRED ? 0 : SLOT);
		}
}
END_TEST

START_TEST(return_rows)
{
	/* From ring 0 to CS:OFFSET and SS, with ROOM bytes of stack below its limit. */
	static const struct { u16 cs; u32 offset; u16 ss; int room; bool outer; int vector; u16 error; } rows[] = {
		{ 0, HANDLER, 0, 99, false, VEC_GP, 0 }, { 3, HANDLER, 0, 99, false, VEC_GP, 0 },
			{ BEYOND, HANDLER, 0, 99, false, VEC_GP, BEYOND },
		{ LDT_END | 4, HANDLER, 0, 99, false, VEC_GP, LDT_END | 4 },
			{ CODE32(3), HANDLER, 0, 99, true, VEC_GP, 0 }, { CODE32(3), HANDLER, 3, 99, true, VEC_GP, 0 },
		{ CODE32(3), HANDLER, BEYOND | 3, 99, true, VEC_GP, BEYOND },
			{ CODE32(0), HANDLER, 0, 2, false, RETIRED, 0 }, { CODE32(0), HANDLER, 0, 1, false, VEC_SS, 0 },
		{ CODE32(0), HANDLER, 0, 0, false, VEC_SS, 0 }, { CODE32(3), HANDLER, DATA32(3), 4, true, RETIRED, 0 },
			{ CODE32(3), HANDLER, DATA32(3), 3, true, VEC_SS, 0 },
		{ CODE32(3), HANDLER, DATA32(3), 2, true, VEC_SS, 0 },
			{ CODE16(3), 0x12345, DATA32(3), 99, true, VEC_GP, 0 },
			{ CODE16(0), 0x12345, 0, 99, false, VEC_GP, 0 },
		{ CODE16(3), 0x12345, 0, 99, true, VEC_GP, 0 }, { CODE16(3), 0xffff, DATA32(3), 99, true, RETIRED, 0 },
	};

	for (enum mode m = P16; m <= C32; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			if (rows[i].offset > 0xffff && is_16(m))
				continue;
			name_case("%s: RET to %x:%x, SS %x, %d words", mode_names[m], rows[i].cs, rows[i].offset,
				  rows[i].ss, rows[i].room);
			enter(m, 0);
			ret(m, false, 0, rows[i].cs, rows[i].offset, rows[i].ss, STACK - 0x100);
			c->seg[SS].limit = STACK + (u32)rows[i].room * word_of(m) - 1;
			settle();
			expect(rows[i].vector, rows[i].error);
		}
}
END_TEST

/* 64-bit code (vol. 2, RET, "IA-32e-MODE-RETURN-TO-OUTER-PRIVILEGE-LEVEL"): a null SS for 64-bit code of rings 1 and 2,
 * with its RPL. */
START_TEST(return_rows_64)
{
	static const struct { u16 cs; u64 rip; u16 ss; int vector; u16 error; } rows[] = {
		{ CODE64(3), HANDLER, DATA32(3), RETIRED, 0 }, { CODE64(3), HANDLER, 3, VEC_GP, 0 },
			{ CODE64(1), HANDLER, 1, RETIRED, 0 }, { CODE64(1), HANDLER, 2, VEC_GP, 0 },
		{ CODE64(2), HANDLER, 2, RETIRED, 0 }, { CODE64(2), HANDLER, 0, VEC_GP, 0 },
			{ CODE32(1), HANDLER, 1, VEC_GP, 0 }, { CODE64(0), 0x800000000000, 0, VEC_GP, 0 },
		{ CODE64(3), 0x800000000000, DATA32(3), VEC_GP, 0 },
			{ CODE64(3), 0xffff800000000000, DATA32(3), RETIRED, 0 },
			{ CODE32(3), 0x7700000000 | HANDLER, DATA32(3), RETIRED, 0 },
		{ CODE32(0), 0x7700000000 | HANDLER, 0, RETIRED, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("RETFQ to %x:%llx, SS %x", rows[i].cs, (unsigned long long)rows[i].rip, rows[i].ss);
		enter(LONG, 0);
		ret(LONG, true, 0, rows[i].cs, rows[i].rip, rows[i].ss, 0x123456789abc);
		expect(rows[i].vector, rows[i].error);
		if (rows[i].vector != RETIRED || !(rows[i].cs & 3))
			continue;
		EQ(c->seg[SS].sel, rows[i].ss);
		EQ(c->r[RSP], in_64(c) ? 0x123456789abc : 0x56789abc);
	}
}
END_TEST

/* Segments that the outer ring may not have become null, and so do null selectors that have an RPL (vol. 2, RET: "FOR
 * each of segment register"). */
START_TEST(return_data_segments)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 16 * 2; n++) {
			unsigned dpl = n & 3, type = n >> 2 & 15, rpl = n & 64 ? 3 : 1;
			bool conforming = (type & 12) == 12, stays = dpl >= rpl || conforming;
			u16 sel = (u16)(SLOT | dpl);

			if (type & 8 && !(type & 2))
				continue; /* none that could have been loaded */
			name_case("%s: to ring %u with access %x", mode_names[m], rpl, dpl << 5 | type);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0x1230, 0xffff, 0x91 | dpl << 5 | type, 4));
			load_seg(ES, sel);
			load_seg(GS, sel);
			c->seg[DS] = (struct seg){ .sel = 2, .attr = SEG_UNUSABLE };
			settle();
			ret(m, false, 0, code_of(m, rpl), HANDLER, data_of(m, rpl), STACK - 0x100);
			expect(RETIRED, 0);
			EQ(c->seg[ES].sel, stays ? sel : 0);
			EQ(c->seg[GS].sel, stays ? sel : 0);
			EQ(c->seg[DS].sel, 0);
		}
}
END_TEST

START_TEST(returns_8086)
{
	for (enum mode m = REAL; m <= V86; m++)
		for (unsigned wide = 0; wide < 4; wide++) {
			unsigned size = wide & 1 ? 4 : 2;

			name_case("%s: RET, %u", mode_names[m], wide);
			enter(m, 0);
			POKE(CODE, 0x66, 0xca, 6, 0);
			if (size == 2)
				c->r[RIP]++;
			poke(STACK, &(u32){ wide == 3 ? 0x10000 : HANDLER }, size);
			poke16(STACK + size, 0x123);
			expect(wide == 3 ? VEC_GP : RETIRED, 0);
			if (wide == 3)
				continue;
			EQ(c->seg[CS].base, 0x1230);
			EQ(c->r[RIP], HANDLER);
			EQ(c->r[RSP], STACK + 2 * size + 6);
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gates");
	TCase *t = tcase_create("gates");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, direct_protected);
	tcase_add_test(t, direct_64);
	tcase_add_test(t, direct_others);
	tcase_add_test(t, direct_rows);
	tcase_add_test(t, call_stack);
	tcase_add_test(t, transfers_8086);
	tcase_add_test(t, gates_protected);
	tcase_add_test(t, gates_64);
	tcase_add_test(t, gates_others);
	tcase_add_test(t, gate_selectors);
	tcase_add_test(t, gate_stack);
	tcase_add_test(t, gate_parameters);
	tcase_add_test(t, gate_stack_16);
	tcase_add_test(t, gate_stack_64);
	tcase_add_test(t, returns_protected);
	tcase_add_test(t, returns_64);
	tcase_add_test(t, returns_others);
	tcase_add_test(t, return_stack);
	tcase_add_test(t, return_rows);
	tcase_add_test(t, return_rows_64);
	tcase_add_test(t, return_data_segments);
	tcase_add_test(t, returns_8086);
	suite_add_tcase(s, t);
	return bare_run(s);
}
