/* SPDX-License-Identifier: MIT */
/* Going through time. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

/* With the base of CS, as code in real mode is at 16 * CS. */
uint64_t linear_rip(struct session *s)
{
	uint64_t rip = vcpu_get(s->machine, VCPU_RIP);

	return vcpu_get(s->machine, VCPU_CODE_BITS) == 64 ? rip : (uint32_t)(rip + vcpu_get(s->machine, VCPU_CS_BASE));
}

/* ---- going ---- */

static bool went_on(struct vcpu_debug_stop stop)
{
	return stop.what == VCPU_DEBUG_MACHINE && (stop.machine.reason == VCPU_STOP_LIMIT ||
		stop.machine.reason == VCPU_STOP_IDLE);
}

/* The way back has reached a watched access. Is it to be reported? */
static bool told_of(struct session *s, const struct vcpu_debug_stop *stop)
{
	struct stop *p = stop->what == VCPU_DEBUG_WATCH ? stop_by_id(s, stop->id) : NULL;

	return !p || !p->watched || watch_went_back(s, p);
}

static struct vcpu_debug_stop run_on(struct session *s, bool back)
{
	struct vcpu_debug_stop stop;

	s->interrupted = false;
	s->backwards = s->went_back = back;
	if (back) {
		do
			stop = vcpu_debug_run_back(s->debug);
		while (!told_of(s, &stop) && !enough(s));
	} else do {
		stop = vcpu_debug_run(s->debug, 50000000);
		fflush(stdout);
	} while (!s->interrupted && went_on(stop) && !(s->stop_wanted && s->stop_wanted(s->user)));
	s->backwards = false;
	return stop;
}

/* With N, ignore the next N - 1 hits of the stop that the machine stands at. */
bool do_continue(struct session *s, const char *args)
{
	struct stop *p = stop_by_id(s, s->last.id);
	uint64_t n = number(args, 1);

	if (n > 1 && !p)
		return complaint(s, "the machine is not at a breakpoint that could be ignored");
	if (n > 1) {
		p->ignore = n - 1;
		fprintf(s->out, "Will ignore next %" PRIu64 " crossings of breakpoint %d.  ", n - 1, p->number);
	}
	fputs("Continuing.\n", s->out);
	return report(s, run_on(s, false));
}

bool do_reverse(struct session *s, const char *args)
{
	(void)args;
	fputs("Continuing.\n", s->out);
	return report(s, run_on(s, true));
}

/* Run to one of the hidden breakpoints IDS, and delete them. An id can be -1: no breakpoint. */
static struct vcpu_debug_stop run_to_either(struct session *s, const int ids[2])
{
	struct vcpu_debug_stop stop = run_on(s, false);

	for (unsigned i = 0; i < 2; i++) {
		if (ids[i] >= 0 && stop.what == VCPU_DEBUG_BREAK && stop.id == ids[i]) {
			stop.what = VCPU_DEBUG_THERE;
			stop.id = 0;
		}
		stop_delete(s, ids[i]);
	}
	return stop;
}

/* Run to ADDRESS, until RSP is above ABOVE there. */
static struct vcpu_debug_stop run_to(struct session *s, uint64_t address, uint64_t above)
{
	int ids[2] = { hidden_break(s, address, above, 0), -1 };

	return ids[0] < 0 ? (struct vcpu_debug_stop){ .what = VCPU_DEBUG_ERROR } : run_to_either(s, ids);
}

/* ---- steps ---- */

static struct vcpu_debug_stop one(struct session *s, bool back)
{
	struct vcpu_debug_stop stop;

	s->backwards = s->went_back = back;
	if (!back)
		watches_look(s);
	stop = back ? vcpu_debug_step_back(s->debug) : vcpu_debug_step(s->debug);
	s->backwards = false;
	if (back && !told_of(s, &stop))
		stop.what = VCPU_DEBUG_THERE;
	return stop;
}

static unsigned code_at(struct session *s, uint64_t address, unsigned char code[2])
{
	return (unsigned)vcpu_read_linear(s->machine, address, code, 2);
}

static bool is_return(struct session *s)
{
	unsigned char code[2] = { 0 };

	code_at(s, linear_rip(s), code);
	if ((code[0] & 0xf0) == 0x40 && vcpu_get(s->machine, VCPU_CODE_BITS) == 64)
		code[0] = code[1]; /* REX: of IRETQ */
	return code[0] == 0xc3 || code[0] == 0xc2 || code[0] == 0xcb || code[0] == 0xca || code[0] == 0xcf ||
	       (code[0] == 0xf3 && code[1] == 0xc3);
}

