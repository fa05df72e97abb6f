/* SPDX-License-Identifier: MIT */
/* Words in a long text, by Horspool's way and letter by letter. */
#include <string.h>
#include "programs.h"

enum { SIZE = 400000, ROUNDS = 80 };

static char text[SIZE + 1];

static unsigned horspool(const char *word, int len)
{
	int skip[256], i = 0;
	unsigned found = 0;

	for (int c = 0; c < 256; c++)
		skip[c] = len;
	for (int k = 0; k < len - 1; k++)
		skip[(uint8_t)word[k]] = len - 1 - k;
	while (i + len <= SIZE) {
		int k = len - 1;

		while (k >= 0 && text[i + k] == word[k])
			k--;
		found += k < 0;
		i += skip[(uint8_t)text[i + len - 1]];
	}
	return found;
}

static unsigned naive(const char *word, int len)
{
	unsigned found = 0;

	for (int i = 0; i + len <= SIZE; i++) {
		int k = 0;

		while (k < len && text[i + k] == word[k])
			k++;
		found += k == len;
	}
	return found;
}

uint64_t run_search(void)
{
	uint64_t sum = 0, seed = 4;

	for (int i = 0; i < SIZE; i++)
		text[i] = (char)("etaoin shrdlu"[next_random(&seed) % 13]);
	for (int round = 0; round < ROUNDS; round++) {
		const char *word = text + next_random(&seed) % (SIZE - 16);
		int len = 3 + round % 8;

		sum = mix(sum, horspool(word, len));
		sum = mix(sum, naive(word, len));
	}
	return sum;
}
