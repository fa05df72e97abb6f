/* SPDX-License-Identifier: MIT */
/* Moves between vector registers, memory and general registers; non-temporal ones, which are ordinary here; broadcasts,
 * VZEROUPPER, VZEROALL; fences, which have nothing to do where every access is in order. */
#include "cpu/insn/vector/vector.h"

/* ---- loads, and moves between registers ---- */

VEC(vec_load16,     64, PACKED, EXACT, FAST_BWDQ, b)
VEC(vec_load8,      64, ONE,    EXACT, FAST_128, vec_load_low64(a, b))
VEC(vec_load4,      32, ONE,    EXACT, FAST_128, vec_load_low32(a, b))
VEC(vec_merge4,     32, ONE,    EXACT, FAST_128, vec_merge32(a, b))
VEC(vec_merge8,     64, ONE,    EXACT, FAST_128, vec_merge64(a, b))
VEC(vec_merge_high, 64, ONE,    EXACT, FAST_128, vec_low_to_high(a, b))
VEC(movhlps,        64, PACKED, EXACT, FAST_SSE, vec_high_to_low(a, b))
VEC_ALIAS(movlhps, vec_merge_high)

/* ---- stores ---- */

/* SIZE bytes of the register, of 8 the upper ones of its low half if HIGH. */
ALWAYS_INLINE bool vec_store_body(struct cpu *c, const struct op *o, unsigned size, bool high)
{
	const union vreg v = c->v[o->src];

	return size >= 16 ? op_store_block(c, o, v.b, size) : op_store(c, o, size, size == 4 ? v.d[0] : v.q[high]);
}

ALWAYS_INLINE HANDLER_TYPE vec_store_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned size,
					  bool high, handler *slow)
{
	u8 *p = fast_op(c, o, kind, size, true);

	if (unlikely(!p))
		TAIL(slow);
	if (size >= 16) {
		if (unlikely((uintptr_t)p & (size - 1)) && (o->scale & OP_ALIGNED))
			TAIL(slow);
		vec_store(p, vreg_get(c, o, src, 0));
		if (size >= 32)
			vec_store(p + 16, vreg_get(c, o, src, 1));
		if (size == 64) {
			vec_store(p + 32, vreg_get(c, o, src, 2));
			vec_store(p + 48, vreg_get(c, o, src, 3));
		}
	} else {
		put_size(p, size, vreg_get(c, o, src, 0)[high]);
	}
	RUN(o + 1);
}

