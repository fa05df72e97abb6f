/* SPDX-License-Identifier: MIT */
/* Which instruction has set a register: a hook before each instruction of a part of the run, and the columns of the
 * instruction table. */
#include <stdlib.h>
#include "cpu/hook.h"
#include "cpu/operand.h"
#include "lib/debug.h"
#include "lib/vcpu_hook.h"

/* ---- the next instruction ---- */

/* Vectors are named by the whole register that the processor has. */
static int vector_number(const struct cpu *c, unsigned n)
{
	return (has(c->model, F_AVX512F) ? ZMM : has(c->model, F_AVX) ? YMM : XMM) + (int)n;
}

/* The register of the API that L is in. */
static int register_number(const struct cpu *c, const struct location *l)
{
	switch (l->kind) {
	case IN_GENERAL: return VCPU_RAX + (int)l->reg;
	case IN_VECTOR: return vector_number(c, l->reg);
	case IN_MASK: return MASK + (int)l->reg;
	default: return -1;
	}
}

int vcpu_debug_whole(const vcpu_debug *d, int reg, unsigned *first)
{
	unsigned family = (unsigned)reg / PART * PART;

	if (!d || !register_row(reg))
		return -1;
	if (first)
		*first = reg < XMM && (unsigned)reg / PART == PART_HIGH;
	if (family == XMM || family == YMM || family == ZMM)
		return vector_number(machine_selected(d->v), (unsigned)reg % PART);
	return reg < XMM ? reg % PART : reg;
}

static bool decode_at(struct vcpu *v, const struct cpu *c, u64 linear, struct dec *d, struct op *o)
{
	u64 physical;
	u8 code[EARLY_BYTES];
	size_t len = 0, room;

	while (len < sizeof code && page_peek(c, linear + len, &physical)) {
		room = PAGE_SIZE - (physical & (PAGE_SIZE - 1));
		room = room < sizeof code - len ? room : sizeof code - len;
		if (vcpu_read_physical(v, physical, code + len, room) != room)
			break;
		len += room;
	}
	return decode(c->isa, c->model, c->mode, code, (unsigned)len, d, o) == DECODE_OK && d->row;
}

bool vcpu_debug_instruction(const vcpu_debug *d, struct vcpu_debug_instruction *out)
{
	struct location where[LOCATIONS];
	const struct cpu *c;
	struct dec dec;
	struct op o;

	if (!d || !out)
		return false;
	c = machine_selected(d->v);
	if (!decode_at(d->v, c, (c->r[RIP] + c->cs_base) & c->linear_mask, &dec, &o))
		return false;
	*out = (struct vcpu_debug_instruction){ .size = dec.len,
						.row = (unsigned)(dec.row->insn - insn_table),
						.copies = dec.row->insn->copies,
						.repeated = dec.rep && dec.row->insn->rep };
	out->count = operands(c, &dec, &o, where);
	for (unsigned i = 0; i < out->count; i++)
		out->operands[i] =
			(struct vcpu_debug_operand){ .kind = where[i].kind == IN_MEMORY      ? VCPU_OPERAND_MEMORY
							     : where[i].kind == IN_IMMEDIATE ? VCPU_OPERAND_IMMEDIATE
							     : where[i].kind == IN_OTHER     ? VCPU_OPERAND_OTHER
											     : VCPU_OPERAND_REGISTER,
						     .reg = register_number(c, &where[i]),
						     .first = where[i].first,
						     .size = where[i].size,
						     .value = where[i].value,
						     .written = where[i].written };
	return true;
}

/* ---- who has set a register ---- */

enum { CACHED = 4096 };

struct search {
	struct vcpu *v;
	struct cpu *cpu;
	int reg;
	enum location_kind kind;
	unsigned n;
	size_t size;
	/* The last instruction or delivery that may set it, and the value before that. */
	struct {
		bool any, writes;
		u32 event;
		u64 vector, rip;
		struct vcpu_place at;
		u8 value[64];
	} last;
	/* The last one that has. */
	struct vcpu_debug_stop found;
	bool any;
	struct known {
		u64 linear, mode;
		u8 code[INSN_BYTES];
		bool any, writes;
	} known[CACHED];
};

static void value_now(const struct search *s, u8 value[64])
{
	memset(value, 0, 64);
	if (s->kind == IN_GENERAL)
		put64(value, s->n < EGPR ? s->cpu->r[s->n] : s->cpu->egpr[s->n - EGPR]);
	else
		vcpu_get_register(s->v, s->reg, value);
}

/* ICOUNT instructions have retired. Has what is noted in `last' set it? */
static void settle(struct search *s, u64 icount)
{
	u8 value[64];

	if (!s->last.any)
		return;
	s->last.any = false;
	value_now(s, value);
	if (!(s->last.writes && (s->last.event || icount > s->last.at.instructions)) &&
	    !memcmp(value, s->last.value, s->size))
		return;
	s->any = true;
	s->found = (struct vcpu_debug_stop){ .what = s->last.event ? VCPU_DEBUG_EVENT : VCPU_DEBUG_THERE,
					     .event = s->last.event,
					     .address = s->last.vector,
					     .rip = s->last.rip,
					     .when = s->last.at };
}

