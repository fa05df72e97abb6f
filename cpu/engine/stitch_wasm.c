/* SPDX-License-Identifier: MIT */
/* Stitched blocks in WebAssembly (stitch.h). Code cannot be written there, but modules can be made while the program
 * runs, and their functions take places in the table by which handlers call each other. So frontends/web/stitch.js copies the
 * bodies of a block's handlers, as they are in this module, into a function of a new module, and puts the function's
 * number into op.run of the block's first operation. It is a handler like any other: jumps to the block need no change.
 *
 * A module costs more than a function of it. Blocks that are hot therefore wait until there are enough of them. */
#include <stdlib.h>
#include "cpu/engine/stitch.h"

#if VCPU_STITCH && defined __wasm__
#include "mem/base/compat/memory.h"
#include "cpu/jump.h"

#define IMPORT(name) __attribute__((import_module("vcpu"), import_name(#name))) name

/* Make a function of the COUNT operations behind FIRST, now or later. It becomes their run, and FIRST's if that still
 * is WAITING, whose dst is 1 then. Returns bytes of code that were made. */
u32 IMPORT(stitch_make)(struct op *first, unsigned count, handler *waiting);
/* There are no blocks any more. */
void IMPORT(stitch_drop)(void);

/* A block runs so much more often before it is stitched: the host compiles what is made here. */
enum { PATIENCE = 60, BLOCK_OPS = 256, CODE_BYTES = 64 << 20 };

struct stitch { struct op *ops; u64 bytes; };

struct stitch *stitch_new(size_t ops, struct op **arena)
{
	struct stitch *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	*arena = s->ops = aligned_new(64, ops * sizeof *s->ops);
	if (!s->ops) {
		free(s);
		return NULL;
	}
	return s;
}

void stitch_free(struct stitch *s)
{
	if (!s)
		return;
	stitch_drop();
	aligned_free(s->ops);
	free(s);
}

u64 stitch_size(const struct stitch *s) { return s->bytes; }

void stitch_reset(struct stitch *s, size_t used)
{
	(void)used;
	s->bytes = 0;
	stitch_drop();
}

/* The first operation of a block that is hot, until it has a function. */
HANDLER(stitch_waiting) { RUN(o + 1); }

void stitch_counter(const struct stitch *s, struct op *o, unsigned times)
{
	(void)s;
	*o = (struct op){ .run = stitch_count, .imm = times < HOT_AFTER ? times : times * PATIENCE };
}

bool stitch_block(struct stitch *s, struct op *first, bool verified)
{
	(void)verified; /* there is nothing that code keeps */
	if (s->bytes > CODE_BYTES)
		return false;
	first->run = stitch_waiting;
	if (first->disp <= BLOCK_OPS)
		s->bytes += stitch_make(first, (unsigned)first->disp - 1, stitch_waiting);
	return true;
}

bool stitch_done(const struct stitch *s, const struct op *first)
{
	(void)s;
	return first->dst;
}
#endif
