/* SPDX-License-Identifier: MIT */
/* The Bochs display interface: eleven 16-bit registers behind an index and a data port, for modes with up to 32 bits a
 * pixel, as Bochs and QEMU have it (their interface version B0C5h).
 *
 *     1CEh index   1CFh data (and 1D0h, for processors that cannot write a word to an odd address)
 *
 *     ENABLE   7 keep memory   6 linear memory   5 8-bit DAC   1 capabilities   0 enabled */
#include "io/display/vga_chip.h"

#define VERSION_FIRST 0xb0c0u
#define VERSION 0xb0c5u
#define X_MAX 2560u
#define Y_MAX 1600u

u32 vbe_pitch(const struct vga *vga)
{
	unsigned bits = vga->vbe[VBE_BPP], width = vga->vbe[VBE_VIRTUAL_X];

	return bits == 4 ? width / 8 : width * ((bits + 7) / 8);
}

static bool known_depth(unsigned bits)
{
	return bits == 4 || bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

/* How many lines of the pitch there are in memory. */
static u32 lines(const struct vga *vga)
{
	u32 room = vga->vbe[VBE_BPP] == 4 ? VGA_RAM / 4 : VGA_RAM, pitch = vbe_pitch(vga);

	return pitch && room / pitch < 0xffff ? room / pitch : 0xffff;
}

u16 vbe_read(const struct vga *vga, unsigned reg)
{
	if (reg == VBE_MEMORY)
		return VGA_RAM >> 16;
	if (reg == VBE_VIRTUAL_Y)
		return (u16)lines(vga);
	if (vga->vbe[VBE_ENABLE] & VBE_CAPABILITIES)
		switch (reg) {
		case VBE_X: return X_MAX;
		case VBE_Y: return Y_MAX;
		case VBE_BPP: return 32;
		}
	return reg < VBE_REGISTERS ? vga->vbe[reg] : 0xffff;
}

static void clear_memory(struct vga *vga)
{
	struct ram *ram = vga->wire.vram;

	for (u64 at = 0; at < ram->size; at += PAGE_SIZE) {
		memset(ram->host + at, 0, PAGE_SIZE);
		ram_touch(ram, at, PAGE_SIZE, vga->pci.bars[0].placed + at);
	}
}

static void write_enable(struct vga *vga, u16 value)
{
	bool on = (value & VBE_ENABLED) && !(vga->vbe[VBE_ENABLE] & VBE_ENABLED);

	if (on) {
		vga->vbe[VBE_VIRTUAL_X] = vga->vbe[VBE_X];
		vga->vbe[VBE_X_OFFSET] = vga->vbe[VBE_Y_OFFSET] = vga->vbe[VBE_BANK] = 0;
		if (!(value & VBE_KEEP_MEMORY))
			clear_memory(vga);
	}
	if ((value ^ vga->vbe[VBE_ENABLE]) & VBE_8_BIT_DAC)
		for (unsigned i = 0; i < sizeof vga->dac; i++)
			vga->dac[i] = value & VBE_8_BIT_DAC ? (u8)(vga->dac[i] << 2) : vga->dac[i] >> 2;
	vga->vbe[VBE_ENABLE] = value & (VBE_ENABLED | VBE_CAPABILITIES | VBE_8_BIT_DAC | VBE_LINEAR | VBE_KEEP_MEMORY);
}

void vbe_write(struct vga *vga, unsigned reg, u16 value)
{
	bool on = vga->vbe[VBE_ENABLE] & VBE_ENABLED;

	switch (reg) {
	case VBE_ID:
		if (value >= VERSION_FIRST && value <= VERSION)
			vga->vbe[reg] = value;
		break;
	case VBE_X: /* in steps of a character */
		if (!on && value && value <= X_MAX)
			vga->vbe[reg] = (u16)(value & ~7u);
		break;
	case VBE_Y:
		if (!on && value && value <= Y_MAX)
			vga->vbe[reg] = value;
		break;
	case VBE_BPP:
		if (!on && known_depth(value))
			vga->vbe[reg] = value;
		break;
	case VBE_ENABLE:
		write_enable(vga, value);
		break;
	case VBE_BANK:
		vga->vbe[reg] = value & (VGA_RAM / 65536 - 1);
		break;
	case VBE_VIRTUAL_X:
		if (value >= vga->vbe[VBE_X])
			vga->vbe[reg] = (u16)(value & ~7u);
		break;
	case VBE_X_OFFSET:
	case VBE_Y_OFFSET:
		vga->vbe[reg] = value;
		break;
	}
	vga_place_window(vga);
}

void vbe_reset(struct vga *vga)
{
	memset(vga->vbe, 0, sizeof vga->vbe);
	vga->vbe[VBE_ID] = VERSION;
	vga->vbe[VBE_BPP] = 8;
}

void vbe_sane(struct vga *vga)
{
	u16 *r = vga->vbe;

	if (!known_depth(r[VBE_BPP]))
		r[VBE_BPP] = 8;
	r[VBE_X] = (u16)((r[VBE_X] > X_MAX ? X_MAX : r[VBE_X]) & ~7u);
	r[VBE_Y] = r[VBE_Y] > Y_MAX ? Y_MAX : r[VBE_Y];
	r[VBE_BANK] &= VGA_RAM / 65536 - 1;
}

static u64 vbe_read_port(void *owner, u64 offset, unsigned size)
{
	struct vga *vga = owner;
	u16 value = vbe_read(vga, vga->vbe_index);

	if (offset == 0)
		return vga->vbe_index;
	return size == 1 && offset == 2 ? value >> 8 : value;
}

/* A word at 1CFh comes as two bytes, the low one first. */
static void vbe_write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	struct vga *vga = owner;

	if (offset == 0)
		vga->vbe_index = (u16)value;
	else if (size == 2)
		vbe_write(vga, vga->vbe_index, (u16)value);
	else if (offset == 1)
		vga->vbe_low = (u8)value;
	else
		vbe_write(vga, vga->vbe_index, (u16)(value << 8 | vga->vbe_low));
}

const struct device_ops vbe_port_ops = { vbe_read_port, vbe_write_port, 1, 2 };
