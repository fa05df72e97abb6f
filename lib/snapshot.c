/* SPDX-License-Identifier: MIT */
/* The whole state: saved, loaded, hashed.
 *
 * A saved state:
 *   0 "vcpusnap"   8 version   12 zero   16 bytes of the stream   24 hash64 of the stream   32 a zlib stream of
 *     configuration  CONFIG_WORDS numbers: what a machine must have been made with to take this state
 *     parts          count, then for each: length of name, name, length, bytes as part_save writes them
 *     memory         for each block of RAM: runs of pages that are not zero, { first page, pages, bytes }, until a run of 0 pages
 *     translations   for each processor: count, numbers as tlb_save gives them: what it remembers of page tables, which may since have changed
 * All numbers are 64 bits, little-endian, but the version and the zero, which have 32. */
#include <stdlib.h>
#include <zlib.h>
#include "lib/clone.h"
#include "lib/machine.h"

#define MAGIC "vcpusnap"
#define VERSION 2u
#define NAME_MAX_LEN 64u

static bool page_is_zero(const u8 *page)
{
	return !get64(page) && !memcmp(page, page + 8, PAGE_SIZE - 8);
}

bool page_is_kept(const struct ram *ram, u64 page)
{
	return (ram->pages[page] & PAGE_KEPT) && !page_is_zero(ram->host + page * PAGE_SIZE);
}

static u64 page_count(const struct ram *ram)
{
	return ram->size >> PAGE_SHIFT;
}

/* ---- configuration ---- */

static const char *const config_names[] = {
	"size of memory", "speed", "seed", "start of the clock", "kind (PC or bare processor)", "processor",
		"processor", "processor",
	"boot image", "map of memory and devices", "number of processors", "set of drives",
};
enum { CONFIG_WORDS = ARRAY_LEN(config_names) };

/* Features from 151 on have no bits of their own there: if there are any, their hash is added. */
static u64 model_word(const struct model *m)
{
	const u64 later[] = { m->features[2] >> 23, m->features[3] };
	u64 word = m->signature | (u64)m->physical_bits << 32 | (m->features[2] & 0x7fffff) << 40 | (u64)m->maker << 63;

	return later[0] | later[1] ? word ^ hash64(0, later, sizeof later) : word;
}

static void config_words(const struct vcpu *v, u64 out[CONFIG_WORDS])
{
	u64 map = 0;

	for (unsigned i = 0; i < v->nblocks; i++) {
		map = hash64(map, &v->blocks[i].base, sizeof v->blocks[i].base);
		map = hash64(map, &v->blocks[i].ram->size, sizeof v->blocks[i].ram->size);
	}
	map = devices_hash(v, map);
	memcpy(out,
	       (u64[CONFIG_WORDS]){ v->memory, v->ns_q16, v->seed, v->rtc, v->bare, v->model.features[0],
				    v->model.features[1], model_word(&v->model),
				    v->boot.hash, map, v->processors, drives_hash(v) },
	       CONFIG_WORDS * sizeof *out);
}

/* ---- hash ---- */

/* The hash of one page; of a page that nobody has written since, as it was. */
static u64 page_hash(struct ram_block *b, u64 page)
{
	u8 *flags = &b->ram->pages[page];
	const u8 *host = b->ram->host + page * PAGE_SIZE;

	if (!b->hashes)
		return page_is_zero(host) ? 0 : hash64(0, host, PAGE_SIZE);
	if (*flags & PAGE_UNHASHED) {
		b->hashes[page] = page_is_zero(host) ? 0 : hash64(0, host, PAGE_SIZE);
		*flags &= (u8)~PAGE_UNHASHED;
	}
	return b->hashes[page];
}

/* Not of disks, which may as well lie in a file: they have a part that tells what was written. */
static u64 ram_hash(struct vcpu *v)
{
	u64 h = 0, number = 0;

	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram_block *b = &v->blocks[i];

		if (b->lent)
			continue;
		number++;
		if (!b->hashes)
			b->hashes = calloc(page_count(b->ram), sizeof *b->hashes);
		for (u64 page = 0; page < page_count(b->ram); page++) {
			u64 entry[3] = { number, page };

			if (!(b->ram->pages[page] & PAGE_KEPT))
				continue;
			entry[2] = page_hash(b, page);
			if (entry[2])
				h = hash64(h, entry, sizeof entry);
		}
	}
	machine_drop_writes(v); /* the next write to each page is to be seen */
	v->flags_old = true;
	return h;
}

