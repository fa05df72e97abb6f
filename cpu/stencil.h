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
 * HAS_LINKS: its stencils have two more forms, L_... and N_..., for linked jumps. */
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
enum { MARK = 0x40000000, MARK_SHIFT = 24, USE_1 = 1, USE_2, USE_4, USE_8, PUT_1, PUT_2, PUT_8, LEA, LEA_RIP,
       USE_VECTOR, PUT_VECTOR, MARKS };
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
#define SYMBOLS(n, to) { .nth = n, STENCIL_MEMBERS(SYMBOL, n) .in_page = !!(to), .target = (to), .kept = &kept_ }
#define OPERATIONS(to) \
	struct kept kept_ = { rsp_, rip_, rdi_, rsi_, rcx_, rdx_, rbx_, rax_, \
		{ v0_, v1_, v2_, v3_, v4_, v5_, v6_, v7_ } }; \
	const struct op ops_[3] = { SYMBOLS(0, to), SYMBOLS(1, to), { .nth = 2, .kept = &kept_ } }
/* What target says in the forms of a direct jump: there is no link; there is one, and the jump is taken more often
 * than not, or less often. */
#define NO_LINK NULL
#define LIKELY_LINK ((const struct stored_op *)64)
#define SELDOM_LINK ((const struct stored_op *)128)
#define OFTEN(o, yes) ((o)->target == LIKELY_LINK ? likely(yes) : (o)->target == SELDOM_LINK ? unlikely(yes) : (yes))

/* What is kept, by the guest's names; of vectors, by the host's. The host's register of each follows from its place
 * among the parameters (preserve_none), and PINNED. */
typedef u64 kept_vector __attribute__((vector_size(16)));
struct kept { u64 rsp, rip, rdi, rsi, rcx, rdx, rbx, rax; kept_vector v[KEPT_VECTORS]; };
#define STENCIL_PARAMS \
	struct cpu *c, u64 rsp_, s64 n, u64 rip_, u64 rdi_, u64 rsi_, u64 rdx_, u64 any_, u64 rcx_, u64 rbx_, \
		u64 rax_, \
	kept_vector v0_, kept_vector v1_, kept_vector v2_, kept_vector v3_, \
	kept_vector v4_, kept_vector v5_, kept_vector v6_, kept_vector v7_
typedef HANDLER_CC void stencil_fn(STENCIL_PARAMS);
#define CALL_STENCIL(fn, k, any) \
	(fn)(c, (k)->rsp, n, (k)->rip, (k)->rdi, (k)->rsi, (k)->rdx, any, (k)->rcx, (k)->rbx, (k)->rax, \
	     (k)->v[0], (k)->v[1], (k)->v[2], (k)->v[3], (k)->v[4], (k)->v[5], (k)->v[6], (k)->v[7])
#define PIN_KEPT(k) \
	register u64 pin_rsp __asm__("r13") = (k)->rsp; \
	register u64 pin_rip __asm__("r15") = (k)->rip; \
	register u64 pin_rdi __asm__("rdi") = (k)->rdi; \
	register u64 pin_rsi __asm__("rsi") = (k)->rsi; \
	register u64 pin_rcx __asm__("r8") = (k)->rcx; \
	register u64 pin_rdx __asm__("rdx") = (k)->rdx; \
	register u64 pin_rbx __asm__("r9") = (k)->rbx; \
	register u64 pin_rax __asm__("r11") = (k)->rax; \
	register const struct cpu *pin_c __asm__("r12") = c;
#define PINNED(constraint) \
	constraint(pin_rsp), constraint(pin_rdi), constraint(pin_rsi), constraint(pin_rcx), constraint(pin_rdx), \
	constraint(pin_rbx), constraint(pin_rax)
#define ALL_REGISTERS(c) (*(u64 (*)[REGISTERS])((uintptr_t)(c) + offsetof(struct cpu, r)))

/* Where the register at OFF is kept, which must be a number; NULL: nowhere. */
ALWAYS_INLINE u64 *kept_at(struct kept *k, u64 off)
{
	switch (off / 8) {
	case RAX: return &k->rax;
	case RCX: return &k->rcx;
	case RDX: return &k->rdx;
	case RBX: return &k->rbx;
	case RSP: return &k->rsp;
	case RSI: return &k->rsi;
	case RDI: return &k->rdi;
	case RIP: return &k->rip;
	default: return NULL;
	}
}

