/* SPDX-License-Identifier: MIT */
/* Frames: selection, variables, backtrace. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { FRAMES_MAX = 64, FRAME_LAST = 9999 };

/* ---- variables ---- */

struct listing { struct session *s; bool arguments, brief; unsigned n; };

static void list_one(void *user, const char *name, bool argument, const struct value *v)
{
	struct listing *l = user;
	FILE *out = l->s->out;

	if (argument != l->arguments)
		return;
	fprintf(out, "%s%s%s", l->brief && l->n ? ", " : "", name, l->brief ? "=" : " = ");
	l->n++;
	if (!v)
		fputs("<optimized out>", out);
	else if (l->brief && (v->type->kind == TYPE_STRUCT || v->type->kind == TYPE_ARRAY))
		fputs("...", out);
	else
		value_print_plain(l->s, v);
	if (!l->brief)
		fputc('\n', out);
	value_json(l->s, name, v);
}

/* Print the arguments, or the other variables, of F. Returns their number. */
static unsigned list_variables(struct session *s, const struct frame *f, bool arguments, bool brief)
{
	struct listing l = { s, arguments, brief, 0 };

	json_open(s, arguments ? "args" : "locals", '[');
	dwarf_locals(s, f, list_one, &l);
	json_close(s);
	return l.n;
}

bool info_args(struct session *s, const char *args)
{
	struct frame f = frame_selected(s);

	(void)args;
	if (!list_variables(s, &f, true, false))
		fputs("No arguments.\n", s->out);
	return true;
}

bool info_locals(struct session *s, const char *args)
{
	struct frame f = frame_selected(s);

	(void)args;
	if (!list_variables(s, &f, false, false))
		fputs("No locals.\n", s->out);
	return true;
}

/* ---- a frame in a line ---- */

/* "fib (n=3) at guest.c:36"; a function without lines has the offset, the only hint at the place in it. */
void frame_print(struct session *s, const struct frame *f, bool file)
{
	const uint64_t pc = f->pc - f->called; /* a call can be the last instruction of its function */
	const struct symbol *y = symbol_at(s, pc);
	uint64_t low, high;
	const char *name = dwarf_function(s, pc, &low, &high);
	struct line line;
	bool known = dwarf_line(s, pc, &line);

	json_hex(s, "pc", f->pc);
	if (!name && y && (known || f->pc == y->address))
		fprintf(s->out, "%s (", y->name);
	else if (!name && y)
		fprintf(s->out, "%s+%" PRIu64 " (", y->name, f->pc - y->address);
	else
		fprintf(s->out, "%s (", name ? name : "??");
	json_cstring(s, "function", name ? name : y ? y->name : "");
	if (!name && y)
		json_number(s, "offset", (int64_t)(f->pc - y->address));
	list_variables(s, f, true, true);
	fputc(')', s->out);
	if (known && file) {
		fprintf(s->out, " at %s:%d", line.file, line.line);
		json_cstring(s, "file", line.file);
		json_number(s, "line", line.line);
	}
}

/* Print frame N; with SOURCE, its line of source, too. */
static void print_frame(struct session *s, unsigned n, const struct frame *f, bool source)
{
	struct line line;
	bool known = dwarf_line(s, f->pc - f->called, &line);

	json_number(s, "level", n);
	fprintf(s->out, "#%-3u", n);
	if (n || !dwarf_begins(s, f->pc))
		fprintf(s->out, "0x%0*" PRIx64 " in ", address_digits(s), f->pc);
	frame_print(s, f, true);
	if (f->how && !f->called) {
		fputs(" (interrupted)", s->out);
		json_bool(s, "interrupted", true);
	}
	fputc('\n', s->out);
	if (source && known)
		source_print_line(s, &line);
}

bool do_backtrace(struct session *s, const char *args)
{
	bool full = !strncmp(args, "full", 4), task = !strncmp(args, "task ", 5);
	uint64_t most = task ? FRAMES_MAX : number(args + (full ? 4 : 0), FRAMES_MAX), sp;
	struct frame f = frame_here(s);

	s->interrupted = false;
	if (task && !task_frame(s, number(args + 5, 0), &f))
		return false;
	json_open(s, "frames", '[');
	for (unsigned n = 0; n < most && !enough(s); n++) {
		sp = f.sp;
		if (n && (!frame_up(s, &f) || (f.sp == sp && n > 1)))
			break;
		json_open(s, NULL, '{');
		print_frame(s, n, &f, false);
		if (full && !list_variables(s, &f, false, false))
			fputs("No locals.\n", s->out);
		json_close(s);
	}
	json_close(s);
	return true;
}

