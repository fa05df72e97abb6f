/* SPDX-License-Identifier: MIT */
/* The commands: a row each. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"
#include "monitor.h"

bool complaint(struct session *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->error, sizeof s->error, format, ap);
	va_end(ap);
	if (!s->quiet)
		fprintf(s->out, "%s\n", s->error);
	return false;
}

bool files_allowed(struct session *s)
{
	return !s->no_files ||
	       complaint(s, "through gdb, no command opens a file unless vcpu was started with --gdb-files");
}

bool enough(struct session *s)
{
	enum { EVERY = 256, SAID_MAX = 16 << 20 };

	if (s->stop_wanted && s->rounds++ % EVERY == 0 && (s->stop_wanted(s->user) || s->said > SAID_MAX))
		s->interrupted = true;
	return s->interrupted;
}

uint64_t number(const char *text, uint64_t otherwise)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	return end == text ? otherwise : n;
}

static command_fn do_help, do_source;
static bool do_quit(struct session *s, const char *args) { (void)args; s->quit = true; return true; }

static const struct row {
	const char *name, *alias;
	command_fn *run;
	const char *args, *text;
	const char *completes;       /* the way of complete.c: a letter; words follow a =; NULL: none */
} rows[] = {
	{ NULL, "Time", NULL, NULL, NULL, NULL },
	{ "continue", "c", do_continue, "[N]", "run to the next stop; Ctrl-C stops it, too; N: to the N-th hit of this stop",
		NULL },
	{ "reverse-continue", "rc", do_reverse, "", "run backwards to the previous stop", NULL },
	{ "step", "s", do_step, "[N]", "run to the next source line; code without lines: one instruction", NULL },
	{ "reverse-step", "rs", do_step_back, "[N]", "step backwards", NULL },
	{ "stepi", "si", do_stepi, "[N]", "execute one instruction; if it faults, enter the handler", NULL },
	{ "reverse-stepi", "rsi", do_stepi_back, "[N]", "go back one instruction", NULL },
	{ "next", "n", do_next, "[N]", "run to the next source line of this function", NULL },
	{ "reverse-next", "rn", do_next_back, "[N]", "next, backwards", NULL },
	{ "nexti", "ni", do_nexti, "[N]", "execute one instruction, with the function that it calls", NULL },
	{ "reverse-nexti", "rni", do_nexti_back, "[N]", "nexti, backwards", NULL },
	{ "finish", "fin", do_finish, "", "run until this function returns, and print its value", NULL },
	{ "reverse-finish", "rfin", do_finish_back, "", "run backwards to the call of this function", NULL },
	{ "until", "u", do_until, "[PLACE]", "run to PLACE or out of this frame; without PLACE: to a later line",
		"p" },
	{ "advance", NULL, do_advance, "PLACE", "run to PLACE in any frame, or out of this frame", "p" },
	{ "run", "r", do_run, "[N]", "execute N instructions [1000000]", NULL },
	{ "goto", "g", do_goto, "N[+S] | start | end | T ns|us|ms|s | P% | BOOKMARK",
		"go to the place where N instructions have retired, to a virtual time, or to a part of the known run", "g=start end" },
	{ "when", "w", do_when, "", "print the place: instructions and virtual time", NULL },
	{ "bookmark", NULL, do_bookmark, "[NAME]", "name this place for goto; without NAME: list the names", NULL },
	{ "undo", NULL, do_undo, "", "go back to the place before the last command that moved", NULL },
	{ NULL, "Stops", NULL, NULL, NULL, NULL },
	{ "break", "b", do_break, "[PLACE] [if EXPR]",
		"stop before the instruction at PLACE: an address, a function, FILE:LINE",
		"p" },
	{ "tbreak", "tb", do_tbreak, "[PLACE] [if EXPR]", "break, and delete it at its first hit", "p" },
	{ "pbreak", "pb", do_pbreak, "ADDRESS [if EXPR]", "break at a physical address", "e" },
	{ "magic", NULL, do_magic, "", "stop before every XCHG BX,BX, the magic breakpoint of Bochs", NULL },
	{ "watch", NULL, do_watch, "EXPR [SIZE] [if EXPR]", "stop after a write that changes EXPR; backwards: before the write",
		"e" },
	{ "rwatch", NULL, do_rwatch, "ADDRESS [SIZE] [if EXPR]", "stop after a read", "e" },
	{ "awatch", NULL, do_awatch, "ADDRESS [SIZE] [if EXPR]", "stop after a read or a write", "e" },
	{ "pwatch", NULL, do_pwatch, "ADDRESS [SIZE] [if EXPR]", "stop after a write to physical memory, also by a device",
		"e" },
	{ "catch", NULL, do_catch, "EVENT [RANGE] [r|w] [if EXPR]", "stop after an event; without EVENT: list the events",
		"v" },
	{ "condition", "cond", do_condition, "ID [EXPR]", "stop at ID only if EXPR is not 0; without EXPR: always",
		"n" },
	{ "ignore", NULL, do_ignore, "ID N", "do not stop at the next N hits of ID", "n" },
	{ "commands", NULL, do_commands, "ID", "read commands up to a line `end'; execute them at each hit of ID", "n" },
	{ "enable", NULL, do_enable, "[ID]...", "enable these stops, or all", "n" },
	{ "disable", "dis", do_disable, "[ID]...", "disable these stops, or all", "n" },
	{ "delete", "d", do_delete, "[ID]...", "delete these stops, or all", "n" },
	{ "last-write", "lw", do_last_write, "ADDRESS [SIZE]", "go back to the last write of these bytes", "e" },
	{ "who", NULL, do_who, "set $REGISTER | set EXPR",
		"go back to the last instruction that set a register or memory", "e=set" },
	{ "origin", NULL, do_origin, "EXPR",
		"print the copies that a value went through, and go back to the instruction that made it", "e" },
	{ NULL, "State", NULL, NULL, NULL, NULL },
	{ "print", "p", do_print, "[/F] EXPR", "print a C expression of $registers, symbols, types; F: x d u o t c s a",
		"e" },
	{ "display", NULL, do_display, "[/F] EXPR", "print EXPR at every stop; F as for print, or NFU as for x", "e" },
	{ "undisplay", NULL, do_undisplay, "[N]...", "delete these displays, or all", NULL },
	{ "x", NULL, do_x, "/NFU ADDRESS", "print memory; F: x z d u o t c f s i a; U: b h w g; without ADDRESS: go on", "e" },
	{ "xp", NULL, do_xp, "/NFU ADDRESS", "print physical memory", "e" },
	{ "find", NULL, do_find, "[/UN] FROM, TO or +LENGTH, VALUE...",
		"search memory for these values or \"texts\"",
		"e" },
	{ "info", "i", do_info, "[WHAT]", "print registers, breakpoints, gdt ...; without a name: list the names", "i" },
	{ "disassemble", "disas", do_disassemble, "[ADDRESS [N]]", "print N instructions, or a whole function",
		"p" },
	{ "blocks", NULL, do_blocks, "[ADDRESS]", "print decoded blocks: guest code, operations, host code", "p" },
	{ "backtrace", "bt", do_backtrace, "[full] [N] | task PID",
		"print the stack, by DWARF, Linux's ORC tables or frame pointers; task: of a Linux task that does not run",
		"w=full task" },
	{ "frame", "f", do_frame, "[N]", "select frame N for print and info locals", NULL },
	{ "up", NULL, do_up, "[N]", "select the caller's frame", NULL },
	{ "down", "dow", do_down, "[N]", "select the called frame", NULL },
	{ "list", "l", do_list, "[PLACE] | PLACE,[PLACE] | -",
		"print source lines around PLACE, or of a range; -: the lines before", "p" },
	{ "ptype", NULL, do_ptype, "[/o] EXPR or TYPE", "print a type with its members; /o: with offsets", "e" },
	{ "whatis", NULL, do_whatis, "EXPR or TYPE", "print the type", "e" },
	{ "set", NULL, do_set, "[var] EXPR = EXPR", "change a variable, memory or a register; the rest of the known run is discarded",
		"e=var variable confirm pagination width height" },
	{ "page", NULL, do_page, "ADDRESS", "print the page walk of an address, entry by entry", "e" },
	{ "explain", NULL, do_explain, "[vmexit]", 
	  "explain the last fault, triple fault or VM exit", "w=vmexit" },
	{ "creg", NULL, do_creg, "", "print the control registers, bit by bit", NULL },
	{ "sreg", NULL, do_sreg, "", "print the segment registers with their hidden parts", NULL },
	{ "processor", "cpu", do_processor, "[N]", "select processor N; without N: print which one is selected", NULL },
	{ "symbols", "sym", do_symbols, "FILE [OFFSET] | kallsyms", "read symbols from an ELF file, a System.map, or the Linux guest's memory",
		"f" },
	{ "ps", NULL, do_ps, "", "print the processes and threads of a Linux guest", NULL },
	{ "lsmod", NULL, do_lsmod, "", "print the modules of a Linux guest's kernel", NULL },
	{ "dmesg", NULL, do_dmesg, "", "print the messages of a Linux guest's kernel", NULL },
	{ "hash", NULL, do_hash, "", "print the hash of the whole state", NULL },
	{ NULL, "Files", NULL, NULL, NULL, NULL },
	{ "trace", NULL, do_trace, "FILE N [instructions|memory|ports|EVENT]...",
		"execute N instructions and write each event to FILE; FILE.tenet: for Tenet", NULL },
	{ "query", NULL, do_query, "[-o FILE] KIND [WHAT] [if EXPR]",
		"print a row for each call, write, exception ... of the known run; without KIND: list the kinds",
		"w=calls executes writes reads accesses exceptions interrupts syscalls switches modes ports msrs stale irqsoff locks" },
	{ "timeline", NULL, do_timeline, "FILE", "write a picture (SVG) of the known run over virtual time; FILE.json: for Perfetto", "f" },
	{ "coverage", NULL, do_coverage, "on | off | save FILE", "record which code runs", "w=on off save" },
	{ "profile", NULL, do_profile, "FILE N [EVERY]",
		"execute N instructions; write the stack of every EVERY-th [100000], for flame graphs", NULL },
	{ "gcore", "generate-core-file", do_gcore, "[FILE]",
		"write memory and processors as an ELF core [core]; FILE.json: registers as wtf's regs.json", "f" },
	{ NULL, "Other", NULL, NULL, NULL, NULL },
	{ "type", NULL, do_type, "TEXT", "send TEXT to the guest's COM1; \\n is Enter", NULL },
	{ "medium", NULL, do_medium, "", "insert the next --medium; after the last one the drive is empty", NULL },
	{ "source", NULL, do_source, "FILE", "execute the commands in FILE, up to the first that fails", "f" },
	{ "complete", NULL, do_complete, "LINE", "print the completions of LINE, as Tab does", "c" },
	{ "help", "h", do_help, "[COMMAND]", "print this list, or the line of COMMAND", "c" },
	{ "quit", "q", do_quit, "", "leave the debugger", NULL },
};
enum { ROWS = sizeof rows / sizeof *rows };

