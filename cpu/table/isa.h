/* SPDX-License-Identifier: MIT */
/* The instruction table compiled for one model: what insn.def's strings mean, as numbers. */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include "cpu/system/model.h"
#include "cpu/table/code.h"

struct cpu;
struct op;
struct dec;

/* Checks that the engine makes before the body of a row that asks for them with .check (SDM vol. 2, "exceptions" of each): those that the mode decides once,
 * in the order that fixed_checks() in decode.c has, then the others, each time (guard.c). */
enum {
	CHK_PROT = 1,      /* #UD in real and virtual-8086 mode */
	CHK_NO64 = 2,      /* (set by .modes) */
	CHK_UMIP = 4,      /* #GP(0) at CPL > 0 with CR4.UMIP */
	CHK_CPL0 = 8,      /* #GP(0) at CPL > 0 (and in V86 mode) */
	CHK_FPU = 0x10,    /* #NM with CR0.EM or TS */
	CHK_WAIT = 0x20,   /* #NM with CR0.MP and TS */
	CHK_MMX = 0x40,    /* #UD with EM, #NM with TS; each time: #MF if an x87 exception is pending */
	CHK_SSE = 0x80,    /* #UD with EM or without OSFXSR, #NM with TS */
	CHK_AVX = 0x100,   /* #UD without OSXSAVE and XCR0[2:1], #NM with TS; #UD in real and V86 mode */
	CHK_XSAVE = 0x200, /* #UD without OSXSAVE; #NM with TS */
	CHK_FSGSBASE = 0x400, /* #UD without CR4.FSGSBASE */
	CHK_IOPL = 0x800,  /* each time: #GP(0) at CPL > IOPL, but with PVI (at CPL 3) or VME (in V86 mode) */
	CHK_V86IOPL = 0x1000, /* each time: #GP(0) in V86 mode with IOPL < 3, but for 16 bits with VME */
	CHK_V86INT = 0x2000, /* each time: the same without VME, whatever the size */
	CHK_TSD = 0x4000,  /* #GP(0) at CPL > 0 with CR4.TSD */
	CHK_PCE = 0x8000,  /* #GP(0) at CPL > 0 without CR4.PCE */
	CHK_MF = 0x10000,  /* each time: #MF first if an x87 exception is pending (waiting x87 instructions) */
	CHK_RING0 = 0x20000, /* #UD at CPL > 0 */
	CHK_SMM = 0x40000, /* each time: #UD outside of system management mode */
	CHK_SCE = 0x80000, /* #UD without EFER.SCE, unless FRED transitions are enabled */
	CHK_SEP = 0x100000, /* each time: #GP(0) in real mode, and if IA32_SYSENTER_CS is null, but with FRED */
	CHK_OSXSAVE = 0x200000, /* #UD without CR4.OSXSAVE */
	CHK_VMX = 0x800000,  /* each time: #UD outside of VMX operation and in compatibility mode, VM exit of a guest, #GP(0) at CPL > 0 */
	CHK_PKE = 0x400000, /* #UD without CR4.PKE */
	CHK_LEGACY = 0x1000000, /* #UD in IA-32e mode */
	CHK_SVM = 0x2000000, /* #UD without EFER.SVME */
	CHK_AVX512 = 0x4000000, /* as CHK_AVX, and #UD without XCR0[7:5] */
	CHK_GUEST = 0x8000000, /* #UD outside of VMX non-root operation */
	CHK_SHSTK = 0x10000000, /* #UD unless shadow stacks are enabled at the CPL */
	CHK_CET = 0x20000000, /* #UD without CR4.CET */
	CHK_FRED = 0x40000000, /* #UD unless FRED transitions are enabled */
	CHK_NO_FRED = 0x80000000, /* #UD if they are */
};

enum { ALIGN_LENGTH = 1, ALIGN_MOVE = 2 /* 16 bytes, also with MXCSR.MM */, ALIGN_16 = 16 };
/* Of EVEX rows: how many bytes an operand in memory has, by which an 8-bit displacement is multiplied (SDM vol. 2,
 * 2.7.5). */
