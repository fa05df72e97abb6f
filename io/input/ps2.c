/* SPDX-License-Identifier: MIT */
/* The keyboard and the mouse (IBM PS/2 Hardware Interface Technical Reference). Limits: ps2.h. */
#include "io/input/ps2.h"

enum { ACK = 0xfa, RESEND = 0xfe, BAT_PASSED = 0xaa };

/* Set 1 code of each set 2 code; what is above 7Fh passes, but for two keys that set 2 has there. */
static const u8 set1_of[128] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
	0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
	0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
	0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
	0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
	0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
	0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
	0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

enum { F7_SET2 = 0x83, F7_SET1 = 0x41, SYSRQ_SET2 = 0x84, SYSRQ_SET1 = 0x54 };

u8 ps2_translate(u8 set2)
{
	if (set2 < 0x80)
		return set1_of[set2];
	return set2 == F7_SET2 ? F7_SET1 : set2 == SYSRQ_SET2 ? SYSRQ_SET1 : set2;
}

/* The set 2 code of a set 1 make code (1 to 7Fh). */
static u8 set2_of(u8 set1)
{
	u8 code = 0;

	if (set1 == F7_SET1)
		return F7_SET2;
	if (set1 == SYSRQ_SET1)
		return SYSRQ_SET2;
	while (code < 0x7f && set1_of[code] != set1)
		code++;
	return code;
}

/* Set 3, by the set 1 code of a key, and of one behind E0h. */
static const u8 set3_of[128] = {
	0x00, 0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
	0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c, 0x1b,
	0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21, 0x2a,
	0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f, 0x27,
	0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c, 0x69,
	0x72, 0x7a, 0x70, 0x71, 0x57, 0x00, 0x13, 0x56, 0x5e,
};
static const u8 set3_of_e0[128] = {
	[0x1c] = 0x79, [0x1d] = 0x58, [0x35] = 0x77, [0x37] = 0x57, [0x38] = 0x39, [0x47] = 0x6e, [0x48] = 0x63,
		[0x49] = 0x6f, [0x4b] = 0x61,
	[0x4d] = 0x6a, [0x4f] = 0x65, [0x50] = 0x60, [0x51] = 0x6d, [0x52] = 0x67, [0x53] = 0x64, [0x5b] = 0x8b,
	[0x5c] = 0x8c, [0x5d] = 0x8d,
};
enum { PAUSE_SET3 = 0x62, TYPE_REPEAT = 1, TYPE_BREAK = 2 };

/* At power-on, keys of set 3 repeat; those that shift tell when they go up, and what lies around the typewriter's just
 * goes down. */
static void default_types(struct ps2_keyboard *keyboard)
{
	static const u8 breaks[] = { 0x11, 0x12, 0x14, 0x19, 0x59 };
	static const u8 makes[] = { 0x07, 0x08, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x39, 0x3f, 0x47, 0x4f, 0x56, 0x57,
		0x58, 0x5e, 0x5f, 0x62, 0x65,
		0x67, 0x69, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x79, 0x7a,
		0x7d, 0x7e, 0x84 };

	memset(keyboard->types, TYPE_REPEAT, sizeof keyboard->types);
	for (unsigned i = 0; i < sizeof breaks; i++)
		keyboard->types[breaks[i]] = TYPE_BREAK;
	for (unsigned i = 0; i < sizeof makes; i++)
		keyboard->types[makes[i]] = 0;
}

/* What F7h to FAh make of all keys, FBh to FDh of some: repeat; tell when they go up; neither; both. */
static u8 type_of(u8 command)
{
	static const u8 types[7] = { TYPE_REPEAT, TYPE_BREAK, 0, TYPE_REPEAT | TYPE_BREAK, TYPE_REPEAT, TYPE_BREAK, 0 };

	return types[command - 0xf7];
}

static void ps2_answer(struct ps2_answers *a, u8 byte)
{
	if (a->count < PS2_ANSWERS)
		a->bytes[(a->head + a->count++) % PS2_ANSWERS] = byte;
}

static u8 take_answer(struct ps2_answers *a)
{
	u8 byte = a->bytes[a->head];

	a->head = (a->head + 1) % PS2_ANSWERS;
	a->count--;
	return byte;
}

static void keyboard_defaults(struct ps2_keyboard *keyboard)
{
	keyboard->count = 0;
	keyboard->set = 2;
	keyboard->typematic = 0x2b; /* 10.9 a second after 500 ms */
	keyboard->command = keyboard->prefix = keyboard->held = 0;
	default_types(keyboard);
}

void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
	keyboard_defaults(keyboard);
	keyboard->answers.count = 0;
	keyboard->leds = 0;
	keyboard->scanning = true;
}

bool ps2_keyboard_pending(const struct ps2_keyboard *keyboard)
{
	return keyboard->answers.count || keyboard->count;
}

