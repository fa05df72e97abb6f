/* SPDX-License-Identifier: MIT */
/* A disk whose host fails when it is told to: the image in a file, and before it a store that counts what it is
 * asked for. */
#ifndef TEST_FAULTY_H
#define TEST_FAULTY_H

#include <check.h>
#include <stdlib.h>
#include "io/disk/store.h"

enum { FAULTY_READ, FAULTY_WRITE, FAULTY_FLUSH, FAULTY_KINDS };

/* Request N of a kind, from 1, is answered with RESULT; 0: none is. */
static struct {
	unsigned seen, fail_at;
	enum disk_result result;
} faulty[FAULTY_KINDS];
/* What the disk's owner has heard. */
static unsigned faulty_says, faulty_losses;

struct faulty {
	struct store store;
	struct store *inner;
};

static inline struct store *faulty_inner(struct store *store) { return ((struct faulty *)store)->inner; }

static inline enum disk_result faulty_pass(struct store *store, unsigned kind)
{
	if (++faulty[kind].seen != faulty[kind].fail_at)
		return DISK_OK;
	return store_failed(store->error, faulty[kind].result, "faulty: request %u of kind %u", faulty[kind].seen,
			    kind);
}

static inline enum disk_result faulty_read(struct store *store, u64 offset, void *out, size_t len)
{
	enum disk_result result = faulty_pass(store, FAULTY_READ);

	return result == DISK_OK ? faulty_inner(store)->ops->read(faulty_inner(store), offset, out, len) : result;
}

static inline enum disk_result faulty_write(struct store *store, u64 offset, const void *in, size_t len)
{
	enum disk_result result = faulty_pass(store, FAULTY_WRITE);

	return result == DISK_OK ? faulty_inner(store)->ops->write(faulty_inner(store), offset, in, len) : result;
}

static inline enum disk_result faulty_flush(struct store *store)
{
	enum disk_result result = faulty_pass(store, FAULTY_FLUSH);

	return result == DISK_OK ? faulty_inner(store)->ops->flush(faulty_inner(store)) : result;
}

static inline void faulty_free(struct store *store)
{
	faulty_inner(store)->ops->free(faulty_inner(store));
	free(store);
}

static const struct store_ops faulty_ops = { faulty_read, faulty_write, faulty_flush, store_zero, faulty_free, NULL };

/* FILE is the name of the image. */
static inline struct store *faulty_make(void *file, char *error)
{
	struct faulty *f = calloc(1, sizeof *f);

	memset(faulty, 0, sizeof faulty);
	faulty_says = faulty_losses = 0;
	f->inner = raw_open(file, RAW_CREATE, error);
	ck_assert_ptr_nonnull(f->inner);
	f->store = (struct store){ &faulty_ops, 0, f->inner->size, error };
	return &f->store;
}

static inline void faulty_said(void *owner, const char *text) { (void)owner, (void)text, faulty_says++; }
static inline void faulty_lost(void *owner, struct disk *disk) { (void)owner, (void)disk, faulty_losses++; }

static inline struct disk *faulty_disk(struct store *(*make)(void *arg, char *error), void *arg)
{
	struct disk *disk = disk_new(make, arg, NULL);

	ck_assert_ptr_nonnull(disk);
	disk_set_host(disk, &(struct disk_host){ .say = faulty_said, .lost = faulty_lost });
	return disk;
}

/* The next request of KIND, and no other. */
static inline void faulty_next(unsigned kind, enum disk_result result)
{
	faulty[kind].fail_at = faulty[kind].seen + 1;
	faulty[kind].result = result;
}

#endif
