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
	{ "vminmaxbf16", 3, 3, 0x52, 0, NOTHING, FULL, 2, true },
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
	{ "vcvttpd2dqs", 5, 0, 0x6d, 1, SAE, FULL, 8, true },
	{ "vcvttpd2qqs", 5, 1, 0x6d, 1, SAE, FULL, 8, true },
	{ "vcvttpd2udqs", 5, 0, 0x6c, 1, SAE, FULL, 8, true },
	{ "vcvttpd2uqqs", 5, 1, 0x6c, 1, SAE, FULL, 8, true },
	{ "vcvttps2dqs", 5, 0, 0x6d, 0, SAE, FULL, 4, true },
	{ "vcvttps2qqs", 5, 1, 0x6d, 0, SAE, HALF, 4, true },
	{ "vcvttps2udqs", 5, 0, 0x6c, 0, SAE, FULL, 4, true },
	{ "vcvttps2uqqs", 5, 1, 0x6c, 0, SAE, HALF, 4, true },
	{ "vcvttsd2sis", 5, 3, 0x6d, ANY, SAE, ONE, 8, false },
	{ "vcvttsd2usis", 5, 3, 0x6c, ANY, SAE, ONE, 8, false },
	{ "vcvttss2sis", 5, 2, 0x6d, ANY, SAE, ONE, 4, false },
	{ "vcvttss2usis", 5, 2, 0x6c, ANY, SAE, ONE, 4, false },
	{ "vcvtbf162ibs", 5, 3, 0x69, 0, NOTHING, FULL, 2, true },
	{ "vcvtbf162iubs", 5, 3, 0x6b, 0, NOTHING, FULL, 2, true },
	{ "vcvtph2ibs", 5, 0, 0x69, 0, ER, FULL, 2, true },
	{ "vcvtph2iubs", 5, 0, 0x6b, 0, ER, FULL, 2, true },
	{ "vcvtps2ibs", 5, 1, 0x69, 0, ER, FULL, 4, true },
	{ "vcvtps2iubs", 5, 1, 0x6b, 0, ER, FULL, 4, true },
	{ "vcvttbf162ibs", 5, 3, 0x68, 0, NOTHING, FULL, 2, true },
	{ "vcvttbf162iubs", 5, 3, 0x6a, 0, NOTHING, FULL, 2, true },
	{ "vcvttph2ibs", 5, 0, 0x68, 0, SAE, FULL, 2, true },
	{ "vcvttph2iubs", 5, 0, 0x6a, 0, SAE, FULL, 2, true },
	{ "vcvttps2ibs", 5, 1, 0x68, 0, SAE, FULL, 4, true },
	{ "vcvttps2iubs", 5, 1, 0x6a, 0, SAE, FULL, 4, true },
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
	{ "vaddbf16", 5, 1, 0x58, 0, NOTHING, FULL, 2, true },
	{ "vcmpbf16", 3, 3, 0xc2, 0, NOTHING, FULL, 2, true },
	{ "vcomisbf16", 5, 1, 0x2f, 0, NOTHING, ONE, 2, false },
	{ "vdivbf16", 5, 1, 0x5e, 0, NOTHING, FULL, 2, true },
	{ "vfmadd132bf16", 6, 0, 0x98, 0, NOTHING, FULL, 2, true },
	{ "vfmadd213bf16", 6, 0, 0xa8, 0, NOTHING, FULL, 2, true },
	{ "vfmadd231bf16", 6, 0, 0xb8, 0, NOTHING, FULL, 2, true },
	{ "vfmsub132bf16", 6, 0, 0x9a, 0, NOTHING, FULL, 2, true },
	{ "vfmsub213bf16", 6, 0, 0xaa, 0, NOTHING, FULL, 2, true },
	{ "vfmsub231bf16", 6, 0, 0xba, 0, NOTHING, FULL, 2, true },
	{ "vfnmadd132bf16", 6, 0, 0x9c, 0, NOTHING, FULL, 2, true },
	{ "vfnmadd213bf16", 6, 0, 0xac, 0, NOTHING, FULL, 2, true },
	{ "vfnmadd231bf16", 6, 0, 0xbc, 0, NOTHING, FULL, 2, true },
	{ "vfnmsub132bf16", 6, 0, 0x9e, 0, NOTHING, FULL, 2, true },
	{ "vfnmsub213bf16", 6, 0, 0xae, 0, NOTHING, FULL, 2, true },
	{ "vfnmsub231bf16", 6, 0, 0xbe, 0, NOTHING, FULL, 2, true },
	{ "vfpclassbf16", 3, 3, 0x66, 0, NOTHING, FULL, 2, true },
	{ "vgetexpbf16", 6, 0, 0x42, 0, NOTHING, FULL, 2, true },
	{ "vgetmantbf16", 3, 3, 0x26, 0, NOTHING, FULL, 2, true },
	{ "vmaxbf16", 5, 1, 0x5f, 0, NOTHING, FULL, 2, true },
	{ "vminbf16", 5, 1, 0x5d, 0, NOTHING, FULL, 2, true },
	{ "vmulbf16", 5, 1, 0x59, 0, NOTHING, FULL, 2, true },
	{ "vrcpbf16", 6, 0, 0x4c, 0, NOTHING, FULL, 2, true },
	{ "vreducebf16", 3, 3, 0x56, 0, NOTHING, FULL, 2, true },
	{ "vrndscalebf16", 3, 3, 0x08, 0, NOTHING, FULL, 2, true },
	{ "vrsqrtbf16", 6, 0, 0x4e, 0, NOTHING, FULL, 2, true },
	{ "vscalefbf16", 6, 0, 0x2c, 0, NOTHING, FULL, 2, true },
	{ "vsqrtbf16", 5, 1, 0x51, 0, NOTHING, FULL, 2, true },
	{ "vsubbf16", 5, 1, 0x5c, 0, NOTHING, FULL, 2, true },
};

#endif
