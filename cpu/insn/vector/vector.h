/* SPDX-License-Identifier: MIT */
/* The construction of vector instructions. An operation is stated once, in one line, from which all its forms come:
 *
 *   VEC(addps, 32, PACKED, ADD, FAST, vec_addps(c, a, b))
 *       |      |   |       |    |     what 16 bytes of the result are (vec_fn, whose arguments are in scope)
 *       |      |   |       |    which forms there are, and which have fast handlers (below)
 *       |      |   |       enum post: what MXCSR has to do with it
 *       |      |   enum lanes: which of the second source are read
 *       |      bits of an element of the second source
 *       the mnemonic; the table's rows are addps_x and vaddps, with an MMX form also addps_mm
 *
 *   SSE      the destination is the first source; bits 255:128 stay        o->vlen = 0
 *   VEX.128  vvvv is the first source; bits 255:128 become zero                      16
 *   VEX.256  each half by itself, but for what is written out                        32
 *   EVEX     128, 256 or 512 bits; masks, broadcast, rounding: evex.h                o->zmm
 *
 * One body does them all. Operands: o->third, the first source; o->src or memory, the second; o->dst (vec_operands
 * has filled them in).
 *
 * XMM registers are always written whole, also by scalar instructions: a whole load after a partial store would wait
 * for the store to reach the cache. */
#ifndef CPU_VECTOR_H
#define CPU_VECTOR_H

#include "cpu/op.h"
#include "cpu/insn/vector/mxcsr.h"
#include "cpu/insn/vector/vec_shuffle.h"
#include "cpu/insn/vector/evex.h"

static const vec vec_zero = { 0, 0 };

/* 16 bytes, at PART, of the register that O's member WHICH names: for handlers, which may keep them (stencil.h). */
#ifdef STENCIL_KEEPS
#define vreg_get(c, o, which, part) stencil_vector_get(c, (o)->kept, (o)->at_##which, 16 * (part))
#define vreg_set(c, o, which, part, v) stencil_vector_set(c, (o)->kept, (o)->at_##which, 16 * (part), v)
#else
#define vreg_get(c, o, which, part) vec_load(&OP_VREG(c, o, which)->q[2 * (part)])
#define vreg_set(c, o, which, part, v) vec_store(&OP_VREG(c, o, which)->q[2 * (part)], v)
#endif

ALWAYS_INLINE vec xmm_get(const struct cpu *c, unsigned n) { return vec_load(&c->v[n].q[0]); }
ALWAYS_INLINE void xmm_set(struct cpu *c, unsigned n, vec v)
{
	VECTORS_WRITTEN();
	vec_store(&c->v[n].q[0], v);
}
ALWAYS_INLINE vec high_get(const struct cpu *c, unsigned n) { return vec_load(&c->v[n].q[2]); }

/* Bits 511:256, which VEX clears where AVX-512 is enabled. */
ALWAYS_INLINE void zmm_clear(struct cpu *c, unsigned n)
{
	vec_store(&c->v[n].q[4], vec_zero);
	vec_store(&c->v[n].q[6], vec_zero);
}

/* O's destination. */
ALWAYS_INLINE void ymm_set(struct cpu *c, const struct op *o, vec low, vec high)
{
	xmm_set(c, o->dst, low);
	vec_store(&c->v[o->dst].q[2], high);
	if (o->zmm)
		zmm_clear(c, o->dst);
}

/* ---- operands ---- */

/* Bytes of the second source, for a result of VLEN. */
ALWAYS_INLINE unsigned vec_reads(enum lanes lanes, unsigned bits, unsigned vlen)
{
	unsigned parts = vlen < 16 ? 1 : vlen / 16;

	switch (lanes) {
	case ONE: return bits / 8;
	case HALF: return 8 * parts;
	case QUARTER: return 4 * parts;
	case EIGHTH: return 2 * parts;
	case COUNT: return 16;
	case EVEN: return parts > 1 ? 16 * parts : 8;
	default: return 16 * parts;
	}
}

/* B's upper half, for the second 16 bytes of the result. */
ALWAYS_INLINE vec vec_second(enum lanes lanes, vec low, vec high)
{
	switch (lanes) {
	case HALF: return (vec){ low[1], 0 };
	case QUARTER: return (vec){ low[0] >> 32, 0 };
	case EIGHTH: return (vec){ low[0] >> 16, 0 };
	case COUNT: return low;
	default: return high;
	}
}

