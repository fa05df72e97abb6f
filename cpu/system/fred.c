/* SPDX-License-Identifier: MIT */
/* FRED event delivery, ERETS and ERETU (SDM vol. 3, chapter 8; vol. 2, at each instruction).
 *
 * The frame, from RSP on; its end is aligned to 64 bytes:
 *    0 error code
 *    8 RIP
 *   16 CS: 15-0 selector | 17-16 stack level | 18 the tracker waited for ENDBR
 *   24 RFLAGS
 *   32 RSP
 *   40 SS: 15-0 selector | 16 blocking by STI | 17 SYSCALL, SYSENTER or INT n | 18 NMI | 39-32 vector | 51-48 type
 *          57 64-bit code | 58 met by another event's delivery | 63-60 length of the instruction that is the event
 *   48 event data: CR2 of #PF; DR6's bits of #DB; IA32_XFD_ERR of #NM
 *   56 0 */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/amx.h"
#include "cpu/cet.h"
#include "cpu/system/system.h"

enum { FRAME = 64, LEVEL = 3, SSP_GAP = 8, RSP_GAP = 0x1c0, KERNEL_ENTRY = 256, CS_WAIT = 1 << 18 };
enum { SS_STI = 1 << 16, SS_SOFTWARE = 1 << 17, SS_NMI = 1 << 18 };
/* what ERETS and ERETU can load of RFLAGS */
#define RETURN_FLAGS (OSZAPC | FL_T | FL_I | FL_D | FL_IOPL | FL_NT | FL_RF | FL_AC | FL_VIF | FL_VIP | FL_ID)
#define FLAGS_MUST 0xffffffffffc2802a /* these must be FL_1 */

static const struct field fred_fields[] = {
	FIELDS(struct fred, rsp, U64), FIELD(struct fred, levels, U64), FIELDS(struct fred, ssp, U64),
	FIELD(struct fred, config, U64), FIELD_END
};

bool fred_new(struct cpu *c)
{
	c->fred = calloc(1, sizeof *c->fred);
	if (c->fred)
		snprintf(c->fred->name, sizeof c->fred->name, "fred%u", c->id);
	return c->fred;
}

void fred_reset(struct cpu *c) { memset(c->fred, 0, offsetof(struct fred, name)); }

struct part fred_part(struct cpu *c) { return (struct part){ c->fred->name, c->fred, fred_fields, NULL }; }

static unsigned current_level(const struct cpu *c) { return c->fred->config & LEVEL; }
static void set_level(struct cpu *c, unsigned level) { c->fred->config = (c->fred->config & ~(u64)LEVEL) | level; }
static u64 level_ssp(const struct cpu *c, unsigned level) { return level ? c->fred->ssp[level - 1] : c->pl0_ssp; }

static void swap_gs(struct cpu *c)
{
	u64 base = c->seg[GS].base;

	c->seg[GS].base = c->kernel_gs_base;
	c->kernel_gs_base = base;
}

/* ---- what the event is ---- */

static bool is_nmi(unsigned vector, enum interrupt_kind kind) { return kind == INT_EXTERNAL && vector == VEC_NMI; }

static unsigned event_type(unsigned vector, enum interrupt_kind kind)
{
	static const u8 types[] = { [INT_EXTERNAL] = 0, [INT_EXCEPTION] = 3, [INT_TRAP] = 3, [INT_SOFTWARE] = 4,
				    [INT_ICEBP] = 5, [INT_SOFT_EXC] = 6, [INT_OTHER] = 7 };

	return is_nmi(vector, kind) ? 2 : types[kind];
}

static u64 event_data(const struct cpu *c, unsigned vector, enum interrupt_kind kind)
{
	if (vmx_guest(c) && c->vmx->injecting)
		return vmcs_get(c, VMCS_INJECTED_EVENT_DATA);
	if (kind == INT_ICEBP)
		return c->db_pending;
	if (kind != INT_EXCEPTION && kind != INT_TRAP)
		return 0;
	switch (vector) {
	case VEC_DB: return c->db_bits;
	case VEC_PF: return c->cr2;
	case VEC_NM: return c->amx && !(c->cr0 & (CR0_TS | CR0_EM)) ? c->amx->xfd_err : 0;
	default: return 0;
	}
}

