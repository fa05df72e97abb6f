/* SPDX-License-Identifier: MIT */
/* What EVEX adds to a vector operation: evex.h. */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/evex.h"

enum { ALL = 64 };

/* ---- the source in memory ---- */

/* N elements in memory stand for COUNT of them: which are needed? */
static u64 fold(u64 active, unsigned count, unsigned n)
{
	u64 needed = 0;

	if (n >= count)
		return active;
	for (unsigned i = 0; i < count; i += n)
		needed |= active >> i;
	return needed & (((u64)1 << n) - 1);
}

/* False: it is not that simple, or a fault. */
static bool load_simple(struct cpu *c, const struct op *o, unsigned size, void *to)
{
	const u8 *p = fast_op(c, o, KIND_SEG, size, false);

	if (unlikely(!p || ((uintptr_t)p & (size - 1) && o->scale & 0x80)))
		return false;
	memcpy(to, p, size);
	return true;
}

static bool load_whole(struct cpu *c, const struct op *o, unsigned size, void *to)
{
	u64 v;

	if (load_simple(c, o, size, to))
		return true;
	if (size >= 16)
		return op_load_block(c, o, to, size);
	if (!op_load(c, o, size, &v))
		return false;
	put_size(to, size, v);
	return true;
}

/* Of vectors without an active element AMD's processors do not ask it. */
static bool aligned(struct cpu *c, const struct op *o, unsigned size, u64 active)
{
	u64 linear;

	if (!(o->scale & 0x80) || (!active && o->k && is_amd(c->model)))
		return true;
	linear = op_offset(c, o) + OP_SEG(c, o)->base;
	return linear & (size - 1) ? gp_because(c, 0, "a vector in memory is not aligned (vol. 1, 14.9)") : true;
}

/* EFLAGS.AC asks AMD's processors to see that each element of a vector with a mask is aligned. */
static bool element_linear(struct cpu *c, const struct op *o, unsigned at, unsigned size, bool write, u64 *linear)
{
	return seg_linear(c, o->seg, op_offset(c, o) + at, size, write, linear) &&
	       (!is_amd(c->model) || check_alignment(c, *linear, size));
}

/* NEEDED elements of SIZE bytes. */
static bool load_elements(struct cpu *c, const struct op *o, u64 needed, unsigned size, union vreg *to)
{
	u64 linear, v;

	for (unsigned i = 0; needed; i++, needed >>= 1) {
		if (!(needed & 1))
			continue;
		if (!element_linear(c, o, i * size, size, false, &linear) || !mem_read(c, linear, size, &v))
			return false;
		element_set(to, i, size, v);
	}
	return true;
}

bool evex_load(struct cpu *c, const struct op *o, unsigned n, unsigned size, union vreg *to)
{
	return load_elements(c, o, n > 63 ? ~(u64)0 : ((u64)1 << n) - 1, size, to);
}

static bool load(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e)
{
	const unsigned size = 1u << o->from;
	unsigned bytes = d->kind == EVEX_KIND_parts && !o->k ? vec_reads(d->lanes, d->bits, o->vlen) : 1u << o->memory;
	unsigned n = bytes >> o->from;
	u64 needed;

	if (o->broadcast) {
		if (o->whole || e->active) {
			if (!load_whole(c, o, size, e->b.b))
				return false;
			for (unsigned at = size; at < ALL; at *= 2)
				memcpy(e->b.b + at, e->b.b, at);
		}
		return true;
	}
	if (!aligned(c, o, bytes, e->active))
		return false;
	needed = fold(e->active, e->count, n);
	if (!o->k || o->whole)
		return load_whole(c, o, bytes, e->b.b);
	/* Of the faults of active elements that of the first one counts, also if all of them are active. Where all may
	 * be read, there is none. */
	return (!(is_amd(c->model) && c->eflags & FL_AC) && load_simple(c, o, bytes, e->b.b)) ||
	       load_elements(c, o, needed, size, &e->b);
}

