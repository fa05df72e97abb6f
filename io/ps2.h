/* What hangs on the two PS/2 plugs: a keyboard (scan-code sets 1, 2 and 3 in name, 1 and 2 in deed) and a three-button mouse (IBM PS/2
 * Hardware Interface Technical Reference, keyboard and auxiliary device sections).
 *
 * Each has a queue of bytes that it wants to send; the i8042 takes them when its output buffer is free. */
#ifndef IO_PS2_H
#define IO_PS2_H

#include "mem/base/bits.h"

#define PS2_QUEUE 4096u /* a power of two */

struct ps2_queue {
	u8 bytes[PS2_QUEUE];
	u32 head, count; /* head < PS2_QUEUE, count <= PS2_QUEUE */
};

struct ps2_keyboard {
	struct ps2_queue queue;
	u8 set;          /* scan-code set: 1, 2 or 3 */
	u8 leds;         /* bit 0 scroll, 1 num, 2 caps */
	u8 typematic;
	u8 command;      /* command that waits for its argument, or 0 */
	u8 last;         /* last byte sent, for FEh */
	bool scanning;
};

struct ps2_mouse {
	struct ps2_queue queue;
	u8 command;      /* as above */
	u8 resolution;   /* 0 to 3 */
	u8 rate;         /* samples a second */
	u8 last;
	bool scaling, remote, wrap, reporting;
	u8 buttons;      /* bit 0 left, 1 right, 2 middle */
	s16 dx, dy;      /* moved since the last report */
};

bool ps2_pending(const struct ps2_queue *queue);
u8 ps2_take(struct ps2_queue *queue);

void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
/* A byte from the host. */
void ps2_keyboard_command(struct ps2_keyboard *keyboard, u8 byte);
/* Keys, as scan-code set 1 bytes. False, and nothing is taken, if the queue has no room. */
bool ps2_keyboard_keys(struct ps2_keyboard *keyboard, const u8 *codes, size_t len);

void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_command(struct ps2_mouse *mouse, u8 byte);
/* Movement (right and up positive) and buttons. */
void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, u8 buttons);

/* The i8042's translation of a set 2 byte into set 1 (without the break bit). */
u8 ps2_translate(u8 set2);

#endif
