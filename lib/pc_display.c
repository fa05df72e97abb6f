/* SPDX-License-Identifier: MIT */
/* The display adapter: its memory, its BIOS. */
#include <errno.h>
#include <stdio.h>
#include "mem/base/compat/file.h"
#include "io/disk/store.h"
#include "io/display/vga.h"
#include "lib/pc.h"

#define ROM_SIZE (64 * KiB)
#define ROM_FILE "/usr/share/seabios/vgabios-stdvga.bin" /* Debian's package seabios */

static void vga_kind_free(void *device) { vga_free(device); }
static void vga_kind_refresh(void *device) { vga_refresh(device); }
static struct part vga_kind_part(void *device) { return vga_part(device); }
static void vga_kind_reset(void *device) { vga_reset(device); }
static const struct device_kind vga_kind = { vga_kind_free, vga_kind_refresh, vga_kind_part, vga_kind_reset };

static bool unreadable(struct pc *pc, int number)
{
	char text[DISK_ERROR_MAX];

	store_errno(text, number, "read", ROM_FILE);
	return error_set(pc->error, "%s", text);
}

/* The video BIOS, into *OUT. A machine can do without. False: the host cannot read it (with the error's text), or has
 * no memory. */
static bool read_rom(struct pc *pc, struct ram **out)
{
	FILE *file = fopen(ROM_FILE, OPEN_TO_READ);
	struct ram *rom;
	size_t size;
	int number;

	if (!file)
		return errno == ENOENT || errno == EACCES || unreadable(pc, errno);
	rom = ram_new(ROM_SIZE);
	size = rom ? fread(rom->host, 1, ROM_SIZE, file) : 0;
	number = ferror(file) ? errno : 0;
	fclose(file);
	if (!rom || !machine_add_block(pc->v, 0, rom, false))
		return false;
	if (number)
		return unreadable(pc, number);
	for (u64 at = 0; at < size; at += PAGE_SIZE)
		ram_flag(rom, at >> PAGE_SHIFT, PAGE_DIRTY);
	*out = rom;
	return true;
}

/* Its 8 x 16 font, which begins like that of every PC: nothing, a face. */
static const u8 *find_font(const struct ram *rom)
{
	static const u8 first[31] = { [17] = 0, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e };

	for (u64 at = 0; rom && at + 256 * 16 <= rom->size; at++)
		if (!memcmp(rom->host + at, first, sizeof first))
			return rom->host + at;
	return NULL;
}

bool pc_build_display(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct ram *vram, *rom = NULL;

	if (!v->display)
		return true;
	vram = ram_new(VGA_RAM);
	if (!vram || !machine_add_block(v, 0, vram, false))
		return false;
	if (!read_rom(pc, &rom) || !pc_add(pc, &vga_kind, pc->vga = vga_new(&v->io, &v->mem, &v->clock, vram)))
		return false;
	if (!v->boot.bios.data)
		vga_start_in_text_mode(pc->vga, find_font(rom));
	return vga_attach(pc->vga, pc->pci, DISPLAY_SLOT, rom);
}
