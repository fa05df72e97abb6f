/* SPDX-License-Identifier: MIT */
/* A compressor that finds what it has seen before through a hash of three bytes, and its decompressor. */
#include <string.h>
#include "programs.h"

enum { SIZE = 300000, ROUNDS = 42, LONGEST = 130, WINDOW = 65535 };

static uint8_t data[SIZE], packed[SIZE + SIZE / 64 + 16], unpacked[SIZE];

/* A token N below 128: N + 1 bytes follow. From 128: a distance of two bytes follows; N - 125 bytes are those that
 * stand so far back. */
static size_t compress(void)
{
	static int32_t seen[1 << 14];
	size_t in = 0, out = 0, plain = 0;

	memset(seen, 0xff, sizeof seen);
	while (in < SIZE) {
		size_t len = 0, from = 0;

		if (in + 3 <= SIZE) {
			uint32_t key = data[in] | (uint32_t)data[in + 1] << 8 | (uint32_t)data[in + 2] << 16;
			int32_t *slot = &seen[key * 2654435761u >> 18];

			if (*slot >= 0 && in - (size_t)*slot <= WINDOW) {
				from = (size_t)*slot;
				while (len < LONGEST && in + len < SIZE && data[from + len] == data[in + len])
					len++;
			}
			*slot = (int32_t)in;
		}
		if (len >= 3) {
			packed[out++] = (uint8_t)(125 + len);
			packed[out++] = (uint8_t)(in - from);
			packed[out++] = (uint8_t)((in - from) >> 8);
			in += len;
			plain = 0;
			continue;
		}
		if (!plain || packed[plain] == 127) {
			plain = out++;
			packed[plain] = 0;
		} else {
			packed[plain]++;
		}
		packed[out++] = data[in++];
	}
	return out;
}

static size_t decompress(size_t size)
{
	size_t out = 0;

	for (size_t in = 0; in < size;) {
		unsigned token = packed[in++];

		if (token < 128) {
			memcpy(unpacked + out, packed + in, token + 1);
			in += token + 1;
			out += token + 1;
		} else {
			size_t distance = packed[in] | (size_t)packed[in + 1] << 8;

			in += 2;
			for (unsigned i = 0; i < token - 125; i++, out++)
				unpacked[out] = unpacked[out - distance];
		}
	}
	return out;
}

uint64_t run_lz(void)
{
	static const char *const words[] = {
		"the ", "block ", "of ", "operations ", "is ", "entered ", "with ", "a budget ", "and ", "left. ",
	};
	uint64_t sum = 0, seed = 9;

	for (int round = 0; round < ROUNDS; round++) {
		size_t size = 0;

		while (size < SIZE) {
			uint64_t r = next_random(&seed);
			const char *word = words[r % 10];

			while (*word && size < SIZE)
				data[size++] = (uint8_t)*word++;
			if (r >> 61 == 0 && size < SIZE)
				data[size++] = (uint8_t)(r >> 32);
		}
		size = compress();
		sum = mix(sum, size);
		sum = mix(sum, decompress(size) == SIZE && !memcmp(data, unpacked, SIZE));
	}
	return sum;
}
