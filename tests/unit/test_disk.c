/* SPDX-License-Identifier: MIT */
/* Disks: what they are opened from, what they hold, what survives. The host's file system and an NBD server are the
 * judges. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "io/disk/disk.h"
#include "tests/unit/device.h"
#include "tests/unit/faulty.h"

#define SIZE (1 * MiB + 1536) /* the last block of a layer is not a whole one */

static char folder[64], image[96], copy[96];
static u8 model[SIZE], buffer[SIZE];

static u8 pattern(u64 at) { return (u8)(at * 7 + at / 512); }

static void write_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(name, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void read_file(const char *name, void *data, size_t len)
{
	FILE *f = fopen(name, "rb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(data, 1, len, f), len);
	fclose(f);
}

static void set_up(void)
{
	strcpy(folder, "/tmp/test_disk.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(image, sizeof image, "%s/image", folder);
	snprintf(copy, sizeof copy, "%s/copy", folder);
	for (u64 i = 0; i < SIZE; i++)
		model[i] = pattern(i);
	write_file(image, model, SIZE);
}

static void tear_down(void)
{
	unlink(image);
	unlink(copy);
	rmdir(folder);
}

__attribute__((format(printf, 1, 2)))
static struct disk *open_ok(const char *format, ...)
{
	char spec[400], *error = NULL;
	struct disk *disk;
	va_list ap;

	va_start(ap, format);
	vsnprintf(spec, sizeof spec, format, ap);
	va_end(ap);
	disk = disk_open(spec, &error);
	ck_assert_msg(disk != NULL, "%s: %s", spec, error ? error : "no text");
	return disk;
}

/* Opening fails, and the text has WHAT in it. */
__attribute__((format(printf, 2, 3)))
static void open_fails(const char *what, const char *format, ...)
{
	char spec[400], *error = NULL;
	va_list ap;

	va_start(ap, format);
	vsnprintf(spec, sizeof spec, format, ap);
	va_end(ap);
	ck_assert_msg(!disk_open(spec, &error), "%s opens", spec);
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, what) && !strchr(error, '\n'), "%s: \"%s\" has no \"%s\"", spec, error, what);
	free(error);
}

static void same(struct disk *disk)
{
	ck_assert_uint_eq(disk_size(disk), SIZE);
	memset(buffer, 0xee, SIZE);
	ck_assert_int_eq(disk_read(disk, 0, buffer, SIZE), DISK_OK);
	ck_assert_mem_eq(buffer, model, SIZE);
}

/* Random reads, writes and discards against an array. */
static void work(struct disk *disk, u64 seed, unsigned count)
{
	static u8 data[70000];

	for (unsigned i = 0; i < count; i++) {
		u64 len = 1 + test_random(&seed) % (test_random(&seed) % 4 ? 9000 : sizeof data),
		    at = test_random(&seed) % (SIZE - len + 1);

		if (test_random(&seed) % 2) {
			at &= ~(u64)511;
			len = (len + 511) & ~(u64)511;
			if (at + len > SIZE || len > sizeof data)
				continue;
		}
		switch (test_random(&seed) % 8) {
		case 0:
			ck_assert_int_eq(disk_discard(disk, at, len), DISK_OK);
			memset(model + at, 0, len);
			break;
		case 1: case 2: case 3:
			for (u64 k = 0; k < len; k++)
				data[k] = (u8)test_random(&seed);
			ck_assert_int_eq(disk_write(disk, at, data, len), DISK_OK);
			memcpy(model + at, data, len);
			break;
		case 4:
			ck_assert_int_eq(disk_flush(disk), DISK_OK);
			break;
		default:
			ck_assert_int_eq(disk_read(disk, at, data, len), DISK_OK);
			ck_assert_mem_eq(data, model + at, len);
			break;
		}
	}
	same(disk);
}

START_TEST(raw)
{
	struct disk *disk = open_ok("%s", image);
	u8 byte = 0;

	same(disk);
	ck_assert(!disk_read_only(disk));
	ck_assert_ptr_null(disk_ram(disk));
	work(disk, 1, 400);
	ck_assert_int_eq(disk_read(disk, SIZE, &byte, 1), DISK_RANGE);
	ck_assert_int_eq(disk_read(disk, SIZE, &byte, 0), DISK_OK);
	ck_assert_int_eq(disk_read(disk, ~(u64)0, &byte, 1), DISK_RANGE);
	ck_assert_int_eq(disk_write(disk, SIZE - 1, "ab", 2), DISK_RANGE);
	ck_assert_int_eq(disk_discard(disk, 512, ~(u64)0), DISK_RANGE);
	disk_free(disk);
	read_file(image, buffer, SIZE);
	ck_assert_mem_eq(buffer, model, SIZE);
}
END_TEST

START_TEST(read_only)
{
	struct disk *disk = open_ok("%s,readonly", image);

	ck_assert(disk_read_only(disk));
	ck_assert_int_eq(disk_write(disk, 0, "a", 1), DISK_READ_ONLY);
	ck_assert_int_eq(disk_discard(disk, 0, 512), DISK_READ_ONLY);
	ck_assert_int_eq(disk_flush(disk), DISK_OK);
	same(disk);
	disk_free(disk);
}
END_TEST

START_TEST(minidisk)
{
	struct disk *disk = open_ok("%s,offset=64K,size=4608", image), *other = open_ok("%s,offset=1M", image);
	u8 sector[512];

	ck_assert_uint_eq(disk_size(disk), 4608);
	ck_assert_uint_eq(disk_size(other), 1536);
	ck_assert_int_eq(disk_read(disk, 4096, sector, 512), DISK_OK);
	ck_assert_mem_eq(sector, model + 65536 + 4096, 512);
	memset(sector, 0x55, sizeof sector);
	ck_assert_int_eq(disk_write(disk, 4096, sector, 512), DISK_OK);
	ck_assert_int_eq(disk_write(disk, 4097, sector, 512), DISK_RANGE);
	ck_assert_int_eq(disk_read(disk, 4608, sector, 1), DISK_RANGE);
	memset(model + 65536 + 4096, 0x55, 512);
	disk_free(disk);
	disk_free(other);
	read_file(image, buffer, SIZE);
	ck_assert_mem_eq(buffer, model, SIZE);
}
END_TEST

START_TEST(snapshot)
{
	static u8 original[SIZE];
	struct disk *disk = open_ok("%s,snapshot", image);

	memcpy(original, model, SIZE);
	work(disk, 2, 400);
	disk_free(disk);
	read_file(image, buffer, SIZE);
	ck_assert_mem_eq(buffer, original, SIZE);
}
END_TEST

/* The memory is all the state there is, and each of its pages tells when it was written: by discards, too. */
START_TEST(snapshot_taken_back)
{
	static u8 before[SIZE];
	struct disk *disk = open_ok("%s,snapshot", image);
	struct ram *ram = disk_ram(disk);
	u8 *kept = malloc(ram->size);

	work(disk, 4, 100);
	memcpy(kept, ram->host, ram->size);
	memcpy(before, model, SIZE);
	for (u64 page = 0; page < ram->size >> PAGE_SHIFT; page++)
		ram->pages[page] &= PAGE_KEPT;
	work(disk, 5, 100);
	for (u64 page = 0; page < ram->size >> PAGE_SHIFT; page++)
		if (memcmp(ram->host + page * PAGE_SIZE, kept + page * PAGE_SIZE, PAGE_SIZE))
			ck_assert_uint_eq(ram->pages[page], PAGE_DIRTY);
	memcpy(ram->host, kept, ram->size);
	memcpy(model, before, SIZE);
	same(disk);
	free(kept);
	disk_free(disk);
}
END_TEST

START_TEST(overlay)
{
	static u8 original[SIZE];
	struct stat st;

	memcpy(original, model, SIZE);
	for (unsigned round = 0; round < 4; round++) {
		struct disk *disk = open_ok("%s,overlay=%s", image, copy);

		same(disk);
		work(disk, 10 + round, 30);
		disk_free(disk);
	}
	read_file(image, buffer, SIZE);
	ck_assert_mem_eq(buffer, original, SIZE);
	unlink(copy);

	/* What was not written takes no room. */
	struct disk *disk = open_ok("%s,overlay=%s", image, copy);

	ck_assert_int_eq(disk_write(disk, 512 * KiB, "x", 1), DISK_OK);
	disk_free(disk);
	ck_assert_int_eq(stat(copy, &st), 0);
	ck_assert_int_lt(st.st_blocks * 512, 64 * 1024);
}
END_TEST

/* Layers on layers; an overlay that is only read. */
START_TEST(combined)
{
	struct disk *disk = open_ok("%s,overlay=%s,offset=512", image, copy);

	ck_assert_int_eq(disk_write(disk, 0, "overlay", 7), DISK_OK);
	disk_free(disk);
	disk = open_ok("%s,overlay=%s,offset=512,snapshot", image, copy);
	ck_assert_int_eq(disk_write(disk, 7, "snapshot", 8), DISK_OK);
	ck_assert_int_eq(disk_read(disk, 0, buffer, 16), DISK_OK);
	ck_assert_mem_eq(buffer, "overlaysnapshot", 15);
	ck_assert_uint_eq(buffer[15], pattern(512 + 15));
	disk_free(disk);
	disk = open_ok("%s,readonly,overlay=%s,offset=512", image, copy);
	ck_assert_int_eq(disk_read(disk, 0, buffer, 16), DISK_OK);
	ck_assert_mem_eq(buffer, "overlay", 7);
	ck_assert_uint_eq(buffer[7], pattern(512 + 7));
	disk_free(disk);
	open_fails("another size", "%s,overlay=%s", image, copy);
}
END_TEST

/* The process is killed at any time: what was flushed before is there, and no block has anything else than its old or
 * its new bytes. */
START_TEST(killed)
{
	static u8 seen[SIZE];

	for (unsigned round = 0; round < 20; round++) {
		int progress[2], status;
		u8 flushed = 0, byte;
		pid_t child;

		unlink(copy);
		ck_assert_int_eq(pipe(progress), 0);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (!child) {
			struct disk *disk = disk_open(
				(snprintf((char *)buffer, 400, "%s,overlay=%s", image, copy), (char *)buffer), NULL);

			for (u8 n = 1; disk && n; n++) { /* sector 9i gets n's pattern, all of them before each flush */
				u8 sector[512];

				memset(sector, n, sizeof sector);
				for (u64 i = 0; i < 200; i++)
					disk_write(disk, i * 9 * 512, sector, 512);
				disk_flush(disk);
				if (write(progress[1], &n, 1) != 1)
					break;
			}
			_exit(0);
		}
		close(progress[1]);
		while (read(progress[0], &byte, 1) == 1) {
			flushed = byte;
			if (byte == 1 + round / 4) {
				usleep(100 * round);
				kill(child, SIGKILL);
			}
		}
		close(progress[0]);
		waitpid(child, &status, 0);

		struct disk *disk = open_ok("%s,overlay=%s", image, copy);

		ck_assert_int_eq(disk_read(disk, 0, seen, SIZE), DISK_OK);
		for (u64 i = 0; i < SIZE; i++) { /* ck_assert is slow */
			bool ours = i / 512 % 9 == 0 && i / 512 / 9 < 200;

			if (ours ? seen[i] < flushed || (!flushed && seen[i] == 255) : seen[i] != model[i])
				ck_abort_msg("round %u, byte %llu is %02x; %u was flushed", round,
					     (unsigned long long)i, seen[i], flushed);
		}
		disk_free(disk);
	}
}
END_TEST

/* No room: the call fails, nothing is lost, and it succeeds when there is room. */
START_TEST(full)
{
	struct rlimit limit, before;
	struct disk *disk = open_ok("%s,overlay=%s", image, copy);

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 200 * 1024;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(disk_write(disk, 0, "fits", 4), DISK_OK);
	ck_assert_int_eq(disk_write(disk, 700 * KiB, "does not", 8), DISK_FULL);
	ck_assert_ptr_nonnull(strstr(disk_error(disk), "copy"));
	memcpy(model, "fits", 4);
	same(disk);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(disk_write(disk, 700 * KiB, "does not", 8), DISK_OK);
	memcpy(model + 700 * KiB, "does not", 8);
	same(disk);
	disk_free(disk);
	disk = open_ok("%s,overlay=%s", image, copy);
	same(disk);
	disk_free(disk);
}
END_TEST

/* A flush that failed is the last word, though the host's next fdatasync would succeed; reads and writes go on. */
START_TEST(flush_fails)
{
	struct disk *disk = faulty_disk(faulty_make, image);
	char text[512];

	ck_assert_int_eq(disk_write(disk, 0, "kept", 4), DISK_OK);
	ck_assert_int_eq(disk_flush(disk), DISK_OK);
	ck_assert_int_eq(disk_write(disk, 4096, "lost", 4), DISK_OK);
	faulty_next(FAULTY_FLUSH, DISK_ERROR);
	ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
	strcpy(text, disk_error(disk));
	ck_assert_msg(strstr(text, "faulty:") && strstr(text, "lost"), "%s", text);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(disk_write(disk, 8192, "more", 4), DISK_OK);
		ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
		ck_assert_str_eq(disk_error(disk), text);
	}
	ck_assert_uint_eq(faulty_says, 1);
	ck_assert_uint_eq(faulty_losses, 1);
	ck_assert_uint_eq(faulty[FAULTY_FLUSH].seen, 2);
	ck_assert_int_eq(disk_read(disk, 4096, buffer, 4), DISK_OK);
	ck_assert_mem_eq(buffer, "lost", 4);
	disk_free(disk);
	disk = open_ok("%s", image);
	ck_assert_int_eq(disk_flush(disk), DISK_OK);
	disk_free(disk);
}
END_TEST

