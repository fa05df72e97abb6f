/* SPDX-License-Identifier: MIT */
/* Hooks: whose function is called, with what, and what its answer does. */
#include <stdlib.h>
#include "cpu/hook.h"
#include "cpu/op.h"

/* ---- which there are ---- */

static bool made(struct cpus *all)
{
	if (!all->hooks)
		all->hooks = calloc(1, sizeof *all->hooks);
	return all->hooks;
}

/* The running block is left behind this instruction, and all blocks are forgotten. */
static void look_again(struct cpus *all)
{
	all->remapped = true;
	cpu_attention(cpus_running(all));
}

bool hook_add(struct cpus *all, struct hook *k)
{
	struct hook **at;

	if (!made(all))
		return false;
	for (at = &all->hooks->added; *at; at = &(*at)->next)
		;
	*at = k;
	k->next = NULL;
	k->id = ++all->hooks->last_id;
	look_again(all);
	return true;
}

static unsigned call_nobody(void *user, struct vcpu_hook_event *event)
{
	(void)user, (void)event;
	return HOOK_GO;
}

/* Operations of single places may stay, and find out that there is nothing to call, until there are many of them. */
enum { REMOVED_MAX = 64 };

bool hook_remove(struct cpus *all, s32 id)
{
	struct hooks *h = all->hooks;

	for (unsigned list = 0; h && list < 2; list++)
		for (struct hook *k = list ? h->added : h->first; k; k = k->next) {
			if (k->id != id || !k->kinds)
				continue;
			h->removed++;
			if (h->removed > REMOVED_MAX || k->span >= PAGE_SIZE)
				look_again(all);
			k->kinds = 0;
			k->call = call_nobody;
			if (k->map) {
				k->map = &k->nowhere;
				k->mask = 0;
			}
			if (h->accesses == k)
				h->accesses = NULL;
			return true;
		}
	return false;
}

void hooks_settle(struct cpus *all)
{
	struct hooks *h = all->hooks;
	struct hook **at;

	if (!h || !(h->added || h->removed))
		return;
	for (at = &h->first; *at; at = &(*at)->next)
		;
	*at = h->added;
	h->added = NULL;
	h->kinds = h->before = h->behind = 0;
	h->accesses = NULL;
	h->each_insn = false;
	for (at = &h->first; *at;) {
		struct hook *k = *at;

		if (k->kinds) {
			h->each_insn |= k->kinds & HOOK_INSN && !k->code && k->span >= PAGE_SIZE;
			if (k->kinds & HOOK_MEMORY)
				h->accesses = h->kinds & HOOK_MEMORY ? NULL : k;
			h->kinds |= k->kinds;
			*(k->after ? &h->behind : &h->before) |= k->kinds;
			at = &k->next;
		} else {
			*at = k->next;
			free(k);
		}
	}
	h->removed = 0;
	all->told = h->kinds & HOOK_TOLD;
	for (unsigned i = 0; i < all->count; i++)
		tlb_drop_tags(all->cpu[i]);
}

void hooks_free(struct cpus *all)
{
	struct hooks *h = all->hooks;

	for (unsigned list = 0; h && list < 2; list++)
		for (struct hook *k = list ? h->added : h->first, *next; k; k = next) {
			next = k->next;
			free(k);
		}
	free(h);
	all->hooks = NULL;
}

void hooks_loaded(struct cpus *all)
{
	if (!all->hooks)
		return;
	all->hooks->resume.on = all->hooks->edge.pending = false;
	all->hooks->straight.icount = ~(u64)0;
}

/* ---- calls ---- */

/* Has K been called for this event before the run was left here? */
static COLD bool called_before(const struct cpu *c, const struct hook *k, u64 icount, u64 address)
{
	struct hooks *h = c->all->hooks;
	const u32 kind = h->event.kind;

	if (h->resume.icount != icount) {
		h->resume.on = false;
		return false;
	}
	/* What leads to an exception counts a step each time. */
	if (kind != HOOK_EXCEPTION && h->resume.steps != clock_steps(c->clock, icount))
		return false;
	for (unsigned i = 0; i < h->resume.count && i < RESUME_CALLS; i++)
		if (h->resume.call[i].kind == kind && h->resume.call[i].address == address &&
		    (kind & HOOK_CODE ? k->id <= h->resume.call[i].id : k->id == h->resume.call[i].id))
			return true;
	return false;
}

