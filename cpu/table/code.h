/* SPDX-License-Identifier: MIT */
/* The identity of an operation: a number for each instruction, made from the table's INSN and INSV rows. ALSO and ALSV rows are further encodings of the same. */
#ifndef CPU_CODE_H
#define CPU_CODE_H

enum code {
	CODE_NONE,  /* no instruction: block.c's own operations, and faults in place of one */
	CODE_STALE, /* block.c: memory has changed since the block was decoded */
#define INSN(mnemonic, ...) CODE_##mnemonic,
#define INSV(mnemonic, variant, ...) CODE_##mnemonic##_##variant,
#include "cpu/table/insn.def"
	CODES
};
_Static_assert(CODES <= 4096, "op.code has 12 bits");

#endif
