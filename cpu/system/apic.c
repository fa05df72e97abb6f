/* SPDX-License-Identifier: MIT */
/* The local APIC (SDM vol. 3, chapter 11): priorities, the timer, LINT pins, messages; through its page in memory or,
 * as x2APIC, through MSRs. */
#include <stdlib.h>
#include "cpu/system/apic.h"
#include "cpu/system/paravirt.h"

enum { LVT_MASKED = 1 << 16, LVT_MODE = 7 << 8, LVT_LEVEL = 1 << 15, LVT_RIRR = 1 << 14, LVT_TIMER = 3 << 17,
	TIMER_PERIODIC = 1 << 17,
       TIMER_DEADLINE = 2 << 17 };
enum { FIXED, LOWEST, SMI, NMI = 4, INIT, SIPI, EXTINT };
enum { ESR_SEND_VECTOR = 0x20, ESR_RECEIVE_VECTOR = 0x40, ESR_REGISTER = 0x80 };
enum { BASE_BSP = 1 << 8, BASE_X2 = 1 << 10, BASE_ENABLE = 1 << 11 };
enum { SVR_ENABLE = 1 << 8 };

#define CRYSTAL_NS 40u /* of the 25 MHz that CPUID leaf 15h shows: the timer's clock before its divider */
#define VERSION 0x00050014u /* six LVT entries | integrated APIC */

static bool on(const struct apic *a) { return a->cpu->apic_base & BASE_ENABLE; }
static bool x2(const struct apic *a)
{
	return (a->cpu->apic_base & (BASE_ENABLE | BASE_X2)) == (BASE_ENABLE | BASE_X2);
}
static bool in_memory(const struct apic *a) { return on(a) && !x2(a); }
static bool software_on(const struct apic *a) { return on(a) && a->svr & SVR_ENABLE; }

/* ---- the 256-bit registers ---- */

static void set_bit(u32 *r, unsigned n) { r[n >> 5] |= 1u << (n & 31); }
static void clear_bit(u32 *r, unsigned n) { r[n >> 5] &= ~(1u << (n & 31)); }
static bool test_bit(const u32 *r, unsigned n) { return r[n >> 5] >> (n & 31) & 1; }

static int highest(const u32 *r)
{
	for (int i = 7; i >= 0; i--)
		if (r[i])
			return i * 32 + 31 - __builtin_clz(r[i]);
	return -1;
}

static u8 ppr(const struct apic *a)
{
	int isr = highest(a->isr);
	u8 in_service = isr < 0 ? 0 : isr & 0xf0;

	return (a->tpr & 0xf0) >= in_service ? a->tpr : in_service;
}

/* ---- forwarded interrupts in ---- */

static void error(struct apic *a, u32 bits);

void apic_look_for_eoi(struct apic *a)
{
	if (unlikely(a->cpu->paravirt != NULL) && paravirt_take_eoi(a->cpu))
		apic_eoi(a);
}

static void accept(struct apic *a, unsigned vector, bool level)
{
	if (vector < 16) {
		error(a, ESR_RECEIVE_VECTOR);
		return;
	}
	apic_look_for_eoi(a);
	set_bit(a->irr, vector);
	if (level)
		set_bit(a->tmr, vector);
	else
		clear_bit(a->tmr, vector);
	cpu_attention(a->cpu);
}

/* Accept a message that is addressed to this APIC. */
static void deliver(struct apic *a, unsigned mode, unsigned vector, bool level)
{
	struct cpu *c = a->cpu;

	switch (mode) {
	case FIXED: case LOWEST:
		if (software_on(a))
			accept(a, vector, level);
		break;
	case SMI:
		if (has(c->model, F_PENTIUM))
			c->smi_pending = true;
		cpu_attention(c);
		break;
	case NMI:
		cpu_nmi(c, 0, true);
		break;
	case INIT:
		c->init_pending = true;
		c->sipi_pending = false;
		cpu_attention(c);
		break;
	case SIPI: /* only a processor in wait-for-SIPI accepts it, and only the first one */
		if (c->sipi_pending || (c->activity != ACTIVITY_WAIT_SIPI && !c->init_pending))
			break;
		c->sipi_pending = true;
		c->sipi_vector = (u8)vector;
		cpu_attention(c);
		break;
	case EXTINT:
		a->extint = true;
		cpu_attention(c);
		break;
	}
}

