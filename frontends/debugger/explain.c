/* The processor's view in words: where a linear address leads and why, and instructions. */
#include <inttypes.h>
#include <string.h>
#if HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

#include "debugger.h"

enum { CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_LA57 = 0x1000, EFER_LMA = 0x400 };

static void entry_bits(struct session *s, uint64_t e, bool leaf, bool wide)
{
	fprintf(s->out, "%s, %s, %s%s%s%s%s\n", e & 1 ? "present" : "NOT PRESENT", e & 2 ? "writable" : "read-only", e & 4 ? "user" : "supervisor",
		e & 0x20 ? ", accessed" : "", leaf && e & 0x40 ? ", dirty" : "", leaf && e & 0x100 ? ", global" : "", wide && e >> 63 ? ", no execution" : "");
}

void explain_page(struct session *s, uint64_t linear)
{
	static const char *const names[] = { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };
	vcpu *v = s->machine;
	uint64_t cr0 = vcpu_get(v, VCPU_CR0), cr4 = vcpu_get(v, VCPU_CR4), table = vcpu_get(v, VCPU_CR3);
	bool wide = cr4 & CR4_PAE, lma = vcpu_get(v, VCPU_EFER) & EFER_LMA;
	unsigned bits = wide ? 9 : 10, size = wide ? 8 : 4;
	int level = lma ? cr4 & CR4_LA57 ? 4 : 3 : wide ? 2 : 1;

	if (!(cr0 >> 31)) {
		fprintf(s->out, "paging is off: physical %" PRIx64 "\n", linear);
		return;
	}
	table &= wide ? lma ? 0xffffffffff000 : 0xffffffe0 : 0xfffff000;
	for (; level >= 0; level--) {
		unsigned shift = 12 + bits * (unsigned)level, index = (unsigned)(linear >> shift) & ((1u << bits) - 1);
		uint64_t at, e = 0;
		bool leaf;

		if (wide && !lma && level == 2)
			index &= 3;
		at = table + (uint64_t)index * size;
		if (vcpu_read_physical(v, at, &e, size) != size) {
			fprintf(s->out, "  %-5s %03x at %09" PRIx64 ": there is no memory\n", names[level], index, at);
			return;
		}
		leaf = level == 0 || (e & 0x80 && level < 3 && (wide || cr4 & CR4_PSE) && !(wide && !lma && level == 2));
		fprintf(s->out, "  %-5s %03x at %09" PRIx64 " = %016" PRIx64 "  ", names[level], index, at, e);
		entry_bits(s, e, leaf, wide);
		if (!(e & 1)) {
			fprintf(s->out, "not mapped: an access is #PF (SDM vol. 3, 4.7)\n");
			return;
		}
		if (leaf) {
			uint64_t mask = ((uint64_t)1 << shift) - 1;

			fprintf(s->out, "physical %" PRIx64 ", in a page of %" PRIu64 " KiB\n", (e & 0xffffffffff000 & ~mask) | (linear & mask), (mask + 1) >> 10);
			return;
		}
		table = e & (wide ? 0xffffffffff000 : 0xfffff000);
	}
}

void disassemble(struct session *s, uint64_t address, unsigned count)
{
	uint64_t rip = vcpu_get(s->machine, VCPU_RIP);

	for (unsigned i = 0; i < count; i++) {
		const struct symbol *y = symbol_at(s, address);
		unsigned char code[15] = { 0 };
		size_t len = vcpu_read_linear(s->machine, address, code, sizeof code), used = 1;
		char text[160] = "";

		if (!len) {
			fprintf(s->out, "%" PRIx64 ": not mapped\n", address);
			return;
		}
#if HAVE_ZYDIS
		/* Good enough for code of the present mode; compatibility mode shows as 64 bits. */
		bool wide = vcpu_get(s->machine, VCPU_EFER) & EFER_LMA, protected = vcpu_get(s->machine, VCPU_CR0) & 1;
		ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
		ZydisDecodedInstruction in;
		ZydisFormatter formatter;
		ZydisDecoder decoder;

		ZydisDecoderInit(&decoder, wide ? ZYDIS_MACHINE_MODE_LONG_64 : protected ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_REAL_16,
			wide ? ZYDIS_STACK_WIDTH_64 : protected ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
		ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) {
			ZydisFormatterFormatInstruction(&formatter, &in, operands, in.operand_count_visible, text, sizeof text, address, NULL);
			used = in.length;
		}
#endif
		fprintf(s->out, "%s %016" PRIx64 " ", address == rip ? "=>" : "  ", address);
		if (y)
			fprintf(s->out, "<%s+%" PRIu64 "> ", y->name, address - y->address);
		if (!*text)
			snprintf(text, sizeof text, "db %02x", code[0]);
		fprintf(s->out, "%s\n", text);
		address += used;
	}
}
