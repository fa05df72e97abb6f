/* SPDX-License-Identifier: MIT */
/* MMX: 64-bit vectors in the fractions of the x87 registers (SDM vol. 1, chapter 9), with what SSE, SSE2 and SSSE3
 * added on them: operands, moves and conversions. Arithmetic and shuffles stand beside those of SSE (vec_int.c,
 * vec_shuffle.c).
 *
 * Every instruction first waits for a pending x87 exception, and leaves TOP 0 and all registers valid. */
#include "cpu/insn/vector/mmx.h"
#include "cpu/insn/x87/x87_real.h"

#ifndef VCPU_STENCIL
bool mmx_source_memory(struct cpu *c, const struct op *o, unsigned size, vec *out)
{
	const u8 *p = fast_op(c, o, KIND_SEG, size, false);
	u64 v;

	if (likely(p))
		v = get_size(p, size);
	else if (!op_load(c, o, size, &v))
		return false;
	*out = (vec){ v, 0 };
	return true;
}
#endif

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
	if (!x87_wait(c) || !data_linear(c, o->seg, c->r[RDI] & op_amask(o), 8, true, &linear) ||
	    !mem_check_write(c, linear, 8))
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

static struct fp sse_fp(const struct cpu *c) { return (struct fp){
	.cw = (u16)(X87_EXCEPTIONS | 0x300 | (c->mxcsr & MXCSR_RC) >> 3) }; }

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
		struct real a =
			doubles ? real_from_double(&load, i ? hi : lo) : real_from_float(&load, (u32)(lo >> 32 * i));

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
