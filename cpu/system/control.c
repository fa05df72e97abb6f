/* SPDX-License-Identifier: MIT */
/* Control registers, descriptor table registers, the TLB and cache instructions (SDM vol. 3, chapter 2; vol. 2, each
 * instruction). */
#include "cpu/observe.h"
#include "cpu/system/paravirt.h"
#include "cpu/system/system.h"
#include "cpu/x87.h"

/* ---- control registers ---- */

u64 cr0_bits(const struct cpu *c)
{
	u64 all = CR0_PE | CR0_MP | CR0_EM | CR0_TS;

	if (has(c->model, F_I386))
		all |= CR0_PG | CR0_ET;
	if (has(c->model, F_I486))
		all |= CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD;
	return all;
}

/* What must hold when CR0.PG is turned on with EFER.LME (SDM vol. 2, MOV to CR; vol. 3, 9.8.5). */
static bool may_enter_long(const struct cpu *c)
{
	const struct seg *tr = &c->seg[TR];

	return c->cr4 & CR4_PAE && !(c->seg[CS].attr & SEG_L) && ((tr->attr & 15) == SYS_TSS_BUSY || null_sel(tr->sel));
}

bool write_cr0(struct cpu *c, u64 v)
{
	u64 old = c->cr0, efer = c->efer, changed;

	if (v >> 32)
		return gp_because(c, 0, "bits 63 to 32 of CR0 must be 0 (2.5)");
	if (v & CR0_PG && !(v & CR0_PE))
		return gp_because(c, 0, "CR0.PG would be set without CR0.PE (2.5)");
	if (v & CR0_NW && !(v & CR0_CD))
		return gp_because(c, 0, "CR0.NW would be set without CR0.CD (2.5)");
	if (c->cr4 & CR4_CET && !(v & CR0_WP))
		return gp_because(c, 0, "CR0.WP would be cleared while CR4.CET is set (2.5)");
	if (!vmx_cr0_ok(c, v))
		return gp_because(c, 0, "VMX operation does not allow this value of CR0 (23.8)");
	v &= cr0_bits(c);
	if (has(c->model, F_I386))
		v |= CR0_ET;
	changed = v ^ old;
	if (changed & CR0_PG) {
		if (v & CR0_PG) {
			if (c->efer & EFER_LME) {
				if (!may_enter_long(c))
					return gp_because(c, 0, "IA-32e mode is entered with CR4.PAE set, CS.L clear and no 16-bit TSS (9.8.5)");
			} else if (c->cr4 & CR4_PAE && !page_load_pdptes(c, c->cr3)) {
				return false;
			}
		} else if (in_64(c) || c->cr4 & CR4_PCIDE) {
			return gp_because(c, 0,
					  "CR0.PG cannot be cleared in 64-bit mode or with CR4.PCIDE set (4.1.2)");
		}
	} else if (v & CR0_PG && c->cr4 & CR4_PAE && !in_long(c) && changed & (CR0_CD | CR0_NW) &&
		!page_load_pdptes(c, c->cr3)) {
		return false;
	}
	c->cr0 = v;
	/* an error that waits: the PC's way from now on */
	if (changed & CR0_NE && !(v & CR0_NE) && c->x87.sw & X87_ES) {
		cpu_sync(c);
		line_set(&c->ferr, true);
	}
	if (v & CR0_PG && c->efer & EFER_LME)
		c->efer |= EFER_LMA;
	else
		c->efer &= ~(u64)EFER_LMA;
	if (changed & (CR0_PG | CR0_PE | CR0_WP))
		tlb_flush(c, true);
	if (changed || c->efer != efer)
		update_mode(c);
	return true;
}

bool write_cr3(struct cpu *c, u64 v)
{
	if (in_long(c)) {
		if (c->cr4 & CR4_PCIDE)
			v &= ~((u64)1 << 63); /* "keep this PCID's translations": dropping them is allowed too */
		if ((has(c->model, F_LAM) ? v & ~(CR3_LAM_U57 | CR3_LAM_U48) : v) >> c->model->physical_bits)
			return gp_because(c, 0,
					  "a bit of CR3 would be set that is beyond the physical addresses (4.5)");
	} else if (c->cr4 & CR4_PAE && c->cr0 & CR0_PG && !page_load_pdptes(c, v)) {
		return false;
	}
	observe(c, EVENT_CR3, v, c->cr3, 0, true);
	c->cr3 = v;
	tlb_flush(c, false);
	return true;
}

