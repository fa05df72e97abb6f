/* SPDX-License-Identifier: MIT */
/* SHA-512, SM3 and SM4 by their instructions, over whole blocks: the digest of "abc" (FIPS 180-4, appendix C; GB/T
 * 32905, appendix A) and the first example of GB/T 32907, appendix A. OpenSSL prints the same. Then the conversions of
 * AVX-NE-CONVERT, and TBM, against what their definitions say of one element or bit. */
#include "tests/unit/modes.h"
#include "tests/unit/random.h"

static void hashes_setup(void) { vectors_setup("max,+sha512,+sm3,+sm4,+avxneconvert,+tbm", RAM_SIZE, 3, 7); }

static bool run(const u8 *code, unsigned len)
{
	space_write_block(&mem, CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) != CPU_EXCEPTION;
}

enum { NP, P66, F3, F2 };
/* OPCODE of MAP with VEX on registers REG, VVVV (0: none) and RM; IMM is behind it. */
static void vex(unsigned map, unsigned pp, unsigned l, u8 opcode, unsigned reg, unsigned vvvv, unsigned rm, u8 imm)
{
	u8 code[] = { 0xc4, (u8)(0xe0 | map), (u8)((~vvvv & 15) << 3 | l << 2 | pp), opcode,
		      (u8)(0xc0 | reg << 3 | rm), imm };

	ck_assert(run(code, sizeof code));
}

static u32 big32(const u8 *p) { return __builtin_bswap32(get32(p)); }
static u64 big64(const u8 *p) { return __builtin_bswap64(get64(p)); }
static u32 rotate32(u32 x, unsigned n) { return n ? x << n | x >> (32 - n) : x; }

/* ---- SHA-512 ---- */

/* The first 64 bits of the fractional parts of the cube roots of the first eighty primes, and of the square roots of
 * the first eight: by integers of 256 bits, in steps of one bit. */
static bool at_most(u64 whole, u64 fraction, unsigned power, unsigned prime)
{
	/* (whole + fraction / 2^64)^power <= prime, with long multiplication by 32-bit digits */
	u32 x[4] = { (u32)fraction, (u32)(fraction >> 32), (u32)whole, 0 }, product[12] = { 1 };

	for (unsigned p = 0; p < power; p++) {
		u32 next[12] = { 0 };

		for (unsigned i = 0; i < 9; i++) {
			u64 carry = 0;

			for (unsigned k = 0; k < 3; k++) {
				carry += next[i + k] + (u64)product[i] * x[k];
				next[i + k] = (u32)carry;
				carry >>= 32;
			}
			for (unsigned k = i + 3; carry && k < 12; k++) {
				carry += next[k];
				next[k] = (u32)carry;
				carry >>= 32;
			}
		}
		memcpy(product, next, sizeof product);
	}
	return product[2 * power] < prime; /* roots of primes are never whole numbers */
}

static u64 root(unsigned power, unsigned prime)
{
	u64 whole = 0, fraction = 0;

	while (at_most(whole + 1, 0, power, prime))
		whole++;
	for (unsigned bit = 64; bit-- > 0;)
		if (at_most(whole, fraction | (u64)1 << bit, power, prime))
			fraction |= (u64)1 << bit;
	return fraction;
}

static unsigned prime(unsigned n)
{
	unsigned p = 1;

	for (unsigned found = 0; found <= n;) {
		bool is = ++p > 1;

		for (unsigned d = 2; d * d <= p; d++)
			is &= p % d != 0;
		found += is;
	}
	return p;
}

