/* SPDX-License-Identifier: MIT */
/* VM entries (SDM vol. 3, chapter 26): checks of the controls and of the host's state (26.2), of the guest's (26.3),
 * and the load of the guest's. */
#include "cpu/system/system.h"

enum { ERROR_NOT_CLEAR = 4, ERROR_NOT_LAUNCHED = 5, ERROR_CONTROLS = 7, ERROR_HOST = 8, ERROR_MOV_SS = 26 };

/* ---- controls (26.2.1) ---- */

static bool within(const struct cpu *c, u32 value, u32 capability)
{
	u64 m = vmx_capability(c, capability);

	return (value & (u32)m) == (u32)m && !(value & ~(u32)(m >> 32));
}

static void read_controls(const struct cpu *c, struct vmx_controls *k)
{
	*k = (struct vmx_controls){
		.pin = (u32)vmcs_get(c, VMCS_PIN_CONTROLS), .proc = (u32)vmcs_get(c, VMCS_PROC_CONTROLS),
		.exit = (u32)vmcs_get(c, VMCS_EXIT_CONTROLS), .entry = (u32)vmcs_get(c, VMCS_ENTRY_CONTROLS),
		.exceptions = (u32)vmcs_get(c, VMCS_EXCEPTION_BITMAP), .pf_mask = (u32)vmcs_get(c, VMCS_PF_ERROR_MASK),
		.pf_match = (u32)vmcs_get(c, VMCS_PF_ERROR_MATCH),
		.cr3_targets = (u32)vmcs_get(c, VMCS_CR3_TARGET_COUNT),
		.tpr_threshold = (u32)vmcs_get(c, VMCS_TPR_THRESHOLD), .cr0_mask = vmcs_get(c, VMCS_CR0_MASK),
		.cr0_shadow = vmcs_get(c, VMCS_CR0_SHADOW), .cr4_mask = vmcs_get(c, VMCS_CR4_MASK),
		.cr4_shadow = vmcs_get(c, VMCS_CR4_SHADOW), .io_a = vmcs_get(c, VMCS_IO_BITMAP_A),
		.io_b = vmcs_get(c, VMCS_IO_BITMAP_B), .msr_bitmap = vmcs_get(c, VMCS_MSR_BITMAP),
		.virtual_apic = vmcs_get(c, VMCS_VIRTUAL_APIC), .tsc_offset = vmcs_get(c, VMCS_TSC_OFFSET),
	};
	if (k->proc & PROC_SECONDARY)
		k->secondary = (u32)vmcs_get(c, VMCS_SECONDARY_CONTROLS);
	if (k->secondary & SEC_EPT)
		k->eptp = vmcs_get(c, VMCS_EPT_POINTER);
	if (k->secondary & SEC_XSAVES)
		k->xss_bitmap = vmcs_get(c, VMCS_XSS_EXITING_BITMAP);
	if (k->secondary & SEC_PLE) {
		k->ple_gap = (u32)vmcs_get(c, VMCS_PLE_GAP);
		k->ple_window = (u32)vmcs_get(c, VMCS_PLE_WINDOW);
	}
	for (unsigned i = 0; i < ARRAY_LEN(k->cr3_target); i++)
		k->cr3_target[i] = vmcs_get(c, vmcs_nth(VMCS_CR3_TARGET0, i));
}

static bool msr_area_ok(const struct cpu *c, enum vmcs_field at, enum vmcs_field count)
{
	u64 first = vmcs_get(c, at), n = vmcs_get(c, count);

	return !n || (!(first & 15) && !((first + n * 16 - 1) >> c->model->physical_bits) && !(first >> 52));
}