u64 cr4_bits(const struct model *m)
{
	static const struct { u64 bits; u8 feature; } all[] = {
		{ CR4_VME | CR4_PVI, F_VME }, { CR4_TSD, F_TSC }, { CR4_DE, F_DE }, { CR4_PSE, F_PSE },
			{ CR4_PAE, F_PAE }, { CR4_MCE, F_MCE },
		{ CR4_PGE, F_PGE }, { CR4_PCE, F_P6 }, { CR4_OSFXSR, F_FXSR }, { CR4_OSXMMEXCPT, F_SSE },
			{ CR4_UMIP, F_UMIP },
		{ CR4_FSGSBASE, F_FSGSBASE }, { CR4_PCIDE, F_PCID }, { CR4_OSXSAVE, F_XSAVE }, { CR4_SMEP, F_SMEP },
			{ CR4_SMAP, F_SMAP },
		{ CR4_PKE, F_PKU }, { CR4_VMXE, F_VMX }, { CR4_CET, F_CET_SS }, { CR4_CET, F_CET_IBT },
		{ CR4_PKS, F_PKS }, { CR4_LASS, F_LASS }, { CR4_LAM_SUP, F_LAM },
		{ CR4_LA57, F_LA57 }, { CR4_UINTR, F_UINTR }, { CR4_FRED, F_FRED },
	};
	u64 bits = 0;

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		if (has(m, all[i].feature))
			bits |= all[i].bits;
	return bits;
}

bool write_cr4(struct cpu *c, u64 v)
{
	u64 changed = v ^ c->cr4;

	if (v & ~cr4_bits(c->model))
		return gp_because(c, 0, "a bit of CR4 would be set that this processor does not have (2.5)");
	if (v & CR4_CET && !(c->cr0 & CR0_WP))
		return gp_because(c, 0, "CR4.CET would be set without CR0.WP (2.5)");
	if (c->smm && v & CR4_VMXE)
		return gp_because(c, 0, "CR4.VMXE is reserved in SMM (31.14.3)");
	if (!vmx_cr4_ok(c, v))
		return gp_because(c, 0, "CR4.VMXE cannot be cleared in VMX operation (23.7)");
	if (in_long(c) && changed & CR4_LA57)
		return gp_because(c, 0, "CR4.LA57 would change in IA-32e mode (4.1.2)");
	if (in_long(c) && !(v & CR4_PAE))
		return gp_because(c, 0, "CR4.PAE would be cleared in IA-32e mode (4.1.2)");
	if (changed & v & CR4_PCIDE && (!in_long(c) || c->cr3 & 0xfff))
		return gp_because(c, 0,
				  "CR4.PCIDE is set in IA-32e mode only, with bits 11 to 0 of CR3 clear (4.10.1)");
	if (v & CR4_PAE && c->cr0 & CR0_PG && !in_long(c) && changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP) &&
	    !page_load_pdptes(c, c->cr3))
		return false;
	c->cr4 = v;
	if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PKS |
		       CR4_LASS | CR4_CET))
		tlb_flush(c, true);
	if (changed)
		update_mode(c);
	return true;
}

bool write_cr8(struct cpu *c, u64 v)
{
	if (v & ~(u64)15)
		return gp_because(c, 0, "CR8 has four bits (11.8.6)");
	if (vmx_proc(c, PROC_TPR_SHADOW)) {
		vmx_write_tpr(c, (u32)v << 4);
		return true;
	}
	if (svm_masks(c)) {
		if (avic_on(c))
			avic_write_tpr(c, (u32)v << 4);
		c->svm->virtual = (c->svm->virtual & ~(u64)V_TPR) | v;
		attend(c, ATTN_LINE);
		return true;
	}
	c->cr8 = v;
	if (c->apic) {
		cpu_sync(c);
		apic_set_tpr(c->apic, (u8)(v << 4));
	}
	attend(c, ATTN_LINE);
	return true;
}

