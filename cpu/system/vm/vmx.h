/* SPDX-License-Identifier: MIT */
/* Virtual-machine extensions (SDM vol. 3, chapters 23 to 28).
 *
 *   vmcs.c           the VMCS and its instructions       vmx_entry.c   VMLAUNCH, VMRESUME: checks, guest state
 *   vmx.c            VMXON, VMXOFF, capability MSRs      vmx_exit.c    back to the host
 *   vmx_intercept.c  which instructions and events exit  ept.c         extended page tables
 *   vmx_text.c       values in words, for people
 *   vmx_apic.c       the virtual APIC
 * */
#ifndef CPU_VMX_H
#define CPU_VMX_H

#include "cpu/system/vm/guest.h"

/* What a field needs: bits of the secondary controls, or these above them. */
#define ALWAYS 0
#define NEEDS_PMU ((u64)1 << 32)
#define NEEDS_CET ((u64)1 << 33)
#define NEEDS_PKS ((u64)1 << 34)
#define NEEDS_TERTIARY ((u64)1 << 35)
#define NEEDS_MSR_LIST ((u64)1 << 36)
#define NEEDS_IPI ((u64)1 << 37)
#define NEEDS_FRED ((u64)1 << 38)
#define NEEDS_APX ((u64)1 << 39)
enum vmcs_field {
#define VMCS(encoding, name, needs) VMCS_##name = encoding,
#include "cpu/system/vm/vmcs.def"
#undef VMCS
};

/* Controls (SDM vol. 3, 24.6 to 24.8). */
enum { PIN_INTR = 1, PIN_NMI = 1 << 3, PIN_VIRTUAL_NMI = 1 << 5, PIN_TIMER = 1 << 6,
       PIN_POSTED = 1 << 7 };
#define PROC_INTR_WINDOW (1u << 2)
#define PROC_TSC_OFFSET (1u << 3)
#define PROC_HLT (1u << 7)
#define PROC_INVLPG (1u << 9)
#define PROC_MWAIT (1u << 10)
#define PROC_RDPMC (1u << 11)
#define PROC_RDTSC (1u << 12)
#define PROC_CR3_LOAD (1u << 15)
#define PROC_CR3_STORE (1u << 16)
#define PROC_TERTIARY (1u << 17)
#define PROC_CR8_LOAD (1u << 19)
#define PROC_CR8_STORE (1u << 20)
#define PROC_TPR_SHADOW (1u << 21)
#define PROC_NMI_WINDOW (1u << 22)
#define PROC_MOV_DR (1u << 23)
#define PROC_IO (1u << 24)
#define PROC_IO_BITMAPS (1u << 25)
#define PROC_TRAP_FLAG (1u << 27)
#define PROC_MSR_BITMAPS (1u << 28)
#define PROC_MONITOR (1u << 29)
#define PROC_PAUSE (1u << 30)
#define PROC_SECONDARY (1u << 31)
enum { SEC_APIC_ACCESS = 1, SEC_EPT = 1 << 1, SEC_TABLES = 1 << 2, SEC_RDTSCP = 1 << 3, SEC_X2APIC = 1 << 4,
       SEC_VPID = 1 << 5, SEC_WBINVD = 1 << 6, SEC_UNRESTRICTED = 1 << 7, SEC_APIC_REGISTERS = 1 << 8,
       SEC_VIRTUAL_INTR = 1 << 9, SEC_PLE = 1 << 10, SEC_RDRAND = 1 << 11, SEC_INVPCID = 1 << 12, SEC_VMFUNC = 1 << 13,
       SEC_SHADOW = 1 << 14, SEC_RDSEED = 1 << 16, SEC_PML = 1 << 17, SEC_VE = 1 << 18, SEC_XSAVES = 1 << 20,
       SEC_PASID = 1 << 21, SEC_MBEC = 1 << 22, SEC_TSC_SCALING = 1 << 25, SEC_USER_WAIT = 1 << 26,
       SEC_BUS_LOCK = 1 << 30 };
