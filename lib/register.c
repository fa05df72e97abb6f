/* SPDX-License-Identifier: MIT */
/* Registers from outside, by number and by name. */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/hook.h"
#include "cpu/system/system.h"
#include "lib/machine.h"

static const struct register_row rows[] = {
#define REGISTER(name, number, bytes) { name, number, bytes },
#include "lib/register.def"
};

const struct register_row *register_row(int reg)
{
	/* the first ones are in the order of the enumeration */
	if (reg >= 0 && reg < VCPU_REGISTERS && rows[reg].number == reg)
		return &rows[reg];
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].number == reg)
			return &rows[i];
	return NULL;
}

int vcpu_register_by_name(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (name && !strcmp(rows[i].name, name))
			return rows[i].number;
	return -1;
}

const char *vcpu_register_name(int reg)
{
	const struct register_row *row = register_row(reg);

	return row ? row->name : NULL;
}

size_t vcpu_register_size(int reg)
{
	const struct register_row *row = register_row(reg);

	return row ? row->bytes : 0;
}

int vcpu_register_next(int reg)
{
	const struct register_row *row = reg < 0 ? NULL : register_row(reg);
	size_t next = row ? (size_t)(row - rows) + 1 : 0;

	return (row || reg < 0) && next < ARRAY_LEN(rows) ? rows[next].number : -1;
}

/* ---- reading ---- */

static const u8 segment_of[] = { ES, CS, SS, DS, FS, GS, LDTR, TR };
static const u8 debug_of[] = { 0, 1, 2, 3, 6, 7 };
_Static_assert(VCPU_TR - VCPU_ES + 1 == ARRAY_LEN(segment_of) && VCPU_DR7 - VCPU_DR0 + 1 == ARRAY_LEN(debug_of),
	"one for each");
#define SAME(reg) (VCPU_##reg - VCPU_RAX == (int)reg)
_Static_assert(SAME(RAX) && SAME(RCX) && SAME(RDX) && SAME(RBX) && SAME(RSP) && SAME(RBP) && SAME(RSI) && SAME(RDI) &&
	SAME(R8) && SAME(R9) &&
	       SAME(R10) && SAME(R11) && SAME(R12) && SAME(R13) && SAME(R14) && SAME(R15),
	       "the order of general registers in cpu.h");
#undef SAME

static u64 get_whole(const struct cpu *c, int reg)
{
	if (reg >= VCPU_RAX && reg <= VCPU_R15)
		return c->r[reg - VCPU_RAX];
	if (reg >= VCPU_ES && reg <= VCPU_TR)
		return c->seg[segment_of[reg - VCPU_ES]].sel;
	if (reg >= VCPU_DR0 && reg <= VCPU_DR7)
		return c->dr[debug_of[reg - VCPU_DR0]];
	if (reg >= VCPU_FTW)
		return register_more(c, reg);
	switch (reg) {
	case VCPU_RIP: return cpu_rip(c);
	case VCPU_RFLAGS: return cpu_flags(c);
	case VCPU_CR0: return c->cr0;
	case VCPU_CR2: return c->cr2;
	case VCPU_CR3: return c->cr3;
	case VCPU_CR4: return c->cr4;
	case VCPU_CR8: return c->apic ? apic_get_tpr(c->apic) >> 4 : c->cr8;
	case VCPU_EFER: return c->efer;
	case VCPU_FS_BASE: return c->seg[FS].base;
	case VCPU_GS_BASE: return c->seg[GS].base;
	case VCPU_MXCSR: return c->mxcsr;
	case VCPU_FCW: return c->x87.cw;
	case VCPU_FSW: return (c->x87.sw & ~0x3800u) | (u64)(c->x87.top & 7) << 11;
	case VCPU_ES_BASE: return c->seg[ES].base;
	case VCPU_CS_BASE: return c->seg[CS].base;
	case VCPU_SS_BASE: return c->seg[SS].base;
	case VCPU_DS_BASE: return c->seg[DS].base;
	case VCPU_LDTR_BASE: return c->seg[LDTR].base;
	case VCPU_TR_BASE: return c->seg[TR].base;
	case VCPU_GDTR_BASE: return c->gdtr.base;
	case VCPU_IDTR_BASE: return c->idtr.base;
	case VCPU_LDTR_LIMIT: return c->seg[LDTR].limit;
	case VCPU_TR_LIMIT: return c->seg[TR].limit;
	case VCPU_GDTR_LIMIT: return c->gdtr.limit;
	case VCPU_IDTR_LIMIT: return c->idtr.limit;
	case VCPU_CODE_BITS: return in_64(c) ? 64 : (c->mode & MODE_BITS) == MODE_32 ? 32 : 16;
	case VCPU_CPL: return c->cpl;
	}
	return 0;
}

