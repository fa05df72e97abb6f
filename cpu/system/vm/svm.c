/* SPDX-License-Identifier: MIT */
/* SVM: the VMCB, the instructions but VMRUN, the MSRs, the state (APM vol. 2, 15.5, 15.17, 15.30). */
#include <stdlib.h>
#include "cpu/system/paravirt.h"
#include "cpu/system/system.h"

/* ---- the VMCB ---- */

static unsigned at(enum vmcb_field f) { return f & 0xfff; }
static unsigned bytes(enum vmcb_field f) { return f >> 12; }

u64 vmcb_get(const struct cpu *c, u64 vmcb, enum vmcb_field f) { return vm_read(c, vmcb + at(f), bytes(f)); }
void vmcb_set(struct cpu *c, u64 vmcb, enum vmcb_field f, u64 v) { vm_write(c, vmcb + at(f), bytes(f), v); }

/* In the VMCB: ES to GS, GDTR, LDTR, IDTR, TR, of 16 bytes each. */
static u64 segment_at(u64 vmcb, unsigned i)
{
	return vmcb + (i <= GS ? at(VMCB_ES_SELECTOR) + 16 * i : at(i == LDTR ? VMCB_LDTR_SELECTOR : VMCB_TR_SELECTOR));
}

/* Its attributes are 12 bits: those of struct seg without the four between. */
struct seg vmcb_get_segment(const struct cpu *c, u64 vmcb, unsigned i)
{
	u64 from = segment_at(vmcb, i);
	struct seg s = { .sel = (u16)vm_read(c, from, 2), .limit = (u32)vm_read(c, from + 4, 4),
			 .base = vm_read(c, from + 8, 8) };
	u32 attr = (u32)vm_read(c, from + 2, 2);

	seg_set_attributes(&s, (attr & 0xff) | (attr & 0xf00) << 4);
	return s;
}

void vmcb_set_segment(struct cpu *c, u64 vmcb, unsigned i)
{
	const struct seg *s = &c->seg[i];
	u32 attr = seg_attributes(s);
	u64 to = segment_at(vmcb, i);

	vm_write(c, to, 2, s->sel);
	vm_write(c, to + 2, 2, (attr & 0xff) | (attr >> 4 & 0xf00));
	vm_write(c, to + 4, 4, s->limit);
	vm_write(c, to + 8, 8, s->base);
}

void vmcb_save(struct cpu *c, u64 vmcb, u64 rip)
{
	for (unsigned i = ES; i <= DS; i++)
		vmcb_set_segment(c, vmcb, i);
	vmcb_set(c, vmcb, VMCB_GDTR_BASE, c->gdtr.base);
	vmcb_set(c, vmcb, VMCB_GDTR_LIMIT, c->gdtr.limit);
	vmcb_set(c, vmcb, VMCB_IDTR_BASE, c->idtr.base);
	vmcb_set(c, vmcb, VMCB_IDTR_LIMIT, c->idtr.limit);
	vmcb_set(c, vmcb, VMCB_EFER, c->efer);
	vmcb_set(c, vmcb, VMCB_CR0, c->cr0);
	vmcb_set(c, vmcb, VMCB_CR3, c->cr3);
	vmcb_set(c, vmcb, VMCB_CR4, c->cr4);
	vmcb_set(c, vmcb, VMCB_RFLAGS, cpu_flags(c));
	vmcb_set(c, vmcb, VMCB_RIP, rip);
	vmcb_set(c, vmcb, VMCB_RSP, c->r[RSP]);
	vmcb_set(c, vmcb, VMCB_RAX, c->r[RAX]);
	if (has(c->model, F_CET_SS)) {
		vmcb_set(c, vmcb, VMCB_S_CET, c->s_cet);
		vmcb_set(c, vmcb, VMCB_SSP, c->ssp);
		vmcb_set(c, vmcb, VMCB_ISST_ADDR, c->interrupt_ssp_table);
	}
}

static const enum vmcb_field branches[] = { VMCB_BR_FROM, VMCB_BR_TO, VMCB_LASTEXCPFROM, VMCB_LASTEXCPTO };

void vmcb_save_branches(struct cpu *c, u64 vmcb)
{
	vmcb_set(c, vmcb, VMCB_DBGCTL, c->debugctl);
	for (unsigned i = 0; i < ARRAY_LEN(branches); i++)
		vmcb_set(c, vmcb, branches[i], c->last_branch[i]);
}

static void load_branches(struct cpu *c, u64 vmcb)
{
	c->debugctl = vmcb_get(c, vmcb, VMCB_DBGCTL) & debugctl_bits(c->model);
	for (unsigned i = 0; i < ARRAY_LEN(branches); i++)
		c->last_branch[i] = vmcb_get(c, vmcb, branches[i]);
}