static unsigned event_length(const struct cpu *c, enum interrupt_kind kind)
{
	if (kind < INT_SOFTWARE)
		return 0;
	return vmx_guest(c) && c->vmx->injecting ? c->vmx->inject_length : c->op ? c->op->len : 0;
}

/* The stack level that the event asks for in ring 0. */
static unsigned event_level(const struct cpu *c, unsigned vector, enum interrupt_kind kind)
{
	if (kind == INT_SOFTWARE || kind == INT_OTHER)
		return 0;
	if (kind == INT_EXTERNAL && !is_nmi(vector, kind))
		return c->fred->config >> 9 & LEVEL;
	return c->fred->levels >> 2 * (vector & 31) & LEVEL; /* VM entry may inject any */
}

/* ---- delivery ---- */

struct delivery { unsigned level; u64 rip, rsp, ssp, cs; bool user, switches, shadow; };

static bool establish(struct cpu *c, struct delivery *d, unsigned vector, enum interrupt_kind kind, bool nested)
{
	const struct fred *f = c->fred;
	unsigned old = c->cpl == 3 ? 0 : current_level(c);

	d->user = c->cpl == 3;
	d->level = d->user && !nested && vector != VEC_DF ? 0 : event_level(c, vector, kind);
	d->level = d->level > old ? d->level : old;
	d->switches = d->user || d->level > old;
	d->rip = (f->config & ~(u64)0xfff) + (d->user ? 0 : KERNEL_ENTRY);
	d->rsp = d->switches ? f->rsp[d->level] : (c->r[RSP] - (f->config & RSP_GAP)) & ~(u64)(FRAME - 1);
	d->cs = c->seg[CS].sel | (u64)old << 16 | (!d->user && cet_on(c, 0, CET_ENDBR) && c->s_cet & CET_WAIT ? CS_WAIT
		: 0);
	d->shadow = cet_on(c, 0, CET_SHSTK);
	d->ssp = d->switches ? level_ssp(c, d->level) : c->ssp - (f->config & SSP_GAP);
	if (!canonical(c, d->rip))
		return gp_because(c, 0, "the entry of FRED is not a canonical address (8.3)");
	if (!canonical(c, d->rsp - FRAME))
		return fault_because(c, VEC_SS, 0, "the frame of FRED would not be at a canonical address (8.3)");
	if (d->shadow && d->switches && d->ssp & 4)
		return gp_because(c, 0, "the new shadow stack is not aligned to 8 bytes (8.3)");
	return true;
}

/* Ring 0 has the return address on its shadow stack, too. */
static bool shadow_room(struct cpu *c, const struct delivery *d)
{
	u64 top = d->ssp & ~(u64)7;

	if (!d->shadow || d->user)
		return true;
	if (d->ssp & 4 && !shadow_check(c, top, 4, false))
		return false;
	for (unsigned i = 1; i <= 3; i++)
		if (!shadow_check(c, top - 8 * i, 8, false))
			return false;
	return true;
}

static void shadow_push(struct cpu *c, const struct delivery *d)
{
	u64 top = d->ssp & ~(u64)7, old = c->ssp;

	if (!d->shadow)
		return;
	if (!d->user) {
		if (d->ssp & 4)
			shadow_write(c, top, 4, false, 0);
		shadow_write(c, top - 8, 8, false, d->cs);
		shadow_write(c, top - 16, 8, false, c->r[RIP]);
		shadow_write(c, top - 24, 8, false, old);
		top -= 24;
	}
	c->ssp = top;
}

static bool push_frame(struct cpu *c, const struct delivery *d, const u64 frame[8])
{
	if (!sys_check_write(c, d->rsp - FRAME, FRAME) || !shadow_room(c, d))
		return false;
	for (unsigned i = 0; i < 8; i++)
		if (!sys_write(c, d->rsp - FRAME + 8 * i, 8, frame[i]))
			return false;
	return true;
}

/* Nothing can fault any more. */
static void enter_handler(struct cpu *c, const struct delivery *d)
{
	if (cet_on(c, 3, CET_SHSTK) && d->user)
		c->pl3_ssp = c->ssp;
	shadow_push(c, d);
	if (d->user) {
		flat_cs(c, c->star >> 32 & 0xfffc, 0, true);
		flat_ss(c, (u16)((c->star >> 32 & 0xfffc) + 8), 0, true);
		swap_gs(c);
		c->cpl = 0;
	}
	c->r[RIP] = d->rip;
	c->r[RSP] = d->rsp - FRAME;
	cpu_set_arith(c, 0);
	c->eflags = FL_1;
	set_level(c, d->level);
	if (cet_on(c, 0, CET_ENDBR))
		c->s_cet &= ~(u64)(CET_SUPPRESS | CET_WAIT);
	update_mode(c);
}

