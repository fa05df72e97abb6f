/* SPDX-License-Identifier: MIT */
/* The memory of a bare machine: what is mapped, with which rights, and which pages were written. */
#include <stdlib.h>
#include "lib/machine.h"
#include "lib/past.h"

static const char mapped[] = "mapped"; /* the ranges that vcpu_map has made */

static bool overlaps(const struct space *space, u64 base, u64 size)
{
	for (unsigned i = 0; i < space->count; i++)
		if (base < space->ranges[i].base + space->ranges[i].size && space->ranges[i].base < base + size)
			return true;
	return false;
}

/* Can LEN bytes at ADDRESS be the caller's? WHAT is done with them. */
static bool valid(struct vcpu *v, const char *what, u64 address, u64 len, unsigned rights)
{
	u64 room = (u64)1 << v->model.physical_bits;

	if (!v->bare)
		machine_error(v, "%s: a PC has its memory already", what);
	else if (!len || (address | len) & (PAGE_SIZE - 1))
		machine_error(v, "%s %llx, %llx bytes: both must be multiples of 4096", what,
			      (unsigned long long)address, (unsigned long long)len);
	else if (address >= room || len > room - address)
		machine_error(v, "%s %llx, %llx bytes: that is beyond the %u address lines of a %s", what,
			      (unsigned long long)address, (unsigned long long)len, v->model.physical_bits,
			      v->model.name);
	else if (rights & ~(unsigned)VCPU_RIGHTS)
		machine_error(v, "%s %llx: there are no rights %x", what, (unsigned long long)address, rights);
	else
		return !machine_observed(v, what);
	return false;
}

/* Take rights away from PAGES pages of RAM from FIRST on, or give them. */
static bool give(struct ram *ram, u64 first, u64 pages, unsigned rights)
{
	for (u64 i = first; i < first + pages; i++)
		if (!ram_deny(ram, i, (u8)(~rights & VCPU_RIGHTS)))
			return false;
	return true;
}

static int add(struct vcpu *v, u64 address, u64 len, unsigned rights, struct ram *ram)
{
	if (!ram || !give(ram, 0, rights == VCPU_RIGHTS ? 0 : len >> PAGE_SHIFT, rights)) {
		ram_free(ram);
	} else if (machine_add_block(v, address, ram, false)) {
		if (space_add_ram(&v->mem, mapped, address, len, ram, 0, false) >= 0)
			return 0;
		v->nblocks--;
		ram_free(ram);
	}
	return machine_error(v, "map %llx, %llx bytes: the host has no memory", (unsigned long long)address,
			     (unsigned long long)len);
}

int vcpu_map_buffer(vcpu *v, uint64_t address, uint64_t len, unsigned rights, void *buffer)
{
	if (!v || !valid(v, "map", address, len, rights))
		return -1;
	if (len > MEMORY_MAX)
		return machine_error(v, "map %llx, %llx bytes: more than a machine can have (%llu MiB)",
				     (unsigned long long)address, (unsigned long long)len,
				     (unsigned long long)(MEMORY_MAX / MiB));
	if (overlaps(&v->mem, address, len))
		return machine_error(v, "map %llx, %llx bytes: part of it is mapped already",
				     (unsigned long long)address, (unsigned long long)len);
	return add(v, address, len, rights, buffer ? ram_borrow(buffer, len) : ram_new(len));
}

int vcpu_map(vcpu *v, uint64_t address, uint64_t len)
{
	return vcpu_map_buffer(v, address, len, VCPU_RIGHTS, NULL);
}

/* The range of the caller's memory at ADDRESS, under devices that may lie there. */
static const struct range *range_at(const struct space *space, u64 address)
{
	for (unsigned i = 0; i < space->count; i++)
		if (space->ranges[i].name == mapped && address - space->ranges[i].base < space->ranges[i].size)
			return &space->ranges[i];
	return NULL;
}

/* Can WHAT be done to LEN bytes at ADDRESS, all of which are mapped? */
static bool changeable(struct vcpu *v, const char *what, u64 address, u64 len, unsigned rights)
{
	const struct range *r;

	if (!valid(v, what, address, len, rights))
		return false;
	for (u64 at = address; at < address + len; at = r->base + r->size)
		if (!(r = range_at(&v->mem, at))) {
			machine_error(v, "%s %llx: nothing is mapped there", what, (unsigned long long)at);
			return false;
		}
	if (v->recorder || v->debug)
		machine_error(v, "%s %llx: the machine is %s", what, (unsigned long long)address,
			      v->recorder ? "recorded" : "debugged");
	return !v->recorder && !v->debug;
}

int vcpu_protect(vcpu *v, uint64_t address, uint64_t len, unsigned rights)
{
	bool taken = false;

	if (!v || !changeable(v, "protect", address, len, rights))
		return -1;
	for (u64 at = address, end; at < address + len; at = end) {
		const struct range *r = range_at(&v->mem, at);
		u64 first = (at - r->base + r->ram_offset) >> PAGE_SHIFT;

		end = r->base + r->size < address + len ? r->base + r->size : address + len;
		for (u64 i = first; i < first + ((end - at) >> PAGE_SHIFT); i++)
			taken |= ~rights & VCPU_RIGHTS & ~ram_denied(r->ram, i);
		if (!give(r->ram, first, (end - at) >> PAGE_SHIFT, rights))
			return machine_error(v, "protect %llx: the host has no memory", (unsigned long long)at);
	}
	if (taken)
		cpu_map_changed(v->cpu);
	return 0;
}

