/* SPDX-License-Identifier: MIT */
/* Floating point in integers (vec_soft.h): for what the host need not have (FP16, unsigned integers), and all that SSE
 * has for hosts whose own differs: other NaNs, other tininess, no denormal-operand flag. Of that, exceptions are masked
 * here; mxcsr.c sees to the others. */
#include "cpu/insn/vector/vec_soft.h"

/* A NaN among the operands: the first of them, quiet. */
static bool nan_of(struct cpu *c, u64 a, u64 b, struct num x, struct num y, struct format f, u64 *r)
{
	if (x.class < QNAN && y.class < QNAN)
		return false;
	if (x.class == SNAN || y.class == SNAN)
		flag(c, MXCSR_IE);
	*r = (x.class >= QNAN ? a : b) | quiet(f);
	return true;
}

static void denormals(struct cpu *c, struct num x, struct num y)
{
	if (x.denormal || y.denormal)
		flag(c, MXCSR_DE);
}

/* ---- arithmetic on one lane ---- */

static u64 sum(struct cpu *c, u64 a, u64 b, struct format f, bool subtract)
{
	struct num x = unpack(c, a, f), y = unpack(c, b, f), t;
	u128 big, small;
	unsigned shift;
	u64 r;

	if (nan_of(c, a, b, x, y, f, &r))
		return r;
	y.sign ^= subtract;
	if (x.class == INFINITE && y.class == INFINITE && x.sign != y.sign)
		return invalid(c, f);
	denormals(c, x, y);
	if (x.class == INFINITE || y.class == INFINITE)
		return infinity(f) | ((x.class == INFINITE ? x.sign : y.sign) ? f.sign : 0);
	if (x.class == ZERO && y.class == ZERO)
		return (x.sign == y.sign ? x.sign : rounding(c) == 1) ? f.sign : 0;
	if (x.class == ZERO || (y.class == NUMBER && (y.exp > x.exp || (y.exp == x.exp && y.sig > x.sig))))
		t = x, x = y, y = t;
	big = (u128)x.sig << 63; /* one bit of room above */
	small = y.class == ZERO ? 0 : (u128)y.sig << 63;
	shift = (unsigned)(x.exp - y.exp);
	if (small && shift)
		small = shift > 126 ? 1 : small >> shift | !!(small << (128 - shift));
	big = x.sign == y.sign ? big + small : big - small;
	if (!big)
		return rounding(c) == 1 ? f.sign : 0;
	return pack_sum(c, x.sign, x.exp + 1, big, f);
}

u64 soft_add(struct cpu *c, u64 a, u64 b, struct format f) { return sum(c, a, b, f, false); }
u64 soft_sub(struct cpu *c, u64 a, u64 b, struct format f) { return sum(c, a, b, f, true); }

u64 soft_mul(struct cpu *c, u64 a, u64 b, struct format f)
{
	struct num x = unpack(c, a, f), y = unpack(c, b, f);
	u64 r, s = x.sign != y.sign ? f.sign : 0;

	if (nan_of(c, a, b, x, y, f, &r))
		return r;
	if ((x.class == INFINITE && y.class == ZERO) || (x.class == ZERO && y.class == INFINITE))
		return invalid(c, f);
	denormals(c, x, y);
	if (x.class == INFINITE || y.class == INFINITE)
		return s | infinity(f);
	if (x.class == ZERO || y.class == ZERO)
		return s;
	return pack_sum(c, s, x.exp + y.exp + 1, (u128)x.sig * y.sig, f);
}

u64 soft_div(struct cpu *c, u64 a, u64 b, struct format f)
{
	struct num x = unpack(c, a, f), y = unpack(c, b, f);
	u64 r, s = x.sign != y.sign ? f.sign : 0;
	u128 q;

	if (nan_of(c, a, b, x, y, f, &r))
		return r;
	if (x.class == y.class && x.class != NUMBER)
		return invalid(c, f);
	if (y.class == ZERO && x.class == NUMBER) {
		flag(c, MXCSR_ZE);
		return s | infinity(f);
	}
	denormals(c, x, y);
	if (x.class == INFINITE || y.class == ZERO)
		return s | infinity(f);
	if (x.class == ZERO || y.class == INFINITE)
		return s;
	q = ((u128)x.sig << 63) / y.sig; /* 63 or 64 bits, and whether there is more */
	return pack_sum(c, s, x.exp - y.exp, q << 64 | !!(((u128)x.sig << 63) % y.sig), f);
}

