/* SPDX-License-Identifier: MIT */
/* timeline: a picture (SVG) of the known run over virtual time. Each processor has four rows: user, kernel, guest or
 * asleep; the address space; interrupts; exceptions. It is made by one pass. Or the same as trace events (JSON), which
 * Perfetto and Chromium's about:tracing read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>

#include "debugger.h"

enum { LEFT = 130, WIDTH = 1400, ROW = 16, GAP = 4, TOP = 34, BINS = 4 * WIDTH, TICKS = 10 };
enum mode { MODE_USER, MODE_KERNEL, MODE_GUEST, MODE_ASLEEP };
enum { ROW_MODE, ROW_SPACE, ROW_INTERRUPTS, ROW_EXCEPTIONS, ROWS };

/* Something that lasts. VALUE: enum mode, or CR3. */
struct span {
	uint64_t from, to, value, instructions;
};
struct spans {
	struct span *all;
	size_t count, room;
};
/* What happens in a quarter of a pixel. */
struct bin {
	uint64_t count, ns, instructions, vector;
};

struct processor {
	struct spans modes, spaces;
	uint64_t since, space_since, since_instructions, space_instructions, cr3;
	bool guest, asleep;
	struct bin *marks[2]; /* BINS each: interrupts, exceptions */
};

struct timeline {
	struct session *s;
	uint64_t start, end; /* virtual ns */
	unsigned nprocessors;
	struct processor *processors;
};

/* The part of the run that is over, 0 to 1. */
static double part_of(const struct timeline *t, uint64_t ns)
{
	return (double)(ns - t->start) / (double)(t->end - t->start);
}

static unsigned bin_of(const struct timeline *t, uint64_t ns)
{
	const unsigned bin = (unsigned)(part_of(t, ns) * (double)BINS);

	return bin < BINS ? bin : BINS - 1;
}

/* ---- the pass ---- */

/* Spans that nobody could see become a part of the one before. */
static void span_add(const struct timeline *t, struct spans *to, struct span span)
{
	struct span *last = to->count ? &to->all[to->count - 1] : NULL;

	if (span.to <= span.from)
		return;
	if (last && (last->value == span.value || (to->count > BINS && bin_of(t, last->from) == bin_of(t, span.to)))) {
		last->to = span.to;
		return;
	}
	if (to->count == to->room)
		to->all = needed(realloc(to->all, (to->room = 2 * to->room + 64) * sizeof *to->all));
	to->all[to->count++] = span;
}

/* Up to now processor P was in the mode that its CPL tells. */
static void mode_until_now(struct timeline *t, unsigned n)
{
	struct processor *p = &t->processors[n];
	const uint64_t now = vcpu_virtual_ns(t->s->machine);
	enum mode mode = p->asleep ? MODE_ASLEEP : p->guest ? MODE_GUEST : MODE_KERNEL;

	vcpu_select(t->s->machine, n);
	if (mode == MODE_KERNEL && vcpu_get(t->s->machine, VCPU_CPL) == 3)
		mode = MODE_USER;
	span_add(t, &p->modes, (struct span){ p->since, now, mode, p->since_instructions });
	p->since = now;
	p->since_instructions = vcpu_instructions(t->s->machine);
	p->asleep = false;
}

static void space_until_now(struct timeline *t, unsigned n, uint64_t next)
{
	struct processor *p = &t->processors[n];
	const uint64_t now = vcpu_virtual_ns(t->s->machine);

	span_add(t, &p->spaces, (struct span){ p->space_since, now, p->cr3, p->space_instructions });
	p->space_since = now;
	p->space_instructions = vcpu_instructions(t->s->machine);
	p->cr3 = next;
}

