/* SPDX-License-Identifier: MIT */
/* Snapshots in memory. The RAM of a snapshot is a map from page numbers to pages, in two levels, whose nodes know how
 * many share them:
 *
 *     map:  block 0 -> leaf leaf NULL leaf ...        leaf: 512 pages     NULL: zeroes
 *           block 1 -> ...
 *
 * The machine's own RAM is always some map, v->past, but for the pages that were written since (PAGE_SINCE). Taking a
 * snapshot copies these into a new map that shares all the rest; going back copies the pages in which the two maps
 * differ, and these.
 *
 * Block 0 is the rest of the state, since most of that stays as it is, too: the parts as part_save writes them, and
 * from the next page on, for each processor as many pages as it may ever need, how many words its TLB has, and these.
 * RAM follows. */
#include <stdlib.h>
#include "cpu/observe.h"
#include "lib/machine.h"
#include "lib/past.h"
#include "lib/vcpu_snapshot.h"

#define LEAF_PAGES 512u

struct page { u32 refs; u8 bytes[PAGE_SIZE]; };
struct leaf { u32 refs; struct page *page[LEAF_PAGES]; };
struct map_block { u64 pages, leaves; struct leaf **leaf; };
struct map { u32 refs; unsigned count; struct map_block block[]; };

struct vcpu_snapshot {
	struct map *map;
	unsigned selected, devices;
	struct vcpu_snapshot *next; /* of the machine's */
};

/* ---- maps ---- */

static void page_drop(struct vcpu *v, struct page *p)
{
	if (p && !--p->refs) {
		v->past_bytes -= sizeof *p;
		free(p);
	}
}

static void leaf_drop(struct vcpu *v, struct leaf *l)
{
	if (!l || --l->refs)
		return;
	for (unsigned i = 0; i < LEAF_PAGES; i++)
		page_drop(v, l->page[i]);
	v->past_bytes -= sizeof *l;
	free(l);
}

static void map_drop(struct vcpu *v, struct map *m)
{
	if (!m || --m->refs)
		return;
	for (unsigned i = 0; i < m->count; i++) {
		for (u64 k = 0; m->block[i].leaf && k < m->block[i].leaves; k++)
			leaf_drop(v, m->block[i].leaf[k]);
		v->past_bytes -= m->block[i].leaves * sizeof *m->block[i].leaf;
		free(m->block[i].leaf);
	}
	free(m);
}

enum { TLB_PAGES = ((1 + TLB_WORDS) * sizeof(u64) + PAGE_SIZE - 1) / PAGE_SIZE };

static u64 pages_of(size_t bytes) { return (bytes + PAGE_SIZE - 1) / PAGE_SIZE; }

static size_t parts_size(const struct part *parts, unsigned n)
{
	size_t size = 0;

	while (n)
		size += part_size(&parts[--n]);
	return size;
}

/* One that shares all leaves of FROM (NULL: empty), with STATE pages of state. */
static struct map *map_copy(struct vcpu *v, const struct map *from, u64 state)
{
	struct map *m = calloc(1, sizeof *m + (v->nblocks + 1) * sizeof *m->block);

	if (!m)
		return NULL;
	m->refs = 1;
	for (; m->count <= v->nblocks; m->count++) {
		struct map_block *b = &m->block[m->count];

		b->pages = m->count ? v->blocks[m->count - 1].ram->size >> PAGE_SHIFT : state;
		b->leaves = (b->pages + LEAF_PAGES - 1) / LEAF_PAGES;
		b->leaf = calloc(b->leaves, sizeof *b->leaf);
		v->past_bytes += b->leaves * sizeof *b->leaf;
		if (!b->leaf) {
			m->count++;
			map_drop(v, m);
			return NULL;
		}
		for (u64 k = 0; from && m->count < from->count && k < b->leaves; k++)
			if ((b->leaf[k] = from->block[m->count].leaf[k]))
				b->leaf[k]->refs++;
	}
	return m;
}

static struct page *page_at(const struct map_block *b, u64 page)
{
	const struct leaf *l = b->leaf[page / LEAF_PAGES];

	return l ? l->page[page % LEAF_PAGES] : NULL;
}

/* The leaf of PAGE, for this map alone. */
static struct leaf *own_leaf(struct vcpu *v, struct map_block *b, u64 page)
{
	struct leaf **at = &b->leaf[page / LEAF_PAGES], *l;

	if (*at && (*at)->refs == 1)
		return *at;
	l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	v->past_bytes += sizeof *l;
	if (*at) {
		memcpy(l, *at, sizeof *l);
		for (unsigned i = 0; i < LEAF_PAGES; i++)
			if (l->page[i])
				l->page[i]->refs++;
		(*at)->refs--;
	}
	l->refs = 1;
	return *at = l;
}

