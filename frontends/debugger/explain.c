/* SPDX-License-Identifier: MIT */
/* Page walks in words, and disassembly. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#if HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

#include "debugger.h"

enum { CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_LA57 = 0x1000, EFER_LMA = 0x400 };

/* ---- paging ---- */

unsigned walk_to(struct session *s, uint64_t linear, struct walk_entry out[5])
{
	static const char *const names[] = { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };
	vcpu *v = s->machine;
	uint64_t cr4 = vcpu_get(v, VCPU_CR4), table = vcpu_get(v, VCPU_CR3);
	bool wide = cr4 & CR4_PAE, lma = vcpu_get(v, VCPU_EFER) & EFER_LMA;
	unsigned bits = wide ? 9 : 10, size = wide ? 8 : 4, n = 0;
	int level = lma ? cr4 & CR4_LA57 ? 4 : 3 : wide ? 2 : 1;

	if (!(vcpu_get(v, VCPU_CR0) >> 31))
		return 0;
	table &= wide ? lma ? 0xffffffffff000 : 0xffffffe0 : 0xfffff000;
	for (; level >= 0; level--) {
		struct walk_entry *e = &out[n++];
		uint64_t at;
		unsigned index = (unsigned)(linear >> (12 + bits * (unsigned)level)) & ((1u << bits) - 1);

		if (wide && !lma && level == 2)
			index &= 3;
		*e = (struct walk_entry){ names[level], index, (unsigned)level, table + (uint64_t)index * size, 0,
			false, false };
		/* of a guest in VMX non-root operation, AT is guest-physical */
		e->missing = !vcpu_debug_second_level(s->debug, e->at, &at) ||
			     vcpu_read_physical(v, at, &e->value, size) != size;
		e->leaf = level == 0 ||
			  (e->value & 0x80 && level < 3 && (wide || cr4 & CR4_PSE) && !(wide && !lma && level == 2));
		if (e->missing || !(e->value & 1) || e->leaf)
			break;
		table = e->value & (wide ? 0xffffffffff000 : 0xfffff000);
	}
	return n;
}

static void print_entry(struct session *s, const struct walk_entry *e, bool wide)
{
	uint64_t v = e->value;

	SHOW_STRING(s, "name", "  %-5s", e->name);
	SHOW_NUMBER(s, "index", " %03" PRIx64, e->index);
	SHOW_HEX(s, "at", " at %09" PRIx64, e->at);
	show_flag(s, "missing", e->missing, ": there is no memory\n", "");
	if (e->missing)
		return;
	SHOW_HEX(s, "value", " = %016" PRIx64 "  ", v);
	show_flag(s, "present", v & 1, "present", "NOT PRESENT");
	show_flag(s, "write", v & 2, ", writable", ", read-only");
	show_flag(s, "user", v & 4, ", user", ", supervisor");
	show_flag(s, "accessed", v & 0x20, ", accessed", "");
	show_flag(s, "dirty", e->leaf && v & 0x40, ", dirty", "");
	show_flag(s, "global", e->leaf && v & 0x100, ", global", "");
	show_flag(s, "execute", !(wide && v >> 63), "\n", ", no execution\n");
}

/* The second level, if there is one: from guest-physical GUEST. */
static void explain_second_level(struct session *s, uint64_t guest)
{
	uint64_t physical;

	if (vcpu_debug_second_level(s->debug, guest, &physical)) {
		if (physical != guest)
			SHOW_HEX(s, "second_level",
				 "guest-physical by these tables; the second level leads to physical %" PRIx64 "\n",
				 physical);
	} else {
		explain_second_walk(s, guest, 1);
	}
}

void explain_page(struct session *s, uint64_t linear)
{
	bool wide = vcpu_get(s->machine, VCPU_CR4) & CR4_PAE;
	struct walk_entry walk[5], *e = NULL;
	unsigned n = walk_to(s, linear, walk);

	json_open(s, "page", '{');
	if (!n)
		SHOW_HEX(s, "physical", "paging is off: physical %" PRIx64 "\n", linear);
	json_open(s, "walk", '[');
	for (unsigned i = 0; i < n; i++) {
		e = &walk[i];
		json_open(s, NULL, '{');
		print_entry(s, e, wide);
		json_close(s);
	}
	json_close(s);
	if (e && !e->missing && !(e->value & 1)) {
		fprintf(s->out, "not mapped: an access is #PF (SDM vol. 3, 4.7)\n");
	} else if (e && !e->missing) {
		uint64_t mask = ((uint64_t)1 << (12 + (wide ? 9 : 10) * e->level)) - 1;

		SHOW_HEX(s, "physical", "physical %" PRIx64, (e->value & 0xffffffffff000 & ~mask) | (linear & mask));
		SHOW_NUMBER(s, "kib", ", in a page of %" PRIu64 " KiB\n", (mask + 1) >> 10);
		explain_second_level(s, (e->value & 0xffffffffff000 & ~mask) | (linear & mask));
	}
	json_close(s);
}

