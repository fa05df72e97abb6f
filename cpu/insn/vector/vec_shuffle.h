/* SPDX-License-Identifier: MIT */
/* Moving lanes about: shuffles, unpacks, packs, blends, widening, inserts. */
#ifndef CPU_VEC_SHUFFLE_H
#define CPU_VEC_SHUFFLE_H

#include "cpu/insn/vector/vec_int.h"

#define SHUFFLE8(a, b, ...) ((vec)__builtin_shufflevector((vu8)(a), (vu8)(b), __VA_ARGS__))
#define SHUFFLE16(a, b, ...) ((vec)__builtin_shufflevector((vu16)(a), (vu16)(b), __VA_ARGS__))
#define SHUFFLE32(a, b, ...) ((vec)__builtin_shufflevector((vu32)(a), (vu32)(b), __VA_ARGS__))
#define SHUFFLE64(a, b, ...) ((vec)__builtin_shufflevector((vec)(a), (vec)(b), __VA_ARGS__))

/* ---- what moves leave ---- */

ALWAYS_INLINE vec vec_load_whole(vec a, vec b) { (void)a; return b; }
ALWAYS_INLINE vec vec_load_low64(vec a, vec b) { (void)a; return (vec){ b[0], 0 }; }
ALWAYS_INLINE vec vec_load_low32(vec a, vec b) { (void)a; return (vec){ (u32)b[0], 0 }; }
ALWAYS_INLINE vec vec_high_to_low(vec a, vec b) { return (vec){ b[1], a[1] }; }
ALWAYS_INLINE vec vec_low_to_high(vec a, vec b) { return (vec){ a[0], b[0] }; }

/* ---- unpacks: one lane from A, one from B ---- */