static struct store *faulty_overlay(void *file, char *error)
{
	return overlay_new(file, faulty_make(file, error), raw_open(image, RAW_READ, error), true, error);
}

/* Whichever request for an overlay's file fails, in whichever way: if a flush said that it was done, then all is
 * there when the overlay is opened again as it was; without room the same call is made again, and all is as if
 * nothing had happened. */
START_TEST(overlay_fails)
{
	for (unsigned kind = FAULTY_WRITE; kind <= FAULTY_FLUSH; kind++) {
		for (unsigned no_room = 0; no_room <= (kind == FAULTY_WRITE); no_room++) {
			unsigned failures = 0, n = 1;

			for (bool failed = true; failed; n++) {
				struct disk *disk;
				enum disk_result result, flushed = DISK_OK;
				unsigned waits = 0;

				unlink(copy);
				disk = faulty_disk(faulty_overlay, copy);
				faulty[kind].fail_at = faulty[kind].seen + n;
				faulty[kind].result = no_room ? DISK_FULL : DISK_ERROR;
				for (u64 i = 0; i < SIZE; i++)
					model[i] = pattern(i);
				for (unsigned i = 0; i < 12; i++) {
					u64 at = i * 70001, len = 3000 + i * 512;

					while ((result = disk_write(disk, at, model + 512 + i, len)) == DISK_FULL)
						waits++;
					if (result == DISK_OK)
						memmove(model + at, model + 512 + i, len);
					if (i % 4 != 3)
						continue;
					while ((result = disk_flush(disk)) == DISK_FULL)
						waits++;
					ck_assert(flushed == DISK_OK || result == DISK_ERROR);
					flushed = result;
				}
				failed = faulty[kind].seen >= faulty[kind].fail_at;
				failures += failed;
				ck_assert_uint_eq(waits, no_room && failed);
				ck_assert(no_room || kind == FAULTY_WRITE || (flushed == DISK_ERROR) == failed);
				/* else a write has failed half-way, and the guest knows it */
				if (flushed == DISK_OK && (no_room || !failed))
					same(disk);
				disk_free(disk);
				if (flushed != DISK_OK || (!no_room && failed))
					continue;
				disk = open_ok("%s,overlay=%s", image, copy);
				same(disk);
				disk_free(disk);
			}
			ck_assert_uint_ge(failures, kind == FAULTY_FLUSH ? 6 : 12);
		}
	}
}
END_TEST