bool do_page(struct session *s, const char *args)
{
	uint64_t at;

	if (!address(s, &args, &at))
		return false;
	explain_page(s, at);
	return true;
}

/* ---- instructions ---- */

unsigned instruction_text(struct session *s, uint64_t address, char *text, size_t size)
{
	return instruction_text_as(s, address, vcpu_get(s->machine, VCPU_CODE_BITS), text, size);
}

unsigned instruction_text_as(struct session *s, uint64_t address, uint64_t bits, char *text, size_t size)
{
	unsigned char code[15] = { 0 };
	size_t len = vcpu_read_linear(s->machine, address, code, sizeof code);

	if (!len)
		return 0;
#if HAVE_ZYDIS
	uint64_t base = bits == 64 ? 0 : vcpu_get(s->machine, VCPU_CS_BASE);
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	ZydisFormatter formatter;
	ZydisDecoder decoder;
	/* targets of jumps are offsets in CS, as in the guest's code */
	uint64_t offset = base ? (uint32_t)(address - base) : address;

	ZydisDecoderInit(&decoder, bits == 64 ? ZYDIS_MACHINE_MODE_LONG_64 : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32 :
		vcpu_get(s->machine, VCPU_CR0) & 1 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_REAL_16,
		bits == 64 ? ZYDIS_STACK_WIDTH_64 : bits == 32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) {
		ZydisFormatterFormatInstruction(&formatter, &in, operands, in.operand_count_visible, text, size, offset,
			NULL);
		for (unsigned i = 0; i < in.operand_count_visible; i++) {
			char name[128];
			uint64_t to;

			if ((operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operands[i].imm.is_relative) ||
			    (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
			    operands[i].mem.base == ZYDIS_REGISTER_RIP))
				if (ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&in, &operands[i], offset, &to)))
					snprintf(text + strlen(text), size - strlen(text), "%s",
						 symbol_text(s, to + base, name, sizeof name));
		}
		return in.length;
	}
#endif
	(void)bits;
	snprintf(text, size, "db %02x", code[0]);
	return 1;
}

/* Print an instruction. Returns its length; 0: ADDRESS is not mapped, and that was printed. */
static unsigned print_instruction(struct session *s, uint64_t address, char *text, size_t size)
{
	unsigned len = instruction_text(s, address, text, size);
	char name[128];

	if (len)
		fprintf(s->out, "%s 0x%0*" PRIx64 "%s %s\n", address == linear_rip(s) ? "=>" : "  ", address_digits(s),
			address,
			symbol_text(s, address, name, sizeof name), text);
	else
		fprintf(s->out, "0x%0*" PRIx64 ": not mapped\n", address_digits(s), address);
	return len;
}

void disassemble_next(struct session *s)
{
	char text[256];

	if (!print_instruction(s, linear_rip(s), text, sizeof text))
		return;
	json_open(s, "next", '{');
	json_hex(s, "address", linear_rip(s));
	json_cstring(s, "text", text);
	json_close(s);
}

uint64_t disassemble(struct session *s, uint64_t address, unsigned count)
{
	struct line line, before = { .name = "" };

	json_open(s, "instructions", '[');
	for (unsigned i = 0; i < count && !enough(s); i++) {
		char text[256];
		unsigned len;

		if (count > 1 && dwarf_line(s, address, &line) &&
		    (line.line != before.line || strcmp(line.name, before.name))) {
			fprintf(s->out, "%s:%d\n", line.name, line.line);
			before = line;
		}
		len = print_instruction(s, address, text, sizeof text);
		if (!len)
			break;
		json_open(s, NULL, '{');
		json_hex(s, "address", address);
		json_cstring(s, "text", text);
		json_line(s, address);
		json_close(s);
		address += len;
	}
	json_close(s);
	return address;
}
