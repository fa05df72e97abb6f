/* SPDX-License-Identifier: MIT */
/* Hooks. Those of code and memory are hooks of the machine each; for exceptions, ports, missing memory and some
 * instructions the machine has one hook of the engine's, which calls those of the program. */
#include <stdarg.h>
#include <vcpu_debug.h>
#include "shim.h"

static bool matches(const struct hook *h, uint64_t address)
{
	return !h->removed && (h->begin > h->end || (address >= h->begin && address <= h->end));
}

bool is_exit(const uc_engine *uc, uint64_t address)
{
	if (!uc->use_exits)
		return address == uc->level[uc->top].until;
	for (size_t i = 0; i < uc->exit_count; i++)
		if (uc->exits[i] == address)
			return true;
	return false;
}

static enum vcpu_hook_answer end(struct level *l)
{
	l->ended = true;
	return VCPU_HOOK_STOP;
}

static enum vcpu_hook_answer fail(struct level *l, uc_err error)
{
	l->error = error;
	return VCPU_HOOK_STOP;
}

/* ---- code ---- */

static enum vcpu_hook_answer at_exit(void *user, struct vcpu_hook_event *e)
{
	return is_exit(user, e->address) ? end(current(user)) : VCPU_HOOK_GO;
}

static enum vcpu_hook_answer on_code(void *user, struct vcpu_hook_event *e)
{
	struct hook *h = user;

	if (is_exit(h->uc, e->address))
		return end(current(h->uc));
	if (matches(h, e->address))
		h->call.code(h->uc, e->address, e->size, h->data);
	return VCPU_HOOK_GO;
}

/* ---- new edges ---- */

/* The place of ADDRESS, or the free one where it belongs. */
static uint64_t *seen_at(uint64_t *seen, size_t room, uint64_t address)
{
	size_t i = (size_t)(address * 0x9e3779b97f4a7c15 >> 32) & (room - 1);

	while (seen[i] && seen[i] != address)
		i = (i + 1) & (room - 1);
	return &seen[i];
}

/* Is it the first block at ADDRESS? A host without memory forgets. */
static bool is_new(struct edges *s, uint64_t address)
{
	uint64_t *at;

	if (!address) {
		bool new = !s->zero;

		return s->zero = true, new;
	}
	if (2 * (s->count + 1) > s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		uint64_t *seen = calloc(room, sizeof *seen);

		if (!seen)
			return true;
		for (size_t i = 0; i < s->room; i++)
			if (s->seen[i])
				*seen_at(seen, room, s->seen[i]) = s->seen[i];
		free(s->seen);
		s->seen = seen;
		s->room = room;
	}
	at = seen_at(s->seen, s->room, address);
	if (*at)
		return false;
	*at = address;
	s->count++;
	return true;
}

static enum vcpu_hook_answer on_edge(void *user, struct vcpu_hook_event *e)
{
	struct hook *h = user;
	uc_tb *block = &h->edges.block, before = *block;

	*block = (uc_tb){ .pc = e->address };
	if (!is_exit(h->uc, e->address) && is_new(&h->edges, e->address) && before.icount && matches(h, e->address))
		h->call.edge(h->uc, &(uc_tb){ .pc = e->address }, &before, h->data);
	return VCPU_HOOK_GO;
}

static enum vcpu_hook_answer on_edge_code(void *user, struct vcpu_hook_event *e)
{
	uc_tb *block = &((struct hook *)user)->edges.block;

	block->icount++;
	block->size = (uint16_t)(block->size + e->size);
	return VCPU_HOOK_GO;
}

void edges_start(uc_engine *uc)
{
	for (struct hook *h = uc->hooks; h; h = h->next)
		h->edges.block.icount = 0;
}

/* ---- instructions ---- */

static enum vcpu_hook_answer on_instruction(uc_engine *uc, const struct vcpu_hook_event *e, int instruction)
{
	enum vcpu_hook_answer answer = instruction == UC_X86_INS_CPUID ? VCPU_HOOK_GO : VCPU_HOOK_SKIP;

	if (is_exit(uc, e->address))
		return end(current(uc));
	for (struct hook *h = uc->hooks; h; h = h->next) {
		if (!(h->type & UC_HOOK_INSN) || h->instruction != instruction || !matches(h, e->address))
			continue;
		if (instruction != UC_X86_INS_CPUID)
			h->call.syscall(uc, h->data);
		else if (h->call.cpuid(uc, h->data))
			answer = VCPU_HOOK_SKIP;
	}
	return answer;
}

static enum vcpu_hook_answer on_syscall(void *user, struct vcpu_hook_event *e)
{
	return on_instruction(user, e, UC_X86_INS_SYSCALL);
}

static enum vcpu_hook_answer on_sysenter(void *user, struct vcpu_hook_event *e)
{
	return on_instruction(user, e, UC_X86_INS_SYSENTER);
}