/* 26.2.1.3: is it an event that the processor could deliver? */
static bool injection_ok(const struct cpu *c, const struct vmx_controls *k)
{
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION), error = (u32)vmcs_get(c, VMCS_ENTRY_ERROR_CODE);
	u64 length = vmcs_get(c, VMCS_ENTRY_INSTRUCTION_LENGTH);
	unsigned type = info >> 8 & 7, vector = info & 0xff;
	bool pe = !(k->secondary & SEC_UNRESTRICTED) || vmcs_get(c, VMCS_GUEST_CR0) & CR0_PE;
	bool pushes = vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;

	if (!(info & INTERRUPTION_VALID))
		return true;
	if (info & 0x7ffff000 || type == 1)
		return false;
	if (type == EVENT_TYPE_OTHER && (vector || !(vmx_capability(c, 0x48e) >> 32 & PROC_TRAP_FLAG)))
		return false;
	if ((type == EVENT_TYPE_NMI && vector != VEC_NMI) || (type == EVENT_TYPE_HARDWARE && vector > 31))
		return false;
	if (!(info & INTERRUPTION_ERROR) != !(pe && type == EVENT_TYPE_HARDWARE && pushes))
		return false;
	if (info & INTERRUPTION_ERROR && error >> 15)
		return false;
	return type < EVENT_TYPE_SOFTWARE || type == EVENT_TYPE_OTHER || length <= 15;
}

static bool controls_ok(const struct cpu *c, const struct vmx_controls *k)
{
	if (!within(c, k->pin, 0x48d) || !within(c, k->proc, 0x48e) || !within(c, k->exit, 0x48f) ||
	    !within(c, k->entry, 0x490) || (k->proc & PROC_SECONDARY && !within(c, k->secondary, 0x48b)))
		return false;
	if (k->cr3_targets > 4)
		return false;
	if (k->proc & PROC_IO_BITMAPS && !(vmx_page_ok(c, k->io_a) && vmx_page_ok(c, k->io_b)))
		return false;
	if (k->proc & PROC_MSR_BITMAPS && !vmx_page_ok(c, k->msr_bitmap))
		return false;
	if (k->proc & PROC_TPR_SHADOW) {
		if (!vmx_page_ok(c, k->virtual_apic) || k->tpr_threshold >> 4)
			return false;
		if (k->tpr_threshold > vmx_read(c, k->virtual_apic + VIRTUAL_TPR, 1) >> 4)
			return false;
	}
	if (!(k->pin & PIN_NMI) && k->pin & PIN_VIRTUAL_NMI)
		return false;
	if (!(k->pin & PIN_VIRTUAL_NMI) && k->proc & PROC_NMI_WINDOW)
		return false;
	if (k->secondary & SEC_EPT ? !ept_pointer_ok(c, k->eptp) : k->secondary & SEC_UNRESTRICTED)
		return false;
	if (k->secondary & SEC_VPID && !vmcs_get(c, VMCS_VPID))
		return false;
	if (!(k->pin & PIN_TIMER) && k->exit & EXIT_SAVE_TIMER)
		return false;
	return msr_area_ok(c, VMCS_EXIT_MSR_STORE, VMCS_EXIT_MSR_STORE_COUNT) &&
	       msr_area_ok(c, VMCS_EXIT_MSR_LOAD, VMCS_EXIT_MSR_LOAD_COUNT) &&
	       msr_area_ok(c, VMCS_ENTRY_MSR_LOAD, VMCS_ENTRY_MSR_LOAD_COUNT) && injection_ok(c, k);
}

/* ---- values of registers ---- */

static bool fixed_ok(const struct cpu *c, u64 v, u32 ones, u64 waived)
{
	u64 must = vmx_capability(c, ones) & ~waived, may = vmx_capability(c, ones + 1);

	return (v & must) == must && !(v & ~may);
}

/* LMA must be as the control says; LME, too, where it counts. */
static bool efer_ok(const struct cpu *c, u64 v, bool lma, bool lme_counts)
{
	return !(v & ~efer_bits(c->model)) && !(v & EFER_LMA) == !lma && (!lme_counts || !(v & EFER_LME) == !lma);
}

/* ---- the host's state (26.2.2 to 26.2.4) ---- */

