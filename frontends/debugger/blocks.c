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
	uint64_t next;               /* address of the guest's instruction to print next */
	unsigned blocks;
};

/* Print the guest's instructions up to END, which is not included. */
static void print_guest(struct listing *l, const char *name, unsigned bits, uint64_t end)
{
	struct session *s = l->s;
	char text[256];

	json_open(s, name, '[');
	while (l->next < end && !enough(l->s)) {
		unsigned len = instruction_text_as(l->s, l->next, bits, text, sizeof text);

		if (!len)
			break;
		json_open(s, NULL, '{');
		fprintf(s->out, "   0x%0*" PRIx64, address_digits(s), l->next);
		json_hex(s, "address", l->next);
		SHOW_STRING(s, "text", " %s\n", text);
		json_close(s);
		l->next += len;
	}
	json_close(s);
}

/* Print one instruction of the host a line; without a disassembler for it, 16 bytes a line. */
static void print_host(struct session *s, const uint8_t *code, unsigned size)
{
	json_open(s, "host", '[');
	for (unsigned at = 0, len; at < size; at += len) {
		const char *text = "";
		char bytes[33];

		len = size - at < 16 ? size - at : 16;
#if HAVE_ZYDIS && defined __x86_64__
		ZydisDisassembledInstruction in;

		if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, (uintptr_t)(code + at), code + at,
						       size - at, &in))) {
			len = in.info.length;
			text = in.text;
		}
#endif
		for (unsigned i = 0; i < len; i++)
			snprintf(bytes + 2 * i, sizeof bytes - 2 * i, "%02x", code[at + i]);
		json_open(s, NULL, '{');
		SHOW_HEX(s, "address", "            %" PRIx64, (uintptr_t)(code + at));
		SHOW_STRING(s, "bytes", *text ? " %-20s " : " %s", bytes);
		SHOW_STRING(s, "text", "%s\n", text);
		json_close(s);
	}
	json_close(s);
}

static void print_operation(void *user, const struct vcpu_debug_operation *o)
{
	struct listing *l = user;
	struct session *s = l->s;

	if (o->index == 0) {
		l->blocks++;
		l->next = o->block;
		json_open(s, NULL, '{');
		fprintf(s->out, "block at 0x%0*" PRIx64, address_digits(s), o->block);
		json_hex(s, "address", o->block);
		show_symbol(s, o->block);
		SHOW_NUMBER(s, "bits", ": %" PRIu64 "-bit code", o->bits);
		SHOW_NUMBER(s, "bytes", ", %" PRIu64 " bytes", o->bytes);
		SHOW_NUMBER(s, "count", ", %" PRIu64 " operations", o->count);
		show_flag(s, "single", o->single, ", for a run that ends here", "");
		show_flag(s, "stitched", o->stitched, ", stitched\n", "\n");
		json_open(s, "operations", '[');
	}
	json_open(s, NULL, '{');
	if (o->size)
		print_guest(l, "guest", o->bits, o->address + o->size);
	SHOW_NUMBER(s, "index", "      %3" PRIu64 " ", o->index);
	SHOW_STRING(s, "name", "%s", *o->name ? o->name : "-");
	SHOW_STRING(s, "form", *o->form ? " %s" : "%s", o->form);
	if (o->code)
		SHOW_NUMBER(s, "code", ", %" PRIu64 " bytes of code", o->code_size);
	else if (o->stitched && o->size)
		fprintf(s->out, ", done by the one before it");
	fputc('\n', s->out);
	if (o->code && !s->no_files) /* a user of gdb's monitor does not see addresses of the host */
		print_host(s, o->code, o->code_size);
	if (o->index + 1 == o->count)
		print_guest(l, "behind", o->bits, o->block + o->bytes);
	json_close(s);
	if (o->index + 1 == o->count) {
		json_close(s);
		json_close(s);
	}
}

bool do_blocks(struct session *s, const char *args)
{
	struct listing l = { .s = s };
	uint64_t at = linear_rip(s);

	if (*args && !address(s, &args, &at))
		return false;
	json_open(s, "blocks", '[');
	vcpu_debug_blocks(s->debug, at, print_operation, &l);
	json_close(s);
	return l.blocks ||
	       complaint(s, "no decoded block contains the byte at %" PRIx64 ": it has not run since the last flush", at);
}
