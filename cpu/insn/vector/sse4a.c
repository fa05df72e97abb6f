/* SPDX-License-Identifier: MIT */
/* SSE4a: bit fields of 64 bits in XMM registers, and scalar stores past the cache (AMD 26568, vol. 4).
 *
 * A field is LENGTH bits (0: 64) from INDEX. AMD leaves open what is above bit 63 of the result, and what a field that
 * reaches beyond bit 63 does. Here the upper half becomes zero, and such a field ends at bit 63. */
#include "cpu/insn/vector/vector.h"

static u64 field_mask(unsigned length)
{
	length &= 63;
	return length ? ((u64)1 << length) - 1 : ~(u64)0;
}

static u64 extract(u64 v, unsigned length, unsigned index)
{
	return v >> (index & 63) & field_mask(length);
}

static u64 insert(u64 to, u64 from, unsigned length, unsigned index)
{
	u64 mask = field_mask(length) << (index & 63);

	return (to & ~mask) | (from << (index & 63) & mask);
}

/* The immediates: length, then index (bits 16-23 of imm). */
BODY(extrq_imm)
{
	xmm_set(c, o->dst, (vec){ extract(c->v[o->dst].q[0], (unsigned)o->imm, (unsigned)(o->imm >> 16)), 0 });
	return true;
}
GEN_BODY(extrq_imm)

/* In the source: length in bits 5-0, index in 13-8. */
BODY(extrq)
{
	u64 how = c->v[o->src].q[0];

	xmm_set(c, o->dst, (vec){ extract(c->v[o->dst].q[0], (unsigned)how, (unsigned)(how >> 8)), 0 });
	return true;
}
GEN_BODY(extrq)

BODY(insertq_imm)
{
	u64 v = insert(c->v[o->dst].q[0], c->v[o->src].q[0], (unsigned)o->imm, (unsigned)(o->imm >> 16));

	xmm_set(c, o->dst, (vec){ v, 0 });
	return true;
}
GEN_BODY(insertq_imm)

/* In the source's upper half: length in bits 69-64, index in 77-72. */
BODY(insertq)
{
	const union vreg s = c->v[o->src];

	xmm_set(c, o->dst, (vec){ insert(c->v[o->dst].q[0], s.q[0], (unsigned)s.q[1], (unsigned)(s.q[1] >> 8)), 0 });
	return true;
}
GEN_BODY(insertq)

BODY(movntss) { return op_store(c, o, 4, c->v[o->src].d[0]); }
GEN_BODY(movntss)
BODY(movntsd) { return op_store(c, o, 8, c->v[o->src].q[0]); }
GEN_BODY(movntsd)
