/* SPDX-License-Identifier: MIT */
/* VMRUN (APM vol. 2, 15.5): the host's state is saved, the VMCB is checked, the guest's state loaded. */
#include "cpu/cet.h"
#include "cpu/observe.h"
#include "cpu/system/system.h"

/* ---- the host ---- */

static void save_host(struct cpu *c, u64 rip)
{
	u64 to = c->svm->hsave;

	vmcb_save(c, to, rip);
	vmcb_set(c, to, VMCB_G_PAT, c->pat);
	vmcb_save_branches(c, to);
}

/* ---- controls ---- */

static void read_controls(const struct cpu *c, struct svm *v, u64 vmcb)
{
	v->vmcb = vmcb;
	for (unsigned i = 0; i < ARRAY_LEN(v->intercepts); i++)
		v->intercepts[i] = (u32)vm_read(c, vmcb + 4 * i, 4);
	v->iopm = vmcb_get(c, vmcb, VMCB_IOPM_BASE_PA) & ~(u64)0xfff;
	v->msrpm = vmcb_get(c, vmcb, VMCB_MSRPM_BASE_PA) & ~(u64)0xfff;
	v->tsc_offset = vmcb_get(c, vmcb, VMCB_TSC_OFFSET);
	v->virtual = vmcb_get(c, vmcb, VMCB_V_INTR);
	v->nested = has(c->model, F_NPT) && vmcb_get(c, vmcb, VMCB_NP_ENABLE) & NP_ENABLE;
	v->ncr3 = vmcb_get(c, vmcb, VMCB_N_CR3);
	v->extensions = vmcb_get(c, vmcb, VMCB_VIRTUALIZATION_EXTENSIONS);
	if (!has(c->model, F_LBRV))
		v->extensions &= ~(u64)LBR_ENABLE;
	if (!has(c->model, F_V_VMSAVE) || !v->nested)
		v->extensions &= ~(u64)VMSAVE_ENABLE;
	if (!has(c->model, F_AVIC) || !v->nested)
		v->virtual &= ~(u64)V_AVIC_ENABLE;
	if (!has(c->model, F_X2AVIC))
		v->virtual &= ~(u64)V_X2AVIC_ENABLE;
	if (!has(c->model, F_VGIF))
		v->virtual &= ~(u64)V_GIF_ENABLE;
	v->host_if = c->eflags & FL_I;
	v->host_cr4 = c->cr4;
	v->host_efer = c->efer;
	v->pause_count = v->pause_filter = (u32)vmcb_get(c, vmcb, VMCB_PAUSE_FILTER_COUNT);
	v->pause_threshold = has(c->model, F_PAUSE_THRESHOLD) ? (u32)vmcb_get(c, vmcb, VMCB_PAUSE_FILTER_THRESHOLD) : 0;
	v->pause_last = 0;
	v->vectoring = 0;
	v->inject = vmcb_get(c, vmcb, VMCB_EVENTINJ);
	if (!(v->inject & EVENT_VALID))
		v->inject = 0;
}

/* A check: is it OK? If not, F gets the field and RULE. */
static bool check(struct vm_check *f, bool ok, enum vmcb_field field, const char *rule)
{
	if (!ok)
		*f = (struct vm_check){ SVM_NUMBER | (field & 0xfff), rule };
	return ok;
}

static bool fits(const struct cpu *c, u64 base, u64 size) { return !((base + size - 1) >> c->model->physical_bits); }

/* 15.20: a type that there is; of exceptions, a vector. */
static bool injection_ok(u64 event)
{
	unsigned type = event >> 8 & 7, vector = event & 0xff;

	return !event || type == SVM_EVENT_INTR || type == SVM_EVENT_NMI || type == SVM_EVENT_SOFTWARE ||
	       (type == SVM_EVENT_EXCEPTION && vector < 32 && vector != VEC_NMI);
}

