/* SPDX-License-Identifier: MIT */
/* The keyboard controller of the PS/2 (IBM PS/2 Hardware Interface Technical Reference, "Keyboard/Auxiliary Device
 * Controller") with its keyboard and mouse.
 *
 *     60h data   64h status (read), command (write)
 *     output port: bit 0 reset (low), bit 1 A20, bit 4 IRQ1, bit 5 IRQ12
 *
 * Not modelled: the password (A4h says that there is none), time-outs and parity errors of the plugs, the keyboard
 * lock. */
#ifndef IO_I8042_H
#define IO_I8042_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

struct i8042;

/* Takes ports 60h and 64h. A20 is high while bit 20 of addresses passes; RESET pulses high. NULL: no memory. */
struct i8042 *i8042_new(struct space *ports, struct clock *clock, struct line irq1, struct line irq12, struct line a20,
	struct line reset,
		const struct log *log);
void i8042_free(struct i8042 *i8042);
/* Keys, as scan-code set 1 bytes (what a guest sees that leaves translation on). False, and nothing is taken, if there
 * is no room. */
bool i8042_keyboard_input(struct i8042 *i8042, const void *scancodes, size_t len);
/* The mouse moved (right, up, and the wheel towards the user are positive) or its buttons changed (bit 0 left, 1 right,
 * 2 middle, 3 and 4 beside). */
void i8042_mouse_input(struct i8042 *i8042, int dx, int dy, int dz, u8 buttons);
void i8042_refresh(struct i8042 *i8042);
struct part i8042_part(struct i8042 *i8042);

#endif
