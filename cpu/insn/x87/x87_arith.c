/* SPDX-License-Identifier: MIT */
/* + - * / square root and remainder of 80-bit numbers (SDM vol. 1, 8.3.5, 8.5 and appendix D). */
#include "cpu/insn/x87/x87_real.h"

bool round_up(unsigned rc, bool sign, bool odd, u64 rem)
{
	switch (rc) {
	case 0: return rem > J_BIT || (rem == J_BIT && odd);
	case 1: return sign && rem;
	case 2: return !sign && rem;
	default: return false;
	}
}

/* What is behind the last of PREC bits. */
static inline u64 remainder_of(u64 hi, u64 lo, unsigned prec) { return prec == 64 ? lo : hi << prec | !!lo; }

static COLD struct real overflow(struct fp *f, bool sign, unsigned prec)
{
	unsigned rc = fp_rc(f);
	u16 s = sign ? EXP_SIGN : 0;

	f->raised = (u16)((f->raised & ~X87_C1) | X87_PE);
	if (rc == 0 || rc == (sign ? 1 : 2)) {
		f->raised |= X87_C1;
		return REAL_INF(sign);
	}
	return (struct real){ prec == 64 ? ~(u64)0 : ~(~(u64)0 >> prec), (u16)(s | (EXP_MAX - 1)) };
}

static COLD struct real round_tiny(struct fp *f, bool sign, s32 exp, u64 hi, u64 lo, unsigned prec)
{
	u64 rem = remainder_of(hi, lo, prec), ulp = (u64)1 << (64 - prec);
	unsigned rc = fp_rc(f);
	bool odd = hi & ulp, up = round_up(rc, sign, odd, rem);
	/* Tiny as x86 sees it: after rounding, as if the exponent had no end. */
	bool tiny = exp < 0 || !(up && !((hi & -ulp) + ulp));
	u128 x;

	if (tiny && fp_raise(f, X87_UE)) {
		if (exp + EXP_WRAP > 0)
			return real_round(f, sign, exp + EXP_WRAP, hi, lo, prec);
		f->raised |= X87_PE; /* FSCALE alone comes so far */
		return REAL_ZERO(sign);
	}
	f->raised &= ~X87_UE;
	x = shift_jam((u128)hi << 64 | lo, exp < -200 ? 200 : (unsigned)(1 - exp));
	hi = (u64)(x >> 64);
	rem = remainder_of(hi, (u64)x, prec);
	if (rem)
		fp_raise(f, tiny ? X87_UE | X87_PE : X87_PE);
	up = round_up(rc, sign, hi & ulp, rem);
	hi &= -ulp;
	if (up) {
		hi += ulp;
		f->raised |= X87_C1;
	}
	return (struct real){ hi, (u16)((sign ? EXP_SIGN : 0) | (hi >> 63)) };
}

ALWAYS_INLINE struct real round_inline(struct fp *f, bool sign, s32 exp, u64 hi, u64 lo, unsigned prec)
{
	u64 rem, ulp = (u64)1 << (64 - prec);

	if (unlikely(exp <= 0))
		return round_tiny(f, sign, exp, hi, lo, prec);
	/* as most programs have it: to nearest, all bits */
	if (likely(!(f->cw & 0xc00) && prec == 64 && exp < EXP_MAX - 1)) {
		unsigned up = (unsigned)(lo >> 63) & ((lo << 1 != 0) | (unsigned)(hi & 1));

		f->raised |= (u16)((lo ? X87_PE : 0) | up * X87_C1);
		hi += up;
		exp += !hi;
		return (struct real){ hi | (u64)!hi << 63, (u16)(exp | sign << 15) };
	}
	rem = remainder_of(hi, lo, prec);
	if (rem) {
		f->raised |= X87_PE;
		if (round_up(fp_rc(f), sign, hi & ulp, rem)) {
			f->raised |= X87_C1;
			hi = (hi & -ulp) + ulp;
			if (!hi) {
				hi = J_BIT;
				exp++;
			}
		}
		hi &= -ulp;
	}
	if (unlikely(exp >= EXP_MAX)) {
		if (!fp_raise(f, X87_OE))
			return overflow(f, sign, prec);
		exp -= EXP_WRAP;
		if (exp >= EXP_MAX) { /* FSCALE alone comes so far */
			f->raised |= X87_PE | X87_C1;
			return REAL_INF(sign);
		}
	}
	return (struct real){ hi, (u16)(exp | (sign ? EXP_SIGN : 0)) };
}

