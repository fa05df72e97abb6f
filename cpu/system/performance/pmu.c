/* SPDX-License-Identifier: MIT */
#include "cpu/system/performance/pmu.h"
#include "cpu/system/system.h"

/* IA32_PERFEVTSELx, and with more bits AMD's PERF_CTLn:
 *    7-0 event | 15-8 unit mask | 16 user | 17 OS | 18 edge | 19 pin | 20 interrupt | 22 on | 23 invert
 *    31-24 mask of the counter | AMD: 35-32 event | 40 guest | 41 host
 * IA32_FIXED_CTR_CTRL, 4 bits a counter: 0 OS | 1 user | 3 interrupt
 * IA32_PERF_GLOBAL_CTRL, _STATUS, _OVF_CTRL:
 *    3-0 IA32_PMCx | 34-32 IA32_FIXED_CTRx | of the last two: 62 DS buffer, 63 */
enum { SELECT_USER = 1 << 16, SELECT_OS = 1 << 17, SELECT_EDGE = 1 << 18, SELECT_INTERRUPT = 1 << 20,
       SELECT_ON = 1 << 22, SELECT_INVERT = 1 << 23 };
enum { FIXED_OS = 1, FIXED_USER = 2, FIXED_INTERRUPT = 8, FIXED_BITS = FIXED_OS | FIXED_USER | FIXED_INTERRUPT };
enum { FULL_WIDTH_WRITES = 1 << 13 }; /* IA32_PERF_CAPABILITIES */
#define SELECT_BITS 0xffdfffffu
#define GLOBAL_BITS (((u64)7 << 32) | 15)
#define STATUS_BITS (GLOBAL_BITS | (u64)3 << 62)
#define COUNTER_BITS (((u64)1 << PMU_WIDTH) - 1)
#define PERF_CTL_BITS 0x30fffd7ffff

/* What can be counted. One instruction retires in a cycle. Of the other architectural events, which CPUID says are not
 * there, and of those of the models, nothing is. */
enum counted { NOTHING, INSTRUCTIONS, CYCLES, BRANCHES, EVENTS };
static const struct { u8 makers, code, unit, event; } events[] = {
	{ INTEL | AMD, 0xc0, 0, INSTRUCTIONS }, { INTEL, 0x3c, 0, CYCLES },
	{ INTEL, 0x3c, 1, CYCLES /* of reference */ }, { INTEL, 0xc4, 0, BRANCHES }, { AMD, 0x76, 0, CYCLES },
	{ AMD, 0xc2, 0, BRANCHES },
};
/* Leaf 0Ah, EBX: of the seven events of version 2, bit n: not there. References to the last cache and misses there,
 * mispredicted branches. */
enum { ARCHITECTURAL_EVENTS = 7, EVENTS_MISSING = 1 << 3 | 1 << 4 | 1 << 6 };

/* One that is enabled. */
struct counter {
	u64 *value;
	u64 status;   /* its bit in IA32_PERF_GLOBAL_STATUS */
	u8 levels;    /* bit n: it counts at level n */
	bool interrupts;
	enum counted event;
};
enum { COUNTERS_MAX = PMU_GENERAL + PMU_FIXED };
enum { LEVELS_OS = 1 << 0 | 1 << 2, LEVELS_USER = 1 << 1 | 1 << 3, LEVELS_HOST = 1 << 0 | 1 << 1,
       LEVELS_GUEST = 1 << 2 | 1 << 3 };

static bool amd_counts(const struct cpu *c) { return is_amd(c->model) && has(c->model, F_PMU); }

static u8 level_of(const struct cpu *c) { return (u8)((c->cpl ? 1 : 0) | (svm_guest(c) ? 2 : 0)); }

static enum counted event_of(const struct cpu *c, u64 select)
{
	unsigned at_least = select >> 24 & 0xff;
	bool invert = select & SELECT_INVERT;

