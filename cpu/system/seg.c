/* SPDX-License-Identifier: MIT */
/* Segment registers: descriptors, loads with their checks, and the values that the fast path derives from them (SDM
 * vol. 3, chapters 3 and 5). */
#include "cpu/observe.h"
#include "cpu/cet.h"
#include "cpu/uintr.h"
#include "cpu/system/system.h"
#include "cpu/system/xsave.h"

/* ---- descriptors ---- */

bool descriptor_address(const struct cpu *c, u16 sel, unsigned len, u64 *linear)
{
	u64 base = c->gdtr.base;
	u32 limit = c->gdtr.limit;

	if (sel & 4) {
		const struct seg *ldt = &c->seg[LDTR];

		if (ldt->attr & SEG_UNUSABLE || null_sel(ldt->sel))
			return false;
		base = ldt->base;
		limit = ldt->limit;
	}
	*linear = base + (sel & 0xfff8);
	return (sel & 0xfff8u) + len - 1 <= limit;
}

bool descriptor_read(struct cpu *c, u16 sel, u64 *lo, u64 *hi, unsigned vector)
{
	u64 linear;

	if (!descriptor_address(c, sel, hi ? 16 : 8, &linear))
		return fault_because(c, vector, sel & 0xfffc,
				     !(sel & 4) ? "the selector's index is beyond the limit of the GDT (3.5.1)"
				     : c->seg[LDTR].attr & SEG_UNUSABLE
					     ? "the selector is of the LDT, and there is none (3.5.1)"
					     : "the selector's index is beyond the limit of the LDT (3.5.1)");
	if (!sys_read(c, linear, 8, lo) || (hi && !sys_read(c, linear + 8, 8, hi)))
		return false;
	if (!has(c->model, F_I386))
		*lo &= 0xffffffffffff; /* a 286 has 24 bits of base and 16 of limit, and ignores the other bytes */
	return true;
}

bool descriptor_accessed(struct cpu *c, u16 sel, u64 *descriptor)
{
	u64 linear;

	if (desc_type(*descriptor) & SEG_A)
		return true;
	if (!descriptor_address(c, sel, 8, &linear))
		return gp_because(c, sel & 0xfffc, "the selector's index is beyond its table's limit (3.5.1)");
	*descriptor |= (u64)SEG_A << 40;
	return sys_write(c, linear + 5, 1, *descriptor >> 40 & 0xff);
}

u32 desc_limit(u64 d)
{
	u32 limit = (u32)(d & 0xffff) | (u32)(d >> 32 & 0xf0000);

	return d >> 55 & 1 ? limit << 12 | 0xfff : limit;
}

void descriptor_to_seg(struct seg *s, u16 sel, u64 d)
{
	s->sel = sel;
	s->base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
	s->limit = desc_limit(d);
	s->attr = (u32)(d >> 40) & 0xf0ff;
}

u16 seg_attributes(const struct seg *s) { return s->attr & SEG_UNUSABLE ? s->attr & SEG_DPL : (u16)s->attr; }

void seg_set_attributes(struct seg *s, u32 attr)
{
	s->attr = attr & SEG_P ? attr & 0xf0ff : (attr & SEG_DPL) | SEG_UNUSABLE;
}

/* ---- what follows from the registers ---- */

static void set_ends(const struct cpu *c, struct seg *s)
{
	u64 end = (u64)s->limit + 1;
	bool rights = in_protected(c);

	if (in_64(c)) {
		s->read_end = s->write_end = ~(u64)0;
		return;
	}
	s->read_end = s->write_end = 0;
	if (s->attr & SEG_UNUSABLE || (s->attr & (SEG_CODE | SEG_E)) == SEG_E)
		return;
	if (!rights) {
		s->read_end = s->write_end = end;
		return;
	}
	if (!(s->attr & SEG_P))
		return;
	if (!(s->attr & SEG_CODE) || s->attr & SEG_W)
		s->read_end = end;
	if (!(s->attr & SEG_CODE) && s->attr & SEG_W)
		s->write_end = end;
}

static bool is_flat(const struct seg *s)
{
	const u64 end = (u64)1 << 32;

	return !s->base && s->read_end == end && s->write_end == end;
}

