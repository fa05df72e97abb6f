/* SPDX-License-Identifier: MIT */
/* The proof that a processor waits. There are two. The first is cheap, for short rounds that store nothing:
 *
 *     round_begin()   r[], EFLAGS, page walks, calls of devices             A:  mov ax, [46Ch]        B:  in al, dx
 *         |                                                                     cmp ax, bx                test al, 8
 *     each instruction is checked before its execution: it reads memory         je A                      jz B
 *     or a device and changes general registers, EFLAGS and RIP, nothing else
 *         |
 *     back at A with the same registers and flags, no page was walked, and each device that was called has told until
 *     when its answer stays
 *
 * Then the next round begins with the same state, reads the same bytes, and ends in the same state. The TLB is a part
 * of the state: without a page walk nothing in it has changed. Memory changes by a store, a page walk (A and D), a
 * device's event or the caller; none of them comes before the end that run.c has computed. Nor does another answer of a
 * device: only a device that calls clock_steady() may be polled.
 *
 * The second is for rounds that also store, as a call of the BIOS does. While a round is watched the TLB has no tags,
 * so that each store calls watch_store(), which saves the former bytes. Back at the beginning, the processor's state
 * (that of a snapshot, and the TLB) and the stored bytes must be equal to before. No instruction may have read the time
 * or written to a device. cpu_sync() counts both, but for devices that call clock_steady(). */
#include <stdlib.h>
#include "cpu/engine/wait.h"
#include "cpu/op.h"

enum {
	ROUND_MAX = 64,        /* instructions; longer rounds are not found */
	WATCHED_WORTH = 10000,
	STORES_MAX = 128,      /* places of up to 8 bytes that a round stores to */
	SLOTS_MAX = 1024,      /* slots of the TLB that are in use */
	WORDS_MAX = 5 * SLOTS_MAX + 2 * (VIEWS + TLB_SPACE_WORDS),
	STATE_MAX = 8192,
};

/* The state of a processor without memory and without counts of instructions. */
struct known {
	u64 tlb[WORDS_MAX];
	unsigned ntlb, nstate;
	u8 state[STATE_MAX];
};

/* The state at the beginning of a watched round. */
struct watch {
	struct known before, now;
	struct { u8 *host; unsigned len; u8 before[8]; } store[STORES_MAX];
	unsigned nstores;
	bool lost; /* the round stores too much, or to memory that is not watched */
};

/* Are there breakpoints? A read may then cause a trap. */
static bool breakpoints(const struct cpu *c) { return c->dr[7] & 0xff; }

bool round_pays_now(const struct cpu *c)
{
	return !c->all->no_skip_waiting && !c->all->observer && !breakpoints(c) &&
	       !(c->mode & (MODE_BRANCHES | MODE_LBR));
}

/* The number of calls of devices, and of hooks, that may have an effect, or may give another answer next time. */
static u64 unsteady(const struct cpu *c)
{
	return c->mem->calls + c->io->calls - c->clock->steady_answers + c->all->hook_calls;
}

void round_begin(struct round *round, struct cpu *c)
{
	*round = (struct round){ .icount = c->icount, .walks = c->walks, .flags = cpu_flags(c),
		.unsteady = unsteady(c) };
	memcpy(round->r, c->r, sizeof round->r);
	c->clock->steady_until = CLOCK_NEVER;
	c->labour = 0; /* else its limit would end some rounds, to check `asked' */
}

static bool as_at_begin(const struct round *round, const struct cpu *c)
{
	return !memcmp(round->r, c->r, sizeof round->r) && round->flags == cpu_flags(c) && round->walks == c->walks &&
	       round->unsteady == unsteady(c);
}

/* ---- rounds that are watched ---- */

bool watch_pays(const struct cpu *c, s64 n) { return n >= WATCHED_WORTH && round_pays(c, n); }

/* Save LEN bytes at AT, at most 8, which may change now and later. Two places do not overlap. */
static void keep(struct watch *w, u8 *at, unsigned len)
{
	unsigned i = 0;

	while (i < w->nstores && w->store[i].host != at)
		i++;
	if (i < w->nstores)
		return;
	w->lost |= i == STORES_MAX;
	if (w->lost)
		return;
	w->store[i].host = at;
	w->store[i].len = len;
	memcpy(w->store[i].before, at, len);
	w->nstores++;
}

void watch_store(struct cpu *c, u8 *host, u64 phys, unsigned len)
{
	struct watch *w = c->watch;
	const struct range *range;
	u64 end;

	if (!host) {
		range = space_find(c->mem, phys & c->mem->mask, &end);
		if (!range || range->kind != RANGE_RAM) /* a device: its calls are counted */
			return;
		w->lost |= range->rom || end - phys < len;
		host = range->ram->host + range->ram_offset + (phys - range->base);
	}
	for (u8 *at = host - ((uintptr_t)host & 7); at < host + len; at += 8)
		keep(w, at, 8);
}

/* A member of a device changes. */
static void member_changes(void *watch, void *at, unsigned len)
{
	struct watch *w = watch;

	w->lost |= len > 8;
	if (!w->lost)
		keep(w, at, len);
}

