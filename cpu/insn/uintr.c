/* SPDX-License-Identifier: MIT */
/* User interrupts (SDM vol. 3, chapter 8; vol. 2, at each instruction).
 *
 *   target table, 16 bytes an entry: 0 valid | 15-8 vector | 127-64 address of the descriptor
 *   descriptor, 16 bytes, aligned to 64: 0 ON, a notification is under way | 1 SN, none is wanted
 *     23-16 vector of the notification | 63-32 APIC ID; without x2APIC in bits 47-40 | 127-64 vectors that are posted
 *   the handler's stack: vector, RIP, RFLAGS, RSP */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/cet.h"
#include "cpu/system/apic.h"
#include "cpu/system/system.h"
#include "cpu/uintr.h"

enum { UPID_ON = 1, UPID_SN = 2 };
#define UPID_RESERVED 0xff00fffcu
#define UITTE_RESERVED 0xffffffffffff00feu
#define UIF_IN_IMAGE ((u64)1 << 63)
#define UIRET_FLAGS 0x254dd5u

static const struct field uintr_fields[] = {
	FIELD(struct uintr, rr, U64), FIELD(struct uintr, handler, U64), FIELD(struct uintr, stack_adjust, U64),
	FIELD(struct uintr, misc, U64), FIELD(struct uintr, pd, U64), FIELD(struct uintr, tt, U64),
	FIELD(struct uintr, uif, BOOL), FIELD_END
};

bool uintr_new(struct cpu *c)
{
	c->uintr = calloc(1, sizeof *c->uintr);
	if (c->uintr)
		snprintf(c->uintr->name, sizeof c->uintr->name, "uintr%u", c->id);
	return c->uintr;
}

void uintr_reset(struct cpu *c) { memset(c->uintr, 0, offsetof(struct uintr, name)); }

struct part uintr_part(struct cpu *c) { return (struct part){ c->uintr->name, c->uintr, uintr_fields, NULL }; }

/* ---- recognition and delivery ---- */

bool uintr_due(const struct cpu *c)
{
	return c->uintr && c->uintr->rr && c->uintr->uif && c->cr4 & CR4_UINTR && c->cpl == 3 && in_64(c);
}

static bool push_frame(struct cpu *c, unsigned vector)
{
	u64 rsp = c->r[RSP], adjust = c->uintr->stack_adjust;

	c->r[RSP] = (adjust & 1 ? adjust : rsp - adjust) & ~(u64)15;
	if (stack_push(c, 8, rsp) && stack_push(c, 8, cpu_flags(c)) && stack_push(c, 8, c->r[RIP]) &&
	    stack_push(c, 8, vector))
		return true;
	c->r[RSP] = rsp;
	return false;
}

bool uintr_deliver(struct cpu *c)
{
	struct uintr *u = c->uintr;
	unsigned vector = 63 - (unsigned)__builtin_clzll(u->rr);
	bool shadow = cet_on(c, 3, CET_SHSTK);

	if (!canonical(c, u->handler))
		return gp_because(c, 0, "the handler of user interrupts is not at a canonical address (8.4.2)");
	if (shadow && !shadow_check(c, c->ssp - 8, 8, true))
		return false;
	if (!push_frame(c, vector) || (shadow && !shadow_write(c, c->ssp - 8, 8, true, c->r[RIP])))
		return false;
	c->ssp -= shadow ? 8 : 0;
	u->rr &= ~((u64)1 << vector);
	u->uif = false;
	c->eflags &= ~(u32)(FL_T | FL_RF);
	c->step = 0;
	c->rep_at = 0;
	c->r[RIP] = u->handler;
	cet_track_far(c);
	return true;
}

bool uintr_notifies(const struct cpu *c, unsigned vector)
{
	return c->uintr && c->cr4 & CR4_UINTR && in_long(c) && vector == uintr_vector(c->uintr);
}

bool uintr_notified(struct cpu *c)
{
	struct uintr *u = c->uintr;
	u64 low, posted;

	if (c->apic)
		apic_eoi(c->apic);
	if (!sys_read(c, u->pd, 8, &low) || !sys_read(c, u->pd + 8, 8, &posted) ||
	    !sys_write(c, u->pd, 8, low & ~(u64)UPID_ON) || !sys_write(c, u->pd + 8, 8, 0))
		return false;
	u->rr |= posted;
	attend(c, ATTN_LINE);
	return true;
}

/* ---- instructions ---- */

static bool enabled(struct cpu *c) { return c->cr4 & CR4_UINTR || fault_ud(c); }

BODY(clui)
{
	(void)o;
	if (!enabled(c))
		return false;
	c->uintr->uif = false;
	return true;
}
GEN_BODY(clui)

BODY(stui)
{
	(void)o;
	if (!enabled(c))
		return false;
	c->uintr->uif = true;
	attend(c, ATTN_LINE);
	return true;
}
GEN_BODY(stui)

BODY(testui)
{
	(void)o;
	if (!enabled(c))
		return false;
	cpu_set_arith(c, c->uintr->uif ? FL_C : 0);
	return true;
}
GEN_BODY(testui)