	if (select & SELECT_EDGE || select >> 32 & 15)
		return NOTHING;
	if (at_least > 1) /* more in a cycle than there are */
		return invert ? CYCLES : NOTHING;
	if (at_least && invert)
		return NOTHING;
	for (unsigned i = 0; i < ARRAY_LEN(events); i++)
		if (events[i].makers >> c->model->maker & 1 && events[i].code == (select & 0xff) &&
		    events[i].unit == (select >> 8 & 0xff))
			return (enum counted)events[i].event;
	return NOTHING;
}

/* The counter that SELECT describes, if that enables one. */
static unsigned add_selected(const struct cpu *c, u64 select, u64 *value, u64 status, struct counter *k)
{
	unsigned who = select >> 40 & 3; /* 1: guests alone, 2: the host alone */
	u8 levels = (select & SELECT_OS ? LEVELS_OS : 0) | (select & SELECT_USER ? LEVELS_USER : 0);

	if (!(select & SELECT_ON))
		return 0;
	if (c->efer & EFER_SVME && (who == 1 || who == 2))
		levels &= who == 1 ? LEVELS_GUEST : LEVELS_HOST;
	*k = (struct counter){ value, status, levels, select & SELECT_INTERRUPT, event_of(c, select) };
	return k->event != NOTHING;
}

/* All that are enabled. Returns how many. */
static unsigned enabled(struct cpu *c, struct counter list[COUNTERS_MAX])
{
	static const enum counted of_fixed[PMU_FIXED] = { INSTRUCTIONS, CYCLES, CYCLES };
	struct pmu *p = &c->pmu;
	unsigned n = 0;

	if (amd_counts(c)) {
		for (unsigned i = 0; i < ARRAY_LEN(c->perf); i += 2)
			n += add_selected(c, c->perf[i], &c->perf[i + 1], 0, &list[n]);
		return n;
	}
	for (unsigned i = 0; i < PMU_GENERAL; i++)
		if (p->global_ctrl >> i & 1)
			n += add_selected(c, p->select[i], &p->general[i], (u64)1 << i, &list[n]);
	for (unsigned i = 0; i < PMU_FIXED; i++) {
		unsigned how = p->fixed_ctr_ctrl >> 4 * i & 15;
		u8 levels = (how & FIXED_OS ? LEVELS_OS : 0) | (how & FIXED_USER ? LEVELS_USER : 0);

		if (p->global_ctrl >> (32 + i) & 1 && levels)
			list[n++] = (struct counter){ &p->fixed[i], (u64)1 << (32 + i), levels, how & FIXED_INTERRUPT,
						      of_fixed[i] };
	}
	return n;
}

/* ---- time ---- */

/* The processor's cycles, without those in which it was halted; and the first instruction count at which there are so
 * many. */
static u64 cycles_at(const struct cpu *c, u64 icount) { return (u64)((unsigned __int128)icount * c->ns_q16 >> 16); }
static u64 icount_of(const struct cpu *c, u64 cycles)
{
	return (u64)((((unsigned __int128)cycles << 16) + c->ns_q16 - 1) / c->ns_q16);
}

/* ---- counting ---- */

static void overflow(struct cpu *c, const struct counter *k)
{
	c->pmu.global_status |= k->status;
	if (!k->interrupts)
		return;
	if (c->debugctl & DEBUGCTL_FREEZE_PMU)
		c->pmu.global_ctrl = 0;
	if (c->debugctl & DEBUGCTL_FREEZE_LBR && lbr_on(c))
		lbr_freeze(c);
	if (c->apic)
		apic_performance(c->apic);
}

/* Up to the instruction count UNTIL, with the filters that there were. */
static void credit(struct cpu *c, u64 until)
{
	struct pmu *p = &c->pmu;
	struct counter list[COUNTERS_MAX];
	unsigned n = p->on && until > p->since ? enabled(c, list) : 0;
	u64 news[EVENTS] = { [INSTRUCTIONS] = until - p->since, [BRANCHES] = p->branches,
			     [CYCLES] = cycles_at(c, until) - cycles_at(c, p->since) };

	if (until <= p->since)
		return;
	p->since = until;
	p->branches = 0;
	for (unsigned i = 0; i < n; i++) {
		u64 sum = (*list[i].value & COUNTER_BITS) + news[list[i].event];

		if (!(list[i].levels >> p->level & 1))
			continue;
		*list[i].value = sum & COUNTER_BITS;
		if (sum > COUNTER_BITS)
			overflow(c, &list[i]);
	}
}

