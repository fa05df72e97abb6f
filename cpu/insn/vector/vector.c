/* SPDX-License-Identifier: MIT */
/* Shared by all vector instructions. */
#include "cpu/insn/vector/vector.h"

bool vec_operand_memory(struct cpu *c, const struct op *o, unsigned size, vec b[2])
{
	const u8 *p = fast_op(c, o, KIND_SEG, size, false);
	u64 v;

	b[0] = b[1] = vec_zero;
	if (likely(p) && !(size >= 16 && (uintptr_t)p & (size - 1) && o->scale & OP_ALIGNED)) {
		if (size < 16)
			b[0] = (vec){ get_size(p, size), 0 };
		else
			memcpy(b, p, size);
		return true;
	}
	if (size >= 16)
		return op_load_block(c, o, b, size);
	if (!op_load(c, o, size, &v))
		return false;
	b[0] = (vec){ v, 0 };
	return true;
}

void vec_operands(const struct dec *d, struct op *o, enum lanes lanes)
{
	o->third = d->vex ? d->third : o->dst;
	o->vlen = (u8)(!d->vex ? 0 : lanes == ONE ? 16 : 16 << d->vex_l);
	if (!d->vex)
		o->zmm = 0;
}

/* NULL: there is none for O. */
static handler *choose_wide(const struct op *o, const struct vec_wide *wide, bool memory)
{
	if (!wide || o->vlen < 32 || o->round || o->to_memory || o->to_mask || (o->k && o->broadcast))
		return NULL;
	while (wide->bits && wide->bits != 8u << o->to)
		wide++;
	if (!wide->bits || o->from != o->to)
		return NULL;
	return o->broadcast ? wide->broadcast[o->vlen == 64] : wide->masked[o->vlen == 64][memory];
}

void vec_choose_zmm(const struct dec *d, struct op *o, handler *const zmm[3][2], const struct vec_wide *wide,
		    handler *body)
{
	enum kind kind = dec_kind_of_memory(d);
	handler *fast = NULL;

	if (kind != KIND_SEG)
		fast = vec_is_plain(o) ? zmm[o->vlen >> 5][kind != KIND_REG] : choose_wide(o, wide, kind != KIND_REG);
	o->run = fast ? fast : body;
}

void vec_choose(const struct dec *d, struct op *o, const struct vec_handlers *h, enum lanes lanes)
{
	enum kind kind = dec_kind_of_memory(d);
	unsigned vex_kind = kind == KIND_REG ? 0 : kind == KIND_SEG ? 2 : 1;
	handler *fast;

	vec_operands(d, o, lanes);
	if (o->zmm) {
		vec_choose_zmm(d, o, h->zmm, h->wide, h->body);
		return;
	}
	fast = !o->vlen ? h->sse[kind] : (o->vlen == 32 ? h->vex_256 : h->vex_128)[vex_kind];
	o->run = fast ? fast : h->body;
}
