/* SPDX-License-Identifier: MIT */
/* The loop around the blocks: events, interrupts, exact stops. Everything that is not inside a block happens here, at
 * an instruction boundary whose number is the same however the run is cut (ARCHITECTURE.md, law 2). */
#include <stdio.h>
#include <stdlib.h>
#include "mem/base/compat/memory.h"
#include "cpu/extended.h"
#include "cpu/engine/passes.h"
#include "cpu/engine/stitch.h"
#include "cpu/engine/wait.h"
#include "cpu/hook.h"
#include "cpu/insn/flow.h"
#include "cpu/jump.h"
#include "cpu/amx.h"
#include "cpu/uintr.h"
#include "cpu/system/mca.h"
#include "cpu/system/page.h"
#include "cpu/system/paravirt.h"
#include "cpu/system/system.h"
#include "cpu/x87.h"

/* ---- time ---- */

void cpu_sync(struct cpu *c)
{
	if (c->op)
		c->icount = c->end - (u64)(c->n + c->op->left);
	c->clock->now = cpu_now(c);
	c->syncs++;
	sse_park(c);
}

void cpu_ask(struct cpu *c)
{
	cpu_sync(c);
	c->asks++;
}

u64 cpu_rip(const struct cpu *c)
{
	return c->goes ? c->go_to : c->op ? op_address(c) : c->r[RIP];
}

bool cpu_go_to(struct cpu *c, u64 rip)
{
	if (!c->op)
		return false;
	c->go_to = rip;
	c->goes = true;
	/* Before an instruction, its hook goes there at once. */
	attend(c, c->all->hooks && c->all->hooks->current && c->all->hooks->event.kind & HOOK_CODE ? ATTN_GOES
												   : ATTN_LINE);
	return true;
}

void cpu_step(struct cpu *c)
{
	c->clock->steps = clock_steps(c->clock, c->icount) + 1;
	c->clock->steps_at = c->icount;
}

/* The first instruction count at which the clock shows WHEN. */
static u64 icount_at(const struct cpu *c, u64 when)
{
	unsigned __int128 t;

	if (when <= c->idle_ns)
		return 0;
	if (likely(c->ns_q16 == 1 << 16))
		return when - c->idle_ns;
	t = ((unsigned __int128)(when - c->idle_ns) << 16) + c->ns_q16 - 1;
	t /= c->ns_q16;
	return t > CLOCK_NEVER ? CLOCK_NEVER : (u64)t;
}

/* ---- lines ---- */

void cpu_attention(struct cpu *c) { c->attn |= ATTN_LINE; }

void cpu_intr(void *cpu, int n, bool level)
{
	struct cpu *c = cpu;

	(void)n;
	c->intr = level;
	c->attn |= ATTN_LINE;
}

void cpu_nmi(void *cpu, int n, bool level)
{
	struct cpu *c = cpu;

	(void)n;
	if (level) {
		c->nmi_pending = true;
		c->attn |= ATTN_LINE;
	}
}

static bool intr_pending(const struct cpu *c)
{
	return c->apic ? apic_pending(c->apic) : c->intr;
}

static unsigned acknowledge(struct cpu *c)
{
	int vector = c->apic ? apic_acknowledge(c->apic) : -1;

	if (vector < 0)
		vector = c->acknowledge ? c->acknowledge(c->acknowledge_owner) : 0xff;
	return (unsigned)vector;
}

/* ---- execution ---- */

#if VCPU_TAIL
void run_from(struct cpu *c, const struct op *o, s64 n) { RUN(o); }
#else
void run_from(struct cpu *c, const struct op *o, s64 n)
{
	c->n = n;
	while (o)
		o = o->run(c, o, c->n, 0);
}
#endif

enum outcome { RAN, FAULTED };

/* Instructions between two looks at `asked', and whether the guest waits: many more than a block has, and ordinary ones
 * take less than a millisecond. */
enum { LOOK = 50000, DOUBTS_MAX = 5, WATCH_DOUBTS_MAX = 13 };

/* Of the *REST instructions that may still run, give N the next ones. False: there are none. */
static bool go_on(struct cpu *c, s64 *n, s64 *rest)
{
	s64 more = *rest < LOOK ? *rest : LOOK;

	*n += more;
	*rest -= more;
	c->end += (u64)more;
	return more;
}

/* The block at r[RIP] for the mode with NUMBER, 0: none, if the jump cache has it. */
static const struct op *known_block(struct cpu *c, u16 number)
{
	u64 rip = c->r[RIP], key = (rip + c->cs_base) ^ mode_key(number);
	const struct jump *j = jump_slot(c, key);

	return jump_is(j, key, rip) && !near_top(c, rip) && j->op->code != CODE_STALE && !c->all->observer ? j->op
													   : NULL;
}

/* That block, found or built; learn where it is. FROM: the direct jump that led there, or NULL. NULL: the fetch
 * faults. */
static const struct op *next_block(struct cpu *c, const struct op *from)
{
	u64 generation = blocks_generation(c);
	const struct op *o = block_find(c);

	if (!o || !blocks_kept(c))
		return o;
	if (from && blocks_generation(c) == generation)
		block_link(c, (struct op *)from, o);
	if (!(c->mode & MODE_LIMIT) && canonical_48(c->r[RIP]))
		jump_learn(c, jump_key(c, c->r[RIP]), o);
	return o;
}

