/* SPDX-License-Identifier: MIT */
/* 3DNow! and its extensions: pairs of single-precision numbers in MMX registers (AMD 21928, 22466).
 *
 * There are no infinities, no NaNs, no denormals and no exceptions: an exponent of 0 is zero, results too small become
 * zero, results too large the largest normal number, everything is rounded to the nearest even (PF2ID, PF2IW and PI2FD
 * truncate). What AMD leaves to the implementation is defined here, once and for every host:
 *
 *   an exponent of 255 ("unsupported")  one more binade: 2^128 and up. A result that would need it is the largest normal number.
 *   PFRCP, PFRSQRT                      1 / x and 1 / sqrt |x|, rounded to 16 bits of significand; PFRSQRT keeps x's sign.
 *                                       (AMD promises 14 and 15.) Of zero: the largest normal number.
 *   PFRCPIT1 (b, x)                     2 - b * x        }
 *   PFRSQIT1 (b, x)                     (3 - b * x) / 2  } exactly, then rounded once
 *   PFRCPIT2 (a, b)                     a * b */
#include "cpu/insn/vector/mmx.h"
#include "cpu/insn/vector/vec_int.h"

#define SIGN 0x80000000u
#define LARGEST 0x7f7fffffu

/* sig * 2^exp; zero has sig 0. */
struct number { bool negative; int exp; u64 sig; };

static struct number unpack(u32 v)
{
	int e = v >> 23 & 255;

	return (struct number){ v >> 31, e - 150, e ? (v & 0x7fffff) | 0x800000 : 0 };
}

/* N, its lowest bit standing for all beyond, rounded to BITS of significand. */
static u32 pack(struct number n, unsigned bits)
{
	u32 sign = n.negative ? SIGN : 0;
	int excess, biased, shift;
	u64 half;

	if (!n.sig)
		return sign;
	excess = 64 - __builtin_clzll(n.sig) - (int)bits;
	if (excess > 0) {
		half = (u64)1 << (excess - 1);
		n.sig += half - 1 + (n.sig >> excess & 1); /* to nearest, ties to even */
		n.sig >>= excess;
		n.exp += excess;
	}
	shift = __builtin_clzll(n.sig) - 40; /* to the left, to bit 23; -1 where rounding has carried */
	biased = n.exp - shift + 150;
	if (biased <= 0)
		return sign;
	if (biased >= 255)
		return sign | LARGEST;
	return sign | (u32)biased << 23 | ((u32)(shift < 0 ? n.sig >> 1 : n.sig << shift) & 0x7fffff);
}

/* ---- arithmetic ---- */

/* Top bit at 61: room for a carry. */
static struct number left(struct number n)
{
	int shift = n.sig ? __builtin_clzll(n.sig) - 2 : 0;

	return (struct number){ n.negative, n.exp - shift, n.sig << shift };
}

/* The sum; if it is zero, with A's sign. */
static struct number sum(struct number a, struct number b)
{
	bool swap;
	unsigned away;

	if (!a.sig || !b.sig)
		return a.sig ? a : b;
	a = left(a);
	b = left(b);
	swap = b.exp > a.exp || (b.exp == a.exp && b.sig > a.sig);
	if (swap) {
		struct number t = a;

		a = b;
		b = t;
	}
	away = (unsigned)(a.exp - b.exp);
	b.sig = away > 62 ? 1 : b.sig >> away | ((b.sig & (((u64)1 << away) - 1)) != 0);
	a.sig = a.negative == b.negative ? a.sig + b.sig : a.sig - b.sig;
	return a;
}

static struct number product(struct number a, struct number b)
{
	return (struct number){ a.negative != b.negative, a.exp + b.exp, a.sig * b.sig };
}

/* Zeroes: the sum of two is negative if both are; a number and zero is that number, whatever it is. */
static u32 add(u32 a, u32 b)
{
	struct number x = unpack(a), y = unpack(b);

	if (!x.sig && !y.sig)
		return a & b & SIGN;
	if (!x.sig || !y.sig)
		return x.sig ? a : b;
	return pack(sum(x, y), 24);
}

static u32 subtract(u32 a, u32 b) { return add(a, b ^ SIGN); }
static u32 subtract_from(u32 a, u32 b) { return add(b, a ^ SIGN); }
static u32 multiply(u32 a, u32 b) { return pack(product(unpack(a), unpack(b)), 24); }

static struct number negated_product(u32 a, u32 b)
{
	struct number p = product(unpack(a), unpack(b));

	p.negative = !p.negative;
	return p;
}

static u32 rcpit1(u32 a, u32 b) { return pack(sum((struct number){ false, 1, 1 }, negated_product(a, b)), 24); }

static u32 rsqit1(u32 a, u32 b)
{
	struct number r = sum((struct number){ false, 0, 3 }, negated_product(a, b));

	r.exp--;
	return pack(r, 24);
}

/* The quotient has 39 bits or 40, and one for the rest. */
static u32 reciprocal(u32 v)
{
	struct number n = unpack(v);

	if (!n.sig)
		return v >> 31 << 31 | LARGEST;
	return pack((struct number){ n.negative, -n.exp - 62, ((u64)1 << 62) / n.sig | (((u64)1 << 62) % n.sig != 0) },
		    16);
}

