/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "mem/space.h"

/* A stretch of addresses with one answer: [first, last] inclusive, so that the top of a 64-bit space needs no special
 * case. */
struct stretch {
	const struct range *range; /* NULL: nothing there */
	u64 last, first;           /* first: of find alone */
};

/* Up to LAST, addresses belong to ranges[range]. */
struct piece {
	u64 last;
	unsigned range;
};

void space_init(struct space *space)
{
	*space = (struct space){ .mask = ~(u64)0, .hit_first = 1, .ram_first = 1 };
}

void space_free(struct space *space)
{
	free(space->ranges);
	free(space->pieces);
	space_init(space);
}

static void map_changed(struct space *space)
{
	space->hit_first = 1;
	space->hit_last = 0;
	space->ram_first = 1;
	space->ram_last = 0;
	space->npieces = 0;
	if (space->changed)
		space->changed(space->owner);
}

static int unused_number(const struct space *space)
{
	for (int number = 0;; number++) {
		unsigned i = 0;

		while (i < space->count && space->ranges[i].number != number)
			i++;
		if (i == space->count)
			return number;
	}
}

/* Into the table, over what has its rank or a lower one. There is room. */
static void insert(struct space *space, struct range range)
{
	unsigned at = space->count++;

	for (; at > 0 && space->ranges[at - 1].rank > range.rank; at--)
		space->ranges[at] = space->ranges[at - 1];
	space->ranges[at] = range;
	map_changed(space);
}

bool space_reserve(struct space *space, unsigned more)
{
	if (space->room - space->count < more) {
		unsigned need = space->count + more, twice = space->room ? 2 * space->room : 32,
			 room = need > twice ? need : twice;
		struct range *ranges = realloc(space->ranges, room * sizeof *ranges);
		/* every range begins and ends one at most */
		struct piece *pieces = realloc(space->pieces, (2 * room + 1) * sizeof *pieces);

		if (ranges)
			space->ranges = ranges;
		if (pieces)
			space->pieces = pieces;
		if (!ranges || !pieces)
			return false;
		space->room = room;
	}
	return true;
}

static int add(struct space *space, struct range range)
{
	if (!range.size || range.base + range.size - 1 < range.base || !space_reserve(space, 1))
		return -1;
	range.number = unused_number(space);
	insert(space, range);
	return range.number;
}

int space_add_ram(struct space *space, const char *name, u64 base, u64 size, struct ram *ram, u64 ram_offset, bool rom)
{
	if (ram_offset > ram->size || size > ram->size - ram_offset)
		return -1;
	return add(space, (struct range){ .base = base, .size = size, .kind = RANGE_RAM, .ram = ram,
		.ram_offset = ram_offset,
		.rom = rom, .name = name });
}

int space_add_device(struct space *space, const char *name, u64 base, u64 size, const struct device_ops *ops,
		     void *owner)
{
	return add(
		space,
		(struct range){
			.base = base, .size = size, .kind = RANGE_DEVICE, .ops = ops, .owner = owner, .name = name });
}

void space_set_string(struct space *space, int number, read_string *string)
{
	for (unsigned i = 0; i < space->count; i++)
		if (space->ranges[i].number == number)
			space->ranges[i].string = string;
}

void space_remove(struct space *space, int number)
{
	for (unsigned i = 0; i < space->count; i++) {
		if (space->ranges[i].number != number)
			continue;
		memmove(&space->ranges[i], &space->ranges[i + 1], (space->count - i - 1) * sizeof *space->ranges);
		space->count--;
		map_changed(space);
		return;
	}
}

void space_rank(struct space *space, int number, int rank)
{
	for (unsigned i = 0; i < space->count; i++) {
		struct range range = space->ranges[i];

		if (range.number != number)
			continue;
		space_remove(space, number);
		range.rank = rank;
		insert(space, range);
		return;
	}
}

void space_write_through(struct space *space, int number)
{
	for (unsigned i = 0; i < space->count; i++)
		if (space->ranges[i].number == number)
			space->ranges[i].through = true;
}

bool space_split(struct space *space, u64 addr)
{
	for (unsigned i = 0; i < space->count; i++) {
		struct range *low = &space->ranges[i], high = *low;
		u64 into = addr - low->base;

		if (low->kind != RANGE_RAM || addr <= low->base || into >= low->size)
			continue;
		if (!space_reserve(space, 1))
			return false;
		high.number = unused_number(space);
		high.base = addr;
		high.size -= into;
		high.ram_offset += into;
		low = &space->ranges[i++];
		low->size = into;
		memmove(low + 2, low + 1, (space->count - i) * sizeof *low);
		low[1] = high;
		space->count++;
		map_changed(space);
	}
	return true;
}

void space_set_mask(struct space *space, u64 mask)
{
	if (mask == space->mask)
		return;
	space->mask = mask;
	map_changed(space);
}

