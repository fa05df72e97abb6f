/* SPDX-License-Identifier: MIT */
/* A hash table with open addressing: numbers come, are looked for and go. */
#include "programs.h"

enum { SLOTS = 1 << 16, STEPS = 2500000 };

static uint32_t keys[SLOTS], values[SLOTS]; /* key 0: empty */

static unsigned slot_of(uint32_t key)
{
	unsigned i = key * 2654435761u >> 16;

	while (keys[i] && keys[i] != key)
		i = (i + 1) % SLOTS;
	return i;
}

/* Closes the gap: what stands behind it and wanted to be before it moves up. */
static void take_out(unsigned gap)
{
	keys[gap] = 0;
	for (unsigned i = (gap + 1) % SLOTS; keys[i]; i = (i + 1) % SLOTS) {
		uint32_t key = keys[i];
		unsigned to;

		keys[i] = 0;
		to = slot_of(key);
		keys[to] = key;
		values[to] = values[i];
	}
}

uint64_t run_hash(void)
{
	uint64_t sum = 0, seed = 2;

	for (int step = 0; step < STEPS; step++) {
		uint32_t r = (uint32_t)next_random(&seed), key = r % 40000 + 1;
		unsigned i = slot_of(key);

		if (!keys[i]) {
			keys[i] = key;
			values[i] = r;
		} else {
			sum = mix(sum, values[i]);
			values[i]++;
			if (r >> 31)
				take_out(i);
		}
	}
	return sum;
}
