/* SPDX-License-Identifier: MIT */
/* Hardware task switches (SDM vol. 3, chapter 7).
 *
 *        32-bit TSS                          16-bit TSS
 *    0   back link                           0   back link
 *    4   ESP0 SS0 ESP1 SS1 ESP2 SS2          2   SP0 SS0 SP1 SS1 SP2 SS2
 *   28   CR3
 *   32   EIP EFLAGS                          14  IP FLAGS
 *   40   EAX ECX EDX EBX ESP EBP ESI EDI     18  AX CX DX BX SP BP SI DI
 *   72   ES CS SS DS FS GS (4 bytes each)    34  ES CS SS DS
 *   96   LDT                                 42  LDT
 *  100   T in bit 0; 102 I/O map
 *  104   SSP, with CR4.CET */
#include "cpu/cet.h"
#include "cpu/observe.h"
#include "cpu/system/system.h"

struct image { u64 cr3, rip, flags, r[8], sel[6], ldt; bool trap; };

struct layout { u8 size, cr3, rip, regs, segs, nsegs, ldt; u8 min_limit; };
static const struct layout tss32 = { 4, 28, 32, 40, 72, 6, 96, 103 }, tss16 = { 2, 0, 14, 18, 34, 4, 42, 43 };

static const struct layout *layout(unsigned type) { return type & 8 ? &tss32 : &tss16; }

static bool image_read(struct cpu *c, u64 base, const struct layout *l, struct image *im)
{
	bool ok = true;
	u64 v;

	memset(im, 0, sizeof *im);
	if (l->cr3)
		ok = sys_read(c, base + l->cr3, 4, &im->cr3) && sys_read(c, base + 100, 1, &v) &&
		     (im->trap = v & 1, true);
	ok = ok && sys_read(c, base + l->rip, l->size, &im->rip) &&
	     sys_read(c, base + l->rip + l->size, l->size, &im->flags);
	for (unsigned i = 0; ok && i < 8; i++)
		ok = sys_read(c, base + l->regs + i * l->size, l->size, &im->r[i]);
	for (unsigned i = 0; ok && i < l->nsegs; i++)
		ok = sys_read(c, base + l->segs + i * l->size, 2, &im->sel[i]);
	return ok && sys_read(c, base + l->ldt, 2, &im->ldt);
}

static bool image_write(struct cpu *c, u64 base, const struct layout *l, u64 rip, u32 flags)
{
	bool ok = sys_write(c, base + l->rip, l->size, rip) && sys_write(c, base + l->rip + l->size, l->size, flags);

	for (unsigned i = 0; ok && i < 8; i++)
		ok = sys_write(c, base + l->regs + i * l->size, l->size, c->r[i]);
	for (unsigned i = 0; ok && i < l->nsegs; i++)
		ok = sys_write(c, base + l->segs + i * l->size, 2, c->seg[i].sel);
	return ok;
}

/* Busy bits and back link, by table 7-2. */
static bool frees_old(enum task_switch how) { return how == TASK_JMP || how == TASK_IRET; }
static bool nests(enum task_switch how) { return how == TASK_CALL || how >= TASK_INT; }

static bool can_write_type(struct cpu *c, u16 sel)
{
	u64 linear;

	return !descriptor_address(c, sel, 8, &linear) || sys_check_write(c, linear + 5, 1);
}

/* Check all writes that happen while the old task is the current one: a page fault must come before the first of them
 * (7.3). */
static bool writable(struct cpu *c, const struct layout *l, u16 sel, u64 base, enum task_switch how)
{
	return sys_check_write(c, c->seg[TR].base + l->rip, l->segs + l->nsegs * l->size - l->rip) &&
	       (!nests(how) || sys_check_write(c, base, 2)) && (!frees_old(how) || can_write_type(c, c->seg[TR].sel)) &&
	       (how == TASK_IRET || can_write_type(c, sel));
}

static bool set_busy(struct cpu *c, u16 sel, bool busy)
{
	u64 linear, type;

	if (!descriptor_address(c, sel, 8, &linear)) /* the limit of the GDT can be smaller than at the LTR */
		return true;
	return sys_read(c, linear + 5, 1, &type) &&
	       sys_write(c, linear + 5, 1, busy ? type | SYS_BUSY : type & ~(u64)SYS_BUSY);
}

