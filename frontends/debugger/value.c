/* SPDX-License-Identifier: MIT */
/* Values as text, and as JSON. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { DEPTH_MAX = 5, ELEMENTS_MAX = 200, TEXT_MAX = 200 };

size_t value_read(struct session *s, const struct value *v, uint64_t at, void *bytes, size_t size)
{
	const struct content *c = v->held;

	if (!c || at - c->address >= c->size || size > c->size - (at - c->address))
		return vcpu_read_linear(s->machine, at, bytes, size);
	memcpy(bytes, c->bytes + (at - c->address), size);
	return size;
}

bool value_readable(struct session *s, const struct value *v)
{
	unsigned char byte;

	return !v->in_memory || !v->type->size || v->type->kind == TYPE_FUNCTION || value_read(s, v, v->address, &byte,
		1) == 1 ||
		complaint(s, "no memory at address 0x%" PRIx64, v->address);
}

static bool load(struct session *s, const struct value *v, uint64_t *bits)
{
	unsigned size = v->type->size < 8 ? (unsigned)v->type->size : 8;

	*bits = v->bits;
	if (v->in_memory) {
		*bits = 0;
		if (value_read(s, v, v->address, bits, size) != size && !s->scope)
			return complaint(s, "no memory at address 0x%" PRIx64, v->address);
	}
	if (v->nbits)
		*bits = *bits >> v->bit & (v->nbits < 64 ? ((uint64_t)1 << v->nbits) - 1 : ~(uint64_t)0);
	return true;
}

/* N truncated to its type, and sign-extended if that is signed. */
static uint64_t extended(const struct value *v, uint64_t n)
{
	unsigned bits = v->nbits            ? v->nbits
			: v->type->size < 8 ? 8 * (unsigned)v->type->size
					    : 64,
		 up = bits && bits < 64 ? 64 - bits : 0;

	return v->type->is_signed ? (uint64_t)((int64_t)(n << up) >> up) : n << up >> up;
}

bool value_number(struct session *s, const struct value *v, uint64_t *number)
{
	switch (v->type->kind) {
	case TYPE_STRUCT:
		return complaint(s, "a structure is not a number");
	case TYPE_ARRAY:
	case TYPE_FUNCTION:
		*number = v->in_memory ? v->address : v->bits;
		return true;
	case TYPE_FLOAT:
	case TYPE_VOID:
		return complaint(s, "this operand is not a number");
	default:
		if (!load(s, v, number))
			return false;
		*number = extended(v, *number);
		return true;
	}
}

static void print_char(FILE *out, unsigned char c, char quote)
{
	static const char named[] = "\a\b\t\n\v\f\r\033", letters[] = "abtnvfre";
	const char *at = c ? strchr(named, c) : NULL;

	if (at)
		fprintf(out, "\\%c", letters[at - named]);
	else if (c == quote || c == '\\')
		fprintf(out, "\\%c", c);
	else if (c >= 32 && c < 127)
		fputc(c, out);
	else
		fprintf(out, "\\%03o", c);
}

void text_print(struct session *s, const unsigned char *text, size_t len)
{
	fputc('"', s->out);
	for (size_t i = 0; i < len && i < TEXT_MAX; i++)
		print_char(s->out, text[i], '"');
	fputs(len > TEXT_MAX ? "\"..." : "\"", s->out);
}

/* Read a string: up to a zero, or LIMIT bytes. At most SIZE of them go to TEXT. */
static size_t read_text(struct session *s, const struct value *v, uint64_t at, uint64_t limit, unsigned char *text,
	size_t size)
{
	size_t n = 0;

	while (n < limit && n < size && value_read(s, v, at + n, text + n, 1) == 1 && text[n])
		n++;
	return n;
}

static void print_string(struct session *s, const struct value *v, uint64_t at, uint64_t limit)
{
	unsigned char text[TEXT_MAX + 1];

	text_print(s, text, read_text(s, v, at, limit, text, sizeof text));
}

static void print_number(struct session *s, const struct value *v, uint64_t n, char format)
{
	unsigned bits = v->nbits ? v->nbits : v->type->size && v->type->size < 8 ? 8 * (unsigned)v->type->size : 64;
	uint64_t cut = bits < 64 ? n & (((uint64_t)1 << bits) - 1) : n;
	char text[128];

	switch (format) {
	case 'x': fprintf(s->out, "0x%" PRIx64, cut); break;
	case 'o': fprintf(s->out, "0%" PRIo64, cut); break;
	case 'u': fprintf(s->out, "%" PRIu64, cut); break;
	case 'd': fprintf(s->out, "%" PRId64, (int64_t)(n << (64 - bits)) >> (64 - bits)); break;
	case 'c': fprintf(s->out, "%d '", (signed char)n), print_char(s->out, (unsigned char)n, '\''),
		fputc('\'', s->out); break;
	case 't':
		for (unsigned i = bits; i-- > 0;)
			if (cut >> i || !i)
				fputc('0' + (int)(cut >> i & 1), s->out);
		break;
	case 'a': fprintf(s->out, "0x%" PRIx64 "%s", cut, symbol_text(s, cut, text, sizeof text)); break;
	}
}

