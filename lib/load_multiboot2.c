/* SPDX-License-Identifier: MIT */
/* Multiboot 2 images (Multiboot2 Specification 2.0): ELF of 32 or 64 bits, or any format with addresses in the header.
 * The entry is 32-bit code.
 *
 * Header, in the first 32 KiB, 8-byte aligned:
 *   magic 0   architecture 4   length 8   checksum 12   tags 16
 *   tag: type 0 (16 bits)   flags 2 (16 bits, 0: optional)   size 4; the next one at a multiple of 8
 * Information:
 *   size 0   reserved 4   tags 8
 *   tag: type 0   size 4; the next one at a multiple of 8
 *
 * An image with the tag of a relocatable one is loaded where it is linked. The tags for EFI have no effect. */
#include <stdio.h>
#include <stdlib.h>
#include "lib/machine.h"

#define HEADER_MAGIC 0xe85250d6u
#define LOADED_MAGIC 0x36d76289u
#define SEARCH 32768u
enum { HEADER_SIZE = 16, TAG_SIZE = 8, MAP_ENTRY = 24, MODULE_ENTRY = 32, FIXED_TAGS = 512 };
enum { ARCHITECTURE_I386 = 0, ARCHITECTURE_MIPS = 4, OPTIONAL = 1 };
enum { CONSOLE_REQUIRED = 1, CONSOLE_TEXT = 2 };
enum header_tag {
	WANTS_END, WANTS_INFO, WANTS_ADDRESSES, WANTS_ENTRY, WANTS_CONSOLE, WANTS_FRAMEBUFFER, WANTS_ALIGNED_MODULES,
	WANTS_EFI, WANTS_EFI_ENTRY_32, WANTS_EFI_ENTRY_64, WANTS_RELOCATION,
};
enum info_tag {
	INFO_END, INFO_CMDLINE, INFO_LOADER, INFO_MODULE, INFO_MEMORY, INFO_MAP = 6, INFO_FRAMEBUFFER = 8,
		INFO_SECTIONS,
	INFO_RSDP = 14, INFO_RSDP_2, INFO_LOAD_BASE = 21,
};

static const char loader_name[] = "libvcpu";

/* ---- the header ---- */

/* The header's size, if there is one at offset AT. */
static u32 header_at(const struct blob *b, size_t at)
{
	size_t end = b->size < SEARCH ? b->size : SEARCH;
	const u8 *p = b->data + at;
	u32 len;

	if (at > end || end - at < HEADER_SIZE || get32(p) != HEADER_MAGIC || get32(p + 4) != ARCHITECTURE_I386)
		return 0;
	len = get32(p + 8);
	return HEADER_MAGIC + len + get32(p + 12) || len < HEADER_SIZE || len > end - at ? 0 : len;
}

long multiboot2_find(const struct blob *b)
{
	for (size_t at = 0; at < SEARCH; at += 8)
		if (header_at(b, at))
			return (long)at;
	return -1;
}

static bool almost(const u8 *p, size_t n, size_t offset, char *text, size_t size)
{
	u32 architecture, len, sum;

	if (n < HEADER_SIZE || get32(p) != HEADER_MAGIC)
		return false;
	architecture = get32(p + 4), len = get32(p + 8), sum = get32(p + 12);
	if (HEADER_MAGIC + architecture + len + sum)
		snprintf(text, size,
			 "its multiboot 2 header (offset %zu) is not valid: the checksum is %x; it must be %x, "
			 "so that the sum of magic, architecture, header length and checksum is 0",
			 offset, sum, -(HEADER_MAGIC + architecture + len));
	else if (architecture != ARCHITECTURE_I386)
		snprintf(text, size, "its multiboot 2 header (offset %zu) is for architecture %u%s; x86 is 0, "
			"for 64-bit kernels, too", offset, architecture, architecture == ARCHITECTURE_MIPS ? ", MIPS"
				: "");
	else if (offset % 8)
		snprintf(text, size, "its multiboot 2 header is at offset %zu, which is not a multiple of 8", offset);
	else if (len < HEADER_SIZE || len > n)
		snprintf(text, size, "its multiboot 2 header (offset %zu) says that it has %u bytes, "
			"and the file has %zu from there on", offset, len, n);
	else
		snprintf(text, size,
			 "its multiboot 2 header (offset %zu, %u bytes) is not within the first 32768 bytes: "
			 "the linker script must put its section first",
			 offset, len);
	return true;
}

