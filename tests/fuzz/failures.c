/* SPDX-License-Identifier: MIT */
/* A host that fails: the Nth allocation, mapping, open, read, write or flush of a short run does, for every N. A call
 * that fails says why, in a line; the same call made again succeeds, and the run ends as if nothing had happened. Data
 * that the guest was told is on the disk is there. Everything is freed.
 *
 *     failures [EVERY [KIND [N]]]
 *
 * N goes up by EVERY; without EVERY the program takes a sample. Each N is tried twice: that operation fails, or all do
 * from there on (then only data that was promised has to be there, and nothing may leak). The linker's --wrap stands
 * between the library and libc. Each case is a process of its own; one that takes a minute of processor time is a hang.
 * */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include "io/disk/disk.h"
#include "lib/vcpu_debug.h"
#include "lib/vcpu_snapshot.h"
#include "mem/base/field.h"

const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; } /* they are counted here */

/* ---- failures ---- */

enum { ALLOCATE = 1, MAP = 2, OPEN = 4, LOOK = 8, READ = 16, WRITE = 32, FLUSH = 64, RECORD = 128 };
enum { AGAIN = -1, SHORT = -2 }; /* no failures: who asks again gets the rest */

static const struct kind {
	const char *name;
	unsigned what;
	int number;      /* errno, or one of those */
} kinds[] = {
	{ "memory", ALLOCATE, ENOMEM }, { "map", MAP, ENOMEM }, { "open", OPEN, EMFILE }, { "look", LOOK, EIO },
		{ "read", READ, EIO },
	{ "write", WRITE, EIO }, { "full", WRITE, ENOSPC }, { "flush", FLUSH, EIO }, { "flush-full", FLUSH, ENOSPC },
		{ "record", RECORD, 0 },
	{ "interrupted", READ | WRITE | FLUSH, AGAIN }, { "short", READ | WRITE, SHORT },
};

static const struct kind *kind;
static unsigned long long at, seen; /* operations of the kind; the first that fails, 0: none */
static bool for_good, failed_once, watching;

static bool fails(unsigned what)
{
	if (!watching || !kind || !(kind->what & what) || !at)
		return false;
	if (++seen != at && !(for_good && seen > at))
		return false;
	failed_once = true;
	errno = kind->number == AGAIN ? EINTR : kind->number;
	return true;
}

/* ---- findings ---- */

static const char *scenario;

__attribute__((format(printf, 1, 2), noreturn))
static void finding(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s, %s %llu%s: ", scenario, kind ? kind->name : "nothing", at,
		for_good ? " and all that follow" : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

/* ---- between the library and the host ---- */

/* Allocations that are not freed. */
static struct { const void *p; unsigned long long number; } live[1 << 16];
static unsigned nlive;
static unsigned long long given;

static void *give(void *p)
{
	if (p && nlive == ARRAY_LEN(live))
		finding("%u allocations live", nlive);
	if (p) {
		live[nlive].p = p;
		live[nlive++].number = ++given;
	}
	return p;
}

static void take(const void *p)
{
	unsigned i = nlive;

	while (p && i > 0 && live[i - 1].p != p)
		i--;
	if (p && !i)
		finding("what is freed was not allocated, or has been freed");
	if (p)
		live[i - 1] = live[--nlive];
}

#define REAL(type, name, ...) type __real_##name(__VA_ARGS__); type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

REAL(void *, malloc, size_t n) { return fails(ALLOCATE) ? NULL : give(__real_malloc(n)); }
REAL(void *, calloc, size_t n, size_t each) { return fails(ALLOCATE) ? NULL : give(__real_calloc(n, each)); }
REAL(void *, aligned_alloc, size_t to, size_t n) { return fails(ALLOCATE) ? NULL : give(__real_aligned_alloc(to, n)); }
REAL(char *, strdup, const char *s) { return fails(ALLOCATE) ? NULL : give(__real_strdup(s)); }

REAL(void *, realloc, void *old, size_t n)
{
	void *p = fails(ALLOCATE) ? NULL : __real_realloc(old, n);

	if (p)
		take(old);
	return give(p);
}

REAL(void, free, void *p)
{
	take(p);
	__real_free(p);
}

static int print(char **out, const char *format, va_list ap)
{
	int n = fails(ALLOCATE) ? -1 : vasprintf(out, format, ap);

	if (n >= 0)
		give(*out);
	return n;
}

/* Compilers make one of the other. */
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = print(out, format, ap);
	va_end(ap);
	return n;
}

int __wrap___asprintf_chk(char **out, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = print(out, format, ap);
	va_end(ap);
	return n;
}

REAL(void *, mmap, void *p, size_t n, int protection, int flags, int fd, off_t offset)
{
	void *got = fails(MAP) ? MAP_FAILED : __real_mmap(p, n, protection, flags, fd, offset);

	if (got != MAP_FAILED)
		give(got);
	return got;
}

