/* SPDX-License-Identifier: MIT */
/* 80-bit numbers, and arithmetic on them in integers: the same bits on every host. Inside of x87*.c only.
 *
 *    79  78         64 63 62            0
 *    S   exponent      J  fraction          value = (-1)^S * J.fraction * 2^(exponent - 16383)
 *
 * (SDM vol. 1, 4.2.2 and 8.2.) With exponent 0: zero, denormals, and pseudo-denormals (J = 1), which are worth what
 * exponent 1 would give them. With another exponent and J = 0: no number at all for a 387 and later (unnormal,
 * pseudo-infinity, pseudo-NaN): an invalid operand. */
#ifndef CPU_X87_REAL_H
#define CPU_X87_REAL_H

#include "cpu/x87.h"

typedef unsigned __int128 u128;

struct real { u64 frac; u16 exp; /* sign in bit 15 */ };

/* One operation's view of the control word, and what it raised. */
struct fp {
	u16 cw;
	u16 raised;    /* X87_IE..X87_SF, X87_C1: rounded up */
	bool denormal; /* an operand in memory was a denormal float or double (as a real it no longer shows) */
};

enum { EXP_BIAS = 16383, EXP_MAX = 0x7fff, EXP_SIGN = 0x8000,
	EXP_WRAP = 24576 /* what an unmasked overflow takes off */ };
#define J_BIT ((u64)1 << 63)
#define QUIET_BIT ((u64)1 << 62)

#define REAL_INDEFINITE ((struct real){ J_BIT | QUIET_BIT, 0xffff })
#define REAL_ZERO(sign) ((struct real){ 0, (sign) ? EXP_SIGN : 0 })
#define REAL_INF(sign) ((struct real){ J_BIT, EXP_MAX | ((sign) ? EXP_SIGN : 0) })
#define REAL_ONE(sign) ((struct real){ J_BIT, EXP_BIAS | ((sign) ? EXP_SIGN : 0) })

static inline bool real_sign(struct real a) { return a.exp >> 15; }
static inline s32 real_exp(struct real a) { return a.exp & EXP_MAX; }
static inline bool real_is_zero(struct real a) { return !a.frac && !real_exp(a); }
static inline bool real_is_inf(struct real a) { return real_exp(a) == EXP_MAX && a.frac == J_BIT; }
static inline bool real_is_nan(struct real a) { return real_exp(a) == EXP_MAX && a.frac > J_BIT; }
static inline bool real_is_snan(struct real a) { return real_is_nan(a) && !(a.frac & QUIET_BIT); }
static inline bool real_is_denormal(struct real a) { return !real_exp(a) && a.frac; }
static inline bool real_is_unsupported(struct real a) { return real_exp(a) && !(a.frac >> 63); }
/* Anything but an ordinary number? */
static inline bool real_is_special(struct real a) { return (u16)(real_exp(a) - 1) >= EXP_MAX - 1 || !(a.frac >> 63); }

/* The same number, a pseudo-denormal with the exponent that it is worth. */
static inline struct real real_same(struct real a)
{
	if (!real_exp(a))
		a.exp |= (u16)(a.frac >> 63);
	return a;
}

/* Raise E; true: it is unmasked. (For IE, DE and ZE the result is then dropped.) */
static inline bool fp_raise(struct fp *f, u16 e)
{
	f->raised |= e;
	return e & ~f->cw & X87_EXCEPTIONS;
}
static inline struct real fp_invalid(struct fp *f)
{
	fp_raise(f, X87_IE);
	return REAL_INDEFINITE;
}
/* Must the result not be written? */
static inline bool fp_dropped(const struct fp *f) { return f->raised & ~f->cw & (X87_IE | X87_DE | X87_ZE); }
static inline unsigned fp_rc(const struct fp *f) { return f->cw >> 10 & 3; }
static inline unsigned fp_precision(const struct fp *f)
{
	static const u8 bits_of[4] = { 24, 64, 53, 64 };

	return bits_of[f->cw >> 8 & 3];
}
/* Of a denormal operand: true if it is unmasked. */
static inline bool fp_denormal(struct fp *f, struct real a, struct real b)
{
	return (f->denormal || real_is_denormal(a) || real_is_denormal(b)) && fp_raise(f, X87_DE);
}