/* The row of a command, by its name or a prefix of it. NULL: no such command. *SEVERAL: more than one begins so. */
static const struct row *find(const char *name, size_t n, bool *several)
{
	const struct row *found = NULL;

	*several = false;
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		if (!r->name)
			continue;
		if ((strlen(r->name) == n && !memcmp(r->name, name, n)) ||
		    (r->alias && strlen(r->alias) == n && !memcmp(r->alias, name, n))) {
			*several = false;
			return r;
		}
		if (!strncmp(r->name, name, n)) {
			*several |= found != NULL;
			found = r;
		}
	}
	return found;
}

static void print_row(struct session *s, const struct row *r)
{
	enum { LEFT = 30, RIGHT = 80 - LEFT - 4 };
	const char *text = r->text;
	char usage[96];

	json_open(s, NULL, '{');
	json_cstring(s, "name", r->name);
	json_cstring(s, "alias", r->alias ? r->alias : "");
	json_cstring(s, "args", r->args);
	json_cstring(s, "text", r->text);
	json_close(s);
	snprintf(usage, sizeof usage, "%s%s%s %s", r->name, r->alias ? ", " : "", r->alias ? r->alias : "", r->args);
	if (strlen(usage) > LEFT) {
		fprintf(s->out, "  %s\n", usage);
		*usage = 0;
	}
	do { /* wrap the text at 80 columns */
		size_t n = strlen(text);

		for (; n > RIGHT; n--)
			while (n && text[n - 1] != ' ')
				n--;
		fprintf(s->out, "  %-*s %.*s\n", LEFT, usage, (int)n, text);
		text += n + strspn(text + n, " ");
		*usage = 0;
	} while (*text);
}

