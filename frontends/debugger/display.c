/* SPDX-License-Identifier: MIT */
/* Expressions that are printed at every stop. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "debugger.h"

struct display {
	int number;
	char *format;                /* "/2xw", "/x" or "" */
	char *expression;
	bool memory;                 /* printed as by x; else as by print */
	struct display *next;
};

static void show_memory(struct session *s, const struct display *d)
{
	struct examined before = s->examined;
	char *line = NULL;

	fprintf(s->out, "%d: x%s %s\n", d->number, d->format, d->expression);
	if (asprintf(&line, "%s %s", d->format, d->expression) >= 0)
		examine(s, line, false);
	free(line);
	s->examined = before;
}

static void show_value(struct session *s, const struct display *d, const struct value *v)
{
	fprintf(s->out, "%d: %s%s%s = ", d->number, d->format, *d->format ? " " : "", d->expression);
	value_print(s, v, *d->format ? d->format[1] : 0);
	value_json_members(s, v);
}

/* Print one. An expression without a value here, as a variable of another function, is omitted. */
static void show(struct session *s, const struct display *d)
{
	const char *text = d->expression;
	struct value v;
	bool ok;

	s->quiet = true;
	ok = evaluate(s, &text, &v) && value_readable(s, &v);
	s->quiet = false;
	if (!ok)
		return;
	json_open(s, NULL, '{');
	json_number(s, "number", d->number);
	json_cstring(s, "expression", d->expression);
	if (d->memory)
		show_memory(s, d);
	else
		show_value(s, d, &v);
	json_close(s);
}

void displays_show(struct session *s)
{
	if (!s->displays)
		return;
	json_open(s, "displays", '[');
	for (const struct display *d = s->displays; d; d = d->next)
		show(s, d);
	json_close(s);
}

static struct display **last(struct session *s)
{
	struct display **at = &s->displays;

	while (*at)
		at = &(*at)->next;
	return at;
}

bool do_display(struct session *s, const char *args)
{
	size_t n = *args == '/' ? strcspn(args, " ") : 0;
	const char *expression = args + n + strspn(args + n, " "), *text = expression;
	bool memory = strcspn(args, "isbhwg0123456789") < n; /* /i, /s, and formats with a size or a count */
	struct display *new;
	struct value v;

	if (!*args) {
		displays_show(s);
		return true;
	}
	if (n && !memory && (n != 2 || !strchr("xduotcsaf", args[1])))
		return complaint(s, "display/F: F is as for print or x");
	if (!evaluate(s, &text, &v))
		return false;
	if (*text)
		return complaint(s, "text after the expression: %s", text);
	new = needed(malloc(sizeof *new));
	*new = (struct display){ ++s->last_display, needed(strndup(args, n)), needed(strdup(expression)), memory,
		NULL };
	*last(s) = new;
	json_open(s, "displays", '[');
	show(s, new);
	json_close(s);
	return true;
}

static bool undisplay(struct session *s, long number)
{
	for (struct display **at = &s->displays; *at; at = &(*at)->next) {
		struct display *d = *at;

		if (number && d->number != number)
			continue;
		*at = d->next;
		free(d->format);
		free(d->expression);
		free(d);
		return true;
	}
	return false;
}

/* Delete these, or all. */
bool do_undisplay(struct session *s, const char *args)
{
	char *end;

	if (!*args)
		displays_end(s);
	while (*args) {
		if (!undisplay(s, strtol(args, &end, 10)) || end == args)
			return complaint(s, "no display number %s", args);
		args = end + strspn(end, " ");
	}
	return true;
}

void displays_end(struct session *s)
{
	while (undisplay(s, 0))
		;
}

bool info_display(struct session *s, const char *args)
{
	(void)args;
	if (!s->displays)
		fputs("There are no auto-display expressions now.\n", s->out);
	else
		fputs("Auto-display expressions now in effect:\nNum Enb Expression\n", s->out);
	json_open(s, "displays", '[');
	for (const struct display *d = s->displays; d; d = d->next) {
		fprintf(s->out, "%d:   y  %s%s%s\n", d->number, d->format, *d->format ? " " : "", d->expression);
		json_open(s, NULL, '{');
		json_number(s, "number", d->number);
		json_cstring(s, "format", d->format);
		json_cstring(s, "expression", d->expression);
		json_close(s);
	}
	json_close(s);
	return true;
}
