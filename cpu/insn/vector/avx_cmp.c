/* Comparisons of AVX (SDM vol. 2, CMPPD, table 3-1). SSE has the predicates 0-7; here there are 32:
 *
 *    0 EQ_OQ    1 LT_OS    2 LE_OS    3 UNORD_Q    4 NEQ_UQ   5 NLT_US   6 NLE_US   7 ORD_Q
 *    8 EQ_UQ    9 NGE_US  10 NGT_US  11 FALSE_OQ  12 NEQ_OQ  13 GE_OS   14 GT_OS   15 TRUE_UQ
 *   16-31: the same with Q and S, whether a quiet NaN is invalid, the other way round
 *
 * All are made of the eight, which bring the exceptions along. */
#include "cpu/insn/vector/avx.h"

enum { EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD };

/* Are ordered elements, whose NaNs have been replaced by zeros, less (or equal)? So no NaN is seen, and none is invalid. */
static vec without_nans(struct cpu *c, vec a, vec b, u8 predicate, fp_imm_fn *cmp, vec unordered)
{
	return cmp(c, a & ~unordered, b & ~unordered, predicate);
}

ALWAYS_INLINE vec compare(struct cpu *c, vec a, vec b, u8 predicate, fp_imm_fn *cmp)
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
ALWAYS_INLINE bool cmp_body(struct cpu *c, const struct op *o, fp_imm_fn *cmp, unsigned size, bool wide)
{
	vec a = xmm_get(c, o->third), b[2], low, high = vec_zero;
	vec keep = size == 4 ? (vec){ 0xffffffff, 0 } : size == 8 ? (vec){ ~(u64)0, 0 } : ~vec_zero;

	if (!avx_source(c, o, wide ? 2 * size : size, b))
		return false;
	sse_begin(c);
	low = compare(c, a & keep, b[0] & keep, o->imm8 & 31, cmp);
	if (wide)
		high = compare(c, high_get(c, o->third), b[1], o->imm8 & 31, cmp);
	if (!sse_end_plain(c))
		return false;
	ymm_set(c, o->dst, vec_select(keep, low, a), high);
	return true;
}

AVX(vcmpps, cmp_body, vec_cmpps, 16)
AVX(vcmppd, cmp_body, vec_cmppd, 16)
AVX_128(vcmpss, cmp_body, vec_cmpps, 4)
AVX_128(vcmpsd, cmp_body, vec_cmppd, 8)

/* Into flags: as SSE does. */
gen_fn gen_ucomiss, gen_ucomisd, gen_comiss, gen_comisd;
GEN(vucomiss) { gen_ucomiss(d, o); }
GEN(vucomisd) { gen_ucomisd(d, o); }
GEN(vcomiss) { gen_comiss(d, o); }
GEN(vcomisd) { gen_comisd(d, o); }