/* 15.5.1, 15.25.3, 15.25.4 */
static bool controls_ok(const struct cpu *c, struct vm_check *f, const struct svm *v)
{
	static const enum vmcb_field avic[] = { VMCB_AVIC_BACKING_PAGE, VMCB_AVIC_LOGICAL_TABLE,
						VMCB_AVIC_PHYSICAL_TABLE };

	unsigned last = vmcb_get(c, v->vmcb, VMCB_AVIC_PHYSICAL_TABLE) & 0xfff;

	if (!check(f, v->virtual & V_AVIC_ENABLE || !(v->virtual & V_X2AVIC_ENABLE), VMCB_V_INTR,
		   "has x2AVIC without AVIC (15.29.4)") ||
	    !check(f, !(v->virtual & V_AVIC_ENABLE && has(c->model, F_X2AVIC)) ||
			      last <= (v->virtual & V_X2AVIC_ENABLE ? 511 : 255), VMCB_AVIC_PHYSICAL_TABLE,
		   "has a last index above 255, or 511 with x2AVIC (15.29.4)"))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(avic) && v->virtual & V_AVIC_ENABLE; i++)
		if (!check(f, fits(c, vmcb_get(c, v->vmcb, avic[i]) & 0xffffffffff000, PAGE_SIZE), avic[i],
			   "is beyond the physical addresses (15.29)"))
			return false;
	return check(f, svm_bit(v, SVM_EXIT_VMRUN), VMCB_INTERCEPT_4,
		     "has bit 0 clear, the intercept of VMRUN (15.5.1)") &&
	       check(f, vmcb_get(c, v->vmcb, VMCB_GUEST_ASID), VMCB_GUEST_ASID, "is 0, the host's (15.5.1)") &&
	       check(f, injection_ok(v->inject), VMCB_EVENTINJ,
		     "is no event that the processor could deliver (15.20)") &&
	       check(f, !svm_bit(v, SVM_EXIT_IOIO) || fits(c, v->iopm, 12 << 10), VMCB_IOPM_BASE_PA,
		     "and its 12 KiB lead beyond the physical addresses (15.5.1)") &&
	       check(f, !svm_bit(v, SVM_EXIT_MSR) || fits(c, v->msrpm, 8 << 10), VMCB_MSRPM_BASE_PA,
		     "and its 8 KiB lead beyond the physical addresses (15.5.1)") &&
	       check(f, !v->nested || fits(c, v->ncr3, 1), VMCB_N_CR3, "is beyond the physical addresses (15.25.3)") &&
	       check(f, !v->nested || pat_valid(vmcb_get(c, v->vmcb, VMCB_G_PAT)), VMCB_G_PAT,
		     "has a memory type that is reserved (15.25.4)");
}

/* ---- the guest ---- */

struct guest {
	u64 cr0, cr3, cr4, efer, dr6, dr7;
	u32 rflags;
};

static struct guest read_guest(const struct cpu *c, u64 vmcb)
{
	return (struct guest){ .cr0 = vmcb_get(c, vmcb, VMCB_CR0), .cr3 = vmcb_get(c, vmcb, VMCB_CR3),
			       .cr4 = vmcb_get(c, vmcb, VMCB_CR4), .efer = vmcb_get(c, vmcb, VMCB_EFER),
			       .dr6 = vmcb_get(c, vmcb, VMCB_DR6), .dr7 = vmcb_get(c, vmcb, VMCB_DR7),
			       .rflags = (u32)vmcb_get(c, vmcb, VMCB_RFLAGS) };
}

/* 15.5.1 */
static bool state_ok(const struct cpu *c, struct vm_check *f, u64 vmcb, const struct guest *g)
{
	static const char high[] = "has one of bits 63-32 set (15.5.1)";
	bool long_mode = g->efer & EFER_LME && g->cr0 & CR0_PG;
	u32 attr = vmcb_get_segment(c, vmcb, CS).attr;

	return check(f, g->efer & EFER_SVME, VMCB_EFER, "has SVME clear (15.5.1)") &&
	       check(f, !(g->efer & ~efer_bits(c->model)), VMCB_EFER, "has a bit set that is reserved (15.5.1)") &&
	       check(f, !(g->cr0 & CR0_NW) || g->cr0 & CR0_CD, VMCB_CR0, "has NW set and CD clear (15.5.1)") &&
	       check(f, !(g->cr0 >> 32), VMCB_CR0, high) &&
	       check(f, !(g->cr4 & ~cr4_bits(c->model)), VMCB_CR4, "has a bit set that is reserved (15.5.1)") &&
	       check(f, !(g->cr4 & CR4_CET) || g->cr0 & CR0_WP, VMCB_CR4, "has CET set and CR0.WP is clear (15.5.1)") &&
	       check(f, !(g->cr4 & CR4_CET) || cet_control_valid(c, vmcb_get(c, vmcb, VMCB_S_CET)), VMCB_S_CET,
		     "has a bit set that is reserved (15.5.1)") &&
	       check(f, !(g->dr6 >> 32), VMCB_DR6, high) && check(f, !(g->dr7 >> 32), VMCB_DR7, high) &&
	       check(f, !(g->cr3 >> c->model->physical_bits), VMCB_CR3, "is beyond the physical addresses (15.5.1)") &&
	       check(f, !long_mode || g->cr4 & CR4_PAE, VMCB_CR4, "has PAE clear in long mode (15.5.1)") &&
	       check(f, !long_mode || g->cr0 & CR0_PE, VMCB_CR0, "has PE clear in long mode (15.5.1)") &&
	       check(f, !long_mode || !(attr & SEG_L && attr & SEG_DB), VMCB_CS_ATTRIBUTES,
		     "has both L and D set in long mode (15.5.1)");
}

