/* Integer instructions of AVX and AVX2: what vec_int.h defines, in 128 and 256 bits. */
#include "cpu/insn/vector/avx.h"

AVX_FAST(vpand, vec_and)
AVX_FAST(vpandn, vec_andn)
AVX_FAST(vpor, vec_or)
AVX_FAST(vpxor, vec_xor)
GEN(vandps) { gen_vpand(d, o); }
GEN(vandpd) { gen_vpand(d, o); }
GEN(vandnps) { gen_vpandn(d, o); }
GEN(vandnpd) { gen_vpandn(d, o); }
GEN(vorps) { gen_vpor(d, o); }
GEN(vorpd) { gen_vpor(d, o); }
GEN(vxorps) { gen_vpxor(d, o); }
GEN(vxorpd) { gen_vpxor(d, o); }

AVX_FAST(vpaddb, vec_paddb)
AVX_FAST(vpaddw, vec_paddw)
AVX_FAST(vpaddd, vec_paddd)
AVX_FAST(vpaddq, vec_paddq)
AVX_FAST(vpsubb, vec_psubb)
AVX_FAST(vpsubw, vec_psubw)
AVX_FAST(vpsubd, vec_psubd)
AVX_FAST(vpsubq, vec_psubq)
AVX_FAST(vpcmpeqb, vec_pcmpeqb)
AVX_FAST(vpcmpeqw, vec_pcmpeqw)
AVX_FAST(vpcmpeqd, vec_pcmpeqd)
AVX_FAST(vpcmpgtb, vec_pcmpgtb)
AVX_FAST(vpminub, vec_pminub)
AVX_FAST(vpmaxub, vec_pmaxub)

AVX(vpaddusb, avx_vec, vec_paddusb, 16)
AVX(vpaddusw, avx_vec, vec_paddusw, 16)
AVX(vpaddsb, avx_vec, vec_paddsb, 16)
AVX(vpaddsw, avx_vec, vec_paddsw, 16)
AVX(vpsubusb, avx_vec, vec_psubusb, 16)
AVX(vpsubusw, avx_vec, vec_psubusw, 16)
AVX(vpsubsb, avx_vec, vec_psubsb, 16)
AVX(vpsubsw, avx_vec, vec_psubsw, 16)
AVX(vphaddw, avx_vec, vec_phaddw, 16)
AVX(vphaddd, avx_vec, vec_phaddd, 16)
AVX(vphaddsw, avx_vec, vec_phaddsw, 16)
AVX(vphsubw, avx_vec, vec_phsubw, 16)
AVX(vphsubd, avx_vec, vec_phsubd, 16)
AVX(vphsubsw, avx_vec, vec_phsubsw, 16)

AVX(vpmullw, avx_vec, vec_pmullw, 16)
AVX(vpmulld, avx_vec, vec_pmulld, 16)
AVX(vpmulhw, avx_vec, vec_pmulhw, 16)
AVX(vpmulhuw, avx_vec, vec_pmulhuw, 16)
AVX(vpmulhrsw, avx_vec, vec_pmulhrsw, 16)
AVX(vpmuludq, avx_vec, vec_pmuludq, 16)
AVX(vpmuldq, avx_vec, vec_pmuldq, 16)
AVX(vpmaddwd, avx_vec, vec_pmaddwd, 16)
AVX(vpmaddubsw, avx_vec, vec_pmaddubsw, 16)
AVX(vpsadbw, avx_vec, vec_psadbw, 16)
AVX(vmpsadbw, avx_imm, vec_mpsadbw, 3)

AVX(vpcmpeqq, avx_vec, vec_pcmpeqq, 16)
AVX(vpcmpgtw, avx_vec, vec_pcmpgtw, 16)
AVX(vpcmpgtd, avx_vec, vec_pcmpgtd, 16)
AVX(vpcmpgtq, avx_vec, vec_pcmpgtq, 16)
AVX(vpminsb, avx_vec, vec_pminsb, 16)
AVX(vpmaxsb, avx_vec, vec_pmaxsb, 16)
AVX(vpminuw, avx_vec, vec_pminuw, 16)
AVX(vpmaxuw, avx_vec, vec_pmaxuw, 16)
AVX(vpminsw, avx_vec, vec_pminsw, 16)
AVX(vpmaxsw, avx_vec, vec_pmaxsw, 16)
AVX(vpminud, avx_vec, vec_pminud, 16)
AVX(vpmaxud, avx_vec, vec_pmaxud, 16)
AVX(vpminsd, avx_vec, vec_pminsd, 16)
AVX(vpmaxsd, avx_vec, vec_pmaxsd, 16)
AVX_128(vphminposuw, avx_vec, vec_phminposuw, 16)

