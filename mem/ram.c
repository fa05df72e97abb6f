/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sys/mman.h>
#include "mem/space.h"

/* Anonymous, unreserved: the host gives a zeroed page at the first write to it, and reads of the others share its one
 * page of zeroes. */
static void *reserve(u64 size)
{
	void *p;

	if (size > SIZE_MAX)
		return NULL;
	p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct ram *ram_new(u64 size)
{
	struct ram *ram;

	if (!size || size > ~(u64)0 - PAGE_SIZE)
		return NULL;
	ram = calloc(1, sizeof *ram);
	if (!ram)
		return NULL;
	ram->size = (size + PAGE_SIZE - 1) & PAGE_MASK;
	ram->host = reserve(ram->size);
	ram->pages = reserve(ram->size >> PAGE_SHIFT);
	if (!ram->host || !ram->pages) {
		ram_free(ram);
		return NULL;
	}
	return ram;
}

void ram_free(struct ram *ram)
{
	if (!ram)
		return;
	if (ram->host)
		munmap(ram->host, ram->size);
	if (ram->pages)
		munmap(ram->pages, ram->size >> PAGE_SHIFT);
	free(ram);
}