#define SEC_TIMEOUT (1u << 31)
enum { TERTIARY_IPI = 1 << 4, TERTIARY_MSR_LIST = 1 << 6 };
enum { EXIT_SAVE_DEBUG = 1 << 2, EXIT_HOST_64 = 1 << 9, EXIT_ACK_INTR = 1 << 15, EXIT_SAVE_PAT = 1 << 18,
       EXIT_LOAD_PAT = 1 << 19, EXIT_SAVE_EFER = 1 << 20, EXIT_LOAD_EFER = 1 << 21, EXIT_SAVE_TIMER = 1 << 22,
       EXIT_LOAD_PERF = 1 << 12, EXIT_LOAD_CET = 1 << 28, EXIT_LOAD_PKRS = 1 << 29 };
enum { ENTRY_LOAD_DEBUG = 1 << 2, ENTRY_LONG = 1 << 9, ENTRY_LOAD_PAT = 1 << 14, ENTRY_LOAD_EFER = 1 << 15,
       ENTRY_LOAD_PERF = 1 << 13, ENTRY_LOAD_CET = 1 << 20, ENTRY_LOAD_PKRS = 1 << 22, ENTRY_LOAD_FRED = 1 << 23 };
#define EXIT_SECONDARY (1u << 31)
enum { EXIT2_SAVE_FRED = 1, EXIT2_LOAD_FRED = 2 }; /* secondary VM-exit controls */

/* Interruption information (24.8.3, 24.9.2):
 *    31 valid | 13 nested | 12 NMI unblocked by IRET, undefined for vectoring | 11 error code | 10-8 type
 *    7-0 vector */
#define INTERRUPTION_VALID (1u << 31)
#define INTERRUPTION_UNBLOCKED (1u << 12)
#define INTERRUPTION_ERROR (1u << 11)
#define INTERRUPTION_NESTED (1u << 13) /* within the delivery of another event, with FRED */
enum { EVENT_TYPE_EXTERNAL = 0, EVENT_TYPE_NMI = 2, EVENT_TYPE_HARDWARE = 3, EVENT_TYPE_SOFTWARE = 4,
       EVENT_TYPE_PRIVILEGED = 5, EVENT_TYPE_SOFT_EXCEPTION = 6, EVENT_TYPE_OTHER = 7 };

/* Interruptibility (24.4.2). */
enum { BLOCKED_BY_STI = 1, BLOCKED_BY_MOV_SS = 2, BLOCKED_BY_SMI = 4, BLOCKED_BY_NMI = 8 };

enum { VMCS_REVISION = 0x11 };
#define VMCS_SHADOW (1u << 31) /* of the revision identifier: a shadow VMCS */
#define VM_FUNCTIONS 1u        /* EPTP switching */
/* Bits of an exit reason. */
#define ENTRY_FAILURE (1u << 31)
#define AFTER_BUS_LOCK (1u << 26)

/* The controls that the VM entry has read. */
struct vmx_controls {
	u32 pin, proc, secondary, exit, entry, exceptions, pf_mask, pf_match, cr3_targets, tpr_threshold,
		ple_gap, ple_window;
	u64 cr0_mask, cr0_shadow, cr4_mask, cr4_shadow, cr3_target[4];
	u64 io_a, io_b, msr_bitmap, virtual_apic, apic_access, tsc_offset, eptp, xss_bitmap;
};

/* Why the guest exits: bit BIT of the control FIELD is 1, or WHY. Neither: it always does. For people alone. */
struct vmx_cause {
	enum vmcs_field field;
	u32 bit;                 /* its mask */
	const char *why;         /* a constant */
};