static bool host_ok(const struct cpu *c, const struct vmx_controls *k)
{
	u64 cr4 = vmcs_get(c, VMCS_HOST_CR4), rip = vmcs_get(c, VMCS_HOST_RIP);
	bool long_host = k->exit & EXIT_HOST_64;

	if (!fixed_ok(c, vmcs_get(c, VMCS_HOST_CR0), 0x486, 0) || !fixed_ok(c, cr4, 0x488, 0))
		return false;
	if (vmcs_get(c, VMCS_HOST_CR3) >> c->model->physical_bits)
		return false;
	for (unsigned f = VMCS_HOST_FS_BASE; f <= VMCS_HOST_SYSENTER_EIP; f += 2)
		if (!canonical(vmcs_get(c, (enum vmcs_field)f)))
			return false;
	if (k->exit & EXIT_LOAD_PAT && !pat_valid(vmcs_get(c, VMCS_HOST_PAT)))
		return false;
	if (k->exit & EXIT_LOAD_EFER && !efer_ok(c, vmcs_get(c, VMCS_HOST_EFER), long_host, true))
		return false;
	for (unsigned f = VMCS_HOST_ES_SELECTOR; f <= VMCS_HOST_TR_SELECTOR; f += 2)
		if (vmcs_get(c, (enum vmcs_field)f) & 7)
			return false;
	if (!vmcs_get(c, VMCS_HOST_CS_SELECTOR) || !vmcs_get(c, VMCS_HOST_TR_SELECTOR) ||
	    (!long_host && !vmcs_get(c, VMCS_HOST_SS_SELECTOR)))
		return false;
	if (in_long(c) != long_host)
		return false;
	if (!long_host)
		return !(k->entry & ENTRY_LONG) && !(cr4 & CR4_PCIDE) && !(rip >> 32);
	return cr4 & CR4_PAE && canonical(rip);
}

/* ---- the guest's state (26.3) ---- */

struct guest {
	u64 cr0, cr3, cr4, efer, rflags, rip;
	bool long_mode, v86, unrestricted;
	struct seg seg[8]; /* in the order of the VMCS: ES CS SS DS FS GS LDTR TR */
};
enum { G_ES, G_CS, G_SS, G_DS, G_FS, G_GS, G_LDTR, G_TR };

static struct guest read_guest(const struct cpu *c, const struct vmx_controls *k)
{
	struct guest g = { .cr0 = vmcs_get(c, VMCS_GUEST_CR0), .cr3 = vmcs_get(c, VMCS_GUEST_CR3),
			   .cr4 = vmcs_get(c, VMCS_GUEST_CR4), .rflags = vmcs_get(c, VMCS_GUEST_RFLAGS),
			   .rip = vmcs_get(c, VMCS_GUEST_RIP), .long_mode = k->entry & ENTRY_LONG,
			   .unrestricted = k->secondary & SEC_UNRESTRICTED };

	if (k->entry & ENTRY_LOAD_EFER)
		g.efer = vmcs_get(c, VMCS_GUEST_EFER);
	else
		g.efer = (c->efer & ~(u64)(EFER_LMA | (g.cr0 & CR0_PG ? EFER_LME : 0))) |
			 (g.long_mode ? EFER_LMA | (g.cr0 & CR0_PG ? EFER_LME : 0) : 0);
	g.v86 = g.rflags & FL_VM;
	for (unsigned i = 0; i < 8; i++)
		g.seg[i] = (struct seg){ .sel = (u16)vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_SELECTOR, i)),
					 .base = vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_BASE, i)),
					 .limit = (u32)vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_LIMIT, i)),
					 .attr = (u32)vmcs_get(c, vmcs_nth(VMCS_GUEST_ES_RIGHTS, i)) };
	return g;
}

static bool usable(const struct seg *s) { return !(s->attr & SEG_UNUSABLE); }

/* Limit and G must agree: bits 11-0 all ones with G, bits 31-20 zero without. */
static bool granular(const struct seg *s)
{
	return s->attr & SEG_G ? (s->limit & 0xfff) == 0xfff : !(s->limit >> 20);
}

