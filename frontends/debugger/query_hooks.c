/* SPDX-License-Identifier: MIT */
/* Questions to a run that hooks answer: accesses by stale entries of the TLB, and times without interrupts. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>

#include "debugger.h"

enum { HOOKS = 12, PAGE = 4096, RFLAGS_IF = 0x200 };

/* Of a processor. LAST is the last instruction or event that may have changed RFLAGS.IF; SINCE: the one that cleared
 * it. */
struct off {
	bool is_off;
	struct vcpu_place since, last;
	uint64_t since_rip, last_rip;
};

struct hooked {
	struct session *s;
	struct query *q;
	uint64_t least;           /* ns */
	struct off *off;          /* one for each processor */
	int ids[HOOKS];
	unsigned count;
};

static bool add(struct hooked *h, unsigned kinds, const char *instruction,
		enum vcpu_hook_answer (*call)(void *user, struct vcpu_hook_event *e))
{
	const struct vcpu_hook hook = { .kinds = kinds, .observer = true, .instruction = instruction, .call = call,
					.user = h };
	int id = vcpu_hook_add(h->s->machine, &hook);

	if (id > 0)
		h->ids[h->count++] = id;
	return id > 0 || complaint(h->s, "%s", error_of(h->s));
}

/* ---- stale entries of the TLB ---- */

static enum vcpu_hook_answer on_access(void *user, struct vcpu_hook_event *e)
{
	struct hooked *h = user;
	vcpu *v = h->s->machine;
	uint64_t physical = 0;
	char text[160], by_tables[24] = "nothing";
	bool there;

	vcpu_select(v, vcpu_running(v));
	there = !vcpu_translate(v, e->address, &physical);
	if (there && physical / PAGE == e->physical / PAGE)
		return VCPU_HOOK_GO;
	if (there)
		snprintf(by_tables, sizeof by_tables, "0x%" PRIx64, physical);
	snprintf(text, sizeof text, "%s of 0x%" PRIx64 ": physical 0x%" PRIx64 " by the TLB, %s by the page tables",
		 e->write ? "write" : "read", e->address, e->physical, by_tables);
	return query_add(h->s, h->q, vcpu_where(v), linear_rip(h->s), e->address, e->size, e->physical, text)
		       ? VCPU_HOOK_GO
		       : VCPU_HOOK_STOP;
}

/* ---- interrupts off ---- */

static enum vcpu_hook_answer on_flags(void *user, struct vcpu_hook_event *e)
{
	struct hooked *h = user;
	vcpu *v = h->s->machine;
	struct off *off = &h->off[vcpu_running(v)];
	bool go = true, is_off;

	(void)e;
	vcpu_select(v, vcpu_running(v));
	is_off = !(vcpu_get(v, VCPU_RFLAGS) & RFLAGS_IF);
	if (is_off && !off->is_off) {
		off->since = off->last;
		off->since_rip = off->last_rip;
	} else if (!is_off && off->is_off && off->last.ns - off->since.ns >= h->least) {
		char to[160], text[256];

		snprintf(text, sizeof text, "%" PRIu64 " ns, %" PRIu64 " instructions, to 0x%" PRIx64 "%s",
			 off->last.ns - off->since.ns, off->last.instructions - off->since.instructions, off->last_rip,
			 symbol_text(h->s, off->last_rip, to, sizeof to));
		go = query_add(h->s, h->q, off->since, off->since_rip, off->last_rip, 0, off->last.ns - off->since.ns,
			       text);
	}
	off->is_off = is_off;
	off->last = vcpu_where(v);
	off->last_rip = linear_rip(h->s);
	return go ? VCPU_HOOK_GO : VCPU_HOOK_STOP;
}

/* ---- both ---- */

struct hooked *hooked_begin(struct session *s, struct query *q, bool stale, uint64_t least)
{
	static const char *const names[] = { "cli", "sti", "popf", "iret", "syscall", "sysret", "sysenter" };
	struct hooked *h = needed(calloc(1, sizeof *h));
	bool ok = true;

	h->s = s;
	h->q = q;
	h->least = least;
	h->off = needed(calloc(vcpu_processors(s->machine), sizeof *h->off));
	if (stale)
		ok = add(h, VCPU_HOOK_READ | VCPU_HOOK_WRITE, NULL, on_access);
	else
		ok = add(h, VCPU_HOOK_INTERRUPT | VCPU_HOOK_EXCEPTION, NULL, on_flags);
	for (unsigned i = 0; ok && !stale && i < sizeof names / sizeof *names; i++)
		ok = add(h, VCPU_HOOK_INSN, names[i], on_flags);
	if (ok)
		return h;
	hooked_end(h);
	return NULL;
}

void hooked_end(struct hooked *h)
{
	for (unsigned i = 0; h && i < h->count; i++)
		vcpu_hook_remove(h->s->machine, h->ids[i]);
	if (h)
		free(h->off);
	free(h);
}
