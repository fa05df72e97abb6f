/* SSE4.1 and SSE4.2, but for the string comparisons (sse4_string.c) and single lanes (vec_shuffle.c); the VEX forms of what is defined
 * only here. */
#include "cpu/insn/vector/avx.h"

VEC_SLOW_OP(pmuldq, vec_pmuldq, 16)
VEC_SLOW_OP(pmulld, vec_pmulld, 16)
VEC_SLOW_OP(pcmpeqq, vec_pcmpeqq, 16)
VEC_SLOW_OP(pcmpgtq, vec_pcmpgtq, 16)
VEC_SLOW_OP(packusdw, vec_packusdw, 16)
VEC_SLOW_OP(pminsb, vec_pminsb, 16)
VEC_SLOW_OP(pmaxsb, vec_pmaxsb, 16)
VEC_SLOW_OP(pminuw, vec_pminuw, 16)
VEC_SLOW_OP(pmaxuw, vec_pmaxuw, 16)
VEC_SLOW_OP(pminud, vec_pminud, 16)
VEC_SLOW_OP(pmaxud, vec_pmaxud, 16)
VEC_SLOW_OP(pminsd, vec_pminsd, 16)
VEC_SLOW_OP(pmaxsd, vec_pmaxsd, 16)
VEC_SLOW_OP(phminposuw, vec_phminposuw, 16)
VEC_SLOW_IMM_OP(mpsadbw, vec_mpsadbw, 16)

VEC_SLOW_OP(pmovsxbw, vec_pmovsxbw, 8)
VEC_SLOW_OP(pmovsxbd, vec_pmovsxbd, 4)
VEC_SLOW_OP(pmovsxbq, vec_pmovsxbq, 2)
VEC_SLOW_OP(pmovsxwd, vec_pmovsxwd, 8)
VEC_SLOW_OP(pmovsxwq, vec_pmovsxwq, 4)
VEC_SLOW_OP(pmovsxdq, vec_pmovsxdq, 8)
VEC_SLOW_OP(pmovzxbw, vec_pmovzxbw, 8)
VEC_SLOW_OP(pmovzxbd, vec_pmovzxbd, 4)
VEC_SLOW_OP(pmovzxbq, vec_pmovzxbq, 2)
VEC_SLOW_OP(pmovzxwd, vec_pmovzxwd, 8)
VEC_SLOW_OP(pmovzxwq, vec_pmovzxwq, 4)
VEC_SLOW_OP(pmovzxdq, vec_pmovzxdq, 8)

/* ---- blends ---- */

VEC_SLOW_IMM_OP(pblendw, vec_pblendw, 16)
VEC_SLOW_IMM_OP(blendps, vec_blendps, 16)
VEC_SLOW_IMM_OP(blendpd, vec_blendpd, 16)

typedef vec blend_fn(vec a, vec b, vec mask);

/* By the signs in XMM0. */
ALWAYS_INLINE bool blendv_body(struct cpu *c, const struct op *o, blend_fn *fn)
{
	vec b;

	if (!vec_source(c, o, 16, &b))
		return false;
	xmm_set(c, o->dst, fn(xmm_get(c, o->dst), b, xmm_get(c, 0)));
	return true;
}

BODY(pblendvb) { return blendv_body(c, o, vec_blend_sign8); }
GEN_BODY(pblendvb)
BODY(blendvps) { return blendv_body(c, o, vec_blend_sign32); }
GEN_BODY(blendvps)
BODY(blendvpd) { return blendv_body(c, o, vec_blend_sign64); }
GEN_BODY(blendvpd)

/* From memory there is only one lane to choose. */
BODY(insertps)
{
	vec b;

	if (!vec_source(c, o, 4, &b))
		return false;
	xmm_set(c, o->dst, vec_insertps(xmm_get(c, o->dst), b, o->imm8 & (o->mem ? 0x3f : 0xff)));
	return true;
}
GEN_BODY(insertps)

/* ZF: nothing in common; CF: nothing outside the destination. Of VTESTPS and VTESTPD only the signs count. */
ALWAYS_INLINE bool test_body(struct cpu *c, const struct op *o, u64 bits, bool wide)
{
	vec a = xmm_get(c, o->dst), b[2], both, outside;

	if (!avx_source(c, o, wide ? 32 : 16, b))
		return false;
	both = a & b[0];
	outside = ~a & b[0];
	if (wide) {
		both |= high_get(c, o->dst) & b[1];
		outside |= ~high_get(c, o->dst) & b[1];
	}
	cpu_set_arith(c, ((both[0] | both[1]) & bits ? 0 : FL_Z) | ((outside[0] | outside[1]) & bits ? 0 : FL_C));
	return true;
}

