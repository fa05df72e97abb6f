/* The commands: a row each. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

static bool complaint(struct session *s, const char *what, const char *text)
{
	fprintf(s->out, "%s%s%s\n", what, text ? ": " : "", text ? text : "");
	return false;
}

static const char *error_of(struct session *s) { return vcpu_error(s->machine); }

/* ---- addresses: numbers, $registers and symbols, added up ---- */

static bool term(struct session *s, const char **text, uint64_t *value)
{
	char name[256];
	size_t n = 0;
	char *end;

	while (isalnum((unsigned char)(*text)[n]) || strchr("_.$%", (*text)[n] ? (*text)[n] : ' '))
		n++;
	if (!n || n >= sizeof name)
		return complaint(s, "an address is wanted", *text);
	memcpy(name, *text, n);
	name[n] = 0;
	*text += n;
	if (*name == '$' || *name == '%') {
		int reg = vcpu_register_by_name(name + 1);

		if (reg < 0)
			return complaint(s, "there is no such register", name);
		*value = vcpu_get(s->machine, reg);
		return true;
	}
	*value = strtoull(name, &end, 0);
	if (isdigit((unsigned char)*name) && !*end)
		return true;
	if (symbol_by_name(s, name)) {
		*value = symbol_by_name(s, name)->address;
		return true;
	}
	*value = strtoull(name, &end, 16);
	return (*name && !*end) || complaint(s, "there is no such symbol (the command symbols reads a file of them)", name);
}

static bool address(struct session *s, const char **text, uint64_t *value)
{
	uint64_t more;

	while (**text == ' ' || **text == '*')
		++*text;
	if (!term(s, text, value))
		return false;
	while (**text == '+' || **text == '-') {
		bool minus = *(*text)++ == '-';

		if (!term(s, text, &more))
			return false;
		*value += minus ? -more : more;
	}
	while (**text == ' ')
		++*text;
	return true;
}

static uint64_t number(const char *text, uint64_t otherwise)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	return end == text ? otherwise : n;
}

/* ---- stops ---- */

/* In real mode, where code is at 16 * CS. */
static uint64_t linear_rip(struct session *s)
{
	uint64_t rip = vcpu_get(s->machine, VCPU_RIP);

	return vcpu_get(s->machine, VCPU_CR0) & 1 ? rip : rip + 16 * vcpu_get(s->machine, VCPU_CS);
}

static void print_where(struct session *s)
{
	struct vcpu_place at = vcpu_where(s->machine);

	fprintf(s->out, "instruction %" PRIu64, at.instructions);
	if (at.steps)
		fprintf(s->out, "+%" PRIu32, at.steps);
	fprintf(s->out, ", %" PRIu64 " ns\n", at.ns);
	disassemble(s, linear_rip(s), 1);
}

void print_stop(struct session *s, const struct vcpu_debug_stop *stop)
{
	switch (stop->what) {
	case VCPU_DEBUG_MACHINE:
		if (stop->machine.reason != VCPU_STOP_LIMIT && stop->machine.reason != VCPU_STOP_IDLE && stop->machine.reason != VCPU_STOP_REQUEST)
			fprintf(s->out, "the machine stopped: %s\n", vcpu_stop_name(stop->machine.reason));
		break;
	case VCPU_DEBUG_BREAK:
		fprintf(s->out, "breakpoint %d\n", stop->id);
		break;
	case VCPU_DEBUG_WATCH:
		fprintf(s->out, "%s%s of %u bytes at %s%" PRIx64, stop->device ? "a device's " : "", stop->write ? "write" : "read", stop->size,
			stop->physical ? "physical " : "", stop->address);
		if (!stop->device)
			fprintf(s->out, " by the instruction at %" PRIx64 " (%" PRIu64 ")", stop->rip, stop->when.instructions);
		fputc('\n', s->out);
		break;
	case VCPU_DEBUG_EVENT:
		fprintf(s->out, "%s %" PRIu64 "\n", stop->event == VCPU_EVENT_EXCEPTION ? "exception" : "interrupt", stop->value);
		break;
	case VCPU_DEBUG_START:
		fprintf(s->out, "the start: nothing is known before\n");
		break;
	case VCPU_DEBUG_END:
		fprintf(s->out, "the end of the known run: going on makes it longer\n");
		break;
	case VCPU_DEBUG_ERROR:
		fprintf(s->out, "%s\n", error_of(s));
		break;
	case VCPU_DEBUG_THERE:
		break;
	}
	print_where(s);
}

