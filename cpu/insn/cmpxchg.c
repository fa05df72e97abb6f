/* SPDX-License-Identifier: MIT */
/* CMPXCHG, CMPXCHG8B, CMPXCHG16B, XADD; BOUND; hints. One processor runs at a time, so that LOCK needs nothing. */
#include "cpu/insn/alu.h"

/* rAX against the destination: equal, the source goes there, else it goes to rAX. Memory is written in both cases, with
 * what it has if they differ (SDM vol. 2, CMPXCHG). */
ALWAYS_INLINE bool compare_exchange(struct cpu *c, const struct op *o, unsigned size)
{
	u64 old, a = reg_get(c, 8 * RAX, size), r;

	if (!rm_load_rmw(c, o, size, &old))
		return false;
	r = trim(a - old, size);
	set_flags_sum(c, a, old, a - old, size, true);
	if (!r)
		return rm_store(c, o, o->dst, size, reg_get(c, o->src, size));
	if (o->mem && !op_store(c, o, size, old)) /* a register keeps even its upper half */
		return false;
	reg_set(c, 8 * RAX, size, old);
	return true;
}

/* Sum and old value change places. */
ALWAYS_INLINE bool exchange_add(struct cpu *c, const struct op *o, unsigned size)
{
	u64 old, b = reg_get(c, o->src, size), r;

	if (!rm_load_rmw(c, o, size, &old))
		return false;
	r = trim(old + b, size);
	if (o->mem && !op_store(c, o, size, r)) /* first: the address may be made of the source register */
		return false;
	set_flags_sum(c, old, b, old + b, size, false);
	reg_set(c, o->src, size, old);
	if (!o->mem)
		reg_set(c, o->dst, size, r); /* last, so that XADD of a register with itself leaves the sum */
	return true;
}

/* Both in memory that the TLB answers for. Then nothing can fault, and memory that keeps its value need not be written.
 * */
ALWAYS_INLINE HANDLER_TYPE compare_exchange_fast(struct cpu *c, const struct op *o, s64 n, unsigned size,
						 enum kind kind, handler *slow)
{
	u8 *p = fast_op(c, o, kind, size, true);
	u64 old, a = reg_get(c, 8 * RAX, size);

	if (unlikely(!p))
		TAIL(slow);
	old = get_size(p, size);
	defer_flags_difference(c, a, old, size);
	if (a == old)
		put_size(p, size, reg_get(c, o->src, size));
	else
		reg_set(c, 8 * RAX, size, old);
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE exchange_add_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, enum kind kind,
					     handler *slow)
{
	u8 *p = fast_op(c, o, kind, size, true);
	u64 old, b = reg_get(c, o->src, size);

	if (unlikely(!p))
		TAIL(slow);
	old = get_size(p, size);
	put_size(p, size, old + b);
	defer_flags_sum(c, old, b, size);
	reg_set(c, o->src, size, old);
	RUN(o + 1);
}

