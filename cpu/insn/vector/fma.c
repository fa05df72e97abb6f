/* SPDX-License-Identifier: MIT */
/* FMA: a product and a sum with one rounding (SDM vol. 2, VFMADD132PD and following). It is computed with integers
 * (vec_soft.h), or, where all exceptions are masked, by the host, if that has the same instructions: there is only one
 * result.
 *
 *   opcode bits 7-4: 9 132 first * third + second    bits 3-0: 6 the odd elements add, the even ones subtract   7 the other way round
 *                    A 213 second * first + third              8 9 x * y + z    A B x * y - z    C D -x * y + z    E F -x * y - z
 *                    B 231 second * third + first              (odd: one element) */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"

/* Z, or what X * Y is where one of them is not a number but zero. */
static u64 sum_with_zero(struct cpu *c, bool sign, struct num z, struct format f)
{
	if (z.class == ZERO)
		return (z.sign == sign ? sign : rounding(c) == 1) ? f.sign : 0;
	return pack_sum(c, z.sign, z.exp, (u128)z.sig << 64, f);
}

/* Both are  sig * 2^(exp - 126),  bit 126 the highest that is set. */
static u64 sum_of(struct cpu *c, bool sign, s32 exp, u128 big, bool small_sign, s32 small_exp, u128 small,
		  struct format f)
{
	unsigned shift;

	if (small_exp > exp || (small_exp == exp && small > big))
		return sum_of(c, small_sign, small_exp, small, sign, exp, big, f);
	shift = (unsigned)(exp - small_exp);
	if (shift)
		small = shift > 126 ? 1 : small >> shift | !!(small << (128 - shift));
	big = sign == small_sign ? big + small : big - small;
	if (!big)
		return rounding(c) == 1 ? f.sign : 0;
	return pack_sum(c, sign, exp + 1, big, f);
}

/* A * B + ADDEND, where the product's and the addend's sign may be turned. The first NaN survives, its
 * sign as it is. */
u64 soft_fma(struct cpu *c, u64 a, u64 b, u64 addend, bool turn_product, bool turn_addend, struct format f)
{
	struct num x = unpack(c, a, f), y = unpack(c, b, f), z = unpack(c, addend, f);
	bool sign = (x.sign != y.sign) != turn_product;
	s32 exp = x.exp + y.exp;
	u128 product;

	if (x.class == SNAN || y.class == SNAN || z.class == SNAN)
		flag(c, MXCSR_IE);
	if (x.class >= QNAN)
		return a | quiet(f);
	if (y.class >= QNAN)
		return b | quiet(f);
	if (z.class >= QNAN)
		return addend | quiet(f);
	z.sign ^= turn_addend;
	if ((x.class == INFINITE && y.class == ZERO) || (x.class == ZERO && y.class == INFINITE))
		return invalid(c, f);
	if (x.class == INFINITE || y.class == INFINITE) {
		if (z.class == INFINITE && z.sign != sign)
			return invalid(c, f);
		z = (struct num){ .class = INFINITE, .sign = sign, .denormal = z.denormal };
	}
	if (x.denormal || y.denormal || z.denormal)
		flag(c, MXCSR_DE);
	if (z.class == INFINITE)
		return infinity(f) | (z.sign ? f.sign : 0);
	if (x.class == ZERO || y.class == ZERO)
		return sum_with_zero(c, sign, z, f);
	product = (u128)x.sig * y.sig;
	if (product >> 127) {
		product >>= 1; /* significands of 53 bits: there are zeros below */
		exp++;
	}
	if (z.class == ZERO)
		return pack_sum(c, sign, exp + 1, product, f);
	return sum_of(c, sign, exp, product, z.sign, z.exp, (u128)z.sig << 63, f);
}

/* ---- by the host ---- */

#if defined __x86_64__ && !defined VCPU_SOFT_FP

static bool host_has_fma(void) { return __builtin_cpu_supports("fma"); }