/* The block that was entered last has been left. *N gets the rest of the budget. False: run_blocks is to end, with
 * *OUTCOME. MORE: there is more budget to be had. */
ALWAYS_INLINE bool go_on_behind(struct cpu *c, s64 *n, bool more, enum outcome *outcome)
{
	const struct op *o = c->op;

	*n = c->n;
	if (c->exit == EXIT_FAULT) {
		*n += o->left;
		if (unlikely(c->pmu.branches && c->pmu.branch_at == c->end - (u64)*n))
			c->pmu.branches--; /* it has not retired */
		c->pmu.branch_at = CLOCK_NEVER;
		c->lbr.pending = false;
		/* Before the 286 a division error is a trap, not a fault (80286 manual, D.2). */
		c->r[RIP] = c->fault.vector == VEC_DE && !has(c->model, F_I286) ? next_rip(c, o) : op_rip(c, o);
		check_between_blocks(c, *n, c->icount);
		*outcome = FAULTED;
		return false;
	}
	if (c->exit == EXIT_ATTN) {
		*n += o->left - 1;
		check_between_blocks(c, *n, 0);
		c->r[RIP] = next_rip(c, o);
		if (unlikely(c->all->hooks != NULL)) /* it is no branch: the next instruction begins no block */
			hook_straight_at(c, c->end - (u64)*n, c->r[RIP]);
		return false;
	}
	if (c->exit == EXIT_HOT)
		block_hot(c, (struct op *)o);
	check_between_blocks(c, *n, 0);
	c->attn &= ~(u32)ATTN_MODE; /* a new look-up is all that asks for */
	if (*n == 0 || (c->exit == EXIT_BUDGET && more) || c->attn || *c->all->asked || (c->eflags & (FL_T | FL_RF)))
		return false;
	if (c->exit == EXIT_BUDGET)
		mode_single(c, true);
	return true;
}

/* Run at most REST instructions, leaving early for whatever wants attention. icount and r[RIP] are exact afterwards. */
static enum outcome run_blocks(struct cpu *c, s64 rest)
{
	/* A single instruction does without a change of the mode: its budget ends what comes behind it. */
	const struct op *o = known_block(c, rest == 1 ? mode_single_number(c) : c->mode_number);
	enum outcome outcome = RAN;
	bool more = true;
	s64 n = 0;

	if (!o && rest == 1)
		o = known_block(c, c->mode_number); /* a jump is a block by itself in either mode */
	hook_checks(c);
	c->end = c->icount;
	go_on(c, &n, &rest);
	if (o && o->left <= n) {
		run_from(c, o, n - o->left);
		more = go_on_behind(c, &n, rest, &outcome);
	}
	while (more) {
		const struct op *from = c->exit == EXIT_LINK ? c->op : NULL;

		c->op = NULL;
		c->n = n;
		c->exit = EXIT_LOOKUP;
		c->icount = c->end - (u64)n;
		o = next_block(c, from);
		if (!o) {
			outcome = FAULTED;
			break;
		}
		if (o->left > n) { /* would run past the end: one by one */
			if (!go_on(c, &n, &rest))
				mode_single(c, true);
			continue;
		}
		run_from(c, o, n - o->left);
		more = go_on_behind(c, &n, rest, &outcome);
	}
	if (unlikely(c->goes)) {
		if (outcome == RAN || c->fault.vector == FAULT_HOOK) {
			c->r[RIP] = c->go_to;
			c->rep_at = 0;
		}
		c->goes = false;
	}
	sse_park(c);
	c->op = NULL;
	c->icount = c->end - (u64)n;
	c->n = 0;
	c->end = c->icount;
	c->exit = EXIT_LOOKUP;
	mode_single(c, false);
	if (unlikely(c->lbr.pending))
		lbr_settle(c, c->r[RIP], c->icount);
	if (unlikely(c->all->hooks && c->all->hooks->edge.pending))
		hook_edge_now(c);
	return outcome;
}

/* ---- the boundary ---- */

enum { DR6_BS = 1 << 14, DEBUGCTL_BTF = 2 };

/* What comes before the next instruction, in the order of SDM vol. 3, table 6-2. */
enum due { DUE_NOTHING, DUE_MACHINE_CHECK, DUE_TRAP, DUE_SMI, DUE_NMI, DUE_INTR, DUE_GUEST, DUE_USER };
/* Does IF, the guest's or the host's, let an interrupt through? */
ALWAYS_INLINE bool intr_enabled(const struct cpu *c)
{
	return unlikely(svm_masks(c)) ? c->svm->host_if : c->eflags & FL_I || vmx_pin(c, PIN_INTR);
}

ALWAYS_INLINE enum due due(const struct cpu *c)
{
	bool shadow = in_shadow(c);

	if (unlikely(c->mcg_status & MCG_DUE))
		return DUE_MACHINE_CHECK;
	/* Both come before a trap; the first turns up only there (SDM vol. 3, 25.5.2). */
	if (vmx_guest(c) && (c->vmx->trap_flag_due || c->vmx->inject))
		return DUE_GUEST;
	if (svm_guest(c) && c->svm->inject & EVENT_VALID)
		return DUE_GUEST;
	if (c->db_pending && !(shadow && c->shadow_ss))
		return DUE_TRAP;
	if (unlikely(gif_clear(c)))
		return DUE_NOTHING;
	if (svm_guest(c) && c->svm->inject)
		return DUE_GUEST;
	if (c->smi_pending && !c->smm && !shadow)
		return DUE_SMI;
	if (vmx_guest(c) && vmx_due(c, shadow))
		return DUE_GUEST;
	/* STI holds it off, too, as Intel's processors do (vol. 2, STI: "may be") */
	if (c->nmi_pending && !vmx_nmi_blocked(c) && !shadow)
		return DUE_NMI;
	if (intr_enabled(c) && !shadow && intr_pending(c))
		return DUE_INTR;
	if (unlikely(c->uintr) && !shadow && uintr_due(c))
		return DUE_USER;
	return svm_guest(c) && svm_virtual_due(c, shadow) ? DUE_GUEST : DUE_NOTHING;
}

