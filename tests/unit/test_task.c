/* SPDX-License-Identifier: MIT */
/* Task switches (SDM vol. 3, chapter 7; vol. 2, JMP, CALL, IRET, INT n): who may switch to what, what is saved and
 * loaded, and whose fault it is when the new task's segments are bad. In IA-32e mode neither TSSs nor task gates are
 * anything to jump to: test_gates. */
#include "tests/unit/modes.h"

/* The ways to another task. */
enum way { JMP, CALL, JMP_GATE, CALL_GATE, INT_GATE, IRET, WAYS };
static const char *const way_names[] = { "JMP", "CALL", "JMP through a gate", "CALL through a gate",
	"INT through a gate", "IRET" };
static bool nests(enum way w) { return w == CALL || w == CALL_GATE || w == INT_GATE; }

enum { NEW_ESP = 0x6800, NEW_EIP = 0x6000 };

/* A TSS at AT of 32 or 16 bits: registers that can be told from each other, flat segments of ring 0. */
static void make_task(u64 at, unsigned bits, u32 eip, u32 esp)
{
	if (bits == 32) {
		poke32(at + 28, 0x12345000); /* CR3: not loaded without paging */
		poke32(at + 32, eip);
		poke32(at + 36, FL_1 | FL_C);
		for (unsigned i = 0; i < 8; i++)
			poke32(at + 40 + 4 * i, i == 4 ? esp : 0x11110000 * i + 0x100 + i);
		for (unsigned i = 0; i < 6; i++)
			poke16(at + 72 + 4 * i, i == 1 ? CODE32(0) : DATA32(0));
		poke16(at + 96, LDT_SEL);
		poke16(at + 102, 0x68);
	} else {
		poke16(at + 14, (u16)eip);
		poke16(at + 16, FL_1 | FL_C);
		for (unsigned i = 0; i < 8; i++)
			poke16(at + 18 + 2 * i, i == 4 ? (u16)esp : (u16)(0x100 + i));
		for (unsigned i = 0; i < 4; i++)
			poke16(at + 34 + 2 * i, i == 1 ? CODE32(0) : DATA32(0));
		poke16(at + 42, LDT_SEL);
	}
}
static u64 tss(u64 at, unsigned bits, bool busy)
{
	return descriptor((u32)at, bits == 32 ? 0x67 : 0x2b, (bits == 32 ? 0x89 : 0x81) | (busy ? 2 : 0), 0);
}

/* In P32, ring CPL, about to switch to SLOT, a task of BITS, by WAY; SLOT2 is the gate. */
static void prepare(enum way way, unsigned cpl, unsigned bits)
{
	enter(P32, cpl);
	make_task(TSS2_AT, bits, NEW_EIP, NEW_ESP);
	set_descriptor(SLOT, tss(TSS2_AT, bits, way == IRET) | (u64)3 << 45);
	set_descriptor(SLOT2, gate(SLOT, 0, 0xe5, 0));
	POKE(NEW_EIP, 0xf4);
	c->r[RBX] = DATA;
	poke32(DATA, 0xbadbad);
	poke16(DATA + 4, (way == JMP_GATE || way == CALL_GATE ? SLOT2 : SLOT) | cpl);
	if (way == INT_GATE) {
		POKE(CODE, 0xcd, 0x20, 0x90);
	} else if (way == IRET) {
		POKE(CODE, 0x90, 0xcf, 0x90);
		c->r[RIP] = CODE + 1;
		c->eflags |= FL_NT;
		poke16(TSS_AT, SLOT);
	} else {
		POKE(CODE, 0xff, way == JMP || way == JMP_GATE ? 0x2b : 0x1b, 0x90);
	}
	set_gate(0x20, gate(SLOT, 0, 0xe5, 0));
}

/* ---- may it? ---- */

