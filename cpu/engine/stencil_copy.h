/* SPDX-License-Identifier: MIT */
/* One stencil's copy: its bytes, with the instructions that stencil.h marks rewritten for the registers that the block
 * keeps, and all other holes filled in. stitch.c says where it goes. */
#ifndef CPU_STENCIL_COPY_H
#define CPU_STENCIL_COPY_H

#include "cpu/engine/stencils.h"

/* A block that jumps back to its start may keep some of R8 to R15, in the places of registers that it does not use,
 * and that handlers never name by themselves. Each place has four bits of a number: 0, or the guest's register
 * there. */
static const u8 swappable[] = { RBX, RSI, RDI };
static inline unsigned swapped(u16 swaps, unsigned place) { return swaps >> 4 * place & 15; }

/* The register in whose usual place the guest's REG is kept. REGISTERS: it is not kept. */
unsigned copy_place(u16 swaps, u64 reg);
/* The host register in which the guest's REG is kept, | 16. 0: not kept. */
unsigned copy_host(u16 swaps, u64 reg);

/* What a block keeps of vector registers: each host register's 16 bytes, by their offset in struct cpu; 0: none. */
struct vectors { u16 at[KEPT_VECTORS]; };
/* The host register that keeps the 16 bytes at OFF, or -1. V may be NULL. */
int copy_vector_place(const struct vectors *v, u64 off);

/* Where a stencil's copy lies, and what it is for. */
struct copy {
	const struct stencil *stencil;
	struct op *op;
	const u8 *code;               /* where code is executed, and where it is written */
	u8 *writable;
	u32 hot, aside;               /* offsets in the code */
	u32 next[3];                  /* [1], [2]: code of the operations behind it */
	u32 linked;
	u32 store;                    /* code that stores what is kept */
	u16 swaps;
	const struct vectors *vectors;
	u8 valid;                     /* host registers that have what they keep */
};

/* Hash of a handler -> 1 + number of its stencil. */
enum { SLOT_BITS = 13 };
struct stencil_table { u16 number[1 << SLOT_BITS]; };
void stencil_add(struct stencil_table *table, const struct stencil *st);
/* NULL: it has none. */
const struct stencil *stencil_find(const struct stencil_table *table, handler *h);

/* Do all members of O fit where ST has holes for them? */
bool copy_fits(const struct stencil *st, const struct op *o);
/* What P's hole is filled with, if it is a member of the operation O or of the one behind it. */
s64 copy_named(const struct op *o, const struct patch *p);
/* The offset in struct cpu of the 16 bytes of vector registers that P uses or puts for O; 0: it is no such patch. */
u64 copy_vector_at(const struct op *o, const struct patch *p);
/* Does the instruction that P marks always run before the next operation does? */
bool copy_always_runs(const struct stencil *st, const struct patch *p);
/* By how much the code before OFFSET of a stencil becomes shorter. */
u32 copy_saved(const struct copy *c, u32 offset);
/* The stencil's code, with the instructions that it marks. */
void copy_put(const struct copy *c);
/* Fill in all other holes of the copy, or those that linking changes. */
void copy_fill(const struct copy *c, bool all);

/* Instruction OPCODE of HOST and OFF(%r12) at P. Returns where it ends. Then: movups OFF(%r12), %xmmPLACE. Returns its
 * length. */
enum { VECTOR_MOVE_BYTES = 9 };
u8 *copy_register_memory(u8 *p, u8 opcode, unsigned host, u32 off);
unsigned copy_vector_load(u8 *p, unsigned place, u32 off);

#endif