static u64 flatness(const struct cpu *c)
{
	const struct seg *cs = &c->seg[CS];
	u64 mode = 0;

	if (is_flat(&c->seg[DS]) && is_flat(&c->seg[ES]) && is_flat(&c->seg[SS]))
		mode |= MODE_FLAT;
	if ((c->mode & MODE_BITS) == MODE_32 && !cs->base && cs->limit == 0xffffffff)
		mode |= MODE_FLAT_CODE;
	return mode;
}

void seg_update(struct cpu *c, unsigned reg)
{
	if (reg <= GS)
		set_ends(c, &c->seg[reg]);
	if (reg == CS || reg == SS || flatness(c) != (c->mode & (MODE_FLAT | MODE_FLAT_CODE)))
		update_mode(c);
}

static u64 current_mode(const struct cpu *c)
{
	const struct seg *cs = &c->seg[CS];
	u64 mode = c->mode & MODE_SINGLE;

	if (c->cr0 & CR0_PE)
		mode |= MODE_PE | (c->eflags & FL_VM ? MODE_V86 : 0);
	if (c->efer & EFER_LMA)
		mode |= MODE_LONG;
	if (c->efer & EFER_LMA && cs->attr & SEG_L && !(mode & MODE_V86))
		mode |= MODE_64 | MODE_STACK32;
	else
		mode |= (cs->attr & SEG_DB ? MODE_32 : MODE_16) | (c->seg[SS].attr & SEG_DB ? MODE_STACK32 : 0);
	mode |= (u64)c->cpl << 6;
	mode |= (c->cr0 & CR0_TS ? MODE_TS : 0) | (c->cr0 & CR0_EM ? MODE_EM : 0) | (c->cr0 & CR0_MP ? MODE_MP : 0);
	mode |= (c->cr4 & CR4_OSFXSR ? MODE_OSFXSR : 0) | (c->cr4 & CR4_UMIP ? MODE_UMIP : 0);
	mode |= c->cr4 & CR4_OSXMMEXCPT ? MODE_XMM_EXC : 0;
	mode |= MODE_CR4(c->cr4 & (CR4_TSD | CR4_PCE | CR4_FSGSBASE | CR4_PKE | CR4_CET)) |
		(c->efer & EFER_SCE ? MODE_SCE : 0) |
		(c->efer & EFER_SVME ? MODE_SVME : 0) | (vmx_nonroot(c) ? MODE_GUEST : 0) |
		(c->svm && c->svm->guest && !c->smm ? MODE_SVM_GUEST : 0) |
		(c->fred && c->cr4 & CR4_FRED && c->efer & EFER_LMA ? MODE_FRED : 0);
	if (unlikely(c->cr4 & CR4_CET))
		mode |= cet_mode(c);
	if (c->cr4 & CR4_OSXSAVE)
		mode |= MODE_OSXSAVE | ((c->xcr0 & 6) == 6 ? MODE_AVX : 0) |
			((c->xcr0 & 0xe6) == 0xe6 ? MODE_AVX512 : 0) |
			(unlikely(c->xcr0 & STATE_APX) && (mode & MODE_BITS) == MODE_64 ? MODE_APX : 0);
	if (unlikely(c->pmu.branches_count))
		mode |= MODE_BRANCHES;
	if (unlikely((c->debugctl & DEBUGCTL_LBR) | c->lbr.ctl) && lbr_on(c))
		mode |= MODE_LBR;
	if (unlikely(c->debugctl & DEBUGCTL_BUS_LOCK && c->cpl) ||
	    (unlikely(mode & MODE_GUEST) && c->vmx->controls.secondary & SEC_BUS_LOCK))
		mode |= MODE_BUS_LOCK;
	if ((mode & MODE_BITS) == MODE_32 ? cs->limit != 0xffffffff
					  : (mode & MODE_BITS) == MODE_16 && cs->limit < 0xffff)
		mode |= MODE_LIMIT;
	return mode;
}