static u64 read_cr8(const struct cpu *c)
{
	if (vmx_proc(c, PROC_TPR_SHADOW))
		return vmx_read_tpr(c) >> 4;
	if (svm_masks(c))
		return c->svm->virtual & 15;
	return c->apic ? apic_get_tpr(c->apic) >> 4 : c->cr8;
}

static unsigned cr_number(const struct dec *d) { return (d->modrm >> 3 & 7) | (d->rex & 4) << 1; }

BODY(mov_from_cr)
{
	u64 v = o->src == 0   ? vmx_cr0(c)
		: o->src == 2 ? c->cr2
		: o->src == 3 ? c->cr3
		: o->src == 4 ? vmx_cr4(c)
			      : read_cr8(c);

	reg_set(c, o->dst, in_64(c) ? 8 : 4, v);
	return true;
}
BODY_HANDLER(mov_from_cr)

GEN(mov_from_cr)
{
	o->src = (u8)cr_number(d);
	o->run = o->src == 4 && !has(d->model, F_I486) ? h_ud : h_mov_from_cr; /* a 386 has no CR4 */
}

BODY(mov_to_cr)
{
	u64 v = reg_get(c, o->src, in_64(c) ? 8 : 4), rip = next_rip(c, o);
	bool ok = true;

	switch (o->dst) {
	case 0: ok = write_cr0(c, vmx_owned(c->cr0, v, vmx_guest(c) ? c->vmx->controls.cr0_mask : 0)); break;
	case 2: c->cr2 = v; break;
	case 3: ok = write_cr3(c, v); break;
	case 4: ok = write_cr4(c, vmx_owned(c->cr4, v, vmx_guest(c) ? c->vmx->controls.cr4_mask : 0)); break;
	case 8: ok = write_cr8(c, v); break;
	}
	if (ok)
		c->r[RIP] = rip;
	return ok;
}
LOOK_HANDLER(mov_to_cr)

GEN(mov_to_cr)
{
	o->dst = (u8)cr_number(d);
	o->run = o->dst == 4 && !has(d->model, F_I486) ? h_ud : h_mov_to_cr;
}

BODY(clts)
{
	if (!vmx_guest(c) || !(c->vmx->controls.cr0_mask & CR0_TS)) /* else it is the host's, and its shadow is 0 */
		c->cr0 &= ~(u64)CR0_TS;
	c->r[RIP] = next_rip(c, o);
	update_mode(c);
	return true;
}
GEN_LOOK(clts)

BODY(smsw)
{
	u64 v = vmx_cr0(c);

	if (!has(c->model, F_I386))
		v |= 0xfff0;
	if (o->mem)
		return op_store(c, o, 2, v & 0xffff);
	reg_set(c, o->dst, o->osize, v);
	return true;
}
GEN_BODY(smsw)

BODY(lmsw)
{
	u64 v, rip = next_rip(c, o), host = vmx_guest(c) ? c->vmx->controls.cr0_mask : 0;

	/* PE can be set, but not cleared. */
	if (!rm_load(c, o, o->dst, 2, &v) || !write_cr0(c, vmx_owned(c->cr0, (c->cr0 & ~(u64)14) | (v & 15), host)))
		return false;
	c->r[RIP] = rip;
	return true;
}
GEN_JUMP(lmsw)

/* ---- descriptor tables ---- */

/* limit in 2 bytes, base in 8 (64-bit mode) or 4; with 16-bit operands only 3 of the 4 are loaded. */
static bool load_table(struct cpu *c, const struct op *o, u64 *base, u16 *limit)
{
	unsigned size = in_64(c) ? 10 : 6;
	const u8 *p = fast_op(c, o, KIND_SEG, size, false);
	u8 image[10];

	if (unlikely(!p)) {
		if (!op_load_block(c, o, image, size))
			return false;
		p = image;
	}
	*limit = get16(p);
	*base = size == 10 ? get64(p + 2) : get32(p + 2) & (o->osize == 2 ? 0xffffff : 0xffffffff);
	return canonical_base(c->model, *base) ||
	       gp_because(c, 0, "the table's address is not canonical (vol. 1, 3.3.7.1)");
}

