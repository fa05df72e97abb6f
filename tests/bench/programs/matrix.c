/* SPDX-License-Identifier: MIT */
/* Products of matrices of integers. */
#include "programs.h"

enum { SIZE = 96, ROUNDS = 72 };

static uint32_t a[SIZE][SIZE], b[SIZE][SIZE], product[SIZE][SIZE];

uint64_t run_matrix(void)
{
	uint64_t sum = 0, seed = 3;

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			a[i][j] = (uint32_t)next_random(&seed);
			b[i][j] = (uint32_t)next_random(&seed);
		}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SIZE; i++)
			for (int j = 0; j < SIZE; j++) {
				uint32_t total = 0;

				for (int k = 0; k < SIZE; k++)
					total += a[i][k] * b[k][j];
				product[i][j] = total;
			}
		for (int i = 0; i < SIZE; i++)
			for (int j = 0; j < SIZE; j++)
				sum = mix(sum, a[i][j] = product[i][j] ^ (uint32_t)round);
	}
	return sum;
}
