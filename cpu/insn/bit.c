/* SPDX-License-Identifier: MIT */
/* Bit tests and scans, BMI1, BMI2 and ADX. */
#include "cpu/insn/alu.h"

/* ZF and SF from R, CF as given, OF 0; AF and PF, which the manual leaves undefined, 0 as Intel's processors have them.
 * */
static void set_scan(struct cpu *c, u64 r, bool cf, unsigned size)
{
	c->res = extend(r, size);
	c->cv = cf ? (u64)3 << 62 : 0;
	c->fix = __builtin_parity(r & 0xff) ? 0 : FL_P;
}

/* ---- BT BTS BTR BTC. Only CF changes: the manual leaves OF SF AF PF undefined, and Intel's processors leave them
 * alone. ---- */

enum test { LOOK, SET, CLEAR, FLIP };

ALWAYS_INLINE u64 change(enum test what, u64 v, unsigned n)
{
	u64 mask = (u64)1 << n;

	return what == SET ? v | mask : what == CLEAR ? v & ~mask : what == FLIP ? v ^ mask : v;
}

/* A register, or memory with an immediate: the bit number wraps in the operand. A register as bit number reaches any
 * bit from the operand's address on, 2^(width - 1) to either side (SDM vol. 2, 3.1.1.9). */
ALWAYS_INLINE bool test_bit(struct cpu *c, const struct op *o, enum test what, bool imm)
{
	const unsigned size = o->osize, width = 8 * size;
	u64 number = imm ? (u64)o->imm : reg_get(c, o->src, size), v, linear;
	unsigned n = number & (width - 1);

	if (!o->mem) {
		v = reg_get(c, o->dst, size);
		set_carry(c, v >> n & 1);
		if (what != LOOK)
			reg_set(c, o->dst, size, change(what, v, n));
		return true;
	}
	if (imm) {
		if (!(what == LOOK ? op_load(c, o, size, &v) : op_load_rmw(c, o, size, &v)))
			return false;
		set_carry(c, v >> n & 1);
		return what == LOOK || op_store(c, o, size, change(what, v, n));
	}
	number = (u64)((s64)extend(number, size) >> (size == 2 ? 4 : size == 4 ? 5 : 6)) * size;
	if (!data_linear(c, o->seg, (op_offset(c, o) + number) & op_amask(o), size, what != LOOK, &linear))
		return false;
	if (what != LOOK && !mem_check_write(c, linear, size))
		return false;
	if (!mem_read(c, linear, size, &v))
		return false;
	set_carry(c, v >> n & 1);
	return what == LOOK || mem_write(c, linear, size, change(what, v, n));
}

