/* SPDX-License-Identifier: MIT */
/* Handlers as stencils. The sources of cpu/insn are compiled once more, with VCPU_STENCIL, into machine code that
 * cpu/engine/stitch.c copies, one operation behind the other. What an operation says is not read from memory there
 * but stands in the code: a member of `struct op' is the address of a symbol (hole_0_dst ...), which the compiler
 * puts where it would put a constant, and cpu/engine/make_stencils.c finds the relocations that this leaves. So do
 * the ends of handlers: the next operation is the function next_1.
 *
 *     HANDLER(bswap_32) { ... RUN(o + 1); }     S_bswap_32:  mov  hole_0_dst(%r12), %eax
 *                                                            bswap %eax
 *                                                            mov  %rax, hole_0_dst(%r12)
 *                                                            jmp  next_1
 *
 * A guest's general registers are used by nearly every operation, and a value that goes through memory from one to
 * the next takes five cycles. So stencils keep some of them, and RIP, in host registers as well (struct kept): what
 * is written goes there and to memory, what is read comes from there. Which register an operation names is known
 * when its stencil is copied, not before. The accesses are therefore instructions that stitch.c can rewrite:
 *
 *     USE   mov hole(%r12), %reg             or  mov %kept, %reg
 *     PUT   mov %reg, hole(%r12)             or  mov %reg, %kept
 *
 * What is kept goes to memory where stencils call or leave for code that does not know of this (STORE_KEPT), and
 * nowhere else; where such code comes back, the registers are loaded anew. RIP is in memory all the time. Halves of
 * vector registers are kept within a block, in registers that it chooses for each, and in memory.
 *
 * The code model is `kernel', so that the compiler takes every symbol for a number of 32 bits with a sign; the
 * symbols are weak, so that it assumes nothing of their values. A file whose handlers follow links (jump.h) defines
 * HAS_LINKS: its stencils have two more forms, L_... and N_..., for linked jumps.
 *
 * This is so on x86-64 (stencil_kept.h). On aarch64 stencils keep no registers, and have another code model
 * (stencil_plain.h). */
#ifndef CPU_STENCIL_H
#define CPU_STENCIL_H

/* Members of struct op, and what follows from one: the place in struct cpu of its segment, and of the vector
 * registers that dst, src and third name; cut: the mask of a 16-bit address, or -1. */
#define STENCIL_MEMBERS(X, n) \
	X(n, dst) X(n, src) X(n, base) X(n, index) X(n, scale) X(n, seg) X(n, mem) X(n, rep) X(n, asize) X(n, \
		osize) X(n, form) X(n, len) X(n, left) X(n, code) \
	X(n, ip) X(n, imm8) X(n, third) X(n, vlen) X(n, disp) X(n, imm) X(n, cost) X(n, cut) \
	X(n, at_seg) X(n, at_dst) X(n, at_src) X(n, at_third)

/* Instructions that stitch.c rewrites are relocations whose addend has MARK and one of these in its bits 24-29.
 * Sizes in bytes. */
enum { MARK = 0x40000000, MARK_SHIFT = 24, USE_1 = 1, USE_2, USE_4, USE_8, USE_BASE, USE_INDEX, PUT_1, PUT_2, PUT_8, LEA,
       LEA_RIP, USE_VECTOR, PUT_VECTOR, MARKS };
/* See stencil_specials. */
enum { ANY_PLACE = 8 };
/* In make_stencils' table: the register, and at this bit what is added to the displacement. */
enum { PATCH_PART_SHIFT = 8 };
/* Bytes of a nop behind one of them. */
enum { PUT_1_NOP = 3, VECTOR_NOP = 4 };
/* Host registers xmm0 to xmm7 keep 16 bytes each of the guest's vector registers: which, is the block's choice. */
enum { KEPT_VECTORS = 8 };

#ifdef VCPU_STENCIL

/* An operation as stencils see it. Pointers to it are never stored: HERE(o) is the real one. */
struct op {
	unsigned nth;                /* 0: the operation itself; 1, 2: those behind it */
	handler *run;
	u64 dst, src, base, index, scale, seg, mem, rep, asize, osize, form, len, left, code, ip, imm8, third, vlen,
		at_seg, at_dst, at_src, at_third;
	u64 k, zeroing, broadcast, round, from, to, memory, whole, zmm, to_memory, to_mask; /* for bodies alone */
	s64 cost, cut, disp, imm;
	bool in_page;
	const struct stored_op *target;
	struct kept *kept;
};

