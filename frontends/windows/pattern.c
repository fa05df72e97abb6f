/* SPDX-License-Identifier: MIT */
/* An expression becomes a program for a nondeterministic automaton, which runs all its ways at once (Thompson 1968):
 *
 *     a     BYTE a                        e1|e2   SPLIT +1 +n; e1; JUMP; e2
 *     e*    SPLIT +1 +n; e; JUMP back     e+      e; SPLIT back +1          e?   SPLIT +1 +n; e
 *
 * Jumps are relative, so that e{2,5} is made by copies. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "pattern.h"

enum { STEPS_MAX = 20000, REPEAT_MAX = 1000, DEPTH_MAX = 200 };
enum kind { BYTE, ANY, SET, SPLIT, JUMP, BEGIN, END, MATCH };
struct step {
	enum kind kind;
	int x, y;         /* SPLIT, JUMP: where to go, from here */
	uint32_t set[8];  /* BYTE, SET: a bit for each byte */
};

struct compiler {
	struct pattern *p;
	const char *at;
	bool extended;
	unsigned depth;   /* of parentheses */
	const char *error;
};

static bool fail(struct compiler *c, const char *error)
{
	if (!c->error)
		c->error = error;
	return false;
}

/* Make room for N steps at INDEX. */
static struct step *insert(struct compiler *c, size_t index, size_t n)
{
	struct pattern *p = c->p;
	struct step *more = p->count + n > STEPS_MAX ? NULL : realloc(p->steps, (p->count + n) * sizeof *more);

	if (!more) {
		fail(c, "Regular expression too big");
		return NULL;
	}
	p->steps = more;
	memmove(more + index + n, more + index, (p->count - index) * sizeof *more);
	memset(more + index, 0, n * sizeof *more);
	p->count += n;
	return more + index;
}

static bool put(struct compiler *c, size_t index, enum kind kind, size_t x, size_t y)
{
	struct step *s = insert(c, index, 1);

	if (s)
		*s = (struct step){ .kind = kind, .x = (int)x, .y = (int)y };
	return s;
}

static void add(uint32_t set[8], unsigned char c) { set[c / 32] |= 1u << c % 32; }
static bool has(const uint32_t set[8], unsigned char c) { return set[c / 32] >> c % 32 & 1; }

static bool put_byte(struct compiler *c, unsigned char byte)
{
	if (!put(c, c->p->count, BYTE, 0, 0))
		return false;
	add(c->p->steps[c->p->count - 1].set, byte);
	return true;
}

/* ---- [...] ---- */

