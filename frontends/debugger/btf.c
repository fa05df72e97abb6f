/* SPDX-License-Identifier: MIT */
/* Types from BTF, which a Linux kernel has of itself in its memory, from __start_BTF to __stop_BTF (Linux,
 * Documentation/bpf/btf.rst):
 *
 *   header   u16 magic EB9Fh, u8 version, u8 flags, u32 hdr_len, type_off, type_len, str_off, str_len
 *   types    each: u32 name, info, size or type; then what its kind has. The first is number 1, 0 is void
 *   strings
 *
 * info: members or the like 15:0, kind 28:24, kind_flag 31: members have a bit field's size in their offset. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { MAGIC = 0xeb9f, HEADER = 24, SIZE_MAX_BTF = 64 << 20, DEPTH_MAX = 64 };
enum {
	KIND_INT = 1,
	KIND_PTR,
	KIND_ARRAY,
	KIND_STRUCT,
	KIND_UNION,
	KIND_ENUM,
	KIND_FWD,
	KIND_TYPEDEF,
	KIND_VOLATILE,
	KIND_CONST,
	KIND_RESTRICT,
	KIND_FUNC,
	KIND_FUNC_PROTO,
	KIND_VAR,
	KIND_DATASEC,
	KIND_FLOAT,
	KIND_DECL_TAG,
	KIND_TYPE_TAG,
	KIND_ENUM64,
	KINDS
};

struct btf {
	unsigned char *bytes;
	size_t size, strings; /* where the strings begin */
	uint32_t count;       /* of types; number 0 is not in the table */
	struct {
		uint32_t at;
		const struct type *type;
	} * types;
	unsigned depth;
};

static uint32_t u32(const struct btf *b, size_t at)
{
	uint32_t v = 0;

	if (at + 4 <= b->size)
		memcpy(&v, b->bytes + at, 4);
	return v;
}

static unsigned kind(const struct btf *b, size_t at) { return u32(b, at + 4) >> 24 & 31; }
static unsigned count_of(const struct btf *b, size_t at) { return u32(b, at + 4) & 0xffff; }

/* The last byte of all is 0. */
static const char *name_of(const struct btf *b, uint32_t offset)
{
	const size_t at = b->strings + offset;

	return offset && at < b->size && b->bytes[at] ? (const char *)b->bytes + at : NULL;
}

/* ---- reading ---- */

/* Bytes of the type at AT; 0: its kind is not known. */
static size_t length(const struct btf *b, size_t at)
{
	static const unsigned char
		fixed[KINDS] = { [KIND_INT] = 4, [KIND_ARRAY] = 12, [KIND_VAR] = 4, [KIND_DECL_TAG] = 4 },
		each[KINDS] = { [KIND_STRUCT] = 12,    [KIND_UNION] = 12,   [KIND_ENUM] = 8,
				[KIND_FUNC_PROTO] = 8, [KIND_DATASEC] = 12, [KIND_ENUM64] = 12 };
	const unsigned k = kind(b, at);

	return k && k < KINDS ? 12u + fixed[k] + each[k] * count_of(b, at) : 0;
}

static bool index_types(struct btf *b)
{
	size_t first = u32(b, 4) + (size_t)u32(b, 8), end = first + u32(b, 12), step;
	uint32_t room = 0;

	b->strings = u32(b, 4) + (size_t)u32(b, 16);
	if ((u32(b, 0) & 0xffff) != MAGIC || end > b->size || b->strings + u32(b, 20) > b->size)
		return false;
	for (size_t at = first; at < end; at += step) {
		step = length(b, at);
		if (!step)
			return false;
		if (b->count + 1 >= room)
			b->types = needed(realloc(b->types, (room = 2 * room + 1024) * sizeof *b->types));
		b->types[++b->count].at = (uint32_t)at;
		b->types[b->count].type = NULL;
	}
	return b->count;
}

void btf_close(struct session *s)
{
	if (!s->btf)
		return;
	free(s->btf->bytes);
	free(s->btf->types);
	free(s->btf);
	s->btf = NULL;
}

/* Read at the first use. NULL: there is none. */
static struct btf *opened(struct session *s)
{
	const struct symbol *first = symbol_by_name(s, "__start_BTF"), *end = symbol_by_name(s, "__stop_BTF");
	struct btf *b;

	if (s->btf)
		return s->btf;
	if (!first || !end || end->address <= first->address || end->address - first->address > SIZE_MAX_BTF)
		return NULL;
	b = needed(calloc(1, sizeof *b));
	b->size = end->address - first->address;
	b->bytes = needed(calloc(1, b->size + 1));
	if (vcpu_read_linear(s->machine, first->address, b->bytes, b->size) == b->size && index_types(b))
		return s->btf = b;
	free(b->bytes);
	free(b->types);
	free(b);
	return NULL;
}

/* ---- types ---- */

static const struct type *type_of(struct session *s, uint32_t id);

static struct member *add_members(struct type *t, unsigned n)
{
	t->members = needed(calloc(n + 1, sizeof *t->members));
	return t->members;
}