u64 soft_sqrt(struct cpu *c, u64 a, u64 b, struct format f)
{
	struct num y = unpack(c, b, f);
	u128 rest, root = 0;
	u64 r;

	(void)a;
	if (nan_of(c, b, b, y, y, f, &r))
		return r;
	if (y.class == ZERO || (y.class == INFINITE && !y.sign))
		return y.class == ZERO ? (y.sign ? f.sign : 0) : b;
	if (y.sign)
		return invalid(c, f);
	denormals(c, y, y);
	rest = (u128)y.sig << (y.exp & 1 ? 64 : 63); /* [1, 4) * 2^126, an even exponent taken out */
	for (u128 bit = (u128)1 << 63; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= rest)
			root |= bit;
	return pack_sum(c, false, (y.exp - (y.exp & 1)) / 2, root << 64 | (root * root != rest), f);
}

/* MIN and MAX are a comparison and a choice: B unless A is surely the one (SDM vol. 1, 11.5.2.1: any NaN is invalid).
 * */
static int order(struct num x, struct num y)
{
	int sx = x.sign ? -1 : 1, sy = y.sign ? -1 : 1;

	if (x.class == ZERO || y.class == ZERO)
		return x.class == y.class ? 0 : x.class == ZERO ? -sy : sx;
	if (sx != sy)
		return sx;
	if (x.class != y.class)
		return x.class == INFINITE ? sx : -sx;
	if (x.class == INFINITE)
		return 0;
	return x.exp != y.exp ? (x.exp > y.exp ? sx : -sx) : x.sig != y.sig ? (x.sig > y.sig ? sx : -sx) : 0;
}

static u64 extreme(struct cpu *c, u64 a, u64 b, struct format f, int wanted)
{
	struct num x = unpack(c, a, f), y = unpack(c, b, f);
	bool first;

	if (x.class >= QNAN || y.class >= QNAN) {
		flag(c, MXCSR_IE);
		return y.class == ZERO ? (y.sign ? f.sign : 0) : b;
	}
	denormals(c, x, y);
	first = order(x, y) == wanted;
	if ((first ? x : y).class == ZERO)
		return (first ? x : y).sign ? f.sign : 0;
	return first ? a : b;
}

u64 soft_min(struct cpu *c, u64 a, u64 b, struct format f) { return extreme(c, a, b, f, -1); }
u64 soft_max(struct cpu *c, u64 a, u64 b, struct format f) { return extreme(c, a, b, f, 1); }

/* ---- comparison ---- */

int soft_compare(struct cpu *c, u64 a, u64 b, struct format f, bool quiet_is_invalid)
{
	struct num x = unpack(c, a, f), y = unpack(c, b, f);

	if (x.class >= QNAN || y.class >= QNAN) {
		if (quiet_is_invalid || x.class == SNAN || y.class == SNAN)
			flag(c, MXCSR_IE);
		return UNORDERED;
	}
	denormals(c, x, y);
	return order(x, y);
}

/* ---- conversions ---- */

/* To an integer of BITS, signed or not; what does not fit is INDEFINITE. */
static u64 to_integer(struct cpu *c, struct num n, unsigned bits, bool is_signed, bool chop, u64 none)
{
	bool inexact = false;
	u64 r;

	if (n.class == ZERO)
		return 0;
	if (n.class != NUMBER || n.exp > 63) {
		flag(c, MXCSR_IE);
		return none;
	}
	r = n.exp == 63 ? n.sig
			: (u64)round_bits((u128)n.sig << 64, (unsigned)(127 - n.exp), chop ? 3 : rounding(c), n.sign,
					  &inexact);
	if (is_signed ? r > ((u64)1 << (bits - 1)) - !n.sign : (n.sign && r) || (bits < 64 && r >> bits)) {
		flag(c, MXCSR_IE);
		return none;
	}
	if (inexact)
		flag(c, MXCSR_PE);
	return n.sign ? 0 - r : r;
}

u64 soft_to_int(struct cpu *c, u64 v, struct format f, unsigned bits, bool chop)
{
	return to_integer(c, unpack(c, v, f), bits, true, chop, (u64)1 << (bits - 1));
}

u64 soft_to_uint(struct cpu *c, u64 v, struct format f, unsigned bits, bool chop)
{
	return to_integer(c, unpack(c, v, f), bits, false, chop, bits == 64 ? ~(u64)0 : ((u64)1 << bits) - 1);
}

u64 soft_saturate(struct cpu *c, u64 v, struct format f, unsigned bits, bool is_signed, bool chop)
{
	struct num n = unpack(c, v, f);
	u64 lowest = is_signed ? (u64)1 << (bits - 1) : 0, highest = ((u64)2 << (bits - 1)) - 1 - lowest;

	return to_integer(c, n, bits, is_signed, chop, n.class >= QNAN ? 0 : n.sign ? lowest : highest);
}