void vmcb_load(struct cpu *c, u64 vmcb)
{
	for (unsigned i = ES; i <= DS; i++)
		c->seg[i] = vmcb_get_segment(c, vmcb, i);
	c->gdtr.base = vmcb_get(c, vmcb, VMCB_GDTR_BASE);
	c->gdtr.limit = (u16)vmcb_get(c, vmcb, VMCB_GDTR_LIMIT);
	c->idtr.base = vmcb_get(c, vmcb, VMCB_IDTR_BASE);
	c->idtr.limit = (u16)vmcb_get(c, vmcb, VMCB_IDTR_LIMIT);
	c->r[RIP] = vmcb_get(c, vmcb, VMCB_RIP);
	c->r[RSP] = vmcb_get(c, vmcb, VMCB_RSP);
	c->r[RAX] = vmcb_get(c, vmcb, VMCB_RAX);
	if (has(c->model, F_CET_SS)) {
		c->s_cet = vmcb_get(c, vmcb, VMCB_S_CET);
		c->ssp = vmcb_get(c, vmcb, VMCB_SSP);
		c->interrupt_ssp_table = vmcb_get(c, vmcb, VMCB_ISST_ADDR);
	}
	if (c->svm->nested)
		c->pat = vmcb_get(c, vmcb, VMCB_G_PAT);
	if (c->svm->extensions & LBR_ENABLE)
		load_branches(c, vmcb);
}

void vmcb_each_at(const struct cpu *c, u64 vmcb, void (*each)(void *user, const char *name, u32 offset, u64 value),
		  void *user)
{
	static const struct { enum vmcb_field field; const char *name; } rows[] = {
#define VMCB(offset, bytes, name) { VMCB_##name, #name },
#include "cpu/system/vm/vmcb.def"
#undef VMCB
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		each(user, rows[i].name, at(rows[i].field), vmcb_get(c, vmcb, rows[i].field));
}

bool vmcb_each(const struct cpu *c, void (*each)(void *user, const char *name, u32 offset, u64 value), void *user)
{
	if (!c->svm || c->svm->vmcb == NO_VMCS)
		return false;
	vmcb_each_at(c, c->svm->vmcb, each, user);
	return true;
}

/* ---- instructions ---- */

/* The VMCB at rAX, of VMLOAD and VMSAVE. A guest that has them virtualised names it by its own address (15.33.1). */
static bool operand(struct cpu *c, const struct op *o, u64 *vmcb)
{
	*vmcb = c->r[RAX] & op_amask(o);
	if (!vm_page_ok(c, *vmcb))
		return gp_because(c, 0, "rAX holds no physical address of a page (APM vol. 3, VMLOAD, VMSAVE)");
	return !svm_guest(c) || !(c->svm->extensions & VMSAVE_ENABLE) || second_level_translate(c, *vmcb, vmcb);
}

static const struct { enum vmcb_field field; size_t member; } moved[] = {
#define MOVED(field, member) { VMCB_##field, offsetof(struct cpu, member) }
	MOVED(STAR, star), MOVED(LSTAR, lstar), MOVED(CSTAR, cstar), MOVED(SFMASK, sfmask),
	MOVED(KERNEL_GS_BASE, kernel_gs_base), MOVED(SYSENTER_CS, sysenter_cs), MOVED(SYSENTER_ESP, sysenter_esp),
	MOVED(SYSENTER_EIP, sysenter_eip),
};
static const u8 moved_segments[] = { FS, GS, TR, LDTR };

static u64 made_canonical(const struct cpu *c, u64 base)
{
	unsigned above = has(c->model, F_LA57) ? 7 : 16;

	return (u64)((s64)(base << above) >> above);
}

BODY(vmload)
{
	u64 vmcb;

	if (!operand(c, o, &vmcb))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(moved); i++)
		*(u64 *)((char *)c + moved[i].member) = vmcb_get(c, vmcb, moved[i].field);
	c->kernel_gs_base = made_canonical(c, c->kernel_gs_base);
	for (unsigned i = 0; i < ARRAY_LEN(moved_segments); i++) {
		unsigned reg = moved_segments[i];

		c->seg[reg] = vmcb_get_segment(c, vmcb, reg);
		c->seg[reg].base = made_canonical(c, c->seg[reg].base);
		seg_update(c, reg);
	}
	return true;
}
GEN_BODY(vmload)

BODY(vmsave)
{
	u64 vmcb;

	if (!operand(c, o, &vmcb))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(moved); i++)
		vmcb_set(c, vmcb, moved[i].field, *(u64 *)((char *)c + moved[i].member));
	for (unsigned i = 0; i < ARRAY_LEN(moved_segments); i++)
		vmcb_set_segment(c, vmcb, moved_segments[i]);
	return true;
}
GEN_BODY(vmsave)

