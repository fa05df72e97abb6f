/* SPDX-License-Identifier: MIT */
/* Operations that block.c puts before others. */
#ifndef CPU_GUARD_H
#define CPU_GUARD_H

#include "cpu/op.h"

/* An instruction that crosses into the next page has at least a byte there, this far from its first one. */
enum { CROSSING_BYTES = EARLY_BYTES + 1 };

handler stale;          /* in place of the first operation of a block whose bytes have changed */
handler check_crossing; /* imm: the page that the second part of the instruction was read from */
handler observed_point; /* imm: the physical address */
handler magic_point;
/* Which checks of a row with CHECK are made each time in MODE, and what makes those that imm names before the operation
 * behind it, whose operand size it has. */
u32 guard_checks(u32 check, u64 mode);
handler guard, guard_mf;
handler count_branch;   /* before a branch, where a performance counter counts them */
handler note_branch;    /* before a branch, where they are recorded; imm: enum branch */
handler branch_target;  /* in the beginning of a block: where it led */
/* Before an instruction that hooks are for: `hook' is the first, disp the instruction's code. */
handler hooked_insn;
/* In the beginning of a block: hooks of blocks and edges. */
handler hooked_enter;
/* The same, if one hook alone, `hook', is for their kind, at all linear addresses or (and of edges) in a range. */
handler hooked_insn_alone, hooked_insn_ranged, hooked_block_alone, hooked_block_ranged, hooked_edge_alone;
handler hooked_block_counted, hooked_edge_counted; /* and has a map */
/* Before a branch, where hooks ask for edges; imm and disp: instructions and bytes from here to it */
handler hooked_branch;
handler hooked_straight; /* at the end of a block that goes on in another */

#endif
