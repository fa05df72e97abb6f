/* SPDX-License-Identifier: MIT */
/* SHA-512, SM3 and SM4 with VEX (FIPS 180-4, GB/T 32905, GB/T 32907; SDM vol. 2, at each). Words that are consumed
 * first have the lowest element; in a state it is the other way round. */
#include "cpu/insn/vector/galois.h"

static u64 ror64(u64 x, unsigned n) { return x >> n | x << (64 - n); }
static u32 rol(u32 x, unsigned n) { return n & 31 ? x << (n & 31) | x >> (32 - (n & 31)) : x; }

/* ---- SHA-512 ---- */

static void ymm_get(const struct cpu *c, unsigned n, u64 q[4]) { memcpy(q, c->v[n].q, 32); }
static void ymm_put(struct cpu *c, const struct op *o, const u64 q[4])
{
	ymm_set(c, o, (vec){ q[0], q[1] }, (vec){ q[2], q[3] });
}

/* The message schedule: what of the four words depends on the next one each. */
BODY(sha512msg1)
{
	u64 w[5];

	ymm_get(c, o->dst, w);
	w[4] = c->v[o->src].q[0];
	for (unsigned i = 0; i < 4; i++)
		w[i] += ror64(w[i + 1], 1) ^ ror64(w[i + 1], 8) ^ w[i + 1] >> 7;
	ymm_put(c, o, w);
	return true;
}

/* And what depends on those two before, of which the last two are new themselves. */
BODY(sha512msg2)
{
	u64 w[4], last[4];

	ymm_get(c, o->dst, w);
	ymm_get(c, o->src, last);
	for (unsigned i = 0; i < 4; i++) {
		u64 x = i < 2 ? last[2 + i] : w[i - 2];

		w[i] += ror64(x, 19) ^ ror64(x, 61) ^ x >> 6;
	}
	ymm_put(c, o, w);
	return true;
}

/* Two rounds: the state is A B E F in the first source, C D G H in the destination. */
BODY(sha512rnds2)
{
	u64 x[4], y[4], wk[2] = { c->v[o->src].q[0], c->v[o->src].q[1] };

	ymm_get(c, o->third, x);
	ymm_get(c, o->dst, y);
	for (unsigned i = 0; i < 2; i++) {
		u64 A = x[3], B = x[2], C = y[3], D = y[2], E = x[1], F = x[0], G = y[1], H = y[0];
		u64 t = H + (ror64(E, 14) ^ ror64(E, 18) ^ ror64(E, 41)) + ((E & F) ^ (~E & G)) + wk[i];

		memcpy(y, (u64[]){ G, F, C, B }, sizeof y);
		x[3] = t + (ror64(A, 28) ^ ror64(A, 34) ^ ror64(A, 39)) + ((A & B) ^ (A & C) ^ (B & C));
		x[2] = A;
		x[1] = D + t;
		x[0] = E;
	}
	ymm_put(c, o, x);
	return true;
}

VEC_OWN_VEX(sha512msg1)
VEC_OWN_VEX(sha512msg2)
VEC_OWN_VEX(sha512rnds2)

/* ---- SM3 ---- */

static u32 p0(u32 x) { return x ^ rol(x, 9) ^ rol(x, 17); }
static u32 p1(u32 x) { return x ^ rol(x, 15) ^ rol(x, 23); }

/* Words 7 to 10 in the destination, 13 to 15 in the first source, 0 to 3 in the second. */
BODY(sm3msg1)
{
	union xmm d = vec_lanes(xmm_get(c, o->dst)), a = vec_lanes(xmm_get(c, o->third)), b;
	vec source;

	if (!vec_source(c, o, 16, &source))
		return false;
	b = vec_lanes(source);
	for (unsigned i = 0; i < 4; i++)
		d.d[i] = p1(d.d[i] ^ b.d[i] ^ (i < 3 ? rol(a.d[i], 15) : 0));
	ymm_set(c, o, vec_of(d), vec_zero);
	return true;
}

/* What MSG1 made in the destination, words 3 to 6 in the first source, 10 to 13 in the second. Of word 19, word 16
 * comes in late. */
