/* Shuffles, unpacks, packs, blends and single lanes of AVX and AVX2. Most work within halves; those that cross are at the end. */
#include "cpu/insn/vector/avx.h"

AVX_FAST(vpunpcklbw, vec_punpcklbw)
AVX_FAST(vpunpcklwd, vec_punpcklwd)
AVX_FAST(vpunpckldq, vec_punpckldq)
AVX_FAST(vpunpckhbw, vec_punpckhbw)
AVX_FAST(vpunpckhwd, vec_punpckhwd)
AVX_FAST(vpunpckhdq, vec_punpckhdq)
AVX_FAST(vpunpcklqdq, vec_punpcklqdq)
AVX_FAST(vpunpckhqdq, vec_punpckhqdq)
GEN(vunpcklps) { gen_vpunpckldq(d, o); }
GEN(vunpckhps) { gen_vpunpckhdq(d, o); }
GEN(vunpcklpd) { gen_vpunpcklqdq(d, o); }
GEN(vunpckhpd) { gen_vpunpckhqdq(d, o); }

AVX(vpacksswb, avx_vec, vec_packsswb, 16)
AVX(vpackssdw, avx_vec, vec_packssdw, 16)
AVX(vpackuswb, avx_vec, vec_packuswb, 16)
AVX(vpackusdw, avx_vec, vec_packusdw, 16)

AVX(vpshufd, avx_imm, vec_pshufd, 0)
AVX(vpshuflw, avx_imm, vec_pshuflw, 0)
AVX(vpshufhw, avx_imm, vec_pshufhw, 0)
AVX(vshufps, avx_imm, vec_shufps, 0)
AVX(vshufpd, avx_imm, vec_shufpd, 2)
AVX(vpalignr, avx_imm, vec_palignr, 0)
AVX_FAST(vpshufb, vec_pshufb)

AVX(vmovsldup, avx_vec, vec_movsldup, 16)
AVX(vmovshdup, avx_vec, vec_movshdup, 16)

/* 128 bits read only half of them. */
BODY(vmovddup_128) { return avx_vec(c, o, vec_movddup, 8, false); }
BODY_HANDLER(vmovddup_128)
BODY(vmovddup_256) { return avx_vec(c, o, vec_movddup, 16, true); }
BODY_HANDLER(vmovddup_256)
GEN(vmovddup) { o->run = d->vex_l ? h_vmovddup_256 : h_vmovddup_128; }

/* ---- VPERMILPS, VPERMILPD: within halves; by a vector, bit 1 of each element chooses a double ---- */

static vec permil_pd(vec a, vec b) { return (vec){ a[b[0] >> 1 & 1], a[b[1] >> 1 & 1] }; }
static vec permil_pd_imm(vec a, vec b, u8 imm) { (void)a; return (vec){ b[imm & 1], b[imm >> 1 & 1] }; }
static vec permil_ps(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++)
		r.d[i] = x.d[y.d[i] & 3];
	return vec_of(r);
}

AVX(vpermilps, avx_vec, permil_ps, 16)
AVX(vpermilpd, avx_vec, permil_pd, 16)
AVX(vpermilps_i, avx_imm, vec_pshufd, 0)
AVX(vpermilpd_i, avx_imm, permil_pd_imm, 2)

/* ---- blends ---- */

AVX(vpblendw, avx_imm, vec_pblendw, 0)
AVX(vblendps, avx_imm, vec_blendps, 4)
AVX(vblendpd, avx_imm, vec_blendpd, 2)
GEN(vpblendd) { gen_vblendps(d, o); }

typedef vec blend_fn(vec a, vec b, vec mask);

/* By the signs in a fourth register, whose number decode has put into o->imm. */
ALWAYS_INLINE bool blendv(struct cpu *c, const struct op *o, blend_fn *fn, bool wide)
{
	unsigned mask = o->imm8 & 15;
	vec b[2];

	if (!avx_source(c, o, wide ? 32 : 16, b))
		return false;
	ymm_set(c, o->dst, fn(xmm_get(c, o->third), b[0], xmm_get(c, mask)),
		wide ? fn(high_get(c, o->third), b[1], high_get(c, mask)) : vec_zero);
	return true;
}

AVX(vpblendvb, blendv, vec_blend_sign8)
AVX(vblendvps, blendv, vec_blend_sign32)
AVX(vblendvpd, blendv, vec_blend_sign64)

/* ---- widening ---- */

AVX(vpmovsxbw, avx_widen, vec_pmovsxbw, 8)
AVX(vpmovsxbd, avx_widen, vec_pmovsxbd, 4)
AVX(vpmovsxbq, avx_widen, vec_pmovsxbq, 2)
AVX(vpmovsxwd, avx_widen, vec_pmovsxwd, 8)
AVX(vpmovsxwq, avx_widen, vec_pmovsxwq, 4)
AVX(vpmovsxdq, avx_widen, vec_pmovsxdq, 8)
AVX(vpmovzxbw, avx_widen, vec_pmovzxbw, 8)
AVX(vpmovzxbd, avx_widen, vec_pmovzxbd, 4)
AVX(vpmovzxbq, avx_widen, vec_pmovzxbq, 2)
AVX(vpmovzxwd, avx_widen, vec_pmovzxwd, 8)
AVX(vpmovzxwq, avx_widen, vec_pmovzxwq, 4)
AVX(vpmovzxdq, avx_widen, vec_pmovzxdq, 8)

