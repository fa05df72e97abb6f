/* SPDX-License-Identifier: MIT */
/* Moves that came with AVX-512: broadcasts, inserts and extracts of parts, compress and expand, gathers and scatters,
 * permutations of whole registers. */
#include "cpu/insn/vector/vector.h"

/* ---- broadcasts of what an operand in memory would have ---- */

static void whole_broadcast(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned size = 1u << o->memory;

	(void)c;
	for (unsigned at = 0; at < o->vlen; at += size)
		memcpy(&e->r.b[at], e->b.b, size);
}
EVEX_BODY(vbroadcast, whole, whole_broadcast, PACKED, EXACT)
EVEX_IS(vbroadcastf32x2, vbroadcast)
EVEX_IS(vbroadcastf32x4, vbroadcast) EVEX_IS(vbroadcastf32x8, vbroadcast) EVEX_IS(vbroadcastf64x2, vbroadcast)
	EVEX_IS(vbroadcastf64x4, vbroadcast) EVEX_IS(vbroadcasti32x2, vbroadcast) EVEX_IS(vbroadcasti32x4, vbroadcast)
		EVEX_IS(vbroadcasti32x8, vbroadcast) EVEX_IS(vbroadcasti64x2, vbroadcast)
			EVEX_IS(vbroadcasti64x4, vbroadcast)

	/* Of a general register. */
	static void whole_broadcast_general(struct cpu *c, const struct op *o, struct evex *e)
{
	for (unsigned i = 0; i < e->count; i++)
		element_set(&e->r, i, 1u << o->to, REG64(o->src));
}
EVEX_BODY(vpbroadcast_r, whole, whole_broadcast_general, PACKED, EXACT)
EVEX_IS(vpbroadcastb_r, vpbroadcast_r)
EVEX_IS(vpbroadcastw_r, vpbroadcast_r) EVEX_IS(vpbroadcastd_r, vpbroadcast_r) EVEX_IS(vpbroadcastq_r, vpbroadcast_r)

	/* ---- parts of 16 and 32 bytes; IMM says which ---- */

	static void whole_insert(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned size = 1u << o->memory;

	(void)c;
	memcpy(&e->r, &e->a, o->vlen);
	memcpy(&e->r.b[(o->imm8 & (o->vlen / size - 1)) * size], e->b.b, size);
}
EVEX_BODY(vinsert, whole, whole_insert, PACKED, EXACT)
EVEX_IS(vinsertf32x4, vinsert)
EVEX_IS(vinsertf32x8, vinsert) EVEX_IS(vinsertf64x2, vinsert) EVEX_IS(vinsertf64x4, vinsert)
	EVEX_IS(vinserti32x4, vinsert) EVEX_IS(vinserti32x8, vinsert) EVEX_IS(vinserti64x2, vinsert)
		EVEX_IS(vinserti64x4, vinsert)

			static void whole_extract(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned size = 1u << o->memory;

	(void)c;
	memcpy(&e->r, &e->b.b[(o->imm8 & (o->vlen / size - 1)) * size], size);
	e->count = size >> o->to;
	e->active &= ((u64)1 << e->count) - 1;
}
EVEX_BODY(vextract, whole, whole_extract, PACKED, EXACT)
EVEX_IS(vextractf32x4, vextract)
EVEX_IS(vextractf32x8, vextract) EVEX_IS(vextractf64x2, vextract) EVEX_IS(vextractf64x4, vextract)
	EVEX_IS(vextracti32x4, vextract) EVEX_IS(vextracti32x8, vextract) EVEX_IS(vextracti64x2, vextract)
		EVEX_IS(vextracti64x4, vextract)

	/* Of 128-bit parts: the lower half of the result from A, the upper one from B. */
	static void whole_shuf(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned parts = o->vlen / 16, bits = parts / 2;

	(void)c;
	for (unsigned i = 0; i < parts; i++) {
		unsigned from = o->imm8 >> bits * i & (parts - 1);

		memcpy(&e->r.b[16 * i], (i < parts / 2 ? e->a : e->b).b + 16 * from, 16);
	}
}
EVEX_BODY(vshuf, whole, whole_shuf, PACKED, EXACT)
EVEX_IS(vshuff32x4, vshuf)
EVEX_IS(vshuff64x2, vshuf) EVEX_IS(vshufi32x4, vshuf) EVEX_IS(vshufi64x2, vshuf)

	/* ---- permutations ---- */

	/* A above B, shifted right by elements. */
	static void whole_align(struct cpu *c, const struct op *o, struct evex *e)
{
	unsigned size = 1u << o->to;

	(void)c;
	for (unsigned i = 0; i < e->count; i++) {
		unsigned from = i + (o->imm8 & (e->count - 1));

		element_set(&e->r, i, size, element_get(from < e->count ? &e->b : &e->a, from & (e->count - 1), size));
	}
}
EVEX_BODY(valign, whole, whole_align, PACKED, EXACT)
EVEX_DQ(valign, valign)