/* BYTES is NULL: zeroes. */
static bool map_put(struct vcpu *v, struct map_block *b, u64 page, const u8 *bytes)
{
	struct page *old = page_at(b, page), *p = NULL;
	struct leaf *l;

	if (old && bytes ? !memcmp(old->bytes, bytes, PAGE_SIZE) : !old && !bytes)
		return true;
	l = own_leaf(v, b, page);
	if (!l || (bytes && !(p = malloc(sizeof *p))))
		return false;
	if (p) {
		v->past_bytes += sizeof *p;
		p->refs = 1;
		memcpy(p->bytes, bytes, PAGE_SIZE);
	}
	l->page[page % LEAF_PAGES] = p;
	page_drop(v, old);
	return true;
}

/* ---- pages that were written since ---- */

/* The first one from PAGE on; the end if there is none. */
static u64 next_written(struct ram *ram, u64 page, u64 end) { return ram_next(ram, page, end, PAGE_SINCE); }

/* What was written since, into M. */
static bool put_memory(struct vcpu *v, struct map *m)
{
	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram *ram = v->blocks[i].ram;
		struct map_block *b = &m->block[1 + i];

		for (u64 page = 0; (page = next_written(ram, page, b->pages)) < b->pages; page++) {
			if (v->past_written)
				bloom_add(v->past_written, (u64)i << 52 | page);
			if (!map_put(v, b, page, page_is_kept(ram, page) ? ram->host + page * PAGE_SIZE : NULL))
				return false;
		}
	}
	return true;
}

/* Nothing has been written since. */
static void clear_written(struct vcpu *v)
{
	for (unsigned i = 0; i < v->nblocks; i++)
		ram_unflag_all(v->blocks[i].ram, PAGE_SINCE);
	machine_drop_writes(v);
}

/* ---- the rest of the state ---- */

/* Whole pages of BYTES. */
static bool put_bytes(struct vcpu *v, struct map_block *b, u64 page, const u8 *bytes, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		if (!map_put(v, b, page + i, bytes + i * PAGE_SIZE))
			return false;
	return true;
}

static void get_bytes(const struct map_block *b, u64 page, u8 *bytes, u64 pages)
{
	for (u64 i = 0; i < pages; i++)
		memcpy(bytes + i * PAGE_SIZE, page_at(b, page + i)->bytes, PAGE_SIZE);
}

static bool put_parts(struct vcpu *v, struct map_block *b, const struct part *parts, unsigned n, u64 pages)
{
	u8 *bytes = calloc(pages, PAGE_SIZE), *at = bytes;
	bool ok;

	for (unsigned i = 0; bytes && i < n; at += part_size(&parts[i++]))
		part_save(&parts[i], at);
	ok = bytes && put_bytes(v, b, 0, bytes, pages);
	free(bytes);
	return ok;
}

static bool put_tlbs(struct vcpu *v, struct map_block *b, u64 page)
{
	const struct cpus *all = v->cpu->all;
	u64 *words = calloc(TLB_PAGES, PAGE_SIZE);
	bool ok = words;

	for (unsigned i = 0; ok && i < all->count; i++, page += TLB_PAGES) {
		words[0] = tlb_save(all->cpu[i], words + 1);
		ok = put_bytes(v, b, page, (u8 *)words, pages_of((1 + words[0]) * sizeof *words));
	}
	free(words);
	return ok;
}

/* The machine as it is: v->past afterwards. */
static bool settle(struct vcpu *v)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	u64 pages = pages_of(parts_size(parts, n));
	struct map *m = map_copy(v, v->past, pages + v->cpu->all->count * TLB_PAGES);

	if (!m || !put_memory(v, m) || !put_parts(v, m->block, parts, n, pages) || !put_tlbs(v, m->block, pages)) {
		map_drop(v, m);
		return false;
	}
	clear_written(v);
	map_drop(v, v->past);
	v->past = m;
	return true;
}

/* ---- going back ---- */

/* Blocks were decoded from this page, under whatever physical addresses it has. */
static void forget_code(struct vcpu *v, const struct ram *ram, u64 offset)
{
	for (unsigned i = 0; i < v->mem.count; i++) {
		const struct range *r = &v->mem.ranges[i];

		if (r->kind == RANGE_RAM && r->ram == ram && offset - r->ram_offset < r->size)
			cpu_code_written(v->cpu, r->base + (offset - r->ram_offset), PAGE_SIZE);
	}
}

void page_put(struct vcpu *v, struct ram *ram, u64 number, const u8 *bytes)
{
	static const u8 zeroes[PAGE_SIZE];
	u8 *host = ram->host + number * PAGE_SIZE, *flags = &ram->pages[number];
	bool some = bytes;

	if (!some)
		bytes = zeroes;
	if (*flags & PAGE_DIRTY || some) {
		if (*flags & PAGE_CODE && memcmp(host, bytes, PAGE_SIZE))
			forget_code(v, ram, number * PAGE_SIZE);
		memcpy(host, bytes, PAGE_SIZE);
		ram_flag(ram, number, PAGE_OWN);
	}
	*flags &= (u8)(~PAGE_DIRTY | PAGE_OWN);
	ram_flag(ram, number, some ? PAGE_DIRTY : PAGE_CHANGED);
}

