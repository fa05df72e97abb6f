/* SPDX-License-Identifier: MIT */
/* Its assembler, in two passes. A line is
 *
 *     label:  operation  a, b          ; comment
 *     label = expression
 *
 * An operand is #expression (its value), expression (its address) or @expression (the address of its address). An
 * expression is a sum or difference of numbers, characters in quotes, labels and `.', the address here. Directives:
 * .word x, y ... puts words; .psw mode, p, l, b a program status word; .base x makes the addresses that follow count
 * from x; .include NAME reads a file of the same folder. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "machine.h"

struct assembler { struct program *out; const char *path, *at; unsigned line, depth; word here; bool second, failed; };

static void fail(struct assembler *s, const char *what)
{
	if (!s->failed)
		fprintf(stderr, "%s:%u: %s\n", s->path, s->line, what);
	s->failed = true;
}

static void skip(struct assembler *s) { s->at += strspn(s->at, " \t\r\n"); }

static bool accept(struct assembler *s, char c)
{
	skip(s);
	return *s->at == c && s->at++;
}

static void name(struct assembler *s, char out[32])
{
	unsigned n = 0;

	skip(s);
	while ((isalnum((unsigned char)*s->at) || *s->at == '_' || *s->at == '.') && n < 31)
		out[n++] = *s->at++;
	out[n] = 0;
}

static void define(struct assembler *s, const char *label, word value)
{
	struct program *p = s->out;
	void *more;

	for (unsigned i = 0; i < p->label_count; i++) {
		if (!strcmp(p->labels[i].name, label)) {
			if (!s->second)
				fail(s, "the label is there already");
			p->labels[i].value = value;
			return;
		}
	}
	more = realloc(p->labels, (p->label_count + 1) * sizeof *p->labels);
	if (!more) {
		fail(s, "out of memory");
		return;
	}
	p->labels = more;
	strcpy(p->labels[p->label_count].name, label);
	p->labels[p->label_count++].value = value;
}

static word term(struct assembler *s)
{
	char label[32];

	skip(s);
	if (*s->at == '\'' && s->at[1] && s->at[2] == '\'')
		return s->at += 3, (unsigned char)s->at[-2];
	if (isdigit((unsigned char)*s->at))
		return strtoull(s->at, (char **)&s->at, 0);
	name(s, label);
	if (!strcmp(label, "."))
		return s->here;
	for (unsigned i = 0; i < s->out->label_count; i++)
		if (!strcmp(s->out->labels[i].name, label))
			return s->out->labels[i].value;
	if (s->second || !*label)
		fail(s, "an expression is missing, or has an unknown label");
	return 0;
}

static word expression(struct assembler *s)
{
	word value = accept(s, '-') ? -term(s) : term(s);

	for (;;) {
		if (accept(s, '+'))
			value += term(s);
		else if (accept(s, '-'))
			value -= term(s);
		else
			return value;
	}
}

static void put(struct assembler *s, word value)
{
	struct program *p = s->out;
	word *more = s->second ? p->cells : realloc(p->cells, (p->count + 1) * sizeof *more);

	if (!more || p->count >= MAX_SIZE) {
		fail(s, "the program is too large");
		return;
	}
	p->cells = more;
	p->cells[p->count++] = value;
	s->here++;
}

/* An operand: its form in bits 25-24, its field below. */
static word operand(struct assembler *s)
{
	word form = accept(s, '#') ? IMMEDIATE : accept(s, '@') ? INDIRECT : DIRECT, value = expression(s);

	if (s->second && (form == IMMEDIATE ? value + 0x800000 >= 0x1800000 : value >= 0x1000000))
		fail(s, "an operand has 24 bits");
	return form << 24 | (value & 0xffffff);
}

static void instruction(struct assembler *s, const char *operation)
{
	static const struct { const char *name; word code; int operands; } all[] = {
#define X(code, name, operands) { #name, code, operands },
		OPERATIONS(X)
#undef X
	};
	unsigned i = 0;
	word w;

	while (i < sizeof all / sizeof *all && strcmp(all[i].name, operation))
		i++;
	if (i == sizeof all / sizeof *all) {
		fail(s, "there is no such operation");
		return;
	}
	w = all[i].code << 56;
	if (all[i].operands & A) {
		word a = operand(s);

		w |= (a & 0xffffff) << 24 | a >> 24 << 52;
		if (all[i].operands & B && !accept(s, ','))
			fail(s, "a comma is missing");
	}
	if (all[i].operands & B) {
		word b = operand(s);

		w |= (b & 0xffffff) | b >> 24 << 48;
	}
	put(s, w);
}

static void read_file(struct assembler *s, const char *path);

/* The file NAME in the folder of the one that names it. */
static void include(struct assembler *s, const char *name)
{
	const char *path = s->path, *at = s->at, *slash = strrchr(path, '/');
	unsigned line = s->line;
	char other[1024];

	if ((size_t)snprintf(other, sizeof other, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name) >=
		    sizeof other || s->depth == 8) {
		fail(s, "the name is too long, or files include each other");
		return;
	}
	s->depth++;
	read_file(s, other);
	s->depth--;
	s->path = path;
	s->at = at;
	s->line = line;
}

static void statement(struct assembler *s)
{
	char word_here[32];

	name(s, word_here);
	while (*word_here && accept(s, ':')) {
		define(s, word_here, s->here);
		name(s, word_here);
	}
	if (!*word_here)
		return;
	if (accept(s, '=')) {
		define(s, word_here, expression(s));
	} else if (!strcmp(word_here, ".word")) {
		do
			put(s, expression(s));
		while (accept(s, ','));
	} else if (!strcmp(word_here, ".psw")) {
		word w = expression(s) << 60;

		for (int shift = 40; shift >= 0 && accept(s, ','); shift -= 20)
			w |= (expression(s) & (MAX_SIZE - 1)) << shift;
		put(s, w);
	} else if (!strcmp(word_here, ".base")) {
		s->here = expression(s);
	} else if (!strcmp(word_here, ".include")) {
		name(s, word_here);
		include(s, word_here);
	} else {
		instruction(s, word_here);
	}
}

static void read_file(struct assembler *s, const char *path)
{
	char text[256];
	FILE *f = fopen(path, "r");

	if (!f) {
		fail(s, path);
		return;
	}
	s->path = path;
	s->line = 0;
	while (fgets(text, sizeof text, f)) {
		s->line++;
		text[strcspn(text, ";")] = 0;
		s->at = text;
		statement(s);
		skip(s);
		if (*s->at)
			fail(s, "there is more on the line than a statement");
	}
	fclose(f);
}

bool assemble(const char *path, struct program *out)
{
	struct assembler s = { .out = out, .path = path };

	memset(out, 0, sizeof *out);
	for (int pass = 0; pass < 2; pass++, s.second = true) {
		out->count = 0;
		s.here = 0;
		read_file(&s, path);
	}
	return !s.failed;
}
