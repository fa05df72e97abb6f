/* SPDX-License-Identifier: MIT */
/* Operations, of which a block consists, and the notation for the meaning of an instruction.
 *
 * A body is an ordinary function that does the instruction and returns false when it raised a fault (then nothing
 * may have changed):
 *
 *     BODY(bswap)                                       GEN_BODY(bswap) makes the handler, and the gen function for the table's row
 *     {
 *             ...
 *             return true;
 *     }
 *     GEN_BODY(bswap)
 *
 * That is enough for everything that is not hot. What is hot is written as an inline function with constant
 * arguments for size and form (alu.c is the example), expanded once for each.
 *
 * A handler ends in the tail call of the next one, or, in builds whose compiler does not promise tail calls, returns
 * it to a loop. Never take the address of a local variable in a handler: it would stop the tail call. Bodies may. */
#ifndef CPU_OP_H
#define CPU_OP_H

#include "cpu/cpu.h"
#include "cpu/decode.h"

#ifndef VCPU_TAIL
#if defined __OPTIMIZE__ && !defined __SANITIZE_ADDRESS__ && \
	(defined __x86_64__ || defined __aarch64__ || (defined __riscv && __riscv_xlen == 64))
#define VCPU_TAIL 1
#else
#define VCPU_TAIL 0
#endif
#endif

#if VCPU_TAIL && defined __clang__ && __clang_major__ >= 19 && (defined __x86_64__ || defined __aarch64__)
#define HANDLER_CC __attribute__((preserve_none))
#else
#define HANDLER_CC
#endif

/* A handler's last argument is the value that the operation before it wrote to its destination register, where that
 * operation says so (RUN_LAST): an operation whose source is that register has a second handler (block.c chooses it)
 * which takes the value from there and need not wait for the store to come back from memory. Everybody else passes
 * anything. The portable loop does without. */
#if VCPU_TAIL
/* For gcc on x86-64, two arguments in the middle carry nothing: they leave rdx and rcx, which it takes first for
 * scratch and shifts, to the body, and keep n and last out of the way in r8 and r9. And the next operation's address
 * takes the register of this one's. Together a sixth fewer instructions. */
#if defined __x86_64__ && !defined __clang__
#define SPARE_PARAMS u64 nothing1_ __attribute__((unused)), u64 nothing2_ __attribute__((unused)),
#define SPARE_ARGS spare1_, spare2_,
#define SPARE u64 spare1_, spare2_; __asm__("" : "=d"(spare1_), "=c"(spare2_));
#define IN_PLACE(op) __asm__("" : "+r"(op));
#else
#define SPARE_PARAMS
#define SPARE_ARGS
#define SPARE
#define IN_PLACE(op)
#endif
typedef HANDLER_CC void handler(struct cpu *c, const struct STORED_OP *o, SPARE_PARAMS s64 n, u64 last);
#define HANDLER_TYPE HANDLER_CC void
#define ANYTHING(v) u64 v; __asm__("" : "=r"(v));
#ifndef VCPU_STENCIL
#define RUN_LAST(next_op, value) \
	do { const struct op *next_ = (next_op); IN_PLACE(next_) SPARE next_->run(c, next_, SPARE_ARGS n, value); \
		return; } while (0)
#define RUN(next_op) do { ANYTHING(any_) RUN_LAST(next_op, any_); } while (0)
#define TAIL(fn) do { ANYTHING(any_) SPARE (fn)(c, o, SPARE_ARGS n, any_); return; } while (0)
#define LEAVE(why) do { c->n = n; c->op = o; c->exit = (why); return; } while (0)
#endif
#else
#define SPARE_PARAMS
typedef const struct op *handler(struct cpu *c, const struct op *o, s64 n, u64 last);
#define HANDLER_TYPE const struct op *
#define RUN(next_op) do { c->n = n; return (next_op); } while (0)
#define RUN_LAST(next_op, value) do { (void)(value); RUN(next_op); } while (0)
#define TAIL(fn) return (fn)(c, o, n, 0)
#define LEAVE(why) do { c->n = n; c->op = o; c->exit = (why); return NULL; } while (0)
#endif
#include "cpu/stencil.h"
#ifndef VCPU_STENCIL
#define HANDLER(name) handler name; HANDLER_TYPE name(struct cpu *c, const struct op *o, SPARE_PARAMS s64 n, \
	u64 last __attribute__((unused)))
