/* SPDX-License-Identifier: MIT */
/* Moves: MOV, MOVZX, MOVSX, LEA, XCHG, CMOVcc, SETcc, and the conversions within rAX and rDX. */
#include "cpu/hook.h"
#include "cpu/insn/alu.h"
#include "cpu/insn/condition.h"

/* Of FORMS3 and FORMS4. */
static unsigned memory_form(const struct dec *d)
{
	return (d->forwarded ? KIND_LAST : d->flat_ea ? KIND_FLAT : dec_kind_of_memory(d)) - KIND_BASE;
}

enum source { IMM, REG, FORWARDED_REG };

ALWAYS_INLINE HANDLER_TYPE mov_reg(struct cpu *c, const struct op *o, s64 n, unsigned size, enum source from, u64 last)
{
	u64 v = trim(from == IMM             ? op_imm(o, size)
		     : from == FORWARDED_REG ? FORWARDED(o->src, size)
					     : reg_get(c, o->src, size),
		     size);

	reg_set(c, o->dst, size, v);
	RUN_LAST(o + 1, v);
}

/* A load of FROM bytes into a register of TO, zero- or sign-extended. */
ALWAYS_INLINE HANDLER_TYPE mov_load(struct cpu *c, const struct op *o, s64 n, unsigned from, unsigned to, bool sign,
				    enum kind kind, handler *slow, u64 last)
{
	u64 v;

	if (kind == KIND_LAST) {
		const u8 *p = fast_host(c, FORWARDED(o->base, 8) + (s64)o->disp, from, false);

		if (unlikely(!p))
			TAIL(slow);
		v = get_size(p, from);
	} else {
		LOAD_OPERAND(from, kind, slow);
		v = loaded;
	}
	if (sign)
		v = trim(extend(v, from), to);
	reg_set(c, o->dst, to, v);
	FINISH_LAST(slow, v);
}

ALWAYS_INLINE HANDLER_TYPE mov_store(struct cpu *c, const struct op *o, s64 n, unsigned size, enum kind kind, bool imm,
				     handler *slow)
{
	STORE_OPERAND(size, kind, slow, imm ? op_imm(o, size) : reg_get(c, o->src, size));
	FINISH(slow);
}

