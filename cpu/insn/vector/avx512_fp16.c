/* SPDX-License-Identifier: MIT */
/* AVX512-FP16 and AVX10.2: arithmetic on numbers of 16 bits, FP16 and bfloat16. (Conversions are in avx512_convert.c;
 * what all formats have, in avx512_fp.c; fused operations on FP16 in fma.c.) */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"

#define ARITHMETIC(name) \
	static u64 element_##name(struct cpu *c, const struct element *e) { return soft_##name(c, e->a, e->b, f16); } \
	EVEX_BODIES(v##name##h, element, element_##name, SOFT) \
	GEN(v##name##ph) \
	{ \
		(void)d; \
		o->run = h_v##name##h_packed; \
	} \
	GEN(v##name##sh) \
	{ \
		(void)d; \
		o->vlen = 16; \
		o->run = h_v##name##h_one; \
	}
ARITHMETIC(add)
ARITHMETIC(sub)
ARITHMETIC(mul)
ARITHMETIC(div)
ARITHMETIC(sqrt)
ARITHMETIC(min)
ARITHMETIC(max)

/* ---- bfloat16: to nearest, denormal numbers are zeros, no exceptions, whatever MXCSR says ---- */

#define BFLOAT16_BODY(mnemonic, expression) \
	static u64 element_##mnemonic(struct cpu *c, const struct element *e) \
	{ \
		u32 saved = soft_quiet_begin(c); \
		u64 r = expression; \
\
		c->soft_mxcsr = saved; \
		return r; \
	} \
	EVEX_BODY(mnemonic, element, element_##mnemonic, PACKED, EXACT) \
	EVEX_IS(mnemonic, mnemonic)
#define BFLOAT16(name) BFLOAT16_BODY(v##name##bf16, soft_##name(c, e->a, e->b, bf16))
BFLOAT16(add)
BFLOAT16(sub)
BFLOAT16(mul)
BFLOAT16(div)
BFLOAT16(sqrt)
BFLOAT16(min)
BFLOAT16(max)

#define BFLOAT16_FMA(name, turn, minus) \
	BFLOAT16_BODY(name##132bf16, soft_fma(c, e->old, e->b, e->a, turn, minus, bf16)) \
	BFLOAT16_BODY(name##213bf16, soft_fma(c, e->a, e->old, e->b, turn, minus, bf16)) \
	BFLOAT16_BODY(name##231bf16, soft_fma(c, e->a, e->b, e->old, turn, minus, bf16))
BFLOAT16_FMA(vfmadd, false, false)
BFLOAT16_FMA(vfmsub, false, true)
BFLOAT16_FMA(vfnmadd, true, false)
BFLOAT16_FMA(vfnmsub, true, true)

/* ---- VDPPHPS: to single precision and added there, to nearest, denormal singles are zeros, no exceptions ---- */

static u64 add_half_product(struct cpu *c, u64 a, u64 b, u64 sum)
{
	return soft_fma(c, soft_convert(c, (u16)a, f16, f32), soft_convert(c, (u16)b, f16, f32), sum, false, false,
			f32);
}

static u64 element_dot_half(struct cpu *c, const struct element *e)
{
	u32 saved = soft_quiet_begin(c);
	u64 sum = add_half_product(c, e->a, e->b, add_half_product(c, e->a >> 16, e->b >> 16, e->old));

	c->soft_mxcsr = saved;
	return sum;
}
EVEX_BODY(vdpphps, element, element_dot_half, PACKED, EXACT)
EVEX_IS(vdpphps, vdpphps)

/* ---- complex numbers: the real part in the lower 16 bits ---- */

enum { CONJUGATE = 1, ADDS = 2 };

static u64 complex_product(struct cpu *c, const struct element *e, unsigned how)
{
	u64 ar = (u16)e->a, ai = e->a >> 16, br = (u16)e->b, bi = e->b >> 16, re, im;
	bool conjugate = how & CONJUGATE;

	if (how & ADDS) {
		re = soft_fma(c, ar, br, (u16)e->old, false, false, f16);
		im = soft_fma(c, ai, br, e->old >> 16, false, false, f16);
	} else {
		re = soft_mul(c, ar, br, f16);
		im = soft_mul(c, ai, br, f16);
	}
	re = soft_fma(c, ai, bi, re, !conjugate, false, f16);
	im = soft_fma(c, ar, bi, im, conjugate, false, f16);
	return re | im << 16;
}

#define COMPLEX(name, how) \
	static u64 element_##name(struct cpu *c, const struct element *e) { return complex_product(c, e, how); } \
	EVEX_BODIES(v##name, element, element_##name, SOFT) \
	EVEX_PH_SH(v##name, v##name)
COMPLEX(fmulc, 0)
COMPLEX(fcmulc, CONJUGATE)
COMPLEX(fmaddc, ADDS)
COMPLEX(fcmaddc, ADDS | CONJUGATE)

/* ---- moves ---- */

static vec low16(vec b) { return (vec){ (u16)b[0], 0 }; }
static vec merge16(vec a, vec b) { return (vec){ (a[0] & ~(u64)0xffff) | (u16)b[0], a[1] }; }
static vec lanes_load16(struct cpu *c, vec a, vec b, u8 imm, unsigned part)
{
	(void)c, (void)a, (void)imm, (void)part;
	return low16(b);
}
static vec lanes_merge16(struct cpu *c, vec a, vec b, u8 imm, unsigned part)
{
	(void)c, (void)imm, (void)part;
	return merge16(a, b);
}
static const struct evex_desc evex_vmovsh_load = {
	.kind = EVEX_KIND_parts, .parts = lanes_load16, .bits = 16, .lanes = ONE, .post = POST_EXACT
};
BODY(vmovsh_load) { return evex_run(c, o, &evex_vmovsh_load); }
BODY_HANDLER(vmovsh_load)
static const struct evex_desc evex_vmovsh_merge = {
	.kind = EVEX_KIND_parts, .parts = lanes_merge16, .bits = 16, .lanes = ONE, .post = POST_EXACT
};
BODY(vmovsh_merge) { return evex_run(c, o, &evex_vmovsh_merge); }
BODY_HANDLER(vmovsh_merge)
GEN(vmovsh)
{
	o->vlen = 16;
	o->run = d->mem ? h_vmovsh_load : h_vmovsh_merge;
}

/* With a general register, or memory. */
BODY(vmovw_xr)
{
	union vreg r = { { 0 } };
	u64 v;

	if (!rm_load(c, o, o->src, 2, &v))
		return false;
	r.w[0] = (u16)v;
	evex_set(c, o, &r);
	return true;
}
GEN_BODY(vmovw_xr)
BODY(vmovw_rx)
{
	if (o->mem)
		return op_store(c, o, 2, c->v[o->src].w[0]);
	reg_set(c, o->dst, 8, c->v[o->src].w[0]);
	return true;
}
GEN_BODY(vmovw_rx)

/* AVX10.2's VMOVD and VMOVW: the lowest 4 or 2 bytes of a vector register; all above them becomes zero. */
BODY(vmov_low)
{
	union vreg r = { { 0 } };
	unsigned size = 1u << o->to;
	vec b;

	if (o->to_memory)
		return op_store(c, o, size, element_get(&c->v[o->src], 0, size));
	if (!vec_source(c, o, size, &b))
		return false;
	element_set(&r, 0, size, trim(b[0], size));
	evex_set(c, o, &r);
	return true;
}
BODY_HANDLER(vmov_low)
EVEX_IS(vmovd_x, vmov_low)
EVEX_IS(vmovw_x, vmov_low)