ALWAYS_INLINE enum post vec_post(enum post post, enum lanes lanes, unsigned bits)
{
	if (post >= POST_EXACT || post == POST_NONE)
		return post;
	return post | (bits == 64 ? POST_WIDE : 0) | (lanes == ONE ? 0 : POST_PACKED);
}

/* The second source: a register, whole, or SIZE bytes of memory, zero-extended. */
bool vec_operand_memory(struct cpu *c, const struct op *o, unsigned size, vec b[2]);
ALWAYS_INLINE bool vec_operand(struct cpu *c, const struct op *o, unsigned size, vec b[2])
{
	if (o->mem) {
		vec from[2]; /* so that B need not be in memory */

		if (!vec_operand_memory(c, o, size, from))
			return false;
		b[0] = from[0];
		b[1] = from[1];
	} else {
		b[0] = vec_load(&OP_VREG(c, o, src)->q[0]);
		b[1] = vec_load(&OP_VREG(c, o, src)->q[2]);
	}
	return true;
}

/* The same, of 16 bytes at most. */
ALWAYS_INLINE bool vec_source(struct cpu *c, const struct op *o, unsigned size, vec *out)
{
	vec b[2];

	if (!vec_operand(c, o, size, b))
		return false;
	*out = b[0];
	return true;
}

/* The first source's 16 bytes at PART. */
ALWAYS_INLINE vec vec_first(const struct cpu *c, const struct op *o, unsigned part)
{
	return vec_load(&OP_VREG(c, o, third)->q[2 * part]);
}

ALWAYS_INLINE unsigned vec_parts(const struct op *o) { return o->vlen == 32 ? 2 : 1; }

/* R[1] counts only where there are two parts. */
ALWAYS_INLINE void vec_result(struct cpu *c, const struct op *o, const vec r[2])
{
	xmm_set(c, o->dst, r[0]);
	if (o->vlen) {
		vec_store(&c->v[o->dst].q[2], o->vlen == 32 ? r[1] : vec_zero);
		if (o->zmm)
			zmm_clear(c, o->dst);
	}
}

/* ---- the body ---- */

ALWAYS_INLINE bool vec_body(struct cpu *c, const struct op *o, const struct evex_desc *d, vec_fn *fn, unsigned bits,
			    enum lanes lanes, enum post post)
{
	vec b[2], r[2] = { vec_zero, vec_zero };
	u32 flags = 0;

	if (o->zmm)
		return evex_run(c, o, d);
	if (!vec_operand(c, o, vec_reads(lanes, bits, o->vlen), b))
		return false;
	if (post != POST_EXACT)
		sse_begin(c);
	r[0] = sse_step(c, fn, vec_first(c, o, 0), b[0], o->imm8, 0, vec_post(post, lanes, bits), &flags);
	if (lanes != ONE && o->vlen == 32)
		r[1] = sse_step(c, fn, vec_first(c, o, 1), vec_second(lanes, b[0], b[1]), o->imm8, 1,
			vec_post(post, lanes, bits), &flags);
	if (post != POST_EXACT && !sse_done(c, flags))
		return false;
	if (lanes == NARROW && o->vlen == 32) {
		r[0] = (vec){ r[0][0], r[1][0] };
		r[1] = vec_zero;
	}
	xmm_set(c, o->dst, r[0]);
	if (o->vlen)
		vec_store(&c->v[o->dst].q[2], r[1]);
	return true;
}

/* ---- handlers ---- */

/* Declare P, the host address of the memory operand, of which SIZE bytes are read. While the host's MXCSR is not the
 * guest's, if LIVE, and for memory that the TLB does not answer, SLOW. */
#define VEC_FAST_OPERAND(p, kind, size, live, slow) \
	const u8 *p = NULL; \
	if ((live) && unlikely(!c->mxcsr_live)) \
		TAIL(slow); \
	if ((kind) != KIND_REG) { \
		p = fast_op(c, o, kind, size, false); \
		if (unlikely(!p) || ((size) >= 16 && unlikely((uintptr_t)p & ((size) - 1)) && (o->scale & OP_ALIGNED))) \
			TAIL(slow); \
	}

