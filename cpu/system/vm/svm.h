/* SPDX-License-Identifier: MIT */
/* Secure Virtual Machine (APM vol. 2, chapter 15; appendices B and C).
 *
 *   svm.c            instructions, MSRs, state              svm_entry.c   VMRUN: checks, guest state
 *   svm_intercept.c  which instructions and events exit     svm_exit.c    back to the host
 *   vmcb.def         the VMCB                               page.c        nested page tables: a walk like any other
 *   svm_text.c       numbers in words, for people           svm_avic.c    the guest's APIC
 * */
#ifndef CPU_SVM_H
#define CPU_SVM_H

#include "cpu/system/vm/guest.h"

/* A field of the VMCB: its offset, and its bytes << 12. */
enum vmcb_field {
#define VMCB(offset, bytes, name) VMCB_##name = (offset) | (bytes) << 12,
#include "cpu/system/vm/vmcb.def"
#undef VMCB
};

/* Exit codes (appendix C). Up to BFh they are the numbers of the intercepts' bits, from offset 0 of the VMCB on. */
enum svm_exit {
#define X(name, code) SVM_EXIT_##name = code,
	INTERCEPTS(X)
#undef X
	SVM_EXIT_EXCEPTION = 0x40, SVM_EXIT_INTR = 0x60, SVM_EXIT_NMI, SVM_EXIT_SMI, SVM_EXIT_INIT, SVM_EXIT_VINTR,
	SVM_EXIT_CR0_SEL_WRITE, SVM_EXIT_TASK_SWITCH = 0x7d, SVM_EXIT_FERR_FREEZE, SVM_EXIT_SHUTDOWN,
	SVM_EXIT_MWAIT_CONDITIONAL = 0x8c, SVM_EXIT_NPF = 0x400, SVM_EXIT_AVIC_INCOMPLETE_IPI,
	SVM_EXIT_AVIC_NOACCEL,
};
#define SVM_EXIT_INVALID (~(u64)0)

/* Offset 60h, virtual interrupts:
 *    39-32 vector | 31 AVIC is on | 30 x2AVIC, its form for MSRs | 25 virtual GIF is on | 24 V_INTR_MASKING
 *    20 ignore the TPR | 19-16 priority
 *    9 virtual GIF | 8 V_IRQ | 7-0 V_TPR */
enum { V_TPR = 0xff, V_IRQ = 1 << 8, V_GIF = 1 << 9, V_IGN_TPR = 1 << 20, V_INTR_MASKING = 1 << 24,
       V_GIF_ENABLE = 1 << 25 };
#define V_AVIC_ENABLE (1u << 31)
#define V_X2AVIC_ENABLE (1u << 30)
/* EVENTINJ, EXITINTINFO: 63-32 error code | 31 valid | 11 error code is valid | 10-8 type | 7-0 vector */
#define EVENT_VALID (1u << 31)
#define EVENT_ERROR (1u << 11)
enum { SVM_EVENT_INTR = 0, SVM_EVENT_NMI = 2, SVM_EVENT_EXCEPTION = 3, SVM_EVENT_SOFTWARE = 4 };
enum { NP_ENABLE = 1 };                       /* offset 90h */
enum { LBR_ENABLE = 1, VMSAVE_ENABLE = 2 };   /* offset B8h */
enum { VM_CR_R_INIT = 2, VM_CR_LOCK = 8, VM_CR_SVMDIS = 0x10 };

struct svm {
	bool guest, gif;
	u64 vmcb;                /* physical address, of VMRUN; NO_VMCS: there was none */
	u64 hsave, vm_cr, tsc_ratio; /* MSRs VM_HSAVE_PA, VM_CR, TSC_RATIO */
	/* What VMRUN has read. */
	u32 intercepts[6];
	u64 iopm, msrpm, tsc_offset, virtual, ncr3, extensions /* offset B8h */;
	bool nested, host_if;
	u64 host_cr4, host_efer; /* of which the nested tables have their format */
	u64 inject;              /* EVENTINJ, before the guest's first instruction; 0: nothing. Or svm_avic.c's */
	u32 pause_count, pause_filter, pause_threshold;
	u64 pause_last;          /* TSC of the last PAUSE */
	/* Of the event that is being delivered to the guest, as EXITINTINFO; 0: none is. */
	u64 vectoring;
	bool injecting;          /* it is not subject to the intercepts of exceptions */
	/* Why FAULT_VMEXIT is in c->fault. */
	u64 code, info1, info2, next_rip;
	const char *why;         /* a constant, for people alone; NULL: the intercept says it */
	u8 bytes[16];            /* how many of the instruction there are, and they */
};

/* ---- svm.c ---- */
u64 vmcb_get(const struct cpu *c, u64 vmcb, enum vmcb_field f);
void vmcb_set(struct cpu *c, u64 vmcb, enum vmcb_field f, u64 v);
/* The segment register I of an area like that of the VMCB. */
struct seg vmcb_get_segment(const struct cpu *c, u64 vmcb, unsigned i);
void vmcb_set_segment(struct cpu *c, u64 vmcb, unsigned i);
/* The state that both VMRUN and #VMEXIT save, the host's or the guest's, with RIP as given, to an area like that of the
 * VMCB. */
