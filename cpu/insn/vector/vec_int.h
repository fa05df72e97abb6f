/* SPDX-License-Identifier: MIT */
/* Integer arithmetic on vectors: PADDx to PHMINPOSUW (SDM vol. 2, at each). */
#ifndef CPU_VEC_INT_H
#define CPU_VEC_INT_H

#include "cpu/insn/vector/vec.h"

/* ---- logic ---- */

ALWAYS_INLINE vec vec_and(vec a, vec b) { return a & b; }
ALWAYS_INLINE vec vec_andn(vec a, vec b) { return ~a & b; }
ALWAYS_INLINE vec vec_or(vec a, vec b) { return a | b; }
ALWAYS_INLINE vec vec_xor(vec a, vec b) { return a ^ b; }

/* ---- sums and differences ---- */

ALWAYS_INLINE vec vec_paddb(vec a, vec b) { return (vec)((vu8)a + (vu8)b); }
ALWAYS_INLINE vec vec_paddw(vec a, vec b) { return (vec)((vu16)a + (vu16)b); }
ALWAYS_INLINE vec vec_paddd(vec a, vec b) { return (vec)((vu32)a + (vu32)b); }
ALWAYS_INLINE vec vec_paddq(vec a, vec b) { return a + b; }
ALWAYS_INLINE vec vec_psubb(vec a, vec b) { return (vec)((vu8)a - (vu8)b); }
ALWAYS_INLINE vec vec_psubw(vec a, vec b) { return (vec)((vu16)a - (vu16)b); }
ALWAYS_INLINE vec vec_psubd(vec a, vec b) { return (vec)((vu32)a - (vu32)b); }
ALWAYS_INLINE vec vec_psubq(vec a, vec b) { return a - b; }

/* Unsigned saturation: a sum that wrapped is smaller than its operand. */
ALWAYS_INLINE vec vec_paddusb(vec a, vec b) { vu8 r = (vu8)a + (vu8)b; return (vec)r | (vec)(r < (vu8)a); }
ALWAYS_INLINE vec vec_paddusw(vec a, vec b) { vu16 r = (vu16)a + (vu16)b; return (vec)r | (vec)(r < (vu16)a); }
ALWAYS_INLINE vec vec_psubusb(vec a, vec b) { return (vec)((vu8)a - (vu8)b) & (vec)((vu8)a > (vu8)b); }
ALWAYS_INLINE vec vec_psubusw(vec a, vec b) { return (vec)((vu16)a - (vu16)b) & (vec)((vu16)a > (vu16)b); }

/* Signed saturation: where the sign of the result cannot be, the limit that has A's sign. */
ALWAYS_INLINE vec vec_paddsb(vec a, vec b)
{
	vec r = vec_paddb(a, b), over = (vec)((vs8)(~(a ^ b) & (a ^ r)) < 0), limit = (vec)(((vs8)a < 0) ^ 0x7f);

	return vec_select(over, limit, r);
}

ALWAYS_INLINE vec vec_paddsw(vec a, vec b)
{
	vec r = vec_paddw(a, b), over = (vec)((vs16)(~(a ^ b) & (a ^ r)) < 0), limit = (vec)(((vs16)a < 0) ^ 0x7fff);

	return vec_select(over, limit, r);
}

ALWAYS_INLINE vec vec_psubsb(vec a, vec b)
{
	vec r = vec_psubb(a, b), over = (vec)((vs8)((a ^ b) & (a ^ r)) < 0), limit = (vec)(((vs8)a < 0) ^ 0x7f);

	return vec_select(over, limit, r);
}

ALWAYS_INLINE vec vec_psubsw(vec a, vec b)
{
	vec r = vec_psubw(a, b), over = (vec)((vs16)((a ^ b) & (a ^ r)) < 0), limit = (vec)(((vs16)a < 0) ^ 0x7fff);

	return vec_select(over, limit, r);
}

ALWAYS_INLINE s16 saturate16(s32 v) { return (s16)(v < -0x8000 ? -0x8000 : v > 0x7fff ? 0x7fff : v); }

