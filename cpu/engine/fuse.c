/* An arithmetic instruction and the conditional jump after it in one step: what compilers write at the end of every loop. Both operations stay
 * in the block as they are; only the first one's handler knows of the second. The condition is computed from operands and result, not from
 * the flags, which are kept all the same. */
#include "cpu/engine/passes.h"
#include "cpu/insn/alu.h"
#include "cpu/jump.h"

/* Condition CC (see condition.h) after WHAT gave R from A and B. */
ALWAYS_INLINE bool holds(enum alu what, unsigned cc, u64 a, u64 b, u64 r, unsigned size)
{
	s64 sa = (s64)extend(a, size), sb = (s64)extend(b, size), sr = (s64)extend(r, size);
	bool yes;

	switch (cc >> 1) {
	case 1: yes = what == CMP || what == SUB ? a < b : what == ADD ? r < a : false; break;
	case 2: yes = r == 0; break;
	case 3: yes = what == CMP || what == SUB ? a <= b : what == ADD ? r < a || r == 0 : r == 0; break;
	case 4: yes = sr < 0; break;
	case 6: yes = what == CMP || what == SUB ? sa < sb : sr < 0; break;  /* the rest here never overflow: see usable() */
	default: yes = what == CMP || what == SUB ? sa <= sb : sr <= 0; break;
	}
	return yes ^ (cc & 1);
}

/* Which conditions may be asked of the result alone: not OF, PF; CF of INC and DEC is an older one; signed order needs OF. */
static bool usable(enum alu what, unsigned cc)
{
	switch (cc >> 1) {
	case 0:
	case 5: return false;
	case 1:
	case 3: return what != INC && what != DEC;
	case 2:
	case 4: return true;
	default: return what == CMP || what == SUB || what == TEST || what == AND || what == OR;
	}
}

enum { PLAIN, TAKING }; /* the first source is a register's, or the operation before has just written it */

/* The first half alone, for a memory operand that the TLB does not answer for; the jump follows by itself. */
static bool slow_compare(struct cpu *c, const struct op *o)
{
	unsigned size = o->osize;
	u64 m, other;

	if (!op_load(c, o, size, &m))
		return false;
	other = o->form == FORM_MI ? trim((u64)o->imm, size) : reg_get(c, o->form == FORM_RM ? o->dst : o->src, size);
	if (o->code == CODE_test)
		alu(c, TEST, m, other, size, true);
	else if (o->form == FORM_RM)
		alu(c, CMP, other, m, size, true);
	else
		alu(c, CMP, m, other, size, true);
	return true;
}