/* What follows from the registers and the level. True: whether branches count has changed. */
static bool settle(struct cpu *c)
{
	struct pmu *p = &c->pmu;
	struct counter list[COUNTERS_MAX];
	unsigned n = enabled(c, list);
	bool branches = false;

	p->level = level_of(c);
	p->on = n;
	p->overflow_at = CLOCK_NEVER;
	for (unsigned i = 0; i < n; i++) {
		u64 left = COUNTER_BITS + 1 - (*list[i].value & COUNTER_BITS), at = p->since + left;

		if (!(list[i].levels >> p->level & 1))
			continue;
		branches |= list[i].event == BRANCHES;
		if (list[i].event == CYCLES)
			at = icount_of(c, cycles_at(c, p->since) + left);
		if (list[i].interrupts && at < p->overflow_at)
			p->overflow_at = at;
	}
	if (branches == p->branches_count)
		return false;
	p->branches_count = branches;
	return true;
}

/* The registers have changed. */
static void resettle(struct cpu *c)
{
	if (settle(c))
		update_mode(c);
	if (c->pmu.overflow_at != CLOCK_NEVER)
		attend(c, ATTN_LINE);
}

void pmu_account(struct cpu *c)
{
	if (!c->pmu.on)
		return;
	credit(c, icount_after(c) - 1);
	resettle(c);
}

void pmu_level(struct cpu *c)
{
	if (level_of(c) == c->pmu.level)
		return;
	credit(c, c->op ? icount_after(c) : c->icount);
	settle(c);
	if (c->pmu.overflow_at != CLOCK_NEVER) /* the stretch was measured for the other level */
		attend(c, ATTN_LINE);
}

void pmu_pass(struct cpu *c, u64 icount)
{
	credit(c, c->icount);
	c->pmu.since = icount;
	settle(c);
}

void pmu_loaded(struct cpu *c)
{
	c->pmu.since = c->icount;
	c->pmu.branches = 0;
	c->pmu.branch_at = CLOCK_NEVER;
	settle(c);
}

void pmu_reset(struct cpu *c)
{
	lbr_reset(c);
	c->pmu = (struct pmu){ .global_ctrl = (1 << PMU_GENERAL) - 1 };
	pmu_loaded(c);
}

struct part pmu_part(struct cpu *c)
{
	static const struct field fields[] = {
		FIELDS(struct cpu, pmu.select, U64), FIELDS(struct cpu, pmu.general, U64),
		FIELDS(struct cpu, pmu.fixed, U64), FIELD(struct cpu, pmu.fixed_ctr_ctrl, U64),
		FIELD(struct cpu, pmu.global_ctrl, U64), FIELD(struct cpu, pmu.global_status, U64),
		FIELDS(struct cpu, lbr.from, U64), FIELDS(struct cpu, lbr.to, U64), FIELDS(struct cpu, lbr.info, U64),
		FIELD(struct cpu, lbr.select, U64), FIELD_MAX(struct cpu, lbr.tos, U64, LBR_DEPTH - 1),
		FIELD(struct cpu, lbr.last, U64), FIELD_END
	};

	return (struct part){ c->pmu_name, c, fields, NULL };
}

/* ---- registers ---- */

/* EAX: version | general counters << 8 | their width << 16 | length of EBX << 24
 * EDX: fixed counters | width << 5 */
void pmu_cpuid(const struct model *m, u32 out[4])
{
	if (!has(m, F_PMU))
		return;
	out[0] = 2 | PMU_GENERAL << 8 | PMU_WIDTH << 16 | ARCHITECTURAL_EVENTS << 24;
	out[1] = EVENTS_MISSING;
	out[3] = PMU_FIXED | PMU_WIDTH << 5;
}

