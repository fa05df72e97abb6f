/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>
#include "mem/base/compat/file.h"
#include "mem/pages.h"
#include "mem/space.h"

/* A hole of fewer pages in what a file gives is left: each mapping takes the host some memory. */
#define HOLE_MIN 16u

/* HOST is NULL: it has memory of its own. */
static struct ram *new_ram(void *host, u64 size)
{
	struct ram *ram;

	if (!size || size > ~(u64)0 - PAGE_SIZE)
		return NULL;
	ram = calloc(1, sizeof *ram);
	if (!ram)
		return NULL;
	ram->size = (size + PAGE_SIZE - 1) & PAGE_MASK;
	ram->borrowed = host;
	ram->host = host ? host : pages_new(ram->size);
	ram->pages = pages_new(ram->size >> PAGE_SHIFT);
	if (!ram->host || !ram->pages) {
		ram_free(ram);
		return NULL;
	}
	return ram;
}

struct ram *ram_new(u64 size) { return new_ram(NULL, size); }

struct ram *ram_borrow(void *host, u64 size)
{
	struct ram *ram = new_ram(host, size);

	if (ram)
		memset(ram->pages, PAGE_DIRTY, size >> PAGE_SHIFT);
	return ram;
}

bool ram_deny(struct ram *ram, u64 page, u8 denied)
{
	if (!ram->denied && denied)
		ram->denied = pages_new(ram->size >> PAGE_SHIFT);
	if (ram->denied)
		ram->denied[page] = denied;
	return ram->denied || !denied;
}

void ram_free(struct ram *ram)
{
	if (!ram)
		return;
	if (!ram->borrowed)
		pages_free(ram->host, ram->size);
	pages_free(ram->pages, ram->size >> PAGE_SHIFT);
	pages_free(ram->denied, ram->size >> PAGE_SHIFT);
	free(ram);
}

/* LEN bytes of the host's at OFFSET of RAM are its page of zeroes again. */
static bool release(struct ram *ram, u64 offset, u64 len)
{
	u8 *at = ram->host + offset;

	return ram->borrowed ? memset(at, 0, len) != NULL : pages_zero(at, len, ram->shares);
}

bool ram_clear(struct ram *ram)
{
	if (!release(ram, 0, ram->size))
		return false;
	ram->shares = false;
	for (u64 page = 0; page < ram->size >> PAGE_SHIFT; page++) {
		u8 *flags = &ram->pages[page];

		if (*flags & PAGE_DIRTY)
			*flags = (u8)((*flags & ~(PAGE_KEPT | PAGE_OWN)) | PAGE_CHANGED);
	}
	return true;
}

/* The host may have no more mappings, or the memory is the caller's: then it is a copy. */
bool ram_share(struct ram *ram, u64 page, u64 pages, int fd, u64 offset)
{
	u8 *at = ram->host + (page << PAGE_SHIFT), flags = PAGE_KEPT | PAGE_CHANGED;
	size_t len = pages << PAGE_SHIFT, done = 0;

	ram->shares = true;
	if (ram->borrowed || !pages_share(at, len, fd, offset)) {
		for (ssize_t n; done < len; done += (size_t)n)
			if ((n = pread(fd, at + done, len - done, (off_t)(offset + done))) <= 0)
				return false;
		flags |= PAGE_OWN;
	}
	for (u64 i = page; i < page + pages; i++)
		ram->pages[i] |= flags;
	return true;
}

static bool is_idle(const struct ram *ram, u64 page)
{
	const u8 *at = ram->host + (page << PAGE_SHIFT);

	return ram->pages[page] & PAGE_OWN && !get64(at) && !memcmp(at, at + 8, PAGE_SIZE - 8);
}

u64 ram_trim(struct ram *ram)
{
	u64 pages = ram->borrowed ? 0 : ram->size >> PAGE_SHIFT, trimmed = 0;

	for (u64 page = 0, end; page < pages; page = end + 1) {
		for (end = page; end < pages && is_idle(ram, end); end++)
			;
		if (end == page || (ram->shares && end - page < HOLE_MIN) ||
		    !release(ram, page << PAGE_SHIFT, (end - page) << PAGE_SHIFT))
			continue;
		trimmed += end - page;
		for (; page < end; page++)
			ram->pages[page] &= (u8)~(PAGE_KEPT | PAGE_OWN);
	}
	return trimmed;
}