#define COLD_HANDLER(name) handler name; COLD HANDLER_TYPE name(struct cpu *c, const struct op *o, SPARE_PARAMS s64 n, \
	u64 last __attribute__((unused)))
/* One whose stencil is the other's. */
#define HANDLER_AS(name, other) HANDLER(name)
/* One that takes `last'. Stitched blocks have none. */
#define FORWARDED_HANDLER HANDLER
/* The first operation of another block, and the one that O is linked to. */
#define RUN_BLOCK(first) RUN(first)
#define RUN_LINKED(o) RUN((o)->target)
/* O, to be kept where others find it. */
#define HERE(o) (o)
/* Functions of the library are to find all general registers; n and the operation as well. */
#define STORE_KEPT(o)
#define EXPOSE(o) do { c->n = n; c->op = (o); } while (0)
/* LEAVE, when one that has been called may have changed registers since. */
#define LEAVE_EXPOSED LEAVE
#endif

#ifndef SPECIALISE_DST
/* More stencils of a handler. */
#define SPECIALISE_DST(name)
#define SPECIALISE_LINKED(name)
#define SPECIALISE_DST_SRC(name)
#define SPECIALISE_LOAD(name)
#define SPECIALISE_STORE(name)
#endif

/* Bits of op.scale: the memory operand must be aligned to 16 bytes, or 32; but not with MXCSR.MM. */
enum { OP_ALIGNED = 0x80, OP_ALIGNED_MM = 0x40 };

/* 32 bytes:
 *    0 run | 8 dst src base index | 12 scale, segment byte, osize and form, len | 16 left, code, ip | 20 disp | 24 imm, target or vector operands */
struct STORED_OP {
	handler *run;
	union {
	struct {
	/* general registers: byte offset into cpu (8 * n, + 1 for AH..BH); others: the register's number */
	u8 dst, src;
	/* effective address: byte offsets into cpu (RZERO where there is none); register forms: base = dst, the first
	 * source */
	u8 base, index;
	};
	/* linked jumps and block ends: what entering target takes from n, less what leaving here gives back */
	s32 cost;
	};
	union {
	u8 scale;         /* bits 0-1: shift of the index; OP_ALIGNED, OP_ALIGNED_MM */
	/* direct jumps and block ends: the target is in the block's page, so that they can be linked */
	bool in_page;
	};
	u8 seg : 3;       /* of the memory operand: ES..GS or FLAT */
	u8 mem : 1;       /* there is one */
	u8 rep : 2;       /* 0, 2 = REPNE (F2), 3 = REP (F3) */
	u8 asize : 2;     /* address size: 0 = 16, 1 = 32, 2 = 64 bits */
	u8 osize : 4;     /* operand size in bytes */
	u8 form : 4;      /* enum form */
	u8 len;           /* bytes of the instruction */
	/* instructions from this one to the end of the block; in the first operation: the block's length */
	u32 left : 8;
	u32 code : 12;    /* enum code */
	u32 ip : 12;      /* offset of the instruction from the block's start */
	s32 disp;         /* of the effective address; of direct jumps: from the block's start to the target */
	union {
	s64 imm;          /* the immediate, sign-extended. Without one: a number of the operation's own */
	/* linked jumps and block ends: the first operation of the next block. NULL: not linked yet */
	const struct STORED_OP *target;
	const struct hook *hook; /* of an operation of hooks: the first that it is for */
	const struct extended *extended; /* cpu/extended.h */
	struct { u8 imm8 /* imm's lowest byte */, third /* VEX.vvvv: a register's number, or a general register's byte offset; of vectors, the first source */,
	            vlen /* of vectors: bytes that the operation works on; 0: SSE, 16, and the rest of the register stays */;
		 /* of EVEX: mask register, 0 none; zeroing; an element in memory stands for all; enum rounding */
		 u8 k : 3, zeroing : 1, broadcast : 1, round : 3;
		 /* logarithms of bytes: of an element of the last source, of one of the destination, of the operand in
		  * memory; which is read whole, whatever the mask says */
		 u8 from : 2, to : 2, memory : 3, whole : 1;
		 /* of VEX and EVEX: a result in a register clears bits 511:256, too; of EVEX: it goes to memory, to a mask */
		 u8 zmm : 1, to_memory : 1, to_mask : 1; };
	};
};
enum { OP_IP_MAX = 4095 };
/* op.round. With ROUND_ER: the rounding, as in MXCSR. */
enum rounding { ROUND_MXCSR, ROUND_SAE /* no exceptions */, ROUND_ER = 4 /* and none either */ };
_Static_assert(sizeof(struct STORED_OP) == 32, "two to a cache line");