static bool do_help(struct session *s, const char *args)
{
	bool several;
	const struct row *one = *args ? find(args, strlen(args), &several) : NULL;

	if (*args && !one)
		return complaint(s, "unknown command: %s", args);
	json_open(s, "help", '[');
	for (unsigned i = 0; i < ROWS; i++) {
		if (!rows[i].name && !one)
			fprintf(s->out, "%s%s\n", i ? "\n" : "", rows[i].alias);
		else if (rows[i].name && (!one || one == &rows[i]))
			print_row(s, &rows[i]);
	}
	json_close(s);
	if (!one)
		fprintf(s->out, "\nA command may be shortened as long as it is unique. ADDRESS, SIZE and EXPR are\n"
			"expressions: 0x1f, $rax, jiffies, *(int *)($rsp + 8), task->comm[0]. $address,\n"
			"$value, $size and $write describe the access of the last stop.\n");
	return true;
}

const char *command_name(unsigned i)
{
	for (unsigned k = 0; k < ROWS; k++)
		if (rows[k].name && !i--)
			return rows[k].name;
	return NULL;
}

const char *command_completes(const char *name, size_t n)
{
	bool several;
	const struct row *row = find(name, n, &several);

	return row && !several ? row->completes : NULL;
}

static bool collect(struct session *s, const char *line)
{
	struct stop *p = stop_by_number(s, atoi(s->collecting));
	unsigned n = 0;

	if (!p || !strcmp(line, "end")) {
		free(s->collecting);
		s->collecting = NULL;
		return true;
	}
	while (p->commands && p->commands[n])
		n++;
	p->commands = needed(realloc(p->commands, (n + 2) * sizeof *p->commands));
	p->commands[n] = needed(strdup(line));
	p->commands[n + 1] = NULL;
	return true;
}

