/* SPDX-License-Identifier: MIT */
/* What instructions with EVEX do, a second time: element by element, as the pseudo-code of the SDM has it, with the C
 * library's and the host's arithmetic on one number. It shares nothing with cpu/. For test_avx512.c. */
#ifndef TESTS_AVX512_NAIVE_H
#define TESTS_AVX512_NAIVE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

/* One element: of the destination before, of the first and of the last source. SIZE bytes; of a conversion, FROM those of
 * the last source. */
struct lane {
	uint64_t old, a, b;
	unsigned size, from;
	uint8_t imm;
};
typedef uint64_t naive_lane(const struct lane *l);
/* VL bytes at once; SIZE: of an element. */
typedef void naive_whole(uint8_t *r, const uint8_t *old, const uint8_t *a, const uint8_t *b, unsigned vl, unsigned size,
			 uint8_t imm);

struct naive {
	const char *name;
	unsigned from, size; /* bytes of an element of the last source, and of the destination */
	naive_lane *lane;
	naive_whole *whole;
	bool scalar, to_mask, old_rest /* of a scalar: bits 127 and down that are not computed are the destination's */;
	bool flags; /* it raises the instruction's exceptions, and no others */
};

static int64_t sx(uint64_t v, unsigned size) { return (int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size); }
static uint64_t cut(uint64_t v, unsigned size) { return size == 8 ? v : v & (((uint64_t)1 << 8 * size) - 1); }
static uint64_t peek(const uint8_t *p, unsigned i, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, p + i * size, size);
	return v;
}
static void poke(uint8_t *p, unsigned i, unsigned size, uint64_t v) { memcpy(p + i * size, &v, size); }

/* ---- integers ---- */

#define L(name, expression) \
	static uint64_t n_##name(const struct lane *l) \
	{ \
		uint64_t a = l->a, b = l->b, old = l->old; \
		int64_t sa = sx(a, l->size), sb = sx(b, l->size); \
		unsigned bits = 8 * l->size; \
		(void)a, (void)b, (void)old, (void)sa, (void)sb, (void)bits; \
		return expression; \
	}
static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }
#define TOP ((int64_t)1 << (bits - 1))
L(add, a + b)
L(sub, a - b) L(adds, (uint64_t)clamp(sa + sb, -TOP, TOP - 1)) L(subs, (uint64_t)clamp(sa - sb, -TOP, TOP - 1)) L(
	addus, (uint64_t)clamp((int64_t)(a + b), 0,
			       2 * TOP - 1)) L(subus, a > b ? a - b : 0) L(mull, (uint64_t)sa *(uint64_t)sb)
	L(mulh, (uint64_t)(sa *sb >> 16)) L(mulhu, a *b >> 16) L(mulhrs, (uint64_t)(((sa * sb >> 14) + 1) >> 1)) L(
		muldq, (uint64_t)((int64_t)(int32_t)a *(int32_t)b)) L(muludq, (a & 0xffffffff) * (b & 0xffffffff))
		L(mins, sa < sb ? a : b) L(maxs, sa > sb ? a : b) L(minu, a < b ? a : b) L(maxu, a > b ? a : b)
			L(avg, (a + b + 1) >> 1) L(abs, (uint64_t)(sb < 0 ? -sb : sb)) L(and, a &b)
				L(andn, ~a &b) L(or, a | b) L(xor, a ^ b) L(second, b) L(sllv, b >= bits ? 0 : a << b)
					L(srlv,
					  b >= bits ? 0 : a >> b) L(srav, (uint64_t)(sa >> (b >= bits ? bits - 1 : b)))
						L(slli, l->imm >= bits
								? 0
								: b << l->imm) L(srli, l->imm >= bits ? 0 : b >> l->imm)
							L(srai,
							  (uint64_t)(sb >> (l->imm >= bits ? bits - 1
											   : l->imm))) static uint64_t
	rotl(uint64_t v, uint64_t n, unsigned bits)
{
	for (n %= bits; n; n--)
		v = cut(v << 1, bits / 8) | (v >> (bits - 1) & 1);
	return v;
}
L(rolv, rotl(a, b, bits))
L(rorv, rotl(a, bits - b % bits, bits)) L(rol, rotl(b, l->imm, bits))
	L(ror, rotl(b, bits - l->imm % bits, bits)) static uint64_t n_ternlog(const struct lane *l)
{
	uint64_t r = 0;

	for (unsigned i = 0; i < 8 * l->size; i++)
		r |= (uint64_t)(l->imm >> ((l->old >> i & 1) << 2 | (l->a >> i & 1) << 1 | (l->b >> i & 1)) & 1) << i;
	return r;
}
static uint64_t n_popcnt(const struct lane *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8 * l->size; i++)
		n += l->b >> i & 1;
	return n;
}
static uint64_t n_lzcnt(const struct lane *l)
{
	unsigned n = 0;

	while (n < 8 * l->size && !(l->b >> (8 * l->size - 1 - n) & 1))
		n++;
	return n;
}
static uint64_t shld(uint64_t high, uint64_t low, unsigned n, unsigned bits)
{
	for (n %= bits; n; n--) {
		high = high << 1 | (low >> (bits - 1) & 1);
		low <<= 1;
	}
	return high;
}
static uint64_t shrd(uint64_t high, uint64_t low, unsigned n, unsigned bits)
{
	for (n %= bits; n; n--) {
		low = cut(low, bits / 8) >> 1 | (high & 1) << (bits - 1);
		high >>= 1;
	}
	return low;
}
L(shld, shld(a, b, l->imm, bits))
L(shrd, shrd(b, a, l->imm, bits)) L(shldv, shld(old, a, (unsigned)(b % bits), bits))
	L(shrdv, shrd(a, old, (unsigned)(b % bits), bits)) static unsigned __int128 mul52(uint64_t a, uint64_t b)
{
	return (unsigned __int128)(a & 0xfffffffffffff) * (b & 0xfffffffffffff);
}
L(madd52lo, old + (uint64_t)(mul52(a, b) & 0xfffffffffffff))
L(madd52hi, old + (uint64_t)(mul52(a, b) >> 52)) static int64_t dot_bytes(uint64_t a, uint64_t b)
{
	int64_t r = 0;

	for (unsigned i = 0; i < 32; i += 8)
		r += (int64_t)(a >> i & 255) * (int8_t)(b >> i);
	return r;
}
static int64_t dot_words(uint64_t a, uint64_t b)
{
	return (int64_t)(int16_t)a * (int16_t)b + (int64_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
}
L(dpbusd, old + (uint64_t)dot_bytes(a, b))
L(dpwssd, old + (uint64_t)dot_words(a, b))
	L(dpbusds, (uint64_t)clamp((int32_t)old + dot_bytes(a, b), INT32_MIN, INT32_MAX))
		L(dpwssds, (uint64_t)clamp((int32_t)old + dot_words(a, b), INT32_MIN, INT32_MAX)) static uint64_t
	n_maddwd(const struct lane *l)
{
	return (uint64_t)dot_words(l->a, l->b);
}
L(maddubsw, (uint64_t)clamp((int64_t)(a & 255) * (int8_t)b + (int64_t)(a >> 8) * (int8_t)(b >> 8), -32768, 32767))
/* narrowing, widening */
static uint64_t n_mov(const struct lane *l) { return l->b; }
static uint64_t n_movs(const struct lane *l)
{
	int64_t top = (int64_t)1 << (8 * l->size - 1);

	return (uint64_t)clamp(sx(l->b, l->from), -top, top - 1);
}
static uint64_t n_movus(const struct lane *l)
{
	uint64_t top = ((uint64_t)1 << 8 * l->size) - 1;

	return l->b > top ? top : l->b;
}
static uint64_t n_movsx(const struct lane *l) { return (uint64_t)sx(l->b, l->from); }
/* comparisons */
static bool by(int64_t order, unsigned imm)
{
	switch (imm & 7) {
	case 0: return order == 0;
	case 1: return order < 0;
	case 2: return order <= 0;
	case 3: return false;
	case 4: return order != 0;
	case 5: return order >= 0;
	case 6: return order > 0;
	default: return true;
	}
}
L(cmp, by((sa > sb) - (sa < sb), l->imm))
L(cmpu, by((a > b) - (a < b), l->imm)) L(cmpeq, a == b) L(cmpgt, sa > sb) L(testm, (a & b) != 0) L(testnm, (a & b) == 0)
	L(sign, b >> (bits - 1) & 1)

/* ---- whole vectors ---- */

#define W(name) \
	static void n_##name(uint8_t *r, const uint8_t *old, const uint8_t *a, const uint8_t *b, unsigned vl, \
			     unsigned size, uint8_t imm)
