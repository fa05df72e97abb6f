/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif
#ifdef _WIN32
#include <windows.h>
#undef PAGE_SIZE
#endif
#include "mem/base/compat/file.h"
#include "mem/base/compat/memory.h"
#include "mem/pages.h"

#ifdef MAP_ANONYMOUS

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
enum { PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

void *pages_new(u64 size)
{
	void *p = size > SIZE_MAX ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, PRIVATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void pages_free(void *at, u64 size)
{
	if (at)
		munmap(at, size);
}

bool pages_zero(void *at, u64 len, bool shares)
{
#ifdef __linux__ /* other hosts may leave the old bytes there */
	if (!shares)
		return !madvise(at, len, MADV_DONTNEED);
#else
	(void)shares;
#endif
	return mmap(at, len, PROT_READ | PROT_WRITE, PRIVATE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool pages_share(void *at, u64 len, int fd, u64 offset)
{
	return mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd, (off_t)offset) !=
	       MAP_FAILED;
}

void *pages_view(int fd, u64 size)
{
	void *p = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

	return p == MAP_FAILED ? NULL : p;
}

#else

#ifdef _WIN32
void *pages_new(u64 size) { return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }

void pages_free(void *at, u64 size)
{
	(void)size;
	if (at)
		VirtualFree(at, 0, MEM_RELEASE);
}

bool pages_zero(void *at, u64 len, bool shares)
{
	(void)shares;
	return !len || (VirtualFree(at, len, MEM_DECOMMIT) && VirtualAlloc(at, len, MEM_COMMIT, PAGE_READWRITE));
}
#else
enum { ALIGNED = 4096 };

void *pages_new(u64 size)
{
	void *p = size > SIZE_MAX - ALIGNED ? NULL : aligned_new(ALIGNED, (size + ALIGNED - 1) & ~(u64)(ALIGNED - 1));

	return p ? memset(p, 0, size) : NULL;
}

void pages_free(void *at, u64 size)
{
	(void)size;
	aligned_free(at);
}

bool pages_zero(void *at, u64 len, bool shares)
{
	(void)shares;
	memset(at, 0, len);
	return true;
}
#endif

bool pages_share(void *at, u64 len, int fd, u64 offset)
{
	(void)at, (void)len, (void)fd, (void)offset;
	return false;
}

void *pages_view(int fd, u64 size)
{
	u8 *p = pages_new(size);
	ssize_t n;

	for (u64 done = 0; p && done < size; done += (u64)n)
		if ((n = pread(fd, p + done, size - done, (off_t)done)) <= 0) {
			pages_free(p, size);
			return NULL;
		}
	return p;
}

#endif
