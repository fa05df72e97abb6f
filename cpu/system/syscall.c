/* SPDX-License-Identifier: MIT */
/* SYSCALL, SYSENTER and their returns, SWAPGS, and the bases of FS and GS: entries that read no descriptors (SDM vol.
 * 3, 5.8.7 and 5.8.8). Every system call executes them, so the segments are written as constants, and the mode is
 * derived once. */
#include "cpu/cet.h"
#include "cpu/system/system.h"

void flat_cs(struct cpu *c, u16 sel, unsigned dpl, bool l)
{
	struct seg *s = &c->seg[CS];

	s->sel = sel;
	s->base = 0;
	s->limit = 0xffffffff;
	s->attr = SEG_G | (l ? SEG_L : SEG_DB) | SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A | dpl << 5;
	s->read_end = l ? ~(u64)0 : (u64)1 << 32;
	s->write_end = l ? ~(u64)0 : 0;
}

void flat_ss(struct cpu *c, u16 sel, unsigned dpl, bool l)
{
	struct seg *s = &c->seg[SS];

	s->sel = sel;
	s->base = 0;
	s->limit = 0xffffffff;
	s->attr = SEG_G | SEG_DB | SEG_P | SEG_S | SEG_W | SEG_A | dpl << 5;
	s->read_end = s->write_end = l ? ~(u64)0 : (u64)1 << 32;
}

/* EFLAGS as a whole; the caller derives mode and view afterwards. The new TF decides whether a trap follows at once: if
 * FMASK clears TF the kernel gets no trap, and a TF that SYSRET restores traps before the program's first instruction,
 * unlike after IRET. */
static void set_all_flags(struct cpu *c, u32 flags)
{
	u32 old = c->eflags;

	cpu_set_arith(c, flags);
	c->eflags = (flags & ~(u32)OSZAPC) | FL_1;
	c->step = 0;
	if (flags & FL_T)
		c->db_pending |= 1 << 14; /* BS */
	if (c->eflags & FL_T || (c->eflags & ~old & FL_I && interrupt_waits(c)))
		attend(c, ATTN_LINE);
}

/* AMD's processors have SYSCALL and SYSRET in legacy mode, too: no flags are saved, and STAR has the address (APM vol.
 * 3, SYSCALL). */
static bool syscall_legacy(struct cpu *c, u64 next)
{
	c->r[RCX] = next;
	c->r[RIP] = (u32)c->star;
	set_all_flags(c, cpu_flags(c) & ~(u32)(FL_RF | FL_I | FL_VM));
	flat_cs(c, c->star >> 32 & 0xfffc, 0, false);
	flat_ss(c, (u16)((c->star >> 32 & 0xfffc) + 8), 0, false);
	cet_enter(c);
	c->cpl = 0;
	update_mode(c);
	return true;
}

static bool sysret_legacy(struct cpu *c)
{
	u16 base = (u16)(c->star >> 48);

	c->r[RIP] = (u32)c->r[RCX];
	set_all_flags(c, cpu_flags(c) | FL_I);
	flat_cs(c, base | 3, 3, false);
	flat_ss(c, (u16)((base + 8) | 3), 3, false);
	cet_leave(c);
	c->cpl = 3;
	update_mode(c);
	return true;
}

BODY(syscall)
{
	u32 flags = cpu_flags(c) & ~(u32)FL_RF;
	bool compatible = !in_64(c); /* compatibility mode */

	if (!in_long(c))
		return syscall_legacy(c, next_rip(c, o));
	if (unlikely(fred_on(c)))
		return fred_call(c, o, FRED_SYSCALL);
	c->r[RCX] = next_rip(c, o);
	c->r[R11] = flags;
	c->r[RIP] = compatible ? c->cstar : c->lstar;
	set_all_flags(c, flags & ~(u32)c->sfmask);
	flat_cs(c, c->star >> 32 & 0xfffc, 0, true);
	flat_ss(c, (u16)((c->star >> 32) + 8), 0, true);
	cet_enter(c);
	c->cpl = 0;
	update_mode(c);
	return true;
}
GEN_LOOK(syscall)

