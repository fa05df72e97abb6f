/* SPDX-License-Identifier: MIT */
/* Mask registers: instructions on them (SDM vol. 2, KADDW and following), and those that make masks of vectors and
 * vectors of masks. */
#include "cpu/insn/vector/vector.h"

static u64 low_bits(u64 v, unsigned bits) { return bits == 64 ? v : v & (((u64)1 << bits) - 1); }

/* ---- between masks ---- */

#define MASK_OP(name, expression) \
	ALWAYS_INLINE u64 mask_##name(u64 a, u64 b, unsigned bits) \
	{ \
		(void)a, (void)bits; \
		return expression; \
	} \
	MASK_SIZE(name, b, 8) MASK_SIZE(name, w, 16) MASK_SIZE(name, d, 32) MASK_SIZE(name, q, 64)
#define MASK_SIZE(name, letter, bits) \
	HANDLER(h_##name##letter) \
	{ \
		c->k[o->dst] = low_bits(mask_##name(c->k[o->third], c->k[o->src], bits), bits); \
		RUN(o + 1); \
	} \
	GEN(name##letter) \
	{ \
		(void)d; \
		o->run = h_##name##letter; \
	}

MASK_OP(kand, a &b)
MASK_OP(kandn, ~a &b)
MASK_OP(kor, a | b)
MASK_OP(kxor, a ^ b)
MASK_OP(kxnor, ~(a ^ b))
MASK_OP(kadd, a + b)
MASK_OP(knot, ~b)

#define UNPACK(name, half) \
	HANDLER(h_##name) \
	{ \
		c->k[o->dst] = low_bits(c->k[o->third], half) << (half) | low_bits(c->k[o->src], half); \
		RUN(o + 1); \
	} \
	GEN(name) \
	{ \
		(void)d; \
		o->run = h_##name; \
	}
UNPACK(kunpckbw, 8)
UNPACK(kunpckwd, 16)
UNPACK(kunpckdq, 32)

#define MASK_SHIFT(letter, bits) \
	HANDLER(h_kshiftl##letter) \
	{ \
		c->k[o->dst] = o->imm8 < (bits) ? low_bits(c->k[o->src] << (o->imm8 & 63), bits) : 0; \
		RUN(o + 1); \
	} \
	HANDLER(h_kshiftr##letter) \
	{ \
		c->k[o->dst] = o->imm8 < (bits) ? low_bits(c->k[o->src], bits) >> (o->imm8 & 63) : 0; \
		RUN(o + 1); \
	} \
	GEN(kshiftl##letter) \
	{ \
		(void)d; \
		o->run = h_kshiftl##letter; \
	} \
	GEN(kshiftr##letter) \
	{ \
		(void)d; \
		o->run = h_kshiftr##letter; \
	}
MASK_SHIFT(b, 8)
MASK_SHIFT(w, 16)
MASK_SHIFT(d, 32)
MASK_SHIFT(q, 64)

/* KORTEST: ZF: no bit in either; CF: every bit in one of them. KTEST: ZF: none in common; CF: none in the second
 * alone. */
static bool mask_test(struct cpu *c, const struct op *o, unsigned bits, bool or)
{
	u64 a = low_bits(c->k[o->dst], bits), b = low_bits(c->k[o->src], bits);
	bool zf = or ? !(a | b) : !(a & b), cf = or ? (a | b) == low_bits(~(u64)0, bits) : !(~a & b);

	cpu_set_arith(c, (zf ? FL_Z : 0) | (cf ? FL_C : 0));
	return true;
}
#define MASK_TEST(name, letter, bits, or) \
	BODY(name##letter) { return mask_test(c, o, bits, or); } \
	GEN_BODY(name##letter)
MASK_TEST(kortest, b, 8, true)
MASK_TEST(kortest, w, 16, true) MASK_TEST(kortest, d, 32, true) MASK_TEST(kortest, q, 64, true)
	MASK_TEST(ktest, b, 8, false) MASK_TEST(ktest, w, 16, false) MASK_TEST(ktest, d, 32, false)
		MASK_TEST(ktest, q, 64, false)

/* ---- KMOV: masks, memory, general registers ---- */

#define MASK_MOVE(letter, size) \
	HANDLER(h_kmov##letter) \
	{ \
		c->k[o->dst] = low_bits(c->k[o->src], 8 * (size)); \
		RUN(o + 1); \
	} \
	HANDLER(h_kmov##letter##_from) \
	{ \
		c->k[o->dst] = reg_get(c, o->src, size); \
		RUN(o + 1); \
	} \
	HANDLER(h_kmov##letter##_to) \
	{ \
		reg_set(c, o->dst, 8, low_bits(c->k[o->src], 8 * (size))); \
		RUN(o + 1); \
	} \
	BODY(kmov##letter##_load) \
	{ \
		u64 v; \
		if (!op_load(c, o, size, &v)) \
			return false; \
		c->k[o->dst] = v; \
		return true; \
	} \
	BODY_HANDLER(kmov##letter##_load) \
	BODY(kmov##letter##_store) { return op_store(c, o, size, c->k[o->src]); } \
	BODY_HANDLER(kmov##letter##_store) \
	GEN(kmov##letter) \
	{ \
		o->run = dec_is_mem(d, 0)          ? h_kmov##letter##_store \
			 : d->mem                  ? h_kmov##letter##_load \
			 : dec_kind(d, 0) == OPK_G ? h_kmov##letter##_to \
			 : dec_kind(d, 1) == OPK_R ? h_kmov##letter##_from \
						   : h_kmov##letter; \
	}
			MASK_MOVE(b, 1) MASK_MOVE(w, 2) MASK_MOVE(d, 4) MASK_MOVE(q, 8)

/* ---- comparisons and tests of integers, into a mask ---- */

/* IMM: 0 equal, 1 less, 2 less or equal, 3 never, 4 to 7 their opposites. */
ALWAYS_INLINE vec predicate(vec equal, vec less, u8 imm)
{
	vec r = (imm & 3) == 0 ? equal : (imm & 3) == 1 ? less : (imm & 3) == 2 ? less | equal : vec_zero;

	return imm & 4 ? ~r : r;
}

/* A bit for each element of SIZE bytes of V, which are zeros or ones. */
ALWAYS_INLINE u64 mask_of(vec v, unsigned size)
{
	u32 bytes;

	if (size == 8)
		return vec_mask64(v);
	if (size == 4)
		return vec_mask32(v);
	bytes = vec_mask8(v);
	if (size == 1)
		return bytes;
	bytes &= 0x5555;
	bytes = (bytes | bytes >> 1) & 0x3333;
	bytes = (bytes | bytes >> 2) & 0x0f0f;
	return (bytes | bytes >> 4) & 0xff;
}

/* Of 32 or 64 bytes, with a mask or without one (k0). */
ALWAYS_INLINE HANDLER_TYPE compare_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen, vec_fn *fn,
					unsigned size, handler *slow)
{
	const unsigned count = 16 / size;
	u64 m;

	VEC_FAST_OPERAND(p, kind, vlen, false, slow)
#define PART(part) mask_of(fn(c, vreg_get(c, o, third, part), vec_fast_part(c, o, p, kind, PACKED, vlen, part), o->imm8, part), size)
	m = PART(0) | PART(1) << count;
	if (vlen == 64)
		m |= PART(2) << 2 * count | PART(3) << 3 * count;
#undef PART
	c->k[o->dst] = m & (c->k[HERE(o)->k] | (0 - (u64)!HERE(o)->k));
	RUN(o + 1);
}

static void choose_compare(const struct dec *d, struct op *o, handler *const fast[2][2], handler *body)
{
	enum kind kind = dec_kind_of_memory(d);

	o->run = body;
	if (!o->broadcast && kind != KIND_SEG && o->vlen >= 32)
		o->run = fast[o->vlen == 64][kind != KIND_REG];
}

#define COMPARE_HANDLER(name, form, kind, vlen, size) \
	HANDLER(h_##name##_##form) { return compare_fast(c, o, n, kind, vlen, lanes_##name, size, h_##name); }
#define COMPARE(name, size, expression) \
	VEC_LANES(name, expression) \
	EVEX_BODY(name, parts, lanes_##name, PACKED, EXACT) \
	COMPARE_HANDLER(name, 256_reg, KIND_REG, 32, size) \
	COMPARE_HANDLER(name, 256_index, KIND_INDEX, 32, size) \
	COMPARE_HANDLER(name, 512_reg, KIND_REG, 64, size) \
	COMPARE_HANDLER(name, 512_index, KIND_INDEX, 64, size) \
	GEN(name) \
	{ \
		static handler *const fast[2][2] = { { h_##name##_256_reg, h_##name##_256_index }, \
						     { h_##name##_512_reg, h_##name##_512_index } }; \
	\
		choose_compare(d, o, fast, h_##name); \
	}
#define COMPARES(letter, size, S, U) \
	COMPARE(vpcmp##letter, size, predicate(vec_pcmpeq##letter(a, b), (vec)((S)a < (S)b), imm)) \
	COMPARE(vpcmpu##letter, size, predicate(vec_pcmpeq##letter(a, b), (vec)((U)a < (U)b), imm)) \
	COMPARE(vpcmpeq##letter##_k, size, vec_pcmpeq##letter(a, b)) \
	COMPARE(vpcmpgt##letter##_k, size, vec_pcmpgt##letter(a, b)) \
	COMPARE(vptestm##letter, size, ~vec_pcmpeq##letter(a & b, vec_zero)) \
	COMPARE(vptestnm##letter, size, vec_pcmpeq##letter(a & b, vec_zero))
COMPARES(b, 1, vs8, vu8)
COMPARES(w, 2, vs16, vu16)
COMPARES(d, 4, vs32, vu32)
COMPARES(q, 8, vs64, vec)

/* ---- masks of signs, and vectors of masks ---- */

	static u64 element_sign(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->b >> (8 * e->from - 1) & 1;
}
EVEX_BODY(vpmov2m, element, element_sign, PACKED, EXACT)
EVEX_IS(vpmovb2m, vpmov2m)
EVEX_IS(vpmovw2m, vpmov2m) EVEX_IS(vpmovd2m, vpmov2m) EVEX_IS(vpmovq2m, vpmov2m)

	static void whole_from_mask(struct cpu *c, const struct op *o, struct evex *e)
{
	for (unsigned i = 0; i < e->count; i++)
		element_set(&e->r, i, 1u << o->to, 0 - (c->k[o->src] >> i & 1));
}
EVEX_BODY(vpmovm2, whole, whole_from_mask, PACKED, EXACT)
EVEX_BWDQ(vpmovm2, vpmovm2)

/* 8 bits of the mask to quadwords, 16 to doublewords. */
static void whole_broadcast_mask(struct cpu *c, const struct op *o, struct evex *e)
{
	u64 v = o->to == 3 ? (u8)c->k[o->src] : (u16)c->k[o->src];

	for (unsigned i = 0; i < e->count; i++)
		element_set(&e->r, i, 1u << o->to, v);
}
EVEX_BODY(vpbroadcastm, whole, whole_broadcast_mask, PACKED, EXACT)
EVEX_IS(vpbroadcastmb2q, vpbroadcastm)
EVEX_IS(vpbroadcastmw2d, vpbroadcastm)

/* The first source where the mask says no, also with zeroing, which then makes zeros. */
static u64 element_second(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->b;
}
static const struct evex_desc evex_blendm = {
	.kind = EVEX_KIND_element, .element = element_second, .lanes = PACKED, .post = POST_EXACT
};
BODY(vblendm)
{
	struct evex e;

	if (!evex_begin(c, o, &evex_blendm, &e))
		return false;
	memcpy(&e.r, &e.b, o->vlen);
	e.old = e.a;
	return evex_end(c, o, PACKED, &e);
}
BODY_HANDLER(vblendm)
EVEX_IS(vblendmps, vblendm)
EVEX_IS(vblendmpd, vblendm)
EVEX_BWDQ(vpblendm, vblendm)

/* Which elements of one source are somewhere in the other: two masks, an even register and the next. */
BODY(vp2intersect)
{
	unsigned size = 1u << o->from, k = o->dst & 6;
	u64 first = 0, second = 0;
	struct evex e;

	if (!evex_begin(c, o, &evex_blendm, &e))
		return false;
	for (unsigned i = 0; i < e.count; i++)
		for (unsigned n = 0; n < e.count; n++)
			if (element_get(&e.a, i, size) == element_get(&e.b, n, size)) {
				first |= (u64)1 << i;
				second |= (u64)1 << n;
			}
	c->k[k] = first;
	c->k[k + 1] = second;
	return true;
}
BODY_HANDLER(vp2intersect)
EVEX_DQ(vp2intersect, vp2intersect)
