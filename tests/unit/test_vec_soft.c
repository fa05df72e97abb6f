/* SPDX-License-Identifier: MIT */
/* Floating point in integers, as hosts without SSE use it, against the host's SSE: every operation, rounding, DAZ, FTZ,
 * and the flags. */
#define VCPU_SOFT_FP 1
#include "cpu/insn/vector/vec_soft.c"
#include <check.h>
#include <stdlib.h>

#ifdef __x86_64__

static u64 seed = 1;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

/* Numbers near each other, near 1, near the ends of the range, and special ones, for both widths. */
static u64 number(void)
{
	static const u64 edges[] = {
		0, 1, 0x3f8000003f800000, 0x3ff0000000000000, 0x7f8000007f800000, 0x7ff0000000000000,
			0x7f7fffff7f7fffff, 0x7fefffffffffffff,
		0x0080000000800000, 0x0010000000000000, 0x007fffff007fffff, 0x000fffffffffffff, 0x7fc000017f800001,
		0x7ff8000000000001,
		0x7ff0000000000001, 0x41e00000cf000000, 0x41dfffffffc00000, 0x43e000005f000000, 0x47efffffefffffff,
		0x380fffffffffffff,
	};
	u64 v = edges[rnd() % ARRAY_LEN(edges)];

	switch (rnd() % 4) {
	case 0: return v ^ (rnd() & 0x8000000080000000);
	case 1: return v + rnd() % 5 - 2;
	case 2: return rnd();
	default: return (0x3f8 + rnd() % 16) << 52 | (u64)(0x7c + rnd() % 8) << 23 | (rnd() & 0x800fffff807fffff);
	}
}

static u32 leave_mxcsr(u32 v)
{
	u32 flags;

	__asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(flags) : "m"(v));
	return flags;
}

