/* SPDX-License-Identifier: MIT */
/* The registers of mca.h (SDM vol. 4, 400h and following; APM vol. 2, 9.3.3, for those from C0002000h on). */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/system/mca.h"
#include "cpu/system/system.h"

enum { MCG_CAP = 0x179, MCG_CTL = 0x17b, MC0_CTL = 0x400, SCALABLE = 0xc0002000, CTL_P = 1 << 8, STATUS_WRITE = 1 << 18 };
/* Registers of a bank: four of both makers, then AMD's, of 16 numbers each. */
enum { CTL, STATUS, ADDR, MISC, CONFIG, IPID, SYND, SCALABLE_REGISTERS = 16 };

/* As Skylake's servers have them; of AMD's processors those of a core: load and store, fetch, second cache, decode, one
 * that is reserved, execution, floating point, and one of the third cache. */
static unsigned banks(const struct model *m) { return is_amd(m) ? 8 : 20; }

/* AMD: what is behind a bank. 63-48 type | 43-32 number of the unit */
static u64 identity(const struct model *m, unsigned bank)
{
	static const u16 types[] = { 0, 1, 2, 3, 0, 5, 6, 7 };
	unsigned type = bank == 0 && model_family(m) > 0x17 ? 0x10 : types[bank];

	return bank == 4 ? 0 : (u64)type << 48 | (u64)0xb0 << 32;
}

static const struct field mca_fields[] = {
	FIELD(struct mca, control, U64), FIELDS(struct mca, ctl, U64),    FIELDS(struct mca, status, U64),
	FIELDS(struct mca, addr, U64),   FIELDS(struct mca, misc, U64),   FIELDS(struct mca, config, U64),
	FIELDS(struct mca, synd, U64),   FIELD_END
};

bool mca_new(struct cpu *c)
{
	c->mca = calloc(1, sizeof *c->mca);
	if (c->mca)
		snprintf(c->mca->name, sizeof c->mca->name, "mca%u", c->id);
	return c->mca;
}

/* What a bank has recorded outlives RESET. */
void mca_reset(struct cpu *c)
{
	c->mca->control = 0;
	memset(c->mca->ctl, 0, sizeof c->mca->ctl);
	memset(c->mca->config, 0, sizeof c->mca->config);
}

struct part mca_part(struct cpu *c) { return (struct part){ c->mca->name, c->mca, mca_fields, NULL }; }

static u64 *place(struct mca *m, unsigned bank, unsigned which)
{
	switch (which) {
	case CTL: return &m->ctl[bank];
	case STATUS: return &m->status[bank];
	case ADDR: return &m->addr[bank];
	case MISC: return &m->misc[bank];
	case CONFIG: return &m->config[bank];
	case SYND: return &m->synd[bank];
	default: return NULL;
	}
}

/* Bank and register of INDEX. False: the processor has no such bank. */
static bool find(const struct cpu *c, u32 index, unsigned *bank, unsigned *which)
{
	bool scalable = index >= SCALABLE;

	*bank = scalable ? (index - SCALABLE) / SCALABLE_REGISTERS : (index - MC0_CTL) / 4;
	*which = scalable ? (index - SCALABLE) % SCALABLE_REGISTERS : (index - MC0_CTL) % 4;
	return c->mca && *bank < banks(c->model);
}

bool mca_read(struct cpu *c, u32 index, u64 *v)
{
	unsigned bank, which;
	const u64 *p;

	*v = 0;
	if (index == MCG_CAP) {
		*v = c->mca ? banks(c->model) | CTL_P : 0;
		return true;
	}
	if (index == MCG_CTL) {
		*v = c->mca->control;
		return true;
	}
	if (!find(c, index, &bank, &which))
		return false;
	p = place(c->mca, bank, which);
	*v = p ? *p : which == IPID ? identity(c->model, bank) : 0;
	return true;
}

/* Intel's take only zeros for what they have recorded, AMD's for the status, unless HWCR says otherwise. */
bool mca_write(struct cpu *c, u32 index, u64 v)
{
	unsigned bank, which;
	u64 *p;

	if (index == MCG_CTL) {
		c->mca->control = v;
		return true;
	}
	if (!find(c, index, &bank, &which))
		return false;
	if (v && (is_amd(c->model) ? which == STATUS && !(c->hwcr & STATUS_WRITE) : which != CTL))
		return false;
	p = place(c->mca, bank, which);
	if (p)
		*p = v;
	return true;
}

/* ---- errors ---- */

enum { RIPV = 1, EIPV = 2, MCIP = 4 };
#define STATUS_VAL ((u64)1 << 63)
#define STATUS_OVER ((u64)1 << 62)
#define STATUS_UC ((u64)1 << 61)
#define STATUS_EN ((u64)1 << 60)
#define STATUS_MISCV ((u64)1 << 59)
#define STATUS_ADDRV ((u64)1 << 58)

/* Of two errors the worse one stays, of two corrected ones the later (SDM vol. 3, table 16-9). */
static void record(struct mca *m, const struct machine_check *e)
{
	u64 was = m->status[e->bank], over = was & STATUS_VAL ? STATUS_OVER : 0;

	if (was & STATUS_VAL && was & STATUS_UC) {
		m->status[e->bank] |= over;
		return;
	}
	m->status[e->bank] = e->status | over;
	m->addr[e->bank] = e->status & STATUS_ADDRV ? e->addr : 0;
	m->misc[e->bank] = e->status & STATUS_MISCV ? e->misc : 0;
}

static void raise(struct cpu *c, u64 mcg_status)
{
	bool taken = c->cr4 & CR4_MCE && !(c->mcg_status & MCIP);

	c->mcg_status = (mcg_status & (RIPV | EIPV)) | MCIP | MCG_DUE | (taken ? 0 : MCG_SHUTDOWN);
	cpu_attention(c);
}

const char *mca_report(struct cpu *c, const struct machine_check *e, bool everywhere)
{
	if (!c->mca)
		return "the processor's model has no banks for machine checks";
	if (e->bank >= banks(c->model))
		return "the processor has fewer banks for machine checks";
	if (!(e->status & STATUS_VAL))
		return "bit 63 of the status of a machine check, which makes it valid, is 0";
	if (c->activity == ACTIVITY_WAIT_SIPI)
		return "the processor has not been started";
	record(c->mca, e);
	if (!(e->status & STATUS_UC) || !(e->status & STATUS_EN) || !c->mca->control || !c->mca->ctl[e->bank])
		return NULL;
	raise(c, e->mcg_status);
	for (unsigned i = 0; everywhere && i < c->all->count; i++)
		if (c->all->cpu[i] != c && c->all->cpu[i]->activity != ACTIVITY_WAIT_SIPI)
			raise(c->all->cpu[i], RIPV);
	return NULL;
}

bool mca_deliver(struct cpu *c)
{
	bool shutdown = c->mcg_status & MCG_SHUTDOWN;

	c->mcg_status &= RIPV | EIPV | MCIP;
	return !shutdown && (interrupt(c, VEC_MC, INT_TRAP, false, 0) || deliver_fault(c));
}
