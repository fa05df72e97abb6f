/* SPDX-License-Identifier: MIT */
/* User interrupts (SDM vol. 3, chapter 8): one program's SENDUIPI sets a bit in a descriptor in memory, and sends an
 * interrupt; the processor that gets it takes the bits to the register UIRR, and interrupts the program at CPL 3. */
#ifndef CPU_UINTR_H
#define CPU_UINTR_H

#include "cpu/cpu.h"

struct uintr {
	/* in the order of the MSRs, from 985h on */
	u64 rr;                    /* UIRR: vectors that wait */
	u64 handler, stack_adjust; /* bit 0 of the latter: RSP becomes that, and is not lowered by it */
	u64 misc;                  /* 31-0 the last entry of the target table | 39-32 UINV, the notification's vector */
	u64 pd;                    /* linear address of the descriptor that notifications are about */
	u64 tt;                    /* linear address of the target table | 0 SENDUIPI is enabled */
	bool uif;
	char name[16];             /* of its part */
};

enum { UINTR_STATE = 48 /* bytes of the component of XSAVES */ };

bool uintr_new(struct cpu *c); /* false: out of memory */
void uintr_reset(struct cpu *c);
struct part uintr_part(struct cpu *c);
bool uintr_due(const struct cpu *c); /* one could be delivered, if nothing holds off interrupts */
/* To the program's handler. False: fault, and nothing has changed. */
bool uintr_deliver(struct cpu *c);
/* Is an external interrupt with VECTOR a notification? */
bool uintr_notifies(const struct cpu *c, unsigned vector);
/* It is, and the local APIC has acknowledged it: UIRR gets what the descriptor has. False: fault. */
bool uintr_notified(struct cpu *c);

/* ---- the component ---- */

bool uintr_in_use(const struct cpu *c);
void uintr_save(const struct cpu *c, u8 image[UINTR_STATE]);
bool uintr_valid(const struct model *m, const u8 image[UINTR_STATE]); /* as the MSRs would be asked */
void uintr_load(struct cpu *c, const u8 *image);            /* NULL: as at reset */
static inline unsigned uintr_vector(const struct uintr *u) { return u->misc >> 32 & 0xff; }

#endif
