/* SPDX-License-Identifier: MIT */
/* What VMX and SVM have in common. A guest is what runs in VMX non-root operation, or after VMRUN. It exits by a fault
 * whose vector is FAULT_VMEXIT: the instruction has not retired, and guest_exit() is the delivery. */
#ifndef CPU_GUEST_H
#define CPU_GUEST_H

#include "cpu/op.h"

enum { FAULT_VMEXIT = 0xff, VEC_SX = 30 /* of SVM */ };
/* For people: with this bit, the number of an exit or of a field is SVM's: an exit code of 16 bits, an offset in the
 * VMCB. Without it: a basic exit reason, an encoding of the VMCS. */
#define SVM_NUMBER 0x10000u
#define NO_VMCS (~(u64)0) /* in place of the physical address of a VMCS or VMCB: there is none */

static inline bool vmx_guest(const struct cpu *c) { return c->mode & MODE_GUEST; }
static inline bool svm_guest(const struct cpu *c) { return c->mode & MODE_SVM_GUEST; }
static inline bool in_guest(const struct cpu *c) { return c->mode & (MODE_GUEST | MODE_SVM_GUEST); }

/* Before an operation: imm: its row's exit from VMX | its row's intercept of SVM << 8 | its opcode << 16 | GUARDED. */
enum { GUARDED = 1 << 24 /* another guard stands between */, GUARDS_EXTENDED = 1 << 25 /* cpu/extended.h */ };
handler guest_guard;
/* Before one that may lock the bus, in a guest or not: imm: bytes of its operand in memory | LOCKS_* */
enum { LOCKS_BITS = 1 << 8 /* a register selects the bit */, LOCKS_EXTENDED = 1 << 9 /* cpu/extended.h */ };
handler bus_lock_guard;

/* What the port instruction O, with OPCODE, does. */
struct port_access {
	u16 port;
	unsigned size, seg;      /* bytes; the segment of a string's operand */
	bool string, in, imm, rep;
	u64 offset;              /* of a string's operand */
};
struct port_access port_access(const struct cpu *c, const struct op *o, unsigned opcode);

/* An event is about to be delivered to the guest. False: it exits instead. */
bool guest_delivers(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error);
void guest_delivered(struct cpu *c);
/* In c->fault is an exception that came up while another one was delivered. True: it exits, before it can become a
 * double fault. */
bool guest_exits_within(struct cpu *c);
bool guest_triple_fault(struct cpu *c); /* true: it exits */
/* Leave the guest for what FAULT_VMEXIT stands for. False: the processor shuts down. */
bool guest_exit(struct cpu *c);
/* What a VM entry or VMRUN checks and finds wrong: the field, and what the manual demands of it, a constant that goes
 * on from the field's value: "is ..., lacks ...". */
struct vm_check { u32 field; const char *rule; };
/* Would the entry come through its checks, with the current VMCS, or with the VMCB at rAX? True also if there is none.
 * False: *FAILED is the first that it does not come through. */
bool guest_entry_check(const struct cpu *c, struct vm_check *failed);
bool guest_task_switch(struct cpu *c, u16 sel, enum task_switch how, bool has_error, u32 error); /* true: it exits */

/* Numbers in the structures of a monitor, which are in RAM. A device in their place is not written, and reads as ones.
 */
u64 vm_read(const struct cpu *c, u64 addr, unsigned size);
void vm_write(struct cpu *c, u64 addr, unsigned size, u64 v);
static inline bool vm_bit(const struct cpu *c, u64 table, u32 n) { return vm_read(c, table + n / 8, 1) >> (n & 7) & 1; }
bool vm_page_ok(const struct cpu *c, u64 addr); /* a physical address of a structure that begins at a page */

/* Is the page at PHYS that of the guest's APIC, virtualised by APIC accesses of VMX, or by AVIC? It is never in the
 * TLB. */
bool guest_apic_page(const struct cpu *c, u64 phys);
/* An access of LEN bytes to OFFSET in it. False: it exits. Else the virtual APIC has its register. */
bool guest_apic_access(struct cpu *c, unsigned offset, unsigned len, enum access kind);
void guest_apic_read(const struct cpu *c, unsigned offset, u8 *out, unsigned len);
void guest_apic_write(struct cpu *c, unsigned offset, const u8 *in, unsigned len);

/* The second level of paging, from guest-physical to physical addresses: EPT, nested page tables. */
struct second_level {
	u64 physical;            /* of the guest-physical address itself */
	bool write;              /* a write changes nothing in the tables and is allowed */
	bool refused;            /* it is not mapped, or not for this access */
	u32 reason;              /* VMX: of the exit */
	u64 qualification;       /* bits 0 to 6 of it; SVM: of EXITINFO1 */
	bool convertible;        /* VMX: an EPT violation that may be a #VE instead (25.5.7) */
};
/* The walk for people: its entries, and why it ends with an exit. */
enum { SECOND_LEVELS = 5 };
struct second_level_trace {
	unsigned count, culprit; /* entries that were read; the one that forbids it */
	u64 at[SECOND_LEVELS], entry[SECOND_LEVELS];
	const char *why;         /* NULL: it is allowed */
};
bool second_level_on(const struct cpu *c);
/* False: it is not on. */
bool second_level_trace(struct cpu *c, u64 guest, enum access kind, struct second_level_trace *t);
/* Of a structure that an instruction reads and writes. False: the exit is in c->fault (page.c). */
bool second_level_translate(struct cpu *c, u64 guest, u64 *physical);
/* An access to an entry of the guest's own tables counts as a write. */
bool second_level_writes_entries(const struct cpu *c);
/* GUEST is refused, and LINEAR led there. FINAL: as its translation, else to an entry. PDPTES: no linear address did,
 * PDPTEs are loaded. Returns false, with the exit. */
bool second_level_exits(struct cpu *c, const struct second_level *s, u64 guest, u64 linear, bool final, bool pdptes);

#endif
