/* SPDX-License-Identifier: MIT */
/* Two simple operations in one handler: one dispatch less, and the first's result reaches the second in a host
 * register. The pairs of pairs.def are expanded here from the meanings in alu.h and shift.h. */
#include "cpu/engine/passes.h"
#include "cpu/insn/shift.h"

unsigned step_of(const struct dec *d, const struct op *o)
{
#define STEP(name, code, form, size, from) [name] = { CODE_##code, FORM_##form, size, from },
	static const struct { u16 code; u8 form, size, from; } steps[STEPS] = {
#include "cpu/engine/pairs.def"
	};
	const struct insn *insn = d->row ? d->row->insn : NULL;
	unsigned size;

	if (!insn || !insn->gives || d->raises || d->fused)
		return STEP_NONE;
	if (o->code == CODE_lea)
		return d->osize != 8 || d->asize != 8 ? STEP_NONE : d->no_index ? LEAB8 : LEA8;
	if ((insn->flags & OSZAPC && (!d->dead_flags || d->mem)) || (d->mem && dec_kind_of_memory(d) != KIND_BASE) ||
	    (insn->by_count && !o->imm))
		return STEP_NONE;
	size = dec_size(d, 0);
	for (unsigned s = STEP_NONE + 1; s < STEPS; s++)
		if (steps[s].code == o->code && steps[s].form == o->form && steps[s].size == size &&
		    (o->form == FORM_RI || steps[s].from == dec_size(d, 1)))
			return s;
	return STEP_NONE;
}

/* Execute one of the two. False: its load is not in the TLB. */
ALWAYS_INLINE bool step(struct cpu *c, const struct op *o, unsigned what, bool forwarded, u64 last, u64 *v)
{
	u64 from = what == MOV4 || what == MOV8 ? o->src : o->base;
	u64 base = forwarded ? FORWARDED(from, 8) : REG64(from);
	const u8 *p;

	switch (what) {
	case MOV4: *v = (u32)base; break;
	case MOV8: *v = base; break;
	case ADDI8: *v = alu(c, ADD, base, (u64)o->imm, 8, false); break;
	case ADD8: *v = alu(c, ADD, base, REG64(o->src), 8, false); break;
	case ADD4: *v = alu(c, ADD, (u32)base, REG32(o->src), 4, false); break;
	case SUBI8: *v = alu(c, SUB, base, (u64)o->imm, 8, false); break;
	case XOR8: *v = alu(c, XOR, base, REG64(o->src), 8, false); break;
	case ANDI4: *v = alu(c, AND, (u32)base, (u32)o->imm, 4, false); break;
	case SHL8: *v = shift(c, SHL, base, (unsigned)o->imm, 8, false); break;
	case SHR8: *v = shift(c, SHR, base, (unsigned)o->imm, 8, false); break;
	case SHR4: *v = shift(c, SHR, (u32)base, (unsigned)o->imm, 4, false); break;
	case LEA8: *v = op_sum(c, o, base); break;
	case LEAB8: *v = base + (s64)o->disp; break;
	default:
		p = fast_host(c, base + (s64)o->disp, what == LOADZ1 ? 1 : what == LOADZ2 ? 2 : what == LOAD4 ? 4 : 8,
		false);
		if (unlikely(!p))
			return false;
		*v = get_size(p, what == LOADZ1 ? 1 : what == LOADZ2 ? 2 : what == LOAD4 ? 4 : 8);
	}
	reg_set(c, o->dst, 8, *v);
	return true;
}

/* The slow path of a pair's first load; the second operation then runs alone. All loads zero-extend. */
ALWAYS_INLINE HANDLER_TYPE load_slow(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	EXPOSE(o);
	if (!op_load(c, o, size, &c->val))
		LEAVE(EXIT_FAULT);
	reg_set(c, o->dst, 8, c->val);
	if (unlikely(c->attn))
		LEAVE(EXIT_ATTN);
	RUN_LAST(o + 1, c->val);
}
COLD_HANDLER(load_slow1) { return load_slow(c, o, n, 1); }
COLD_HANDLER(load_slow2) { return load_slow(c, o, n, 2); }
COLD_HANDLER(load_slow4) { return load_slow(c, o, n, 4); }
COLD_HANDLER(load_slow8) { return load_slow(c, o, n, 8); }

ALWAYS_INLINE HANDLER_TYPE both(struct cpu *c, const struct op *o, s64 n, u64 last, unsigned first, unsigned second)
{
	u64 given, v;

	if (!step(c, o, first >> 1, first & 1, last, &given))
		TAIL(first >> 1 == LOADZ1 ? load_slow1 : first >> 1 == LOADZ2 ? load_slow2 : first >> 1 == LOAD4
			? load_slow4 : load_slow8);
	o++;
	if (!step(c, o, second >> 1, second & 1, given, &v))
		RUN_LAST(o, given);
	RUN_LAST(o + 1, v);
}

#define PAIR(first, second, takes) \
	HANDLER(pair_##first##_##second##_##takes) { return both(c, o, n, last, 2 * first, 2 * second + takes); } \
	HANDLER(forwarded_##first##_##second##_##takes) { return both(c, o, n, last, 2 * first + 1, 2 * second + \
		takes); }
#include "cpu/engine/pairs.def"

handler *paired_handler(const struct dec *d, const struct op *o)
{
#define PAIR(first, second, takes) [first][second][takes] = { pair_##first##_##second##_##takes, \
	forwarded_##first##_##second##_##takes },
	/* [first][second][does the second take the first's result][does the first take one] */
	static handler *const pairs[STEPS][STEPS][2][2] = {
#include "cpu/engine/pairs.def"
	};
	unsigned first = step_of(d, o), second = first ? step_of(d + 1, o + 1) : STEP_NONE;

	return second ? pairs[first][second][d[1].forwarded][d->forwarded] : NULL;
}