#define USED (void)old, (void)a, (void)b, (void)imm, (void)size, (void)vl
		W(perm)
{
	USED;
	for (unsigned i = 0; i < vl / size; i++)
		poke(r, i, size, peek(b, peek(a, i, size) % (vl / size), size));
}
W(permi2)
{
	unsigned n = vl / size;

	USED;
	for (unsigned i = 0; i < n; i++) {
		uint64_t x = peek(old, i, size) % (2 * n);

		poke(r, i, size, x < n ? peek(a, (unsigned)x, size) : peek(b, (unsigned)x - n, size));
	}
}
W(permt2)
{
	unsigned n = vl / size;

	USED;
	for (unsigned i = 0; i < n; i++) {
		uint64_t x = peek(a, i, size) % (2 * n);

		poke(r, i, size, x < n ? peek(old, (unsigned)x, size) : peek(b, (unsigned)x - n, size));
	}
}
W(permq)
{
	USED;
	for (unsigned i = 0; i < vl / 8; i++)
		poke(r, i, 8, peek(b, i / 4 * 4 + (imm >> i % 4 * 2 & 3), 8));
}
W(permil)
{
	USED;
	for (unsigned i = 0; i < vl / size; i++) {
		unsigned in = 16 / size, x = (unsigned)(size == 4 ? peek(b, i, 4) & 3 : peek(b, i, 8) >> 1 & 1);

		poke(r, i, size, peek(a, i / in * in + x, size));
	}
}
W(permil_i)
{
	USED;
	for (unsigned i = 0; i < vl / size; i++) {
		unsigned in = 16 / size, x = size == 4 ? imm >> i % 4 * 2 & 3 : imm >> i & 1;

		poke(r, i, size, peek(b, i / in * in + x, size));
	}
}
W(align)
{
	unsigned n = vl / size, s = imm % n;

	USED;
	for (unsigned i = 0; i < n; i++)
		poke(r, i, size, i + s < n ? peek(b, i + s, size) : peek(a, i + s - n, size));
}
W(shuf128)
{
	USED;
	for (unsigned i = 0; i < vl / 16; i++) {
		unsigned x = vl == 32 ? imm >> i & 1 : imm >> 2 * i & 3;

		memcpy(r + 16 * i, (i < vl / 32 ? a : b) + 16 * x, 16);
	}
}
static void insert(uint8_t *r, const uint8_t *a, const uint8_t *b, unsigned vl, unsigned piece, uint8_t imm)
{
	memcpy(r, a, vl);
	memcpy(r + imm % (vl / piece) * piece, b, piece);
}
W(insert16)
{
	USED;
	insert(r, a, b, vl, 16, imm);
}
W(insert32)
{
	USED;
	insert(r, a, b, vl, 32, imm);
}
W(unpackl)
{
	USED;
	for (unsigned i = 0; i < vl / size; i++) {
		unsigned in = 16 / size, lane = i / in * in;

		poke(r, i, size, peek(i & 1 ? b : a, lane + i % in / 2, size));
	}
}
W(unpackh)
{
	USED;
	for (unsigned i = 0; i < vl / size; i++) {
		unsigned in = 16 / size, lane = i / in * in;

		poke(r, i, size, peek(i & 1 ? b : a, lane + in / 2 + i % in / 2, size));
	}
}
static void pack(uint8_t *r, const uint8_t *a, const uint8_t *b, unsigned vl, unsigned size, int64_t low, int64_t high)
{
	for (unsigned i = 0; i < vl / size; i++) {
		unsigned in = 16 / size, lane = i / in, at = i % in, half = in / 2;

		poke(r, i, size,
		     (uint64_t)clamp(sx(peek(at < half ? a : b, lane * half + at % half, 2 * size), 2 * size), low,
				     high));
	}
}
W(packss)
{
	USED;
	pack(r, a, b, vl, size, size == 1 ? -128 : -32768, size == 1 ? 127 : 32767);
}
W(packus)
{
	USED;
	pack(r, a, b, vl, size, 0, size == 1 ? 255 : 65535);
}
W(shufb)
{
	USED;
	for (unsigned i = 0; i < vl; i++)
		r[i] = b[i] & 0x80 ? 0 : a[i / 16 * 16 + (b[i] & 15)];
}
W(shufd)
{
	USED;
	for (unsigned i = 0; i < vl / 4; i++)
		poke(r, i, 4, peek(b, i / 4 * 4 + (imm >> i % 4 * 2 & 3), 4));
}
W(shufps)
{
	USED;
	for (unsigned i = 0; i < vl / 4; i++)
		poke(r, i, 4, peek(i & 2 ? b : a, i / 4 * 4 + (imm >> i % 4 * 2 & 3), 4));
}
W(shufpd)
{
	USED;
	for (unsigned i = 0; i < vl / 8; i++)
		poke(r, i, 8, peek(i & 1 ? b : a, i / 2 * 2 + (imm >> i & 1), 8));
}
W(alignr)
{
	USED;
	for (unsigned i = 0; i < vl; i++) {
		unsigned x = i % 16 + imm, lane = i / 16 * 16;

		r[i] = x < 16 ? b[lane + x] : x < 32 ? a[lane + x - 16] : 0;
	}
}
static void shift(uint8_t *r, const uint8_t *a, const uint8_t *b, unsigned vl, unsigned size, naive_lane *by_count)
{
	uint64_t count = peek(b, 0, 8);

	for (unsigned i = 0; i < vl / size; i++)
		poke(r, i, size, by_count(&(struct lane){ .a = peek(a, i, size), .b = count, .size = size }));
}
W(sll)
{
	USED;
	shift(r, a, b, vl, size, n_sllv);
}
W(srl)
{
	USED;
	shift(r, a, b, vl, size, n_srlv);
}
W(sra)
{
	USED;
	shift(r, a, b, vl, size, n_srav);
}
W(conflict)
{
	USED;
	for (unsigned i = 0; i < vl / size; i++) {
		uint64_t same = 0;

		for (unsigned j = 0; j < i; j++)
			if (!memcmp(b + i * size, b + j * size, size))
				same |= (uint64_t)1 << j;
		poke(r, i, size, same);
	}
}
W(multishift)
{
	USED;
	for (unsigned i = 0; i < vl; i++) {
		r[i] = 0;
		for (unsigned j = 0; j < 8; j++)
			r[i] |= (uint8_t)((peek(b, i / 8, 8) >> ((a[i] + j) & 63) & 1) << j);
	}
}
W(dbpsadbw)
{
	uint8_t t[64];

	USED;
	n_shufd(t, old, a, b, vl, 4, imm);
	for (unsigned j = 0; j < vl / 8; j++)
		for (unsigned w = 0; w < 4; w++) {
			unsigned sum = 0, ao = 8 * j + (w >= 2 ? 4 : 0), to = 8 * j + w;

			for (unsigned i = 0; i < 4; i++)
				sum += (unsigned)(a[ao + i] > t[to + i] ? a[ao + i] - t[to + i]
									: t[to + i] - a[ao + i]);
			poke(r, 4 * j + w, 2, sum);
		}
}

/* ---- floating point: one number at a time by the host ---- */

static float f_of(uint64_t v)
{
	uint32_t x = (uint32_t)v;
	float f;
	memcpy(&f, &x, 4);
	return f;
}
static double d_of(uint64_t v)
{
	double d;
	memcpy(&d, &v, 8);
	return d;
}
static uint64_t of_f(float f)
{
	uint32_t x;
	memcpy(&x, &f, 4);
	return x;
}
static uint64_t of_d(double d)
{
	uint64_t x;
	memcpy(&x, &d, 8);
	return x;
}
#define F2(name, op) \
	static uint64_t n_##name(const struct lane *l) \
	{ \
		if (l->size == 4) { \
			volatile float x = f_of(l->a), y = f_of(l->b); \
			volatile float r = x op y; \
			return of_f(r); \
		} \
		volatile double x = d_of(l->a), y = d_of(l->b); \
		volatile double r = x op y; \
		return of_d(r); \
	}