/* [:NAME:] at the compiler's place. */
static bool class(struct compiler *c, uint32_t set[8])
{
	static const struct { const char *name; int (*is)(int); } classes[] = {
		{ "alnum", isalnum }, { "alpha", isalpha }, { "blank", isblank }, { "cntrl", iscntrl },
		{ "digit", isdigit }, { "graph", isgraph }, { "lower", islower }, { "print", isprint },
		{ "punct", ispunct }, { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
	};
	const char *name = c->at + 2, *end = strstr(name, ":]");

	for (size_t i = 0; end && i < sizeof classes / sizeof *classes; i++) {
		size_t len = strlen(classes[i].name);

		if ((size_t)(end - name) != len || memcmp(name, classes[i].name, len))
			continue;
		for (int byte = 0; byte < 128; byte++)
			if (classes[i].is(byte))
				add(set, (unsigned char)byte);
		c->at = end + 2;
		return true;
	}
	return fail(c, "Invalid character class name");
}

static bool range(struct compiler *c, uint32_t set[8])
{
	unsigned char first = (unsigned char)*c->at++, last = first;

	if (c->at[0] == '-' && c->at[1] && c->at[1] != ']') {
		last = (unsigned char)c->at[1];
		c->at += 2;
	}
	if (last < first)
		return fail(c, "Invalid range end");
	for (unsigned byte = first; byte <= last; byte++)
		add(set, (unsigned char)byte);
	return true;
}

static bool bracket(struct compiler *c)
{
	uint32_t set[8] = { 0 };
	bool not, first = true;

	c->at++;
	not = *c->at == '^';
	c->at += not;
	for (; *c->at && (*c->at != ']' || first); first = false) {
		if (*c->at == '[' && (c->at[1] == '.' || c->at[1] == '='))
			return fail(c, "Invalid collation character");
		if (*c->at == '[' && c->at[1] == ':' ? !class(c, set) : !range(c, set))
			return false;
	}
	if (!*c->at)
		return fail(c, "Unmatched [, [^, [:, [., or [=");
	c->at++;
	for (int i = 0; not && i < 8; i++)
		set[i] = ~set[i];
	if (not && c->p->newline)
		set['\n' / 32] &= ~(1u << '\n' % 32);
	if (!put(c, c->p->count, SET, 0, 0))
		return false;
	memcpy(c->p->steps[c->p->count - 1].set, set, sizeof set);
	return true;
}

/* ---- the rest ---- */

static bool alternatives(struct compiler *c);

/* Is the operator OP here, with a backslash in basic expressions? It is passed if so. */
static bool operator(struct compiler *c, char op)
{
	size_t len = c->extended ? 1 : 2;

	if (c->extended ? *c->at != op : *c->at != '\\' || c->at[1] != op)
		return false;
	c->at += len;
	return true;
}

/* Is *c->at the end of a branch? */
static bool branch_ends(const struct compiler *c)
{
	const char *at = c->at;

	if (!c->extended)
		return !*at || (*at == '\\' && (at[1] == '|' || (at[1] == ')' && c->depth)));
	return !*at || *at == '|' || (*at == ')' && c->depth);
}

static bool group(struct compiler *c)
{
	if (++c->depth > DEPTH_MAX)
		return fail(c, "Regular expression too big");
	if (!alternatives(c))
		return false;
	if (!operator(c, ')'))
		return fail(c, "Unmatched ( or \\(");
	c->depth--;
	return true;
}

static bool escaped(struct compiler *c)
{
	if (!*++c->at)
		return fail(c, "Trailing backslash");
	if (isdigit((unsigned char)*c->at))
		return fail(c, "Invalid back reference");
	if (isalpha((unsigned char)*c->at) || strchr(c->extended ? "<>`'" : "<>`'{", *c->at))
		return fail(c, "Invalid preceding regular expression"); /* GNU's \w, \< and others */
	return put_byte(c, (unsigned char)*c->at++);
}

/* FIRST: of its branch, where basic expressions have their ^, and a * that is itself. */
static bool atom(struct compiler *c, bool first)
{
	const char *at = c->at;

	if (operator(c, '('))
		return group(c);
	if (*at == '[')
		return bracket(c);
	if (*at == '\\')
		return escaped(c);
	if (c->extended && strchr("*+?{", *at))
		return fail(c, "Invalid preceding regular expression");
	c->at++;
	if (*at == '.')
		return put(c, c->p->count, ANY, 0, 0);
	if (*at == '^' && (c->extended || first))
		return put(c, c->p->count, BEGIN, 0, 0);
	if (*at == '$' && (c->extended || branch_ends(c)))
		return put(c, c->p->count, END, 0, 0);
	return put_byte(c, (unsigned char)*at);
}

static bool star(struct compiler *c, size_t from)
{
	size_t len = c->p->count - from;

	return put(c, from, SPLIT, 1, len + 2) && put(c, c->p->count, JUMP, (size_t)-(ptrdiff_t)(len + 1), 0);
}

static bool copy(struct compiler *c, size_t from, size_t len)
{
	struct step *to = insert(c, c->p->count, len);

	if (to)
		memcpy(to, c->p->steps + from, len * sizeof *to);
	return to;
}

/* {LEAST,MOST} of the steps from FROM on. */
static bool repeat(struct compiler *c, size_t from)
{
	size_t len = c->p->count - from;
	char *end;
	unsigned long least = 0, most;

	if (!isdigit((unsigned char)*c->at) && *c->at != ',')
		return fail(c, "Invalid content of \\{\\}");
	if (*c->at != ',') {
		least = strtoul(c->at, &end, 10);
		c->at = end;
	}
	most = least;
	if (*c->at == ',') {
		most = isdigit((unsigned char)*++c->at) ? strtoul(c->at, &end, 10) : REPEAT_MAX + 1;
		c->at = isdigit((unsigned char)*c->at) ? end : c->at;
	}
	if (least > REPEAT_MAX || most > REPEAT_MAX + 1 || least > most || !operator(c, '}'))
		return fail(c, "Invalid content of \\{\\}");
	/* the pieces behind the first one, which is the model: LEAST, and then * or optional ones */
	for (unsigned long i = 0; i < least; i++)
		if (!copy(c, from, len))
			return false;
	for (unsigned long i = least; i < most; i++) {
		size_t here = c->p->count;

		if (!copy(c, from, len))
			return false;
		if (most > REPEAT_MAX) {
			if (!star(c, here))
				return false;
			break;
		}
		if (!put(c, here, SPLIT, 1, len + 1))
			return false;
	}
	memmove(c->p->steps + from, c->p->steps + from + len, (c->p->count - from - len) * sizeof *c->p->steps);
	c->p->count -= len;
	return true;
}

static bool branch(struct compiler *c)
{
	bool first = true;

	for (; !branch_ends(c); first = false) {
		size_t from = c->p->count;
		bool itself = !c->extended && first && *c->at == '*', anchor = *c->at == '^', end = *c->at == '$';

		if (itself ? !put_byte(c, (unsigned char)*c->at++) : !atom(c, first))
			return false;
		if (anchor && !c->extended && first)
			itself = *c->at == '*'; /* ^* */
		if (itself && anchor && !put_byte(c, (unsigned char)*c->at++))
			return false;
		from = itself && anchor ? c->p->count - 1 : from;
		if (c->extended && (anchor || end) && *c->at && strchr("*+?{", *c->at))
			return fail(c, "Invalid preceding regular expression");
		while (!c->error) {
			size_t len = c->p->count - from;

			if (*c->at == '*' && c->at++)
				star(c, from);
			else if (operator(c, '+'))
				put(c, c->p->count, SPLIT, (size_t)-(ptrdiff_t)len, 1);
			else if (operator(c, '?'))
				put(c, from, SPLIT, 1, len + 1);
			else if (operator(c, '{'))
				repeat(c, from);
			else
				break;
		}
		if (c->error)
			return false;
	}
	return true;
}

static bool alternatives(struct compiler *c)
{
	size_t from = c->p->count, jump;

	if (!branch(c))
		return false;
	if (!operator(c, '|'))
		return true;
	jump = c->p->count + 1;
	if (!put(c, from, SPLIT, 1, jump + 1 - from) || !put(c, jump, JUMP, 0, 0) || !alternatives(c))
		return false;
	c->p->steps[jump].x = (int)(c->p->count - jump);
	return true;
}

const char *pattern_compile(struct pattern *p, const char *text, bool extended, bool newline)
{
	struct compiler c = { .p = p, .at = text, .extended = extended };

	*p = (struct pattern){ .newline = newline };
	if (alternatives(&c) && *c.at)
		fail(&c, "Unmatched ) or \\)");
	if (!c.error)
		put(&c, p->count, MATCH, 0, 0);
	if (c.error)
		pattern_free(p);
	return c.error;
}

void pattern_free(struct pattern *p)
{
	free(p->steps);
	p->steps = NULL;
}

/* ---- the automaton ---- */

/* The steps that are to take the next byte, each once. */
struct states { size_t count; size_t *at; unsigned *seen, mark; };

struct run {
	const struct pattern *p;
	const char *text;
	struct states now, next;
	size_t *stack;
};

/* STEP and all that follows from it without a byte, before text[I]. True: a match ends here. */
static bool enter(struct run *r, struct states *s, size_t step, size_t i)
{
	size_t depth = 0;
	bool match = false, newline = r->p->newline;

	r->stack[depth++] = step;
	while (depth) {
		const struct step *at;
		size_t n = r->stack[--depth];

		if (s->seen[n] == s->mark)
			continue;
		s->seen[n] = s->mark;
		at = r->p->steps + n;
		switch (at->kind) {
		case SPLIT:
			r->stack[depth++] = n + (size_t)at->y;
			r->stack[depth++] = n + (size_t)at->x;
			break;
		case JUMP:
			r->stack[depth++] = n + (size_t)at->x;
			break;
		case BEGIN:
			if (!i || (newline && r->text[i - 1] == '\n'))
				r->stack[depth++] = n + 1;
			break;
		case END:
			if (!r->text[i] || (newline && r->text[i] == '\n'))
				r->stack[depth++] = n + 1;
			break;
		case MATCH:
			match = true;
			break;
		default:
			s->at[s->count++] = n;
		}
	}
	return match;
}

static bool takes(const struct pattern *p, const struct step *s, char c)
{
	return s->kind == ANY ? !p->newline || c != '\n' : has(s->set, (unsigned char)c);
}

/* From text[I] on, or, if ANYWHERE, from any later place: is there a match, and where does the longest (the first)
 * end? */
static bool matches(struct run *r, size_t i, bool anywhere, size_t *end)
{
	bool found = false;

	r->now.count = 0;
	r->now.mark++;
	for (bool first = true;; first = false) {
		bool match = r->now.count && r->now.seen[r->p->count - 1] == r->now.mark;
		struct states was;

		if (first || anywhere)
			match |= enter(r, &r->now, 0, i);
		if (match) {
			found = true;
			*end = i;
		}
		if (!r->text[i] || (found && anywhere) || (!r->now.count && !anywhere))
			return found;
		r->next.count = 0;
		r->next.mark++;
		for (size_t k = 0; k < r->now.count; k++)
			if (takes(r->p, r->p->steps + r->now.at[k], r->text[i]) &&
			    enter(r, &r->next, r->now.at[k] + 1, i + 1)) {
				found = true;
				*end = i + 1;
			}
		was = r->now;
		r->now = r->next;
		r->next = was;
		i++;
	}
}

bool pattern_find(const struct pattern *p, const char *text, size_t *begin, size_t *end)
{
	size_t n = p->count;
	struct run r = { .p = p, .text = text };
	size_t *places = calloc(5 * n, sizeof *places);
	unsigned *marks = calloc(2 * n, sizeof *marks);
	bool found = false;

	if (places && marks) {
		r.now = (struct states){ .at = places, .seen = marks };
		r.next = (struct states){ .at = places + n, .seen = marks + n };
		r.stack = places + 2 * n; /* each step is seen once, and leaves two at most */
		found = matches(&r, 0, true, end);
		for (*begin = 0; found && !matches(&r, *begin, false, end); ++*begin)
			;
	}
	free(places);
	free(marks);
	return found;
}
