/* SPDX-License-Identifier: MIT */
/* 80-bit numbers to and from other formats, and what works on their exponents (SDM vol. 1, 4.2, 4.7 and 8.2). */
#include "cpu/insn/x87/x87_real.h"

/* ---- from memory ---- */

/* A float or double: FRACTION bits below the J bit that is not stored. */
static inline struct real widen(struct fp *f, u64 v, unsigned fraction, s32 exp_max)
{
	s32 exp = (s32)(v >> fraction) & exp_max, bias = exp_max >> 1;
	bool negative = v >> fraction & (u64)(exp_max + 1);
	u16 sign = negative ? EXP_SIGN : 0;
	u64 frac = v << (63 - fraction) & ~J_BIT;

	if (exp == exp_max)
		return (struct real){ frac | J_BIT, sign | EXP_MAX };
	if (exp)
		return (struct real){ frac | J_BIT, (u16)(sign | (exp - bias + EXP_BIAS)) };
	if (!frac)
		return REAL_ZERO(sign);
	f->denormal = true;
	exp = 1 - __builtin_clzll(frac);
	return (struct real){ frac << __builtin_clzll(frac), (u16)(sign | (exp - bias + EXP_BIAS)) };
}

struct real real_from_float(struct fp *f, u32 v) { return widen(f, v, 23, 0xff); }
struct real real_from_double(struct fp *f, u64 v) { return widen(f, v, 52, 0x7ff); }

struct real real_loaded(struct fp *f, struct real a)
{
	if (unlikely(f->denormal))
		fp_raise(f, X87_DE);
	if (unlikely(real_is_snan(a))) {
		fp_raise(f, X87_IE);
		a.frac |= QUIET_BIT;
	}
	return a;
}

static struct real from_magnitude(bool sign, u64 m)
{
	unsigned n;

	if (!m)
		return REAL_ZERO(sign);
	n = (unsigned)__builtin_clzll(m);
	return (struct real){ m << n, (u16)((sign ? EXP_SIGN : 0) | (EXP_BIAS + 63 - n)) };
}

struct real real_from_int(s64 v) { return from_magnitude(v < 0, v < 0 ? -(u64)v : (u64)v); }

/* Packed decimal:
 *    79  78      72 71  68 67  64       7   4 3   0
 *    S   not used   d17    d16    ...   d1    d0        */
struct real real_from_bcd(const u8 in[10])
{
	u64 m = 0;

	for (int i = 8; i >= 0; i--)
		m = m * 100 + (in[i] >> 4) * 10u + (in[i] & 15);
	return from_magnitude(in[9] >> 7, m);
}

/* ---- to memory ---- */

static inline bool narrow(struct fp *f, struct real a, unsigned prec, s32 exp_max, u64 *out)
{
	unsigned rc = fp_rc(f), drop = 64 - prec;
	u64 sign = real_sign(a), hi, rem, ulp = (u64)1 << drop;
	s32 exp, bias = exp_max >> 1;
	bool up, tiny;
	u64 top = sign * ((u64)(exp_max + 1) << (prec - 1)), inf = top | (u64)exp_max << (prec - 1),
	    fraction = ((u64)1 << (prec - 1)) - 1;

	if (real_is_zero(a)) {
		*out = top;
		return true;
	}
	if (unlikely(real_exp(a) == EXP_MAX || real_is_unsupported(a))) {
		bool masked = true;

		if (real_is_unsupported(a)) {
			masked = !fp_raise(f, X87_IE);
			a = REAL_INDEFINITE;
			inf |= (u64)(exp_max + 1) << (prec - 1);
		} else if (real_is_snan(a)) {
			masked = !fp_raise(f, X87_IE);
			a.frac |= QUIET_BIT;
		}
		*out = inf | (a.frac >> drop & fraction);
		return masked;
	}
	hi = real_normal(a, &exp);
	exp += bias - EXP_BIAS;
	rem = hi << prec;
	up = round_up(rc, sign, hi & ulp, rem);
	if (unlikely(exp <= 0)) {
		u128 x;

		tiny = exp < 0 || !(up && !((hi & -ulp) + ulp));
		if (tiny && fp_raise(f, X87_UE))
			return false;
		f->raised &= ~X87_UE;
		x = shift_jam((u128)hi << 64, exp < -126 ? 127 : (unsigned)(1 - exp));
		hi = (u64)(x >> 64);
		rem = hi << prec | !!(u64)x;
		if (rem)
			f->raised |= tiny ? X87_UE | X87_PE : X87_PE;
		up = round_up(rc, sign, hi & ulp, rem);
		exp = 0; /* the J bit, if there is one, adds 1 below */
	} else {
		if (rem)
			f->raised |= X87_PE;
		exp--;
	}
	if (up)
		f->raised |= X87_C1;
	/* A carry out of the fraction belongs into the exponent. */
	*out = exp < exp_max ? ((u64)exp << (prec - 1)) + (hi >> drop) + up : inf;
	if (unlikely(*out >= (u64)exp_max << (prec - 1))) {
		f->raised &= ~(X87_PE | X87_C1);
		if (fp_raise(f, X87_OE))
			return false;
		f->raised |= X87_PE;
		if (rc == 0 || rc == (sign ? 1 : 2)) {
			f->raised |= X87_C1;
			*out = inf;
			return true;
		}
		*out = inf - 1;
		return true;
	}
	*out |= top;
	return true;
}