static bool deliver(struct cpu *c, unsigned vector, enum interrupt_kind kind, u32 error, u32 flags)
{
	bool nested = kind == INT_EXCEPTION && c->fault.nested, software = kind == INT_SOFTWARE || kind == INT_OTHER;
	u64 ss = c->seg[SS].sel | (in_shadow(c) && !c->shadow_ss && kind < INT_SOFTWARE ? SS_STI : 0) |
		 (software ? SS_SOFTWARE : 0) | (is_nmi(vector, kind) ? SS_NMI : 0) | (u64)vector << 32 |
		 (u64)event_type(vector, kind) << 48 | (u64)in_64(c) << 57 | (u64)nested << 58 |
		 (u64)event_length(c, kind) << 60;
	u64 data = event_data(c, vector, kind);
	struct delivery d;

	if (vmx_guest(c))
		c->vmx->vectoring_data = data; /* if it exits */
	if (!establish(c, &d, vector, kind, nested) ||
	    !push_frame(c, &d, (u64[]){ error, c->r[RIP], d.cs, flags, c->r[RSP], ss, data, 0 }))
		return false;
	enter_handler(c, &d);
	return true;
}

bool fred_deliver(struct cpu *c, unsigned vector, enum interrupt_kind kind, u32 error, u32 flags)
{
	if (deliver(c, vector, kind, error, flags))
		return true;
	c->fault.nested = true;
	return false;
}

bool fred_call(struct cpu *c, const struct op *o, unsigned vector)
{
	u64 rip = c->r[RIP], from = op_rip(c, o);

	c->r[RIP] = next_rip(c, o);
	c->moved = c->r[RIP] - rip;
	if ((vmx_guest(c) && !vmx_delivers(c, vector, INT_OTHER, false, 0)) ||
	    !fred_deliver(c, vector, INT_OTHER, 0, cpu_flags(c) & ~(u32)FL_RF)) {
		c->moved = 0;
		c->r[RIP] = rip;
		return false;
	}
	if (vmx_guest(c))
		guest_delivered(c);
	c->moved = 0;
	c->step = 0;
	if (unlikely(c->mode & MODE_LBR))
		lbr_interrupt(c, from, true);
	return true;
}

/* ---- ERETS, ERETU ---- */

struct frame { u64 rip, cs, flags, rsp, ss; };

static bool pop_frame(struct cpu *c, struct frame *f)
{
	struct stack s;
	u64 error;

	stack_current(c, &s);
	return stack_get(c, &s, 8, &error) && stack_get(c, &s, 8, &f->rip) && stack_get(c, &s, 8, &f->cs) &&
	       stack_get(c, &s, 8, &f->flags) && stack_get(c, &s, 8, &f->rsp) && stack_get(c, &s, 8, &f->ss);
}

static void take_flags(struct cpu *c, const struct frame *f)
{
	return_flags(c, (u32)f->flags, RETURN_FLAGS);
	if (f->ss & SS_NMI)
		unblock_nmi(c);
	if (f->ss & SS_SOFTWARE && f->flags & FL_T) {
		c->db_pending |= 1 << 14; /* BS */
		attend(c, ATTN_LINE);
	}
}

/* *SSP: of the frame that the shadow stack has. */
static bool pop_shadow(struct cpu *c, const struct frame *f, unsigned level, u64 *ssp)
{
	u64 rip, cs;

	if (c->ssp & 7)
		return fault_because(c, VEC_CP, CP_FAR_RET, "SSP is not aligned to 8 bytes (vol. 2, ERETS)");
	if (!shadow_read(c, c->ssp, 8, false, ssp) || !shadow_read(c, c->ssp + 8, 8, false, &rip) ||
	    !shadow_read(c, c->ssp + 16, 8, false, &cs))
		return false;
	if (cs != f->cs || rip != f->rip || *ssp & 3)
		return fault_because(c, VEC_CP, CP_FAR_RET,
				     "the return address is not that of the shadow stack (vol. 2, ERETS)");
	if (!canonical_base(c->model, *ssp))
		return gp_because(c, 0, "the SSP to return to is not a canonical address (vol. 2, ERETS)");
	return level == current_level(c) || level_ssp(c, current_level(c)) == c->ssp + 24 ||
	       fault_because(c, VEC_CP, CP_FAR_RET, "this level's shadow stack has another end (vol. 2, ERETS)");
}

