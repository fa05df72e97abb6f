/* SPDX-License-Identifier: MIT */
/* Templates: one state for many machines. Memory and boot images are in a file without a name, which is sealed and
 * never changes; each machine maps them copy-on-write (ram_share). The mappings hold the file: nothing counts users.
 *
 *     file   runs of pages | kernel | firmware | modules | further bytes for RAM      each from a page's start */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#if HAVE_DECL_MEMFD_CREATE
#include <sys/mman.h>
#endif
#include "mem/base/compat/file.h"
#include "lib/machine.h"
#include "lib/vcpu_snapshot.h"
#include "mem/pages.h"

/* A mapping takes the host some memory, and a process has 65530: 512 of them and the holes between let 60 machines
 * share. */
#define RUNS_MAX 512u
/* Holes of more pages are no part of a run. Templates have small ones: a page of zeroes that is read takes the host no
 * memory there. Clones have large ones, and so few mappings. */
enum { HOLE_SMALL = 8, HOLE_LARGE = 4096 };

struct run { unsigned block; u64 page, pages, offset; };

struct vcpu_template {
	int fd;
	u64 size;        /* bytes of the file */
	void *state;     /* as state_save writes it, without memory */
	size_t state_size;
	struct run *runs;
	unsigned count;
	struct boot boot; /* data: where in the file, not where in memory */
};

/* ---- the file ---- */

static bool append(struct vcpu_template *t, const void *data, u64 len)
{
	const u8 *from = data;

	for (u64 done = 0; done < len;) {
		ssize_t n = pwrite(t->fd, from + done, len - done, (off_t)(t->size + done));

		if (n <= 0 && errno != EINTR)
			return false;
		done += n > 0 ? (u64)n : 0;
	}
	t->size += (len + PAGE_SIZE - 1) & PAGE_MASK;
	return true;
}

/* The next run of pages, from PAGE on, in which at most HOLE pages of zeroes lie together. False: there is none. */
static bool next_run(const struct ram *ram, u64 page, u64 hole, u64 *first, u64 *end)
{
	u64 pages = ram->size >> PAGE_SHIFT;

	while (page < pages && !page_is_kept(ram, page))
		page++;
	*first = page;
	*end = page;
	for (; page < pages && page - *end <= hole; page++)
		if (page_is_kept(ram, page))
			*end = page + 1;
	return *first < *end;
}

/* Fewer and longer runs, until there are few enough; HOLE: of so many pages of zeroes, at least. False: no memory. */
static bool find_runs(struct vcpu_template *t, const struct vcpu *v, u64 hole)
{
	t->runs = malloc(RUNS_MAX * sizeof *t->runs);
	for (; t->runs; hole *= 4) {
		bool fit = true;

		t->count = 0;
		for (unsigned i = 0; i < v->nblocks && fit; i++) {
			u64 first, end = 0;

			while (next_run(v->blocks[i].ram, end, hole, &first, &end) && (fit = t->count < RUNS_MAX))
				t->runs[t->count++] = (struct run){ i, first, end - first, 0 };
		}
		if (fit)
			return true;
	}
	return false;
}

/* Zeroes are holes of the file. */
static bool write_runs(struct vcpu_template *t, const struct vcpu *v)
{
	for (struct run *r = t->runs; r < t->runs + t->count; r++) {
		const struct ram *ram = v->blocks[r->block].ram;

		r->offset = t->size;
		for (u64 page = r->page; page < r->page + r->pages; page++)
			if (!page_is_kept(ram, page))
				t->size += PAGE_SIZE;
			else if (!append(t, ram->host + page * PAGE_SIZE, PAGE_SIZE))
				return false;
	}
	return true;
}

bool template_map(const struct vcpu_template *t, struct vcpu *v)
{
	bool ok = true;

	for (const struct run *r = t->runs; ok && r < t->runs + t->count; r++)
		ok = ram_share(v->blocks[r->block].ram, r->page, r->pages, t->fd, r->offset);
	machine_drop_writes(v);
	return ok;
}

bool template_share(const struct vcpu_template *t, struct vcpu *v)
{
	bool ok = true;

	for (unsigned i = 0; i < v->nblocks; i++)
		ok = ok && ram_clear(v->blocks[i].ram);
	return ok && template_map(t, v);
}

/* ---- boot images ---- */

static bool copy_text(char **to, const char *text)
{
	*to = text ? strdup(text) : NULL;
	return !text || *to;
}

static bool copy_blob(struct blob *to, const struct blob *b)
{
	*to = (struct blob){ .data = b->data, .size = b->size, .lent = true };
	return copy_text(&to->name, b->name) && copy_text(&to->text, b->text);
}