void update_mode(struct cpu *c)
{
	u64 old = c->mode, mode;

	if (unlikely(c->pmu.on))
		pmu_level(c);
	mode = c->mode = current_mode(c);

	if ((mode ^ old) & (MODE_PE | MODE_V86) || ((mode & MODE_BITS) == MODE_64) != ((old & MODE_BITS) == MODE_64))
		for (unsigned reg = ES; reg <= GS; reg++)
			set_ends(c, &c->seg[reg]);
	mode = c->mode |= flatness(c);
	mode_changed(c);
	if ((mode & MODE_BITS) == MODE_64) {
		c->cs_base = 0;
		c->linear_mask = ~(u64)0;
	} else {
		c->cs_base = c->seg[CS].base;
		c->linear_mask = c->model->linear_bits < 32 ? ((u64)1 << c->model->linear_bits) - 1 : 0xffffffff;
	}
	if (mode != old) {
		u64 changed = mode ^ old;

		c->attn |= ATTN_MODE;
		if (unlikely(c->uintr) && uintr_due(c))
			c->attn |= ATTN_LINE;
		if (changed & (MODE_BITS | MODE_PE | MODE_V86 | MODE_LONG))
			observe(c, EVENT_MODE, mode & (MODE_BITS | MODE_PE | MODE_V86 | MODE_LONG),
				old & (MODE_BITS | MODE_PE | MODE_V86 | MODE_LONG),
				0, true);
	}
	update_view(c);
}

void cpu_derive(struct cpu *c)
{
	tlb_flush(c, true);
	cpu_derive_registers(c);
}

void cpu_derive_registers(struct cpu *c)
{
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
}

void update_view(struct cpu *c)
{
	unsigned v = VIEW_SUPERVISOR;

	if (c->cpl == 3)
		v = c->eflags & FL_AC && c->cr0 & CR0_AM ? VIEW_SLOW : VIEW_USER;
	else if (c->eflags & FL_AC && c->cr4 & CR4_SMAP)
		v = VIEW_SMAP_AC;
	c->view = &c->views[v];
}

/* ---- loads ---- */

void seg_null(struct cpu *c, unsigned reg, u16 sel)
{
	struct seg *s = &c->seg[reg];

	s->sel = sel;
	s->base = 0;
	s->attr = (s->attr & SEG_DPL) | SEG_UNUSABLE;
	set_ends(c, s);
}

void seg_load_real(struct cpu *c, unsigned reg, u16 sel)
{
	struct seg *s = &c->seg[reg];

	s->sel = sel;
	s->base = (u64)sel << 4;
	if (c->eflags & FL_VM && c->cr0 & CR0_PE) {
		s->limit = 0xffff;
		s->attr = SEG_P | SEG_DPL | SEG_S | SEG_W | SEG_A;
	} else if (reg == CS && (model_family(c->model) < 5 || !(s->attr & SEG_CODE))) {
		/* Limit and default size stay (that is how unreal mode is made), but a code segment becomes a writable
		 * one. From the Pentium on it stays a code segment; in real mode it is writable nevertheless. */
		s->attr = (s->attr & ~(u32)(0xff | SEG_UNUSABLE | SEG_L)) | SEG_P | SEG_S | SEG_W | SEG_A;
	} else {
		s->attr &= ~(u32)SEG_UNUSABLE;
		s->attr |= SEG_P | SEG_S | SEG_W | SEG_A;
	}
	seg_update(c, reg);
}

static bool load_null(struct cpu *c, unsigned reg, u16 sel)
{
	if (reg == SS && !in_64(c))
		return gp_because(c, 0, "SS takes no null selector (5.4.1)");
	if (reg == SS && (c->cpl == 3 || (sel & 3) != c->cpl))
		return gp_because(c, 0,
				  c->cpl == 3 ? "SS takes no null selector at CPL 3 (5.4.1.1)"
					      : "the RPL of a null selector for SS must be CPL (5.4.1.1)");
	seg_null(c, reg, sel);
	if (reg == SS) {
		/* The hidden DPL of SS is CPL, not the descriptor's DPL. */
		c->seg[SS].attr = SEG_UNUSABLE | (u32)c->cpl << 5;
		update_mode(c);
	}
	return true;
}

