/* SPDX-License-Identifier: MIT */
/* Popek and Goldberg's classes, derived from the instruction table.
 *
 * Popek and Goldberg (CACM 17(7), 1974): a virtual machine monitor that runs its guest directly, with less privilege, can be built for a processor
 * whose sensitive instructions are all privileged. A row of the table is
 *   privileged           it touches a system resource, and traps at CPL 3
 *   control-sensitive    it changes a system resource, and does not trap
 *   behaviour-sensitive  what it does depends on a system resource, and it does not trap
 *   innocuous            neither
 * What traps is a matter of the monitor's policy. The two here close every door that the processor has for them. */
#ifndef CPU_POPEK_H
#define CPU_POPEK_H

#include "cpu/table/isa.h"

/* The guest runs at CPL 3 with IOPL 0, no ports in the TSS bitmap, CR4.TSD = 1, CR4.PCE = VME = PVI = 0, EFER.SCE = 0 and SYSENTER_CS = 0. */
struct pg_policy {
	const char *name;
	u32 traps; /* CHK_* that make a row trap */
	bool ports; /* rows with a port trap */
	u32 own;   /* SR_* of which the guest has its own */
	bool exits; /* rows with a VM exit trap */
};
extern const struct pg_policy pg_ia32; /* that; it is what the column .pg says */
extern const struct pg_policy pg_umip; /* and CR4.UMIP = 1 */
/* VT-x: the guest runs in VMX non-root operation at whatever CPL it likes. What the VMCS holds for it, or the monitor changes on the way in and out,
 * is its own (SDM vol. 3, 24.4 and 26.3.2); the rest is behind instructions that exit, always or by the execution controls (25.1). */
extern const struct pg_policy pg_vtx;

/* The class of ROW for a processor with all that MODEL has; NULL: with all there is. */
enum pg_class pg_derive(const struct insn *row, const struct model *model, const struct pg_policy *policy);

/* The theorem: rows of MODEL that are sensitive and do not trap, in table order. Returns how many there are; the first MAX are in OUT. None would
 * mean that the processor can be virtualised. */
unsigned pg_theorem(const struct model *model, const struct pg_policy *policy, const struct insn **out, unsigned max);

/* The name under which Robin and Irvine (USENIX Security 2000) count ROW: their MOV is any load of a segment register, their POPF has IRET beside
 * it, their INT n has INT3, INTO and INT1. */
const char *pg_witness(const struct insn *row);

#endif
