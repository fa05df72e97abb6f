/* SPDX-License-Identifier: MIT */
/* Numbers of 8 bits (OCP 8-bit Floating Point Specification): E5M2, Intel's BF8, the upper half of an FP16; and E4M3,
 * Intel's HF8, whose one number with all bits set is a NaN, and which has no infinities. */
#ifndef CPU_FP8_H
#define CPU_FP8_H

#include "cpu/cpu.h"

enum fp8 { BF8, HF8 };

/* How FP16 becomes one: to the nearest, ties to even; or BIAS, 8 bits for those that are cut off, is added first. What
 * is too large becomes an infinity or HF8's NaN, or the largest number if SATURATES. */
struct fp8_rounding { bool saturates, biased; u8 bias; };

/* V without its low DROP bits. HF8's normal numbers lack 7 bits of FP16's, for which there are the upper 7 of the
 * bias. */
static inline unsigned fp8_round(unsigned v, unsigned drop, const struct fp8_rounding *how)
{
	unsigned nearest = (1u << (drop - 1)) - 1 + (v >> drop & 1);

	return (v + (!how->biased ? nearest : drop < 8 ? how->bias >> 1 : (unsigned)how->bias << (drop - 8))) >> drop;
}

static inline u8 fp8_from_half(u16 v, enum fp8 to, const struct fp8_rounding *how)
{
	const unsigned sign = v >> 8 & 0x80, number = v & 0x7fff, exp = number >> 10;
	const unsigned smallest = 15 - 6; /* exponent of a normal HF8 */
	const unsigned above = to == HF8 ? 0x7f : 0x7c; /* the largest number */
	unsigned r;

	if (number > 0x7c00)
		return (u8)(to == HF8 ? sign | 0x7f : v >> 8 | 2);
	if (number == 0x7c00)
		r = above;
	else if (to == BF8)
		r = fp8_round(number, 8, how);
	else if (exp >= smallest)
		r = fp8_round(number - ((smallest - 1) << 10), 7, how);
	else
		r = fp8_round((number & 0x3ff) | (exp ? 0x400 : 0), 7 + smallest - (exp ? exp : 1), how);
	if (r >= above)
		r = above - how->saturates;
	return (u8)(sign | r);
}

/* As FP16, which has all of them. */
static inline u16 fp8_to_half(u8 v, enum fp8 from)
{
	unsigned sign = (v & 0x80u) << 8, exp = v >> 3 & 15, frac = v & 7;

	if (from == BF8)
		return (u16)(v << 8);
	if ((v & 0x7f) == 0x7f)
		return (u16)(sign | 0x7e00);
	if (!exp && !frac)
		return (u16)sign;
	for (exp = exp ? exp + 8 : 9; v & 0x78 ? 0 : !(frac & 8); exp--)
		frac <<= 1;
	return (u16)(sign | exp << 10 | (frac & 7) << 7);
}

#endif