START_TEST(descriptors)
{
	for (unsigned n = 0; n < 2 * 4 * 4 * 256; n++) {
		enum way way = n & 1 ? CALL : JMP;
		unsigned cpl = n >> 1 & 3, rpl = n >> 3 & 3, access = n >> 5, dpl = access >> 5 & 3, type = access & 31;
		int vector = dpl < cpl || dpl < rpl ? VEC_GP : access & 0x80 ? RETIRED : VEC_NP;

		if (type == 4 || type == 5 || type == 12 || type >= 24)
			continue; /* a gate, code */
		if (type != 1 && type != 9) /* busy, or no task */
			vector = VEC_GP;
		name_case("ring %u: %s to access %x, RPL %u", cpl, way_names[way], access, rpl);
		prepare(way, cpl, type & 8 ? 32 : 16);
		set_descriptor(SLOT, descriptor(TSS2_AT, 0x67, access, 0));
		poke16(DATA + 4, (u16)(SLOT | rpl));
		expect(vector, vector == RETIRED ? 0 : SLOT);
	}
}
END_TEST

/* The gate's DPL, then what it names, whose DPL does not matter. */
START_TEST(gate_descriptors)
{
	for (unsigned n = 0; n < 4 * 4 * 8; n++) {
		unsigned cpl = n & 3, rpl = n >> 2 & 3, access = 5 | (n >> 4 & 3) << 5 | (n & 64 ? 0x80 : 0),
			 dpl = access >> 5 & 3;
		int vector = dpl < cpl || dpl < rpl ? VEC_GP : access & 0x80 ? RETIRED : VEC_NP;

		name_case("ring %u: gate of access %x, RPL %u", cpl, access, rpl);
		prepare(CALL_GATE, cpl, 32);
		set_descriptor(SLOT, tss(TSS2_AT, 32, false));
		set_descriptor(SLOT2, gate(SLOT | 3, 0, access, 0));
		poke16(DATA + 4, (u16)(SLOT2 | rpl));
		expect(vector, vector == RETIRED ? 0 : SLOT2);
	}
	for (enum way way = JMP_GATE; way <= INT_GATE; way++)
		for (unsigned access = 0; access < 256; access++) {
			unsigned type = access & 31;
			bool right = type == 1 || type == 9;

			name_case("%s to access %x", way_names[way], access);
			prepare(way, 0, type & 8 ? 32 : 16);
			set_descriptor(SLOT, descriptor(TSS2_AT, 0x67, access, 0));
			if (way != INT_GATE) {
				expect(!right          ? VEC_GP
				       : access & 0x80 ? RETIRED
						       : VEC_NP,
				       right && access & 0x80 ? 0 : SLOT);
			} else if (!right || !(access & 0x80)) {
				with_idt();
				EQ(taken(), right ? VEC_NP : VEC_GP);
				FAULT(0, right ? VEC_NP : VEC_GP, SLOT);
			}
		}
}
END_TEST

START_TEST(selectors)
{
	static const struct { u16 sel; int vector; u16 error; } rows[] = {
		{ 0, VEC_GP, 0 }, { 3, VEC_GP, 0 }, { BEYOND, VEC_GP, BEYOND }, { FAR_SLOT, VEC_GP, FAR_SLOT },
			{ LDT_END | 4, VEC_GP, LDT_END | 4 }, { SLOT, RETIRED, 0 },
	};

	for (enum way way = JMP; way <= CALL_GATE; way++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			name_case("%s to %x", way_names[way], rows[i].sel);
			prepare(way, 0, 32);
			set_descriptor(FAR_SLOT, tss(TSS2_AT, 32, false)); /* a TSS has no place in the LDT (7.2.2) */
			set_descriptor(SLOT2, gate(rows[i].sel, 0, 0xe5, 0));
			if (way <= CALL)
				poke16(DATA + 4, rows[i].sel);
			expect(rows[i].vector, rows[i].error);
		}
}
END_TEST

/* IRET with NT: the back link (vol. 2, IRET, "TASK-RETURN"): #TS for all but a busy TSS of the GDT, #NP if it is not
 * there. */