/* NATIVE(a, b) under MXCSR V; *V gets the flags. */
#define NATIVE(name) \
	static vec native_##name(vec a, vec b, u32 *v) \
	{ \
		u32 old, now = *v; \
		__asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" #name " %3, %0" : "+x"(a), "=m"(old) : "m"(now), \
			"x"(b)); \
		*v = leave_mxcsr(old); \
		return a; \
	}
#define ALL(X) \
	X(addps) X(addpd) X(addss) X(addsd) X(subps) X(subpd) X(subss) X(subsd) X(mulps) X(mulpd) X(mulss) X(mulsd) X(divps) X(divpd) X(divss) X(divsd) \
	X(minps) X(minpd) X(minss) X(minsd) X(maxps) X(maxpd) X(maxss) X(maxsd) X(sqrtps) X(sqrtpd) X(sqrtss) X(sqrtsd) X(cvtps2pd) X(cvtpd2ps) \
	X(cvtss2sd) X(cvtsd2ss) X(cvtdq2ps) X(cvtps2dq) X(cvttps2dq) X(cvtpd2dq) X(cvttpd2dq)
ALL(NATIVE)

#define CMP(name, predicate) \
	static vec native_##name##predicate(vec a, vec b, u32 *v) \
	{ \
		u32 old, now = *v; \
		__asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" #name " $" #predicate ", %3, %0" : "+x"(a), "=m"(old) \
			: "m"(now), "x"(b)); \
		*v = leave_mxcsr(old); \
		return a; \
	} \
	static vec soft_##name##predicate(struct cpu *c, vec a, vec b) { return vec_##name(c, a, b, predicate); }
#define ALL_CMP(X) \
	X(cmpps, 0) X(cmpps, 1) X(cmpps, 2) X(cmpps, 3) X(cmpps, 4) X(cmpps, 5) X(cmpps, 6) X(cmpps, 7) \
	X(cmpsd, 0) X(cmpsd, 1) X(cmpsd, 2) X(cmpsd, 3) X(cmpsd, 4) X(cmpsd, 5) X(cmpsd, 6) X(cmpsd, 7)
ALL_CMP(CMP)

/* Into a general register: shown as the low half of a vector. */
#define INT(name, insn, type) \
	static vec native_##name(vec a, vec b, u32 *v) \
	{ \
		u32 old, now = *v; \
		type r; \
		__asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" #insn " %3, %0" : "=r"(r), "=m"(old) : "m"(now), \
			"x"(b)); \
		*v = leave_mxcsr(old); \
		return (vec){ r, a[1] }; \
	} \
	static vec soft_##name(struct cpu *c, vec a, vec b) { return (vec){ vec_##name(c, b), a[1] }; }
#define FROM(name, insn, type) \
	static vec native_##name(vec a, vec b, u32 *v) \
	{ \
		u32 old, now = *v; \
		__asm__ volatile("stmxcsr %1\n\tldmxcsr %2\n\t" #insn " %3, %0" : "+x"(a), "=m"(old) : "m"(now), \
			"r"((type)b[0])); \
		*v = leave_mxcsr(old); \
		return a; \
	} \
	static vec soft_##name(struct cpu *c, vec a, vec b) { return vec_##name(c, a, (type)b[0]); }
#define ALL_INT(X) \
	X(cvtss2si32, cvtss2si, u32) X(cvttss2si32, cvttss2si, u32) X(cvtsd2si32, cvtsd2si, u32) X(cvttsd2si32, \
		cvttsd2si, u32) \
	X(cvtss2si64, cvtss2si, u64) X(cvttss2si64, cvttss2si, u64) X(cvtsd2si64, cvtsd2si, u64) X(cvttsd2si64, \
		cvttsd2si, u64)
#define ALL_FROM(X) \
	X(cvtsi2ss32, cvtsi2ssl, u32) X(cvtsi2sd32, cvtsi2sdl, u32) X(cvtsi2ss64, cvtsi2ssq, u64) X(cvtsi2sd64, \
		cvtsi2sdq, u64)
ALL_INT(INT)
ALL_FROM(FROM)

typedef vec fp_soft_fn(struct cpu *c, vec a, vec b);
static const struct { const char *name; fp_soft_fn *soft; vec (*native)(vec a, vec b, u32 *v); } pairs[] = {
#define PAIR(name) { #name, vec_##name, native_##name },
#define PAIR_CMP(name, predicate) { #name #predicate, soft_##name##predicate, native_##name##predicate },
#define PAIR_INT(name, insn, type) { #name, soft_##name, native_##name },
	ALL(PAIR) ALL_CMP(PAIR_CMP) ALL_INT(PAIR_INT) ALL_FROM(PAIR_INT)
};

START_TEST(against_silicon)
{
	struct cpu *c = calloc(1, sizeof *c);

	ck_assert_ptr_nonnull(c);
	for (unsigned n = 0; n < 20000; n++) {
		vec a = { number(), number() }, b = { number(), number() }, soft, native;
		u32 mxcsr = 0x1f80 | (rnd() & 0xe040);

		for (unsigned i = 0; i < ARRAY_LEN(pairs); i++) {
			u32 flags = mxcsr;

			c->soft_mxcsr = mxcsr;
			soft = pairs[i].soft(c, a, b);
			native = pairs[i].native(a, b, &flags);
			ck_assert_msg(soft[0] == native[0] && soft[1] == native[1] && c->soft_mxcsr == flags,
				      "%s %016lx%016lx, %016lx%016lx, MXCSR %x: %016lx%016lx, %x; silicon %016lx%016lx, %x", pairs[i].name, (long)a[1],
				      (long)a[0], (long)b[1], (long)b[0], mxcsr, (long)soft[1], (long)soft[0],
				      c->soft_mxcsr, (long)native[1],
				      (long)native[0], flags);
		}
	}
	free(c);
}
END_TEST

START_TEST(comparisons)
{
	/* SDM vol. 2, UCOMISD: ZF PF CF. */
	static const struct { u64 a, b; u8 zf, pf, cf; bool ucomis_invalid, comis_invalid; } cases[] = {
		{ 0x3ff0000000000000, 0, 0, 0, 0, false, false }, { 0, 0x3ff0000000000000, 0, 0, 1, false, false },
			{ 0, (u64)1 << 63, 1, 0, 0, false, false },
		{ 0x7ff8000000000000, 0, 1, 1, 1, false, true }, { 0, 0x7ff0000000000001, 1, 1, 1, true, true },
	};
	struct cpu *c = calloc(1, sizeof *c);

	ck_assert_ptr_nonnull(c);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		for (int comis = 0; comis < 2; comis++) {
			u8 zf, pf, cf;

			c->soft_mxcsr = 0x1f80;
			(comis ? vec_comisd : vec_ucomisd)(c, (vec){ cases[i].a, 0 }, (vec){ cases[i].b, 0 }, &zf, &pf,
				&cf);
			ck_assert_int_eq(zf, cases[i].zf);
			ck_assert_int_eq(pf, cases[i].pf);
			ck_assert_int_eq(cf, cases[i].cf);
			ck_assert_int_eq(c->soft_mxcsr & 1, comis ? cases[i].comis_invalid : cases[i].ucomis_invalid);
		}
	free(c);
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("vec_soft");
	TCase *t = tcase_create("vec_soft");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
#ifdef __x86_64__
	tcase_add_test(t, against_silicon);
	tcase_add_test(t, comparisons);
#endif
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
