/* SPDX-License-Identifier: MIT */
/* Boot protocols: what a kernel finds when it is entered (boot.rst, the Multiboot Specification, the PVH document), and
 * images that lie. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/machine.h"

#define MEMORY (48 * MiB)

/* ---- images, made by hand ---- */

#define LINUX_SIZE (5 * 512 + 0x1000)

/* A bzImage of protocol 2.15: four setup sectors, 4 KiB of kernel. */
static void make_linux(u8 *f)
{
	memset(f, 0, LINUX_SIZE);
	f[0x1f1] = 4;
	put32(f + 0x1f4, 0x1000 / 16);
	put16(f + 0x1fe, 0xaa55);
	f[0x200] = 0xeb;
	f[0x201] = 0x6a;
	memcpy(f + 0x202, "HdrS", 4);
	put16(f + 0x206, 0x020f);
	f[0x211] = 1;
	put32(f + 0x214, 0x100000);
	put32(f + 0x22c, 0x7fffffff);
	put32(f + 0x230, 0x200000);
	f[0x234] = 1;
	put16(f + 0x236, 1);
	put32(f + 0x238, 255);
	put64(f + 0x258, 0x1000000);
	put32(f + 0x260, 0x20000);
	memset(f + 5 * 512, 0xf4, 0x1000);
}

#define ELF_SIZE 0x300

/* An ELF of 32 or 64 bits: one segment of 100h bytes from offset 200h, 180h in memory, linked at C0100000h, loaded at
 * 100000h. */
static void make_elf(u8 *f, bool wide)
{
	memset(f, 0, ELF_SIZE);
	memcpy(f, "\177ELF", 4);
	f[4] = wide ? 2 : 1;
	f[5] = f[6] = 1;
	put16(f + 16, 2);
	put16(f + 18, wide ? 62 : 3);
	if (wide) {
		put64(f + 24, 0xc0100010);
		put64(f + 32, 64);
		put16(f + 54, 56);
		put16(f + 56, 2);
		put32(f + 64, 1);
		put64(f + 72, 0x200);
		put64(f + 80, 0xc0100000);
		put64(f + 88, 0x100000);
		put64(f + 96, 0x100);
		put64(f + 104, 0x180);
		put32(f + 120, 4); /* PT_NOTE */
		put64(f + 128, 0x1e0);
		put64(f + 152, 20);
	} else {
		put32(f + 24, 0xc0100010);
		put32(f + 28, 52);
		put16(f + 42, 32);
		put16(f + 44, 1);
		put32(f + 52, 1);
		put32(f + 56, 0x200);
		put32(f + 60, 0xc0100000);
		put32(f + 64, 0x100000);
		put32(f + 68, 0x100);
		put32(f + 72, 0x180);
	}
	memset(f + 0x200, 0xf4, 0x100);
}

static void add_multiboot(u8 *at, u32 flags)
{
	put32(at, 0x1badb002);
	put32(at + 4, flags);
	put32(at + 8, -(0x1badb002 + flags));
}

static void add_pvh(u8 *f)
{
	u8 *note = f + 0x1e0;

	put32(note, 4);
	put32(note + 4, 4);
	put32(note + 8, 18);
	memcpy(note + 12, "Xen", 4);
	put32(note + 16, 0x100020);
}

static vcpu *boot(const void *kernel, size_t size, struct vcpu_config config)
{
	char *error = NULL;
	vcpu *v;

	config.kernel_data = kernel;
	config.kernel_size = size;
	if (!config.memory)
		config.memory = MEMORY;
	v = vcpu_new(&config, &error);
	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static void refused(const void *kernel, size_t size, struct vcpu_config config, const char *says)
{
	char *error = NULL;

	config.kernel_data = kernel;
	config.kernel_size = size;
	if (!config.memory)
		config.memory = MEMORY;
	ck_assert_ptr_null(vcpu_new(&config, &error));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, says) != NULL, "%s", error);
	ck_assert_ptr_null(strchr(error, '\n'));
	free(error);
}

static u64 peek(const vcpu *v, u64 at, unsigned size)
{
	u8 bytes[8] = { 0 };

	ck_assert_uint_eq(vcpu_read_physical(v, at, bytes, size), size);
	return get64(bytes);
}

static void check_text(const vcpu *v, u64 at, const char *text)
{
	char got[64] = "";

	ck_assert_uint_eq(vcpu_read_physical(v, at, got, strlen(text) + 1), strlen(text) + 1);
	ck_assert_str_eq(got, text);
}

/* ---- Linux ---- */