/* What the COUNT lowest ranges have at ADDR. */
static struct stretch find_under(const struct space *space, u64 addr, unsigned count)
{
	u64 last = ~(u64)0;

	for (unsigned i = count; i-- > 0;) {
		const struct range *range = &space->ranges[i];

		if (addr - range->base < range->size) {
			u64 end = range->base + (range->size - 1);

			return (struct stretch){ range, end < last ? end : last };
		}
		if (range->base > addr && range->base - 1 < last)
			last = range->base - 1;
	}
	return (struct stretch){ NULL, last };
}

static void make_pieces(struct space *space)
{
	u64 addr = 0;

	do {
		struct stretch stretch = find_under(space, addr, space->count);

		space->pieces[space->npieces++] = (struct piece){ stretch.last, stretch.range
			? (unsigned)(stretch.range - space->ranges) : SPACE_NOTHING };
		addr = stretch.last + 1;
	} while (addr);
}

static struct stretch find(const struct space *space, u64 addr)
{
	/* Beyond the lowest address line that is missing, addresses wrap: a stretch never goes over that edge. */
	u64 missing = ~space->mask & (space->mask + 1), edge = addr | (missing - 1), first = addr & ~(missing - 1);
	unsigned low = 0, high;
	const struct piece *piece;

	if (!space->count)
		return (struct stretch){ NULL, edge, first };
	if (!space->npieces)
		make_pieces((struct space *)space); /* it remembers, but does not change */
	high = space->npieces - 1;
	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (space->pieces[middle].last < addr)
			low = middle + 1;
		else
			high = middle;
	}
	piece = &space->pieces[low];
	if (low && piece[-1].last >= first)
		first = piece[-1].last + 1;
	return (struct stretch){ piece->range == SPACE_NOTHING ? NULL : &space->ranges[piece->range],
				 piece->last < edge ? piece->last : edge, first };
}

const struct range *space_find(const struct space *space, u64 addr, u64 *end)
{
	struct stretch stretch = find(space, addr);

	if (end)
		*end = stretch.last == ~(u64)0 ? stretch.last : stretch.last + 1;
	return stretch.range;
}

u8 *space_ram_at(struct space *space, u64 addr, unsigned len, const struct range **range)
{
	struct stretch s = find(space, addr);

	if (!s.range || s.range->kind != RANGE_RAM || s.last - addr < len - 1)
		return NULL;
	space->ram_first = s.first;
	space->ram_last = s.last;
	space->ram_hit = (unsigned)(s.range - space->ranges);
	space->ram_host = s.range->ram->host + s.range->ram_offset + (s.first - s.range->base);
	if (range)
		*range = s.range;
	return space->ram_host + (addr - s.first);
}

/* The same for accesses, with a memory of the last answer: consecutive ones mostly go to one place. */
static struct stretch find_again(struct space *space, u64 addr)
{
	struct stretch stretch;

	if (addr >= space->hit_first && addr <= space->hit_last)
		return (struct stretch){ space->hit == SPACE_NOTHING ? NULL : &space->ranges[space->hit],
					 space->hit_last };
	stretch = find(space, addr);
	space->hit = stretch.range ? (unsigned)(stretch.range - space->ranges) : SPACE_NOTHING;
	space->hit_first = addr;
	space->hit_last = stretch.last;
	return stretch;
}

/* Where a write goes. */
static struct stretch find_written(struct space *space, u64 addr)
{
	struct stretch stretch = find_again(space, addr), under;

	if (!stretch.range || !stretch.range->through)
		return stretch;
	under = find_under(space, addr, (unsigned)(stretch.range - space->ranges));
	if (under.last > stretch.last)
		under.last = stretch.last;
	return under;
}

static unsigned widest(const struct device_ops *ops) { return ops->max ? ops->max : 4; }

/* The largest naturally aligned piece at OFFSET that LEN bytes and the device's width allow. */
static unsigned piece(const struct device_ops *ops, u64 offset, unsigned len)
{
	unsigned size = widest(ops);

	while (size > len || (offset & (size - 1)))
		size >>= 1;
	return size;
}

static u64 ones(unsigned size)
{
	return ~(u64)0 >> (64 - 8 * size);
}

/* Are LEN bytes at OFFSET one access, as the device knows it? */
static bool is_whole(const struct device_ops *ops, u64 offset, unsigned len)
{
	return len >= ops->min && len <= widest(ops) && !(len & (len - 1)) && !(offset & (len - 1));
}

/* LEN (1 to 8) bytes of a device, in pieces that it knows. The range may vanish during a call (a device may change the
 * map), so it is taken by value. */