START_TEST(sha512)
{
	static const u8 digest[64] = {
		0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba, 0xcc, 0x41, 0x73, 0x49, 0xae, 0x20, 0x41, 0x31,
		0x12, 0xe6, 0xfa, 0x4e, 0x89, 0xa9, 0x7e, 0xa2, 0x0a, 0x9e, 0xee, 0xe6, 0x4b, 0x55, 0xd3, 0x9a,
		0x21, 0x92, 0x99, 0x2a, 0x27, 0x4f, 0xc1, 0xa8, 0x36, 0xba, 0x3c, 0x23, 0xa3, 0xfe, 0xeb, 0xbd,
		0x45, 0x4d, 0x44, 0x23, 0x64, 0x3c, 0xe8, 0x0e, 0x2a, 0x9a, 0xc9, 0x4f, 0xa5, 0x4c, 0xa4, 0x9f,
	};
	u64 w[80] = { 0x6162638000000000 }, h[8];

	w[15] = 24;
	for (unsigned i = 0; i < 8; i++)
		h[i] = root(2, prime(i));
	for (unsigned t = 16; t < 80; t += 4) {
		memcpy(c->v[0].q, w + t - 16, 32);
		memcpy(c->v[1].q, w + t - 12, 32);
		vex(2, F2, 1, 0xcc, 0, 0, 1, 0);
		for (unsigned i = 0; i < 4; i++) /* VPADDQ with words t - 7 to t - 4 */
			c->v[0].q[i] += w[t - 7 + i];
		memcpy(c->v[1].q, w + t - 4, 32);
		vex(2, F2, 1, 0xcd, 0, 0, 1, 0);
		memcpy(w + t, c->v[0].q, 32);
	}
	memcpy(c->v[1].q, (u64[]){ h[5], h[4], h[1], h[0] }, 32); /* F E B A */
	memcpy(c->v[0].q, (u64[]){ h[7], h[6], h[3], h[2] }, 32);
	for (unsigned t = 0; t < 80; t += 2) {
		unsigned cdgh = t / 2 & 1;

		c->v[2].q[0] = w[t] + root(3, prime(t));
		c->v[2].q[1] = w[t + 1] + root(3, prime(t + 1));
		vex(2, F2, 1, 0xcb, cdgh, 1 - cdgh, 2, 0);
	}
	for (unsigned i = 0; i < 8; i++) {
		static const u8 where[8][2] = { { 1, 3 }, { 1, 2 }, { 0, 3 }, { 0, 2 }, { 1, 1 }, { 1, 0 }, { 0, 1 }, { 0, 0 } };

		ck_assert_uint_eq(h[i] + c->v[where[i][0]].q[where[i][1]], big64(digest + 8 * i));
	}
}
END_TEST

/* ---- SM3 ---- */

START_TEST(sm3)
{
	static const u32 iv[8] = { 0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d,
				   0xb0fb0e4e };
	static const u8 digest[32] = {
		0x66, 0xc7, 0xf0, 0xf4, 0x62, 0xee, 0xed, 0xd9, 0xd1, 0xf2, 0xd4, 0x6b, 0xdc, 0x10, 0xe4, 0xe2,
		0x41, 0x67, 0xc4, 0x87, 0x5c, 0xf2, 0xf7, 0xa2, 0x29, 0x7d, 0xa0, 0x2b, 0x8f, 0x4b, 0xa8, 0xe0,
	};
	u32 w[72] = { 0x61626380 }, v[8];

	w[15] = 24;
	for (unsigned t = 16; t < 68; t += 4) {
		memcpy(c->v[0].d, w + t - 9, 16);
		memcpy(c->v[1].d, w + t - 3, 12);
		memcpy(c->v[2].d, w + t - 16, 16);
		vex(2, NP, 0, 0xda, 0, 1, 2, 0);
		memcpy(c->v[1].d, w + t - 13, 16);
		memcpy(c->v[2].d, w + t - 6, 16);
		vex(2, P66, 0, 0xda, 0, 1, 2, 0);
		memcpy(w + t, c->v[0].d, 16);
	}
	memcpy(c->v[1].d, (u32[]){ iv[5], iv[4], iv[1], iv[0] }, 16);
	memcpy(c->v[0].d, (u32[]){ rotate32(iv[7], 13), rotate32(iv[6], 13), rotate32(iv[3], 23), rotate32(iv[2], 23) },
	       16);
	for (unsigned t = 0; t < 64; t += 2) {
		unsigned cdgh = t / 2 & 1;

		memcpy(c->v[2].d, (u32[]){ w[t], w[t + 1], w[t + 4], w[t + 5] }, 16);
		vex(3, P66, 0, 0xde, cdgh, 1 - cdgh, 2, (u8)t);
	}
	memcpy(v, (u32[]){ c->v[1].d[3], c->v[1].d[2], rotate32(c->v[0].d[3], 9), rotate32(c->v[0].d[2], 9), c->v[1].d[1],
			   c->v[1].d[0], rotate32(c->v[0].d[1], 19), rotate32(c->v[0].d[0], 19) }, sizeof v);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(iv[i] ^ v[i], big32(digest + 4 * i));
}
END_TEST

