/* MMX: 64-bit vectors in the fractions of the x87 registers (SDM vol. 1, chapter 9), with what SSE, SSE2 and SSSE3 added on them.
 *
 * Operations are those of vec_int.h and vec_shuffle.h, on the low half of their vectors. Every instruction first waits for a pending
 * x87 exception, and leaves TOP 0 and all registers valid. */
#include "cpu/insn/vector/mmx.h"
#include "cpu/insn/vector/vec_int.h"
#include "cpu/insn/vector/vec_shuffle.h"
#include "cpu/insn/x87/x87_real.h"

/* ---- operations that are not just half of an SSE one ---- */

/* Both operands one behind the other: halves of the result then come from each, as the 64-bit forms have it. */
ALWAYS_INLINE vec both(vec a, vec b) { return (vec){ a[0], b[0] }; }
ALWAYS_INLINE vec upper(vec a) { return (vec){ a[1], 0 }; }

ALWAYS_INLINE vec mm_packsswb(vec a, vec b) { return vec_packsswb(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_packuswb(vec a, vec b) { return vec_packuswb(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_packssdw(vec a, vec b) { return vec_packssdw(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_punpckhbw(vec a, vec b) { return upper(vec_punpcklbw(a, b)); }
ALWAYS_INLINE vec mm_punpckhwd(vec a, vec b) { return upper(vec_punpcklwd(a, b)); }
ALWAYS_INLINE vec mm_punpckhdq(vec a, vec b) { return upper(vec_punpckldq(a, b)); }
ALWAYS_INLINE vec mm_phaddw(vec a, vec b) { return vec_phaddw(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_phaddd(vec a, vec b) { return vec_phaddd(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_phaddsw(vec a, vec b) { return vec_phaddsw(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_phsubw(vec a, vec b) { return vec_phsubw(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_phsubd(vec a, vec b) { return vec_phsubd(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_phsubsw(vec a, vec b) { return vec_phsubsw(both(a, b), (vec){ 0, 0 }); }
ALWAYS_INLINE vec mm_pshufb(vec a, vec b) { return vec_pshufb(both(a, a), b); }

/* ---- bodies ---- */

/* NAME_mm: mm = FN(mm, mm or SIZE bytes of memory). */
#define MMX_OP(name, fn, size) \
	BODY(name##_mm) { return mmx_body(c, o, fn, size); } \
	GEN_BODY(name##_mm)

MMX_OP(paddb, vec_paddb, 8)
MMX_OP(paddw, vec_paddw, 8)
MMX_OP(paddd, vec_paddd, 8)
MMX_OP(paddq, vec_paddq, 8)
MMX_OP(paddsb, vec_paddsb, 8)
MMX_OP(paddsw, vec_paddsw, 8)
MMX_OP(paddusb, vec_paddusb, 8)
MMX_OP(paddusw, vec_paddusw, 8)
MMX_OP(psubb, vec_psubb, 8)
MMX_OP(psubw, vec_psubw, 8)
MMX_OP(psubd, vec_psubd, 8)
MMX_OP(psubq, vec_psubq, 8)
MMX_OP(psubsb, vec_psubsb, 8)
MMX_OP(psubsw, vec_psubsw, 8)
MMX_OP(psubusb, vec_psubusb, 8)
MMX_OP(psubusw, vec_psubusw, 8)
MMX_OP(pmullw, vec_pmullw, 8)
MMX_OP(pmulhw, vec_pmulhw, 8)
MMX_OP(pmulhuw, vec_pmulhuw, 8)
MMX_OP(pmuludq, vec_pmuludq, 8)
MMX_OP(pmulhrsw, vec_pmulhrsw, 8)
MMX_OP(pmaddwd, vec_pmaddwd, 8)
MMX_OP(pmaddubsw, vec_pmaddubsw, 8)
MMX_OP(psadbw, vec_psadbw, 8)
MMX_OP(pavgb, vec_pavgb, 8)
MMX_OP(pavgw, vec_pavgw, 8)
MMX_OP(pminub, vec_pminub, 8)
MMX_OP(pmaxub, vec_pmaxub, 8)
MMX_OP(pminsw, vec_pminsw, 8)
MMX_OP(pmaxsw, vec_pmaxsw, 8)
MMX_OP(pabsb, vec_pabsb, 8)
MMX_OP(pabsw, vec_pabsw, 8)
MMX_OP(pabsd, vec_pabsd, 8)
MMX_OP(psignb, vec_psignb, 8)
MMX_OP(psignw, vec_psignw, 8)
MMX_OP(psignd, vec_psignd, 8)
MMX_OP(phaddw, mm_phaddw, 8)
MMX_OP(phaddd, mm_phaddd, 8)
MMX_OP(phaddsw, mm_phaddsw, 8)
MMX_OP(phsubw, mm_phsubw, 8)
MMX_OP(phsubd, mm_phsubd, 8)
MMX_OP(phsubsw, mm_phsubsw, 8)

MMX_OP(pcmpeqb, vec_pcmpeqb, 8)
MMX_OP(pcmpeqw, vec_pcmpeqw, 8)
MMX_OP(pcmpeqd, vec_pcmpeqd, 8)
MMX_OP(pcmpgtb, vec_pcmpgtb, 8)
MMX_OP(pcmpgtw, vec_pcmpgtw, 8)
MMX_OP(pcmpgtd, vec_pcmpgtd, 8)
MMX_OP(pand, vec_and, 8)
MMX_OP(pandn, vec_andn, 8)
MMX_OP(por, vec_or, 8)
MMX_OP(pxor, vec_xor, 8)

MMX_OP(packsswb, mm_packsswb, 8)
MMX_OP(packuswb, mm_packuswb, 8)
MMX_OP(packssdw, mm_packssdw, 8)
MMX_OP(punpcklbw, vec_punpcklbw, 4)
MMX_OP(punpcklwd, vec_punpcklwd, 4)
MMX_OP(punpckldq, vec_punpckldq, 4)
MMX_OP(punpckhbw, mm_punpckhbw, 8)
MMX_OP(punpckhwd, mm_punpckhwd, 8)
MMX_OP(punpckhdq, mm_punpckhdq, 8)
MMX_OP(pshufb, mm_pshufb, 8)

MMX_OP(psllw, vec_psllw, 8)
MMX_OP(pslld, vec_pslld, 8)
MMX_OP(psllq, vec_psllq, 8)
MMX_OP(psrlw, vec_psrlw, 8)
MMX_OP(psrld, vec_psrld, 8)
MMX_OP(psrlq, vec_psrlq, 8)
MMX_OP(psraw, vec_psraw, 8)
MMX_OP(psrad, vec_psrad, 8)

/* NAME_mmi: mm shifted by an immediate. */
ALWAYS_INLINE bool shift_imm(struct cpu *c, const struct op *o, vec_fn *fn)
{
	if (!x87_wait(c))
		return false;
	mmx_result(c, o, fn((vec){ mmx_get(c, o->dst), 0 }, (vec){ o->imm8, 0 })[0]);
	return true;
}

#define MMX_SHIFT(name, fn) \
	BODY(name##_mmi) { return shift_imm(c, o, fn); } \
	GEN_BODY(name##_mmi)

MMX_SHIFT(psllw, vec_psllw)
MMX_SHIFT(pslld, vec_pslld)
MMX_SHIFT(psllq, vec_psllq)
MMX_SHIFT(psrlw, vec_psrlw)
MMX_SHIFT(psrld, vec_psrld)
MMX_SHIFT(psrlq, vec_psrlq)
MMX_SHIFT(psraw, vec_psraw)
MMX_SHIFT(psrad, vec_psrad)

BODY(pshufw_mm)
{
	vec b;
	u64 r = 0;

	if (!mmx_source(c, o, 8, &b))
		return false;
	for (unsigned i = 0; i < 4; i++)
		r |= (b[0] >> 16 * (o->imm8 >> 2 * i & 3) & 0xffff) << 16 * i;
	mmx_result(c, o, r);
	return true;
}
GEN_BODY(pshufw_mm)

BODY(palignr_mm)
{
	unsigned n = o->imm8;
	vec b;

	if (!mmx_source(c, o, 8, &b))
		return false;
	mmx_result(c, o, n > 15 ? 0 : (u64)(((u128)mmx_get(c, o->dst) << 64 | b[0]) >> 8 * n));
	return true;
}
GEN_BODY(palignr_mm)

/* ---- moves ---- */

BODY(emms)
{
	(void)o;
	if (!x87_wait(c))
		return false;
	c->x87.top = 0;
	c->x87.valid = 0;
	return true;
}
GEN_BODY(emms)
GEN_ALIAS(femms, emms)

/* From and to general registers and memory, of 4 or 8 bytes. */
ALWAYS_INLINE bool move_in(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v;

	if (!x87_wait(c) || !rm_load(c, o, o->src, size, &v))
		return false;
	mmx_result(c, o, v);
	return true;
}

ALWAYS_INLINE bool move_out(struct cpu *c, const struct op *o, unsigned size)
{
	if (!x87_wait(c) || !rm_store(c, o, o->dst, size, mmx_get(c, o->src)))
		return false;
	mmx_enter(c);
	return true;
}

BODY(movd_mmr) { return move_in(c, o, 4); }
BODY(movq_mmr) { return move_in(c, o, 8); }
BODY(movd_rmm) { return move_out(c, o, 4); }
BODY(movq_rmm) { return move_out(c, o, 8); }
GEN_BODY(movd_mmr)
GEN_BODY(movq_mmr)
GEN_BODY(movd_rmm)
GEN_BODY(movq_rmm)

BODY(movq_mm)
{
	vec b;

	if (!mmx_source(c, o, 8, &b))
		return false;
	mmx_result(c, o, b[0]);
	return true;
}
GEN_BODY(movq_mm)

BODY(movq_store)
{
	u8 *p;

	if (!x87_wait(c))
		return false;
	if (likely(p = fast_op(c, o, KIND_SEG, 8, true)))
		put64(p, mmx_get(c, o->src));
	else if (!op_store(c, o, 8, mmx_get(c, o->src)))
		return false;
	mmx_enter(c);
	return true;
}
BODY_HANDLER(movq_store)
GEN(movq_mmst) { o->run = d->mem ? h_movq_store : h_movq_mm; }
GEN_ALIAS(movntq, movq_store)

/* Bytes of the first operand go to [DS:rDI] where the second's have bit 7 set. None is written unless all can be. */
BODY(maskmovq)
{
	u64 linear, mask = mmx_get(c, o->src), v = mmx_get(c, o->dst);

	/* All of the place must be writable, whichever bytes are chosen (SDM leaves it open; processors do so). */
	if (!x87_wait(c) || !data_linear(c, o->seg, c->r[RDI] & op_amask(o), 8, true, &linear) || !mem_check_write(c, linear, 8))
		return false;
	for (unsigned i = 0; i < 8; i++)
		if (mask >> (8 * i + 7) & 1 && !mem_write(c, linear + i, 1, (u8)(v >> 8 * i)))
			return false;
	mmx_enter(c);
	return true;
}
BODY_HANDLER(maskmovq)
GEN(maskmovq)
{
	o->run = h_maskmovq;
	o->seg = d->seg & 7;
}

BODY(pinsrw_mm)
{
	unsigned at = 16 * (o->imm8 & 3);
	u64 v;

	if (!x87_wait(c) || !rm_load(c, o, o->src, 2, &v))
		return false;
	mmx_result(c, o, (mmx_get(c, o->dst) & ~((u64)0xffff << at)) | v << at);
	return true;
}
GEN_BODY(pinsrw_mm)

BODY(pextrw_mm)
{
	if (!x87_wait(c))
		return false;
	mmx_enter(c);
	reg_set(c, o->dst, 4, mmx_get(c, o->src) >> 16 * (o->imm8 & 3) & 0xffff);
	return true;
}
GEN_BODY(pextrw_mm)

BODY(pmovmskb_mm)
{
	u64 v = mmx_get(c, o->src);
	u32 r = 0;

	if (!x87_wait(c))
		return false;
	mmx_enter(c);
	for (unsigned i = 0; i < 8; i++)
		r |= (u32)(v >> (8 * i + 7) & 1) << i;
	reg_set(c, o->dst, 4, r);
	return true;
}
GEN_BODY(pmovmskb_mm)

BODY(movq2dq)
{
	if (!x87_wait(c))
		return false;
	xmm_set(c, o->dst, (vec){ mmx_get(c, o->src), 0 });
	mmx_enter(c);
	return true;
}
GEN_BODY(movq2dq)

BODY(movdq2q)
{
	if (!x87_wait(c))
		return false;
	mmx_result(c, o, c->v[o->src].q[0]);
	return true;
}
GEN_BODY(movdq2q)

/* ---- conversions between MMX integers and XMM numbers: rounding and exceptions are MXCSR's ---- */

static struct fp sse_fp(const struct cpu *c) { return (struct fp){ .cw = (u16)(X87_EXCEPTIONS | 0x300 | (c->mxcsr & MXCSR_RC) >> 3) }; }

/* From memory these are SSE instructions that have nothing to do with MMX. */
static inline bool integers(struct cpu *c, const struct op *o, u64 *out)
{
	if (o->mem)
		return op_load(c, o, 8, out);
	*out = mmx_get(c, o->src);
	return x87_wait(c);
}

BODY(cvtpi2ps)
{
	struct fp f = sse_fp(c);
	u32 r[2];
	u64 v;

	if (!integers(c, o, &v))
		return false;
	for (unsigned i = 0; i < 2; i++)
		real_to_float(&f, real_from_int((s32)(v >> 32 * i)), &r[i]);
	if (!sse_raise(c, f.raised & X87_PE))
		return false;
	if (!o->mem)
		mmx_enter(c);
	xmm_set(c, o->dst, (vec){ (u64)r[1] << 32 | r[0], xmm_get(c, o->dst)[1] });
	return true;
}
GEN_BODY(cvtpi2ps)

BODY(cvtpi2pd)
{
	struct fp f = sse_fp(c);
	u64 v, r[2];

	if (!integers(c, o, &v))
		return false;
	for (unsigned i = 0; i < 2; i++)
		real_to_double(&f, real_from_int((s32)(v >> 32 * i)), &r[i]);
	if (!o->mem)
		mmx_enter(c);
	xmm_set(c, o->dst, (vec){ r[0], r[1] });
	return true;
}
GEN_BODY(cvtpi2pd)

/* Two floats (LO's halves) or doubles to integers. */
ALWAYS_INLINE bool to_integers(struct cpu *c, const struct op *o, u64 lo, u64 hi, bool doubles, bool chop)
{
	struct fp f = sse_fp(c);
	u64 r[2];

	for (unsigned i = 0; i < 2; i++) {
		struct fp load = { 0 };
		struct real a = doubles ? real_from_double(&load, i ? hi : lo) : real_from_float(&load, (u32)(lo >> 32 * i));

		if (load.denormal && c->mxcsr & MXCSR_DAZ)
			a = REAL_ZERO(0);
		real_to_int(&f, a, 4, chop, &r[i]);
	}
	if (!sse_raise(c, f.raised & (X87_IE | X87_PE)))
		return false;
	mmx_result(c, o, r[1] << 32 | (u32)r[0]);
	return true;
}

ALWAYS_INLINE bool floats_to_integers(struct cpu *c, const struct op *o, bool chop)
{
	u64 v;

	if (!x87_wait(c))
		return false;
	if (!o->mem)
		v = c->v[o->src].q[0];
	else if (!op_load(c, o, 8, &v))
		return false;
	return to_integers(c, o, v, 0, false, chop);
}

ALWAYS_INLINE bool doubles_to_integers(struct cpu *c, const struct op *o, bool chop)
{
	vec v;

	if (!x87_wait(c) || !vec_source(c, o, 16, &v))
		return false;
	return to_integers(c, o, v[0], v[1], true, chop);
}

BODY(cvtps2pi) { return floats_to_integers(c, o, false); }
BODY(cvttps2pi) { return floats_to_integers(c, o, true); }
BODY(cvtpd2pi) { return doubles_to_integers(c, o, false); }
BODY(cvttpd2pi) { return doubles_to_integers(c, o, true); }
GEN_BODY(cvtps2pi)
GEN_BODY(cvttps2pi)
GEN_BODY(cvtpd2pi)
GEN_BODY(cvttpd2pi)
