/* SPDX-License-Identifier: MIT */
/* Far jumps, calls and returns, in every mode (SDM vol. 2, JMP, CALL, RET; vol. 3, 5.8). */
#include "cpu/cet.h"
#include "cpu/system/system.h"

static bool is_64(const struct cpu *c, u64 d) { return in_long(c) && d >> 53 & 1; }
static bool protected_mode(const struct cpu *c) { return c->cr0 & CR0_PE && !(c->eflags & FL_VM); }

/* ---- checks that jumps and calls share ---- */

/* A code segment that is entered directly, without a change of ring. */
static bool direct_check(struct cpu *c, u16 sel, u64 d)
{
	if (in_long(c) && (d >> 53 & 3) == 3)
		return gp_because(c, sel & 0xfffc, "the code segment has both L and D set (5.2.1)");
	if (desc_conforming(d) && desc_dpl(d) > c->cpl)
		return gp_because(c, sel & 0xfffc, "the DPL of the conforming code segment is above CPL (5.8.1.2)");
	if (!desc_conforming(d) && (sel & 3u) > c->cpl)
		return gp_because(c, sel & 0xfffc, "the selector's RPL is above CPL (5.8.1.1)");
	if (!desc_conforming(d) && desc_dpl(d) != c->cpl)
		return gp_because(c, sel & 0xfffc, "the DPL of the code segment is not CPL (5.8.1.1)");
	if (fred_on(c) && !c->cpl && !is_64(c, d))
		return gp_because(c, sel & 0xfffc, "with FRED ring 0 has 64-bit code only (vol. 2, JMP)");
	return desc_present(d) ||
	       fault_because(c, VEC_NP, sel & 0xfffc, "the code segment is not present (bit 47, P, is clear)");
}

/* Check a gate or a TSS: privilege, and the present bit. */
static bool system_check(struct cpu *c, u16 sel, u64 d)
{
	if (desc_dpl(d) < c->cpl || desc_dpl(d) < (sel & 3u))
		return gp_because(c, sel & 0xfffc,
				  desc_dpl(d) < c->cpl
					  ? "CPL is above the DPL of the gate or TSS (5.8.4)"
					  : "the selector's RPL is above the DPL of the gate or TSS (5.8.4)");
	if (fred_on(c))
		return gp_because(c, sel & 0xfffc, "with FRED there are no call gates (vol. 2, CALL)");
	return desc_present(d) ||
	       fault_because(c, VEC_NP, sel & 0xfffc, "the gate or TSS is not present (bit 47, P, is clear)");
}

/* Switch to another task, through its TSS or a task gate. */
static bool to_task(struct cpu *c, u16 sel, u64 d, enum task_switch how, u64 next_rip)
{
	if (desc_type(d) != SYS_TASK_GATE && sel & 4) /* a TSS in the LDT (vol. 3, 7.2.2) */
		return gp_because(c, sel & 0xfffc, "a TSS is named through the LDT (7.2.2)");
	if (!system_check(c, sel, d))
		return false;
	if (desc_type(d) == SYS_TASK_GATE) {
		sel = gate_sel(d);
		if (sel & 4)
			return gp_because(c, sel & 0xfffc, "the task gate names a TSS through the LDT (7.2.5)");
		if (!descriptor_read(c, sel, &d, NULL, VEC_GP))
			return false;
		if (desc_s(d) || (desc_type(d) != SYS_TSS && desc_type(d) != SYS_TSS16))
			return gp_because(c, sel & 0xfffc, "the task gate names no available TSS (7.2.5)");
		if (!desc_present(d))
			return fault_because(c, VEC_NP, sel & 0xfffc,
					     "the task gate's TSS is not present (bit 47, P, is clear)");
	}
	return task_switch(c, sel, d, how, next_rip, false, 0);
}

/* A call gate's target. HIGH: the upper half of a 64-bit gate. */
struct target { u16 sel; u64 d, offset; unsigned size; bool inner; };

