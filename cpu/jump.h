/* SPDX-License-Identifier: MIT */
/* The ways out of a block: to a block that is linked, to one that the jump cache knows, or to the run loop, which
 * finds or builds it. */
#ifndef CPU_JUMP_H
#define CPU_JUMP_H

#include "cpu/op.h"

static inline u64 jump_key(const struct cpu *c, u64 rip) { return (rip + c->cs_base) ^ c->mode_key; }

/* The linear page that a key leads to: bits 47-62 of an address are as bit 63. (Of one that wraps around 4 GiB, a page
 * that there is not.) */
static inline u64 jump_page(u64 key)
{
	const u64 upper = ~(u64)0 << 47;

	return (key >> 63 ? key | upper : key & ~upper) & PAGE_MASK;
}

/* Is J what was looked for? Addresses of more than 48 bits, and those that are not canonical, have keys of other
 * ones. */
ALWAYS_INLINE bool jump_is(const struct jump *j, u64 key, u64 rip) { return j->key == key && canonical_48(rip); }

static inline struct jump *jump_slot(struct cpu *c, u64 key)
{
	return &c->view->jump[(key ^ key >> 12) & ((1u << JUMP_BITS) - 1)];
}

/* From now on, the jump with KEY leads to the block T. */
static inline void jump_learn(struct cpu *c, u64 key, const struct STORED_OP *t)
{
	struct jump *j = jump_slot(c, key);
	struct view *v = c->view;

	if (j->key == NO_JUMP)
		v->jumped[v->njumps++] = (u16)(j - v->jump);
	*j = (struct jump){ key, t };
}

/* Go on at block T, whose start r[RIP] already holds. All instructions so far are counted. */
#define ENTER(t) \
	do { \
		const struct STORED_OP *t_ = (t); \
		n -= t_->left; \
		if (unlikely(n < 0)) { \
			n += t_->left; \
			LEAVE(EXIT_BUDGET); \
		} \
		RUN_BLOCK(t_); \
	} while (0)

/* The same through O's link. */
#define ENTER_LINKED(o) \
	do { \
		CHECK(block_known(c, (o)->target)); \
		n -= (o)->cost; \
		if (unlikely(n < 0)) { \
			n += HERE(o)->target->left; \
			LEAVE(EXIT_BUDGET); \
		} \
		RUN_LINKED(o); \
	} while (0)

/* Near the end of 64 KiB, a block that is known from another CS may reach beyond the limit here. block_find looks at
 * that, links do not. */
enum { NEAR_TOP = 0x10000 - 96 * 15 };
static inline bool near_top(const struct cpu *c, u64 rip)
{
	return rip >= NEAR_TOP &&
	       ((c->mode & MODE_BITS) == MODE_16 ? rip < 0x20000 : !in_64(c) && rip > c->seg[CS].limit);
}

/* Go on at r[RIP], wherever that is. */
#define LOOK_UP(why) \
	do { \
		u64 key_ = jump_key(c, reg_get(c, 8 * RIP, 8)); \
		const struct jump *j_ = jump_slot(c, key_); \
		if (likely(jump_is(j_, key_, reg_get(c, 8 * RIP, 8)) && !near_top(c, reg_get(c, 8 * RIP, 8)))) { \
			CHECK(block_known(c, j_->op)); \
			ENTER(j_->op); \
		} \
		LEAVE(why); \
	} while (0)

/* Handler H_NAME for do_NAME, a body that sets r[RIP]: if it met something, leave; else go on by the jump cache. */
#define FLOW_HANDLER(name) \
	HANDLER(h_##name) \
	{ \
		EXPOSE(o); \
		if (unlikely(!do_##name(c, HERE(o)))) \
			LEAVE_EXPOSED(EXIT_FAULT); \
		if (unlikely(c->attn)) \
			LEAVE_EXPOSED(EXIT_LOOKUP); \
		RELOAD(c, o); \
		LOOK_UP(EXIT_LOOKUP); \
	}

/* A direct jump whose op->target is not (yet) linked. */
handler jump_unlinked; /* flow.c */

/* Is the conditional jump O taken? A stencil's layout depends on whether it often is. */
#ifndef OFTEN
#define OFTEN(o, yes) (yes)
#endif

/* What a direct jump must check. */
enum jump_kind {
	JUMP_LEGACY, /* EIP is cut to the operand size, and a target beyond CS's limit faults on the jump itself */
	JUMP_64,
	JUMP_FLAT    /* 32-bit code of 4 GiB: every target is within the limit. Its stencil is that of JUMP_64. */
};

static inline enum jump_kind dec_jump_kind(const struct dec *d)
{
	return d->bits == 64 ? JUMP_64 : d->mode & MODE_FLAT_CODE && d->osize == 4 ? JUMP_FLAT : JUMP_LEGACY;
}

/* Where the direct jump or block end O leads, in 32-bit code before it is cut. (Stencils have cut it.) */
ALWAYS_INLINE u64 jump_target(const struct cpu *c, const struct op *o)
{
#ifdef VCPU_STENCIL
	return stencil_target(reg_get(c, 8 * RIP, 8), o->nth);
#else
	return reg_get(c, 8 * RIP, 8) + (s64)o->disp;
#endif
}

/* May control go to RIP? Else #GP(0), which is the transfer's own (SDM vol. 2, JMP, CALL, RET). */
static inline bool near_target(struct cpu *c, u64 rip)
{
	if (in_64(c) ? !canonical(c, rip) : rip > c->seg[CS].limit)
		return fault_target(c);
	return true;
}

/* The target of the direct jump O is no address of 48 bits; it is beyond CS's limit. (A handler that calls functions
 * by itself makes a worse stencil, and of a function that is not inlined none.) */
handler jump_high, jump_beyond; /* flow.c */

/* Take the direct jump O. */
ALWAYS_INLINE HANDLER_TYPE jump_direct(struct cpu *c, const struct op *o, s64 n, enum jump_kind kind)
{
	u64 rip = jump_target(c, o);

	if (kind == JUMP_FLAT)
		rip = (u32)rip;
	if (kind == JUMP_LEGACY) {
		rip &= op_ip_mask(o);
		if (unlikely(rip > c->seg[CS].limit))
			TAIL(jump_beyond);
		if (unlikely(near_top(c, rip))) {
			reg_set(c, 8 * RIP, 8, rip);
			n += o->left - 1;
			LEAVE(EXIT_LOOKUP);
		}
	}
	if (likely(o->target)) {
		reg_set(c, 8 * RIP, 8, rip);
		ENTER_LINKED(o);
	}
	if (kind != JUMP_LEGACY && likely(!o->in_page)) { /* in another page: inline, for kernels are full of these */
		u64 key = rip ^ c->mode_key;
		const struct jump *j = jump_slot(c, key);

		if (kind == JUMP_64 && unlikely(!canonical_48(rip)))
			TAIL(jump_high);
		if (likely(j->key == key)) {
			reg_set(c, 8 * RIP, 8, rip);
			n += o->left - 1;
			CHECK(block_known(c, j->op));
			ENTER(j->op);
		}
	}
	reg_set(c, 8 * RIP, 8, rip);
	n += o->left - 1;
	TAIL(jump_unlinked);
}

#endif