/* The members of a structure; the enumerators of an enumeration. */
static bool complete(struct session *s, struct type *t)
{
	const struct btf *b = s->btf;
	const size_t at = b->types[t->where].at;
	const bool fields = u32(b, at + 4) >> 31;
	const unsigned n = count_of(b, at), step = kind(b, at) == KIND_ENUM ? 8 : 12;

	t->complete = NULL;
	if (kind(b, at) == KIND_FWD)
		return false;
	add_members(t, n);
	for (unsigned i = 0; i < n; i++) {
		const size_t member = at + 12 + step * i;
		const uint32_t where = u32(b, member + 8), bit = fields ? where & 0xffffff : where;
		struct member *m = &t->members[t->nmembers++];

		m->name = name_of(b, u32(b, member));
		if (t->kind == TYPE_ENUM) {
			m->offset = (uint64_t)(int64_t)(int32_t)u32(b, member + 4);
			if (step == 12)
				m->offset = u32(b, member + 4) | (uint64_t)where << 32;
			continue;
		}
		m->type = type_of(s, u32(b, member + 4));
		m->offset = bit / 8;
		m->bits = fields ? where >> 24 : 0;
		if (m->bits && m->type->size) {
			m->offset = bit / 8 / m->type->size * m->type->size;
			m->bit = (unsigned)(bit - 8 * m->offset);
		}
		if (m->bits > 64 || m->bit > 63) /* a guest wrote it */
			m->bit = m->bits = 0;
	}
	return true;
}

static struct type *integer(struct session *s, const struct btf *b, size_t at, const char *name)
{
	enum { SIGNED = 1, CHAR = 2, BOOL = 4 };
	const unsigned encoding = u32(b, at + 12) >> 24 & 15;
	struct type *t = type_new(s,
				  encoding & BOOL                ? TYPE_BOOL
				  : name && strstr(name, "char") ? TYPE_CHAR
								 : TYPE_INT,
				  name, u32(b, at + 8));

	t->is_signed = encoding & SIGNED;
	return t;
}

static const struct type *make(struct session *s, uint32_t id)
{
	struct btf *b = s->btf;
	const size_t at = b->types[id].at;
	const char *name = name_of(b, u32(b, at));
	const uint32_t third = u32(b, at + 8);
	const unsigned k = kind(b, at);
	struct type *t;

	switch (k) {
	case KIND_INT: t = integer(s, b, at, name); break;
	case KIND_FLOAT: t = type_new(s, third == 4 || third == 8 ? TYPE_FLOAT : TYPE_VOID, name, third); break;
	case KIND_ARRAY: return type_array(s, type_of(s, u32(b, at + 12)), u32(b, at + 20));
	case KIND_STRUCT:
	case KIND_UNION:
	case KIND_FWD:
		t = type_new(s, TYPE_STRUCT, name, k == KIND_FWD ? 0 : third);
		t->is_union = k == KIND_UNION || (k == KIND_FWD && u32(b, at + 4) >> 31);
		t->complete = complete;
		break;
	case KIND_ENUM:
	case KIND_ENUM64: t = type_new(s, TYPE_ENUM, name, third); break;
	case KIND_TYPEDEF: t = type_alias(s, type_of(s, third), name); break;
	case KIND_CONST:
	case KIND_VOLATILE:
		t = type_alias(s, type_of(s, third), NULL);
		t->is_const |= k == KIND_CONST;
		t->is_volatile |= k == KIND_VOLATILE;
		break;
	case KIND_RESTRICT:
	case KIND_TYPE_TAG: return type_of(s, third);
	case KIND_FUNC_PROTO: t = type_new(s, TYPE_FUNCTION, NULL, 1); break;
	case KIND_PTR: t = type_new(s, TYPE_POINTER, NULL, (unsigned)address_digits(s) / 2); break;
	default: return type_basic(s, "void");
	}
	if (t->of)
		return t;
	t->where = id;
	b->types[id].type = t; /* before the type that it refers to, which can refer to this one */
	if (k == KIND_PTR || k == KIND_FUNC_PROTO)
		t->to = type_of(s, third);
	if (t->kind == TYPE_ENUM)
		complete(s, t);
	return t;
}

static const struct type *type_of(struct session *s, uint32_t id)
{
	struct btf *b = s->btf;

	if (!id || id > b->count || b->depth >= DEPTH_MAX) /* void; a guest can make cycles and chains without end */
		return type_basic(s, "void");
	if (!b->types[id].type) {
		b->depth++;
		b->types[id].type = make(s, id);
		b->depth--;
	}
	return b->types[id].type;
}

const struct type *btf_type(struct session *s, const char *name)
{
	static const struct {
		const char *word;
		unsigned kind;
	} kinds[] = {
		{ "struct ", KIND_STRUCT },
		{ "union ", KIND_UNION },
		{ "enum ", KIND_ENUM },
	};
	const struct btf *b = opened(s);
	unsigned wanted = KIND_TYPEDEF;

	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strncmp(name, kinds[i].word, strlen(kinds[i].word))) {
			wanted = kinds[i].kind;
			name += strlen(kinds[i].word);
			break;
		}
	for (uint32_t id = 1; b && id <= b->count; id++) {
		const char *here = name_of(b, u32(b, b->types[id].at));
		const unsigned k = kind(b, b->types[id].at);

		if ((k == wanted || (wanted == KIND_ENUM && k == KIND_ENUM64)) && here && !strcmp(here, name))
			return type_of(s, id);
	}
	return NULL;
}