/* Run a command. If it moves the machine, save its former place for undo. */
static bool run_row(struct session *s, const struct row *row, const char *args)
{
	struct vcpu_place before = vcpu_where(s->machine), after,
			  *more = realloc(s->trail, (s->ntrail + 1) * sizeof *more);
	bool moves = more && row->run != do_undo, ok;
	unsigned trail = s->ntrail;

	watches_look(s);
	s->trail = more ? more : s->trail;
	if (moves)
		more[s->ntrail++] = before;
	ok = row->run(s, args);
	after = vcpu_where(s->machine);
	if (moves && s->ntrail == trail + 1 && after.instructions == before.instructions &&
	    after.steps == before.steps && after.ns == before.ns)
		s->ntrail = trail;
	return ok;
}

bool command(struct session *s, const char *line)
{
	const struct row *found;
	size_t n = 0, len;
	bool several, ok;
	char *args;

	while (isspace((unsigned char)*line))
		line++;
	if (s->collecting)
		return collect(s, line);
	while (isalpha((unsigned char)line[n]) || line[n] == '-')
		n++;
	if (!*line || *line == '#')
		return true;
	if (!n)
		return complaint(s, "unknown command: %s (help lists the commands)", line);
	found = find(line, n, &several);
	if (!found || several)
		return complaint(s,
				 several ? "%.*s is ambiguous: several commands begin so"
					 : "unknown command: %.*s (help lists the commands)",
				 (int)n, line);
	for (line += n; *line == ' '; line++)
		;
	args = needed(strdup(line)); /* the command may free LINE, if it is a command of a stop */
	/* complete needs a blank at the end: it begins a new word */
	for (len = strlen(args); len && isspace((unsigned char)args[len - 1]) && found->run != do_complete;)
		args[--len] = 0;
	ok = run_row(s, found, args);
	free(args);
	return ok;
}