#define BYTE_AND_WIDE(name, function) \
	BODY(name##_b) { return function(c, o, 1); } \
	BODY(name##_v) { return o->osize == 2 ? function(c, o, 2) : o->osize == 4 ? function(c, o, 4) \
		: function(c, o, 8); } \
	BODY_HANDLER(name##_b) \
	BODY_HANDLER(name##_v) \
	HANDLER(name##_m4_lin) { return function##_fast(c, o, n, 4, KIND_INDEX, h_##name##_v); } \
	HANDLER_AS(name##_m4_flat, name##_m4_lin) { return function##_fast(c, o, n, 4, KIND_FLAT, h_##name##_v); } \
	HANDLER_AS(name##_m8_flat, name##_m8_lin) { return function##_fast(c, o, n, 8, KIND_FLAT, h_##name##_v); } \
	HANDLER(name##_m4_seg) { return function##_fast(c, o, n, 4, KIND_SEG, h_##name##_v); } \
	HANDLER(name##_m8_lin) { return function##_fast(c, o, n, 8, KIND_INDEX, h_##name##_v); } \
	HANDLER(name##_m8_seg) { return function##_fast(c, o, n, 8, KIND_SEG, h_##name##_v); } \
	GEN(name) \
	{ \
		static handler *const fast[2][3] = { FORMS2(name##_m4), FORMS2(name##_m8) }; \
		unsigned size = dec_size(d, 0); \
		o->run = d->mem && size >= 4 ? fast[size == 8][dec_way(d)] : size == 1 ? h_##name##_b \
			: h_##name##_v; \
	}
BYTE_AND_WIDE(cmpxchg, compare_exchange)
BYTE_AND_WIDE(xadd, exchange_add)

static void set_zero(struct cpu *c, bool zf)
{
	cpu_set_arith(c, (cpu_flags(c) & OSZAPC & ~FL_Z) | (zf ? FL_Z : 0));
}

BODY(cmpxchg8b)
{
	u64 old, linear;
	bool equal;

	if (!op_linear(c, o, 8, true, &linear) || !mem_check_write(c, linear, 8) || !mem_read(c, linear, 8, &old))
		return false;
	equal = old == (REG32(8 * RAX) | (u64)REG32(8 * RDX) << 32);
	if (!mem_write(c, linear, 8, equal ? REG32(8 * RBX) | (u64)REG32(8 * RCX) << 32 : old))
		return false;
	if (!equal) {
		reg_set(c, 8 * RAX, 4, old);
		reg_set(c, 8 * RDX, 4, old >> 32);
	}
	set_zero(c, equal);
	return true;
}

BODY(cmpxchg16b)
{
	u64 old[2], new[2], linear;
	bool equal;

	if (!op_linear(c, o, 16, true, &linear) || !mem_check_write(c, linear, 16) ||
	    !mem_read_block(c, linear, old, 16))
		return false;
	equal = old[0] == c->r[RAX] && old[1] == c->r[RDX];
	new[0] = equal ? c->r[RBX] : old[0];
	new[1] = equal ? c->r[RCX] : old[1];
	if (!mem_write_block(c, linear, new, 16))
		return false;
	if (!equal) {
		c->r[RAX] = old[0];
		c->r[RDX] = old[1];
	}
	set_zero(c, equal);
	return true;
}
GEN_BODY(cmpxchg8b)
GEN_BODY(cmpxchg16b)

/* A signed index against the two bounds in memory, both inclusive: #BR. */
BODY(bound)
{
	const unsigned size = o->osize;
	s64 index = (s64)extend(reg_get(c, o->dst, size), size);
	u64 offset = op_offset(c, o), linear, low, high;

	if (!op_load(c, o, size, &low))
		return false;
	if (!seg_linear(c, o->seg, (offset + size) & op_amask(o), size, false, &linear) ||
	    !mem_read(c, linear, size, &high))
		return false;
	if (index < (s64)extend(low, size) || index > (s64)extend(high, size))
		return fault(c, VEC_BR);
	return true;
}
GEN_BODY(bound)

/* ---- hints: nothing can be seen of them, and they never fault ---- */

HANDLER(hint)
{
	RUN(o + 1);
}
GEN(nop_hint) { (void)d; o->run = hint; }
GEN(prefetchnta) { (void)d; o->run = hint; }
GEN(prefetcht0) { (void)d; o->run = hint; }
GEN(prefetcht1) { (void)d; o->run = hint; }
GEN(prefetcht2) { (void)d; o->run = hint; }
GEN(prefetch) { (void)d; o->run = hint; }
GEN(prefetchw) { (void)d; o->run = hint; }
GEN(prefetchrst2) { (void)d; o->run = hint; }
GEN(prefetchit0) { (void)d; o->run = hint; }
GEN(prefetchit1) { (void)d; o->run = hint; }
GEN(cldemote) { (void)d; o->run = hint; }

/* ---- ESC and WAIT without a coprocessor ---- */

BODY(esc)
{
	u64 v;

	return !o->mem || op_load(c, o, 2, &v);
}
GEN_BODY(esc)

/* 90h is NOP, even where XCHG EAX, EAX would clear the upper half; with REX.B it is XCHG R8, rAX. */
gen_fn gen_xchg;
GEN(nop_or_xchg)
{
	if (d->rex & 1)
		gen_xchg(d, o);
	else
		o->run = hint;
}
