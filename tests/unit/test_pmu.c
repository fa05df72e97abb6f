/* SPDX-License-Identifier: MIT */
/* Performance counters (SDM vol. 3, 20.2; APM vol. 2, 13.2): loops whose instructions and branches are known, filters,
 * overflows at an exact instruction, the registers. */
#include "cpu/system/apic.h"
#include "tests/unit/modes.h"

enum { PMC0 = 0xc1, SELECT0 = 0x186, FIXED0 = 0x309, FIXED_CTRL = 0x38d, STATUS = 0x38e, GLOBAL = 0x38f, CLEAR = 0x390,
       FULL0 = 0x4c1 };
enum { USER = 1 << 16, OS = 1 << 17, EDGE = 1 << 18, INTERRUPT = 1 << 20, ON = 1 << 22, INVERT = 1 << 23 };
enum { INSTRUCTIONS = 0xc0, CYCLES = 0x3c, REFERENCE = 0x13c, BRANCHES = 0xc4 };
#define FULL ((u64)1 << 48)

static void intel_setup(void) { bare_new("max,+pmu", RAM_SIZE); }
static void amd_setup(void) { bare_new("zen3,+pmu", RAM_SIZE); }

static void set(u32 index, u64 v) { ck_assert_msg(write_msr(c, index, v), "%x := %llx", index, (unsigned long long)v); }
static u64 get(u32 index)
{
	u64 v;

	ck_assert_msg(read_msr(c, index, &v), "%x", index);
	return v;
}

static void run(u64 n) { ck_assert_int_eq(cpu_run(c, c->icount + n, CLOCK_NEVER), CPU_LIMIT); }

/* Rounds of five instructions, of which two are branches: one of them is not taken. */
enum { ROUND = 5, ROUND_BRANCHES = 2 };
/* nop; nop; test esp, esp; je; jmp */
static void rounds_at_code(void) { POKE(CODE, 0x90, 0x90, 0x85, 0xe4, 0x74, 0x00, 0xeb, 0xf8); }

/* A round in ring 3 of two instructions, and in ring 0 of three: int 40h; jmp; nop; nop; iretq */
static void rings(void)
{
	enter(LONG, 3);
	with_idt();
	POKE(CODE, 0xcd, 0x40, 0xeb, 0xfc);
	POKE(handler_of(0x40), 0x90, 0x90, 0x48, 0xcf);
}

START_TEST(events)
{
	static const struct { u32 select; u64 expected; } rows[] = {
		{ INSTRUCTIONS, 1000 * ROUND }, { CYCLES, 1000 * ROUND }, { REFERENCE, 1000 * ROUND },
		{ BRANCHES, 1000 * ROUND_BRANCHES },
		{ 0x4f2e, 0 }, { 0x412e, 0 }, { 0xc5, 0 },  /* CPUID says that they are not there */
		{ INSTRUCTIONS | 1 << 24, 1000 * ROUND }, { BRANCHES | 1 << 24, 1000 * ROUND_BRANCHES },
		{ INSTRUCTIONS | 2 << 24, 0 }, { INSTRUCTIONS | INVERT | 2 << 24, 1000 * ROUND },
		{ INSTRUCTIONS | INVERT | 1 << 24, 0 }, { INSTRUCTIONS | EDGE, 0 },
	};
	u32 leaf[4];

	cpuid(c, 10, 0, leaf);
	ck_assert_uint_eq(leaf[0], 0x07300402);
	ck_assert_uint_eq(leaf[1], 0x58);
	ck_assert_uint_eq(leaf[3], 3 | 48 << 5);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned n = i % PMU_GENERAL;

		enter(LONG, 0);
		rounds_at_code();
		set(SELECT0 + n, rows[i].select | OS | ON);
		run(1000 * ROUND);
		ck_assert_msg(get(PMC0 + n) == rows[i].expected, "row %u: %llu", i, (unsigned long long)get(PMC0 + n));
		set(SELECT0 + n, rows[i].select | OS);
		run(100);
		ck_assert_uint_eq(get(FULL0 + n), rows[i].expected);
		c->r[RCX] = n;
		POKE(CODE + 0x20, 0x0f, 0x33); /* rdpmc */
		c->r[RIP] = CODE + 0x20;
		run(1);
		ck_assert_uint_eq(c->r[RDX] << 32 | c->r[RAX], rows[i].expected);
	}
}
END_TEST

