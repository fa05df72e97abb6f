/* SSE arithmetic, and MXCSR: when the host's is the guest's, and what exceptions do (SDM vol. 1, 11.5). */
#include "cpu/sse.h"
#include "cpu/vec_fp.h"

/* ---- MXCSR ---- */

void sse_unload(struct cpu *c)
{
	c->mxcsr = host_mxcsr();
	host_set_mxcsr(c->host_mxcsr);
	c->mxcsr_live = false;
}

COLD void sse_begin_slow(struct cpu *c)
{
	c->host_mxcsr = host_mxcsr();
	if ((c->mxcsr & MXCSR_MASKS) == MXCSR_MASKS) {
		host_set_mxcsr(c->mxcsr);
		c->mxcsr_live = true;
	} else {
		/* Flush-to-zero does nothing when underflow is not masked. */
		u32 ftz = c->mxcsr & MXCSR_UM ? 0 : MXCSR_FTZ;

		host_set_mxcsr((c->mxcsr | MXCSR_MASKS) & ~(MXCSR_FLAGS | ftz));
	}
}

static bool tiny32(u32 v) { return !(v & 0x7f800000) && (v & 0x7fffff); }
static bool tiny64(u64 v) { return !(v << 1 >> 53) && v << 12; }

static bool is_tiny(vec v, enum tiny tiny)
{
	switch (tiny) {
	case TINY_SS: return tiny32((u32)v[0]);
	case TINY_PS: return tiny32((u32)v[0]) || tiny32((u32)(v[0] >> 32)) || tiny32((u32)v[1]) || tiny32((u32)(v[1] >> 32));
	case TINY_SD: return tiny64(v[0]);
	case TINY_PD: return tiny64(v[0]) || tiny64(v[1]);
	default: return false;
	}
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

COLD bool sse_end_slow(struct cpu *c, vec result, enum tiny tiny)
{
	u32 flags = host_mxcsr() & MXCSR_FLAGS;

	host_set_mxcsr(c->host_mxcsr);
	/* Masked, underflow is tiny and inexact; unmasked, tiny is enough (vol. 1, 4.9.1.5). */
	if (!(c->mxcsr & MXCSR_UM) && is_tiny(result, tiny))
		flags |= MXCSR_UE;
	return raise(c, flags);
}

bool sse_raise(struct cpu *c, u32 flags)
{
	if (!flags)
		return true;
	if (!c->mxcsr_live)
		return raise(c, flags);
	host_set_mxcsr(host_mxcsr() | flags);
	return true;
}

/* ---- arithmetic ---- */

FP_OP(addps, vec_addps, 16, TINY_PS)
FP_OP(addpd, vec_addpd, 16, TINY_PD)
FP_OP(addss, vec_addss, 4, TINY_SS)
FP_OP(addsd, vec_addsd, 8, TINY_SD)
FP_OP(subps, vec_subps, 16, TINY_PS)
FP_OP(subpd, vec_subpd, 16, TINY_PD)
FP_OP(subss, vec_subss, 4, TINY_SS)
FP_OP(subsd, vec_subsd, 8, TINY_SD)
FP_OP(mulps, vec_mulps, 16, TINY_PS)
FP_OP(mulpd, vec_mulpd, 16, TINY_PD)
FP_OP(mulss, vec_mulss, 4, TINY_SS)
FP_OP(mulsd, vec_mulsd, 8, TINY_SD)
FP_OP(divps, vec_divps, 16, TINY_PS)
FP_OP(divpd, vec_divpd, 16, TINY_PD)
FP_OP(divss, vec_divss, 4, TINY_SS)
FP_OP(divsd, vec_divsd, 8, TINY_SD)
/* Extremes and roots cannot be tiny of themselves: a denormal result of MIN is an operand. */
FP_OP(minps, vec_minps, 16, TINY_NONE)
FP_OP(minpd, vec_minpd, 16, TINY_NONE)
FP_OP(minss, vec_minss, 4, TINY_NONE)
FP_OP(minsd, vec_minsd, 8, TINY_NONE)
FP_OP(maxps, vec_maxps, 16, TINY_NONE)
FP_OP(maxpd, vec_maxpd, 16, TINY_NONE)
FP_OP(maxss, vec_maxss, 4, TINY_NONE)
FP_OP(maxsd, vec_maxsd, 8, TINY_NONE)
FP_OP(sqrtps, vec_sqrtps, 16, TINY_NONE)
FP_OP(sqrtpd, vec_sqrtpd, 16, TINY_NONE)
FP_OP(sqrtss, vec_sqrtss, 4, TINY_NONE)
FP_OP(sqrtsd, vec_sqrtsd, 8, TINY_NONE)

VEC_SLOW_OP(rcpps, vec_rcpps, 16)
VEC_SLOW_OP(rcpss, vec_rcpss, 4)
VEC_SLOW_OP(rsqrtps, vec_rsqrtps, 16)
VEC_SLOW_OP(rsqrtss, vec_rsqrtss, 4)

/* SSE3 */
FP_SLOW_OP(addsubps, vec_addsubps, 16, TINY_PS)
FP_SLOW_OP(addsubpd, vec_addsubpd, 16, TINY_PD)
FP_SLOW_OP(haddps, vec_haddps, 16, TINY_PS)
FP_SLOW_OP(haddpd, vec_haddpd, 16, TINY_PD)
FP_SLOW_OP(hsubps, vec_hsubps, 16, TINY_PS)
FP_SLOW_OP(hsubpd, vec_hsubpd, 16, TINY_PD)
