/* SPDX-License-Identifier: MIT */
/* Integer arithmetic of MMX to AVX2: what vec_int.h defines, as instructions. */
#include "cpu/insn/vector/mmx.h"

/* ---- logic: PAND, ANDPS and ANDPD differ only in which domain of the silicon they use ---- */

VEC(pand,  64, PACKED, EXACT, MM_FAST_DQ, vec_and(a, b))
VEC(pandn, 64, PACKED, EXACT, MM_FAST_DQ, vec_andn(a, b))
VEC(por,   64, PACKED, EXACT, MM_FAST_DQ, vec_or(a, b))
VEC(pxor,  64, PACKED, EXACT, MM_FAST_DQ, vec_xor(a, b))
VEC_ALIAS(andps, pand)
VEC_ALIAS(andpd, pand)
VEC_ALIAS(andnps, pandn)
VEC_ALIAS(andnpd, pandn)
VEC_ALIAS(orps, por)
VEC_ALIAS(orpd, por)
VEC_ALIAS(xorps, pxor)
VEC_ALIAS(xorpd, pxor)

/* ---- sums and differences ---- */

VEC(paddb,   8,  PACKED, EXACT, MM_FAST, vec_paddb(a, b))
VEC(paddw,   16, PACKED, EXACT, MM_FAST, vec_paddw(a, b))
VEC(paddd,   32, PACKED, EXACT, MM_FAST, vec_paddd(a, b))
VEC(paddq,   64, PACKED, EXACT, MM_FAST, vec_paddq(a, b))
VEC(psubb,   8,  PACKED, EXACT, MM_FAST, vec_psubb(a, b))
VEC(psubw,   16, PACKED, EXACT, MM_FAST, vec_psubw(a, b))
VEC(psubd,   32, PACKED, EXACT, MM_FAST, vec_psubd(a, b))
VEC(psubq,   64, PACKED, EXACT, MM_FAST, vec_psubq(a, b))
VEC(paddsb,  8,  PACKED, EXACT, MM_SLOW, vec_paddsb(a, b))
VEC(paddsw,  16, PACKED, EXACT, MM_SLOW, vec_paddsw(a, b))
VEC(paddusb, 8,  PACKED, EXACT, MM_SLOW, vec_paddusb(a, b))
VEC(paddusw, 16, PACKED, EXACT, MM_SLOW, vec_paddusw(a, b))
VEC(psubsb,  8,  PACKED, EXACT, MM_SLOW, vec_psubsb(a, b))
VEC(psubsw,  16, PACKED, EXACT, MM_SLOW, vec_psubsw(a, b))
VEC(psubusb, 8,  PACKED, EXACT, MM_SLOW, vec_psubusb(a, b))
VEC(psubusw, 16, PACKED, EXACT, MM_SLOW, vec_psubusw(a, b))
VEC(phaddw,  16, PACKED, EXACT, SLOW,    vec_phaddw(a, b))
VEC(phaddd,  32, PACKED, EXACT, SLOW,    vec_phaddd(a, b))
VEC(phaddsw, 16, PACKED, EXACT, SLOW,    vec_phaddsw(a, b))
VEC(phsubw,  8,  PACKED, EXACT, SLOW,    vec_phsubw(a, b))
VEC(phsubd,  32, PACKED, EXACT, SLOW,    vec_phsubd(a, b))
VEC(phsubsw, 8,  PACKED, EXACT, SLOW,    vec_phsubsw(a, b))
MMX(phaddw, 8, vec_phaddw(mmx_both(a, b), vec_zero))
MMX(phaddd, 8, vec_phaddd(mmx_both(a, b), vec_zero))
MMX(phaddsw, 8, vec_phaddsw(mmx_both(a, b), vec_zero))
MMX(phsubw, 8, vec_phsubw(mmx_both(a, b), vec_zero))
MMX(phsubd, 8, vec_phsubd(mmx_both(a, b), vec_zero))
MMX(phsubsw, 8, vec_phsubsw(mmx_both(a, b), vec_zero))

/* ---- products ---- */

