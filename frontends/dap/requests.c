/* SPDX-License-Identifier: MIT */
/* The requests: the run and its stops here, the others in the files that dap.h names. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "dap.h"
#include "start.h"

/* ---- JSON ---- */

const char *dap_string(json_t *object, const char *name, const char *otherwise)
{
	json_t *value = json_object_get(object, name);

	return json_is_string(value) ? json_string_value(value) : otherwise;
}

json_int_t dap_number(json_t *object, const char *name, json_int_t otherwise)
{
	json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

uint64_t dap_address(json_t *object, const char *name)
{
	return strtoull(dap_string(object, name, "0"), NULL, 0);
}

bool dap_ok(json_t *answer) { return json_is_true(json_object_get(answer, "ok")); }
const char *dap_error(json_t *answer)
{
	return dap_string(json_object_get(answer, "error"), "message", "out of memory");
}

json_t *dap_fail(struct dap *d, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(d->failure_text, sizeof d->failure_text, format, ap);
	va_end(ap);
	d->failure = d->failure_text;
	return NULL;
}

static bool run_command(struct session *s, const char *line) { return s->machine && command(s, line); }

json_t *dap_command(struct dap *d, const char *format, ...)
{
	char *line = NULL, *all = NULL;
	size_t all_len;
	FILE *out = needed(open_memstream(&all, &all_len));
	json_t *answer;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&line, format, ap) < 0)
		line = NULL;
	va_end(ap);
	needed(line);
	line[strcspn(line, "\r\n")] = 0; /* a command is a line; the client's texts are parts of it */
	json_command(&d->session, out, NULL, line, run_command, line);
	fclose(out);
	answer = json_loadb(all, all_len, JSON_DISABLE_EOF_CHECK, NULL);
	free(all);
	free(line);
	return answer ? answer : json_object();
}

/* ---- stops ---- */

void dap_output(struct dap *d)
{
	if (!d->text_len)
		return;
	for (size_t i = 0; i < d->text_len; i++)
		if ((unsigned char)d->text[i] >= 0x80 || !d->text[i])
			d->text[i] = '?';
	wire_event(d, "output", json_pack("{s:s, s:s%}", "category", "stdout", "output", d->text, d->text_len));
	d->text_len = 0;
}

void dap_stopped(struct dap *d, json_t *answer, const char *reason)
{
	json_t *stop = json_object_get(answer, "stop"), *body;
	const char *what = dap_string(stop, "what", ""), *text = dap_string(stop, "reason", NULL);
	bool hit = !strcmp(what, "breakpoint") || !strcmp(what, "watchpoint") || !strcmp(what, "event");
	json_int_t id = dap_number(stop, "id", 0);

	dap_output(d);
	json_array_clear(d->references);
	if (hit)
		reason = !strcmp(what, "watchpoint") ? "data breakpoint"
			 : !strcmp(what, "event") && dap_number(stop, "event", 0) == VCPU_EVENT_EXCEPTION
				 ? "exception"
				 : "breakpoint";
	else if (!strcmp(what, "machine") && text && strcmp(text, "limit") && strcmp(text, "idle") &&
		 strcmp(text, "request"))
		reason = !strcmp(text, "triple-fault") ? "exception" : "end of the run";
	else if (!strcmp(what, "start") || !strcmp(what, "end"))
		reason = !strcmp(what, "start") ? "start of the recording" : "end of the recording";
	else
		text = NULL;
	body = json_pack("{s:s, s:I, s:b}", "reason", reason, "threadId", dap_number(answer, "processor", 0) + 1,
			 "allThreadsStopped", 1);
	if (text)
		json_object_set_new(body, "text", json_string(text));
	if (hit && id)
		json_object_set_new(body, "hitBreakpointIds", json_pack("[I]", id));
	wire_event(d, "stopped", body);
}

/* Asked now and then while a command runs. */
static bool wanted(void *user)
{
	struct dap *d = user;

	dap_output(d);
	wire_poll(d);
	d->pausing |= wire_queued(d, "pause");
	return d->gone || d->pausing || wire_queued(d, "disconnect") || wire_queued(d, "terminate") ||
	       (d->resumable && wire_queued(d, NULL));
}