AVX(vpavgb, avx_vec, vec_pavgb, 16)
AVX(vpavgw, avx_vec, vec_pavgw, 16)
AVX(vpabsb, avx_vec, vec_pabsb, 16)
AVX(vpabsw, avx_vec, vec_pabsw, 16)
AVX(vpabsd, avx_vec, vec_pabsd, 16)
AVX(vpsignb, avx_vec, vec_psignb, 16)
AVX(vpsignw, avx_vec, vec_psignw, 16)
AVX(vpsignd, avx_vec, vec_psignd, 16)

/* ---- shifts by one count, the low half of 16 bytes, for all elements ---- */

ALWAYS_INLINE bool shift_all(struct cpu *c, const struct op *o, vec_fn *fn, bool wide)
{
	vec count;

	if (!vec_source(c, o, 16, &count))
		return false;
	ymm_set(c, o->dst, fn(xmm_get(c, o->third), count), wide ? fn(high_get(c, o->third), count) : vec_zero);
	return true;
}

AVX(vpsllw, shift_all, vec_psllw)
AVX(vpslld, shift_all, vec_pslld)
AVX(vpsllq, shift_all, vec_psllq)
AVX(vpsrlw, shift_all, vec_psrlw)
AVX(vpsrld, shift_all, vec_psrld)
AVX(vpsrlq, shift_all, vec_psrlq)
AVX(vpsraw, shift_all, vec_psraw)
AVX(vpsrad, shift_all, vec_psrad)

/* By an immediate: here vvvv is the destination. */
typedef vec shift_fn(vec a, u64 count);

ALWAYS_INLINE bool shift_imm(struct cpu *c, const struct op *o, shift_fn *fn, bool wide)
{
	u64 count = o->imm8;

	ymm_set(c, o->third, fn(xmm_get(c, o->src), count), wide ? fn(high_get(c, o->src), count) : vec_zero);
	return true;
}

AVX(vpsllw_i, shift_imm, shift_left_w)
AVX(vpslld_i, shift_imm, shift_left_d)
AVX(vpsllq_i, shift_imm, shift_left_q)
AVX(vpsrlw_i, shift_imm, shift_right_w)
AVX(vpsrld_i, shift_imm, shift_right_d)
AVX(vpsrlq_i, shift_imm, shift_right_q)
AVX(vpsraw_i, shift_imm, shift_sign_w)
AVX(vpsrad_i, shift_imm, shift_sign_d)
AVX(vpslldq, shift_imm, vec_pslldq)
AVX(vpsrldq, shift_imm, vec_psrldq)

/* ---- shifts by a count for each element ---- */

static vec each_left_d(vec a, vec b) { return (vec)((vu32)a << ((vu32)b & 31)) & (vec)((vu32)b < 32); }
static vec each_right_d(vec a, vec b) { return (vec)((vu32)a >> ((vu32)b & 31)) & (vec)((vu32)b < 32); }
static vec each_left_q(vec a, vec b) { return a << (b & 63) & (vec)(b < 64); }
static vec each_right_q(vec a, vec b) { return a >> (b & 63) & (vec)(b < 64); }
static vec each_sign_d(vec a, vec b)
{
	vec count = vec_select((vec)((vu32)b < 32), b, (vec)(vu32){ 31, 31, 31, 31 });

	return (vec)((vs32)a >> (vs32)count);
}

AVX(vpsllvd, avx_vec, each_left_d, 16)
AVX(vpsllvq, avx_vec, each_left_q, 16)
AVX(vpsrlvd, avx_vec, each_right_d, 16)
AVX(vpsrlvq, avx_vec, each_right_q, 16)
AVX(vpsravd, avx_vec, each_sign_d, 16)
