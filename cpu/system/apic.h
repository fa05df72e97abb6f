/* SPDX-License-Identifier: MIT */
/* The local APIC's state. What the rest of cpu/ calls is in cpu.h. */
#ifndef CPU_APIC_H
#define CPU_APIC_H

#include "cpu/cpu.h"

enum { LVT_TIMER_ENTRY, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_ENTRIES };

struct apic {
	/* What the chip remembers */
	u32 id;                  /* 8 bits, 32 in x2APIC mode */
	u8 tpr;
	u32 isr[8], irr[8], tmr[8];
	u32 ldr, dfr, svr, esr, errors; /* errors: since ESR was last written */
	u64 icr;
	u32 lvt[LVT_ENTRIES];
	u32 initial, divide;     /* of the timer; its count follows from the event */
	bool lint[2];            /* levels of LINT0 and LINT1 */
	bool extint;             /* an ExtINT message waits for its INTA cycle */
	struct event timer;

	/* How it is wired */
	struct cpu *cpu;
	struct clock *clock;
	struct space *mem;
	int range;               /* its page in MEM, or -1 */
	u64 placed;
	void (*eoi)(void *owner, u8 vector);
	void *eoi_owner;
};

/* The APIC as firmware leaves it on the boot processor (MP specification 1.4, 3.6.2.2): enabled, the 8259 on LINT0
 * (ExtINT), NMI on LINT1. */
void apic_virtual_wire(struct apic *a);

#endif