static void resume_behind(struct cpu *c, u64 icount, s32 id)
{
	struct hooks *h = c->all->hooks;
	const u32 steps = clock_steps(c->clock, icount);
	unsigned i;

	if (!h->resume.on || h->resume.icount != icount || h->resume.steps != steps)
		h->resume.count = 0;
	h->resume.on = h->checks = true;
	h->resume.steps = steps;
	h->resume.icount = icount;
	i = h->resume.count++ % RESUME_CALLS;
	h->resume.call[i].kind = h->event.kind;
	h->resume.call[i].id = id;
	h->resume.call[i].address = h->event.address;
}

/* Does the run go on behind the hooks of an edge to this place? */
static bool resumes_edge(const struct cpu *c, u64 icount)
{
	const struct hooks *h = c->all->hooks;
	const unsigned last = (h->resume.count - 1) % RESUME_CALLS;

	return h->resume.on && h->resume.icount == icount && h->resume.call[last].kind == HOOK_EDGE;
}

static void stop_by(struct cpu *c, const struct hook *k)
{
	c->all->hooks->stopped = k->id;
	c->all->hooks->stopped_at = c->all->hooks->event.address;
	c->stop = true;
	attend(c, ATTN_LINE);
}

ALWAYS_INLINE int call(struct cpu *c, struct hooks *h, const struct hook *k)
{
	int answer;

	answer = hook_call(c, h, k);
	h->current = NULL;
	return unlikely(answer) && k->observer && answer != HOOK_STOP ? HOOK_GO : answer;
}

static u64 place(const struct cpu *c)
{
	u64 rip;

	return observe_place(c, &rip);
}

/* ---- code ---- */

static COLD u64 code_phys(struct cpu *c, u64 linear)
{
	const struct tlb_code *t = &code_view(c)->code[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];

	return (t->valid ^ linear) & PAGE_MASK ? ~(u64)0 : t->phys | (linear & (PAGE_SIZE - 1));
}

/* Leave the block before the operation O. The hooks up to ID have been called. */
static enum hooked leave_before(struct cpu *c, const struct op *o, s32 id)
{
	struct hooks *h = c->all->hooks;
	u64 icount = c->end - (u64)(c->n + o->left);

	resume_behind(c, icount, id);
	c->r[RIP] = op_rip(c, o);
	c->n += o->left;
	if (h->event.kind == HOOK_INSN)
		hook_straight_at(c, icount, c->r[RIP]);
	return HOOKED_LEAVES;
}

/* Go on at RIP in place of the instruction behind O, which counts as retired. */
static enum hooked replace(struct cpu *c, const struct op *o, u64 rip)
{
	c->r[RIP] = rip;
	c->n += o->left - 1;
	return c->attn || *c->all->asked ? HOOKED_LEAVES : HOOKED_ELSEWHERE;
}

COLD enum hooked hook_answered(struct cpu *c, const struct op *o, const struct hook *k, int answer)
{
	struct hooks *h = c->all->hooks;

	if (k->observer && answer != HOOK_STOP)
		answer = HOOK_GO;
	if (c->goes) {
		c->goes = false;
		c->attn &= ~(u32)ATTN_GOES;
		return replace(c, o, c->go_to);
	}
	if (answer == HOOK_SKIP && h->event.kind == HOOK_INSN) {
		hook_straight_at(c, c->end - (u64)(c->n + o->left) + 1, next_rip(c, o));
		return replace(c, o, next_rip(c, o));
	}
	if (answer == HOOK_RETRY) {
		c->r[RIP] = op_rip(c, o);
		c->n += o->left;
		return HOOKED_LEAVES;
	}
	if (answer == HOOK_STOP)
		stop_by(c, k);
	return c->attn || *c->all->asked ? leave_before(c, o, k->id) : HOOKED_ON;
}

/* Call the hooks of KIND from K on that are for the address LINEAR. */
ALWAYS_INLINE enum hooked call_all(struct cpu *c, struct hooks *h, const struct op *o, const struct hook *k, u32 kind,
				   u64 linear, u16 code)
{
	h->event.kind = kind;
	h->event.address = linear;
	for (; k; k = k->next) {
		int answer;

		if (!(k->kinds & kind) || (k->code && k->code != code) ||
		    (unlikely(k->physical) ? code_phys(c, linear) : linear) - k->first > k->span)
			continue;
		if (unlikely(h->resume.on) && called_before(c, k, c->end - (u64)(c->n + o->left), linear))
			continue;
		answer = call(c, h, k);
		if (unlikely(answer | (int)c->attn | (int)*c->all->asked)) {
			enum hooked how = hook_answered(c, o, k, answer);

			if (how != HOOKED_ON)
				return how;
		}
	}
	return HOOKED_ON;
}