/* Somebody cuts the image off: what is gone is an error, never zeroes, and no flush is done any more. */
START_TEST(cut_off)
{
	struct disk *disk = open_ok("%s", image);

	ck_assert_int_eq(disk_write(disk, SIZE - 512, "x", 1), DISK_OK);
	ck_assert_int_eq(truncate(image, 64 * KiB), 0);
	ck_assert_int_eq(disk_read(disk, 0, buffer, 64 * KiB), DISK_OK);
	ck_assert_int_eq(disk_read(disk, 60 * KiB, buffer, 8 * KiB), DISK_ERROR);
	ck_assert_ptr_nonnull(strstr(disk_error(disk), "image: somebody has cut it off"));
	ck_assert_int_eq(disk_write(disk, 512 * KiB, "x", 1), DISK_ERROR);
	ck_assert_int_eq(disk_read(disk, 60 * KiB, buffer, 8 * KiB), DISK_ERROR);
	ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
	ck_assert_int_eq(truncate(image, SIZE), 0);
	ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
	disk_free(disk);

	unlink(copy);
	disk = open_ok("%s,overlay=%s", image, copy);
	/* nothing is in the overlay yet, and it is short */
	ck_assert_int_eq(disk_read(disk, SIZE - 512, buffer, 512), DISK_OK);
	ck_assert_int_eq(disk_write(disk, 512 * KiB, "x", 1), DISK_OK);
	ck_assert_int_eq(truncate(copy, 64 * KiB), 0);
	ck_assert_int_eq(disk_read(disk, 512 * KiB, buffer, 512), DISK_ERROR);
	ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
	disk_free(disk);
}
END_TEST

