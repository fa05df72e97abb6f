/* SPDX-License-Identifier: MIT */
/* Registers of any width, and those of the x87, of XSAVE and of the processor's activity. */
#include "cpu/system/system.h"
#include "cpu/system/xsave.h"
#include "cpu/x87.h"
#include "lib/machine.h"

/* ---- vectors, masks, MMn, ST(n) ---- */

/* The bytes of REG, unless it is one of the x87. NULL: the processor has no such register. */
static u8 *vector(const struct cpu *c, int reg)
{
	unsigned n = (unsigned)reg % PART;
	int family = reg - (int)n;

	if ((n >= VREGS || family == ZMM || family == MASK) && !has(c->model, F_AVX512F))
		return NULL;
	if (family == YMM && !has(c->model, F_AVX))
		return NULL;
	return (u8 *)(family == MASK ? (const void *)&c->k[n] : c->v[n].b);
}

/* The value of REG, ROW's, into OUT. False: the processor has no such register. */
static bool get_wide(const struct cpu *c, const struct register_row *row, u8 *out)
{
	unsigned n = row->number % PART;
	const u8 *bytes;

	if (row->number - n == ST)
		x87_get_reg(c, n, out);
	else if (row->number - n == MM)
		put64(out, mmx_get(c, n));
	else if ((bytes = vector(c, row->number)))
		memcpy(out, bytes, row->bytes);
	else
		return false;
	return true;
}

static int set_wide(struct vcpu *v, const struct register_row *row, const u8 *in)
{
	struct cpu *c = machine_selected(v);
	unsigned n = row->number % PART;
	u8 *bytes;

	if (row->number - n == ST) {
		x87_set_reg(c, n, in);
		c->x87.valid |= (u8)(1u << ((c->x87.top + n) & 7));
	} else if (row->number - n == MM) {
		mmx_set(c, n, get64(in));
	} else if ((bytes = vector(c, row->number))) {
		memcpy(bytes, in, row->bytes);
	} else {
		return machine_error(v, "a %s has no %s", v->model.name, row->name);
	}
	machine_changed(v, (struct changed){ CHANGE_WIDE, v->selected, row->number, 0 }, in, row->bytes);
	return 0;
}

u64 register_low(const struct cpu *c, int reg)
{
	u8 value[64] = { 0 };

	get_wide(c, register_row(reg), value);
	return get64(value);
}

int register_set_low(struct vcpu *v, int reg, u64 value)
{
	const struct register_row *row = register_row(reg);
	u8 whole[64] = { 0 };

	get_wide(machine_selected(v), row, whole);
	put64(whole, value);
	return set_wide(v, row, whole);
}

int vcpu_get_register(const vcpu *v, int reg, void *value)
{
	const struct register_row *row = register_row(reg);
	u8 low[8];

	if (!v || !value || !row)
		return v ? machine_error((struct vcpu *)v, "there is no register %d", reg) : -1;
	if (reg < XMM && (reg < VCPU_R16 || reg > VCPU_R31 || has(&v->model, F_APX))) {
		put64(low, vcpu_get(v, reg));
		memcpy(value, low, row->bytes);
	} else if (reg < XMM) {
		return machine_error((struct vcpu *)v, "a %s has no %s", v->model.name, row->name);
	} else if (!get_wide(machine_selected(v), row, value)) {
		return machine_error((struct vcpu *)v, "a %s has no %s", v->model.name, row->name);
	}
	return 0;
}

int vcpu_set_register(vcpu *v, int reg, const void *value)
{
	const struct register_row *row = register_row(reg);
	u8 low[8] = { 0 };

	if (!v || !value || !row)
		return v ? machine_error(v, "there is no register %d", reg) : -1;
	if (reg >= XMM && (machine_observed(v, "vcpu_set_register") || !change_room(v, row->bytes)))
		return -1;
	if (reg >= XMM)
		return set_wide(v, row, value);
	memcpy(low, value, row->bytes);
	return vcpu_set(v, reg, get64(low));
}

int vcpu_get_vector(const vcpu *v, unsigned n, void *xmm16)
{
	return !v || !xmm16 || n >= VREGS ? -1 : vcpu_get_register(v, XMM + (int)n, xmm16);
}

