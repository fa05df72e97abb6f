/* SPDX-License-Identifier: MIT */
/* Floating point in integers: numbers taken apart, and rounded and put together again. c->soft_mxcsr stands for MXCSR:
 * control bits are read from it, flags are set in it.
 *
 * DAZ and FTZ do not concern numbers of 16 bits (SDM vol. 1, 14.4.1).
 *
 * A finite number that is not zero is  significand * 2^(exp - 63), the significand's highest bit set. */
#ifndef CPU_VEC_SOFT_H
#define CPU_VEC_SOFT_H

#include "cpu/insn/vector/mxcsr.h"

typedef unsigned __int128 u128;

struct format { u8 frac_bits; u16 bias; u64 sign; };
static const struct format f16 = { 10, 15, 1 << 15 }, f32 = { 23, 127, (u64)1 << 31 }, f64 = { 52, 1023, (u64)1 << 63 },
			   bf16 = { 7, 127, 1 << 15 } /* bfloat16 */;

enum class { ZERO, NUMBER, INFINITE, QNAN, SNAN };
struct num { enum class class; bool sign, denormal; s32 exp; u64 sig; };

static inline void flag(struct cpu *c, u32 flags) { c->soft_mxcsr |= flags; }
static inline unsigned rounding(const struct cpu *c) { return c->soft_mxcsr >> 13 & 3; }

/* As instructions on bfloat16 compute: to nearest, denormal numbers are zeros, no exceptions, whatever MXCSR says. What
 * soft_mxcsr was; it has to be set to that again. */
static inline u32 soft_quiet_begin(struct cpu *c)
{
	u32 saved = c->soft_mxcsr;

	c->soft_mxcsr = MXCSR_MASKS | MXCSR_DAZ | MXCSR_FTZ;
	return saved;
}

static inline u64 infinity(struct format f) { return (u64)(2 * f.bias + 1) << f.frac_bits; }
static inline u64 quiet(struct format f) { return (u64)1 << (f.frac_bits - 1); }
static inline u64 indefinite(struct format f) { return f.sign | infinity(f) | quiet(f); }

static inline struct num unpack(const struct cpu *c, u64 v, struct format f)
{
	struct num n = { .sign = v & f.sign };
	u64 frac = v & (((u64)1 << f.frac_bits) - 1);
	s32 exp = (s32)(v >> f.frac_bits & (2 * f.bias + 1u));

	if (exp == 2 * f.bias + 1) {
		n.class = !frac ? INFINITE : v & quiet(f) ? QNAN : SNAN;
		return n;
	}
	if (!exp && (!frac || (c->soft_mxcsr & MXCSR_DAZ && f.frac_bits != f16.frac_bits)))
		return n;
	n.class = NUMBER;
	n.denormal = !exp;
	n.sig = (exp ? frac | (u64)1 << f.frac_bits : frac) << (63 - f.frac_bits);
	n.exp = (exp ? exp : 1) - f.bias;
	while (!(n.sig >> 63)) {
		n.sig <<= 1;
		n.exp--;
	}
	return n;
}

static inline u64 invalid(struct cpu *c, struct format f)
{
	flag(c, MXCSR_IE);
	return indefinite(f);
}

/* SIG, its highest bit set, without its low DROP bits: rounded; *INEXACT if they were not zero. */
static inline u128 round_bits(u128 sig, unsigned drop, unsigned rc, bool sign, bool *inexact)
{
	u128 rest, half;
	bool up;

	if (drop > 127) { /* nothing stays; with 128, it is at least a half */
		*inexact = true;
		return rc == 0 ? drop == 128 && sig > (u128)1 << 127 : (rc == 1 && sign) || (rc == 2 && !sign);
	}
	rest = sig & (((u128)1 << drop) - 1);
	half = (u128)1 << (drop - 1);
	sig >>= drop;
	*inexact = rest != 0;
	up = rc == 0 ? rest > half || (rest == half && sig & 1) : rest && ((rc == 1 && sign) || (rc == 2 && !sign));
	return sig + up;
}