static inline unsigned op_asize(const struct op *o) { return 2u << o->asize; }
#ifdef VCPU_STENCIL
static inline u64 op_amask(const struct op *o) { return stencil_amask(o->nth); }
static inline u64 op_ip_mask(const struct op *o) { return stencil_ip_mask(o->nth); }
#define OP_SEG(c, o) ((const struct seg *)((const char *)(c) + (o)->at_seg))
#define OP_VREG(c, o, which) ((union vreg *)((char *)(c) + (o)->at_##which))
#else
static inline u64 op_amask(const struct op *o) { return o->asize == 2 ? ~(u64)0 : o->asize ? 0xffffffff : 0xffff; }
/* What a near jump outside of 64-bit mode leaves of the instruction pointer. */
static inline u64 op_ip_mask(const struct op *o) { return o->osize == 2 ? 0xffff : 0xffffffff; }
#define OP_SEG(c, o) (&(c)->seg[(o)->seg])
/* The vector register that dst, src or third names. */
#define OP_VREG(c, o, which) ((union vreg *)&(c)->v[(o)->which])
#endif

/* The general register at OFF. Its address is made by an addition of its own, not by an index in the access: processors
 * that pass a store's value to the next load of it without delay (measured on an Intel Xeon of family 6, model 207: 0.1
 * ns instead of 2) do so for a plain base register only. */
ALWAYS_INLINE char *reg_at(const struct cpu *c, u64 off)
{
	char *p = (char *)c + off;

#ifndef VCPU_STENCIL /* there OFF is as good as a constant */
	if (!__builtin_constant_p(off))
		__asm__("" : "+r"(p));
#endif
	return p;
}
#ifdef VCPU_STENCIL
#define REG8(off) ((u8)reg_get(c, off, 1))
#define REG16(off) ((u16)reg_get(c, off, 2))
#define REG32(off) ((u32)reg_get(c, off, 4))
#define REG64(off) reg_get(c, off, 8)
#else
#define RELOAD(c, o)
#define VECTORS_WRITTEN()
#define REG8(off) (*(u8 *)reg_at(c, off))
#define REG16(off) (*(u16 *)reg_at(c, off))
#define REG32(off) (*(u32 *)reg_at(c, off))
#define REG64(off) (*(u64 *)reg_at(c, off))
#endif

/* In a handler that takes `last', the value of SIZE bytes that the operation before has written to the register at OFF.
 * */
#if VCPU_CHECKS
#define FORWARDED(off, size) (assert(trim(last, (size)) == reg_get(c, (off), (size))), trim(last, (size)))
#else
#define FORWARDED(off, size) trim(last, (size))
#endif

/* A general register as an operand of SIZE bytes: 32-bit writes clear the upper half (SDM vol. 1, 3.4.1.1). */
#ifndef VCPU_STENCIL
ALWAYS_INLINE u64 reg_get(const struct cpu *c, u64 off, unsigned size)
{
	return size == 1 ? REG8(off) : size == 2 ? REG16(off) : size == 4 ? REG32(off) : REG64(off);
}

ALWAYS_INLINE void reg_set(struct cpu *c, u64 off, unsigned size, u64 v)
{
	if (size == 1)
		REG8(off) = (u8)v;
	else if (size == 2)
		REG16(off) = (u16)v;
	else
		REG64(off) = size == 4 ? (u32)v : v;
}
#endif