/* Step over an instruction and the function that it calls. Forwards: by a breakpoint after it. Backwards over a RET: to
 * the last write of the return address. */
static struct vcpu_debug_stop one_over(struct session *s, bool back)
{
	uint64_t rip = linear_rip(s), sp = vcpu_get(s->machine, VCPU_RSP), physical;
	struct vcpu_debug_stop stop;
	char text[128];

	if (!back) {
		unsigned len = instruction_text(s, rip, text, sizeof text);

		if (len && (!strncmp(text, "call", 4) || !strncmp(text, "int ", 4)))
			return run_to(s, rip + len, sp - 1);
		return one(s, false);
	}
	stop = one(s, true);
	if (stop.what != VCPU_DEBUG_THERE || !is_return(s))
		return stop;
	if (!vcpu_debug_translate(s->debug, vcpu_get(s->machine, VCPU_RSP), &physical))
		return stop;
	stop = vcpu_debug_last_write(s->debug, physical, vcpu_get(s->machine, VCPU_CODE_BITS) / 8);
	if (stop.what == VCPU_DEBUG_WATCH)
		stop.what = VCPU_DEBUG_THERE;
	return stop;
}

static struct vcpu_debug_stop any_one(struct session *s, bool over, bool back)
{
	struct vcpu_debug_stop stop = over ? one_over(s, back) : one(s, back);

	/* The processor sleeps: run until an event wakes it. */
	while (!back && stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason == VCPU_STOP_IDLE && !enough(s))
		stop = vcpu_debug_step(s->debug);
	return stop;
}

static bool steps(struct session *s, const char *args, bool over, bool back)
{
	struct vcpu_debug_stop stop = { 0 };
	uint64_t n = number(args, 1);

	s->interrupted = false;
	while (n-- && !enough(s))
		if ((stop = any_one(s, over, back)).what != VCPU_DEBUG_THERE)
			break;
	s->stepping = stop.what == VCPU_DEBUG_THERE;
	return report(s, stop);
}

bool do_stepi(struct session *s, const char *args) { return steps(s, args, false, false); }
bool do_stepi_back(struct session *s, const char *args) { return steps(s, args, false, true); }
bool do_nexti(struct session *s, const char *args) { return steps(s, args, true, false); }
bool do_nexti_back(struct session *s, const char *args) { return steps(s, args, true, true); }

static bool same_line(const struct line *a, const struct line *b)
{
	return a->line == b->line && !strcmp(a->file, b->file);
}

/* Step until another line begins. UNTIL: until one that is after it in this function, so that a loop is executed to its
 * end. Functions without lines are executed as a whole. Backwards: to the beginning of a line. */
static bool line_steps(struct session *s, const char *args, bool over, bool back, bool until)
{
	uint64_t low = 0, high = 0, behind = 0;
	struct vcpu_debug_stop stop = { .what = VCPU_DEBUG_THERE, .place = vcpu_where(s->machine) };
	struct line from, now;

	if (!dwarf_line(s, linear_rip(s), &from))
		return steps(s, args, over, back);
	s->interrupted = false;
	if (until && dwarf_function(s, linear_rip(s), &low, &high))
		behind = dwarf_line_end(s, linear_rip(s));
	for (uint64_t n = number(args, 1); n-- && stop.what == VCPU_DEBUG_THERE && !enough(s);) {
		unsigned long limit = 1000000;
		bool moved = false;

		dwarf_line(s, linear_rip(s), &from);
		while (limit-- && !enough(s)) {
			stop = any_one(s, over, back);
			if (stop.what != VCPU_DEBUG_THERE)
				break;
			if (!dwarf_line(s, linear_rip(s), &now)) { /* a function without lines: leave it */
				struct frame f = frame_here(s);

				if (!back && frame_up(s, &f) && dwarf_line(s, f.pc, &now)) {
					stop = run_to(s, f.pc, f.sp - 1);
					if (stop.what != VCPU_DEBUG_THERE)
						break;
				}
				continue;
			}
			if (!moved && (same_line(&from, &now) || (linear_rip(s) >= low && linear_rip(s) < behind)))
				continue;
			if (!back && !dwarf_begins(s, linear_rip(s))) /* in the middle of a line, as after a call */
				continue;
			if (!back)
				break;
			/* In the middle of the line before: go to its beginning. */
			if (!moved)
				from = now;
			moved = true;
			if (!same_line(&from, &now)) {
				stop = one(s, false);
				break;
			}
		}
	}
	s->stepping = stop.what == VCPU_DEBUG_THERE;
	return report(s, stop);
}

