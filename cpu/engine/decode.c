/* SPDX-License-Identifier: MIT */
/* From bytes to an operation.
 *
 *     prefixes  [REX | VEX]  opcode map, opcode  ModRM  SIB  displacement  immediate
 *
 * The table has the row of the bytes and its operands. This file has only the layout of instructions (SDM vol. 2,
 * chapter 2). */
#include "cpu/op.h"
#include "cpu/operand.h"
#include "cpu/cet.h"

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8, REX = 0x40 };

struct reader {
	const u8 *at, *end;
	bool short_of; /* a read beyond the available bytes */
};

static u64 take(struct reader *r, unsigned size)
{
	u64 v;

	if ((size_t)(r->end - r->at) < size) {
		r->short_of = true;
		r->at = r->end;
		return 0;
	}
	v = get_size(r->at, size);
	r->at += size;
	return v;
}

static s64 take_signed(struct reader *r, unsigned size)
{
	u64 v = take(r, size);

	return size == 1 ? (s8)v : size == 2 ? (s16)v : size == 4 ? (s32)v : (s64)v;
}

static unsigned size_of(const struct dec *d, u8 code)
{
	switch (code) {
	case 'b': return 1;
	case 'w': return 2;
	case 'd': return 4;
	case 'q': return 8;
	case 'z': return d->osize == 2 ? 2 : 4;
	case 'y': return d->osize == 8 ? 8 : 4;
	case 'x': return 16u << d->vex_l;
	case 'k': return 8;
	case 'o': return 16;
	case 'T': return 64;
	case 't': return 10;
	default: return d->osize;
	}
}

unsigned dec_element(const struct dec *d)
{
	if (d->row->insn->from)
		return d->row->insn->from;
	if (dec_kind(d, 2) == OPK_E) /* VCVTSI2SS and the like */
		return size_of(d, d->row->operand[2].size);
	return d->rex & REX_W ? 8 : 4;
}

/* Bytes of a memory operand that is not an element to be broadcast. */
static unsigned tuple_size(const struct dec *d)
{
	unsigned tuple = d->row->insn->tuple, element = dec_element(d);

	switch (tuple) {
	case TUPLE_FV: case TUPLE_HV: case TUPLE_QV: return 16u << d->vex_l >> (tuple - TUPLE_FV);
	case TUPLE_FVM: case TUPLE_HVM: case TUPLE_QVM: case TUPLE_OVM: return 16u << d->vex_l >> (tuple - TUPLE_FVM);
	case TUPLE_T1: case TUPLE_T2: case TUPLE_T4: case TUPLE_T8: return element << (tuple - TUPLE_T1);
	case TUPLE_DUP: return d->vex_l ? 16u << d->vex_l : 8;
	default: return 16;
	}
}

static unsigned evex_memory_size(const struct dec *d) { return d->evex_b ? dec_element(d) : tuple_size(d); }

unsigned dec_size(const struct dec *d, unsigned n)
{
	if (d->evex && dec_is_mem(d, n))
		return evex_memory_size(d);
	return n < d->row->operands ? size_of(d, d->row->operand[n].size) : d->osize;
}

/* Byte offset of general register N into struct cpu. Without REX, byte registers 4-7 are AH CH DH BH. */
static u8 general(const struct dec *d, unsigned n, unsigned size)
{
	if (size == 1 && !d->rex && !d->vex && n >= 4)
		return (u8)(8 * (n - 4) + 1);
	return (u8)(8 * n);
}

/* Where an operation has what general() gives: R16 to R31 in slots. */
static u8 place(struct dec *d, unsigned off)
{
	unsigned slot = 0;

	if (off < 8 * EGPR)
		return (u8)off;
	while (slot < d->egprs && d->egpr[slot] != off / 8)
		slot++;
	if (slot == d->egprs)
		d->egpr[d->egprs++] = (u8)(off / 8);
	return (u8)(8 * (EGPR_SLOT + slot));
}

u8 dec_place(const struct dec *d, unsigned n)
{
	const unsigned off = dec_register(d, n);
	unsigned slot = 0;

	if (off < 8 * EGPR)
		return (u8)off;
	while (d->egpr[slot] != off / 8)
		slot++;
	return (u8)(8 * (EGPR_SLOT + slot));
}

/* ---- prefixes ---- */

