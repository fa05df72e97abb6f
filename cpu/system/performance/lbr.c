/* SPDX-License-Identifier: MIT */
/* Last branch records: of Intel's processors a stack of 32 in MSRs, as those from Skylake on have it (SDM vol. 3, 18.8
 * and 18.12); of AMD's the last branch, and the last one before an interrupt or exception (APM vol. 2, 13.1.1). */
#include "cpu/system/performance/lbr.h"
#include "cpu/system/system.h"

/* LBR_SELECT: 0 not those that end at CPL 0 | 1 not those that end at another | 8-2 none of that kind: enum branch
 * MSR_LBR_INFO_x: 63 mispredicted | 62-61 TSX | 15-0 cycles since the record before */
enum { NOT_OS = 1, NOT_USER = 2 };
enum { SELECT_BITS = 0x3ff, CYCLES_MAX = 0xffff };
#define INFO_BITS ((u64)7 << 61 | CYCLES_MAX)

/* ---- architectural ones (SDM vol. 3, chapter 19) ----
 *
 * IA32_LBR_CTL: 0 on | 1 that end at CPL 0 | 2 at another | 3 call stack | 22-16 of that kind
 * IA32_LBR_x_INFO: 63 mispredicted | 61 TSX | 60 the cycles are valid | 59-56 type
 *   15-0 cycles since the record before */
enum { CTL_ON = 1, CTL_OS = 2, CTL_USER = 4, CTL_CALL_STACK = 8, CTL_BITS = 0x7f000f };
#define CYCLES_VALID ((u64)1 << 60)
#define ARCH_INFO_BITS ((u64)0xbf << 56 | CYCLES_MAX)
static const struct { u8 bit, type; } arch_kinds[] = {
	[BRANCH_JCC] = { 16, 0 }, [BRANCH_JMP] = { 17, 2 }, [BRANCH_JMP_INDIRECT] = { 18, 1 },
	[BRANCH_CALL] = { 19, 4 }, [BRANCH_CALL_INDIRECT] = { 20, 3 }, [BRANCH_RET] = { 21, 5 },
	[BRANCH_FAR] = { 22, 8 },
};

static bool wanted(const struct lbr *l, unsigned cpl, enum branch kind)
{
	return l->ctl & (cpl ? CTL_USER : CTL_OS) && l->ctl >> arch_kinds[kind].bit & 1;
}

static unsigned arch_index(const struct lbr *l, u32 n) { return (unsigned)(l->tos - n) % LBR_DEPTH; }
static void forget(struct lbr *l, unsigned i) { l->from[i] = l->to[i] = l->info[i] = 0; }

/* At the instruction count of CPU: a branch from FROM to TO. */
static void record(struct cpu *c, u64 from, u64 to, enum branch kind)
{
	struct lbr *l = &c->lbr;
	bool arch = has(c->model, F_ARCH_LBR);
	u64 now = (u64)((unsigned __int128)c->icount * c->ns_q16 >> 16), cycles = now - l->last;

	if (is_amd(c->model)) {
		c->last_branch[0] = from;
		c->last_branch[1] = to;
		return;
	}
	if (arch ? !wanted(l, c->cpl, kind) : l->select & (c->cpl ? NOT_USER : NOT_OS) || l->select >> kind & 1)
		return;
	if (arch && l->ctl & CTL_CALL_STACK && kind == BRANCH_RET) {
		forget(l, l->tos);
		l->tos = (l->tos - 1) % LBR_DEPTH;
		forget(l, arch_index(l, (u32)l->depth - 1)); /* which had left the stack */
		return;
	}
	l->tos = (l->tos + 1) % LBR_DEPTH;
	l->from[l->tos] = from;
	l->to[l->tos] = to;
	l->info[l->tos] = (cycles < CYCLES_MAX ? cycles : CYCLES_MAX) |
			  (arch ? CYCLES_VALID | (u64)arch_kinds[kind].type << 56 : 0);
	l->last = now;
}

void lbr_settle(struct cpu *c, u64 to, u64 icount)
{
	struct lbr *l = &c->lbr;
	u64 was = c->icount;

	if (!l->pending)
		return;
	l->pending = false;
	c->icount = icount;
	if (to != l->next)
		record(c, l->branch, to, l->kind);
	c->icount = was;
}

/* Intel's processors have INT n as a branch alone, which settles. */
void lbr_interrupt(struct cpu *c, u64 from, bool software)
{
	if (is_amd(c->model))
		memcpy(c->last_branch + 2, c->last_branch, 2 * sizeof *c->last_branch);
	else if (software)
		return;
	record(c, from, c->r[RIP], BRANCH_FAR);
}

/* The place of the register INDEX, and the bits that it has; 0: any canonical address. */
static u64 *place(struct lbr *l, u32 index, u64 *bits)
{
	*bits = 0;
	switch (index) {
	case 0x1c8: *bits = SELECT_BITS; return &l->select;
	case 0x1c9: *bits = LBR_DEPTH - 1; return &l->tos;
	case 0x680 ... 0x69f: return &l->from[index - 0x680];
	case 0x6c0 ... 0x6df: return &l->to[index - 0x6c0];
	default: *bits = INFO_BITS; return &l->info[index - 0xdc0];
	}
}

bool lbr_read_msr(struct cpu *c, u32 index, u64 *v)
{
	u64 bits;

	if (has(c->model, F_ARCH_LBR))
		return false;
	*v = *place(&c->lbr, index, &bits);
	return true;
}

