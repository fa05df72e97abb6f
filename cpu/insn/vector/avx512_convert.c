/* SPDX-License-Identifier: MIT */
/* Conversions that came with AVX-512: to and from unsigned and 64-bit integers, FP16, bfloat16; and those of SSE with a
 * rounding of their own. Computed with integers (vec_soft.h). */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"
#include "cpu/insn/vector/fp8.h"

/* ---- vectors ---- */

static u64 to_integer(struct cpu *c, const struct element *e, bool is_signed, bool chop)
{
	return (is_signed ? soft_to_int : soft_to_uint)(c, e->b, format_of(e->from), 8u * e->to, chop);
}
static u64 element_to_int(struct cpu *c, const struct element *e) { return to_integer(c, e, true, false); }
static u64 element_to_int_chop(struct cpu *c, const struct element *e) { return to_integer(c, e, true, true); }
static u64 element_to_uint(struct cpu *c, const struct element *e) { return to_integer(c, e, false, false); }
static u64 element_to_uint_chop(struct cpu *c, const struct element *e) { return to_integer(c, e, false, true); }
static u64 element_from_int(struct cpu *c, const struct element *e)
{
	return soft_from_int(c, (s64)extend(e->b, e->from), format_of(e->to));
}
static u64 element_from_uint(struct cpu *c, const struct element *e)
{
	return soft_from_uint(c, e->b, format_of(e->to));
}
static u64 element_convert(struct cpu *c, const struct element *e)
{
	return soft_convert(c, e->b, format_of(e->from), format_of(e->to));
}

EVEX_BODY(vcvt2int, element, element_to_int, PACKED, SOFT)
EVEX_BODY(vcvtt2int, element, element_to_int_chop, PACKED, SOFT)
EVEX_BODY(vcvt2uint, element, element_to_uint, PACKED, SOFT)
EVEX_BODY(vcvtt2uint, element, element_to_uint_chop, PACKED, SOFT)
EVEX_BODY(vcvtint, element, element_from_int, PACKED, SOFT)
EVEX_BODY(vcvtuint, element, element_from_uint, PACKED, SOFT)
EVEX_BODIES(vcvtfp, element, element_convert, SOFT)

EVEX_IS(vcvtps2qq, vcvt2int)
EVEX_IS(vcvtpd2qq, vcvt2int) EVEX_IS(vcvttps2qq, vcvtt2int) EVEX_IS(vcvttpd2qq, vcvtt2int) EVEX_IS(
	vcvtps2udq, vcvt2uint) EVEX_IS(vcvtpd2udq, vcvt2uint) EVEX_IS(vcvttps2udq, vcvtt2uint) EVEX_IS(vcvttpd2udq,
												       vcvtt2uint)
	EVEX_IS(vcvtps2uqq, vcvt2uint) EVEX_IS(vcvtpd2uqq, vcvt2uint) EVEX_IS(vcvttps2uqq, vcvtt2uint) EVEX_IS(
		vcvttpd2uqq, vcvtt2uint) EVEX_IS(vcvtqq2ps, vcvtint) EVEX_IS(vcvtqq2pd, vcvtint) EVEX_IS(vcvtudq2ps,
													 vcvtuint)
		EVEX_IS(vcvtudq2pd, vcvtuint) EVEX_IS(vcvtuqq2ps, vcvtuint) EVEX_IS(vcvtuqq2pd, vcvtuint)

			EVEX_IS(vcvtph2w, vcvt2int) EVEX_IS(vcvtph2dq, vcvt2int) EVEX_IS(vcvtph2qq, vcvt2int) EVEX_IS(
				vcvttph2w, vcvtt2int) EVEX_IS(vcvttph2dq, vcvtt2int) EVEX_IS(vcvttph2qq, vcvtt2int)
				EVEX_IS(vcvtph2uw, vcvt2uint) EVEX_IS(vcvtph2udq, vcvt2uint)
					EVEX_IS(vcvtph2uqq, vcvt2uint) EVEX_IS(vcvttph2uw, vcvtt2uint) EVEX_IS(
						vcvttph2udq, vcvtt2uint) EVEX_IS(vcvttph2uqq,
										 vcvtt2uint) EVEX_IS(vcvtw2ph, vcvtint)
						EVEX_IS(vcvtdq2ph, vcvtint) EVEX_IS(vcvtqq2ph, vcvtint) EVEX_IS(
							vcvtuw2ph, vcvtuint) EVEX_IS(vcvtudq2ph, vcvtuint)
							EVEX_IS(vcvtuqq2ph, vcvtuint) EVEX_IS(vcvtph2psx, vcvtfp_packed)
								EVEX_IS(vcvtps2phx,
									vcvtfp_packed) EVEX_IS(vcvtph2pd, vcvtfp_packed)
									EVEX_IS(vcvtpd2ph, vcvtfp_packed)
										EVEX_IS(vcvtsh2ss,
											vcvtfp_one) EVEX_IS(vcvtss2sh,
													    vcvtfp_one)
											EVEX_IS(vcvtsh2sd, vcvtfp_one)
												EVEX_IS(vcvtsd2sh,
													vcvtfp_one)