/* The run goes to a handler. That retires nothing, but it must pass time, or a guest could keep its caller, and the
 * other processors, for ever: a fault takes as long as an instruction, and so does every delivery that comes when
 * nothing has retired since the last one. An interrupt or trap behind an instruction is free. (Of several processors
 * the steps are turns, too, so that a few more are.) True: it takes time. */
static bool step_to_handler(struct cpu *c, bool fault)
{
	bool first = clock_steps(c->clock, c->icount) <= (c->all->count > 1 ? 4 * c->all->count : 0);

	cpu_step(c);
	return fault || !first;
}

/* A signal to a guest: an exit, with the activity that it had, or an injected event. False: the guest gets the signal. */
static bool vmx_signal(struct cpu *c, enum due what, bool *ok)
{
	if (what == DUE_GUEST) {
		unsigned due = vmx_due(c, in_shadow(c));

		if (due == VMX_DUE_INJECT)
			c->shadow_at = 0;
		if (!vmx_boundary(c, due))
			*ok = deliver_fault(c);
		return true;
	}
	if (what != DUE_INTR || !vmx_pin(c, PIN_INTR))
		return false;
	vmx_exits(c, VMEXIT_INTR, 0);
	vmx_because(c, VMCS_PIN_CONTROLS, PIN_INTR);
	if (c->vmx->controls.exit & EXIT_ACK_INTR) {
		unsigned vector = acknowledge(c);

		if (vmx_apic_posted(c, vector))
			return true;
		c->vmx->interruption = INTERRUPTION_VALID | vector;
	}
	*ok = vmx_exit(c);
	return true;
}

/* The same. An SMI, NMI or interrupt for which it exits stays pending: the host takes it (APM vol. 2, 15.13). */
static bool svm_signal(struct cpu *c, enum due what, bool *ok)
{
	static const u8 codes[] = { [DUE_SMI] = SVM_EXIT_SMI, [DUE_NMI] = SVM_EXIT_NMI, [DUE_INTR] = SVM_EXIT_INTR };

	if (what == DUE_GUEST) {
		c->activity = ACTIVITY_RUN;
		if (!svm_boundary(c))
			*ok = deliver_fault(c);
		return true;
	}
	if (!svm_intercepts(c, codes[what]))
		return false;
	svm_exits(c, codes[what], 0, 0);
	*ok = svm_exit(c);
	return true;
}

/* What the interrupt controller has. */
static bool take_interrupt(struct cpu *c)
{
	unsigned vector = acknowledge(c);

	return uintr_notifies(c, vector) ? uintr_notified(c) : interrupt(c, vector, INT_EXTERNAL, false, 0);
}

/* Traps that the last instruction left behind, then interrupts. True: one was delivered, or failed to be (*ok false:
 * triple fault). */
static bool interruption(struct cpu *c, bool *ok, bool *costs)
{
	enum due what = due(c);

	*ok = true;
	if (what == DUE_NOTHING)
		return false;
	*costs = step_to_handler(c, false);
	if (what == DUE_MACHINE_CHECK) {
		c->activity = ACTIVITY_RUN;
		*ok = mca_deliver(c);
		return true;
	}
	if (what != DUE_TRAP && ((vmx_guest(c) && vmx_signal(c, what, ok)) ||
				 (svm_guest(c) && svm_signal(c, what, ok))))
		return true;
	if (what == DUE_TRAP && unlikely(vmx_guest(c)) && vmx_timed_out(c)) {
		*ok = vmx_times_out(c);
		return true;
	}
	if (what == DUE_SMI) {
		smm_enter(c);
		return true;
	}
	if (c->activity == ACTIVITY_MWAIT)
		c->monitor_armed = false;
	c->activity = ACTIVITY_RUN;
	if (what == DUE_TRAP) {
		debug_report(c, c->db_pending);
		c->db_pending = 0;
		if (interrupt(c, VEC_DB, INT_TRAP, false, 0))
			return true;
	} else if (what == DUE_NMI) {
		c->nmi_pending = false;
		c->nmi_blocked |= !vmx_pin(c, PIN_NMI);
		if (interrupt(c, VEC_NMI, INT_EXTERNAL, false, 0))
			return true;
	} else if (what == DUE_USER ? uintr_deliver(c) : take_interrupt(c)) {
		return true;
	}
	*ok = deliver_fault(c);
	return true;
}

/* MWAIT is over without an interrupt that is taken. */
static bool mwait_over(const struct cpu *c)
{
	return c->activity == ACTIVITY_MWAIT && (!c->monitor_armed || (c->mwait_breaks && intr_pending(c)));
}

static bool thawed(const struct cpu *c) { return c->activity == ACTIVITY_FERR && !x87_freezes(c); }