enum { TUPLE_NONE, TUPLE_FV /* the vector's length; an element may be broadcast */, TUPLE_HV /* half of it */,
       TUPLE_QV /* a quarter */, TUPLE_FVM /* as FV to QV, no broadcast */, TUPLE_HVM, TUPLE_QVM,
       TUPLE_OVM /* an eighth */, TUPLE_T1 /* one element */, TUPLE_T2, TUPLE_T4, TUPLE_T8, TUPLE_M128, TUPLE_DUP /* MOVDDUP: 8, 32, 64 */ };
enum { ROUNDING_SAE = 1 /* EVEX.b with registers: no exceptions */, ROUNDING_ER /* and rounding as EVEX.L'L says */ };
enum { MASKING_ANY /* merging and, where the destination is a vector register, zeroing */,
       MASKING_NONE /* only k0 */, MASKING_MUST /* k0 is #UD */ };
enum { MODES_ALL = 0, NO64 = 1, ONLY64 = 2 };
enum { TAKES_NOTHING, TAKES_BASE, TAKES_SRC }; /* op.base, op.src */
/* What an instruction of APX does beside what its body says: the first operand gets the result of the others, and all
 * of a register is written; all of the destination is written, if it is a register; as with that, but it moves, or
 * clears the destination, and without the condition it does not access memory; it compares, or sets the flags that
 * EVEX.vvvv has. */
enum { APX_PLAIN, APX_NDD, APX_ZU, APX_MOVES, APX_COMPARES };

enum pg_class { INNOCUOUS, PRIVILEGED, CONTROL, BEHAVIOUR }; /* Popek and Goldberg: see popek.h */

/* System resources, for .reads and .writes. */
enum {
	SR_CR0 = 1, SR_CR2 = 2, SR_CR3 = 4, SR_CR4 = 8, SR_CR8 = 0x10, SR_DR = 0x20, SR_GDTR = 0x40, SR_IDTR = 0x80,
		SR_LDTR = 0x100,
	SR_TR = 0x200, SR_MSR = 0x400, SR_IF = 0x800, SR_IOPL = 0x1000, SR_CPL = 0x2000, SR_SEG = 0x4000,
	SR_IO = 0x8000, SR_TSC = 0x10000,
	SR_XCR0 = 0x20000, SR_TLB = 0x40000, SR_CACHE = 0x80000, SR_ACTIVITY = 0x100000, SR_DESC = 0x200000,
	SR_FSGSBASE = 0x400000,
	SR_TASK = 0x800000, SR_RAND = 0x1000000, SR_CPUID = 0x2000000,
	SR_AC = 0x4000000 /* EFLAGS.AC: SMAP looks at it */,
	SR_APIC = 0x8000000, /* IA32_APIC_BASE. SR_XCR0 is CR4.OSXSAVE, too. */
	SR_VMX = 0x10000000, /* VMX operation, the current VMCS; the GIF */
};

/* VM exits that the engine knows, by basic reason (SDM vol. 3, appendix C): an exit has its number, or 0, which is for exceptions and so no row's. */
#define VMEXITS(X) \
	X(INTR, 1) X(TRIPLE_FAULT, 2) X(INIT, 3) X(SIPI, 4) X(INTR_WINDOW, 7) X(NMI_WINDOW, 8) X(TASK_SWITCH, 9) \
	X(CPUID, 10) X(HLT, 12) X(INVD, 13) X(INVLPG, 14) X(RDPMC, 15) X(RDTSC, 16) X(RSM, 17) X(VMCALL, 18) \
	X(VMCLEAR, 19) X(VMLAUNCH, 20) X(VMPTRLD, 21) X(VMPTRST, 22) X(VMREAD, 23) X(VMRESUME, 24) X(VMWRITE, 25) \
	X(VMXOFF, 26) X(VMXON, 27) X(CR_ACCESS, 28) X(DR_ACCESS, 29) X(IO, 30) X(RDMSR, 31) X(WRMSR, 32) \
	X(MWAIT, 36) X(TRAP_FLAG, 37) X(MONITOR, 39) X(PAUSE, 40) X(TPR, 43) X(APIC_ACCESS, 44) X(VIRTUAL_EOI, 45) X(ENTRY_STATE, 33) X(ENTRY_MSR, 34) X(GDTR_IDTR, 46) X(LDTR_TR, 47) \
	X(EPT_VIOLATION, 48) X(EPT_MISCONFIGURATION, 49) X(INVEPT, 50) X(RDTSCP, 51) X(TIMER, 52) X(INVVPID, 53) X(WBINVD, 54) X(XSETBV, 55) X(APIC_WRITE, 56) X(RDRAND, 57) \
	X(INVPCID, 58) X(VMFUNC, 59) X(RDSEED, 61) X(PML, 62) X(XSAVES, 63) X(XRSTORS, 64) \
	X(UMWAIT, 67) X(TPAUSE, 68) X(ENQCMD, 72) X(ENQCMDS, 73) X(BUS_LOCK, 74) X(TIMEOUT, 75) X(RDMSRLIST, 78) X(WRMSRLIST, 79) X(URDMSR, 80) X(UWRMSR, 81)
