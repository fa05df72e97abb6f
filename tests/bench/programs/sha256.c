/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4): rotations and additions. The constants are computed, from the roots of primes. */
#include "programs.h"

enum { BLOCKS = 72000 };

static uint32_t k[64], h[8];

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* The first 32 bits behind the point of the ROOT-th root of N, by trying them. */
static uint32_t fraction(unsigned n, int root)
{
	unsigned __int128 x = 0;

	for (int bit = 36; bit-- > 0;) {
		unsigned __int128 y = x | (unsigned __int128)1 << bit, power = y * y;

		if (root == 2 ? power <= (unsigned __int128)n << 64 : power * y <= (unsigned __int128)n << 96)
			x = y;
	}
	return (uint32_t)x;
}

static void compress(const uint32_t *block)
{
	uint32_t w[64], s[8];

	for (int i = 0; i < 16; i++)
		w[i] = block[i];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
			w[i - 7] + (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (int i = 0; i < 8; i++)
		s[i] = h[i];
	for (int i = 0; i < 64; i++) {
		uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
			((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
			((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		for (int j = 7; j > 0; j--)
			s[j] = s[j - 1];
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

uint64_t run_sha256(void)
{
	uint32_t block[16];
	uint64_t seed = 8;
	int found = 0;

	for (unsigned n = 2; found < 64; n++) {
		unsigned d = 2;

		while (n % d)
			d++;
		if (d != n)
			continue;
		if (found < 8)
			h[found] = fraction(n, 2);
		k[found++] = fraction(n, 3);
	}
	for (int i = 0; i < BLOCKS; i++) {
		for (int j = 0; j < 16; j++)
			block[j] = (uint32_t)next_random(&seed);
		compress(block);
	}
	return (uint64_t)h[0] << 32 | h[7];
}