/* Each CPL gets the instructions that begin there. */
START_TEST(filters)
{
	for (unsigned cut = 1; cut <= 1000; cut = 7 * cut + 3) {
		rings();
		set(SELECT0, INSTRUCTIONS | USER | ON);
		set(SELECT0 + 1, INSTRUCTIONS | OS | ON);
		set(SELECT0 + 2, BRANCHES | USER | ON);
		set(SELECT0 + 3, BRANCHES | OS | USER | ON);
		set(FIXED_CTRL, 0x312);
		set(GLOBAL, (u64)7 << 32 | 15);
		for (unsigned done = 0; done < 1000 * 5; done += cut)
			run(done + cut > 5000 ? 5000 - done : cut);
		ck_assert_uint_eq(c->r[RIP], CODE);
		ck_assert_uint_eq(get(PMC0), 2000);
		ck_assert_uint_eq(get(PMC0 + 1), 3000);
		ck_assert_uint_eq(get(PMC0 + 2), 2000);
		ck_assert_uint_eq(get(PMC0 + 3), 3000);
		ck_assert_uint_eq(get(FIXED0), 2000);
		ck_assert_uint_eq(get(FIXED0 + 1), 3000);
		ck_assert_uint_eq(get(FIXED0 + 2), 5000);
	}
}
END_TEST

/* An instruction that faults does not retire: INT through a gate that is not there, again and again. */
START_TEST(faults)
{
	rings();
	poke8(IDT + 16 * 0x40 + 5, 0x6e); /* not present */
	POKE(handler_of(VEC_NP), 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf); /* add rsp, 8; iretq */
	set(SELECT0, BRANCHES | USER | OS | ON);
	set(SELECT0 + 1, INSTRUCTIONS | USER | OS | ON);
	run(200);
	ck_assert_uint_eq(get(PMC0), 100);
	ck_assert_uint_eq(get(PMC0 + 1), 200);
}
END_TEST

/* The interrupt comes at the instruction behind the one that overflows. The counter of INDEX starts at -LEFT. */
static void overflow_at(u32 index, u64 left, u64 at)
{
	for (unsigned cut = 1; cut < 4000; cut = cut * 5 + 2) {
		c->r[RIP] = CODE;
		c->r[RSP] = STACK;
		c->eflags |= FL_I;
		c->apic->lvt[LVT_PERFORMANCE] = 0x41;
		set(index, FULL - left);
		set(CLEAR, get(STATUS));
		for (u64 done = 0; done < at; done += cut)
			run(done + cut > at ? at - done : cut);
		ck_assert_uint_eq(c->r[RIP] & ~(u64)15, CODE);
		ck_assert(get(STATUS) != 0);
		ck_assert_uint_eq(c->apic->lvt[LVT_PERFORMANCE], 0x10041); /* it is pending */
		ck_assert_uint_eq(get(index), 0);
		run(1);
		ck_assert_msg(c->r[RIP] == handler_of(0x41) + 1, "%x: %llx", index, (unsigned long long)c->r[RIP]);
		apic_eoi(c->apic);
	}
}

START_TEST(overflows)
{
	c->apic = apic_new(c, &clk, &mem);
	apic_reset(c->apic, false);
	enter(LONG, 0);
	with_idt();
	rounds_at_code();
	POKE(handler_of(0x41), 0x90, 0xf4);
	c->apic->svr = 0x1ff;
	set(SELECT0, INSTRUCTIONS | OS | INTERRUPT | ON);
	overflow_at(FULL0, 1, 1);
	overflow_at(FULL0, 3777, 3777);
	set(SELECT0, 0);
	set(SELECT0 + 1, CYCLES | OS | INTERRUPT | ON);
	overflow_at(FULL0 + 1, 1234, 1234);
	set(SELECT0 + 1, 0);
	set(SELECT0 + 2, BRANCHES | OS | INTERRUPT | ON);
	overflow_at(FULL0 + 2, 1, 4);            /* je */
	overflow_at(FULL0 + 2, 1000, 499 * ROUND + 5); /* jmp */
	overflow_at(FULL0 + 2, 1001, 500 * ROUND + 4);
	set(SELECT0 + 2, 0);
	set(FIXED_CTRL, 9);
	set(GLOBAL, (u64)1 << 32);
	overflow_at(FIXED0, 2222, 2222);
	/* freeze */
	ck_assert_uint_eq(get(GLOBAL), (u64)1 << 32);
	set(0x1d9, 1 << 12);
	c->r[RIP] = CODE;
	set(FIXED0, FULL - 10);
	run(30);
	ck_assert_uint_eq(get(GLOBAL), 0);
	ck_assert_uint_eq(get(FIXED0), 0);
}
END_TEST