#define MOV_SIZE(size) \
	HANDLER(mov_rr##size) { return mov_reg(c, o, n, size, REG, last); } \
	FORWARDED_HANDLER(mov_rr##size##_forwarded) { return mov_reg(c, o, n, size, FORWARDED_REG, last); } \
	HANDLER(mov_ri##size) { return mov_reg(c, o, n, size, IMM, last); } \
	MEMORY4(mov_rm##size, mov_load(c, o, n, size, size, false, MEMORY_ARGS, last)) \
	MEMORY3(mov_mr##size, mov_store(c, o, n, size, MEMORY_ARGS_REG)) \
	MEMORY3(mov_mi##size, mov_store(c, o, n, size, MEMORY_ARGS_IMM))
MOV_SIZE(1)
MOV_SIZE(2)
MOV_SIZE(4)
MOV_SIZE(8)
SPECIALISE_DST_SRC(mov_rr4)
SPECIALISE_DST_SRC(mov_rr8)
SPECIALISE_DST(mov_ri4)
SPECIALISE_DST(mov_ri8)
#define SPECIALISE_MOV(do, name) do(name##_base) do(name##_lin) do(name##_seg)
SPECIALISE_MOV(SPECIALISE_LOAD, mov_rm4)
SPECIALISE_MOV(SPECIALISE_LOAD, mov_rm8)
SPECIALISE_MOV(SPECIALISE_STORE, mov_mr4)
SPECIALISE_MOV(SPECIALISE_STORE, mov_mr8)

#define FORMS3(name) { name##_base, name##_lin, name##_seg, name##_flat }
#define FORMS4(name) { name##_base, name##_lin, name##_seg, name##_flat, name##_forwarded }

GEN(mov)
{
	static handler *const rr[4][2] = { { mov_rr1, mov_rr1_forwarded },
					   { mov_rr2, mov_rr2_forwarded },
					   { mov_rr4, mov_rr4_forwarded },
					   { mov_rr8, mov_rr8_forwarded } };
	static handler *const ri[4] = { mov_ri1, mov_ri2, mov_ri4, mov_ri8 };
	static handler *const rm[4][5] = { FORMS4(mov_rm1), FORMS4(mov_rm2), FORMS4(mov_rm4), FORMS4(mov_rm8) };
	static handler *const mr[4][4] = { FORMS3(mov_mr1), FORMS3(mov_mr2), FORMS3(mov_mr4), FORMS3(mov_mr8) };
	static handler *const mi[4][4] = { FORMS3(mov_mi1), FORMS3(mov_mi2), FORMS3(mov_mi4), FORMS3(mov_mi8) };
	unsigned s = log2_size(dec_size(d, 0));

	switch (o->form) {
	case FORM_RR: o->run = rr[s][d->forwarded]; break;
	case FORM_RI: o->run = ri[s]; break;
	case FORM_RM: o->run = rm[s][memory_form(d)]; break;
	case FORM_MR: o->run = mr[s][memory_form(d)]; break;
	default: o->run = mi[s][memory_form(d)]; break;
	}
}

/* With one hook of memory, an observer before accesses (cpu/hook.h): _called is for a hook of all addresses, which
 * alone keeps them from the fast path, and calls it without the way through memory.c. _hooked looks at the fast path
 * first; _ranged is for the rest of it. */
#define CALL_HOOK(size, access, value, ranged, slow) \
	const u64 linear = op_sum(c, o, OP_BASE(o)); \
	struct hooks *h = c->all->hooks; \
	const struct hook *k = h->accesses; \
	u8 *at; \
	if (unlikely(!hooked_host(c, linear, size, access, &at)) || unlikely(!k) || \
	    unlikely(h->resume.on | c->mxcsr_live)) \
		TAIL(slow); \
	EXPOSE(o); \
	if ((!(ranged) || likely(hook_covers(k, linear, size))) && \
	    unlikely(hook_access_seen(c, h, k, access, linear, size, value) != HOOK_GO)) \
		LEAVE_EXPOSED(EXIT_FAULT); \
	RELOAD(c, o);

#define MOV_CALLED(size, way, how, ranged) \
	how(mov_rm##size##_##way) \
	{ \
		CALL_HOOK(size, ACCESS_READ, 0, ranged, mov_rm##size##_slow) \
		reg_set(c, o->dst, size, get_size(at, size)); \
		FINISH(NULL); \
	} \
	how(mov_mr##size##_##way) \
	{ \
		CALL_HOOK(size, ACCESS_WRITE, reg_get(c, o->src, size), ranged, mov_mr##size##_slow) \
		put_size(at, size, reg_get(c, o->src, size)); \
		FINISH(NULL); \
	} \
	how(mov_mi##size##_##way) \
	{ \
		CALL_HOOK(size, ACCESS_WRITE, trim(op_imm(o, size), size), ranged, mov_mi##size##_slow) \
		put_size(at, size, op_imm(o, size)); \
		FINISH(NULL); \
	}
#define MOV_HOOKED(size) \
	MOV_CALLED(size, called, HANDLER, false) \
	MOV_CALLED(size, ranged, FORWARDED_HANDLER, true) \
	HANDLER(mov_rm##size##_hooked) { return mov_load(c, o, n, size, size, false, KIND_INDEX, \
		mov_rm##size##_ranged, 0); } \
	HANDLER(mov_mr##size##_hooked) { return mov_store(c, o, n, size, KIND_INDEX, false, mov_mr##size##_ranged); } \
	HANDLER(mov_mi##size##_hooked) { return mov_store(c, o, n, size, KIND_INDEX, true, mov_mi##size##_ranged); }
MOV_HOOKED(1)
MOV_HOOKED(2)
MOV_HOOKED(4)
MOV_HOOKED(8)

#ifndef VCPU_STENCIL
handler *hooked_move(handler *run, const struct hook *k)
{
#define FORMS(name, kind) { name##_base, { name##_hooked, name##_called }, kind }, \
	{ name##_lin, { name##_hooked, name##_called }, kind }
#define SIZES(name, kind) FORMS(name##1, kind), FORMS(name##2, kind), FORMS(name##4, kind), FORMS(name##8, kind)
	static const struct { handler *plain, *hooked[2]; u32 kind; } moves[] = {
		SIZES(mov_rm, HOOK_READ), SIZES(mov_mr, HOOK_WRITE), SIZES(mov_mi, HOOK_WRITE)
	};
#undef SIZES
#undef FORMS

	for (unsigned i = 0; i < sizeof moves / sizeof *moves; i++)
		if (moves[i].plain == run && k->kinds & moves[i].kind)
			return moves[i].hooked[hook_everywhere(k)];
	return run;
}
#endif

GEN(umov) { gen_mov(d, o); }
GEN(movrs) { gen_mov(d, o); } /* what it hints at makes no difference */

/* MOV with a full-width offset in the instruction: A0-A3. */
BODY(mov_moffs_store)
{
	u64 linear;

	return data_linear(c, o->seg, (u64)o->imm & op_amask(o), o->osize, true, &linear) &&
	       mem_write(c, linear, o->osize, reg_get(c, 8 * RAX, o->osize));
}
BODY_HANDLER(mov_moffs_store)
BODY(mov_moffs_load)
{
	u64 linear, v;

	if (!data_linear(c, o->seg, (u64)o->imm & op_amask(o), o->osize, false, &linear) ||
	    !mem_read(c, linear, o->osize, &v))
		return false;
	reg_set(c, 8 * RAX, o->osize, v);
	return true;
}
BODY_HANDLER(mov_moffs_load)
GEN(mov_moffs)
{
	static handler *const loads[4][4] = { FORMS3(mov_rm1), FORMS3(mov_rm2), FORMS3(mov_rm4), FORMS3(mov_rm8) };
	static handler *const stores[4][4] = { FORMS3(mov_mr1), FORMS3(mov_mr2), FORMS3(mov_mr4), FORMS3(mov_mr8) };
	const bool store = dec_kind(d, 0) == OPK_O;

	o->osize = dec_size(d, 0) & 15;
	o->seg = d->seg & 7;
	if (d->asize == 8 && o->imm != (s32)o->imm) {
		o->run = store ? h_mov_moffs_store : h_mov_moffs_load;
		return;
	}
	o->disp = (s32)o->imm;
	o->base = 8 * RZERO;
	o->run = (store ? stores : loads)[log2_size(o->osize)][(d->flat_ea     ? KIND_FLAT
								 : d->simple_ea ? KIND_BASE
										: KIND_SEG) - KIND_BASE];
}

/* ---- MOVZX, MOVSX, MOVSXD ---- */

ALWAYS_INLINE HANDLER_TYPE extend_reg(struct cpu *c, const struct op *o, s64 n, unsigned from, unsigned to, bool sign,
				      enum source source, u64 last)
{
	u64 v = source == FORWARDED_REG ? FORWARDED(o->src, from) : reg_get(c, o->src, from);

	if (sign)
		v = trim(extend(v, from), to);
	reg_set(c, o->dst, to, v);
	RUN_LAST(o + 1, v);
}

#define EXTEND(name, from, to, sign) \
	HANDLER(name##_r##from##to) { return extend_reg(c, o, n, from, to, sign, REG, last); } \
	FORWARDED_HANDLER(name##_r##from##to##_forwarded) { return extend_reg(c, o, n, from, to, sign, FORWARDED_REG, \
		last); } \
	MEMORY4(name##_m##from##to, mov_load(c, o, n, from, to, sign, MEMORY_ARGS, last))
#define EXTEND_TO(name, from, sign) EXTEND(name, from, 2, sign) EXTEND(name, from, 4, sign) EXTEND(name, from, 8, sign)
EXTEND_TO(movzx, 1, false)
EXTEND_TO(movzx, 2, false)
EXTEND_TO(movsx, 1, true)
EXTEND_TO(movsx, 2, true)
EXTEND(movsx, 4, 8, true)
SPECIALISE_MOV(SPECIALISE_LOAD, movzx_m14)
SPECIALISE_MOV(SPECIALISE_LOAD, movzx_m24)
SPECIALISE_MOV(SPECIALISE_LOAD, movsx_m14)
SPECIALISE_MOV(SPECIALISE_LOAD, movsx_m24)
SPECIALISE_MOV(SPECIALISE_LOAD, movsx_m48)
SPECIALISE_DST_SRC(movsx_r48)
SPECIALISE_DST_SRC(movzx_r14)
SPECIALISE_DST_SRC(movzx_r24)

struct extend_forms { handler *r[2], *m[5]; };
#define EXTEND_FORMS(name, from, to) { { name##_r##from##to, name##_r##from##to##_forwarded }, \
	FORMS4(name##_m##from##to) }

static void choose_extend(const struct dec *d, struct op *o, const struct extend_forms forms[2][3])
{
	const struct extend_forms *f = &forms[dec_size(d, 1) == 2][log2_size(dec_size(d, 0)) - 1];

	o->run = d->mem ? f->m[memory_form(d)] : f->r[d->forwarded];
}

GEN(movzx)
{
	static const struct extend_forms forms[2][3] = {
		{ EXTEND_FORMS(movzx, 1, 2), EXTEND_FORMS(movzx, 1, 4), EXTEND_FORMS(movzx, 1, 8) },
		{ EXTEND_FORMS(movzx, 2, 2), EXTEND_FORMS(movzx, 2, 4), EXTEND_FORMS(movzx, 2, 8) },
	};
	choose_extend(d, o, forms);
}

GEN(movsx)
{
	static const struct extend_forms forms[2][3] = {
		{ EXTEND_FORMS(movsx, 1, 2), EXTEND_FORMS(movsx, 1, 4), EXTEND_FORMS(movsx, 1, 8) },
		{ EXTEND_FORMS(movsx, 2, 2), EXTEND_FORMS(movsx, 2, 4), EXTEND_FORMS(movsx, 2, 8) },
	};
	choose_extend(d, o, forms);
}

/* AMD's processors read all four bytes. */
BODY(movsxd_16)
{
	u64 v;

	if (!op_load(c, o, 4, &v))
		return false;
	reg_set(c, o->dst, 2, v);
	return true;
}
BODY_HANDLER(movsxd_16)

GEN(movsxd)
{
	static const struct extend_forms wide = EXTEND_FORMS(movsx, 4, 8);

	if (d->osize == 8)
		o->run = d->mem ? wide.m[memory_form(d)] : wide.r[d->forwarded];
	else if (d->osize == 2 && d->mem && is_amd(d->model))
		o->run = h_movsxd_16;
	else
		gen_mov(d, o); /* without REX.W it is a plain move */
}

/* ---- LEA ---- */

ALWAYS_INLINE HANDLER_TYPE lea_with(struct cpu *c, const struct op *o, s64 n, unsigned size, bool cut, u64 base)
{
	u64 v = trim(cut ? op_ea(c, o, base) : op_sum(c, o, base), size);

	reg_set(c, o->dst, size, v);
	RUN_LAST(o + 1, v);
}
HANDLER(lea2) { return lea_with(c, o, n, 2, false, OP_BASE(o)); }
HANDLER(lea4) { return lea_with(c, o, n, 4, false, OP_BASE(o)); }
HANDLER(lea4_short) { return lea_with(c, o, n, 4, true, OP_BASE(o)); }
HANDLER(lea8) { return lea_with(c, o, n, 8, false, OP_BASE(o)); }
HANDLER(lea8_short) { return lea_with(c, o, n, 8, true, OP_BASE(o)); }
FORWARDED_HANDLER(lea2_forwarded) { return lea_with(c, o, n, 2, false, FORWARDED(o->base, 8)); }
FORWARDED_HANDLER(lea4_forwarded) { return lea_with(c, o, n, 4, false, FORWARDED(o->base, 8)); }
FORWARDED_HANDLER(lea4_short_forwarded) { return lea_with(c, o, n, 4, true, FORWARDED(o->base, 8)); }
FORWARDED_HANDLER(lea8_short_forwarded) { return lea_with(c, o, n, 8, true, FORWARDED(o->base, 8)); }
FORWARDED_HANDLER(lea8_forwarded) { return lea_with(c, o, n, 8, false, FORWARDED(o->base, 8)); }
ALWAYS_INLINE HANDLER_TYPE lea_base(struct cpu *c, const struct op *o, s64 n, u64 base)
{
	u64 v = op_base_sum(c, o, base);

	reg_set(c, o->dst, 8, v);
	RUN_LAST(o + 1, v);
}
HANDLER(lea8_base) { return lea_base(c, o, n, OP_BASE(o)); }
FORWARDED_HANDLER(lea8_base_forwarded) { return lea_base(c, o, n, FORWARDED(o->base, 8)); }
SPECIALISE_LOAD(lea4)
SPECIALISE_LOAD(lea8)
SPECIALISE_LOAD(lea8_base)
GEN(lea)
{
	/* narrow: the register has as many bits as the address, or more of them */
	static handler *const narrow[4][2] = {
		{ lea2, lea2_forwarded }, { lea2, lea2_forwarded }, { lea4_short, lea4_short_forwarded },
		{ lea4, lea4_forwarded },
	};
	static handler *const wide[3][2] = {
		{ lea8_short, lea8_short_forwarded }, { lea8_base, lea8_base_forwarded }, { lea8, lea8_forwarded },
	};

	if (d->osize == 8)
		o->run = wide[d->asize != 8 ? 0 : d->no_index ? 1 : 2][d->forwarded];
	else
		o->run = narrow[2 * (d->osize == 4) + (d->asize != 2)][d->forwarded];
}

/* ---- XCHG ---- */

ALWAYS_INLINE HANDLER_TYPE xchg_reg(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	u64 a = reg_get(c, o->dst, size), b = reg_get(c, o->src, size);

	reg_set(c, o->dst, size, b);
	reg_set(c, o->src, size, a);
	RUN(o + 1);
}
HANDLER(xchg_rr1) { return xchg_reg(c, o, n, 1); }
HANDLER(xchg_rr2) { return xchg_reg(c, o, n, 2); }
HANDLER(xchg_rr4) { return xchg_reg(c, o, n, 4); }
HANDLER(xchg_rr8) { return xchg_reg(c, o, n, 8); }

BODY(xchg_mem)
{
	u64 v;

	if (!op_load_rmw(c, o, o->osize, &v) || !op_store(c, o, o->osize, reg_get(c, o->src, o->osize)))
		return false;
	reg_set(c, o->src, o->osize, v);
	return true;
}
BODY_HANDLER(xchg_mem)

ALWAYS_INLINE HANDLER_TYPE xchg_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, enum kind kind)
{
	u8 *p = fast_op(c, o, kind, size, true);
	u64 v;

	if (unlikely(!p))
		TAIL(h_xchg_mem);
	v = get_size(p, size);
	put_size(p, size, reg_get(c, o->src, size));
	reg_set(c, o->src, size, v);
	RUN(o + 1);
}
#define XCHG_MEM(size) \
	HANDLER(xchg_m##size) { return xchg_fast(c, o, n, size, KIND_INDEX); } \
	HANDLER_AS(xchg_m##size##_flat, xchg_m##size) { return xchg_fast(c, o, n, size, KIND_FLAT); }
XCHG_MEM(1)
XCHG_MEM(2)
XCHG_MEM(4)
XCHG_MEM(8)

HANDLER(h_nop) { RUN(o + 1); }

GEN(xchg)
{
	static handler *const rr[4] = { xchg_rr1, xchg_rr2, xchg_rr4, xchg_rr8 };
	static handler *const m[4][2] = { { xchg_m1, xchg_m1_flat }, { xchg_m2, xchg_m2_flat },
					  { xchg_m4, xchg_m4_flat }, { xchg_m8, xchg_m8_flat } };
	unsigned size = dec_size(d, 0);

	if (d->mem) {
		o->osize = size & 15;
		if (!dec_is_mem(d, 0))
			o->src = o->dst;
		o->run = dec_way(d) == 1 ? h_xchg_mem : m[log2_size(size)][d->flat_ea];
	} else {
		o->run = o->dst == o->src && d->opcode == 0x90 && d->map == 0 ? h_nop : rr[log2_size(size)];
	}
}

/* Spinning on what another processor has to change: let it. */
BODY(yield)
{
	cpu_yield(c);
	return true;
}
BODY_HANDLER(yield)
HANDLER(h_pause)
{
	if (c->quantum_end != QUANTUM_NEVER)
		TAIL(h_yield);
	RUN(o + 1);
}
/* F3 REX.B 90: to AMD's processors XCHG with R8. */
GEN(pause)
{
	static handler *const rr[4] = { xchg_rr1, xchg_rr2, xchg_rr4, xchg_rr8 };

	o->run = h_pause;
	if (is_amd(d->model) && d->rex & 1) {
		o->dst = 8 * 8;
		o->src = 8 * RAX;
		o->run = rr[log2_size(d->osize)];
	}
}

/* ---- on conditions ---- */

/* The load is made whatever the condition says (SDM vol. 2, CMOVcc). o->imm is the condition. */
BODY(cmov_mem)
{
	u64 v;

	if (!op_load(c, o, o->osize, &v))
		return false;
	if (condition(c, (unsigned)o->imm))
		reg_set(c, o->dst, o->osize, v);
	else if (o->osize == 4)
		reg_set(c, o->dst, 4, reg_get(c, o->dst, 4));
	return true;
}
BODY_HANDLER(cmov_mem)
ALWAYS_INLINE HANDLER_TYPE cmov_fast(struct cpu *c, const struct op *o, s64 n, unsigned size, unsigned cc,
				     enum kind kind)
{
	const u8 *p = fast_op(c, o, kind, size, false);
	u64 a, b = reg_get(c, o->dst, size);

	if (unlikely(!p))
		TAIL(h_cmov_mem);
	a = get_size(p, size);
	reg_set(c, o->dst, size, condition(c, cc) ? a : b);
	RUN(o + 1);
}

#define CMOV(cc) \
	HANDLER(cmov_2_##cc) { if (condition(c, cc)) reg_set(c, o->dst, 2, REG16(o->src)); RUN(o + 1); } \
	HANDLER(cmov_4_##cc) { u64 a = REG32(o->src), b = REG32(o->dst); \
		reg_set(c, o->dst, 8, condition(c, cc) ? a : b); RUN(o + 1); } \
	HANDLER(cmov_8_##cc) { u64 a = REG64(o->src), b = REG64(o->dst); \
		reg_set(c, o->dst, 8, condition(c, cc) ? a : b); RUN(o + 1); } \
	HANDLER(cmov_m4_##cc) { return cmov_fast(c, o, n, 4, cc, KIND_INDEX); } \
	HANDLER(cmov_m8_##cc) { return cmov_fast(c, o, n, 8, cc, KIND_INDEX); } \
	HANDLER_AS(cmov_m4_flat_##cc, cmov_m4_##cc) { return cmov_fast(c, o, n, 4, cc, KIND_FLAT); } \
	HANDLER(set_##cc) { reg_set(c, o->dst, 1, condition(c, cc)); RUN(o + 1); }
CONDITIONS(CMOV)

BODY(set_mem) { return op_store(c, o, 1, condition(c, (unsigned)o->imm)); }
BODY_HANDLER(set_mem)

static void choose_cmov(const struct dec *d, struct op *o)
{
#define ROW(cc) \
	{ { cmov_2_##cc, cmov_4_##cc, cmov_8_##cc }, { h_cmov_mem, cmov_m4_##cc, cmov_m8_##cc }, \
	  { h_cmov_mem, h_cmov_mem, h_cmov_mem }, { h_cmov_mem, cmov_m4_flat_##cc, h_cmov_mem } },
	static handler *const forms[16][4][3] = { CONDITIONS(ROW) };

	o->imm = d->opcode & 15;
	o->run = forms[o->imm][d->mem ? 1 + dec_way(d) : 0][log2_size(d->osize) - 1];
}

static void choose_set(const struct dec *d, struct op *o)
{
#define SET(cc) set_##cc,
	static handler *const forms[16] = { CONDITIONS(SET) };

	o->imm = d->opcode & 15;
	o->run = d->mem ? h_set_mem : forms[o->imm];
}

#define GEN_CONDITION(name) \
	GEN(cmov##name) { choose_cmov(d, o); } \
	GEN(set##name) { choose_set(d, o); }
CONDITION_NAMES(GEN_CONDITION)

/* ---- CBW CWDE CDQE, CWD CDQ CQO ---- */

HANDLER(cbw) { reg_set(c, 8 * RAX, 2, (u16)(s8)REG8(8 * RAX)); RUN(o + 1); }
HANDLER(cwde) { reg_set(c, 8 * RAX, 8, (u32)(s16)REG16(8 * RAX)); RUN(o + 1); }
HANDLER(cdqe) { reg_set(c, 8 * RAX, 8, (u64)(s32)REG32(8 * RAX)); RUN(o + 1); }
GEN(cbw) { o->run = d->osize == 2 ? cbw : d->osize == 4 ? cwde : cdqe; }

HANDLER(cwd) { reg_set(c, 8 * RDX, 2, (u16)((s16)REG16(8 * RAX) >> 15)); RUN(o + 1); }
HANDLER(cdq) { reg_set(c, 8 * RDX, 8, (u32)((s32)REG32(8 * RAX) >> 31)); RUN(o + 1); }
HANDLER(cqo) { reg_set(c, 8 * RDX, 8, (u64)((s64)REG64(8 * RAX) >> 63)); RUN(o + 1); }
GEN(cwd) { o->run = d->osize == 2 ? cwd : d->osize == 4 ? cdq : cqo; }

/* ---- flags by themselves ---- */

HANDLER(h_clc) { set_carry(c, false); RUN(o + 1); }
HANDLER(h_stc) { set_carry(c, true); RUN(o + 1); }
HANDLER(h_cmc) { set_carry(c, !flag_c(c)); RUN(o + 1); }
HANDLER(h_cld) { c->eflags &= ~(u32)FL_D; RUN(o + 1); }
HANDLER(h_std) { c->eflags |= FL_D; RUN(o + 1); }
GEN(clc) { (void)d; o->run = h_clc; }
GEN(stc) { (void)d; o->run = h_stc; }
GEN(cmc) { (void)d; o->run = h_cmc; }
GEN(cld) { (void)d; o->run = h_cld; }
GEN(std) { (void)d; o->run = h_std; }

BODY(lahf) { (void)o; reg_set(c, 8 * RAX + 1, 1, cpu_flags(c)); return true; }
GEN_BODY(lahf)
BODY(sahf)
{
	u32 low = FL_S | FL_Z | FL_A | FL_P | FL_C;

	(void)o;
	cpu_set_arith(c, (cpu_flags(c) & ~low) | (REG8(8 * RAX + 1) & low));
	return true;
}
GEN_BODY(sahf)
BODY(salc) { (void)o; reg_set(c, 8 * RAX, 1, flag_c(c) ? 0xff : 0); return true; }
GEN_BODY(salc)

/* ---- byte order, table look-up ---- */

HANDLER(bswap4) { reg_set(c, o->dst, 8, __builtin_bswap32(REG32(o->dst))); RUN(o + 1); }
HANDLER(bswap8) { reg_set(c, o->dst, 8, __builtin_bswap64(REG64(o->dst))); RUN(o + 1); }
HANDLER(bswap2) { reg_set(c, o->dst, 2, 0); RUN(o + 1); } /* undefined in the manual; silicon gives 0 */
GEN(bswap) { o->run = d->osize == 2 ? bswap2 : d->osize == 4 ? bswap4 : bswap8; }

static u64 swapped(u64 v, unsigned size)
{
	return size == 2 ? __builtin_bswap16((u16)v) : size == 4 ? __builtin_bswap32((u32)v) : __builtin_bswap64(v);
}
/* Whether it moves, the condition says: extended.c. */
#define GEN_CFCMOV(cc) GEN(cfcmov##cc) { gen_mov(d, o); }
CONDITION_NAMES(GEN_CFCMOV)

BODY(movbe_load)
{
	u64 v;

	if (!rm_load(c, o, o->src, o->osize, &v)) /* from a register: in map 4 alone */
		return false;
	reg_set(c, o->dst, o->osize, swapped(v, o->osize));
	return true;
}
BODY_HANDLER(movbe_load)
BODY(movbe_store) { return rm_store(c, o, o->dst, o->osize, swapped(reg_get(c, o->src, o->osize), o->osize)); }
BODY_HANDLER(movbe_store)
GEN(movbe) { o->run = dec_kind(d, 0) == OPK_G ? h_movbe_load : h_movbe_store; }

BODY(xlat)
{
	u64 offset = (c->r[RBX] + REG8(8 * RAX)) & op_amask(o), linear, v;

	if (!seg_linear(c, o->seg, offset, 1, false, &linear) || !mem_read(c, linear, 1, &v))
		return false;
	reg_set(c, 8 * RAX, 1, v);
	return true;
}
BODY_HANDLER(xlat)
GEN(xlat) { o->run = h_xlat; o->seg = d->seg & 7; }
