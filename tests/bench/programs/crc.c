/* SPDX-License-Identifier: MIT */
/* CRC-32 by bits and by a table. */
#include "programs.h"

enum { SIZE = 65536, ROUNDS = 480 };

static uint8_t data[SIZE];

static uint32_t by_bits(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (int i = 0; i < 8; i++)
		crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	return crc;
}

uint64_t run_crc(void)
{
	uint64_t sum = 0, seed = 7;
	uint32_t table[256], crc = ~0u;

	for (int i = 0; i < SIZE; i++)
		data[i] = (uint8_t)next_random(&seed);
	for (unsigned i = 0; i < 256; i++)
		table[i] = by_bits(0, (uint8_t)i);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < SIZE; i++)
			crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
		sum = mix(sum, crc);
		for (int i = 0; i < SIZE / 4; i++)
			crc = by_bits(crc, data[i]);
		sum = mix(sum, crc);
	}
	return sum;
}