bool multiboot2_almost(const struct blob *b, char *text, size_t size)
{
	for (size_t at = 0; at < b->size; at++)
		if (almost(b->data + at, b->size - at, at, text, size))
			return true;
	return false;
}

/* What the tags of a header ask for. */
struct wishes {
	bool addresses, entry, framebuffer, framebuffer_must, console_must, no_text, relocatable;
	struct addresses place;
	u32 entry_at, width, height, lowest, highest;
};

/* The tag at P, of SIZE bytes, which are enough for its type. False: *ERROR. */
static bool read_tag(const struct blob *b, const u8 *p, u32 size, struct wishes *w, char **error)
{
	u32 at = (u32)(p - b->data);
	bool optional = p[2] & OPTIONAL;

	switch (get16(p)) {
	case WANTS_INFO:
		for (u32 i = TAG_SIZE; i + 4 <= size && !optional; i += 4)
			if (get32(p + i) > INFO_LOAD_BASE)
				return error_set(error, "%s: the multiboot 2 header asks for information of type %u "
					"(tag at offset %u), which is unknown", b->name, get32(p + i), at);
		break;
	case WANTS_ADDRESSES:
		w->addresses = true;
		w->place = (struct addresses){ get32(p + 8), get32(p + 12), get32(p + 16), get32(p + 20) };
		break;
	case WANTS_ENTRY:
		w->entry = true;
		w->entry_at = get32(p + 8);
		break;
	case WANTS_CONSOLE:
		w->console_must = get32(p + 8) & CONSOLE_REQUIRED;
		w->no_text = !(get32(p + 8) & CONSOLE_TEXT);
		break;
	case WANTS_FRAMEBUFFER:
		w->framebuffer = true;
		w->framebuffer_must = !optional;
		w->width = get32(p + 8);
		w->height = get32(p + 12);
		break;
	case WANTS_RELOCATION:
		w->relocatable = true;
		w->lowest = get32(p + 8);
		w->highest = get32(p + 12);
		break;
	default: /* modules are aligned in any case */
		break;
	}
	return true;
}

/* Read the tags of the header at offset AT. */
static bool read_tags(const struct blob *b, u32 at, struct wishes *w, char **error)
{
	static const u8 least[] = { [WANTS_END] = 8, 8, 24, 12, 12, 20, 8, 8, 12, 12, 24 };
	u32 len = header_at(b, at), type, size;

	*w = (struct wishes){ 0 };
	for (u32 i = HEADER_SIZE; i + TAG_SIZE <= len; i += (size + 7) & ~7u) {
		const u8 *p = b->data + at + i;

		type = get16(p);
		size = get32(p + 4);
		if (type >= ARRAY_LEN(least) && p[2] & OPTIONAL && size >= TAG_SIZE && size <= len - i)
			continue;
		if (type >= ARRAY_LEN(least) || size < least[type] || size > len - i)
			return error_set(error, "%s: the multiboot 2 header (offset %u, %u bytes) has a tag of type %u "
				"and %u bytes at offset %u, which %s; each tag begins at a multiple of 8",
				b->name, at, len, type, size, at + i, type >= ARRAY_LEN(least) ? "is unknown" :
				size < least[type] ? "is too short" : "ends behind it");
		if (type == WANTS_END)
			return true;
		if (!read_tag(b, p, size, w, error))
			return false;
	}
	return error_set(error, "%s: the multiboot 2 header (offset %u, %u bytes) has no end tag (type 0, 8 bytes)",
		b->name, at, len);
}

/* ---- the image ---- */

