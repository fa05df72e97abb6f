#include "cpu/observe.h"
#include "cpu/op.h"

static u64 icount_now(const struct cpu *c)
{
	return c->op ? c->end - (u64)(c->n + c->op->left) : c->icount;
}

static bool note(struct cpu *c, enum observed what, u64 address, unsigned len, u64 icount)
{
	struct observer *w = c->all->observer;

	if (!w->active || w->hit)
		return false;
	w->hit = what;
	w->hit_address = address;
	w->hit_len = len;
	w->hit_icount = icount;
	w->hit_steps = clock_steps(c->clock, icount);
	w->hit_rip = c->op ? op_rip(c, c->op) : c->r[RIP];
	w->hit_physical = w->hit_dma = false;
	c->stop = true;
	attend(c, ATTN_LINE);
	return true;
}

bool observe_point(struct cpu *c, u64 linear, u64 phys, u64 icount)
{
	struct observer *w = c->all->observer;

	if (!w || !w->active || (w->skip && w->skip_icount == icount && w->skip_steps == clock_steps(c->clock, icount)))
		return false;
	for (unsigned i = 0; i < w->npoints; i++)
		if (w->points[i].address == (w->points[i].physical ? phys : linear)) {
			note(c, OBSERVED_POINT, w->points[i].address, 1, icount);
			w->hit_physical = w->points[i].physical;
			return w->hit == OBSERVED_POINT;
		}
	return false;
}

bool observes_page(const struct observer *w, u64 linear)
{
	for (unsigned i = 0; i < w->nwatches; i++)
		if (!w->watches[i].physical && (linear | (PAGE_SIZE - 1)) >= w->watches[i].first && (linear & PAGE_MASK) <= w->watches[i].last)
			return true;
	return false;
}

void observe_access(struct cpu *c, u64 linear, u64 phys, unsigned len, bool write)
{
	struct observer *w = c->all->observer;

	for (unsigned i = 0; i < w->nwatches; i++) {
		const struct watch *watch = &w->watches[i];
		u64 first = watch->physical ? phys : linear;

		if (!(write ? watch->write : watch->read) || first > watch->last || first + (len - 1) < watch->first)
			continue;
		if (note(c, write ? OBSERVED_WRITE : OBSERVED_READ, first, len, icount_now(c)))
			w->hit_physical = watch->physical;
	}
}

void observe_event(struct cpu *c, enum event_kind kind, u64 value)
{
	struct observer *w = c->all->observer;

	if (!(w->events & kind) || !note(c, OBSERVED_EVENT, 0, 0, icount_now(c)))
		return;
	w->hit_event = kind;
	w->hit_value = value;
}

void cpu_ram_watched(void *cpu, u64 phys, unsigned len)
{
	struct cpus *all = ((struct cpu *)cpu)->all;
	struct observer *w = all->observer;

	if (!w || w->by_cpu)
		return;
	observe_access(cpus_running(all), ~(u64)0, phys, len, true);
	w->hit_dma |= w->hit == OBSERVED_WRITE && w->hit_address == phys;
}
