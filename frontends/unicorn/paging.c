/* SPDX-License-Identifier: MIT */
/* Unicorn's 64-bit programs use all canonical addresses, and a processor has fewer physical ones. Each GiB of linear
 * addresses in use has a GiB of physical ones, by page tables that the guest does not see: the lower ones their own,
 * the others those that are free. An entry is made when a region is mapped, or when the guest touches its GiB. */
#include <sys/mman.h>
#include "shim.h"

enum { PRESENT = 0x67 /* writable, for users, accessed, dirty */, LARGE = 0x80, ENTRIES = 512, GIB_SHIFT = 30 };
#define GIB ((uint64_t)1 << GIB_SHIFT)
#define OWN ((uint64_t)1 << 45)                  /* below it, physical addresses are the linear ones */
#define TABLES (((uint64_t)1 << 46) - 4 * 1048576) /* physical: the PML4, and a PDPT for each of its entries */
enum { TABLES_SIZE = (1 + ENTRIES) * PAGE };

static bool canonical(uint64_t address) { return (uint64_t)((int64_t)(address << 16) >> 16) == address; }

bool paging_start(uc_engine *uc, vcpu *v)
{
	if (!uc->tables) {
		uc->tables = mmap(NULL, TABLES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (uc->tables == MAP_FAILED) {
			uc->tables = NULL;
			return false;
		}
		uc->free_gib = OWN >> GIB_SHIFT;
	}
	return !vcpu_map_buffer(v, TABLES, TABLES_SIZE, 0, uc->tables) && !vcpu_set(v, VCPU_CR3, TABLES);
}

void paging_free(uc_engine *uc)
{
	if (uc->tables)
		munmap(uc->tables, TABLES_SIZE);
	uc->tables = NULL;
}

/* The entry of a page of 1 GiB for ADDRESS, made if it was not there. 0: there are no free addresses. */
static uint64_t entry(uc_engine *uc, uint64_t address)
{
	uint64_t gib = address >> GIB_SHIFT, pdpt = 1 + (gib / ENTRIES) % ENTRIES;
	uint64_t *pml4e = uc->tables + pdpt - 1, *pdpte = uc->tables + pdpt * ENTRIES + gib % ENTRIES;

	if (*pdpte)
		return *pdpte;
	if (address >= OWN && uc->free_gib == TABLES >> GIB_SHIFT)
		return 0;
	*pml4e = (TABLES + pdpt * PAGE) | PRESENT;
	*pdpte = (address < OWN ? address & ~(GIB - 1) : uc->free_gib++ << GIB_SHIFT) | PRESENT | LARGE;
	return *pdpte;
}

bool paging_physical(uc_engine *uc, uint64_t address, uint64_t *physical, uint64_t *len)
{
	uint64_t room, e;

	*physical = address;
	if (!uc->tables)
		return true;
	if (!canonical(address) || !(e = entry(uc, address)))
		return false;
	*physical = (e & ~(GIB - 1)) | (address & (GIB - 1));
	room = address < OWN ? OWN - address : GIB - (address & (GIB - 1));
	if (*len > room)
		*len = room;
	return true;
}

bool paging_fill(uc_engine *uc, vcpu *v, uint64_t address)
{
	const uint64_t *pdpte = uc->tables ? uc->tables + ENTRIES * (1 + (address >> 39) % ENTRIES) +
		(address >> GIB_SHIFT) % ENTRIES : NULL;

	return pdpte && !*pdpte && vcpu_get(v, VCPU_CR3) == TABLES && canonical(address) && entry(uc, address);
}