/* With an even exponent E: 2^(-E / 2 - 63) * sqrt(2^126 / sig). The root has 51 or 52 bits. */
static u32 reciprocal_root(u32 v)
{
	struct number n = unpack(v);
	unsigned __int128 of;
	u64 root = 0;

	if (!n.sig)
		return v >> 31 << 31 | LARGEST;
	if (n.exp & 1) {
		n.exp--;
		n.sig <<= 1;
	}
	of = ((unsigned __int128)1 << 126) / n.sig;
	for (u64 bit = (u64)1 << 52; bit; bit >>= 1)
		if ((unsigned __int128)(root | bit) * (root | bit) <= of)
			root |= bit;
	if ((unsigned __int128)root * root * n.sig != (unsigned __int128)1 << 126)
		root = root << 1 | 1;
	else
		root <<= 1;
	return pack((struct number){ n.negative, -n.exp / 2 - 64, root }, 16);
}

/* ---- comparison: zeroes are equal ---- */

static s64 order(u32 v)
{
	s64 magnitude = v >> 23 & 255 ? v & 0x7fffffff : 0;

	return v >> 31 ? -magnitude : magnitude;
}

static u32 some(u32 v) { return order(v) ? v : 0; } /* a zero is positive, as result of PFMAX and PFMIN */
static u32 larger(u32 a, u32 b) { return some(order(a) > order(b) ? a : b); }
static u32 smaller(u32 a, u32 b) { return some(order(a) < order(b) ? a : b); }
static u32 equal(u32 a, u32 b) { return order(a) == order(b) ? 0xffffffff : 0; }
static u32 greater(u32 a, u32 b) { return order(a) > order(b) ? 0xffffffff : 0; }
static u32 greater_or_equal(u32 a, u32 b) { return order(a) >= order(b) ? 0xffffffff : 0; }

/* ---- conversion ---- */

/* Truncated; beyond LIMIT, the largest there is. */
static u32 to_int(u32 v, u32 limit)
{
	struct number n = unpack(v);
	u64 whole = n.exp <= -24 ? 0 : n.exp <= 0 ? n.sig >> -n.exp : n.exp < 40 ? n.sig << n.exp : ~(u64)0;

	if (n.negative)
		return whole > limit ? ~limit : (u32)-whole;
	return whole > limit ? limit : (u32)whole;
}

static u32 from_int(s32 v)
{
	u32 magnitude = v < 0 ? -(u32)v : (u32)v;
	unsigned bits = magnitude ? 32 - (unsigned)__builtin_clz(magnitude) : 0;

	if (bits > 24) /* truncated */
		magnitude &= ~(u32)0 << (bits - 24);
	return pack((struct number){ v < 0, 0, magnitude }, 24);
}

/* ---- instructions: D and S are the destination's old value and the source, as halves ---- */

typedef u32 lane_fn(u32 a, u32 b);
struct pair { u32 low, high; };
typedef struct pair pair_fn(struct pair d, struct pair s);

ALWAYS_INLINE bool pair_body(struct cpu *c, const struct op *o, pair_fn *fn)
{
	struct pair r;
	u64 d;
	vec s;

	if (!mmx_source(c, o, 8, &s))
		return false;
	d = mmx_get(c, o->dst);
	r = fn((struct pair){ (u32)d, (u32)(d >> 32) }, (struct pair){ (u32)s[0], (u32)(s[0] >> 32) });
	mmx_result(c, o, (u64)r.high << 32 | r.low);
	return true;
}

#define PAIRS(name, low_half, high_half) \
	static struct pair p_##name(struct pair d __attribute__((unused)), struct pair s) { \
		return (struct pair){ low_half, high_half }; } \
	BODY(name) { return pair_body(c, o, p_##name); } \
	GEN_BODY(name)
#define LANES(name, fn) PAIRS(name, fn(d.low, s.low), fn(d.high, s.high))

LANES(pfadd, add)
LANES(pfsub, subtract)
LANES(pfsubr, subtract_from)
LANES(pfmul, multiply)
LANES(pfmax, larger)
LANES(pfmin, smaller)
LANES(pfcmpeq, equal)
LANES(pfcmpgt, greater)
LANES(pfcmpge, greater_or_equal)
LANES(pfrcpit1, rcpit1)
LANES(pfrsqit1, rsqit1)
LANES(pfrcpit2, multiply)
PAIRS(pfacc, add(d.low, d.high), add(s.low, s.high))
PAIRS(pfnacc, subtract(d.low, d.high), subtract(s.low, s.high))
PAIRS(pfpnacc, subtract(d.low, d.high), add(s.low, s.high))
PAIRS(pfrcp, reciprocal(s.low), reciprocal(s.low))
PAIRS(pfrsqrt, reciprocal_root(s.low), reciprocal_root(s.low))
PAIRS(pf2id, to_int(s.low, 0x7fffffff), to_int(s.high, 0x7fffffff))
PAIRS(pf2iw, to_int(s.low, 0x7fff), to_int(s.high, 0x7fff))
PAIRS(pi2fd, from_int((s32)s.low), from_int((s32)s.high))
PAIRS(pi2fw, from_int((s16)s.low), from_int((s16)s.high))
PAIRS(pswapd, s.high, s.low)

/* ---- integers ---- */

static vec multiply_high_rounded(vec a, vec b)
{
	u64 r = 0;

	for (unsigned i = 0; i < 64; i += 16)
		r |= (u64)(u16)(((s32)(s16)(a[0] >> i) * (s16)(b[0] >> i) + 0x8000) >> 16) << i;
	return (vec){ r, 0 };
}

MMX(pmulhrw, 8, multiply_high_rounded(a, b))
gen_fn gen_pavgb_mm;
GEN(pavgusb) { gen_pavgb_mm(d, o); }
