/* SPDX-License-Identifier: MIT */
/* The VGA: registers and what they do, from IBM's VGA/XGA Technical Reference (1992): figures of the standard modes,
 * the write modes' truth tables, odd/even and chain-4 addressing; the display interface from Bochs' own description of
 * it. */
#include "io/display/vga.h"
#include "device.h"

static struct vga *vga;
static struct space memory;
static struct ram *vram;
static u32 pixels[2560 * 1600];

static void *make(void)
{
	return vga_new(&bus, &memory, &test_clock, vram);
}

static void setup(void)
{
	fresh();
	space_free(&memory);
	space_init(&memory);
	vram = ram_new(VGA_RAM);
	vga = make();
}

static void teardown(void)
{
	vga_free(vga);
	ram_free(vram);
}


static u8 peek(u32 addr)
{
	u8 value = (u8)space_read(&memory, addr, 1);

	cut_here();
	return value;
}

static void poke(u32 addr, u8 value)
{
	space_write(&memory, addr, 1, value);
	cut_here();
}

static void seq(u8 index, u8 value) { out16(0x3c4, (u16)(value << 8 | index)); }
static void gfx(u8 index, u8 value) { out16(0x3ce, (u16)(value << 8 | index)); }
static void crtc(u8 index, u8 value) { out16(0x3d4, (u16)(value << 8 | index)); }
static u8 plane(u32 offset, unsigned p) { return vram->host[4 * offset + p]; }

static void attr(u8 index, u8 value)
{
	in8(0x3da);
	out8(0x3c0, index);
	out8(0x3c0, value);
	out8(0x3c0, 0x20);
}

static void vbe(u16 index, u16 value)
{
	out16(0x1ce, index);
	out16(0x1cf, value);
}

static u16 vbe_get(u16 index)
{
	out16(0x1ce, index);
	return in16(0x1cf);
}

struct mode { u8 misc, seq[5], crtc[25], attr[21], gfx[9]; };

/* Technical reference, "BIOS video modes": the values after a mode set. */
static const struct mode mode_12h = {
	0xe3, { 0x03, 0x01, 0x0f, 0x00, 0x06 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0x00,
		0xe7, 0x04, 0xe3, 0xff },
	{ 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0x00,
		0x0f, 0x00, 0x00 },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff },
};
static const struct mode mode_13h = {
	0x63, { 0x03, 0x01, 0x0f, 0x00, 0x0e },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40,
		0x96, 0xb9, 0xa3, 0xff },
	{ 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x41, 0x00,
		0x0f, 0x00, 0x00 },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff },
};
static const struct mode mode_4 = {
	0x63, { 0x03, 0x09, 0x03, 0x00, 0x02 },
	{ 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0x00,
		0x96, 0xb9, 0xa2, 0xff },
	{ 0x00, 0x13, 0x15, 0x17, 0x02, 0x04, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00,
		0x03, 0x00, 0x00 },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x00, 0xff },
};

static void set_mode(const struct mode *m)
{
	out8(0x3c2, m->misc);
	for (unsigned i = 0; i < 5; i++)
		seq((u8)i, m->seq[i]);
	crtc(0x11, 0x0e);
	for (unsigned i = 0; i < 25; i++)
		crtc((u8)i, m->crtc[i]);
	for (unsigned i = 0; i < 9; i++)
		gfx((u8)i, m->gfx[i]);
	for (unsigned i = 0; i < 21; i++)
		attr((u8)i, m->attr[i]);
	out8(0x3c8, 0);
	for (unsigned i = 0; i < 768; i++) /* colour N is recognised by its red, N & 63, and its green, N >> 6 */
		out8(0x3c9, (u8)(i % 3 == 0 ? i / 3 & 63 : i % 3 == 1 ? i / 3 >> 6 : 0));
}

