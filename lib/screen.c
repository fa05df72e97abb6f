/* SPDX-License-Identifier: MIT */
/* The display and the keyboard as a person has them: the picture, its text, keys. */
#include "io/display/vga.h"
#include "lib/pc.h"

bool vcpu_screen(const vcpu *v, struct vcpu_screen *screen, uint32_t *pixels, size_t count)
{
	struct vga_picture p = { 0 };

	if (!screen)
		return false;
	if (v && v->pc && v->pc->vga)
		vga_picture(v->pc->vga, &p);
	*screen = (struct vcpu_screen){ .width = p.width, .height = p.height, .columns = p.columns, .rows = p.rows };
	if (!p.width || !p.height)
		return false;
	if (p.columns && p.cursor != ~0u) {
		screen->cursor = true;
		screen->cursor_row = p.cursor / p.columns;
		screen->cursor_column = p.cursor % p.columns;
	}
	if (pixels && count >= (size_t)p.width * p.height)
		vga_draw(v->pc->vga, vcpu_virtual_ns(v), pixels);
	return true;
}

/* Code page 437: what is not ASCII. */
static const u16 low[32] = {
	0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a,
		0x266b, 0x263c,
	0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7, 0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194,
	0x25b2, 0x25bc,
};
static const u16 high[129] = {
	0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee,
		0x00ec, 0x00c4,
	0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3,
	0x00a5, 0x20a7,
	0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc,
	0x00a1, 0x00ab,
	0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d,
	0x255c, 0x255b,
	0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560,
	0x2550, 0x256c,
	0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584,
	0x258c, 0x2590,
	0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e,
	0x03c6, 0x03b5,
	0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f,
	0x00b2, 0x25a0,
	0x00a0,
};

static unsigned utf8(u8 ch, char out[3])
{
	unsigned code = ch < 32 ? low[ch] : ch < 127 ? ch : high[ch - 127];

	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	out[0] = (char)(0xe0 | code >> 12);
	out[1] = (char)(0x80 | (code >> 6 & 63));
	out[2] = (char)(0x80 | (code & 63));
	return 3;
}

static bool blank(u8 ch)
{
	return ch == ' ' || ch == 0 || ch == 0xff;
}

size_t vcpu_screen_text(const vcpu *v, char *text, size_t size)
{
	struct vcpu_screen s;
	size_t len = 0, end = 0;
	char bytes[3];

	if (!text)
		size = 0;
	vcpu_screen(v, &s, NULL, 0);
	for (unsigned row = 0; row < s.rows; row++) {
		unsigned columns = s.columns;

		while (columns && blank((u8)vga_cell(v->pc->vga, row, columns - 1)))
			columns--;
		for (unsigned column = 0; column <= columns; column++) {
			unsigned n = 1;

			if (column < columns)
				n = utf8((u8)vga_cell(v->pc->vga, row, column), bytes);
			else
				bytes[0] = '\n';
			if (len + n < size) {
				memcpy(text + len, bytes, n);
				end = len + n;
			}
			len += n;
		}
	}
	if (size)
		text[end] = 0;
	return len;
}

/* ---- keys ---- */

#define SHIFT 0x80u
#define CONTROL 0x100u

/* The scan code (set 1) of the key that makes an ASCII character on a US keyboard, with what is held down; 0: there is
 * none. */
static unsigned key(u8 ch)
{
	static const char plain[] = "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
	static const char shifted[] = "\0\0!@#$%^&*()_+\0\0QWERTYUIOP{}\0\0ASDFGHJKL:\"~\0|ZXCVBNM<>?";
	const char *at;

	if (ch == '\r')
		ch = '\n';
	if (ch == 0x7f)
		ch = '\b';
	if (!ch || ch >= 0x80)
		return 0;
	at = memchr(plain, ch, sizeof plain - 1);
	if (at)
		return (unsigned)(at - plain);
	at = memchr(shifted, ch, sizeof shifted - 1);
	if (at)
		return (unsigned)(at - shifted) | SHIFT;
	return ch < 32 ? key(ch | 0x60) | CONTROL : 0;
}

size_t vcpu_type_text(vcpu *v, const char *text)
{
	size_t done = 0;

	for (; v && text && text[done]; done++) {
		unsigned code = key((u8)text[done]), n = 0;
		u8 held = code & SHIFT ? 0x2a : code & CONTROL ? 0x1d : 0, keys[4];

		if (!code)
			continue;
		if (held)
			keys[n++] = held;
		keys[n++] = code & 0x7f;
		keys[n++] = (code & 0x7f) | 0x80;
		if (held)
			keys[n++] = held | 0x80;
		if (vcpu_input(v, VCPU_KEYBOARD, keys, n) < 0)
			break;
	}
	return done;
}
