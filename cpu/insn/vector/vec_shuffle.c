/* SPDX-License-Identifier: MIT */
/* Shuffles, unpacks, packs, blends, widening and single lanes of MMX to AVX2. Most work within 16 bytes; those that
 * cross are at the end. */
#include "cpu/insn/vector/mmx.h"

/* ---- unpacks ---- */

VEC(punpcklbw,  8,  PACKED, EXACT, FAST, vec_punpcklbw(a, b))
VEC(punpcklwd,  16, PACKED, EXACT, FAST, vec_punpcklwd(a, b))
VEC(punpckldq,  32, PACKED, EXACT, FAST, vec_punpckldq(a, b))
VEC(punpckhbw,  8,  PACKED, EXACT, FAST, vec_punpckhbw(a, b))
VEC(punpckhwd,  16, PACKED, EXACT, FAST, vec_punpckhwd(a, b))
VEC(punpckhdq,  32, PACKED, EXACT, FAST, vec_punpckhdq(a, b))
VEC(punpcklqdq, 64, PACKED, EXACT, FAST, vec_punpcklqdq(a, b))
VEC(punpckhqdq, 64, PACKED, EXACT, FAST, vec_punpckhqdq(a, b))
MMX(punpcklbw, 4, vec_punpcklbw(a, b))
MMX(punpcklwd, 4, vec_punpcklwd(a, b))
MMX(punpckldq, 4, vec_punpckldq(a, b))
MMX(punpckhbw, 8, mmx_upper(vec_punpcklbw(a, b)))
MMX(punpckhwd, 8, mmx_upper(vec_punpcklwd(a, b)))
MMX(punpckhdq, 8, mmx_upper(vec_punpckldq(a, b)))
VEC_ALIAS(unpcklps, punpckldq)
VEC_ALIAS(unpckhps, punpckhdq)
VEC_ALIAS(unpcklpd, punpcklqdq)
VEC_ALIAS(unpckhpd, punpckhqdq)

/* ---- packs ---- */

VEC(packsswb, 16, PACKED, EXACT, FAST_SSE, vec_packsswb(a, b))
VEC(packssdw, 32, PACKED, EXACT, FAST_SSE, vec_packssdw(a, b))
VEC(packuswb, 16, PACKED, EXACT, FAST_SSE, vec_packuswb(a, b))
VEC(packusdw, 32, PACKED, EXACT, SLOW,     vec_packusdw(a, b))
MMX(packsswb, 8, vec_packsswb(mmx_both(a, b), vec_zero))
MMX(packssdw, 8, vec_packssdw(mmx_both(a, b), vec_zero))
MMX(packuswb, 8, vec_packuswb(mmx_both(a, b), vec_zero))

/* ---- shuffles ---- */

VEC(pshufd,  32, PACKED, EXACT, FAST, vec_pshufd(a, b, imm))
VEC(shufps,  32, PACKED, EXACT, FAST, vec_shufps(a, b, imm))
VEC(shufpd,  64, PACKED, EXACT, FAST, vec_shufpd(a, b, (u8)(imm >> 2 * part)))
VEC(pshuflw, 16, PACKED, EXACT, SLOW, vec_pshuflw(a, b, imm))
VEC(pshufhw, 16, PACKED, EXACT, SLOW, vec_pshufhw(a, b, imm))
VEC(palignr, 8,  PACKED, EXACT, SLOW, vec_palignr(a, b, imm))
VEC(pshufb,  8,  PACKED, EXACT, FAST, vec_pshufb(a, b))
MMX(pshufb, 8, vec_pshufb(mmx_both(a, a), b))
VEC(movsldup, 32, PACKED, EXACT, SLOW,     vec_movsldup(a, b))
VEC(movshdup, 32, PACKED, EXACT, SLOW,     vec_movshdup(a, b))
VEC(movddup,  64, EVEN,   EXACT, FAST_SSE, vec_movddup(a, b))

BODY(pshufw_mm)
{
	vec b;
	u64 r = 0;

	if (!mmx_source(c, o, 8, &b))
		return false;
	for (unsigned i = 0; i < 4; i++)
		r |= (b[0] >> 16 * (o->imm8 >> 2 * i & 3) & 0xffff) << 16 * i;
	mmx_result(c, o, r);
	return true;
}
GEN_BODY(pshufw_mm)

BODY(palignr_mm)
{
	unsigned n = o->imm8;
	vec b;

	if (!mmx_source(c, o, 8, &b))
		return false;
	mmx_result(c, o, n > 15 ? 0 : (u64)(((unsigned __int128)mmx_get(c, o->dst) << 64 | b[0]) >> 8 * n));
	return true;
}
GEN_BODY(palignr_mm)

/* ---- VPERMILPS, VPERMILPD: within halves; by a vector, bit 1 of each element chooses a double ---- */