/* Run by LINE, and tell of the stop. With RESUME, requests of the client interrupt it, and LINE is done again. */
static bool run(struct dap *d, const char *line, bool resume, const char *reason)
{
	bool more = true;
	json_t *answer, *message;
	const char *stop;

	for (;;) {
		d->resumable = resume;
		d->pausing = false;
		answer = dap_command(d, "%s", line);
		d->resumable = false;
		stop = dap_string(json_object_get(answer, "stop"), "reason", "");
		if (!resume || d->pausing || (strcmp(stop, "limit") && strcmp(stop, "request") && strcmp(stop, "idle")))
			break;
		json_decref(answer);
		while (more && wire_queued(d, NULL) && (message = wire_next(d))) {
			more = request(d, message);
			json_decref(message);
		}
		if (!more || d->gone)
			return more;
	}
	if (!dap_ok(answer) && !json_object_get(answer, "stop"))
		wire_event(d, "output",
			   json_pack("{s:s, s:s+}", "category", "stderr", "output", dap_error(answer), "\n"));
	dap_stopped(d, answer, d->pausing ? "pause" : reason);
	json_decref(answer);
	return more;
}

/* ---- the beginning ---- */

static json_t *initialize(struct dap *d, json_t *arguments)
{
	static const char *const can[] = {
		"supportsConfigurationDoneRequest",
		"supportsFunctionBreakpoints",
		"supportsConditionalBreakpoints",
		"supportsHitConditionalBreakpoints",
		"supportsEvaluateForHovers",
		"supportsStepBack",
		"supportsSetVariable",
		"supportsGotoTargetsRequest",
		"supportsExceptionInfoRequest",
		"supportsDataBreakpoints",
		"supportsReadMemoryRequest",
		"supportsWriteMemoryRequest",
		"supportsDisassembleRequest",
		"supportsInstructionBreakpoints",
		"supportsSteppingGranularity",
		"supportsTerminateRequest",
		"supportsCompletionsRequest",
		"supportsDelayedStackTraceLoading",
	};
	json_t *body = json_pack("{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}", "exceptionBreakpointFilters",
				 "filter", "exception 0-31", "label", "Exceptions (vectors 0 to 31)", "filter",
				 "exception 14", "label", "Page faults", "filter", "interrupt", "label", "Interrupts",
				 "filter", "mode", "label", "Changes of the mode");

	for (size_t i = 0; i < sizeof can / sizeof *can; i++)
		json_object_set_new(body, can[i], json_true());
	d->one_line = !json_is_false(json_object_get(arguments, "linesStartAt1"));
	return body;
}

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len);
static struct dap *self; /* the output callback has no user: a process has one session */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	const char *text = data;

	(void)user;
	if (channel == VCPU_HOST_LOG)
		complain("%.*s", (int)len, text);
	for (size_t i = 0; channel == VCPU_COM1 && i < len; i++) {
		self->text[self->text_len++] = text[i];
		if (text[i] == '\n' || self->text_len == sizeof self->text)
			dap_output(self);
	}
}

/* "recording": a file; "args": further words, as for vcpu-dbg; "symbols": a file, or several; "commands": of vcpu-dbg. */
static json_t *launch(struct dap *d, json_t *arguments)
{
	json_t *args = json_object_get(arguments, "args"), *symbols = json_object_get(arguments, "symbols"), *one,
	       *answer;
	const char *recording = dap_string(arguments, "recording", NULL);
	char **argv = needed(calloc(json_array_size(args) + 3, sizeof *argv));
	static char name[] = "run";
	int argc = 0, status;
	size_t i;
	bool ok;

	if (d->session.machine)
		return free(argv), dap_fail(d, "there is a machine already");
	argv[argc++] = name;
	json_array_foreach(args, i, one)
		if (json_is_string(one))
			argv[argc++] = needed(strdup(json_string_value(one)));
	if (recording)
		argv[argc++] = needed(strdup(recording));
	self = d;
	free(d->complaint);
	d->complaint = NULL;
	ok = argc > 1 && session_start(&d->session, &d->recording, argc, argv, d->no_sandbox, output, &status);
	/* the options keep their words: they are not freed */
	free(argv);
	if (!ok)
		return dap_fail(d, "%s",
				argc == 1      ? "launch needs \"recording\", or \"args\" with options of vcpu run"
				: d->complaint ? d->complaint
					       : "the machine cannot be made");
	d->session.stop_wanted = wanted;
	d->session.user = d;
	d->stop_on_entry = !json_is_false(json_object_get(arguments, "stopOnEntry"));
	for (i = 0; i < (json_is_array(symbols) ? json_array_size(symbols) : symbols != NULL); i++) {
		one = json_is_array(symbols) ? json_array_get(symbols, i) : symbols;
		answer = dap_command(d, "symbols %s", json_is_string(one) ? json_string_value(one) : "");
		if (!dap_ok(answer))
			dap_fail(d, "symbols: %s", dap_error(answer));
		json_decref(answer);
	}
	json_array_foreach(json_object_get(arguments, "commands"), i, one) {
		answer = dap_command(d, "%s", json_is_string(one) ? json_string_value(one) : "");
		wire_event(d, "output",
			   json_pack("{s:s, s:s}", "category", "console", "output", dap_string(answer, "output", "")));
		json_decref(answer);
	}
	if (!d->failure)
		wire_event(d, "initialized", NULL);
	return NULL;
}