/* Horizontal ones: A's pairs give the low half of the result, B's the high half. */
static inline vec vec_phaddw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++) {
		r.w[i] = (u16)(x.w[2 * i] + x.w[2 * i + 1]);
		r.w[i + 4] = (u16)(y.w[2 * i] + y.w[2 * i + 1]);
	}
	return vec_of(r);
}

static inline vec vec_phaddd(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	return vec_of((union xmm){ .d = { x.d[0] + x.d[1], x.d[2] + x.d[3], y.d[0] + y.d[1], y.d[2] + y.d[3] } });
}

static inline vec vec_phaddsw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++) {
		r.w[i] = (u16)saturate16((s16)x.w[2 * i] + (s16)x.w[2 * i + 1]);
		r.w[i + 4] = (u16)saturate16((s16)y.w[2 * i] + (s16)y.w[2 * i + 1]);
	}
	return vec_of(r);
}

static inline vec vec_phsubw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++) {
		r.w[i] = (u16)(x.w[2 * i] - x.w[2 * i + 1]);
		r.w[i + 4] = (u16)(y.w[2 * i] - y.w[2 * i + 1]);
	}
	return vec_of(r);
}

static inline vec vec_phsubd(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	return vec_of((union xmm){ .d = { x.d[0] - x.d[1], x.d[2] - x.d[3], y.d[0] - y.d[1], y.d[2] - y.d[3] } });
}

static inline vec vec_phsubsw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++) {
		r.w[i] = (u16)saturate16((s16)x.w[2 * i] - (s16)x.w[2 * i + 1]);
		r.w[i + 4] = (u16)saturate16((s16)y.w[2 * i] - (s16)y.w[2 * i + 1]);
	}
	return vec_of(r);
}

/* ---- products ---- */

ALWAYS_INLINE vec vec_pmullw(vec a, vec b) { return (vec)((vu16)a * (vu16)b); }
ALWAYS_INLINE vec vec_pmulld(vec a, vec b) { return (vec)((vu32)a * (vu32)b); }
ALWAYS_INLINE vec vec_pmuludq(vec a, vec b) { return (a & 0xffffffff) * (b & 0xffffffff); }

static inline vec vec_pmuldq(vec a, vec b)
{
	return (vec){ (u64)((s64)(s32)a[0] * (s32)b[0]), (u64)((s64)(s32)a[1] * (s32)b[1]) };
}

static inline vec vec_pmulhw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (int i = 0; i < 8; i++)
		x.w[i] = (u16)((s16)x.w[i] * (s16)y.w[i] >> 16);
	return vec_of(x);
}

static inline vec vec_pmulhuw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (int i = 0; i < 8; i++)
		x.w[i] = (u16)((u32)x.w[i] * y.w[i] >> 16);
	return vec_of(x);
}

static inline vec vec_pmulhrsw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (int i = 0; i < 8; i++)
		x.w[i] = (u16)((((s16)x.w[i] * (s16)y.w[i] >> 14) + 1) >> 1);
	return vec_of(x);
}

static inline vec vec_pmaddwd(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++)
		r.d[i] = (u32)((s16)x.w[2 * i] * (s16)y.w[2 * i]) + (u32)((s16)x.w[2 * i + 1] * (s16)y.w[2 * i + 1]);
	return vec_of(r);
}

static inline vec vec_pmaddubsw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 8; i++)
		r.w[i] = (u16)saturate16(x.b[2 * i] * (s8)y.b[2 * i] + x.b[2 * i + 1] * (s8)y.b[2 * i + 1]);
	return vec_of(r);
}

/* Sums of absolute differences. */
static inline vec vec_psadbw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);
	vec r = { 0, 0 };

	for (int i = 0; i < 16; i++)
		r[i >> 3] += (u64)(x.b[i] > y.b[i] ? x.b[i] - y.b[i] : y.b[i] - x.b[i]);
	return r;
}

/* IMM: bit 2, which of A's two starting bytes (0, 4); bits 1-0, which four bytes of B. */
static inline vec vec_mpsadbw(vec a, vec b, u8 imm)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;
	unsigned from = imm & 4, block = (imm & 3) * 4;

	for (unsigned i = 0; i < 8; i++) {
		unsigned sum = 0;

		for (unsigned j = 0; j < 4; j++) {
			int difference = x.b[from + i + j] - y.b[block + j];

			sum += (unsigned)(difference < 0 ? -difference : difference);
		}
		r.w[i] = (u16)sum;
	}
	return vec_of(r);
}

