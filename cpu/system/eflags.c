/* The system bits of EFLAGS: PUSHF, POPF, CLI, STI, STAC, CLAC, with what virtual-8086 mode and its extensions make of them
 * (SDM vol. 3, 20.2.7, 20.3 and 20.4). */
#include "cpu/system/system.h"

u32 flags_of_model(const struct cpu *c)
{
	u32 all = OSZAPC | FL_T | FL_I | FL_D;

	if (has(c->model, F_I286) && (has(c->model, F_I386) || c->cr0 & CR0_PE))
		all |= FL_IOPL | FL_NT;
	if (has(c->model, F_I386))
		all |= FL_RF | FL_VM;
	if (has(c->model, F_I486))
		all |= FL_AC | FL_ID;
	if (has(c->model, F_VME))
		all |= FL_VIF | FL_VIP;
	return all;
}

BODY(pushf)
{
	u32 flags = cpu_flags(c) & ~(u32)(FL_VM | FL_RF);

	if (in_v86(c) && iopl(c) < 3) {
		if (!(c->cr4 & CR4_VME) || o->osize != 2)
			return gp_because(c, 0, "PUSHF in virtual-8086 mode wants IOPL 3, or, with 16 bits, CR4.VME (20.2.7)");
		flags = (flags & ~(u32)FL_I) | FL_IOPL | (flags & FL_VIF ? FL_I : 0);
	}
	if (!has(c->model, F_I286))
		flags |= 0xf000; /* bits that the 8086 does not have read as ones */
	return stack_push(c, o->osize, flags);
}
GEN_BODY(pushf)

/* POPF in virtual-8086 mode with IOPL < 3 and VME: IF stands for VIF. */
static bool popf_vme(struct cpu *c, u32 flags)
{
	u32 mask = OSZAPC | FL_D | FL_NT | FL_T | FL_VIF;

	if (flags & FL_T || (flags & FL_I && c->eflags & FL_VIP))
		return gp_because(c, 0, flags & FL_T ? "POPF with CR4.VME and IOPL below 3 cannot set TF (20.3.3)" : "it sets VIF while VIP is set (20.3.3)");
	flags = (flags & 0xffff) | (flags & FL_I ? FL_VIF : 0);
	cpu_set_flags(c, flags, mask);
	return true;
}

BODY(popf)
{
	u32 mask = flags_of_model(c) & ~(u32)(FL_VM | FL_VIF | FL_VIP);
	u64 v, rsp = c->r[RSP];
	bool vme = false;

	if (in_v86(c) && iopl(c) < 3) {
		vme = c->cr4 & CR4_VME && o->osize == 2;
		if (!vme)
			return gp_because(c, 0, "POPF in virtual-8086 mode wants IOPL 3, or, with 16 bits, CR4.VME (20.2.7)");
	}
	if (!stack_pop(c, o->osize, &v))
		return false;
	if (vme) {
		if (popf_vme(c, (u32)v))
			return true;
		c->r[RSP] = rsp;
		return false;
	}
	if (c->cpl > 0)
		mask &= ~(u32)FL_IOPL;
	if (c->cpl > iopl(c))
		mask &= ~(u32)FL_I;
	if (o->osize == 2)
		mask &= 0xffff;
	cpu_set_flags(c, (u32)v & ~(u32)FL_RF, mask);
	return true;
}
GEN_BODY(popf)

/* Who may touch IF, who gets VIF instead, and who faults. */
enum { IF_REAL, IF_VIRTUAL, IF_FAULT };
static int if_rights(const struct cpu *c)
{
	if (iopl(c) >= c->cpl || !(c->cr0 & CR0_PE))
		return IF_REAL;
	if (in_v86(c))
		return c->cr4 & CR4_VME ? IF_VIRTUAL : IF_FAULT;
	return c->cr4 & CR4_PVI && c->cpl == 3 ? IF_VIRTUAL : IF_FAULT;
}

BODY(cli)
{
	(void)o;
	switch (if_rights(c)) {
	case IF_REAL: c->eflags &= ~(u32)FL_I; return true;
	case IF_VIRTUAL: c->eflags &= ~(u32)FL_VIF; return true;
	default: return gp_because(c, 0, "CPL is above IOPL (vol. 1, 19.5.1)");
	}
}
GEN_BODY(cli)

BODY(sti)
{
	(void)o;
	switch (if_rights(c)) {
	case IF_REAL:
		if (!(c->eflags & FL_I)) {
			c->eflags |= FL_I;
			shadow(c, false);
			if (interrupt_waits(c))
				attend(c, ATTN_LINE);
		}
		return true;
	case IF_VIRTUAL:
		if (c->eflags & FL_VIP)
			return gp_because(c, 0, "it sets VIF while VIP is set (20.3.3)");
		c->eflags |= FL_VIF;
		return true;
	default:
		return gp_because(c, 0, "CPL is above IOPL (vol. 1, 19.5.1)");
	}
}
GEN_BODY(sti)

BODY(stac)
{
	(void)o;
	if (c->cpl)
		return fault_ud(c);
	c->eflags |= FL_AC;
	update_view(c);
	return true;
}
GEN_BODY(stac)

BODY(clac)
{
	(void)o;
	if (c->cpl)
		return fault_ud(c);
	c->eflags &= ~(u32)FL_AC;
	update_view(c);
	return true;
}
GEN_BODY(clac)
