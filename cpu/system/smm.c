/* SPDX-License-Identifier: MIT */
/* System management mode (SDM vol. 3, chapter 31): SMI, the state that it saves, RSM.
 *
 *   SMBASE + 8000h  the handler's entry, in a mode like real mode with 4-GByte segments
 *   SMBASE + FE00h  the state, up to FFFFh: in the layout of AMD64 (APM vol. 2, table 10-1) for processors with 64-bit mode, whoever made them, as
 *                   firmware for virtual machines has it; of the P6 (SDM table 31-1) for others. Its revision identifier says which.
 *
 * The line SMIACT# tells the chipset that the processor is in SMM, so that the handler's memory is visible. Not
 * modelled: restart of I/O instructions (its bit in the revision identifier is 0). */
#include "cpu/system/system.h"

enum { SAVE = 0x8000, REVISION_32 = 0x20000, REVISION_64 = 0x20064 /* bit 17: SMBASE can be changed */ };
/* Offsets from SMBASE + 8000h. The state of a hidden CPL, which follows from SS but in long mode, is in a reserved
 * byte. */
enum {
	S64_ES = 0x7e00, S64_GDTR = 0x7e60, S64_LDTR = 0x7e70, S64_IDTR = 0x7e80, S64_TR = 0x7e90,
		S64_AUTO_HALT = 0x7ec9, S64_EFER = 0x7ed0,
	S64_SVM_GUEST = 0x7ed8, S64_SVM_VMCB = 0x7ee0, S64_SVM_VIRTUAL = 0x7ee8, /* for the handler to see */
	/* with nested paging */
	S64_SVM_GUEST_PAT = 0x7f20, S64_SVM_HOST_EFER = 0x7f28, S64_SVM_HOST_CR4 = 0x7f30, S64_SVM_NESTED_CR3 = 0x7f38,
	S64_SVM_HOST_CR0 = 0x7f40,
	S64_CPL = 0x7ef0, S_REVISION = 0x7efc, S64_SMBASE = 0x7f00, S64_CR4 = 0x7f48, S64_CR3 = 0x7f50,
	S64_CR0 = 0x7f58, S64_DR7 = 0x7f60,
	S64_DR6 = 0x7f68, S64_RFLAGS = 0x7f70, S64_RIP = 0x7f78, S64_R15 = 0x7f80,
	S32_SMBASE = 0x7ef8, S32_AUTO_HALT = 0x7f02, S32_CR4 = 0x7f14, S32_DS = 0x7f2c, S32_IDTR = 0x7f50,
	S32_TR = 0x7f5c, S32_GDTR = 0x7f6c,
	S32_LDTR = 0x7f78, S32_ES = 0x7f84, S32_SELECTORS = 0x7fa8, S32_DR7 = 0x7fc8, S32_DR6 = 0x7fcc,
	S32_EAX = 0x7fd0, S32_EIP = 0x7ff0,
	S32_EFLAGS = 0x7ff4, S32_CR3 = 0x7ff8, S32_CR0 = 0x7ffc,
};
enum { AREA = 0x7e00, AREA_SIZE = 0x200 };

/* The state, while it is written or read: an image of AREA. */
struct image { u8 bytes[AREA_SIZE]; };
static u8 *at(struct image *m, unsigned offset) { return m->bytes + (offset - AREA); }

static bool wide(const struct cpu *c) { return has(c->model, F_X64); }

void cpu_smi(void *cpu, int n, bool level)
{
	struct cpu *c = cpus_running(((struct cpu *)cpu)->all);

	(void)n;
	if (level && has(c->model, F_PENTIUM)) {
		c->smi_pending = true;
		cpu_attention(c);
	}
}

void smm_show(const struct cpus *all)
{
	line_set(&all->cpu[0]->smiact, cpus_running(all)->smm);
}

/* ---- segments ---- */

static void save_seg_64(struct image *m, unsigned offset, const struct seg *s)
{
	put16(at(m, offset), s->sel);
	put16(at(m, offset + 2), seg_attributes(s));
	put32(at(m, offset + 4), s->limit);
	put64(at(m, offset + 8), s->base);
}

