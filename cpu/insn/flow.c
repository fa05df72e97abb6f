/* SPDX-License-Identifier: MIT */
/* Near control flow: JMP, Jcc, CALL, RET, LOOPcc, JCXZ, and the end of a block. */
#define HAS_LINKS
#include "cpu/insn/condition.h"
#include "cpu/insn/flow.h"
#include "cpu/jump.h"

static u64 ip_mask(const struct op *o) { return o->osize == 2 ? 0xffff : o->osize == 4 ? 0xffffffff : ~(u64)0; }

/* ---- jumps to a displacement ---- */

COLD_HANDLER(jump_unlinked)
{
	if (o->in_page)
		LEAVE(EXIT_LINK);
	if (!n) /* as whatever is found would do */
		LEAVE(EXIT_BUDGET);
	LOOK_UP(EXIT_LOOKUP);
}

COLD_HANDLER(jump_high)
{
	u64 rip = jump_target(c, o);

	if (!near_target(c, rip))
		LEAVE(EXIT_FAULT);
	reg_set(c, 8 * RIP, 8, rip);
	n += o->left - 1;
	LEAVE(EXIT_LOOKUP);
}

COLD_HANDLER(jump_beyond)
{
	fault_target(c);
	LEAVE(EXIT_FAULT);
}

HANDLER(jmp_64) { return jump_direct(c, o, n, JUMP_64); }
HANDLER_AS(jmp_flat, jmp_64) { return jump_direct(c, o, n, JUMP_FLAT); }
HANDLER(jmp_legacy) { return jump_direct(c, o, n, JUMP_LEGACY); }

