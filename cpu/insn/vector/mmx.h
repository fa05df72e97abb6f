/* Operands of instructions on MMX registers. */
#ifndef CPU_MMX_H
#define CPU_MMX_H

#include "cpu/insn/vector/vector.h"
#include "cpu/x87.h"

/* The source: register, or SIZE bytes of memory. */
ALWAYS_INLINE bool mmx_source(struct cpu *c, const struct op *o, unsigned size, vec *out)
{
	u64 v;
	const u8 *p;

	if (!x87_wait(c))
		return false;
	if (!o->mem)
		v = mmx_get(c, o->src);
	else if (likely(p = fast_op(c, o, KIND_SEG, size, false)))
		v = get_size(p, size);
	else if (!op_load(c, o, size, &v))
		return false;
	*out = (vec){ v, 0 };
	return true;
}

static inline void mmx_result(struct cpu *c, const struct op *o, u64 v)
{
	mmx_enter(c);
	mmx_set(c, o->dst, v);
}

ALWAYS_INLINE bool mmx_body(struct cpu *c, const struct op *o, vec_fn *fn, unsigned size)
{
	vec b;

	if (!mmx_source(c, o, size, &b))
		return false;
	mmx_result(c, o, fn((vec){ mmx_get(c, o->dst), 0 }, b)[0]);
	return true;
}

#endif