static void load_seg_64(struct image *m, unsigned offset, struct seg *s)
{
	s->sel = get16(at(m, offset));
	seg_set_attributes(s, get16(at(m, offset + 2)));
	s->limit = get32(at(m, offset + 4));
	s->base = get64(at(m, offset + 8));
}

/* 0 attributes as in the descriptor's second word, 4 limit, 8 base */
static void save_seg_32(struct image *m, unsigned offset, const struct seg *s)
{
	put32(at(m, offset), (u32)seg_attributes(s) << 8);
	put32(at(m, offset + 4), s->limit);
	put32(at(m, offset + 8), (u32)s->base);
}

static void load_seg_32(struct image *m, unsigned offset, struct seg *s)
{
	seg_set_attributes(s, get32(at(m, offset)) >> 8);
	s->limit = get32(at(m, offset + 4));
	s->base = get32(at(m, offset + 8));
}

/* The offset of segment I in the P6's map: ES CS SS follow the LDTR, DS FS GS are at the beginning. */
static unsigned place_32(unsigned i) { return i < DS ? S32_ES + 12 * i : S32_DS + 12 * (i - DS); }

/* ---- the whole state ---- */

static void show_guest(const struct cpu *c, struct image *m)
{
	const struct svm *v = c->svm;

	put64(at(m, S64_SVM_GUEST), 1);
	put64(at(m, S64_SVM_VMCB), v->vmcb);
	put64(at(m, S64_SVM_VIRTUAL), v->virtual);
	if (!v->nested)
		return;
	put64(at(m, S64_SVM_GUEST_PAT), c->pat);
	put64(at(m, S64_SVM_HOST_EFER), v->host_efer);
	put64(at(m, S64_SVM_HOST_CR4), v->host_cr4);
	put64(at(m, S64_SVM_NESTED_CR3), v->ncr3);
	put64(at(m, S64_SVM_HOST_CR0), vmcb_get(c, v->hsave, VMCB_CR0));
}

static void save_64(const struct cpu *c, struct image *m)
{
	for (unsigned i = ES; i <= GS; i++)
		save_seg_64(m, S64_ES + 16 * i, &c->seg[i]);
	save_seg_64(m, S64_LDTR, &c->seg[LDTR]);
	save_seg_64(m, S64_TR, &c->seg[TR]);
	put16(at(m, S64_GDTR + 4), c->gdtr.limit);
	put64(at(m, S64_GDTR + 8), c->gdtr.base);
	put16(at(m, S64_IDTR + 4), c->idtr.limit);
	put64(at(m, S64_IDTR + 8), c->idtr.base);
	*at(m, S64_AUTO_HALT) = c->activity == ACTIVITY_HALT;
	*at(m, S64_CPL) = c->cpl;
	put64(at(m, S64_EFER), c->efer);
	if (c->svm && c->svm->guest)
		show_guest(c, m);
	put32(at(m, S_REVISION), REVISION_64);
	put32(at(m, S64_SMBASE), c->smbase);
	put64(at(m, S64_CR4), c->cr4);
	put64(at(m, S64_CR3), c->cr3);
	put64(at(m, S64_CR0), c->cr0);
	put64(at(m, S64_DR7), c->dr[7]);
	put64(at(m, S64_DR6), c->dr[6]);
	put64(at(m, S64_RFLAGS), cpu_flags(c));
	put64(at(m, S64_RIP), c->r[RIP]);
	for (unsigned i = 0; i < 16; i++)
		put64(at(m, S64_R15 + 8 * (15 - i)), c->r[i]);
}