ALWAYS_INLINE u64 op_code_linear(const struct cpu *c, const struct op *o)
{
	return (c->r[RIP] + o->ip + c->cs_base) & c->linear_mask;
}

enum hooked hook_insn(struct cpu *c, const struct op *o)
{
	struct hooks *h = c->all->hooks;

	sse_park(c);
	h->event.size = o->len;
	return call_all(c, h, o, o->hook, HOOK_INSN, op_code_linear(c, o), (u16)o->disp);
}

enum hooked hook_edge_called(struct cpu *c, enum hooked how)
{
	struct hooks *h = c->all->hooks;

	h->edge.pending = how == HOOKED_LEAVES && resumes_edge(c, h->edge.icount + 1);
	return how;
}

static enum hooked call_edge(struct cpu *c, const struct op *o, u64 to)
{
	struct hooks *h = c->all->hooks;
	enum hooked how;

	h->event.from = h->edge.from;
	h->event.taken = to != h->edge.next;
	how = call_all(c, h, o, h->first, HOOK_EDGE, to, 0);
	return hook_edge_called(c, how);
}

enum hooked hook_enter(struct cpu *c, const struct op *o)
{
	struct hooks *h = c->all->hooks;
	u64 linear = op_code_linear(c, o), icount = c->end - (u64)(c->n + o->left);
	enum hooked how;

	sse_park(c);
	h->checks = h->resume.on;
	if (unlikely(resumes_edge(c, icount)) && h->resume.steps != clock_steps(c->clock, icount))
		h->edge.pending = false; /* an interruption has come before the instruction that it led to */
	if (h->edge.pending && h->edge.icount + 1 == icount) {
		how = call_edge(c, o, linear);
		if (how != HOOKED_ON)
			return how;
	}
	if ((h->straight.icount == icount && h->straight.rip == op_rip(c, o)) || (c->rep_at && c->rep_at == icount))
		return HOOKED_ON;
	h->event.size = 0;
	return call_all(c, h, o, h->first, HOOK_BLOCK, linear, 0);
}

void hook_edge_now(struct cpu *c)
{
	struct hooks *h = c->all->hooks;
	bool told = h->edge.icount + 1 == c->icount;

	if (resumes_edge(c, c->icount)) /* hook_enter goes on */
		return;
	h->edge.pending = false;
	if (!told)
		return;
	h->event.kind = HOOK_EDGE;
	h->event.address = (c->r[RIP] + c->cs_base) & c->linear_mask;
	h->event.from = h->edge.from;
	h->event.taken = h->event.address != h->edge.next;
	for (const struct hook *k = h->first; k; k = k->next)
		if (k->kinds & HOOK_EDGE && (k->physical ? code_phys(c, h->event.address) : h->event.address) -
		    k->first <= k->span && call(c, h, k) == HOOK_STOP)
			stop_by(c, k);
}

const struct hook *hook_wanted(const struct cpu *c, u32 kinds, unsigned offset, u64 phys, unsigned code)
{
	const struct hook *k = c->all->hooks->first;

	for (; k; k = k->next) {
		u64 into = (offset - k->first) & (PAGE_SIZE - 1);

		if (k->kinds & kinds && (!k->code || k->code == code) &&
		    (k->physical ? phys - k->first <= k->span : into <= k->span))
			return k;
	}
	return NULL;
}

const struct hook *hook_alone(const struct cpu *c, u32 kind, const struct hook *wanted)
{
	for (const struct hook *k = c->all->hooks->first; k; k = k->next)
		if (k->kinds & kind && k != wanted)
			return NULL;
	if (!wanted || wanted->physical || (kind != HOOK_INSN && hooked(c, (HOOK_BLOCK | HOOK_EDGE) & ~kind)))
		return NULL;
	return wanted;
}

/* ---- memory that is missing ---- */

static void undo_flags(struct cpu *c)
{
	const struct hooks *h = c->all->hooks;

	if (h && h->flags.after == place(c) + 1) {
		c->res = h->flags.res;
		c->cv = h->flags.cv;
		c->fix = h->flags.fix;
	}
}