struct real real_round(struct fp *f, bool sign, s32 exp, u64 hi, u64 lo, unsigned prec)
{
	return round_inline(f, sign, exp, hi, lo, prec);
}

/* Of two NaNs the larger significand wins; a quiet one before a signalling one; positive before negative (SDM vol. 1,
 * table 4-7). */
static struct real choose_nan(struct real a, struct real b)
{
	bool as = real_is_snan(a), bs = real_is_snan(b);
	struct real r;

	if (!real_is_nan(b) || (real_is_nan(a) && bs && !as))
		r = a;
	else if (!real_is_nan(a) || (as && !bs))
		r = b;
	else if (a.frac != b.frac)
		r = a.frac > b.frac ? a : b;
	else
		r = a.exp < b.exp ? a : b;
	r.frac |= QUIET_BIT;
	return r;
}

bool real_nan2(struct fp *f, struct real a, struct real b, struct real *r)
{
	if (real_is_unsupported(a) || real_is_unsupported(b)) {
		*r = fp_invalid(f);
		return true;
	}
	if (!real_is_nan(a) && !real_is_nan(b))
		return false;
	if (real_is_snan(a) || real_is_snan(b))
		fp_raise(f, X87_IE);
	*r = choose_nan(a, b);
	return true;
}

bool real_nan1(struct fp *f, struct real a, struct real *r) { return real_nan2(f, a, REAL_ZERO(0), r); }

/* ---- addition ---- */

/* Sum of two magnitudes (DIFFER: their difference), the first with SIGN. */
static struct real add_magnitudes(struct fp *f, bool sign, bool differ, s32 ea, u64 fa, s32 eb, u64 fb)
{
	u128 a, b;
	unsigned n;

	if (ea < eb || (ea == eb && fa < fb)) {
		s32 e = ea;
		u64 t = fa;

		ea = eb;
		eb = e;
		fa = fb;
		fb = t;
		sign ^= differ;
	}
	a = (u128)fa << 63;
	b = (u128)fb << 63;
	b = likely(ea - eb < 64) ? b >> (ea - eb) : shift_jam(b, (unsigned)(ea - eb));
	a = differ ? a - b : a + b;
	if (!a)
		return REAL_ZERO(fp_rc(f) == 1);
	n = clz128(a);
	a <<= n;
	return round_inline(f, sign, ea + 1 - (s32)n, (u64)(a >> 64), (u64)a, fp_precision(f));
}

static COLD struct real add_special(struct fp *f, struct real a, struct real b, bool sub)
{
	struct real r;
	bool sa = real_sign(a), sb = real_sign(b) ^ sub;
	s32 ea, eb;
	u64 fa, fb;

	if (real_nan2(f, a, b, &r))
		return r;
	if (real_is_inf(a) && real_is_inf(b) && sa != sb)
		return fp_invalid(f);
	if (fp_denormal(f, a, b))
		return a;
	if (real_is_inf(a))
		return a;
	if (real_is_inf(b))
		return REAL_INF(sb);
	if (real_is_zero(a) && real_is_zero(b))
		return REAL_ZERO(sa == sb ? sa : fp_rc(f) == 1);
	if (real_is_zero(b)) {
		fa = real_normal(a, &ea);
		return real_round(f, sa, ea, fa, 0, fp_precision(f));
	}
	fb = real_normal(b, &eb);
	if (real_is_zero(a))
		return real_round(f, sb, eb, fb, 0, fp_precision(f));
	fa = real_normal(a, &ea);
	return add_magnitudes(f, sa, sa != sb, ea, fa, eb, fb);
}

struct real real_add(struct fp *f, struct real a, struct real b)
{
	if (unlikely(f->denormal || real_is_special(a) || real_is_special(b)))
		return add_special(f, a, b, false);
	return add_magnitudes(f, real_sign(a), real_sign(a) != real_sign(b), real_exp(a), a.frac, real_exp(b), b.frac);
}

struct real real_sub(struct fp *f, struct real a, struct real b)
{
	if (unlikely(f->denormal || real_is_special(a) || real_is_special(b)))
		return add_special(f, a, b, true);
	return add_magnitudes(f, real_sign(a), real_sign(a) == real_sign(b), real_exp(a), a.frac, real_exp(b), b.frac);
}

/* ---- multiplication and division ---- */

