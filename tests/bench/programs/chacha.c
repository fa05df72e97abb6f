/* SPDX-License-Identifier: MIT */
/* ChaCha20 (RFC 8439): 32-bit additions, rotations and exclusive ors. */
#include <string.h>
#include "programs.h"

enum { BLOCKS = 175000 };

static inline void quarter(uint32_t *x, int a, int b, int c, int d)
{
	static const int turns[] = { 16, 12, 8, 7 };

	for (int i = 0; i < 4; i += 2) {
		x[a] += x[b];
		x[d] = (x[d] ^ x[a]) << turns[i] | (x[d] ^ x[a]) >> (32 - turns[i]);
		x[c] += x[d];
		x[b] = (x[b] ^ x[c]) << turns[i + 1] | (x[b] ^ x[c]) >> (32 - turns[i + 1]);
	}
}

uint64_t run_chacha(void)
{
	uint32_t state[16], x[16];
	uint64_t sum = 0;

	memcpy(state, "expand 32-byte k", 16);
	for (uint32_t i = 4; i < 16; i++)
		state[i] = i * 0x9e3779b9;
	for (int block = 0; block < BLOCKS; block++) {
		memcpy(x, state, sizeof x);
		for (int round = 0; round < 10; round++) {
			for (int i = 0; i < 4; i++)
				quarter(x, i, 4 + i, 8 + i, 12 + i);
			for (int i = 0; i < 4; i++)
				quarter(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
		}
		for (int i = 0; i < 16; i++)
			sum += (x[i] + state[i]) * (uint64_t)(2 * i + 1);
		state[12]++;
	}
	return sum;
}