void machine_state_parts(struct vcpu *v, void (*each)(void *user, const char *part, u64 hash), void *user)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	u64 translations = 0;

	v->busy++;
	for (unsigned i = 0; i < n; i++)
		each(user, parts[i].name, part_hash(&parts[i], 0));
	each(user, "memory", ram_hash(v)); /* what it remembers of its pages is not state */
	for (unsigned i = 0; i < v->processors; i++)
		translations = tlb_hash(v->cpu->all->cpu[i], translations);
	each(user, "translations", translations);
	v->busy--;
}

void vcpu_state_parts(const vcpu *v, void (*each)(void *user, const char *part, uint64_t hash), void *user)
{
	if (each && !machine_refuses(v, "vcpu_state_parts"))
		machine_state_parts((struct vcpu *)v, each, user); /* only looked at */
}

static void add_hash(void *user, const char *part, uint64_t hash)
{
	u64 *h = user;

	(void)part; /* a part's hash covers its name */
	*h = hash64(*h, &hash, sizeof hash);
}

uint64_t vcpu_state_hash(const vcpu *v)
{
	u64 h = 0;

	if (!machine_refuses(v, "vcpu_state_hash"))
		machine_state_parts((struct vcpu *)v, add_hash, &h);
	return h;
}

/* ---- save ---- */

struct writer {
	z_stream z;
	u8 *out;
	size_t room;
	bool failed;
};

static void drain(struct writer *w, int flush)
{
	int result;

	do {
		if (!w->z.avail_out) {
			size_t used = w->room, room = 2 * w->room, more;
			u8 *out = realloc(w->out, room);

			if (!out) {
				w->failed = true;
				return;
			}
			more = room - used;
			w->out = out;
			w->room = room;
			w->z.next_out = out + used;
			w->z.avail_out = more < 1 << 30 ? (uInt)more : 1 << 30;
			w->room = used + w->z.avail_out;
		}
		result = deflate(&w->z, flush);
	} while (w->z.avail_in || (flush == Z_FINISH && result != Z_STREAM_END));
}

static void put(struct writer *w, const void *data, size_t len)
{
	const u8 *from = data;

	while (len && !w->failed) {
		size_t now = len < 1 << 20 ? len : 1 << 20;

		w->z.next_in = (Bytef *)from;
		w->z.avail_in = (uInt)now;
		drain(w, Z_NO_FLUSH);
		from += now;
		len -= now;
	}
}

static void put_number(struct writer *w, u64 n)
{
	u8 bytes[8];

	put64(bytes, n);
	put(w, bytes, sizeof bytes);
}

static void save_parts(struct writer *w, struct vcpu *v)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);

	put_number(w, n);
	for (unsigned i = 0; i < n && !w->failed; i++) {
		size_t size = part_size(&parts[i]), name = strlen(parts[i].name);
		u8 *bytes = malloc(size ? size : 1);

		if (!bytes) {
			w->failed = true;
			return;
		}
		part_save(&parts[i], bytes);
		put_number(w, name);
		put(w, parts[i].name, name);
		put_number(w, size);
		put(w, bytes, size);
		free(bytes);
	}
}

/* ALL: its pages; else there are none. */
static void save_ram(struct writer *w, const struct ram *ram, bool all)
{
	u64 pages = page_count(ram), first = 0, end;

	for (; all && first < pages && !w->failed; first = end) {
		for (end = first; end < pages && page_is_kept(ram, end); end++)
			;
		if (end == first) {
			end++;
			continue;
		}
		put_number(w, first);
		put_number(w, end - first);
		put(w, ram->host + first * PAGE_SIZE, (end - first) * PAGE_SIZE);
	}
	put_number(w, pages);
	put_number(w, 0);
}

static void save_translations(struct writer *w, const struct vcpu *v)
{
	u64 *words = malloc(TLB_WORDS * sizeof *words);

	if (!words)
		w->failed = true;
	for (unsigned i = 0; i < v->processors && !w->failed; i++) {
		unsigned count = tlb_save(v->cpu->all->cpu[i], words);

		put_number(w, count);
		for (unsigned k = 0; k < count; k++)
			put_number(w, words[k]);
	}
	free(words);
}

