/* SPDX-License-Identifier: MIT */
/* VM exits (SDM vol. 3, chapter 27): the guest's state is saved, the host's loaded. */
#include "cpu/observe.h"
#include "cpu/system/system.h"

void vmx_load_cr0(struct cpu *c, u64 v)
{
	const u64 kept = CR0_ET | CR0_CD | CR0_NW;

	c->cr0 = (v & cr0_bits(c) & ~kept) | (c->cr0 & kept);
}

/* ---- MSR areas: 16 bytes each, 31-0 the index, 127-64 the value (24.7.2) ---- */

enum { MSRS_MAX = 512 }; /* IA32_VMX_MISC, bits 27-25, recommends no more */

bool vmx_load_msrs(struct cpu *c, u64 area, u32 count, u32 *failed)
{
	for (u32 i = 0; i < count; i++) {
		u64 at = area + 16 * (u64)i;
		u32 index = (u32)vm_read(c, at, 4);

		*failed = i + 1;
		/* bases that the entry or exit loads otherwise; x2APIC's registers; IA32_SMM_MONITOR_CTL (26.4) */
		if (i == MSRS_MAX || vm_read(c, at + 4, 4) || index == 0xc0000100 || index == 0xc0000101 ||
		    index >> 8 == 8 || index == 0x9b || !write_msr(c, index, vm_read(c, at + 8, 8)))
			return false;
	}
	return true;
}

static bool store_msrs(struct cpu *c, u64 area, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u64 at = area + 16 * (u64)i, v;
		u32 index = (u32)vm_read(c, at, 4);

		if (i == MSRS_MAX || vm_read(c, at + 4, 4) || index >> 8 == 8 || index == 0x9e ||
		    !read_msr(c, index, &v))
			return false;
		vm_write(c, at + 8, 8, v);
	}
	return true;
}

/* ---- the guest's state (27.3) ---- */

static void save_fred(struct cpu *c)
{
	const u64 *from_rsp1 = &c->fred->rsp[1];

	vmcs_set(c, VMCS_GUEST_FRED_CONFIG, c->fred->config);
	for (unsigned i = 1; i <= 7; i++)
		vmcs_set(c, vmcs_nth(VMCS_GUEST_FRED_CONFIG, i), from_rsp1[i - 1]);
}

static void save_registers(struct cpu *c, const struct vmx_controls *k)
{
	vmcs_set(c, VMCS_GUEST_CR0, c->cr0);
	vmcs_set(c, VMCS_GUEST_CR3, c->cr3);
	vmcs_set(c, VMCS_GUEST_CR4, c->cr4);
	if (k->exit & EXIT_SAVE_DEBUG) {
		vmcs_set(c, VMCS_GUEST_DR7, c->dr[7]);
		vmcs_set(c, VMCS_GUEST_DEBUGCTL, c->debugctl);
	}
	if (k->exit & EXIT_SAVE_PAT)
		vmcs_set(c, VMCS_GUEST_PAT, c->pat);
	if (k->exit & EXIT_SAVE_EFER)
		vmcs_set(c, VMCS_GUEST_EFER, c->efer);
	if (vmx_capability(c, 0x484) >> 32 & ENTRY_LOAD_CET) {
		vmcs_set(c, VMCS_GUEST_S_CET, c->s_cet);
		vmcs_set(c, VMCS_GUEST_SSP, c->ssp);
		vmcs_set(c, VMCS_GUEST_INTERRUPT_SSP_TABLE, c->interrupt_ssp_table);
	}
	if (vmx_capability(c, 0x484) >> 32 & ENTRY_LOAD_PKRS)
		vmcs_set(c, VMCS_GUEST_PKRS, c->pkrs);
	if (vmx_exit2(c, k->exit, EXIT2_SAVE_FRED))
		save_fred(c);
	vmcs_set(c, VMCS_ENTRY_CONTROLS, (k->entry & ~(u32)ENTRY_LONG) | (c->efer & EFER_LMA ? ENTRY_LONG : 0));
	vmcs_set(c, VMCS_GUEST_SYSENTER_CS, c->sysenter_cs);
	vmcs_set(c, VMCS_GUEST_SYSENTER_ESP, c->sysenter_esp);
	vmcs_set(c, VMCS_GUEST_SYSENTER_EIP, c->sysenter_eip);
	vmcs_set(c, VMCS_GUEST_GDTR_BASE, c->gdtr.base);
	vmcs_set(c, VMCS_GUEST_GDTR_LIMIT, c->gdtr.limit);
	vmcs_set(c, VMCS_GUEST_IDTR_BASE, c->idtr.base);
	vmcs_set(c, VMCS_GUEST_IDTR_LIMIT, c->idtr.limit);
	vmcs_set(c, VMCS_GUEST_RSP, c->r[RSP]);
	vmcs_set(c, VMCS_GUEST_RIP, c->r[RIP]);
	vmcs_set(c, VMCS_GUEST_RFLAGS, cpu_flags(c));
	for (unsigned i = 0; i < 8; i++) {
		const struct seg *s = &c->seg[vmx_segment(i)];
		bool stack = vmx_segment(i) == SS && !(c->eflags & FL_VM);
		u32 attr = stack ? (s->attr & ~(u32)SEG_DPL) | c->cpl << 5 : s->attr;

		vmcs_set(c, vmcs_nth(VMCS_GUEST_ES_SELECTOR, i), s->sel);
		vmcs_set(c, vmcs_nth(VMCS_GUEST_ES_BASE, i), s->base);
		vmcs_set(c, vmcs_nth(VMCS_GUEST_ES_LIMIT, i), s->limit);
		vmcs_set(c, vmcs_nth(VMCS_GUEST_ES_RIGHTS, i), attr);
	}
	if (k->secondary & SEC_EPT)
		for (unsigned i = 0; i < 4; i++)
			vmcs_set(c, vmcs_nth(VMCS_GUEST_PDPTE0, i), c->pdpte[i]);
}

