/* SPDX-License-Identifier: MIT */
/* Control-flow enforcement: what transfers, interruptions and MSRs have to do with it. The near transfers and the
 * instructions are in cpu/insn/shadow_stack.c. */
#include "cpu/cet.h"
#include "cpu/system/system.h"

/* ---- the tracker ---- */

u64 cet_mode(const struct cpu *c)
{
	u64 control = c->cpl == 3 ? c->u_cet : c->s_cet, mode = 0;

	if (!(c->cr0 & CR0_PE) || c->eflags & FL_VM)
		return 0;
	if (control & CET_SHSTK)
		mode |= MODE_SHSTK;
	if (control & CET_ENDBR)
		mode |= MODE_IBT | (control & CET_WAIT ? MODE_WAIT_ENDBR : 0);
	return mode;
}

bool cet_control_valid(const struct cpu *c, u64 v)
{
	u64 bits = ~(u64)0xfff;

	if (has(c->model, F_CET_SS))
		bits |= CET_SHSTK | CET_WRSS;
	if (has(c->model, F_CET_IBT))
		bits |= CET_ENDBR | CET_LEGACY | CET_NOTRACK | CET_NO_SUPPRESS | CET_SUPPRESS | CET_WAIT;
	return !(v & ~bits) && canonical_base(c->model, v) &&
	       (v & (CET_SUPPRESS | CET_WAIT)) != (CET_SUPPRESS | CET_WAIT);
}

/* Far transfers and interruptions end a suppression. */
void cet_track_far(struct cpu *c)
{
	u64 *control = cet_control(c, c->cpl);

	if (!cet_on(c, c->cpl, CET_ENDBR))
		return;
	*control = (*control & ~(u64)CET_SUPPRESS) | CET_WAIT;
	update_mode(c);
}

void cet_track(struct cpu *c)
{
	u64 *control = cet_control(c, c->cpl);

	if (*control & CET_SUPPRESS)
		return;
	*control |= CET_WAIT;
	update_mode(c);
}

bool cet_legacy_code(struct cpu *c, u64 rip)
{
	u64 *control = cet_control(c, c->cpl), page = ((rip + c->cs_base) & c->linear_mask) >> PAGE_SHIFT, byte;

	if (*control & CET_LEGACY) {
		if (!mem_read(c, (*control & ~(u64)0xfff) + bits(page << PAGE_SHIFT, 47, 15), 1, &byte))
			return false;
		if (byte >> (page & 7) & 1) {
			*control &= ~(u64)CET_WAIT;
			if (!(*control & CET_NO_SUPPRESS))
				*control |= CET_SUPPRESS;
			update_mode(c);
			return true;
		}
	}
	return fault_because(c, VEC_CP, CP_ENDBR, "an indirect branch leads to where no ENDBR is (vol. 1, 17.3)");
}

/* ---- memory ---- */

static bool access_shadow(struct cpu *c, u64 linear, unsigned size, bool write, bool user, u64 phys[2])
{
	if (!canonical(c, linear) || !canonical(c, linear + size - 1))
		return gp_because(c, 0, "the shadow stack's address is not canonical (vol. 1, 17.2)");
	for (unsigned i = 0; i < size / 4; i++) {
		if (!shadow_translate(c, linear + 4 * i, write, user, &phys[i]))
			return false;
		if (unlikely(!space_ram(c->mem, phys[i], 4, NULL)))
			cpu_ask(c); /* it may be a device */
	}
	return true;
}

bool shadow_read(struct cpu *c, u64 linear, unsigned size, bool user, u64 *v)
{
	u64 phys[2];

	if (!access_shadow(c, linear, size, false, user, phys))
		return false;
	*v = 0;
	for (unsigned i = 0; i < size / 4; i++)
		*v |= space_read(c->mem, phys[i], 4) << 32 * i;
	return true;
}

bool shadow_check(struct cpu *c, u64 linear, unsigned size, bool user)
{
	u64 phys[2];

	return access_shadow(c, linear, size, true, user, phys);
}

