/* SPDX-License-Identifier: MIT */
/* Where a value comes from: the last instruction that has set a register or memory, and, through copies, the one that
 * made the value. */
#include <inttypes.h>
#include <string.h>

#include "debugger.h"

enum { BYTES_MAX = 64, LINKS_MAX = 10000 };

/* SIZE bytes that are followed. The value stays the same from link to link. */
struct thing {
	bool memory;
	int reg; /* the whole register, and the first byte in it */
	unsigned first, size;
	uint64_t linear, physical;
	unsigned char value[BYTES_MAX];
};

/* ---- things ---- */

/* The name of these bytes of a register, as "eax" or "ah"; NULL: they have none. */
static const char *part_name(struct session *s, const struct thing *t)
{
	for (int reg = vcpu_register_next(-1); reg >= 0; reg = vcpu_register_next(reg)) {
		unsigned first;

		if (vcpu_register_size(reg) == t->size && vcpu_debug_whole(s->debug, reg, &first) == t->reg &&
		    first == t->first)
			return vcpu_register_name(reg);
	}
	return NULL;
}

static void print_thing(struct session *s, const struct thing *t)
{
	const char *part = t->memory ? NULL : part_name(s, t);
	char name[128];

	if (part)
		fprintf(s->out, "$%s", part);
	else if (!t->memory)
		fprintf(s->out, "$%s, bytes %u to %u", vcpu_register_name(t->reg), t->first, t->first + t->size - 1);
	else
		fprintf(s->out, "%u byte%s at 0x%" PRIx64 "%s", t->size, t->size == 1 ? "" : "s", t->linear,
			symbol_text(s, t->linear, name, sizeof name));
}

static void json_thing(struct session *s, const struct thing *t)
{
	if (t->memory)
		json_hex(s, "address", t->linear);
	else
		json_cstring(s, "register", vcpu_register_name(t->reg));
	if (!t->memory)
		json_number(s, "first", t->first);
	json_number(s, "size", t->size);
}

/* T's bytes now. False: they cannot be read. */
static bool bytes_now(struct session *s, const struct thing *t, unsigned char *bytes)
{
	unsigned char whole[BYTES_MAX];

	if (t->memory)
		return vcpu_read_physical(s->machine, t->physical, bytes, t->size) == t->size;
	if (vcpu_get_register(s->machine, t->reg, whole))
		return false;
	memcpy(bytes, whole + t->first, t->size);
	return true;
}

static bool has_value(struct session *s, const struct thing *t)
{
	unsigned char now[BYTES_MAX];

	return bytes_now(s, t, now) && !memcmp(now, t->value, t->size);
}

/* T has its linear address: find the physical one. Behind the end of a page there may be another: cut T there. False:
 * nothing is mapped. */
static bool translate(struct session *s, struct thing *t)
{
	enum { PAGE = 4096 };
	unsigned room;

	if (!vcpu_debug_translate(s->debug, t->linear, &t->physical))
		return false;
	room = PAGE - (unsigned)(t->physical % PAGE);
	t->size = t->size < room ? t->size : room;
	return true;
}

static bool parse(struct session *s, const char *args, const char *command, struct thing *t)
{
	struct value v;
	uint64_t size;

	if (!*args)
		return complaint(s, "%s: a register or an expression that is in memory is needed", command);
	if (!evaluate(s, &args, &v))
		return false;
	if (*args)
		return complaint(s, "%s: text after the expression: %s", command, args);
	*t = (struct thing){ .memory = v.in_memory };
	size = v.in_memory && v.type->size ? v.type->size : 8;
	if (v.reg) {
		t->reg = vcpu_debug_whole(s->debug, v.reg - 1, &t->first);
		size = vcpu_register_size(v.reg - 1);
	} else if (!v.in_memory) {
		return complaint(s, "%s: this is no register, and not in memory", command);
	}
	if (size > BYTES_MAX)
		return complaint(s, "%s: %" PRIu64 " bytes are more than the %d that can be followed", command, size,
				 BYTES_MAX);
	t->size = (unsigned)size;
	t->linear = v.address;
	if (t->memory && !translate(s, t))
		return complaint(s, "this address is not mapped");
	return bytes_now(s, t, t->value) || complaint(s, "%s: the value cannot be read", command);
}

