/* SPDX-License-Identifier: MIT */
/* Runs on file.
 *
 * A recording is a header, "vcpurply", version (32 bits), zero (32 bits), and then chunks, each complete in itself:
 *   0 kind   4 bytes that follow   8 bytes when unpacked (the same: not compressed, else zlib)   12 low half of hash64 over all that   16 bytes
 *     CONFIG  the configuration as text (config.h), first
 *     IMAGE   role ('k' kernel, 'i' initrd, 'v' the firmware's variables), contents; or 'o', number of the drive (8 bits), blocks that its overlay
 *             has: number (64 bits) and 4096 bytes of each
 *     START   hash of what was booted (64 bits), and for each drive of its contents (64 bits; 0: empty, or too far away to look) and its
 *             size (64 bits)
 *     INPUT   place, channel (32 bits), bytes; from channel 65536 on a change by the caller (change.c)
 *     CHECK   place, hash of the memory (64 bits), then all parts as snapshots have them, XORed with those of the checkpoint before
 *     END     like CHECK: the run was ended by its owner
 *   place: instructions (64 bits), virtual ns (64), steps (32)
 * All numbers are little-endian. A file that ends within a chunk ends before it.
 *
 * Version 2, which is still read, has no variables, no overlays and no sizes of drives. A change that a reader of today
 * would misunderstand makes version 4; its reader takes 2 and 3 as well. */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include "io/disk/disk.h"
#include "io/disk/reach.h"
#include "lib/change.h"
#include "lib/config.h"
#include "lib/pc.h"
#include "lib/replay.h"

#define MAGIC "vcpurply"
#define VERSION 3u
#define VERSION_OLD 2u
#define PLACE 20u
#define CHUNK_MAX (1u << 30)
#define START_MAX (8 * (1 + 2 * VCPU_DRIVES))
#define PACK_FROM 128u /* bytes; fewer are not worth compressing */

/* The most that chunks may unpack to (vcpu_replay.h tells). */
#define CONFIG_MAX (1u << 20)
#define INPUT_MAX (PLACE + 4 + (2u << 20)) /* twice what any channel takes at once */
#define STATE_MAX (PLACE + 8 + (64u << 20))
#define IMAGE_FREE (64u << 20)
#define IMAGE_RATIO 64u
#define OVERLAY_MAX (32u << 20)

enum kind { CONFIG = 1, IMAGE, START, INPUT, CHECK, END };
#define ROLES "kiv"
enum role { KERNEL, INITRD, VARS, IMAGES };

/* The most that LEN bytes of a chunk may be when unpacked. */
static u32 most(enum kind kind, u32 len)
{
	switch (kind) {
	case CONFIG: return CONFIG_MAX;
	case IMAGE: return len <= IMAGE_FREE / IMAGE_RATIO ? IMAGE_FREE : len < CHUNK_MAX / IMAGE_RATIO
		? len * IMAGE_RATIO : CHUNK_MAX;
	case START: return START_MAX;
	case INPUT: return INPUT_MAX;
	default: return STATE_MAX;
	}
}

/* ---- places ---- */

struct vcpu_place vcpu_where(const vcpu *v)
{
	struct place at;

	if (!v)
		return (struct vcpu_place){ 0 };
	at = machine_place(v);
	return (struct vcpu_place){ at.icount, at.steps, cpu_time_at(machine_running(v), at.icount) };
}

bool place_equal(const struct vcpu_place *a, const struct vcpu_place *b)
{
	return a->instructions == b->instructions && a->steps == b->steps && a->ns == b->ns;
}

bool place_before(const struct vcpu_place *a, const struct vcpu_place *b)
{
	if (a->instructions != b->instructions)
		return a->instructions < b->instructions;
	return a->steps != b->steps ? a->steps < b->steps : a->ns < b->ns;
}

static struct vcpu_stop lost(struct vcpu *v, const struct vcpu_place *where)
{
	struct vcpu_place at = vcpu_where(v);

	machine_error(v,
		      "the run is at instruction %llu+%u, %llu ns, and has passed the recorded place %llu+%u, %llu ns",
		      (unsigned long long)at.instructions, at.steps, (unsigned long long)at.ns,
		      (unsigned long long)where->instructions, where->steps, (unsigned long long)where->ns);
	return (struct vcpu_stop){ .reason = VCPU_STOP_HOST };
}