/* ---- selecting ---- */

static bool select_frame(struct session *s, uint64_t want)
{
	struct frame f = frame_here(s);

	if (want > FRAME_LAST) /* a guest can make a stack without end */
		return complaint(s, "frame numbers end at %u", FRAME_LAST);
	for (uint64_t n = 0; n < want; n++)
		if (!frame_up(s, &f))
			return complaint(s, "no frame number %" PRIu64, want);
	s->frame = (unsigned)want;
	s->listed.file = NULL;
	json_open(s, "frame", '{');
	print_frame(s, s->frame, &f, true);
	json_close(s);
	return true;
}

bool do_frame(struct session *s, const char *args) { return select_frame(s, number(args, s->frame)); }

/* Select the frame N above or below, or the outermost or innermost one. */
bool do_up(struct session *s, const char *args)
{
	uint64_t n = number(args, 1), most = s->frame;
	struct frame f = frame_selected(s);

	while (most - s->frame < n && most < FRAME_LAST && frame_up(s, &f))
		most++;
	if (n && most == s->frame)
		return complaint(s, "this is the outermost frame");
	return select_frame(s, most);
}

bool do_down(struct session *s, const char *args)
{
	uint64_t n = number(args, 1);

	if (n && !s->frame)
		return complaint(s, "this is the innermost frame");
	return select_frame(s, n < s->frame ? s->frame - n : 0);
}

/* ---- info frame ---- */

static const char *register_text(int reg, unsigned bits)
{
	return vcpu_register_name(bits == 64 ? reg : reg + 0x100); /* the numbers of the 32-bit names: lib/register.c */
}

static void print_saved(struct session *s, const struct frame *f, const struct frame *up, unsigned bits)
{
	unsigned n = 0;

	json_open(s, "saved", '{');
	for (unsigned i = 0; i < 17; i++) {
		int reg = register_of_dwarf(s, i);

		if (reg < 0 || !up->saved[i] || up->saved[i] == f->saved[i])
			continue;
		fprintf(s->out, "%s%s at 0x%" PRIx64, n++ ? ", " : " Saved registers:\n  ", register_text(reg, bits),
			up->saved[i]);
		json_hex(s, register_text(reg, bits), up->saved[i]);
	}
	json_close(s);
	if (n)
		fputc('\n', s->out);
}

bool info_frame(struct session *s, const char *args)
{
	unsigned bits = address_digits(s) == 16 ? 64 : 32;
	struct frame f = frame_selected(s), up = f, above;
	const char *pc = bits == 64 ? "rip" : "eip", *file;
	bool called = frame_up(s, &up);
	uint64_t low, high;
	const char *name = dwarf_function(s, f.pc - f.called, &low, &high);
	const struct symbol *y = symbol_at(s, f.pc - f.called);
	struct unit unit;
	struct line line;

	(void)args;
	fprintf(s->out, "Stack level %u, frame at 0x%" PRIx64 ":\n %s = 0x%" PRIx64, s->frame, called ? up.sp : 0, pc,
		f.pc);
	json_open(s, "frame", '{');
	json_number(s, "level", s->frame);
	json_hex(s, pc, f.pc);
	if (name || y)
		fprintf(s->out, " in %s", name ? name : y->name);
	file = dwarf_line(s, f.pc - f.called, &line) ? line.file : NULL;
	if (file)
		fprintf(s->out, " (%s:%d)", file, line.line);
	if (called) {
		above = up;
		fprintf(s->out, "; saved %s = 0x%" PRIx64 "\n called by frame at 0x%" PRIx64 "\n", pc, up.pc,
			frame_up(s, &above) ? above.sp : 0);
		json_hex(s, "address", up.sp);
		json_hex(s, "caller", up.pc);
		json_cstring(s, "how", up.how);
	} else {
		fprintf(s->out, "; saved %s = <not saved>\n Outermost frame: nobody knows who called\n", pc);
	}
	if (dwarf_unit(s, f.pc - f.called, &unit))
		fprintf(s->out, " source language %s.\n", unit.language);
	if (called) {
		fprintf(s->out, " Previous frame's sp is 0x%" PRIx64 ", by %s\n", up.sp, up.how);
		print_saved(s, &f, &up, bits);
	}
	json_close(s);
	return true;
}
