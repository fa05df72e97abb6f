/* SPDX-License-Identifier: MIT */
/* Types: by name and by DWARF, and their text in C. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

struct types { struct type *all; };

enum { NESTING_MAX = 32 };

/* ---- life ---- */

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

static const struct type *pointer_of(struct session *s, const struct type *to, unsigned size)
{
	struct type *t;

	for (t = s->types ? s->types->all : NULL; t; t = t->next)
		if (t->kind == TYPE_POINTER && !t->of && t->to == to && t->size == size)
			return t;
	t = type_new(s, TYPE_POINTER, NULL, size);
	t->to = to;
	return t;
}

const struct type *type_pointer(struct session *s, const struct type *to) { return pointer_of(s, to, pointer_size(s)); }
const struct type *type_address(struct session *s, const struct type *to) { return pointer_of(s, to,
	(unsigned)address_digits(s) / 2); }

const struct type *type_basic(struct session *s, const char *name)
{
	static const struct { const char *name; enum type_kind kind; signed char size; bool is_signed; } basic[] = {
		{ "void", TYPE_VOID, 0, false }, { "char", TYPE_CHAR, 1, true }, { "signed char", TYPE_CHAR, 1, true },
		{ "unsigned char", TYPE_CHAR, 1, false }, { "short", TYPE_INT, 2, true },
			{ "unsigned short", TYPE_INT, 2, false },
		{ "int", TYPE_INT, 4, true }, { "unsigned int", TYPE_INT, 4, false },
			{ "unsigned", TYPE_INT, 4, false }, { "signed",
			TYPE_INT, 4, true },
		{ "long", TYPE_INT, -1, true }, { "unsigned long", TYPE_INT, -1, false },
			{ "long long", TYPE_INT, 8, true },
		{ "unsigned long long", TYPE_INT, 8, false }, { "long int", TYPE_INT, -1, true },
			{ "long unsigned int", TYPE_INT,
			-1, false },
		{ "u8", TYPE_INT, 1, false }, { "u16", TYPE_INT, 2, false }, { "u32", TYPE_INT, 4, false },
			{ "u64", TYPE_INT, 8,
			false },
		{ "s8", TYPE_INT, 1, true }, { "s16", TYPE_INT, 2, true }, { "s32", TYPE_INT, 4, true },
			{ "s64", TYPE_INT, 8, true },
		{ "uint8_t", TYPE_INT, 1, false }, { "uint16_t", TYPE_INT, 2, false },
			{ "uint32_t", TYPE_INT, 4, false },
			{ "uint64_t", TYPE_INT, 8,
			false },
		{ "int8_t", TYPE_INT, 1, true }, { "int16_t", TYPE_INT, 2, true }, { "int32_t", TYPE_INT, 4, true },
			{ "int64_t",
			TYPE_INT, 8, true },
		{ "size_t", TYPE_INT, -1, false }, { "bool", TYPE_BOOL, 1, false }, { "_Bool", TYPE_BOOL, 1, false },
		{ "float", TYPE_FLOAT, 4, true }, { "double", TYPE_FLOAT, 8, true },
	};

	for (unsigned i = 0; i < sizeof basic / sizeof *basic; i++) {
		uint64_t size = basic[i].size < 0 ? pointer_size(s) < 4 ? 4 : pointer_size(s) : (uint64_t)basic[i].size;
		struct type *t;

		if (strcmp(basic[i].name, name))
			continue;
		for (t = s->types ? s->types->all : NULL; t; t = t->next)
			if (t->name == basic[i].name && t->size == size && !t->of)
				return t;
		t = type_new(s, basic[i].kind, basic[i].name, size);
		t->is_signed = basic[i].is_signed;
		return t;
	}
	return NULL;
}

const struct type *type_by_name(struct session *s, const char *name)
{
	const struct type *t = dwarf_type(s, name);

	return t ? t : btf_type(s, name);
}

const struct type *type_array(struct session *s, const struct type *of, uint64_t count)
{
	struct type *t = type_new(s, TYPE_ARRAY, NULL, count * of->size);

	t->to = of;
	t->count = count;
	return t;
}

struct type *type_alias(struct session *s, const struct type *of, const char *name)
{
	struct type *t = type_new(s, of->kind, NULL, 0), *next = t->next;

