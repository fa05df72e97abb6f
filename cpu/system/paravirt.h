/* SPDX-License-Identifier: MIT */
/* The paravirtual interface of KVM (Linux, Documentation/virt/kvm/x86: cpuid, msr, hypercalls), for guests that ask
 * CPUID whether they run on a hypervisor: a clock in memory, EOI through memory, IPIs to many processors and wake-ups
 * by hypercall. The feature is "kvm" in --cpu. */
#ifndef CPU_PARAVIRT_H
#define CPU_PARAVIRT_H

#include "cpu/cpu.h"

enum { KVM_LEAF = 0x40000000, KVM_LEAVES = 0x100 };

struct paravirt {
	/* The MSRs; bit 0 of the first three enables what lies at the physical address in the other bits. */
	u64 system_time, steal_time, eoi, wall_clock, poll_control;
	bool unhalted;           /* KVM_HC_KICK_CPU while the processor ran: the next HLT does not sleep */
	bool offered;            /* bit 0 at the address of EOI is 1: if the guest clears it, that is an EOI */
	u64 boot_time;           /* seconds since 1970 at virtual time 0 */
};

bool paravirt_new(struct cpu *c, u64 boot_time);
void paravirt_reset(struct cpu *c); /* RESET and INIT */
struct part paravirt_part(struct cpu *c);
/* CPUID leaves from KVM_LEAF on; OUT is 0. */
void paravirt_cpuid(const struct cpu *c, u32 leaf, u32 out[4]);
bool paravirt_read_msr(struct cpu *c, u32 index, u64 *v);
bool paravirt_write_msr(struct cpu *c, u32 index, u64 v);
/* The offset of the TSC has changed. */
void paravirt_clock(struct cpu *c);
/* VMCALL outside of VMX non-root operation. Always true. */
bool paravirt_hypercall(struct cpu *c);
/* HLT: has the processor been woken already? */
bool paravirt_awake(struct cpu *c);
/* The only interrupt in service may end by an EOI through memory. */
void paravirt_offer_eoi(struct cpu *c);
/* Take the offer back. True: the guest has given its EOI. */
bool paravirt_take_eoi(struct cpu *c);

#endif
