/* SPDX-License-Identifier: MIT */
/* The walk of the page tables (SDM vol. 3, chapter 4). */
#ifndef CPU_PAGE_H
#define CPU_PAGE_H

#include "cpu/cpu.h"

/* The result of a walk. */
struct translation {
	bool ok;       /* false: #PF is in c->fault, and cr2 is set */
	bool global;   /* and CR4.PGE is set */
	bool writable; /* a write with the same rights changes nothing in the tables: it is allowed, and D is set */
	u64 phys;      /* of the linear address itself; A20 is not looked at */
	u64 page_size;
};
/* With all checks, setting A and D. */
struct translation page_walk(struct cpu *c, u64 linear, unsigned access);
/* The #PF of an access to LINEAR, as if no page were there. */
void page_absent(struct cpu *c, u64 linear, bool write);
/* Is LINEAR in the page where the last walk for ACCESS, to read or to write, has found a device, and would another walk
 * find it? Then that is as if one had been made. */
bool page_walks_again(struct cpu *c, u64 linear, unsigned access);

#endif