bool seg_load(struct cpu *c, unsigned reg, u16 sel)
{
	unsigned rpl = sel & 3, dpl;
	u64 d;

	if (!(c->cr0 & CR0_PE) || c->eflags & FL_VM) {
		seg_load_real(c, reg, sel);
		return true;
	}
	if (null_sel(sel))
		return load_null(c, reg, sel);
	if (!descriptor_read(c, sel, &d, NULL, VEC_GP))
		return false;
	dpl = desc_dpl(d);
	if (reg == SS) {
		if (rpl != c->cpl)
			return gp_because(c, sel & 0xfffc, "the RPL of a selector for SS must be CPL (5.7)");
		if (!desc_writable(d))
			return gp_because(c, sel & 0xfffc, "SS takes a writable data segment only (5.4.1)");
		if (dpl != c->cpl)
			return gp_because(c, sel & 0xfffc, "the DPL of a segment for SS must be CPL (5.7)");
		if (!desc_present(d))
			return fault_because(c, VEC_SS, sel & 0xfffc, "it is not present (bit 47, P, is clear)");
	} else {
		if (!desc_s(d))
			return gp_because(c, sel & 0xfffc, "it is a system descriptor, not a segment's (5.4.1)");
		if (desc_code(d) && !(desc_type(d) & SEG_W))
			return gp_because(c, sel & 0xfffc, "it is a code segment that is not readable (5.4.1)");
		if (!desc_conforming(d) && (rpl > dpl || c->cpl > dpl))
			return gp_because(c, sel & 0xfffc,
					  c->cpl > dpl ? "CPL is above the segment's DPL (5.6)"
						       : "the selector's RPL is above the segment's DPL (5.6)");
		if (!desc_present(d))
			return fault_because(c, VEC_NP, sel & 0xfffc, "it is not present (bit 47, P, is clear)");
	}
	if (!descriptor_accessed(c, sel, &d))
		return false;
	descriptor_to_seg(&c->seg[reg], sel, d);
	seg_update(c, reg);
	return true;
}

void cs_set(struct cpu *c, u16 sel, u64 d, unsigned cpl)
{
	descriptor_to_seg(&c->seg[CS], (u16)((sel & 0xfffc) | cpl), d);
	c->cpl = (u8)cpl;
	update_mode(c);
	set_ends(c, &c->seg[CS]);
}

void ss_set(struct cpu *c, u16 sel, u64 d)
{
	if (null_sel(sel)) {
		c->seg[SS].sel = sel;
		c->seg[SS].base = 0;
		c->seg[SS].attr = SEG_UNUSABLE | (u32)c->cpl << 5;
	} else {
		descriptor_to_seg(&c->seg[SS], sel, d);
	}
	seg_update(c, SS);
}

void segs_revalidate(struct cpu *c)
{
	static const u8 regs[] = { ES, DS, FS, GS };

	for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
		struct seg *s = &c->seg[regs[i]];

		if (s->attr & SEG_UNUSABLE)
			s->sel = 0; /* it may have been 1 to 3 */
		else if (seg_dpl(s) < c->cpl && (s->attr & (SEG_CODE | SEG_E)) != (SEG_CODE | SEG_E)) {
			u64 base = s->base;

			/* Silicon leaves the base, which 64-bit mode still uses for FS and GS. */
			seg_null(c, regs[i], 0);
			c->seg[regs[i]].base = base;
		}
	}
}

/* ---- MOV, PUSH, POP, LxS ---- */

BODY(ud) { (void)o; return fault_ud(c); }
BODY_HANDLER(ud)

static unsigned reg_field(const struct dec *d) { return d->modrm >> 3 & 7; }

BODY(mov_from_seg)
{
	u16 sel = c->seg[o->src].sel;

	if (o->mem)
		return op_store(c, o, 2, sel);
	reg_set(c, o->dst, o->osize, sel);
	return true;
}
BODY_HANDLER(mov_from_seg)

GEN(mov_from_seg)
{
	o->src = (u8)(reg_field(d) & (has(d->model, F_I186) ? 7 : 3)); /* an 8086 has four, and decodes two bits */
	o->run = o->src <= (has(d->model, F_I386) ? GS : DS) ? h_mov_from_seg : h_ud;
}

