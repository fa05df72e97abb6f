/* SPDX-License-Identifier: MIT */
/* Operations that are not instructions. They precede the operations of a block, are not counted, and check that the
 * block, or an instruction, may run. */
#include "cpu/engine/guard.h"
#include "cpu/hook.h"
#include "cpu/jump.h"
#include "cpu/observe.h"
#include "cpu/system/system.h"
#include "cpu/x87.h"

/* Memory has other bytes than the block. `target' is the block that replaced it, once that is known, so that links to
 * this one still work. */
HANDLER(stale)
{
	n += o->left;
	if (likely(o->target)) {
		/* The new block may be stale, too: skip it from now on. */
		if (unlikely(o->target->code == CODE_STALE && o->target->target))
			((struct op *)o)->target = o->target->target;
		ENTER(o->target);
	}
	LEAVE(EXIT_LINK);
}

/* imm: the physical page of the instruction's second part. */
HANDLER(check_crossing)
{
	u64 page = ((c->r[RIP] + c->cs_base + CROSSING_BYTES) & c->linear_mask) & PAGE_MASK;
	const struct tlb_code *t = &code_view(c)->code[page >> PAGE_SHIFT & (TLB_SIZE - 1)];

	if (unlikely((t->valid & PAGE_MASK) != page || t->valid == TLB_NONE || t->phys != (u64)o->imm)) {
		n += o->left;
		LEAVE(EXIT_LOOKUP);
	}
	RUN(o + 1);
}

/* A point of the debugger may stop here. imm: physical address. */
HANDLER(observed_point)
{
	STORE_KEPT(o);
	if (observe_point(c, (c->r[RIP] + c->cs_base) & c->linear_mask, (u64)o->imm, c->end - (u64)(n + o->left))) {
		n += o->left;
		LEAVE(EXIT_LOOKUP);
	}
	RUN(o + 1);
}

/* The same, before XCHG BX,BX. */
HANDLER(magic_point)
{
	STORE_KEPT(o);
	if (observe_magic(c, (c->r[RIP] + c->cs_base) & c->linear_mask, c->end - (u64)(n + o->left))) {
		n += o->left;
		LEAVE(EXIT_LOOKUP);
	}
	RUN(o + 1);
}

/* ---- checks before each execution of an instruction, of state that is not part of the mode ----
 *
 * Each is an operation of its own, and is there only if it can fail in the mode: none for CLI in ring 0. */

u32 guard_checks(u32 check, u64 mode)
{
	u32 here = CHK_MF | CHK_MMX | CHK_SMM | CHK_SEP;

	if (mode & MODE_CPL)
		here |= CHK_IOPL;
	if (mode & MODE_V86)
		here |= CHK_V86IOPL | CHK_V86INT;
	return check & here;
}

/* False: a fault is set. */
static bool allowed(struct cpu *c, u32 check, unsigned osize)
{
	bool vme = c->cr4 & CR4_VME;

	if ((check & CHK_SMM) && !c->smm)
		return fault_ud(c);
	if ((check & CHK_SEP) && !(c->cr0 & CR0_PE))
		return gp_because(c, 0, "it is not for real mode (5.8.7)");
	if ((check & CHK_SEP) && null_sel((u16)c->sysenter_cs) && !fred_on(c))
		return gp_because(c, 0, "IA32_SYSENTER_CS is 0 (5.8.7)");
	if ((check & CHK_IOPL) && c->cpl > iopl(c) && !(in_v86(c) ? vme : c->cr4 & CR4_PVI && c->cpl == 3))
		return gp_because(c, 0, "CPL is above IOPL (vol. 1, 19.5.1)");
	if ((check & CHK_V86IOPL) && iopl(c) < 3 && !(vme && osize == 2))
		return gp_because(c, 0, "virtual-8086 mode wants IOPL 3 for it, or, with 16 bits, CR4.VME (20.2.7)");
	if ((check & CHK_V86INT) && iopl(c) < 3 && !vme)
		return gp_because(c, 0, "virtual-8086 mode wants IOPL 3 for it, or CR4.VME (20.2.8)");
	return true;
}

HANDLER(guard)
{
	if (o->imm & ~(s64)(CHK_MF | CHK_MMX) && !allowed(c, (u32)o->imm, o->osize))
		LEAVE(EXIT_FAULT);
	if ((o->imm & (CHK_MF | CHK_MMX)) && c->x87.sw & X87_ES) {
		if (c->cr0 & CR0_NE) {
			fault(c, VEC_MF);
			LEAVE(EXIT_FAULT);
		}
		if (x87_freezes(c)) {
			if (svm_guest(c) && svm_intercepts(c, SVM_EXIT_FERR_FREEZE)) {
				STORE_KEPT(o);
				svm_exits(c, SVM_EXIT_FERR_FREEZE, 0, 0);
				LEAVE_EXPOSED(EXIT_FAULT);
			}
			c->r[RIP] = op_rip(c, o);
			c->activity = ACTIVITY_FERR;
			/* the shadow of STI ends when the next instruction begins, which has happened */
			c->shadow_at = 0;
			c->step = 0;      /* but the instruction has not ended */
			c->attn |= ATTN_LINE;
			n += o->left;
			LEAVE(EXIT_LOOKUP);
		}
	}
	RUN(o + 1);
}

/* With CHK_MF and CHK_MMX alone, as x87 and MMX instructions have them. */
HANDLER(guard_mf)
{
	if (unlikely(c->x87.sw & X87_ES))
		TAIL(guard);
	RUN(o + 1);
}