static bool temporary(struct session *s, int id)
{
	for (unsigned i = 0; i < s->npoints; i++)
		if (s->points[i].id == id && s->points[i].temporary) {
			vcpu_debug_delete(s->debug, id);
			s->points[i] = s->points[--s->npoints];
			return true;
		}
	return false;
}

struct vcpu_debug_stop run_on(struct session *s, bool back)
{
	struct vcpu_debug_stop stop;

	s->interrupted = false;
	if (back) {
		stop = vcpu_debug_run_back(s->debug);
	} else do {
		stop = vcpu_debug_run(s->debug, 50000000);
		fflush(stdout);
	} while (!s->interrupted && stop.what == VCPU_DEBUG_MACHINE && (stop.machine.reason == VCPU_STOP_LIMIT || stop.machine.reason == VCPU_STOP_IDLE));
	temporary(s, stop.id);
	return stop;
}

static bool report(struct session *s, struct vcpu_debug_stop stop)
{
	print_stop(s, &stop);
	return stop.what != VCPU_DEBUG_ERROR;
}

/* ---- time ---- */

static bool do_continue(struct session *s, const char *args) { (void)args; return report(s, run_on(s, false)); }
static bool do_reverse(struct session *s, const char *args) { (void)args; return report(s, run_on(s, true)); }

static bool do_step(struct session *s, const char *args)
{
	struct vcpu_debug_stop stop = { 0 };

	for (uint64_t n = number(args, 1); n-- && !s->interrupted;)
		if ((stop = vcpu_debug_step(s->debug)).what != VCPU_DEBUG_THERE)
			break;
	return report(s, stop);
}

static bool do_step_back(struct session *s, const char *args)
{
	struct vcpu_debug_stop stop = { 0 };

	for (uint64_t n = number(args, 1); n-- && !s->interrupted;)
		if ((stop = vcpu_debug_step_back(s->debug)).what != VCPU_DEBUG_THERE)
			break;
	return report(s, stop);
}

static bool run_to_address(struct session *s, uint64_t at)
{
	int id = vcpu_debug_break(s->debug, at, false);
	struct vcpu_debug_stop stop;

	if (id < 0)
		return complaint(s, error_of(s), NULL);
	stop = run_on(s, false);
	vcpu_debug_delete(s->debug, id);
	if (stop.what == VCPU_DEBUG_BREAK && stop.id == id)
		stop.what = VCPU_DEBUG_THERE;
	return report(s, stop);
}

static bool do_until(struct session *s, const char *args)
{
	uint64_t at;

	return address(s, &args, &at) && run_to_address(s, at);
}

/* A call is stepped over: up to the instruction behind it. */
static bool do_next(struct session *s, const char *args)
{
	uint64_t rip = vcpu_get(s->machine, VCPU_RIP);
	unsigned char code[2] = { 0 };

	(void)args;
	vcpu_read_linear(s->machine, rip, code, 2);
	if (code[0] == 0xe8)
		return run_to_address(s, rip + 5);
	return do_step(s, "1");
}

static bool do_finish(struct session *s, const char *args)
{
	uint64_t frame = vcpu_get(s->machine, VCPU_RBP), back = 0;

	(void)args;
	if (vcpu_read_linear(s->machine, frame + 8, &back, 8) != 8)
		return complaint(s, "there is no frame at RBP", NULL);
	return run_to_address(s, back);
}