static enum vcpu_hook_answer on_cpuid(void *user, struct vcpu_hook_event *e)
{
	return on_instruction(user, e, UC_X86_INS_CPUID);
}

static enum vcpu_hook_answer on_port(void *user, struct vcpu_hook_event *e)
{
	uc_engine *uc = user;
	const int instruction = e->kind == VCPU_HOOK_OUT ? UC_X86_INS_OUT : UC_X86_INS_IN;
	uint32_t port = (uint32_t)e->address, value = 0;

	for (struct hook *h = uc->hooks; h; h = h->next) {
		if (!(h->type & UC_HOOK_INSN) || h->instruction != instruction ||
		    !matches(h, instruction_pointer(machine(uc), uc->mode)))
			continue;
		if (instruction == UC_X86_INS_OUT)
			h->call.out(uc, port, (int)e->size, (uint32_t)e->value, h->data);
		else
			value = h->call.in(uc, port, (int)e->size, h->data);
	}
	if (instruction == UC_X86_INS_IN)
		e->value = value;
	return VCPU_HOOK_SKIP;
}

/* ---- memory ---- */

/* In pieces of at most 8 bytes, as Unicorn has them. */
static enum vcpu_hook_answer on_memory(void *user, struct vcpu_hook_event *e)
{
	struct hook *h = user;
	uc_mem_type type = e->after ? UC_MEM_READ_AFTER : e->write ? UC_MEM_WRITE : UC_MEM_READ;

	for (unsigned done = 0, size; done < e->size; done += size) {
		uint64_t value = 0;

		size = e->size - done < 8 ? e->size - done : 8;
		if (type != UC_MEM_READ)
			memcpy(&value, (uint8_t *)e->data + done, size);
		if (matches(h, e->address + done))
			h->call.memory(h->uc, type, e->address + done, (int)size, (int64_t)value, h->data);
	}
	return VCPU_HOOK_GO;
}

/* The kinds of an access that finds no memory, or one that does not allow it. */
struct refusal { int hook; uc_mem_type type; uc_err error; uint32_t need; };

static struct refusal refusal(bool write, bool fetch, bool there)
{
	static const struct refusal all[2][3] = {
		{ { UC_HOOK_MEM_READ_UNMAPPED, UC_MEM_READ_UNMAPPED, UC_ERR_READ_UNMAPPED, UC_PROT_READ },
		  { UC_HOOK_MEM_WRITE_UNMAPPED, UC_MEM_WRITE_UNMAPPED, UC_ERR_WRITE_UNMAPPED, UC_PROT_WRITE },
		  { UC_HOOK_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_UNMAPPED, UC_ERR_FETCH_UNMAPPED, UC_PROT_EXEC } },
		{ { UC_HOOK_MEM_READ_PROT, UC_MEM_READ_PROT, UC_ERR_READ_PROT, UC_PROT_READ },
		  { UC_HOOK_MEM_WRITE_PROT, UC_MEM_WRITE_PROT, UC_ERR_WRITE_PROT, UC_PROT_WRITE },
		  { UC_HOOK_MEM_FETCH_PROT, UC_MEM_FETCH_PROT, UC_ERR_FETCH_PROT, UC_PROT_EXEC } } };

	return all[there][fetch ? 2 : write];
}

/* Ask the program's hooks. True: one of them has made the access possible, or has gone elsewhere. */
static bool mended(uc_engine *uc, const struct refusal *r, uint64_t address, unsigned size, uint64_t value)
{
	for (struct hook *h = uc->hooks; h; h = h->next) {
		const struct region *region;

		if (!(h->type & r->hook) || !matches(h, address) ||
		    !h->call.missing(uc, r->type, address, (int)size, (int64_t)value, h->data))
			continue;
		region = region_at(uc, address);
		return current(uc)->goes || (region && region->perms & r->need);
	}
	return false;
}

static bool do_mmio(uc_engine *uc, const struct region *region, struct vcpu_hook_event *e)
{
	uint64_t value = 0;

	if (!region || region->host || e->kind == VCPU_HOOK_MISSING_FETCH ||
	    !(region->perms & (e->write ? UC_PROT_WRITE : UC_PROT_READ)))
		return false;
	if (e->write || e->size > sizeof value)
		return memory_access(uc, e->address, e->data, e->size, e->write);
	if (!memory_access(uc, e->address, &value, e->size, false))
		return false;
	e->value = value;
	return true;
}

static enum vcpu_hook_answer on_missing(void *user, struct vcpu_hook_event *e)
{
	uc_engine *uc = user;
	struct level *l = current(uc);
	const struct region *region = region_at(uc, e->address);
	const bool fetch = e->kind == VCPU_HOOK_MISSING_FETCH;
	struct refusal r = refusal(e->kind == VCPU_HOOK_MISSING_WRITE, fetch, region != NULL);