/* What is reserved gives #GP. */
START_TEST(registers)
{
	static const struct { u32 index; u64 bad; } rows[] = {
		{ SELECT0, (u64)1 << 32 }, { SELECT0, 1 << 21 }, { FULL0, FULL }, { FIXED0, FULL }, { FIXED_CTRL, 4 },
		{ FIXED_CTRL, 1 << 12 }, { GLOBAL, 1 << 4 }, { GLOBAL, (u64)1 << 35 }, { CLEAR, 1 << 4 }, { STATUS, 0 },
		{ 0x345, 0 }, { PMC0 + 4, 0 }, { SELECT0 + 4, 0 }, { FIXED0 + 3, 0 }, { FULL0 + 4, 0 },
	};
	u64 v;

	enter(LONG, 0);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(!write_msr(c, rows[i].index, rows[i].bad), "%x", rows[i].index);
	ck_assert_uint_eq(get(GLOBAL), 15);
	ck_assert_uint_eq(get(0x345), 1 << 13 | 5);
	ck_assert_uint_eq(get(0x1a0) >> 7 & 1, 1); /* IA32_MISC_ENABLE */
	set(0x1a0, 0);
	ck_assert_uint_eq(get(0x1a0) >> 7 & 1, 1);
	set(PMC0, 0x1234567890abcdef);
	ck_assert_uint_eq(get(PMC0), 0xffff90abcdef);
	set(PMC0, 0x70abcdef);
	ck_assert_uint_eq(get(FULL0), 0x70abcdef);
	ck_assert(model_parse(&model, "max", NULL));
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert(!read_msr(c, rows[i].index, &v));
}
END_TEST

/* The last branches (18.12): INFO, FROM and TO of the Nth before the last one. */
enum { LBR_SELECT = 0x1c8, LBR_TOS, LBR_FROM = 0x680, LBR_TO = 0x6c0, LBR_INFO = 0xdc0, DEBUGCTL = 0x1d9 };
static void last_branch(unsigned n, u64 from, u64 to, u64 info)
{
	u32 at = (u32)(get(LBR_TOS) - n) % 32;

	ck_assert_msg(get(LBR_FROM + at) == from && get(LBR_TO + at) == to && get(LBR_INFO + at) == info,
		      "%u: %llx to %llx, %llx", n, (unsigned long long)get(LBR_FROM + at),
		      (unsigned long long)get(LBR_TO + at), (unsigned long long)get(LBR_INFO + at));
}

START_TEST(branch_records)
{
	const u32 gate = handler_of(0x40);

	for (unsigned cut = 1; cut <= 100; cut += 33) {
		enter(LONG, 0);
		rounds_at_code();
		set(DEBUGCTL, 1);
		for (unsigned done = 0; done < 100 * ROUND; done += cut)
			run(done + cut > 100 * ROUND ? 100 * ROUND - done : cut);
		ck_assert_uint_eq(get(LBR_TOS), 100 % 32); /* those that are not taken are none */
		for (unsigned n = 0; n < 32; n++)
			last_branch(n, CODE + 6, CODE, ROUND);
		/* CALL, RET, and an exception */
		POKE(CODE + 0x40, 0xe8, 0x0b, 0, 0, 0, 0x0f, 0x0b);
		POKE(CODE + 0x50, 0x90, 0xc3);
		with_idt();
		c->r[RIP] = CODE + 0x40;
		run(4);
		last_branch(2, CODE + 0x40, CODE + 0x50, 1);
		last_branch(1, CODE + 0x51, CODE + 0x45, 2);
		last_branch(0, CODE + 0x45, handler_of(VEC_UD), 0);
	}
	rings();
	set(DEBUGCTL, 1);
	run(500);
	last_branch(0, CODE + 2, CODE, 1);
	last_branch(1, gate + 2, CODE + 2, 3);
	last_branch(2, CODE, gate, 1);
	/* what LBR_SELECT leaves out: ends at CPL 0; ends at another; far; JMP */
	for (unsigned i = 0; i < 4; i++) {
		rings();
		set(LBR_SELECT, i < 2 ? 1 << i : i == 2 ? 1 << 8 : 1 << 7);
		set(DEBUGCTL, 1);
		run(500);
		ck_assert_uint_eq(get(LBR_TOS), (i == 0 ? 200 : i == 1 || i == 2 ? 100 : 200) % 32);
	}
	set(DEBUGCTL, 0);
	run(500);
	ck_assert_uint_eq(get(LBR_TOS), 200 % 32);
	ck_assert(!write_msr(c, LBR_SELECT, 1 << 10));
	ck_assert(!write_msr(c, LBR_FROM, (u64)1 << 50));
	ck_assert(!write_msr(c, LBR_INFO, 1 << 16));
}
END_TEST

