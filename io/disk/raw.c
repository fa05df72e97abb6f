/* SPDX-License-Identifier: MIT */
/* Files and block devices of the host: the store under an image. store.h describes stores. */
#define _GNU_SOURCE /* open file description locks, fallocate */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mem/base/compat/file.h"
#include "io/disk/reach.h"
#include "io/disk/store.h"

#if !defined F_OFD_SETLK && defined F_SETLK
#define F_OFD_SETLK F_SETLK /* keeps other programs away, but not another drive of this one */
#endif
#if !HAVE_DECL_FDATASYNC
#define fdatasync fsync
#endif

struct raw {
	struct store store;
	int fd;
	bool regular;   /* a file, not a block device */
	u64 end;        /* bytes that it has, for all we know: others may cut a file off, but must not */
	char name[];
};

static enum disk_result too_short(const struct raw *raw)
{
	return store_failed(raw->store.error, DISK_ERROR, "%s: somebody has cut it off, it had %llu bytes", raw->name,
			    (unsigned long long)raw->end);
}

/* A write behind the new end would turn what is gone into zeroes. */
static bool was_cut_off(const struct raw *raw)
{
	struct stat st;

	return raw->regular && !fstat(raw->fd, &st) && (u64)st.st_size < raw->end;
}

/* Beyond the end that a file ever had there are zeroes: an overlay's file grows as it is written. */
static enum disk_result raw_read(struct store *store, u64 offset, void *out, size_t len)
{
	struct raw *raw = (struct raw *)store;
	u8 *to = out;

	while (len) {
		ssize_t n = pread(raw->fd, to, len, (off_t)(store->start + offset));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_errno(store->error, errno, "read", raw->name);
		if (!n && store->start + offset < raw->end)
			return too_short(raw);
		if (!n) {
			memset(to, 0, len);
			return DISK_OK;
		}
		to += n;
		offset += (u64)n;
		len -= (size_t)n;
	}
	return DISK_OK;
}

static enum disk_result raw_write(struct store *store, u64 offset, const void *in, size_t len)
{
	struct raw *raw = (struct raw *)store;
	const u8 *from = in;

	if (was_cut_off(raw))
		return too_short(raw);
	while (len) {
		ssize_t n = pwrite(raw->fd, from, len, (off_t)(store->start + offset));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_errno(store->error, errno, "write", raw->name);
		from += n;
		offset += (u64)n;
		len -= (size_t)n;
		if (store->start + offset > raw->end)
			raw->end = store->start + offset;
	}
	return DISK_OK;
}

static enum disk_result raw_flush(struct store *store)
{
	struct raw *raw = (struct raw *)store;
	int result;

	if (was_cut_off(raw))
		return too_short(raw);
	do
		result = fdatasync(raw->fd);
	while (result && errno == EINTR);
	if (!result)
		return DISK_OK;
	store_errno(store->error, errno, "flush", raw->name);
	return DISK_ERROR; /* never DISK_FULL: that would be tried again */
}

static enum disk_result raw_discard(struct store *store, u64 offset, u64 len)
{
	struct raw *raw = (struct raw *)store;

#if HAVE_DECL_FALLOCATE
	if (!fallocate(raw->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(store->start + offset), (off_t)len))
		return DISK_OK;
#else
	(void)raw;
#endif
	return store_zero(store, offset, len);
}

static void raw_free(struct store *store)
{
	close(((struct raw *)store)->fd);
	free(store);
}

static u64 raw_data(struct store *store, u64 offset)
{
#ifdef SEEK_DATA
	off_t at = lseek(((struct raw *)store)->fd, (off_t)(store->start + offset), SEEK_DATA);

	return at >= 0 ? (u64)at - store->start : errno == ENXIO ? store->size : offset;
#else
	(void)store;
	return offset;
#endif
}

static const struct store_ops raw_ops = { raw_read, raw_write, raw_flush, raw_discard, raw_free, raw_data };

bool raw_lock(struct store *store, enum raw_access access)
{
#ifdef F_OFD_SETLK
	struct raw *raw = (struct raw *)store;
	bool writable = access >= RAW_WRITE;
	struct flock lock = { .l_type = writable ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET,
		.l_start = (off_t)store->start, .l_len = (off_t)store->size };

	if (access == RAW_STRANGER || !fcntl(raw->fd, F_OFD_SETLK, &lock))
		return true;
	if (errno != EAGAIN && errno != EACCES) /* a file system without locks is no reason */
		return true;
	store_failed(store->error, DISK_ERROR, "%s: another drive or program %s bytes %llu to %llu of it, or some of them",
		     raw->name, writable ? "uses" : "writes to", (unsigned long long)store->start,
		     (unsigned long long)(store->start + store->size - 1));
	return false;
#else
	(void)store, (void)access;
	return true;
#endif
}

static int open_user(const char *name, enum raw_access access, char *error)
{
	int fd = open(name,
		      (access >= RAW_WRITE ? O_RDWR : O_RDONLY) | (access == RAW_CREATE ? O_CREAT : 0) | O_CLOEXEC |
			      O_NONBLOCK | O_NOCTTY,
		      0666);

	if (fd < 0)
		store_errno(error, errno, access >= RAW_WRITE ? "write" : "read", name);
	return fd;
}

struct store *raw_open(const char *name, enum raw_access access, char *error)
{
	struct raw *raw = calloc(1, sizeof *raw + strlen(name) + 1);
	struct stat st;
	off_t end;

	if (!raw) {
		store_failed(error, DISK_ERROR, "%s: the host has no memory for it", name);
		return NULL;
	}
	strcpy(raw->name, name);
	raw->store.ops = &raw_ops;
	raw->store.error = error;
	raw->fd = access == RAW_STRANGER ? reach_open(name, error) : open_user(name, access, error);
	if (raw->fd < 0) {
		free(raw);
		return NULL;
	}
	end = fstat(raw->fd, &st) ? -1 : 0;
	if (!end && !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		store_failed(error, DISK_ERROR, "%s: that is neither a file nor a block device", name);
		raw_free(&raw->store);
		return NULL;
	}
	if (!end)
		end = lseek(raw->fd, 0, SEEK_END);
	if (end < 0) {
		store_errno(error, errno, "read", name);
		raw_free(&raw->store);
		return NULL;
	}
	raw->regular = S_ISREG(st.st_mode);
	raw->store.size = raw->end = (u64)end;
	return &raw->store;
}
