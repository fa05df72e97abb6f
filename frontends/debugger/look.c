/* SPDX-License-Identifier: MIT */
/* print, ptype, disassemble, info, and other commands that only read. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

/* ---- expressions ---- */

bool do_print(struct session *s, const char *args)
{
	char format = 0;
	struct value v;

	if (*args == '/') {
		format = args[1];
		if (!format || !strchr("xduotcsa", format) || (args[2] && args[2] != ' '))
			return complaint(s, "print/F: F is x d u o t c s a");
		args += 2 + strspn(args + 2, " ");
	}
	if (!*args)
		args = "$";
	if (!evaluate(s, &args, &v))
		return false;
	if (*args)
		return complaint(s, "text after the expression: %s", args);
	if (!value_readable(s, &v))
		return false;
	fprintf(s->out, "$%u = ", history_add(s, &v));
	value_print(s, &v, format);
	json_number(s, "history", s->nhistory);
	value_json_members(s, &v);
	return true;
}

/* The type that ARGS names, or the type of the expression ARGS. NULL, having complained. */
static const struct type *type_meant(struct session *s, const char *args)
{
	const struct type *named = type_named(s, args);
	struct value v;

	if (named || !evaluate(s, &args, &v))
		return named;
	if (*args)
		complaint(s, "text after the expression: %s", args);
	return *args ? NULL : v.type;
}

static void json_type(struct session *s, const struct type *t)
{
	char text[512];

	json_cstring(s, "type", type_text(t, text, sizeof text));
	json_number(s, "size", (int64_t)t->size);
}

bool do_ptype(struct session *s, const char *args)
{
	bool offsets = !strncmp(args, "/o", 2);
	const struct type *t = type_meant(s, args + (offsets ? 2 + strspn(args + 2, " ") : 0));

	if (!t)
		return false;
	type_print(s, t, offsets);
	json_type(s, t);
	return true;
}

bool do_whatis(struct session *s, const char *args)
{
	const struct type *t = type_meant(s, args);
	char text[512];

	if (!t)
		return false;
	if (t->is_typedef && type_named(s, args)) /* a typedef: its target, as in gdb */
		t = t->of;
	fprintf(s->out, "type = %s\n", type_text(t, text, sizeof text));
	json_type(s, t);
	return true;
}

/* ---- instructions ---- */

bool do_disassemble(struct session *s, const char *args)
{
	uint64_t at = linear_rip(s), count = 10;
	const struct symbol *y, *next, *last = s->symbols + s->nsymbols;
	bool named = *args, counted;
	char text[160];

	if (named && !address(s, &args, &at))
		return false;
	counted = *args;
	if (counted && !address(s, &args, &count))
		return false;
	y = symbol_at(s, at);
	if (named && !counted && y && y->code && y->address == at) { /* the address of a function alone: all of it */
		uint64_t end, here = at;

		for (next = y + 1; next < last && (next->address == at || !next->code); next++)
			;
		end = y->size ? at + y->size : next < last ? next->address : at + 64;
		for (count = 0; here < end && count < 4096; count++) {
			unsigned len = instruction_text(s, here, text, sizeof text);

			here += len ? len : 1;
		}
	}
	disassemble(s, at, (unsigned)count);
	return true;
}

/* ---- info ---- */

static void print_part(void *user, const char *part, uint64_t hash)
{
	struct session *s = user;

	json_open(s, NULL, '{');
	SHOW_STRING(s, "part", "%-16s ", part);
	SHOW_HEX(s, "hash", "%016" PRIx64 "\n", hash);
	json_close(s);
}

struct wanted { struct session *s; const char *part; bool any; };

static void print_field(void *user, const char *part, const char *field, unsigned index, uint64_t value)
{
	struct wanted *w = user;

	if (strcmp(part, w->part))
		return;
	if (!w->any)
		json_open(w->s, "fields", '[');
	w->any = true;
	if (!value && index)
		return;
	json_open(w->s, NULL, '{');
	SHOW_STRING(w->s, "field", "%s", field);
	if (index)
		SHOW_NUMBER(w->s, "index", "[%" PRIu64 "]", index);
	SHOW_HEX(w->s, "value", " = %" PRIx64 "\n", value);
	json_close(w->s);
}

static bool info_state(struct session *s, const char *args)
{
	(void)args;
	json_open(s, "parts", '[');
	vcpu_state_parts(s->machine, print_part, s);
	json_close(s);
	return true;
}

static bool info_symbol(struct session *s, const char *args)
{
	char text[160];
	uint64_t at;

	if (!address(s, &args, &at))
		return false;
	symbol_text(s, at, text, sizeof text);
	fprintf(s->out, "0x%0*" PRIx64 "%s\n", address_digits(s), at, *text ? text : " has no name");
	json_open(s, "named", '{');
	json_hex(s, "address", at);
	json_line(s, at);
	json_close(s);
	return true;
}

static bool info_processors(struct session *s, const char *args)
{
	unsigned selected = s->machine ? vcpu_running(s->machine) : 0;

	(void)args;
	json_open(s, "processors", '[');
	for (unsigned i = 0; i < vcpu_processors(s->machine); i++) {
		vcpu_select(s->machine, i);
		json_open(s, NULL, '{');
		show_flag(s, "selected", i == selected, "* ", "  ");
		SHOW_NUMBER(s, "processor", "%" PRIu64, i);
		fprintf(s->out, "  0x%0*" PRIx64, address_digits(s), linear_rip(s));
		json_hex(s, "pc", linear_rip(s));
		show_symbol(s, linear_rip(s));
		fputc('\n', s->out);
		json_close(s);
	}
	json_close(s);
	vcpu_select(s->machine, selected);
	return true;
}