u8 ps2_keyboard_take(struct ps2_keyboard *keyboard)
{
	if (keyboard->answers.count)
		return keyboard->last = take_answer(&keyboard->answers);
	if (keyboard->count) {
		keyboard->last = keyboard->keys[keyboard->head];
		keyboard->head = (keyboard->head + 1) % PS2_KEYS;
		keyboard->count--;
	}
	return keyboard->last;
}

/* The byte after EDh, F0h, F3h or one of the set 3 commands. False: it is no argument but a new command. */
static bool keyboard_argument(struct ps2_keyboard *keyboard, u8 byte)
{
	u8 command = keyboard->command;

	keyboard->command = 0;
	switch (command) {
	case 0xed:
		if (byte > 0x7f)
			return false;
		keyboard->leds = byte & 7;
		break;
	case 0xf0:
		if (byte > 3)
			return false;
		ps2_answer(&keyboard->answers, ACK);
		if (byte)
			keyboard->set = byte;
		else
			ps2_answer(&keyboard->answers, keyboard->set);
		return true;
	case 0xf3:
		if (byte > 0x7f)
			return false;
		keyboard->typematic = byte;
		break;
	case 0xfb: case 0xfc: case 0xfd: /* one key after the other, until a command comes */
		if (byte >= 0xed)
			return false;
		keyboard->types[byte] = type_of(command);
		keyboard->command = command;
		break;
	default:
		return false;
	}
	ps2_answer(&keyboard->answers, ACK);
	return true;
}

void ps2_keyboard_command(struct ps2_keyboard *keyboard, u8 byte)
{
	struct ps2_answers *a = &keyboard->answers;

	if (keyboard->command && keyboard_argument(keyboard, byte))
		return;
	switch (byte) {
	case 0xf0: /* keys that wait have codes of the old set */
		keyboard->count = 0;
		keyboard->held = 0;
		/* fall through */
	case 0xed: case 0xf3:
		keyboard->command = byte;
		ps2_answer(a, ACK);
		break;
	case 0xee: /* echo */
		ps2_answer(a, 0xee);
		break;
	case 0xf2: /* identify: an enhanced keyboard; with translation it reads AB 41 */
		ps2_answer(a, ACK);
		ps2_answer(a, 0xab);
		ps2_answer(a, 0x83);
		break;
	case 0xf4:
		keyboard->count = 0;
		keyboard->scanning = true;
		ps2_answer(a, ACK);
		break;
	case 0xf5:
	case 0xf6:
		keyboard_defaults(keyboard);
		keyboard->scanning = byte == 0xf6;
		ps2_answer(a, ACK);
		break;
	case 0xf7: case 0xf8: case 0xf9: case 0xfa:
		memset(keyboard->types, type_of(byte), sizeof keyboard->types);
		ps2_answer(a, ACK);
		break;
	case 0xfb: case 0xfc: case 0xfd:
		keyboard->command = byte;
		ps2_answer(a, ACK);
		break;
	case 0xfe:
		ps2_answer(a, keyboard->last);
		break;
	case 0xff:
		ps2_keyboard_reset(keyboard);
		ps2_answer(a, ACK);
		ps2_answer(a, BAT_PASSED);
		break;
	default:
		ps2_answer(a, RESEND);
		break;
	}
}

static void put_key(struct ps2_keyboard *keyboard, u8 byte)
{
	if (keyboard->count < PS2_KEYS)
		keyboard->keys[(keyboard->head + keyboard->count++) % PS2_KEYS] = byte;
}

/* A key (set 1 code, behind E0h or not) goes down or up. */
static void send_key(struct ps2_keyboard *keyboard, bool e0, u8 code, bool release)
{
	u8 set3 = (e0 ? set3_of_e0 : set3_of)[code];

	if (keyboard->set == 3) {
		if (!set3 || (release && !(keyboard->types[set3] & TYPE_BREAK)))
			return;
		if (release)
			put_key(keyboard, 0xf0);
		put_key(keyboard, set3);
		return;
	}
	if (e0)
		put_key(keyboard, 0xe0);
	if (keyboard->set == 1) {
		put_key(keyboard, code | (release ? 0x80 : 0));
		return;
	}
	if (release)
		put_key(keyboard, 0xf0);
	put_key(keyboard, set2_of(code));
}

/* Pause is E1 1D 45 going down and E1 9D C5 going up. Sets 1 and 2 send it like that, set 3 has a code for it. */
static bool pause_key(struct ps2_keyboard *keyboard, u8 code)
{
	if (code == 0xe1) {
		if (keyboard->set == 3)
			keyboard->prefix = 0xe1;
		else
			put_key(keyboard, code);
		return true;
	}
	if (keyboard->prefix < 0xe1)
		return false;
	if (keyboard->prefix++ == 0xe1) {
		if (code & 0x80)
			put_key(keyboard, 0xf0);
		put_key(keyboard, PAUSE_SET3);
	} else {
		keyboard->prefix = 0;
	}
	return true;
}

