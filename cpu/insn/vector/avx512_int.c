/* SPDX-License-Identifier: MIT */
/* Integer arithmetic that came with AVX-512 and its extensions: element by element, of whatever size. */
#include "cpu/insn/vector/vector.h"

static unsigned bits_of(const struct element *e) { return 8u * e->to; }
static s64 signed_of(u64 v, unsigned size) { return (s64)extend(v, size); }

/* ---- quadwords of what AVX2 has for smaller elements ---- */

static u64 element_abs(struct cpu *c, const struct element *e)
{
	(void)c;
	return (s64)e->b < 0 ? 0 - e->b : e->b;
}
static u64 element_maxs(struct cpu *c, const struct element *e)
{
	(void)c;
	return (s64)e->a > (s64)e->b ? e->a : e->b;
}
static u64 element_mins(struct cpu *c, const struct element *e)
{
	(void)c;
	return (s64)e->a < (s64)e->b ? e->a : e->b;
}
static u64 element_maxu(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->a > e->b ? e->a : e->b;
}
static u64 element_minu(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->a < e->b ? e->a : e->b;
}
static u64 element_mul(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->a * e->b;
}

EVEX_BODY(vpabsq, element, element_abs, PACKED, EXACT)
EVEX_IS(vpabsq, vpabsq)
EVEX_BODY(vpmaxsq, element, element_maxs, PACKED, EXACT)
EVEX_IS(vpmaxsq, vpmaxsq)
EVEX_BODY(vpminsq, element, element_mins, PACKED, EXACT)
EVEX_IS(vpminsq, vpminsq)
EVEX_BODY(vpmaxuq, element, element_maxu, PACKED, EXACT)
EVEX_IS(vpmaxuq, vpmaxuq)
EVEX_BODY(vpminuq, element, element_minu, PACKED, EXACT)
EVEX_IS(vpminuq, vpminuq)
EVEX_BODY(vpmullq, element, element_mul, PACKED, EXACT)
EVEX_IS(vpmullq, vpmullq)

/* ---- shifts and rotates ---- */

static u64 shift_arithmetic(u64 v, u64 n, unsigned size)
{
	return (u64)(signed_of(v, size) >> (n < 8 * size ? n : 8 * size - 1));
}

static u64 rotate_left(u64 v, unsigned n, unsigned bits)
{
	n &= bits - 1;
	return n ? v << n | v >> (bits - n) : v;
}

static vec vec_psraq(vec a, u64 n) { return (vec){ shift_arithmetic(a[0], n, 8), shift_arithmetic(a[1], n, 8) }; }
static vec lanes_psraq(struct cpu *c, vec a, vec b, u8 imm, unsigned part)
{
	(void)c, (void)imm, (void)part;
	return vec_psraq(a, b[0]);
}
static vec lanes_psraq_i(struct cpu *c, vec a, vec b, u8 imm, unsigned part)
{
	(void)c, (void)a, (void)part;
	return vec_psraq(b, imm);
}
EVEX_BODY(vpsraq, parts, lanes_psraq, COUNT, EXACT)
EVEX_IS(vpsraq, vpsraq)
EVEX_BODY(vpsraq_xi, parts, lanes_psraq_i, PACKED, EXACT)
EVEX_IS(vpsraq_xi, vpsraq_xi)

static u64 element_sllv(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->b < bits_of(e) ? e->a << e->b : 0;
}
static u64 element_srlv(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->b < bits_of(e) ? e->a >> e->b : 0;
}
static u64 element_srav(struct cpu *c, const struct element *e)
{
	(void)c;
	return shift_arithmetic(e->a, e->b, e->to);
}
static u64 element_rolv(struct cpu *c, const struct element *e)
{
	(void)c;
	return rotate_left(e->a, (unsigned)e->b, bits_of(e));
}
static u64 element_rorv(struct cpu *c, const struct element *e)
{
	(void)c;
	return rotate_left(e->a, 0u - (unsigned)e->b, bits_of(e));
}
EVEX_BODY(vpsllvw, element, element_sllv, PACKED, EXACT)
EVEX_IS(vpsllvw, vpsllvw)
EVEX_BODY(vpsrlvw, element, element_srlv, PACKED, EXACT)
EVEX_IS(vpsrlvw, vpsrlvw)
EVEX_BODY(vpsrav, element, element_srav, PACKED, EXACT)
EVEX_IS(vpsravw, vpsrav)
EVEX_IS(vpsravq, vpsrav)
EVEX_BODY(vprolv, element, element_rolv, PACKED, EXACT)
EVEX_DQ(vprolv, vprolv)
EVEX_BODY(vprorv, element, element_rorv, PACKED, EXACT)
EVEX_DQ(vprorv, vprorv)