bool state_save(const struct vcpu *v, bool memory, void **data, size_t *len, char **error)
{
	struct writer w = { .room = 1 << 16 };
	u64 config[CONFIG_WORDS];

	if (error)
		*error = NULL;
	if (!data || !len)
		return error_set(error, "vcpu_save needs DATA and LEN");
	*data = NULL;
	*len = 0;
	if (machine_refuses(v, "vcpu_save") || !devices_known(v))
		return error_set(error, "%s", vcpu_error(v));
	w.out = malloc(w.room);
	if (!w.out || deflateInit(&w.z, Z_BEST_SPEED) != Z_OK) {
		free(w.out);
		return error_set(error, "the host has no memory to save the state");
	}
	memcpy(w.out, MAGIC, 8);
	put32(w.out + 8, VERSION);
	put32(w.out + 12, 0);
	w.z.next_out = w.out + STATE_HEAD;
	w.z.avail_out = (uInt)(w.room - STATE_HEAD);
	config_words(v, config);
	for (unsigned i = 0; i < CONFIG_WORDS; i++)
		put_number(&w, config[i]);
	save_parts(&w, (struct vcpu *)v);
	for (unsigned i = 0; i < v->nblocks; i++)
		save_ram(&w, v->blocks[i].ram, memory);
	save_translations(&w, v);
	w.z.avail_in = 0;
	if (!w.failed)
		drain(&w, Z_FINISH);
	*len = w.room - w.z.avail_out;
	state_seal(w.out, *len);
	deflateEnd(&w.z);
	if (w.failed) {
		free(w.out);
		return error_set(error, "the host has no memory to save the state");
	}
	*data = w.out;
	return true;
}

bool vcpu_save(const vcpu *v, void **data, size_t *len, char **error)
{
	return state_save(v, true, data, len, error);
}

/* ---- load ---- */

struct reader {
	z_stream z;
	const u8 *in;
	size_t len, taken; /* of the zlib stream */
	bool ended;
	const char *wrong; /* first thing that was; NULL */
};

static bool damaged(struct reader *r, const char *what)
{
	if (!r->wrong)
		r->wrong = what;
	return false;
}

/* inflate has given RESULT where it should not. */
static bool not_inflated(struct reader *r, int result, const char *what)
{
	return damaged(r, result == Z_MEM_ERROR ? "the host has no memory to read it" : what);
}

/* Start from the beginning. The stream is read twice: once to look, once to take. */
static void rewind_to_start(struct reader *r)
{
	inflateReset(&r->z);
	r->taken = 0;
	r->z.avail_in = 0;
	r->ended = false;
}

static bool get(struct reader *r, void *out, size_t len)
{
	u8 *to = out;

	while (len) {
		size_t now = len < 1 << 20 ? len : 1 << 20;
		int result;

		if (r->wrong)
			return false;
		if (r->ended)
			return damaged(r, "it ends too early");
		if (!r->z.avail_in) {
			size_t left = r->len - r->taken;

			r->z.next_in = (Bytef *)(r->in + r->taken);
			r->z.avail_in = left < 1 << 30 ? (uInt)left : 1 << 30;
			r->taken += r->z.avail_in;
		}
		r->z.next_out = to;
		r->z.avail_out = (uInt)now;
		result = inflate(&r->z, Z_NO_FLUSH);
		if (result == Z_STREAM_END)
			r->ended = true;
		else if (result != Z_OK)
			return not_inflated(r, result,
					    result == Z_BUF_ERROR ? "it is cut off" : "its compressed data is damaged");
		now -= r->z.avail_out;
		to += now;
		len -= now;
	}
	return true;
}

static u64 get_number(struct reader *r)
{
	u8 bytes[8] = { 0 };

	return get(r, bytes, sizeof bytes) ? get64(bytes) : 0;
}

