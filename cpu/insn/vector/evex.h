/* SPDX-License-Identifier: MIT */
/* What EVEX adds to the vector operations (SDM vol. 2, 2.7): masks, broadcast, rounding in the instruction, 512 bits.
 * They are made around an operation that knows nothing of them, by one function, evex_run(); so is all that AVX-512
 * adds to the forms with VEX, if XCR0 allows it: they clear bits 511:256, too (op.zmm).
 *
 * Masked-off elements are not computed, or, where several elements are computed at once, computed on ones, which cause
 * no exception, whatever the operation: 1.0 as an integer, too, is exact in every format. */
#ifndef CPU_EVEX_H
#define CPU_EVEX_H

#include "cpu/op.h"
#include "cpu/insn/vector/mxcsr.h"

/* Which lanes of the second source 16 bytes of the result are made of. */
enum lanes {
	PACKED,  /* those at the same place */
	ONE,     /* the lowest, of the register; the others are the first source's. VEX.LIG: as 128 */
	HALF,    /* they widen: 8, 4, 2 bytes, side by side in the source */
	QUARTER,
	EIGHTH,
	NARROW,  /* those at the same place, to half their size; the results stand side by side */
	COUNT,   /* the lowest 16 bytes, for the whole register */
	EVEN,    /* those at the same place, but VEX.128 and SSE read only the lowest 8 bytes */
};

/* 16 bytes of a result, as vec_fn, but from the destination as well. */
typedef vec evex_parts3(struct cpu *c, vec old, vec a, vec b, u8 imm, unsigned part);
/* An element of the result, or bit 0 for a mask, from the elements at the same place of the destination and the
 * sources, zero-extended. FROM bytes of B, TO of the others. */
struct element { u64 old, a, b; u8 imm, from, to, index; };
typedef u64 evex_element(struct cpu *c, const struct element *e);

/* An instruction that is under way. */
struct evex {
	u64 active;            /* elements of the destination that are computed */
	unsigned count;        /* how many there are, without the mask */
	union vreg old, a, b;  /* destination, first and last source */
	union vreg r;          /* the result; what is beyond it is zero */
	u64 mask;              /* the same, where it is a mask */
};
/* The whole result. */
typedef void evex_whole(struct cpu *c, const struct op *o, struct evex *e);

enum evex_kind { EVEX_KIND_parts, EVEX_KIND_parts3, EVEX_KIND_element, EVEX_KIND_whole };

struct evex_desc {
	enum evex_kind kind;
	union { vec_fn *parts; evex_parts3 *parts3; evex_element *element; evex_whole *whole; };
	u8 bits;               /* of an element of the last source */
	enum lanes lanes;
	enum post post;
	bool rest_of_old;      /* of ONE: what is not computed is the destination's */
};

/* The operation D with the operands of O, which has EVEX, or VEX and op.zmm. */
bool evex_run(struct cpu *c, const struct op *o, const struct evex_desc *d);

/* The steps of evex_run, for what is no such operation. Sources, with the faults of a load. */
bool evex_begin(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e);
/* The result goes where it belongs. */
bool evex_end(struct cpu *c, const struct op *o, enum lanes lanes, struct evex *e);
/* The first N elements of SIZE bytes at O's memory. */
bool evex_load(struct cpu *c, const struct op *o, unsigned n, unsigned size, union vreg *to);
/* Around what vec_soft.h computes, with O's rounding. False: it has raised an exception. */
u32 evex_soft_begin(struct cpu *c, const struct op *o);
bool evex_soft_end(struct cpu *c, const struct op *o, u32 begun);
/* Set the vector register that is O's destination. */
void evex_set(struct cpu *c, const struct op *o, const union vreg *v);
/* Store the ACTIVE elements of SIZE bytes at V to O's memory: all or none. */
bool evex_store(struct cpu *c, const struct op *o, u64 active, unsigned size, const void *v);

/* The mask of O: bits of elements that are to be computed. */
static inline u64 evex_active(const struct cpu *c, const struct op *o, unsigned count)
{
	u64 all = count > 63 ? ~(u64)0 : ((u64)1 << count) - 1;

	return o->k ? c->k[o->k] & all : all;
}

static inline u64 element_get(const union vreg *v, unsigned i, unsigned size)
{
	return get_size(&v->b[i * size], size);
}
static inline void element_set(union vreg *v, unsigned i, unsigned size, u64 x) { put_size(&v->b[i * size], size, x); }

/* NAME: the operation FN, of the member MEMBER of evex_desc. A form of 128 to 512 bits, and one of one element. */
#define EVEX_BODY(name, member, fn, which, exceptions) \
	static const struct evex_desc evex_##name = { .kind = EVEX_KIND_##member, .member = fn, .lanes = which, \
						      .post = POST_##exceptions }; \
	BODY(name) { return evex_run(c, o, &evex_##name); } \
	BODY_HANDLER(name)
#define EVEX_BODIES(name, member, fn, post) \
	EVEX_BODY(name##_packed, member, fn, PACKED, post) \
	EVEX_BODY(name##_one, member, fn, ONE, post)
/* The instruction MNEMONIC is that. */
#define EVEX_IS(mnemonic, name) GEN(mnemonic) { (void)d; o->run = h_##name; }
#define EVEX_DQ(mnemonic, name) EVEX_IS(mnemonic##d, name) EVEX_IS(mnemonic##q, name)
#define EVEX_WDQ(mnemonic, name) EVEX_IS(mnemonic##w, name) EVEX_DQ(mnemonic, name)
#define EVEX_BWDQ(mnemonic, name) EVEX_IS(mnemonic##b, name) EVEX_WDQ(mnemonic, name)
/* Of the four formats with SUFFIX p or s. */
#define EVEX_PS_PD(mnemonic, name) EVEX_IS(mnemonic##ps, name##_packed) EVEX_IS(mnemonic##pd, name##_packed)
#define EVEX_SS_SD(mnemonic, name) \
	GEN(mnemonic##ss) { (void)d; o->vlen = 16; o->run = h_##name##_one; } \
	GEN(mnemonic##sd) { (void)d; o->vlen = 16; o->run = h_##name##_one; }
#define EVEX_PH_SH(mnemonic, name) \
	EVEX_IS(mnemonic##ph, name##_packed) \
	GEN(mnemonic##sh) { (void)d; o->vlen = 16; o->run = h_##name##_one; }

#endif
