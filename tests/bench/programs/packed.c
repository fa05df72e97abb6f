/* SPDX-License-Identifier: MIT */
/* Four floats at a time (SSE): the steps of a field of heat. */
#include <string.h>
#include <xmmintrin.h>
#include "programs.h"

enum { SIZE = 128, ROUNDS = 1000 };

static float __attribute__((aligned(16))) field[2][SIZE][SIZE];

static void diffuse(float (*to)[SIZE], float (*from)[SIZE])
{
	const __m128 quarter = _mm_set1_ps(0.25f), most = _mm_set1_ps(1000), least = _mm_set1_ps(1);

	for (int i = 1; i < SIZE - 1; i++)
		for (int j = 4; j < SIZE - 4; j += 4) {
			__m128 sum = _mm_add_ps(_mm_load_ps(&from[i - 1][j]), _mm_load_ps(&from[i + 1][j]));
			__m128 sides = _mm_add_ps(_mm_loadu_ps(&from[i][j - 1]), _mm_loadu_ps(&from[i][j + 1]));
			__m128 mean = _mm_mul_ps(quarter, _mm_add_ps(sum, sides));

			_mm_store_ps(&to[i][j], _mm_max_ps(least, _mm_min_ps(most, mean)));
		}
}

uint64_t run_packed(void)
{
	uint64_t sum = 0, seed = 13;
	uint32_t bits;

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++)
			field[0][i][j] = field[1][i][j] = (float)(next_random(&seed) % 2000);
	for (int round = 0; round < ROUNDS; round++)
		diffuse(field[~round & 1], field[round & 1]);
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			memcpy(&bits, &field[0][i][j], sizeof bits);
			sum = mix(sum, bits);
		}
	return sum;
}
