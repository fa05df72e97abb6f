/* SPDX-License-Identifier: MIT */
/* Performance counters: the architectural ones of Intel's processors, version 2 (SDM vol. 3, 20.2), and AMD's (APM vol.
 * 2, 13.2). Feature `pmu': without it Intel's have none, and AMD's count nothing.
 *
 * What they count follows from the instruction count, but for branches. So a counter has its value as it was at the
 * instruction count `since', and gets the rest when somebody reads it, when the filters change (CPL, MSRs) and where it
 * overflows. An instruction counts at the CPL at which it begins. */
#ifndef CPU_PMU_H
#define CPU_PMU_H

#include "cpu/system/model.h"
#include "mem/base/field.h"

struct cpu;

enum { PMU_GENERAL = 4, PMU_FIXED = 3, PMU_WIDTH = 48 };

struct pmu {
	/* IA32_PERFEVTSELx, IA32_PMCx, IA32_FIXED_CTRx, and those of the other names. AMD's are in `perf' of struct
	 * cpu. */
	u64 select[PMU_GENERAL], general[PMU_GENERAL], fixed[PMU_FIXED], fixed_ctr_ctrl, global_ctrl, global_status;

	/* No state: it follows from the rest. */
	bool on;            /* a counter is enabled, whatever its filter says */
	bool branches_count;/* at the present level; MODE_BRANCHES says so, too */
	u8 level;           /* of privilege, as the filters see it: bit 0 CPL is not 0 | bit 1 a guest of SVM runs */
	u64 since;          /* instruction count */
	u64 branches;       /* since then, where they count */
	u64 branch_at;      /* instruction count at the last of them */
	u64 overflow_at;    /* no counter interrupts before this instruction count; CLOCK_NEVER: none will */
};

/* Give the counters what they lack. State is exact then, and interrupts of counters that have overflowed are
 * pending. */
void pmu_account(struct cpu *c);
/* CPL, or who runs, may be another. For update_mode(). */
void pmu_level(struct cpu *c);
/* RESET, or the state was loaded. */
void pmu_reset(struct cpu *c);
void pmu_loaded(struct cpu *c);
/* The instruction count is about to become ICOUNT, with nothing run by C in between. */
void pmu_pass(struct cpu *c, u64 icount);
struct part pmu_part(struct cpu *c);
void pmu_cpuid(const struct model *m, u32 out[4]); /* leaf 0Ah */
/* The MSRs from IA32_PMC0 to IA32_A_PMC3. False: the value is not valid. */
bool pmu_read_msr(struct cpu *c, u32 index, u64 *v);
bool pmu_write_msr(struct cpu *c, u32 index, u64 v);
bool pmu_global_valid(u64 v); /* may IA32_PERF_GLOBAL_CTRL be this? */
/* The same for PERF_CTLn and PERF_CTRn, and those of the legacy numbers. */
bool pmu_read_perf(struct cpu *c, u32 index, u64 *v);
bool pmu_write_perf(struct cpu *c, u32 index, u64 v);

#endif