struct vmx {
	bool on, guest;          /* VMX operation; non-root. In SMM without `on', guest: CR4.VMXE was 1 */
	u64 vmxon, current;      /* physical addresses; NO_VMCS: there is no current VMCS */
	struct vmx_controls controls;
	/* Of the event that is being delivered to the guest, as IDT-vectoring information; 0: none is. */
	u32 vectoring, vectoring_error, vectoring_length;
	/* An event that the VM entry injects, before the guest's first instruction. */
	u32 inject, inject_error, inject_length;
	bool injecting;          /* it is being delivered: not subject to the exception bitmap */
	bool virtual_nmi_blocked;
	bool timer_due, trap_flag_due;
	u32 apic_exit;           /* due behind the instruction: reason | qualification << 8 (29.1.2, 29.1.4, 29.4.3) */
	bool virtual_due;        /* a pending virtual interrupt is recognised (29.2.1) */
	struct event timer;      /* VMX-preemption timer */
	/* Why FAULT_VMEXIT is in c->fault. */
	u32 reason, interruption, error, length, info;
	u64 extended_info, vectoring_data; /* of processors with APX, with FRED */
	u8 egpr[EGPR_SLOTS];     /* registers that the slots of the instruction under way stand for */
	u64 qualification, linear, physical;
	struct vmx_cause cause;
	u64 pause_first, pause_last; /* TSC of PAUSE in a loop: the first, the last */
	u64 dr6, db_bits;        /* DR6 before a #DB that may become an exit; the bits that it reports */
};

/* Field I of a row of them, from FIRST on; the segments have that order. */
static inline enum vmcs_field vmcs_nth(enum vmcs_field first, unsigned i) { return (enum vmcs_field)(first + 2 * i); }
static inline unsigned vmx_segment(unsigned i) { return i <= GS ? i : LDTR + (i - GS - 1); }

/* CR0 and CR4 as the guest reads them; what a write of V leaves of the host's bits. */
static inline u64 vmx_owned(u64 old, u64 v, u64 host) { return (old & host) | (v & ~host); }
static inline u64 vmx_cr0(const struct cpu *c)
{
	return vmx_guest(c) ? vmx_owned(c->vmx->controls.cr0_shadow, c->cr0, c->vmx->controls.cr0_mask) : c->cr0;
}
static inline u64 vmx_cr4(const struct cpu *c)
{
	return vmx_guest(c) ? vmx_owned(c->vmx->controls.cr4_shadow, c->cr4, c->vmx->controls.cr4_mask) : c->cr4;
}
/* SMM leaves VMX operation, and RSM is back in it (31.14). The two tell what there was before, also in SMM. */
static inline bool vmx_operation(const struct cpu *c) { return c->vmx && c->vmx->on && !c->smm; }
static inline bool vmx_nonroot(const struct cpu *c) { return vmx_operation(c) && c->vmx->guest; } /* MODE_GUEST */
/* In non-root operation with one of these controls. */
static inline bool vmx_pin(const struct cpu *c, u32 bits) { return vmx_guest(c) && c->vmx->controls.pin & bits; }
/* A guest whose NMIs exit, and that has virtual ones, blocks those. */
static inline bool vmx_nmi_blocked(const struct cpu *c)
{
	return vmx_pin(c, PIN_VIRTUAL_NMI) ? c->vmx->virtual_nmi_blocked : c->nmi_blocked;
}
static inline bool vmx_proc(const struct cpu *c, u32 bits) { return vmx_guest(c) && c->vmx->controls.proc & bits; }
static inline bool vmx_secondary(const struct cpu *c, u32 bits)
{
	return vmx_guest(c) && c->vmx->controls.secondary & bits;
}