static void print_enum(struct session *s, const struct type *t, uint64_t n)
{
	bool any = false;
	uint64_t rest = n;

	t = type_whole(s, t);
	for (unsigned i = 0; i < t->nmembers; i++)
		if (t->members[i].offset == n) {
			fputs(t->members[i].name, s->out);
			return;
		}
	/* No enumerator has this value: print a combination of them. */
	for (unsigned i = 0; i < t->nmembers; i++)
		if (t->members[i].offset && (t->members[i].offset & rest) == t->members[i].offset) {
			fprintf(s->out, "%s%s", any ? " | " : "(", t->members[i].name);
			rest &= ~t->members[i].offset;
			any = true;
		}
	if (any)
		fprintf(s->out, rest ? " | %" PRIu64 ")" : ")", rest);
	else
		fprintf(s->out, "%" PRId64, (int64_t)n);
}

static void print(struct session *s, const struct value *v, char format, unsigned depth);

static void print_array(struct session *s, const struct value *v, char format, unsigned depth)
{
	const struct type *of = v->type->to;
	uint64_t last = 0, n = v->type->count;

	if (of->kind == TYPE_CHAR && (!format || format == 's') && v->in_memory) {
		print_string(s, v, v->address, n ? n : UINT64_MAX);
		return;
	}
	fputc('{', s->out);
	for (uint64_t i = 0; i < n && i < ELEMENTS_MAX && !enough(s); i++) {
		struct value e = {
			.type = of, .held = v->held, .in_memory = true, .address = v->address + i * of->size
		};
		unsigned char a[64], b[64];

		/* Equal elements are printed once, with their count. */
		for (last = i; last + 1 < n && !enough(s) && of->size && of->size <= sizeof a &&
			       value_read(s, v, e.address, a, of->size) == of->size &&
			       value_read(s, v, v->address + (last + 1) * of->size, b, of->size) == of->size &&
			       !memcmp(a, b, of->size);
		     last++)
			;
		if (i)
			fputs(", ", s->out);
		print(s, &e, format, depth + 1);
		if (last - i >= 9) {
			fprintf(s->out, " <repeats %" PRIu64 " times>", last - i + 1);
			i = last;
		}
	}
	fputs(n > ELEMENTS_MAX && last + 1 < n ? "...}" : "}", s->out);
}

static void print_struct(struct session *s, const struct value *v, char format, unsigned depth)
{
	const struct type *t = type_whole(s, v->type);

	if (!t) {
		fputs("<incomplete type>", s->out);
		return;
	}
	if (depth >= DEPTH_MAX) {
		fputs("{...}", s->out);
		return;
	}
	fputc('{', s->out);
	for (unsigned i = 0; i < t->nmembers; i++) {
		const struct member *m = &t->members[i];
		struct value e = { .type = m->type,
				   .held = v->held,
				   .in_memory = true,
				   .address = v->address + m->offset,
				   .bit = m->bit,
				   .nbits = m->bits };

		fprintf(s->out, "%s%s%s", i ? ", " : "", m->name ? m->name : "", m->name ? " = " : "");
		print(s, &e, format, depth + 1);
	}
	fputc('}', s->out);
}

