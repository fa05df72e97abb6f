/* SPDX-License-Identifier: MIT */
/* Interrupts and exceptions (SDM vol. 2, INT n; vol. 3, chapter 6): every check of the IDT, the gate, the code segment
 * and the stack, by who asks; what lies on the handler's stack; what a fault on the way becomes; what holds interrupts
 * off. */
#include "tests/unit/modes.h"

/* Ways to come to a handler: INT 40h, an undefined instruction, #GP with an error code, a line. */
enum way { INT_N, EXCEPTION, WITH_ERROR, EXTERNAL, WAYS };
static const char *const way_names[] = { "INT n", "#UD", "#GP(BEYOND)", "INTR" };
static const unsigned way_vectors[] = { 0x40, VEC_UD, VEC_GP, 0x41 };

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

static void go(enum way way)
{
	with_idt();
	switch (way) {
	case INT_N: POKE(CODE, 0xcd, 0x40); break;
	case EXCEPTION: POKE(CODE, 0x0f, 0x0b); break;
	case WITH_ERROR:
		POKE(CODE, 0x8e, 0xd8);
		c->r[RAX] = BEYOND;
		break;
	default:
		c->eflags |= FL_I;
		cpu_intr(c, 0, true);
	}
}

/* The fault on the way to the handler of WAY: VECTOR with ERROR, and EXT for what is not the program's doing (vol. 3,
 * 6.13). */
static void on_the_way(enum way way, unsigned vector, u32 error)
{
	bool contributory = way == WITH_ERROR;
	unsigned n = way == EXCEPTION || way == WITH_ERROR;

	if (way != INT_N && vector != VEC_PF)
		error |= 1;
	EQ(taken(), contributory ? VEC_DF : (int)vector);
	FAULT(n, vector, error);
}

/* ---- the gate ---- */

START_TEST(gates)
{
	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 2 * 256 * 3; n++) {
			static const enum way ways[] = { INT_N, EXCEPTION, EXTERNAL };
			unsigned cpl = n & 1 ? 3 : 0, access = n >> 1 & 0xff, dpl = access >> 5 & 3, type = access & 31,
				 v;
			enum way way = ways[n >> 9];
			bool right = type == 14 || type == 15 || (!is_long(m) && (type == 6 || type == 7));
			unsigned vector = !right || (way == INT_N && dpl < cpl) ? VEC_GP : access & 0x80 ? 0 : VEC_NP;

			if (type == 5 && !is_long(m))
				continue; /* a task gate */
			v = way_vectors[way];
			name_case("%s, ring %u: %s, gate of access %x", mode_names[m], cpl, way_names[way], access);
			enter(m, cpl);
			set_gate(v, gate(is_long(m) ? CODE64(0) : CODE32(0), handler_of(v), access, 0));
			go(way);
			if (vector)
				on_the_way(way, vector, v * 8 + 2);
			else
				EQ(taken(), (int)v);
		}
}
END_TEST

/* Beyond the limit of the IDT: #GP. */
START_TEST(idt_limit)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (int past = -1; past <= 1; past++) {
			unsigned size = m == REAL ? 4 : is_long(m) ? 16 : 8;

			name_case("%s: INT 40h, limit %d", mode_names[m], past);
			enter(m, 0);
			if (m == V86)
				c->eflags |= FL_IOPL;
			go(INT_N);
			c->idtr.limit = (u16)(0x40 * size + size - 1 + past);
			if (past >= 0)
				EQ(taken(), 0x40);
			else
				on_the_way(INT_N, VEC_GP, m == REAL ? 0 : 0x40 * 8 + 2);
		}
}
END_TEST

/* ---- the code segment ---- */

