/* SPDX-License-Identifier: MIT */
/* Operations of APX: filling slots, running parts, and making them (cpu/extended.h). */
#include "cpu/extended.h"
#include "cpu/insn/condition.h"
#include "cpu/operand.h"

/* ---- running ---- */

static u64 egpr_get(const struct cpu *c, unsigned reg) { return reg < EGPR ? c->r[reg] : c->egpr[reg - EGPR]; }

static void egpr_set(struct cpu *c, unsigned reg, u64 v)
{
	if (reg < EGPR)
		c->r[reg] = v;
	else
		c->egpr[reg - EGPR] = v;
}

static void fill_slots(struct cpu *c, const struct extended *x)
{
	for (unsigned i = 0; i < x->egprs; i++)
		c->slot[i] = egpr_get(c, x->egpr[i]);
}

/* Behind the last part: back to who runs them. */
HANDLER(part_end) { LEAVE(EXIT_PARTS); }

/* Why the last part has ended. One that wants attention is left, but not the instruction. */
static enum exit run_parts(struct cpu *c, const struct extended *x)
{
	const struct op *at = x->part, *end = x->part + x->count;

	do {
		run_from(c, at, c->n);
		at = c->op + 1;
	} while (c->exit == EXIT_ATTN && at < end);
	return (enum exit)c->exit;
}

/* SCC: there is always, and never, in place of the parity. */
static bool holds(const struct cpu *c, unsigned scc) { return scc == 10 || (scc != 11 && condition(c, scc)); }

static void set_default_flags(struct cpu *c, unsigned flags)
{
	cpu_set_arith(c, (flags & 8 ? FL_O : 0) | (flags & 4 ? FL_S : 0) | (flags & 2 ? FL_Z : 0) |
				 (flags & 1 ? FL_C | FL_P : 0));
}

static enum exit run_extended(struct cpu *c, const struct op *o)
{
	const struct extended *x = o->extended;
	const u64 res = c->res, cv = c->cv;
	const u8 fix = c->fix;
	/* A comparison reads memory whatever the condition says, a move does not. */
	const bool yes =
		x->form == APX_MOVES ? condition(c, x->condition) : x->form != APX_COMPARES || holds(c, x->condition);
	enum exit exit = EXIT_PARTS;

	fill_slots(c, x);
	if (x->fresh < EGPR_SLOTS)
		c->slot[x->fresh] = reg_get(c, x->from, x->size);
	if (yes || x->form != APX_MOVES)
		exit = run_parts(c, x);
	c->op = o;
	if (exit == EXIT_FAULT)
		return exit;
	if (!yes && x->form == APX_COMPARES)
		set_default_flags(c, x->flags);
	if (x->nf) {
		c->res = res;
		c->cv = cv;
		c->fix = fix;
	}
	for (unsigned i = 0; i < x->egprs; i++)
		if (x->written >> i & 1)
			egpr_set(c, x->egpr[i], c->slot[i]);
	if (x->fresh < EGPR_SLOTS)
		egpr_set(c, x->into, c->slot[x->fresh]);
	return exit;
}

HANDLER(extended)
{
	enum exit exit;

	c->n = n;
	c->op = o;
	if (o->extended->jumps) {
		fill_slots(c, o->extended);
		RUN(o->extended->part);
	}
	exit = run_extended(c, o);
	n = c->n;
	if (exit == EXIT_FAULT)
		LEAVE(EXIT_FAULT);
	if (exit == EXIT_LOOKUP)
		LEAVE(EXIT_LOOKUP);
	if (unlikely(c->attn))
		LEAVE(EXIT_ATTN);
	RUN(o + 1);
}

const struct op *extended_operands(struct cpu *c, const struct op *o)
{
	fill_slots(c, o->extended);
	return o->extended->part;
}

/* ---- making ---- */

/* A part that loads SIZE bytes of D's operand in memory into the slot at OFF. */
static struct op load(const struct isa *isa, const struct dec *d, const struct op *o, u8 off, unsigned size)
{
	struct dec mov = *d;
	struct op part = *o;

	mov.row = isa->index[0][size == 1 ? 0x8a : 0x8b];
	part.dst = off;
	part.code = CODE_mov;
	part.form = FORM_RM;
	insn_gen[CODE_mov](&mov, &part);
	return part;
}

/* D's body, on O's operands, of which the first is in a register, or, if MEM says so, may be in memory. */
static struct op body(const struct dec *d, const struct op *o, bool mem)
{
	struct dec legacy = *d;
	struct op part = *o;

	if (d->row->inner)
		legacy.row = d->row->inner;
	legacy.mem = mem;
	part.mem = mem;
	part.form = legacy.row->form[mem] & 15;
	if (!mem)
		part.base = part.dst;
	insn_gen[o->code](&legacy, &part);
	return part;
}

/* Of what SETcc.ZU, IMUL.ZU and CFCMOVcc begin with, nothing remains; with a new destination it is the first source. */
static void make_fresh(const struct dec *d, struct op *o, struct extended *x, bool loads)
{
	x->fresh = x->egprs;
	x->from = d->row->inner && !loads ? o->dst : 8 * RZERO;
	x->size = (u8)dec_size(d, 0);
	x->into = (u8)(dec_register(d, 0) / 8);
	o->dst = (u8)(8 * (EGPR_SLOT + x->fresh));
}

void extended_make(const struct isa *isa, const struct dec *d, struct op *o, struct extended *x)
{
	const struct insn *insn = d->row->insn;
	const bool compares = insn->form == APX_COMPARES, first_in_memory = dec_is_mem(d, d->row->inner ? 1 : 0);
	const u32 written = operands_written(d).general;
	struct op part = *o;

	*x = (struct extended){ .egprs = d->egprs,
				.form = d->apx ? insn->form : APX_PLAIN,
				.fresh = EGPR_SLOTS,
				.nf = d->apx && insn->nf && d->k & 4,
				.jumps = o->code == CODE_jmp || o->code == CODE_call,
				.condition = compares ? (d->vvvv & 16 ? 0 : 8) | d->k : d->opcode & 15,
				.flags = ~d->vvvv & 15 };
	memcpy(x->egpr, d->egpr, sizeof x->egpr);
	for (unsigned i = 0; i < x->egprs; i++)
		x->written |= (u8)((written >> x->egpr[i] & 1) << i);
	if (d->row->inner || (x->form == APX_ZU || x->form == APX_MOVES ? !first_in_memory : false))
		make_fresh(d, &part, x, first_in_memory);
	if (d->row->inner && first_in_memory)
		x->part[x->count++] = load(isa, d, o, part.dst, x->size);
	x->part[x->count] = body(d, &part, d->mem && !x->count);
	x->count++;
	x->part[x->count] = (struct op){ .run = part_end, .len = o->len };
	o->run = extended;
	o->extended = x;
}

void extended_settle(struct op *o)
{
	struct extended *x = (struct extended *)o->extended;

	for (unsigned i = 0; i <= x->count; i++) {
		x->part[i].left = o->left;
		x->part[i].ip = o->ip;
	}
}
