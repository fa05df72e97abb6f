/* SPDX-License-Identifier: MIT */
/* Reads .debug_line (line_table.h). Sizes and names in it come from a file that nobody has looked at: a cursor ends at
 * the end of what it is in, and a unit that says something impossible is left out. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "elf_file.h"
#include "line_table.h"

/* ---- bytes ---- */

struct cursor { const unsigned char *at, *end; bool bad; };

static const unsigned char *take(struct cursor *c, uint64_t size)
{
	const unsigned char *p = c->at;

	if (size > (uint64_t)(c->end - c->at)) {
		c->bad = true;
		c->at = c->end;
		return NULL;
	}
	c->at += size;
	return p;
}

static uint64_t number(struct cursor *c, unsigned size)
{
	const unsigned char *p = take(c, size);

	return p ? elf_field(p, size) : 0;
}

static uint64_t leb(struct cursor *c, bool sign)
{
	uint64_t v = 0, byte;
	unsigned shift = 0;

	do {
		byte = number(c, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return sign && byte & 0x40 && shift < 64 ? v | ~(uint64_t)0 << shift : v;
}
static uint64_t unsigned_leb(struct cursor *c) { return leb(c, false); }

static const char *text(struct cursor *c)
{
	const unsigned char *zero = memchr(c->at, 0, (size_t)(c->end - c->at));

	return (const char *)take(c, zero ? (uint64_t)(zero - c->at) + 1 : UINT64_MAX);
}

/* Room for one more of SIZE bytes each in the array AT, which has N. */
static bool more(void *at, size_t *room, size_t n, size_t size)
{
	void *array;

	if (n < *room)
		return true;
	memcpy(&array, at, sizeof array);
	array = realloc(array, (2 * n + 16) * size);
	if (!array)
		return false;
	*room = 2 * n + 16;
	memcpy(at, &array, sizeof array);
	return true;
}

/* ---- sections ---- */

/* A copy of the section S of E, decompressed. NULL: it cannot be. */
static char *copy_section(const struct elf *e, const struct elf_section *s, size_t *size)
{
	enum { COMPRESSED = 0x800, ZLIB = 1, NOBITS = 8, EXPANDS = 1032 /* zlib cannot pack more tightly */ };
	const unsigned head = e->wide ? 24 : 12;
	const unsigned char *p;
	unsigned long len = (unsigned long)s->size;
	bool packed = s->flags & COMPRESSED;
	char *copy;

	if (s->type == NOBITS || !elf_within(e->size, s->at, s->size) || (packed && s->size < head))
		return NULL;
	p = e->data + s->at;
	if (packed) {
		uint64_t whole = elf_field(p + (e->wide ? 8 : 4), e->wide ? 8 : 4);

		if (elf_field(p, 4) != ZLIB || whole / EXPANDS > s->size)
			return NULL;
		len = (unsigned long)whole;
	}
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	copy[len] = 0;
	if (!packed) {
		memcpy(copy, p, len);
	} else if (uncompress((Bytef *)copy, &len, p + head, (uLong)(s->size - head)) != Z_OK) {
		free(copy);
		return NULL;
	}
	*size = len;
	return copy;
}

static bool copy_sections(struct line_table *t, const struct elf *e)
{
	const struct { const char *name; char **copy; size_t *size; } wanted[] = {
		{ ".debug_line", &t->lines, &t->lines_size },
		{ ".debug_line_str", &t->line_strings, &t->line_strings_size },
		{ ".debug_str", &t->strings, &t->strings_size },
	};
	struct elf_section names, s;
	unsigned count;

	if (e->size < (e->wide ? 64 : 52))
		return false;
	count = (unsigned)elf_field(e->data + (e->wide ? 60 : 48), 2);
	if (!elf_section(e, elf_field(e->data + (e->wide ? 62 : 50), 2), &names) ||
	    !elf_within(e->size, names.at, names.size))
		return false;
	for (unsigned i = 0; i < count && elf_section(e, i, &s); i++)
		for (unsigned k = 0; k < 3; k++) {
			size_t len = strlen(wanted[k].name) + 1;

			if (!*wanted[k].copy && elf_within(names.size, s.name, len) &&
			    !memcmp(e->data + names.at + s.name, wanted[k].name, len))
				*wanted[k].copy = copy_section(e, &s, wanted[k].size);
		}
	return t->lines;
}

/* ---- the head of a unit ---- */

struct unit {
	unsigned version, word /* bytes of an offset */, address_size;
	unsigned min_length, max_ops, line_range, opcode_base;
	int line_base;
	bool statement;
	unsigned char lengths[256];   /* operands of standard opcodes */
	const char **directories;
	size_t ndirectories, room;
	size_t first_file;            /* in the table */
};

static bool add_directory(struct unit *u, const char *name)
{
	if (!more(&u->directories, &u->room, u->ndirectories, sizeof *u->directories))
		return false;
	u->directories[u->ndirectories++] = name;
	return true;
}

static bool add_file(struct line_table *t, const struct unit *u, const char *name, uint64_t directory)
{
	if (t->nfiles == NO_FILE || !more(&t->files, &t->room_files, t->nfiles, sizeof *t->files))
		return false;
	t->files[t->nfiles++] = (struct line_file){ directory < u->ndirectories ? u->directories[directory] : NULL, name,
		NULL };
	return true;
}

/* Versions 2 to 4: directories from 1 on, where 0 is that of the compilation; files from 1 on. */
static bool old_names(struct line_table *t, struct unit *u, struct cursor *c)
{
	const char *name;

	if (!add_directory(u, NULL) || !add_file(t, u, "", 0))
		return false;
	while ((name = text(c)) && *name)
		if (!add_directory(u, name))
			return false;
	while ((name = text(c)) && *name) {
		uint64_t directory = unsigned_leb(c);

		unsigned_leb(c); /* time, size */
		unsigned_leb(c);
		if (!add_file(t, u, name, directory))
			return false;
	}
	return !c->bad;
}

static const char *string_at(const char *strings, size_t size, uint64_t at)
{
	return strings && at < size ? strings + at : "";
}

/* A value of FORM (DWARF 5, 7.5.6): text to *NAME, a number to *N. False: a form that no line table has. */
static bool value(const struct line_table *t, const struct unit *u, struct cursor *c, uint64_t form, const char **name,
		  uint64_t *n)
{
	enum { DATA2 = 5, DATA4, DATA8, STRING, BLOCK, DATA1 = 11, STRP = 14, UDATA, DATA16 = 30, LINE_STRP };

	switch (form) {
	case DATA1: *n = number(c, 1); break;
	case DATA2: *n = number(c, 2); break;
	case DATA4: *n = number(c, 4); break;
	case DATA8: *n = number(c, 8); break;
	case UDATA: *n = unsigned_leb(c); break;
	case DATA16: take(c, 16); break;
	case BLOCK: take(c, unsigned_leb(c)); break;
	case STRING: *name = text(c); break;
	case STRP: *name = string_at(t->strings, t->strings_size, number(c, u->word)); break;
	case LINE_STRP: *name = string_at(t->line_strings, t->line_strings_size, number(c, u->word)); break;
	default: return false;
	}
	return !c->bad;
}

/* Version 5: a list of directories or of files, with a description of what it has for each. Both are from 0 on. */
static bool new_names(struct line_table *t, struct unit *u, struct cursor *c, bool files)
{
	enum { PATH = 1, DIRECTORY_INDEX };
	struct { uint64_t what, form; } format[256];
	unsigned formats = (unsigned)number(c, 1);
	uint64_t count;

	for (unsigned i = 0; i < formats; i++) {
		format[i].what = unsigned_leb(c);
		format[i].form = unsigned_leb(c);
	}
	count = unsigned_leb(c);
	while (count-- && formats) {
		const char *name = NULL;
		uint64_t directory = 0;

		for (unsigned i = 0; i < formats; i++) {
			const char *string = NULL;
			uint64_t n = 0;

			if (!value(t, u, c, format[i].form, &string, &n))
				return false;
			name = format[i].what == PATH ? string : name;
			directory = format[i].what == DIRECTORY_INDEX ? n : directory;
		}
		if (!name || !(files ? add_file(t, u, name, directory) : add_directory(u, name)))
			return false;
	}
	return !c->bad;
}

/* The head of the unit in C, whose version comes next. C is then its program. */
static bool read_head(struct line_table *t, struct unit *u, struct cursor *c)
{
	struct cursor head = *c;
	uint64_t length;

	u->version = (unsigned)number(c, 2);
	if (u->version < 2 || u->version > 5)
		return false;
	u->address_size = u->version == 5 ? (unsigned)number(c, 1) : 0;
	if (u->version == 5)
		take(c, 1);
	length = number(c, u->word);
	head.at = c->at;
	if (!take(c, length))
		return false;
	head.end = c->at;
	u->min_length = (unsigned)number(&head, 1);
	u->max_ops = u->version >= 4 ? (unsigned)number(&head, 1) : 1;
	u->statement = number(&head, 1);
	u->line_base = (signed char)number(&head, 1);
	u->line_range = (unsigned)number(&head, 1);
	u->opcode_base = (unsigned)number(&head, 1);
	for (unsigned i = 1; i < u->opcode_base; i++)
		u->lengths[i] = (unsigned char)number(&head, 1);
	if (head.bad || !u->line_range || !u->max_ops || !u->opcode_base)
		return false;
	u->first_file = t->nfiles;
	return u->version < 5 ? old_names(t, u, &head) : new_names(t, u, &head, false) && new_names(t, u, &head, true);
}

/* ---- the program ---- */

/* The registers of its machine, and the sequence that it makes. */
struct machine { uint64_t address, line, file, discriminator; unsigned op; bool statement; size_t first; };

static void advance(const struct unit *u, struct machine *m, uint64_t operations)
{
	operations += m->op;
	m->address += u->min_length * (operations / u->max_ops);
	m->op = (unsigned)(operations % u->max_ops);
}

static bool add_row(struct line_table *t, const struct unit *u, struct machine *m)
{
	const bool known = m->file < t->nfiles - u->first_file;
	const uint32_t file = known ? (uint32_t)(u->first_file + m->file) : NO_FILE;

	if (!more(&t->rows, &t->room_rows, t->nrows, sizeof *t->rows))
		return false;
	t->rows[t->nrows++] = (struct line_row){ m->address, m->line > INT32_MAX ? 0 : (uint32_t)m->line,
		file & NO_FILE, m->statement, m->discriminator != 0 };
	m->discriminator = 0;
	return true;
}

static bool end_sequence(struct line_table *t, const struct unit *u, struct machine *m)
{
	size_t count = t->nrows - m->first;
	uint64_t low = count ? t->rows[m->first].address : 0;
	bool ok = true;

	/* what the linker has thrown away is at 0 */
	if (low && low < m->address) {
		ok = more(&t->sequences, &t->room_sequences, t->nsequences, sizeof *t->sequences);
		if (ok)
			t->sequences[t->nsequences++] = (struct line_sequence){ low, m->address, m->first, count };
	} else {
		t->nrows = m->first;
	}
	*m = (struct machine){ .line = 1, .file = 1, .statement = u->statement, .first = t->nrows };
	return ok;
}

static bool extended(struct line_table *t, const struct unit *u, struct machine *m, struct cursor *c)
{
	enum { END_SEQUENCE = 1, SET_ADDRESS, DEFINE_FILE, SET_DISCRIMINATOR };
	uint64_t len = unsigned_leb(c), directory;
	struct cursor in = { c->at, c->at, false };
	const char *name;

	if (!len || !take(c, len))
		return !c->bad;
	in.end = c->at;
	switch (number(&in, 1)) {
	case END_SEQUENCE: return end_sequence(t, u, m);
	case SET_ADDRESS:
		m->address = len == 9 || len == 5 ? number(&in, (unsigned)len - 1) : 0;
		m->op = 0;
		return true;
	case DEFINE_FILE:
		name = text(&in);
		directory = unsigned_leb(&in);
		return !in.bad && add_file(t, u, name, directory);
	case SET_DISCRIMINATOR: m->discriminator = unsigned_leb(&in); return true;
	default: return true;
	}
}

static bool standard(struct line_table *t, const struct unit *u, struct machine *m, struct cursor *c, unsigned opcode)
{
	enum { COPY = 1, ADVANCE_PC, ADVANCE_LINE, SET_FILE, SET_COLUMN, NEGATE_STMT, SET_BASIC_BLOCK, CONST_ADD_PC,
	       FIXED_ADVANCE_PC };

	switch (opcode) {
	case COPY: return add_row(t, u, m);
	case ADVANCE_PC: advance(u, m, unsigned_leb(c)); break;
	case ADVANCE_LINE: m->line += leb(c, true); break;
	case SET_FILE: m->file = unsigned_leb(c); break;
	case NEGATE_STMT: m->statement = !m->statement; break;
	case CONST_ADD_PC: advance(u, m, (255 - u->opcode_base) / u->line_range); break;
	case FIXED_ADVANCE_PC:
		m->address += number(c, 2);
		m->op = 0;
		break;
	default:
		for (unsigned i = 0; i < u->lengths[opcode]; i++)
			unsigned_leb(c);
	}
	return true;
}

static bool run(struct line_table *t, const struct unit *u, struct cursor *c)
{
	struct machine m = { .line = 1, .file = 1, .statement = u->statement, .first = t->nrows };
	bool ok = true;

	while (ok && c->at < c->end) {
		unsigned opcode = (unsigned)number(c, 1);

		if (opcode >= u->opcode_base) {
			opcode -= u->opcode_base;
			advance(u, &m, opcode / u->line_range);
			m.line += (uint64_t)(int64_t)(u->line_base + (int)(opcode % u->line_range));
			ok = add_row(t, u, &m);
		} else {
			ok = opcode ? standard(t, u, &m, c, opcode) : extended(t, u, &m, c);
		}
	}
	t->nrows = m.first; /* a sequence without an end */
	return ok && !c->bad;
}

static int by_address(const void *a, const void *b)
{
	const struct line_sequence *p = a, *q = b;

	return (p->low > q->low) - (p->low < q->low);
}

bool line_table_read(struct line_table *t, const void *elf, size_t size)
{
	const struct elf e = { elf, size, size > 4 && ((const unsigned char *)elf)[4] == 2 };
	struct cursor all;

	*t = (struct line_table){ 0 };
	if (!copy_sections(t, &e)) {
		line_table_free(t);
		return false;
	}
	all = (struct cursor){ (unsigned char *)t->lines, (unsigned char *)t->lines + t->lines_size, false };
	while (all.at < all.end) {
		struct unit u = { .word = 4 };
		uint64_t length = number(&all, 4);
		struct cursor c;

		if (length == 0xffffffff) {
			u.word = 8;
			length = number(&all, 8);
		}
		c.at = all.at;
		if (!take(&all, length))
			break;
		c.end = all.at;
		c.bad = false;
		if (read_head(t, &u, &c))
			run(t, &u, &c);
		free(u.directories);
	}
	if (t->nsequences)
		qsort(t->sequences, t->nsequences, sizeof *t->sequences, by_address);
	if (!t->nsequences)
		line_table_free(t);
	return t->nsequences;
}

void line_table_free(struct line_table *t)
{
	for (size_t i = 0; i < t->nfiles; i++)
		free(t->files[i].path);
	free(t->files);
	free(t->rows);
	free(t->sequences);
	free(t->lines);
	free(t->line_strings);
	free(t->strings);
	*t = (struct line_table){ 0 };
}

/* ---- questions ---- */

const struct line_sequence *line_table_find(const struct line_table *t, uint64_t address, size_t *row)
{
	const struct line_sequence *s;
	size_t low = 0, high = t->nsequences;

	while (low < high) { /* the last one that begins at or before it */
		size_t middle = (low + high) / 2;

		if (t->sequences[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	s = low ? &t->sequences[low - 1] : NULL;
	if (!s || address >= s->high)
		return NULL;
	low = s->first;
	high = s->first + s->count;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (t->rows[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	*row = low;
	return s;
}

const char *line_table_path(struct line_table *t, unsigned file)
{
	const char *directory;
	struct line_file *f;
	size_t size;

	if (file >= t->nfiles)
		return "";
	f = &t->files[file];
	if (f->path)
		return f->path;
	directory = f->directory && *f->name != '/' ? f->directory : "";
	size = strlen(directory) + strlen(f->name) + 2;
	f->path = malloc(size);
	if (!f->path)
		return "";
	snprintf(f->path, size, "%s%s%s", directory, *directory ? "/" : "", f->name);
	for (char *c = f->path; *c; c++) /* no control characters reach the terminal */
		*c = iscntrl((unsigned char)*c) ? '?' : *c;
	return f->path;
}
