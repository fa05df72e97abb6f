/* SPDX-License-Identifier: MIT */
/* Files about a run: trace, coverage, profile. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vcpu_dump.h>

#include "debugger.h"

struct trace {
	struct piece *pieces;        /* of coverage */
	size_t npieces;
	bool covering;
};

FILE *create_file(struct session *s, const char *path)
{
	FILE *file;

	if (!files_allowed(s))
		return NULL;
	file = s->create ? s->create(path) : fopen(path, "we");
	if (!file)
		complaint(s, "cannot write %s: %s", path, strerror(errno));
	return file;
}

bool close_file(struct session *s, FILE *file, const char *path)
{
	bool ok = !ferror(file);

	ok = !fclose(file) && ok;
	return ok || complaint(s, "cannot write %s: %s", path, strerror(errno));
}

/* The first word of *ARGS, malloc'd; *ARGS moves behind it. */
static char *word(const char **args)
{
	size_t n = strcspn(*args, " ");
	char *w = needed(strndup(*args, n));

	*args += n + strspn(*args + n, " ");
	return w;
}

/* ---- trace ---- */

struct tracing { struct session *s; FILE *file; };

static void write_event(void *user, const struct vcpu_debug_event *e)
{
	static const struct { unsigned kind; const char *name; } kinds[] = {
		{ VCPU_EVENT_EXCEPTION, "exception" }, { VCPU_EVENT_INTERRUPT, "interrupt" },
			{ VCPU_EVENT_PORT, "port" }, { VCPU_EVENT_MMIO, "mmio" },
		{ VCPU_EVENT_MSR, "msr" }, { VCPU_EVENT_CR3, "cr3" }, { VCPU_EVENT_MODE, "mode" },
			{ VCPU_EVENT_CLOCK, "device" },
		{ VCPU_EVENT_OUTPUT, "text" }, { VCPU_EVENT_MEMORY, "memory" }, { VCPU_EVENT_VMENTRY, "vmentry" },
		{ VCPU_EVENT_VMEXIT, "vmexit" }, { VCPU_EVENT_VMFAIL, "vmfail" },
	};
	struct tracing *t = user;

	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].kind == e->kind)
			fprintf(t->file, "%" PRIu64 " %u %s", e->instructions, e->processor, kinds[i].name);
	if (e->kind & (VCPU_EVENT_CLOCK | VCPU_EVENT_OUTPUT))
		fprintf(t->file, " %s\n", e->name);
	else if (e->kind & (VCPU_EVENT_PORT | VCPU_EVENT_MMIO | VCPU_EVENT_MSR | VCPU_EVENT_MEMORY))
		fprintf(t->file, " %s %" PRIx64 " %u %" PRIx64 " at %" PRIx64 "\n", e->write ? "write" : "read",
			e->address, e->size, e->value, e->rip);
	else
		fprintf(t->file, " %" PRIx64 " %" PRIx64 " at %" PRIx64 "\n", e->address, e->value, e->rip);
}

static struct vcpu_debug_stop trace_instructions(struct session *s, struct tracing *t, uint64_t end)
{
	struct vcpu_debug_stop stop = { .what = VCPU_DEBUG_THERE, .place = vcpu_where(s->machine) };
	FILE *file = t->file;

	while (stop.place.instructions < end && !enough(s)) {
		uint64_t at = stop.place.instructions, rip = linear_rip(s);
		unsigned cpu = vcpu_running(s->machine);
		char text[256], name[128], *events = NULL;
		size_t len = 0;

		if (!instruction_text(s, rip, text, sizeof text))
			strcpy(text, "not mapped");
		t->file = needed(open_memstream(&events, &len));
		stop = vcpu_debug_step(s->debug);
		fclose(t->file);
		if (stop.place.instructions > at)
			fprintf(file, "%" PRIu64 " %u %016" PRIx64 "%s %s\n", at, cpu, rip,
				symbol_text(s, rip, name, sizeof name), text);
		fputs(events, file);
		free(events);
		vcpu_select(s->machine, vcpu_running(s->machine));
		if (stop.what != VCPU_DEBUG_THERE &&
		    !(stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason == VCPU_STOP_IDLE))
			break;
	}
	t->file = file;
	return stop;
}