START_TEST(code_segments)
{
	for (enum mode m = V86; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 2 * 256 * 2 * 4; n++) {
			unsigned cpl = m == V86 ? 3 : n & 3, access = n >> 2 & 0xff, dpl = access >> 5 & 3,
				flags = n >> 10 & 1 ? 0xc : is_long(m) ? 0xa : 0, v;
			enum way way = n >> 11 ? EXCEPTION : INT_N;
			bool code = (access & 0x18) == 0x18, conforming = access & 4;
			unsigned vector = 0;

			v = way_vectors[way];
			if (!code || dpl > cpl || (is_long(m) && flags != 0xa))
				vector = VEC_GP;
			else if (!(access & 0x80))
				vector = VEC_NP;
			else if (m == V86 && (conforming || dpl)) /* "IF code segment is conforming, or DPL != 0" */
				vector = VEC_GP;
			name_case("%s, ring %u: %s to access %x, flags %x", mode_names[m], cpl, way_names[way], access,
				  flags);
			enter(m, cpl);
			c->eflags |= FL_IOPL;
			set_descriptor(SLOT, descriptor(0, 0xffff, access, flags));
			set_gate(v, gate(SLOT | 3, handler_of(v), 0xee, 0));
			go(way);
			if (vector) {
				on_the_way(way, vector, SLOT);
				continue;
			}
			POKE(handler_of(v), 0x90, 0xeb, 0xfe); /* ring 3 cannot halt */
			cpu_run(c, c->icount + 2, CLOCK_NEVER);
			EQ(c->r[RIP], handler_of(v) + 1);
			EQ(c->cpl, conforming ? cpl : dpl);
			EQ(c->seg[CS].sel, SLOT | c->cpl);
			EQ(access_of(SLOT), access | 1);
		}
}
END_TEST