REAL(int, munmap, void *p, size_t n)
{
	take(p);
	return __real_munmap(p, n);
}

/* zlib's memory is the library's. */
static void *zlib_take(void *owner, unsigned n, unsigned each)
{
	(void)owner;
	return __wrap_calloc(n, each);
}

static void zlib_free(void *owner, void *p)
{
	(void)owner;
	__wrap_free(p);
}

REAL(int, deflateInit_, z_stream *z, int level, const char *version, int size)
{
	z->zalloc = zlib_take;
	z->zfree = zlib_free;
	return __real_deflateInit_(z, level, version, size);
}

REAL(int, inflateInit_, z_stream *z, const char *version, int size)
{
	z->zalloc = zlib_take;
	z->zfree = zlib_free;
	return __real_inflateInit_(z, version, size);
}

REAL(int, compress2, Bytef *out, uLongf *room, const Bytef *in, uLong len, int level)
{
	return fails(ALLOCATE) ? Z_MEM_ERROR : __real_compress2(out, room, in, len, level);
}

REAL(int, uncompress, Bytef *out, uLongf *room, const Bytef *in, uLong len)
{
	return fails(ALLOCATE) ? Z_MEM_ERROR : __real_uncompress(out, room, in, len);
}

int __real_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...)
{
	va_list ap;
	unsigned mode;

	va_start(ap, flags);
	mode = va_arg(ap, unsigned); /* of those who have given one */
	va_end(ap);
	return fails(OPEN) ? -1 : __real_open(name, flags, mode);
}

static FILE *unreadable; /* what ferror is to say so of */

REAL(FILE *, fopen, const char *name, const char *how) { return fails(OPEN) ? NULL : give(__real_fopen(name, how)); }
REAL(FILE *, fdopen, int fd, const char *how) { return fails(OPEN) ? NULL : give(__real_fdopen(fd, how)); }

REAL(int, fclose, FILE *file)
{
	take(file);
	if (file == unreadable)
		unreadable = NULL; /* another file may come to be here */
	return __real_fclose(file);
}

REAL(int, stat, const char *name, struct stat *out) { return fails(LOOK) ? -1 : __real_stat(name, out); }
REAL(int, fstat, int fd, struct stat *out) { return fails(LOOK) ? -1 : __real_fstat(fd, out); }
REAL(off_t, lseek, int fd, off_t offset, int whence) { return fails(LOOK) ? -1 : __real_lseek(fd, offset, whence); }

static size_t cut(size_t len) { return len > 1 ? len / 2 : len; }

REAL(ssize_t, pread, int fd, void *out, size_t n, off_t offset)
{
	bool bad = fails(READ);

	return bad && kind->number != SHORT ? -1 : __real_pread(fd, out, bad ? cut(n) : n, offset);
}

REAL(ssize_t, pwrite, int fd, const void *in, size_t n, off_t offset)
{
	bool bad = fails(WRITE);

	return bad && kind->number != SHORT ? -1 : __real_pwrite(fd, in, bad ? cut(n) : n, offset);
}

/* The host's power does not fail here: what is written is there. */
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd) { return (void)fd, fails(FLUSH) ? -1 : 0; }

/* stdio asks again by itself. */
REAL(size_t, fread, void *out, size_t each, size_t n, FILE *file)
{
	bool bad = kind && kind->number > 0 && fails(READ);

	if (bad)
		unreadable = file;
	return bad ? 0 : __real_fread(out, each, n, file);
}

REAL(int, ferror, FILE *file) { return file == unreadable ? 1 : __real_ferror(file); }

/* ---- expectations ---- */

static char text[512];
static bool told;          /* the guest, or the user, has heard of the host's failure: the run may be another one */
static unsigned refusals;

/* The text of a call that failed. */
static const char *of(char **error)
{
	if (*error)
		snprintf(text, sizeof text, "%s", *error);
	else
		*text = 0;
	free(*error);
	*error = NULL;
	return text;
}

static bool names_the_reason(const char *why)
{
	if (kind->what & (ALLOCATE | MAP))
		return strcasestr(why, "memory");
	return kind->number <= 0 ? strstr(why, "recording") != NULL : strstr(why, strerror(kind->number)) != NULL;
}

/* CALL has failed. Is it to be made again? */
static bool refused(const char *call, const char *why)
{
	if (!failed_once)
		finding("%s fails, and the host has not: %s", call, why);
	if (kind->number < 0)
		finding("%s fails where it only had to ask again: %s", call, why);
	if (for_good && !*why)
		return false; /* there was no memory for the text */
	if (!*why || strchr(why, '\n'))
		finding("%s fails without one line that says why: \"%s\"", call, why);
	if (!names_the_reason(why))
		finding("%s fails with a text that does not name the reason: %s", call, why);
	if (!for_good && refusals && !told)
		finding("%s fails again: %s", call, why);
	refusals++;
	return !for_good && !told;
}

