/* SPDX-License-Identifier: MIT */
/* The Sound Blaster 16 (Creative, "Sound Blaster Series Hardware Programming Guide"): digital sound by DMA, DSP 4.05,
 * and its mixer.
 *
 *     224h mixer index   225h mixer data   226h reset   22Ah read   22Ch write, bit 7 busy
 *     22Eh bit 7: there is something to read; acknowledges the 8-bit interrupt   22Fh acknowledges the 16-bit one
 *
 * IRQ 5, 7 or 10 and DMA channels 0, 1 or 3, and 5 to 7, as the mixer's registers 80h and 81h say; 5, 1 and 5 at
 * power-on. A sample is fetched when it is to be heard.
 *
 * Not modelled: the FM synthesiser, MIDI, the signal processor of 03h to 0Fh; recording gives silence. */
#ifndef IO_SB16_H
#define IO_SB16_H

#include "io/chipset/dma.h"
#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

struct sb16;

/* Takes ports 220h to 22Fh. IRQ: the set function is called with n 5, 7 or 10. NULL: no memory. */
struct sb16 *sb16_new(struct space *ports, struct clock *clock, struct dma *dma, struct line irq,
		      const struct log *log);
void sb16_free(struct sb16 *card);
/* What is to be heard now, of 16 bits, after the mixer. */
void sb16_samples(const struct sb16 *card, int *left, int *right);
void sb16_refresh(struct sb16 *card);
struct part sb16_part(struct sb16 *card);

#endif
