/* SPDX-License-Identifier: MIT */
/* Debugging: stops, and travelling in time.
 *
 *  checkpoints: 0-------1-------2-------3---4-5-*      a snapshot every so often, more of them close before the last place that was sought
 *     inputs:      i       ii          i              given again when the run comes by
 *
 * What was executed and what was written between two checkpoints is known by page, roughly (a Bloom filter): a search
 * for the last stop skips what cannot have it. */
#include <stdlib.h>
#include "lib/change.h"
#include "lib/debug.h"
#include "lib/replay.h"
#include "cpu/system/vm/svm.h"
#include "cpu/system/vm/vmx.h"

/* ---- checkpoints ---- */

static bool at_or_before(const struct vcpu_place *a, const struct vcpu_place *b) { return !place_before(b, a); }

/* The last checkpoint at or before PLACE: there always is one, the first. */
static size_t checkpoint_before(const struct vcpu_debug *d, const struct vcpu_place *place)
{
	size_t low = 0, high = d->ncheckpoints;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (at_or_before(&d->checkpoints[middle]->at, place))
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void checkpoint_free(struct vcpu_debug *d, size_t i)
{
	vcpu_snapshot_free(d->v, d->checkpoints[i]->state);
	free(d->checkpoints[i]);
	memmove(&d->checkpoints[i], &d->checkpoints[i + 1], (--d->ncheckpoints - i) * sizeof *d->checkpoints);
}

static void bloom_or(struct bloom *to, const struct bloom *from)
{
	for (size_t i = 0; i < ARRAY_LEN(to->bits); i++)
		to->bits[i] |= from->bits[i];
}

/* Too many: give up the one whose loss makes the way to it longest, least, measured by how far away it is. */
static void thin(struct vcpu_debug *d, u64 now)
{
	while (d->ncheckpoints > 3 && vcpu_snapshot_memory(d->v) > d->bytes_max) {
		size_t worst = 1;
		double least = 1e300;

		for (size_t i = 1; i + 1 < d->ncheckpoints; i++) {
			u64 at = d->checkpoints[i]->at.instructions, far = at < now ? now - at : at - now;
			double loss = (double)(d->checkpoints[i + 1]->at.instructions -
					       d->checkpoints[i - 1]->at.instructions) /
				      (double)(far + d->interval);

			if (loss < least && d->observer.executed != &d->checkpoints[i]->executed) {
				least = loss;
				worst = i;
			}
		}
		bloom_or(&d->checkpoints[worst - 1]->executed, &d->checkpoints[worst]->executed);
		bloom_or(&d->checkpoints[worst - 1]->written, &d->checkpoints[worst]->written);
		checkpoint_free(d, worst);
	}
}

/* What runs from here on is noted in the checkpoint that we stand behind. */
static void note_in(struct vcpu_debug *d, struct checkpoint *s)
{
	const struct cpus *all = d->v->cpu->all;

	d->observer.executed = &s->executed;
	for (unsigned i = 0; i < all->count; i++)
		jumps_flush(all->cpu[i]); /* so that every page is looked up again */
}

/* Take down what was written up to here. */
static bool note_written(struct vcpu_debug *d)
{
	struct vcpu_place at = vcpu_where(d->v);
	vcpu_snapshot *s;

	d->v->past_written = &d->checkpoints[checkpoint_before(d, &at)]->written;
	s = vcpu_snapshot_take(d->v);
	d->v->past_written = NULL;
	vcpu_snapshot_free(d->v, s);
	return s;
}

/* A snapshot here, if there is none; there are none between handlers. False: no memory. */
static bool shoot(struct vcpu_debug *d)
{
	struct vcpu_place at = vcpu_where(d->v);
	struct checkpoint *s, **checkpoints;
	size_t i = 0;

	if (d->ncheckpoints) {
		i = checkpoint_before(d, &at);
		if (place_equal(&d->checkpoints[i]->at, &at)) {
			note_in(d, d->checkpoints[i]);
			return true;
		}
		d->v->past_written = &d->checkpoints[i]->written;
	}
	s = calloc(1, sizeof *s);
	checkpoints = realloc(d->checkpoints, (d->ncheckpoints + 1) * sizeof *checkpoints);
	if (checkpoints)
		d->checkpoints = checkpoints;
	if (!s || !checkpoints || !(s->state = vcpu_snapshot_take(d->v))) {
		d->v->past_written = NULL;
		free(s);
		machine_error(d->v, "the host has no memory for a snapshot");
		return false;
	}
	d->v->past_written = NULL;
	/* in the midst of what is known: all of it may be on this side, too */
	if (d->ncheckpoints && ++i < d->ncheckpoints) {
		s->executed = d->checkpoints[i - 1]->executed;
		s->written = d->checkpoints[i - 1]->written;
	}
	s->at = at;
	s->input = d->next;
	memmove(&d->checkpoints[i + 1], &d->checkpoints[i], (d->ncheckpoints++ - i) * sizeof *d->checkpoints);
	d->checkpoints[i] = s;
	note_in(d, s);
	thin(d, at.instructions);
	return true;
}

static bool restore(struct vcpu_debug *d, size_t i)
{
	struct checkpoint *s = d->checkpoints[i];

	if (vcpu_snapshot_restore(d->v, s->state))
		return false;
	d->next = s->input;
	debug_unsay(d, s->at.instructions);
	note_in(d, s);
	return true;
}

/* ---- running ---- */

static struct vcpu_debug_stop stopped(const struct vcpu_debug *d, enum vcpu_debug_what what)
{
	return (struct vcpu_debug_stop){ .what = what, .machine = { .reason = VCPU_STOP_LIMIT },
		.place = vcpu_where(d ? d->v : NULL) };
}

static struct vcpu_debug_stop machine_stop(const struct vcpu_debug *d, struct vcpu_stop stop)
{
	struct vcpu_debug_stop s = stopped(d, stop.reason == VCPU_STOP_HOST ? VCPU_DEBUG_ERROR : VCPU_DEBUG_MACHINE);

	s.machine = stop;
	return s;
}

static struct vcpu_debug_stop hit_stop(struct vcpu_debug *d)
{
	const struct observer *w = &d->observer;
	struct vcpu_debug_stop s = stopped(d, w->hit == OBSERVED_POINT   ? VCPU_DEBUG_BREAK
					      : w->hit == OBSERVED_EVENT ? VCPU_DEBUG_EVENT
									 : VCPU_DEBUG_WATCH);

	s.id = debug_hit_id(d);
	s.address = w->hit_address;
	s.size = w->hit_len;
	s.rip = w->hit_rip;
	s.physical = w->hit_physical;
	s.write = w->hit == OBSERVED_WRITE || (w->hit == OBSERVED_EVENT && w->hit_event.write);
	s.device = w->hit_dma;
	s.when = (struct vcpu_place){ w->hit_icount, w->hit_steps, 0 };
	s.event = w->hit_event.kind;
	s.value = w->hit_event.value;
	s.name = w->hit_event.name;
	s.cause = (enum vcpu_cause)w->hit_event.cause;
	return s;
}

/* Does this hit count? */
static bool wanted(struct vcpu_debug *d, const struct vcpu_debug_stop *s)
{
	bool counts;

	if (!s->id || !d->counts)
		return true;
	d->v->busy++;
	counts = d->counts(d->user, s);
	d->v->busy--;
	return counts;
}

static bool feed(struct vcpu_debug *d)
{
	const struct input *in = &d->inputs[d->next];
	bool ok;

	d->feeding = true;
	ok = channel_is_change(in->channel) ? change_again(d->v, in->channel, in->data, in->len) :
		!machine_input(d->v, (enum vcpu_channel)in->channel, in->data, in->len);
	d->feeding = false;
	d->next += ok;
	return ok;
}

/* Whoever comes to a place where the machine was changed by hand finds it changed. An instruction that was skipped
 * there is skipped by the run that goes on. */
static bool feed_changes(struct vcpu_debug *d)
{
	struct vcpu_place at = vcpu_where(d->v);

	while (d->next < d->ninputs && channel_is_change(d->inputs[d->next].channel) &&
	       d->inputs[d->next].channel != CHANGE_SKIP && place_equal(&d->inputs[d->next].at, &at))
		if (!feed(d))
			return false;
	return true;
}

static const struct vcpu_place NOWHERE = { ~(u64)0, ~(u32)0, ~(u64)0 };

static void skip_here(struct vcpu_debug *d)
{
	struct vcpu_place at = vcpu_where(d->v);

	d->observer.skip = true;
	d->observer.skip_icount = at.instructions;
	d->observer.skip_steps = at.steps;
}

/* Where the next checkpoint is, or is due. */
static u64 next_checkpoint(const struct vcpu_debug *d)
{
	struct vcpu_place at = vcpu_where(d->v);
	size_t i = checkpoint_before(d, &at);
	u64 due = d->checkpoints[i]->at.instructions + d->interval;

	if (i + 1 < d->ncheckpoints && d->checkpoints[i + 1]->at.instructions <= due + d->interval / 2)
		return d->checkpoints[i + 1]->at.instructions;
	return due > at.instructions ? due : at.instructions + 1;
}

/* Where vcpu_debug_progress's function is asked next: at the latest at the checkpoint that is due. */
static u64 asks_at(u64 instructions, u64 checkpoint)
{
	enum { ASKS = 1000000 };

	return instructions + ASKS < checkpoint ? instructions + ASKS : checkpoint;
}

static bool may_go_on(const struct vcpu_debug *d)
{
	bool on;

	d->v->busy++;
	on = !d->on || d->on(d->on_user);
	d->v->busy--;
	return on;
}

/* The next input is due at AT, where the run is: give it. If it is that the instruction is skipped, a point stops
 * before that, and *THERE: the run is to end before that (TO). */
static struct vcpu_stop feed_here(struct vcpu_debug *d, const struct vcpu_place *at, const struct vcpu_place *to,
				  bool *there)
{
	struct cpu *c = machine_running(d->v);
	struct vcpu_stop stop = { .reason = VCPU_STOP_LIMIT };

	if (d->inputs[d->next].channel == CHANGE_SKIP) {
		*there = !place_before(at, to);
		if (*there)
			return stop;
		if (observe_point_here(c)) {
			c->stop = false;
			return (struct vcpu_stop){ .reason = STOP_OBSERVED };
		}
	}
	if (!feed(d))
		stop.reason = VCPU_STOP_HOST;
	return stop;
}

/* Stop at all points or at accesses only; tell of what happens on the way; stop at a point right here, too. */
enum { PASS = 0, STOP = 1, STOP_ACCESSES = 2, TRACED = 4, HERE_TOO = 8 };
/* Run to TO (ns: also exactly to it), or until IDLE_END asleep. */
static struct vcpu_debug_stop run(struct vcpu_debug *d, struct vcpu_place to, u64 idle_end, unsigned how)
{
	struct observer *w = &d->observer;
	struct vcpu_debug_stop s;

	w->active = how & STOP ? OBSERVE_ALL : how & STOP_ACCESSES ? OBSERVE_ACCESSES : OBSERVE_NOTHING;
	w->tracing = how & TRACED;
	d->unseen = NOWHERE;
	skip_here(d);
	w->skip = !(how & HERE_TOO);
	s = stopped(d, VCPU_DEBUG_ERROR);
	for (bool ok = debug_mark_pages(d); ok;) {
		const struct input *in = d->next < d->ninputs ? &d->inputs[d->next] : NULL;
		struct vcpu_place at = vcpu_where(d->v);
		u64 checkpoint = next_checkpoint(d), due = d->on ? asks_at(at.instructions, checkpoint) : checkpoint;
		struct vcpu_stop stop;
		bool there = false;

		/* Known inputs wake whoever sleeps. */
		if (in && place_equal(&in->at, &at)) {
			stop = feed_here(d, &at, &to, &there);
		} else if (in && in->at.instructions <= due && !place_before(&to, &in->at) &&
		    (to.ns || in->at.instructions < to.instructions ||
		     (in->at.instructions == to.instructions && in->at.steps < to.steps))) {
			stop = machine_run_to(d->v, &in->at);
		} else if (due < to.instructions) {
			stop = machine_run(d->v, (struct place){ due, 0 }, in ? ~(u64)0 : idle_end);
			if (stop.reason == VCPU_STOP_LIMIT) {
				if (due == checkpoint && (!shoot(d) || !debug_mark_pages(d))) {
					s = stopped(d, VCPU_DEBUG_ERROR);
					break;
				}
				if (!may_go_on(d)) {
					s = machine_stop(d, (struct vcpu_stop){ .reason = VCPU_STOP_REQUEST });
					break;
				}
			}
		} else {
			if (to.ns)
				stop = machine_run_to(d->v, &to);
			else
				stop = machine_run(d->v, (struct place){ to.instructions, to.steps },
						   in ? ~(u64)0 : idle_end);
			there = stop.reason == VCPU_STOP_LIMIT;
		}
		if (stop.reason == STOP_OBSERVED || (stop.reason == VCPU_STOP_LIMIT && w->hit)) {
			s = hit_stop(d);
			w->hit = 0;
			if (wanted(d, &s))
				break;
			skip_here(d);
			continue;
		}
		if (there) {
			s = stopped(d, VCPU_DEBUG_THERE);
			break;
		}
		if (stop.reason != VCPU_STOP_LIMIT) {
			s = machine_stop(d, stop);
			break;
		}
	}
	w->active = OBSERVE_NOTHING;
	w->tracing = false;
	w->hit = 0;
	if (place_before(&d->end, &s.place))
		d->end = s.place;
	if (place_before(&d->heard, &s.place))
		d->heard = s.place;
	if (!feed_changes(d))
		s.what = VCPU_DEBUG_ERROR;
	return s;
}

static struct vcpu_debug_stop seek(struct vcpu_debug *d, struct vcpu_place to);

/* A run has come to its end here, before anybody looked for a point at this place: does one stop whoever goes on?
 * Where an interrupt is taken here first, it does not, and the machine is brought back. */
static bool point_here(struct vcpu_debug *d, struct vcpu_debug_stop *s)
{
	const struct observer *w = &d->observer;
	const struct cpus *all = d->v->cpu->all;
	struct vcpu_place here = vcpu_where(d->v), end = d->end;
	struct vcpu_debug_stop found;
	bool may = false;

	for (unsigned i = 0; i < all->count; i++) {
		const struct cpu *c = all->cpu[i];
		u64 linear = (c->r[RIP] + c->cs_base) & c->linear_mask, physical;
		bool mapped = page_peek(c, linear, &physical);
		u8 code[3];

		if (mapped)
			may |= observed_magic(w, c->mode & MODE_BITS, code,
					      (unsigned)vcpu_read_physical(d->v, physical, code, sizeof code));
		for (unsigned k = 0; k < w->npoints; k++)
			may |= w->points[k].physical ? mapped && w->points[k].address == physical
						     : w->points[k].address == linear;
	}
	if (!may)
		return false;
	found = run(d, (struct vcpu_place){ here.instructions, here.steps + 1, 0 }, here.ns, STOP | HERE_TOO);
	if (found.what == VCPU_DEBUG_ERROR || (found.what == VCPU_DEBUG_BREAK && place_equal(&found.place, &here))) {
		*s = found;
		return true;
	}
	if (seek(d, here).what != VCPU_DEBUG_THERE)
		*s = stopped(d, VCPU_DEBUG_ERROR);
	d->end = end;
	return s->what == VCPU_DEBUG_ERROR;
}

struct vcpu_debug_stop vcpu_debug_run(vcpu_debug *d, uint64_t instructions)
{
	struct vcpu_place to;
	u64 ns, idle_end;
	struct vcpu_debug_stop s;
	bool inside, to_end;
	unsigned how;

	if (debug_refuses(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	to = vcpu_where(d->v);
	ns = (u64)((unsigned __int128)instructions * d->v->ns_q16 >> 16);
	idle_end = ns < ~to.ns ? to.ns + ns : ~(u64)0;
	inside = place_before(&to, &d->end);
	how = STOP | TRACED | (place_equal(&to, &d->unseen) ? HERE_TOO : 0);
	to = (struct vcpu_place){ instructions < ~to.instructions ? to.instructions + instructions : ~(u64)0, 0, 0 };
	to_end = inside && !place_before(&to, &d->end); /* stop once where the known run ends */
	s = run(d, to_end ? d->end : to, inside ? ~(u64)0 : idle_end, how);
	if (s.what == VCPU_DEBUG_THERE && !point_here(d, &s))
		s.what = to_end ? VCPU_DEBUG_END : VCPU_DEBUG_MACHINE;
	if (s.what == VCPU_DEBUG_MACHINE || s.what == VCPU_DEBUG_END)
		d->unseen = s.place;
	return s;
}

/* The next place: either a handler is entered, or an instruction retires, whichever is first. */
static struct vcpu_debug_stop step(struct vcpu_debug *d, unsigned how)
{
	struct vcpu_place to;

	if (debug_refuses(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	to = vcpu_where(d->v);
	to.steps++;
	to.ns = 0;
	return run(d, to, ~(u64)0, how);
}

struct vcpu_debug_stop vcpu_debug_step(vcpu_debug *d) { return step(d, STOP_ACCESSES | TRACED); }

/* ---- going back ---- */

/* Extra checkpoints close before a place that somebody seems to be interested in: steps back from it are short. */
static const u64 near[] = { 4000000, 400000, 40000, 4000 };

static struct vcpu_debug_stop seek(struct vcpu_debug *d, struct vcpu_place to)
{
	struct vcpu_place at = vcpu_where(d->v);
	size_t i = checkpoint_before(d, &to);
	struct vcpu_debug_stop s;

	if (place_equal(&at, &to))
		return stopped(d, VCPU_DEBUG_THERE);
	if (place_before(&to, &at) || place_before(&at, &d->checkpoints[i]->at) ||
		(to.instructions == at.instructions && to.steps == at.steps &&
		!to.ns))
		if (!restore(d, i))
			return stopped(d, VCPU_DEBUG_ERROR);
	for (unsigned k = 0; k < ARRAY_LEN(near); k++) {
		u64 from = vcpu_instructions(d->v);

		if (to.instructions < near[k] || to.instructions - near[k] < from + near[k])
			continue;
		s = run(d, (struct vcpu_place){ to.instructions - near[k], 0, 0 }, ~(u64)0, PASS);
		if (s.what != VCPU_DEBUG_THERE)
			return s;
		if (!shoot(d))
			return stopped(d, VCPU_DEBUG_ERROR);
	}
	return run(d, to, ~(u64)0, PASS);
}

struct vcpu_debug_stop vcpu_debug_seek(vcpu_debug *d, struct vcpu_place place)
{
	struct vcpu_debug_stop s;

	if (debug_refuses(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	if (place_before(&place, &d->checkpoints[0]->at)) {
		struct vcpu_place first = d->checkpoints[0]->at;

		if (place.instructions != first.instructions || place.steps != first.steps) {
			s = seek(d, first);
			if (s.what == VCPU_DEBUG_THERE)
				s.what = VCPU_DEBUG_START;
			return s;
		}
		place = first;
	}
	if (place.instructions == d->end.instructions && place.steps == d->end.steps && !place.ns &&
	    !place_before(&place, &d->checkpoints[0]->at))
		return seek(d, d->end);
	return seek(d, place);
}

/* The last place before PLACE. */
static struct vcpu_debug_stop last_place(struct vcpu_debug *d, struct vcpu_place place)
{
	struct vcpu_place to = place;
	struct vcpu_debug_stop s;

	to.ns = 0;
	if (to.steps) {
		to.steps--;
		return seek(d, to);
	}
	to.instructions--;
	s = seek(d, to);
	/* Handlers may have been entered there: go on to the last of them. */
	while (s.what == VCPU_DEBUG_THERE) {
		struct vcpu_debug_stop next;
		struct vcpu_place before = vcpu_where(d->v);

		next = step(d, PASS);
		if (next.what != VCPU_DEBUG_THERE || next.place.instructions != to.instructions)
			return seek(d, (struct vcpu_place){ before.instructions, before.steps, 0 });
		s = next;
	}
	return s;
}

struct vcpu_debug_stop vcpu_debug_step_back(vcpu_debug *d)
{
	struct vcpu_place at, first;
	struct vcpu_debug_stop before, s;

	if (debug_refuses(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	at = vcpu_where(d->v);
	first = d->checkpoints[0]->at;
	if (!place_before(&first, &at))
		return stopped(d, VCPU_DEBUG_START);
	if (at.instructions == first.instructions && at.steps == first.steps)
		return seek(d, first);
	before = last_place(d, at);
	if (before.what != VCPU_DEBUG_THERE || !d->observer.nwatches)
		return before;
	/* Who is told of an access on the way there is told of it on the way back. */
	s = run(d, at, ~(u64)0, STOP_ACCESSES);
	before = seek(d, before.place);
	if (before.what != VCPU_DEBUG_THERE || s.what != VCPU_DEBUG_WATCH)
		return before;
	s.place = before.place;
	return s;
}

/* Can the part of WATCH that is in R have been written after checkpoint S? */
static bool may_have_written(const struct vcpu_debug *d, const struct checkpoint *s, const struct watch *watch,
			     const struct range *r)
{
	u64 first = watch->first < r->base ? 0 : watch->first - r->base, last = watch->last - r->base;

	if (r->kind != RANGE_RAM || !r->size || watch->last < r->base || first >= r->size)
		return false;
	if (last >= r->size)
		last = r->size - 1;
	for (unsigned n = 0; n < d->v->nblocks; n++)
		for (u64 page = (r->ram_offset + first) >> PAGE_SHIFT;
		     d->v->blocks[n].ram == r->ram && page <= (r->ram_offset + last) >> PAGE_SHIFT; page++)
			if (bloom_has(&s->written, (u64)n << 52 | page))
				return true;
	return false;
}

/* Has what S tells of happened before AT? An access has, where it is done by then; all else stops where it comes to. */
static bool is_behind(const struct vcpu_debug *d, const struct vcpu_debug_stop *s, const struct vcpu_place *at)
{
	bool here = s->place.instructions == at->instructions && s->place.steps == at->steps;

	return (s->what == VCPU_DEBUG_WATCH ? at_or_before(&s->place, at) : place_before(&s->place, at)) ||
	       (d->here_counts && here);
}

/* To the last place where the access that S tells of has not been made: the old value is there. */
static struct vcpu_debug_stop seek_before(struct vcpu_debug *d, const struct vcpu_debug_stop *s)
{
	struct vcpu_place at = s->place;
	struct vcpu_debug_stop first;

	if (s->when.instructions != at.instructions || s->when.steps != at.steps)
		return seek(d, s->when);
	/* A device, between two instructions or while the processor sleeps. */
	first = seek(d, (struct vcpu_place){ at.instructions, at.steps, 0 });
	if (first.what != VCPU_DEBUG_THERE)
		return first;
	if (first.place.ns >= at.ns)
		return last_place(d, at);
	at.ns--;
	return first.place.ns == at.ns ? first : seek(d, at);
}

static bool is_request(const struct vcpu_debug_stop *s)
{
	return s->what == VCPU_DEBUG_MACHINE && s->machine.reason == VCPU_STOP_REQUEST;
}

/* Can any point have been hit after checkpoint S, before the next one? */
static bool may_have_hit(const struct vcpu_debug *d, const struct checkpoint *s)
{
	const struct observer *w = &d->observer;

	if (w->nfilters || w->magic)
		return true;
	for (unsigned i = 0; i < w->npoints; i++)
		if (bloom_has(&s->executed, w->points[i].physical ? ~(w->points[i].address >> PAGE_SHIFT)
								  : w->points[i].address >> PAGE_SHIFT))
			return true;
	for (unsigned i = 0; i < w->nwatches; i++) {
		const struct watch *watch = &w->watches[i];

		if (!watch->physical || watch->read)
			return true;
		for (unsigned b = 0; b < d->v->mem.count; b++)
			if (may_have_written(d, s, watch, &d->v->mem.ranges[b]))
				return true;
	}
	return false;
}

struct vcpu_debug_stop vcpu_debug_run_back(vcpu_debug *d)
{
	struct vcpu_debug_stop found = { 0 }, s;
	struct vcpu_place at;
	bool any = false, on = true;

	if (debug_refuses(d) || !note_written(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	at = vcpu_where(d->v);
	for (size_t i = checkpoint_before(d, &at) + 1; i-- > 0 && !any && (on = may_go_on(d));) {
		struct vcpu_place first = d->checkpoints[i]->at,
				  to = i + 1 < d->ncheckpoints && place_before(&d->checkpoints[i + 1]->at, &at)
					       ? d->checkpoints[i + 1]->at
					       : at;

		if (!place_before(&first, &to) || !may_have_hit(d, d->checkpoints[i]))
			continue;
		if (!restore(d, i))
			return stopped(d, VCPU_DEBUG_ERROR);
		for (unsigned how = STOP | HERE_TOO;; how = STOP) {
			s = run(d, to, ~(u64)0, how);
			if ((s.what != VCPU_DEBUG_BREAK && s.what != VCPU_DEBUG_WATCH && s.what != VCPU_DEBUG_EVENT) ||
			    !is_behind(d, &s, &at))
				break;
			found = s;
			any = true;
		}
		if (s.what == VCPU_DEBUG_ERROR || is_request(&s))
			return s;
	}
	if (!on)
		return machine_stop(d, (struct vcpu_stop){ .reason = VCPU_STOP_REQUEST });
	if (!any) {
		s = vcpu_debug_seek(d, d->checkpoints[0]->at);
		if (s.what == VCPU_DEBUG_THERE)
			s.what = VCPU_DEBUG_START;
		return s;
	}
	s = found.what == VCPU_DEBUG_WATCH ? seek_before(d, &found)
					   : seek(d, (struct vcpu_place){ found.place.instructions, found.place.steps,
					   	0 });
	if (s.what != VCPU_DEBUG_THERE)
		return s;
	found.place = s.place;
	return found;
}

struct vcpu_debug_stop debug_pass_back(struct vcpu_debug *d, bool (*found)(void *user), void *user)
{
	struct vcpu_place at = vcpu_where(d->v), to = at;
	struct vcpu_debug_stop s;

	for (size_t i = checkpoint_before(d, &at) + 1; i-- > 0; to = d->checkpoints[i]->at) {
		if (!may_go_on(d))
			return machine_stop(d, (struct vcpu_stop){ .reason = VCPU_STOP_REQUEST });
		if (!place_before(&d->checkpoints[i]->at, &to))
			continue;
		if (!restore(d, i))
			return stopped(d, VCPU_DEBUG_ERROR);
		s = run(d, to, ~(u64)0, PASS);
		if (s.what != VCPU_DEBUG_THERE)
			return s;
		if (found(user))
			return s;
	}
	s = seek(d, d->checkpoints[0]->at);
	if (s.what == VCPU_DEBUG_THERE)
		s.what = VCPU_DEBUG_START;
	return s;
}

/* Points that are out of the way while a search has one of its own. */
struct aside { struct stop_point *points; size_t npoints;
	bool (*counts)(void *user, const struct vcpu_debug_stop *stop); };

static struct aside put_aside(struct vcpu_debug *d)
{
	struct aside a = { d->points, d->npoints, d->counts };

	d->points = NULL;
	d->npoints = 0;
	d->counts = NULL;
	return a;
}

static void put_back(struct vcpu_debug *d, struct aside a)
{
	while (d->npoints)
		vcpu_debug_delete(d, d->points[0].id);
	free(d->points);
	d->points = a.points;
	d->npoints = a.npoints;
	d->counts = a.counts;
	debug_arm(d);
}

struct vcpu_debug_stop vcpu_debug_last_write(vcpu_debug *d, uint64_t address, uint64_t size)
{
	struct vcpu_debug_stop s;
	struct aside others;

	if (debug_refuses(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	others = put_aside(d);
	if (vcpu_debug_watch(d, address, size, true, false, true) < 0) {
		s = stopped(d, VCPU_DEBUG_ERROR);
	} else {
		s = vcpu_debug_run_back(d);
	}
	put_back(d, others);
	return s;
}

struct vcpu_debug_stop vcpu_debug_last_event(vcpu_debug *d, unsigned kinds, uint64_t first, uint64_t last)
{
	struct vcpu_debug_stop s;
	struct aside others;

	if (debug_refuses(d))
		return stopped(d, VCPU_DEBUG_ERROR);
	others = put_aside(d);
	d->here_counts = true;
	if (vcpu_debug_catch(d, &(struct vcpu_debug_catch){ 0, kinds, first, last, true, true, NULL }) < 0)
		s = stopped(d, VCPU_DEBUG_ERROR);
	else
		s = vcpu_debug_run_back(d);
	d->here_counts = false;
	put_back(d, others);
	return s;
}

struct vcpu_place vcpu_debug_start(const vcpu_debug *d) { return d ? d->checkpoints[0]->at : (struct vcpu_place){ 0 }; }
struct vcpu_place vcpu_debug_end(const vcpu_debug *d) { return d ? d->end : (struct vcpu_place){ 0 }; }

void vcpu_debug_fields(const vcpu_debug *d, void (*each)(void *user, const char *part, const char *field,
	unsigned index, uint64_t value),
		void *user)
{
	struct part parts[PARTS_MAX];
	unsigned n;

	if (!d || !each)
		return;
	n = machine_parts(d->v, parts);
	d->v->busy++;
	for (unsigned i = 0; i < n; i++)
		for (const struct field *f = parts[i].fields; f->name; f++)
			for (u32 k = 0; k < f->count; k++)
				each(user, parts[i].name, f->name, k, part_get(&parts[i], f, k));
	d->v->busy--;
}

void vcpu_debug_tlb(const vcpu_debug *d, void (*each)(void *user, const struct vcpu_debug_translation *t), void *user)
{
	static const u64 sizes[] = { 4 * KiB, 2 * MiB, 4 * MiB, GiB };
	const struct cpu *c;

	if (!d || !each)
		return;
	c = machine_selected(d->v);
	d->v->busy++;
	for (unsigned i = 0; i < VIEWS; i++)
		for (unsigned k = 0; k < c->views[i].nused; k++) {
			const struct view *view = &c->views[i];
			unsigned n = view->used[k];
			u64 data = view->tlb[n].valid, code = view->code[n].valid;

			if (data != TLB_NONE)
				each(user, &(struct vcpu_debug_translation){
						   data & PAGE_MASK, view->phys[n], sizes[(data & VALID_SIZE) >> 3],
						   i == VIEW_USER || i == VIEW_SLOW, data & VALID_READ,
						   data & VALID_WRITE, false, data & VALID_GLOBAL });
			if (code != TLB_NONE)
				each(user, &(struct vcpu_debug_translation){ code & PAGE_MASK, view->code[n].phys,
									     sizes[(code & VALID_SIZE) >> 3],
									     i == VIEW_USER || i == VIEW_SLOW, false,
									     false, true, code & VALID_GLOBAL });
		}
	d->v->busy--;
}

bool vcpu_debug_second_level(const vcpu_debug *d, uint64_t guest, uint64_t *physical)
{
	return d && physical && page_second_level(machine_selected(d->v), guest, physical);
}

typedef void each_field(void *user, const char *name, uint32_t encoding, uint64_t value);

static bool for_each_field(const vcpu_debug *d, bool (*fields)(const struct cpu *c, each_field *each, void *user),
			   each_field *each, void *user)
{
	bool there;

	if (!d || !each)
		return false;
	d->v->busy++;
	there = fields(machine_selected(d->v), each, user);
	d->v->busy--;
	return there;
}

bool vcpu_debug_vmcs(const vcpu_debug *d, void (*each)(void *user, const char *name, uint32_t encoding, uint64_t value),
		     void *user)
{
	return for_each_field(d, vmcs_each, each, user);
}

bool vcpu_debug_vmcb(const vcpu_debug *d, void (*each)(void *user, const char *name, uint32_t offset, uint64_t value),
		     void *user)
{
	return for_each_field(d, vmcb_each, each, user);
}

bool vcpu_debug_second_walk(const vcpu_debug *d, uint64_t guest, unsigned access, struct vcpu_debug_second_walk *walk)
{
	_Static_assert(SECOND_LEVELS <= ARRAY_LEN(walk->entries), "struct vcpu_debug_second_walk has room");
	enum access kind = access & 4 ? ACCESS_FETCH : access & 2 ? ACCESS_WRITE : ACCESS_READ;
	struct second_level_trace t;

	if (!d || !walk || !second_level_trace(machine_selected(d->v), guest, kind, &t))
		return false;
	*walk = (struct vcpu_debug_second_walk){ .nested = svm_guest(machine_selected(d->v)), .count = t.count,
						 .culprit = t.culprit, .why = t.why };
	for (unsigned i = 0; i < t.count; i++) {
		walk->entries[i].address = t.at[i];
		walk->entries[i].value = t.entry[i];
	}
	return true;
}

static void find_check(void *check, const char *name, u32 field, u64 value)
{
	struct vcpu_debug_check *failed = check;

	if (field != (failed->encoding & ~VCPU_SVM))
		return;
	failed->field = name;
	failed->value = value;
}

bool vcpu_debug_vmentry(const vcpu_debug *d, struct vcpu_debug_check *failed)
{
	_Static_assert(VCPU_SVM == SVM_NUMBER, "numbers of SVM");
	struct vm_check check;
	const struct cpu *c;

	if (!d || !failed || guest_entry_check(c = machine_selected(d->v), &check))
		return false;
	*failed = (struct vcpu_debug_check){ .encoding = check.field, .rule = check.rule };
	if (check.field & VCPU_SVM)
		vmcb_each_at(c, c->r[RAX], find_check, failed);
	else
		vmcs_each(c, find_check, failed);
	return true;
}

size_t vcpu_vmcs_text(uint32_t encoding, uint64_t value, char *text, size_t size)
{
	return (encoding & VCPU_SVM ? vmcb_text : vmcs_text)(encoding & ~VCPU_SVM, value, text, text ? size : 0);
}

size_t vcpu_vmexit_text(uint32_t exit, uint64_t value, char *text, size_t size)
{
	return (exit & VCPU_SVM ? svm_exit_text : vmx_exit_text)(exit & ~VCPU_SVM, value, text, text ? size : 0);
}

const char *vcpu_vmexit_name(uint32_t exit)
{
	return exit & VCPU_SVM ? svm_exit_name(exit & ~VCPU_SVM) : vmx_exit_name(exit);
}

void vcpu_debug_clock(const vcpu_debug *d, void (*each)(void *user, const char *name, uint64_t when), void *user)
{
	if (!d || !each)
		return;
	d->v->busy++;
	for (const struct event *e = d->v->clock.first; e; e = e->next)
		each(user, e->name, e->when);
	d->v->busy--;
}

bool vcpu_debug_translate(const vcpu_debug *d, uint64_t linear, uint64_t *physical)
{
	return d && physical && page_peek(machine_running(d->v), linear, physical);
}

/* ---- inputs ---- */

static bool make_room(struct vcpu_debug *d, size_t len)
{
	u8 *spare;

	if (d->ninputs == d->inputs_room) {
		size_t room = d->inputs_room ? 2 * d->inputs_room : 16;
		struct input *in = realloc(d->inputs, room * sizeof *in);

		if (!in)
			return false;
		d->inputs = in;
		d->inputs_room = room;
	}
	spare = realloc(d->spare, len + 1);
	if (spare)
		d->spare = spare;
	return spare;
}

bool debug_room(struct vcpu *v, size_t len)
{
	struct vcpu_debug *d = v->debug;

	if (!d || d->feeding || (len < SIZE_MAX / 2 && make_room(d, len)))
		return true;
	machine_error(v, "the host has no memory to remember an input");
	return false;
}

/* HEAD and DATA, for which there is room. */
static void add_input(struct vcpu_debug *d, struct vcpu_place at, unsigned channel, const void *head, size_t nhead,
		      const void *data, size_t len)
{
	if (nhead)
		memcpy(d->spare, head, nhead);
	if (len)
		memcpy(d->spare + nhead, data, len);
	d->inputs[d->ninputs++] = (struct input){ at, channel, d->spare, nhead + len };
	d->spare = NULL;
}

/* From here on the run is another one. */
static void branch(struct vcpu_debug *d)
{
	struct vcpu_place at = vcpu_where(d->v);

	while (d->ninputs > d->next)
		free(d->inputs[--d->ninputs].data);
	while (d->ncheckpoints > 1 && place_before(&at, &d->checkpoints[d->ncheckpoints - 1]->at))
		checkpoint_free(d, d->ncheckpoints - 1);
	d->end = d->heard = at;
}

void debug_input(struct vcpu_debug *d, enum vcpu_channel channel, const void *data, size_t len)
{
	if (d->feeding)
		return;
	branch(d);
	add_input(d, vcpu_where(d->v), channel, NULL, 0, data, len);
	d->next = d->ninputs;
}

void debug_change(struct vcpu_debug *d, enum change what, const u8 head[CHANGE_HEAD], const void *bytes, size_t len)
{
	if (d->feeding)
		return;
	branch(d);
	add_input(d, vcpu_where(d->v), what, head, CHANGE_HEAD, bytes, len);
	d->next = d->ninputs;
}

/* Hooks of edges are called first, then those of blocks, then those of instructions: each in the order of ids. */
bool debug_repeats_hook(const struct vcpu_debug *d, unsigned kind, int id)
{
	struct vcpu_place at = vcpu_where(d->v);

	if (place_before(&at, &d->end))
		return true;
	return place_equal(&at, &d->called.at) &&
	       (kind > d->called.kind || (kind == d->called.kind && id <= d->called.id));
}

void debug_hook_called(struct vcpu_debug *d, unsigned kind, int id)
{
	d->called.at = vcpu_where(d->v);
	d->called.kind = kind;
	d->called.id = id;
}

/* For replay.c's recordings. */
static bool add_recorded(void *debug, struct vcpu_place at, enum vcpu_channel channel, const void *data, size_t len)
{
	bool ok = make_room(debug, len);

	if (ok)
		add_input(debug, at, channel, NULL, 0, data, len);
	return ok;
}

/* ---- life ---- */

#define INPUTS_MAX (1024ull * MiB)

vcpu_debug *vcpu_debug_new(vcpu *v, const vcpu_replay *r, char **error)
{
	static const char no_memory[] = "the host has no memory for a debugger";
	const char *why = no_memory;
	struct vcpu_debug *d;

	if (error)
		*error = NULL;
	if (machine_refuses(v, "vcpu_debug_new") || !hooks_repeatable(v)) {
		error_write(error, "%s", vcpu_error(v));
		return NULL;
	}
	d = v->debug ? NULL : calloc(1, sizeof *d);
	if (!d) {
		error_write(error, "%s", v->debug ? "the machine is being debugged already" : no_memory);
		return NULL;
	}
	if (r && replay_inputs_size(r) > INPUTS_MAX) {
		error_write(error,
			    "recording: its inputs would unpack to %llu MiB, more than the %llu that a debugger keeps",
			    (unsigned long long)(replay_inputs_size(r) / MiB), INPUTS_MAX / MiB);
		free(d);
		return NULL;
	}
	d->v = v;
	d->bytes_max = 512 * MiB;
	d->interval = 16000000;
	d->unseen = d->called.at = NOWHERE;
	d->end = d->heard = vcpu_where(v);
	v->debug = d;
	v->cpu->all->observer = &d->observer;
	d->observer.owner = d;
	debug_arm(d);
	if (!debug_listen(d) || !shoot(d) || (r && !replay_inputs(r, add_recorded, d, &why))) {
		error_write(error, why == no_memory ? "%s" : "recording: one of its inputs: %s", why);
		vcpu_debug_free(d);
		return NULL;
	}
	if (r)
		d->end = vcpu_replay_end(r);
	return d;
}

void vcpu_debug_progress(vcpu_debug *d, bool (*on)(void *user), void *user)
{
	if (debug_refuses(d))
		return;
	d->on = on;
	d->on_user = user;
}

void vcpu_debug_limits(vcpu_debug *d, uint64_t bytes, uint64_t interval)
{
	if (!d)
		return;
	d->bytes_max = bytes;
	d->interval = interval ? interval : 1;
}

void vcpu_debug_free(vcpu_debug *d)
{
	struct vcpu *v;

	if (debug_refuses(d))
		return;
	v = d->v;
	while (d->npoints)
		vcpu_debug_delete(d, d->points[0].id);
	debug_listen_no_more(d);
	while (d->ncheckpoints)
		checkpoint_free(d, d->ncheckpoints - 1);
	while (d->ninputs)
		free(d->inputs[--d->ninputs].data);
	free(d->checkpoints);
	free(d->inputs);
	free(d->spare);
	free(d->points);
	free(d->marked);
	free(d->observer.points);
	free(d->observer.watches);
	free(d->observer.filters);
	v->cpu->all->observer = NULL;
	v->past_written = NULL;
	v->debug = NULL;
	free(d);
}
