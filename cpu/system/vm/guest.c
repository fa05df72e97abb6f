/* SPDX-License-Identifier: MIT */
/* Guests of VMX and SVM: the guard before their instructions, and which of the two decides about an event. Bus locks,
 * which guests and others may be kept from. */
#include "cpu/extended.h"
#include "cpu/system/system.h"

HANDLER(guest_guard)
{
	const struct op *insn = o + 1 + (o->imm & GUARDED ? 1 : 0);
	unsigned opcode = o->imm >> 16 & 0xff;

	if (unlikely(o->imm & GUARDS_EXTENDED)) {
		if (c->vmx)
			memcpy(c->vmx->egpr, insn->extended->egpr, sizeof c->vmx->egpr);
		insn = extended_operands(c, insn);
	}
	c->n = n;
	c->op = insn;
	if (svm_guest(c) && o->imm & 0xff00 ? svm_instruction_exits(c, insn, o->imm >> 8 & 0xff, opcode)
					    : o->imm & 0xff && vmx_instruction_exits(c, insn, o->imm & 0xff, opcode))
		LEAVE(EXIT_FAULT);
	RUN(o + 1);
}

/* ---- bus locks (SDM vol. 3, 8.1.2, 17.3.1.6; 25.2) ---- */

/* Does the instruction O lock the bus: has its operand bytes of two lines, or is it a device's? ABOUT: as below. (Not
 * inline: it has a variable whose address is taken.) */
static __attribute__((noinline)) bool locks_bus(const struct cpu *c, const struct op *o, u32 about)
{
	unsigned size = about & 0xff;
	u64 offset = op_offset(c, o), linear, phys;

	if (about & LOCKS_BITS)
		offset += (u64)(size == 8   ? (s64)REG64(o->src) >> 6
				: size == 4 ? (s64)(s32)REG32(o->src) >> 5
					    : (s64)(s16)REG16(o->src) >> 4) * size;
	linear = linear_address(c, o->seg, offset & op_amask(o));
	if ((linear & 63) + size > 64)
		return true;
	return page_peek(c, linear, &phys) && !space_ram(c->mem, phys & c->mem->mask, 1, NULL); /* as uncacheable memory */
}

/* Both are traps. What detects it is due behind the instruction, which therefore runs alone. */
HANDLER(bus_lock_guard)
{
	const struct op *insn = o + 1;

	if (unlikely(o->imm & LOCKS_EXTENDED))
		insn = extended_operands(c, insn);
	if (likely(!locks_bus(c, insn, (u32)o->imm)))
		RUN(o + 1);
	if (!c->lock_alone) {
		c->r[RIP] = op_rip(c, o);
		c->lock_alone = true;
		c->attn |= ATTN_LINE;
		n += o->left;
		LEAVE(EXIT_LOOKUP);
	}
	if (vmx_secondary(c, SEC_BUS_LOCK))
		c->vmx->apic_exit = VMEXIT_BUS_LOCK;
	if (c->debugctl & DEBUGCTL_BUS_LOCK && c->cpl)
		c->db_pending |= DR6_BUS_LOCK;
	RUN(o + 1);
}

struct port_access port_access(const struct cpu *c, const struct op *o, unsigned opcode)
{
	bool string = opcode < 0x70, imm = !string && !(opcode & 8);
	struct port_access a = { .size = !(opcode & 1) ? 1 : o->osize == 2 ? 2 : 4, .string = string, .imm = imm,
				 .in = string ? opcode < 0x6e : !(opcode & 2), .rep = string && o->rep,
				 .port = (u16)(imm ? o->imm & 0xff : c->r[RDX]) };

	a.seg = a.in ? ES : o->seg == FLAT ? DS : o->seg;
	a.offset = c->r[a.in ? RDI : RSI] & op_amask(o);
	return a;
}

/* ---- events ---- */

bool guest_delivers(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	return svm_guest(c) ? svm_delivers(c, vector, kind, has_error, error)
			    : vmx_delivers(c, vector, kind, has_error, error);
}

void guest_delivered(struct cpu *c)
{
	if (svm_guest(c))
		c->svm->vectoring = 0;
	else
		c->vmx->vectoring = 0;
}

bool guest_exits_within(struct cpu *c)
{
	const struct fault f = c->fault;

	return svm_guest(c) ? svm_exception_exits(c, f.vector, f.error)
			    : vmx_exception_exits(c, f.vector, INT_EXCEPTION, f.has_error, f.error);
}

bool guest_triple_fault(struct cpu *c)
{
	if (vmx_guest(c))
		return !vmx_exits(c, VMEXIT_TRIPLE_FAULT, 0);
	return svm_intercepts(c, SVM_EXIT_SHUTDOWN) && !svm_exits(c, SVM_EXIT_SHUTDOWN, 0, 0);
}

