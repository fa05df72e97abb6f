/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>
#include "mem/base/compat/file.h"
#include "mem/pages.h"
#include "mem/space.h"

/* A hole of fewer pages in what a file gives is left: each mapping takes the host some memory. */
#define HOLE_MIN 16u

/* Of pages and groups, which lie behind them. */
static u64 flags_size(const struct ram *ram)
{
	u64 pages = ram->size >> PAGE_SHIFT;

	return pages + (pages + RAM_GROUP - 1) / RAM_GROUP;
}

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
	ram->pages = pages_new(flags_size(ram));
	if (ram->pages)
		ram->groups = ram->pages + (ram->size >> PAGE_SHIFT);
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
		ram_flag_all(ram, 0, size >> PAGE_SHIFT, PAGE_DIRTY);
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
	pages_free(ram->pages, flags_size(ram));
	pages_free(ram->denied, ram->size >> PAGE_SHIFT);
	free(ram);
}

void ram_flag_all(struct ram *ram, u64 page, u64 pages, u8 flags)
{
	for (u64 i = page; i < page + pages; i++)
		ram->pages[i] |= flags;
	for (u64 i = page / RAM_GROUP; pages && i <= (page + pages - 1) / RAM_GROUP; i++)
		ram->groups[i] |= flags;
}

static bool any_of(const u8 *flags, u8 flag) { return get64(flags) & 0x0101010101010101u * flag; }

/* The first place from AT on, before END, of a byte that has FLAG; END. */
static u64 next_byte(const u8 *bytes, u64 at, u64 end, u8 flag)
{
	for (; at < end && at % 8; at++)
		if (bytes[at] & flag)
			return at;
	for (; at + 8 <= end && !any_of(bytes + at, flag); at += 8)
		;
	for (; at < end; at++)
		if (bytes[at] & flag)
			return at;
	return end;
}

u64 ram_next(struct ram *ram, u64 page, u64 end, u8 flag)
{
	u64 groups = (end + RAM_GROUP - 1) / RAM_GROUP;

	while (page < end) {
		u64 group = next_byte(ram->groups, page / RAM_GROUP, groups, flag), first = group * RAM_GROUP;
		u64 from = page > first ? page : first, last = first + RAM_GROUP < end ? first + RAM_GROUP : end;

		if (from >= end)
			break;
		page = next_byte(ram->pages, from, last, flag);
		if (page < last)
			return page;
		if (from == first && (last % RAM_GROUP == 0 || last == ram->size >> PAGE_SHIFT))
			ram->groups[group] &= (u8)~flag;
	}
	return end;
}

void ram_unflag_all(struct ram *ram, u8 flag)
{
	u64 end = ram->size >> PAGE_SHIFT;

	for (u64 page = 0; (page = ram_next(ram, page, end, flag)) < end; page++)
		ram->pages[page] &= (u8)~flag;
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
		if (!(ram->pages[page] & PAGE_DIRTY))
			continue;
		ram->pages[page] &= (u8)~(PAGE_KEPT | PAGE_OWN);
		ram_flag(ram, page, PAGE_CHANGED);
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
	ram_flag_all(ram, page, pages, flags);
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