/* ---- comparisons, extremes, signs ---- */

ALWAYS_INLINE vec vec_pcmpeqb(vec a, vec b) { return (vec)((vu8)a == (vu8)b); }
ALWAYS_INLINE vec vec_pcmpeqw(vec a, vec b) { return (vec)((vu16)a == (vu16)b); }
ALWAYS_INLINE vec vec_pcmpeqd(vec a, vec b) { return (vec)((vu32)a == (vu32)b); }
ALWAYS_INLINE vec vec_pcmpeqq(vec a, vec b) { return (vec)(a == b); }
ALWAYS_INLINE vec vec_pcmpgtb(vec a, vec b) { return (vec)((vs8)a > (vs8)b); }
ALWAYS_INLINE vec vec_pcmpgtw(vec a, vec b) { return (vec)((vs16)a > (vs16)b); }
ALWAYS_INLINE vec vec_pcmpgtd(vec a, vec b) { return (vec)((vs32)a > (vs32)b); }
ALWAYS_INLINE vec vec_pcmpgtq(vec a, vec b) { return (vec)((vs64)a > (vs64)b); }

ALWAYS_INLINE vec vec_pminub(vec a, vec b) { return vec_select((vec)((vu8)a < (vu8)b), a, b); }
ALWAYS_INLINE vec vec_pmaxub(vec a, vec b) { return vec_select((vec)((vu8)a > (vu8)b), a, b); }
ALWAYS_INLINE vec vec_pminsb(vec a, vec b) { return vec_select((vec)((vs8)a < (vs8)b), a, b); }
ALWAYS_INLINE vec vec_pmaxsb(vec a, vec b) { return vec_select((vec)((vs8)a > (vs8)b), a, b); }
ALWAYS_INLINE vec vec_pminuw(vec a, vec b) { return vec_select((vec)((vu16)a < (vu16)b), a, b); }
ALWAYS_INLINE vec vec_pmaxuw(vec a, vec b) { return vec_select((vec)((vu16)a > (vu16)b), a, b); }
ALWAYS_INLINE vec vec_pminsw(vec a, vec b) { return vec_select((vec)((vs16)a < (vs16)b), a, b); }
ALWAYS_INLINE vec vec_pmaxsw(vec a, vec b) { return vec_select((vec)((vs16)a > (vs16)b), a, b); }
ALWAYS_INLINE vec vec_pminud(vec a, vec b) { return vec_select((vec)((vu32)a < (vu32)b), a, b); }
ALWAYS_INLINE vec vec_pmaxud(vec a, vec b) { return vec_select((vec)((vu32)a > (vu32)b), a, b); }
ALWAYS_INLINE vec vec_pminsd(vec a, vec b) { return vec_select((vec)((vs32)a < (vs32)b), a, b); }
ALWAYS_INLINE vec vec_pmaxsd(vec a, vec b) { return vec_select((vec)((vs32)a > (vs32)b), a, b); }

/* Averages, rounded up. */
ALWAYS_INLINE vec vec_pavgb(vec a, vec b) { return (vec)((vu8)(a | b) - ((vu8)(a ^ b) >> 1)); }
ALWAYS_INLINE vec vec_pavgw(vec a, vec b) { return (vec)((vu16)(a | b) - ((vu16)(a ^ b) >> 1)); }

ALWAYS_INLINE vec vec_pabsb(vec a, vec b) { vec m = (vec)((vs8)b < 0); (void)a; return vec_psubb(b ^ m, m); }
ALWAYS_INLINE vec vec_pabsw(vec a, vec b) { vec m = (vec)((vs16)b < 0); (void)a; return vec_psubw(b ^ m, m); }
ALWAYS_INLINE vec vec_pabsd(vec a, vec b) { vec m = (vec)((vs32)b < 0); (void)a; return vec_psubd(b ^ m, m); }