struct vcpu_stop machine_run_to(struct vcpu *v, const struct vcpu_place *where)
{
	struct place end = { where->instructions, where->steps };
	struct vcpu_stop stop = { .reason = VCPU_STOP_LIMIT };
	struct vcpu_place at;

	if (!place_reached(machine_place(v), end)) {
		stop = machine_run(v, end, ~(u64)0);
		if (stop.reason != VCPU_STOP_LIMIT)
			return stop.reason == VCPU_STOP_HALT ? lost(v, where) : stop;
	}
	at = vcpu_where(v);
	/* sleep until then */
	if (at.ns < where->ns && at.instructions == where->instructions && at.steps == where->steps) {
		end.steps++;
		stop = machine_run(v, end, where->ns);
		if (stop.reason != VCPU_STOP_IDLE && stop.reason != VCPU_STOP_HALT)
			return stop.reason == VCPU_STOP_LIMIT ? lost(v, where) : stop;
		at = vcpu_where(v);
	}
	if (!place_equal(&at, where))
		return lost(v, where);
	return (struct vcpu_stop){ .reason = VCPU_STOP_LIMIT };
}

/* ---- the state at a checkpoint ---- */

struct state { u8 *bytes; size_t size; };

static bool state_take(struct state *s, struct vcpu *v)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	u8 *at;

	s->size = 0;
	for (unsigned i = 0; i < n; i++)
		s->size += part_size(&parts[i]);
	at = s->bytes = malloc(s->size + 1);
	for (unsigned i = 0; at && i < n; at += part_size(&parts[i++]))
		part_save(&parts[i], at);
	return s->bytes;
}

static void state_xor(struct state *s, const struct state *with)
{
	for (size_t i = 0; i < s->size && i < with->size; i++)
		s->bytes[i] ^= with->bytes[i];
}

static void get_memory_hash(void *user, const char *part, uint64_t hash)
{
	if (!strcmp(part, "memory"))
		*(u64 *)user = hash;
}

/* ---- recording ---- */

struct recorder {
	struct vcpu_recording to;
	struct state last;      /* at the checkpoint before */
	u64 due;
	bool failed;
	const char *why;        /* in a line */
};

static void give_up(struct recorder *r, const char *why)
{
	if (!r->failed)
		r->why = why;
	r->failed = true;
}

static void put_bytes(struct recorder *r, const u8 *bytes, size_t len)
{
	if (!r->to.write(r->to.user, bytes, len))
		give_up(r, "the recording cannot be written");
}

/* HEAD and DATA, one behind the other, as a chunk. */
static void chunk(struct recorder *r, enum kind kind, const void *head, size_t nhead, const void *data, size_t ndata)
{
	size_t full = nhead + ndata, packed = compressBound((uLong)full), len = full;
	u8 *bytes = malloc(CHUNK_HEAD + full + packed), *out = bytes + CHUNK_HEAD;
	uLongf room = (uLongf)packed;

	if (!bytes)
		give_up(r, "the host has no memory for a recording");
	else if (full > CHUNK_MAX || full > most(kind, (u32)full))
		give_up(r, "the recording has no room for an image or an input of that size");
	if (r->failed) {
		free(bytes);
		return;
	}
	if (nhead)
		memcpy(out, head, nhead);
	if (ndata)
		memcpy(out + nhead, data, ndata);
	if (full >= PACK_FROM && compress2(out + full, &room, out, (uLong)full, 6) == Z_OK && room < full &&
	    full <= most(kind, (u32)room)) {
		memmove(out, out + full, room);
		len = room;
	}
	put32(bytes, kind);
	put32(bytes + 4, (u32)len);
	put32(bytes + 8, (u32)full);
	put32(bytes + 12, chunk_sum(bytes, out, len));
	put_bytes(r, bytes, CHUNK_HEAD + len);
	free(bytes);
}

static void put_place(u8 out[PLACE], const struct vcpu *v)
{
	struct vcpu_place at = vcpu_where(v);

	put64(out, at.instructions);
	put64(out + 8, at.ns);
	put32(out + 16, at.steps);
}

/* A hash of memory takes as long as some instructions for each of its bytes. */
static u64 next_checkpoint(const struct recorder *r, const struct vcpu *v)
{
	u64 cost = 8 * vcpu_resident(v);

	return v->cpu->icount + (r->to.interval ? r->to.interval : cost > 100000000 ? cost : 100000000);
}

