/* SPDX-License-Identifier: MIT */
/* SHA-1 and SHA-256 rounds and message schedules (FIPS 180-4; SDM vol. 2, at each). Element 3 holds the first of four
 * words, but in the schedules of SHA-256, where it is element 0. */
#include "cpu/insn/vector/vector.h"

static u32 rol(u32 x, unsigned n) { return x << n | x >> (32 - n); }
static u32 ror(u32 x, unsigned n) { return x >> n | x << (32 - n); }

/* ---- SHA-1 ---- */

static u32 mix(u32 b, u32 c, u32 d, unsigned quarter)
{
	return quarter == 0 ? (b & c) ^ (~b & d) : quarter == 2 ? (b & c) ^ (b & d) ^ (c & d) : b ^ c ^ d;
}

/* A: the state A B C D; B: four words, E added to the first; IMM: which twenty rounds. */
static vec vec_sha1rnds4(vec a, vec b, u8 imm)
{
	static const u32 constants[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	union xmm s = vec_lanes(a), w = vec_lanes(b);
	u32 e = 0;

	for (unsigned i = 4; i-- > 0;) {
		u32 sum = mix(s.d[2], s.d[1], s.d[0], imm & 3) + rol(s.d[3], 5) + w.d[i] + e + constants[imm & 3];

		e = s.d[0];
		s.d[0] = s.d[1];
		s.d[1] = rol(s.d[2], 30);
		s.d[2] = s.d[3];
		s.d[3] = sum;
	}
	return vec_of(s);
}

static vec vec_sha1nexte(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	y.d[3] += rol(x.d[3], 30);
	return vec_of(y);
}

static vec vec_sha1msg1(vec a, vec b) { return a ^ (vec){ b[1], a[0] }; }

static vec vec_sha1msg2(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	x.d[3] = rol(x.d[3] ^ y.d[2], 1);
	x.d[2] = rol(x.d[2] ^ y.d[1], 1);
	x.d[1] = rol(x.d[1] ^ y.d[0], 1);
	x.d[0] = rol(x.d[0] ^ x.d[3], 1);
	return vec_of(x);
}

VEC(sha1rnds4, 32, PACKED, EXACT, SSE_ONLY, vec_sha1rnds4(a, b, imm))
VEC(sha1nexte, 32, PACKED, EXACT, SSE_ONLY, vec_sha1nexte(a, b))
VEC(sha1msg1,  32, PACKED, EXACT, SSE_ONLY, vec_sha1msg1(a, b))
VEC(sha1msg2,  32, PACKED, EXACT, SSE_ONLY, vec_sha1msg2(a, b))

/* ---- SHA-256 ---- */

/* Two rounds: the state is A B E F in the source, C D G H in the destination; words with constants added in XMM0. */
BODY(sha256rnds2)
{
	vec source;
	union xmm x, y = vec_lanes(xmm_get(c, o->dst)), w = vec_lanes(xmm_get(c, 0));

	if (!vec_source(c, o, 16, &source))
		return false;
	x = vec_lanes(source);
	for (unsigned i = 0; i < 2; i++) {
		u32 A = x.d[3], B = x.d[2], C = y.d[3], D = y.d[2], E = x.d[1], F = x.d[0], G = y.d[1], H = y.d[0];
		u32 t = H + (ror(E, 6) ^ ror(E, 11) ^ ror(E, 25)) + ((E & F) ^ (~E & G)) + w.d[i];

		y = (union xmm){ .d = { G, F, C, B } };
		x.d[3] = t + (ror(A, 2) ^ ror(A, 13) ^ ror(A, 22)) + ((A & B) ^ (A & C) ^ (B & C));
		x.d[2] = A;
		x.d[1] = D + t;
		x.d[0] = E;
	}
	xmm_set(c, o->dst, vec_of(x));
	return true;
}
GEN_BODY(sha256rnds2)

static vec vec_sha256msg1(vec a, vec b)
{
	union xmm x = vec_lanes(a);
	u32 next[4] = { x.d[1], x.d[2], x.d[3], (u32)b[0] };

	for (unsigned i = 0; i < 4; i++)
		x.d[i] += ror(next[i], 7) ^ ror(next[i], 18) ^ next[i] >> 3;
	return vec_of(x);
}

static vec vec_sha256msg2(vec a, vec b)
{
	union xmm x = vec_lanes(a), y = vec_lanes(b);

	for (unsigned i = 0; i < 4; i++) {
		u32 w = i < 2 ? y.d[2 + i] : x.d[i - 2];

		x.d[i] += ror(w, 17) ^ ror(w, 19) ^ w >> 10;
	}
	return vec_of(x);
}

VEC(sha256msg1, 32, PACKED, EXACT, SSE_ONLY, vec_sha256msg1(a, b))
VEC(sha256msg2, 32, PACKED, EXACT, SSE_ONLY, vec_sha256msg2(a, b))
