/* Handlers as stencils. The sources of cpu/insn are compiled once more, with VCPU_STENCIL, into machine code that cpu/engine/stitch.c copies, one
 * operation behind the other. What an operation says is not read from memory there but stands in the code: a member of `struct op' is the address of
 * a symbol (hole_0_dst ...), which the compiler puts where it would put a constant, and cpu/engine/make_stencils.c finds the relocations that this
 * leaves. So do the ends of handlers: the next operation is the function next_1.
 *
 *     HANDLER(bswap_32) { ... RUN(o + 1); }     S_bswap_32:  mov  hole_0_dst(%r12), %eax
 *                                                            bswap %eax
 *                                                            mov  %rax, hole_0_dst(%r12)
 *                                                            jmp  next_1
 *
 * The code model is `kernel', so that the compiler takes every symbol for a number of 32 bits with a sign; the symbols are weak, so that it assumes nothing
 * of their values. A file whose handlers follow links (jump.h) defines HAS_LINKS: its stencils have two more forms, L_... and N_..., for linked jumps. */
#ifndef CPU_STENCIL_H
#define CPU_STENCIL_H

/* Members of struct op, and what follows from one: the place in struct cpu of its segment, and of the vector registers that dst, src and third name. */
#define STENCIL_MEMBERS(X, n) \
	X(n, dst) X(n, src) X(n, base) X(n, index) X(n, scale) X(n, seg) X(n, mem) X(n, rep) X(n, asize) X(n, osize) X(n, form) X(n, len) X(n, left) X(n, code) \
	X(n, ip) X(n, imm8) X(n, third) X(n, vlen) X(n, disp) X(n, imm) X(n, cost) X(n, at_seg) X(n, at_dst) X(n, at_src) X(n, at_third)

#ifdef VCPU_STENCIL

/* An operation as stencils see it. Pointers to it are never stored: HERE(o) is the real one. */
struct op {
	unsigned nth;                /* 0: the operation itself; 1, 2: those behind it */
	handler *run;
	u64 dst, src, base, index, scale, seg, mem, rep, asize, osize, form, len, left, code, ip, imm8, third, vlen, at_seg, at_dst, at_src, at_third;
	s64 cost, disp, imm;
	bool in_page;
	const struct stored_op *target;
};

#define HOLE(n, member) extern const char hole_##n##_##member[] __attribute__((weak));
STENCIL_MEMBERS(HOLE, 0)
STENCIL_MEMBERS(HOLE, 1)
#define SYMBOL(n, member) .member = (__typeof__(((struct op *)0)->member))(uintptr_t)hole_##n##_##member,
#define SYMBOLS(n, to) { .nth = n, STENCIL_MEMBERS(SYMBOL, n) .in_page = !!(to), .target = (to) }
#define OPERATIONS(to) const struct op ops_[3] = { SYMBOLS(0, to), SYMBOLS(1, to), { .nth = 2 } }
/* What target says in the forms of a direct jump: there is no link; there is one, and the jump is taken more often than not, or less often. */
#define NO_LINK NULL
#define LIKELY_LINK ((const struct stored_op *)64)
#define SELDOM_LINK ((const struct stored_op *)128)
#define OFTEN(o, yes) ((o)->target == LIKELY_LINK ? likely(yes) : (o)->target == SELDOM_LINK ? unlikely(yes) : (yes))

/* BASE + INDEX * scale + disp, in the one instruction that does that: lea disp(%rax,%rdx,scale), %rax. */
ALWAYS_INLINE u64 stencil_sum(u64 base, u64 index, unsigned nth)
{
	if (nth == 0)
		__asm__(".byte 0x48, 0x8d, 0x84, hole_0_sib\n\t.long hole_0_disp" : "+a"(base) : "d"(index));
	else
		__asm__(".byte 0x48, 0x8d, 0x84, hole_1_sib\n\t.long hole_1_disp" : "+a"(base) : "d"(index));
	return base;
}

/* The mask of an address of O's size: 64 bits of it. */
ALWAYS_INLINE u64 stencil_amask(unsigned nth)
{
	u64 mask;

	if (nth == 0)
		__asm__("movabsq $hole_0_amask, %0" : "=r"(mask));
	else
		__asm__("movabsq $hole_1_amask, %0" : "=r"(mask));
	return mask;
}

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

extern handler next_1, next_2, linked;

#define ANY_OP(v) const struct stored_op *v; __asm__("" : "=r"(v));
#define RUN_LAST(next_op, value) \
	do { \
		const struct op *next_ = (next_op); \
		ANY_OP(any_op_) \
		if (next_->nth == 1) \
			next_1(c, any_op_, n, value); \
		else \
			next_2(c, any_op_, n, value); \
		return; \
	} while (0)
#define RUN(next_op) do { ANYTHING(any_) RUN_LAST(next_op, any_); } while (0)
#define RUN_BLOCK(first) do { ANYTHING(any_) const struct stored_op *first_ = (first); first_->run(c, first_, n, any_); return; } while (0)
#define RUN_LINKED(o) do { ANYTHING(any_) ANY_OP(any_op_) linked(c, any_op_, n, any_); return; } while (0)
#define TAIL(fn) do { ANYTHING(any_) (fn)(c, HERE(o), n, any_); return; } while (0)
#define LEAVE(why) do { c->n = n; c->op = HERE(o); c->exit = (why); return; } while (0)

#ifdef HAS_LINKS
#define LINKED_STENCIL(name) \
	handler L_##name; \
	HANDLER_CC void L_##name(struct cpu *c, const struct stored_op *o, s64 n, u64 last) { OPERATIONS(LIKELY_LINK); (void)o; text_##name(c, ops_, n, last); } \
	handler N_##name; \
	HANDLER_CC void N_##name(struct cpu *c, const struct stored_op *o, s64 n, u64 last) { OPERATIONS(SELDOM_LINK); (void)o; text_##name(c, ops_, n, last); }
#else
#define LINKED_STENCIL(name)
#endif
#define HANDLER(name) \
	handler name, S_##name; \
	ALWAYS_INLINE HANDLER_CC void text_##name(struct cpu *c, const struct op *o, s64 n, u64 last); \
	HANDLER_CC void S_##name(struct cpu *c, const struct stored_op *o, s64 n, u64 last) { OPERATIONS(NO_LINK); (void)o; text_##name(c, ops_, n, last); } \
	LINKED_STENCIL(name) \
	ALWAYS_INLINE HANDLER_CC void text_##name(struct cpu *c, const struct op *o, s64 n, u64 last)
/* Only declared: the library's own is what a stencil calls. */
#define COLD_HANDLER(name) \
	handler name; \
	static inline HANDLER_CC void text_##name(struct cpu *c, const struct op *o, s64 n, u64 last)
#define BODY(name) \
	bool do_##name(struct cpu *c, const struct stored_op *o); \
	static inline bool text_do_##name(struct cpu *c, const struct op *o)
#define GEN(name) \
	void gen_##name(const struct dec *d, struct op *o); \
	static inline void text_gen_##name(const struct dec *d, struct op *o)

#endif /* VCPU_STENCIL */

#endif