START_TEST(bad_specs)
{
	write_file(copy, "", 0);
	open_fails("name", "%s", "");
	open_fails("No such file", "%s/nothing", folder);
	open_fails("neither a file", "%s,readonly", folder);
	open_fails("neither a file", "/dev/null");
	open_fails("not one sector", "%s", copy);
	open_fails("'frob'", "%s,frob", image);
	open_fails("'readonly'", "%s,readonly=1", image);
	open_fails("'overlay'", "%s,overlay=", image);
	open_fails("size=0", "%s,size=0", image);
	open_fails("size=-1", "%s,size=-1", image);
	open_fails("size=1X", "%s,size=1X", image);
	open_fails("offset=99999999T", "%s,offset=99999999T", image);
	open_fails("multiples of 512", "%s,offset=100", image);
	open_fails("beyond its end", "%s,offset=2M", image);
	open_fails("beyond its end", "%s,offset=512,size=2M", image);
	open_fails("nbd:unix:/nowhere", "nbd:unix:/nowhere");
}
END_TEST

START_TEST(in_use)
{
	struct disk *disk = open_ok("%s", image), *reader;

	open_fails("program uses bytes 0 to", "%s", image);
	open_fails("program writes to bytes 0 to", "%s,snapshot", image);
	disk_free(disk);
	disk = open_ok("%s,snapshot", image);
	reader = open_ok("%s,overlay=%s", image, copy);
	open_fails("uses bytes", "%s,overlay=%s", image, copy);
	disk_free(reader);
	disk_free(disk);
	disk = open_ok("%s,offset=64K,size=64K", image);
	reader = open_ok("%s,size=64K", image); /* beside it */
	open_fails("uses bytes 130560 to 131583", "%s,offset=130560,size=1K", image);
	open_fails("writes to bytes 512 to 1023", "%s,offset=512,size=512,readonly", image);
	disk_free(reader);
	disk_free(open_ok("%s,offset=512,size=512,readonly", image));
	disk_free(disk);
}
END_TEST