/* ---- architectural last branch records (SDM vol. 3, chapter 19) ---- */

enum { ARCH_CTL = 0x14ce, ARCH_DEPTH, ARCH_INFO = 0x1200, ARCH_FROM = 0x1500, ARCH_TO = 0x1600 };
enum { CTL_ALL = 0x7f0007, CALL_STACK = 8, OTHER = 8 };

static void arch_setup(void) { bare_new("max,+arch-lbr,+pmu", RAM_SIZE); }

/* IA32_LBR_N. */
static void arch_branch(unsigned n, u64 from, u64 to, unsigned type)
{
	ck_assert_msg(get(ARCH_FROM + n) == from && get(ARCH_TO + n) == to &&
		      (get(ARCH_INFO + n) >> 56) == (from ? 0x10 | type : 0),
		      "%u: %llx to %llx, %llx", n, (unsigned long long)get(ARCH_FROM + n),
		      (unsigned long long)get(ARCH_TO + n), (unsigned long long)get(ARCH_INFO + n));
}

/* call +1Bh; call rax; jne +2; jmp rbx; ud2. Calls lead to RET. */
static void branches_at_code(void)
{
	enter(LONG, 0);
	with_idt();
	POKE(CODE, 0xe8, 0x1b, 0, 0, 0, 0xff, 0xd0, 0x75, 0x02, 0, 0, 0xff, 0xe3);
	POKE(CODE + 0x20, 0xc3);
	POKE(CODE + 0x30, 0x0f, 0x0b);
	c->r[RAX] = CODE + 0x20;
	c->r[RBX] = CODE + 0x30;
	cpu_set_arith(c, 0);
	set(ARCH_DEPTH, 32);
}

START_TEST(arch_records)
{
	u32 leaf[4];

	cpuid(c, 0x1c, 0, leaf);
	ck_assert_uint_eq(leaf[0], 15);
	ck_assert_uint_eq(leaf[1], 7);
	ck_assert_uint_eq(leaf[2], 7);
	branches_at_code();
	set(ARCH_CTL, CTL_ALL);
	run(7);
	arch_branch(0, CODE + 0x30, handler_of(VEC_UD), OTHER);
	arch_branch(1, CODE + 11, CODE + 0x30, 1);
	arch_branch(2, CODE + 7, CODE + 11, 0);
	arch_branch(3, CODE + 0x20, CODE + 7, 5);
	arch_branch(4, CODE + 5, CODE + 0x20, 3);
	arch_branch(5, CODE + 0x20, CODE + 5, 5);
	arch_branch(6, CODE, CODE + 0x20, 4);
	arch_branch(7, 0, 0, 0);
	/* each kind alone */
	for (unsigned kind = 16; kind <= 22; kind++) {
		static const u8 counts[] = { 1, 0, 1, 1, 1, 2, 1 };
		unsigned n = 0;

		branches_at_code();
		set(ARCH_CTL, 7 | 1 << kind);
		run(7);
		while (get(ARCH_FROM + n))
			n++;
		ck_assert_uint_eq(n, counts[kind - 16]);
	}
	/* no branches of this CPL */
	branches_at_code();
	set(ARCH_CTL, CTL_ALL & ~2);
	run(7);
	arch_branch(0, 0, 0, 0);
	/* calls that have not returned */
	branches_at_code();
	set(ARCH_CTL, 7 | CALL_STACK | 1 << 19 | 1 << 20 | 1 << 21);
	run(1);
	arch_branch(0, CODE, CODE + 0x20, 4);
	run(1);
	arch_branch(0, 0, 0, 0);
	run(1);
	arch_branch(0, CODE + 5, CODE + 0x20, 3);
}
END_TEST

START_TEST(arch_registers)
{
	u64 v;

	enter(LONG, 0);
	ck_assert_uint_eq(get(ARCH_DEPTH), 32);
	for (unsigned depth = 0; depth <= 40; depth++)
		ck_assert(write_msr(c, ARCH_DEPTH, depth) == (depth && depth <= 32 && !(depth & 7)));
	for (unsigned bit = 0; bit < 64; bit++) {
		u64 b = (u64)1 << bit;

		ck_assert(write_msr(c, ARCH_CTL, b) == (bit < 4 || (bit >= 16 && bit <= 22)));
		ck_assert(write_msr(c, ARCH_FROM, b) == (bit < 47));
		ck_assert(write_msr(c, ARCH_INFO, b) == (bit < 16 || (bit >= 56 && bit != 62)));
	}
	set(ARCH_CTL, 0);
	set(ARCH_DEPTH, 8);
	set(ARCH_TO + 7, 1);
	ck_assert(!read_msr(c, ARCH_TO + 8, &v) && !write_msr(c, ARCH_TO + 8, 0));
	set(ARCH_DEPTH, 8);
	ck_assert_uint_eq(get(ARCH_TO + 7), 0);
	/* neither the older registers nor DEBUGCTL.LBR are there; IA32_PERF_CAPABILITIES says so */
	ck_assert(!read_msr(c, LBR_TOS, &v));
	set(DEBUGCTL, 1);
	ck_assert_uint_eq(get(DEBUGCTL), 0);
	ck_assert_uint_eq(get(0x345) & 0x3f, 0x3f);
}
END_TEST