	*t = *of;
	t->next = next;
	t->of = of;
	t->members = NULL;
	t->nmembers = 0;
	if (name) {
		t->name = name;
		t->is_typedef = true;
		t->is_const = t->is_volatile = false;
	}
	return t;
}

const struct type *type_whole(struct session *s, const struct type *type)
{
	struct type *t;

	while (type->of)
		type = type->of;
	t = (struct type *)type;
	return t->complete && !t->complete(s, t) ? NULL : t;
}

const struct type *type_code(struct session *s)
{
	const struct type *nothing = type_basic(s, "void");
	struct type *t;

	for (t = s->types->all; t; t = t->next)
		if (t->kind == TYPE_FUNCTION && t->to == nothing)
			return type_address(s, t);
	t = type_new(s, TYPE_FUNCTION, NULL, 1);
	t->to = nothing;
	return type_address(s, t);
}

/* ---- as C writes them ---- */

static void text_of(const struct type *t, const char *name, bool plain, char *text, size_t size, unsigned depth);

/* Put BEFORE and AFTER around TEXT, if there is room. */
static void around(char *text, size_t size, const char *before, const char *after)
{
	size_t n = strlen(before), len = strlen(text), behind = strlen(after);

	if (n + len + behind >= size)
		return;
	memmove(text + n, text, len);
	memcpy(text, before, n);
	memcpy(text + n + len, after, behind + 1);
}

static void parameters(const struct type *t, char *text, size_t size, unsigned depth)
{
	char one[256];
	size_t n = (size_t)snprintf(text, size, "(");

	for (unsigned i = 0; i < t->nmembers && n < size; i++) {
		text_of(t->members[i].type, "", false, one, sizeof one, depth + 1);
		n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "", one);
	}
	if (n < size)
		snprintf(text + n, size - n, "%s)", !t->nmembers && t->is_prototype ? "void" : "");
}

/* TEXT gets the declarator around NAME in a declaration of T. Returns the type that the declaration begins with; NULL:
 * void. PLAIN: resolve the first typedef. */
static const struct type *declarator(const struct type *t, const char *name, bool plain, char *text, size_t size,
	unsigned depth)
{
	char part[512];

	snprintf(text, size, "%s", name);
	/* in a damaged file a type can be a pointer to itself */
	for (unsigned n = 0; t && n < NESTING_MAX; n++, t = t->to) {
		const struct type *root = t;

		if (t->is_typedef && !plain)
			break;
		for (; t->is_typedef; plain = false)
			t = t->of;
		while (root->of)
			root = root->of;
		if (t->kind == TYPE_POINTER) {
			bool wraps = t->to && (t->to->kind == TYPE_ARRAY || t->to->kind == TYPE_FUNCTION) &&
				     (plain || !t->to->is_typedef);

			snprintf(part, sizeof part, "%s*%s%s%s", wraps ? "(" : "", t->is_const ? " const" : "",
				t->is_volatile ?
				" volatile" : "",
				(t->is_const || t->is_volatile) && *text ? " " : "");
			around(text, size, part, wraps ? ")" : "");
		} else if (t->kind == TYPE_ARRAY) {
			snprintf(part, sizeof part, "[%" PRIu64 "]", t->count);
			around(text, size, "", part);
		} else if (t->kind == TYPE_FUNCTION && depth < NESTING_MAX) {
			parameters(root, part, sizeof part, depth);
			around(text, size, "", part);
		} else {
			break;
		}
	}
	return t;
}

/* The beginning of a declaration: "const struct task". */
static void base_text(const struct type *t, char *text, size_t size)
{
	const char *kind = t->is_typedef ? "" : t->kind == TYPE_STRUCT ? t->is_union ? "union " : "struct " :
		t->kind == TYPE_ENUM ? "enum " : "";

	snprintf(text, size, "%s%s%s%s", t->is_const ? "const " : "", t->is_volatile ? "volatile " : "", kind, t->name ?
		t->name : "{...}");
}

static void text_of(const struct type *t, const char *name, bool plain, char *text, size_t size, unsigned depth)
{
	char around_name[512], base[256] = "void";

	t = declarator(t, name, plain, around_name, sizeof around_name, depth);
	if (t)
		base_text(t, base, sizeof base);
	snprintf(text, size, "%s%s%s", base, *around_name ? " " : "", around_name);
}

