/* What hangs on the two PS/2 plugs: a keyboard (scan-code sets 1 and 2; set 3 is accepted and sends set 2) and a three-button mouse (IBM
 * PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device sections).
 *
 * Each has bytes that it wants to send, answers first; the i8042 takes them when its output buffer is free. */
#ifndef IO_PS2_H
#define IO_PS2_H

#include "mem/base/bits.h"

#define PS2_ANSWERS 16u
#define PS2_KEYS 4096u /* a power of two */

/* Answers to commands, in a ring. */
struct ps2_answers {
	u8 bytes[PS2_ANSWERS];
	u8 head, count; /* head < PS2_ANSWERS, count <= PS2_ANSWERS */
};

struct ps2_keyboard {
	struct ps2_answers answers;
	u8 keys[PS2_KEYS];
	u32 head, count; /* of keys */
	u8 set;          /* scan-code set: 1, 2 or 3 */
	u8 leds;         /* bit 0 scroll, 1 num, 2 caps */
	u8 typematic;
	u8 command;      /* command that waits for its argument, or 0 */
	u8 last;         /* last byte sent, for FEh */
	bool scanning;
};

struct ps2_mouse {
	struct ps2_answers answers;
	u8 packet[3];
	u8 left;         /* bytes of packet not yet sent, 0 to 3 */
	u8 command;      /* as above */
	u8 resolution;   /* 0 to 3: 1, 2, 4, 8 counts a millimetre */
	u8 rate;         /* samples a second */
	u8 last;
	bool scaling, remote, wrap, reporting;
	u8 buttons;      /* bit 0 left, 1 right, 2 middle */
	bool moved;      /* something is not yet reported */
	u16 dx, dy;      /* two's complement, since the last report */
};

void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
bool ps2_keyboard_pending(const struct ps2_keyboard *keyboard);
u8 ps2_keyboard_take(struct ps2_keyboard *keyboard);
/* A byte from the host. */
void ps2_keyboard_command(struct ps2_keyboard *keyboard, u8 byte);
/* Keys, as scan-code set 1 bytes. False, and nothing is taken, if the queue has no room. */
bool ps2_keyboard_keys(struct ps2_keyboard *keyboard, const u8 *codes, size_t len);

void ps2_mouse_reset(struct ps2_mouse *mouse);
bool ps2_mouse_pending(const struct ps2_mouse *mouse);
u8 ps2_mouse_take(struct ps2_mouse *mouse);
void ps2_mouse_command(struct ps2_mouse *mouse, u8 byte);
/* Movement (right and up positive) and buttons. */
void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, u8 buttons);

/* The i8042's translation of a set 2 byte into set 1 (without the break bit). */
u8 ps2_translate(u8 set2);

#endif