VEC(pmullw,    16, PACKED, EXACT, MM_FAST, vec_pmullw(a, b))
VEC(pmuludq,   64, PACKED, EXACT, MM_FAST, vec_pmuludq(a, b))
VEC(pmaddwd,   16, PACKED, EXACT, MM_FAST, vec_pmaddwd(a, b))
VEC(pmulhw,    16, PACKED, EXACT, MM_SLOW, vec_pmulhw(a, b))
VEC(pmulhuw,   16, PACKED, EXACT, MM_SLOW, vec_pmulhuw(a, b))
VEC(pmulhrsw,  16, PACKED, EXACT, MM_SLOW, vec_pmulhrsw(a, b))
VEC(pmaddubsw, 8,  PACKED, EXACT, MM_SLOW, vec_pmaddubsw(a, b))
VEC(psadbw,    8,  PACKED, EXACT, MM_SLOW, vec_psadbw(a, b))
VEC(pmulld,    32, PACKED, EXACT, SLOW,    vec_pmulld(a, b))
VEC(pmuldq,    64, PACKED, EXACT, SLOW,    vec_pmuldq(a, b))
VEC(mpsadbw,   8,  PACKED, EXACT, SLOW,    vec_mpsadbw(a, b, (u8)(imm >> 3 * (part & 1))))

/* ---- comparisons ---- */

VEC(pcmpeqb, 8,  PACKED, EXACT, MM_FAST, vec_pcmpeqb(a, b))
VEC(pcmpeqw, 16, PACKED, EXACT, MM_FAST, vec_pcmpeqw(a, b))
VEC(pcmpeqd, 32, PACKED, EXACT, MM_FAST, vec_pcmpeqd(a, b))
VEC(pcmpgtb, 8,  PACKED, EXACT, MM_FAST, vec_pcmpgtb(a, b))
VEC(pcmpgtw, 16, PACKED, EXACT, MM_FAST, vec_pcmpgtw(a, b))
VEC(pcmpgtd, 32, PACKED, EXACT, MM_FAST, vec_pcmpgtd(a, b))
VEC(pcmpeqq, 64, PACKED, EXACT, SLOW,    vec_pcmpeqq(a, b))
VEC(pcmpgtq, 64, PACKED, EXACT, SLOW,    vec_pcmpgtq(a, b))

/* ---- extremes, means, signs ---- */

VEC(pminub,     8,  PACKED, EXACT, MM_FAST, vec_pminub(a, b))
VEC(pmaxub,     8,  PACKED, EXACT, MM_FAST, vec_pmaxub(a, b))
VEC(pminsw,     16, PACKED, EXACT, MM_FAST, vec_pminsw(a, b))
VEC(pmaxsw,     16, PACKED, EXACT, MM_FAST, vec_pmaxsw(a, b))
VEC(pavgb,      8,  PACKED, EXACT, MM_FAST, vec_pavgb(a, b))
VEC(pavgw,      16, PACKED, EXACT, MM_FAST, vec_pavgw(a, b))
VEC(pminsb,     8,  PACKED, EXACT, SLOW,    vec_pminsb(a, b))
VEC(pmaxsb,     8,  PACKED, EXACT, SLOW,    vec_pmaxsb(a, b))
VEC(pminuw,     16, PACKED, EXACT, SLOW,    vec_pminuw(a, b))
VEC(pmaxuw,     16, PACKED, EXACT, SLOW,    vec_pmaxuw(a, b))
VEC(pminud,     32, PACKED, EXACT, SLOW,    vec_pminud(a, b))
VEC(pmaxud,     32, PACKED, EXACT, SLOW,    vec_pmaxud(a, b))
VEC(pminsd,     32, PACKED, EXACT, SLOW,    vec_pminsd(a, b))
VEC(pmaxsd,     32, PACKED, EXACT, SLOW,    vec_pmaxsd(a, b))
VEC(phminposuw, 16, PACKED, EXACT, SLOW,    vec_phminposuw(a, b))
VEC(pabsb,      8,  PACKED, EXACT, MM_SLOW, vec_pabsb(a, b))
VEC(pabsw,      16, PACKED, EXACT, MM_SLOW, vec_pabsw(a, b))
VEC(pabsd,      32, PACKED, EXACT, MM_SLOW, vec_pabsd(a, b))
VEC(psignb,     8,  PACKED, EXACT, MM_SLOW, vec_psignb(a, b))
VEC(psignw,     16, PACKED, EXACT, MM_SLOW, vec_psignw(a, b))
VEC(psignd,     32, PACKED, EXACT, MM_SLOW, vec_psignd(a, b))