static bool load_image(struct vcpu *v, u32 at, struct wishes *w, u64 *entry, u64 *low, u64 *high, char **error)
{
	const struct blob *b = &v->boot.kernel;

	if (w->addresses) {
		if (w->place.load == 0xffffffff) /* from the beginning of the file */
			w->place.load = w->place.header - at;
		if (!w->entry)
			return error_set(error,
					 "%s: the multiboot 2 header (offset %u) has addresses, and no entry (tag 3)",
					 b->name, at);
		if (!load_by_address(v, at, &w->place, low, high, error))
			return false;
	} else if (!elf_is(b)) {
		return error_set(error, "%s: the multiboot 2 header (offset %u) gives no addresses (tag 2), "
			"and the image is no ELF", b->name, at);
	} else if (!elf_load(v, b, entry, low, high, error)) {
		return false;
	}
	if (w->entry)
		*entry = w->entry_at;
	if (*entry < *low || *entry >= *high)
		return error_set(error, "%s: the entry point %llxh is not in what was loaded", b->name,
			(unsigned long long)*entry);
	if (w->relocatable && (*low < w->lowest || *high - 1 > w->highest))
		return error_set(error, "%s: it is linked for %llxh to %llxh, and its multiboot 2 header (offset %u) "
			"allows %xh to %xh only", b->name, (unsigned long long)*low, (unsigned long long)*high - 1, at,
			w->lowest, w->highest);
	return true;
}

/* ---- information ---- */

struct info { u8 *data; u64 len; };

/* A tag with SIZE bytes behind its type and size: they are 0. */
static u8 *add_tag(struct info *info, enum info_tag type, u64 size)
{
	u8 *p = info->data + info->len;

	put32(p, type);
	put32(p + 4, (u32)(TAG_SIZE + size));
	info->len += (TAG_SIZE + size + 7) & ~(u64)7;
	return p + TAG_SIZE;
}

static void add_text(struct info *info, enum info_tag type, const char *text)
{
	memcpy(add_tag(info, type, strlen(text) + 1), text, strlen(text) + 1);
}

/* Module: start 8   end 12   text 16 */
static void add_modules(struct vcpu *v, struct info *info, const struct placement *p)
{
	for (unsigned i = 0; i < v->boot.nmodules; i++) {
		const struct blob *b = &v->boot.modules[i];
		u8 *tag = add_tag(info, INFO_MODULE, 8 + strlen(b->text) + 1);

		put32(tag, (u32)p->module[i]);
		put32(tag + 4, (u32)(p->module[i] + b->size));
		memcpy(tag + 8, b->text, strlen(b->text) + 1);
	}
}

/* Memory: KiB below 640 KiB 8   KiB from 1 MiB on 12
 * Map: entry size 8  version 12  entries 16: base 0  length 8  type 16  reserved 20 */
static void add_memory(struct vcpu *v, struct info *info)
{
	struct memory_region map[MEMORY_REGIONS];
	unsigned n = pc_memory_map(v, map);
	u8 *tag = add_tag(info, INFO_MEMORY, 8);

	put32(tag, (u32)(map[0].size / KiB));
	put32(tag + 4, (u32)((pc_low_ram(v) - MiB) / KiB));
	tag = add_tag(info, INFO_MAP, 8 + n * MAP_ENTRY);
	put32(tag, MAP_ENTRY);
	for (unsigned i = 0; i < n; i++) {
		u8 *entry = tag + 8 + i * MAP_ENTRY;

		put64(entry, map[i].base);
		put64(entry + 8, map[i].size);
		put32(entry + 16, map[i].usable ? 1 : 2);
	}
}

/* Framebuffer: address 8   pitch 16   width 20   height 24   bits a pixel 28   type 29 (1: RGB, 2: text)
 *              position and size of red, green, blue 32 */
static bool add_framebuffer(struct vcpu *v, struct info *info, const struct wishes *w, char **error)
{
	static const u8 colours[] = { 16, 8, 8, 8, 0, 8 };
	u32 width = w->width ? w->width : 1024, height = w->height ? w->height : 768;
	u64 at = w->framebuffer ? pc_framebuffer(v, width, height) : 0;
	u8 *tag;

	if (!at && ((w->framebuffer_must && !v->display) || (w->console_must && (w->no_text || !v->display))))
		return error_set(error, "%s: the multiboot 2 header wants a display, and %s", v->boot.kernel.name,
			v->display ? "the adapter has no such mode" : "there is none (--display vga)");
	if (!at && (w->no_text || !v->display))
		return true;
	tag = add_tag(info, INFO_FRAMEBUFFER, at ? 24 + sizeof colours : 24);
	put64(tag, at ? at : 0xb8000);
	put32(tag + 8, at ? width * 4 : 160);
	put32(tag + 12, at ? width : 80);
	put32(tag + 16, at ? height : 25);
	tag[20] = at ? 32 : 16;
	tag[21] = at ? 1 : 2;
	if (at)
		memcpy(tag + 24, colours, sizeof colours);
	return true;
}

