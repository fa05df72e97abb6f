/* The eight two-operand arithmetic and logic instructions, TEST, and INC DEC NEG NOT. Hot: every size and form has its own handler,
 * expanded from the one meaning of each instruction that is written here; and, for results whose flags nobody can see, a form without. */
#include "cpu/insn/alu.h"
#include "cpu/insn/pair.h"

/* register, register or immediate; the first source may come from the operation before */
ALWAYS_INLINE HANDLER_TYPE alu_reg(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, bool imm, bool flags, bool taking, u64 last)
{
	u64 a = taking ? trim(last, size) : reg_get(c, o->base, size);
	u64 b = imm ? trim((u64)o->imm, size) : reg_get(c, o->src, size);
	u64 r = alu(c, what, a, b, size, flags);

	if (!writes(what))
		RUN(o + 1);
	reg_set(c, o->dst, size, r);
	RUN_LAST(o + 1, r);
}

/* register, memory */
ALWAYS_INLINE HANDLER_TYPE alu_load(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, enum kind kind, handler *slow)
{
	u64 a, r;

	LOAD_OPERAND(size, kind, slow);
	a = reg_get(c, o->dst, size);
	r = alu(c, what, a, loaded, size, true);
	if (!writes(what))
		FINISH(slow);
	reg_set(c, o->dst, size, r);
	FINISH_LAST(slow, r);
}

/* memory, register or immediate; only looks at memory for CMP and TEST */
ALWAYS_INLINE HANDLER_TYPE alu_look(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, enum kind kind, bool imm, handler *slow)
{
	LOAD_OPERAND(size, kind, slow);
	alu(c, what, loaded, imm ? trim((u64)o->imm, size) : reg_get(c, o->src, size), size, true);
	FINISH(slow);
}

ALWAYS_INLINE HANDLER_TYPE alu_modify(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, enum kind kind, bool imm, handler *slow)
{
	if (slow) {
		u8 *p = fast_op(c, o, kind, size, true);

		if (unlikely(!p))
			TAIL(slow);
		put_size(p, size, alu(c, what, get_size(p, size), imm ? trim((u64)o->imm, size) : reg_get(c, o->src, size), size, true));
		RUN(o + 1);
	}
	c->n = n;
	c->op = o;
	if (!op_load_rmw(c, o, size, &c->val))
		LEAVE(EXIT_FAULT);
	/* The flags are not to change if the store faults, and after op_load_rmw it cannot. */
	op_store(c, o, size, alu(c, what, c->val, imm ? trim((u64)o->imm, size) : reg_get(c, o->src, size), size, true));
	FINISH(slow);
}

