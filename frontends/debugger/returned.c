/* SPDX-License-Identifier: MIT */
/* What a function returns, by the System V ABI for C: "AMD64 Architecture Processor Supplement", 3.2.3, and "Intel386
 * Architecture Processor Supplement", where structures are always in memory, at the address in EAX. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

/* Of x87, 80 bits. */
static bool returned_float(struct session *s, struct value *v)
{
	unsigned char st[16] = { 0 };
	long double wide = 0;
	double d;
	float f;

	if (v->type->size > sizeof v->bits || vcpu_get_st(s->machine, 0, st))
		return false;
	memcpy(&wide, st, 10);
	d = (double)wide;
	f = (float)wide;
	memcpy(&v->bits, v->type->size == 4 ? (void *)&f : (void *)&d, v->type->size);
	return true;
}

/* The class of an eight-byte unit. Of two that a unit has, the larger one counts. */
enum class { CLASS_NONE, CLASS_SSE, CLASS_INTEGER, CLASS_MEMORY };
enum { UNITS = 2, UNIT = 8, DEPTH_MAX = 16 };

static void merge(enum class classes[UNITS], uint64_t from, uint64_t end, enum class c)
{
	for (unsigned i = 0; i < UNITS; i++)
		if ((c == CLASS_MEMORY || (from < (i + 1) * UNIT && end > i * UNIT)) && classes[i] < c)
			classes[i] = c;
}

/* T is AT bytes from the beginning of what is returned. */
static void classify(struct session *s, const struct type *t, uint64_t at, enum class classes[UNITS], unsigned depth)
{
	const struct type *whole = t->kind == TYPE_STRUCT ? type_whole(s, t) : NULL;

	if (depth > DEPTH_MAX || at + t->size > UNITS * UNIT || (t->kind == TYPE_STRUCT && !whole)) {
		merge(classes, 0, 0, CLASS_MEMORY);
	} else if (whole) {
		for (unsigned i = 0; i < whole->nmembers; i++) {
			const struct member *m = &whole->members[i];
			uint64_t bit = 8 * (at + m->offset) + m->bit;

			if (m->bits)
				merge(classes, bit / 8, (bit + m->bits + 7) / 8, CLASS_INTEGER);
			else
				classify(s, m->type, at + m->offset, classes, depth + 1);
		}
	} else if (t->kind == TYPE_ARRAY && t->to) {
		for (uint64_t i = 0; i < t->count && i < UNITS * UNIT; i++)
			classify(s, t->to, at + i * t->to->size, classes, depth + 1);
	} else if ((t->size && at % t->size) || (t->kind == TYPE_FLOAT && t->size > UNIT)) {
		merge(classes, 0, 0, CLASS_MEMORY); /* packed; or long double, which is in ST0 if it is alone */
	} else {
		merge(classes, at, at + t->size, t->kind == TYPE_FLOAT ? CLASS_SSE : CLASS_INTEGER);
	}
}

/* From RAX and RDX, XMM0 and XMM1: the next one of its class for each unit. False: it is in memory. */
static bool returned_units(struct session *s, const struct type *t, uint64_t units[UNITS])
{
	const int integers[UNITS] = { VCPU_RAX, VCPU_RDX };
	enum class classes[UNITS] = { CLASS_NONE };
	unsigned integer = 0, vector = 0;
	uint64_t half[2];

	classify(s, t, 0, classes, 0);
	for (unsigned i = 0; i < UNITS; i++) {
		if (classes[i] == CLASS_MEMORY)
			return false;
		if (classes[i] == CLASS_SSE && !vcpu_get_vector(s->machine, vector++, half))
			units[i] = half[0];
		else if (classes[i] == CLASS_INTEGER)
			units[i] = vcpu_get(s->machine, integers[integer++]);
	}
	return true;
}

static bool returned_structure(struct session *s, struct value *v, bool wide)
{
	uint64_t units[UNITS] = { 0 }, a = vcpu_get(s->machine, VCPU_RAX);
	struct content *c;

	v->in_memory = true;
	v->address = wide ? a : (uint32_t)a;
	if (!wide || v->type->size > sizeof units || !returned_units(s, v->type, units))
		return true;
	c = needed(malloc(sizeof *c + sizeof units));
	*c = (struct content){ .size = v->type->size };
	memcpy(c->bytes, units, sizeof units);
	v->address = 0;
	v->held = c;
	v->no_place = true;
	return v->type->size;
}

bool returned_value(struct session *s, const struct type *t, struct value *v)
{
	bool wide = address_digits(s) == 16;
	uint64_t a = vcpu_get(s->machine, VCPU_RAX), d = vcpu_get(s->machine, VCPU_RDX);

	*v = (struct value){ .type = t };
	switch (t->kind) {
	case TYPE_VOID:
	case TYPE_FUNCTION:
	case TYPE_ARRAY: return false; /* C has no arrays as values: a vector */
	case TYPE_STRUCT: return returned_structure(s, v, wide);
	case TYPE_FLOAT:
		v->bits = vcpu_get(s->machine, vcpu_register_by_name("xmm0"));
		return wide ? t->size <= sizeof v->bits : returned_float(s, v);
	default:
		v->bits = wide || t->size <= 4 ? a : (uint32_t)a | d << 32;
		return t->size <= 8;
	}
}