/* ---- SM4 ---- */

START_TEST(sm4)
{
	static const u8 text[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54,
				     0x32, 0x10 },
			secret[16] = { 0x68, 0x1e, 0xdf, 0x34, 0xd2, 0x06, 0x96, 0x5e, 0x86, 0xb3, 0xe9, 0x4f, 0x53, 0x6e,
				       0x42, 0x46 };
	static const u32 fk[4] = { 0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc };
	u32 keys[32];

	for (unsigned i = 0; i < 4; i++)
		c->v[0].d[i] = big32(text + 4 * i) ^ fk[i];
	for (unsigned r = 0; r < 32; r += 4) {
		for (unsigned i = 0; i < 16; i++) /* CK: bytes 7 (4 i + k), the first the highest */
			c->v[1].b[i] = (u8)(7 * (4 * r + (i & ~3u) + 3 - (i & 3)));
		vex(2, F3, 0, 0xda, 0, 0, 1, 0);
		memcpy(keys + r, c->v[0].d, 16);
	}
	for (unsigned i = 0; i < 4; i++)
		c->v[0].d[i] = c->v[0].d[i + 4] = big32(text + 4 * i);
	for (unsigned r = 0; r < 32; r += 4) {
		memcpy(c->v[1].d, keys + r, 16);
		memcpy(c->v[1].d + 4, keys + r, 16);
		vex(2, F2, 1, 0xda, 0, 0, 1, 0);
	}
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(c->v[0].d[3 - i % 4 + i / 4 * 4], big32(secret + 4 * (i % 4)));
}
END_TEST

/* ---- AVX-NE-CONVERT ---- */

/* By multiplication with powers of two, which floating point does exactly. */
static u32 half_to_single(u16 h)
{
	unsigned exp = h >> 10 & 31, frac = h & 0x3ff;
	float v = (float)(exp ? frac | 0x400 : frac);
	u32 bits;

	if (exp == 31)
		return (u32)(h & 0x8000) << 16 | 0x7f800000 | (frac ? 0x400000 | frac << 13 : 0);
	for (int e = (exp ? (int)exp : 1) - 25; e > 0; e--)
		v *= 2;
	for (int e = (exp ? (int)exp : 1) - 25; e < 0; e++)
		v /= 2;
	memcpy(&bits, &v, 4);
	return bits | (u32)(h & 0x8000) << 16;
}

START_TEST(conversions)
{
	for (unsigned n = 0; n < 3000; n++) {
		unsigned pp = rnd() & 3, l = rnd() & 1, broadcast = rnd() & 1;
		bool bfloat = pp >= F3, odd = pp == NP || pp == F2;
		u16 in[16];

		if (broadcast && odd)
			pp = bfloat ? F3 : P66, odd = false;
		for (unsigned i = 0; i < 16; i++)
			put16(ram->host + DATA + 2 * i, in[i] = (u16)rnd());
		memset(&c->v[1], 0xff, 32);
		c->r[RBX] = DATA;
		c->mxcsr = (u32)rnd() & 0xffc0; /* masks make no difference */
		ck_assert(run((const u8[]){ 0xc4, 0xe2, (u8)(0x78 | l << 2 | pp), broadcast ? 0xb1 : 0xb0, 0x0b }, 5));
		ck_assert_uint_eq(c->mxcsr & 0x3f, 0);
		for (unsigned i = 0; i < 8; i++) {
			u16 v = broadcast ? in[0] : in[2 * i + odd];
			u32 want = bfloat ? (u32)v << 16 : half_to_single(v);

			ck_assert_uint_eq(c->v[1].d[i], i < 4 || l ? want : 0);
		}
	}
}
END_TEST

/* To the nearest, of two to the even one; denormal numbers are zeros. */
static u16 to_bfloat(u32 v)
{
	u32 rest = v & 0xffff, up = (v >> 16) + 1;

	if ((v & 0x7fffffff) > 0x7f800000)
		return (u16)(v >> 16 | 0x40);
	if (!(v & 0x7f800000))
		return (u16)(v >> 16 & 0x8000);
	return (u16)(rest > 0x8000 || (rest == 0x8000 && v & 0x10000) ? up : v >> 16);
}

