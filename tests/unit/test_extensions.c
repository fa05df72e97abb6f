/* SPDX-License-Identifier: MIT */
/* Instructions of extensions that have few of them: RAO-INT and CMPccXADD against the manual's pseudo-code with wider
 * integers; the rest by the values and faults that the manual says (SDM vol. 2 and APM vol. 3, each). */
#include "tests/unit/modes.h"
#include "tests/unit/random.h"

static void extensions_setup(void)
{
	bare_new("max,+cldemote,+waitpkg,+enqcmd,+rtm,+hreset,+cmpccxadd,+raoint,+movrs,+wrmsrns,+msrlist,+usermsr,"
		 "+lkgs,+invlpgb,+rdpru,+mcommit,+monitorx", RAM_SIZE);
}

/* One instruction. The vector of its fault; -1: it retired. */
static int step(void)
{
	c->activity = ACTIVITY_RUN;
	c->fault.vector = 0xff;
	settle();
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) == CPU_EXCEPTION ? c->fault.vector : -1;
}
#define RUN_CODE(mode, cpl, ...) (enter(mode, cpl), POKE(CODE, __VA_ARGS__), step())

/* Numbers at the edges more often than chance has them. */
static u64 number(void)
{
	static const u64 some[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
				    ~(u64)0 };

	return rnd() & 1 ? some[rnd() % ARRAY_LEN(some)] + (rnd() & 1) : rnd();
}

START_TEST(remote_atomics)
{
	static const u8 prefixes[] = { 0, 0x66, 0xf2, 0xf3 }; /* AADD, AAND, AOR, AXOR */

	for (unsigned n = 0; n < 4000; n++) {
		unsigned which = rnd() & 3, size = rnd() & 1 ? 8 : 4;
		u64 a = number(), b = number(), mask = size == 8 ? ~(u64)0 : 0xffffffff, want;
		u8 code[8], *p = code;

		enter(LONG, 3);
		if (prefixes[which])
			*p++ = prefixes[which];
		if (size == 8)
			*p++ = 0x48;
		memcpy(p, (u8[]){ 0x0f, 0x38, 0xfc, 0x0b }, 4); /* [rbx], rcx */
		poke(CODE, code, sizeof code);
		poke64(DATA, a);
		c->r[RBX] = DATA;
		c->r[RCX] = b;
		cpu_set_arith(c, FL_C | FL_S);
		ck_assert_int_eq(step(), -1);
		want = which == 0 ? a + b : which == 1 ? a & b : which == 2 ? a | b : a ^ b;
		ck_assert_uint_eq(peek(DATA, 8), (a & ~mask) | (want & mask));
		ck_assert_uint_eq(c->r[RCX], b);
		ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_C | FL_S);
	}
	enter(LONG, 3);
	POKE(CODE, 0x48, 0x0f, 0x38, 0xfc, 0x0b);
	c->r[RBX] = DATA + 4;
	ck_assert_int_eq(step(), VEC_GP);
}
END_TEST

/* The flags of A - B with SIZE bytes, by signed and unsigned numbers of 128 bits. */
static u32 compared(u64 a, u64 b, unsigned size)
{
	unsigned bits = 8 * size, ones = 0;
	u64 mask = size == 8 ? ~(u64)0 : 0xffffffff, r = (a - b) & mask;
	__int128 sa = size == 8 ? (s64)a : (s32)a, sb = size == 8 ? (s64)b : (s32)b, exact = sa - sb;
	__int128 wrapped = size == 8 ? (s64)r : (s32)r;

	for (unsigned i = 0; i < 8; i++)
		ones += r >> i & 1;
	return ((a & mask) < (b & mask) ? FL_C : 0) | (exact != wrapped ? FL_O : 0) | (r ? 0 : FL_Z) |
	       (r >> (bits - 1) & 1 ? FL_S : 0) | (ones & 1 ? 0 : FL_P) | ((a & 15) < (b & 15) ? FL_A : 0);
}

static bool holds(unsigned cc, u32 f)
{
	bool carry = f & FL_C, zero = f & FL_Z, less = !(f & FL_S) != !(f & FL_O);
	bool all[] = { f & FL_O, carry, zero, carry || zero, f & FL_S, f & FL_P, less, less || zero };

	return all[cc >> 1] != (cc & 1);
}

START_TEST(compare_and_add)
{
	for (unsigned n = 0; n < 8000; n++) {
		unsigned cc = rnd() & 15, size = rnd() & 1 ? 8 : 4;
		u64 a = number(), b = rnd() & 3 ? number() : a, add = number(), mask = size == 8 ? ~(u64)0 : 0xffffffff;
		u32 flags = compared(a, b, size);
		u64 want = holds(cc, flags) ? a + add : a;

		enter(LONG, 3);
		POKE(CODE, 0xc4, 0xe2, (u8)((size == 8) << 7 | (~RDX & 15) << 3 | 1), (u8)(0xe0 | cc), 0x0b);
		poke64(DATA, a);
		c->r[RBX] = DATA;
		c->r[RCX] = b;
		c->r[RDX] = add;
		ck_assert_int_eq(step(), -1);
		ck_assert_uint_eq(peek(DATA, 8), (a & ~mask) | (want & mask));
		ck_assert_uint_eq(c->r[RCX], a & mask);
		ck_assert_uint_eq(cpu_flags(c) & OSZAPC, flags);
	}
	enter(LONG, 3);
	POKE(CODE, 0xc4, 0xe2, 0x69, 0xe0, 0x0b);
	c->r[RBX] = DATA + 2;
	ck_assert_int_eq(step(), VEC_GP);
	ck_assert_int_eq(RUN_CODE(P32, 0, 0xc4, 0xe2, 0x69, 0xe0, 0x0b), VEC_UD);
}
END_TEST