static void event(void *user, const struct vcpu_debug_event *e)
{
	struct timeline *t = user;
	struct processor *p = &t->processors[e->processor];
	const uint64_t now = vcpu_virtual_ns(t->s->machine);
	struct bin *b;

	mode_until_now(t, e->processor);
	switch (e->kind) {
	case VCPU_EVENT_INTERRUPT:
	case VCPU_EVENT_EXCEPTION:
		b = &p->marks[e->kind == VCPU_EVENT_EXCEPTION][bin_of(t, now)];
		if (!b->count++)
			*b = (struct bin){ 1, now, e->instructions, e->address };
		break;
	case VCPU_EVENT_CR3: space_until_now(t, e->processor, e->address); break;
	case VCPU_EVENT_VMENTRY: p->guest = true; break;
	case VCPU_EVENT_VMEXIT: p->guest = false; break;
	}
}

/* Before an instruction that can change CPL. */
static enum vcpu_hook_answer leaves(void *user, struct vcpu_hook_event *e)
{
	struct timeline *t = user;

	(void)e;
	mode_until_now(t, vcpu_running(t->s->machine));
	return VCPU_HOOK_GO;
}

static enum vcpu_hook_answer halts(void *user, struct vcpu_hook_event *e)
{
	struct timeline *t = user;
	const unsigned n = vcpu_running(t->s->machine);

	(void)e;
	mode_until_now(t, n);
	t->processors[n].asleep = true;
	return VCPU_HOOK_GO;
}

static void edge(void *user, bool end)
{
	struct timeline *t = user;

	for (unsigned n = 0; n < t->nprocessors; n++) {
		struct processor *p = &t->processors[n];

		if (end) {
			mode_until_now(t, n);
			space_until_now(t, n, 0);
			continue;
		}
		vcpu_select(t->s->machine, n);
		p->since = p->space_since = t->start;
		p->cr3 = vcpu_get(t->s->machine, VCPU_CR3);
	}
	vcpu_select(t->s->machine, vcpu_running(t->s->machine));
}

static bool watch_run(struct timeline *t)
{
	static const char *const names[] = { "syscall", "sysret", "sysenter", "sysexit", "iret", "hlt", "mwait" };
	enum { HALTS = 5, NAMES = sizeof names / sizeof *names };
	int ids[NAMES];
	bool ok = true;

	for (unsigned i = 0; i < NAMES; i++) {
		ids[i] = vcpu_hook_add(t->s->machine, &(struct vcpu_hook){ .kinds = VCPU_HOOK_INSN,
									   .observer = true,
									   .instruction = names[i],
									   .call = i < HALTS ? leaves : halts,
									   .user = t });
		ok = ok && ids[i] >= 0;
	}
	vcpu_debug_trace(t->s->debug,
			 VCPU_EVENT_INTERRUPT | VCPU_EVENT_EXCEPTION | VCPU_EVENT_CR3 | VCPU_EVENT_VMENTRY |
				 VCPU_EVENT_VMEXIT,
			 event, t);
	ok = (ok || complaint(t->s, "%s", error_of(t->s))) && whole_run(t->s, edge, t);
	vcpu_debug_trace(t->s->debug, 0, NULL, NULL);
	for (unsigned i = 0; i < NAMES; i++)
		if (ids[i] >= 0)
			vcpu_hook_remove(t->s->machine, ids[i]);
	return ok;
}

/* ---- the picture ---- */

static double x_of(const struct timeline *t, uint64_t ns) { return (double)LEFT + part_of(t, ns) * (double)WIDTH; }

static void draw_spans(FILE *out, const struct timeline *t, const struct spans *spans, bool modes, unsigned y)
{
	static const char *const names[] = { "user", "kernel", "guest", "asleep" };

	for (const struct span *p = spans->all; p < spans->all + spans->count; p++) {
		const double x = x_of(t, p->from), width = x_of(t, p->to) - x;

		fprintf(out, "<rect class=\"%s\" x=\"%.3f\" y=\"%u\" width=\"%.3f\" height=\"%d\"",
			modes ? names[p->value] : "space", x, y, width, ROW);
		if (!modes) /* colours that are far apart for tables that are close */
			fprintf(out, " fill=\"hsl(%u,60%%,65%%)\"", (unsigned)((p->value >> 12) * 137 % 360));
		if (modes)
			fprintf(out, "><title>%s", names[p->value]);
		else
			fprintf(out, "><title>CR3 0x%" PRIx64, p->value);
		fprintf(out, ", instruction %" PRIu64 ", %" PRIu64 " to %" PRIu64 " ns</title></rect>\n",
			p->instructions, p->from, p->to);
	}
}

