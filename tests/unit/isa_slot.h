/* SPDX-License-Identifier: MIT */
/* All lists of rows of a compiled table, by a number below 3 * MAPS * 256: without a prefix, with VEX, with EVEX. */
#ifndef TESTS_ISA_SLOT_H
#define TESTS_ISA_SLOT_H

#include "cpu/table/isa.h"

static inline struct isa_row *const *isa_slot(const struct isa *table, unsigned slot)
{
	unsigned map = slot / 3 / 256, opcode = slot / 3 & 255;

	return slot % 3 == 0 ? &table->index[map][opcode]
	       : slot % 3 == 1 ? &table->vex_index[map][opcode] : &table->evex_index[map][opcode];
}

#endif