START_TEST(code_selectors)
{
	enum { LEGACY = 1, IA32E = 2, BOTH = 3 };
	static const struct { u16 sel; u32 offset, high; unsigned in, vector; u16 error; } rows[] = {
		{ 0, HANDLER, 0, BOTH, VEC_GP, 0 }, { 3, HANDLER, 0, BOTH, VEC_GP, 0 },
			{ BEYOND, HANDLER, 0, BOTH, VEC_GP, BEYOND },
		{ LDT_END | 4, HANDLER, 0, BOTH, VEC_GP, LDT_END | 4 }, { SLOT, 0x10000, 0, LEGACY, VEC_GP, 0 },
			{ CODE64(0), HANDLER, 0x8000, IA32E, VEC_GP, 0 },
	};

	for (enum mode m = P16; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
			for (unsigned w = 0; w < WAYS * 2; w++) {
				enum way way = (enum way)(w / 2);
				unsigned v = way_vectors[way];

				if (!(rows[i].in & (is_long(m) ? IA32E : LEGACY)))
					continue;
				name_case("%s: %s to %x:%x", mode_names[m], way_names[way], rows[i].sel,
					  rows[i].offset);
				enter(m, w & 1 ? 3 : 0);
				set_descriptor(SLOT, descriptor(0, 0xffff, 0x9b, 4));
				set_gate(v, gate(rows[i].sel, rows[i].offset, 0xee, 0));
				if (is_long(m))
					poke64(IDT + 16 * v + 8, rows[i].high);
				go(way);
				on_the_way(way, rows[i].vector, rows[i].error);
			}
}
END_TEST

/* ---- the stack ---- */

/* The handlers of faults on the way need a stack, too: they are in a conforming segment. */
static void conforming_handlers(unsigned but)
{
	set_descriptor(SLOT3, descriptor(0, 0xfffff, 0x9f, 0xc));
	for (unsigned v = 0; v < VECTORS; v++)
		if (v != but) {
			set_gate(v, gate(SLOT3, handler_of(v), 0xee, 0));
			POKE(handler_of(v), 0x90, 0xeb, 0xfe); /* ring 3 cannot halt */
		}
}

START_TEST(inner_stack)
{
	for (enum mode m = V86; m <= P32; m++)
		for (unsigned i = 0; i < 8 * ARRAY_LEN(stack_rows); i++) {
			const struct stack_row *r = &stack_rows[i / 8];
			enum way way = i & 1 ? EXTERNAL : INT_N;
			unsigned size = i & 2 ? 4 : 2, v = way_vectors[way];
			bool beyond = i & 4;
			int vector = r->vector;
			u32 error = r->error;

			if (beyond && size == 2)
				continue;
			if (vector < 0 && beyond) {
				vector = VEC_GP; /* room first, then the offset */
				error = 0;
			}
			name_case("%s: %s, %u-byte gate, stack row %u, offset %d", mode_names[m], way_names[way], size,
				  i / 8, beyond);
			enter(m, 3);
			if (m == V86)
				c->eflags |= FL_IOPL;
			set_descriptor(SLOT, descriptor(0, 0xffff, 0x9b, 4));
			conforming_handlers(v);
			set_gate(v, gate(SLOT, handler_of(v) + (beyond ? 0x10000 : 0), size == 4 ? 0xee : 0xe6, 0));
			set_inner_stack(r, m == V86 ? 9 : 5, size);
			go(way);
			if (vector < 0) {
				EQ(taken(), (int)v);
				EQ(c->r[RSP], INNER - (m == V86 ? 9 : 5) * size);
				continue;
			}
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			FAULT(0, (unsigned)vector, error | (way == EXTERNAL));
		}
}
END_TEST

/* Without a change of ring: #SS(0) for what does not fit, before the offset is looked at. */
START_TEST(same_stack)
{
	for (enum mode m = P16; m <= P32; m++)
		for (unsigned i = 0; i < 2 * 4 * 6; i++) {
			enum way way = i & 1 ? EXTERNAL : INT_N;
			unsigned room = i >> 1 & 3, beyond = i >> 3 & 1, size = i >> 4 & 1 ? 4 : 2,
				 v = way_vectors[way];

			if (beyond && size == 2)
				continue;
			name_case("%s: %s, room for %u words of %u, offset %u", mode_names[m], way_names[way], room,
				  size, beyond);
			enter(m, 0);
			set_descriptor(SLOT, descriptor(0, 0xffff, 0x9b, 4));
			set_gate(v, gate(SLOT, handler_of(v) + (beyond ? 0x10000 : 0), size == 4 ? 0xee : 0xe6, 0));
			c->seg[SS].limit = STACK + room * size - 1;
			c->seg[SS].attr |= SEG_DB;
			c->r[RSP] = STACK + 3 * size;
			settle();
			go(way);
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			if (room < 3)
				FAULT(0, VEC_SS, way == EXTERNAL);
			else if (beyond)
				FAULT(0, VEC_GP, way == EXTERNAL);
			else
				EQ(c->r[RIP] - (way == EXTERNAL), handler_of(v));
		}
}
END_TEST

/* IA-32e mode (vol. 3, 6.14): RSP from the TSS or the IST, which must have it, #TS(TSS), and be canonical, #SS(0). */
START_TEST(stack_64)
{
	static const struct { unsigned cpl, ist; u64 rsp; u16 limit; unsigned vector; u16 error; } rows[] = {
		{ 3, 0, STACK0, 0x67, 0, 0 }, { 3, 0, STACK0, 11, 0, 0 }, { 3, 0, STACK0, 10, VEC_TS, TASK },
			{ 3, 0, 0x800000000000, 0x67, VEC_SS, 0 },
		{ 0, 0, 0, 10, 0, 0 }, { 3, 7, STACK0, 91, 0, 0 }, { 3, 7, STACK0, 90, VEC_TS, TASK },
			{ 0, 7, STACK0, 90, VEC_TS, TASK }, { 0, 7, 0xffff7fffffffffff, 91, VEC_SS, 0 },
		{ 3, 1, STACK0 + 7, 43, 0, 0 }, { 3, 1, STACK0 + 8, 42, VEC_TS, TASK }, { 0, 1, STACK0 + 15, 43, 0, 0 },
	};

	for (enum mode m = C16; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
			unsigned k = i / 2, v;
			enum way way = i & 1 ? EXTERNAL : INT_N;

			v = way_vectors[way];
			name_case("%s: %s, row %u", mode_names[m], way_names[way], k);
			enter(m, rows[k].cpl);
			poke64(TSS_AT + (rows[k].ist ? 28 + 8 * rows[k].ist : 4), rows[k].rsp);
			set_gate(v, gate(CODE64(0), handler_of(v), 0xee, rows[k].ist));
			c->seg[TR].limit = rows[k].limit;
			go(way);
			if (rows[k].vector) {
				cpu_run(c, c->icount + 1, CLOCK_NEVER);
				FAULT(0, rows[k].vector, rows[k].error | (way == EXTERNAL));
				continue;
			}
			EQ(taken(), (int)v);
			EQ(c->r[RSP], ((rows[k].cpl || rows[k].ist ? rows[k].rsp : STACK) & ~(u64)15) - 40);
			EQ(c->seg[SS].sel, rows[k].cpl ? 0 : data_of(m, 0));
		}
}
END_TEST

/* A page of the inner stack that is not there: #PF with the address of the first word that lies in it, and the frame
 * begins nowhere. */
START_TEST(stack_page)
{
	const u64 edge = 511 * (u64)GiB + 2 * MiB;

	for (unsigned at = 0; at <= 48; at += 16) {
		name_case("RSP0 %u bytes into the page", at);
		enter(LONG, 3);
		poke64(PML4 + 0x1000 + 8 * 511, (PML4 + 0x2000) | 0x67);
		poke64(PML4 + 0x2000 + 8, 0xe7); /* of its 2-MByte pages only the second is there */
		poke64(TSS_AT + 4, edge + at);
		poke64(TSS_AT + 36, ring_stack(1));
		set_gate(VEC_PF, gate(CODE64(0), handler_of(VEC_PF), 0xee, 1));
		go(INT_N);
		EQ(taken(), at >= 48 ? 0x40 : VEC_PF);
		if (at < 48) {
			FAULT(0, VEC_PF, 2);
			EQ(c->cr2, edge - 8);
			EQ(peek(0, 8), (u64)handler_of(1) << 32 | handler_of(0)); /* what RAM has there */
		}
	}
}
END_TEST

/* ---- what lies on the stack ---- */

/* Figures 6-4, 6-8 and 20-4: from the top down GS FS DS ES (V86), SS ESP (another ring; always in IA-32e mode), EFLAGS
 * CS EIP, error code. */
START_TEST(frames)
{
	for (enum mode m = V86; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 2 * 2 * WAYS; n++) {
			unsigned cpl = m == V86 ? 3 : n & 3, small = n >> 2 & 1, trap = n >> 3 & 1, v, words, size,
				 flags;
			enum way way = (enum way)(n >> 4);
			bool other = cpl > 0;
			u64 sp;

			if (m == V86 && way == WITH_ERROR)
				continue;
			if (is_long(m) && small)
				continue;
			v = way_vectors[way];
			size = is_long(m) ? 8 : small ? 2 : 4;
			name_case("%s, ring %u: %s, %u-byte %s gate", mode_names[m], cpl, way_names[way], size,
				  trap ? "trap" : "interrupt");
			enter(m, cpl);
			set_gate(v, gate(is_long(m) ? CODE64(0) : CODE32(0), handler_of(v),
					 (small ? 0xe6 : 0xee) + trap, 0));
			c->eflags |= FL_I | FL_NT | FL_IOPL | FL_AC | FL_ID | FL_D | FL_VIF;
			if (m == V86) {
				seg_load_real(c, ES, 0x1111);
				seg_load_real(c, DS, 0x2222);
				seg_load_real(c, FS, 0x3333);
				seg_load_real(c, GS, 0x4444);
			}
			settle();
			go(way);
			EQ(taken(), (int)v);
			words = (m == V86 ? 4 : 0) + (other || is_long(m) ? 2 : 0) + 3 + (way == WITH_ERROR);
			sp = other ? ring_stack(0) : STACK;
			if (is_long(m))
				sp &= ~(u64)15;
			EQ(c->r[RSP], sp - words * size);
			sp = c->r[RSP];
			if (way == WITH_ERROR) {
				EQ(peek(sp, size), BEYOND);
				sp += size;
			}
			EQ(peek(sp, size), way == INT_N ? CODE + 2 : CODE);
			EQ(peek(sp + size, 2), m == V86 ? 0 : code_of(m, cpl));
			flags = FL_1 | FL_I | FL_NT | FL_IOPL | FL_D;
			if (size > 2)
				flags |= FL_AC | FL_ID | FL_VIF | (m == V86 ? FL_VM : 0) |
					 (way == EXCEPTION || way == WITH_ERROR ? FL_RF : 0);
			EQ(peek(sp + 2 * size, size), flags);
			if (other || is_long(m)) {
				EQ(peek(sp + 3 * size, size), STACK);
				EQ(peek(sp + 4 * size, 2), m == V86 ? 0 : data_of(m, cpl));
			}
			if (m == V86) {
				EQ(peek(sp + 5 * size, 2), 0x1111);
				EQ(peek(sp + 6 * size, 2), 0x2222);
				EQ(peek(sp + 7 * size, 2), 0x3333);
				EQ(peek(sp + 8 * size, 2), 0x4444);
				for (unsigned reg = ES; reg <= GS; reg++)
					if (reg != CS && reg != SS)
						EQ(c->seg[reg].sel, 0);
			}
			/* TF NT RF VM are cleared, and IF by an interrupt gate */
			EQ(c->eflags, FL_1 | FL_IOPL | FL_AC | FL_ID | FL_D | FL_VIF | (trap ? FL_I : 0));
			EQ(c->cpl, 0);
			if (other)
				EQ(c->seg[SS].sel, is_long(m) ? 0 : m == P16 ? DATA16(0) : DATA32(0));
		}
}
END_TEST

/* Real mode: three words, IF TF AC cleared; 64 KBytes wrap, but a word does not: an odd SP comes to an end (vol. 3,
 * 20.1.4). */
START_TEST(frames_real)
{
	static const struct { u16 sp; bool ok; } rows[] = { { STACK, true }, { 6, true }, { 0, true }, { 2, true },
		{ 7, true }, { 5, false }, { 3, false }, { 1, false } };

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		for (enum way way = INT_N; way < WAYS; way++) {
			unsigned v = way_vectors[way];

			if (way == WITH_ERROR)
				continue;
			name_case("SP %x: %s", rows[i].sp, way_names[way]);
			enter(REAL, 0);
			c->eflags |= FL_I | FL_T | FL_NT | FL_IOPL | FL_AC | FL_D;
			c->r[RSP] = 0x770000 | rows[i].sp;
			go(way);
			if (way == EXTERNAL)
				c->eflags &= ~(u32)FL_T;
			EQ(taken(), rows[i].ok ? (int)v : -1);
			if (!rows[i].ok)
				continue;
			EQ(c->r[RSP], 0x770000 | (u16)(rows[i].sp - 6));
			EQ(peek((u16)(rows[i].sp - 2), 2), FL_1 | FL_I | FL_NT | FL_IOPL | FL_D |
				(way == EXTERNAL ? 0 : FL_T));
			EQ(peek((u16)(rows[i].sp - 6), 2), way == INT_N ? CODE + 2 : CODE);
			EQ(c->eflags, FL_1 | FL_NT | FL_IOPL | FL_D);
		}
}
END_TEST

/* ---- INT3, INTO, INT1, BOUND ---- */

/* Which look at the gate's DPL, where they return to, what is an EXT, and where they exist. */
START_TEST(one_byte_interrupts)
{
	static const struct { u8 code[2]; u8 vector; bool dpl, trap; } rows[] = {
		{ { 0xcc }, VEC_BP, true, true }, { { 0xce }, VEC_OF, true, true }, { { 0xf1 }, VEC_DB, false, true },
			{ { 0x62, 0x03 }, VEC_BR, false, false },
		{ { 0xcd, 3 }, VEC_BP, true, true },
	};

	for (enum mode m = V86; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < 4 * ARRAY_LEN(rows); i++) {
			unsigned k = i / 4, v = rows[k].vector, len = rows[k].code[1] ? 2 : 1;
			bool user = i & 1, low = i & 2, refused = low && rows[k].dpl && (user || m == V86),
			     gone = m == LONG && (v == VEC_OF || v == VEC_BR);

			name_case("%s, %s: %02x, DPL %u", mode_names[m], user ? "user" : "ring 0", rows[k].code[0],
				  low ? 0 : 3);
			enter(m, user ? 3 : 0);
			poke(CODE, rows[k].code, 2);
			if (v == VEC_BR)
				poke8(CODE + 1, rm_bx(m));
			poke32(DATA, 0);
			poke32(DATA + 4, 0);
			c->r[RBX] = DATA;
			c->r[RAX] = 0x1111;
			cpu_set_arith(c, FL_O);
			if (rows[k].code[0] == 0xcd)
				c->eflags |= FL_IOPL;
			set_gate(v, gate(is_long(m) ? CODE64(0) : CODE32(0), handler_of(v), low ? 0x8e : 0xee, 0));
			with_idt();
			EQ(taken(), gone ? VEC_UD : refused ? VEC_GP : (int)v);
			if (refused && !gone)
				FAULT(0, VEC_GP, v * 8 + 2);
			EQ(peek(c->r[RSP] + (refused && !gone ? (is_long(m) ? 8 : 4) : 0), 4), gone || refused ||
				!rows[k].trap ? CODE : CODE + len);
		}
}
END_TEST

/* INT1 is not the program's doing: EXT (vol. 3, 6.13). INT3 and INTO are. */
START_TEST(ext)
{
	static const struct {
		u8 code, vector, ext;
	} rows[] = { { 0xcc, VEC_BP, 0 }, { 0xce, VEC_OF, 0 }, { 0xf1, VEC_DB, 1 } };

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%02x", rows[i].code);
		enter(P32, 0);
		POKE(CODE, rows[i].code);
		cpu_set_arith(c, FL_O);
		set_gate(rows[i].vector, gate(CODE32(0), HANDLER, 0x6e, 0));
		with_idt();
		EQ(taken(), VEC_NP);
		FAULT(0, VEC_NP, rows[i].vector * 8 + 2 + rows[i].ext);
		EQ(peek(c->r[RSP] + 4, 4), CODE);
	}
}
END_TEST