/* A, negated where B is negative, 0 where B is. */
ALWAYS_INLINE vec vec_psignb(vec a, vec b) { vec m = (vec)((vs8)b < 0);
	return vec_psubb(a ^ m, m) & ~(vec)((vu8)b == 0); }
ALWAYS_INLINE vec vec_psignw(vec a, vec b) { vec m = (vec)((vs16)b < 0);
	return vec_psubw(a ^ m, m) & ~(vec)((vu16)b == 0); }
ALWAYS_INLINE vec vec_psignd(vec a, vec b) { vec m = (vec)((vs32)b < 0);
	return vec_psubd(a ^ m, m) & ~(vec)((vu32)b == 0); }

/* The smallest of B's words in bits 0-15, and where it first is in bits 16-18. */
static inline vec vec_phminposuw(vec a, vec b)
{
	union xmm y = vec_lanes(b);
	unsigned at = 0;

	(void)a;
	for (unsigned i = 1; i < 8; i++)
		if (y.w[i] < y.w[at])
			at = i;
	return (vec){ (u64)y.w[at] | (u64)at << 16, 0 };
}

/* ---- shifts, by a count that is all of a 64-bit number ---- */

ALWAYS_INLINE vec shift_left_w(vec a, u64 n) { return n > 15 ? (vec){ 0, 0 } : (vec)((vu16)a << (u16)n); }
ALWAYS_INLINE vec shift_left_d(vec a, u64 n) { return n > 31 ? (vec){ 0, 0 } : (vec)((vu32)a << (u32)n); }
ALWAYS_INLINE vec shift_left_q(vec a, u64 n) { return n > 63 ? (vec){ 0, 0 } : a << n; }
ALWAYS_INLINE vec shift_right_w(vec a, u64 n) { return n > 15 ? (vec){ 0, 0 } : (vec)((vu16)a >> (u16)n); }
ALWAYS_INLINE vec shift_right_d(vec a, u64 n) { return n > 31 ? (vec){ 0, 0 } : (vec)((vu32)a >> (u32)n); }
ALWAYS_INLINE vec shift_right_q(vec a, u64 n) { return n > 63 ? (vec){ 0, 0 } : a >> n; }
ALWAYS_INLINE vec shift_sign_w(vec a, u64 n) { return (vec)((vs16)a >> (s16)(n > 15 ? 15 : n)); }
ALWAYS_INLINE vec shift_sign_d(vec a, u64 n) { return (vec)((vs32)a >> (s32)(n > 31 ? 31 : n)); }

ALWAYS_INLINE vec vec_psllw(vec a, vec b) { return shift_left_w(a, b[0]); }
ALWAYS_INLINE vec vec_pslld(vec a, vec b) { return shift_left_d(a, b[0]); }
ALWAYS_INLINE vec vec_psllq(vec a, vec b) { return shift_left_q(a, b[0]); }
ALWAYS_INLINE vec vec_psrlw(vec a, vec b) { return shift_right_w(a, b[0]); }
ALWAYS_INLINE vec vec_psrld(vec a, vec b) { return shift_right_d(a, b[0]); }
ALWAYS_INLINE vec vec_psrlq(vec a, vec b) { return shift_right_q(a, b[0]); }
ALWAYS_INLINE vec vec_psraw(vec a, vec b) { return shift_sign_w(a, b[0]); }
ALWAYS_INLINE vec vec_psrad(vec a, vec b) { return shift_sign_d(a, b[0]); }

/* The whole register, by bytes. */
ALWAYS_INLINE vec vec_pslldq(vec a, u64 n)
{
	unsigned s = 8 * (n & 7);
	u64 carried = s ? a[0] >> (64 - s) : 0;

	if (n > 15)
		return (vec){ 0, 0 };
	return n & 8 ? (vec){ 0, a[0] << s } : (vec){ a[0] << s, a[1] << s | carried };
}

ALWAYS_INLINE vec vec_psrldq(vec a, u64 n)
{
	unsigned s = 8 * (n & 7);
	u64 carried = s ? a[1] << (64 - s) : 0;

	if (n > 15)
		return (vec){ 0, 0 };
	return n & 8 ? (vec){ a[1] >> s, 0 } : (vec){ a[0] >> s | carried, a[1] >> s };
}

#endif
