/* SPDX-License-Identifier: MIT */
/* The fw_cfg device (QEMU's specification of fw_cfg), by which firmware reads about its machine: a selector of
 * items, some of them files.
 *
 *     510h  selector, 16 bits      511h  the item, byte by byte      514h, 518h  address of a DMA request, high and low half, big-endian
 *
 *     DMA request, big-endian:   0  control: 1 error, 2 read, 4 skip, 8 select (bits 31-16), 10h write     4  length     8  address
 *
 * Items cannot be written. Not modelled: requests of more than 16 MiB (they end in an error). */
#ifndef IO_FWCFG_H
#define IO_FWCFG_H

#include "mem/base/field.h"
#include "mem/space.h"

enum {
	FWCFG_SIGNATURE = 0, FWCFG_ID = 1, FWCFG_RAM_SIZE = 3, FWCFG_NO_DISPLAY = 4, FWCFG_CPUS = 5,
		FWCFG_KERNEL_SIZE = 8, FWCFG_INITRD_SIZE = 0x0b,
	FWCFG_NUMA = 0x0d, FWCFG_BOOT_MENU = 0x0e, FWCFG_MAX_CPUS = 0x0f, FWCFG_KERNEL = 0x11, FWCFG_INITRD = 0x12,
	FWCFG_CMDLINE_SIZE = 0x14,
	FWCFG_CMDLINE = 0x15, FWCFG_SETUP_SIZE = 0x17, FWCFG_SETUP = 0x18, FWCFG_DIRECTORY = 0x19, FWCFG_FILES = 0x20,
	FWCFG_IRQ0_OVERRIDE = 0x8002,
};

struct fwcfg;

/* NULL: no memory. */
struct fwcfg *fwcfg_new(struct space *ports, struct space *mem);
void fwcfg_free(struct fwcfg *fw);
struct part fwcfg_part(struct fwcfg *fw);
/* Add an item, or a file with a NAME of at most 55 characters: LEN bytes are copied. False: no memory or no room. */
bool fwcfg_add(struct fwcfg *fw, u16 key, const void *data, u32 len);
bool fwcfg_add_number(struct fwcfg *fw, u16 key, u64 value, unsigned size);
/* Other contents of the same length for the file NAME. */
void fwcfg_change_file(struct fwcfg *fw, const char *name, const void *data);
bool fwcfg_add_file(struct fwcfg *fw, const char *name, const void *data, u32 len);

#endif