enum vmexit {
	VMEXIT_EXCEPTION = 0,
#define X(name, reason) VMEXIT_##name = reason,
	VMEXITS(X)
#undef X
};

/* Intercepts of instructions that SVM has, with their exit codes (APM vol. 2, appendix C). To those of CR and DR the
 * register's number is added; each row of the tables has its own. */
#define INTERCEPTS(X) REGISTER_INTERCEPTS(X) INSTRUCTION_INTERCEPTS(X)
#define REGISTER_INTERCEPTS(X) X(CR_READ, 0x00) X(CR_WRITE, 0x10) X(DR_READ, 0x20) X(DR_WRITE, 0x30)
#define INSTRUCTION_INTERCEPTS(X) \
	X(IDTR_READ, 0x66) X(GDTR_READ, 0x67) \
	X(LDTR_READ, 0x68) X(TR_READ, 0x69) X(IDTR_WRITE, 0x6a) X(GDTR_WRITE, 0x6b) X(LDTR_WRITE, 0x6c) \
	X(TR_WRITE, 0x6d) X(RDTSC, 0x6e) X(RDPMC, 0x6f) X(PUSHF, 0x70) X(POPF, 0x71) X(CPUID, 0x72) X(RSM, 0x73) \
	X(IRET, 0x74) X(SWINT, 0x75) X(INVD, 0x76) X(PAUSE, 0x77) X(HLT, 0x78) X(INVLPG, 0x79) X(INVLPGA, 0x7a) \
	X(IOIO, 0x7b) X(MSR, 0x7c) X(VMRUN, 0x80) X(VMMCALL, 0x81) X(VMLOAD, 0x82) X(VMSAVE, 0x83) X(STGI, 0x84) \
	X(CLGI, 0x85) X(RDTSCP, 0x87) X(ICEBP, 0x88) X(WBINVD, 0x89) X(MONITOR, 0x8a) X(MWAIT, 0x8b) \
	X(XSETBV, 0x8d) X(RDPRU, 0x8e) X(INVLPGB, 0xa0) X(INVPCID, 0xa2) X(MCOMMIT, 0xa3) X(TLBSYNC, 0xa4)
enum intercept {
	INTERCEPT_NONE,
#define X(name, code) INTERCEPT_##name,
	INTERCEPTS(X)
#undef X
};

/* The choice of a handler: a code's gen function sets op->run from the decoded instruction. */
typedef void gen_fn(const struct dec *d, struct op *o);
extern gen_fn *const insn_gen[CODES];

enum { CONDITION_JUMP = 1 /* Jcc */, CONDITION_MOVE /* CMOVcc */ };

/* .sets and .implied */
enum { SETS_NONE = 0x80 };
enum { GPR_AX = 1, GPR_CX = 2, GPR_DX = 4, GPR_BX = 8, GPR_SP = 0x10, GPR_BP = 0x20, GPR_SI = 0x40, GPR_DI = 0x80,
	GPR_R11 = 0x800, GPR_ALL = 0xff, IMPLIED_XMM0 = 0x10000, IMPLIED_VECTORS = 0x20000 /* all */ };