static bool gate_target(struct cpu *c, u64 gate, u64 high, bool call, struct target *t)
{
	bool conforming;

	t->sel = gate_sel(gate);
	t->offset = gate_offset(gate) | (in_long(c) ? high << 32 : 0);
	t->size = in_long(c) ? 8 : desc_type(gate) & 8 ? 4 : 2;
	if (t->size == 2)
		t->offset &= 0xffff;
	if (null_sel(t->sel))
		return gp_because(c, 0, "the call gate holds the null selector (5.8.4)");
	if (!descriptor_read(c, t->sel, &t->d, NULL, VEC_GP))
		return false;
	conforming = desc_conforming(t->d);
	if (!desc_code(t->d))
		return gp_because(c, t->sel & 0xfffc, "the call gate leads to no code segment (5.8.4)");
	if (desc_dpl(t->d) > c->cpl)
		return gp_because(c, t->sel & 0xfffc, "the DPL of the call gate's code segment is above CPL (5.8.4)");
	if (!call && !conforming && desc_dpl(t->d) != c->cpl)
		return gp_because(c, t->sel & 0xfffc,
				  "JMP cannot change CPL: the DPL of the call gate's code segment is not CPL (5.8.4)");
	if (in_long(c) && (t->d >> 53 & 3) != 1)
		return gp_because(c, t->sel & 0xfffc, "a 64-bit call gate leads to 64-bit code only (5.8.3.1)");
	if (!desc_present(t->d))
		return fault_because(c, VEC_NP, t->sel & 0xfffc,
				     "the call gate's code segment is not present (bit 47, P, is clear)");
	t->inner = call && !conforming && desc_dpl(t->d) < c->cpl;
	return true;
}

/* Check that a jump can use the system descriptor D of SEL. In IA-32e mode only 64-bit call gates are allowed. */
static bool system_kind(struct cpu *c, u16 sel, u64 d, u64 *high)
{
	unsigned types = 1 << SYS_CALL;
	u64 both;

	*high = 0;
	if (!in_long(c))
		types |= 1 << SYS_CALL16 | 1 << SYS_TASK_GATE | 1 << SYS_TSS | 1 << SYS_TSS16;
	if (!(types >> desc_type(d) & 1))
		return gp_because(
			c, sel & 0xfffc,
			in_long(c)
				? "it is neither a code segment nor a 64-bit call gate (5.8)"
				: "it is neither a code segment nor a call gate, a task gate or an available TSS (5.8)");
	if (!in_long(c))
		return true;
	if (!descriptor_read(c, sel, &both, high, VEC_GP))
		return false;
	return !(*high >> 40 & 31) ||
	       gp_because(c, sel & 0xfffc, "the type in the upper half of the call gate is not 0 (5.8.3.1)");
}

static bool is_call_gate(u64 d) { return desc_type(d) == SYS_CALL || desc_type(d) == SYS_CALL16; }

/* ---- JMP ---- */

static bool real_limit(struct cpu *c, u64 offset)
{
	return offset <= (in_v86(c) ? 0xffff : c->seg[CS].limit) || fault_target(c);
}

static bool jump_real(struct cpu *c, u16 sel, u64 offset)
{
	if (!real_limit(c, offset))
		return false;
	seg_load_real(c, CS, sel);
	c->r[RIP] = offset;
	return true;
}

static u64 next_address(const struct cpu *c) { return c->op ? next_rip(c, c->op) : c->r[RIP]; }

