/* SPDX-License-Identifier: MIT */
/* The sieve of Eratosthenes: strided stores of bytes. */
#include <string.h>
#include "programs.h"

enum { SIZE = 1000000, ROUNDS = 24 };

static uint8_t composite[SIZE];

uint64_t run_sieve(void)
{
	uint64_t sum = 0;

	for (int round = 0; round < ROUNDS; round++) {
		memset(composite, 0, sizeof composite);
		for (int i = 2; i < SIZE; i++) {
			if (composite[i])
				continue;
			sum = mix(sum, (uint64_t)i);
			for (int j = 2 * i; j < SIZE; j += i)
				composite[j] = 1;
		}
	}
	return sum;
}
