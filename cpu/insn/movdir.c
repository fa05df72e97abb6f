/* SPDX-License-Identifier: MIT */
/* Direct stores, which go past the caches, stores to the queue of a device, and SERIALIZE (SDM vol. 2, each): here all
 * accesses are in order, and nothing is cached. */
#include "cpu/system/system.h"

gen_fn gen_movnti;
GEN(movdiri) { gen_movnti(d, o); }

/* 64 bytes for ES:[register], *LINEAR, which must be aligned to as many: WHY says so. */
static bool load_64_bytes(struct cpu *c, const struct op *o, u8 v[64], u64 *linear, const char *why)
{
	if (!op_load_block(c, o, v, 64) || !seg_linear(c, ES, REG64(o->dst) & op_amask(o), 64, true, linear))
		return false;
	return !(*linear & 63) || gp_because(c, 0, why);
}

BODY(movdir64b)
{
	u64 linear;
	u8 v[64];

	return load_64_bytes(c, o, v, &linear, "the destination is not aligned to 64 bytes (vol. 2, MOVDIR64B)") &&
	       mem_write_block(c, linear, v, sizeof v);
}
GEN_BODY(movdir64b)

BODY(serialize)
{
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(serialize)

/* ---- enqueue stores ---- */

/* No device takes them, so the answer is always "retry", ZF. In a guest the PASID may be one of the guest's. */
static bool enqueue(struct cpu *c, const struct op *o, u64 reserved, bool user)
{
	u64 linear;
	u8 v[64];

	if (!load_64_bytes(c, o, v, &linear, "the destination is not aligned to 64 bytes (vol. 2, ENQCMD)"))
		return false;
	if (get32(v) & reserved)
		return gp_because(c, 0, "reserved bits of the command are set (vol. 2, ENQCMD)");
	if (vmx_guest(c) && vmx_pasid_exits(c, user ? VMEXIT_ENQCMD : VMEXIT_ENQCMDS, user ? (u32)c->pasid : get32(v),
					    user ? c->pasid & 0xfffff : get32(v)))
		return false;
	if (!mem_check_write(c, linear, sizeof v))
		return false;
	cpu_set_arith(c, FL_Z);
	return true;
}

BODY(enqcmd)
{
	if (!(c->pasid >> 31 & 1))
		return gp_because(c, 0, "IA32_PASID is not valid (vol. 2, ENQCMD)");
	return enqueue(c, o, 0xffffffff, true);
}
BODY(enqcmds) { return enqueue(c, o, 0x7ff00000, false); }
GEN_BODY(enqcmd)
GEN_BODY(enqcmds)
