/* Shuffles, unpacks, packs and single lanes of SSE, SSE2 and SSSE3. */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_shuffle.h"

VEC_OP(punpcklbw_x, vec_punpcklbw, 16)
VEC_OP(punpcklwd_x, vec_punpcklwd, 16)
VEC_OP(punpckldq_x, vec_punpckldq, 16)
VEC_OP(punpckhbw_x, vec_punpckhbw, 16)
VEC_OP(punpckhwd_x, vec_punpckhwd, 16)
VEC_OP(punpckhdq_x, vec_punpckhdq, 16)
VEC_OP(punpcklqdq, vec_punpcklqdq, 16)
VEC_OP(punpckhqdq, vec_punpckhqdq, 16)
GEN(unpcklps) { gen_punpckldq_x(d, o); }
GEN(unpckhps) { gen_punpckhdq_x(d, o); }
GEN(unpcklpd) { gen_punpcklqdq(d, o); }
GEN(unpckhpd) { gen_punpckhqdq(d, o); }

VEC_OP(packsswb_x, vec_packsswb, 16)
VEC_OP(packssdw_x, vec_packssdw, 16)
VEC_OP(packuswb_x, vec_packuswb, 16)

VEC_IMM_OP(pshufd, vec_pshufd, 16)
VEC_IMM_OP(shufps, vec_shufps, 16)
VEC_IMM_OP(shufpd, vec_shufpd, 16)
VEC_SLOW_IMM_OP(pshuflw, vec_pshuflw, 16)
VEC_SLOW_IMM_OP(pshufhw, vec_pshufhw, 16)
VEC_SLOW_IMM_OP(palignr_x, vec_palignr, 16)
VEC_OP(pshufb_x, vec_pshufb, 16)

VEC_SLOW_OP(movsldup, vec_movsldup, 16)
VEC_SLOW_OP(movshdup, vec_movshdup, 16)
VEC_OP(movddup, vec_movddup, 8)

/* ---- masks of sign bits into general registers ---- */

static HANDLER(h_pmovmskb)
{
	REG64(o->dst) = vec_mask8(xmm_get(c, o->src));
	RUN(o + 1);
}
GEN(pmovmskb_x) { (void)d; o->run = h_pmovmskb; }

static HANDLER(h_movmskps)
{
	REG64(o->dst) = vec_mask32(xmm_get(c, o->src));
	RUN(o + 1);
}
GEN(movmskps) { (void)d; o->run = h_movmskps; }

static HANDLER(h_movmskpd)
{
	REG64(o->dst) = vec_mask64(xmm_get(c, o->src));
	RUN(o + 1);
}
GEN(movmskpd) { (void)d; o->run = h_movmskpd; }

/* ---- single lanes: PINSRx, PEXTRx, EXTRACTPS (SSE2, SSE4.1) ---- */

ALWAYS_INLINE bool insert_body(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	xmm_set(c, o->dst, vec_insert(xmm_get(c, o->dst), o->imm8 & (16 / size - 1), size, v));
	return true;
}

BODY(pinsrb) { return insert_body(c, o, 1); }
GEN_BODY(pinsrb)
BODY(pinsrw_x) { return insert_body(c, o, 2); }
GEN_BODY(pinsrw_x)
BODY(pinsrd) { return insert_body(c, o, 4); }
GEN_BODY(pinsrd)
BODY(pinsrq) { return insert_body(c, o, 8); }
GEN_BODY(pinsrq)

/* A register receives the lane zero-extended, whatever the operand size. */
ALWAYS_INLINE bool extract_body(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v = vec_extract(xmm_get(c, o->src), o->imm8 & (16 / size - 1), size);

	if (o->mem)
		return op_store(c, o, size, v);
	REG64(o->dst) = v;
	return true;
}

BODY(pextrb) { return extract_body(c, o, 1); }
GEN_BODY(pextrb)
BODY(pextrw_x) { return extract_body(c, o, 2); }
GEN_BODY(pextrw_x)
BODY(pextrd) { return extract_body(c, o, 4); }
GEN_BODY(pextrd)
BODY(pextrq) { return extract_body(c, o, 8); }
GEN_BODY(pextrq)
GEN(extractps) { gen_pextrd(d, o); }