/* Overlays that lie. Each byte of the header counts; the map may say anything, and then blocks are zero or whatever the
 * file has. */
START_TEST(hostile_overlays)
{
	u8 head[8192], bad[8192];
	struct disk *disk = open_ok("%s,overlay=%s", image, copy);

	ck_assert_int_eq(disk_write(disk, 0, "x", 1), DISK_OK);
	disk_free(disk);
	read_file(copy, head, sizeof head);
	for (unsigned i = 0; i < 40; i++) {
		memcpy(bad, head, sizeof bad);
		bad[i] ^= 1;
		write_file(copy, bad, sizeof bad);
		open_fails("overlay", "%s,overlay=%s", image, copy);
	}
	write_file(copy, head, 20);
	open_fails("overlay", "%s,overlay=%s", image, copy);
	memcpy(bad, head, sizeof bad);
	memset(bad + 4096, 0xff, 4096);
	write_file(copy, bad, sizeof bad);
	disk = open_ok("%s,overlay=%s", image, copy);
	memset(model, 0, SIZE);
	same(disk);
	work(disk, 30, 100);
	disk_free(disk);

	write_file(copy, head, sizeof head);
	model[SIZE - 1] ^= 1;
	write_file(image, model, SIZE);
	open_fails("has changed", "%s,overlay=%s", image, copy);
}
END_TEST

