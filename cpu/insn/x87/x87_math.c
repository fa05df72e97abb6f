/* SPDX-License-Identifier: MIT */
/* 2^x - 1, y log2 x, y log2 (x + 1), atan y/x (SDM vol. 1, 8.3.6 and 8.3.7; special values: vol. 2, tables of each
 * instruction).
 *
 * From integers alone, so that all hosts agree (ARCHITECTURE.md, law 5): an argument is reduced until a short series
 * does, which is summed in fixed point with 127 bits behind the point. */
#include "cpu/insn/x87/x87_wide.h"

#define LN2 ((struct wide){ Q(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af), -1, false })
#define TWO_LOG2_E ((struct wide){ Q(0xb8aa3b295c17f0bb, 0xbe87fed0691d3e89), 1, false })
#define PI ((struct wide){ Q(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1), 1, false })
#define HALF_PI ((struct wide){ Q(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1), 0, false })

const u128 x87_inverse_factorial[29] = {
	Q(0x8000000000000000, 0x0000000000000000), /* 1/0! */
	Q(0x8000000000000000, 0x0000000000000000), /* 1/1! */
	Q(0x4000000000000000, 0x0000000000000000), /* 1/2! */
	Q(0x1555555555555555, 0x5555555555555555), /* 1/3! */
	Q(0x0555555555555555, 0x5555555555555555), /* 1/4! */
	Q(0x0111111111111111, 0x1111111111111111), /* 1/5! */
	Q(0x002d82d82d82d82d, 0x82d82d82d82d82d8), /* 1/6! */
	Q(0x0006806806806806, 0x8068068068068068), /* 1/7! */
	Q(0x0000d00d00d00d00, 0xd00d00d00d00d00d), /* 1/8! */
	Q(0x0000171de3a556c7, 0x338faac1c88e5001), /* 1/9! */
	Q(0x0000024fc9f6ef13, 0xeb8e5de02da7d4cd), /* 1/10! */
	Q(0x00000035cc8acfea, 0x89c71fce8fc97070), /* 1/11! */
	Q(0x000000047bb63bfe, 0x3625ed5136a61eb4), /* 1/12! */
	Q(0x000000005849184e, 0xa1b425f28e0cc749), /* 1/13! */
	Q(0x00000000064e5d2a, 0x301f27482eb7c517), /* 1/14! */
	Q(0x00000000006b9fcf, 0x9ccee07c476195ac), /* 1/15! */
	Q(0x000000000006b9fc, 0xf9ccee07c476195b), /* 1/16! */
	Q(0x000000000000654b, 0x1dc0c2b529ac9814), /* 1/17! */
	Q(0x00000000000005a0, 0x9e18ee5f65deec01), /* 1/18! */
	Q(0x000000000000004b, 0xd26d1a05055c9328), /* 1/19! */
	Q(0x0000000000000003, 0xca8574804044a0f5), /* 1/20! */
	Q(0x0000000000000000, 0x2e371dedb9eae318), /* 1/21! */
	Q(0x0000000000000000, 0x0219c72db6ff0a53), /* 1/22! */
	Q(0x0000000000000000, 0x001761b41316381a), /* 1/23! */
	Q(0x0000000000000000, 0x0000f96780cb97ac), /* 1/24! */
	Q(0x0000000000000000, 0x000009f9e66e8b30), /* 1/25! */
	Q(0x0000000000000000, 0x000000623a17f1a9), /* 1/26! */
	Q(0x0000000000000000, 0x00000003a356385c), /* 1/27! */
	Q(0x0000000000000000, 0x000000002143144c), /* 1/28! */
};

static struct real settle(struct fp *f, struct wide a, bool exact)
{
	struct real r = real_round(f, a.neg, a.exp + EXP_BIAS, (u64)(a.frac >> 64), (u64)a.frac | !exact, 64);

	f->raised |= real_exp(r) ? X87_PE : X87_PE | X87_UE; /* the chip never looks whether a result is exact */
	return r;
}

/* ---- 2^x - 1 ---- */

struct real real_f2xm1(struct fp *f, struct real x)
{
	struct real r;
	struct wide t;
	u128 u, sum;