/* The DAC's index of a dot. */
static unsigned dot(unsigned x, unsigned y)
{
	struct vga_picture p;

	vga_picture(vga, &p);
	vga_draw(vga, test_clock.now, pixels);
	return (pixels[y * p.width + x] >> 18 & 63) | (pixels[y * p.width + x] >> 10 & 63) << 6;
}

static void ck_size(unsigned width, unsigned height)
{
	struct vga_picture p;

	vga_picture(vga, &p);
	ck_assert_uint_eq(p.width, width);
	ck_assert_uint_eq(p.height, height);
}

START_TEST(registers_keep_their_bits)
{
	static const u8 seq_bits[5] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
	static const u8 gfx_bits[9] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };

	out8(0x3c2, 0xe3);
	ck_assert_uint_eq(in8(0x3cc), 0xe3);
	for (u8 i = 0; i < 5; i++) {
		seq(i, 0xff);
		ck_assert_uint_eq(in8(0x3c5), seq_bits[i]);
	}
	for (u8 i = 0; i < 9; i++) {
		gfx(i, 0xff);
		ck_assert_uint_eq(in8(0x3cf), gfx_bits[i]);
	}
	for (u8 i = 0; i < 16; i++) {
		attr(i, 0xff);
		in8(0x3da);
		out8(0x3c0, i | 0x20);
		ck_assert_uint_eq(in8(0x3c1), 0x3f);
		ck_assert_uint_eq(in8(0x3c0), i | 0x20);
	}
	/* CRTC registers 0 to 7 are locked by bit 7 of 11h, but for bit 4 of 7. */
	crtc(0, 0x12);
	crtc(0x11, 0x80);
	crtc(0, 0x34);
	crtc(7, 0xff);
	crtc(0x12, 0x56);
	out8(0x3d4, 0);
	ck_assert_uint_eq(in8(0x3d5), 0x12);
	out8(0x3d4, 7);
	ck_assert_uint_eq(in8(0x3d5), 0x10);
	out8(0x3d4, 0x12);
	ck_assert_uint_eq(in8(0x3d5), 0x56);
	/* Monochrome: the CRTC is at 3B4h, and nothing at 3D4h. */
	out8(0x3c2, 0xe2);
	ck_assert_uint_eq(in8(0x3d5), 0xff);
	ck_assert_uint_eq(in8(0x3b5), 0x56);
}
END_TEST

START_TEST(dac_steps_by_itself)
{
	out8(0x3c8, 5);
	for (unsigned i = 0; i < 6; i++)
		out8(0x3c9, (u8)(0xc1 + i));
	ck_assert_uint_eq(in8(0x3c7) & 3, 0);
	ck_assert_uint_eq(in8(0x3c8), 7);
	out8(0x3c7, 5);
	ck_assert_uint_eq(in8(0x3c7) & 3, 3);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(in8(0x3c9), 1 + i);
	/* A colour changes when its third part is there. */
	out8(0x3c8, 5);
	out8(0x3c9, 0x20);
	out8(0x3c7, 5);
	ck_assert_uint_eq(in8(0x3c9), 1);
}
END_TEST