/* Elements of B, or of TABLE where an index has the bit above; INDEX says which. */
static void permute(const struct op *o, struct evex *e, const union vreg *index, const union vreg *table)
{
	unsigned size = 1u << o->to;

	for (unsigned i = 0; i < e->count; i++) {
		u64 from = element_get(index, i, size);

		element_set(&e->r, i, size,
			    element_get(from & e->count ? &e->b : table, (unsigned)from & (e->count - 1), size));
	}
}
static void whole_perm(struct cpu *c, const struct op *o, struct evex *e)
{
	(void)c;
	permute(o, e, &e->a, &e->b);
}
static void whole_permi2(struct cpu *c, const struct op *o, struct evex *e)
{
	(void)c;
	permute(o, e, &e->old, &e->a);
}
static void whole_permt2(struct cpu *c, const struct op *o, struct evex *e)
{
	(void)c;
	permute(o, e, &e->a, &e->old);
}

EVEX_BODY(vperm, whole, whole_perm, PACKED, EXACT)
EVEX_IS(vpermb, vperm)
EVEX_IS(vpermw, vperm) EVEX_IS(vpermq_v, vperm) EVEX_IS(vpermpd_v, vperm) EVEX_IS(vpermd_evex, vperm)
	EVEX_BODY(vpermi2, whole, whole_permi2, PACKED, EXACT) EVEX_BWDQ(vpermi2, vpermi2) EVEX_IS(vpermi2ps, vpermi2)
		EVEX_IS(vpermi2pd, vpermi2) EVEX_BODY(vpermt2, whole, whole_permt2, PACKED, EXACT)
			EVEX_BWDQ(vpermt2, vpermt2) EVEX_IS(vpermt2ps, vpermt2) EVEX_IS(vpermt2pd, vpermt2)

	/* Quadwords of each 32 bytes. */
	static void whole_permq(struct cpu *c, const struct op *o, struct evex *e)
{
	(void)c;
	for (unsigned i = 0; i < e->count; i++)
		e->r.q[i] = e->b.q[(i & 4) | (o->imm8 >> 2 * (i & 3) & 3)];
}
EVEX_BODY(vpermq_evex, whole, whole_permq, PACKED, EXACT)
EVEX_IS(vpermq_evex, vpermq_evex)

/* ---- compress and expand: the chosen elements are side by side in the result, or in the source ---- */

static const struct evex_desc evex_chosen = {
	.kind = EVEX_KIND_whole, .whole = whole_broadcast, .lanes = PACKED, .post = POST_EXACT
};

BODY(vcompress)
{
	unsigned size = 1u << o->to, n = 0;
	struct evex e;

	if (!evex_begin(c, o, &evex_chosen, &e))
		return false;
	for (unsigned i = 0; i < e.count; i++)
		if (e.active >> i & 1)
			element_set(&e.r, n++, size, element_get(&e.b, i, size));
	if (o->to_memory && !o->k)
		return op_store_block(c, o, e.r.b, o->vlen);
	if (o->to_memory)
		return evex_store(c, o, n > 63 ? ~(u64)0 : ((u64)1 << n) - 1, size, e.r.b);
	if (!o->zeroing)
		memcpy(&e.r.b[n * size], &e.old.b[n * size], (e.count - n) * size);
	evex_set(c, o, &e.r);
	return true;
}
BODY_HANDLER(vcompress)
EVEX_BWDQ(vpcompress, vcompress)
EVEX_IS(vcompressps, vcompress)
EVEX_IS(vcompresspd, vcompress)