/* All but the data, of which TO has the addresses of FROM. False: no memory; TO is for boot_free. */
static bool copy_boot(struct boot *to, const struct boot *from)
{
	bool ok;

	*to = (struct boot){ .kind = from->kind, .hash = from->hash };
	to->modules = calloc(from->nmodules + 1, sizeof *to->modules);
	to->extras = calloc(from->nextras + 1, sizeof *to->extras);
	ok = to->modules && to->extras && copy_blob(&to->kernel, &from->kernel) &&
	     copy_blob(&to->bios, &from->bios) && copy_text(&to->append, from->append);
	for (unsigned i = 0; ok && i < from->nmodules; i++) {
		to->nmodules++;
		ok = copy_blob(&to->modules[i], &from->modules[i]);
	}
	for (unsigned i = 0; ok && i < from->nextras; i++) {
		to->nextras++;
		to->extras[i] = from->extras[i];
		ok = copy_blob(&to->extras[i].blob, &from->extras[i].blob);
	}
	return ok;
}

/* Call EACH for every image. */
static bool all_blobs(struct boot *boot, bool (*each)(void *owner, struct blob *b), void *owner)
{
	bool ok = each(owner, &boot->kernel) && each(owner, &boot->bios);

	for (unsigned i = 0; i < boot->nmodules; i++)
		ok = ok && each(owner, &boot->modules[i]);
	for (unsigned i = 0; i < boot->nextras; i++)
		ok = ok && each(owner, &boot->extras[i].blob);
	return ok;
}

/* The data goes into the file; 0 is the place of none, since runs come first or the place counts from 1. */
static bool write_blob(void *owner, struct blob *b)
{
	struct vcpu_template *t = owner;
	u64 at = t->size;

	if (!b->data || !append(t, b->data, b->size))
		return !b->data;
	b->data = (u8 *)(uintptr_t)(at + 1);
	return true;
}

static bool place_blob(void *mapped, struct blob *b)
{
	if (b->data)
		b->data = (u8 *)mapped + ((uintptr_t)b->data - 1);
	return true;
}

bool template_boot(const struct vcpu_template *t, struct boot *boot, char **error)
{
	bool ok = copy_boot(boot, &t->boot);
	void *mapped = ok ? pages_view(t->fd, t->size) : NULL;

	if (!mapped) {
		boot_free(boot);
		return error_set(error, "the host has no memory for the boot images of a template");
	}
	boot->mapped = mapped;
	boot->mapped_size = t->size;
	return all_blobs(boot, place_blob, mapped);
}

/* ---- templates ---- */

void vcpu_template_free(vcpu_template *t)
{
	if (!t)
		return;
	if (t->fd >= 0)
		close(t->fd);
	boot_free(&t->boot);
	free(t->state);
	free(t->runs);
	free(t);
}

/* A file without a name. */
static int new_file(void)
{
#if HAVE_DECL_MEMFD_CREATE
	return memfd_create("vcpu-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
#else
	FILE *file = tmpfile();
	int fd = file ? dup(fileno(file)) : -1;

	if (file)
		fclose(file);
#ifdef F_SETFD
	fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
	return fd;
#endif
}

static bool seal(int fd)
{
#ifdef F_ADD_SEALS
	return !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
#else
	return fd >= 0;
#endif
}

static bool fill(struct vcpu_template *t, struct vcpu *v, u64 hole)
{
	t->fd = new_file();
	return t->fd >= 0 && find_runs(t, v, hole) && write_runs(t, v) && copy_boot(&t->boot, &v->boot) &&
	       all_blobs(&t->boot, write_blob, t) && !ftruncate(t->fd, (off_t)t->size) && seal(t->fd);
}

static struct vcpu_template *template_new(void)
{
	struct vcpu_template *t = calloc(1, sizeof *t);

	if (t)
		t->fd = -1;
	return t;
}

struct vcpu_template *template_memory(struct vcpu *v)
{
	struct vcpu_template *t = template_new();

	if (t && fill(t, v, HOLE_LARGE))
		return t;
	vcpu_template_free(t);
	return NULL;
}

void *template_view(const struct vcpu_template *t, u64 *size)
{
	*size = t->size;
	return pages_view(t->fd, t->size);
}

const u8 *template_page(const struct vcpu_template *t, const u8 *view, unsigned block, u64 page)
{
	for (const struct run *r = t->runs; r < t->runs + t->count; r++)
		if (r->block == block && page - r->page < r->pages)
			return view + r->offset + (page - r->page) * PAGE_SIZE;
	return NULL;
}

vcpu_template *vcpu_template_take(vcpu *v)
{
	struct vcpu_template *t;
	char *error = NULL;

	if (machine_refuses(v, "vcpu_template_take"))
		return NULL;
	t = template_new();
	if (t && state_save(v, false, &t->state, &t->state_size, &error) && fill(t, v, HOLE_SMALL))
		return t;
	machine_error(v, "%s", error ? error : "the host has no memory for a template");
	free(error);
	vcpu_template_free(t);
	return NULL;
}

bool vcpu_template_load(vcpu *v, const vcpu_template *t, char **error)
{
	if (!t)
		return error_set(error, "there is no template");
	return state_load(v, t->state, t->state_size, t, error);
}

vcpu *vcpu_template_machine(const vcpu_template *t, const struct vcpu_config *config, char **error)
{
	vcpu *v = NULL;

	if (!t)
		error_write(error, "there is no template");
	else
		v = machine_new(config, NULL, t, error);
	if (!v || vcpu_template_load(v, t, error))
		return v;
	vcpu_free(v);
	return NULL;
}
