/* SPDX-License-Identifier: MIT */
/* IRET in all its forms (SDM vol. 2, IRET): real mode, virtual-8086 mode with and without VME, to the same ring, to an
 * outer one, to virtual-8086 mode, to the interrupted task, and in 64-bit mode, where it always pops SS:RSP. */
#include "cpu/cet.h"
#include "cpu/system/system.h"

/* Flags that an IRET of SIZE may change at the present CPL and IOPL. */
static u32 flags_mask(const struct cpu *c, unsigned size)
{
	u32 mask = OSZAPC | FL_T | FL_D | FL_NT;

	if (!has(c->model, F_I386) && !(c->cr0 & CR0_PE))
		mask &= ~(u32)FL_NT; /* the 80286 has NT and IOPL in protected mode only; the 8086 has neither */
	else if (c->cpl == 0)
		mask |= FL_IOPL;
	if (c->cpl <= iopl(c))
		mask |= FL_I;
	if (size == 2)
		return mask;
	mask |= FL_RF;
	if (has(c->model, F_I486))
		mask |= FL_AC | FL_ID;
	if (c->cpl == 0 && has(c->model, F_VME))
		mask |= FL_VIF | FL_VIP;
	return mask;
}

void return_flags(struct cpu *c, u32 flags, u32 mask)
{
	u32 attn = c->attn & ATTN_LINE;

	cpu_set_flags(c, flags, mask);
	if (mask & FL_RF)
		c->step &= (u8)~STEP_RF;
	if (c->eflags & FL_RF)
		attend(c, ATTN_LINE);
	else if (!attn && !(c->eflags & FL_T) && !interrupt_waits(c))
		c->attn &= ~(u32)ATTN_LINE; /* IF is set, but no interrupt is pending */
}

/* IP, CS and FLAGS of real and virtual-8086 mode. */
static bool pop_three(struct cpu *c, unsigned size, struct stack *s, u64 *rip, u64 *cs, u64 *flags)
{
	stack_current(c, s);
	return stack_get(c, s, size, rip) && stack_get_selector(c, s, size, cs) && stack_get(c, s, size, flags);
}

static bool return_real(struct cpu *c, unsigned size)
{
	struct stack s;
	u64 rip, cs, flags;
	u32 mask;

	if (!pop_three(c, size, &s, &rip, &cs, &flags))
		return false;
	if (rip > (in_v86(c) ? 0xffff : c->seg[CS].limit))
		return fault_target(c);
	mask = flags_mask(c, size) & ~(u32)(FL_VIF | FL_VIP);
	c->r[RSP] = s.rsp;
	c->r[RIP] = rip;
	seg_load_real(c, CS, (u16)cs);
	return_flags(c, (u32)flags, mask);
	return true;
}

static bool return_v86(struct cpu *c, unsigned size)
{
	struct stack s;
	u64 rip, cs, flags;

	if (iopl(c) == 3)
		return return_real(c, size);
	if (!pop_three(c, size, &s, &rip, &cs, &flags))
		return false;
	if (flags & FL_T || (flags & FL_I && c->eflags & FL_VIP))
		return gp_because(c, 0,
				  flags & FL_T ? "IRET with CR4.VME and IOPL below 3 cannot set TF (20.3.3)"
					       : "it sets VIF while VIP is set (20.3.3)");
	c->r[RSP] = s.rsp;
	c->r[RIP] = rip;
	seg_load_real(c, CS, (u16)cs);
	return_flags(c, (u32)(flags & 0xffff) | (flags & FL_I ? FL_VIF : 0), OSZAPC | FL_T | FL_D | FL_NT | FL_VIF);
	return true;
}

/* From ring 0 to virtual-8086 mode: the frame has ESP, SS, ES, DS, FS, GS above EFLAGS. */
static bool return_to_v86(struct cpu *c, struct stack *s, u64 rip, u64 cs, u32 flags)
{
	static const u8 order[] = { SS, ES, DS, FS, GS };
	struct shadow_return shadow = { .token = cet_on(c, c->cpl, CET_SHSTK) ? c->ssp : 0 };
	u64 rsp, sel[ARRAY_LEN(order)];

	if (!stack_get(c, s, 4, &rsp))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		if (!stack_get(c, s, 4, &sel[i]))
			return false;
	if (c->cr4 & CR4_CET && c->u_cet & (CET_SHSTK | CET_ENDBR))
		return gp_because(c, 0, "IA32_U_CET enables what virtual-8086 mode has not (vol. 2, IRET)");
	if (rip > 0xffff)
		return fault_target(c);
	shadow_return_do(c, &shadow);
	cpu_set_arith(c, flags);
	c->eflags = (flags & flags_of_model(c) & ~(u32)OSZAPC) | FL_1;
	c->step &= (u8)~STEP_RF;
	c->cpl = 3;
	seg_load_real(c, CS, (u16)cs);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		seg_load_real(c, order[i], (u16)sel[i]);
	c->r[RSP] = (u32)rsp;
	c->r[RIP] = rip;
	update_mode(c);
	attend(c, ATTN_LINE);
	return true;
}