/* RIP of O, and of the instruction after it, truncated to what the processor has. After an instruction that ends at
 * FFFFh an 8086 goes on at 0, a 286 meets the limit; with a larger limit 16-bit code of a 386 goes on at 10000h (386
 * manual, 14.7). */
static inline u64 trim_rip(const struct cpu *c, u64 rip)
{
	return in_64(c) ? rip : has(c->model, F_I286) ? (u32)rip : (u16)rip;
}
static inline u64 op_rip(const struct cpu *c, const struct op *o) { return trim_rip(c, c->r[RIP] + o->ip); }
/* Of the instruction that is under way, c->op: also once it has changed r[RIP]. */
static inline u64 op_address(const struct cpu *c) { return trim_rip(c, c->r[RIP] - c->moved + c->op->ip); }
static inline u64 next_rip(const struct cpu *c, const struct op *o) { return trim_rip(c, c->r[RIP] + o->ip + o->len); }

/* ---- bodies ---- */

/* The base register's value. Stencils of which one is kept find it where they use it. */
#ifndef OP_BASE
#define OP_BASE(o) REG64((o)->base)
#endif
/* BASE, which is OP_BASE or known already, scaled index and displacement. */
ALWAYS_INLINE u64 op_sum(const struct cpu *c, const struct op *o, u64 base)
{
#ifdef STENCIL_KEEPS
	return stencil_sum(c, o, base);
#else
	return base + (REG64(o->index) << (o->scale & 63)) + (s64)o->disp;
#endif
}
/* The same without an index. */
ALWAYS_INLINE u64 op_base_sum(const struct cpu *c __attribute__((unused)), const struct op *o, u64 base)
{
#ifdef STENCIL_KEEPS
	return op_sum(c, o, base);
#else
	return base + (s64)o->disp;
#endif
}
/* With one, cut to the address size. The sums of stencils in which registers are kept are, but to 16 bits. */
ALWAYS_INLINE u64 op_ea(const struct cpu *c, const struct op *o, u64 base)
{
#ifdef STENCIL_KEEPS
	return op_sum(c, o, base) & (u64)o->cut;
#else
	return op_sum(c, o, base) & op_amask(o);
#endif
}
/* Offset of O's memory operand within its segment. */
static inline u64 op_offset(const struct cpu *c, const struct op *o)
{
	return op_ea(c, o, OP_BASE(o));
}
/* Before the 286 an operand that reaches the end of a segment goes on at its beginning (SDM vol. 3, "Segment
 * Wraparound"). Its linear address says so in bits 48-63: the bytes before the end, and bit 62. No canonical address
 * looks like that. */
static inline u64 wrapping(u64 linear, unsigned before) { return linear | (u64)before << 48 | (u64)1 << 62; }
/* Linear address of an access of SIZE bytes at OFFSET in segment SEG (ES..GS, FLAT): segment and canonical checks,
 * #GP(0) or #SS(0). (memory.c) */
