/* Moves and broadcasts of AVX and AVX2, VZEROUPPER, VZEROALL. */
#include "cpu/insn/vector/avx.h"

/* ---- whole registers ---- */

AVX_FAST(vload, vec_load_whole)

ALWAYS_INLINE bool store_256(struct cpu *c, const struct op *o)
{
	vec v[2] = { xmm_get(c, o->src), high_get(c, o->src) };

	return op_store_block(c, o, v, 32);
}

BODY(vstore_256) { return store_256(c, o); }
BODY_HANDLER(vstore_256)

ALWAYS_INLINE HANDLER_TYPE store_fast(struct cpu *c, const struct op *o, s64 n, enum kind kind)
{
	u8 *p = fast_op(c, o, kind, 32, true);

	if (unlikely(!p) || (unlikely((uintptr_t)p & 31) && (o->scale & 0x80)))
		TAIL(h_vstore_256);
	vec_store(p, xmm_get(c, o->src));
	vec_store(p + 16, high_get(c, o->src));
	RUN(o + 1);
}

static HANDLER(h_vstore_256_index) { return store_fast(c, o, n, KIND_INDEX); }
static HANDLER(h_vstore_256_seg) { return store_fast(c, o, n, KIND_SEG); }

/* 128 bits to memory is what SSE does; between registers, the direction does not matter. */
gen_fn gen_movups;
static void gen_move(const struct dec *d, struct op *o)
{
	if (!dec_is_mem(d, 0))
		gen_vload(d, o);
	else if (d->vex_l)
		o->run = dec_kind_of_memory(d) == KIND_SEG ? h_vstore_256_seg : h_vstore_256_index;
	else
		gen_movups(d, o);
}
GEN(vmovaps) { gen_move(d, o); }
GEN(vmovapd) { gen_move(d, o); }
GEN(vmovups) { gen_move(d, o); }
GEN(vmovupd) { gen_move(d, o); }
GEN(vmovdqa) { gen_move(d, o); }
GEN(vmovdqu) { gen_move(d, o); }
GEN(vlddqu) { gen_move(d, o); }
GEN(vmovntps) { gen_move(d, o); }
GEN(vmovntpd) { gen_move(d, o); }
GEN(vmovntdq) { gen_move(d, o); }
GEN(vmovntdqa) { gen_move(d, o); }

/* ---- parts ---- */

AVX_128_FAST(vload4, vec_load_low32, 4)
AVX_128_FAST(vload8, vec_load_low64, 8)
AVX_128_FAST(vmerge4, vec_merge32, 4)
AVX_128_FAST(vmerge8, vec_merge64, 8)
AVX_128_FAST(vmerge_high, vec_low_to_high, 8)
AVX_128(vmovhlps, avx_vec, vec_high_to_low, 16)
GEN(vmovlhps) { gen_vmerge_high(d, o); }

gen_fn gen_movss, gen_movsd_x, gen_movq_x, gen_movlps, gen_movhps, gen_movd_rx, gen_movq_rx;
GEN(vmovss)
{
	if (!d->mem)
		gen_vmerge4(d, o);
	else if (dec_is_mem(d, 0))
		gen_movss(d, o);
	else
		gen_vload4(d, o);
}
GEN(vmovsd_x)
{
	if (!d->mem)
		gen_vmerge8(d, o);
	else if (dec_is_mem(d, 0))
		gen_movsd_x(d, o);
	else
		gen_vload8(d, o);
}
GEN(vmovq_x)
{
	if (dec_is_mem(d, 0))
		gen_movq_x(d, o);
	else
		gen_vload8(d, o);
}
static void gen_low(const struct dec *d, struct op *o)
{
	if (dec_is_mem(d, 0))
		gen_movlps(d, o);
	else
		gen_vmerge8(d, o);
}
static void gen_high(const struct dec *d, struct op *o)
{
	if (dec_is_mem(d, 0))
		gen_movhps(d, o);
	else
		gen_vmerge_high(d, o);
}
GEN(vmovlps) { gen_low(d, o); }
GEN(vmovlpd) { gen_low(d, o); }
GEN(vmovhps) { gen_high(d, o); }
GEN(vmovhpd) { gen_high(d, o); }

ALWAYS_INLINE HANDLER_TYPE from_general(struct cpu *c, const struct op *o, s64 n, unsigned size)
{
	ymm_set(c, o->dst, (vec){ reg_get(c, o->src, size), 0 }, vec_zero);
	RUN(o + 1);
}
static HANDLER(h_from_general4) { return from_general(c, o, n, 4); }
static HANDLER(h_from_general8) { return from_general(c, o, n, 8); }

GEN(vmovd_xr)
{
	if (d->mem)
		gen_vload4(d, o);
	else
		o->run = h_from_general4;
}
GEN(vmovq_xr)
{
	if (d->mem)
		gen_vload8(d, o);
	else
		o->run = h_from_general8;
}
GEN(vmovd_rx) { gen_movd_rx(d, o); }
GEN(vmovq_rx) { gen_movq_rx(d, o); }

gen_fn gen_maskmovdqu, gen_ldmxcsr, gen_stmxcsr;
GEN(vmaskmovdqu) { gen_maskmovdqu(d, o); }
GEN(vldmxcsr) { gen_ldmxcsr(d, o); }
GEN(vstmxcsr) { gen_stmxcsr(d, o); }

/* ---- broadcasts ---- */

ALWAYS_INLINE bool broadcast(struct cpu *c, const struct op *o, unsigned size, bool wide)
{
	u64 ones = size == 1 ? 0x0101010101010101 : size == 2 ? 0x0001000100010001 : size == 4 ? 0x0000000100000001 : 1;
	u64 mask = size == 8 ? ~(u64)0 : ((u64)1 << 8 * size) - 1;
	vec b;

	if (!vec_source(c, o, size, &b))
		return false;
	b[0] = (b[0] & mask) * ones;
	b[1] = b[0];
	ymm_set(c, o->dst, b, wide ? b : vec_zero);
	return true;
}

AVX(vpbroadcastb, broadcast, 1)
AVX(vpbroadcastw, broadcast, 2)
AVX(vpbroadcastd, broadcast, 4)
AVX(vpbroadcastq, broadcast, 8)
GEN(vbroadcastss) { gen_vpbroadcastd(d, o); }
GEN(vbroadcastsd) { gen_vpbroadcastq(d, o); }

BODY(vbroadcastf128)
{
	vec b;

	if (!vec_source(c, o, 16, &b))
		return false;
	ymm_set(c, o->dst, b, b);
	return true;
}
GEN_BODY(vbroadcastf128)
GEN_ALIAS(vbroadcasti128, vbroadcastf128)

/* ---- zeros: of the registers that the mode has ---- */

static HANDLER(h_vzeroupper)
{
	for (unsigned i = 0; i < (in_64(c) ? 16 : 8); i++)
		vec_store(&c->v[i].q[2], vec_zero);
	RUN(o + 1);
}
GEN(vzeroupper) { (void)d; o->run = h_vzeroupper; }

static HANDLER(h_vzeroall)
{
	for (unsigned i = 0; i < (in_64(c) ? 16 : 8); i++)
		ymm_set(c, i, vec_zero, vec_zero);
	RUN(o + 1);
}
GEN(vzeroall) { (void)d; o->run = h_vzeroall; }