AVX(vptest, test_body, ~(u64)0)
AVX(vtestps, test_body, 0x8000000080000000)
AVX(vtestpd, test_body, 0x8000000000000000)
GEN(ptest) { gen_vptest(d, o); }

/* ---- dot products: IMM bits 7-4 which lanes are multiplied, bits 3-0 which receive the sum ----
 *
 * Every lane makes its own sum, and where there are several NaNs its own survives; silicon adds neighbours with the other one first. */

ALWAYS_INLINE bool dot_ps(struct cpu *c, vec a[2], vec b[2], u8 imm, bool wide)
{
	vec take = spread_mask32(imm >> 4), keep = spread_mask32(imm & 15), r[2], other[2];

	for (unsigned i = 0; i < 2; i++)
		a[i] &= take, b[i] &= take;
	if (!avx_apply(c, vec_mulps, a, b, MUL_PS, wide, r))
		return false;
	for (unsigned i = 0; i < 2; i++)
		other[i] = vec_pshufd(r[i], r[i], 0xb1);
	if (!avx_apply(c, vec_addps, other, r, ADD_PS, wide, r))
		return false;
	for (unsigned i = 0; i < 2; i++)
		other[i] = vec_pshufd(r[i], r[i], 0x4e);
	if (!avx_apply(c, vec_addps, r, other, ADD_PS, wide, r))
		return false;
	a[0] = r[0] & keep;
	a[1] = r[1] & keep;
	return true;
}

static bool dot_pd(struct cpu *c, vec *a, vec b, u8 imm)
{
	vec take = spread_mask64(imm >> 4 & 3), r;

	if (!sse_apply(c, vec_mulpd, *a & take, b & take, MUL_PD, &r) || !sse_apply(c, vec_addpd, r, (vec){ r[1], r[0] }, ADD_PD, &r))
		return false;
	*a = r & spread_mask64(imm & 3);
	return true;
}

BODY(dpps)
{
	vec a[2] = { xmm_get(c, o->dst), vec_zero }, b[2] = { vec_zero, vec_zero };

	if (!vec_source(c, o, 16, &b[0]) || !dot_ps(c, a, b, o->imm8, false))
		return false;
	xmm_set(c, o->dst, a[0]);
	return true;
}
GEN_BODY(dpps)

BODY(dppd)
{
	vec a = xmm_get(c, o->dst), b;

	if (!vec_source(c, o, 16, &b) || !dot_pd(c, &a, b, o->imm8))
		return false;
	xmm_set(c, o->dst, a);
	return true;
}
GEN_BODY(dppd)

ALWAYS_INLINE bool vdpps_body(struct cpu *c, const struct op *o, unsigned size, bool wide)
{
	vec a[2] = { xmm_get(c, o->third), high_get(c, o->third) }, b[2];

	if (!avx_source(c, o, wide ? 2 * size : size, b) || !dot_ps(c, a, b, o->imm8, wide))
		return false;
	ymm_set(c, o->dst, a[0], wide ? a[1] : vec_zero);
	return true;
}
AVX(vdpps, vdpps_body, 16)

BODY(vdppd)
{
	vec a = xmm_get(c, o->third), b;

	if (!vec_source(c, o, 16, &b) || !dot_pd(c, &a, b, o->imm8))
		return false;
	ymm_set(c, o->dst, a, vec_zero);
	return true;
}
GEN_BODY(vdppd)

/* ---- ROUNDxx: IMM bit 3 no PE, bit 2 rounding as MXCSR says, else as bits 1-0: nearest even, down, up, to zero ---- */

/* A finite number's magnitude (FRAC_BITS of fraction, the exponent above) rounded to an integer. */
static u64 round_magnitude(u64 v, bool negative, unsigned frac_bits, unsigned bias, unsigned rc, bool *inexact)
{
	u64 exp = v >> frac_bits, unit, low;
	bool up = (rc == 1 && negative) || (rc == 2 && !negative);

	if (!v || exp >= bias + frac_bits)
		return v;
	if (exp < bias) {
		*inexact = true;
		if (rc == 0)
			up = v > (u64)(bias - 1) << frac_bits;
		return up ? (u64)bias << frac_bits : 0;
	}
	unit = (u64)1 << (frac_bits - (exp - bias));
	low = v & (unit - 1);
	if (!low)
		return v;
	*inexact = true;
	if (rc == 0)
		up = low > unit / 2 || (low == unit / 2 && (v & unit)); /* 1.x: the exponent is odd like the 1 that is not stored */
	return v - low + (up ? unit : 0);
}

