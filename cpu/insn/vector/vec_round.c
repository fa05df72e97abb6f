/* SPDX-License-Identifier: MIT */
/* ROUNDxx (SSE4.1, AVX): IMM bit 3 no PE, bit 2 rounding as MXCSR says, else as bits 1-0: nearest even, down, up, to
 * zero. */
#include "cpu/insn/vector/vector.h"

/* A finite number's magnitude (FRAC_BITS of fraction, the exponent above) rounded to an integer. */
static u64 round_magnitude(u64 v, bool negative, unsigned frac_bits, unsigned bias, unsigned rc, bool *inexact)
{
	u64 exp = v >> frac_bits, unit, low;
	bool up = (rc == 1 && negative) || (rc == 2 && !negative);

	if (!v || exp >= bias + frac_bits)
		return v;
	if (exp < bias) {
		*inexact = true;
		if (rc == 0)
			up = v > (u64)(bias - 1) << frac_bits;
		return up ? (u64)bias << frac_bits : 0;
	}
	unit = (u64)1 << (frac_bits - (exp - bias));
	low = v & (unit - 1);
	if (!low)
		return v;
	*inexact = true;
	if (rc == 0)
		/* 1.x: the exponent is odd like the 1 that is not stored */
		up = low > unit / 2 || (low == unit / 2 && (v & unit));
	return v - low + (up ? unit : 0);
}

static u64 round_lane(u64 x, bool wide, u32 mxcsr, u8 imm, u32 *flags)
{
	unsigned frac_bits = wide ? 52 : 23, bias = wide ? 1023 : 127;
	u64 sign = wide ? (u64)1 << 63 : 0x80000000, infinity = (u64)(2 * bias + 1) << frac_bits, v = x & (sign - 1);
	bool inexact = false;

	if (v > infinity) {
		u64 quiet = (u64)1 << (frac_bits - 1);

		if (!(v & quiet))
			*flags |= MXCSR_IE;
		return x | quiet;
	}
	if (v >> frac_bits == 0 && (mxcsr & MXCSR_DAZ))
		v = 0;
	v = v == infinity
		    ? v
		    : round_magnitude(v, x & sign, frac_bits, bias, imm & 4 ? mxcsr >> 13 & 3 : imm & 3, &inexact);
	if (inexact && !(imm & 8))
		*flags |= MXCSR_PE;
	return v | (x & sign);
}

/* LANES of B, rounded; the others of A. */
ALWAYS_INLINE vec round_lanes(const struct cpu *c, vec a, vec b, u8 imm, bool wide, unsigned lanes, u32 *flags)
{
	unsigned size = wide ? 8 : 4;

	for (unsigned i = 0; i < lanes; i++)
		a = vec_insert(a, i, size, round_lane(vec_extract(b, i, size), wide, c->mxcsr, imm, flags));
	return a;
}

ALWAYS_INLINE bool round_body(struct cpu *c, const struct op *o, bool wide, enum lanes lanes)
{
	vec b[2], r[2];
	u32 flags = 0;

	if (!vec_operand(c, o, vec_reads(lanes, wide ? 64 : 32, o->vlen), b))
		return false;
	for (unsigned part = 0; part < vec_parts(o); part++)
		r[part] = round_lanes(c, vec_first(c, o, part), b[part], o->imm8, wide, lanes == ONE ? 1 : wide ? 2 : 4,
			&flags);
	if (!sse_raise(c, flags))
		return false;
	vec_result(c, o, r);
	return true;
}

BODY(roundps) { return round_body(c, o, false, PACKED); }
VEC_OWN(roundps)
BODY(roundpd) { return round_body(c, o, true, PACKED); }
VEC_OWN(roundpd)
BODY(roundss) { return round_body(c, o, false, ONE); }
VEC_OWN_ONE(roundss)
BODY(roundsd) { return round_body(c, o, true, ONE); }
VEC_OWN_ONE(roundsd)
