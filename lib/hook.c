/* SPDX-License-Identifier: MIT */
/* Hooks of the caller's. */
#include <stdlib.h>
#include "cpu/hook.h"
#include "cpu/op.h"
#include "cpu/table/isa.h"
#include "lib/machine.h"
#include "lib/vcpu_hook.h"

struct user_hook {
	struct hook hook; /* first: it frees both */
	struct vcpu *v;
	enum vcpu_hook_answer (*call)(void *user, struct vcpu_hook_event *event);
	void *user;
};

#define SAME(kind) ((int)VCPU_HOOK_##kind == HOOK_##kind)
_Static_assert(SAME(EXCEPTION) && SAME(INTERRUPT) && SAME(MSR) && SAME(CR3) && SAME(MODE) && SAME(CLOCK) &&
	SAME(INSN) && SAME(BLOCK) && SAME(EDGE) && SAME(READ) && SAME(WRITE) && SAME(IN) && SAME(OUT) && SAME(EXIT) &&
	SAME(MISSING_READ) && SAME(MISSING_WRITE) && SAME(MISSING_FETCH),
	"enum hook_kind");
_Static_assert(SAME(GO) && SAME(SKIP) && SAME(RETRY) && SAME(STOP), "enum hook_answer");
#undef SAME
#define AT(member) (offsetof(struct vcpu_hook_event, member) == offsetof(struct hook_event, member))
_Static_assert(sizeof(struct vcpu_hook_event) == sizeof(struct hook_event) && AT(kind) && AT(size) && AT(address) &&
	AT(physical) && AT(from) && AT(value) && AT(data) && AT(name) && AT(id) && AT(write) && AT(after) &&
	AT(taken) && AT(device) && AT(cause) && AT(denied), "struct hook_event");
#undef AT
/* So the engine, which knows no header of the API, calls the caller's functions. */
_Static_assert(_Generic((enum vcpu_hook_answer)0, unsigned: 1, default: 0), "struct hook, call");

/* A changer of a machine that is recorded or debugged: what has been called is not called again by a debugger that
 * repeats the run, and an instruction that is skipped is a change as well. */
static unsigned call_repeatable(const struct user_hook *k, struct vcpu_hook_event *event)
{
	struct vcpu *v = k->v;
	const struct cpu *c = machine_running(v);
	const u32 kind = event->kind;
	const int id = k->hook.id;
	unsigned answer;

	if (v->debug && debug_repeats_hook(v->debug, kind, id))
		return HOOK_GO;
	answer = k->call(k->user, event);
	if ((c->goes || (answer == HOOK_SKIP && kind == HOOK_INSN)) && change_room(v, 0))
		machine_changed(v, (struct changed){ CHANGE_SKIP, 0, c->goes ? c->go_to : next_rip(c, c->op), c->step },
				NULL, 0);
	if (v->debug && answer != HOOK_RETRY)
		debug_hook_called(v->debug, kind, id);
	return answer;
}

static unsigned call_changer(void *user, struct vcpu_hook_event *event)
{
	const struct user_hook *k = user;

	return unlikely(k->v->recorder || k->v->debug) ? call_repeatable(k, event) : k->call(k->user, event);
}

static unsigned count(void *user, struct vcpu_hook_event *event)
{
	const struct user_hook *k = user;

	hook_count(&k->hook, event->kind == VCPU_HOOK_EDGE ? event->address ^ event->from >> 1 : event->address);
	return HOOK_GO;
}

/* The code of the instruction with this MNEMONIC; CODE_NONE: there is none. */
static unsigned code_of(const char *mnemonic)
{
	for (unsigned i = 0; i < insn_count; i++)
		if (!strcmp(insn_table[i].mnemonic, mnemonic))
			return insn_table[i].code;
	return CODE_NONE;
}

enum { ALL_KINDS = HOOK_EXCEPTION | HOOK_INTERRUPT | HOOK_TOLD | HOOK_CODE | HOOK_MEMORY | HOOK_IN | HOOK_OUT |
	HOOK_MISSING };

static bool valid_map(const struct vcpu_hook *hook)
{
	return !hook->call && hook->observer && (hook->kinds == HOOK_BLOCK || hook->kinds == HOOK_EDGE) &&
	       hook->map_size && !(hook->map_size & (hook->map_size - 1));
}

static bool valid(struct vcpu *v, const struct vcpu_hook *hook, unsigned *code)
{
	*code = hook->instruction ? code_of(hook->instruction) : CODE_NONE;
	if (!(hook->call || hook->map))
		machine_error(v, "a hook needs a function, or a map");
	else if (hook->map && !valid_map(hook))
		machine_error(v, "a hook with a map has no function, is an observer of blocks or of edges, and its map has "
			      "a power of 2 of bytes");
	else if (!hook->kinds || hook->kinds & ~(unsigned)ALL_KINDS)
		machine_error(v, "there are no hooks of the kinds %x", hook->kinds);
	else if (hook->first > hook->last)
		machine_error(v, "a hook from %llx to %llx: the last address is below the first",
			      (unsigned long long)hook->first, (unsigned long long)hook->last);
	else if (hook->instruction && (hook->kinds != HOOK_INSN || *code == CODE_NONE))
		machine_error(v, hook->kinds != HOOK_INSN ? "a hook of '%s' must be of VCPU_HOOK_INSN alone"
			      : "there is no instruction '%s'", hook->instruction);
	else if (!hook->observer && hook->kinds & ~(unsigned)HOOK_CODE && (v->recorder || v->debug))
		machine_error(v, "of a machine that is %s only hooks before instructions can be no observers",
			      v->recorder ? "recorded" : "debugged");
	else
		return true;
	return false;
}

bool hooks_repeatable(struct vcpu *v)
{
	const struct hooks *h = v->cpu->all->hooks;

	for (unsigned list = 0; h && list < 2; list++)
		for (const struct hook *k = list ? h->added : h->first; k; k = k->next)
			if (k->kinds & ~(u32)HOOK_CODE && !k->observer) {
				machine_error(v, "hook %d may change the machine within an instruction",
					      k->id);
				return false;
			}
	return true;
}

int vcpu_hook_add(vcpu *v, const struct vcpu_hook *given)
{
	struct vcpu_hook copy, *hook = &copy;
	struct user_hook *k;
	unsigned code;

	if (!v)
		return -1;
	if (!given)
		return machine_error(v, "vcpu_hook_add needs a struct vcpu_hook");
	if (!machine_takes(v, "vcpu_hook", hook, sizeof *hook, offsetof(struct vcpu_hook, map), given) ||
	    !valid(v, hook, &code))
		return -1;
	k = calloc(1, sizeof *k);
	if (!k)
		return machine_error(v, "the host has no memory for a hook");
	k->v = v;
	k->call = hook->call;
	k->user = hook->user;
	k->hook = (struct hook){
		.call = hook->map ? count : hook->observer ? hook->call : call_changer,
		.user = hook->map || !hook->observer ? k : hook->user, .map = hook->map,
		.mask = hook->map_size - 1, .kinds = hook->kinds, .first = hook->first,
		.span = hook->last ? hook->last - hook->first : ~(u64)0,
		.physical = hook->physical, .after = hook->after, .observer = hook->observer, .code = (u16)code };
	if (hook_add(v->cpu->all, &k->hook))
		return k->hook.id;
	free(k);
	return machine_error(v, "the host has no memory for a hook");
}

int vcpu_hook_remove(vcpu *v, int id)
{
	if (!v)
		return -1;
	return hook_remove(v->cpu->all, id) ? 0 : machine_error(v, "there is no hook %d", id);
}