#define USE_INSN(insn, mark, to) \
	__asm__(insn " %c[off]+%c[marked](%%r12), %" to "[v]" \
	        : [v] "=r"(v) \
	        : [off] "i"(off), [marked] "i"(MARK + ((mark) << MARK_SHIFT)), \
	        "r"(pin_c), "r"(pin_rip), PINNED("r"), "m"(ALL_REGISTERS(c)))
ALWAYS_INLINE u64 stencil_get(const struct cpu *c, struct kept *k, u64 off, unsigned size)
{
	u64 v;

	if (__builtin_constant_p(off)) {
		const u64 *kept = kept_at(k, off);

		v = kept ? *kept >> 8 * (off & 7) : *(const u64 *)((const char *)c + (off & ~(u64)7)) >> 8 * (off & 7);
		return size == 1 ? (u8)v : size == 2 ? (u16)v : size == 4 ? (u32)v : v;
	}
	PIN_KEPT(k)
	switch (size) {
	case 1: USE_INSN("movzbl", USE_1, "k"); break;
	case 2: USE_INSN("movzwl", USE_2, "k"); break;
	case 4: USE_INSN("movl", USE_4, "k"); break;
	default: USE_INSN("movq", USE_8, "q"); break;
	}
	if (size < 8 && v >> 8 * (size & 7)) /* the compiler cannot know what these instructions clear */
		__builtin_unreachable();
	return v;
}

/* A number of 32 bits without a sign. */
ALWAYS_INLINE u64 stencil_imm32(u64 imm)
{
	u64 v;

	__asm__("movl $%c[imm], %k[v]" : [v] "=r"(v) : [imm] "i"(imm));
	if (v >> 32)
		__builtin_unreachable();
	return v;
}

#define PUT_INSN(insn, mark, nop, from) \
	__asm__(insn " %" from "[v], %c[off]+%c[marked](%%r12)\n\t.skip %c[nops],0x90" \
	        : PINNED("+r"), "+m"(ALL_REGISTERS(c)) \
	        : [v] "r"(v), [off] "i"(off), [marked] "i"(MARK + ((mark) << MARK_SHIFT)), [nops] "i"(nop), \
	          "r"(pin_c), "r"(pin_rip))
ALWAYS_INLINE void stencil_set(struct cpu *c, struct kept *k, u64 off, unsigned size, u64 v)
{
	if (__builtin_constant_p(off)) {
		u64 *kept = kept_at(k, off), mask = size == 1 ? 0xff : size == 2 ? 0xffff : ~(u64)0, old;

		v = size == 4 ? (u32)v : v;
		if (size <= 2) {
			old = kept ? *kept : *(const u64 *)((const char *)c + (off & ~(u64)7));
			v = (old & ~(mask << 8 * (off & 7))) | (v & mask) << 8 * (off & 7);
		}
		if (!kept || off / 8 == RIP)
			*(u64 *)((char *)c + (off & ~(u64)7)) = v;
		if (kept)
			*kept = v;
		return;
	}
	PIN_KEPT(k)
	v = size == 4 ? (u32)v : v;
	switch (size) {
	case 1: PUT_INSN("movb", PUT_1, PUT_1_NOP, "b"); break;
	case 2: PUT_INSN("movw", PUT_2, 0, "w"); break;
	default: PUT_INSN("movq", PUT_8, 0, "q"); break;
	}
	k->rsp = pin_rsp;
	k->rdi = pin_rdi;
	k->rsi = pin_rsi;
	k->rcx = pin_rcx;
	k->rdx = pin_rdx;
	k->rbx = pin_rbx;
	k->rax = pin_rax;
}
/* They find what is kept by the operation, which is called o wherever registers are used. */
#define reg_get(c, off, size) stencil_get(c, (o)->kept, off, size)
#define reg_set(c, off, size, v) stencil_set(c, (o)->kept, off, size, v)
/* 16 bytes, at OFF and PART, of the vector registers. */
#define PIN_VECTORS(k) \
	register kept_vector pin_v0 __asm__("xmm0") = (k)->v[0]; \
	register kept_vector pin_v1 __asm__("xmm1") = (k)->v[1]; \
	register kept_vector pin_v2 __asm__("xmm2") = (k)->v[2]; \
	register kept_vector pin_v3 __asm__("xmm3") = (k)->v[3]; \
	register kept_vector pin_v4 __asm__("xmm4") = (k)->v[4]; \
	register kept_vector pin_v5 __asm__("xmm5") = (k)->v[5]; \
	register kept_vector pin_v6 __asm__("xmm6") = (k)->v[6]; \
	register kept_vector pin_v7 __asm__("xmm7") = (k)->v[7]; \
	register const struct cpu *pin_c __asm__("r12") = c;
