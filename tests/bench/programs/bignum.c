/* SPDX-License-Identifier: MIT */
/* Factorials as numbers of many words, and their decimal digits: 64-bit multiplications with carry, and divisions. */
#include <string.h>
#include "programs.h"

enum { WORDS = 400, FACTORIAL = 2200, ROUNDS = 60 };

uint64_t run_bignum(void)
{
	uint64_t sum = 0, words[WORDS];

	for (int round = 0; round < ROUNDS; round++) {
		int top = 1;

		memset(words, 0, sizeof words);
		words[0] = 1;
		for (uint64_t n = 2; n <= FACTORIAL; n++) {
			unsigned __int128 carry = 0;

			for (int i = 0; i < top; i++) {
				carry += (unsigned __int128)words[i] * n;
				words[i] = (uint64_t)carry;
				carry >>= 64;
			}
			if (carry)
				words[top++] = (uint64_t)carry;
		}
		while (top) {
			uint64_t rest = 0;

			for (int i = top; i-- > 0;) {
				uint64_t high = rest << 32 | words[i] >> 32, low;

				low = high % 1000000000 << 32 | (words[i] & 0xffffffff);
				words[i] = high / 1000000000 << 32 | low / 1000000000;
				rest = low % 1000000000;
			}
			sum = mix(sum, rest);
			while (top && !words[top - 1])
				top--;
		}
	}
	return sum;
}
