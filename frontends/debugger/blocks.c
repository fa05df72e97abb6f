/* SPDX-License-Identifier: MIT */
/* The decode cache: the blocks at an address, as the guest's instructions, their operations, and the host's machine
 * code. */
#include <inttypes.h>
#include <stdio.h>
#if HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif

#include "debugger.h"

struct listing {
	struct session *s;
	uint64_t next;               /* the guest's instruction that is to be shown next */
	unsigned blocks;
};

/* The guest's instructions up to the one at END. */
static void print_guest(struct listing *l, unsigned bits, uint64_t end)
{
	char text[256];

	while (l->next < end && !enough(l->s)) {
		unsigned len = instruction_text_as(l->s, l->next, bits, text, sizeof text);

		if (!len)
			break;
		fprintf(l->s->out, "   0x%0*" PRIx64 " %s\n", address_digits(l->s), l->next, text);
		l->next += len;
	}
}

/* One instruction a line, or, where nobody knows them, 16 bytes. */
static void print_host(struct session *s, const uint8_t *code, unsigned size)
{
	for (unsigned at = 0, len; at < size; at += len) {
		const char *text = "";

		len = size - at < 16 ? size - at : 16;
#if HAVE_ZYDIS
		ZydisDisassembledInstruction in;

		if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, (uintptr_t)(code + at), code + at,
						       size - at, &in))) {
			len = in.info.length;
			text = in.text;
		}
#endif
		fprintf(s->out, "            %" PRIxPTR " ", (uintptr_t)(code + at));
		for (unsigned i = 0; i < len; i++)
			fprintf(s->out, "%02x", code[at + i]);
		fprintf(s->out, "%*s%s\n", *text && len < 10 ? 2 * (10 - (int)len) + 1 : *text ? 1 : 0, "", text);
	}
}

static void print_operation(void *user, const struct vcpu_debug_operation *o)
{
	struct listing *l = user;
	struct session *s = l->s;
	char text[128];

	if (o->index == 0) {
		l->blocks++;
		l->next = o->block;
		fprintf(s->out, "block at 0x%0*" PRIx64 "%s: %u-bit code, %u bytes, %u operations%s%s\n",
			address_digits(s), o->block,
			symbol_text(s, o->block, text, sizeof text), o->bits, o->bytes, o->count, o->single
			? ", for a run that ends here" : "",
			o->stitched ? ", stitched" : "");
	}
	if (o->size)
		print_guest(l, o->bits, o->address + o->size);
	fprintf(s->out, "      %3u %s%s%s", o->index, *o->name ? o->name : "-", *o->form ? " " : "", o->form);
	if (o->code)
		fprintf(s->out, ", %u bytes of code", o->code_size);
	else if (o->stitched && o->size)
		fprintf(s->out, ", done by the one before it");
	fputc('\n', s->out);
	if (o->code && !s->no_files) /* those who come through gdb need not know where the host has what */
		print_host(s, o->code, o->code_size);
	if (o->index + 1 == o->count)
		print_guest(l, o->bits, o->block + o->bytes);
}

bool do_blocks(struct session *s, const char *args)
{
	struct listing l = { .s = s };
	uint64_t at = linear_rip(s);

	if (*args && !address(s, &args, &at))
		return false;
	vcpu_debug_blocks(s->debug, at, print_operation, &l);
	return l.blocks ||
	       complaint(s, "no block has the byte at %" PRIx64 ": it has not run since the last flush", at);
}