bool seg_linear(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *linear);
/* #AC, where it is armed. (memory.c) */
bool check_alignment(struct cpu *c, u64 linear, unsigned size);
/* seg_linear and check_alignment. */
bool data_linear(struct cpu *c, unsigned seg, u64 offset, unsigned size, bool write, u64 *linear);
/* The operand of O, with alignment checks. (memory.c) */
bool op_linear(struct cpu *c, const struct STORED_OP *o, unsigned size, bool write, u64 *linear);
/* memory operand, 1 2 4 8 bytes, zero-extended */
bool op_load(struct cpu *c, const struct STORED_OP *o, unsigned size, u64 *out);
bool op_store(struct cpu *c, const struct STORED_OP *o, unsigned size, u64 v);
/* a load that a store to the same place will follow: faults as a write */
bool op_load_rmw(struct cpu *c, const struct STORED_OP *o, unsigned size, u64 *out);
/* 10, 16, 32, 512... bytes; honours .align */
bool op_load_block(struct cpu *c, const struct STORED_OP *o, void *out, unsigned len);
bool op_store_block(struct cpu *c, const struct STORED_OP *o, const void *in, unsigned len);
#ifdef VCPU_STENCIL
#define op_linear(c, o, ...) op_linear(c, HERE(o), __VA_ARGS__)
#define op_load(c, o, ...) op_load(c, HERE(o), __VA_ARGS__)
#define op_store(c, o, ...) op_store(c, HERE(o), __VA_ARGS__)
#define op_load_rmw(c, o, ...) op_load_rmw(c, HERE(o), __VA_ARGS__)
#define op_load_block(c, o, ...) op_load_block(c, HERE(o), __VA_ARGS__)
#define op_store_block(c, o, ...) op_store_block(c, HERE(o), __VA_ARGS__)
#endif
/* r/m operand of SIZE bytes, whichever it is. The register is o->src when RM_IS_SRC, else o->dst. */
static inline bool rm_load(struct cpu *c, const struct op *o, u64 off, unsigned size, u64 *out)
{
	if (o->mem)
		return op_load(c, o, size, out);
	*out = reg_get(c, off, size);
	return true;
}
/* The destination, of an instruction that will store to it. */
static inline bool rm_load_rmw(struct cpu *c, const struct op *o, unsigned size, u64 *out)
{
	if (o->mem)
		return op_load_rmw(c, o, size, out);
	*out = reg_get(c, o->dst, size);
	return true;
}
static inline bool rm_store(struct cpu *c, const struct op *o, u64 off, unsigned size, u64 v)
{
	if (o->mem)
		return op_store(c, o, size, v);
	reg_set(c, off, size, v);
	return true;
}
/* Stack, with SS and its size; SIZE 2, 4, 8. push_check-ed: the register changes only on success. (memory.c) */
bool stack_push(struct cpu *c, unsigned size, u64 v);
bool stack_pop(struct cpu *c, unsigned size, u64 *v);
static inline u64 stack_mask(const struct cpu *c) { return in_64(c) ? ~(u64)0 : c->mode & MODE_STACK32 ? 0xffffffff
	: 0xffff; }

typedef bool body_fn(struct cpu *c, const struct op *o);
#ifndef VCPU_STENCIL
#define BODY(name) \
	body_fn do_##name; \
	__attribute__((noinline)) bool do_##name(struct cpu *c, const struct op *o __attribute__((unused)))
#define GEN(name) \
	void gen_##name(const struct dec *d, struct op *o); \
	void gen_##name(const struct dec *d __attribute__((unused)), struct op *o)
#endif