/* One for each kind of address. */
#define VEC_STORE(name, size, high) \
	BODY(name) { return vec_store_body(c, o, size, high); } \
	BODY_HANDLER(name) \
	HANDLER(h_##name##_base) { return vec_store_fast(c, o, n, KIND_BASE, size, high, h_##name); } \
	HANDLER(h_##name##_index) { return vec_store_fast(c, o, n, KIND_INDEX, size, high, h_##name); } \
	HANDLER(h_##name##_seg) { return vec_store_fast(c, o, n, KIND_SEG, size, high, h_##name); } \
	static handler *const name[] = { [KIND_BASE] = h_##name##_base, [KIND_INDEX] = h_##name##_index, \
		[KIND_SEG] = h_##name##_seg };
VEC_STORE(vec_store64, 64, false)
VEC_STORE(vec_store32, 32, false)
VEC_STORE(vec_store16, 16, false)
VEC_STORE(vec_store8, 8, false)
VEC_STORE(vec_store4, 4, false)
VEC_STORE(vec_store_high, 8, true)

/* With a mask of elements of SIZE bytes. A memory operand that may all be written raises no fault. */
ALWAYS_INLINE HANDLER_TYPE vec_store_masked(struct cpu *c, const struct op *o, s64 n, unsigned vlen, unsigned size,
					    handler *slow)
{
	const u64 active = c->k[HERE(o)->k];
	u8 *p = fast_op(c, o, KIND_INDEX, vlen, true);

	if (unlikely(!p) || (unlikely((uintptr_t)p & (vlen - 1)) && (o->scale & OP_ALIGNED)))
		TAIL(slow);
#define PART(part) vec_store(p + 16 * (part), vec_select(vec_mask(active, size, part), vreg_get(c, o, src, part), \
							 vec_load(p + 16 * (part))));
	PART(0)
	PART(1)
	if (vlen == 64) {
		PART(2)
		PART(3)
	}
#undef PART
	RUN(o + 1);
}
#define VEC_STORE_MASKED(vlen, size) \
	HANDLER(h_vec_store_masked##vlen##_##size) { return vec_store_masked(c, o, n, vlen, size, h_vec_load16); }
VEC_STORE_MASKED(32, 1)
VEC_STORE_MASKED(32, 2)
VEC_STORE_MASKED(32, 4)
VEC_STORE_MASKED(32, 8)
VEC_STORE_MASKED(64, 1)
VEC_STORE_MASKED(64, 2)
VEC_STORE_MASKED(64, 4)
VEC_STORE_MASKED(64, 8)

static void choose_store_masked(const struct dec *d, struct op *o)
{
#define FORMS(vlen) { h_vec_store_masked##vlen##_1, h_vec_store_masked##vlen##_2, h_vec_store_masked##vlen##_4, \
		      h_vec_store_masked##vlen##_8 }
	static handler *const forms[2][4] = { FORMS(32), FORMS(64) };
#undef FORMS

	if (o->zmm && o->vlen >= 32 && dec_kind_of_memory(d) != KIND_SEG)
		o->run = forms[o->vlen == 64][o->to];
}

/* ---- both directions in one gen: a store if the first operand is in memory ---- */

static void move_or(const struct dec *d, struct op *o, handler *const *store, gen_fn *load)
{
	if (dec_is_mem(d, 0) && !d->k) /* else the general body merges, as of loads */
		o->run = store[dec_kind_of_memory(d)];
	else
		load(d, o);
}

/* SSE and VEX loads differ in what they leave of the register. */
#define MOVE(name, store, load) \
	GEN(name##_x) { move_or(d, o, store, gen_##load##_x); } \
	GEN(v##name) { move_or(d, o, store, gen_v##load); }
#define MOVE_WHOLE(name) \
	GEN(name##_x) { move_or(d, o, vec_store16, gen_vec_load16_x); } \
	GEN(v##name) \
	{ \
		move_or(d, o, d->vex_l == 2 ? vec_store64 : d->vex_l ? vec_store32 : vec_store16, gen_vvec_load16); \
		if (d->k && dec_is_mem(d, 0)) \
			choose_store_masked(d, o); \
	}

MOVE_WHOLE(movaps)
MOVE_WHOLE(movapd)
MOVE_WHOLE(movups)
MOVE_WHOLE(movupd)
MOVE_WHOLE(movdqa)
MOVE_WHOLE(movdqu)
MOVE_WHOLE(movntps)
MOVE_WHOLE(movntpd)
MOVE_WHOLE(movntdq)
MOVE_WHOLE(movntdqa)
MOVE_WHOLE(lddqu)
GEN(vmovdqa32) { gen_vmovdqa(d, o); }
GEN(vmovdqa64) { gen_vmovdqa(d, o); }
GEN(vmovdqu8) { gen_vmovdqu(d, o); }
GEN(vmovdqu16) { gen_vmovdqu(d, o); }
GEN(vmovdqu32) { gen_vmovdqu(d, o); }
GEN(vmovdqu64) { gen_vmovdqu(d, o); }
GEN(vmovrsb) { gen_vmovdqu(d, o); }
GEN(vmovrsw) { gen_vmovdqu(d, o); }
GEN(vmovrsd) { gen_vmovdqu(d, o); }
GEN(vmovrsq) { gen_vmovdqu(d, o); }

/* MOVQ between XMM registers and memory. */
GEN(movq_x) { move_or(d, o, vec_store8, gen_vec_load8_x); }
GEN(vmovq_x) { move_or(d, o, vec_store8, gen_vvec_load8); }
/* Halves. */
MOVE(movlps, vec_store8, vec_merge8)
MOVE(movlpd, vec_store8, vec_merge8)
MOVE(movhps, vec_store_high, vec_merge_high)
MOVE(movhpd, vec_store_high, vec_merge_high)

/* MOVSS, MOVSD: from memory they clear the rest of the register, between registers they keep it. */
#define MOVE_SCALAR(name, size) \
	GEN(name##_x) { move_or(d, o, vec_store##size, d->mem ? gen_vec_load##size##_x : gen_vec_merge##size##_x); } \
	GEN(v##name##_x) { move_or(d, o, vec_store##size, d->mem ? gen_vvec_load##size : gen_vvec_merge##size); }
MOVE_SCALAR(movss, 4)
MOVE_SCALAR(movsd, 8)

/* ---- MOVD, MOVQ with general registers ---- */

/* PARTS: of the register, that are written. */
ALWAYS_INLINE HANDLER_TYPE vec_from_general(struct cpu *c, const struct op *o, s64 n, unsigned size, unsigned parts)
{
	vreg_set(c, o, dst, 0, ((vec){ reg_get(c, o->src, size), 0 }));
	for (unsigned part = 1; part < parts; part++)
		vreg_set(c, o, dst, part, vec_zero);
	RUN(o + 1);
}
HANDLER(h_vec_from_general4) { return vec_from_general(c, o, n, 4, 1); }
HANDLER(h_vec_from_general8) { return vec_from_general(c, o, n, 8, 1); }
HANDLER(h_vec_from_general4_128) { return vec_from_general(c, o, n, 4, 2); }
HANDLER(h_vec_from_general8_128) { return vec_from_general(c, o, n, 8, 2); }
HANDLER(h_vec_from_general4_zmm) { return vec_from_general(c, o, n, 4, 4); }
HANDLER(h_vec_from_general8_zmm) { return vec_from_general(c, o, n, 8, 4); }

ALWAYS_INLINE HANDLER_TYPE vec_to_general(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	reg_set(c, o->dst, size, vreg_get(c, o, src, 0)[0]);
	RUN(o + 1);
}
HANDLER(h_vec_to_general4) { return vec_to_general(c, o, n, 4); }
HANDLER(h_vec_to_general8) { return vec_to_general(c, o, n, 8); }

static void move_general(const struct dec *d, struct op *o, handler *const *store, gen_fn *load, handler *between)
{
	if (d->mem)
		move_or(d, o, store, load);
	else
		o->run = between;
}
#define MOVE_GENERAL(name, size) \
	GEN(name##_xr) { move_general(d, o, vec_store##size, gen_vec_load##size##_x, h_vec_from_general##size); } \
	GEN(v##name##_xr) { move_general(d, o, vec_store##size, gen_vvec_load##size, \
			o->zmm ? h_vec_from_general##size##_zmm : h_vec_from_general##size##_128); } \
	GEN(name##_rx) { move_general(d, o, vec_store##size, gen_vec_load##size##_x, h_vec_to_general##size); } \
	GEN(v##name##_rx) { gen_##name##_rx(d, o); }
MOVE_GENERAL(movd, 4)
MOVE_GENERAL(movq, 8)

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
	if (!seg_linear(c, o->seg, c->r[RDI] & op_amask(o), 16, true, &linear) || !check_alignment(c, linear, 8) ||
	    !mem_check_write(c, linear, 16))
		return false;
	for (unsigned i = 0; i < 16; i++)
		if (mask >> i & 1 && !mem_write(c, linear + i, 1, c->v[o->dst].b[i]))
			return false;
	return true;
}
BODY_HANDLER(maskmovdqu)
GEN(maskmovdqu_x)
{
	o->run = h_maskmovdqu;
	o->seg = d->seg & 7;
}
GEN(vmaskmovdqu) { gen_maskmovdqu_x(d, o); }

HANDLER(h_fence) { RUN(o + 1); }
GEN(lfence) { (void)d; o->run = h_fence; }
GEN(mfence) { (void)d; o->run = h_fence; }
GEN(sfence) { (void)d; o->run = h_fence; }

/* ---- broadcasts ---- */

/* The lowest SIZE bytes of V, in all elements. */
ALWAYS_INLINE vec spread_lowest(u64 v, unsigned size)
{
	u64 ones = size == 1 ? 0x0101010101010101 : size == 2 ? 0x0001000100010001 : size == 4 ? 0x0000000100000001 : 1;
	u64 mask = size == 8 ? ~(u64)0 : ((u64)1 << 8 * size) - 1;

	v = (v & mask) * ones;
	return (vec){ v, v };
}

ALWAYS_INLINE bool broadcast(struct cpu *c, const struct op *o, unsigned size)
{
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	b = spread_lowest(b[0], size);
	vec_result(c, o, (vec[2]){ b, b });
	return true;
}

/* With EVEX, but no mask, of VLEN bytes; or with VEX, where AVX-512 is enabled. */
ALWAYS_INLINE HANDLER_TYPE broadcast_zmm(struct cpu *c, const struct op *o, s64 n, enum kind kind, unsigned vlen,
					 unsigned size, handler *slow)
{
	vec v;

	VEC_FAST_OPERAND(p, kind, size, false, slow)
	v = spread_lowest(kind == KIND_REG ? vreg_get(c, o, src, 0)[0] : get_size(p, size), size);
	vreg_set(c, o, dst, 3, vlen == 64 ? v : vec_zero);
	vreg_set(c, o, dst, 2, vlen == 64 ? v : vec_zero);
	vreg_set(c, o, dst, 1, vlen >= 32 ? v : vec_zero);
	vreg_set(c, o, dst, 0, v);
	RUN(o + 1);
}

handler h_vbroadcast; /* by EVEX all are one (avx512_move.c) */
#define BROADCAST_HANDLER(name, form, kind, vlen, size) \
	HANDLER(h_##name##_##form) { return broadcast_zmm(c, o, n, kind, vlen, size, h_vbroadcast); }
#define BROADCAST(name, size) \
	BODY(name) { return broadcast(c, o, size); } \
	BODY_HANDLER(name) \
	BROADCAST_HANDLER(name, zmm128_reg, KIND_REG, 16, size) \
	BROADCAST_HANDLER(name, zmm128_index, KIND_INDEX, 16, size) \
	BROADCAST_HANDLER(name, zmm256_reg, KIND_REG, 32, size) \
	BROADCAST_HANDLER(name, zmm256_index, KIND_INDEX, 32, size) \
	BROADCAST_HANDLER(name, zmm512_reg, KIND_REG, 64, size) \
	BROADCAST_HANDLER(name, zmm512_index, KIND_INDEX, 64, size) \
	GEN(v##name) \
	{ \
		static handler *const wide[3][2] = { VEC_ZMM(name, 128), VEC_ZMM(name, 256), VEC_ZMM(name, 512) }; \
	\
		vec_operands(d, o, PACKED); \
		if (d->evex) \
			vec_choose_zmm(d, o, wide, NULL, h_vbroadcast); \
		else \
			o->run = h_##name; \
	}
BROADCAST(pbroadcastb, 1)
BROADCAST(pbroadcastw, 2)
BROADCAST(pbroadcastd, 4)
BROADCAST(pbroadcastq, 8)
GEN(vbroadcastss) { gen_vpbroadcastd(d, o); }
GEN(vbroadcastsd) { gen_vpbroadcastq(d, o); }

BODY(vbroadcastf128)
{
	vec b;

	if (!vec_source(c, o, 16, &b))
		return false;
	ymm_set(c, o, b, b);
	return true;
}
GEN_BODY(vbroadcastf128)
GEN_ALIAS(vbroadcasti128, vbroadcastf128)

/* ---- zeros: of the registers that the mode has ---- */

ALWAYS_INLINE void vregs_clear_whole(struct cpu *c, unsigned n)
{
	vec_store(&c->v[n].q[0], vec_zero);
	vec_store(&c->v[n].q[2], vec_zero);
}

HANDLER(h_vzeroupper)
{
	VECTORS_WRITTEN();
	for (unsigned i = 0; i < (in_64(c) ? 16 : 8); i++)
		vec_store(&c->v[i].q[2], vec_zero);
	RUN(o + 1);
}

HANDLER(h_vzeroupper_zmm)
{
	VECTORS_WRITTEN();
	for (unsigned i = 0; i < (in_64(c) ? 16 : 8); i++) {
		vec_store(&c->v[i].q[2], vec_zero);
		zmm_clear(c, i);
	}
	RUN(o + 1);
}
GEN(vzeroupper) { (void)d; o->run = o->zmm ? h_vzeroupper_zmm : h_vzeroupper; }

HANDLER(h_vzeroall)
{
	VECTORS_WRITTEN();
	for (unsigned i = 0; i < (in_64(c) ? 16 : 8); i++)
		vregs_clear_whole(c, i);
	RUN(o + 1);
}

HANDLER(h_vzeroall_zmm)
{
	VECTORS_WRITTEN();
	for (unsigned i = 0; i < (in_64(c) ? 16 : 8); i++) {
		vregs_clear_whole(c, i);
		zmm_clear(c, i);
	}
	RUN(o + 1);
}
GEN(vzeroall) { (void)d; o->run = o->zmm ? h_vzeroall_zmm : h_vzeroall; }

gen_fn gen_ldmxcsr, gen_stmxcsr;
GEN(vldmxcsr) { gen_ldmxcsr(d, o); }
GEN(vstmxcsr) { gen_stmxcsr(d, o); }
