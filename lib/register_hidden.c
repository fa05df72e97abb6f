/* SPDX-License-Identifier: MIT */
/* Registers that have more than a number of 64 bits, as MSRs and segments with their hidden parts; and many at once. */
#include "cpu/hook.h"
#include "cpu/system/system.h"
#include "lib/change.h"

/* Where a register can be set that decoded code may depend on: between two instructions, or in one, which then ends the
 * block. */
static bool ready(struct vcpu *v, struct cpu *c, const char *what)
{
	if (machine_observed(v, what) || !change_room(v, SEGMENT_BYTES))
		return false;
	if (!v->busy || c != machine_running(v))
		return true;
	if (!c->op) {
		machine_error(v, "%s was called in a callback that no instruction has caused", what);
		return false;
	}
	cpu_attention(c);
	return true;
}

/* ---- MSRs ---- */

/* The caller's questions are no errors of the guest. */
static bool msr(struct cpu *c, bool write, u32 index, u64 *value)
{
	static const struct log nobody;
	const struct log *log = c->log;
	struct fault fault = c->fault;
	bool ok;

	c->log = &nobody;
	ok = write ? write_msr(c, index, *value) : read_msr(c, index, value);
	c->log = log;
	c->fault = fault;
	return ok;
}

int vcpu_get_msr(vcpu *v, uint32_t index, uint64_t *value)
{
	u64 got = 0;

	if (!v)
		return -1;
	if (!value)
		return machine_error(v, "MSR %x to NULL", index);
	if (!msr(machine_selected(v), false, index, &got))
		return machine_error(v, "a %s has no MSR %x that can be read", v->model.name, index);
	*value = got;
	return 0;
}

int vcpu_set_msr(vcpu *v, uint32_t index, uint64_t value)
{
	struct cpu *c = v ? machine_selected(v) : NULL;
	bool ok;

	if (!v || !ready(v, c, "vcpu_set_msr"))
		return -1;
	v->busy++;
	ok = msr(c, true, index, &value);
	v->busy--;
	if (!ok)
		return machine_error(v, "a %s has no MSR %x that can hold %llx", v->model.name, index,
				     (unsigned long long)value);
	machine_changed(v, (struct changed){ CHANGE_MSR, v->selected, index, value }, NULL, 0);
	return 0;
}

bool vcpu_msr_number(const vcpu *v, unsigned n, uint32_t *index)
{
	return v && index && msr_number(machine_selected(v), n, index);
}

/* ---- segments ---- */

static struct seg *segment(const struct vcpu *v, int reg)
{
	static const u8 of[] = { ES, CS, SS, DS, FS, GS, LDTR, TR };

	return reg >= VCPU_ES && reg <= VCPU_TR ? &machine_selected(v)->seg[of[reg - VCPU_ES]] : NULL;
}

int vcpu_get_segment(const vcpu *v, int reg, struct vcpu_segment *out)
{
	const struct seg *s = v && out ? segment(v, reg) : NULL;

	if (!s)
		return v ? machine_error((struct vcpu *)v, "there is no segment register %d", reg) : -1;
	*out = (struct vcpu_segment){ .selector = s->sel, .attributes = s->attr, .limit = s->limit, .base = s->base };
	return 0;
}

/* The bits of access rights that there are. */
enum { ATTRIBUTES = 0x1f0ff };

int vcpu_set_segment(vcpu *v, int reg, const struct vcpu_segment *in)
{
	struct seg *s = v && in ? segment(v, reg) : NULL;
	u8 bytes[SEGMENT_BYTES];
	struct cpu *c;

	if (!s)
		return v ? machine_error(v, "there is no segment register %d", reg) : -1;
	c = machine_selected(v);
	if (in->attributes & ~(u32)ATTRIBUTES ||
	    (has(c->model, F_X64) ? !canonical_base(c->model, in->base) : in->base >> 32 != 0) ||
	    (in->attributes & SEG_G ? (in->limit & 0xfff) != 0xfff : in->limit >> 20 != 0))
		return machine_error(v, "no segment can have base %llx, limit %x and access rights %x",
				     (unsigned long long)in->base, in->limit, in->attributes);
	if (!ready(v, c, "vcpu_set_segment"))
		return -1;
	s->sel = in->selector;
	s->attr = in->attributes;
	s->limit = in->limit;
	s->base = in->base;
	if (reg == VCPU_SS) /* as VM entries take it (SDM vol. 3, 26.3.1.5) */
		c->cpl = (u8)(c->cr0 & CR0_PE ? seg_dpl(s) : 0);
	cpu_derive(c);
	put32(bytes, in->selector);
	put32(bytes + 4, in->attributes);
	put32(bytes + 8, in->limit);
	put64(bytes + 12, in->base);
	machine_changed(v, (struct changed){ CHANGE_SEGMENT, v->selected, (u64)reg, 0 }, bytes, sizeof bytes);
	return 0;
}

/* ---- many at once ---- */

int vcpu_get_registers(const vcpu *v, const int *regs, uint64_t *values, unsigned count)
{
	if (!v || (count && (!regs || !values)))
		return -1;
	for (unsigned i = 0; i < count; i++) {
		if (!vcpu_register_name(regs[i]))
			return machine_error((struct vcpu *)v, "there is no register %d", regs[i]);
		values[i] = vcpu_get(v, regs[i]);
	}
	return 0;
}

int vcpu_set_registers(vcpu *v, const int *regs, const uint64_t *values, unsigned count)
{
	if (!v || (count && (!regs || !values)))
		return -1;
	for (unsigned i = 0; i < count; i++)
		if (vcpu_set(v, regs[i], values[i]))
			return -1;
	return 0;
}