/* Transactions abort: EAX is 0, and the fallback goes on. */
START_TEST(transactions)
{
	enter(LONG, 3);
	POKE(CODE, 0xc7, 0xf8, 0x10, 0, 0, 0);
	c->r[RAX] = 0x123456789;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->r[RIP], CODE + 0x16);
	ck_assert_uint_eq(c->r[RAX], 0);
	enter(P16, 0);
	POKE(CODE, 0xc7, 0xf8, 0xf0, 0xff);
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->r[RIP], CODE + 4 - 0x10);
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0x0f, 0x01, 0xd5), VEC_GP); /* XEND */
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0xc6, 0xf8, 0x05), -1);     /* XABORT */
	enter(LONG, 3);
	POKE(CODE, 0x0f, 0x01, 0xd6); /* XTEST */
	cpu_set_arith(c, OSZAPC & ~FL_Z);
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_Z);
}
END_TEST

START_TEST(waits)
{
	enter(LONG, 3);
	POKE(CODE, 0xf3, 0x0f, 0xae, 0xf3); /* umonitor rbx */
	c->r[RBX] = DATA;
	ck_assert_int_eq(step(), -1);
	ck_assert(c->monitor_armed);
	ck_assert_uint_eq(c->monitor_phys, DATA);
	enter(LONG, 3);
	POKE(CODE, 0x66, 0x0f, 0xae, 0xf3); /* tpause ebx */
	cpu_set_arith(c, OSZAPC);
	c->r[RBX] = 1;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, 0);
	enter(LONG, 3);
	POKE(CODE, 0xf2, 0x0f, 0xae, 0xf3); /* umwait ebx */
	c->r[RBX] = 2;
	ck_assert_int_eq(step(), VEC_GP);
	enter(LONG, 3);
	c->cr4 |= CR4_TSD;
	POKE(CODE, 0xf2, 0x0f, 0xae, 0xf3);
	ck_assert_int_eq(step(), VEC_GP);
	enter(LONG, 3);
	POKE(CODE, 0x0f, 0x01, 0xfa); /* monitorx */
	c->r[RAX] = DATA + 0x40;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->monitor_phys, DATA + 0x40);
	enter(LONG, 3);
	POKE(CODE, 0x0f, 0x01, 0xfb); /* mwaitx */
	c->r[RCX] = 4;
	ck_assert_int_eq(step(), VEC_GP);
}
END_TEST

START_TEST(register_lists)
{
	enter(LONG, 0);
	POKE(CODE, 0xf3, 0x0f, 0x01, 0xc6, 0xf2, 0x0f, 0x01, 0xc6); /* wrmsrlist, rdmsrlist */
	c->r[RSI] = DATA;
	c->r[RDI] = DATA + 0x200;
	c->r[RCX] = 1 | (u64)1 << 63;
	poke64(DATA, 0xc0000103);          /* IA32_TSC_AUX */
	poke64(DATA + 8 * 63, 0xc0000081); /* IA32_STAR */
	poke64(DATA + 0x200, 0x55);
	poke64(DATA + 0x200 + 8 * 63, 0x123456789abcdef);
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->tsc_aux, 0x55);
	ck_assert_uint_eq(c->star, 0x123456789abcdef);
	ck_assert_uint_eq(c->r[RCX], 0);
	poke64(DATA + 8, 0x12345); /* there is none */
	c->r[RCX] = 3;
	c->tsc_aux = 0x66;
	ck_assert_int_eq(step(), VEC_GP);
	ck_assert_uint_eq(c->r[RCX], 2);
	ck_assert_uint_eq(peek(DATA + 0x200, 8), 0x66);
	c->r[RSI]++;
	ck_assert_int_eq(step(), VEC_GP);
	enter(LONG, 0);
	POKE(CODE, 0x0f, 0x01, 0xc6); /* wrmsrns */
	c->r[RCX] = 0xc0000103;
	c->r[RAX] = 0x77;
	c->r[RDX] = 0;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->tsc_aux, 0x77);
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0x0f, 0x01, 0xc6), VEC_GP);
}
END_TEST

