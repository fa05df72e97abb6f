/* SPDX-License-Identifier: MIT */
/* The 8254 programmable interval timer with port 61h around it (Intel 8254 data sheet; PIIX4 data sheet, NMISC).
 *
 *     1193182 Hz -+-> counter 0 -> OUT0 -> irq0
 *                 +-> counter 1 -> (refresh)
 *                 +-> counter 2 -> OUT2 -+-> port 61h bit 5
 *      port 61h bit 0 -> GATE2          & port 61h bit 1 -> speaker
 *
 * Counters are computed from the clock when somebody looks; only the edges of OUT0 are events. All six modes, BCD,
 * latch and read-back work.
 *
 * Not modelled: memory refresh (port 61h bit 4 toggles as if there were one); the NMI sources of port 61h never
 * occur. */
#ifndef IO_PIT_H
#define IO_PIT_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

#define PIT_HZ 1193182u

struct pit;

/* Takes ports 40h-43h and 61h. IRQ0 follows OUT0. NULL: no memory. The part belongs to CLOCK until both are freed. */
struct pit *pit_new(struct space *ports, struct clock *clock, struct line irq0);
void pit_free(struct pit *pit);
/* The half period of a square wave that the speaker plays now, in virtual ns; 0: silent. */
u64 pit_speaker(const struct pit *pit);
/* The level at the speaker now: OUT2, if port 61h lets it through. */
bool pit_speaker_out(struct pit *pit);
void pit_refresh(struct pit *pit);
struct part pit_part(struct pit *pit);

#endif
