/* SPDX-License-Identifier: MIT */
/* The stops of a debugger, and the events that it reports. */
#include <stdlib.h>
#include "lib/debug.h"

/* ---- points ---- */

/* One of the tables. False: no memory, and it is as it was. */
static bool grow(void *table, size_t n, size_t each)
{
	void *more;

	memcpy(&more, table, sizeof more);
	more = realloc(more, n * each);
	if (more)
		memcpy(table, &more, sizeof more);
	return more;
}

/* Writes to this page of physical memory are to be told, whichever RAM is there when they come. False: no memory. */
static bool mark_page(struct vcpu_debug *d, u64 address)
{
	for (unsigned i = 0; i < d->v->mem.count; i++) {
		const struct range *r = &d->v->mem.ranges[i];
		struct marked_page m;

		if (r->kind != RANGE_RAM || address < r->base || address - r->base >= r->size)
			continue;
		m = (struct marked_page){ r->ram, (r->ram_offset + (address - r->base)) >> PAGE_SHIFT };
		if (m.ram->pages[m.page] & PAGE_WATCH)
			continue;
		if (!(d->nmarked & (d->nmarked - 1)) &&
		    !grow(&d->marked, d->nmarked ? 2 * d->nmarked : 1, sizeof *d->marked))
			return false;
		d->marked[d->nmarked++] = m;
		m.ram->pages[m.page] |= PAGE_WATCH;
	}
	return true;
}

static void unmark_pages(struct vcpu_debug *d)
{
	while (d->nmarked) {
		const struct marked_page *m = &d->marked[--d->nmarked];

		m->ram->pages[m->page] &= (u8)~PAGE_WATCH;
	}
}

/* A processor knows of its own accesses by their linear addresses; those of devices are found by the physical page,
 * which may be another one now. */
bool debug_mark_pages(struct vcpu_debug *d)
{
	const struct observer *w = &d->observer;
	const struct cpus *all = d->v->cpu->all;
	size_t before = d->nmarked;
	bool ok = true;

	for (unsigned i = 0; ok && i < w->nwatches; i++) {
		const struct watch *watch = &w->watches[i];

		for (u64 a = watch->first & PAGE_MASK; ok && a <= watch->last; a += PAGE_SIZE) {
			u64 physical;

			if (watch->physical)
				ok = mark_page(d, a);
			for (unsigned k = 0; ok && k < all->count && !watch->physical; k++)
				if (page_peek(all->cpu[k], a, &physical))
					ok = mark_page(d, physical);
			if (a + PAGE_SIZE < a)
				break;
		}
	}
	for (unsigned k = 0; d->nmarked != before && k < all->count; k++)
		tlb_drop_tags(all->cpu[k]); /* they may know these pages already */
	if (!ok)
		machine_error(d->v, "the host has no memory for a watchpoint");
	return ok;
}

/* Room for N points, so that debug_arm needs no memory. */
static bool reserve(struct vcpu_debug *d, size_t n)
{
	struct observer *w = &d->observer;

	if (!grow(&d->points, n, sizeof *d->points))
		return false;
	if (n <= d->room)
		return true;
	if (!grow(&w->points, n, sizeof *w->points) || !grow(&w->watches, n, sizeof *w->watches) ||
	    !grow(&w->filters, n, sizeof *w->filters))
		return false;
	d->room = n;
	return true;
}

void debug_arm(struct vcpu_debug *d)
{
	struct observer *w = &d->observer;
	const struct cpus *all = d->v->cpu->all;

	unmark_pages(d);
	w->npoints = w->nwatches = w->nfilters = 0;
	w->magic = false;
	w->kinds = w->trace;
	memset(w->offsets, 0, sizeof w->offsets);
	for (size_t i = 0; i < d->npoints; i++) {
		const struct stop_point *p = &d->points[i];
		unsigned offset = p->address & (PAGE_SIZE - 1);

		if (p->kind == POINT_CATCH) {
			w->filters[w->nfilters++] = p->filter;
			w->kinds |= p->filter.kinds;
			continue;
		}
		if (p->kind == POINT_WATCH) {
			w->watches[w->nwatches++] = p->watch;
			continue;
		}
		if (p->kind == POINT_MAGIC) {
			w->magic = true;
			continue;
		}
		w->points[w->npoints].address = p->address;
		w->points[w->npoints++].physical = p->physical;
		w->offsets[offset / 64] |= (u64)1 << offset % 64;
	}
	blocks_flush(d->v->cpu);
	for (unsigned i = 0; i < all->count; i++)
		tlb_drop_tags(all->cpu[i]);
}

/* Takes P's name over. */
static int add_point(struct vcpu_debug *d, struct stop_point p)
{
	if (!reserve(d, d->npoints + 1)) {
		free(p.name);
		return machine_error(d->v, "the host has no memory for a breakpoint");
	}
	p.id = ++d->last_id;
	d->points[d->npoints++] = p;
	debug_arm(d);
	return p.id;
}

