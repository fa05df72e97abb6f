/* SPDX-License-Identifier: MIT */
/* The passes over the operations of a block, in their order. Each asks the table's columns about an operation's code.
 * Handlers are chosen last. */
#ifndef CPU_PASSES_H
#define CPU_PASSES_H

#include "cpu/op.h"

/* Before the others, while the block is decoded: can MOVE, which is the operation MO, and D behind it be one operation?
 * Then O becomes it. */
bool pass_merge(const struct dec *move, const struct op *mo, const struct dec *d, struct op *o);
/* STITCHED: the block will become machine code when it is hot. */
void passes(struct dec *d, struct op *o, unsigned count, bool stitched);

/* check.c, of builds with checks: a block as it was made, of BYTES; the processor behind a block, at ICOUNT before it,
 * with N instructions of its run left. */
#if VCPU_CHECKS
void check_block(const struct dec *d, const struct op *o, unsigned count, unsigned bytes);
void check_between_blocks(struct cpu *c, s64 n, u64 icount);
#else
static inline void check_block(const struct dec *d, const struct op *o, unsigned count, unsigned bytes) { (void)d,
	(void)o, (void)count, (void)bytes; }
static inline void check_between_blocks(struct cpu *c, s64 n, u64 icount) { (void)c, (void)n, (void)icount; }
#endif

/* fuse.c: may A, with the jump J behind it, be one step? Then this handler does both. It may take its first source if
 * it is a register's. Both operations stay in the block; the handler reads the second. NULL: no. */
handler *fused_handler(const struct dec *a, const struct op *o, const struct dec *j);

/* pair.c: which of the steps of pairs.def O is, STEP_NONE: none of them. Arithmetic must have no flags, loads a base
 * and no index. */
#define STEP(name, ...) name,
enum step {
	STEP_NONE,
#include "cpu/engine/pairs.def"
	STEPS
};
unsigned step_of(const struct dec *d, const struct op *o);
/* The handler that does O and the operation behind it. NULL: there is none for these two. */
handler *paired_handler(const struct dec *d, const struct op *o);

#endif