static void checkpoint(struct recorder *r, struct vcpu *v, enum kind kind)
{
	u8 head[PLACE + 8];
	struct state state;
	u64 memory = 0;

	if (!state_take(&state, v)) {
		give_up(r, "the host has no memory for a recording");
		return;
	}
	machine_state_parts(v, get_memory_hash, &memory);
	put_place(head, v);
	put64(head + PLACE, memory);
	state_xor(&r->last, &state);
	chunk(r, kind, head, sizeof head, r->last.bytes ? r->last.bytes : state.bytes, state.size);
	free(r->last.bytes);
	r->last = state;
	r->due = next_checkpoint(r, v);
}

u64 recorder_due(const struct recorder *r) { return r->failed ? ~(u64)0 : r->due; }
void recorder_check(struct recorder *r, struct vcpu *v) { checkpoint(r, v, CHECK); }

void recorder_input(struct recorder *r, struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len)
{
	u8 head[PLACE + 4];

	put_place(head, v);
	put32(head + PLACE, (u32)channel);
	chunk(r, INPUT, head, sizeof head, data, len);
}

void recorder_change(struct recorder *r, struct vcpu *v, unsigned what, const u8 *change, const void *bytes, size_t len)
{
	u8 head[PLACE + 4 + CHANGE_HEAD];

	put_place(head, v);
	put32(head + PLACE, what);
	memcpy(head + PLACE + 4, change, CHANGE_HEAD);
	chunk(r, INPUT, head, sizeof head, bytes, len);
}

void recorder_free(struct recorder *r)
{
	if (r)
		free(r->last.bytes);
	free(r);
}

static void embed(struct recorder *r, char role, const struct blob *b)
{
	if (b->data)
		chunk(r, IMAGE, &role, 1, b->data, b->size);
}

/* What the run will change in overlays, unless that is much. */
static void embed_overlays(struct recorder *r, struct vcpu *v)
{
	size_t room = OVERLAY_MAX;

	for (unsigned i = 0; i < v->ndrives; i++) {
		u8 *blocks = NULL;
		size_t len = 0;

		if (v->drives[i].disk && disk_overlay_blocks(v->drives[i].disk, room, &blocks, &len) != DISK_OK)
			give_up(r, disk_error(v->drives[i].disk));
		if (blocks)
			chunk(r, IMAGE, (u8[]){ 'o', (u8)i }, 2, blocks, len);
		room -= len;
		free(blocks);
	}
}

int vcpu_record(vcpu *v, const struct vcpu_recording *recording)
{
	const struct ram *vars;
	struct recorder *r;
	u8 head[FILE_HEAD] = MAGIC, start[START_MAX];
	u64 contents[VCPU_DRIVES];

	if (machine_refuses(v, "vcpu_record"))
		return -1;
	if (!recording || !recording->write)
		return machine_error(v, "struct vcpu_recording needs a write function");
	if (v->recorder)
		return machine_error(v, "the machine is being recorded already");
	if (v->cpu->icount || cpu_now(v->cpu))
		return machine_error(v, "the machine has run already: a recording begins at power-on");
	if (!devices_known(v) || !hooks_repeatable(v))
		return -1;
	if (recording->embed && v->boot.nmodules > 1)
		return machine_error(v, "only one initrd or module can be put into a recording, not %u",
				     v->boot.nmodules);
	for (unsigned i = 0; recording->embed && i < v->boot.nextras; i++)
		if (v->boot.extras[i].file)
			return machine_error(v, "%s: a file that is loaded at an address is not put into a recording; its bytes as hex: are",
				v->boot.extras[i].blob.name);
	if (!drives_contents(v, contents))
		return -1;
	r = v->recorder = calloc(1, sizeof *r);
	if (!r)
		return machine_error(v, "the host has no memory for a recorder");
	r->to = *recording;
	v->busy++;
	put32(head + 8, VERSION);
	put_bytes(r, head, sizeof head);
	chunk(r, CONFIG, v->config, strlen(v->config), NULL, 0);
	if (r->to.embed) {
		embed(r, 'k', &v->boot.kernel);
		if (v->boot.nmodules)
			embed(r, 'i', &v->boot.modules[0]);
	}
	vars = pc_vars(v);
	if (vars) /* the run changes the file */
		chunk(r, IMAGE, "v", 1, vars->host, vars->size);
	embed_overlays(r, v);
	put64(start, v->boot.hash);
	for (unsigned i = 0; i < v->ndrives; i++) {
		put64(start + 8 + 16 * i, contents[i]);
		put64(start + 16 + 16 * i, v->drives[i].disk ? disk_size(v->drives[i].disk) : 0);
	}
	chunk(r, START, start, 8 + 16 * v->ndrives, NULL, 0);
	v->busy--;
	r->due = next_checkpoint(r, v);
	if (!r->failed)
		return 0;
	machine_error(v, "%s", r->why);
	recorder_free(r);
	v->recorder = NULL;
	return -1;
}