static bool take_prefixes(struct reader *r, struct dec *d, const struct model *model)
{
	for (; r->at < r->end; r->at++) {
		u8 b = *r->at;

		switch (b) {
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			d->rex = 0;
			d->notrack = b == 0x3e;
			if (d->bits != 64)
				d->seg = b >> 3 & 3;
			continue;
		case 0x64: case 0x65:
			if (!has(model, F_I386))
				return true;
			d->rex = 0;
			d->notrack = false;
			d->seg = b == 0x64 ? FS : GS;
			continue;
		case 0x66:
			if (!has(model, F_I386))
				return true;
			d->rex = 0;
			d->opsize_prefix = true;
			continue;
		case 0x67:
			if (!has(model, F_I386))
				return true;
			d->rex = 0;
			d->addrsize_prefix = true;
			continue;
		case 0xf1:
			if (has(model, F_I186)) /* an 8086 has two LOCKs */
				return true;
			/* fall through */
		case 0xf0:
			d->rex = 0;
			d->lock = true;
			continue;
		case 0xf2: case 0xf3:
			d->rex = 0;
			d->rep = b;
			continue;
		default:
			if (d->bits == 64 && (b & 0xf0) == REX) {
				d->rex = b;
				continue;
			}
			return true;
		}
	}
	return false;
}

/* VEX, after C4 or C5 was seen:  C5: [R vvvv L pp]   C4: [R X B mmmmm] [W vvvv L pp], R X B vvvv inverted. */
static bool take_vex(struct reader *r, struct dec *d, bool three)
{
	u8 b = (u8)take(r, 1), map = 1;

	if (d->rex || d->lock || d->opsize_prefix || d->rep)
		return false;
	d->vex = true;
	d->rex = b & 0x80 ? 0 : REX_R;
	if (three) {
		d->rex |= (b & 0x40 ? 0 : REX_X) | (b & 0x20 ? 0 : REX_B);
		map = b & 0x1f;
		b = (u8)take(r, 1);
		d->rex |= b & 0x80 ? REX_W : 0;
	}
	if (d->bits != 64)
		d->rex &= REX_W;
	/* outside of 64-bit mode bit 3 is ignored, except where all four must be 1 (SDM vol. 2, 2.3.5.6) */
	d->vvvv = ~(b >> 3) & 15;
	d->vex_l = b >> 2 & 1;
	d->pp = (u8[]){ 0, 1, 2, 3 }[b & 3];
	d->map = map;
	return (map >= 1 && map <= 3) || (map >= MAP_XOP && map <= MAP_XOP + 2) ||
	       (map == 5 && has(d->model, F_AMX_FP8));
}

/* EVEX, after 62 was seen:  [R X B R' B4 mmm] [W vvvv X4 pp] [z L'L b V' aaa], all of R X B R' vvvv X4 V' inverted. B4
 * and X4 are APX's: else they are 0 and, as it stands there, 1. */
static bool take_evex(struct reader *r, struct dec *d)
{
	u8 p0 = (u8)take(r, 1), p1 = (u8)take(r, 1), p2 = (u8)take(r, 1);
	const bool apx = d->mode & MODE_APX;

	if (d->rex || d->lock || d->opsize_prefix || d->rep || ((p0 & 8 || !(p1 & 4)) && !apx) ||
	    (d->bits != 64 && !(p2 & 8)))
		return false;
	d->vex = d->evex = true;
	d->rex = (p0 & 0x80 ? 0 : REX_R) | (p0 & 0x40 ? 0 : REX_X) | (p0 & 0x20 ? 0 : REX_B) | (p1 & 0x80 ? REX_W : 0);
	d->reg_high = p0 & 0x10 ? 0 : 16;
	d->vvvv = (~(p1 >> 3) & 15) | (p2 & 8 ? 0 : 16);
	d->index_high = d->vvvv & 16;
	if (d->bits != 64) {
		d->rex &= REX_W;
		d->reg_high = 0;
	}
	d->r4 = d->reg_high;
	d->b4 = p0 & 8 ? 16 : 0;
	d->x4 = p1 & 4 ? 0 : 16;
	d->pp = p1 & 3;
	d->map = (p0 & 7) == 4 ? MAP_APX : p0 & 7;
	d->zeroing = p2 & 0x80;
	d->vex_l = d->ll = p2 >> 5 & 3;
	d->evex_b = p2 & 0x10;
	d->k = p2 & 7;
	return (d->map >= 1 && d->map <= 3) || d->map == 5 || d->map == 6 || (d->map == MAP_APX && apx);
}

/* REX2, after D5 was seen:  [M0 R4 X4 B4 W R X B], then the opcode in the map that M0 names. */
static bool take_rex2(struct reader *r, struct dec *d)
{
	u8 p = (u8)take(r, 1), line;

	if (d->rex)
		return false;
	d->rex2 = true;
	d->rex = REX | (p & 15);
	d->r4 = p & 0x40 ? 16 : 0;
	d->x4 = p & 0x20 ? 16 : 0;
	d->b4 = p & 0x10 ? 16 : 0;
	d->map = p >> 7;
	d->opcode = (u8)take(r, 1);
	line = d->opcode >> 4;
	if (d->map)
		return line != 3 && line != 8;
	if (line == 4 || line == 7 || line == 10 || line == 14)
		d->map = MAP_REX2;
	return true;
}

