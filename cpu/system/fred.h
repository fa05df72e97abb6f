/* SPDX-License-Identifier: MIT */
/* Flexible return and event delivery (SDM vol. 3, chapter 8): with CR4.FRED in IA-32e mode all events come to one of
 * two addresses, with a frame that says all about them, and ERETS and ERETU return. There is no IDT then. */
#ifndef CPU_FRED_H
#define CPU_FRED_H

#include "cpu/cpu.h"

struct fred {
	/* in the order of the MSRs, from 1CCh on */
	u64 rsp[4];                /* of each stack level */
	u64 levels;                /* of exceptions: two bits each */
	u64 ssp[3];                /* of levels 1 to 3; IA32_PL0_SSP is that of level 0 */
	/* 1-0 the stack level now | 3 keeps 8 bytes free above the shadow stack's frame, 8-6 64 bytes each above the
	 * stack's | 10-9 level of external interrupts | 63-12 page of the entries */
	u64 config;
	char name[16];             /* of its part */
};

enum { FRED_SYSCALL = 1, FRED_SYSENTER }; /* vectors of INT_OTHER */

bool fred_new(struct cpu *c); /* false: out of memory */
void fred_reset(struct cpu *c);
struct part fred_part(struct cpu *c);
/* Are FRED transitions enabled? */
static inline bool fred_on(const struct cpu *c) { return c->mode & MODE_FRED; }
/* interrupt() with FRED: to the handler, with FLAGS as the image of RFLAGS. False: fault, and nothing has changed. */
bool fred_deliver(struct cpu *c, unsigned vector, enum interrupt_kind kind, u32 error, u32 flags);
/* The instruction O is SYSCALL or SYSENTER. */
bool fred_call(struct cpu *c, const struct op *o, unsigned vector);

#endif