START_TEST(linux_64)
{
	static const u8 initrd[5000] = { 0xaa, [4999] = 0xbb };
	u8 f[LINUX_SIZE];
	u64 zero_page, ramdisk, top = 0;
	vcpu *v;

	make_linux(f);
	v = boot(
		f, sizeof f,
		(struct vcpu_config){ .append = "console=ttyS0", .initrd_data = initrd, .initrd_size = sizeof initrd });
	zero_page = vcpu_get(v, VCPU_RSI);
	/* boot.rst, "64-bit boot protocol" */
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x1000200);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CS), 0x10);
	ck_assert_uint_eq(vcpu_get(v, VCPU_DS), 0x18);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR0) & 0x80000001, 0x80000001);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR4) & 0x20, 0x20);
	ck_assert_uint_eq(vcpu_get(v, VCPU_EFER) & 0x500, 0x500);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RFLAGS) & 0x200, 0);
	ck_assert_uint_eq(peek(v, 0x1000000, 8), 0xf4f4f4f4f4f4f4f4);
	/* identity map */
	for (u64 at = 0x1000; at < MEMORY; at += 0x12345) {
		u64 phys;

		ck_assert(page_peek(v->cpu, at, &phys));
		ck_assert_uint_eq(phys, at);
	}
	/* zero-page.rst */
	ck_assert_uint_eq(peek(v, zero_page + 0x202, 4), 0x53726448);
	ck_assert_uint_eq(peek(v, zero_page + 0x210, 1), 0xff);
	check_text(v, peek(v, zero_page + 0x228, 4), "console=ttyS0");
	ramdisk = peek(v, zero_page + 0x218, 4);
	ck_assert_uint_eq(peek(v, zero_page + 0x21c, 4), sizeof initrd);
	ck_assert_uint_eq(ramdisk & 0xfff, 0);
	ck_assert_uint_ge(ramdisk, 0x1020000);
	ck_assert_uint_le(ramdisk + sizeof initrd, MEMORY);
	ck_assert_uint_eq(peek(v, ramdisk, 1), 0xaa);
	ck_assert_uint_eq(peek(v, ramdisk + 4999, 1), 0xbb);
	ck_assert_uint_eq(peek(v, peek(v, zero_page + 0x70, 8), 8), 0x2052545020445352); /* "RSD PTR " */
	for (unsigned i = 0; i < peek(v, zero_page + 0x1e8, 1); i++) {
		u64 entry = zero_page + 0x2d0 + 20 * i;

		ck_assert_uint_ge(peek(v, entry, 8), top);
		top = peek(v, entry, 8) + peek(v, entry + 8, 8);
	}
	ck_assert_uint_eq(top, MEMORY);
	/* what GDTR points to says the same as the segment registers */
	ck_assert_uint_eq(v->cpu->gdtr.limit, 31);
	ck_assert_int_eq(vcpu_set(v, VCPU_CS, 0x10), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_SS, 0x18), 0);
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x1000201);
	vcpu_free(v);
}
END_TEST

START_TEST(linux_32)
{
	u8 f[LINUX_SIZE];
	vcpu *v;

	make_linux(f);
	put16(f + 0x236, 0);
	v = boot(f, sizeof f, (struct vcpu_config){ .append = "x" });
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x1000000);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR0) & 0x80000001, 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RBX) | vcpu_get(v, VCPU_RDI) | vcpu_get(v, VCPU_RBP), 0);
	vcpu_free(v);
	/* one that is not relocatable is loaded at 1 MiB */
	f[0x234] = 0;
	v = boot(f, sizeof f, (struct vcpu_config){ .cpu = "486" });
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x100000);
	vcpu_free(v);
	refused(f, sizeof f, (struct vcpu_config){ .cpu = "286", .memory = 8 * MiB }, "386");
}
END_TEST

START_TEST(linux_refusals)
{
	static const u8 big[16 * MiB] = { 1 };
	static char line[300];
	u8 f[LINUX_SIZE];

	make_linux(f);
	refused(f, 0x280, (struct vcpu_config){ 0 }, "truncated");
	refused(f, sizeof f - 32, (struct vcpu_config){ 0 }, "truncated");
	refused(f, 5 * 512, (struct vcpu_config){ 0 }, "truncated");
	memset(line, 'a', sizeof line - 1);
	refused(f, sizeof f, (struct vcpu_config){ .append = line }, "command line");
	refused(f, sizeof f, (struct vcpu_config){ .memory = MiB }, "memory");
	put32(f + 0x22c, 0x1400000);
	refused(f, sizeof f, (struct vcpu_config){ .initrd_data = big, .initrd_size = sizeof big }, "does not fit");
	put32(f + 0x260, 0xffffffff);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "MiB of memory");
	make_linux(f);
	f[0x211] = 0;
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "zImage");
}
END_TEST