/* ---- AVX10.2: what does not fit is the nearest integer that there is ---- */

#define SATURATE(name, format, bits, is_signed, chop) \
	static u64 element_##name(struct cpu *c, const struct element *e) \
	{ \
		return soft_saturate(c, e->b, format, bits, is_signed, chop) & (~(u64)0 >> (64 - (bits))); \
	} \
	EVEX_BODY(name, element, element_##name, PACKED, SOFT)
SATURATE(vcvtt2ints, format_of(e->from), 8u * e->to, true, true)
SATURATE(vcvtt2uints, format_of(e->from), 8u * e->to, false, true)
EVEX_IS(vcvttps2dqs, vcvtt2ints)
EVEX_IS(vcvttpd2dqs, vcvtt2ints)
EVEX_IS(vcvttps2qqs, vcvtt2ints)
EVEX_IS(vcvttpd2qqs, vcvtt2ints)
EVEX_IS(vcvttps2udqs, vcvtt2uints)
EVEX_IS(vcvttpd2udqs, vcvtt2uints)
EVEX_IS(vcvttps2uqqs, vcvtt2uints)
EVEX_IS(vcvttpd2uqqs, vcvtt2uints)

/* To a byte, with zeros above it. */
#define TO_BYTE(name, is_signed, chop) \
	SATURATE(name, format_of(e->from), 8, is_signed, chop) \
	static u64 element_bfloat16_##name(struct cpu *c, const struct element *e) \
	{ \
		u32 saved = soft_quiet_begin(c); \
		u64 r = soft_saturate(c, e->b, bf16, 8, is_signed, chop) & 0xff; \
\
		c->soft_mxcsr = saved; \
		return r; \
	} \
	EVEX_BODY(bfloat16_##name, element, element_bfloat16_##name, PACKED, EXACT)
TO_BYTE(vcvt2ibs, true, false)
TO_BYTE(vcvtt2ibs, true, true)
TO_BYTE(vcvt2iubs, false, false)
TO_BYTE(vcvtt2iubs, false, true)
EVEX_IS(vcvtps2ibs, vcvt2ibs)
EVEX_IS(vcvtph2ibs, vcvt2ibs)
EVEX_IS(vcvtbf162ibs, bfloat16_vcvt2ibs)
EVEX_IS(vcvttps2ibs, vcvtt2ibs)
EVEX_IS(vcvttph2ibs, vcvtt2ibs)
EVEX_IS(vcvttbf162ibs, bfloat16_vcvtt2ibs)
EVEX_IS(vcvtps2iubs, vcvt2iubs)
EVEX_IS(vcvtph2iubs, vcvt2iubs)
EVEX_IS(vcvtbf162iubs, bfloat16_vcvt2iubs)
EVEX_IS(vcvttps2iubs, vcvtt2iubs)
EVEX_IS(vcvttph2iubs, vcvtt2iubs)
EVEX_IS(vcvttbf162iubs, bfloat16_vcvtt2iubs)

/* ---- to general registers ---- */

ALWAYS_INLINE bool to_general(struct cpu *c, const struct op *o, bool is_signed, bool chop, bool saturates)
{
	struct format f = format_of(1u << o->from);
	unsigned size = o->osize == 8 ? 8 : 4;
	u32 saved;
	vec b;
	u64 r;

	if (!vec_source(c, o, 1u << o->from, &b))
		return false;
	saved = evex_soft_begin(c, o);
	r = trim(b[0], 1u << o->from);
	if (saturates)
		r = soft_saturate(c, r, f, 8 * size, is_signed, chop);
	else
		r = (is_signed ? soft_to_int : soft_to_uint)(c, r, f, 8 * size, chop);
	if (!evex_soft_end(c, o, saved))
		return false;
	reg_set(c, o->dst, size, r);
	return true;
}

BODY(vcvt2si) { return to_general(c, o, true, false, false); }
BODY_HANDLER(vcvt2si)
BODY(vcvtt2si) { return to_general(c, o, true, true, false); }
BODY_HANDLER(vcvtt2si)
BODY(vcvt2usi) { return to_general(c, o, false, false, false); }
BODY_HANDLER(vcvt2usi)
BODY(vcvtt2usi) { return to_general(c, o, false, true, false); }
BODY_HANDLER(vcvtt2usi)
BODY(vcvtt2sis) { return to_general(c, o, true, true, true); }
BODY_HANDLER(vcvtt2sis)
BODY(vcvtt2usis) { return to_general(c, o, false, true, true); }
BODY_HANDLER(vcvtt2usis)
EVEX_IS(vcvttss2sis, vcvtt2sis)
EVEX_IS(vcvttsd2sis, vcvtt2sis)
EVEX_IS(vcvttss2usis, vcvtt2usis)
EVEX_IS(vcvttsd2usis, vcvtt2usis)
EVEX_IS(vcvtss2usi, vcvt2usi)
EVEX_IS(vcvtsd2usi, vcvt2usi) EVEX_IS(vcvtsh2usi, vcvt2usi) EVEX_IS(vcvttss2usi, vcvtt2usi)
	EVEX_IS(vcvttsd2usi, vcvtt2usi) EVEX_IS(vcvttsh2usi, vcvtt2usi) EVEX_IS(vcvtsh2si, vcvt2si)
		EVEX_IS(vcvttsh2si, vcvtt2si)
	/* The others, with a rounding of their own. */
	EVEX_IS(vcvt2si_round, vcvt2si) EVEX_IS(vcvtt2si_round, vcvtt2si)

	/* ---- from general registers and memory ---- */

	ALWAYS_INLINE bool from_general(struct cpu *c, const struct op *o, bool is_signed)
{
	unsigned size = o->osize == 8 ? 8 : 4;
	struct format f = format_of(1u << o->to);
	union vreg r = { { 0 } };
	u32 saved;
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	saved = evex_soft_begin(c, o);
	v = is_signed ? soft_from_int(c, (s64)extend(v, size), f) : soft_from_uint(c, v, f);
	if (!evex_soft_end(c, o, saved))
		return false;
	memcpy(&r, &c->v[o->third], 16);
	element_set(&r, 0, 1u << o->to, v);
	evex_set(c, o, &r);
	return true;
}

BODY(vcvtsi2fp) { return from_general(c, o, true); }
BODY_HANDLER(vcvtsi2fp)
BODY(vcvtusi2fp) { return from_general(c, o, false); }
BODY_HANDLER(vcvtusi2fp)
EVEX_IS(vcvtusi2ss, vcvtusi2fp)
EVEX_IS(vcvtusi2sd, vcvtusi2fp) EVEX_IS(vcvtusi2sh, vcvtusi2fp) EVEX_IS(vcvtsi2sh, vcvtsi2fp)
	EVEX_IS(vcvtsi2fp_round, vcvtsi2fp)

/* ---- comparisons into EFLAGS, of FP16, or without exceptions; with AVX10.2, for conditions of signed integers ---- */

/* EFLAGS of LESS, EQUAL, GREATER, UNORDERED */
static const u16 flags_of_order[4] = { FL_C, FL_Z, 0, FL_Z | FL_P | FL_C },
		 flags_of_signed[4] = { FL_O | FL_C, FL_O | FL_S | FL_Z, 0, FL_O | FL_S | FL_P | FL_C };

ALWAYS_INLINE bool compare_flags(struct cpu *c, const struct op *o, bool quiet_is_invalid, const u16 flags[4])
{
	unsigned size = 1u << o->from;
	u32 saved;
	int order;
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	saved = evex_soft_begin(c, o);
	order = soft_compare(c, element_get(&c->v[o->dst], 0, size), trim(b[0], size), format_of(size),
			     quiet_is_invalid);
	if (!evex_soft_end(c, o, saved))
		return false;
	cpu_set_arith(c, flags[order - LESS]);
	return true;
}

BODY(vucomi) { return compare_flags(c, o, false, flags_of_order); }
BODY_HANDLER(vucomi)
BODY(vcomi) { return compare_flags(c, o, true, flags_of_order); }
BODY_HANDLER(vcomi)
EVEX_IS(vucomish, vucomi)
EVEX_IS(vucomi_round, vucomi)
EVEX_IS(vcomish, vcomi)
EVEX_IS(vcomi_round, vcomi)
BODY(vucomx) { return compare_flags(c, o, false, flags_of_signed); }
BODY_HANDLER(vucomx)
BODY(vcomx) { return compare_flags(c, o, true, flags_of_signed); }
BODY_HANDLER(vcomx)
EVEX_IS(vucomxss, vucomx)
EVEX_IS(vucomxsd, vucomx)
EVEX_IS(vucomxsh, vucomx)
EVEX_IS(vcomxss, vcomx)
EVEX_IS(vcomxsd, vcomx)
EVEX_IS(vcomxsh, vcomx)

static bool compare_flags_bfloat16(struct cpu *c, const struct op *o)
{
	u32 saved;
	vec b;

	if (!vec_source(c, o, 2, &b))
		return false;
	saved = soft_quiet_begin(c);
	cpu_set_arith(c, flags_of_order[soft_compare(c, c->v[o->dst].w[0], (u16)b[0], bf16, false) - LESS]);
	c->soft_mxcsr = saved;
	return true;
}
BODY(vcomisbf16) { return compare_flags_bfloat16(c, o); }
GEN_BODY(vcomisbf16)

/* ---- bfloat16: the upper half of single precision. To nearest, denormals are zeros, no exceptions. ---- */

static u64 to_bfloat16(u64 v)
{
	u32 exp = v >> 23 & 0xff;

	if (exp == 0)
		return v >> 16 & 0x8000;
	if (exp == 0xff && v & 0x7fffff)
		return v >> 16 | 0x40;
	if (exp == 0xff)
		return v >> 16;
	return (v + 0x7fff + (v >> 16 & 1)) >> 16;
}

static u64 element_to_bfloat16(struct cpu *c, const struct element *e)
{
	(void)c;
	return to_bfloat16(e->b);
}
EVEX_BODY(vcvtneps2bf16, element, element_to_bfloat16, PACKED, EXACT)
EVEX_IS(vcvtneps2bf16, vcvtneps2bf16)

static void whole_to_bfloat16(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned half = o->vlen / 4;

	(void)c;
	for (unsigned i = 0; i < half; i++) {
		e->r.w[i] = (u16)to_bfloat16(e->b.d[i]);
		e->r.w[i + half] = (u16)to_bfloat16(e->a.d[i]);
	}
}
EVEX_BODY(vcvtne2ps2bf16, whole, whole_to_bfloat16, PACKED, EXACT)
EVEX_IS(vcvtne2ps2bf16, vcvtne2ps2bf16)

static u64 element_dot_bfloat16(struct cpu *c, const struct element *e)
{
	u32 saved = soft_quiet_begin(c);
	u64 sum;

	sum = soft_fma(c, e->a & 0xffff0000, e->b & 0xffff0000, e->old, false, false, f32);
	sum = soft_fma(c, e->a << 16 & 0xffff0000, e->b << 16 & 0xffff0000, sum, false, false, f32);
	c->soft_mxcsr = saved;
	return sum;
}
EVEX_BODY(vdpbf16ps, element, element_dot_bfloat16, PACKED, EXACT)
EVEX_IS(vdpbf16ps, vdpbf16ps)

/* ---- AVX10.2: two sources side by side ---- */

static void whole_to_half(struct cpu *c, const struct op *o, struct evex *e)
{
	const unsigned half = o->vlen / 4;

	for (unsigned i = 0; i < 2 * half; i++)
		if (e->active >> i & 1)
			e->r.w[i] = (u16)soft_convert(c, i < half ? e->b.d[i] : e->a.d[i - half], f32, f16);
}
EVEX_BODY(vcvt2ps2phx, whole, whole_to_half, PACKED, SOFT)
EVEX_IS(vcvt2ps2phx, vcvt2ps2phx)

/* ---- numbers of 8 bits. No exceptions, and MXCSR has no part in it. ---- */

static u64 element_half_from_hf8(struct cpu *c, const struct element *e)
{
	(void)c;
	return fp8_to_half((u8)e->b, HF8);
}
EVEX_BODY(vcvthf82ph, element, element_half_from_hf8, PACKED, EXACT)
EVEX_IS(vcvthf82ph, vcvthf82ph)

/* Of one source; of one whose bias is the low byte of the first source's element; and of two, side by side. */
#define TO_FP8(form, suffix, format, saturation) \
	static void whole_##form##format##suffix(struct cpu *c, const struct op *o, struct evex *e) \
	{ \
		(void)c; \
		form##_to_fp8(o, e, format, saturation); \
	} \
	EVEX_BODY(form##format##suffix, whole, whole_##form##format##suffix, PACKED, EXACT)
#define TO_FP8_FORMS(form, mnemonic) \
	TO_FP8(form, , BF8, false) \
	TO_FP8(form, s, BF8, true) \
	TO_FP8(form, , HF8, false) \
	TO_FP8(form, s, HF8, true) \
	EVEX_IS(mnemonic##2bf8, form##BF8) \
	EVEX_IS(mnemonic##2bf8s, form##BF8##s) \
	EVEX_IS(mnemonic##2hf8, form##HF8) \
	EVEX_IS(mnemonic##2hf8s, form##HF8##s)

/* The result is half as long as the source. */
static void halve(const struct op *o, struct evex *e)
{
	e->count = o->vlen / 2u;
	e->active &= ((u64)1 << e->count) - 1;
}

static void one_to_fp8(const struct op *o, struct evex *e, enum fp8 to, bool saturates)
{
	halve(o, e);
	for (unsigned i = 0; i < e->count; i++)
		e->r.b[i] = fp8_from_half(e->b.w[i], to, &(struct fp8_rounding){ saturates, false, 0 });
}
TO_FP8_FORMS(one, vcvtph)

static void biased_to_fp8(const struct op *o, struct evex *e, enum fp8 to, bool saturates)
{
	halve(o, e);
	for (unsigned i = 0; i < e->count; i++)
		e->r.b[i] = fp8_from_half(e->b.w[i], to, &(struct fp8_rounding){ saturates, true, (u8)e->a.w[i] });
}
TO_FP8_FORMS(biased, vcvtbiasph)

static void two_to_fp8(const struct op *o, struct evex *e, enum fp8 to, bool saturates)
{
	const unsigned half = o->vlen / 2;

	for (unsigned i = 0; i < 2 * half; i++)
		e->r.b[i] = fp8_from_half(i < half ? e->b.w[i] : e->a.w[i - half], to,
					  &(struct fp8_rounding){ saturates, false, 0 });
}
TO_FP8_FORMS(two, vcvt2ph)