static const struct { const char *name; command_fn *run; const char *text; } infos[] = {
	{ "registers", info_registers, "[NAME... | -a]: registers of the selected processor; -a: of all processors" },
	{ "vectors", info_vectors, "XMM0 to XMM15, ST0 to ST7" },
	{ "breakpoints", info_breakpoints, "breakpoints, watchpoints and catches" },
	{ "frame", info_frame, "the selected frame: its place, its caller, the registers that it saved" },
	{ "stack", do_backtrace, "the same as backtrace" },
	{ "args", info_args, "arguments of the selected frame" },
	{ "watchpoints", info_watchpoints, "watchpoints only" },
	{ "display", info_display, "the expressions that are printed at every stop" },
	{ "types", info_types, "[REGEX]: types, by file" },
	{ "functions", info_functions, "[REGEX]: functions, by file, and symbols of code without debugging information" },
	{ "variables", info_variables, "[REGEX]: variables, by file, and symbols of data without debugging information" },
	{ "locals", info_locals, "variables of the selected frame" },
	{ "line", info_line, "[PLACE]: the source line, and the addresses of its code" },
	{ "source", info_source, "the source file of the selected frame" },
	{ "symbol", info_symbol, "ADDRESS: the symbol at an address" },
	{ "processors", info_processors, "the place of each processor" },
	{ "cpus", info_processors, "the same as processors" },
	{ "gdt", info_gdt, "the global descriptor table" },
	{ "ldt", info_ldt, "the local descriptor table" },
	{ "idt", info_idt, "[VECTOR]: interrupt descriptors" },
	{ "tss", info_tss, "the task state segment" },
	{ "maps", info_maps, "[FROM [TO]]: the mapped ranges, with their rights" },
	{ "mem", info_maps, "the same as maps" },
	{ "tab", info_tab, "[FROM [TO]]: the mapped ranges, with physical addresses and rights" },
	{ "pg", info_pages, "[FROM [TO]]: the page tables, entry by entry" },
	{ "vmcs", info_vmcs, "[NAME]: fields of the current VMCS; NAME: only fields whose names contain it" },
	{ "vmcb", info_vmcb, "[NAME]: fields of the VMCB of the last VMRUN" },
	{ "tlb", info_tlb, "[FROM [TO]]: cached translations, and those that differ from the page tables" },
	{ "clock", info_clock, "pending events of the devices, with their virtual times" },
	{ "pending", info_pending, "pending interrupts, and the reason why each is not delivered" },
	{ "state", info_state, "the parts of the machine, each with its hash" },
};
enum { INFOS = sizeof infos / sizeof *infos };

const char *info_name(unsigned i) { return i < INFOS ? infos[i].name : NULL; }

bool do_info(struct session *s, const char *args)
{
	struct wanted wanted = { s, args, false };
	size_t n = strcspn(args, " ");
	const char *rest = args + n + strspn(args + n, " ");

	if (!*args) {
		json_open(s, "info", '[');
		for (unsigned i = 0; i < INFOS; i++) {
			json_open(s, NULL, '{');
			SHOW_STRING(s, "name", "info %-12s ", infos[i].name);
			SHOW_STRING(s, "text", "%s\n", infos[i].text);
			json_close(s);
		}
		json_close(s);
		fprintf(s->out,
			"info PART         what it remembers, field by field; info state lists them: pic, pit ...\n");
		return true;
	}
	for (unsigned i = 0; i < INFOS; i++)
		if (strlen(infos[i].name) == n && !memcmp(infos[i].name, args, n))
			return infos[i].run(s, rest);
	device_words(s, args);
	vcpu_debug_fields(s->debug, print_field, &wanted);
	if (wanted.any)
		json_close(s);
	/* no part has this name: it is a prefix of a name in the table */
	for (unsigned i = 0; !wanted.any && i < INFOS; i++)
		if (!strncmp(infos[i].name, args, n))
			return infos[i].run(s, rest);
	return wanted.any || complaint(s, "unknown name: info %s (info lists the names)", args);
}

bool do_processor(struct session *s, const char *args)
{
	if (*args && vcpu_select(s->machine, (unsigned)number(args, 0)))
		return complaint(s, "%s", error_of(s));
	disassemble_next(s);
	return true;
}

bool do_hash(struct session *s, const char *args)
{
	(void)args;
	SHOW_HEX(s, "hash", "%016" PRIx64 "\n", vcpu_state_hash(s->machine));
	return true;
}

/* Insert the next medium into its drive. */
bool do_medium(struct session *s, const char *args)
{
	(void)args;
	return vcpu_next_medium(s->machine) >= 0 || complaint(s, "%s", error_of(s));
}

bool do_type(struct session *s, const char *args)
{
	char text[1024];
	size_t n = 0;

	for (; *args && n < sizeof text; args++)
		text[n++] = (char)(*args == '\\' && args[1] == 'n' ? (args++, '\r') : *args);
	return !vcpu_input(s->machine, VCPU_COM1, text, n) || complaint(s, "%s", error_of(s));
}