static bool store_table(struct cpu *c, const struct op *o, u64 base, u16 limit)
{
	u8 image[10];

	put16(image, limit);
	put64(image + 2, has(c->model, F_I386) ? base : base | 0xff000000);
	return op_store_block(c, o, image, in_64(c) ? 10 : 6);
}

BODY(lgdt)
{
	u64 base;
	u16 limit;

	if (!load_table(c, o, &base, &limit))
		return false;
	c->gdtr.base = base;
	c->gdtr.limit = limit;
	return true;
}
GEN_BODY(lgdt)

BODY(lidt)
{
	u64 base;
	u16 limit;

	if (!load_table(c, o, &base, &limit))
		return false;
	c->idtr.base = base;
	c->idtr.limit = limit;
	return true;
}
GEN_BODY(lidt)

BODY(sgdt) { return store_table(c, o, c->gdtr.base, c->gdtr.limit); }
BODY(sidt) { return store_table(c, o, c->idtr.base, c->idtr.limit); }
GEN_BODY(sgdt)
GEN_BODY(sidt)

ALWAYS_INLINE bool store_sel(struct cpu *c, const struct op *o, u16 sel)
{
	if (o->mem)
		return op_store(c, o, 2, sel);
	reg_set(c, o->dst, o->osize, sel);
	return true;
}

BODY(sldt) { return store_sel(c, o, c->seg[LDTR].sel); }
BODY(str) { return store_sel(c, o, c->seg[TR].sel); }
GEN_BODY(sldt)
GEN_BODY(str)

/* The system descriptor of SEL, 16 bytes in 64-bit mode: its type must be among TYPES. */
static bool system_descriptor(struct cpu *c, u16 sel, unsigned types, u64 *d, struct seg *s)
{
	u64 high = 0;

	if (sel & 4)
		return gp_because(c, sel & 0xfffc, "the selector must be of the GDT (vol. 2, LLDT, LTR)");
	if (!descriptor_read(c, sel, d, in_64(c) ? &high : NULL, VEC_GP))
		return false;
	if (desc_s(*d) || !(types >> desc_type(*d) & 1) || high >> 40 & 31)
		return gp_because(c, sel & 0xfffc,
				  types >> SYS_LDT & 1 ? "it is not the descriptor of an LDT (vol. 2, LLDT)"
						       : "it is not the descriptor of an available TSS (vol. 2, LTR)");
	if (!desc_present(*d))
		return fault_because(c, VEC_NP, sel & 0xfffc, "it is not present (bit 47, P, is clear)");
	descriptor_to_seg(s, sel, *d);
	s->base |= high << 32;
	return canonical_base(c->model, s->base) ||
	       gp_because(c, sel & 0xfffc, "the base is not a canonical address (vol. 1, 3.3.7.1)");
}

BODY(lldt)
{
	struct seg s = { .attr = SEG_UNUSABLE };
	u64 sel, d;

	if (!rm_load(c, o, o->dst, 2, &sel))
		return false;
	if (null_sel((u16)sel)) {
		s.sel = (u16)sel;
	} else if (!system_descriptor(c, (u16)sel, 1 << SYS_LDT, &d, &s)) {
		return false;
	}
	c->seg[LDTR] = s;
	return true;
}
GEN_BODY(lldt)

BODY(ltr)
{
	struct seg s = { 0 };
	u64 v, d, linear;
	u16 sel;

	if (!rm_load(c, o, o->dst, 2, &v))
		return false;
	sel = (u16)v;
	if (null_sel(sel))
		return gp_because(c, 0, "TR takes no null selector (vol. 2, LTR)");
	if (!system_descriptor(c, sel, 1 << SYS_TSS | (in_long(c) ? 0 : 1 << SYS_TSS16), &d, &s))
		return false;
	if (!descriptor_address(c, sel, 8, &linear) || !sys_write(c, linear + 5, 1, (d >> 40 | SYS_BUSY) & 0xff))
		return false;
	s.attr |= SYS_BUSY;
	c->seg[TR] = s;
	return true;
}
GEN_BODY(ltr)

/* ---- TLB and caches ---- */

