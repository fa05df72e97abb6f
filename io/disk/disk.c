/* SPDX-License-Identifier: MIT */
/* The image of a drive: options of an image, bounds of requests, errors. disk.h describes it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "mem/base/compat/text.h"
#include "io/disk/reach.h"
#include "io/disk/store.h"

struct disk {
	struct store *store;
	struct ram *ram;      /* of a snapshot; NULL */
	bool read_only, remote;
	bool overlay;         /* the store is one, and written */
	u64 written;          /* hash of all writes */
	char error[DISK_ERROR_MAX];
	char said[DISK_ERROR_MAX];  /* the last line for the user */
	char lost[DISK_ERROR_MAX];  /* of the flush that failed; "": none has */
	bool unflushed;       /* something was written since the last flush */
	bool stalled;         /* the last DISK_FULL is not the room's */
	struct disk_host host;
};

/* Behind the text of a flush that failed. */
#define LOST ": what was written since the last flush may be lost, and no flush succeeds until the image is opened again"

enum disk_result store_failed(char *error, enum disk_result result, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, DISK_ERROR_MAX, format, ap);
	va_end(ap);
	return result;
}

enum disk_result store_errno(char *error, int number, const char *what, const char *name)
{
	char text[100];
	bool full = number == ENOSPC || number == EFBIG;

#ifdef EDQUOT
	full |= number == EDQUOT;
#endif

	return store_failed(error, full ? DISK_FULL : DISK_ERROR, "%s: cannot %s: %s", name, what,
			    error_text(number, text, sizeof text));
}

enum disk_result store_zero(struct store *store, u64 offset, u64 len)
{
	static const u8 zeroes[65536];
	enum disk_result result = DISK_OK;

	for (u64 run; len && result == DISK_OK; offset += run, len -= run) {
		run = len < sizeof zeroes ? len : sizeof zeroes;
		result = store->ops->write(store, offset, zeroes, run);
	}
	return result;
}

/* ---- FILE[,readonly][,snapshot][,overlay=FILE][,offset=BYTES][,size=BYTES] ---- */

struct spec {
	char *text;         /* cut into pieces */
	const char *file, *overlay;
	bool read_only, snapshot, has_size;
	u64 offset, size;
	const struct reach *reach;         /* NULL: the user's own */
	char *moved_file, *moved_overlay;  /* malloc'd: where they lie now */
	bool given_file, given_overlay;    /* the user named them */
	bool was_remote;
};

static bool parse_bytes(const char *text, u64 *out)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || *text < '0' || *text > '9')
		return false;
	if (!*end)
		return true;
	suffix = strchr(suffixes, *end);
	if (!suffix || end[1])
		return false;
	for (const char *s = suffixes; s <= suffix; s++) {
		if (*out >> 54)
			return false;
		*out <<= 10;
	}
	return true;
}

static bool parse_option(struct spec *spec, char *option, char *error)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = 0;
	if (!value && !strcmp(option, "readonly")) {
		spec->read_only = true;
	} else if (!value && !strcmp(option, "snapshot")) {
		spec->snapshot = true;
	} else if (value && !strcmp(option, "overlay") && *value) {
		spec->overlay = value;
	} else if (value && (!strcmp(option, "offset") || !strcmp(option, "size"))) {
		if (!parse_bytes(value, *option == 'o' ? &spec->offset : &spec->size) ||
		    (*option == 's' && !spec->size)) {
			store_failed(error, DISK_ERROR, "%s: %s=%s is not a number of bytes, like 512 or 10M",
				     spec->file, option, value);
			return false;
		}
		spec->has_size |= *option == 's';
	} else {
		store_failed(error, DISK_ERROR,
			     "%s: '%s' is none of readonly, snapshot, overlay=FILE, offset=BYTES, size=BYTES",
			     spec->file, option);
		return false;
	}
	return true;
}

static bool parse(struct spec *spec, char *error)
{
	char *next = spec->text;

	spec->file = strsep(&next, ",");
	if (!*spec->file) {
		store_failed(error, DISK_ERROR, "a disk image needs a name");
		return false;
	}
	while (next)
		if (!parse_option(spec, strsep(&next, ","), error))
			return false;
	return true;
}

