/* SPDX-License-Identifier: MIT */
/* Memory that is not of a file: wasi.c. */
#ifndef WEB_MMAN_H
#define WEB_MMAN_H

#include <stddef.h>
#include <sys/types.h>

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_NORESERVE 0x4000
#define MAP_FAILED ((void *)-1)
#define MADV_DONTNEED 4
void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int munmap(void *at, size_t len);
int madvise(void *at, size_t len, int advice);

#endif