START_TEST(back_links)
{
	static const u16 sels[] = { 0, 3, BEYOND, FAR_SLOT, LDT_END | 4 };

	for (unsigned i = 0; i < ARRAY_LEN(sels); i++) {
		name_case("link %x", sels[i]);
		prepare(IRET, 0, 32);
		set_descriptor(FAR_SLOT, tss(TSS2_AT, 32, true));
		poke16(TSS_AT, sels[i]);
		expect(VEC_TS, sels[i] & 0xfffc);
	}
	for (unsigned access = 0; access < 256; access++) {
		bool right = (access & 31) == 11 || (access & 31) == 3;

		name_case("link to access %x", access);
		prepare(IRET, 3, access & 8 ? 32 : 16);
		set_descriptor(SLOT, descriptor(TSS2_AT, 0x67, access, 0));
		expect(!right ? VEC_TS : access & 0x80 ? RETIRED : VEC_NP, right && access & 0x80 ? 0 : SLOT);
	}
}
END_TEST

/* 67h bytes of a 32-bit TSS, 2Bh of a 16-bit one: else #TS(selector). */
START_TEST(limits)
{
	for (enum way way = JMP; way < WAYS; way++)
		for (unsigned bits = 16; bits <= 32; bits += 16)
			for (int less = 0; less < 2; less++) {
				name_case("%s: %u bits, %d less", way_names[way], bits, less);
				prepare(way, 0, bits);
				set_descriptor(SLOT, descriptor(TSS2_AT, (bits == 32 ? 0x67 : 0x2b) - (u32)less,
								(bits == 32 ? 0x89 : 0x81) | (way == IRET ? 2 : 0), 0));
				if (way == INT_GATE) {
					with_idt();
					if (!less)
						continue;
					EQ(taken(), VEC_TS);
					FAULT(0, VEC_TS, SLOT);
				} else {
					expect(less ? VEC_TS : RETIRED, less ? SLOT : 0);
				}
			}
}
END_TEST

/* ---- what is saved and loaded (7.3, table 7-2) ---- */

START_TEST(switches)
{
	for (unsigned n = 0; n < WAYS * 4; n++) {
		enum way way = (enum way)(n / 4);
		unsigned old = n & 1 ? 16 : 32, new = n & 2 ? 16 : 32, size = old / 8;
		u64 regs = TSS_AT + (old == 32 ? 40 : 18), flags;

		name_case("%s from %u to %u bits", way_names[way], old, new);
		prepare(way, 0, new);
		if (old == 16) {
			set_descriptor(TASK, tss(TSS_AT, 16, true));
			c->seg[TR].attr = SEG_P | 3;
			c->seg[TR].limit = 0x2b;
		}
		for (unsigned i = 0; i < 8; i++)
			if (i != RBX && i != RSP)
				c->r[i] = 0x98760000 + i;
		cpu_set_arith(c, FL_Z | FL_P);
		c->eflags |= FL_I | FL_D;
		c->dr[7] |= 0x3ff; /* L0 to G3, LE, GE; none of them is where anything happens */
		for (unsigned i = 0; i < 4; i++)
			c->dr[i] = 0xfff00000;
		load_seg(ES, DATA32(3));
		settle();
		with_idt();
		flags = cpu_flags(c) & ~(u32)(way == IRET ? FL_NT : 0);
		ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
		/* the old one */
		EQ(peek(TSS_AT + (old == 32 ? 32 : 14), size), CODE + 2);
		EQ(peek(TSS_AT + (old == 32 ? 36 : 16), size), old == 32 ? flags : (u16)flags);
		for (unsigned i = 0; i < 8; i++)
			if (i != RBX && i != RSP)
				EQ(peek(regs + i * size, size), old == 32 ? 0x98760000 + i : i);
		EQ(peek(regs + 4 * size, size), STACK);
		EQ(peek(regs + 8 * size, 2), DATA32(3));
		EQ(peek(regs + 9 * size, 2), CODE32(0));
		EQ(access_of(TASK), (old == 32 ? 0x89 : 0x81) | (nests(way) ? 2 : 0));
		/* the new one */
		EQ(c->seg[TR].sel, SLOT);
		EQ(c->seg[TR].base, TSS2_AT);
		EQ(access_of(SLOT), 0x60 | (new == 32 ? 0x8b : 0x83));
		EQ(peek(TSS2_AT, 2), nests(way) ? TASK : 0);
		EQ(cpu_flags(c), FL_1 | FL_C | (nests(way) ? FL_NT : 0));
		EQ(c->r[RIP], NEW_EIP);
		for (unsigned i = 0; i < 8; i++)
			if (i != RSP)
				EQ(new == 32 ? c->r[i] : (u16)c->r[i], new == 32 ? 0x11110000 * i + 0x100 + i : 0x100 +
					i);
		EQ(new == 32 ? c->r[RSP] : (u16)c->r[RSP], NEW_ESP);
		EQ(c->seg[ES].sel, DATA32(0));
		EQ(c->seg[CS].sel, CODE32(0));
		EQ(c->seg[GS].sel, new == 32 ? DATA32(0) : 0); /* a 16-bit TSS knows neither FS nor GS */
		EQ(c->seg[LDTR].base, LDT_AT);
		EQ(c->cr0 & CR0_TS, CR0_TS);
		EQ(c->dr[7] & 0x3ff, 0x2aa); /* the local ones are clear (17.2.4) */
	}
}
END_TEST