F2(fadd, +) F2(fsub, -) F2(fmul, *) F2(fdiv, /) static uint64_t n_fsqrt(const struct lane *l)
{
	volatile float x = f_of(l->b);
	volatile double y = d_of(l->b);

	return l->size == 4 ? of_f(sqrtf(x)) : of_d(sqrt(y));
}
static uint64_t n_fmax(const struct lane *l)
{
	volatile bool more = l->size == 4 ? f_of(l->a) > f_of(l->b) : d_of(l->a) > d_of(l->b);

	return more ? l->a : l->b;
}
static uint64_t n_fmin(const struct lane *l)
{
	volatile bool less = l->size == 4 ? f_of(l->a) < f_of(l->b) : d_of(l->a) < d_of(l->b);

	return less ? l->a : l->b;
}
static double number(uint64_t v, unsigned size) { return size == 4 ? (double)f_of(v) : d_of(v); }
static uint64_t n_fcmp(const struct lane *l)
{
	double a = number(l->a, l->size), b = number(l->b, l->size);
	bool un = isunordered(a, b);
	bool eq = !un && a == b, lt = !un && isless(a, b), gt = !un && isgreater(a, b);
	bool r[] = { eq,       lt,          lt || eq, un,    !eq,        !lt,      !(lt || eq), !un,
		     eq || un, !(gt || eq), !gt,      false, !eq && !un, gt || eq, gt,          true };

	return r[l->imm & 15];
}
static uint64_t n_fclass(const struct lane *l)
{
	double v = number(l->b, l->size);
	uint64_t top = l->size == 4 ? l->b >> 22 & 1 : l->b >> 51 & 1;
	bool sub = l->size == 4 ? fpclassify(f_of(l->b)) == FP_SUBNORMAL : fpclassify(v) == FP_SUBNORMAL;

	return (l->imm & 1 && isnan(v) && top) || (l->imm & 2 && v == 0 && !signbit(v)) ||
	       (l->imm & 4 && v == 0 && signbit(v)) || (l->imm & 8 && isinf(v) && v > 0) ||
	       (l->imm & 16 && isinf(v) && v < 0) || (l->imm & 32 && sub) || (l->imm & 64 && isfinite(v) && v < 0) ||
	       (l->imm & 128 && isnan(v) && !top);
}
static uint64_t n_getexp(const struct lane *l)
{
	double v = number(l->b, l->size), r = isinf(v) ? INFINITY : v == 0 ? -INFINITY : (double)ilogb(v);

	if (isnan(v))
		return l->b | (l->size == 4 ? 0x400000 : (uint64_t)1 << 51);
	return l->size == 4 ? of_f((float)r) : of_d(r);
}
static uint64_t n_getmant(const struct lane *l)
{
	double v = number(l->b, l->size), m;
	int e;

	if (isnan(v))
		return l->b | (l->size == 4 ? 0x400000 : (uint64_t)1 << 51);
	if (v != 0 && v < 0 && l->imm & 8)
		return l->size == 4 ? 0xffc00000 : 0xfff8000000000000;
	if (v == 0 || isinf(v)) {
		m = 1;
	} else {
		m = frexp(fabs(v), &e) * 2; /* [1, 2) */
		e--;
		switch (l->imm & 3) {
		case 1: m = e & 1 ? m / 2 : m; break;
		case 2: m /= 2; break;
		case 3: m = m >= 1.5 ? m / 2 : m; break;
		}
	}
	if (signbit(v) && !(l->imm & 4))
		m = -m;
	return l->size == 4 ? of_f((float)m) : of_d(m);
}

/* Products and sums with one rounding. X * Y + Z; of several NaNs the first of them survives. */
static uint64_t fused(const struct lane *l, uint64_t x, uint64_t y, uint64_t z, bool turn, bool minus)
{
	uint64_t sign = (uint64_t)1 << (8 * l->size - 1), quiet = (uint64_t)1 << (l->size == 4 ? 22 : 51),
		 all[3] = { x, y, z };

	for (unsigned i = 0; i < 3; i++)
		if (isnan(number(all[i], l->size)))
			return all[i] | quiet;
	x ^= turn ? sign : 0;
	z ^= minus ? sign : 0;
	if (l->size == 4)
		return of_f(fmaf(f_of(x), f_of(y), f_of(z)));
	return of_d(fma(d_of(x), d_of(y), d_of(z)));
}
#define FUSED(name, turn, minus) \
	static uint64_t n_##name##132(const struct lane *l) { return fused(l, l->old, l->b, l->a, turn, minus); } \
	static uint64_t n_##name##213(const struct lane *l) { return fused(l, l->a, l->old, l->b, turn, minus); } \
	static uint64_t n_##name##231(const struct lane *l) { return fused(l, l->a, l->b, l->old, turn, minus); }
FUSED(fmadd, false, false)
FUSED(fmsub, false, true) FUSED(fnmadd, true, false) FUSED(fnmsub, true, true)

	/* Conversions. What does not fit is the integer indefinite. */
	static uint64_t to_int(const struct lane *l, bool is_signed, bool chop)
{
	double v = number(l->b, l->from), top = ldexp(1, (int)(8 * l->size) - is_signed);
	uint64_t none = is_signed ? (uint64_t)1 << (8 * l->size - 1) : cut(~(uint64_t)0, l->size);

	v = chop ? trunc(v) : nearbyint(v);
	if (isnan(v) || v >= top || v < (is_signed ? -top : 0))
		return none;
	return is_signed || v < 0x1p63 ? (uint64_t)(int64_t)v : (uint64_t)(int64_t)(v - 0x1p63) ^ (uint64_t)1 << 63;
}
static uint64_t n_toint(const struct lane *l) { return to_int(l, true, false); }
static uint64_t n_toint_chop(const struct lane *l) { return to_int(l, true, true); }
static uint64_t n_touint(const struct lane *l) { return to_int(l, false, false); }
static uint64_t n_touint_chop(const struct lane *l) { return to_int(l, false, true); }
static uint64_t n_fromint(const struct lane *l)
{
	volatile int64_t v = sx(l->b, l->from);

	return l->size == 4 ? of_f((float)v) : of_d((double)v);
}
static uint64_t n_fromuint(const struct lane *l)
{
	/* the high bits, with a sticky one, have room in the host's signed conversion */
	volatile int64_t v = l->b >> 63 ? (int64_t)(l->b >> 1 | (l->b & 1)) : (int64_t)l->b;
	int twice = l->b >> 63;

	return l->size == 4 ? of_f(ldexpf((float)v, twice)) : of_d(ldexp((double)v, twice));
}

/* As in MXCSR. (fegetround() asks the x87.) */
static unsigned current_rounding(void)
{
#ifdef __x86_64__
	return _mm_getcsr() >> 13 & 3;
#else
	return 0;
#endif
}

static double round_by(double v, unsigned rc)
{
	double down = floor(v), up = ceil(v);

	switch (rc) {
	case 0: return v - down < up - v || (v - down == up - v && fmod(down, 2) == 0) ? down : up;
	case 1: return down;
	case 2: return up;
	default: return trunc(v);
	}
}
static uint64_t n_rndscale(const struct lane *l)
{
	double v = number(l->b, l->size), r;
	unsigned rc = l->imm & 4 ? current_rounding() : l->imm & 3;

	if (isnan(v))
		return l->b | (l->size == 4 ? 0x400000 : (uint64_t)1 << 51);
	if (isinf(v) || fabs(v) >= 0x1p52)
		return l->b;
	r = copysign(ldexp(round_by(ldexp(v, l->imm >> 4), rc), -(l->imm >> 4)), v);
	return l->size == 4 ? of_f((float)r) : of_d(r);
}
static uint64_t n_range(const struct lane *l)
{
	double a = number(l->a, l->size), b = number(l->b, l->size);
	uint64_t sign = (uint64_t)1 << (8 * l->size - 1), quiet = (uint64_t)1 << (l->size == 4 ? 22 : 51), r;
	bool a_less;

	if (isnan(a) && (!(l->a & quiet) || (isnan(b) && l->b & quiet)))
		return l->a | quiet;
	if (isnan(b) && !(l->b & quiet))
		return l->b | quiet;
	if (isnan(a) || isnan(b)) {
		r = isnan(a) ? l->b : l->a;
	} else {
		double x = l->imm & 2 ? fabs(a) : a, y = l->imm & 2 ? fabs(b) : b;

		a_less = x < y || (x == y && (l->a & sign) >= (l->b & sign));
		r = a_less != (l->imm & 1) ? l->a : l->b;
	}
	switch (l->imm >> 2 & 3) {
	case 0: return (r & ~sign) | (l->a & sign);
	case 1: return r;
	case 2: return r & ~sign;
	default: return r | sign;
	}
}
static uint64_t n_scalef(const struct lane *l)
{
	double a = number(l->a, l->size), b = number(l->b, l->size);
	uint64_t quiet = (uint64_t)1 << (l->size == 4 ? 22 : 51),
		 indefinite = l->size == 4 ? 0xffc00000 : 0xfff8000000000000;
	int n;

	if (isnan(a) && (!(l->a & quiet) || !isinf(b)))
		return l->a | quiet;
	if (isnan(b))
		return l->b | quiet;
	if (isnan(a))
		return b < 0 ? 0 : l->size == 4 ? 0x7f800000 : 0x7ff0000000000000;
	if ((isinf(a) && b == -INFINITY) || (a == 0 && b == INFINITY))
		return indefinite;
	n = b > 5000 ? 5000 : b < -5000 ? -5000 : (int)floor(b);
	if (isinf(b) && b < 0)
		a = copysign(0, a);
	else if (isinf(b))
		a = a == 0 ? a : copysign(INFINITY, a);
	return l->size == 4 ? of_f(isinf(b) ? (float)a : scalbnf((float)a, n)) : of_d(isinf(b) ? a : scalbn(a, n));
}