/* ---- shifts by one count, the low half of 16 bytes, for all elements ---- */

VEC(psllw, 16, COUNT, EXACT, MM_FAST, vec_psllw(a, b))
VEC(pslld, 32, COUNT, EXACT, MM_FAST, vec_pslld(a, b))
VEC(psllq, 64, COUNT, EXACT, MM_FAST, vec_psllq(a, b))
VEC(psrlw, 16, COUNT, EXACT, MM_FAST, vec_psrlw(a, b))
VEC(psrld, 32, COUNT, EXACT, MM_FAST, vec_psrld(a, b))
VEC(psrlq, 64, COUNT, EXACT, MM_FAST, vec_psrlq(a, b))
VEC(psraw, 16, COUNT, EXACT, MM_FAST, vec_psraw(a, b))
VEC(psrad, 32, COUNT, EXACT, MM_FAST, vec_psrad(a, b))

/* ---- shifts by an immediate: of B, which is also the destination's old value in SSE. With VEX, vvvv is the
 * destination. ---- */

static void choose_shift(const struct dec *d, struct op *o, handler *const forms[3], handler *const zmm[3][2],
			 const struct vec_wide *wide, handler *body)
{
	vec_operands(d, o, PACKED);
	if (d->vex)
		o->dst = o->third;
	else
		o->src = o->dst;
	if (o->zmm)
		vec_choose_zmm(d, o, zmm, wide, body);
	else
		o->run = forms[d->vex + d->vex_l];
}

/* As vec_fast_zmm, of the second source alone. */
ALWAYS_INLINE HANDLER_TYPE immediate_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen,
					  vec_fn *fn, handler *slow)
{
	VEC_FAST_OPERAND(p, kind, vlen, false, slow)
#define PART(part) fn(c, vec_zero, vec_fast_part(c, o, p, kind, PACKED, vlen, part), o->imm8, part)
	VEC_FAST_RESULT(vlen, true, PART);
#undef PART
	RUN(o + 1);
}

