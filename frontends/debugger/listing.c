/* SPDX-License-Identifier: MIT */
/* info types, functions, variables: the names that match a regular expression, by file. */
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

struct entry { char *name; const char *file; int line; char *declaration; };

struct listing {
	struct session *s;
	regex_t *wanted;             /* NULL: all */
	struct entry *entries;
	size_t n;
};

static bool wanted(void *user, const char *name)
{
	struct listing *l = user;

	return !enough(l->s) && (!l->wanted || !regexec(l->wanted, name, 0, NULL, 0));
}

static void add_entry(void *user, const char *name, const char *file, int line, const char *declaration)
{
	struct listing *l = user;

	if (!(l->n & (l->n - 1)))
		l->entries = needed(realloc(l->entries, (l->n ? 2 * l->n : 1) * sizeof *l->entries));
	l->entries[l->n++] = (struct entry){ needed(strdup(name)), file ? file : "", line,
		needed(strdup(declaration)) };
}

static int by_file_and_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	order = order ? order : strcmp(x->name, y->name);
	return order ? order : x->line - y->line;
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
	return a->line == b->line && !strcmp(a->file, b->file) && !strcmp(a->declaration, b->declaration);
}

static void print_entries(struct session *s, const struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->entries[i];

		if (i && same_entry(e, e - 1)) /* a header's type is in many units */
			continue;
		if (!i || strcmp(e->file, e[-1].file))
			fprintf(s->out, "\nFile %s:\n", e->file);
		if (e->line)
			fprintf(s->out, "%d:", e->line);
		fprintf(s->out, "\t%s\n", e->declaration);
		json_open(s, NULL, '{');
		json_cstring(s, "name", e->name);
		json_cstring(s, "declaration", e->declaration);
		json_cstring(s, "file", e->file);
		if (e->line)
			json_number(s, "line", e->line);
		json_close(s);
	}
}

/* Symbols without debugging information. */
static void print_symbols(struct session *s, struct listing *l, bool code)
{
	bool any = false;

	for (size_t i = 0; i < s->nsymbols; i++) {
		const struct symbol *y = &s->symbols[i];

		if (y->code != code || !wanted(l, y->name) || dwarf_knows(s, y->name))
			continue;
		fprintf(s->out, "%s0x%0*" PRIx64 "  %s\n", any ? "" : "\nNon-debugging symbols:\n", address_digits(s),
			y->address,
			y->name);
		any = true;
		json_open(s, NULL, '{');
		json_cstring(s, "name", y->name);
		json_hex(s, "address", y->address);
		json_close(s);
	}
}

static bool list_names(struct session *s, const char *args, enum dwarf_kind kind, const char *title)
{
	struct listing l = { .s = s };
	regex_t expression;
	int error = *args ? regcomp(&expression, args, REG_NOSUB) : 0;
	char text[128];

	if (error) {
		regerror(error, &expression, text, sizeof text);
		return complaint(s, "%s: %s", args, text);
	}
	l.wanted = *args ? &expression : NULL;
	if (*args)
		fprintf(s->out, "All %ss matching regular expression \"%s\":\n", title, args);
	else
		fprintf(s->out, "All defined %ss:\n", title);
	s->interrupted = false;
	dwarf_each(s, kind, wanted, add_entry, &l);
	if (l.n)
		qsort(l.entries, l.n, sizeof *l.entries, by_file_and_name);
	json_open(s, "names", '[');
	print_entries(s, &l);
	if (kind != DWARF_TYPE)
		print_symbols(s, &l, kind == DWARF_FUNCTION);
	json_close(s);
	for (size_t i = 0; i < l.n; i++) {
		free(l.entries[i].name);
		free(l.entries[i].declaration);
	}
	free(l.entries);
	if (*args)
		regfree(&expression);
	return true;
}

bool info_types(struct session *s, const char *args) { return list_names(s, args, DWARF_TYPE, "type"); }
bool info_functions(struct session *s, const char *args) { return list_names(s, args, DWARF_FUNCTION, "function"); }
bool info_variables(struct session *s, const char *args) { return list_names(s, args, DWARF_VARIABLE, "variable"); }
