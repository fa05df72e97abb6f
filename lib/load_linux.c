/* SPDX-License-Identifier: MIT */
/* Linux bzImages (Documentation/arch/x86/boot.rst and zero-page.rst of the kernel).
 *
 *   file     boot sector and setup code | protected-mode kernel        setup header: 1F1h up to 202h + byte at 201h
 *
 *   memory   00001000  GDT
 *            00008000  page tables: PML4, PDPT, four page directories; 4 GiB in 2 MiB pages (64-bit entry only)
 *            00010000  boot_params, the "zero page": the setup header with our answers, memory map
 *            00020000  command line
 *            pref_address, else 00100000: the kernel, with init_size bytes for it to unpack itself
 *            as high as it may be: initial RAM disk */
#include "lib/machine.h"

#define GDT 0x1000u
#define PAGE_TABLES 0x8000u
#define BOOT_PARAMS 0x10000u
#define COMMAND_LINE 0x20000u
#define COMMAND_LINE_ROOM 0x10000u
#define SECTOR 512u

/* Fields of the setup header: offsets in the file and in boot_params. */
enum {
	HDR_START = 0x1f1, HDR_SETUP_SECTS = 0x1f1, HDR_SYSSIZE = 0x1f4, HDR_BOOT_FLAG = 0x1fe, HDR_JUMP = 0x201,
		HDR_MAGIC = 0x202,
	HDR_VERSION = 0x206, HDR_TYPE_OF_LOADER = 0x210, HDR_LOADFLAGS = 0x211, HDR_CODE32_START = 0x214,
	HDR_RAMDISK_IMAGE = 0x218,
	HDR_RAMDISK_SIZE = 0x21c, HDR_HEAP_END_PTR = 0x224, HDR_CMD_LINE_PTR = 0x228, HDR_INITRD_ADDR_MAX = 0x22c,
	HDR_KERNEL_ALIGNMENT = 0x230, HDR_RELOCATABLE = 0x234, HDR_XLOADFLAGS = 0x236, HDR_CMDLINE_SIZE = 0x238,
	HDR_SETUP_DATA = 0x250,
	HDR_PREF_ADDRESS = 0x258, HDR_INIT_SIZE = 0x260, HDR_LIMIT = 0x290,
};
/* Fields of boot_params that are not in the file. */
enum { ZP_ALT_MEM_K = 0x1e0, ZP_ACPI_RSDP = 0x70, ZP_E820_ENTRIES = 0x1e8, ZP_E820_TABLE = 0x2d0, ZP_SIZE = 0x1000 };
enum { LOADED_HIGH = 1, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 1, LOADER_UNKNOWN = 0xff };
enum { E820_RAM = 1, E820_RESERVED = 2 };

/* What the header says, with the defaults of older protocols filled in. */
struct linux_header {
	u32 setup_size;    /* bytes before the protected-mode kernel */
	u32 kernel_size;   /* bytes of it that the file has */
	u16 version;
	bool entry64;
	u64 kernel;        /* where it is loaded */
	u64 init_size;     /* bytes that it needs from there on */
	u64 initrd_max;    /* last address that the initial RAM disk may have */
	u32 cmdline_max;   /* without the 0 */
};

bool linux_is(const struct blob *b)
{
	return b->size >= HDR_VERSION && get16(b->data + HDR_BOOT_FLAG) == 0xaa55 &&
	       !memcmp(b->data + HDR_MAGIC, "HdrS", 4);
}

bool linux_is_64(const struct blob *b)
{
	return linux_is(b) && b->size >= HDR_LIMIT && get16(b->data + HDR_VERSION) >= 0x020c &&
		get16(b->data + HDR_XLOADFLAGS) & XLF_KERNEL_64;
}

u32 linux_setup_size(const struct blob *b)
{
	return ((b->data[HDR_SETUP_SECTS] ? b->data[HDR_SETUP_SECTS] : 4) + 1) * SECTOR;
}