/* ---- Linux in real mode, by firmware ---- */

/* Item KEY of fw_cfg: LEN bytes of it, from port 511h. */
static void read_item(vcpu *v, u16 key, u8 *out, size_t len)
{
	space_write(&v->io, 0x510, 2, key);
	while (len--)
		*out++ = (u8)space_read(&v->io, 0x511, 1);
}

static u32 big(const u8 *p) { return __builtin_bswap32(get32(p)); }

/* The file NAME of fw_cfg; NULL: there is none. */
static u8 *read_file(vcpu *v, const char *name, u32 *len)
{
	u8 directory[4 + 32 * 64], *p = directory + 4, *out;

	read_item(v, 0x19, directory, sizeof directory);
	for (u32 n = big(directory); n--; p += 64)
		if (!strcmp((char *)p + 8, name)) {
			out = malloc(*len = big(p));
			read_item(v, (u16)(p[4] << 8 | p[5]), out, *len);
			return out;
		}
	return NULL;
}

static u8 sum(const u8 *p, u32 len)
{
	u8 s = 0;

	while (len--)
		s = (u8)(s + *p++);
	return s;
}

/* Firmware that runs option ROMs, as far as its file tells, and firmware that does not. */
static const char *make_firmware(bool roms)
{
	static char name[] = "test_load.firmware";
	static u8 f[4096];
	FILE *file = fopen(name, "wb");

	memcpy(f + 100, roms ? "genroms/" : "nothing/", 8);
	ck_assert_uint_eq(fwrite(f, 1, sizeof f, file), sizeof f);
	fclose(file);
	return name;
}

START_TEST(linux_real_mode)
{
	struct vcpu_config config = { .append = "one two", .initrd_data = "ab", .initrd_size = 3,
		.bios = make_firmware(true), .display = "none" };
	static u8 f[LINUX_SIZE + 17 * MiB];
	u8 *rom, *request, *header;
	u32 len, entry;
	vcpu *v;

	make_linux(f);
	put32(f + 0x1f4, (0x1000 + 17 * MiB) / 16);
	v = boot(f, sizeof f, config);
	rom = read_file(v, "genroms/linuxboot.bin", &len);
	ck_assert_ptr_nonnull(rom);
	ck_assert_uint_eq(get16(rom), 0xaa55);
	ck_assert_uint_eq(rom[2] * 512u, len);
	ck_assert_uint_eq(sum(rom, len), 0);
	/* Plug and Play BIOS Specification 1.0A, 3.2 */
	ck_assert_int_eq(memcmp(rom + get16(rom + 0x1a), "$PnP", 4), 0);
	ck_assert_uint_eq(sum(rom + get16(rom + 0x1a), 16u * rom[get16(rom + 0x1a) + 5]), 0);
	entry = get16(rom + get16(rom + 0x1a) + 0x1a);
	ck_assert_uint_gt(entry, 0x20);
	/* boot.rst: loader, heap, command line, RAM disk; the rest is the file's */
	header = rom + 0xc0;
	ck_assert_uint_eq(header[0x210 - 0x1f1], 0xff);
	ck_assert_uint_eq(header[0x211 - 0x1f1], 0x81);
	ck_assert_uint_eq(get16(header + 0x224 - 0x1f1), 0xfe00);
	ck_assert_uint_eq(get32(header + 0x228 - 0x1f1), 0x20000);
	ck_assert_uint_eq(get32(header + 0x218 - 0x1f1), MEMORY - MiB - 4096);
	ck_assert_uint_eq(get32(header + 0x21c - 0x1f1), 3);
	ck_assert_int_eq(memcmp(header + 0x22c - 0x1f1, f + 0x22c, 0x26c - 0x22c), 0);
	/* Setup code, the kernel in two pieces, command line, RAM disk */
	request = rom + 0x160;
	ck_assert_uint_eq(get16(rom + 0xa0), 5);
	ck_assert_uint_eq(big(request), 0x18000a);
	ck_assert_uint_eq(big(request + 4), 5 * 512);
	ck_assert_uint_eq(big(request + 12), 0x10000);
	ck_assert_uint_eq(big(request + 16), 0x11000a);
	ck_assert_uint_eq(big(request + 20), 16 * MiB);
	ck_assert_uint_eq(big(request + 32), 2);
	ck_assert_uint_eq(big(request + 36), MiB + 0x1000);
	ck_assert_uint_eq(big(request + 44), 0x1100000);
	ck_assert_uint_eq(big(request + 48), 0x15000a);
	ck_assert_uint_eq(big(request + 64), 0x12000a);
	free(rom);
	rom = read_file(v, "bootorder", &len);
	ck_assert_str_eq((char *)rom, "/rom@genroms/linuxboot.bin\n");
	free(rom);
	vcpu_free(v);

	config.memory = 18 * MiB;
	refused(f, sizeof f, config, "needs at least");
	make_linux(f);
	put32(f + 0x22c, 0x8fffff);
	refused(f, LINUX_SIZE, config, "does not fit");
	make_linux(f);
	f[0x201] = 0x20;
	refused(f, LINUX_SIZE, config, "cannot be started in real mode");
	make_linux(f);
	f[0x1f1] = 120;
	refused(f, LINUX_SIZE + MiB, config, "cannot be started in real mode");
	config.bios = make_firmware(false);
	v = boot(f, LINUX_SIZE + MiB, config);
	ck_assert_ptr_null(read_file(v, "genroms/linuxboot.bin", &len));
	vcpu_free(v);
	remove(config.bios);
	make_linux(f);
	put32(f + 0x214, 0);
	refused(f, LINUX_SIZE, (struct vcpu_config){ 0 }, "--bios");
}
END_TEST

