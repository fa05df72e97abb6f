/* SPDX-License-Identifier: MIT */
/* Ports of emulators, without a data sheet: E9h takes bytes for a console (a read gives E9h, by which a guest finds
 * it), 402h takes bytes of the firmware's log, F4h ends the run with a value (QEMU's isa-debug-exit). */
#ifndef IO_DEBUGPORT_H
#define IO_DEBUGPORT_H

#include "mem/space.h"

struct debugport;

/* OUT gets every byte written to E9h, FIRMWARE those to 402h; EXIT gets every value (1, 2 or 4 bytes, zero-extended)
 * written to F4h. Each may be NULL. The part has no state. NULL: no memory. */
struct debugport *debugport_new(struct space *ports, void (*out)(void *owner, const void *data, size_t len),
		void (*firmware)(void *owner, const void *data, size_t len),
		void (*exit)(void *owner, u32 value), void *owner);
void debugport_free(struct debugport *debugport);

#endif