BODY(invlpg)
{
	u64 linear = linear_address(c, o->seg, op_offset(c, o));

	if (canonical(c, linear))
		tlb_flush_page(c, linear);
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_LOOK(invlpg)

/* Descriptor: PCID in bits 0-11, the rest of the first quadword reserved; linear address in the second. */
BODY(invpcid)
{
	u64 type = reg_get(c, o->dst, in_64(c) ? 8 : 4);
	u8 image[16];
	u64 pcid, linear;

	if (!op_load_block(c, o, image, 16))
		return false;
	pcid = get64(image);
	linear = get64(image + 8);
	if (type > 3 || pcid & ~(u64)0xfff || (type < 2 && !(c->cr4 & CR4_PCIDE) && pcid) ||
	    (type == 0 && !canonical_base(c->model, linear)))
		return gp_because(c, 0, "its type or its descriptor is not valid (vol. 2, INVPCID)");
	if (type >= 2)
		tlb_flush(c, type == 2);
	else if (!(c->cr4 & CR4_PCIDE) || pcid == (c->cr3 & 0xfff)) { /* translations of other PCIDs are never kept */
		if (type == 0)
			tlb_flush_page(c, linear);
		else
			tlb_flush(c, false);
	}
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(invpcid)

BODY(nothing) { (void)c; (void)o; return true; }
BODY_HANDLER(nothing)
GEN_ALIAS(invd, nothing)
GEN_ALIAS(wbinvd, nothing)

/* Of all processors, and more than it asks for: that is allowed (APM vol. 3, INVLPGB). */
BODY(invlpgb)
{
	if ((c->r[RCX] & 0xffff) > INVLPGB_PAGES)
		return gp_because(c, 0, "there are more pages than CPUID allows (APM vol. 3, INVLPGB)");
	for (unsigned i = 0; i < c->all->count; i++)
		tlb_flush(c->all->cpu[i], true);
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(invlpgb)
GEN_ALIAS(tlbsync, nothing)

/* All stores are done. */
BODY(mcommit)
{
	if (!(c->efer & EFER_MCOMMIT))
		return fault_ud(c);
	cpu_set_arith(c, cpu_flags(c) & ~(u32)FL_C);
	return true;
}
GEN_BODY(mcommit)

/* They read nothing, but fault as a load of one byte does. */
BODY(clflush)
{
	u64 byte;

	return op_load(c, o, 1, &byte);
}
GEN_BODY(clflush)
GEN_ALIAS(clflushopt, clflush)
GEN_ALIAS(clwb, clflush)

/* The line that rAX points to becomes zeros (APM vol. 3, CLZERO). */
BODY(clzero)
{
	static const u8 zeros[64];
	u64 linear, offset = c->r[RAX] & op_amask(o), mask = in_64(c) ? ~(u64)0 : 0xffffffff;

	if (!seg_linear(c, o->seg, offset, 1, true, &linear) ||
	    !seg_linear(c, o->seg, (offset - (linear & 63)) & mask, sizeof zeros, true, &linear))
		return false;
	return mem_check_write(c, linear, sizeof zeros) && mem_write_block(c, linear, zeros, sizeof zeros);
}
BODY_HANDLER(clzero)
GEN(clzero)
{
	o->seg = d->seg & 7;
	o->run = h_clzero;
}

/* ---- the rest ---- */

BODY(hlt)
{
	c->r[RIP] = next_rip(c, o);
	if (unlikely(c->paravirt != NULL) && paravirt_awake(c))
		return true;
	c->activity = ACTIVITY_HALT;
	attend(c, ATTN_LINE);
	return true;
}
GEN_JUMP(hlt)

GEN_ALIAS(ud0, ud)
GEN_ALIAS(ud1, ud)
GEN_ALIAS(ud2, ud)

/* Random numbers that are the same in each run: a counter through a mixer (splitmix64). */
BODY(rdrand)
{
	u64 v = c->rand += 0x9e3779b97f4a7c15;

	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	reg_set(c, o->dst, o->osize, v ^ v >> 31);
	cpu_set_arith(c, FL_C);
	return true;
}
GEN_BODY(rdrand)
GEN_ALIAS(rdseed, rdrand)