static inline struct real mul_normal(struct fp *f, bool sign, s32 ea, u64 fa, s32 eb, u64 fb)
{
	u128 p = (u128)fa * fb;
	s32 exp = ea + eb - EXP_BIAS + 1;

	if (!(p >> 127)) {
		p <<= 1;
		exp--;
	}
	return round_inline(f, sign, exp, (u64)(p >> 64), (u64)p, fp_precision(f));
}

static COLD struct real mul_special(struct fp *f, struct real a, struct real b)
{
	struct real r;
	bool sign = real_sign(a) ^ real_sign(b);
	s32 ea, eb;
	u64 fa, fb;

	if (real_nan2(f, a, b, &r))
		return r;
	if ((real_is_inf(a) && real_is_zero(b)) || (real_is_zero(a) && real_is_inf(b)))
		return fp_invalid(f);
	if (fp_denormal(f, a, b))
		return a;
	if (real_is_inf(a) || real_is_inf(b))
		return REAL_INF(sign);
	if (real_is_zero(a) || real_is_zero(b))
		return REAL_ZERO(sign);
	fa = real_normal(a, &ea);
	fb = real_normal(b, &eb);
	return mul_normal(f, sign, ea, fa, eb, fb);
}

struct real real_mul(struct fp *f, struct real a, struct real b)
{
	if (unlikely(f->denormal || real_is_special(a) || real_is_special(b)))
		return mul_special(f, a, b);
	return mul_normal(f, real_sign(a) ^ real_sign(b), real_exp(a), a.frac, real_exp(b), b.frac);
}

static inline struct real div_normal(struct fp *f, bool sign, s32 ea, u64 fa, s32 eb, u64 fb)
{
	bool less = fa < fb; /* then the quotient is below 1 and takes one bit more */
	u128 n = (u128)fa << (63 + less);
	u64 q = (u64)(n / fb), rem = (u64)n - q * fb, lo = 0;

	if (rem)
		lo = rem > fb - rem ? J_BIT | 1 : rem == fb - rem ? J_BIT : 1;
	return round_inline(f, sign, ea - eb + EXP_BIAS - less, q, lo, fp_precision(f));
}

static COLD struct real div_special(struct fp *f, struct real a, struct real b)
{
	struct real r;
	bool sign = real_sign(a) ^ real_sign(b);
	s32 ea, eb;
	u64 fa, fb;

	if (real_nan2(f, a, b, &r))
		return r;
	if ((real_is_inf(a) && real_is_inf(b)) || (real_is_zero(a) && real_is_zero(b)))
		return fp_invalid(f);
	if (real_is_zero(b) && !real_is_inf(a)) {
		fp_raise(f, X87_ZE);
		return REAL_INF(sign);
	}
	if (fp_denormal(f, a, b))
		return a;
	if (real_is_inf(a))
		return REAL_INF(sign);
	if (real_is_inf(b) || real_is_zero(a))
		return REAL_ZERO(sign);
	fa = real_normal(a, &ea);
	fb = real_normal(b, &eb);
	return div_normal(f, sign, ea, fa, eb, fb);
}

struct real real_div(struct fp *f, struct real a, struct real b)
{
	if (unlikely(f->denormal || real_is_special(a) || real_is_special(b)))
		return div_special(f, a, b);
	return div_normal(f, real_sign(a) ^ real_sign(b), real_exp(a), a.frac, real_exp(b), b.frac);
}

/* ---- square root ---- */

/* floor(sqrt(M)), M >= 2^62. */
static u64 root32(u64 m)
{
	/* A line along the curve, good for 5 bits; each step of Newton's doubles them, and never ends below the root.
	 * */
	u64 r = 0x5aa00000 + ((m >> 32) * 0xaaaaaaab >> 32);

	for (int i = 0; i < 3; i++)
		r = (r + m / r) >> 1;
	if (r > 0xffffffff)
		r = 0xffffffff;
	while (r * r > m)
		r--;
	return r;
}

/* floor(sqrt(M)), M >= 2^126. */
static u64 root(u128 m)
{
	u64 hi = (u64)(m >> 64), r = root32(hi);
	/* One step more: sqrt(m) = r << 32 + (m - (r << 32)^2) / (2 * r << 32), less what is below 2 */
	u128 q = ((u128)r << 32) + (((u128)(hi - r * r) << 64 | (u64)m) >> 33) / r;

	r = q >> 64 ? ~(u64)0 : (u64)q;
	while ((u128)r * r > m)
		r--;
	return r;
}

