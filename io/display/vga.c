/* SPDX-License-Identifier: MIT */
/* The VGA's registers (IBM VGA/XGA Technical Reference; limits: vga.h): sequencer, graphics controller, CRTC,
 * attribute controller, DAC; where they are in ports and memory. */
#include <stdlib.h>
#include "io/display/vga_chip.h"

static const struct field vga_fields[] = {
	FIELD(struct vga, misc, U8), FIELD(struct vga, feature, U8),
	FIELD(struct vga, seq_index, U8), FIELDS(struct vga, seq, U8),
	FIELD(struct vga, gfx_index, U8), FIELDS(struct vga, gfx, U8),
	FIELD(struct vga, crtc_index, U8), FIELDS(struct vga, crtc, U8),
	FIELD(struct vga, attr_index, U8), FIELDS(struct vga, attr, U8), FIELD(struct vga, attr_data, BOOL),
	FIELD(struct vga, dac_address, U8), FIELD_MAX(struct vga, dac_count, U8, 2), FIELD(struct vga, dac_state, U8),
	FIELDS(struct vga, dac_latch, U8), FIELD(struct vga, dac_mask, U8), FIELDS(struct vga, dac, U8),
	FIELD(struct vga, latch, U32),
	FIELD(struct vga, vbe_index, U16), FIELDS(struct vga, vbe, U16), FIELD(struct vga, vbe_low, U8),
	FIELD_END
};

/* Bits that exist. */
static const u8 seq_mask[5] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const u8 gfx_mask[9] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const u8 attr_mask[5] = { 0xef, 0xff, 0x3f, 0x0f, 0x0f }; /* from 10h; the palette has six */

/* ---- time ---- */

static u32 dot_clock(const struct vga *vga) { return (vga->misc >> 2 & 3) == 1 ? 28322000 : 25175000; }
/* Dots of a character; of a line. */
static u32 character(const struct vga *vga)
{
	return (vga->seq[SEQ_CLOCKING] & SEQ_8_DOTS ? 8 : 9) << (vga->seq[SEQ_CLOCKING] & SEQ_HALF_CLOCK ? 1 : 0);
}
static u32 whole_line(const struct vga *vga) { return (vga->crtc[CRTC_H_TOTAL] + 5) * character(vga); }

u64 vga_beam(const struct vga *vga, u64 now, u32 *x, u32 *y)
{
	const u8 *crtc = vga->crtc;
	u32 line = whole_line(vga);
	u32 frame = (crtc[CRTC_V_TOTAL] | (crtc[CRTC_OVERFLOW] & 1) << 8 | (crtc[CRTC_OVERFLOW] & 0x20) << 4) + 2;
	u64 dots = clock_ticks(now, dot_clock(vga)), at = dots % ((u64)line * frame);

	*x = (u32)(at % line) / character(vga);
	*y = (u32)(at / line);
	return dots / ((u64)line * frame);
}

/* Input status 1: bit 3 vertical retrace, bit 0 nothing is displayed. */
static u8 status(const struct vga *vga)
{
	u8 over = vga->crtc[CRTC_OVERFLOW];
	u32 retrace = vga->crtc[CRTC_V_RETRACE] | (over & 4) << 6 | (over & 0x80) << 2, x, y;
	u64 dots = clock_ticks(vga->wire.clock->now, dot_clock(vga));
	u32 line = whole_line(vga), shown = (vga->crtc[CRTC_H_DISPLAY] + 1) * character(vga),
	    in_line = (u32)(dots % line);
	bool in_retrace;

	vga_beam(vga, vga->wire.clock->now, &x, &y);
	clock_steady(vga->wire.clock,
		     clock_ns(dots - in_line + (in_line < shown && shown < line ? shown : line), dot_clock(vga)));
	in_retrace = y >= retrace && y - retrace < ((vga->crtc[CRTC_V_RETRACE_END] - retrace) & 15);
	return (u8)(in_retrace << 3 | (y >= vga_lines(vga) || x > vga->crtc[CRTC_H_DISPLAY]));
}

