/* SPDX-License-Identifier: MIT */
/* CRC32 (SSE4.2): polynomial 11EDC6F41h, least significant bit first. */
#include "cpu/op.h"

static u32 crc32c(u32 crc, u64 data, unsigned size)
{
	/* The remainders of the 16 values of four bits. */
	static const u32 table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (unsigned i = 0; i < 2 * size; i++, data >>= 4)
		crc = crc >> 4 ^ table[(crc ^ data) & 15];
	return crc;
}

ALWAYS_INLINE bool crc32_body(struct cpu *c, const struct op *o, unsigned size)
{
	u64 v;

	if (!rm_load(c, o, o->src, size, &v))
		return false;
	reg_set(c, o->dst, 8, crc32c(REG32(o->dst), v, size));
	return true;
}

BODY(crc32_8) { return crc32_body(c, o, 1); }
BODY_HANDLER(crc32_8)
BODY(crc32_16) { return crc32_body(c, o, 2); }
BODY_HANDLER(crc32_16)
BODY(crc32_32) { return crc32_body(c, o, 4); }
BODY_HANDLER(crc32_32)
BODY(crc32_64) { return crc32_body(c, o, 8); }
BODY_HANDLER(crc32_64)
GEN(crc32)
{
	unsigned size = dec_size(d, 1);

	o->run = size == 1 ? h_crc32_8 : size == 2 ? h_crc32_16 : size == 4 ? h_crc32_32 : h_crc32_64;
}
