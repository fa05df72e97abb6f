/* SPDX-License-Identifier: MIT */
/* Clones: machines that begin where another one is, and share its memory.
 *
 * The first clone of a machine writes its memory to a file without a name, which never changes (template.c), and the
 * machine shares that with its clones, as theirs do with them: a family.
 *
 *     file      memory as it was once                    all members have it mapped, copy-on-write
 *     member    pages with PAGE_OWN: its own             all other pages are the file's
 *
 * So a clone gets the pages that the machine has of its own by a copy, and the others for nothing. When a machine has
 * many of its own, it begins a family anew.
 *
 * To build a machine takes longer than to clone one. A clone that ends is kept, empty, for the next one: it gets its
 * state and the pages in which the two differ, as if it went back to a snapshot, and has its decoded code. Members end
 * on any thread, so that the family has a lock. */
#include <stdatomic.h>
#include <stdlib.h>
#include "cpu/hook.h"
#include "io/disk/disk.h"
#include "lib/clone.h"
#include "lib/config.h"
#include "lib/machine.h"
#include "lib/past.h"
#include "lib/pc.h"
#include "lib/replay.h"
#include "lib/vcpu_snapshot.h"
#include "mem/pages.h"

enum {
	KEPT_MAX = 8,     /* machines that have ended */
	KEPT_OWN = 2048,  /* pages of its own that one of these may have */
	OWN_MAX = 4096,   /* of those that a machine has, beyond which it begins anew, if these are a quarter of the file */
};

struct family {
	atomic_flag lock;
	unsigned members; /* without those that are kept */
	unsigned nkept;
	struct vcpu *kept;
	struct vcpu_template *memory;
	u8 *view;         /* of the file */
	u64 view_size;
};

static void lock(struct family *f)
{
	while (atomic_flag_test_and_set_explicit(&f->lock, memory_order_acquire))
		;
}

static void unlock(struct family *f) { atomic_flag_clear_explicit(&f->lock, memory_order_release); }

static void family_free(struct family *f)
{
	if (!f)
		return;
	while (f->kept) {
		struct vcpu *v = f->kept;

		f->kept = v->next_kept;
		v->family = NULL;
		machine_free(v);
	}
	pages_free(f->view, f->view_size);
	vcpu_template_free(f->memory);
	free(f);
}

void family_leave(struct vcpu *v)
{
	struct family *f = v->family;
	unsigned members;

	v->family = NULL;
	if (!f)
		return;
	lock(f);
	members = --f->members;
	unlock(f);
	if (!members)
		family_free(f);
}

/* ---- what two members have of their own ---- */

/* List them; false: there are more than MAX, or no memory for the list. */
static bool list_own(struct vcpu *v, u64 max)
{
	struct own *own = &v->own;

	own->count = 0;
	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram *ram = v->blocks[i].ram;
		u64 end = ram->size >> PAGE_SHIFT;

		for (u64 page = 0; (page = ram_next(ram, page, end, PAGE_OWN)) < end; page++) {
			if (own->count == max)
				return false;
			if (own->count == own->room) {
				unsigned room = own->room ? 2 * own->room : 64;
				struct own_page *list = realloc(own->page, room * sizeof *list);

				if (!list)
					return false;
				own->page = list;
				own->room = room;
			}
			own->page[own->count++] = (struct own_page){ i, page };
		}
	}
	return true;
}

/* V maps the file of T, which has its memory, so that at any time its bytes are what they were. No page is its own then;
 * what its flags tell otherwise is as before. False: the host has no memory; V has what it had. */
static bool share(struct vcpu *v, const struct vcpu_template *t)
{
	u64 pages = 0;
	u8 *old, *at;
	bool ok;

	for (unsigned i = 0; i < v->nblocks; i++)
		pages += v->blocks[i].ram->size >> PAGE_SHIFT;
	at = old = malloc(pages + 1);
	if (!old)
		return false;
	for (unsigned i = 0; i < v->nblocks; at += v->blocks[i++].ram->size >> PAGE_SHIFT)
		memcpy(at, v->blocks[i].ram->pages, v->blocks[i].ram->size >> PAGE_SHIFT);
	ok = template_map(t, v);
	at = old;
	for (unsigned i = 0; ok && i < v->nblocks; i++)
		for (u64 page = 0; page < v->blocks[i].ram->size >> PAGE_SHIFT; page++)
			v->blocks[i].ram->pages[page] = *at++ & (u8)~PAGE_OWN;
	free(old);
	return ok;
}

