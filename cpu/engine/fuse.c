/* SPDX-License-Identifier: MIT */
/* An arithmetic instruction and the conditional jump or move after it in one step, as compilers write them at the end
 * of every loop; or ADC or SBB, as they write them for numbers of two words. Both operations stay in the block as they
 * are; only the first one's handler knows of the second. The condition is computed from operands and result, not from
 * the flags, which are kept all the same if anybody sees them. */
#define HAS_LINKS
#include "cpu/engine/passes.h"
#include "cpu/insn/alu.h"
#include "cpu/jump.h"

/* Condition CC (see condition.h) after WHAT gave R from A and B. Not all can be asked of the result alone: see
 * fused.def. */
ALWAYS_INLINE bool holds(enum alu what, unsigned cc, u64 a, u64 b, u64 r, unsigned size)
{
	s64 sa = (s64)extend(a, size), sb = (s64)extend(b, size), sr = (s64)extend(r, size);
	bool yes;

	switch (cc >> 1) {
	case 1: yes = alu_carry(what, a, b, r, size); break;
	case 2: yes = r == 0; break;
	case 3: yes = alu_carry(what, a, b, r, size) || r == 0; break;
	case 4: yes = sr < 0; break;
	case 6: /* SBB may overflow, as CMP and SUB; the rest here never do */
		yes = what == CMP || what == SUB ? sa < sb
		      : what == SBB              ? (s64)extend(r ^ ((a ^ b) & (a ^ r)), size) < 0
						 : sr < 0;
		break;
	default: yes = what == CMP || what == SUB ? sa <= sb : sr <= 0; break;
	}
	return yes ^ (cc & 1);
}

enum { PLAIN, FORWARDED_REG }; /* the first source is a register's, or the operation before has just written it */

/* The first half alone, for a memory operand that the TLB does not answer for; the jump follows by itself. */
static bool slow_compare(struct cpu *c, const struct op *o)
{
	unsigned size = o->osize;
	u64 m, other;

	if (!op_load(c, o, size, &m))
		return false;
	other = o->form == FORM_MI ? op_imm(o, size) : reg_get(c, o->form == FORM_RM ? o->dst : o->src, size);
	if (o->code == CODE_test)
		alu(c, TEST, m, other, size, true);
	else if (o->form == FORM_RM)
		alu(c, CMP, other, m, size, true);
	else
		alu(c, CMP, m, other, size, true);
	return true;
}

COLD_HANDLER(fused_slow)
{
	EXPOSE(o);
	if (!slow_compare(c, o))
		LEAVE(EXIT_FAULT);
	if (unlikely(c->attn))
		LEAVE(EXIT_ATTN);
	RUN(o + 1);
}

ALWAYS_INLINE HANDLER_TYPE fused(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned cc, unsigned size,
				 enum form form, enum jump_kind kind, bool forwarded, u64 last)
{
	u64 a, b, r;

	if (form == FORM_RR || form == FORM_RI || form == FORM_R) {
		a = forwarded ? FORWARDED(o->base, size) : reg_get(c, o->base, size);
		b = form == FORM_RI ? op_imm(o, size) : reg_get(c, o->src, size);
	} else {
		const u8 *p = fast_op(c, o, kind == JUMP_FLAT ? KIND_FLAT : KIND_INDEX, size, false);

		if (unlikely(!p))
			TAIL(fused_slow);
		a = form == FORM_RM ? reg_get(c, o->dst, size) : get_size(p, size);
		b = form == FORM_RM ? get_size(p, size) : form == FORM_MI ? op_imm(o, size) : reg_get(c, o->src, size);
	}
	if (what == INC || what == DEC)
		b = 1;
	r = alu(c, what, a, b, size, true);
	if (writes(what))
		reg_set(c, o->dst, size, r);
	if (OFTEN(o + 1, holds(what, cc, a, b, r, size))) {
		o++;
		return jump_direct(c, o, n, kind);
	}
	RUN(o + 2);
}

/* The second half is CMOVcc of MSIZE bytes. Without FLAGS nobody sees those of the first half behind it. */
ALWAYS_INLINE HANDLER_TYPE fused_move(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned cc,
	unsigned size,
				      enum form form, unsigned msize, bool flags)
{
	u64 a = reg_get(c, o->base, size), b = form == FORM_RI ? op_imm(o, size) : reg_get(c, o->src, size);
	u64 r = alu(c, what, a, b, size, flags), yes, no;

	if (writes(what))
		reg_set(c, o->dst, size, r);
	yes = reg_get(c, o[1].src, msize);
	no = reg_get(c, o[1].dst, msize);
	reg_set(c, o[1].dst, 8, holds(what, cc, a, b, r, size) ? yes : no);
	RUN(o + 2);
}

