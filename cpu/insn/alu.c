/* SPDX-License-Identifier: MIT */
/* The eight two-operand arithmetic and logic instructions, TEST, and INC DEC NEG NOT. Hot: every size and form has its
 * own handler, expanded from the one meaning of each instruction that is written here; and, for results whose flags
 * nobody can see, a form without. */
#include "cpu/insn/alu.h"

/* register, register or immediate; the first source may come from the operation before */
ALWAYS_INLINE HANDLER_TYPE alu_reg(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, bool imm,
				   bool flags, bool forwarded, u64 last)
{
	u64 a = forwarded ? FORWARDED(o->base, size) : reg_get(c, o->base, size);
	u64 b = imm ? op_imm(o, size) : reg_get(c, o->src, size);
	u64 r = alu(c, what, a, b, size, flags);

	if (!writes(what))
		RUN(o + 1);
	reg_set(c, o->dst, size, r);
	RUN_LAST(o + 1, r);
}

/* register, memory. The slow form has flags always: the run may end behind it. */
ALWAYS_INLINE HANDLER_TYPE alu_load(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size, bool flags,
				    enum kind kind, handler *slow)
{
	u64 a, r;

	LOAD_OPERAND(size, kind, slow);
	a = reg_get(c, o->dst, size);
	r = alu(c, what, a, loaded, size, flags || !slow);
	if (!writes(what))
		FINISH(slow);
	reg_set(c, o->dst, size, r);
	FINISH_LAST(slow, r);
}

/* memory, register or immediate; only looks at memory for CMP and TEST */
ALWAYS_INLINE HANDLER_TYPE alu_look(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size,
				    enum kind kind, bool imm, handler *slow)
{
	LOAD_OPERAND(size, kind, slow);
	alu(c, what, loaded, imm ? op_imm(o, size) : reg_get(c, o->src, size), size, true);
	FINISH(slow);
}

ALWAYS_INLINE HANDLER_TYPE alu_modify(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size,
				      enum kind kind, bool imm, handler *slow)
{
	if (slow) {
		u8 *p = fast_op(c, o, kind, size, true);

		if (unlikely(!p))
			TAIL(slow);
		put_size(p, size,
			 alu(c, what, get_size(p, size), imm ? op_imm(o, size) : reg_get(c, o->src, size), size, true));
		RUN(o + 1);
	}
	EXPOSE(o);
	if (!op_load_rmw(c, o, size, &c->val))
		LEAVE(EXIT_FAULT);
	/* The flags are not to change if the store faults, and after op_load_rmw it cannot, but for a hook, which puts
	 * them back. */
	if (!op_store(c, o, size, alu(c, what, c->val, imm ? op_imm(o, size) : reg_get(c, o->src, size), size, true)))
		LEAVE(EXIT_FAULT);
	FINISH(slow);
}

/* One handler for each (instruction, size); `_n` has no flags. Forms: rr ri, rm (load), mr mi (modify or look); m:
 * MEMORY2 makes _lin, _seg and their slow twin. */