/* One handler for each (instruction, size); `_n` has no flags. Forms: rr ri, rm (load), mr mi (modify or look); m: MEMORY2 makes _lin, _seg and their slow twin. */
#define ALU_SIZE(name, NAME, size) \
	static HANDLER(name##_rr##size) { return alu_reg(c, o, n, NAME, size, false, true, false, last); } \
	static HANDLER(name##_rr##size##_taking) { return alu_reg(c, o, n, NAME, size, false, true, true, last); } \
	static HANDLER(name##_ri##size) { return alu_reg(c, o, n, NAME, size, true, true, false, last); } \
	static HANDLER(name##_ri##size##_taking) { return alu_reg(c, o, n, NAME, size, true, true, true, last); } \
	static HANDLER(name##_rr##size##_n) { return alu_reg(c, o, n, NAME, size, false, false, false, last); } \
	static HANDLER(name##_rr##size##_n_taking) { return alu_reg(c, o, n, NAME, size, false, false, true, last); } \
	static HANDLER(name##_ri##size##_n) { return alu_reg(c, o, n, NAME, size, true, false, false, last); } \
	static HANDLER(name##_ri##size##_n_taking) { return alu_reg(c, o, n, NAME, size, true, false, true, last); } \
	MEMORY2(name##_rm##size, alu_load(c, o, n, NAME, size, MEMORY_ARGS)) \
	MEMORY2(name##_mr##size, alu_memory(c, o, n, NAME, size, MEMORY_ARGS_REG)) \
	MEMORY2(name##_mi##size, alu_memory(c, o, n, NAME, size, MEMORY_ARGS_IMM))

ALWAYS_INLINE HANDLER_TYPE alu_memory(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, enum kind kind, bool imm, handler *slow)
{
	if (writes(what))
		return alu_modify(c, o, n, what, size, kind, imm, slow);
	return alu_look(c, o, n, what, size, kind, imm, slow);
}

static bool is_immediate(const struct dec *d) { return dec_kind(d, 1) == OPK_I || dec_kind(d, 1) == OPK_SI; }

struct alu_forms {
	handler *rr, *ri, *rr_n, *ri_n, *rm[2], *mr[2], *mi[2]; /* [0]: linear, [1]: segmented */
};

#define ALU_FORMS(name, size) \
	{ name##_rr##size, name##_ri##size, name##_rr##size##_n, name##_ri##size##_n, { name##_rm##size##_lin, name##_rm##size##_seg }, \
	  { name##_mr##size##_lin, name##_mr##size##_seg }, { name##_mi##size##_lin, name##_mi##size##_seg } }

static void choose(const struct dec *d, struct op *o, const struct alu_forms *f)
{
	bool imm = is_immediate(d), seg = d->mem && !d->simple_ea;

	if (!d->mem && d->row->insn->gen == gen_test && o->dst == o->src && !imm) { /* with itself: one source is enough */
		o->imm = -1;
		imm = true;
	}
	if (!d->mem)
		o->run = imm ? (d->dead_flags ? f->ri_n : f->ri) : (d->dead_flags ? f->rr_n : f->rr);
	else if (dec_is_mem(d, 0))
		o->run = imm ? f->mi[seg] : f->mr[seg];
	else
		o->run = f->rm[seg];
}

#define ALU(name, NAME) \
	ALU_SIZE(name, NAME, 1) ALU_SIZE(name, NAME, 2) ALU_SIZE(name, NAME, 4) ALU_SIZE(name, NAME, 8) \
	GEN(name) \
	{ \
		static const struct alu_forms forms[4] = { ALU_FORMS(name, 1), ALU_FORMS(name, 2), ALU_FORMS(name, 4), ALU_FORMS(name, 8) }; \
		choose(d, o, &forms[log2_size(dec_size(d, 0))]); \
	}

ALU(add, ADD)
ALU(or, OR)
ALU(adc, ADC)
ALU(sbb, SBB)
ALU(and, AND)
ALU(sub, SUB)
ALU(xor, XOR)
ALU(cmp, CMP)
ALU(test, TEST)

/* One operand: the same forms without a second one. */
struct unary_forms { handler *r, *r_n, *m[2]; };

#define UNARY_SIZE(name, NAME, size) \
	static HANDLER(name##_r##size) { return alu_reg(c, o, n, NAME, size, true, true, false, last); } \
	static HANDLER(name##_r##size##_n) { return alu_reg(c, o, n, NAME, size, true, false, false, last); } \
	static HANDLER(name##_r##size##_taking) { return alu_reg(c, o, n, NAME, size, true, true, true, last); } \
	static HANDLER(name##_r##size##_n_taking) { return alu_reg(c, o, n, NAME, size, true, false, true, last); } \
	MEMORY2(name##_m##size, alu_modify(c, o, n, NAME, size, MEMORY_ARGS_IMM))
#define UNARY_FORMS(name, size) \
	{ name##_r##size, name##_r##size##_n, { name##_m##size##_lin, name##_m##size##_seg } }
#define UNARY(name, NAME) \
	UNARY_SIZE(name, NAME, 1) UNARY_SIZE(name, NAME, 2) UNARY_SIZE(name, NAME, 4) UNARY_SIZE(name, NAME, 8) \
	GEN(name) \
	{ \
		static const struct unary_forms forms[4] = { UNARY_FORMS(name, 1), UNARY_FORMS(name, 2), UNARY_FORMS(name, 4), UNARY_FORMS(name, 8) }; \
		const struct unary_forms *f = &forms[log2_size(dec_size(d, 0))]; \
		o->run = d->mem ? f->m[!d->simple_ea] : d->dead_flags ? f->r_n : f->r; \
	}

UNARY(inc, INC)
UNARY(dec, DEC)
UNARY(neg, NEG)
UNARY(not, NOT)

/* ---- what passes a value on to the next operation, or takes one ---- */

#define FORWARD(name, how) { name, name##_taking, how }, { name##_taking, NULL, (how) & GIVES }
#define FORWARD_SIZE(name, size, how, commutes) \
	FORWARD(name##_rr##size, (how) | (commutes)), FORWARD(name##_ri##size, how), \
	FORWARD(name##_rr##size##_n, (how) | (commutes)), FORWARD(name##_ri##size##_n, how)
#define FORWARD_ALL(name, how, commutes) \
	FORWARD_SIZE(name, 1, (how) & ~GIVES, commutes), FORWARD_SIZE(name, 2, (how) & ~GIVES, commutes), \
	FORWARD_SIZE(name, 4, how, commutes), FORWARD_SIZE(name, 8, how, commutes)
#define FORWARD_UNARY_SIZE(name, size, how) FORWARD(name##_r##size, how), FORWARD(name##_r##size##_n, how)
#define FORWARD_UNARY(name) \
	FORWARD_UNARY_SIZE(name, 1, TAKES_BASE), FORWARD_UNARY_SIZE(name, 2, TAKES_BASE), \
	FORWARD_UNARY_SIZE(name, 4, GIVES | TAKES_BASE), FORWARD_UNARY_SIZE(name, 8, GIVES | TAKES_BASE)
#define GIVING_LOAD(name) { name##_rm4_lin, NULL, GIVES }, { name##_rm8_lin, NULL, GIVES }

const struct forwarding alu_forwarding[] = {
	FORWARD_ALL(add, GIVES | TAKES_BASE, COMMUTES), FORWARD_ALL(or, GIVES | TAKES_BASE, COMMUTES),
	FORWARD_ALL(adc, GIVES | TAKES_BASE, COMMUTES), FORWARD_ALL(sbb, GIVES | TAKES_BASE, 0),
	FORWARD_ALL(and, GIVES | TAKES_BASE, COMMUTES), FORWARD_ALL(sub, GIVES | TAKES_BASE, 0),
	FORWARD_ALL(xor, GIVES | TAKES_BASE, COMMUTES), FORWARD_ALL(cmp, TAKES_BASE, 0), FORWARD_ALL(test, TAKES_BASE, COMMUTES),
	FORWARD_UNARY(inc), FORWARD_UNARY(dec), FORWARD_UNARY(neg), FORWARD_UNARY(not),
	GIVING_LOAD(add), GIVING_LOAD(or), GIVING_LOAD(adc), GIVING_LOAD(sbb), GIVING_LOAD(and), GIVING_LOAD(sub), GIVING_LOAD(xor),
	STEPS_OF(add_ri8_n, ADDI8), STEPS_HOW(add_rr8_n, ADD8, GIVES | TAKES_BASE | COMMUTES), STEPS_HOW(add_rr4_n, ADD4, GIVES | TAKES_BASE | COMMUTES),
	STEPS_OF(sub_ri8_n, SUBI8), STEPS_HOW(xor_rr8_n, XOR8, GIVES | TAKES_BASE | COMMUTES), STEPS_OF(and_ri4_n, ANDI4),
};
const unsigned alu_forwardings = ARRAY_LEN(alu_forwarding);