u64 soft_from_uint(struct cpu *c, u64 v, struct format f) { return v ? pack_sum(c, false, 63, (u128)v << 64, f) : 0; }
u64 soft_from_int(struct cpu *c, s64 v, struct format f)
{
	u64 m = v < 0 ? 0 - (u64)v : (u64)v;

	return v ? pack_sum(c, v < 0, 63, (u128)m << 64, f) : 0;
}

/* A number in another format; of a NaN, the high bits of its fraction. */
u64 soft_convert(struct cpu *c, u64 v, struct format from, struct format to)
{
	struct num n = unpack(c, v, from);
	u64 s = n.sign ? to.sign : 0, frac = v & (quiet(from) - 1);

	if (n.class >= QNAN) {
		if (n.class == SNAN)
			flag(c, MXCSR_IE);
		return s | infinity(to) | quiet(to) |
		       (to.frac_bits > from.frac_bits ? frac << (to.frac_bits - from.frac_bits)
						      : frac >> (from.frac_bits - to.frac_bits));
	}
	denormals(c, n, n);
	return n.class == ZERO       ? s
	       : n.class == INFINITE ? s | infinity(to)
				     : pack(c, n.sign, n.exp, (u128)n.sig << 64, to);
}

#if !defined __x86_64__ || defined VCPU_SOFT_FP

static u64 predicate_mask(struct cpu *c, u64 a, u64 b, struct format f, u8 predicate)
{
	int r = soft_compare(c, a, b, f, predicate & 3 && (predicate & 3) != 3);
	bool hit = (predicate & 3) == 0   ? r == EQUAL
		   : (predicate & 3) == 1 ? r == LESS
		   : (predicate & 3) == 2 ? r == LESS || r == EQUAL
					  : r == UNORDERED;

	return hit != !!(predicate & 4) ? ~(u64)0 : 0;
}

/* ---- lanes ---- */

static vec each32(struct cpu *c, vec a, vec b, soft_fn *fn, unsigned lanes)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (unsigned i = 0; i < lanes; i++)
		x.d[i] = (u32)fn(c, x.d[i], y.d[i], f32);
	return vec_of(x);
}

static vec each64(struct cpu *c, vec a, vec b, soft_fn *fn, unsigned lanes)
{
	for (unsigned i = 0; i < lanes; i++)
		a[i] = fn(c, a[i], b[i], f64);
	return a;
}

#define SOFT(op) \
	vec vec_##op##ps(struct cpu *c, vec a, vec b) { return each32(c, a, b, soft_##op, 4); } \
	vec vec_##op##ss(struct cpu *c, vec a, vec b) { return each32(c, a, b, soft_##op, 1); } \
	vec vec_##op##pd(struct cpu *c, vec a, vec b) { return each64(c, a, b, soft_##op, 2); } \
	vec vec_##op##sd(struct cpu *c, vec a, vec b) { return each64(c, a, b, soft_##op, 1); }
SOFT(add)
SOFT(sub)
SOFT(mul)
SOFT(div)
SOFT(min)
SOFT(max)
SOFT(sqrt)

static vec cmp32(struct cpu *c, vec a, vec b, u8 predicate, unsigned lanes)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (unsigned i = 0; i < lanes; i++)
		x.d[i] = (u32)predicate_mask(c, x.d[i], y.d[i], f32, predicate);
	return vec_of(x);
}

static vec cmp64(struct cpu *c, vec a, vec b, u8 predicate, unsigned lanes)
{
	for (unsigned i = 0; i < lanes; i++)
		a[i] = predicate_mask(c, a[i], b[i], f64, predicate);
	return a;
}

vec vec_cmpps(struct cpu *c, vec a, vec b, u8 predicate) { return cmp32(c, a, b, predicate, 4); }
vec vec_cmpss(struct cpu *c, vec a, vec b, u8 predicate) { return cmp32(c, a, b, predicate, 1); }
vec vec_cmppd(struct cpu *c, vec a, vec b, u8 predicate) { return cmp64(c, a, b, predicate, 2); }
vec vec_cmpsd(struct cpu *c, vec a, vec b, u8 predicate) { return cmp64(c, a, b, predicate, 1); }

static void set(int r, u8 *zf, u8 *pf, u8 *cf)
{
	*zf = r == EQUAL || r == UNORDERED;
	*pf = r == UNORDERED;
	*cf = r == LESS || r == UNORDERED;
}

