/* SPDX-License-Identifier: MIT */
/* The picture of the VGA (IBM VGA/XGA Technical Reference; limits: vga.h): CRTC addresses, shift registers,
 * attribute controller, DAC.
 *
 *     counter (one step a character clock) --byte/word/doubleword, row scan--> offset in the planes --shift registers--> 4 or 8 bits a dot
 *     --palette, colour select--> 8 bits --DAC--> colour */
#include "io/display/vga_chip.h"

#define DOTS_MAX (257 * 9)

struct colours { u32 rgb[256]; };

static u32 dac_rgb(const struct vga *vga, unsigned index)
{
	const u8 *c = vga->dac + 3 * (index & vga->dac_mask);
	u32 rgb = 0;

	for (unsigned i = 0; i < 3; i++)
		rgb = rgb << 8 |
		      (vga->vbe[VBE_ENABLE] & VBE_8_BIT_DAC ? c[i] : (c[i] & 0x3f) << 2 | (c[i] & 0x3f) >> 4);
	return rgb;
}

/* From what a dot is to what colour it has: through the palette (four bits), or past it. The bits of MASK count:
 * those of the colour planes, for each four bits that pass the attribute controller. */
static void make_colours(const struct vga *vga, struct colours *colours, bool palette, u8 mask)
{
	u8 select = vga->attr[ATTR_COLOR];

	for (unsigned i = 0; i < 256; i++) {
		unsigned index = i & mask;

		if (palette) {
			index = vga->attr[index & 0x0f] & 0x3f;
			if (vga->attr[ATTR_MODE] & ATTR_SPLIT)
				index = (index & 0x0f) | (select & 3) << 4;
			index |= (select & 0x0c) << 4;
		}
		colours->rgb[i] = dac_rgb(vga, index);
	}
}

static bool text(const struct vga *vga)
{
	return !(vga->gfx[GFX_MISC] & 1);
}

static bool eight_bits(const struct vga *vga)
{
	return !text(vga) && (vga->gfx[GFX_MODE] & GFX_SHIFT_256) && (vga->attr[ATTR_MODE] & ATTR_8_BIT);
}

static u8 plane_mask(const struct vga *vga)
{
	return (vga->attr[ATTR_PLANES] & 0x0f) * 0x11;
}

static unsigned dots(const struct vga *vga)
{
	return text(vga) && !(vga->seq[SEQ_CLOCKING] & SEQ_8_DOTS) ? 9 : 8;
}

static unsigned stretch(const struct vga *vga)
{
	return vga->seq[SEQ_CLOCKING] & SEQ_HALF_CLOCK ? 2 : 1;
}

static u32 start(const struct vga *vga)
{
	return (u32)vga->crtc[CRTC_START_HIGH] << 8 | vga->crtc[CRTC_START_LOW];
}

static unsigned row_lines(const struct vga *vga)
{
	return ((vga->crtc[CRTC_MAX_SCAN] & 0x1fu) + 1) << (vga->crtc[CRTC_MAX_SCAN] >> 7);
}

void vga_picture(const struct vga *vga, struct vga_picture *picture)
{
	const u8 *crtc = vga->crtc;
	u32 cell = ((u32)crtc[CRTC_CURSOR_HIGH] << 8 | crtc[CRTC_CURSOR_LOW]) - start(vga),
	    pitch = 2u * crtc[CRTC_OFFSET];

	*picture = (struct vga_picture){ .cursor = ~0u };
	if (vga->vbe[VBE_ENABLE] & VBE_ENABLED) {
		picture->width = vga->vbe[VBE_X];
		picture->height = vga->vbe[VBE_Y];
		return;
	}
	if (!crtc[CRTC_H_DISPLAY])
		return;
	picture->width = (crtc[CRTC_H_DISPLAY] + 1u) * dots(vga) * stretch(vga);
	picture->height = vga_lines(vga);
	if (!text(vga))
		return;
	picture->columns = crtc[CRTC_H_DISPLAY] + 1u;
	picture->rows = picture->height / row_lines(vga);
	if (pitch && !(crtc[CRTC_CURSOR_START] & 0x20) && cell / pitch < picture->rows &&
	    cell % pitch < picture->columns)
		picture->cursor = cell / pitch * picture->columns + cell % pitch;
}

/* Bits 13 and 14 of an address may be those of the row scan counter. */
static u32 row_bits(const struct vga *vga, u32 address, unsigned row)
{
	u8 mode = vga->crtc[CRTC_MODE];

	if (!(mode & 0x01))
		address = (address & ~0x2000u) | (row & 1) << 13;
	if (!(mode & 0x02))
		address = (address & ~0x4000u) | (row & 2) << 13;
	return address;
}

/* The offset in the planes that the CRTC puts out for a value of its counter. In doublewords the row's bits are the
 * counter's, so that odd lines of CGA's kind are 8 K doublewords further. */
