/* SPDX-License-Identifier: MIT */
/* memcpy, memmove, memset, memcmp, strlen, strchr and strcmp of the C library, short and long. */
#include <string.h>
#include "programs.h"

enum { SIZE = 1 << 18, SHORT = 400000, LONG = 60 };

static char a[SIZE], b[SIZE];

uint64_t run_strings(void)
{
	uint64_t sum = 0, seed = 15;

	for (int i = 0; i < SIZE; i++)
		a[i] = (char)("abcdefg"[next_random(&seed) % 7]);
	for (int i = 0; i < LONG; i++) {
		memcpy(b + i, a, SIZE / 2);
		memmove(b, b + i, SIZE / 2);
		memset(b + SIZE / 2, i, SIZE / 2);
		sum = mix(sum, (unsigned)memcmp(a, b, SIZE) & 1);
		b[SIZE / 3 + i] = 0;
		sum = mix(sum, strlen(b));
	}
	for (int i = 0; i < SHORT; i++) {
		uint64_t r = next_random(&seed);
		char *from = a + r % (SIZE - 100), *to = b + (r >> 20) % (SIZE - 100);
		size_t len = r >> 58;

		memcpy(to, from, len);
		to[len] = 0;
		sum = mix(sum, strlen(to));
		sum = mix(sum, (uint64_t)(strchr(from, 'a' + i % 7) - from));
		sum = mix(sum, strcmp(to, from) < 0);
	}
	return sum;
}
