/* SPDX-License-Identifier: MIT */
/* Operands of instructions on MMX registers. */
#ifndef CPU_MMX_H
#define CPU_MMX_H

#include "cpu/insn/vector/vector.h"
#include "cpu/x87.h"

/* The source: register, or SIZE bytes of memory. */
bool mmx_source_memory(struct cpu *c, const struct op *o, unsigned size, vec *out);
ALWAYS_INLINE bool mmx_source(struct cpu *c, const struct op *o, unsigned size, vec *out)
{
	if (!x87_wait(c))
		return false;
	if (o->mem)
		return mmx_source_memory(c, o, size, out);
	*out = (vec){ mmx_get(c, o->src), 0 };
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
	mmx_result(c, o, fn(c, (vec){ mmx_get(c, o->dst), 0 }, b, o->imm8, 0)[0]);
	return true;
}

/* NAME_mm: mm = FN(mm, mm or SIZE bytes of memory), on the low half of its vectors. */
#define MMX_BODY(name, fn, size) \
	BODY(name##_mm) { return mmx_body(c, o, fn, size); } \
	GEN_BODY(name##_mm)

/* The MMX form of an operation that is not just half of the SSE one. */
#define MMX(name, size, expression) \
	VEC_LANES(name##_mm, expression) \
	MMX_BODY(name, lanes_##name##_mm, size)

/* Both operands one behind the other: halves of the result then come from each, as the 64-bit forms have it. */
ALWAYS_INLINE vec mmx_both(vec a, vec b) { return (vec){ a[0], b[0] }; }
ALWAYS_INLINE vec mmx_upper(vec a) { return (vec){ a[1], 0 }; }

#endif
