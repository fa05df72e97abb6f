/* SPDX-License-Identifier: MIT */
/* Sections of an ELF file in memory, of 32 or 64 bits. Fields are at the places that the System V ABI gives. Nobody has
 * looked at the file before: what it says may be wrong. */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf { const unsigned char *data; size_t size; bool wide; };
struct elf_section { uint32_t name, type, link; uint64_t flags, address, at, size; };

/* A number of so many bytes, at most 8. */
static inline uint64_t elf_field(const unsigned char *p, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | p[bytes];
	return n;
}

/* Is [AT, AT + LEN) in a file of SIZE bytes? */
static inline bool elf_within(size_t size, uint64_t at, uint64_t len) { return at <= size && len <= size - at; }

/* False: the file does not have section I's header whole. It has the file's, of 52 or 64 bytes. */
static inline bool elf_section(const struct elf *e, uint64_t i, struct elf_section *section)
{
	unsigned word = e->wide ? 8 : 4, size = e->wide ? 64 : 40;
	uint64_t at = elf_field(e->data + (e->wide ? 40 : 32), word) + i * size;
	const unsigned char *p;

	if (!elf_within(e->size, at, size))
		return false;
	p = e->data + at;
	*section = (struct elf_section){ .name = (uint32_t)elf_field(p, 4), .type = (uint32_t)elf_field(p + 4, 4),
		.flags = elf_field(p + 8, word), .address = elf_field(p + 8 + word, word),
		.at = elf_field(p + 8 + 2 * word, word), .size = elf_field(p + 8 + 3 * word, word),
		.link = (uint32_t)elf_field(p + 8 + 4 * word, 4) };
	return true;
}

#endif