/* ---- AVX10.2 ---- */

/* A format by its bits of exponent and fraction; every number of it is a double. Denormal numbers of bfloat16 are
 * zeros. */
struct naive_format {
	unsigned exp_bits, frac_bits;
	bool flushes;
};
static const struct naive_format format_half = { 5, 10, false }, format_single = { 8, 23, false },
				 format_double = { 11, 52, false }, format_brain = { 8, 7, true };
static struct naive_format format_by_size(unsigned size)
{
	return size == 2 ? format_half : size == 4 ? format_single : format_double;
}
static uint64_t frac_of(uint64_t v, struct naive_format f) { return v & (((uint64_t)1 << f.frac_bits) - 1); }
static unsigned exp_of(uint64_t v, struct naive_format f) { return v >> f.frac_bits & ((1u << f.exp_bits) - 1); }
static bool negative(uint64_t v, struct naive_format f) { return v >> (f.exp_bits + f.frac_bits) & 1; }
static bool is_nan(uint64_t v, struct naive_format f)
{
	return exp_of(v, f) == (1u << f.exp_bits) - 1 && frac_of(v, f);
}
static bool is_signaling(uint64_t v, struct naive_format f)
{
	return is_nan(v, f) && !(v >> (f.frac_bits - 1) & 1);
}
static bool is_denormal(uint64_t v, struct naive_format f) { return !exp_of(v, f) && frac_of(v, f); }
static double value_of(uint64_t v, struct naive_format f)
{
	int exp = (int)exp_of(v, f), bias = (1 << (f.exp_bits - 1)) - 1;
	double m = (double)frac_of(v, f);

	if (exp == 2 * bias + 1)
		m = frac_of(v, f) ? NAN : INFINITY;
	else if (exp)
		m = ldexp(m + ldexp(1, (int)f.frac_bits), exp - bias - (int)f.frac_bits);
	else
		m = f.flushes ? 0 : ldexp(m, 1 - bias - (int)f.frac_bits);
	return negative(v, f) ? -m : m;
}
/* Exceptions become those of the host, which test_avx512.c looks at: FLAGS, and those of SAVED, which MXCSR was. */
static unsigned host_mxcsr_now(void)
{
#ifdef __x86_64__
	return _mm_getcsr();
#else
	return 0;
#endif
}
static void raise_host(unsigned saved, unsigned flags)
{
#ifdef __x86_64__
	_mm_setcsr(saved | flags);
#else
	(void)saved, (void)flags;
#endif
}

static unsigned minmax_flags(const struct lane *l, struct naive_format f)
{
	if (is_signaling(l->a, f) || is_signaling(l->b, f))
		return 1;
	return !is_nan(l->a, f) && !is_nan(l->b, f) && (is_denormal(l->a, f) || is_denormal(l->b, f)) ? 2 : 0;
}

/* IEEE 754-2019: minimum and maximum order -0 below +0. */
static uint64_t minmax(const struct lane *l, struct naive_format f)
{
	uint64_t quiet = (uint64_t)1 << (f.frac_bits - 1), sign = quiet << (f.exp_bits + 1), r;
	bool nan_a = is_nan(l->a, f), nan_b = is_nan(l->b, f), number = l->imm & 16;
	unsigned saved = host_mxcsr_now();

	if ((nan_a && nan_b) || ((nan_a || nan_b) && !number)) {
		raise_host(saved, minmax_flags(l, f));
		return (!nan_a || (is_signaling(l->b, f) && !is_signaling(l->a, f)) ? l->b : l->a) | quiet;
	}
	if (nan_a || nan_b) {
		r = nan_a ? l->b : l->a;
	} else {
		double a = value_of(l->a, f), b = value_of(l->b, f);
		bool below = a < b || (a == b && negative(l->a, f) && !negative(l->b, f));

		if (l->imm & 2 && fabs(a) != fabs(b))
			below = fabs(a) < fabs(b);
		r = (l->imm & 1) != below ? l->a : l->b;
	}
	if (f.flushes && is_denormal(r, f))
		r &= sign;
	raise_host(saved, minmax_flags(l, f));
	switch (l->imm >> 2 & 3) {
	case 0: return nan_a ? r : (r & ~sign) | (l->a & sign);
	case 1: return r;
	case 2: return r & ~sign;
	default: return r | sign;
	}
}
static uint64_t n_minmax(const struct lane *l) { return minmax(l, format_by_size(l->size)); }

/* Sums of products of pieces of BITS, A's and B's signed or not, with a saturation that has the signedness of the
 * sum. */
static uint64_t pieces(const struct lane *l, unsigned bits, bool a_signed, bool b_signed, bool saturates)
{
	bool is_signed = a_signed || b_signed;
	int64_t sum = is_signed ? sx(l->old, 4) : (int64_t)l->old;

	for (unsigned at = 0; at < 32; at += bits) {
		uint64_t a = cut(l->a >> at, bits / 8), b = cut(l->b >> at, bits / 8);

		sum += (a_signed ? sx(a, bits / 8) : (int64_t)a) * (b_signed ? sx(b, bits / 8) : (int64_t)b);
	}
	if (saturates)
		sum = is_signed ? clamp(sum, INT32_MIN, INT32_MAX) : clamp(sum, 0, UINT32_MAX);
	return (uint64_t)sum & 0xffffffff;
}
#define PIECES(name, bits, a, b) \
	static uint64_t n_##name(const struct lane *l) { return pieces(l, bits, a, b, false); } \
	static uint64_t n_##name##s(const struct lane *l) { return pieces(l, bits, a, b, true); }
PIECES(dpbssd, 8, true, true)
PIECES(dpbsud, 8, true, false)
PIECES(dpbuud, 8, false, false)
PIECES(dpwsud, 16, true, false)
PIECES(dpwusd, 16, false, true)
PIECES(dpwuud, 16, false, false)

/* Bits 2-0 of IMM are for the first and third 16 bytes, 5-3 for the others. */
W(mpsadbw)
{
	USED;
	for (unsigned i = 0; i < vl / 2; i++) {
		unsigned lane16 = i / 8 * 16, control = imm >> (i / 8 % 2 ? 3 : 0) & 7, sum = 0;
		const uint8_t *p = a + lane16 + (control >> 2) * 4 + i % 8, *q = b + lane16 + (control & 3) * 4;

		for (unsigned k = 0; k < 4; k++)
			sum += p[k] > q[k] ? p[k] - q[k] : q[k] - p[k];
		poke(r, i, 2, sum);
	}
}

/* What the host computes to nearest, without exceptions, whatever its MXCSR says. */
static unsigned nearest_begin(void)
{
#ifdef __x86_64__
	unsigned saved = _mm_getcsr();

	_mm_setcsr(0x1f80);
	return saved;
#else
	return 0;
#endif
}
static void nearest_end(unsigned saved)
{
#ifdef __x86_64__
	_mm_setcsr(saved);
#else
	(void)saved;
#endif
}

/* A number of FP16 in single precision; a NaN becomes a quiet one, with what it carries. */
static uint64_t single_of_half(uint64_t v)
{
	if (is_nan(v, format_half))
		return (v & 0x8000) << 16 | 0x7fc00000 | (v & 0x3ff) << 13;
	return of_f((float)value_of(v, format_half));
}

/* X * Y + Z in single precision, in which denormal numbers are zeros; of several NaNs the first one. */
static uint64_t flushed_fma(uint64_t x, uint64_t y, uint64_t z)
{
	uint64_t all[3] = { x, y, z };
	float r;

	for (unsigned i = 0; i < 3; i++) {
		if (is_nan(all[i], format_single))
			return all[i] | 0x400000;
		if (is_denormal(all[i], format_single))
			all[i] &= 0x80000000;
	}
	r = fmaf(f_of(all[0]), f_of(all[1]), f_of(all[2]));
	return isnan(r) ? 0xffc00000 : is_denormal(of_f(r), format_single) ? of_f(r) & 0x80000000 : of_f(r);
}