int vcpu_debug_break(vcpu_debug *d, uint64_t address, bool physical)
{
	if (debug_refuses(d))
		return -1;
	return add_point(d, (struct stop_point){ .address = address, .physical = physical });
}

int vcpu_debug_magic(vcpu_debug *d)
{
	return debug_refuses(d) ? -1 : add_point(d, (struct stop_point){ .kind = POINT_MAGIC });
}

int vcpu_debug_watch(vcpu_debug *d, uint64_t address, uint64_t size, bool physical, bool read, bool write)
{
	u64 last = address + (size - 1);

	if (debug_refuses(d))
		return -1;
	if (!size || last < address || size > MiB || !(read || write))
		return machine_error(d->v, "a watchpoint covers 1 byte to 1 MiB, and reads or writes");
	return add_point(d, (struct stop_point){ .kind = POINT_WATCH, .address = address, .physical = physical,
		.watch = { address, last, physical, read, write } });
}

int vcpu_debug_delete(vcpu_debug *d, int id)
{
	if (debug_refuses(d))
		return -1;
	for (size_t i = 0; i < d->npoints; i++) {
		if (d->points[i].id != id)
			continue;
		free(d->points[i].name);
		memmove(&d->points[i], &d->points[i + 1], (--d->npoints - i) * sizeof *d->points);
		debug_arm(d);
		return 0;
	}
	return machine_error(d->v, "there is no breakpoint %d", id);
}

#define ALL_EVENTS ((2u * EVENT_OUTPUT - 1) | EVENT_VMENTRY | EVENT_VMEXIT | EVENT_VMFAIL)

int vcpu_debug_catch(vcpu_debug *d, const struct vcpu_debug_catch *given)
{
	struct vcpu_debug_catch copy, *what = &copy;
	char *name;

	if (debug_refuses(d))
		return -1;
	if (!given)
		return machine_error(d->v, "vcpu_debug_catch needs a struct vcpu_debug_catch");
	if (!machine_takes(d->v, "vcpu_debug_catch", what, sizeof *what, sizeof *what, given))
		return -1;
	if (!what->kinds || what->kinds & ~ALL_EVENTS || what->first > what->last || !(what->read || what->write))
		return machine_error(d->v, "no event of the kinds %x from %llx to %llx can be caught", what->kinds,
			(unsigned long long)what->first,
			(unsigned long long)what->last);
	if (what->kinds & EVENT_OUTPUT && (!what->name || !*what->name))
		return machine_error(d->v, "VCPU_EVENT_OUTPUT needs a text in `name'");
	name = what->name ? strdup(what->name) : NULL;
	if (what->name && !name)
		return machine_error(d->v, "the host has no memory for a breakpoint");
	return add_point(d, (struct stop_point){ .kind = POINT_CATCH, .name = name,
		.filter = { what->kinds, what->first, what->last, what->read, what->write, name } });
}

int debug_hit_id(const struct vcpu_debug *d)
{
	const struct observer *w = &d->observer;
	unsigned filter = 0;

	for (size_t i = 0; i < d->npoints; i++) {
		const struct stop_point *p = &d->points[i];

		if (p->kind == POINT_CATCH) {
			if (w->hit == OBSERVED_EVENT && filter++ == w->hit_filter)
				return p->id;
		} else if (w->hit == OBSERVED_POINT) {
			if (w->hit_magic ? p->kind == POINT_MAGIC
					 : p->kind == POINT_BREAK && p->address == w->hit_address &&
						   p->physical == w->hit_physical)
				return p->id;
		} else if (p->kind == POINT_WATCH && p->physical == w->hit_physical &&
			w->hit_address <= p->watch.last &&
			   w->hit_address + (w->hit_len - 1) >= p->watch.first &&
			   (w->hit == OBSERVED_WRITE ? p->watch.write : p->watch.read)) {
			return p->id;
		}
	}
	return 0;
}

void vcpu_debug_condition(vcpu_debug *d, bool (*counts)(void *user, const struct vcpu_debug_stop *stop), void *user)
{
	if (!d)
		return;
	d->counts = counts;
	d->user = user;
}

/* ---- tracing ---- */

_Static_assert((int)VCPU_CAUSE_FAULT == INT_EXCEPTION && (int)VCPU_CAUSE_TRAP == INT_TRAP &&
	(int)VCPU_CAUSE_INT == INT_SOFTWARE &&
	       (int)VCPU_CAUSE_INT3_INTO == INT_SOFT_EXC && (int)VCPU_CAUSE_INT1 == INT_ICEBP, "enum interrupt_kind");
#define SAME(kind) ((int)VCPU_EVENT_##kind == EVENT_##kind)
_Static_assert(SAME(EXCEPTION) && SAME(INTERRUPT) && SAME(PORT) && SAME(MMIO) && SAME(MSR) && SAME(CR3) && SAME(MODE) &&
	SAME(CLOCK) && SAME(OUTPUT) &&
	       SAME(MEMORY) && SAME(RESET) && SAME(VMENTRY) && SAME(VMEXIT) && SAME(VMFAIL), "enum event_kind");
