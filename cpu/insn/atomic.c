/* SPDX-License-Identifier: MIT */
/* Instructions that change memory in one step, without a LOCK prefix: RAO-INT and CMPccXADD (SDM vol. 2, each). Here
 * every instruction is one step. */
#include "cpu/insn/condition.h"

/* The memory operand, SIZE bytes, which must be aligned. */
static bool load_aligned(struct cpu *c, const struct op *o, unsigned size, u64 *v)
{
	u64 linear;

	if (!op_linear(c, o, size, true, &linear))
		return false;
	if (linear & (size - 1))
		return gp_because(c, 0, "the operand in memory is not aligned (vol. 2, AADD, CMPccXADD)");
	return op_load_rmw(c, o, size, v);
}

#define RAO(name, op) \
	BODY(name) \
	{ \
		unsigned size = o->osize == 8 ? 8 : 4; \
		u64 v; \
		return load_aligned(c, o, size, &v) && op_store(c, o, size, v op reg_get(c, o->src, size)); \
	} \
	GEN_BODY(name)
RAO(aadd, +)
RAO(aand, &)
RAO(aor, |)
RAO(axor, ^)

/* Compare memory with a register, and add another to it if the condition, imm8, holds. The register gets what memory
 * was. */
BODY(cmpccxadd)
{
	unsigned size = o->osize == 8 ? 8 : 4;
	u64 old, other = reg_get(c, o->src, size), addend = reg_get(c, o->third, size);
	u64 res = c->res, cv = c->cv;
	u8 fix = c->fix;

	if (!load_aligned(c, o, size, &old))
		return false;
	set_flags_sum(c, old, other, old - other, size, true);
	if (!op_store(c, o, size, condition(c, o->imm8) ? old + addend : old)) {
		c->res = res;
		c->cv = cv;
		c->fix = fix;
		return false;
	}
	reg_set(c, o->src, size, old);
	return true;
}
BODY_HANDLER(cmpccxadd)
#define GEN_XADD(cc) GEN(cmp##cc##xadd) { o->imm8 = d->opcode & 15; o->run = h_cmpccxadd; }
GEN_XADD(o)
GEN_XADD(no)
GEN_XADD(b)
GEN_XADD(nb)
GEN_XADD(z)
GEN_XADD(nz)
GEN_XADD(be)
GEN_XADD(nbe)
GEN_XADD(s)
GEN_XADD(ns)
GEN_XADD(p)
GEN_XADD(np)
GEN_XADD(l)
GEN_XADD(nl)
GEN_XADD(le)
GEN_XADD(nle)