#define PINNED_VECTORS(constraint) \
	constraint(pin_v0), constraint(pin_v1), constraint(pin_v2), constraint(pin_v3), constraint(pin_v4), \
	constraint(pin_v5), constraint(pin_v6), constraint(pin_v7)
#define KEEP_VECTORS(k) \
	do { \
		const kept_vector pinned_[KEPT_VECTORS] = { pin_v0, pin_v1, pin_v2, pin_v3, pin_v4, pin_v5, pin_v6, \
			pin_v7 }; \
		for (unsigned i_ = 0; i_ < KEPT_VECTORS; i_++) \
			(k)->v[i_] = pinned_[i_]; \
	} while (0)
ALWAYS_INLINE kept_vector stencil_vector_get(const struct cpu *c, struct kept *k, u64 off, u64 part)
{
	kept_vector v;

	PIN_VECTORS(k)
	__asm__("movups %c[off]+%c[marked](%%r12), %[v]\n\t.nops %c[nops],%c[nops]"
	        : [v] "=&x"(v), PINNED_VECTORS("+x")
	        : [off] "i"(off), [marked] "i"(MARK + (USE_VECTOR << MARK_SHIFT) + part), [nops] "i"(VECTOR_NOP),
	          "r"(pin_c), "m"(c->v));
	KEEP_VECTORS(k);
	return v;
}
ALWAYS_INLINE void stencil_vector_set(struct cpu *c, struct kept *k, u64 off, u64 part, kept_vector v)
{
	PIN_VECTORS(k)
	__asm__("movups %[v], %c[off]+%c[marked](%%r12)\n\t.nops %c[nops],%c[nops]"
	        : PINNED_VECTORS("+x"), "+m"(c->v)
	        : [v] "x"(v), [off] "i"(off), [marked] "i"(MARK + (PUT_VECTOR << MARK_SHIFT) + part),
	          [nops] "i"(VECTOR_NOP), "r"(pin_c));
	KEEP_VECTORS(k);
}
/* Vector registers are written by other means: none is kept any longer. make_stencils finds this. */
#define VECTORS_WRITTEN() __asm__ volatile(".reloc ., R_X86_64_NONE, vectors_written")

/* Store what is kept. */
ALWAYS_INLINE void stencil_store(struct cpu *c, struct kept *k)
{
	PIN_KEPT(k)
	__asm__ volatile("call hole_store" : "+m"(ALL_REGISTERS(c)) : "r"(pin_c), "r"(pin_rip), PINNED("r"));
}
#define STORE_KEPT(o) stencil_store(c, (o)->kept)
#define EXPOSE(o) do { STORE_KEPT(o); c->n = n; c->op = HERE(o); } while (0)

/* Somebody else may have changed registers. Vectors are not kept over that. */
#define RELOAD(c, o) \
	do { \
		struct kept *k_ = (o)->kept; \
		k_->rsp = (c)->r[RSP]; \
		k_->rip = (c)->r[RIP]; \
		k_->rdi = (c)->r[RDI]; \
		k_->rsi = (c)->r[RSI]; \
		k_->rcx = (c)->r[RCX]; \
		k_->rdx = (c)->r[RDX]; \
		k_->rbx = (c)->r[RBX]; \
		k_->rax = (c)->r[RAX]; \
		for (unsigned i_ = 0; i_ < KEPT_VECTORS; i_++) \
			__asm__("" : "=x"(k_->v[i_])); \
	} while (0)

