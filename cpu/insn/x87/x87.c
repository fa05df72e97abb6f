/* SPDX-License-Identifier: MIT */
/* x87 instructions: loads, stores, basic arithmetic, comparison, the register stack (SDM vol. 1, 8.3). */
#include "cpu/insn/x87/x87_insn.h"

void x87_gen(const struct dec *d, struct op *o, handler *run)
{
	o->imm = (d->opcode & 7) << 8 | d->modrm;
	o->run = run;
}

void x87_update(struct cpu *c)
{
	bool was = c->x87.sw & X87_ES, is = c->x87.sw & ~c->x87.cw & X87_EXCEPTIONS;

	c->x87.sw = is ? c->x87.sw | X87_ES | X87_B : c->x87.sw & ~(X87_ES | X87_B);
	if (was != is && c->ferr.set && (was || !(c->cr0 & CR0_NE))) {
		cpu_sync(c);
		line_set(&c->ferr, is);
	}
}

/* ---- operands in memory: which kind, the escape byte says ---- */

/* D8, DA, DC, DE, and one more for D9, DB, DD, DF */
enum { ESC_FLOAT = 0, ESC_INT32 = 2, ESC_DOUBLE = 4, ESC_INT16 = 6 };

static inline bool load_operand(struct cpu *c, const struct op *o, struct fp *f, struct real *out)
{
	u64 v;

	switch (o->imm >> 8 & 6) {
	case ESC_FLOAT:
		if (!fp_load(c, o, 4, &v))
			return false;
		*out = real_from_float(f, (u32)v);
		return true;
	case ESC_DOUBLE:
		if (!fp_load(c, o, 8, &v))
			return false;
		*out = real_from_double(f, v);
		return true;
	case ESC_INT32:
		if (!fp_load(c, o, 4, &v))
			return false;
		*out = real_from_int((s32)v);
		return true;
	default:
		if (!fp_load(c, o, 2, &v))
			return false;
		*out = real_from_int((s16)v);
		return true;
	}
}

/* ---- arithmetic ---- */

enum arith { ADD, MUL, SUB, SUBR, DIV, DIVR };

ALWAYS_INLINE struct real compute(struct fp *f, enum arith k, struct real a, struct real b)
{
	switch (k) {
	case ADD: return real_add(f, a, b);
	case MUL: return real_mul(f, a, b);
	case SUB: return real_sub(f, a, b);
	case SUBR: return real_sub(f, b, a);
	case DIV: return real_div(f, a, b);
	default: return real_div(f, b, a);
	}
}

ALWAYS_INLINE bool arith_regs(struct cpu *c, const struct op *o, enum arith k, unsigned dst, unsigned src, bool pop)
{
	struct fp f = fp_begin(c);
	struct real r;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (unlikely(x87_empty(c, dst) || x87_empty(c, src)))
		r = fp_underflow(&f);
	else
		r = compute(&f, k, st_get(c, dst), st_get(c, src));
	if (fp_settle(c, &f)) {
		st_set(c, dst, r);
		if (pop)
			st_pop(c);
	}
	return true;
}

ALWAYS_INLINE bool arith_mem(struct cpu *c, const struct op *o, enum arith k)
{
	struct fp f = fp_begin(c);
	struct real r;

	if (!x87_wait(c) || !load_operand(c, o, &f, &r))
		return false;
	x87_note(c, o);
	r = unlikely(x87_empty(c, 0)) ? fp_underflow(&f) : compute(&f, k, st_get(c, 0), r);
	if (fp_settle(c, &f))
		st_set(c, 0, r);
	return true;
}

/* D8: ST0 op= ST(i); DC: ST(i) op= ST0; DE: the same and pop. */
static void gen_arith(const struct dec *d, struct op *o, handler *st0_sti, handler *sti_st0, handler *pop, handler *mem)
{
	unsigned esc = d->opcode & 7;

	x87_gen(d, o, d->mem ? mem : esc == 0 ? st0_sti : esc == 4 ? sti_st0 : pop);
}

