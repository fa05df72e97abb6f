/* SPDX-License-Identifier: MIT */
/* Floating-point arithmetic of SSE to AVX: what vec_fp.h defines, as instructions. Scalar operations keep the first
 * source's other elements. */
#include "cpu/insn/vector/vector.h"

VEC(addps,  32, PACKED, ADD,  FAST,     vec_addps(c, a, b))
VEC(addpd,  64, PACKED, ADD,  FAST,     vec_addpd(c, a, b))
VEC(addss,  32, ONE,    ADD,  FAST_128, vec_addss(c, a, b))
VEC(addsd,  64, ONE,    ADD,  FAST_128, vec_addsd(c, a, b))
VEC(subps,  32, PACKED, ADD,  FAST,     vec_subps(c, a, b))
VEC(subpd,  64, PACKED, ADD,  FAST,     vec_subpd(c, a, b))
VEC(subss,  32, ONE,    ADD,  FAST_128, vec_subss(c, a, b))
VEC(subsd,  64, ONE,    ADD,  FAST_128, vec_subsd(c, a, b))
VEC(mulps,  32, PACKED, MUL,  FAST,     vec_mulps(c, a, b))
VEC(mulpd,  64, PACKED, MUL,  FAST,     vec_mulpd(c, a, b))
VEC(mulss,  32, ONE,    MUL,  FAST_128, vec_mulss(c, a, b))
VEC(mulsd,  64, ONE,    MUL,  FAST_128, vec_mulsd(c, a, b))
VEC(divps,  32, PACKED, MUL,  FAST,     vec_divps(c, a, b))
VEC(divpd,  64, PACKED, MUL,  FAST,     vec_divpd(c, a, b))
VEC(divss,  32, ONE,    MUL,  FAST_128, vec_divss(c, a, b))
VEC(divsd,  64, ONE,    MUL,  FAST_128, vec_divsd(c, a, b))
VEC(minps,  32, PACKED, NONE, FAST,     vec_minps(c, a, b))
VEC(minpd,  64, PACKED, NONE, FAST,     vec_minpd(c, a, b))
VEC(minss,  32, ONE,    NONE, FAST_128, vec_minss(c, a, b))
VEC(minsd,  64, ONE,    NONE, FAST_128, vec_minsd(c, a, b))
VEC(maxps,  32, PACKED, NONE, FAST,     vec_maxps(c, a, b))
VEC(maxpd,  64, PACKED, NONE, FAST,     vec_maxpd(c, a, b))
VEC(maxss,  32, ONE,    NONE, FAST_128, vec_maxss(c, a, b))
VEC(maxsd,  64, ONE,    NONE, FAST_128, vec_maxsd(c, a, b))
VEC(sqrtps, 32, PACKED, NONE, FAST,     vec_sqrtps(c, a, b))
VEC(sqrtpd, 64, PACKED, NONE, FAST,     vec_sqrtpd(c, a, b))
VEC(sqrtss, 32, ONE,    NONE, FAST_128, vec_sqrtss(c, a, b))
VEC(sqrtsd, 64, ONE,    NONE, FAST_128, vec_sqrtsd(c, a, b))

VEC(rcpps,   32, PACKED, EXACT, SLOW, vec_rcpps(a, b))
VEC(rcpss,   32, ONE,    EXACT, SLOW, vec_rcpss(a, b))
VEC(rsqrtps, 32, PACKED, EXACT, SLOW, vec_rsqrtps(a, b))
VEC(rsqrtss, 32, ONE,    EXACT, SLOW, vec_rsqrtss(a, b))

/* R = FN(A, B) in all parts, with the exceptions of all. */
ALWAYS_INLINE bool fp_apply(struct cpu *c, const struct op *o, vec_fn *fn, const vec a[2], const vec b[2],
			    enum post post, vec r[2])
{
	u32 flags = 0;

	sse_begin(c);
	for (unsigned part = 0; part < vec_parts(o); part++)
		r[part] = sse_step(c, fn, a[part], b[part], 0, part, post, &flags);
	return sse_done(c, flags);
}

/* ---- SSE3: sums of neighbours, and alternating sums ---- */

ALWAYS_INLINE bool horizontal_body(struct cpu *c, const struct op *o, vec_fn *fn, unsigned bits)
{
	vec b[2], even[2], odd[2], r[2];

	if (!vec_operand(c, o, vec_reads(PACKED, bits, o->vlen), b))
		return false;
	for (unsigned part = 0; part < 2; part++) {
		vec a = vec_first(c, o, part);

		even[part] = bits == 64 ? vec_even64(a, b[part]) : vec_even32(a, b[part]);
		odd[part] = bits == 64 ? vec_odd64(a, b[part]) : vec_odd32(a, b[part]);
	}
	if (!fp_apply(c, o, fn, even, odd, vec_post(POST_ADD, PACKED, bits), r))
		return false;
	vec_result(c, o, r);
	return true;
}

