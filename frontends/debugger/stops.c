/* Stops: breakpoints, watchpoints, events; conditions, hit counts, commands. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

struct stop *stop_by_id(struct session *s, int id)
{
	for (unsigned i = 0; id && i < s->nstops; i++)
		if (s->stops[i].id == id)
			return &s->stops[i];
	return NULL;
}

static struct stop *add(struct session *s, struct stop p)
{
	struct stop *more = p.id < 0 ? NULL : realloc(s->stops, (s->nstops + 1) * sizeof *more);

	if (!more) {
		complaint(s, "%s", p.id < 0 ? error_of(s) : "out of memory");
		free(p.what);
		free(p.condition);
		return NULL;
	}
	s->stops = more;
	more[s->nstops] = p;
	vcpu_debug_condition(s->debug, stop_counts, s);
	return &more[s->nstops++];
}

void stop_delete(struct session *s, int id)
{
	struct stop *p = stop_by_id(s, id);

	if (!p)
		return;
	vcpu_debug_delete(s->debug, id);
	free(p->what);
	free(p->condition);
	for (unsigned i = 0; p->commands && p->commands[i]; i++)
		free(p->commands[i]);
	free(p->commands);
	*p = s->stops[--s->nstops];
}

int hidden_break(struct session *s, uint64_t at, uint64_t above)
{
	struct stop *p = add(s, (struct stop){ .id = vcpu_debug_break(s->debug, at, false), .hidden = true, .above = above });

	return p ? p->id : -1;
}

bool stop_counts(void *session, const struct vcpu_debug_stop *hit)
{
	struct session *s = session;
	struct stop *p = stop_by_id(s, hit->id);

	if (!p)
		return true;
	vcpu_select(s->machine, vcpu_running(s->machine));
	if (p->hidden)
		return vcpu_get(s->machine, VCPU_RSP) > p->above || !p->above;
	if (p->condition) {
		const char *text = p->condition;
		uint64_t yes = 1;
		struct value v;

		s->last = *hit;
		s->asked = true;
		if (!evaluate(s, &text, &v) || !value_number(s, &v, &yes))
			yes = 1; /* what cannot be told stops */
		s->asked = false;
		if (!yes)
			return false;
	}
	if (s->backwards)
		return true;
	p->hits++;
	if (!p->ignore)
		return true;
	p->ignore--;
	return false;
}

/* Where in ARGS " if " begins its condition; it is cut off there. NULL: there is none. */
static char *cut_condition(char *args)
{
	char *at = !strncmp(args, "if ", 3) ? args : strstr(args, " if ");

	if (!at)
		return NULL;
	*at = 0;
	for (at += at == args ? 3 : 4; *at == ' '; at++)
		;
	return needed(strdup(at));
}

/* Would it do at AT? */
static bool parses(struct session *s, const char *condition, uint64_t at)
{
	struct value v;
	bool ok;

	s->scope = at ? at : 1;
	ok = !condition || evaluate(s, &condition, &v);
	s->scope = 0;
	return ok;
}

static void announce(struct session *s, const struct stop *p)
{
	static const char *const kinds[] = { "breakpoint", "watchpoint", "catch" };

	if (p)
		fprintf(s->out, "%s %d %s%s%s\n", kinds[p->kind], p->id, p->what, p->condition ? " if " : "", p->condition ? p->condition : "");
}

/* ---- code ---- */

static bool add_break(struct session *s, const char *args, bool physical, bool temporary)
{
	uint64_t at = linear_rip(s);
	char *copy = needed(strdup(args)), *condition = cut_condition(copy), text[160], name[128];
	const char *rest = copy;
	struct line line;
	struct stop *p;

	if ((*rest && !(physical ? address(s, &rest, &at) : place(s, &rest, true, &at))) || !parses(s, condition, at)) {
		free(copy);
		free(condition);
		return false;
	}
	free(copy);
	snprintf(text, sizeof text, "at %s%" PRIx64 "%s", physical ? "physical " : "", at, physical ? "" : symbol_text(s, at, name, sizeof name));
	if (!physical && dwarf_line(s, at, &line))
		snprintf(text + strlen(text), sizeof text - strlen(text), " %s:%d", line.name, line.line);
	p = add(s, (struct stop){ .id = vcpu_debug_break(s->debug, at, physical), .kind = STOP_BREAK, .address = at, .temporary = temporary,
		.what = needed(strdup(text)),
		.condition = condition });
	announce(s, p);
	return p;
}

bool do_break(struct session *s, const char *args) { return add_break(s, args, false, false); }
bool do_tbreak(struct session *s, const char *args) { return add_break(s, args, false, true); }
bool do_pbreak(struct session *s, const char *args) { return add_break(s, args, true, false); }

