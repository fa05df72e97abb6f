/* SPDX-License-Identifier: MIT */
/* Integers in vectors of 32 bytes (AVX2): multiplications, shuffles, comparisons, gathers. */
#include <immintrin.h>
#include "programs.h"

enum { SIZE = 16384, ROUNDS = 750 };

static uint32_t __attribute__((aligned(32))) data[SIZE];

__attribute__((target("avx2"))) static uint64_t work(void)
{
	const __m256i turn =
		_mm256_broadcastsi128_si256(_mm_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14));
	const __m256i mask = _mm256_set1_epi32(SIZE - 1), factor = _mm256_set1_epi32(0x01000193);
	__m256i total = _mm256_setzero_si256();
	uint64_t parts[4];

	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < SIZE; i += 8) {
			__m256i v = _mm256_load_si256((const __m256i *)&data[i]);
			__m256i other = _mm256_i32gather_epi32((const int *)data, _mm256_and_si256(v, mask), 4);
			__m256i greater = _mm256_cmpgt_epi32(v, other);

			v = _mm256_add_epi32(_mm256_mullo_epi32(v, factor), _mm256_blendv_epi8(other, total, greater));
			v = _mm256_xor_si256(_mm256_shuffle_epi8(v, turn), _mm256_srli_epi32(v, 11));
			total = _mm256_add_epi64(total, _mm256_permute4x64_epi64(_mm256_mul_epu32(v, other), 0x93));
			_mm256_store_si256((__m256i *)&data[i], v);
		}
	_mm256_storeu_si256((__m256i *)parts, total);
	return mix(mix(mix(parts[0], parts[1]), parts[2]), parts[3]);
}

uint64_t run_avx2(void)
{
	uint64_t seed = 14;

	if (!__builtin_cpu_supports("avx2"))
		return SKIPPED;
	for (int i = 0; i < SIZE; i++)
		data[i] = (uint32_t)next_random(&seed);
	return work();
}