static bool stored_as_before(const struct watch *w)
{
	for (unsigned i = 0; i < w->nstores; i++)
		if (memcmp(w->store[i].host, w->store[i].before, w->store[i].len) != 0)
			return false;
	return true;
}

/* Save the state. False: it is too large. */
static bool know(struct cpu *c, struct known *known)
{
	u64 icount = c->icount, shadow_at = c->shadow_at, rep_at = c->rep_at;
	struct part parts[CPU_PARTS];
	unsigned nparts;

	nparts = cpu_parts(c, parts, ARRAY_LEN(parts));
	known->nstate = 0;
	for (unsigned i = 0; i < nparts; i++)
		known->nstate += (unsigned)part_size(&parts[i]);
	if (tlb_used(c) > SLOTS_MAX || known->nstate > STATE_MAX)
		return false;
	known->ntlb = tlb_save(c, known->tlb);
	c->icount = c->shadow_at = c->rep_at = 0; /* they differ in each round */
	known->nstate = 0;
	for (unsigned i = 0; i < nparts; i++) {
		part_save(&parts[i], known->state + known->nstate);
		known->nstate += (unsigned)part_size(&parts[i]);
	}
	c->icount = icount;
	c->shadow_at = shadow_at;
	c->rep_at = rep_at;
	return true;
}

static bool known_as_before(struct cpu *c, struct watch *w)
{
	return know(c, &w->now) && w->now.ntlb == w->before.ntlb && w->now.nstate == w->before.nstate &&
	       !memcmp(w->now.tlb, w->before.tlb, w->now.ntlb * sizeof w->now.tlb[0]) &&
	       !memcmp(w->now.state, w->before.state, w->now.nstate);
}

/* Is the processor between two instructions, and is the next one no special case? */
static bool at_rest(const struct cpu *c)
{
	return (c->icount != c->shadow_at || !c->shadow_at) && (c->icount != c->rep_at || !c->rep_at);
}

/* Instructions that read the time or have an effect outside, without those that ask a device for an answer that
 * stays. */
static u64 untold(const struct cpu *c) { return unsteady(c) + c->syncs - c->asks; }

bool round_watch(struct round *round, struct cpu *c, u64 most)
{
	struct watch *w = c->all->watch;

	round_begin(round, c);
	if (!w)
		w = c->all->watch = malloc(sizeof *w);
	if (!w || !at_rest(c) || !know(c, &w->before))
		return false;
	w->nstores = 0;
	w->lost = false;
	round->unsteady = untold(c);
	round->watched = true;
	round->most = most;
	c->watch = c->clock->changes_owner = w;
	c->clock->changes = member_changes;
	tlb_drop_tags(c);
	return true;
}

void round_end(struct round *round, struct cpu *c)
{
	round->watched = false;
	c->watch = NULL;
	c->clock->changes = NULL;
}

/* Inner loops return to the beginning, too, but not to its state. */
static bool watched_goes_on(struct round *round, struct cpu *c)
{
	struct watch *w = c->watch;
	u64 length = c->icount - round->icount;

	if (w->lost || length == round->most || round->unsteady != untold(c))
		return false;
	round->closed = length && c->r[RIP] == round->r[RIP] && !memcmp(round->r, c->r, sizeof round->r) &&
			at_rest(c) && stored_as_before(w) && known_as_before(c, w);
	return !round->closed;
}

/* ---- rounds that store nothing ---- */

bool quiet(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	/* An instruction that is pure in its register form only reads a memory operand, if that is not its first
	 * operand. Rows with checks access other registers, and so does what names R16 to R31. */
	if (d->extended)
		return false;
	return insn->quiet || insn->condition || (insn->pure && !insn->check && !dec_is_mem(d, 0));
}

/* Is the next instruction quiet? One over two pages is not, nor is one of a page that is not in the TLB, as this check
 * must not walk. */
static bool quiet_here(struct cpu *c)
{
	u64 rip = c->r[RIP], linear = (rip + c->cs_base) & c->linear_mask, phys,
	    to_limit = (u64)c->seg[CS].limit - rip + 1;
	const struct tlb_code *t = &code_view(c)->code[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];
	unsigned room = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	struct dec d;
	struct op o;
	u8 *host;

	if (in_64(c) ? !canonical(c, rip) : rip > c->seg[CS].limit)
		return false;
	if (t->valid == TLB_NONE || (t->valid ^ linear) & PAGE_MASK || !tlb_fetch(c, linear, &host, &phys) || !host)
		return false;
	if (!in_64(c) && to_limit < room)
		room = (unsigned)to_limit;
	return decode(c->isa, c->model, c->mode, host, room, &d, &o) == DECODE_OK && !d.raises && quiet(&d);
}

bool round_goes_on(struct round *round, struct cpu *c)
{
	u64 length = c->icount - round->icount;

	if (round->watched)
		return watched_goes_on(round, c);
	if (length == ROUND_MAX)
		return false;
	if (!length || c->r[RIP] != round->r[RIP])
		return quiet_here(c);
	round->closed = as_at_begin(round, c);
	return false;
}
