/* SPDX-License-Identifier: MIT */
/* Values that are kept: $1, $2 ... that print has printed, and variables that `set $name = ...' makes. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { CONTENT_MAX = 1 << 16 };

struct value value_keep(struct session *s, const struct value *v)
{
	struct value kept = *v;
	struct content *c = NULL;

	kept.held = NULL;
	if (v->in_memory && v->type->size && v->type->size <= CONTENT_MAX)
		c = malloc(sizeof *c + v->type->size);
	if (!c)
		return kept;
	c->address = v->address;
	c->size = v->type->size;
	if (value_read(s, v, v->address, c->bytes, c->size) != c->size)
		free(c);
	else
		kept.held = c;
	return kept;
}

void value_drop(struct value *v)
{
	free((void *)v->held);
	*v = (struct value){ 0 };
}

unsigned history_add(struct session *s, const struct value *v)
{
	struct value *more = s->nhistory & (s->nhistory - 1) ? s->history :
		realloc(s->history, (s->nhistory ? 2 * s->nhistory : 1) * sizeof *more);

	s->history = needed(more);
	s->history[s->nhistory++] = value_keep(s, v);
	return s->nhistory;
}

/* "", "$", "3" or "$3" behind the $: the last, the one before it, number 3, the third from the end. False: it is none
 * of these. */
static bool history_number(const struct session *s, const char *name, long *n)
{
	bool back = *name == '$';
	char *end;

	name += back;
	*n = strtol(name, &end, 10);
	if (*end)
		return false;
	if (back || !*name)
		*n = (long)s->nhistory - (*name ? *n : back);
	return true;
}

bool history_value(struct session *s, const char *name, struct value *v, bool *known)
{
	long n;

	*known = history_number(s, name, &n);
	if (!*known)
		return false;
	if (n < 1 || (unsigned long)n > s->nhistory)
		return complaint(s, "history has not yet reached $%ld", n);
	*v = s->history[n - 1];
	v->reg = 0;
	return true;
}

struct variable *variable_by_name(struct session *s, const char *name, bool make)
{
	struct variable *x = s->variables;

	while (x && strcmp(x->name, name))
		x = x->next;
	if (!x && make) {
		x = needed(calloc(1, sizeof *x));
		x->name = needed(strdup(name));
		x->value.type = type_basic(s, "void");
		x->next = s->variables;
		s->variables = x;
	}
	return x;
}

void history_end(struct session *s)
{
	while (s->nhistory)
		value_drop(&s->history[--s->nhistory]);
	free(s->history);
	while (s->variables) {
		struct variable *x = s->variables;

		s->variables = x->next;
		value_drop(&x->value);
		free(x->name);
		free(x);
	}
}