/* Raise an interrupt of the local vector table. */
static void local(struct apic *a, u32 lvt)
{
	if (!(lvt & LVT_MASKED) && software_on(a))
		deliver(a, lvt >> 8 & 7, lvt & 0xff, false);
}

/* Intel's processors mask the entry until software has seen to the counter (SDM vol. 3, 20.6.3.5.8). */
void apic_performance(struct apic *a)
{
	local(a, a->lvt[LVT_PERFORMANCE]);
	if (!is_amd(a->cpu->model))
		a->lvt[LVT_PERFORMANCE] |= LVT_MASKED;
}

static void error(struct apic *a, u32 bits)
{
	bool first = !(a->errors & bits);

	a->errors |= bits;
	if (first && (a->lvt[LVT_ERROR] & 0xff) >= 16)
		local(a, a->lvt[LVT_ERROR] & ~(u32)LVT_MODE);
}

#define EVERYBODY 0xffffffffu

/* Is a message to DEST addressed to this APIC? SDM vol. 3, 11.6.2. */
static bool addressed(const struct apic *a, u32 dest, bool logical)
{
	if (dest == EVERYBODY || (dest == 0xff && !x2(a)))
		return true;
	if (!logical)
		return dest == a->id;
	if (x2(a)) {
		u32 ldr = a->id >> 4 << 16 | 1u << (a->id & 15);

		return dest >> 16 == ldr >> 16 && dest & ldr & 0xffff;
	}
	if (a->dfr >> 28 == 15) /* flat: a bit for each */
		return dest & a->ldr >> 24;
	return dest >> 4 == a->ldr >> 28 && dest & (a->ldr >> 24 & 15); /* cluster */
}

/* Deliver a message of the bus. Lowest priority (11.6.2.4): to the addressed APIC whose processor priority is the
 * lowest. */
static void bus(const struct cpus *all, const struct apic *but, u32 dest, bool logical, unsigned mode, unsigned vector,
		bool level)
{
	struct apic *lowest = NULL;

	for (unsigned i = 0; i < all->count; i++) {
		struct apic *a = all->cpu[i]->apic;

		if (a == but || !on(a) || !addressed(a, dest, logical))
			continue;
		if (mode != LOWEST) {
			deliver(a, mode, vector, level);
			continue;
		}
		apic_look_for_eoi(a);
		if (software_on(a) && (!lowest || ppr(a) < ppr(lowest)))
			lowest = a;
	}
	if (lowest)
		deliver(lowest, FIXED, vector, level);
}

/* Address: 19-12 destination | 3 redirection hint | 2 logical. Data: 7-0 vector | 10-8 mode | 14 assert | 15 level. */
void apic_message(void *apic, u64 address, u32 data)
{
	u32 dest = address >> 12 & 0xff;

	bus(((struct apic *)apic)->cpu->all, NULL, dest == 0xff ? EVERYBODY : dest, address >> 2 & 1, data >> 8 & 7,
	    data & 0xff, data >> 15 & 1);
}

void apic_send_fixed(struct apic *a, u32 id, u8 vector)
{
	bus(a->cpu->all, NULL, x2(a) ? id : id >> 8 & 0xff, false, FIXED, vector, false);
}

struct apic *apic_find(const struct cpus *all, u32 id)
{
	for (unsigned i = 0; i < all->count; i++)
		if (all->cpu[i]->apic && on(all->cpu[i]->apic) && all->cpu[i]->apic->id == id)
			return all->cpu[i]->apic;
	return NULL;
}

/* ---- what the processor asks ---- */

