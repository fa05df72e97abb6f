/* SPDX-License-Identifier: MIT */
/* The string comparisons of SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 1, 12.10; vol. 2, 4.1).
 *
 *   immediate   6       5-4             3-2            1-0
 *               index   polarity        aggregation    format
 *               0 first 0, 2 positive   0 equal any    0 unsigned bytes
 *               1 last  1 negative      1 ranges       1 unsigned words
 *               mask    3 negative in   2 equal each   2 signed bytes
 *               0 bits    the string    3 equal        3 signed words
 *               1 lanes                   ordered */
#include "cpu/insn/vector/vector.h"

struct strings {
	s32 a[16], b[16];           /* elements: of the set, ranges or needle; of the string */
	unsigned n, a_len, b_len;   /* elements in a register; valid ones */
};

static s32 element(const union xmm *x, unsigned i, u8 imm)
{
	switch (imm & 3) {
	case 0: return x->b[i];
	case 1: return x->w[i];
	case 2: return (s8)x->b[i];
	default: return (s16)x->w[i];
	}
}

static unsigned implicit_length(const s32 *x, unsigned n)
{
	unsigned len = 0;

	while (len < n && x[len])
		len++;
	return len;
}

/* |EAX|, |EDX|, or the whole registers with REX.W; more than fit is as many as fit. */
static unsigned explicit_length(u64 reg, bool wide, unsigned n)
{
	s64 v = wide ? (s64)reg : (s32)reg;
	u64 len = v < 0 ? -(u64)v : (u64)v;

	return len > n ? n : (unsigned)len;
}

/* IntRes1: bit j is about element j of the string. */
static u32 aggregate(const struct strings *s, u8 imm)
{
	u32 res = 0;

	for (unsigned j = 0; j < s->n; j++) {
		bool hit = false;

		switch (imm >> 2 & 3) {
		case 0:
			for (unsigned i = 0; i < s->a_len; i++)
				hit |= j < s->b_len && s->a[i] == s->b[j];
			break;
		case 1:
			for (unsigned i = 0; i + 1 < s->a_len; i += 2)
				hit |= j < s->b_len && s->a[i] <= s->b[j] && s->b[j] <= s->a[i + 1];
			break;
		case 2:
			hit = j < s->a_len && j < s->b_len ? s->a[j] == s->b[j] : j >= s->a_len && j >= s->b_len;
			break;
		default:
			hit = true;
			for (unsigned i = 0; i < s->a_len && i + j < s->n; i++)
				hit &= i + j < s->b_len && s->a[i] == s->b[i + j];
			break;
		}
		res |= (u32)hit << j;
	}
	return res;
}

/* IntRes2, and the flags: CF something was found, ZF and SF the string, the needle ends within its register, OF bit 0.
 * */
static u32 compare_strings(struct cpu *c, const struct op *o, vec b, bool explicit, unsigned *n)
{
	union xmm x = vec_lanes(xmm_get(c, o->dst)), y = vec_lanes(b);
	u8 imm = o->imm8;
	struct strings s = { .n = imm & 1 ? 8 : 16 };
	u32 res;

	for (unsigned i = 0; i < s.n; i++) {
		s.a[i] = element(&x, i, imm);
		s.b[i] = element(&y, i, imm);
	}
	s.a_len = explicit ? explicit_length(c->r[RAX], o->osize == 8, s.n) : implicit_length(s.a, s.n);
	s.b_len = explicit ? explicit_length(c->r[RDX], o->osize == 8, s.n) : implicit_length(s.b, s.n);
	res = aggregate(&s, imm);
	if (imm & 0x10)
		res ^= imm & 0x20 ? (1u << s.b_len) - 1 : (1u << s.n) - 1;
	cpu_set_arith(c, (res ? FL_C : 0) | (s.b_len < s.n ? FL_Z : 0) | (s.a_len < s.n ? FL_S : 0) |
				 (res & 1 ? FL_O : 0));
	*n = s.n;
	return res;
}

ALWAYS_INLINE bool index_body(struct cpu *c, const struct op *o, bool explicit)
{
	unsigned n;
	u32 res;
	vec b;

	if (!vec_source(c, o, 16, &b))
		return false;
	res = compare_strings(c, o, b, explicit, &n);
	c->r[RCX] = !res ? n : o->imm8 & 0x40 ? 31 - (unsigned)__builtin_clz(res) : (unsigned)__builtin_ctz(res);
	return true;
}

ALWAYS_INLINE bool mask_body(struct cpu *c, const struct op *o, bool explicit)
{
	union xmm r = { .q = { 0, 0 } };
	unsigned n;
	u32 res;
	vec b;

	if (!vec_source(c, o, 16, &b))
		return false;
	res = compare_strings(c, o, b, explicit, &n);
	if (!(o->imm8 & 0x40))
		r.d[0] = res;
	else
		for (unsigned i = 0; i < n; i++)
			put_size(&r.b[i * (16 / n)], 16 / n, res >> i & 1 ? ~(u64)0 : 0);
	xmm_set(c, 0, vec_of(r));
	if (o->vlen)
		memset(&c->v[0].q[2], 0, o->zmm ? 48 : 16);
	return true;
}

BODY(pcmpestri) { return index_body(c, o, true); }
VEC_OWN(pcmpestri)
BODY(pcmpistri) { return index_body(c, o, false); }
VEC_OWN(pcmpistri)
BODY(pcmpestrm) { return mask_body(c, o, true); }
VEC_OWN(pcmpestrm)
BODY(pcmpistrm) { return mask_body(c, o, false); }
VEC_OWN(pcmpistrm)
