/* SPDX-License-Identifier: MIT */
/* The copy of one stencil (stencil_copy.h). */
#include "cpu/engine/stencil_copy.h"

#if VCPU_STITCH && !defined __wasm__

static unsigned slot(const struct stencil_table *table, handler *h)
{
	unsigned i = (unsigned)((u64)(uintptr_t)h * 0x9e3779b97f4a7c15 >> (64 - SLOT_BITS));

	while (table->number[i] && stencils[table->number[i] - 1].plain != h)
		i = (i + 1) & ((1 << SLOT_BITS) - 1);
	return i;
}

void stencil_add(struct stencil_table *table, const struct stencil *st)
{
	table->number[slot(table, st->plain)] = (u16)(st - stencils + 1);
}

const struct stencil *stencil_find(const struct stencil_table *table, handler *h)
{
	unsigned number = table->number[slot(table, h)];

	return number ? &stencils[number - 1] : NULL;
}

static s64 vector_at(unsigned n) { return (s64)(offsetof(struct cpu, v) + n * sizeof(union vreg)); }

static s64 member(const struct op *o, unsigned hole)
{
	switch (hole) {
	case HOLE_dst: return o->dst;
	case HOLE_src: return o->src;
	case HOLE_base: return o->base;
	case HOLE_index: return o->index;
	case HOLE_scale: return o->scale;
	case HOLE_seg: return o->seg;
	case HOLE_mem: return o->mem;
	case HOLE_rep: return o->rep;
	case HOLE_asize: return o->asize;
	case HOLE_osize: return o->osize;
	case HOLE_form: return o->form;
	case HOLE_len: return o->len;
	case HOLE_left: return o->left;
	case HOLE_code: return o->code;
	case HOLE_ip: return o->ip;
	case HOLE_imm8: return o->imm8;
	case HOLE_third: return o->third;
	case HOLE_vlen: return o->vlen;
	case HOLE_disp: return o->disp;
	case HOLE_imm: return o->imm;
	/* without a link the code is not entered */
	case HOLE_cost: return o->target ? o->cost : -(s64)(o->left ? o->left - 1 : 0);
	case HOLE_at_seg: return (s64)(offsetof(struct cpu, seg) + o->seg * sizeof(struct seg));
	case HOLE_at_dst: return vector_at(o->dst);
	case HOLE_at_src: return vector_at(o->src);
	case HOLE_at_third: return vector_at(o->third);
	case HOLE_amask: return (s64)op_amask(o);
	case HOLE_ip_mask: return (s64)op_ip_mask(o);
	case HOLE_cut: return o->asize ? -1 : 0xffff;
	default: return 0;
	}
}

s64 copy_named(const struct op *o, const struct patch *p)
{
	return member(&o[p->hole / HOLE_MEMBERS], p->hole % HOLE_MEMBERS);
}

#ifdef __x86_64__

/* The order of parameters in stencil.h, and preserve_none, determine the registers. */
enum { HOST_RDX = 2, HOST_RSI = 6, HOST_RDI, HOST_R8, HOST_R9, HOST_R11 = 11, HOST_R13 = 13, HOST_R15 = 15, KEPT = 16 };
static const u8 host_registers[REGISTERS + 1] = {
	[RAX] = KEPT | HOST_R11, [RCX] = KEPT | HOST_R8, [RDX] = KEPT | HOST_RDX, [RBX] = KEPT | HOST_R9,
	[RSP] = KEPT | HOST_R13, [RSI] = KEPT | HOST_RSI, [RDI] = KEPT | HOST_RDI, [RIP] = KEPT | HOST_R15,
};

unsigned copy_place(u16 swaps, u64 reg)
{
	for (unsigned i = 0; swaps && i < sizeof swappable; i++)
		if (swapped(swaps, i)) {
			if (reg == swapped(swaps, i))
				return swappable[i];
			if (reg == swappable[i])
				return REGISTERS;
		}
	return reg < REGISTERS && host_registers[reg] ? (unsigned)reg : REGISTERS;
}

unsigned copy_host(u16 swaps, u64 reg) { return host_registers[copy_place(swaps, reg)]; }

int copy_vector_place(const struct vectors *v, u64 off)
{
	for (int i = 0; v && i < KEPT_VECTORS; i++)
		if (v->at[i] == off)
			return i;
	return -1;
}