/* Bytes of the setup header, from HDR_START on. */
static u32 header_size(const struct blob *b)
{
	u32 end = HDR_MAGIC + b->data[HDR_JUMP];

	return end < HDR_START ? 0 : (end < HDR_LIMIT ? end : HDR_LIMIT) - HDR_START;
}

static bool parse(const struct vcpu *v, struct linux_header *h, char **error)
{
	const struct blob *b = &v->boot.kernel;
	const u8 *f = b->data;
	u64 preferred = 0x100000, wanted;

	if (b->size < HDR_LIMIT)
		return error_set(error, "%s: truncated: %zu bytes, which ends in the setup header", b->name, b->size);
	h->version = get16(f + HDR_VERSION);
	if (h->version < 0x0202)
		return error_set(error, "%s: boot protocol %u.%02u of this kernel is too old (2.02 is needed)", b->name,
			h->version >> 8,
			h->version & 0xff);
	if (!(f[HDR_LOADFLAGS] & LOADED_HIGH))
		return error_set(error, "%s: a zImage, which loads below 1 MiB; only bzImages can be loaded", b->name);
	h->setup_size = linux_setup_size(b);
	if (h->setup_size >= b->size)
		return error_set(error, "%s: truncated: %zu bytes, but the setup code alone has %u", b->name, b->size,
				 h->setup_size);
	h->kernel_size = (u32)(b->size - h->setup_size);
	/* the file's padding may be missing: 15 bytes, or a signature's place */
	wanted = (u64)get32(f + HDR_SYSSIZE) * 16;
	if (h->version >= 0x0204 && wanted > h->kernel_size + 15u)
		return error_set(error, "%s: truncated: %zu bytes, but the header at 1F4h says %llu", b->name, b->size,
			(unsigned long long)(h->setup_size + wanted));
	h->initrd_max = h->version >= 0x0203 ? get32(f + HDR_INITRD_ADDR_MAX) : 0x37ffffff;
	h->cmdline_max = h->version >= 0x0206 ? get32(f + HDR_CMDLINE_SIZE) : 255;
	h->init_size = h->kernel_size;
	if (h->version >= 0x020a) {
		preferred = get64(f + HDR_PREF_ADDRESS);
		if (get32(f + HDR_INIT_SIZE) > h->init_size)
			h->init_size = get32(f + HDR_INIT_SIZE);
	}
	h->entry64 = linux_is_64(b) && has(&v->model, F_X64) && h->kernel_size > 0x200;
	if (!has(&v->model, F_I386))
		return error_set(error, "%s: Linux needs a 386 or later, not a %s", b->name, v->model.name);

	/* A relocatable kernel prefers an address, but can live anywhere; the others are made for 1 MiB. */
	h->kernel = h->version >= 0x0205 && f[HDR_RELOCATABLE] ? preferred : 0x100000;
	if (!load_room(v, h->kernel, h->init_size) && h->kernel >= 0x100000)
		h->kernel = 0x100000;
	if (h->kernel < 0x100000 || !load_room(v, h->kernel, h->init_size))
		return error_set(error, "%s: this kernel needs at least %llu MiB of memory", b->name,
			(unsigned long long)((h->kernel + h->init_size + MiB - 1) / MiB));
	return true;
}

/* *AT: where the initial RAM disk goes, if there is one, as high as it may be below TOP. */
static bool find_initrd(const struct vcpu *v, const struct linux_header *h, u64 top, u64 *at, char **error)
{
	const struct blob *b = &v->boot.modules[0];

	*at = 0;
	if (!v->boot.nmodules)
		return true;
	if (h->initrd_max + 1 < top)
		top = h->initrd_max + 1;
	if (b->size <= top)
		*at = (top - b->size) & PAGE_MASK;
	if (*at < h->kernel + h->init_size)
		return error_set(error, "%s: an initial RAM disk of %llu MiB does not fit between the kernel's end (%llu MiB) and %llu MiB",
			b->name, (unsigned long long)((b->size + MiB - 1) / MiB),
			(unsigned long long)((h->kernel + h->init_size + MiB - 1) / MiB),
			(unsigned long long)(top / MiB));
	return true;
}