/* Make a call; after a failure, again. */
#define TRY(call, why) do while (!(call)) if (!refused(#call, why)) goto out; while (0)

/* The state that a run without failures must come to. */
static u64 expected[256], notes;

static void note(const char *what, u64 value)
{
	if (notes == ARRAY_LEN(expected))
		finding("too many notes");
	if (!at)
		expected[notes] = value;
	else if (!told && expected[notes] != value)
		finding("%s is %llx after a failure%s, and %llx without", what, (unsigned long long)value, refusals ? ""
			: " of which no call has told",
			(unsigned long long)expected[notes]);
	notes++;
}

static u64 said; /* a hash of all output */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	u8 number = (u8)channel;

	(void)user;
	if (channel == VCPU_HOST_LOG || channel == VCPU_LOG) {
		snprintf(text, sizeof text, "%.*s", (int)len, (const char *)data);
		told |= failed_once && (kind->what & (READ | WRITE | FLUSH)) && names_the_reason(text);
	} else {
		said = hash64(hash64(said, &number, 1), data, len);
	}
}

/* ---- files ---- */

static char directory[] = "/tmp/vcpu-failures-XXXXXX", paths[16][64];
enum file { RAW, BASE, OVERLAY, BIOS, VARS, FLOPPY, CDROM, KERNEL, MODULE, FILES };
static const char *const names[FILES] = { "raw", "base", "overlay", "bios", "vars", "floppy", "cdrom", "kernel",
	"module" };
static u8 image[360 << 10];

static void write_file(enum file file, const void *data, size_t len)
{
	FILE *f = __real_fopen(paths[file], "wb");

	if (!f || fwrite(data, 1, len, f) != len || __real_fclose(f))
		finding("the test cannot write its files");
}

/* Every 3 s of each drive, a sector that says which it is. */
static void write_images(void)
{
	memset(image, 0, sizeof image);
	for (unsigned i = 0; i < sizeof image / 512; i += 3)
		image[512 * i] = image[512 * i + 511] = (u8)(0x80 | i);
	write_file(RAW, image, 128 << 10);
	write_file(BASE, image, 128 << 10);
	write_file(FLOPPY, image, sizeof image);
	write_file(CDROM, image, 64 << 10);
	unlink(paths[OVERLAY]);
	memset(image, 0xff, 64 << 10);
	write_file(VARS, image, 64 << 10);
	memset(image, 0xf4, 64 << 10); /* hlt */
	write_file(BIOS, image, 64 << 10);
	write_file(MODULE, image, 5000);
}

/* ---- the guest ----
 *
 * Writes sector n of drive n % 2 for n from 0 to 7, full of bytes n + 1, flushes it, reads it, reads a byte from COM1
 * and says a letter; then debug-exit. At 600h + n and 700h + n are the statuses of the drive after the write and the
 * flush; at 500h the sum of the bytes from COM1. */
enum { SECTORS = 8, WRITTEN = 0x600, FLUSHED = 0x700, ERROR_BITS = 0x21 /* ERR, DF */ };
static const u8 guest[512] = {
	0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfc, /* segments 0, stack at 7C00 */
	0x31, 0xdb,                                                             /* n = BX = 0 */
	0xbf, 0x00, 0x80, 0x88, 0xd8, 0x40, 0x88, 0xc4, 0xb9, 0x00, 0x01, 0xf3, 0xab, /* next: 8000h: 512 bytes n + 1 */
	0xba, 0xf6, 0x01, 0x88, 0xd8, 0x24, 0x01, 0xc0, 0xe0, 0x04, 0x0c, 0xe0, 0xee, /* drive n % 2 */
	/* one sector, n */
	0xba, 0xf2, 0x01, 0xb0, 0x01, 0xee, 0x42, 0x88, 0xd8, 0xee, 0x42, 0x31, 0xc0, 0xee, 0x42, 0xee,
	0xb0, 0x30, 0xe8, 0x4b, 0x00, 0xa8, 0x08, 0x74, 0x0e,                         /* write; if DRQ, */
	0xba, 0xf0, 0x01, 0xbe, 0x00, 0x80, 0xb9, 0x00, 0x01, 0xf3, 0x6f, 0xe8, 0x3d, 0x00, /* the data */
	0x88, 0x87, 0x00, 0x06, 0xb0, 0xe7, 0xe8, 0x30, 0x00, 0x88, 0x87, 0x00, 0x07, /* flush */
	0xb0, 0x20, 0xe8, 0x27, 0x00, 0xa8, 0x08, 0x74, 0x0b,                         /* read; if DRQ, */
	0xba, 0xf0, 0x01, 0xbf, 0x00, 0x90, 0xb9, 0x00, 0x01, 0xf3, 0x6d,             /* the data, to 9000h */
	0xba, 0xf8, 0x03, 0xec, 0x00, 0x06, 0x00, 0x05,                               /* COM1 */
	0x88, 0xd8, 0x04, 0x61, 0xee,
	0x43, 0x80, 0xfb, SECTORS, 0x72, 0x8b, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd,          /* until n is 8; out F4h; hlt */
	/* command AL; wait until not BSY */
	0xba, 0xf7, 0x01, 0xee, 0xba, 0xf7, 0x01, 0xec, 0xa8, 0x80, 0x75, 0xf8, 0xc3,
	[510] = 0x55, 0xaa,
};
enum { LOOP = 0x7c0e, COMMAND = 0x7c88 };