bool vcpu_record_end(vcpu *v, char **error)
{
	bool ok;

	if (error)
		*error = NULL;
	if (machine_refuses(v, "vcpu_record_end"))
		return error_set(error, "%s", vcpu_error(v));
	if (!v->recorder)
		return error_set(error, "the machine is not being recorded");
	v->busy++;
	if (!v->recorder->failed)
		checkpoint(v->recorder, v, END);
	v->busy--;
	ok = !v->recorder->failed;
	if (!ok)
		error_write(error, "%s", v->recorder->why);
	recorder_free(v->recorder);
	v->recorder = NULL;
	return ok;
}

bool vcpu_recording_ok(const vcpu *v) { return v && v->recorder && !v->recorder->failed; }

/* ---- reading ---- */

struct item {
	enum kind kind;
	struct vcpu_place at;
	const u8 *bytes;        /* of the chunk */
	u32 len, full;
	u32 channel;            /* of an input */
};

struct vcpu_replay {
	struct config_text text;
	struct vcpu_config config;
	unsigned version;
	u8 *images[IMAGES], *overlays[VCPU_DRIVES];
	u64 boot_hash;
	struct disk_was disks[VCPU_DRIVES];
	struct reach reach;     /* what it may open of what it names */
	char *files[3];         /* reach's */
	bool started;
	struct item *items;
	size_t count, next;
	char cut[160];          /* "": it is complete */
	bool verify;
	unsigned checked;
	struct state last;      /* at the checkpoint before, as recorded */
	struct vcpu_place good; /* where it was */
	char divergence[400];
};

static const char no_memory[] = "the host has no memory to read it", damaged[] = "it is damaged";

/* The chunk's bytes, malloc'd with a zero behind; NULL: *WHY is one of these. */
static u8 *unpack(const u8 *bytes, u32 len, u32 full, const char **why)
{
	u8 *out = malloc((size_t)full + 1);
	uLongf got = full;
	int result = Z_MEM_ERROR;

	if (out)
		result = len == full ? Z_OK : uncompress(out, &got, bytes, len);
	if (result != Z_OK || got != full) {
		*why = result == Z_MEM_ERROR ? no_memory : damaged;
		free(out);
		return NULL;
	}
	if (len == full)
		memcpy(out, bytes, len);
	out[full] = 0;
	return out;
}

static bool take_config(vcpu_replay *r, const u8 *bytes, u32 full, char **error)
{
	if (r->text.text)
		return error_set(error, "recording: it has two configurations");
	if (!config_read(&r->text, (const char *)bytes, full, error))
		return false;
	r->config = r->text.config;
	return true;
}

static bool take_image(vcpu_replay *r, u8 *bytes, u32 full)
{
	const char *role = *bytes ? strchr(ROLES, *bytes) : NULL;
	enum role which = role ? (enum role)(role - ROLES) : IMAGES;

	if (!role || r->images[which] || full < 2)
		return false;
	r->images[which] = bytes++;
	full--;
	if (which == KERNEL) {
		r->config.kernel_data = bytes;
		r->config.kernel_size = full;
	} else if (which == INITRD) {
		r->config.initrd_data = bytes;
		r->config.initrd_size = full;
	} else {
		r->config.vars_data = bytes;
		r->config.vars_size = full;
	}
	return true;
}

