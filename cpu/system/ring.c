/* SPDX-License-Identifier: MIT */
/* Shared by all changes of ring: stacks of the TSS, checks of stack and code segments, pushes to a new stack. */
#include "cpu/system/system.h"

/* ---- stacks in the making ---- */

void stack_current(const struct cpu *c, struct stack *s)
{
	*s = (struct stack){ .seg = c->seg[SS], .rsp = c->r[RSP], .mask = stack_mask(c), .flat = in_64(c),
		.vector = VEC_SS };
	if (!has(c->model, F_I386) && !in_protected(c))
		s->vector = VEC_GP;
}

void stack_inner(const struct cpu *c, struct stack *s, u16 sel, u64 d, u64 rsp, bool flat)
{
	(void)c;
	*s = (struct stack){ .rsp = rsp, .flat = flat, .inner = true, .vector = VEC_SS, .error = flat ? 0
		: sel & 0xfffc };
	if (!flat)
		descriptor_to_seg(&s->seg, sel, d);
	s->mask = flat ? ~(u64)0 : s->seg.attr & SEG_DB ? 0xffffffff : 0xffff;
}

static bool stack_linear(struct cpu *c, const struct stack *s, u64 offset, unsigned size, u64 *linear)
{
	u64 last = offset + size - 1;
	bool ok;

	if (s->flat) {
		*linear = offset;
		ok = canonical(c, offset) && canonical(c, last);
	} else {
		u32 top = s->seg.attr & SEG_DB ? 0xffffffff : 0xffff;

		*linear = (s->seg.base + offset) & 0xffffffff;
		if ((s->seg.attr & (SEG_CODE | SEG_E)) == SEG_E)
			ok = offset > s->seg.limit && last <= top;
		else
			ok = last <= s->seg.limit || (s->seg.limit == 0xffffffff && !s->seg.base);
		ok = ok && !(s->seg.attr & SEG_UNUSABLE);
		if (!ok && !has(c->model, F_I286)) {
			*linear = wrapping(*linear & c->linear_mask, (unsigned)(0x10000 - offset));
			ok = true;
		}
	}
	return ok || fault_because(c, s->vector, s->error,
				   s->flat ? "the stack's address is not canonical (vol. 1, 3.3.7.1)"
					   : "the stack has no room within its segment (5.3)");
}

static void stack_move(struct stack *s, u64 rsp) { s->rsp = s->mask == 0xffff ? (s->rsp & ~s->mask) | (rsp & s->mask)
	: rsp & s->mask; }

/* The words are contiguous, unless the stack pointer wraps: then each is checked. */
bool stack_room(struct cpu *c, const struct stack *s, unsigned size, unsigned count)
{
	u64 rsp = s->rsp & s->mask, linear;

	if (s->flat || rsp >= size * count)
		return stack_linear(c, s, (rsp - size * count) & s->mask, size * count, &linear);
	for (; count; count--) {
		rsp = (rsp - size) & s->mask;
		if (!stack_linear(c, s, rsp, size, &linear))
			return false;
	}
	return true;
}

bool stack_writable(struct cpu *c, const struct stack *s, unsigned size, unsigned count)
{
	u64 rsp = s->rsp, page = 1, linear;

	for (; count; count--) {
		rsp = (rsp - size) & s->mask;
		if (!stack_linear(c, s, rsp, size, &linear) || (!s->inner && !check_alignment(c, linear, size)))
			return false;
		if ((linear & PAGE_MASK) == page) /* this page has been checked */
			continue;
		if (s->inner ? !sys_check_write(c, linear, size) : !mem_check_write(c, linear, size))
			return false;
		page = linear & PAGE_MASK;
	}
	return true;
}

bool stack_put(struct cpu *c, struct stack *s, unsigned size, u64 v)
{
	u64 rsp = (s->rsp - size) & s->mask, linear;

	if (!stack_linear(c, s, rsp, size, &linear) || (!s->inner && !check_alignment(c, linear, size)))
		return false;
	if (s->inner ? !sys_write(c, linear, size, v) : !mem_write(c, linear, size, v))
		return false;
	stack_move(s, rsp);
	return true;
}

