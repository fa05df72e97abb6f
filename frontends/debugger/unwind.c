/* SPDX-License-Identifier: MIT */
/* Callers: by DWARF, by the ORC tables of a Linux kernel, or by the frame pointer, in this order.
 *
 * ORC (Linux, Documentation/x86/orc-unwinder): two tables, sorted by address. __start_orc_unwind_ip has for each piece
 * of code its distance from the entry, s32; __start_orc_unwind has as many entries of 6 bytes:
 *
 *     0  s16 sp_offset   2  s16 bp_offset   4  sp_reg, bp_reg (4 bits each)   5  to 6.3: type (2 bits), end; since 6.4: type (3 bits), signal */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { FRAMES_MAX = 64, FRAME_LAST = 9999 };

static bool read_stack(struct session *s, uint64_t at, unsigned size, uint64_t *value)
{
	if (vcpu_get(s->machine, VCPU_CODE_BITS) != 64)
		at = (uint32_t)(at + vcpu_get(s->machine, VCPU_SS_BASE));
	*value = 0;
	return vcpu_read_linear(s->machine, at, value, size) == size;
}

int register_of_dwarf(struct session *s, unsigned n)
{
	static const int wide[17] = { VCPU_RAX, VCPU_RDX, VCPU_RCX, VCPU_RBX, VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_RSP,
		VCPU_R8, VCPU_R9, VCPU_R10,
		VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15, VCPU_RIP },
		narrow[9] = { VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP,
		VCPU_RSI, VCPU_RDI, VCPU_RIP };
	bool is_wide = vcpu_get(s->machine, VCPU_EFER) & 0x400;

	return is_wide ? n < 17 ? wide[n] : -1 : n < 9 ? narrow[n] : -1;
}

struct frame frame_here(struct session *s)
{
	struct frame f = { .pc = linear_rip(s),
			   .sp = vcpu_get(s->machine, VCPU_RSP),
			   .bp = vcpu_get(s->machine, VCPU_RBP) };

	for (unsigned i = 0; i < 17 && register_of_dwarf(s, i) >= 0; i++)
		f.regs[i] = vcpu_get(s->machine, register_of_dwarf(s, i));
	return f;
}

bool frame_register(struct session *s, int reg, uint64_t *value, uint64_t *saved)
{
	enum { PART = 0x100 }; /* the numbers of the 32-bit names: lib/register.c */
	static const uint64_t masks[] = { UINT64_MAX, UINT32_MAX, 0xffff, 0xff };
	struct frame f = frame_selected(s);

	for (unsigned i = 0; i < 17; i++)
		if (register_of_dwarf(s, i) == reg % PART && reg / PART < 4) {
			*value = (reg % PART == VCPU_RIP ? f.pc : f.regs[i]) & masks[reg / PART];
			*saved = f.saved[i];
			return true;
		}
	return false;
}

/* ---- Linux's tables ---- */

enum { ORC_UNDEFINED, ORC_PREV_SP, ORC_DX, ORC_DI, ORC_BP, ORC_SP, ORC_R10, ORC_R13, ORC_BP_INDIRECT, ORC_SP_INDIRECT };
enum { CALL, REGS, IRET_FRAME, END };
/* struct pt_regs */
enum { PT_BP = 32, PT_IP = 128, PT_CS = 136, PT_SP = 152 };

struct orc { int16_t sp_offset, bp_offset; unsigned sp_reg, bp_reg, type; };

static bool orc_entry(struct session *s, uint64_t table, uint64_t i, struct orc *o, unsigned *raw)
{
	unsigned char e[6];

	if (vcpu_read_linear(s->machine, table + 6 * i, e, 6) != 6)
		return false;
	*o = (struct orc){ (int16_t)(e[0] | e[1] << 8), (int16_t)(e[2] | e[3] << 8), e[4] & 15, e[4] >> 4, 0 };
	*raw = e[5];
	return true;
}

static bool orc_find(struct session *s, uint64_t pc, struct orc *o)
{
	const struct symbol *ip = symbol_by_name(s, "__start_orc_unwind_ip"),
			    *stop = symbol_by_name(s, "__stop_orc_unwind_ip"),
			    *table = symbol_by_name(s, "__start_orc_unwind");
	uint64_t low = 0, high;
	unsigned raw, old = 0, new = 0;
	int32_t distance;

	if (!ip || !stop || !table || stop->address <= ip->address)
		return false;
	high = (stop->address - ip->address) / 4;
	/* Most entries are of type call. Its number differs between the versions of the format. */
	for (uint64_t i = 0; i < 64 && orc_entry(s, table->address, high / 64 * i, o, &raw); i++) {
		old += (raw & 3) == 0;
		new += (raw & 7) == 2;
	}
	while (high - low > 1) {
		uint64_t middle = (low + high) / 2;

		if (vcpu_read_linear(s->machine, ip->address + 4 * middle, &distance, 4) != 4)
			return false;
		if (ip->address + 4 * middle + (uint64_t)(int64_t)distance <= pc)
			low = middle;
		else
			high = middle;
	}
	if (!orc_entry(s, table->address, low, o, &raw))
		return false;
	o->type = old >= new ? raw & 4 ? END : raw & 3 : (raw & 7) == 2 ? CALL : (raw & 7) == 3 ? REGS : (raw & 7) == 4
		? IRET_FRAME : END;
	return true;
}

