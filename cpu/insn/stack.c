/* SPDX-License-Identifier: MIT */
/* PUSH, POP, PUSHA, POPA, ENTER, LEAVE. */
#include "cpu/insn/alu.h"

BODY(push_reg) { return stack_push(c, o->osize, reg_get(c, o->dst, o->osize)); }
BODY_HANDLER(push_reg)
BODY(push_imm) { return stack_push(c, o->osize, (u64)o->imm); }
BODY_HANDLER(push_imm)
/* The 8086 pushes SP as it is after the push (SDM vol. 3, 22.17). */
BODY(push_sp_8086) { return stack_push(c, 2, c->r[RSP] - 2); }
BODY_HANDLER(push_sp_8086)
BODY(push_mem)
{
	u64 v;

	return op_load(c, o, o->osize, &v) && stack_push(c, o->osize, v);
}
BODY_HANDLER(push_mem)

/* The stack pointer is as wide as the operand: the common case. */
ALWAYS_INLINE HANDLER_TYPE push_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, bool flat, u64 v,
				     handler *slow)
{
	u64 rsp = trim(reg_get(c, 8 * RSP, size) - size, size);
	u8 *p = fast_stack(c, rsp, size, true, flat);

	if (unlikely(!p))
		TAIL(slow);
	put_size(p, size, v);
	reg_set(c, 8 * RSP, size, rsp);
	RUN(o + 1);
}
#define PUSH(name, size, flat) \
	HANDLER(push_reg_##name) { return push_fast(c, o, n, size, flat, reg_get(c, o->dst, size), h_push_reg); } \
	HANDLER(push_imm_##name) { return push_fast(c, o, n, size, flat, (u64)o->imm, h_push_imm); }
PUSH(16, 2, false)
PUSH(32, 4, false)
PUSH(64, 8, false)
PUSH(flat, 4, true)
SPECIALISE_LOAD(push_reg_64)
SPECIALISE_LOAD(push_reg_flat)

ALWAYS_INLINE HANDLER_TYPE push_load(struct cpu *c, const struct op *o, s64 n, unsigned size, enum kind kind)
{
	const u8 *p = fast_op(c, o, kind, size, false);

	if (unlikely(!p))
		TAIL(h_push_mem);
	return push_fast(c, o, n, size, true, get_size(p, size), h_push_mem);
}
HANDLER(push_mem_64) { return push_load(c, o, n, 8, KIND_INDEX); }
HANDLER(push_mem_flat) { return push_load(c, o, n, 4, KIND_FLAT); }

/* Handlers by the logarithm of the size; 0: the sizes cannot agree, 4: flat. */
static unsigned stack_width(const struct dec *d)
{
	return dec_flat_stack(d) ? 4 : d->bits == 64 && d->osize != 8 ? 0 : log2_size(d->osize);
}
static handler *const push_regs[] = { h_push_reg, push_reg_16, push_reg_32, push_reg_64, push_reg_flat };
static handler *const push_imms[] = { h_push_imm, push_imm_16, push_imm_32, push_imm_64, push_imm_flat };
static handler *push_memory(const struct dec *d)
{
	if (d->simple_ea && d->osize == 8)
		return push_mem_64;
	return d->flat_ea && dec_flat_stack(d) ? push_mem_flat : h_push_mem;
}

GEN(push)
{
	unsigned width = stack_width(d);

	if (dec_kind(d, 0) == OPK_I || dec_kind(d, 0) == OPK_SI)
		o->run = push_imms[width];
	else
		o->run = d->mem                                        ? push_memory(d)
			 : o->dst == 8 * RSP && !has(d->model, F_I286) ? h_push_sp_8086
								       : push_regs[width];
}

BODY(pop_reg)
{
	u64 v;

	if (!stack_pop(c, o->osize, &v))
		return false;
	reg_set(c, o->dst, o->osize, v);
	return true;
}
BODY_HANDLER(pop_reg)
/* The address is computed with rSP already incremented; a fault puts it back. */
BODY(pop_mem)
{
	u64 v, rsp = c->r[RSP];

	if (stack_pop(c, o->osize, &v) && op_store(c, o, o->osize, v))
		return true;
	c->r[RSP] = rsp;
	return false;
}
BODY_HANDLER(pop_mem)
ALWAYS_INLINE HANDLER_TYPE pop_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, bool flat)
{
	u64 rsp = reg_get(c, 8 * RSP, size), v;
	const u8 *p = fast_stack(c, rsp, size, false, flat);

	if (unlikely(!p))
		TAIL(h_pop_reg);
	v = get_size(p, size);
	reg_set(c, 8 * RSP, size, rsp + size);
	reg_set(c, o->dst, size, v);
	RUN(o + 1);
}
HANDLER(pop_reg_16) { return pop_fast(c, o, n, 2, false); }
HANDLER(pop_reg_32) { return pop_fast(c, o, n, 4, false); }
HANDLER(pop_reg_64) { return pop_fast(c, o, n, 8, false); }
HANDLER(pop_reg_flat) { return pop_fast(c, o, n, 4, true); }
SPECIALISE_LOAD(pop_reg_64)
SPECIALISE_LOAD(pop_reg_flat)
static handler *const pop_regs[] = { h_pop_reg, pop_reg_16, pop_reg_32, pop_reg_64, pop_reg_flat };
GEN(pop) { o->run = d->mem ? h_pop_mem : pop_regs[stack_width(d)]; }

/* PUSH2 and POP2: the first operand goes first. Both are one access of 16 bytes, which must be aligned. */
static bool pair_linear(struct cpu *c, u64 rsp, bool write, u64 *linear)
{
	if (rsp & 15)
		return gp_because(c, 0, "the stack is not aligned to 16 bytes (vol. 2, PUSH2, POP2)");
	return data_linear(c, SS, rsp, 16, write, linear);
}

BODY(push2)
{
	u64 linear, both[2] = { reg_get(c, o->src, 8), reg_get(c, o->dst, 8) };

	if (!pair_linear(c, c->r[RSP] - 16, true, &linear) || !mem_write_block(c, linear, both, sizeof both))
		return false;
	c->r[RSP] -= 16;
	return true;
}
GEN_BODY(push2)

BODY(pop2)
{
	u64 linear, both[2];

	if (!pair_linear(c, c->r[RSP], false, &linear) || !mem_read_block(c, linear, both, sizeof both))
		return false;
	c->r[RSP] += 16;
	reg_set(c, o->dst, 8, both[0]);
	reg_set(c, o->src, 8, both[1]);
	return true;
}
GEN_BODY(pop2)

/* Could SIZE bytes be pushed to RSP? Only the bits of RSP that the stack has count. */
static bool stack_room(struct cpu *c, u64 rsp, unsigned size)
{
	u64 linear;

	return data_linear(c, SS, rsp & stack_mask(c), size, true, &linear) && mem_check_write(c, linear, size);
}

/* All eight or none. */
BODY(pusha)
{
	u64 rsp = c->r[RSP];

	for (unsigned i = 1; i <= 8; i++)
		if (!stack_room(c, rsp - i * o->osize, o->osize))
			return false;
	for (unsigned i = 0; i < 8; i++)
		if (!stack_push(c, o->osize, i == RSP ? rsp : c->r[i])) {
			c->r[RSP] = rsp;
			return false;
		}
	return true;
}
GEN_BODY(pusha)
BODY(popa)
{
	u64 rsp = c->r[RSP], v[8];

	for (unsigned i = 8; i-- > 0;)
		if (!stack_pop(c, o->osize, &v[i])) {
			c->r[RSP] = rsp;
			return false;
		}
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP)
			reg_set(c, 8 * i, o->osize, v[i]);
	return true;
}
GEN_BODY(popa)