/* Write modes: for random registers, latches and data, every bit of every plane by the reference's definition. */
START_TEST(write_modes)
{
	u64 seed = 99;

	set_mode(&mode_12h);
	for (unsigned round = 0; round < 20000; round++) {
		u8 r[9], map = test_random(&seed) & 15, data = (u8)test_random(&seed), old[4], latch[4];
		unsigned mode = round & 3, rotate, logic;

		for (unsigned i = 0; i < 9; i++)
			r[i] = (u8)test_random(&seed);
		for (unsigned p = 0; p < 4; p++) {
			vram->host[4 * 7 + p] = old[p] = (u8)test_random(&seed);
			vram->host[4 * 9 + p] = latch[p] = (u8)test_random(&seed);
		}
		peek(0xa0009);
		gfx(0, r[0]), gfx(1, r[1]), gfx(3, r[3]), gfx(5, (u8)mode), gfx(8, r[8]), seq(2, map);
		poke(0xa0007, data);
		rotate = r[3] & 7;
		logic = r[3] >> 3 & 3;
		for (unsigned p = 0; p < 4; p++)
			for (unsigned b = 0; b < 8; b++) {
				bool rotated = data >> (b + rotate) % 8 & 1, l = latch[p] >> b & 1, set = r[0] >> p & 1;
				bool mask = r[8] >> b & 1, v;

				switch (mode) {
				case 0: v = r[1] >> p & 1 ? set : rotated; break;
				case 1: v = l; break;
				case 2: v = data >> p & 1; break;
				default: v = set; mask = mask && rotated; break;
				}
				if (mode != 1) {
					v = logic == 1 ? v & l : logic == 2 ? v | l : logic == 3 ? v ^ l : v;
					v = mask ? v : l;
				}
				if (!(map >> p & 1))
					v = old[p] >> b & 1;
				ck_assert_msg((plane(7, p) >> b & 1) == v, "mode %u plane %u bit %u", mode, p, b);
			}
	}
}
END_TEST

START_TEST(read_modes)
{
	set_mode(&mode_12h);
	for (unsigned p = 0; p < 4; p++)
		vram->host[4 * 3 + p] = (u8)(0x11 << p);
	for (u8 p = 0; p < 4; p++) {
		gfx(4, p);
		ck_assert_uint_eq(peek(0xa0003), 0x11 << p);
	}
	/* Dots 7..0 have the colours 8 4 2 1 8 4 2 1. */
	gfx(5, 0x08);
	gfx(2, 4);
	ck_assert_uint_eq(peek(0xa0003), 0x44);
	gfx(7, 0x0b); /* whatever plane 2 has */
	gfx(2, 0);
	ck_assert_uint_eq(peek(0xa0003), 0x44);
	gfx(7, 0);
	ck_assert_uint_eq(peek(0xa0003), 0xff);
}
END_TEST

START_TEST(where_the_memory_is)
{
	static const u32 first[4] = { 0xa0000, 0xa0000, 0xb0000, 0xb8000 },
			 last[4] = { 0xbffff, 0xaffff, 0xb7fff, 0xbffff };

	set_mode(&mode_12h);
	for (unsigned i = 0; i < 4; i++) {
		gfx(6, (u8)(i << 2 | 1));
		for (u32 addr = 0xa0000; addr < 0xc0000; addr += 0x1000) {
			bool inside = addr >= first[i] && addr <= last[i];

			poke(addr, 0x5a);
			ck_assert_uint_eq(peek(addr), inside ? 0x5a : 0xff);
			poke(addr, 0);
		}
	}
	out8(0x3c2, 0xe1); /* RAM off */
	poke(0xb8000, 0);
	ck_assert_uint_eq(peek(0xb8000), 0xff);
	/* Odd/even: planes 0 and 2 are at even addresses, 1 and 3 at odd ones. */
	out8(0x3c2, 0x67);
	seq(4, 2), seq(2, 3), gfx(5, 0x10), gfx(6, 0x0e);
	space_write(&memory, 0xb8004, 4, 0x04030201);
	ck_assert_uint_eq(plane(4, 0), 1);
	ck_assert_uint_eq(plane(4, 1), 2);
	ck_assert_uint_eq(plane(6, 0), 3);
	ck_assert_uint_eq(plane(6, 1), 4);
	ck_assert_uint_eq(space_read(&memory, 0xb8004, 4), 0x04030201);
}
END_TEST