	if (do_mmio(uc, region, e))
		return VCPU_HOOK_SKIP;
	if (fetch && is_exit(uc, instruction_pointer(l->v, uc->mode)))
		return end(l);
	if (!mended(uc, &r, e->address, fetch ? 1 : e->size, e->kind == VCPU_HOOK_MISSING_WRITE ? e->value : 0))
		return fail(l, r.error);
	return l->goes ? VCPU_HOOK_STOP : VCPU_HOOK_RETRY;
}

/* ---- exceptions ---- */

enum { DB = 1, UD = 6, PF = 14, PF_WRITE = 2, PF_FETCH = 16 };

static bool taken_as_invalid(uc_engine *uc)
{
	for (struct hook *h = uc->hooks; h; h = h->next)
		if (h->type & UC_HOOK_INSN_INVALID && !h->removed && h->call.invalid(uc, h->data))
			return true;
	return false;
}

/* Programs find the instruction pointer behind INT n, INT3, INTO and INT1. */
static void go_behind(uc_engine *uc)
{
	vcpu *v = machine(uc);
	uint64_t at = instruction_pointer(v, uc->mode);
	uint8_t byte = 0;

	while (memory_access(uc, at++, &byte, 1, false) && byte != 0xcc && byte != 0xce && byte != 0xf1)
		if (byte == 0xcd) { /* the others are prefixes */
			at++;
			break;
		}
	go_to(v, uc->mode, at);
}

static enum vcpu_hook_answer on_exception(void *user, struct vcpu_hook_event *e)
{
	uc_engine *uc = user;
	struct level *l = current(uc);
	bool taken = false;

	if (e->address == UD)
		return taken_as_invalid(uc) ? VCPU_HOOK_SKIP : fail(l, UC_ERR_INSN_INVALID);
	if (e->address == PF && paging_fill(uc, l->v, vcpu_get(l->v, VCPU_CR2)))
		return VCPU_HOOK_SKIP;
	if (e->address == PF && uc->mode == UC_MODE_64) { /* addresses that the processor lacks */
		struct refusal r = refusal(e->value & PF_WRITE, e->value & PF_FETCH, false);
		uint64_t address = vcpu_get(l->v, VCPU_CR2);

		mended(uc, &r, address, 1, 0);
		return l->goes ? VCPU_HOOK_STOP : fail(l, r.error);
	}
	for (struct hook *h = uc->hooks; h; h = h->next) {
		if (!(h->type & UC_HOOK_INTR) || h->removed)
			continue;
		if (!taken && e->cause >= VCPU_CAUSE_INT)
			go_behind(uc);
		h->call.interrupt(uc, (uint32_t)e->address, h->data);
		taken = true;
	}
	return taken ? VCPU_HOOK_SKIP : fail(l, UC_ERR_EXCEPTION);
}

/* ---- the machine's hooks ---- */

static bool add(vcpu *v, int *id, struct vcpu_hook hook)
{
	if (*id > 0)
		vcpu_hook_remove(v, *id);
	*id = vcpu_hook_add(v, &hook);
	return *id > 0;
}

/* A range to LAST for the machine, to which 0 to 0 is all addresses: the callbacks look again. */
static uint64_t last_of(uint64_t last) { return last ? last : 1; }

static bool install(struct hook *h, unsigned n)
{
	static const struct {
		int type;
		unsigned kind;
		bool after;
		enum vcpu_hook_answer (*call)(void *user, struct vcpu_hook_event *e);
	} parts[HOOK_PARTS] = {
		{ UC_HOOK_CODE, VCPU_HOOK_INSN, false, on_code },
		{ UC_HOOK_BLOCK, VCPU_HOOK_BLOCK, false, on_code },
		{ UC_HOOK_MEM_READ, VCPU_HOOK_READ, false, on_memory },
		{ UC_HOOK_MEM_WRITE, VCPU_HOOK_WRITE, false, on_memory },
		{ UC_HOOK_MEM_READ_AFTER, VCPU_HOOK_READ, true, on_memory },
		{ UC_HOOK_EDGE_GENERATED, VCPU_HOOK_BLOCK, false, on_edge },
		{ UC_HOOK_EDGE_GENERATED, VCPU_HOOK_INSN, false, on_edge_code },
	};
	bool all = h->begin > h->end || h->type & UC_HOOK_EDGE_GENERATED; /* edges that are not told have blocks, too */

	for (unsigned i = 0; i < HOOK_PARTS; i++)
		if (h->type & parts[i].type && !h->removed &&
		    !add(h->uc->level[n].v, &h->ids[n][i], (struct vcpu_hook){
			.kinds = parts[i].kind, .after = parts[i].after, .first = all ? 0 : h->begin,
			.last = all ? 0 : last_of(h->end), .call = parts[i].call, .user = h }))
			return false;
	return true;
}