static bool set_window(struct store *store, const struct spec *spec, char *error)
{
	if (spec->offset % 512 || spec->size % 512) {
		store_failed(error, DISK_ERROR, "%s: offset and size must be multiples of 512", spec->file);
		return false;
	}
	if (spec->offset > store->size || (spec->has_size && spec->size > store->size - spec->offset)) {
		store_failed(error, DISK_ERROR, "%s: offset and size reach beyond its end at %llu bytes", spec->file,
			(unsigned long long)store->size);
		return false;
	}
	store->start = spec->offset;
	store->size = spec->has_size ? spec->size : (store->size - spec->offset) & ~(u64)511;
	if (!store->size) {
		store_failed(error, DISK_ERROR, "%s: there is not one sector of 512 bytes in it", spec->file);
		return false;
	}
	return true;
}

static bool is_remote(const char *name) { return !strncmp(name, "nbd:", 4); }

/* For a stranger's disk: what is written stays in memory, and names are those of now. */
static bool come_within(struct spec *spec, const struct reach *reach, char *error)
{
	bool overlay = spec->overlay;

	spec->reach = reach;
	spec->snapshot |= !spec->read_only;
	spec->was_remote = is_remote(spec->file);
	spec->file = spec->moved_file = reach_name(reach, spec->file, &spec->given_file);
	if (spec->overlay)
		spec->overlay = spec->moved_overlay = reach_name(reach, spec->overlay, &spec->given_overlay);
	if (!spec->file || (overlay && !spec->overlay)) {
		store_failed(error, DISK_ERROR, "the host has no memory for a disk");
		return false;
	}
	if (!is_remote(spec->file) || reach->nbd)
		return true;
	store_failed(error, DISK_ERROR, "%s: a recording connects to nothing unless it is allowed to", spec->file);
	return false;
}

static struct store *open_store(struct disk *disk, const struct spec *spec)
{
	bool writable = !spec->read_only && !spec->snapshot, base_writable = writable && !spec->overlay;
	bool nbd = disk->remote = is_remote(spec->file);
	enum raw_access access = spec->reach && !spec->given_file ? RAW_STRANGER : base_writable ? RAW_WRITE : RAW_READ;
	struct store *store;

	store = nbd ? nbd_open(spec->file + 4, base_writable, &disk->host, disk->error)
		    : raw_open(spec->file, access, disk->error);
	if (!store)
		return NULL;
	if (!set_window(store, spec, disk->error) || (!nbd && !raw_lock(store, access))) {
		store->ops->free(store);
		return NULL;
	}
	access = spec->reach && !spec->given_overlay ? RAW_STRANGER : writable ? RAW_CREATE : RAW_READ;
	if (spec->overlay)
		store = overlay_open(spec->overlay, store, access, disk->error);
	if (store && spec->snapshot)
		store = snapshot_new(store, disk->error);
	return store;
}

/* Frees DISK, whose text goes to *ERROR. NULL. */
static struct disk *failed(struct disk *disk, char **error)
{
	if (error)
		*error = strdup(disk && *disk->error ? disk->error : "the host has no memory for a disk");
	if (disk && disk->store)
		disk->store->ops->free(disk->store);
	free(disk);
	return NULL;
}

struct disk *disk_new(struct store *(*make)(void *arg, char *error), void *arg, char **error)
{
	struct disk *disk = calloc(1, sizeof *disk);

	if (disk)
		disk->store = make(arg, disk->error);
	if (disk && disk->store)
		return disk;
	return failed(disk, error);
}

/* What of a network block device there was nobody knows: then it is as the user says. */
static bool is_same(struct disk *disk, const struct spec *spec, const struct disk_was *was)
{
	u64 now;

	if (was->size && was->size != disk_size(disk)) {
		store_failed(disk->error, DISK_ERROR,
			     "recording: %s has %llu bytes, but had %llu when the recording began", spec->file,
			     (unsigned long long)disk_size(disk), (unsigned long long)was->size);
		return false;
	}
	if (disk_contents(disk, &now) != DISK_OK)
		return false;
	if (now == was->contents || (!was->contents && spec->was_remote && spec->given_file))
		return true;
	store_failed(disk->error, DISK_ERROR, "recording: %s is not what it was when the recording began", spec->file);
	return false;
}

