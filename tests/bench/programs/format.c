/* SPDX-License-Identifier: MIT */
/* printf and strtol of the C library: numbers to text and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "programs.h"

enum { ROUNDS = 50000 };

uint64_t run_format(void)
{
	uint64_t sum = 0, seed = 6;
	char text[160];

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t r = next_random(&seed);
		int n = snprintf(text, sizeof text, "%d %08x %-12s|%10llu %c %.3f", i, (unsigned)r,
				 i & 1 ? "odd" : "even", (unsigned long long)r, 'a' + i % 26,
				 (double)(r % 1000000) / 1024);
		char *end;

		sum = mix(sum, (uint64_t)strtol(text, &end, 10) + strtoul(end, NULL, 16));
		for (int k = 0; k < n; k++)
			sum += (uint8_t)text[k] * (unsigned)k;
	}
	return sum;
}