bool hooks_install(uc_engine *uc, unsigned n)
{
	const struct vcpu_hook own[] = {
		{ .kinds = VCPU_HOOK_EXCEPTION, .call = on_exception, .user = uc },
		{ .kinds = VCPU_HOOK_MISSING_READ | VCPU_HOOK_MISSING_WRITE | VCPU_HOOK_MISSING_FETCH,
		  .call = on_missing, .user = uc },
		{ .kinds = VCPU_HOOK_IN | VCPU_HOOK_OUT, .call = on_port, .user = uc },
		{ .kinds = VCPU_HOOK_INSN, .instruction = "syscall", .call = on_syscall, .user = uc },
		{ .kinds = VCPU_HOOK_INSN, .instruction = "sysenter", .call = on_sysenter, .user = uc },
		{ .kinds = VCPU_HOOK_INSN, .instruction = "cpuid", .call = on_cpuid, .user = uc },
	};
	struct level *l = &uc->level[n];

	for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
		if (!add(l->v, &l->own[i], own[i]))
			return false;
	for (struct hook *h = uc->hooks; h; h = h->next)
		if (!install(h, n))
			return false;
	return true;
}

bool exits_install(uc_engine *uc, unsigned n)
{
	struct level *l = &uc->level[n];
	const uint64_t *wanted = uc->use_exits ? uc->exits : &l->until;
	size_t count = uc->use_exits ? uc->exit_count : 1, i = 0;
	struct exit_hook *exits;

	while (i < count && i < l->exit_count && l->exits[i].address == wanted[i])
		i++;
	if (i == count && i == l->exit_count)
		return true;
	for (i = 0; i < l->exit_count; i++)
		vcpu_hook_remove(l->v, l->exits[i].id);
	l->exit_count = 0;
	exits = realloc(l->exits, count * sizeof *exits + 1);
	if (!exits)
		return false;
	l->exits = exits;
	for (i = 0; i < count; i++) {
		exits[i] = (struct exit_hook){ wanted[i], 0 };
		if (!add(l->v, &exits[i].id, (struct vcpu_hook){ .kinds = VCPU_HOOK_INSN, .first = wanted[i],
				.last = last_of(wanted[i]), .call = at_exit, .user = uc }))
			return false;
		l->exit_count++;
	}
	return true;
}

/* ---- the program's ---- */

static bool known(int type, int instruction)
{
	if (!type || type & UC_HOOK_TCG_OPCODE || type >> 17)
		return false;
	return !(type & UC_HOOK_INSN) || instruction == UC_X86_INS_IN || instruction == UC_X86_INS_OUT ||
	       instruction == UC_X86_INS_SYSCALL || instruction == UC_X86_INS_SYSENTER ||
	       instruction == UC_X86_INS_CPUID;
}

uc_err uc_hook_add(uc_engine *uc, uc_hook *result, int type, void *callback, void *user_data, uint64_t begin,
		   uint64_t end, ...)
{
	struct hook *h, **at = &uc->hooks;
	int instruction = 0;
	va_list args;

	if (type & UC_HOOK_INSN) {
		va_start(args, end);
		instruction = va_arg(args, int);
		va_end(args);
	}
	if (!known(type, instruction))
		return UC_ERR_HOOK;
	h = calloc(1, sizeof *h);
	if (!h)
		return UC_ERR_NOMEM;
	*h = (struct hook){ .uc = uc, .type = type, .instruction = instruction, .call.any = callback, .data = user_data,
			    .begin = begin, .end = end };
	while (*at)
		at = &(*at)->next;
	*at = h;
	*result = (uc_hook)h;
	for (unsigned n = 0; n <= uc->top; n++)
		if (!install(h, n)) {
			uc_hook_del(uc, *result);
			return UC_ERR_NOMEM;
		}
	return UC_ERR_OK;
}

/* It is freed with the engine: a callback of it may be running. */
uc_err uc_hook_del(uc_engine *uc, uc_hook hook)
{
	for (struct hook *h = uc->hooks; h; h = h->next) {
		if ((uc_hook)h != hook || h->removed)
			continue;
		h->removed = true;
		for (unsigned n = 0; n <= uc->top; n++)
			for (unsigned i = 0; i < HOOK_PARTS; i++)
				if (h->ids[n][i] > 0)
					vcpu_hook_remove(uc->level[n].v, h->ids[n][i]);
		return UC_ERR_OK;
	}
	return UC_ERR_HOOK;
}

void hooks_free(uc_engine *uc)
{
	while (uc->hooks) {
		struct hook *h = uc->hooks;

		uc->hooks = h->next;
		free(h->edges.seen);
		free(h);
	}
}