#define ALU_SIZE(name, NAME, size) \
	HANDLER(name##_rr##size) { return alu_reg(c, o, n, NAME, size, false, true, false, last); } \
	FORWARDED_HANDLER(name##_rr##size##_forwarded) { return alu_reg(c, o, n, NAME, size, false, true, true, last); \
		} \
	HANDLER(name##_ri##size) { return alu_reg(c, o, n, NAME, size, true, true, false, last); } \
	FORWARDED_HANDLER(name##_ri##size##_forwarded) { return alu_reg(c, o, n, NAME, size, true, true, true, last); \
		} \
	HANDLER(name##_rr##size##_n) { return alu_reg(c, o, n, NAME, size, false, false, false, last); } \
	FORWARDED_HANDLER(name##_rr##size##_n_forwarded) { return alu_reg(c, o, n, NAME, size, false, false, true, \
		last); } \
	HANDLER(name##_ri##size##_n) { return alu_reg(c, o, n, NAME, size, true, false, false, last); } \
	FORWARDED_HANDLER(name##_ri##size##_n_forwarded) { return alu_reg(c, o, n, NAME, size, true, false, true, \
		last); } \
	MEMORY2(name##_rm##size, alu_load(c, o, n, NAME, size, true, MEMORY_ARGS)) \
	MEMORY2(name##_mr##size, alu_memory(c, o, n, NAME, size, MEMORY_ARGS_REG)) \
	MEMORY2(name##_mi##size, alu_memory(c, o, n, NAME, size, MEMORY_ARGS_IMM))

ALWAYS_INLINE HANDLER_TYPE alu_memory(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size,
				      enum kind kind, bool imm, handler *slow)
{
	if (writes(what))
		return alu_modify(c, o, n, what, size, kind, imm, slow);
	return alu_look(c, o, n, what, size, kind, imm, slow);
}

struct alu_forms {
	handler *reg[2][2][2]; /* [immediate][without flags][forwarded] */
	handler *rm[3], *mr[3], *mi[3]; /* by dec_way() */
	handler *rm_n[3];               /* without flags; NULL: none */
};

#define ALU_FORMS(name, size, loads) \
	{ { { { name##_rr##size, name##_rr##size##_forwarded }, \
		{ name##_rr##size##_n, name##_rr##size##_n_forwarded } }, \
	    { { name##_ri##size, name##_ri##size##_forwarded }, \
	    	{ name##_ri##size##_n, name##_ri##size##_n_forwarded } } }, \
	  FORMS2(name##_rm##size), FORMS2(name##_mr##size), FORMS2(name##_mi##size), loads(name##_rm##size##_n) }

/* XOR of 4 or 8 bytes with itself, which need not wait for the register. */
ALWAYS_INLINE HANDLER_TYPE clear(struct cpu *c, const struct op *o, s64 n, bool flags)
{
	if (flags)
		set_flags_logic(c, 0, 8);
	reg_set(c, o->dst, 8, 0);
	RUN_LAST(o + 1, 0);
}
HANDLER(xor_itself) { return clear(c, o, n, true); }
HANDLER(xor_itself_n) { return clear(c, o, n, false); }

static void choose(const struct dec *d, struct op *o, const struct alu_forms *f)
{
	unsigned way = dec_way(d);

	if (o->code == CODE_xor && o->form == FORM_RR && o->base == o->src && dec_size(d, 0) >= 4) {
		o->run = d->dead_flags ? xor_itself_n : xor_itself;
		return;
	}
	if (o->code == CODE_test && o->form == FORM_RR && o->base == o->src) { /* with itself: one source is enough */
		o->imm = -1;
		o->form = FORM_RI;
	}
	switch (o->form) {
	case FORM_RR:
	case FORM_RI: o->run = f->reg[o->form == FORM_RI][d->dead_flags][d->forwarded]; break;
	case FORM_RM: o->run = d->dead_flags && f->rm_n[way] ? f->rm_n[way] : f->rm[way]; break;
	case FORM_MR: o->run = f->mr[way]; break;
	default: o->run = f->mi[way]; break;
	}
}

#define NO_FORMS(name) { NULL }
#define ALU(name, NAME, loads) \
	ALU_SIZE(name, NAME, 1) ALU_SIZE(name, NAME, 2) ALU_SIZE(name, NAME, 4) ALU_SIZE(name, NAME, 8) \
	GEN(name) \
	{ \
		static const struct alu_forms forms[4] = { ALU_FORMS(name, 1, NO_FORMS), ALU_FORMS(name, 2, NO_FORMS), \
			ALU_FORMS(name, 4, loads), ALU_FORMS(name, 8, loads) }; \
		choose(d, o, &forms[log2_size(dec_size(d, 0))]); \
	} \
	SPECIALISE_DST(name##_ri4) SPECIALISE_DST(name##_ri8) SPECIALISE_DST(name##_ri4_n) SPECIALISE_DST(name##_ri8_n)
/* One whose form with memory is hot without flags, too. */
#define ALU_LOADS(name, NAME) \
	MEMORY2(name##_rm4_n, alu_load(c, o, n, NAME, 4, false, MEMORY_ARGS)) \
	MEMORY2(name##_rm8_n, alu_load(c, o, n, NAME, 8, false, MEMORY_ARGS)) \
	ALU(name, NAME, FORMS2) \
	SPECIALISE_DST_SRC(name##_rr4_n) SPECIALISE_DST_SRC(name##_rr8_n) \
	SPECIALISE_LOAD(name##_rm4_n_lin) SPECIALISE_LOAD(name##_rm8_n_lin)

#define SPECIALISE_FLAGS(name) SPECIALISE_DST_SRC(name##_rr4) SPECIALISE_DST_SRC(name##_rr8)
ALU_LOADS(add, ADD)
ALU_LOADS(or, OR)
ALU(adc, ADC, NO_FORMS)
ALU(sbb, SBB, NO_FORMS)
ALU_LOADS(and, AND)
ALU_LOADS(sub, SUB)
ALU_LOADS(xor, XOR)
ALU(cmp, CMP, NO_FORMS)
ALU(test, TEST, NO_FORMS)
SPECIALISE_FLAGS(add)
SPECIALISE_FLAGS(adc)
SPECIALISE_FLAGS(sbb)
SPECIALISE_FLAGS(sub)
SPECIALISE_FLAGS(cmp)
SPECIALISE_DST_SRC(adc_rr4_n)
SPECIALISE_DST_SRC(adc_rr8_n)
SPECIALISE_DST_SRC(sbb_rr4_n)
SPECIALISE_DST_SRC(sbb_rr8_n)
/* With EVEX.SCC a condition decides which flags stay: extended.c. */
GEN(ccmp) { gen_cmp(d, o); }
GEN(ctest) { gen_test(d, o); }

/* One operand: the same forms without a second one. */
struct unary_forms { handler *r[2][2] /* [without flags][forwarded] */, *m[3]; };

#define UNARY_SIZE(name, NAME, size) \
	HANDLER(name##_r##size) { return alu_reg(c, o, n, NAME, size, true, true, false, last); } \
	HANDLER(name##_r##size##_n) { return alu_reg(c, o, n, NAME, size, true, false, false, last); } \
	FORWARDED_HANDLER(name##_r##size##_forwarded) { return alu_reg(c, o, n, NAME, size, true, true, true, last); } \
	FORWARDED_HANDLER(name##_r##size##_n_forwarded) { return alu_reg(c, o, n, NAME, size, true, false, true, \
		last); } \
	MEMORY2(name##_m##size, alu_modify(c, o, n, NAME, size, MEMORY_ARGS_IMM))
#define UNARY_FORMS(name, size) \
	{ { { name##_r##size, name##_r##size##_forwarded }, { name##_r##size##_n, name##_r##size##_n_forwarded } }, \
		FORMS2(name##_m##size) }
#define UNARY(name, NAME) \
	UNARY_SIZE(name, NAME, 1) UNARY_SIZE(name, NAME, 2) UNARY_SIZE(name, NAME, 4) UNARY_SIZE(name, NAME, 8) \
	GEN(name) \
	{ \
		static const struct unary_forms forms[4] = { UNARY_FORMS(name, 1), UNARY_FORMS(name, 2), \
			UNARY_FORMS(name, 4), UNARY_FORMS(name, 8) }; \
		const struct unary_forms *f = &forms[log2_size(dec_size(d, 0))]; \
		o->run = d->mem ? f->m[dec_way(d)] : f->r[d->dead_flags][d->forwarded]; \
	} \
	SPECIALISE_DST(name##_r4_n) SPECIALISE_DST(name##_r8_n)

UNARY(inc, INC)
UNARY(dec, DEC)
UNARY(neg, NEG)
UNARY(not, NOT)
