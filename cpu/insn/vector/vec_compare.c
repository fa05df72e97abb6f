/* SPDX-License-Identifier: MIT */
/* Comparisons: CMPxx into masks; COMISx, UCOMISx and PTEST into EFLAGS.
 *
 * Predicates of CMPxx (SDM vol. 2, CMPPD, table 3-1): SSE has 0-7, VEX 32:
 *
 *    0 EQ_OQ    1 LT_OS    2 LE_OS    3 UNORD_Q    4 NEQ_UQ   5 NLT_US   6 NLE_US   7 ORD_Q
 *    8 EQ_UQ    9 NGE_US  10 NGT_US  11 FALSE_OQ  12 NEQ_OQ  13 GE_OS   14 GT_OS   15 TRUE_UQ
 *   16-31: the same with Q and S, whether a quiet NaN is invalid, the other way round
 *
 * All are made of the eight, which bring the exceptions along. */
#include "cpu/insn/vector/vector.h"

typedef vec compare_lanes_fn(struct cpu *c, vec a, vec b, u8 predicate);
enum { EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD };

/* Are ordered elements, whose NaNs have been replaced by zeros, less (or equal)? So no NaN is seen, and none is
 * invalid. */
static vec without_nans(struct cpu *c, vec a, vec b, u8 predicate, compare_lanes_fn *cmp, vec unordered)
{
	return cmp(c, a & ~unordered, b & ~unordered, predicate);
}

ALWAYS_INLINE vec compare_by(struct cpu *c, vec a, vec b, u8 predicate, compare_lanes_fn *cmp)
{
	u8 kind = predicate & 15;
	bool signals = (kind & 3) == 1 || (kind & 3) == 2, flipped = predicate & 16;
	vec unordered;

	if (!flipped && kind < 8)
		return cmp(c, a, b, kind);
	unordered = cmp(c, a, b, UNORD);
	if (signals == flipped) { /* quiet */
		switch (kind) {
		case 1: return without_nans(c, a, b, LT, cmp, unordered) & ~unordered;
		case 2: return without_nans(c, a, b, LE, cmp, unordered) & ~unordered;
		case 5: return without_nans(c, a, b, NLT, cmp, unordered) | unordered;
		case 6: return without_nans(c, a, b, NLE, cmp, unordered) | unordered;
		case 8: return cmp(c, a, b, EQ) | unordered;
		case 9: return without_nans(c, b, a, NLE, cmp, unordered) | unordered;
		case 10: return without_nans(c, b, a, NLT, cmp, unordered) | unordered;
		case 11: return vec_zero;
		case 12: return cmp(c, a, b, NEQ) & ~unordered;
		case 13: return without_nans(c, b, a, LE, cmp, unordered) & ~unordered;
		case 14: return without_nans(c, b, a, LT, cmp, unordered) & ~unordered;
		default: return ~vec_zero;
		}
	}
	cmp(c, a, b, LT); /* any NaN is invalid */
	switch (kind) {
	case 0: return cmp(c, a, b, EQ);
	case 3: return unordered;
	case 4: return cmp(c, a, b, NEQ);
	case 7: return ~unordered;
	case 8: return cmp(c, a, b, EQ) | unordered;
	case 9: return cmp(c, b, a, NLE);
	case 10: return cmp(c, b, a, NLT);
	case 11: return vec_zero;
	case 12: return cmp(c, a, b, NEQ) & ~unordered;
	case 13: return cmp(c, b, a, LE);
	case 14: return cmp(c, b, a, LT);
	default: return ~vec_zero;
	}
}

/* One element is compared by the packed instruction, beside zeros. */
ALWAYS_INLINE bool cmp_body(struct cpu *c, const struct op *o, compare_lanes_fn *cmp, unsigned bits, enum lanes lanes)
{
	const vec keep = lanes == PACKED ? ~vec_zero : bits == 32 ? (vec){ 0xffffffff, 0 } : (vec){ ~(u64)0, 0 };
	u8 predicate = o->imm8 & (o->vlen ? 31 : 7);
	vec b[2], r[2];

	if (!vec_operand(c, o, vec_reads(lanes, bits, o->vlen), b))
		return false;
	sse_begin(c);
	for (unsigned part = 0; part < vec_parts(o); part++) {
		vec a = vec_first(c, o, part);

		r[part] = vec_select(keep, compare_by(c, a & keep, b[part] & keep, predicate, cmp), a);
	}
	if (!sse_end(c))
		return false;
	vec_result(c, o, r);
	return true;
}

