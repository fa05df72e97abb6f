/* SPDX-License-Identifier: MIT */
/* The image of a drive, without a data sheet: SIZE bytes that can be read and written, from one of
 *
 *     FILE                    a raw image; writes go to it
 *     FILE,snapshot           writes stay in memory and are forgotten at the end; they are state: saved, hashed, taken back by a load
 *     FILE,overlay=COPY       writes go to COPY, our copy-on-write file (made if it is not there); FILE stays as it is
 *     FILE,readonly
 *     FILE,offset=N,size=N    a minidisk: this range of FILE and nothing else (combines with the others; K, M, G, T suffixes)
 *     nbd:URI                 a network block device, e.g. nbd:unix:/tmp/socket or nbd:nbd://host/export
 *
 * Work is done when the call returns: how long it takes in virtual time is the controller's business. The same calls
 * give the same answers, whatever the host does, as long as nobody else writes the image.
 *
 * No request can leave the disk: it is checked here, once, for every controller. */
#ifndef IO_DISK_H
#define IO_DISK_H

#include "mem/base/field.h"

enum disk_result {
	DISK_OK,
	DISK_RANGE,     /* not within the disk; nothing was done */
	DISK_READ_ONLY, /* nothing was done */
	DISK_ERROR,     /* the host could not read or write; disk_error tells */
	DISK_FULL,      /* the host has no room, or the owner cannot wait for it: nothing was done, and the same call may succeed later. The
	                   controller must not answer the guest but call disk_wait and try again when the event it then arms comes */
	DISK_STALLED,   /* of stores only, for what is not the host's room; disk.c makes DISK_FULL of it */
};

struct disk;
struct ram;

/* SPEC as above. NULL, with a malloc'd line in *ERROR. The contents' length is rounded down to a multiple of 512 bytes;
 * an empty disk is an error. */
struct disk *disk_open(const char *spec, char **error);
struct reach;
/* What a disk had. */
struct disk_was {
	u64 contents; /* as disk_contents said; 0 of a network block device */
	u64 size;     /* bytes; 0: not known */
	/* of its overlay, in place of which they are put into memory: number (64 bits) and 4096 bytes of each; NULL:
	 * not known */
	const u8 *blocks;
	size_t blocks_len;
};
/* The same for a SPEC that a stranger wrote: opened as far as REACH goes (reach.h), and what is written stays in
 * memory. WAS (or NULL): it must have these contents; an overlay is left out if without it they are the right
 * ones. */
struct disk *disk_open_within(const char *spec, const struct reach *reach, const struct disk_was *was, char **error);
void disk_free(struct disk *disk); /* NULL is fine; flushes */
u64 disk_size(const struct disk *disk);     /* bytes */
bool disk_read_only(const struct disk *disk);
enum disk_result disk_read(struct disk *disk, u64 offset, void *out, size_t len);
enum disk_result disk_write(struct disk *disk, u64 offset, const void *in, size_t len);
/* What was written before is on the host's disk when it returns DISK_OK. A flush that failed with DISK_ERROR is the
 * last word: the host's kernel may have dropped what it could not write, and a next fdatasync would succeed without
 * it. So every later flush fails with the same text, until the disk is opened again. */
enum disk_result disk_flush(struct disk *disk);
/* LEN bytes that are not needed any more read as zeroes from now on. */
enum disk_result disk_discard(struct disk *disk, u64 offset, u64 len);
/* Text for the last result that was DISK_ERROR or DISK_FULL. */
const char *disk_error(const struct disk *disk);
/* What the owner of a disk hears of the host, and is asked. Each may be NULL. */
struct disk_host {
	void *owner;
	/* disk_wait was called, for want of room: disk_error tells */
	void (*waiting)(void *owner, struct disk *disk);
	void (*stalled)(void *owner, struct disk *disk);       /* the same, but because of HURRY */
	/* a line for the user: the host failed; not twice the same */
	void (*say)(void *owner, const char *text);
	void (*lost)(void *owner, struct disk *disk);          /* the first flush that failed: disk_error tells */
	/* the owner wants to stop: do not wait long for the host */
	bool (*hurry)(void *owner);
};
void disk_set_host(struct disk *disk, const struct disk_host *host);
void disk_wait(struct disk *disk);
/* A hash of all contents as they are now; 0 for a network block device, which would have to be fetched. */
enum disk_result disk_contents(struct disk *disk, u64 *hash);
/* The blocks that an overlay has which will be written, as in struct disk_was, malloc'd; *OUT is NULL if there are
 * none, or more than MAX bytes. */
enum disk_result disk_overlay_blocks(struct disk *disk, size_t max, u8 **out, size_t *len);
/* What is state in every disk: a hash of all that was written since it was opened, wherever the bytes are kept. NAME
 * must live as long. */
struct part disk_part(struct disk *disk, const char *name);
/* The memory that is all the other state of a `snapshot' disk: what was written to it, and behind that a map of where;
 * NULL for others. Owned by the disk. */
struct ram *disk_ram(struct disk *disk);

#endif