#undef SAME
/* The values of VCPU_EVENT_MODE. */
_Static_assert((int)VCPU_MODE_16 == MODE_16 && (int)VCPU_MODE_32 == MODE_32 && (int)VCPU_MODE_64 == MODE_64 &&
	(int)VCPU_MODE_PROTECTED == MODE_PE &&
	       (int)VCPU_MODE_V86 == MODE_V86 && (int)VCPU_MODE_LONG == MODE_LONG, "the execution mode in cpu.h");

static void saw(void *debug, struct cpu *c, const struct seen *seen)
{
	struct vcpu_debug *d = debug;
	struct vcpu_debug_event e = { .kind = seen->kind, .size = seen->size, .processor = c->id,
		.address = seen->address, .value = seen->value,
		.write = seen->write, .name = seen->name, .cause = (enum vcpu_cause)seen->cause };

	e.instructions = observe_place(c, &e.rip);
	d->each(d->each_user, &e);
}

void vcpu_debug_trace(vcpu_debug *d, unsigned kinds, void (*each)(void *user, const struct vcpu_debug_event *event),
		      void *user)
{
	if (debug_refuses(d))
		return;
	d->each = each;
	d->each_user = user;
	d->observer.saw = saw;
	d->observer.trace = each ? kinds : 0;
	debug_arm(d);
}

static void built(void *debug, u64 linear, unsigned bytes)
{
	struct vcpu_debug *d = debug;

	d->built(d->built_user, linear, bytes);
}

void vcpu_debug_coverage(vcpu_debug *d, void (*each)(void *user, uint64_t address, unsigned size), void *user)
{
	if (debug_refuses(d))
		return;
	d->built = each;
	d->built_user = user;
	d->observer.built = each ? built : NULL;
	debug_arm(d); /* forgets all decoded code */
}

/* ---- what the guest says ---- */

enum { SAID_FIRST = 1 << 12, SAID_MAX = 1 << 20 };

/* Is TEXT the last that was said on CHANNEL? */
static bool just_said(const struct vcpu_debug *d, unsigned channel, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = d->nsaid; n && i-- > 0;) {
		if (d->said[i].channel != channel)
			continue;
		if (d->said[i].byte != (u8)text[--n])
			return false;
	}
	return !n;
}

/* Room for another byte: more memory, or that of the older half. */
static void room_to_say(struct vcpu_debug *d)
{
	struct said *more = d->said_room < SAID_MAX ? realloc(d->said, 2 * d->said_room * sizeof *more) : NULL;

	if (more) {
		d->said = more;
		d->said_room *= 2;
	} else {
		d->nsaid /= 2;
		memmove(d->said, d->said + d->nsaid, d->nsaid * sizeof *d->said);
	}
}

static void say(struct vcpu_debug *d, unsigned channel, u8 byte)
{
	struct cpu *c = machine_running(d->v);
	u64 rip;

	if (d->nsaid == d->said_room)
		room_to_say(d);
	d->said[d->nsaid++] = (struct said){ observe_place(c, &rip), (u8)channel, byte };
	if (observes(c, EVENT_OUTPUT))
		for (size_t i = 0; i < d->npoints; i++) {
			const struct filter *f = &d->points[i].filter;

			if (d->points[i].kind == POINT_CATCH && f->kinds & EVENT_OUTPUT && channel >= f->first &&
				channel <= f->last &&
			    just_said(d, channel, f->name))
				observe_event(c, &(struct seen){ .kind = EVENT_OUTPUT,
								 .address = channel,
								 .write = true,
								 .name = f->name });
		}
}

static void listen_to(void *debug, enum vcpu_channel channel, const void *data, size_t len)
{
	static const u32 bytes = 1u << VCPU_COM1 | 1u << VCPU_COM2 | 1u << VCPU_COM3 | 1u << VCPU_COM4 |
		1u << VCPU_DEBUGCON | 1u << VCPU_CONSOLE |
		1u << VCPU_FIRMWARE | 1u << VCPU_LPT1;
	_Static_assert(VCPU_CHANNELS <= 32, "a bit for each");
	struct vcpu_debug *d = debug;
	u64 rip;

	for (size_t i = 0; i < len && bytes >> channel & 1; i++)
		say(d, channel, ((const u8 *)data)[i]);
	if (d->output && observe_place(machine_running(d->v), &rip) >= d->heard.instructions)
		d->output(d->output_user, channel, data, len);
}

bool debug_listen(struct vcpu_debug *d)
{
	d->said = malloc(SAID_FIRST * sizeof *d->said);
	d->said_room = SAID_FIRST;
	d->output = d->v->output;
	d->output_user = d->v->user;
	d->v->output = listen_to;
	d->v->user = d;
	return d->said;
}

void debug_listen_no_more(struct vcpu_debug *d)
{
	d->v->output = d->output;
	d->v->user = d->output_user;
	free(d->said);
}

void debug_unsay(struct vcpu_debug *d, u64 icount)
{
	while (d->nsaid && d->said[d->nsaid - 1].icount >= icount)
		d->nsaid--;
}