/* ---- multiboot ---- */

static void check_multiboot(const vcpu *v)
{
	u64 info = vcpu_get(v, VCPU_RBX), modules, map;

	/* Multiboot Specification 0.6.96, 3.2 and 3.3 */
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x2badb002);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR0) & 0x80000001, 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RFLAGS) & 0x20200, 0);
	ck_assert_uint_eq(v->cpu->seg[CS].limit, 0xffffffff);
	/* As QEMU's loader has them: xv6 returns from its first interrupts to such a CS. */
	ck_assert_uint_eq(vcpu_get(v, VCPU_CS), 8);
	ck_assert_uint_eq(vcpu_get(v, VCPU_DS), 0x10);
	ck_assert_uint_eq(peek(v, vcpu_get(v, VCPU_GDTR_BASE) + 8, 8), 0x00cf9b000000ffff);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RSP), 0x7ff00); /* as GRUB leaves it, for kernels that bring no stack */
	/* What a BIOS leaves in its data area; the memory that it tells is the multiboot information's mem_lower. */
	ck_assert_uint_eq(peek(v, 0x413, 2), 639);
	ck_assert_uint_eq(peek(v, peek(v, 0x40e, 2) << 4, 1), 1);
	ck_assert_uint_eq(peek(v, 0x400, 2), 0x3f8);
	ck_assert_uint_eq(peek(v, info, 4) & 0x24d, 0x24d);
	ck_assert_uint_eq(peek(v, info + 4, 4), 639);
	ck_assert_uint_eq(peek(v, info + 8, 4), MEMORY / 1024 - 1024);
	check_text(v, peek(v, info + 16, 4), "one two");
	ck_assert_uint_eq(peek(v, info + 20, 4), 1);
	modules = peek(v, info + 24, 4);
	ck_assert_uint_eq(peek(v, modules, 4) & 0xfff, 0);
	ck_assert_uint_eq(peek(v, modules + 4, 4) - peek(v, modules, 4), 3);
	check_text(v, peek(v, modules, 4), "ab");
	check_text(v, peek(v, modules + 8, 4), "a module");
	map = peek(v, info + 48, 4);
	ck_assert_uint_eq(peek(v, map, 4), 20);
	ck_assert_uint_eq(peek(v, map + 4, 8), 0);
	ck_assert_uint_eq(peek(v, map + 20, 4), 1);
	check_text(v, peek(v, info + 64, 4), "libvcpu");
}

static const struct vcpu_config with_module = { .append = "one two", .initrd = "a module", .initrd_data = "ab",
	.initrd_size = 3 };

START_TEST(multiboot_elf)
{
	u8 f[ELF_SIZE];
	vcpu *v;

	make_elf(f, false);
	add_multiboot(f + 0x1c0, 3);
	v = boot(f, sizeof f, with_module);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x100010);
	ck_assert_uint_eq(peek(v, 0x1000f8, 8), 0xf4f4f4f4f4f4f4f4);
	ck_assert_uint_eq(peek(v, 0x100100, 8), 0);
	check_multiboot(v);
	vcpu_free(v);
	make_elf(f, true); /* QEMU refuses it, too; unless there is another way in */
	add_multiboot(f + 0x1c0, 3);
	refused(f, sizeof f, with_module, "64-bit ELF with a multiboot 1 header");
	add_pvh(f);
	v = boot(f, sizeof f, with_module);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x100020);
	vcpu_free(v);
}
END_TEST