/* ---- ports ---- */

static void write_attribute(struct vga *vga, u8 value)
{
	unsigned index = vga->attr_index & 0x1f;

	if (!vga->attr_data)
		vga->attr_index = value & 0x3f;
	else if (index < ATTR_MODE)
		vga->attr[index] = value & 0x3f;
	else if (index < ATTR_REGISTERS)
		vga->attr[index] = value & attr_mask[index - ATTR_MODE];
	vga->attr_data = !vga->attr_data;
}

/* Bit 7 of register 11h locks the first eight, but for the bit of the line compare. */
static void write_crtc(struct vga *vga, u8 value)
{
	unsigned index = vga->crtc_index;

	if (index >= CRTC_REGISTERS)
		return;
	if (index <= CRTC_OVERFLOW && (vga->crtc[CRTC_V_RETRACE_END] & 0x80)) {
		if (index == CRTC_OVERFLOW)
			vga->crtc[index] = (vga->crtc[index] & ~0x10) | (value & 0x10);
		return;
	}
	vga->crtc[index] = value;
}

static u8 dac_bits(const struct vga *vga)
{
	return vga->vbe[VBE_ENABLE] & VBE_8_BIT_DAC ? 0xff : 0x3f;
}

/* Reading prefetches: the address is then already that of the next colour. */
static void dac_fetch(struct vga *vga)
{
	memcpy(vga->dac_latch, vga->dac + 3 * vga->dac_address++, 3);
	vga->dac_count = 0;
}

static u8 read_dac(struct vga *vga)
{
	u8 value = vga->dac_latch[vga->dac_count];

	if (++vga->dac_count == 3)
		dac_fetch(vga);
	return value;
}

static void write_dac(struct vga *vga, u8 value)
{
	vga->dac_latch[vga->dac_count] = value & dac_bits(vga);
	if (++vga->dac_count < 3)
		return;
	memcpy(vga->dac + 3 * vga->dac_address++, vga->dac_latch, 3);
	vga->dac_count = 0;
}

/* The CRTC and input status 1 are at 3Dxh or at 3Bxh (miscellaneous output, bit 0). */
static bool decoded(const struct vga *vga, unsigned port)
{
	return port >= 0x3c0 && port < 0x3d0 ? true : (port >= 0x3d0) == (vga->misc & MISC_COLOR);
}

u8 vga_port_read(struct vga *vga, unsigned port)
{
	unsigned index = vga->attr_index & 0x1f;

	if (!decoded(vga, port))
		return 0xff;
	switch (port) {
	case 0x3c0: return vga->attr_index;
	case 0x3c1: return index < ATTR_REGISTERS ? vga->attr[index] : 0;
	case 0x3c2: return 0x10; /* input status 0: a monitor is there */
	case 0x3c4: return vga->seq_index;
	case 0x3c5: return vga->seq_index < sizeof vga->seq ? vga->seq[vga->seq_index] : 0;
	case 0x3c6: return vga->dac_mask;
	case 0x3c7: return vga->dac_state;
	case 0x3c8: return vga->dac_address;
	case 0x3c9: return read_dac(vga);
	case 0x3ca: return vga->feature;
	case 0x3cc: return vga->misc;
	case 0x3ce: return vga->gfx_index;
	case 0x3cf: return vga->gfx_index < sizeof vga->gfx ? vga->gfx[vga->gfx_index] : 0;
	case 0x3b4: case 0x3d4: return vga->crtc_index;
	case 0x3b5: case 0x3d5: return vga->crtc_index < CRTC_REGISTERS ? vga->crtc[vga->crtc_index] : 0;
	case 0x3ba: case 0x3da:
		vga->attr_data = false;
		return status(vga);
	default: return 0xff;
	}
}

