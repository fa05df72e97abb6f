/* SPDX-License-Identifier: MIT */
/* The banks of the machine check architecture (SDM vol. 3, 16.3; APM vol. 2, 9.3): nothing fails here, so they report
 * what the caller says has failed. */
#ifndef CPU_MCA_H
#define CPU_MCA_H

#include "cpu/cpu.h"

enum { MCA_BANKS = 32 };

struct mca {
	u64 control;           /* IA32_MCG_CTL */
	u64 ctl[MCA_BANKS], status[MCA_BANKS], addr[MCA_BANKS], misc[MCA_BANKS];
	u64 config[MCA_BANKS], synd[MCA_BANKS]; /* AMD's */
	char name[16];         /* of its part */
};

/* In IA32_MCG_STATUS, until the processor takes it before its next instruction: #MC is due; it is due, but the
 * processor shuts down. */
#define MCG_DUE ((u64)1 << 63)
#define MCG_SHUTDOWN ((u64)1 << 62)

/* What a bank is to record: its registers, and IA32_MCG_STATUS for #MC. */
struct machine_check { unsigned bank; u64 status, addr, misc, mcg_status; };

/* Record E. One that is not corrected and that the guest has enabled raises #MC, on C->all if EVERYWHERE. NULL, or why
 * it cannot be. */
const char *mca_report(struct cpu *c, const struct machine_check *e, bool everywhere);
/* The #MC that is due. False: the processor shuts down. */
bool mca_deliver(struct cpu *c);

bool mca_new(struct cpu *c); /* false: out of memory */
void mca_reset(struct cpu *c);
struct part mca_part(struct cpu *c);
/* The registers INDEX from IA32_MCG_CAP on. False: #GP(0). */
bool mca_read(struct cpu *c, u32 index, u64 *v);
bool mca_write(struct cpu *c, u32 index, u64 v);

#endif
