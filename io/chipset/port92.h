/* SPDX-License-Identifier: MIT */
/* System control port A, 92h (IBM PS/2 Hardware Interface Technical Reference): bit 0 pulses reset, bit 1 is the
 * fast A20 gate.
 *
 * The machine ORs this A20 (low at power-on) with the keyboard controller's (high at power-on).
 *
 * Not modelled: bits 2 to 7 (security lock, watchdog, fixed-disk lamp), which read as 0. */
#ifndef IO_PORT92_H
#define IO_PORT92_H

#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

struct port92;

struct port92 *port92_new(struct space *ports, struct line a20, struct line reset);
void port92_free(struct port92 *port92);
void port92_refresh(struct port92 *port92);
struct part port92_part(struct port92 *port92);

#endif
