/* SPDX-License-Identifier: MIT */
/* Told that code has changed, QEMU's user mode before 8.1 does nothing, and does not see what is written by another
 * mapping of the memory: it goes on with its translation of what was there. That goes when the page loses its right to
 * be executed. The builds of cross-check for aarch64 are linked with this (builds.inc). */
#include <stdint.h>
#include <sys/mman.h>

void __wrap___clear_cache(void *from, void *to);

void __wrap___clear_cache(void *from, void *to)
{
	uintptr_t page = (uintptr_t)from & ~(uintptr_t)4095;

	mprotect((void *)page, (uintptr_t)to - page, PROT_READ);
	mprotect((void *)page, (uintptr_t)to - page, PROT_READ | PROT_EXEC);
}
