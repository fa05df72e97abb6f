/* SPDX-License-Identifier: MIT */
/* Floating point that came with AVX-512, in all three formats: comparisons into masks, exponents and significands
 * apart, scaling, rounding, ranges, classes, approximations (SDM vol. 2, at each). Computed with integers
 * (vec_soft.h). */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"
#include "cpu/insn/vector/zen_approximations.h"

static struct format source_format(const struct element *e) { return format_of(e->from); }

/* OP(c, e, format) is an element of the instructions on the three formats of MXCSR, and of that on bfloat16. */
#define FORMATS(op) \
	static u64 element_##op(struct cpu *c, const struct element *e) { return op(c, e, source_format(e)); } \
	static u64 bfloat16_##op(struct cpu *c, const struct element *e) \
	{ \
		u32 saved = soft_quiet_begin(c); \
		u64 r = op(c, e, bf16); \
\
		c->soft_mxcsr = saved; \
		return r; \
	}
#define BFLOAT16(op, mnemonic) \
	EVEX_BODY(mnemonic, element, bfloat16_##op, PACKED, EXACT) \
	EVEX_IS(mnemonic, mnemonic)

static u64 sign_of(u64 v, struct format f) { return v & f.sign; }

/* V is a NaN, and *R what a result becomes of it. */
static bool nan_result(struct cpu *c, u64 v, struct num n, struct format f, u64 *r)
{
	if (n.class < QNAN)
		return false;
	if (n.class == SNAN)
		flag(c, MXCSR_IE);
	*r = v | quiet(f);
	return true;
}

static void denormal_flag(struct cpu *c, struct num n)
{
	if (n.denormal)
		flag(c, MXCSR_DE);
}

/* ---- comparisons: the 32 predicates of vec_compare.c, each as the set of orders that it is true for ---- */

static u64 compare(struct cpu *c, const struct element *e, struct format f)
{
	/* bit 0 less, 1 equal, 2 greater, 3 unordered */
	static const u8 orders[16] = { 2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15 };
	unsigned kind = e->imm & 15;
	bool signals = ((kind & 3) == 1 || (kind & 3) == 2) != !!(e->imm & 16);
	int order = soft_compare(c, e->a, e->b, f, signals);

	return orders[kind] >> (order + 1) & 1;
}
FORMATS(compare)
EVEX_BODIES(vcmp, element, element_compare, SOFT)
BFLOAT16(compare, vcmpbf16)
EVEX_IS(vcmpps_k, vcmp_packed)
EVEX_IS(vcmppd_k, vcmp_packed) EVEX_IS(vcmpss_k, vcmp_one) EVEX_IS(vcmpsd_k, vcmp_one) EVEX_PH_SH(vcmp, vcmp)

	/* IMM: 0 quiet NaN, 1 +0, 2 -0, 3 +infinity, 4 -infinity, 5 denormal, 6 negative and finite, 7 signaling
	 * NaN. */
	static u64 number_class(struct cpu *c, const struct element *e, struct format f)
{
	struct num n = unpack(c, e->b, f);

	switch (n.class) {
	case ZERO: return e->imm >> (n.sign ? 2 : 1) & 1;
	case INFINITE: return e->imm >> (n.sign ? 4 : 3) & 1;
	case QNAN: return e->imm & 1;
	case SNAN: return e->imm >> 7 & 1;
	default: return (n.denormal && e->imm & 0x20) || (n.sign && e->imm & 0x40);
	}
}
FORMATS(number_class)
EVEX_BODIES(vfpclass, element, element_number_class, SOFT)
BFLOAT16(number_class, vfpclassbf16)
EVEX_PS_PD(vfpclass, vfpclass)
EVEX_SS_SD(vfpclass, vfpclass)
EVEX_PH_SH(vfpclass, vfpclass)

/* ---- exponent and significand ---- */

static u64 getexp(struct cpu *c, const struct element *e, struct format f)
{
	struct num n = unpack(c, e->b, f);
	u64 r;

	if (nan_result(c, e->b, n, f, &r))
		return r;
	denormal_flag(c, n);
	return n.class == ZERO ? f.sign | infinity(f) : n.class == INFINITE ? infinity(f) : soft_from_int(c, n.exp, f);
}
FORMATS(getexp)
EVEX_BODIES(vgetexp, element, element_getexp, SOFT)
BFLOAT16(getexp, vgetexpbf16)
EVEX_PS_PD(vgetexp, vgetexp)
EVEX_SS_SD(vgetexp, vgetexp)
EVEX_PH_SH(vgetexp, vgetexp)

/* IMM 1-0: the interval [1, 2), [1/2, 2), [1/2, 1), [3/4, 3/2); bit 2: the result is positive; bit 3: an operand that
 * is negative is invalid. */
static u64 getmant(struct cpu *c, const struct element *e, struct format f)
{
	struct num n = unpack(c, e->b, f);
	u64 sign = e->imm & 4 ? 0 : sign_of(e->b, f), one = (u64)f.bias << f.frac_bits, frac, r;
	bool halve;

	if (nan_result(c, e->b, n, f, &r))
		return r;
	if (n.class == ZERO)
		return sign | one;
	if (n.sign && e->imm & 8)
		return invalid(c, f);
	if (n.class == INFINITE)
		return sign | one;
	denormal_flag(c, n);
	frac = n.sig << 1 >> (64 - f.frac_bits);
	switch (e->imm & 3) {
	case 0: halve = false; break;
	case 1: halve = n.exp & 1; break;
	case 2: halve = true; break;
	default: halve = frac >> (f.frac_bits - 1); break;
	}
	return sign | (one - ((u64)halve << f.frac_bits)) | frac;
}
FORMATS(getmant)
EVEX_BODIES(vgetmant, element, element_getmant, SOFT)
BFLOAT16(getmant, vgetmantbf16)
EVEX_PS_PD(vgetmant, vgetmant)
EVEX_SS_SD(vgetmant, vgetmant)
EVEX_PH_SH(vgetmant, vgetmant)

/* ---- A * 2^floor(B) ---- */

/* Where B is an infinity. */
static u64 scale_by_infinity(struct cpu *c, struct num x, struct num y, u64 a, struct format f)
{
	u64 sign = x.sign ? f.sign : 0;

	if (x.class >= QNAN)
		return y.sign ? 0 : infinity(f);
	if (x.class == (y.sign ? INFINITE : ZERO))
		return invalid(c, f);
	return x.class == NUMBER ? sign | (y.sign ? 0 : infinity(f)) : x.class == ZERO ? sign : a;
}

static s32 floor_of(struct num y)
{
	u64 whole;

	if (y.class == ZERO)
		return 0;
	if (y.exp < 0)
		return y.sign ? -1 : 0;
	if (y.exp > 20)
		return y.sign ? -(1 << 20) : 1 << 20;
	whole = y.sig >> (63 - y.exp);
	return y.sign ? -(s32)whole - (y.sig << y.exp << 1 != 0) : (s32)whole;
}

static u64 scalef(struct cpu *c, const struct element *e, struct format f)
{
	struct num x = unpack(c, e->a, f), y = unpack(c, e->b, f);

	if (x.class == SNAN || y.class == SNAN)
		flag(c, MXCSR_IE);
	if (x.class == SNAN || (x.class == QNAN && y.class != INFINITE))
		return e->a | quiet(f);
	if (y.class >= QNAN)
		return e->b | quiet(f);
	/* AMD's processors set DE for A alone, and also where B is an infinity. */
	if (is_amd(c->model) || y.class != INFINITE)
		denormal_flag(c, x);
	if (y.class == INFINITE)
		return scale_by_infinity(c, x, y, e->a, f);
	if (!is_amd(c->model))
		denormal_flag(c, y);
	if (x.class != NUMBER)
		return x.class == ZERO ? (x.sign ? f.sign : 0) : e->a;
	return pack(c, x.sign, x.exp + floor_of(y), (u128)x.sig << 64, f);
}
FORMATS(scalef)
EVEX_BODIES(vscalef, element, element_scalef, SOFT)
BFLOAT16(scalef, vscalefbf16)
EVEX_PS_PD(vscalef, vscalef)
EVEX_SS_SD(vscalef, vscalef)
EVEX_PH_SH(vscalef, vscalef)

/* ---- rounding to a multiple of 2^-M; M is IMM 7-4; bit 3: no PE; bit 2: as MXCSR says, else as bits 1-0 ---- */

static u64 round_to(struct cpu *c, u64 v, u8 imm, unsigned rc, struct format f)
{
	struct num n = unpack(c, v, f);
	s32 drop = 127 - (imm >> 4) - n.exp;
	bool inexact = false;
	u32 saved;
	u128 r;

	if (n.class == ZERO)
		return n.sign ? f.sign : 0;
	if (n.class != NUMBER || drop <= 64)
		return v;
	r = round_bits((u128)n.sig << 64, (unsigned)drop, rc, n.sign, &inexact);
	if (inexact && !(imm & 8))
		flag(c, MXCSR_PE);
	saved = c->soft_mxcsr;
	v = n.sign ? f.sign : 0;
	if (r)
		v = pack_sum(c, n.sign, 127 - (imm >> 4), r, f);
	c->soft_mxcsr = saved;
	return v;
}

/* Numbers of bfloat16 are always rounded to nearest. */
static unsigned rounding_of(const struct cpu *c, u8 imm, struct format f)
{
	return imm & 4 || f.frac_bits == bf16.frac_bits ? rounding(c) : imm & 3u;
}

static u64 rndscale(struct cpu *c, const struct element *e, struct format f)
{
	u64 r;

	if (nan_result(c, e->b, unpack(c, e->b, f), f, &r))
		return r;
	return round_to(c, e->b, e->imm, rounding_of(c, e->imm, f), f);
}
FORMATS(rndscale)
EVEX_BODIES(vrndscale, element, element_rndscale, SOFT)
BFLOAT16(rndscale, vrndscalebf16)
EVEX_PS_PD(vrndscale, vrndscale)
EVEX_SS_SD(vrndscale, vrndscale)
EVEX_PH_SH(vrndscale, vrndscale)

/* What that leaves of the operand. AMD's processors report a result that is not exact, and not that the
 * operand was no multiple. */
static u64 reduce(struct cpu *c, const struct element *e, struct format f)
{
	struct num n = unpack(c, e->b, f);
	unsigned rc = rounding_of(c, e->imm, f);
	u32 saved, flags;
	u64 r;

	if (nan_result(c, e->b, n, f, &r))
		return r;
	if (n.class == INFINITE)
		return 0;
	r = round_to(c, e->b, e->imm | (is_amd(c->model) ? 8 : 0), rc, f);
	saved = c->soft_mxcsr;
	c->soft_mxcsr = (saved & ~(u32)(MXCSR_RC | MXCSR_FLAGS)) | MXCSR_MASKS | rc << 13;
	if (!(saved & MXCSR_UM))
		c->soft_mxcsr &= ~(u32)MXCSR_FTZ;
	r = soft_sub(c, e->b, r, f);
	flags = c->soft_mxcsr & MXCSR_PE;
	c->soft_mxcsr = saved;
	if (is_amd(c->model) && !(e->imm & 8))
		flag(c, flags);
	return r;
}
FORMATS(reduce)
EVEX_BODIES(vreduce, element, element_reduce, SOFT)
BFLOAT16(reduce, vreducebf16)
EVEX_PS_PD(vreduce, vreduce)
EVEX_SS_SD(vreduce, vreduce)
EVEX_PH_SH(vreduce, vreduce)

/* ---- VRANGE: IMM 1-0 the smaller, larger, smaller and larger by magnitude; 3-2 the sign: of A, as it is, 0, 1. Of
 * equal numbers the negative one is the smaller. ---- */

/* Is A the smaller one of two that are no NaNs? BY_MAGNITUDE: if they differ in that. */
static bool is_smaller(u64 a, u64 b, bool by_magnitude, struct format f)
{
	u64 magnitude_a = a & ~f.sign, magnitude_b = b & ~f.sign;

	if (by_magnitude && magnitude_a != magnitude_b)
		return magnitude_a < magnitude_b;
	if (sign_of(a ^ b, f))
		return a & f.sign;
	return a & f.sign ? magnitude_a >= magnitude_b : magnitude_a <= magnitude_b;
}

static u64 element_range(struct cpu *c, const struct element *e)
{
	struct format f = source_format(e);
	struct num x = unpack(c, e->a, f), y = unpack(c, e->b, f);
	u64 a = x.class == ZERO ? sign_of(e->a, f) : e->a, b = y.class == ZERO ? sign_of(e->b, f) : e->b, r;

	if (x.class == SNAN || y.class == SNAN) {
		flag(c, MXCSR_IE);
		return (x.class == SNAN ? a : b) | quiet(f);
	}
	if (x.class == QNAN && y.class == QNAN) {
		r = a;
	} else if (x.class == QNAN || y.class == QNAN) {
		r = x.class == QNAN ? b : a;
	} else {
		denormal_flag(c, x);
		denormal_flag(c, y);
		r = is_smaller(a, b, e->imm & 2, f) != (e->imm & 1) ? a : b;
	}
	switch (e->imm >> 2 & 3) {
	case 0: return (r & ~f.sign) | sign_of(e->a, f);
	case 1: return r;
	case 2: return r & ~f.sign;
	default: return r | f.sign;
	}
}
EVEX_BODIES(vrange, element, element_range, SOFT)
EVEX_PS_PD(vrange, vrange)
EVEX_SS_SD(vrange, vrange)

/* ---- VMINMAX: IEEE 754-2019's minimum, maximum and the like. IMM 1-0 as of VRANGE; 4: a number wins over a NaN; 3-2
 * the sign of a number: of A, which counts if A is no NaN; as it is; 0; 1. ---- */

static u64 minmax(struct cpu *c, const struct element *e, struct format f)
{
	struct num x = unpack(c, e->a, f), y = unpack(c, e->b, f);
	u64 a = x.class == ZERO ? sign_of(e->a, f) : e->a, b = y.class == ZERO ? sign_of(e->b, f) : e->b, r;

	if (x.class == SNAN || y.class == SNAN)
		flag(c, MXCSR_IE);
	if (x.class >= QNAN && (y.class >= QNAN || !(e->imm & 16)))
		return (x.class == QNAN && y.class == SNAN ? b : a) | quiet(f);
	if (y.class >= QNAN && !(e->imm & 16))
		return b | quiet(f);
	if (x.class < QNAN && y.class < QNAN) {
		denormal_flag(c, x);
		denormal_flag(c, y);
		r = is_smaller(a, b, e->imm & 2, f) != (e->imm & 1) ? a : b;
	} else {
		r = x.class < QNAN ? a : b;
	}
	switch (e->imm >> 2 & 3) {
	case 0: return x.class < QNAN ? (r & ~f.sign) | sign_of(a, f) : r;
	case 1: return r;
	case 2: return r & ~f.sign;
	default: return r | f.sign;
	}
}
FORMATS(minmax)
EVEX_BODIES(vminmax, element, element_minmax, SOFT)
BFLOAT16(minmax, vminmaxbf16)
EVEX_PS_PD(vminmax, vminmax)
EVEX_SS_SD(vminmax, vminmax)
EVEX_PH_SH(vminmax, vminmax)

/* ---- VFIXUPIMM: B has a token of four bits for each class of number in A ---- */

enum { FIX_QNAN, FIX_SNAN, FIX_ZERO, FIX_ONE, FIX_MINUS_INFINITY, FIX_PLUS_INFINITY, FIX_NEGATIVE, FIX_POSITIVE };

static unsigned fixup_class(struct num n, u64 v, struct format f)
{
	switch (n.class) {
	case QNAN: return FIX_QNAN;
	case SNAN: return FIX_SNAN;
	case ZERO: return FIX_ZERO;
	case INFINITE: return n.sign ? FIX_MINUS_INFINITY : FIX_PLUS_INFINITY;
	default: return v == (u64)f.bias << f.frac_bits ? FIX_ONE : n.sign ? FIX_NEGATIVE : FIX_POSITIVE;
	}
}

/* The number (-1)^SIGN * 1.FRAC * 2^EXP, FRAC of 52 bits, cut to F. */
static u64 constant(bool sign, s32 exp, u64 frac, struct format f)
{
	return (sign ? f.sign : 0) | (u64)(exp + f.bias) << f.frac_bits | frac >> (52 - f.frac_bits);
}

static u64 fixup_value(u64 old, u64 v, unsigned token, struct format f)
{
	u64 largest = infinity(f) - 1;

	switch (token) {
	case 0: return old;
	case 1: return v;
	case 2: return v | quiet(f) | infinity(f);
	case 3: return indefinite(f);
	case 4: return f.sign | infinity(f);
	case 5: return infinity(f);
	case 6: return sign_of(v, f) | infinity(f);
	case 7: return f.sign;
	case 8: return 0;
	case 9: return constant(true, 0, 0, f);
	case 10: return constant(false, 0, 0, f);
	case 11: return constant(false, -1, 0, f);
	case 12: return constant(false, 6, 0x6800000000000, f);                                  /* 90 */
	case 13: return constant(false, 0, 0x921fb54442d18, f) + (f.frac_bits == f32.frac_bits); /* pi / 2, rounded */
	case 14: return largest;
	default: return f.sign | largest;
	}
}

static u64 element_fixup(struct cpu *c, const struct element *e)
{
	/* what bit n of IMM wants to be told of, and by which flag */
	static const struct {
		u8 class, flag;
	} reports[8] = {
		{ FIX_ZERO, MXCSR_ZE },     { FIX_ZERO, MXCSR_IE },          { FIX_ONE, MXCSR_ZE },
		{ FIX_ONE, MXCSR_IE },      { FIX_SNAN, MXCSR_IE },          { FIX_MINUS_INFINITY, MXCSR_IE },
		{ FIX_NEGATIVE, MXCSR_IE }, { FIX_PLUS_INFINITY, MXCSR_IE },
	};
	struct format f = source_format(e);
	struct num n = unpack(c, e->a, f);
	u64 v = n.class == ZERO ? sign_of(e->a, f) : e->a;
	unsigned class = fixup_class(n, v, f);

	for (unsigned i = 0; i < 8; i++)
		if (e->imm >> i & 1 && reports[i].class == class)
			flag(c, reports[i].flag);
	return fixup_value(e->old, v, e->b >> 4 * class & 15, f);
}
EVEX_BODIES(vfixupimm, element, element_fixup, SOFT)
EVEX_PS_PD(vfixupimm, vfixupimm)
EVEX_SS_SD(vfixupimm, vfixupimm)

/* ---- approximations. Architecturally |relative error| < 2^-14 (FP16: 2^-11 and half a unit). No flags; to nearest,
 * whatever MXCSR says. Those of AMD's models are the processor's own, the others ours: a result is right to 2^-16, or to
 * the last bit of FP16. ---- */

enum { RIGHT_BITS = 17 };

/* SIG * 2^(EXP - 63) without its lower bits. */
static u64 approximation(struct cpu *c, bool sign, s32 exp, u64 sig, struct format f)
{
	u32 saved = c->soft_mxcsr;
	u64 r;

	if (f.frac_bits > RIGHT_BITS)
		sig &= ~(u64)0 << (63 - RIGHT_BITS);
	c->soft_mxcsr = (saved & ~(u32)MXCSR_RC) | MXCSR_MASKS;
	r = pack(c, sign, exp, (u128)sig << 64, f);
	c->soft_mxcsr = saved;
	return r;
}

/* AMD's processors have no FP16. */
static bool as_zen(const struct cpu *c, struct format f) { return is_amd(c->model) && f.frac_bits > RIGHT_BITS; }

static u64 rcp(struct cpu *c, const struct element *e, struct format f)
{
	struct num n = unpack(c, e->b, f);
	u64 sign = sign_of(e->b, f);

	if (n.class >= QNAN)
		return e->b | quiet(f);
	if (n.class == ZERO)
		return sign | infinity(f);
	if (n.class == INFINITE)
		return sign;
	if (n.sig == (u64)1 << 63)
		return approximation(c, n.sign, -n.exp, n.sig, f);
	if (as_zen(c, f))
		return approximation(c, n.sign, -n.exp - 1,
				     zen_approximation(zen_reciprocal[n.sig >> 57 & 63], n.sig >> 47 & 1023), f);
	return approximation(c, n.sign, -n.exp - 1, (u64)(((u128)1 << 127) / n.sig), f);
}

static u64 rsqrt(struct cpu *c, const struct element *e, struct format f)
{
	struct num n = unpack(c, e->b, f);
	u128 square;
	u64 root = 0;

	if (n.class >= QNAN)
		return e->b | quiet(f);
	if (n.class == ZERO)
		return sign_of(e->b, f) | infinity(f);
	if (n.sign)
		return indefinite(f);
	if (n.class == INFINITE)
		return 0;
	if (n.sig == (u64)1 << 63 && !(n.exp & 1))
		return approximation(c, false, -n.exp / 2, n.sig, f);
	if (as_zen(c, f))
		return approximation(c, false, -((n.exp - (n.exp & 1)) / 2) - 1,
				     zen_approximation(zen_reciprocal_root[n.exp & 1][n.sig >> 58 & 31],
						       n.sig >> 48 & 1023), f);
	/* m = sig / 2^63, with an odd exponent twice that, in (1, 4): 1 / sqrt(m) is in (1/2, 1) */
	square = ((u128)1 << 127) / (n.exp & 1 ? n.sig : n.sig / 2); /* 2^65 / m */
	square <<= 59;
	for (u64 bit = (u64)1 << 62; bit; bit >>= 1)
		if ((u128)(root | bit) * (root | bit) <= square)
			root |= bit;
	while (!(root >> 63))
		root <<= 1;
	return approximation(c, false, -((n.exp - (n.exp & 1)) / 2) - 1, root, f);
}
FORMATS(rcp)
EVEX_BODIES(vrcp14, element, element_rcp, SOFT)
BFLOAT16(rcp, vrcpbf16)
EVEX_PS_PD(vrcp14, vrcp14)
EVEX_SS_SD(vrcp14, vrcp14)
EVEX_PH_SH(vrcp, vrcp14)
FORMATS(rsqrt)
EVEX_BODIES(vrsqrt14, element, element_rsqrt, SOFT)
BFLOAT16(rsqrt, vrsqrtbf16)
EVEX_PS_PD(vrsqrt14, vrsqrt14)
EVEX_SS_SD(vrsqrt14, vrsqrt14)
EVEX_PH_SH(vrsqrt, vrsqrt14)
