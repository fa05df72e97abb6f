/* SPDX-License-Identifier: MIT */
/* Regions of memory and MMIO. */
#include <sys/mman.h>
#include "shim.h"

struct region *region_at(uc_engine *uc, uint64_t address)
{
	struct region *r = uc->regions;

	while (r && address - r->begin >= r->size)
		r = r->next;
	return r;
}

/* The parts of R that lie together in physical memory, one after the other: LEN bytes from DONE on, at PHYSICAL. */
#define FOR_PARTS(uc, r, done, physical, len) \
	for (uint64_t physical = 0, done = 0, len = (r)->size; \
	     done < (r)->size && paging_physical(uc, (r)->begin + done, &physical, &len); \
	     done += len, len = (r)->size - done)

/* Addresses that the processor lacks are the caller's alone. */
void region_show(uc_engine *uc, vcpu *v, struct region *r)
{
	uint64_t shown = 0;

	FOR_PARTS(uc, r, done, physical, len) {
		if (!r->host || vcpu_map_buffer(v, physical, len, r->perms, r->host + done))
			break;
		shown = done + len;
	}
	r->reached = shown == r->size;
	FOR_PARTS(uc, r, done, physical, len)
		if (!r->reached && done + len <= shown)
			vcpu_unmap(v, physical, len);
}

void region_written(uc_engine *uc, vcpu *v, uint64_t address, uint64_t len)
{
	const struct region part = { .begin = address, .size = len };

	FOR_PARTS(uc, &part, done, physical, run)
		vcpu_host_written(v, physical, run);
}

static void insert(uc_engine *uc, struct region *r)
{
	struct region **at = &uc->regions;

	while (*at && (*at)->begin < r->begin)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	for (unsigned n = 0; n <= uc->top; n++)
		region_show(uc, uc->level[n].v, r);
}

static uc_err check(uint64_t address, uint64_t size, uint32_t perms)
{
	if (!size || (address | size) & (PAGE - 1) || address + (size - 1) < address || perms & ~(uint32_t)UC_PROT_ALL)
		return UC_ERR_ARG;
	return UC_ERR_OK;
}

static uc_err add(uc_engine *uc, struct region r)
{
	struct region *copy;

	for (const struct region *other = uc->regions; other; other = other->next)
		if (other->begin <= r.begin + (r.size - 1) && r.begin <= other->begin + (other->size - 1))
			return UC_ERR_MAP;
	copy = malloc(sizeof *copy);
	if (!copy)
		return UC_ERR_NOMEM;
	if (r.own) {
		r.host = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (r.host == MAP_FAILED) {
			free(copy);
			return UC_ERR_NOMEM;
		}
	}
	*copy = r;
	insert(uc, copy);
	return UC_ERR_OK;
}

uc_err uc_mem_map(uc_engine *uc, uint64_t address, size_t size, uint32_t perms)
{
	uc_err error = check(address, size, perms);

	return error ? error : add(uc, (struct region){ .begin = address, .size = size, .perms = perms, .own = true });
}

uc_err uc_mem_map_ptr(uc_engine *uc, uint64_t address, size_t size, uint32_t perms, void *ptr)
{
	uc_err error = ptr ? check(address, size, perms) : UC_ERR_ARG;

	return error ? error : add(uc, (struct region){ .begin = address, .size = size, .perms = perms, .host = ptr });
}

uc_err uc_mmio_map(uc_engine *uc, uint64_t address, size_t size, uc_cb_mmio_read_t read, void *read_data,
		   uc_cb_mmio_write_t write, void *write_data)
{
	uc_err error = check(address, size, 0);

	return error ? error : add(uc, (struct region){
		.begin = address, .size = size, .read = read, .read_data = read_data, .write = write,
		.write_data = write_data, .perms = (read ? UC_PROT_READ : 0) | (write ? UC_PROT_WRITE : 0) });
}

/* A region begins at AT, if one has it inside. */
static bool split(uc_engine *uc, uint64_t at)
{
	struct region *low = region_at(uc, at), *high;

	if (!low || low->begin == at)
		return true;
	high = malloc(sizeof *high);
	if (!high)
		return false;
	*high = *low;
	high->begin = at;
	high->size -= at - low->begin;
	low->size = at - low->begin;
	if (high->host)
		high->host += low->size;
	low->next = high;
	return true;
}

/* All SIZE bytes at ADDRESS are mapped, and regions begin and end there. */
static uc_err separate(uc_engine *uc, uint64_t address, uint64_t size)
{
	uc_err error = check(address, size, 0);

	for (uint64_t done = 0; !error && done < size;) {
		const struct region *r = region_at(uc, address + done);

		if (!r)
			return UC_ERR_NOMEM;
		done += r->size - (address + done - r->begin);
	}
	if (!error && (!split(uc, address) || (address + size && !split(uc, address + size))))
		error = UC_ERR_NOMEM;
	return error;
}

void garbage_free(uc_engine *uc)
{
	while (uc->garbage) {
		struct garbage *g = uc->garbage;

		uc->garbage = g->next;
		munmap(g->host, g->size);
		free(g);
	}
}

