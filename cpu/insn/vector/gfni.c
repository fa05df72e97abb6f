/* SPDX-License-Identifier: MIT */
/* Galois field instructions (SDM vol. 2, GF2P8xxx): bytes are polynomials over GF(2) modulo x^8 + x^4 + x^3 + x + 1. */
#include "cpu/insn/vector/galois.h"

enum { MODULUS = 0x1b };

/* M * X + IMM: bit i comes from row i, which is byte 7 - i of the matrix. */
static u8 affine(u64 m, u8 x, u8 imm)
{
	for (unsigned i = 0; i < 8; i++)
		imm ^= (u8)(__builtin_parityll(m >> 8 * (7 - i) & x) << i);
	return imm;
}

static vec vec_gf2p8mulb(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (unsigned i = 0; i < 16; i++)
		x.b[i] = galois_multiply(x.b[i], y.b[i], MODULUS);
	return vec_of(x);
}

static vec vec_gf2p8affineqb(vec a, vec b, u8 imm)
{
	union xmm x = vec_lanes(a);

	for (unsigned i = 0; i < 16; i++)
		x.b[i] = affine(b[i >> 3], x.b[i], imm);
	return vec_of(x);
}

static vec vec_gf2p8affineinvqb(vec a, vec b, u8 imm)
{
	union xmm x = vec_lanes(a);

	for (unsigned i = 0; i < 16; i++)
		x.b[i] = galois_inverse(x.b[i], MODULUS);
	return vec_gf2p8affineqb(vec_of(x), b, imm);
}

VEC(gf2p8mulb,        8,  PACKED, EXACT, SLOW, vec_gf2p8mulb(a, b))
VEC(gf2p8affineqb,    64, PACKED, EXACT, SLOW, vec_gf2p8affineqb(a, b, imm))
VEC(gf2p8affineinvqb, 64, PACKED, EXACT, SLOW, vec_gf2p8affineinvqb(a, b, imm))