static u64 round_lane(u64 x, bool wide, u32 mxcsr, u8 imm, u32 *flags)
{
	unsigned frac_bits = wide ? 52 : 23, bias = wide ? 1023 : 127;
	u64 sign = wide ? (u64)1 << 63 : 0x80000000, infinity = (u64)(2 * bias + 1) << frac_bits, v = x & (sign - 1);
	bool inexact = false;

	if (v > infinity) {
		u64 quiet = (u64)1 << (frac_bits - 1);

		if (!(v & quiet))
			*flags |= MXCSR_IE;
		return x | quiet;
	}
	if (v >> frac_bits == 0 && (mxcsr & MXCSR_DAZ))
		v = 0;
	v = v == infinity ? v : round_magnitude(v, x & sign, frac_bits, bias, imm & 4 ? mxcsr >> 13 & 3 : imm & 3, &inexact);
	if (inexact && !(imm & 8))
		*flags |= MXCSR_PE;
	return v | (x & sign);
}

/* LANES of B, rounded; the others of A. */
ALWAYS_INLINE vec round_lanes(const struct cpu *c, vec a, vec b, u8 imm, bool wide, unsigned lanes, u32 *flags)
{
	unsigned size = wide ? 8 : 4;

	for (unsigned i = 0; i < lanes; i++)
		a = vec_insert(a, i, size, round_lane(vec_extract(b, i, size), wide, c->mxcsr, imm, flags));
	return a;
}

ALWAYS_INLINE bool round_body(struct cpu *c, const struct op *o, bool wide, unsigned lanes)
{
	u32 flags = 0;
	vec b, r;

	if (!vec_source(c, o, lanes == 1 ? (wide ? 8 : 4) : 16, &b))
		return false;
	r = round_lanes(c, xmm_get(c, o->dst), b, o->imm8, wide, lanes, &flags);
	if (!sse_raise(c, flags))
		return false;
	xmm_set(c, o->dst, r);
	return true;
}

BODY(roundps) { return round_body(c, o, false, 4); }
GEN_BODY(roundps)
BODY(roundpd) { return round_body(c, o, true, 2); }
GEN_BODY(roundpd)
BODY(roundss) { return round_body(c, o, false, 1); }
GEN_BODY(roundss)
BODY(roundsd) { return round_body(c, o, true, 1); }
GEN_BODY(roundsd)

/* VEX: DOUBLES, or singles. */
ALWAYS_INLINE bool vround_body(struct cpu *c, const struct op *o, bool doubles, unsigned lanes, bool wide)
{
	u32 flags = 0;
	vec b[2], low, high = vec_zero;

	if (!avx_source(c, o, wide ? 32 : lanes == 1 ? (doubles ? 8 : 4) : 16, b))
		return false;
	low = round_lanes(c, xmm_get(c, o->third), b[0], o->imm8, doubles, lanes, &flags);
	if (wide)
		high = round_lanes(c, vec_zero, b[1], o->imm8, doubles, lanes, &flags);
	if (!sse_raise(c, flags))
		return false;
	ymm_set(c, o->dst, low, high);
	return true;
}

AVX(vroundps, vround_body, false, 4)
AVX(vroundpd, vround_body, true, 2)
AVX_128(vroundss, vround_body, false, 1)
AVX_128(vroundsd, vround_body, true, 1)

/* ---- CRC32: polynomial 11EDC6F41h, least significant bit first ---- */

static u32 crc32c(u32 crc, u64 data, unsigned size)
{
	/* The remainders of the 16 values of four bits. */
	static const u32 table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (unsigned i = 0; i < 2 * size; i++, data >>= 4)
		crc = crc >> 4 ^ table[(crc ^ data) & 15];
	return crc;
}

ALWAYS_INLINE bool crc32_body(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	REG64(o->dst) = crc32c(REG32(o->dst), v, size);
	return true;
}

BODY(crc32_8) { return crc32_body(c, o, 1); }
BODY_HANDLER(crc32_8)
BODY(crc32_16) { return crc32_body(c, o, 2); }
BODY_HANDLER(crc32_16)
BODY(crc32_32) { return crc32_body(c, o, 4); }
BODY_HANDLER(crc32_32)
BODY(crc32_64) { return crc32_body(c, o, 8); }
BODY_HANDLER(crc32_64)
GEN(crc32)
{
	unsigned size = dec_size(d, 1);

	o->run = size == 1 ? h_crc32_8 : size == 2 ? h_crc32_16 : size == 4 ? h_crc32_32 : h_crc32_64;
}