/* A command that another command executes: of a script, or of a stop. */
bool nested_command(struct session *s, const char *line)
{
	bool ok;

	json_open(s, NULL, '{');
	json_cstring(s, "command", line);
	ok = command(s, line);
	json_bool(s, "ok", ok);
	if (!ok) {
		json_open(s, "error", '{');
		json_cstring(s, "message", s->error);
		json_close(s);
	}
	json_close(s);
	return ok;
}

static bool do_source(struct session *s, const char *args)
{
	enum { DEPTH_MAX = 16 };
	FILE *file = NULL;
	char *line = NULL;
	size_t room = 0;
	bool ok = true;

	if (!*args)
		return complaint(s, "source: a file name is needed");
	if (s->sourcing == DEPTH_MAX)
		return complaint(s, "source: %s is nested in %d other files", args, DEPTH_MAX);
	if (!files_allowed(s))
		return false;
	file = fopen(args, "re");
	if (!file)
		return complaint(s, "cannot read %s: %s", args, strerror(errno));
	s->sourcing++;
	json_open(s, "commands", '[');
	while ((ok || s->keep_going) && !s->quit && !enough(s) && getline(&line, &room, file) >= 0) {
		line[strcspn(line, "\n")] = 0;
		ok &= nested_command(s, line);
	}
	json_close(s);
	s->sourcing--;
	free(line);
	fclose(file);
	return ok;
}

static ssize_t write_clean(void *session, const char *data, size_t len)
{
	struct session *s = session;

	for (size_t i = 0; i < len; i++)
		putc(iscntrl((unsigned char)data[i]) && data[i] != '\n' && data[i] != '\t' ? '?' : data[i], s->to);
	s->said += len;
	return (ssize_t)len;
}

#if HAVE_DECL_FOPENCOOKIE
static FILE *open_clean(struct session *s)
{
	return fopencookie(s, "w", (cookie_io_functions_t){ .write = write_clean });
}
#else
static int write_some(void *session, const char *data, int len) { return (int)write_clean(session, data, (size_t)len); }

static FILE *open_clean(struct session *s)
{
	return funopen(s, NULL, write_some, NULL, NULL);
}
#endif

bool session_print_to(struct session *s, FILE *to)
{
	if (s->out)
		fclose(s->out);
	s->to = to;
	s->said = 0;
	s->out = to ? open_clean(s) : NULL;
	if (s->out)
		setvbuf(s->out, NULL, _IONBF, 0); /* others write to TO, too: the order is kept */
	return s->out || !to;
}

void session_end(struct session *s)
{
	trace_end(s);
	history_end(s);
	displays_end(s);
	completions_end(s);
	while (s->nstops)
		stop_delete(s, s->stops[0].id);
	while (s->nbookmarks)
		free(s->bookmarks[--s->nbookmarks].name);
	for (size_t i = 0; i < s->nsymbols; i++)
		free(s->symbols[i].name);
	dwarf_close(s);
	btf_close(s);
	types_free(s);
	free(s->symbols);
	free(s->stops);
	free(s->bookmarks);
	free(s->trail);
	free(s->collecting);
	session_print_to(s, NULL);
}

/* ---- for others ---- */

struct session *monitor_new(vcpu *machine, vcpu_debug *debug, bool files, bool (*stop_wanted)(void *user), void *user)
{
	struct session *s = calloc(1, sizeof *s);

	if (s) {
		s->machine = machine;
		s->debug = debug;
		s->no_files = !files;
		s->stop_wanted = stop_wanted;
		s->user = user;
	}
	return s;
}

void monitor_free(struct session *s)
{
	if (s)
		session_end(s);
	free(s);
}

char *monitor_command(struct session *s, const char *line, const struct vcpu_debug_stop **moved)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	*moved = NULL;
	if (!to || !session_print_to(s, to)) {
		if (to)
			fclose(to);
		free(text);
		return NULL;
	}
	s->stopped = s->interrupted = false;
	command(s, line);
	session_print_to(s, NULL);
	fclose(to);
	if (s->stopped)
		*moved = &s->last;
	return text;
}