/* ---- places ---- */

static json_t *threads(struct dap *d, json_t *arguments)
{
	json_t *out = json_array();

	(void)arguments;
	for (unsigned i = 0; i < vcpu_processors(d->session.machine); i++) {
		char name[32];

		snprintf(name, sizeof name, "processor %u", i);
		json_array_append_new(out, json_pack("{s:i, s:s}", "id", (int)i + 1, "name", name));
	}
	return json_pack("{s:o}", "threads", out);
}

static json_t *frame(struct dap *d, json_t *f)
{
	const char *function = dap_string(f, "function", dap_string(f, "pc", "")), *file = dap_string(f, "file", NULL);
	const char *name = file ? strrchr(file, '/') : NULL;
	json_int_t offset = dap_number(f, "offset", 0);
	char text[256];
	json_t *out;

	snprintf(text, sizeof text, offset && !file ? "%s+%" JSON_INTEGER_FORMAT : "%s", function, offset);
	out = json_pack("{s:I, s:s, s:I, s:i, s:O*}", "id", dap_number(f, "level", 0) + 1, "name", text, "line",
			file ? dap_number(f, "line", 0) - !d->one_line : 0, "column", 0, "instructionPointerReference",
			json_object_get(f, "pc"));
	if (file)
		json_object_set_new(out, "source",
				    json_pack("{s:s, s:s}", "name", name ? name + 1 : file, "path", file));
	return out;
}

static json_t *stack_trace(struct dap *d, json_t *arguments)
{
	json_int_t thread = dap_number(arguments, "threadId", 1), first = dap_number(arguments, "startFrame", 0);
	json_int_t levels = dap_number(arguments, "levels", 0);
	json_t *answer, *out = json_array(), *frames, *f;
	size_t i;

	if (thread < 1 || thread > vcpu_processors(d->session.machine)) {
		json_decref(out);
		return dap_fail(d, "there is no thread %" JSON_INTEGER_FORMAT, thread);
	}
	if (vcpu_processors(d->session.machine) > 1)
		json_decref(dap_command(d, "processor %" JSON_INTEGER_FORMAT, thread - 1));
	answer = dap_command(d, "backtrace");
	frames = json_object_get(answer, "frames");
	json_array_foreach(frames, i, f)
		if ((json_int_t)i >= first && (levels <= 0 || (json_int_t)i < first + levels))
			json_array_append_new(out, frame(d, f));
	out = json_pack("{s:o, s:i}", "stackFrames", out, "totalFrames", (int)json_array_size(frames));
	json_decref(answer);
	return out;
}

static json_t *goto_targets(struct dap *d, json_t *arguments)
{
	char *where = dap_line(d, json_object_get(arguments, "source"), dap_number(arguments, "line", 0));
	json_t *answer = dap_command(d, "info line %s", where), *line, *body;

	free(where);
	line = json_object_get(answer, "source");
	if (!dap_ok(answer) || !json_object_get(line, "begin"))
		body = json_pack("{s:[]}", "targets");
	else
		body = json_pack("{s:[{s:I, s:s, s:O, s:O}]}", "targets", "id", (json_int_t)dap_address(line, "begin"),
				 "label", "set the instruction pointer to this line", "line",
				 json_object_get(arguments, "line"), "instructionPointerReference",
				 json_object_get(line, "begin"));
	json_decref(answer);
	return body;
}

static json_t *go_to(struct dap *d, json_t *arguments)
{
	json_t *answer = dap_command(d, "set var $rip = 0x%" PRIx64, (uint64_t)dap_number(arguments, "targetId", 0));

	if (!dap_ok(answer))
		dap_fail(d, "%s", dap_error(answer));
	else
		dap_stopped(d, answer, "goto");
	json_decref(answer);
	return NULL;
}

static json_t *exception_info(struct dap *d, json_t *arguments)
{
	json_t *answer = dap_command(d, "explain"), *body;
	const char *text = dap_string(answer, "output", "");

	(void)arguments;
	body = json_pack("{s:s%, s:s, s:s}", "exceptionId", text, strcspn(text, "\n"), "description", text, "breakMode",
			 "always");
	json_decref(answer);
	return body;
}