bool shadow_write(struct cpu *c, u64 linear, unsigned size, bool user, u64 v)
{
	u64 phys[2];

	if (!access_shadow(c, linear, size, true, user, phys))
		return false;
	for (unsigned i = 0; i < size / 4; i++) {
		if (unlikely(c->watch != NULL))
			watch_store(c, NULL, phys[i], 4);
		space_write(c->mem, phys[i], 4, v >> 32 * i & 0xffffffff);
	}
	return true;
}

bool shadow_exchange(struct cpu *c, u64 linear, bool user, u64 old, u64 new, u64 *was)
{
	return shadow_check(c, linear, 8, user) && shadow_read(c, linear, 8, user, was) &&
	       (*was != old || shadow_write(c, linear, 8, user, new));
}

/* ---- calls and interruptions ---- */

enum { TOKEN_BUSY = 1 };

static u64 *level_ssp(struct cpu *c, unsigned cpl)
{
	return cpl == 0 ? &c->pl0_ssp : cpl == 1 ? &c->pl1_ssp : cpl == 2 ? &c->pl2_ssp : &c->pl3_ssp;
}

/* The shadow stack of ring CPL, or of IST, whose token must be free. */
static bool other_stack(struct cpu *c, struct shadow_call *s, unsigned ist, bool l)
{
	u64 token;

	s->token = true;
	s->ssp = *level_ssp(c, s->cpl);
	if (ist && (!canonical(c, c->interrupt_ssp_table + 8 * ist) ||
		    !sys_read(c, c->interrupt_ssp_table + 8 * ist, 8, &s->ssp)))
		return false;
	if (s->ssp & 7 || (s->ssp ^ (s->ssp - 24)) & ~(u64)31)
		return gp_because(c, 0,
				  "the token and the frame are not within 32 bytes of the shadow stack (vol. 1, 17.2.3)");
	if (!l && s->ssp >> 32)
		return gp_because(c, 0, "the SSP of 32-bit code has more than 32 bits (vol. 1, 17.2.3)");
	if (!shadow_check(c, s->ssp, 8, false) || !shadow_read(c, s->ssp, 8, false, &token))
		return false;
	return token == s->ssp || gp_because(c, 0, "the token of the shadow stack is not free (vol. 1, 17.2.3)");
}

bool shadow_call_check(struct cpu *c, struct shadow_call *s, unsigned cpl, unsigned ist, bool l)
{
	bool user = cpl == 3;

	*s = (struct shadow_call){ .cpl = cpl, .old = c->ssp };
	if (likely(!(c->cr4 & CR4_CET)))
		return true;
	s->saves_user = c->cpl == 3 && cpl != 3 && cet_on(c, 3, CET_SHSTK);
	s->on = cpl == 3 ? c->u_cet & CET_SHSTK : c->s_cet & CET_SHSTK;
	if (!s->on)
		return true;
	if (cpl != c->cpl || ist) {
		if (!other_stack(c, s, ist, l))
			return false;
		s->frame = c->cpl != 3;
	} else {
		if (!l && c->ssp >> 32)
			return gp_because(c, 0, "the SSP of 32-bit code has more than 32 bits (vol. 1, 17.2.3)");
		s->ssp = c->ssp & ~(u64)7;
		s->frame = true;
		if (c->ssp & 4 && !shadow_check(c, c->ssp - 4, 4, user))
			return false;
	}
	for (unsigned i = 1; s->frame && i <= 3; i++)
		if (!shadow_check(c, s->ssp - 8 * i, 8, user))
			return false;
	return true;
}