/* The first NaN of A, B and Z survives, as it does in all the orders. */
#define NATIVE(name) \
	ALWAYS_INLINE vec native_##name(vec a, vec b, vec z) \
	{ \
		__asm__ volatile("v" #name " %2, %1, %0" : "+x"(z) : "x"(a), "x"(b)); \
		return z; \
	}
#define NATIVE_ALL(size) \
	NATIVE(fmaddsub231p##size) NATIVE(fmsubadd231p##size) NATIVE(fmadd231p##size) NATIVE(fmadd231s##size) NATIVE(fmsub231p##size) \
	NATIVE(fmsub231s##size) NATIVE(fnmadd231p##size) NATIVE(fnmadd231s##size) NATIVE(fnmsub231p##size) NATIVE(fnmsub231s##size) \
	static vec (*const natives_##size[16])(vec a, vec b, vec z) = { \
		[6] = native_fmaddsub231p##size, native_fmsubadd231p##size, native_fmadd231p##size, \
			native_fmadd231s##size, \
		native_fmsub231p##size, native_fmsub231s##size, native_fnmadd231p##size, native_fnmadd231s##size, \
			native_fnmsub231p##size, \
		native_fnmsub231s##size, \
	};
NATIVE_ALL(s)
NATIVE_ALL(d)

ALWAYS_INLINE vec native(u8 opcode, unsigned size, vec a, vec b, vec z)
{
	return (size == 4 ? natives_s : natives_d)[opcode & 15](a, b, z);
}

ALWAYS_INLINE vec native_product_sum(unsigned size, vec a, vec b, vec z)
{
	return size == 4 ? native_fmadd231ps(a, b, z) : native_fmadd231pd(a, b, z);
}

#else

static bool host_has_fma(void) { return false; }
ALWAYS_INLINE vec native_product_sum(unsigned size, vec a, vec b, vec z) { (void)size, (void)a, (void)b; return z; }
ALWAYS_INLINE vec native(u8 opcode, unsigned size, vec a, vec b, vec z) { (void)opcode, (void)size, (void)a, (void)b;
	return z; }

#endif

/* ---- instructions ---- */

/* Which of destination, first and last source are the factors and the addend: 132, 213, 231. */
static const u8 orders[3][3] = { { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 } };

/* o->imm8: the opcode. */
ALWAYS_INLINE bool fma_body(struct cpu *c, const struct op *o, unsigned size, bool scalar)
{
	const bool wide = o->vlen == 32;
	u8 opcode = o->imm8, kind = opcode & 14;
	vec operand[3][2] = { { xmm_get(c, o->dst), high_get(c, o->dst) },
		{ xmm_get(c, o->third), high_get(c, o->third) } };
	const u8 *order = orders[(opcode >> 4) - 9];
	const unsigned lanes = scalar ? 1 : (wide ? 32 : 16) / size;
	u32 saved = c->soft_mxcsr, flags;
	union vreg r = c->v[o->dst];

	if (!vec_operand(c, o, scalar ? size : wide ? 32 : 16, operand[2]))
		return false;
	if (host_has_fma() && (c->mxcsr & MXCSR_MASKS) == MXCSR_MASKS) {
		vec low, high = vec_zero;

		sse_begin(c);
		low = native(opcode, size, operand[order[0]][0], operand[order[1]][0], operand[order[2]][0]);
		if (scalar)
			low = size == 4 ? vec_merge32(operand[0][0], low) : vec_merge64(operand[0][0], low);
		if (wide)
			high = native(opcode, size, operand[order[0]][1], operand[order[1]][1], operand[order[2]][1]);
		ymm_set(c, o, low, high);
		return true;
	}
	c->soft_mxcsr = c->mxcsr & MXCSR_MASK & ~(u32)MXCSR_FLAGS;
	for (unsigned i = 0; i < lanes; i++) {
		unsigned half = i * size / 16, at = i & (16 / size - 1);
		bool minus = kind == 6 ? (opcode & 1) == (i & 1) : kind == 10 || kind == 14;
		u64 v = soft_fma(c, vec_extract(operand[order[0]][half], at, size),
				 vec_extract(operand[order[1]][half], at, size),
				 vec_extract(operand[order[2]][half], at, size), kind >= 12, minus,
				 size == 4 ? f32 : f64);

		put_size(&r.b[i * size], size, v);
	}
	flags = c->soft_mxcsr & MXCSR_FLAGS;
	c->soft_mxcsr = saved;
	if (!sse_raise(c, flags))
		return false;
	ymm_set(c, o, vec_load(&r.q[0]), wide ? vec_load(&r.q[2]) : vec_zero);
	return true;
}

/* ---- with EVEX: the opcode is the immediate ---- */

static vec native_part(u8 opcode, unsigned size, bool scalar, vec old, vec a, vec b)
{
	const vec operand[3] = { old, a, b };
	const u8 *order = orders[(opcode >> 4) - 9];
	vec r = native(opcode, size, operand[order[0]], operand[order[1]], operand[order[2]]);

	return !scalar ? r : size == 4 ? vec_merge32(old, r) : vec_merge64(old, r);
}

static u64 element_fma(struct cpu *c, const struct element *e)
{
	const u64 operand[3] = { e->old, e->a, e->b };
	const u8 *order = orders[(e->imm >> 4) - 9];
	u8 kind = e->imm & 14;
	bool minus = kind == 6 ? (e->imm & 1) == (e->index & 1) : kind == 10 || kind == 14;

	return soft_fma(c, operand[order[0]], operand[order[1]], operand[order[2]], kind >= 12, minus,
			format_of(e->to));
}
static const struct evex_desc fma_soft = { .kind = EVEX_KIND_element, .element = element_fma, .lanes = PACKED,
					  .post = POST_SOFT },
			      fma_soft_one = { .kind = EVEX_KIND_element, .element = element_fma, .lanes = ONE,
					       .post = POST_SOFT, .rest_of_old = true };

static bool fma_evex(struct cpu *c, const struct op *o, const struct evex_desc *host, bool scalar)
{
	bool masked = o->round || (c->mxcsr & MXCSR_MASKS) == MXCSR_MASKS;

	return evex_run(c, o, host && masked && host_has_fma() ? host : scalar ? &fma_soft_one : &fma_soft);
}

#define FMA(name, size, scalar, which) \
	static vec parts_##name(struct cpu *c, vec old, vec a, vec b, u8 imm, unsigned part) \
	{ \
		(void)c, (void)part; \
		return native_part(imm, size, scalar, old, a, b); \
	} \
	static const struct evex_desc evex_##name = { .kind = EVEX_KIND_parts3, .parts3 = parts_##name, \
						      .lanes = which, .post = POST_NONE, .rest_of_old = true }; \
	BODY(name) { return o->from ? fma_evex(c, o, &evex_##name, scalar) : fma_body(c, o, size, scalar); } \
	BODY_HANDLER(name)
FMA(fma_ps, 4, false, PACKED)
FMA(fma_pd, 8, false, PACKED)
FMA(fma_ss, 4, true, ONE)
FMA(fma_sd, 8, true, ONE)
BODY(fma_ph) { return fma_evex(c, o, NULL, false); }
BODY_HANDLER(fma_ph)
BODY(fma_sh) { return fma_evex(c, o, NULL, true); }
BODY_HANDLER(fma_sh)

/* A product added to, which is most of them, of 32 bytes and more: handlers by order and size. While the host's MXCSR is
 * the guest's, all exceptions are masked. */
#define FMA_FAST(order, suffix, size, first, second, addend) \
	ALWAYS_INLINE vec lanes_fmadd##order##suffix(struct cpu *c, vec old, vec a, vec b, u8 imm, unsigned part) \
	{ \
		(void)c, (void)imm, (void)part; \
		return native_product_sum(size, first, second, addend); \
	} \
	FMA_HANDLER(order##suffix, ymm_reg, KIND_REG, 32, false, h_fma_##suffix) \
	FMA_HANDLER(order##suffix, ymm_index, KIND_INDEX, 32, false, h_fma_##suffix) \
	FMA_HANDLER(order##suffix, 256_reg, KIND_REG, 32, true, h_fma_##suffix) \
	FMA_HANDLER(order##suffix, 256_index, KIND_INDEX, 32, true, h_fma_##suffix) \
	FMA_HANDLER(order##suffix, 512_reg, KIND_REG, 64, true, h_fma_##suffix) \
	FMA_HANDLER(order##suffix, 512_index, KIND_INDEX, 64, true, h_fma_##suffix) \
	FMA_MASKED(order##suffix, 256_reg, KIND_REG, 32, size, h_fma_##suffix) \
	FMA_MASKED(order##suffix, 256_index, KIND_INDEX, 32, size, h_fma_##suffix) \
	FMA_MASKED(order##suffix, 512_reg, KIND_REG, 64, size, h_fma_##suffix) \
	FMA_MASKED(order##suffix, 512_index, KIND_INDEX, 64, size, h_fma_##suffix) \
	FMA_BROADCAST(order##suffix, 32, size, h_fma_##suffix) \
	FMA_BROADCAST(order##suffix, 64, size, h_fma_##suffix)
#define FMA_HANDLER(name, form, kind, vlen, zmm, slow) \
	HANDLER(h_fmadd##name##_##form) \
	{ \
		return vec_fast_three(c, o, n, kind, vlen, vlen, zmm, lanes_fmadd##name, POST_NONE, slow); \
	}
#define FMA_MASKED(name, form, kind, vlen, size, slow) \
	HANDLER(h_fmadd##name##_k_##form) \
	{ \
		return vec_fast_three_masked(c, o, n, kind, vlen, lanes_fmadd##name, 8 * (size), POST_NONE, slow); \
	}
#define FMA_BROADCAST(name, vlen, size, slow) \
	HANDLER(h_fmadd##name##_all_##vlen) \
	{ \
		return vec_fast_three(c, o, n, KIND_INDEX, vlen, size, true, lanes_fmadd##name, POST_NONE, slow); \
	}
FMA_FAST(132, ps, 4, old, b, a)
FMA_FAST(132, pd, 8, old, b, a)
FMA_FAST(213, ps, 4, a, old, b)
FMA_FAST(213, pd, 8, a, old, b)
FMA_FAST(231, ps, 4, a, b, old)
FMA_FAST(231, pd, 8, a, b, old)

/* BODY, if there is no other. */
static void choose_fast_fma(const struct dec *d, struct op *o, handler *body)
{
#define FORMS(name) { { h_fmadd##name##_ymm_reg, h_fmadd##name##_ymm_index }, \
		      { h_fmadd##name##_256_reg, h_fmadd##name##_256_index }, \
		      { h_fmadd##name##_512_reg, h_fmadd##name##_512_index } }
	static handler *const fast[3][2][3][2] = {
		{ FORMS(132ps), FORMS(132pd) }, { FORMS(213ps), FORMS(213pd) }, { FORMS(231ps), FORMS(231pd) },
	};
#undef FORMS
#define WIDE(name, size) { { size, .masked = { { h_fmadd##name##_k_256_reg, h_fmadd##name##_k_256_index }, \
						      { h_fmadd##name##_k_512_reg, h_fmadd##name##_k_512_index } }, \
			     .broadcast = { h_fmadd##name##_all_32, h_fmadd##name##_all_64 } }, { 0 } }
	static const struct vec_wide wide[3][2][2] = {
		{ WIDE(132ps, 32), WIDE(132pd, 64) },
		{ WIDE(213ps, 32), WIDE(213pd, 64) },
		{ WIDE(231ps, 32), WIDE(231pd, 64) },
	};
#undef WIDE
	const unsigned order = (d->opcode >> 4) - 9, wideness = d->rex >> 3 & 1;
	handler *const (*forms)[2] = fast[order][wideness];
	enum kind kind = dec_kind_of_memory(d);

	o->run = body;
	if (o->vlen < 32 || !host_has_fma())
		return;
	if (o->zmm)
		vec_choose_zmm(d, o, forms, wide[order][wideness], body);
	else if (kind != KIND_SEG)
		o->run = forms[0][kind != KIND_REG];
}

static void choose_fma(const struct dec *d, struct op *o, enum lanes lanes)
{
	static handler *const forms[2][2] = { { h_fma_ps, h_fma_pd }, { h_fma_ss, h_fma_sd } };

	vec_operands(d, o, lanes);
	if (d->map == 6)
		o->run = lanes == ONE ? h_fma_sh : h_fma_ph;
	else
		o->run = forms[lanes == ONE][d->rex >> 3 & 1];
	if (d->map != 6 && (d->opcode & 15) == 8)
		choose_fast_fma(d, o, o->run);
	o->imm8 = d->opcode;
}

#define FMA_PACKED(name) \
	GEN(name##132ph) { choose_fma(d, o, PACKED); } GEN(name##213ph) { choose_fma(d, o, PACKED); } \
	GEN(name##231ph) { choose_fma(d, o, PACKED); } \
	GEN(name##132ps) { choose_fma(d, o, PACKED); } GEN(name##132pd) { choose_fma(d, o, PACKED); } \
	GEN(name##213ps) { choose_fma(d, o, PACKED); } GEN(name##213pd) { choose_fma(d, o, PACKED); } \
	GEN(name##231ps) { choose_fma(d, o, PACKED); } GEN(name##231pd) { choose_fma(d, o, PACKED); }
#define FMA_SCALAR(name) \
	GEN(name##132sh) { choose_fma(d, o, ONE); } GEN(name##213sh) { choose_fma(d, o, ONE); } \
	GEN(name##231sh) { choose_fma(d, o, ONE); } \
	GEN(name##132ss) { choose_fma(d, o, ONE); } GEN(name##132sd) { choose_fma(d, o, ONE); } \
	GEN(name##213ss) { choose_fma(d, o, ONE); } GEN(name##213sd) { choose_fma(d, o, ONE); } \
	GEN(name##231ss) { choose_fma(d, o, ONE); } GEN(name##231sd) { choose_fma(d, o, ONE); }

FMA_PACKED(vfmaddsub)
FMA_PACKED(vfmsubadd)
FMA_PACKED(vfmadd)
FMA_SCALAR(vfmadd)
FMA_PACKED(vfmsub)
FMA_SCALAR(vfmsub)
FMA_PACKED(vfnmadd)
FMA_SCALAR(vfnmadd)
FMA_PACKED(vfnmsub)
FMA_SCALAR(vfnmsub)

/* ---- FMA4: four operands; scalar forms clear the rest ---- */

/* The first source * the second + the third. The second is in r/m and the third in the immediate, imm8's lower half;
 * with SWAPPED the other way round. Its upper half: the opcode as those above have it. */
ALWAYS_INLINE bool fma4_body(struct cpu *c, const struct op *o, unsigned size, bool scalar, bool swapped)
{
	const bool wide = !scalar && o->vlen == 32;
	const unsigned lanes = scalar ? 1 : (wide ? 32 : 16) / size;
	u8 opcode = o->imm8 >> 4, kind = opcode & 14;
	u32 saved = c->soft_mxcsr, flags;
	union vreg a = c->v[o->third], x, y = c->v[o->imm8 & 15], r = { 0 };
	vec b[2];

	if (!vec_operand(c, o, scalar ? size : wide ? 32 : 16, b))
		return false;
	x = y;
	memcpy(swapped ? &y : &x, b, sizeof b);
	c->soft_mxcsr = c->mxcsr & MXCSR_MASK & ~(u32)MXCSR_FLAGS;
	for (unsigned i = 0; i < lanes; i++) {
		bool minus = kind == 6 ? (opcode & 1) == (i & 1) : kind == 10 || kind == 14;
		u64 v = soft_fma(c, get_size(&a.b[i * size], size), get_size(&x.b[i * size], size),
				 get_size(&y.b[i * size], size), kind >= 12, minus, size == 4 ? f32 : f64);

		put_size(&r.b[i * size], size, v);
	}
	flags = c->soft_mxcsr & MXCSR_FLAGS;
	c->soft_mxcsr = saved;
	if (!sse_raise(c, flags))
		return false;
	ymm_set(c, o, vec_load(&r.q[0]), vec_load(&r.q[2]));
	return true;
}

#define FMA4(name, size, scalar) \
	BODY(fma4_##name) { return fma4_body(c, o, size, scalar, false); } \
	BODY(fma4_swapped_##name) { return fma4_body(c, o, size, scalar, true); } \
	BODY_HANDLER(fma4_##name) \
	BODY_HANDLER(fma4_swapped_##name)
FMA4(ps, 4, false)
FMA4(pd, 8, false)
FMA4(ss, 4, true)
FMA4(sd, 8, true)

/* 5C to 5F; 68 to 6F, 78 to 7F: bit 0 double, bit 1 scalar, bit 2 subtract, bit 4 the product is turned. */
static void choose_fma4(const struct dec *d, struct op *o)
{
	static handler *const forms[4][2] = { { h_fma4_ps, h_fma4_swapped_ps },
					      { h_fma4_pd, h_fma4_swapped_pd },
					      { h_fma4_ss, h_fma4_swapped_ss },
					      { h_fma4_sd, h_fma4_swapped_sd } };
	unsigned op = d->opcode, alternate = op < 0x60, scalar = alternate ? 0u : op & 2;
	unsigned kind = alternate ? 6 + (op >> 1 & 1) : (op & 0x10 ? 12u : 8u) + (op & 4 ? 2u : 0u);

	vec_operands(d, o, scalar ? ONE : PACKED);
	o->imm8 = (u8)((o->imm8 & 15) | kind << 4);
	o->run = forms[(op & 1) | scalar][d->rex >> 3 & 1];
}
GEN(vfmaddsubps) { choose_fma4(d, o); }
GEN(vfmaddsubpd) { choose_fma4(d, o); }
GEN(vfmsubaddps) { choose_fma4(d, o); }
GEN(vfmsubaddpd) { choose_fma4(d, o); }
GEN(vfmaddps) { choose_fma4(d, o); }
GEN(vfmaddpd) { choose_fma4(d, o); }
GEN(vfmaddss) { choose_fma4(d, o); }
GEN(vfmaddsd) { choose_fma4(d, o); }
GEN(vfmsubps) { choose_fma4(d, o); }
GEN(vfmsubpd) { choose_fma4(d, o); }
GEN(vfmsubss) { choose_fma4(d, o); }
GEN(vfmsubsd) { choose_fma4(d, o); }
GEN(vfnmaddps) { choose_fma4(d, o); }
GEN(vfnmaddpd) { choose_fma4(d, o); }
GEN(vfnmaddss) { choose_fma4(d, o); }
GEN(vfnmaddsd) { choose_fma4(d, o); }
GEN(vfnmsubps) { choose_fma4(d, o); }
GEN(vfnmsubpd) { choose_fma4(d, o); }
GEN(vfnmsubss) { choose_fma4(d, o); }
GEN(vfnmsubsd) { choose_fma4(d, o); }