static bool extint_wanted(const struct apic *a)
{
	if (!on(a))
		return a->lint[0]; /* LINT0 is INTR */
	if (a->extint)
		return true;
	return a->lint[0] && !(a->lvt[LVT_LINT0] & LVT_MASKED) && (a->lvt[LVT_LINT0] >> 8 & 7) == EXTINT;
}

bool apic_pending(const struct apic *a)
{
	int irr = highest(a->irr);

	if (irr >= 0 && software_on(a) && (irr & 0xf0) > (ppr(a) & 0xf0))
		return true;
	return extint_wanted(a);
}

int apic_acknowledge(struct apic *a)
{
	int irr = highest(a->irr);

	if (irr >= 0 && software_on(a) && (irr & 0xf0) > (ppr(a) & 0xf0)) {
		clear_bit(a->irr, (unsigned)irr);
		if (unlikely(a->cpu->paravirt != NULL) && highest(a->isr) < 0 && highest(a->irr) < 0 &&
		    !test_bit(a->tmr, (unsigned)irr))
			paravirt_offer_eoi(a->cpu);
		set_bit(a->isr, (unsigned)irr);
		return irr;
	}
	if (extint_wanted(a)) {
		a->extint = false;
		return -1;
	}
	return a->svr & 0xff; /* the interrupt was withdrawn: the spurious vector, which is not in service */
}

void apic_eoi(struct apic *a)
{
	int isr = highest(a->isr);

	if (isr < 0)
		return;
	clear_bit(a->isr, (unsigned)isr);
	if (test_bit(a->tmr, (unsigned)isr)) {
		for (unsigned n = 0; n < 2; n++)
			if ((a->lvt[LVT_LINT0 + n] & 0xff) == (unsigned)isr)
				a->lvt[LVT_LINT0 + n] &= ~(u32)LVT_RIRR;
		if (a->eoi)
			a->eoi(a->eoi_owner, (u8)isr);
		if (a->lint[0])
			apic_lint(a, 0, true);
	}
	cpu_attention(a->cpu);
}

void apic_set_eoi(struct apic *a, void (*fn)(void *owner, u8 vector), void *owner)
{
	a->eoi = fn;
	a->eoi_owner = owner;
}

u8 apic_get_tpr(const struct apic *a) { return a->tpr; }

void apic_set_tpr(struct apic *a, u8 tpr)
{
	a->tpr = tpr;
	cpu_attention(a->cpu);
}

/* ---- pins ---- */

void apic_lint(void *apic, int n, bool level)
{
	struct apic *a = apic;
	bool rising = level && !a->lint[n & 1];
	u32 *lvt = &a->lvt[LVT_LINT0 + (n & 1)];
	unsigned mode = *lvt >> 8 & 7;

	n &= 1;
	a->lint[n] = level;
	if (!on(a)) {
		if (n == 1 && rising)
			cpu_nmi(a->cpu, 0, true);
		cpu_attention(a->cpu);
		return;
	}
	cpu_attention(a->cpu);
	if (mode == EXTINT || *lvt & LVT_MASKED || !software_on(a))
		return; /* ExtINT is read when the processor acknowledges an interrupt */
	if (mode == FIXED && *lvt & LVT_LEVEL) {
		if (level && !(*lvt & LVT_RIRR)) {
			*lvt |= LVT_RIRR;
			accept(a, *lvt & 0xff, true);
		}
	} else if (rising) {
		local(a, *lvt);
	}
}

/* ---- the timer ---- */

/* Bits 3, 1, 0: divide by 2, 4, 8 .. 128, 1. */
static unsigned divider(const struct apic *a)
{
	unsigned v = (a->divide >> 1 & 4) | (a->divide & 3);

	return v == 7 ? 1 : 2u << v;
}

static bool deadline_mode(const struct apic *a) { return (a->lvt[LVT_TIMER_ENTRY] & LVT_TIMER) == TIMER_DEADLINE; }
static u64 period(const struct apic *a) { return (u64)a->initial * divider(a) * CRYSTAL_NS; }