BODY(haddps) { return horizontal_body(c, o, lanes_addps, 32); }
VEC_OWN(haddps)
BODY(haddpd) { return horizontal_body(c, o, lanes_addpd, 64); }
VEC_OWN(haddpd)
BODY(hsubps) { return horizontal_body(c, o, lanes_subps, 32); }
VEC_OWN(hsubps)
BODY(hsubpd) { return horizontal_body(c, o, lanes_subpd, 64); }
VEC_OWN(hsubpd)

/* A - B in even lanes, A + B in those of ODD. Subtraction is not addition of -B: another NaN may result. So both are
 * computed, each with zeros where the other's lanes are. */
ALWAYS_INLINE bool addsub_body(struct cpu *c, const struct op *o, vec_fn *sub, vec_fn *add, unsigned bits)
{
	const vec odd = bits == 64 ? (vec){ 0, ~(u64)0 } : (vec){ 0xffffffff00000000, 0xffffffff00000000 };
	enum post post = vec_post(POST_ADD, PACKED, bits);
	vec b[2], r[2];
	u32 flags = 0;

	if (!vec_operand(c, o, vec_reads(PACKED, bits, o->vlen), b))
		return false;
	sse_begin(c);
	for (unsigned part = 0; part < vec_parts(o); part++) {
		vec a = vec_first(c, o, part), even = sse_step(c, sub, a & ~odd, b[part] & ~odd, 0, part, post, &flags);

		r[part] = vec_select(odd, sse_step(c, add, a & odd, b[part] & odd, 0, part, post, &flags), even);
	}
	if (!sse_done(c, flags))
		return false;
	vec_result(c, o, r);
	return true;
}

BODY(addsubps) { return addsub_body(c, o, lanes_subps, lanes_addps, 32); }
VEC_OWN(addsubps)
BODY(addsubpd) { return addsub_body(c, o, lanes_subpd, lanes_addpd, 64); }
VEC_OWN(addsubpd)

/* ---- dot products: IMM bits 7-4 which lanes are multiplied, bits 3-0 which receive the sum ----
 *
 * Of Intel's processors every lane makes its own sum, and where there are several NaNs its own survives; silicon adds
 * neighbours with the other one first. Of AMD's all lanes receive one sum, in which the lower lane is the first. */

/* Lanes of R that are added to each other: neighbours, or with FAR halves. */
static void dp_pairs(const struct cpu *c, const vec *r, vec *first, vec *second, bool far)
{
	for (unsigned i = 0; i < 2; i++)
		if (is_amd(c->model)) {
			first[i] = vec_pshufd(r[i], r[i], far ? 0x00 : 0xa0);
			second[i] = vec_pshufd(r[i], r[i], far ? 0xaa : 0xf5);
		} else {
			first[i] = far ? r[i] : vec_pshufd(r[i], r[i], 0xb1);
			second[i] = far ? vec_pshufd(r[i], r[i], 0x4e) : r[i];
		}
}

BODY(dpps)
{
	vec take = spread_mask32(o->imm8 >> 4), keep = spread_mask32(o->imm8 & 15), a[2], b[2], r[2] = { vec_zero };

	if (!vec_operand(c, o, vec_reads(PACKED, 32, o->vlen), b))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		a[i] = vec_first(c, o, i) & take;
		b[i] &= take;
	}
	if (!fp_apply(c, o, lanes_mulps, a, b, vec_post(POST_MUL, PACKED, 32), r))
		return false;
	for (unsigned far = 0; far < 2; far++) {
		dp_pairs(c, r, a, b, far);
		if (!fp_apply(c, o, lanes_addps, a, b, vec_post(POST_ADD, PACKED, 32), r))
			return false;
	}
	for (unsigned i = 0; i < vec_parts(o); i++)
		r[i] &= keep;
	vec_result(c, o, r);
	return true;
}
VEC_OWN(dpps)

/* VEX.128 at most. */
BODY(dppd)
{
	vec take = spread_mask64(o->imm8 >> 4 & 3), a[2] = { vec_first(c, o, 0) & take }, b[2], r[2];

	if (!vec_operand(c, o, 16, b))
		return false;
	b[0] &= take;
	if (!fp_apply(c, o, lanes_mulpd, a, b, vec_post(POST_MUL, PACKED, 64), r))
		return false;
	a[0] = is_amd(c->model) ? (vec){ r[0][0], r[0][0] } : r[0];
	b[0] = is_amd(c->model) ? (vec){ r[0][1], r[0][1] } : (vec){ r[0][1], r[0][0] };
	if (!fp_apply(c, o, lanes_addpd, a, b, vec_post(POST_ADD, PACKED, 64), r))
		return false;
	r[0] &= spread_mask64(o->imm8 & 3);
	vec_result(c, o, r);
	return true;
}
VEC_OWN(dppd)
