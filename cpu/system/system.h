/* SPDX-License-Identifier: MIT */
/* Shared by the files of cpu/system, beyond cpu.h. */
#ifndef CPU_SYSTEM_H
#define CPU_SYSTEM_H

#include "cpu/jump.h"
#include "cpu/system/fred.h"
#include "cpu/system/mca.h"
#include "cpu/system/vm/svm.h"
#include "cpu/system/vm/vmx.h"

/* A segment or system descriptor (SDM vol. 3, 3.4.5), as a 64-bit number:
 *    63-56 base 31-24 | 55 G | 54 D/B | 53 L | 52 AVL | 51-48 limit 19-16 | 47 P | 46-45 DPL | 44 S | 43-40 type
 *    39-16 base 23-0 | 15-0 limit 15-0
 * A gate: 63-48 offset 31-16 | 47 P | 46-45 DPL | 44 0 | 43-40 type | 36-32 parameters (or 34-32 IST) | 31-16 selector
 * | 15-0 offset 15-0 */
enum {
	SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5, SYS_INT16 = 6,
		SYS_TRAP16 = 7, SYS_TSS = 9,
	SYS_TSS_BUSY = 11, SYS_CALL = 12, SYS_INT = 14, SYS_TRAP = 15, SYS_BUSY = 2,
};
static inline unsigned desc_type(u64 d) { return d >> 40 & 15; }
static inline unsigned desc_dpl(u64 d) { return d >> 45 & 3; }
static inline bool desc_s(u64 d) { return d >> 44 & 1; }
static inline bool desc_present(u64 d) { return d >> 47 & 1; }
static inline bool desc_code(u64 d) { return desc_s(d) && desc_type(d) & SEG_CODE; }
static inline bool desc_data(u64 d) { return desc_s(d) && !(desc_type(d) & SEG_CODE); }
static inline bool desc_writable(u64 d) { return desc_data(d) && desc_type(d) & SEG_W; }
static inline bool desc_conforming(u64 d) { return desc_code(d) && desc_type(d) & SEG_E; }
static inline u16 gate_sel(u64 d) { return (u16)(d >> 16); }
static inline u32 gate_offset(u64 d) { return (u32)(d & 0xffff) | (u32)(d >> 32 & 0xffff0000); }
static inline u64 desc_base(u64 d) { return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000); }
/* The linear address of RIP in the code segment D, whose base 64-bit code ignores. */
static inline u64 code_linear(const struct cpu *c, u64 d, u64 rip)
{
	return in_long(c) && d >> 53 & 1 ? rip : (u32)(desc_base(d) + rip);
}
static inline bool null_sel(u16 sel) { return !(sel & 0xfffc); }

#define DR6_BUS_LOCK (1u << 11) /* of what is reported; DR6 itself has the inverse */
enum { DEBUGCTL_LBR = 1, DEBUGCTL_BUS_LOCK = 1 << 2,
       DEBUGCTL_FREEZE_LBR = 1 << 11, DEBUGCTL_FREEZE_PMU = 1 << 12 /* both on an interrupt */ };
u64 debugctl_bits(const struct model *m); /* those that DEBUGCTL has */
/* Linear address of the LEN-byte descriptor that SEL names; false: SEL is beyond its table, or there is no LDT. No
 * fault is set. */
bool descriptor_address(const struct cpu *c, u16 sel, unsigned len, u64 *linear);
/* Set the accessed bit (S = 1) of the descriptor of SEL if it is clear, in memory and in *DESCRIPTOR. */
bool descriptor_accessed(struct cpu *c, u16 sel, u64 *descriptor);
/* CS := code segment at CPL, after all checks. SS := stack segment. */
void cs_set(struct cpu *c, u16 sel, u64 descriptor, unsigned cpl);
void ss_set(struct cpu *c, u16 sel, u64 descriptor);
/* After CPL became lower in privilege: data segments that the new CPL may not have become null (SDM vol. 2, RET and
 * IRET). */
void segs_revalidate(struct cpu *c);
void seg_null(struct cpu *c, unsigned reg, u16 sel);
/* Flat segments of 4 GBytes, as SYSCALL makes them; L: 64-bit code. */
void flat_cs(struct cpu *c, u16 sel, unsigned dpl, bool l);
void flat_ss(struct cpu *c, u16 sel, unsigned dpl, bool l);
/* The attributes as a saved state has them: those of struct seg, but an unusable segment is not present. And back. */
u16 seg_attributes(const struct seg *s);
void seg_set_attributes(struct seg *s, u32 attr);
/* What RET and IRET ask of CS and SS for a ring that is the same or, if OUTWARDS, an outer one (far.c). */
bool return_code_check(struct cpu *c, u16 sel, bool outwards, u64 *d);
bool return_offset_check(struct cpu *c, u64 d, u64 *rip);
bool return_stack_check(struct cpu *c, u16 sel, u16 cs, u64 cs_d, u64 *d);
/* NMIs are not blocked any more, but those that exit from a VMX guest are not concerned (25.3; iret.c). */
void unblock_nmi(struct cpu *c);
/* EFLAGS as a return loads it: the bits of MASK. */
void return_flags(struct cpu *c, u32 flags, u32 mask);
/* I/O breakpoints, with CR4.DE (debug.c). */
void debug_io(struct cpu *c, u16 port, unsigned size);
/* A memory operand m16:SIZE. */
bool far_pointer(struct cpu *c, const struct op *o, unsigned size, u64 *offset, u16 *sel);
/* The stack of ring CPL from the TSS: #TS(TR) beyond its limit (SDM vol. 3, 6.8.5). SEL is not read in IA-32e mode. */
bool tss_stack(struct cpu *c, unsigned cpl, u64 *rsp, u16 *sel);
/* Entry IST (1-7) of a 64-bit TSS. */
bool tss_ist(struct cpu *c, unsigned ist, u64 *rsp);
/* Checks of a stack segment that comes with a new CPL: faults are VECTOR(sel), but a missing segment is #SS(sel). */
bool stack_check(struct cpu *c, u16 sel, unsigned cpl, unsigned vector, u64 *descriptor);
/* Instruction pointers: within CS's limit, or canonical in 64-bit code; else #GP(0). */
bool code_limit(struct cpu *c, u64 descriptor, u64 rip);
/* What of a 64-bit offset counts in a code segment: compatibility mode has 32 bits (SDM vol. 3, 5.2.1). */
static inline u64 code_offset(const struct cpu *c, u64 descriptor, u64 rip) { return in_long(c) && descriptor >> 53 & 1
	? rip : (u32)rip; }