/* Component 15 of XSAVES, in the compacted format. */
START_TEST(arch_component)
{
	u32 leaf[4];

	branches_at_code();
	c->cr4 |= CR4_OSXSAVE;
	set(0xda0, 1 << 15);
	cpuid(c, 13, 15, leaf);
	ck_assert_uint_eq(leaf[0], 40 + 24 * 32);
	ck_assert_uint_eq(leaf[2], 1);
	set(ARCH_DEPTH, 16);
	set(ARCH_CTL, CTL_ALL);
	run(2);
	set(ARCH_CTL, CTL_ALL & ~1);
	memset(ram->host + DATA, 0, 0x600);
	POKE(CODE + 0x40, 0x0f, 0xc7, 0x29, 0x0f, 0xc7, 0x19); /* xsaves [rcx]; xrstors [rcx] */
	c->r[RAX] = 1 << 15, c->r[RDX] = 0, c->r[RCX] = DATA;
	c->r[RIP] = CODE + 0x40;
	settle();
	run(1);
	ck_assert_uint_eq(peek(DATA + 512, 8), 1 << 15);
	ck_assert_uint_eq(peek(DATA + 576, 8), CTL_ALL & ~1);
	ck_assert_uint_eq(peek(DATA + 584, 8), 16);
	ck_assert_uint_eq(peek(DATA + 616, 8), CODE + 0x20);
	ck_assert_uint_eq(peek(DATA + 624, 8), CODE + 5);
	ck_assert_uint_eq(peek(DATA + 640, 8), CODE);
	set(ARCH_DEPTH, 16);
	set(ARCH_CTL, 0);
	run(1);
	ck_assert_uint_eq(get(ARCH_CTL), CTL_ALL & ~1);
	arch_branch(0, CODE + 0x20, CODE + 5, 5);
	arch_branch(1, CODE, CODE + 0x20, 4);
	arch_branch(2, 0, 0, 0);
}
END_TEST

START_TEST(amd)
{
	enum { CTL0 = 0xc0010200 };

	rings();
	set(CTL0, 0xc0 | USER | ON);
	set(CTL0 + 2, 0xc2 | USER | OS | ON);
	set(CTL0 + 4, 0x76 | OS | ON);
	set(CTL0 + 10, 0xc0 | (u64)1 << 40 | USER | OS | ON); /* guests alone, which counts if EFER.SVME is set */
	run(500);
	ck_assert_uint_eq(get(CTL0 + 1), 200);
	ck_assert_uint_eq(get(CTL0 + 3), 300);
	ck_assert_uint_eq(get(CTL0 + 5), 300);
	ck_assert_uint_eq(get(CTL0 + 11), 500);
	set(0xc0000080, c->efer | EFER_SVME);
	run(500);
	ck_assert_uint_eq(get(CTL0 + 11), 500);
	ck_assert_uint_eq(get(0xc0010005), 600); /* PERF_LEGACY_CTR1 */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("performance counters");
	TCase *intel = tcase_create("Intel"), *other = tcase_create("AMD"), *arch = tcase_create("architectural");

	tcase_add_checked_fixture(intel, intel_setup, bare_free);
	tcase_add_test(intel, events);
	tcase_add_test(intel, filters);
	tcase_add_test(intel, faults);
	tcase_add_test(intel, overflows);
	tcase_add_test(intel, registers);
	tcase_add_test(intel, branch_records);
	tcase_add_checked_fixture(other, amd_setup, bare_free);
	tcase_add_test(other, amd);
	tcase_add_checked_fixture(arch, arch_setup, bare_free);
	tcase_add_test(arch, arch_records);
	tcase_add_test(arch, arch_registers);
	tcase_add_test(arch, arch_component);
	suite_add_tcase(s, intel);
	suite_add_tcase(s, arch);
	suite_add_tcase(s, other);
	return bare_run(s);
}