	if (real_nan1(f, x, &r))
		return r;
	if (real_is_inf(x))
		return real_sign(x) ? REAL_ONE(true) : x;
	if (fp_denormal(f, x, x) || real_is_zero(x))
		return x;
	if (real_exp(x) >= EXP_BIAS) /* 1, -1, and beyond what the instruction is defined for: X itself, inexact */
		return f->raised |= X87_PE, x.exp == (EXP_BIAS | EXP_SIGN) && x.frac == J_BIT
						    ? (struct real){ J_BIT, (EXP_BIAS - 1) | EXP_SIGN }
						    : x;
	/* e^t - 1 = t (1 + t/2! + t^2/3! + ...) with t = x ln 2 */
	t = wide_mul(wide_real(x), LN2);
	u = wide_to_q(t);
	sum = x87_inverse_factorial[26];
	for (int k = 25; k >= 1; k--)
		sum = t.neg ? x87_inverse_factorial[k] - mul_q(u, sum) : x87_inverse_factorial[k] + mul_q(u, sum);
	return settle(f, wide_mul(t, wide_q(false, sum)), false);
}

/* ---- logarithms ---- */

/* 1 + s^2/3 + s^4/5 + ...: atanh s / s (ALTERNATE: 1 - s^2/3 + ...: atan s / s), for |s| below 0.18. */
static u128 odd_series(struct wide s, bool alternate)
{
	static const u128 odd[] = { Q_ONE, Q_ONE / 3, Q_ONE / 5, Q_ONE / 7, Q_ONE / 9, Q_ONE / 11, Q_ONE / 13,
		Q_ONE / 15, Q_ONE / 17, Q_ONE / 19,
	                            Q_ONE / 21, Q_ONE / 23, Q_ONE / 25, Q_ONE / 27, Q_ONE / 29, Q_ONE / 31, Q_ONE / 33,
	                            Q_ONE / 35, Q_ONE / 37 };
	u128 u = wide_to_q(wide_mul(s, s)), sum = Q_ONE / 39;

	for (int k = ARRAY_LEN(odd) - 1; k >= 0; k--)
		sum = alternate ? odd[k] - mul_q(u, sum) : odd[k] + mul_q(u, sum);
	return sum;
}

/* log2 ((1 + s) / (1 - s)) */
static struct wide log2_ratio(struct wide s)
{
	return wide_mul(wide_mul(s, wide_q(false, odd_series(s, false))), TWO_LOG2_E);
}

static struct wide wide_int(s32 v) { return wide_norm(v < 0, 127, v < 0 ? (u128)-(s64)v : (u128)v); }

/* log2 of a positive number; *EXACT if it is a power of two. */
static struct wide wide_log2(struct wide a, bool *exact)
{
	static const struct wide one = { Q_ONE, 0, false };
	struct wide m = a, minus_one = one;
	s32 exp = a.exp;

	*exact = a.frac == Q_ONE;
	if (*exact)
		return wide_int(exp);
	m.exp = 0;
	if (m.frac >= Q(0xb504f333f9de6484, 0x597d89b3754abe9f)) { /* sqrt 2: m is to be near 1 */
		m.exp = -1;
		exp++;
	}
	minus_one.neg = true;
	return wide_add(wide_int(exp), log2_ratio(wide_div(wide_add(m, minus_one), wide_add(m, one))));
}

struct real real_yl2x(struct fp *f, struct real x, struct real y)
{
	struct real r;
	bool exact, below_one;
	struct wide l;

	if (real_nan2(f, x, y, &r))
		return r;
	if (real_sign(x) && !real_is_zero(x))
		return fp_invalid(f);
	below_one = real_exp(x) < EXP_BIAS;
	if (real_is_zero(x)) {
		if (real_is_zero(y))
			return fp_invalid(f);
		if (real_is_inf(y))
			return REAL_INF(!real_sign(y));
		fp_raise(f, X87_ZE);
		return REAL_INF(!real_sign(y));
	}
	if (real_is_inf(y)) {
		if (x.frac == J_BIT && real_exp(x) == EXP_BIAS)
			return fp_invalid(f);
		if (fp_denormal(f, x, x))
			return x;
		return REAL_INF(real_sign(y) ^ below_one);
	}
	if (real_is_inf(x)) {
		if (real_is_zero(y))
			return fp_invalid(f);
		if (fp_denormal(f, y, y))
			return x;
		return REAL_INF(real_sign(y));
	}
	if (fp_denormal(f, x, y))
		return x;
	if (real_is_zero(y))
		return REAL_ZERO(real_sign(y) ^ below_one);
	l = wide_log2(wide_real(x), &exact);
	if (!l.frac)
		return REAL_ZERO(real_sign(y));
	return settle(f, wide_mul(l, wide_real(y)), exact);
}