/* May the ACTIVE elements be written? At LINEAR. */
static bool may_store(struct cpu *c, const struct op *o, u64 active, unsigned size, u64 linear[64])
{
	for (unsigned i = 0; i < 64 && active >> i; i++)
		if (active >> i & 1 &&
		    (!element_linear(c, o, i * size, size, true, &linear[i]) || !mem_check_write(c, linear[i], size)))
			return false;
	return true;
}

bool evex_store(struct cpu *c, const struct op *o, u64 active, unsigned size, const void *v)
{
	u64 linear[64];

	if (!may_store(c, o, active, size, linear))
		return false;
	for (unsigned i = 0; i < 64 && active >> i; i++)
		if (active >> i & 1 && !mem_write(c, linear[i], size, get_size((const u8 *)v + i * size, size)))
			return false;
	return true;
}

/* The whole of the memory operand could be written, whatever the mask says. */
static bool may_store_whole(struct cpu *c, const struct op *o)
{
	u64 linear;

	return op_linear(c, o, 1u << o->memory, true, &linear) && mem_check_write(c, linear, 1u << o->memory);
}

static bool store_result(struct cpu *c, const struct op *o, const struct evex *e)
{
	if (!o->k)
		return aligned(c, o, 1u << o->memory, ALL) && op_store_block(c, o, e->r.b, 1u << o->memory);
	if (o->whole ? !may_store_whole(c, o) : !aligned(c, o, 1u << o->memory, e->active))
		return false;
	return evex_store(c, o, e->active, 1u << o->to, e->r.b);
}

/* ---- before and behind the operation ---- */

bool evex_begin(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e)
{
	e->count = d->lanes == ONE ? 1u : (unsigned)o->vlen >> (o->whole || o->to > o->from ? o->to : o->from);
	e->active = evex_active(c, o, e->count);
	e->mask = 0;
	memset(&e->r, 0, sizeof e->r);
	e->old = c->v[o->dst & 31]; /* of other registers DST and SRC are other numbers, and nobody looks */
	e->a = c->v[o->third];
	if (o->mem && !o->to_memory) {
		memset(&e->b, 0, sizeof e->b);
		return load(c, o, d, e);
	}
	e->b = c->v[o->src & 31];
	/* With AMD's processors a fault of the store comes before the exceptions of VCVTPS2PH. */
	if (o->to_memory && d->post != POST_EXACT && is_amd(c->model)) {
		u64 linear[64];

		return o->k ? may_store(c, o, e->active, 1u << o->to, linear) : may_store_whole(c, o);
	}
	return true;
}

/* ACTIVE as ones and zeros in elements of 2^SIZE bytes. */
static void spread(u64 active, unsigned size, union vreg *m)
{
#define SPREAD(n) \
	for (unsigned part = 0; part < 4; part++) \
		vec_store(&m->q[2 * part], vec_mask(active, n, part))
	if (size == 0)
		SPREAD(1);
	else if (size == 1)
		SPREAD(2);
	else if (size == 2)
		SPREAD(4);
	else
		SPREAD(8);
#undef SPREAD
}

/* TO's parts, where M has zeros, from FROM. */
static void merge(union vreg *to, const union vreg *m, const union vreg *from)
{
	for (unsigned i = 0; i < 8; i += 2)
		vec_store(&to->q[i], vec_select(vec_load(&m->q[i]), vec_load(&to->q[i]), vec_load(&from->q[i])));
}

void evex_set(struct cpu *c, const struct op *o, const union vreg *v)
{
	memcpy(&c->v[o->dst], v, o->zmm ? sizeof *v : 32);
}

bool evex_end(struct cpu *c, const struct op *o, enum lanes lanes, struct evex *e)
{
	if (o->to_mask) {
		c->k[o->dst] = e->mask & e->active;
		return true;
	}
	if (o->to_memory)
		return store_result(c, o, e);
	if (o->k && lanes == ONE) {
		if (!(e->active & 1))
			element_set(&e->r, 0, 1u << o->to, o->zeroing ? 0 : element_get(&e->old, 0, 1u << o->to));
	} else if (o->k) {
		static const union vreg zeros;
		const u64 all = e->count > 63 ? ~(u64)0 : ((u64)1 << e->count) - 1;
		union vreg chosen;

		spread(e->active, o->to, &chosen);
		merge(&e->r, &chosen, o->zeroing ? &zeros : &e->old);
		if (e->count << o->to < sizeof e->r && !o->zeroing) { /* what is beyond the elements is zero */
			spread(all, o->to, &chosen);
			merge(&e->r, &chosen, &zeros);
		}
	}
	evex_set(c, o, &e->r);
	return true;
}