static bool check_end(struct reader *r)
{
	u8 byte;

	if (!r->ended) { /* inflate tells the end, and checks the checksum, only when it is asked for more */
		int result;

		if (!r->z.avail_in) {
			r->z.next_in = (Bytef *)(r->in + r->taken);
			r->z.avail_in = (uInt)(r->len - r->taken < 1 << 30 ? r->len - r->taken : 1 << 30);
			r->taken += r->z.avail_in;
		}
		r->z.next_out = &byte;
		r->z.avail_out = 1;
		result = inflate(&r->z, Z_NO_FLUSH);
		if (result != Z_STREAM_END || !r->z.avail_out)
			return not_inflated(r, result,
					    result == Z_OK ? "there is more than there should be"
							   : "its compressed data is damaged");
	}
	if (r->z.avail_in || r->taken != r->len)
		return damaged(r, "there is something behind its end");
	return true;
}

/* The parts' bytes, one behind the other, to OUT (NULL: only look at them). */
static bool get_parts(struct reader *r, const struct part *parts, unsigned n, u8 *out)
{
	if (get_number(r) != n)
		return damaged(r, "it has other parts than this machine");
	for (unsigned i = 0; i < n; i++) {
		size_t size = part_size(&parts[i]);
		u64 name = get_number(r);
		char text[NAME_MAX_LEN];

		if (name != strlen(parts[i].name) || name > sizeof text || !get(r, text, name) ||
		    memcmp(text, parts[i].name, name))
			return damaged(r, "it has other parts than this machine");
		if (get_number(r) != size)
			return damaged(r, "a part has another size than in this machine");
		if (!get(r, out, size))
			return false;
		out += size;
	}
	return true;
}

static void zero_pages(struct ram *ram, u64 from, u64 to)
{
	for (u64 page = from; page < to; page++)
		if (ram->pages[page] & PAGE_KEPT) {
			memset(ram->host + page * PAGE_SIZE, 0, PAGE_SIZE);
			ram_flag(ram, page, PAGE_DIRTY);
		}
}

/* The pages of one block of RAM; TAKE: into it. */
static bool get_ram(struct reader *r, struct ram *ram, bool take)
{
	u64 pages = page_count(ram), at = 0, first, n;
	u8 buffer[PAGE_SIZE];

	for (;;) {
		first = get_number(r);
		n = get_number(r);
		if (r->wrong || first < at || first > pages || n > pages - first || (!n && first != pages))
			return damaged(r, "it has pages that this machine does not have");
		if (take)
			zero_pages(ram, at, first);
		for (at = first; at < first + n; at++) {
			u8 *to = take ? ram->host + at * PAGE_SIZE : buffer;

			if (take)
				ram_flag(ram, at, PAGE_DIRTY);
			if (!get(r, to, PAGE_SIZE))
				return false;
			if (!take && page_is_zero(to))
				return damaged(r, "it has a page of zeroes, which is never saved");
		}
		if (!n)
			return true;
	}
}

/* The translations of all processors, through WORDS; TAKE: into them. */
static bool get_translations(struct reader *r, struct vcpu *v, u64 *words, bool take)
{
	for (unsigned i = 0; i < v->processors; i++) {
		u64 count = get_number(r);

		if (count > TLB_WORDS)
			return damaged(r, "it has more translations than a processor");
		for (u64 k = 0; k < count; k++)
			words[k] = get_number(r);
		if (r->wrong)
			return false;
		if (take)
			tlb_load(v->cpu->all->cpu[i], words, (unsigned)count);
	}
	return true;
}

static bool check_config(struct reader *r, const struct vcpu *v)
{
	u64 config[CONFIG_WORDS];

	config_words(v, config);
	for (unsigned i = 0; i < CONFIG_WORDS; i++)
		if (get_number(r) != config[i])
			return damaged(r, config_names[i]);
	return true;
}

/* Look at everything; the parts' bytes go to BYTES. */
static bool check_all(struct reader *r, struct vcpu *v, const struct part *parts, unsigned n, u8 *bytes, u64 *words,
		      char **error)
{
	if (!check_config(r, v)) {
		bool config = false;

		for (unsigned i = 0; i < CONFIG_WORDS; i++)
			config |= r->wrong == config_names[i];
		if (config)
			return error_set(error, "saved state: it is of a machine with another %s", r->wrong);
		return error_set(error, "saved state: %s", r->wrong);
	}
	if (!get_parts(r, parts, n, bytes))
		return error_set(error, "saved state: %s", r->wrong);
	for (unsigned i = 0; i < v->nblocks; i++)
		if (!get_ram(r, v->blocks[i].ram, false))
			return error_set(error, "saved state: %s", r->wrong);
	return (get_translations(r, v, words, false) && check_end(r)) || error_set(error, "saved state: %s", r->wrong);
}