static bool take_opcode(struct reader *r, struct dec *d, const struct model *model)
{
	u8 b = (u8)take(r, 1);

	/* XOP looks like VEX, but its maps are from 8 on: with less, 8F is POP. */
	if (b == 0x8f && (has(model, F_XOP) || has(model, F_TBM)) && r->at < r->end && (*r->at & 0x1f) >= MAP_XOP &&
	    (d->mode & (MODE_PE | MODE_V86)) == MODE_PE) {
		if (!take_vex(r, d, true))
			return false;
		d->opcode = (u8)take(r, 1);
		return true;
	}
	if ((b == 0xc4 || b == 0xc5) && (has(model, F_AVX) || has(model, F_BMI1) || has(model, F_BMI2)) &&
	    (d->bits == 64 || (r->at < r->end && *r->at >= 0xc0 && (d->mode & (MODE_PE | MODE_V86)) == MODE_PE))) {
		if (!take_vex(r, d, b == 0xc4) || d->map >= MAP_XOP)
			return false;
		d->opcode = (u8)take(r, 1);
		return true;
	}
	if (b == 0xd5 && d->mode & MODE_APX)
		return take_rex2(r, d);
	if (b == 0x62 && (has(model, F_AVX512F) || d->mode & MODE_APX) &&
	    (d->bits == 64 || (r->at < r->end && *r->at >= 0xc0 && (d->mode & (MODE_PE | MODE_V86)) == MODE_PE))) {
		if (!take_evex(r, d))
			return false;
		d->opcode = (u8)take(r, 1);
		return true;
	}
	if (b == 0x0f && has(model, F_I286)) {
		b = (u8)take(r, 1);
		d->map = 1;
		if ((b == 0x38 || b == 0x3a) && has(model, F_SSSE3)) {
			d->map = b == 0x38 ? 2 : 3;
			b = (u8)take(r, 1);
		} else if (b == 0x0f && has(model, F_3DNOW)) {
			d->map = MAP_3DNOW; /* the opcode is the last byte */
		}
	}
	d->opcode = b;
	return true;
}

/* ---- the memory operand ---- */

static void ea16(struct reader *r, struct dec *d, struct op *o)
{
	static const u8 base[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX },
			index[8] = { RSI, RDI, RSI, RDI, RZERO, RZERO, RZERO, RZERO };
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	o->base = (u8)(8 * base[rm]);
	o->index = (u8)(8 * index[rm]);
	if (mod == 0 && rm == 6) {
		o->base = 8 * RZERO;
		o->disp = (s16)take_signed(r, 2);
	} else if (mod) {
		o->disp = (s32)take_signed(r, mod);
	}
	if (o->base == 8 * RBP && d->seg == FLAT)
		d->seg = SS;
}

static void ea32(struct reader *r, struct dec *d, struct op *o)
{
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7, base = rm | (d->rex & REX_B) << 3 | d->b4;
	bool none = false;

	o->index = 8 * RZERO;
	if (rm == 4) {
		u8 sib = (u8)take(r, 1);
		unsigned index = (sib >> 3 & 7) | (d->rex & REX_X) << 2 | d->x4;

		d->sib = sib;
		o->scale = sib >> 6;
		base = (sib & 7) | (d->rex & REX_B) << 3 | d->b4;
		if (index != RSP)
			o->index = place(d, 8 * index);
		else
			o->scale = 0;
	}
	if (mod == 0 && (base & 7) == RBP) {
		bool rip_relative = d->bits == 64 && rm == 5;

		none = true;
		base = rip_relative ? RIP : RZERO; /* o->disp becomes relative to the block in decode() */
		o->disp = (s32)take_signed(r, 4);
		if (unlikely(rip_relative && o->disp > INT32_MAX - 2 * (int)PAGE_SIZE)) {
			o->disp -= (s64)1 << 31;
			o->index = 8 * R2GIB;
		}
	} else if (mod) {
		o->disp = (s32)take_signed(r, mod == 1 ? 1 : 4);
	}
	o->base = none ? (u8)(8 * base) : place(d, 8 * base);
	if ((base == RSP || base == RBP) && d->seg == FLAT)
		d->seg = SS;
}

static void take_ea(struct reader *r, struct dec *d, struct op *o)
{
	if (d->asize == 2)
		ea16(r, d, o);
	else
		ea32(r, d, o);
}

/* 0F 0F, then ModRM with SIB and displacement, then the opcode. */
static void take_3dnow(struct reader *r, struct dec *d, struct op *o)
{
	d->modrm = (u8)take(r, 1);
	d->mem = d->modrm < 0xc0;
	if (d->mem)
		take_ea(r, d, o);
	d->opcode = (u8)take(r, 1);
}

/* ---- operands ---- */

static void set_register(struct op *o, unsigned position, unsigned reg)
{
	if (position == 0)
		o->dst = (u8)reg;
	else
		o->src = (u8)reg;
}