/* A row of insn.def. */
struct insn {
	const char *mnemonic, *encoding, *operands;
	enum feature since;
	enum code code;
	u32 flags, uses, undef;  /* EFLAGS written (incl. undefined), read, undefined after */
	u32 check;
	u8 until;                /* enum feature: the generation that does not have it any more; 0: all later ones have it */
	u8 also;                 /* enum feature: with that, a model has it without `since', too; 0: none */
	u8 maker;                /* INTEL, AMD: only their processors have it; 0: all */
	u8 modes;                /* NO64, ONLY64 */
	u8 wide;                 /* enum feature: what VEX.256 needs in place of `since'; 0: the same */
	u8 align;                /* memory operand must be so aligned (#GP): 16 bytes, or the vector's length (ALIGN_*) */
	u8 unaligned;            /* INTEL, AMD: their processors do not ask for .align */
	u8 no_w;                 /* INTEL, AMD: with REX.W their processors have an operand of 32 bits */
	bool no_rex2;            /* REX2 is #UD */
	bool sib;                /* a memory operand needs SIB */
	bool vsib;               /* the index is a vector register: o->imm = its number | scale << 5 */
	/* of EVEX rows */
	u8 tuple;                /* TUPLE_FV ... */
	/* bytes of an element of the last source, and of the destination, which is what masks choose. 0: FROM by W, 4
	 * or 8; TO as FROM */
	u8 from, to;
	u8 rounding, masking;    /* ROUNDING_SAE ..., MASKING_NONE ... */
	/* of EVEX rows of APX */
	u8 with;                 /* enum feature: what a model must have beside `since'; 0: nothing */
	u8 form;                 /* APX_* */
	bool nf;                 /* EVEX.NF may be 1: then it writes no flags */
	bool distinct;           /* the destination must be no source */
	bool no_rsp;             /* neither operand may be RSP */
	/* INTEL, AMD: to their processors a memory operand is whole, whatever the mask says */
	u8 whole;
	bool lock;               /* LOCK is allowed with a memory destination */
	u8 lock_ignored;         /* INTEL, AMD: it means nothing to their processors */
	/* AMD's processors of this family and later: LOCK is #UD in spite of that; F2h and F3h are #UD. 0: of none */
	u8 lock_family, rep_family;
	bool rep;                /* REP, REPE, REPNE mean something */
	bool over;               /* wins over a later row with the same key (NOP over XCHG) */
	bool last;               /* every other row with the same key wins over it. At the end of the table. */
	bool d64;                /* operand size is 64 bits in 64-bit mode (push, near branches), 66h gives 16 */
	bool f64;                /* the same, but Intel's processors ignore 66h */
	bool ends;               /* control flow or mode may change: the block ends after it */
	bool pure;               /* cannot fault, stop or look at flags it does not declare: for dead-flag removal. Set for register forms only. */
	bool gives;              /* its result in a register can go to the next operation without a way through memory */
	u8 takes;                /* TAKES_*: which operand of the register form (LEA: of its address) may come from the operation before */
	bool commutes;           /* with two registers, the sources may change places */
	bool port;               /* each access to its port asks io_allowed(): IOPL, and the TSS's map, which the access before may have changed */
	bool quiet;              /* whatever its operands, it reads memory or a device and changes general registers, EFLAGS and RIP, nothing else. Of .pure and .condition
	                          * wait.c knows it. */
	bool loads;              /* of the memory form with a base alone the base may come from there */
	bool fuse;               /* may be one step with a conditional jump or move behind it: fused.def */
	u8 sets;                 /* the operands that it may write: bit 0 is the first [the first]; SETS_NONE */
	u32 implied;             /* registers that it may write beside these: GPR_*, IMPLIED_*. operand.c adds those of
	                          * string instructions */
	bool copies;             /* the first operand becomes the last one, cut or extended (CMOVcc: or not); of PUSH
	                          * and POP one is on the stack */
	u8 condition;            /* CONDITION_*: opcode bits 3-0 are its condition (condition.h) */
	bool by_count;           /* shifts and rotates by a constant: of 0 they change nothing, flags included */
	u32 reads, writes;       /* SR_* */
	u8 pg;                   /* enum pg_class */
	u32 inner;               /* of .writes: what it changes at CPL 0 to 2 only (privilege can only be given up) */
	u8 vmexit;               /* VMEXIT_*: the VM exit that it may cause, in VMX non-root operation */
	u8 intercept;            /* INTERCEPT_*: by which it may exit from a guest of SVM */
};

/* The operands that I may write, a bit each. */
static inline unsigned insn_sets(const struct insn *i) { return i->sets ? i->sets & (SETS_NONE - 1) : 1; }

