/* SPDX-License-Identifier: MIT */
/* Instructions that name R16 to R31, and those of APX that do more than their legacy form. An operation has no room for
 * them. So it has a program: one or two operations as others are, its parts, which name slots in place of these
 * registers and of a new destination. One handler fills the slots, runs the parts, and takes the slots back:
 *
 *     {nf} sub r16, [r17], rax          slot 0 = r17;  slot 1 = 0
 *                                       mov slot 1, [slot 0]         if this faults, nothing has changed
 *                                       sub slot 1, rax
 *                                       flags as they were;  r16 = slot 1
 */
#ifndef CPU_EXTENDED_H
#define CPU_EXTENDED_H

#include "cpu/op.h"

struct extended {
	struct op part[3];          /* behind the last one stands one that ends the program */
	u8 count;                   /* without that */
	u8 egprs, egpr[EGPR_SLOTS]; /* registers that the first slots have */
	u8 written;                 /* a bit for each that the instruction may write */
	u8 form;                    /* APX_* */
	u8 fresh;                   /* the slot of the new destination; EGPR_SLOTS: there is none */
	u8 from, size;              /* what it has at first: SIZE bytes of the register at this offset, or RZERO */
	u8 into;                    /* the register that gets it */
	bool nf, jumps;             /* flags stay; the part goes on elsewhere and writes no register */
	u8 condition, flags;        /* of APX_MOVES and APX_COMPARES: as SCC; OF SF ZF CF of the latter */
};

/* Run operations from O on, with N left, until one leaves: run.c. */
void run_from(struct cpu *c, const struct op *o, s64 n);

/* Make X and, of O, which was decoded as D, the operation that runs it. */
void extended_make(const struct isa *isa, const struct dec *d, struct op *o, struct extended *x);
/* O's counts are known now. */
void extended_settle(struct op *o);
/* Fill the slots of O, for who looks at the operands before it runs. Returns the part that has them. */
const struct op *extended_operands(struct cpu *c, const struct op *o);

#endif
