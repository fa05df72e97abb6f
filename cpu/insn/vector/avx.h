/* How VEX instructions are made of vector functions. What SSE does to a register, VEX.128 does to its low half, and VEX.256 to both
 * halves, each by itself; the exceptions are written out where they are.
 *
 *   Whatever VEX writes, it writes whole: what a 128-bit or scalar operation does not define becomes
 *   zero.
 *
 * Operands: o->dst; o->third = VEX.vvvv, the first source; o->src or memory, the second. Bodies have a constant WIDE: VEX.256. */
#ifndef CPU_AVX_H
#define CPU_AVX_H

#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_shuffle.h"

static const vec vec_zero = { 0, 0 };

ALWAYS_INLINE vec high_get(const struct cpu *c, unsigned n) { return vec_load(&c->v[n].q[2]); }

ALWAYS_INLINE void ymm_set(struct cpu *c, unsigned n, vec low, vec high)
{
	vec_store(&c->v[n], low);
	vec_store(&c->v[n].q[2], high);
}

/* The second source: a register, whole, or SIZE bytes of memory, zero-extended. */
ALWAYS_INLINE bool avx_source(struct cpu *c, const struct op *o, unsigned size, vec b[2])
{
	if (o->mem && size == 32)
		return op_load_block(c, o, b, 32);
	b[1] = o->mem ? vec_zero : high_get(c, o->src);
	return vec_source(c, o, size, &b[0]);
}

/* Both halves by FN; SIZE bytes of each are read. */
ALWAYS_INLINE bool avx_vec(struct cpu *c, const struct op *o, vec_fn *fn, unsigned size, bool wide)
{
	vec b[2];

	if (!avx_source(c, o, wide ? 2 * size : size, b))
		return false;
	ymm_set(c, o->dst, fn(xmm_get(c, o->third), b[0]), wide ? fn(high_get(c, o->third), b[1]) : vec_zero);
	return true;
}

/* With an immediate, of which the upper half uses what is above BITS. */
ALWAYS_INLINE bool avx_imm(struct cpu *c, const struct op *o, vec_imm_fn *fn, unsigned bits, bool wide)
{
	vec b[2];

	if (!avx_source(c, o, wide ? 32 : 16, b))
		return false;
	ymm_set(c, o->dst, fn(xmm_get(c, o->third), b[0], o->imm8),
		wide ? fn(high_get(c, o->third), b[1], (u8)(o->imm8 >> bits)) : vec_zero);
	return true;
}

/* FN makes 16 bytes of SIZE, and these are next to each other in the source. */
ALWAYS_INLINE bool avx_widen(struct cpu *c, const struct op *o, vec_fn *fn, unsigned size, bool wide)
{
	vec b;

	if (!vec_source(c, o, wide ? 2 * size : size, &b))
		return false;
	ymm_set(c, o->dst, fn(vec_zero, b), wide ? fn(vec_zero, vec_psrldq(b, size)) : vec_zero);
	return true;
}

/* R = FN(A, B) in both halves, with the exceptions of both. */
ALWAYS_INLINE bool avx_apply(struct cpu *c, fp_fn *fn, const vec a[2], const vec b[2], enum post post, bool wide, vec r[2])
{
	u32 flags = 0;

	sse_begin(c);
	r[0] = sse_step(c, fn, a[0], b[0], post, &flags);
	r[1] = wide ? sse_step(c, fn, a[1], b[1], post, &flags) : vec_zero;
	return sse_done(c, flags);
}

ALWAYS_INLINE bool avx_fp(struct cpu *c, const struct op *o, fp_fn *fn, unsigned size, enum post post, bool wide)
{
	vec a[2] = { xmm_get(c, o->third), wide ? high_get(c, o->third) : vec_zero }, b[2], r[2];

	if (!avx_source(c, o, wide ? 2 * size : size, b) || !avx_apply(c, fn, a, b, post, wide, r))
		return false;
	ymm_set(c, o->dst, r[0], r[1]);
	return true;
}

