/* SPDX-License-Identifier: MIT */
/* Numbers with 128 bits of significand, for the inner steps of transcendental functions: 64 bits more than a result
 * keeps, so that rounding it once gives the nearest value but in cases that do not occur in practice. Inside of
 * x87_math.c and x87_trig.c only. */
#ifndef CPU_X87_WIDE_H
#define CPU_X87_WIDE_H

#include "cpu/insn/x87/x87_real.h"

struct wide { /* (-1)^neg * frac * 2^(exp - 127); bit 127 of frac is set unless the value is 0 */
	u128 frac;
	s32 exp;
	bool neg;
};

/* Fixed point: 1 bit, point, 127 bits. */
#define Q(hi, lo) ((u128)(hi) << 64 | (lo))
#define Q_ONE ((u128)1 << 127)

extern const u128 x87_inverse_factorial[29]; /* 1/n! (x87_math.c) */

/* Upper half of the product. */
static inline u128 mul_high(u128 a, u128 b)
{
	u64 ah = (u64)(a >> 64), al = (u64)a, bh = (u64)(b >> 64), bl = (u64)b;
	u128 m = (u128)ah * bl, n = (u128)al * bh, low = ((u128)al * bl >> 64) + (u64)m + (u64)n;

	return (u128)ah * bh + (m >> 64) + (n >> 64) + (low >> 64);
}

/* Product of two Qs below 1 or, together, below 2. */
static inline u128 mul_q(u128 a, u128 b) { return mul_high(a, b) << 1; }

static inline struct wide wide_norm(bool neg, s32 exp, u128 frac)
{
	unsigned n = frac ? clz128(frac) : 0;

	return (struct wide){ frac << n, frac ? exp - (s32)n : -100000, neg };
}

static inline struct wide wide_q(bool neg, u128 q) { return wide_norm(neg, 0, q); }

static inline struct wide wide_real(struct real a)
{
	s32 exp;
	u64 frac = real_normal(a, &exp);

	return (struct wide){ (u128)frac << 64, exp - EXP_BIAS, real_sign(a) };
}

static inline struct wide wide_mul(struct wide a, struct wide b)
{
	return wide_norm(a.neg ^ b.neg, a.exp + b.exp + 1, mul_high(a.frac, b.frac));
}

static inline struct wide wide_add(struct wide a, struct wide b)
{
	u128 s;

	if (!b.frac)
		return a;
	if (!a.frac || a.exp < b.exp || (a.exp == b.exp && a.frac < b.frac)) {
		struct wide t = a;

		a = b;
		b = t;
	}
	b.frac = a.exp - b.exp < 128 ? b.frac >> (a.exp - b.exp) : 0;
	s = a.neg == b.neg ? (a.frac >> 1) + (b.frac >> 1) : a.frac - b.frac;
	return wide_norm(a.neg, a.exp + (a.neg == b.neg), s);
}

/* One more digit, base 2^64, of a quotient: of N with BELOW behind it, by D, with N < D and bit 127 of D set. N becomes
 * the remainder. (Knuth, 4.3.1, algorithm D.) */
static inline u64 div_digit(u128 *n, u64 below, u128 d)
{
	u64 dh = (u64)(d >> 64), dl = (u64)d, nh = (u64)(*n >> 64);
	u128 q = nh >= dh ? ~(u64)0 : *n / dh, rem, p;

	p = q * dl;
	rem = *n - q * dh;
	for (;;) {
		/* is n - q * d = rem * 2^64 + below - p negative? */
		if (rem >> 64 || (rem << 64 | below) >= p)
			break;
		q--;
		p -= dl;
		rem += dh;
	}
	*n = (rem << 64 | below) - p;
	return (u64)q;
}

static inline struct wide wide_div(struct wide a, struct wide b)
{
	bool less = a.frac < b.frac;
	u128 n = less ? a.frac : a.frac >> 1;
	u64 q1, q0;

	/* n / b < 1, and at least 1/4: two digits of it */
	q1 = div_digit(&n, less ? 0 : (u64)a.frac << 63, b.frac);
	q0 = div_digit(&n, 0, b.frac);
	return wide_norm(a.neg ^ b.neg, a.exp - b.exp - less, (u128)q1 << 64 | q0);
}

/* As fixed point; |A| < 2, and what is below 2^-127 is lost. */
static inline u128 wide_to_q(struct wide a)
{
	return a.exp < -127 ? 0 : a.frac >> -a.exp;
}

/* Round what is known not to be exact. */
static inline struct real wide_round(struct fp *f, struct wide a)
{
	return real_round(f, a.neg, a.exp + EXP_BIAS, (u64)(a.frac >> 64), (u64)a.frac | 1, 64);
}

#endif