BODY(mov_to_seg)
{
	u64 sel;

	return rm_load(c, o, o->src, 2, &sel) && seg_load(c, o->dst, (u16)sel);
}
BODY_HANDLER(mov_to_seg)

BODY(mov_to_ss)
{
	u64 sel, rip = next_rip(c, o);

	if (!rm_load(c, o, o->src, 2, &sel) || !seg_load(c, SS, (u16)sel))
		return false;
	shadow(c, true);
	c->r[RIP] = rip;
	return true;
}
LOOK_HANDLER(mov_to_ss)

/* The 8086 loads CS, too, and continues there. */
BODY(mov_to_cs)
{
	u64 sel, rip = next_rip(c, o);

	if (!rm_load(c, o, o->src, 2, &sel))
		return false;
	seg_load_real(c, CS, (u16)sel);
	c->r[RIP] = rip;
	return true;
}
GEN_JUMP(mov_to_cs)

BODY(pop_cs)
{
	u64 sel, rip = next_rip(c, o);

	if (!stack_pop(c, 2, &sel))
		return false;
	seg_load_real(c, CS, (u16)sel);
	c->r[RIP] = rip;
	return true;
}
GEN_JUMP(pop_cs)

GEN(mov_to_seg)
{
	o->dst = (u8)(reg_field(d) & (has(d->model, F_I186) ? 7 : 3));
	o->run = o->dst == SS ? h_mov_to_ss : h_mov_to_seg;
}

/* A 32-bit push of a selector writes 16 bits and leaves the others. */
BODY(push_seg)
{
	unsigned size = o->osize == 4 && !is_amd(c->model) ? 2 : o->osize;
	u64 rsp = (c->r[RSP] - o->osize) & stack_mask(c), linear;

	if (!data_linear(c, SS, rsp, size, true, &linear) || !mem_write(c, linear, size, c->seg[o->src].sel))
		return false;
	rsp_set(c, rsp);
	return true;
}
BODY_HANDLER(push_seg)

static unsigned opcode_seg(const struct dec *d) { return d->map ? (d->opcode & 8 ? GS : FS) : d->opcode >> 3 & 3; }

GEN(push_seg)
{
	o->src = (u8)opcode_seg(d);
	o->run = h_push_seg;
}

ALWAYS_INLINE bool pop_to(struct cpu *c, const struct op *o, unsigned reg)
{
	u64 rsp = c->r[RSP] & stack_mask(c), linear, sel, mask = stack_mask(c);

	/* Intel's processors do not read the other bytes of the stack slot. */
	unsigned size = is_amd(c->model) ? o->osize : 2;

	if (!data_linear(c, SS, rsp, size, false, &linear) || !mem_read(c, linear, size, &sel))
		return false;
	if (!seg_load(c, reg, (u16)sel))
		return false;
	rsp += o->osize;
	c->r[RSP] = mask == 0xffff ? (c->r[RSP] & ~mask) | (rsp & mask) : rsp & mask;
	return true;
}

BODY(pop_seg) { return pop_to(c, o, o->dst); }
BODY_HANDLER(pop_seg)

BODY(pop_ss)
{
	u64 rip = next_rip(c, o);

	if (!pop_to(c, o, SS))
		return false;
	shadow(c, true);
	c->r[RIP] = rip;
	return true;
}
LOOK_HANDLER(pop_ss)

GEN(pop_seg)
{
	o->dst = (u8)opcode_seg(d);
	o->run = o->dst == SS ? h_pop_ss : h_pop_seg;
}

bool far_pointer(struct cpu *c, const struct op *o, unsigned size, u64 *offset, u16 *sel)
{
	u64 linear, v;

	if (!op_linear(c, o, size, false, &linear) || !mem_read(c, linear, size, offset))
		return false;
	if (!seg_linear(c, o->seg, (op_offset(c, o) + size) & op_amask(o), 2, false, &linear) ||
	    !mem_read(c, linear, 2, &v))
		return false;
	*sel = (u16)v;
	return true;
}