/* V's memory into a new family's file. NULL: the host has no memory. */
static struct family *begin(struct vcpu *v)
{
	struct family *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->members = 1;
	for (unsigned i = 0; i < v->nblocks; i++)
		ram_trim(v->blocks[i].ram); /* the file has no pages of zeroes */
	machine_drop_writes(v);
	f->memory = template_memory(v);
	if (f->memory)
		f->view = template_view(f->memory, &f->view_size);
	if (f->memory && (f->view || !f->view_size) && share(v, f->memory))
		return f;
	family_free(f);
	return NULL;
}

/* The family of V, whose file has most of its memory; the rest is in V's list. */
static struct family *family_of(struct vcpu *v)
{
	struct family *f = v->family;
	u64 max = f ? f->view_size / 4 >> PAGE_SHIFT : 0;

	if (f && list_own(v, max > OWN_MAX ? max : OWN_MAX))
		return f;
	family_leave(v);
	v->family = begin(v);
	return v->family && list_own(v, ~(u64)0) ? v->family : NULL;
}

/* ---- memory ---- */

/* Pages in the list of V, which was kept, become the file's. */
static void take_back(struct vcpu *v, const struct vcpu *of)
{
	const struct family *f = v->family;

	for (const struct own_page *p = v->own.page; p < v->own.page + v->own.count; p++)
		if (!(of->blocks[p->block].ram->pages[p->page] & PAGE_OWN))
			page_put(v, v->blocks[p->block].ram, p->page, template_page(f->memory, f->view, p->block, p->page));
}

/* What the flags of V's pages told of snapshots, hashes and marks is void; what is shared is as in OF. */
static void take_flags(struct vcpu *v, const struct vcpu *of)
{
	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram *ram = v->blocks[i].ram;
		const u8 *as = of->blocks[i].ram->pages;
		u64 end = ram->size >> PAGE_SHIFT;

		ram_flag_all(ram, 0, end, PAGE_KEPT | PAGE_CHANGED);
		for (u64 page = 0; page < end; page++)
			ram->pages[page] &= as[page] | (u8)~PAGE_KEPT;
	}
}

static void take_own(struct vcpu *v, const struct vcpu *of)
{
	for (const struct own_page *p = of->own.page; p < of->own.page + of->own.count; p++)
		page_put(v, v->blocks[p->block].ram, p->page, of->blocks[p->block].ram->host + p->page * PAGE_SIZE);
}

static bool same_blocks(const struct vcpu *a, const struct vcpu *b)
{
	bool same = a->nblocks == b->nblocks;

	for (unsigned i = 0; same && i < a->nblocks; i++)
		same = a->blocks[i].base == b->blocks[i].base && a->blocks[i].ram->size == b->blocks[i].ram->size;
	return same && (!a->bare || map_same(a, b));
}

/* ---- the rest of the state ---- */

/* Own devices have none: they cannot be cloned. */
static bool take_parts(struct vcpu *v, struct vcpu *of)
{
	struct part from[PARTS_MAX], to[PARTS_MAX];
	unsigned n = machine_parts(of, from);
	bool same = n == machine_parts(v, to);

	for (unsigned i = 0; same && i < n; i++)
		same = from[i].fields == to[i].fields;
	for (unsigned i = 0; same && i < n; i++)
		part_copy(&to[i], &from[i]);
	return same;
}

static bool take_translations(struct vcpu *v, const struct vcpu *of)
{
	u64 *words = malloc(TLB_WORDS * sizeof *words);

	for (unsigned i = 0; words && i < v->processors; i++)
		tlb_load(v->cpu->all->cpu[i], words, tlb_save(of->cpu->all->cpu[i], words));
	free(words);
	return words;
}

/* V, of OF's family, gets its state. False: no memory, or they do not fit; V is good for machine_free only. */
static bool take(struct vcpu *v, struct vcpu *of, bool fresh)
{
	if (fresh && !template_share(of->family->memory, v))
		return false;
	if (!fresh)
		take_back(v, of);
	if (fresh || v->flags_old)
		take_flags(v, of);
	v->flags_old = false;
	take_own(v, of);
	machine_drop_writes(v);
	if (!take_parts(v, of))
		return false;
	machine_loaded(v);
	v->selected = of->selected;
	return take_translations(v, of);
}

/* ---- machines ---- */