#define BIT_TEST(name, NAME) \
	BODY(name##_r) { return test_bit(c, o, NAME, false); } \
	BODY(name##_i) { return test_bit(c, o, NAME, true); } \
	BODY_HANDLER(name##_r) \
	BODY_HANDLER(name##_i) \
	GEN(name) { o->run = dec_kind(d, 1) == OPK_I ? h_##name##_i : h_##name##_r; }
BIT_TEST(bt, LOOK)
BIT_TEST(bts, SET)
BIT_TEST(btr, CLEAR)
BIT_TEST(btc, FLIP)

/* ---- scans and counts ---- */

/* A source of 0 leaves the destination as it was (the manual: undefined; every processor does so), even its upper half.
 * ZF tells of the source; of the others, which the manual leaves undefined, PF tells of the bit's number, and the rest
 * is 0. */
ALWAYS_INLINE bool scan(struct cpu *c, const struct op *o, bool reverse)
{
	const unsigned size = o->osize;
	u64 v;
	unsigned n = 0;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	if (v) {
		n = (unsigned)(reverse ? 63 - __builtin_clzll(v) : __builtin_ctzll(v));
		reg_set(c, o->dst, size, n);
	}
	cpu_set_arith(c, (v ? 0 : FL_Z) | (__builtin_parity(n) ? 0 : FL_P));
	return true;
}

BODY(bsf) { return scan(c, o, false); }
BODY(bsr) { return scan(c, o, true); }

BODY(tzcnt)
{
	const unsigned size = o->osize;
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	set_scan(c, v ? (u64)__builtin_ctzll(v) : 8 * size, !v, size);
	reg_set(c, o->dst, size, c->res);
	return true;
}

BODY(lzcnt)
{
	const unsigned size = o->osize;
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	set_scan(c, v ? (u64)__builtin_clzll(v) - (64 - 8 * size) : 8 * size, !v, size);
	reg_set(c, o->dst, size, c->res);
	return true;
}

BODY(popcnt)
{
	u64 v;

	if (!rm_load(c, o, o->src, o->osize, &v))
		return false;
	cpu_set_arith(c, v ? 0 : FL_Z);
	reg_set(c, o->dst, o->osize, (u64)__builtin_popcountll(v));
	return true;
}

/* ---- BMI: 32 or 64 bits; where a source is vvvv it is o->third ---- */

BODY(andn)
{
	u64 v;

	if (!rm_load(c, o, o->src, o->osize, &v))
		return false;
	v &= ~reg_get(c, o->third, o->osize);
	reg_set(c, o->dst, o->osize, v);
	set_scan(c, v, false, o->osize);
	return true;
}

/* The control: start in bits 7-0, length in bits 15-8. */
BODY(bextr)
{
	u64 v, control = reg_get(c, o->third, o->osize);
	unsigned start = control & 0xff, len = control >> 8 & 0xff;

	if (!rm_load(c, o, o->src, o->osize, &v))
		return false;
	v = start < 64 ? v >> start : 0;
	if (len < 64)
		v &= ((u64)1 << len) - 1;
	reg_set(c, o->dst, o->osize, v);
	set_scan(c, v, false, o->osize);
	c->fix ^= c->res >> 63 ? FL_S : 0; /* SF is undefined: 0 */
	return true;
}

/* The lowest set bit: reset it, mask up to it, isolate it. The destination is vvvv. */
enum lowest { RESET, MASK, ISOLATE };

ALWAYS_INLINE bool lowest(struct cpu *c, const struct op *o, enum lowest what)
{
	const unsigned size = o->osize;
	u64 v, r;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	r = trim(what == RESET ? v & (v - 1) : what == MASK ? v ^ (v - 1) : v & (0 - v), size);
	reg_set(c, o->third, size, r);
	set_scan(c, r, what == ISOLATE ? v != 0 : v == 0, size);
	return true;
}

BODY(blsr) { return lowest(c, o, RESET); }
BODY(blsmsk) { return lowest(c, o, MASK); }
BODY(blsi) { return lowest(c, o, ISOLATE); }

/* TBM (APM vol. 3): what follows from a number and the one above or below it. The destination is vvvv. */
enum trailing { BLCFILL, BLCI, BLCIC, BLCMSK, BLCS, T1MSKC, BLSFILL, BLSIC, TZMSK };

ALWAYS_INLINE bool trailing(struct cpu *c, const struct op *o, enum trailing what)
{
	const unsigned size = o->osize;
	u64 v, up, down, r;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	up = v + 1;
	down = v - 1;
	switch (what) {
	case BLCFILL: r = v & up; break;
	case BLCI: r = v | ~up; break;
	case BLCIC: r = ~v & up; break;
	case BLCMSK: r = v ^ up; break;
	case BLCS: r = v | up; break;
	case T1MSKC: r = ~v | up; break;
	case BLSFILL: r = v | down; break;
	case BLSIC: r = ~v | down; break;
	default: r = ~v & down; break;
	}
	r = trim(r, size);
	reg_set(c, o->third, size, r);
	set_scan(c, r, what <= T1MSKC ? trim(up, size) == 0 : v == 0, size);
	return true;
}
#define TRAILING(name, which) BODY(name) { return trailing(c, o, which); }
TRAILING(blcfill, BLCFILL)
TRAILING(blci, BLCI)
TRAILING(blcic, BLCIC)
TRAILING(blcmsk, BLCMSK)
TRAILING(blcs, BLCS)
TRAILING(t1mskc, T1MSKC)
TRAILING(blsfill, BLSFILL)
TRAILING(blsic, BLSIC)
TRAILING(tzmsk, TZMSK)

/* imm8: start; third: length. */
BODY(bextr_imm)
{
	u64 v;

	if (!rm_load(c, o, o->src, o->osize, &v))
		return false;
	v = o->imm8 < 64 ? v >> o->imm8 : 0;
	if (o->third < 64)
		v &= ((u64)1 << o->third) - 1;
	reg_set(c, o->dst, o->osize, v);
	set_scan(c, v, false, o->osize);
	c->fix ^= c->res >> 63 ? FL_S : 0;
	return true;
}
BODY_HANDLER(bextr_imm)
GEN(bextr_imm)
{
	o->osize = dec_size(d, 0) & 15;
	o->third = (u8)(d->imm >> 8);
	o->run = h_bextr_imm;
}

BODY(bzhi)
{
	const unsigned size = o->osize;
	unsigned n = (u8)reg_get(c, o->third, size);
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	if (n < 8 * size)
		v &= ((u64)1 << n) - 1;
	reg_set(c, o->dst, size, v);
	set_scan(c, v, n >= 8 * size, size);
	return true;
}

/* The r/m operand is the mask. */
BODY(pdep)
{
	u64 mask, from = reg_get(c, o->third, o->osize), r = 0;

	if (!rm_load(c, o, o->src, o->osize, &mask))
		return false;
	for (; mask; mask &= mask - 1, from >>= 1)
		if (from & 1)
			r |= mask & (0 - mask);
	reg_set(c, o->dst, o->osize, r);
	return true;
}

BODY(pext)
{
	u64 mask, from = reg_get(c, o->third, o->osize), r = 0;

	if (!rm_load(c, o, o->src, o->osize, &mask))
		return false;
	for (unsigned n = 0; mask; mask &= mask - 1, n++)
		r |= (from >> __builtin_ctzll(mask) & 1) << n;
	reg_set(c, o->dst, o->osize, r);
	return true;
}

/* ADCX adds with CF alone, ADOX with OF alone. */
ALWAYS_INLINE bool add_with(struct cpu *c, const struct op *o, bool overflow)
{
	const unsigned size = o->osize;
	u64 a = reg_get(c, o->dst, size), b;
	unsigned __int128 sum;
	bool carry;

	if (!rm_load(c, o, o->src, size, &b))
		return false;
	sum = (unsigned __int128)a + b + (overflow ? flag_o(c) : flag_c(c));
	reg_set(c, o->dst, size, (u64)sum);
	carry = sum >> (8 * size) & 1;
	if (!overflow)
		set_carry(c, carry);
	else if (flag_o(c) != carry)
		c->cv ^= (u64)1 << 62;
	return true;
}

BODY(adcx) { return add_with(c, o, false); }
BODY(adox) { return add_with(c, o, true); }

/* Where 66h is part of the opcode, or in a 16-bit segment, the operand size is still 32 or 64 bits: it is the
 * destination's. */
#define GEN_WIDE(name) BODY_HANDLER(name) GEN(name) { o->osize = dec_size(d, 0) & 15; o->run = h_##name; }
GEN_BODY(bsf)
GEN_BODY(bsr)
GEN_BODY(tzcnt)
GEN_BODY(lzcnt)
GEN_BODY(popcnt)
GEN_WIDE(andn)
GEN_WIDE(bextr)
GEN_WIDE(blsr)
GEN_WIDE(blsmsk)
GEN_WIDE(blsi)
GEN_WIDE(bzhi)
GEN_WIDE(blcfill)
GEN_WIDE(blci)
GEN_WIDE(blcic)
GEN_WIDE(blcmsk)
GEN_WIDE(blcs)
GEN_WIDE(t1mskc)
GEN_WIDE(blsfill)
GEN_WIDE(blsic)
GEN_WIDE(tzmsk)
GEN_WIDE(pdep)
GEN_WIDE(pext)
GEN_WIDE(adcx)
GEN_WIDE(adox)
