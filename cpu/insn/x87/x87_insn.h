/* SPDX-License-Identifier: MIT */
/* The construction of x87 instructions: the register stack, stack faults, the last-instruction pointers. Inside of
 * x87*.c only.
 *
 * An instruction that computes goes
 *     wait     #MF if something unmasked is pending, unless it is one of the FN... instructions
 *     load     the operand from memory, which may fault
 *     note     FIP, FDP, FOP
 *     compute  with a struct fp, which collects what is raised
 *     settle   status word; says whether the result may be written
 *
 * In an operation, imm is FOP: the low three bits of the escape byte, then ModRM. */
#ifndef CPU_X87_INSN_H
#define CPU_X87_INSN_H

#include "cpu/op.h"
#include "cpu/insn/x87/x87_real.h"

void x87_gen(const struct dec *d, struct op *o, handler *run);

static inline unsigned x87_i(const struct op *o) { return o->imm & 7; }
static inline unsigned x87_phys(const struct cpu *c, unsigned i) { return (c->x87.top + i) & 7; }
static inline bool x87_empty(const struct cpu *c, unsigned i) { return !(c->x87.valid >> x87_phys(c, i) & 1); }

static inline struct real st_get(const struct cpu *c, unsigned i)
{
	unsigned n = x87_phys(c, i);

	return (struct real){ c->x87.st[n].frac, c->x87.st[n].exp };
}

static inline void st_set(struct cpu *c, unsigned i, struct real v)
{
	unsigned n = x87_phys(c, i);

	c->x87.st[n].frac = v.frac;
	c->x87.st[n].exp = v.exp;
	c->x87.valid |= (u8)(1u << n);
}

static inline void st_pop(struct cpu *c)
{
	c->x87.valid &= (u8)~(1u << c->x87.top);
	c->x87.top = (c->x87.top + 1) & 7;
}

static inline void st_push(struct cpu *c, struct real v)
{
	c->x87.top = (c->x87.top - 1) & 7;
	st_set(c, 0, v);
}

static inline void x87_note(struct cpu *c, const struct op *o)
{
	c->x87.op = (u16)o->imm;
	c->x87.cs = c->seg[CS].sel;
	c->x87.ip = c->r[RIP] + o->ip;
	if (o->mem) {
		c->x87.ds = c->seg[o->seg].sel;
		c->x87.dp = op_offset(c, o);
	}
}

static inline struct fp fp_begin(const struct cpu *c) { return (struct fp){ .cw = c->x87.cw }; }

/* The status word after an instruction; true: its result may be written. */
static inline bool fp_settle(struct cpu *c, const struct fp *f)
{
	c->x87.sw = (u16)((c->x87.sw & ~X87_C1) | f->raised);
	if (likely(!(f->raised & ~f->cw & X87_EXCEPTIONS)))
		return true;
	x87_update(c);
	return !fp_dropped(f);
}

/* The same for those that set EFLAGS or move by them: they leave C1 as it was, but for a stack fault. */
static inline bool fp_settle_keeping_c1(struct cpu *c, struct fp *f)
{
	if (!(f->raised & X87_SF))
		f->raised |= c->x87.sw & X87_C1;
	return fp_settle(c, f);
}

/* Stack faults. An empty register that is needed is an invalid operand; C1 is 0. */
static inline struct real fp_underflow(struct fp *f)
{
	f->raised |= X87_SF;
	return fp_invalid(f);
}
/* A push onto a register in use; C1 is 1. */
static inline struct real fp_overflow(struct fp *f)
{
	f->raised |= X87_SF | X87_C1;
	return fp_invalid(f);
}

/* Settle, and push V, or what stack overflow makes of it. */
static inline void fp_push(struct cpu *c, struct fp *f, struct real v)
{
	if (unlikely(!x87_empty(c, 7))) {
		*f = fp_begin(c);
		v = fp_overflow(f);
	}
	if (fp_settle(c, f))
		st_push(c, v);
}

static inline void x87_set_cc(struct cpu *c, u16 cc)
{
	c->x87.sw = (u16)((c->x87.sw & ~(X87_C0 | X87_C2 | X87_C3)) | cc);
}

/* Memory operands, by the fast path where that answers. */
ALWAYS_INLINE bool fp_load(struct cpu *c, const struct op *o, unsigned size, u64 *out)
{
	const u8 *p = fast_op(c, o, KIND_SEG, size, false);

	if (unlikely(!p))
		return op_load(c, o, size, out);
	*out = get_size(p, size);
	return true;
}

ALWAYS_INLINE bool fp_store(struct cpu *c, const struct op *o, unsigned size, u64 v)
{
	u8 *p = fast_op(c, o, KIND_SEG, size, true);

	if (unlikely(!p))
		return op_store(c, o, size, v);
	put_size(p, size, v);
	return true;
}

/* A real of 10 bytes. */
ALWAYS_INLINE bool fp_load_real(struct cpu *c, const struct op *o, struct real *out)
{
	const u8 *p = fast_op(c, o, KIND_SEG, 10, false);
	u8 copy[10];

	if (unlikely(!p)) {
		if (!op_load_block(c, o, copy, 10))
			return false;
		p = copy;
	}
	*out = (struct real){ get64(p), get16(p + 8) };
	return true;
}

ALWAYS_INLINE bool fp_store_real(struct cpu *c, const struct op *o, struct real v)
{
	u8 *p = fast_op(c, o, KIND_SEG, 10, true), copy[10];
	bool slow = unlikely(!p);

	if (slow)
		p = copy;
	put64(p, v.frac);
	put16(p + 8, v.exp);
	return !slow || op_store_block(c, o, copy, 10);
}

#define X87_GEN(name) GEN(name) { x87_gen(d, o, h_##name); }
#define X87_BODY(name) BODY_HANDLER(name) X87_GEN(name)

#endif
