/* SPDX-License-Identifier: MIT */
/* The guest's memory, as its own page tables map it. Behind its 4 MiB there is nothing: ones are read, and writes
 * vanish, as on a machine of that size. */
#include "monitor.h"

enum { PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED = 0x20, DIRTY = 0x40 };

/* The entry of a page table at physical TABLE; NULL: not in the guest's memory. */
static u32 *entry_at(u32 table, u32 index)
{
	u32 at = (table & -(u32)PAGE) + index * 4;

	return at < GUEST_RAM ? (u32 *)(GUEST_WINDOW + at) : NULL;
}

bool walk(u32 linear, u32 access, struct page *page, u32 *error)
{
	u32 *directory, *table, both;
	bool write = access & ACCESS_WRITE, user = access & ACCESS_USER;

	*page = (struct page){ linear & -(u32)PAGE, true, true };
	if (!(cpu.cr0 & CR0_PG))
		return true;
	*error = access & (ACCESS_WRITE | ACCESS_USER);
	directory = entry_at(cpu.cr3, linear >> 22);
	if (!directory || !(*directory & PRESENT))
		return false;
	table = entry_at(*directory, linear >> 12 & 1023);
	if (!table || !(*table & PRESENT))
		return false;
	*error |= PRESENT;
	both = *directory & *table;
	if ((user && !(both & USER)) || (write && !(both & WRITABLE) && (user || cpu.cr0 & CR0_WP)))
		return false;
	*directory |= ACCESSED;
	*table |= ACCESSED | (write ? DIRTY : 0);
	/* A page that is not dirty is not yet writable in a shadow table: the monitor must see the first write. */
	*page = (struct page){ *table & -(u32)PAGE, both & WRITABLE && *table & DIRTY, both & USER };
	return true;
}

u8 *host_address(u32 linear, u32 access)
{
	struct page page;
	u32 error;

	if (!walk(linear, access, &page, &error)) {
		cpu.cr2 = linear;
		fault(14, error);
	}
	return page.physical < GUEST_RAM ? GUEST_WINDOW + page.physical + linear % PAGE : NULL;
}

u32 load(u32 linear, unsigned size, u32 access)
{
	u8 *from;

	if (linear % PAGE > PAGE - size) {
		u32 value = 0;

		for (unsigned i = 0; i < size; i++)
			value |= load(linear + i, 1, access) << 8 * i;
		return value;
	}
	from = host_address(linear, access);
	if (!from)
		return size == 4 ? 0xffffffff : size == 2 ? 0xffff : 0xff;
	return size == 4 ? *(u32 *)from : size == 2 ? *(u16 *)from : *from;
}

void store(u32 linear, unsigned size, u32 value, u32 access)
{
	u8 *to;

	access |= ACCESS_WRITE;
	if (linear % PAGE > PAGE - size) {
		host_address(linear + size - 1, access); /* both pages, or no write */
		for (unsigned i = 0; i < size; i++)
			store(linear + i, 1, value >> 8 * i, access);
		return;
	}
	to = host_address(linear, access);
	if (!to)
		return;
	if (size == 4)
		*(u32 *)to = value;
	else if (size == 2)
		*(u16 *)to = (u16)value;
	else
		*to = (u8)value;
}