BODY(vexpand)
{
	unsigned size = 1u << o->to, n = 0;
	struct evex e;
	union vreg from;

	e.count = (unsigned)o->vlen >> o->to;
	e.active = evex_active(c, o, e.count);
	e.old = c->v[o->dst];
	memset(&e.r, 0, sizeof e.r);
	if (!o->mem)
		from = c->v[o->src];
	else if (!o->k ? !op_load_block(c, o, from.b, o->vlen)
		       : !evex_load(c, o, (unsigned)__builtin_popcountll(e.active), size, &from))
		return false;
	for (unsigned i = 0; i < e.count; i++)
		if (e.active >> i & 1)
			element_set(&e.r, i, size, element_get(&from, n++, size));
	return evex_end(c, o, PACKED, &e);
}
BODY_HANDLER(vexpand)
EVEX_BWDQ(vpexpand, vexpand)
EVEX_IS(vexpandps, vexpand)
EVEX_IS(vexpandpd, vexpand)

/* ---- gathers and scatters: o->imm8 bits 4-0 the register of indices, 6-5 their scale ----
 *
 * Elements come in order, and each takes itself out of the mask. When one faults, those before it are done, and the
 * instruction may be repeated; if there is one that was loaded, the rest of the register is clear. */

static bool indexed(struct cpu *c, const struct op *o, unsigned i, unsigned index_size, bool write, u64 *linear)
{
	u64 index = extend(element_get(&c->v[o->imm8 & 31], i, index_size), index_size);

	return seg_linear(c, o->seg, (op_offset(c, o) + (index << (o->imm8 >> 5 & 3))) & op_amask(o), 1u << o->to,
			  write, linear);
}

ALWAYS_INLINE bool gather(struct cpu *c, const struct op *o, unsigned index_size)
{
	unsigned size = 1u << o->to, count = o->vlen / (size > index_size ? size : index_size);
	union vreg *r = &c->v[o->dst];
	bool loaded = false;
	u64 linear, v;

	for (unsigned i = 0; i < count; i++) {
		if (c->k[o->k] >> i & 1) {
			if (!indexed(c, o, i, index_size, false, &linear) || !mem_read(c, linear, size, &v)) {
				if (loaded)
					memset(&r->b[o->vlen], 0, sizeof *r - o->vlen);
				return false;
			}
			element_set(r, i, size, v);
			loaded = true;
		}
		c->k[o->k] &= ~((u64)1 << i);
	}
	c->k[o->k] = 0;
	memset(&r->b[count * size], 0, sizeof *r - count * size);
	return true;
}

ALWAYS_INLINE bool scatter(struct cpu *c, const struct op *o, unsigned index_size)
{
	unsigned size = 1u << o->to, count = o->vlen / (size > index_size ? size : index_size);
	u64 linear;

	for (unsigned i = 0; i < count; i++) {
		if (c->k[o->k] >> i & 1 && (!indexed(c, o, i, index_size, true, &linear) ||
					    !mem_write(c, linear, size, element_get(&c->v[o->src], i, size))))
			return false;
		c->k[o->k] &= ~((u64)1 << i);
	}
	c->k[o->k] = 0;
	return true;
}

BODY(gather_d) { return gather(c, o, 4); }
BODY_HANDLER(gather_d)
BODY(gather_q) { return gather(c, o, 8); }
BODY_HANDLER(gather_q)
BODY(scatter_d) { return scatter(c, o, 4); }
BODY_HANDLER(scatter_d)
BODY(scatter_q) { return scatter(c, o, 8); }
BODY_HANDLER(scatter_q)
EVEX_IS(vpgatherdd_k, gather_d)
EVEX_IS(vpgatherdq_k, gather_d) EVEX_IS(vpgatherqd_k, gather_q) EVEX_IS(vpgatherqq_k, gather_q)
	EVEX_IS(vgatherdps_k, gather_d) EVEX_IS(vgatherdpd_k, gather_d) EVEX_IS(vgatherqps_k, gather_q)
		EVEX_IS(vgatherqpd_k, gather_q) EVEX_DQ(vpscatterd, scatter_d) EVEX_DQ(vpscatterq, scatter_q)
			EVEX_IS(vscatterdps, scatter_d) EVEX_IS(vscatterdpd, scatter_d) EVEX_IS(vscatterqps, scatter_q)
				EVEX_IS(vscatterqpd, scatter_q)
