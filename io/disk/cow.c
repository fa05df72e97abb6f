/* SPDX-License-Identifier: MIT */
/* Copy on write, without a data sheet: a store that is only read, and the written blocks in another store. In
 * memory, this is `snapshot'. */
#include <stdlib.h>
#include "io/disk/store.h"

static bool is_top(const struct cow *cow, u64 block)
{
	return cow->map->host[cow->map_at + block / 8] >> (block % 8) & 1;
}

static void set_top(struct cow *cow, u64 block)
{
	u64 at = cow->map_at + block / 8;

	if (is_top(cow, block))
		return;
	ram_touch(cow->map, at, 1, 0);
	cow->map->host[at] |= (u8)(1u << (block % 8));
}

u64 cow_map_size(u64 size)
{
	u64 blocks = (size + COW_BLOCK - 1) / COW_BLOCK;

	return ((blocks + 7) / 8 + PAGE_SIZE - 1) & PAGE_MASK;
}

enum disk_result cow_read(struct store *store, u64 offset, void *out, size_t len)
{
	struct cow *cow = (struct cow *)store;
	u8 *to = out;

	while (len) {
		u64 block = offset / COW_BLOCK, end = block + 1;
		bool top = is_top(cow, block);
		struct store *from = top ? cow->top : cow->base;
		enum disk_result result;
		size_t run;

		while (end * COW_BLOCK - offset < len && is_top(cow, end) == top)
			end++;
		run = end * COW_BLOCK - offset < len ? end * COW_BLOCK - offset : len;
		result = from->ops->read(from, offset, to, run);
		if (result != DISK_OK)
			return result;
		to += run;
		offset += run;
		len -= run;
	}
	return DISK_OK;
}

/* A block that is about to be written in part, whole to the top. */
static enum disk_result copy_up(struct cow *cow, u64 block)
{
	u64 offset = block * COW_BLOCK;
	size_t len = cow->store.size - offset < COW_BLOCK ? cow->store.size - offset : COW_BLOCK;
	u8 buffer[COW_BLOCK];
	enum disk_result result;

	if (is_top(cow, block))
		return DISK_OK;
	result = cow->base->ops->read(cow->base, offset, buffer, len);
	if (result == DISK_OK)
		result = cow->top->ops->write(cow->top, offset, buffer, len);
	if (result == DISK_OK)
		set_top(cow, block);
	return result;
}

static enum disk_result copy_up_ends(struct cow *cow, u64 offset, u64 len)
{
	enum disk_result result = DISK_OK;

	if (offset % COW_BLOCK)
		result = copy_up(cow, offset / COW_BLOCK);
	if (result == DISK_OK && (offset + len) % COW_BLOCK && offset + len != cow->store.size)
		result = copy_up(cow, (offset + len) / COW_BLOCK);
	return result;
}

static enum disk_result written(struct cow *cow, enum disk_result result, u64 offset, u64 len)
{
	if (result == DISK_OK)
		for (u64 block = offset / COW_BLOCK; block * COW_BLOCK < offset + len; block++)
			set_top(cow, block);
	return result;
}

enum disk_result cow_write(struct store *store, u64 offset, const void *in, size_t len)
{
	struct cow *cow = (struct cow *)store;
	enum disk_result result = copy_up_ends(cow, offset, len);

	return result == DISK_OK ? written(cow, cow->top->ops->write(cow->top, offset, in, len), offset, len) : result;
}

enum disk_result cow_discard(struct store *store, u64 offset, u64 len)
{
	struct cow *cow = (struct cow *)store;
	enum disk_result result = copy_up_ends(cow, offset, len);

	return result == DISK_OK ? written(cow, cow->top->ops->discard(cow->top, offset, len), offset, len) : result;
}

u64 cow_data(struct store *store, u64 offset)
{
	struct cow *cow = (struct cow *)store;
	u64 next = store_data(cow->base, offset);

	for (u64 block = offset / COW_BLOCK; offset < next && offset < store->size; offset = ++block * COW_BLOCK) {
		if (!get64(cow->map->host + cow->map_at + block / 64 * 8))
			block |= 63;
		else if (is_top(cow, block))
			return offset;
	}
	return next;
}

