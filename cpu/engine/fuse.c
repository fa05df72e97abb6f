/* An arithmetic instruction and the conditional jump after it in one step: what compilers write at the end of every loop. Both operations stay
 * in the block as they are; only the first one's handler knows of the second. The condition is computed from operands and result, not from
 * the flags, which are kept all the same. */
#include "cpu/insn/alu.h"
#include "cpu/insn/flow.h"
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

enum form { RR, RI, RM, MR, MI };
enum { PLAIN, TAKING }; /* the first source is a register's, or the operation before has just written it */

/* The first half alone, for a memory operand that the TLB does not answer for; the jump follows by itself. o->third says what to do, as
 * fuse() left it: size | form << 4 | TEST << 7. */
static bool slow_compare(struct cpu *c, const struct op *o)
{
	unsigned size = o->third & 15;
	enum form form = o->third >> 4 & 7;
	u64 m, other;

	if (!op_load(c, o, size, &m))
		return false;
	other = form == MI ? trim((u64)o->imm, size) : reg_get(c, form == RM ? o->dst : o->src, size);
	if (o->third & 0x80)
		alu(c, TEST, m, other, size, true);
	else if (form == RM)
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

	if (form == RR || form == RI) {
		a = taking ? trim(last, size) : reg_get(c, o->base, size);
		b = form == RI ? trim((u64)o->imm, size) : reg_get(c, o->src, size);
	} else {
		const u8 *p = fast_op(c, o, KIND_INDEX, size, false);

		if (unlikely(!p))
			TAIL(fused_slow);
		a = form == RM ? reg_get(c, o->dst, size) : get_size(p, size);
		b = form == RM ? get_size(p, size) : form == MI ? trim((u64)o->imm, size) : reg_get(c, o->src, size);
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
#define ONE(cc, what, size, form, in64) static HANDLER(what##_##form##size##_##cc##_##in64) { return fused(c, o, n, what, cc, size, form, in64, PLAIN, last); }
#define ONE_TAKING(cc, what, size, form) static HANDLER(what##_##form##size##_##cc##_taking) { return fused(c, o, n, what, cc, size, form, 1, TAKING, last); }
#define NAME(cc, what, size, form, in64) [cc] = what##_##form##size##_##cc##_##in64,

/* Every (instruction, size, form) that is fused, and in which modes. */
#define REGISTER_PAIRS(X, ...) \
	X(CMP, 1, RR, __VA_ARGS__) X(CMP, 2, RR, __VA_ARGS__) X(CMP, 4, RR, __VA_ARGS__) X(CMP, 8, RR, __VA_ARGS__) \
	X(CMP, 1, RI, __VA_ARGS__) X(CMP, 2, RI, __VA_ARGS__) X(CMP, 4, RI, __VA_ARGS__) X(CMP, 8, RI, __VA_ARGS__) \
	X(TEST, 1, RI, __VA_ARGS__) X(TEST, 4, RI, __VA_ARGS__) X(TEST, 8, RI, __VA_ARGS__) X(TEST, 4, RR, __VA_ARGS__) X(TEST, 8, RR, __VA_ARGS__)
#define RESULT_PAIRS(X, ...) \
	X(SUB, 4, RI, __VA_ARGS__) X(SUB, 8, RI, __VA_ARGS__) X(SUB, 4, RR, __VA_ARGS__) X(SUB, 8, RR, __VA_ARGS__) \
	X(ADD, 4, RI, __VA_ARGS__) X(ADD, 8, RI, __VA_ARGS__) X(ADD, 8, RR, __VA_ARGS__) X(AND, 4, RI, __VA_ARGS__) \
	X(AND, 4, RR, __VA_ARGS__) X(AND, 8, RR, __VA_ARGS__) X(OR, 4, RR, __VA_ARGS__) X(OR, 8, RR, __VA_ARGS__) \
	X(DEC, 4, RR, __VA_ARGS__) X(DEC, 8, RR, __VA_ARGS__) X(INC, 4, RR, __VA_ARGS__) X(INC, 8, RR, __VA_ARGS__)
#define MEMORY_PAIRS(X, ...) \
	X(CMP, 1, RM, __VA_ARGS__) X(CMP, 4, RM, __VA_ARGS__) X(CMP, 8, RM, __VA_ARGS__) X(CMP, 1, MR, __VA_ARGS__) \
	X(CMP, 4, MR, __VA_ARGS__) X(CMP, 8, MR, __VA_ARGS__) X(CMP, 1, MI, __VA_ARGS__) X(CMP, 2, MI, __VA_ARGS__) \
	X(CMP, 4, MI, __VA_ARGS__) X(CMP, 8, MI, __VA_ARGS__) X(TEST, 1, MI, __VA_ARGS__) X(TEST, 4, MI, __VA_ARGS__) X(TEST, 8, MR, __VA_ARGS__)
#define LEGACY_PAIRS(X, ...) X(INC, 4, RR, __VA_ARGS__) X(DEC, 4, RR, __VA_ARGS__) X(DEC, 2, RR, __VA_ARGS__)
#define PAIRS(X) REGISTER_PAIRS(X, 1) RESULT_PAIRS(X, 1) MEMORY_PAIRS(X, 1) REGISTER_PAIRS(X, 0) LEGACY_PAIRS(X, 0)

#define DEFINE(what, size, form, in64) CCS(ONE, what, size, form, in64)
PAIRS(DEFINE)
#define DEFINE_TAKING(what, size, form, in64) CCS(ONE_TAKING, what, size, form)
REGISTER_PAIRS(DEFINE_TAKING, 1)
RESULT_PAIRS(DEFINE_TAKING, 1)

#define ROW(what, size, form, in64) { what, size, form, in64, { CCS(NAME, what, size, form, in64) } },
static const struct pair { u8 what, size, form, in64; handler *run[16]; } pairs[] = { PAIRS(ROW) };

#define FORWARD(cc, what, size, form) { what##_##form##size##_##cc##_1, what##_##form##size##_##cc##_taking, TAKES_BASE },
#define FORWARD_ROW(what, size, form, in64) CCS(FORWARD, what, size, form)
const struct forwarding fuse_forwarding[] = { REGISTER_PAIRS(FORWARD_ROW, 1) RESULT_PAIRS(FORWARD_ROW, 1) };
const unsigned fuse_forwardings = ARRAY_LEN(fuse_forwarding);

static int which(const struct dec *a)
{
	static const struct { gen_fn *gen; enum alu what; } fusable[] = {
		{ gen_cmp, CMP }, { gen_test, TEST }, { gen_sub, SUB }, { gen_add, ADD }, { gen_and, AND }, { gen_or, OR }, { gen_inc, INC }, { gen_dec, DEC },
	};

	for (unsigned i = 0; i < ARRAY_LEN(fusable); i++)
		if (a->row->insn->gen == fusable[i].gen)
			return fusable[i].what;
	return -1;
}

bool fuse(const struct dec *a, struct op *o, const struct dec *j)
{
	int what = which(a);
	unsigned kind = dec_kind(a, 1), cc = j->opcode & 15;
	bool imm = kind == OPK_I || kind == OPK_SI;
	enum form form = !a->mem ? (imm ? RI : RR) : !dec_is_mem(a, 0) ? RM : imm ? MI : MR;

	if (what == TEST && form == RR && o->dst == o->src) /* alu.c has made it a TEST with -1 */
		form = RI;
	/* LOOP and JCXZ are direct jumps too, but no conditions: E0-E3. */
	if (what < 0 || (j->map == 0 && j->opcode >= 0xe0) || !usable((enum alu)what, cc) || (a->mem && !a->simple_ea) || a->lock)
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(pairs); i++)
		if (pairs[i].what == what && pairs[i].size == dec_size(a, 0) && pairs[i].form == form && pairs[i].in64 == (a->bits == 64)) {
			o->third = (u8)(dec_size(a, 0) | form << 4 | (what == TEST) << 7);
			o->run = pairs[i].run[cc];
			return true;
		}
	return false;
}