uint64_t vcpu_get(const vcpu *v, int reg)
{
	const struct cpu *c = v ? machine_selected(v) : NULL;
	u64 whole;

	if (!c)
		return 0;
	if (!register_row(reg))
		return 0;
	if (reg >= XMM)
		return register_low(c, reg);
	whole = get_whole(c, reg % PART);
	switch (reg / PART) {
	case PART_32: return (u32)whole;
	case PART_16: return (u16)whole;
	case PART_LOW: return (u8)whole;
	case PART_HIGH: return whole >> 8 & 0xff;
	}
	return whole;
}

/* ---- writing ---- */

static bool set_system_segment(struct cpu *c, unsigned reg, u16 sel)
{
	u64 lo, hi = 0;
	unsigned type;

	if (null_sel(sel)) {
		c->seg[reg].sel = sel;
		c->seg[reg].attr |= SEG_UNUSABLE;
		return true;
	}
	if (sel & 4 || !in_protected(c) || !descriptor_read(c, sel, &lo, in_long(c) ? &hi : NULL, VEC_GP))
		return false;
	type = desc_type(lo);
	if (desc_s(lo) || !desc_present(lo))
		return false;
	if (reg == LDTR ? type != SYS_LDT
			: (type & ~(unsigned)SYS_BUSY) != SYS_TSS && (type & ~(unsigned)SYS_BUSY) != SYS_TSS16)
		return false;
	descriptor_to_seg(&c->seg[reg], sel, lo);
	c->seg[reg].base |= hi << 32;
	if (reg == TR)
		c->seg[reg].attr |= SYS_BUSY;
	return true;
}

static bool set_code_segment(struct cpu *c, u16 sel)
{
	u64 d;

	if (!in_protected(c)) {
		seg_load_real(c, CS, sel);
		update_mode(c);
		return true;
	}
	if (null_sel(sel) || !descriptor_read(c, sel, &d, NULL, VEC_GP) || !desc_code(d) || !desc_present(d))
		return false;
	cs_set(c, sel, d, sel & 3);
	return true;
}

static bool set_segment(struct cpu *c, unsigned reg, u64 value)
{
	if (value > 0xffff)
		return false;
	if (reg == CS)
		return set_code_segment(c, (u16)value);
	if (reg == LDTR || reg == TR)
		return set_system_segment(c, reg, (u16)value);
	return seg_load(c, reg, (u16)value);
}

static bool set_flags(struct cpu *c, u64 value)
{
	const u32 all = OSZAPC | FL_T | FL_I | FL_D | FL_IOPL | FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID;

	if (value & ~(u64)(all | FL_1) || ((value & FL_VM) && in_64(c)))
		return false;
	cpu_set_flags(c, (u32)value, all);
	return true;
}

static bool set_base(struct cpu *c, unsigned reg, u64 value)
{
	if (has(c->model, F_X64) ? !canonical_base(c->model, value) : value >> 32 != 0)
		return false;
	c->seg[reg].base = value;
	seg_update(c, reg);
	return true;
}

static bool set_table(const struct cpu *c, u64 *base, u64 value)
{
	if (has(c->model, F_X64) ? !canonical_base(c->model, value) : value >> 32 != 0)
		return false;
	*base = value;
	return true;
}

static bool set_table_limit(u16 *limit, u64 value)
{
	if (value > 0xffff)
		return false;
	*limit = (u16)value;
	return true;
}