u32 desc_limit(u64 d);
u32 flags_of_model(const struct cpu *c);              /* bits of EFLAGS that there are, in the present mode */
/* Bits of control registers that the model has. */
u64 cr0_bits(const struct cpu *c);
u64 cr4_bits(const struct model *m);
u64 efer_bits(const struct model *m);
bool pat_valid(u64 v);                                /* eight memory types that there are (11.12.2) */

/* A stack that is being written or read before SS:RSP become it, so that a fault in the middle changes nothing. */
struct stack {
	struct seg seg;
	u64 rsp, mask; /* of the stack pointer */
	bool flat;     /* 64-bit: no base, no limit, canonical addresses only */
	bool inner;    /* of a ring that we are about to enter: supervisor rights */
	/* of the fault that its limit gives: #SS, but a 286 in real mode has #GP for all but interrupts */
	u8 vector;
	u16 error;
};
void stack_current(const struct cpu *c, struct stack *s);
void stack_inner(const struct cpu *c, struct stack *s, u16 sel, u64 descriptor, u64 rsp, bool flat);
/* Room for COUNT words: within the limit; on pages that can be written. What both allow, stack_put can do. */
bool stack_room(struct cpu *c, const struct stack *s, unsigned size, unsigned count);
bool stack_writable(struct cpu *c, const struct stack *s, unsigned size, unsigned count);
bool stack_put(struct cpu *c, struct stack *s, unsigned size, u64 v);
bool stack_get(struct cpu *c, struct stack *s, unsigned size, u64 *v);
/* of a slot of SIZE bytes the first two, which are all that Intel's processors read */
bool stack_get_selector(struct cpu *c, struct stack *s, unsigned size, u64 *sel);

bool sys_check_write(struct cpu *c, u64 linear, unsigned len); /* mem_check_write, with supervisor rights (memory.c) */

static inline void rsp_set(struct cpu *c, u64 rsp)
{
	u64 mask = stack_mask(c);

	c->r[RSP] = mask == 0xffff ? (c->r[RSP] & ~mask) | (rsp & mask) : rsp & mask;
}

/* icount when the instruction that runs now is over. */
static inline u64 icount_after(const struct cpu *c) { return (c->op ? c->end - (u64)(c->n + c->op->left) : c->icount) +
	1; }

/* Interrupts (and, after a stack switch, debug traps) are held off until the next instruction is over. */
static inline void shadow(struct cpu *c, bool ss)
{
	c->shadow_at = icount_after(c);
	c->shadow_ss = ss;
}

/* Are they, at this boundary? */
static inline bool in_shadow(const struct cpu *c) { return c->shadow_at && c->icount == c->shadow_at; }

/* Is there an interrupt that IF alone keeps out? What arrives later calls for attention by itself. */
static inline bool interrupt_waits(const struct cpu *c)
{
	return c->nmi_pending || vmx_proc(c, PROC_INTR_WINDOW) || (vmx_guest(c) && c->vmx->virtual_due) ||
	       (svm_guest(c) && c->svm->virtual & V_IRQ) || (c->apic ? apic_pending(c->apic) : c->intr);
}

/* The number of the Nth MSR (from 0) that the processor has and that can be read, in this mode or another. False: it
 * has no more. */
bool msr_number(const struct cpu *c, unsigned n, u32 *index);

handler h_ud; /* #UD (seg.c) */

/* Like JUMP_HANDLER, for what is often executed: goes on at once where the jump cache knows the way, in the new mode
 * and with the new rights. */
#define LOOK_HANDLER(name) \
	HANDLER(h_##name) \
	{ \
		EXPOSE(o); \
		if (unlikely(!do_##name(c, o))) \
			LEAVE_EXPOSED(EXIT_FAULT); \
		c->attn &= ~(u32)ATTN_MODE; \
		if (unlikely(c->attn || c->eflags & (FL_T | FL_RF))) \
			LEAVE_EXPOSED(EXIT_LOOKUP); \
		LOOK_UP(EXIT_LOOKUP); \
	}
#define GEN_LOOK(name) LOOK_HANDLER(name) GEN(name) { (void)d; o->run = h_##name; }

#endif
