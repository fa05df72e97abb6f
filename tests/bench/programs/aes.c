/* SPDX-License-Identifier: MIT */
/* AES-128 (FIPS 197) by tables of 32-bit words, which are computed. */
#include <string.h>
#include "programs.h"

enum { BLOCKS = 300000 };

static uint8_t sbox[256];
static uint32_t tables[4][256], keys[44];

static uint8_t doubled(uint8_t x)
{
	return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (-n & 31);
}

static void make_tables(void)
{
	uint8_t p = 1, q = 1;

	do { /* p runs through all bytes but 0, as powers of 3; q is its inverse */
		uint8_t x;

		p ^= doubled(p);
		q ^= (uint8_t)(q << 1);
		q ^= (uint8_t)(q << 2);
		q ^= (uint8_t)(q << 4);
		if (q & 0x80)
			q ^= 0x09;
		x = q;
		for (int i = 1; i < 5; i++)
			x ^= (uint8_t)(q << i | q >> (8 - i));
		sbox[p] = x ^ 0x63;
	} while (p != 1);
	sbox[0] = 0x63;
	for (int i = 0; i < 256; i++) {
		uint32_t s = sbox[i], d = doubled(sbox[i]);

		for (int t = 0; t < 4; t++)
			tables[t][i] = rotate(d | s << 8 | s << 16 | (d ^ s) << 24, 8 * t);
	}
}

static uint32_t substitute(uint32_t x)
{
	return sbox[x & 255] | (uint32_t)sbox[x >> 8 & 255] << 8 | (uint32_t)sbox[x >> 16 & 255] << 16 |
		(uint32_t)sbox[x >> 24] << 24;
}

static void encrypt(uint32_t *s)
{
	uint32_t t[4];

	for (int i = 0; i < 4; i++)
		s[i] ^= keys[i];
	for (int round = 1; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			t[i] = tables[0][s[i] & 255] ^ tables[1][s[(i + 1) % 4] >> 8 & 255] ^
				tables[2][s[(i + 2) % 4] >> 16 & 255] ^ tables[3][s[(i +
					3) % 4] >> 24] ^ keys[4 * round + i];
		memcpy(s, t, sizeof t);
	}
	for (int i = 0; i < 4; i++)
		t[i] = keys[40 + i] ^ substitute((s[i] & 0xff) | (s[(i + 1) % 4] & 0xff00) |
			(s[(i + 2) % 4] & 0xff0000) |
			(s[(i + 3) % 4] & 0xff000000));
	memcpy(s, t, sizeof t);
}

uint64_t run_aes(void)
{
	uint32_t state[4] = { 1, 2, 3, 4 };
	uint8_t constant = 1;

	make_tables();
	for (uint32_t i = 0; i < 44; i++) {
		if (i < 4) {
			keys[i] = i * 0x01234567;
		} else if (i % 4) {
			keys[i] = keys[i - 4] ^ keys[i - 1];
		} else {
			keys[i] = keys[i - 4] ^ substitute(rotate(keys[i - 1], 24)) ^ constant;
			constant = doubled(constant);
		}
	}
	for (int i = 0; i < BLOCKS; i++)
		encrypt(state);
	return mix((uint64_t)state[0] << 32 | state[1], (uint64_t)state[2] << 32 | state[3]);
}