/* NAME: HOW(c, o, ..., wide), for both lengths; and for VEX.128 and VEX.LIG alone. */
#define AVX(name, how, ...) \
	BODY(name##_128) { return how(c, o, __VA_ARGS__, false); } \
	BODY_HANDLER(name##_128) \
	BODY(name##_256) { return how(c, o, __VA_ARGS__, true); } \
	BODY_HANDLER(name##_256) \
	GEN(name) { o->run = d->vex_l ? h_##name##_256 : h_##name##_128; }
#define AVX_128(name, how, ...) \
	BODY(name) { return how(c, o, __VA_ARGS__, false); } \
	GEN_BODY(name)

/* ---- fast paths, for what memory and string functions are made of ---- */

ALWAYS_INLINE HANDLER_TYPE avx_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, vec_fn *fn, unsigned size, bool wide, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);
	vec low, high = vec_zero;

	if (kind != KIND_REG && wide) {
		p = fast_op(c, o, kind, 32, false);
		if (unlikely((uintptr_t)p & 31) && (o->scale & 0x80))
			TAIL(slow);
	}
	if (unlikely(!p))
		TAIL(slow);
	low = fn(xmm_get(c, o->third), vec_load_size(p, kind, size));
	if (wide)
		high = fn(high_get(c, o->third), kind == KIND_REG ? high_get(c, o->src) : vec_load(p + 16));
	ymm_set(c, o->dst, low, high);
	RUN(o + 1);
}

/* Floating point, while the host's MXCSR is the guest's. */
ALWAYS_INLINE HANDLER_TYPE avx_fp_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, fp_fn *fn, unsigned size, bool wide, handler *slow)
{
	const u8 *p = kind != KIND_REG && wide ? fast_op(c, o, kind, 32, false) : vec_fast_source(c, o, kind, size);
	vec low, high = vec_zero;

	if (unlikely(!p) || unlikely(!c->mxcsr_live))
		TAIL(slow);
	low = fn(c, xmm_get(c, o->third), vec_load_size(p, kind, size));
	if (wide)
		high = fn(c, high_get(c, o->third), kind == KIND_REG ? high_get(c, o->src) : vec_load(p + 16));
	ymm_set(c, o->dst, low, high);
	RUN(o + 1);
}

#define AVX_FAST(name, fn) \
	BODY(name##_128) { return avx_vec(c, o, fn, 16, false); } \
	BODY_HANDLER(name##_128) \
	BODY(name##_256) { return avx_vec(c, o, fn, 16, true); } \
	BODY_HANDLER(name##_256) \
	static HANDLER(h_##name##_128_reg) { return avx_fast(c, o, n, KIND_REG, fn, 16, false, h_##name##_128); } \
	static HANDLER(h_##name##_128_index) { return avx_fast(c, o, n, KIND_INDEX, fn, 16, false, h_##name##_128); } \
	static HANDLER(h_##name##_128_seg) { return avx_fast(c, o, n, KIND_SEG, fn, 16, false, h_##name##_128); } \
	static HANDLER(h_##name##_256_reg) { return avx_fast(c, o, n, KIND_REG, fn, 16, true, h_##name##_256); } \
	static HANDLER(h_##name##_256_index) { return avx_fast(c, o, n, KIND_INDEX, fn, 16, true, h_##name##_256); } \
	static HANDLER(h_##name##_256_seg) { return avx_fast(c, o, n, KIND_SEG, fn, 16, true, h_##name##_256); } \
	GEN(name) \
	{ \
		static handler *const forms[2][4] = { \
			{ h_##name##_128_reg, h_##name##_128_index, h_##name##_128_index, h_##name##_128_seg }, \
			{ h_##name##_256_reg, h_##name##_256_index, h_##name##_256_index, h_##name##_256_seg }, /* in the order of enum kind */ \
		}; \
		o->run = forms[d->vex_l][dec_kind_of_memory(d)]; \
	}
#define AVX_128_FAST(name, fn, size) \
	BODY(name) { return avx_vec(c, o, fn, size, false); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return avx_fast(c, o, n, KIND_REG, fn, size, false, h_##name); } \
	static HANDLER(h_##name##_index) { return avx_fast(c, o, n, KIND_INDEX, fn, size, false, h_##name); } \
	static HANDLER(h_##name##_seg) { return avx_fast(c, o, n, KIND_SEG, fn, size, false, h_##name); } \
	GEN(name) \
	{ \
		static handler *const forms[4] = { h_##name##_reg, h_##name##_index, h_##name##_index, h_##name##_seg }; \
		o->run = forms[dec_kind_of_memory(d)]; \
	}

#endif