static bool take_overlay(vcpu_replay *r, u8 *bytes, u32 full)
{
	size_t all = full;

	for (unsigned i = 0; i < VCPU_DRIVES; i++)
		all += r->disks[i].blocks_len;
	if (full < 3 || *bytes != 'o' || bytes[1] >= r->config.drives_count || r->overlays[bytes[1]] ||
	    all > OVERLAY_MAX + 2)
		return false;
	r->overlays[bytes[1]] = bytes;
	r->disks[bytes[1]].blocks = bytes + 2;
	r->disks[bytes[1]].blocks_len = full - 2;
	return true;
}

static bool take_start(vcpu_replay *r, const u8 *bytes, u32 full)
{
	u32 each = r->version == VERSION_OLD ? 8 : 16;

	if (full != 8 + each * r->config.drives_count)
		return false;
	r->boot_hash = get64(bytes);
	bytes += 8;
	for (unsigned i = 0; i < r->config.drives_count; i++, bytes += each) {
		r->disks[i].contents = get64(bytes);
		r->disks[i].size = each > 8 ? get64(bytes + 8) : 0;
	}
	return r->started = true;
}

/* What comes before the run. False with *ERROR: nothing can be made of it. */
static bool take_front(vcpu_replay *r, enum kind kind, const u8 *bytes, u32 len, u32 full, char **error)
{
	const char *why;
	u8 *out = unpack(bytes, len, full, &why);
	bool ok = false;

	if (!out)
		return error_set(error, "recording: %s", why == damaged ? "its beginning is damaged" : why);
	if ((kind != CONFIG) != (r->text.text != NULL))
		error_write(error, "recording: it does not begin with one configuration");
	else if (kind == CONFIG)
		ok = take_config(r, out, full, error);
	else if (kind == IMAGE && (take_overlay(r, out, full) || take_image(r, out, full)))
		return true;
	else if (kind == START && take_start(r, out, full))
		ok = true;
	else
		error_write(error, "recording: its beginning is damaged");
	free(out);
	return ok;
}

/* The first LEN bytes that a chunk unpacks to. False: *WHY is one of unpack's. */
static bool peek(const struct item *item, u8 *out, u32 len, const char **why)
{
	z_stream z = { .next_in = (Bytef *)item->bytes, .avail_in = item->len, .next_out = out, .avail_out = len };
	int result;

	*why = damaged;
	if (item->full < len)
		return false;
	if (item->len == item->full) {
		memcpy(out, item->bytes, len);
		return true;
	}
	result = inflateInit(&z);
	if (result == Z_OK) {
		while (z.avail_out && (result = inflate(&z, Z_SYNC_FLUSH)) == Z_OK)
			;
		inflateEnd(&z);
	}
	if (result == Z_MEM_ERROR)
		*why = no_memory;
	return !z.avail_out;
}

static bool take_item(vcpu_replay *r, struct item *item, const char **why)
{
	u8 head[PLACE + 8];

	if (!peek(item, head, PLACE + (item->kind == INPUT ? 4 : 8), why))
		return false;
	*why = damaged;
	item->at = (struct vcpu_place){ get64(head), get32(head + 16), get64(head + 8) };
	item->channel = item->kind == INPUT ? get32(head + PLACE) : 0;
	if (r->count && place_before(&item->at, &r->items[r->count - 1].at))
		return false;
	if (!(r->count & (r->count - 1))) {
		struct item *items = realloc(r->items, (r->count ? 2 * r->count : 1) * sizeof *items);

		if (!items) {
			*why = no_memory;
			return false;
		}
		r->items = items;
	}
	r->items[r->count++] = *item;
	return true;
}