static bool orc_unwind(struct session *s, struct frame *f)
{
	struct orc o;
	struct frame up = *f;
	uint64_t sp, cs = 0, bp = f->bp;

	if (!s->nsymbols || vcpu_get(s->machine, VCPU_CODE_BITS) != 64 || f->pc >> 63 == 0 ||
	    !orc_find(s, f->pc - f->called, &o) || o.type == END)
		return false;
	switch (o.sp_reg) {
	case ORC_SP: sp = f->sp; break;
	case ORC_BP: sp = f->bp; break;
	case ORC_DX: sp = f->regs[1]; break;
	case ORC_DI: sp = f->regs[5]; break;
	case ORC_R10: sp = f->regs[10]; break;
	case ORC_R13: sp = f->regs[13]; break;
	case ORC_SP_INDIRECT:
		if (!read_stack(s, f->sp, 8, &sp))
			return false;
		break;
	case ORC_BP_INDIRECT:
		if (!read_stack(s, f->bp + (uint64_t)(int64_t)o.sp_offset, 8, &sp))
			return false;
		o.sp_offset = 0;
		break;
	default: return false;
	}
	sp += (uint64_t)(int64_t)o.sp_offset;
	up.sp = sp;
	up.called = o.type == CALL;
	up.how = o.type == CALL ? "ORC" : "ORC, interrupted";
	if (o.type == CALL) {
		if (!read_stack(s, sp - 8, 8, &up.pc))
			return false;
	} else {
		uint64_t regs = o.type == REGS ? sp : sp - PT_IP;

		if (!read_stack(s, regs + PT_IP, 8, &up.pc) || !read_stack(s, regs + PT_SP, 8, &up.sp) ||
		    !read_stack(s, regs + PT_CS, 8, &cs))
			return false;
		if (o.type == REGS && !read_stack(s, regs + PT_BP, 8, &bp))
			return false;
	}
	if (o.bp_reg == ORC_PREV_SP && o.type == CALL && !read_stack(s, sp + (uint64_t)(int64_t)o.bp_offset, 8, &bp))
		return false;
	if (o.bp_reg == ORC_BP && !read_stack(s, f->bp + (uint64_t)(int64_t)o.bp_offset, 8, &bp))
		return false;
	up.bp = bp;
	up.cfa = 0;
	if (!up.pc)
		return false;
	*f = up;
	return true;
}

/* ---- the frame pointer ---- */

/* F is at the beginning of a function. Which part of the frame exists? 0: nothing; 1: the saved frame pointer; 2:
 * all. */
static unsigned frame_made(struct session *s, const struct frame *f)
{
	const struct symbol *y = symbol_at(s, f->pc);
	unsigned char code[8] = { 0 };
	uint64_t at;

	if (!y || f->called || f->pc - y->address > 8)
		return 2;
	vcpu_read_linear(s->machine, y->address, code, 8);
	at = y->address + (code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e ? 4 : 0);
	if (f->pc <= at)
		return 0;
	return f->pc == at + 1 && code[at - y->address] == 0x55 ? 1 : 2;
}

static bool pointer_unwind(struct session *s, struct frame *f)
{
	uint64_t bits = vcpu_get(s->machine, VCPU_CODE_BITS), code_base = bits == 64 ? 0
		: vcpu_get(s->machine, VCPU_CS_BASE), pc, bp = f->bp;
	unsigned size = (unsigned)bits / 8, made = frame_made(s, f);
	uint64_t at = made == 2 ? f->bp + size : f->sp + made * size;

	if (!read_stack(s, at, size, &pc) || !pc ||
	    (made == 2 && (!read_stack(s, f->bp, size, &bp) || f->bp < f->sp || (bp && bp <= f->bp))))
		return false;
	f->saved[bits == 64 ? 16 : 8] = at;
	if (made == 2)
		f->saved[bits == 64 ? 6 : 5] = f->bp;
	f->pc = f->regs[bits == 64 ? 16 : 8] = pc + code_base;
	f->sp = f->regs[bits == 64 ? 7 : 4] = at + size;
	f->bp = f->regs[bits == 64 ? 6 : 5] = bp;
	f->cfa = 0;
	f->how = "frame pointer";
	f->called = true;
	return true;
}

bool frame_up(struct session *s, struct frame *f)
{
	return dwarf_unwind(s, f) || orc_unwind(s, f) || pointer_unwind(s, f);
}

struct frame frame_selected(struct session *s)
{
	struct frame f = frame_here(s);

	if (s->scope) {
		f.pc = s->scope;
		return f;
	}
	for (unsigned i = 0; i < s->frame && frame_up(s, &f); i++)
		;
	return f;
}