void shadow_call_do(struct cpu *c, const struct shadow_call *s, u16 cs, u64 lip)
{
	bool user = s->cpl == 3;
	u64 ssp = s->ssp;

	if (likely(!(c->cr4 & CR4_CET)))
		return;
	if (s->saves_user)
		c->pl3_ssp = s->old;
	if (s->on) {
		if (s->token)
			shadow_write(c, ssp, 8, false, ssp | TOKEN_BUSY);
		else if (s->old & 4)
			shadow_write(c, s->old - 4, 4, user, 0);
		if (s->frame) {
			shadow_write(c, ssp - 8, 8, user, cs);
			shadow_write(c, ssp - 16, 8, user, lip);
			shadow_write(c, ssp - 24, 8, user, s->old);
			ssp -= 24;
		}
		c->ssp = ssp;
	}
	cet_track_far(c);
}

/* ---- returns ---- */

static bool return_refused(struct cpu *c)
{
	return fault_because(c, VEC_CP, CP_FAR_RET,
			     "the return address is not that of the shadow stack (vol. 1, 17.2)");
}

/* The frame at SSP must be of CS:LIP. *OLD: its SSP. */
static bool frame_matches(struct cpu *c, u16 cs, u64 lip, u64 *old)
{
	bool user = c->cpl == 3;
	u64 frame_cs, frame_lip;

	if (!shadow_read(c, c->ssp, 8, user, old) || !shadow_read(c, c->ssp + 8, 8, user, &frame_lip) ||
	    !shadow_read(c, c->ssp + 16, 8, user, &frame_cs))
		return false;
	return (frame_cs == cs && frame_lip == lip && !(*old & 3)) || return_refused(c);
}

bool shadow_return_check(struct cpu *c, struct shadow_return *s, unsigned cpl, u16 cs, u64 lip, bool l)
{
	*s = (struct shadow_return){ .on = false };
	if (likely(!(c->cr4 & CR4_CET)))
		return true;
	if (cet_on(c, c->cpl, CET_SHSTK)) {
		u64 above = c->ssp;

		s->off = true;
		if (c->ssp & 7)
			return return_refused(c);
		if (cpl != 3 || c->cpl == 3) {
			if (!frame_matches(c, cs, lip, &s->ssp))
				return false;
			above += 24;
			s->on = cpl == c->cpl;
			if (!l && s->ssp >> 32)
				return return_refused(c);
		}
		if (c->cpl != 3 && (cpl != c->cpl || s->ssp != above))
			s->token = above;
	}
	if (cpl == c->cpl || !(cpl == 3 ? c->u_cet & CET_SHSTK : c->s_cet & CET_SHSTK))
		return true;
	s->on = true;
	if (cpl == 3)
		s->ssp = c->pl3_ssp;
	return l || !(s->ssp >> 32) ||
	       gp_because(c, 0, "the SSP of 32-bit code has more than 32 bits (vol. 1, 17.2.3)");
}

/* The token is freed by who leaves it; where none is, nothing happens. */
static void free_token(struct cpu *c, u64 at, bool user)
{
	struct fault fault = c->fault;
	u64 cr2 = c->cr2, was;

	if (!shadow_exchange(c, at, user, at | TOKEN_BUSY, at, &was)) {
		c->fault = fault;
		c->cr2 = cr2;
	}
}

void shadow_return_do(struct cpu *c, const struct shadow_return *s)
{
	if (s->token)
		free_token(c, s->token, false);
	if (s->on)
		c->ssp = s->ssp;
}

/* ---- task switches (SDM vol. 3, 7.3; APM vol. 2, 12.3.2) ---- */

/* What a call from ring 3 to an inner one saves is IA32_PL3_SSP alone, and there is nothing to pop on the way back. */
bool shadow_task_check(struct cpu *c, struct shadow_task *t, unsigned cpl, u64 next, bool returns, bool nests)
{
	bool user = c->cpl == 3;

	*t = (struct shadow_task){ .cs = c->seg[CS].sel, .lip = (u32)(c->seg[CS].base + next), .ssp = c->ssp };
	if (likely(!cet_on(c, c->cpl, CET_SHSTK)))
		return true;
	t->user = nests && user && cpl < 3;
	t->pushes = nests && !t->user;
	if (!returns)
		return true;
	if (c->ssp & 7)
		return fault_because(c, VEC_TS, c->seg[TR].sel & 0xfffc,
				     "the SSP of the task that returns is not aligned to 8 bytes (7.3)");
	t->token = c->ssp;
	if (cpl == 3 && !user)
		return true;
	t->popped = true;
	t->token += 24;
	return shadow_read(c, c->ssp + 16, 8, user, &t->cs) && shadow_read(c, c->ssp + 8, 8, user, &t->lip) &&
	       shadow_read(c, c->ssp, 8, user, &t->ssp);
}

