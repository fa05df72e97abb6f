/* SPDX-License-Identifier: MIT */
/* Several processors: one at a time, in turns of exact numbers of instructions. So the memory operations of one are
 * atomic for the others, and each run is the same.
 *
 *     cpu0 |=====turn=====|                  |==...       a turn ends: by its length; when the processor sleeps; at PAUSE, which is
 *     cpu1                |==hlt|            |            how a processor says that it waits for another
 *     cpu2                      |====turn====|
 *
 * They share one count of instructions and one time, which advance for all while one of them runs. When all sleep, time
 * advances to the next event. */
#include "cpu/hook.h"
#include "cpu/op.h"

enum { QUANTUM = 20000 }; /* instructions */

/* With a seed the lengths of turns vary from half of QUANTUM to one and a half. */
static u64 quantum_length(const struct cpus *all, u64 now)
{
	return all->seed ? QUANTUM / 2 + hash64(all->seed ^ now, &all->turn, sizeof all->turn) % QUANTUM : QUANTUM;
}

/* C has slept or waited while FROM ran: C gets the time of FROM. */
static void pass_time(struct cpu *c, const struct cpu *from)
{
	if (c == from)
		return;
	if (c->icount == c->shadow_at && c->shadow_at) /* the shadow covers C's own next instruction */
		c->shadow_at = from->icount;
	if (c->icount == c->rep_at && c->rep_at)
		c->rep_at = from->icount;
	if (unlikely(c->pmu.on))
		pmu_pass(c, from->icount);
	c->icount = c->end = from->icount;
	c->idle_ns = from->idle_ns;
}

/* Give all processors the present time, for callers and snapshots. */
static void pass_time_to_all(struct cpus *all)
{
	for (unsigned i = 0; i < all->count; i++)
		pass_time(all->cpu[i], cpus_running(all));
}

static void give_turn(struct cpus *all, unsigned n)
{
	struct cpu *c = all->cpu[n];
	bool smm = cpus_running(all)->smm;

	pass_time(c, cpus_running(all));
	all->turn = n;
	if (c->smm != smm)
		smm_show(all);
	c->quantum_end = all->count > 1 ? c->icount + quantum_length(all, c->icount) : QUANTUM_NEVER;
	c->clock->attention = &c->attn;
}

/* Give the turn to the next processor that can run; if none can, sleep. */
static enum cpu_stop next_turn(struct cpus *all, u64 idle_end)
{
	for (unsigned i = 1; i <= all->count; i++) {
		unsigned n = (all->turn + i) % all->count;

		if (cpu_wakes(all->cpu[n])) {
			give_turn(all, n);
			cpu_step(all->cpu[n]);
			return CPU_QUANTUM;
		}
	}
	switch (cpu_sleep(cpus_running(all), idle_end)) {
	case SLEPT: return CPU_QUANTUM;
	case SLEPT_ENOUGH: return CPU_IDLE;
	default: return CPU_DEAD_HALT;
	}
}

enum cpu_stop cpus_run(struct cpus *all, u64 icount_end, u64 idle_end)
{
	enum cpu_stop why;

	if (idle_end > all->time_end)
		idle_end = all->time_end;
	do {
		why = cpu_run(cpus_running(all), icount_end, idle_end);
		if (why == CPU_QUANTUM)
			why = next_turn(all, idle_end < all->sleep_end ? idle_end : all->sleep_end);
	} while (why == CPU_QUANTUM);
	if (all->count > 1)
		pass_time_to_all(all);
	return why;
}

void cpus_skip(struct cpus *all, u64 rip, u32 step)
{
	cpu_skip(cpus_running(all), rip, step);
	if (all->count > 1)
		pass_time_to_all(all);
}

void cpu_yield(struct cpu *c)
{
	c->quantum_end = c->end - (u64)(c->n + c->op->left) + 1;
	attend(c, ATTN_LINE);
}

void cpu_map_changed(struct cpu *c)
{
	struct cpus *all = c->all;

	for (unsigned i = 0; i < all->count; i++)
		tlb_forget(all->cpu[i]);
	all->remapped = true;
	cpu_attention(cpus_running(all));
}

/* ---- life ---- */

void cpus_start(struct cpus *all)
{
	pass_time_to_all(all);
	give_turn(all, 0);
}

void cpus_reset(struct cpus *all)
{
	for (unsigned i = 0; i < all->count; i++)
		cpu_reset(all->cpu[i], false);
	cpus_start(all);
	smm_show(all);
}

unsigned cpus_parts(struct cpus *all, struct part out[], unsigned max)
{
	static const struct field fields[] = { FIELD_MAX(struct cpus, turn, U32, CPUS_MAX - 1), FIELD_END };
	unsigned n = 0;

	if (all->count > 1 && max)
		out[n++] = (struct part){ "turn", all, fields, NULL };
	for (unsigned i = 0; i < all->count; i++)
		n += cpu_parts(all->cpu[i], out + n, max - n);
	return n;
}

void cpus_loaded(struct cpus *all)
{
	struct cpu *c;

	if (all->turn >= all->count)
		all->turn = 0;
	for (unsigned i = 0; i < all->count; i++)
		cpu_loaded(all->cpu[i]);
	pass_time_to_all(all);
	c = cpus_running(all);
	if ((c->quantum_end == QUANTUM_NEVER) != (all->count == 1))
		c->quantum_end = all->count == 1 ? QUANTUM_NEVER : c->icount;
	c->clock->attention = &c->attn;
	c->clock->now = cpu_now(c);
	smm_show(all);
	hooks_loaded(all);
}
