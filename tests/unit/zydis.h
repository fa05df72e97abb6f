/* SPDX-License-Identifier: MIT */
/* What the decoder makes of bytes, compared with what Zydis makes of them: length, name and operands. For test_isa.c,
 * which knows all encodings, and tests/silicon/zydis.c, which knows none. */
#ifndef TESTS_ZYDIS_H
#define TESTS_ZYDIS_H

#include <stdio.h>
#include <stdlib.h>
#include <Zydis/Zydis.h>
#include "cpu/operand.h"

static struct model everything; /* every row is enabled */
static struct isa *isa;

#include "tests/unit/isa_slot.h"

/* the table, of codes whose gen function changes nothing, so that operands can be seen as decoded */
static struct insn *plain_rows;

static void make_plain(void)
{
	plain_rows = calloc(insn_count, sizeof *plain_rows);
	memcpy(plain_rows, insn_table, insn_count * sizeof *plain_rows);
	for (unsigned i = 0; i < insn_count; i++)
		plain_rows[i].code = CODE_NONE;
	for (unsigned slot = 0; slot < 3 * MAPS * 256; slot++)
		for (struct isa_row *row = *isa_slot(isa, slot); row; row = row->next)
			row->insn = &plain_rows[row->insn - insn_table];
}

/* ---- names ---- */

/* Names that Zydis spells otherwise; where it has several, it distinguishes by size what we do not. */
static const struct { const char *ours, *theirs; } names[] = {
	{ "cbw", "cbw cwde cdqe" }, { "cwd", "cwd cdq cqo" }, { "jcxz", "jcxz jecxz jrcxz" },
	{ "movs", "movsb movsw movsd movsq" }, { "cmps", "cmpsb cmpsw cmpsd cmpsq" },
		{ "stos", "stosb stosw stosd stosq" },
	{ "lods", "lodsb lodsw lodsd lodsq" }, { "scas", "scasb scasw scasd scasq" }, { "ins", "insb insw insd" },
	{ "outs", "outsb outsw outsd" }, { "pusha", "pusha pushad" }, { "popa", "popa popad" },
		{ "pushf", "pushf pushfd pushfq" },
	{ "popf", "popf popfd popfq" }, { "iret", "iret iretd iretq" }, { "je", "jz" }, { "jne", "jnz" },
		{ "jae", "jnb" }, { "ja", "jnbe" },
	{ "jge", "jnl" }, { "jg", "jnle" }, { "sete", "setz" }, { "setne", "setnz" }, { "setae", "setnb" },
		{ "seta", "setnbe" },
	{ "setge", "setnl" }, { "setg", "setnle" }, { "cmove", "cmovz" }, { "cmovne", "cmovnz" },
		{ "cmovae", "cmovnb" },
	{ "cmova", "cmovnbe" }, { "cmovge", "cmovnl" }, { "cmovg", "cmovnle" },
		{ "nop", "nop prefetch prefetchw prefetchwt1 xchg" },
	{ "fneni", "feni8087_nop" }, { "fndisi", "fdisi8087_nop" }, { "fnsetpm", "fsetpm287_nop" },
		{ "fxsave", "fxsave64" },
	{ "fxrstor", "fxrstor64" }, { "xsave", "xsave64" }, { "xrstor", "xrstor64" }, { "xsaveopt", "xsaveopt64" },
		{ "xsavec", "xsavec64" }, { "xsaves", "xsaves64" },
	/* newer hints */
	{ "prefetchrst2", "nop" }, { "prefetchit0", "nop" }, { "prefetchit1", "nop" },
	{ "rdssp", "rdsspd rdsspq" }, { "incssp", "incsspd incsspq" }, { "wrss", "wrssd wrssq" },
		{ "wruss", "wrussd wrussq" },
	{ "xrstors", "xrstors64" }, { "pfrsqrt", "pfsqrt" }, { "pfrcpit1", "pfcpit1" },
};