/* Data that the guest was told is on the disk is there. */
static u8 told_kept[SECTORS];

static void ask_guest(vcpu *v)
{
	u8 written[SECTORS], flushed[SECTORS];

	memset(told_kept, 0, sizeof told_kept);
	if (!v || vcpu_read_physical(v, WRITTEN, written, SECTORS) != SECTORS ||
	    vcpu_read_physical(v, FLUSHED, flushed, SECTORS) != SECTORS)
		return;
	for (unsigned i = 0; i < SECTORS; i++)
		told_kept[i] = written[i] && flushed[i] && !((written[i] | flushed[i]) & ERROR_BITS);
}

static void check_images(void)
{
	char spec[2][200], *error = NULL;
	u8 sector[512];

	watching = false;
	snprintf(spec[0], sizeof spec[0], "%s,readonly", paths[RAW]);
	snprintf(spec[1], sizeof spec[1], "%s,overlay=%s,readonly", paths[BASE], paths[OVERLAY]);
	for (unsigned i = 0; i < SECTORS; i++) {
		struct disk *disk = told_kept[i] ? disk_open(spec[i % 2], &error) : NULL;

		if (!told_kept[i])
			continue;
		if (!disk)
			finding("an image cannot be opened any more: %s", error);
		if (disk_read(disk, 512 * i, sector, sizeof sector) != DISK_OK || *sector != i + 1 ||
		    memcmp(sector, sector + 1, 511))
			finding("sector %u was flushed, and is lost", i);
		disk_free(disk);
	}
}

static char raw_spec[160], overlay_spec[160], snapshot_spec[160];
static struct vcpu_drive disks[2] = { { raw_spec, VCPU_BUS_IDE, false }, { overlay_spec, VCPU_BUS_IDE, false } };
static struct vcpu_drive snapshots[2] = { { snapshot_spec, VCPU_BUS_IDE, false },
	{ snapshot_spec, VCPU_BUS_IDE, false } };

static struct vcpu_config config_with(struct vcpu_drive *drives)
{
	return (struct vcpu_config){ .memory = 1 << 20, .kernel_data = guest, .kernel_size = sizeof guest,
		.drives = drives, .drives_count = 2,
		.bios = NULL, .display = "none", .seed = 1, .output = output };
}

/* Run to the guest's debug-exit. False: the host does not let it. */
static bool run(vcpu *v, u64 slice)
{
	for (unsigned i = 0; i < 10000; i++) {
		struct vcpu_stop stop = vcpu_run(v, slice);

		if (stop.reason == VCPU_STOP_DEBUG_EXIT)
			return true;
		/* the guest waits, and time passes */
		told |= stop.reason == VCPU_STOP_DISK_ERROR || (failed_once && stop.reason == VCPU_STOP_DISK_FULL);
		if (stop.reason != VCPU_STOP_LIMIT && stop.reason != VCPU_STOP_IDLE &&
		    !refused("vcpu_run", vcpu_error(v)) && !told)
			return false;
		if (for_good && stop.reason == VCPU_STOP_DISK_FULL)
			return false;
	}
	finding("the guest comes to no end");
}

/* ---- a machine with everything that a configuration can ask for ---- */

