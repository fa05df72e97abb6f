/* SPDX-License-Identifier: MIT */
/* Near transfers where shadow stacks or the tracker are enabled, and the instructions of CET (SDM vol. 2, each; vol. 1,
 * chapter 17). Gen functions choose these handlers by the mode. */
#include "cpu/insn/flow.h"
#include "cpu/jump.h"
#include "cpu/cet.h"
#include "cpu/system/system.h"

static bool is_user(const struct cpu *c) { return c->cpl == 3; }
static unsigned word(const struct cpu *c) { return in_64(c) ? 8 : 4; }
static u64 mask(const struct cpu *c) { return in_64(c) ? ~(u64)0 : 0xffffffff; }

/* ---- near transfers ---- */

/* With 3Eh, if that is enabled, a branch is not tracked. imm8: it has 3Eh. */
static void track(struct cpu *c, const struct op *o)
{
	if (c->mode & MODE_IBT && !(o->imm8 && *cet_control(c, c->cpl) & CET_NOTRACK))
		cet_track(c);
}

BODY(jmp_tracked)
{
	u64 rip;

	if (!rm_load(c, o, o->dst, o->osize, &rip) || !near_target(c, rip))
		return false;
	c->r[RIP] = rip;
	track(c, o);
	return true;
}

/* Call RIP from NEXT: the return address goes to both stacks, or to none. */
bool shadow_near_call(struct cpu *c, unsigned size, u64 rip, u64 next)
{
	bool on = c->mode & MODE_SHSTK;
	u64 ssp = (c->ssp - word(c)) & mask(c);

	if (!near_target(c, rip) || (on && !shadow_check(c, ssp, word(c), is_user(c))) || !stack_push(c, size, next))
		return false;
	if (on) {
		shadow_write(c, ssp, word(c), is_user(c), next + c->cs_base);
		c->ssp = ssp;
	}
	return true;
}

BODY(call_tracked)
{
	u64 rip;

	if (!rm_load(c, o, o->dst, o->osize, &rip) || !shadow_near_call(c, o->osize, rip, next_rip(c, o)))
		return false;
	c->r[RIP] = rip;
	track(c, o);
	return true;
}

/* A call to the next instruction only asks where it is. */
BODY(call_shadowed)
{
	u64 next = next_rip(c, o), rip = (c->r[RIP] + (s64)o->disp) & (o->osize == 2 ? 0xffff : mask(c));

	if (rip == next ? !near_target(c, rip) || !stack_push(c, o->osize, next)
			: !shadow_near_call(c, o->osize, rip, next))
		return false;
	c->r[RIP] = rip;
	return true;
}

BODY(ret_shadowed)
{
	u64 rsp = c->r[RSP], rip, shadow;
	bool ok = shadow_read(c, c->ssp, word(c), is_user(c), &shadow) && stack_pop(c, o->osize, &rip);

	if (ok && rip + c->cs_base != shadow)
		ok = fault_because(c, VEC_CP, CP_NEAR_RET,
				   "the return address is not that of the shadow stack (vol. 1, 17.2)");
	if (!ok || !near_target(c, rip)) {
		c->r[RSP] = rsp;
		return false;
	}
	rsp_set(c, c->r[RSP] + (u16)o->imm);
	c->ssp = (c->ssp + word(c)) & mask(c);
	c->r[RIP] = rip;
	return true;
}

FLOW_HANDLER(jmp_tracked)
FLOW_HANDLER(call_tracked)
FLOW_HANDLER(call_shadowed)
FLOW_HANDLER(ret_shadowed)

bool flow_enforced(const struct dec *d, struct op *o)
{
	bool direct = dec_kind(d, 0) == OPK_J;

	switch (o->code) {
	case CODE_jmp:
		if (direct || !(d->mode & MODE_IBT))
			return false;
		o->imm = d->notrack;
		o->run = h_jmp_tracked;
		return true;
	case CODE_call:
		if (!(d->mode & MODE_SHSTK) && (direct || !(d->mode & MODE_IBT)))
			return false;
		if (!direct)
			o->imm = d->notrack;
		o->run = direct ? h_call_shadowed : h_call_tracked;
		return true;
	default:
		if (d->mode & MODE_SHSTK)
			o->run = h_ret_shadowed;
		return d->mode & MODE_SHSTK;
	}
}

/* ---- the tracker's ---- */

BODY(endbr)
{
	*cet_control(c, c->cpl) &= ~(u64)(CET_WAIT | CET_SUPPRESS);
	update_mode(c);
	return true;
}
BODY_HANDLER(endbr)
BODY(no_endbr)
{
	(void)c;
	return true;
}
BODY_HANDLER(no_endbr)
GEN(endbr64) { o->run = d->mode & MODE_IBT && d->bits == 64 ? h_endbr : h_no_endbr; }
GEN(endbr32) { o->run = d->mode & MODE_IBT && d->bits != 64 ? h_endbr : h_no_endbr; }

/* ---- the shadow stack pointer ---- */

BODY(rdssp)
{
	if (c->mode & MODE_SHSTK)
		reg_set(c, o->dst, o->osize == 8 ? 8 : 4, c->ssp);
	return true;
}
GEN_BODY(rdssp)

