/* SPDX-License-Identifier: MIT */
/* Interrupts and exceptions: through the IVT or the IDT and on to the handler (SDM vol. 3, chapter 6; vol. 2, INT n).
 * */
#include "cpu/hook.h"
#include "cpu/cet.h"
#include "cpu/system/system.h"

/* ---- delivery in real mode, and to 8086 handlers in virtual-8086 mode ---- */

/* FLAGS, CS and IP are pushed; CS:IP comes from the four bytes at 4 * vector. IMAGE is what is pushed as FLAGS, CLEAR
 * what is cleared. */
static bool through_ivt(struct cpu *c, u64 table, unsigned vector, u32 image, u32 clear)
{
	struct stack s;
	u64 entry;

	stack_current(c, &s);
	s.vector = VEC_SS;
	if (!sys_read(c, table + 4 * vector, 4, &entry))
		return false;
	if (!stack_room(c, &s, 2, 3))
		return false;
	if ((entry & 0xffff) > c->seg[CS].limit)
		return gp_because(c, 0, "the handler's offset is beyond the limit of the code segment (20.1.4)");
	if (!stack_writable(c, &s, 2, 3) || !stack_put(c, &s, 2, image & 0xffff) ||
		!stack_put(c, &s, 2, c->seg[CS].sel) ||
	    !stack_put(c, &s, 2, c->r[RIP] & 0xffff))
		return false;
	c->r[RSP] = s.rsp;
	c->eflags &= ~clear;
	c->r[RIP] = entry & 0xffff;
	seg_load_real(c, CS, (u16)(entry >> 16));
	return true;
}

static bool interrupt_real(struct cpu *c, unsigned vector)
{
	u32 image = cpu_flags(c);

	if (4 * vector + 3 > c->idtr.limit)
		return gp_because(c, 0, "the vector is beyond the limit of the interrupt table (20.1.4)");
	if (!has(c->model, F_I286))
		image |= 0xf000;
	return through_ivt(c, c->idtr.base, vector, image, FL_I | FL_T | FL_RF | FL_AC);
}

/* INT n in virtual-8086 mode with CR4.VME (SDM vol. 3, 20.3.3): does the bitmap below the I/O map send it to the 8086
 * handler? */
static bool redirected(struct cpu *c, unsigned vector, bool *yes)
{
	const struct seg *tr = &c->seg[TR];
	u64 map, byte;

	if (tr->attr & SEG_UNUSABLE || tr->limit < 103)
		return gp_because(c, 0, "CR4.VME is set, and the TSS has no interrupt redirection map (20.3.3)");
	if (!sys_read(c, tr->base + 102, 2, &map))
		return false;
	if (map < 32 || map - 32 + vector / 8 > tr->limit)
		return gp_because(c, 0,
				  "CR4.VME is set, and the interrupt redirection map is not within the TSS (20.3.3)");
	if (!sys_read(c, tr->base + map - 32 + vector / 8, 1, &byte))
		return false;
	*yes = !(byte >> (vector & 7) & 1);
	return true;
}

static bool to_8086_handler(struct cpu *c, unsigned vector)
{
	u32 image = cpu_flags(c);

	if (iopl(c) == 3)
		return through_ivt(c, 0, vector, image, FL_I | FL_T | FL_RF | FL_AC);
	image = (image & ~(u32)FL_I) | FL_IOPL | (image & FL_VIF ? FL_I : 0);
	return through_ivt(c, 0, vector, image, FL_VIF | FL_T | FL_RF | FL_AC);
}

/* ---- delivery through the IDT ---- */

/* The EFLAGS that the handler finds on its stack. RF is set for faults, so that the instruction's own breakpoint does
 * not fire again when it is restarted, but not for that breakpoint itself; and so it is for what comes between two
 * parts of a repeated string instruction (SDM vol. 3, 17.3.1.1). What VM entry injects has RF as it is (26.6.1.1). */