static vec permil_pd(vec a, vec b) { return (vec){ a[b[0] >> 1 & 1], a[b[1] >> 1 & 1] }; }
static vec permil_pd_imm(vec b, u8 imm) { return (vec){ b[imm & 1], b[imm >> 1 & 1] }; }
static vec permil_ps(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b), r;

	for (int i = 0; i < 4; i++)
		r.d[i] = x.d[y.d[i] & 3];
	return vec_of(r);
}

VEC(permilps,   32, PACKED, EXACT, VEX_ONLY, permil_ps(a, b))
VEC(permilpd,   64, PACKED, EXACT, VEX_ONLY, permil_pd(a, b))
VEC(permilps_i, 32, PACKED, EXACT, VEX_ONLY, vec_pshufd(a, b, imm))
VEC(permilpd_i, 64, PACKED, EXACT, VEX_ONLY, permil_pd_imm(b, (u8)(imm >> 2 * part)))

/* ---- blends ---- */

VEC(pblendw, 16, PACKED, EXACT, SLOW, vec_pblendw(a, b, imm))
VEC(blendps, 32, PACKED, EXACT, SLOW, vec_blendps(a, b, (u8)(imm >> 4 * part)))
VEC(blendpd, 64, PACKED, EXACT, SLOW, vec_blendpd(a, b, (u8)(imm >> 2 * part)))
GEN(vpblendd) { gen_vblendps(d, o); }

typedef vec blend_fn(vec a, vec b, vec mask);

/* By the signs in XMM0; with VEX in a fourth register, whose number decode has put into o->imm. */
ALWAYS_INLINE bool blendv_body(struct cpu *c, const struct op *o, blend_fn *fn)
{
	const union vreg *mask = &c->v[o->vlen ? o->imm8 & 15 : 0];
	vec b[2], r[2];

	if (!vec_operand(c, o, vec_reads(PACKED, 0, o->vlen), b))
		return false;
	for (unsigned part = 0; part < 2; part++)
		r[part] = fn(vec_first(c, o, part), b[part], vec_load(&mask->q[2 * part]));
	vec_result(c, o, r);
	return true;
}

BODY(pblendvb) { return blendv_body(c, o, vec_blend_sign8); }
VEC_OWN(pblendvb)
BODY(blendvps) { return blendv_body(c, o, vec_blend_sign32); }
VEC_OWN(blendvps)
BODY(blendvpd) { return blendv_body(c, o, vec_blend_sign64); }
VEC_OWN(blendvpd)

/* ---- widening ---- */

VEC(pmovsxbw, 8,  HALF,    EXACT, SLOW, vec_pmovsxbw(a, b))
VEC(pmovsxbd, 8,  QUARTER, EXACT, SLOW, vec_pmovsxbd(a, b))
VEC(pmovsxbq, 8,  EIGHTH,  EXACT, SLOW, vec_pmovsxbq(a, b))
VEC(pmovsxwd, 16, HALF,    EXACT, SLOW, vec_pmovsxwd(a, b))
VEC(pmovsxwq, 16, QUARTER, EXACT, SLOW, vec_pmovsxwq(a, b))
VEC(pmovsxdq, 32, HALF,    EXACT, SLOW, vec_pmovsxdq(a, b))
VEC(pmovzxbw, 8,  HALF,    EXACT, SLOW, vec_pmovzxbw(a, b))
VEC(pmovzxbd, 8,  QUARTER, EXACT, SLOW, vec_pmovzxbd(a, b))
VEC(pmovzxbq, 8,  EIGHTH,  EXACT, SLOW, vec_pmovzxbq(a, b))
VEC(pmovzxwd, 16, HALF,    EXACT, SLOW, vec_pmovzxwd(a, b))
VEC(pmovzxwq, 16, QUARTER, EXACT, SLOW, vec_pmovzxwq(a, b))
VEC(pmovzxdq, 32, HALF,    EXACT, SLOW, vec_pmovzxdq(a, b))

/* ---- masks of sign bits into general registers ---- */

typedef u32 mask_fn(vec v);

ALWAYS_INLINE HANDLER_TYPE sign_mask(struct cpu *c, const struct op *o, s64 n, mask_fn *fn, unsigned lanes, bool wide)
{
	reg_set(c, o->dst, 8, fn(vreg_get(c, o, src, 0)) | (wide ? fn(vreg_get(c, o, src, 1)) << lanes : 0));
	RUN(o + 1);
}

