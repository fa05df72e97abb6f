/* SSE moves: between registers, memory and general registers; non-temporal ones, which are ordinary here; fences, which have nothing
 * to do where every access is in order. */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_shuffle.h"

/* ---- loads, and moves between registers ---- */

VEC_OP(load16, vec_load_whole, 16)
VEC_OP(load8, vec_load_low64, 8)
VEC_OP(load4, vec_load_low32, 4)
VEC_OP(merge4, vec_merge32, 4)
VEC_OP(merge8, vec_merge64, 8)
VEC_OP(merge_high, vec_low_to_high, 8)
VEC_OP(movhlps, vec_high_to_low, 16)
GEN(movlhps) { gen_merge_high(d, o); }

/* ---- stores ---- */

ALWAYS_INLINE bool store_body(struct cpu *c, const struct op *o, unsigned size, bool high)
{
	vec v = xmm_get(c, o->src);

	return size == 16 ? op_store_block(c, o, &v, 16) : op_store(c, o, size, size == 4 ? (u32)v[0] : v[high]);
}

ALWAYS_INLINE HANDLER_TYPE store_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned size, bool high, handler *slow)
{
	u8 *p = fast_op(c, o, kind, size, true);

	if (unlikely(!p))
		TAIL(slow);
	if (size == 16) {
		if (unlikely((uintptr_t)p & 15) && (o->scale & 0x80))
			TAIL(slow);
		vec_store(p, xmm_get(c, o->src));
	} else {
		put_size(p, size, get_size(&c->v[o->src].q[high], size));
	}
	RUN(o + 1);
}

#define STORE(name, size, high) \
	BODY(name) { return store_body(c, o, size, high); } \
	BODY_HANDLER(name) \
	static HANDLER(h_##name##_base) { return store_fast(c, o, n, KIND_BASE, size, high, h_##name); } \
	static HANDLER(h_##name##_index) { return store_fast(c, o, n, KIND_INDEX, size, high, h_##name); } \
	static HANDLER(h_##name##_seg) { return store_fast(c, o, n, KIND_SEG, size, high, h_##name); } \
	static void gen_##name(const struct dec *d, struct op *o) \
	{ \
		static handler *const by_kind[] = { [KIND_BASE] = h_##name##_base, [KIND_INDEX] = h_##name##_index, \
		                                    [KIND_SEG] = h_##name##_seg }; \
		o->run = by_kind[dec_kind_of_memory(d)]; \
	}
STORE(store16, 16, false)
STORE(store8, 8, false)
STORE(store4, 4, false)
STORE(store_high, 8, true)

/* ---- whole registers: both directions in one gen ---- */

static void gen_move16(const struct dec *d, struct op *o)
{
	if (dec_is_mem(d, 0))
		gen_store16(d, o);
	else
		gen_load16(d, o);
}
GEN(movaps) { gen_move16(d, o); }
GEN(movapd) { gen_move16(d, o); }
GEN(movups) { gen_move16(d, o); }
GEN(movupd) { gen_move16(d, o); }
GEN(movdqa) { gen_move16(d, o); }
GEN(movdqu) { gen_move16(d, o); }
GEN(movntps) { gen_move16(d, o); }
GEN(movntpd) { gen_move16(d, o); }
GEN(movntdq) { gen_move16(d, o); }
GEN(movntdqa) { gen_move16(d, o); }
GEN(lddqu) { gen_move16(d, o); }

/* MOVSS, MOVSD: from memory they clear the rest of the register, between registers they keep it. */
GEN(movss)
{
	if (!d->mem)
		gen_merge4(d, o);
	else if (dec_is_mem(d, 0))
		gen_store4(d, o);
	else
		gen_load4(d, o);
}

GEN(movsd_x)
{
	if (!d->mem)
		gen_merge8(d, o);
	else if (dec_is_mem(d, 0))
		gen_store8(d, o);
	else
		gen_load8(d, o);
}

/* MOVQ between XMM registers and memory. */
GEN(movq_x)
{
	if (dec_is_mem(d, 0))
		gen_store8(d, o);
	else
		gen_load8(d, o);
}

/* Halves. */
static void gen_low(const struct dec *d, struct op *o)
{
	if (dec_is_mem(d, 0))
		gen_store8(d, o);
	else
		gen_merge8(d, o);
}
static void gen_high(const struct dec *d, struct op *o)
{
	if (dec_is_mem(d, 0))
		gen_store_high(d, o);
	else
		gen_merge_high(d, o);
}
GEN(movlps) { gen_low(d, o); }
GEN(movlpd) { gen_low(d, o); }
GEN(movhps) { gen_high(d, o); }
GEN(movhpd) { gen_high(d, o); }

/* ---- MOVD, MOVQ with general registers ---- */

ALWAYS_INLINE HANDLER_TYPE from_general(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	xmm_set(c, o->dst, (vec){ reg_get(c, o->src, size), 0 });
	RUN(o + 1);
}

static HANDLER(h_from_general4) { return from_general(c, o, n, 4); }
static HANDLER(h_from_general8) { return from_general(c, o, n, 8); }

ALWAYS_INLINE HANDLER_TYPE to_general(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	reg_set(c, o->dst, size, c->v[o->src].q[0]);
	RUN(o + 1);
}

static HANDLER(h_to_general4) { return to_general(c, o, n, 4); }
static HANDLER(h_to_general8) { return to_general(c, o, n, 8); }

GEN(movd_xr)
{
	if (d->mem)
		gen_load4(d, o);
	else
		o->run = h_from_general4;
}

GEN(movq_xr)
{
	if (d->mem)
		gen_load8(d, o);
	else
		o->run = h_from_general8;
}

GEN(movd_rx)
{
	if (d->mem)
		gen_store4(d, o);
	else
		o->run = h_to_general4;
}

GEN(movq_rx)
{
	if (d->mem)
		gen_store8(d, o);
	else
		o->run = h_to_general8;
}

/* ---- the rest ---- */

BODY(movnti32) { return op_store(c, o, 4, reg_get(c, o->src, 4)); }
BODY_HANDLER(movnti32)
BODY(movnti64) { return op_store(c, o, 8, reg_get(c, o->src, 8)); }
BODY_HANDLER(movnti64)
GEN(movnti) { o->run = dec_size(d, 0) == 8 ? h_movnti64 : h_movnti32; }

/* Bytes of the first operand go to [DS:rDI] where the second's have bit 7 set. None is written unless all can be. */
BODY(maskmovdqu)
{
	u64 linear;
	u32 mask = vec_mask8(xmm_get(c, o->src));

	/* All of the place must be writable, whichever bytes are chosen (SDM leaves it open; processors do so). */
	if (!seg_linear(c, o->seg, c->r[RDI] & op_amask(o), 16, true, &linear) || !check_alignment(c, linear, 8) || !mem_check_write(c, linear, 16))
		return false;
	for (unsigned i = 0; i < 16; i++)
		if (mask >> i & 1 && !mem_write(c, linear + i, 1, c->v[o->dst].b[i]))
			return false;
	return true;
}
BODY_HANDLER(maskmovdqu)
GEN(maskmovdqu)
{
	o->run = h_maskmovdqu;
	o->seg = d->seg & 7;
}

static HANDLER(h_hint) { RUN(o + 1); }
GEN(lfence) { (void)d; o->run = h_hint; }
GEN(mfence) { (void)d; o->run = h_hint; }
GEN(sfence) { (void)d; o->run = h_hint; }