const char *type_declaration(const struct type *t, const char *name, char *text, size_t size)
{
	text_of(t, name, false, text, size, 0);
	return text;
}

const char *type_text(const struct type *t, char *text, size_t size) { return type_declaration(t, "", text, size); }

/* ---- what they are made of ---- */

static void print_enumerators(struct session *s, const struct type *t)
{
	uint64_t next = 0;

	fputc('{', s->out);
	json_open(s, "enumerators", '[');
	for (unsigned i = 0; i < t->nmembers; i++) {
		json_open(s, NULL, '{');
		fputs(i ? ", " : "", s->out);
		SHOW_STRING(s, "name", "%s", t->members[i].name);
		if (t->members[i].offset != next)
			fprintf(s->out, " = %" PRId64, (int64_t)t->members[i].offset);
		json_number(s, "value", (int64_t)t->members[i].offset);
		next = t->members[i].offset + 1;
		json_close(s);
	}
	json_close(s);
	fputc('}', s->out);
}

static void print_body(struct session *s, const struct type *t, const char *text, bool offsets, uint64_t offset,
	int indent, int show);

static void print_members(struct session *s, const struct type *t, bool offsets, uint64_t offset, int indent, int show)
{
	char declaration[512], name[512];

	json_open(s, "members", '[');
	for (unsigned i = 0; i < t->nmembers && !enough(s); i++) {
		const struct member *m = &t->members[i];
		const struct type *base =
			declarator(m->type, m->name ? m->name : "", false, declaration, sizeof declaration, 0);

		json_open(s, NULL, '{');
		json_cstring(s, "name", m->name ? m->name : "");
		json_cstring(s, "type", type_text(m->type, name, sizeof name));
		json_number(s, "at", (int64_t)(offset + m->offset));
		json_number(s, "size", (int64_t)m->type->size);
		if (offsets && m->bits)
			fprintf(s->out, "/* %6" PRIu64 ":%2u   | %7" PRIu64 " */", offset + m->offset, m->bit,
				m->type->size);
		else if (offsets)
			fprintf(s->out, "/* %6" PRIu64 "      | %7" PRIu64 " */", offset + m->offset, m->type->size);
		fprintf(s->out, "%*s", indent + 4, "");
		print_body(s, base, declaration, offsets, offset + m->offset, indent + 4, show - 1);
		if (m->bits) {
			SHOW_NUMBER(s, "bits", " : %" PRIu64, m->bits);
			json_number(s, "bit", m->bit);
		}
		fputs(";\n", s->out);
		json_close(s);
	}
	json_close(s);
}

/* Print T and the declarator TEXT. The members or enumerators of T are printed if SHOW is positive, or if it is 0 and T
 * has no name. OFFSET is the offset of T in the outermost structure. */
static void print_body(struct session *s, const struct type *t, const char *text, bool offsets, uint64_t offset,
	int indent, int show)
{
	const struct type *whole = t && (t->kind == TYPE_STRUCT || t->kind == TYPE_ENUM) ? type_whole(s, t) : NULL;
	bool open = whole && (show > 0 || (!show && !t->name));
	char base[256] = "void";

	if (t)
		base_text(t, base, sizeof base);
	if (open && !t->name)
		base[strlen(base) - strlen(" {...}")] = 0;
	fputs(base, s->out);
	if (open && whole->kind == TYPE_STRUCT) {
		fputs(" {\n", s->out);
		print_members(s, whole, offsets, offset, indent, show);
		fprintf(s->out, "%*s}", indent + (offsets ? 27 : 0), "");
	} else if (open) {
		fputc(' ', s->out);
		print_enumerators(s, whole);
	}
	fprintf(s->out, "%s%s", *text ? " " : "", text);
}

void type_print(struct session *s, const struct type *t, bool offsets)
{
	char text[512];
	const struct type *base = declarator(t, "", true, text, sizeof text, 0);

	fputs(offsets ? "/* offset      |    size */  type = " : "type = ", s->out);
	print_body(s, base, text, offsets, 0, 0, 1);
	fputc('\n', s->out);
}
