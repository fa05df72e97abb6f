/* SPDX-License-Identifier: MIT */
/* What the library uses of Linux and wasi-libc lacks. Every file of the web build includes it first (-include). wasi.c
 * has the functions. */
#ifndef WEB_WASI_H
#define WEB_WASI_H

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/types.h>
#undef PAGE_SIZE /* of WebAssembly, 64 KiB; mem/space.h has that of the guest */

/* There are no locks, holes and sealed files: the calls fail, and callers go on without. */
#define F_RDLCK 0
#define F_WRLCK 1
#define F_OFD_SETLK 37
#define F_ADD_SEALS 1033
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#define F_SEAL_WRITE 8
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#define SEEK_DATA 3
int fallocate(int fd, int mode, off_t offset, off_t len);
int memfd_create(const char *name, unsigned flags);
#define MFD_CLOEXEC 1
#define MFD_ALLOW_SEALING 2

/* glibc's, which returns the text. */
static inline char *web_strerror_r(int number, char *text, size_t size)
{
	(void)text, (void)size;
	return strerror(number);
}
#define strerror_r web_strerror_r

#endif