BODY(sysret)
{
	u16 base = (u16)(c->star >> 48);
	bool l = o->osize == 8;

	if (!in_long(c))
		return sysret_legacy(c);
	if (l && !canonical(c, c->r[RCX]))
		return gp_because(c, 0, "RCX is not a canonical address (vol. 2, SYSRET)");
	c->r[RIP] = l ? c->r[RCX] : (u32)c->r[RCX];
	set_all_flags(c, c->r[R11] & 0x3c7fd7);
	flat_cs(c, (u16)((base + (l ? 16 : 0)) | 3), 3, l);
	flat_ss(c, (u16)((base + 8) | 3), 3, l);
	cet_leave(c);
	c->cpl = 3;
	update_mode(c);
	return true;
}
GEN_LOOK(sysret)

BODY(sysenter)
{
	bool l = in_long(c);
	u16 sel = c->sysenter_cs & 0xfffc;

	if (unlikely(fred_on(c)))
		return fred_call(c, o, FRED_SYSENTER);
	c->eflags &= ~(u32)(FL_VM | FL_I | FL_RF);
	c->r[RSP] = l ? c->sysenter_esp : (u32)c->sysenter_esp;
	c->r[RIP] = l ? c->sysenter_eip : (u32)c->sysenter_eip;
	flat_cs(c, sel, 0, l);
	flat_ss(c, (u16)(sel + 8), 0, l);
	cet_enter(c);
	c->cpl = 0;
	update_mode(c);
	return true;
}
GEN_LOOK(sysenter)

BODY(sysexit)
{
	bool l = o->osize == 8;
	u16 sel = (u16)c->sysenter_cs;

	if (l && (!canonical(c, c->r[RCX]) || !canonical(c, c->r[RDX])))
		return gp_because(c, 0, "RCX or RDX is not a canonical address (vol. 2, SYSEXIT)");
	c->r[RSP] = l ? c->r[RCX] : (u32)c->r[RCX];
	c->r[RIP] = l ? c->r[RDX] : (u32)c->r[RDX];
	flat_cs(c, (u16)((sel + (l ? 32 : 16)) | 3), 3, l);
	flat_ss(c, (u16)((sel + (l ? 40 : 24)) | 3), 3, l);
	cet_leave(c);
	c->cpl = 3;
	update_mode(c);
	return true;
}
GEN_LOOK(sysexit)

BODY(swapgs)
{
	u64 base = c->seg[GS].base;

	(void)o;
	c->seg[GS].base = c->kernel_gs_base;
	c->kernel_gs_base = base;
	return true;
}
GEN_BODY(swapgs)

/* As MOV to GS, but the base goes to where SWAPGS finds it (FRED specification, 10). */
BODY(lkgs)
{
	u64 sel, base = c->seg[GS].base;

	if (!rm_load(c, o, o->dst, 2, &sel) || !seg_load(c, GS, (u16)sel))
		return false;
	c->kernel_gs_base = c->seg[GS].base;
	c->seg[GS].base = base;
	return true;
}
GEN_BODY(lkgs)

ALWAYS_INLINE bool write_base(struct cpu *c, const struct op *o, unsigned reg)
{
	u64 v = reg_get(c, o->dst, o->osize == 8 ? 8 : 4);

	if (!canonical_base(c->model, v))
		return gp_because(c, 0, "the base is not a canonical address (vol. 1, 3.3.7.1)");
	c->seg[reg].base = v;
	return true;
}

ALWAYS_INLINE bool read_base(struct cpu *c, const struct op *o, unsigned reg)
{
	reg_set(c, o->dst, o->osize == 8 ? 8 : 4, c->seg[reg].base);
	return true;
}

BODY(rdfsbase) { return read_base(c, o, FS); }
BODY(rdgsbase) { return read_base(c, o, GS); }
BODY(wrfsbase) { return write_base(c, o, FS); }
BODY(wrgsbase) { return write_base(c, o, GS); }
GEN_BODY(rdfsbase)
GEN_BODY(rdgsbase)
GEN_BODY(wrfsbase)
GEN_BODY(wrgsbase)