bool do_magic(struct session *s, const char *args)
{
	struct stop *p = add(s, (struct stop){ .id = vcpu_debug_magic(s->debug), .kind = STOP_BREAK,
		.what = needed(strdup("before every XCHG BX,BX")) });

	(void)args;
	announce(s, p);
	return p;
}

/* ---- memory ---- */

/* Where a variable is, how large; else a number and, behind it, a size. */
static bool watched(struct session *s, const char *args, uint64_t *at, uint64_t *size)
{
	const char *start = args;
	struct value v;

	if (!evaluate(s, &args, &v))
		return false;
	*size = 8;
	if (v.in_memory) {
		*at = v.address;
		*size = v.type->size ? v.type->size : 8;
	} else if (!address(s, &start, at)) {
		return false;
	}
	if (!*args)
		return true;
	return evaluate(s, &args, &v) && value_number(s, &v, size);
}

static bool add_watch(struct session *s, const char *args, bool physical, bool read, bool write)
{
	char *copy = needed(strdup(args)), *condition = cut_condition(copy), text[160], name[128];
	uint64_t at, size;
	struct stop *p;

	if (!watched(s, copy, &at, &size) || !parses(s, condition, linear_rip(s))) {
		free(copy);
		free(condition);
		return false;
	}
	free(copy);
	snprintf(text, sizeof text, "on %s of %" PRIu64 " bytes at %s%" PRIx64 "%s", !read ? "writes" : write ? "accesses" : "reads", size,
		physical ? "physical " : "", at, physical ? "" : symbol_text(s, at, name, sizeof name));
	p = add(s, (struct stop){ .id = vcpu_debug_watch(s->debug, at, size, physical, read, write), .kind = STOP_WATCH, .what = needed(strdup(text)),
		.condition = condition });
	announce(s, p);
	return p;
}

bool do_watch(struct session *s, const char *args) { return add_watch(s, args, false, false, true); }
bool do_rwatch(struct session *s, const char *args) { return add_watch(s, args, false, true, false); }
bool do_awatch(struct session *s, const char *args) { return add_watch(s, args, false, true, true); }
bool do_pwatch(struct session *s, const char *args) { return add_watch(s, args, true, false, true); }

bool do_last_write(struct session *s, const char *args)
{
	struct vcpu_debug_stop stop;
	uint64_t at, size, physical;

	if (!watched(s, args, &at, &size))
		return false;
	if (!vcpu_debug_translate(s->debug, at, &physical))
		return complaint(s, "that address is not mapped here");
	stop = vcpu_debug_last_write(s->debug, physical, size);
	if (stop.what == VCPU_DEBUG_START)
		fprintf(s->out, "nobody has written there, as far back as is known\n");
	return report(s, stop);
}

/* ---- events ---- */

static const struct event {
	const char *name;
	unsigned kind;
	uint64_t most;               /* the largest of what it is limited by; 0: a name */
	const char *range, *text;
} events[] = {
	{ "exception", VCPU_EVENT_EXCEPTION, 255, "[VECTOR[-VECTOR]]", "at its handler" },
	{ "interrupt", VCPU_EVENT_INTERRUPT, 255, "[VECTOR[-VECTOR]]", "from outside, at its handler" },
	{ "port", VCPU_EVENT_PORT, 0xffff, "[PORT[-PORT]] [r|w]", "IN, OUT, INS, OUTS" },
	{ "mmio", VCPU_EVENT_MMIO, UINT64_MAX, "[ADDRESS[-ADDRESS]] [r|w]", "a device in memory, physical addresses" },
	{ "msr", VCPU_EVENT_MSR, 0xffffffff, "[NUMBER[-NUMBER]] [r|w]", "RDMSR, WRMSR" },
	{ "cr3", VCPU_EVENT_CR3, UINT64_MAX, "[VALUE[-VALUE]]", "another address space" },
	{ "mode", VCPU_EVENT_MODE, UINT64_MAX, "", "real, protected, 64-bit ... mode" },
	{ "device", VCPU_EVENT_CLOCK, 0, "[NAME]", "an event of its own: names are in info clock" },
	{ "text", VCPU_EVENT_OUTPUT, 0, "TEXT or \"TEXT\"", "the guest has said it on COM1 to COM4, port E9h or the console" },
};
enum { EVENTS = sizeof events / sizeof *events };

