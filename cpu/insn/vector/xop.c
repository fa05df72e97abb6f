/* SPDX-License-Identifier: MIT */
/* XOP (APM vol. 4 and vol. 6): integers with four operands, shifts and rotates by a count for each element,
 * comparisons, sums of neighbours, fractions. */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"

static s64 element(vec v, unsigned i, unsigned size) { return (s64)extend(vec_extract(v, i, size), size); }

/* ---- four operands ---- */

/* A is in vvvv, the next in r/m, the last in the register that the immediate names; with W those two change places. */
enum { SWAPPED = 16, M2Z = 32 /* two bits: the immediate's lowest */ }; /* beside the register in imm8 */
typedef vec four_fn(vec a, vec b, vec last, unsigned m2z);

ALWAYS_INLINE bool four_body(struct cpu *c, const struct op *o, four_fn *fn)
{
	vec b[2], r[2] = { vec_zero, vec_zero };

	if (!vec_operand(c, o, o->vlen, b))
		return false;
	for (unsigned part = 0; part < vec_parts(o); part++) {
		vec a = vec_first(c, o, part), last = vec_load(&c->v[o->imm8 & 15].q[2 * part]);

		r[part] = o->imm8 & SWAPPED ? fn(a, last, b[part], o->imm8 / M2Z) : fn(a, b[part], last, o->imm8 / M2Z);
	}
	vec_result(c, o, r);
	return true;
}

