/* SPDX-License-Identifier: MIT */
/* Stitched blocks: a hot block's handlers as machine code, copied one behind the other (ARCHITECTURE.md, "From
 * operation to stencil"). They are the handlers of the interpreter, compiled from the same text; which engine ran
 * can be seen in nothing but the time.
 *
 * Where the build has no stencils, or the host allows no code to be made, stitch_new returns NULL and nothing else
 * here is called. */
#ifndef CPU_STITCH_H
#define CPU_STITCH_H

#include "cpu/op.h"

struct stitch;

/* Memory for OPS operations, which the code must be near to, and for the code. NULL: there can be none. */
struct stitch *stitch_new(size_t ops, struct op **arena);
void stitch_free(struct stitch *s);
/* Bytes of machine code that there are. */
u64 stitch_size(const struct stitch *s);
/* All blocks are gone; they had the first USED operations. */
void stitch_reset(struct stitch *s, size_t used);

/* Make O, a block's first operation, what lets it run that many TIMES, then asks for stitch_block by EXIT_HOT. disp:
 * operations of the block from here on; cost: distance from O to where stitched code enters the block. */
void stitch_counter(const struct stitch *s, struct op *o, unsigned times);
handler stitch_count; /* its handler */
enum { HOT_AFTER = 24 }; /* usual times */
/* Make code of the block that begins with the counter FIRST. False: there is no room left. VERIFIED: code
 * that shows by wrong results, or stops the host, where somebody takes the registers that it keeps from memory, or
 * vectors differ from it. */
bool stitch_block(struct stitch *s, struct op *first, bool verified);
/* Has it? And the hot code of O, an operation of that block; NULL: none of its own. */
bool stitch_done(const struct stitch *s, const struct op *first);
const u8 *stitch_code(const struct stitch *s, const struct op *first, const struct op *o, unsigned *size);
/* JUMP has a target now. */
void stitch_link(struct stitch *s, struct op *jump);
/* The block at FIRST is to be entered no more; whoever comes there by a link goes to the handler STALE. */
void stitch_forget(struct stitch *s, struct op *first, handler *stale);

#endif