/* NT: switch to the task of the TSS's back link. */
static bool return_to_task(struct cpu *c)
{
	u64 link, d;
	u16 sel;

	if (!sys_read(c, c->seg[TR].base, 2, &link))
		return false;
	sel = (u16)link;
	if (sel & 4)
		return fault_because(c, VEC_TS, sel & 0xfffc, "NT is set, and the TSS's back link names the LDT (7.3)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_TS))
		return false;
	if (desc_s(d) || (desc_type(d) != SYS_TSS_BUSY && desc_type(d) != SYS_TSS16_BUSY))
		return fault_because(c, VEC_TS, sel & 0xfffc,
				     "NT is set, and the TSS's back link names no busy TSS (7.3)");
	if (!desc_present(d))
		return fault_because(c, VEC_NP, sel & 0xfffc,
				     "NT is set, and the back link's TSS is not present (bit 47, P, is clear)");
	return task_switch(c, sel, d, TASK_IRET, c->op ? next_rip(c, c->op) : c->r[RIP], false, 0);
}

static bool return_protected(struct cpu *c, unsigned size)
{
	u64 rip, cs, flags, d, rsp = 0, ss = 0, ss_d = 0;
	struct shadow_return shadow;
	bool outer, stack_too, l;
	struct stack s;
	u32 mask;

	if (c->eflags & FL_NT)
		return in_long(c) ? gp_because(c, 0, "NT is set, and IA-32e mode has no task switches (7.7)")
				  : return_to_task(c);
	if (!pop_three(c, size, &s, &rip, &cs, &flags))
		return false;
	if (flags & FL_VM && size == 4 && c->cpl == 0 && !in_long(c))
		return return_to_v86(c, &s, rip, cs, (u32)flags);
	if (!return_code_check(c, (u16)cs, !fred_on(c), &d) || !return_offset_check(c, d, &rip))
		return false;
	outer = (cs & 3) > c->cpl;
	stack_too = outer || in_64(c);
	if (stack_too) {
		if (!stack_get(c, &s, size, &rsp) || !stack_get_selector(c, &s, size, &ss) ||
		    !return_stack_check(c, (u16)ss, (u16)cs, d, &ss_d))
			return false;
	}
	l = in_long(c) && d >> 53 & 1;
	if (!code_limit(c, d, rip) ||
	    !shadow_return_check(c, &shadow, cs & 3, (u16)cs, code_linear(c, d, rip), l) ||
	    !descriptor_accessed(c, (u16)cs, &d))
		return false;
	mask = flags_mask(c, size); /* by the CPL and IOPL before the IRET */
	cs_set(c, (u16)cs, d, cs & 3);
	if (stack_too) {
		ss_set(c, (u16)ss, ss_d);
		rsp_set(c, rsp);
	} else {
		c->r[RSP] = s.rsp;
	}
	c->r[RIP] = rip;
	return_flags(c, (u32)flags, mask);
	if (outer)
		segs_revalidate(c);
	shadow_return_do(c, &shadow);
	return true;
}

void unblock_nmi(struct cpu *c)
{
	bool *blocked = vmx_pin(c, PIN_VIRTUAL_NMI) ? &c->vmx->virtual_nmi_blocked : &c->nmi_blocked;

	if (*blocked && (!vmx_pin(c, PIN_NMI) || vmx_pin(c, PIN_VIRTUAL_NMI))) {
		*blocked = false;
		attend(c, ATTN_LINE);
	}
}

bool interrupt_return(struct cpu *c, unsigned size)
{
	unblock_nmi(c); /* even if the IRET faults (SDM vol. 3, 6.7.1) */
	if (!(c->cr0 & CR0_PE))
		return return_real(c, size);
	if (c->eflags & FL_VM)
		return return_v86(c, size);
	return return_protected(c, size);
}

BODY(iret) { return interrupt_return(c, o->osize); }
GEN_LOOK(iret)
