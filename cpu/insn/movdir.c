/* SPDX-License-Identifier: MIT */
/* Direct stores, which go past the caches, and SERIALIZE: here all accesses are in order, and nothing is cached. */
#include "cpu/op.h"

gen_fn gen_movnti;
GEN(movdiri) { gen_movnti(d, o); }

/* 64 bytes to ES:[register], which must be aligned to as many. */
BODY(movdir64b)
{
	u64 linear;
	u8 v[64];

	if (!op_load_block(c, o, v, sizeof v) ||
	    !seg_linear(c, ES, REG64(o->dst) & op_amask(o), sizeof v, true, &linear))
		return false;
	if (linear & 63)
		return gp_because(c, 0, "the destination is not aligned to 64 bytes (vol. 2, MOVDIR64B)");
	return mem_write_block(c, linear, v, sizeof v);
}
GEN_BODY(movdir64b)

BODY(serialize)
{
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(serialize)