struct real real_yl2xp1(struct fp *f, struct real x, struct real y)
{
	static const struct wide one = { Q_ONE, 0, false }, two = { Q_ONE, 1, false };
	struct real r;
	struct wide l, w;
	bool exact = false;

	if (real_nan2(f, x, y, &r))
		return r;
	if (real_is_inf(x)) {
		if (real_is_zero(y) || real_sign(x))
			return fp_invalid(f);
		if (fp_denormal(f, y, y))
			return x;
		return REAL_INF(real_sign(y));
	}
	if (real_is_inf(y)) {
		if (real_is_zero(x))
			return fp_invalid(f);
		if (fp_denormal(f, x, x))
			return x;
		return REAL_INF(real_sign(x) ^ real_sign(y));
	}
	if (fp_denormal(f, x, y))
		return x;
	if (real_is_zero(x) || real_is_zero(y))
		return REAL_ZERO(real_sign(x) ^ real_sign(y));
	if (real_sign(x) && real_exp(x) >= EXP_BIAS) /* -1 and below: not defined, the chip gives X back */
		return f->raised |= X87_PE, x;
	w = wide_real(x);
	l = real_exp(x) < EXP_BIAS - 2 ? log2_ratio(wide_div(w, wide_add(w, two)))
				       : wide_log2(wide_add(w, one), &exact);
	return settle(f, wide_mul(l, wide_real(y)), exact);
}

/* ---- atan y/x ---- */

/* Of two numbers that are not 0, |Y| <= |X|, signs ignored. */
static struct wide atan_quotient(struct wide y, struct wide x)
{
	/* atan k/4 */
	static const u128 quarters[5] = { 0, Q(0x1f5b75f92c80dd62, 0xadb8f3debef442fd),
		Q(0x3b58ce0ac3769ed1, 0x5bf9117b2f0ea341),
	                                  Q(0x525e3e8c9a7b8492, 0x0cd43f9522bed64f),
	                                  Q(0x6487ed5110b4611a, 0x62633145c06e0e69) };
	struct wide t;
	s32 d = x.exp - y.exp;
	unsigned k = 0;

	y.neg = x.neg = false;
	if (d <= 4) {
		/* The nearest k/4 to y/x: atan y/x = atan k/4 + atan (4y - kx) / (4x + ky). */
		u128 fy = y.frac >> 64, fx = (x.frac >> 64) << d, up, down;

		k = (unsigned)((8 * fy / fx + 1) / 2);
		up = 4 * fy;
		down = k * fx;
		t = wide_norm(up < down, 127, up < down ? down - up : up - down);
		t = wide_div(t, wide_norm(false, 127, 4 * fx + k * fy));
	} else {
		t = wide_div(y, x);
	}
	if (!t.frac)
		return wide_q(false, quarters[k]);
	t = wide_mul(t, wide_q(false, odd_series(t, true)));
	return k ? wide_add(wide_q(false, quarters[k]), t) : t;
}

struct real real_atan2(struct fp *f, struct real y, struct real x)
{
	struct real r;
	struct wide a, wx, wy;
	bool negative = real_sign(y), swap;

	if (real_nan2(f, x, y, &r))
		return r;
	if (fp_denormal(f, x, y))
		return y;
	if (real_is_inf(y)) {
		a = !real_is_inf(x) ? HALF_PI : wide_q(false, Q(0x6487ed5110b4611a, 0x62633145c06e0e69));
		if (real_is_inf(x) && real_sign(x)) /* 3/4 pi */
			a = wide_add(HALF_PI, a);
	} else if (real_is_inf(x) || real_is_zero(y)) {
		if (!real_sign(x))
			return REAL_ZERO(negative);
		a = PI;
	} else if (real_is_zero(x)) {
		a = HALF_PI;
	} else {
		wx = wide_real(x);
		wy = wide_real(y);
		swap = wy.exp > wx.exp || (wy.exp == wx.exp && wy.frac > wx.frac);
		a = swap ? atan_quotient(wx, wy) : atan_quotient(wy, wx);
		if (swap) {
			a.neg = !real_sign(x);
			a = wide_add(HALF_PI, a);
		} else if (real_sign(x)) {
			a.neg = true;
			a = wide_add(PI, a);
		}
	}
	a.neg = negative;
	return settle(f, a, false);
}