bool cpu_wakes(const struct cpu *c)
{
	if (c->activity == ACTIVITY_RUN || c->activity == ACTIVITY_SHUTDOWN ||
	    (c->init_pending && !c->smm && !gif_clear(c)))
		return true;
	if (c->activity == ACTIVITY_WAIT_SIPI)
		return c->sipi_pending;
	return due(c) || mwait_over(c) || thawed(c);
}

/* Does SVM change what an INIT does (APM vol. 2, 15.21.8)? It waits for the GIF, exits and stays pending, or becomes
 * #SX. */
static bool init_redirected(struct cpu *c)
{
	if (!c->init_pending || c->smm || gif_clear(c))
		return false;
	if (svm_guest(c) && svm_intercepts(c, SVM_EXIT_INIT)) {
		svm_exits(c, SVM_EXIT_INIT, 0, 0);
		return svm_exit(c);
	}
	if (!(c->svm->vm_cr & VM_CR_R_INIT))
		return false;
	c->init_pending = false;
	c->activity = ACTIVITY_RUN;
	fault_error(c, VEC_SX, 1);
	return deliver_fault(c);
}

static bool handle_init(struct cpu *c)
{
	if (c->svm && init_redirected(c))
		return true;
	if (c->init_pending && !c->smm && c->vmx && c->vmx->on) {
		if (!vmx_guest(c)) /* held off in root operation (23.8) */
			return false;
		c->init_pending = false;
		vmx_exits(c, VMEXIT_INIT, 0);
		return vmx_exit(c);
	}
	if (c->init_pending && !c->smm && !gif_clear(c)) {
		bool sipi = c->sipi_pending; /* it came after the INIT */

		c->init_pending = false;
		observe(c, EVENT_RESET, 1, 0, 0, true);
		cpu_reset(c, true);
		c->sipi_pending = sipi;
		return true;
	}
	if (c->activity == ACTIVITY_WAIT_SIPI && c->sipi_pending) {
		c->sipi_pending = false;
		if (vmx_guest(c)) {
			vmx_exits(c, VMEXIT_SIPI, c->sipi_vector);
			return vmx_exit(c);
		}
		c->activity = ACTIVITY_RUN;
		seg_load_real(c, CS, (u16)(c->sipi_vector << 8));
		c->r[RIP] = 0;
		update_mode(c);
		return true;
	}
	return false;
}

static bool some_code_breakpoint(u64 dr7)
{
	for (int i = 0; i < 4; i++)
		if ((dr7 >> (2 * i) & 3) && !(dr7 >> (16 + 4 * i) & 3))
			return true;
	return false;
}
static bool code_breakpoints(const struct cpu *c)
{
	return unlikely(c->dr[7] & 0xff) && some_code_breakpoint(c->dr[7]);
}

enum sleep cpu_sleep(struct cpu *c, u64 end)
{
	u64 next = clock_next(c->clock), until = next < end ? next : end;

	if (next == CLOCK_NEVER)
		return SLEEPS_FOREVER;
	if (until > c->clock->now) {
		c->idle_ns += until - c->clock->now;
		c->clock->now = until;
	}
	return next <= until ? SLEPT : SLEPT_ENOUGH;
}

/* One call of cpu_run: its ends, and the time that deliveries have still to take. */
struct stretch {
	u64 icount_end, idle_end, sleep_end;
	bool costs, passed; /* a delivery takes time; has taken it */
	/* instructions to run before the next look whether the processor waits; 0: a slice of run_blocks */
	s64 soon;
};

static void pay(struct cpu *c, struct stretch *s)
{
	if (s->costs) {
		c->idle_ns += c->ns_q16 >> 16 ? c->ns_q16 >> 16 : 1;
		if (c->quantum_end != QUANTUM_NEVER)
			c->quantum_end--;
		s->costs = false;
		s->passed = true;
	}
	c->clock->now = cpu_now(c);
}

/* True: events were due. Their owners may have told the processor to stop. */
static bool fire_events(struct cpu *c)
{
	if (clock_next(c->clock) > c->clock->now)
		return false;
	if (observes(c, EVENT_CLOCK))
		observe_clock(c);
	clock_fire(c->clock);
	return true;
}

/* The end that has come, as enum cpu_stop. */
enum { GO_ON = -1 };
static int end_reached(const struct cpu *c, struct stretch *s)
{
	u64 steps = clock_steps(c->clock, c->icount);

	if (c->icount > s->icount_end || (c->icount == s->icount_end && steps >= c->clock->steps_end))
		return CPU_LIMIT;
	if (c->clock->now >= c->all->time_end)
		return CPU_TIME;
	if (s->passed && c->clock->now >= (steps > 1 ? s->sleep_end : s->idle_end))
		return CPU_IDLE;
	s->passed = false;
	return c->icount >= c->quantum_end ? CPU_QUANTUM : GO_ON;
}

/* INIT, SIPI, traps, interrupts. True: there was one. */
static bool take_signal(struct cpu *c, struct stretch *s)
{
	bool ok;

	if (handle_init(c)) {
		cpu_step(c);
		return true;
	}
	if (c->activity == ACTIVITY_WAIT_SIPI || !interruption(c, &ok, &s->costs))
		return false;
	if (!ok)
		c->activity = ACTIVITY_SHUTDOWN;
	return true;
}