static u32 crtc_address(const struct vga *vga, u32 counter, unsigned row)
{
	u8 mode = vga->crtc[CRTC_MODE];
	u32 address = counter & 0xffff;

	if (vga->crtc[CRTC_UNDERLINE] & 0x40) {
		address = row_bits(vga, address, row) << 2;
		if (!(vga->seq[SEQ_MEMORY] & SEQ_CHAIN4)) /* there the processor's offsets have none of these */
			address |= counter >> 12 & 3;
		return address & 0xffff;
	}
	if (!(mode & 0x40))
		address = address << 1 | (address >> (mode & 0x20 ? 15 : 13) & 1);
	return row_bits(vga, address, row) & 0xffff;
}

/* ---- text ---- */

struct blinking { bool cursor, text; }; /* what blinks is to be seen now */

u16 vga_cell(const struct vga *vga, unsigned row, unsigned column)
{
	return (u16)vga_planes(vga, crtc_address(vga, start(vga) + row * 2 * vga->crtc[CRTC_OFFSET] + column, 0));
}

/* Where plane 2 has the characters: three bits for those with attribute bit 3 set, three for the others, in an odd
 * order. */
static u32 font(const struct vga *vga, u8 attribute)
{
	u8 r = vga->seq[SEQ_FONT];
	unsigned set = attribute & 8 ? (r >> 2 & 3) | (r >> 3 & 4) : (r & 3) | (r >> 2 & 4);

	return (set & 3) << 14 | (set >> 2) << 13;
}

/* The dots of one line of a character, the leftmost in the highest bit of WIDE. */
static unsigned glyph(const struct vga *vga, u8 ch, u8 attribute, unsigned row, unsigned wide)
{
	unsigned bits = vga_planes(vga, font(vga, attribute) + ch * 32u + row) >> 16 & 0xff;

	if ((vga->crtc[CRTC_UNDERLINE] & 0x1f) == row && (attribute & 0x77) == 1)
		return ~0u;
	if (wide == 8)
		return bits;
	return bits << 1 | ((vga->attr[ATTR_MODE] & ATTR_9TH_DOT) && (ch & 0xe0) == 0xc0 ? bits & 1 : 0);
}

static void text_line(const struct vga *vga, u8 *out, unsigned count, u32 counter, unsigned row,
		      struct blinking blinking)
{
	const u8 *crtc = vga->crtc;
	u32 cursor = (u32)crtc[CRTC_CURSOR_HIGH] << 8 | crtc[CRTC_CURSOR_LOW];
	bool cursor_row = blinking.cursor && !(crtc[CRTC_CURSOR_START] & 0x20) &&
		row >= (crtc[CRTC_CURSOR_START] & 0x1fu) &&
		row <= (crtc[CRTC_CURSOR_END] & 0x1fu);
	unsigned wide = dots(vga);

	for (unsigned i = 0; i < count; i++, counter++) {
		u32 planes = vga_planes(vga, crtc_address(vga, counter, row));
		u8 attribute = (u8)(planes >> 8), front = attribute & 0x0f, back = attribute >> 4;
		unsigned bits = glyph(vga, (u8)planes, attribute, row, wide);

		if (vga->attr[ATTR_MODE] & ATTR_BLINK) {
			if ((attribute & 0x80) && !blinking.text)
				bits = 0;
			back &= 7;
		}
		if (cursor_row && (counter & 0xffff) == cursor)
			bits = ~0u;
		for (unsigned dot = wide; dot-- > 0;)
			*out++ = bits >> dot & 1 ? front : back;
	}
}

/* ---- graphics ---- */

/* Eight dots of a character clock: bit 7 first of four planes; */
static void planar_dots(u8 *out, u32 planes)
{
	for (unsigned dot = 8; dot-- > 0;)
		*out++ = (u8)((planes >> dot & 1) | (planes >> (dot + 7) & 2) | (planes >> (dot + 14) & 4) |
			(planes >> (dot + 21) & 8));
}

/* or two bits at a time, planes 0 and 2, then 1 and 3; */
static void interleaved_dots(u8 *out, u32 planes)
{
	for (unsigned half = 0; half < 2; half++, planes >>= 8)
		for (int dot = 6; dot >= 0; dot -= 2)
			*out++ = (u8)((planes >> dot & 3) | (planes >> (dot + 14) & 0x0c));
}

/* or four bits at a time, of one plane after the other; */
static void nibble_dots(u8 *out, u32 planes)
{
	for (unsigned i = 0; i < 4; i++, planes >>= 8) {
		*out++ = planes >> 4 & 0x0f;
		*out++ = planes & 0x0f;
	}
}

/* of which the attribute controller may make dots of eight bits, each two dots wide. */
static void packed_dots(u8 *out, u32 planes)
{
	for (unsigned i = 0; i < 4; i++, planes >>= 8, out += 2)
		out[0] = out[1] = (u8)planes;
}

static void graphics_line(const struct vga *vga, u8 *out, unsigned count, u32 counter, unsigned row)
{
	u8 mode = vga->gfx[GFX_MODE];

	for (unsigned i = 0; i < count; i++, counter++, out += 8) {
		u32 planes = vga_planes(vga, crtc_address(vga, counter, row));

		if (eight_bits(vga))
			packed_dots(out, planes);
		else if (mode & GFX_SHIFT_256)
			nibble_dots(out, planes);
		else if (mode & GFX_SHIFT_INTERLEAVE)
			interleaved_dots(out, planes);
		else
			planar_dots(out, planes);
	}
}

