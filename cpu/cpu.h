/* SPDX-License-Identifier: MIT */
/* One processor: its whole state, and the functions by which the files of cpu/ call each other.
 *
 *   isa.c     insn.def compiled for a model          block.c   the decode cache; mode.c: the modes of its keys
 *   decode.c  bytes to operations                    run.c     the loop around it: events, interrupts, exits
 *   page.c    page walks, the TLB                    memory.c  accesses that the TLB does not answer at once
 *   seg.c far.c intr.c task.c                        protected mode
 *   alu.c ... vec_int.c                              what instructions do: bodies (cpu/op.h says how they are written) */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdatomic.h>
#include "cpu/check.h"
#include "cpu/system/performance/lbr.h"
#include "cpu/system/model.h"
#include "cpu/system/performance/pmu.h"
#include "mem/base/bits.h"
#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

/* General registers by number; two more stand behind them, so that an effective address is always base + index * scale
 * + disp. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
       /* while a block runs: where it starts; RIP of an operation is r[RIP] + op->ip. Exact outside of blocks. */
       RIP,
       RZERO, /* always 0 */
       /* always 2^31: index of an address so far from RIP that its distance from the block does not fit in op->disp */
       R2GIB,
       REGISTERS,
       /* A byte offset of an operation has room for 32 registers. Those of APX are elsewhere (struct cpu, egpr); while
        * an instruction that names some of them runs, they are in slots, which begin here (cpu/extended.h). */
       EGPR_SLOT = 28, EGPR_SLOTS = 4,
       EGPR = 16, EGPRS = 16 /* R16 is the first of APX's */ };

enum { ES, CS, SS, DS, FS, GS, FLAT /* base 0, no limit: what 64-bit mode uses */, LDTR, TR, SEGMENTS };

/* EFLAGS bits (SDM vol. 1, 3.4.3) */
enum {
	FL_C = 1, FL_1 = 2, FL_P = 4, FL_A = 0x10, FL_Z = 0x40, FL_S = 0x80, FL_T = 0x100, FL_I = 0x200, FL_D = 0x400,
		FL_O = 0x800,
	FL_IOPL = 0x3000, FL_NT = 0x4000, FL_RF = 0x10000, FL_VM = 0x20000, FL_AC = 0x40000, FL_VIF = 0x80000,
	FL_VIP = 0x100000,
	FL_ID = 0x200000,
	OSZAPC = FL_O | FL_S | FL_Z | FL_A | FL_P | FL_C,
};

enum { CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 0x10, CR0_NE = 0x20, CR0_WP = 0x10000, CR0_AM = 0x40000,
       CR0_NW = 0x20000000, CR0_CD = 0x40000000 };
#define CR0_PG 0x80000000u
enum { CR4_VME = 1, CR4_PVI = 2, CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_MCE = 0x40,
	CR4_PGE = 0x80,
       CR4_PCE = 0x100, CR4_OSFXSR = 0x200, CR4_OSXMMEXCPT = 0x400, CR4_UMIP = 0x800, CR4_LA57 = 0x1000,
       CR4_VMXE = 0x2000,
       CR4_FSGSBASE = 0x10000, CR4_PCIDE = 0x20000, CR4_OSXSAVE = 0x40000, CR4_SMEP = 0x100000, CR4_SMAP = 0x200000,
       CR4_PKE = 0x400000, CR4_CET = 0x800000, CR4_PKS = 0x1000000, CR4_UINTR = 0x2000000, CR4_LASS = 0x8000000,
       CR4_LAM_SUP = 0x10000000 };
#define CR4_FRED ((u64)1 << 32)
#define CR3_LAM_U57 ((u64)1 << 61)
#define CR3_LAM_U48 ((u64)1 << 62)
enum { MISC_MONITOR = 1 << 18 }; /* of IA32_MISC_ENABLE: MONITOR and MWAIT are there */
enum { EFER_SCE = 1, EFER_LME = 0x100, EFER_LMA = 0x400, EFER_NXE = 0x800, EFER_SVME = 0x1000,
       EFER_FFXSR = 0x4000, EFER_TCE = 0x8000, EFER_MCOMMIT = 0x20000 };
enum { HWCR_MONITOR_OFF = 1 << 9 }; /* AMD: MONITOR and MWAIT are not there */

enum vector { VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_TS = 10, VEC_NP, VEC_SS,
	VEC_GP, VEC_PF,
              VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM, VEC_VE, VEC_CP };

/* A segment register with its hidden part. attr is bits 8-23 of the descriptor's second word, as VMX shows access
 * rights:
 *    16      15 14 13 12 11..8  7  6-5  4  3..0
 *    unusable G D/B L AVL  0    P  DPL  S  type */
struct seg {
	u64 base;
	u32 limit;      /* bytes, granularity applied: the last valid offset (expand-down: the last invalid one) */
	u32 attr;
	u16 sel;
	/* For the fast path: an access of SIZE at offset EA is allowed if EA + SIZE <= this. 0 sends every access to
	 * the slow path. */
	u64 read_end, write_end;
};
enum { SEG_A = 1, SEG_W = 2, SEG_E = 4, SEG_CODE = 8, SEG_S = 0x10, SEG_DPL = 0x60, SEG_P = 0x80, SEG_AVL = 0x1000,
	SEG_L = 0x2000,
       SEG_DB = 0x4000, SEG_G = 0x8000, SEG_UNUSABLE = 0x10000 };
static inline unsigned seg_dpl(const struct seg *s) { return (s->attr >> 5) & 3; }

union xmm { /* 128 bits of a vector register: what the lane functions compute on */
	u8 b[16]; u16 w[8]; u32 d[4]; u64 q[2]; float f[4]; double g[2];
};

union vreg { /* a whole vector register: XMM in b[0] to b[15], YMM to b[31], ZMM to b[63] */
	u8 b[64]; u16 w[32]; u32 d[16]; u64 q[8]; float f[16]; double g[8];
};
enum { VREGS = 16 /* that instructions reach without EVEX */ };

struct x87 {
	struct { u64 frac; u16 exp; /* sign in bit 15 */ } st[8]; /* physical registers; MMX register n is st[n].frac */
	u16 cw, sw;      /* sw without TOP, which is kept in top */
	u8 top, valid;   /* valid: bit n set = physical register n is not empty */
	u16 op, cs, ds;  /* last opcode (11 bits), selectors of the last instruction and operand */
	u64 ip, dp;
};

