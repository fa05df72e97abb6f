/* SPDX-License-Identifier: MIT */
/* The processor's registers, as gdb, QEMU's monitor and Bochs's debugger show them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "debugger.h"

struct bit { unsigned n; const char *name; };

static void print_bits(struct session *s, const char *name, uint64_t value, const struct bit *bits)
{
	json_open(s, name, '[');
	for (; bits->name; bits++)
		if (value >> bits->n & 1)
			SHOW_STRING(s, NULL, " %s", bits->name);
	json_close(s);
}

static const struct bit flags[] = {
	{ 0, "CF" }, { 2, "PF" }, { 4, "AF" }, { 6, "ZF" }, { 7, "SF" }, { 8, "TF" }, { 9, "IF" }, { 10, "DF" },
	{ 11, "OF" }, { 14, "NT" }, { 16, "RF" },
	{ 17, "VM" }, { 18, "AC" }, { 19, "VIF" }, { 20, "VIP" }, { 21, "ID" }, { 0, NULL },
};

static void print_registers(struct session *s)
{
	uint64_t rflags = vcpu_get(s->machine, VCPU_RFLAGS), value;

	json_open(s, "registers", '{');
	for (int i = 0; i < VCPU_REGISTERS; i++) {
		fprintf(s->out, "%-8s ", vcpu_register_name(i));
		SHOW_HEX(s, vcpu_register_name(i), "%016" PRIx64, vcpu_get(s->machine, i));
		fputs(i % 3 == 2 ? "\n" : "  ", s->out);
	}
	fputs(VCPU_REGISTERS % 3 ? "\n" : "", s->out);
	for (int i = VCPU_R16; i <= VCPU_R31 && !vcpu_get_register(s->machine, i, &value); i++) {
		fprintf(s->out, "%-8s ", vcpu_register_name(i));
		SHOW_HEX(s, vcpu_register_name(i), "%016" PRIx64, value);
		fputs((i - VCPU_R16) % 3 == 2 || i == VCPU_R31 ? "\n" : "  ", s->out);
	}
	json_close(s);
	fputs("flags   ", s->out);
	print_bits(s, "flags", rflags, flags);
	SHOW_NUMBER(s, "iopl", " IOPL=%" PRIu64 "\n", rflags >> 12 & 3);
}

/* Print a register of the selected frame as gdb does: in hexadecimal, and as print does. */
static bool print_register(struct session *s, const char *name, size_t n)
{
	const char *start, *text;
	char *expression;
	struct value v;
	uint64_t bits;
	bool ok = asprintf(&expression, "$%.*s", (int)n, name) >= 0;

	start = text = ok ? expression : "";
	ok = ok && evaluate(s, &text, &v) && !*text && value_number(s, &v, &bits);
	if (ok) {
		fprintf(s->out, "%-14s 0x%-16" PRIx64 " ", start + 1, bits);
		if (v.type->kind == TYPE_POINTER)
			value_print_plain(s, &v);
		else
			value_print_as(s, &v, 'd');
		fputc('\n', s->out);
		json_hex(s, start + 1, bits);
	}
	free(expression);
	return ok;
}

static bool print_named(struct session *s, const char *args)
{
	bool ok = true;

	json_open(s, "registers", '{');
	while (ok && *args) {
		size_t n;

		args += *args == '$';
		n = strcspn(args, " ");
		ok = print_register(s, args, n);
		args += n + strspn(args + n, " ");
	}
	json_close(s);
	return ok;
}

bool info_registers(struct session *s, const char *args)
{
	unsigned selected = vcpu_selected(s->machine);

	if (strcmp(args, "-a")) {
		if (*args)
			return print_named(s, args);
		print_registers(s);
		return true;
	}
	json_open(s, "processors", '[');
	for (unsigned i = 0; i < vcpu_processors(s->machine); i++) {
		vcpu_select(s->machine, i);
		fprintf(s->out, "processor %u\n", i);
		json_open(s, NULL, '{');
		print_registers(s);
		json_close(s);
	}
	json_close(s);
	vcpu_select(s->machine, selected);
	return true;
}

bool info_vectors(struct session *s, const char *args)
{
	uint64_t half[2];
	char name[8], text[40];

	(void)args;
	json_open(s, "vectors", '{');
	for (unsigned i = 0; i < 16 && !vcpu_get_vector(s->machine, i, half); i++) {
		snprintf(name, sizeof name, "xmm%u", i);
		snprintf(text, sizeof text, "0x%016" PRIx64 "%016" PRIx64, half[1], half[0]);
		fprintf(s->out, "%-5s %s\n", name, text + 2);
		json_cstring(s, name, text);
	}
	for (unsigned i = 0; i < 8; i++) {
		unsigned char st[10];

		if (vcpu_get_st(s->machine, i, st))
			break;
		snprintf(name, sizeof name, "st%u", i);
		for (unsigned k = 10, at = (unsigned)sprintf(text, "0x"); k-- > 0; at += 2)
			snprintf(text + at, sizeof text - at, "%02x", st[k]);
		fprintf(s->out, "%-5s %s\n", name, text + 2);
		json_cstring(s, name, text);
	}
	json_close(s);
	return true;
}

/* ---- Bochs's creg and sreg ---- */