#define CMP(name, cmp, bits, lanes) \
	VEC_LANES(name, vec_##name(c, a, b, imm)) \
	BODY(name) { return cmp_body(c, o, cmp, bits, lanes); } \
	BODY_HANDLER(name) \
	VEC_FAST_SSE(name, bits, lanes, POST_NONE)

CMP(cmpps, vec_cmpps, 32, PACKED)
CMP(cmppd, vec_cmppd, 64, PACKED)
CMP(cmpss, vec_cmpps, 32, ONE)
CMP(cmpsd, vec_cmppd, 64, ONE)

/* COMISx differs from UCOMISx in that a quiet NaN, too, is an invalid operand. ZF, PF, CF: unordered 111, > 000, < 001,
 * = 100; OF, SF, AF = 0. In the lazy form (cpu.h): the result is 0 or 1, whose parities are even and odd; fix.2 turns
 * PF where ZF stands alone. */
typedef void compare_fn(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf);

ALWAYS_INLINE void set_compared(struct cpu *c, u8 zf, u8 pf, u8 cf)
{
	c->res = zf ^ 1;
	c->fix = (u8)((zf & ~pf) << 2);
	c->cv = (0 - (u64)cf) << 62;
}

ALWAYS_INLINE bool compare_body(struct cpu *c, const struct op *o, compare_fn *fn, unsigned size)
{
	u8 zf, pf, cf;
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	sse_begin(c);
	fn(c, xmm_get(c, o->dst), b, &zf, &pf, &cf);
	if (!sse_end(c))
		return false;
	set_compared(c, zf, pf, cf);
	return true;
}

/* Where FN is no single instruction of the host, it takes the addresses of these variables: a handler must not have
 * them. */
#if defined __x86_64__ && !defined VCPU_SOFT_FP
#define COMPARE ALWAYS_INLINE
#else
#define COMPARE static __attribute__((noinline))
#endif
COMPARE void compare(struct cpu *c, vec a, vec b, compare_fn *fn)
{
	u8 zf, pf, cf;

	fn(c, a, b, &zf, &pf, &cf);
	set_compared(c, zf, pf, cf);
}

ALWAYS_INLINE HANDLER_TYPE compare_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, compare_fn *fn,
					unsigned size, handler *slow)
{
	vec b;

	VEC_FAST_OPERAND(p, kind, size, true, slow)
	b = vec_fast_source(c, o, p, kind, size);
	compare(c, vreg_get(c, o, dst, 0), b, fn);
	RUN(o + 1);
}

gen_fn gen_vucomi_round, gen_vcomi_round; /* EVEX's SAE: avx512_convert.c */

#define FP_COMPARE(name, size, rounded) \
	BODY(name) { return compare_body(c, o, vec_##name, size); } \
	BODY_HANDLER(name) \
	HANDLER(h_##name##_reg) { return compare_fast(c, o, n, KIND_REG, vec_##name, size, h_##name); } \
	HANDLER(h_##name##_base) { return compare_fast(c, o, n, KIND_BASE, vec_##name, size, h_##name); } \
	HANDLER(h_##name##_index) { return compare_fast(c, o, n, KIND_INDEX, vec_##name, size, h_##name); } \
	HANDLER(h_##name##_seg) { return compare_fast(c, o, n, KIND_SEG, vec_##name, size, h_##name); } \
	GEN(name##_x) \
	{ \
		static handler *const by_kind[] = { h_##name##_reg, h_##name##_base, h_##name##_index, \
			h_##name##_seg }; \
		o->run = by_kind[dec_kind_of_memory(d)]; \
	} \
	GEN(v##name) { (d->evex && o->round ? gen_##rounded##_round : gen_##name##_x)(d, o); }

FP_COMPARE(ucomiss, 4, vucomi)
FP_COMPARE(ucomisd, 8, vucomi)
FP_COMPARE(comiss, 4, vcomi)
FP_COMPARE(comisd, 8, vcomi)

/* ZF: nothing in common; CF: nothing outside the destination. Of VTESTPS and VTESTPD only the signs count. */
ALWAYS_INLINE bool test_body(struct cpu *c, const struct op *o, u64 bits)
{
	vec b[2], both = vec_zero, outside = vec_zero;

	if (!vec_operand(c, o, vec_reads(PACKED, 0, o->vlen), b))
		return false;
	for (unsigned part = 0; part < vec_parts(o); part++) {
		vec a = vec_load(&c->v[o->dst].q[2 * part]);

		both |= a & b[part];
		outside |= ~a & b[part];
	}
	cpu_set_arith(c, ((both[0] | both[1]) & bits ? 0 : FL_Z) | ((outside[0] | outside[1]) & bits ? 0 : FL_C));
	return true;
}

BODY(ptest) { return test_body(c, o, ~(u64)0); }
VEC_OWN(ptest)
BODY(testps) { return test_body(c, o, 0x8000000080000000); }
VEC_OWN_VEX(testps)
BODY(testpd) { return test_body(c, o, 0x8000000000000000); }
VEC_OWN_VEX(testpd)