/* How many dots the picture is moved to the left. */
static unsigned panning(const struct vga *vga)
{
	unsigned pan = vga->attr[ATTR_PANNING] & 0x0f;

	if (dots(vga) == 9)
		return pan >= 8 ? 0 : pan + 1;
	return pan & 7;
}

static void draw_vga(const struct vga *vga, u64 now, u32 *pixels, const struct vga_picture *picture)
{
	const u8 *crtc = vga->crtc;
	u32 compare = crtc[CRTC_LINE_COMPARE] | (crtc[CRTC_OVERFLOW] & 0x10u) << 4 | (crtc[CRTC_MAX_SCAN] & 0x40u) << 3;
	u32 counter = start(vga) + (crtc[CRTC_PRESET_ROW] >> 5 & 3), x, y;
	unsigned row = crtc[CRTC_PRESET_ROW] & 0x1f, pan = panning(vga), wide = stretch(vga),
		 repeat = crtc[CRTC_MAX_SCAN] >> 7, again = repeat;
	unsigned count = crtc[CRTC_H_DISPLAY] + 1u;
	u64 frame = vga_beam(vga, now, &x, &y);
	struct blinking blinking = { .cursor = !(frame & 8), .text = !(frame & 16) };
	struct colours colours;
	u8 line[DOTS_MAX + 8];

	make_colours(vga, &colours, !eight_bits(vga), plane_mask(vga));
	for (unsigned i = 0; i < picture->height; i++) {
		if (text(vga))
			text_line(vga, line, count + 1, counter, row, blinking);
		else
			graphics_line(vga, line, count + 1, counter, row);
		for (unsigned k = 0; k < picture->width; k++)
			*pixels++ = colours.rgb[line[pan + k / wide]];
		if (i == compare) { /* the lower half of a split screen */
			counter = row = 0;
			again = repeat;
			if (vga->attr[ATTR_MODE] & ATTR_PAN_TOP)
				pan = 0;
		} else if (again) {
			again--;
		} else {
			again = repeat;
			if (row == (crtc[CRTC_MAX_SCAN] & 0x1f)) {
				row = 0;
				counter += 2u * crtc[CRTC_OFFSET];
			} else {
				row = (row + 1) & 0x1f;
			}
		}
	}
}

/* ---- modes of the Bochs display interface ---- */

static u32 widen(u32 value, unsigned bits)
{
	return value << (8 - bits) | value >> (2 * bits - 8);
}

static u32 pixel(const u8 *p, unsigned bits, const struct colours *colours)
{
	u32 v;

	switch (bits) {
	case 8: return colours->rgb[*p];
	case 15:
		v = get16(p);
		return widen(v >> 10 & 31, 5) << 16 | widen(v >> 5 & 31, 5) << 8 | widen(v & 31, 5);
	case 16:
		v = get16(p);
		return widen(v >> 11, 5) << 16 | widen(v >> 5 & 63, 6) << 8 | widen(v & 31, 5);
	case 24: return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16;
	default: return get32(p) & 0xffffff;
	}
}

static void draw_vbe(const struct vga *vga, u32 *pixels, const struct vga_picture *picture)
{
	const u8 *vram = vga->wire.vram->host;
	unsigned bits = vga->vbe[VBE_BPP], size = (bits + 7) / 8;
	u32 pitch = vbe_pitch(vga), top = vga->vbe[VBE_Y_OFFSET], left = vga->vbe[VBE_X_OFFSET];
	struct colours colours;
	u8 line[8];

	make_colours(vga, &colours, bits == 4, bits == 4 ? plane_mask(vga) : 0xff);
	for (u32 y = 0; y < picture->height; y++) {
		u64 at = (u64)(top + y) * pitch;

		for (u32 x = left; x < left + picture->width; x++) {
			u64 byte = (at + (u64)x * size) & (VGA_RAM - 1);

			if (bits == 4) {
				planar_dots(line, vga_planes(vga, (u32)at + x / 8));
				*pixels++ = colours.rgb[line[x % 8]];
			} else {
				*pixels++ = byte + 4 <= VGA_RAM ? pixel(vram + byte, bits, &colours) : 0;
			}
		}
	}
}

void vga_draw(const struct vga *vga, u64 now, u32 *pixels)
{
	struct vga_picture picture;

	vga_picture(vga, &picture);
	if (vga->vbe[VBE_ENABLE] & VBE_ENABLED)
		draw_vbe(vga, pixels, &picture);
	else if ((vga->seq[SEQ_CLOCKING] & SEQ_OFF) || !(vga->attr_index & ATTR_VIDEO))
		memset(pixels, 0, (size_t)picture.width * picture.height * sizeof *pixels);
	else
		draw_vga(vga, now, pixels, &picture);
}
