/* SPDX-License-Identifier: MIT */
/* The planes of the VGA (IBM VGA/XGA Technical Reference; limits: vga.h), as the processor sees them between A0000h
 * and BFFFFh.
 *
 *     byte --rotate--+--set/reset--+--logic--+--bit mask--+--map mask--> four planes
 *                                  |   ^          ^
 *                                  latches (filled by every read) */
#include "io/display/vga_chip.h"

#define WINDOW 0xa0000u
#define WINDOW_SIZE 0x20000u

static u32 bank(const struct vga *vga)
{
	return vga->vbe[VBE_ENABLE] & VBE_ENABLED ? (u32)vga->vbe[VBE_BANK] << 16 : 0;
}

/* Graphics register 6, bits 3 and 2: A0000h 128 KiB, A0000h 64 KiB, B0000h 32 KiB, B8000h 32 KiB. False: not our
 * address. */
static bool decode(const struct vga *vga, u64 at, u32 *address)
{
	static const struct {
		u32 base, size;
	} map[4] = { { 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 } };
	unsigned which = vga->gfx[GFX_MISC] >> 2 & 3;

	*address = (u32)at - map[which].base;
	if (!(vga->misc & MISC_RAM) || *address >= map[which].size || vbe_packed(vga))
		return false;
	*address += bank(vga);
	return true;
}

/* Decoded instructions in this page, if there are any, have been seen through the linear memory or through the window.
 * */
static void tell_code(struct vga *vga, u64 offset, unsigned len)
{
	struct ram *ram = vga->wire.vram;
	const struct pci_bar *linear = &vga->pci.bars[0];

	if (!(ram->pages[offset >> PAGE_SHIFT] & PAGE_CODE) || !ram->written)
		return;
	if (linear->range >= 0)
		ram->written(ram->owner, linear->placed + offset, len);
	if (vga->window >= 0 && offset - vga->window_offset < 0x10000)
		ram->written(ram->owner, WINDOW + offset - vga->window_offset, len);
}

/* VALUE into the planes of PLANES at offset O. */
static void store(struct vga *vga, u32 o, unsigned planes, u32 value)
{
	struct ram *ram = vga->wire.vram;
	u64 at = 4 * (u64)(o & (VGA_RAM / 4 - 1));
	u32 mask = vga_expand(planes), old = get32(ram->host + at);

	put32(ram->host + at, (old & ~mask) | (value & mask));
	ram_flag(ram, at >> PAGE_SHIFT, PAGE_DIRTY);
	tell_code(vga, at, 4);
}

static u8 rotated(const struct vga *vga, u8 byte)
{
	unsigned n = vga->gfx[GFX_ROTATE] & 7;

	return (u8)(byte >> n | byte << (8 - n));
}

/* What the graphics controller makes of BYTE, for all planes (GFX_MODE bits 1 and 0: the write mode). */
static u32 compose(const struct vga *vga, u8 byte)
{
	u32 value, mask = vga->gfx[GFX_BIT_MASK] * 0x01010101u;
	u32 set = vga_expand(vga->gfx[GFX_SET_RESET]), enable = vga_expand(vga->gfx[GFX_ENABLE_SET_RESET]);

	switch (vga->gfx[GFX_MODE] & 3) {
	case 0:
		value = (rotated(vga, byte) * 0x01010101u & ~enable) | (set & enable);
		break;
	case 1:
		return vga->latch;
	case 2:
		value = vga_expand(byte);
		break;
	default:
		value = set;
		mask &= rotated(vga, byte) * 0x01010101u;
		break;
	}
	switch (vga->gfx[GFX_ROTATE] >> 3 & 3) {
	case 1: value &= vga->latch; break;
	case 2: value |= vga->latch; break;
	case 3: value ^= vga->latch; break;
	}
	return (value & mask) | (vga->latch & ~mask);
}

static void write_byte(struct vga *vga, u32 address, u8 byte)
{
	unsigned planes = vga->seq[SEQ_MAP_MASK];

	if (vga->seq[SEQ_MEMORY] & SEQ_CHAIN4) {
		planes &= 1u << (address & 3);
		address &= ~3u;
	} else if (!(vga->seq[SEQ_MEMORY] & SEQ_NO_ODD_EVEN)) {
		planes &= address & 1 ? 0xa : 0x5;
		address &= ~1u;
	}
	if (planes)
		store(vga, address, planes, compose(vga, byte));
}

/* Which bits have the colour of GFX_COMPARE in the planes that GFX_DONT_CARE cares for. */
static u8 compare(const struct vga *vga)
{
	u32 differ = (vga->latch ^ vga_expand(vga->gfx[GFX_COMPARE])) & vga_expand(vga->gfx[GFX_DONT_CARE]);

	differ |= differ >> 16;
	return (u8)~(differ | differ >> 8);
}

static u8 read_byte(struct vga *vga, u32 address)
{
	unsigned plane = vga->gfx[GFX_READ_MAP];

	if (vga->seq[SEQ_MEMORY] & SEQ_CHAIN4) {
		plane = address & 3;
		address &= ~3u;
	} else if (vga->gfx[GFX_MODE] & GFX_ODD_EVEN) {
		plane = (plane & 2) | (address & 1);
		address &= ~1u;
	}
	vga->latch = vga_planes(vga, address);
	return vga->gfx[GFX_MODE] & GFX_READ_COMPARE ? compare(vga) : (u8)(vga->latch >> 8 * plane);
}

static u64 read_memory(void *owner, u64 offset, unsigned size)
{
	u64 value = 0;
	u32 address;

	for (unsigned i = 0; i < size; i++)
		value |= (u64)(decode(owner, offset + i, &address) ? read_byte(owner, address) : 0xff) << (8 * i);
	return value;
}

static void write_memory(void *owner, u64 offset, unsigned size, u64 value)
{
	u32 address;

	for (unsigned i = 0; i < size; i++)
		if (decode(owner, offset + i, &address))
			write_byte(owner, address, (u8)(value >> (8 * i)));
}

const struct device_ops vga_memory_ops = { read_memory, write_memory, 1, 8 };

/* The packed modes of the display interface know no graphics controller: bytes go as they are to where they lie. */
void vga_place_window(struct vga *vga)
{
	bool wanted = vbe_packed(vga);
	u32 offset = bank(vga) & (VGA_RAM - 1);

	if (vga->window >= 0 && wanted && offset == vga->window_offset)
		return;
	if (vga->window >= 0)
		space_remove(vga->wire.mem, vga->window);
	vga->window =
		wanted ? space_add_ram(vga->wire.mem, "vga window", WINDOW, 0x10000, vga->wire.vram, offset, false)
		       : -1;
	space_rank(vga->wire.mem, vga->window, 1);
	vga->window_offset = offset;
}