/* VBMI2: the first operand and another, side by side, shifted; the part that the first had. */
static u64 shift_left_double(u64 high, u64 low, unsigned n, unsigned bits)
{
	n &= bits - 1;
	return n ? high << n | low >> (bits - n) : high;
}
static u64 shift_right_double(u64 high, u64 low, unsigned n, unsigned bits)
{
	n &= bits - 1;
	return n ? low >> n | high << (bits - n) : low;
}

static u64 element_shld(struct cpu *c, const struct element *e)
{
	(void)c;
	return shift_left_double(e->a, e->b, e->imm, bits_of(e));
}
static u64 element_shrd(struct cpu *c, const struct element *e)
{
	(void)c;
	return shift_right_double(e->b, e->a, e->imm, bits_of(e));
}
static u64 element_shldv(struct cpu *c, const struct element *e)
{
	(void)c;
	return shift_left_double(e->old, e->a, (unsigned)e->b, bits_of(e));
}
static u64 element_shrdv(struct cpu *c, const struct element *e)
{
	(void)c;
	return shift_right_double(e->a, e->old, (unsigned)e->b, bits_of(e));
}
EVEX_BODY(vpshld, element, element_shld, PACKED, EXACT)
EVEX_WDQ(vpshld, vpshld)
EVEX_BODY(vpshrd, element, element_shrd, PACKED, EXACT)
EVEX_WDQ(vpshrd, vpshrd)
EVEX_BODY(vpshldv, element, element_shldv, PACKED, EXACT)
EVEX_WDQ(vpshldv, vpshldv)
EVEX_BODY(vpshrdv, element, element_shrdv, PACKED, EXACT)
EVEX_WDQ(vpshrdv, vpshrdv)

/* ---- logic ---- */

/* Where a bit of WHICH is set, that of A, else that of B. */
static inline vec choose_bits(vec which, vec a, vec b) { return b ^ (which & (a ^ b)); }
/* All bits are bit N of IMM. */
static inline vec spread_bit(u8 imm, unsigned n)
{
	u64 v = 0 - (u64)(imm >> n & 1);

	return (vec){ v, v };
}

/* Bit n of IMM is the result where the three bits, the destination's first, make n. */
ALWAYS_INLINE vec parts_ternlog(struct cpu *c, vec old, vec a, vec b, u8 imm, unsigned part)
{
	vec r[4];

	(void)c, (void)part;
	for (unsigned i = 0; i < 4; i++)
		r[i] = choose_bits(b, spread_bit(imm, 2 * i + 1), spread_bit(imm, 2 * i));
	return choose_bits(old, choose_bits(a, r[3], r[2]), choose_bits(a, r[1], r[0]));
}
EVEX_BODY(vpternlog, parts3, parts_ternlog, PACKED, EXACT)

/* Those that compilers make of two operations: the immediate is a constant, and little of it is left. */
#define TERNLOGS(X) \
	X(0x96) /* a ^ b ^ c */ X(0xca) /* a ? b : c */ X(0xd8) X(0xe2) X(0xe4) X(0xac) X(0xb8) X(0xe8) /* majority */ \
	X(0xf8) X(0xea) X(0xec) X(0x80) X(0xfe) X(0x78) X(0x6a) X(0x6c) X(0xd2) X(0x9a) X(0x4b) X(0xff) X(0x55)