static void arm(struct apic *a, u64 when)
{
	clock_arm(a->clock, &a->timer, when);
	cpu_attention(a->cpu);
}

static u32 current_count(const struct apic *a)
{
	u64 left;

	if (deadline_mode(a) || a->timer.when == CLOCK_NEVER || a->timer.when <= a->clock->now)
		return 0;
	left = a->timer.when - a->clock->now;
	return (u32)((left + divider(a) * CRYSTAL_NS - 1) / (divider(a) * CRYSTAL_NS));
}

static void start(struct apic *a)
{
	if (deadline_mode(a))
		return;
	arm(a, a->initial ? clock_in(a->clock, period(a)) : CLOCK_NEVER);
}

static void timer_fire(void *apic, u64 late)
{
	struct apic *a = apic;
	u32 lvt = a->lvt[LVT_TIMER_ENTRY];

	a->cpu->tsc_deadline = 0;
	if ((lvt & LVT_TIMER) == TIMER_PERIODIC && a->initial) {
		u64 next = period(a);

		/* The next end of a period, also if time has passed several of them. */
		arm(a, clock_in(a->clock, next - late % next));
	}
	local(a, lvt);
}

void apic_write_deadline(struct apic *a, u64 tsc)
{
	u64 now = a->clock->now + a->cpu->tsc_offset;

	if (!deadline_mode(a))
		return;
	a->cpu->tsc_deadline = tsc;
	if (!tsc)
		arm(a, CLOCK_NEVER);
	else
		arm(a, tsc > now ? clock_in(a->clock, tsc - now) : a->clock->now);
}

u64 apic_read_deadline(const struct apic *a) { return deadline_mode(a) ? a->cpu->tsc_deadline : 0; }

static void write_timer_lvt(struct apic *a, u32 v)
{
	u32 modes = has(a->cpu->model, F_TSC_DEADLINE) ? LVT_TIMER : TIMER_PERIODIC;
	bool was = deadline_mode(a);

	a->lvt[LVT_TIMER_ENTRY] = v & (0xff | LVT_MASKED | modes);
	if (was != deadline_mode(a)) {
		a->cpu->tsc_deadline = 0;
		a->initial = 0;
		arm(a, CLOCK_NEVER);
	}
}

/* The divider changes while the counter runs: the rest of the count runs at the new speed. */
static void write_divide(struct apic *a, u32 v)
{
	u32 left = current_count(a);

	a->divide = v & 11;
	if (left)
		arm(a, clock_in(a->clock, (u64)left * divider(a) * CRYSTAL_NS));
}

/* ---- sending ---- */

/* 7-0 vector | 10-8 mode | 11 logical | 14 assert | 15 level | 19-18 shorthand */
enum { SELF = 1, ALL, ALL_BUT_SELF };
static void send(struct apic *a)
{
	u32 low = (u32)a->icr;
	unsigned mode = low >> 8 & 7, vector = low & 0xff, shorthand = low >> 18 & 3;
	u32 dest = x2(a) ? (u32)(a->icr >> 32) : (u32)(a->icr >> 56);

	if (mode == EXTINT || mode == 3)
		return;
	if (mode == INIT && !(low & 1 << 14))
		return; /* INIT level de-assert sets arbitration IDs, which processors do not have any more */
	if ((mode == FIXED || mode == LOWEST) && vector < 16) {
		error(a, ESR_SEND_VECTOR);
		return;
	}
	if (shorthand == SELF)
		deliver(a, mode, vector, false);
	else
		bus(a->cpu->all, shorthand == ALL_BUT_SELF ? a : NULL, shorthand ? EVERYBODY : dest,
		    low >> 11 & 1 && !shorthand, mode, vector, false);
}

void apic_deliver(struct apic *a, u32 icr)
{
	unsigned mode = icr >> 8 & 7;

	if (mode != EXTINT && mode != 3)
		deliver(a, mode, icr & 0xff, false);
}

/* ---- registers, by their offset in the page ---- */