/* The TLB has two layers. What the processor remembers, until the guest flushes it or another page takes its place, is
 * in `valid' and `phys': it is state, since memory may say something else by now. The tags are ours, and may vanish at
 * any time: the linear page, or TLB_NONE where this kind of access must take the slow path: no permission, not yet
 * dirty, decoded code, a device, a watchpoint. host = linear + addend. */
#define TLB_BITS 11
#define TLB_SIZE (1u << TLB_BITS)
#define TLB_NONE ((u64)-1)
enum { VALID_READ = 1, VALID_WRITE = 2, VALID_GLOBAL = 4,
	VALID_SIZE = 3 << 3 /* of the page that it is a piece of: 4 KiB, 2 MiB, 4 MiB, 1 GiB */ };
/* in the low bits of `valid' */
struct tlb_entry { u64 read, write, valid, addend; };
/* The same for fetches, of which there is one for a look-up of a block. The jump cache leads only to pages that are in
 * here. What may be fetched depends on CPL alone, so that there are two views of code (code_view). */
struct tlb_code { u64 valid, phys; u8 *host; /* of the page; NULL: not looked up yet */ };

/* An operation of a block is a struct op (op.h). What is compiled as a stencil sees its own operation as that, with
 * other members, and knows those in memory by another name (stencil.h). */
#ifdef VCPU_STENCIL
#define STORED_OP stored_op
#else
#define STORED_OP op
#endif

/* Where indirect and far-away jumps find their blocks: linear address and mode -> first operation. */
#define JUMP_BITS (VCPU_CHECKS ? 4 : 12)
struct op;
struct extended;
struct jump { u64 key; const struct STORED_OP *op; };
enum { NO_JUMP = 1 }; /* a key that no address has: modes have numbers from 1, which are in the bits above 46 */

/* A page with code has no tag for writes, but its granules may, if no instruction was decoded from them: GRANULE bytes
 * with an address of their own, in an entry that their offset in the page chooses. As the tags, these may vanish at any
 * time. */
#define GRANULE_SHIFT 5
#define GRANULE (1u << GRANULE_SHIFT)
#define GRANULES (PAGE_SIZE / GRANULE)
struct granule { u64 tag, addend; };

/* The last walk that led to a device, which the TLB does not remember: where its entries are, and what they said. As
 * long as they say that, with the same registers, another walk would find the same, and change nothing. */
enum { WALK_LEVELS = 5 };
struct walked {
	u64 page, phys;            /* page: TLB_NONE: there is none */
	unsigned levels, size;     /* of the entries, bytes */
	struct { const u8 *host; u64 value; } entry[WALK_LEVELS];
};

/* One view of memory. There is one for each set of rights, so that changing CPL does not flush anything. */
/* SMAP_AC: supervisor with EFLAGS.AC; SLOW: #AC is armed, always misses */
enum { VIEW_SUPERVISOR, VIEW_USER, VIEW_SMAP_AC, VIEW_SLOW, VIEWS };
struct view {
	struct tlb_entry tlb[TLB_SIZE];
	u64 phys[TLB_SIZE];        /* of the entry with the same index */
	struct tlb_code code[TLB_SIZE];
	u16 used[TLB_SIZE];        /* indexes at which something may be valid */
	u8 listed[TLB_SIZE];       /* LISTED_*: what may be valid there, so that most of `used' need not be looked at */
	unsigned nused;
	bool large;                /* there may be pieces of large pages */
	u8 hooked[TLB_SIZE];       /* HOOKED_*: only hooks of memory keep the tags away */
	struct granule granule[GRANULES];
	bool granules;             /* there may be tags */
	struct walked walked[2];   /* for reads, for writes */
	struct jump jump[1u << JUMP_BITS];
	u16 jumped[1u << JUMP_BITS]; /* indexes of entries in use */
	unsigned njumps;
};
enum { HOOKED_READ = 1, HOOKED_WRITE = 2 };
/* What translations depend on, beside memory. */
struct tlb_space { u64 cr0, cr3, cr4, efer, pkru, vpid, eptp, apic_access, pdpte[4], dr[5]; };
enum { TLB_SPACE_WORDS = sizeof(struct tlb_space) / 8 };
enum { LISTED = 1, LISTED_LOCAL = 2 /* of a page that is not global */,
	LISTED_LARGE = 4 /* a piece of a large page */ };

/* The execution mode: what decoding and fixed checks depend on. Blocks are keyed by its number. */
enum {
	MODE_16 = 0, MODE_32 = 1, MODE_64 = 2, MODE_BITS = 3,
	MODE_STACK32 = 1 << 2,  /* SS.B, or 64-bit mode */
	MODE_PE = 1 << 3, MODE_V86 = 1 << 4, MODE_LONG = 1 << 5, /* EFER.LMA: 64-bit or compatibility */
	MODE_CPL = 3 << 6,
	MODE_TS = 1 << 8, MODE_EM = 1 << 9, MODE_MP = 1 << 10, MODE_OSFXSR = 1 << 11, MODE_OSXSAVE = 1 << 12,
	MODE_AVX = 1 << 13,     /* XCR0 allows YMM */
	MODE_LIMIT = 1 << 14,   /* CS has a limit that a jump in a page could break */
	MODE_SINGLE = 1 << 15,  /* one instruction a block, nothing fused: for stops in the middle, TF, breakpoints */
	MODE_UMIP = 1 << 16, MODE_XMM_EXC = 1 << 17,
	MODE_SCE = 1 << 18,     /* EFER.SCE */
	MODE_GUEST = 1 << 19,   /* VMX non-root operation: guards stand before what may exit */
	/* outside of 64-bit mode: DS, ES and SS have base 0, and all 4 GiB may be read and written */
	MODE_FLAT = 1 << 20,
	MODE_FLAT_CODE = 1 << 21, /* 32-bit code with CS of base 0 and 4 GiB: jumps need no check */
	MODE_SVM_GUEST = 1 << 22, /* behind VMRUN: the same */
	MODE_SVME = 1 << 23,    /* EFER.SVME */
	MODE_AVX512 = 1 << 24,  /* XCR0 allows ZMM and masks; VEX clears bits 511:256, too */
	MODE_SHSTK = 1 << 25,   /* shadow stacks are enabled at this CPL */
	MODE_IBT = 1 << 26,     /* indirect branches are tracked */
	MODE_WAIT_ENDBR = 1 << 27, /* the next instruction must be ENDBR */
	MODE_BRANCHES = 1 << 28, /* a performance counter counts branches */
	MODE_LBR = 1 << 29,     /* each branch is recorded */
	MODE_FRED = 1 << 30,    /* FRED transitions are enabled: CR4.FRED in IA-32e mode */
};
#define MODE_APX ((u64)1 << 31) /* 64-bit mode, and XCR0 allows R16 to R31: REX2, map 4, and what APX adds to EVEX */
#define MODE_BUS_LOCK ((u64)1 << 63) /* bus locks are detected: a guard stands before what may be one */
/* Bits of CR4 that checks look at and nothing else in a mode does: in its upper half, as they are. */
#define MODE_CR4(bits) ((u64)(bits) << 32)

