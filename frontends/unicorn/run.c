/* SPDX-License-Identifier: MIT */
/* uc_emu_start: a run, and what ends it. */
#include <time.h>
#include "shim.h"

enum { SLICE = 200000 }; /* instructions between two looks at the host's clock */

static uint64_t host_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The next instruction has no memory, and no hook was called for it. */
static uc_err missing(const struct vcpu_stop *stop)
{
	if (stop->code == VCPU_READ)
		return stop->error ? UC_ERR_READ_PROT : UC_ERR_READ_UNMAPPED;
	if (stop->code == VCPU_WRITE)
		return stop->error ? UC_ERR_WRITE_PROT : UC_ERR_WRITE_UNMAPPED;
	return stop->error ? UC_ERR_FETCH_PROT : UC_ERR_FETCH_UNMAPPED;
}

/* Does the run end with STOP? Then *ERROR is its result. */
static bool ends(uc_engine *uc, struct level *l, struct vcpu_stop stop, uc_err *error)
{
	*error = l->error;
	switch (stop.reason) {
	case VCPU_STOP_LIMIT:
		return l->stop;
	case VCPU_STOP_REQUEST: /* it may be of a run that had ended otherwise */
		return l->stop;
	case VCPU_STOP_HOOK:
		if (l->goes && !l->error) {
			l->goes = false;
			return !go_to(l->v, uc->mode, l->go_to);
		}
		return true;
	case VCPU_STOP_IDLE:
		return true;
	case VCPU_STOP_MISSING:
		if (stop.code != VCPU_EXECUTE || !is_exit(uc, instruction_pointer(l->v, uc->mode)))
			*error = missing(&stop);
		return true;
	default:
		*error = UC_ERR_EXCEPTION;
		return true;
	}
}

static uc_err run(uc_engine *uc, struct level *l, uint64_t timeout, size_t count)
{
	uint64_t end = timeout ? host_us() + timeout : 0, first = vcpu_instructions(l->v), done = 0;
	uc_err error;

	for (;;) {
		uint64_t n = count ? count - done : timeout ? SLICE : (uint64_t)1 << 40;

		if (ends(uc, l, vcpu_run(l->v, timeout && n > SLICE ? SLICE : n), &error))
			return error;
		done = vcpu_instructions(l->v) - first;
		if (count && done >= count)
			return UC_ERR_OK;
		if (timeout && host_us() >= end) {
			uc->timed_out = true;
			return UC_ERR_OK;
		}
	}
}

/* Registers and written pages of the level above become those of level N. */
static void hand_back(uc_engine *uc, unsigned n)
{
	vcpu *from = uc->level[n + 1].v, *to = uc->level[n].v;
	uint64_t count = vcpu_dirty_pages(from, NULL, 0), *pages = malloc(count * sizeof *pages + 1);

	if (pages)
		vcpu_dirty_pages(from, pages, count);
	for (uint64_t i = 0; pages && i < count; i++)
		vcpu_host_written(to, pages[i], PAGE);
	free(pages);
	registers_copy(to, from);
}

static uc_err start(uc_engine *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count)
{
	struct level *l = current(uc);
	bool again = l->stale && l->stale_at == begin;
	uc_err error;

	l->until = until;
	l->stop = l->ended = l->goes = l->stale = false;
	l->error = UC_ERR_OK;
	uc->timeout = timeout;
	uc->timed_out = false;
	if (!go_to(l->v, uc->mode, begin))
		return UC_ERR_ARG;
	if (is_exit(uc, begin) && !uc->use_exits)
		return UC_ERR_OK;
	if ((again && !hooks_install(uc, uc->top)) || !exits_install(uc, uc->top))
		return UC_ERR_NOMEM;
	uc->running++;
	error = run(uc, l, timeout, count);
	uc->running--;
	l->stale = true;
	l->stale_at = instruction_pointer(l->v, uc->mode);
	return error;
}

/* In a callback: in a machine of its own. */
static uc_err start_above(uc_engine *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count)
{
	unsigned n = uc->top;
	uc_err error;
	vcpu *v;

	if (n + 1 == LEVELS || !(v = machine_make(uc, n + 1)))
		return UC_ERR_RESOURCE;
	registers_copy(v, uc->level[n].v);
	vcpu_dirty_mark(v);
	uc->top++;
	error = start(uc, begin, until, timeout, count);
	hand_back(uc, n);
	vcpu_free(v);
	free(uc->level[uc->top].exits);
	uc->level[uc->top--] = (struct level){ 0 };
	return error;
}

uc_err uc_emu_start(uc_engine *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count)
{
	if (uc->running > uc->top)
		return uc->error = start_above(uc, begin, until, timeout, count);
	edges_start(uc);
	uc->error = start(uc, begin, until, timeout, count);
	if (!uc->running)
		garbage_free(uc);
	return uc->error;
}

uc_err uc_emu_stop(uc_engine *uc)
{
	struct level *l = current(uc);

	if (uc->running <= uc->top)
		return UC_ERR_OK;
	l->stop = true;
	vcpu_stop(l->v);
	return UC_ERR_OK;
}
