/* SPDX-License-Identifier: MIT */
/* Completions of a word: for Tab at the prompt, and for the command `complete'. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "debugger.h"
#include "prompt.h"

const char completion_file[] = "";

struct completions {
	char **words;
	size_t n;
	const char *before;          /* text before each completion, as "second." before a member */
	const char *word;            /* the typed part of the word, without that text */
};

void completions_end(struct session *s)
{
	struct completions *c = s->completions;

	while (c && c->n)
		free(c->words[--c->n]);
	if (c)
		free(c->words);
	free(c);
	s->completions = NULL;
}

static void offer(void *session, const char *word)
{
	struct session *s = session;
	struct completions *c = s->completions;
	char *all;

	if (strncmp(word, c->word, strlen(c->word)) || asprintf(&all, "%s%s", c->before, word) < 0)
		return;
	if (!(c->n & (c->n - 1)))
		c->words = needed(realloc(c->words, (c->n ? 2 * c->n : 1) * sizeof *c->words));
	c->words[c->n++] = all;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_out(struct completions *c)
{
	size_t kept = 0;

	if (c->n)
		qsort(c->words, c->n, sizeof *c->words, by_text);
	for (size_t i = 0; i < c->n; i++) {
		if (kept && !strcmp(c->words[kept - 1], c->words[i]))
			free(c->words[i]);
		else
			c->words[kept++] = c->words[i];
	}
	c->n = kept;
}

/* ---- what there is ---- */

static void offer_words(struct session *s, const char *words)
{
	char word[64];

	while (*words) {
		size_t n = strcspn(words, " ");

		snprintf(word, sizeof word, "%.*s", (int)n, words);
		offer(s, word);
		words += n + strspn(words + n, " ");
	}
}

static void offer_list(struct session *s, const char *(*name)(unsigned i))
{
	for (unsigned i = 0; name(i); i++)
		offer(s, name(i));
}

static void offer_local(void *session, const char *name, bool argument, const struct value *v)
{
	(void)argument, (void)v;
	offer(session, name);
}

static void offer_registers(struct session *s)
{
	for (int i = 0; vcpu_register_name(i); i++)
		offer(s, vcpu_register_name(i));
	offer_words(s,
		    "pc sp eax ebx ecx edx esi edi esp ebp eip eflags address value size write by icount ns processor");
	for (const struct variable *x = s->variables; x; x = x->next)
		offer(s, x->name);
}

static void offer_symbols(struct session *s, bool code)
{
	for (size_t i = 0; i < s->nsymbols; i++)
		if (!code || s->symbols[i].code)
			offer(s, s->symbols[i].name);
	dwarf_each_prefix(s, s->completions->word, code ? "f" : "fvet", offer, s);
}

static void offer_members(struct session *s, const struct type *type)
{
	const struct type *t = type->kind == TYPE_STRUCT ? type_whole(s, type) : NULL;

	for (unsigned i = 0; t && i < t->nmembers; i++) {
		if (t->members[i].name)
			offer(s, t->members[i].name);
		else
			offer_members(s, t->members[i].type);
	}
}

/* ---- expressions ---- */

/* The beginning of the expression before a . or -> at AT. */
static const char *object_begin(const char *line, const char *at)
{
	unsigned depth = 0;

	while (at > line) {
		char c = at[-1];

		if (c == ']' || c == ')')
			depth++;
		else if ((c == '[' || c == '(') && depth)
			depth--;
		else if (!depth && !isalnum((unsigned char)c) && !strchr("_$.", c) && !(c == '>' && at - 1 > line &&
			at[-2] == '-') && !(c == '-' && *at == '>'))
			break;
		at--;
	}
	return at;
}

/* Offer the members of the object, if . or -> precedes the word. */
static bool complete_member(struct session *s, const char *line, const char *word)
{
	const char *name = word + strlen(word), *dot, *text;
	struct completions *c = s->completions;
	static char before[512];
	struct value v;
	char *object;
	bool ok;

	while (name > line && (isalnum((unsigned char)name[-1]) || name[-1] == '_'))
		name--;
	dot = name > line && name[-1] == '.'                          ? name - 1
	      : name > line + 1 && name[-1] == '>' && name[-2] == '-' ? name - 2
								      : NULL;
	if (!dot)
		return false;
	text = object_begin(line, dot);
	object = needed(strndup(text, (size_t)(dot - text)));
	text = object;
	s->quiet = s->asked = true;
	ok = evaluate(s, &text, &v) && !*text;
	s->quiet = s->asked = false;
	free(object);
	if (!ok)
		return true;
	snprintf(before, sizeof before, "%.*s", (int)(name > word ? name - word : 0), word);
	c->before = before;
	c->word = name > word ? name : word;
	offer_members(s, v.type->kind == TYPE_POINTER && v.type->to ? v.type->to : v.type);
	return true;
}

static bool behind_tag(const char *line, const char *word, const char **kind)
{
	static const char *const tags[][2] = { { "struct ", "s" }, { "union ", "s" }, { "enum ", "n" } };

	for (unsigned i = 0; i < sizeof tags / sizeof *tags; i++) {
		size_t n = strlen(tags[i][0]);

		if ((size_t)(word - line) >= n && !memcmp(word - n, tags[i][0], n)) {
			*kind = tags[i][1];
			return true;
		}
	}
	return false;
}

static void complete_expression(struct session *s, const char *line, const char *word)
{
	struct completions *c = s->completions;
	struct frame f = frame_selected(s);
	const char *kind;

	if (complete_member(s, line, word))
		return;
	if (behind_tag(line, word, &kind)) {
		dwarf_each_prefix(s, c->word, kind, offer, s);
		return;
	}
	if (*word == '$') {
		c->before = "$";
		c->word = word + 1;
		offer_registers(s);
		return;
	}
	dwarf_locals(s, &f, offer_local, s);
	offer_words(s, "struct union enum unsigned sizeof");
	offer_symbols(s, false);
}

/* ---- commands ---- */

static void offer_stops(struct session *s)
{
	char number[16];

	for (unsigned i = 0; i < s->nstops; i++)
		if (!s->stops[i].hidden) {
			snprintf(number, sizeof number, "%d", s->stops[i].number);
			offer(s, number);
		}
}

/* Offer the completions that WAY, of a command's row, selects. False: the word is a file's name. */
static bool complete_way(struct session *s, const char *way, const char *line, const char *args, const char *word)
{
	bool first = word == args;

	switch (*way) {
	case 'f': return false;
	case 'e': complete_expression(s, line, word); break;
	case 'p': offer_symbols(s, true); break;
	case 'c': offer_list(s, command_name); break;
	case 'n': offer_stops(s); break;
	case 'i':
		if (first)
			offer_list(s, info_name);
		else if (!strncmp(args, "reg", 3))
			offer_registers(s);
		else
			complete_expression(s, line, word);
		break;
	case 'v':
		if (first)
			offer_list(s, catch_name);
		else
			complete_expression(s, line, word);
		break;
	case 'g':
		for (unsigned i = 0; i < s->nbookmarks; i++)
			offer(s, s->bookmarks[i].name);
		break;
	}
	if (first && way[0] && way[1] == '=')
		offer_words(s, way + 2);
	return true;
}

const char *completion(struct session *s, const char *line, unsigned start, unsigned i)
{
	struct completions *c = s->completions;
	const char *word, *args, *way, *condition;
	size_t n;

	if (i)
		return c && i < c->n ? c->words[i] : NULL;
	completions_end(s);
	line += strspn(line, " \t");
	c = s->completions = needed(calloc(1, sizeof *c));
	n = strspn(line, "abcdefghijklmnopqrstuvwxyz-");
	word = line + (start < strlen(line) ? start : strlen(line));
	args = line + n + strcspn(line + n, " ");
	args += strspn(args, " ");
	c->before = "";
	c->word = word;
	if (word < args || !line[n]) {
		offer_list(s, command_name);
	} else {
		way = command_completes(line, n);
		condition = strstr(args, "if ");
		if (way && condition && condition < word && strchr("pv", *way))
			way = "e";
		if (way && !complete_way(s, way, line, args, word))
			return completion_file;
	}
	sort_out(c);
	return c->n ? c->words[0] : NULL;
}

/* Print each completion of LINE as a whole line, as gdb does. */
bool do_complete(struct session *s, const char *args)
{
	size_t n = strlen(args), start = n;
	const char *word;

	while (start && !strchr(COMPLETION_BREAKS, args[start - 1]))
		start--;
	json_open(s, "completions", '[');
	for (unsigned i = 0; (word = completion(s, args, (unsigned)start, i)) && word != completion_file; i++) {
		fprintf(s->out, "%.*s%s\n", (int)start, args, word);
		json_cstring(s, NULL, word);
	}
	json_close(s);
	return true;
}