/* Why the running block must be left after the instruction that set it. */
enum { ATTN_NONE = 0, ATTN_CODE = 1, ATTN_MODE = 2, ATTN_LINE = 4, ATTN_GOES = 16 /* a hook of code sets `goes' */,
	ATTN_CLOCK = CLOCK_MOVED };

enum { STEP_TF = 1, STEP_RF = 2 };

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_SYSTEM = 4 /* flag: implicit supervisor access */,
	ACCESS_SHADOW = 8 /* of a shadow stack; the user's, if ACCESS_SYSTEM is not set */ };

enum exit { EXIT_BUDGET, EXIT_ATTN, EXIT_FAULT, EXIT_LOOKUP,
	EXIT_LINK /* at r[RIP], and c->op is the direct jump that led there */,
            EXIT_HOT /* before a block that has run often: c->op is its counter */,
            EXIT_PARTS /* behind the parts of an instruction: cpu/extended.h */ };

struct fault { u8 vector; bool has_error; u32 error; const char *why;
	/* the check that failed, for people; NULL: the vector says it */
	bool nested; /* FRED event delivery has met it */ };

struct fault_note { u8 vector; bool has_error; u32 error; u16 cs; u64 rip, cr2; const char *why; };

enum { ACTIVITY_RUN, ACTIVITY_HALT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_SIPI, ACTIVITY_MWAIT,
	ACTIVITY_FERR /* before a waiting x87 instruction: x87.h */ };

enum { MODES = VCPU_CHECKS ? 8 : 4000 };

/* The processors of a machine. They run in turns (smp.c) and share the decode cache, and time: one count of
 * instructions, whoever retires them. */
#define CPUS_MAX 64
struct cpus {
	unsigned count;
	u32 turn;                  /* the number of the one that runs */
	bool remapped;             /* decoded code may no longer be what memory shows */
	/* leave soon: set by a signal handler or another thread, cleared by whoever calls cpus_run */
	const atomic_uint *asked;
	/* virtual time beyond which nothing runs; in which nobody sleeps. CLOCK_NEVER: no such end. */
	u64 time_end, sleep_end;
	u64 modes[MODES + 1];      /* mode.c: the mode with each number from 1 */
	unsigned hot_after;        /* how often a block runs before it is stitched (stitch.h) */
	bool verified;             /* stitched code is made so that it verifies itself (stitch_block): for tests */
	unsigned nmodes, modes_max;/* modes_max: MODES, or less, for tests */
	u16 mode_guess[256];       /* by hash: which number it may be */
	u64 seed;
	bool no_skip_waiting;      /* waiting loops are executed round by round (wait.h) */
	struct watch *watch;       /* the state that wait.c compares; NULL before the first watched round */
	u64 skipped;               /* instructions that were counted but not executed. No state. */
	struct observer *observer; /* observe.h; NULL: nobody */
	struct hooks *hooks;       /* hook.h; NULL: there never was one */
	u32 told;                  /* EVENT_* that hooks ask for */
	u64 hook_calls;            /* calls of hooks. No state. */
	bool missing_stops;        /* an access to nothing, or that is denied, ends the run with CPU_MISSING */
	struct { u64 linear; unsigned size; enum access access; bool denied; } missing; /* that access. No state. */
	struct cpu *cpu[CPUS_MAX];
};

enum { FIX_DEFERRED = 1, FIX_SUM = 2, FIX_LOOSE = 8, FIX_CARRIED = 16, FIX_SIZE = 5, FIX_KEPT = 128 }; /* of cpu.fix */
#define FIX_CARRIES ((u64)3 << 62) /* the bits of cpu.cv that mean something */

struct cpu {
	u64 r[REGISTERS];          /* first: op->base etc. are byte offsets from here */

	/* Arithmetic flags, lazily (SDM 3.4.3.1):
	 *   res   the last result, sign-extended: ZF = res == 0
	 *   cv    carries at the top of it:        CF = bit 63, OF = bit 63 ^ bit 62; the other bits mean nothing
	 *   fix   AF in bit 4; bits 7 and 2 are normally 0, and else flip SF and PF, for values of FLAGS that no result has
	 *   SF = bit 63 of res ^ fix.7, PF = even parity of the low byte of res, ^ fix.2
	 * Inside of blocks fix may have FIX_DEFERRED, and the logarithm of the size in bytes at FIX_SIZE. Then cv holds
	 * the first operand of a subtraction, res the difference of the zero-extended operands, not cut; or, with
	 * FIX_SUM, cv the first operand of an addition, res the sum, sign-extended.
	 * FIX_CARRIED: a carry or borrow came in, and res is sign-extended in either case. FIX_KEPT, after INC and DEC:
	 * cv has CF, which stays, in bit 63 instead, and res is sign-extended.
	 * FIX_LOOSE alone, after a shift: other bits of cv are still to be cleared. */
	u64 res, cv;
	u8 fix;
	u32 eflags;                /* everything but OSZAPC; bit 1 set */

	s64 n;                     /* instructions left when a block was left; in a block it lives in a register */
	u64 end;                   /* icount at which n reaches 0 */
	struct view *view;         /* of the current rights */
	u64 cs_base;               /* CS.base, 0 in 64-bit mode */
	u64 linear_mask;           /* 32 bits, or all in 64-bit mode */
	u64 mode;
	u64 slot[EGPR_SLOTS];      /* at 8 * EGPR_SLOT. No state. */
	u64 mode_key;              /* made from mode_number, to be XORed into jump keys */
	u16 mode_number;           /* mode.c */
	u16 twin_number;           /* of the mode `twin', which differs in MODE_SINGLE; 0: not known */
	bool lock_alone;           /* the next instruction is a bus lock, and is to run alone. No state. */
	u64 twin;
	u32 attn;                  /* ATTN_* */
	const struct STORED_OP *op; /* where the last block was left */
	/* if `goes': a callback has set RIP, and this comes behind the instruction that called it */
	u64 go_to;
	bool goes;
	/* how far the instruction that is under way has moved r[RIP], and has still to touch memory */
	u64 moved;
	u32 exit;                  /* enum exit */
	u64 val;                   /* what a slow load read */