/* CALL and IRET, there and back. */
START_TEST(nested)
{
	for (unsigned bits = 16; bits <= 32; bits += 16) {
		name_case("%u bits", bits);
		prepare(CALL, 3, bits);
		POKE(NEW_EIP, 0xcf, 0x90);
		c->r[RCX] = 0x1234;
		for (unsigned i = 0; i < 2; i++)
			ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
		EQ(c->r[RIP], CODE + 2);
		EQ(c->r[RCX], 0x1234);
		EQ(c->cpl, 3);
		EQ(c->seg[TR].sel, TASK);
		EQ(access_of(TASK), 0x8b);
		EQ(access_of(SLOT), bits == 32 ? 0xe9 : 0xe1);
		/* it goes on there when it is called again */
		EQ(peek(TSS2_AT + (bits == 32 ? 32 : 14), 2), NEW_EIP + 1);
		EQ(peek(TSS2_AT + (bits == 32 ? 36 : 16), 2) & FL_NT, 0);
		EQ(c->eflags & FL_NT, 0);
	}
}
END_TEST

/* ---- a bad new task ---- */

/* Member of the TSS's image that is SEL, which has ACCESS. The fault is the new task's (7.3, table 7-1); handlers of
 * such faults are a task, TSS3. */
enum member { M_ES, M_CS, M_SS, M_DS, M_FS, M_GS, M_LDT };
static const struct { enum member which; u16 sel; u8 access; int vector; u16 error; } bad[] = {
	{ M_LDT, 0, 0, RETIRED, 0 }, { M_LDT, 3, 0, RETIRED, 0 }, { M_LDT, SLOT3, 0x82, RETIRED, 0 },
		{ M_LDT, FAR_SLOT, 0x82, VEC_TS, FAR_SLOT }, { M_LDT, BEYOND, 0, VEC_TS, BEYOND },
	{ M_LDT, SLOT3, 0x92, VEC_TS, SLOT3 }, { M_LDT, SLOT3, 0x89, VEC_TS, SLOT3 },
		{ M_LDT, SLOT3, 0x02, VEC_TS, SLOT3 },
	{ M_CS, 0, 0, VEC_TS, 0 }, { M_CS, 3, 0, VEC_TS, 0 }, { M_CS, BEYOND, 0, VEC_TS, BEYOND },
		{ M_CS, SLOT3, 0x9b, RETIRED, 0 }, { M_CS, SLOT3, 0x93, VEC_TS, SLOT3 },
	{ M_CS, SLOT3, 0x82, VEC_TS, SLOT3 }, { M_CS, SLOT3, 0xfb, VEC_TS, SLOT3 },
		{ M_CS, SLOT3 | 3, 0x9b, VEC_TS, SLOT3 }, { M_CS, SLOT3, 0x1b, VEC_NP, SLOT3 },
	{ M_CS, SLOT3, 0x9f, RETIRED, 0 }, { M_CS, SLOT3, 0xff, VEC_TS, SLOT3 }, { M_CS, SLOT3, 0x1f, VEC_NP, SLOT3 },
		{ M_CS, FAR_SLOT, 0x9b, RETIRED, 0 },
	{ M_SS, 0, 0, VEC_TS, 0 }, { M_SS, BEYOND, 0, VEC_TS, BEYOND }, { M_SS, SLOT3, 0x93, RETIRED, 0 },
		{ M_SS, SLOT3 | 1, 0x93, VEC_TS, SLOT3 },
	{ M_SS, SLOT3, 0xb3, VEC_TS, SLOT3 }, { M_SS, SLOT3, 0x91, VEC_TS, SLOT3 },
		{ M_SS, SLOT3, 0x9b, VEC_TS, SLOT3 }, { M_SS, SLOT3, 0x82, VEC_TS, SLOT3 },
	{ M_SS, SLOT3, 0x13, VEC_SS, SLOT3 },
	{ M_DS, 0, 0, RETIRED, 0 }, { M_DS, BEYOND, 0, VEC_TS, BEYOND }, { M_DS, SLOT3, 0x93, RETIRED, 0 },
		{ M_DS, SLOT3, 0x91, RETIRED, 0 }, { M_DS, SLOT3, 0x9b, RETIRED, 0 },
	{ M_DS, SLOT3, 0x99, VEC_TS, SLOT3 }, { M_DS, SLOT3, 0x82, VEC_TS, SLOT3 },
		{ M_DS, SLOT3 | 3, 0x93, VEC_TS, SLOT3 }, { M_DS, SLOT3 | 3, 0x9f, RETIRED, 0 },
	{ M_DS, SLOT3, 0x13, VEC_NP, SLOT3 }, { M_ES, SLOT3, 0x13, VEC_NP, SLOT3 },
		{ M_ES, SLOT3, 0x99, VEC_TS, SLOT3 }, { M_FS, SLOT3, 0x13, VEC_NP, SLOT3 },
	{ M_FS, SLOT3, 0x99, VEC_TS, SLOT3 }, { M_GS, SLOT3, 0x13, VEC_NP, SLOT3 },
		{ M_GS, SLOT3, 0x99, VEC_TS, SLOT3 },
};