static void save_32(const struct cpu *c, struct image *m)
{
	static const u8 selectors[] = { ES, CS, SS, DS, FS, GS, LDTR, TR };

	for (unsigned i = ES; i <= GS; i++)
		save_seg_32(m, place_32(i), &c->seg[i]);
	save_seg_32(m, S32_LDTR, &c->seg[LDTR]);
	save_seg_32(m, S32_TR, &c->seg[TR]);
	for (unsigned i = 0; i < ARRAY_LEN(selectors); i++)
		put32(at(m, S32_SELECTORS + 4 * i), c->seg[selectors[i]].sel);
	put32(at(m, S32_GDTR + 4), c->gdtr.limit);
	put32(at(m, S32_GDTR + 8), (u32)c->gdtr.base);
	put32(at(m, S32_IDTR + 4), c->idtr.limit);
	put32(at(m, S32_IDTR + 8), (u32)c->idtr.base);
	put16(at(m, S32_AUTO_HALT), c->activity == ACTIVITY_HALT);
	put32(at(m, S_REVISION), REVISION_32);
	put32(at(m, S32_SMBASE), c->smbase);
	put32(at(m, S32_CR4), (u32)c->cr4);
	put32(at(m, S32_CR3), (u32)c->cr3);
	put32(at(m, S32_CR0), (u32)c->cr0);
	put32(at(m, S32_DR7), (u32)c->dr[7]);
	put32(at(m, S32_DR6), (u32)c->dr[6]);
	put32(at(m, S32_EFLAGS), cpu_flags(c));
	put32(at(m, S32_EIP), (u32)c->r[RIP]);
	for (unsigned i = 0; i < 8; i++)
		put32(at(m, S32_EAX + 4 * i), (u32)c->r[i]);
}

/* Registers that load_64() and load_32() return, for possible() to check together. */
struct control { u64 cr0, cr3, cr4, efer, flags; unsigned cpl; bool halt; };

static void load_64(struct cpu *c, struct image *m, struct control *k)
{
	for (unsigned i = ES; i <= GS; i++)
		load_seg_64(m, S64_ES + 16 * i, &c->seg[i]);
	load_seg_64(m, S64_LDTR, &c->seg[LDTR]);
	load_seg_64(m, S64_TR, &c->seg[TR]);
	c->gdtr.limit = get16(at(m, S64_GDTR + 4));
	c->gdtr.base = get64(at(m, S64_GDTR + 8));
	c->idtr.limit = get16(at(m, S64_IDTR + 4));
	c->idtr.base = get64(at(m, S64_IDTR + 8));
	c->smbase = get32(at(m, S64_SMBASE));
	c->dr[7] = (u32)get64(at(m, S64_DR7)) | 0x400;
	c->dr[6] = (u32)get64(at(m, S64_DR6)) | 0xffff0ff0;
	c->r[RIP] = get64(at(m, S64_RIP));
	for (unsigned i = 0; i < 16; i++)
		c->r[i] = get64(at(m, S64_R15 + 8 * (15 - i)));
	*k = (struct control){ get64(at(m, S64_CR0)), get64(at(m, S64_CR3)), get64(at(m, S64_CR4)),
		get64(at(m, S64_EFER)),
		get64(at(m, S64_RFLAGS)), *at(m, S64_CPL) & 3, *at(m, S64_AUTO_HALT) & 1 };
}

static void load_32(struct cpu *c, struct image *m, struct control *k)
{
	static const u8 selectors[] = { ES, CS, SS, DS, FS, GS, LDTR, TR };

	for (unsigned i = ES; i <= GS; i++)
		load_seg_32(m, place_32(i), &c->seg[i]);
	load_seg_32(m, S32_LDTR, &c->seg[LDTR]);
	load_seg_32(m, S32_TR, &c->seg[TR]);
	for (unsigned i = 0; i < ARRAY_LEN(selectors); i++)
		c->seg[selectors[i]].sel = get16(at(m, S32_SELECTORS + 4 * i));
	c->gdtr.limit = get16(at(m, S32_GDTR + 4));
	c->gdtr.base = get32(at(m, S32_GDTR + 8));
	c->idtr.limit = get16(at(m, S32_IDTR + 4));
	c->idtr.base = get32(at(m, S32_IDTR + 8));
	c->smbase = get32(at(m, S32_SMBASE));
	c->dr[7] = get32(at(m, S32_DR7)) | 0x400;
	c->dr[6] = get32(at(m, S32_DR6)) | 0xffff0ff0;
	c->r[RIP] = get32(at(m, S32_EIP));
	for (unsigned i = 0; i < 8; i++)
		c->r[i] = get32(at(m, S32_EAX + 4 * i));
	*k = (struct control){ get32(at(m, S32_CR0)), get32(at(m, S32_CR3)), get32(at(m, S32_CR4)), 0,
		get32(at(m, S32_EFLAGS)),
		(c->seg[SS].attr & SEG_DPL) >> 5, get16(at(m, S32_AUTO_HALT)) & 1 };
}

/* ---- in and out ---- */