	struct seg seg[SEGMENTS];
	struct { u64 base; u16 limit; } gdtr, idtr;
	u8 cpl;
	u64 cr0, cr2, cr3, cr4, cr8, efer, xcr0;
	u32 pkru;                  /* bits 2n, 2n + 1: AD, WD of protection key n (SDM vol. 3, 4.6.2) */
	u64 dr[8];
	u64 pdpte[4];              /* PAE: loaded with CR3 (SDM vol. 3, 4.4.1) */

	/* Registers 16 to 31, bits 256 and up, and the masks belong to AVX-512: without it they are zero and not
	 * saved. */
	_Alignas(64) union vreg v[32];
	u64 k[8];
	u64 egpr[EGPRS];           /* R16 to R31; zero and not saved without APX */
	u32 mxcsr;                 /* lacks the newest flags while mxcsr_live: see mxcsr.h */
	u32 host_mxcsr;            /* the host's own, while mxcsr_live */
	u32 soft_mxcsr;            /* on hosts that have none: what stands for it (vec_soft.c) */
	bool mxcsr_live;           /* the host's MXCSR is the guest's */
	struct x87 x87;

#define MSR_KEPT(name, number, feature, member, ...) u64 member;
#define MSR_AMD(name, number, family, member, ...) u64 member;
#define MSR_LATER(name, number, feature, member, ...) u64 member;
#define LATER_STATE(member) u64 member;
#define MSR_AMD_STATES(member, count) u64 member[count];
#define MSR_STATE(member) u64 member;
#define MSR_STATES(member, count) u64 member[count];
#include "cpu/system/msr.def"
	struct pmu pmu;
	struct lbr lbr;

	/* Interruption */
	struct fault fault;        /* set by whoever returns false */
	u64 shadow_at;             /* icount at which interrupts are held off: after STI, MOV SS, POP SS */
	u64 rep_at;                /* icount at which r[RIP] is a repeated string instruction that has not finished */
	bool shadow_ss;            /* that was MOV or POP SS: debug exceptions and NMI too */
	bool intr;                 /* level of the INTR pin (from the 8259, or from the local APIC) */
	bool nmi_pending, nmi_blocked, init_pending, sipi_pending;
	u8 sipi_vector;
	bool smm, smi_pending, smm_nmi_blocked; /* nmi_blocked when the SMI came */
	u32 smbase;
	u8 activity;               /* ACTIVITY_* */
	u64 db_pending;            /* DR6 bits of a trap that is due after this instruction */
	/* STEP_*: TF, RF were set when the instruction began; who loads them otherwise, or delivers an interruption,
	 * clears it */
	u8 step;
	bool db_fault;             /* debug_code_check found a breakpoint: fault holds #DB */
	u64 db_bits;               /* what the last #DB has reported to DR6. No state. */
	u64 monitor_phys;          /* MONITOR: a byte of the line; a store there disarms it (block.c) */
	bool monitor_armed;
	bool mwait_breaks;         /* asleep in MWAIT: interrupts wake it though IF is 0 */
	struct fault_note chain[8];/* towards a triple fault */
	unsigned chain_len;

	/* Time. now = idle_ns + icount * ns_q16 >> 16 */
	/* retired, by all processors; exact outside of blocks and after cpu_sync. It stands while others run. */
	u64 icount;
	u64 idle_ns, ns_q16;
	/* icount at which the next processor gets its turn; QUANTUM_NEVER: there is no other */
	u64 quantum_end;
	u64 rand;                  /* RDRAND */

	/* What the processor is wired to. */
	const struct model *model;
	const struct isa *isa;
	struct space *mem, *io;
	struct clock *clock;
	const struct log *log;
	u8 (*acknowledge)(void *owner); /* INTA cycle of the 8259 */
	void *acknowledge_owner;
	struct apic *apic;         /* NULL: none */
	struct vmx *vmx;           /* vmx.h. NULL: the model has no VMX */
	struct paravirt *paravirt; /* paravirt.h. NULL: there is no hypervisor's interface */
	struct svm *svm;           /* svm.h. NULL: the model has no SVM */
	struct uintr *uintr;       /* uintr.h. NULL: the model has no user interrupts */
	struct amx *amx;           /* amx.h. NULL: the model has neither tiles nor IA32_XFD */
	struct fred *fred;         /* fred.h. NULL: the model has no FRED */
	struct mca *mca;           /* mca.h. NULL: the model has no banks for machine checks */
	u64 guest_cr2;             /* CR2 before a #PF that may exit from a guest */
	struct cpus *all;
	/* of its parts and its event */
	char name[8], apic_name[8], timer_name[16], vmx_name[8], svm_name[8], paravirt_name[8], amd_name[8];
	char avx512_name[12], later_name[12], pmu_name[8], lbr_name[8], apx_name[8];
	struct line ferr;          /* FERR#, to IRQ 13 */
	bool (*ignne)(void *owner); /* is IGNNE# asserted? NULL: it always is */
	void *ignne_owner;
	struct line smiact;        /* SMIACT#, of the first processor: the one that runs is in system management mode */
	unsigned id;               /* which processor of the machine; also its APIC ID at reset. 0 boots. */
	bool bare;                 /* an exception without an IDT is handed to the caller */
	bool stop;                 /* leave soon: a device or an observer asks for it */
	/* a #PF that the caller wants before the next instruction. No state. */
	struct page_in { bool wanted, write; u64 linear; } page_in;
	u32 labour;                /* of instructions that take long: see op.h. No state. */
	u64 walks;                 /* calls of page_walk. No state. */
	u64 syncs, asks;           /* calls of cpu_sync; those of them by cpu_ask. No state. */
	struct watch *watch;       /* who is to see each store to RAM (wait.c); NULL: nobody */
	/* icount of the next look whether the processor waits (wait.h); of the next watched one */
	u64 look_at, watch_at;
	u64 watched;               /* instructions of the last round that was watched, if that was not in vain; 0 */
	u8 doubts, watch_doubts;   /* looks in a row that were in vain: computation looks like waiting. No state. */

