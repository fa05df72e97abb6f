/* Comparisons: CMPxx into masks, COMISx and UCOMISx into EFLAGS. */
#include "cpu/insn/vector/vector.h"

/* CMPxx xmm, xmm/m, predicate. */
ALWAYS_INLINE HANDLER_TYPE cmp_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, fp_imm_fn *fn, unsigned size, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);

	if (unlikely(!p) || unlikely(!c->mxcsr_live))
		TAIL(slow);
	xmm_set(c, o->dst, fn(c, xmm_get(c, o->dst), vec_load_size(p, kind, size), o->imm8));
	RUN(o + 1);
}

#define FP_CMP(name, fn, size) \
	BODY(name) { return fp_imm_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return cmp_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	static HANDLER(h_##name##_base) { return cmp_fast(c, o, n, KIND_BASE, fn, size, h_##name); } \
	static HANDLER(h_##name##_index) { return cmp_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	static HANDLER(h_##name##_seg) { return cmp_fast(c, o, n, KIND_SEG, fn, size, h_##name); } \
	GEN_KINDS(name)

FP_CMP(cmpps, vec_cmpps, 16)
FP_CMP(cmppd, vec_cmppd, 16)
FP_CMP(cmpss, vec_cmpss, 4)
FP_CMP(cmpsd_x, vec_cmpsd, 8)

/* COMISx differs from UCOMISx in that a quiet NaN, too, is an invalid operand. ZF, PF, CF: unordered 111, > 000, < 001, = 100; OF, SF,
 * AF = 0. In the lazy form (cpu.h): the result is 0 or 1, whose parities are even and odd; fix.2 turns PF where ZF stands alone. */
typedef void compare_fn(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf);

ALWAYS_INLINE void set_compared(struct cpu *c, u8 zf, u8 pf, u8 cf)
{
	c->res = zf ^ 1;
	c->fix = (u8)((zf & ~pf) << 2);
	c->cv = (0 - (u64)cf) << 62;
}

ALWAYS_INLINE bool compare_body(struct cpu *c, const struct op *o, compare_fn *fn, unsigned size)
{
	u8 zf, pf, cf;
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	sse_begin(c);
	fn(c, xmm_get(c, o->dst), b, &zf, &pf, &cf);
	if (!sse_end_plain(c))
		return false;
	set_compared(c, zf, pf, cf);
	return true;
}

ALWAYS_INLINE void compare(struct cpu *c, vec a, vec b, compare_fn *fn)
{
	u8 zf, pf, cf;

	fn(c, a, b, &zf, &pf, &cf);
	set_compared(c, zf, pf, cf);
}

ALWAYS_INLINE HANDLER_TYPE compare_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, compare_fn *fn, unsigned size, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);

	if (unlikely(!p) || unlikely(!c->mxcsr_live))
		TAIL(slow);
	compare(c, xmm_get(c, o->dst), vec_load_size(p, kind, size), fn);
	RUN(o + 1);
}

#define FP_COMPARE(name, fn, size) \
	BODY(name) { return compare_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return compare_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	static HANDLER(h_##name##_base) { return compare_fast(c, o, n, KIND_BASE, fn, size, h_##name); } \
	static HANDLER(h_##name##_index) { return compare_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	static HANDLER(h_##name##_seg) { return compare_fast(c, o, n, KIND_SEG, fn, size, h_##name); } \
	GEN_KINDS(name)

FP_COMPARE(ucomiss, vec_ucomiss, 4)
FP_COMPARE(ucomisd, vec_ucomisd, 8)
FP_COMPARE(comiss, vec_comiss, 4)
FP_COMPARE(comisd, vec_comisd, 8)