START_TEST(to_sixteen_bits)
{
	for (unsigned n = 0; n < 3000; n++) {
		unsigned l = rnd() & 1;
		u32 in[8];

		for (unsigned i = 0; i < 8; i++)
			c->v[2].d[i] = in[i] = rnd() & 1 ? (u32)rnd() : ((u32)rnd() & 0xffff0000) | 0x8000;
		memset(&c->v[1], 0xff, 32);
		vex(2, F3, l, 0x72, 1, 0, 2, 0);
		for (unsigned i = 0; i < 16; i++)
			ck_assert_uint_eq(c->v[1].w[i], i < (l ? 8 : 4) ? to_bfloat(in[i]) : 0);
	}
}
END_TEST

/* ---- TBM ---- */

/* From the lowest bit up: FIRST is what is passed, which ends at the first bit of the other kind. */
static u64 by_bits(unsigned which, u64 v, unsigned bits, bool *carry)
{
	bool first = which <= 5; /* ones are passed by those that add */
	unsigned n = 0;
	u64 r = 0;

	while (n < bits && (v >> n & 1) == first)
		n++;
	*carry = n == bits;
	for (unsigned i = 0; i < bits; i++) {
		bool b = v >> i & 1, passed = i < n, at = i == n;

		switch (which) {
		case 0: b = b && !passed; break;           /* BLCFILL: clear the ones */
		case 1: b = b || !at; break;               /* BLCI: a zero at the lowest zero */
		case 2: b = at; break;                     /* BLCIC */
		case 3: b = passed || at; break;           /* BLCMSK */
		case 4: b = b || at; break;                /* BLCS: set the lowest zero */
		case 5: b = !passed; break;                /* T1MSKC */
		case 6: b = b || passed; break;            /* BLSFILL: fill below the lowest one */
		case 7: b = !at; break;                    /* BLSIC */
		default: b = passed; break;                /* TZMSK */
		}
		r |= (u64)b << i;
	}
	return r;
}

START_TEST(trailing_bits)
{
	static const struct { u8 opcode, reg; } forms[] = { { 1, 1 }, { 2, 6 }, { 1, 5 }, { 2, 1 }, { 1, 3 },
							   { 1, 7 }, { 1, 2 }, { 1, 6 }, { 1, 4 } };

	for (unsigned n = 0; n < 6000; n++) {
		unsigned which = rnd() % 9, wide = rnd() & 1, bits = wide ? 64 : 32;
		u64 v = rnd() & 1 ? rnd() : (rnd() & 1 ? ~(u64)0 : 0) << (rnd() & 63) ^ (rnd() & 1 ? ~(u64)0 : 0), want;
		u64 mask = wide ? ~(u64)0 : 0xffffffff;
		bool carry;

		c->r[RCX] = v;
		want = by_bits(which, v & mask, bits, &carry);
		ck_assert(run((const u8[]){ 0x8f, 0xe9, (u8)(wide << 7 | (~RAX & 15) << 3), forms[which].opcode,
					    (u8)(0xc0 | forms[which].reg << 3 | RCX) }, 5));
		ck_assert_msg(c->r[RAX] == want, "%u of %llx: %llx, not %llx", which, (unsigned long long)v,
			      (unsigned long long)c->r[RAX], (unsigned long long)want);
		ck_assert_uint_eq(cpu_flags(c) & (FL_C | FL_Z | FL_S | FL_O),
				  (carry ? FL_C : 0) | (want ? 0 : FL_Z) | (want >> (bits - 1) ? FL_S : 0));
	}
	c->r[RCX] = 0x123456789abcdef0;
	ck_assert(run((const u8[]){ 0x8f, 0xea, 0xf8, 0x10, 0xc1, 8, 16, 0, 0 }, 9)); /* bextr rax, rcx, 1008h */
	ck_assert_uint_eq(c->r[RAX], 0xbcde);
	ck_assert(!run((const u8[]){ 0xc4, 0xe9, 0x78, 1, 0xc9 }, 5)); /* VEX has no such map */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hashes");
	TCase *tc = tcase_create("instructions");

	tcase_add_checked_fixture(tc, hashes_setup, bare_free);
	tcase_add_test(tc, sha512);
	tcase_add_test(tc, sm3);
	tcase_add_test(tc, sm4);
	tcase_add_test(tc, conversions);
	tcase_add_test(tc, to_sixteen_bits);
	tcase_add_test(tc, trailing_bits);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
