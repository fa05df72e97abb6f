/* For machines: a line of JSON for each command.
 *
 *     {"command": "continue", "ok": true, "output": "...", "guest": "what it has said meanwhile",
 *      "stop": {"what": "breakpoint", "id": 1, ...}, "place": {"instructions": N, "steps": N, "ns": N}, "pc": "0x...", "symbol": "...",
 *      "file": "...", "line": N}
 *
 * Numbers that can be larger than 2^53 are strings. "stop" is there if the command has moved. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

static void put_string(FILE *out, const char *name, const char *text)
{
	fprintf(out, ", \"%s\": \"", name);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

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

static void put_stop(struct session *s, FILE *out)
{
	static const char *const what[] = { "machine", "breakpoint", "watchpoint", "event", "there", "start", "end", "error" };
	const struct vcpu_debug_stop *stop = &s->last;

	fprintf(out, ", \"stop\": {\"what\": \"%s\"", what[stop->what]);
	if (stop->what == VCPU_DEBUG_MACHINE)
		fprintf(out, ", \"reason\": \"%s\", \"code\": %" PRIu32, vcpu_stop_name(stop->machine.reason), stop->machine.code);
	if (stop->id)
		fprintf(out, ", \"id\": %d", stop->id);
	if (stop->what == VCPU_DEBUG_WATCH || stop->what == VCPU_DEBUG_EVENT)
		fprintf(out, ", \"address\": \"0x%" PRIx64 "\", \"size\": %u, \"write\": %s, \"by\": \"0x%" PRIx64 "\", \"when\": %" PRIu64,
			stop->address, stop->size,
			stop->write ? "true" : "false", stop->rip, stop->when.instructions);
	if (stop->what == VCPU_DEBUG_WATCH)
		fprintf(out, ", \"physical\": %s, \"device\": %s", stop->physical ? "true" : "false", stop->device ? "true" : "false");
	if (stop->what == VCPU_DEBUG_EVENT)
		fprintf(out, ", \"event\": %u, \"value\": \"0x%" PRIx64 "\"", stop->event, stop->value);
	if (stop->what == VCPU_DEBUG_EVENT && stop->name)
		put_string(out, "name", stop->name);
	fputc('}', out);
}

void json_command(struct session *s, FILE *out, const char *line, bool ok, const char *text, const char *guest)
{
	struct vcpu_place at = vcpu_where(s->machine);
	uint64_t pc = linear_rip(s);
	const struct symbol *y = symbol_at(s, pc);
	struct line source;

	fprintf(out, "{\"ok\": %s", ok ? "true" : "false");
	put_string(out, "command", line);
	put_string(out, "output", text);
	if (*guest)
		put_string(out, "guest", guest);
	if (s->stopped)
		put_stop(s, out);
	fprintf(out, ", \"place\": {\"instructions\": %" PRIu64 ", \"steps\": %" PRIu32 ", \"ns\": %" PRIu64 "}, \"processor\": %u, \"pc\": \"0x%" PRIx64 "\"",
		at.instructions, at.steps, at.ns, vcpu_running(s->machine), pc);
	if (y) {
		put_string(out, "symbol", y->name);
		fprintf(out, ", \"offset\": %" PRIu64, pc - y->address);
	}
	if (dwarf_line(s, pc, &source)) {
		put_string(out, "file", source.file);
		fprintf(out, ", \"line\": %d", source.line);
	}
	fputs("}\n", out);
	fflush(out);
}