enum disk_result cow_blocks(struct store *store, size_t max, u8 **out, size_t *len)
{
	struct cow *cow = (struct cow *)store;
	const u8 *map = cow->map->host + cow->map_at;
	u64 blocks = (store->size + COW_BLOCK - 1) / COW_BLOCK, n = 0;
	enum disk_result result = DISK_OK;
	u8 *to;

	*out = NULL;
	*len = 0;
	for (u64 at = 0; at < cow_map_size(store->size); at += 8)
		n += (u64)__builtin_popcountll(get64(map + at));
	if (!n || n > max / (8 + COW_BLOCK))
		return DISK_OK;
	to = *out = calloc(n, 8 + COW_BLOCK);
	if (!to)
		return store_failed(store->error, DISK_ERROR, "the host has no memory for an overlay");
	for (u64 block = 0; result == DISK_OK && block < blocks && *len < n * (8 + COW_BLOCK); block++) {
		u64 at = block * COW_BLOCK;

		if (!get64(map + block / 64 * 8)) {
			block |= 63;
			continue;
		}
		if (!is_top(cow, block))
			continue;
		put64(to + *len, block);
		result = cow->top->ops->read(cow->top, at, to + *len + 8,
					     store->size - at < COW_BLOCK ? store->size - at : COW_BLOCK);
		*len += 8 + COW_BLOCK;
	}
	return result;
}

/* ---- memory ---- */

struct memory {
	struct store store;
	struct ram *ram;
};

static enum disk_result memory_read(struct store *store, u64 offset, void *out, size_t len)
{
	memcpy(out, ((struct memory *)store)->ram->host + offset, len);
	return DISK_OK;
}

/* IN is NULL: zeroes. */
static enum disk_result memory_fill(struct store *store, u64 offset, const u8 *in, u64 len)
{
	struct ram *ram = ((struct memory *)store)->ram;

	for (u64 run; len; offset += run, len -= run) {
		run = PAGE_SIZE - offset % PAGE_SIZE < len ? PAGE_SIZE - offset % PAGE_SIZE : len;
		if (!in && !(ram->pages[offset >> PAGE_SHIFT] & PAGE_DIRTY))
			continue;
		ram_touch(ram, offset, (unsigned)run, 0);
		if (in)
			memcpy(ram->host + offset, in, run);
		else
			memset(ram->host + offset, 0, run);
		in += in ? run : 0;
	}
	return DISK_OK;
}

static enum disk_result memory_write(struct store *store, u64 offset, const void *in, size_t len)
{
	return memory_fill(store, offset, in, len);
}

static enum disk_result memory_discard(struct store *store, u64 offset, u64 len)
{
	return memory_fill(store, offset, NULL, len);
}

static void memory_free(struct store *store)
{
	ram_free(((struct memory *)store)->ram);
	free(store);
}

static const struct store_ops memory_ops = { memory_read, memory_write, NULL, memory_discard, memory_free, NULL };

/* ---- snapshot: a cow over memory, whose map follows the data in the same RAM, so that RAM is all its state ---- */

static enum disk_result snapshot_flush(struct store *store)
{
	(void)store;
	return DISK_OK;
}

static void snapshot_free(struct store *store)
{
	struct cow *cow = (struct cow *)store;

	cow->base->ops->free(cow->base);
	if (cow->top)
		cow->top->ops->free(cow->top);
	free(cow);
}

static const struct store_ops snapshot_ops = { cow_read, cow_write, snapshot_flush, cow_discard, snapshot_free,
	cow_data };

struct store *snapshot_new(struct store *base, char *error)
{
	struct cow *cow = calloc(1, sizeof *cow);
	struct memory *memory = calloc(1, sizeof *memory);
	u64 data = (base->size + PAGE_SIZE - 1) & PAGE_MASK;

	if (memory)
		memory->ram = ram_new(data + cow_map_size(base->size));
	if (!cow || !memory || !memory->ram) {
		store_failed(error, DISK_ERROR, "the host has no memory for a snapshot of %llu MiB",
			     (unsigned long long)(base->size / MiB));
		base->ops->free(base);
		ram_free(memory ? memory->ram : NULL);
		free(cow);
		free(memory);
		return NULL;
	}
	memory->store = (struct store){ &memory_ops, 0, base->size, error };
	*cow = (struct cow){ { &snapshot_ops, 0, base->size, error }, base, &memory->store, memory->ram, data };
	return &cow->store;
}

struct ram *snapshot_ram(struct store *store)
{
	return ((struct cow *)store)->map;
}
