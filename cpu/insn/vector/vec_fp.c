/* SSE arithmetic, and MXCSR: when the host's is the guest's, and what exceptions do (SDM vol. 1, 11.5). */
#include "cpu/insn/vector/vector.h"

/* ---- MXCSR ---- */

void sse_unload(struct cpu *c)
{
	c->mxcsr = host_mxcsr(c);
	host_set_mxcsr(c, c->host_mxcsr);
	c->mxcsr_live = false;
}

/* The host's MXCSR for a guest with unmasked exceptions. Flush-to-zero does nothing when underflow is not masked. */
static u32 control_for(const struct cpu *c)
{
	return (c->mxcsr | MXCSR_MASKS) & ~(MXCSR_FLAGS | (c->mxcsr & MXCSR_UM ? 0u : MXCSR_FTZ));
}

COLD void sse_begin_slow(struct cpu *c)
{
	c->host_mxcsr = host_mxcsr(c);
	c->mxcsr &= MXCSR_MASK; /* a loaded state may have anything, and the host would fault */
	c->mxcsr_live = (c->mxcsr & MXCSR_MASKS) == MXCSR_MASKS;
	host_set_mxcsr(c, c->mxcsr_live ? c->mxcsr : control_for(c));
}

/* Exceptions come in two rounds (11.5.3): what operands cause (IE, DE, ZE), in all lanes, and only if none of those is unmasked, what
 * results cause. */
static bool raise(struct cpu *c, u32 flags)
{
	u32 unmasked = flags & ~(c->mxcsr >> 7);

	if (unmasked & (MXCSR_IE | MXCSR_DE | MXCSR_ZE))
		flags &= MXCSR_IE | MXCSR_DE | MXCSR_ZE;
	c->mxcsr |= flags;
	if (unmasked)
		return c->mode & MODE_XMM_EXC ? fault(c, VEC_XM) : fault_ud(c);
	return true;
}

/* ---- unmasked overflow and underflow ----
 *
 * Masked, PE says that the result as stored is not exact; and UE, that it is tiny and not exact. Unmasked, being tiny is enough for UE,
 * and PE is about the result with an unbounded exponent (SDM vol. 1, 4.9.1.4 to 4.9.1.6). For that the operation is repeated, lane by
 * lane, on operands that are scaled to where the exponent does not matter. */

struct format { unsigned frac_bits, bias; };
static const struct format single = { 23, 127 }, wide = { 52, 1023 };

static u64 magnitude(u64 v, struct format f) { return v & (((u64)2 * (f.bias + 1) << f.frac_bits) - 1); }
static bool is_tiny(u64 v, struct format f) { v = magnitude(v, f); return v && v >> f.frac_bits == 0; }

/* A quarter of V, if that is exact. */
static u64 quarter(u64 v, struct format f)
{
	return magnitude(v, f) >> f.frac_bits > 2 ? v - ((u64)2 << f.frac_bits) : v;
}

/* V's significand alone: a number in [1, 2). */
static u64 fraction_of(u64 v, struct format f)
{
	u64 m = magnitude(v, f), hidden = (u64)1 << f.frac_bits;

	if (m < hidden)
		while (m && m < hidden)
			m <<= 1;
	return (m & (hidden - 1)) | (u64)f.bias << f.frac_bits;
}

static vec all_lanes(u64 v, bool is_wide)
{
	return is_wide ? (vec){ v, v } : (vec){ (u32)v | v << 32, (u32)v | v << 32 };
}

static bool inexact_unbounded(struct cpu *c, fp_fn *fn, u64 x, u64 y, enum post post, u32 control)
{
	struct format f = post & POST_WIDE ? wide : single;

	switch (post & POST_CLASS) {
	case POST_ADD: x = quarter(x, f), y = quarter(y, f); break;
	case POST_MUL: x = fraction_of(x, f), y = fraction_of(y, f); break;
	default: return fraction_of(y, wide) & (((u64)1 << (wide.frac_bits - single.frac_bits)) - 1);
	}
	host_set_mxcsr(c, control);
	fn(c, all_lanes(x, post & POST_WIDE), all_lanes(y, post & POST_WIDE));
	return host_mxcsr(c) & MXCSR_PE;
}

/* The flags that FN(A, B) raises with the guest's masks. CONTROL: the host's MXCSR for it, without flags. */
static u32 precise_flags(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post, u32 control)
{
	union xmm av = vec_lanes(a), bv = vec_lanes(b);
	bool is_wide = post & POST_WIDE;
	unsigned lanes = !(post & POST_PACKED) ? 1 : is_wide ? 2 : 4;
	struct format f = is_wide && (post & POST_CLASS) != POST_NARROW ? wide : single;
	u32 all = 0;

	for (unsigned i = 0; i < lanes; i++) {
		u64 x = is_wide ? av.q[i] : av.d[i], y = is_wide ? bv.q[i] : bv.d[i], r;
		u32 flags;
		bool trapped;

		host_set_mxcsr(c, control);
		r = fn(c, all_lanes(x, is_wide), all_lanes(y, is_wide))[0];
		flags = host_mxcsr(c) & MXCSR_FLAGS;
		trapped = flags & MXCSR_OE && !(c->mxcsr & MXCSR_OM);
		if (!(c->mxcsr & MXCSR_UM) && (is_tiny(r, f) || flags & MXCSR_UE)) {
			flags |= MXCSR_UE;
			trapped = true;
		}
		if (trapped && flags & MXCSR_PE && !inexact_unbounded(c, fn, x, y, post, control))
			flags &= ~(u32)MXCSR_PE;
		all |= flags;
	}
	return all;
}