/* Numbers of mask registers beyond 7 are #UD: evex_ok(). */
unsigned dec_register(const struct dec *d, unsigned n)
{
	const struct operand *p = &d->row->operand[n];
	unsigned size = size_of(d, p->size), reg = (d->modrm >> 3 & 7) | (d->rex & REX_R) << 1,
		 rm = (d->modrm & 7) | (d->rex & REX_B) << 3;

	if (p->size == 'k')
		return (p->kind == OPK_V ? reg : p->kind == OPK_H ? d->vvvv : rm) & 7;
	switch (p->kind) {
	case OPK_E:
	case OPK_R: return general(d, rm | d->b4, size);
	case OPK_G: return general(d, reg | d->r4, size);
	case OPK_Z: return general(d, (d->opcode & 7) | (d->rex & REX_B) << 3 | d->b4, size);
	case OPK_C:
	case OPK_D:
	case OPK_V: return reg | d->reg_high;
	case OPK_W:
	case OPK_U: return rm | (d->evex && d->rex & REX_X ? 16 : 0);
	case OPK_H: return d->vvvv & (d->bits == 64 ? 31 : 7);
	case OPK_B: return 8 * (d->vvvv & (d->bits == 64 ? 31 : 7));
	case OPK_FIXED: return p->size && strchr("bwdzv", p->size) ? 8u * p->reg : p->reg;
	case OPK_S:
	case OPK_P: return reg & 7;
	default: return rm & 7; /* ST, Q, N */
	}
}

static void take_operand(struct reader *r, struct dec *d, struct op *o, unsigned n, bool *had_imm)
{
	const struct operand *p = &d->row->operand[n];
	unsigned position = n - (d->row->inner != NULL);
	unsigned size = size_of(d, p->size);
	s64 imm;

	switch (p->kind) {
	case OPK_H:
	case OPK_B:
		if (d->vex)
			d->third = place(d, dec_register(d, n));
		else if (!d->row->inner) /* else it is the new destination: extended.c */
			set_register(o, position, place(d, dec_register(d, n)));
		break;
	case OPK_L: /* the register in bits 3-0, what was below it in bits 7-4 */
		imm = (s64)take(r, 1);
		o->imm = (imm >> 4 & (d->bits == 64 ? 15 : 7)) | (imm & 15) << 4;
		break;
	case OPK_I:
		imm = take_signed(r, size);
		o->imm = *had_imm ? (o->imm & 0xffff) | (imm & 0xff) << 16 : imm;
		*had_imm = true;
		break;
	case OPK_SI:
		o->imm = take_signed(r, 1);
		break;
	case OPK_J:
		o->imm = take_signed(r, size);
		break;
	case OPK_O:
		o->imm = (s64)take(r, d->asize);
		break;
	case OPK_A:
		imm = (s64)take(r, d->osize == 2 ? 2 : 4);
		o->imm = imm | (s64)(take(r, 2) << 32);
		break;
	case OPK_NONE:
	case OPK_M:
	case OPK_X:
	case OPK_Y:
		break;
	default:
		if (!dec_is_mem(d, n))
			set_register(o, position, place(d, dec_register(d, n)));
	}
}

/* ---- checks that depend on nothing but the mode, in the order in which the processor makes them ---- */

static enum raise fixed_checks(u32 check, u64 mode)
{
	bool protected = (mode & (MODE_PE | MODE_V86)) == MODE_PE, cpl = mode & MODE_CPL;

	if ((check & CHK_PROT) && !protected)
		return RAISE_UD;
	if ((check & CHK_RING0) && cpl)
		return RAISE_UD;
	if ((check & CHK_GUEST) && !(mode & MODE_GUEST))
		return RAISE_UD;
	if ((check & CHK_SCE) && !(mode & (MODE_SCE | MODE_FRED)))
		return RAISE_UD;
	if (check & (mode & MODE_FRED ? CHK_NO_FRED : CHK_FRED))
		return RAISE_UD;
	if ((check & CHK_SVM) && !(mode & MODE_SVME))
		return RAISE_UD;
	if ((check & CHK_FSGSBASE) && !(mode & MODE_CR4(CR4_FSGSBASE)))
		return RAISE_UD;
	if ((check & CHK_CET) && !(mode & MODE_CR4(CR4_CET)))
		return RAISE_UD;
	if ((check & CHK_SHSTK) && !(mode & MODE_SHSTK))
		return RAISE_UD;
	if ((check & CHK_PKE) && !(mode & MODE_CR4(CR4_PKE)))
		return RAISE_UD;
	if ((check & CHK_AVX) && (!protected || !(mode & MODE_OSXSAVE) || !(mode & MODE_AVX)))
		return RAISE_UD;
	if ((check & CHK_AVX512) && (!protected || !(mode & MODE_OSXSAVE) || !(mode & MODE_AVX512)))
		return RAISE_UD;
	if ((check & (CHK_XSAVE | CHK_OSXSAVE)) && !(mode & MODE_OSXSAVE))
		return RAISE_UD;
	if ((check & CHK_SSE) && ((mode & MODE_EM) || !(mode & MODE_OSFXSR)))
		return RAISE_UD;
	if ((check & CHK_MMX) && (mode & MODE_EM))
		return RAISE_UD;
	if ((check & CHK_FPU) && (mode & (MODE_EM | MODE_TS)))
		return RAISE_NM;
	if ((check & CHK_WAIT) && (mode & MODE_MP) && (mode & MODE_TS))
		return RAISE_NM;
	if ((check & (CHK_MMX | CHK_SSE | CHK_AVX | CHK_AVX512 | CHK_XSAVE)) && (mode & MODE_TS))
		return RAISE_NM;
	if ((check & CHK_CPL0) && cpl)
		return RAISE_GP_CPL;
	if ((check & CHK_LEGACY) && mode & MODE_LONG)
		return RAISE_UD;
	if ((check & CHK_UMIP) && cpl && (mode & MODE_UMIP))
		return RAISE_GP_UMIP;
	if ((check & CHK_TSD) && cpl && (mode & MODE_CR4(CR4_TSD)))
		return RAISE_GP_TSD;
	if ((check & CHK_PCE) && cpl && !(mode & MODE_CR4(CR4_PCE)))
		return RAISE_GP_PCE;
	return RAISE_NONE;
}