START_TEST(multiboot_addresses)
{
	u8 f[0x400] = { 0 };
	vcpu *v;

	add_multiboot(f + 0x40, 0x10003);
	put32(f + 0x4c, 0x200040); /* header */
	put32(f + 0x50, 0x200010); /* load: from offset 10h */
	put32(f + 0x54, 0x200200);
	put32(f + 0x58, 0x201000);
	put32(f + 0x5c, 0x200100);
	memset(f + 0x100, 0x90, 0x300);
	v = boot(f, sizeof f, with_module);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x200100);
	ck_assert_uint_eq(peek(v, 0x200040, 4), 0x1badb002);
	ck_assert_uint_eq(peek(v, 0x2001fc, 8), 0x90909090);
	check_multiboot(v);
	vcpu_free(v);
	put32(f + 0x54, 0x200800);
	refused(f, sizeof f, with_module, "truncated");
	put32(f + 0x54, 0x200200);
	put32(f + 0x58, 0xfffff000);
	refused(f, sizeof f, with_module, "no room");
	put32(f + 0x58, 0x201000);
	put32(f + 0x50, 0x200050);
	refused(f, sizeof f, with_module, "header");
	put32(f + 0x50, 0x200010);
	put32(f + 0x5c, 0x300000);
	refused(f, sizeof f, with_module, "entry");
	add_multiboot(f + 0x40, 0x10103);
	refused(f, sizeof f, with_module, "0100");
	add_multiboot(f + 0x40, 3);
	refused(f, sizeof f, with_module, "no ELF");
}
END_TEST

/* A multiboot 2 header at AT, with LEN bytes of TAGS and an end tag. */
static void add_multiboot2(u8 *at, const void *tags, u32 len)
{
	memcpy(at + 16, tags, len);
	put64(at + 16 + len, (u64)8 << 32);
	put32(at, 0xe85250d6);
	put32(at + 4, 0);
	put32(at + 8, 24 + len);
	put32(at + 12, -(0xe85250d6 + 24 + len));
}

/* The data of the first tag of this type in the information of multiboot 2; 0: there is none. */
static u64 find_tag(const vcpu *v, u32 type)
{
	u64 info = vcpu_get(v, VCPU_RBX), end = info + peek(v, info, 4);

	ck_assert_uint_eq(info & 7, 0);
	for (u64 at = info + 8; at < end; at += (peek(v, at + 4, 4) + 7) & ~(u64)7) {
		if (peek(v, at, 4) == type)
			return at + 8;
		if (!peek(v, at, 4)) {
			ck_assert_uint_eq(at + 8, end);
			return 0;
		}
	}
	ck_abort_msg("there is no end tag");
}

/* Multiboot2 Specification 2.0, 3.3 and 3.6 */
static void check_multiboot2(const vcpu *v)
{
	u64 module = find_tag(v, 3), map = find_tag(v, 6);

	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x36d76289);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR0) & 0x80000001, 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RFLAGS) & 0x20200, 0);
	ck_assert_uint_eq(v->cpu->seg[CS].limit, 0xffffffff);
	check_text(v, find_tag(v, 1), "one two");
	check_text(v, find_tag(v, 2), "libvcpu");
	ck_assert_uint_eq(peek(v, module, 4) & 0xfff, 0);
	ck_assert_uint_eq(peek(v, module + 4, 4) - peek(v, module, 4), 3);
	check_text(v, peek(v, module, 4), "ab");
	check_text(v, module + 8, "a module");
	ck_assert_uint_eq(peek(v, find_tag(v, 4), 4), 639);
	ck_assert_uint_eq(peek(v, find_tag(v, 4) + 4, 4), MEMORY / 1024 - 1024);
	ck_assert_uint_eq(peek(v, map, 8), 24);
	ck_assert_uint_eq(peek(v, map - 4, 4), 16 + 24 * 4);
	ck_assert_uint_eq(peek(v, map + 8, 8), 0);
	ck_assert_uint_eq(peek(v, map + 24, 4), 1);
	ck_assert_uint_eq(peek(v, find_tag(v, 14), 8), 0x2052545020445352);
}

