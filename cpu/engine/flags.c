/* SPDX-License-Identifier: MIT */
/* EFLAGS in the guest's form, from the lazy form and back (cpu.h describes the lazy form). */
#include "cpu/op.h"

KEEPS_REGISTERS bool flag_c_seldom(const struct cpu *c) { return flag_c(c); }

u32 cpu_flags(const struct cpu *c)
{
	return c->eflags | FL_1 | (flag_c(c) ? FL_C : 0) | (flag_p(c) ? FL_P : 0) | (flag_a(c) ? FL_A : 0) |
	       (flag_z(c) ? FL_Z : 0) | (flag_s(c) ? FL_S : 0) | (flag_o(c) ? FL_O : 0);
}

void cpu_set_arith(struct cpu *c, u32 flags)
{
	bool sf = flags & FL_S, pf = flags & FL_P, cf = flags & FL_C, of = flags & FL_O;

	/* A result that is zero or not, positive, of even parity; `fix' has the bits of SF and PF that differ from
	 * that. */
	c->res = flags & FL_Z ? 0 : 3;
	c->fix = (sf ? 0x80 : 0) | (pf ? 0 : 4) | (flags & FL_A);
	c->cv = (u64)cf << 63 | (u64)(cf ^ of) << 62;
}

void cpu_set_flags(struct cpu *c, u32 flags, u32 mask)
{
	u32 old = c->eflags;

	if (mask & OSZAPC)
		cpu_set_arith(c, (flags & mask) | (cpu_flags(c) & ~mask));
	mask &= ~(u32)OSZAPC;
	c->eflags = ((c->eflags & ~mask) | (flags & mask)) & ~(u32)OSZAPC;
	c->eflags |= FL_1;
	if ((old ^ c->eflags) & FL_VM)
		update_mode(c);
	else if ((old ^ c->eflags) & FL_AC)
		update_view(c);
	/* The run loop must check for interrupts and single steps. */
	if ((c->eflags & ~old & FL_I) || (c->eflags & FL_T))
		c->attn |= ATTN_LINE;
}