static void make_machines(void)
{
	static char cdrom[160], vars[160], modules[300];
	struct vcpu_drive drives[] = {
		{ raw_spec, VCPU_BUS_IDE, false },       { cdrom, VCPU_BUS_IDE, true },
		{ paths[CDROM], VCPU_BUS_SHELF, false }, { overlay_spec, VCPU_BUS_VIRTIO, false },
		{ snapshot_spec, VCPU_BUS_AHCI, false }, { paths[FLOPPY], VCPU_BUS_FLOPPY, false }
	};
	struct vcpu_config config = { .memory = 1 << 20, .cpu = "haswell,-avx2", .processors = 2, .bios = paths[BIOS],
		.vars = vars, .display = "vga",
		.drives = drives, .drives_count = ARRAY_LEN(drives), .boot = "cd", .nic = "e1000", .console = true,
		.rng = true, .share = "tag",
		.sound = true, .test_ports = true, .output = output };
	vcpu *v = NULL, *other = NULL;
	char *error = NULL;
	void *data = NULL;
	size_t len;

	snprintf(cdrom, sizeof cdrom, "%s,offset=2048", paths[CDROM]);
	snprintf(vars, sizeof vars, "%s", paths[VARS]);
	TRY(v = vcpu_new(&config, &error), of(&error));
	vcpu_run(v, 1000);
	TRY(!vcpu_input(v, VCPU_RESET, NULL, 0), vcpu_error(v));
	TRY(!vcpu_input(v, VCPU_CONSOLE, "x", 1), vcpu_error(v));
	TRY(!vcpu_input(v, VCPU_KEYBOARD, "\x1e", 1), vcpu_error(v));
	TRY(vcpu_next_medium(v) >= 0, vcpu_error(v));
	vcpu_run(v, 1000);
	note("the state", vcpu_state_hash(v));
	TRY(vcpu_save(v, &data, &len, &error), of(&error));
	vcpu_flush(v);
	vcpu_free(v);
	v = NULL;
	TRY(v = vcpu_new(&config, &error), of(&error));
	TRY(vcpu_load(v, data, len, &error), of(&error));
	note("the loaded state", vcpu_state_hash(v));

	snprintf(modules, sizeof modules, "%s one,%s two", paths[MODULE], paths[MODULE]);
	config = (struct vcpu_config){ .memory = 4 << 20, .kernel = paths[KERNEL], .initrd = modules, .append = "words",
		.nic = "virtio", .display = "vga",
		.vars_data = NULL, .output = output };
	TRY(other = vcpu_new(&config, &error), of(&error));
	vcpu_run(other, 1000);
	note("the kernel's state", vcpu_state_hash(other));
out:
	free(data);
	vcpu_free(v);
	vcpu_free(other);
}

/* ---- a run: recorded, saved, loaded, replayed ---- */

static u8 recording[2 << 20];
static size_t recorded;

static bool append(void *user, const void *data, size_t len)
{
	(void)user;
	if (recorded + len > sizeof recording)
		finding("the recording is larger than the test expects");
	if (fails(RECORD))
		return false;
	memcpy(recording + recorded, data, len);
	recorded += len;
	return true;
}

static void record_and_replay(void)
{
	struct vcpu_config config = config_with(disks);
	struct vcpu_recording to = { .write = append, .embed = true, .interval = 20000 };
	struct vcpu_replay_files files = { .kernel = paths[KERNEL],
					   .moved = &(struct vcpu_moved){ "/nowhere", "/elsewhere" },
					   .moved_count = 1 };
	vcpu *v = NULL, *other = NULL;
	vcpu_replay *r = NULL;
	void *data = NULL;
	char *error = NULL;
	size_t len;
	bool whole, written = true; /* the images are the first machine's */

	TRY(v = vcpu_new(&config, &error), of(&error));
	TRY((recorded = 0, !vcpu_record(v, &to)), vcpu_error(v));
	vcpu_run(v, 1000);
	TRY(!vcpu_input(v, VCPU_COM1, "abc", 3), vcpu_error(v));
	if (!run(v, 3000))
		goto out;
	note("the state", vcpu_state_hash(v));
	note("the output", said);
	whole = vcpu_recording_ok(v);
	if (!vcpu_record_end(v, &error)) {
		refused("vcpu_record_end", of(&error));
		whole = false;
	} else if (!whole) {
		finding("the recording has a gap, and vcpu_record_end does not tell");
	}
	if (vcpu_flush(v) && !refused("vcpu_flush", vcpu_error(v)) && !told)
		goto out;
	TRY(vcpu_save(v, &data, &len, &error), of(&error));
	TRY(other = vcpu_new(&(struct vcpu_config){ .memory = config.memory, .kernel_data = guest,
		.kernel_size = sizeof guest, .drives = snapshots,
		.drives_count = 2, .display = "none", .seed = 1 }, &error), of(&error));
	ask_guest(v);
	vcpu_free(v);
	v = NULL;
	check_images();
	memset(told_kept, 0, sizeof told_kept);
	written = false;
	watching = true;
	write_images();
	TRY(v = vcpu_new(&config, &error), of(&error));
	TRY(vcpu_load(v, data, len, &error), of(&error));
	note("the loaded state", vcpu_state_hash(v));
	vcpu_free(v);
	v = NULL;
	if (!whole || told)
		goto out;
	write_images();
	TRY(r = vcpu_replay_open(recording, recorded, &error), of(&error));
	if (vcpu_replay_cut(r))
		finding("the recording ends early: %s", vcpu_replay_cut(r));
	TRY(vcpu_replay_allow(r, &files), "no memory"); /* it has no text */
	TRY(v = vcpu_replay_machine(r, output, NULL, &error), of(&error));
	vcpu_replay_verify(r, true);
	for (unsigned i = 0; !vcpu_replay_done(r); i++) {
		struct vcpu_stop stop = vcpu_replay_run(r, v, 1000);

		if (i == 10000)
			finding("the replay comes to no end");
		if (vcpu_replay_divergence(r) && told)
			goto out;
		if (stop.reason == VCPU_STOP_HOST && !refused("vcpu_replay_run", vcpu_error(v)))
			goto out;
		if (vcpu_replay_divergence(r))
			finding("the replay differs: %s", vcpu_replay_divergence(r));
	}
	note("checkpoints", vcpu_replay_checked(r));
	note("the replayed state", vcpu_state_hash(v));
out:
	if (written)
		ask_guest(v);
	free(data);
	vcpu_free(v);
	vcpu_free(other);
	vcpu_replay_free(r);
}