static bool do_goto(struct session *s, const char *args)
{
	struct vcpu_place to = { 0 };
	char *end;

	to.instructions = strtoull(args, &end, 0);
	if (end == args) {
		if (strcmp(args, "start") && strcmp(args, "end"))
			return complaint(s, "goto: to which instruction? A number, N+STEPS, start or end", NULL);
		to = *args == 's' ? vcpu_debug_start(s->debug) : vcpu_debug_end(s->debug);
	} else if (*end == '+') {
		to.steps = (uint32_t)strtoul(end + 1, NULL, 0);
	}
	return report(s, vcpu_debug_seek(s->debug, to));
}

static bool do_run(struct session *s, const char *args)
{
	uint64_t end = vcpu_instructions(s->machine) + number(args, 1000000), left;
	struct vcpu_debug_stop stop;

	do {
		left = end - vcpu_instructions(s->machine);
		stop = vcpu_debug_run(s->debug, left);
	} while (stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason == VCPU_STOP_IDLE && vcpu_instructions(s->machine) < end && !s->interrupted);
	return report(s, stop);
}

static bool do_when(struct session *s, const char *args)
{
	struct vcpu_place first = vcpu_debug_start(s->debug), last = vcpu_debug_end(s->debug);

	(void)args;
	print_where(s);
	fprintf(s->out, "known from %" PRIu64 " to %" PRIu64 "\n", first.instructions, last.instructions);
	return true;
}

/* ---- points ---- */

static bool note_point(struct session *s, int id, uint64_t at, bool physical, bool watch, bool temp)
{
	const struct symbol *y = symbol_at(s, at);

	if (id < 0)
		return complaint(s, error_of(s), NULL);
	if (s->npoints < 64) {
		unsigned n = s->npoints++;

		s->points[n].id = id;
		s->points[n].address = at;
		s->points[n].physical = physical;
		s->points[n].watch = watch;
		s->points[n].temporary = temp;
	}
	fprintf(s->out, "%s %d at %s%" PRIx64 " %s\n", watch ? "watchpoint" : "breakpoint", id, physical ? "physical " : "", at, y && !physical ? y->name : "");
	return true;
}

static bool add_break(struct session *s, const char *args, bool physical, bool temp)
{
	uint64_t at = vcpu_get(s->machine, VCPU_RIP);

	return (!*args || address(s, &args, &at)) && note_point(s, vcpu_debug_break(s->debug, at, physical), at, physical, false, temp);
}

static bool do_break(struct session *s, const char *args) { return add_break(s, args, false, false); }
static bool do_tbreak(struct session *s, const char *args) { return add_break(s, args, false, true); }
static bool do_pbreak(struct session *s, const char *args) { return add_break(s, args, true, false); }

static bool add_watch(struct session *s, const char *args, bool physical, bool read, bool write)
{
	uint64_t at, size;

	if (!address(s, &args, &at))
		return false;
	size = number(args, 8);
	return note_point(s, vcpu_debug_watch(s->debug, at, size, physical, read, write), at, physical, true, false);
}

static bool do_watch(struct session *s, const char *args) { return add_watch(s, args, false, false, true); }
static bool do_rwatch(struct session *s, const char *args) { return add_watch(s, args, false, true, false); }
static bool do_awatch(struct session *s, const char *args) { return add_watch(s, args, false, true, true); }
static bool do_pwatch(struct session *s, const char *args) { return add_watch(s, args, true, false, true); }

static bool do_delete(struct session *s, const char *args)
{
	int id = (int)number(args, 0);

	while (!*args && s->npoints)
		vcpu_debug_delete(s->debug, s->points[--s->npoints].id);
	for (unsigned i = 0; i < s->npoints; i++)
		if (s->points[i].id == id)
			s->points[i] = s->points[--s->npoints];
	return !*args || !vcpu_debug_delete(s->debug, id) || complaint(s, error_of(s), NULL);
}

static bool do_catch(struct session *s, const char *args)
{
	unsigned events = (strstr(args, "exception") ? VCPU_EVENT_EXCEPTION : 0) | (strstr(args, "interrupt") ? VCPU_EVENT_INTERRUPT : 0);

	vcpu_debug_events(s->debug, events);
	return events || !strcmp(args, "none") || complaint(s, "catch what? exception, interrupt, both, or none", NULL);
}