void vmcb_save(struct cpu *c, u64 vmcb, u64 rip);
/* Load from such an area all that VMRUN and #VMEXIT load alike: not control and debug registers, EFER, RFLAGS, CPL. */
void vmcb_load(struct cpu *c, u64 vmcb);
/* Call EACH for every field of the VMCB at the physical address VMCB; of the last VMRUN: false, there was none. */
void vmcb_each_at(const struct cpu *c, u64 vmcb, void (*each)(void *user, const char *name, u32 offset, u64 value),
		  void *user);
bool vmcb_each(const struct cpu *c, void (*each)(void *user, const char *name, u32 offset, u64 value), void *user);
/* The records of branches, of a guest that has its own (15.23). */
void vmcb_save_branches(struct cpu *c, u64 vmcb);
bool svm_new(struct cpu *c);
struct part svm_part(struct cpu *c);
void svm_reset(struct cpu *c, bool init);
void svm_forget_guest(struct cpu *c);
bool svm_read_msr(struct cpu *c, u32 index, u64 *v);
bool svm_write_msr(struct cpu *c, u32 index, u64 v);
/* The global interrupt flag is 0: interrupts, NMI, SMI, INIT wait, and breakpoints are not seen (15.17). */
static inline bool gif_clear(const struct cpu *c) { return c->svm && !c->svm->gif; }
/* The guest's TPR is in the VMCB, and the host's IF masks interrupts (15.21.1). */
static inline bool svm_masks(const struct cpu *c) { return svm_guest(c) && c->svm->virtual & V_INTR_MASKING; }

/* ---- svm_intercept.c ---- */
static inline bool svm_bit(const struct svm *v, u32 code) { return v->intercepts[code / 32] >> (code % 32) & 1; }
static inline bool svm_intercepts(const struct cpu *c, u32 code) { return svm_bit(c->svm, code); } /* the guest exits */
/* It does, at the instruction under way. Returns false. */
bool svm_exits(struct cpu *c, u64 code, u64 info1, u64 info2);
void svm_note_bytes(struct cpu *c); /* that exit tells the bytes of the instruction at RIP */
bool svm_instruction_exits(struct cpu *c, const struct op *o, enum intercept intercept, unsigned opcode);
bool svm_exception_exits(struct cpu *c, unsigned vector, u32 error);
bool svm_delivers(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error);
bool svm_virtual_due(const struct cpu *c, bool shadow); /* a virtual interrupt can be taken */
bool svm_boundary(struct cpu *c); /* inject what VMRUN said, or take it. False: a fault, or the exit, is in c->fault */

/* ---- svm_avic.c: OFFSET is that in the page of an APIC ---- */
static inline bool avic_on(const struct cpu *c) { return svm_guest(c) && c->svm->virtual & V_AVIC_ENABLE; }
static inline bool x2avic_on(const struct cpu *c) { return avic_on(c) && c->svm->virtual & V_X2AVIC_ENABLE; }
/* The MSR INDEX, of 800h to 8FFh, with x2AVIC. Does an access exit? The others are false where it is #GP. */
bool avic_msr_exits(struct cpu *c, u32 index, bool write);
bool avic_read_msr(const struct cpu *c, u32 index, u64 *v);
bool avic_write_msr(struct cpu *c, u32 index, u64 v);
u64 avic_backing_page(const struct cpu *c);
/* As vmx_apic_access(), vmx_apic_read() and vmx_apic_write(). */
bool avic_access(struct cpu *c, unsigned offset, unsigned len, enum access kind);
void avic_read(const struct cpu *c, unsigned offset, u8 *out, unsigned len);
void avic_write(struct cpu *c, unsigned offset, const u8 *in, unsigned len);
void avic_write_tpr(struct cpu *c, u32 v);
void avic_evaluate(struct cpu *c);         /* is an interrupt of the guest's IRR due? */
unsigned avic_acknowledge(struct cpu *c);  /* it is in service now; 0: there is none any more */
bool avic_doorbell(struct cpu *c, u32 index, u64 id); /* WRMSR */
bool avic_exits(struct cpu *c);            /* as c->svm->inject says. Returns false */

/* ---- svm_entry.c ---- */
bool svm_entry_check(const struct cpu *c, struct vm_check *failed); /* guest_entry_check() with the VMCB at rAX */
void svm_load_flags(struct cpu *c, u32 flags); /* of what VMRUN and #VMEXIT load */

/* ---- svm_text.c: for people; CODE is an exit code of 16 bits ---- */
const char *svm_exit_name(u32 code);             /* NULL: there is no such */
const char *svm_cause_text(const struct svm *v); /* why the guest exits */
/* What EXITINFO1 of an exit means, and the value of a field of the VMCB, as vmcs_text() writes it. */
size_t svm_exit_text(u32 code, u64 info1, char *at, size_t size);
size_t vmcb_text(u32 offset, u64 v, char *at, size_t size);

/* ---- page.c: nested page tables, for people ---- */
void nested_trace(struct cpu *c, u64 guest, enum access kind, struct second_level_trace *t);

/* ---- svm_exit.c ---- */
bool svm_exit(struct cpu *c); /* false: the host's state is not valid */

#endif
