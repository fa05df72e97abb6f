/* SPDX-License-Identifier: MIT */
/* VMX operation: VMXON, VMXOFF, what it asks of control registers, its state (SDM vol. 3, 23.6 to 23.8, chapter 30). */
#include <stdlib.h>
#include "cpu/system/paravirt.h"
#include "cpu/system/system.h"

enum { FEATURE_LOCKED = 1, FEATURE_VMX = 4 /* outside SMX */ };

bool vmx_cr0_ok(const struct cpu *c, u64 v)
{
	u64 ones = CR0_NE;

	if (!vmx_operation(c))
		return true;
	if (!vmx_secondary(c, SEC_UNRESTRICTED))
		ones |= CR0_PE | CR0_PG;
	return (v & ones) == ones;
}

bool vmx_cr4_ok(const struct cpu *c, u64 v) { return !vmx_operation(c) || v & CR4_VMXE; }

/* 31.14.1 */
void vmx_smi(struct cpu *c)
{
	if (!c->vmx->on)
		c->vmx->guest = c->cr4 & CR4_VMXE;
}

/* 31.14.2 */
void vmx_rsm(struct cpu *c)
{
	struct vmx *v = c->vmx;
	bool unrestricted = v->on && v->guest && v->controls.secondary & SEC_UNRESTRICTED;
	u16 dpl = (c->seg[SS].attr & SEG_DPL) >> 5;

	if (v->on || v->guest)
		c->cr4 |= CR4_VMXE;
	if (!v->on) {
		v->guest = false;
		return;
	}
	c->cr0 |= CR0_NE | (unrestricted ? 0 : CR0_PE | CR0_PG);
	if (!(c->eflags & FL_VM) && !unrestricted) {
		c->seg[CS].sel = (u16)((c->seg[CS].sel & ~3) | dpl);
		c->seg[SS].sel = (u16)((c->seg[SS].sel & ~3) | dpl);
	}
}

BODY(vmxon)
{
	struct vmx *v = c->vmx;
	u64 addr;

	if (v->on)
		return vmx_fail(c, 15);
	if ((c->feature_control & (FEATURE_LOCKED | FEATURE_VMX)) != (FEATURE_LOCKED | FEATURE_VMX))
		return gp_because(c, 0, "IA32_FEATURE_CONTROL does not allow it, or is not locked (23.7)");
	if ((c->cr0 & (CR0_NE | CR0_PE | CR0_PG)) != (CR0_NE | CR0_PE | CR0_PG))
		return gp_because(c, 0, "VMX operation wants CR0.NE, PE and PG (23.8)");
	if (!op_load(c, o, 8, &addr))
		return false;
	v->current = NO_VMCS;
	if (!vm_page_ok(c, addr) || vm_read(c, addr, 4) != VMCS_REVISION)
		return vmx_fail(c, 0);
	v->on = true;
	v->vmxon = addr;
	return vmx_succeed(c);
}
GEN_BODY(vmxon)

BODY(vmxoff)
{
	(void)o;
	c->vmx->on = false;
	c->vmx->vmxon = c->vmx->current = NO_VMCS;
	attend(c, ATTN_LINE); /* an INIT may have been held off */
	return vmx_succeed(c);
}
GEN_BODY(vmxoff)

/* A hypercall, or, as there is no SMM monitor to call, an error (30.3, VMCALL). */
BODY(vmcall)
{
	u64 rip = next_rip(c, o);

	if (c->paravirt ? !paravirt_hypercall(c) : !vmx_fail(c, 1))
		return false;
	c->r[RIP] = rip;
	return true;
}
GEN_LOOK(vmcall)

/* The translations of all guests go, whichever are named (28.4.3.3 lets them). */
static bool descriptor(struct cpu *c, const struct op *o, u64 out[2])
{
	u8 image[16];

	if (!op_load_block(c, o, image, sizeof image))
		return false;
	out[0] = get64(image);
	out[1] = get64(image + 8);
	return true;
}

BODY(invept)
{
	u64 type = reg_get(c, o->dst, in_64(c) ? 8 : 4), d[2];

	if (!(vmx_secondary_allowed(c->model) & SEC_EPT))
		return fault_ud(c);
	if (type != 1 && type != 2)
		return vmx_fail(c, 28);
	if (!descriptor(c, o, d))
		return false;
	if (type == 1 && !ept_pointer_ok(c, d[0]))
		return vmx_fail(c, 28);
	tlb_forget_guests(c);
	return vmx_succeed(c);
}
GEN_BODY(invept)

BODY(invvpid)
{
	u64 type = reg_get(c, o->dst, in_64(c) ? 8 : 4), d[2];

	if (!(vmx_secondary_allowed(c->model) & SEC_VPID))
		return fault_ud(c);
	if (type > 3)
		return vmx_fail(c, 28);
	if (!descriptor(c, o, d))
		return false;
	if (d[0] >> 16 || (type != 2 && !d[0]) || (type == 0 && !canonical_base(c->model, d[1])))
		return vmx_fail(c, 28);
	tlb_forget_guests(c);
	return vmx_succeed(c);
}
GEN_BODY(invvpid)