static uint64_t draw_marks(FILE *out, const struct timeline *t, const struct bin *bins, const char *name, unsigned y)
{
	uint64_t count = 0;

	for (const struct bin *b = bins; b < bins + BINS; b++) {
		const double x = x_of(t, b->ns);

		if (!b->count)
			continue;
		count += b->count;
		fprintf(out, "<path class=\"%s\" data-count=\"%" PRIu64 "\" d=\"M%.2f %uv%d\"><title>", name, b->count,
			x, y, ROW);
		if (b->count > 1)
			fprintf(out, "%" PRIu64 " of them from ", b->count);
		fprintf(out, "vector %" PRIu64 ", instruction %" PRIu64 ", %" PRIu64 " ns</title></path>\n", b->vector,
			b->instructions, b->ns);
	}
	return count;
}

static void draw_time(FILE *out, const struct timeline *t, unsigned bottom)
{
	for (unsigned i = 0; i <= TICKS; i++) {
		const uint64_t ns = t->start + (t->end - t->start) / TICKS * i;

		fprintf(out, "<path class=\"tick\" d=\"M%.2f %dV%u\"/><text x=\"%.2f\" y=\"%d\">%.6g ms</text>\n",
			x_of(t, ns), TOP - 6, bottom, x_of(t, ns) + 2, TOP - 10, (double)ns / 1e6);
	}
}

static void draw(FILE *out, struct session *s, const struct timeline *t)
{
	static const char *const rows[ROWS] = { "mode", "address space", "interrupts", "exceptions" };
	const unsigned each = ROWS * (ROW + GAP) + GAP, bottom = TOP + t->nprocessors * each;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" font-family=\"sans-serif\" "
		"font-size=\"11\">\n<style>"
		".user{fill:#4c9f50}.kernel{fill:#d9822b}.guest{fill:#3b7dd8}.asleep{fill:#ddd}"
		".interrupt{stroke:#7b3fb5}.exception{stroke:#c62828}.tick{stroke:#bbb;stroke-dasharray:2 3}"
		"path{stroke-width:.5;fill:none}</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		LEFT + WIDTH + 60, bottom + GAP);
	draw_time(out, t, bottom);
	json_open(s, "processors", '[');
	for (unsigned n = 0; n < t->nprocessors; n++) {
		const struct processor *p = &t->processors[n];
		const unsigned y = TOP + n * each;

		for (unsigned row = 0; row < ROWS; row++)
			fprintf(out, "<text x=\"4\" y=\"%u\">%u: %s</text>\n", y + row * (ROW + GAP) + ROW - 4, n,
				rows[row]);
		draw_spans(out, t, &p->modes, true, y + ROW_MODE * (ROW + GAP));
		draw_spans(out, t, &p->spaces, false, y + ROW_SPACE * (ROW + GAP));
		json_open(s, NULL, '{');
		SHOW_NUMBER(s, "interrupts", "%" PRIu64 " interrupts, ",
			    draw_marks(out, t, p->marks[0], "interrupt", y + ROW_INTERRUPTS * (ROW + GAP)));
		SHOW_NUMBER(s, "exceptions", "%" PRIu64 " exceptions\n",
			    draw_marks(out, t, p->marks[1], "exception", y + ROW_EXCEPTIONS * (ROW + GAP)));
		json_close(s);
	}
	json_close(s);
	fputs("</svg>\n", out);
}

/* ---- the same as JSON for Perfetto: trace events, whose times are in us ---- */

