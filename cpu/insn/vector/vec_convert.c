/* SPDX-License-Identifier: MIT */
/* Conversions between numbers of two precisions and integers. (Those from and to MMX registers are in mmx.c.) */
#include "cpu/insn/vector/vector.h"

VEC(cvtss2sd,  32, ONE,    NONE,   FAST_128, vec_cvtss2sd(c, a, b))
VEC(cvtsd2ss,  64, ONE,    NARROW, FAST_128, vec_cvtsd2ss(c, a, b))
VEC(cvtps2pd,  32, HALF,   NONE,   FAST_SSE, vec_cvtps2pd(c, a, b))
VEC(cvtpd2ps,  64, NARROW, NARROW, FAST_SSE, vec_cvtpd2ps(c, a, b))
VEC(cvtdq2ps,  32, PACKED, NONE,   FAST_SSE, vec_cvtdq2ps(c, a, b))
VEC(cvtps2dq,  32, PACKED, NONE,   FAST_SSE, vec_cvtps2dq(c, a, b))
VEC(cvttps2dq, 32, PACKED, NONE,   FAST_SSE, vec_cvttps2dq(c, a, b))
VEC(cvtpd2dq,  64, NARROW, NONE,   FAST_SSE, vec_cvtpd2dq(c, a, b))
VEC(cvttpd2dq, 64, NARROW, NONE,   FAST_SSE, vec_cvttpd2dq(c, a, b))
VEC(cvtdq2pd,  32, HALF,   EXACT,  FAST_SSE, vec_cvtdq2pd(a, b))

/* ---- CVTSI2SS, CVTSI2SD: from a general register or memory ---- */

ALWAYS_INLINE bool from_int_body(struct cpu *c, const struct op *o, from_int_fn *fn, unsigned size)
{
	u64 v;
	vec r[2];

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	sse_begin(c);
	r[0] = fn(c, vec_first(c, o, 0), v);
	if (!sse_end(c))
		return false;
	vec_result(c, o, r);
	return true;
}

ALWAYS_INLINE HANDLER_TYPE from_int_reg(struct cpu *c, const struct op *o, s64 n, from_int_fn *fn, unsigned size,
					handler *slow)
{
	if (unlikely(!c->mxcsr_live))
		TAIL(slow);
	vreg_set(c, o, dst, 0, fn(c, vreg_get(c, o, dst, 0), reg_get(c, o->src, size)));
	RUN(o + 1);
}

#define FROM_INT(name, fn, size) \
	BODY(name) { return from_int_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	HANDLER(h_##name##_reg) { return from_int_reg(c, o, n, fn, size, h_##name); }

FROM_INT(cvtsi2ss32, from32_ss, 4)
FROM_INT(cvtsi2ss64, from64_ss, 8)
FROM_INT(cvtsi2sd32, from32_sd, 4)
FROM_INT(cvtsi2sd64, from64_sd, 8)

gen_fn gen_vcvtsi2fp_round, gen_vcvt2si_round, gen_vcvtt2si_round; /* EVEX's rounding: avx512_convert.c */

static void choose_from_int(const struct dec *d, struct op *o, handler *const forms[2][2])
{
	vec_operands(d, o, ONE);
	if (d->evex && o->round) {
		gen_vcvtsi2fp_round(d, o);
		return;
	}
	o->run = forms[dec_size(d, d->vex ? 2 : 1) == 8][d->mem || d->vex];
}

GEN(cvtsi2ss_x)
{
	static handler *const forms[2][2] = { { h_cvtsi2ss32_reg, h_cvtsi2ss32 }, { h_cvtsi2ss64_reg, h_cvtsi2ss64 } };

	choose_from_int(d, o, forms);
}
GEN(vcvtsi2ss) { gen_cvtsi2ss_x(d, o); }

GEN(cvtsi2sd_x)
{
	static handler *const forms[2][2] = { { h_cvtsi2sd32_reg, h_cvtsi2sd32 }, { h_cvtsi2sd64_reg, h_cvtsi2sd64 } };

	choose_from_int(d, o, forms);
}
GEN(vcvtsi2sd) { gen_cvtsi2sd_x(d, o); }

/* ---- CVTxS2SI, CVTTxS2SI: to a general register; a 32-bit result clears the upper half ---- */

typedef u64 to_int_fn(struct cpu *c, vec b);
ALWAYS_INLINE u64 ss_to32(struct cpu *c, vec b) { return vec_cvtss2si32(c, b); }
ALWAYS_INLINE u64 sst_to32(struct cpu *c, vec b) { return vec_cvttss2si32(c, b); }
ALWAYS_INLINE u64 sd_to32(struct cpu *c, vec b) { return vec_cvtsd2si32(c, b); }
ALWAYS_INLINE u64 sdt_to32(struct cpu *c, vec b) { return vec_cvttsd2si32(c, b); }

ALWAYS_INLINE bool to_int_body(struct cpu *c, const struct op *o, to_int_fn *fn, unsigned size)
{
	vec b;
	u64 r;

	if (!vec_source(c, o, size, &b))
		return false;
	sse_begin(c);
	r = fn(c, b);
	if (!sse_end(c))
		return false;
	reg_set(c, o->dst, 8, r);
	return true;
}

ALWAYS_INLINE HANDLER_TYPE to_int_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, to_int_fn *fn,
				       unsigned size, handler *slow)
{
	VEC_FAST_OPERAND(p, kind, size, true, slow)
	reg_set(c, o->dst, 8, fn(c, vec_fast_source(c, o, p, kind, size)));
	RUN(o + 1);
}

#define TO_INT(name, fn, size) \
	BODY(name) { return to_int_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	HANDLER(h_##name##_reg) { return to_int_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	HANDLER(h_##name##_index) { return to_int_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	HANDLER(h_##name##_seg) { return to_int_fast(c, o, n, KIND_SEG, fn, size, h_##name); }
/* in the order of enum kind */
#define TO_INT_FORMS(name) { h_##name##_reg, h_##name##_index, h_##name##_index, h_##name##_seg }

TO_INT(cvtss2si32, ss_to32, 4)
TO_INT(cvtss2si64, vec_cvtss2si64, 4)
TO_INT(cvttss2si32, sst_to32, 4)
TO_INT(cvttss2si64, vec_cvttss2si64, 4)
TO_INT(cvtsd2si32, sd_to32, 8)
TO_INT(cvtsd2si64, vec_cvtsd2si64, 8)
TO_INT(cvttsd2si32, sdt_to32, 8)
TO_INT(cvttsd2si64, vec_cvttsd2si64, 8)

#define TO_INT_GEN(name, rounded) \
	GEN(name##_x) \
	{ \
		static handler *const forms[2][4] = { TO_INT_FORMS(name##32), TO_INT_FORMS(name##64) }; \
		o->run = forms[dec_size(d, 0) == 8][dec_kind_of_memory(d)]; \
	} \
	GEN(v##name) { (d->evex && o->round ? gen_##rounded##_round : gen_##name##_x)(d, o); }

TO_INT_GEN(cvtss2si, vcvt2si)
TO_INT_GEN(cvttss2si, vcvtt2si)
TO_INT_GEN(cvtsd2si, vcvt2si)
TO_INT_GEN(cvttsd2si, vcvtt2si)