BODY(raise_ud) { return fault_ud(c); }
BODY_HANDLER(raise_ud)
BODY(raise_nm) { return fault(c, VEC_NM); }
BODY_HANDLER(raise_nm)
BODY(raise_gp)
{
	return gp_because(c, 0, o->imm == RAISE_GP_LONG ? "the instruction is longer than 15 bytes" :
		o->imm == RAISE_GP_LIMIT ? "the instruction's bytes go on beyond the limit of the code segment (5.3)" :
		o->imm == RAISE_GP_UMIP ? "CR4.UMIP keeps it from all rings but 0 (2.5)" :
		o->imm == RAISE_GP_TSD ? "CR4.TSD is set, and CPL is not 0 (2.5)" :
		o->imm == RAISE_GP_PCE ? "CR4.PCE is clear, and CPL is not 0 (2.5)"
		: "it is a privileged instruction, and CPL is not 0 (5.9)");
}
BODY_HANDLER(raise_gp)

/* An indirect branch leads here, and there is no ENDBR. Code that is known to be older may go on. */
HANDLER(h_raise_cp)
{
	c->n = n;
	c->op = o;
	if (!cet_legacy_code(c, op_rip(c, o)))
		LEAVE(EXIT_FAULT);
	c->r[RIP] = op_rip(c, o);
	n += o->left;
	LEAVE(EXIT_LOOKUP);
}

void decode_fault(struct op *o, enum raise raise)
{
	o->code = CODE_NONE;
	o->imm = raise;
	o->run = raise == RAISE_UD ? h_raise_ud : raise == RAISE_NM ? h_raise_nm : raise == RAISE_CP ? h_raise_cp
									       : h_raise_gp;
}

/* What may be the target of a tracked branch: ENDBR of the present mode, or an INT3 or INT1 in its place. */
static bool ends_branch(const struct dec *d)
{
	unsigned code = d->row ? d->row->insn->code : CODE_NONE;

	return code == (d->bits == 64 ? CODE_endbr64 : CODE_endbr32) || code == CODE_int3 || code == CODE_int1;
}

/* ---- encodings that VEX forbids ---- */

/* A vvvv without an operand must be 1111b. EVEX.V' belongs to the index, if that is a vector register. */
static bool vvvv_ok(const struct dec *d)
{
	if (d->row->insn->vsib && d->evex)
		return !(d->vvvv & 15);
	for (unsigned i = 0; i < d->row->operands; i++)
		if (d->row->operand[i].kind == OPK_H || d->row->operand[i].kind == OPK_B)
			return true;
	return !d->vvvv;
}

/* Mask registers and tiles have numbers to 7. */
static bool masks_ok(const struct dec *d)
{
	for (unsigned i = 0; i < d->row->operands; i++) {
		const struct operand *p = &d->row->operand[i];

		if (p->size == 'k' && ((p->kind == OPK_V && (d->rex & REX_R || d->reg_high)) ||
				       (p->kind == OPK_H && d->vvvv & (d->bits == 64 ? 24 : 16))))
			return false;
		if (p->size == 'T' && ((p->kind == OPK_V && d->rex & REX_R) || (p->kind == OPK_H && d->vvvv & 8) ||
				       (p->kind == OPK_U && d->rex & (d->evex ? REX_B | REX_X : REX_B))))
			return false;
	}
	return true;
}