/* ---- links ---- */

/* To the last instruction that has set T. Memory may have been written by another processor, whose registers count
 * then. */
static struct vcpu_debug_stop last(struct session *s, const struct thing *t)
{
	struct vcpu_debug_stop stop;

	if (!t->memory)
		return vcpu_debug_last_set(s->debug, t->reg);
	stop = vcpu_debug_last_write(s->debug, t->physical, t->size);
	vcpu_select(s->machine, vcpu_running(s->machine));
	return stop;
}

/* The physical address PHYSICAL is in what a repeated IN writes, whose first element is at O: *OFFSET from there. */
static bool in_elements(struct session *s, const struct vcpu_debug_operand *o, uint64_t physical, int64_t *offset)
{
	enum { DF = 0x400, PAGE = 4096 };
	bool down = vcpu_get(s->machine, VCPU_RFLAGS) & DF;
	uint64_t count = vcpu_get(s->machine, VCPU_RCX), bytes, first, at;

	count = vcpu_get(s->machine, VCPU_CODE_BITS) == 16 ? count & 0xffff : count & 0xffffffff;
	bytes = count * o->size;
	first = down ? o->value - (bytes - o->size) : o->value;
	for (at = first; at - first < bytes && !enough(s); at = (at | (PAGE - 1)) + 1) {
		uint64_t here, into;

		if (!vcpu_debug_translate(s->debug, at, &here) || physical / PAGE != here / PAGE || physical < here)
			continue;
		into = at - first + (physical - here);
		*offset = (int64_t)(first + into - o->value);
		return into < bytes;
	}
	return false;
}

/* Byte 0 of T is byte *INTO of operand O. Cut T to what O has of it. False: O has nothing of it. */
static bool overlap(struct session *s, struct thing *t, const struct vcpu_debug_instruction *in,
		    const struct vcpu_debug_operand *o, unsigned limit, int64_t *into)
{
	uint64_t physical;
	int64_t end = limit;

	if (t->memory != (o->kind == VCPU_OPERAND_MEMORY) || (!t->memory && o->reg != t->reg))
		return false;
	if (!t->memory)
		*into = (int64_t)t->first - o->first;
	else if (in->repeated) {
		if (!in_elements(s, o, t->physical, into))
			return false;
		end = INT64_MAX;
	} else if (vcpu_debug_translate(s->debug, o->value, &physical))
		*into = (int64_t)(t->physical - physical);
	else
		return false;
	if (*into < 0 && !in->repeated) {
		if (-*into >= (int64_t)t->size)
			return false;
		memmove(t->value, t->value - *into, t->size - (size_t) - *into);
		t->size -= (unsigned)-*into;
		t->first += (unsigned)-*into;
		t->linear += (uint64_t) - *into;
		t->physical += (uint64_t) - *into;
		*into = 0;
	}
	if (*into >= end)
		return false;
	if (t->size > end - *into)
		t->size = (unsigned)(end - *into);
	return true;
}

enum link { LINK_COPY, LINK_OTHER_BYTES, LINK_MADE, LINK_CONSTANT };

/* T becomes what the instruction here has copied to it. */
static enum link follow(struct session *s, struct thing *t, const struct vcpu_debug_instruction *in)
{
	const struct vcpu_debug_operand *from = NULL;
	struct thing source = *t;
	int64_t into = 0;
	bool named = false;

	for (unsigned k = 0; k < in->count && !from; k++) {
		const struct vcpu_debug_operand *o = &in->operands[k], *other = &in->operands[k ? 0 : in->count - 1];
		unsigned size = other->size < o->size ? other->size : o->size;

		named |= o->written && !t->memory && o->reg == t->reg && o->kind == VCPU_OPERAND_REGISTER;
		if (o->written && in->count > 1 && overlap(s, &source, in, o, in->copies ? size : o->size, &into))
			from = other;
	}
	if (!from)
		return named && has_value(s, t) ? LINK_OTHER_BYTES : LINK_MADE;
	if (!in->copies)
		return LINK_MADE;
	if (from->kind == VCPU_OPERAND_IMMEDIATE)
		return LINK_CONSTANT;
	source.memory = from->kind == VCPU_OPERAND_MEMORY;
	source.reg = from->reg;
	source.first = from->first + (unsigned)(in->repeated ? (uint64_t)into % from->size : (uint64_t)into);
	source.linear = from->value + (uint64_t)into;
	if (from->kind == VCPU_OPERAND_OTHER || (source.memory && !translate(s, &source)))
		return LINK_MADE;
	if (!has_value(s, &source)) /* a conditional move that has not moved, or overlapping elements */
		return has_value(s, t) ? LINK_OTHER_BYTES : LINK_MADE;
	*t = source;
	return LINK_COPY;
}