static uint64_t n_dpphps(const struct lane *l)
{
	unsigned saved = nearest_begin();
	uint64_t sum = l->old;

	for (int half = 1; half >= 0; half--)
		sum = flushed_fma(single_of_half(l->a >> 16 * half & 0xffff),
				  single_of_half(l->b >> 16 * half & 0xffff), sum);
	nearest_end(saved);
	return sum;
}

/* To an integer of BITS: what does not fit is the nearest one, and a NaN is 0. */
static uint64_t saturated(const struct lane *l, struct naive_format f, unsigned bits, bool is_signed, bool chop,
			  unsigned *flags)
{
	double v = value_of(l->b, f), top = ldexp(1, (int)(bits - is_signed)), low = is_signed ? -top : 0, r;
	uint64_t lowest = is_signed ? (uint64_t)1 << (bits - 1) : 0;

	*flags = 1;
	if (isnan(v))
		return 0;
	r = chop ? trunc(v) : nearbyint(v);
	if (r >= top || r < low)
		return r < low ? lowest : cut(~lowest, bits / 8);
	*flags = r != v ? 0x20 : 0;
	return cut(r < 0x1p63 ? (uint64_t)(int64_t)r : (uint64_t)(int64_t)(r - 0x1p63) + ((uint64_t)1 << 63), bits / 8);
}
#define SATURATED(name, bits, is_signed, chop) \
	static uint64_t n_##name(const struct lane *l) \
	{ \
		unsigned saved = host_mxcsr_now(), flags; \
		uint64_t r = saturated(l, format_by_size(l->from), bits, is_signed, chop, &flags); \
\
		raise_host(saved, flags); \
		return r; \
	}
SATURATED(toint_chop_sat, 8 * l->size, true, true)
SATURATED(touint_chop_sat, 8 * l->size, false, true)
SATURATED(ibs, 8, true, false)
SATURATED(iubs, 8, false, false)
SATURATED(ibs_chop, 8, true, true)
SATURATED(iubs_chop, 8, false, true)

/* ---- bfloat16: in double precision, rounded to odd, of which the 8 bits come out as if rounded once ---- */

static double brain(uint64_t v) { return value_of(v, format_brain); }

static uint64_t to_brain(double v)
{
	uint64_t sign = signbit(v) ? 0x8000 : 0;
	double m;
	int e;

	if (isnan(v))
		return 0xffc0;
	if (isinf(v) || v == 0)
		return sign | (v == 0 ? 0 : 0x7f80);
	m = ldexp(frexp(fabs(v), &e), 8); /* [128, 256) */
	m = floor(m) + (m - floor(m) > 0.5 || (m - floor(m) == 0.5 && fmod(floor(m), 2) == 1));
	if (m == 256)
		m = 128, e++;
	if (e < -125)
		return sign;
	return sign | (e > 128 ? 0x7f80 : (uint64_t)(e + 126) << 7 | ((uint64_t)m - 128));
}

/* X * Y + Z and the like, to odd. */
enum { OP_FMA, OP_DIV, OP_SQRT };
static double odd(double x, double y, double z, int op)
{
	volatile double a = x, b = y, add = z, r;
	uint64_t bits;

#ifdef __x86_64__
	_mm_setcsr(0x7f80); /* to zero */
#endif
	r = op == OP_FMA ? fma(a, b, add) : op == OP_DIV ? a / b : sqrt(a);
	bits = of_d(r);
#ifdef __x86_64__
	if (_mm_getcsr() & 0x20 && isfinite(r))
		bits |= 1;
	_mm_setcsr(0x1f80);
#endif
	return d_of(bits);
}

/* The first NaN of N operands becomes the result. */
static bool brain_nan(const uint64_t *v, unsigned n, uint64_t *r)
{
	for (unsigned i = 0; i < n; i++)
		if (is_nan(v[i], format_brain)) {
			*r = v[i] | 0x40;
			return true;
		}
	return false;
}

static uint64_t brain_fma(uint64_t x, uint64_t y, uint64_t z, bool turn, bool minus)
{
	uint64_t all[3] = { x, y, z }, r;
	double a = brain(x), b = brain(y), c = brain(z);

	if (brain_nan(all, 3, &r))
		return r;
	return to_brain(odd(turn ? -a : a, b, minus ? -c : c, OP_FMA));
}

static uint64_t brain_two(const struct lane *l, char op)
{
	uint64_t all[2] = { l->a, l->b }, r;
	double a = brain(l->a), b = brain(l->b);
	bool nans = brain_nan(all, 2, &r);

	switch (op) {
	case '+': return nans ? r : to_brain(odd(1, a, b, OP_FMA));
	case '-': return nans ? r : to_brain(odd(1, a, -b, OP_FMA));
	case '*': return nans ? r : to_brain(odd(a, b, signbit(a) != signbit(b) ? -0.0 : 0, OP_FMA));
	case '/': return nans ? r : to_brain(odd(a, b, 0, OP_DIV));
	case '<': return is_nan(l->b, format_brain) ? l->b : to_brain(a < b ? a : b);
	default: return is_nan(l->b, format_brain) ? l->b : to_brain(a > b ? a : b);
	}
}

static uint64_t brain_sqrt(const struct lane *l)
{
	uint64_t r;

	return brain_nan(&l->b, 1, &r) ? r : to_brain(odd(brain(l->b), 0, 0, OP_SQRT));
}

static uint64_t brain_compare(const struct lane *l)
{
	double a = brain(l->a), b = brain(l->b);
	bool un = isunordered(a, b), eq = !un && a == b, lt = isless(a, b), gt = isgreater(a, b);
	bool r[] = { eq,       lt,          lt || eq, un,    !eq,        !lt,      !(lt || eq), !un,
		     eq || un, !(gt || eq), !gt,      false, !eq && !un, gt || eq, gt,          true };

	return r[l->imm & 15];
}

static uint64_t brain_class(const struct lane *l)
{
	double v = brain(l->b);
	bool signaling = is_signaling(l->b, format_brain);

	return (l->imm & 1 && isnan(v) && !signaling) || (l->imm & 2 && v == 0 && !signbit(v)) ||
	       (l->imm & 4 && v == 0 && signbit(v)) || (l->imm & 8 && v == INFINITY) ||
	       (l->imm & 16 && v == -INFINITY) || (l->imm & 64 && isfinite(v) && v < 0) || (l->imm & 128 && signaling);
}

static uint64_t brain_getexp(const struct lane *l)
{
	double v = brain(l->b);
	uint64_t r;

	if (brain_nan(&l->b, 1, &r))
		return r;
	return to_brain(isinf(v) ? INFINITY : v == 0 ? -INFINITY : ilogb(v));
}

static uint64_t brain_getmant(const struct lane *l)
{
	double v = brain(l->b), m = 1;
	uint64_t r;
	int e;

	if (brain_nan(&l->b, 1, &r))
		return r;
	if (v < 0 && l->imm & 8)
		return 0xffc0;
	if (v != 0 && isfinite(v)) {
		m = 2 * frexp(fabs(v), &e);
		if ((l->imm & 3) == 1 ? !(e & 1) : (l->imm & 3) == 2 || ((l->imm & 3) == 3 && m >= 1.5))
			m /= 2;
	}
	return to_brain(signbit(v) && !(l->imm & 4) ? -m : m);
}

static uint64_t brain_scalef(const struct lane *l)
{
	double a = brain(l->a), b = brain(l->b), n = floor(b);

	if (isnan(a) && (is_signaling(l->a, format_brain) || !isinf(b)))
		return l->a | 0x40;
	if (isnan(b))
		return l->b | 0x40;
	if (isinf(b)) {
		if (isnan(a))
			return b < 0 ? 0 : 0x7f80;
		if (b < 0 ? isinf(a) : a == 0)
			return 0xffc0;
		return to_brain(copysign(b < 0 ? 0 : INFINITY, a));
	}
	return to_brain(ldexp(a, n > 600 ? 600 : n < -600 ? -600 : (int)n));
}