/* SDM vol. 2, ENTER. imm: bytes of frame, nesting level at bits 16-23. Everything that can fault is tried first: old
 * frame pointers are read, the slots of the new ones can be written, and so can the new top, though nothing is written
 * there ("#SS or #PF if a write using the final value..."). */
static bool enter_checks(struct cpu *c, unsigned size, unsigned level, u64 frame_size)
{
	u64 rsp = c->r[RSP] - size, rbp = c->r[RBP], linear, v;

	if (!stack_room(c, rsp, size))
		return false;
	for (unsigned i = 1; i < level; i++) {
		rbp -= size;
		rsp -= size;
		if (!data_linear(c, SS, rbp & stack_mask(c), size, false, &linear) || !mem_read(c, linear, size, &v) ||
		    !stack_room(c, rsp, size))
			return false;
	}
	if (level && !stack_room(c, rsp -= size, size))
		return false;
	return stack_room(c, rsp - frame_size, size);
}

BODY(enter)
{
	unsigned size = o->osize, level = (o->imm >> 16) & 31;
	u64 mask = stack_mask(c), rsp = c->r[RSP], rbp = c->r[RBP], frame, v, linear;

	if (!enter_checks(c, size, level, (u16)o->imm) || !stack_push(c, size, rbp))
		return false;
	frame = c->r[RSP];
	for (unsigned i = 1; i < level; i++) {
		rbp -= size;
		if (!data_linear(c, SS, rbp & mask, size, false, &linear) || !mem_read(c, linear, size, &v) ||
		    !stack_push(c, size, v))
			goto back;
	}
	if (level && !stack_push(c, size, frame))
		goto back;
	v = (c->r[RSP] - (u16)o->imm) & mask;
	c->r[RSP] = mask == 0xffff ? (c->r[RSP] & ~mask) | v : v;
	reg_set(c, 8 * RBP, size, frame);
	return true;
back:
	c->r[RSP] = rsp;
	return false;
}
GEN_BODY(enter)

BODY(leave)
{
	u64 mask = stack_mask(c), rsp = c->r[RSP], v;

	c->r[RSP] = mask == 0xffff ? (rsp & ~mask) | (c->r[RBP] & mask) : c->r[RBP] & mask;
	if (!stack_pop(c, o->osize, &v)) {
		c->r[RSP] = rsp;
		return false;
	}
	reg_set(c, 8 * RBP, o->osize, v);
	return true;
}
BODY_HANDLER(leave)
ALWAYS_INLINE HANDLER_TYPE leave_fast(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	u64 rbp = reg_get(c, 8 * RBP, size);
	const u8 *p = fast_host(c, rbp, size, false);

	if (unlikely(!p))
		TAIL(h_leave);
	reg_set(c, 8 * RSP, size, rbp + size);
	reg_set(c, 8 * RBP, size, get_size(p, size));
	RUN(o + 1);
}
HANDLER(leave_64) { return leave_fast(c, o, n, 8); }
HANDLER(leave_flat) { return leave_fast(c, o, n, 4); }
GEN(leave) { o->run = d->bits == 64 && d->osize == 8 ? leave_64 : dec_flat_stack(d) ? leave_flat : h_leave; }