static bool same_name(const char *ours, const char *theirs)
{
	size_t len = strlen(theirs);

	if (!strcmp(ours, theirs))
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		const char *at = names[i].theirs;

		if (strcmp(names[i].ours, ours))
			continue;
		while ((at = strstr(at, theirs))) {
			if ((at == names[i].theirs || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
				return true;
			at += len;
		}
	}
	return false;
}

/* ---- operands ---- */

static int general(unsigned offset, unsigned size)
{
	unsigned n = offset / 8;

	switch (size) {
	case 1:
		return offset & 1 ? ZYDIS_REGISTER_AH + (int)n
		       : n < 4    ? ZYDIS_REGISTER_AL + (int)n
		       : n < 8    ? ZYDIS_REGISTER_SPL + (int)n - 4
				  : ZYDIS_REGISTER_R8B + (int)n - 8;
	case 2: return ZYDIS_REGISTER_AX + (int)n;
	case 4: return ZYDIS_REGISTER_EAX + (int)n;
	default: return ZYDIS_REGISTER_RAX + (int)n;
	}
}

static int address_register(unsigned offset, unsigned asize)
{
	return offset == 8 * RZERO ? ZYDIS_REGISTER_NONE : general(offset, asize);
}

static bool any_width(const struct dec *d);

/* Operand N, a register with number or offset REG. */
static bool same_register(const struct dec *d, unsigned n, unsigned reg, const ZydisDecodedOperand *z)
{
	unsigned kind = dec_kind(d, n);
	const struct operand *p = &d->row->operand[n];
	int want;

	if (z->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false;
	if (p->size == 'k')
		return (int)z->reg.value == ZYDIS_REGISTER_K0 + (int)reg;
	if (p->size == 'T')
		return (int)z->reg.value == ZYDIS_REGISTER_TMM0 + (int)reg;
	switch (kind) {
	case OPK_E: case OPK_R: case OPK_G: case OPK_Z: case OPK_B:
		want = general(reg, dec_size(d, n));
		break;
	case OPK_S: want = ZYDIS_REGISTER_ES + (int)reg; break;
	case OPK_C: want = ZYDIS_REGISTER_CR0 + (int)reg; break;
	case OPK_D: want = ZYDIS_REGISTER_DR0 + (int)reg; break;
	case OPK_P: case OPK_Q: case OPK_N: want = ZYDIS_REGISTER_MM0 + (int)reg; break;
	case OPK_ST: want = ZYDIS_REGISTER_ST0 + (int)reg; break;
	case OPK_FIXED:
		if (p->size == 's')
			want = ZYDIS_REGISTER_ES + p->reg;
		else if (p->size == 't')
			want = ZYDIS_REGISTER_ST0;
		else if (p->size == 'o')
			want = ZYDIS_REGISTER_XMM0;
		else
			want = general(8u * p->reg, dec_size(d, n));
		break;
	default: /* vectors */
		return (int)z->reg.value == ZYDIS_REGISTER_XMM0 + (int)reg ||
		       (d->vex && (int)z->reg.value == ZYDIS_REGISTER_YMM0 + (int)reg) ||
		       (d->evex && (int)z->reg.value == ZYDIS_REGISTER_ZMM0 + (int)reg);
	}
	if (any_width(d) && z->reg.value >= ZYDIS_REGISTER_AL && z->reg.value <= ZYDIS_REGISTER_R15)
		return ZydisRegisterGetId(z->reg.value) == (ZyanI8)(reg / 8);
	return (int)z->reg.value == want;
}

/* Zydis counts a whole cache line for CLFLUSH, and 32 bits for MOVSXD r16, r/m16 (SDM vol. 2, MOVSXD: 16). */
static bool any_size(const struct dec *d)
{
	return !strncmp(d->row->insn->mnemonic, "cl", 2) || !strcmp(d->row->insn->mnemonic, "movsxd");
}

static bool same_memory(const struct dec *d, const struct op *o, unsigned n, const ZydisDecodedOperand *z)
{
	u8 size = d->row->operand[n].size;

	if (z->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return false;
	/* Of VCOMPRESSPS and the like, Zydis thinks of all that may be accessed. */
	if (d->vex && size == 'x' && z->size != 8 * dec_size(d, n) && !(d->evex && d->row->insn->tuple == TUPLE_T1))
		return false;
	if (size && !strchr("psx", size) && !any_size(d) && z->size != 8 * dec_size(d, n))
		return false;
	if (o->base == 8 * RIP)
		return z->mem.base == ZYDIS_REGISTER_RIP || z->mem.base == ZYDIS_REGISTER_EIP;
	if (d->row->insn->vsib) /* a vector is the index, and its number and scale are in imm */
		return (int)z->mem.base == address_register(o->base, d->asize) && z->mem.scale == 1u << (o->imm8 >> 5) &&
		       ((int)z->mem.index == ZYDIS_REGISTER_XMM0 + (o->imm8 & 31) ||
			(int)z->mem.index == ZYDIS_REGISTER_YMM0 + (o->imm8 & 31) ||
			(int)z->mem.index == ZYDIS_REGISTER_ZMM0 + (o->imm8 & 31)) &&
		       (z->mem.disp.has_displacement ? z->mem.disp.value : 0) == o->disp;
	if ((int)z->mem.base != address_register(o->base, d->asize) ||
	    (int)z->mem.index != address_register(o->index, d->asize))
		return false;
	if (o->index != 8 * RZERO && z->mem.scale != 1u << (o->scale & 3))
		return false;
	return (z->mem.disp.has_displacement ? z->mem.disp.value : 0) == o->disp;
}

static bool same_immediate(const struct dec *d, unsigned n, s64 imm, const ZydisDecodedOperand *z)
{
	unsigned size = dec_size(d, n) < d->osize ? d->osize : dec_size(d, n);

	if (z->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return false;
	if (dec_kind(d, n) == OPK_J)
		return z->imm.value.s == imm;
	if (z->size / 8u < size)
		size = z->size / 8u;
	return !((z->imm.value.u ^ (u64)imm) << (64 - 8 * size));
}

static bool same_operand(const struct dec *d, const struct op *o, unsigned n, const ZydisDecodedOperand *z)
{
	unsigned reg = n == 0 ? o->dst : o->src;

	switch (dec_kind(d, n)) {
	case OPK_I: case OPK_SI: case OPK_J:
		if (n > 0 && dec_kind(d, n - 1) == OPK_I) /* the second of two */
			return same_immediate(d, n, o->imm >> 16, z);
		return same_immediate(d, n, d->vex ? d->imm : o->imm, z);
	case OPK_O:
		return z->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		       !(((u64)z->mem.disp.value ^ (u64)o->imm) << (64 - 8 * d->asize));
	case OPK_A:
		return z->type == ZYDIS_OPERAND_TYPE_POINTER && z->ptr.segment == (u16)(o->imm >> 32) &&
		       z->ptr.offset == (u32)o->imm;
	case OPK_X: case OPK_Y:
		return z->type == ZYDIS_OPERAND_TYPE_MEMORY && z->size == 8 * dec_size(d, n);
	case OPK_L:
		return true;
	case OPK_FIXED:
		if (d->row->operand[n].size == 0)
			return z->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && z->imm.value.u == 1;
		return same_register(d, n, 0, z);
	case OPK_H: case OPK_B:
		return same_register(d, n, o->third, z);
	default:
		/* CL, where the decoder has put it over the register of ModRM.reg */
		if (n == 1 && dec_kind(d, 2) == OPK_FIXED)
			reg = 8 * ((d->modrm >> 3 & 7) | (d->rex & 4) << 1);
		return dec_is_mem(d, n) ? same_memory(d, o, n, z) : same_register(d, n, reg, z);
	}
}

static bool is_hint(const struct dec *d)
{
	const char *name = d->row->insn->mnemonic;

	return !strcmp(name, "nop") || !strcmp(name, "prefetchrst2") || !strncmp(name, "prefetchit", 10);
}

/* Register operands that the manual and Zydis write in another width than the table: the number counts. LAR and LSL
 * look at 16 bits of the source, MOV to and from CR and DR and the others take what the mode has. */
static bool any_width(const struct dec *d)
{
	static const char *const names_of[] = { "lar", "lsl", "rdpid", "invpcid", "movmskps", "movmskpd", "movdir64b",
					   "vmread", "vmwrite", "invept", "invvpid", "umonitor", "enqcmd", "enqcmds",
					   "senduipi" };

	for (unsigned i = 0; i < 2; i++)
		if (dec_kind(d, i) == OPK_C || dec_kind(d, i) == OPK_D)
			return true;
	for (unsigned i = 0; i < ARRAY_LEN(names_of); i++)
		if (!strcmp(d->row->insn->mnemonic, names_of[i]))
			return true;
	return false;
}

static bool is_string(const struct dec *d)
{
	unsigned a = dec_kind(d, 0), b = dec_kind(d, 1);

	return a == OPK_X || a == OPK_Y || b == OPK_X || b == OPK_Y;
}

/* SDM vol. 2, VCVTSI2SD and the like: outside of 64-bit mode EVEX.W is ignored. Zydis knows no such form. */
static bool ignores_w(const struct dec *d)
{
	bool w = false;

	for (unsigned n = 0; n < d->row->operands; n++)
		w |= d->row->operand[n].size == 'y';
	return d->evex && d->bits != 64 && d->rex & 8 && w;
}

/* What Zydis 4.0 does not know yet. */
static bool is_newer(const struct dec *d)
{
	enum feature f = d->row->insn->since;

	return f == F_AVX_IFMA || f == F_AVX_VNNI_INT8 || f == F_AVX_VNNI_INT16 || f == F_CMPCCXADD || f == F_RAO_INT ||
	       f == F_MOVRS || f == F_WRMSRNS || f == F_MSRLIST || f == F_USER_MSR || f == F_LKGS || f == F_SHA512 ||
	       f == F_SM3 || f == F_SM4 || f == F_AVX_NE_CONVERT || f == F_AMX_COMPLEX || f == F_AMX_TF32 ||
	       f == F_AMX_MOVRS || f == F_FRED || f == F_APX || f == F_AVX10_2 ||
	       f == F_AMX_AVX512 || f == F_AMX_FP8;
}

/* Registers that do not exist: here the table says yes, and the body #UD. */
static bool body_says(const struct dec *d)
{
	unsigned reg = d->modrm >> 3 & 7;

	for (unsigned i = 0; i < 2; i++)
		if (dec_kind(d, i) == OPK_C || dec_kind(d, i) == OPK_D)
			return true;
	return dec_kind(d, 1) == OPK_S && reg > 5;
}

/* The COUNT operands at Z without the mask register, which Zydis counts; how many there are. -1: another mask. */
static int without_mask(const struct dec *d, ZydisDecodedOperand *z, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (z[i].encoding == ZYDIS_OPERAND_ENCODING_MASK) {
			if ((int)z[i].reg.value != ZYDIS_REGISTER_K0 + d->k)
				return -1;
			memmove(&z[i], &z[i + 1], (count - i - 1) * sizeof *z);
			return (int)count - 1;
		}
	return (int)count;
}

/* What Zydis writes. */
static struct written written_by(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
	struct written w = { 0 };

	for (unsigned i = 0; i < z->operand_count; i++) {
		ZydisRegisterClass class = ZydisRegisterGetClass(op[i].reg.value);
		unsigned id = (unsigned)ZydisRegisterGetId(op[i].reg.value);

		if (!(op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			w.memory |= i < z->operand_count_visible;
		else if (op[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		else if (class == ZYDIS_REGCLASS_GPR8) /* AH to BH are 4 to 7 there, SPL is 8 */
			w.general |= 1u << (id < 4 ? id : id - 4);
		else if (class >= ZYDIS_REGCLASS_GPR16 && class <= ZYDIS_REGCLASS_GPR64)
			w.general |= 1u << id;
		else if (class >= ZYDIS_REGCLASS_XMM && class <= ZYDIS_REGCLASS_ZMM)
			w.vectors |= 1u << id;
		else if (class == ZYDIS_REGCLASS_MASK)
			w.masks |= 1u << id;
	}
	return w;
}

/* Zydis lists none of the registers of a saved state, and not what an exit from a guest brings along. */
static bool writes_the_same(const struct dec *d, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
	struct written ours = operands_written(d), theirs = written_by(z, op);

	if (!strcmp(d->row->insn->mnemonic, "uiret")) /* of which Zydis lists nothing */
		theirs.general |= 1u << RSP;
	return ours.general == theirs.general && ours.memory == theirs.memory &&
	       (d->row->insn->implied & IMPLIED_VECTORS ||
		(ours.vectors == theirs.vectors && ours.masks == theirs.masks));
}

/* ---- one encoding ---- */

/* What the two disagree about in the 15 bytes at CODE, or NULL. D->row: what it is for us, NULL if nothing; *THEIRS:
 * NULL if it is nothing for Zydis. */
static const char *disagreement(const ZydisDecoder *decoder, unsigned bits, const u8 *code, struct dec *d,
	ZydisDecodedInstruction *z,
                                const ZydisDecodedInstruction **theirs)
{
	u64 mode = bits == 64 ? MODE_64 | MODE_LONG | MODE_PE : (bits == 32 ? MODE_32 : MODE_16) | MODE_PE;
	ZydisDecodedOperand zop[ZYDIS_MAX_OPERAND_COUNT];
	struct op o;
	int visible;

	*theirs = NULL;
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, code, 15, z, zop)))
		*theirs = z;
	if (decode(isa, &everything, mode | MODE_OSFXSR | MODE_OSXSAVE | MODE_AVX | MODE_AVX512, code, 15, d, &o) !=
	    DECODE_OK) {
		d->row = NULL;
		return *theirs ? "we have nothing" : NULL;
	}
	if (!*theirs)
		return body_says(d) || ignores_w(d) || is_newer(d) ? NULL : "Zydis has nothing";
	if (d->len != z->length)
		return "length";
	if (!same_name(d->row->insn->mnemonic, ZydisMnemonicGetString(z->mnemonic)))
		return "name";
	/* Zydis shows none, or one more. */
	if (!strcmp(d->row->insn->mnemonic, "fucomp") || is_hint(d) || (is_string(d) && !z->operand_count_visible))
		return NULL;
	if (!writes_the_same(d, z, zop))
		return "written registers";
	visible = without_mask(d, zop, z->operand_count_visible);
	if (visible < 0)
		return "mask";
	if (!strncmp(d->row->insn->mnemonic, "vpermil2", 8)) /* the lowest bits of the immediate */
		visible--;
	if (d->row->operands != visible && d->row->operands)
		return "number of operands";
	for (unsigned n = 0; n < d->row->operands && n < (unsigned)visible; n++)
		if (!same_operand(d, &o, n, &zop[n]))
			return n == 0 ? "operand 1" : n == 1 ? "operand 2" : "operand 3 or 4";
	return NULL;
}

#endif