/* SDM vol. 3, 31.5.1. */
void smm_enter(struct cpu *c)
{
	struct image m = { { 0 } };
	bool guest = in_guest(c);

	c->smi_pending = false;
	if (guest)
		tlb_leave(c);
	if (c->vmx)
		vmx_smi(c);
	c->cr4 &= ~(u64)CR4_VMXE;
	c->smm = true;
	smm_show(c->all);
	if (wide(c))
		save_64(c, &m);
	else
		save_32(c, &m);
	space_write_block(c->mem, (u64)c->smbase + SAVE + AREA, m.bytes, sizeof m.bytes);
	c->smm_nmi_blocked = c->nmi_blocked;
	c->nmi_blocked = true;
	c->activity = ACTIVITY_RUN;
	c->monitor_armed = false;
	c->step = false;
	c->eflags = FL_1;
	cpu_set_arith(c, 0);
	c->r[RIP] = 0x8000;
	c->cr0 &= ~(u64)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
	c->cr4 = c->efer = 0;
	c->cpl = 0;
	c->dr[7] = 0x400;
	c->idtr.base = c->idtr.limit = 0; /* an exception before a LIDT shuts down */
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_G };
	c->seg[CS].sel = (u16)(c->smbase >> 4);
	c->seg[CS].base = c->smbase;
	cpu_derive(c);
	if (guest) /* which goes on after RSM */
		tlb_enter(c, 0, false);
}

/* Combinations that put the processor into shutdown (SDM vol. 2, RSM): reserved bits, PG without PE, NW without CD,
 * long mode without PAE, VMXE. */
static bool possible(struct cpu *c, const struct control *k)
{
	if (k->cr4 & (CR4_VMXE | ~cr4_bits(c->model)) || k->efer & ~efer_bits(c->model) || k->cr0 >> 32)
		return false;
	if (!(k->cr0 & CR0_PE) ? k->cr0 & CR0_PG : k->flags & FL_VM && k->efer & EFER_LMA)
		return false;
	if (k->cr0 & CR0_NW && !(k->cr0 & CR0_CD))
		return false;
	if (k->efer & EFER_LME && k->cr0 & CR0_PG)
		return k->cr4 & CR4_PAE && !(k->cr3 >> c->model->physical_bits);
	return !(k->cr4 & CR4_PCIDE);
}

BODY(rsm)
{
	struct image m;
	struct control k;

	(void)o;
	cpu_sync(c); /* a device may be there */
	space_read_block(c->mem, (u64)c->smbase + SAVE + AREA, m.bytes, sizeof m.bytes);
	if (wide(c))
		load_64(c, &m, &k);
	else
		load_32(c, &m, &k);
	c->smm = false;
	smm_show(c->all);
	c->nmi_blocked = c->smm_nmi_blocked;
	attend(c, ATTN_LINE); /* events that were held back */
	if (!possible(c, &k)) {
		c->activity = ACTIVITY_SHUTDOWN;
		return true;
	}
	c->cr0 = (k.cr0 & cr0_bits(c)) | CR0_ET;
	c->cr3 = k.cr3;
	c->cr4 = k.cr4;
	c->efer = (k.efer & ~(u64)EFER_LMA) | (k.efer & EFER_LME && k.cr0 & CR0_PG ? EFER_LMA : 0);
	c->eflags = ((u32)k.flags &
		     (FL_T | FL_I | FL_D | FL_IOPL | FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID)) |
		    FL_1;
	cpu_set_arith(c, (u32)k.flags);
	c->cpl = !(c->cr0 & CR0_PE) ? 0 : c->eflags & FL_VM ? 3 : k.cpl;
	if (c->vmx)
		vmx_rsm(c);
	cpu_derive(c);
	if (in_guest(c)) {
		bool vpid = vmx_secondary(c, SEC_VPID);

		tlb_enter(c, vpid, vpid);
	}
	if (c->cr0 & CR0_PG && c->cr4 & CR4_PAE && !(c->efer & EFER_LMA) && !page_load_pdptes(c, c->cr3))
		c->activity = ACTIVITY_SHUTDOWN;
	else if (k.halt)
		c->activity = ACTIVITY_HALT;
	return true;
}
GEN_JUMP(rsm)