static bool ram_is_at(const struct cpu *c, u64 phys)
{
	u64 end;
	const struct range *r = space_find(c->mem, phys & c->mem->mask, &end);

	return r && r->kind == RANGE_RAM;
}

bool missing_at(const struct cpu *c, u64 phys, enum access access)
{
	u64 end;
	const struct range *r = space_find(c->mem, phys & c->mem->mask, &end);

	if (range_is_hole(r) || r->kind != RANGE_RAM)
		return range_is_hole(r);
	phys = (phys & c->mem->mask) - r->base + r->ram_offset;
	return ram_denied(r->ram, phys >> PAGE_SHIFT) >> access & 1;
}

enum hook_answer missing_stop(struct cpu *c, enum access access, u64 linear, u64 phys, unsigned len)
{
	if (!c->all->missing_stops || (access != ACCESS_FETCH && !c->op))
		return HOOK_GO;
	undo_flags(c);
	c->all->missing.linear = linear;
	c->all->missing.size = len;
	c->all->missing.access = access;
	c->all->missing.denied = ram_is_at(c, phys);
	fault(c, FAULT_MISSING);
	return HOOK_STOP;
}

/* ---- in the middle of an instruction ---- */

/* What the ANSWER of K, given before something was done, comes to. False: the instruction is undone. */
static bool goes_on(struct cpu *c, const struct hook *k, int answer)
{
	struct hooks *h = c->all->hooks;

	if (*c->all->asked)
		attend(c, ATTN_LINE);
	if (answer == HOOK_STOP)
		stop_by(c, k);
	if (answer < HOOK_RETRY || !c->op || h->event.after)
		return true;
	if (answer == HOOK_STOP)
		resume_behind(c, place(c), k->id);
	undo_flags(c);
	fault(c, FAULT_HOOK);
	return false;
}

void hook_keep_flags(struct cpu *c)
{
	struct hooks *h = c->all->hooks;

	h->flags.after = place(c) + 1;
	h->flags.res = c->res;
	h->flags.cv = c->cv;
	h->flags.fix = c->fix;
}

static bool suppressed(const struct cpu *c, const struct hook *k)
{
	const struct hooks *h = c->all->hooks;

	return unlikely(h->resume.on) && called_before(c, k, place(c), h->event.address);
}

u32 hook_page(const struct cpu *c, u64 linear, u64 phys)
{
	u32 kinds = 0;

	for (const struct hook *k = c->all->hooks->first; k; k = k->next)
		if (k->kinds & HOOK_MEMORY && hook_covers(k, (k->physical ? phys : linear) & PAGE_MASK, PAGE_SIZE))
			kinds |= k->kinds & HOOK_MEMORY;
	return kinds;
}

/* Is K for the access? In two pages, physical addresses are those of either. */
static bool is_for(const struct hooks *h, const struct hook *k, u64 linear, u64 phys, unsigned len)
{
	unsigned first = PAGE_SIZE - (phys & (PAGE_SIZE - 1));

	if (likely(!k->physical) || len <= first || !(k->kinds & HOOK_MEMORY))
		return hook_covers(k, k->physical ? phys : linear, len);
	return hook_covers(k, phys, first) || hook_covers(k, h->beyond, len - first);
}

enum hook_answer hook_access(struct cpu *c, u32 kind, bool after, u64 linear, u64 phys, void *data, unsigned len,
			     bool device)
{
	struct hooks *h = c->all->hooks;
	struct hook_event *e = &h->event;
	enum hook_answer done = HOOK_GO;
	u64 value = len <= 8 ? get_size(data, len) : 0;

	if (h->current)
		return HOOK_GO;
	sse_park(c);
	e->kind = kind;
	e->size = len;
	e->address = linear;
	e->physical = phys;
	e->data = data;
	e->write = kind & (HOOK_WRITE | HOOK_OUT | HOOK_MISSING_WRITE);
	e->after = after;
	e->device = device;
	e->denied = kind & HOOK_MISSING && ram_is_at(c, phys);
	for (const struct hook *k = h->first; k; k = k->next) {
		int answer;

		if (!(k->kinds & kind) || k->after != after || !is_for(h, k, linear, phys, len) ||
		    suppressed(c, k))
			continue;
		e->value = value;
		answer = call(c, h, k);
		if (e->value != value && !k->observer && len <= 8 && kind != HOOK_MISSING_WRITE) {
			value = e->value;
			put_size(data, len, value);
		}
		if (unlikely(answer | *c->all->asked)) {
			if (!goes_on(c, k, answer))
				return HOOK_STOP;
			if (answer == HOOK_SKIP)
				done = HOOK_SKIP;
		}
	}
	return done;
}

