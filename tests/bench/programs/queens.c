/* SPDX-License-Identifier: MIT */
/* The queens that do not attack each other, by backtracking over bits. */
#include "programs.h"

enum { SIZE = 12, ROUNDS = 12 };

static unsigned place(unsigned columns, unsigned left, unsigned right)
{
	unsigned free = ((1u << SIZE) - 1) & ~(columns | left | right), found = 0;

	if (columns == (1u << SIZE) - 1)
		return 1;
	while (free) {
		unsigned bit = free & -free;

		free ^= bit;
		found += place(columns | bit, (left | bit) << 1, (right | bit) >> 1);
	}
	return found;
}

uint64_t run_queens(void)
{
	uint64_t sum = 0;

	for (int round = 0; round < ROUNDS; round++)
		sum = mix(sum, place(0, 0, 0));
	return sum;
}