	struct blocks *blocks;     /* of all */
	/* A guest with a VPID has translations of its own: VM entries and exits leave both as they are. */
	struct view *views;        /* of who runs: one of bank[] */
	struct view *bank[2];      /* of the processor; of a guest with a VPID, NULL without VMX */
	struct tlb_space left[2];  /* what those were of when they were left */
	struct view own_views[VIEWS];
};
_Static_assert(offsetof(struct cpu, slot) == 8 * EGPR_SLOT, "operations name slots as general registers");

/* Bytes AT to AT + 15 (0: XMM; 16: the upper half of YMM) of the vector registers 0 to N - 1, one behind the other as
 * FXSAVE and XSAVE have them. */
static inline void vregs_save(const struct cpu *c, unsigned at, void *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy((u8 *)out + 16 * i, &c->v[i].b[at], 16);
}
static inline void vregs_load(struct cpu *c, unsigned at, const void *in, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(&c->v[i].b[at], (const u8 *)in + 16 * i, 16);
}
static inline void vregs_clear(struct cpu *c, unsigned at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memset(&c->v[i].b[at], 0, 16);
}

/* ---- run.c ---- */
enum cpu_stop { CPU_LIMIT, CPU_REQUEST, CPU_TRIPLE_FAULT, CPU_DEAD_HALT, CPU_IDLE, CPU_EXCEPTION, CPU_OBSERVED,
	CPU_QUANTUM /* another processor's turn */,
		CPU_TIME /* time_end of struct cpus */, CPU_MISSING /* struct cpus has it */ };

struct cpu_config {
	const struct model *model;
	struct space *mem, *io;
	struct clock *clock;
	const struct log *log;
	u8 (*acknowledge)(void *owner);
	void *acknowledge_owner;
	/* another processor of the same machine; NULL: this is the first. The others are freed before it. */
	struct cpu *with;
	u64 ns_q16, seed, boot_time; /* boot_time: seconds since 1970 at virtual time 0 */
	const atomic_uint *asked;/* as in struct cpus; NULL: nobody asks */
	bool bare, apic;
	bool stitched;             /* hot blocks become machine code, where that can be (stitch.h) */
	bool no_skip_waiting, missing_stops; /* as in struct cpus */
};
struct cpu *cpu_new(const struct cpu_config *config); /* NULL: host out of memory. In its power-on state. */
void cpu_free(struct cpu *c);
void cpu_reset(struct cpu *c, bool init);             /* RESET, or INIT (keeps what SDM vol. 3, table 10-1 says) */
/* Run until icount reaches ICOUNT_END or something stops it; CPU_IDLE: the clock has come to IDLE_END (virtual ns)
 * while it was halted, or delivered what retires nothing. One processor, of a machine that has others until its turn is
 * over or it sleeps. */
enum cpu_stop cpu_run(struct cpu *c, u64 icount_end, u64 idle_end);
/* make icount and clock->now exact for the instruction c->op (NULL: between blocks, they are) */
void cpu_sync(struct cpu *c);
void cpu_ask(struct cpu *c);  /* the same, before an access to a space: its devices call clock_steady */
/* For who is called in the middle of an instruction: RIP of that instruction, or what cpu_go_to has put in its place;
 * between instructions, r[RIP]. */
u64 cpu_rip(const struct cpu *c);
/* Go on at RIP behind the instruction that is under way, if it does not fault. False: none is. */
bool cpu_go_to(struct cpu *c, u64 rip);
void cpu_intr(void *cpu, int n, bool level);          /* line targets: INTR */
void cpu_nmi(void *cpu, int n, bool level);           /* edge */
void cpu_attention(struct cpu *c);                    /* something happened: look before the next instruction */
/* the processor, AMD's MSRs, its local APIC, VMX, the paravirtual interface, SVM, tiles, user interrupts, AVX-512, what
 * later features add, performance counters, FRED, architectural last branch records, APX */
enum { CPU_PARTS = 15 };
unsigned cpu_parts(struct cpu *c, struct part out[], unsigned max); /* what snapshots see; returns how many */
void cpu_loaded(struct cpu *c);                       /* after a load: derive everything else again; the TLB is empty */
/* The virtual time; after ICOUNT instructions, if nobody sleeps until then. */
static inline u64 cpu_time_at(const struct cpu *c, u64 icount)
{
	return c->idle_ns + (u64)((unsigned __int128)icount * c->ns_q16 >> 16);
}
static inline u64 cpu_now(const struct cpu *c) { return cpu_time_at(c, c->icount); }
/* the run goes to another place with no instruction retired: a handler, another processor */
void cpu_step(struct cpu *c);
bool cpu_wakes(const struct cpu *c);                  /* has it something to do? */
/* Asleep: let time pass until the next event, but not beyond END. */
enum sleep { SLEPT, SLEPT_ENOUGH, SLEEPS_FOREVER } cpu_sleep(struct cpu *c, u64 end);

/* ---- smp.c ---- */
#define QUANTUM_NEVER (~(u64)0)
/* cpu_run for all processors of a machine, in turns. CPU_REQUEST: something has asked for it, or `asked' is set. */
enum cpu_stop cpus_run(struct cpus *all, u64 icount_end, u64 idle_end);
static inline struct cpu *cpus_running(const struct cpus *all) { return all->cpu[all->turn]; }
void cpus_start(struct cpus *all);                    /* the first has its turn */
void cpus_reset(struct cpus *all);                    /* RESET */
unsigned cpus_parts(struct cpus *all, struct part out[], unsigned max);
void cpus_loaded(struct cpus *all);
/* Between two instructions: the next one counts as retired without being executed, and the run goes on at RIP. STEP:
 * what is done behind it (STEP_*), since RFLAGS may have changed. */
void cpus_skip(struct cpus *all, u64 rip, u32 step);
void cpu_skip(struct cpu *c, u64 rip, u32 step);      /* the same of one processor (run.c) */
/* In an instruction of C: it waits for others; when it is over, the turn is, too. */
void cpu_yield(struct cpu *c);