bool do_trace(struct session *s, const char *args)
{
	static const struct { const char *name; unsigned kinds; } what[] = {
		{ "instructions", 0 }, { "memory", VCPU_EVENT_MEMORY }, { "ports", VCPU_EVENT_PORT },
			{ "mmio", VCPU_EVENT_MMIO }, { "msr",
			VCPU_EVENT_MSR },
		{ "interrupts", VCPU_EVENT_INTERRUPT }, { "exceptions", VCPU_EVENT_EXCEPTION },
			{ "cr3", VCPU_EVENT_CR3 }, { "mode", VCPU_EVENT_MODE },
		{ "devices", VCPU_EVENT_CLOCK }, { "vmx", VCPU_EVENT_VMENTRY | VCPU_EVENT_VMEXIT | VCPU_EVENT_VMFAIL },
	};
	char *path = word(&args), *kind;
	unsigned kinds = 0;
	uint64_t n = number(args, 0), end = vcpu_instructions(s->machine) + n;
	struct vcpu_debug_stop stop = { 0 };
	struct tracing t = { s, NULL };
	bool instructions = false, tenet = name_ends(path, ".tenet"), ok;

	free(word(&args));
	ok = (*path && n) ||
	     complaint(s, "trace FILE N "
			  "[instructions|memory|ports|mmio|msr|interrupts|exceptions|cr3|mode|devices|vmx]...");
	ok = ok && (!tenet || (!*args && vcpu_processors(s->machine) == 1) ||
		    complaint(s, "trace: Tenet has instructions with their accesses, of one processor"));
	instructions = !*args;
	while (ok && *args) {
		unsigned i;

		kind = word(&args);
		for (i = 0; i < sizeof what / sizeof *what && strncmp(what[i].name, kind, strlen(kind)); i++)
			;
		ok = i < sizeof what / sizeof *what || complaint(s, "trace: unknown kind: %s", kind);
		free(kind);
		if (ok) {
			kinds |= what[i].kinds;
			instructions |= i == 0;
		}
	}
	if (instructions)
		kinds |= VCPU_EVENT_INTERRUPT | VCPU_EVENT_EXCEPTION;
	ok = ok && (t.file = create_file(s, path)) != NULL;
	if (ok) {
		s->interrupted = false;
		if (!tenet)
			vcpu_debug_trace(s->debug, kinds, write_event, &t);
		if (tenet)
			stop = trace_tenet(s, t.file, end);
		else if (instructions)
			stop = trace_instructions(s, &t, end);
		else do
			stop = vcpu_debug_run(s->debug, end - vcpu_instructions(s->machine));
		while (stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason == VCPU_STOP_IDLE &&
			vcpu_instructions(s->machine) < end &&
			!enough(s));
		vcpu_debug_trace(s->debug, 0, NULL, NULL);
		ok = close_file(s, t.file, path) && report(s, stop);
	}
	free(path);
	return ok;
}

/* ---- coverage ---- */

static void covered(void *user, uint64_t address, unsigned size)
{
	struct trace *t = user;

	if (!(t->npieces & (t->npieces - 1))) {
		struct piece *more = realloc(t->pieces, (t->npieces ? 2 * t->npieces : 1) * sizeof *more);

		if (!more)
			return;
		t->pieces = more;
	}
	t->pieces[t->npieces++] = (struct piece){ address, size };
}

