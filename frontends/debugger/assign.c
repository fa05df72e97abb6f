/* SPDX-License-Identifier: MIT */
/* Assignments by the user: registers, memory, variables of the session. They become part of the run at this place, and
 * the run that was known after it is forgotten. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

static bool float_of(struct session *s, const struct value *v, double *d)
{
	uint64_t n = 0;
	float f;

	if (v->type->kind != TYPE_FLOAT) {
		if (!value_number(s, v, &n))
			return false;
		*d = v->type->is_signed ? (double)(int64_t)n : (double)n;
		return true;
	}
	n = v->bits;
	if (v->in_memory && value_read(s, v, v->address, &n, v->type->size) != v->type->size)
		return complaint(s, "no memory at address 0x%" PRIx64, v->address);
	memcpy(&f, &n, 4);
	memcpy(d, &n, 8);
	*d = v->type->size == 4 ? (double)f : *d;
	return true;
}

/* FROM as a value of type TO. */
static bool converted(struct session *s, const struct value *from, const struct type *to, uint64_t *bits)
{
	double d = 0;
	float f;

	if (to->kind != TYPE_FLOAT)
		return value_number(s, from, bits) && (*bits = to->kind == TYPE_BOOL ? *bits != 0 : *bits, true);
	if (!float_of(s, from, &d))
		return false;
	f = (float)d;
	*bits = 0;
	memcpy(bits, to->size == 4 ? (void *)&f : (void *)&d, to->size);
	return true;
}

static bool write_memory(struct session *s, uint64_t at, const void *bytes, size_t size)
{
	return vcpu_write_linear(s->machine, at, bytes, size) == size ||
	       complaint(s, "memory at 0x%" PRIx64 " cannot be written", at);
}

static bool assign_memory(struct session *s, const struct value *to, const struct value *from)
{
	uint64_t bits, old = 0;
	unsigned size = (unsigned)to->type->size;

	if (to->type->kind == TYPE_STRUCT || to->type->kind == TYPE_ARRAY) {
		char *bytes = from->in_memory && from->type->size == to->type->size ? malloc(to->type->size) : NULL;
		bool ok = bytes && value_read(s, from, from->address, bytes, to->type->size) == to->type->size;

		ok = ok ? write_memory(s, to->address, bytes, to->type->size)
			: complaint(s, "the values have different types");
		free(bytes);
		return ok;
	}
	if (!size || size > 8)
		return complaint(s, "this expression cannot be assigned to");
	if (!converted(s, from, to->type, &bits))
		return false;
	if (to->nbits) {
		uint64_t mask = (to->nbits < 64 ? ((uint64_t)1 << to->nbits) - 1 : ~(uint64_t)0) << to->bit;

		if (vcpu_read_linear(s->machine, to->address, &old, size) != size)
			return complaint(s, "no memory at address 0x%" PRIx64, to->address);
		bits = (old & ~mask) | (bits << to->bit & mask);
	}
	return write_memory(s, to->address, &bits, size);
}

bool value_assign(struct session *s, struct value *to, const struct value *from)
{
	struct vcpu_place end = vcpu_debug_end(s->debug), here = vcpu_where(s->machine);
	bool ok;
	uint64_t bits;

	if (to->variable) {
		struct value kept = value_keep(s, from);

		value_drop(&to->variable->value);
		to->variable->value = kept;
		*to = kept;
		return true;
	}
	if (s->scope) /* the expression is only checked, for a condition */
		return true;
	if (s->asked)
		return complaint(s, "a condition must not assign");
	if (to->held || (!to->in_memory && !to->reg))
		return complaint(s, "this expression cannot be assigned to");
	if (to->in_memory)
		ok = assign_memory(s, to, from);
	else
		ok = converted(s, from, to->type, &bits) &&
			(!vcpu_set(s->machine, to->reg - 1, bits) || complaint(s, "%s", error_of(s)));
	if (ok && !to->in_memory)
		to->bits = vcpu_get(s->machine, to->reg - 1);
	if (ok && (here.instructions != end.instructions || here.steps != end.steps))
		fprintf(s->out, "changed at instruction %" PRIu64 ": what was known of the run after it is forgotten\n",
			here.instructions);
	return ok;
}

/* set var EXPR, set $REGISTER = EXPR, set {TYPE}ADDRESS = EXPR. gdb's other settings have no meaning here. They are
 * accepted, since scripts for gdb contain them. */
bool do_set(struct session *s, const char *args)
{
	static const char *const elsewhere[] = { "confirm", "pagination", "height", "width", "logging", "style",
		"verbose",
		"print", "disassembly-flavor" };
	size_t n = strcspn(args, " ");
	struct value v;

	for (unsigned i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
		if (strlen(elsewhere[i]) == n && !memcmp(elsewhere[i], args, n))
			return true;
	if (n >= 3 && n <= strlen("variable") && !memcmp("variable", args, n) && args[n] == ' ')
		args += n + strspn(args + n, " ");
	if (!*args)
		return complaint(s, "set: an assignment is needed: set var EXPR = EXPR, set $REGISTER = EXPR");
	if (!evaluate(s, &args, &v))
		return false;
	return !*args || complaint(s, "text after the expression: %s", args);
}