static bool set_whole(struct cpu *c, int reg, u64 value)
{
	if (reg >= VCPU_RAX && reg <= VCPU_R15) {
		c->r[reg - VCPU_RAX] = value;
		return true;
	}
	if (reg >= VCPU_ES && reg <= VCPU_TR)
		return set_segment(c, segment_of[reg - VCPU_ES], value);
	if (reg >= VCPU_DR0 && reg <= VCPU_DR7)
		return write_dr(c, debug_of[reg - VCPU_DR0], value);
	if (reg >= VCPU_FTW)
		return register_set_more(c, reg, value);
	switch (reg) {
	case VCPU_RIP:
		if (in_64(c) ? !canonical(c, value) : value >> 32 != 0)
			return false;
		if (cpu_go_to(c, value))
			return true;
		c->r[RIP] = value;
		if (c->bare && c->activity == ACTIVITY_HALT)
			c->activity = ACTIVITY_RUN;
		return true;
	case VCPU_RFLAGS: return set_flags(c, value);
	case VCPU_GDTR_BASE: return set_table(c, &c->gdtr.base, value);
	case VCPU_IDTR_BASE: return set_table(c, &c->idtr.base, value);
	case VCPU_GDTR_LIMIT: return set_table_limit(&c->gdtr.limit, value);
	case VCPU_IDTR_LIMIT: return set_table_limit(&c->idtr.limit, value);
	case VCPU_CR0: return write_cr0(c, value);
	case VCPU_CR2: c->cr2 = value; return true;
	case VCPU_CR3: return write_cr3(c, value);
	case VCPU_CR4: return write_cr4(c, value);
	case VCPU_CR8: return value < 16 && write_cr8(c, value);
	case VCPU_EFER: return write_efer(c, value);
	case VCPU_FS_BASE: return set_base(c, FS, value);
	case VCPU_GS_BASE: return set_base(c, GS, value);
	case VCPU_MXCSR:
		if (value > 0xffff)
			return false;
		c->mxcsr = (u32)value;
		return true;
	case VCPU_FCW:
		if (value > 0xffff)
			return false;
		c->x87.cw = (u16)value;
		return true;
	case VCPU_FSW:
		if (value > 0xffff)
			return false;
		c->x87.sw = (u16)(value & ~0x3800u);
		c->x87.top = value >> 11 & 7;
		return true;
	}
	return false;
}

/* A hook before an exception or interrupt: the processor stands between two instructions. */
static bool before_delivery(const struct cpu *c)
{
	const struct hooks *h = c->all->hooks;

	return h && h->current && h->event.kind & (HOOK_EXCEPTION | HOOK_INTERRUPT);
}

/* Decoded code and the processor's next step do not depend on it. */
static bool ordinary(int reg)
{
	return reg <= VCPU_R15 || (reg >= VCPU_R16 && reg <= VCPU_R31) || reg == VCPU_CR2 || reg == VCPU_MXCSR || reg == VCPU_FCW || reg == VCPU_FSW;
}

static int changed(struct vcpu *v, int reg, u64 value)
{
	/* In a hook before an instruction, RIP is set when the hook is over: CHANGE_SKIP. */
	if (!(reg % PART == VCPU_RIP && reg < XMM && machine_running(v)->goes))
		machine_changed(v, (struct changed){ CHANGE_REGISTER, v->selected, (u64)reg, value }, NULL, 0);
	return 0;
}

int vcpu_set(vcpu *v, int reg, uint64_t value)
{
	struct cpu *c = v ? machine_selected(v) : NULL;
	struct fault fault;
	u64 cr2, whole, before;
	bool ok;

	if (!c || machine_observed(v, "vcpu_set") || !change_room(v, 64))
		return -1;
	if (!register_row(reg))
		return machine_error(v, "there is no register %d", reg);
	if (reg >= XMM)
		return register_set_low(v, reg, value);
	whole = before = get_whole(c, reg % PART);
	switch (reg / PART) {
	case 0: whole = value; break;
	case PART_32: whole = (u32)value; break;
	case PART_16: whole = (whole & ~(u64)0xffff) | (value & 0xffff); break;
	case PART_LOW: whole = (whole & ~(u64)0xff) | (value & 0xff); break;
	case PART_HIGH: whole = (whole & ~(u64)0xff00) | (value & 0xff) << 8; break;
	}
	if ((reg / PART == PART_32 && value >> 32) || (reg / PART == PART_16 && value >> 16) ||
	    (reg / PART >= PART_LOW && value >> 8))
		return machine_error(v, "%s cannot hold %llx", vcpu_register_name(reg), (unsigned long long)value);
	if (v->busy && c == machine_running(v) && !ordinary(reg % PART)) {
		if (!c->op && !before_delivery(c))
			return machine_error(v, "%s cannot be set in a callback that no instruction has caused",
					     vcpu_register_name(reg));
		cpu_attention(c);
	}
	fault = c->fault; /* a check that fails leaves its fault there, which is nobody's */
	cr2 = c->cr2;
	v->busy++; /* a descriptor table may be a device */
	ok = set_whole(c, reg % PART, whole);
	v->busy--;
	c->fault = fault;
	if (!ok) {
		c->cr2 = cr2;
		return machine_error(v, "%s cannot hold %llx", vcpu_register_name(reg), (unsigned long long)value);
	}
	/* A selector may bring a new descriptor. */
	return whole == before && (reg % PART < VCPU_ES || reg % PART > VCPU_TR) ? 0 : changed(v, reg, value);
}
