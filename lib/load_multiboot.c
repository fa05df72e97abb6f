/* SPDX-License-Identifier: MIT */
/* Multiboot 1 images (Multiboot Specification 0.6.96): ELF, or any format with addresses in the header (the "a.out
 * kludge").
 *
 * Header, in the first 8 KiB, 4-byte aligned:
 *   magic 0   flags 4   checksum 8   | header_addr 12  load_addr 16  load_end 20  bss_end 24  entry 28 (flag 16)
 * Information:
 *   flags 0   mem_lower 4  mem_upper 8 (KiB)   cmdline 16   mods_count 20  mods_addr 24   mmap_length 44  mmap_addr 48   loader 64 */
#include <stdio.h>
#include "lib/machine.h"

#define HEADER_MAGIC 0x1badb002u
#define LOADED_MAGIC 0x2badb002u
#define LOADER_STACK 0x7ff00u
#define SEARCH 8192u
enum { WANTS_PAGES = 1, WANTS_MEMORY = 2, WANTS_VIDEO = 4, HAS_ADDRESSES = 1 << 16 };
enum { INFO_MEMORY = 1, INFO_CMDLINE = 4, INFO_MODULES = 8, INFO_MAP = 0x40, INFO_LOADER = 0x200 };
enum { INFO_SIZE = 120, MODULE_ENTRY = 16, MAP_ENTRY = 24 };

static const char loader_name[] = "libvcpu";

long multiboot_find(const struct blob *b)
{
	size_t end = b->size < SEARCH ? b->size : SEARCH;

	for (size_t at = 0; at + 12 <= end; at += 4) {
		const u8 *p = b->data + at;
		u32 flags = get32(p + 4);

		if (get32(p) == HEADER_MAGIC && !(HEADER_MAGIC + flags + get32(p + 8)))
			return (flags & HAS_ADDRESSES) && at + 32 > b->size ? -1 : (long)at;
	}
	return -1;
}

/* What looks like a header and is none: N bytes at P, which is at OFFSET. */
static bool almost(const u8 *p, size_t n, size_t offset, char *text, size_t size)
{
	u32 magic = n < 12 ? 0 : get32(p), flags = magic ? get32(p + 4) : 0, sum = magic ? get32(p + 8) : 0;
	bool right = !(magic + flags + sum);

	if (magic != HEADER_MAGIC)
		return false;
	if (right && offset % 4)
		snprintf(text, size, "its multiboot header is at offset %zu, which is not a multiple of 4", offset);
	else if (right && offset >= SEARCH - 11)
		snprintf(text, size, "its multiboot header is at offset %zu, behind the first 8192 bytes: "
			"the linker script must put its section first", offset);
	else if (right && flags & HAS_ADDRESSES)
		snprintf(text, size, "its multiboot header (offset %zu) says that it has addresses, flag 16, "
			"and the file ends before them", offset);
	else if (!right && offset < SEARCH && offset % 4 == 0)
		snprintf(text, size,
			 "its multiboot header (offset %zu) is not valid: the checksum is %x; it must be %x, "
			 "so that the sum of magic, flags and checksum is 0",
			 offset, sum, -(magic + flags));
	else
		return false;
	return true;
}

bool multiboot_almost(const struct blob *b, char *text, size_t size)
{
	for (size_t at = 0; at + 12 <= b->size; at++)
		if (almost(b->data + at, b->size - at, at, text, size))
			return true;
	return false;
}

bool load_by_address(struct vcpu *v, u32 at, const struct addresses *a, u64 *low, u64 *high, char **error)
{
	const struct blob *b = &v->boot.kernel;
	u64 start, len;

	if (a->load > a->header || a->header - a->load > at)
		return error_set(
			error,
			"%s: the multiboot header (offset %u) is at %llxh, but the image is to be loaded at %llxh",
			b->name, at, (unsigned long long)a->header, (unsigned long long)a->load);
	start = at - (a->header - a->load);
	len = a->load_end ? a->load_end - a->load : b->size - start;
	if ((a->load_end && a->load_end < a->load) || len > b->size - start)
		return error_set(error, "%s: truncated or damaged: the multiboot header (offset %u) wants addresses "
			"%llxh to %llxh, in a file of %zu bytes", b->name, at, (unsigned long long)a->load,
			(unsigned long long)a->load_end, b->size);
	*low = a->load;
	*high = a->load + len;
	if (a->bss_end > *high)
		*high = a->bss_end;
	if (!load_room(v, *low, *high - *low))
		return error_set(error, "%s: the multiboot header (offset %u) wants addresses %llxh to %llxh, where this machine has no room",
			b->name, at, (unsigned long long)*low, (unsigned long long)*high);
	load_bytes(v, a->load, b->data + start, len);
	load_zero(v, a->load + len, *high - a->load - len);
	return true;
}