u8 *copy_register_memory(u8 *p, u8 opcode, unsigned host, u32 off)
{
	bool wide = off > INT8_MAX;

	*p++ = (u8)(0x49 | (host & 8) >> 1);
	*p++ = opcode;
	*p++ = (u8)((wide ? 0x84 : 0x44) | (host & 7) << 3);
	*p++ = 0x24;
	if (wide)
		put32(p, off);
	else
		*p = (u8)off;
	return p + (wide ? 4 : 1);
}

/* NOPs of SIZE bytes, in as few instructions as possible. */
static void nops(u8 *p, unsigned size)
{
	static const u8 nop[][8] = {
		{ 0 }, { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40 }, { 0x0f, 0x1f, 0x44 },
		{ 0x66, 0x0f, 0x1f, 0x44 }, { 0x0f, 0x1f, 0x80 }, { 0x0f, 0x1f, 0x84 },
	};

	while (size) {
		unsigned part = size < 8 ? size : 8;

		memset(p, 0, part);
		memcpy(p, nop[part], part < 4 ? part : 4);
		p += part;
		size -= part;
	}
}

/* Instruction OPCODE of registers, REG and RM, of SIZE bytes. Returns its length. */
static unsigned put_insn(u8 *p, unsigned size, unsigned opcode, unsigned reg, unsigned rm)
{
	u8 *start = p;

	if (size == 2 && opcode < 0x100)
		*p++ = 0x66;
	*p++ = (u8)(0x40 | (size == 8) << 3 | (reg & 8) >> 1 | (rm & 8) >> 3);
	if (opcode >= 0x100)
		*p++ = 0x0f;
	*p++ = (u8)opcode;
	*p++ = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
	return (unsigned)(p - start);
}


/* The instructions that stencil.h marks: bytes of the register, bytes before the displacement, bytes in the stencil. */
static const struct { u8 size, before, length; } marks[MARKS] = {
	[USE_1] = { 1, 5, 9 }, [USE_2] = { 2, 5, 9 }, [USE_4] = { 4, 4, 8 }, [USE_8] = { 8, 4, 8 },
	[USE_BASE] = { 8, 4, 8 }, [USE_INDEX] = { 8, 4, 8 },
	[PUT_1] = { 1, 4, 8 + PUT_1_NOP }, [PUT_2] = { 2, 5, 9 }, [PUT_8] = { 8, 4, 8 },
	[LEA] = { 8, 4, 8 }, [LEA_RIP] = { 8, 4, 8 },
	[USE_VECTOR] = { 16, 5, 9 + VECTOR_NOP }, [PUT_VECTOR] = { 16, 5, 9 + VECTOR_NOP },
};

/* Write BEFORE bytes of an instruction at FROM, which end in ModRM and SIB, and the displacement. Returns the
 * length. */
static unsigned with_displacement(u8 *out, const u8 *from, unsigned before, s32 disp)
{
	memcpy(out, from, before);
	if (disp == (s8)disp) {
		out[before - 2] = (out[before - 2] & 0x3f) | 0x40;
		out[before] = (u8)disp;
		return before + 1;
	}
	put32(out + before, (u32)disp);
	return before + 4;
}

/* The same LEA of 32 bits. */
static void narrow(u8 *lea) { lea[0] &= (u8)~8; }

/* A LEA of LEN bytes without an index needs no SIB byte, if its base is not RSP or R12. */
static unsigned without_index(u8 *lea, unsigned len)
{
	unsigned base = lea[3] & 7;

	if (base == 4)
		return len;
	lea[2] = (u8)((lea[2] & 0xf8) | base);
	memmove(lea + 3, lea + 4, len - 4);
	return len - 1;
}

/* The host register that has the guest's at OFF: where it is kept, or OWN, to which an instruction before loads it. */
static unsigned host_of(const struct copy *c, u64 off, unsigned own)
{
	unsigned kept = copy_host(c->swaps, off / 8);

	return kept ? kept & 15 : own;
}

/* lea disp(%base, %index, scale), %sum. FROM has base %sum and scale 1. */
static unsigned put_sum(const struct copy *c, const struct op *o, const u8 *from, u8 *out)
{
	const unsigned sum = (from[2] >> 3 & 7) | (from[0] & 4) << 1;
	const unsigned index = host_of(c, o->index, (from[3] >> 3 & 7) | (from[0] & 2) << 2);
	const unsigned base = host_of(c, o->base, sum);
	u8 lea[4];
	unsigned len;

	memcpy(lea, from, sizeof lea);
	lea[0] = (u8)((from[0] & ~3) | index >> 3 << 1 | base >> 3);
	lea[3] = (u8)(o->scale << 6 | (index & 7) << 3 | (base & 7));
	if (o->asize == 1)
		narrow(lea);
	if (o->index != 8 * RZERO)
		return with_displacement(out, lea, sizeof lea, o->disp);
	lea[0] &= (u8)~2; /* none, which is 4 without REX.X */
	lea[3] = (u8)(4 << 3 | (lea[3] & 7));
	len = with_displacement(out, lea, sizeof lea, o->disp);
	return without_index(out, len);
}

