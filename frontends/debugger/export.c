/* SPDX-License-Identifier: MIT */
/* What other programs show of a run: coverage for Lighthouse (DRcov), a trace for Tenet. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

bool name_ends(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n > m && !strcmp(path + n - m, end);
}

/* ---- DRcov, version 2 ----
 *
 * Text, then BBS of { u32 offset in the module, u16 bytes, u16 module }. There are no modules here: each 2 GiB that has
 * code are one, so that an offset is enough. */

enum { MODULE_BITS = 31, PIECE_MAX = 0xffff };

static uint64_t module_of(const struct piece *p) { return p->address >> MODULE_BITS << MODULE_BITS; }

static void put_le(uint8_t *out, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> 8 * i);
}

/* The pieces are in order of address and apart. */
void write_drcov(FILE *file, const struct piece *pieces, size_t count)
{
	size_t modules = 0, blocks = 0;
	unsigned module = 0;

	for (size_t i = 0; i < count; i++) {
		modules += !i || module_of(&pieces[i]) != module_of(&pieces[i - 1]);
		blocks += (pieces[i].size + PIECE_MAX - 1) / PIECE_MAX;
	}
	fprintf(file, "DRCOV VERSION: 2\nDRCOV FLAVOR: vcpu\nModule Table: version 2, count %zu\n"
		"Columns: id, base, end, entry, checksum, timestamp, path\n", modules);
	for (size_t i = 0; i < count; i++)
		if (!i || module_of(&pieces[i]) != module_of(&pieces[i - 1]))
			fprintf(file, "%3u, 0x%016" PRIx64 ", 0x%016" PRIx64 ", 0x0, 0x0, 0x0, memory_%" PRIx64 "\n", module++,
				module_of(&pieces[i]), module_of(&pieces[i]) + ((uint64_t)1 << MODULE_BITS), module_of(&pieces[i]));
	fprintf(file, "BB Table: %zu bbs\n", blocks);
	module = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t at = pieces[i].address - module_of(&pieces[i]);

		module += i && module_of(&pieces[i]) != module_of(&pieces[i - 1]);
		for (unsigned done = 0, size; done < pieces[i].size; done += size) {
			uint8_t block[8];

			size = pieces[i].size - done < PIECE_MAX ? pieces[i].size - done : PIECE_MAX;
			put_le(block, (uint32_t)(at + done), 4);
			put_le(block + 4, size, 2);
			put_le(block + 6, module, 2);
			fwrite(block, sizeof block, 1, file);
		}
	}
}

/* ---- Tenet ----
 *
 * A line for each instruction: the registers that it has changed, RIP among them, and its accesses to memory, "mr" or
 * "mw" with address and bytes. The first line has all registers. */

enum { TENET_REGISTERS = 17 };
struct tenet {
	struct session *s;
	FILE *file;               /* of the accesses of one instruction */
	bool wide;                /* 64-bit names */
	uint64_t before[TENET_REGISTERS];
};

static void on_access(void *user, const struct vcpu_debug_event *e)
{
	struct tenet *t = user;
	uint8_t bytes[4096];
	size_t size = e->size < sizeof bytes ? e->size : sizeof bytes;

	for (unsigned i = 0; i < 8 && i < size; i++)
		bytes[i] = (uint8_t)(e->value >> 8 * i);
	if (size > 8 && vcpu_read_linear(t->s->machine, e->address, bytes, size) < size)
		return;
	fprintf(t->file, ",m%c=0x%" PRIx64 ":", e->write ? 'w' : 'r', e->address);
	for (size_t i = 0; i < size; i++)
		fprintf(t->file, "%02x", bytes[i]);
}

static void write_registers(struct tenet *t, FILE *file, bool all)
{
	static const char *const narrow[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
	const char *between = "";

	for (unsigned i = 0; i < TENET_REGISTERS; i++) {
		int reg = i < 16 ? VCPU_RAX + (int)i : VCPU_RIP;
		uint64_t value = i < 16 ? vcpu_get(t->s->machine, reg) : linear_rip(t->s);
		const char *name = t->wide ? vcpu_register_name(reg) : i < 8 ? narrow[i] : "eip";

		if (!t->wide && i >= 8 && i < 16)
			continue;
		if (all || value != t->before[i]) {
			fprintf(file, "%s%s=0x%" PRIx64, between, name, value);
			between = ",";
		}
		t->before[i] = value;
	}
}

struct vcpu_debug_stop trace_tenet(struct session *s, FILE *file, uint64_t end)
{
	struct vcpu_debug_stop stop = { .what = VCPU_DEBUG_THERE, .place = vcpu_where(s->machine) };
	struct tenet t = { .s = s, .wide = vcpu_get(s->machine, VCPU_CODE_BITS) == 64 };

	vcpu_debug_trace(s->debug, VCPU_EVENT_MEMORY, on_access, &t);
	write_registers(&t, file, true);
	fputc('\n', file);
	while (stop.place.instructions < end && !enough(s)) {
		uint64_t at = stop.place.instructions;
		char *accesses = NULL;
		size_t len = 0;

		t.file = needed(open_memstream(&accesses, &len));
		stop = vcpu_debug_step(s->debug);
		fclose(t.file);
		if (stop.place.instructions > at || *accesses) {
			write_registers(&t, file, false);
			fprintf(file, "%s\n", accesses);
		}
		free(accesses);
		if (stop.what != VCPU_DEBUG_THERE &&
		    !(stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason == VCPU_STOP_IDLE))
			break;
	}
	return stop;
}
