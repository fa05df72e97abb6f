/* SPDX-License-Identifier: MIT */
/* The lengths of Collatz' sequences: registers and branches that nobody predicts. */
#include "programs.h"

enum { LIMIT = 800000 };

uint64_t run_collatz(void)
{
	uint64_t sum = 0;

	for (uint64_t start = 1; start < LIMIT; start++) {
		unsigned steps = 0;

		for (uint64_t n = start; n != 1; steps++)
			n = n & 1 ? 3 * n + 1 : n / 2;
		sum = mix(sum, steps);
	}
	return sum;
}
