/* SPDX-License-Identifier: MIT */
/* Last branch records: Intel's processors have them with feature `pmu', AMD's always; DEBUGCTL.LBR turns them on. With
 * feature `arch-lbr' Intel's have the architectural ones instead, and IA32_LBR_CTL does. An operation before each
 * branch notes it, another one at the start of each block sees where it led (MODE_LBR). */
#ifndef CPU_LBR_H
#define CPU_LBR_H

#include "mem/base/bits.h"
#include "mem/base/field.h"

struct cpu;

enum { LBR_DEPTH = 32, LBR_FORMAT = 5 /* IA32_PERF_CAPABILITIES: with MSR_LBR_INFO_x */, LBR_FORMAT_ARCH = 0x3f };
/* Component 15 of XSAVES: IA32_LBR_CTL, IA32_LBR_DEPTH, three words that are 0 (there is no last event record); FROM,
 * TO and INFO of each record, the last one first. */
enum { LBR_STATE = 40 + 24 * LBR_DEPTH };
/* The kinds of branches that LBR_SELECT knows, by its bits. */
enum branch { BRANCH_JCC = 2, BRANCH_CALL, BRANCH_CALL_INDIRECT, BRANCH_RET, BRANCH_JMP_INDIRECT, BRANCH_JMP,
	      BRANCH_FAR };

struct lbr {
	u64 from[LBR_DEPTH], to[LBR_DEPTH], info[LBR_DEPTH], select, tos;
	u64 last;           /* cycle of the last record */
	/* Architectural ones: IA32_LBR_x are those from tos backwards. */
	u64 ctl, depth;

	/* No state: nothing is pending between two instructions. A branch that may be taken: where it is, and what is
	 * behind it. */
	bool pending;
	enum branch kind;
	u64 branch, next;
};

/* The instruction at FROM was interrupted, or, SOFTWARE, is INT n; RIP is the handler. */
void lbr_interrupt(struct cpu *c, u64 from, bool software);
/* The branch that is pending has led to TO. ICOUNT: instructions, with it. */
void lbr_settle(struct cpu *c, u64 to, u64 icount);
/* LBR_SELECT, TOS, MSR_LASTBRANCH_x_FROM_IP, _TO_IP, MSR_LBR_INFO_x. False: the value is not valid. */
bool lbr_read_msr(struct cpu *c, u32 index, u64 *v);
bool lbr_write_msr(struct cpu *c, u32 index, u64 v);

/* ---- architectural ones ---- */

struct part lbr_part(struct cpu *c);
void lbr_reset(struct cpu *c);
bool lbr_on(const struct cpu *c);          /* is each branch recorded? */
void lbr_cpuid(u32 out[4]);                /* leaf 1Ch */
void lbr_freeze(struct cpu *c);            /* a performance counter's interrupt, with DEBUGCTL.FREEZE_LBRS_ON_PMI */
/* IA32_LBR_CTL, _DEPTH, _x_INFO, _FROM_IP, _TO_IP */
bool arch_lbr_read_msr(struct cpu *c, u32 index, u64 *v);
bool arch_lbr_write_msr(struct cpu *c, u32 index, u64 v);
bool lbr_in_use(const struct cpu *c);
void lbr_save(const struct cpu *c, u8 image[LBR_STATE]);
bool lbr_valid(const struct cpu *c, const u8 image[LBR_STATE]); /* as the MSRs would be asked */
/* NULL: as at reset, but the depth stays. So it does with an image of another depth, whose records are not taken. */
void lbr_load(struct cpu *c, const u8 *image);

#endif