/* The guard has seen no intercept. A hypervisor may be below (cpu/system/paravirt.h). */
BODY(vmmcall)
{
	u64 rip = next_rip(c, o);

	if (!c->paravirt || in_guest(c) || !paravirt_hypercall(c))
		return fault_ud(c);
	c->r[RIP] = rip;
	return true;
}
GEN_LOOK(vmmcall)
GEN_ALIAS(skinit, ud)

/* The GIF, or of a guest that has a virtual one, that (15.33.2). */
static bool set_gif(struct cpu *c, bool on)
{
	struct svm *v = c->svm;

	if (svm_guest(c) && v->virtual & V_GIF_ENABLE)
		v->virtual = on ? v->virtual | V_GIF : v->virtual & ~(u64)V_GIF;
	else
		v->gif = on;
	attend(c, ATTN_LINE);
	return true;
}

BODY(stgi) { return set_gif(c, true); }
BODY(clgi) { return set_gif(c, false); }
GEN_BODY(stgi)
GEN_BODY(clgi)

/* Translations of other ASIDs are never kept. */
BODY(invlpga)
{
	u64 linear = c->r[RAX] & op_amask(o);

	if (canonical(c, linear))
		tlb_flush_page(c, linear);
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(invlpga)

/* ---- MSRs ---- */

enum { MSR_VM_CR = 0xc0010114, MSR_VM_HSAVE_PA = 0xc0010117 };
#define TSC_RATIO_1 ((u64)1 << 32)

bool svm_read_msr(struct cpu *c, u32 index, u64 *v)
{
	*v = index == MSR_VM_CR ? c->svm->vm_cr : index == MSR_VM_HSAVE_PA ? c->svm->hsave : c->svm->tsc_ratio;
	return true;
}

/* VM_CR: 4 SVMDIS | 3 LOCK of itself and SVMDIS | 2 DIS_A20M | 1 R_INIT | 0 DPD */
bool svm_write_msr(struct cpu *c, u32 index, u64 v)
{
	u64 locked = VM_CR_LOCK | VM_CR_SVMDIS;

	if (index == MSR_VM_HSAVE_PA) {
		if (!vm_page_ok(c, v))
			return false;
		c->svm->hsave = v;
		return true;
	}
	if (index != MSR_VM_CR) {
		c->svm->tsc_ratio = v;
		return true;
	}
	if (c->svm->vm_cr & VM_CR_LOCK)
		v = (v & ~locked) | (c->svm->vm_cr & locked);
	if (v & VM_CR_SVMDIS && c->efer & EFER_SVME)
		return false;
	c->svm->vm_cr = v;
	return true;
}

/* ---- state ---- */

bool svm_new(struct cpu *c)
{
	c->svm = calloc(1, sizeof *c->svm);
	snprintf(c->svm_name, sizeof c->svm_name, "svm%u", c->id);
	return c->svm != NULL;
}

void svm_forget_guest(struct cpu *c)
{
	struct svm *v = c->svm;

	v->guest = v->injecting = false;
	v->inject = v->vectoring = 0;
}

void svm_reset(struct cpu *c, bool init)
{
	struct svm *v = c->svm, old = *v;

	*v = (struct svm){ .gif = true, .vmcb = NO_VMCS, .tsc_ratio = TSC_RATIO_1 };
	if (init) {
		v->hsave = old.hsave;
		v->vm_cr = old.vm_cr;
		v->tsc_ratio = old.tsc_ratio;
	}
}

#define SVM(member, kind) FIELD(struct svm, member, kind)
static const struct field svm_fields[] = {
	SVM(guest, BOOL), SVM(gif, BOOL), SVM(vmcb, U64), SVM(hsave, U64), SVM(vm_cr, U64),
	FIELDS(struct svm, intercepts, U32), SVM(iopm, U64), SVM(msrpm, U64), SVM(tsc_offset, U64), SVM(virtual, U64),
	SVM(ncr3, U64), SVM(extensions, U64), SVM(nested, BOOL), SVM(host_if, BOOL), SVM(host_cr4, U64),
	SVM(host_efer, U64), SVM(inject, U64), SVM(pause_count, U32), SVM(pause_filter, U32),
	SVM(pause_threshold, U32), SVM(pause_last, U64), SVM(tsc_ratio, U64), FIELD_END
};

/* A state may say anything: a guest needs a VMCB. */
static void svm_post_load(void *svm)
{
	struct svm *v = svm;

	v->guest &= v->vmcb != NO_VMCS;
	v->injecting = false;
	v->vectoring = 0;
}

struct part svm_part(struct cpu *c)
{
	return (struct part){ .name = c->svm_name, .state = c->svm, .fields = svm_fields, .post_load = svm_post_load };
}