static bool do_last_write(struct session *s, const char *args)
{
	uint64_t at, physical;

	if (!address(s, &args, &at))
		return false;
	if (!vcpu_debug_translate(s->debug, at, &physical))
		return complaint(s, "that address is not mapped here", NULL);
	return report(s, vcpu_debug_last_write(s->debug, physical, number(args, 8)));
}

/* ---- state ---- */

static void print_memory(struct session *s, uint64_t at, uint64_t count, char format, unsigned size, bool physical)
{
	for (uint64_t i = 0; i < count; i++, at += size) {
		uint64_t value = 0;
		size_t n = physical ? vcpu_read_physical(s->machine, at, &value, size) : vcpu_read_linear(s->machine, at, &value, size);

		if (i % (format == 's' ? 64 : 32 / size) == 0 && format != 's')
			fprintf(s->out, "%s%016" PRIx64 ":", i ? "\n" : "", at);
		if (n != size) {
			fprintf(s->out, " not mapped");
			break;
		}
		if (format == 's') {
			if (!value)
				break;
			fputc(isprint((int)value) ? (int)value : '.', s->out);
		} else if (format == 'd') {
			fprintf(s->out, " %" PRId64, (int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size));
		} else if (format == 'c') {
			fprintf(s->out, " %c", isprint((int)(value & 0xff)) ? (int)(value & 0xff) : '.');
		} else {
			fprintf(s->out, " %0*" PRIx64, (int)(2 * size), value);
		}
	}
	fputc('\n', s->out);
}

/* x/NFU ADDRESS, as in gdb; xp for physical addresses. ARGS begins behind the x. */
static bool examine(struct session *s, const char *args, bool physical)
{
	uint64_t at, count = 1;
	unsigned size = 8;
	char format = 'x', *end;

	if (*args == '/') {
		args++;
		if (isdigit((unsigned char)*args)) {
			count = strtoull(args, &end, 10);
			args = end;
		}
		for (; isalpha((unsigned char)*args); args++) {
			if (strchr("bhwg", *args))
				size = *args == 'b' ? 1 : *args == 'h' ? 2 : *args == 'w' ? 4 : 8;
			else if (strchr("xdcsi", *args))
				format = *args;
			else
				return complaint(s, "x/NFU: F is x d c s i, U is b h w g", NULL);
		}
	}
	if (!address(s, &args, &at))
		return false;
	if (format == 'i')
		disassemble(s, at, (unsigned)count);
	else
		print_memory(s, at, format == 's' ? 4096 : count, format, format == 's' || format == 'c' ? 1 : size, physical);
	return true;
}

static bool do_x(struct session *s, const char *args) { return examine(s, args, false); }
static bool do_xp(struct session *s, const char *args) { return examine(s, args, true); }

static void print_part(void *user, const char *part, uint64_t hash)
{
	struct session *s = user;

	fprintf(s->out, "%-16s %016" PRIx64 "\n", part, hash);
}

struct wanted { struct session *s; const char *part; bool any; };

static void print_field(void *user, const char *part, const char *field, unsigned index, uint64_t value)
{
	struct wanted *w = user;

	if (strcmp(part, w->part))
		return;
	w->any = true;
	if (value || !index)
		fprintf(w->s->out, index ? "%s[%u] = %" PRIx64 "\n" : "%s%.0u = %" PRIx64 "\n", field, index, value);
}

static bool do_info(struct session *s, const char *args)
{
	struct wanted wanted = { s, args, false };

	if (!strncmp("registers", args, strlen(args))) {
		for (int i = 0; i < VCPU_REGISTERS; i++)
			fprintf(s->out, "%-8s %016" PRIx64 "%s", vcpu_register_name(i), vcpu_get(s->machine, i), i % 3 == 2 ? "\n" : "  ");
		fputc('\n', s->out);
	} else if (!strncmp("breakpoints", args, strlen(args))) {
		for (unsigned i = 0; i < s->npoints; i++)
			fprintf(s->out, "%3d %s %s%016" PRIx64 "\n", s->points[i].id, s->points[i].watch ? "watch" : "break",
				s->points[i].physical ? "physical " : "", s->points[i].address);
	} else if (!strcmp(args, "state")) {
		vcpu_state_parts(s->machine, print_part, s);
	} else {
		vcpu_debug_fields(s->debug, print_field, &wanted);
		return wanted.any || complaint(s, "info registers, breakpoints, state, or a part that info state lists", NULL);
	}
	return true;
}