/* Fields of EVEX that the row does not allow. */
static bool evex_ok(const struct dec *d)
{
	const struct insn *insn = d->row->insn;
	bool vector = !dec_is_mem(d, 0) && d->row->operand[0].size != 'k';

	if (d->ll == 3 && !(d->evex_b && !d->mem && insn->rounding))
		return false;
	if (d->evex_b && (d->mem ? insn->tuple < TUPLE_FV || insn->tuple > TUPLE_QV : !insn->rounding))
		return false;
	if (d->k ? insn->masking == MASKING_NONE : insn->masking == MASKING_MUST)
		return false;
	if (d->zeroing && (!d->k || !vector || insn->vsib))
		return false;
	for (unsigned i = 0; i < d->row->operands; i++)
		if (!(d->mode & MODE_APX) && ((d->row->operand[i].kind == OPK_G && d->reg_high) ||
					      (d->row->operand[i].kind == OPK_B && d->vvvv & 16)))
			return false;
	return true;
}

/* The same of a row of APX: there is no vector, b is ND, and aaa is NF and 00. A comparison has other fields in
 * their places. */
static bool apx_ok(const struct dec *d)
{
	const struct insn *insn = d->row->insn;
	const bool compares = insn->form == APX_COMPARES, nf = insn->nf || d->row->mask & KEY_NF;

	return !d->zeroing && !d->ll && !(d->evex_b && !(d->row->mask & KEY_ND)) &&
	       (compares || (vvvv_ok(d) && (d->k & (nf ? 3 : 7)) == 0));
}

/* From now on, an instruction of map 4 is decoded as its legacy form, and others as their VEX form. */
static void promote(struct dec *d)
{
	d->apx = true;
	d->evex = false;
	if (d->map != MAP_APX)
		return;
	d->vex = false;
	d->rex |= REX;
	d->opsize_prefix = d->pp == 1;
}

/* Control and debug registers that do not exist are #UD, before all other checks (SDM vol. 2, MOV). CR4.DE decides
 * about DR4 and DR5. */
static bool system_registers_ok(const struct dec *d)
{
	unsigned reg = (d->modrm >> 3 & 7) | (d->rex & REX_R) << 1 | d->r4;

	for (unsigned i = 0; i < 2; i++) {
		if (dec_kind(d, i) == OPK_D && reg > 7)
			return false;
		if (dec_kind(d, i) == OPK_C && !(0x11d >> reg & 1))
			return false;
	}
	return true;
}

/* LOCK MOV CR0 is MOV CR8 (APM vol. 2, 3.1.5): the way to it outside of 64-bit mode. */
static void take_cr8(struct dec *d)
{
	if ((dec_kind(d, 0) == OPK_C || dec_kind(d, 1) == OPK_C) && !(d->modrm & 0x38) && !(d->rex & REX_R)) {
		d->rex |= REX_R;
		d->lock = false;
	}
}

/* The index of a gather is any vector register. A SIB byte is required, and destination, index and mask must differ. */
static bool take_vector_index(struct dec *d, struct op *o)
{
	unsigned index = (d->sib >> 3 & 7) | (d->rex & REX_X) << 2 | (d->bits == 64 ? d->index_high : 0);

	if (d->asize == 2 || (d->modrm & 7) != 4)
		return false;
	if (d->evex ? index == o->dst && !dec_is_mem(d, 0) : index == o->dst || index == d->third || o->dst == d->third)
		return false;
	o->index = 8 * RZERO;
	o->scale = 0;
	o->imm = index | (d->sib >> 6) << 5;
	return true;
}

/* ---- the whole ---- */

/* Before the 286 an instruction may have any number of prefixes. More prefixes than the decoder reads become an
 * instruction of their own without effect, as they repeat each other. */
BODY(prefixes)
{
	c->r[RIP] = next_rip(c, o);
	return true;
}
JUMP_HANDLER(prefixes)

static enum decode_result skip_prefixes(struct dec *d, struct op *o)
{
	d->len = EARLY_PREFIXES;
	o->len = EARLY_PREFIXES;
	o->run = h_prefixes;
	return DECODE_OK;
}

static u64 key_of(const struct dec *d)
{
	return d->modrm | (d->mem ? KEY_MEM : 0) | (u64)d->pp << 9 | (d->rex & REX_W ? KEY_W : 0) |
	       (d->vex_l & 1 ? KEY_L : 0) | (d->vex_l & 2 ? KEY_L2 : 0) |
	       (d->bits == 64 ? KEY_64 : 0) | (d->vex ? KEY_VEX : 0) | (d->evex_b ? KEY_ND : 0) |
	       (d->k & 4 ? KEY_NF : 0) |
	       (d->opsize_prefix != (d->bits == 16) ? KEY_O16 : 0);
}

static const struct isa_row *match(const struct isa_row *row, u64 key)
{
	while (row && (key & row->mask) != row->match)
		row = row->next;
	return row;
}

static u8 operand_size(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	if (d->bits == 64) {
		if (insn->f64 && !is_amd(d->model))
			return 8;
		if (d->rex & REX_W)
			return insn->no_w >> d->model->maker & 1 ? 4 : 8;
		return d->opsize_prefix ? 2 : insn->d64 || insn->f64 ? 8 : 4;
	}
	return (d->bits == 16) != d->opsize_prefix ? 2 : 4;
}

