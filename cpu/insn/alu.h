/* SPDX-License-Identifier: MIT */
/* Shared by hot handlers: flags from results, and the two ways to memory. */
#ifndef CPU_ALU_H
#define CPU_ALU_H

#include "cpu/op.h"

/* Tables of handlers by operand size: 1, 2, 4, 8 are 0 to 3. */
static inline unsigned log2_size(unsigned size) { return (unsigned)__builtin_ctz(size); }

/* After a logical operation: CF OF AF are 0. */
ALWAYS_INLINE void set_flags_logic(struct cpu *c, u64 r, unsigned size)
{
	c->res = extend(r, size);
	c->cv = 0;
	c->fix = 0;
}

/* CF alone: OF is CF ^ bit 62, so both bits move together. */
ALWAYS_INLINE void set_carry(struct cpu *c, bool value)
{
	settle_flags(c);
	if (flag_c(c) != value)
		c->cv ^= (u64)3 << 62;
}

enum alu { ADD = CODE_add, OR = CODE_or, ADC = CODE_adc, SBB = CODE_sbb, AND = CODE_and, SUB = CODE_sub, XOR = CODE_xor,
	CMP = CODE_cmp, TEST = CODE_test,
           INC = CODE_inc, DEC = CODE_dec, NEG = CODE_neg, NOT = CODE_not, BT = CODE_bt };

/* CF, for ADC and SBB: an addition (or subtraction) of their size has most likely left it; of 64 bits, another ADC or
 * SBB as well. */
ALWAYS_INLINE bool carry_of(const struct cpu *c, unsigned size, bool sum)
{
	const u8 fix = c->fix;
	const u64 r = trim(c->res, size), carried = fix / FIX_CARRIED & 1;

	if (unlikely((size < 8 ? fix : fix & ~FIX_CARRIED) != (deferred(size) | (sum ? FIX_SUM : 0))))
		return flag_c_seldom(c);
	if (size < 8)
		return sum ? r < c->cv : c->cv < r;
	return sum ? borrows(r, c->cv, carried) : borrows(c->cv, r, carried);
}

/* ADC (or SBB) with CARRY. A narrow SBB ends a comparison of 64 bits, and its flags are asked for. */
ALWAYS_INLINE u64 alu_carried(struct cpu *c, enum alu what, u64 a, u64 b, bool carry, unsigned size, bool flags)
{
	u64 r = what == ADC ? a + b + carry : a - b - carry;

	if (flags && (size == 8 || what == ADC))
		defer_flags_carried(c, a, r, carry, what == ADC, size);
	else if (flags)
		set_flags_sum(c, a, b, r, size, true);
	return trim(r, size);
}

/* SDM vol. 2 of each. A and B are zero-extended; so is what is returned. */
ALWAYS_INLINE u64 alu(struct cpu *c, enum alu what, u64 a, u64 b, unsigned size, bool flags)
{
	u64 r;

	switch (what) {
	case ADD:
		if (flags)
			defer_flags_sum(c, a, b, size);
		return trim(a + b, size);
	case ADC:
	case SBB: return alu_carried(c, what, a, b, carry_of(c, size, what == ADC), size, flags);
	case SUB:
	case CMP:
		if (flags)
			defer_flags_difference(c, a, b, size);
		return trim(a - b, size);
	case AND:
	case TEST:
		r = a & b;
		break;
	case OR:
		r = a | b;
		break;
	case XOR:
		r = a ^ b;
		break;
	case INC:
	case DEC: /* CF stays */
		r = what == INC ? a + 1 : a - 1;
		if (flags)
			defer_flags_kept(c, r, what == INC, size);
		return trim(r, size);
	case BT: /* as one step with a jump; else it is bit.c's */
		set_carry(c, a >> (b & (8 * size - 1)) & 1);
		return a;
	case NEG:
		r = 0 - a;
		if (flags)
			set_flags_sum(c, 0, a, r, size, true);
		return trim(r, size);
	default: /* NOT */
		return trim(~a, size);
	}
	if (flags)
		set_flags_logic(c, r, size);
	return r;
}