#define FOUR(name, expression) \
	static vec four_##name(vec a, vec b, vec last, unsigned m2z __attribute__((unused))) { return expression; } \
	BODY(name) { return four_body(c, o, four_##name); } \
	BODY_HANDLER(name) \
	GEN(name) \
	{ \
		vec_operands(d, o, PACKED); \
		o->imm8 = (u8)((o->imm8 & 15) | (d->rex & 8 ? SWAPPED : 0) | (o->imm8 >> 4 & 3) * M2Z); \
		o->run = h_##name; \
	}

static u8 reversed(u8 v)
{
	u8 r = 0;

	for (unsigned i = 0; i < 8; i++)
		r |= (u8)((v >> i & 1) << (7 - i));
	return r;
}

/* Each byte of LAST: bits 4-0 choose a byte of A and B, bits 7-5 what is made of it. */
static vec permute(vec a, vec b, vec last)
{
	union xmm from[2] = { vec_lanes(a), vec_lanes(b) }, how = vec_lanes(last), r;

	for (unsigned i = 0; i < 16; i++) {
		u8 v = from[how.b[i] >> 4 & 1].b[how.b[i] & 15], what = how.b[i] >> 5;

		if ((what & 6) == 2)
			v = reversed(v);
		else if ((what & 6) == 4)
			v = 0;
		else if ((what & 6) == 6)
			v = v & 0x80 ? 0xff : 0;
		r.b[i] = what & 1 ? (u8)~v : v;
	}
	return vec_of(r);
}

/* Elements of A and B, which LAST names; M2Z says which become zero for bit 3 of their name. */
ALWAYS_INLINE vec permute_elements(vec a, vec b, vec last, unsigned size, unsigned m2z)
{
	vec r = vec_zero;

	for (unsigned i = 0; i < 16 / size; i++) {
		unsigned name = vec_extract(last, i, size) & 15, n = size == 8 ? name >> 1 & 1 : name & 3;

		if (m2z < 2 || name >> 3 == (m2z & 1))
			r = vec_insert(r, i, size, vec_extract(name & 4 ? b : a, n, size));
	}
	return r;
}

static u64 saturate(__int128 v, unsigned size)
{
	__int128 limit = (__int128)1 << (8 * size - 1);

	return (u64)(v < -limit ? -limit : v >= limit ? limit - 1 : v);
}

/* Elements of LAST, which have TO bytes, and the product of elements of FROM bytes each: if those are smaller, of the
 * even ones or, with ODD, of the odd ones. */
ALWAYS_INLINE vec accumulate(vec a, vec b, vec last, unsigned from, unsigned to, bool odd, bool saturated)
{
	for (unsigned i = 0; i < 16 / to; i++) {
		unsigned n = to / from * i + odd;
		__int128 sum = (__int128)element(a, n, from) * element(b, n, from) + element(last, i, to);

		last = vec_insert(last, i, to, saturated ? saturate(sum, to) : (u64)sum);
	}
	return last;
}

/* The same of words, with both products. */
ALWAYS_INLINE vec accumulate_both(vec a, vec b, vec last, bool saturated)
{
	for (unsigned i = 0; i < 4; i++) {
		s64 sum = element(a, 2 * i, 2) * element(b, 2 * i, 2) + element(last, i, 4) +
			  element(a, 2 * i + 1, 2) * element(b, 2 * i + 1, 2);

		last = vec_insert(last, i, 4, saturated ? saturate(sum, 4) : (u64)sum);
	}
	return last;
}

FOUR(vpcmov, vec_select(last, a, b))
FOUR(vpperm, permute(a, b, last))
FOUR(vpermil2ps, permute_elements(a, b, last, 4, m2z))
FOUR(vpermil2pd, permute_elements(a, b, last, 8, m2z))
FOUR(vpmacsww, accumulate(a, b, last, 2, 2, false, false))
FOUR(vpmacssww, accumulate(a, b, last, 2, 2, false, true))
FOUR(vpmacswd, accumulate(a, b, last, 2, 4, true, false))
FOUR(vpmacsswd, accumulate(a, b, last, 2, 4, true, true))
FOUR(vpmacsdd, accumulate(a, b, last, 4, 4, false, false))
FOUR(vpmacssdd, accumulate(a, b, last, 4, 4, false, true))
FOUR(vpmacsdql, accumulate(a, b, last, 4, 8, false, false))
FOUR(vpmacssdql, accumulate(a, b, last, 4, 8, false, true))
FOUR(vpmacsdqh, accumulate(a, b, last, 4, 8, true, false))
FOUR(vpmacssdqh, accumulate(a, b, last, 4, 8, true, true))
FOUR(vpmadcswd, accumulate_both(a, b, last, false))
FOUR(vpmadcsswd, accumulate_both(a, b, last, true))

/* ---- shifts and rotates ---- */

/* The count is the lowest byte of an element, negative to the right. Counts are in vvvv, with W in r/m; a rotate may
 * have one in the immediate. */
enum { COUNT_IN_VVVV, COUNT_IN_RM, COUNT_IN_IMM };
typedef u64 shift_fn(u64 v, s8 count, unsigned size);

ALWAYS_INLINE bool shift_body(struct cpu *c, const struct op *o, unsigned size, unsigned where, shift_fn *fn)
{
	vec v, counts;

	if (!vec_source(c, o, 16, &v))
		return false;
	counts = vec_first(c, o, 0);
	if (where == COUNT_IN_RM) {
		vec first = counts;

		counts = v;
		v = first;
	}
	for (unsigned i = 0; i < 16 / size; i++) {
		s8 count = (s8)(where == COUNT_IN_IMM ? o->imm8 : vec_extract(counts, i, size));

		v = vec_insert(v, i, size, fn(vec_extract(v, i, size), count, size));
	}
	ymm_set(c, o, v, vec_zero);
	return true;
}

static u64 rotate(u64 v, s8 count, unsigned size)
{
	unsigned n = (unsigned)count & (8 * size - 1);

	return n ? v << n | v >> (8 * size - n) : v;
}

static u64 shift_logical(u64 v, s8 count, unsigned size)
{
	unsigned n = (unsigned)(count < 0 ? -count : count);

	return n >= 8 * size ? 0 : count < 0 ? v >> n : v << n;
}

static u64 shift_arithmetic(u64 v, s8 count, unsigned size)
{
	return count < 0 ? (u64)((s64)extend(v, size) >> (count < -63 ? 63 : -count)) : shift_logical(v, count, size);
}

#define SHIFT_WHERE(name, size, where, fn) \
	BODY(name) { return shift_body(c, o, size, where, fn); } \
	BODY_HANDLER(name)
#define SHIFT(name, size, fn) \
	SHIFT_WHERE(name##_by_vvvv, size, COUNT_IN_VVVV, fn) \
	SHIFT_WHERE(name##_by_rm, size, COUNT_IN_RM, fn) \
	GEN(name) \
	{ \
		vec_operands(d, o, PACKED); \
		o->run = d->rex & 8 ? h_##name##_by_rm : h_##name##_by_vvvv; \
	}
#define SHIFT_IMM(name, size, fn) \
	SHIFT_WHERE(name##_imm, size, COUNT_IN_IMM, fn) \
	GEN(name##_imm) \
	{ \
		vec_operands(d, o, PACKED); \
		o->run = h_##name##_imm; \
	}
SHIFT(vprotb, 1, rotate)
SHIFT(vprotw, 2, rotate)
SHIFT(vprotd, 4, rotate)
SHIFT(vprotq, 8, rotate)
SHIFT_IMM(vprotb, 1, rotate)
SHIFT_IMM(vprotw, 2, rotate)
SHIFT_IMM(vprotd, 4, rotate)
SHIFT_IMM(vprotq, 8, rotate)
SHIFT(vpshlb, 1, shift_logical)
SHIFT(vpshlw, 2, shift_logical)
SHIFT(vpshld, 4, shift_logical)
SHIFT(vpshlq, 8, shift_logical)
SHIFT(vpshab, 1, shift_arithmetic)
SHIFT(vpshaw, 2, shift_arithmetic)
SHIFT(vpshad, 4, shift_arithmetic)
SHIFT(vpshaq, 8, shift_arithmetic)

/* ---- comparisons ---- */

ALWAYS_INLINE vec compare(vec a, vec b, unsigned size, bool is_signed, u8 imm)
{
	for (unsigned i = 0; i < 16 / size; i++) {
		u64 bias = is_signed ? (u64)1 << 63 : 0;
		u64 x = (u64)element(a, i, size) ^ bias, y = (u64)element(b, i, size) ^ bias;
		bool result[8] = { x < y, x <= y, x > y, x >= y, x == y, x != y, false, true };

		a = vec_insert(a, i, size, result[imm & 7] ? ~(u64)0 : 0);
	}
	return a;
}

VEC(pcomb, 8, PACKED, EXACT, VEX_ONLY, compare(a, b, 1, true, imm))
VEC(pcomw, 16, PACKED, EXACT, VEX_ONLY, compare(a, b, 2, true, imm))
VEC(pcomd, 32, PACKED, EXACT, VEX_ONLY, compare(a, b, 4, true, imm))
VEC(pcomq, 64, PACKED, EXACT, VEX_ONLY, compare(a, b, 8, true, imm))
VEC(pcomub, 8, PACKED, EXACT, VEX_ONLY, compare(a, b, 1, false, imm))
VEC(pcomuw, 16, PACKED, EXACT, VEX_ONLY, compare(a, b, 2, false, imm))
VEC(pcomud, 32, PACKED, EXACT, VEX_ONLY, compare(a, b, 4, false, imm))
VEC(pcomuq, 64, PACKED, EXACT, VEX_ONLY, compare(a, b, 8, false, imm))

/* ---- neighbours ---- */

/* Elements of TO bytes: the sum of those of FROM bytes that are there, or the lower one less the upper. */
ALWAYS_INLINE vec neighbours(vec b, unsigned from, unsigned to, bool is_signed, bool subtract)
{
	vec r = vec_zero;

	for (unsigned i = 0; i < 16 / from; i++) {
		u64 v = is_signed ? (u64)element(b, i, from) : vec_extract(b, i, from);
		unsigned n = i * from / to;

		r = vec_insert(r, n, to, vec_extract(r, n, to) + (subtract && i & 1 ? -v : v));
	}
	return r;
}

VEC(phaddbw, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 2, true, false))
VEC(phaddbd, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 4, true, false))
VEC(phaddbq, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 8, true, false))
VEC(phaddwd, 16, PACKED, EXACT, VEX_ONLY, neighbours(b, 2, 4, true, false))
VEC(phaddwq, 16, PACKED, EXACT, VEX_ONLY, neighbours(b, 2, 8, true, false))
VEC(phadddq, 32, PACKED, EXACT, VEX_ONLY, neighbours(b, 4, 8, true, false))
VEC(phaddubw, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 2, false, false))
VEC(phaddubd, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 4, false, false))
VEC(phaddubq, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 8, false, false))
VEC(phadduwd, 16, PACKED, EXACT, VEX_ONLY, neighbours(b, 2, 4, false, false))
VEC(phadduwq, 16, PACKED, EXACT, VEX_ONLY, neighbours(b, 2, 8, false, false))
VEC(phaddudq, 32, PACKED, EXACT, VEX_ONLY, neighbours(b, 4, 8, false, false))
VEC(phsubbw, 8, PACKED, EXACT, VEX_ONLY, neighbours(b, 1, 2, true, true))
VEC(phsubwd, 16, PACKED, EXACT, VEX_ONLY, neighbours(b, 2, 4, true, true))
VEC(phsubdq, 32, PACKED, EXACT, VEX_ONLY, neighbours(b, 4, 8, true, true))