static void save_conditions(struct cpu *c, const struct vmx_controls *k)
{
	static const u8 activities[] = { [ACTIVITY_HALT] = 1, [ACTIVITY_SHUTDOWN] = 2, [ACTIVITY_WAIT_SIPI] = 3,
					 [ACTIVITY_FERR] = 0 };
	const struct vmx *v = c->vmx;
	bool held = in_shadow(c);
	u64 block = held ? c->shadow_ss ? BLOCKED_BY_MOV_SS : BLOCKED_BY_STI : 0, left;

	if (k->pin & PIN_VIRTUAL_NMI ? v->virtual_nmi_blocked : c->nmi_blocked)
		block |= BLOCKED_BY_NMI;
	vmcs_set(c, VMCS_GUEST_INTERRUPTIBILITY, block);
	vmcs_set(c, VMCS_GUEST_ACTIVITY, activities[c->activity]);
	vmcs_set(c, VMCS_GUEST_PENDING_DEBUG, (c->db_pending & 0x400f) | (c->db_pending & 15 ? 1 << 12 : 0));
	if (k->exit & EXIT_SAVE_TIMER) {
		left = v->timer_due || v->timer.when <= c->clock->now ? 0 : v->timer.when - c->clock->now;
		vmcs_set(c, VMCS_PREEMPTION_TIMER, left);
	}
}

/* ---- the host's state (27.5) ---- */

void vmx_load_cet(struct cpu *c, enum vmcs_field first)
{
	c->s_cet = vmcs_get(c, first);
	c->ssp = vmcs_get(c, vmcs_nth(first, 1));
	c->interrupt_ssp_table = vmcs_get(c, vmcs_nth(first, 2));
}

void vmx_load_fred(struct cpu *c, enum vmcs_field first)
{
	u64 *from_rsp1 = &c->fred->rsp[1]; /* on to the end, in the order of the fields */

	c->fred->config = vmcs_get(c, first);
	for (unsigned i = 1; i <= 7; i++)
		from_rsp1[i - 1] = vmcs_get(c, vmcs_nth(first, i));
}