/* nbdkit in a process of its own, with its disk in a file. False: there is none. */
static pid_t server;
static char socket_name[96];

static bool serve(void)
{
	snprintf(socket_name, sizeof socket_name, "%s/socket", folder);
	unlink(socket_name);
	server = fork();
	ck_assert_int_ge(server, 0);
	if (!server) {
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO); /* it has things to say of its clients */
		execlp("nbdkit", "nbdkit", "-f", "--exit-with-parent", "-U", socket_name, "file", image, NULL);
		_exit(1);
	}
	for (unsigned i = 0; i < 100 && access(socket_name, F_OK) && !waitpid(server, NULL, WNOHANG); i++)
		usleep(50000);
	return !access(socket_name, F_OK);
}

static void end_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* All of its threads stand still when this returns. */
static void stop_server(void)
{
	kill(server, SIGSTOP);
	ck_assert_int_eq(waitpid(server, NULL, WUNTRACED), server);
}

static unsigned said, stalls;
static bool in_hurry;
static void count_said(void *owner, const char *text) { (void)owner, (void)text, said++; }
static void count_stall(void *owner, struct disk *disk) { (void)owner, (void)disk, stalls++; }
static bool hurry(void *owner) { (void)owner; return in_hurry; }

/* A server that comes and goes. What it had acknowledged and not flushed may be gone with it: the next flush is an
 * error. */