static int lvt_entry(unsigned reg) { return reg >= 0x320 && reg <= 0x370 ? (int)(reg - 0x320) >> 4 : -1; }

static bool read_register(struct apic *a, unsigned reg, u32 *v)
{
	int entry = lvt_entry(reg);

	if (entry >= 0) {
		*v = a->lvt[entry];
		return true;
	}
	if (reg >= 0x100 && reg < 0x280) {
		const u32 *r = reg < 0x180 ? a->isr : reg < 0x200 ? a->tmr : a->irr;

		*v = r[reg >> 4 & 7];
		return true;
	}
	switch (reg) {
	case 0x20: *v = x2(a) ? a->id : a->id << 24; return true;
	case 0x30: *v = VERSION; return true;
	case 0x80: *v = a->tpr; return true;
	case 0x90: *v = 0; return !x2(a);
	case 0xa0: *v = ppr(a); return true;
	case 0xb0: *v = 0; return !x2(a);
	case 0xd0: *v = x2(a) ? a->id >> 4 << 16 | 1u << (a->id & 15) : a->ldr; return true;
	case 0xe0: *v = a->dfr; return !x2(a);
	case 0xf0: *v = a->svr; return true;
	case 0x280: *v = a->esr; return true;
	case 0x300: *v = (u32)a->icr; return true;
	case 0x310: *v = (u32)(a->icr >> 32); return !x2(a);
	case 0x380: *v = a->initial; return true;
	case 0x390: *v = current_count(a); return true;
	case 0x3e0: *v = a->divide; return true;
	default: *v = 0; return false;
	}
}

static void write_lvt(struct apic *a, unsigned entry, u32 v)
{
	/* timer, thermal, performance, LINT0, LINT1, error */
	static const u32 writable[] = { 0, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff };

	if (!software_on(a))
		v |= LVT_MASKED;
	if (entry == LVT_TIMER_ENTRY) {
		write_timer_lvt(a, v);
		return;
	}
	a->lvt[entry] = (v & writable[entry]) | (a->lvt[entry] & LVT_RIRR & (v & LVT_LEVEL ? LVT_RIRR : 0));
	if (entry == LVT_LINT0 || entry == LVT_LINT1)
		apic_lint(a, (int)(entry - LVT_LINT0), a->lint[entry - LVT_LINT0]);
}

static bool write_register(struct apic *a, unsigned reg, u32 v)
{
	int entry = lvt_entry(reg);

	if (entry >= 0) {
		write_lvt(a, (unsigned)entry, v);
		return true;
	}
	switch (reg) {
	case 0x20:
		if (x2(a))
			return false;
		a->id = v >> 24;
		return true;
	case 0x80: apic_set_tpr(a, (u8)v); return true;
	case 0xb0: apic_eoi(a); return true;
	case 0xd0:
		if (x2(a))
			return false;
		a->ldr = v & 0xff000000;
		return true;
	case 0xe0:
		if (x2(a))
			return false;
		a->dfr = v | 0x0fffffff;
		return true;
	case 0xf0:
		a->svr = v & 0x1ff;
		if (!(v & SVR_ENABLE))
			for (unsigned i = 0; i < LVT_ENTRIES; i++)
				a->lvt[i] |= LVT_MASKED;
		cpu_attention(a->cpu);
		return true;
	case 0x280:
		a->esr = a->errors;
		a->errors = 0;
		return true;
	case 0x300:
		a->icr = (a->icr & ~(u64)0xffffffff) | (v & 0xccfff);
		send(a);
		return true;
	case 0x310:
		a->icr = (u32)a->icr | (u64)v << 32;
		return !x2(a);
	case 0x380:
		if (deadline_mode(a))
			return true;
		a->initial = v;
		start(a);
		return true;
	case 0x3e0: write_divide(a, v); return true;
	default: return false;
	}
}

/* Each processor accesses its own APIC. Without one there, reads are ones and writes are ignored. */
static struct apic *own_page(const struct apic *any)
{
	struct apic *a = cpus_running(any->cpu->all)->apic;

