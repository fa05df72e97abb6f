/* Floating-point arithmetic of AVX: what vec_fp.h defines. Scalar operations keep the first source's other elements. */
#include "cpu/insn/vector/avx.h"

#define PACKED(name, fn, post) \
	BODY(name##_128) { return avx_fp(c, o, fn, 16, post, false); } \
	BODY_HANDLER(name##_128) \
	BODY(name##_256) { return avx_fp(c, o, fn, 16, post, true); } \
	BODY_HANDLER(name##_256) \
	static HANDLER(h_##name##_128_reg) { return avx_fp_fast(c, o, n, KIND_REG, fn, 16, false, h_##name##_128); } \
	static HANDLER(h_##name##_128_index) { return avx_fp_fast(c, o, n, KIND_INDEX, fn, 16, false, h_##name##_128); } \
	static HANDLER(h_##name##_256_reg) { return avx_fp_fast(c, o, n, KIND_REG, fn, 16, true, h_##name##_256); } \
	static HANDLER(h_##name##_256_index) { return avx_fp_fast(c, o, n, KIND_INDEX, fn, 16, true, h_##name##_256); } \
	GEN(name) \
	{ \
		static handler *const forms[2][4] = { \
			{ h_##name##_128_reg, h_##name##_128_index, h_##name##_128_index, h_##name##_128 }, \
			{ h_##name##_256_reg, h_##name##_256_index, h_##name##_256_index, h_##name##_256 }, /* in the order of enum kind */ \
		}; \
		o->run = forms[d->vex_l][dec_kind_of_memory(d)]; \
	}
#define SCALAR(name, fn, size, post) \
	BODY(name) { return avx_fp(c, o, fn, size, post, false); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return avx_fp_fast(c, o, n, KIND_REG, fn, size, false, h_##name); } \
	static HANDLER(h_##name##_index) { return avx_fp_fast(c, o, n, KIND_INDEX, fn, size, false, h_##name); } \
	GEN(name) \
	{ \
		static handler *const forms[4] = { h_##name##_reg, h_##name##_index, h_##name##_index, h_##name }; \
		o->run = forms[dec_kind_of_memory(d)]; \
	}

PACKED(vaddps, vec_addps, ADD_PS)
PACKED(vaddpd, vec_addpd, ADD_PD)
SCALAR(vaddss, vec_addss, 4, ADD_SS)
SCALAR(vaddsd, vec_addsd, 8, ADD_SD)
PACKED(vsubps, vec_subps, ADD_PS)
PACKED(vsubpd, vec_subpd, ADD_PD)
SCALAR(vsubss, vec_subss, 4, ADD_SS)
SCALAR(vsubsd, vec_subsd, 8, ADD_SD)
PACKED(vmulps, vec_mulps, MUL_PS)
PACKED(vmulpd, vec_mulpd, MUL_PD)
SCALAR(vmulss, vec_mulss, 4, MUL_SS)
SCALAR(vmulsd, vec_mulsd, 8, MUL_SD)
PACKED(vdivps, vec_divps, MUL_PS)
PACKED(vdivpd, vec_divpd, MUL_PD)
SCALAR(vdivss, vec_divss, 4, MUL_SS)
SCALAR(vdivsd, vec_divsd, 8, MUL_SD)
PACKED(vminps, vec_minps, POST_NONE)
PACKED(vminpd, vec_minpd, POST_NONE)
SCALAR(vminss, vec_minss, 4, POST_NONE)
SCALAR(vminsd, vec_minsd, 8, POST_NONE)
PACKED(vmaxps, vec_maxps, POST_NONE)
PACKED(vmaxpd, vec_maxpd, POST_NONE)
SCALAR(vmaxss, vec_maxss, 4, POST_NONE)
SCALAR(vmaxsd, vec_maxsd, 8, POST_NONE)
PACKED(vsqrtps, vec_sqrtps, POST_NONE)
PACKED(vsqrtpd, vec_sqrtpd, POST_NONE)
SCALAR(vsqrtss, vec_sqrtss, 4, POST_NONE)
SCALAR(vsqrtsd, vec_sqrtsd, 8, POST_NONE)

AVX(vrcpps, avx_vec, vec_rcpps, 16)
AVX_128(vrcpss, avx_vec, vec_rcpss, 4)
AVX(vrsqrtps, avx_vec, vec_rsqrtps, 16)
AVX_128(vrsqrtss, avx_vec, vec_rsqrtss, 4)

/* ---- neighbours, within halves ---- */

ALWAYS_INLINE bool horizontal(struct cpu *c, const struct op *o, fp_fn *fn, enum post post, bool wide)
{
	vec a[2] = { xmm_get(c, o->third), high_get(c, o->third) }, b[2], even[2], odd[2], r[2];

	if (!avx_source(c, o, wide ? 32 : 16, b))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		even[i] = post & POST_WIDE ? vec_even64(a[i], b[i]) : vec_even32(a[i], b[i]);
		odd[i] = post & POST_WIDE ? vec_odd64(a[i], b[i]) : vec_odd32(a[i], b[i]);
	}
	if (!avx_apply(c, fn, even, odd, post, wide, r))
		return false;
	ymm_set(c, o->dst, r[0], r[1]);
	return true;
}

AVX(vhaddps, horizontal, vec_addps, ADD_PS)
AVX(vhaddpd, horizontal, vec_addpd, ADD_PD)
AVX(vhsubps, horizontal, vec_subps, ADD_PS)
AVX(vhsubpd, horizontal, vec_subpd, ADD_PD)

ALWAYS_INLINE bool addsub(struct cpu *c, const struct op *o, fp_fn *sub, fp_fn *add, vec odd, enum post post, bool wide)
{
	vec b[2], low, high = vec_zero;
	u32 flags = 0;

	if (!avx_source(c, o, wide ? 32 : 16, b))
		return false;
	sse_begin(c);
	low = sse_addsub(c, sub, add, odd, xmm_get(c, o->third), b[0], post, &flags);
	if (wide)
		high = sse_addsub(c, sub, add, odd, high_get(c, o->third), b[1], post, &flags);
	if (!sse_done(c, flags))
		return false;
	ymm_set(c, o->dst, low, high);
	return true;
}

AVX(vaddsubps, addsub, vec_subps, vec_addps, ODD_PS, ADD_PS)
AVX(vaddsubpd, addsub, vec_subpd, vec_addpd, ODD_PD, ADD_PD)