bool do_step(struct session *s, const char *args) { return line_steps(s, args, false, false, false); }
bool do_step_back(struct session *s, const char *args) { return line_steps(s, args, false, true, false); }
bool do_next(struct session *s, const char *args) { return line_steps(s, args, true, false, false); }
bool do_next_back(struct session *s, const char *args) { return line_steps(s, args, true, true, false); }

/* Run to a place, or to the return address of the selected frame. UNTIL: do not stop at the place in functions that the
 * frame has called. */
static bool run_to_place(struct session *s, const char *args, bool until)
{
	struct frame f = frame_selected(s), up = f;
	bool called = frame_up(s, &up);
	int ids[2] = { -1, -1 };
	uint64_t at, low, high;

	if (!place(s, &args, true, &at))
		return false;
	if (*args)
		return complaint(s, "text after the place: %s", args);
	until = until && called && dwarf_function(s, f.pc - f.called, &low, &high) && at >= low && at < high;
	ids[0] = hidden_break(s, at, 0, until ? up.sp : 0);
	if (ids[0] >= 0 && called)
		ids[1] = hidden_break(s, up.pc, up.sp - 1, 0);
	return ids[0] >= 0 && report(s, run_to_either(s, ids));
}

bool do_advance(struct session *s, const char *args)
{
	return *args ? run_to_place(s, args, false) : complaint(s, "advance: a place is needed");
}

bool do_until(struct session *s, const char *args) { return *args ? run_to_place(s, args, true) : line_steps(s, args,
	true, false, true); }

bool do_finish(struct session *s, const char *args)
{
	struct frame f = frame_selected(s), up = f;
	const struct type *t = dwarf_returned(s, f.pc - f.called);
	struct vcpu_debug_stop stop;
	struct value v;
	bool ok;

	(void)args;
	if (!frame_up(s, &up))
		return complaint(s, "the caller of this frame is unknown");
	fprintf(s->out, "Run till exit from #%-3u", s->frame);
	if (f.called || !dwarf_begins(s, f.pc))
		fprintf(s->out, "0x%0*" PRIx64 " in ", address_digits(s), f.pc);
	json_open(s, "finished", '{');
	frame_print(s, &f, true);
	json_close(s);
	fputc('\n', s->out);
	stop = run_to(s, up.pc, up.sp - 1);
	ok = report(s, stop);
	if (stop.what != VCPU_DEBUG_THERE || !t || !returned_value(s, t, &v))
		return ok;
	fprintf(s->out, "Value returned is $%u = ", history_add(s, &v));
	value_print(s, &v, 0);
	json_open(s, "returned", '{');
	json_number(s, "history", s->nhistory);
	value_json_members(s, &v);
	json_close(s);
	value_drop(&v);
	return ok;
}

/* Go back to the last write of the return address, which is the call. */
bool do_finish_back(struct session *s, const char *args)
{
	unsigned bytes = (unsigned)vcpu_get(s->machine, VCPU_CODE_BITS) / 8;
	struct frame f = frame_selected(s);
	struct vcpu_debug_stop stop;
	uint64_t physical;

	(void)args;
	if (!frame_up(s, &f) || !vcpu_debug_translate(s->debug, f.sp - bytes, &physical))
		return complaint(s, "the caller of this frame is unknown");
	stop = vcpu_debug_last_write(s->debug, physical, bytes);
	if (stop.what == VCPU_DEBUG_WATCH)
		stop.what = VCPU_DEBUG_THERE;
	return report(s, stop);
}

/* ---- places ---- */

/* Go to virtual time NS, or to the end of the known run, by bisection: time grows with the number of instructions. */
static struct vcpu_debug_stop seek_time(struct session *s, uint64_t ns)
{
	struct vcpu_place low = vcpu_debug_start(s->debug), high = vcpu_debug_end(s->debug);
	struct vcpu_debug_stop stop = vcpu_debug_seek(s->debug, low);

	while (stop.what != VCPU_DEBUG_ERROR && high.instructions - low.instructions > 1 && !enough(s)) {
		uint64_t middle = low.instructions + (high.instructions - low.instructions) / 2;

		stop = vcpu_debug_seek(s->debug, (struct vcpu_place){ .instructions = middle });
		if (stop.place.ns <= ns)
			low = stop.place;
		else
			high = stop.place;
	}
	return high.ns <= ns ? vcpu_debug_seek(s->debug, high) : vcpu_debug_seek(s->debug, low);
}