/* What the overlay had goes where writes go: not into the hash of them. */
static bool put_blocks(struct disk *disk, const struct spec *spec, const struct disk_was *was)
{
	enum { EACH = 8 + COW_BLOCK };
	u64 size = disk_size(disk);

	for (const u8 *at = was->blocks; at < was->blocks + was->blocks_len; at += EACH) {
		u64 offset = get64(at) < size / COW_BLOCK + 1 ? get64(at) * COW_BLOCK : size;
		u64 len = size - offset < COW_BLOCK ? size - offset : COW_BLOCK;

		if (!disk->ram || was->blocks_len % EACH || offset >= size) {
			store_failed(disk->error, DISK_ERROR, "recording: what it has of the overlay of %s is damaged",
				     spec->file);
			return false;
		}
		if (disk->store->ops->write(disk->store, offset, at + 8, len) != DISK_OK)
			return false;
	}
	return true;
}

static struct disk *open_spec(const char *text, const struct reach *reach, const struct disk_was *was, bool overlay,
			      char **error)
{
	struct disk *disk = calloc(1, sizeof *disk);
	struct spec spec = { .text = strdup(text) };
	bool ok = disk && spec.text && parse(&spec, disk->error);

	if (!overlay || (was && was->blocks))
		spec.overlay = NULL;
	ok = ok && (!reach || come_within(&spec, reach, disk->error)) && (disk->store = open_store(disk, &spec));
	if (ok) {
		disk->read_only = spec.read_only;
		disk->ram = spec.snapshot ? snapshot_ram(disk->store) : NULL;
		disk->overlay = spec.overlay && !spec.read_only && !spec.snapshot;
		ok = !was || (put_blocks(disk, &spec, was) && is_same(disk, &spec, was));
	}
	if (!ok)
		disk = failed(disk, error);
	free(spec.text);
	free(spec.moved_file);
	free(spec.moved_overlay);
	return disk;
}

struct disk *disk_open(const char *text, char **error)
{
	return open_spec(text, NULL, NULL, true, error);
}

/* An overlay that was new has been filled since, or thrown away: what it lies over is what was recorded. */
struct disk *disk_open_within(const char *text, const struct reach *reach, const struct disk_was *was, char **error)
{
	char *why = NULL, *without = NULL, *both = NULL;
	struct disk *disk = open_spec(text, reach, was, true, &why);

	if (!disk && was && strstr(text, ",overlay=")) {
		disk = open_spec(text, reach, was, false, &without);
		if (!why || !without || asprintf(&both, "%s; without the overlay: %s", why, without) < 0)
			both = NULL;
		free(why);
		free(without);
		why = both;
	}
	if (!disk && error)
		*error = why;
	else
		free(why);
	return disk;
}

void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	disk_flush(disk);
	disk->store->ops->free(disk->store);
	free(disk);
}

/* ---- requests ---- */

static bool outside(const struct disk *disk, u64 offset, u64 len)
{
	return offset > disk->store->size || len > disk->store->size - offset;
}

u64 disk_size(const struct disk *disk) { return disk->store->size; }
bool disk_read_only(const struct disk *disk) { return disk->read_only; }
const char *disk_error(const struct disk *disk) { return disk->error; }
struct ram *disk_ram(struct disk *disk) { return disk->ram; }

/* The host's answer, on its way to the controller, whichever that is. */
static enum disk_result answered(struct disk *disk, enum disk_result result)
{
	disk->stalled = result == DISK_STALLED;
	if (result == DISK_STALLED)
		return DISK_FULL;
	if (result == DISK_ERROR && disk->host.say && strcmp(disk->said, disk->error)) {
		memcpy(disk->said, disk->error, sizeof disk->said);
		disk->host.say(disk->host.owner, disk->said);
	}
	return result;
}