COLD u32 sse_step_slow(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post)
{
	return fn ? precise_flags(c, fn, a, b, post, control_for(c)) : host_mxcsr(c) & MXCSR_FLAGS;
}

COLD bool sse_done_slow(struct cpu *c, u32 flags)
{
	host_set_mxcsr(c, c->host_mxcsr);
	return raise(c, flags);
}

COLD bool sse_end_slow(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post)
{
	return sse_done_slow(c, sse_step_slow(c, fn, a, b, post));
}

bool sse_raise(struct cpu *c, u32 flags)
{
	if (!flags)
		return true;
	if (!c->mxcsr_live)
		return raise(c, flags);
	host_set_mxcsr(c, host_mxcsr(c) | flags);
	return true;
}

/* ---- arithmetic ---- */

FP_OP(addps, vec_addps, 16, ADD_PS)
FP_OP(addpd, vec_addpd, 16, ADD_PD)
FP_OP(addss, vec_addss, 4, ADD_SS)
FP_OP(addsd, vec_addsd, 8, ADD_SD)
FP_OP(subps, vec_subps, 16, ADD_PS)
FP_OP(subpd, vec_subpd, 16, ADD_PD)
FP_OP(subss, vec_subss, 4, ADD_SS)
FP_OP(subsd, vec_subsd, 8, ADD_SD)
FP_OP(mulps, vec_mulps, 16, MUL_PS)
FP_OP(mulpd, vec_mulpd, 16, MUL_PD)
FP_OP(mulss, vec_mulss, 4, MUL_SS)
FP_OP(mulsd, vec_mulsd, 8, MUL_SD)
FP_OP(divps, vec_divps, 16, MUL_PS)
FP_OP(divpd, vec_divpd, 16, MUL_PD)
FP_OP(divss, vec_divss, 4, MUL_SS)
FP_OP(divsd, vec_divsd, 8, MUL_SD)
FP_OP(minps, vec_minps, 16, POST_NONE)
FP_OP(minpd, vec_minpd, 16, POST_NONE)
FP_OP(minss, vec_minss, 4, POST_NONE)
FP_OP(minsd, vec_minsd, 8, POST_NONE)
FP_OP(maxps, vec_maxps, 16, POST_NONE)
FP_OP(maxpd, vec_maxpd, 16, POST_NONE)
FP_OP(maxss, vec_maxss, 4, POST_NONE)
FP_OP(maxsd, vec_maxsd, 8, POST_NONE)
FP_OP(sqrtps, vec_sqrtps, 16, POST_NONE)
FP_OP(sqrtpd, vec_sqrtpd, 16, POST_NONE)
FP_OP(sqrtss, vec_sqrtss, 4, POST_NONE)
FP_OP(sqrtsd, vec_sqrtsd, 8, POST_NONE)

VEC_SLOW_OP(rcpps, vec_rcpps, 16)
VEC_SLOW_OP(rcpss, vec_rcpss, 4)
VEC_SLOW_OP(rsqrtps, vec_rsqrtps, 16)
VEC_SLOW_OP(rsqrtss, vec_rsqrtss, 4)

/* ---- SSE3: sums of neighbours, and alternating sums ---- */

ALWAYS_INLINE bool horizontal_body(struct cpu *c, const struct op *o, fp_fn *fn, enum post post)
{
	vec a = xmm_get(c, o->dst), b, r;

	if (!vec_source(c, o, 16, &b))
		return false;
	if (!(post & POST_WIDE ? sse_apply(c, fn, vec_even64(a, b), vec_odd64(a, b), post, &r) :
				 sse_apply(c, fn, vec_even32(a, b), vec_odd32(a, b), post, &r)))
		return false;
	xmm_set(c, o->dst, r);
	return true;
}

BODY(haddps) { return horizontal_body(c, o, vec_addps, ADD_PS); }
GEN_BODY(haddps)
BODY(haddpd) { return horizontal_body(c, o, vec_addpd, ADD_PD); }
GEN_BODY(haddpd)
BODY(hsubps) { return horizontal_body(c, o, vec_subps, ADD_PS); }
GEN_BODY(hsubps)
BODY(hsubpd) { return horizontal_body(c, o, vec_subpd, ADD_PD); }
GEN_BODY(hsubpd)

ALWAYS_INLINE bool addsub_body(struct cpu *c, const struct op *o, fp_fn *sub, fp_fn *add, vec odd, enum post post)
{
	u32 flags = 0;
	vec b, r;

	if (!vec_source(c, o, 16, &b))
		return false;
	sse_begin(c);
	r = sse_addsub(c, sub, add, odd, xmm_get(c, o->dst), b, post, &flags);
	if (!sse_done(c, flags))
		return false;
	xmm_set(c, o->dst, r);
	return true;
}

BODY(addsubps) { return addsub_body(c, o, vec_subps, vec_addps, ODD_PS, ADD_PS); }
GEN_BODY(addsubps)
BODY(addsubpd) { return addsub_body(c, o, vec_subpd, vec_addpd, ODD_PD, ADD_PD); }
GEN_BODY(addsubpd)