ALWAYS_INLINE bool load_far(struct cpu *c, const struct op *o, unsigned reg)
{
	u64 offset;
	u16 sel;

	if (!far_pointer(c, o, o->osize, &offset, &sel) || !seg_load(c, reg, sel))
		return false;
	reg_set(c, o->dst, o->osize, offset);
	return true;
}

BODY(les) { return load_far(c, o, ES); }
BODY(lds) { return load_far(c, o, DS); }
BODY(lfs) { return load_far(c, o, FS); }
BODY(lgs) { return load_far(c, o, GS); }
BODY(lss)
{
	u64 rip = next_rip(c, o);

	if (!load_far(c, o, SS))
		return false;
	c->r[RIP] = rip;
	return true;
}
GEN_BODY(les)
GEN_BODY(lds)
GEN_BODY(lfs)
GEN_BODY(lgs)
GEN_LOOK(lss)

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

static void set_zf(struct cpu *c, bool z) { cpu_set_flags(c, z ? FL_Z : 0, FL_Z); }

/* Read the descriptor of SEL. *SEEN: the rules of LAR, LSL, VERR and VERW allow CPL and RPL to access it. TYPES: a bit
 * for each system type that is allowed; 0: none. False: a page fault. */
static bool look(struct cpu *c, u16 sel, unsigned types, u64 *d, bool *seen)
{
	u64 linear;
	unsigned dpl;

	*seen = false;
	if (null_sel(sel) || !descriptor_address(c, sel, 8, &linear))
		return true;
	if (!sys_read(c, linear, 8, d))
		return false;
	if (!desc_s(*d) && !(types >> desc_type(*d) & 1))
		return true;
	dpl = desc_dpl(*d);
	*seen = desc_conforming(*d) || (dpl >= c->cpl && dpl >= (sel & 3u));
	return true;
}

#define T(type) (1u << SYS_##type)

BODY(lar)
{
	unsigned types = T(LDT) | T(TSS) | T(TSS_BUSY) | T(CALL);
	u64 sel, d = 0;
	bool seen;

	if (!in_long(c))
		types |= T(TSS16) | T(TSS16_BUSY) | T(CALL16) | T(TASK_GATE);
	if (!rm_load(c, o, o->src, 2, &sel) || !look(c, (u16)sel, types, &d, &seen))
		return false;
	if (seen)
		reg_set(c, o->dst, o->osize, d >> 32 & (o->osize == 2 ? 0xff00 : 0xffff00));
	set_zf(c, seen);
	return true;
}
GEN_BODY(lar)

BODY(lsl)
{
	unsigned types = T(LDT) | T(TSS) | T(TSS_BUSY);
	u64 sel, d = 0;
	bool seen;

	if (!in_long(c))
		types |= T(TSS16) | T(TSS16_BUSY);
	if (!rm_load(c, o, o->src, 2, &sel) || !look(c, (u16)sel, types, &d, &seen))
		return false;
	if (seen)
		reg_set(c, o->dst, o->osize, desc_limit(d));
	set_zf(c, seen);
	return true;
}
GEN_BODY(lsl)

BODY(verr)
{
	u64 sel, d = 0;
	bool seen;

	if (!rm_load(c, o, o->dst, 2, &sel) || !look(c, (u16)sel, 0, &d, &seen))
		return false;
	set_zf(c, seen && (desc_data(d) || desc_type(d) & SEG_W));
	return true;
}
GEN_BODY(verr)

BODY(verw)
{
	u64 sel, d = 0;
	bool seen;

	if (!rm_load(c, o, o->dst, 2, &sel) || !look(c, (u16)sel, 0, &d, &seen))
		return false;
	set_zf(c, seen && desc_writable(d));
	return true;
}
GEN_BODY(verw)

BODY(arpl)
{
	u64 dst, src = reg_get(c, o->src, 2);
	bool raise;

	if (!rm_load(c, o, o->dst, 2, &dst)) /* an operand that does not change need not be writable */
		return false;
	raise = (dst & 3) < (src & 3);
	if (raise && !rm_store(c, o, o->dst, 2, (dst & ~(u64)3) | (src & 3)))
		return false;
	set_zf(c, raise);
	return true;
}
GEN_BODY(arpl)
