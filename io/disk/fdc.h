/* SPDX-License-Identifier: MIT */
/* The floppy disk controller, Intel 82077AA (data sheet 290166), in AT mode, and its two drives. Ports 3F0h-3F5h, 3F7h,
 * IRQ 6, DMA channel 2.
 *
 * The size of its image says what a disk is:   160K 180K 320K 360K   640K 720K   1.2M   1.44M (1.68M, 1.72M)   2.88M   and, of any other size up to
 * 2.88M, a 1.44M or 2.88M disk that is zero behind the image's end and cannot be written there. The drive is of the
 * kind that fits it. The controller's data rate must be the disk's, else there is nothing to be found on it: that is
 * how hosts find out what is in a drive.
 *
 * Everything takes virtual time, but these drives are quick: a sector passes in 100 us, a step takes 30 us.
 *
 * Not modelled: sectors of other sizes than 512 bytes, FM, deleted data marks (none is ever found, and written ones are
 * ordinary), gaps, what the head meets between sectors, tape drives. */
#ifndef IO_FDC_H
#define IO_FDC_H

#include "io/disk/disk.h"
#include "io/chipset/dma.h"
#include "mem/base/log.h"

struct fdc;

/* What the firmware is told of a drive (CMOS byte 10h). */
enum fdc_type { FDC_NONE, FDC_360K, FDC_1200K, FDC_720K, FDC_1440K, FDC_2880K };

/* DISKS: one for each drive; they stay the caller's. PRESENT: the drive is there; without a disk it is an empty 1.44M
 * drive. NULL: no memory. */
struct fdc *fdc_new(struct space *ports, struct clock *clock, struct line irq6, struct dma *dma,
	struct disk *const disks[2],
		const bool present[2], const struct log *log);
void fdc_free(struct fdc *fdc);
void fdc_refresh(struct fdc *fdc);
struct part fdc_part(struct fdc *fdc);
enum fdc_type fdc_type(const struct fdc *fdc, unsigned drive);
/* Another disk is in a drive, or none (NULL); for fdc_insert as if a person had changed it: the drive's DISK CHANGE
 * line says so. */
void fdc_hold(struct fdc *fdc, unsigned drive, struct disk *disk);
void fdc_insert(struct fdc *fdc, unsigned drive, struct disk *disk);
/* The largest image that is a floppy disk, bytes. */
#define FDC_IMAGE_MAX (80u * 2 * 36 * 512)

#endif
