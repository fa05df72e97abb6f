/* SPDX-License-Identifier: MIT */
/* The virtio block device (virtio 1.2, 5.2). Limits: virtio_blk.h. */
#include <stdio.h>
#include <stdlib.h>
#include "io/virtio/virtio_blk.h"

#define SECTOR 512u
#define BATCH (4 * MiB)
#define REQUEST_MAX (64 * MiB)   /* bytes of data that one request may have; Linux's largest have 1280 KiB */
#define RETRY_NS 1000000u        /* until the host's room is asked for again */
#define ERASE_SECTORS (1u << 22) /* of one discard or write-zeroes: 2 GiB */
#define ERASE_SEGMENTS 16u

enum { F_SEG_MAX = 1 << 2, F_RO = 1 << 5, F_BLK_SIZE = 1 << 6, F_FLUSH = 1 << 9, F_TOPOLOGY = 1 << 10,
	F_DISCARD = 1 << 13,
	F_WRITE_ZEROES = 1 << 14 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_WAIT = 3 /* ours: the host has no room yet, nothing is answered */ };
enum { HEADER = 16, ID = 20, ERASE = 16 };

/* Configuration (5.2.4). */
enum { C_CAPACITY = 0, C_SEG_MAX = 12, C_BLK_SIZE = 20, C_MIN_IO = 26, C_OPT_IO = 28, C_DISCARD_SECTORS = 36,
	C_DISCARD_SEG = 40,
	C_DISCARD_ALIGN = 44, C_ZEROES_SECTORS = 48, C_ZEROES_SEG = 52, C_ZEROES_UNMAP = 56, C_SIZE = 60 };

struct virtio_blk {
	struct virtio v;
	struct disk *disk;
	struct virtio_chain chain; /* of the request in hand */
	char id[ID + 1];
};

static u8 status_of(enum disk_result result)
{
	return result == DISK_OK ? S_OK : result == DISK_FULL ? S_WAIT : S_IOERR;
}

/* LEN bytes between the disk at OFFSET and the cursor's place. */
static u8 transfer(struct virtio_blk *blk, u64 offset, struct virtio_cursor *at, u64 len, bool in)
{
	enum disk_result result;

	for (u64 run; len; offset += run, len -= run) {
		u8 *view;

		run = len;
		view = virtio_view(&blk->v, at, &run, in);
		if (!view)
			return S_IOERR;
		if (in) {
			result = disk_read(blk->disk, offset, view, run);
			virtio_viewed(&blk->v, at, run);
		} else {
			result = disk_write(blk->disk, offset, view, run);
		}
		if (result != DISK_OK)
			return status_of(result);
	}
	return S_OK;
}

/* Discard and write zeroes: segments of { sector (64), sectors (32), flags (32): bit 0 unmap }. After either the
 * sectors read as zeroes. */
static u8 erase(struct virtio_blk *blk, struct virtio_cursor *at, u64 len, u32 allowed_flags)
{
	u8 s[ERASE];

	if (!len || len % ERASE || len > ERASE_SEGMENTS * ERASE)
		return S_IOERR;
	for (; len; len -= ERASE) {
		u64 sector, size = disk_size(blk->disk) / SECTOR;
		u32 count;
		u8 status;

		if (virtio_read(&blk->v, at, s, sizeof s) < sizeof s)
			return S_IOERR;
		sector = get64(s);
		count = get32(s + 8);
		if (get32(s + 12) & ~allowed_flags)
			return S_UNSUPP;
		if (count > ERASE_SECTORS || sector > size || count > size - sector)
			return S_IOERR;
		status = status_of(disk_discard(blk->disk, sector * SECTOR, (u64)count * SECTOR));
		if (status != S_OK)
			return status;
	}
	return S_OK;
}

/* A driver that has not taken the feature cannot flush: what is answered must be kept (5.2.5.1). */
static u8 kept(struct virtio_blk *blk, u8 status)
{
	return status != S_OK || virtio_has(&blk->v, F_FLUSH) ? status : status_of(disk_flush(blk->disk));
}

/* Do the request in the chain: a header, data, and in the last byte the status. *WRITTEN: bytes of data that the driver
 * gets. */