	return in_memory(a) && (a->cpu->apic_base & PAGE_MASK) == any->placed ? a : NULL;
}

static u64 page_read(void *apic, u64 offset, unsigned size)
{
	struct apic *a = own_page(apic);
	u32 v = 0;

	(void)size;
	if (!a)
		return ~(u64)0;
	apic_look_for_eoi(a);
	if (!(offset & 15) && !read_register(a, (unsigned)offset & 0xff0, &v))
		error(a, ESR_REGISTER);
	return v;
}

static void page_write(void *apic, u64 offset, unsigned size, u64 v)
{
	struct apic *a = own_page(apic);

	(void)size;
	if (a)
		apic_look_for_eoi(a);
	if (a && !(offset & 15) && !write_register(a, (unsigned)offset & 0xff0, (u32)v))
		error(a, ESR_REGISTER);
}

static const struct device_ops page_ops = { page_read, page_write, 4, 4 };

/* x2APIC (11.12): MSR 800h + register / 16. ICR is one 64-bit register; 83Fh is SELF IPI. */
bool apic_read_msr(struct apic *a, u32 index, u64 *v)
{
	unsigned reg = (index & 0xff) << 4;
	u32 low;

	if (!x2(a) || reg == 0x310)
		return false;
	apic_look_for_eoi(a);
	if (reg == 0x300) {
		*v = a->icr;
		return true;
	}
	if (!read_register(a, reg, &low))
		return false;
	*v = low;
	return true;
}

bool apic_write_msr(struct apic *a, u32 index, u64 v)
{
	unsigned reg = (index & 0xff) << 4;

	if (!x2(a))
		return false;
	apic_look_for_eoi(a);
	if (reg == 0x300) {
		if (v & 0xfff32000)
			return false;
		a->icr = v;
		send(a);
		return true;
	}
	if (reg == 0x3f0) {
		if (v & ~(u64)0xff)
			return false;
		if (v < 16)
			error(a, ESR_SEND_VECTOR);
		else
			deliver(a, FIXED, (unsigned)v, false);
		return true;
	}
	if (v >> 32 || reg == 0x310 || ((reg == 0xb0 || reg == 0x280) && v) || (reg == 0x80 && v > 0xff))
		return false;
	return write_register(a, reg, (u32)v);
}

/* ---- where it is, and life ---- */

static void place_one(struct apic *a, bool wanted)
{
	u64 base = a->cpu->apic_base & PAGE_MASK;

	if (a->range >= 0 && (!wanted || base != a->placed)) {
		space_remove(a->mem, a->range);
		a->range = -1;
	}
	if (wanted && a->range < 0) {
		a->range = space_add_device(a->mem, "local apic", base, PAGE_SIZE, &page_ops, a);
		space_rank(a->mem, a->range, 3); /* it covers RAM and other devices at its addresses */
		a->placed = base;
	}
}

/* The pages of all APICs are usually at one address. They share one range, which is the first one's. */
static void place(struct apic *changed)
{
	const struct cpus *all = changed->cpu->all;

	for (unsigned i = 0; i < all->count; i++) {
		struct apic *a = all->cpu[i]->apic;
		bool first = true;

		for (unsigned k = 0; a && k < i && first; k++)
			first = !in_memory(all->cpu[k]->apic) ||
				(all->cpu[k]->apic_base ^ a->cpu->apic_base) & PAGE_MASK;
		if (a)
			place_one(a, in_memory(a) && first);
	}
}

static void clear(struct apic *a)
{
	memset(a->isr, 0, sizeof a->isr);
	memset(a->irr, 0, sizeof a->irr);
	memset(a->tmr, 0, sizeof a->tmr);
	a->tpr = 0;
	a->ldr = 0;
	a->dfr = 0xffffffff;
	a->svr = 0xff;
	a->esr = a->errors = 0;
	a->icr = 0;
	a->initial = a->divide = 0;
	a->extint = false;
	for (unsigned i = 0; i < LVT_ENTRIES; i++)
		a->lvt[i] = LVT_MASKED;
	a->cpu->tsc_deadline = 0;
	arm(a, CLOCK_NEVER);
}

