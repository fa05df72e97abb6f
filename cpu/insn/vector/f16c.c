/* SPDX-License-Identifier: MIT */
/* F16C: numbers of 16 bits, 1 sign, 5 exponent, 10 fraction, to and from single precision (SDM vol. 1, 14.4). Of a
 * denormal one no account is made, neither DAZ nor DE, nor of FTZ where one is the result. */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"

static u32 to_single(struct cpu *c, u16 v)
{
	struct num n = unpack(c, v, f16);
	u32 s = n.sign ? 0x80000000 : 0;

	if (n.class >= QNAN) {
		if (n.class == SNAN)
			flag(c, MXCSR_IE);
		return s | 0x7fc00000 | (v & 0x3ffu) << 13;
	}
	return n.class == ZERO       ? s
	       : n.class == INFINITE ? s | 0x7f800000
				     : (u32)pack(c, n.sign, n.exp, (u128)n.sig << 64, f32);
}

static u16 to_half(struct cpu *c, u32 v)
{
	struct num n = unpack(c, v, f32);
	u16 s = n.sign ? 0x8000 : 0;

	if (n.class >= QNAN) {
		if (n.class == SNAN)
			flag(c, MXCSR_IE);
		return (u16)(s | 0x7e00 | (v >> 13 & 0x3ff));
	}
	if (n.denormal) /* far below the smallest half, and by Intel's processors never taken for exact */
		flag(c, MXCSR_DE | (is_amd(c->model) ? 0 : MXCSR_PE));
	return (u16)(n.class == ZERO       ? s
		     : n.class == INFINITE ? s | 0x7c00
					   : pack(c, n.sign, n.exp, (u128)n.sig << 64, f16));
}

static bool finish(struct cpu *c, u32 saved)
{
	u32 flags = c->soft_mxcsr & MXCSR_FLAGS;

	c->soft_mxcsr = saved;
	return sse_raise(c, flags);
}

/* To Intel's processors even eight bytes are a vector here: no alignment that EFLAGS.AC could ask for. */
static bool vector_at(struct cpu *c, const struct op *o, unsigned size, bool write, u64 *linear)
{
	u64 offset = op_offset(c, o);

	return is_amd(c->model) ? data_linear(c, o->seg, offset, size, write, linear)
				: seg_linear(c, o->seg, offset, size, write, linear);
}

BODY(cvtph2ps)
{
	unsigned lanes = o->vlen / 4;
	u32 saved = c->soft_mxcsr;
	union xmm b = { 0 }, r[2] = { 0 };
	u64 linear;
	if (!o->mem)
		b = vec_lanes(xmm_get(c, o->src));
	else if (!vector_at(c, o, 2 * lanes, false, &linear) || !mem_read_block(c, linear, b.b, 2 * lanes))
		return false;
	c->soft_mxcsr = c->mxcsr & ~(u32)(MXCSR_FLAGS | MXCSR_DAZ);
	for (unsigned i = 0; i < lanes; i++)
		r[i >> 2].d[i & 3] = to_single(c, b.w[i]);
	if (!finish(c, saved))
		return false;
	ymm_set(c, o, vec_of(r[0]), vec_of(r[1]));
	return true;
}

/* With EVEX. */
static u64 element_to_single(struct cpu *c, const struct element *e) { return to_single(c, (u16)e->b); }
EVEX_BODY(cvtph2ps_evex, element, element_to_single, PACKED, SOFT)

BODY_HANDLER(cvtph2ps)
GEN(vcvtph2ps)
{
	vec_operands(d, o, PACKED);
	o->run = d->evex ? h_cvtph2ps_evex : h_cvtph2ps;
}

