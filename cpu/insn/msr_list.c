/* SPDX-License-Identifier: MIT */
/* Further ways to the model-specific registers: lists of them, WRMSRNS, and those that programs may access by
 * themselves (SDM vol. 2, each). */
#include "cpu/observe.h"
#include "cpu/system/system.h"

/* In VMX non-root operation the MSR bitmaps are for all of them (SDM vol. 3, 25.1.3). */
static bool exits(struct cpu *c, u32 exit, u64 index, bool write)
{
	return vmx_guest(c) && vmx_msr_exits(c, exit, (u32)index, write);
}

/* The exit has the value, which is read by then. */
static bool write_exits(struct cpu *c, u64 index, u64 v)
{
	if (!exits(c, VMEXIT_WRMSRLIST, index, true))
		return false;
	vmcs_set(c, VMCS_MSR_DATA, v);
	return true;
}

bool do_wrmsr(struct cpu *c, const struct op *o);
BODY(wrmsrns) { return do_wrmsr(c, o); }
GEN_LOOK(wrmsrns)

/* RCX has a bit for each of 64 entries of the tables: RSI leads to the numbers, RDI to the values. One of them is done
 * at a time: a fault leaves the bits of those that are not done. */
enum { IA32_BARRIER = 0x2f };
static bool next_entry(struct cpu *c, bool write)
{
	unsigned n = (unsigned)__builtin_ctzll(c->r[RCX]);
	u64 index, v = 0;

	if (!mem_read(c, c->r[RSI] + 8 * n, 8, &index))
		return false;
	if (index >> 32)
		return gp_because(c, 0, "the number of the MSR has more than 32 bits (vol. 2, RDMSRLIST, WRMSRLIST)");
	if (write) {
		if (!mem_read(c, c->r[RDI] + 8 * n, 8, &v) || write_exits(c, index, v) ||
		    (index != IA32_BARRIER && !write_msr(c, (u32)index, v)))
			return false;
	} else if (exits(c, VMEXIT_RDMSRLIST, index, false) || !mem_check_write(c, c->r[RDI] + 8 * n, 8) ||
		   (index != IA32_BARRIER && !read_msr(c, (u32)index, &v)) ||
		   !mem_write(c, c->r[RDI] + 8 * n, 8, v)) {
		return false;
	}
	observe(c, EVENT_MSR, (u32)index, v, 8, write);
	c->r[RCX] &= c->r[RCX] - 1;
	return true;
}

static bool list(struct cpu *c, const struct op *o, bool write)
{
	u64 rip = next_rip(c, o);

	if ((c->r[RSI] | c->r[RDI]) & 7)
		return gp_because(c, 0, "a table is not aligned to 8 bytes (vol. 2, RDMSRLIST, WRMSRLIST)");
	while (c->r[RCX])
		if (!next_entry(c, write))
			return false;
	c->r[RIP] = rip;
	return true;
}
BODY(rdmsrlist) { return list(c, o, false); }
BODY(wrmsrlist) { return list(c, o, true); }
GEN_JUMP(rdmsrlist)
GEN_JUMP(wrmsrlist)

/* ---- MSRs for programs ---- */

/* IA32_USER_MSR_CTL: 0 enable | 63-12 page of a bitmap: a bit for each of 4000h numbers, for reads, then for writes. */
static bool granted(struct cpu *c, u64 index, bool write)
{
	u64 byte;

	if (!(c->user_msr_ctl & 1))
		return fault_ud(c);
	if (index >= 0x4000)
		return gp_because(c, 0, "the number is not below 4000h (vol. 2, URDMSR, UWRMSR)");
	if (!sys_read(c, (c->user_msr_ctl & ~(u64)0xfff) + (write ? 0x800 : 0) + index / 8, 1, &byte))
		return false;
	return byte >> (index & 7) & 1 ||
	       gp_because(c, 0, "the bitmap of IA32_USER_MSR_CTL does not allow it (vol. 2, URDMSR, UWRMSR)");
}

/* The exit comes behind the checks. Its instruction information: 6-3 the register with the value. */
static bool user_may(struct cpu *c, u64 index, bool write, u8 reg)
{
	if (!granted(c, index, write))
		return false;
	if (!exits(c, write ? VMEXIT_UWRMSR : VMEXIT_URDMSR, index, write))
		return true;
	vmx_describe(c, (u64)vmx_register(c, reg) << 16);
	return false;
}

BODY(urdmsr)
{
	u64 index = REG64(o->src), v;

	if (!user_may(c, index, false, o->dst) || !read_msr(c, (u32)index, &v))
		return false;
	REG64(o->dst) = v;
	return true;
}
GEN_BODY(urdmsr)

/* Those that UWRMSR could write, IA32_UINTR_TIMER and IA32_UARCH_MISC_CTL, no model has. */
BODY(uwrmsr)
{
	u64 index = REG64(o->dst);

	return user_may(c, index, true, o->src) &&
	       gp_because(c, 0, "UWRMSR does not write this MSR (vol. 2, UWRMSR)");
}
GEN_BODY(uwrmsr)
