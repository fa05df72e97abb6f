/* SPDX-License-Identifier: MIT */
/* Boot images: read from files or the caller's memory, and recognised by their contents; the flat kind; functions
 * for all loaders. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "mem/base/compat/file.h"
#include "mem/base/compat/text.h"
#include "io/disk/reach.h"
#include "io/disk/store.h"
#include "lib/machine.h"
#include "mem/pages.h"

/* ---- files ---- */

#define STRANGER_MAX GiB /* bytes of a file that only a recording names, and of all modules */

static void blob_free(struct blob *b)
{
	if (!b->lent)
		free(b->data);
	free(b->name);
	free(b->text);
	*b = (struct blob){ 0 };
}

void boot_free(struct boot *boot)
{
	blob_free(&boot->kernel);
	blob_free(&boot->bios);
	for (unsigned i = 0; i < boot->nmodules; i++)
		blob_free(&boot->modules[i]);
	free(boot->modules);
	for (unsigned i = 0; i < boot->nextras; i++)
		blob_free(&boot->extras[i].blob);
	free(boot->extras);
	free(boot->append);
	pages_free(boot->mapped, boot->mapped_size);
	*boot = (struct boot){ 0 };
}

static bool no_memory(char **error, const char *name)
{
	return error_set(error, "%s: the host has no memory for it", name);
}

static bool errno_text(char **error, const char *name, int number)
{
	char text[128];

	return error_set(error, "%s: %s", name, error_text(number, text, sizeof text));
}

/* The whole of a file of unknown size: it may be a pipe. */
static bool read_stream(struct blob *b, FILE *file, u64 limit, char **error)
{
	size_t room = 0;

	for (;;) {
		size_t got;

		if (b->size == room) {
			size_t more = room ? 2 * room : 1 << 20;
			u8 *data = realloc(b->data, more);

			if (!data)
				return no_memory(error, b->name);
			b->data = data;
			room = more;
		}
		got = fread(b->data + b->size, 1, room - b->size, file);
		b->size += got;
		if (b->size > limit)
			return error_set(error, "%s: larger than the %llu MiB that there is room for", b->name,
					 (unsigned long long)(limit / MiB));
		if (!got)
			return !ferror(file) || errno_text(error, b->name, errno);
	}
}

/* GIVEN: the user says that it is this file. *LIMIT becomes less for what only a stranger has named. */
static FILE *open_file(const char *name, const struct reach *reach, const char *given, u64 *limit, char **error)
{
	bool moved = given;
	char *now = given || !reach ? strdup(given ? given : name) : reach_name(reach, name, &moved),
	     text[DISK_ERROR_MAX];
	FILE *file = NULL;
	int fd;

	if (!now) {
		no_memory(error, name);
	} else if (!reach || moved) {
		file = fopen(now, OPEN_TO_READ);
		if (!file)
			errno_text(error, now, errno);
	} else {
		*limit = *limit < STRANGER_MAX ? *limit : STRANGER_MAX;
		fd = reach_open(now, text);
		file = fd < 0 ? NULL : fdopen(fd, "rb");
		if (!file && fd >= 0)
			close(fd);
		if (!file)
			error_write(error, "%s", fd < 0 ? text : "the host has no memory for a file");
	}
	free(now);
	return file;
}

bool blob_read(struct blob *b, const char *name, const void *data, size_t size, u64 limit, const struct reach *reach,
	const char *given,
	char **error)
{
	FILE *file;
	bool ok;

	b->name = strdup(name);
	if (!b->name)
		return no_memory(error, name);
	if (data) {
		if (size > limit)
			return error_set(error, "%s: larger than the %llu MiB that there is room for", name,
					 (unsigned long long)(limit / MiB));
		b->data = malloc(size ? size : 1);
		if (!b->data)
			return no_memory(error, name);
		memcpy(b->data, data, size);
		b->size = size;
	} else {
		file = open_file(name, reach, given, &limit, error);
		if (!file)
			return false;
		ok = read_stream(b, file, limit, error);
		fclose(file);
		if (!ok)
			return false;
	}
	return b->size || error_set(error, "%s: the file is empty", name);
}