/* ---- fractions ---- */

/* What is left of a number without its integer part, which is exact. Of an integer it is zero, with the sign that a
 * difference would have. */
static u64 fraction(struct cpu *c, u64 v, struct format f)
{
	struct num n = unpack(c, v, f);

	if (n.class == SNAN)
		flag(c, MXCSR_IE);
	if (n.class == SNAN || n.class == QNAN)
		return v | quiet(f);
	if (n.class == INFINITE)
		return invalid(c, f);
	if (n.denormal)
		flag(c, MXCSR_DE);
	if (n.class == NUMBER && n.exp >= 0)
		n.sig = n.exp < 63 ? n.sig << (n.exp + 1) >> (n.exp + 1) : 0;
	if (n.class == ZERO || !n.sig)
		return rounding(c) == 1 ? f.sign : 0;
	return pack_sum(c, n.sign, n.exp, (u128)n.sig << 64, f);
}

ALWAYS_INLINE bool fraction_body(struct cpu *c, const struct op *o, unsigned size, bool scalar)
{
	vec b[2], r[2] = { vec_zero, vec_zero };
	u32 saved = c->soft_mxcsr, flags;

	if (!vec_operand(c, o, scalar ? size : o->vlen, b))
		return false;
	c->soft_mxcsr = c->mxcsr & MXCSR_MASK & ~(u32)MXCSR_FLAGS;
	for (unsigned i = 0; i < (scalar ? 1 : o->vlen / size); i++)
		r[i * size / 16] =
			vec_insert(r[i * size / 16], i % (16 / size), size,
				   fraction(c, vec_extract(b[i * size / 16], i % (16 / size), size), format_of(size)));
	flags = c->soft_mxcsr & MXCSR_FLAGS;
	c->soft_mxcsr = saved;
	if (!sse_raise(c, flags))
		return false;
	ymm_set(c, o, r[0], r[1]);
	return true;
}

#define FRACTION(name, size, scalar) \
	BODY(name) { return fraction_body(c, o, size, scalar); } \
	BODY_HANDLER(name) \
	GEN(name) \
	{ \
		vec_operands(d, o, PACKED); \
		o->run = h_##name; \
	}
FRACTION(vfrczps, 4, false)
FRACTION(vfrczpd, 8, false)
FRACTION(vfrczss, 4, true)
FRACTION(vfrczsd, 8, true)