static bool registers_ok(const struct cpu *c, const struct vmx_controls *k, const struct guest *g)
{
	u64 debugctl = vmcs_get(c, VMCS_GUEST_DEBUGCTL);

	if (!fixed_ok(c, g->cr0, 0x486, g->unrestricted ? CR0_PE | CR0_PG : 0) || !fixed_ok(c, g->cr4, 0x488, 0))
		return false;
	if (g->cr0 & CR0_PG && !(g->cr0 & CR0_PE))
		return false;
	if (k->entry & ENTRY_LOAD_DEBUG && (debugctl & ~(u64)0x43 || vmcs_get(c, VMCS_GUEST_DR7) >> 32))
		return false;
	if (g->long_mode ? !(g->cr0 & CR0_PG) || !(g->cr4 & CR4_PAE) : g->cr4 & CR4_PCIDE)
		return false;
	if (g->cr3 >> c->model->physical_bits)
		return false;
	if (!canonical(vmcs_get(c, VMCS_GUEST_SYSENTER_ESP)) || !canonical(vmcs_get(c, VMCS_GUEST_SYSENTER_EIP)))
		return false;
	if (k->entry & ENTRY_LOAD_PAT && !pat_valid(vmcs_get(c, VMCS_GUEST_PAT)))
		return false;
	return !(k->entry & ENTRY_LOAD_EFER) || efer_ok(c, g->efer, g->long_mode, g->cr0 & CR0_PG);
}

/* 26.3.1.2, in virtual-8086 mode: as real mode has them. */
static bool segments_v86(const struct guest *g)
{
	for (unsigned i = G_ES; i <= G_GS; i++)
		if (g->seg[i].base != (u64)g->seg[i].sel << 4 || g->seg[i].limit != 0xffff || g->seg[i].attr != 0xf3)
			return false;
	return true;
}

static bool code_ok(const struct guest *g)
{
	const struct seg *cs = &g->seg[G_CS], *ss = &g->seg[G_SS];
	unsigned type = cs->attr & 15, dpl = seg_dpl(cs);

	switch (type) {
	case 3: if (!g->unrestricted || dpl) return false; break;
	case 9: case 11: if (dpl != seg_dpl(ss)) return false; break;
	case 13: case 15: if (dpl > seg_dpl(ss)) return false; break;
	default: return false;
	}
	if (!(cs->attr & SEG_S) || !(cs->attr & SEG_P) || cs->attr & 0xfffe0f00 || !granular(cs))
		return false;
	return !(g->long_mode && cs->attr & SEG_L && cs->attr & SEG_DB);
}

static bool stack_ok(const struct guest *g)
{
	const struct seg *cs = &g->seg[G_CS], *ss = &g->seg[G_SS];

	if (!g->unrestricted && (ss->sel & 3) != (cs->sel & 3))
		return false;
	if (!g->unrestricted && seg_dpl(ss) != (ss->sel & 3u))
		return false;
	if (((cs->attr & 15) == 3 || !(g->cr0 & CR0_PE)) && seg_dpl(ss))
		return false;
	if (!usable(ss))
		return true;
	return ((ss->attr & 15) == 3 || (ss->attr & 15) == 7) && ss->attr & SEG_S && ss->attr & SEG_P &&
	       !(ss->attr & 0xfffe0f00) && granular(ss);
}

static bool data_ok(const struct guest *g, const struct seg *s)
{
	unsigned type = s->attr & 15;

	if (!usable(s))
		return true;
	if (!(type & 1) || (type & 8 && !(type & 2)) || !(s->attr & SEG_S) || !(s->attr & SEG_P) ||
	    s->attr & 0xfffe0f00)
		return false;
	if (!g->unrestricted && type < 12 && seg_dpl(s) < (s->sel & 3u))
		return false;
	return granular(s);
}

static bool system_ok(const struct guest *g)
{
	const struct seg *tr = &g->seg[G_TR], *ldtr = &g->seg[G_LDTR];
	unsigned type = tr->attr & 15;

	if (tr->sel & 4 || !canonical(tr->base) || !usable(tr) || tr->attr & SEG_S || !(tr->attr & SEG_P) ||
	    tr->attr & 0xfffe0f00 || !granular(tr) || (type != 11 && (g->long_mode || type != 3)))
		return false;
	return !usable(ldtr) ||
	       (!(ldtr->sel & 4) && canonical(ldtr->base) && (ldtr->attr & 15) == 2 && !(ldtr->attr & SEG_S) &&
		ldtr->attr & SEG_P && !(ldtr->attr & 0xfffe0f00) && granular(ldtr));
}

