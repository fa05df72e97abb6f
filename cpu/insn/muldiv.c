/* SPDX-License-Identifier: MIT */
/* MUL IMUL DIV IDIV, and MULX. */
#include "cpu/insn/alu.h"

/* CF = OF = whether the product needs its upper half. The manual leaves SF ZF AF PF undefined: on Intel's processors SF
 * and PF tell of the lower half, ZF and AF are 0. (With 100h a result is not 0, and has the same sign and low byte.) */
ALWAYS_INLINE void product_flags(struct cpu *c, u64 low, bool wide, unsigned size)
{
	c->res = extend(low, size) | 0x100;
	c->cv = (u64)wide << 63;
	c->fix = 0;
}

/* ---- one operand: rDX:rAX (AX for bytes) = rAX * operand ---- */

ALWAYS_INLINE void multiply(struct cpu *c, const struct op *o __attribute__((unused)), u64 b, unsigned size,
	bool is_signed,
			    bool flags)
{
	u64 a = reg_get(c, 8 * RAX, size), low, high;
	bool wide;

	if (is_signed) {
		__int128 product = (__int128)(s64)extend(a, size) * (s64)extend(b, size);

		low = trim((u64)product, size);
		high = trim((u64)(product >> (8 * size)), size);
		wide = product != (s64)extend(low, size);
	} else {
		unsigned __int128 product = (unsigned __int128)a * b;

		low = trim((u64)product, size);
		high = trim((u64)(product >> (8 * size)), size);
		wide = high != 0;
	}
	if (size == 1) {
		reg_set(c, 8 * RAX, 2, high << 8 | low);
	} else {
		reg_set(c, 8 * RAX, size, low);
		reg_set(c, 8 * RDX, size, high);
	}
	if (flags)
		product_flags(c, low, wide, size);
}

