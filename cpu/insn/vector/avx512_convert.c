/* SPDX-License-Identifier: MIT */
/* Conversions that came with AVX-512: to and from unsigned and 64-bit integers, FP16, bfloat16; and those of SSE with a
 * rounding of their own. Computed with integers (vec_soft.h). */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"

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

	/* ---- to general registers ---- */

	ALWAYS_INLINE bool to_general(struct cpu *c, const struct op *o, bool is_signed, bool chop)
{
	unsigned size = o->osize == 8 ? 8 : 4;
	u32 saved;
	vec b;
	u64 r;

	if (!vec_source(c, o, 1u << o->from, &b))
		return false;
	saved = evex_soft_begin(c, o);
	r = (is_signed ? soft_to_int : soft_to_uint)(c, trim(b[0], 1u << o->from), format_of(1u << o->from), 8 * size,
						     chop);
	if (!evex_soft_end(c, o, saved))
		return false;
	reg_set(c, o->dst, size, r);
	return true;
}

BODY(vcvt2si) { return to_general(c, o, true, false); }
BODY_HANDLER(vcvt2si)
BODY(vcvtt2si) { return to_general(c, o, true, true); }
BODY_HANDLER(vcvtt2si)
BODY(vcvt2usi) { return to_general(c, o, false, false); }
BODY_HANDLER(vcvt2usi)
BODY(vcvtt2usi) { return to_general(c, o, false, true); }
BODY_HANDLER(vcvtt2usi)
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
	u32 saved = c->soft_mxcsr;
	u64 sum;

	c->soft_mxcsr = MXCSR_MASKS | MXCSR_DAZ | MXCSR_FTZ;
	sum = soft_fma(c, e->a & 0xffff0000, e->b & 0xffff0000, e->old, false, false, f32);
	sum = soft_fma(c, e->a << 16 & 0xffff0000, e->b << 16 & 0xffff0000, sum, false, false, f32);
	c->soft_mxcsr = saved;
	return sum;
}
EVEX_BODY(vdpbf16ps, element, element_dot_bfloat16, PACKED, EXACT)
EVEX_IS(vdpbf16ps, vdpbf16ps)
