/* SPDX-License-Identifier: MIT */
/* query locks: how long a Linux guest's spin locks, mutexes, rwlocks and semaphores of readers and writers are held,
 * and waited for. The functions are found by their names; the lock is the first argument. A lock can have many readers:
 * each is known by its stack. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>

#include "debugger.h"

/* TAKES_0, TAKES_1: it has the lock if it returns 0, or not 0. DOWNGRADES: the writer becomes a reader. */
enum what { TAKES, TAKES_0, TAKES_1, GIVES, DOWNGRADES };
static const struct function { const char *name, *of; enum what what; bool reader; } functions[] = {
#define FOUR(name, last, of, what, reader) \
	{ name, of, what, reader }, { name "_irq", of, what, reader }, { name "_bh", of, what, reader }, \
	{ name last, of, what, reader }
	FOUR("_raw_spin_lock", "_irqsave", "spin lock", TAKES, false),
	FOUR("_raw_spin_unlock", "_irqrestore", "spin lock", GIVES, false),
	{ "_raw_spin_trylock", "spin lock", TAKES_1, false }, { "_raw_spin_trylock_bh", "spin lock", TAKES_1, false },
	FOUR("_raw_write_lock", "_irqsave", "rwlock", TAKES, false),
	FOUR("_raw_write_unlock", "_irqrestore", "rwlock", GIVES, false),
	{ "_raw_write_trylock", "rwlock", TAKES_1, false },
	FOUR("_raw_read_lock", "_irqsave", "rwlock (reader)", TAKES, true),
	FOUR("_raw_read_unlock", "_irqrestore", "rwlock (reader)", GIVES, true),
	{ "_raw_read_trylock", "rwlock (reader)", TAKES_1, true },
#undef FOUR
	{ "mutex_lock", "mutex", TAKES, false }, { "mutex_lock_io", "mutex", TAKES, false },
	{ "mutex_lock_interruptible", "mutex", TAKES_0, false }, { "mutex_lock_killable", "mutex", TAKES_0, false },
	{ "mutex_trylock", "mutex", TAKES_1, false }, { "mutex_unlock", "mutex", GIVES, false },
	{ "down_write", "semaphore", TAKES, false }, { "down_write_killable", "semaphore", TAKES_0, false },
	{ "down_write_trylock", "semaphore", TAKES_1, false }, { "up_write", "semaphore", GIVES, false },
	{ "down_read", "semaphore (reader)", TAKES, true },
	{ "down_read_interruptible", "semaphore (reader)", TAKES_0, true },
	{ "down_read_killable", "semaphore (reader)", TAKES_0, true },
	{ "down_read_trylock", "semaphore (reader)", TAKES_1, true },
	{ "up_read", "semaphore (reader)", GIVES, true },
	{ "downgrade_write", "semaphore (reader)", DOWNGRADES, false },
};
enum { FUNCTIONS = sizeof functions / sizeof *functions, PENDING = 256, HELD = 1024, STACK_SHIFT = 14 };

/* A call that has not returned: RSP is where its return address, BACK, lies. */
struct pending { const struct function *f; uint64_t rsp, back, lock, ns; };
struct held { const struct function *f; bool reader; uint64_t lock, stack, rip, waited; struct vcpu_place since; };

struct hooked_function { struct locks *of; const struct function *f; };
struct locks {
	struct session *s;
	struct query *q;
	uint64_t least;                /* ns */
	struct hooked_function function[FUNCTIONS];
	int ids[FUNCTIONS + 1];
	unsigned nids;
	struct pending pending[PENDING];
	unsigned npending;
	struct held held[HELD];
	unsigned nheld;
};

static bool add(struct locks *l, const struct vcpu_hook *hook)
{
	int id = vcpu_hook_add(l->s->machine, hook);

	if (id > 0)
		l->ids[l->nids++] = id;
	return id > 0;
}

/* LOCK by a writer; or by the reader with STACK, who took it last; or by any reader, who gives what another took. */
static struct held *held_lock(struct locks *l, uint64_t lock, bool reader, uint64_t stack)
{
	struct held *found = NULL;

	for (struct held *h = l->held; h < l->held + l->nheld; h++) {
		if (h->lock != lock || h->reader != reader)
			continue;
		if (!found || !reader || (h->stack == stack) > (found->stack == stack) ||
		    ((h->stack == stack) == (found->stack == stack) &&
		     h->since.instructions > found->since.instructions))
			found = h;
	}
	return found;
}

/* F has taken LOCK and is to return to RIP. */
static void taken(struct locks *l, const struct function *f, bool reader, uint64_t lock, uint64_t rip, uint64_t waited)
{
	vcpu *v = l->s->machine;
	struct held *h = reader ? NULL : held_lock(l, lock, false, 0);

	h = h ? h : &l->held[l->nheld < HELD ? l->nheld++ : 0];
	*h = (struct held){ f, reader, lock, vcpu_get(v, VCPU_RSP) >> STACK_SHIFT, rip, waited, vcpu_where(v) };
}