/* ---- vmcs.c ---- */
u64 vmcs_get(const struct cpu *c, enum vmcs_field field); /* of the current VMCS, which there is */
void vmcs_set(struct cpu *c, enum vmcs_field field, u64 v);
bool vmcs_is_shadow(const struct cpu *c);                 /* the current VMCS: no guest can be entered with it */
/* Call EACH for every field of the current VMCS that the model has. False: there is none. */
bool vmcs_each(const struct cpu *c, void (*each)(void *user, const char *name, u32 encoding, u64 value), void *user);
bool vmcs_launched(const struct cpu *c);
void vmcs_set_launched(struct cpu *c, bool on);
void vmcs_set_abort(struct cpu *c, u32 why); /* the VMX-abort indicator (27.7) */
u64 vmx_capability(const struct cpu *c, u32 index);       /* MSRs 480h to 493h */
u32 vmx_secondary_allowed(const struct model *m);
u64 vmx_tertiary_allowed(const struct model *m);
bool vmx_exit2(const struct cpu *c, u32 exit, u64 bits);  /* with the controls EXIT, one of these secondary ones */
bool vmx_tertiary(const struct cpu *c, u64 bits);         /* in non-root operation with one of these controls */
/* VMfailInvalid or VMfailValid with the number ERROR (30.4); VMsucceed. All return true: the instruction retires. */
bool vmx_fail(struct cpu *c, u32 error);
bool vmx_succeed(struct cpu *c);

/* ---- vmx.c ---- */
bool vmx_new(struct cpu *c);
struct part vmx_part(struct cpu *c);
void vmx_reset(struct cpu *c);
void vmx_forget_guest(struct cpu *c); /* there is none: no event of its, no control */
/* What VMX operation demands of a value of CR0, CR4. */
bool vmx_cr0_ok(const struct cpu *c, u64 v);
/* SMI: CR4.VMXE is kept where SMM does not see it. RSM: back to VMX operation, whose bits of CR0 and CR4 are set. */
void vmx_smi(struct cpu *c);
void vmx_rsm(struct cpu *c);
bool vmx_cr4_ok(const struct cpu *c, u64 v);
/* ---- vmx_entry.c ---- */
/* Would a VM entry with the current VMCS, if there is one, come through its checks? False: *FAILED is the first that
 * it does not. */
bool vmx_entry_check(const struct cpu *c, struct vm_check *failed);

/* ---- vmx_text.c ---- */
const char *vmx_exit_name(u32 reason);  /* NULL: there is no such */
const char *vmx_error_name(u32 number); /* of a VM-instruction error */
const char *vmx_cause_text(const struct vmx_cause *cause);
/* What the value V of a field means, as snprintf writes it; nothing if the number is all that there is to say. */
size_t vmx_exit_text(u32 reason, u64 qualification, char *at, size_t size); /* the same, of an exit */
size_t vmcs_text(u32 field, u64 v, char *at, size_t size);

/* ---- vmx_intercept.c ---- */
/* Exit for REASON (appendix C) at the instruction that is under way. Returns false. */
bool vmx_exits(struct cpu *c, u32 reason, u64 qualification);
/* That is because of these bits of a control. */
static inline void vmx_because(struct cpu *c, enum vmcs_field field, u32 bits)
{
	c->vmx->cause = (struct vmx_cause){ field, bits, NULL };
}
/* Does an access of the instruction under way to the MSR INDEX exit for EXIT? */
/* Does the translation of a guest's PASID, for ENQCMD or ENQCMDS, exit for EXIT (25.5.9)? */
bool vmx_pasid_exits(struct cpu *c, u32 exit, u32 pasid, u64 qualification);
/* What the instruction that exits is, in the form of the field of 64 bits; a general register in it. */
void vmx_describe(struct cpu *c, u64 info);
unsigned vmx_register(const struct cpu *c, u8 off);
bool vmx_msr_exits(struct cpu *c, u32 exit, u32 index, bool write);
/* Does the instruction O, with OPCODE, exit for EXIT, or fault? */
bool vmx_instruction_exits(struct cpu *c, const struct op *o, u32 exit, unsigned opcode);
/* Does the exception exit, by the exception bitmap? */
bool vmx_exception_exits(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error);
/* An event is about to be delivered to the guest. False: it exits instead. */
bool vmx_delivers(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error);
/* What is due before the next instruction: the reason of an exit, VMX_DUE_*, or 0. SHADOW: STI or MOV SS blocks. */
enum { VMX_DUE_INJECT = 0x100, VMX_DUE_VIRTUAL /* a virtual interrupt */ };
unsigned vmx_due(const struct cpu *c, bool shadow);
/* Do it. False: a fault, or the exit, is in c->fault. */
bool vmx_boundary(struct cpu *c, unsigned due);

