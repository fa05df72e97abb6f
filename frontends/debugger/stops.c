/* SPDX-License-Identifier: MIT */
/* Stops: breakpoints, watchpoints, events; conditions, hit counts, commands. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "debugger.h"

struct stop *stop_by_id(struct session *s, int id)
{
	for (unsigned i = 0; id && i < s->nstops; i++)
		if (s->stops[i].id == id)
			return &s->stops[i];
	return NULL;
}

struct stop *stop_add(struct session *s, struct stop p)
{
	struct stop *more = p.id < 0 ? NULL : realloc(s->stops, (s->nstops + 1) * sizeof *more);

	if (!more) {
		complaint(s, "%s", p.id < 0 ? error_of(s) : "out of memory");
		free(p.what);
		free(p.condition);
		watch_end(&p);
		return NULL;
	}
	s->stops = more;
	p.number = p.hidden ? 0 : ++s->last_stop;
	more[s->nstops] = p;
	vcpu_debug_condition(s->debug, stop_counts, s);
	return &more[s->nstops++];
}

struct stop *stop_by_number(struct session *s, int number)
{
	for (unsigned i = 0; number && i < s->nstops; i++)
		if (s->stops[i].number == number)
			return &s->stops[i];
	return NULL;
}

void stop_delete(struct session *s, int id)
{
	struct stop *p = stop_by_id(s, id);

	if (!p)
		return;
	vcpu_debug_delete(s->debug, id);
	free(p->what);
	free(p->condition);
	watch_end(p);
	for (unsigned i = 0; p->commands && p->commands[i]; i++)
		free(p->commands[i]);
	free(p->commands);
	memmove(p, p + 1, (size_t)(s->stops + s->nstops - (p + 1)) * sizeof *p);
	s->nstops--;
}

int hidden_break(struct session *s, uint64_t at, uint64_t above, uint64_t caller)
{
	struct stop *p = stop_add(s, (struct stop){ .id = vcpu_debug_break(s->debug, at, false), .hidden = true,
		.above = above,
		.caller = caller });

	return p ? p->id : -1;
}

/* Is RSP within the bounds of a hidden stop? */
static bool in_its_frame(struct session *s, const struct stop *p)
{
	struct frame f = frame_here(s);

	if (p->above && vcpu_get(s->machine, VCPU_RSP) <= p->above)
		return false;
	return !p->caller || !frame_up(s, &f) || f.sp >= p->caller;
}

bool condition_holds(struct session *s, const char *text, const struct vcpu_debug_stop *hit)
{
	uint64_t yes;
	struct value v;

	if (!text)
		return true;
	s->last = *hit;
	s->asked = true;
	if (!evaluate(s, &text, &v) || !value_number(s, &v, &yes))
		yes = 1; /* a condition without a value stops */
	s->asked = false;
	return yes;
}

bool stop_counts(void *session, const struct vcpu_debug_stop *hit)
{
	struct session *s = session;
	struct stop *p = stop_by_id(s, hit->id);

	if (s->query)
		return query_hit(s, hit);
	if (!p)
		return true;
	vcpu_select(s->machine, vcpu_running(s->machine));
	if (p->hidden)
		return in_its_frame(s, p);
	if (p->disabled || !watch_counts(s, p, hit) || !condition_holds(s, p->condition, hit))
		return false;
	if (s->backwards)
		return true;
	p->hits++;
	if (!p->ignore)
		return true;
	p->ignore--;
	return false;
}

char *cut_condition(char *args)
{
	char *at = !strncmp(args, "if ", 3) ? args : strstr(args, " if ");

	if (!at)
		return NULL;
	*at = 0;
	for (at += at == args ? 3 : 4; *at == ' '; at++)
		;
	return needed(strdup(at));
}