static u32 pushed_flags(const struct cpu *c, unsigned vector, enum interrupt_kind kind)
{
	bool is_fault = kind == INT_EXCEPTION && !(vmx_guest(c) && c->vmx->injecting) &&
		!(vector == VEC_DB && c->db_fault) && vector != VEC_BP && vector != VEC_OF && vector != VEC_NMI &&
			vector != VEC_DF && vector != VEC_MC;

	return cpu_flags(c) | (is_fault || (!c->op && c->rep_at && c->icount == c->rep_at) ? FL_RF : 0);
}

static bool push_v86_segs(struct cpu *c, struct stack *s, unsigned size)
{
	return stack_put(c, s, size, c->seg[GS].sel) && stack_put(c, s, size, c->seg[FS].sel) &&
	       stack_put(c, s, size, c->seg[DS].sel) && stack_put(c, s, size, c->seg[ES].sel);
}

/* The stack of the handler, at ring CPL: this one, the TSS's, or an IST. D: its descriptor. */
static bool handler_stack(struct cpu *c, struct stack *s, bool inner, unsigned cpl, unsigned ist, u16 *sel, u64 *d)
{
	u64 rsp;

	if (!inner && !ist) {
		stack_current(c, s);
		if (in_long(c)) {
			s->flat = true;
			s->mask = ~(u64)0;
			s->rsp &= ~(u64)15;
		}
		return true;
	}
	if (in_long(c)) {
		if (ist ? !tss_ist(c, ist, &rsp) : !tss_stack(c, cpl, &rsp, sel))
			return false;
		*sel = (u16)cpl; /* a null selector */
		stack_inner(c, s, 0, 0, rsp & ~(u64)15, true);
		return canonical(c, rsp) ||
		       fault_because(c, VEC_SS, 0, "the stack pointer in the TSS is not a canonical address (6.14.2)");
	}
	if (!tss_stack(c, cpl, &rsp, sel) || !stack_check(c, *sel, cpl, VEC_TS, d) || !descriptor_accessed(c, *sel, d))
		return false;
	stack_inner(c, s, *sel, *d, rsp, false);
	return true;
}