/* Chain-4 takes addresses' low bits for planes, whether the window is RAM (as after a mode set) or not. */
START_TEST(chain_4)
{
	u64 end;

	set_mode(&mode_13h);
	ck_assert(space_find(&memory, 0xa0000, &end)->kind == RANGE_DEVICE);
	space_write(&memory, 0xa0005, 2, 0x2211);
	gfx(8, 0x0f);
	ck_assert_uint_eq(peek(0xa0005), 0x11);
	poke(0xa0005, 0x99);
	gfx(8, 0xff);
	ck_assert_uint_eq(peek(0xa0005), 0x19);
	ck_assert_uint_eq(peek(0xa0006), 0x22);
	seq(2, 0x0d); /* not plane 1 */
	poke(0xa0005, 0x77);
	seq(2, 0x0f);
	ck_assert_uint_eq(peek(0xa0005), 0x19);
	/* Address bits 1 and 0 select the plane, and the offset keeps the others: unchained, the bytes are four
	 * apart. */
	for (unsigned i = 0; i < 0x10000; i += 0x5554 / 4) {
		poke(0xa0000 + (i & ~3u), 0x5a), poke(0xa0000 + (i & ~3u) + 3, (u8)(i >> 8));
		ck_assert_uint_eq(plane(i & ~3u, 0), 0x5a);
		ck_assert_uint_eq(plane(i & ~3u, 3), i >> 8);
		seq(4, 6);
		gfx(4, 3);
		ck_assert_uint_eq(peek(0xa0000 + (i & ~3u)), i >> 8);
		seq(4, 0x0e);
	}
	seq(4, 6), seq(2, 2); /* the other way about: plane 1 at offset 8 */
	poke(0xa0008, 0x99), poke(0xa0009, 0x98);
	seq(2, 0x0f), seq(4, 0x0e);
	ck_assert_uint_eq(peek(0xa0009), 0x99);
}
END_TEST

START_TEST(picture_of_planes)
{
	set_mode(&mode_12h);
	ck_size(640, 480);
	seq(2, 5), poke(0xa0000 + 80 * 100 + 2, 0x40); /* dot (17, 100) gets colour 5 */
	ck_assert_uint_eq(dot(17, 100), 0x05);
	ck_assert_uint_eq(dot(18, 100), 0);
	attr(0x12, 0x04); /* plane 2 only */
	ck_assert_uint_eq(dot(17, 100), 0x04);
	attr(0x12, 0x0f), attr(0x14, 0x0c); /* bits 7 and 6 */
	ck_assert_uint_eq(dot(17, 100), 0xc5);
	attr(0x10, 0x81), attr(0x14, 0x06); /* bits 7 to 4 */
	ck_assert_uint_eq(dot(17, 100), 0x65);
	attr(0x10, 0x01), attr(0x14, 0);
	/* Panning, the start address, the split screen. */
	attr(0x13, 3);
	ck_assert_uint_eq(dot(14, 100), 5);
	crtc(0x0d, 81);
	ck_assert_uint_eq(dot(6, 99), 5);
	crtc(0x07, 0x2e), crtc(0x09, 0), crtc(0x18, 49); /* line compare at 49: line 50 shows address 0 */
	ck_assert_uint_eq(dot(14, 150), 5);
	attr(0x10, 0x21);
	ck_assert_uint_eq(dot(17, 150), 5);
	seq(1, 0x21);
	ck_assert_uint_eq(dot(17, 150), 0);
}
END_TEST