static double brain_rounded(const struct lane *l)
{
	int m = l->imm >> 4;
	double v = brain(l->b);

	return isinf(v) ? v : copysign(ldexp(round_by(ldexp(v, m), 0), -m), v);
}
static uint64_t brain_rndscale(const struct lane *l)
{
	uint64_t r;

	return brain_nan(&l->b, 1, &r) ? r : to_brain(brain_rounded(l));
}
static uint64_t brain_reduce(const struct lane *l)
{
	uint64_t r;

	if (brain_nan(&l->b, 1, &r))
		return r;
	return isinf(brain(l->b)) ? 0 : to_brain(brain(l->b) - brain_rounded(l));
}
static uint64_t brain_rcp(const struct lane *l)
{
	uint64_t r;

	return brain_nan(&l->b, 1, &r) ? r : to_brain(1 / brain(l->b));
}
static uint64_t brain_rsqrt(const struct lane *l)
{
	uint64_t r;

	return brain_nan(&l->b, 1, &r) ? r : to_brain(1 / sqrt(brain(l->b)));
}

/* MXCSR stays as it is. */
#define BRAIN(name, expression) \
	static uint64_t n_brain_##name(const struct lane *l) \
	{ \
		unsigned saved = nearest_begin(), flags; \
		uint64_t r = expression; \
\
		(void)flags; \
		nearest_end(saved); \
		return r; \
	}