static bool segments_ok(const struct guest *g)
{
	if (!system_ok(g))
		return false;
	if (g->v86)
		return segments_v86(g);
	if (!canonical(g->seg[G_FS].base) || !canonical(g->seg[G_GS].base) || g->seg[G_CS].base >> 32)
		return false;
	for (unsigned i = G_ES; i <= G_DS; i++)
		if (i != G_CS && usable(&g->seg[i]) && g->seg[i].base >> 32)
			return false;
	if (!code_ok(g) || !stack_ok(g))
		return false;
	return data_ok(g, &g->seg[G_ES]) && data_ok(g, &g->seg[G_DS]) && data_ok(g, &g->seg[G_FS]) &&
	       data_ok(g, &g->seg[G_GS]);
}

static bool tables_ok(const struct cpu *c)
{
	return canonical(vmcs_get(c, VMCS_GUEST_GDTR_BASE)) && canonical(vmcs_get(c, VMCS_GUEST_IDTR_BASE)) &&
	       !(vmcs_get(c, VMCS_GUEST_GDTR_LIMIT) >> 16) && !(vmcs_get(c, VMCS_GUEST_IDTR_LIMIT) >> 16);
}

/* 26.3.1.4 */
static bool flow_ok(const struct cpu *c, const struct guest *g)
{
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION);
	bool external = info & INTERRUPTION_VALID && (info >> 8 & 7) == EVENT_TYPE_EXTERNAL;

	if (g->long_mode && g->seg[G_CS].attr & SEG_L ? !canonical(g->rip) : g->rip >> 32)
		return false;
	if (g->rflags & ~(u64)0x3f7fd7 || !(g->rflags & FL_1))
		return false;
	if (g->v86 && (g->long_mode || !(g->cr0 & CR0_PE)))
		return false;
	return !external || g->rflags & FL_I;
}

/* 26.3.1.5: which events can be injected into a processor that sleeps? */
static bool wakes(u32 info, u64 activity)
{
	unsigned type = info >> 8 & 7, vector = info & 0xff;

	if (!(info & INTERRUPTION_VALID) || !activity)
		return true;
	if (activity == 1)
		return type == EVENT_TYPE_EXTERNAL || type == EVENT_TYPE_NMI || (type == EVENT_TYPE_OTHER && !vector) ||
		       (type == EVENT_TYPE_HARDWARE && (vector == VEC_DB || vector == VEC_MC));
	return activity == 2 && (type == EVENT_TYPE_NMI || (type == EVENT_TYPE_HARDWARE && vector == VEC_MC));
}

static bool activity_ok(const struct cpu *c, const struct vmx_controls *k, const struct guest *g)
{
	u64 activity = vmcs_get(c, VMCS_GUEST_ACTIVITY), block = vmcs_get(c, VMCS_GUEST_INTERRUPTIBILITY);
	u64 pending = vmcs_get(c, VMCS_GUEST_PENDING_DEBUG), btf = vmcs_get(c, VMCS_GUEST_DEBUGCTL) & 2;
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION), type = info >> 8 & 7;
	bool held = block & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS), valid = info & INTERRUPTION_VALID;

	if (activity > 3 || (activity == 1 && seg_dpl(&g->seg[G_SS])) || (activity && held) || !wakes(info, activity))
		return false;
	if (block & ~(u64)15 || (block & 3) == 3 || (block & BLOCKED_BY_STI && !(g->rflags & FL_I)) ||
	    block & BLOCKED_BY_SMI)
		return false;
	if (valid && type == EVENT_TYPE_EXTERNAL && held)
		return false;
	if (valid && type == EVENT_TYPE_NMI &&
	    (block & BLOCKED_BY_MOV_SS || (k->pin & PIN_VIRTUAL_NMI && block & BLOCKED_BY_NMI)))
		return false;
	if (pending & ~(u64)0x1500f)
		return false;
	return !(held || activity == 1) || !(pending >> 14 & 1) == !(g->rflags & FL_T && !btf);
}