/* ---- mode.c ---- */
void mode_changed(struct cpu *c);                     /* c->mode is another one: number and key */
/* Bits 47-63 of an address that is canonical with 48 bits are equal, and no others have keys. So a number XORed into
 * 47-62 can be told from the address: no two pairs of address and mode have the same key. */
static inline u64 mode_key(u16 number) { return (u64)number << 47; }
/* Set or clear MODE_SINGLE. Nothing but the number of the mode depends on it. */
void mode_switch_single(struct cpu *c);
static inline void mode_single(struct cpu *c, bool on)
{
	if (unlikely(!(c->mode & MODE_SINGLE) == on))
		mode_switch_single(c);
}
/* The number of the mode with MODE_SINGLE; 0: not known. */
static inline u16 mode_single_number(const struct cpu *c)
{
	return c->mode & MODE_SINGLE              ? c->mode_number
	       : c->twin == (c->mode | MODE_SINGLE) ? c->twin_number
						  : 0;
}

/* ---- block.c ---- */
/* What the decode cache has done since it was made. Nobody decides anything by it. */
struct block_counts {
	u64 built[3];      /* blocks that were kept, by MODE_BITS; but of MODE_SINGLE: */
	u64 single;
	u64 ops, bytes;    /* of those in built: operations, without stitch.c's counter; bytes of guest code */
	u64 stitched, code_bytes; /* blocks that became machine code; bytes of machine code */
	u64 links;         /* direct jumps that block_link has linked */
	u64 stale;         /* blocks that had to go: other bytes, another limit of CS, another second page */
	u64 flushes;
};
struct block_counts blocks_counts(const struct cpu *c);
/* A block that is kept, for debuggers: COUNT operations, made from the BYTES at physical PHYS for MODE. */
struct block_view {
	u64 phys, mode;
	unsigned bytes, count;
	const struct op *ops;
	const struct op *stitched; /* the first of those that became machine code together; NULL: none did */
};
/* Of all blocks that have the byte at physical PHYS. */
void blocks_at(const struct cpu *c, u64 phys, void (*each)(void *owner, const struct block_view *b), void *owner);
/* The machine code of O, an operation of B, but for what lies aside; NULL: it has none of its own. */
const u8 *block_code(const struct cpu *c, const struct block_view *b, const struct op *o, unsigned *size);
bool blocks_new(struct cpu *c, const struct cpu *with, bool stitched); /* WITH: share that one's, unless NULL */
extern const bool stitch_built;                       /* stitch.c: there are stencils */
bool blocks_stitched(const struct cpu *c);            /* hot blocks become machine code */
/* a direct jump, to the first operation of a block */
void block_link(struct cpu *c, struct op *jump, const struct op *target);
void block_hot(struct cpu *c, struct op *counter);    /* EXIT_HOT */
void blocks_free(struct cpu *c);
/* may the block that block_find gave last be remembered? (not if fetched from a device) */
bool blocks_kept(const struct cpu *c);
u64 blocks_generation(const struct cpu *c);           /* changes when everything was forgotten */
void blocks_flush(struct cpu *c);                     /* forget all decoded code */
/* from now on, a store to the line at monitor_phys clears monitor_armed */
void monitor_watch(struct cpu *c);
/* What is where in memory has changed (ranges, A20): translations go at once, decoded code at the next instruction
 * boundary: the processor may stand in it. Of all processors of the machine. */
void cpu_map_changed(struct cpu *c);
/* First operation of the block at c->r[RIP]; NULL: the fetch faulted (c->fault). */
const struct op *block_find(struct cpu *c);
#if VCPU_CHECKS
bool block_known(struct cpu *c, const struct op *o);  /* is O a block of this mode, made for the page of r[RIP]? */
#endif
void cpu_code_written(void *cpu, u64 phys, unsigned len); /* target for ram->written */
/* PAGE of RAM has code: may LEN bytes at OFFSET be written without anybody's hearing of it? */
bool code_spares(const struct cpu *c, u64 page, unsigned offset, unsigned len);

/* ---- mxcsr.c ---- */
void sse_unload(struct cpu *c);
/* Make c->mxcsr exact and give the host its own MXCSR back: before anybody looks, and before foreign code runs
 * (devices, callbacks, the end of cpu_run). Cheap when there is nothing to do. */
static inline void sse_park(struct cpu *c)
{
	if (c->mxcsr_live)
		sse_unload(c);
}

/* ---- wait.c ---- */
/* With c->watch: LEN bytes of RAM at HOST, or at PHYS if that is NULL, are about to be written. */
void watch_store(struct cpu *c, u8 *host, u64 phys, unsigned len);

/* ---- flags.c ---- */
u32 cpu_flags(const struct cpu *c);                   /* the whole EFLAGS */
void cpu_set_arith(struct cpu *c, u32 flags);         /* OSZAPC from FLAGS */
/* bits of MASK from FLAGS; takes care of IF, TF, AC, VM effects */
void cpu_set_flags(struct cpu *c, u32 flags, u32 mask);

/* ---- page.c ---- */
/* Linear to physical without any effect, as supervisor; for debuggers. */
bool page_peek(const struct cpu *c, u64 linear, u64 *phys);
/* Guest-physical to physical without any effect: the same but in a guest with EPT or nested paging. */
bool page_second_level(const struct cpu *c, u64 guest, u64 *phys);
/* Fill the TLB for LINEAR. False: fault. *host gets the byte's address if it is RAM that may be touched directly, else
 * NULL and *phys is set. */
bool tlb_fill(struct cpu *c, u64 linear, unsigned access, u8 **host, u64 *phys);
void tlb_flush(struct cpu *c, bool globals);
void tlb_flush_page(struct cpu *c, u64 linear);
/* Those of all guests; of everybody, so that the bank of who runs has to be chosen again. */
void tlb_forget_guests(struct cpu *c);
void tlb_forget(struct cpu *c);
/* The registers are about to become those of a guest or of its host; they have, and BANK has its translations, of which
 * nothing is kept unless KEEP. */
