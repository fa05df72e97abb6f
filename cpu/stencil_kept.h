/* SPDX-License-Identifier: MIT */
/* Stencils for x86-64, which keep some of the guest's registers in the host's (stencil.h, which includes this). */
#ifndef CPU_STENCIL_KEPT_H
#define CPU_STENCIL_KEPT_H

/* Handlers ask for this by #ifdef. */
#define STENCIL_KEEPS 1
#define KEPT_HERE \
	struct kept kept_ = { rsp_, rip_, rdi_, rsi_, rcx_, rdx_, rbx_, rax_, \
		{ v0_, v1_, v2_, v3_, v4_, v5_, v6_, v7_ } };
#define KEPT (&kept_)

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

/* Where they are kept is whatever it is, and no instruction moves it. */
#define FORGET_VECTORS(k) \
	do { \
		register kept_vector pin_v0 __asm__("xmm0"); \
		register kept_vector pin_v1 __asm__("xmm1"); \
		register kept_vector pin_v2 __asm__("xmm2"); \
		register kept_vector pin_v3 __asm__("xmm3"); \
		register kept_vector pin_v4 __asm__("xmm4"); \
		register kept_vector pin_v5 __asm__("xmm5"); \
		register kept_vector pin_v6 __asm__("xmm6"); \
		register kept_vector pin_v7 __asm__("xmm7"); \
		__asm__("" : PINNED_VECTORS("=x")); \
		KEEP_VECTORS(k); \
	} while (0)
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
		FORGET_VECTORS(k_); \
	} while (0)

/* Base + index * scale + disp. What of it is kept needs no instruction of its own, and with 32-bit address size it
 * becomes an addition of 32 bits. */
#define OP_BASE(o) 0
ALWAYS_INLINE u64 stencil_sum(const struct cpu *c, const struct op *o, u64 base)
{
	u64 sum, index;

	PIN_KEPT(o->kept)
	(void)base;
#define SUM(nth) \
	__asm__("movq hole_" #nth "_base+%c[use_base](%%r12), %[sum]\n\t" \
	        "movq hole_" #nth "_index+%c[use_index](%%r12), %[index]\n\t" \
	        "leaq hole_" #nth "_disp+%c[lea](%[sum],%[index],1), %[sum]" \
	        : [sum] "=&r"(sum), [index] "=&r"(index) \
	        : [use_base] "i"(MARK + (USE_BASE << MARK_SHIFT)), [use_index] "i"(MARK + (USE_INDEX << MARK_SHIFT)), \
	          [lea] "i"(MARK + (LEA << MARK_SHIFT)), \
	          "r"(pin_c), "r"(pin_rip), PINNED("r"), "m"(ALL_REGISTERS(c)))
	if (o->nth == 0)
		SUM(0);
	else
		SUM(1);
#undef SUM
	return sum;
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
/* Stitched code enters a block where its first operation's cost says (stitch.h). */
#define RUN_BLOCK(first) \
	do { \
		const struct stored_op *first_ = (first); \
		CALL_STENCIL((stencil_fn *)((uintptr_t)first_ + (s64)first_->cost), (o)->kept, (uintptr_t)first_); \
		return; \
	} while (0)
#define RUN_LINKED(o) do { u64 any_; __asm__("" : "=c"(any_)); CALL_STENCIL(linked, (o)->kept, any_); return; \
	} while (0)

/* More stencils of the handler NAME, of 4 or 8 bytes: one for each register in whose place its operands may be kept, in
 * which the compiler uses the host's register itself. Their names end in the numbers of destination and source; x: as
 * in the operation. make_stencils puts them into stencil_specials. */
#define SPECIALISED_FORM(form, link, name, numbers, ...) \
	stencil_fn form##_##name##__k##numbers; \
	HANDLER_CC void form##_##name##__k##numbers(STENCIL_PARAMS) \
	{ \
		OPERATIONS(link); \
		struct op at_[3] = { ops_[0], ops_[1], ops_[2] }; \
		__VA_ARGS__; \
		text_##name(c, at_, n, 0); \
	}
#define SPECIALISED(name, numbers, ...) SPECIALISED_FORM(S, NO_LINK, name, numbers, __VA_ARGS__)
#define LINKED_AT(dst_, name) \
	SPECIALISED_FORM(L, LIKELY_LINK, name, dst_##x, at_->dst = at_->base = 8 * dst_) \
	SPECIALISED_FORM(N, SELDOM_LINK, name, dst_##x, at_->dst = at_->base = 8 * dst_)
#define DST_AT(dst_, name) SPECIALISED(name, dst_##x, at_->dst = at_->base = 8 * dst_)
#define LOAD_AT(dst_, name) SPECIALISED(name, dst_##x, at_->dst = 8 * dst_)
#define SRC_AT(src_, name) SPECIALISED(name, x##src_, at_->src = 8 * src_)
#define DST_SRC_AT(dst_, src_, name) \
	SPECIALISED(name, dst_##src_, at_->dst = at_->base = 8 * dst_; at_->src = 8 * src_)
#define DST_ANY_SRC(dst_, name) \
	DST_SRC_AT(dst_, 0, name) DST_SRC_AT(dst_, 1, name) DST_SRC_AT(dst_, 2, name) DST_SRC_AT(dst_, 3, name) \
	DST_SRC_AT(dst_, 4, name) DST_SRC_AT(dst_, 6, name) DST_SRC_AT(dst_, 7, name)
#define FOR_KEPT(do, name) do(0, name) do(1, name) do(2, name) do(3, name) do(4, name) do(6, name) do(7, name)
/* Of register forms: by the destination, and its forms with a link; by source and destination. Of forms with memory: of
 * loads, of stores. */
#define SPECIALISE_DST(name) FOR_KEPT(DST_AT, name)
#define SPECIALISE_LINKED(name) FOR_KEPT(LINKED_AT, name)
#define SPECIALISE_DST_SRC(name) FOR_KEPT(DST_ANY_SRC, name)
#define SPECIALISE_LOAD(name) FOR_KEPT(LOAD_AT, name)
#define SPECIALISE_STORE(name) FOR_KEPT(SRC_AT, name)

#endif
