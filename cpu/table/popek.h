/* SPDX-License-Identifier: MIT */
/* Popek and Goldberg's classes, derived from the instruction table.
 *
 * Popek and Goldberg (CACM 17(7), 1974), theorem 1: a virtual machine monitor that runs its guest directly, with less
 * privilege, can be built for a processor whose sensitive instructions are all privileged. A row of the table is
 *   privileged           it touches a system resource, and traps where the guest runs
 *   control-sensitive    it changes a system resource, and does not trap
 *   behaviour-sensitive  what it does depends on a system resource, and it does not trap
 *   innocuous            neither
 * What traps, and which resources the guest has for itself, is a matter of the monitor's policy.
 *
 * Theorem 3: a hybrid monitor, which interprets all that the guest does outside of its user mode (here: CPL 3) and runs
 * only that directly, can be built if the instructions that are sensitive in user mode are all privileged there. The
 * guest's user mode is the processor's: the CPL is the same, selectors have the same RPL, EFLAGS.AC is the program's.
 * IF and IOPL are not: the guest's system chooses them, the monitor keeps its own. */
#ifndef CPU_POPEK_H
#define CPU_POPEK_H

#include "cpu/table/isa.h"

enum pg_exits { NO_EXITS, VTX_EXITS, SVM_EXITS };

struct pg_policy {
	const char *name;
	u32 traps;         /* CHK_* that make a row trap in the guest's kernel */
	u32 user_traps;    /* and at CPL 3 */
	bool ports;        /* rows with a port trap in the guest's kernel. At CPL 3 they always do */
	u32 own;           /* SR_* of which the guest has its own */
	enum pg_exits exits;
};
/* The whole guest runs at CPL 3 with IOPL 0, no ports in the TSS bitmap, CR4.TSD = 1, CR4.PCE = VME = PVI = 0,
 * EFER.SCE = 0 and SYSENTER_CS = 0. The column .pg has the classes of this policy. */
extern const struct pg_policy pg_ia32;
extern const struct pg_policy pg_umip; /* and CR4.UMIP = 1 */
/* Ring compression: the guest's CPL 0 is CPL 1, the rest as in pg_ia32. Paging protects nothing from CPL 1: the monitor
 * needs segment limits. */
extern const struct pg_policy pg_ring1;
extern const struct pg_policy pg_ring1_iopl; /* with IOPL 1, so that the guest's kernel reaches ports without a trap */
/* VT-x: the guest runs in VMX non-root operation at whatever CPL it likes. What the VMCS holds for it, or the monitor
 * changes on the way in and out, is its own: an instruction acts on the guest's state, and needs no exit (SDM vol. 3,
 * 24.4 and 26.3.2). The rest is behind instructions that exit, always or by the execution controls (25.1). */
extern const struct pg_policy pg_vtx;
/* SVM: the same with the VMCB (APM vol. 2, 15.5 and appendix B) and its intercepts (15.9). */
extern const struct pg_policy pg_svm;

/* The class of ROW for a processor with all that MODEL has; NULL: with all there is. */
enum pg_class pg_derive(const struct insn *row, const struct model *model, const struct pg_policy *policy);
/* The same for the states with CPL 3 alone, in which a hybrid monitor runs its guest. */
enum pg_class pg_derive_user(const struct insn *row, const struct model *model, const struct pg_policy *policy);

/* Theorem 1: rows of MODEL that are sensitive and do not trap, in table order. Returns how many there are; the first
 * MAX are in OUT. None would mean that the processor can be virtualised. */
unsigned pg_theorem(const struct model *model, const struct pg_policy *policy, const struct insn **out, unsigned max);

/* The name under which Robin and Irvine (USENIX Security 2000) count ROW: their MOV is any load of a segment register, their POPF has IRET beside
 * it, their INT n has INT3, INTO and INT1. */
const char *pg_witness(const struct insn *row);

#endif