/* Three sections behind an ELF of SIZE bytes: none, one that the segment has, one that it has not. */
static size_t add_sections(u8 *f, size_t size, bool wide)
{
	unsigned len = wide ? 64 : 40, at = wide ? 16 : 12, offset = wide ? 24 : 16, bytes = wide ? 32 : 20;

	memset(f + size, 0, 3 * len);
	put_size(f + (wide ? 40 : 32), wide ? 8 : 4, size);
	put16(f + (wide ? 58 : 46), (u16)len);
	put16(f + (wide ? 60 : 48), 3);
	put16(f + (wide ? 62 : 50), 2);
	for (unsigned i = 1; i < 3; i++) {
		u8 *p = f + size + i * len;

		put32(p + 4, i);
		put32(p + at, i == 1 ? 0xc0100000 : 0);
		put32(p + offset, i == 1 ? 0x200 : 0x1d8);
		put32(p + bytes, i == 1 ? 0x100 : 8);
	}
	memcpy(f + 0x1d8, "\0.names", 8);
	return size + 3 * len;
}

START_TEST(multiboot2_elf)
{
	static const u8 optional[32] = {
		99, 0, 1, 0, 12, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0, 21
	};
	bool wide = _i;
	u8 f[ELF_SIZE + 3 * 64], *table = f + ELF_SIZE;
	size_t size, header = wide ? 64 : 40;
	u64 sections, names;
	vcpu *v;

	make_elf(f, wide);
	size = add_sections(f, ELF_SIZE, wide);
	add_multiboot2(f + 0x1a0, optional, 32);
	v = boot(f, size, with_module);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x100010);
	check_multiboot2(v);
	ck_assert_uint_eq(find_tag(v, 8), 0);
	sections = find_tag(v, 9);
	ck_assert_uint_eq(peek(v, sections, 8), header << 32 | 3);
	ck_assert_uint_eq(peek(v, sections + 8, 4), 2);
	ck_assert_uint_eq(peek(v, sections + 12 + header + (wide ? 16 : 12), 4), 0xc0100000);
	names = peek(v, sections + 12 + 2 * header + (wide ? 16 : 12), 4);
	check_text(v, names + 1, ".names");
	vcpu_free(v);
	put32(table + 2 * header + (wide ? 32 : 20), 0x1000);
	refused(f, size, with_module, "section 2 has 4096 bytes at offset 472");
	put16(f + (wide ? 60 : 48), 4);
	refused(f, size, with_module, "4 section headers");
}
END_TEST

static const u8 with_addresses[] = {
	/* header load end bss */
	2, 0, 0, 0, 24, 0, 0, 0, 0x40, 0, 0x20, 0, 0x10, 0, 0x20, 0, 0, 2, 0x20, 0, 0, 0x10, 0x20, 0,
	3, 0, 0, 0, 12, 0, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, /* entry */
	10, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0x10, 0, 0xff, 0xff, 0xff, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, /* relocatable */
};

START_TEST(multiboot2_addresses)
{
	u8 f[0x400] = { 0 };
	vcpu *v;

	memset(f + 0x100, 0x90, 0x300);
	add_multiboot2(f + 0x40, with_addresses, sizeof with_addresses);
	v = boot(f, sizeof f, with_module);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x200100);
	ck_assert_uint_eq(peek(v, 0x200040, 4), 0xe85250d6);
	ck_assert_uint_eq(peek(v, 0x2001fc, 8), 0x90909090);
	ck_assert_uint_eq(peek(v, find_tag(v, 21), 4), 0x200010);
	check_multiboot2(v);
	vcpu_free(v);
	put32(f + 0x50 + 12, ~(u32)0); /* from the beginning of the file */
	v = boot(f, sizeof f, with_module);
	ck_assert_uint_eq(peek(v, 0x200040, 4), 0xe85250d6);
	ck_assert_uint_eq(peek(v, find_tag(v, 21), 4), 0x200000);
	vcpu_free(v);
	put32(f + 0x50 + 40 + 8, 0x300000);
	refused(f, sizeof f, with_module, "allows 300000h to ffffffh only");
	put32(f + 0x50 + 24 + 8, 0x300000);
	refused(f, sizeof f, with_module, "entry point 300000h");
	put16(f + 0x50 + 24, 6);
	refused(f, sizeof f, with_module, "no entry");
	put16(f + 0x50, 6);
	refused(f, sizeof f, with_module, "no addresses");
}
END_TEST