static void handlers_are_a_task(void)
{
	make_task(TSS3_AT, 32, HANDLER, 0x7800);
	set_descriptor(SYSTEM, tss(TSS3_AT, 32, false));
	for (unsigned v = VEC_DF; v <= VEC_GP; v++)
		set_gate(v, gate(SYSTEM, 0, 0x85, 0));
}

static void set_member(unsigned i)
{
	poke16(TSS2_AT + (bad[i].which == M_LDT ? 96 : 72 + 4 * bad[i].which), bad[i].sel);
	if (bad[i].access)
		set_descriptor(bad[i].sel, descriptor(LDT_AT, 0xfffff, bad[i].access, 0xc));
	if (bad[i].access == 0x82) /* an LDT */
		set_descriptor(bad[i].sel, descriptor(LDT_AT, LDT_END - 1, 0x82, 0));
}

START_TEST(bad_members)
{
	for (unsigned n = 0; n < ARRAY_LEN(bad) * WAYS; n++) {
		unsigned i = n / WAYS;
		enum way way = (enum way)(n % WAYS);

		name_case("%s: member %u is %x of access %x", way_names[way], bad[i].which, bad[i].sel, bad[i].access);
		prepare(way, 0, 32);
		set_member(i);
		handlers_are_a_task();
		with_idt();
		if (bad[i].vector == RETIRED) {
			ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
			EQ(c->r[RIP], NEW_EIP);
			EQ(c->seg[TR].sel, SLOT);
			continue;
		}
		EQ(taken(), 0);
		FAULT(0, (unsigned)bad[i].vector, bad[i].error);
		EQ(c->seg[TR].sel, SYSTEM);
		EQ(peek(TSS3_AT, 2), SLOT);                /* it happened in the new task */
		EQ(peek(TSS2_AT + 32, 4), NEW_EIP);
		EQ(peek(c->r[RSP], 4), bad[i].error);
		EQ(peek(TSS_AT + 40 + 12, 4), DATA);       /* the old one was saved */
	}
}
END_TEST