void load_enter(struct vcpu *v, u64 entry, u32 magic, u64 info, const struct placement *p)
{
	/* "The exact value is undefined" (3.2), but some systems, like xv6, put a GDT of their own in place and never
	 * load CS: it must be their 8. */
	mode_setup(v, SETUP_PROTECTED, 8, 0x10, 0);
	/* "The OS image must create its own stack as soon as it needs one" (3.2), but some use the one that is there:
	 * GRUB's is below the EBDA. */
	v->cpu->r[RSP] = LOADER_STACK;
	v->cpu->r[RAX] = magic;
	v->cpu->r[RBX] = info;
	v->cpu->r[RIP] = entry;
	load_gdt(v, p->info, 8, false);
}

/* Module: start 0  end 4  string 8  reserved 12 */
static u64 put_modules(struct vcpu *v, struct placement *p)
{
	u8 list[BOOT_MODULES_MAX * MODULE_ENTRY] = { 0 };

	for (unsigned i = 0; i < v->boot.nmodules; i++) {
		const struct blob *b = &v->boot.modules[i];
		u8 *entry = list + i * MODULE_ENTRY;

		put32(entry, (u32)p->module[i]);
		put32(entry + 4, (u32)(p->module[i] + b->size));
		put32(entry + 8, (u32)load_put(v, p, b->text, strlen(b->text) + 1));
	}
	return load_put(v, p, list, v->boot.nmodules * MODULE_ENTRY);
}

/* Map entry: size (of the rest) 0  base 4  length 12  type 20 */
static u64 put_map(struct vcpu *v, struct placement *p, u32 *len)
{
	struct memory_region map[MEMORY_REGIONS];
	unsigned n = pc_memory_map(v, map);
	u8 list[MEMORY_REGIONS * MAP_ENTRY];

	for (unsigned i = 0; i < n; i++) {
		u8 *entry = list + i * MAP_ENTRY;

		put32(entry, MAP_ENTRY - 4);
		put64(entry + 4, map[i].base);
		put64(entry + 12, map[i].size);
		put32(entry + 20, map[i].usable ? 1 : 2);
	}
	*len = n * MAP_ENTRY;
	return load_put(v, p, list, *len);
}

static u64 put_info(struct vcpu *v, struct placement *p)
{
	const struct boot *boot = &v->boot;
	u32 flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER, map_len;
	u8 info[INFO_SIZE] = { 0 };

	put32(info, flags);
	put32(info + 4, 0x9fc00 / 1024);
	put32(info + 8, (u32)((pc_low_ram(v) - MiB) / KiB));
	put32(info + 16, (u32)load_put(v, p, boot->append, strlen(boot->append) + 1));
	put32(info + 20, boot->nmodules);
	put32(info + 24, (u32)put_modules(v, p));
	put32(info + 48, (u32)put_map(v, p, &map_len));
	put32(info + 44, map_len);
	put32(info + 64, (u32)load_put(v, p, loader_name, sizeof loader_name));
	return load_put(v, p, info, sizeof info);
}

bool multiboot_load(struct vcpu *v, char **error)
{
	const struct blob *b = &v->boot.kernel;
	long found = multiboot_find(b);
	u64 extra = INFO_SIZE + LOAD_GDT_SIZE + MEMORY_REGIONS * MAP_ENTRY + v->boot.nmodules * MODULE_ENTRY + 64;
	u64 entry, low, high, info;
	struct addresses place;
	struct placement p;
	u32 at, flags;
	bool ok;

	if (!has(&v->model, F_I386))
		return error_set(error, "%s: a multiboot kernel needs a 386 or later, not a %s", b->name,
				 v->model.name);
	if (found < 0)
		return error_set(error, "%s: no multiboot header", b->name);
	at = (u32)found;
	flags = get32(b->data + at + 4);
	if (flags & 0xffff & ~(WANTS_PAGES | WANTS_MEMORY | WANTS_VIDEO)) /* bits 0-15 must be understood */
		return error_set(error,
				 "%s: the multiboot header (offset %u) asks for features %04x, which are unknown",
				 b->name, at, flags & 0xffff & ~(WANTS_PAGES | WANTS_MEMORY | WANTS_VIDEO));
	if (!(flags & HAS_ADDRESSES) && !elf_is(b))
		return error_set(error,
				 "%s: the multiboot header (offset %u) gives no addresses, and the image is no ELF",
				 b->name, at);
	if (!(flags & HAS_ADDRESSES) && elf_is_64(b))
		return error_set(error, "%s: a 64-bit ELF with a multiboot 1 header, which is for 32-bit ones "
			"(objcopy -O elf32-i386 makes one)", b->name);
	if (flags & HAS_ADDRESSES) {
		const u8 *header = b->data + at;

		place = (struct addresses){ get32(header + 12), get32(header + 16), get32(header + 20),
					    get32(header + 24) };
		entry = get32(header + 28);
		ok = load_by_address(v, at, &place, &low, &high, error);
	} else {
		ok = elf_load(v, b, &entry, &low, &high, error);
	}
	if (!ok)
		return false;
	if (entry < low || entry >= high)
		return error_set(error, "%s: the entry point %llxh is not in what was loaded", b->name,
				 (unsigned long long)entry);
	if (!load_modules(v, low, high, extra, &p, error))
		return false;
	info = put_info(v, &p);
	load_enter(v, entry, LOADED_MAGIC, info, &p);
	return true;
}
