/* SPDX-License-Identifier: MIT */
/* For programs: a line of JSON for each command.
 *
 *     {"ok": true, "command": "continue", "output": "...", "guest": "what it has said meanwhile",
 *      "stop": {"what": "breakpoint", "id": 1, ...}, "place": {"instructions": N, "steps": N, "ns": N}, "pc": "0x...", "symbol": "...",
 *      "file": "...", "line": N}
 *
 * The members of single commands (frames, value, registers ...) follow "output". A command that failed has
 * "error": {"message": "..."}. Addresses, and numbers that can be larger than 2^53, are strings. "stop" is there if the
 * command has moved the machine. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

static void put_text(FILE *out, const char *text, size_t len)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < 32 || c > 126)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* ---- members ---- */

/* Write a comma, if a member precedes, and NAME. False: there is no --json. */
static bool begin(struct session *s, const char *name)
{
	struct json *j = &s->json;

	if (!j->to || j->depth == JSON_DEPTH)
		return false;
	if (j->any)
		fputs(", ", j->to);
	j->any = true;
	if (name) {
		put_text(j->to, name, strlen(name));
		fputs(": ", j->to);
	}
	return true;
}

void json_open(struct session *s, const char *name, char bracket)
{
	struct json *j = &s->json;

	if (!begin(s, name)) {
		j->lost += j->to != NULL;
		return;
	}
	fputc(bracket, j->to);
	j->closing[j->depth++] = bracket == '{' ? '}' : ']';
	j->any = false;
}

void json_close(struct session *s)
{
	struct json *j = &s->json;

	if (!j->to || j->lost) {
		j->lost -= j->to != NULL;
		return;
	}
	fputc(j->closing[--j->depth], j->to);
	j->any = true;
}

void json_text(struct session *s, const char *name, const unsigned char *text, size_t len)
{
	if (begin(s, name))
		put_text(s->json.to, (const char *)text, len);
}

void json_cstring(struct session *s, const char *name, const char *text)
{
	if (begin(s, name))
		put_text(s->json.to, text, strlen(text));
}

void json_number(struct session *s, const char *name, int64_t n)
{
	const int64_t exact = (int64_t)1 << 53;

	if (begin(s, name))
		fprintf(s->json.to, n < -exact || n > exact ? "\"%" PRId64 "\"" : "%" PRId64, n);
}

void json_hex(struct session *s, const char *name, uint64_t n)
{
	if (begin(s, name))
		fprintf(s->json.to, "\"0x%" PRIx64 "\"", n);
}

void json_bool(struct session *s, const char *name, bool yes)
{
	if (begin(s, name))
		fputs(yes ? "true" : "false", s->json.to);
}

void json_line(struct session *s, uint64_t pc)
{
	const struct symbol *y = symbol_at(s, pc);
	struct line line;

	if (y) {
		json_cstring(s, "symbol", y->name);
		json_number(s, "offset", (int64_t)(pc - y->address));
	}
	if (dwarf_line(s, pc, &line)) {
		json_cstring(s, "file", line.file);
		json_number(s, "line", line.line);
	}
}

/* ---- members that are text, too ---- */

void show_flag(struct session *s, const char *name, bool yes, const char *if_yes, const char *if_not)
{
	fputs(yes ? if_yes : if_not, s->out);
	json_bool(s, name, yes);
}

void show_symbol(struct session *s, uint64_t at)
{
	char text[160];

	fputs(symbol_text(s, at, text, sizeof text), s->out);
	json_line(s, at);
}

void show_bits(struct session *s, const char *name, const char *what, uint64_t bits, unsigned first)
{
	fputs(bits ? what : "", s->out);
	json_open(s, name, '[');
	for (unsigned i = 0; i < 64; i++)
		if (bits >> i & 1)
			SHOW_NUMBER(s, NULL, " %" PRIu64, first + i);
	json_close(s);
}

/* ---- commands ---- */

static void put_stop(struct session *s)
{
	static const char *const what[] = { "machine", "breakpoint", "watchpoint", "event",
					    "there",   "start",      "end",        "error" };
	const struct vcpu_debug_stop *stop = &s->last;

	json_open(s, "stop", '{');
	json_cstring(s, "what", what[stop->what]);
	if (stop->what == VCPU_DEBUG_MACHINE) {
		json_cstring(s, "reason", vcpu_stop_name(stop->machine.reason));
		json_number(s, "code", stop->machine.code);
	}
	if (s->stop_number)
		json_number(s, "id", s->stop_number);
	if (stop->what == VCPU_DEBUG_WATCH || stop->what == VCPU_DEBUG_EVENT) {
		json_hex(s, "address", stop->address);
		json_number(s, "size", stop->size);
		json_bool(s, "write", stop->write);
		json_hex(s, "by", stop->rip);
		json_number(s, "when", (int64_t)stop->when.instructions);
	}
	if (stop->what == VCPU_DEBUG_WATCH) {
		json_bool(s, "physical", stop->physical);
		json_bool(s, "device", stop->device);
	}
	if (stop->what == VCPU_DEBUG_EVENT) {
		json_number(s, "event", stop->event);
		json_hex(s, "value", stop->value);
		if (stop->name)
			json_cstring(s, "name", stop->name);
	}
	json_close(s);
}

static void put_place(struct session *s)
{
	struct vcpu_place at = vcpu_where(s->machine);
	uint64_t pc = linear_rip(s);

	json_open(s, "place", '{');
	json_number(s, "instructions", (int64_t)at.instructions);
	json_number(s, "steps", at.steps);
	json_number(s, "ns", (int64_t)at.ns);
	json_close(s);
	json_number(s, "processor", vcpu_running(s->machine));
	json_hex(s, "pc", pc);
	json_line(s, pc);
}

/* MEMBERS, which the command has written, stand between the members of every command. */
static void put_command(struct session *s, FILE *out, const char *line, bool ok, const char *text, const char *members,
			const char *guest)
{
	s->json = (struct json){ .to = out };
	json_open(s, NULL, '{');
	json_bool(s, "ok", ok);
	json_cstring(s, "command", line);
	json_cstring(s, "output", text);
	if (!ok) {
		json_open(s, "error", '{');
		json_cstring(s, "message", s->error);
		json_close(s);
	}
	if (*members)
		fprintf(out, ", %s", members);
	if (*guest)
		json_cstring(s, "guest", guest);
	if (s->stopped)
		put_stop(s);
	put_place(s);
	json_close(s);
	fputc('\n', out);
	fflush(out);
	s->json.to = NULL;
}

bool json_command(struct session *s, FILE *out, FILE **said, const char *line,
		  bool (*run)(struct session *s, const char *text), const char *argument)
{
	char *text = NULL, *members = NULL, *guest = NULL;
	size_t len, members_len, guest_len;
	FILE *to = needed(open_memstream(&text, &len)), *members_to = needed(open_memstream(&members, &members_len));
	FILE *before = s->to;
	bool ok;

	if (said)
		*said = needed(open_memstream(&guest, &guest_len));
	ok = session_print_to(s, to);
	s->json = (struct json){ .to = members_to };
	s->stopped = false;
	*s->error = 0;
	ok = ok && run(s, argument);
	s->quit |= !session_print_to(s, before);
	fclose(to);
	fclose(members_to);
	if (said) {
		fclose(*said);
		*said = NULL;
	}
	put_command(s, out, line, ok, text, members, guest ? guest : "");
	free(text);
	free(members);
	free(guest);
	return ok;
}