/* What the instruction at LINEAR does to it. */
static bool writes(struct search *s, u64 linear)
{
	struct known *k = &s->known[linear % CACHED];
	u8 code[INSN_BYTES] = { 0 };
	u64 physical;
	struct dec d;
	struct op o;

	if (s->kind == IN_OTHER)
		return false;
	if (page_peek(s->cpu, linear, &physical) && (physical & (PAGE_SIZE - 1)) <= PAGE_SIZE - sizeof code) {
		vcpu_read_physical(s->v, physical, code, sizeof code);
		if (k->any && k->linear == linear && k->mode == s->cpu->mode && !memcmp(k->code, code, sizeof code))
			return k->writes;
	}
	*k = (struct known){ .linear = linear, .mode = s->cpu->mode, .any = true };
	memcpy(k->code, code, sizeof code);
	if (decode_at(s->v, s->cpu, linear, &d, &o)) {
		struct written w = operands_written(&d);

		k->writes = (s->kind == IN_GENERAL  ? w.general
			     : s->kind == IN_VECTOR ? w.vectors
						    : w.masks) >>
				    s->n &
			    1;
	}
	return k->writes;
}

static unsigned each(void *user, struct vcpu_hook_event *event)
{
	struct search *s = user;
	struct cpu *c = cpus_running(s->v->cpu->all);
	bool code = event->kind == VCPU_HOOK_INSN,
	     cr2 = event->kind == VCPU_HOOK_EXCEPTION && event->address == 14 && s->reg == VCPU_CR2;
	u64 icount, rip;
	u32 steps;

	if (c != s->cpu)
		return HOOK_GO;
	icount = observe_place(c, &rip);
	steps = clock_steps(c->clock, icount);
	if (cr2) /* the page fault has set it already */
		s->last.any = false;
	settle(s, icount);
	s->last.any = true;
	s->last.event = code ? 0 : event->kind;
	s->last.vector = s->last.event ? event->address : 0;
	s->last.rip = code ? event->address : rip;
	/* a delivery is a step, which counts before the hook is called */
	s->last.at = (struct vcpu_place){ icount, steps - (!code && steps), 0 };
	s->last.writes = cr2 || (code && writes(s, event->address));
	value_now(s, s->last.value);
	return HOOK_GO;
}

static bool has_found(void *search)
{
	struct search *s = search;

	settle(s, vcpu_instructions(s->v));
	return s->any;
}

/* The register that is searched for. */
static bool take_register(struct search *s, const vcpu_debug *d, int reg)
{
	unsigned family = (unsigned)reg / PART * PART;

	s->reg = vcpu_debug_whole(d, reg, NULL);
	if (s->reg < 0 || s->reg == VCPU_RIP || s->reg == VCPU_TSC)
		return false;
	s->size = vcpu_register_size(s->reg);
	s->n = s->reg >= VCPU_R16 && s->reg <= VCPU_R31 ? EGPR + (unsigned)(s->reg - VCPU_R16) : (unsigned)reg % PART;
	s->kind = s->n < EGPR + EGPRS && s->reg < XMM && (s->reg <= VCPU_R15 || s->reg >= VCPU_R16) ? IN_GENERAL
		  : family == XMM || family == YMM || family == ZMM ? IN_VECTOR
		  : family == MASK                                  ? IN_MASK
								    : IN_OTHER;
	return true;
}

struct vcpu_debug_stop vcpu_debug_last_set(vcpu_debug *d, int reg)
{
	struct vcpu_debug_stop stop = { .what = VCPU_DEBUG_ERROR }, found;
	struct hook *k;
	struct search *s;

	if (debug_refuses(d))
		return stop;
	s = calloc(1, sizeof *s);
	k = calloc(1, sizeof *k);
	if (!s || !k || !take_register(s, d, reg)) {
		machine_error(d->v,
			      s && k ? "there is no search for the register %d" : "the host has no memory for a search",
			      reg);
	} else {
		s->v = d->v;
		s->cpu = machine_selected(d->v);
		*k = (struct hook){ .call = each,
				    .user = s,
				    .kinds = HOOK_INSN | HOOK_EXCEPTION | HOOK_INTERRUPT,
				    .span = ~(u64)0,
				    .observer = true };
		if (!hook_add(d->v->cpu->all, k)) {
			machine_error(d->v, "the host has no memory for a hook");
		} else {
			s32 id = k->id;

			k = NULL;
			stop = debug_pass_back(d, has_found, s);
			hook_remove(d->v->cpu->all, id);
		}
	}
	if (s && s->any && stop.what == VCPU_DEBUG_THERE) {
		found = s->found;
		stop = vcpu_debug_seek(d, found.when);
		if (stop.what == VCPU_DEBUG_THERE) {
			found.place = stop.place;
			stop = found;
		}
	}
	free(k);
	free(s);
	return stop;
}
