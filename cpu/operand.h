/* SPDX-License-Identifier: MIT */
/* Where the operands of a decoded instruction are, and what it writes: for who asks about an instruction without
 * executing it. */
#ifndef CPU_OPERAND_H
#define CPU_OPERAND_H

#include "cpu/op.h"

/* IN_OTHER: in a register that has no number here, as a segment's */
enum location_kind { IN_NOTHING, IN_GENERAL, IN_VECTOR, IN_MASK, IN_MEMORY, IN_IMMEDIATE, IN_OTHER };
struct location {
	enum location_kind kind;
	unsigned reg;         /* its number */
	unsigned first, size; /* the operand's first byte in the register, 1 for AH to BH; bytes */
	u64 value;            /* linear address; of an immediate, its value */
	bool written;
};
/* The operands of a PUSH and a POP are the destination and the source, one of which is on the stack. */
enum { LOCATIONS = 5 };

/* The register that operand N, which is no memory, has: byte offset into cpu of a general one, as in struct op; else a
 * number. (decode.c) */
unsigned dec_register(const struct dec *d, unsigned n);
/* The operands of the instruction that C is about to execute; how many there are. */
unsigned operands(const struct cpu *c, const struct dec *d, const struct op *o, struct location out[LOCATIONS]);
/* What it may write: registers by number, a bit each, also in part; memory that is an operand. */
struct written {
	u32 general, vectors, masks;
	bool memory;
};
struct written operands_written(const struct dec *d);

#endif