static inline bool insn_in(const struct insn *i, const struct model *m)
{
	return (has(m, i->since) || (i->also && has(m, (enum feature)i->also))) &&
	       (!i->with || has(m, (enum feature)i->with)) &&
	       !(i->until && has(m, (enum feature)i->until)) && (!i->maker || i->maker >> m->maker & 1);
}

/* An operand, from its SDM letter: kind and size code. */
enum operand_kind {
	OPK_NONE, OPK_E /* r/m general */, OPK_G, OPK_M /* memory only */, OPK_R /* rm must be a register */, OPK_I,
		OPK_SI /* sign-extended imm8 */, OPK_J, OPK_O /* moffs */,
	OPK_A /* far pointer */, OPK_S /* segment register in reg */, OPK_C, OPK_D, OPK_X, OPK_Y,
	OPK_Z /* register in opcode bits 0-2 */,
	OPK_V /* xmm in reg */, OPK_W /* xmm/mem */, OPK_U /* xmm in rm */, OPK_P /* mmx in reg */, OPK_Q /* mmx/mem */,
	OPK_N /* mmx in rm */,
	OPK_H /* VEX.vvvv xmm */, OPK_B /* VEX.vvvv general */, OPK_L /* xmm in imm8[7:4] */, OPK_ST /* st(i) in rm */,
	OPK_FIXED /* a named register or 1 */,
};
struct operand { u8 kind, size /* 'b' 'w' 'd' 'q' 'v' 'z' 'y' 'p' 's' 'x' ('o' = 16 bytes) 't' = 10 bytes, 0 none */,
	reg; };

/* The kinds of an instruction's one or two operands: register, memory, immediate. FORM_OTHER: there are more, or others. */
enum form { FORM_OTHER, FORM_R, FORM_M, FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI };

struct isa_row { /* compiled */
	const struct insn *insn;
	u64 mask, match;         /* over the decode key */
	u8 map;                  /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A, 4: 0F0F, whose opcode stands behind the operand; 5, 6: EVEX's; 7: REX2's; 8 to 10: XOP's; 11: APX's */
	u8 opcode, opcode_mask;
	bool vex, evex, modrm, enabled; /* EVEX rows are VEX rows, too */
	u8 operands;
	struct operand operand[5];
	u8 form[2];              /* enum form: with r/m a register, memory */
	struct isa_row *inner;   /* with a new destination: the row without it */
	struct isa_row *next;    /* same map and opcode */
};

/* The decode key:
 *    modrm 0-7 | mem 8 (mod != 3) | pp 9-10 (0, 1 = 66, 2 = F3, 3 = F2) | W 11 | L 12 | 64-bit mode 13 | vex 14 | operand size is 16: 15 | L' 16 |
 *    EVEX of APX: ND 17, NF 18 */
enum { KEY_MODRM = 0xff, KEY_MEM = 1 << 8, KEY_PP = 3 << 9, KEY_PP_HIGH = 2 << 9, KEY_W = 1 << 11, KEY_L = 1 << 12, KEY_64 = 1 << 13,
	KEY_VEX = 1 << 14, KEY_O16 = 1 << 15, KEY_L2 = 1 << 16, KEY_ND = 1 << 17, KEY_NF = 1 << 18 };

enum { MAP_3DNOW = 4, MAP_REX2 = 7 /* what REX2 alone has, of one byte */, MAP_XOP = 8 /* to 10 */,
	MAP_APX = 11 /* EVEX's map 4 */, MAPS };

struct isa {
	struct isa_row *rows;
	unsigned count;
	struct isa_row *index[MAPS][256]; /* [map][opcode]: enabled rows, in table order */
	struct isa_row *vex_index[MAPS][256];
	struct isa_row *evex_index[MAPS][256];
};

extern const struct insn insn_table[];
extern const unsigned insn_count;

/* Compile the table for MODEL. NULL: out of memory, or *WHICH names a row whose encoding does not parse (a bug of the table; tested). */
struct isa *isa_new(const struct model *model, const struct insn **which);
void isa_free(struct isa *isa);
/* Do two compiled rows share a key? Both must have the same map and VEX-ness. */
bool isa_overlap(const struct isa_row *a, const struct isa_row *b);

#endif