static void print(struct session *s, const struct value *v, char format, unsigned depth)
{
	const struct type *t = v->type;
	char text[256];
	uint64_t n;

	if (t->kind == TYPE_STRUCT) {
		print_struct(s, v, format, depth);
		return;
	}
	if (t->kind == TYPE_ARRAY && t->to) {
		print_array(s, v, format, depth);
		return;
	}
	if (t->kind == TYPE_VOID) {
		fputs("void", s->out);
		return;
	}
	if (t->kind == TYPE_FUNCTION) {
		n = v->in_memory ? v->address : v->bits;
		fprintf(s->out, "{%s} ", type_text(t, text, sizeof text));
		fprintf(s->out, "0x%" PRIx64 "%s", n, symbol_text(s, n, text, sizeof text));
		return;
	}
	if (!load(s, v, &n))
		return;
	if (t->kind == TYPE_FLOAT && !format) {
		float f;
		double d;

		memcpy(&d, &n, 8);
		memcpy(&f, &n, 4);
		fprintf(s->out, t->size == 4 ? "%.9g" : "%.17g", t->size == 4 ? (double)f : d);
		return;
	}
	n = extended(v, n);
	if (format == 's' && t->kind == TYPE_POINTER)
		print_string(s, &(struct value){ 0 }, n, UINT64_MAX);
	else if (format && format != 's')
		print_number(s, v, n, format);
	else if (t->kind == TYPE_POINTER) {
		if (depth == 0 && !(t->to->kind == TYPE_CHAR))
			fprintf(s->out, "(%s) ", type_text(t, text, sizeof text));
		fprintf(s->out, "0x%" PRIx64 "%s", n, symbol_text(s, n, text, sizeof text));
		if (t->to->kind == TYPE_CHAR && n) {
			fputc(' ', s->out);
			print_string(s, &(struct value){ 0 }, n, UINT64_MAX);
		}
	} else if (t->kind == TYPE_BOOL) {
		fputs(n ? "true" : "false", s->out);
	} else if (t->kind == TYPE_CHAR) {
		fprintf(s->out, "%" PRId64 " '", (int64_t)n);
		print_char(s->out, (unsigned char)n, '\'');
		fputc('\'', s->out);
	} else if (t->kind == TYPE_ENUM) {
		print_enum(s, t, n);
	} else {
		fprintf(s->out, t->is_signed ? "%" PRId64 : "%" PRIu64, n);
	}
}

void value_print_as(struct session *s, const struct value *v, char format) { print(s, v, format, 0); }

void value_print_plain(struct session *s, const struct value *v) { print(s, v, 0, 1); }

void value_print(struct session *s, const struct value *v, char format)
{
	print(s, v, format, 0);
	fputc('\n', s->out);
}

/* ---- JSON ---- */

static void put(struct session *s, const char *name, const struct value *v, unsigned depth);

static void put_elements(struct session *s, const char *name, const struct value *v, unsigned depth)
{
	const struct type *of = v->type->to;
	unsigned char text[TEXT_MAX];

	if (of->kind == TYPE_CHAR) {
		json_text(s, name, text, read_text(s, v, v->address, v->type->count, text, sizeof text));
		return;
	}
	json_open(s, name, '[');
	for (uint64_t i = 0; i < v->type->count && i < ELEMENTS_MAX; i++)
		put(s, NULL,
		    &(struct value){
			    .type = of, .held = v->held, .in_memory = true, .address = v->address + i * of->size },
		    depth + 1);
	json_close(s);
}

static void put_members(struct session *s, const char *name, const struct value *v, unsigned depth)
{
	const struct type *t = type_whole(s, v->type);

	json_open(s, name, '{');
	for (unsigned i = 0; t && i < t->nmembers; i++) {
		const struct member *m = &t->members[i];

		put(s, m->name ? m->name : "", &(struct value){ .type = m->type, .held = v->held, .in_memory = true,
			.address = v->address + m->offset,
			.bit = m->bit, .nbits = m->bits }, depth + 1);
	}
	json_close(s);
}

static void put(struct session *s, const char *name, const struct value *v, unsigned depth)
{
	uint64_t n = 0;
	char *text = NULL;
	size_t len = 0;
	FILE *out = s->out;

	if (v->type->kind == TYPE_STRUCT && depth < DEPTH_MAX) {
		put_members(s, name, v, depth);
	} else if (v->type->kind == TYPE_ARRAY && v->type->to && v->in_memory && depth < DEPTH_MAX) {
		put_elements(s, name, v, depth);
	} else if ((v->type->kind == TYPE_INT || v->type->kind == TYPE_CHAR) && value_number(s, v, &n)) {
		if (v->type->is_signed || n <= INT64_MAX)
			json_number(s, name, (int64_t)n);
		else
			json_hex(s, name, n);
	} else if (v->type->kind == TYPE_BOOL && value_number(s, v, &n)) {
		json_bool(s, name, n);
	} else if ((v->type->kind == TYPE_POINTER || v->type->kind == TYPE_FUNCTION) && value_number(s, v, &n)) {
		json_hex(s, name, n);
	} else { /* the text of print */
		s->out = open_memstream(&text, &len);
		if (s->out) {
			print(s, v, 0, depth);
			fclose(s->out);
		}
		s->out = out;
		json_cstring(s, name, text ? text : "");
		free(text);
	}
}

void value_json_members(struct session *s, const struct value *v)
{
	char text[512];

	if (!s->json.to)
		return;
	json_cstring(s, "type", type_text(v->type, text, sizeof text));
	if (v->in_memory && !v->no_place)
		json_hex(s, "address", v->address);
	put(s, "value", v, 0);
}

void value_json(struct session *s, const char *name, const struct value *v)
{
	json_open(s, NULL, '{');
	if (name)
		json_cstring(s, "name", name);
	if (v)
		value_json_members(s, v);
	json_close(s);
}