bool ps2_keyboard_keys(struct ps2_keyboard *keyboard, const u8 *codes, size_t len)
{
	if (len > (PS2_KEYS - keyboard->count) / 2)
		return false;
	if (!keyboard->scanning)
		return true;
	for (size_t i = 0; i < len; i++) {
		u8 code = codes[i] & 0x7f;
		bool e0 = keyboard->prefix == 0xe0, release = codes[i] & 0x80;

		if (pause_key(keyboard, codes[i]))
			continue;
		if (codes[i] == 0xe0) {
			keyboard->prefix = 0xe0;
			continue;
		}
		keyboard->prefix = 0;
		if (!code)
			continue;
		send_key(keyboard, e0, code, release);
		if (!release) {
			keyboard->held = code;
			keyboard->held_e0 = e0;
		} else if (code == keyboard->held && e0 == keyboard->held_e0) {
			keyboard->held = 0;
		}
	}
	return true;
}

bool ps2_keyboard_held(const struct ps2_keyboard *keyboard)
{
	return keyboard->held && keyboard->scanning;
}

/* F3h: bits 6 and 5 are the delay, 250 ms to 1 s; the period is (8 + bits 2..0) * 2^(bits 4..3) / 240 s. */
u64 ps2_keyboard_delay(const struct ps2_keyboard *keyboard)
{
	return (1 + (keyboard->typematic >> 5 & 3)) * (u64)250000000;
}

u64 ps2_keyboard_period(const struct ps2_keyboard *keyboard)
{
	return ((8 + (keyboard->typematic & 7)) << (keyboard->typematic >> 3 & 3)) * (u64)1000000000 / 240;
}

/* Nothing piles up before a host that does not listen. */
void ps2_keyboard_repeat(struct ps2_keyboard *keyboard)
{
	u8 code = keyboard->held & 0x7f, set3 = (keyboard->held_e0 ? set3_of_e0 : set3_of)[code];

	if (!keyboard->count && (keyboard->set != 3 || (keyboard->types[set3] & TYPE_REPEAT)))
		send_key(keyboard, keyboard->held_e0, code, false);
}

static void mouse_defaults(struct ps2_mouse *mouse)
{
	mouse->rate = 100;
	mouse->resolution = 2;
	mouse->scaling = mouse->remote = mouse->reporting = mouse->moved = false;
	mouse->command = mouse->left = 0;
	mouse->dx = mouse->dy = mouse->dz = 0;
	mouse->knock = 0;
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
	mouse_defaults(mouse);
	mouse->answers.count = 0;
	mouse->wrap = false;
	mouse->id = 0;
}