bool guest_exit(struct cpu *c) { return c->svm && c->svm->guest ? svm_exit(c) : vmx_exit(c); }

bool guest_entry_check(const struct cpu *c, struct vm_check *failed)
{
	return vmx_operation(c) ? vmx_entry_check(c, failed) : !c->svm || svm_entry_check(c, failed);
}

bool guest_task_switch(struct cpu *c, u16 sel, enum task_switch how, bool has_error, u32 error)
{
	static const u8 sources[] = { [TASK_CALL] = 0, [TASK_IRET] = 1, [TASK_JMP] = 2, [TASK_INT] = 3,
				      [TASK_EVENT] = 3 };

	if (vmx_guest(c)) /* in every case (25.4.2) */
		return !vmx_exits(c, VMEXIT_TASK_SWITCH, sel | (u64)sources[how] << 30);
	return svm_intercepts(c, SVM_EXIT_TASK_SWITCH) &&
	       !svm_exits(c, SVM_EXIT_TASK_SWITCH, sel,
			  (has_error ? error : 0) | (u64)(how == TASK_IRET) << 36 | (u64)(how == TASK_JMP) << 38 |
			  (u64)has_error << 44 | (c->eflags & FL_RF ? (u64)1 << 48 : 0));
}

/* ---- memory ---- */

u64 vm_read(const struct cpu *c, u64 addr, unsigned size)
{
	const u8 *host = space_ram(c->mem, addr & c->mem->mask, size, NULL);

	return host ? get_size(host, size) : ~(u64)0 >> (64 - 8 * size);
}

void vm_write(struct cpu *c, u64 addr, unsigned size, u64 v)
{
	addr &= c->mem->mask;
	if (unlikely(!space_ram(c->mem, addr, size, NULL)))
		return;
	if (unlikely(c->watch != NULL))
		watch_store(c, NULL, addr, size);
	space_write(c->mem, addr, size, v);
}

bool vm_page_ok(const struct cpu *c, u64 addr)
{
	return !(addr & (PAGE_SIZE - 1)) && !(addr >> c->model->physical_bits);
}

/* ---- the APIC ---- */

bool guest_apic_page(const struct cpu *c, u64 phys)
{
	return svm_guest(c) ? avic_on(c) && !x2avic_on(c) && (phys & PAGE_MASK) == avic_backing_page(c)
			    : vmx_apic_page(c, phys);
}

bool guest_apic_access(struct cpu *c, unsigned offset, unsigned len, enum access kind)
{
	return (svm_guest(c) ? avic_access : vmx_apic_access)(c, offset, len, kind);
}

void guest_apic_read(const struct cpu *c, unsigned offset, u8 *out, unsigned len)
{
	(svm_guest(c) ? avic_read : vmx_apic_read)(c, offset, out, len);
}

void guest_apic_write(struct cpu *c, unsigned offset, const u8 *in, unsigned len)
{
	(svm_guest(c) ? avic_write : vmx_apic_write)(c, offset, in, len);
}

/* ---- the second level of paging ---- */

bool second_level_on(const struct cpu *c) { return ept_on(c) || (svm_guest(c) && c->svm->nested); }

bool second_level_trace(struct cpu *c, u64 guest, enum access kind, struct second_level_trace *t)
{
	if (!second_level_on(c))
		return false;
	(svm_guest(c) ? nested_trace : ept_trace)(c, guest, kind, t);
	return true;
}

bool second_level_writes_entries(const struct cpu *c)
{
	return svm_guest(c) || (vmx_guest(c) && c->vmx->controls.eptp & EPT_AD_ON);
}

/* VMX (27.2.1, table 27-7): bit 7, the linear address is valid; bit 8, it was its translation that failed, and not the
 * access to an entry. SVM (15.25.6): bits 32 and 33 say the same. */
bool second_level_exits(struct cpu *c, const struct second_level *s, u64 guest, u64 linear, bool final, bool pdptes)
{
	u32 reason = s->reason;

	if (svm_guest(c)) {
		svm_exits(c, SVM_EXIT_NPF, s->qualification | (u64)1 << (final ? 32 : 33), guest);
		c->svm->next_rip = 0;
		svm_note_bytes(c);
		return false;
	}
	c->vmx->linear = linear;
	c->vmx->physical = guest;
	if (reason == VMEXIT_EPT_VIOLATION)
		return vmx_violation(c, s, pdptes ? 0 : 0x80 | (final ? 0x100 : 0));
	vmx_exits(c, reason, reason == VMEXIT_APIC_ACCESS ? s->qualification : 0);
	vmx_because(c, VMCS_SECONDARY_CONTROLS, reason == VMEXIT_APIC_ACCESS ? SEC_APIC_ACCESS
		    : reason == VMEXIT_PML ? SEC_PML : SEC_EPT);
	return false;
}