bool real_to_float(struct fp *f, struct real a, u32 *out)
{
	u64 v = 0;
	bool ok = narrow(f, a, 24, 0xff, &v);

	*out = (u32)v;
	return ok;
}

bool real_to_double(struct fp *f, struct real a, u64 *out) { return narrow(f, a, 53, 0x7ff, out); }

/* The integer nearest to |A| in direction RC, for |A| < 2^64; *REM is what was cut off, *UP whether it was rounded up.
 * Carries to 0 beyond 2^64. */
static u64 to_magnitude(struct real a, unsigned rc, u64 *rem, bool *up)
{
	s32 exp;
	u64 frac, m;

	*rem = 0;
	*up = false;
	if (real_is_zero(a))
		return 0;
	frac = real_normal(a, &exp);
	exp -= EXP_BIAS;
	if (exp >= 63)
		return frac;
	if (exp < -1) {
		m = 0;
		*rem = 1;
	} else {
		m = exp < 0 ? 0 : frac >> (63 - exp);
		*rem = frac << (exp + 1);
	}
	*up = round_up(rc, real_sign(a), m & 1, *rem);
	return m + *up;
}

/* What a conversion to an integer raised; false: dropped. */
static bool converted(struct fp *f, u64 rem, bool up)
{
	if (rem)
		f->raised |= X87_PE;
	if (up)
		f->raised |= X87_C1;
	return true;
}

bool real_to_int(struct fp *f, struct real a, unsigned bytes, bool chop, u64 *out)
{
	u64 limit = (u64)1 << (8 * bytes - 1), m = 0, rem;
	bool up;

	if (real_exp(a) < EXP_BIAS + 64 && !real_is_unsupported(a)) {
		m = to_magnitude(a, chop ? 3 : fp_rc(f), &rem, &up);
		if (m < limit || (m == limit && real_sign(a))) {
			*out = real_sign(a) ? -m : m;
			return converted(f, rem, up);
		}
	}
	*out = -limit; /* the integer indefinite */
	return !fp_raise(f, X87_IE);
}

bool real_to_bcd(struct fp *f, struct real a, u8 out[10])
{
	static const u8 indefinite[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
	u64 m, rem;
	bool up;

	if (real_exp(a) < EXP_BIAS + 63 && !real_is_unsupported(a)) {
		m = to_magnitude(a, fp_rc(f), &rem, &up);
		if (m < 1000000000000000000u) {
			for (int i = 0; i < 9; i++, m /= 100)
				out[i] = (u8)(m / 10 % 10 << 4 | m % 10);
			out[9] = real_sign(a) ? 0x80 : 0;
			return converted(f, rem, up);
		}
	}
	memcpy(out, indefinite, 10);
	return !fp_raise(f, X87_IE);
}

/* ---- exponents ---- */

struct real real_rint(struct fp *f, struct real a)
{
	struct real r;
	u64 m, rem;
	bool up;

	if (real_nan1(f, a, &r))
		return r;
	if (real_is_zero(a) || real_exp(a) >= EXP_BIAS + 63)
		return a;
	if (fp_denormal(f, a, a))
		return a;
	m = to_magnitude(a, fp_rc(f), &rem, &up);
	converted(f, rem, up);
	return from_magnitude(real_sign(a), m);
}

struct real real_scale(struct fp *f, struct real a, struct real b)
{
	struct real r;
	s32 ea, n;
	u64 fa, rem;
	bool up;

	if (real_nan2(f, a, b, &r))
		return r;
	if (real_is_inf(b)) {
		if (real_sign(b) ? real_is_inf(a) : real_is_zero(a))
			return fp_invalid(f);
		if (fp_denormal(f, a, a))
			return a;
		return real_sign(b) ? REAL_ZERO(real_sign(a)) : REAL_INF(real_sign(a));
	}
	if (fp_denormal(f, a, b))
		return a;
	if (real_is_inf(a) || real_is_zero(a))
		return a;
	if (real_is_zero(b))
		return real_same(a);
	n = real_exp(b) >= EXP_BIAS + 17 ? 0x20000 : (s32)to_magnitude(b, 3, &rem, &up);
	fa = real_normal(a, &ea);
	return real_round(f, real_sign(a), ea + (real_sign(b) ? -n : n), fa, 0, 64);
}

struct real real_extract(struct fp *f, struct real a, struct real *significand)
{
	struct real r;
	s32 exp;
	u64 frac;

	*significand = a;
	if (real_nan1(f, a, &r)) {
		*significand = r;
		return r;
	}
	if (real_is_inf(a))
		return REAL_INF(false);
	if (real_is_zero(a)) {
		fp_raise(f, X87_ZE);
		return REAL_INF(true);
	}
	fp_denormal(f, a, a);
	frac = real_normal(a, &exp);
	*significand = (struct real){ frac, (u16)((a.exp & EXP_SIGN) | EXP_BIAS) };
	return real_from_int(exp - EXP_BIAS);
}