static void region_free(uc_engine *uc, struct region *r)
{
	struct garbage *g = r->own && uc->running ? malloc(sizeof *g) : NULL;

	if (g) {
		*g = (struct garbage){ uc->garbage, r->host, r->size };
		uc->garbage = g;
	} else if (r->own && !uc->running) {
		munmap(r->host, r->size);
	}
	free(r);
}

void regions_free(uc_engine *uc)
{
	while (uc->regions) {
		struct region *r = uc->regions;

		uc->regions = r->next;
		region_free(uc, r);
	}
}

uc_err uc_mem_unmap(uc_engine *uc, uint64_t address, size_t size)
{
	uc_err error;

	if (!size)
		return UC_ERR_OK;
	error = separate(uc, address, size);
	for (struct region **at = &uc->regions; !error && *at;) {
		struct region *r = *at;

		if (r->begin - address >= size) {
			at = &r->next;
			continue;
		}
		for (unsigned n = 0; r->reached && n <= uc->top; n++)
			FOR_PARTS(uc, r, done, physical, len)
				vcpu_unmap(uc->level[n].v, physical, len);
		*at = r->next;
		region_free(uc, r);
	}
	return error;
}

uc_err uc_mem_protect(uc_engine *uc, uint64_t address, size_t size, uint32_t perms)
{
	uc_err error;

	if (!size)
		return UC_ERR_OK;
	error = perms & ~(uint32_t)UC_PROT_ALL ? UC_ERR_ARG : separate(uc, address, size);
	for (struct region *r = uc->regions; !error && r; r = r->next) {
		if (r->begin - address >= size)
			continue;
		r->perms = perms;
		for (unsigned n = 0; r->reached && n <= uc->top; n++)
			FOR_PARTS(uc, r, done, physical, len)
				vcpu_protect(uc->level[n].v, physical, len, perms);
	}
	return error;
}

uc_err uc_mem_regions(uc_engine *uc, uc_mem_region **regions, uint32_t *count)
{
	uint32_t n = 0;

	for (const struct region *r = uc->regions; r; r = r->next)
		n++;
	*count = n;
	*regions = malloc((n + 1) * sizeof **regions);
	if (!*regions)
		return UC_ERR_NOMEM;
	n = 0;
	for (const struct region *r = uc->regions; r; r = r->next)
		(*regions)[n++] = (uc_mem_region){ r->begin, r->begin + (r->size - 1), r->perms };
	return UC_ERR_OK;
}

uc_err uc_free(void *mem)
{
	free(mem);
	return UC_ERR_OK;
}

/* ---- accesses ---- */

/* LEN bytes of MMIO at OFFSET of R, in pieces of 8, 4, 2 and 1. */
static void mmio(uc_engine *uc, const struct region *r, uint64_t offset, uint8_t *data, size_t len, bool write)
{
	for (size_t size; len; offset += size, data += size, len -= size) {
		uint64_t value = 0;

		for (size = 8; size > len;)
			size /= 2;
		if (write) {
			memcpy(&value, data, size);
			if (r->write)
				r->write(uc, offset, (unsigned)size, value, r->write_data);
		} else {
			if (r->read)
				value = r->read(uc, offset, (unsigned)size, r->read_data);
			memcpy(data, &value, size);
		}
	}
}

bool memory_access(uc_engine *uc, uint64_t address, void *data, size_t len, bool write)
{
	uint8_t *at = data;

	for (size_t run; len; address += run, at += run, len -= run) {
		const struct region *r = region_at(uc, address);
		uint64_t offset;

		if (!r)
			return false;
		offset = address - r->begin;
		run = r->size - offset < len ? r->size - offset : len;
		if (!r->host) {
			mmio(uc, r, offset, at, run, write);
		} else if (!write) {
			memcpy(at, r->host + offset, run);
		} else {
			memcpy(r->host + offset, at, run);
			for (unsigned n = 0; r->reached && n <= uc->top; n++)
				region_written(uc, uc->level[n].v, address, run);
		}
	}
	return true;
}

/* All or nothing. */
static bool whole(uc_engine *uc, uint64_t address, size_t len)
{
	for (size_t done = 0; done < len;) {
		const struct region *r = region_at(uc, address + done);

		if (!r || address + done < address)
			return false;
		done += r->size - (address + done - r->begin);
	}
	return true;
}

uc_err uc_mem_read(uc_engine *uc, uint64_t address, void *bytes, size_t size)
{
	return whole(uc, address, size) && memory_access(uc, address, bytes, size, false) ? UC_ERR_OK
											  : UC_ERR_READ_UNMAPPED;
}

uc_err uc_mem_write(uc_engine *uc, uint64_t address, const void *bytes, size_t size)
{
	if (!whole(uc, address, size))
		return UC_ERR_WRITE_UNMAPPED;
	/* a write does not change its data */
	return memory_access(uc, address, (void *)bytes, size, true) ? UC_ERR_OK : UC_ERR_WRITE_UNMAPPED;
}
