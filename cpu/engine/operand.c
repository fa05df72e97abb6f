/* SPDX-License-Identifier: MIT */
/* What an instruction reads and writes, from the columns of its row. */
#include "cpu/operand.h"

static bool in_memory(const struct dec *d, unsigned n)
{
	unsigned k = dec_kind(d, n);

	return dec_is_mem(d, n) || k == OPK_X || k == OPK_Y || k == OPK_O;
}

static enum location_kind kind_of(const struct dec *d, unsigned n)
{
	const struct operand *p = &d->row->operand[n];

	if (in_memory(d, n))
		return d->row->insn->vsib ? IN_OTHER : IN_MEMORY;
	if (p->size == 'k')
		return IN_MASK;
	if (p->size == 'T') /* a tile */
		return IN_OTHER;
	switch (p->kind) {
	case OPK_E:
	case OPK_R:
	case OPK_G:
	case OPK_Z:
	case OPK_B: return IN_GENERAL;
	case OPK_V:
	case OPK_W:
	case OPK_U:
	case OPK_H: return IN_VECTOR;
	case OPK_I:
	case OPK_SI: return IN_IMMEDIATE;
	case OPK_FIXED:
		return !p->size                   ? IN_IMMEDIATE
		       : strchr("bwdzv", p->size) ? IN_GENERAL
		       : p->size == 'o'           ? IN_VECTOR
						  : IN_OTHER;
	default: return IN_OTHER;
	}
}

/* Operand N, which is a register: its number. */
static unsigned number_of(const struct dec *d, unsigned n)
{
	unsigned reg = dec_register(d, n);

	return kind_of(d, n) == IN_GENERAL ? reg / 8 : reg;
}

static u64 linear(const struct cpu *c, unsigned seg, u64 offset)
{
	return (seg == FLAT ? offset : c->seg[seg].base + offset) & c->linear_mask;
}

/* The offset of O, whose registers may be in slots, which somebody may be using. */
static u64 offset_of(const struct cpu *c, const struct dec *d, const struct op *o)
{
	u64 *const slot = ((struct cpu *)c)->slot, kept[EGPR_SLOTS], offset;

	memcpy(kept, slot, sizeof kept);
	for (unsigned i = 0; i < d->egprs; i++)
		slot[i] = c->egpr[d->egpr[i] - EGPR];
	offset = op_offset(c, o);
	memcpy(slot, kept, sizeof kept);
	return offset;
}

static u64 address_of(const struct cpu *c, const struct dec *d, const struct op *o, unsigned n)
{
	unsigned seg = d->seg;

	switch (dec_kind(d, n)) {
	case OPK_X: return linear(c, seg, c->r[RSI] & op_amask(o));
	case OPK_Y: return linear(c, ES, c->r[RDI] & op_amask(o));
	case OPK_O: return linear(c, seg, (u64)d->imm & op_amask(o));
	default: return linear(c, o->seg, offset_of(c, d, o));
	}
}

unsigned operands(const struct cpu *c, const struct dec *d, const struct op *o, struct location out[LOCATIONS])
{
	const struct insn *insn = d->row->insn;
	unsigned count = d->row->operands;

	for (unsigned n = 0; n < count; n++) {
		out[n] = (struct location){ .kind = kind_of(d, n),
					    .size = dec_size(d, n),
					    .written = insn_sets(insn) >> n & 1 };
		if (out[n].kind == IN_MEMORY) {
			out[n].value = address_of(c, d, o, n);
		} else if (out[n].kind == IN_IMMEDIATE) {
			out[n].value = (u64)d->imm;
			out[n].written = false;
		} else if (out[n].kind != IN_OTHER) {
			out[n].reg = number_of(d, n);
			out[n].first = out[n].kind == IN_GENERAL ? dec_register(d, n) % 8 : 0;
		}
	}
	if (insn->copies && count == 1) {
		bool pop = out[0].written;

		out[!pop] = out[0];
		out[pop] =
			(struct location){ IN_MEMORY, .size = d->osize, .written = !pop,
					   .value = linear(c, SS, (c->r[RSP] - (pop ? 0 : d->osize)) & stack_mask(c)) };
		count = 2;
	}
	return count;
}

static u32 implied(const struct dec *d)
{
	u32 set = d->row->insn->implied;

	for (unsigned n = 0; n < d->row->operands; n++)
		set |= dec_kind(d, n) == OPK_X ? GPR_SI : dec_kind(d, n) == OPK_Y ? GPR_DI : 0u;
	return set & (GPR_SI | GPR_DI) && d->rep && d->row->insn->rep ? set | GPR_CX : set;
}

struct written operands_written(const struct dec *d)
{
	const u32 also = implied(d);
	struct written w = { .general = also & 0xffff,
			     .vectors = also & IMPLIED_VECTORS ? ~(u32)0
					: also & IMPLIED_XMM0  ? 1
							       : 0,
			     /* a gather or scatter clears its mask on the way */
			     .masks = also & IMPLIED_VECTORS          ? 0xff
				      : d->evex && d->row->insn->vsib ? 1u << d->k
								      : 0 };

	for (unsigned n = 0; n < d->row->operands; n++) {
		enum location_kind kind = insn_sets(d->row->insn) >> n & 1 ? kind_of(d, n) : IN_NOTHING;

		if (kind == IN_GENERAL)
			w.general |= 1u << number_of(d, n);
		else if (kind == IN_VECTOR)
			w.vectors |= 1u << number_of(d, n);
		else if (kind == IN_MASK)
			w.masks |= 1u << number_of(d, n);
		else if (kind != IN_NOTHING)
			w.memory |= in_memory(d, n);
	}
	return w;
}