bool do_creg(struct session *s, const char *args)
{
	static const struct bit cr0[] = { { 31, "PG" }, { 30, "CD" }, { 29, "NW" }, { 18, "AM" }, { 16, "WP" },
		{ 5, "NE" },
		{ 4, "ET" }, { 3, "TS" }, { 2, "EM" },
		{ 1, "MP" }, { 0, "PE" }, { 0, NULL } };
	static const struct bit cr4[] = { { 32, "FRED" }, { 23, "CET" }, { 22, "PKE" }, { 21, "SMAP" }, { 20, "SMEP" },
		{ 18, "OSXSAVE" },
		{ 17, "PCIDE" }, { 16, "FSGSBASE" },
		{ 14, "SMXE" }, { 13, "VMXE" }, { 12, "LA57" }, { 11, "UMIP" }, { 10, "OSXMMEXCPT" }, { 9, "OSFXSR" },
			{ 8, "PCE" },
			{ 7, "PGE" }, { 6, "MCE" },
		{ 5, "PAE" }, { 4, "PSE" }, { 3, "DE" }, { 2, "TSD" }, { 1, "PVI" }, { 0, "VME" }, { 0, NULL } };
	static const struct bit efer[] = { { 14, "FFXSR" }, { 11, "NXE" }, { 10, "LMA" }, { 8, "LME" }, { 0, "SCE" },
		{ 0, NULL } };
	static const struct { int reg; const struct bit *bits; } registers[] = { { VCPU_CR0, cr0 }, { VCPU_CR2, NULL },
		{ VCPU_CR3, NULL }, { VCPU_CR4, cr4 },
		{ VCPU_CR8, NULL }, { VCPU_EFER, efer } };

	(void)args;
	json_open(s, "registers", '{');
	for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
		const char *name = vcpu_register_name(registers[i].reg);
		uint64_t value = vcpu_get(s->machine, registers[i].reg);

		fprintf(s->out, "%-4s ", name);
		json_open(s, name, '{');
		SHOW_HEX(s, "value", "%016" PRIx64, value);
		if (registers[i].bits)
			print_bits(s, "bits", value, registers[i].bits);
		fputc('\n', s->out);
		json_close(s);
	}
	json_close(s);
	return true;
}

static void print_base(struct session *s, uint64_t base, uint64_t limit)
{
	SHOW_HEX(s, "base", " base %016" PRIx64, base);
	SHOW_HEX(s, "limit", " limit %08" PRIx64, limit);
}

/* The hidden part of a segment register: its attributes are bits 8 to 23 of the descriptor's second word. */
static void print_segment_register(struct session *s, const char *name, uint64_t selector)
{
	static const char *const parts[] = { "base", "limit", "attr" };
	uint64_t value[3] = { 0 };
	char part[16], field[32];
	unsigned attr;

	snprintf(part, sizeof part, "cpu%u", vcpu_selected(s->machine));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(field, sizeof field, "seg[%s].%s", name, parts[i]);
		field_value(s, part, field, 0, &value[i]);
	}
	attr = (unsigned)value[2];
	json_open(s, name, '{');
	fprintf(s->out, "%-4s ", name);
	SHOW_HEX(s, "selector", "%04" PRIx64, selector);
	print_base(s, value[0], value[1]);
	if (attr & 0x10000) {
		SHOW_STRING(s, "kind", " %s", "unusable");
	} else if (!(attr & 0x10)) {
		SHOW_STRING(s, "kind", " %s", (attr & 15) == 2 ? "LDT" : "TSS");
	} else {
		if (attr & 8)
			SHOW_NUMBER(s, "bits", " %" PRIu64 "-bit", attr & 0x2000 ? 64 : attr & 0x4000 ? 32 : 16);
		SHOW_STRING(s, "kind", " %s", attr & 8 ? "code" : attr & 2 ? "writable data" : "read-only data");
		SHOW_NUMBER(s, "dpl", ", DPL %" PRIu64, attr >> 5 & 3);
	}
	fputc('\n', s->out);
	json_close(s);
}

bool do_sreg(struct session *s, const char *args)
{
	static const struct { const char *name; int reg; } segments[] = { { "ES", VCPU_ES }, { "CS", VCPU_CS },
		{ "SS", VCPU_SS }, { "DS", VCPU_DS }, { "FS", VCPU_FS },
		{ "GS", VCPU_GS }, { "LDTR", VCPU_LDTR }, { "TR", VCPU_TR } };
	static const struct { const char *name; int base, limit; } tables[] = {
		{ "GDTR", VCPU_GDTR_BASE, VCPU_GDTR_LIMIT }, { "IDTR", VCPU_IDTR_BASE, VCPU_IDTR_LIMIT } };

	(void)args;
	json_open(s, "segments", '{');
	for (size_t i = 0; i < sizeof segments / sizeof *segments; i++)
		print_segment_register(s, segments[i].name, vcpu_get(s->machine, segments[i].reg));
	json_close(s);
	json_open(s, "tables", '{');
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		fprintf(s->out, "%-9s", tables[i].name);
		json_open(s, tables[i].name, '{');
		print_base(s, vcpu_get(s->machine, tables[i].base), vcpu_get(s->machine, tables[i].limit));
		fputc('\n', s->out);
		json_close(s);
	}
	json_close(s);
	return true;
}
