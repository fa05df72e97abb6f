/* SPDX-License-Identifier: MIT */
/* The state of the VGA (IBM VGA/XGA Technical Reference), for its files: vga.c registers, vga_memory.c the planes as
 * the processor sees them, vga_draw.c the picture, vbe.c the Bochs display interface. */
#ifndef IO_VGA_CHIP_H
#define IO_VGA_CHIP_H

#include "io/display/vga.h"

/* Registers by their index, as far as code asks for them. */
enum { SEQ_CLOCKING = 1, SEQ_MAP_MASK, SEQ_FONT, SEQ_MEMORY };
enum { SEQ_EXTENDED = 0x02, SEQ_NO_ODD_EVEN = 0x04, SEQ_CHAIN4 = 0x08 /* of SEQ_MEMORY */, SEQ_8_DOTS = 0x01,
	SEQ_HALF_CLOCK = 0x08, SEQ_OFF = 0x20 };
enum { GFX_SET_RESET, GFX_ENABLE_SET_RESET, GFX_COMPARE, GFX_ROTATE, GFX_READ_MAP, GFX_MODE, GFX_MISC, GFX_DONT_CARE,
	GFX_BIT_MASK };
enum { GFX_READ_COMPARE = 0x08, GFX_ODD_EVEN = 0x10, GFX_SHIFT_INTERLEAVE = 0x20,
	GFX_SHIFT_256 = 0x40 /* of GFX_MODE */ };
enum { CRTC_H_TOTAL, CRTC_H_DISPLAY, CRTC_V_TOTAL = 6, CRTC_OVERFLOW, CRTC_PRESET_ROW, CRTC_MAX_SCAN, CRTC_CURSOR_START,
	CRTC_CURSOR_END,
       CRTC_START_HIGH, CRTC_START_LOW, CRTC_CURSOR_HIGH, CRTC_CURSOR_LOW, CRTC_V_RETRACE, CRTC_V_RETRACE_END,
       CRTC_V_DISPLAY, CRTC_OFFSET,
       CRTC_UNDERLINE, CRTC_MODE = 0x17, CRTC_LINE_COMPARE, CRTC_REGISTERS };
enum { ATTR_MODE = 0x10, ATTR_OVERSCAN, ATTR_PLANES, ATTR_PANNING, ATTR_COLOR, ATTR_REGISTERS };
enum { ATTR_GRAPHICS = 0x01, ATTR_9TH_DOT = 0x04, ATTR_BLINK = 0x08, ATTR_PAN_TOP = 0x20, ATTR_8_BIT = 0x40,
	ATTR_SPLIT = 0x80,
       ATTR_VIDEO = 0x20 /* of its index */ };
enum { MISC_COLOR = 0x01, MISC_RAM = 0x02 };

enum { VBE_ID, VBE_X, VBE_Y, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRTUAL_X, VBE_VIRTUAL_Y, VBE_X_OFFSET, VBE_Y_OFFSET,
	VBE_MEMORY, VBE_REGISTERS };
enum { VBE_ENABLED = 0x01, VBE_CAPABILITIES = 0x02, VBE_8_BIT_DAC = 0x20, VBE_LINEAR = 0x40, VBE_KEEP_MEMORY = 0x80 };

struct vga {
	u8 misc, feature;
	u8 seq_index, seq[5];
	u8 gfx_index, gfx[9];
	u8 crtc_index, crtc[CRTC_REGISTERS];
	u8 attr_index, attr[ATTR_REGISTERS];
	bool attr_data;          /* the next write to 3C0h is data */
	u8 dac_address, dac_count, dac_state /* 0 writing, 3 reading */, dac_latch[3], dac_mask, dac[768];
	u32 latch;               /* plane P in bits 8P+7..8P */
	u16 vbe_index, vbe[VBE_REGISTERS];
	u8 vbe_low;              /* first half of a write byte by byte */
	struct pci_function pci;
	/* Derived: the window that is RAM now. */
	int window;              /* its number in the space, -1: none */
	u32 window_offset;
	struct {
		struct space *mem;
		struct clock *clock;
		struct ram *vram;
		bool text;       /* a reset leaves mode 3, with this font */
		const u8 *font;
	} wire;
};

/* A byte of each plane at offset O. */
static inline u32 vga_planes(const struct vga *vga, u32 o)
{
	return get32(vga->wire.vram->host + 4 * (u64)(o & (VGA_RAM / 4 - 1)));
}

/* The four planes of MASK, as bytes of ones. */
static inline u32 vga_expand(unsigned mask)
{
	return (mask & 1) * 0xff | (mask >> 1 & 1) * 0xff00 | (mask >> 2 & 1) * 0xff0000 |
	       (mask >> 3 & 1) * 0xff000000u;
}

/* Lines of the picture: vertical display end. */
static inline u32 vga_lines(const struct vga *vga)
{
	u8 over = vga->crtc[CRTC_OVERFLOW];

	return (vga->crtc[CRTC_V_DISPLAY] | (over & 2) << 7 | (over & 0x40) << 3) + 1u;
}

/* ---- vga.c ---- */
/* Where the beam is at virtual time NOW: character clock, line; the number of the frame is returned. */
u64 vga_beam(const struct vga *vga, u64 now, u32 *x, u32 *y);
u8 vga_port_read(struct vga *vga, unsigned port);
void vga_port_write(struct vga *vga, unsigned port, u8 value);

/* ---- vga_memory.c ---- */
extern const struct device_ops vga_memory_ops; /* from A0000h */
/* Registers that decide what the window is have changed. */
void vga_place_window(struct vga *vga);

/* ---- vbe.c ---- */
extern const struct device_ops vbe_port_ops; /* from 1CEh */
u16 vbe_read(const struct vga *vga, unsigned reg);
void vbe_write(struct vga *vga, unsigned reg, u16 value);
void vbe_reset(struct vga *vga);
/* After a load: nothing that the registers cannot hold. */
void vbe_sane(struct vga *vga);
/* A mode of the interface is on whose pixels have 8 bits or more. */
static inline bool vbe_packed(const struct vga *vga)
{
	return (vga->vbe[VBE_ENABLE] & VBE_ENABLED) && vga->vbe[VBE_BPP] >= 8;
}
/* Bytes from one line to the next one (planar: of one plane). */
u32 vbe_pitch(const struct vga *vga);

#endif