/* lea disp(%rip_, %riz, 1), %reg. To the start of its block a jump goes without, if the register is the same. */
static unsigned put_target(u8 *out, const u8 *from, const struct op *o)
{
	const bool same = (from[2] >> 3 & 7) == (from[3] & 7) && !(from[0] & 4) == !(from[0] & 1);
	unsigned len;

	if (!o->disp && same)
		return 0;
	len = without_index(out, with_displacement(out, from, 4, o->disp));
	if (o->osize == 4)
		narrow(out);
	return len;
}

unsigned copy_vector_load(u8 *p, unsigned place, u32 off)
{
	memcpy(p, (u8[]){ 0x41, 0x0f, 0x10, (u8)(0x84 | place << 3), 0x24 }, 5);
	put32(p + 5, off);
	return VECTOR_MOVE_BYTES;
}

bool copy_always_runs(const struct stencil *st, const struct patch *p) { return st->straight && p->at < st->hot; }

u64 copy_vector_at(const struct op *o, const struct patch *p)
{
	return p->kind > PATCH_MARKED + LEA_RIP ? (u64)copy_named(o, p) + ((u32)p->addend >> PATCH_PART_SHIFT) : 0;
}

/* A use or put of vector registers. First load a half that has to be kept and is in no host register. */
static unsigned put_vector(const struct copy *c, const struct patch *p, const u8 *from, bool use, u8 *out)
{
	enum { MOVAPS = 0x128 };
	const unsigned reg = (unsigned)p->addend & 15;
	u32 off = (u32)copy_vector_at(c->op, p);
	int place = copy_vector_place(c->vectors, off);
	unsigned len = 0;

	if (use && place >= 0 && !(c->valid >> place & 1) && copy_always_runs(c->stencil, p))
		len = copy_vector_load(out, (unsigned)place, off);
	if (use && (len || (place >= 0 && c->valid >> place & 1)))
		return len + put_insn(out + len, 4, MOVAPS, reg, (unsigned)place);
	len = with_displacement(out, from, 5, (s32)off);
	return use || place < 0 ? len : len + put_insn(out + len, 4, MOVAPS, (unsigned)place, reg);
}

/* Write the instruction that P marks, for C's operation, to OUT. Returns its length. */
enum { MARKED_MAX = 32 };
static unsigned put_marked(const struct copy *c, const struct patch *p, u8 *out)
{
	const unsigned mark = p->kind - PATCH_MARKED, size = marks[mark].size, before = marks[mark].before;
	const unsigned reg = (unsigned)p->addend;
	const u8 *from = &stencil_code[c->stencil->code + p->at - before];
	u64 off = (u64)copy_named(c->op, p);
	unsigned kept = copy_host(c->swaps, off / 8), host = kept & 15, len;

	if (mark == LEA)
		return put_sum(c, &c->op[p->hole / HOLE_MEMBERS], from, out);
	if (mark == LEA_RIP)
		return put_target(out, from, &c->op[p->hole / HOLE_MEMBERS]);
	if (mark == USE_VECTOR || mark == PUT_VECTOR)
		return put_vector(c, p, from, mark == USE_VECTOR, out);
	if (mark < PUT_1) {
		if ((kept && mark >= USE_BASE) || (off == 8 * RZERO && mark == USE_INDEX))
			return 0; /* put_sum does not need it */
		if (off == 8 * RZERO)
			return put_insn(out, 4, 0x31, reg, reg); /* xor */
		if (kept && !(off & 7))
			return put_insn(out, size == 2 ? 4 : size, size == 1 ? 0x1b6 : size == 2 ? 0x1b7 : 0x8b, reg,
				host);
		if (kept) { /* AH and the like: movzwl %host, %reg; shr $8, %reg */
			len = put_insn(out, 4, 0x1b7, reg, host);
			memcpy(out + len, (u8[]){ (u8)(0x40 | reg >> 3), 0xc1, (u8)(0xe8 | (reg & 7)), 8 }, 4);
			return len + 4;
		}
		return with_displacement(out, from, before, (s32)off);
	}
	if (!kept)
		return with_displacement(out, from, before, (s32)off);
	if (off & 7) { /* AH and the like: turn the register by 8, and back */
		memcpy(out, (u8[]){ (u8)(0x48 | host >> 3), 0xc1, (u8)(0xc8 | (host & 7)), 8 }, 4);
		len = 4 + put_insn(out + 4, 1, 0x88, reg, host);
		memcpy(out + len, (u8[]){ (u8)(0x48 | host >> 3), 0xc1, (u8)(0xc0 | (host & 7)), 8 }, 4);
		return len + 4;
	}
	return put_insn(out, size, size == 1 ? 0x88 : 0x89, reg, host);
}

