/* SPDX-License-Identifier: MIT */
/* The devices at the two PS/2 plugs: a keyboard (scan-code sets 1, 2 and 3) and a mouse (IBM PS/2 Hardware Interface
 * Technical Reference, keyboard and auxiliary device sections) that becomes one with a wheel and with five buttons
 * when a driver knocks as Microsoft's do.
 *
 * Not modelled: the mouse's rate (packets come as movement does), the Shifts that set 1 and 2 put around keys beside
 * the numeric pad.
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
	/* E0h: came, its key follows; E1h, E2h: one or two bytes of Pause have come (set 3 only); or 0 */
	u8 prefix;
	u8 held;         /* the key that repeats, set 1; 0: none */
	bool held_e0;
	u8 types[256];   /* set 3: what each key sends, by its code */
};

struct ps2_mouse {
	struct ps2_answers answers;
	u8 packet[4];
	u8 left;         /* bytes of packet not yet sent, 0 to 4 */
	u8 id;           /* 0: three buttons; 3: a wheel, too; 4: and five buttons */
	u8 knock;        /* how far a driver has come in asking for more: of the rates 200, 100, 80 or 200, 200, 80 */
	u8 command;      /* as above */
	u8 resolution;   /* 0 to 3: 1, 2, 4, 8 counts a millimetre */
	u8 rate;         /* samples a second */
	u8 last;
	bool scaling, remote, wrap, reporting;
	u8 buttons;      /* bit 0 left, 1 right, 2 middle, 3 and 4 beside */
	bool moved;      /* something is not yet reported */
	u16 dx, dy, dz;  /* two's complement, since the last report */
};

void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
bool ps2_keyboard_pending(const struct ps2_keyboard *keyboard);
u8 ps2_keyboard_take(struct ps2_keyboard *keyboard);
/* A byte from the host. */
void ps2_keyboard_command(struct ps2_keyboard *keyboard, u8 byte);
/* Keys, as scan-code set 1 bytes. False, and nothing is taken, if the queue has no room. */
bool ps2_keyboard_keys(struct ps2_keyboard *keyboard, const u8 *codes, size_t len);

/* A key is held down: after ps2_keyboard_delay ns, and then every ps2_keyboard_period ns, it is to be repeated. */
bool ps2_keyboard_held(const struct ps2_keyboard *keyboard);
u64 ps2_keyboard_delay(const struct ps2_keyboard *keyboard);
u64 ps2_keyboard_period(const struct ps2_keyboard *keyboard);
void ps2_keyboard_repeat(struct ps2_keyboard *keyboard);

void ps2_mouse_reset(struct ps2_mouse *mouse);
bool ps2_mouse_pending(const struct ps2_mouse *mouse);
u8 ps2_mouse_take(struct ps2_mouse *mouse);
void ps2_mouse_command(struct ps2_mouse *mouse, u8 byte);
/* Movement (right, up, and the wheel towards the user are positive) and buttons. */
void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, int dz, u8 buttons);

/* The i8042's translation of a set 2 byte into set 1 (without the break bit). */
u8 ps2_translate(u8 set2);

#endif
