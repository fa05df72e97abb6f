/* SPDX-License-Identifier: MIT */
/* What readers of dumps share, and sizes in ELF cores, for their reader and their writer. */
#ifndef LIB_DUMP_H
#define LIB_DUMP_H

#include "lib/machine.h"
#include "lib/vcpu_dump.h"

/* Bytes of struct QEMUCPUState (version 1) and of Linux's struct elf_prstatus on x86-64. */
enum { QEMU_STATE = 440, PRSTATUS = 336 };

#define TOP_MAX ((u64)256 * GiB)

/* Registers that a dump has. ANY: the general ones; ALL: the others, too. */
enum { SEGMENTS_HERE = VCPU_TR - VCPU_ES + 1 };
struct found {
	u64 general[16], rip, rflags, cr[5], fs_base, gs_base, kernel_gs, gdt, idt;
	u32 gdt_limit, idt_limit;
	struct vcpu_segment segment[SEGMENTS_HERE]; /* VCPU_ES... */
	bool any, all;
};

struct dump {
	const u8 *data;
	u64 len;
	const char *wrong; /* NULL: nothing yet */
	u64 top, pages;    /* behind the last page; of all pieces */
	struct vcpu *v;
	struct found *found; /* NULL: only look */
};

/* False, with the reason. */
bool dump_wrong(struct dump *d, const char *what);
static inline bool dump_has(const struct dump *d, u64 at, u64 len) { return at <= d->len && len <= d->len - at; }
/* LEN bytes at physical address AT, of which SIZE are at BYTES and the others zeroes. */
bool dump_piece(struct dump *d, u64 at, u64 len, const u8 *bytes, u64 size);
/* ELF notes; VMCOREINFO. */
bool dump_notes(struct dump *d, const u8 *notes, u64 len);
void dump_info(struct found *f, const u8 *text, u64 len);

/* dump_unpack.c: a page from SIZE bytes, by a method of struct page_desc. NULL, or what is wrong. */
enum { DUMP_ZLIB = 1, DUMP_LZO = 2, DUMP_SNAPPY = 4, DUMP_ZSTD = 0x20 };
const char *dump_unpack(u32 how, const u8 *data, u64 size, u8 page[PAGE_SIZE]);

/* dump_kdump.c: the pieces of a compressed dump; a flattened dump, which D becomes (malloc'd; NULL: wrong). */
bool dump_kdump(struct dump *d);
bool dump_is_flat(const struct dump *d);
u8 *dump_unflatten(struct dump *d);

#endif