static void returned_from(struct locks *l, const struct pending *p)
{
	vcpu *v = l->s->machine;
	uint64_t result = vcpu_get(v, VCPU_RAX) & 0xffffffff;

	if (p->f->what == TAKES || (p->f->what == TAKES_0) == !result)
		taken(l, p->f, p->f->reader, p->lock, p->back, vcpu_virtual_ns(v) - p->ns);
}

/* A RET, of whatever function: is it the one that returns from one of the calls? */
static enum vcpu_hook_answer on_return(void *user, struct vcpu_hook_event *e)
{
	struct locks *l = user;
	vcpu *v = l->s->machine;
	uint64_t rsp;

	(void)e;
	if (!l->npending)
		return VCPU_HOOK_GO;
	vcpu_select(v, vcpu_running(v));
	rsp = vcpu_get(v, VCPU_RSP);
	for (unsigned i = l->npending; i-- > 0;)
		if (l->pending[i].rsp == rsp) {
			returned_from(l, &l->pending[i]);
			l->pending[i] = l->pending[--l->npending];
			break;
		}
	return VCPU_HOOK_GO;
}

static bool given(struct locks *l, uint64_t lock, bool reader)
{
	struct session *s = l->s;
	struct held *h = held_lock(l, lock, reader, vcpu_get(s->machine, VCPU_RSP) >> STACK_SHIFT), old;
	char name[160], to[160], text[512];
	uint64_t ns, rip = linear_rip(s);

	if (!h)
		return true;
	old = *h;
	*h = l->held[--l->nheld];
	ns = vcpu_virtual_ns(s->machine) - old.since.ns;
	if (ns < l->least && old.waited < l->least)
		return true;
	snprintf(text, sizeof text,
		 "%s 0x%" PRIx64 "%s: held for %" PRIu64 " ns, waited for %" PRIu64 " ns, to 0x%" PRIx64 "%s", old.f->of,
		 lock, symbol_text(s, lock, name, sizeof name), ns, old.waited, rip,
		 symbol_text(s, rip, to, sizeof to));
	return query_add(s, l->q, old.since, old.rip, lock, 0, ns, text);
}

static enum vcpu_hook_answer on_entry(void *user, struct vcpu_hook_event *e)
{
	const struct hooked_function *at = user;
	struct locks *l = at->of;
	vcpu *v = l->s->machine;
	uint64_t back = 0, rsp, lock;
	unsigned i;
	bool wide, ok = true;

	(void)e;
	vcpu_select(v, vcpu_running(v));
	wide = vcpu_get(v, VCPU_CODE_BITS) == 64;
	rsp = vcpu_get(v, VCPU_RSP);
	lock = vcpu_get(v, wide ? VCPU_RDI : VCPU_RAX);
	vcpu_read_linear(v, rsp, &back, wide ? 8 : 4);
	if (at->f->what == GIVES || at->f->what == DOWNGRADES)
		ok = given(l, lock, at->f->reader);
	if (at->f->what == DOWNGRADES)
		taken(l, at->f, true, lock, back, 0);
	if (at->f->what == GIVES || at->f->what == DOWNGRADES)
		return ok ? VCPU_HOOK_GO : VCPU_HOOK_STOP;
	for (i = 0; i < l->npending && l->pending[i].rsp != rsp; i++)
		; /* one with this place never returned */
	if (i == l->npending)
		i = l->npending < PENDING ? l->npending++ : 0;
	l->pending[i] = (struct pending){ at->f, rsp, back, lock, vcpu_virtual_ns(v) };
	return VCPU_HOOK_GO;
}

struct locks *locks_begin(struct session *s, struct query *q, uint64_t least)
{
	struct locks *l = needed(calloc(1, sizeof *l));
	bool ok = true;

	l->s = s;
	l->q = q;
	l->least = least;
	for (unsigned i = 0; ok && i < FUNCTIONS; i++) {
		const struct symbol *y = symbol_by_name(s, functions[i].name);
		bool again = false;

		for (unsigned k = 0; y && k < i; k++) {
			const struct symbol *other = symbol_by_name(s, functions[k].name);

			again |= other && other->address == y->address;
		}
		l->function[i] = (struct hooked_function){ l, &functions[i] };
		if (y && !again)
			ok = add(l, &(struct vcpu_hook){ .kinds = VCPU_HOOK_INSN, .first = y->address, .last = y->address,
							 .observer = true, .call = on_entry, .user = &l->function[i] });
	}
	ok = ok && (!l->nids || add(l, &(struct vcpu_hook){ .kinds = VCPU_HOOK_INSN, .instruction = "ret",
							    .observer = true, .call = on_return, .user = l }));
	if (ok && l->nids)
		return l;
	complaint(s, "%s", ok ? "query locks: there are no functions of Linux's locks among the symbols: symbols kallsyms "
				"reads them"
			      : error_of(s));
	locks_end(l);
	return NULL;
}

void locks_end(struct locks *l)
{
	for (unsigned i = 0; l && i < l->nids; i++)
		vcpu_hook_remove(l->s->machine, l->ids[i]);
	free(l);
}