#define TERNLOG_HANDLER(number, form, kind, vlen) \
	HANDLER(h_ternlog_##number##_##form) \
	{ \
		return vec_fast_three(c, o, n, kind, vlen, vlen, true, parts_ternlog_##number, POST_EXACT, \
				      h_vpternlog); \
	}
#define TERNLOG(number) \
	ALWAYS_INLINE vec parts_ternlog_##number(struct cpu *c, vec old, vec a, vec b, u8 imm, unsigned part) \
	{ \
		(void)imm; \
		return parts_ternlog(c, old, a, b, number, part); \
	} \
	TERNLOG_HANDLER(number, 256, KIND_REG, 32) \
	TERNLOG_HANDLER(number, 512, KIND_REG, 64)
TERNLOGS(TERNLOG)

static void choose_ternlog(const struct dec *d, struct op *o)
{
	static handler *const by_number[256][3][2] = {
#define X(number) [number] = { { NULL }, { h_ternlog_##number##_256 }, { h_ternlog_##number##_512 } },
		TERNLOGS(X)
#undef X
	};

	vec_choose_zmm(d, o, by_number[o->imm8], NULL, h_vpternlog);
}
GEN(vpternlogd) { choose_ternlog(d, o); }
GEN(vpternlogq) { choose_ternlog(d, o); }

#define LOGIC(mnemonic, other) \
	GEN(mnemonic##d) { gen_##other(d, o); } \
	GEN(mnemonic##q) { gen_##other(d, o); }
gen_fn gen_vpand, gen_vpandn, gen_vpor, gen_vpxor;
LOGIC(vpand, vpand)
LOGIC(vpandn, vpandn)
LOGIC(vpor, vpor)
LOGIC(vpxor, vpxor)

/* ---- counts of bits ---- */

static u64 element_lzcnt(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->b ? (u64)__builtin_clzll(e->b) - (64 - bits_of(e)) : bits_of(e);
}
static u64 element_popcnt(struct cpu *c, const struct element *e)
{
	(void)c;
	return (u64)__builtin_popcountll(e->b);
}
EVEX_BODY(vplzcnt, element, element_lzcnt, PACKED, EXACT)
EVEX_DQ(vplzcnt, vplzcnt)
EVEX_BODY(vpopcnt, element, element_popcnt, PACKED, EXACT)
EVEX_BWDQ(vpopcnt, vpopcnt)

/* For each element: which ones before it are the same. */
static void whole_conflict(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned size = 1u << o->to;

	(void)c;
	for (unsigned i = 0; i < e->count; i++) {
		u64 same = 0;

		for (unsigned k = 0; k < i; k++)
			same |= (u64)(element_get(&e->b, k, size) == element_get(&e->b, i, size)) << k;
		element_set(&e->r, i, size, same);
	}
}
EVEX_BODY(vpconflict, whole, whole_conflict, PACKED, EXACT)
EVEX_DQ(vpconflict, vpconflict)

/* ---- products and sums: IFMA, VNNI ---- */

static unsigned __int128 product52(const struct element *e)
{
	const u64 low = ((u64)1 << 52) - 1;

	return (unsigned __int128)(e->a & low) * (e->b & low);
}
static u64 element_madd52lo(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->old + (u64)(product52(e) & (((u64)1 << 52) - 1));
}
static u64 element_madd52hi(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->old + (u64)(product52(e) >> 52);
}
EVEX_BODY(vpmadd52lo, element, element_madd52lo, PACKED, EXACT)
EVEX_IS(vpmadd52luq, vpmadd52lo)
EVEX_BODY(vpmadd52hi, element, element_madd52hi, PACKED, EXACT)
EVEX_IS(vpmadd52huq, vpmadd52hi)

/* Element I of V, SIZE bytes, signed or not. */
static s64 piece(u64 v, unsigned i, unsigned size, bool is_signed)
{
	u64 x = v >> 8 * size * i & (((u64)1 << 8 * size) - 1);

	return is_signed ? signed_of(x, size) : (s64)x;
}

/* The sum of products of the pieces of A and B, added to the destination; perhaps with saturation. */
static u64 dot(const struct element *e, unsigned size, bool a_signed, bool b_signed, bool saturates)
{
	bool is_signed = a_signed || b_signed;
	s64 sum = is_signed ? (s32)e->old : (s64)(u32)e->old;

	for (unsigned i = 0; i < 4 / size; i++)
		sum += piece(e->a, i, size, a_signed) * piece(e->b, i, size, b_signed);
	if (!saturates)
		return (u32)sum;
	if (is_signed)
		return (u32)(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
	return sum > UINT32_MAX ? UINT32_MAX : (u32)sum;
}

#define DOT(mnemonic, size, a_signed, b_signed) \
	static u64 element_##mnemonic(struct cpu *c, const struct element *e) \
	{ \
		(void)c; \
		return dot(e, size, a_signed, b_signed, false); \
	} \
	static u64 element_##mnemonic##s(struct cpu *c, const struct element *e) \
	{ \
		(void)c; \
		return dot(e, size, a_signed, b_signed, true); \
	} \
	EVEX_BODY(mnemonic, element, element_##mnemonic, PACKED, EXACT) \
	EVEX_IS(mnemonic, mnemonic) \
	EVEX_BODY(mnemonic##s, element, element_##mnemonic##s, PACKED, EXACT) \
	EVEX_IS(mnemonic##s, mnemonic##s)
DOT(vpdpbusd, 1, false, true)
DOT(vpdpwssd, 2, true, true)
DOT(vpdpbssd, 1, true, true)
DOT(vpdpbsud, 1, true, false)
DOT(vpdpbuud, 1, false, false)
DOT(vpdpwsud, 2, true, false)
DOT(vpdpwusd, 2, false, true)
DOT(vpdpwuud, 2, false, false)

/* ---- bytes in odd ways ---- */

/* Sums of differences of four bytes: of A's at 0 and 4, 2 bytes further for each second pair, and B's that IMM has
 * chosen in 16-byte lanes. */
static vec parts_dbpsadbw(struct cpu *c, vec a, vec b, u8 imm, unsigned part)
{
	union xmm x = vec_lanes(a), y = vec_lanes(vec_pshufd(b, b, imm)), r;

	(void)c, (void)part;
	for (unsigned i = 0; i < 8; i++) {
		unsigned from = i / 4 * 8 + (i & 2) * 2, with = i / 4 * 8 + (i & 3), sum = 0;

		for (unsigned k = 0; k < 4; k++) {
			int d = x.b[from + k] - y.b[with + k];

			sum += (unsigned)(d < 0 ? -d : d);
		}
		r.w[i] = (u16)sum;
	}
	return vec_of(r);
}
EVEX_BODY(vdbpsadbw, parts, parts_dbpsadbw, PACKED, EXACT)
EVEX_IS(vdbpsadbw, vdbpsadbw)

/* Each byte of A says where in its quadword of B eight bits begin. */
static void whole_multishift(struct cpu *c, const struct op *o, struct evex *e)
{
	(void)c;
	for (unsigned i = 0; i < o->vlen; i++)
		e->r.b[i] = (u8)rotate_left(e->b.q[i / 8], 0u - (e->a.b[i] & 63), 64);
}
EVEX_BODY(vpmultishiftqb, whole, whole_multishift, PACKED, EXACT)
EVEX_IS(vpmultishiftqb, vpmultishiftqb)

/* Each byte of B says which bit of its quadword of A. */
static void whole_shufbit(struct cpu *c, const struct op *o, struct evex *e)
{
	(void)c;
	for (unsigned i = 0; i < o->vlen; i++)
		e->mask |= (e->a.q[i / 8] >> (e->b.b[i] & 63) & 1) << i;
}
EVEX_BODY(vpshufbitqmb, whole, whole_shufbit, PACKED, EXACT)
EVEX_IS(vpshufbitqmb, vpshufbitqmb)

/* ---- narrowing: cut, with signed, with unsigned saturation ---- */

static u64 element_cut(struct cpu *c, const struct element *e)
{
	(void)c;
	return e->b;
}
static u64 element_saturate(struct cpu *c, const struct element *e)
{
	s64 v = signed_of(e->b, e->from), top = ((s64)1 << (bits_of(e) - 1)) - 1;

	(void)c;
	return (u64)(v > top ? top : v < -top - 1 ? -top - 1 : v);
}
static u64 element_saturate_unsigned(struct cpu *c, const struct element *e)
{
	u64 top = ((u64)1 << bits_of(e)) - 1;

	(void)c;
	return e->b > top ? top : e->b;
}

EVEX_BODY(vpmov, element, element_cut, PACKED, EXACT)
EVEX_BODY(vpmovs, element, element_saturate, PACKED, EXACT)
EVEX_BODY(vpmovus, element, element_saturate_unsigned, PACKED, EXACT)
#define NARROWING(name) \
	EVEX_IS(name##wb, name) \
	EVEX_IS(name##db, name) EVEX_IS(name##qb, name) EVEX_IS(name##dw, name) EVEX_IS(name##qw, name) \
		EVEX_IS(name##qd, name)
NARROWING(vpmov)
NARROWING(vpmovs)
NARROWING(vpmovus)
