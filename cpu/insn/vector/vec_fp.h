/* SPDX-License-Identifier: MIT */
/* Floating point on vectors (SDM vol. 1, chapter 11; vol. 1, 4.8 and appendix E).
 *
 * IEEE 754 leaves one thing open that programs can see: which NaN survives when both operands are. SSE says: A, the
 * first operand, made quiet; else B. MIN and MAX return B. A compiler may exchange the operands of + and *, so on x86
 * hosts the instruction itself is written. Rounding, DAZ, FTZ and the flags are the host's MXCSR, which mxcsr.h makes
 * the guest's. Other hosts (and builds with VCPU_SOFT_FP) compute with integers, and c->soft_mxcsr stands for the
 * host's. */
#ifndef CPU_VEC_FP_H
#define CPU_VEC_FP_H

#include "cpu/insn/vector/vec.h"

#if defined __x86_64__ && !defined VCPU_SOFT_FP

#define VEC_FP(name) \
	ALWAYS_INLINE vec vec_##name(struct cpu *c, vec a, vec b) \
	{ \
		(void)c; \
		__asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b)); \
		return a; \
	}

VEC_FP(addps) VEC_FP(addpd) VEC_FP(addss) VEC_FP(addsd)
VEC_FP(subps) VEC_FP(subpd) VEC_FP(subss) VEC_FP(subsd)
VEC_FP(mulps) VEC_FP(mulpd) VEC_FP(mulss) VEC_FP(mulsd)
VEC_FP(divps) VEC_FP(divpd) VEC_FP(divss) VEC_FP(divsd)
VEC_FP(minps) VEC_FP(minpd) VEC_FP(minss) VEC_FP(minsd)
VEC_FP(maxps) VEC_FP(maxpd) VEC_FP(maxss) VEC_FP(maxsd)
/* These have one operand; the scalar ones keep A's other lanes. */
VEC_FP(sqrtps) VEC_FP(sqrtpd) VEC_FP(sqrtss) VEC_FP(sqrtsd)
VEC_FP(cvtps2pd) VEC_FP(cvtpd2ps) VEC_FP(cvtss2sd) VEC_FP(cvtsd2ss)
VEC_FP(cvtdq2ps) VEC_FP(cvtps2dq) VEC_FP(cvttps2dq) VEC_FP(cvtpd2dq) VEC_FP(cvttpd2dq)
#undef VEC_FP

