/* SPDX-License-Identifier: MIT */
#include "cpu/hook.h"
#include "cpu/op.h"

u64 observe_place(const struct cpu *c, u64 *rip)
{
	*rip = c->op ? op_address(c) : c->r[RIP];
	return c->op ? c->end - (u64)(c->n + c->op->left) : c->icount;
}

static bool note_at(struct cpu *c, enum observed what, u64 address, unsigned len, u64 icount, u64 rip)
{
	struct observer *w = c->all->observer;

	if (w->hit || (w->active == OBSERVE_ACCESSES ? what != OBSERVED_READ && what != OBSERVED_WRITE : !w->active))
		return false;
	w->hit = what;
	w->hit_address = address;
	w->hit_len = len;
	w->hit_icount = icount;
	w->hit_steps = clock_steps(c->clock, icount);
	w->hit_rip = rip;
	w->hit_physical = w->hit_dma = w->hit_magic = false;
	c->stop = true;
	attend(c, ATTN_LINE);
	return true;
}

static bool note(struct cpu *c, enum observed what, u64 address, unsigned len)
{
	u64 rip, icount = observe_place(c, &rip);

	return note_at(c, what, address, len, icount, rip);
}

/* Do points stop here? Not if the processor was just stopped here by one. */
static bool points_count(const struct cpu *c, u64 icount)
{
	const struct observer *w = c->all->observer;

	return w && w->active == OBSERVE_ALL && !(w->skip && w->skip_icount == icount &&
		w->skip_steps == clock_steps(c->clock, icount));
}

bool observe_magic(struct cpu *c, u64 linear, u64 icount)
{
	if (!points_count(c, icount) || !note_at(c, OBSERVED_POINT, linear, 1, icount, c->r[RIP]))
		return false;
	c->all->observer->hit_magic = true;
	return true;
}

bool observe_point(struct cpu *c, u64 linear, u64 phys, u64 icount)
{
	struct observer *w = c->all->observer;

	if (!points_count(c, icount))
		return false;
	for (unsigned i = 0; i < w->npoints; i++)
		if (w->points[i].address == (w->points[i].physical ? phys : linear)) {
			note_at(c, OBSERVED_POINT, w->points[i].address, 1, icount, c->r[RIP]);
			w->hit_physical = w->points[i].physical;
			return w->hit == OBSERVED_POINT;
		}
	return false;
}

bool observe_point_here(struct cpu *c)
{
	u64 linear = (c->r[RIP] + c->cs_base) & c->linear_mask, phys = ~(u64)0;

	page_peek(c, linear, &phys);
	return observe_point(c, linear, phys, c->icount);
}

bool observes_page(const struct observer *w, u64 linear)
{
	if (w->trace & EVENT_MEMORY)
		return true;
	for (unsigned i = 0; i < w->nwatches; i++)
		if (!w->watches[i].physical && (linear | (PAGE_SIZE - 1)) >= w->watches[i].first &&
		    (linear & PAGE_MASK) <= w->watches[i].last)
			return true;
	return false;
}

static void tell(struct cpu *c, const struct seen *seen)
{
	cpu_sync(c);
	c->all->observer->saw(c->all->observer->owner, c, seen);
}

void observe_access(struct cpu *c, u64 linear, u64 phys, const void *bytes, unsigned len, bool write)
{
	struct observer *w = c->all->observer;

	if (w->tracing && w->trace & EVENT_MEMORY && bytes)
		tell(c,
		     &(struct seen){ EVENT_MEMORY, linear, get_size(bytes, len < 8 ? len : 8), len, write, NULL, 0 });
	for (unsigned i = 0; i < w->nwatches; i++) {
		const struct watch *watch = &w->watches[i];
		u64 first = watch->physical ? phys : linear;

		if (!(write ? watch->write : watch->read) || first > watch->last || first + (len - 1) < watch->first)
			continue;
		if (note(c, write ? OBSERVED_WRITE : OBSERVED_READ, first, len))
			w->hit_physical = watch->physical;
	}
}

static bool passes(const struct filter *f, const struct seen *seen)
{
	u64 last = seen->address + (seen->kind & (EVENT_PORT | EVENT_MMIO) && seen->size ? seen->size - 1 : 0);

	return f->kinds & seen->kind && (seen->write ? f->write : f->read) && seen->address <= f->last &&
		last >= f->first &&
		(!f->name || !seen->name || !strncmp(f->name, seen->name, strlen(f->name)));
}

void observe_event(struct cpu *c, const struct seen *seen)
{
	struct observer *w = c->all->observer;

	if (c->all->told & seen->kind)
		hook_tell(c, seen->kind, seen->address, seen->value, seen->write, seen->name);
	if (!w)
		return;
	if (w->tracing && w->trace & seen->kind)
		tell(c, seen);
	for (unsigned i = 0; i < w->nfilters; i++)
		if (passes(&w->filters[i], seen) && note(c, OBSERVED_EVENT, seen->address, seen->size)) {
			w->hit_event = *seen;
			/* The step to the handler has been counted, but the event came before it. */
			if (seen->kind & (EVENT_EXCEPTION | EVENT_INTERRUPT | EVENT_VMEXIT) && !c->op && w->hit_steps)
				w->hit_steps--;
			w->hit_filter = i;
		}
}

void observe_clock(struct cpu *c)
{
	for (const struct event *e = c->clock->first; e && e->when <= c->clock->now; e = e->next)
		observe_event(c,
			      &(struct seen){ .kind = EVENT_CLOCK, .value = e->when, .write = true, .name = e->name });
}

/* A device has written LEN bytes from PHYS. Is one of them at a linear address of WATCH, on any processor? *LINEAR gets
 * the first address. */
static bool watched_linear(const struct cpus *all, const struct watch *watch, u64 phys, unsigned len, u64 *linear)
{
	for (u64 from = watch->first, to;; from = to + 1) {
		to = (from | (PAGE_SIZE - 1)) < watch->last ? from | (PAGE_SIZE - 1) : watch->last;
		for (unsigned i = 0; i < all->count; i++) {
			u64 at;

			if (page_peek(all->cpu[i], from, &at) && phys <= at + (to - from) && phys + (len - 1) >= at) {
				*linear = phys > at ? from + (phys - at) : from;
				return true;
			}
		}
		if (to == watch->last)
			return false;
	}
}

void cpu_ram_watched(void *cpu, u64 phys, unsigned len)
{
	struct cpus *all = ((struct cpu *)cpu)->all;
	struct observer *w = all->observer;

	if (!w || w->by_cpu)
		return;
	for (unsigned i = 0; i < w->nwatches; i++) {
		const struct watch *watch = &w->watches[i];
		u64 at = phys;

		if (!watch->write || (watch->physical ? phys > watch->last || phys + (len - 1) < watch->first
				      : !watched_linear(all, watch, phys, len, &at)))
			continue;
		if (note(cpus_running(all), OBSERVED_WRITE, at, len)) {
			w->hit_physical = watch->physical;
			w->hit_dma = true;
		}
	}
}
