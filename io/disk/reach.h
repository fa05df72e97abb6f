/* SPDX-License-Identifier: MIT */
/* The files of the host that a configuration may open if somebody else wrote it, e.g. that of a recording: regular
 * files, for reading. A file that the user has named may be a block device, too. Nothing is created, written, locked
 * or connected to (ARCHITECTURE.md, law 6). It is no chip and has no data sheet.
 *
 * A NULL struct reach is the user's own configuration, which may open everything that disk.h lists. */
#ifndef IO_DISK_REACH_H
#define IO_DISK_REACH_H

#include "mem/base/bits.h"

/* FROM, or what lies below it, lies at or below TO. */
struct reach_move { char *from, *to; };

struct reach {
	struct reach_move *moves; /* the first that fits is taken */
	unsigned nmoves;
	const char *kernel, *initrd, *bios; /* the user's files for these; NULL: where the configuration says */
	bool nbd;                 /* network block devices may be connected to */
	const struct disk_was *disks; /* each drive's contents: disk.h */
};

/* Where NAME lies now, malloc'd; NULL: no memory. *GIVEN: the user has said so. */
char *reach_name(const struct reach *reach, const char *name, bool *given);
/* Open a file that a stranger has named, for reading: only a regular file that has its bytes on a disk, and without
 * an effect on anything else. -1 with a text in ERROR (DISK_ERROR_MAX bytes). */
int reach_open(const char *name, char *error);

#endif