/* SIZE bytes of the second source, 16 at most. */
ALWAYS_INLINE vec vec_fast_source(const struct cpu *c, const struct op *o, const u8 *p, enum kind kind, unsigned size)
{
	return kind == KIND_REG ? vreg_get(c, o, src, 0) : size >= 16 ? vec_load(p) : (vec){ get_size(p, size), 0 };
}

/* VLEN is a constant here. */
ALWAYS_INLINE HANDLER_TYPE vec_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen, vec_fn *fn,
	unsigned bits, enum lanes lanes,
				    enum post post, handler *slow)
{
	const unsigned size = vec_reads(lanes, bits, vlen);
	vec a, b, low, high = vec_zero;

	VEC_FAST_OPERAND(p, kind, size, post != POST_EXACT, slow)
	b = vec_fast_source(c, o, p, kind, size);
	a = vlen ? vreg_get(c, o, third, 0) : vreg_get(c, o, dst, 0);
	low = fn(c, a, b, o->imm8, 0);
	if (vlen == 32) {
		if (size == 32)
			high = kind == KIND_REG ? vreg_get(c, o, src, 1) : vec_load(p + 16);
		high = fn(c, vreg_get(c, o, third, 1), vec_second(lanes, b, high), o->imm8, 1);
	}
	if (vlen)
		vreg_set(c, o, dst, 1, high);
	vreg_set(c, o, dst, 0, low);
	RUN(o + 1);
}

/* An element of SIZE bytes at P, in all elements. */
ALWAYS_INLINE vec vec_fast_broadcast(const u8 *p, unsigned size)
{
	const u64 v = get_size(p, size), q = size == 8 ? v : v | v << 32;

	return (vec){ q, q };
}

/* The second source's 16 bytes at PART, of SIZE bytes, which are at P if they are in memory: less than 16 of PACKED are
 * one element for all. */
ALWAYS_INLINE vec vec_fast_part(const struct cpu *c, const struct op *o, const u8 *p, enum kind kind, enum lanes lanes,
				unsigned size, unsigned part)
{
	if (lanes == PACKED && size < 16)
		return vec_fast_broadcast(p, size);
	if (lanes == COUNT)
		part = 0;
	if (part == 0)
		return vec_fast_source(c, o, p, kind, size);
	return kind == KIND_REG ? vreg_get(c, o, src, part) : vec_load(p + 16 * part);
}

/* The destination becomes PART(0) to PART(3), of which VLEN bytes are not zero. ZMM: it has 64 bytes, not 32. */
#define VEC_FAST_RESULT(vlen, zmm, PART) \
	do { \
		const vec r0 = PART(0), r1 = (vlen) >= 32 ? PART(1) : vec_zero, \
			  r2 = (vlen) == 64 ? PART(2) : vec_zero, r3 = (vlen) == 64 ? PART(3) : vec_zero; \
		if (zmm) { \
			vreg_set(c, o, dst, 3, r3); \
			vreg_set(c, o, dst, 2, r2); \
		} \
		vreg_set(c, o, dst, 1, r1); \
		vreg_set(c, o, dst, 0, r0); \
	} while (0)

/* With EVEX, but no mask; or with VEX, where AVX-512 is enabled: what is above VLEN becomes zero. Of LANES that are
 * side by side, ONE or COUNT, which have SIZE bytes in the second source (see vec_fast_part). */
ALWAYS_INLINE HANDLER_TYPE vec_fast_zmm(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen,
					vec_fn *fn, unsigned size, enum lanes lanes, enum post post, handler *slow)
{
	VEC_FAST_OPERAND(p, kind, size, post != POST_EXACT, slow)
#define PART(part) fn(c, vreg_get(c, o, third, part), vec_fast_part(c, o, p, kind, lanes, size, part), o->imm8, part)
	VEC_FAST_RESULT(vlen, true, PART);
#undef PART
	RUN(o + 1);
}

/* What a mask adds: of elements of SIZE bytes, those of ACTIVE are computed, and KEEP says with ones that the others
 * stay what they were in the destination. */
struct vec_masking { u64 active; vec keep; unsigned size; };

