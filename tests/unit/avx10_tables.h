/* SPDX-License-Identifier: MIT */
/* AVX10.2 and AMX-AVX512 as the patterns of Intel's XED have them (datafiles/avx10-2, datafiles/amx-dmr): facts, one row a
 * pattern. For test_avx10.c. */
#ifndef TESTS_AVX10_TABLES_H
#define TESTS_AVX10_TABLES_H

#include <stdbool.h>
#include <stdint.h>

enum { ANY = 2 /* W */ };
enum { NOTHING, SAE, ER };
enum { NO_MEMORY, FULL /* or one element, broadcast */, HALF, FULLMEM, ONE };

static const struct pattern {
	const char *name;
	uint8_t map, pp, opcode, w, rounding, memory, element;
	bool masked;
} patterns[] = {
	{ "vminmaxpd", 3, 1, 0x52, 1, SAE, FULL, 8, true },
	{ "vminmaxph", 3, 0, 0x52, 0, SAE, FULL, 2, true },
	{ "vminmaxps", 3, 1, 0x52, 0, SAE, FULL, 4, true },
	{ "vminmaxsd", 3, 1, 0x53, 1, SAE, ONE, 8, true },
	{ "vminmaxsh", 3, 0, 0x53, 0, SAE, ONE, 2, true },
	{ "vminmaxss", 3, 1, 0x53, 0, SAE, ONE, 4, true },
	{ "vcomxsd", 1, 3, 0x2f, 1, SAE, ONE, 8, false },
	{ "vcomxsh", 5, 2, 0x2f, 0, SAE, ONE, 2, false },
	{ "vcomxss", 1, 2, 0x2f, 0, SAE, ONE, 4, false },
	{ "vucomxsd", 1, 3, 0x2e, 1, SAE, ONE, 8, false },
	{ "vucomxsh", 5, 2, 0x2e, 0, SAE, ONE, 2, false },
	{ "vucomxss", 1, 2, 0x2e, 0, SAE, ONE, 4, false },
	{ "vmovd", 1, 2, 0x7e, 0, NOTHING, ONE, 4, false },
	{ "vmovd", 1, 1, 0xd6, 0, NOTHING, ONE, 4, false },
	{ "vmovw", 5, 2, 0x6e, 0, NOTHING, ONE, 2, false },
	{ "vmovw", 5, 2, 0x7e, 0, NOTHING, ONE, 2, false },
	{ "vdpphps", 2, 0, 0x52, 0, NOTHING, FULL, 4, true },
	{ "vmpsadbw", 3, 2, 0x42, 0, NOTHING, FULLMEM, 2, true },
	{ "vpdpbssd", 2, 3, 0x50, 0, NOTHING, FULL, 4, true },
	{ "vpdpbssds", 2, 3, 0x51, 0, NOTHING, FULL, 4, true },
	{ "vpdpbsud", 2, 2, 0x50, 0, NOTHING, FULL, 4, true },
	{ "vpdpbsuds", 2, 2, 0x51, 0, NOTHING, FULL, 4, true },
	{ "vpdpbuud", 2, 0, 0x50, 0, NOTHING, FULL, 4, true },
	{ "vpdpbuuds", 2, 0, 0x51, 0, NOTHING, FULL, 4, true },
	{ "vpdpwsud", 2, 2, 0xd2, 0, NOTHING, FULL, 4, true },
	{ "vpdpwsuds", 2, 2, 0xd3, 0, NOTHING, FULL, 4, true },
	{ "vpdpwusd", 2, 1, 0xd2, 0, NOTHING, FULL, 4, true },
	{ "vpdpwusds", 2, 1, 0xd3, 0, NOTHING, FULL, 4, true },
	{ "vpdpwuud", 2, 0, 0xd2, 0, NOTHING, FULL, 4, true },
	{ "vpdpwuuds", 2, 0, 0xd3, 0, NOTHING, FULL, 4, true },
};

#endif