void tlb_leave(struct cpu *c);
void tlb_enter(struct cpu *c, unsigned bank, bool keep);
void tlb_init(struct cpu *c);
void jumps_flush(struct cpu *c);                      /* forget where jumps led; the translations stay */
void tlb_protect(struct cpu *c, u64 phys);            /* a page got code: take write tags away */
/* LEN bytes at OFFSET of a page got code. */
void tlb_protect_granules(struct cpu *c, unsigned offset, unsigned len);
/* The bytes around LINEAR, at HOST, may be written. */
void tlb_learn_granule(struct cpu *c, u64 linear, const u8 *host);
/* the next write to each page takes the slow path, which marks it dirty */
void tlb_drop_writes(struct cpu *c);
/* everything does: flags of pages have changed. What is valid stays. */
void tlb_drop_tags(struct cpu *c);
/* The view whose `code' has what was fetched with the current rights. */
static inline struct view *code_view(struct cpu *c) { return &c->views[c->cpl == 3 ? VIEW_USER : VIEW_SUPERVISOR]; }
/* Fetch: like tlb_fill, through valid entries. */
bool tlb_fetch(struct cpu *c, u64 linear, u8 **host, u64 *phys);
/* The valid entries, as numbers: at most TLB_WORDS; returns how many. And back. */
#define TLB_WORDS (2 * (VIEWS * (1 + TLB_SIZE * 5) + TLB_SPACE_WORDS))
unsigned tlb_used(const struct cpu *c);               /* how many slots may be valid */
unsigned tlb_save(const struct cpu *c, u64 *out);
void tlb_load(struct cpu *c, const u64 *in, unsigned count);
u64 tlb_hash(const struct cpu *c, u64 h);
bool page_load_pdptes(struct cpu *c, u64 cr3);        /* false: #GP(0) */
bool pdpte_valid(const struct cpu *c, u64 e);         /* no reserved bit of a present one is set */
void write_pkru(struct cpu *c, u32 v);
/* Does linear-address-space separation forbid the access (SDM vol. 3, 4.2.1)? False: it may go on to paging. */
bool lass_denies(const struct cpu *c, u64 linear, unsigned access);
/* Where a shadow stack's 4 bytes at LINEAR are, which must be in a page of shadow stacks. False: #PF. */
bool shadow_translate(struct cpu *c, u64 linear, bool write, bool user, u64 *phys);

/* ---- memory.c: linear accesses with the current rights. False: fault set, nothing written. SIZE 1, 2, 4, 8. May cross
 * pages. ---- */
bool mem_read(struct cpu *c, u64 linear, unsigned size, u64 *out);
bool mem_write(struct cpu *c, u64 linear, unsigned size, u64 value);
/* up to 4096 bytes; all pages are checked first */
bool mem_read_block(struct cpu *c, u64 linear, void *out, unsigned len);
bool mem_write_block(struct cpu *c, u64 linear, const void *in, unsigned len);
bool mem_check_write(struct cpu *c, u64 linear, unsigned len);            /* would a write fault? */
/* The same with supervisor rights whatever the CPL: descriptor tables, TSS, stacks of inner rings. */
bool sys_read(struct cpu *c, u64 linear, unsigned size, u64 *out);
bool sys_write(struct cpu *c, u64 linear, unsigned size, u64 value);

/* ---- faults. They return false, so that a body can say `return fault_gp(c, 0)`. ---- */
bool fault(struct cpu *c, unsigned vector);
bool fault_error(struct cpu *c, unsigned vector, u32 error);
/* With the check that failed, in words that follow a "because"; a string constant. Numbers in brackets are sections of
 * the SDM's vol. 3. */
bool fault_because(struct cpu *c, unsigned vector, u32 error, const char *why);
bool fault_target(struct cpu *c); /* #GP(0): RIP would leave CS's limit, or the canonical addresses */
static inline bool gp_because(struct cpu *c, u32 error, const char *why)
{
	return fault_because(c, VEC_GP, error, why);
}
static inline bool fault_ud(struct cpu *c) { return fault(c, VEC_UD); }
static inline bool fault_gp(struct cpu *c, u32 error) { return fault_error(c, VEC_GP, error); }

/* ---- seg.c, far.c, intr.c, task.c ---- */
/* MOV/POP/LxS to ES SS DS FS GS, in every mode, with all checks */
bool seg_load(struct cpu *c, unsigned reg, u16 sel);
/* base = sel << 4; limit and rights as real and V86 mode leave them */
void seg_load_real(struct cpu *c, unsigned reg, u16 sel);
void seg_update(struct cpu *c, unsigned reg);         /* derive read_end, write_end (and what depends on CS, SS) */
/* hi only for 16-byte ones; fault VECTOR(sel) beyond the limit */
bool descriptor_read(struct cpu *c, u16 sel, u64 *lo, u64 *hi, unsigned vector);
void descriptor_to_seg(struct seg *s, u16 sel, u64 descriptor);
bool far_jump(struct cpu *c, u16 sel, u64 offset, unsigned osize);
bool far_call(struct cpu *c, u16 sel, u64 offset, unsigned osize, u64 return_rip);
bool far_return(struct cpu *c, unsigned osize, unsigned pop);
bool interrupt_return(struct cpu *c, unsigned osize);
enum interrupt_kind { INT_EXTERNAL, INT_EXCEPTION, INT_TRAP /* #DB after an instruction */, INT_SOFTWARE /* INT n */,
	INT_SOFT_EXC /* INT3, INTO */, INT_ICEBP,
	INT_OTHER /* of FRED: SYSCALL, whose vector is 1, and SYSENTER, 2 */ };
/* Deliver through the IVT or IDT. Return address is r[RIP]. False: another fault happened on the way (c->fault). */
bool interrupt(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error);
/* Deliver c->fault: contributory rules, double fault; false on a triple fault. */
bool deliver_fault(struct cpu *c);
enum task_switch { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT /* INT n */,
	TASK_EVENT /* other interruptions: false for faults of the new task, too */ };
bool task_switch(struct cpu *c, u16 sel, u64 descriptor, enum task_switch how, u64 next_rip, bool has_error, u32 error);
bool io_allowed(struct cpu *c, u16 port, unsigned size); /* IOPL and the TSS bitmap; false: #GP(0) set */
/* The access itself. False: a hook ends the instruction. *V: what was written in the end. */
bool io_read(struct cpu *c, u16 port, unsigned size, u64 *v);
bool io_write(struct cpu *c, u16 port, unsigned size, u64 *v);

/* ---- smm.c ---- */
/* line target: SMI#, an edge; goes to the processor that runs, which has caused it */
void cpu_smi(void *cpu, int n, bool level);
void smm_enter(struct cpu *c);
void smm_show(const struct cpus *all);                /* drive SMIACT# */

