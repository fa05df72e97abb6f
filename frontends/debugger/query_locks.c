/* SPDX-License-Identifier: MIT */
/* query locks: how long a Linux guest's spin locks, mutexes and semaphores of writers are held, and waited for. The
 * functions are found by their names; the lock is the first argument. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>

#include "debugger.h"

/* TAKES_0, TAKES_1: it has the lock if it returns 0, or not 0. */
enum what { TAKES, TAKES_0, TAKES_1, GIVES };
static const struct function { const char *name, *of; enum what what; } functions[] = {
#define FOUR(name, of, what) \
	{ name, of, what }, { name "_irq", of, what }, { name "_bh", of, what }
	FOUR("_raw_spin_lock", "spin lock", TAKES), { "_raw_spin_lock_irqsave", "spin lock", TAKES },
	FOUR("_raw_spin_unlock", "spin lock", GIVES), { "_raw_spin_unlock_irqrestore", "spin lock", GIVES },
	{ "_raw_spin_trylock", "spin lock", TAKES_1 }, { "_raw_spin_trylock_bh", "spin lock", TAKES_1 },
	FOUR("_raw_write_lock", "rwlock", TAKES), { "_raw_write_lock_irqsave", "rwlock", TAKES },
	FOUR("_raw_write_unlock", "rwlock", GIVES), { "_raw_write_unlock_irqrestore", "rwlock", GIVES },
#undef FOUR
	{ "mutex_lock", "mutex", TAKES }, { "mutex_lock_io", "mutex", TAKES },
	{ "mutex_lock_interruptible", "mutex", TAKES_0 }, { "mutex_lock_killable", "mutex", TAKES_0 },
	{ "mutex_trylock", "mutex", TAKES_1 }, { "mutex_unlock", "mutex", GIVES },
	{ "down_write", "semaphore", TAKES }, { "down_write_killable", "semaphore", TAKES_0 },
	{ "down_write_trylock", "semaphore", TAKES_1 }, { "up_write", "semaphore", GIVES },
	{ "downgrade_write", "semaphore", GIVES },
};
enum { FUNCTIONS = sizeof functions / sizeof *functions, PENDING = 256, HELD = 1024 };

/* A call that has not returned: RSP is where its return address, BACK, lies. */
struct pending { const struct function *f; uint64_t rsp, back, lock, ns; };
struct held { const struct function *f; uint64_t lock, rip, waited; struct vcpu_place since; };

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

static struct held *held_lock(struct locks *l, uint64_t lock)
{
	for (unsigned i = 0; i < l->nheld; i++)
		if (l->held[i].lock == lock)
			return &l->held[i];
	return NULL;
}

static void taken(struct locks *l, const struct pending *p)
{
	vcpu *v = l->s->machine;
	uint64_t result = vcpu_get(v, VCPU_RAX) & 0xffffffff;
	struct held *h = held_lock(l, p->lock);

	if (p->f->what != TAKES && (p->f->what == TAKES_0) != !result)
		return;
	h = h ? h : &l->held[l->nheld < HELD ? l->nheld++ : 0];
	*h = (struct held){ p->f, p->lock, p->back, vcpu_virtual_ns(v) - p->ns, vcpu_where(v) };
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
			taken(l, &l->pending[i]);
			l->pending[i] = l->pending[--l->npending];
			break;
		}
	return VCPU_HOOK_GO;
}

static bool given(struct locks *l, uint64_t lock)
{
	struct held *h = held_lock(l, lock), old;
	struct session *s = l->s;
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
	bool wide;
	uint64_t back = 0, rsp;
	unsigned i;

	(void)e;
	vcpu_select(v, vcpu_running(v));
	wide = vcpu_get(v, VCPU_CODE_BITS) == 64;
	rsp = vcpu_get(v, VCPU_RSP);
	if (at->f->what == GIVES)
		return given(l, vcpu_get(v, wide ? VCPU_RDI : VCPU_RAX)) ? VCPU_HOOK_GO : VCPU_HOOK_STOP;
	vcpu_read_linear(v, rsp, &back, wide ? 8 : 4);
	for (i = 0; i < l->npending && l->pending[i].rsp != rsp; i++)
		; /* one with this place never returned */
	if (i == l->npending)
		i = l->npending < PENDING ? l->npending++ : 0;
	l->pending[i] = (struct pending){ at->f, rsp, back, vcpu_get(v, wide ? VCPU_RDI : VCPU_RAX), vcpu_virtual_ns(v) };
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