void vec_ucomiss(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf)
{
	set(soft_compare(c, (u32)a[0], (u32)b[0], f32, false), zf, pf, cf);
}
void vec_ucomisd(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf)
{
	set(soft_compare(c, a[0], b[0], f64, false), zf, pf, cf);
}
void vec_comiss(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf)
{
	set(soft_compare(c, (u32)a[0], (u32)b[0], f32, true), zf, pf, cf);
}
void vec_comisd(struct cpu *c, vec a, vec b, u8 *zf, u8 *pf, u8 *cf)
{
	set(soft_compare(c, a[0], b[0], f64, true), zf, pf, cf);
}

u32 vec_cvtss2si32(struct cpu *c, vec b) { return (u32)soft_to_int(c, (u32)b[0], f32, 32, false); }
u32 vec_cvttss2si32(struct cpu *c, vec b) { return (u32)soft_to_int(c, (u32)b[0], f32, 32, true); }
u32 vec_cvtsd2si32(struct cpu *c, vec b) { return (u32)soft_to_int(c, b[0], f64, 32, false); }
u32 vec_cvttsd2si32(struct cpu *c, vec b) { return (u32)soft_to_int(c, b[0], f64, 32, true); }
u64 vec_cvtss2si64(struct cpu *c, vec b) { return soft_to_int(c, (u32)b[0], f32, 64, false); }
u64 vec_cvttss2si64(struct cpu *c, vec b) { return soft_to_int(c, (u32)b[0], f32, 64, true); }
u64 vec_cvtsd2si64(struct cpu *c, vec b) { return soft_to_int(c, b[0], f64, 64, false); }
u64 vec_cvttsd2si64(struct cpu *c, vec b) { return soft_to_int(c, b[0], f64, 64, true); }

vec vec_cvtsi2ss32(struct cpu *c, vec a, u32 v) { return vec_merge32(a, (vec){ soft_from_int(c, (s32)v, f32), 0 }); }
vec vec_cvtsi2ss64(struct cpu *c, vec a, u64 v) { return vec_merge32(a, (vec){ soft_from_int(c, (s64)v, f32), 0 }); }
vec vec_cvtsi2sd32(struct cpu *c, vec a, u32 v) { return (vec){ soft_from_int(c, (s32)v, f64), a[1] }; }
vec vec_cvtsi2sd64(struct cpu *c, vec a, u64 v) { return (vec){ soft_from_int(c, (s64)v, f64), a[1] }; }

vec vec_cvtss2sd(struct cpu *c, vec a, vec b) { return (vec){ soft_convert(c, (u32)b[0], f32, f64), a[1] }; }
vec vec_cvtsd2ss(struct cpu *c, vec a, vec b) { return vec_merge32(a, (vec){ soft_convert(c, b[0], f64, f32), 0 }); }

vec vec_cvtps2pd(struct cpu *c, vec a, vec b)
{
	u64 low = soft_convert(c, (u32)b[0], f32, f64);

	(void)a;
	return (vec){ low, soft_convert(c, b[0] >> 32, f32, f64) };
}

vec vec_cvtpd2ps(struct cpu *c, vec a, vec b)
{
	u64 low = soft_convert(c, b[0], f64, f32);

	(void)a;
	return (vec){ low | soft_convert(c, b[1], f64, f32) << 32, 0 };
}

vec vec_cvtdq2ps(struct cpu *c, vec a, vec b)
{
	union xmm y = vec_lanes(b);

	(void)a;
	for (unsigned i = 0; i < 4; i++)
		y.d[i] = (u32)soft_from_int(c, (s32)y.d[i], f32);
	return vec_of(y);
}

static vec floats_to_ints(struct cpu *c, vec b, bool chop)
{
	union xmm y = vec_lanes(b);

	for (unsigned i = 0; i < 4; i++)
		y.d[i] = (u32)soft_to_int(c, y.d[i], f32, 32, chop);
	return vec_of(y);
}

static vec doubles_to_ints(struct cpu *c, vec b, bool chop)
{
	u64 low = (u32)soft_to_int(c, b[0], f64, 32, chop);

	return (vec){ low | soft_to_int(c, b[1], f64, 32, chop) << 32, 0 };
}

vec vec_cvtps2dq(struct cpu *c, vec a, vec b) { (void)a; return floats_to_ints(c, b, false); }
vec vec_cvttps2dq(struct cpu *c, vec a, vec b) { (void)a; return floats_to_ints(c, b, true); }
vec vec_cvtpd2dq(struct cpu *c, vec a, vec b) { (void)a; return doubles_to_ints(c, b, false); }
vec vec_cvttpd2dq(struct cpu *c, vec a, vec b) { (void)a; return doubles_to_ints(c, b, true); }

#endif