/* Forget the RAM that no range shows. In a callback, an instruction may still touch it. */
static void drop_blocks(struct vcpu *v)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < v->nblocks; i++) {
		struct ram_block b = v->blocks[i];
		bool shown = b.lent;

		for (unsigned k = 0; k < v->mem.count && !shown; k++)
			shown = v->mem.ranges[k].ram == b.ram;
		if (shown) {
			v->blocks[kept++] = b;
			continue;
		}
		free(b.hashes);
		b.ram->next = v->unmapped;
		v->unmapped = b.ram;
	}
	v->nblocks = kept;
	if (!v->busy)
		machine_free_unmapped(v);
}

void machine_free_unmapped(struct vcpu *v)
{
	while (v->unmapped) {
		struct ram *ram = v->unmapped;

		v->unmapped = ram->next;
		ram_free(ram);
	}
}

int vcpu_unmap(vcpu *v, uint64_t address, uint64_t len)
{
	if (!v || !changeable(v, "unmap", address, len, 0))
		return -1;
	if (v->snapshots)
		return machine_error(v, "unmap %llx: the machine has snapshots", (unsigned long long)address);
	if (!space_split(&v->mem, address) || !space_split(&v->mem, address + len))
		return machine_error(v, "unmap %llx: the host has no memory", (unsigned long long)address);
	past_free(v);
	for (unsigned i = v->mem.count; i-- > 0;) {
		const struct range *r = &v->mem.ranges[i];

		if (r->name == mapped && r->base - address < len)
			space_remove(&v->mem, r->number);
	}
	drop_blocks(v);
	return 0;
}

/* ---- clones ---- */

static unsigned block_of(const struct vcpu *v, const struct ram *ram)
{
	unsigned i = 0;

	while (i < v->nblocks && v->blocks[i].ram != ram)
		i++;
	return i;
}

bool map_same(const struct vcpu *a, const struct vcpu *b)
{
	bool same = a->mem.count == b->mem.count;

	for (unsigned i = 0; same && i < a->mem.count; i++) {
		const struct range *r = &a->mem.ranges[i], *s = &b->mem.ranges[i];

		same = r->name == s->name && r->base == s->base && r->size == s->size && r->ram_offset == s->ram_offset &&
		       block_of(a, r->ram) == block_of(b, s->ram);
	}
	for (unsigned i = 0; same && i < a->nblocks; i++) {
		const struct ram *r = a->blocks[i].ram, *s = b->blocks[i].ram;

		for (u64 page = 0; same && (r->denied || s->denied) && page < r->size >> PAGE_SHIFT; page++)
			same = ram_denied(r, page) == ram_denied(s, page);
	}
	return same;
}

bool map_of(struct vcpu *v, const struct vcpu *of)
{
	for (unsigned i = 0; i < of->nblocks; i++) {
		const struct ram *from = of->blocks[i].ram;
		struct ram *ram = ram_new(from->size);

		if (!ram || !machine_add_block(v, of->blocks[i].base, ram, false))
			return false;
		for (u64 page = 0; from->denied && page < from->size >> PAGE_SHIFT; page++)
			if (!ram_deny(ram, page, from->denied[page]))
				return false;
	}
	for (unsigned i = 0; i < of->mem.count; i++) {
		const struct range *r = &of->mem.ranges[i];

		if (r->name == mapped && space_add_ram(&v->mem, mapped, r->base, r->size,
						       v->blocks[block_of(of, r->ram)].ram, r->ram_offset, false) < 0)
			return false;
	}
	return true;
}

/* ---- pages that were written ---- */

int vcpu_dirty_mark(vcpu *v)
{
	if (!v)
		return -1;
	for (unsigned i = 0; i < v->nblocks; i++)
		ram_unflag_all(v->blocks[i].ram, PAGE_MARKED);
	v->flags_old = true;
	machine_drop_writes(v);
	return 0;
}

/* Those of RANGE from AT to END, behind N others; how many there are then. */
static u64 marked_pages(const struct range *r, u64 at, u64 end, u64 *pages, u64 max, u64 n)
{
	u64 first = (at - r->base + r->ram_offset) >> PAGE_SHIFT, last = first + (end - at + PAGE_SIZE - 1) / PAGE_SIZE;

	for (u64 page = first; (page = ram_next(r->ram, page, last, PAGE_MARKED)) < last; page++, n++)
		if (pages && n < max)
			pages[n] = at + (page - first) * PAGE_SIZE;
	return n;
}

uint64_t vcpu_dirty_pages(const vcpu *v, uint64_t *pages, uint64_t max)
{
	u64 n = 0, end;

	for (u64 at = 0; v && at <= v->mem.mask; at = end) {
		const struct range *r = space_find(&v->mem, at, &end);

		if (r && r->kind == RANGE_RAM)
			n = marked_pages(r, at, end, pages, max, n);
		if (end <= at || end == ~(u64)0)
			break;
	}
	return n;
}