static void wake(struct cpu *c)
{
	if (mwait_over(c)) {
		c->activity = ACTIVITY_RUN;
		c->monitor_armed = false;
	}
	if (thawed(c))
		c->activity = ACTIVITY_RUN;
}

/* The processor stands still. Does cpu_run end by that? */
static int sleep_on(struct cpu *c, const struct stretch *s)
{
	if (c->bare)
		return CPU_IDLE;
	if (c->quantum_end != QUANTUM_NEVER)
		return CPU_QUANTUM;
	switch (cpu_sleep(c, s->sleep_end)) {
	case SLEPT: return GO_ON;
	case SLEPT_ENOUGH: return CPU_IDLE;
	default: return CPU_DEAD_HALT;
	}
}

static void go_to_fault_handler(struct cpu *c, struct stretch *s, bool fault)
{
	s->costs = step_to_handler(c, fault);
	if (!deliver_fault(c))
		c->activity = ACTIVITY_SHUTDOWN;
}

/* The #PF that the caller wants. */
static void fault_to_page_in(struct cpu *c, struct stretch *s)
{
	c->page_in.wanted = false;
	page_absent(c, c->page_in.linear, c->page_in.write);
	go_to_fault_handler(c, s, true);
}

/* #DB at a breakpoint of DR0-DR3, before the instruction there. */
static bool stop_at_breakpoint(struct cpu *c, struct stretch *s)
{
	debug_code_check(c);
	if (c->fault.vector != VEC_DB || !c->db_fault)
		return false;
	go_to_fault_handler(c, s, false);
	c->db_fault = false;
	return true;
}

/* Instructions until something is due. */
static s64 distance(const struct cpu *c, u64 icount_end)
{
	u64 until = icount_at(c, clock_next(c->clock) < c->all->time_end ? clock_next(c->clock) : c->all->time_end);

	if (until > icount_end) /* it may be reached, but not yet its last step */
		until = icount_end > c->icount ? icount_end : c->icount + 1;
	if (until > c->quantum_end)
		until = c->quantum_end;
	if (until > c->pmu.overflow_at)
		until = c->pmu.overflow_at;
	return until - c->icount > INT32_MAX ? INT32_MAX : (s64)(until - c->icount);
}

/* Does due() answer DUE_NOTHING? True is certain, and takes fewer questions than that; false is not certain. */
ALWAYS_INLINE bool nothing_due(const struct cpu *c)
{
	return !(c->db_pending | (c->mode & (MODE_GUEST | MODE_SVM_GUEST)) | c->nmi_pending | c->smi_pending |
		 (c->mcg_status & MCG_DUE)) && !c->uintr &&
	       !c->svm && (!(c->eflags & FL_I) || !intr_pending(c));
}

/* Would cpu_run do anything but execute the next instruction? */
ALWAYS_INLINE bool disturbed(const struct cpu *c)
{
	return (c->attn & ATTN_CLOCK) | c->stop | *c->all->asked | c->all->remapped | (c->activity != ACTIVITY_RUN) |
	       c->init_pending | c->page_in.wanted | c->lock_alone | (c->eflags & (FL_T | FL_RF)) ||
	       c->icount >= c->quantum_end || c->icount >= c->pmu.overflow_at || (!nothing_due(c) && due(c));
}

/* Execute a round, instruction by instruction. */
static enum outcome look(struct cpu *c, struct round *round)
{
	enum outcome outcome = RAN;

	while (outcome == RAN && round_goes_on(round, c)) {
		mode_single(c, true);
		c->attn = 0;
		outcome = run_blocks(c, 1);
		if (disturbed(c))
			break;
	}
	return outcome;
}

/* Count the rounds like ROUND that fit in N instructions from its beginning, or in the time in which devices give the
 * answers that they gave. The last of them is executed, and nobody stops before: the state has instants at which
 * things were done last. False: it is not closed, or none fits. */
static bool count_rounds(struct cpu *c, struct stretch *s, const struct round *round, s64 n)
{
	u64 length = c->icount - round->icount, steady = icount_at(c, c->clock->steady_until) - round->icount;
	u64 room = steady < (u64)n ? steady : (u64)n, counted, end;

	if (!round->closed || room < 3 * length)
		return false;
	counted = (room / length - 2) * length;
	c->icount += counted;
	c->all->skipped += counted;
	if (steady < (u64)n)
		s->soon = 5 * (s64)length; /* some rounds with the next answer */
	end = c->icount + length;
	while (c->icount < end && run_blocks(c, (s64)(end - c->icount)) == RAN) /* it does not fault: ROUND has not */
		c->attn = 0;
	return true;
}

static u64 next_look(const struct cpu *c, unsigned doubts) { return c->icount + ((u64)LOOK / 2 << doubts); }

/* Watch a round, if the processor is in one. The round behind one that was counted is found at once, or else the
 * processor does something else, as an interrupt's handler. */
static enum outcome watch_out(struct cpu *c, struct stretch *s, s64 n)
{
	struct round round;
	enum outcome outcome = RAN;
	u64 most = c->watched && 4 * c->watched < WATCHED_MAX ? 4 * c->watched : WATCHED_MAX, length;

	if (round_watch(&round, c, most))
		outcome = look(c, &round);
	round_end(&round, c);
	length = c->icount - round.icount;
	if (count_rounds(c, s, &round, n)) {
		c->watched = length;
		c->watch_doubts = 0;
		c->watch_at = c->icount;
	} else {
		c->watched = 0;
		c->watch_at = next_look(c, c->watch_doubts);
		c->watch_doubts += c->watch_doubts < WATCH_DOUBTS_MAX;
	}
	return outcome;
}