bool do_catch(struct session *s, const char *args)
{
	struct vcpu_debug_catch what = { .read = true, .write = true };
	char *copy = needed(strdup(args)), *quote = strrchr(copy, '"'), *condition = cut_condition(quote ? quote : copy), text[160], *word, *rest;
	const struct event *e = NULL;
	const char *at;
	size_t len = strlen(copy); /* without the condition */
	struct stop *p;
	bool ok = true;

	rest = copy;
	word = strsep(&rest, " ");
	for (unsigned i = 0; *word && i < EVENTS; i++)
		if (!strncmp(events[i].name, word, strlen(word)))
			e = &events[i];
	if (!e) {
		for (unsigned i = 0; i < EVENTS; i++)
			fprintf(s->out, "catch %-9s %-26s %s\n", events[i].name, events[i].range, events[i].text);
		ok = !*args;
	} else {
		what.kinds = e->kind;
		what.last = e->most ? e->most : VCPU_CHANNELS;
		if (!e->most) {
			size_t n = rest ? strlen(rest) : 0;

			if (n > 2 && *rest == '"' && rest[n - 1] == '"') { /* with blanks at its ends, or an " if " in it */
				rest[n - 1] = 0;
				rest++;
			}
			what.name = n ? rest : NULL;
		} else {
			for (at = rest; ok && at && *at;) {
				if ((*at == 'r' || *at == 'w') && (!at[1] || at[1] == ' ')) {
					what.write = *at == 'w';
					what.read = *at++ == 'r';
					at += *at == ' ';
					continue;
				}
				what.first = what.last = strtoull(at, &rest, 0);
				ok = rest != at || complaint(s, "catch %s %s: what is %s?", e->name, e->range, at);
				if (*rest == '-')
					what.last = strtoull(rest + 1, &rest, 0);
				at = rest + strspn(rest, " ");
			}
		}
		ok = ok && parses(s, condition, linear_rip(s));
	}
	if (!e || !ok) {
		free(copy);
		free(condition);
		return ok;
	}
	snprintf(text, sizeof text, "%.*s", (int)len, args);
	p = add(s, (struct stop){ .id = vcpu_debug_catch(s->debug, &what), .kind = STOP_CATCH, .what = needed(strdup(text)), .condition = condition });
	free(copy);
	announce(s, p);
	return p;
}

/* ---- what there is ---- */

/* The stop that ARGS begins with the number of; *REST is what follows. */
static struct stop *named(struct session *s, const char *args, const char **rest)
{
	char *end;
	struct stop *p = stop_by_id(s, (int)strtol(args, &end, 10));

	if (!p)
		complaint(s, "there is no breakpoint %s", args);
	*rest = end + strspn(end, " ");
	return p;
}

bool do_condition(struct session *s, const char *args)
{
	struct stop *p = named(s, args, &args);

	if (!p || (*args && !parses(s, args, p->address)))
		return false;
	free(p->condition);
	p->condition = *args ? needed(strdup(args)) : NULL;
	return true;
}

bool do_ignore(struct session *s, const char *args)
{
	struct stop *p = named(s, args, &args);

	if (p)
		p->ignore = number(args, 0);
	return p;
}

bool do_commands(struct session *s, const char *args)
{
	struct stop *p = named(s, args, &args);

	if (!p)
		return false;
	for (unsigned i = 0; p->commands && p->commands[i]; i++)
		free(p->commands[i]);
	free(p->commands);
	p->commands = NULL;
	if (asprintf(&s->collecting, "%d", p->id) < 0)
		s->collecting = NULL;
	return true;
}

bool do_delete(struct session *s, const char *args)
{
	struct stop *p;

	while (!*args && s->nstops)
		stop_delete(s, s->stops[0].id);
	if (!*args)
		return true;
	p = named(s, args, &args);
	if (p)
		stop_delete(s, p->id);
	return p;
}

void print_stops(struct session *s)
{
	for (unsigned i = 0; i < s->nstops; i++) {
		const struct stop *p = &s->stops[i];

		if (p->hidden)
			continue;
		fprintf(s->out, "%3d %-5s %s%s", p->id, p->kind == STOP_BREAK ? "break" : p->kind == STOP_WATCH ? "watch" : "catch", p->what,
			p->temporary ? ", once" : "");
		if (p->condition)
			fprintf(s->out, " if %s", p->condition);
		if (p->hits)
			fprintf(s->out, ", hit %lu time%s", p->hits, p->hits == 1 ? "" : "s");
		if (p->ignore)
			fprintf(s->out, ", the next %lu pass", p->ignore);
		fputc('\n', s->out);
		for (unsigned k = 0; p->commands && p->commands[k]; k++)
			fprintf(s->out, "        %s\n", p->commands[k]);
	}
}