static int clamp(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

/* E7h: small movements count less, others double. */
static int scaled(int v)
{
	static const u8 small[6] = { 0, 1, 1, 3, 6, 9 };
	int size = v < 0 ? -v : v;

	size = size < 6 ? small[size] : 2 * size;
	return v < 0 ? -size : size;
}

/*      7     6     5      4      3   2       1      0
 *  0   Yov   Xov   Ysign  Xsign  1   middle  right  left
 *  1   X movement, low byte        2   Y movement, low byte
 *  3   with a wheel: its movement; with five buttons, bits 5 and 4 are those, bits 3 to 0 the wheel
 * Returns how many bytes there are. */
static unsigned make_packet(struct ps2_mouse *mouse, u8 packet[4], bool scale)
{
	int dx = clamp((s16)mouse->dx, -256, 255), dy = clamp((s16)mouse->dy, -256, 255),
	    dz = clamp((s16)mouse->dz, -8, 7);

	mouse->dx -= (u16)dx;
	mouse->dy -= (u16)dy;
	mouse->dz = mouse->id ? mouse->dz - (u16)dz : 0;
	mouse->moved = mouse->dx || mouse->dy || mouse->dz;
	if (scale) {
		dx = clamp(scaled(dx), -256, 255);
		dy = clamp(scaled(dy), -256, 255);
	}
	packet[0] = (u8)(8 | (mouse->buttons & 7) | (dx < 0) << 4 | (dy < 0) << 5);
	packet[1] = (u8)dx;
	packet[2] = (u8)dy;
	packet[3] = (u8)(mouse->id == 4 ? (dz & 0x0f) | (mouse->buttons & 0x18) << 1 : dz);
	return mouse->id ? 4 : 3;
}

/* In stream mode, movement becomes a packet when the one before has gone. */
static void mouse_report(struct ps2_mouse *mouse)
{
	if (mouse->left || !mouse->moved || !mouse->reporting || mouse->remote || mouse->wrap)
		return;
	mouse->left = (u8)make_packet(mouse, mouse->packet, mouse->scaling);
}

bool ps2_mouse_pending(const struct ps2_mouse *mouse)
{
	return mouse->answers.count || mouse->left;
}

u8 ps2_mouse_take(struct ps2_mouse *mouse)
{
	if (mouse->answers.count) {
		mouse->last = take_answer(&mouse->answers);
	} else if (mouse->left) {
		mouse->last = mouse->packet[((mouse->id ? 4 : 3) - mouse->left--) & 3];
		mouse_report(mouse);
	}
	return mouse->last;
}

/* E9h: buttons and modes, resolution, rate. */
static void mouse_status(struct ps2_mouse *mouse)
{
	u8 b = mouse->buttons;

	ps2_answer(&mouse->answers, (u8)(mouse->remote << 6 | mouse->reporting << 5 | mouse->scaling << 4 |
		(b & 1) << 2 | (b & 4) >> 1 |
		(b & 2) >> 1));
	ps2_answer(&mouse->answers, mouse->resolution);
	ps2_answer(&mouse->answers, mouse->rate);
}

/* Microsoft's knock: after the rates 200, 100, 80 the mouse has a wheel, after 200, 200, 80 five buttons, too. KNOCK is
 * the rates so far. */
static void knock(struct ps2_mouse *mouse, u8 rate)
{
	enum { NONE, ONE, WHEEL, FIVE };

	if (rate == 80 && mouse->knock == WHEEL)
		mouse->id = 3;
	else if (rate == 80 && mouse->knock == FIVE)
		mouse->id = 4;
	mouse->knock = rate == 200                          ? (mouse->knock == ONE ? FIVE : ONE)
		       : rate == 100 && mouse->knock == ONE ? WHEEL
							    : NONE;
}

static bool mouse_argument(struct ps2_mouse *mouse, u8 byte)
{
	u8 command = mouse->command;

	mouse->command = 0;
	if (command == 0xe8 && byte <= 3)
		mouse->resolution = byte;
	else if (command == 0xf3 && byte && byte <= 200)
		knock(mouse, mouse->rate = byte);
	else
		return false;
	ps2_answer(&mouse->answers, ACK);
	return true;
}

/* Commands that are acknowledged before anything else: all but resend and reset. */
static bool mouse_knows(u8 byte)
{
	return (byte >= 0xe6 && byte <= 0xec) || byte == 0xee || byte == 0xf0 || (byte >= 0xf2 && byte <= 0xf6);
}

void ps2_mouse_command(struct ps2_mouse *mouse, u8 byte)
{
	struct ps2_answers *a = &mouse->answers;
	u8 packet[4];
	unsigned count;

	if (mouse->wrap && byte != 0xff && byte != 0xec) {
		ps2_answer(a, byte);
		return;
	}
	if (mouse->command && mouse_argument(mouse, byte))
		return;
	if (mouse_knows(byte))
		ps2_answer(a, ACK);
	switch (byte) {
	case 0xe6: mouse->scaling = false; break;
	case 0xe7: mouse->scaling = true; break;
	case 0xe8: mouse->command = byte; break;
	case 0xe9: mouse_status(mouse); break;
	case 0xea: mouse->remote = false; break;
	case 0xeb:
		count = make_packet(mouse, packet, false);
		for (unsigned i = 0; i < count; i++)
			ps2_answer(a, packet[i]);
		break;
	case 0xec: mouse->wrap = false; break;
	case 0xee: mouse->wrap = true; break;
	case 0xf0: mouse->remote = true; break;
	case 0xf2: ps2_answer(a, mouse->id); break;
	case 0xf3: mouse->command = byte; break;
	case 0xf4: mouse->reporting = true; break;
	case 0xf5: mouse->reporting = false; mouse->left = 0; break;
	case 0xf6: mouse_defaults(mouse); break;
	case 0xfe: ps2_answer(a, mouse->last); break;
	case 0xff:
		ps2_mouse_reset(mouse);
		ps2_answer(a, ACK);
		ps2_answer(a, BAT_PASSED);
		ps2_answer(a, 0x00);
		break;
	default:
		ps2_answer(a, RESEND);
		break;
	}
	mouse_report(mouse);
}

void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, int dz, u8 buttons)
{
	mouse->dx = (u16)clamp((s16)mouse->dx + clamp(dx, -32768, 32767), -32768, 32767);
	mouse->dy = (u16)clamp((s16)mouse->dy + clamp(dy, -32768, 32767), -32768, 32767);
	mouse->dz = (u16)clamp((s16)mouse->dz + clamp(dz, -32768, 32767), -32768, 32767);
	mouse->buttons = buttons & 0x1f;
	mouse->moved = true;
	mouse_report(mouse);
}
