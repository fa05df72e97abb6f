/* SPDX-License-Identifier: MIT */
/* Functions that wasi-libc lacks (wasi.h). */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int memfd_create(const char *name, unsigned flags)
{
	(void)name, (void)flags;
	errno = ENOSYS;
	return -1;
}

/* Large memory comes from the end of the module's memory, whose pages are zeroes that the browser does not hold until
 * they are written. It cannot be given back: a list has what is free. The rest is malloc's. */
enum { WASM_PAGE = 65536, LARGE = 4 * WASM_PAGE, FREE_MAX = 256 };
static struct stretch { uintptr_t at; size_t len; } free_list[FREE_MAX];
static unsigned nfree;

static size_t whole(size_t len)
{
	return (len + WASM_PAGE - 1) & ~(size_t)(WASM_PAGE - 1);
}

static void *from_list(size_t len)
{
	for (unsigned i = 0; i < nfree; i++) {
		struct stretch *s = &free_list[i];
		void *at = (void *)s->at;

		if (s->len < len)
			continue;
		s->at += len;
		s->len -= len;
		if (!s->len)
			*s = free_list[--nfree];
		return memset(at, 0, len);
	}
	return NULL;
}

static void *large(size_t len)
{
	void *at = from_list(len);
	size_t page;

	if (at)
		return at;
	page = __builtin_wasm_memory_grow(0, len / WASM_PAGE);
	return page == SIZE_MAX ? NULL : (void *)(page * WASM_PAGE);
}

static bool to_list(uintptr_t at, size_t len)
{
	for (unsigned i = 0; i < nfree; i++) {
		struct stretch *s = &free_list[i];

		if (s->at + s->len != at && at + len != s->at)
			continue;
		s->at = s->at < at ? s->at : at;
		s->len += len;
		return true;
	}
	if (nfree == FREE_MAX)
		return false; /* lost until the module ends */
	free_list[nfree++] = (struct stretch){ at, len };
	return true;
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *p;

	(void)prot, (void)offset;
	if (flags & MAP_FIXED && flags & MAP_ANONYMOUS)
		return memset(at, 0, len);
	if (flags & MAP_FIXED || fd >= 0) {
		errno = ENODEV;
		return MAP_FAILED;
	}
	if (len >= LARGE)
		p = len > SIZE_MAX - WASM_PAGE ? NULL : large(whole(len));
	else if ((p = aligned_alloc(4096, (len + 4095) & ~(size_t)4095)))
		memset(p, 0, len);
	if (p)
		return p;
	errno = ENOMEM;
	return MAP_FAILED;
}

int munmap(void *at, size_t len)
{
	if (len >= LARGE)
		to_list((uintptr_t)at, whole(len));
	else
		free(at);
	return 0;
}

int madvise(void *at, size_t len, int advice)
{
	if (advice == MADV_DONTNEED)
		memset(at, 0, len);
	return 0;
}

/* Debian's compiler library is built with stack protection. */
uintptr_t __stack_chk_guard = 0x57ac6a3d;
_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void) { __builtin_trap(); }
