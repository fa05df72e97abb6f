/* How SSE instructions are made of vector functions: operands, alignment, the fast path to memory, and MXCSR.
 *
 * XMM registers are always written whole, also by scalar instructions: a whole load after a partial store would wait for the store to
 * reach the cache.
 *
 * MXCSR. While floating-point instructions run, the host's MXCSR is the guest's: same rounding, DAZ, FTZ, and its sticky flags are the
 * guest's sticky flags (c->mxcsr_live; c->mxcsr then lacks new flags). It becomes so with the first floating-point instruction, which
 * saves the host's own, and ends with sse_park(c), which must be called before
 *   - anything looks at c->mxcsr (STMXCSR, FXSAVE, a snapshot),
 *   - anything else computes with the host's SSE unit (devices, callbacks, the user's program): cpu_sync and the end of cpu_run.
 * A guest with an exception unmasked never goes live: its instructions run one by one with everything masked, and what they raised is
 * looked at before the result is stored (SDM vol. 1, 11.5). */
#ifndef CPU_SSE_H
#define CPU_SSE_H

#include "cpu/op.h"
#include "cpu/insn/vector/vec_fp.h"

enum { MXCSR_IE = 1, MXCSR_DE = 2, MXCSR_ZE = 4, MXCSR_OE = 8, MXCSR_UE = 0x10, MXCSR_PE = 0x20, MXCSR_FLAGS = 0x3f, MXCSR_DAZ = 0x40,
       MXCSR_IM = 0x80, MXCSR_OM = 0x400, MXCSR_UM = 0x800, MXCSR_PM = 0x1000, MXCSR_MASKS = 0x1f80, MXCSR_RC = 0x6000, MXCSR_FTZ = 0x8000,
       MXCSR_MASK = 0xffff /* bits that exist */, MXCSR_RESET = 0x1f80 };

/* Which operation, on which lanes: what must be known to say precisely what an unmasked overflow or underflow leaves in MXCSR. */
enum post { POST_NONE /* results never overflow or underflow */, POST_ADD, POST_MUL /* and division */, POST_NARROW /* 64 to 32 bits */, POST_CLASS = 3,
            POST_WIDE = 4, POST_PACKED = 8,
            ADD_SS = POST_ADD, ADD_SD = ADD_SS | POST_WIDE, ADD_PS = ADD_SS | POST_PACKED, ADD_PD = ADD_SD | POST_PACKED,
            MUL_SS = POST_MUL, MUL_SD = MUL_SS | POST_WIDE, MUL_PS = MUL_SS | POST_PACKED, MUL_PD = MUL_SD | POST_PACKED,
            NARROW_SD = POST_NARROW | POST_WIDE, NARROW_PD = NARROW_SD | POST_PACKED };

/* For what is computed without the host's floating point: as if an operation had found FLAGS. False: an unmasked one is among them. */
bool sse_raise(struct cpu *c, u32 flags);

/* Around floating-point operations in a body. sse_end: false if an unmasked exception is raised: then nothing must be stored. R = FN(A, B)
 * is what was computed (FN NULL for POST_NONE). */
void sse_begin_slow(struct cpu *c);
bool sse_end_slow(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post);
/* An instruction of several operations: their flags are collected, and count together. */
u32 sse_step_slow(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post);
bool sse_done_slow(struct cpu *c, u32 flags);

static inline void sse_begin(struct cpu *c)
{
	if (unlikely(!c->mxcsr_live))
		sse_begin_slow(c);
}

ALWAYS_INLINE bool sse_end(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post)
{
	return likely(c->mxcsr_live) || sse_end_slow(c, post ? fn : NULL, a, b, post);
}

ALWAYS_INLINE bool sse_end_plain(struct cpu *c)
{
	return likely(c->mxcsr_live) || sse_end_slow(c, NULL, (vec){ 0, 0 }, (vec){ 0, 0 }, POST_NONE);
}

/* *R = FN(A, B) with exceptions. */
ALWAYS_INLINE bool sse_apply(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post, vec *r)
{
	sse_begin(c);
	*r = fn(c, a, b);
	return sse_end(c, fn, a, b, post);
}

/* One of several between sse_begin and sse_done. */
ALWAYS_INLINE vec sse_step(struct cpu *c, fp_fn *fn, vec a, vec b, enum post post, u32 *flags)
{
	vec r = fn(c, a, b);

	if (unlikely(!c->mxcsr_live))
		*flags |= sse_step_slow(c, post ? fn : NULL, a, b, post);
	return r;
}

ALWAYS_INLINE bool sse_done(struct cpu *c, u32 flags) { return likely(c->mxcsr_live) || sse_done_slow(c, flags); }

#define ODD_PS ((vec){ 0xffffffff00000000, 0xffffffff00000000 })
#define ODD_PD ((vec){ 0, ~(u64)0 })

/* A - B in even lanes, A + B in those of ODD. Subtraction is not addition of -B: another NaN may result. So both are computed, each with
 * zeros where the other's lanes are. */
ALWAYS_INLINE vec sse_addsub(struct cpu *c, fp_fn *sub, fp_fn *add, vec odd, vec a, vec b, enum post post, u32 *flags)
{
	vec even_result = sse_step(c, sub, a & ~odd, b & ~odd, post, flags);

	return vec_select(odd, sse_step(c, add, a & odd, b & odd, post, flags), even_result);
}

ALWAYS_INLINE vec xmm_get(const struct cpu *c, unsigned n) { return vec_load(&c->v[n]); }
ALWAYS_INLINE void xmm_set(struct cpu *c, unsigned n, vec v) { vec_store(&c->v[n], v); }

/* ---- bodies ---- */