bool svm_entry_check(const struct cpu *c, struct vm_check *failed)
{
	struct svm v = *c->svm;
	struct guest g = read_guest(c, c->r[RAX]);

	read_controls(c, &v, c->r[RAX]);
	return !(c->efer & EFER_SVME) ||
	       (controls_ok(c, failed, &v) && state_ok(c, failed, c->r[RAX], &g));
}

void svm_load_flags(struct cpu *c, u32 flags)
{
	c->eflags = (flags & 0x3f7fd7 & ~(u32)OSZAPC) | FL_1;
	cpu_set_arith(c, flags);
}

static void load_guest(struct cpu *c, u64 vmcb, const struct guest *g)
{
	vmcb_load(c, vmcb);
	c->cr0 = (g->cr0 & cr0_bits(c)) | CR0_ET;
	c->cr2 = vmcb_get(c, vmcb, VMCB_CR2);
	c->cr3 = g->cr3;
	c->cr4 = g->cr4;
	c->efer = (g->efer & ~(u64)EFER_LMA) | (g->efer & EFER_LME && g->cr0 & CR0_PG ? EFER_LMA : 0);
	write_dr(c, 6, g->dr6);
	write_dr(c, 7, g->dr7);
	svm_load_flags(c, g->rflags);
	c->cpl = !(c->cr0 & CR0_PE) ? 0 : c->eflags & FL_VM ? 3 : vmcb_get(c, vmcb, VMCB_CPL) & 3;
	c->shadow_at = c->rep_at = c->db_pending = 0;
	c->monitor_armed = false;
	c->step = 0; /* a trap that is due to TF comes in the host */
	if (vmcb_get(c, vmcb, VMCB_INTERRUPT_SHADOW) & 1)
		shadow(c, false);
}

/* The exit with VMEXIT_INVALID, because a field is or has what WHY says. */
static bool invalid(struct cpu *c, const char *why)
{
	c->svm->guest = true;
	c->svm->vectoring = 0;
	svm_exits(c, SVM_EXIT_INVALID, 0, 0);
	c->svm->why = why;
	return false;
}

BODY(vmrun)
{
	u64 vmcb = c->r[RAX] & op_amask(o);
	struct vm_check failed;
	struct guest g;

	if (vmx_guest(c))
		return fault_ud(c);
	if (!vm_page_ok(c, vmcb))
		return gp_because(c, 0, "rAX holds no physical address of a page (APM vol. 3, VMRUN)");
	cpu_sync(c);
	save_host(c, next_rip(c, o));
	read_controls(c, c->svm, vmcb);
	g = read_guest(c, vmcb);
	if (!controls_ok(c, &failed, c->svm) || !state_ok(c, &failed, vmcb, &g))
		return invalid(c, failed.rule);
	observe(c, EVENT_VMENTRY, vmcb_get(c, vmcb, VMCB_RIP), c->svm->inject, 0, true);
	load_guest(c, vmcb, &g);
	c->svm->guest = c->svm->gif = true;
	cpu_derive(c);
	if (c->cr0 & CR0_PG && c->cr4 & CR4_PAE && !in_long(c) && !page_load_pdptes(c, c->cr3))
		return invalid(c, "leads to page-directory-pointer entries with a reserved bit set (15.5.1)");
	if (avic_on(c))
		avic_evaluate(c);
	attend(c, ATTN_LINE);
	return true;
}
GEN_JUMP(vmrun)
