/* SPDX-License-Identifier: MIT */
/* Our copy-on-write file. It is sparse: every block has its place, and those that were never written take no room.
 *
 *      0  "vcpucow\n"     8 version (32 bits)    12 size of a block (32 bits)
 *     16  size of the disk, bytes
 *     24  the original's fingerprint
 *     32  hash64 of the 32 bytes before
 *   4096  the map: bit n % 8 of byte n / 8 says that block n is here and not in the original; rounded up to whole blocks
 *      .  block 0, block 1, ...
 *
 * Numbers are 64 bits unless it is said, little-endian. A flush writes the blocks out first and then the bits that
 * speak of them: whenever the host dies, a block that the map knows is one that was written, and what was flushed is
 * there. */
#include <stdlib.h>
#include "io/disk/store.h"
#include "mem/base/field.h"

#define MAGIC "vcpucow\n"
#define VERSION 1u
#define MAP_START 4096u
#define SAMPLES 256u

struct overlay {
	struct cow cow;
	struct store *file;
	struct store data;  /* cow.top: its blocks, a window of the file */
};

static struct store *file_of(struct store *data)
{
	return ((struct overlay *)((char *)data - offsetof(struct overlay, data)))->file;
}

static enum disk_result data_read(struct store *data, u64 offset, void *out, size_t len)
{
	return file_of(data)->ops->read(file_of(data), data->start + offset, out, len);
}

static enum disk_result data_write(struct store *data, u64 offset, const void *in, size_t len)
{
	return file_of(data)->ops->write(file_of(data), data->start + offset, in, len);
}

static enum disk_result data_discard(struct store *data, u64 offset, u64 len)
{
	return file_of(data)->ops->discard(file_of(data), data->start + offset, len);
}

static const struct store_ops data_ops = { data_read, data_write, NULL, data_discard, NULL, NULL };

/* Of the original: its size and the contents of SAMPLES blocks, the first and the last among them. It survives being
 * copied. */
static enum disk_result fingerprint(struct store *base, u64 *out)
{
	u64 blocks = (base->size + COW_BLOCK - 1) / COW_BLOCK, n = blocks < SAMPLES ? blocks : SAMPLES;
	u8 buffer[COW_BLOCK];

	*out = hash64(0, &base->size, sizeof base->size);
	for (u64 i = 0; i < n; i++) {
		u64 at = (n > 1 ? (u64)((unsigned __int128)i * (blocks - 1) / (n - 1)) : 0) * COW_BLOCK;
		size_t len = base->size - at < COW_BLOCK ? base->size - at : COW_BLOCK;
		enum disk_result result = base->ops->read(base, at, buffer, len);

		if (result != DISK_OK)
			return result;
		*out = hash64(*out, buffer, len);
	}
	return DISK_OK;
}

static void make_head(u8 head[40], u64 size, u64 original)
{
	memcpy(head, MAGIC, 8);
	put32(head + 8, VERSION);
	put32(head + 12, COW_BLOCK);
	put64(head + 16, size);
	put64(head + 24, original);
	put64(head + 32, hash64(0, head, 32));
}

static bool refuse(struct overlay *o, const char *name, const char *why)
{
	store_failed(o->cow.store.error, DISK_ERROR, "%s: %s", name, why);
	return false;
}

static bool check_head(struct overlay *o, const char *name, u64 original)
{
	u8 head[40];

	if (o->file->ops->read(o->file, 0, head, sizeof head) != DISK_OK)
		return false;
	if (memcmp(head, MAGIC, 8))
		return refuse(o, name, "that is not an overlay, nor an empty file to make one of");
	if (get32(head + 8) != VERSION)
		return refuse(o, name, "an overlay of a version that is not known here");
	if (get64(head + 32) != hash64(0, head, 32) || get32(head + 12) != COW_BLOCK)
		return refuse(o, name, "an overlay whose header is damaged");
	if (get64(head + 16) != o->cow.store.size)
		return refuse(o, name, "an overlay of a disk of another size");
	if (get64(head + 24) != original)
		return refuse(o, name, "an overlay of another disk, or the original has changed since");
	return true;
}

static enum disk_result overlay_flush(struct store *store)
{
	struct overlay *o = (struct overlay *)store;
	struct ram *map = o->cow.map;
	enum disk_result result = o->file->ops->flush(o->file);
	bool any = false;

	for (u64 page = 0; result == DISK_OK && page < map->size >> PAGE_SHIFT; page++) {
		if (!(map->pages[page] & PAGE_DIRTY))
			continue;
		result = o->file->ops->write(o->file, MAP_START + page * PAGE_SIZE, map->host + page * PAGE_SIZE,
					     PAGE_SIZE);
		any = true;
	}
	if (!any || result != DISK_OK)
		return result;
	result = o->file->ops->flush(o->file);
	if (result == DISK_OK)
		memset(map->pages, 0, map->size >> PAGE_SHIFT);
	return result;
}

static void overlay_free(struct store *store)
{
	struct overlay *o = (struct overlay *)store;

	o->cow.base->ops->free(o->cow.base);
	o->file->ops->free(o->file);
	ram_free(o->cow.map);
	free(o);
}

static const struct store_ops overlay_ops = { cow_read, cow_write, overlay_flush, cow_discard, overlay_free, cow_data };

/* The map, as far as the file has any of it: of a huge disk it is huge, too. */
static bool read_map(struct overlay *o, u64 size)
{
	for (u64 at = 0, next; at < size && (next = store_data(o->file, MAP_START + at) - MAP_START) < size;
	     at += PAGE_SIZE) {
		at = next & PAGE_MASK;
		if (o->file->ops->read(o->file, MAP_START + at, o->cow.map->host + at, PAGE_SIZE) != DISK_OK)
			return false;
	}
	return true;
}

static bool set_up(struct overlay *o, const char *name, bool writable)
{
	u64 size = o->cow.store.size, map = cow_map_size(size), original;
	u8 head[40];

	if (fingerprint(o->cow.base, &original) != DISK_OK)
		return false;
	if (!o->file->size && writable) {
		make_head(head, size, original);
		if (o->file->ops->write(o->file, 0, head, sizeof head) != DISK_OK ||
		    o->file->ops->flush(o->file) != DISK_OK)
			return false;
	} else if (!check_head(o, name, original)) {
		return false;
	}
	o->file->size = MAP_START + map + size;
	o->data = (struct store){ &data_ops, MAP_START + map, size, o->cow.store.error };
	o->cow.top = &o->data;
	o->cow.map = ram_new(map);
	if (!o->cow.map)
		return refuse(o, name, "the host has no memory for it");
	return read_map(o, map);
}

struct store *overlay_open(const char *name, struct store *base, enum raw_access access, char *error)
{
	struct store *file = raw_open(name, access, error);

	if (file && raw_lock(file, access))
		return overlay_new(name, file, base, access >= RAW_WRITE, error);
	if (file)
		file->ops->free(file);
	base->ops->free(base);
	return NULL;
}

struct store *overlay_new(const char *name, struct store *file, struct store *base, bool writable, char *error)
{
	struct overlay *o = calloc(1, sizeof *o);

	if (!o) {
		store_failed(error, DISK_ERROR, "%s: the host has no memory for it", name);
		file->ops->free(file);
		base->ops->free(base);
		return NULL;
	}
	o->cow = (struct cow){ .store = { &overlay_ops, 0, base->size, error }, .base = base };
	o->file = file;
	if (!set_up(o, name, writable)) {
		overlay_free(&o->cow.store);
		return NULL;
	}
	return &o->cow.store;
}