/* ---- the operation ---- */

/* Ones where nothing is to be computed. */
static void put_ones(struct evex *e, const struct op *o)
{
	static const u64 ones[4] = { 0x0101010101010101, 0x3c003c003c003c00, 0x3f8000003f800000, 0x3ff0000000000000 };
	union vreg chosen, one;

	for (unsigned i = 0; i < 8; i++)
		one.q[i] = ones[o->from];
	spread(e->active, o->from, &chosen);
	merge(&e->b, &chosen, &one);
	if (o->to != o->from) {
		for (unsigned i = 0; i < 8; i++)
			one.q[i] = ones[o->to];
		spread(e->active, o->to, &chosen);
	}
	merge(&e->a, &chosen, &one);
	merge(&e->old, &chosen, &one);
}

static vec part_of(const union vreg *v, unsigned part) { return vec_load(&v->q[2 * part]); }

static vec second_of(const union vreg *v, enum lanes lanes, unsigned part)
{
	switch (lanes) {
	case HALF: return (vec){ v->q[part], 0 };
	case QUARTER: return (vec){ v->d[part], 0 };
	case EIGHTH: return (vec){ v->w[part], 0 };
	case COUNT: return part_of(v, 0);
	default: return part_of(v, part);
	}
}

/* Bit i of the result: the sign of element i. */
static u64 signs(const union vreg *v, unsigned count, unsigned size)
{
	u64 r = 0;

	for (unsigned i = 0; i < count; i++)
		r |= (u64)(v->b[(i + 1) * size - 1] >> 7) << i;
	return r;
}

/* One element is computed: the others are the first source's, or the destination's, if D says so. */
static void keep_rest(const struct op *o, const struct evex_desc *d, struct evex *e)
{
	const union vreg *from = d->rest_of_old ? &e->old : &e->a;

	if (!o->to_mask)
		memcpy(&e->r, from, 16);
}

/* FLAGS: those of the operation, if they have to be looked at. NULL: they count for nothing. */
static void run_parts(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e, u32 *flags)
{
	const union vreg old = e->old;
	unsigned parts = d->lanes == ONE ? 1 : o->vlen / 16u;
	enum post post = flags ? vec_post(d->post, d->lanes, d->bits) : POST_EXACT;

	if (o->k && d->post != POST_EXACT && d->lanes != ONE)
		put_ones(e, o);
	for (unsigned part = 0; part < parts; part++) {
		vec a = part_of(&e->a, part), b = second_of(&e->b, d->lanes, part), r;

		if (d->kind == EVEX_KIND_parts3) {
			r = d->parts3(c, part_of(&e->old, part), a, b, o->imm8, part);
			if (flags && !c->mxcsr_live)
				*flags |= sse_step_slow(c, NULL, a, b, POST_NONE);
		} else {
			u32 none = 0;

			r = sse_step(c, d->parts, a, b, o->imm8, part, post, flags ? flags : &none);
		}
		if (d->lanes == NARROW)
			e->r.q[part] = r[0];
		else
			vec_store(&e->r.q[2 * part], r);
	}
	if (o->to_mask)
		e->mask = signs(&e->r, e->count, 1u << o->to);
	e->old = old;
}

static void run_elements(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e)
{
	unsigned from = 1u << o->from, to = 1u << o->to;

	if (d->lanes == ONE)
		keep_rest(o, d, e);
	for (unsigned i = 0; i < e->count; i++) {
		u64 r;

		if (!(e->active >> i & 1))
			continue;
		r = d->element(c, &(struct element){ element_get(&e->old, i, to), element_get(&e->a, i, to),
						     element_get(&e->b, i, from), o->imm8, (u8)from, (u8)to, (u8)i });
		if (o->to_mask)
			e->mask |= (r & 1) << i;
		else
			element_set(&e->r, i, to, r);
	}
}