static u8 request(struct virtio_blk *blk, u64 *written)
{
	struct virtio_cursor out = virtio_out(&blk->chain), in = virtio_in(&blk->chain);
	u64 room = blk->chain.in_len - 1, data = blk->chain.out_len - HEADER, sector;
	u8 h[HEADER];

	if (virtio_read(&blk->v, &out, h, sizeof h) < sizeof h)
		return S_IOERR;
	sector = get64(h + 8);
	switch (get32(h)) {
	case T_IN:
		if (room % SECTOR || room > REQUEST_MAX || sector > disk_size(blk->disk) / SECTOR)
			return S_IOERR;
		*written = room;
		return transfer(blk, sector * SECTOR, &in, room, true);
	case T_OUT:
		if (data % SECTOR || data > REQUEST_MAX || sector > disk_size(blk->disk) / SECTOR)
			return S_IOERR;
		return kept(blk, transfer(blk, sector * SECTOR, &out, data, false));
	case T_FLUSH:
		return status_of(disk_flush(blk->disk));
	case T_GET_ID:
		*written = room < ID ? room : ID;
		return virtio_write(&blk->v, &in, blk->id, (size_t)*written) == *written ? S_OK : S_IOERR;
	case T_DISCARD:
		return kept(blk, erase(blk, &out, data, 0));
	case T_WRITE_ZEROES:
		return kept(blk, erase(blk, &out, data, 1));
	default:
		return S_UNSUPP;
	}
}

/* The last byte that the driver lets us write. */
static void virtio_blk_answer(struct virtio_blk *blk, u8 status)
{
	struct virtio_cursor at = virtio_in(&blk->chain);
	u64 skip = blk->chain.in_len - 1;

	while (skip >= blk->chain.segment[at.segment].len) /* ends: the segments have skip + 1 bytes */
		skip -= blk->chain.segment[at.segment++].len;
	at.at = (u32)skip;
	virtio_write(&blk->v, &at, &status, 1);
}

static void run(void *owner)
{
	struct virtio_blk *blk = owner;
	struct virtio *v = &blk->v;
	u64 bytes = 0;

	while (bytes < BATCH && virtio_peek(v, 0, 0, &blk->chain)) {
		u64 written = 0;
		u8 status;

		if (!blk->chain.in_len || blk->chain.out_len < HEADER) {
			virtio_broken(v, "a request without header or status");
			return;
		}
		status = request(blk, &written);
		if (status == S_WAIT) { /* the request stays in the ring: done again, all of it, with the same result */
			disk_wait(blk->disk);
			virtio_soon(v, RETRY_NS);
			break;
		}
		virtio_blk_answer(blk, status);
		virtio_take(v, 0, 1);
		virtio_push(v, 0, blk->chain.head, (u32)written + 1);
		bytes += SECTOR + blk->chain.in_len + blk->chain.out_len;
	}
	virtio_interrupt(v, 0);
	if (bytes >= BATCH)
		virtio_soon(v, bytes / 4);
}

struct virtio_blk *virtio_blk_new(struct clock *clock, unsigned number, struct disk *disk, const struct log *log)
{
	struct virtio_blk *blk = calloc(1, sizeof *blk);
	u8 *c;

	if (!blk)
		return NULL;
	blk->disk = disk;
	snprintf(blk->id, sizeof blk->id, "vcpu-virtio-%u", number % 100);
	virtio_init(&blk->v, "virtio-blk", number, VIRTIO_BLK, 0x010000, 1, clock, run, NULL, blk, log);
	blk->v.features |= F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY;
	blk->v.features |= disk_read_only(disk) ? F_RO : F_DISCARD | F_WRITE_ZEROES;
	blk->v.config_size = C_SIZE;
	c = blk->v.config;
	put64(c + C_CAPACITY, disk_size(disk) / SECTOR);
	put32(c + C_SEG_MAX, VIRTIO_QUEUE_MAX - 2);
	put32(c + C_BLK_SIZE, SECTOR);
	put16(c + C_MIN_IO, 1);
	put32(c + C_OPT_IO, 0);
	put32(c + C_DISCARD_SECTORS, ERASE_SECTORS);
	put32(c + C_DISCARD_SEG, ERASE_SEGMENTS);
	put32(c + C_DISCARD_ALIGN, 1);
	put32(c + C_ZEROES_SECTORS, ERASE_SECTORS);
	put32(c + C_ZEROES_SEG, ERASE_SEGMENTS);
	c[C_ZEROES_UNMAP] = 1;
	return blk;
}

void virtio_blk_free(struct virtio_blk *blk)
{
	free(blk);
}

struct pci_function *virtio_blk_pci(struct virtio_blk *blk)
{
	return &blk->v.pci;
}

struct part virtio_blk_part(struct virtio_blk *blk)
{
	return virtio_part(&blk->v);
}