void vga_port_write(struct vga *vga, unsigned port, u8 value)
{
	if (!decoded(vga, port))
		return;
	switch (port) {
	case 0x3c0: write_attribute(vga, value); break;
	case 0x3c2:
		vga->misc = value;
		vga_place_window(vga);
		break;
	case 0x3c4: vga->seq_index = value & 7; break;
	case 0x3c5:
		if (vga->seq_index < sizeof vga->seq)
			vga->seq[vga->seq_index] = value & seq_mask[vga->seq_index];
		vga_place_window(vga);
		break;
	case 0x3c6: vga->dac_mask = value; break;
	case 0x3c7:
		vga->dac_state = 3;
		vga->dac_address = value;
		dac_fetch(vga);
		break;
	case 0x3c8:
		vga->dac_state = 0;
		vga->dac_address = value;
		vga->dac_count = 0;
		break;
	case 0x3c9: write_dac(vga, value); break;
	case 0x3ce: vga->gfx_index = value & 0x0f; break;
	case 0x3cf:
		if (vga->gfx_index < sizeof vga->gfx)
			vga->gfx[vga->gfx_index] = value & gfx_mask[vga->gfx_index];
		vga_place_window(vga);
		break;
	case 0x3b4: case 0x3d4: vga->crtc_index = value & 0x1f; break;
	case 0x3b5: case 0x3d5: write_crtc(vga, value); break;
	case 0x3ba: case 0x3da: vga->feature = value & 0x0b; break;
	}
}

static u64 vga_read_port(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return vga_port_read(owner, 0x3b0 + (unsigned)offset);
}

static void vga_write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)size;
	vga_port_write(owner, 0x3b0 + (unsigned)offset, (u8)value);
}

static const struct device_ops port_ops = { vga_read_port, vga_write_port, 1, 1 };

/* BAR 2: 000h EDID (none) 400h ports 3C0h to 3DFh 500h registers of the display interface 600h size of what follows,
 * byte order */
static u64 read_registers(void *owner, u64 offset, unsigned size)
{
	struct vga *vga = owner;

	if (offset - 0x400 < 0x20)
		return vga_port_read(vga, 0x3c0 + (unsigned)(offset - 0x400)) |
		       (size == 2 ? vga_port_read(vga, 0x3c1 + (unsigned)(offset - 0x400)) << 8 : 0);
	if (offset - 0x500 < 2 * VBE_REGISTERS)
		return vbe_read(vga, (unsigned)(offset - 0x500) / 2) >> 8 * (offset & 1);
	return offset == 0x600 ? 8 : offset == 0x604 || offset == 0x606 ? 0x1e1e : 0;
}

static void write_registers(void *owner, u64 offset, unsigned size, u64 value)
{
	struct vga *vga = owner;

	if (offset - 0x400 < 0x20) {
		for (unsigned i = 0; i < size; i++)
			vga_port_write(vga, 0x3c0 + (unsigned)(offset - 0x400) + i, (u8)(value >> 8 * i));
	} else if (offset - 0x500 < 2 * VBE_REGISTERS && size == 2) {
		vbe_write(vga, (unsigned)(offset - 0x500) / 2, (u16)value);
	}
}

static const struct device_ops register_ops = { read_registers, write_registers, 1, 2 };

/* ---- life ---- */

struct vga *vga_new(struct space *ports, struct space *mem, struct clock *clock, struct ram *vram)
{
	struct vga *vga = calloc(1, sizeof *vga);

	if (!vga)
		return NULL;
	vga->wire.mem = mem;
	vga->wire.clock = clock;
	vga->wire.vram = vram;
	vga->window = -1;
	vga_reset(vga);
	pci_init(&vga->pci, "vga pci", 0x1234, 0x1111, 0x030000);
	if (space_add_device(ports, "vga", 0x3b0, 0x30, &port_ops, vga) < 0 ||
	    space_add_device(ports, "vga display interface", 0x1ce, 3, &vbe_port_ops, vga) < 0 ||
	    space_add_device(mem, "vga", 0xa0000, 0x20000, &vga_memory_ops, vga) < 0) {
		free(vga);
		return NULL;
	}
	return vga;
}