/* By an external interrupt: EXT. On the way to the handler of a contributory exception: #DF (7.3, 6.13, 6.15). */
START_TEST(bad_handlers)
{
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		for (unsigned way = 0; way < 3; way++) {
			static const char *const names[] = { "INTR", "#GP", "INT1" };

			if (bad[i].vector == RETIRED)
				continue;
			name_case("%s: member %u is %x of access %x", names[way], bad[i].which, bad[i].sel,
				  bad[i].access);
			prepare(INT_GATE, 0, 32);
			set_member(i);
			handlers_are_a_task();
			c->acknowledge = NULL; /* 0FFh */
			set_gate(way == 0 ? 0xff : way == 1 ? VEC_UD : VEC_DB, gate(SLOT, 0, 0xe5, 0));
			with_idt();
			c->idtr.limit = 0x7ff;
			if (way == 0) {
				c->eflags |= FL_I;
				cpu_intr(c, 0, true);
			} else {
				POKE(CODE, 0xf1, 0x90);
			}
			if (way == 1) { /* LLDT of what is none: #GP through a gate to the bad task */
				set_gate(VEC_GP, gate(SLOT, 0, 0xe5, 0));
				POKE(CODE, 0x0f, 0x00, 0xd0);
				c->r[RAX] = DATA32(0);
			}
			EQ(taken(), 0);
			cpu_intr(c, 0, false);
			FAULT(way == 1, (unsigned)bad[i].vector, bad[i].error | (way != 2));
			EQ(peek(c->r[RSP], 4), way == 1 ? 0 : bad[i].error | (way != 2));
		}
}
END_TEST

/* EIP beyond the new CS: #GP(0) in the new task. An error code that does not fit on the new stack: #SS. */
START_TEST(bad_entries)
{
	name_case("EIP");
	prepare(JMP, 0, 32);
	set_descriptor(SLOT3, descriptor(0, NEW_EIP - 1, 0x9b, 4));
	poke16(TSS2_AT + 76, SLOT3);
	handlers_are_a_task();
	with_idt();
	EQ(taken(), 0);
	FAULT(0, VEC_GP, 0);
	EQ(peek(TSS3_AT, 2), SLOT);
	for (unsigned bits = 16; bits <= 32; bits += 16)
		for (unsigned room = 0; room < 2; room++) {
			name_case("an error code for %u bits, room for %u", bits, room);
			prepare(JMP, 0, bits);
			handlers_are_a_task();
			set_gate(VEC_NP, gate(SLOT, 0, 0x85, 0));
			set_descriptor(SLOT2, descriptor(0, 0xffff, 0x13, 4));
			set_descriptor(SLOT3, descriptor(0, NEW_ESP - 1 - (room ? 0 : 1), 0x93, bits == 32 ? 4 : 0));
			poke16(TSS2_AT + (bits == 32 ? 80 : 38), SLOT3);
			with_idt();
			POKE(CODE, 0x8e, 0xd8); /* mov ds, ax */
			c->r[RAX] = SLOT2;
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			EQ(c->seg[TR].sel, room ? SLOT : SYSTEM);
			if (room) {
				EQ((u16)c->r[RSP], NEW_ESP - bits / 8);
				EQ(peek(NEW_ESP - bits / 8, bits / 8), SLOT2);
			} else {
				FAULT(1, VEC_SS, 1);
			}
		}
}
END_TEST

/* The T bit (7.2.1): #DB before the new task's first instruction, DR6.BT. */
START_TEST(trap_bit)
{
	for (enum way way = JMP; way < WAYS; way++) {
		name_case("%s", way_names[way]);
		prepare(way, 0, 32);
		poke16(TSS2_AT + 100, 1);
		with_idt();
		EQ(taken(), VEC_DB);
		EQ(c->dr[6] & 0xe00f, 0x8000);
		EQ(peek(c->r[RSP], 4), NEW_EIP);
		EQ(c->seg[TR].sel, SLOT);
	}
}
END_TEST

/* A task in virtual-8086 mode: segments as there, ring 3; its IOPL and VM come from the TSS only. */
START_TEST(v86_task)
{
	name_case("V86");
	prepare(JMP, 0, 32);
	poke32(TSS2_AT + 36, FL_1 | FL_VM | FL_IOPL);
	for (unsigned i = 0; i < 6; i++)
		poke16(TSS2_AT + 72 + 4 * i, (u16)(0x100 * i));
	ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
	EQ(c->cpl, 3);
	EQ(c->eflags & (FL_VM | FL_IOPL), FL_VM | FL_IOPL);
	EQ(c->seg[CS].base, 0x1000);
	EQ(c->seg[GS].base, 0x5000);
	EQ(c->seg[GS].limit, 0xffff);
}
END_TEST