ALWAYS_INLINE HANDLER_TYPE jump_if(struct cpu *c, const struct op *o, s64 n, unsigned cc, enum jump_kind kind)
{
	if (OFTEN(o, condition(c, cc)))
		return jump_direct(c, o, n, kind);
	RUN(o + 1);
}
#define JCC(cc) \
	HANDLER(jcc_64_##cc) { return jump_if(c, o, n, cc, JUMP_64); } \
	HANDLER_AS(jcc_flat_##cc, jcc_64_##cc) { return jump_if(c, o, n, cc, JUMP_FLAT); } \
	HANDLER(jcc_legacy_##cc) { return jump_if(c, o, n, cc, JUMP_LEGACY); }
CONDITIONS(JCC)

static void choose_jcc(const struct dec *d, struct op *o)
{
#define KINDS(cc) { [JUMP_64] = jcc_64_##cc, [JUMP_LEGACY] = jcc_legacy_##cc, [JUMP_FLAT] = jcc_flat_##cc },
	static handler *const forms[16][3] = { CONDITIONS(KINDS) };

	o->run = forms[d->opcode & 15][dec_jump_kind(d)];
}
#define GEN_JCC(name) GEN(j##name) { choose_jcc(d, o); }
CONDITION_NAMES(GEN_JCC)

/* The block goes on in another, or at the end of the page. Counts nothing. */
ALWAYS_INLINE HANDLER_TYPE end_at(struct cpu *c, const struct op *o, s64 n, u64 rip)
{
	reg_set(c, 8 * RIP, 8, rip);
	if (likely(o->target))
		ENTER_LINKED(o);
	TAIL(jump_unlinked);
}
HANDLER(end_64) { return end_at(c, o, n, jump_target(c, o)); }
HANDLER_AS(end_flat, end_64) { return end_at(c, o, n, (u32)jump_target(c, o)); }
HANDLER(end_legacy)
{
	u64 rip = (reg_get(c, 8 * RIP, 8) + o->ip) & op_ip_mask(o);

	reg_set(c, 8 * RIP, 8, rip);
	if (unlikely(near_top(c, rip)))
		LEAVE(EXIT_LOOKUP);
	if (likely(o->target))
		ENTER_LINKED(o);
	TAIL(jump_unlinked);
}

void flow_end(struct op *o, u64 mode, unsigned ip, bool wraps)
{
	unsigned bits = mode & MODE_BITS;

	*o = (struct op){ .run = bits == MODE_64 ? end_64 : mode & MODE_FLAT_CODE ? end_flat : end_legacy,
	                  .ip = ip & OP_IP_MAX, .disp = (s32)ip, .osize = bits == MODE_64 ? 8 : wraps ? 2 : 4 };
}

/* LOOP, LOOPE, LOOPNE, JCXZ: the counter has the address size. */
ALWAYS_INLINE bool count_down(struct cpu *c, const struct op *o)
{
	unsigned size = op_asize(o);
	u64 count = (reg_get(c, 8 * RCX, size) - 1) & op_amask(o);

	reg_set(c, 8 * RCX, size, count);
	return count;
}

ALWAYS_INLINE bool loop_taken(struct cpu *c, const struct op *o, unsigned which)
{
	switch (which) {
	case 0: return count_down(c, o) && !flag_z(c);
	case 1: return count_down(c, o) && flag_z(c);
	case 2: return count_down(c, o);
	default: return reg_get(c, 8 * RCX, op_asize(o)) == 0;
	}
}

/* A direct jump or call in 64-bit mode to more than 2 GiB beyond the block's start, which op->disp cannot say, or with
 * an instruction pointer of 16 bits: imm is the displacement. src: condition, or one of these. */
enum { FAR_LOOP = 16 /* to 19 */, FAR_JMP = 20, FAR_CALL };

BODY(beyond)
{
	u64 next = next_rip(c, o), rip = (next + (u64)o->imm) & ip_mask(o);

	if (o->src < FAR_LOOP ? !condition(c, o->src) : o->src < FAR_JMP && !loop_taken(c, o, o->src - FAR_LOOP))
		rip = next;
	else if (o->src == FAR_CALL && !shadow_near_call(c, o->osize, rip, next))
		return false;
	c->r[RIP] = rip;
	return true;
}
JUMP_HANDLER(beyond)

/* AMD's processors take the condition from F2h or F3h, if one of them is there. */
static bool loops_if_equal(const struct dec *d)
{
	return is_amd(d->model) && d->rep ? d->rep == 0xf3 : d->opcode & 1;
}

void flow_beyond(const struct dec *d, struct op *o)
{
	o->src = o->code == CODE_jmp    ? FAR_JMP
		 : o->code == CODE_call ? FAR_CALL
		 : d->opcode >= 0xe2    ? FAR_LOOP + (d->opcode & 3)
		 : d->opcode >= 0xe0    ? FAR_LOOP + loops_if_equal(d)
					: d->opcode & 15;
	o->run = h_beyond;
}

/* A jump out of the limit must leave the counter alone: so look first. */
ALWAYS_INLINE HANDLER_TYPE loop_any(struct cpu *c, const struct op *o, s64 n, unsigned which)
{
	bool in64 = in_64(c);
	u64 rip = (reg_get(c, 8 * RIP, 8) + (s64)o->disp) & (in64 ? ~(u64)0 : ip_mask(o)),
	    count = reg_get(c, 8 * RCX, 8);

	if (!loop_taken(c, o, which))
		RUN(o + 1);
	if (unlikely(in64 ? !canonical(c, rip) : rip > c->seg[CS].limit)) {
		reg_set(c, 8 * RCX, 8, count);
		fault_target(c);
		LEAVE(EXIT_FAULT);
	}
	if (in64)
		return jump_direct(c, o, n, JUMP_64);
	return jump_direct(c, o, n, JUMP_LEGACY);
}
HANDLER(h_loopne) { return loop_any(c, o, n, 0); }
HANDLER(h_loope) { return loop_any(c, o, n, 1); }
HANDLER(h_loop) { return loop_any(c, o, n, 2); }
HANDLER(h_jcxz) { return loop_any(c, o, n, 3); }
GEN(loopne) { o->run = loops_if_equal(d) ? h_loope : h_loopne; }
GEN(loope) { o->run = loops_if_equal(d) ? h_loope : h_loopne; }
GEN(loop) { (void)d; o->run = h_loop; }
GEN(jcxz) { (void)d; o->run = h_jcxz; }

/* ---- jumps and calls through a register or memory, returns ---- */

/* The slow forms: any mode, all checks. Each sets r[RIP] last. */
BODY(jmp_indirect)
{
	u64 rip;

	if (!rm_load(c, o, o->dst, o->osize, &rip) || !near_target(c, rip))
		return false;
	c->r[RIP] = rip;
	return true;
}

BODY(call_direct)
{
	u64 rip = (c->r[RIP] + (s64)o->disp) & ip_mask(o);

	if (!near_target(c, rip) || !stack_push(c, o->osize, next_rip(c, o)))
		return false;
	c->r[RIP] = rip;
	return true;
}

BODY(call_indirect)
{
	u64 rip;

	if (!rm_load(c, o, o->dst, o->osize, &rip) || !near_target(c, rip) || !stack_push(c, o->osize, next_rip(c, o)))
		return false;
	c->r[RIP] = rip;
	return true;
}

BODY(jmpabs)
{
	if (!near_target(c, (u64)o->imm))
		return false;
	c->r[RIP] = (u64)o->imm;
	return true;
}
FLOW_HANDLER(jmpabs)
GEN(jmpabs) { (void)d; o->run = h_jmpabs; }

/* o->imm: bytes to release. */
BODY(ret)
{
	u64 rip, rsp = c->r[RSP], mask = stack_mask(c);

	if (!stack_pop(c, o->osize, &rip))
		return false;
	if (!near_target(c, rip)) {
		c->r[RSP] = rsp;
		return false;
	}
	rsp = c->r[RSP] + (u16)o->imm;
	c->r[RSP] = mask == 0xffff ? (c->r[RSP] & ~mask) | (rsp & mask) : rsp & mask;
	c->r[RIP] = rip;
	return true;
}

FLOW_HANDLER(jmp_indirect)
FLOW_HANDLER(call_direct)
FLOW_HANDLER(call_indirect)
FLOW_HANDLER(ret)

/* In 64-bit mode, or with flat code and stack of 32 bits, to where the jump cache knows a block; the rest is the slow
 * form's. */
ALWAYS_INLINE HANDLER_TYPE jump_to(struct cpu *c, const struct op *o, s64 n, u64 rip)
{
	u64 key = jump_key(c, rip);
	const struct jump *j = jump_slot(c, key);

	if (unlikely(!jump_is(j, key, rip)))
		TAIL(h_jmp_indirect);
	reg_set(c, 8 * RIP, 8, rip);
	ENTER(j->op);
}

ALWAYS_INLINE HANDLER_TYPE call_to(struct cpu *c, const struct op *o, s64 n, u64 rip, unsigned size)
{
	u64 rsp = trim(reg_get(c, 8 * RSP, size) - size, size), key = jump_key(c, rip);
	const struct jump *j = jump_slot(c, key);
	u8 *p = fast_host(c, rsp, size, true);

	if (unlikely(!p || !jump_is(j, key, rip)))
		TAIL(h_call_indirect);
	put_size(p, size, reg_get(c, 8 * RIP, 8) + o->ip + o->len);
	reg_set(c, 8 * RSP, size, rsp);
	reg_set(c, 8 * RIP, 8, rip);
	ENTER(j->op);
}

ALWAYS_INLINE HANDLER_TYPE indirect(struct cpu *c, const struct op *o, s64 n, unsigned size, bool call)
{
	const u8 *p = fast_op(c, o, size == 8 ? KIND_INDEX : KIND_FLAT, size, false);

	if (unlikely(!p))
		TAIL(call ? h_call_indirect : h_jmp_indirect);
	if (call)
		return call_to(c, o, n, get_size(p, size), size);
	return jump_to(c, o, n, get_size(p, size));
}

#define INDIRECT(name, size) \
	HANDLER(jmp_reg_##name) { return jump_to(c, o, n, reg_get(c, o->dst, size)); } \
	HANDLER(call_reg_##name) { return call_to(c, o, n, reg_get(c, o->dst, size), size); } \
	HANDLER(jmp_mem_##name) { return indirect(c, o, n, size, false); } \
	HANDLER(call_mem_##name) { return indirect(c, o, n, size, true); }
INDIRECT(64, 8)
INDIRECT(flat, 4)

/* The stack pointer is as wide as the operand. FLAT: code and stack are. */
ALWAYS_INLINE HANDLER_TYPE call_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, bool flat)
{
	u64 rsp = trim(reg_get(c, 8 * RSP, size) - size, size), to = jump_target(c, o);
	u8 *p = fast_stack(c, rsp, size, true, flat);

	if (unlikely(!p || (size == 8 ? !canonical_48(to) : !flat && (to & op_ip_mask(o)) > c->seg[CS].limit)))
		TAIL(h_call_direct);
	put_size(p, size, reg_get(c, 8 * RIP, 8) + o->ip + o->len);
	reg_set(c, 8 * RSP, size, rsp);
	return jump_direct(c, o, n, size == 8 ? JUMP_64 : flat ? JUMP_FLAT : JUMP_LEGACY);
}
HANDLER(call_16) { return call_fast(c, o, n, 2, false); }
HANDLER(call_32) { return call_fast(c, o, n, 4, false); }
HANDLER(call_64) { return call_fast(c, o, n, 8, false); }
HANDLER(call_flat) { return call_fast(c, o, n, 4, true); }

ALWAYS_INLINE HANDLER_TYPE ret_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, bool flat)
{
	u64 rsp = reg_get(c, 8 * RSP, size), rip, key;
	const u8 *p = fast_stack(c, rsp, size, false, flat);
	const struct jump *j;

	if (unlikely(!p))
		TAIL(h_ret);
	rip = get_size(p, size);
	key = jump_key(c, rip);
	j = jump_slot(c, key);
	if (unlikely(!jump_is(j, key, rip) || (size != 8 && !flat && (rip > c->seg[CS].limit || near_top(c, rip)))))
		TAIL(h_ret);
	reg_set(c, 8 * RSP, size, rsp + size + (u16)o->imm);
	reg_set(c, 8 * RIP, 8, rip);
	ENTER(j->op);
}
HANDLER(ret_16) { return ret_fast(c, o, n, 2, false); }
HANDLER(ret_32) { return ret_fast(c, o, n, 4, false); }
HANDLER(ret_64) { return ret_fast(c, o, n, 8, false); }
HANDLER(ret_flat) { return ret_fast(c, o, n, 4, true); }

static bool flat(const struct dec *d) { return d->mode & MODE_FLAT_CODE && dec_flat_stack(d); }

GEN(jmp)
{
	static handler *const direct[] = { [JUMP_LEGACY] = jmp_legacy, [JUMP_64] = jmp_64, [JUMP_FLAT] = jmp_flat };
	const enum jump_kind kind = dec_jump_kind(d);

	if (unlikely(d->mode & MODE_IBT) && flow_enforced(d, o))
		return;
	if (dec_kind(d, 0) == OPK_J)
		o->run = direct[kind];
	else if (kind == JUMP_LEGACY || d->osize == 2 || (d->mem && !(kind == JUMP_64 ? d->simple_ea : d->flat_ea)))
		o->run = h_jmp_indirect;
	else if (kind == JUMP_64)
		o->run = d->mem ? jmp_mem_64 : jmp_reg_64;
	else
		o->run = d->mem ? jmp_mem_flat : jmp_reg_flat;
}

GEN(call)
{
	if (unlikely(d->mode & (MODE_IBT | MODE_SHSTK)) && flow_enforced(d, o))
		return;
	if (dec_kind(d, 0) == OPK_J)
		o->run = d->bits == 64 ? call_64 : flat(d) ? call_flat : d->osize == 2 ? call_16 : call_32;
	else if (d->bits == 64 && d->osize == 8 && (!d->mem || d->simple_ea))
		o->run = d->mem ? call_mem_64 : call_reg_64;
	else if (flat(d) && (!d->mem || d->flat_ea))
		o->run = d->mem ? call_mem_flat : call_reg_flat;
	else
		o->run = h_call_indirect;
}

GEN(ret)
{
	if (unlikely(d->mode & MODE_SHSTK) && flow_enforced(d, o))
		return;
	if (d->bits == 64)
		o->run = d->osize == 8 ? ret_64 : h_ret;
	else
		o->run = flat(d) ? ret_flat : d->osize == 2 ? ret_16 : ret_32;
}