static int by_address(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

/* Sort the pieces, and join adjacent ones of one function. */
static void merge(struct session *s, struct trace *t)
{
	size_t n = 0;

	if (t->npieces)
		qsort(t->pieces, t->npieces, sizeof *t->pieces, by_address);
	for (size_t i = 0; i < t->npieces; i++) {
		struct piece *last = n ? &t->pieces[n - 1] : NULL, p = t->pieces[i];
		const uint64_t end = last ? last->address + last->size : 0;

		if (last &&
		    (p.address < end || (p.address == end && symbol_at(s, p.address) == symbol_at(s, last->address)))) {
			if (p.address + p.size > end)
				last->size = (unsigned)(p.address + p.size - last->address);
		} else {
			t->pieces[n++] = p;
		}
	}
	t->npieces = n;
	if (n & (n - 1)) { /* keep the allocated size a power of two */
		size_t room = 1;

		while (room < n)
			room *= 2;
		t->pieces = needed(realloc(t->pieces, room * sizeof *t->pieces));
	}
}

/* lcov's format: the lines that have run. */
static void write_lines(struct session *s, FILE *file, const struct trace *t)
{
	struct line line, last = { .line = 0 };
	char text[256];

	for (size_t i = 0; i < t->npieces; i++)
		for (uint64_t at = t->pieces[i].address; at < t->pieces[i].address + t->pieces[i].size;) {
			unsigned len = instruction_text(s, at, text, sizeof text);

			if (dwarf_line(s, at, &line) &&
			    (!last.file || line.line != last.line || strcmp(line.file, last.file))) {
				if (!last.file || strcmp(line.file, last.file))
					fprintf(file, "%sSF:%s\n", last.file ? "end_of_record\n" : "TN:\n", line.file);
				fprintf(file, "DA:%d,1\n", line.line);
				last = line;
			}
			at += len ? len : 1;
		}
	if (last.file)
		fputs("end_of_record\n", file);
}

bool do_coverage(struct session *s, const char *args)
{
	struct trace *t = s->trace ? s->trace : needed(calloc(1, sizeof *t));
	char text[160];
	FILE *file;
	uint64_t bytes = 0;
	bool lines, drcov;

	s->trace = t;
	if (!strcmp(args, "on") || !strcmp(args, "off")) {
		t->covering = args[1] == 'n';
		if (t->covering)
			t->npieces = 0;
		vcpu_debug_coverage(s->debug, t->covering ? covered : NULL, t);
		return true;
	}
	if (strncmp(args, "save ", 5))
		return complaint(s, "coverage on, off, or save FILE (FILE.info: for lcov; FILE.drcov: for Lighthouse)");
	merge(s, t);
	file = create_file(s, args + 5);
	if (!file)
		return false;
	lines = name_ends(args + 5, ".info");
	drcov = name_ends(args + 5, ".drcov");
	if (lines)
		write_lines(s, file, t);
	if (drcov)
		write_drcov(file, t->pieces, t->npieces);
	for (size_t i = 0; i < t->npieces; i++) {
		bytes += t->pieces[i].size;
		if (!lines && !drcov)
			fprintf(file, "%016" PRIx64 " %u%s\n", t->pieces[i].address, t->pieces[i].size,
				symbol_text(s, t->pieces[i].address, text, sizeof text));
	}
	SHOW_NUMBER(s, "bytes", "%" PRIu64 " bytes of code", bytes);
	SHOW_NUMBER(s, "pieces", " in %" PRIu64 " pieces have run\n", t->npieces);
	return close_file(s, file, args + 5);
}

/* ---- gcore ---- */

static bool write_core(void *file, const void *data, size_t len) { return fwrite(data, 1, len, file) == len; }

/* The registers go to a file of their own if its name says so. */
bool do_gcore(struct session *s, const char *args)
{
	const char *path = *args ? args : "core";
	bool json = name_ends(path, ".json"), ok = true;
	FILE *file = create_file(s, path);
	char *text;

	if (!file)
		return false;
	if (json) {
		text = needed(vcpu_registers_json(s->machine));
		fputs(text, file);
		free(text);
	} else {
		ok = !vcpu_dump_save(s->machine, write_core, file);
	}
	return close_file(s, file, path) && (ok || complaint(s, "%s", vcpu_error(s->machine)));
}

void trace_end(struct session *s)
{
	if (!s->trace)
		return;
	free(s->trace->pieces);
	free(s->trace);
	s->trace = NULL;
}

/* ---- profile ---- */

struct sample { char *stack; unsigned long count; };

/* "outermost;...;innermost", as flame graphs take it. */
static char *stack_text(struct session *s)
{
	struct frame f = frame_here(s);
	const struct symbol *names[64];
	char *text = NULL;
	unsigned n = 0;
	size_t len = 0;
	FILE *out;

	names[n++] = symbol_at(s, f.pc);
	for (uint64_t sp = f.sp - 1; n < 64 && s->nsymbols && f.sp != sp;) {
		sp = f.sp;
		if (!frame_up(s, &f))
			break;
		names[n++] = symbol_at(s, f.pc - f.called);
	}
	out = needed(open_memstream(&text, &len));
	if (vcpu_get(s->machine, VCPU_CPL) == 3)
		fprintf(out, "user;");
	while (n-- > 0)
		fprintf(out, "%s%s", names[n] ? names[n]->name : "?", n ? ";" : "");
	fclose(out);
	return text;
}

static int by_stack(const void *a, const void *b)
{
	return strcmp(((const struct sample *)a)->stack, ((const struct sample *)b)->stack);
}

bool do_profile(struct session *s, const char *args)
{
	char *path = word(&args), *rest;
	uint64_t n = strtoull(args, &rest, 0), every = number(rest + strspn(rest, " "), 100000),
		end = vcpu_instructions(s->machine) + n,
		total = 0;
	struct vcpu_debug_stop stop = { 0 };
	struct sample *samples = NULL, *more;
	size_t count = 0;
	FILE *file = *path && n && every ? create_file(s, path) : NULL;
	bool ok = file || (*path && n && every) || complaint(s, "profile FILE N [EVERY]");

	s->interrupted = false;
	while (file && vcpu_instructions(s->machine) < end && !enough(s)) {
		uint64_t from = vcpu_instructions(s->machine), left = end - from;

		stop = vcpu_debug_run(s->debug, left < every ? left : every);
		if (stop.what != VCPU_DEBUG_MACHINE ||
		    (stop.machine.reason != VCPU_STOP_LIMIT && stop.machine.reason != VCPU_STOP_IDLE))
			break;
		if (stop.machine.reason == VCPU_STOP_IDLE)
			continue;
		vcpu_select(s->machine, vcpu_running(s->machine));
		more = realloc(samples, (count + 1) * sizeof *more);
		if (!more)
			break;
		samples = more;
		samples[count++] = (struct sample){ stack_text(s), 1 };
	}
	if (count)
		qsort(samples, count, sizeof *samples, by_stack);
	for (size_t i = 0; i < count; i++) {
		size_t k = i;

		while (k + 1 < count && !strcmp(samples[k + 1].stack, samples[i].stack))
			k++;
		fprintf(file, "%s %zu\n", samples[i].stack, k - i + 1);
		total += k - i + 1;
		i = k;
	}
	for (size_t i = 0; i < count; i++)
		free(samples[i].stack);
	free(samples);
	if (file) {
		SHOW_NUMBER(s, "samples", "%" PRIu64 " samples\n", total);
		ok = close_file(s, file, path) && report(s, stop);
	}
	free(path);
	return ok && file;
}