static bool do_hash(struct session *s, const char *args)
{
	(void)args;
	fprintf(s->out, "%016" PRIx64 "\n", vcpu_state_hash(s->machine));
	return true;
}

static bool do_disassemble(struct session *s, const char *args)
{
	uint64_t at = vcpu_get(s->machine, VCPU_RIP);

	if (*args && !address(s, &args, &at))
		return false;
	disassemble(s, at, (unsigned)number(args, 10));
	return true;
}

static void print_frame(struct session *s, unsigned n, uint64_t rip)
{
	const struct symbol *y = symbol_at(s, rip);

	fprintf(s->out, "#%-2u %016" PRIx64, n, rip);
	if (y)
		fprintf(s->out, " %s+%" PRIu64, y->name, rip - y->address);
	fputc('\n', s->out);
}

static bool do_backtrace(struct session *s, const char *args)
{
	uint64_t frame = vcpu_get(s->machine, VCPU_RBP), pair[2];

	(void)args;
	print_frame(s, 0, vcpu_get(s->machine, VCPU_RIP));
	for (unsigned n = 1; n < 64 && vcpu_read_linear(s->machine, frame, pair, 16) == 16 && pair[1]; n++) {
		print_frame(s, n, pair[1]);
		if (pair[0] <= frame)
			break;
		frame = pair[0];
	}
	return true;
}

static bool do_page(struct session *s, const char *args)
{
	uint64_t at;

	if (!address(s, &args, &at))
		return false;
	explain_page(s, at);
	return true;
}

static bool do_explain(struct session *s, const char *args)
{
	struct vcpu_fault faults[8];
	unsigned n = vcpu_fault_chain(s->machine, faults, 8);

	(void)args;
	for (unsigned i = 0; i < n && i < 8; i++)
		fprintf(s->out, "vector %u at %04x:%" PRIx64 ": %s\n", faults[i].vector, faults[i].cs, faults[i].rip, faults[i].text);
	return n || complaint(s, "the machine has not ended in a triple fault", NULL);
}

static bool do_symbols(struct session *s, const char *args)
{
	return *args ? symbols_read(s, args) : complaint(s, "symbols: from which file?", NULL);
}

/* Text for COM1; \n is the key Enter. */
static bool do_type(struct session *s, const char *args)
{
	char text[1024];
	size_t n = 0;

	for (; *args && n < sizeof text; args++)
		text[n++] = *args == '\\' && args[1] == 'n' ? (args++, '\r') : *args;
	s->shown = vcpu_instructions(s->machine);
	return !vcpu_input(s->machine, VCPU_COM1, text, n) || complaint(s, error_of(s), NULL);
}

static bool do_quit(struct session *s, const char *args) { (void)args; s->quit = true; return true; }
static bool do_help(struct session *s, const char *args);

/* ---- the table ---- */

