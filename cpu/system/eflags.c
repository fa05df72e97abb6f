/* SPDX-License-Identifier: MIT */
/* The system bits of EFLAGS: PUSHF, POPF, CLI, STI, STAC, CLAC, also in virtual-8086 mode and with its extensions (SDM
 * vol. 3, 20.2.7, 20.3 and 20.4). */
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

	if (in_v86(c) && iopl(c) < 3) /* with CR4.VME */
		flags = (flags & ~(u32)FL_I) | FL_IOPL | (flags & FL_VIF ? FL_I : 0);
	if (!has(c->model, F_I286))
		flags |= 0xf000; /* bits that the 8086 lacks are ones */
	return stack_push(c, o->osize, flags);
}
GEN_BODY(pushf)

/* POPF in virtual-8086 mode with IOPL < 3 and VME: IF stands for VIF. */
static bool popf_vme(struct cpu *c, u32 flags)
{
	u32 mask = OSZAPC | FL_D | FL_NT | FL_T | FL_VIF;

	if (flags & FL_T || (flags & FL_I && c->eflags & FL_VIP))
		return gp_because(c, 0,
				  flags & FL_T ? "POPF with CR4.VME and IOPL below 3 cannot set TF (20.3.3)"
					       : "it sets VIF while VIP is set (20.3.3)");
	flags = (flags & 0xffff) | (flags & FL_I ? FL_VIF : 0);
	cpu_set_flags(c, flags, mask);
	return true;
}

BODY(popf)
{
	u32 mask = flags_of_model(c) & ~(u32)(FL_VM | FL_VIF | FL_VIP);
	u64 v, rsp = c->r[RSP];
	bool vme = in_v86(c) && iopl(c) < 3;

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

/* Does the instruction change IF? If not, it changes VIF (CHK_IOPL). */
static bool if_real(const struct cpu *c) { return iopl(c) >= c->cpl || !(c->cr0 & CR0_PE); }

BODY(cli)
{
	(void)o;
	c->eflags &= if_real(c) ? ~(u32)FL_I : ~(u32)FL_VIF;
	return true;
}
GEN_BODY(cli)

BODY(sti)
{
	(void)o;
	if (!if_real(c)) {
		if (c->eflags & FL_VIP)
			return gp_because(c, 0, "it sets VIF while VIP is set (20.3.3)");
		c->eflags |= FL_VIF;
	} else if (!(c->eflags & FL_I)) {
		c->eflags |= FL_I;
		shadow(c, false);
		if (interrupt_waits(c))
			attend(c, ATTN_LINE);
	}
	return true;
}
GEN_BODY(sti)

BODY(stac)
{
	(void)o;
	c->eflags |= FL_AC;
	update_view(c);
	return true;
}
GEN_BODY(stac)

BODY(clac)
{
	(void)o;
	c->eflags &= ~(u32)FL_AC;
	update_view(c);
	return true;
}
GEN_BODY(clac)