/* ACPI 1's has 20 bytes. */
static void add_rsdp(struct vcpu *v, struct info *info)
{
	u64 at = pc_rsdp(v);
	u8 rsdp[36];

	if (!at)
		return;
	space_peek(&v->mem, at, rsdp, sizeof rsdp);
	memcpy(add_tag(info, INFO_RSDP, 20), rsdp, 20);
	if (rsdp[15] >= 2)
		memcpy(add_tag(info, INFO_RSDP_2, sizeof rsdp), rsdp, sizeof rsdp);
}

/* Sections: number 8   size of a header 12   the number of the one with their names 16   headers 20
 * Symbols and the like, which no segment has, go behind the kernel. */
static void add_sections(struct vcpu *v, struct info *info, const struct elf_sections *s, u64 *high)
{
	u8 *tag;

	if (!s->count)
		return;
	tag = add_tag(info, INFO_SECTIONS, 12 + s->count * s->size);
	put32(tag, s->count);
	put32(tag + 4, s->size);
	put32(tag + 8, s->names);
	memcpy(tag + 12, v->boot.kernel.data + s->offset, s->count * s->size);
	elf_load_sections(v, &v->boot.kernel, s, tag + 12, high);
}

/* Write all of it. HIGH is where the kernel ends; *AT is where the information is. */
static bool put_info(struct vcpu *v, const struct wishes *w, u64 low, u64 high, struct placement *p, u64 *at,
	char **error)
{
	const struct boot *boot = &v->boot;
	struct elf_sections sections = { 0 };
	u64 room = FIXED_TAGS + LOAD_GDT_SIZE + MEMORY_REGIONS * MAP_ENTRY + boot->nmodules * MODULE_ENTRY;
	u64 texts = strlen(boot->append);
	struct info info = { .len = 8 };
	bool ok;

	if (elf_is(&boot->kernel) && !w->addresses && !elf_find_sections(&boot->kernel, &sections, error))
		return false;
	room += sections.count * sections.size;
	for (unsigned i = 0; i < boot->nmodules; i++)
		texts += strlen(boot->modules[i].text);
	info.data = calloc(1, room + texts);
	if (!info.data)
		return error_set(error, "%s: the host has no memory for the multiboot information", boot->kernel.name);
	add_sections(v, &info, &sections, &high);
	ok = load_modules(v, low, high, room, p, error) && add_framebuffer(v, &info, w, error);
	if (ok) {
		add_text(&info, INFO_CMDLINE, boot->append);
		add_text(&info, INFO_LOADER, loader_name);
		add_modules(v, &info, p);
		add_memory(v, &info);
		add_rsdp(v, &info);
		if (w->relocatable)
			put32(add_tag(&info, INFO_LOAD_BASE, 4), (u32)low);
		add_tag(&info, INFO_END, 0);
		put32(info.data, (u32)info.len);
		*at = load_put(v, p, info.data, info.len);
	}
	free(info.data);
	return ok;
}

bool multiboot2_load(struct vcpu *v, char **error)
{
	const struct blob *b = &v->boot.kernel;
	u32 at = (u32)multiboot2_find(b);
	u64 entry = 0, low, high, info;
	struct placement p;
	struct wishes w;

	if (!has(&v->model, F_I386))
		return error_set(error, "%s: a multiboot kernel needs a 386 or later, not a %s", b->name,
			v->model.name);
	if (!read_tags(b, at, &w, error) || !load_image(v, at, &w, &entry, &low, &high, error) ||
	    !put_info(v, &w, low, high, &p, &info, error))
		return false;
	load_enter(v, entry, LOADED_MAGIC, info, &p);
	return true;
}
