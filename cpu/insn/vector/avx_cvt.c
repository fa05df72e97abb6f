/* Conversions of AVX: those of SSE, and between halves and whole registers where the widths differ. */
#include "cpu/insn/vector/avx.h"

AVX_128(vcvtss2sd, avx_fp, vec_cvtss2sd, 4, POST_NONE)
AVX_128(vcvtsd2ss, avx_fp, vec_cvtsd2ss, 8, NARROW_SD)
AVX(vcvtdq2ps, avx_fp, vec_cvtdq2ps, 16, POST_NONE)
AVX(vcvtps2dq, avx_fp, vec_cvtps2dq, 16, POST_NONE)
AVX(vcvttps2dq, avx_fp, vec_cvttps2dq, 16, POST_NONE)
AVX(vcvtdq2pd, avx_widen, vec_cvtdq2pd, 8) /* always exact */

BODY(vcvtps2pd_128) { return avx_fp(c, o, vec_cvtps2pd, 8, POST_NONE, false); }
BODY_HANDLER(vcvtps2pd_128)
BODY(vcvtps2pd_256)
{
	vec b[2], r[2], a[2] = { vec_zero, vec_zero };

	if (!vec_source(c, o, 16, &b[0]))
		return false;
	b[1] = (vec){ b[0][1], 0 };
	if (!avx_apply(c, vec_cvtps2pd, a, b, POST_NONE, true, r))
		return false;
	ymm_set(c, o->dst, r[0], r[1]);
	return true;
}
BODY_HANDLER(vcvtps2pd_256)
GEN(vcvtps2pd) { o->run = d->vex_l ? h_vcvtps2pd_256 : h_vcvtps2pd_128; }

/* Two elements of 64 bits become two of 32; the results of both halves stand side by side. */
ALWAYS_INLINE bool narrow(struct cpu *c, const struct op *o, fp_fn *fn, enum post post, bool wide)
{
	vec b[2], r[2], a[2] = { vec_zero, vec_zero };

	if (!avx_source(c, o, wide ? 32 : 16, b) || !avx_apply(c, fn, a, b, post, wide, r))
		return false;
	ymm_set(c, o->dst, (vec){ r[0][0], r[1][0] }, vec_zero);
	return true;
}

AVX(vcvtpd2ps, narrow, vec_cvtpd2ps, NARROW_PD)
AVX(vcvtpd2dq, narrow, vec_cvtpd2dq, POST_NONE)
AVX(vcvttpd2dq, narrow, vec_cvttpd2dq, POST_NONE)

/* ---- with general registers ---- */

ALWAYS_INLINE bool from_int(struct cpu *c, const struct op *o, from_int_fn *fn, unsigned size)
{
	u64 v;
	vec r;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	sse_begin(c);
	r = fn(c, xmm_get(c, o->third), v);
	if (!sse_end_plain(c))
		return false;
	ymm_set(c, o->dst, r, vec_zero);
	return true;
}

BODY(vcvtsi2ss32) { return from_int(c, o, from32_ss, 4); }
BODY_HANDLER(vcvtsi2ss32)
BODY(vcvtsi2ss64) { return from_int(c, o, from64_ss, 8); }
BODY_HANDLER(vcvtsi2ss64)
BODY(vcvtsi2sd32) { return from_int(c, o, from32_sd, 4); }
BODY_HANDLER(vcvtsi2sd32)
BODY(vcvtsi2sd64) { return from_int(c, o, from64_sd, 8); }
BODY_HANDLER(vcvtsi2sd64)
GEN(vcvtsi2ss) { o->run = dec_size(d, 2) == 8 ? h_vcvtsi2ss64 : h_vcvtsi2ss32; }
GEN(vcvtsi2sd) { o->run = dec_size(d, 2) == 8 ? h_vcvtsi2sd64 : h_vcvtsi2sd32; }

gen_fn gen_cvtss2si, gen_cvttss2si, gen_cvtsd2si, gen_cvttsd2si;
GEN(vcvtss2si) { gen_cvtss2si(d, o); }
GEN(vcvttss2si) { gen_cvttss2si(d, o); }
GEN(vcvtsd2si) { gen_cvtsd2si(d, o); }
GEN(vcvttsd2si) { gen_cvttsd2si(d, o); }
