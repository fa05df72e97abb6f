/* SPDX-License-Identifier: MIT */
/* A NOR flash chip with Intel's command set (Common Flash Interface, JESD68; command set 0001h), 8 bits wide, blocks
 * of 4 KiB, for the variables of the firmware. Reads are those of a ROM until a command is written anywhere in it:
 *
 *     10h, 40h, then a byte   program: bits go from 1 to 0        50h  clear status      FFh  read array
 *     20h, then D0h           erase the block: all ones           70h  read status: 80h done, 30h wrong sequence
 *     90h  read identifier    98h  read CFI query
 *
 * Work is done at once. After "clear status" the status is 00h, not 80h: firmware made for virtual machines takes
 * 80h for something else.
 *
 * Not modelled: locks, suspend, the write buffer. */
#ifndef IO_FLASH_H
#define IO_FLASH_H

#include "mem/base/field.h"
#include "mem/base/log.h"
#include "mem/space.h"

#define FLASH_BLOCK 4096u

struct flash;

/* The contents are RAM, a multiple of FLASH_BLOCK, shown at BASE in MEM; they are saved with the other memory. CHANGED
 * (may be NULL) is told which bytes of it have been written. NULL: no memory. */
struct flash *flash_new(struct space *mem, u64 base, struct ram *ram, void (*changed)(void *owner, u64 offset, u64 len),
	void *owner,
		const struct log *log);
void flash_free(struct flash *flash);
void flash_refresh(struct flash *flash);
struct part flash_part(struct flash *flash);

#endif