/* Comparison by predicate 0-7: EQ LT LE UNORD NEQ NLT NLE ORD (SDM vol. 2, CMPPD, table 3-1). */
#define VEC_CMP(name) \
	ALWAYS_INLINE vec vec_##name(struct cpu *c, vec a, vec b, u8 predicate) \
	{ \
		(void)c; \
		switch (predicate & 7) { \
		case 0: __asm__ volatile(#name " $0, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 1: __asm__ volatile(#name " $1, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 2: __asm__ volatile(#name " $2, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 3: __asm__ volatile(#name " $3, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 4: __asm__ volatile(#name " $4, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 5: __asm__ volatile(#name " $5, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 6: __asm__ volatile(#name " $6, %1, %0" : "+x"(a) : "x"(b)); break; \
		case 7: __asm__ volatile(#name " $7, %1, %0" : "+x"(a) : "x"(b)); break; \
		} \
		return a; \
	}
VEC_CMP(cmpps) VEC_CMP(cmppd) VEC_CMP(cmpss) VEC_CMP(cmpsd)
#undef VEC_CMP

/* Scalar comparison into flags. (SETcc is written out: clang 19 uses flag outputs after it has overwritten the flags.)
 * */
#define VEC_COMPARE(name) \
	ALWAYS_INLINE void vec_##name(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf) \
	{ \
		(void)c; \
		__asm__ volatile(#name " %4, %3\n\tsete %0\n\tsetp %1\n\tsetc %2" : "=q"(*zf), "=q"(*pf), "=q"(*cf) \
			: "x"(a), "x"(b) : "cc"); \
	}
VEC_COMPARE(ucomiss) VEC_COMPARE(ucomisd) VEC_COMPARE(comiss) VEC_COMPARE(comisd)
#undef VEC_COMPARE

/* Numbers to integers; out of range gives the integer indefinite, 8000..h. */
#define VEC_TO_INT(name, insn, type) \
	ALWAYS_INLINE type vec_##name(struct cpu *c, vec b) \
	{ \
		(void)c; \
		type r; \
		__asm__ volatile(insn " %1, %0" : "=r"(r) : "x"(b)); \
		return r; \
	}
VEC_TO_INT(cvtss2si32, "cvtss2si", u32) VEC_TO_INT(cvttss2si32, "cvttss2si", u32)
VEC_TO_INT(cvtsd2si32, "cvtsd2si", u32) VEC_TO_INT(cvttsd2si32, "cvttsd2si", u32)
VEC_TO_INT(cvtss2si64, "cvtss2si", u64) VEC_TO_INT(cvttss2si64, "cvttss2si", u64)
VEC_TO_INT(cvtsd2si64, "cvtsd2si", u64) VEC_TO_INT(cvttsd2si64, "cvttsd2si", u64)
#undef VEC_TO_INT

/* Integers to numbers, into the low lane of A. */
#define VEC_FROM_INT(name, insn, type) \
	ALWAYS_INLINE vec vec_##name(struct cpu *c, vec a, type v) \
	{ \
		(void)c; \
		__asm__ volatile(insn " %1, %0" : "+x"(a) : "r"(v)); \
		return a; \
	}
VEC_FROM_INT(cvtsi2ss32, "cvtsi2ssl", u32) VEC_FROM_INT(cvtsi2sd32, "cvtsi2sdl", u32)
VEC_FROM_INT(cvtsi2ss64, "cvtsi2ssq", u64) VEC_FROM_INT(cvtsi2sd64, "cvtsi2sdq", u64)
#undef VEC_FROM_INT

static inline void host_set_mxcsr(struct cpu *c, u32 v) { (void)c; __asm__ volatile("ldmxcsr %0" : : "m"(v)); }
static inline u32 host_mxcsr(const struct cpu *c) { u32 v; (void)c; __asm__ volatile("stmxcsr %0" : "=m"(v)); return v;
	}

#else /* vec_soft.c */

typedef vec fp_soft_fn(struct cpu *c, vec a, vec b);
typedef vec fp_soft_cmp_fn(struct cpu *c, vec a, vec b, u8 predicate);
typedef void fp_soft_compare_fn(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf);
fp_soft_fn vec_addps, vec_addpd, vec_addss, vec_addsd, vec_subps, vec_subpd, vec_subss, vec_subsd, vec_mulps, vec_mulpd,
	vec_mulss, vec_mulsd,
	vec_divps, vec_divpd, vec_divss, vec_divsd, vec_minps, vec_minpd, vec_minss, vec_minsd, vec_maxps, vec_maxpd,
	vec_maxss, vec_maxsd,
	vec_sqrtps, vec_sqrtpd, vec_sqrtss, vec_sqrtsd, vec_cvtps2pd, vec_cvtpd2ps, vec_cvtss2sd, vec_cvtsd2ss,
	vec_cvtdq2ps, vec_cvtps2dq,
	vec_cvttps2dq, vec_cvtpd2dq, vec_cvttpd2dq;
fp_soft_cmp_fn vec_cmpps, vec_cmppd, vec_cmpss, vec_cmpsd;
fp_soft_compare_fn vec_ucomiss, vec_ucomisd, vec_comiss, vec_comisd;
u32 vec_cvtss2si32(struct cpu *c, vec b), vec_cvttss2si32(struct cpu *c, vec b), vec_cvtsd2si32(struct cpu *c, vec b),
	vec_cvttsd2si32(struct cpu *c, vec b);
u64 vec_cvtss2si64(struct cpu *c, vec b), vec_cvttss2si64(struct cpu *c, vec b), vec_cvtsd2si64(struct cpu *c, vec b),
	vec_cvttsd2si64(struct cpu *c, vec b);
vec vec_cvtsi2ss32(struct cpu *c, vec a, u32 v), vec_cvtsi2sd32(struct cpu *c, vec a, u32 v);
vec vec_cvtsi2ss64(struct cpu *c, vec a, u64 v), vec_cvtsi2sd64(struct cpu *c, vec a, u64 v);

static inline void host_set_mxcsr(struct cpu *c, u32 v) { c->soft_mxcsr = v; }
static inline u32 host_mxcsr(const struct cpu *c) { return c->soft_mxcsr; }

#endif

/* Integers of 32 and 64 bits, of which the operand is the low half or all. */
typedef vec from_int_fn(struct cpu *c, vec a, u64 v);
ALWAYS_INLINE vec from32_ss(struct cpu *c, vec a, u64 v) { return vec_cvtsi2ss32(c, a, (u32)v); }
ALWAYS_INLINE vec from64_ss(struct cpu *c, vec a, u64 v) { return vec_cvtsi2ss64(c, a, v); }
ALWAYS_INLINE vec from32_sd(struct cpu *c, vec a, u64 v) { return vec_cvtsi2sd32(c, a, (u32)v); }
ALWAYS_INLINE vec from64_sd(struct cpu *c, vec a, u64 v) { return vec_cvtsi2sd64(c, a, v); }

/* Integers in the low half of B to doubles: always exact. */
static inline vec vec_cvtdq2pd(vec a, vec b)
{
	union xmm y = vec_lanes(b);

	(void)a;
	return vec_of((union xmm){ .g = { (s32)y.d[0], (s32)y.d[1] } });
}

/* Neighbours apart: what horizontal operations work on. */
ALWAYS_INLINE vec vec_even32(vec a, vec b) { return (vec)__builtin_shufflevector((vu32)a, (vu32)b, 0, 2, 4, 6); }
ALWAYS_INLINE vec vec_odd32(vec a, vec b) { return (vec)__builtin_shufflevector((vu32)a, (vu32)b, 1, 3, 5, 7); }
ALWAYS_INLINE vec vec_even64(vec a, vec b) { return (vec){ a[0], b[0] }; }
ALWAYS_INLINE vec vec_odd64(vec a, vec b) { return (vec){ a[1], b[1] }; }

/* ---- approximations ----
 *
 * Ours, the same on every host: no flags, no rounding modes, denormals are zeros. Architecturally |relative error| <=
 * 1.5 * 2^-12.
 *
 * RCP: the fraction is cut to its 11 high bits; in the middle of that interval stands 1 + (k + 1/2) / 2048 = N / 4096,
 * N = 4097 + 2k. An operand is at most 2^-12 of it away, so 2^36 / N, a 24-bit fraction of the reciprocal, is at most
 * 2^-12 (1 + 2^-11) off. */
static inline u32 approximate_rcp(u32 x)
{
	u32 sign = x & 0x80000000, exp = x >> 23 & 0xff, frac = x & 0x7fffff;
	u32 q;

	if (exp == 0xff)
		return frac ? x | 0x400000 : sign;
	if (exp == 0)
		return sign | 0x7f800000;
	if (exp >= 253) /* 2^126 and up: the reciprocal would be denormal */
		return sign;
	q = (u32)(((u64)1 << 36) / (4097 + 2 * (frac >> 12)));
	return sign | (253 - exp) << 23 | (q & 0x7fffff);
}

/* RSQRT: the same cut, N / 4096 now in [1, 4) with the exponent's odd bit: 2^24 / sqrt(N / 4096) = sqrt(2^60 / N), off
 * by half of the operand's 2^-12. */
static inline u32 approximate_rsqrt(u32 x)
{
	u32 sign = x & 0x80000000, exp = x >> 23 & 0xff, frac = x & 0x7fffff;
	u64 square, root = 0;
	bool odd = !(exp & 1); /* the bias is odd */

	if (exp == 0xff && frac)
		return x | 0x400000;
	if (exp == 0)
		return sign | 0x7f800000;
	if (sign)
		return 0xffc00000; /* the default NaN */
	if (exp == 0xff)
		return 0;
	square = ((u64)1 << 60) / ((u64)(4097 + 2 * (frac >> 12)) << odd);
	for (u64 bit = (u64)1 << 24; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= square)
			root |= bit;
	return (126 + 127 - (exp - 127 - odd + 254) / 2) << 23 | (u32)(root & 0x7fffff);
}

/* The lanes of B approximated; the scalar ones keep A's other lanes. */
static inline vec vec_rcpss(vec a, vec b) { return vec_merge32(a, (vec){ approximate_rcp((u32)b[0]), 0 }); }
static inline vec vec_rsqrtss(vec a, vec b) { return vec_merge32(a, (vec){ approximate_rsqrt((u32)b[0]), 0 }); }

static inline vec vec_rcpps(vec a, vec b)
{
	union xmm y = vec_lanes(b);

	(void)a;
	for (int i = 0; i < 4; i++)
		y.d[i] = approximate_rcp(y.d[i]);
	return vec_of(y);
}

static inline vec vec_rsqrtps(vec a, vec b)
{
	union xmm y = vec_lanes(b);

	(void)a;
	for (int i = 0; i < 4; i++)
		y.d[i] = approximate_rsqrt(y.d[i]);
	return vec_of(y);
}

#endif
