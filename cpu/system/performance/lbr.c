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

/* At the instruction count of CPU: a branch from FROM to TO. */
static void record(struct cpu *c, u64 from, u64 to, enum branch kind)
{
	struct lbr *l = &c->lbr;
	u64 now = (u64)((unsigned __int128)c->icount * c->ns_q16 >> 16), cycles = now - l->last;

	if (is_amd(c->model)) {
		c->last_branch[0] = from;
		c->last_branch[1] = to;
		return;
	}
	if (l->select & (c->cpl ? NOT_USER : NOT_OS) || l->select >> kind & 1)
		return;
	l->tos = (l->tos + 1) % LBR_DEPTH;
	l->from[l->tos] = from;
	l->to[l->tos] = to;
	l->info[l->tos] = cycles < CYCLES_MAX ? cycles : CYCLES_MAX;
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

	*v = *place(&c->lbr, index, &bits);
	return true;
}

bool lbr_write_msr(struct cpu *c, u32 index, u64 v)
{
	u64 bits, *at = place(&c->lbr, index, &bits);

	if (bits ? v & ~bits : !canonical_base(c->model, v))
		return false;
	*at = v;
	return true;
}