static __attribute__((noinline)) u64 read_pieces(struct space *space, struct range range, u64 offset, unsigned len)
{
	const struct device_ops *ops = range.ops;
	u64 value = 0;
	unsigned size;

	for (unsigned done = 0; done < len; done += size) {
		u64 at = offset + done, part;

		size = piece(ops, at, len - done);
		space->calls++;
		if (!ops->read) {
			part = ones(size);
		} else if (size >= ops->min) {
			part = ops->read(range.owner, at, size) & ones(size);
		} else {
			u64 down = at & ~(u64)(ops->min - 1);

			part = ops->read(range.owner, down, ops->min) >> (8 * (at - down)) & ones(size);
		}
		value |= part << (8 * done);
	}
	return value;
}

ALWAYS_INLINE u64 device_read(struct space *space, const struct range *range, u64 offset, unsigned len)
{
	if (!is_whole(range->ops, offset, len))
		return read_pieces(space, *range, offset, len);
	space->calls++;
	return range->ops->read ? range->ops->read(range->owner, offset, len) & ones(len) : ones(len);
}

static __attribute__((noinline)) void write_pieces(struct space *space, struct range range, u64 offset, unsigned len,
						   u64 value)
{
	const struct device_ops *ops = range.ops;
	unsigned size;

	if (!ops->write)
		return;
	for (unsigned done = 0; done < len; done += size) {
		u64 at = offset + done, part;

		size = piece(ops, at, len - done);
		space->calls++;
		part = value >> (8 * done) & ones(size);
		if (size >= ops->min) {
			ops->write(range.owner, at, size, part);
		} else {
			u64 down = at & ~(u64)(ops->min - 1);
			unsigned shift = 8 * (unsigned)(at - down);
			u64 whole = ops->read ? ops->read(range.owner, down, ops->min) : 0;

			whole = (whole & ~(ones(size) << shift)) | part << shift;
			ops->write(range.owner, down, ops->min, whole);
		}
	}
}

ALWAYS_INLINE void device_write(struct space *space, const struct range *range, u64 offset, unsigned len, u64 value)
{
	if (!range->ops->write || !is_whole(range->ops, offset, len)) {
		write_pieces(space, *range, offset, len, value);
		return;
	}
	space->calls++;
	range->ops->write(range->owner, offset, len, value & ones(len));
}

/* Write LEN bytes that lie in one range of RAM. HARD writes ROM too. */
static void ram_write(const struct range *range, u64 addr, const u8 *in, u64 len, bool hard)
{
	struct ram *ram = range->ram;
	u64 offset = range->ram_offset + (addr - range->base);

	if (range->rom && !hard)
		return;
	while (len) {
		u64 run = PAGE_SIZE - (offset & (PAGE_SIZE - 1));

		if (run > len)
			run = len;
		if (hard || !(ram->pages[offset >> PAGE_SHIFT] & PAGE_ROM)) {
			memcpy(ram->host + offset, in, run);
			ram_touch(ram, offset, (unsigned)run, addr);
		}
		offset += run;
		addr += run;
		in += run;
		len -= run;
	}
}

static const u8 *ram_at(const struct range *range, u64 addr)
{
	return range->ram->host + range->ram_offset + (addr - range->base);
}

static u64 run_length(struct stretch stretch, u64 addr, u64 len)
{
	return stretch.last - addr < len - 1 ? stretch.last - addr + 1 : len;
}

/* The range at ADDR (masked), if all SIZE bytes are in it and it is the same as last time. */
ALWAYS_INLINE const struct range *found_again(const struct space *space, u64 addr, unsigned size)
{
	return addr >= space->hit_first && addr <= space->hit_last && space->hit_last - addr >= size - 1 &&
	       space->hit != SPACE_NOTHING ? &space->ranges[space->hit] : NULL;
}

static __attribute__((noinline)) u64 read_runs(struct space *space, u64 addr, unsigned size)
{
	u64 value = 0;

	for (unsigned done = 0, run; done < size; done += run) {
		u64 at = (addr + done) & space->mask, part;
		struct stretch stretch = find_again(space, at);
		u8 bytes[8] = { 0 };

		run = (unsigned)run_length(stretch, at, size - done);
		if (!stretch.range) {
			part = ones(run);
		} else if (stretch.range->kind == RANGE_RAM) {
			memcpy(bytes, ram_at(stretch.range, at), run);
			part = get64(bytes);
		} else {
			part = device_read(space, stretch.range, at - stretch.range->base, run);
		}
		value |= part << (8 * done);
	}
	return value;
}

u64 space_read(struct space *space, u64 addr, unsigned size)
{
	const struct range *range = found_again(space, addr & space->mask, size);

	return range && range->kind == RANGE_DEVICE
		       ? device_read(space, range, (addr & space->mask) - range->base, size)
		       : read_runs(space, addr, size);
}