void shadow_task_leave(struct cpu *c, const struct shadow_task *t)
{
	if (t->user)
		c->pl3_ssp = c->ssp;
	if (!t->token)
		return;
	free_token(c, t->token, c->cpl == 3);
	c->ssp = 0;
}

/* Its token becomes busy. */
static bool task_stack(struct cpu *c, const struct shadow_task *t, u64 base)
{
	u16 sel = c->seg[TR].sel & 0xfffc;
	bool user = c->cpl == 3;
	u64 ssp, token;

	if (!base)
		return fault_because(c, VEC_TS, sel, "a TSS of 16 bits has no SSP (7.2.1)");
	if (!sys_read(c, base + 104, 4, &ssp))
		return false;
	if (ssp & 7)
		return fault_because(c, VEC_TS, sel, "the SSP of the TSS is not aligned to 8 bytes (7.3)");
	for (unsigned i = 1; t->pushes && i <= 3; i++)
		if (!shadow_check(c, ssp - 8 * i, 8, user))
			return false;
	if (!shadow_exchange(c, ssp, user, ssp, ssp | TOKEN_BUSY, &token))
		return false;
	if (token != ssp)
		return fault_because(c, VEC_TS, sel, "the token of the new task's shadow stack is not free (7.3)");
	c->ssp = ssp;
	if (t->pushes) {
		shadow_write(c, ssp - 8, 8, user, t->cs);
		shadow_write(c, ssp - 16, 8, user, t->lip);
		shadow_write(c, ssp - 24, 8, user, t->ssp);
		c->ssp -= 24;
	}
	return true;
}

bool shadow_task_enter(struct cpu *c, const struct shadow_task *t, u64 base, bool returns)
{
	u64 ssp = t->popped ? t->ssp : c->pl3_ssp;

	if (likely(!(c->cr4 & CR4_CET)))
		return true;
	if (c->eflags & FL_VM)
		return !(c->u_cet & CET_SHSTK) ||
		       fault_because(c, VEC_TS, c->seg[TR].sel & 0xfffc, "virtual-8086 mode has no shadow stack (7.3)");
	if (t->popped && (t->cs != c->seg[CS].sel || t->lip != (u32)(c->seg[CS].base + c->r[RIP])))
		return return_refused(c);
	if (cet_on(c, c->cpl, CET_SHSTK)) {
		if (!returns)
			return task_stack(c, t, base) && (cet_track_far(c), true);
		if (ssp & 3 || ssp >> 32)
			return return_refused(c);
		c->ssp = ssp;
	}
	if (!returns)
		cet_track_far(c);
	return true;
}

bool shadow_jump_check(struct cpu *c, bool l)
{
	return l || !cet_on(c, c->cpl, CET_SHSTK) || !(c->ssp >> 32) ||
	       gp_because(c, 0, "the SSP of 32-bit code has more than 32 bits (vol. 1, 17.2.3)");
}

void cet_enter(struct cpu *c)
{
	if (likely(!(c->cr4 & CR4_CET)))
		return;
	if (cet_on(c, c->cpl, CET_SHSTK))
		c->pl3_ssp = c->ssp;
	if (c->s_cet & CET_SHSTK)
		c->ssp = 0;
	if (c->s_cet & CET_ENDBR)
		c->s_cet = (c->s_cet & ~(u64)CET_SUPPRESS) | CET_WAIT;
}

void cet_leave(struct cpu *c)
{
	if (unlikely(c->cr4 & CR4_CET) && c->u_cet & CET_SHSTK)
		c->ssp = c->pl3_ssp;
}