static bool look(vcpu_replay *r, const u8 *data, size_t len, char **error)
{
	size_t at = FILE_HEAD;

	while (at < len) {
		struct item item;
		const u8 *head = data + at;
		const char *why = damaged;

		if (len - at < CHUNK_HEAD || get32(head + 4) > len - at - CHUNK_HEAD) {
			snprintf(r->cut, sizeof r->cut, "it is cut off after %zu bytes", at);
			break;
		}
		item = (struct item){ .kind = (enum kind)get32(head),
				      .bytes = head + CHUNK_HEAD,
				      .len = get32(head + 4),
				      .full = get32(head + 8) };
		/* zlib makes nothing smaller than a 1032nd. */
		if (item.full > CHUNK_MAX || item.full / 1100 > item.len ||
		    get32(head + 12) != chunk_sum(head, item.bytes, item.len)) {
			snprintf(r->cut, sizeof r->cut, "it is damaged at byte %zu", at);
			break;
		}
		if (item.full > most(item.kind, item.len))
			return error_set(
				error,
				"recording: the chunk at byte %zu would unpack to %u bytes, beyond the bound of %u", at,
				item.full, most(item.kind, item.len));
		if (!r->started) {
			if (!take_front(r, item.kind, item.bytes, item.len, item.full, error))
				return false;
		} else if (item.kind < INPUT || item.kind > END || !take_item(r, &item, &why)) {
			if (why == no_memory)
				return error_set(error, "recording: %s", why);
			snprintf(r->cut, sizeof r->cut, "what it has at byte %zu cannot be understood", at);
			break;
		}
		at += CHUNK_HEAD + item.len;
		if (item.kind == END)
			break;
	}
	if (!r->started)
		return error_set(error, "recording: %s, before the run begins", *r->cut ? r->cut : "it is cut off");
	if (!*r->cut && (!r->count || r->items[r->count - 1].kind != END))
		snprintf(r->cut, sizeof r->cut, "it has no end: whoever wrote it was interrupted");
	if (!*r->cut && at < len)
		snprintf(r->cut, sizeof r->cut, "there is something behind its end");
	return true;
}

vcpu_replay *vcpu_replay_open(const void *data, size_t len, char **error)
{
	const u8 *head = data;
	vcpu_replay *r;

	if (error)
		*error = NULL;
	if (!head || len < FILE_HEAD || memcmp(head, MAGIC, 8)) {
		error_write(error, "recording: %zu bytes without a recording's signature", len);
		return NULL;
	}
	if (get32(head + 8) < VERSION_OLD || get32(head + 8) > VERSION || get32(head + 12)) {
		error_write(error, "recording: version %u, but only %u and %u can be replayed", get32(head + 8),
			    VERSION_OLD, VERSION);
		return NULL;
	}
	r = calloc(1, sizeof *r);
	if (!r) {
		error_write(error, "the host has no memory for a recording");
		return NULL;
	}
	r->version = get32(head + 8);
	r->reach.disks = r->disks;
	if (!look(r, head, len, error)) {
		vcpu_replay_free(r);
		return NULL;
	}
	return r;
}

static void forget_reach(vcpu_replay *r)
{
	for (unsigned i = 0; i < r->reach.nmoves; i++) {
		free(r->reach.moves[i].from);
		free(r->reach.moves[i].to);
	}
	free(r->reach.moves);
	for (unsigned i = 0; i < ARRAY_LEN(r->files); i++) {
		free(r->files[i]);
		r->files[i] = NULL;
	}
	r->reach = (struct reach){ .disks = r->disks };
}

/* *TO becomes a copy of TEXT; NULL is one of NULL. */
static bool copy(const char *text, char **to)
{
	*to = text ? strdup(text) : NULL;
	return *to || !text;
}

static bool allow(vcpu_replay *r, const struct vcpu_replay_files *files)
{
	bool ok;

	forget_reach(r);
	r->reach.nbd = files->nbd;
	ok = copy(files->kernel, &r->files[0]) && copy(files->initrd, &r->files[1]) && copy(files->bios, &r->files[2]);
	r->reach.kernel = r->files[0];
	r->reach.initrd = r->files[1];
	r->reach.bios = r->files[2];
	r->reach.moves = ok && files->moved_count ? calloc(files->moved_count, sizeof *r->reach.moves) : NULL;
	for (unsigned i = 0; r->reach.moves && ok && i < files->moved_count; i++) {
		struct reach_move *move = &r->reach.moves[r->reach.nmoves++];

		ok = copy(files->moved[i].from, &move->from) && copy(files->moved[i].to, &move->to) && move->from &&
		     move->to;
	}
	ok = ok && (r->reach.moves || !files->moved_count);
	if (!ok)
		forget_reach(r);
	return ok;
}

bool vcpu_replay_allow(vcpu_replay *r, const struct vcpu_replay_files *given)
{
	struct vcpu_replay_files files;

	return r && given && sized_copy(&files, sizeof files, sizeof files, given) == SIZED_OK &&
	       (!files.moved_count || files.moved) && allow(r, &files);
}

void vcpu_replay_free(vcpu_replay *r)
{
	if (!r)
		return;
	config_free(&r->text);
	for (unsigned i = 0; i < IMAGES; i++)
		free(r->images[i]);
	for (unsigned i = 0; i < VCPU_DRIVES; i++)
		free(r->overlays[i]);
	forget_reach(r);
	free(r->items);
	free(r->last.bytes);
	free(r);
}