bool condition_parses(struct session *s, const char *condition, uint64_t at)
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
	struct line line;

	if (!p)
		return;
	json_number(s, "id", p->number);
	if (p->kind == STOP_CATCH)
		fprintf(s->out, "Catchpoint %d (%s)\n", p->number, p->what);
	else if (!p->address || p->physical)
		fprintf(s->out, "Breakpoint %d %s\n", p->number, p->what);
	else if (dwarf_line(s, p->address, &line))
		fprintf(s->out, "%s %d at 0x%" PRIx64 ": file %s, line %d.\n", p->temporary ? "Temporary breakpoint"
			: "Breakpoint",
			p->number, p->address,
			line.file, line.line);
	else
		fprintf(s->out, "%s %d at 0x%" PRIx64 "\n", p->temporary ? "Temporary breakpoint" : "Breakpoint",
			p->number,
			p->address);
	if (p->address)
		json_hex(s, "address", p->address);
}

/* ---- code ---- */

static bool add_break(struct session *s, const char *args, bool physical, bool temporary)
{
	uint64_t at = linear_rip(s);
	char *copy = needed(strdup(args)), *condition = cut_condition(copy), text[160], name[128];
	const char *rest = copy;
	struct stop *p;

	if ((*rest && !(physical ? address(s, &rest, &at) : place(s, &rest, true, &at))) ||
		!condition_parses(s, condition,
		at)) {
		free(copy);
		free(condition);
		return false;
	}
	free(copy);
	snprintf(text, sizeof text, "at %s0x%0*" PRIx64 "%s", physical ? "physical " : "", address_digits(s), at,
		physical ? "" : symbol_text(s, at, name, sizeof name));
	p = stop_add(s, (struct stop){ .id = vcpu_debug_break(s->debug, at, physical), .kind = STOP_BREAK,
		.address = at,
		.temporary = temporary,
		.physical = physical, .what = needed(strdup(text)), .condition = condition });
	announce(s, p);
	return p;
}

bool do_break(struct session *s, const char *args) { return add_break(s, args, false, false); }
bool do_tbreak(struct session *s, const char *args) { return add_break(s, args, false, true); }
bool do_pbreak(struct session *s, const char *args) { return add_break(s, args, true, false); }

bool do_magic(struct session *s, const char *args)
{
	struct stop *p = stop_add(s, (struct stop){ .id = vcpu_debug_magic(s->debug), .kind = STOP_BREAK,
		.what = needed(strdup("before every XCHG BX,BX")) });

	(void)args;
	announce(s, p);
	return p;
}

/* ---- events ---- */

static const struct event {
	const char *name;
	unsigned kind;
	uint64_t most;               /* the largest bound of its range; 0: it has a name instead */
	const char *range, *text;
} events[] = {
	{ "exception", VCPU_EVENT_EXCEPTION, 255, "[VECTOR[-VECTOR]]", "an exception, at its handler" },
	{ "interrupt", VCPU_EVENT_INTERRUPT, 255, "[VECTOR[-VECTOR]]", "an external interrupt, at its handler" },
	{ "port", VCPU_EVENT_PORT, 0xffff, "[PORT[-PORT]] [r|w]", "IN, OUT, INS, OUTS" },
	{ "mmio", VCPU_EVENT_MMIO, UINT64_MAX, "[ADDRESS[-ADDRESS]] [r|w]", "an access to a memory-mapped device, by physical address" },
	{ "msr", VCPU_EVENT_MSR, 0xffffffff, "[NUMBER[-NUMBER]] [r|w]", "RDMSR, WRMSR" },
	{ "cr3", VCPU_EVENT_CR3, UINT64_MAX, "[VALUE[-VALUE]]", "a write of another value to CR3" },
	{ "mode", VCPU_EVENT_MODE, UINT64_MAX, "", "a change of mode: real, protected, 64-bit ..." },
	{ "device", VCPU_EVENT_CLOCK, 0, "[NAME]", "a timer event of a device; info clock lists the names" },
	{ "text", VCPU_EVENT_OUTPUT, 0, "TEXT or \"TEXT\"",
		"a text that the guest writes to COM1 to COM4, port E9h or the console" },
	{ "vmexit", VCPU_EVENT_VMEXIT, VCPU_SVM | 0xffff, "[REASON[-REASON]]",
		"a VM exit, at the monitor's handler; a number, or hlt, cpuid, ept-violation, npf ..." },
	{ "vmentry", VCPU_EVENT_VMENTRY, UINT64_MAX, "[RIP[-RIP]]", "a VM entry, at the first instruction of the virtual machine" },
	{ "vmfail", VCPU_EVENT_VMFAIL, 0xffff, "[ERROR[-ERROR]]", "a VMX instruction that fails" },
};
enum { EVENTS = sizeof events / sizeof *events };