static bool add_module(struct boot *boot, const char *name, const char *text, const void *data, size_t size, u64 limit,
		       char **error)
{
	struct blob *modules;

	if (boot->reach && limit > STRANGER_MAX)
		limit = STRANGER_MAX;
	for (unsigned i = 0; boot->reach && i < boot->nmodules; i++) /* a recording may name the same file many times */
		limit = limit > boot->modules[i].size ? limit - boot->modules[i].size : 0;
	if (boot->nmodules == BOOT_MODULES_MAX)
		return error_set(error, "%s: more than %u modules", name, BOOT_MODULES_MAX);
	modules = realloc(boot->modules, (boot->nmodules + 1) * sizeof *modules);
	if (!modules)
		return no_memory(error, name);
	boot->modules = modules;
	modules[boot->nmodules] = (struct blob){ .text = strdup(text) };
	boot->nmodules++;
	if (!modules[boot->nmodules - 1].text)
		return no_memory(error, name);
	return blob_read(&modules[boot->nmodules - 1], name, data, size, limit, boot->reach,
		boot->reach ? boot->reach->initrd : NULL, error);
}

/* "file args,file args": every module's command line is all of its text, as boot loaders give it. */
static bool add_modules(struct boot *boot, const char *list, u64 limit, char **error)
{
	char *copy = strdup(list), *next = copy;
	bool ok = copy || no_memory(error, list);

	if (boot->reach && boot->reach->initrd && strchr(list, ','))
		ok = error_set(error, "%s: there are several modules; one file cannot be all of them", list);
	while (ok && next) {
		char *text = next, *name;

		next = strchr(text, ',');
		if (next)
			*next++ = 0;
		text += strspn(text, " ");
		name = strdup(text);
		if (!name) {
			ok = no_memory(error, text);
			break;
		}
		name[strcspn(name, " ")] = 0;
		ok = *name ? add_module(boot, name, text, NULL, 0, limit, error)
			   : error_set(error, "%s: a module without a name", list);
		free(name);
	}
	free(copy);
	return ok;
}

/* ---- what is it? ---- */

static bool is_flat(const struct blob *b)
{
	return b->size >= 512 && get16(b->data + 510) == 0xaa55;
}