ALWAYS_INLINE HANDLER_TYPE multiply_reg(struct cpu *c, const struct op *o, s64 n, unsigned size, bool is_signed,
				    bool flags)
{
	multiply(c, o, reg_get(c, o->dst, size), size, is_signed, flags);
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE multiply_mem(struct cpu *c, const struct op *o, s64 n, unsigned size, bool is_signed,
					enum kind kind, handler *slow)
{
	LOAD_OPERAND(size, kind, slow);
	multiply(c, o, loaded, size, is_signed, true);
	FINISH(slow);
}

struct multiply_forms { handler *reg[2] /* [without flags] */, *mem[3]; };

#define MULTIPLY_SIZE(name, size, is_signed) \
	HANDLER(name##_r##size) { return multiply_reg(c, o, n, size, is_signed, true); } \
	HANDLER(name##_r##size##_n) { return multiply_reg(c, o, n, size, is_signed, false); } \
	MEMORY2(name##_m##size, multiply_mem(c, o, n, size, is_signed, MEMORY_ARGS))
#define MULTIPLY_FORMS(name, size) \
	{ { name##_r##size, name##_r##size##_n }, FORMS2(name##_m##size) }
#define MULTIPLY(name, is_signed) \
	MULTIPLY_SIZE(name, 1, is_signed) MULTIPLY_SIZE(name, 2, is_signed) \
	MULTIPLY_SIZE(name, 4, is_signed) MULTIPLY_SIZE(name, 8, is_signed) \
	GEN(name) \
	{ \
		static const struct multiply_forms forms[4] = { \
			MULTIPLY_FORMS(name, 1), MULTIPLY_FORMS(name, 2), MULTIPLY_FORMS(name, 4), \
				MULTIPLY_FORMS(name, 8), \
		}; \
		const struct multiply_forms *f = &forms[log2_size(dec_size(d, 0))]; \
		o->run = d->mem ? f->mem[dec_way(d)] : f->reg[d->dead_flags]; \
		if (!has(d->model, F_I186)) \
			gen_muldiv_8086(d, o); \
	}

MULTIPLY(mul, false)
MULTIPLY(imul, true)

/* ---- IMUL with two and three operands: register = r/m * (register or immediate) ---- */

ALWAYS_INLINE u64 multiply_to(struct cpu *c, const struct op *o, u64 a, u64 b, unsigned size, bool flags)
{
	s64 product = 0;
	s32 narrow = 0;
	bool wide = size == 8 ? __builtin_mul_overflow((s64)a, (s64)b, &product)
			      : __builtin_mul_overflow((s32)extend(a, size), (s32)extend(b, size), &narrow);
	u64 low = size == 8 ? (u64)product : trim((u64)narrow, size);

	reg_set(c, o->dst, size, low);
	if (flags)
		product_flags(c, low, size == 2 ? narrow != (s16)narrow : wide, size);
	return low;
}

ALWAYS_INLINE HANDLER_TYPE imul_any_reg(struct cpu *c, const struct op *o, s64 n, unsigned size, bool imm, bool flags,
					u64 first)
{
	u64 r = multiply_to(c, o, first, imm ? (u64)o->imm : reg_get(c, o->src, size), size, flags);

	RUN_LAST(o + 1, r);
}

ALWAYS_INLINE HANDLER_TYPE imul_any_mem(struct cpu *c, const struct op *o, s64 n, unsigned size, enum kind kind,
					bool imm, bool flags, handler *slow)
{
	u64 r;

	LOAD_OPERAND(size, kind, slow);
	r = multiply_to(c, o, loaded, imm ? (u64)o->imm : reg_get(c, o->dst, size), size, flags || !slow);
	FINISH_LAST(slow, r);
}

/* [immediate][without flags][forwarded], [immediate][without flags][dec_way()] */
struct imul_forms { handler *reg[2][2][2], *mem[2][2][3]; };

#define IMUL_SIZE(size) \
	HANDLER(imul_rr##size) { return imul_any_reg(c, o, n, size, false, true, reg_get(c, o->base, size)); } \
	HANDLER(imul_rri##size) { return imul_any_reg(c, o, n, size, true, true, reg_get(c, o->src, size)); } \
	HANDLER(imul_rr##size##_n) { return imul_any_reg(c, o, n, size, false, false, reg_get(c, o->base, size)); } \
	HANDLER(imul_rri##size##_n) { return imul_any_reg(c, o, n, size, true, false, reg_get(c, o->src, size)); } \
	FORWARDED_HANDLER(imul_rr##size##_forwarded) { return imul_any_reg(c, o, n, size, false, true, \
		FORWARDED(o->base, size)); } \
	FORWARDED_HANDLER(imul_rr##size##_n_forwarded) { return imul_any_reg(c, o, n, size, false, false, \
		FORWARDED(o->base, size)); } \
	FORWARDED_HANDLER(imul_rri##size##_forwarded) { \
		return imul_any_reg(c, o, n, size, true, true, FORWARDED(o->src, size)); } \
	FORWARDED_HANDLER(imul_rri##size##_n_forwarded) { return imul_any_reg(c, o, n, size, true, false, \
		FORWARDED(o->src, size)); } \
	MEMORY2(imul_rm##size, imul_any_mem(c, o, n, size, kind_, false, true, slow_)) \
	MEMORY2(imul_rmi##size, imul_any_mem(c, o, n, size, kind_, true, true, slow_)) \
	MEMORY2(imul_rm##size##_n, imul_any_mem(c, o, n, size, kind_, false, false, slow_)) \
	MEMORY2(imul_rmi##size##_n, imul_any_mem(c, o, n, size, kind_, true, false, slow_))
#define IMUL_FORMS(size) \
	{ { { { imul_rr##size, imul_rr##size##_forwarded }, { imul_rr##size##_n, imul_rr##size##_n_forwarded } }, \
	    { { imul_rri##size, imul_rri##size##_forwarded }, \
	    	{ imul_rri##size##_n, imul_rri##size##_n_forwarded } } }, \
	  { { FORMS2(imul_rm##size), FORMS2(imul_rm##size##_n) }, \
	    { FORMS2(imul_rmi##size), FORMS2(imul_rmi##size##_n) } } }

IMUL_SIZE(2)
IMUL_SIZE(4)
IMUL_SIZE(8)
SPECIALISE_DST_SRC(imul_rr4_n)
SPECIALISE_DST_SRC(imul_rr8_n)

GEN(imul_reg)
{
	static const struct imul_forms forms[4] = {
		{ .mem = { { { NULL } } } }, IMUL_FORMS(2), IMUL_FORMS(4), IMUL_FORMS(8)
	};
	const struct imul_forms *f = &forms[log2_size(dec_size(d, 0))];
	bool imm = dec_kind(d, 2) != OPK_NONE;

	o->run = d->mem ? f->mem[imm][d->dead_flags][dec_way(d)] : f->reg[imm][d->dead_flags][d->forwarded];
}

/* MULX: third:dst = lower, upper half of rDX * r/m; the upper half wins if they are the same register. No flags. */
BODY(mulx)
{
	unsigned size = o->osize;
	u64 b;
	unsigned __int128 product;

	if (!rm_load(c, o, o->src, size, &b))
		return false;
	product = (unsigned __int128)reg_get(c, 8 * RDX, size) * b;
	reg_set(c, o->third, size, (u64)product);
	reg_set(c, o->dst, size, (u64)(product >> (8 * size)));
	return true;
}
BODY_HANDLER(mulx)
GEN(mulx) { o->osize = dec_size(d, 0) & 15; o->run = h_mulx; }

/* ---- division. A quotient that does not fit is #DE, like a divisor of 0: both are seen before the host divides. The
 * flags, which the manual leaves undefined, stay. ---- */

static bool divide_unsigned(struct cpu *c, u64 high, u64 low, u64 by, unsigned size, u64 *quotient, u64 *rest)
{
	if (high >= by) /* includes by == 0 */
		return fault(c, VEC_DE);
	if (size == 8 && high) {
		unsigned __int128 a = (unsigned __int128)high << 64 | low;

		*quotient = (u64)(a / by);
		*rest = (u64)(a % by);
	} else {
		u64 a = size == 8 ? low : high << (8 * size) | low;

		*quotient = a / by;
		*rest = a % by;
	}
	return true;
}

/* By magnitudes: the quotient rounds to 0, the rest has the dividend's sign. The 8086 cannot give the most
 * negative quotient. */
static bool divide_signed(struct cpu *c, u64 high, u64 low, u64 by, unsigned size, u64 *quotient, u64 *rest)
{
	const u64 sign = (u64)1 << (8 * size - 1);
	bool negative = high & sign, by_negative = by & sign;
	u64 limit = negative != by_negative && has(c->model, F_I286) ? sign : sign - 1;

	if (negative) { /* of the double-width number */
		low = trim(0 - low, size);
		high = trim(~high + (low == 0), size);
	}
	if (by_negative)
		by = trim(0 - by, size);
	if (!divide_unsigned(c, high, low, by, size, quotient, rest))
		return false;
	if (*quotient > limit)
		return fault(c, VEC_DE);
	if (negative != by_negative)
		*quotient = 0 - *quotient;
	if (negative)
		*rest = 0 - *rest;
	return true;
}

ALWAYS_INLINE bool divide(struct cpu *c, const struct op *o, unsigned size, bool is_signed)
{
	u64 by, low, high, quotient = 0, rest = 0;

	if (!rm_load(c, o, o->dst, size, &by))
		return false;
	if (size == 1) {
		low = REG8(8 * RAX);
		high = REG8(8 * RAX + 1);
	} else {
		low = reg_get(c, 8 * RAX, size);
		high = reg_get(c, 8 * RDX, size);
	}
	if (!(is_signed ? divide_signed : divide_unsigned)(c, high, low, by, size, &quotient, &rest))
		return false;
	if (size == 1) {
		reg_set(c, 8 * RAX, 2, (u64)(u8)rest << 8 | (u8)quotient);
	} else {
		reg_set(c, 8 * RAX, size, quotient);
		reg_set(c, 8 * RDX, size, rest);
	}
	return true;
}

/* 32 and 64 bits, where the dividend is no wider than the host divides quickly and the quotient fits. All else is
 * SLOW's. */
ALWAYS_INLINE HANDLER_TYPE divide_fast(struct cpu *c, const struct op *o, s64 n, u64 by, unsigned size, bool is_signed,
				       handler *slow)
{
	u64 low = reg_get(c, 8 * RAX, size), high = reg_get(c, 8 * RDX, size), a = size == 8 ? low : high << 32 | low,
	    quotient, rest;

	if (is_signed) {
		s64 divisor = (s64)extend(by, size);

		if (unlikely(divisor + 1ull <= 1 || (size == 8 && (s64)high != (s64)low >> 63))) /* 0 and -1 */
			TAIL(slow);
		quotient = (u64)((s64)a / divisor);
		rest = (u64)((s64)a % divisor);
		if (unlikely(extend(quotient, size) != quotient))
			TAIL(slow);
	} else {
		if (unlikely(high >= by || (size == 8 && high)))
			TAIL(slow);
		quotient = a / by;
		rest = a % by;
	}
	reg_set(c, 8 * RAX, size, quotient);
	reg_set(c, 8 * RDX, size, rest);
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE divide_memory(struct cpu *c, const struct op *o, s64 n, unsigned size, bool is_signed,
					 enum kind kind, handler *slow)
{
	const u8 *p = fast_op(c, o, kind, size, false);

	if (unlikely(!p))
		TAIL(slow);
	return divide_fast(c, o, n, get_size(p, size), size, is_signed, slow);
}

#define DIVIDE(name, is_signed) \
	BODY(name##1) { return divide(c, o, 1, is_signed); } \
	BODY(name##2) { return divide(c, o, 2, is_signed); } \
	BODY(name##4) { return divide(c, o, 4, is_signed); } \
	BODY(name##8) { return divide(c, o, 8, is_signed); } \
	BODY_HANDLER(name##1) BODY_HANDLER(name##2) BODY_HANDLER(name##4) BODY_HANDLER(name##8) \
	HANDLER(name##_r4) { return divide_fast(c, o, n, reg_get(c, o->dst, 4), 4, is_signed, h_##name##4); } \
	HANDLER(name##_r8) { return divide_fast(c, o, n, reg_get(c, o->dst, 8), 8, is_signed, h_##name##8); } \
	HANDLER(name##_m4) { return divide_memory(c, o, n, 4, is_signed, KIND_INDEX, h_##name##4); } \
	HANDLER(name##_m8) { return divide_memory(c, o, n, 8, is_signed, KIND_INDEX, h_##name##8); } \
	HANDLER_AS(name##_m4_flat, name##_m4) { return divide_memory(c, o, n, 4, is_signed, KIND_FLAT, h_##name##4); } \
	GEN(name) \
	{ \
		static handler *const forms[4][4] = { /* register, or memory by dec_way() */ \
			{ h_##name##1, h_##name##2, name##_r4, name##_r8 }, \
			{ h_##name##1, h_##name##2, name##_m4, name##_m8 }, \
			{ h_##name##1, h_##name##2, h_##name##4, h_##name##8 }, \
			{ h_##name##1, h_##name##2, name##_m4_flat, h_##name##8 }, \
		}; \
		o->run = forms[d->mem ? 1 + dec_way(d) : 0][log2_size(dec_size(d, 0))]; \
		if (!has(d->model, F_I186)) \
			gen_muldiv_8086(d, o); \
	}

DIVIDE(div, false)
DIVIDE(idiv, true)