static __attribute__((noinline)) void write_runs(struct space *space, u64 addr, unsigned size, u64 value)
{
	for (unsigned done = 0, run; done < size; done += run) {
		u64 at = (addr + done) & space->mask;
		struct stretch stretch = find_written(space, at);
		u8 bytes[8];

		run = (unsigned)run_length(stretch, at, size - done);
		put64(bytes, value >> (8 * done));
		if (!stretch.range)
			continue;
		if (stretch.range->kind == RANGE_RAM)
			ram_write(stretch.range, at, bytes, run, false);
		else
			device_write(space, stretch.range, at - stretch.range->base, run, value >> (8 * done));
	}
}

void space_write(struct space *space, u64 addr, unsigned size, u64 value)
{
	const struct range *range = found_again(space, addr & space->mask, size);

	if (range && range->kind == RANGE_DEVICE && !range->through)
		device_write(space, range, (addr & space->mask) - range->base, size, value);
	else
		write_runs(space, addr, size, value);
}

u64 space_read_string(struct space *space, u64 addr, unsigned size, void *out, u64 n)
{
	struct stretch stretch = find_again(space, addr & space->mask);
	const struct range *range = stretch.range;
	u64 offset;

	if (!range || range->kind != RANGE_DEVICE || !range->string || run_length(stretch, addr, size) < size)
		return 0;
	offset = addr - range->base;
	space->calls++;
	return piece(range->ops, offset, size) == size && size >= range->ops->min ?
		range->string(range->owner, offset, size, out, n) : 0;
}

void space_read_block(struct space *space, u64 addr, void *out, u64 len)
{
	u8 *to = out;

	for (u64 run; len; addr += run, to += run, len -= run) {
		u64 at = addr & space->mask;
		struct stretch stretch = find_again(space, at);

		run = run_length(stretch, at, len);
		if (!stretch.range) {
			memset(to, 0xff, run);
		} else if (stretch.range->kind == RANGE_RAM) {
			memcpy(to, ram_at(stretch.range, at), run);
		} else {
			run = 1;
			*to = (u8)device_read(space, stretch.range, at - stretch.range->base, 1);
		}
	}
}

void space_write_block(struct space *space, u64 addr, const void *in, u64 len)
{
	const u8 *from = in;

	for (u64 run; len; addr += run, from += run, len -= run) {
		u64 at = addr & space->mask;
		struct stretch stretch = find_written(space, at);

		run = run_length(stretch, at, len);
		if (!stretch.range)
			continue;
		if (stretch.range->kind == RANGE_RAM) {
			ram_write(stretch.range, at, from, run, false);
		} else {
			run = 1;
			device_write(space, stretch.range, at - stretch.range->base, 1, *from);
		}
	}
}

u8 *space_view(struct space *space, u64 addr, u64 *len, bool write)
{
	u64 at = addr & space->mask;
	struct stretch stretch = find_again(space, at);
	const struct ram *ram;
	u64 offset, page;

	if (!stretch.range || stretch.range->kind != RANGE_RAM || (write && stretch.range->rom))
		return NULL;
	ram = stretch.range->ram;
	*len = run_length(stretch, at, *len);
	offset = stretch.range->ram_offset + (at - stretch.range->base);
	for (page = offset >> PAGE_SHIFT; write && page <= (offset + *len - 1) >> PAGE_SHIFT; page++)
		if (ram->pages[page] & PAGE_ROM)
			return NULL;
	return ram->host + offset;
}

void space_written(struct space *space, u64 addr, u64 len)
{
	for (u64 run; len; addr += run, len -= run) {
		u64 at = addr & space->mask;
		struct stretch stretch = find_again(space, at);

		run = PAGE_SIZE - (at & (PAGE_SIZE - 1));
		run = run_length(stretch, at, run < len ? run : len);
		if (stretch.range && stretch.range->kind == RANGE_RAM)
			ram_touch(stretch.range->ram, stretch.range->ram_offset + (at - stretch.range->base),
				  (unsigned)run, at);
	}
}

void space_peek(struct space *space, u64 addr, void *out, u64 len)
{
	u8 *to = out;

	for (u64 run; len; addr += run, to += run, len -= run) {
		u64 at = addr & space->mask;
		struct stretch stretch = find(space, at);

		run = run_length(stretch, at, len);
		if (stretch.range && stretch.range->kind == RANGE_RAM)
			memcpy(to, ram_at(stretch.range, at), run);
		else
			memset(to, 0xff, run);
	}
}

void space_poke(struct space *space, u64 addr, const void *in, u64 len)
{
	const u8 *from = in;

	for (u64 run; len; addr += run, from += run, len -= run) {
		u64 at = addr & space->mask;
		struct stretch stretch = find(space, at);

		run = run_length(stretch, at, len);
		if (stretch.range && stretch.range->kind == RANGE_RAM)
			ram_write(stretch.range, at, from, run, true);
	}
}