START_TEST(picture_of_bytes)
{
	set_mode(&mode_13h);
	ck_size(640, 400);
	poke(0xa0000 + 320 * 7 + 9, 0xab);
	for (unsigned y = 14; y < 16; y++)
		for (unsigned x = 18; x < 20; x++)
			ck_assert_uint_eq(dot(x, y), 0xab);
	ck_assert_uint_eq(dot(20, 15), 0);
	ck_assert_uint_eq(dot(19, 16), 0);
	out8(0x3c6, 0x0f);
	ck_assert_uint_eq(dot(19, 15), 0x0b);
	out8(0x3c6, 0xff);
	/* The last line; colour planes; dots of four bits; CGA's odd lines, 8 K doublewords further. */
	poke(0xa0000 + 320 * 199 + 319, 0xcb);
	ck_assert_uint_eq(dot(638, 399), 0xcb);
	attr(0x12, 0x06);
	ck_assert_uint_eq(dot(638, 399), 0x42);
	attr(0x12, 0x0f);
	attr(0x10, 0x01);
	ck_assert_uint_eq(dot(638, 399), 0x0c);
	ck_assert_uint_eq(dot(639, 399), 0x0b);
	attr(0x0c, 0x15);
	ck_assert_uint_eq(dot(638, 399), 0x15);
	attr(0x12, 0x06);
	ck_assert_uint_eq(dot(639, 399), 0x02);
	attr(0x0c, 0x0c), attr(0x10, 0x41), attr(0x12, 0x0f);
	crtc(0x17, 0xa2);
	poke(0xa0000 + 12, 0x31), poke(0xa8000 + 12, 0x32), poke(0xa2000 + 12, 0x33);
	for (unsigned x = 24; x < 26; x++) {
		ck_assert_uint_eq(dot(x, 0), 0x31);
		ck_assert_uint_eq(dot(x, 1), 0x32);
	}
	crtc(0x17, 0xa3);
	ck_assert_uint_eq(dot(24, 1), 0x31);
	/* "Mode X": unchained, byte mode, 320 x 240 */
	seq(4, 6), crtc(0x14, 0), crtc(0x17, 0xe3);
	out8(0x3c2, 0xe3), crtc(0x11, 0), crtc(0x06, 0x0d), crtc(0x07, 0x3e), crtc(0x12, 0xdf);
	ck_size(640, 480);
	seq(2, 1 << 2), poke(0xa0000 + 80 * 239 + 79, 0xcd);
	ck_assert_uint_eq(dot(2 * 318, 479), 0xcd);
	ck_assert_uint_eq(dot(2 * 319, 479), 0);
}
END_TEST

/* CGA's 320 x 200: odd lines are 8 KiB further, two bits a dot. */
START_TEST(picture_of_cga)
{
	set_mode(&mode_4);
	ck_size(640, 400);
	poke(0xb8000 + 1, 0x1b); /* dots 4 to 7: colours 0 1 2 3 */
	poke(0xba000 + 80, 0xc0);
	ck_assert_uint_eq(dot(8, 0), 0);
	ck_assert_uint_eq(dot(10, 1), 0x13);
	ck_assert_uint_eq(dot(13, 0), 0x15);
	ck_assert_uint_eq(dot(14, 1), 0x17);
	ck_assert_uint_eq(dot(0, 6), 0x17);
	ck_assert_uint_eq(dot(0, 5), 0);
}
END_TEST