#define ARITH(name, k) \
	BODY(name##_st0_sti) { return arith_regs(c, o, k, 0, x87_i(o), false); } \
	BODY(name##_sti_st0) { return arith_regs(c, o, k, x87_i(o), 0, false); } \
	BODY(name##_pop) { return arith_regs(c, o, k, x87_i(o), 0, true); } \
	BODY(name##_mem) { return arith_mem(c, o, k); } \
	BODY_HANDLER(name##_st0_sti) BODY_HANDLER(name##_sti_st0) BODY_HANDLER(name##_pop) BODY_HANDLER(name##_mem) \
	GEN(name) { gen_arith(d, o, h_##name##_st0_sti, h_##name##_sti_st0, h_##name##_pop, h_##name##_mem); }

ARITH(fadd, ADD)
ARITH(fmul, MUL)
ARITH(fsub, SUB)
ARITH(fsubr, SUBR)
ARITH(fdiv, DIV)
ARITH(fdivr, DIVR)
GEN(faddp) { gen_fadd(d, o); }
GEN(fmulp) { gen_fmul(d, o); }
GEN(fsubp) { gen_fsub(d, o); }
GEN(fsubrp) { gen_fsubr(d, o); }
GEN(fdivp) { gen_fdiv(d, o); }
GEN(fdivrp) { gen_fdivr(d, o); }
GEN(fiadd) { gen_fadd(d, o); }
GEN(fimul) { gen_fmul(d, o); }
GEN(fisub) { gen_fsub(d, o); }
GEN(fisubr) { gen_fsubr(d, o); }
GEN(fidiv) { gen_fdiv(d, o); }
GEN(fidivr) { gen_fdivr(d, o); }

/* ---- comparison ---- */

/* With B from memory, or from ST(I). POPS 0 to 2. */
ALWAYS_INLINE bool compare(struct cpu *c, struct fp *f, struct real b, bool empty, bool quiet, unsigned pops)
{
	u16 cc = X87_C3 | X87_C2 | X87_C0;

	if (unlikely(empty))
		fp_underflow(f);
	else
		cc = real_compare(f, st_get(c, 0), b, quiet);
	x87_set_cc(c, cc); /* also when it is an unmasked exception */
	if (fp_settle(c, f))
		while (pops--)
			st_pop(c);
	return true;
}

ALWAYS_INLINE bool compare_reg(struct cpu *c, const struct op *o, bool quiet, unsigned pops)
{
	struct fp f = fp_begin(c);
	unsigned i = x87_i(o);

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	return compare(c, &f, st_get(c, i), x87_empty(c, 0) || x87_empty(c, i), quiet, pops);
}

ALWAYS_INLINE bool compare_mem(struct cpu *c, const struct op *o, unsigned pops)
{
	struct fp f = fp_begin(c);
	struct real b;

	if (!x87_wait(c) || !load_operand(c, o, &f, &b))
		return false;
	x87_note(c, o);
	return compare(c, &f, b, x87_empty(c, 0), false, pops);
}

BODY(fcom_reg) { return compare_reg(c, o, false, 0); }
BODY(fcomp_reg) { return compare_reg(c, o, false, 1); }
BODY(fcom_mem) { return compare_mem(c, o, 0); }
BODY(fcomp_mem) { return compare_mem(c, o, 1); }
BODY(fcompp) { return compare_reg(c, o, false, 2); }
BODY(fucom) { return compare_reg(c, o, true, 0); }
BODY(fucomp) { return compare_reg(c, o, true, 1); }
BODY(fucompp) { return compare_reg(c, o, true, 2); }
BODY_HANDLER(fcom_reg)
BODY_HANDLER(fcomp_reg)
BODY_HANDLER(fcom_mem)
BODY_HANDLER(fcomp_mem)
GEN(fcom) { x87_gen(d, o, d->mem ? h_fcom_mem : h_fcom_reg); }
GEN(fcomp) { x87_gen(d, o, d->mem ? h_fcomp_mem : h_fcomp_reg); }
GEN(ficom) { x87_gen(d, o, h_fcom_mem); }
GEN(ficomp) { x87_gen(d, o, h_fcomp_mem); }
X87_BODY(fcompp)
X87_BODY(fucom)
X87_BODY(fucomp)
X87_BODY(fucompp)

/* To EFLAGS: unordered, less and equal as C3 C2 C0 would be after FSTSW, SAHF. */
ALWAYS_INLINE bool compare_flags(struct cpu *c, const struct op *o, bool quiet, bool pop)
{
	struct fp f = fp_begin(c);
	u16 cc = X87_C3 | X87_C2 | X87_C0;
	unsigned i = x87_i(o);

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (unlikely(x87_empty(c, 0) || x87_empty(c, i)))
		fp_underflow(&f);
	else
		cc = real_compare(&f, st_get(c, 0), st_get(c, i), quiet);
	cpu_set_arith(c, (cc & X87_C3 ? FL_Z : 0) | (cc & X87_C2 ? FL_P : 0) | (cc & X87_C0 ? FL_C : 0));
	if (fp_settle_keeping_c1(c, &f) && pop)
		st_pop(c);
	return true;
}

BODY(fcomi) { return compare_flags(c, o, false, false); }
BODY(fcomip) { return compare_flags(c, o, false, true); }
BODY(fucomi) { return compare_flags(c, o, true, false); }
BODY(fucomip) { return compare_flags(c, o, true, true); }
X87_BODY(fcomi)
X87_BODY(fcomip)
X87_BODY(fucomi)
X87_BODY(fucomip)

BODY(ftst)
{
	struct fp f = fp_begin(c);

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	return compare(c, &f, REAL_ZERO(0), x87_empty(c, 0), false, 0);
}
X87_BODY(ftst)

/* Class of ST0 as C3 C2 C0: unsupported 000, NaN 001, normal 010, infinity 011, zero 100, empty 101, denormal 110. C1
 * is its sign. */
BODY(fxam)
{
	struct real a = st_get(c, 0);
	u16 cc;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (x87_empty(c, 0))
		cc = X87_C3 | X87_C0;
	else if (real_is_zero(a))
		cc = X87_C3;
	else if (real_is_denormal(a))
		cc = X87_C3 | X87_C2;
	else if (real_is_unsupported(a))
		cc = 0;
	else if (real_is_nan(a))
		cc = X87_C0;
	else if (real_is_inf(a))
		cc = X87_C2 | X87_C0;
	else
		cc = X87_C2;
	c->x87.sw = (u16)((c->x87.sw & ~X87_CC) | cc | (real_sign(a) ? X87_C1 : 0));
	return true;
}
X87_BODY(fxam)

/* ---- loads ---- */

BODY(fld_mem)
{
	struct fp f = fp_begin(c);
	struct real v;

	if (!x87_wait(c) || !load_operand(c, o, &f, &v))
		return false;
	x87_note(c, o);
	v = real_loaded(&f, v);
	if (likely(f.raised != X87_DE || !x87_empty(c, 7))) {
		fp_push(c, &f, v);
	} else { /* the one denormal exception that comes after the result */
		fp_settle(c, &f);
		st_push(c, v);
	}
	return true;
}

BODY(fld_m80)
{
	struct fp f = fp_begin(c);
	struct real v;

	if (!x87_wait(c) || !fp_load_real(c, o, &v))
		return false;
	x87_note(c, o);
	fp_push(c, &f, v);
	return true;
}

BODY(fld_reg)
{
	struct fp f = fp_begin(c);
	unsigned i = x87_i(o);

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (unlikely(x87_empty(c, i))) { /* goes before a stack overflow */
		struct real v = fp_underflow(&f);

		if (fp_settle(c, &f))
			st_push(c, v);
	} else {
		fp_push(c, &f, st_get(c, i));
	}
	return true;
}

BODY_HANDLER(fld_mem)
BODY_HANDLER(fld_m80)
BODY_HANDLER(fld_reg)
GEN(fld) { x87_gen(d, o, !d->mem ? h_fld_reg : d->opcode == 0xdb ? h_fld_m80 : h_fld_mem); }

BODY(fild64)
{
	struct fp f = fp_begin(c);
	u64 v;

	if (!x87_wait(c) || !fp_load(c, o, 8, &v))
		return false;
	x87_note(c, o);
	fp_push(c, &f, real_from_int((s64)v));
	return true;
}
BODY_HANDLER(fild64)
GEN(fild) { x87_gen(d, o, d->opcode == 0xdf && (d->modrm >> 3 & 7) == 5 ? h_fild64 : h_fld_mem); }

BODY(fbld)
{
	struct fp f = fp_begin(c);
	u8 v[10];

	if (!x87_wait(c) || !op_load_block(c, o, v, 10))
		return false;
	x87_note(c, o);
	fp_push(c, &f, real_from_bcd(v));
	return true;
}
X87_BODY(fbld)

/* FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ: D9 E8 to EE. The 64 bits, and what the digits behind them do: more than
 * half (nearest is up already) or less. */
BODY(fld_constant)
{
	static const struct { u64 frac; u16 exp; s8 rest;
		/* 0 exact, 1: below the true value, -1: above it */ } constants[8] = {
		{ J_BIT, EXP_BIAS, 0 },
		{ 0xd49a784bcd1b8afe, EXP_BIAS + 1, 1 },  /* log2 10 */
		{ 0xb8aa3b295c17f0bc, EXP_BIAS, -1 },     /* log2 e */
		{ 0xc90fdaa22168c235, EXP_BIAS + 1, -1 }, /* pi */
		{ 0x9a209a84fbcff799, EXP_BIAS - 2, -1 }, /* log10 2 */
		{ 0xb17217f7d1cf79ac, EXP_BIAS - 1, -1 }, /* ln 2 */
		{ 0, 0, 0 },
	};
	struct fp f = fp_begin(c);
	unsigned k = x87_i(o), rc = fp_rc(&f);
	u64 frac = constants[k].frac;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	if (constants[k].rest > 0 && rc == 2)
		frac++;
	else if (constants[k].rest < 0 && (rc & 1))
		frac--;
	fp_push(c, &f, (struct real){ frac, constants[k].exp });
	return true;
}
BODY_HANDLER(fld_constant)
GEN(fld1) { x87_gen(d, o, h_fld_constant); }
GEN(fldl2t) { x87_gen(d, o, h_fld_constant); }
GEN(fldl2e) { x87_gen(d, o, h_fld_constant); }
GEN(fldpi) { x87_gen(d, o, h_fld_constant); }
GEN(fldlg2) { x87_gen(d, o, h_fld_constant); }
GEN(fldln2) { x87_gen(d, o, h_fld_constant); }
GEN(fldz) { x87_gen(d, o, h_fld_constant); }

/* ---- stores ---- */

enum store { STORE_FLOAT, STORE_DOUBLE, STORE_REAL, STORE_INT, STORE_CHOP, STORE_BCD };

/* Nothing is settled before the store can no longer fault. */
ALWAYS_INLINE bool store(struct cpu *c, const struct op *o, enum store kind, unsigned bytes, bool pop)
{
	struct fp f = fp_begin(c);
	struct real a;
	u64 v = 0, linear;
	u32 v32;
	u8 block[10];
	bool ok = false;

	if (!x87_wait(c))
		return false;
	a = unlikely(x87_empty(c, 0)) ? fp_underflow(&f) : st_get(c, 0);
	if (likely(!fp_dropped(&f))) {
		switch (kind) {
		case STORE_FLOAT:
			ok = real_to_float(&f, a, &v32);
			v = v32;
			break;
		case STORE_DOUBLE: ok = real_to_double(&f, a, &v); break;
		case STORE_INT: ok = real_to_int(&f, a, bytes, false, &v); break;
		case STORE_CHOP: ok = real_to_int(&f, a, bytes, true, &v); break;
		case STORE_BCD: ok = real_to_bcd(&f, a, block); break;
		case STORE_REAL: ok = true; break;
		}
	}
	/* With AMD's processors the place counts also when nothing is stored. */
	if (!ok && is_amd(c->model) &&
	    (!op_linear(c, o, bytes, true, &linear) || !mem_check_write(c, linear, bytes)))
		return false;
	if (ok && !(kind == STORE_REAL  ? fp_store_real(c, o, a)
		    : kind == STORE_BCD ? op_store_block(c, o, block, 10)
					: fp_store(c, o, bytes, v)))
		return false;
	x87_note(c, o);
	fp_settle(c, &f);
	if (ok && pop)
		st_pop(c);
	return true;
}

BODY(fst_m32) { return store(c, o, STORE_FLOAT, 4, false); }
BODY(fst_m64) { return store(c, o, STORE_DOUBLE, 8, false); }
BODY(fstp_m32) { return store(c, o, STORE_FLOAT, 4, true); }
BODY(fstp_m64) { return store(c, o, STORE_DOUBLE, 8, true); }
BODY(fstp_m80) { return store(c, o, STORE_REAL, 10, true); }
BODY(fist_m16) { return store(c, o, STORE_INT, 2, false); }
BODY(fist_m32) { return store(c, o, STORE_INT, 4, false); }
BODY(fistp_m16) { return store(c, o, STORE_INT, 2, true); }
BODY(fistp_m32) { return store(c, o, STORE_INT, 4, true); }
BODY(fistp_m64) { return store(c, o, STORE_INT, 8, true); }
BODY(fisttp_m16) { return store(c, o, STORE_CHOP, 2, true); }
BODY(fisttp_m32) { return store(c, o, STORE_CHOP, 4, true); }
BODY(fisttp_m64) { return store(c, o, STORE_CHOP, 8, true); }
BODY(fbstp) { return store(c, o, STORE_BCD, 10, true); }

ALWAYS_INLINE bool store_reg(struct cpu *c, const struct op *o, bool pop)
{
	struct fp f = fp_begin(c);
	struct real a;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	a = unlikely(x87_empty(c, 0)) ? fp_underflow(&f) : st_get(c, 0);
	if (fp_settle(c, &f)) {
		st_set(c, x87_i(o), a);
		if (pop)
			st_pop(c);
	}
	return true;
}

BODY(fst_reg) { return store_reg(c, o, false); }
BODY(fstp_reg) { return store_reg(c, o, true); }

/* D9 D8+i: an empty ST0 is no stack fault, just not stored. */
BODY(fstpnce)
{
	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~X87_C1;
	if (!x87_empty(c, 0))
		st_set(c, x87_i(o), st_get(c, 0));
	st_pop(c);
	return true;
}
X87_BODY(fstpnce)

BODY_HANDLER(fst_m32)
BODY_HANDLER(fst_m64)
BODY_HANDLER(fstp_m32)
BODY_HANDLER(fstp_m64)
BODY_HANDLER(fstp_m80)
BODY_HANDLER(fist_m16)
BODY_HANDLER(fist_m32)
BODY_HANDLER(fistp_m16)
BODY_HANDLER(fistp_m32)
BODY_HANDLER(fistp_m64)
BODY_HANDLER(fisttp_m16)
BODY_HANDLER(fisttp_m32)
BODY_HANDLER(fisttp_m64)
BODY_HANDLER(fst_reg)
BODY_HANDLER(fstp_reg)
X87_BODY(fbstp)
GEN(fst) { x87_gen(d, o, !d->mem ? h_fst_reg : d->opcode == 0xd9 ? h_fst_m32 : h_fst_m64); }
GEN(fstp) { x87_gen(d, o, !d->mem ? h_fstp_reg : d->opcode == 0xd9 ? h_fstp_m32 : d->opcode == 0xdb ? h_fstp_m80
	: h_fstp_m64); }
GEN(fist) { x87_gen(d, o, d->opcode == 0xdf ? h_fist_m16 : h_fist_m32); }
GEN(fistp) { x87_gen(d, o, d->opcode == 0xdb ? h_fistp_m32 : (d->modrm >> 3 & 7) == 7 ? h_fistp_m64 : h_fistp_m16); }
GEN(fisttp) { x87_gen(d, o, d->opcode == 0xdb ? h_fisttp_m32 : d->opcode == 0xdd ? h_fisttp_m64 : h_fisttp_m16); }

/* ---- the stack ---- */

BODY(fxch)
{
	struct fp f = fp_begin(c);
	unsigned i = x87_i(o);
	struct real a, b;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	a = likely(!x87_empty(c, 0)) ? st_get(c, 0) : fp_underflow(&f);
	b = likely(!x87_empty(c, i)) ? st_get(c, i) : fp_underflow(&f);
	if (fp_settle(c, &f)) {
		st_set(c, i, a);
		st_set(c, 0, b);
	}
	return true;
}
X87_BODY(fxch)

/* FCMOVB E BE U (DA C0 to DF) and the opposites (DB). */
BODY(fcmov)
{
	struct fp f = fp_begin(c);
	unsigned i = x87_i(o), cond = o->imm >> 3 & 3;
	bool holds = cond == 0 ? flag_c(c) : cond == 1 ? flag_z(c) : cond == 2 ? flag_c(c) || flag_z(c) : flag_p(c);
	struct real v;

	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	holds ^= o->imm >> 8 & 1;
	if (unlikely(x87_empty(c, 0) || x87_empty(c, i))) {
		v = fp_underflow(&f);
		holds = true;
	} else {
		v = st_get(c, i);
	}
	if (fp_settle_keeping_c1(c, &f) && holds)
		st_set(c, 0, v);
	return true;
}
BODY_HANDLER(fcmov)
GEN(fcmovb) { x87_gen(d, o, h_fcmov); }
GEN(fcmove) { x87_gen(d, o, h_fcmov); }
GEN(fcmovbe) { x87_gen(d, o, h_fcmov); }
GEN(fcmovu) { x87_gen(d, o, h_fcmov); }
GEN(fcmovnb) { x87_gen(d, o, h_fcmov); }
GEN(fcmovne) { x87_gen(d, o, h_fcmov); }
GEN(fcmovnbe) { x87_gen(d, o, h_fcmov); }
GEN(fcmovnu) { x87_gen(d, o, h_fcmov); }

BODY(ffree)
{
	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~X87_C1;
	c->x87.valid &= (u8)~(1u << x87_phys(c, x87_i(o)));
	return true;
}
X87_BODY(ffree)

BODY(ffreep)
{
	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~X87_C1;
	c->x87.valid &= (u8)~(1u << x87_phys(c, x87_i(o)));
	st_pop(c);
	return true;
}
X87_BODY(ffreep)

ALWAYS_INLINE bool turn(struct cpu *c, const struct op *o, int by)
{
	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	c->x87.sw &= ~X87_C1;
	c->x87.top = (c->x87.top + by) & 7;
	return true;
}

BODY(fincstp) { return turn(c, o, 1); }
BODY(fdecstp) { return turn(c, o, -1); }
X87_BODY(fincstp)
X87_BODY(fdecstp)

BODY(fnop)
{
	if (!x87_wait(c))
		return false;
	x87_note(c, o);
	return true;
}
X87_BODY(fnop)