#define HOLE(n, member) extern const char hole_##n##_##member[] __attribute__((weak));
STENCIL_MEMBERS(HOLE, 0)
STENCIL_MEMBERS(HOLE, 1)
#define SYMBOL(n, member) .member = (__typeof__(((struct op *)0)->member))(uintptr_t)hole_##n##_##member,
#define SYMBOLS(n, to) { .nth = n, STENCIL_MEMBERS(SYMBOL, n) .in_page = !!(to), .target = (to), .kept = KEPT }
#define OPERATIONS(to) \
	KEPT_HERE const struct op ops_[3] = { SYMBOLS(0, to), SYMBOLS(1, to), { .nth = 2, .kept = KEPT } }
/* What target says in the forms of a direct jump: there is no link; there is one, and the jump is taken more often
 * than not, or less often. */
#define NO_LINK NULL
#define LIKELY_LINK ((const struct stored_op *)64)
#define SELDOM_LINK ((const struct stored_op *)128)
#define OFTEN(o, yes) ((o)->target == LIKELY_LINK ? likely(yes) : (o)->target == SELDOM_LINK ? unlikely(yes) : (yes))

#define HERE(o) here((o)->nth)
#define EXPOSE(o) do { STORE_KEPT(o); c->n = n; c->op = HERE(o); } while (0)

#ifdef __x86_64__
#include "cpu/stencil_kept.h"
#else
#include "cpu/stencil_plain.h"
#endif

extern stencil_fn next_1, next_2, linked;
#define RUN(next_op) RUN_LAST(next_op, 0)
#define TAIL(fn) do { ANYTHING(any_) STORE_KEPT(o); (fn)(c, HERE(o), n, any_); return; } while (0)
#define LEAVE_EXPOSED(why) do { c->n = n; c->op = HERE(o); c->exit = (why); return; } while (0)
#define LEAVE(why) do { STORE_KEPT(o); LEAVE_EXPOSED(why); } while (0)

#ifdef HAS_LINKS
#define LINKED_STENCIL(name) \
	stencil_fn L_##name, N_##name; \
	HANDLER_CC void L_##name(STENCIL_PARAMS) { OPERATIONS(LIKELY_LINK); text_##name(c, ops_, n, 0); } \
	HANDLER_CC void N_##name(STENCIL_PARAMS) { OPERATIONS(SELDOM_LINK); text_##name(c, ops_, n, 0); }
#else
#define LINKED_STENCIL(name)
#endif
#ifdef STENCIL_KEEPS
/* make_stencils takes the other's stencils for this one, too. */
#define SAME_STENCIL(form, name, other) extern stencil_fn A_##form##_##name __attribute__((alias(#form "_" #other)));
#ifdef HAS_LINKS
#define SAME_STENCILS(name, other) \
	SAME_STENCIL(S, name, other) SAME_STENCIL(L, name, other) SAME_STENCIL(N, name, other)
#else
#define SAME_STENCILS(name, other) SAME_STENCIL(S, name, other)
#endif
#define HANDLER_AS(name, other) SAME_STENCILS(name, other) COLD_HANDLER(name)
#endif
#define HANDLER(name) \
	handler name; \
	stencil_fn S_##name; \
	ALWAYS_INLINE HANDLER_CC void text_##name(struct cpu *c, const struct op *o, s64 n, u64 last); \
	HANDLER_CC void S_##name(STENCIL_PARAMS) { OPERATIONS(NO_LINK); text_##name(c, ops_, n, 0); } \
	LINKED_STENCIL(name) \
	ALWAYS_INLINE HANDLER_CC void text_##name(struct cpu *c, const struct op *o, s64 n, u64 last)
/* Only declared: the library's own is what a stencil calls. */
#define COLD_HANDLER(name) \
	handler name; \
	static inline HANDLER_CC void text_##name(struct cpu *c, const struct op *o, s64 n, u64 last)
#define FORWARDED_HANDLER COLD_HANDLER
#define BODY(name) \
	bool do_##name(struct cpu *c, const struct stored_op *o); \
	static inline bool text_do_##name(struct cpu *c, const struct op *o)
#define GEN(name) \
	void gen_##name(const struct dec *d, struct op *o); \
	static inline void text_gen_##name(const struct dec *d, struct op *o)

#endif /* VCPU_STENCIL */

#endif