START_TEST(picture_of_text)
{
	u8 font[256 * 16] = { 0 };
	struct vga_picture p;

	font[0xc4 * 16 + 7] = 0xff; /* a line */
	font['A' * 16 + 7] = 0xff;
	font['A' * 16 + 3] = 0x80;
	vga_start_in_text_mode(vga, font);
	vga_picture(vga, &p);
	ck_assert_uint_eq(p.width, 720);
	ck_assert_uint_eq(p.height, 400);
	ck_assert_uint_eq(p.columns, 80);
	ck_assert_uint_eq(p.rows, 25);
	ck_assert_uint_eq(p.cursor, 0);
	out8(0x3c8, 0);
	for (unsigned i = 0; i < 768; i++)
		out8(0x3c9, (u8)(i % 3 == 0 ? i / 3 & 63 : 0));
	space_write(&memory, 0xb8000 + 2 * (80 * 2 + 5), 4, 0x4ec41e41); /* 'A' yellow on blue, a line yellow on red */
	ck_assert_uint_eq(vga_cell(vga, 2, 5), 0x1e41);
	ck_assert_uint_eq(dot(5 * 9, 2 * 16 + 3), 0x3e);
	ck_assert_uint_eq(dot(5 * 9 + 1, 2 * 16 + 3), 0x01);
	ck_assert_uint_eq(dot(5 * 9 + 7, 2 * 16 + 7), 0x3e);
	ck_assert_uint_eq(dot(5 * 9 + 8, 2 * 16 + 7), 0x01); /* the ninth dot is background, */
	ck_assert_uint_eq(dot(6 * 9 + 8, 2 * 16 + 7), 0x3e); /* but for C0h to DFh */
	/* The cursor: lines 13 and 14, eight frames in sixteen. A frame of 900 x 449 dots at 28.322 MHz takes 14.27 ms.
	 * */
	crtc(0x0e, 1), crtc(0x0f, 44); /* row 3, column 60 */
	vga_picture(vga, &p);
	ck_assert_uint_eq(p.cursor, 300);
	ck_assert_uint_eq(dot(60 * 9, 3 * 16 + 12), 0);
	ck_assert_uint_eq(dot(60 * 9, 3 * 16 + 13), 0x07);
	pass(8 * 14268000 + 100000);
	ck_assert_uint_eq(dot(60 * 9, 3 * 16 + 13), 0);
	/* Attribute bit 7 blinks, sixteen in thirty-two, or is the background's fourth bit. */
	space_write(&memory, 0xb8000 + 2 * (80 * 2 + 5), 2, 0x9e41);
	ck_assert_uint_eq(dot(5 * 9, 2 * 16 + 3), 0x3e);
	pass(8 * 14268000 + 100000);
	ck_assert_uint_eq(dot(5 * 9, 2 * 16 + 3), 0x01);
	attr(0x10, 0x04);
	ck_assert_uint_eq(dot(5 * 9, 2 * 16 + 3), 0x3e);
	ck_assert_uint_eq(dot(5 * 9 + 1, 2 * 16 + 3), 0x39);
	/* A second font at 16 KiB for attribute bit 3. */
	vram->host[4 * (0x4000 + 'A' * 32 + 3) + 2] = 0x01;
	seq(3, 0x04);
	ck_assert_uint_eq(dot(5 * 9, 2 * 16 + 3), 0x39);
	ck_assert_uint_eq(dot(5 * 9 + 7, 2 * 16 + 3), 0x3e);
}
END_TEST

/* 640 x 480 at 25.175 MHz: 800 dots a line, 525 lines a frame, 480 shown, retrace in lines 490 and 491 (16.683 ms;
 * VESA's DMT table). */
START_TEST(retrace)
{
	u64 line = 31777, frame = 525 * line + 105;
	unsigned retraces = 0;

	set_mode(&mode_12h);
	for (u64 t = 0; t < 525; t++) {
		test_clock.now = 10 * frame + t * line + 10000;
		ck_assert_uint_eq(in8(0x3da) & 9, t < 480 ? 0 : t == 490 || t == 491 ? 9 : 1);
	}
	test_clock.now = 10 * frame + 28000; /* behind dot 640 of line 0 */
	ck_assert_uint_eq(in8(0x3da) & 9, 1);
	for (u64 t = 0; t < 60; t++) { /* 59.94 in a second */
		test_clock.now = t * frame + 490 * line + line / 2;
		retraces += in8(0x3da) >> 3 & 1;
	}
	ck_assert_uint_eq(retraces, 60);
}
END_TEST