/* Does the processor wait (wait.h)? */
static enum outcome wait_out(struct cpu *c, struct stretch *s, s64 n)
{
	struct round round;
	enum outcome outcome;

	if (c->icount >= c->look_at) {
		round_begin(&round, c);
		outcome = look(c, &round);
		if (count_rounds(c, s, &round, n)) {
			c->doubts = c->watch_doubts = 0;
			c->look_at = c->icount;
			c->watch_at = next_look(c, 0);
			return outcome;
		}
		c->look_at = next_look(c, c->doubts);
		if (outcome == FAULTED || c->icount != round.icount) { /* it has cost something */
			c->doubts += c->doubts < DOUBTS_MAX;
			return outcome;
		}
	}
	if (c->icount < c->watch_at || !watch_pays(c, n))
		return run_blocks(c, n);
	return watch_out(c, s, n);
}

/* Does the caller get exceptions? A guest has a monitor. */
static bool hands_over(const struct cpu *c)
{
	return c->bare && !c->idtr.limit && !fred_on(c) && !in_guest(c);
}

/* False: no hook does away with the exception. */
static bool hook_takes(struct cpu *c, unsigned vector, u32 error)
{
	return hooked(c, HOOK_EXCEPTION) && !hook_interrupt(c, vector, INT_EXCEPTION, error);
}

/* A trap that the last instruction has left behind. True: the caller is to have it. */
static bool hand_over_trap(struct cpu *c)
{
	if (!hands_over(c) || due(c) != DUE_TRAP)
		return false;
	debug_report(c, c->db_pending);
	c->db_pending = 0;
	c->fault.vector = VEC_DB;
	c->fault.has_error = false;
	return !hook_takes(c, VEC_DB, 0);
}

/* The next instruction has faulted. False: the caller is to have the exception. */
static bool handle_fault(struct cpu *c, struct stretch *s)
{
	c->clock->now = cpu_now(c);
	if (c->fault.vector == FAULT_HOOK || c->fault.vector == FAULT_MISSING)
		return c->fault.vector == FAULT_HOOK;
	c->db_pending = 0;
	if (unlikely(c->mode & MODE_BUS_LOCK) && vmx_guest(c) && c->vmx->apic_exit == VMEXIT_BUS_LOCK)
		c->vmx->apic_exit = 0; /* it has not been */
	if (hands_over(c) && c->fault.vector != FAULT_VMEXIT)
		return hook_takes(c, c->fault.vector, c->fault.has_error ? c->fault.error : 0);
	go_to_fault_handler(c, s, true);
	return true;
}

/* Instructions, and the traps that they leave behind. False: an exception that the caller is to have. */
static bool execute(struct cpu *c, struct stretch *s)
{
	s64 n = distance(c, s->icount_end), soon = s->soon;
	bool trap = c->eflags & FL_T, branches_only = trap && c->debugctl & DEBUGCTL_BTF, resume = c->eflags & FL_RF;
	u64 next = branches_only ? debug_next(c) : 0;
	enum outcome outcome;
	/* One at a time where something is due right after the next: a trap, a breakpoint, an interrupt that a shadow
	 * holds off. */
	bool trap_flag = vmx_proc(c, PROC_TRAP_FLAG);
	bool stepping = trap || trap_flag || resume || c->lock_alone || code_breakpoints(c) ||
			(c->icount == c->shadow_at && c->shadow_at);

	if (stepping) {
		n = 1;
		mode_single(c, true);
	}
	c->step = (trap ? STEP_TF : 0) | (resume ? STEP_RF : 0);
	if (soon && soon < n)
		n = soon;
	s->soon = 0;
	if ((c->icount >= c->look_at || c->icount >= c->watch_at) && !soon && round_pays(c, n))
		outcome = wait_out(c, s, n);
	else
		outcome = run_blocks(c, n);
	if (unlikely(stepping))
		c->lock_alone = false;
	if (outcome == FAULTED) {
		bool handled = handle_fault(c, s);

		if (trap_flag && vmx_guest(c))
			c->vmx->trap_flag_due = true;
		return handled;
	}
	if (!stepping || unlikely(c->all->observer && c->all->observer->hit == OBSERVED_POINT))
		return true;
	if (trap_flag && vmx_guest(c))
		c->vmx->trap_flag_due = true;
	if (c->step & STEP_RF)
		c->eflags &= ~(u32)FL_RF;
	if (c->step & STEP_TF && !(branches_only && (c->r[RIP] == next || (c->rep_at && c->rep_at == c->icount))))
		c->db_pending |= DR6_BS;
	return true;
}

/* Would the loop of cpu_run come to the end without doing anything but execute instructions, if these do not disturb it
 * either? Nor is there anything that the instructions must be looked at for. */
static bool uneventful(const struct cpu *c, u64 icount_end)
{
	u64 n = icount_end - c->icount, end = cpu_time_at(c, icount_end);

	return n - 1 < INT32_MAX && end < clock_next(c->clock) && end < c->all->time_end &&
	       icount_end <= c->quantum_end && icount_end <= c->pmu.overflow_at && !c->clock->steps_end &&
	       !c->all->observer && !code_breakpoints(c) && !vmx_proc(c, PROC_TRAP_FLAG) &&
	       (c->icount != c->shadow_at || !c->shadow_at) && !disturbed(c) &&
	       ((c->icount < c->look_at && c->icount < c->watch_at) || !round_pays(c, (s64)n));
}