/* The number SIG * 2^(EXP - 127) in format F; SIG's highest bit is set, its lowest is sticky. Where overflow or
 * underflow is not masked, the flags are those of a trap: a tiny number is enough for UE, and PE is about the result
 * with an unbounded exponent. */
static inline u64 pack(struct cpu *c, bool sign, s32 exp, u128 sig, struct format f)
{
	u64 s = sign ? f.sign : 0;
	unsigned drop = 127 - f.frac_bits, rc = rounding(c);
	bool inexact;
	u128 r = round_bits(sig, drop, rc, sign, &inexact);
	s32 biased = exp + f.bias + (r >> (f.frac_bits + 1) ? 1 : 0);

	if (biased < 1) { /* tiny, as rounded with an unbounded exponent */
		s32 shift = 1 - (exp + f.bias);

		if (!(c->soft_mxcsr & MXCSR_UM)) {
			flag(c, MXCSR_UE | (inexact ? MXCSR_PE : 0));
			return s;
		}
		if (c->soft_mxcsr & MXCSR_FTZ && f.frac_bits != f16.frac_bits) {
			flag(c, MXCSR_UE | MXCSR_PE);
			return s;
		}
		r = round_bits(sig, drop + (unsigned)shift, rc, sign, &inexact);
		if (inexact)
			flag(c, MXCSR_UE | MXCSR_PE);
		return s | (u64)r; /* a carry into the exponent makes it the smallest normal number */
	}
	if (biased > 2 * f.bias) {
		flag(c, MXCSR_OE | (inexact || c->soft_mxcsr & MXCSR_OM ? MXCSR_PE : 0));
		return s | (infinity(f) - (rc == 3 || rc == (sign ? 2 : 1)));
	}
	if (inexact)
		flag(c, MXCSR_PE);
	return s | (((u64)(exp + f.bias - 1) << f.frac_bits) + (u64)r);
}

static inline u64 pack_sum(struct cpu *c, bool sign, s32 exp, u128 sig, struct format f)
{
	while (!(sig >> 127)) {
		sig <<= 1;
		exp--;
	}
	return pack(c, sign, exp, sig, f);
}

/* ---- operations (vec_soft.c, fma.c) ---- */

typedef u64 soft_fn(struct cpu *c, u64 a, u64 b, struct format f);
soft_fn soft_add, soft_sub, soft_mul, soft_div, soft_sqrt /* of B */, soft_min, soft_max;
/* A * B + ADDEND, where the product's and the addend's sign may be turned. */
u64 soft_fma(struct cpu *c, u64 a, u64 b, u64 addend, bool turn_product, bool turn_addend, struct format f);
enum { LESS = -1, EQUAL, GREATER, UNORDERED };
int soft_compare(struct cpu *c, u64 a, u64 b, struct format f, bool quiet_is_invalid);
/* Integers of BITS. What does not fit gives the integer indefinite, 8000..h, unsigned all ones. CHOP: rounding to zero.
 */
u64 soft_to_int(struct cpu *c, u64 v, struct format f, unsigned bits, bool chop);
u64 soft_to_uint(struct cpu *c, u64 v, struct format f, unsigned bits, bool chop);
/* The same, but what does not fit gives the nearest integer of BITS, and a NaN gives 0. */
u64 soft_saturate(struct cpu *c, u64 v, struct format f, unsigned bits, bool is_signed, bool chop);
u64 soft_from_int(struct cpu *c, s64 v, struct format f);
u64 soft_from_uint(struct cpu *c, u64 v, struct format f);
u64 soft_convert(struct cpu *c, u64 v, struct format from, struct format to);

static inline struct format format_of(unsigned size) { return size == 2 ? f16 : size == 4 ? f32 : f64; }

#endif