const char *vcpu_replay_cut(const vcpu_replay *r) { return r && *r->cut ? r->cut : NULL; }
const struct vcpu_config *vcpu_replay_config(const vcpu_replay *r) { return r ? &r->config : NULL; }
bool vcpu_replay_done(const vcpu_replay *r) { return !r || r->next == r->count; }
const char *vcpu_replay_divergence(const vcpu_replay *r) { return r && *r->divergence ? r->divergence : NULL; }
unsigned vcpu_replay_checked(const vcpu_replay *r) { return r ? r->checked : 0; }

void vcpu_replay_verify(vcpu_replay *r, bool on)
{
	if (r)
		r->verify = on;
}

void vcpu_replay_engine(vcpu_replay *r, enum vcpu_engine engine)
{
	if (r)
		r->config.engine = engine;
}

struct vcpu_place vcpu_replay_end(const vcpu_replay *r)
{
	return r && r->count ? r->items[r->count - 1].at : (struct vcpu_place){ 0 };
}

vcpu *vcpu_replay_machine(vcpu_replay *r, void (*output)(void *user, enum vcpu_channel channel, const void *data,
	size_t len), void *user,
		char **error)
{
	struct vcpu_config config;
	vcpu *v;

	if (!r) {
		error_write(error, "there is no recording");
		return NULL;
	}
	config = r->config;
	config.output = output;
	config.user = user;
	/* What was booted as data and is not in the recording: its name is only that. */
	if (r->reach.kernel && !config.kernel)
		config.kernel = r->reach.kernel;
	if (r->reach.initrd && !config.initrd)
		config.initrd = r->reach.initrd;
	v = machine_new(&config, &r->reach, NULL, error);
	if (v && v->boot.hash != r->boot_hash) {
		error_write(error, "recording: %s%s%s is not what was recorded",
			    config.kernel ? config.kernel : "the boot image", config.initrd ? " or " : "",
			    config.initrd ? config.initrd : "");
		vcpu_free(v);
		return NULL;
	}
	return v;
}

/* ---- replaying ---- */

static struct vcpu_stop diverged(vcpu_replay *r, struct vcpu *v, const char *what)
{
	if (!*r->divergence)
		snprintf(r->divergence, sizeof r->divergence, "%s; the state was the same at instruction %llu", what,
			(unsigned long long)r->good.instructions);
	machine_error(v, "%s", r->divergence);
	return (struct vcpu_stop){ .reason = VCPU_STOP_HOST };
}

/* The host has no memory: the run can go on later. */
static bool stuck(struct vcpu *v)
{
	machine_error(v, "the host has no memory to replay a recording");
	return false;
}

/* Name the first field in which V is not as recorded. */
static void name_difference(struct vcpu *v, const struct state *is, const struct state *was, char *text, size_t size)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		for (const struct field *f = parts[i].fields; f->name; f++) {
			struct field one[2] = { *f, FIELD_END };
			size_t step;

			one->count = 1;
			step = part_size(&(struct part){ "", NULL, one, NULL });
			for (u32 k = 0; k < f->count; k++, at += step) {
				char index[16] = "";

				if (at + step <= was->size && !memcmp(is->bytes + at, was->bytes + at, step))
					continue;
				if (f->count > 1)
					snprintf(index, sizeof index, "[%u]", k);
				snprintf(text, size, "part %s, field %s%s, is %llx and was %llx", parts[i].name,
					 f->name, index, (unsigned long long)get_size(is->bytes + at, (unsigned)step),
					 at + step <= was->size
						 ? (unsigned long long)get_size(was->bytes + at, (unsigned)step)
						 : 0ull);
				return;
			}
		}
	snprintf(text, size, "the parts have another size");
}