const char *catch_name(unsigned i) { return i < EVENTS ? events[i].name : NULL; }

/* The letter or digit of a name at *AT, or behind it; 0: there are no more before END. */
static int letter(const char **at, const char *end)
{
	while (*at < end && !isalnum((unsigned char)**at))
		++*at;
	return *at < end ? tolower((unsigned char)*(*at)++) : 0;
}

/* VCPU_SVM if exits of the processor are SVM's: it has no VMX. */
static uint32_t exits_of(struct session *s)
{
	enum { IA32_VMX_BASIC = 0x480 };
	uint64_t value;

	return vcpu_get_msr(s->machine, IA32_VMX_BASIC, &value) ? VCPU_SVM : 0;
}

/* The exit reason that the word AT begins: "hlt", "io", "ept-violation", "npf". Returns the end of the word; AT: it
 * begins none. */
static char *exit_reason(struct session *s, char *at, uint64_t *reason)
{
	char *end = at + strcspn(at, " ");

	for (uint32_t n = 0, i = exits_of(s); n < 0x20000; n++, i = (i + 1) & 0x1ffff) {
		const char *name = vcpu_vmexit_name(i), *word = at;
		int c = 1;

		while (name && c && (c = letter(&word, end)) && letter(&name, name + strlen(name)) == c)
			;
		if (name && !c) {
			*reason = i;
			return end;
		}
	}
	return at;
}

bool do_catch(struct session *s, const char *args)
{
	struct vcpu_debug_catch what = { .read = true, .write = true };
	char *copy = needed(strdup(args)), *quote = strrchr(copy, '"'),
	     *condition = cut_condition(quote ? quote : copy), text[160], *word, *rest;
	const struct event *e = NULL;
	const char *at;
	size_t len = strlen(copy); /* length without the condition */
	struct stop *p;
	bool ok = true;

	rest = copy;
	word = strsep(&rest, " ");
	for (unsigned i = 0; *word && i < EVENTS; i++)
		if (!strncmp(events[i].name, word, strlen(word)))
			e = &events[i];
	if (!e) {
		json_open(s, "events", '[');
		for (unsigned i = 0; i < EVENTS; i++) {
			json_open(s, NULL, '{');
			SHOW_STRING(s, "name", "catch %-9s", events[i].name);
			SHOW_STRING(s, "range", " %-26s", events[i].range);
			SHOW_STRING(s, "text", " %s\n", events[i].text);
			json_close(s);
		}
		json_close(s);
		ok = !*args;
	} else {
		what.kinds = e->kind;
		what.last = e->most ? e->most : VCPU_CHANNELS;
		if (!e->most) {
			size_t n = rest ? strlen(rest) : 0;

			if (n > 2 && *rest == '"' && rest[n - 1] == '"') {
				/* quoted: it can have blanks at its ends, and " if " in it */
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
				if (rest == at && e->kind == VCPU_EVENT_VMEXIT) {
					rest = exit_reason(s, copy + (at - copy), &what.first);
					what.last = what.first;
				} else if (e->kind == VCPU_EVENT_VMEXIT) {
					what.first = what.last |= exits_of(s);
				}
				ok = rest != at || complaint(s, "catch %s %s: unknown argument: %s", e->name, e->range, at);
				if (*rest == '-')
					what.last = (what.first & VCPU_SVM) | strtoull(rest + 1, &rest, 0);
				at = rest + strspn(rest, " ");
			}
		}
		ok = ok && condition_parses(s, condition, linear_rip(s));
	}
	if (!e || !ok) {
		free(copy);
		free(condition);
		return ok;
	}
	snprintf(text, sizeof text, "%.*s", (int)len, args);
	p = stop_add(s, (struct stop){ .id = vcpu_debug_catch(s->debug, &what), .kind = STOP_CATCH,
		.what = needed(strdup(text)), .condition = condition });
	free(copy);
	announce(s, p);
	return p;
}

/* ---- what there is ---- */