static void print_link(struct session *s, const struct thing *t, const struct vcpu_debug_stop *stop)
{
	struct line line;
	char text[160];

	json_open(s, NULL, '{');
	SHOW_NUMBER(s, "instructions", "%" PRIu64, stop->place.instructions);
	json_number(s, "steps", stop->place.steps);
	fprintf(s->out, "\t");
	show_symbol(s, stop->rip);
	if (dwarf_line(s, stop->rip, &line))
		fprintf(s->out, " at %s:%d", line.name, line.line);
	if (instruction_text(s, stop->rip, text, sizeof text))
		SHOW_STRING(s, "text", "\t%s", text);
	fprintf(s->out, "\t");
	print_thing(s, t);
	json_thing(s, t);
	fprintf(s->out, "\n");
	json_close(s);
}

static const char *outside(const struct vcpu_debug_instruction *in)
{
	struct vcpu_insn row;

	return vcpu_isa_row(in->row, &row) && strstr(row.reads, "IO") ? "the value came from a port"
								      : "this instruction made the value";
}

bool do_origin(struct session *s, const char *args)
{
	struct vcpu_debug_stop stop;
	struct vcpu_debug_instruction in;
	const char *end = NULL;
	struct thing t;

	if (!parse(s, args, "origin", &t))
		return false;
	s->interrupted = false;
	json_open(s, "chain", '[');
	for (unsigned n = 0; !end; n++) {
		enum link link = LINK_MADE;
		struct thing before = t;

		stop = last(s, &t);
		if (stop.what == VCPU_DEBUG_START)
			end = "the value was there at the start";
		else if (stop.what == VCPU_DEBUG_WATCH && stop.device)
			end = "a device wrote the value";
		else if (stop.what == VCPU_DEBUG_EVENT)
			end = "the delivery of an exception or interrupt set the value";
		else if (stop.what != VCPU_DEBUG_THERE && stop.what != VCPU_DEBUG_WATCH)
			break;
		else if (linear_rip(s) != stop.rip || !vcpu_debug_instruction(s->debug, &in))
			end = "the instruction cannot be read";
		if (!end)
			link = follow(s, &t, &in);
		if (!end && link == LINK_MADE)
			end = outside(&in);
		if (link == LINK_CONSTANT)
			end = "the value is a constant of this instruction";
		if (link != LINK_OTHER_BYTES && stop.what != VCPU_DEBUG_START && !stop.device)
			print_link(s, &before, &stop);
		if (!end && (n == LINKS_MAX || enough(s)))
			end = "the search ended here";
	}
	json_close(s);
	if (end)
		SHOW_STRING(s, "end", "%s\n", end);
	if (stop.what == VCPU_DEBUG_EVENT)
		stop.what = VCPU_DEBUG_THERE;
	return report(s, stop);
}

bool do_who(struct session *s, const char *args)
{
	struct vcpu_debug_stop stop;
	struct thing t;

	if (strncmp(args, "set ", 4))
		return complaint(s, "who: `who set $REGISTER' or `who set EXPR'");
	if (!parse(s, args + 4, "who", &t))
		return false;
	stop = last(s, &t);
	if (stop.what == VCPU_DEBUG_START)
		fprintf(s->out, "nothing has set it, as far back as is known\n");
	if (stop.what == VCPU_DEBUG_EVENT) {
		fprintf(s->out, "the delivery of %s %" PRIu64 " has set it\n",
			stop.event == VCPU_EVENT_INTERRUPT ? "interrupt" : "exception", stop.address);
		json_number(s, "vector", (int64_t)stop.address);
		stop.what = VCPU_DEBUG_THERE;
	}
	return report(s, stop);
}