/* EPTP switching, which is the only VM function (25.5.6.3). */
BODY(vmfunc)
{
	struct vmx_controls *k = &c->vmx->controls;
	u32 function = (u32)c->r[RAX], index = (u32)c->r[RCX];
	u64 eptp;

	if (!(k->secondary & SEC_VMFUNC))
		return fault_ud(c);
	if (function > 63 || !(vmcs_get(c, VMCS_VM_FUNCTION_CONTROLS) >> function & 1) || index > 511)
		return vmx_exits(c, VMEXIT_VMFUNC, 0);
	eptp = vm_read(c, vmcs_get(c, VMCS_EPTP_LIST) + 8 * (u64)index, 8);
	if (!ept_pointer_ok(c, eptp))
		return vmx_exits(c, VMEXIT_VMFUNC, 0);
	vmcs_set(c, VMCS_EPT_POINTER, eptp);
	if (vmx_secondary_allowed(c->model) & SEC_VE)
		vmcs_set(c, VMCS_EPTP_INDEX, index);
	k->eptp = eptp;
	tlb_flush(c, true);
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_LOOK(vmfunc)

/* ---- state ---- */

static void timer_fired(void *cpu, u64 late)
{
	struct cpu *c = cpu;

	(void)late;
	c->vmx->timer_due = true;
	cpu_attention(c);
}

bool vmx_new(struct cpu *c)
{
	c->vmx = calloc(1, sizeof *c->vmx);
	if (!c->vmx)
		return false;
	snprintf(c->vmx_name, sizeof c->vmx_name, "vmx%u", c->id);
	clock_add(c->clock, &c->vmx->timer, c->vmx_name, timer_fired, c);
	return true;
}

void vmx_forget_guest(struct cpu *c)
{
	struct vmx *v = c->vmx;

	if (v->timer.when != CLOCK_NEVER)
		clock_arm(c->clock, &v->timer, CLOCK_NEVER);
	v->timer_due = v->trap_flag_due = v->virtual_due = v->injecting = v->virtual_nmi_blocked = false;
	v->inject = v->vectoring = v->apic_exit = 0;
	memset(&v->controls, 0, sizeof v->controls);
}

void vmx_reset(struct cpu *c)
{
	struct vmx *v = c->vmx;

	vmx_forget_guest(c);
	v->on = v->guest = false;
	v->vmxon = v->current = NO_VMCS;
	tlb_forget(c);
}

#define VMX(member, kind) FIELD(struct vmx, member, kind)
static const struct field vmx_fields[] = {
	VMX(on, BOOL), VMX(guest, BOOL), VMX(vmxon, U64), VMX(current, U64),
	VMX(controls.pin, U32), VMX(controls.proc, U32), VMX(controls.secondary, U32), VMX(controls.exit, U32),
	VMX(controls.entry, U32), VMX(controls.exceptions, U32), VMX(controls.pf_mask, U32),
	VMX(controls.pf_match, U32), FIELD_MAX(struct vmx, controls.cr3_targets, U32, 4),
	VMX(controls.tpr_threshold, U32), VMX(controls.cr0_mask, U64), VMX(controls.cr0_shadow, U64),
	VMX(controls.cr4_mask, U64), VMX(controls.cr4_shadow, U64), FIELDS(struct vmx, controls.cr3_target, U64),
	VMX(controls.io_a, U64), VMX(controls.io_b, U64), VMX(controls.msr_bitmap, U64),
	VMX(controls.virtual_apic, U64), VMX(controls.tsc_offset, U64), VMX(controls.eptp, U64),
	VMX(controls.xss_bitmap, U64), VMX(controls.ple_gap, U32), VMX(controls.ple_window, U32),
	VMX(pause_first, U64), VMX(pause_last, U64), VMX(inject, U32), VMX(inject_error, U32), VMX(inject_length, U32),
	VMX(virtual_nmi_blocked, BOOL), VMX(timer_due, BOOL), VMX(trap_flag_due, BOOL),
	FIELD(struct vmx, timer, EVENT), VMX(controls.apic_access, U64), VMX(apic_exit, U32), VMX(virtual_due, BOOL),
	FIELD_END
};

/* A state may say anything: a guest needs VMX operation and a VMCS. */
static void vmx_post_load(void *vmx)
{
	struct vmx *v = vmx;

	if (v->on && v->current == NO_VMCS)
		v->guest = false;
	v->injecting = false;
	v->vectoring = 0;
}

struct part vmx_part(struct cpu *c)
{
	return (struct part){ .name = c->vmx_name, .state = c->vmx, .fields = vmx_fields, .post_load = vmx_post_load };
}