void cpu_skip(struct cpu *c, u64 rip, u32 step)
{
	bool quiet = c->debugctl & DEBUGCTL_BTF && rip == debug_next(c);

	c->icount++;
	c->r[RIP] = rip;
	c->clock->now = cpu_now(c);
	if (vmx_proc(c, PROC_TRAP_FLAG) && vmx_guest(c))
		c->vmx->trap_flag_due = true;
	if (step & STEP_RF)
		c->eflags &= ~(u32)FL_RF;
	if (step & STEP_TF && !quiet)
		c->db_pending |= DR6_BS;
}

static enum cpu_stop unhandled(const struct cpu *c)
{
	return c->fault.vector == FAULT_MISSING ? CPU_MISSING : CPU_EXCEPTION;
}

/* cpu_run, with everything that may be due between two instructions. BEFORE: what the last instruction came to. */
static __attribute__((noinline)) enum cpu_stop run_on(struct cpu *c, u64 icount_end, u64 idle_end, enum outcome before)
{
	struct stretch s = { icount_end, idle_end, idle_end < c->all->sleep_end ? idle_end : c->all->sleep_end,
			     .soon = 0 };

	if (before == FAULTED && !handle_fault(c, &s))
		return unhandled(c);
	for (;;) {
		int stop;

		c->attn = 0;
		pay(c, &s);
		if (unlikely(c->all->remapped)) {
			c->all->remapped = false;
			blocks_flush(c);
			hooks_settle(c->all);
		}
		if (c->stop || *c->all->asked) {
			c->stop = false;
			return c->all->observer && c->all->observer->hit ? CPU_OBSERVED : CPU_REQUEST;
		}
		if (c->activity == ACTIVITY_SHUTDOWN)
			return CPU_TRIPLE_FAULT;
		if (fire_events(c))
			continue;
		if (unlikely(c->icount >= c->pmu.overflow_at))
			pmu_account(c);
		stop = end_reached(c, &s);
		if (stop != GO_ON)
			return (enum cpu_stop)stop;
		if (unlikely(c->page_in.wanted)) {
			fault_to_page_in(c, &s);
			continue;
		}
		if (unlikely(c->db_pending && c->bare) && hand_over_trap(c))
			return CPU_EXCEPTION;
		if (take_signal(c, &s))
			continue;
		wake(c);
		if (c->activity != ACTIVITY_RUN) {
			stop = sleep_on(c, &s);
			if (stop != GO_ON)
				return (enum cpu_stop)stop;
			continue;
		}
		if (unlikely(code_breakpoints(c)) && stop_at_breakpoint(c, &s))
			continue;
		if (!execute(c, &s))
			return unhandled(c);
	}
}

enum cpu_stop cpu_run(struct cpu *c, u64 icount_end, u64 idle_end)
{
	enum outcome outcome = RAN;

	c->attn = 0;
	if (uneventful(c, icount_end)) {
		c->step = 0;
		outcome = run_blocks(c, (s64)(icount_end - c->icount));
		if (outcome == RAN && c->icount == icount_end && !c->attn && !c->stop && !*c->all->asked) {
			c->clock->now = cpu_now(c);
			return CPU_LIMIT;
		}
	}
	return run_on(c, icount_end, idle_end, outcome);
}

/* ---- life ---- */

