/* SPDX-License-Identifier: MIT */
/* Last branch records: Intel's processors have them with feature `pmu', AMD's always; DEBUGCTL.LBR turns them on. An
 * operation before each branch notes it, another one at the start of each block sees where it led (MODE_LBR). */
#ifndef CPU_LBR_H
#define CPU_LBR_H

#include "mem/base/bits.h"

struct cpu;

enum { LBR_DEPTH = 32, LBR_FORMAT = 5 /* IA32_PERF_CAPABILITIES: with MSR_LBR_INFO_x */ };
/* The kinds of branches that LBR_SELECT knows, by its bits. */
enum branch { BRANCH_JCC = 2, BRANCH_CALL, BRANCH_CALL_INDIRECT, BRANCH_RET, BRANCH_JMP_INDIRECT, BRANCH_JMP,
	      BRANCH_FAR };

struct lbr {
	u64 from[LBR_DEPTH], to[LBR_DEPTH], info[LBR_DEPTH], select, tos;
	u64 last;           /* cycle of the last record */

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

#endif