ALWAYS_INLINE struct vec_masking vec_masking_of(const struct cpu *c, const struct op *o, unsigned bits)
{
	const u64 keep = (u64)HERE(o)->zeroing - 1;

	return (struct vec_masking){ c->k[HERE(o)->k], { keep, keep }, bits / 8 };
}

/* 1.0, which raises no exception, where M is zeros. */
ALWAYS_INLINE vec vec_or_one(vec m, vec v, unsigned size)
{
	const u64 one = size == 8 ? 0x3ff0000000000000 : 0x3f8000003f800000;

	return vec_select(m, v, (vec){ one, one });
}

/* FN's 16 bytes at PART, with the mask. */
ALWAYS_INLINE vec vec_masked(struct cpu *c, const struct vec_masking *m, vec_fn *fn, vec old, vec a, vec b, u8 imm,
			     unsigned part, enum post post)
{
	const vec chosen = vec_mask(m->active, m->size, part);

	if (post != POST_EXACT) {
		a = vec_or_one(chosen, a, m->size);
		b = vec_or_one(chosen, b, m->size);
	}
	return (fn(c, a, b, imm, part) & chosen) | (old & m->keep & ~chosen);
}

/* With EVEX and a mask of elements of BITS: as vec_fast_zmm. An operand in memory that is all there raises no fault. */
ALWAYS_INLINE HANDLER_TYPE vec_fast_masked(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen,
					   vec_fn *fn, unsigned bits, enum lanes lanes, enum post post, handler *slow)
{
	const unsigned size = vec_reads(lanes, bits, vlen);
	const struct vec_masking m = vec_masking_of(c, o, bits);

	VEC_FAST_OPERAND(p, kind, size, post != POST_EXACT, slow)
#define PART(part) vec_masked(c, &m, fn, vreg_get(c, o, dst, part), vreg_get(c, o, third, part), \
			      vec_fast_part(c, o, p, kind, lanes, size, part), o->imm8, part, post)
	VEC_FAST_RESULT(vlen, true, PART);
#undef PART
	RUN(o + 1);
}

/* As vec_fast_zmm of PACKED lanes, and the destination is a third source; ZMM: see vec_fast_zmm, or there is nothing
 * above 32 bytes. */
ALWAYS_INLINE HANDLER_TYPE vec_fast_three(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen,
					  unsigned size, bool zmm, evex_parts3 *fn, enum post post, handler *slow)
{
	VEC_FAST_OPERAND(p, kind, size, post != POST_EXACT, slow)
#define PART(part) fn(c, vreg_get(c, o, dst, part), vreg_get(c, o, third, part), \
		      vec_fast_part(c, o, p, kind, PACKED, size, part), o->imm8, part)
	VEC_FAST_RESULT(vlen, zmm, PART);
#undef PART
	RUN(o + 1);
}

ALWAYS_INLINE vec vec_masked_three(struct cpu *c, const struct vec_masking *m, evex_parts3 *fn, vec old, vec a, vec b,
				   u8 imm, unsigned part, enum post post)
{
	const vec chosen = vec_mask(m->active, m->size, part);
	vec first = old;

	if (post != POST_EXACT) {
		first = vec_or_one(chosen, old, m->size);
		a = vec_or_one(chosen, a, m->size);
		b = vec_or_one(chosen, b, m->size);
	}
	return (fn(c, first, a, b, imm, part) & chosen) | (old & m->keep & ~chosen);
}

/* The same with a mask of elements of BITS. */
ALWAYS_INLINE HANDLER_TYPE vec_fast_three_masked(struct cpu *c, const struct op *o, s64 n, enum kind kind,
						 unsigned vlen, evex_parts3 *fn, unsigned bits, enum post post,
						 handler *slow)
{
	const struct vec_masking m = vec_masking_of(c, o, bits);

	VEC_FAST_OPERAND(p, kind, vlen, post != POST_EXACT, slow)
#define PART(part) vec_masked_three(c, &m, fn, vreg_get(c, o, dst, part), vreg_get(c, o, third, part), \
				    vec_fast_part(c, o, p, kind, PACKED, vlen, part), o->imm8, part, post)
	VEC_FAST_RESULT(vlen, true, PART);
#undef PART
	RUN(o + 1);
}

/* ---- from the line to the forms ---- */