/* ---- the table ---- */

static json_t *nothing(struct dap *d, json_t *arguments) { (void)d, (void)arguments; return NULL; }

/* By "line" to the next line, by "instruction" to the next instruction. */
static const struct row {
	const char *name;
	request_fn *answer;
	const char *line, *instruction,
		*reason; /* the machine runs by this command after the response; NULL: it does not */
	bool resume;
} rows[] = {
	{ "initialize", initialize }, { "launch", launch }, { "setBreakpoints", on_set_breakpoints },
	{ "setFunctionBreakpoints", on_set_function_breakpoints },
	{ "setInstructionBreakpoints", on_set_instruction_breakpoints },
	{ "setDataBreakpoints", on_set_data_breakpoints }, { "dataBreakpointInfo", on_data_breakpoint_info },
	{ "setExceptionBreakpoints", on_set_exception_breakpoints }, { "configurationDone", nothing },
	{ "threads", threads }, { "stackTrace", stack_trace }, { "scopes", on_scopes }, { "variables", on_variables },
	{ "setVariable", on_set_variable }, { "evaluate", on_evaluate }, { "completions", on_completions },
	{ "gotoTargets", goto_targets }, { "goto", go_to }, { "exceptionInfo", exception_info },
	{ "disassemble", on_disassemble }, { "readMemory", on_read_memory }, { "writeMemory", on_write_memory },
	{ "pause", nothing }, { "disconnect", nothing }, { "terminate", nothing },
	{ "continue", nothing, "continue", "continue", "step", true },
	{ "reverseContinue", nothing, "reverse-continue", "reverse-continue", "step", false },
	{ "next", nothing, "next", "nexti", "step", false },
	{ "stepIn", nothing, "step", "stepi", "step", false },
	{ "stepOut", nothing, "finish", "finish", "step", false },
	{ "stepBack", nothing, "reverse-next", "reverse-nexti", "step", false },
};

/* Code without lines is stepped by instructions. */
static const char *step_command(struct dap *d, const struct row *r, json_t *arguments)
{
	json_t *answer = dap_command(d, "when");
	bool lines =
		json_object_get(answer, "file") && strcmp(dap_string(arguments, "granularity", "line"), "instruction");

	json_decref(answer);
	return lines ? r->line : r->instruction;
}

static void respond(struct dap *d, json_t *message, const char *name, json_t *body)
{
	json_t *response = json_pack("{s:s, s:I, s:b, s:s}", "type", "response", "request_seq",
				     dap_number(message, "seq", 0), "success", d->failure == NULL, "command", name);

	if (d->failure) {
		json_object_set_new(response, "message", json_string(d->failure));
		json_object_set_new(response, "body",
				    json_pack("{s:{s:i, s:s}}", "error", "id", 1, "format", d->failure));
	} else if (body) {
		json_object_set(response, "body", body);
	}
	json_decref(body);
	wire_send(d, response);
}

static json_t *answer_to(struct dap *d, const struct row *r, const char *name, json_t *arguments)
{
	if (!r)
		return dap_fail(d, "vcpu-dap does not know the request \"%s\"", name);
	if (!d->session.machine && r->answer != initialize && r->answer != launch && r->answer != nothing)
		return dap_fail(d, "there is no machine yet: launch comes first");
	return r->answer(d, arguments);
}

bool request(struct dap *d, json_t *message)
{
	const char *name = dap_string(message, "command", "");
	json_t *arguments = json_object_get(message, "arguments"), *body;
	const struct row *r = NULL;
	bool more = true;

	if (strcmp(dap_string(message, "type", ""), "request"))
		return true;
	for (size_t i = 0; i < sizeof rows / sizeof *rows && !r; i++)
		if (!strcmp(rows[i].name, name))
			r = &rows[i];
	d->failure = NULL;
	body = answer_to(d, r, name, arguments);
	if (r && r->line && !d->session.machine)
		dap_fail(d, "there is no machine yet: launch comes first");
	respond(d, message, name, body);
	if (!d->failure && r && r->line)
		more = run(d, step_command(d, r, arguments), r->resume, r->reason);
	if (!d->failure && !strcmp(name, "configurationDone") && d->session.machine) {
		json_t *answer;

		if (!d->stop_on_entry)
			return run(d, "continue", true, "step");
		answer = dap_command(d, "when");
		dap_stopped(d, answer, "entry");
		json_decref(answer);
	}
	if (!strcmp(name, "disconnect") || !strcmp(name, "terminate")) {
		wire_event(d, "terminated", NULL);
		more = !strcmp(name, "terminate");
	}
	return more && !d->gone;
}