BODY(erets)
{
	struct frame f;
	unsigned level;
	u64 ssp = c->ssp;
	bool blocked = c->shadow_at && c->shadow_at + 1 == icount_after(c) && !c->shadow_ss;

	(void)o;
	if (!pop_frame(c, &f))
		return false;
	if (!canonical(c, f.rip) || (f.cs & 0xfffffffffff8ffff) != c->seg[CS].sel || (f.flags & FLAGS_MUST) != FL_1 ||
	    (f.ss & 0xfff8ffff) != c->seg[SS].sel)
		return gp_because(c, 0, "the frame is not one of ring 0 (vol. 2, ERETS)");
	level = f.cs >> 16 & LEVEL;
	if (level > current_level(c))
		level = current_level(c);
	if (cet_on(c, 0, CET_SHSTK) && !pop_shadow(c, &f, level, &ssp))
		return false;
	c->r[RIP] = f.rip;
	c->r[RSP] = f.rsp;
	c->ssp = ssp;
	set_level(c, level);
	if (cet_on(c, 0, CET_ENDBR) && f.cs & CS_WAIT)
		cet_track(c);
	take_flags(c, &f);
	if (f.ss & SS_STI && f.flags & FL_I && !blocked)
		shadow(c, false);
	return true;
}
GEN_LOOK(erets)

/* CS and SS as SYSRET makes them, or as IRET loads them. */
struct target { bool flat, l; u64 cs, ss; };

static bool user_target(struct cpu *c, struct frame *f, struct target *t)
{
	u16 base = (u16)(c->star >> 48), cs = (u16)f->cs, ss = (u16)f->ss;

	*t = (struct target){ .l = cs == base + 16 };
	t->flat = ss == base + 8 && (t->l || cs == base);
	if (!t->flat) {
		if (!return_code_check(c, cs, true, &t->cs) || !return_stack_check(c, ss, cs, t->cs, &t->ss))
			return false;
		t->l = t->cs >> 53 & 1;
	}
	if (!t->l) {
		f->rip = (u32)f->rip;
		f->rsp = (u32)f->rsp;
	}
	if (t->l ? !canonical(c, f->rip) : !t->flat && f->rip > desc_limit(t->cs))
		return gp_because(c, 0, "RIP is beyond the limit, or not canonical (vol. 2, ERETU)");
	if (!t->l && c->cr4 & CR4_CET && c->u_cet & CET_SHSTK && c->pl3_ssp >> 32)
		return gp_because(c, 0, "the SSP of 32-bit code has more than 32 bits (vol. 2, ERETU)");
	if (cet_on(c, 0, CET_SHSTK) && c->pl0_ssp != c->ssp)
		return fault_because(c, VEC_CP, CP_FAR_RET, "the shadow stack of level 0 is not empty (vol. 2, ERETU)");
	return t->flat || (descriptor_accessed(c, cs, &t->cs) && descriptor_accessed(c, ss, &t->ss));
}

BODY(eretu)
{
	struct frame f;
	struct target t;

	(void)o;
	if (current_level(c))
		return gp_because(c, 0, "the stack level is not 0 (vol. 2, ERETU)");
	if (!pop_frame(c, &f))
		return false;
	if ((f.cs & 0xffffffffffff0003) != 3 || (f.flags & (FLAGS_MUST | FL_IOPL)) != FL_1 || (f.ss & 0xfff80003) != 3)
		return gp_because(c, 0, "the frame is not one of ring 3 (vol. 2, ERETU)");
	if (!user_target(c, &f, &t))
		return false;
	if (t.flat) {
		flat_cs(c, (u16)f.cs, 3, t.l);
		flat_ss(c, (u16)f.ss, 3, t.l);
		c->cpl = 3;
		update_mode(c);
	} else {
		cs_set(c, (u16)f.cs, t.cs, 3);
		ss_set(c, (u16)f.ss, t.ss);
	}
	c->r[RIP] = f.rip;
	c->r[RSP] = f.rsp;
	swap_gs(c);
	cet_leave(c);
	take_flags(c, &f);
	update_mode(c);
	return true;
}
GEN_LOOK(eretu)
