/* SPDX-License-Identifier: MIT */
/* Transactions that always abort, as with IA32_TSX_CTRL.RTM_DISABLE or on a processor with RTM_ALWAYS_ABORT (SDM
 * vol. 1, chapter 16): XBEGIN goes to its fallback with 0 in EAX. None ever runs. */
#include "cpu/jump.h"

BODY(xbegin)
{
	u64 rip = next_rip(c, o) + (u64)o->imm;

	if (!in_64(c))
		rip &= o->osize == 2 ? 0xffff : 0xffffffff;
	if (!near_target(c, rip))
		return false;
	reg_set(c, 8 * RAX, 4, 0);
	c->r[RIP] = rip;
	return true;
}
GEN_JUMP(xbegin)

BODY(xend) { return gp_because(c, 0, "no transaction runs (vol. 2, XEND)"); }
GEN_BODY(xend)

BODY(xabort)
{
	(void)c;
	return true;
}
GEN_BODY(xabort)

BODY(xtest)
{
	cpu_set_arith(c, FL_Z);
	return true;
}
GEN_BODY(xtest)