START_TEST(multiboot2_refusals)
{
	static const struct { u8 tag[24]; const char *says; } bad[] = {
		{ { 11, 0, 0, 0, 8 }, "a tag of type 11 and 8 bytes at offset 432, which is unknown" },
		{ { 5, 0, 0, 0, 12 }, "a tag of type 5 and 12 bytes at offset 432, which is too short" },
		{ { 1, 0, 1, 0, 0xff }, "a tag of type 1 and 255 bytes at offset 432, which ends behind it" },
		{ { 99, 0, 1, 0, 4 }, "a tag of type 99 and 4 bytes" },
		{ { 1, 0, 0, 0, 12, 0, 0, 0, 22 }, "information of type 22" },
		{ { 5, 0, 0, 0, 20 }, "wants a display" },
		{ { 4, 0, 0, 0, 12, 0, 0, 0, 1 }, "wants a display" },
	};
	static u8 f[0x9000];

	make_elf(f, true);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		u32 len = (bad[i].tag[4] + 7u) & ~7u;

		add_multiboot2(f + 0x1a0, bad[i].tag, len < 24 ? len : 24);
		refused(f, ELF_SIZE, (struct vcpu_config){ 0 }, bad[i].says);
	}
	add_multiboot2(f + 0x1a0, "", 0);
	put16(f + 0x1b0, 6);
	refused(f, ELF_SIZE, (struct vcpu_config){ 0 }, "no end tag");
	put32(f + 0x1ac, 7);
	refused(f, ELF_SIZE, (struct vcpu_config){ 0 }, "the checksum is 7; it must be 17adaf12");
	add_multiboot2(f + 0x1a0, "", 0);
	put32(f + 0x1a4, 4);
	put32(f + 0x1ac, -(0xe85250d6 + 4 + 24));
	refused(f, ELF_SIZE, (struct vcpu_config){ 0 }, "architecture 4, MIPS");
	make_elf(f, true);
	add_multiboot2(f + 0x1a4, "", 0);
	refused(f, ELF_SIZE, (struct vcpu_config){ 0 }, "offset 420, which is not a multiple of 8");
	make_elf(f, true);
	add_multiboot2(f + 0x2f0, "", 0);
	refused(f, ELF_SIZE, (struct vcpu_config){ 0 }, "has 24 bytes, and the file has 16");
	make_elf(f, true);
	add_multiboot2(f + 0x7ff0, "", 0);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "not within the first 32768 bytes");
	memset(f + 0x7ff0, 0, 32);
	add_multiboot2(f + 0x7fe8, "", 0);
	vcpu_free(boot(f, sizeof f, (struct vcpu_config){ 0 }));
	refused(f, sizeof f, (struct vcpu_config){ .cpu = "286", .memory = 8 * MiB }, "386 or later");
}
END_TEST

START_TEST(pvh)
{
	u8 f[ELF_SIZE];
	u64 info, map;
	vcpu *v;

	make_elf(f, true);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "neither");
	add_pvh(f);
	v = boot(f, sizeof f, with_module);
	info = vcpu_get(v, VCPU_RBX);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x100020);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR0) & 0x80000001, 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR4), 0);
	ck_assert_uint_eq(v->cpu->seg[TR].limit, 0x67);
	ck_assert_uint_eq(peek(v, info, 4), 0x336ec578);
	ck_assert_uint_eq(peek(v, info + 4, 4), 1);
	ck_assert_uint_eq(peek(v, info + 12, 4), 1);
	check_text(v, peek(v, peek(v, info + 16, 8), 8), "ab");
	ck_assert_uint_eq(peek(v, peek(v, info + 16, 8) + 8, 8), 3);
	check_text(v, peek(v, info + 24, 8), "one two");
	ck_assert_uint_eq(peek(v, peek(v, info + 32, 8), 8), 0x2052545020445352);
	map = peek(v, info + 40, 8);
	ck_assert_uint_ge(peek(v, info + 48, 4), 3);
	ck_assert_uint_eq(peek(v, map, 8), 0);
	ck_assert_uint_eq(peek(v, map + 16, 4), 1);
	vcpu_free(v);
}
END_TEST

START_TEST(elf_refusals)
{
	u8 f[ELF_SIZE];

	make_elf(f, false);
	add_multiboot(f + 0x1c0, 0);
	put32(f + 64, 0xa0000);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "a0000h");
	put32(f + 64, 0xfffffff0);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "no room");
	put32(f + 64, 0x100000);
	put32(f + 72, 0x80);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "damaged");
	put16(f + 18, 183);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "arm64");
	make_elf(f, false);
	put16(f + 44, 60000);
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "program headers");
}
END_TEST

START_TEST(flat)
{
	u8 f[512] = { 0xf4, [510] = 0x55, 0xaa };
	vcpu *v = boot(f, sizeof f, (struct vcpu_config){ .cpu = "8086", .memory = MiB });

	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7c00);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CS), 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RDX), 0x80);
	ck_assert_uint_eq(peek(v, 4 * 0x13, 4), 0xf000ff53);
	ck_assert_uint_eq(peek(v, 0xfff53, 1), 0xcf);
	vcpu_free(v);
	f[510] = 0;
	refused(f, sizeof f, (struct vcpu_config){ 0 }, "not a kernel");
	refused(f, 0, (struct vcpu_config){ 0 }, "empty");
	refused("\x1f\x8b", 2, (struct vcpu_config){ 0 }, "gzip");
}
END_TEST

