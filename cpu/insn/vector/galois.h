/* SPDX-License-Identifier: MIT */
/* Bytes as elements of GF(2^8), polynomials over GF(2). MODULUS: the polynomial that they are modulo, without x^8. */
#ifndef CPU_GALOIS_H
#define CPU_GALOIS_H

#include "cpu/insn/vector/vector.h"

static inline u8 galois_multiply(u8 a, u8 b, u8 modulus)
{
	u8 r = 0;

	for (; b; b >>= 1, a = (u8)(a << 1 ^ (a & 0x80 ? modulus : 0)))
		if (b & 1)
			r ^= a;
	return r;
}

/* a^254; the inverse of 0 is 0. */
static inline u8 galois_inverse(u8 a, u8 modulus)
{
	u8 r = 1, power = a;

	for (unsigned i = 1; i < 8; i++) {
		power = galois_multiply(power, power, modulus);
		r = galois_multiply(r, power, modulus);
	}
	return r;
}

#endif
