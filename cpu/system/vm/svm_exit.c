/* SPDX-License-Identifier: MIT */
/* #VMEXIT (APM vol. 2, 15.6): the guest's state is saved, the host's loaded. */
#include "cpu/observe.h"
#include "cpu/system/system.h"

static void save_guest(struct cpu *c, u64 vmcb)
{
	struct svm *v = c->svm;
	u64 changed = V_TPR | V_GIF | (v->virtual & V_AVIC_ENABLE ? 0 : V_IRQ);

	vmcb_save(c, vmcb, c->r[RIP]);
	vmcb_set(c, vmcb, VMCB_CR2, c->cr2);
	vmcb_set(c, vmcb, VMCB_DR6, c->dr[6]);
	vmcb_set(c, vmcb, VMCB_DR7, c->dr[7]);
	vmcb_set(c, vmcb, VMCB_CPL, c->cpl);
	if (v->nested)
		vmcb_set(c, vmcb, VMCB_G_PAT, c->pat);
	if (v->extensions & LBR_ENABLE)
		vmcb_save_branches(c, vmcb);
	vmcb_set(c, vmcb, VMCB_INTERRUPT_SHADOW, in_shadow(c));
	vmcb_set(c, vmcb, VMCB_V_INTR, (vmcb_get(c, vmcb, VMCB_V_INTR) & ~changed) | (v->virtual & changed));
	if (has(c->model, F_PAUSE_FILTER))
		vmcb_set(c, vmcb, VMCB_PAUSE_FILTER_COUNT, v->pause_filter);
}

static void report(struct cpu *c, u64 vmcb)
{
	const struct svm *v = c->svm;

	vmcb_set(c, vmcb, VMCB_EXITCODE, v->code);
	vmcb_set(c, vmcb, VMCB_EXITINFO1, v->info1);
	vmcb_set(c, vmcb, VMCB_EXITINFO2, v->info2);
	vmcb_set(c, vmcb, VMCB_EXITINTINFO, v->vectoring);
	vmcb_set(c, vmcb, VMCB_EVENTINJ, vmcb_get(c, vmcb, VMCB_EVENTINJ) & ~(u64)EVENT_VALID);
	if (has(c->model, F_NRIPS))
		vmcb_set(c, vmcb, VMCB_NRIP, v->next_rip);
	if (has(c->model, F_DECODE_ASSISTS)) {
		vmcb_set(c, vmcb, VMCB_INSTRUCTION_BYTES_LOW, v->bytes[0] ? get64(v->bytes) : 0);
		vmcb_set(c, vmcb, VMCB_INSTRUCTION_BYTES_HIGH, v->bytes[0] ? get64(v->bytes + 8) : 0);
	}
}

/* The host's state is in its save area, in the form of a VMCB. */
static void load_host(struct cpu *c)
{
	u64 from = c->svm->hsave;

	vmcb_load(c, from);
	c->efer = vmcb_get(c, from, VMCB_EFER) & efer_bits(c->model);
	c->cr0 = (vmcb_get(c, from, VMCB_CR0) & cr0_bits(c)) | CR0_PE | CR0_ET;
	c->cr3 = vmcb_get(c, from, VMCB_CR3);
	c->cr4 = vmcb_get(c, from, VMCB_CR4) & cr4_bits(c->model);
	c->dr[7] = 0x400;
	c->cpl = 0;
	svm_load_flags(c, (u32)vmcb_get(c, from, VMCB_RFLAGS) & ~(u32)FL_VM);
	c->activity = ACTIVITY_RUN;
	c->shadow_at = c->rep_at = 0;
	c->db_pending = c->eflags & FL_T ? 1 << 14 : 0; /* VMRUN is over, in single steps */
	c->monitor_armed = false;
	c->step = 0;
	c->db_fault = false;
}

bool svm_exit(struct cpu *c)
{
	struct svm *v = c->svm;

	if (observes(c, EVENT_VMEXIT))
		observe_event(c, &(struct seen){ .kind = EVENT_VMEXIT, .address = SVM_NUMBER | (v->code & 0xffff),
						 .value = v->info1, .write = true, .name = svm_cause_text(v) });
	report(c, v->vmcb);
	if (v->code != SVM_EXIT_INVALID)
		save_guest(c, v->vmcb);
	svm_forget_guest(c);
	v->gif = false;
	load_host(c);
	cpu_derive(c);
	if (c->cr0 & CR0_PG && c->cr4 & CR4_PAE && !(c->efer & EFER_LMA) && !page_load_pdptes(c, c->cr3))
		return false;
	cpu_attention(c);
	return true;
}