static COLD HANDLER(fused_slow)
{
	c->n = n;
	c->op = o;
	if (!slow_compare(c, o))
		LEAVE(EXIT_FAULT);
	if (unlikely(c->attn))
		LEAVE(EXIT_ATTN);
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE fused(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned cc, unsigned size, enum form form, bool in64, bool taking, u64 last)
{
	u64 a, b, r;

	if (form == FORM_RR || form == FORM_RI || form == FORM_R) {
		a = taking ? trim(last, size) : reg_get(c, o->base, size);
		b = form == FORM_RI ? trim((u64)o->imm, size) : reg_get(c, o->src, size);
	} else {
		const u8 *p = fast_op(c, o, KIND_INDEX, size, false);

		if (unlikely(!p))
			TAIL(fused_slow);
		a = form == FORM_RM ? reg_get(c, o->dst, size) : get_size(p, size);
		b = form == FORM_RM ? get_size(p, size) : form == FORM_MI ? trim((u64)o->imm, size) : reg_get(c, o->src, size);
	}
	if (what == INC || what == DEC)
		b = 1;
	if (what == CMP || what == SUB) {
		defer_flags_difference(c, a, b, size);
		r = trim(a - b, size);
	} else {
		r = alu(c, what, a, b, size, true);
	}
	if (writes(what))
		reg_set(c, o->dst, size, r);
	if (holds(what, cc, a, b, r, size)) {
		o++;
		return jump_direct(c, o, n, in64);
	}
	RUN(o + 2);
}

#define CCS(X, ...) X(2, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__) X(5, __VA_ARGS__) X(6, __VA_ARGS__) X(7, __VA_ARGS__) \
	X(8, __VA_ARGS__) X(9, __VA_ARGS__) X(12, __VA_ARGS__) X(13, __VA_ARGS__) X(14, __VA_ARGS__) X(15, __VA_ARGS__)
#define ONE(cc, what, size, form, in64) static HANDLER(what##_##form##size##_##cc##_##in64) { return fused(c, o, n, (enum alu)CODE_##what, cc, size, FORM_##form, in64, PLAIN, last); }
#define ONE_TAKING(cc, what, size, form) static HANDLER(what##_##form##size##_##cc##_taking) { return fused(c, o, n, (enum alu)CODE_##what, cc, size, FORM_##form, 1, TAKING, last); }
#define NAME(cc, what, size, form, in64) [cc] = what##_##form##size##_##cc##_##in64,
#define NAME_TAKING(cc, what, size, form) [cc] = what##_##form##size##_##cc##_taking,

/* Every (instruction, size, form) that is fused, and in which modes. */
#define REGISTER_PAIRS(X, ...) \
	X(cmp, 1, RR, __VA_ARGS__) X(cmp, 2, RR, __VA_ARGS__) X(cmp, 4, RR, __VA_ARGS__) X(cmp, 8, RR, __VA_ARGS__) \
	X(cmp, 1, RI, __VA_ARGS__) X(cmp, 2, RI, __VA_ARGS__) X(cmp, 4, RI, __VA_ARGS__) X(cmp, 8, RI, __VA_ARGS__) \
	X(test, 1, RI, __VA_ARGS__) X(test, 4, RI, __VA_ARGS__) X(test, 8, RI, __VA_ARGS__) X(test, 4, RR, __VA_ARGS__) X(test, 8, RR, __VA_ARGS__)
#define RESULT_PAIRS(X, ...) \
	X(sub, 4, RI, __VA_ARGS__) X(sub, 8, RI, __VA_ARGS__) X(sub, 4, RR, __VA_ARGS__) X(sub, 8, RR, __VA_ARGS__) \
	X(add, 4, RI, __VA_ARGS__) X(add, 8, RI, __VA_ARGS__) X(add, 8, RR, __VA_ARGS__) X(and, 4, RI, __VA_ARGS__) \
	X(and, 4, RR, __VA_ARGS__) X(and, 8, RR, __VA_ARGS__) X(or, 4, RR, __VA_ARGS__) X(or, 8, RR, __VA_ARGS__) \
	X(dec, 4, R, __VA_ARGS__) X(dec, 8, R, __VA_ARGS__) X(inc, 4, R, __VA_ARGS__) X(inc, 8, R, __VA_ARGS__)
#define MEMORY_PAIRS(X, ...) \
	X(cmp, 1, RM, __VA_ARGS__) X(cmp, 4, RM, __VA_ARGS__) X(cmp, 8, RM, __VA_ARGS__) X(cmp, 1, MR, __VA_ARGS__) \
	X(cmp, 4, MR, __VA_ARGS__) X(cmp, 8, MR, __VA_ARGS__) X(cmp, 1, MI, __VA_ARGS__) X(cmp, 2, MI, __VA_ARGS__) \
	X(cmp, 4, MI, __VA_ARGS__) X(cmp, 8, MI, __VA_ARGS__) X(test, 1, MI, __VA_ARGS__) X(test, 4, MI, __VA_ARGS__) X(test, 8, MR, __VA_ARGS__)
#define LEGACY_PAIRS(X, ...) X(inc, 4, R, __VA_ARGS__) X(dec, 4, R, __VA_ARGS__) X(dec, 2, R, __VA_ARGS__)
#define FUSED(X) REGISTER_PAIRS(X, 1) RESULT_PAIRS(X, 1) MEMORY_PAIRS(X, 1) REGISTER_PAIRS(X, 0) LEGACY_PAIRS(X, 0)

#define DEFINE(what, size, form, in64) CCS(ONE, what, size, form, in64)
FUSED(DEFINE)
#define DEFINE_TAKING(what, size, form, in64) CCS(ONE_TAKING, what, size, form)
REGISTER_PAIRS(DEFINE_TAKING, 1)
RESULT_PAIRS(DEFINE_TAKING, 1)

#define ROW(what, size, form, in64) { CODE_##what, size, FORM_##form, in64, { { CCS(NAME, what, size, form, in64) } } },
#define ROW_TAKING(what, size, form, in64) { CODE_##what, size, FORM_##form, in64, { { CCS(NAME, what, size, form, in64) }, { CCS(NAME_TAKING, what, size, form) } } },
static const struct fused { u16 code; u8 size, form, in64; handler *run[2][16]; /* [taking][condition] */ } all_fused[] = {
	REGISTER_PAIRS(ROW_TAKING, 1) RESULT_PAIRS(ROW_TAKING, 1) MEMORY_PAIRS(ROW, 1) REGISTER_PAIRS(ROW, 0) LEGACY_PAIRS(ROW, 0)
};

bool fused_takes(const struct dec *a) { return !a->mem && a->bits == 64; }

handler *fused_handler(const struct dec *a, const struct op *o, const struct dec *j)
{
	unsigned cc = j->opcode & 15, size;

	/* LOOP and JCXZ are direct jumps too, but no conditions: E0-E3. */
	if (!a->row->insn->fuse || dec_kind(j, 0) != OPK_J || j->row->insn->code == CODE_jmp || j->row->insn->code == CODE_call ||
	    (j->map == 0 && j->opcode >= 0xe0) || (a->mem && !a->simple_ea) || a->lock || !usable((enum alu)o->code, cc))
		return NULL;
	size = dec_size(a, 0);
	for (const struct fused *f = all_fused; f < all_fused + ARRAY_LEN(all_fused); f++)
		if (f->code == o->code && f->size == size && f->form == o->form && f->in64 == (a->bits == 64))
			return f->run[a->taking][cc];
	return NULL;
}
