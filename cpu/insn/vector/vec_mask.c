/* SPDX-License-Identifier: MIT */
/* Moves of some elements: VMASKMOVPx, VPMASKMOVx and the gathers (SDM vol. 2, at each). Elements that the mask leaves
 * out are not accessed, and so cannot fault. */
#include "cpu/insn/vector/vector.h"

/* A register's elements of 4 or 8 bytes, in one array. */
struct elements { u8 b[32]; };

static struct elements elements_of(const struct cpu *c, unsigned n)
{
	struct elements e;

	memcpy(e.b, &c->v[n], sizeof e.b);
	return e;
}

static void elements_set(struct cpu *c, const struct op *o, unsigned n, const struct elements *e, unsigned bytes)
{
	xmm_set(c, n, vec_load(e->b));
	vec_store(&c->v[n].q[2], bytes == 32 ? vec_load(e->b + 16) : vec_zero);
	if (o->zmm)
		zmm_clear(c, n);
}

/* The same in front of a fault: AMD's processors leave what is above the vector as it was. */
static void elements_keep(struct cpu *c, const struct op *o, unsigned n, const struct elements *e)
{
	if (is_amd(c->model))
		memcpy(&c->v[n], e->b, o->vlen);
	else
		elements_set(c, o, n, e, o->vlen);
}

static bool chosen(const struct elements *mask, unsigned at, unsigned size) { return mask->b[at + size - 1] & 0x80; }

/* ---- masked loads and stores: vvvv is the mask ---- */

static bool element_linear(struct cpu *c, const struct op *o, unsigned at, unsigned size, bool write, u64 *linear)
{
	return seg_linear(c, o->seg, op_offset(c, o) + at, size, write, linear);
}

ALWAYS_INLINE bool masked_load(struct cpu *c, const struct op *o, unsigned size)
{
	struct elements mask = elements_of(c, o->third), r = { { 0 } };
	unsigned bytes = o->vlen;
	u64 linear, v;

	for (unsigned at = 0; at < bytes; at += size)
		if (chosen(&mask, at, size)) {
			if (!element_linear(c, o, at, size, false, &linear) || !mem_read(c, linear, size, &v))
				return false;
			put_size(r.b + at, size, v);
		}
	elements_set(c, o, o->dst, &r, bytes);
	return true;
}

/* None is written unless all can be. */
ALWAYS_INLINE bool masked_store(struct cpu *c, const struct op *o, unsigned size)
{
	struct elements mask = elements_of(c, o->third), v = elements_of(c, o->src);
	unsigned bytes = o->vlen;
	u64 linear[8];

	for (unsigned at = 0; at < bytes; at += size)
		if (chosen(&mask, at, size) &&
		    (!element_linear(c, o, at, size, true, &linear[at / size]) ||
		    !mem_check_write(c, linear[at / size], size)))
			return false;
	for (unsigned at = 0; at < bytes; at += size)
		if (chosen(&mask, at, size) && !mem_write(c, linear[at / size], size, get_size(v.b + at, size)))
			return false;
	return true;
}

BODY(masked_load4) { return masked_load(c, o, 4); }
BODY_HANDLER(masked_load4)
BODY(masked_load8) { return masked_load(c, o, 8); }
BODY_HANDLER(masked_load8)
BODY(masked_store4) { return masked_store(c, o, 4); }
BODY_HANDLER(masked_store4)
BODY(masked_store8) { return masked_store(c, o, 8); }
BODY_HANDLER(masked_store8)

GEN(vmaskmovps)
{
	vec_operands(d, o, PACKED);
	o->run = dec_is_mem(d, 0) ? h_masked_store4 : h_masked_load4;
}
GEN(vmaskmovpd)
{
	vec_operands(d, o, PACKED);
	o->run = dec_is_mem(d, 0) ? h_masked_store8 : h_masked_load8;
}
GEN(vpmaskmovd) { gen_vmaskmovps(d, o); }
GEN(vpmaskmovq) { gen_vmaskmovpd(d, o); }

/* ---- gathers: o->imm8 bits 4-0 the register of indices, 6-5 their scale; vvvv is the mask ----
 *
 * First the elements of the mask become all ones or zeros; then elements come in order, and each takes itself out of
 * the mask. When one faults, those before it have been loaded, and the instruction may be repeated. AMD's processors
 * leave everything else of the mask and the result as it was. */

static bool gather(struct cpu *c, const struct op *o, unsigned index_size, unsigned size)
{
	struct elements index = elements_of(c, o->imm8 & 31), mask = elements_of(c, o->third),
			r = elements_of(c, o->dst);
	unsigned length = o->vlen, most = length / (size > index_size ? size : index_size);
	unsigned scale = o->imm8 >> 5 & 3, done;
	bool loaded = false;
	u64 linear, v;

	for (unsigned at = 0; at < length && !is_amd(c->model); at += size)
		put_size(mask.b + at, size, chosen(&mask, at, size) ? ~(u64)0 : 0);
	for (done = 0; done < most; done++) {
		u64 at = get_size(index.b + done * index_size, index_size);

		if (chosen(&mask, done * size, size)) {
			if (index_size == 4)
				at = (u64)(s64)(s32)at;
			at = (op_offset(c, o) + (at << scale)) & op_amask(o);
			if (!seg_linear(c, o->seg, at, size, false, &linear) || !mem_read(c, linear, size, &v)) {
				if (loaded)
					elements_keep(c, o, o->dst, &r);
				elements_keep(c, o, o->third, &mask);
				return false;
			}
			put_size(r.b + done * size, size, v);
			loaded = true;
		}
		put_size(mask.b + done * size, size, 0);
	}
	memset(r.b + most * size, 0, sizeof r.b - most * size);
	elements_set(c, o, o->dst, &r, length);
	elements_set(c, o, o->third, &(const struct elements){ { 0 } }, length);
	return true;
}

BODY(pgatherdd) { return gather(c, o, 4, 4); }
VEC_OWN_VEX(pgatherdd)
BODY(pgatherdq) { return gather(c, o, 4, 8); }
VEC_OWN_VEX(pgatherdq)
BODY(pgatherqd) { return gather(c, o, 8, 4); }
VEC_OWN_VEX(pgatherqd)
BODY(pgatherqq) { return gather(c, o, 8, 8); }
VEC_OWN_VEX(pgatherqq)
GEN(vgatherdps) { gen_vpgatherdd(d, o); }
GEN(vgatherdpd) { gen_vpgatherdq(d, o); }
GEN(vgatherqps) { gen_vpgatherqd(d, o); }
GEN(vgatherqpd) { gen_vpgatherqq(d, o); }
