#include "io/ps2.h"

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

static void answer(struct ps2_answers *a, u8 byte)
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
	keyboard->command = 0;
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
		if (byte > 7)
			return false;
		keyboard->leds = byte;
		break;
	case 0xf0:
		if (byte > 3)
			return false;
		answer(&keyboard->answers, ACK);
		if (byte)
			keyboard->set = byte;
		else
			answer(&keyboard->answers, keyboard->set);
		return true;
	case 0xf3:
		if (byte > 0x7f)
			return false;
		keyboard->typematic = byte;
		break;
	default:
		return false;
	}
	answer(&keyboard->answers, ACK);
	return true;
}

void ps2_keyboard_command(struct ps2_keyboard *keyboard, u8 byte)
{
	struct ps2_answers *a = &keyboard->answers;

	if (keyboard->command && keyboard_argument(keyboard, byte))
		return;
	switch (byte) {
	case 0xed: case 0xf0: case 0xf3:
		keyboard->command = byte;
		answer(a, ACK);
		break;
	case 0xee: /* echo */
		answer(a, 0xee);
		break;
	case 0xf2: /* identify: an enhanced keyboard; with translation it reads AB 41 */
		answer(a, ACK);
		answer(a, 0xab);
		answer(a, 0x83);
		break;
	case 0xf4:
		keyboard->count = 0;
		keyboard->scanning = true;
		answer(a, ACK);
		break;
	case 0xf5:
	case 0xf6:
		keyboard_defaults(keyboard);
		keyboard->scanning = byte == 0xf6;
		answer(a, ACK);
		break;
	case 0xf7: case 0xf8: case 0xf9: case 0xfa: /* set 3: all keys typematic, make/break, make... */
		answer(a, ACK);
		break;
	case 0xfe:
		answer(a, keyboard->last);
		break;
	case 0xff:
		ps2_keyboard_reset(keyboard);
		answer(a, ACK);
		answer(a, BAT_PASSED);
		break;
	default:
		answer(a, RESEND);
		break;
	}
}

static void put_key(struct ps2_keyboard *keyboard, u8 byte)
{
	keyboard->keys[(keyboard->head + keyboard->count++) % PS2_KEYS] = byte;
}

bool ps2_keyboard_keys(struct ps2_keyboard *keyboard, const u8 *codes, size_t len)
{
	if (len > (PS2_KEYS - keyboard->count) / 2)
		return false;
	if (!keyboard->scanning)
		return true;
	for (size_t i = 0; i < len; i++) {
		u8 code = codes[i];

		if (keyboard->set == 1 || code == 0xe0 || code == 0xe1) {
			put_key(keyboard, code);
		} else if (code & 0x7f) {
			if (code & 0x80)
				put_key(keyboard, 0xf0);
			put_key(keyboard, set2_of(code & 0x7f));
		}
	}
	return true;
}

static void mouse_defaults(struct ps2_mouse *mouse)
{
	mouse->rate = 100;
	mouse->resolution = 2;
	mouse->scaling = mouse->remote = mouse->reporting = mouse->moved = false;
	mouse->command = mouse->left = 0;
	mouse->dx = mouse->dy = 0;
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
	mouse_defaults(mouse);
	mouse->answers.count = 0;
	mouse->wrap = false;
}

/*      7     6     5      4      3   2       1      0
 *  0   Yov   Xov   Ysign  Xsign  1   middle  right  left
 *  1   X movement, low byte        2   Y movement, low byte */
static void make_packet(struct ps2_mouse *mouse, u8 packet[3])
{
	int dx = (s16)mouse->dx, dy = (s16)mouse->dy;

	dx = dx < -256 ? -256 : dx > 255 ? 255 : dx;
	dy = dy < -256 ? -256 : dy > 255 ? 255 : dy;
	packet[0] = (u8)(8 | (mouse->buttons & 7) | (dx < 0) << 4 | (dy < 0) << 5);
	packet[1] = (u8)dx;
	packet[2] = (u8)dy;
	mouse->dx -= (u16)dx;
	mouse->dy -= (u16)dy;
	mouse->moved = mouse->dx || mouse->dy;
}

/* In stream mode, movement becomes a packet when the one before has gone. */
static void mouse_report(struct ps2_mouse *mouse)
{
	if (mouse->left || !mouse->moved || !mouse->reporting || mouse->remote || mouse->wrap)
		return;
	make_packet(mouse, mouse->packet);
	mouse->left = 3;
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
		mouse->last = mouse->packet[3 - mouse->left--];
		mouse_report(mouse);
	}
	return mouse->last;
}

/* E9h: buttons and modes, resolution, rate. */
static void mouse_status(struct ps2_mouse *mouse)
{
	u8 b = mouse->buttons;

	answer(&mouse->answers, (u8)(mouse->remote << 6 | mouse->reporting << 5 | mouse->scaling << 4 | (b & 1) << 2 | (b & 4) >> 1 |
		(b & 2) >> 1));
	answer(&mouse->answers, mouse->resolution);
	answer(&mouse->answers, mouse->rate);
}

static bool mouse_argument(struct ps2_mouse *mouse, u8 byte)
{
	u8 command = mouse->command;

	mouse->command = 0;
	if (command == 0xe8 && byte <= 3)
		mouse->resolution = byte;
	else if (command == 0xf3 && byte && byte <= 200)
		mouse->rate = byte;
	else
		return false;
	answer(&mouse->answers, ACK);
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
	u8 packet[3];

	if (mouse->wrap && byte != 0xff && byte != 0xec) {
		answer(a, byte);
		return;
	}
	if (mouse->command && mouse_argument(mouse, byte))
		return;
	if (mouse_knows(byte))
		answer(a, ACK);
	switch (byte) {
	case 0xe6: mouse->scaling = false; break;
	case 0xe7: mouse->scaling = true; break;
	case 0xe8: mouse->command = byte; break;
	case 0xe9: mouse_status(mouse); break;
	case 0xea: mouse->remote = false; break;
	case 0xeb:
		make_packet(mouse, packet);
		for (unsigned i = 0; i < 3; i++)
			answer(a, packet[i]);
		break;
	case 0xec: mouse->wrap = false; break;
	case 0xee: mouse->wrap = true; break;
	case 0xf0: mouse->remote = true; break;
	case 0xf2: answer(a, 0x00); break;
	case 0xf3: mouse->command = byte; break;
	case 0xf4: mouse->reporting = true; break;
	case 0xf5: mouse->reporting = false; mouse->left = 0; break;
	case 0xf6: mouse_defaults(mouse); break;
	case 0xfe: answer(a, mouse->last); break;
	case 0xff:
		ps2_mouse_reset(mouse);
		answer(a, ACK);
		answer(a, BAT_PASSED);
		answer(a, 0x00);
		break;
	default:
		answer(a, RESEND);
		break;
	}
	mouse_report(mouse);
}

static u16 clamp16(int v)
{
	return (u16)(s16)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, u8 buttons)
{
	dx = dx < -65536 ? -65536 : dx > 65536 ? 65536 : dx;
	dy = dy < -65536 ? -65536 : dy > 65536 ? 65536 : dy;
	mouse->dx = clamp16((s16)mouse->dx + dx);
	mouse->dy = clamp16((s16)mouse->dy + dy);
	mouse->buttons = buttons & 7;
	mouse->moved = true;
	mouse_report(mouse);
}
