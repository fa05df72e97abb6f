/* Types, and values as people read them. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

struct types { struct type *all; };

enum { DEPTH_MAX = 5, ELEMENTS_MAX = 200, TEXT_MAX = 200, NESTING_MAX = 32 };

/* ---- types ---- */

struct type *type_new(struct session *s, enum type_kind kind, const char *name, uint64_t size)
{
	struct type *t = needed(calloc(1, sizeof *t));

	if (!s->types)
		s->types = needed(calloc(1, sizeof *s->types));
	*t = (struct type){ .kind = kind, .name = name, .size = size, .next = s->types->all };
	return s->types->all = t;
}

void types_free(struct session *s)
{
	struct type *t = s->types ? s->types->all : NULL;

	while (t) {
		struct type *next = t->next;

		free(t->members);
		free(t);
		t = next;
	}
	free(s->types);
	s->types = NULL;
}

int address_digits(struct session *s) { return vcpu_get(s->machine, VCPU_EFER) & 0x400 ? 16 : 8; }

static unsigned pointer_size(struct session *s)
{
	return vcpu_get(s->machine, VCPU_EFER) & 0x400 ? 8 : vcpu_get(s->machine, VCPU_CODE_BITS) == 16 ? 2 : 4;
}

const struct type *type_pointer(struct session *s, const struct type *to)
{
	unsigned size = pointer_size(s);
	struct type *t;

	for (t = s->types ? s->types->all : NULL; t; t = t->next)
		if (t->kind == TYPE_POINTER && t->to == to && t->size == size)
			return t;
	t = type_new(s, TYPE_POINTER, NULL, size);
	t->to = to;
	return t;
}

const struct type *type_basic(struct session *s, const char *name)
{
	static const struct { const char *name; enum type_kind kind; signed char size; bool is_signed; } basic[] = {
		{ "void", TYPE_VOID, 0, false }, { "char", TYPE_CHAR, 1, true }, { "signed char", TYPE_CHAR, 1, true },
		{ "unsigned char", TYPE_CHAR, 1, false }, { "short", TYPE_INT, 2, true }, { "unsigned short", TYPE_INT, 2, false },
		{ "int", TYPE_INT, 4, true }, { "unsigned int", TYPE_INT, 4, false }, { "unsigned", TYPE_INT, 4, false }, { "signed", TYPE_INT, 4, true },
		{ "long", TYPE_INT, -1, true }, { "unsigned long", TYPE_INT, -1, false }, { "long long", TYPE_INT, 8, true },
		{ "unsigned long long", TYPE_INT, 8, false }, { "long int", TYPE_INT, -1, true }, { "long unsigned int", TYPE_INT, -1, false },
		{ "u8", TYPE_INT, 1, false }, { "u16", TYPE_INT, 2, false }, { "u32", TYPE_INT, 4, false }, { "u64", TYPE_INT, 8, false },
		{ "s8", TYPE_INT, 1, true }, { "s16", TYPE_INT, 2, true }, { "s32", TYPE_INT, 4, true }, { "s64", TYPE_INT, 8, true },
		{ "uint8_t", TYPE_INT, 1, false }, { "uint16_t", TYPE_INT, 2, false }, { "uint32_t", TYPE_INT, 4, false }, { "uint64_t", TYPE_INT, 8,
			false },
		{ "int8_t", TYPE_INT, 1, true }, { "int16_t", TYPE_INT, 2, true }, { "int32_t", TYPE_INT, 4, true }, { "int64_t", TYPE_INT, 8, true },
		{ "size_t", TYPE_INT, -1, false }, { "bool", TYPE_BOOL, 1, false }, { "_Bool", TYPE_BOOL, 1, false },
		{ "float", TYPE_FLOAT, 4, true }, { "double", TYPE_FLOAT, 8, true },
	};

	for (unsigned i = 0; i < sizeof basic / sizeof *basic; i++) {
		uint64_t size = basic[i].size < 0 ? pointer_size(s) < 4 ? 4 : pointer_size(s) : (uint64_t)basic[i].size;
		struct type *t;

		if (strcmp(basic[i].name, name))
			continue;
		for (t = s->types ? s->types->all : NULL; t; t = t->next)
			if (t->name == basic[i].name && t->size == size)
				return t;
		t = type_new(s, basic[i].kind, basic[i].name, size);
		t->is_signed = basic[i].is_signed;
		return t;
	}
	return NULL;
}