/* ---- faults on the way to faults (vol. 3, table 6-5) ---- */

enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, KINDS };
static const struct { const char *name; u8 code[4]; u8 vector; enum class kind; } firsts[] = {
	{ "#UD", { 0x0f, 0x0b }, VEC_UD, BENIGN }, { "INT3", { 0xcc }, VEC_BP, BENIGN },
		{ "INT1", { 0xf1 }, VEC_DB, BENIGN }, { "#NM", { 0xd9, 0xe8 }, VEC_NM, BENIGN },
	{ "#DE", { 0xf7, 0xf1 }, VEC_DE, CONTRIBUTORY }, { "#GP", { 0x0f, 0x01, 0xd1 /* XSETBV */ }, VEC_GP,
		CONTRIBUTORY }, { "#SS", { 0x8b, 0x45, 0 }, VEC_SS, CONTRIBUTORY },
	{ "#NP", { 0x8e, 0xd8 }, VEC_NP, CONTRIBUTORY }, { "#PF", { 0x8b, 0x03 }, VEC_PF, PAGE_FAULT },
		{ "NMI", { 0x90 }, VEC_NMI, BENIGN },
};

START_TEST(double_faults)
{
	for (unsigned n = 0; n < ARRAY_LEN(firsts) * 4; n++) {
		static const u8 second_vectors[] = { VEC_GP, VEC_NP, VEC_PF, VEC_TS };
		unsigned i = n / 4, second = second_vectors[n & 3], v = firsts[i].vector;
		bool faults = firsts[i].kind == CONTRIBUTORY || firsts[i].kind == PAGE_FAULT, becomes_double;

		becomes_double = second == VEC_PF ? firsts[i].kind == PAGE_FAULT : faults;
		if (v == second)
			continue;
		name_case("%s, then %u", firsts[i].name, second);
		enter(LONG, 0);
		c->cr4 |= CR4_OSXSAVE;
		poke(CODE, firsts[i].code, sizeof firsts[i].code);
		c->cr0 |= v == VEC_NM ? CR0_TS : 0;
		c->r[RCX] = v == VEC_GP ? 1 : 0;
		c->r[RBP] = 0x800000000000;
		c->r[RBX] = (u64)511 * GiB;
		c->r[RAX] = SLOT;
		set_descriptor(SLOT, descriptor(0, 0xffff, 0x13, 4));
		poke64(TSS_AT + 36, (u64)511 * GiB); /* IST1 is on no page */
		switch (second) {
		case VEC_GP: set_gate(v, gate(CODE32(0), handler_of(v), 0x8e, 0)); break;
		case VEC_NP: set_gate(v, gate(CODE64(0), handler_of(v), 0x0e, 0)); break;
		case VEC_PF: set_gate(v, gate(CODE64(0), handler_of(v), 0x8e, 1)); break;
		default: set_gate(v, gate(CODE64(0), handler_of(v), 0x8e, 7)); c->seg[TR].limit = 0x50;
		}
		settle();
		with_idt();
		if (v == VEC_NMI)
			cpu_nmi(c, 0, true);
		EQ(taken(), becomes_double ? VEC_DF : (int)second);
		if (becomes_double)
			EQ(peek(c->r[RSP], 8), 0); /* its error code */
	}
}
END_TEST

