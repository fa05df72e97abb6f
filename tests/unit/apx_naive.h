/* SPDX-License-Identifier: MIT */
/* What APX's integer instructions compute, by the SDM's pseudo-code, bit by bit. */
#ifndef TESTS_APX_NAIVE_H
#define TESTS_APX_NAIVE_H

#include <string.h>
#include "cpu/cpu.h"

struct result {
	u64 value;
	u32 flags, defined; /* OSZAPC: what they are, and which of them the SDM defines */
};

static u64 cut(u64 v, unsigned bits) { return bits == 64 ? v : v & (((u64)1 << bits) - 1); }
static unsigned bit_of(u64 v, unsigned n) { return v >> n & 1; }

/* ZF, SF, PF of V. */
static u32 flags_of(u64 v, unsigned bits)
{
	unsigned ones = 0;

	for (unsigned i = 0; i < 8; i++)
		ones += bit_of(v, i);
	return (cut(v, bits) ? 0 : FL_Z) | (bit_of(v, bits - 1) ? FL_S : 0) | (ones % 2 ? 0 : FL_P);
}

static struct result naive_sum(u64 a, u64 b, unsigned carry, unsigned bits, bool subtract)
{
	struct result r = { .defined = OSZAPC };
	unsigned before = 0;

	if (subtract) {
		b = ~b;
		carry = !carry;
	}
	for (unsigned i = 0; i < bits; i++) {
		unsigned sum = bit_of(a, i) + bit_of(b, i) + carry;

		before = carry;
		carry = sum >> 1;
		r.value |= (u64)(sum & 1) << i;
		if (i == 3 && carry != subtract)
			r.flags |= FL_A;
	}
	r.flags |= (carry != subtract ? FL_C : 0) | (carry != before ? FL_O : 0) | flags_of(r.value, bits);
	return r;
}

static struct result naive_logic(u64 v, unsigned bits)
{
	return (struct result){ cut(v, bits), flags_of(v, bits), OSZAPC & ~FL_A };
}

/* WHAT: the digit of the shifts' opcodes. */
static struct result naive_shift(unsigned what, u64 a, unsigned count, unsigned bits, u32 flags)
{
	struct result r = { cut(a, bits), flags & OSZAPC, OSZAPC };
	bool carry = flags & FL_C;
	const unsigned top = bits - 1;

	count &= bits == 64 ? 63 : 31;
	if (!count)
		return r;
	if ((what == 4 || what == 5 || what == 6) && count >= bits)
		r.defined &= ~FL_C;
	for (unsigned i = 0; i < (what == 2 || what == 3 ? count % (bits + 1) : count); i++) {
		const bool in = carry, high = bit_of(r.value, top), low = r.value & 1;
		const bool fills = what == 0 ? high : what == 1 ? low : what == 7 ? high : what < 4 ? in : false;
		const bool left = what == 0 || what == 2 || what == 4 || what == 6;

		carry = left ? high : low;
		r.value = left ? cut(r.value << 1 | fills, bits) : r.value >> 1 | (u64)fills << top;
	}
	r.flags = carry ? FL_C : 0;
	if (count == 1) /* of one step: what the top bit was, and is */
		r.flags |= (what == 1 || what == 3 ? bit_of(r.value, top) ^ bit_of(r.value, top - 1)
			    : what == 5            ? bit_of(a, top)
			    : what == 7            ? 0
						   : bit_of(r.value, top) ^ carry)
				   ? FL_O
				   : 0;
	else
		r.defined &= ~FL_O;
	if (what < 4) {
		r.flags |= flags & (OSZAPC & ~(FL_C | FL_O));
	} else {
		r.flags |= flags_of(r.value, bits);
		r.defined &= ~FL_A;
	}
	return r;
}

/* COUNT of SHLD or SHRD, at most the operand's bits. */
static struct result naive_double(bool left, u64 a, u64 b, unsigned count, unsigned bits, u32 flags)
{
	struct result r = { cut(a, bits), flags & OSZAPC, OSZAPC };

	count &= bits == 64 ? 63 : 31;
	if (!count)
		return r;
	r.flags = bit_of(a, left ? bits - count : count - 1) ? FL_C : 0;
	r.value = 0;
	for (unsigned i = 0; i < bits; i++) {
		unsigned from = left ? i + bits - count : i + count; /* of b:a and a:b, the lower half first */

		r.value |= (u64)(from < bits ? bit_of(left ? b : a, from) : bit_of(left ? a : b, from - bits)) << i;
	}
	r.flags |= flags_of(r.value, bits) | (bit_of(r.value ^ a, bits - 1) ? FL_O : 0);
	r.defined = OSZAPC & ~FL_A & ~(count == 1 ? 0u : (u32)FL_O);
	return r;
}

static s64 as_signed(u64 v, unsigned bits) { return (s64)(v << (64 - bits)) >> (64 - bits); }

static struct result naive_imul(u64 a, u64 b, unsigned bits)
{
	__int128 product = (__int128)as_signed(a, bits) * as_signed(b, bits);
	struct result r = { cut((u64)product, bits), 0, FL_C | FL_O };

	r.flags = product != as_signed(r.value, bits) ? FL_C | FL_O : 0;
	return r;
}

static struct result naive_count(char what, u64 a, unsigned bits)
{
	struct result r = { 0, 0, what == 'p' ? OSZAPC : FL_C | FL_Z };

	a = cut(a, bits);
	if (what == 'p')
		for (unsigned i = 0; i < bits; i++)
			r.value += bit_of(a, i);
	else
		while (r.value < bits && !bit_of(a, what == 't' ? (unsigned)r.value : bits - 1 - (unsigned)r.value))
			r.value++;
	r.flags = (what == 'p' ? !a : !r.value) ? FL_Z : 0;
	if (what != 'p' && !a)
		r.flags |= FL_C;
	return r;
}

static u64 naive_swap(u64 v, unsigned bits)
{
	u64 r = 0;

	for (unsigned i = 0; i < bits; i += 8)
		r |= (v >> i & 0xff) << (bits - 8 - i);
	return r;
}

/* SDM vol. 1, appendix B. */
static bool naive_condition(unsigned cc, u32 f)
{
	const bool of = f & FL_O, cf = f & FL_C, zf = f & FL_Z, sf = f & FL_S, pf = f & FL_P;
	const bool base[] = { of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of };

	return base[cc >> 1] != (cc & 1);
}

#endif