/* BASE + INDEX * scale + disp. With 32-bit address size it becomes an addition of 32 bits. */
ALWAYS_INLINE u64 stencil_sum(u64 base, u64 index, unsigned nth)
{
#define SUM(nth) \
	__asm__("leaq hole_" #nth "_disp+%c[marked](%[base],%[index],1), %[base]" \
	        : [base] "+r"(base) : [index] "r"(index), [marked] "i"(MARK + (LEA << MARK_SHIFT)))
	if (nth == 0)
		SUM(0);
	else
		SUM(1);
#undef SUM
	return base;
}

/* RIP + disp, the target of a direct jump; in 32-bit code an addition of 32 bits. */
ALWAYS_INLINE u64 stencil_target(u64 rip, unsigned nth)
{
	u64 to;

#define TARGET_OF(nth) \
	__asm__("leaq hole_" #nth "_disp+%c[marked](%[rip],%%riz,1), %[to]" \
	        : [to] "=r"(to) : [rip] "r"(rip), [marked] "i"(MARK + (LEA_RIP << MARK_SHIFT)))
	if (nth == 0)
		TARGET_OF(0);
	else
		TARGET_OF(1);
#undef TARGET_OF
	return to;
}

/* A member as a number without a sign: the mask of an address of O's size, 64 bits of it; that of an instruction
 * pointer of O's operand size, 2 or 4 bytes. */
#define STENCIL_MASK(member, insn, to) \
	ALWAYS_INLINE u64 stencil_##member(unsigned nth) \
	{ \
		u64 mask; \
		if (nth == 0) \
			__asm__(insn "$hole_0_" #member ", " to : [mask] "=r"(mask)); \
		else \
			__asm__(insn "$hole_1_" #member ", " to : [mask] "=r"(mask)); \
		return mask; \
	}
STENCIL_MASK(amask, "movabsq ", "%[mask]")
STENCIL_MASK(ip_mask, "movl ", "%k[mask]")

/* The address of O in its block. hole_op is a symbol of the code's neighbourhood. */
ALWAYS_INLINE const struct stored_op *here(unsigned nth)
{
	const struct stored_op *p;

	if (nth == 0)
		__asm__("leaq hole_op(%%rip), %0" : "=r"(p));
	else if (nth == 1)
		__asm__("leaq hole_op+32(%%rip), %0" : "=r"(p));
	else
		__asm__("leaq hole_op+64(%%rip), %0" : "=r"(p));
	return p;
}
#define HERE(o) here((o)->nth)

extern stencil_fn next_1, next_2, linked;

#define RUN_LAST(next_op, value) \
	do { \
		const struct op *next_ = (next_op); \
		u64 any_; \
		__asm__("" : "=c"(any_)); \
		(void)(value); \
		if (next_->nth == 1) \
			CALL_STENCIL(next_1, next_->kept, any_); \
		else \
			CALL_STENCIL(next_2, next_->kept, any_); \
		return; \
	} while (0)
#define RUN(next_op) RUN_LAST(next_op, 0)
/* Stitched code enters a block where its first operation's cost says (stitch.h). */
#define RUN_BLOCK(first) \
	do { \
		const struct stored_op *first_ = (first); \
		CALL_STENCIL((stencil_fn *)((uintptr_t)first_ + (s64)first_->cost), (o)->kept, (uintptr_t)first_); \
		return; \
	} while (0)
#define RUN_LINKED(o) do { u64 any_; __asm__("" : "=c"(any_)); CALL_STENCIL(linked, (o)->kept, any_); return; \
	} while (0)
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
/* make_stencils takes the other's stencils for this one, too. */
#define SAME_STENCIL(form, name, other) extern stencil_fn A_##form##_##name __attribute__((alias(#form "_" #other)));
#ifdef HAS_LINKS
#define SAME_STENCILS(name, other) \
	SAME_STENCIL(S, name, other) SAME_STENCIL(L, name, other) SAME_STENCIL(N, name, other)
#else
#define SAME_STENCILS(name, other) SAME_STENCIL(S, name, other)
#endif
#define HANDLER_AS(name, other) SAME_STENCILS(name, other) COLD_HANDLER(name)
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
