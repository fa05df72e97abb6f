/* SPDX-License-Identifier: MIT */
/* FRED, step by step as SDM vol. 3, chapter 8, and vol. 2, at each instruction, have it. */
#include "cpu/cet.h"
#include "tests/unit/modes.h"

enum { RSP0 = 0x1cc, STKLVLS = 0x1d0, SSP1 = 0x1d1, CONFIG = 0x1d4, STAR = 0xc0000081 };
enum { USER_ENTRY = HANDLER, KERNEL_ENTRY = HANDLER + 256, SHADOW = DATA + 0x800, FAR_AWAY = 0x40000000, IRQ = 0x33,
       GS_BASE = 0x1234, OTHER_GS = 0x5678 };
enum { ERROR, F_RIP, F_CS, FLAGS, F_RSP, F_SS, EVENT_DATA, LAST };
enum { STI_BIT = 1 << 16, SW_BIT = 1 << 17, NMI_BIT = 1 << 18 };
#define NESTED ((u64)1 << 58)
#define LONG_BIT ((u64)1 << 57)

static u8 acknowledge(void *owner)
{
	(void)owner;
	cpu_intr(c, 0, false);
	return IRQ;
}

static void fred_setup(void)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true,
		.acknowledge = acknowledge };

	ck_assert(model_parse(&model, "max,+fred,+lkgs,+shstk,+ibt", NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(RAM_SIZE);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, RAM_SIZE, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
}

static void set_msr(u32 index, u64 v) { ck_assert_msg(write_msr(c, index, v), "MSR %x", index); }

/* In ring CPL, with the stacks of the levels at ring_stack(level), and the 64-bit segments of SYSCALL. */
static void begin(unsigned cpl, unsigned level)
{
	enter(LONG, cpl);
	set_msr(STAR, (u64)CODE64(0) << 32 | (u64)(CODE32(3) - 16) << 48);
	for (unsigned i = 0; i < 4; i++)
		set_msr(RSP0 + i, ring_stack(i));
	set_msr(STKLVLS, 0);
	set_msr(CONFIG, USER_ENTRY | level);
	c->seg[GS].base = GS_BASE;
	c->kernel_gs_base = OTHER_GS;
	c->cr4 |= CR4_FRED;
	c->eflags |= FL_I | (cpl ? 0 : FL_IOPL);
	settle();
}

static u64 frame(unsigned word) { return peek(c->r[RSP] + 8 * word, 8); }
static unsigned frame_vector(void) { return frame(F_SS) >> 32 & 0xff; }
static unsigned frame_type(void) { return frame(F_SS) >> 48 & 15; }
static enum cpu_stop step(void) { return cpu_run(c, c->icount + 1, CLOCK_NEVER); }
static bool entered(void) { return (c->r[RIP] & ~(u64)1) == USER_ENTRY || (c->r[RIP] & ~(u64)1) == KERNEL_ENTRY; }

/* A trap or an interrupt comes before the next instruction. */
static void step_to_entry(void)
{
	for (unsigned i = 0; i < 3 && !entered(); i++)
		step();
}

/* The vector of the event that the instruction at CODE is or meets; RETIRED. */
static int run(const u8 *code, unsigned len)
{
	poke(CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	step();
	return entered() ? (int)frame_vector() : RETIRED;
}
#define RUN_CODE(...) run((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))
static int erets(void) { return RUN_CODE(0xf2, 0x0f, 0x01, 0xca); }
static int eretu(void) { return RUN_CODE(0xf3, 0x0f, 0x01, 0xca); }

/* ---- delivery ---- */

/* Of each event: type, vector, the length of the instruction where it is the event, and the data. */
static const struct fred_event {
	const char *name;
	u8 code[8], size, vector, type, length;
	bool software;
	u32 error0, error3;
	u64 data;
} events[] = {
	{ "int 80h", { 0xcd, 0x80 }, 2, 0x80, 4, 2, true, 0, 0, 0 },
	{ "int 3 in two bytes", { 0xcd, 3 }, 2, 3, 4, 2, true, 0, 0, 0 },
	{ "int3", { 0xcc }, 1, VEC_BP, 6, 1, false, 0, 0, 0 },
	{ "int1", { 0xf1 }, 1, VEC_DB, 5, 1, false, 0, 0, 0 },
	{ "syscall", { 0x0f, 0x05 }, 2, 1, 7, 2, true, 0, 0, 0 },
	{ "syscall with a prefix", { 0x2e, 0x0f, 0x05 }, 3, 1, 7, 3, true, 0, 0, 0 },
	{ "sysenter", { 0x0f, 0x34 }, 2, 2, 7, 2, true, 0, 0, 0 },
	{ "ud2", { 0x0f, 0x0b }, 2, VEC_UD, 3, 0, false, 0, 0, 0 },
	{ "div", { 0xf7, 0xf1 }, 2, VEC_DE, 3, 0, false, 0, 0, 0 },
	{ "fnop with TS", { 0xd9, 0xd0 }, 2, VEC_NM, 3, 0, false, 0, 0, 0 },
	{ "a read of nothing", { 0x8b, 0x04, 0x25, 0, 0, 0, 0x40 }, 7, VEC_PF, 3, 0, false, 0, 4, FAR_AWAY },
	{ "a write to it", { 0x89, 0x04, 0x25, 0, 0, 0, 0x40 }, 7, VEC_PF, 3, 0, false, 2, 6, FAR_AWAY },
	{ "mov ss, 103h", { 0x8e, 0xd2 }, 2, VEC_GP, 3, 0, false, 0x100, 0x100, 0 },
};

static void check_frame(const struct fred_event *e, unsigned cpl, u64 rsp, u32 flags)
{
	u64 ss = (u64)e->vector << 32 | (u64)e->type << 48 | LONG_BIT | (u64)e->length << 60 |
		 (e->software ? SW_BIT : 0);

	name_case("%s at CPL %u", e->name, cpl);
	EQ(frame(ERROR), cpl ? e->error3 : e->error0);
	EQ(frame(F_RIP), CODE + e->length);
	EQ(frame(F_CS), CODE64(cpl));
	EQ(frame(FLAGS), flags | (e->type == 3 ? FL_RF : 0));
	EQ(frame(F_RSP), rsp);
	EQ(frame(F_SS), ss | DATA32(cpl));
	EQ(frame(EVENT_DATA), e->data);
	EQ(frame(LAST), 0);
}

START_TEST(every_event)
{
	for (unsigned i = 0; i < 2 * ARRAY_LEN(events); i++) {
		const struct fred_event *e = &events[i / 2];
		unsigned cpl = i & 1 ? 3 : 0;
		u64 rsp = STACK - 5, r11 = 0x1111, top = cpl ? ring_stack(0) : rsp & ~(u64)63;
		u32 flags;

		begin(cpl, 0);
		c->cr0 |= CR0_TS;
		update_mode(c);
		c->r[RSP] = rsp;
		c->r[RCX] = 0;
		c->r[R11] = r11;
		c->r[RDX] = 0x103;
		cpu_set_arith(c, FL_C | FL_S);
		c->eflags |= FL_D | FL_AC;
		update_view(c);
		flags = cpu_flags(c);
		ck_assert_int_eq(run(e->code, e->size), e->vector);
		check_frame(e, cpl, rsp, flags);
		EQ(c->r[RSP], top - 64);
		EQ(c->r[RIP] & ~(u64)1, cpl ? USER_ENTRY : KERNEL_ENTRY);
		EQ(cpu_flags(c), FL_1);
		EQ(c->r[RCX], 0);
		EQ(c->r[R11], r11);
		EQ(c->cpl, 0);
		EQ(c->seg[CS].sel, CODE64(0));
		EQ(c->seg[SS].sel, cpl ? CODE64(0) + 8 : DATA32(0));
		EQ(c->seg[GS].base, cpl ? OTHER_GS : GS_BASE);
		EQ(c->kernel_gs_base, cpl ? GS_BASE : OTHER_GS);
		if (e->vector == VEC_PF)
			EQ(c->cr2, FAR_AWAY);
	}
}
END_TEST

/* INT n asks for no DPL; in compatibility mode the frame says so. */
START_TEST(compatibility)
{
	begin(3, 0);
	load_seg(CS, CODE32(3));
	settle();
	ck_assert_int_eq(RUN_CODE(0xcd, 0x80), 0x80);
	ck_assert_uint_eq(frame(F_SS) & LONG_BIT, 0);
	ck_assert_uint_eq(frame(F_CS), CODE32(3));
	ck_assert(in_64(c));
}
END_TEST

/* The stack level: that of the event in ring 0 if it is above the present one; 0 for what comes from ring 3. */
START_TEST(levels)
{
	static const struct { u8 cpl, now, ud, irq; u16 gap; u8 ud_level, irq_level; } rows[] = {
		{ 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 2, 1, 0, 2, 1 }, { 0, 1, 1, 3, 0, 1, 3 }, { 0, 3, 2, 1, 0, 3, 3 },
		{ 0, 1, 0, 1, 0x40, 1, 1 }, { 0, 2, 1, 2, 0x1c0, 2, 2 }, { 3, 0, 3, 2, 0x80, 0, 0 },
	};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		bool irq = i & 1;
		unsigned r = i / 2, level = irq ? rows[r].irq_level : rows[r].ud_level;
		u64 rsp = STACK - 3;

		name_case("row %u, %s", r, irq ? "interrupt" : "#UD");
		begin(rows[r].cpl, rows[r].now);
		set_msr(STKLVLS, (u64)rows[r].ud << 2 * VEC_UD);
		set_msr(CONFIG, USER_ENTRY | rows[r].now | rows[r].gap | (u64)rows[r].irq << 9);
		c->r[RSP] = rsp;
		if (irq)
			cpu_intr(c, 0, true);
		ck_assert_int_eq(irq ? RUN_CODE(0x90) : RUN_CODE(0x0f, 0x0b), irq ? IRQ : VEC_UD);
		EQ(frame_type(), irq ? 0 : 3);
		EQ(c->fred->config & 3, level);
		EQ(frame(F_CS) >> 16, rows[r].now);
		EQ(c->r[RSP] + 64, rows[r].cpl || level > rows[r].now ? ring_stack(level)
							   : (rsp - rows[r].gap) & ~(u64)63);
	}
}
END_TEST

/* An exception on the way to an event: its own level, and the bit "nested". */
START_TEST(nested)
{
	static const struct { u8 pf, df; bool pf_works, df_works; int vector; bool bit; } rows[] = {
		{ 2, 3, true, true, VEC_PF, true }, { 2, 3, false, true, VEC_DF, false },
		{ 0, 3, true, true, VEC_DF, false }, { 2, 3, false, false, -1, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		enum cpu_stop stop;

		name_case("row %u", i);
		begin(3, 0);
		set_msr(STKLVLS, (u64)rows[i].pf << 2 * VEC_PF | (u64)rows[i].df << 2 * VEC_DF);
		set_msr(RSP0, FAR_AWAY + 64);
		if (!rows[i].pf_works)
			set_msr(RSP0 + rows[i].pf, FAR_AWAY + 64);
		if (!rows[i].df_works)
			set_msr(RSP0 + rows[i].df, FAR_AWAY + 64);
		POKE(CODE, 0xcd, 0x80);
		c->r[RIP] = CODE;
		stop = step();
		if (rows[i].vector < 0) {
			EQ(stop, CPU_TRIPLE_FAULT);
			continue;
		}
		EQ(stop, CPU_LIMIT);
		EQ(frame_vector(), rows[i].vector);
		EQ(frame(F_SS) & NESTED, rows[i].bit ? NESTED : 0);
		EQ(frame(F_RIP), CODE);
		EQ(frame(EVENT_DATA), rows[i].vector == VEC_PF ? FAR_AWAY : 0);
		EQ(c->r[RSP] + 64, ring_stack(rows[i].vector == VEC_PF ? rows[i].pf : rows[i].df));
		EQ(c->r[RIP] & ~(u64)1, USER_ENTRY);
		EQ(c->seg[GS].base, OTHER_GS);
	}
	begin(0, 0);
	c->r[RSP] = (u64)1 << 60;
	set_msr(STKLVLS, (u64)1 << 2 * VEC_SS);
	ck_assert_int_eq(RUN_CODE(0xcc), VEC_SS);
	ck_assert_uint_eq(frame(F_SS) & NESTED, NESTED);
}
END_TEST

START_TEST(nmi)
{
	begin(0, 0);
	set_msr(STKLVLS, (u64)2 << 2 * VEC_NMI);
	cpu_nmi(c, 0, true);
	ck_assert_int_eq(RUN_CODE(0x90), VEC_NMI);
	ck_assert_uint_eq(frame_type(), 2);
	ck_assert_uint_eq(frame(F_SS) & NMI_BIT, NMI_BIT);
	ck_assert_uint_eq(c->r[RSP] + 64, ring_stack(2));
	ck_assert(c->nmi_blocked);
	poke64(c->r[RSP] + 8, CODE + 0x20);
	poke64(CODE + 0x20, 0x90909090);
	ck_assert_int_eq(erets(), RETIRED);
	ck_assert(!c->nmi_blocked);
	ck_assert_uint_eq(c->fred->config & 3, 0);
}
END_TEST

/* #DB: the bits of DR6; behind STI the frame says so, and ERETS establishes it again. */
START_TEST(debug_and_sti)
{
	begin(0, 0);
	c->eflags |= FL_T;
	attend(c, ATTN_LINE);
	POKE(CODE, 0x90, 0x90);
	c->r[RIP] = CODE;
	step_to_entry();
	ck_assert_uint_eq(frame_vector(), VEC_DB);
	ck_assert_uint_eq(frame(EVENT_DATA), 1 << 14);
	ck_assert_uint_eq(frame(F_RIP), CODE + 1);
	ck_assert_uint_eq(frame(F_SS) & SW_BIT, 0);
	begin(0, 0);
	c->eflags &= ~(u32)FL_I;
	POKE(CODE, 0xfb, 0x0f, 0x0b, 0x90, 0x90); /* sti; ud2 */
	c->r[RIP] = CODE;
	step();
	step();
	ck_assert_uint_eq(frame_vector(), VEC_UD);
	ck_assert_uint_eq(frame(F_SS) & STI_BIT, STI_BIT);
	poke64(c->r[RSP] + 8, CODE + 3);
	POKE(CODE + 0x40, 0xf2, 0x0f, 0x01, 0xca);
	c->r[RIP] = CODE + 0x40;
	c->activity = ACTIVITY_RUN;
	cpu_intr(c, 0, true);
	step();
	ck_assert_uint_eq(c->r[RIP], CODE + 3);
	step_to_entry();
	ck_assert_uint_eq(frame_vector(), IRQ);
	ck_assert_uint_eq(frame(F_RIP), CODE + 4);
}
END_TEST

/* ---- returns ---- */

static void put_frame(u64 rip, u64 cs, u64 flags, u64 rsp, u64 ss)
{
	const u64 words[] = { 0, rip, cs, flags, rsp, ss, 0, 0 };

	c->r[RSP] = STACK - sizeof words;
	poke(c->r[RSP], words, sizeof words);
}

/* ERETS: each bit of CS, RFLAGS and SS that may not be set, and each that may. */
START_TEST(frames_of_ring_0)
{
	for (unsigned i = 0; i < 3 * 64; i++) {
		unsigned bit = i % 64, word = i / 64;
		u64 b = (u64)1 << bit, cs = CODE64(0), flags = FL_1, ss = DATA32(0);
		bool ok = word == 0 ? bit >= 16 && bit < 19
			: word == 1 ? !(0xffffffffffc2802a >> bit & 1) : bit >= 32 || (bit >= 16 && bit < 19);

		name_case("word %u, bit %u", word, bit);
		begin(0, 3);
		put_frame(CODE + 0x20, cs ^ (word == 0 ? b : 0), flags ^ (word == 1 ? b : 0), STACK - 9,
			  ss ^ (word == 2 ? b : 0));
		EQ(erets(), ok ? RETIRED : VEC_GP);
		if (!ok)
			continue;
		EQ(c->r[RIP], CODE + 0x20);
		EQ(c->r[RSP], STACK - 9);
		EQ(c->fred->config & 3, word == 0 && bit < 18 ? bit - 15 : 0);
		EQ(cpu_flags(c), flags | (word == 1 ? b : 0));
		EQ(c->seg[GS].base, GS_BASE);
	}
	begin(0, 1);
	put_frame(CODE + 0x20, CODE64(0) | 3 << 16, FL_1, STACK, DATA32(0));
	ck_assert_int_eq(erets(), RETIRED);
	ck_assert_uint_eq(c->fred->config & 3, 1);
	put_frame((u64)1 << 60, CODE64(0), FL_1, STACK, DATA32(0));
	ck_assert_int_eq(erets(), VEC_GP);
}
END_TEST

/* The trap of a single step that SYSCALL, SYSENTER and INT n have put off. */
START_TEST(pending_step)
{
	for (unsigned on = 0; on < 2; on++) {
		begin(0, 0);
		put_frame(CODE + 0x20, CODE64(0), FL_1 | FL_T, STACK, DATA32(0) | (on ? SW_BIT : 0));
		POKE(CODE + 0x20, 0x90, 0x90);
		erets();
		step_to_entry();
		ck_assert_uint_eq(frame_vector(), VEC_DB);
		ck_assert_uint_eq(frame(F_RIP), CODE + 0x20 + !on);
	}
}
END_TEST

/* ERETU: to the segments of SYSRET, or to those that the GDT has. */
START_TEST(frames_of_ring_3)
{
	static const struct { u16 star, cs, ss; bool l, flat; } rows[] = {
		{ CODE64(3) - 16, CODE64(3), CODE64(3) - 8, true, true },
		{ CODE32(3), CODE32(3), CODE32(3) + 8, false, true },
		{ 0x103, CODE64(3), DATA32(3), true, false },
		{ 0x103, CODE32(3), DATA32(3), false, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u64 high = (u64)1 << 40;

		name_case("row %u", i);
		begin(0, 0);
		set_msr(STAR, (u64)CODE64(0) << 32 | (u64)rows[i].star << 48);
		put_frame(CODE + 0x20 + (rows[i].l ? 0 : high), rows[i].cs, FL_1 | FL_I | FL_Z, STACK + high,
			  rows[i].ss);
		EQ(eretu(), RETIRED);
		EQ(c->r[RIP], CODE + 0x20);
		EQ(c->r[RSP], STACK + (rows[i].l ? high : 0));
		EQ(c->cpl, 3);
		EQ(in_64(c), rows[i].l);
		EQ(c->seg[CS].sel, rows[i].cs);
		EQ(c->seg[SS].sel, rows[i].ss);
		EQ(seg_dpl(&c->seg[CS]), 3);
		EQ(cpu_flags(c), FL_1 | FL_I | FL_Z);
		EQ(c->seg[GS].base, OTHER_GS);
		EQ(c->kernel_gs_base, GS_BASE);
	}
	for (unsigned i = 0; i < 3 * 64; i++) {
		unsigned bit = i % 64, word = i / 64;
		u64 b = (u64)1 << bit;
		bool ok = word == 0 ? bit >= 2 && bit < 16
			: word == 1 ? !(0xffffffffffc2b02a >> bit & 1) : bit >= 32 || (bit >= 2 && bit < 19);
		u64 cs = CODE64(3), ss = DATA32(3);

		name_case("word %u, bit %u", word, bit);
		begin(0, 0);
		if (word == 0)
			cs ^= b;
		if (word == 2)
			ss ^= b;
		if ((ok && word == 0) || (word == 2 && bit < 16)) /* another selector, of any segment */
			continue;
		put_frame(CODE + 0x20, cs, FL_1 ^ (word == 1 ? b : 0), STACK, ss);
		EQ(eretu(), ok ? RETIRED : VEC_GP);
	}
	begin(0, 1);
	put_frame(CODE, CODE64(3), FL_1, STACK, DATA32(3));
	ck_assert_int_eq(eretu(), VEC_GP);
	begin(0, 0);
	put_frame((u64)1 << 60, CODE64(3), FL_1, STACK, DATA32(3));
	ck_assert_int_eq(eretu(), VEC_GP);
}
END_TEST

/* ---- other instructions ---- */

START_TEST(undefined)
{
	static const struct { u8 code[6], size; bool with, without; } rows[] = {
		{ { 0xf2, 0x0f, 0x01, 0xca }, 4, true, false }, { { 0xf3, 0x0f, 0x01, 0xca }, 4, true, false },
		{ { 0x0f, 0x01, 0xf8 }, 3, false, true } /* swapgs */, { { 0x48, 0x0f, 0x07 }, 3, false, true },
		{ { 0x48, 0x0f, 0x35 }, 3, false, true } /* sysexit */,
	};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		unsigned r = i / 2;
		bool fred = i & 1;

		begin(0, 0);
		c->sysenter_cs = CODE64(0);
		put_frame(CODE + 0x20, CODE64(r == 1 ? 3 : 0), FL_1, STACK, DATA32(r == 1 ? 3 : 0));
		c->r[RCX] = c->r[RDX] = CODE + 0x20;
		c->r[R11] = FL_1;
		if (!fred) {
			c->cr4 &= ~CR4_FRED;
			settle();
		}
		poke(CODE, rows[r].code, rows[r].size);
		if (fred) {
			ck_assert_int_eq(run(rows[r].code, rows[r].size), rows[r].with ? RETIRED : VEC_UD);
		} else {
			ck_assert_int_eq(step(), rows[r].without ? CPU_LIMIT : CPU_EXCEPTION);
			ck_assert(rows[r].without || c->fault.vector == VEC_UD);
		}
	}
	begin(3, 0);
	ck_assert_int_eq(erets(), VEC_UD);
	begin(3, 0);
	ck_assert_int_eq(eretu(), VEC_UD);
	begin(3, 0);
	ck_assert_int_eq(RUN_CODE(0x0f, 0x01, 0xf8), VEC_UD);
	/* SYSCALL asks neither for EFER.SCE nor SYSENTER for its MSR */
	begin(3, 0);
	c->efer &= ~(u64)EFER_SCE;
	settle();
	ck_assert_int_eq(RUN_CODE(0x0f, 0x05), 1);
}
END_TEST

/* Far transfers change no ring, and ring 0 has 64-bit code only. */
START_TEST(far_transfers)
{
	static const struct { bool call, iret; u16 cs; int vector; u16 error; } rows[] = {
		{ false, true, CODE64(3), VEC_GP, CODE64(3) & 0xfffc }, { false, true, CODE64(0), RETIRED, 0 },
		{ false, true, CODE32(0), VEC_GP, CODE32(0) }, { false, false, CODE64(3), VEC_GP, CODE64(3) & 0xfffc },
		{ false, false, CODE64(0), RETIRED, 0 }, { false, false, CODE32(0), VEC_GP, CODE32(0) },
		{ true, false, SYSTEM, VEC_GP, SYSTEM }, { true, false, CODE32(0), VEC_GP, CODE32(0) },
		{ true, false, CODE64(0), RETIRED, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const u64 words[] = { CODE + 0x20, rows[i].cs, FL_1, STACK, DATA32(rows[i].cs & 3) };

		name_case("row %u", i);
		begin(0, 0);
		poke64(GDT + SYSTEM, gate(CODE64(0), CODE + 0x20, 0xec, 0));
		poke64(GDT + SYSTEM + 8, 0);
		c->r[RSP] = STACK - 0x100;
		poke(c->r[RSP], words, sizeof words);
		poke32(DATA, CODE + 0x20);
		poke16(DATA + 4, rows[i].cs);
		c->r[RBX] = DATA;
		EQ(rows[i].call ? RUN_CODE(0xff, 0x1b) : rows[i].iret ? RUN_CODE(0x48, 0xcf) : RUN_CODE(0x48, 0xcb),
		   rows[i].vector);
		if (rows[i].vector != RETIRED)
			EQ(frame(ERROR), rows[i].error);
	}
}
END_TEST

START_TEST(registers)
{
	static const struct { u32 first, last; u64 reserved; } rows[] = {
		{ RSP0, RSP0 + 3, 0x3f }, { STKLVLS, STKLVLS, 0 }, { SSP1, SSP1 + 2, 7 }, { CONFIG, CONFIG, 0x834 },
	};

	begin(0, 0);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		for (u32 index = rows[i].first; index <= rows[i].last; index++)
			for (unsigned bit = 0; bit < 64; bit++) {
				u64 b = (u64)1 << bit, v;
				bool ok = index == STKLVLS || !(rows[i].reserved & b || bit >= 47);

				ck_assert_msg(write_msr(c, index, b) == ok, "MSR %x, bit %u", index, bit);
				ck_assert(!ok || (read_msr(c, index, &v) && v == b));
			}
	ck_assert(model_parse(&model, "max", NULL));
	ck_assert(!write_cr4(c, c->cr4 | CR4_FRED));
	ck_assert(!write_msr(c, CONFIG, 0));
}
END_TEST

/* ---- CET ---- */

static void shadow_pages(void)
{
	poke64(PML4 + 0x1000, (PML4 + 0x2000) | 0x67);
	poke64(PML4 + 0x2000, 0xa000 /* PT */ | 0x67);
	for (unsigned i = 0; i < 16; i++)
		poke64(0xa000 + 8 * i, i << 12 | (i == DATA >> 12 ? 0x61 : 0x67)); /* read-only and dirty */
	c->cr0 |= CR0_WP;
	c->cr4 |= CR4_CET;
	set_msr(0x6a2, CET_SHSTK | CET_ENDBR);
	settle();
}

START_TEST(shadow_stacks)
{
	begin(0, 0);
	shadow_pages();
	set_msr(SSP1, SHADOW + 0x100);
	set_msr(STKLVLS, (u64)1 << 2 * VEC_UD);
	c->ssp = SHADOW;
	ck_assert_int_eq(RUN_CODE(0xcc), VEC_BP);
	ck_assert_uint_eq(c->ssp, SHADOW - 24);
	ck_assert_uint_eq(peek(SHADOW - 8, 8), CODE64(0));
	ck_assert_uint_eq(peek(SHADOW - 16, 8), CODE + 1);
	ck_assert_uint_eq(peek(SHADOW - 24, 8), SHADOW);
	ck_assert_uint_eq(c->s_cet & CET_WAIT, 0);
	c->activity = ACTIVITY_RUN;
	poke64(c->r[RSP] + 8, CODE + 2);
	ck_assert_int_eq(erets(), VEC_CP);
	ck_assert_uint_eq(frame(ERROR), CP_FAR_RET);
	begin(0, 0);
	shadow_pages();
	set_msr(SSP1, SHADOW + 0x100);
	set_msr(STKLVLS, (u64)1 << 2 * VEC_UD);
	c->ssp = SHADOW;
	c->s_cet |= CET_WAIT; /* the tracker is on its way to ENDBR */
	update_mode(c);
	ck_assert_int_eq(RUN_CODE(0x90), VEC_CP);
	ck_assert_uint_eq(frame(F_CS) >> 16, 4);
	c->s_cet &= ~(u64)CET_WAIT;
	begin(0, 0);
	shadow_pages();
	set_msr(SSP1, SHADOW + 0x100);
	set_msr(STKLVLS, (u64)1 << 2 * VEC_UD);
	c->ssp = SHADOW;
	ck_assert_int_eq(RUN_CODE(0x0f, 0x0b), VEC_UD);
	ck_assert_uint_eq(c->ssp, SHADOW + 0x100 - 24);
	ck_assert_uint_eq(c->fred->config & 3, 1);
	c->activity = ACTIVITY_RUN;
	c->r[RIP] = CODE + 0x40;
	POKE(CODE + 0x40, 0xf2, 0x0f, 0x01, 0xca);
	step();
	ck_assert_uint_eq(c->r[RIP], CODE);
	ck_assert_uint_eq(c->ssp, SHADOW);
	ck_assert_uint_eq(c->fred->config & 3, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("FRED");
	TCase *tc = tcase_create("SDM");

	tcase_add_checked_fixture(tc, fred_setup, bare_free);
	tcase_add_test(tc, every_event);
	tcase_add_test(tc, compatibility);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, nested);
	tcase_add_test(tc, nmi);
	tcase_add_test(tc, debug_and_sti);
	tcase_add_test(tc, frames_of_ring_0);
	tcase_add_test(tc, pending_step);
	tcase_add_test(tc, frames_of_ring_3);
	tcase_add_test(tc, undefined);
	tcase_add_test(tc, far_transfers);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, shadow_stacks);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
