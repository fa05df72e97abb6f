/* SPDX-License-Identifier: MIT */
/* The parallel port of the PC (IBM PC Technical Reference, "Parallel Printer Adapter") with a printer that takes every
 * byte.
 *
 *     0 data     1 status: 7 not busy, 6 not acknowledging, 5 no paper, 4 selected, 3 no error
 *     2 control: 5 data lines are inputs (PS/2), 4 interrupt, 3 select, 2 not initialising, 1 feed by itself, 0 strobe
 *
 * A strobe sends the data; the printer is busy for a microsecond and then acknowledges for as long, which is the
 * interrupt.
 *
 * Not modelled: EPP, ECP; nothing drives the data lines when they are inputs. */
#ifndef IO_LPT_H
#define IO_LPT_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

struct lpt;

/* Takes ports BASE to BASE+2. OUT (may be NULL) gets what is printed. NULL: no memory. */
struct lpt *lpt_new(struct space *ports, struct clock *clock, u16 base, struct line irq,
		void (*out)(void *owner, const void *data, size_t len), void *owner);
void lpt_free(struct lpt *lpt);
void lpt_refresh(struct lpt *lpt);
struct part lpt_part(struct lpt *lpt);

#endif