START_TEST(display_interface)
{
	u64 end;

	ck_assert_uint_eq(vbe_get(0), 0xb0c5);
	ck_assert_uint_eq(vbe_get(10), 256);
	vbe(4, 2);
	ck_assert_uint_eq(vbe_get(1), 2560);
	ck_assert_uint_eq(vbe_get(2), 1600);
	ck_assert_uint_eq(vbe_get(3), 32);
	vbe(4, 0);
	vbe(1, 1024), vbe(2, 768), vbe(3, 32), vbe(4, 0x41);
	ck_size(1024, 768);
	ck_assert_uint_eq(vbe_get(6), 1024);
	ck_assert_uint_eq(vbe_get(7), 4096);
	put32(vram->host + 4 * (1024 * 5 + 6), 0xff123456);
	vga_draw(vga, 0, pixels);
	ck_assert_uint_eq(pixels[1024 * 5 + 6], 0x123456);
	vbe(8, 4), vbe(9, 2), vbe(6, 2048);
	put32(vram->host + 4 * (2048 * 5 + 6), 0x654321);
	vga_draw(vga, 0, pixels);
	ck_assert_uint_eq(pixels[1024 * 3 + 2], 0x654321);
	/* Bank 1 of the window at A0000h is RAM. */
	vbe(5, 1);
	ck_assert(space_find(&memory, 0xa0000, &end)->kind == RANGE_RAM);
	poke(0xa0002, 0x77);
	ck_assert_uint_eq(vram->host[65538], 0x77);
	/* The picture's end is not the memory's end. */
	vbe(9, 0xffff), vbe(8, 0xffff);
	vga_draw(vga, 0, pixels);
	vbe(4, 0), vbe(3, 16), vbe(4, 0x41);
	ck_assert_uint_eq(plane(1, 0), 0); /* switching it on cleared */
	put16(vram->host, 0xf81f);
	vga_draw(vga, 0, pixels);
	ck_assert_uint_eq(pixels[0], 0xff00ff);
}
END_TEST

static struct part part_of(void *device) { return vga_part(device); }
static void refresh(void *device) { vga_refresh(device); }
static void destroy(void *device) { vga_free(device); space_free(&memory); space_init(&memory); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x3b0, 0x30 }, { 0x1ce, 3 } };

	vga_free(vga);
	space_free(&memory);
	space_init(&memory);
	round_trips(make, destroy, part_of, refresh, ranges, 2, 3);
	space_free(&memory);
	space_init(&memory);
	vga = make();
}
END_TEST

/* Registers that make no sense draw something, within bounds. */
START_TEST(any_registers)
{
	u64 seed = 4711;

	for (unsigned round = 0; round < 60; round++) {
		struct part part = vga_part(vga);
		struct vga_picture p;
		u32 *out;

		part_randomise(&part, &seed);
		vga_refresh(vga);
		vga_picture(vga, &p);
		ck_assert(p.width <= 8192 && p.height <= 8192);
		out = malloc(((size_t)p.width * p.height + 1) * 4);
		vga_draw(vga, test_random(&seed), out);
		free(out);
		for (unsigned row = 0; row < p.rows; row++)
			vga_cell(vga, row, p.columns - 1);
		for (unsigned i = 0; i < 50; i++) {
			space_write(&memory, 0xa0000 + test_random(&seed) % 0x20000, 4, test_random(&seed));
			space_read(&memory, 0xa0000 + test_random(&seed) % 0x20000, 4);
		}
	}
}
END_TEST

static void end(void)
{
	vga_free(vga);
	space_free(&memory);
	space_init(&memory);
}

static void begin(void) { vga = make(); }
static unsigned parts(struct part *out) { return out[0] = vga_part(vga), 1; }
static void refresh_all(void) { vga_refresh(vga); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ end, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, registers_keep_their_bits);
	tcase_add_test(tc, dac_steps_by_itself);
	tcase_add_test(tc, write_modes);
	tcase_add_test(tc, read_modes);
	tcase_add_test(tc, where_the_memory_is);
	tcase_add_test(tc, chain_4);
	tcase_add_test(tc, picture_of_planes);
	tcase_add_test(tc, picture_of_bytes);
	tcase_add_test(tc, picture_of_cga);
	tcase_add_test(tc, picture_of_text);
	tcase_add_test(tc, retrace);
	tcase_add_test(tc, display_interface);
}

int main(void)
{
	Suite *suite = suite_create("vga");
	TCase *t = tcase_create("vga");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	tcase_add_test(t, state);
	tcase_add_test(t, any_registers);
	suite_add_tcase(suite, t);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
