/* Two simple operations in one handler: one dispatch less, and what the first gives the second need not come back from memory. Every
 * combination of pair.h's steps is expanded here from the meanings in alu.h and shift.h. */
#include "cpu/insn/pair.h"
#include "cpu/insn/shift.h"

/* Do one. False: the TLB has no answer for its load. */
ALWAYS_INLINE bool step(struct cpu *c, const struct op *o, unsigned what, bool taking, u64 last, u64 *v)
{
	u64 base = taking ? last : REG64(what == MOV4 || what == MOV8 ? o->src : o->base);
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
	case LEA8: *v = base + (REG64(o->index) << (o->scale & 63)) + (s64)o->disp; break;
	case LEAB8: *v = base + (s64)o->disp; break;
	default:
		p = fast_host(c, base + (s64)o->disp, what == LOADZ1 ? 1 : what == LOADZ2 ? 2 : what == LOAD4 ? 4 : 8, false);
		if (unlikely(!p))
			return false;
		*v = get_size(p, what == LOADZ1 ? 1 : what == LOADZ2 ? 2 : what == LOAD4 ? 4 : 8);
	}
	REG64(o->dst) = *v;
	return true;
}

/* A pair's first load on the slow way; the second follows by itself. All of them zero-extend. */
ALWAYS_INLINE HANDLER_TYPE load_slow(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	c->n = n;
	c->op = o;
	if (!op_load(c, o, size, &c->val))
		LEAVE(EXIT_FAULT);
	REG64(o->dst) = c->val;
	if (unlikely(c->attn))
		LEAVE(EXIT_ATTN);
	RUN_LAST(o + 1, c->val);
}
static COLD HANDLER(load_slow1) { return load_slow(c, o, n, 1); }
static COLD HANDLER(load_slow2) { return load_slow(c, o, n, 2); }
static COLD HANDLER(load_slow4) { return load_slow(c, o, n, 4); }
static COLD HANDLER(load_slow8) { return load_slow(c, o, n, 8); }

ALWAYS_INLINE HANDLER_TYPE both(struct cpu *c, const struct op *o, s64 n, u64 last, unsigned first, unsigned second)
{
	u64 given, v;

	if (!step(c, o, first >> 1, first & 1, last, &given))
		TAIL(first >> 1 == LOADZ1 ? load_slow1 : first >> 1 == LOADZ2 ? load_slow2 : first >> 1 == LOAD4 ? load_slow4 : load_slow8);
	o++;
	if (!step(c, o, second >> 1, second & 1, given, &v))
		RUN_LAST(o, given);
	RUN_LAST(o + 1, v);
}

#define FIRSTS(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) \
	X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33) X(34) X(35)
#define SECONDS(X, first) X(first, 2) X(first, 3) X(first, 4) X(first, 5) X(first, 6) X(first, 7) X(first, 8) X(first, 9) X(first, 10) \
	X(first, 11) X(first, 12) X(first, 13) X(first, 14) X(first, 15) X(first, 16) X(first, 17) X(first, 18) X(first, 19) X(first, 20) \
	X(first, 21) X(first, 22) X(first, 23) X(first, 24) X(first, 25) X(first, 26) X(first, 27) X(first, 28) X(first, 29) X(first, 30) \
	X(first, 31) X(first, 32) X(first, 33) X(first, 34) X(first, 35)
_Static_assert(2 * STEP_COUNT == 36, "FIRSTS and SECONDS go through all steps");

#define PAIR(first, second) static HANDLER(pair_##first##_##second) { return both(c, o, n, last, first, second); }
#define PAIRS(first) SECONDS(PAIR, first)
FIRSTS(PAIRS)

#define NAME(first, second) [second] = pair_##first##_##second,
#define ROW(first) [first] = { SECONDS(NAME, first) },

handler *pair(unsigned first, unsigned second)
{
	static handler *const pairs[2 * STEP_COUNT][2 * STEP_COUNT] = { FIRSTS(ROW) };

	return pairs[first][second];
}