static bool through_gate(struct cpu *c, u64 gate, u64 gate_high, u32 flags, bool has_error, u32 error)
{
	u16 sel = gate_sel(gate), ss = 0;
	unsigned type = desc_type(gate), size = in_long(c) ? 8 : type & 8 ? 4 : 2, cpl = c->cpl, words;
	u64 offset = gate_offset(gate) | (in_long(c) ? gate_high << 32 : 0), d, ss_d = 0;
	u64 lip = c->cs_base + c->r[RIP];
	u16 cs = c->seg[CS].sel;
	bool v86 = in_v86(c), inner;
	struct shadow_call shadow;
	struct stack s;

	if (!(type & 8))
		offset &= 0xffff;
	if (null_sel(sel))
		return gp_because(c, 0, "the gate holds the null selector (6.12.1)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_GP))
		return false;
	if (!desc_code(d))
		return gp_because(c, sel & 0xfffc, "the gate leads to no code segment (6.12.1)");
	if (desc_dpl(d) > cpl)
		return gp_because(c, sel & 0xfffc, "the DPL of the gate's code segment is above CPL (6.12.1.1)");
	if (in_long(c) && (d >> 53 & 3) != 1)
		return gp_because(c, sel & 0xfffc, "a 64-bit gate leads to 64-bit code only (6.14.1)");
	if (!desc_present(d))
		return fault_because(c, VEC_NP, sel & 0xfffc,
				     "the gate's code segment is not present (bit 47, P, is clear)");
	inner = !desc_conforming(d) && desc_dpl(d) < cpl;
	if (v86 && (!inner || desc_dpl(d) != 0))
		return gp_because(
			c, sel & 0xfffc,
			"an interrupt of virtual-8086 mode is handled by nonconforming code of DPL 0 only (20.3.1)");
	if (inner)
		cpl = desc_dpl(d);
	words = (v86 ? 4 : 0) + (inner || in_long(c) ? 2 : 0) + 3 + has_error;
	if (!handler_stack(c, &s, inner, cpl, in_long(c) ? gate >> 32 & 7 : 0, &ss, &ss_d) ||
	    !stack_room(c, &s, size, words) || !code_limit(c, d, offset) || !stack_writable(c, &s, size, words) ||
	    !shadow_call_check(c, &shadow, cpl, in_long(c) ? gate >> 32 & 7 : 0, in_long(c)) ||
	    !descriptor_accessed(c, sel, &d))
		return false;
	if (v86 && !push_v86_segs(c, &s, size))
		return false;
	if ((inner || in_long(c)) && !(stack_put(c, &s, size, c->seg[SS].sel) && stack_put(c, &s, size, c->r[RSP])))
		return false;
	if (!stack_put(c, &s, size, flags) || !stack_put(c, &s, size, c->seg[CS].sel) ||
	    !stack_put(c, &s, size, c->r[RIP]))
		return false;
	if (has_error && !stack_put(c, &s, size, error))
		return false;
	/* Nothing can fault any more. */
	c->eflags &= ~(u32)(FL_T | FL_NT | FL_RF | FL_VM | (type & 1 ? 0 : FL_I));
	if (v86) {
		seg_null(c, GS, 0);
		seg_null(c, FS, 0);
		seg_null(c, DS, 0);
		seg_null(c, ES, 0);
	}
	cs_set(c, sel, d, cpl);
	if (inner)
		ss_set(c, ss, ss_d);
	c->r[RSP] = s.rsp;
	c->r[RIP] = offset;
	shadow_call_do(c, &shadow, cs, lip);
	return true;
}

static bool through_task_gate(struct cpu *c, u64 gate, u32 flags, enum task_switch how, bool has_error, u32 error)
{
	u16 sel = gate_sel(gate);
	u64 d;

	if (sel & 4)
		return gp_because(c, sel & 0xfffc, "the task gate names a TSS through the LDT (7.2.5)");
	if (!descriptor_read(c, sel, &d, NULL, VEC_GP))
		return false;
	if (desc_s(d) || (desc_type(d) != SYS_TSS && desc_type(d) != SYS_TSS16))
		return gp_because(c, sel & 0xfffc, "the task gate names no available TSS (7.2.5)");
	if (!desc_present(d))
		return fault_because(c, VEC_NP, sel & 0xfffc,
				     "the task gate's TSS is not present (bit 47, P, is clear)");
	c->eflags |= flags & FL_RF; /* for the image in the old TSS */
	return task_switch(c, sel, d, how, c->r[RIP], has_error, error);
}

static bool through_idt(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	unsigned size = in_long(c) ? 16 : 8, types = 1 << SYS_INT | 1 << SYS_TRAP;
	u32 idt_error = vector * 8 + 2, flags = pushed_flags(c, vector, kind);
	bool software = kind == INT_SOFTWARE || kind == INT_SOFT_EXC;
	u64 gate, high = 0, linear = c->idtr.base + vector * size;

	if (!in_long(c))
		types |= 1 << SYS_INT16 | 1 << SYS_TRAP16 | 1 << SYS_TASK_GATE;
	if (vector * size + size - 1 > c->idtr.limit)
		return gp_because(c, idt_error, "the vector is beyond the limit of the IDT (6.10)");
	if (!sys_read(c, linear, 8, &gate) || (in_long(c) && !sys_read(c, linear + 8, 8, &high)))
		return false;
	if (desc_s(gate) || !(types >> desc_type(gate) & 1))
		return gp_because(
			c, idt_error,
			in_long(c) ? "the IDT's entry is neither a 64-bit interrupt gate nor a trap gate (6.14.1)"
				   : "the IDT's entry is no interrupt, trap or task gate (6.11)");
	if (software && desc_dpl(gate) < c->cpl)
		return gp_because(c, idt_error,
				  "CPL is above the gate's DPL: this INT instruction may not use it (6.12.1.2)");
	if (!desc_present(gate))
		return fault_because(c, VEC_NP, idt_error, "the gate is not present (bit 47, P, is clear)");
	if (desc_type(gate) == SYS_TASK_GATE)
		return through_task_gate(c, gate, flags, software || kind == INT_ICEBP ? TASK_INT : TASK_EVENT,
					 has_error, error);
	return through_gate(c, gate, (u32)high, flags, has_error, error);
}

static bool deliver(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	if (!(c->cr0 & CR0_PE))
		return interrupt_real(c, vector);
	if (unlikely(fred_on(c)))
		return fred_deliver(c, vector, kind, has_error ? error : 0, pushed_flags(c, vector, kind));
	if (in_v86(c) && kind == INT_SOFTWARE) {
		bool yes = false;

		if (c->cr4 & CR4_VME && !redirected(c, vector, &yes))
			return false;
		if (yes)
			return to_8086_handler(c, vector);
		if (iopl(c) < 3)
			return gp_because(c, 0,
					  "the interrupt redirection map names the IDT, and IOPL is not 3 (20.3.3)");
	}
	return through_idt(c, vector, kind, has_error, error);
}

/* Those who want to hear of it, before anything changes: where RIP is still the instruction's. */
static void tell(struct cpu *c, unsigned vector, enum interrupt_kind kind, u32 error)
{
	enum event_kind event = kind == INT_EXTERNAL ? EVENT_INTERRUPT : EVENT_EXCEPTION;

	if (observes(c, event))
		observe_event(c, &(struct seen){ .kind = event, .address = vector, .value = error, .write = true,
			.cause = (u8)kind,
			.name = kind == INT_EXCEPTION && c->fault.vector == vector ? c->fault.why : NULL });
}

bool interrupt(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	bool nmi = vector == VEC_NMI && kind == INT_EXTERNAL;
	u64 from = c->r[RIP] - c->moved;

	if (unlikely(in_guest(c)) && !guest_delivers(c, vector, kind, has_error, error))
		return false;
	if (kind < INT_SOFTWARE && hooked(c, HOOK_EXCEPTION | HOOK_INTERRUPT) &&
	    !hook_interrupt(c, vector, kind, has_error ? error : 0))
		return true;
	if (kind < INT_SOFTWARE)
		tell(c, vector, kind, has_error ? error : 0);
	if (!deliver(c, vector, kind, has_error, error)) {
		const struct fault *f = &c->fault;

		/* EXT: it happened while something that is not the program's doing was delivered (SDM vol. 3, 6.13). */
		if (f->has_error && f->vector >= VEC_TS && f->vector <= VEC_GP && kind != INT_SOFTWARE &&
		    kind != INT_SOFT_EXC)
			c->fault.error |= 1;
		return false;
	}
	if (unlikely(c->mode & MODE_LBR))
		lbr_interrupt(c, from, kind >= INT_SOFTWARE);
	if (unlikely(in_guest(c)))
		guest_delivered(c);
	if (nmi && vmx_pin(c, PIN_VIRTUAL_NMI))
		c->vmx->virtual_nmi_blocked = true;
	else if (nmi)
		c->nmi_blocked = true;
	/* A single step that was due is not any more, also one that MOV SS held back; data breakpoints stay pending
	 * (SDM vol. 3, 6.8.3). */
	c->step = 0;
	c->rep_at = 0;
	c->db_pending &= ~((u64)1 << 14);
	if (kind == INT_ICEBP) { /* one #DB for all reasons */
		c->dr[6] = (c->dr[6] | c->db_pending) & ~(c->db_pending & DR6_BUS_LOCK);
		c->db_pending = 0;
	}
	if (vector == VEC_DB && (kind == INT_EXCEPTION || kind == INT_TRAP || kind == INT_ICEBP)) {
		c->dr[7] &= ~((u64)1 << 13); /* GD */
		c->debugctl &= ~(u64)3;      /* LBR, BTF */
		if (unlikely(c->mode & MODE_LBR))
			update_mode(c);
	}
	return true;
}

/* ---- exceptions on the way to exceptions ---- */

enum { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE };
static int fault_class(unsigned vector)
{
	switch (vector) {
	case VEC_DE: case VEC_TS: case VEC_NP: case VEC_SS: case VEC_GP: case VEC_CP: return CONTRIBUTORY;
	case VEC_PF: case VEC_VE: return PAGE_FAULT;
	case VEC_DF: return DOUBLE;
	default: return BENIGN;
	}
}

/* SDM vol. 3, table 6-5. */
static bool makes_double(int first, int second)
{
	if (first == CONTRIBUTORY)
		return second == CONTRIBUTORY;
	return first == PAGE_FAULT && (second == CONTRIBUTORY || second == PAGE_FAULT);
}

static void note(struct cpu *c, const struct fault *f)
{
	if (c->chain_len == ARRAY_LEN(c->chain)) { /* the first, which all others follow from, stays */
		memmove(c->chain + 1, c->chain + 2, sizeof c->chain - 2 * sizeof *c->chain);
		c->chain_len--;
	}
	c->chain[c->chain_len++] = (struct fault_note){ f->vector, f->has_error, f->error, c->seg[CS].sel, c->r[RIP],
		c->cr2, f->why };
}

bool deliver_fault(struct cpu *c)
{
	struct fault f = c->fault;

	c->chain_len = 0;
	if (f.vector == FAULT_VMEXIT)
		return guest_exit(c);
	/* Benign ones can follow each other, but each leads on to a harder one or to a handler: a few rounds at most.
	 * */
	for (unsigned round = 0; round < 16; round++) {
		int first = fault_class(f.vector), second;

		if (first != DOUBLE)
			note(c, &f);
		if (interrupt(c, f.vector, INT_EXCEPTION, f.has_error, f.error))
			return true;
		if (c->fault.vector == FAULT_VMEXIT)
			return guest_exit(c);
		second = fault_class(c->fault.vector);
		if (first == DOUBLE && second != BENIGN) {
			note(c, &c->fault);
			return in_guest(c) && guest_triple_fault(c) && guest_exit(c);
		}
		if (makes_double(first, second)) {
			if (in_guest(c) && guest_exits_within(c))
				return guest_exit(c);
			note(c, &c->fault);
			f = c->fault = (struct fault){ .vector = VEC_DF, .has_error = true };
		} else {
			f = c->fault;
		}
	}
	return vmx_secondary(c, SEC_TIMEOUT) && vmx_times_out(c);
}

/* ---- INT, INT3, INTO, INT1 ---- */

/* The handler returns to the next instruction. If there is no way to it, the fault is this one's. */
ALWAYS_INLINE bool software(struct cpu *c, const struct op *o, unsigned vector, enum interrupt_kind kind)
{
	u64 rip = c->r[RIP];
	bool ok;

	if (hooked(c, HOOK_EXCEPTION) && !hook_interrupt(c, vector, kind, 0)) {
		if (c->all->hooks->stopped)
			return fault(c, FAULT_HOOK);
		c->r[RIP] = next_rip(c, o);
		return true;
	}
	tell(c, vector, kind, 0);
	c->r[RIP] = next_rip(c, o);
	c->moved = c->r[RIP] - rip;
	ok = interrupt(c, vector, kind, false, 0);
	c->moved = 0;
	if (!ok)
		c->r[RIP] = rip;
	return ok;
}

BODY(int) { return software(c, o, o->imm & 0xff, INT_SOFTWARE); }
BODY(int3) { return software(c, o, VEC_BP, INT_SOFT_EXC); }
BODY(int1) { return software(c, o, VEC_DB, INT_ICEBP); }
BODY(into)
{
	if (flag_o(c))
		return software(c, o, VEC_OF, INT_SOFT_EXC);
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_LOOK(int)
GEN_LOOK(int3)
GEN_LOOK(int1)
GEN_LOOK(into)