/* ---- masks of sign bits ---- */

typedef u32 mask_fn(vec v);

ALWAYS_INLINE HANDLER_TYPE mask_256(struct cpu *c, const struct op *o, s64 n, mask_fn *fn, unsigned lanes)
{
	REG64(o->dst) = fn(xmm_get(c, o->src)) | fn(high_get(c, o->src)) << lanes;
	RUN(o + 1);
}

static HANDLER(h_vpmovmskb_256) { return mask_256(c, o, n, vec_mask8, 16); }
static HANDLER(h_vmovmskps_256) { return mask_256(c, o, n, vec_mask32, 4); }
static HANDLER(h_vmovmskpd_256) { return mask_256(c, o, n, vec_mask64, 2); }

gen_fn gen_pmovmskb_x, gen_movmskps, gen_movmskpd;
GEN(vpmovmskb)
{
	gen_pmovmskb_x(d, o);
	if (d->vex_l)
		o->run = h_vpmovmskb_256;
}
GEN(vmovmskps)
{
	gen_movmskps(d, o);
	if (d->vex_l)
		o->run = h_vmovmskps_256;
}
GEN(vmovmskpd)
{
	gen_movmskpd(d, o);
	if (d->vex_l)
		o->run = h_vmovmskpd_256;
}

/* ---- single lanes. To general registers and memory it is what SSE does. ---- */

gen_fn gen_pextrb, gen_pextrw_x, gen_pextrd, gen_pextrq;
GEN(vpextrb) { gen_pextrb(d, o); }
GEN(vpextrw) { gen_pextrw_x(d, o); }
GEN(vpextrd) { gen_pextrd(d, o); }
GEN(vpextrq) { gen_pextrq(d, o); }
GEN(vextractps) { gen_pextrd(d, o); }

ALWAYS_INLINE bool insert(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	ymm_set(c, o->dst, vec_insert(xmm_get(c, o->third), o->imm8 & (16 / size - 1), size, v), vec_zero);
	return true;
}

BODY(vpinsrb) { return insert(c, o, 1); }
GEN_BODY(vpinsrb)
BODY(vpinsrw) { return insert(c, o, 2); }
GEN_BODY(vpinsrw)
BODY(vpinsrd) { return insert(c, o, 4); }
GEN_BODY(vpinsrd)
BODY(vpinsrq) { return insert(c, o, 8); }
GEN_BODY(vpinsrq)

BODY(vinsertps)
{
	vec b;

	if (!vec_source(c, o, 4, &b))
		return false;
	ymm_set(c, o->dst, vec_insertps(xmm_get(c, o->third), b, o->imm8 & (o->mem ? 0x3f : 0xff)), vec_zero);
	return true;
}
GEN_BODY(vinsertps)

/* ---- across halves ---- */

/* One half of A:B, by two bits; bit 3: none. */
static vec choose_half(const vec a[2], const vec b[2], unsigned control)
{
	return control & 8 ? vec_zero : control & 2 ? b[control & 1] : a[control & 1];
}

BODY(vperm2f128)
{
	vec a[2] = { xmm_get(c, o->third), high_get(c, o->third) }, b[2];
	unsigned imm = o->imm8;

	if (!avx_source(c, o, 32, b))
		return false;
	ymm_set(c, o->dst, choose_half(a, b, imm & 15), choose_half(a, b, imm >> 4));
	return true;
}
GEN_BODY(vperm2f128)
GEN_ALIAS(vperm2i128, vperm2f128)

BODY(vinsertf128)
{
	vec b, low = xmm_get(c, o->third);

	if (!vec_source(c, o, 16, &b))
		return false;
	if (o->imm8 & 1)
		ymm_set(c, o->dst, low, b);
	else
		ymm_set(c, o->dst, b, high_get(c, o->third));
	return true;
}
GEN_BODY(vinsertf128)
GEN_ALIAS(vinserti128, vinsertf128)

BODY(vextractf128)
{
	vec v = o->imm8 & 1 ? high_get(c, o->src) : xmm_get(c, o->src);

	if (o->mem)
		return op_store_block(c, o, &v, 16);
	ymm_set(c, o->dst, v, vec_zero);
	return true;
}
GEN_BODY(vextractf128)
GEN_ALIAS(vextracti128, vextractf128)

/* VPERMD, VPERMPS: the first source has the indices. */
BODY(vpermd)
{
	const union vreg index = c->v[o->third];
	union vreg r;
	vec b[2];
	u32 from[8];

	if (!avx_source(c, o, 32, b))
		return false;
	memcpy(from, b, sizeof from);
	for (unsigned i = 0; i < 8; i++)
		r.d[i] = from[index.d[i] & 7];
	ymm_set(c, o->dst, vec_load(&r.q[0]), vec_load(&r.q[2]));
	return true;
}
GEN_BODY(vpermd)
GEN_ALIAS(vpermps, vpermd)

BODY(vpermq)
{
	unsigned imm = o->imm8;
	vec b[2];
	u64 from[4];

	if (!avx_source(c, o, 32, b))
		return false;
	memcpy(from, b, sizeof from);
	ymm_set(c, o->dst, (vec){ from[imm & 3], from[imm >> 2 & 3] }, (vec){ from[imm >> 4 & 3], from[imm >> 6] });
	return true;
}
GEN_BODY(vpermq)
GEN_ALIAS(vpermpd, vpermq)