enum disk_result disk_read(struct disk *disk, u64 offset, void *out, size_t len)
{
	return outside(disk, offset, len) ? DISK_RANGE
					  : answered(disk, disk->store->ops->read(disk->store, offset, out, len));
}

/* May it be written there? Then it is to be flushed, whatever comes of it. */
static enum disk_result may_write(struct disk *disk, u64 offset, u64 len)
{
	enum disk_result result = outside(disk, offset, len) ? DISK_RANGE : disk->read_only ? DISK_READ_ONLY : DISK_OK;

	disk->unflushed |= result == DISK_OK;
	return result;
}

enum disk_result disk_write(struct disk *disk, u64 offset, const void *in, size_t len)
{
	enum disk_result result = may_write(disk, offset, len);

	if (result == DISK_OK)
		result = answered(disk, disk->store->ops->write(disk->store, offset, in, len));
	if (result == DISK_OK)
		disk->written = hash64(hash64(disk->written, &offset, sizeof offset), in, len);
	return result;
}

enum disk_result disk_flush(struct disk *disk)
{
	enum disk_result result = *disk->lost       ? DISK_ERROR
				  : disk->unflushed ? disk->store->ops->flush(disk->store)
						    : DISK_OK;

	if (result == DISK_OK)
		disk->unflushed = false;

	if (result == DISK_ERROR && !*disk->lost) {
		memcpy(disk->lost, disk->error, sizeof disk->lost);
		strncat(disk->lost, LOST, sizeof disk->lost - strlen(disk->lost) - 1);
		memcpy(disk->error, disk->lost, sizeof disk->error);
		result = answered(disk, result);
		if (disk->host.lost)
			disk->host.lost(disk->host.owner, disk);
		return result;
	}
	if (result == DISK_ERROR)
		memcpy(disk->error, disk->lost, sizeof disk->error);
	return answered(disk, result);
}

enum disk_result disk_discard(struct disk *disk, u64 offset, u64 len)
{
	enum disk_result result = may_write(disk, offset, len);

	if (result == DISK_OK)
		result = answered(disk, disk->store->ops->discard(disk->store, offset, len));
	if (result == DISK_OK)
		disk->written = hash64(disk->written, (u64[]){ offset, len }, 2 * sizeof(u64));
	return result;
}

u64 store_data(struct store *store, u64 offset)
{
	return store->ops->data ? store->ops->data(store, offset) : offset;
}

enum disk_result disk_contents(struct disk *disk, u64 *hash)
{
	enum { RUN = 1 << 20 };
	u64 size = disk->remote ? 0 : disk_size(disk), h = size ? hash64(0, &size, sizeof size) : 0;
	u8 *bytes = malloc(RUN);
	enum disk_result result =
		bytes ? DISK_OK : store_failed(disk->error, DISK_ERROR, "the host has no memory to read a disk");

	/* Holes and zeroes are the same. */
	for (u64 at = 0, next; result == DISK_OK && at < size && (next = store_data(disk->store, at)) < size;
	     at += RUN) {
		u64 len;

		at = next & ~(u64)(RUN - 1);
		len = size - at < RUN ? size - at : RUN;
		result = disk_read(disk, at, bytes, len);
		if (result == DISK_OK && (*bytes || memcmp(bytes, bytes + 1, len - 1)))
			h = hash64(hash64(h, &at, sizeof at), bytes, len);
	}
	free(bytes);
	*hash = h;
	return result;
}

enum disk_result disk_overlay_blocks(struct disk *disk, size_t max, u8 **out, size_t *len)
{
	*out = NULL;
	*len = 0;
	return disk->overlay ? cow_blocks(disk->store, max, out, len) : DISK_OK;
}

static const struct field disk_fields[] = { FIELD(struct disk, written, U64), FIELD_END };

struct part disk_part(struct disk *disk, const char *name)
{
	return (struct part){ name, disk, disk_fields, NULL };
}

void disk_set_host(struct disk *disk, const struct disk_host *host)
{
	disk->host = *host;
}

void disk_wait(struct disk *disk)
{
	void (*tell)(void *owner, struct disk *disk) = disk->stalled ? disk->host.stalled : disk->host.waiting;

	if (tell)
		tell(disk->host.owner, disk);
}