/* IMM: bit 2 rounding as MXCSR says, else as bits 1-0. */
BODY(cvtps2ph)
{
	unsigned lanes = o->vlen / 4;
	const union vreg *a = &c->v[o->src];
	union xmm r = { 0 };
	u32 saved = c->soft_mxcsr;
	u64 linear;

	/* With AMD's processors a fault of the store comes before all of that. */
	if (o->mem && is_amd(c->model) &&
	    (!vector_at(c, o, 2 * lanes, true, &linear) || !mem_check_write(c, linear, 2 * lanes)))
		return false;
	c->soft_mxcsr = c->mxcsr & ~(u32)(MXCSR_FLAGS | MXCSR_FTZ);
	if (!(o->imm8 & 4))
		c->soft_mxcsr = (c->soft_mxcsr & ~(u32)MXCSR_RC) | (u32)(o->imm8 & 3) << 13;
	for (unsigned i = 0; i < lanes; i++)
		r.w[i] = to_half(c, a->d[i]);
	/* Intel's processors set the flags before the store, and they stay if that faults. */
	if (!finish(c, saved))
		return false;
	if (o->mem)
		return vector_at(c, o, 2 * lanes, true, &linear) && mem_write_block(c, linear, r.b, 2 * lanes);
	ymm_set(c, o, vec_of(r), vec_zero);
	return true;
}

static u64 element_to_half(struct cpu *c, const struct element *e)
{
	u32 saved = c->soft_mxcsr;
	u64 r;

	if (!(e->imm & 4))
		c->soft_mxcsr = (saved & ~(u32)MXCSR_RC) | (u32)(e->imm & 3) << 13;
	r = to_half(c, (u32)e->b);
	c->soft_mxcsr = (c->soft_mxcsr & ~(u32)MXCSR_RC) | (saved & MXCSR_RC);
	return r;
}
EVEX_BODY(cvtps2ph_evex, element, element_to_half, PACKED, SOFT)

BODY_HANDLER(cvtps2ph)
GEN(vcvtps2ph)
{
	vec_operands(d, o, PACKED);
	o->run = d->evex ? h_cvtps2ph_evex : h_cvtps2ph;
}

/* ---- AVX-NE-CONVERT: 16 bits to 32, which is always exact. Nothing is reported, and no NaN stays signalling ---- */

static u32 quiet_to_single(struct cpu *c, u16 v, bool bfloat)
{
	u32 saved = c->soft_mxcsr, r;

	if (bfloat)
		return (u32)v << 16;
	c->soft_mxcsr = MXCSR_MASKS;
	r = to_single(c, v);
	c->soft_mxcsr = saved;
	return r;
}

/* Of each pair the even one, or the odd one. */
static vec vec_convert_half_of(struct cpu *c, vec b, bool odd, bool bfloat)
{
	union xmm x = vec_lanes(b);

	for (unsigned i = 0; i < 4; i++)
		x.d[i] = quiet_to_single(c, (u16)(x.d[i] >> (odd ? 16 : 0)), bfloat);
	return vec_of(x);
}

VEC(cvtneeph2ps,   32, PACKED, EXACT, VEX_ONLY, vec_convert_half_of(c, b, false, false))
VEC(cvtneoph2ps,   32, PACKED, EXACT, VEX_ONLY, vec_convert_half_of(c, b, true, false))
VEC(cvtneebf162ps, 32, PACKED, EXACT, VEX_ONLY, vec_convert_half_of(c, b, false, true))
VEC(cvtneobf162ps, 32, PACKED, EXACT, VEX_ONLY, vec_convert_half_of(c, b, true, true))

/* One for all. */
ALWAYS_INLINE bool convert_broadcast(struct cpu *c, const struct op *o, bool bfloat)
{
	union xmm r;
	u64 v;

	if (!op_load(c, o, 2, &v))
		return false;
	for (unsigned i = 0; i < 4; i++)
		r.d[i] = quiet_to_single(c, (u16)v, bfloat);
	ymm_set(c, o, vec_of(r), o->vlen == 32 ? vec_of(r) : vec_zero);
	return true;
}
BODY(bcstnesh2ps) { return convert_broadcast(c, o, false); }
BODY(bcstnebf162ps) { return convert_broadcast(c, o, true); }
VEC_OWN_VEX(bcstnesh2ps)
VEC_OWN_VEX(bcstnebf162ps)