/* Has it not come to the end of an instruction for too long? Then leave the guest for that. False: VMX abort. */
bool vmx_timed_out(const struct cpu *c);
bool vmx_times_out(struct cpu *c);

/* ---- vmx_exit.c ---- */
/* Leave the guest for c->vmx->reason. False: VMX abort. */
bool vmx_exit(struct cpu *c);
/* CR0 := V, but for the bits that entries and exits leave alone (26.3.2.1, 27.5.1). */
void vmx_load_cr0(struct cpu *c, u64 v);
/* IA32_S_CET, SSP and IA32_INTERRUPT_SSP_TABLE_ADDR := the fields from FIRST on. */
void vmx_load_cet(struct cpu *c, enum vmcs_field first);
/* The MSRs of FRED := the fields from FIRST on, IA32_FRED_CONFIG. */
void vmx_load_fred(struct cpu *c, enum vmcs_field first);
/* MSR-load area: false at the entry that cannot be loaded, *failed counts from 1. */
bool vmx_load_msrs(struct cpu *c, u64 area, u32 count, u32 *failed);

/* ---- vmx_apic.c: OFFSET is that in the page of an APIC ---- */
u32 vmx_read_tpr(const struct cpu *c);
void vmx_write_tpr(struct cpu *c, u32 v);
/* Is PHYS in the APIC-access page of the guest? */
static inline bool vmx_apic_page(const struct cpu *c, u64 phys)
{
	return vmx_secondary(c, SEC_APIC_ACCESS) && (phys & PAGE_MASK) == c->vmx->controls.apic_access;
}
/* An access of LEN bytes to that page. False: it exits. Else the virtual APIC has its register. */
bool vmx_apic_access(struct cpu *c, unsigned offset, unsigned len, enum access kind);
void vmx_apic_read(const struct cpu *c, unsigned offset, u8 *out, unsigned len);
void vmx_apic_write(struct cpu *c, unsigned offset, const u8 *in, unsigned len);
/* Has the virtual APIC the MSR INDEX, of 800h to 8FFh? A write is false where it is #GP. */
bool vmx_apic_has_msr(const struct cpu *c, u32 index, bool write);
u64 vmx_apic_read_msr(const struct cpu *c, u32 index);
bool vmx_apic_write_msr(struct cpu *c, u32 index, u64 v);
/* A guest's SENDUIPI notifies: VECTOR is for the processor of the guest that has the APIC ID. False: there is no
 * virtual APIC. */
bool vmx_apic_sends(struct cpu *c, u32 id, u8 vector);
void vmx_apic_enter(struct cpu *c); /* at the end of a VM entry */
/* The virtual interrupt that is due, which is in service now. */
unsigned vmx_apic_acknowledge(struct cpu *c);
/* Is the external interrupt VECTOR the notification of posted interrupts? Then these are pending now. */
bool vmx_apic_posted(struct cpu *c, unsigned vector);

/* ---- ept.c ---- */
enum { EPT_AD_ON = 0x40 }; /* of EPTP: A and D flags are on */
/* Where guest-physical GUEST is, for an access of KIND, in the end to a user-mode linear address if USER. EFFECTS: may
 * A and D flags be set, and pages be logged? */
struct second_level ept_walk(struct cpu *c, u64 guest, enum access kind, bool user, bool effects);
void ept_trace(struct cpu *c, u64 guest, enum access kind, struct second_level_trace *t);
bool ept_pointer_ok(const struct cpu *c, u64 eptp); /* 26.2.1.1 */
/* The violation WHY, with the further bits ABOUT of the qualification, of c->vmx->physical: an exit or #VE. Returns
 * false. */
bool vmx_violation(struct cpu *c, const struct second_level *why, u64 about);
static inline bool ept_on(const struct cpu *c) { return vmx_secondary(c, SEC_EPT); }

#endif