static void load_segments(struct cpu *c, bool long_host)
{
	static const u32 data = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | SEG_G;

	for (unsigned i = ES; i <= GS; i++) {
		u16 sel = (u16)vmcs_get(c, vmcs_nth(VMCS_HOST_ES_SELECTOR, i));

		c->seg[i] = (struct seg){ .sel = sel, .limit = 0xffffffff, .attr = sel ? data : SEG_UNUSABLE };
	}
	c->seg[CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A | SEG_G | (long_host ? SEG_L : SEG_DB);
	c->seg[FS].base = vmcs_get(c, VMCS_HOST_FS_BASE);
	c->seg[GS].base = vmcs_get(c, VMCS_HOST_GS_BASE);
	c->seg[TR] = (struct seg){ .sel = (u16)vmcs_get(c, VMCS_HOST_TR_SELECTOR), .limit = 0x67,
				   .base = vmcs_get(c, VMCS_HOST_TR_BASE), .attr = SEG_P | SYS_TSS_BUSY };
	c->seg[LDTR] = (struct seg){ .attr = SEG_UNUSABLE };
	c->gdtr.base = vmcs_get(c, VMCS_HOST_GDTR_BASE);
	c->idtr.base = vmcs_get(c, VMCS_HOST_IDTR_BASE);
	c->gdtr.limit = c->idtr.limit = 0xffff;
}

static void load_host(struct cpu *c, const struct vmx_controls *k)
{
	bool long_host = k->exit & EXIT_HOST_64;

	vmx_load_cr0(c, vmcs_get(c, VMCS_HOST_CR0));
	c->cr3 = vmcs_get(c, VMCS_HOST_CR3);
	c->cr4 = vmcs_get(c, VMCS_HOST_CR4) | (long_host ? CR4_PAE : 0);
	if (!long_host)
		c->cr4 &= ~(u64)CR4_PCIDE;
	c->dr[7] = 0x400;
	c->debugctl = 0;
	c->sysenter_cs = vmcs_get(c, VMCS_HOST_SYSENTER_CS);
	c->sysenter_esp = vmcs_get(c, VMCS_HOST_SYSENTER_ESP);
	c->sysenter_eip = vmcs_get(c, VMCS_HOST_SYSENTER_EIP);
	if (k->exit & EXIT_LOAD_EFER)
		c->efer = vmcs_get(c, VMCS_HOST_EFER);
	else
		c->efer = (c->efer & ~(u64)(EFER_LME | EFER_LMA)) | (long_host ? EFER_LME | EFER_LMA : 0);
	if (k->exit & EXIT_LOAD_PAT)
		c->pat = vmcs_get(c, VMCS_HOST_PAT);
	if (k->exit & EXIT_LOAD_CET)
		vmx_load_cet(c, VMCS_HOST_S_CET);
	if (k->exit & EXIT_LOAD_PKRS)
		c->pkrs = vmcs_get(c, VMCS_HOST_PKRS);
	if (vmx_exit2(c, k->exit, EXIT2_LOAD_FRED))
		vmx_load_fred(c, VMCS_HOST_FRED_CONFIG);
	load_segments(c, long_host);
	c->cpl = 0;
	c->r[RSP] = vmcs_get(c, VMCS_HOST_RSP);
	c->r[RIP] = vmcs_get(c, VMCS_HOST_RIP);
	c->eflags = FL_1;
	cpu_set_arith(c, 0);
	c->activity = ACTIVITY_RUN;
	c->shadow_at = c->rep_at = c->db_pending = 0;
	c->monitor_armed = false;
	c->step = 0;
	c->db_fault = false;
}

static void report(struct cpu *c)
{
	const struct vmx *v = c->vmx;

	vmcs_set(c, VMCS_EXIT_REASON, v->reason);
	vmcs_set(c, VMCS_EXIT_QUALIFICATION, v->qualification);
	if (v->reason & ENTRY_FAILURE)
		return;
	vmcs_set(c, VMCS_GUEST_LINEAR_ADDRESS, v->linear);
	vmcs_set(c, VMCS_GUEST_PHYSICAL_ADDRESS, v->physical);
	vmcs_set(c, VMCS_EXIT_INTERRUPTION, v->interruption);
	vmcs_set(c, VMCS_EXIT_ERROR_CODE, v->error);
	vmcs_set(c, VMCS_IDT_VECTORING, v->vectoring);
	vmcs_set(c, VMCS_IDT_VECTORING_ERROR, v->vectoring_error);
	vmcs_set(c, VMCS_EXIT_INSTRUCTION_LENGTH,
		 v->vectoring && v->vectoring_length ? v->vectoring_length : v->length);
	vmcs_set(c, VMCS_EXIT_INSTRUCTION_INFO, v->info);
	if (has(c->model, F_APX))
		vmcs_set(c, VMCS_EXTENDED_INSTRUCTION_INFO, v->extended_info);
	if (has(c->model, F_FRED) && v->vectoring)
		vmcs_set(c, VMCS_ORIGINAL_EVENT_DATA, v->vectoring_data);
	vmcs_set(c, VMCS_ENTRY_INTERRUPTION, vmcs_get(c, VMCS_ENTRY_INTERRUPTION) & ~(u64)INTERRUPTION_VALID);
}

static bool vmx_abort(struct cpu *c, u32 why)
{
	vmcs_set_abort(c, why);
	return false;
}

bool vmx_exit(struct cpu *c)
{
	struct vmx *v = c->vmx;
	const struct vmx_controls k = v->controls;
	bool failed_entry = v->reason & ENTRY_FAILURE,
	     nmi = (v->interruption & 0xfff) == (EVENT_TYPE_NMI << 8 | VEC_NMI);
	u32 failed;

	if (observes(c, EVENT_VMEXIT))
		observe_event(c, &(struct seen){ .kind = EVENT_VMEXIT, .address = v->reason & 0xffff,
						 .value = v->qualification, .write = true,
						 .name = vmx_cause_text(&v->cause) });
	report(c);
	if (!failed_entry) {
		save_registers(c, &k);
		save_conditions(c, &k);
	}
	tlb_leave(c);
	vmx_forget_guest(c); /* the TSC is the host's again, before its MSRs are stored */
	if (!failed_entry && !store_msrs(c, vmcs_get(c, VMCS_EXIT_MSR_STORE),
					 (u32)vmcs_get(c, VMCS_EXIT_MSR_STORE_COUNT)))
		return vmx_abort(c, 1);
	if (nmi)
		c->nmi_blocked = true;
	v->guest = false;
	load_host(c, &k);
	cpu_derive_registers(c);
	if (k.exit & EXIT_LOAD_PERF)
		pmu_write_msr(c, 0x38f, vmcs_get(c, VMCS_HOST_PERF_GLOBAL_CTRL));
	if (!(k.exit & EXIT_HOST_64) && c->cr4 & CR4_PAE && !page_load_pdptes(c, c->cr3))
		return vmx_abort(c, 2);
	tlb_enter(c, 0, k.secondary & SEC_VPID);
	if (!vmx_load_msrs(c, vmcs_get(c, VMCS_EXIT_MSR_LOAD), (u32)vmcs_get(c, VMCS_EXIT_MSR_LOAD_COUNT), &failed))
		return vmx_abort(c, 4);
	cpu_attention(c);
	return true;
}
