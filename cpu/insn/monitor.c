/* SPDX-License-Identifier: MIT */
/* Instructions that wait for a store or for a time: MONITOR and MWAIT, AMD's MONITORX and MWAITX, Intel's WAITPKG,
 * which programs may use (SDM vol. 2, each; APM vol. 3, MONITORX, MWAITX). */
#include "cpu/system/system.h"

bool monitor_enabled(const struct cpu *c)
{
	return is_amd(c->model) ? !(c->hwcr & HWCR_MONITOR_OFF) : c->misc_enable & MISC_MONITOR;
}

/* A store to the line at OFFSET in the segment of O ends the next wait. */
static bool watch_line(struct cpu *c, const struct op *o, u64 offset)
{
	u64 linear, byte;

	if (!seg_linear(c, o->seg, offset & op_amask(o), 1, false, &linear) || !mem_read(c, linear, 1, &byte))
		return false;
	c->monitor_armed = page_peek(c, linear, &c->monitor_phys);
	if (c->monitor_armed) {
		c->monitor_phys &= c->mem->mask;
		monitor_watch(c);
	}
	return true;
}

#define GEN_WATCH(name) BODY_HANDLER(name) GEN(name) { o->seg = d->seg & 7; o->run = h_##name; }

static u64 extensions(const struct cpu *c) { return c->r[RCX] & (in_64(c) ? ~(u64)0 : 0xffffffff); }

BODY(monitor)
{
	if (!monitor_enabled(c))
		return fault_ud(c);
	if (extensions(c))
		return gp_because(c, 0, "ECX is not 0 (vol. 2, MONITOR)");
	return watch_line(c, o, c->r[RAX]);
}
GEN_WATCH(monitor)

BODY(monitorx)
{
	if (extensions(c))
		return gp_because(c, 0, "ECX is not 0 (APM vol. 3, MONITORX)");
	return watch_line(c, o, c->r[RAX]);
}
GEN_WATCH(monitorx)

/* Sleep until a store to the line, an interrupt that may be taken, or, with bit 0 of ECX, any (SDM vol. 2, MWAIT).
 * Hints are just that. */
static void sleep_armed(struct cpu *c, const struct op *o)
{
	if (c->monitor_armed) {
		c->activity = ACTIVITY_MWAIT;
		c->mwait_breaks = c->r[RCX] & 1;
		attend(c, ATTN_LINE);
	}
	c->r[RIP] = next_rip(c, o);
}

BODY(mwait)
{
	if (!monitor_enabled(c))
		return fault_ud(c);
	if (extensions(c) & ~(u64)1)
		return gp_because(c, 0, "a bit of ECX other than 0 is set (vol. 2, MWAIT)");
	sleep_armed(c, o);
	return true;
}
GEN_JUMP(mwait)

/* A wait for a time may end early, for reasons of the implementation: here it ends at once. A program that counts on
 * the time reads the TSC and waits again. */
BODY(mwaitx)
{
	bool timed = c->r[RCX] & 2;

	if (extensions(c) & ~(u64)3)
		return gp_because(c, 0, "a bit of ECX other than 0 and 1 is set (APM vol. 3, MWAITX)");
	if (timed)
		c->r[RIP] = next_rip(c, o);
	else
		sleep_armed(c, o);
	return true;
}
GEN_JUMP(mwaitx)

/* ---- WAITPKG ---- */

/* As for the others, "enable user wait and pause" lets a guest have it (SDM vol. 3, 25.3). */
BODY(umonitor)
{
	if (vmx_guest(c) && !vmx_secondary(c, SEC_USER_WAIT))
		return fault_ud(c);
	return watch_line(c, o, REG64(o->dst));
}
GEN_WATCH(umonitor)

/* Both wait until the TSC is EDX:EAX at the latest, and end at once here. CF would say that IA32_UMWAIT_CONTROL's limit
 * had been reached. */
BODY(tpause)
{
	if (REG32(o->dst) & ~1u)
		return gp_because(c, 0, "a bit of the operand other than 0 is set (vol. 2, TPAUSE, UMWAIT)");
	cpu_set_arith(c, 0);
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(tpause)
GEN_ALIAS(umwait, tpause)