static void run(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e, u32 *flags)
{
	if (d->lanes == ONE && !(e->active & 1) && d->post != POST_EXACT)
		keep_rest(o, d, e);
	else if (d->kind == EVEX_KIND_element)
		run_elements(c, o, d, e);
	else if (d->kind == EVEX_KIND_whole)
		d->whole(c, o, e);
	else
		run_parts(c, o, d, e, flags);
}

/* The guest's MXCSR with the rounding of O, which then has no exceptions. */
static u32 control(const struct cpu *c, const struct op *o)
{
	u32 v = c->mxcsr & MXCSR_MASK & ~(u32)MXCSR_FLAGS;

	if (o->round)
		v |= MXCSR_MASKS;
	if (o->round & ROUND_ER)
		v = (v & ~(u32)MXCSR_RC) | (u32)(o->round & 3) << 13;
	return v;
}

u32 evex_soft_begin(struct cpu *c, const struct op *o)
{
	u32 saved = c->soft_mxcsr;

	c->soft_mxcsr = control(c, o);
	return saved;
}

bool evex_soft_end(struct cpu *c, const struct op *o, u32 begun)
{
	u32 flags = c->soft_mxcsr & MXCSR_FLAGS;

	c->soft_mxcsr = begun;
	return o->round || sse_raise(c, flags);
}

static bool run_soft(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e)
{
	u32 saved = evex_soft_begin(c, o);

	run(c, o, d, e, NULL);
	return evex_soft_end(c, o, saved);
}

static bool run_host(struct cpu *c, const struct op *o, const struct evex_desc *d, struct evex *e)
{
	u32 flags = 0, was;

	sse_begin(c);
	if (!o->round) {
		run(c, o, d, e, &flags);
		return sse_done(c, flags);
	}
	was = host_mxcsr(c);
	host_set_mxcsr(c, control(c, o));
	run(c, o, d, e, NULL);
	host_set_mxcsr(c, was);
	return sse_done(c, 0);
}

/* Of registers, or of a whole operand in memory, 16 bytes after the other, and exact: no more than what VEX has. */
static bool is_plain(const struct op *o, const struct evex_desc *d)
{
	return vec_is_plain(o) && d->post == POST_EXACT && d->lanes != ONE && d->lanes != NARROW &&
	       (d->kind == EVEX_KIND_parts || d->kind == EVEX_KIND_parts3);
}

static bool run_plain(struct cpu *c, const struct op *o, const struct evex_desc *d)
{
	const unsigned parts = o->vlen / 16u;
	union vreg r, old = c->v[o->dst & 31], a = c->v[o->third], b = c->v[o->src & 31];

	if (o->mem) {
		unsigned bytes = d->kind == EVEX_KIND_parts ? vec_reads(d->lanes, d->bits, o->vlen) : 1u << o->memory;

		if (!aligned(c, o, bytes, ALL) || !load_whole(c, o, bytes, b.b))
			return false;
	}
	for (unsigned part = 0; part < 4; part++) {
		vec v = { 0, 0 };

		if (part < parts && d->kind == EVEX_KIND_parts)
			v = d->parts(c, part_of(&a, part), second_of(&b, d->lanes, part), o->imm8, part);
		else if (part < parts)
			v = d->parts3(c, part_of(&old, part), part_of(&a, part), second_of(&b, d->lanes, part), o->imm8, part);
		vec_store(&r.q[2 * part], v);
	}
	c->v[o->dst] = r;
	return true;
}

bool evex_run(struct cpu *c, const struct op *o, const struct evex_desc *d)
{
	struct evex e;

	if (is_plain(o, d) && o->zmm)
		return run_plain(c, o, d);
	if (!evex_begin(c, o, d, &e))
		return false;
	if (d->post == POST_EXACT)
		run(c, o, d, &e, NULL);
	else if (!(d->post == POST_SOFT ? run_soft : run_host)(c, o, d, &e))
		return false;
	return evex_end(c, o, d->lanes, &e);
}