/* SDM vol. 3, 11.4.4: the legal transitions of IA32_APIC_BASE. */
bool apic_set_base(struct apic *a, u64 v)
{
	const struct model *m = a->cpu->model;
	u64 all =
		(((u64)1 << m->physical_bits) - PAGE_SIZE) | BASE_BSP | BASE_ENABLE | (has(m, F_X2APIC) ? BASE_X2 : 0);
	u64 was = a->cpu->apic_base;

	if (v & ~all || (v & (BASE_X2 | BASE_ENABLE)) == BASE_X2)
		return gp_because(a->cpu, 0, "IA32_APIC_BASE takes no such value (11.4.4)");
	if (was & BASE_X2 && v & BASE_ENABLE && !(v & BASE_X2))
		return gp_because(a->cpu, 0, "the local APIC leaves x2APIC mode only by being disabled (11.12.5)");
	if (!(was & BASE_ENABLE) && v & BASE_X2)
		return gp_because(a->cpu, 0, "the local APIC must be enabled before x2APIC mode is (11.12.5)");
	a->cpu->apic_base = v;
	if (was & BASE_ENABLE && !(v & BASE_ENABLE))
		clear(a);
	if (!(was & BASE_X2) && v & BASE_X2)
		a->id = a->cpu->id;
	place(a);
	cpu_attention(a->cpu);
	return true;
}

/* After RESET a PC gets its interrupts from the 8259s (MP specification 1.4, 3.6.2): on the boot processor in virtual
 * wire mode. Firmware sets this mode up, but a machine can have none. */
void apic_reset(struct apic *a, bool init)
{
	bool boot = a->cpu->id == 0;

	clear(a);
	if (init)
		return;
	a->cpu->apic_base = 0xfee00000 | BASE_ENABLE | (boot ? BASE_BSP : 0);
	a->id = a->cpu->id;
	place(a);
	if (boot)
		apic_virtual_wire(a);
}

void apic_virtual_wire(struct apic *a)
{
	a->svr |= SVR_ENABLE;
	a->lvt[LVT_LINT0] = EXTINT << 8;
	a->lvt[LVT_LINT1] = NMI << 8;
	cpu_attention(a->cpu);
}

struct apic *apic_new(struct cpu *c, struct clock *clock, struct space *mem)
{
	struct apic *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->cpu = c;
	a->clock = clock;
	a->mem = mem;
	a->range = -1;
	clock_add(clock, &a->timer, c->timer_name, timer_fire, a);
	clock_arm(clock, &a->timer, CLOCK_NEVER);
	return a;
}

void apic_free(struct apic *a) { free(a); }

/* After a load: map the page where IA32_APIC_BASE has it. */
void apic_refresh(struct apic *a)
{
	place(a);
	cpu_attention(a->cpu);
}

static void loaded(void *apic) { apic_refresh(apic); }

struct part apic_part(struct apic *a)
{
	static const struct field fields[] = {
		FIELD(struct apic, id, U32), FIELD(struct apic, tpr, U8), FIELDS(struct apic, isr, U32),
			FIELDS(struct apic, irr, U32),
		FIELDS(struct apic, tmr, U32), FIELD(struct apic, ldr, U32), FIELD(struct apic, dfr, U32),
		FIELD(struct apic, svr, U32),
		FIELD(struct apic, esr, U32), FIELD(struct apic, errors, U32), FIELD(struct apic, icr, U64),
		FIELDS(struct apic, lvt, U32),
		FIELD(struct apic, initial, U32), FIELD(struct apic, divide, U32), FIELDS(struct apic, lint, BOOL),
		FIELD(struct apic, extint, BOOL), FIELD(struct apic, timer, EVENT), FIELD_END
	};

	return (struct part){ a->cpu->apic_name, a, fields, loaded };
}