static bool place_initrd(struct vcpu *v, const struct linux_header *h, u8 *zero_page, char **error)
{
	const struct blob *b = &v->boot.modules[0];
	u64 at;

	if (!find_initrd(v, h, pc_low_ram(v), &at, error))
		return false;
	load_bytes(v, at, b->data, b->size);
	put32(zero_page + HDR_RAMDISK_IMAGE, (u32)at);
	put32(zero_page + HDR_RAMDISK_SIZE, (u32)b->size);
	return true;
}

/* E820 entry: base 0-7, size 8-15, type 16-19 */
static void memory_map(struct vcpu *v, u8 *zero_page)
{
	struct memory_region map[MEMORY_REGIONS];
	unsigned n = pc_memory_map(v, map);
	u64 above = pc_low_ram(v) - MiB;

	for (unsigned i = 0; i < n; i++) {
		u8 *entry = zero_page + ZP_E820_TABLE + 20 * i;

		put64(entry, map[i].base);
		put64(entry + 8, map[i].size);
		put32(entry + 16, map[i].usable ? E820_RAM : E820_RESERVED);
	}
	zero_page[ZP_E820_ENTRIES] = (u8)n;
	put32(zero_page + ZP_ALT_MEM_K, (u32)(above / KiB));
}

/* Where and how the kernel finds the display: in mode 3, as the video BIOS would leave it (boot protocol,
 * "screen_info"). */
static void screen_info(const struct vcpu *v, u8 *zero_page)
{
	enum { MODE = 0x06, COLUMNS = 0x07, LINES = 0x0e, IS_VGA = 0x0f, POINTS = 0x10 };

	if (!v->display)
		return;
	zero_page[MODE] = 3;
	zero_page[COLUMNS] = 80;
	zero_page[LINES] = 25;
	zero_page[IS_VGA] = 1;
	zero_page[POINTS] = 16;
}

static bool fill_zero_page(struct vcpu *v, const struct linux_header *h, u8 *zero_page, char **error)
{
	const struct blob *b = &v->boot.kernel;

	memset(zero_page, 0, ZP_SIZE);
	memcpy(zero_page + HDR_START, b->data + HDR_START, header_size(b));
	zero_page[HDR_TYPE_OF_LOADER] = LOADER_UNKNOWN;
	put32(zero_page + HDR_CODE32_START, (u32)h->kernel);
	put32(zero_page + HDR_CMD_LINE_PTR, COMMAND_LINE);
	put32(zero_page + HDR_RAMDISK_IMAGE, 0);
	put32(zero_page + HDR_RAMDISK_SIZE, 0);
	put64(zero_page + HDR_SETUP_DATA, 0);
	put64(zero_page + ZP_ACPI_RSDP, pc_rsdp(v));
	memory_map(v, zero_page);
	screen_info(v, zero_page);
	return !v->boot.nmodules || place_initrd(v, h, zero_page, error);
}

/* Entry: present, writable; 7: large page */
static void build_page_tables(struct vcpu *v)
{
	u8 tables[6 * PAGE_SIZE] = { 0 };

	put64(tables, (PAGE_TABLES + PAGE_SIZE) | 3);
	for (unsigned i = 0; i < 4; i++)
		put64(tables + PAGE_SIZE + 8 * i, (PAGE_TABLES + (2 + i) * PAGE_SIZE) | 3);
	for (unsigned i = 0; i < 4 * 512; i++)
		put64(tables + 2 * PAGE_SIZE + 8 * i, i * 2 * MiB | 0x83);
	load_bytes(v, PAGE_TABLES, tables, sizeof tables);
}