/* A contributory or page fault on the way to #DF is the end. */
START_TEST(triple_faults)
{
	for (unsigned i = 0; i < ARRAY_LEN(firsts); i++) {
		name_case("%s", firsts[i].name);
		enter(LONG, 0);
		c->cr4 |= CR4_OSXSAVE;
		poke(CODE, firsts[i].code, sizeof firsts[i].code);
		c->cr0 |= firsts[i].vector == VEC_NM ? CR0_TS : 0;
		c->r[RCX] = firsts[i].vector == VEC_GP ? 1 : 0;
		c->r[RBP] = 0x800000000000;
		c->r[RBX] = (u64)511 * GiB;
		c->r[RAX] = SLOT;
		set_descriptor(SLOT, descriptor(0, 0xffff, 0x13, 4));
		settle();
		for (unsigned v = 0; v < VECTORS; v++)
			set_gate(v, 0);
		with_idt();
		if (firsts[i].vector == VEC_NMI)
			cpu_nmi(c, 0, true);
		EQ(taken(), -1);
	}
}
END_TEST

/* ---- what holds interruptions off ---- */

/* After how many instructions INTR (IF set) and NMI are taken that wait from the first on. */
START_TEST(shadows)
{
	static const struct { const char *name; u8 code[12]; u32 flags; int intr, nmi; } rows[] = {
		{ "nop; nop", { 0x90, 0x90, 0x90 }, FL_I, 0, 0 }, { "sti; nop; nop", { 0xfb, 0x90, 0x90 }, 0, 2, 0 },
			{ "sti (IF was set); nop", { 0xfb, 0x90 }, FL_I, 0, 0 },
		{ "sti; sti; nop", { 0xfb, 0xfb, 0x90 }, 0, 2, 0 },
			{ "sti; cli; nop; sti; nop", { 0xfb, 0xfa, 0x90, 0xfb, 0x90 }, 0, 5, 0 },
		{ "sti; hlt", { 0xfb, 0xf4 }, 0, 2, 0 }, { "popf; nop", { 0x9d, 0x90, 0x90 }, 0, 1, 0 },
			{ "iret; nop", { 0xcf }, 0, 1, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		for (unsigned nmi = 0; nmi < 2; nmi++) {
			name_case("%s, %s", rows[i].name, nmi ? "NMI" : "INTR");
			enter(P32, 0);
			poke(CODE, rows[i].code, sizeof rows[i].code);
			poke32(STACK, FL_1 | FL_I);
			if (rows[i].code[0] == 0xcf) {
				poke32(STACK, CODE + 1);
				poke32(STACK + 4, CODE32(0));
				poke32(STACK + 8, FL_1 | FL_I);
			}
			c->eflags |= rows[i].flags;
			settle();
			with_idt();
			if (nmi)
				cpu_nmi(c, 0, true);
			else
				cpu_intr(c, 0, true);
			EQ(taken(), nmi ? VEC_NMI : 0x41);
			EQ(peek(c->r[RSP], 4), CODE + (nmi ? rows[i].nmi : rows[i].intr));
		}
}
END_TEST

/* MOV SS and POP SS hold off both for one instruction, LSS nothing (vol. 3, 6.8.3); STI holds off INTR, and in silicon
 * NMI (kvm-unit-tests' apic wants it so). The lines rise while the first instruction runs. */
START_TEST(stack_shadows)
{
	static const struct { const char *name; u8 code[8]; unsigned at; } rows[] = {
		{ "mov ss, ax; nop", { 0x8e, 0xd0, 0x90, 0x90 }, 3 }, { "pop ss; nop", { 0x17, 0x90, 0x90 }, 2 },
			{ "lss eax, [ebx]; nop", { 0x0f, 0xb2, 0x03, 0x90 }, 3 },
		{ "mov ds, ax; nop", { 0x8e, 0xd8, 0x90, 0x90 }, 2 }, { "sti; nop", { 0xfb, 0x90, 0x90 }, 2 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		for (unsigned nmi = 0; nmi < 2; nmi++) {
			name_case("%s, %s", rows[i].name, nmi ? "NMI" : "INTR");
			enter(P32, 0);
			poke(CODE, rows[i].code, sizeof rows[i].code);
			c->r[RAX] = DATA32(0);
			c->r[RBX] = DATA;
			poke32(STACK, DATA32(0));
			poke32(DATA, 0);
			poke16(DATA + 4, DATA32(0));
			c->eflags |= rows[i].code[0] == 0xfb ? 0 : FL_I;
			with_idt();
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			if (nmi)
				cpu_nmi(c, 0, true);
			else
				cpu_intr(c, 0, true);
			EQ(taken(), nmi ? VEC_NMI : 0x41);
			EQ(peek(c->r[RSP], 4), CODE + rows[i].at);
		}
}
END_TEST

/* NMI waits while one is being handled, until IRET, also one that faults (vol. 3, 6.7.1); INTR waits for IF. */
START_TEST(nmi_blocking)
{
	for (unsigned bad = 0; bad < 2; bad++) {
		name_case("IRET %u", bad);
		enter(P32, 0);
		POKE(CODE, 0x90, 0x90, 0x90);
		POKE(handler_of(VEC_NMI), 0x41, 0x41, 0xcf); /* inc ecx; inc ecx; iret */
		if (bad)
			/* inc ecx; pop eax; iret: from a frame that is none */
			POKE(handler_of(VEC_NMI), 0x41, 0x58, 0xcf);
		with_idt();
		c->r[RCX] = 0;
		cpu_nmi(c, 0, true);
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
		cpu_nmi(c, 0, true);
		cpu_nmi(c, 0, true); /* two are one */
		if (bad) {
			POKE(handler_of(VEC_NMI), 0xf4);
			EQ(taken(), VEC_NMI); /* comes before the handler of #GP */
			EQ(peek(c->r[RSP], 4), handler_of(VEC_GP));
			continue;
		}
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
		EQ(c->r[RCX], 2);
		cpu_run(c, c->icount + 1, CLOCK_NEVER); /* IRET */
		cpu_run(c, c->icount + 3, CLOCK_NEVER);
		EQ(c->r[RCX], 4);
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
		EQ(c->r[RIP], CODE + 1);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("interrupts");
	TCase *t = tcase_create("interrupts");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, gates);
	tcase_add_test(t, idt_limit);
	tcase_add_test(t, code_segments);
	tcase_add_test(t, code_selectors);
	tcase_add_test(t, inner_stack);
	tcase_add_test(t, same_stack);
	tcase_add_test(t, stack_64);
	tcase_add_test(t, stack_page);
	tcase_add_test(t, frames);
	tcase_add_test(t, frames_real);
	tcase_add_test(t, one_byte_interrupts);
	tcase_add_test(t, ext);
	tcase_add_test(t, double_faults);
	tcase_add_test(t, triple_faults);
	tcase_add_test(t, shadows);
	tcase_add_test(t, stack_shadows);
	tcase_add_test(t, nmi_blocking);
	suite_add_tcase(s, t);
	return bare_run(s);
}