/* SDM vol. 3, table 9-1. */
void cpu_reset(struct cpu *c, bool init)
{
	u64 cr0 = c->cr0;

	memset(c->r, 0, sizeof c->r);
	c->r[R2GIB] = (u64)1 << 31;
	c->r[RDX] = c->model->signature;
	c->r[RIP] = has(c->model, F_I286) ? 0xfff0 : 0;
	c->eflags = FL_1;
	cpu_set_arith(c, 0);
	c->cr0 = has(c->model, F_I486) ? CR0_CD | CR0_NW | CR0_ET : has(c->model, F_I386) ? CR0_ET : 0;
	if (init)
		c->cr0 = (cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
	c->cr2 = c->cr3 = c->cr4 = c->cr8 = c->efer = 0;
	c->cpl = 0;
	memset(c->dr, 0, sizeof c->dr);
	c->dr[6] = 0xffff0ff0;
	c->dr[7] = 0x400;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A };
	c->seg[CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A;
	c->seg[CS].sel = has(c->model, F_I286) ? 0xf000 : 0xffff;
	c->seg[CS].base = !has(c->model, F_I286) ? 0xffff0 : has(c->model, F_I386) ? 0xffff0000 : 0xff0000;
	c->seg[FLAT] = (struct seg){ .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A, .read_end = ~(u64)0,
		.write_end = ~(u64)0 };
	c->seg[LDTR] = (struct seg){ .limit = 0xffff, .attr = SEG_P | 2 };
	c->seg[TR] = (struct seg){ .limit = 0xffff, .attr = SEG_P | 3 };
	c->gdtr.base = c->idtr.base = 0;
	c->gdtr.limit = c->idtr.limit = 0xffff;
	if (c->bare)
		c->idtr.limit = 0;
	c->shadow_at = c->rep_at = 0;
	c->shadow_ss = c->monitor_armed = false;
	c->nmi_pending = c->nmi_blocked = c->init_pending = c->sipi_pending = false;
	c->db_pending = 0;
	c->chain_len = 0;
	c->activity = c->id ? ACTIVITY_WAIT_SIPI : ACTIVITY_RUN;
	if (!init) { /* INIT leaves MSRs, x87 and caches as they are */
		msrs_reset(c);
		pmu_reset(c);
		c->smm = c->smi_pending = c->smm_nmi_blocked = false;
		c->smbase = 0x30000;
		memset(c->v, 0, sizeof c->v);
		memset(c->k, 0, sizeof c->k);
		memset(c->egpr, 0, sizeof c->egpr);
		memset(&c->x87, 0, sizeof c->x87);
		c->x87.cw = 0x40;
		c->x87.valid = 0xff;
		c->mxcsr = 0x1f80;
		c->xcr0 = 1;
		c->pkru = 0;
	}
	if (c->apic)
		apic_reset(c->apic, init);
	if (c->vmx)
		vmx_reset(c);
	if (c->paravirt)
		paravirt_reset(c);
	if (c->svm)
		svm_reset(c, init);
	if (c->amx && !init)
		amx_reset(c);
	if (c->uintr && !init)
		uintr_reset(c);
	if (c->fred && !init)
		fred_reset(c);
	if (c->mca && !init)
		mca_reset(c);
	cpu_derive(c);
}

struct cpu *cpu_new(const struct cpu_config *config)
{
	static const atomic_uint nobody_asks;
	struct cpu *c = aligned_new(64, (sizeof *c + 63) & ~(size_t)63);
	const struct insn *which;

	if (!c)
		return NULL;
	memset(c, 0, sizeof *c);
	c->all = config->with ? config->with->all : calloc(1, sizeof *c->all);
	if (!c->all) {
		aligned_free(c);
		return NULL;
	}
	if (!config->with) {
		c->all->asked = config->asked ? config->asked : &nobody_asks;
		c->all->time_end = c->all->sleep_end = CLOCK_NEVER;
		c->all->modes_max = MODES;
		c->all->hot_after = HOT_AFTER;
		c->all->no_skip_waiting = config->no_skip_waiting;
		c->all->missing_stops = config->missing_stops;
	}
	c->id = c->all->count;
	c->all->cpu[c->all->count++] = c;
	c->all->seed = config->seed;
	c->model = config->model;
	c->mem = config->mem;
	c->io = config->io;
	c->clock = config->clock;
	c->log = config->log;
	c->acknowledge = config->acknowledge;
	c->acknowledge_owner = config->acknowledge_owner;
	c->ns_q16 = config->ns_q16 ? config->ns_q16 : 65536;
	c->bare = config->bare;
	c->rand = config->seed + c->id * 0xd1342543de82ef95; /* of each its own */
	snprintf(c->name, sizeof c->name, "cpu%u", c->id);
	snprintf(c->amd_name, sizeof c->amd_name, "amd%u", c->id);
	snprintf(c->avx512_name, sizeof c->avx512_name, "avx512-%u", c->id);
	snprintf(c->later_name, sizeof c->later_name, "later-%u", c->id);
	snprintf(c->pmu_name, sizeof c->pmu_name, "pmu%u", c->id);
	snprintf(c->lbr_name, sizeof c->lbr_name, "lbr%u", c->id);
	snprintf(c->apx_name, sizeof c->apx_name, "apx%u", c->id);
	snprintf(c->apic_name, sizeof c->apic_name, "apic%u", c->id);
	snprintf(c->timer_name, sizeof c->timer_name, c->id ? "apic timer %u" : "apic timer", c->id);
	c->isa = config->with ? config->with->isa : isa_new(c->model, &which);
	c->views = c->bank[0] = c->own_views;
	if (has(c->model, F_VMX))
		c->bank[1] = calloc(VIEWS, sizeof *c->bank[1]);
	tlb_init(c);
	c->view = &c->views[VIEW_SUPERVISOR];
	c->linear_mask = 0xffffffff;
	if (!c->isa || (has(c->model, F_VMX) && !c->bank[1]) || !blocks_new(c, config->with, config->stitched) ||
	    (has(c->model, F_VMX) && !vmx_new(c)) || (has(c->model, F_SVM) && !svm_new(c)) || !amx_new(c) ||
	    (has(c->model, F_UINTR) && !uintr_new(c)) || (has(c->model, F_FRED) && !fred_new(c)) ||
	    (has(c->model, F_MCA_BANKS) && !mca_new(c)) ||
	    (has(c->model, F_KVM) && !paravirt_new(c, config->boot_time)) ||
	    (config->apic && has(c->model, F_APIC) && !(c->apic = apic_new(c, c->clock, c->mem)))) {
		cpu_free(c);
		return NULL;
	}
	cpu_reset(c, false);
	cpus_start(c->all);
	return c;
}

void cpu_free(struct cpu *c)
{
	if (!c)
		return;
	if (c->apic)
		apic_free(c->apic);
	free(c->vmx);
	free(c->paravirt);
	free(c->svm);
	free(c->amx);
	free(c->uintr);
	free(c->fred);
	free(c->mca);
	free(c->bank[1]);
	c->all->count--;
	if (!c->all->count) {
		blocks_free(c);
		isa_free((struct isa *)c->isa);
		free(c->all->watch);
		hooks_free(c->all);
		free(c->all);
	}
	aligned_free(c);
}
