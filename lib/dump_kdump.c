/* SPDX-License-Identifier: MIT */
/* The compressed dumps of makedumpfile and of QEMU (struct disk_dump_header, kdump_sub_header and page_desc of makedumpfile
 * and crash), and its flattened form, which any dump may have.
 *
 *     block 0        "KDUMP   "   8 version   1ac bytes of a block   1b0 blocks of the next   1b4 of both maps   1b8 pages
 *     block 1        c split   20 VMCOREINFO: place, bytes   30 notes: place, bytes   60 pages (version 6)
 *     then           two maps of pages, a bit for each: those that there are; those that are here
 *     then           24 bytes for each page that is here: 0 place   8 bytes   c how it is compressed
 *
 *     flattened      "makedumpfile"; from 1000h on pieces, numbers with their highest byte first: place, bytes, the bytes */
#include <stdlib.h>
#include "lib/dump.h"

enum { VERSION_MAX = 6, DESCRIPTOR = 24, PIECES = 0x1000, SUB_HEADER = 0x68 };
/* Flags of a page that tell a method; 8h (the dump is incomplete) and 10h (without vmemmap) do not. */
#define METHODS (~(u32)0x18)

static bool page_here(struct dump *d, u64 page, const u8 *desc)
{
	u64 at = get64(desc);
	u32 size = get32(desc + 8), how = get32(desc + 12) & METHODS;
	const char *wrong = NULL;
	u8 bytes[PAGE_SIZE];

	if (!dump_has(d, at, size))
		return dump_wrong(d, "it is cut off: a page is not in the file");
	if (how)
		wrong = dump_unpack(how, d->data + at, size, bytes);
	else if (size != PAGE_SIZE)
		wrong = "a page is damaged";
	if (wrong)
		return dump_wrong(d, wrong);
	return dump_piece(d, page << PAGE_SHIFT, PAGE_SIZE, how ? bytes : d->data + at, PAGE_SIZE);
}

/* What the second block names: VMCOREINFO and notes. */
static bool about(struct dump *d, const u8 *sub, u32 version)
{
	u64 info = get64(sub + 0x20), info_size = get64(sub + 0x28), notes = get64(sub + 0x30), size = get64(sub + 0x38);

	if (get32(sub + 0xc))
		return dump_wrong(d, "it is a part of a dump that was split: `makedumpfile --reassemble' makes one of them");
	if (version >= 4 && size) {
		if (!dump_has(d, notes, size))
			return dump_wrong(d, "its notes are not in the file");
		if (!dump_notes(d, d->data + notes, size))
			return false;
	}
	if (version >= 3 && info_size) {
		if (!dump_has(d, info, info_size))
			return dump_wrong(d, "VMCOREINFO is not in the file");
		if (d->found)
			dump_info(d->found, d->data + info, info_size);
	}
	return true;
}

bool dump_kdump(struct dump *d)
{
	const u8 *h = d->data, *sub = h + PAGE_SIZE, *map;
	u64 version, maps, first, pages, here = 0;

	if (!dump_has(d, 0, PAGE_SIZE + SUB_HEADER))
		return dump_wrong(d, "it is cut off: its header is not in the file");
	version = get32(h + 8);
	maps = get32(h + 0x1b4);
	first = 1 + (u64)get32(h + 0x1b0);
	if (version > VERSION_MAX || get32(h + 0x1ac) != PAGE_SIZE)
		return dump_wrong(d, "its version, or the size of its pages, is not known");
	pages = version == VERSION_MAX ? get64(sub + 0x60) : get32(h + 0x1b8);
	if (pages > TOP_MAX >> PAGE_SHIFT || maps & 1 || maps / 2 * PAGE_SIZE * 8 < pages ||
	    !dump_has(d, first * PAGE_SIZE, maps * PAGE_SIZE))
		return dump_wrong(d, "the map of its pages is not in the file");
	if (!about(d, sub, (u32)version))
		return false;
	map = h + (first + maps / 2) * PAGE_SIZE;
	for (u64 page = 0; page < pages; page++) {
		u64 desc = (first + maps) * PAGE_SIZE + here * DESCRIPTOR;

		if (!(map[page / 8] >> page % 8 & 1))
			continue;
		here++;
		if (!dump_has(d, desc, DESCRIPTOR))
			return dump_wrong(d, "it is cut off: the list of its pages is not in the file");
		if (!page_here(d, page, h + desc))
			return false;
	}
	return here || dump_wrong(d, "it has no memory");
}

bool dump_is_flat(const struct dump *d) { return dump_has(d, 0, PIECES) && !memcmp(d->data, "makedumpfile", 13); }

static u64 big(const u8 *at) { return __builtin_bswap64(get64(at)); }

/* It has no holes: nothing of it lies beyond the length of the flattened file. */
u8 *dump_unflatten(struct dump *d)
{
	u64 at = PIECES, end = 0;
	u8 *out = calloc(1, d->len);

	if (!out)
		return dump_wrong(d, "the host has no memory"), NULL;
	while (dump_has(d, at, 16) && big(d->data + at) != ~(u64)0) {
		u64 to = big(d->data + at), size = big(d->data + at + 8);

		if (!dump_has(d, to, size) || !dump_has(d, at + 16, size))
			break;
		memcpy(out + to, d->data + at + 16, size);
		end = to + size > end ? to + size : end;
		at += 16 + size;
	}
	if (!dump_has(d, at, 16) || big(d->data + at) != ~(u64)0) {
		free(out);
		return dump_wrong(d, "it is cut off, or one of its pieces is damaged"), NULL;
	}
	d->data = out;
	d->len = end;
	return out;
}