static void write_spans(FILE *out, const struct spans *spans, unsigned processor, unsigned row)
{
	static const char *const names[] = { "user", "kernel", "guest", "asleep" };

	for (const struct span *p = spans->all; p < spans->all + spans->count; p++) {
		fputs(",\n{\"ph\":\"X\",\"name\":\"", out);
		if (row == ROW_MODE)
			fputs(names[p->value], out);
		else
			fprintf(out, "CR3 0x%" PRIx64, p->value);
		fprintf(out, "\",\"pid\":%u,\"tid\":%u,\"ts\":%" PRIu64 ".%03u,\"dur\":%" PRIu64 ".%03u,"
			"\"args\":{\"instruction\":%" PRIu64 "}}", processor, row, p->from / 1000, (unsigned)(p->from % 1000),
			(p->to - p->from) / 1000, (unsigned)((p->to - p->from) % 1000), p->instructions);
	}
}

static uint64_t write_marks(FILE *out, const struct bin *bins, unsigned processor, unsigned row)
{
	uint64_t count = 0;

	for (const struct bin *b = bins; b < bins + BINS; b++) {
		if (!b->count)
			continue;
		count += b->count;
		fprintf(out, ",\n{\"ph\":\"i\",\"s\":\"t\",\"name\":\"%s %" PRIu64 "\",\"pid\":%u,\"tid\":%u,"
			"\"ts\":%" PRIu64 ".%03u,\"args\":{\"instruction\":%" PRIu64 ",\"count\":%" PRIu64 "}}",
			row == ROW_INTERRUPTS ? "interrupt" : "exception", b->vector, processor, row, b->ns / 1000,
			(unsigned)(b->ns % 1000), b->instructions, b->count);
	}
	return count;
}

static void write_events(FILE *out, struct session *s, const struct timeline *t)
{
	static const char *const rows[ROWS] = { "mode", "address space", "interrupts", "exceptions" };

	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":0,"
	      "\"args\":{\"name\":\"processor 0\"}}", out);
	json_open(s, "processors", '[');
	for (unsigned n = 0; n < t->nprocessors; n++) {
		const struct processor *p = &t->processors[n];

		if (n)
			fprintf(out, ",\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,"
				"\"args\":{\"name\":\"processor %u\"}}", n, n);
		for (unsigned row = 0; row < ROWS; row++)
			fprintf(out, ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%u,"
				"\"args\":{\"name\":\"%s\"}}", n, row, rows[row]);
		write_spans(out, &p->modes, n, ROW_MODE);
		write_spans(out, &p->spaces, n, ROW_SPACE);
		json_open(s, NULL, '{');
		SHOW_NUMBER(s, "interrupts", "%" PRIu64 " interrupts, ", write_marks(out, p->marks[0], n, ROW_INTERRUPTS));
		SHOW_NUMBER(s, "exceptions", "%" PRIu64 " exceptions\n", write_marks(out, p->marks[1], n, ROW_EXCEPTIONS));
		json_close(s);
	}
	json_close(s);
	fputs("\n]}\n", out);
}

bool do_timeline(struct session *s, const char *args)
{
	struct timeline t = { .s = s,
			      .start = vcpu_debug_start(s->debug).ns,
			      .end = vcpu_debug_end(s->debug).ns,
			      .nprocessors = vcpu_processors(s->machine) };
	FILE *file = NULL;
	bool ok;

	if (!*args)
		return complaint(s, "timeline: a file is needed");
	if (t.end <= t.start)
		return complaint(s, "timeline: no time passes in the known run");
	t.processors = needed(calloc(t.nprocessors, sizeof *t.processors));
	for (unsigned n = 0; n < 2 * t.nprocessors; n++)
		t.processors[n / 2].marks[n % 2] = needed(calloc(BINS, sizeof(struct bin)));
	ok = watch_run(&t) && (file = create_file(s, args));
	if (ok) {
		if (name_ends(args, ".json"))
			write_events(file, s, &t);
		else
			draw(file, s, &t);
		ok = close_file(s, file, args);
	}
	for (unsigned n = 0; n < t.nprocessors; n++) {
		free(t.processors[n].modes.all);
		free(t.processors[n].spaces.all);
		free(t.processors[n].marks[0]);
		free(t.processors[n].marks[1]);
	}
	free(t.processors);
	return ok;
}
