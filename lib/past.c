/* Snapshots in memory. The RAM of a snapshot is a map from page numbers to pages, in two levels, whose nodes know how many share them:
 *
 *     map:  block 0 -> leaf leaf NULL leaf ...        leaf: 512 pages     NULL: nothing was ever written there
 *           block 1 -> ...
 *
 * The machine's own RAM is always some map, v->past, but for the pages that were written since (PAGE_SINCE). Taking a snapshot copies these into a
 * new map that shares all the rest; going back copies the pages in which the two maps differ, and these. */
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
	u8 *parts;
	size_t size;
	u64 *tlb;      /* of each processor: how many words, words */
	size_t tlb_words;
	unsigned selected;
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

/* One that shares all leaves of FROM (NULL: empty). */
static struct map *map_copy(struct vcpu *v, const struct map *from)
{
	struct map *m = calloc(1, sizeof *m + v->nblocks * sizeof *m->block);

	if (!m)
		return NULL;
	m->refs = 1;
	for (; m->count < v->nblocks; m->count++) {
		struct map_block *b = &m->block[m->count];

		b->pages = v->blocks[m->count].ram->size >> PAGE_SHIFT;
		b->leaves = (b->pages + LEAF_PAGES - 1) / LEAF_PAGES;
		b->leaf = calloc(b->leaves, sizeof *b->leaf);
		v->past_bytes += b->leaves * sizeof *b->leaf;
		if (!b->leaf) {
			m->count++;
			map_drop(v, m);
			return NULL;
		}
		for (u64 k = 0; from && k < b->leaves; k++)
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

static bool map_put(struct vcpu *v, struct map_block *b, u64 page, const u8 *bytes)
{
	struct page *old = page_at(b, page), *p;
	struct leaf *l;

	if (old && !memcmp(old->bytes, bytes, PAGE_SIZE))
		return true;
	l = own_leaf(v, b, page);
	p = l ? malloc(sizeof *p) : NULL;
	if (!p)
		return false;
	v->past_bytes += sizeof *p;
	p->refs = 1;
	memcpy(p->bytes, bytes, PAGE_SIZE);
	l->page[page % LEAF_PAGES] = p;
	page_drop(v, old);
	return true;
}

/* ---- pages that were written since ---- */

/* The first one from PAGE on; the end if there is none. */
static u64 next_written(const struct ram *ram, u64 page, u64 end)
{
	const u64 mask = 0x0101010101010101u * PAGE_SINCE;

	for (; page < end && page % 8; page++)
		if (ram->pages[page] & PAGE_SINCE)
			return page;
	while (page + 8 <= end && !(get64(ram->pages + page) & mask))
		page += 8;
	for (; page < end; page++)
		if (ram->pages[page] & PAGE_SINCE)
			return page;
	return end;
}

/* The machine's RAM as a map: v->past afterwards is that, and nothing has been written since. */
static bool settle(struct vcpu *v)
{
	struct map *m = map_copy(v, v->past);

	if (!m)
		return false;
	for (unsigned i = 0; i < v->nblocks; i++) {
		const struct ram *ram = v->blocks[i].ram;
		u64 pages = m->block[i].pages;

		for (u64 page = next_written(ram, 0, pages); page < pages; page = next_written(ram, page + 1, pages)) {
			if (v->past_written)
				bloom_add(v->past_written, (u64)i << 52 | page);
			if (!map_put(v, &m->block[i], page, ram->host + page * PAGE_SIZE)) {
				map_drop(v, m);
				return false;
			}
		}
	}
	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram *ram = v->blocks[i].ram;
		u64 pages = m->block[i].pages;

		for (u64 page = next_written(ram, 0, pages); page < pages; page = next_written(ram, page + 1, pages))
			ram->pages[page] &= (u8)~PAGE_SINCE;
	}
	machine_drop_writes(v);
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

static void put_back(struct vcpu *v, struct ram *ram, u64 number, const struct page *page)
{
	static const u8 zeroes[PAGE_SIZE];
	const u8 *bytes = page ? page->bytes : zeroes;
	u8 *host = ram->host + number * PAGE_SIZE, *flags = &ram->pages[number];

	if (*flags & PAGE_DIRTY || page) {
		if (*flags & PAGE_CODE && memcmp(host, bytes, PAGE_SIZE))
			forget_code(v, ram, number * PAGE_SIZE);
		memcpy(host, bytes, PAGE_SIZE);
	}
	*flags = (u8)((*flags & ~PAGE_DIRTY) | (page ? PAGE_DIRTY & ~PAGE_SINCE : 0));
}

static void put_back_memory(struct vcpu *v, struct map *to)
{
	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram *ram = v->blocks[i].ram;
		const struct map_block *is = &v->past->block[i], *b = &to->block[i];

		for (u64 page = next_written(ram, 0, b->pages); page < b->pages; page = next_written(ram, page + 1, b->pages))
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

/* ---- the rest of the state ---- */

static bool take_parts(struct vcpu *v, struct vcpu_snapshot *s)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	u8 *at;

	for (unsigned i = 0; i < n; i++)
		s->size += part_size(&parts[i]);
	at = s->parts = malloc(s->size + 1);
	for (unsigned i = 0; at && i < n; at += part_size(&parts[i++]))
		part_save(&parts[i], at);
	v->past_bytes += s->size;
	return s->parts;
}

static bool take_tlb(struct vcpu *v, struct vcpu_snapshot *s)
{
	const struct cpus *all = v->cpu->all;
	u64 *words = malloc(TLB_WORDS * sizeof *words);

	for (unsigned i = 0; words && i < all->count; i++) {
		unsigned n = tlb_save(all->cpu[i], words);
		u64 *more = realloc(s->tlb, (s->tlb_words + 1 + n) * sizeof *more);

		if (!more)
			break;
		s->tlb = more;
		s->tlb[s->tlb_words++] = n;
		memcpy(s->tlb + s->tlb_words, words, n * sizeof *words);
		s->tlb_words += n;
		v->past_bytes += (n + 1) * sizeof *words;
		if (i + 1 == all->count) {
			free(words);
			return true;
		}
	}
	free(words);
	return false;
}

static void put_back_tlb(struct vcpu *v, const struct vcpu_snapshot *s)
{
	const struct cpus *all = v->cpu->all;
	const u64 *at = s->tlb;

	for (unsigned i = 0; i < all->count; at += 1 + *at, i++)
		tlb_load(all->cpu[i], at + 1, (unsigned)*at);
}

vcpu_snapshot *vcpu_snapshot_take(vcpu *v)
{
	struct vcpu_snapshot *s = calloc(1, sizeof *s);

	if (!s || !take_parts(v, s) || !take_tlb(v, s) || !settle(v)) {
		vcpu_snapshot_free(v, s);
		machine_error(v, "the host has no memory for a snapshot");
		return NULL;
	}
	s->selected = v->selected;
	s->map = v->past;
	s->map->refs++;
	return s;
}

int vcpu_snapshot_restore(vcpu *v, const vcpu_snapshot *s)
{
	struct part parts[PARTS_MAX];
	unsigned n = machine_parts(v, parts);
	const u8 *at = s->parts;

	if (v->running)
		return machine_error(v, "a snapshot cannot come back while the machine runs");
	if (s->map->count != v->nblocks)
		return machine_error(v, "the snapshot is of a machine with other memory");
	put_back_memory(v, s->map);
	for (unsigned i = 0; i < n; at += part_size(&parts[i++]))
		part_load(&parts[i], at, part_size(&parts[i]), NULL);
	machine_loaded(v);
	put_back_tlb(v, s);
	v->selected = s->selected;
	return 0;
}

void vcpu_snapshot_free(vcpu *v, vcpu_snapshot *s)
{
	if (!s)
		return;
	v->past_bytes -= (s->parts ? s->size : 0) + s->tlb_words * sizeof *s->tlb;
	map_drop(v, s->map);
	free(s->parts);
	free(s->tlb);
	free(s);
}

uint64_t vcpu_snapshot_memory(const vcpu *v) { return v->past_bytes; }

void past_free(struct vcpu *v)
{
	map_drop(v, v->past);
	v->past = NULL;
}