HANDLER(count_branch)
{
	c->pmu.branches++;
	c->pmu.branch_at = c->end - (u64)(n + o->left);
	RUN(o + 1);
}

HANDLER(note_branch)
{
	struct lbr *l = &c->lbr;

	l->branch = trim_rip(c, c->r[RIP] + o->ip);
	l->next = trim_rip(c, c->r[RIP] + o->ip + o->len);
	l->kind = (enum branch)o->imm;
	l->pending = true;
	RUN(o + 1);
}

HANDLER(branch_target)
{
	if (likely(c->lbr.pending))
		lbr_settle(c, c->r[RIP], c->end - (u64)(n + o->left));
	RUN(o + 1);
}

/* ---- hooks (cpu/hook.h) ---- */

#define HOOK_HANDLER(name, function, ...) \
	HANDLER(name) \
	{ \
		enum hooked how; \
		EXPOSE(o); \
		how = function(c, HERE(o), ##__VA_ARGS__); \
		if (unlikely(how != HOOKED_ON)) { \
			n = c->n; \
			if (how == HOOKED_LEAVES) \
				LEAVE_EXPOSED(EXIT_LOOKUP); \
			RELOAD(c, o); \
			LOOK_UP(EXIT_LOOKUP); \
		} \
		RELOAD(c, o); \
		RUN(o + 1); \
	}
HOOK_HANDLER(hooked_insn, hook_insn)
HOOK_HANDLER(hooked_enter, hook_enter)

ALWAYS_INLINE enum hooked insn_alone(struct cpu *c, const struct STORED_OP *at, u64 linear, u32 len, bool ranged)
{
	return unlikely(c->all->hooks->resume.on | c->mxcsr_live) ? hook_insn(c, at)
		: hook_call_alone(c, at, HOOK_INSN, len, linear, ranged);
}

ALWAYS_INLINE enum hooked block_alone(struct cpu *c, const struct STORED_OP *at, u64 linear, bool ranged)
{
	return unlikely(c->all->hooks->checks | c->mxcsr_live) ? hook_enter(c, at)
		: hook_call_alone(c, at, HOOK_BLOCK, 0, linear, ranged);
}

ALWAYS_INLINE enum hooked edge_alone(struct cpu *c, const struct STORED_OP *at, u64 linear, u64 icount)
{
	struct hooks *h = c->all->hooks;
	enum hooked how;

	if (unlikely(h->checks | c->mxcsr_live))
		return hook_enter(c, at);
	if (!h->edge.pending || h->edge.icount + 1 != icount)
		return HOOKED_ON;
	h->edge.pending = false;
	h->event.from = h->edge.from;
	h->event.taken = linear != h->edge.next;
	how = hook_call_alone(c, at, HOOK_EDGE, 0, linear, true);
	return likely(how == HOOKED_ON) ? how : hook_edge_called(c, how);
}
#define CODE_LINEAR(c, o) (((c)->r[RIP] + (o)->ip + (c)->cs_base) & (c)->linear_mask)
HOOK_HANDLER(hooked_insn_alone, insn_alone, CODE_LINEAR(c, o), (u32)o->len, false)
HOOK_HANDLER(hooked_insn_ranged, insn_alone, CODE_LINEAR(c, o), (u32)o->len, true)
HOOK_HANDLER(hooked_edge_alone, edge_alone, CODE_LINEAR(c, o), c->end - (u64)(n + o->left))
HOOK_HANDLER(hooked_block_alone, block_alone, CODE_LINEAR(c, o), false)
HOOK_HANDLER(hooked_block_ranged, block_alone, CODE_LINEAR(c, o), true)

/* With a map nothing is called, and what is kept stays where it is. */
#define COUNT(x) \
	do { \
		const struct STORED_OP *at_ = HERE(o); \
		const u64 linear_ = CODE_LINEAR(c, o); \
		__asm__("" : "+r"(at_)); /* not before it is needed: there are few registers */ \
		if (likely(linear_ - at_->hook->first <= at_->hook->span)) { \
			hook_count(at_->hook, linear_ ^ (x)); \
			c->all->hook_calls++; \
		} \
	} while (0)

HANDLER(hooked_block_counted)
{
	if (unlikely(c->all->hooks->checks))
		TAIL(hooked_enter);
	COUNT(0);
	RUN(o + 1);
}

HANDLER(hooked_edge_counted)
{
	struct hooks *h = c->all->hooks;

	if (unlikely(h->checks))
		TAIL(hooked_enter);
	if (h->edge.pending && h->edge.icount + 1 == c->end - (u64)(n + o->left)) {
		h->edge.pending = false;
		COUNT(h->edge.from >> 1);
	}
	RUN(o + 1);
}

HANDLER(hooked_branch)
{
	struct hooks *h = c->all->hooks;

	h->edge.from = (c->r[RIP] + o->ip + (u64)o->disp + c->cs_base) & c->linear_mask;
	h->edge.next = (c->r[RIP] + o->ip + (u64)o->disp + o->len + c->cs_base) & c->linear_mask;
	h->edge.icount = c->end - (u64)(n + o->left) + (u64)o->imm;
	h->edge.pending = true;
	RUN(o + 1);
}

HANDLER(hooked_straight)
{
	hook_straight_at(c, c->end - (u64)(n + o->left), trim_rip(c, c->r[RIP] + o->ip));
	RUN(o + 1);
}