/* ---- in the new task: faults are its own, with #TS for what its TSS says ---- */

static bool load_cr3(struct cpu *c, u64 cr3)
{
	if (!(c->cr0 & CR0_PG) || cr3 == c->cr3)
		return true;
	observe(c, EVENT_CR3, cr3, c->cr3, 0, true);
	c->cr3 = cr3;
	tlb_flush(c, false);
	if (c->cr4 & CR4_PAE && !page_load_pdptes(c, cr3))
		return fault_because(c, VEC_TS, c->seg[TR].sel & 0xfffc,
				     "the new task's CR3 leads to a PDPTE with a reserved bit set (4.4.1)");
	return true;
}

static bool load_ldt(struct cpu *c, u16 sel)
{
	u64 d;

	c->seg[LDTR] = (struct seg){ .attr = SEG_UNUSABLE, .sel = sel };
	if (null_sel(sel))
		return true;
	if (sel & 4)
		return fault_because(c, VEC_TS, sel & 0xfffc,
				     "the new task's LDT selector is itself of an LDT (table 7-1)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_TS))
		return false;
	if (desc_s(d) || desc_type(d) != SYS_LDT)
		return fault_because(c, VEC_TS, sel & 0xfffc, "the new task's LDT selector names no LDT (table 7-1)");
	if (!desc_present(d))
		return fault_because(c, VEC_TS, sel & 0xfffc,
				     "the new task's LDT is not present (bit 47, P, is clear; table 7-1)");
	descriptor_to_seg(&c->seg[LDTR], sel, d);
	return true;
}

static bool load_cs(struct cpu *c, u16 sel)
{
	unsigned rpl = sel & 3;
	u64 d;

	if (null_sel(sel))
		return fault_because(c, VEC_TS, 0, "the new task's CS is the null selector (table 7-1)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_TS))
		return false;
	if (!desc_code(d))
		return fault_because(c, VEC_TS, sel & 0xfffc, "the new task's CS is not a code segment (table 7-1)");
	if (desc_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl)
		return fault_because(c, VEC_TS, sel & 0xfffc,
				     "the DPL of the new task's code segment does not fit its RPL (table 7-1)");
	if (!desc_present(d))
		return fault_because(c, VEC_NP, sel & 0xfffc,
				     "the new task's code segment is not present (bit 47, P, is clear)");
	if (!descriptor_accessed(c, sel, &d))
		return false;
	cs_set(c, sel, d, rpl);
	return true;
}

static bool load_ss(struct cpu *c, u16 sel)
{
	u64 d;

	if (!stack_check(c, sel, c->cpl, VEC_TS, &d) || !descriptor_accessed(c, sel, &d))
		return false;
	ss_set(c, sel, d);
	return true;
}

static bool load_data(struct cpu *c, unsigned reg, u16 sel)
{
	if (seg_load(c, reg, sel))
		return true;
	if (c->fault.vector == VEC_GP) /* a #GP(sel) of MOV is #TS(sel) here */
		c->fault.vector = VEC_TS;
	return false;
}

static bool load_segments(struct cpu *c, const struct image *im)
{
	static const u8 data[] = { DS, ES, FS, GS };

	if (!load_ldt(c, (u16)im->ldt))
		return false;
	if (c->eflags & FL_VM) {
		c->cpl = 3;
		for (unsigned reg = ES; reg <= GS; reg++)
			seg_load_real(c, reg, (u16)im->sel[reg]);
		return true;
	}
	if (!load_cs(c, (u16)im->sel[CS]) || !load_ss(c, (u16)im->sel[SS]))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(data); i++)
		if (!load_data(c, data[i], (u16)im->sel[data[i]]))
			return false;
	return c->r[RIP] <= c->seg[CS].limit ||
	       gp_because(c, 0, "the new task's EIP is beyond the limit of its code segment (table 7-1)");
}

/* Load all registers whose load cannot fail; the hidden parts of the segments follow. */
static void enter(struct cpu *c, const struct image *im, const struct layout *l, bool link)
{
	u32 flags = (u32)im->flags;

	for (unsigned i = 0; i < 8; i++)
		/* upper halves are undefined; silicon leaves ones */
		c->r[i] = l->size == 4 ? im->r[i] : im->r[i] | 0xffff0000;
	c->moved += im->rip - c->r[RIP];
	c->r[RIP] = im->rip;
	if (l->size == 2)
		flags &= 0xffff;
	cpu_set_arith(c, flags);
	c->eflags = (flags & flags_of_model(c) & ~(u32)OSZAPC) | FL_1 | (link ? FL_NT : 0);
	for (unsigned reg = ES; reg <= GS; reg++) {
		c->seg[reg].sel = (u16)im->sel[reg];
		c->seg[reg].attr |= SEG_UNUSABLE;
		c->seg[reg].read_end = c->seg[reg].write_end = 0;
	}
	c->step &= (u8)~STEP_RF;
	c->cpl = flags & FL_VM ? 3 : im->sel[CS] & 3;
	c->dr[7] &= ~(u64)0x155; /* L0 to L3, LE */
	c->cr0 |= CR0_TS;
	update_mode(c);
}

/* A fault of the new task, before its first instruction. The switch has happened, so the fault is delivered there. */
static void fault_inside(struct cpu *c)
{
	if (!deliver_fault(c))
		c->activity = ACTIVITY_SHUTDOWN;
	attend(c, ATTN_LINE);
}

static bool push_error(struct cpu *c, const struct layout *l, u32 error)
{
	struct stack s;

	stack_current(c, &s);
	if (!stack_put(c, &s, l->size, error))
		return false;
	c->r[RSP] = s.rsp;
	return true;
}

bool task_switch(struct cpu *c, u16 sel, u64 d, enum task_switch how, u64 next_rip, bool has_error, u32 error)
{
	const struct layout *old = layout(c->seg[TR].attr & 15), *new = layout(desc_type(d));
	u16 old_sel = c->seg[TR].sel;
	u32 flags = cpu_flags(c);
	bool returns = how == TASK_IRET;
	struct shadow_task shadow;
	struct image im;
	struct seg tr;
	bool ok;

	if (unlikely(in_guest(c)) && guest_task_switch(c, sel, how, has_error, error))
		return false;
	descriptor_to_seg(&tr, sel, d);
	if (tr.limit < new->min_limit)
		return fault_because(
			c, VEC_TS, sel & 0xfffc,
			"the new TSS is too short: its limit must be at least 67h, or 2Bh with 16 bits (table 7-1)");
	if (c->cr4 & CR4_CET && has(c->model, F_CET_SS) && new->cr3 && tr.limit < 107)
		return fault_because(c, VEC_TS, sel & 0xfffc,
				     "the new TSS has no SSP: its limit must be at least 6Bh with CR4.CET (7.3)");
	if (!image_read(c, tr.base, new, &im) || !writable(c, old, sel, tr.base, how) ||
	    !shadow_task_check(c, &shadow, im.flags & FL_VM ? 3 : im.sel[CS] & 3, next_rip, returns, nests(how)))
		return false;
	if (returns)
		flags &= ~(u32)FL_NT;
	if (!image_write(c, c->seg[TR].base, old, next_rip, flags))
		return false;
	if (frees_old(how) && !set_busy(c, old_sel, false))
		return false;
	if (nests(how) && !sys_write(c, tr.base, 2, old_sel))
		return false;
	if (!returns && !set_busy(c, sel, true))
		return false;
	shadow_task_leave(c, &shadow);
	tr.attr |= SYS_BUSY;
	c->seg[TR] = tr;
	enter(c, &im, new, nests(how));
	ok = (!new->cr3 || load_cr3(c, im.cr3)) && load_segments(c, &im) &&
	     shadow_task_enter(c, &shadow, new->cr3 ? tr.base : 0, returns) &&
	     (!has_error || push_error(c, new, error));
	c->moved = 0;
	if (!ok) {
		if (how == TASK_EVENT) /* on the way to a handler: with EXT, and it can become a double fault */
			return false;
		fault_inside(c);
		return true;
	}
	if (im.trap) {
		c->db_pending |= 1 << 15; /* BT */
		attend(c, ATTN_LINE);
	}
	if (c->eflags & (FL_I | FL_T | FL_RF))
		attend(c, ATTN_LINE);
	return true;
}