/* The place of the register INDEX, and the bits that it has. NULL: it is no place. */
static u64 *place(struct pmu *p, u32 index, u64 *bits)
{
	switch (index) {
	case 0xc1 ... 0xc4: *bits = COUNTER_BITS; return &p->general[index - 0xc1];
	case 0x4c1 ... 0x4c4: *bits = COUNTER_BITS; return &p->general[index - 0x4c1];
	case 0x186 ... 0x189: *bits = SELECT_BITS; return &p->select[index - 0x186];
	case 0x309 ... 0x30b: *bits = COUNTER_BITS; return &p->fixed[index - 0x309];
	case 0x38d: *bits = FIXED_BITS * 0x111; return &p->fixed_ctr_ctrl;
	case 0x38e: *bits = 0; return &p->global_status;
	case 0x38f: *bits = GLOBAL_BITS; return &p->global_ctrl;
	default: return NULL;
	}
}

bool pmu_global_valid(u64 v) { return !(v & ~GLOBAL_BITS); }

bool pmu_read_msr(struct cpu *c, u32 index, u64 *v)
{
	u64 bits, *at = place(&c->pmu, index, &bits);

	cpu_sync(c);
	pmu_account(c);
	*v = at ? *at : index == 0x345 ? FULL_WIDTH_WRITES | (has(c->model, F_ARCH_LBR) ? LBR_FORMAT_ARCH : LBR_FORMAT) : 0;
	return true;
}

bool pmu_write_msr(struct cpu *c, u32 index, u64 v)
{
	u64 bits = STATUS_BITS, *at = place(&c->pmu, index, &bits);

	if (index >= 0xc1 && index <= 0xc4) /* all but the lower half come from bit 31 */
		v = (u64)(s32)v & COUNTER_BITS;
	if (v & ~bits)
		return false;
	credit(c, icount_after(c) - 1);
	if (at)
		*at = v;
	else /* IA32_PERF_GLOBAL_OVF_CTRL */
		c->pmu.global_status &= ~v;
	resettle(c);
	return true;
}

/* c->perf has them by turns, as the later numbers do; the first eight numbers are four of each. */
static u64 *perf(struct cpu *c, u32 index)
{
	return &c->perf[index >= 0xc0010200 ? index - 0xc0010200 : 2 * (index & 3) + (index >> 2 & 1)];
}

bool pmu_read_perf(struct cpu *c, u32 index, u64 *v)
{
	if (amd_counts(c))
		cpu_sync(c);
	pmu_account(c);
	*v = *perf(c, index);
	return true;
}

bool pmu_write_perf(struct cpu *c, u32 index, u64 v)
{
	u64 *at = perf(c, index);

	if (amd_counts(c))
		credit(c, icount_after(c) - 1);
	*at = v & ((at - c->perf) & 1 ? COUNTER_BITS : PERF_CTL_BITS);
	if (amd_counts(c))
		resettle(c);
	return true;
}

/* The counter that ECX names: of Intel's processors, fixed ones with bit 30. NULL: there is none. */
static const u64 *named(struct cpu *c, u32 index)
{
	const struct model *m = c->model;

	if (is_amd(m)) {
		unsigned count = has(m, F_PERFCTR_CORE) ? 6 : model_family(m) >= 15 ? 4 : 0;

		return index < count ? &c->perf[2 * index + 1] : NULL;
	}
	if (!has(m, F_PMU))
		return NULL;
	if (index >> 30 == 1)
		return index << 2 >> 2 < PMU_FIXED ? &c->pmu.fixed[index << 2 >> 2] : NULL;
	return index < PMU_GENERAL ? &c->pmu.general[index] : NULL;
}

BODY(rdpmc)
{
	const u64 *counter = named(c, (u32)c->r[RCX]);

	(void)o;
	if (!counter)
		return gp_because(c, 0, "this processor has no performance counter of that number (vol. 2, RDPMC)");
	if (has(c->model, F_PMU))
		cpu_sync(c);
	pmu_account(c);
	c->r[RAX] = (u32)*counter;
	c->r[RDX] = *counter >> 32;
	return true;
}
GEN_BODY(rdpmc)