/* What the row says about the fields of the prefixes. */
static bool fields_ok(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	if (d->evex && d->x4 && !d->mem)
		return false;
	if (d->rex2 && (insn->no_rex2 || (d->map == MAP_REX2 && d->addrsize_prefix)))
		return false;
	if (d->vex && !masks_ok(d))
		return false;
	if (d->evex && insn->since == F_APX ? !apx_ok(d) : (d->vex && !vvvv_ok(d)) || (d->evex && !evex_ok(d)))
		return false;
	return system_registers_ok(d);
}

/* Read ModRM, and find the row by all bytes so far. */
static enum decode_result take_row(struct reader *r, const struct isa *isa, struct dec *d, struct op *o)
{
	const struct isa_row *rows;

	if (!d->vex)
		d->pp = d->rep == 0xf3 ? 2 : d->rep == 0xf2 ? 3 : d->opsize_prefix ? 1 : 0;
	d->asize = d->bits == 64 ? (d->addrsize_prefix ? 4 : 8) : (d->bits == 16) != d->addrsize_prefix ? 2 : 4;
	if (d->map == MAP_3DNOW)
		take_3dnow(r, d, o);
	rows = (d->evex ? isa->evex_index : d->vex ? isa->vex_index : isa->index)[d->map][d->opcode];
	if (r->short_of)
		return DECODE_MORE;
	if (!rows)
		return DECODE_UD;
	d->has_modrm = rows->modrm;
	if (d->has_modrm && d->map != MAP_3DNOW) {
		d->modrm = (u8)take(r, 1);
		d->mem = d->modrm < 0xc0;
	}
	if (r->short_of)
		return DECODE_MORE;
	if (d->evex_b && !d->mem && d->map != MAP_APX)
		d->vex_l = 2; /* L'L is the rounding */
	d->row = match(rows, key_of(d));
	if (d->lock && d->row && has(d->model, F_CR8_LEGACY))
		take_cr8(d);
	if (!d->row || !fields_ok(d))
		return DECODE_UD;
	if (d->evex && d->row->insn->since == F_APX)
		promote(d);
	/* MOV to and from CR, DR: ModRM.mod is ignored, rm is always a register (SDM vol. 2, MOV). */
	for (unsigned i = 0; i < d->row->operands; i++)
		if (d->row->operand[i].kind == OPK_R && (dec_kind(d, 0) == OPK_C || dec_kind(d, 1) == OPK_C ||
							 dec_kind(d, 0) == OPK_D || dec_kind(d, 1) == OPK_D))
			d->mem = false;
	return DECODE_OK;
}

static enum decode_result take_operands(struct reader *r, struct dec *d, struct op *o)
{
	bool had_imm = false;

	d->osize = operand_size(d);
	if (d->mem && d->map != MAP_3DNOW)
		take_ea(r, d, o);
	if (d->evex && d->mem && d->modrm >> 6 == 1)
		o->disp *= (s32)evex_memory_size(d);
	for (unsigned i = 0; i < d->row->operands; i++)
		take_operand(r, d, o, i, &had_imm);
	if (r->short_of)
		return DECODE_MORE;
	if (d->row->insn->sib && (d->modrm & 7) != 4)
		return DECODE_UD;
	if (d->row->insn->distinct && ((d->vex && o->dst == d->third) || (!d->mem && o->dst == o->src)))
		return DECODE_UD;
	if (d->row->insn->no_rsp && (o->dst == 8 * RSP || o->src == 8 * RSP))
		return DECODE_UD;
	d->extended = d->egprs || (d->apx && (d->row->insn->form || (d->k & 4 && d->row->insn->nf)));
	return d->row->insn->vsib && !take_vector_index(d, o) ? DECODE_UD : DECODE_OK;
}

/* The segment of a memory operand. In 64-bit mode overrides of ES, CS, SS and DS are ignored. */
static void settle_segment(struct dec *d)
{
	if (d->bits == 64) {
		bool override = d->seg == FS || d->seg == GS;

		d->simple_ea = d->asize == 8 && !override;
		d->flat_ea = d->asize == 4 && !override;
		if (!override)
			d->seg = d->asize == 8 ? (d->seg == SS ? SS : DS) : FLAT;
		return;
	}
	if (d->seg == FLAT)
		d->seg = DS;
	d->flat_ea = d->asize == 4 && d->mode & MODE_FLAT && (d->seg == DS || d->seg == ES || d->seg == SS);
}

/* Bits of op.scale: the operand must be aligned; but not with MXCSR.MM. */
static u8 alignment(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	if (!d->mem || !insn->align || insn->unaligned >> d->model->maker & 1)
		return 0;
	return has(d->model, F_MISALIGNSSE) && !d->vex && insn->check & CHK_SSE && insn->align == ALIGN_16
		       ? OP_ALIGNED | OP_ALIGNED_MM
		       : OP_ALIGNED;
}