/* ---- sys.c, msr.c, cpuid.c, debug.c, apic.c ---- */
bool write_cr0(struct cpu *c, u64 v);
bool write_cr3(struct cpu *c, u64 v);
bool write_cr4(struct cpu *c, u64 v);
bool write_cr8(struct cpu *c, u64 v);
bool write_dr(struct cpu *c, unsigned n, u64 v);
bool write_efer(struct cpu *c, u64 v);
bool read_msr(struct cpu *c, u32 index, u64 *v);
bool write_msr(struct cpu *c, u32 index, u64 v);
void msrs_reset(struct cpu *c);                       /* RESET, of those whose state is listed in msr.def */
/* MXCSR.MM (bit 17): SSE operands in memory may lie anywhere, but for those of aligned moves (APM vol. 1, 4.3.2.3) */
enum { MXCSR_MM = 1 << 17 };
static inline bool mxcsr_mm(const struct cpu *c) { return c->mxcsr & MXCSR_MM; }
/* Bits of MXCSR that there are. */
static inline u32 mxcsr_bits(const struct cpu *c) { return 0xffff | (has(c->model, F_MISALIGNSSE) ? MXCSR_MM : 0); }
bool monitor_enabled(const struct cpu *c);            /* MONITOR and MWAIT: IA32_MISC_ENABLE and HWCR can turn them off */
void cpuid(const struct cpu *c, u32 leaf, u32 sub, u32 out[4]); /* eax ebx ecx edx */
u64 read_tsc(const struct cpu *c);                    /* needs a synced clock */
/* CR0, CR4, EFER, CS, SS, EFLAGS.VM or CPL changed: mode, view, masks; sets ATTN_MODE if it changed */
void update_mode(struct cpu *c);
/* All segments and control registers may have changed: derive what follows from them. The TLB is empty then. */
void cpu_derive(struct cpu *c);
void cpu_derive_registers(struct cpu *c);             /* the same, but the TLB stays */
void update_view(struct cpu *c);                      /* CPL, AC, SMAP, AM: which view */
/* DR6 for a #DB that comes: BITS of it. A guest whose #DB exits keeps its own (SDM vol. 3, 27.1). */
void debug_report(struct cpu *c, u64 bits);
void debug_code_check(struct cpu *c);
/* data breakpoints that cover any of it are pending then */
bool debug_watched(const struct cpu *c, u64 linear, unsigned len, bool write);
u64 debug_next(const struct cpu *c);                  /* RIP of the instruction behind the one at RIP */

struct apic *apic_new(struct cpu *c, struct clock *clock, struct space *mem);
void apic_free(struct apic *a);
/* RESET, or INIT (SDM vol. 3, 11.4.7.3: the ID and the place in memory stay) */
void apic_reset(struct apic *a, bool init);
struct part apic_part(struct apic *a);
void apic_refresh(struct apic *a);
/* A message from an IOAPIC or MSI: address FEExxxxxh and data as on the bus (SDM vol. 3, 11.11). A target for ioapic's
 * msi. All APICs hear it, whichever is given. */
void apic_message(void *apic, u64 address, u32 data);
/* line target: LINT0 (n = 0, from the 8259), LINT1 (n = 1, NMI) */
void apic_lint(void *apic, int n, bool level);
/* told of every EOI of a level interrupt */
void apic_set_eoi(struct apic *a, void (*eoi)(void *owner, u8 vector), void *owner);
/* The APIC with this ID, if it is on; NULL: there is none. Deliver to it what the low half of an ICR asks for. */
struct apic *apic_find(const struct cpus *all, u32 id);
void apic_deliver(struct apic *a, u32 icr);
void apic_look_for_eoi(struct apic *a);               /* one that the guest has given in memory counts from now on */
bool apic_pending(const struct apic *a);              /* wants INTR */
/* the vector that is taken into service; -1: ask the 8259 (ExtINT) */
int apic_acknowledge(struct apic *a);
/* A fixed interrupt, as by ICR, to the APIC with ID: 32 bits for an x2APIC, else bits 15-8. */
void apic_send_fixed(struct apic *a, u32 id, u8 vector);
void apic_eoi(struct apic *a);                        /* a write to the EOI register */
void apic_performance(struct apic *a);                /* a performance counter has overflowed */
bool apic_read_msr(struct apic *a, u32 index, u64 *v);/* x2APIC 800h-8FFh; false: no such register in this mode */
bool apic_write_msr(struct apic *a, u32 index, u64 v);
bool apic_set_base(struct apic *a, u64 v);            /* IA32_APIC_BASE; false: #GP */
void apic_write_deadline(struct apic *a, u64 tsc);    /* IA32_TSC_DEADLINE */
u64 apic_read_deadline(const struct apic *a);
u8 apic_get_tpr(const struct apic *a);                /* CR8 */
void apic_set_tpr(struct apic *a, u8 tpr);

static inline bool in_64(const struct cpu *c) { return (c->mode & MODE_BITS) == MODE_64; }
/* The linear address of OFFSET in segment SEG, without checks. */
static inline u64 linear_address(const struct cpu *c, unsigned seg, u64 offset)
{
	return ((in_64(c) && seg != FS && seg != GS ? 0 : c->seg[seg].base) + offset) & c->linear_mask;
}
static inline bool in_protected(const struct cpu *c) { return (c->mode & (MODE_PE | MODE_V86)) == MODE_PE; }
static inline bool in_v86(const struct cpu *c) { return c->mode & MODE_V86; }
static inline bool in_long(const struct cpu *c) { return c->mode & MODE_LONG; }
static inline unsigned iopl(const struct cpu *c) { return (c->eflags >> 12) & 3; }

/* Are the bits of LINEAR above the lower BITS all as the highest of these? */
static inline bool canonical_with(u64 linear, unsigned bits)
{
	return (u64)((s64)(linear << (64 - bits)) >> (64 - bits)) == linear;
}
static inline bool canonical_48(u64 linear) { return canonical_with(linear, 48); }
/* In the present mode of paging. */
static inline bool canonical(const struct cpu *c, u64 linear)
{
	return canonical_with(linear, c->cr4 & CR4_LA57 ? 57 : 48);
}
/* Of what is loaded into a register, whatever the mode: MSRs, bases of segments and tables. */
static inline bool canonical_base(const struct model *m, u64 linear)
{
	return canonical_with(linear, has(m, F_LA57) ? 57 : 48);
}

#endif
