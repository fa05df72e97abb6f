/* SPDX-License-Identifier: MIT */
/* Which difference between the makers (makers.h) may lie behind what a trial shows. */
#include <stdio.h>
#include "tests/silicon/trial.h"

static const struct { const char *instructions, *intel, *amd; } text[DIFF_COUNT] = {
#define X(id, instructions, intel, amd) { instructions, intel, amd },
	DIFFERENCES(X)
#undef X
};

void makers_print(const u64 *count)
{
	printf("| instructions | Intel | AMD | stepped over |\n|---|---|---|---|\n");
	for (unsigned i = 0; i < DIFF_COUNT; i++)
		printf("| %s | %s | %s | %llu |\n", text[i].instructions, text[i].intel, text[i].amd,
		       (unsigned long long)count[i]);
}

static bool begins(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

static bool any_of(const char *name, const char *names)
{
	char word[40];

	snprintf(word, sizeof word, " %.31s ", name);
	return strstr(names, word);
}

static bool is_fault(const struct state *s) { return s->vector >= VEC_TS && s->vector <= VEC_PF; }

/* PUSHA of 32 bits goes furthest. LEAVE and ENTER have the frame's pointer. */
static bool stack_is_at_4g(const struct trial *t)
{
	return (u32)t->in.r[RSP] + 32u < 64 || (u32)t->in.r[RBP] + 32u < 64;
}

static bool one_in(const struct trial *t, const struct dec *d, const struct state *host, const struct state *here,
		   enum difference what)
{
	const struct insn *insn = d->row->insn;
	const char *name = insn->mnemonic;
	bool vector = insn->check & (CHK_SSE | CHK_AVX), faults = is_fault(host) || is_fault(here), rex_w = d->rex & 8;
	bool segment = insn->operands[0] && strstr(" ES CS SS DS FS GS ", insn->operands);

	switch (what) {
	case DIFF_NEAR_66:
		return t->bits == 64 && d->opsize_prefix && (insn->ends || name[0] == 'j' || begins(name, "loop")) &&
		       !strchr(insn->operands, 'p');
	case DIFF_VECTOR_AC: return (host->vector == VEC_AC) != (here->vector == VEC_AC) && vector && d->mem;
	case DIFF_SHA_ALIGNMENT: return begins(name, "sha") && d->mem && here->vector == VEC_GP;
	case DIFF_MXCSR_MM: return any_of(name, " ldmxcsr vldmxcsr fxrstor xrstor ") &&
		(host->f.mxcsr & 1 << 17 || here->vector == VEC_GP);
	case DIFF_GATHER_FAULT: return insn->vsib && is_fault(host);
	case DIFF_FP_POINTERS: return any_of(name, " fxsave xsave xsavec xsaveopt fxrstor xrstor ");
	case DIFF_SEGMENT_PUSH: return begins(name, "push") && segment;
	case DIFF_SEGMENT_POP: return begins(name, "pop") && segment && (faults || host->vector == VEC_AC);
	case DIFF_FAR_REX_W: return t->bits == 64 && rex_w && strstr(insn->operands, "Mp");
	case DIFF_VEX_W: return any_of(name, " vpinsrd vpextrd vpinsrq vpextrq vpermq vpermpd ");
	case DIFF_PREFETCH_REGISTER: return d->map == 1 && d->opcode == 0x0d && !d->mem;
	case DIFF_FSCALE_TINY: return !strcmp(name, "fscale") && host->f.sw & ~here->f.sw & 0x10;
	case DIFF_X87_STORE: return any_of(name, " fist fistp fisttp fst fstp fbstp ") && d->mem &&
		(is_fault(host) || host->vector == VEC_AC);
	case DIFF_REP_67: return insn->rep && d->rep && d->addrsize_prefix && t->bits == 64;
	case DIFF_REP_FLAGS: return any_of(name, " cmps scas ") && d->rep && is_fault(host);
	case DIFF_WRAP_4G:
		return t->bits != 64 && faults &&
		(d->mem || strpbrk(insn->operands, "XY") /* of string instructions */ ||
						   ((host->vector == VEC_SS) != (here->vector == VEC_SS) &&
						   stack_is_at_4g(t)));
	case DIFF_DP_NAN: return any_of(name, " dpps dppd vdpps vdppd ");
	case DIFF_PS2PH: return !strcmp(name, "vcvtps2ph") && host->vector != VEC_BP;
	case DIFF_LOOP_REP: return any_of(name, " loope loopne ") && d->rep;
	case DIFF_PAUSE_REX_B: return d->map == 0 && d->opcode == 0x90 && d->rex & 1;
	case DIFF_INT1: return !strcmp(name, "int1");
	case DIFF_DOUBLE_SHIFT: return any_of(name, " shld shrd ") && d->osize == 2;
	case DIFF_MOVSXD_66: return !strcmp(name, "movsxd") && d->osize == 2;
	case DIFF_FAR_RETURN: return any_of(name, " ret iret ") && d->map == 0 && (d->opcode & 0xf0) == 0xc0 &&
		d->opcode > 0xc3 && faults;
	case DIFF_UD_OPERANDS: return any_of(name, " ud0 ud1 ") && is_fault(here) && host->vector == VEC_UD;
	case DIFF_ENTER_ORDER: return !strcmp(name, "enter") && is_fault(host) && is_fault(here);
	case DIFF_FS_OFFSET: return t->bits == 64 && d->mem && d->seg >= FS && d->seg <= GS && host->vector == VEC_GP;
	case DIFF_SYSRET_32: case DIFF_LOCK_CR8: case DIFF_LOCK_VERW: case DIFF_COUNT: break;
	}
	return false;
}

/* Bytes that are no instruction for the model. */
static int undecoded(const struct trial *t, const u8 *code)
{
	bool lock = false;

	for (; strchr("\x66\xf0\xf2\xf3", *code) && *code; code++)
		lock |= *code == 0xf0;
	if (t->bits == 64 && *code >> 4 == 4)
		code++;
	if (code[0] == 0xc4 && (code[1] & 31) == 3 && code[2] & 4 && code[3] <= 1)
		return DIFF_VEX_W;
	if (code[0] != 0x0f)
		return -1;
	switch (code[1]) {
	case 0x00: return lock && (code[2] >> 3 & 7) == 5 ? DIFF_LOCK_VERW : -1;
	case 0x05: case 0x07: return t->bits == 64 ? -1 : DIFF_SYSRET_32;
	case 0x20: case 0x22: return lock ? DIFF_LOCK_CR8 : -1;
	case 0xb9: case 0xff: return DIFF_UD_OPERANDS;
	default: return -1;
	}
}

int makers_difference(const struct trial *t, const struct state *host, const struct state *here)
{
	for (unsigned k = 0; k < t->count; k++) {
		struct dec d = { 0 };
		struct op o;

		if (guest_decode(t->bits, t->poke[0].bytes + t->start[k], t->poke[0].len - t->start[k], &d, &o) !=
			    DECODE_OK ||
		    here->vector == VEC_UD) {
			int i = undecoded(t, t->poke[0].bytes + t->start[k]);

			if (i >= 0)
				return i;
		}
		if (!d.row)
			continue;
		for (unsigned i = 0; i < DIFF_COUNT; i++)
			if (one_in(t, &d, host, here, (enum difference)i))
				return (int)i;
	}
	return -1;
}