BODY(sm3msg2)
{
	union xmm d = vec_lanes(xmm_get(c, o->dst)), a = vec_lanes(xmm_get(c, o->third)), b;
	vec source;

	if (!vec_source(c, o, 16, &source))
		return false;
	b = vec_lanes(source);
	for (unsigned i = 0; i < 4; i++)
		d.d[i] ^= rol(a.d[i], 7) ^ b.d[i];
	d.d[3] ^= rol(d.d[0], 6) ^ rol(d.d[0], 15) ^ rol(d.d[0], 30);
	ymm_set(c, o, vec_of(d), vec_zero);
	return true;
}

/* Two rounds from IMM on: the state is A B E F in the first source, C D G H in the destination, of which C D G H are
 * not rotated yet; words 0, 1, 4 and 5 in the second source. */
BODY(sm3rnds2)
{
	union xmm x = vec_lanes(xmm_get(c, o->third)), y = vec_lanes(xmm_get(c, o->dst)), w;
	unsigned round = o->imm8 & 0x3e;
	u32 constant = rol(round < 16 ? 0x79cc4519 : 0x7a879d8a, round);
	vec source;

	if (!vec_source(c, o, 16, &source))
		return false;
	w = vec_lanes(source);
	y = (union xmm){ .d = { rol(y.d[0], 19), rol(y.d[1], 19), rol(y.d[2], 9), rol(y.d[3], 9) } };
	for (unsigned i = 0; i < 2; i++) {
		u32 A = x.d[3], B = x.d[2], C = y.d[3], D = y.d[2], E = x.d[1], F = x.d[0], G = y.d[1], H = y.d[0];
		u32 s1 = rol(rol(A, 12) + E + constant, 7), s2 = s1 ^ rol(A, 12);
		u32 ff = round < 16 ? A ^ B ^ C : (A & B) | (A & C) | (B & C);
		u32 gg = round < 16 ? E ^ F ^ G : (E & F) | (~E & G);

		y = (union xmm){ .d = { G, rol(F, 19), C, rol(B, 9) } };
		x = (union xmm){ .d = { E, p0(gg + H + s1 + w.d[i]), A, ff + D + s2 + (w.d[i] ^ w.d[i + 2]) } };
		constant = rol(constant, 1);
	}
	ymm_set(c, o, vec_of(x), vec_zero);
	return true;
}

VEC_OWN_VEX(sm3msg1)
VEC_OWN_VEX(sm3msg2)
VEC_OWN_VEX(sm3rnds2)

/* ---- SM4 ---- */

/* The S-box: an affine map, the inverse modulo x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1, and the affine map again. */
static u8 affine(u8 x)
{
	u8 r = 0xd3;

	for (unsigned i = 0; i < 8; i++)
		r ^= (u8)(__builtin_parity(x & (u8)(0xa7 << i | 0xa7 >> (8 - i))) << i);
	return r;
}

static u32 substitute(u32 x)
{
	u32 r = 0;

	for (unsigned i = 0; i < 32; i += 8)
		r |= (u32)affine(galois_inverse(affine((u8)(x >> i)), 0xf5)) << i;
	return r;
}

/* Four rounds, of the key schedule or of the cipher. */
static vec vec_sm4(vec a, vec b, bool key)
{
	union xmm x = vec_lanes(a), k = vec_lanes(b);

	for (unsigned i = 0; i < 4; i++) {
		u32 t = substitute(x.d[1] ^ x.d[2] ^ x.d[3] ^ k.d[i]);
		u32 l = key ? t ^ rol(t, 13) ^ rol(t, 23) : t ^ rol(t, 2) ^ rol(t, 10) ^ rol(t, 18) ^ rol(t, 24);

		x = (union xmm){ .d = { x.d[1], x.d[2], x.d[3], x.d[0] ^ l } };
	}
	return vec_of(x);
}

VEC(sm4key4,  32, PACKED, EXACT, VEX_ONLY, vec_sm4(a, b, true))
VEC(sm4rnds4, 32, PACKED, EXACT, VEX_ONLY, vec_sm4(a, b, false))