#define SIGN_MASK(name, fn, lanes) \
	HANDLER(h_##name##_x) { return sign_mask(c, o, n, fn, lanes, false); } \
	HANDLER(h_##name##_256) { return sign_mask(c, o, n, fn, lanes, true); } \
	GEN(name##_x) { o->run = d->vex_l ? h_##name##_256 : h_##name##_x; } \
	GEN(v##name) { gen_##name##_x(d, o); }

SIGN_MASK(pmovmskb, vec_mask8, 16)
SIGN_MASK(movmskps, vec_mask32, 4)
SIGN_MASK(movmskpd, vec_mask64, 2)

/* ---- single lanes: PINSRx, INSERTPS, PEXTRx, EXTRACTPS (SSE2, SSE4.1) ---- */

ALWAYS_INLINE bool insert_body(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	vec_result(c, o, (vec[2]){ vec_insert(vec_first(c, o, 0), o->imm8 & (16 / size - 1), size, v) });
	return true;
}

BODY(pinsrb) { return insert_body(c, o, 1); }
VEC_OWN(pinsrb)
BODY(pinsrw) { return insert_body(c, o, 2); }
VEC_OWN(pinsrw)
BODY(pinsrd) { return insert_body(c, o, 4); }
VEC_OWN(pinsrd)
BODY(pinsrq) { return insert_body(c, o, 8); }
VEC_OWN(pinsrq)

/* From memory there is only one lane to choose. */
BODY(insertps)
{
	vec b;

	if (!vec_source(c, o, 4, &b))
		return false;
	vec_result(c, o, (vec[2]){ vec_insertps(vec_first(c, o, 0), b, o->imm8 & (o->mem ? 0x3f : 0xff)) });
	return true;
}
VEC_OWN(insertps)

/* A register receives the lane zero-extended, whatever the operand size. */
ALWAYS_INLINE bool extract_body(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v = vec_extract(xmm_get(c, o->src), o->imm8 & (16 / size - 1), size);

	if (o->mem)
		return op_store(c, o, size, v);
	reg_set(c, o->dst, 8, v);
	return true;
}

BODY(pextrb) { return extract_body(c, o, 1); }
VEC_OWN(pextrb)
BODY(pextrw) { return extract_body(c, o, 2); }
VEC_OWN(pextrw)
BODY(pextrd) { return extract_body(c, o, 4); }
VEC_OWN(pextrd)
BODY(pextrq) { return extract_body(c, o, 8); }
VEC_OWN(pextrq)
VEC_ALIAS(extractps, pextrd)

BODY(pinsrw_mm)
{
	unsigned at = 16 * (o->imm8 & 3);
	u64 v;

	if (!x87_wait(c) || !rm_load(c, o, o->src, 2, &v))
		return false;
	mmx_result(c, o, (mmx_get(c, o->dst) & ~((u64)0xffff << at)) | v << at);
	return true;
}
GEN_BODY(pinsrw_mm)

BODY(pextrw_mm)
{
	if (!x87_wait(c))
		return false;
	mmx_enter(c);
	reg_set(c, o->dst, 4, mmx_get(c, o->src) >> 16 * (o->imm8 & 3) & 0xffff);
	return true;
}
GEN_BODY(pextrw_mm)

BODY(pmovmskb_mm)
{
	u64 v = mmx_get(c, o->src);
	u32 r = 0;

	if (!x87_wait(c))
		return false;
	mmx_enter(c);
	for (unsigned i = 0; i < 8; i++)
		r |= (u32)(v >> (8 * i + 7) & 1) << i;
	reg_set(c, o->dst, 4, r);
	return true;
}
GEN_BODY(pmovmskb_mm)

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

	if (!vec_operand(c, o, 32, b))
		return false;
	ymm_set(c, o, choose_half(a, b, imm & 15), choose_half(a, b, imm >> 4));
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
		ymm_set(c, o, low, b);
	else
		ymm_set(c, o, b, high_get(c, o->third));
	return true;
}
GEN_BODY(vinsertf128)
GEN_ALIAS(vinserti128, vinsertf128)

BODY(vextractf128)
{
	vec v = o->imm8 & 1 ? high_get(c, o->src) : xmm_get(c, o->src);

	if (o->mem)
		return op_store_block(c, o, &v, 16);
	ymm_set(c, o, v, vec_zero);
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

	if (!vec_operand(c, o, 32, b))
		return false;
	memcpy(from, b, sizeof from);
	for (unsigned i = 0; i < 8; i++)
		r.d[i] = from[index.d[i] & 7];
	ymm_set(c, o, vec_load(&r.q[0]), vec_load(&r.q[2]));
	return true;
}
BODY_HANDLER(vpermd)
gen_fn gen_vpermd_evex, gen_vpermq_evex;
GEN(vpermd)
{
	if (d->evex)
		gen_vpermd_evex(d, o);
	else
		o->run = h_vpermd;
}
GEN(vpermps) { gen_vpermd(d, o); }

BODY(vpermq)
{
	unsigned imm = o->imm8;
	vec b[2];
	u64 from[4];

	if (!vec_operand(c, o, 32, b))
		return false;
	memcpy(from, b, sizeof from);
	ymm_set(c, o, (vec){ from[imm & 3], from[imm >> 2 & 3] }, (vec){ from[imm >> 4 & 3], from[imm >> 6] });
	return true;
}
BODY_HANDLER(vpermq)
GEN(vpermq)
{
	if (d->evex)
		gen_vpermq_evex(d, o);
	else
		o->run = h_vpermq;
}
GEN(vpermpd) { gen_vpermq(d, o); }