/* The stop whose number ARGS begins with; *REST is the text after it. NULL, having complained. */
static struct stop *named(struct session *s, const char *args, const char **rest)
{
	char *end;
	struct stop *p = stop_by_number(s, (int)strtol(args, &end, 10));

	if (!p)
		complaint(s, "no breakpoint number %s", args);
	*rest = end + strspn(end, " ");
	return p;
}

bool do_condition(struct session *s, const char *args)
{
	struct stop *p = named(s, args, &args);

	if (!p || (*args && !condition_parses(s, args, p->address)))
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
	if (asprintf(&s->collecting, "%d", p->number) < 0)
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
	do {
		p = named(s, args, &args);
		if (!p)
			return false;
		stop_delete(s, p->id);
	} while (*args);
	return true;
}

static bool enable(struct session *s, const char *args, bool yes)
{
	struct stop *p;

	for (unsigned i = 0; !*args && i < s->nstops; i++)
		s->stops[i].disabled = !yes;
	while (*args) {
		p = named(s, args, &args);
		if (!p)
			return false;
		p->disabled = !yes;
	}
	return true;
}

bool do_enable(struct session *s, const char *args) { return enable(s, args, true); }
bool do_disable(struct session *s, const char *args) { return enable(s, args, false); }

static void print_place(struct session *s, const struct stop *p)
{
	uint64_t low, high;
	const char *function = dwarf_function(s, p->address, &low, &high);
	struct line line;

	if (!p->address || p->physical || !dwarf_line(s, p->address, &line)) {
		fprintf(s->out, "%*s %s\n", address_digits(s) + 2, "", p->expression ? p->expression : p->what);
		return;
	}
	fprintf(s->out, "0x%0*" PRIx64 " in %s at %s:%d\n", address_digits(s), p->address, function ? function : "??",
		line.file, line.line);
	json_cstring(s, "file", line.file);
	json_number(s, "line", line.line);
}

static void print_one(struct session *s, const struct stop *p)
{
	const char *kind = p->kind == STOP_BREAK ? "breakpoint" : p->kind == STOP_CATCH ? "catchpoint" : watch_kind(p);

	fprintf(s->out, "%-7d %-14s %s %c   ", p->number, kind, p->temporary ? "del " : "keep",
		p->disabled ? 'n' : 'y');
	json_open(s, NULL, '{');
	json_number(s, "id", p->number);
	json_cstring(s, "kind", kind);
	json_cstring(s, "what", p->what);
	if (p->address)
		json_hex(s, "address", p->address);
	print_place(s, p);
	json_bool(s, "enabled", !p->disabled);
	json_number(s, "hits", (int64_t)p->hits);
	if (p->condition)
		SHOW_STRING(s, "condition", "\tstop only if %s\n", p->condition);
	if (p->hits)
		fprintf(s->out, "\tbreakpoint already hit %" PRIu64 " time%s\n", p->hits, p->hits == 1 ? "" : "s");
	if (p->ignore)
		SHOW_NUMBER(s, "ignore", "\tignore next %" PRIu64 " hits\n", p->ignore);
	json_open(s, "commands", '[');
	for (unsigned k = 0; p->commands && p->commands[k]; k++)
		SHOW_STRING(s, NULL, "        %s\n", p->commands[k]);
	json_close(s);
	json_close(s);
}

static bool list_stops(struct session *s, bool watches)
{
	unsigned n = 0;

	json_open(s, "breakpoints", '[');
	for (unsigned i = 0; i < s->nstops; i++) {
		if (s->stops[i].hidden || (watches && s->stops[i].kind != STOP_WATCH))
			continue;
		if (!n++)
			fprintf(s->out, "%-7s %-14s %s %s %-*s What\n", "Num", "Type", "Disp", "Enb",
				address_digits(s) + 2, "Address");
		print_one(s, &s->stops[i]);
	}
	json_close(s);
	if (!n)
		fputs(watches ? "No watchpoints.\n" : "No breakpoints or watchpoints.\n", s->out);
	return true;
}

bool info_breakpoints(struct session *s, const char *args) { (void)args; return list_stops(s, false); }
bool info_watchpoints(struct session *s, const char *args) { (void)args; return list_stops(s, true); }