bool far_jump(struct cpu *c, u16 sel, u64 offset, unsigned osize)
{
	struct target t;
	u64 d, high;

	if (osize == 2)
		offset &= 0xffff;
	if (!protected_mode(c))
		return jump_real(c, sel, offset);
	if (null_sel(sel))
		return gp_because(c, 0, "CS takes no null selector (5.8.1)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_GP))
		return false;
	if (desc_s(d)) {
		if (!desc_code(d))
			return gp_because(c, sel & 0xfffc, "it is a data segment, and CS takes code only (5.8.1)");
		offset = code_offset(c, d, offset);
		if (!direct_check(c, sel, d) || !code_limit(c, d, offset) || !shadow_jump_check(c, is_64(c, d)) ||
		    !descriptor_accessed(c, sel, &d))
			return false;
		cs_set(c, sel, d, c->cpl);
		c->r[RIP] = offset;
		cet_track_far(c);
		return true;
	}
	if (!system_kind(c, sel, d, &high))
		return false;
	if (!is_call_gate(d))
		return to_task(c, sel, d, TASK_JMP, next_address(c));
	if (!system_check(c, sel, d) || !gate_target(c, d, high, false, &t) || !code_limit(c, t.d, t.offset) ||
	    !shadow_jump_check(c, is_64(c, t.d)) || !descriptor_accessed(c, t.sel, &t.d))
		return false;
	cs_set(c, t.sel, t.d, c->cpl);
	c->r[RIP] = t.offset;
	cet_track_far(c);
	return true;
}

/* ---- CALL ---- */

static bool call_real(struct cpu *c, u16 sel, u64 offset, unsigned osize, u64 return_rip)
{
	struct stack s;

	stack_current(c, &s);
	if (!stack_room(c, &s, osize, 2) || !real_limit(c, offset) || !stack_writable(c, &s, osize, 2) ||
	    !stack_put(c, &s, osize, c->seg[CS].sel) || !stack_put(c, &s, osize, return_rip) ||
	    !jump_real(c, sel, offset))
		return false;
	c->r[RSP] = s.rsp;
	return true;
}

/* Through a call gate to an inner ring: its stack comes from the TSS, with SS:RSP and the parameters of the caller on
 * it. */
static bool call_inner(struct cpu *c, u64 gate, struct target *t, u64 return_rip)
{
	unsigned cpl = desc_dpl(t->d), params = in_long(c) ? 0 : gate >> 32 & 31;
	u64 rsp, ss_d = 0, v[32], lip = c->cs_base + return_rip;
	u16 ss = 0, cs = c->seg[CS].sel;
	struct shadow_call shadow;
	struct stack s, from;

	if (!tss_stack(c, cpl, &rsp, &ss))
		return false;
	if (in_long(c)) {
		ss = (u16)cpl;
		if (!canonical(c, rsp))
			return fault_because(c, VEC_SS, 0,
					     "the stack pointer in the TSS is not a canonical address (5.8.5.1)");
		stack_inner(c, &s, 0, 0, rsp, true);
	} else {
		if (!stack_check(c, ss, cpl, VEC_TS, &ss_d))
			return false;
		stack_inner(c, &s, ss, ss_d, rsp, false);
	}
	if (!stack_room(c, &s, t->size, 4 + params) || !code_limit(c, t->d, t->offset))
		return false;
	stack_current(c, &from);
	for (unsigned i = 0; i < params; i++)
		if (!stack_get(c, &from, t->size, &v[i]))
			return false;
	if (!stack_writable(c, &s, t->size, 4 + params) ||
	    !shadow_call_check(c, &shadow, cpl, 0, is_64(c, t->d)) || !descriptor_accessed(c, t->sel, &t->d) ||
	    (!in_long(c) && !descriptor_accessed(c, ss, &ss_d)))
		return false;
	if (!stack_put(c, &s, t->size, c->seg[SS].sel) || !stack_put(c, &s, t->size, c->r[RSP]))
		return false;
	for (unsigned i = params; i-- > 0;)
		if (!stack_put(c, &s, t->size, v[i]))
			return false;
	if (!stack_put(c, &s, t->size, c->seg[CS].sel) || !stack_put(c, &s, t->size, return_rip))
		return false;
	cs_set(c, t->sel, t->d, cpl);
	ss_set(c, ss, ss_d);
	rsp_set(c, s.rsp);
	c->r[RIP] = t->offset;
	shadow_call_do(c, &shadow, cs, lip);
	return true;
}

/* Without a change of ring. */
static bool call_same(struct cpu *c, u16 sel, u64 d, u64 offset, unsigned size, u64 return_rip)
{
	u64 lip = c->cs_base + return_rip;
	u16 cs = c->seg[CS].sel;
	struct shadow_call shadow;
	struct stack s;

	stack_current(c, &s);
	/* from compatibility mode to 64-bit code: its stack has no segment */
	if (in_long(c) && d >> 53 & 1 && !in_64(c)) {
		s.flat = true;
		s.mask = ~(u64)0;
	}
	offset = code_offset(c, d, offset);
	if (!stack_room(c, &s, size, 2) || !code_limit(c, d, offset) || !stack_writable(c, &s, size, 2) ||
	    !shadow_call_check(c, &shadow, c->cpl, 0, is_64(c, d)) || !descriptor_accessed(c, sel, &d) ||
	    !stack_put(c, &s, size, c->seg[CS].sel) ||
	    !stack_put(c, &s, size, return_rip))
		return false;
	cs_set(c, sel, d, c->cpl);
	c->r[RSP] = s.rsp;
	c->r[RIP] = offset;
	shadow_call_do(c, &shadow, cs, lip);
	return true;
}

bool far_call(struct cpu *c, u16 sel, u64 offset, unsigned osize, u64 return_rip)
{
	struct target t;
	u64 d, high;

	if (osize == 2)
		offset &= 0xffff;
	if (!protected_mode(c))
		return call_real(c, sel, offset, osize, return_rip);
	if (null_sel(sel))
		return gp_because(c, 0, "CS takes no null selector (5.8.1)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_GP))
		return false;
	if (desc_s(d)) {
		if (!desc_code(d))
			return gp_because(c, sel & 0xfffc, "it is a data segment, and CS takes code only (5.8.1)");
		return direct_check(c, sel, d) && call_same(c, sel, d, offset, osize, return_rip);
	}
	if (!system_kind(c, sel, d, &high))
		return false;
	if (!is_call_gate(d))
		return to_task(c, sel, d, TASK_CALL, return_rip);
	if (!system_check(c, sel, d) || !gate_target(c, d, high, true, &t))
		return false;
	return t.inner ? call_inner(c, d, &t, return_rip) : call_same(c, t.sel, t.d, t.offset, t.size, return_rip);
}

/* ---- RET ---- */

static bool return_real(struct cpu *c, unsigned osize, unsigned pop)
{
	struct stack s;
	u64 rip, sel;

	stack_current(c, &s);
	if (!stack_get(c, &s, osize, &rip) || !stack_get(c, &s, osize, &sel) || !jump_real(c, (u16)sel, rip))
		return false;
	c->r[RSP] = s.rsp;
	rsp_set(c, s.rsp + pop);
	return true;
}

bool return_code_check(struct cpu *c, u16 sel, bool outwards, u64 *d)
{
	unsigned rpl = sel & 3;

	if (null_sel(sel))
		return gp_because(c, 0, "the return address has the null selector (5.8.6)");
	if (!descriptor_read(c, sel, d, NULL, VEC_GP))
		return false;
	if (!desc_code(*d))
		return gp_because(c, sel & 0xfffc, "the return address is not in a code segment (5.8.6)");
	if (rpl < c->cpl)
		return gp_because(c, sel & 0xfffc,
				  "the RPL of the return address is below CPL: no return leads inwards (5.8.6)");
	if (rpl > c->cpl && !outwards)
		return gp_because(c, sel & 0xfffc, "with FRED only ERETU leads to an outer ring (vol. 2, IRET)");
	if (desc_conforming(*d) ? desc_dpl(*d) > rpl : desc_dpl(*d) != rpl)
		return gp_because(
			c, sel & 0xfffc,
			desc_conforming(*d)
				? "the DPL of the conforming code segment is above the return address's RPL (5.8.6)"
				: "the DPL of the code segment is not the return address's RPL (5.8.6)");
	if (in_long(c) && (*d >> 53 & 3) == 3)
		return gp_because(c, sel & 0xfffc, "the code segment has both L and D set (5.2.1)");
	if (fred_on(c) && !rpl && !is_64(c, *d))
		return gp_because(c, sel & 0xfffc, "with FRED ring 0 has 64-bit code only (vol. 2, IRET)");
	return desc_present(*d) ||
	       fault_because(c, VEC_NP, sel & 0xfffc, "the code segment is not present (bit 47, P, is clear)");
}

/* The offset that counts. AMD's processors look at all of it, and before they look at the stack. */
bool return_offset_check(struct cpu *c, u64 d, u64 *rip)
{
	if (is_amd(c->model))
		return code_limit(c, d, *rip);
	*rip = code_offset(c, d, *rip);
	return true;
}

bool return_stack_check(struct cpu *c, u16 sel, u16 cs, u64 cs_d, u64 *d)
{
	unsigned rpl = cs & 3;

	*d = 0;
	/* 64-bit code of rings 0 to 2 may have a null stack segment. */
	if (null_sel(sel) && in_long(c) && cs_d >> 53 & 1 && rpl < 3)
		return (sel & 3u) == rpl ||
		       gp_because(c, sel & 0xfffc,
				  "the RPL of the null selector for SS is not the return address's RPL (5.8.6)");
	return stack_check(c, sel, rpl, VEC_GP, d) && descriptor_accessed(c, sel, d);
}

/* AMD's processors read the stack of another ring before they look at the code segment of the return address. */
static bool outer_stack_first(struct cpu *c, struct stack s, unsigned osize, unsigned pop, u16 cs)
{
	u64 rsp, ss;

	if (!is_amd(c->model) || (cs & 3) == c->cpl)
		return true;
	s.rsp += pop;
	return stack_get(c, &s, osize, &rsp) && stack_get_selector(c, &s, osize, &ss);
}

bool far_return(struct cpu *c, unsigned osize, unsigned pop)
{
	u64 rip, cs, d, rsp, ss, ss_d;
	struct shadow_return shadow;
	struct stack s;

	if (!protected_mode(c))
		return return_real(c, osize, pop);
	stack_current(c, &s);
	if (!stack_get(c, &s, osize, &rip) || !stack_get_selector(c, &s, osize, &cs) ||
	    !outer_stack_first(c, s, osize, pop, (u16)cs) || !return_code_check(c, (u16)cs, !fred_on(c), &d) ||
	    !return_offset_check(c, d, &rip))
		return false;
	if ((cs & 3) == c->cpl) {
		if (!code_limit(c, d, rip) ||
		    !shadow_return_check(c, &shadow, cs & 3, (u16)cs, code_linear(c, d, rip), is_64(c, d)) ||
		    !descriptor_accessed(c, (u16)cs, &d))
			return false;
		c->r[RSP] = s.rsp;
		rsp_set(c, s.rsp + pop);
		cs_set(c, (u16)cs, d, c->cpl);
		c->r[RIP] = rip;
		shadow_return_do(c, &shadow);
		return true;
	}
	s.rsp += pop;
	if (!stack_get(c, &s, osize, &rsp) || !stack_get_selector(c, &s, osize, &ss) ||
	    !return_stack_check(c, (u16)ss, (u16)cs, d, &ss_d) || !code_limit(c, d, rip) ||
	    !shadow_return_check(c, &shadow, cs & 3, (u16)cs, code_linear(c, d, rip), is_64(c, d)) ||
	    !descriptor_accessed(c, (u16)cs, &d))
		return false;
	cs_set(c, (u16)cs, d, cs & 3);
	ss_set(c, (u16)ss, ss_d);
	rsp_set(c, rsp + pop);
	c->r[RIP] = rip;
	segs_revalidate(c);
	shadow_return_do(c, &shadow);
	return true;
}

/* ---- instructions ---- */

ALWAYS_INLINE void direct_target(const struct op *o, u16 *sel, u64 *offset)
{
	*offset = (u32)o->imm;
	*sel = (u16)(o->imm >> 32);
}

/* AMD's processors have no offsets of 64 bits in memory. */
static unsigned pointer_size(const struct cpu *c, const struct op *o)
{
	return o->osize == 8 && is_amd(c->model) ? 4 : o->osize;
}

BODY(jmp_far)
{
	u64 offset;
	u16 sel;

	if (!o->mem)
		direct_target(o, &sel, &offset);
	else if (!far_pointer(c, o, pointer_size(c, o), &offset, &sel))
		return false;
	return far_jump(c, sel, offset, o->osize);
}
GEN_LOOK(jmp_far)

BODY(call_far)
{
	u64 offset;
	u16 sel;

	if (!o->mem)
		direct_target(o, &sel, &offset);
	else if (!far_pointer(c, o, pointer_size(c, o), &offset, &sel))
		return false;
	return far_call(c, sel, offset, o->osize, next_rip(c, o));
}
GEN_LOOK(call_far)

BODY(ret_far) { return far_return(c, o->osize, o->imm & 0xffff); }
GEN_LOOK(ret_far)