/* With EVEX, of 32 and of 64 bytes: with a mask, from registers and from memory; and with broadcast. Elements have
 * BITS; 0 ends an array of these. */
struct vec_wide { u8 bits; handler *masked[2][2], *broadcast[2]; };

/* By enum kind; VEX forms, which are mostly addressed with an index or by a base alone, have KIND_INDEX for both. ZMM:
 * see vec_fast_zmm; of 16, 32, 64 bytes; from registers, from memory. NULL: the body. */
struct vec_handlers { handler *body, *sse[4], *vex_128[3], *vex_256[3], *zmm[3][2]; const struct vec_wide *wide; };

/* o->third and o->vlen: see above. */
void vec_operands(const struct dec *d, struct op *o, enum lanes lanes);
/* And the handler. */
void vec_choose(const struct dec *d, struct op *o, const struct vec_handlers *h, enum lanes lanes);

/* Has O, of EVEX, neither a mask, a broadcast nor a rounding, and its result in vector registers? */
static inline bool vec_is_plain(const struct op *o)
{
	return !o->k && !o->broadcast && !o->round && !o->to_memory && !o->to_mask;
}
/* One of ZMM or of WIDE (NULL: none), or BODY: O has what vec_operands fills in. */
void vec_choose_zmm(const struct dec *d, struct op *o, handler *const zmm[3][2], const struct vec_wide *wide,
		    handler *body);

