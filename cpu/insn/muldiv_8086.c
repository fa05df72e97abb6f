/* SPDX-License-Identifier: MIT */
/* MUL, IMUL, DIV, IDIV of an 8086: a bit at a time, as its microcode has them, since the flags, which the manual leaves
 * undefined, are those of the last addition or subtraction that was asked for them. tests/silicon/vectors compares them
 * with a real one. */
#include "cpu/insn/shift.h"

/* CF = OF = whether the product needs its upper half. The others are of a look at it: as it is, or, signed, with the
 * lower half's sign added, which is 0 where it is not needed. */
static void product_flags(struct cpu *c, u64 low, u64 high, unsigned size, bool is_signed)
{
	u64 sign = is_signed ? bit(low, 8 * size - 1) : 0;

	set_flags_sum(c, high, 0, high + sign, size, false);
	c->cv = (u64)(trim(high + sign, size) != 0) << 63;
}

static bool multiply(struct cpu *c, const struct op *o, unsigned size, bool is_signed)
{
	u64 a = reg_get(c, 8 * RAX, size), b, low, high;
	s64 product;

	if (!rm_load(c, o, o->dst, size, &b))
		return false;
	product = is_signed ? (s64)extend(a, size) * (s64)extend(b, size) : (s64)(a * b);
	if (is_signed && o->rep) /* a REP turns the sign that the microcode keeps */
		product = -product;
	low = trim((u64)product, size);
	high = trim((u64)(product >> (8 * size)), size);
	reg_set(c, 8 * RAX, 2, size == 1 ? high << 8 | low : low);
	if (size == 2)
		reg_set(c, 8 * RDX, 2, high);
	product_flags(c, low, high, size, is_signed);
	return true;
}

/* *HIGH:*LOW by BY, unsigned: *LOW becomes the quotient, *HIGH the rest. The quotient is made as its complement; what
 * is not subtracted is a 1. False: it does not fit. */
static bool divide_bits(struct cpu *c, u64 *high, u64 *low, u64 by, unsigned size)
{
	const unsigned top = 8 * size - 1;
	u64 carry, out;

	set_flags_sum(c, *high, by, *high - by, size, true);
	if (*high >= by)
		return false;
	carry = 1;
	for (unsigned i = 0; i <= top; i++) {
		out = bit(*low, top);
		*low = trim(*low << 1 | carry, size);
		carry = bit(*high, top);
		*high = trim(*high << 1 | out, size);
		if (!carry) { /* else it is surely large enough, and no flags are asked for */
			carry = *high < by;
			set_flags_sum(c, *high, by, *high - by, size, true);
			if (carry)
				continue;
		}
		carry = 0;
		*high = trim(*high - by, size);
	}
	*low = trim(~(*low << 1 | carry), size);
	set_carry(c, !bit(*low, top));
	return true;
}

static u64 negative(u64 v, unsigned size) { return trim(0 - v, size); }

/* By magnitudes. A quotient with its top bit set does not fit, not even the most negative one. */
static bool divide_signed(struct cpu *c, const struct op *o, u64 *high, u64 *low, u64 by, unsigned size)
{
	const unsigned top = 8 * size - 1;
	bool minus = bit(*high, top), by_minus = bit(by, top);

	if (minus) {
		*low = negative(*low, size);
		*high = trim(~*high + !*low, size);
	}
	if (!divide_bits(c, high, low, by_minus ? negative(by, size) : by, size) || bit(*low, top))
		return false;
	c->cv = 0;
	if (minus)
		*high = negative(*high, size);
	if (minus ^ by_minus ^ (o->rep != 0)) /* as with IMUL */
		*low = negative(*low, size);
	return true;
}

static bool divide(struct cpu *c, const struct op *o, unsigned size, bool is_signed)
{
	u64 by, low = reg_get(c, 8 * RAX, size), high = size == 1 ? REG8(8 * RAX + 1) : REG16(8 * RDX);

	if (!rm_load(c, o, o->dst, size, &by))
		return false;
	if (!(is_signed ? divide_signed(c, o, &high, &low, by, size) : divide_bits(c, &high, &low, by, size)))
		return fault(c, VEC_DE);
	reg_set(c, 8 * RAX, 2, size == 1 ? high << 8 | low : low);
	if (size == 2)
		reg_set(c, 8 * RDX, 2, high);
	return true;
}

BODY(mul) { return multiply(c, o, o->osize, false); }
BODY(imul) { return multiply(c, o, o->osize, true); }
BODY(div) { return divide(c, o, o->osize, false); }
BODY(idiv) { return divide(c, o, o->osize, true); }
BODY_HANDLER(mul)
BODY_HANDLER(imul)
BODY_HANDLER(div)
BODY_HANDLER(idiv)

void gen_muldiv_8086(const struct dec *d, struct op *o)
{
	static handler *const forms[4] = { h_mul, h_imul, h_div, h_idiv };

	o->osize = dec_size(d, 0) & 15;
	o->run = forms[d->modrm >> 3 & 3];
}
