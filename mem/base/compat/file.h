/* SPDX-License-Identifier: MIT */
/* Files by descriptor on hosts that are not POSIX's, as Windows: they are binary, programs that are started do not have
 * them, and no other thread reads or writes by the same descriptor. */
#ifndef COMPAT_FILE_H
#define COMPAT_FILE_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef _WIN32
#include <io.h>
#define O_CLOEXEC (O_BINARY | O_NOINHERIT)
#define O_NONBLOCK 0
#define O_NOCTTY 0
#define fsync _commit
#define OPEN_TO_READ "rbN"

static inline ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
	return lseek(fd, offset, SEEK_SET) < 0 ? -1 : read(fd, data, len < INT_MAX ? (unsigned)len : INT_MAX);
}

static inline ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return lseek(fd, offset, SEEK_SET) < 0 ? -1 : write(fd, data, len < INT_MAX ? (unsigned)len : INT_MAX);
}

/* Files have no number there. */
static inline bool same_file(const struct stat *a, const struct stat *b) { return a->st_size == b->st_size; }
#else
#define OPEN_TO_READ "rbe" /* for fopen */

/* Do A and B describe one file? */
static inline bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}
#endif

#endif