static bool pdptes_ok(const struct cpu *c, const struct vmx_controls *k, const struct guest *g)
{
	if (!(g->cr0 & CR0_PG) || !(g->cr4 & CR4_PAE) || g->long_mode || !(k->secondary & SEC_EPT))
		return true;
	for (unsigned i = 0; i < 4; i++)
		if (!pdpte_valid(c, vmcs_get(c, vmcs_nth(VMCS_GUEST_PDPTE0, i))))
			return false;
	return true;
}

/* The exit qualification of a failure (26.8): 2 PDPTEs, 4 the link pointer. -1: all is well. */
static int guest_fails(const struct cpu *c, const struct vmx_controls *k, const struct guest *g)
{
	u64 link = vmcs_get(c, VMCS_VMCS_LINK);

	if (!registers_ok(c, k, g) || !segments_ok(g) || !tables_ok(c) || !flow_ok(c, g) || !activity_ok(c, k, g))
		return 0;
	if (link != NO_VMCS)
		return 4;
	return pdptes_ok(c, k, g) ? -1 : 2;
}

/* ---- the load ---- */

static void load_registers(struct cpu *c, const struct vmx_controls *k, const struct guest *g)
{
	vmx_load_cr0(c, g->cr0);
	c->cr3 = g->cr3;
	c->cr4 = g->cr4;
	c->efer = g->efer;
	if (k->entry & ENTRY_LOAD_DEBUG) {
		c->dr[7] = (vmcs_get(c, VMCS_GUEST_DR7) & 0xffff23ff) | 1 << 10;
		c->debugctl = vmcs_get(c, VMCS_GUEST_DEBUGCTL);
	}
	if (k->entry & ENTRY_LOAD_PAT)
		c->pat = vmcs_get(c, VMCS_GUEST_PAT);
	c->sysenter_cs = vmcs_get(c, VMCS_GUEST_SYSENTER_CS);
	c->sysenter_esp = vmcs_get(c, VMCS_GUEST_SYSENTER_ESP);
	c->sysenter_eip = vmcs_get(c, VMCS_GUEST_SYSENTER_EIP);
	c->gdtr.base = vmcs_get(c, VMCS_GUEST_GDTR_BASE);
	c->gdtr.limit = (u16)vmcs_get(c, VMCS_GUEST_GDTR_LIMIT);
	c->idtr.base = vmcs_get(c, VMCS_GUEST_IDTR_BASE);
	c->idtr.limit = (u16)vmcs_get(c, VMCS_GUEST_IDTR_LIMIT);
	for (unsigned i = 0; i < 8; i++) {
		c->seg[vmx_segment(i)] = g->seg[i];
		c->seg[vmx_segment(i)].attr &= 0x1f0ff;
	}
	c->cpl = g->v86 ? 3 : (u8)seg_dpl(&g->seg[G_SS]);
	c->r[RSP] = vmcs_get(c, VMCS_GUEST_RSP);
	c->r[RIP] = g->rip;
	c->eflags = ((u32)g->rflags & 0x3f7fd7 & ~(u32)OSZAPC) | FL_1;
	cpu_set_arith(c, (u32)g->rflags);
}