static const struct row {
	const char *name, *alias;
	bool (*run)(struct session *s, const char *args);
	const char *args, *text;
} rows[] = {
	{ "continue", "c", do_continue, "", "run until something stops it; Ctrl-C does" },
	{ "reverse-continue", "rc", do_reverse, "", "back to the last stop before this" },
	{ "stepi", "s", do_step, "[N]", "one instruction, or to the handler that comes instead" },
	{ "reverse-stepi", "rs", do_step_back, "[N]", "one back" },
	{ "next", "n", do_next, "", "an instruction, and what it calls" },
	{ "finish", "fin", do_finish, "", "to where this function returns (by RBP)" },
	{ "until", "u", do_until, "ADDRESS", "run to there" },
	{ "run", "r", do_run, "[N]", "N instructions [1000000]" },
	{ "goto", "g", do_goto, "N[+S] | start | end", "be where N instructions have retired" },
	{ "when", "w", do_when, "", "where in time this is" },
	{ "break", "b", do_break, "[ADDRESS]", "stop before the instruction there" },
	{ "tbreak", "tb", do_tbreak, "[ADDRESS]", "the same, once" },
	{ "pbreak", "pb", do_pbreak, "ADDRESS", "the same, by physical address" },
	{ "watch", NULL, do_watch, "ADDRESS [SIZE]", "stop after a write there" },
	{ "rwatch", NULL, do_rwatch, "ADDRESS [SIZE]", "after a read" },
	{ "awatch", NULL, do_awatch, "ADDRESS [SIZE]", "after either" },
	{ "pwatch", NULL, do_pwatch, "ADDRESS [SIZE]", "after a write to physical memory, by devices too" },
	{ "delete", "d", do_delete, "[ID]", "one of these, or all" },
	{ "catch", NULL, do_catch, "exception|interrupt|none", "stop at each" },
	{ "last-write", "lw", do_last_write, "ADDRESS [SIZE]", "back to who wrote this last" },
	{ "x", NULL, do_x, "/NFU ADDRESS", "memory: F is x d c s i, U is b h w g" },
	{ "xp", NULL, do_xp, "/NFU ADDRESS", "physical memory" },
	{ "info", "i", do_info, "registers|breakpoints|state|PART", "PART: pic, pit ..." },
	{ "disassemble", "dis", do_disassemble, "[ADDRESS [N]]", "instructions" },
	{ "backtrace", "bt", do_backtrace, "", "who called, by frame pointers" },
	{ "page", NULL, do_page, "ADDRESS", "the page walk of an address, entry by entry" },
	{ "explain", NULL, do_explain, "", "the faults that led to a triple fault" },
	{ "symbols", "sym", do_symbols, "FILE", "names: ELF, System.map, kallsyms" },
	{ "type", NULL, do_type, "TEXT", "for the guest's COM1; \\n is Enter" },
	{ "hash", NULL, do_hash, "", "of the whole state" },
	{ "help", "h", do_help, "", "this" },
	{ "quit", "q", do_quit, "", "" },
};
enum { ROWS = sizeof rows / sizeof *rows };

static bool do_help(struct session *s, const char *args)
{
	(void)args;
	for (unsigned i = 0; i < ROWS; i++) {
		char usage[64];

		snprintf(usage, sizeof usage, "%s%s%s%s%s", rows[i].name, rows[i].alias ? ", " : "", rows[i].alias ? rows[i].alias : "",
			*rows[i].args && *rows[i].args != '/' ? " " : "", rows[i].args);
		fprintf(s->out, "%-36s %s\n", usage, rows[i].text);
	}
	fprintf(s->out, "ADDRESS: numbers (0x for hexadecimal), $registers, symbols, with + and -\n");
	return true;
}

const char *command_name(const char *text, unsigned i)
{
	for (unsigned k = 0; k < ROWS; k++)
		if (!strncmp(rows[k].name, text, strlen(text)) && !i--)
			return rows[k].name;
	return NULL;
}

bool command(struct session *s, const char *line)
{
	char name[64];
	size_t n = 0;
	const struct row *found = NULL;
	bool several = false;

	while (isspace((unsigned char)*line))
		line++;
	while (isalpha((unsigned char)line[n]) || line[n] == '-')
		n++;
	if (!*line || *line == '#')
		return true;
	if (!n || n >= sizeof name)
		return complaint(s, "what is this? (help tells what there is)", line);
	memcpy(name, line, n);
	name[n] = 0;
	for (unsigned i = 0; i < ROWS; i++) {
		if (!strcmp(rows[i].name, name) || (rows[i].alias && !strcmp(rows[i].alias, name))) {
			found = &rows[i];
			several = false;
			break;
		}
		if (!strncmp(rows[i].name, name, n)) {
			several |= found != NULL;
			found = &rows[i];
		}
	}
	if (!found || several)
		return complaint(s, several ? "more than one command begins so" : "there is no such command (help tells what there is)", name);
	for (line += n; *line == ' '; line++)
		;
	return found->run(s, line);
}