void vga_free(struct vga *vga)
{
	free(vga);
}

bool vga_attach(struct vga *vga, struct pci_bus *bus, unsigned slot, struct ram *rom)
{
	vga->pci.config[PCI_REVISION] = 2;
	pci_subsystem(&vga->pci, 0x1af4, 0x1100);
	pci_bar_ram(&vga->pci, 0, vga->wire.vram);
	pci_bar_memory(&vga->pci, 2, 4 * KiB, &register_ops, vga);
	if (rom)
		pci_bar_ram(&vga->pci, PCI_BAR_ROM, rom);
	return pci_attach(bus, &vga->pci, slot, 0);
}

void vga_refresh(struct vga *vga)
{
	vga_place_window(vga);
}

/* What a hostile snapshot could ask of the drawing and of the memory. */
static void vga_post_load(void *state)
{
	struct vga *vga = state;

	for (unsigned i = 0; i < sizeof vga->seq; i++)
		vga->seq[i] &= seq_mask[i];
	for (unsigned i = 0; i < sizeof vga->gfx; i++)
		vga->gfx[i] &= gfx_mask[i];
	vga->seq_index &= 7;
	vga->gfx_index &= 0x0f;
	vga->crtc_index &= 0x1f;
	vbe_sane(vga);
}

struct part vga_part(struct vga *vga)
{
	return (struct part){ .name = "vga", .state = vga, .fields = vga_fields, .post_load = vga_post_load };
}

/* ---- mode 3 ---- */

/* Registers as IBM's technical reference lists them for 80 x 25 characters of 9 x 16 dots. */
static const u8 text_seq[5] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
static const u8 text_crtc[CRTC_REGISTERS] = {
	0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
	0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
};
static const u8 text_gfx[9] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff };
static const u8 text_attr[ATTR_REGISTERS] = {
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00,
		0x0f, 0x08, 0x00,
};

static void text_mode(struct vga *vga)
{
	const u8 *font = vga->wire.font;
	u8 *vram = vga->wire.vram->host;

	vga->misc = 0x67;
	memcpy(vga->seq, text_seq, sizeof vga->seq);
	memcpy(vga->crtc, text_crtc, sizeof vga->crtc);
	memcpy(vga->gfx, text_gfx, sizeof vga->gfx);
	memcpy(vga->attr, text_attr, sizeof vga->attr);
	vga->attr_index = ATTR_VIDEO;
	/* 64 colours of two bits a primary: bits 5 to 3 are the weaker halves of red, green and blue, bits 2 to 0 the
	 * stronger ones. */
	for (unsigned i = 0; i < 64; i++)
		for (unsigned c = 0; c < 3; c++)
			vga->dac[3 * i + c] = (u8)((i >> (2 - c) & 1) * 42 + (i >> (5 - c) & 1) * 21);
	for (unsigned i = 0; i < 80 * 25; i++) {
		vram[8 * i] = ' ';
		vram[8 * i + 1] = 0x07;
	}
	for (unsigned i = 0; font && i < 256 * 16; i++)
		vram[4 * (i / 16 * 32 + i % 16) + 2] = font[i];
	for (u64 at = 0; at < 4 * 8192; at += PAGE_SIZE)
		ram_flag(vga->wire.vram, at >> PAGE_SHIFT, PAGE_DIRTY);
}

void vga_reset(struct vga *vga)
{
	memset(vga, 0, offsetof(struct vga, pci));
	vga->dac_mask = 0xff;
	vbe_reset(vga);
	if (vga->wire.text)
		text_mode(vga);
	vga_place_window(vga);
}

void vga_start_in_text_mode(struct vga *vga, const u8 *font)
{
	vga->wire.text = true;
	vga->wire.font = font;
	vga_reset(vga);
}