START_TEST(user_registers)
{
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0xf2, 0x0f, 0x38, 0xf8, 0xcb), VEC_UD); /* urdmsr rbx, rcx: not enabled */
	for (unsigned allowed = 0; allowed < 2; allowed++) {
		enter(LONG, 3);
		POKE(CODE, 0xf2, 0x0f, 0x38, 0xf8, 0xcb);
		c->user_msr_ctl = DATA | 1;
		c->sysenter_eip = 0x1234567890;
		poke8(DATA + 0x176 / 8, (u8)(allowed << (0x176 & 7)));
		c->r[RCX] = 0x176;
		ck_assert_int_eq(step(), allowed ? -1 : VEC_GP);
		ck_assert_uint_eq(c->r[RBX], allowed ? 0x1234567890 : 0);
	}
	c->r[RIP] = CODE;
	c->r[RCX] = 0x4000;
	ck_assert_int_eq(step(), VEC_GP);
}
END_TEST

START_TEST(kernel_gs)
{
	enter(LONG, 0);
	POKE(CODE, 0xf2, 0x0f, 0x00, 0xf3); /* lkgs ebx */
	set_descriptor(SLOT, descriptor(0x12345678, 0xffff, 0xf3, 0xc));
	c->seg[GS].base = 0x1000;
	c->r[RBX] = SLOT | 3;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->seg[GS].base, 0x1000);
	ck_assert_uint_eq(c->kernel_gs_base, 0x12345678);
	ck_assert_uint_eq(c->seg[GS].sel, SLOT | 3);
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0xf2, 0x0f, 0x00, 0xf3), VEC_GP);
	ck_assert_int_eq(RUN_CODE(P32, 0, 0xf2, 0x0f, 0x00, 0xf3), VEC_UD);
}
END_TEST

/* No device has a queue: "retry" is ZF. */
START_TEST(enqueue)
{
	for (unsigned supervisor = 0; supervisor < 2; supervisor++) {
		for (unsigned k = 0; k < 5; k++) {
			enter(LONG, supervisor ? 0 : 3);
			POKE(CODE, supervisor ? 0xf3 : 0xf2, 0x0f, 0x38, 0xf8, 0x0b); /* rcx, [rbx] */
			c->pasid = k == 1 ? 5 : 0x80000005;
			c->r[RBX] = DATA;
			c->r[RCX] = DATA + 0x100 + (k == 2 ? 8 : 0);
			poke32(DATA, k == 3 ? 0x00100000 : k == 4 ? 0x80000000 : 0);
			cpu_set_arith(c, FL_C);
			ck_assert_int_eq(step(), k == 2 || k == 3 || (!supervisor && (k == 1 || k == 4)) ? VEC_GP : -1);
			if (!k)
				ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_Z);
		}
	}
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0xf3, 0x0f, 0x38, 0xf8, 0x0b), VEC_GP);
}
END_TEST

START_TEST(caches_and_counters)
{
	enter(LONG, 0);
	POKE(CODE, 0x0f, 0x01, 0xfe, 0x0f, 0x01, 0xff); /* invlpgb, tlbsync */
	c->r[RCX] = 7;
	ck_assert_int_eq(step(), -1);
	ck_assert_int_eq(step(), -1);
	c->r[RIP] = CODE;
	c->r[RCX] = 8;
	ck_assert_int_eq(step(), VEC_GP);
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0x0f, 0x01, 0xfe), VEC_GP);
	ck_assert_int_eq(RUN_CODE(LONG, 3, 0xf3, 0x0f, 0x01, 0xfa), VEC_UD); /* mcommit */
	c->efer |= EFER_MCOMMIT;
	cpu_set_arith(c, OSZAPC);
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, OSZAPC & ~FL_C);
	enter(LONG, 3);
	POKE(CODE, 0x0f, 0x01, 0xfd); /* rdpru */
	c->r[RAX] = c->r[RDX] = 5;
	c->r[RCX] = 2;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->r[RAX] | c->r[RDX], 0);
	enter(LONG, 0);
	POKE(CODE, 0xf3, 0x0f, 0x3a, 0xf0, 0xc0, 0); /* hreset */
	c->r[RAX] = 1;
	ck_assert_int_eq(step(), VEC_GP);
	c->hreset_enable = 1;
	ck_assert_int_eq(step(), -1);
	enter(LONG, 3);
	POKE(CODE, 0x0f, 0x38, 0x8a, 0x0b, 0x48, 0x0f, 0x38, 0x8b, 0x0b); /* movrs cl, [rbx]; movrs rcx, [rbx] */
	poke64(DATA, 0x1122334455667788);
	c->r[RBX] = DATA;
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->r[RCX], 0x88);
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->r[RCX], 0x1122334455667788);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("extensions");
	TCase *tc = tcase_create("instructions");

	tcase_add_checked_fixture(tc, extensions_setup, bare_free);
	tcase_add_test(tc, remote_atomics);
	tcase_add_test(tc, compare_and_add);
	tcase_add_test(tc, transactions);
	tcase_add_test(tc, waits);
	tcase_add_test(tc, register_lists);
	tcase_add_test(tc, user_registers);
	tcase_add_test(tc, kernel_gs);
	tcase_add_test(tc, enqueue);
	tcase_add_test(tc, caches_and_counters);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