static unsigned logarithm(unsigned v) { return (unsigned)__builtin_ctz(v); }

/* Those of EVEX. */
static void fill_evex(const struct dec *d, struct op *o)
{
	const struct insn *insn = d->row->insn;
	unsigned from = dec_element(d), to = insn->to ? insn->to : from;

	o->vlen = (u8)(16 << d->vex_l);
	o->k = d->k & 7;
	o->zeroing = d->zeroing;
	o->broadcast = d->evex_b && d->mem;
	o->round = (!d->evex_b || d->mem ? 0 : insn->rounding == ROUNDING_ER ? ROUND_ER | d->ll : ROUND_SAE) & 7;
	o->from = logarithm(from) & 3;
	o->to = logarithm(to) & 3;
	o->memory = logarithm(tuple_size(d)) & 7;
	o->whole = insn->whole >> d->model->maker & 1;
	o->to_memory = dec_is_mem(d, 0);
	o->to_mask = d->row->operand[0].size == 'k';
	if (dec_kind(d, 0) == OPK_H)
		o->dst = o->third;
}

/* Set the members of O that follow from D. */
static void fill(struct dec *d, struct op *o)
{
	d->imm = o->imm;
	if (d->vex) {
		o->imm &= 0xff;
		o->third = d->third;
		o->zmm = !!(d->mode & MODE_AVX512);
	}
	o->len = d->len;
	o->osize = d->osize & 15;
	o->code = d->row->insn->code;
	o->form = d->row->form[d->mem] & 15;
	d->no_index = o->index == 8 * RZERO;
	if (d->row->insn->tuple || d->evex)
		fill_evex(d, o);
	settle_segment(d);
	if (d->mem)
		o->seg = d->seg & 7;
	else
		o->base = o->dst; /* the first source of a register form: see pass_merge() in passes.c */
	o->mem = d->mem;
	o->rep = d->rep == 0xf3 ? 3 : d->rep == 0xf2 ? 2 : 0;
	o->asize = d->asize >> 2 & 3;
	o->scale |= alignment(d);
}

/* Is D's model AMD's, and of FAMILY or later? FAMILY 0: never. */
static bool amd_since(const struct dec *d, unsigned family)
{
	return family && is_amd(d->model) && model_family(d->model) >= family;
}

static bool lock_ok(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	return !d->lock ||
	       (d->mem && insn->lock_ignored >> d->model->maker & 1 && !amd_since(d, insn->lock_family)) ||
	       (insn->lock && dec_is_mem(d, 0)) || !has(d->model, F_I386);
}

static bool rep_ok(const struct dec *d) { return !d->rep || !amd_since(d, d->row->insn->rep_family); }

static void choose_handler(struct dec *d, struct op *o)
{
	enum raise raise = fixed_checks(d->row->insn->check, d->mode);

	d->raises = raise != RAISE_NONE;
	if (raise)
		decode_fault(o, raise);
	else if (!d->extended) /* extended.c chooses for its parts */
		insn_gen[d->row->insn->code](d, o);
}

enum decode_result decode(const struct isa *isa, const struct model *model, u64 mode, const u8 *code, unsigned len,
			  struct dec *d, struct op *o)
{
	/* a 286 takes 10 bytes */
	const unsigned limit = has(model, F_I386) || !has(model, F_I286) ? decode_window(model) : 10;
	struct reader r = { code, code + (len < limit ? len : limit), false };
	enum decode_result result;
	bool whole;

	*d = (struct dec){ .model = model, .mode = mode, .bits = (mode & MODE_BITS) == MODE_64 ? 64
		: (mode & MODE_BITS) == MODE_32 ? 32 : 16, .seg = FLAT };
	*o = (struct op){ .base = 8 * RZERO, .index = 8 * RZERO };
	whole = take_prefixes(&r, d, model) && take_opcode(&r, d, model);
	if (unlikely(r.at - code > EARLY_PREFIXES + 1) && !has(model, F_I286))
		return skip_prefixes(d, o);
	if (whole)
		result = take_row(&r, isa, d, o);
	else
		result = r.at < r.end ? DECODE_UD : DECODE_MORE;
	if (result == DECODE_OK)
		result = take_operands(&r, d, o);
	if (result == DECODE_MORE)
		return len >= limit ? DECODE_LONG : DECODE_MORE;
	d->len = (u8)(r.at - code);
	if (unlikely(mode & MODE_WAIT_ENDBR) && (result != DECODE_OK || !ends_branch(d))) {
		o->len = d->len;
		d->row = NULL;
		d->extended = false;
		decode_fault(o, RAISE_CP);
		return DECODE_UD;
	}
	if (result == DECODE_OK) {
		fill(d, o);
		if (lock_ok(d) && rep_ok(d)) {
			choose_handler(d, o);
			return DECODE_OK;
		}
	}
	o->len = d->len;
	d->row = NULL;
	d->extended = false;
	decode_fault(o, RAISE_UD);
	return DECODE_UD;
}