/* Are the command line and the RAM disk what it takes? */
static bool acceptable(const struct vcpu *v, const struct linux_header *h, char **error)
{
	size_t len = strlen(v->boot.append);

	if (len > h->cmdline_max || len >= COMMAND_LINE_ROOM)
		return error_set(error, "%s: a command line of %zu characters is longer than this kernel takes (%u)",
			v->boot.kernel.name, len,
			h->cmdline_max < COMMAND_LINE_ROOM ? h->cmdline_max : COMMAND_LINE_ROOM - 1);
	return v->boot.nmodules <= 1 || error_set(error, "%s: Linux takes one initial RAM disk", v->boot.kernel.name);
}

bool linux_load(struct vcpu *v, char **error)
{
	const struct blob *b = &v->boot.kernel;
	size_t len = strlen(v->boot.append);
	struct linux_header h;
	u8 zero_page[ZP_SIZE];
	struct cpu *c = v->cpu;

	if (!parse(v, &h, error) || !acceptable(v, &h, error))
		return false;
	if (!get32(b->data + HDR_CODE32_START))
		return error_set(error, "%s: its setup header names no entry in protected mode (code32_start is 0): "
			"its code is for real mode and a BIOS' services (--bios /usr/share/seabios/bios-256k.bin)",
				b->name);
	if (!fill_zero_page(v, &h, zero_page, error))
		return false;
	load_bytes(v, h.kernel, b->data + h.setup_size, h.kernel_size);
	load_zero(v, h.kernel + h.kernel_size, h.init_size - h.kernel_size);
	load_bytes(v, BOOT_PARAMS, zero_page, sizeof zero_page);
	load_bytes(v, COMMAND_LINE, v->boot.append, len + 1);
	if (h.entry64)
		build_page_tables(v);
	mode_setup(v, h.entry64 ? SETUP_LONG : SETUP_PROTECTED, 0x10, 0x18, PAGE_TABLES);
	load_gdt(v, GDT, 0x10, h.entry64);
	c->r[RSI] = BOOT_PARAMS;
	c->r[RIP] = h.entry64 ? h.kernel + 0x200 : h.kernel;
	c->r[RSP] = BOOT_PARAMS;
	return true;
}

/* ---- in real mode ---- */

#define REAL_SETUP_MAX 0xf000u /* leaves some room for heap and stack */
#define REAL_HEAP_END 0xfe00u
#define FIRMWARE_TABLES MiB    /* firmware keeps tables at the end of RAM */

bool linux_in_real_mode(const struct vcpu *v, struct linux_setup *out, char **error)
{
	const struct blob *b = &v->boot.kernel;
	u8 answers[HDR_LIMIT] = { 0 };
	struct linux_header h;

	if (!parse(v, &h, error) || !acceptable(v, &h, error) ||
	    !find_initrd(v, &h, pc_low_ram(v) - FIRMWARE_TABLES, &out->initrd, error))
		return false;
	out->size = h.setup_size;
	out->header_size = header_size(b);
	if (out->size > REAL_SETUP_MAX || HDR_START + out->header_size < HDR_INITRD_ADDR_MAX)
		return error_set(error,
				 "%s: setup code of %u bytes with a header of %u, which cannot be started in real mode",
				 b->name, out->size, out->header_size);
	memcpy(answers + HDR_START, b->data + HDR_START, out->header_size);
	answers[HDR_TYPE_OF_LOADER] = LOADER_UNKNOWN;
	answers[HDR_LOADFLAGS] |= CAN_USE_HEAP;
	put16(answers + HDR_HEAP_END_PTR, REAL_HEAP_END);
	put32(answers + HDR_CMD_LINE_PTR, LINUX_REAL_CMDLINE);
	put32(answers + HDR_RAMDISK_IMAGE, (u32)out->initrd);
	put32(answers + HDR_RAMDISK_SIZE, v->boot.nmodules ? (u32)v->boot.modules[0].size : 0);
	memcpy(out->header, answers + HDR_START, out->header_size);
	return true;
}
