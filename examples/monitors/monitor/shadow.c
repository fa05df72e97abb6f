/* SPDX-License-Identifier: MIT */
/* Shadow page tables: what the processor walks while the guest runs. They map the guest's linear addresses to the
 * machine's memory. They begin empty; a page fault fills the page that was touched, from the guest's own tables.
 * The guest's writes of CR3 and INVLPG empty them again, as they do a TLB.
 *
 * Try: keep the tables of the last few values of CR3. */
#include "monitor.h"

enum { PRESENT = 1, WRITABLE = 2, USER = 4, TABLES = 48 };
static u32 supervisor[1024] __attribute__((aligned(PAGE))), user[1024] __attribute__((aligned(PAGE)));
static u32 tables[TABLES][1024] __attribute__((aligned(PAGE)));
static unsigned used;
static bool with_monitor, flatten;

void shadow_init(bool monitor, bool flat)
{
	with_monitor = monitor;
	flatten = flat;
	shadow_flush();
}

static void clear(u32 *directory)
{
	/* The monitor itself may run on it: its entries are never absent. */
	directory[1022] = with_monitor ? page_directory[1022] : 0;
	directory[1023] = with_monitor ? page_directory[1023] : 0;
	__builtin_memset(directory, 0, 1022 * sizeof *directory);
}

void shadow_flush(void)
{
	clear(supervisor);
	if (flatten)
		clear(user);
	used = 0;
	count("+shadow tables emptied");
}

/* If the supervisor runs at CPL 3, its pages must be users': then the user has tables of its own. */
static u32 *directory_now(void) { return flatten && cpl() == 3 ? user : supervisor; }
u32 shadow_directory(void) { return PHYSICAL(directory_now()); }

static void enter(u32 linear, u32 physical, u32 flags)
{
	u32 *entry = &directory_now()[linear >> 22];

	if (!*entry) {
		if (used == TABLES) {
			shadow_flush();
			entry = &directory_now()[linear >> 22];
		}
		__builtin_memset(tables[used], 0, PAGE);
		*entry = PHYSICAL(tables[used++]) | PRESENT | WRITABLE | USER;
	}
	((u32 *)(MONITOR_BASE + (*entry & -(u32)PAGE)))[linear >> 12 & 1023] = physical | flags | PRESENT;
}

void shadow_invalidate(u32 linear)
{
	u32 *const directories[] = { supervisor, user };

	for (unsigned i = 0; i < 2; i++) {
		u32 entry = directories[i][linear >> 22];

		if (entry & PRESENT && !(with_monitor && linear >= TOP))
			((u32 *)(MONITOR_BASE + (entry & -(u32)PAGE)))[linear >> 12 & 1023] = 0;
	}
}

enum shadow shadow_fault(u32 linear, u32 access, u32 *error)
{
	struct page page;

	if (!walk(linear, access, &page, error))
		return SHADOW_FAULT;
	if (page.physical >= GUEST_RAM || (with_monitor && linear >= TOP))
		return SHADOW_HOLE;
	enter(linear, GUEST_BASE + page.physical,
	      (page.writable ? WRITABLE : 0) | (page.user || (flatten && cpl() != 3) ? USER : 0));
	return SHADOW_FILLED;
}