int vcpu_set_vector(vcpu *v, unsigned n, const void *xmm16)
{
	if (v && (!xmm16 || n >= VREGS))
		return machine_error(v, xmm16 ? "there is no XMM%u" : "XMM%u from NULL", n);
	return vcpu_set_register(v, XMM + (int)n, xmm16);
}

/* ST(n) as in memory: significand 0-7, sign and exponent 8-9. */
int vcpu_get_st(const vcpu *v, unsigned n, void *st10)
{
	return !v || !st10 || n > 7 ? -1 : vcpu_get_register(v, ST + (int)n, st10);
}

int vcpu_set_st(vcpu *v, unsigned n, const void *st10)
{
	if (v && (!st10 || n > 7))
		return machine_error(v, st10 ? "there is no ST(%u)" : "ST(%u) from NULL", n);
	return vcpu_set_register(v, ST + (int)n, st10);
}

/* ---- the rest of the x87, XCR0, PKRU, the TSC, the activity, segments ---- */

enum { MSR_TSC = 0x10 };

static u64 tsc(const struct cpu *c)
{
	u64 value = 0;

	return has(c->model, F_TSC) && read_msr((struct cpu *)c, MSR_TSC, &value) ? value : 0;
}

u64 register_more(const struct cpu *c, int reg)
{
	static const u8 segments[] = { ES, CS, SS, DS, FS, GS, LDTR, TR };

	if (reg >= VCPU_ES_LIMIT && reg <= VCPU_GS_LIMIT)
		return c->seg[segments[reg - VCPU_ES_LIMIT]].limit;
	if (reg >= VCPU_ES_ATTRIBUTES && reg <= VCPU_TR_ATTRIBUTES)
		return c->seg[segments[reg - VCPU_ES_ATTRIBUTES]].attr;
	if (reg >= VCPU_R16 && reg <= VCPU_R31)
		return c->egpr[reg - VCPU_R16];
	switch (reg) {
	case VCPU_FTW: return x87_tag_word(c);
	case VCPU_FIP: return c->x87.ip;
	case VCPU_FDP: return c->x87.dp;
	case VCPU_FOP: return c->x87.op;
	case VCPU_FCS: return x87_fcs(c);
	case VCPU_FDS: return x87_fds(c);
	case VCPU_XCR0: return c->xcr0;
	case VCPU_PKRU: return c->pkru;
	case VCPU_TSC: return tsc(c);
	case VCPU_ACTIVITY: return c->activity;
	}
	return 0;
}

/* A processor that runs, or that stands in HLT; the other activities have a cause, which no register has. */
static bool set_activity(struct cpu *c, u64 value)
{
	if (value > ACTIVITY_HALT)
		return false;
	c->activity = (u8)value;
	cpu_attention(c);
	return true;
}

bool register_set_more(struct cpu *c, int reg, u64 value)
{
	const u16 word = (u16)value;

	if ((reg == VCPU_FOP && value > 0x7ff) ||
	    ((reg == VCPU_FTW || reg == VCPU_FCS || reg == VCPU_FDS) && value != word))
		return false;
	if (reg >= VCPU_R16 && reg <= VCPU_R31) {
		if (has(c->model, F_APX))
			c->egpr[reg - VCPU_R16] = value;
		return has(c->model, F_APX);
	}
	switch (reg) {
	case VCPU_FTW: x87_set_tag_word(c, word); return true;
	case VCPU_FIP: c->x87.ip = value; return true;
	case VCPU_FDP: c->x87.dp = value; return true;
	case VCPU_FOP: c->x87.op = word; return true;
	case VCPU_FCS: c->x87.cs = word; return true;
	case VCPU_FDS: c->x87.ds = word; return true;
	case VCPU_XCR0: return write_xcr0(c, value);
	case VCPU_PKRU:
		if (value >> 32 || !has(c->model, F_PKU))
			return false;
		write_pkru(c, (u32)value);
		return true;
	case VCPU_TSC: return has(c->model, F_TSC) && write_msr(c, MSR_TSC, value);
	case VCPU_ACTIVITY: return set_activity(c, value);
	}
	return false;
}