#define VEC(name, size, which, exceptions, forms, expression) \
	VEC_LANES(name, expression) \
	static const struct evex_desc evex_##name = { .kind = EVEX_KIND_parts, .parts = lanes_##name, .bits = size, \
						      .lanes = which, .post = POST_##exceptions }; \
	BODY(name) { return vec_body(c, o, &evex_##name, lanes_##name, size, which, POST_##exceptions); } \
	BODY_HANDLER(name) \
	VEC_##forms(name, size, which, POST_##exceptions)

/* The lane function. */
#define VEC_LANES(name, expression) \
	ALWAYS_INLINE vec lanes_##name(struct cpu *c __attribute__((unused)), vec a __attribute__((unused)), \
		vec b __attribute__((unused)), \
				       u8 imm __attribute__((unused)), unsigned part __attribute__((unused))) { \
				       	return expression; }

/* Forms. Those of what is rarer: by body only. */
#define VEC_SSE_ONLY(name, bits, lanes, post) GEN(name) { vec_operands(d, o, lanes); o->run = h_##name; }
#define VEC_VEX_ONLY(name, bits, lanes, post) GEN(v##name) { vec_operands(d, o, lanes); o->run = h_##name; }
#define VEC_SLOW(name, bits, lanes, post) \
	GEN(name##_x) { vec_operands(d, o, lanes); o->run = h_##name; } \
	GEN(v##name) { vec_operands(d, o, lanes); o->run = h_##name; }

#define VEC_HANDLER(form, kind, vlen, name, bits, lanes, post) \
	HANDLER(h_##name##_##form) { return vec_fast(c, o, n, kind, vlen, lanes_##name, bits, lanes, post, h_##name); }
#define VEC_SSE_HANDLERS(...) \
	VEC_HANDLER(reg, KIND_REG, 0, __VA_ARGS__) VEC_HANDLER(base, KIND_BASE, 0, __VA_ARGS__) \
	VEC_HANDLER(index, KIND_INDEX, 0, __VA_ARGS__) VEC_HANDLER(seg, KIND_SEG, 0, __VA_ARGS__)
#define VEC_128_HANDLERS(...) \
	VEC_HANDLER(128_reg, KIND_REG, 16, __VA_ARGS__) VEC_HANDLER(128_index, KIND_INDEX, 16, \
		__VA_ARGS__) VEC_HANDLER(128_seg, KIND_SEG, 16, __VA_ARGS__)
#define VEC_256_HANDLERS(...) \
	VEC_HANDLER(256_reg, KIND_REG, 32, __VA_ARGS__) VEC_HANDLER(256_index, KIND_INDEX, 32, \
		__VA_ARGS__) VEC_HANDLER(256_seg, KIND_SEG, 32, __VA_ARGS__)
#define VEC_ZMM_HANDLER(form, kind, vlen, name, bits, lanes, post) \
	HANDLER(h_##name##_##form) \
	{ \
		return vec_fast_zmm(c, o, n, kind, vlen, lanes_##name, vec_reads(lanes, bits, vlen), lanes, post, \
				    h_##name); \
	}
#define VEC_ZMM_HANDLERS(size, vlen, ...) \
	VEC_ZMM_HANDLER(zmm##size##_reg, KIND_REG, vlen, __VA_ARGS__) \
	VEC_ZMM_HANDLER(zmm##size##_index, KIND_INDEX, vlen, __VA_ARGS__)
#define VEC_ZMM(name, size) { h_##name##_zmm##size##_reg, h_##name##_zmm##size##_index }
/* And what struct vec_wide has, of elements of BITS. */
#define VEC_MASKED_HANDLER(form, kind, vlen, name, bits, lanes, post) \
	HANDLER(h_##name##_##form) \
	{ \
		return vec_fast_masked(c, o, n, kind, vlen, lanes_##name, bits, lanes, post, h_##name); \
	}
#define VEC_MASKED_HANDLERS(name, bits, lanes, post) \
	VEC_MASKED_HANDLER(k##bits##_256_reg, KIND_REG, 32, name, bits, lanes, post) \
	VEC_MASKED_HANDLER(k##bits##_256_index, KIND_INDEX, 32, name, bits, lanes, post) \
	VEC_MASKED_HANDLER(k##bits##_512_reg, KIND_REG, 64, name, bits, lanes, post) \
	VEC_MASKED_HANDLER(k##bits##_512_index, KIND_INDEX, 64, name, bits, lanes, post)
#define VEC_BROADCAST_HANDLERS(name, bits, post) \
	HANDLER(h_##name##_all##bits##_256) \
	{ \
		return vec_fast_zmm(c, o, n, KIND_INDEX, 32, lanes_##name, (bits) / 8, PACKED, post, h_##name); \
	} \
	HANDLER(h_##name##_all##bits##_512) \
	{ \
		return vec_fast_zmm(c, o, n, KIND_INDEX, 64, lanes_##name, (bits) / 8, PACKED, post, h_##name); \
	}
#define VEC_MASKED(name, size) \
	size, .masked = { { h_##name##_k##size##_256_reg, h_##name##_k##size##_256_index }, \
				  { h_##name##_k##size##_512_reg, h_##name##_k##size##_512_index } }
#define VEC_BROADCAST(name, size) .broadcast = { h_##name##_all##size##_256, h_##name##_all##size##_512 }
#define VEC_WIDE_8(name, lanes, post) VEC_MASKED_HANDLERS(name, 8, lanes, post)
#define VEC_WIDE_16(name, lanes, post) VEC_MASKED_HANDLERS(name, 16, lanes, post)
#define VEC_WIDE_32(name, lanes, post) VEC_MASKED_HANDLERS(name, 32, lanes, post) VEC_BROADCAST_HANDLERS(name, 32, post)
#define VEC_WIDE_64(name, lanes, post) VEC_MASKED_HANDLERS(name, 64, lanes, post) VEC_BROADCAST_HANDLERS(name, 64, post)
#define VEC_WIDES_8(name) { VEC_MASKED(name, 8) }
#define VEC_WIDES_16(name) { VEC_MASKED(name, 16) }
#define VEC_WIDES_32(name) { VEC_MASKED(name, 32), VEC_BROADCAST(name, 32) }
#define VEC_WIDES_64(name) { VEC_MASKED(name, 64), VEC_BROADCAST(name, 64) }

#define VEC_CHOOSE(name, lanes, ...) \
	static const struct vec_handlers handlers_##name = { h_##name, __VA_ARGS__ }; \
	GEN(name##_x) { vec_choose(d, o, &handlers_##name, lanes); } \
	GEN(v##name) { vec_choose(d, o, &handlers_##name, lanes); }

/* SSE forms are fast. */
#define VEC_FAST_SSE(name, bits, lanes, post) \
	VEC_SSE_HANDLERS(name, bits, lanes, post) \
	VEC_CHOOSE(name, lanes, { h_##name##_reg, h_##name##_base, h_##name##_index, h_##name##_seg }, { 0 }, { 0 }, \
		   { { 0 } }, NULL)
/* SSE and VEX.128. */
#define VEC_FAST_128(name, bits, lanes, post) \
	VEC_SSE_HANDLERS(name, bits, lanes, post) \
	VEC_128_HANDLERS(name, bits, lanes, post) \
	VEC_ZMM_HANDLERS(128, 16, name, bits, lanes, post) \
	VEC_CHOOSE(name, lanes, { h_##name##_reg, h_##name##_base, h_##name##_index, h_##name##_seg }, \
		   { h_##name##_128_reg, h_##name##_128_index, h_##name##_128_seg }, { 0 }, { VEC_ZMM(name, 128) }, NULL)
/* All. */
#define VEC_FAST(name, bits, lanes, post) \
	VEC_WIDE_##bits(name, lanes, post) \
	static const struct vec_wide wide_##name[] = { VEC_WIDES_##bits(name), { 0 } }; \
	VEC_ALL(name, bits, lanes, post)
/* The same of an operation that has EVEX with elements of two sizes, and of all sizes. */
#define VEC_FAST_DQ(name, bits, lanes, post) \
	VEC_WIDE_32(name, lanes, post) VEC_WIDE_64(name, lanes, post) \
	static const struct vec_wide wide_##name[] = { VEC_WIDES_32(name), VEC_WIDES_64(name), { 0 } }; \
	VEC_ALL(name, bits, lanes, post)
#define VEC_FAST_BWDQ(name, bits, lanes, post) \
	VEC_MASKED_HANDLERS(name, 8, lanes, post) VEC_MASKED_HANDLERS(name, 16, lanes, post) \
	VEC_MASKED_HANDLERS(name, 32, lanes, post) VEC_MASKED_HANDLERS(name, 64, lanes, post) \
	static const struct vec_wide wide_##name[] = { { VEC_MASKED(name, 8) }, { VEC_MASKED(name, 16) }, \
						       { VEC_MASKED(name, 32) }, { VEC_MASKED(name, 64) }, { 0 } }; \
	VEC_ALL(name, bits, lanes, post)
#define VEC_ALL(name, bits, lanes, post) \
	VEC_SSE_HANDLERS(name, bits, lanes, post) \
	VEC_128_HANDLERS(name, bits, lanes, post) \
	VEC_256_HANDLERS(name, bits, lanes, post) \
	VEC_ZMM_HANDLERS(128, 16, name, bits, lanes, post) \
	VEC_ZMM_HANDLERS(256, 32, name, bits, lanes, post) \
	VEC_ZMM_HANDLERS(512, 64, name, bits, lanes, post) \
	VEC_CHOOSE(name, lanes, { h_##name##_reg, h_##name##_base, h_##name##_index, h_##name##_seg }, \
		   { h_##name##_128_reg, h_##name##_128_index, h_##name##_128_seg }, \
		   { h_##name##_256_reg, h_##name##_256_index, h_##name##_256_seg }, \
		   { VEC_ZMM(name, 128), VEC_ZMM(name, 256), VEC_ZMM(name, 512) }, wide_##name)

/* The same with an MMX form, of which one source and the result are 8 bytes (mmx.h). */
#define VEC_MM_SLOW(name, ...) MMX_BODY(name, lanes_##name, 8) VEC_SLOW(name, __VA_ARGS__)
#define VEC_MM_FAST(name, ...) MMX_BODY(name, lanes_##name, 8) VEC_FAST(name, __VA_ARGS__)
#define VEC_MM_FAST_DQ(name, ...) MMX_BODY(name, lanes_##name, 8) VEC_FAST_DQ(name, __VA_ARGS__)

/* An operation whose body is written out: BODY(name), with the operands as above. */
#define VEC_OWN(name) BODY_HANDLER(name) VEC_SLOW(name, 0, PACKED, POST_EXACT)
#define VEC_OWN_ONE(name) BODY_HANDLER(name) VEC_SLOW(name, 0, ONE, POST_EXACT)
#define VEC_OWN_VEX(name) BODY_HANDLER(name) VEC_VEX_ONLY(name, 0, PACKED, POST_EXACT)
/* NAME has all the forms of OTHER. */
#define VEC_ALIAS(name, other) GEN(name##_x) { gen_##other##_x(d, o); } GEN(v##name) { gen_v##other(d, o); }

#endif
