/* SPDX-License-Identifier: MIT */
/* Ports by which guests of other emulators end the run; there is no data sheet:
 *
 *     8900h  the letters of "Shutdown", a byte each: power off (Bochs)
 *     B004h  a word with bit 13, SLP_EN, and sleep type 0 in bits 10 to 12: power off (PM1a_CNT where the firmware
 *            of Bochs, and of QEMU before 2.0, puts it)
 *      501h  a value that ends the run (QEMU's isa-debug-exit, where it is by default)
 *
 * Not modelled: the other registers of these devices; reads give all ones. */
#ifndef IO_EXITPORTS_H
#define IO_EXITPORTS_H

#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

struct exitports;

/* OFF is set for power off; EXIT gets every value (1, 2 or 4 bytes, zero-extended) written to 501h. NULL: no memory,
 * or something lies there. */
struct exitports *exitports_new(struct space *ports, struct line off, void (*exit)(void *owner, u32 value),
	void *owner);
void exitports_free(struct exitports *e);
void exitports_refresh(struct exitports *e);
struct part exitports_part(struct exitports *e);

#endif