/* As a declaration without a name has it: "char *[4]", as gdb writes it. */
static const char *type_text_of(const struct type *t, char *text, size_t size, unsigned depth)
{
	char inner[256], tail[64] = "";
	const struct type *element = t;

	if (depth > NESTING_MAX) /* a file can have a type that is a pointer to itself */
		return strcpy(text, "...");
	for (unsigned n = 0; element->kind == TYPE_ARRAY && element->to && n < NESTING_MAX; n++) {
		snprintf(tail + strlen(tail), sizeof tail - strlen(tail), "[%" PRIu64 "]", element->count);
		element = element->to;
	}
	if (element->kind == TYPE_POINTER && element->to && element->to->kind == TYPE_FUNCTION)
		snprintf(text, size, "%s (*)()%s", element->to->to ? type_text_of(element->to->to, inner, sizeof inner, depth + 1) : "void", tail);
	else if (element->kind == TYPE_POINTER) {
		type_text_of(element->to, inner, sizeof inner, depth + 1);
		snprintf(text, size, "%s%s*%s", inner, inner[strlen(inner) - 1] == '*' ? "" : " ", tail);
	} else if (element->kind == TYPE_FUNCTION)
		snprintf(text, size, "%s ()", element->to ? type_text_of(element->to, inner, sizeof inner, depth + 1) : "void");
	else
		snprintf(text, size, "%s%s%s", element->kind == TYPE_STRUCT ? element->is_union ? "union " : "struct " : element->kind == TYPE_ENUM ?
			"enum " : "",
			 element->name ? element->name : "{...}", tail);
	return text;
}

const char *type_text(const struct type *t, char *text, size_t size) { return type_text_of(t, text, size, 0); }

/* ---- values ---- */

static bool load(struct session *s, const struct value *v, uint64_t *bits)
{
	unsigned size = v->type->size < 8 ? (unsigned)v->type->size : 8;

	*bits = v->bits;
	if (v->in_memory) {
		*bits = 0;
		if (vcpu_read_linear(s->machine, v->address, bits, size) != size && !s->scope)
			return complaint(s, "there is no memory at %" PRIx64, v->address);
	}
	if (v->nbits)
		*bits = *bits >> v->bit & (v->nbits < 64 ? ((uint64_t)1 << v->nbits) - 1 : ~(uint64_t)0);
	return true;
}

/* N as its type has it: cut, and with its sign. */
static uint64_t extended(const struct value *v, uint64_t n)
{
	unsigned bits = v->nbits ? v->nbits : v->type->size < 8 ? 8 * (unsigned)v->type->size : 64, up = bits && bits < 64 ? 64 - bits : 0;

	return v->type->is_signed ? (uint64_t)((int64_t)(n << up) >> up) : n << up >> up;
}

bool value_number(struct session *s, const struct value *v, uint64_t *number)
{
	switch (v->type->kind) {
	case TYPE_STRUCT:
		return complaint(s, "a structure is no number");
	case TYPE_ARRAY:
	case TYPE_FUNCTION:
		*number = v->in_memory ? v->address : v->bits;
		return true;
	case TYPE_FLOAT:
	case TYPE_VOID:
		return complaint(s, "that is no number to compute with");
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

/* Up to a zero, or LIMIT bytes. */
static void print_string(struct session *s, uint64_t at, uint64_t limit)
{
	unsigned char c;
	uint64_t i;

	fputc('"', s->out);
	for (i = 0; i < limit && i < TEXT_MAX && vcpu_read_linear(s->machine, at + i, &c, 1) == 1 && c; i++)
		print_char(s->out, c, '"');
	fprintf(s->out, i == TEXT_MAX && i < limit ? "\"..." : "\"");
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
	case 'c': fprintf(s->out, "%d '", (signed char)n), print_char(s->out, (unsigned char)n, '\''), fputc('\'', s->out); break;
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

	for (unsigned i = 0; i < t->nmembers; i++)
		if (t->members[i].offset == n) {
			fputs(t->members[i].name, s->out);
			return;
		}
	/* Flags? */
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
		print_string(s, v->address, n ? n : UINT64_MAX);
		return;
	}
	fputc('{', s->out);
	for (uint64_t i = 0; i < n && i < ELEMENTS_MAX && !enough(s); i++) {
		struct value e = { .type = of, .in_memory = true, .address = v->address + i * of->size };
		unsigned char a[64], b[64];

		/* Equal ones are told once. */
		for (last = i; last + 1 < n && !enough(s) && of->size && of->size <= sizeof a && vcpu_read_linear(s->machine, e.address, a, of->size) == of->size &&
				vcpu_read_linear(s->machine, v->address + (last + 1) * of->size, b, of->size) == of->size && !memcmp(a, b, of->size); last++)
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
	struct type *t = (struct type *)v->type;

	if (t->complete && !t->complete(s, t)) {
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
		struct value e = { .type = m->type, .in_memory = true, .address = v->address + m->offset, .bit = m->bit, .nbits = m->bits };

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
		print_string(s, n, UINT64_MAX);
	else if (format && format != 's')
		print_number(s, v, n, format);
	else if (t->kind == TYPE_POINTER) {
		if (depth == 0 && !(t->to->kind == TYPE_CHAR))
			fprintf(s->out, "(%s) ", type_text(t, text, sizeof text));
		fprintf(s->out, "0x%" PRIx64 "%s", n, symbol_text(s, n, text, sizeof text));
		if (t->to->kind == TYPE_CHAR && n) {
			fputc(' ', s->out);
			print_string(s, n, UINT64_MAX);
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

void value_print(struct session *s, const struct value *v, char format)
{
	print(s, v, format, 0);
	fputc('\n', s->out);
}