START_TEST(nbd_comes_and_goes)
{
	struct disk *disk;
	char *error = NULL;
	u64 at;

	if (!serve()) {
		printf("skipped: nbd_comes_and_goes: there is no nbdkit\n");
		return;
	}
	snprintf((char *)buffer, 400, "nbd:unix:%s", socket_name);
	disk = disk_open((char *)buffer, &error);
	if (!disk) {
		printf("skipped: nbd_comes_and_goes: %s\n", error);
		free(error);
		end_server();
		return;
	}
	disk_set_host(disk, &(struct disk_host){ .say = count_said, .stalled = count_stall, .hurry = hurry });
	same(disk);
	ck_assert_int_eq(disk_write(disk, 100, "kept", 4), DISK_OK);
	memcpy(model + 100, "kept", 4);
	ck_assert_int_eq(disk_flush(disk), DISK_OK);

	end_server();
	ck_assert(serve());
	same(disk);
	ck_assert_uint_eq(said, 1);
	ck_assert_int_eq(disk_flush(disk), DISK_OK);

	/* It stands still, and the owner is in a hurry: the same call later has what comes meanwhile. */
	for (unsigned i = 0; i < 2; i++) {
		in_hurry = true;
		stop_server();
		ck_assert_int_eq(i ? disk_write(disk, 5000, "late", 4) : disk_read(disk, 0, buffer, SIZE), DISK_FULL);
		disk_wait(disk);
		ck_assert_uint_eq(stalls, i + 1);
		kill(server, SIGCONT);
		in_hurry = false;
		if (i)
			ck_assert_int_eq(disk_write(disk, 5000, "late", 4), DISK_OK);
		else
			same(disk);
	}
	memcpy(model + 5000, "late", 4);
	same(disk);
	ck_assert_int_eq(disk_flush(disk), DISK_OK);
	/* One that was left behind, and then another. */
	stop_server();
	in_hurry = true;
	ck_assert_int_eq(disk_write(disk, 6000, "behind", 6), DISK_FULL);
	kill(server, SIGCONT);
	in_hurry = false;
	ck_assert_int_eq(disk_write(disk, 7000, "others", 6), DISK_OK);
	memcpy(model + 6000, "behind", 6);
	memcpy(model + 7000, "others", 6);
	same(disk);

	ck_assert_uint_eq(said, 1);
	end_server();
	at = said;
	ck_assert_int_eq(disk_read(disk, 0, buffer, 512), DISK_ERROR); /* nobody is there */
	ck_assert_uint_eq(said, at + 1);
	ck_assert(serve());
	same(disk);
	ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
	ck_assert_int_eq(disk_flush(disk), DISK_ERROR);
	disk_free(disk);
	end_server();
	unlink(socket_name);
}
END_TEST

/* nbdkit's disk in memory; the same model. */
START_TEST(nbd)
{
	char socket[96], size[32], *error = NULL;
	struct disk *disk = NULL;
	pid_t child;

	snprintf(socket, sizeof socket, "%s/socket", folder);
	snprintf(size, sizeof size, "%u", (unsigned)SIZE);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		execlp("nbdkit", "nbdkit", "-f", "--exit-with-parent", "-U", socket, "memory", size, NULL);
		_exit(1);
	}
	for (unsigned i = 0; i < 100 && access(socket, F_OK) && !waitpid(child, NULL, WNOHANG); i++)
		usleep(50000);
	if (access(socket, F_OK)) {
		printf("skipped: nbd: there is no nbdkit\n");
		return;
	}
	snprintf((char *)buffer, 400, "nbd:unix:%s", socket);
	disk = disk_open((char *)buffer, &error);
	if (!disk && strstr(error, "without libnbd")) {
		printf("skipped: nbd: built without libnbd\n");
	} else {
		ck_assert_msg(disk != NULL, "%s", error);
		memset(model, 0, SIZE);
		work(disk, 40, 200);
		disk_free(disk);
		disk = open_ok("nbd:nbd+unix:///?socket=%s,snapshot,size=1M", socket);
		ck_assert_uint_eq(disk_size(disk), 1 * MiB);
		ck_assert_ptr_nonnull(disk_ram(disk));
		disk_free(disk);
	}
	free(error);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	unlink(socket);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disk");
	TCase *tc = tcase_create("disk");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, raw);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, minidisk);
	tcase_add_test(tc, snapshot);
	tcase_add_test(tc, snapshot_taken_back);
	tcase_add_test(tc, overlay);
	tcase_add_test(tc, combined);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, full);
	tcase_add_test(tc, flush_fails);
	tcase_add_test(tc, overlay_fails);
	tcase_add_test(tc, cut_off);
	tcase_add_test(tc, bad_specs);
	tcase_add_test(tc, in_use);
	tcase_add_test(tc, hostile_overlays);
	tcase_add_test(tc, nbd);
	tcase_add_test(tc, nbd_comes_and_goes);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