/* ---- images that lie ---- */

static u64 random64(u64 *seed)
{
	u64 x = *seed += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Load the image into V, and see that it either works or says one line. */
static void attempt(vcpu *v, const u8 *f, size_t size)
{
	struct vcpu_config config = {
		.kernel_data = f, .kernel_size = size, .append = "a", .initrd_data = "b", .initrd_size = 1
	};
	char *error = NULL;

	boot_free(&v->boot);
	if (boot_read(&v->boot, &config, v->memory, NULL, &error) && machine_reset(v, &error)) {
		ck_assert_ptr_null(error);
		vcpu_run(v, 10);
		return;
	}
	ck_assert_ptr_nonnull(error);
	ck_assert_ptr_null(strchr(error, '\n'));
	ck_assert_uint_gt(strlen(error), 10);
	free(error);
}

START_TEST(mutations)
{
	vcpu *v = boot(NULL, 0, (struct vcpu_config){ .memory = 32 * MiB });
	static u8 f[LINUX_SIZE], g[LINUX_SIZE];
	u64 seed = (u64)_i;
	size_t size = _i ? ELF_SIZE : LINUX_SIZE, header = _i ? 0x210 : 0x270, from = _i ? 0 : 0x1f0;

	if (_i == 0) {
		make_linux(f);
	} else if (_i == 3) {
		memset(f, 0, sizeof f);
		add_multiboot(f + 0x40, 0x10003);
		put32(f + 0x4c, 0x200040);
		put32(f + 0x50, 0x200010);
		put32(f + 0x5c, 0x200100);
	} else if (_i > 3) {
		make_elf(f, _i == 5);
		size = add_sections(f, size, _i == 5);
		add_multiboot2(f + 0x190, with_addresses + 40, 24);
	} else {
		make_elf(f, _i == 2);
		if (_i == 1)
			add_multiboot(f + 0x1c0, 3);
		else
			add_pvh(f);
	}
	for (size_t n = 1; n < size; n += n < 0x300 ? 1 : 37) {
		u8 *exact = malloc(n); /* so that a sanitizer sees a read beyond it */

		memcpy(exact, f, n);
		attempt(v, exact, n);
		free(exact);
	}
	for (unsigned round = 0; round < 3000; round++) {
		static const u64 edges[] = { 0,          1,          0x7f,       0x80,        0xff,
					     0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~(u64)0,
					     0x9ffff,    0x100000,   0xfffff };

		memcpy(g, f, size);
		for (u64 n = 1 + random64(&seed) % 4; n; n--) {
			size_t at = from + random64(&seed) % (header - from);

			if (random64(&seed) & 1)
				g[at] ^= 1u << (random64(&seed) & 7);
			else
				put_size(g + at, 1u << (random64(&seed) & 3),
					 edges[random64(&seed) % ARRAY_LEN(edges)]);
		}
		attempt(v, g, size);
	}
	vcpu_free(v);
}
END_TEST

START_TEST(noise)
{
	vcpu *v = boot(NULL, 0, (struct vcpu_config){ .memory = 16 * MiB });
	static u8 f[4096];
	u64 seed = 1;

	for (unsigned round = 0; round < 500; round++) {
		size_t size = 1 + random64(&seed) % sizeof f;

		for (size_t i = 0; i < size; i++)
			f[i] = (u8)random64(&seed);
		attempt(v, f, size);
	}
	vcpu_free(v);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("load");
	TCase *tcase = tcase_create("load");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, linux_64);
	tcase_add_test(tcase, linux_32);
	tcase_add_test(tcase, linux_refusals);
	tcase_add_test(tcase, linux_real_mode);
	tcase_add_test(tcase, multiboot_elf);
	tcase_add_test(tcase, multiboot_addresses);
	tcase_add_loop_test(tcase, multiboot2_elf, 0, 2);
	tcase_add_test(tcase, multiboot2_addresses);
	tcase_add_test(tcase, multiboot2_refusals);
	tcase_add_test(tcase, pvh);
	tcase_add_test(tcase, elf_refusals);
	tcase_add_test(tcase, flat);
	tcase_add_loop_test(tcase, mutations, 0, 6);
	tcase_add_test(tcase, noise);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