static void put_back(struct vcpu *v, struct ram *ram, u64 number, const struct page *page)
{
	page_put(v, ram, number, page ? page->bytes : NULL);
	ram->pages[number] &= (u8)~PAGE_SINCE;
}

static void put_back_memory(struct vcpu *v, struct map *to)
{
	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram *ram = v->blocks[i].ram;
		const struct map_block *is = &v->past->block[1 + i], *b = &to->block[1 + i];

		for (u64 page = 0; (page = next_written(ram, page, b->pages)) < b->pages; page++)
			put_back(v, ram, page, page_at(b, page));
		for (u64 k = 0; k < b->leaves; k++) {
			if (is->leaf[k] == b->leaf[k])
				continue;
			for (u64 page = k * LEAF_PAGES; page < b->pages && page < (k + 1) * LEAF_PAGES; page++)
				if (page_at(is, page) != page_at(b, page))
					put_back(v, ram, page, page_at(b, page));
		}
	}
	machine_drop_writes(v);
	to->refs++;
	map_drop(v, v->past);
	v->past = to;
}

/* All of it, or, with the machine's error text, nothing. */
static bool go_back(struct vcpu *v, struct map *to)
{
	const struct map_block *b = to->block;
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	const struct cpus *all = v->cpu->all;
	u64 page = b->pages - all->count * TLB_PAGES, room = page > TLB_PAGES ? page : TLB_PAGES;
	u8 *bytes = malloc(room * PAGE_SIZE);
	const u8 *at = bytes;

	if (!bytes) {
		machine_error(v, "the host has no memory to go back to a snapshot");
		return false;
	}
	get_bytes(b, 0, bytes, page);
	if (v->nstates) /* they come last */
		at += parts_size(parts, n - v->nstates);
	for (unsigned i = n - v->nstates; i < n; i++)
		at = part_put(&parts[i], at);
	if (!devices_restore(v)) {
		free(bytes);
		return false;
	}
	put_back_memory(v, to);
	at = bytes;
	for (unsigned i = 0; i < n; i++)
		at = part_put(&parts[i], at);
	machine_loaded(v);
	for (unsigned i = 0; i < all->count; i++, page += TLB_PAGES) {
		u64 words = get64(page_at(b, page)->bytes);

		get_bytes(b, page, bytes, pages_of((1 + words) * sizeof words));
		tlb_load(all->cpu[i], (u64 *)bytes + 1, (unsigned)words);
	}
	free(bytes);
	return true;
}

/* ---- snapshots ---- */

vcpu_snapshot *vcpu_snapshot_take(vcpu *v)
{
	struct vcpu_snapshot *s;

	if (machine_refuses(v, "vcpu_snapshot_take"))
		return NULL;
	s = calloc(1, sizeof *s);
	if (!s || !settle(v)) {
		free(s);
		machine_error(v, "the host has no memory for a snapshot");
		return NULL;
	}
	s->selected = v->selected;
	s->devices = v->ndevices;
	s->map = v->past;
	s->map->refs++;
	s->next = v->snapshots;
	v->snapshots = s;
	return s;
}

/* Where the machine keeps it; NULL: it is not the machine's, which shows without a look at what may be gone. */
static struct vcpu_snapshot **slot(struct vcpu *v, const vcpu_snapshot *s)
{
	struct vcpu_snapshot **at = &v->snapshots;

	while (*at && *at != s)
		at = &(*at)->next;
	return *at ? at : NULL;
}

int vcpu_snapshot_restore(vcpu *v, const vcpu_snapshot *s)
{
	unsigned selected;

	if (machine_refuses(v, "vcpu_snapshot_restore"))
		return -1;
	if (!slot(v, s))
		return machine_error(v, "S is no snapshot of this machine");
	if (s->map->count != v->nblocks + 1)
		return machine_error(v, "the snapshot is of a machine with other memory: some was mapped since");
	if (s->devices != v->ndevices)
		return machine_error(
			v, "the snapshot is of a machine with %u devices of the caller's own, and there are %u now",
			s->devices, v->ndevices);
	selected = s->selected;
	if (!devices_known(v) || !go_back(v, s->map))
		return -1;
	v->selected = selected;
	return 0;
}

void vcpu_snapshot_free(vcpu *v, vcpu_snapshot *s)
{
	struct vcpu_snapshot **at = v && s ? slot(v, s) : NULL;

	if (!at)
		return;
	*at = s->next;
	map_drop(v, s->map);
	free(s);
}

uint64_t vcpu_snapshot_memory(const vcpu *v) { return v ? v->past_bytes : 0; }

void past_free(struct vcpu *v)
{
	while (v->snapshots)
		vcpu_snapshot_free(v, v->snapshots);
	map_drop(v, v->past);
	v->past = NULL;
}
