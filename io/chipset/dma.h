/* SPDX-License-Identifier: MIT */
/* The two DMA controllers of a PC (Intel 8237A data sheet; 82371SB for their ports) and their page registers.
 *
 *     channels 0-3  ports 00h-0Fh            8 bits:  address = page 23..16 | 15..0
 *     channels 4-7  ports C0h-DFh, even ones 16 bits: address = page 23..17 | 15..0 | 0; channel 4 cascades the others
 *     pages         87h 83h 81h 82h, -- 8Bh 89h 8Ah; the others of 80h-8Fh only remember
 *
 * A device that wants data moved calls dma_move, which moves at once: how long the bus takes for it is the device's
 * business.
 *
 * Not modelled: memory to memory, cascaded masters, compressed timing, rotating priority (nothing here competes). */
#ifndef IO_DMA_H
#define IO_DMA_H

#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

struct dma;

/* MEM is what the bus sees. NULL: no memory. */
struct dma *dma_new(struct space *ports, struct space *mem);
void dma_free(struct dma *dma);
void dma_refresh(struct dma *dma);
struct part dma_part(struct dma *dma);

/* A device on CHANNEL holds its DREQ for LEN bytes (even for channels 5 to 7): from memory to DATA or, TO_MEMORY, the
 * other way. Returns how many were moved: fewer if the channel is masked, or set up for the other direction, or at its
 * terminal count, which sets *TC (it is not touched otherwise). */
u32 dma_move(struct dma *dma, unsigned channel, void *data, u32 len, bool to_memory, bool *tc);

#endif