/* Set all parts from BYTES; if one does not take them, set all back to OLD. */
static bool take_parts(const struct part *parts, unsigned n, const u8 *bytes, const u8 *old, char **error)
{
	const char *which = "";

	for (unsigned i = 0; i < n; i++) {
		size_t size = part_size(&parts[i]);

		if (!part_load(&parts[i], bytes, size, &which)) {
			error_write(error, "saved state: the field %s of %s has an impossible value", which,
				    parts[i].name);
			for (unsigned k = 0; k < i; old += part_size(&parts[k++]))
				part_load(&parts[k], old, part_size(&parts[k]), NULL);
			return false;
		}
		bytes += size;
	}
	return true;
}

/* T: memory is its. */
static bool load(struct vcpu *v, struct reader *r, u8 *bytes, u8 *old, u64 *words, const struct part *parts, unsigned n,
		 const struct vcpu_template *t, char **error)
{
	u8 *at = old;

	if (!check_all(r, v, parts, n, bytes, words, error))
		return false;
	for (unsigned i = 0; i < n; at += part_size(&parts[i++]))
		part_save(&parts[i], at);
	if (!take_parts(parts, n, bytes, old, error)) {
		clock_sort(&v->clock);
		return false;
	}
	if (!devices_restore(v)) {
		take_parts(parts, n, old, old, NULL);
		clock_sort(&v->clock);
		return error_set(error, "saved state: %s", v->error);
	}
	family_leave(v); /* other memory comes */
	/* From here on nothing can fail: it is the same stream. */
	rewind_to_start(r);
	check_config(r, v);
	get_parts(r, parts, n, bytes);
	for (unsigned i = 0; i < v->nblocks; i++)
		get_ram(r, v->blocks[i].ram, !t);
	if (t && !template_share(t, v))
		return error_set(error, "the host cannot give the memory of a template");
	blocks_flush(v->cpu);
	machine_loaded(v);
	get_translations(r, v, words, true);
	return true;
}

bool state_load(struct vcpu *v, const void *data, size_t len, const struct vcpu_template *t, char **error)
{
	const u8 *head = data;
	struct reader r = { 0 };
	struct part parts[PARTS_MAX];
	size_t size = 0;
	unsigned n;
	u8 *bytes;
	u64 *words;
	bool ok;

	if (error)
		*error = NULL;
	if (machine_refuses(v, "vcpu_load") || !devices_known(v))
		return error_set(error, "saved state: %s", vcpu_error(v));
	if (!head || len < STATE_HEAD || memcmp(head, MAGIC, 8))
		return error_set(error, "saved state: %zu bytes without a saved state's signature", len);
	if (get32(head + 8) != VERSION || get32(head + 12))
		return error_set(error, "saved state: version %u, but only %u can be loaded", get32(head + 8), VERSION);
	if (get64(head + 16) != len - STATE_HEAD)
		return error_set(error, "saved state: cut off: its header announces %llu bytes, but there are %zu",
			(unsigned long long)get64(head + 16), len - STATE_HEAD);
	if (get64(head + 24) != hash64(0, head + STATE_HEAD, len - STATE_HEAD))
		return error_set(error, "saved state: damaged: its checksum is wrong");
	r.in = head + STATE_HEAD;
	r.len = len - STATE_HEAD;
	n = machine_parts(v, parts);
	for (unsigned i = 0; i < n; i++)
		size += part_size(&parts[i]);
	bytes = malloc(2 * size + 1);
	words = malloc(TLB_WORDS * sizeof *words);
	if (!bytes || !words || inflateInit(&r.z) != Z_OK) {
		free(bytes);
		free(words);
		return error_set(error, "the host has no memory to load the state");
	}
	ok = load(v, &r, bytes, bytes + size, words, parts, n, t, error);
	inflateEnd(&r.z);
	free(bytes);
	free(words);
	return ok;
}

bool vcpu_load(vcpu *v, const void *data, size_t len, char **error)
{
	return state_load(v, data, len, NULL, error);
}
