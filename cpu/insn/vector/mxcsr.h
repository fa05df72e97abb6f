/* SPDX-License-Identifier: MIT */
/* MXCSR. While floating-point instructions run, the host's MXCSR is the guest's: same rounding, DAZ, FTZ, and its
 * sticky flags are the guest's sticky flags (c->mxcsr_live; c->mxcsr then lacks new flags). It becomes so with the
 * first floating-point instruction, which saves the host's own, and ends with sse_park(c), which must be called before
 *   - anything looks at c->mxcsr (STMXCSR, FXSAVE, a snapshot),
 *   - anything else computes with the host's SSE unit (devices, callbacks, the user's program): cpu_sync and the end of cpu_run.
 * A guest with an exception unmasked never goes live: its instructions run one by one with everything masked, and what
 * they raised is looked at before the result is stored (SDM vol. 1, 11.5). */
#ifndef CPU_MXCSR_H
#define CPU_MXCSR_H

#include "cpu/insn/vector/vec_fp.h"

enum { MXCSR_IE = 1, MXCSR_DE = 2, MXCSR_ZE = 4, MXCSR_OE = 8, MXCSR_UE = 0x10, MXCSR_PE = 0x20, MXCSR_FLAGS = 0x3f,
	MXCSR_DAZ = 0x40,
       MXCSR_IM = 0x80, MXCSR_OM = 0x400, MXCSR_UM = 0x800, MXCSR_PM = 0x1000, MXCSR_MASKS = 0x1f80, MXCSR_RC = 0x6000,
       MXCSR_FTZ = 0x8000,
       MXCSR_MASK = 0xffff /* bits that the host has, too */, MXCSR_RESET = 0x1f80 };

/* Which operation, on which lanes: what must be known to say precisely what an unmasked overflow or underflow leaves in
 * MXCSR. */
enum post { POST_NONE /* results never overflow or underflow */, POST_ADD, POST_MUL /* and division */,
	POST_NARROW /* 64 to 32 bits */, POST_CLASS = 3,
            POST_WIDE = 4 /* of 64 bits */, POST_PACKED = 8,
            POST_EXACT = 0x10 /* no floating point: MXCSR has no part in it */,
            POST_SOFT = 0x20 /* computed with integers: vec_soft.h */ };

/* For what is computed without the host's floating point: as if an operation had found FLAGS. False: an unmasked one is
 * among them. */
bool sse_raise(struct cpu *c, u32 flags);

/* Around floating-point operations in a body. Their flags are collected, and count together: sse_done is false if an
 * unmasked exception is among them: then nothing must be stored. FN is what is computed on A and B (NULL for
 * POST_NONE). */
void sse_begin_slow(struct cpu *c);
u32 sse_step_slow(struct cpu *c, vec_fn *fn, vec a, vec b, enum post post);
bool sse_done_slow(struct cpu *c, u32 flags);

static inline void sse_begin(struct cpu *c)
{
	if (unlikely(!c->mxcsr_live))
		sse_begin_slow(c);
}

/* 16 bytes of the result. */
ALWAYS_INLINE vec sse_step(struct cpu *c, vec_fn *fn, vec a, vec b, u8 imm, unsigned part, enum post post, u32 *flags)
{
	vec r = fn(c, a, b, imm, part);

	if (unlikely(!c->mxcsr_live) && post != POST_EXACT)
		*flags |= sse_step_slow(c, post ? fn : NULL, a, b, post);
	return r;
}

ALWAYS_INLINE bool sse_done(struct cpu *c, u32 flags) { return likely(c->mxcsr_live) || sse_done_slow(c, flags); }

/* After one operation that is no lane function. */
ALWAYS_INLINE bool sse_end(struct cpu *c)
{
	return likely(c->mxcsr_live) ||
	       sse_done_slow(c, sse_step_slow(c, NULL, (vec){ 0, 0 }, (vec){ 0, 0 }, POST_NONE));
}

#endif