struct real real_sqrt(struct fp *f, struct real a)
{
	struct real r;
	s32 exp;
	u64 frac, q;
	u128 m, rem;

	if (unlikely(real_is_special(a) || real_sign(a))) {
		if (real_nan1(f, a, &r))
			return r;
		if (real_is_zero(a))
			return a;
		if (real_sign(a))
			return fp_invalid(f);
		if (fp_denormal(f, a, a) || real_is_inf(a))
			return a;
	}
	frac = real_normal(a, &exp);
	exp -= EXP_BIAS;
	m = (u128)frac << (63 + (exp & 1)); /* in [2^126, 2^128) */
	q = root(m);
	rem = m - (u128)q * q;
	/* (q + 1/2)^2 = q^2 + q + 1/4: a root is never half-way */
	return real_round(f, false, (exp >> 1) + EXP_BIAS, q, rem > q ? J_BIT | 1 : rem != 0, fp_precision(f));
}

/* ---- remainder ---- */

struct real real_rem(struct fp *f, struct real a, struct real b, bool nearest, u16 *cc)
{
	struct real r;
	bool sign = real_sign(a);
	s32 ea, eb, d;
	u64 fa, fb, q = 0;

	*cc = 0;
	if (unlikely(real_is_special(a) || real_is_special(b))) {
		if (real_nan2(f, a, b, &r))
			return r;
		if (real_is_inf(a) || real_is_zero(b))
			return fp_invalid(f);
		if (fp_denormal(f, a, b))
			return a;
		if (real_is_zero(a))
			return a;
		if (real_is_inf(b))
			return real_same(a);
	}
	fa = real_normal(a, &ea);
	fb = real_normal(b, &eb);
	d = ea - eb;
	if (d < -1 || (d < 0 && !nearest))
		return real_round(f, sign, ea, fa, 0, 64);
	if (d >= 64) {
		/* A part of it: the exponents come nearer by 32 to 63. */
		unsigned n = 32 | (d & 31);

		*cc = X87_C2;
		fa = (u64)(((u128)fa << n) % fb);
		eb += d - (s32)n;
	} else {
		u128 m = d < 0 ? fa : (u128)fa << d;

		if (d < 0) { /* compare a with b / 2 in units of half of b's last bit */
			if (fa > fb) {
				q = 1;
				fa = (u64)(((u128)fb << 1) - fa);
				sign = !sign;
			}
			eb = ea;
		} else {
			q = (u64)(m / fb);
			fa = (u64)(m % fb);
			if (nearest && fa && (fa > fb - fa || (fa == fb - fa && (q & 1)))) {
				q++;
				fa = fb - fa;
				sign = !sign;
			}
		}
		*cc = (u16)((q & 1 ? X87_C1 : 0) | (q & 2 ? X87_C3 : 0) | (q & 4 ? X87_C0 : 0));
	}
	if (!fa)
		return REAL_ZERO(real_sign(a));
	d = __builtin_clzll(fa);
	return real_round(f, sign, eb - d, fa << d, 0, 64);
}

/* ---- comparison ---- */

u16 real_compare(struct fp *f, struct real a, struct real b, bool quiet)
{
	bool sa = real_sign(a), sb = real_sign(b);
	s32 ea, eb;
	u64 fa, fb;

	if (unlikely(f->denormal || real_is_special(a) || real_is_special(b))) {
		if (real_is_unsupported(a) || real_is_unsupported(b) || real_is_nan(a) || real_is_nan(b)) {
			if (!quiet || real_is_unsupported(a) || real_is_unsupported(b) || real_is_snan(a) ||
			    real_is_snan(b))
				fp_raise(f, X87_IE);
			return X87_C3 | X87_C2 | X87_C0;
		}
		fp_denormal(f, a, b);
		if (real_is_zero(a) && real_is_zero(b))
			return X87_C3;
		if (real_is_zero(a))
			return sb ? 0 : X87_C0;
		if (real_is_zero(b))
			return sa ? X87_C0 : 0;
	}
	if (sa != sb)
		return sa ? X87_C0 : 0;
	fa = real_normal(a, &ea);
	fb = real_normal(b, &eb);
	if (ea == eb && fa == fb)
		return X87_C3;
	return (ea < eb || (ea == eb && fa < fb)) != sa ? X87_C0 : 0;
}
