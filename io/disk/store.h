/* SPDX-License-Identifier: MIT */
/* Stores of bytes, of which images are made, one over the other; without a data sheet.
 *
 *     raw, nbd      the host's
 *     memory        a struct ram
 *     cow           a store and what was changed of it, block by block, in another
 *
 * Requests are within the store: disk.c has checked them. A flush may answer DISK_FULL only if the same flush can
 * still keep its promise: all that was written is still in the store's hands. */
#ifndef IO_DISK_STORE_H
#define IO_DISK_STORE_H

#include "io/disk/disk.h"
#include "mem/space.h"

#define DISK_ERROR_MAX 512

struct store {
	const struct store_ops *ops;
	u64 start, size; /* the window, bytes: byte 0 of the store is byte START of what it is made of */
	char *error;     /* the disk's text, of DISK_ERROR_MAX bytes, for DISK_ERROR and DISK_FULL */
};

struct store_ops {
	enum disk_result (*read)(struct store *store, u64 offset, void *out, size_t len);
	enum disk_result (*write)(struct store *store, u64 offset, const void *in, size_t len);
	enum disk_result (*flush)(struct store *store);
	enum disk_result (*discard)(struct store *store, u64 offset, u64 len);
	void (*free)(struct store *store);
	/* The first byte from OFFSET on that may be anything but zero; the end or beyond if there is none. NULL: any
	 * may be. */
	u64 (*data)(struct store *store, u64 offset);
};

/* Sets the text and returns RESULT. */
__attribute__((format(printf, 3, 4)))
enum disk_result store_failed(char *error, enum disk_result result, const char *format, ...);
/* RESULT is DISK_FULL if NUMBER (an errno) says that there is no room, else DISK_ERROR. */
enum disk_result store_errno(char *error, int number, const char *what, const char *name);
/* Write LEN zeroes, for those that cannot do better. */
enum disk_result store_zero(struct store *store, u64 offset, u64 len);

u64 store_data(struct store *store, u64 offset);

/* A disk of one store, which MAKE opens. */
struct disk *disk_new(struct store *(*make)(void *arg, char *error), void *arg, char **error);

/* RAW_STRANGER: for reading, as far as reach.h lets a name that a stranger has given. */
enum raw_access { RAW_STRANGER, RAW_READ, RAW_WRITE, RAW_CREATE };
/* NULL with a text in ERROR, which must outlive the store. */
struct store *raw_open(const char *name, enum raw_access access, char *error);
/* HOST's hurry and say are used while it is open; it must outlive the store. */
struct store *nbd_open(const char *uri, bool writable, const struct disk_host *host, char *error);
/* Hold a lock on the window for as long as the file is open: others that want to write it, or that write it, are
 * refused. RAW_STRANGER: none. */
bool raw_lock(struct store *store, enum raw_access access);
/* These take BASE (and FILE) over: they are freed with them, and by them when they fail. */
struct store *overlay_open(const char *name, struct store *base, enum raw_access access, char *error);
struct store *overlay_new(const char *name, struct store *file, struct store *base, bool writable, char *error);
struct store *snapshot_new(struct store *base, char *error);
struct ram *snapshot_ram(struct store *store);

/* ---- cow.c ---- */

#define COW_BLOCK 4096u

/* TOP has the blocks whose bit is set in the map, which lies at MAP_AT of MAP; its dirty pages are those in which bits
 * were set. */
struct cow {
	struct store store;
	struct store *base, *top;
	struct ram *map;
	u64 map_at;
};

/* Bytes of the map of a store of SIZE bytes, rounded up to whole pages. */
u64 cow_map_size(u64 size);
enum disk_result cow_read(struct store *store, u64 offset, void *out, size_t len);
enum disk_result cow_write(struct store *store, u64 offset, const void *in, size_t len);
enum disk_result cow_discard(struct store *store, u64 offset, u64 len);
u64 cow_data(struct store *store, u64 offset);
/* The blocks of the top: struct disk_was tells how. *OUT is NULL if there are none or more than MAX bytes. */
enum disk_result cow_blocks(struct store *store, size_t max, u8 **out, size_t *len);

#endif