static bool pop_frame(struct cpu *c, u64 *rip, u64 *flags, u64 *rsp)
{
	u64 was = c->r[RSP], shadow;
	bool ok = stack_pop(c, 8, rip) && stack_pop(c, 8, flags) && stack_pop(c, 8, rsp);

	c->r[RSP] = was;
	if (!ok)
		return false;
	if (!canonical(c, *rip))
		return gp_because(c, 0, "it returns to an address that is not canonical (vol. 2, UIRET)");
	if (!cet_on(c, c->cpl, CET_SHSTK))
		return true;
	if (!shadow_read(c, c->ssp, 8, c->cpl == 3, &shadow))
		return false;
	if (shadow != *rip)
		return fault_error(c, VEC_CP, CP_FAR_RET);
	c->ssp += 8;
	return true;
}

BODY(uiret)
{
	u64 rip, flags, rsp;

	(void)o;
	if (!enabled(c) || !pop_frame(c, &rip, &flags, &rsp))
		return false;
	cpu_set_flags(c, (u32)flags, UIRET_FLAGS);
	c->r[RSP] = rsp;
	c->r[RIP] = rip;
	c->monitor_armed = false;
	c->uintr->uif = true;
	attend(c, ATTN_LINE);
	return true;
}
GEN_LOOK(uiret)

/* The entry INDEX of the target table: a vector, and a descriptor. */
static bool read_target(struct cpu *c, u64 index, u64 *vector, u64 *descriptor)
{
	u64 at = (c->uintr->tt & ~(u64)15) + 16 * index, low;

	if (index > (u32)c->uintr->misc)
		return gp_because(c, 0, "the target table ends before (vol. 2, SENDUIPI)");
	if (!sys_read(c, at, 8, &low) || !sys_read(c, at + 8, 8, descriptor))
		return false;
	*vector = low >> 8;
	if (!(low & 1) || low & UITTE_RESERVED || *vector > 63 || *descriptor & 63 || !canonical(c, *descriptor))
		return gp_because(c, 0, "the entry of the target table is not valid (vol. 2, SENDUIPI)");
	return true;
}

static void notify(struct cpu *c, u32 id, u8 vector)
{
	cpu_sync(c);
	if (vmx_guest(c) && vmx_apic_sends(c, id, vector))
		return;
	if (c->apic)
		apic_send_fixed(c->apic, id, vector);
}

BODY(senduipi)
{
	u64 vector = 0, at = 0, low, posted;

	if (!enabled(c))
		return false;
	if (!(c->uintr->tt & 1))
		return fault_ud(c);
	if (!read_target(c, reg_get(c, o->dst, 8), &vector, &at) || !sys_read(c, at, 8, &low) ||
	    !sys_read(c, at + 8, 8, &posted))
		return false;
	if (low & UPID_RESERVED)
		return gp_because(c, 0, "a reserved bit of the descriptor is set (vol. 2, SENDUIPI)");
	if (!sys_write(c, at + 8, 8, posted | (u64)1 << vector) ||
	    (!(low & (UPID_ON | UPID_SN)) && !sys_write(c, at, 8, low | UPID_ON)))
		return false;
	if (!(low & (UPID_ON | UPID_SN)))
		notify(c, (u32)(low >> 32), (u8)(low >> 16));
	return true;
}
GEN_BODY(senduipi)

/* ---- the component ----
 *   0 UIHANDLER | 8 UISTACKADJUST | 16 IA32_UINTR_MISC with UIF in bit 63 | 24 UPIDADDR | 32 UIRR | 40 UITTADDR */

bool uintr_in_use(const struct cpu *c)
{
	const struct uintr *u = c->uintr;

	return u && (u->rr | u->handler | u->stack_adjust | u->misc | u->pd | u->tt | u->uif);
}

void uintr_save(const struct cpu *c, u8 image[UINTR_STATE])
{
	const struct uintr *u = c->uintr;
	const u64 words[] = { u->handler, u->stack_adjust, u->misc | (u->uif ? UIF_IN_IMAGE : 0), u->pd, u->rr, u->tt };

	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		put64(image + 8 * i, words[i]);
}

bool uintr_valid(const struct model *m, const u8 image[UINTR_STATE])
{
	return canonical_base(m, get64(image)) && canonical_base(m, get64(image + 8)) && !(get64(image + 8) & 6) &&
	       !(get64(image + 16) & ~UIF_IN_IMAGE & ~(((u64)1 << 40) - 1)) && canonical_base(m, get64(image + 24)) &&
	       !(get64(image + 24) & 63) && canonical_base(m, get64(image + 40)) && !(get64(image + 40) & 14);
}

void uintr_load(struct cpu *c, const u8 *image)
{
	struct uintr *u = c->uintr;

	uintr_reset(c);
	if (!image)
		return;
	u->handler = get64(image);
	u->stack_adjust = get64(image + 8);
	u->misc = get64(image + 16) & ~UIF_IN_IMAGE;
	u->uif = get64(image + 16) & UIF_IN_IMAGE;
	u->pd = get64(image + 24);
	u->rr = get64(image + 32);
	u->tt = get64(image + 40);
	attend(c, ATTN_LINE);
}