/* The second half is ADC or SBB. Nobody sees the flags of the first. */
ALWAYS_INLINE HANDLER_TYPE fused_carry_in(struct cpu *c, const struct op *o, s64 n, enum alu what, unsigned size,
					  enum form form, enum alu second, enum form second_form)
{
	u64 a = reg_get(c, o->base, size), b = form == FORM_RI ? op_imm(o, size) : reg_get(c, o->src, size);
	u64 r = alu(c, what, a, b, size, false);
	bool carry = alu_carry(what, a, b, r, size);

	if (writes(what))
		reg_set(c, o->dst, size, r);
	o++;
	a = reg_get(c, o->base, size);
	b = second_form == FORM_RI ? op_imm(o, size) : reg_get(c, o->src, size);
	r = alu_carried(c, second, a, b, carry, size, true);
	reg_set(c, o->dst, size, r);
	RUN_LAST(o + 1, r);
}

/* Handlers are named by the number of their enum jump_kind. What fused.def has for 64-bit code, and not of 8 bytes, has
 * a form for flat 32-bit code, which is the same stencil. */
#define FUSED_CALL(what, size, form, kind, cc, forwarded) \
	{ return fused(c, o, n, (enum alu)CODE_##what, cc, size, FORM_##form, kind, forwarded, last); }
#define FLAT_0_1(...)
#define FLAT_0_2(...)
#define FLAT_0_4(...)
#define FLAT_1_1(flat, ...) flat(__VA_ARGS__)
#define FLAT_1_2(flat, ...) flat(__VA_ARGS__)
#define FLAT_1_4(flat, ...) flat(__VA_ARGS__)
#define FLAT_1_8(...)
#define FLAT_LOAD(what, size, form, cc) \
	HANDLER_AS(what##_##form##size##_2_##cc, what##_##form##size##_1_##cc) \
		FUSED_CALL(what, size, form, JUMP_FLAT, cc, false)
#define FLAT(what, size, form, cc) \
	FLAT_LOAD(what, size, form, cc) \
	FORWARDED_HANDLER(forwarded_##what##_##form##size##_2_##cc) \
		FUSED_CALL(what, size, form, JUMP_FLAT, cc, true)
#define SPECIALISE_FUSED_RI_4 SPECIALISE_LINKED
#define SPECIALISE_FUSED_RI_8 SPECIALISE_LINKED
#define SPECIALISE_FUSED_R_4 SPECIALISE_LINKED
#define SPECIALISE_FUSED_R_8 SPECIALISE_LINKED
#define SPECIALISE_FUSED_RI_1(name)
#define SPECIALISE_FUSED_RI_2(name)
#define SPECIALISE_FUSED_R_1(name)
#define SPECIALISE_FUSED_R_2(name)
#define SPECIALISE_FUSED_RR_1(name)
#define SPECIALISE_FUSED_RR_2(name)
#define SPECIALISE_FUSED_RR_4(name)
#define SPECIALISE_FUSED_RR_8(name)
#define FUSED(what, size, form, kind, cc) \
	HANDLER(what##_##form##size##_##kind##_##cc) FUSED_CALL(what, size, form, kind, cc, false) \
	SPECIALISE_FUSED_##form##_##size(what##_##form##size##_##kind##_##cc) \
	FORWARDED_HANDLER(forwarded_##what##_##form##size##_##kind##_##cc) \
		FUSED_CALL(what, size, form, kind, cc, true) \
	FLAT_##kind##_##size(FLAT, what, size, form, cc)
#define FUSED_LOAD(what, size, form, kind, cc) \
	HANDLER(what##_##form##size##_##kind##_##cc) FUSED_CALL(what, size, form, kind, cc, false) \
	FLAT_##kind##_##size(FLAT_LOAD, what, size, form, cc)
#define MOVE(name, what, cc, size, form, msize) \
	HANDLER(name) { return fused_move(c, o, n, what, cc, size, form, msize, true); } \
	HANDLER(name##_n) { return fused_move(c, o, n, what, cc, size, form, msize, false); }
#define FUSED_CARRY_IN(what, size, form, second, second_form) \
	HANDLER(second##_##second_form##_##what##_##form##size) \
	{ \
		return fused_carry_in(c, o, n, (enum alu)CODE_##what, size, FORM_##form, (enum alu)CODE_##second, \
				      FORM_##second_form); \
	}
#define FUSED_MOVE(what, size, form, kind, cc) \
	MOVE(move4_##what##_##form##size##_##cc, (enum alu)CODE_##what, cc, size, FORM_##form, 4) \
	MOVE(move8_##what##_##form##size##_##cc, (enum alu)CODE_##what, cc, size, FORM_##form, 8)
#include "cpu/engine/fused.def"

/* One number for instruction, size, form, mode and condition. */
#define FUSED_KEY(code, size, form, kind, cc) ((u32)(code) << 16 | (size) << 12 | (form) << 8 | (kind) << 4 | (cc))
#define FUSED_CASE(key, ...) \
	case key: { \
		static handler *const forms[] = { __VA_ARGS__ }; \
		return forms; \
	}

/* [forwarded] */
static handler *const *find_jump(u32 key)
{
	switch (key) {
#define JUMP_CASE(what, size, form, kind, cc) \
	FUSED_CASE(FUSED_KEY(CODE_##what, size, FORM_##form, kind, cc), what##_##form##size##_##kind##_##cc, \
		   forwarded_##what##_##form##size##_##kind##_##cc)
#define LOAD_CASE(what, size, form, kind, cc) \
	FUSED_CASE(FUSED_KEY(CODE_##what, size, FORM_##form, kind, cc), what##_##form##size##_##kind##_##cc, NULL)
#define FLAT_JUMP_CASE(what, size, form, cc) JUMP_CASE(what, size, form, 2, cc)
#define FLAT_LOAD_CASE(what, size, form, cc) LOAD_CASE(what, size, form, 2, cc)
#define FUSED(what, size, form, kind, cc) \
	JUMP_CASE(what, size, form, kind, cc) FLAT_##kind##_##size(FLAT_JUMP_CASE, what, size, form, cc)
#define FUSED_LOAD(what, size, form, kind, cc) \
	LOAD_CASE(what, size, form, kind, cc) FLAT_##kind##_##size(FLAT_LOAD_CASE, what, size, form, cc)
#define FUSED_MOVE(what, size, form, kind, cc)
#define FUSED_CARRY_IN(what, size, form, second, second_form)
#include "cpu/engine/fused.def"
	default: return NULL;
	}
}

static handler *find_carry_in(u32 key, unsigned second, enum form form)
{
#define FUSED(what, size, form, kind, cc)
#define FUSED_LOAD(what, size, form, kind, cc)
#define FUSED_MOVE(what, size, form, kind, cc)
#define FUSED_CARRY_IN(what, size, form_, second_, second_form) \
	if (key == FUSED_KEY(CODE_##what, size, FORM_##form_, JUMP_64, 0) && second == CODE_##second_ && \
	    form == FORM_##second_form) \
		return second_##_##second_form##_##what##_##form_##size;
#include "cpu/engine/fused.def"
	return NULL;
}

/* [of 8 bytes, + 2 without flags] */
static handler *const *find_move(u32 key)
{
	switch (key) {
#define FUSED(what, size, form, kind, cc)
#define FUSED_LOAD(what, size, form, kind, cc)
#define FUSED_CARRY_IN(what, size, form, second, second_form)
#define FUSED_MOVE(what, size, form, kind, cc) \
	FUSED_CASE(FUSED_KEY(CODE_##what, size, FORM_##form, kind, cc), move4_##what##_##form##size##_##cc, \
		   move8_##what##_##form##size##_##cc, \
		   move4_##what##_##form##size##_##cc##_n, move8_##what##_##form##size##_##cc##_n)
#include "cpu/engine/fused.def"
	default: return NULL;
	}
}

handler *fused_handler(const struct dec *a, const struct op *o, const struct dec *j)
{
	const unsigned condition = j->row->insn->condition, size = dec_size(j, 0);
	handler *const *forms = NULL;

	if (!a->row->insn->fuse || a->lock)
		return NULL;
	if (o[1].code == CODE_adc || o[1].code == CODE_sbb)
		return a->mem || j->mem || a->forwarded || dec_size(a, 0) != size
			       ? NULL
			       : find_carry_in(FUSED_KEY(o->code, size, o->form, JUMP_64, 0), o[1].code, o[1].form);
	if (!condition)
		return NULL;
	if (condition == CONDITION_JUMP) {
		const enum jump_kind kind = dec_jump_kind(j);

		if (a->mem && !(kind == JUMP_FLAT ? a->flat_ea : a->simple_ea))
			return NULL;
		forms = find_jump(FUSED_KEY(o->code, dec_size(a, 0), o->form, kind, j->opcode & 15u));
		return forms ? forms[a->forwarded] : NULL;
	}
	if (!j->mem && size >= 4 && !a->forwarded) /* where it is does not matter without a jump */
		forms = find_move(FUSED_KEY(o->code, dec_size(a, 0), o->form, JUMP_64, j->opcode & 15u));
	return forms ? forms[(size == 8) + 2 * j->dead_behind] : NULL;
}