bool do_goto(struct session *s, const char *args)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
	struct vcpu_place to = { 0 };
	char *end;

	s->interrupted = false;
	errno = 0;
	to.instructions = strtoull(args, &end, 0);
	if (*args == '-' || errno == ERANGE)
		return complaint(s, "goto: %s: no place is there", args);
	if (end == args) {
		const struct bookmark *mark = NULL;

		for (unsigned i = 0; i < s->nbookmarks; i++)
			if (!strcmp(s->bookmarks[i].name, args))
				mark = &s->bookmarks[i];
		if (strcmp(args, "start") && strcmp(args, "end") && !mark)
			return complaint(s, "goto: a place is needed: a number of instructions, N+STEPS, a time (15 ms), "
					 "a part of the run (50%%), start, end or a bookmark");
		to = mark ? mark->place : *args == 's' ? vcpu_debug_start(s->debug) : vcpu_debug_end(s->debug);
	} else if (*end == '+') {
		to.steps = (uint32_t)strtoul(end + 1, NULL, 0);
	} else if (*end) {
		double time = strtod(args, &end);

		while (*end == ' ')
			end++;
		if (!strcmp(end, "%") && time >= 0 && time <= 100) {
			const uint64_t first = vcpu_debug_start(s->debug).instructions,
				       last = vcpu_debug_end(s->debug).instructions;

			to.instructions = first + (uint64_t)((double)(last - first) * (time / 100));
			return report(s, vcpu_debug_seek(s->debug, to));
		}
		for (unsigned i = 0; i < sizeof units / sizeof *units; i++)
			if (!strcmp(end, units[i].name))
				return report(s, seek_time(s, (uint64_t)(time * units[i].ns)));
		return complaint(s, "goto: unknown place or unit: %s", end);
	}
	return report(s, vcpu_debug_seek(s->debug, to));
}

bool do_run(struct session *s, const char *args)
{
	uint64_t end = vcpu_instructions(s->machine) + number(args, 1000000);
	struct vcpu_debug_stop stop;

	s->interrupted = false;
	do
		stop = vcpu_debug_run(s->debug, end - vcpu_instructions(s->machine));
	while (stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason == VCPU_STOP_IDLE &&
	       vcpu_instructions(s->machine) < end && !enough(s));
	return report(s, stop);
}

bool do_when(struct session *s, const char *args)
{
	struct vcpu_place first = vcpu_debug_start(s->debug), last = vcpu_debug_end(s->debug);

	(void)args;
	print_where(s);
	json_open(s, "known", '{');
	SHOW_NUMBER(s, "from", "known from %" PRIu64, first.instructions);
	SHOW_NUMBER(s, "to", " to %" PRIu64 "\n", last.instructions);
	json_close(s);
	return true;
}

bool do_bookmark(struct session *s, const char *args)
{
	struct bookmark *more;

	if (!*args) {
		json_open(s, "bookmarks", '[');
		for (unsigned i = 0; i < s->nbookmarks; i++) {
			json_open(s, NULL, '{');
			SHOW_STRING(s, "name", "%-20s", s->bookmarks[i].name);
			SHOW_NUMBER(s, "instructions", " instruction %" PRIu64, s->bookmarks[i].place.instructions);
			SHOW_NUMBER(s, "steps", "+%" PRIu64 "\n", s->bookmarks[i].place.steps);
			json_close(s);
		}
		json_close(s);
		return true;
	}
	for (unsigned i = 0; i < s->nbookmarks; i++)
		if (!strcmp(s->bookmarks[i].name, args)) {
			s->bookmarks[i].place = vcpu_where(s->machine);
			return true;
		}
	more = realloc(s->bookmarks, (s->nbookmarks + 1) * sizeof *more);
	if (!more)
		return complaint(s, "out of memory");
	s->bookmarks = more;
	more[s->nbookmarks++] = (struct bookmark){ needed(strdup(args)), vcpu_where(s->machine) };
	return true;
}

bool do_undo(struct session *s, const char *args)
{
	(void)args;
	if (!s->ntrail)
		return complaint(s, "nothing to undo");
	return report(s, vcpu_debug_seek(s->debug, s->trail[--s->ntrail]));
}
