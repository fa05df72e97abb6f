/* SPDX-License-Identifier: MIT */
/* Facts about an operation that follow from its neighbours in the block. None of them changes an instruction's result.
 * */
#include "cpu/engine/passes.h"

/* A shift or rotate of a register by a constant that is not 0: it writes its flags, and has a handler of its own. */
static bool shifts_by_constant(const struct dec *d, const struct op *o)
{
	return d->row->insn->by_count && !d->mem && o->imm && has(d->model, F_I186);
}

/* ---- MOV r, s and then an instruction that overwrites r from r: one operation, whose first source is s. Neither can
 * fault or stop, so nobody can look between them. ---- */

bool pass_merge(const struct dec *move, const struct op *mo, const struct dec *d, struct op *o)
{
	const struct insn *insn = d->row ? d->row->insn : NULL;
	unsigned size;

	if (!move->row || mo->code != CODE_mov || mo->form != FORM_RR || dec_size(move, 0) < 4)
		return false;
	if (!insn || d->mem || d->lock || d->raises || !insn->pure || !insn->gives || insn->takes != TAKES_BASE ||
	    (insn->by_count && !shifts_by_constant(d, o)))
		return false;
	size = dec_size(d, 0);
	if (size < 4 || size > dec_size(move, 0) || o->dst != mo->dst)
		return false;
	if (o->form == FORM_RR && o->src == mo->dst)
		o->src = mo->src;
	o->base = mo->src;
	return true;
}

/* ---- backwards over the block: which flags can anybody still see? An operation that may fault or leave sees all of
 * them that were there before it. Its own are complete only if nothing of it can fault any more. ---- */

static bool touches_memory(const struct dec *d, const struct op *o) { return d->mem && o->code != CODE_lea; }

static void drop_dead_flags(struct dec *d, const struct op *o, unsigned count)
{
	u32 live = OSZAPC;

	for (unsigned i = count; i-- > 0;) {
		const struct insn *insn = d[i].row ? d[i].row->insn : NULL;
		bool pure = insn && insn->pure && !d[i].raises && !insn->ends;

		d[i].dead_behind = !live;
		d[i].dead_flags = pure && (insn->flags & OSZAPC) && !(insn->flags & live);
		if (!pure || touches_memory(&d[i], &o[i])) {
			live = OSZAPC;
			continue;
		}
		live &= ~insn->flags;
		if (!shifts_by_constant(&d[i], &o[i])) /* a shift leaves flags alone for a count of 0 only */
			live |= insn->uses & OSZAPC;
	}
}

/* ---- values that go from one operation to the next without a way through memory (op.h) ---- */

static bool gives(const struct dec *d, const struct op *o)
{
	const struct insn *insn = d->row ? d->row->insn : NULL;

	return insn && insn->gives && !d->raises && dec_size(d, 0) >= 4 && !dec_is_mem(d, 0) &&
	       (!insn->by_count || shifts_by_constant(d, o));
}

static unsigned takes(const struct dec *d, const struct op *o)
{
	const struct insn *insn = d->row ? d->row->insn : NULL;

	if (!insn || d->raises || (insn->by_count && !shifts_by_constant(d, o)))
		return TAKES_NOTHING;
	if (!d->mem)
		return o->form == FORM_RI && insn->takes == TAKES_SRC ? TAKES_NOTHING : insn->takes;
	if (o->code == CODE_lea)
		return insn->takes;
	return insn->loads && dec_kind_of_memory(d) == KIND_BASE ? TAKES_BASE : TAKES_NOTHING;
}

static void forward(struct dec *d, struct op *o, unsigned count)
{
	for (unsigned i = count; i-- > 1;) {
		unsigned which = takes(&d[i], &o[i]);
		u8 from = o[i - 1].dst;

		if (!which || !gives(&d[i - 1], &o[i - 1]))
			continue;
		if (d[i].row->insn->commutes && o[i].form == FORM_RR && o[i].base != from && o[i].src == from) {
			o[i].src = o[i].base;
			o[i].base = from;
		}
		d[i].forwarded = (which == TAKES_BASE ? o[i].base : o[i].src) == from;
	}
}

/* ---- the handlers ---- */

/* O's handler does the conditional jump behind it, too, if there is one that does. */
static bool fuse(struct dec *d, struct op *o)
{
	handler *both = d[0].row && d[1].row ? fused_handler(&d[0], o, &d[1]) : NULL;

	if (!both)
		return false;
	d->fused = true;
	o->run = both;
	o->osize = dec_size(d, 0) & 15;
	return true;
}

static void choose(struct dec *d, struct op *o, unsigned count, bool pairs)
{
	for (unsigned i = 0; i < count; i++)
		if (!(i + 1 < count && fuse(&d[i], &o[i])) && (d[i].dead_flags || d[i].forwarded))
			insn_gen[o[i].code](&d[i], &o[i]);
	/* Two by two. The second keeps its handler, for the case that the pair is left in its middle. */
	for (unsigned i = 0; pairs && i + 1 < count; i++) {
		handler *both = paired_handler(&d[i], &o[i]);

		if (both)
			o[i++].run = both;
	}
}

void passes(struct dec *d, struct op *o, unsigned count, bool stitched)
{
	const bool dispatched = VCPU_TAIL && !stitched; /* stitched code has registers, and no dispatch to save */

	drop_dead_flags(d, o, count);
	if (dispatched)
		forward(d, o, count);
	choose(d, o, count, dispatched);
}