/* Handler H_NAME for do_NAME: an ordinary instruction. */
#define BODY_HANDLER(name) \
	HANDLER(h_##name) \
	{ \
		EXPOSE(o); \
		if (unlikely(!do_##name(c, HERE(o)))) \
			LEAVE_EXPOSED(EXIT_FAULT); \
		if (unlikely(c->attn)) \
			LEAVE_EXPOSED(EXIT_ATTN); \
		RELOAD(c, o); \
		RUN(o + 1); \
	}
/* The same for one that sets r[RIP] itself (far transfers) or must be followed by a new look-up (mode changes: use with
 * a body that sets c->r[RIP] = next_rip(c, o)). Its row has .ends. On a fault r[RIP] must be as it was. */
#define JUMP_HANDLER(name) \
	HANDLER(h_##name) \
	{ \
		EXPOSE(o); \
		if (unlikely(!do_##name(c, HERE(o)))) \
			LEAVE_EXPOSED(EXIT_FAULT); \
		LEAVE_EXPOSED(EXIT_LOOKUP); \
	}
#define GEN_BODY(name) BODY_HANDLER(name) GEN(name) { (void)d; o->run = h_##name; }
#define GEN_JUMP(name) JUMP_HANDLER(name) GEN(name) { (void)d; o->run = h_##name; }
/* One body for several mnemonics. */
#define GEN_ALIAS(name, other) GEN(name) { (void)d; o->run = h_##other; }

/* Inside a body: make icount and the clock exact (before reading time, or calling a device). */
void cpu_sync(struct cpu *c);
/* Inside a body: leave the block after this instruction. */
static inline void attend(struct cpu *c, u32 what) { c->attn |= what; }
/* An instruction takes as long as UNITS memory accesses, and more than some ordinary ones. A processor that has worked
 * much leaves its block, so that vcpu_stop is seen in time; the guest sees nothing of it. */
enum { LABOUR = 1 << 16, LABOUR_DEVICE = LABOUR / 256 /* an access to a device in memory */,
	LABOUR_PORT = LABOUR / 16 };
static inline void labour(struct cpu *c, u32 units)
{
	c->labour += units;
	if (unlikely(c->labour >= LABOUR)) {
		c->labour = 0;
		attend(c, ATTN_LINE);
	}
}

/* ---- the fast path to memory ---- */

/* Host address of SIZE bytes at LINEAR, or NULL where the slow path must go. One compare answers permission, mapping,
 * page crossing, dirty, code, devices and watches: an entry can hold only its own page, so a crossing access, whose
 * last byte is on the next, misses. A second one, for writes, answers the same for a few bytes of a page with code. */
ALWAYS_INLINE u8 *fast_host(const struct cpu *c, u64 linear, unsigned size, bool write)
{
	const char *tlb = (const char *)c->view->tlb;
	u64 at = (linear >> PAGE_SHIFT & (TLB_SIZE - 1)) * sizeof(struct tlb_entry);
	const struct tlb_entry *e = (const struct tlb_entry *)(tlb + at);
	u8 *host;

	if (unlikely(((linear + size - 1) & PAGE_MASK) != (write ? e->write : e->read))) {
		const struct granule *g = &c->view->granule[linear >> GRANULE_SHIFT & (GRANULES - 1)];
		u64 last = linear;

		if (!write || size > GRANULE)
			return NULL;
		__asm__("" : "+r"(last)); /* so that the likely way keeps nothing for this one */
		if (((last + size - 1) & ~(u64)(GRANULE - 1)) != g->tag)
			return NULL;
		host = (u8 *)(uintptr_t)(linear + g->addend);
		__asm__("" : "+r"(host));
	} else {
		__asm__("" : "+r"(at)); /* so that it is an index here as well: the compiler would add it first */
		host = (u8 *)(uintptr_t)(linear + ((const struct tlb_entry *)(tlb + at))->addend);
	}
	if (!host)
		__builtin_unreachable(); /* lets the caller's test for NULL vanish */
	return host;
}

/* The same for SIZE bytes of the stack at OFFSET, where the stack pointer has SIZE bytes, too: 8 in 64-bit mode, else 2
 * or 4. NULL also if it has not. FLAT: the mode says that it has, and that SS is flat. */
ALWAYS_INLINE u8 *fast_stack(const struct cpu *c, u64 offset, unsigned size, bool write, bool flat)
{
	const struct seg *s = &c->seg[SS];

	if (size == 8 || flat)
		return fast_host(c, offset, size, write);
	if (unlikely(!(c->mode & MODE_STACK32) != (size == 2) || offset + size > (write ? s->write_end : s->read_end)))
		return NULL;
	return fast_host(c, (offset + s->base) & c->linear_mask, size, write);
}

/* Is the stack of D flat, and its pointer as wide as D's operand, which has 4 bytes? */
static inline bool dec_flat_stack(const struct dec *d)
{
	return d->bits != 64 && d->osize == 4 && (d->mode & MODE_FLAT) && (d->mode & MODE_STACK32);
}

/* How an operation's memory operand is addressed. */
enum kind {
	KIND_REG,
	KIND_BASE,  /* base + disp, linear */
	KIND_INDEX, /* with index */
	KIND_SEG,   /* segment, limit, masks */
	KIND_FLAT,  /* as INDEX, cut to 32 bits; its stencil is INDEX's */
	KIND_LAST   /* as BASE, but the base is what the operation before has just written */
};

ALWAYS_INLINE u8 *fast_op(const struct cpu *c, const struct op *o, enum kind kind, unsigned size, bool write)
{
	u64 linear = kind == KIND_BASE ? op_base_sum(c, o, OP_BASE(o))
		     : kind == KIND_SEG ? op_offset(c, o) : op_sum(c, o, OP_BASE(o));

	if (kind == KIND_FLAT)
		linear = (u32)linear;
	if (kind == KIND_SEG) {
		const struct seg *s = OP_SEG(c, o);

		if (unlikely(linear + size > (write ? s->write_end : s->read_end)))
			return NULL;
		linear = (linear + s->base) & c->linear_mask;
	}
	return fast_host(c, linear, size, write);
}

ALWAYS_INLINE u64 op_imm(const struct op *o, unsigned size)
{
#ifdef VCPU_STENCIL
	if (size == 4)
		return stencil_imm32((u64)o->imm);
#endif
	return size == 1 ? o->imm8 : size == 2 ? (u16)o->imm : size == 4 ? (u32)o->imm : (u64)o->imm;
}

static inline enum kind dec_kind_of_memory(const struct dec *d)
{
	return !d->mem ? KIND_REG : !d->simple_ea ? KIND_SEG : d->no_index ? KIND_BASE : KIND_INDEX;
}
/* Which of three handlers: address linear as it is, segmented, flat. */
static inline unsigned dec_way(const struct dec *d) { return d->simple_ea ? 0 : d->flat_ea ? 2 : 1; }

/* ---- flags (the layout is in cpu.h) ---- */

ALWAYS_INLINE u64 trim(u64 v, unsigned size) { return size == 1 ? (u8)v : size == 2 ? (u16)v : size == 4 ? (u32)v : v; }
ALWAYS_INLINE u64 extend(u64 v, unsigned size) { return size == 1 ? (u64)(s8)v : size == 2 ? (u64)(s16)v : size == 4
	? (u64)(s32)v : v; }

/* OSZAPC after WIDE = a + b (+ 1) or a - b (- 1), not yet cut to SIZE. x has the carry (borrow) into every bit: AF is
 * the one into bit 4, and of narrow operands CF the one into the bit above the top. */
ALWAYS_INLINE void set_flags_sum(struct cpu *c, u64 a, u64 b, u64 wide, unsigned size, bool subtract)
{
	u64 x = a ^ b ^ wide;

	c->res = extend(wide, size);
	c->fix = x & FL_A;
	if (size < 8)
		c->cv = x << (63 - 8 * size);
	else
		c->cv = subtract ? (~a & b) | (~(a ^ b) & wide) : (a & b) | ((a | b) & ~wide);
}

/* The same for a - b and a + b, put off until somebody asks, which hardly anybody does. A and B are zero-extended. */
ALWAYS_INLINE u8 deferred(unsigned size)
{
	return (u8)(FIX_DEFERRED | (size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3) << FIX_SIZE);
}
ALWAYS_INLINE void defer_flags_difference(struct cpu *c, u64 a, u64 b, unsigned size)
{
	c->res = a - b;
	c->cv = a;
	c->fix = deferred(size);
}
ALWAYS_INLINE void defer_flags_sum(struct cpu *c, u64 a, u64 b, unsigned size)
{
	c->res = extend(a + b, size);
	c->cv = a;
	c->fix = deferred(size) | FIX_SUM;
}

/* The same for ADC and SBB, to which CARRY came in and which gave R. */
ALWAYS_INLINE void defer_flags_carried(struct cpu *c, u64 a, u64 r, bool carry, bool sum, unsigned size)
{
	c->res = extend(r, size);
	c->cv = a;
	c->fix = (u8)(deferred(size) | (sum ? FIX_SUM : 0) | carry * FIX_CARRIED);
}

/* To the top, where one formula serves all sizes: how far. */
ALWAYS_INLINE unsigned deferred_shift(const struct cpu *c) { return 64 - (8u << (c->fix >> FIX_SIZE & 3)); }

/* The second operand. */
ALWAYS_INLINE u64 deferred_operand(const struct cpu *c)
{
	u64 carried = c->fix / FIX_CARRIED & 1;

	return c->fix & FIX_SUM ? c->res - c->cv - carried : c->cv - c->res - carried;
}

/* Does X - Y - BORROW need a borrow? After a sum R that is CF with X = R and Y = the first operand, after a difference
 * the other way round, for BORROW = what came in. */
ALWAYS_INLINE bool borrows(u64 x, u64 y, u64 borrow)
{
	u64 d = x - y;

	return (x < y) | (d < borrow);
}

/* After INC (SUM) and DEC, whose second operand is 1. */
ALWAYS_INLINE void settle_kept(struct cpu *c, bool sum, unsigned up)
{
	u64 top = c->res << up, one = (u64)1 << up, changed = top ^ (sum ? top - one : top + one);
	bool over = (changed & (sum ? top : ~top)) >> 63;

	c->cv = (c->cv & (u64)1 << 63) ^ (u64)over << 62;
	c->cv ^= (c->cv >> 63) << 62;
	c->fix = changed >> up & FL_A;
	c->res = (u64)((s64)top >> up);
}

ALWAYS_INLINE void settle_flags(const struct cpu *const_c)
{
	struct cpu *c = (struct cpu *)const_c;

	if (unlikely(c->fix & FIX_LOOSE)) {
		c->cv &= FIX_CARRIES;
		c->fix = 0;
	} else if (unlikely(c->fix & FIX_KEPT) && c->fix & FIX_DEFERRED) {
		settle_kept(c, c->fix & FIX_SUM, deferred_shift(c));
	} else if (unlikely(c->fix & FIX_DEFERRED)) {
		bool sum = c->fix & FIX_SUM;
		unsigned up = deferred_shift(c);
		u64 b = deferred_operand(c), x = c->cv ^ b ^ c->res, top_a = c->cv << up, top_b = b << up,
		    top = c->res << up;

		c->fix = x & FL_A;
		c->cv = sum ? (top_a & top_b) | ((top_a | top_b) & ~top) : (~top_a & top_b) | (~(top_a ^ top_b) & top);
		c->res = (u64)((s64)top >> up);
	}
}

/* ZF and PF are in the result itself. */
ALWAYS_INLINE bool flag_z(const struct cpu *c) { return c->res == 0; }
ALWAYS_INLINE bool flag_p(const struct cpu *c) { return !(__builtin_parity(c->res & 0xff) ^ (c->fix >> 2 & 1)); }
ALWAYS_INLINE bool flag_c(const struct cpu *c)
{
	if ((c->fix & (FIX_DEFERRED | FIX_KEPT)) == FIX_DEFERRED) {
		u64 a = c->cv << deferred_shift(c), r = c->res << deferred_shift(c), carried = c->fix / FIX_CARRIED & 1;

		return c->fix & FIX_SUM ? borrows(r, a, carried) : borrows(a, r, carried);
	}
	return c->cv >> 63;
}
/* The same, as a function that leaves the registers of its caller, which hardly ever needs it, alone. (flags.c) */
#if defined __clang__ && (defined __x86_64__ || defined __aarch64__)
#define KEEPS_REGISTERS __attribute__((preserve_all))
#else
#define KEEPS_REGISTERS
#endif
KEEPS_REGISTERS bool flag_c_seldom(const struct cpu *c);

/* After INC (SUM) and DEC, which gave R and leave CF as it is. */
ALWAYS_INLINE void defer_flags_kept(struct cpu *c, u64 r, bool sum, unsigned size)
{
	if (unlikely((c->fix & (FIX_DEFERRED | FIX_KEPT)) == FIX_DEFERRED))
		c->cv = (u64)flag_c_seldom(c) << 63;
	c->res = extend(r, size);
	c->fix = (u8)(deferred(size) | (sum ? FIX_SUM : 0) | FIX_KEPT);
}
ALWAYS_INLINE bool flag_s(const struct cpu *c)
{
	return c->fix & FIX_DEFERRED ? c->res << deferred_shift(c) >> 63 : (c->res >> 63) ^ (c->fix >> 7);
}
ALWAYS_INLINE bool flag_o(const struct cpu *c) { settle_flags(c); return (c->cv ^ c->cv << 1) >> 63; }
ALWAYS_INLINE bool flag_a(const struct cpu *c) { settle_flags(c); return c->fix >> 4 & 1; }
/* SF and OF differ: "less". */
ALWAYS_INLINE bool flag_l(const struct cpu *c)
{
	if ((c->fix & (FIX_DEFERRED | FIX_SUM | FIX_CARRIED | FIX_KEPT)) == FIX_DEFERRED)
		return (s64)(c->cv << deferred_shift(c)) < (s64)(deferred_operand(c) << deferred_shift(c));
	return flag_o(c) ^ flag_s(c);
}

#endif