u32 copy_saved(const struct copy *c, u32 offset)
{
	const struct patch *p = &stencil_patches[c->stencil->patches];
	u32 total = 0;
	u8 out[MARKED_MAX];

	for (unsigned i = 0; !c->stencil->fixed && i < c->stencil->count && p[i].at < offset; i++)
		if (p[i].kind > PATCH_MARKED)
			total += marks[p[i].kind - PATCH_MARKED].length - put_marked(c, &p[i], out);
	return total;
}

static u32 place(const struct copy *c, u32 offset)
{
	return offset < c->stencil->hot ? c->hot + offset - copy_saved(c, offset) : c->aside + offset - c->stencil->hot;
}

void copy_put(const struct copy *c)
{
	const struct stencil *st = c->stencil;
	const u8 *code = &stencil_code[st->code];
	u8 *out = c->writable + c->hot;
	u32 from = 0;

	memcpy(c->writable + c->aside, code + st->hot, st->size - st->hot);
	for (unsigned i = 0; i < st->count; i++) {
		const struct patch *p = &stencil_patches[st->patches + i];
		unsigned mark = p->kind - PATCH_MARKED, start = p->at - marks[p->kind > PATCH_MARKED ? mark : 0].before,
			 len;
		bool hot = p->at < st->hot;
		u8 *to = c->writable + c->aside + start - st->hot;

		if (p->kind <= PATCH_MARKED)
			continue;
		if (hot) {
			memcpy(out, code + from, start - from);
			to = out += start - from;
			from = start + marks[mark].length;
		}
		len = put_marked(c, p, to);
		if (!hot || st->fixed) {
			nops(to + len, marks[mark].length - len);
			len = marks[mark].length;
		}
		if (hot)
			out += len;
	}
	memcpy(out, code + from, st->hot - from);
}

static u64 value(const struct copy *c, const struct patch *p)
{
	u64 code = (u64)(uintptr_t)c->code;

	switch (p->hole) {
	case HOLE_OP: return (u64)(uintptr_t)c->op + (u64)p->addend;
	case HOLE_NEXT_1:
	case HOLE_NEXT_2: return code + c->next[p->hole - HOLE_NEXT_1 + 1] - 4;
	case HOLE_LINKED: return code + c->linked - 4;
	case HOLE_SELF: return code + place(c, (u32)p->addend) - 4;
	case HOLE_FUNCTION: return (u64)(uintptr_t)stencil_functions[p->addend] - 4;
	case HOLE_STORE: return code + c->store - 4;
	case HOLE_DATA: return (u64)(uintptr_t)stencil_data + (u64)p->addend;
	default: return (u64)copy_named(c->op, p) + (u64)p->addend;
	}
}

bool copy_fits(const struct stencil *st, const struct op *o)
{
	const struct patch *p = &stencil_patches[st->patches];

	for (unsigned i = 0; i < st->count; i++) {
		s64 v;

		if (p[i].kind != PATCH_SIGNED)
			continue;
		v = copy_named(o, &p[i]) + p[i].addend;
		if (v != (s32)v)
			return false;
	}
	return true;
}

void copy_fill(const struct copy *c, bool all)
{
	const struct stencil *st = c->stencil;

	for (unsigned i = 0; i < st->count; i++) {
		const struct patch *p = &stencil_patches[st->patches + i];
		u8 *field;
		u32 at;
		u64 v;

		if (p->kind > PATCH_MARKED || (!all && p->hole != HOLE_LINKED && p->hole % HOLE_MEMBERS != HOLE_cost))
			continue;
		at = place(c, p->at);
		field = c->writable + at;
		v = value(c, p);
		switch (p->kind) {
		case PATCH_8: *field = (u8)v; break;
		case PATCH_16: put16(field, (u16)v); break;
		case PATCH_64: put64(field, v); break;
		case PATCH_RELATIVE: v -= (u64)(uintptr_t)c->code + at; /* fall through */
		default: put32(field, (u32)v); break;
		}
	}
}

#endif
#endif