/* A guess at what somebody gave us that we cannot boot, for the message. */
static const char *guess(const struct blob *b)
{
	static const struct { u16 offset, len; const char *magic, *what; } known[] = {
		{ 0, 2, "\x1f\x8b", "it is compressed with gzip" },
		{ 0, 6, "\xfd" "7zXZ\0", "it is compressed with xz" },
		{ 0, 4, "\x28\xb5\x2f\xfd", "it is compressed with zstd" },
		{ 0, 3, "BZh", "it is compressed with bzip2" },
		{ 0x38, 4, "ARM\x64", "it is a Linux kernel for arm64" },
		{ 0x38, 4, "RSC\x05", "it is a Linux kernel for RISC-V" },
		{ 0x24, 4, "\x18\x28\x6f\x01", "it is a Linux kernel for ARM" },
		{ 0, 6, "070701", "it is a cpio archive: an initial RAM disk?" },
		{ 0x101, 5, "ustar", "it is a tar archive" },
		{ 0, 8, "!<arch>\n", "it is a Debian package or a library" },
		{ 0, 2, "MZ", "it is an EFI or DOS program without a Linux setup header" },
		{ 0, 2, "#!", "it is a script" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		if (b->size >= (size_t)known[i].offset + known[i].len &&
		    !memcmp(b->data + known[i].offset, known[i].magic, known[i].len))
			return known[i].what;
	if (b->size >= 512 && get16(b->data + 510) == 0x55aa)
		return "bytes 510 and 511 are AAh 55h, the wrong way round: a boot sector ends with 55h AAh";
	if (b->size <= 512)
		return "a boot sector has 512 bytes, the last two 55h and AAh; this file is smaller, or has others";
	return "no bzImage, multiboot, PVH or boot-sector signature";
}

static bool almost_multiboot(const struct blob *b, char *text, size_t size)
{
	return multiboot_almost(b, text, size) || multiboot2_almost(b, text, size);
}

static bool classify(struct boot *boot, char **error)
{
	const struct blob *b = &boot->kernel;
	bool pvh, multiboot = multiboot_find(b) >= 0, multiboot2 = multiboot2_find(b) >= 0;
	char text[256];
	u64 entry;

	if (linux_is(b)) {
		boot->kind = IMAGE_LINUX;
	} else if (elf_is(b)) {
		if (!elf_check(b, &pvh, &entry, error))
			return false;
		if (!multiboot && !multiboot2 && !pvh)
			return error_set(error, "%s: an ELF for x86, but %s", b->name,
				almost_multiboot(b, text, sizeof text) ? text :
				"it has neither a multiboot header nor a PVH note");
		multiboot = multiboot && !((pvh || multiboot2) && elf_is_64(b)); /* which multiboot 1 is not for */
		boot->kind = multiboot ? IMAGE_MULTIBOOT : pvh ? IMAGE_PVH : IMAGE_MULTIBOOT2;
	} else if (multiboot || multiboot2) {
		boot->kind = multiboot ? IMAGE_MULTIBOOT : IMAGE_MULTIBOOT2;
	} else if (is_flat(b)) {
		boot->kind = IMAGE_FLAT;
	} else {
		return error_set(error, "%s: not a kernel this PC can load (%s)", b->name,
			almost_multiboot(b, text, sizeof text) ? text : guess(b));
	}
	return true;
}

static u64 boot_hash(const struct boot *boot)
{
	u64 h = hash64(boot->kind, boot->append, strlen(boot->append));

	h = hash64(h, boot->kernel.data, boot->kernel.size);
	h = hash64(h, boot->bios.data, boot->bios.size);
	for (unsigned i = 0; i < boot->nmodules; i++) {
		h = hash64(h, boot->modules[i].text, strlen(boot->modules[i].text));
		h = hash64(h, boot->modules[i].data, boot->modules[i].size);
	}
	for (unsigned i = 0; i < boot->nextras; i++)
		h = hash64(h ^ boot->extras[i].at, boot->extras[i].blob.data, boot->extras[i].blob.size);
	return h;
}

/* ---- firmware ---- */

#define FIRMWARE_MAX (16 * MiB) /* below 4 GiB; the APICs are not far below that */
#define DEFAULT_BIOS "/usr/share/seabios/bios-256k.bin"

/* Which Debian package a firmware file is in. */
static const char *package_of(const char *name)
{
	static const struct { const char *start, *package; } known[] = {
		{ "/usr/share/seabios/", " (Debian package seabios)" },
		{ "/usr/share/OVMF/", " (Debian package ovmf)" },
		{ "/usr/share/ovmf/", " (Debian package ovmf)" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		if (!strncmp(name, known[i].start, strlen(known[i].start)))
			return known[i].package;
	return "";
}

static bool firmware_read(struct blob *b, const char *name, const struct reach *reach, char **error)
{
	char *why = NULL;
	bool ok = blob_read(b, name, NULL, 0, FIRMWARE_MAX, reach, reach ? reach->bios : NULL, &why);

	if (!ok && why)
		error_write(error, "%s%s", why, package_of(name));
	free(why);
	if (ok && b->size % PAGE_SIZE)
		return error_set(error, "%s: firmware of %zu bytes, which is not a multiple of 4096", name, b->size);
	return ok;
}

static bool read_firmware(struct boot *boot, const struct vcpu_config *config, char **error)
{
	bool screen = config->display && strcmp(config->display, "none");

	if (boot->kernel.data && !config->bios)
		return true;
	if (boot->kernel.data && boot->kind != IMAGE_LINUX)
		return error_set(error, "%s: firmware starts Linux kernels only; %s is none", config->bios,
				 boot->kernel.name);
	if (!config->bios && !config->drives_count && !screen)
		return true;
	return firmware_read(&boot->bios, config->bios ? config->bios : DEFAULT_BIOS, boot->reach, error);
}

static bool read_all(struct boot *boot, const struct vcpu_config *config, u64 limit, char **error)
{
	const char *name = config->kernel ? config->kernel : "kernel";

	boot->append = strdup(config->append ? config->append : "");
	if (!boot->append)
		return no_memory(error, name);
	if (!config->kernel && !config->kernel_data)
		return (!config->initrd && !config->initrd_data) ||
		       error_set(error, "%s: an initial RAM disk without a kernel",
				 config->initrd ? config->initrd : "initrd");
	if (!blob_read(&boot->kernel, name, config->kernel_data, config->kernel_size, limit, boot->reach,
			boot->reach ? boot->reach->kernel : NULL, error) ||
	    !classify(boot, error))
		return false;
	if (!config->initrd && !config->initrd_data)
		return true;
	name = config->initrd ? config->initrd : "initrd";
	if (boot->kind == IMAGE_FLAT)
		return error_set(error, "%s: %s is a flat image, which takes no initial RAM disk", name,
				 boot->kernel.name);
	if (config->initrd_data)
		return add_module(boot, name, boot->kind == IMAGE_LINUX && config->initrd ? "" : name,
			config->initrd_data,
			config->initrd_size, limit, error);
	if (boot->kind == IMAGE_LINUX)
		return add_module(boot, name, "", NULL, 0, limit, error);
	return add_modules(boot, config->initrd, limit, error);
}

static bool read_extras(struct boot *boot, const struct vcpu_config *config, u64 limit, char **error)
{
	for (unsigned i = 0; i < config->loads_count; i++) {
		if (!extra_read(boot, config->loads[i], limit, error))
			return false;
		/* a recording may name a file many times */
		limit -= boot->extras[i].blob.size < limit ? boot->extras[i].blob.size : limit;
	}
	return true;
}

bool boot_read(struct boot *boot, const struct vcpu_config *config, u64 limit, const struct reach *reach, char **error)
{
	*boot = (struct boot){ .reach = reach };
	if (!read_all(boot, config, limit, error) || !read_firmware(boot, config, error) ||
	    !read_extras(boot, config, limit, error)) {
		boot_free(boot);
		return false;
	}
	boot->hash = boot_hash(boot);
	boot->reach = NULL;
	return true;
}

/* ---- shared by the loaders ---- */

bool load_room(const struct vcpu *v, u64 base, u64 len)
{
	u64 low = pc_low_ram(v);

	if (base < 0xa0000)
		return len <= 0xa0000 - base;
	return base >= 0x100000 && base <= low && len <= low - base;
}

void load_bytes(struct vcpu *v, u64 base, const void *data, u64 len)
{
	space_poke(&v->mem, base, data, len);
}

void load_zero(struct vcpu *v, u64 base, u64 len)
{
	static const u8 zeroes[PAGE_SIZE];
	const u8 *pages = v->blocks[0].ram->pages;

	while (len) { /* below 4 GiB, an offset in the PC's RAM is its address */
		u64 run = PAGE_SIZE - (base & (PAGE_SIZE - 1));

		if (run > len)
			run = len;
		if (pages[base >> PAGE_SHIFT] & PAGE_DIRTY)
			space_poke(&v->mem, base, zeroes, run);
		base += run;
		len -= run;
	}
}

/* Descriptor: base 31-24 | G D L AVL limit 19-16 | P DPL S type | base 23-0 | limit 15-0 */
void load_gdt(struct vcpu *v, u64 base, u16 code, bool wide)
{
	u8 gdt[32] = { 0 };

	put64(gdt + code, wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	put64(gdt + code + 8, 0x00cf93000000ffff);
	load_bytes(v, base, gdt, sizeof gdt);
	v->cpu->gdtr.base = base;
	v->cpu->gdtr.limit = sizeof gdt - 1;
}

static u64 align_up(u64 x, u64 to)
{
	return (x + to - 1) & ~(to - 1);
}

#define INFO_LOW 0x9000u /* conventional memory: out of the way of a kernel at 1 MiB that takes what is behind it */
#define INFO_LOW_END 0x90000u

bool load_modules(struct vcpu *v, u64 low, u64 high, u64 extra, struct placement *p, char **error)
{
	const struct boot *boot = &v->boot;
	u64 at = align_up(high < 0x100000 ? 0x100000 : high, PAGE_SIZE), need = align_up(extra, 8);

	need += align_up(strlen(boot->append) + 1, 8);
	for (unsigned i = 0; i < boot->nmodules; i++) {
		const struct blob *b = &boot->modules[i];

		if (!load_room(v, at, b->size))
			return error_set(
				error,
				"%s: %zu bytes do not fit into memory behind the kernel and other modules, at %llxh",
				b->name, b->size, (unsigned long long)at);
		load_bytes(v, at, b->data, b->size);
		p->module[i] = at;
		at = align_up(at + b->size, PAGE_SIZE);
		need += align_up(strlen(b->text) + 1, 8);
	}
	p->info = INFO_LOW;
	if (need > INFO_LOW_END - INFO_LOW || (low < INFO_LOW + need && high > INFO_LOW))
		p->info = at;
	return load_room(v, p->info, need) ||
	       error_set(error, "%s: no room in memory for the command line and tables", boot->kernel.name);
}

u64 load_put(struct vcpu *v, struct placement *p, const void *data, u64 len)
{
	u64 at = p->info;

	load_bytes(v, at, data, len);
	p->info = align_up(at + len, 8);
	return at;
}

/* ---- flat ---- */

#define FLAT_BASE 0x7c00u
#define IRET_STUB 0xf000ff53u /* F000:FF53, see pc.c */

/* As firmware hands over to a boot sector: real mode, 0000:7C00, DL the drive. There are no services behind the
 * vectors, but each leads to an IRET. */
static bool flat_load(struct vcpu *v, char **error)
{
	const struct blob *b = &v->boot.kernel;
	struct cpu *c = v->cpu;
	u8 vectors[1024];

	if (!load_room(v, FLAT_BASE, b->size))
		return error_set(error, "%s: a flat image of %zu bytes does not fit between 7C00h and A0000h", b->name,
				 b->size);
	for (unsigned i = 0; i < 256; i++)
		put32(vectors + 4 * i, IRET_STUB);
	load_bytes(v, 0, vectors, sizeof vectors);
	load_bytes(v, FLAT_BASE, b->data, b->size);
	mode_setup(v, SETUP_REAL, 0, 0, 0);
	c->r[RIP] = c->r[RSP] = FLAT_BASE;
	c->r[RDX] = 0x80;
	return true;
}

unsigned vcpu_kernel_bits(const vcpu *v)
{
	const struct blob *b = v ? &v->boot.kernel : NULL;

	if (!b || !b->data)
		return 0;
	if (v->boot.kind == IMAGE_LINUX)
		return linux_is_64(b) ? 64 : 32;
	return elf_is(b) ? b->data[4] == 2 ? 64 : 32 : 0; /* EI_CLASS */
}

bool boot_load(struct vcpu *v, char **error)
{
	/* Every boot loader opens the A20 gate first: port 92h, bit 1. */
	space_write(&v->io, 0x92, 1, 2);
	switch (v->boot.kind) {
	case IMAGE_LINUX: return linux_load(v, error);
	case IMAGE_MULTIBOOT: return multiboot_load(v, error);
	case IMAGE_MULTIBOOT2: return multiboot2_load(v, error);
	case IMAGE_PVH: return pvh_load(v, error);
	case IMAGE_FLAT: return flat_load(v, error);
	case IMAGE_NONE: break;
	}
	return true;
}
