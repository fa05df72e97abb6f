/* SPDX-License-Identifier: MIT */
/* Sine, cosine and tangent (SDM vol. 1, 8.3.7 and 8.3.8).
 *
 * The argument is reduced with the pi of the real chip, which has 66 bits: so the sine of the 64-bit pi is what that pi
 * lacks, to two bits. */
#include "cpu/insn/x87/x87_wide.h"

/* 66 bits: pi/2 in units of 2^-65, odd, and so never divides what 64 bits can say */
#define PI66 ((u128)3 << 64 | 0x243f6a8885a308d3)

/* X less a multiple of pi/2, to [-pi/4, pi/4]; *QUADRANT is that multiple. |X| < 2^63, not 0. */
static struct wide reduce(struct real x, unsigned *quadrant)
{
	struct wide w = wide_real(x);
	u128 r = w.frac >> 64;

	*quadrant = 0;
	if (w.exp < -1)
		return w;
	/* In units of 2^-65, x is its significand * 2^(exp + 2). Full turns are 68 bits, and so may go 59 places at a
	 * time. */
	for (s32 left = w.exp + 2; left;) {
		s32 n = left < 59 ? left : 59;

		r = (r << n) % (PI66 << 2);
		left -= n;
	}
	*quadrant = (unsigned)(r / PI66);
	r %= PI66;
	if (r > PI66 >> 1) {
		++*quadrant;
		return wide_norm(!w.neg, 127 - 65, PI66 - r);
	}
	return wide_norm(w.neg, 127 - 65, r);
}

/* 1 - u/2! + u^2/4! - ... (FIRST 0), or 1 - u/3! + u^2/5! - ... (FIRST 1), with u = R^2. Below 1, if only by the last
 * bit. */
static struct wide series(struct wide r, unsigned first)
{
	u128 u = wide_to_q(wide_mul(r, r)), sum = x87_inverse_factorial[26 + first];

	for (unsigned k = 24 + first; k >= 2; k -= 2)
		sum = x87_inverse_factorial[k] - mul_q(u, sum);
	return wide_q(false, Q_ONE - 1 - mul_q(u, sum));
}

/* Sine (or COSINE) of X, from its remainder R in QUADRANT. */
static struct wide sine(struct wide r, unsigned quadrant, bool negative, bool cosine)
{
	struct wide s;

	/* For a negative x quadrants are counted downwards. */
	if (cosine) {
		s = quadrant & 1 ? wide_mul(r, series(r, 1)) : series(r, 0);
		if (quadrant & 1)
			s.neg ^= !negative;
		s.neg ^= quadrant >> 1 & 1;
	} else {
		s = quadrant & 1 ? series(r, 0) : wide_mul(r, series(r, 1));
		if (quadrant & 1)
			s.neg ^= negative;
		s.neg ^= quadrant >> 1 & 1;
	}
	return s;
}

/* What needs no computing. True: *DONE is the result of sine and tangent. */
static bool easy(struct fp *f, struct real x, struct real *done)
{
	*done = x;
	if (real_nan1(f, x, done))
		return true;
	if (real_is_inf(x)) {
		*done = fp_invalid(f);
		return true;
	}
	return fp_denormal(f, x, x) || real_is_zero(x);
}

/* Below 2^-68 the chip takes sine and tangent for the number itself, and the cosine for 1, whichever way it rounds. */
static struct real itself(struct fp *f, struct real x)
{
	s32 exp;
	u64 frac = real_normal(x, &exp);
	struct real r = real_round(f, real_sign(x), exp, frac, 0, 64);

	f->raised |= real_exp(r) ? X87_PE : X87_PE | X87_UE;
	return r;
}

static bool tiny(struct real x) { return real_exp(x) < EXP_BIAS - 68; }

bool real_sincos(struct fp *f, struct real x, struct real *s, struct real *c)
{
	struct real r;
	struct wide w;
	unsigned quadrant;

	if (easy(f, x, &r)) {
		if (s)
			*s = r;
		if (c)
			*c = real_is_zero(r) ? REAL_ONE(false) : r;
		return true;
	}
	if (real_exp(x) >= EXP_BIAS + 63)
		return false;
	f->raised |= X87_PE;
	w = reduce(x, &quadrant);
	if (s)
		*s = tiny(x) ? itself(f, x) : wide_round(f, sine(w, quadrant, real_sign(x), false));
	if (c) {
		f->raised &= ~X87_C1; /* of two results C1 is the cosine's */
		*c = tiny(x) ? REAL_ONE(false) : wide_round(f, sine(w, quadrant, real_sign(x), true));
	}
	return true;
}

bool real_tan(struct fp *f, struct real x, struct real *tangent)
{
	struct wide w;
	unsigned quadrant;

	if (easy(f, x, tangent))
		return true;
	if (real_exp(x) >= EXP_BIAS + 63)
		return false;
	if (tiny(x)) {
		*tangent = itself(f, x);
		return true;
	}
	w = reduce(x, &quadrant);
	*tangent = wide_round(f, wide_div(sine(w, quadrant, real_sign(x), false),
		sine(w, quadrant, real_sign(x), true)));
	return true;
}