/* CF after WHAT gave R from A and B. */
ALWAYS_INLINE bool alu_carry(enum alu what, u64 a, u64 b, u64 r, unsigned size)
{
	switch (what) {
	case CMP:
	case SUB: return a < b;
	case ADD: return r < a;
	case SBB: return ((~a & b) | (~(a ^ b) & r)) >> (8 * size - 1) & 1;
	case BT: return a >> (b & (8 * size - 1)) & 1;
	default: return false; /* logic */
	}
}

/* A memory handler is expanded four times: _lin (the address is linear as it is), _flat (of 32 bits), _seg (segment,
 * limit, address size), and _slow, which all go to when the TLB does not answer, and which does the whole instruction
 * through memory.c. EXPR uses MEMORY_ARGS: (kind, slow). */
#define MEMORY2(name, expr) \
	COLD_HANDLER(name##_slow) { const enum kind kind_ = KIND_SEG; handler *const slow_ = NULL; return expr; } \
	HANDLER(name##_lin) { const enum kind kind_ = KIND_INDEX; handler *const slow_ = name##_slow; return expr; } \
	HANDLER_AS(name##_flat, name##_lin) { \
		const enum kind kind_ = KIND_FLAT; \
		handler *const slow_ = name##_slow; \
		return expr; \
	} \
	HANDLER(name##_seg) { const enum kind kind_ = KIND_SEG; handler *const slow_ = name##_slow; return expr; }
#define FORMS2(name) { name##_lin, name##_seg, name##_flat }
/* The same with one more, _base, for operands without an index. */
#define MEMORY3(name, expr) \
	MEMORY2(name, expr) \
	HANDLER(name##_base) { const enum kind kind_ = KIND_BASE; handler *const slow_ = name##_slow; return expr; }
/* With one more, _forwarded, like _base, whose base is `last`. */
#define MEMORY4(name, expr) \
	MEMORY3(name, expr) \
	FORWARDED_HANDLER(name##_forwarded) { const enum kind kind_ = KIND_LAST; handler *const slow_ = name##_slow; \
		return expr; }
#define MEMORY_ARGS kind_, slow_
#define MEMORY_ARGS_REG kind_, false, slow_
#define MEMORY_ARGS_IMM kind_, true, slow_

/* In an inline handler with constant `slow`: declare `loaded`, the memory operand. */
#define LOAD_OPERAND(size, kind, slow) \
	u64 loaded; \
	if (slow) { \
		const u8 *p_ = fast_op(c, o, kind, size, false); \
		if (unlikely(!p_)) \
			TAIL(slow); \
		loaded = get_size(p_, size); \
	} else { \
		EXPOSE(o); \
		if (!op_load(c, o, size, &c->val)) \
			LEAVE(EXIT_FAULT); \
		loaded = c->val; \
	}
/* And store SIZE bytes of VALUE to it, before anything else changes. */
#define STORE_OPERAND(size, kind, slow, value) \
	do { \
		if (slow) { \
			u8 *p_ = fast_op(c, o, kind, size, true); \
			if (unlikely(!p_)) \
				TAIL(slow); \
			put_size(p_, size, value); \
		} else { \
			EXPOSE(o); \
			if (!op_store(c, o, size, value)) \
				LEAVE(EXIT_FAULT); \
		} \
	} while (0)
/* The end: the slow form may have met something that wants attention. */
#define FINISH(slow) \
	do { \
		if (!(slow) && unlikely(c->attn)) \
			LEAVE(EXIT_ATTN); \
		RUN(o + 1); \
	} while (0)
#define FINISH_LAST(slow, value) \
	do { \
		if (!(slow) && unlikely(c->attn)) \
			LEAVE(EXIT_ATTN); \
		RUN_LAST(o + 1, value); \
	} while (0)

static inline bool writes(enum alu what) { return what != CMP && what != TEST && what != BT; }

gen_fn gen_muldiv_8086; /* MUL IMUL DIV IDIV */

#endif