bool stack_get(struct cpu *c, struct stack *s, unsigned size, u64 *v)
{
	u64 linear;

	if (!stack_linear(c, s, s->rsp & s->mask, size, &linear) || !check_alignment(c, linear, size) ||
	    !mem_read(c, linear, size, v))
		return false;
	stack_move(s, s->rsp + size);
	return true;
}

bool stack_get_selector(struct cpu *c, struct stack *s, unsigned size, u64 *sel)
{
	unsigned read = is_amd(c->model) ? size : 2;
	u64 linear;

	if (!stack_linear(c, s, s->rsp & s->mask, read, &linear) || !check_alignment(c, linear, size) ||
	    !mem_read(c, linear, read, sel))
		return false;
	stack_move(s, s->rsp + size);
	return true;
}

/* ---- the TSS ---- */

/* SDM vol. 3, figures 7-2, 7-10 and 7-11: ring n's stack is at
 *    4 + 8n: ESP (4), SS (2)     32-bit
 *    2 + 4n: SP (2), SS (2)      16-bit
 *    4 + 8n: RSP (8)             64-bit */
bool tss_stack(struct cpu *c, unsigned cpl, u64 *rsp, u16 *sel)
{
	const struct seg *tr = &c->seg[TR];
	bool tss16 = !(tr->attr & 8);
	unsigned at = tss16 ? 2 + 4 * cpl : 4 + 8 * cpl, len = in_long(c) ? 8 : tss16 ? 4 : 6, size = in_long(c) ? 8
		: tss16 ? 2 : 4;
	u64 v;

	if (at + len - 1 > tr->limit || tr->attr & SEG_UNUSABLE)
		return fault_because(c, VEC_TS, tr->sel & 0xfffc,
				     "the stack of the inner ring would be beyond the limit of the TSS (5.8.5)");
	if (!sys_read(c, tr->base + at, size, rsp))
		return false;
	if (in_long(c))
		return true;
	if (!sys_read(c, tr->base + at + size, 2, &v))
		return false;
	*sel = (u16)v;
	return true;
}

/* IST1 to IST7 are at 36 to 84. */
bool tss_ist(struct cpu *c, unsigned ist, u64 *rsp)
{
	const struct seg *tr = &c->seg[TR];
	unsigned at = 28 + 8 * ist;

	if (at + 7 > tr->limit || tr->attr & SEG_UNUSABLE)
		return fault_because(c, VEC_TS, tr->sel & 0xfffc,
				     "the gate's IST entry would be beyond the limit of the TSS (6.14.5)");
	return sys_read(c, tr->base + at, 8, rsp);
}

/* ---- checks ---- */

bool stack_check(struct cpu *c, u16 sel, unsigned cpl, unsigned vector, u64 *d)
{
	if (null_sel(sel))
		return fault_because(c, vector, 0, "the new SS is the null selector (5.8.5)");
	if (!descriptor_read(c, sel, d, NULL, vector))
		return false;
	if ((sel & 3u) != cpl)
		return fault_because(c, vector, sel & 0xfffc, "the RPL of the new SS is not the new CPL (5.8.5)");
	if (!desc_writable(*d))
		return fault_because(c, vector, sel & 0xfffc, "the new SS is not a writable data segment (5.8.5)");
	if (desc_dpl(*d) != cpl)
		return fault_because(c, vector, sel & 0xfffc, "the DPL of the new SS is not the new CPL (5.8.5)");
	if (!desc_present(*d))
		return fault_because(c, VEC_SS, sel & 0xfffc,
				     "the new stack segment is not present (bit 47, P, is clear)");
	return true;
}

bool code_limit(struct cpu *c, u64 d, u64 rip)
{
	bool l = in_long(c) && d >> 53 & 1;

	return (l ? canonical(c, rip) : rip <= desc_limit(d)) ||
	       gp_because(c, 0,
			  l ? "the target is not a canonical address (vol. 1, 3.3.7.1)"
			    : "the target is beyond the limit of its code segment (5.3)");
}
