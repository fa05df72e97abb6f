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

/* There are no locks and no files without a name: the calls fail, and callers go on without.
 * mem/base/compat/ has the rest. */
#define F_RDLCK 0
#define F_WRLCK 1
#define F_OFD_SETLK 37
int memfd_create(const char *name, unsigned flags);
#define MFD_CLOEXEC 1
#define MFD_ALLOW_SEALING 2

#endif
