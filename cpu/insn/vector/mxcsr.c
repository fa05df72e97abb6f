/* SPDX-License-Identifier: MIT */
/* MXCSR: when the host's is the guest's, and what exceptions do (SDM vol. 1, 11.5). */
#include "cpu/insn/vector/mxcsr.h"

void sse_unload(struct cpu *c)
{
	c->mxcsr = host_mxcsr(c) | (c->mxcsr & MXCSR_MM);
	host_set_mxcsr(c, c->host_mxcsr);
	c->mxcsr_live = false;
}

/* The host's MXCSR for a guest with unmasked exceptions. Flush-to-zero does nothing when underflow is not masked. */
static u32 control_for(const struct cpu *c)
{
	return (c->mxcsr | MXCSR_MASKS) & MXCSR_MASK & ~(MXCSR_FLAGS | (c->mxcsr & MXCSR_UM ? 0u : MXCSR_FTZ));
}

COLD void sse_begin_slow(struct cpu *c)
{
	c->host_mxcsr = host_mxcsr(c);
	c->mxcsr &= mxcsr_bits(c); /* a loaded state may have anything, and the host would fault */
	c->mxcsr_live = (c->mxcsr & MXCSR_MASKS) == MXCSR_MASKS;
	host_set_mxcsr(c, c->mxcsr_live ? c->mxcsr & MXCSR_MASK : control_for(c));
}

/* Exceptions come in two rounds (11.5.3): what operands cause (IE, DE, ZE), in all lanes, and only if none of those is
 * unmasked, what results cause. */
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
 * Masked, PE says that the result as stored is not exact; and UE, that it is tiny and not exact. Unmasked, being tiny
 * is enough for UE, and PE is about the result with an unbounded exponent (SDM vol. 1, 4.9.1.4 to 4.9.1.6). For that
 * the operation is repeated, lane by lane, on operands that are scaled to where the exponent does not matter. */

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

static bool inexact_unbounded(struct cpu *c, vec_fn *fn, u64 x, u64 y, enum post post, u32 control)
{
	struct format f = post & POST_WIDE ? wide : single;

	switch (post & POST_CLASS) {
	case POST_ADD: x = quarter(x, f), y = quarter(y, f); break;
	case POST_MUL: x = fraction_of(x, f), y = fraction_of(y, f); break;
	default: return fraction_of(y, wide) & (((u64)1 << (wide.frac_bits - single.frac_bits)) - 1);
	}
	host_set_mxcsr(c, control);
	fn(c, all_lanes(x, post & POST_WIDE), all_lanes(y, post & POST_WIDE), 0, 0);
	return host_mxcsr(c) & MXCSR_PE;
}

/* The flags that FN(A, B) raises with the guest's masks. CONTROL: the host's MXCSR for it, without flags. */
static u32 precise_flags(struct cpu *c, vec_fn *fn, vec a, vec b, enum post post, u32 control)
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
		r = fn(c, all_lanes(x, is_wide), all_lanes(y, is_wide), 0, 0)[0];
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

COLD u32 sse_step_slow(struct cpu *c, vec_fn *fn, vec a, vec b, enum post post)
{
	return fn ? precise_flags(c, fn, a, b, post, control_for(c)) : host_mxcsr(c) & MXCSR_FLAGS;
}

COLD bool sse_done_slow(struct cpu *c, u32 flags)
{
	host_set_mxcsr(c, c->host_mxcsr);
	return raise(c, flags);
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
