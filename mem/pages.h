/* SPDX-License-Identifier: MIT */
/* Memory of the host in pages. Sizes are of bytes. */
#ifndef MEM_PAGES_H
#define MEM_PAGES_H

#include "mem/base/bits.h"

/* Zeroes. Where the host has mmap() it gives a page at the first write to it, and reads of the others share its one
 * page of zeroes. NULL: the host has no memory. */
void *pages_new(u64 size);
/* What pages_new or pages_view gave; NULL is fine. */
void pages_free(void *at, u64 size);
/* LEN bytes at AT are zeroes again, and the host has their pages back if it takes them. SHARES: pages_share was called
 * for some. */
bool pages_zero(void *at, u64 len, bool shares);
/* LEN bytes at AT become those at OFFSET of a file, which the host reads when they are used; writes do not reach the
 * file. False: the host cannot. */
bool pages_share(void *at, u64 len, int fd, u64 offset);
/* The first SIZE bytes of a file, to read. NULL: the host has no memory, or the file cannot be read. */
void *pages_view(int fd, u64 size);

#endif
