/* Conversions between numbers of two precisions and integers. (Those from and to MMX registers are in mmx.c.) */
#include "cpu/insn/vector/vector.h"

FP_OP(cvtss2sd, vec_cvtss2sd, 4, POST_NONE)
FP_OP(cvtsd2ss, vec_cvtsd2ss, 8, NARROW_SD)
FP_OP(cvtps2pd, vec_cvtps2pd, 8, POST_NONE)
FP_OP(cvtpd2ps, vec_cvtpd2ps, 16, NARROW_PD)
FP_OP(cvtdq2ps, vec_cvtdq2ps, 16, POST_NONE)
FP_OP(cvtps2dq, vec_cvtps2dq, 16, POST_NONE)
FP_OP(cvttps2dq, vec_cvttps2dq, 16, POST_NONE)
FP_OP(cvtpd2dq, vec_cvtpd2dq, 16, POST_NONE)
FP_OP(cvttpd2dq, vec_cvttpd2dq, 16, POST_NONE)
VEC_OP(cvtdq2pd, vec_cvtdq2pd, 8) /* always exact */

/* ---- CVTSI2SS, CVTSI2SD: from a general register or memory ---- */

ALWAYS_INLINE bool from_int_body(struct cpu *c, const struct op *o, from_int_fn *fn, unsigned size)
{
	u64 v;
	vec r;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	sse_begin(c);
	r = fn(c, xmm_get(c, o->dst), v);
	if (!sse_end_plain(c))
		return false;
	xmm_set(c, o->dst, r);
	return true;
}

ALWAYS_INLINE HANDLER_TYPE from_int_reg(struct cpu *c, const struct op *o, s64 n, from_int_fn *fn, unsigned size, handler *slow)
{
	if (unlikely(!c->mxcsr_live))
		TAIL(slow);
	xmm_set(c, o->dst, fn(c, xmm_get(c, o->dst), reg_get(c, o->src, size)));
	RUN(o + 1);
}

#define FROM_INT(name, fn, size) \
	BODY(name) { return from_int_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return from_int_reg(c, o, n, fn, size, h_##name); }

FROM_INT(cvtsi2ss32, from32_ss, 4)
FROM_INT(cvtsi2ss64, from64_ss, 8)
FROM_INT(cvtsi2sd32, from32_sd, 4)
FROM_INT(cvtsi2sd64, from64_sd, 8)

GEN(cvtsi2ss)
{
	static handler *const forms[2][2] = { { h_cvtsi2ss32_reg, h_cvtsi2ss32 }, { h_cvtsi2ss64_reg, h_cvtsi2ss64 } };

	o->run = forms[dec_size(d, 1) == 8][d->mem];
}

GEN(cvtsi2sd)
{
	static handler *const forms[2][2] = { { h_cvtsi2sd32_reg, h_cvtsi2sd32 }, { h_cvtsi2sd64_reg, h_cvtsi2sd64 } };

	o->run = forms[dec_size(d, 1) == 8][d->mem];
}

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
	if (!sse_end_plain(c))
		return false;
	REG64(o->dst) = r;
	return true;
}

ALWAYS_INLINE HANDLER_TYPE to_int_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, to_int_fn *fn, unsigned size, handler *slow)
{
	const u8 *p = vec_fast_source(c, o, kind, size);

	if (unlikely(!p) || unlikely(!c->mxcsr_live))
		TAIL(slow);
	REG64(o->dst) = fn(c, vec_load_size(p, kind, size));
	RUN(o + 1);
}

#define TO_INT(name, fn, size) \
	BODY(name) { return to_int_body(c, o, fn, size); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_reg) { return to_int_fast(c, o, n, KIND_REG, fn, size, h_##name); } \
	static HANDLER(h_##name##_index) { return to_int_fast(c, o, n, KIND_INDEX, fn, size, h_##name); } \
	static HANDLER(h_##name##_seg) { return to_int_fast(c, o, n, KIND_SEG, fn, size, h_##name); }
#define TO_INT_FORMS(name) { h_##name##_reg, h_##name##_index, h_##name##_index, h_##name##_seg } /* in the order of enum kind */

TO_INT(cvtss2si32, ss_to32, 4)
TO_INT(cvtss2si64, vec_cvtss2si64, 4)
TO_INT(cvttss2si32, sst_to32, 4)
TO_INT(cvttss2si64, vec_cvttss2si64, 4)
TO_INT(cvtsd2si32, sd_to32, 8)
TO_INT(cvtsd2si64, vec_cvtsd2si64, 8)
TO_INT(cvttsd2si32, sdt_to32, 8)
TO_INT(cvttsd2si64, vec_cvttsd2si64, 8)

static void choose_to_int(const struct dec *d, struct op *o, handler *const forms[2][4])
{
	o->run = forms[dec_size(d, 0) == 8][dec_kind_of_memory(d)];
}

GEN(cvtss2si)
{
	static handler *const forms[2][4] = { TO_INT_FORMS(cvtss2si32), TO_INT_FORMS(cvtss2si64) };

	choose_to_int(d, o, forms);
}

GEN(cvttss2si)
{
	static handler *const forms[2][4] = { TO_INT_FORMS(cvttss2si32), TO_INT_FORMS(cvttss2si64) };

	choose_to_int(d, o, forms);
}

GEN(cvtsd2si)
{
	static handler *const forms[2][4] = { TO_INT_FORMS(cvtsd2si32), TO_INT_FORMS(cvtsd2si64) };

	choose_to_int(d, o, forms);
}

GEN(cvttsd2si)
{
	static handler *const forms[2][4] = { TO_INT_FORMS(cvttsd2si32), TO_INT_FORMS(cvttsd2si64) };

	choose_to_int(d, o, forms);
}