/* The source operand: a register, whole, or SIZE bytes of memory, zero-extended. */
ALWAYS_INLINE bool vec_source(struct cpu *c, const struct op *o, unsigned size, vec *out)
{
	u64 v;

	if (!o->mem) {
		*out = xmm_get(c, o->src);
		return true;
	}
	if (size == 16)
		return op_load_block(c, o, out, 16);
	if (!op_load(c, o, size, &v))
		return false;
	*out = (vec){ v, 0 };
	return true;
}

ALWAYS_INLINE bool vec_body(struct cpu *c, const struct op *o, vec_fn *fn, unsigned size)
{
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	xmm_set(c, o->dst, fn(xmm_get(c, o->dst), b));
	return true;
}

ALWAYS_INLINE bool vec_imm_body(struct cpu *c, const struct op *o, vec_imm_fn *fn, unsigned size)
{
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	xmm_set(c, o->dst, fn(xmm_get(c, o->dst), b, o->imm8));
	return true;
}

ALWAYS_INLINE bool fp_body(struct cpu *c, const struct op *o, fp_fn *fn, unsigned size, enum post post)
{
	vec b, r;

	if (!vec_source(c, o, size, &b) || !sse_apply(c, fn, xmm_get(c, o->dst), b, post, &r))
		return false;
	xmm_set(c, o->dst, r);
	return true;
}

ALWAYS_INLINE bool fp_imm_body(struct cpu *c, const struct op *o, fp_imm_fn *fn, unsigned size)
{
	vec b, r;

	if (!vec_source(c, o, size, &b))
		return false;
	sse_begin(c);
	r = fn(c, xmm_get(c, o->dst), b, o->imm8);
	if (!sse_end_plain(c))
		return false;
	xmm_set(c, o->dst, r);
	return true;
}

/* ---- handlers ---- */

/* Host address of the source operand, or NULL: the slow path. */
ALWAYS_INLINE const u8 *vec_fast_source(const struct cpu *c, const struct op *o, enum kind kind, unsigned size)
{
	const u8 *p;

	if (kind == KIND_REG)
		return c->v[o->src].b;
	p = fast_op(c, o, kind, size, false);
	if (size == 16 && unlikely((uintptr_t)p & 15) && (o->scale & 0x80))
		return NULL;
	return p;
}

ALWAYS_INLINE vec vec_load_size(const u8 *p, enum kind kind, unsigned size)
{
	return kind == KIND_REG || size == 16 ? vec_load(p) : (vec){ get_size(p, size), 0 };
}

ALWAYS_INLINE HANDLER_TYPE vec_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, vec_fn *fn, unsigned size, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);

	if (unlikely(!p))
		TAIL(slow);
	xmm_set(c, o->dst, fn(xmm_get(c, o->dst), vec_load_size(p, kind, size)));
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE vec_imm_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, vec_imm_fn *fn, unsigned size, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);

	if (unlikely(!p))
		TAIL(slow);
	xmm_set(c, o->dst, fn(xmm_get(c, o->dst), vec_load_size(p, kind, size), o->imm8));
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE fp_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, fp_fn *fn, unsigned size, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);

	if (unlikely(!p) || unlikely(!c->mxcsr_live))
		TAIL(slow);
	xmm_set(c, o->dst, fn(c, xmm_get(c, o->dst), vec_load_size(p, kind, size)));
	RUN(o + 1);
}

/* The gen function that chooses among h_NAME_reg, _base, _index, _seg. */
#define GEN_KINDS(name) \
	GEN(name) \
	{ \
		static handler *const by_kind[] = { [KIND_REG] = h_##name##_reg, [KIND_BASE] = h_##name##_base, \
		                                    [KIND_INDEX] = h_##name##_index, [KIND_SEG] = h_##name##_seg }; \
		o->run = by_kind[dec_kind_of_memory(d)]; \
	}

/* NAME: dst = FN(dst, source of SIZE bytes). */
#define VEC_OP(name, fn, size) \
	BODY(name) { return vec_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return vec_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	static HANDLER(h_##name##_base) { return vec_fast(c, o, n, KIND_BASE, fn, size, h_##name); } \
	static HANDLER(h_##name##_index) { return vec_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	static HANDLER(h_##name##_seg) { return vec_fast(c, o, n, KIND_SEG, fn, size, h_##name); } \
	GEN_KINDS(name)

/* NAME: dst = FN(dst, source, imm8). */
#define VEC_IMM_OP(name, fn, size) \
	BODY(name) { return vec_imm_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return vec_imm_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	static HANDLER(h_##name##_base) { return vec_imm_fast(c, o, n, KIND_BASE, fn, size, h_##name); } \
	static HANDLER(h_##name##_index) { return vec_imm_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	static HANDLER(h_##name##_seg) { return vec_imm_fast(c, o, n, KIND_SEG, fn, size, h_##name); } \
	GEN_KINDS(name)

/* The same with MXCSR. */
#define FP_OP(name, fn, size, post) \
	BODY(name) { return fp_body(c, o, fn, size, post); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return fp_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	static HANDLER(h_##name##_base) { return fp_fast(c, o, n, KIND_BASE, fn, size, h_##name); } \
	static HANDLER(h_##name##_index) { return fp_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	static HANDLER(h_##name##_seg) { return fp_fast(c, o, n, KIND_SEG, fn, size, h_##name); } \
	GEN_KINDS(name)

/* Those that are rarer: by body only. */
#define VEC_SLOW_OP(name, fn, size) \
	BODY(name) { return vec_body(c, o, fn, size); } \
	GEN_BODY(name)
#define VEC_SLOW_IMM_OP(name, fn, size) \
	BODY(name) { return vec_imm_body(c, o, fn, size); } \
	GEN_BODY(name)

#endif