/* ---- back and forth ---- */

static unsigned events;
static void count(void *user, const struct vcpu_debug_event *event) { (void)user, (void)event, events++; }
static bool counts(void *user, const struct vcpu_debug_stop *stop) { (void)user; return stop->id > 0; }

static vcpu *debugged;

static void note_stop(const char *call, const struct vcpu_debug_stop *s)
{
	u64 words[] = { s->what, s->id > 0, s->place.instructions, s->place.steps, s->address, s->value };

	note(call, hash64(0, words, sizeof words));
}

/* A call that moves; after a failure, again from where it began, and on where the run was known up to. */
#define GO(call) do { \
		struct vcpu_place from = vcpu_where(debugged); \
		struct vcpu_debug_stop stop; \
		unsigned before = events; \
		bool again = false; \
		while ((stop = (call)).what == VCPU_DEBUG_ERROR || (again && stop.what == VCPU_DEBUG_END)) { \
			if (stop.what == VCPU_DEBUG_END) \
				continue; \
			if (!refused(#call, vcpu_error(debugged))) \
				goto out; \
			if (vcpu_debug_seek(d, from).what != VCPU_DEBUG_THERE) \
				finding("after a failure of " #call " there is no way back: %s", \
					vcpu_error(debugged)); \
			again = true; \
			events = before; \
		} \
		note_stop(#call, &stop); \
	} while (0)

static void debug(void)
{
	struct vcpu_config config = config_with(snapshots);
	vcpu_debug *d = NULL;
	vcpu_snapshot *shot = NULL;
	char *error = NULL;
	vcpu *v = NULL;
	int watch, id;

	TRY(debugged = v = vcpu_new(&config, &error), of(&error));
	TRY(shot = vcpu_snapshot_take(v), vcpu_error(v));
	vcpu_run(v, 100);
	TRY(!vcpu_snapshot_restore(v, shot), vcpu_error(v));
	vcpu_snapshot_free(v, shot);
	TRY(d = vcpu_debug_new(v, NULL, &error), of(&error));
	vcpu_debug_limits(d, 1 << 20, 5000);
	vcpu_debug_condition(d, counts, NULL);
	vcpu_debug_trace(d, VCPU_EVENT_PORT, count, NULL);
	TRY((id = vcpu_debug_break(d, LOOP, false)) > 0, vcpu_error(v));
	for (unsigned i = 0; i < 3; i++)
		GO(vcpu_debug_run(d, 100000));
	TRY(!vcpu_debug_delete(d, id), vcpu_error(v));
	TRY(!vcpu_input(v, VCPU_COM1, "abc", 3), vcpu_error(v));
	TRY((watch = vcpu_debug_watch(d, 0x500, 1, true, false, true)) > 0, vcpu_error(v));
	GO(vcpu_debug_run(d, 100000));
	TRY(!vcpu_set(v, VCPU_RSI, 0x1234), vcpu_error(v));
	TRY(vcpu_write_physical(v, 0x510, "by hand", 8) == 8, vcpu_error(v));
	GO(vcpu_debug_run(d, 100000));
	TRY((id = vcpu_debug_catch(d, &(struct vcpu_debug_catch){ 0, VCPU_EVENT_OUTPUT, VCPU_COM1, VCPU_COM1, true, true,
		"ef" })) > 0, vcpu_error(v));
	TRY(vcpu_debug_catch(d, &(struct vcpu_debug_catch){ 0, VCPU_EVENT_CLOCK, 0, ~(u64)0, true, true, "ide" }) > 0,
		vcpu_error(v));
	for (unsigned i = 0; i < 12; i++)
		GO(vcpu_debug_run(d, 100000));
	TRY(!vcpu_debug_delete(d, watch), vcpu_error(v));
	note("events", events);
	note("the state", vcpu_state_hash(v));
	vcpu_debug_trace(d, 0, NULL, NULL);
	for (unsigned i = 0; i < 4; i++)
		GO(vcpu_debug_run_back(d));
	GO(vcpu_debug_last_write(d, 0x510, 1));
	GO(vcpu_debug_step_back(d));
	GO(vcpu_debug_seek(d, vcpu_debug_end(d)));
	note("the state there", vcpu_state_hash(v));
	GO(vcpu_debug_last_event(d, VCPU_EVENT_PORT, 0x3f8, 0x3f8));
	GO(vcpu_debug_step(d));
	GO(vcpu_debug_last_write(d, 0x500, 1));
	GO(vcpu_debug_seek(d, vcpu_debug_start(d)));
	note("the first state", vcpu_state_hash(v));
	GO(vcpu_debug_seek(d, vcpu_debug_end(d)));
	note("the last state", vcpu_state_hash(v));
	note("the output", said);
out:
	vcpu_debug_free(d);
	vcpu_free(v);
	debugged = NULL;
}

/* ---- a bare processor, and a recording that is debugged ---- */

static u64 device_read(void *user, u64 offset, unsigned size) { (void)size; return *(u8 *)user + offset; }
static void device_write(void *user, u64 offset, unsigned size, u64 value) { (void)size, (void)offset;
	*(u8 *)user = (u8)value; }
static void device_save(void *user, void *state) { memcpy(state, user, 1); }
static bool device_restore(void *user, const void *state) { memcpy(user, state, 1); return true; }

static void map_by_hand(void)
{
	/* in 80h; out 81h; inc [2000h]; again */
	static const u8 code[] = { 0xe4, 0x80, 0xe6, 0x81, 0xa0, 0x00, 0x20, 0xfe, 0xc0, 0xa2, 0x00, 0x20, 0xeb, 0xf2 };
	u8 register_ = 1;
	struct vcpu_device device = { .read = device_read, .write = device_write, .user = &register_, .state_size = 1,
		.save = device_save,
		.restore = device_restore };
	vcpu_snapshot *shot = NULL;
	vcpu *v = NULL, *other = NULL;
	char *error = NULL;
	void *data = NULL;
	size_t len;

	TRY(v = vcpu_new(&(struct vcpu_config){ .bare = true }, &error), of(&error));
	for (unsigned i = 0; i < 40; i++) /* more than one table of ranges has room for */
		TRY(!vcpu_map(v, 0x10000 * (u64)i, 0x1000), vcpu_error(v));
	TRY(!vcpu_map_ports(v, "ports", 0x80, 2, &device), vcpu_error(v));
	TRY(!vcpu_map_device(v, "memory", 0x1000, 0x100, &(struct vcpu_device){ .stateless = true }), vcpu_error(v));
	TRY(!vcpu_map(v, 0x2000, 0x1000), vcpu_error(v));
	TRY(!vcpu_set_mode(v, 64) && !vcpu_set_mode(v, 16), vcpu_error(v));
	TRY(vcpu_write_physical(v, 0, code, sizeof code) == sizeof code, vcpu_error(v));
	TRY(!vcpu_set(v, VCPU_RIP, 0), vcpu_error(v));
	vcpu_run(v, 1000);
	TRY(shot = vcpu_snapshot_take(v), vcpu_error(v));
	vcpu_run(v, 1000);
	TRY(vcpu_save(v, &data, &len, &error), of(&error));
	note("the state", vcpu_state_hash(v));
	TRY(!vcpu_snapshot_restore(v, shot), vcpu_error(v));
	vcpu_run(v, 1000);
	note("the state again", vcpu_state_hash(v));
	TRY(vcpu_load(v, data, len, &error), of(&error));
	note("the loaded state", vcpu_state_hash(v));
	vcpu_free(v);
	v = NULL;
	/* An impossible request is refused with or without memory. */
	other = vcpu_new(&(struct vcpu_config){ .cpu = "none" }, &error);
	if (other || (!error && !failed_once))
		finding("a machine with an unknown processor");
	of(&error);
out:
	free(data);
	vcpu_free(v);
	vcpu_free(other);
}

static void debug_recording(void)
{
	struct vcpu_config config = config_with(snapshots);
	struct vcpu_recording to = { .write = append, .embed = true, .interval = 20000 };
	vcpu *v = NULL;
	vcpu_replay *r = NULL;
	vcpu_debug *d = NULL;
	char *error = NULL;

	watching = false;
	recorded = 0;
	v = vcpu_new(&config, &error);
	if (!v || vcpu_record(v, &to))
		finding("the test cannot record: %s", v ? vcpu_error(v) : error);
	vcpu_run(v, 1000);
	for (unsigned i = 0; i < 5; i++) {
		vcpu_input(v, VCPU_COM1, "abcde", i + 1);
		vcpu_run(v, 1000);
	}
	if (!vcpu_record_end(v, &error))
		finding("the test cannot record: %s", error);
	vcpu_free(v);
	debugged = v = NULL;
	watching = true;
	TRY(r = vcpu_replay_open(recording, recorded, &error), of(&error));
	if (vcpu_replay_cut(r))
		finding("the recording ends early: %s", vcpu_replay_cut(r));
	TRY(debugged = v = vcpu_replay_machine(r, output, NULL, &error), of(&error));
	TRY(d = vcpu_debug_new(v, r, &error), of(&error));
	vcpu_debug_limits(d, 1 << 20, 5000);
	GO(vcpu_debug_seek(d, vcpu_debug_end(d)));
	note("the state", vcpu_state_hash(v));
	GO(vcpu_debug_last_write(d, 0x500, 1));
	GO(vcpu_debug_seek(d, vcpu_debug_end(d)));
	note("the last state", vcpu_state_hash(v));
out:
	vcpu_debug_free(d);
	vcpu_free(v);
	vcpu_replay_free(r);
	debugged = NULL;
}

/* ---- all of them ---- */

enum { SAMPLE = 31 };

static const struct { const char *name; void (*run)(void); } scenarios[] = {
	{ "machines", make_machines }, { "a run", record_and_replay }, { "a debugger", debug },
		{ "a bare processor", map_by_hand }, { "a debugged recording", debug_recording },
};

static void play(unsigned which)
{
	int descriptor = dup(2), after;

	close(descriptor);
	scenario = scenarios[which].name;
	notes = said = seen = refusals = events = 0;
	told = failed_once = false;
	unreadable = NULL;
	memset(told_kept, 0, sizeof told_kept);
	write_images();
	watching = true;
	scenarios[which].run();
	watching = false;
	check_images();
	for (unsigned i = 0; i < nlive; i++)
		fprintf(stderr, "allocation %llu is still there\n", live[i].number);
	if (nlive)
		finding("%u allocations were not freed", nlive);
	after = dup(2);
	close(after);
	if (after != descriptor)
		finding("a file was not closed");
}

/* One case, in a process of its own. */
static bool passes(unsigned which)
{
	static const struct itimerval minute = { .it_value.tv_sec = 60 };
	pid_t child = fork();
	int status;

	if (child < 0) {
		perror("fork");
		exit(2);
	}
	if (!child) {
		setitimer(ITIMER_PROF, &minute, NULL);
		play(which);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fprintf(stderr, "%s, %s %llu%s: the process ends with status %x\n", scenarios[which].name, kind->name,
			at, for_good ? " and all that follow" : "",
			(unsigned)status);
	return !status;
}

static unsigned long long total(unsigned which)
{
	unsigned long long n;

	at = ~0ull;
	for_good = false;
	play(which);
	n = seen;
	return n;
}

int main(int argc, char **argv)
{
	unsigned long long every = argc > 1 ? strtoull(argv[1], NULL, 0) : SAMPLE,
			   only = argc > 3 ? strtoull(argv[3], NULL, 0) : 0, cases = 0, findings = 0;
	unsigned passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!every || !mkdtemp(directory)) {
		fprintf(stderr, "usage: failures [EVERY [KIND [N]]]\n");
		return 2;
	}
	for (unsigned i = 0; i < FILES; i++)
		snprintf(paths[i], sizeof paths[i], "%s/%s", directory, names[i]);
	snprintf(raw_spec, sizeof raw_spec, "%s", paths[RAW]);
	snprintf(overlay_spec, sizeof overlay_spec, "%s,overlay=%s", paths[BASE], paths[OVERLAY]);
	snprintf(snapshot_spec, sizeof snapshot_spec, "%s,snapshot", paths[CDROM]);
	memset(image, 0x90, 4096); /* a multiboot kernel: 32 bytes of header, NOPs, and round again */
	put32(image, 0x1badb002);
	put32(image + 4, 0x10003);
	put32(image + 8, -(0x1badb002u + 0x10003));
	put32(image + 12, 0x100000);
	put32(image + 16, 0x100000);
	put32(image + 20, 0);
	put32(image + 24, 0x101000);
	put32(image + 28, 0x100020);
	put16(image + 4094, 0xfeeb);
	write_file(KERNEL, image, 4096);
	for (unsigned which = 0; which < ARRAY_LEN(scenarios); which++) {
		kind = NULL;
		at = 0;
		for_good = false;
		play(which);
		for (const struct kind *k = kinds; k < kinds + ARRAY_LEN(kinds); k++) {
			unsigned long long n, before = findings;

			if (argc > 2 && strcmp(argv[2], k->name))
				continue;
			kind = k;
			n = total(which);
			for (unsigned long long i = only ? only : 1; i <= (only && only < n ? only : n); i += every)
				for (int mode = 0; mode < (k->number == AGAIN ? 1 : 2); mode++) {
					at = i;
					for_good = mode;
					findings += !passes(which);
					cases++;
				}
			printf("%s, %s: %llu operations, %llu findings\n", scenarios[which].name, k->name, n,
			       findings - before);
			*(findings == before ? &passed : &failed) += 1;
		}
	}
	for (unsigned i = 0; i < FILES; i++)
		unlink(paths[i]);
	rmdir(directory);
	printf("%llu cases\n%u passed, %u failed\n", cases, passed, failed);
	return failed != 0;
}