/* At a checkpoint. The recorded state is unpacked also when nobody wants to compare it: the next one builds on it. */
static bool check(vcpu_replay *r, struct vcpu *v, const struct item *item)
{
	struct state was, is = { 0 };
	u64 memory = 0, recorded;
	char what[240] = "", text[320];
	const char *why = no_memory;
	u8 *out;

	if (!r->verify)
		return true;
	out = state_take(&is, v) ? unpack(item->bytes, item->len, item->full, &why) : NULL;
	if (!out) {
		free(is.bytes);
		if (why == damaged)
			diverged(r, v, "the recorded state is damaged");
		return why == no_memory && stuck(v);
	}
	recorded = get64(out + PLACE);
	was = (struct state){ out, item->full - PLACE - 8 };
	memmove(was.bytes, out + PLACE + 8, was.size);
	state_xor(&was, &r->last);
	machine_state_parts(v, get_memory_hash, &memory);
	if (is.size != was.size || memcmp(is.bytes, was.bytes, is.size))
		name_difference(v, &is, &was, what, sizeof what);
	else if (memory != recorded)
		snprintf(what, sizeof what, "memory has other contents");
	free(is.bytes);
	free(r->last.bytes);
	r->last = was;
	if (*what) {
		snprintf(text, sizeof text, "at instruction %llu, %s", (unsigned long long)item->at.instructions, what);
		diverged(r, v, text);
		return false;
	}
	r->checked++;
	r->good = item->at;
	return true;
}

static bool give(vcpu_replay *r, struct vcpu *v, const struct item *item)
{
	const char *why;
	u8 *out = unpack(item->bytes, item->len, item->full, &why);
	char text[300];
	bool ok;

	if (!out) {
		if (why == damaged)
			diverged(r, v, "a recorded input is damaged");
		return why == no_memory && stuck(v);
	}
	ok = channel_is_change(item->channel)
		     ? change_again(v, item->channel, out + PLACE + 4, item->full - PLACE - 4)
		     : !machine_input(v, (enum vcpu_channel)item->channel, out + PLACE + 4, item->full - PLACE - 4);
	free(out);
	if (!ok) {
		snprintf(text, sizeof text, "at instruction %llu, an input was not taken: %s",
			 (unsigned long long)item->at.instructions, vcpu_error(v));
		diverged(r, v, text);
	}
	return ok;
}

u64 replay_inputs_size(const struct vcpu_replay *r)
{
	u64 size = 0;

	for (size_t i = 0; i < r->count; i++)
		size += r->items[i].kind == INPUT ? r->items[i].full : 0;
	return size;
}

bool replay_inputs(const struct vcpu_replay *r, bool (*each)(void *owner, struct vcpu_place at,
	enum vcpu_channel channel, const void *data,
		size_t len), void *owner, const char **why)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct item *item = &r->items[i];
		u8 *out;
		bool ok;

		if (item->kind != INPUT)
			continue;
		*why = no_memory;
		out = unpack(item->bytes, item->len, item->full, why);
		ok = out && each(owner, item->at, (enum vcpu_channel)get32(out + PLACE), out + PLACE + 4,
				 item->full - PLACE - 4);
		free(out);
		if (!ok)
			return false;
	}
	return true;
}

struct vcpu_stop vcpu_replay_run(vcpu_replay *r, vcpu *v, uint64_t instructions)
{
	u64 now = vcpu_instructions(v), end = instructions < ~now ? now + instructions : ~(u64)0;
	struct vcpu_stop stop = { .reason = VCPU_STOP_HOST };

	if (machine_refuses(v, "vcpu_replay_run") || !r || *r->divergence)
		return stop;
	if (vcpu_replay_done(r))
		return vcpu_run(v, instructions);
	while (!vcpu_replay_done(r)) {
		const struct item *item = &r->items[r->next];
		struct vcpu_place at;

		if (item->at.instructions > end || (item->channel == CHANGE_SKIP && item->at.instructions == end)) {
			struct place p = { end, 0 };

			stop = machine_run(v, p, ~(u64)0);
			return stop.reason == VCPU_STOP_HALT
				       ? diverged(r, v, "the machine sleeps for ever, before the recording does")
				       : stop;
		}
		stop = machine_run_to(v, &item->at);
		at = vcpu_where(v);
		if (stop.reason == VCPU_STOP_HOST)
			return diverged(r, v, vcpu_error(v));
		if (stop.reason != VCPU_STOP_LIMIT && !place_equal(&at, &item->at))
			return stop;
		if (item->kind == INPUT ? !give(r, v, item) : !check(r, v, item))
			return (struct vcpu_stop){ .reason = VCPU_STOP_HOST };
		r->next++;
		if (stop.reason != VCPU_STOP_LIMIT)
			return stop;
	}
	return stop;
}