/* The first and the last word that it passes must be there. */
BODY(incssp)
{
	unsigned size = o->osize == 8 ? 8 : 4, count = REG8(o->dst);
	u64 v;

	if (count && (!shadow_read(c, c->ssp, size, is_user(c), &v) ||
		      !shadow_read(c, (c->ssp + (u64)(count - 1) * size) & mask(c), size, is_user(c), &v)))
		return false;
	c->ssp = (c->ssp + (u64)count * size) & mask(c);
	return true;
}
GEN_BODY(incssp)

/* ---- writes ---- */

static bool write_aligned(struct cpu *c, const struct op *o, bool user)
{
	unsigned size = o->osize == 8 ? 8 : 4;
	u64 linear;

	if (!seg_linear(c, o->seg, op_offset(c, o), size, true, &linear))
		return false;
	if (linear & (size - 1))
		return gp_because(c, 0, "the operand is not aligned (vol. 2, WRSS, WRUSS)");
	return shadow_write(c, linear, size, user, reg_get(c, o->src, size));
}

BODY(wrss)
{
	if (!(*cet_control(c, c->cpl) & CET_WRSS))
		return fault_ud(c);
	return write_aligned(c, o, is_user(c));
}
BODY(wruss) { return write_aligned(c, o, true); }
GEN_BODY(wrss)
GEN_BODY(wruss)

/* ---- from one stack to another ---- */

enum { TOKEN_BUSY = 1, TOKEN_64 = 1, TOKEN_PREVIOUS = 2 };

/* An operand of 8 bytes, aligned. */
static bool token_linear(struct cpu *c, const struct op *o, u64 *linear)
{
	if (!seg_linear(c, o->seg, op_offset(c, o), 8, true, linear))
		return false;
	return !(*linear & 7) || gp_because(c, 0, "the token is not aligned to 8 bytes (vol. 2, RSTORSSP, CLRSSBSY)");
}

/* Go to the stack whose restore token is the operand, which becomes a previous-SSP token. */
BODY(rstorssp)
{
	u64 linear, token, was, l = in_64(c);

	if (!token_linear(c, o, &linear) || !shadow_check(c, linear, 8, is_user(c)) ||
	    !shadow_read(c, linear, 8, is_user(c), &token))
		return false;
	if ((token & 3) != l || (!l && token >> 32) || (((token & ~(u64)1) - 8) & ~(u64)7) != linear)
		return fault_because(c, VEC_CP, CP_RSTORSSP, "the restore token is not valid (vol. 2, RSTORSSP)");
	if (!shadow_exchange(c, linear, is_user(c), token, c->ssp | l | TOKEN_PREVIOUS, &was))
		return false;
	c->ssp = linear;
	cpu_set_arith(c, token & 4 ? FL_C : 0);
	return true;
}
GEN_BODY(rstorssp)

/* Leave a restore token on the stack that RSTORSSP came from. */
BODY(saveprevssp)
{
	u64 token, hole = 0, old, l = in_64(c), ssp = c->ssp + 8;
	bool user = is_user(c);

	if (c->ssp & 7)
		return gp_because(c, 0, "SSP is not aligned to 8 bytes (vol. 2, SAVEPREVSSP)");
	if (!shadow_read(c, c->ssp, 8, user, &token))
		return false;
	if (flag_c(c)) {
		if (l)
			return gp_because(c, 0, "CF says that there is a hole, in 64-bit mode (vol. 2, SAVEPREVSSP)");
		if (!shadow_read(c, ssp, 4, user, &hole))
			return false;
		ssp += 4;
	}
	if (hole || !(token & TOKEN_PREVIOUS) || (!l && token >> 32))
		return gp_because(c, 0, "the previous-SSP token is not valid (vol. 2, SAVEPREVSSP)");
	old = token & ~(u64)3;
	if (!shadow_check(c, (old & ~(u64)7) - 8, 8, user) || !shadow_write(c, old - 4, 4, user, 0) ||
	    !shadow_write(c, (old & ~(u64)7) - 8, 8, user, old | l))
		return false;
	c->ssp = ssp;
	return true;
}
GEN_BODY(saveprevssp)

/* ---- the supervisor's token ---- */

static bool supervisor_stacks(struct cpu *c) { return c->s_cet & CET_SHSTK || fault_ud(c); }

BODY(setssbsy)
{
	u64 was, ssp = c->pl0_ssp;

	if (!supervisor_stacks(c))
		return false;
	if (ssp & 7)
		return gp_because(c, 0, "IA32_PL0_SSP is not aligned to 8 bytes (vol. 2, SETSSBSY)");
	if (!shadow_exchange(c, ssp, false, ssp, ssp | TOKEN_BUSY, &was))
		return false;
	if (was != ssp)
		return fault_because(c, VEC_CP, CP_SETSSBSY,
				     "the token of the shadow stack is not free (vol. 2, SETSSBSY)");
	c->ssp = ssp;
	return true;
}
GEN_BODY(setssbsy)

BODY(clrssbsy)
{
	u64 linear, was;

	if (!supervisor_stacks(c) || !token_linear(c, o, &linear) ||
	    !shadow_exchange(c, linear, false, linear | TOKEN_BUSY, linear, &was))
		return false;
	cpu_set_arith(c, was != (linear | TOKEN_BUSY) ? FL_C : 0);
	c->ssp = 0;
	return true;
}
GEN_BODY(clrssbsy)