/* With paging CR3 comes from a 32-bit TSS, and stays with a 16-bit one. */
START_TEST(directories)
{
	for (unsigned bits = 16; bits <= 32; bits += 16) {
		name_case("%u bits", bits);
		prepare(JMP, 0, bits);
		poke32(PML4, 0xe7);            /* 4 MBytes, twice */
		poke32(PML4 + 0x1000, 0xe7);
		poke32(TSS2_AT + (bits == 32 ? 28 : 0x60), PML4 + 0x1000);
		c->cr4 |= CR4_PSE;
		c->cr3 = PML4;
		c->cr0 |= CR0_PG;
		settle();
		expect(RETIRED, 0);
		EQ(c->cr3, bits == 32 ? PML4 + 0x1000 : PML4);
	}
}
END_TEST

/* A page that cannot be written: #PF in the old task, which has changed nothing (7.3: all that takes part is in memory
 * before anything is saved). */
START_TEST(pages)
{
	static const struct {
		const char *name;
		u64 page;
	} rows[] = { { "the old TSS, the new one", TSS_AT }, { "the descriptors", GDT } };

	for (enum way way = JMP; way < WAYS; way++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			name_case("%s: %s", way_names[way], rows[i].name);
			if (way == INT_GATE)
				continue;
			prepare(way, 0, 32);
			poke32(PML4, (PML4 + 0x1000) | 0x67); /* 4-KByte pages, CR3 of both */
			for (unsigned page = 0; page < RAM_SIZE >> PAGE_SHIFT; page++)
				poke32(PML4 + 0x1000 + 4 * page, page << PAGE_SHIFT |
					(page << PAGE_SHIFT == rows[i].page ? 0x65 : 0x67));
			poke32(TSS2_AT + 28, PML4);
			c->cr3 = PML4;
			c->cr0 |= CR0_PG | CR0_WP;
			settle();
			expect(VEC_PF, 3);
			poke32(PML4 + 0x1000 + 4 * (rows[i].page >> PAGE_SHIFT), rows[i].page | 0x67);
			settle();
			expect(RETIRED, 0);
			EQ(c->seg[TR].sel, SLOT);
		}
}
END_TEST

/* EFLAGS of a TSS: the bits that the processor has. */
START_TEST(flags_of_models)
{
	static const struct { const char *model; u32 flags; } rows[] = {
		{ "386", FL_T | FL_I | FL_D | FL_IOPL | FL_NT | FL_RF }, { "486", FL_T | FL_I | FL_D | FL_IOPL | FL_NT |
			FL_RF | FL_AC | FL_ID | FL_VIF | FL_VIP },
		{ "max", FL_T | FL_I | FL_D | FL_IOPL | FL_NT | FL_RF | FL_AC | FL_ID | FL_VIF | FL_VIP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].model);
		bare_free();
		bare_new(rows[i].model, RAM_SIZE);
		prepare(JMP, 0, 32);
		poke32(TSS2_AT + 36, ~(u32)FL_VM);
		ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_LIMIT);
		EQ(cpu_flags(c), rows[i].flags | OSZAPC | FL_1);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("task");
	TCase *t = tcase_create("task");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, descriptors);
	tcase_add_test(t, gate_descriptors);
	tcase_add_test(t, selectors);
	tcase_add_test(t, back_links);
	tcase_add_test(t, limits);
	tcase_add_test(t, switches);
	tcase_add_test(t, nested);
	tcase_add_test(t, bad_members);
	tcase_add_test(t, bad_handlers);
	tcase_add_test(t, bad_entries);
	tcase_add_test(t, trap_bit);
	tcase_add_test(t, v86_task);
	tcase_add_test(t, directories);
	tcase_add_test(t, pages);
	tcase_add_test(t, flags_of_models);
	suite_add_tcase(s, t);
	return bare_run(s);
}