static inline unsigned clz128(u128 x)
{
	return x >> 64 ? (unsigned)__builtin_clzll((u64)(x >> 64)) : 64 + (unsigned)__builtin_clzll((u64)x);
}
/* X >> N with everything that falls out kept as bit 0. */
static inline u128 shift_jam(u128 x, unsigned n)
{
	return !n ? x : n < 128 ? x >> n | !!(x << (128 - n)) : x != 0;
}
/* Significand with J set, and its exponent (0 and less for denormals), of a number that is not zero. */
static inline u64 real_normal(struct real a, s32 *exp)
{
	unsigned n = (unsigned)__builtin_clzll(a.frac);

	*exp = (real_exp(a) ? real_exp(a) : 1) - (s32)n;
	return a.frac << n;
}

/* ---- x87_arith.c ---- */

/* The number (-1)^SIGN * HI.LO * 2^(EXP - bias), HI with J set, LO below it with a sticky bit 0, rounded to PREC (24,
 * 53, 64) bits with masked and unmasked overflow and underflow (SDM vol. 1, 8.5.4 to 8.5.6). */
struct real real_round(struct fp *f, bool sign, s32 exp, u64 hi, u64 lo, unsigned prec);
/* Round up a magnitude that has REM (bit 63: half, the rest below) behind it? */
bool round_up(unsigned rc, bool sign, bool odd, u64 rem);
/* NaNs and unsupported formats among operands: true if there was one, and *R is the result. */
bool real_nan1(struct fp *f, struct real a, struct real *r);
bool real_nan2(struct fp *f, struct real a, struct real b, struct real *r);

struct real real_add(struct fp *f, struct real a, struct real b);
struct real real_sub(struct fp *f, struct real a, struct real b);
struct real real_mul(struct fp *f, struct real a, struct real b);
struct real real_div(struct fp *f, struct real a, struct real b);
struct real real_sqrt(struct fp *f, struct real a);
/* FPREM, or FPREM1 (NEAREST). *CC gets C2 (not finished) or C0 C3 C1 (quotient bits 2 1 0). */
struct real real_rem(struct fp *f, struct real a, struct real b, bool nearest, u16 *cc);
/* C3 C2 C0 as FCOM sets them. QUIET: a quiet NaN is not invalid. */
u16 real_compare(struct fp *f, struct real a, struct real b, bool quiet);

/* ---- x87_convert.c ---- */

/* Widening is exact and raises nothing: f->denormal is set. */
struct real real_from_float(struct fp *f, u32 v);
struct real real_from_double(struct fp *f, u64 v);
struct real real_from_int(s64 v);
struct real real_from_bcd(const u8 in[10]);
/* What FLD of a float or double adds: SNaN and denormal exceptions. */
struct real real_loaded(struct fp *f, struct real a);
/* Stores. False: an unmasked exception says that nothing must be stored. */
bool real_to_float(struct fp *f, struct real a, u32 *out);
bool real_to_double(struct fp *f, struct real a, u64 *out);
bool real_to_int(struct fp *f, struct real a, unsigned bytes, bool chop, u64 *out);
bool real_to_bcd(struct fp *f, struct real a, u8 out[10]);
struct real real_rint(struct fp *f, struct real a);
struct real real_scale(struct fp *f, struct real a, struct real b);
/* FXTRACT: the exponent is returned, the significand goes to *SIGNIFICAND. */
struct real real_extract(struct fp *f, struct real a, struct real *significand);

/* ---- x87_math.c, x87_trig.c ---- */
struct real real_f2xm1(struct fp *f, struct real x);
struct real real_yl2x(struct fp *f, struct real x, struct real y);
struct real real_yl2xp1(struct fp *f, struct real x, struct real y);
struct real real_atan2(struct fp *f, struct real y, struct real x);
/* *SINE and *COSINE (either may be NULL) of X; false: |X| >= 2^63, C2 is to be set. TAN: *sine gets the tangent. */
bool real_sincos(struct fp *f, struct real x, struct real *sine, struct real *cosine);
bool real_tan(struct fp *f, struct real x, struct real *tangent);

#endif