static struct vcpu *build(struct vcpu *of, char **error)
{
	struct config_text text;
	struct vcpu *v;

	if (!config_read(&text, of->config, strlen(of->config), error))
		return NULL;
	text.config.output = of->output;
	text.config.engine = blocks_stitched(of->cpu) ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER;
	text.config.no_skip_waiting = of->cpu->all->no_skip_waiting;
	v = machine_new(&text.config, NULL, of->family->memory, error);
	config_free(&text);
	if (v && ((of->bare && !map_of(v, of)) || !same_blocks(v, of))) {
		machine_free(v);
		return error_write(error, "the host has no memory for a clone"), NULL;
	}
	if (!v)
		return NULL;
	v->cpu->all->hot_after = of->cpu->all->hot_after;
	v->cpu->all->verified = of->cpu->all->verified;
	return v;
}

/* One that was kept; NULL: there is none. */
static struct vcpu *pick(struct family *f)
{
	struct vcpu *v;

	lock(f);
	v = f->kept;
	if (v) {
		f->kept = v->next_kept;
		f->nkept--;
		f->members++;
	}
	unlock(f);
	return v;
}

static void join(struct vcpu *v, struct family *f)
{
	lock(f);
	f->members++;
	unlock(f);
	v->family = f;
}

/* Why OF cannot be cloned; NULL: it can. */
static const char *obstacle(const struct vcpu *of)
{
	if (of->ndevices)
		return "it has devices of the caller's own";
	if (of->pc && pc_vars(of))
		return "it has flash with variables";
	if (of->confined && of->ndrives)
		return "a recording names its drives";
	for (unsigned i = 0; i < of->ndrives; i++) {
		struct disk *disk = of->drives[i].disk;

		if (disk && !disk_read_only(disk) && !disk_ram(disk))
			return "a drive writes to its file: \",snapshot\" keeps what is written in memory";
	}
	for (unsigned i = 0; i < of->nblocks; i++)
		if (of->blocks[i].ram->borrowed)
			return "it has memory of the caller's (vcpu_map_buffer)";
	return NULL;
}

/* V becomes what a new machine would be. False: it is better freed. */
static bool empty(struct vcpu *v)
{
	struct cpus *all = v->cpu->all;

	if (v->ndevices || v->debug || all->observer || v->unmapped || v->confined || !list_own(v, KEPT_OWN))
		return false;
	v->flags_old |= v->past != NULL;
	past_free(v);
	recorder_free(v->recorder);
	v->recorder = NULL;
	if (all->hooks) {
		hooks_free(all);
		all->told = 0;
		blocks_flush(v->cpu);
	}
	all->time_end = all->sleep_end = CLOCK_NEVER;
	v->off = v->reset_wanted = v->exit_wanted = v->disk_news = v->asked = false;
	for (unsigned i = 0; i < v->ndrives; i++)
		v->drives[i].full = v->drives[i].lost = false;
	v->error[0] = 0;
	v->output = NULL;
	v->log = (struct log){ 0 };
	return true;
}

bool family_keeps(struct vcpu *v)
{
	struct family *f = v->family;

	bool kept;

	if (!f || !v->cloned || !empty(v))
		return false;
	lock(f);
	kept = f->members > 1 && f->nkept < KEPT_MAX;
	if (kept) {
		f->members--;
		f->nkept++;
		v->next_kept = f->kept;
		f->kept = v;
	}
	unlock(f);
	return kept;
}

vcpu *vcpu_clone(vcpu *of, void *user, char **error)
{
	const char *why;
	struct vcpu *v;
	bool fresh;

	if (error)
		*error = NULL;
	if (machine_refuses(of, "vcpu_clone"))
		return error_write(error, "%s", vcpu_error(of)), NULL;
	if ((why = obstacle(of)))
		return error_write(error, "the machine cannot be cloned: %s", why), NULL;
	if (!family_of(of))
		return error_write(error, "the host has no memory for a clone"), NULL;
	while ((v = pick(of->family)) && !same_blocks(v, of)) /* the caller has changed its map, or that of OF */
		machine_free(v);
	fresh = !v;
	if (fresh && !(v = build(of, error)))
		return NULL;
	if (fresh)
		join(v, of->family);
	v->cloned = true;
	if (!take(v, of, fresh)) {
		machine_free(v); /* which leaves the family */
		return error_write(error, "the host has no memory for a clone, or OF's drives have other media now"), NULL;
	}
	machine_listen(v, of->output, user);
	return v;
}
