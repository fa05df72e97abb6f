/* SPDX-License-Identifier: MIT */
/* One instruction, decoded: what gen functions see. */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include "cpu/cpu.h"
#include "cpu/table/isa.h"

struct dec {
	const struct isa_row *row;
	const struct model *model;
	u64 mode;          /* MODE_* that it is decoded for */
	u8 bits;           /* 16, 32, 64 */
	u8 osize, asize;   /* bytes: 2, 4, 8 */
	u8 len;
	u8 map, opcode, modrm, rex /* 0 if none */, pp;
	bool notrack;      /* 3Eh is the last segment override that counts */
	u8 rep;            /* 0, 0xF2, 0xF3: the last of them */
	bool lock, opsize_prefix, addrsize_prefix, mem, has_modrm, vex, evex /* then VEX, too */;
	u8 vvvv, vex_l;    /* vex_l: 0, 1, 2: 128, 256, 512 bits */
	/* of EVEX: bit 4 of the numbers of ModRM.reg and of VSIB's index; mask register, zeroing, b, L'L as encoded */
	u8 reg_high, index_high, k, ll;
	bool zeroing, evex_b;
	/* of APX: REX2 was there; it is an instruction of map 4, or one that was promoted to EVEX. Bit 4 of the numbers
	 * of general registers in ModRM.reg, ModRM.rm or SIB's base, SIB's index */
	bool rex2, apx;
	u8 r4, b4, x4;
	/* It names R16 to R31, or is a form of APX: block.c makes an operation of it that runs O as a part
	 * (cpu/extended.h). The numbers of these registers, which O has in slots. */
	bool extended;
	u8 egprs, egpr[EGPR_SLOTS];
	u8 third;          /* the register that vvvv names, as in op.third */
	u8 sib;            /* if there is one */
	u8 seg;            /* ES..GS that a memory operand uses, overrides applied; FLAT where 64-bit mode ignores it */
	bool simple_ea;    /* 64-bit address size, segment FLAT: base + index * scale + disp is the linear address */
	bool flat_ea;      /* the same, cut to 32 bits, with 32-bit address size and a flat segment */
	bool no_index;     /* there is no index */
	s64 imm;
	bool raises;       /* a fixed check fails: the operation raises its fault, whatever the row says */
	/* Results of the passes (passes.c), by which gen functions choose handlers. */
	bool dead_flags;   /* nobody can see the flags that it writes, unless it ends the run (FINISH) */
	bool dead_behind;  /* nobody can see any of OSZAPC as they are behind it */
	bool forwarded;    /* its operand, or base, is the value that the operation before has just written */
	bool fused;        /* it does the conditional jump or move behind it, too */
};

/* Operand size in bytes of operand N ('v' etc. resolved). */
unsigned dec_size(const struct dec *d, unsigned n);
/* The register of operand N, as the operation that was decoded has it. */
u8 dec_place(const struct dec *d, unsigned n);
/* Bytes of an element of the last source of an EVEX instruction. */
unsigned dec_element(const struct dec *d);
static inline unsigned dec_kind(const struct dec *d, unsigned n) { return n < d->row->operands ? d->row->operand[n].kind
	: OPK_NONE; }
static inline bool dec_is_mem(const struct dec *d, unsigned n)
{
	unsigned k = dec_kind(d, n);

	return d->mem && (k == OPK_E || k == OPK_M || k == OPK_W || k == OPK_Q);
}

/* Bytes that an instruction may have. Before the 286 nothing limits them; EARLY_PREFIXES are taken together (decode.c).
 * */
enum { INSN_BYTES = 15, EARLY_PREFIXES = 32, EARLY_BYTES = EARLY_PREFIXES + INSN_BYTES };
static inline unsigned decode_window(const struct model *m) { return has(m, F_I286) ? INSN_BYTES : EARLY_BYTES; }

enum decode_result { DECODE_OK, DECODE_MORE /* bytes ran out */, DECODE_UD, DECODE_LONG /* over 15 bytes: #GP */ };

/* Decode up to LEN bytes at CODE for MODE. O is filled with operands; o->run is set by the row's gen. A row whose fixed
 * checks fail in MODE gets a handler that raises the fault. */
enum decode_result decode(const struct isa *isa, const struct model *model, u64 mode, const u8 *code, unsigned len,
			  struct dec *d, struct op *o);

/* What O raises in place of an instruction: #UD, #NM, #GP(0) and why. */
enum raise { RAISE_NONE, RAISE_UD, RAISE_NM, RAISE_GP_CPL /* privileged */, RAISE_GP_UMIP, RAISE_GP_TSD, RAISE_GP_PCE,
	RAISE_GP_LIMIT /* of the code segment */, RAISE_GP_LONG, RAISE_CP /* no ENDBR: cet.h */ };
void decode_fault(struct op *o, enum raise raise);

#endif