/* NAME_i: of B alone. */
#define IMMEDIATE_HANDLER(name, form, kind, vlen) \
	HANDLER(h_##name##_##form) { return immediate_fast(c, o, n, kind, vlen, lanes_##name, h_##name); }
#define IMMEDIATE_HANDLERS(name, size, vlen) \
	IMMEDIATE_HANDLER(name, zmm##size##_reg, KIND_REG, vlen) \
	IMMEDIATE_HANDLER(name, zmm##size##_index, KIND_INDEX, vlen)
#define IMMEDIATE_LANES(name, bits, expression) \
	VEC_LANES(name##_i, expression) \
	EVEX_BODY(name##_i, parts, lanes_##name##_i, PACKED, EXACT) \
	IMMEDIATE_HANDLERS(name##_i, 128, 16) \
	IMMEDIATE_HANDLERS(name##_i, 256, 32) \
	IMMEDIATE_HANDLERS(name##_i, 512, 64) \
	VEC_MASKED_HANDLERS(name##_i, bits, PACKED, POST_EXACT) \
	static const struct vec_wide masked_##name[] = { { VEC_MASKED(name##_i, bits) }, { 0 } }; \
	static handler *const plain_##name[3][2] = { VEC_ZMM(name##_i, 128), VEC_ZMM(name##_i, 256), \
						     VEC_ZMM(name##_i, 512) };

#define SHIFT_LANES(name, bits, expression) \
	IMMEDIATE_LANES(name, bits, expression) \
	HANDLER(h_##name##_xi) { return vec_fast(c, o, n, KIND_REG, 0, lanes_##name##_i, 0, PACKED, POST_EXACT, NULL); \
		} \
	HANDLER(h_##name##_128_i) { return vec_fast(c, o, n, KIND_REG, 16, lanes_##name##_i, 0, PACKED, POST_EXACT, \
		NULL); } \
	HANDLER(h_##name##_256_i) { return vec_fast(c, o, n, KIND_REG, 32, lanes_##name##_i, 0, PACKED, POST_EXACT, \
		NULL); } \
	static handler *const shifts_##name[3] = { h_##name##_xi, h_##name##_128_i, h_##name##_256_i }; \
	GEN(name##_xi) { choose_shift(d, o, shifts_##name, plain_##name, masked_##name, h_##name##_i); } \
	GEN(v##name##_xi) { choose_shift(d, o, shifts_##name, plain_##name, masked_##name, h_##name##_i); }

/* NAME_mmi: mm shifted. */
ALWAYS_INLINE bool shift_mm(struct cpu *c, const struct op *o, vec_fn *fn)
{
	if (!x87_wait(c))
		return false;
	mmx_result(c, o, fn(c, vec_zero, (vec){ mmx_get(c, o->dst), 0 }, o->imm8, 0)[0]);
	return true;
}

#define SHIFT(name, bits, expression) \
	SHIFT_LANES(name, bits, expression) \
	BODY(name##_mmi) { return shift_mm(c, o, lanes_##name##_i); } \
	GEN_BODY(name##_mmi)

SHIFT(psllw, 16, shift_left_w(b, imm))
SHIFT(pslld, 32, shift_left_d(b, imm))
SHIFT(psllq, 64, shift_left_q(b, imm))
SHIFT(psrlw, 16, shift_right_w(b, imm))
SHIFT(psrld, 32, shift_right_d(b, imm))
SHIFT(psrlq, 64, shift_right_q(b, imm))
SHIFT(psraw, 16, shift_sign_w(b, imm))
SHIFT(psrad, 32, shift_sign_d(b, imm))
SHIFT_LANES(pslldq, 8, vec_pslldq(b, imm))
SHIFT_LANES(psrldq, 8, vec_psrldq(b, imm))

/* ---- rotates by an immediate, with EVEX alone ---- */

static vec rotate_left_d(vec b, unsigned n) { return (vec)((vu32)b << (n & 31) | (vu32)b >> (-n & 31)); }
static vec rotate_left_q(vec b, unsigned n) { return b << (n & 63) | b >> (-n & 63); }

#define ROTATE(name, bits, expression) \
	IMMEDIATE_LANES(name, bits, expression) \
	GEN(v##name) { choose_shift(d, o, NULL, plain_##name, masked_##name, h_##name##_i); }
ROTATE(prold, 32, rotate_left_d(b, imm))
ROTATE(prolq, 64, rotate_left_q(b, imm))
ROTATE(prord, 32, rotate_left_d(b, 0u - imm))
ROTATE(prorq, 64, rotate_left_q(b, 0u - imm))

/* ---- shifts by a count for each element ---- */

/* In lanes of 64 bits: of 32 bits, clang makes powers of two by a conversion from floating point, which would raise the
 * guest's IE. */
static vec each_left_d(vec a, vec b)
{
	vec low = (a & 0xffffffff) << (b & 31), high = a >> 32 << (b >> 32 & 31);

	return ((low & 0xffffffff) | high << 32) & (vec)((vu32)b < 32);
}
static vec each_right_d(vec a, vec b) { return (vec)((vu32)a >> ((vu32)b & 31)) & (vec)((vu32)b < 32); }
static vec each_left_q(vec a, vec b) { return a << (b & 63) & (vec)(b < 64); }
static vec each_right_q(vec a, vec b) { return a >> (b & 63) & (vec)(b < 64); }
static vec each_sign_d(vec a, vec b)
{
	vec count = vec_select((vec)((vu32)b < 32), b, (vec)(vu32){ 31, 31, 31, 31 });

	return (vec)((vs32)a >> (vs32)count);
}

VEC(psllvd, 32, PACKED, EXACT, VEX_ONLY, each_left_d(a, b))
VEC(psllvq, 64, PACKED, EXACT, VEX_ONLY, each_left_q(a, b))
VEC(psrlvd, 32, PACKED, EXACT, VEX_ONLY, each_right_d(a, b))
VEC(psrlvq, 64, PACKED, EXACT, VEX_ONLY, each_right_q(a, b))
VEC(psravd, 32, PACKED, EXACT, VEX_ONLY, each_sign_d(a, b))