ALWAYS_INLINE vec vec_punpcklbw(vec a, vec b)
{
	return SHUFFLE8(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
ALWAYS_INLINE vec vec_punpckhbw(vec a, vec b)
{
	return SHUFFLE8(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
ALWAYS_INLINE vec vec_punpcklwd(vec a, vec b) { return SHUFFLE16(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
ALWAYS_INLINE vec vec_punpckhwd(vec a, vec b) { return SHUFFLE16(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
ALWAYS_INLINE vec vec_punpckldq(vec a, vec b) { return SHUFFLE32(a, b, 0, 4, 1, 5); }
ALWAYS_INLINE vec vec_punpckhdq(vec a, vec b) { return SHUFFLE32(a, b, 2, 6, 3, 7); }
ALWAYS_INLINE vec vec_punpcklqdq(vec a, vec b) { return SHUFFLE64(a, b, 0, 2); }
ALWAYS_INLINE vec vec_punpckhqdq(vec a, vec b) { return SHUFFLE64(a, b, 1, 3); }

/* ---- packs: A's lanes, then B's, narrowed with saturation ---- */

static inline vec vec_packsswb(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 16; i++) {
		s16 v = (s16)(i < 8 ? x.w[i] : y.w[i - 8]);

		r.b[i] = (u8)(v < -0x80 ? -0x80 : v > 0x7f ? 0x7f : v);
	}
	return vec_of(r);
}

static inline vec vec_packuswb(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 16; i++) {
		s16 v = (s16)(i < 8 ? x.w[i] : y.w[i - 8]);

		r.b[i] = (u8)(v < 0 ? 0 : v > 0xff ? 0xff : v);
	}
	return vec_of(r);
}

static inline vec vec_packssdw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 8; i++)
		r.w[i] = (u16)saturate16((s32)(i < 4 ? x.d[i] : y.d[i - 4]));
	return vec_of(r);
}

static inline vec vec_packusdw(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 8; i++) {
		s32 v = (s32)(i < 4 ? x.d[i] : y.d[i - 4]);

		r.w[i] = (u16)(v < 0 ? 0 : v > 0xffff ? 0xffff : v);
	}
	return vec_of(r);
}

/* ---- shuffles by immediate ---- */

ALWAYS_INLINE vec vec_pshufd(vec a, vec b, u8 imm)
{
	union xmm y = vec_lanes(b);

	(void)a;
	return vec_of((union xmm){ .d = { y.d[imm & 3], y.d[imm >> 2 & 3], y.d[imm >> 4 & 3], y.d[imm >> 6] } });
}

static inline u64 shuffle_words(u64 v, u8 imm)
{
	return (v >> 16 * (imm & 3) & 0xffff) | (v >> 16 * (imm >> 2 & 3) & 0xffff) << 16 |
		(v >> 16 * (imm >> 4 & 3) & 0xffff) << 32 |
	       v >> 16 * (imm >> 6) << 48;
}

static inline vec vec_pshuflw(vec a, vec b, u8 imm) { (void)a; return (vec){ shuffle_words(b[0], imm), b[1] }; }
static inline vec vec_pshufhw(vec a, vec b, u8 imm) { (void)a; return (vec){ b[0], shuffle_words(b[1], imm) }; }

ALWAYS_INLINE vec vec_shufps(vec a, vec b, u8 imm)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	return vec_of((union xmm){ .d = { x.d[imm & 3], x.d[imm >> 2 & 3], y.d[imm >> 4 & 3], y.d[imm >> 6] } });
}

ALWAYS_INLINE vec vec_shufpd(vec a, vec b, u8 imm) { return (vec){ imm & 1 ? a[1] : a[0], imm & 2 ? b[1] : b[0] }; }

/* A:B, 32 bytes, shifted right by bytes. */
static inline vec vec_palignr(vec a, vec b, u8 imm)
{
	u8 all[48] = { 0 };

	vec_store(all, b);
	vec_store(all + 16, a);
	return imm > 31 ? (vec){ 0, 0 } : vec_load(all + imm);
}

/* ---- by vector ---- */

static inline vec vec_pshufb(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 16; i++)
		r.b[i] = y.b[i] & 0x80 ? 0 : x.b[y.b[i] & 15];
	return vec_of(r);
}

/* ---- blends ---- */

/* Bit n of MASK spread over lane n. */
static inline vec spread_mask16(u8 mask)
{
	const vu16 bit = { 1, 2, 4, 8, 16, 32, 64, 128 };
	vu16 m = { mask, mask, mask, mask, mask, mask, mask, mask };

	return (vec)((m & bit) != 0);
}

static inline vec spread_mask32(u8 mask)
{
	const vu32 bit = { 1, 2, 4, 8 };
	vu32 m = { mask, mask, mask, mask };

	return (vec)((m & bit) != 0);
}

static inline vec spread_mask64(u8 mask) { return (vec){ -(u64)(mask & 1), -(u64)(mask >> 1 & 1) }; }

static inline vec vec_pblendw(vec a, vec b, u8 imm) { return vec_select(spread_mask16(imm), b, a); }
static inline vec vec_blendps(vec a, vec b, u8 imm) { return vec_select(spread_mask32(imm), b, a); }
static inline vec vec_blendpd(vec a, vec b, u8 imm) { return vec_select(spread_mask64(imm), b, a); }
/* By the sign of MASK's lanes. */
static inline vec vec_blend_sign8(vec a, vec b, vec mask) { return vec_select((vec)((vs8)mask < 0), b, a); }
static inline vec vec_blend_sign32(vec a, vec b, vec mask) { return vec_select((vec)((vs32)mask < 0), b, a); }
static inline vec vec_blend_sign64(vec a, vec b, vec mask) { return vec_select((vec)((vs64)mask < 0), b, a); }

/* ---- widening: B's low lanes ---- */

static inline vec vec_pmovsxbw(vec a, vec b) { (void)a;
	return (vec)((vs16)SHUFFLE8(b, b, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7) >> 8); }
static inline vec vec_pmovzxbw(vec a, vec b) { (void)a; return vec_punpcklbw(b, (vec){ 0, 0 }); }
static inline vec vec_pmovsxwd(vec a, vec b) { (void)a;
	return (vec)((vs32)SHUFFLE16(b, b, 0, 0, 0, 1, 0, 2, 0, 3) >> 16); }
static inline vec vec_pmovzxwd(vec a, vec b) { (void)a; return vec_punpcklwd(b, (vec){ 0, 0 }); }
static inline vec vec_pmovzxdq(vec a, vec b) { (void)a; return vec_punpckldq(b, (vec){ 0, 0 }); }
static inline vec vec_pmovsxdq(vec a, vec b) { (void)a; return (vec){ (u64)(s64)(s32)b[0], (u64)((s64)b[0] >> 32) }; }
static inline vec vec_pmovsxbd(vec a, vec b) { return vec_pmovsxwd(a, vec_pmovsxbw(a, b)); }
static inline vec vec_pmovzxbd(vec a, vec b) { return vec_pmovzxwd(a, vec_pmovzxbw(a, b)); }
static inline vec vec_pmovsxwq(vec a, vec b) { return vec_pmovsxdq(a, vec_pmovsxwd(a, b)); }
static inline vec vec_pmovzxwq(vec a, vec b) { return vec_pmovzxdq(a, vec_pmovzxwd(a, b)); }
static inline vec vec_pmovsxbq(vec a, vec b) { return vec_pmovsxwq(a, vec_pmovsxbw(a, b)); }
static inline vec vec_pmovzxbq(vec a, vec b) { return vec_pmovzxwq(a, vec_pmovzxbw(a, b)); }

/* ---- single lanes ---- */

static inline vec vec_insert(vec a, unsigned lane, unsigned size, u64 v)
{
	union xmm x = vec_lanes(a);

	put_size(&x.b[lane * size], size, v);
	return vec_of(x);
}

static inline u64 vec_extract(vec a, unsigned lane, unsigned size)
{
	union xmm x = vec_lanes(a);

	return get_size(&x.b[lane * size], size);
}

/* IMM: bits 7-6 lane of B, 5-4 lane of A, 3-0 lanes that become 0. */
static inline vec vec_insertps(vec a, vec b, u8 imm)
{
	vec r = vec_insert(a, imm >> 4 & 3, 4, vec_extract(b, imm >> 6, 4));

	return r & ~spread_mask32(imm & 15);
}

ALWAYS_INLINE vec vec_movsldup(vec a, vec b) { (void)a; return SHUFFLE32(b, b, 0, 0, 2, 2); }
ALWAYS_INLINE vec vec_movshdup(vec a, vec b) { (void)a; return SHUFFLE32(b, b, 1, 1, 3, 3); }
ALWAYS_INLINE vec vec_movddup(vec a, vec b) { (void)a; return (vec){ b[0], b[0] }; }

/* The sign bits of 16 bytes, 4 or 2 numbers. */
static inline u32 vec_mask8(vec v)
{
#ifdef __SSE2__
	typedef char chars __attribute__((vector_size(16)));

	return (u32)__builtin_ia32_pmovmskb128((chars)v);
#else
	/* Each multiplication gathers the eight bits 7, 15 .. 63 in its top byte. */
	u64 lo = (v[0] & 0x8080808080808080) >> 7, hi = (v[1] & 0x8080808080808080) >> 7;

	return (u32)(lo * 0x0102040810204080 >> 56) | (u32)(hi * 0x0102040810204080 >> 56) << 8;
#endif
}

static inline u32 vec_mask32(vec v)
{
#ifdef __SSE2__
	typedef float floats __attribute__((vector_size(16)));

	return (u32)__builtin_ia32_movmskps((floats)v);
#else
	return (u32)((v[0] >> 31 & 1) | (v[0] >> 62 & 2) | (v[1] >> 29 & 4) | (v[1] >> 60 & 8));
#endif
}

static inline u32 vec_mask64(vec v)
{
#ifdef __SSE2__
	typedef double doubles __attribute__((vector_size(16)));

	return (u32)__builtin_ia32_movmskpd((doubles)v);
#else
	return (u32)(v[0] >> 63 | (v[1] >> 62 & 2));
#endif
}

#endif
