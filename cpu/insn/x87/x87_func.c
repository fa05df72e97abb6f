/* SPDX-License-Identifier: MIT */
/* x87 instructions that are functions of ST0, or of ST0 and ST1 (SDM vol. 1, 8.3.5 to 8.3.8). */
#include "cpu/insn/x87/x87_insn.h"

/* ---- of one ---- */

typedef struct real unary_fn(struct fp *f, struct real a);

ALWAYS_INLINE bool unary(struct cpu *c, const struct op *o, unary_fn *fn)
{
	struct fp f = fp_begin(c);
	struct real r;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	r = unlikely(x87_empty(c, 0)) ? fp_underflow(&f) : fn(&f, st_get(c, 0));
	if (fp_settle(c, &f))
		st_set(c, 0, r);
	return true;
}

static inline struct real negate(struct fp *f, struct real a)
{
	(void)f;
	a.exp ^= EXP_SIGN;
	return a;
}

static inline struct real absolute(struct fp *f, struct real a)
{
	(void)f;
	a.exp &= EXP_MAX;
	return a;
}

BODY(fchs) { return unary(c, o, negate); }
BODY(fabs) { return unary(c, o, absolute); }
BODY(fsqrt) { return unary(c, o, real_sqrt); }
BODY(frndint) { return unary(c, o, real_rint); }
BODY(f2xm1) { return unary(c, o, real_f2xm1); }
X87_BODY(fchs)
X87_BODY(fabs)
X87_BODY(fsqrt)
X87_BODY(frndint)
X87_BODY(f2xm1)

/* ---- of one, with two results: the first replaces ST0, the second is pushed ---- */

ALWAYS_INLINE bool settle_two(struct cpu *c, struct fp *f, struct real first, struct real second)
{
	if (fp_settle(c, f)) {
		st_set(c, 0, first);
		st_push(c, second);
	}
	return true;
}

/* Stack faults that such an instruction begins with. True: both results are indefinite. */
static inline bool two_stack_faults(struct cpu *c, struct fp *f)
{
	if (x87_empty(c, 0))
		fp_underflow(f);
	else if (!x87_empty(c, 7))
		fp_overflow(f);
	return f->raised;
}

BODY(fxtract)
{
	struct fp f = fp_begin(c);
	struct real exp = REAL_INDEFINITE, significand = REAL_INDEFINITE;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (!two_stack_faults(c, &f))
		exp = real_extract(&f, st_get(c, 0), &significand);
	return settle_two(c, &f, exp, significand);
}
X87_BODY(fxtract)

BODY(fsincos)
{
	struct fp f = fp_begin(c);
	struct real sine = REAL_INDEFINITE, cosine = REAL_INDEFINITE;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~(X87_C1 | X87_C2);
	if (!two_stack_faults(c, &f) && !real_sincos(&f, st_get(c, 0), &sine, &cosine)) {
		c->x87.sw |= X87_C2;
		return true;
	}
	return settle_two(c, &f, sine, cosine);
}
X87_BODY(fsincos)

BODY(fptan)
{
	struct fp f = fp_begin(c);
	struct real tangent = REAL_INDEFINITE;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~(X87_C1 | X87_C2);
	if (!two_stack_faults(c, &f) && !real_tan(&f, st_get(c, 0), &tangent)) {
		c->x87.sw |= X87_C2;
		return true;
	}
	return settle_two(c, &f, tangent, real_is_nan(tangent) ? tangent : REAL_ONE(false));
}
X87_BODY(fptan)

ALWAYS_INLINE bool sine_or_cosine(struct cpu *c, const struct op *o, bool cosine)
{
	struct fp f = fp_begin(c);
	struct real r;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~(X87_C1 | X87_C2);
	if (x87_empty(c, 0)) {
		r = fp_underflow(&f);
	} else if (!real_sincos(&f, st_get(c, 0), cosine ? NULL : &r, cosine ? &r : NULL)) {
		c->x87.sw |= X87_C2;
		return true;
	}
	if (fp_settle(c, &f))
		st_set(c, 0, r);
	return true;
}

BODY(fsin) { return sine_or_cosine(c, o, false); }
BODY(fcos) { return sine_or_cosine(c, o, true); }
X87_BODY(fsin)
X87_BODY(fcos)

/* ---- of two ---- */

/* ST1 becomes FN(ST0, ST1), and ST0 is popped. */
typedef struct real binary_fn(struct fp *f, struct real st0, struct real st1);

ALWAYS_INLINE bool binary_pop(struct cpu *c, const struct op *o, binary_fn *fn)
{
	struct fp f = fp_begin(c);
	struct real r;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	r = unlikely(x87_empty(c, 0) || x87_empty(c, 1)) ? fp_underflow(&f) : fn(&f, st_get(c, 0), st_get(c, 1));
	if (fp_settle(c, &f)) {
		st_set(c, 1, r);
		st_pop(c);
	}
	return true;
}

static inline struct real atan_st1_st0(struct fp *f, struct real st0, struct real st1)
{
	return real_atan2(f, st1, st0);
}

BODY(fyl2x) { return binary_pop(c, o, real_yl2x); }
BODY(fyl2xp1) { return binary_pop(c, o, real_yl2xp1); }
BODY(fpatan) { return binary_pop(c, o, atan_st1_st0); }
X87_BODY(fyl2x)
X87_BODY(fyl2xp1)
X87_BODY(fpatan)

BODY(fscale)
{
	struct fp f = fp_begin(c);
	struct real r;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	r = unlikely(x87_empty(c, 0) || x87_empty(c, 1)) ? fp_underflow(&f)
							 : real_scale(&f, st_get(c, 0), st_get(c, 1));
	if (fp_settle(c, &f))
		st_set(c, 0, r);
	return true;
}
X87_BODY(fscale)

ALWAYS_INLINE bool remainder_of(struct cpu *c, const struct op *o, bool nearest)
{
	struct fp f = fp_begin(c);
	struct real r;
	u16 cc = 0, keep = X87_C0 | X87_C3;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (unlikely(x87_empty(c, 0) || x87_empty(c, 1)))
		r = fp_underflow(&f);
	else
		r = real_rem(&f, st_get(c, 0), st_get(c, 1), nearest, &cc);
	if (!(f.raised & X87_IE) && !real_is_nan(r) && !fp_dropped(&f)) /* else no quotient */
		keep = 0;
	f.raised |= cc & X87_C1;
	x87_set_cc(c, (c->x87.sw & keep) | (cc & ~X87_C1));
	if (fp_settle(c, &f))
		st_set(c, 0, r);
	return true;
}

BODY(fprem) { return remainder_of(c, o, false); }
BODY(fprem1) { return remainder_of(c, o, true); }
X87_BODY(fprem)
X87_BODY(fprem1)
