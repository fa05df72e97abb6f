/* SPDX-License-Identifier: MIT */
/* Overlays of disks, and the options of an image. A disk that opens must keep data that is written to it, and show it
 * with its first contents, now and when it is opened again.
 *
 *   0 options   1 number for them (32 bits)   5 kind: 0 the overlay's file follows, and no requests; 1 a good head, the map (32 bits) and a byte that fills the
 *   blocks; 2 the same with the head's 40 bytes, whose checksum is mended   . requests: what (8 bits), offset / 256 (8), length / 16 (8) */
#include "tests/fuzz/fuzz.h"
#include "io/disk/disk.h"
#include "mem/space.h"

enum { BASE = 64 * KiB, FILE_MAX = 2 * PAGE_SIZE + BASE };

static struct fuzz_file base, overlay;
static u8 good_head[40], image[FILE_MAX], shadow[BASE], now[BASE];

static void begin(void)
{
	char spec[128], *error = NULL;
	struct disk *disk;

	base = fuzz_file();
	overlay = fuzz_file();
	for (unsigned i = 0; i < BASE; i++)
		image[i] = (u8)(i >> 9 ^ i);
	fuzz_file_set(base, image, BASE);
	snprintf(spec, sizeof spec, "%s,overlay=%s", base.path, overlay.path);
	disk = disk_open(spec, &error);
	if (!disk || disk_flush(disk) != DISK_OK ||
	    pread(overlay.fd, good_head, sizeof good_head, 0) != sizeof good_head)
		fuzz_fail("no good overlay: %s", error);
	disk_free(disk);
}

static void set_overlay(struct input *in)
{
	unsigned kind = (unsigned)take(in, 1) % 3;
	size_t len = FILE_MAX;

	memset(image, 0, sizeof image);
	if (!kind) {
		len = take_bytes(in, image, sizeof image);
	} else {
		memcpy(image, good_head, sizeof good_head);
		if (kind == 2) {
			take_bytes(in, image, sizeof good_head);
			put64(image + 32, hash64(0, image, 32));
		}
		put32(image + PAGE_SIZE, (u32)take(in, 4));
		memset(image + 2 * PAGE_SIZE, (int)take(in, 1), BASE);
	}
	fuzz_file_set(overlay, image, len);
}

static struct disk *open_disk(const char *spec)
{
	char *error = NULL;
	struct disk *disk = disk_open(spec, &error);

	if (!disk)
		check_refusal(error);
	return disk;
}

static void compare(struct disk *disk, u64 size)
{
	if (disk_read(disk, 0, now, size) != DISK_OK)
		fuzz_fail("%s", disk_error(disk));
	if (memcmp(now, shadow, size))
		fuzz_fail("the disk has not what was written to it");
}

static void request(struct disk *disk, u64 size, struct input *in)
{
	unsigned what = (unsigned)take(in, 1);
	u64 at = take(in, 1) * 256, len = take(in, 1) * 16;
	u8 bytes[4096];
	enum disk_result result;

	memset(bytes, (int)what, sizeof bytes);
	if (what & 0x80)
		at += what & 1 ? 511 : size - len;
	switch (what % 4) {
	case 0:
		result = disk_read(disk, at, bytes, len);
		if (result == DISK_OK && memcmp(bytes, shadow + at, len))
			fuzz_fail("it reads what was not written");
		break;
	case 1:
		result = disk_write(disk, at, bytes, len);
		if (result == DISK_OK && len)
			memset(shadow + at, (int)what, len);
		break;
	case 2:
		result = disk_discard(disk, at, len * 16);
		if (result == DISK_OK && len)
			memset(shadow + at, 0, len * 16);
		break;
	default:
		result = disk_flush(disk);
	}
	if (result == DISK_ERROR || result == DISK_FULL)
		fuzz_fail("%s", disk_error(disk));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const more[] = { "", ",offset=%llu", ",size=%llu", ",offset=512,size=%llu", ",readonly",
		",snapshot", ",offset=%lluG", ",size=%lluK",
		",nonsense", ",", ",overlay=", ",offset=", ",offset=-1", ",offset=%lluK,size=4K" };
	struct input in = { data, size };
	char spec[160], options[64];
	unsigned which = (unsigned)take(&in, 1) % ARRAY_LEN(more);
	unsigned long long n = take(&in, 4);
	struct disk *disk;
	u64 bytes;

	if (!base.fd)
		begin();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(options, sizeof options, more[which], n);
#pragma GCC diagnostic pop
	snprintf(spec, sizeof spec, "%s%s,overlay=%s", base.path, options, overlay.path);
	set_overlay(&in);
	disk = open_disk(spec);
	if (!disk)
		return 0;
	bytes = disk_size(disk);
	if (bytes > BASE || disk_read(disk, 0, shadow, bytes) != DISK_OK)
		fuzz_fail("%llu bytes, %s", (unsigned long long)bytes, disk_error(disk));
	while (in.left)
		request(disk, bytes, &in);
	compare(disk, bytes);
	disk_free(disk);
	disk = open_disk(spec);
	if (!disk)
		fuzz_fail("it does not open again");
	if (!strstr(options, "snapshot")) /* which keeps it in memory */
		compare(disk, bytes);
	disk_free(disk);
	return 0;
}