BRAIN(add, brain_two(l, '+'))
BRAIN(sub, brain_two(l, '-'))
BRAIN(mul, brain_two(l, '*'))
BRAIN(div, brain_two(l, '/'))
BRAIN(min, brain_two(l, '<'))
BRAIN(max, brain_two(l, '>'))
BRAIN(sqrt, brain_sqrt(l))
BRAIN(cmp, brain_compare(l))
BRAIN(class, brain_class(l))
BRAIN(getexp, brain_getexp(l))
BRAIN(getmant, brain_getmant(l))
BRAIN(scalef, brain_scalef(l))
BRAIN(rndscale, brain_rndscale(l))
BRAIN(reduce, brain_reduce(l))
BRAIN(rcp, brain_rcp(l))
BRAIN(rsqrt, brain_rsqrt(l))
BRAIN(minmax, minmax(l, format_brain))
BRAIN(ibs, saturated(l, format_brain, 8, true, false, &flags))
BRAIN(iubs, saturated(l, format_brain, 8, false, false, &flags))
BRAIN(ibs_chop, saturated(l, format_brain, 8, true, true, &flags))
BRAIN(iubs_chop, saturated(l, format_brain, 8, false, true, &flags))
#define BRAIN_FMA(name, turn, minus) \
	BRAIN(name##132, brain_fma(l->old, l->b, l->a, turn, minus)) \
	BRAIN(name##213, brain_fma(l->a, l->old, l->b, turn, minus)) \
	BRAIN(name##231, brain_fma(l->a, l->b, l->old, turn, minus))
BRAIN_FMA(fmadd, false, false)
BRAIN_FMA(fmsub, false, true)
BRAIN_FMA(fnmadd, true, false)
BRAIN_FMA(fnmsub, true, true)

/* Broadcasts of GROUP bytes. */
static void repeat(uint8_t *r, const uint8_t *b, unsigned vl, unsigned group)
{
	for (unsigned i = 0; i < vl; i++)
		r[i] = b[i % group];
}
W(repeat1)
{
	USED;
	repeat(r, b, vl, size);
}
W(repeat2)
{
	USED;
	repeat(r, b, vl, 2 * size);
}
W(repeat4)
{
	USED;
	repeat(r, b, vl, 4 * size);
}
W(repeat8)
{
	USED;
	repeat(r, b, vl, 8 * size);
}

/* ---- the table ---- */

/* ---- numbers of 8 bits ---- */

/* The magnitude of CODE; the first one beyond the largest is what the next number would be. */
static double fp8_value(unsigned code, bool hf8)
{
	unsigned frac_bits = hf8 ? 3 : 2, exp = code >> frac_bits, frac = code & ((1u << frac_bits) - 1);
	int bias = hf8 ? 7 : 15;

	return exp ? ldexp((double)(frac + (1u << frac_bits)), (int)exp - bias - (int)frac_bits)
		   : ldexp((double)frac, 1 - bias - (int)frac_bits);
}

/* The nearest of all numbers, of two the one whose last bit is zero; with a bias the largest that is not above the sum
 * of V and BIAS 256ths of the distance of two numbers at V (of HF8's normal numbers half the bias, in 128ths). */
static uint8_t fp8(uint64_t half, bool hf8, bool saturates, int bias)
{
	const unsigned beyond = hf8 ? 0x7f : 0x7c, sign = half >> 8 & 0x80;
	double v = fabs(value_of(half, format_half));
	unsigned best = 0;

	if (isnan(v))
		return (uint8_t)(hf8 ? sign | 0x7f : half >> 8 | 2);
	if (bias >= 0 && !isinf(v)) {
		int exp = v > 0 ? ilogb(v) : -99, least = hf8 ? -6 : -14;
		double distance = ldexp(1, (exp < least ? least : exp) - (hf8 ? 3 : 2));

		v += hf8 && exp >= least ? distance * (bias >> 1) / 128 : distance * bias / 256;
		while (best < beyond && fp8_value(best + 1, hf8) <= v)
			best++;
	} else {
		for (unsigned code = 1; code <= beyond; code++) {
			double here = fabs(fp8_value(code, hf8) - v), there = fabs(fp8_value(best, hf8) - v);

			if (here < there || (here == there && !(code & 1)))
				best = code;
		}
		if (isinf(v))
			best = beyond;
	}
	if (best == beyond && saturates)
		best--;
	return (uint8_t)(sign | best);
}
#define FP8(name, hf8, saturates) \
	static uint64_t n_##name(const struct lane *l) { return fp8(l->b, hf8, saturates, -1); } \
	static uint64_t n_bias##name(const struct lane *l) { return fp8(l->b, hf8, saturates, (int)(l->a & 0xff)); } \
	W(two##name) \
	{ \
		USED; \
		for (unsigned i = 0; i < vl; i++) \
			r[i] = fp8(peek(i < vl / 2 ? b : a, i % (vl / 2), 2), hf8, saturates, -1); \
	}
FP8(bf8, false, false)
FP8(bf8s, false, true)
FP8(hf8, true, false)
FP8(hf8s, true, true)
static uint64_t n_from_hf8(const struct lane *l)
{
	const uint64_t sign = l->b << 8 & 0x8000;

	if ((l->b & 0x7f) == 0x7f)
		return sign | 0x7e00;
	for (uint64_t v = 0; v < 0x7c00; v++)
		if (value_of(v, format_half) == fp8_value(l->b & 0x7f, true))
			return sign | v;
	return 0xdead;
}

/* To FP16, by the host's rounding. */
static uint16_t to_half(uint64_t single)
{
	double v = value_of(single, format_single), unit;
	uint64_t sign = single >> 16 & 0x8000, r;

	if (isnan(v))
		return (uint16_t)(sign | 0x7e00 | (single >> 13 & 0x3ff));
	if (isinf(v) || v == 0)
		return (uint16_t)(sign | (v == 0 ? 0 : 0x7c00));
	unit = ldexp(1, (ilogb(v) < -14 ? -14 : ilogb(v)) - 10);
	v = fabs(rint(v / unit) * unit);
	if (v > 65504) {
		unsigned rc = host_mxcsr_now() >> 13 & 3;

		return (uint16_t)(sign | (0x7c00 - (rc == 3 || rc == (sign ? 2 : 1))));
	}
	r = v == 0 ? 0 : v < ldexp(1, -14) ? 1 : (uint64_t)(ilogb(v) + 15) << 10;
	while (value_of(r, format_half) != v)
		r++;
	return (uint16_t)(sign | r);
}
static uint64_t n_to_half(const struct lane *l) { return to_half(l->b); }
W(twophx)
{
	USED;
	for (unsigned i = 0; i < vl / 2; i++)
		poke(r, i, 2, to_half(peek(i < vl / 4 ? b : a, i % (vl / 4), 4)));
}

#define E(name, size, fn) \
	{ \
		name, size, size, n_##fn, 0, 0, 0, 0 \
	}
#define EC(name, from, size, fn) \
	{ \
		name, from, size, n_##fn, 0, 0, 0, 0 \
	}
#define K(name, size, fn) \
	{ \
		name, size, size, n_##fn, 0, 0, 1, 0 \
	}
#define V(name, from, size, fn) \
	{ \
		name, from, size, 0, n_##fn, 0, 0, 0 \
	}
#define S(name, size, fn) \
	{ \
		name, size, size, n_##fn, 0, 1, 0, 0 \
	}
#define SK(name, size, fn) \
	{ \
		name, size, size, n_##fn, 0, 1, 1, 0 \
	}
/* With the instruction's exceptions. */
#define EF(name, from, size, fn) \
	{ \
		name, from, size, n_##fn, 0, 0, 0, 0, 1 \
	}
#define B(name, fn) EF("v" name "bf16", 2, 2, brain_##fn)
#define BK(name, fn) \
	{ \
		"v" name "bf16", 2, 2, n_brain_##fn, 0, 0, 1, 0, 1 \
	}
#define BW(name, fn) E(name "b", 1, fn), E(name "w", 2, fn)
#define DQ(name, fn) E(name "d", 4, fn), E(name "q", 8, fn)
#define BWDQ(name, fn) BW(name, fn), DQ(name, fn)
#define WDQ(name, fn) E(name "w", 2, fn), DQ(name, fn)
#define KBWDQ(name, fn) K(name "b", 1, fn), K(name "w", 2, fn), K(name "d", 4, fn), K(name "q", 8, fn)
#define VBWDQ(name, fn) V(name "b", 1, 1, fn), V(name "w", 2, 2, fn), V(name "d", 4, 4, fn), V(name "q", 8, 8, fn)
#define PSD(name, fn) E(name "ps", 4, fn), E(name "pd", 8, fn), S(name "ss", 4, fn), S(name "sd", 8, fn)
#define FMA(name, fn) \
	E(name "ps", 4, fn), E(name "pd", 8, fn), { name "ss", 4, 4, n_##fn, 0, 1, 0, 1 }, \
	{ \
		name "sd", 8, 8, n_##fn, 0, 1, 0, 1 \
	}
#define FMAS(name, fn) FMA(name "132", fn##132), FMA(name "213", fn##213), FMA(name "231", fn##231)
#define MOVES(name, fn) \
	EC(name "wb", 2, 1, fn), EC(name "db", 4, 1, fn), EC(name "qb", 8, 1, fn), EC(name "dw", 4, 2, fn), \
		EC(name "qw", 8, 2, fn), EC(name "qd", 8, 4, fn)
#define WIDEN(name, fn) \
	EC(name "bw", 1, 2, fn), EC(name "bd", 1, 4, fn), EC(name "bq", 1, 8, fn), EC(name "wd", 2, 4, fn), \
		EC(name "wq", 2, 8, fn), EC(name "dq", 4, 8, fn)

/* Shifts by an immediate are told from those by a register by the operands: rows with an immediate are listed with " i". */
static const struct naive naives[] = {
	BWDQ("vpadd", add),
	BWDQ("vpsub", sub),
	BW("vpadds", adds),
	BW("vpsubs", subs),
	BW("vpaddus", addus),
	BW("vpsubus", subus),
	E("vpmullw", 2, mull),
	E("vpmulld", 4, mull),
	E("vpmullq", 8, mull),
	E("vpmulhw", 2, mulh),
	E("vpmulhuw", 2, mulhu),
	E("vpmulhrsw", 2, mulhrs),
	E("vpmuldq", 8, muldq),
	E("vpmuludq", 8, muludq),
	BWDQ("vpmins", mins),
	BWDQ("vpmaxs", maxs),
	BWDQ("vpminu", minu),
	BWDQ("vpmaxu", maxu),
	BW("vpavg", avg),
	BWDQ("vpabs", abs),
	DQ("vpand", and),
	DQ("vpandn", andn),
	DQ("vpor", or),
	DQ("vpxor", xor),
	E("vandps", 4, and),
	E("vandpd", 8, and),
	E("vandnps", 4, andn),
	E("vandnpd", 8, andn),
	E("vorps", 4, or),
	E("vorpd", 8, or),
	E("vxorps", 4, xor),
	E("vxorpd", 8, xor),
	WDQ("vpsllv", sllv),
	WDQ("vpsrlv", srlv),
	WDQ("vpsrav", srav),
	DQ("vprolv", rolv),
	DQ("vprorv", rorv),
	DQ("vprol", rol),
	DQ("vpror", ror),
	DQ("vpternlog", ternlog),
	BWDQ("vpopcnt", popcnt),
	DQ("vplzcnt", lzcnt),
	WDQ("vpshld", shld),
	WDQ("vpshrd", shrd),
	WDQ("vpshldv", shldv),
	WDQ("vpshrdv", shrdv),
	E("vpmadd52luq", 8, madd52lo),
	E("vpmadd52huq", 8, madd52hi),
	E("vpdpbusd", 4, dpbusd),
	E("vpdpbusds", 4, dpbusds),
	E("vpdpwssd", 4, dpwssd),
	E("vpdpwssds", 4, dpwssds),
	E("vpmaddwd", 4, maddwd),
	E("vpmaddubsw", 2, maddubsw),
	MOVES("vpmov", mov),
	MOVES("vpmovs", movs),
	MOVES("vpmovus", movus),
	WIDEN("vpmovsx", movsx),
	WIDEN("vpmovzx", mov),
	KBWDQ("vpcmp", cmp),
	KBWDQ("vpcmpu", cmpu),
	KBWDQ("vpcmpeq", cmpeq),
	KBWDQ("vpcmpgt", cmpgt),
	KBWDQ("vptestm", testm),
	KBWDQ("vptestnm", testnm),
	K("vpmovb2m", 1, sign),
	K("vpmovw2m", 2, sign),
	K("vpmovd2m", 4, sign),
	K("vpmovq2m", 8, sign),
	E("vpsllw i", 2, slli),
	E("vpslld i", 4, slli),
	E("vpsllq i", 8, slli),
	E("vpsrlw i", 2, srli),
	E("vpsrld i", 4, srli),
	E("vpsrlq i", 8, srli),
	E("vpsraw i", 2, srai),
	E("vpsrad i", 4, srai),
	E("vpsraq i", 8, srai),
	E("vmovups", 4, second),
	E("vmovupd", 8, second),
	E("vmovaps", 4, second),
	E("vmovapd", 8, second),
	E("vmovdqa32", 4, second),
	E("vmovdqa64", 8, second),
	E("vmovdqu8", 1, second),
	E("vmovdqu16", 2, second),
	E("vmovdqu32", 4, second),
	E("vmovdqu64", 8, second),
	E("vmovrsb", 1, second),
	E("vmovrsw", 2, second),
	E("vmovrsd", 4, second),
	E("vmovrsq", 8, second),
	VBWDQ("vperm", perm),
	V("vpermps", 4, 4, perm),
	V("vpermpd", 8, 8, perm),
	VBWDQ("vpermi2", permi2),
	V("vpermi2ps", 4, 4, permi2),
	V("vpermi2pd", 8, 8, permi2),
	VBWDQ("vpermt2", permt2),
	V("vpermt2ps", 4, 4, permt2),
	V("vpermt2pd", 8, 8, permt2),
	V("vpermq i", 8, 8, permq),
	V("vpermpd i", 8, 8, permq),
	V("vpermilps", 4, 4, permil),
	V("vpermilpd", 8, 8, permil),
	V("vpermilps i", 4, 4, permil_i),
	V("vpermilpd i", 8, 8, permil_i),
	V("valignd", 4, 4, align),
	V("valignq", 8, 8, align),
	V("vshuff32x4", 4, 4, shuf128),
	V("vshuff64x2", 8, 8, shuf128),
	V("vshufi32x4", 4, 4, shuf128),
	V("vshufi64x2", 8, 8, shuf128),
	V("vinsertf32x4", 4, 4, insert16),
	V("vinsertf64x2", 8, 8, insert16),
	V("vinserti32x4", 4, 4, insert16),
	V("vinserti64x2", 8, 8, insert16),
	V("vinsertf32x8", 4, 4, insert32),
	V("vinsertf64x4", 8, 8, insert32),
	V("vinserti32x8", 4, 4, insert32),
	V("vinserti64x4", 8, 8, insert32),
	V("vpunpcklbw", 1, 1, unpackl),
	V("vpunpcklwd", 2, 2, unpackl),
	V("vpunpckldq", 4, 4, unpackl),
	V("vpunpcklqdq", 8, 8, unpackl),
	V("vunpcklps", 4, 4, unpackl),
	V("vunpcklpd", 8, 8, unpackl),
	V("vpunpckhbw", 1, 1, unpackh),
	V("vpunpckhwd", 2, 2, unpackh),
	V("vpunpckhdq", 4, 4, unpackh),
	V("vpunpckhqdq", 8, 8, unpackh),
	V("vunpckhps", 4, 4, unpackh),
	V("vunpckhpd", 8, 8, unpackh),
	V("vpacksswb", 1, 1, packss),
	V("vpackssdw", 4, 2, packss),
	V("vpackuswb", 1, 1, packus),
	V("vpackusdw", 4, 2, packus),
	V("vpshufb", 1, 1, shufb),
	V("vpshufd", 4, 4, shufd),
	V("vshufps", 4, 4, shufps),
	V("vshufpd", 8, 8, shufpd),
	V("vpalignr", 1, 1, alignr),
	V("vpsllw", 2, 2, sll),
	V("vpslld", 4, 4, sll),
	V("vpsllq", 8, 8, sll),
	V("vpsrlw", 2, 2, srl),
	V("vpsrld", 4, 4, srl),
	V("vpsrlq", 8, 8, srl),
	V("vpsraw", 2, 2, sra),
	V("vpsrad", 4, 4, sra),
	V("vpsraq", 8, 8, sra),
	V("vpconflictd", 4, 4, conflict),
	V("vpconflictq", 8, 8, conflict),
	V("vpmultishiftqb", 8, 1, multishift),
	V("vdbpsadbw", 2, 2, dbpsadbw),
	PSD("vadd", fadd),
	PSD("vsub", fsub),
	PSD("vmul", fmul),
	PSD("vdiv", fdiv),
	PSD("vsqrt", fsqrt),
	PSD("vmax", fmax),
	PSD("vmin", fmin),
	PSD("vgetexp", getexp),
	PSD("vgetmant", getmant),
	K("vcmpps", 4, fcmp),
	K("vcmppd", 8, fcmp),
	SK("vcmpss", 4, fcmp),
	SK("vcmpsd", 8, fcmp),
	K("vfpclassps", 4, fclass),
	K("vfpclasspd", 8, fclass),
	SK("vfpclassss", 4, fclass),
	SK("vfpclasssd", 8, fclass),
	FMAS("vfmadd", fmadd),
	FMAS("vfmsub", fmsub),
	FMAS("vfnmadd", fnmadd),
	FMAS("vfnmsub", fnmsub),
	EC("vcvtps2dq", 4, 4, toint),
	EC("vcvttps2dq", 4, 4, toint_chop),
	EC("vcvtpd2dq", 8, 4, toint),
	EC("vcvttpd2dq", 8, 4, toint_chop),
	EC("vcvtps2qq", 4, 8, toint),
	EC("vcvttps2qq", 4, 8, toint_chop),
	EC("vcvtpd2qq", 8, 8, toint),
	EC("vcvttpd2qq", 8, 8, toint_chop),
	EC("vcvtps2udq", 4, 4, touint),
	EC("vcvttps2udq", 4, 4, touint_chop),
	EC("vcvtpd2udq", 8, 4, touint),
	EC("vcvttpd2udq", 8, 4, touint_chop),
	EC("vcvtps2uqq", 4, 8, touint),
	EC("vcvttps2uqq", 4, 8, touint_chop),
	EC("vcvtpd2uqq", 8, 8, touint),
	EC("vcvttpd2uqq", 8, 8, touint_chop),
	EC("vcvtdq2ps", 4, 4, fromint),
	EC("vcvtdq2pd", 4, 8, fromint),
	EC("vcvtqq2ps", 8, 4, fromint),
	EC("vcvtqq2pd", 8, 8, fromint),
	EC("vcvtudq2ps", 4, 4, fromuint),
	EC("vcvtudq2pd", 4, 8, fromuint),
	EC("vcvtuqq2ps", 8, 4, fromuint),
	EC("vcvtuqq2pd", 8, 8, fromuint),
	PSD("vrndscale", rndscale),
	PSD("vrange", range),
	PSD("vscalef", scalef),
	E("vpdpbssd", 4, dpbssd),
	E("vpdpbssds", 4, dpbssds),
	E("vpdpbsud", 4, dpbsud),
	E("vpdpbsuds", 4, dpbsuds),
	E("vpdpbuud", 4, dpbuud),
	E("vpdpbuuds", 4, dpbuuds),
	E("vpdpwsud", 4, dpwsud),
	E("vpdpwsuds", 4, dpwsuds),
	E("vpdpwusd", 4, dpwusd),
	E("vpdpwusds", 4, dpwusds),
	E("vpdpwuud", 4, dpwuud),
	E("vpdpwuuds", 4, dpwuuds),
	V("vmpsadbw", 2, 2, mpsadbw),
	E("vdpphps", 4, dpphps),
	EF("vcvttps2dqs", 4, 4, toint_chop_sat),
	EF("vcvttpd2dqs", 8, 4, toint_chop_sat),
	EF("vcvttps2qqs", 4, 8, toint_chop_sat),
	EF("vcvttpd2qqs", 8, 8, toint_chop_sat),
	EF("vcvttps2udqs", 4, 4, touint_chop_sat),
	EF("vcvttpd2udqs", 8, 4, touint_chop_sat),
	EF("vcvttps2uqqs", 4, 8, touint_chop_sat),
	EF("vcvttpd2uqqs", 8, 8, touint_chop_sat),
	EF("vcvtps2ibs", 4, 4, ibs),
	EF("vcvtph2ibs", 2, 2, ibs),
	EF("vcvtbf162ibs", 2, 2, brain_ibs),
	EF("vcvtps2iubs", 4, 4, iubs),
	EF("vcvtph2iubs", 2, 2, iubs),
	EF("vcvtbf162iubs", 2, 2, brain_iubs),
	EF("vcvttps2ibs", 4, 4, ibs_chop),
	EF("vcvttph2ibs", 2, 2, ibs_chop),
	EF("vcvttbf162ibs", 2, 2, brain_ibs_chop),
	EF("vcvttps2iubs", 4, 4, iubs_chop),
	EF("vcvttph2iubs", 2, 2, iubs_chop),
	EF("vcvttbf162iubs", 2, 2, brain_iubs_chop),
	B("add", add),
	B("sub", sub),
	B("mul", mul),
	B("div", div),
	B("min", min),
	B("max", max),
	B("sqrt", sqrt),
	B("getexp", getexp),
	B("getmant", getmant),
	B("scalef", scalef),
	B("rndscale", rndscale),
	B("reduce", reduce),
	B("rcp", rcp),
	B("rsqrt", rsqrt),
	B("minmax", minmax),
	BK("cmp", cmp),
	BK("fpclass", class),
	B("fmadd132", fmadd132),
	B("fmadd213", fmadd213),
	B("fmadd231", fmadd231),
	B("fmsub132", fmsub132),
	B("fmsub213", fmsub213),
	B("fmsub231", fmsub231),
	B("fnmadd132", fnmadd132),
	B("fnmadd213", fnmadd213),
	B("fnmadd231", fnmadd231),
	B("fnmsub132", fnmsub132),
	B("fnmsub213", fnmsub213),
	B("fnmsub231", fnmsub231),
	PSD("vminmax", minmax),
	E("vminmaxph", 2, minmax),
	S("vminmaxsh", 2, minmax),
	EC("vcvtph2bf8", 2, 1, bf8),
	EC("vcvtph2bf8s", 2, 1, bf8s),
	EC("vcvtph2hf8", 2, 1, hf8),
	EC("vcvtph2hf8s", 2, 1, hf8s),
	EC("vcvtbiasph2bf8", 2, 1, biasbf8),
	EC("vcvtbiasph2bf8s", 2, 1, biasbf8s),
	EC("vcvtbiasph2hf8", 2, 1, biashf8),
	EC("vcvtbiasph2hf8s", 2, 1, biashf8s),
	V("vcvt2ph2bf8", 2, 1, twobf8),
	V("vcvt2ph2bf8s", 2, 1, twobf8s),
	V("vcvt2ph2hf8", 2, 1, twohf8),
	V("vcvt2ph2hf8s", 2, 1, twohf8s),
	EC("vcvthf82ph", 1, 2, from_hf8),
	V("vcvt2ps2phx", 4, 2, twophx),
	EC("vcvtps2phx", 4, 2, to_half),
	V("vpbroadcastb", 1, 1, repeat1),
	V("vpbroadcastw", 2, 2, repeat1),
	V("vpbroadcastd", 4, 4, repeat1),
	V("vpbroadcastq", 8, 8, repeat1),
	V("vbroadcastss", 4, 4, repeat1),
	V("vbroadcastsd", 8, 8, repeat1),
	V("vbroadcastf32x2", 4, 4, repeat2),
	V("vbroadcasti32x2", 4, 4, repeat2),
	V("vbroadcastf32x4", 4, 4, repeat4),
	V("vbroadcasti32x4", 4, 4, repeat4),
	V("vbroadcastf32x8", 4, 4, repeat8),
	V("vbroadcasti32x8", 4, 4, repeat8),
	V("vbroadcastf64x2", 8, 8, repeat2),
	V("vbroadcasti64x2", 8, 8, repeat2),
	V("vbroadcastf64x4", 8, 8, repeat4),
	V("vbroadcasti64x4", 8, 8, repeat4),
};

#endif