bool lbr_write_msr(struct cpu *c, u32 index, u64 v)
{
	u64 bits, *at = place(&c->lbr, index, &bits);

	if (has(c->model, F_ARCH_LBR))
		return false;
	if (bits ? v & ~bits : !canonical_base(c->model, v))
		return false;
	*at = v;
	return true;
}

/* ---- architectural ones: registers, and component 15 of XSAVES ---- */

struct part lbr_part(struct cpu *c)
{
	static const struct field fields[] = {
		FIELDS(struct cpu, lbr.from, U64), FIELDS(struct cpu, lbr.to, U64), FIELDS(struct cpu, lbr.info, U64),
		FIELD_MAX(struct cpu, lbr.tos, U64, LBR_DEPTH - 1), FIELD(struct cpu, lbr.last, U64),
		FIELD(struct cpu, lbr.ctl, U64), FIELD_MAX(struct cpu, lbr.depth, U64, LBR_DEPTH), FIELD_END
	};

	return (struct part){ c->lbr_name, c, fields, NULL };
}

void lbr_reset(struct cpu *c) { c->lbr = (struct lbr){ .depth = LBR_DEPTH }; }

/* On an SMI LBREn is saved and cleared; here it stays, and counts for nothing until RSM. */
bool lbr_on(const struct cpu *c)
{
	if (has(c->model, F_ARCH_LBR))
		return c->lbr.ctl & CTL_ON && !c->smm;
	return c->debugctl & DEBUGCTL_LBR && (is_amd(c->model) || has(c->model, F_PMU));
}

/* EAX: depths of 8, 16, 24 and 32. EBX: filters by CPL and by kind, call stacks. ECX: mispredicted, cycles, type */
void lbr_cpuid(u32 out[4])
{
	out[0] = 15;
	out[1] = 7;
	out[2] = 7;
}

void lbr_freeze(struct cpu *c)
{
	if (has(c->model, F_ARCH_LBR))
		c->lbr.ctl &= ~(u64)CTL_ON;
	else
		c->debugctl &= ~(u64)DEBUGCTL_LBR;
	update_mode(c);
}

static bool depth_valid(u64 v) { return v && v <= LBR_DEPTH && !(v & 7); }

/* INFO, FROM_IP, TO_IP of IA32_LBR_x; NULL: it is beyond the depth. */
static u64 *record_place(struct lbr *l, u32 index)
{
	u32 n = index & 0xff;
	u64 *of = index >> 8 == 0x12 ? l->info : index >> 8 == 0x15 ? l->from : l->to;

	return n < l->depth ? &of[arch_index(l, n)] : NULL;
}

bool arch_lbr_read_msr(struct cpu *c, u32 index, u64 *v)
{
	const u64 *at = index == 0x14ce ? &c->lbr.ctl : index == 0x14cf ? &c->lbr.depth : record_place(&c->lbr, index);

	if (at)
		*v = *at;
	return at;
}

static bool record_valid(const struct cpu *c, u64 from, u64 to, u64 info)
{
	return canonical_base(c->model, from) && canonical_base(c->model, to) && !(info & ~ARCH_INFO_BITS);
}

bool arch_lbr_write_msr(struct cpu *c, u32 index, u64 v)
{
	struct lbr *l = &c->lbr;
	u64 *at;

	if (index == 0x14ce) {
		if (v & ~(u64)CTL_BITS)
			return false;
		l->ctl = v;
		update_mode(c);
		return true;
	}
	if (index == 0x14cf) {
		if (!depth_valid(v))
			return false;
		*l = (struct lbr){ .ctl = l->ctl, .depth = v, .last = l->last };
		return true;
	}
	at = record_place(l, index);
	if (!at || !(index >> 8 == 0x12 ? record_valid(c, 0, 0, v) : record_valid(c, v, 0, 0)))
		return false;
	*at = v;
	return true;
}

bool lbr_in_use(const struct cpu *c)
{
	u64 any = c->lbr.ctl;

	for (unsigned i = 0; i < LBR_DEPTH; i++)
		any |= c->lbr.from[i] | c->lbr.to[i] | c->lbr.info[i];
	return any;
}

void lbr_save(const struct cpu *c, u8 image[LBR_STATE])
{
	const struct lbr *l = &c->lbr;

	memset(image, 0, LBR_STATE);
	put64(image, l->ctl);
	put64(image + 8, l->depth);
	for (u32 n = 0; n < l->depth; n++) {
		u8 *at = image + 40 + 24 * n;
		unsigned i = arch_index(l, n);

		put64(at, l->from[i]);
		put64(at + 8, l->to[i]);
		put64(at + 16, l->info[i]);
	}
}

bool lbr_valid(const struct cpu *c, const u8 image[LBR_STATE])
{
	if (get64(image) & ~(u64)CTL_BITS || !depth_valid(get64(image + 8)))
		return false;
	for (u64 n = 0; n < get64(image + 8); n++) {
		const u8 *at = image + 40 + 24 * n;

		if (!record_valid(c, get64(at), get64(at + 8), get64(at + 16)))
			return false;
	}
	return true;
}

void lbr_load(struct cpu *c, const u8 *image)
{
	struct lbr *l = &c->lbr;
	u64 depth = image ? get64(image + 8) : 0;

	*l = (struct lbr){ .ctl = image ? get64(image) : 0, .depth = l->depth, .last = l->last };
	for (u32 n = 0; depth == l->depth && n < depth; n++) {
		const u8 *at = image + 40 + 24 * n;
		unsigned i = arch_index(l, n);

		l->from[i] = get64(at);
		l->to[i] = get64(at + 8);
		l->info[i] = get64(at + 16);
	}
	update_mode(c);
}