COLD enum hook_answer hook_access_answered(struct cpu *c, int answer)
{
	struct hooks *h = c->all->hooks;
	const struct hook *k = h->current;

	h->current = NULL;
	if (k->observer)
		h->bytes = h->was;
	else if (h->event.value != h->was)
		h->bytes = trim(h->event.value, h->event.size);
	if (k->observer && answer != HOOK_STOP)
		answer = HOOK_GO;
	return !goes_on(c, k, answer) ? HOOK_STOP : answer == HOOK_SKIP ? HOOK_SKIP : HOOK_GO;
}

static bool call_fetch(struct cpu *c, u64 linear, u64 phys)
{
	struct hooks *h = c->all->hooks;
	bool again = false;

	for (const struct hook *k = h->first; k; k = k->next) {
		int answer;

		if (!(k->kinds & HOOK_MISSING_FETCH) || !hook_covers(k, k->physical ? phys : linear, 1))
			continue;
		h->event = (struct hook_event){ .kind = HOOK_MISSING_FETCH, .address = linear, .physical = phys,
			.denied = ram_is_at(c, phys) };
		if (suppressed(c, k))
			continue;
		sse_park(c);
		answer = call(c, h, k);
		if (answer == HOOK_STOP) {
			stop_by(c, k);
			resume_behind(c, place(c), k->id);
		}
		again |= answer >= HOOK_RETRY || *c->all->asked;
	}
	return !again || fault(c, FAULT_HOOK);
}

bool hook_fetch(struct cpu *c, u64 linear, u64 phys)
{
	if (!missing_at(c, phys, ACCESS_FETCH) || (c->all->hooks && c->all->hooks->current))
		return true;
	if (hooked(c, HOOK_MISSING_FETCH) && !call_fetch(c, linear, phys))
		return false;
	return missing_stop(c, ACCESS_FETCH, linear, phys, 1) == HOOK_GO;
}

enum hook_answer hook_port(struct cpu *c, bool write, bool after, u16 port, unsigned size, u64 *value)
{
	u8 bytes[8];
	enum hook_answer answer;

	put64(bytes, *value);
	answer = hook_access(c, write ? HOOK_OUT : HOOK_IN, after, port, port, bytes, size, false);
	*value = get_size(bytes, size);
	return answer;
}

bool hook_interrupt(struct cpu *c, unsigned vector, enum interrupt_kind kind, u32 error)
{
	struct hooks *h = c->all->hooks;
	bool deliver = true;

	if (h->current)
		return true;
	for (const struct hook *k = h->first; k; k = k->next) {
		int answer;

		if (!(k->kinds & (kind == INT_EXTERNAL ? HOOK_INTERRUPT : HOOK_EXCEPTION)) ||
		    !hook_covers(k, vector, 1))
			continue;
		h->event = (struct hook_event){ .kind = kind == INT_EXTERNAL ? HOOK_INTERRUPT : HOOK_EXCEPTION,
			.address = vector, .value = error, .cause = (u8)kind,
			.name = kind == INT_EXCEPTION && c->fault.vector == vector ? c->fault.why : NULL };
		if (suppressed(c, k))
			continue;
		answer = call(c, h, k);
		if (*c->all->asked)
			attend(c, ATTN_LINE);
		if (answer == HOOK_STOP) {
			stop_by(c, k);
			resume_behind(c, place(c), k->id);
		}
		deliver &= answer == HOOK_GO;
	}
	return deliver;
}

void hook_tell(struct cpu *c, u32 kind, u64 address, u64 value, bool write, const char *name)
{
	struct hooks *h = c->all->hooks;

	if (h->current)
		return;
	for (const struct hook *k = h->first; k; k = k->next) {
		if (!(k->kinds & kind) || !hook_covers(k, address, 1))
			continue;
		sse_park(c);
		h->event = (struct hook_event){ .kind = kind, .address = address, .value = value, .write = write,
			.name = name };
		if (call(c, h, k) == HOOK_STOP)
			stop_by(c, k);
		if (*c->all->asked)
			attend(c, ATTN_LINE);
	}
}