/* Interruptibility, activity, pending debug exceptions, the event. */
static void load_conditions(struct cpu *c, const struct vmx_controls *k)
{
	static const u8 activities[4] = { ACTIVITY_RUN, ACTIVITY_HALT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI };
	u64 block = vmcs_get(c, VMCS_GUEST_INTERRUPTIBILITY);
	struct vmx *v = c->vmx;
	u32 info = (u32)vmcs_get(c, VMCS_ENTRY_INTERRUPTION);

	c->shadow_at = 0;
	c->rep_at = 0;
	c->db_pending = 0;
	v->inject = 0;
	v->virtual_nmi_blocked = k->pin & PIN_VIRTUAL_NMI && block & BLOCKED_BY_NMI;
	c->nmi_blocked = !(k->pin & PIN_VIRTUAL_NMI) && block & BLOCKED_BY_NMI;
	c->activity = activities[vmcs_get(c, VMCS_GUEST_ACTIVITY) & 3];
	if (info & INTERRUPTION_VALID) {
		v->inject = info & 0xfff;
		v->inject |= INTERRUPTION_VALID;
		v->inject_error = (u32)vmcs_get(c, VMCS_ENTRY_ERROR_CODE);
		v->inject_length = (u32)vmcs_get(c, VMCS_ENTRY_INSTRUCTION_LENGTH);
		c->activity = ACTIVITY_RUN;
		return;
	}
	if (block & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		shadow(c, block & BLOCKED_BY_MOV_SS);
	c->db_pending = vmcs_get(c, VMCS_GUEST_PENDING_DEBUG) & 0x400f;
}

static void arm_timer(struct cpu *c, const struct vmx_controls *k)
{
	u64 ticks = vmcs_get(c, VMCS_PREEMPTION_TIMER), now = c->clock->now;

	c->vmx->timer_due = false;
	if (!(k->pin & PIN_TIMER))
		return;
	clock_arm(c->clock, &c->vmx->timer, now + ticks); /* the TSC counts nanoseconds */
}

static bool fails(struct cpu *c, u32 reason, u64 qualification)
{
	c->vmx->guest = true; /* for vmx_exit, which knows what not to save */
	vmx_exits(c, reason | ENTRY_FAILURE, qualification);
	return false;
}

static bool enter_guest(struct cpu *c, bool launch)
{
	struct vmx *v = c->vmx;
	struct vmx_controls k;
	struct guest g;
	u32 failed;
	int why;

	if (v->current == NO_VMCS)
		return vmx_fail(c, 0);
	if (c->shadow_ss && c->shadow_at && icount_after(c) == c->shadow_at + 1)
		return vmx_fail(c, ERROR_MOV_SS);
	if (launch ? vmcs_launched(c) : !vmcs_launched(c))
		return vmx_fail(c, launch ? ERROR_NOT_CLEAR : ERROR_NOT_LAUNCHED);
	read_controls(c, &k);
	if (!controls_ok(c, &k))
		return vmx_fail(c, ERROR_CONTROLS);
	if (!host_ok(c, &k))
		return vmx_fail(c, ERROR_HOST);
	g = read_guest(c, &k);
	cpu_sync(c);
	why = guest_fails(c, &k, &g);
	v->controls = k;
	if (why >= 0)
		return fails(c, VMEXIT_ENTRY_STATE, (u64)why);
	load_registers(c, &k, &g);
	v->guest = true;
	if (!vmx_load_msrs(c, vmcs_get(c, VMCS_ENTRY_MSR_LOAD), (u32)vmcs_get(c, VMCS_ENTRY_MSR_LOAD_COUNT), &failed))
		return fails(c, VMEXIT_ENTRY_MSR, failed);
	load_conditions(c, &k);
	cpu_derive(c);
	if (g.cr0 & CR0_PG && g.cr4 & CR4_PAE && !g.long_mode) {
		if (k.secondary & SEC_EPT)
			for (unsigned i = 0; i < 4; i++)
				c->pdpte[i] = vmcs_get(c, vmcs_nth(VMCS_GUEST_PDPTE0, i));
		else if (!page_load_pdptes(c, c->cr3))
			return fails(c, VMEXIT_ENTRY_STATE, 2);
	}
	arm_timer(c, &k);
	v->trap_flag_due = v->below_threshold = false;
	v->vectoring = 0;
	v->pause_first = v->pause_last = 0;
	if (launch)
		vmcs_set_launched(c, true);
	attend(c, ATTN_LINE);
	return true;
}

/* The failure of an instruction goes on with the next one; a guest has its own RIP. */
static bool entry(struct cpu *c, const struct op *o, bool launch)
{
	u64 rip = next_rip(c, o);

	if (!enter_guest(c, launch))
		return false;
	if (!vmx_guest(c))
		c->r[RIP] = rip;
	return true;
}

BODY(vmlaunch) { return entry(c, o, true); }
BODY(vmresume) { return entry(c, o, false); }
GEN_JUMP(vmlaunch)
GEN_JUMP(vmresume)
