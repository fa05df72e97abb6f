/* SPDX-License-Identifier: MIT */
/* XOP against a second implementation, from the text of APM vol. 6, element by element; fractions against the C
 * library's modf(). */
#define _GNU_SOURCE
#include <math.h>
#include "tests/unit/modes.h"
#include "tests/unit/random.h"

static void xop_setup(void) { vectors_setup("zen3,+xop", RAM_SIZE, 3, 7); }

/* Bytes of operands: each is random, or at an end of the range. */
static void fill_bytes(u8 *p, unsigned len)
{
	unsigned kind = rnd() & 3;

	for (unsigned i = 0; i < len; i++)
		p[i] = kind ? (u8)rnd() : (const u8[]){ 0, 0x80, 0x7f, 0xff }[rnd() >> 20 & 3];
}

struct operands {
	u8 a[32], b[32], last[32], imm;
}; /* in vvvv, in r/m, in the register of the immediate */

/* Run the XOP instruction with them and DST = XMM1. Those of map 3 have VEX. */
static unsigned run(unsigned map, u8 opcode, bool w, bool l, bool vvvv, bool memory, const struct operands *x)
{
	u8 code[6] = { map == 3 ? 0xc4 : 0x8f,
		       (u8)(0xe0 | map),
		       (u8)(w << 7 | (vvvv ? 13 : 15) << 3 | l << 2 | (map == 3)),
		       opcode,
		       memory ? 0x0b : 0xcb,
		       x->imm };

	memset(&c->v[1], 0xff, 32);
	memcpy(&c->v[2], x->a, 32);
	memcpy(&c->v[3], x->b, 32);
	memcpy(&c->v[4], x->last, 32);
	poke(DATA, x->b, 32);
	if (memory)
		memset(&c->v[3], 0x55, 32);
	c->r[RBX] = DATA;
	poke(CODE, code, sizeof code);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, CLOCK_NEVER);
}

static s64 integer(const u8 *p, unsigned i, unsigned size)
{
	u64 v = get_size(p + i * size, size), top = (u64)1 << (8 * size - 1);

	return (s64)((v ^ top) - top);
}
static u64 number(const u8 *p, unsigned i, unsigned size) { return get_size(p + i * size, size); }

/* ---- what the manual says: the result of OPCODE in MAP, 32 bytes at R ---- */

static void naive_perm(u8 *r, const u8 *a, const u8 *b, const u8 *sel)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned n = sel[i] & 31;
		u8 v = n < 16 ? a[n] : b[n - 16], turned = 0;

		for (unsigned bit = 0; bit < 8; bit++)
			turned = (u8)(turned << 1 | (v >> bit & 1));
		switch (sel[i] >> 5) {
		case 0: r[i] = v; break;
		case 1: r[i] = v ^ 0xff; break;
		case 2: r[i] = turned; break;
		case 3: r[i] = turned ^ 0xff; break;
		case 4: r[i] = 0; break;
		case 5: r[i] = 0xff; break;
		case 6: r[i] = v >= 0x80 ? 0xff : 0; break;
		default: r[i] = v >= 0x80 ? 0 : 0xff; break;
		}
	}
}

static void naive_permil(u8 *r, unsigned size, unsigned len, const struct operands *x)
{
	for (unsigned i = 0; i < len; i += size) {
		unsigned s = x->last[i], element = size == 8 ? s >> 1 & 1 : s & 3, match = s >> 3 & 1, m2z = x->imm & 3;
		const u8 *from = s & 4 ? x->b : x->a;

		if ((m2z == 2 && match) || (m2z == 3 && !match))
			continue;
		memcpy(r + i, from + (i & 16) + element * size, size);
	}
}

static void naive_mac(u8 *r, u8 opcode, const struct operands *x)
{
	/* bytes of the factors and of the sum; the first element of the factors, and how far to the next one */
	static const struct {
		u8 opcode, from, to, first, step;
	} forms[] = {
		{ 0x5, 2, 2, 0, 1 }, { 0x6, 2, 4, 1, 2 }, { 0x7, 4, 8, 0, 2 }, { 0xe, 4, 4, 0, 1 }, { 0xf, 4, 8, 1, 2 },
	};
	bool saturates = opcode < 0x90;

	for (unsigned f = 0; f < ARRAY_LEN(forms); f++) {
		if (forms[f].opcode != (opcode & 15))
			continue;
		for (unsigned i = 0; i < 16u / forms[f].to; i++) {
			unsigned n = forms[f].first + i * forms[f].step, size = forms[f].to;
			s64 product = integer(x->a, n, forms[f].from) * integer(x->b, n, forms[f].from), sum;
			s64 max = (s64)(((u64)1 << (8 * size - 1)) - 1), min = -max - 1;
			bool over = __builtin_add_overflow(product, integer(x->last, i, size), &sum);

			if (saturates && over)
				sum = product < 0 ? min : max;
			else if (saturates && (sum > max || sum < min))
				sum = sum < 0 ? min : max;
			put_size(r + i * size, size, (u64)sum);
		}
	}
}

static void naive_madc(u8 *r, u8 opcode, const struct operands *x)
{
	for (unsigned i = 0; i < 4; i++) {
		s64 sum = integer(x->a, 2 * i, 2) * integer(x->b, 2 * i, 2) +
			  integer(x->a, 2 * i + 1, 2) * integer(x->b, 2 * i + 1, 2) + integer(x->last, i, 4);

		if (opcode == 0xa6)
			sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
		put_size(r + 4 * i, 4, (u64)sum);
	}
}

static bool naive_relation(unsigned relation, bool less, bool equal)
{
	switch (relation) {
	case 0: return less;
	case 1: return less || equal;
	case 2: return !less && !equal;
	case 3: return !less;
	case 4: return equal;
	case 5: return !equal;
	default: return relation == 7;
	}
}

/* A bit at a time. */
static u64 naive_shift(u64 v, int count, unsigned bits, unsigned kind)
{
	u64 mask = bits == 64 ? ~(u64)0 : ((u64)1 << bits) - 1;

	for (; count > 0; count--)
		v = (v << 1 | (kind == 0 ? v >> (bits - 1) : 0)) & mask;
	for (; count < 0; count++) {
		u64 in = kind == 0 ? v & 1 : kind == 2 ? v >> (bits - 1) : 0;

		v = v >> 1 | in << (bits - 1);
	}
	return v;
}

static void naive_horizontal(u8 *r, u8 opcode, const u8 *b)
{
	static const struct {
		u8 low, from, to;
	} forms[] = { { 1, 1, 2 }, { 2, 1, 4 }, { 3, 1, 8 }, { 6, 2, 4 }, { 7, 2, 8 }, { 0xb, 4, 8 } };
	bool subtract = opcode >= 0xe0;

	for (unsigned f = 0; f < ARRAY_LEN(forms); f++) {
		unsigned from = forms[f].from, to = forms[f].to, n = to / from;

		if (subtract ? (1u << (opcode - 0xe1)) != from || to != 2 * from : forms[f].low != (opcode & 15))
			continue;
		for (unsigned i = 0; i < 16 / to; i++) {
			s64 sum = 0;

			for (unsigned k = 0; k < n; k++) {
				s64 v = opcode >= 0xd0 && !subtract ? (s64)number(b, i * n + k, from)
								    : integer(b, i * n + k, from);

				sum += subtract && k ? -v : v;
			}
			put_size(r + i * to, to, (u64)sum);
		}
	}
}

static void naive(u8 r[32], unsigned map, u8 opcode, bool w, bool l, const struct operands *given)
{
	struct operands x = *given;
	unsigned size = 1u << (opcode & 3);
	bool immediate = map == 8 && opcode < 0xc4;

	memset(r, 0, 32);
	if (map == 9 && opcode >= 0xc0) {
		naive_horizontal(r, opcode, x.b);
	} else if (map == 9 || (opcode >= 0xc0 && immediate)) {
		const u8 *v = w ? x.a : x.b, *counts = w ? x.b : x.a;

		for (unsigned i = 0; i < 16 / size; i++)
			put_size(r + i * size, size,
				 naive_shift(number(v, i, size), immediate ? (s8)x.imm : (s8)counts[i * size], 8 * size,
					     immediate ? 0 : (opcode - 0x90) >> 2));
	} else if (opcode >= 0xcc) {
		for (unsigned i = 0; i < 16 / size; i++) {
			bool less = opcode < 0xec ? integer(x.a, i, size) < integer(x.b, i, size)
						  : number(x.a, i, size) < number(x.b, i, size);

			put_size(r + i * size, size,
				 naive_relation(x.imm & 7, less, !memcmp(x.a + i * size, x.b + i * size, size))
					 ? ~(u64)0
					 : 0);
		}
	} else {
		if (w) {
			memcpy(x.b, given->last, 32);
			memcpy(x.last, given->b, 32);
		}
		if (map == 3)
			naive_permil(r, opcode & 1 ? 8 : 4, l ? 32 : 16, &x);
		else if (opcode == 0xa2)
			for (unsigned i = 0; i < (l ? 256 : 128); i++)
				r[i / 8] |= (u8)(((x.last[i / 8] >> (i % 8) & 1 ? x.a : x.b)[i / 8]) & 1u << (i % 8));
		else if (opcode == 0xa3)
			naive_perm(r, x.a, x.b, x.last);
		else if ((opcode & 0xf) == 6 && opcode >= 0xa0)
			naive_madc(r, opcode, &x);
		else
			naive_mac(r, opcode, &x);
	}
}

static const struct {
	u8 map, opcode;
	bool w, vvvv;
} integers[] = {
	/* W: has both orders */
	{ 8, 0x85, 0, 1 }, { 8, 0x86, 0, 1 }, { 8, 0x87, 0, 1 }, { 8, 0x8e, 0, 1 }, { 8, 0x8f, 0, 1 },
	{ 8, 0x95, 0, 1 }, { 8, 0x96, 0, 1 }, { 8, 0x97, 0, 1 }, { 8, 0x9e, 0, 1 }, { 8, 0x9f, 0, 1 },
	{ 8, 0xa2, 1, 1 }, { 8, 0xa3, 1, 1 }, { 8, 0xa6, 0, 1 }, { 8, 0xb6, 0, 1 }, { 8, 0xc0, 0, 0 },
	{ 8, 0xc1, 0, 0 }, { 8, 0xc2, 0, 0 }, { 8, 0xc3, 0, 0 }, { 8, 0xcc, 0, 1 }, { 8, 0xcd, 0, 1 },
	{ 8, 0xce, 0, 1 }, { 8, 0xcf, 0, 1 }, { 8, 0xec, 0, 1 }, { 8, 0xed, 0, 1 }, { 8, 0xee, 0, 1 },
	{ 8, 0xef, 0, 1 }, { 9, 0x90, 1, 1 }, { 9, 0x91, 1, 1 }, { 9, 0x92, 1, 1 }, { 9, 0x93, 1, 1 },
	{ 9, 0x94, 1, 1 }, { 9, 0x95, 1, 1 }, { 9, 0x96, 1, 1 }, { 9, 0x97, 1, 1 }, { 9, 0x98, 1, 1 },
	{ 9, 0x99, 1, 1 }, { 9, 0x9a, 1, 1 }, { 9, 0x9b, 1, 1 }, { 9, 0xc1, 0, 0 }, { 9, 0xc2, 0, 0 },
	{ 9, 0xc3, 0, 0 }, { 9, 0xc6, 0, 0 }, { 9, 0xc7, 0, 0 }, { 9, 0xcb, 0, 0 }, { 9, 0xd1, 0, 0 },
	{ 9, 0xd2, 0, 0 }, { 9, 0xd3, 0, 0 }, { 9, 0xd6, 0, 0 }, { 9, 0xd7, 0, 0 }, { 9, 0xdb, 0, 0 },
	{ 9, 0xe1, 0, 0 }, { 9, 0xe2, 0, 0 }, { 9, 0xe3, 0, 0 }, { 3, 0x48, 1, 1 }, { 3, 0x49, 1, 1 },
};

START_TEST(on_integers)
{
	for (unsigned n = 0; n < 200000; n++) {
		unsigned row = n % ARRAY_LEN(integers), map = integers[row].map;
		u8 opcode = integers[row].opcode, want[32];
		bool w = integers[row].w && rnd() & 1, l = (opcode == 0xa2 || map == 3) && rnd() & 1,
		     memory = rnd() & 1;
		bool is4 = map == 3 || (map == 8 && opcode < 0xc0);
		struct operands x;

		fill_bytes(x.a, 32);
		fill_bytes(x.b, 32);
		fill_bytes(x.last, 32);
		x.imm = is4 ? 0x40 | (rnd() & 15) : (u8)rnd();
		if (map == 9)
			x.imm = 0x90; /* not of the instruction */
		ck_assert_int_ne(run(map, opcode, w, l, integers[row].vvvv, memory, &x), CPU_EXCEPTION);
		naive(want, map, opcode, w, l, &x);
		ck_assert_msg(!memcmp(&c->v[1], want, 32), "map %u, %02x, W %u, memory %u, immediate %02x", map, opcode,
			      w, memory, x.imm);
	}
}
END_TEST

START_TEST(fractions)
{
	for (unsigned n = 0; n < 40000; n++) {
		unsigned kind = rnd() & 3, size = kind & 1 ? 8 : 4; /* 80 PS, 81 PD, 82 SS, 83 SD */
		bool scalar = kind & 2, l = !scalar && rnd() & 1;
		struct operands x = { 0 };

		for (unsigned i = 0; i < 32; i += size)
			put_size(x.b + i, size,
				 size == 8 ? (rnd() & 0x800fffffffffffff) | (u64)(1000 + rnd() % 80) << 52
					   : (rnd() & 0x807fffff) | (u64)(110 + rnd() % 50) << 23);
		c->mxcsr = 0x1f80;
		ck_assert_int_ne(run(9, (u8)(0x80 + kind), false, l, false, rnd() & 1, &x), CPU_EXCEPTION);
		ck_assert_uint_eq(c->mxcsr, 0x1f80);
		for (unsigned i = 0; i < 32 / size; i++) {
			u64 want = 0;

			if (i < (scalar ? 1 : (l ? 32 : 16) / size) && size == 8) {
				double v, whole;

				memcpy(&v, x.b + 8 * i, 8);
				v = modf(v, &whole) + 0.0; /* no -0 */
				memcpy(&want, &v, 8);
			} else if (i < (scalar ? 1 : (l ? 32 : 16) / size)) {
				float v, whole;

				memcpy(&v, x.b + 4 * i, 4);
				v = modff(v, &whole) + 0.0f;
				memcpy(&want, &v, 4);
			}
			ck_assert_msg(number(c->v[1].b, i, size) == want, "VFRCZ %u of %llx: %llx, not %llx", kind,
				      (unsigned long long)number(x.b, i, size),
				      (unsigned long long)number(c->v[1].b, i, size), (unsigned long long)want);
		}
	}
}
END_TEST

/* APM vol. 6, VFRCZPS: exceptions; vol. 1, 4.7: the responses. */
START_TEST(fractions_with_exceptions)
{
	static const struct {
		u32 mxcsr, in, out, flags;
	} cases[] = {
		{ 0x1f80, 0x7f800000, 0xffc00000, 1 }, /* infinity */
		{ 0x1f80, 0x7f800001, 0x7fc00001, 1 }, /* SNaN, QNaN */
		{ 0x1f80, 0xffc00001, 0xffc00001, 0 },
		{ 0x1f80, 0x80000001, 0x80000001, 2 }, /* denormal; as zero with DAZ */
		{ 0x1fc0, 0x80000001, 0, 0 },
		{ 0x1f80, 0xc0000000, 0, 0 }, /* integers; -0 when rounding down */
		{ 0x3f80, 0x40000000, 0x80000000, 0 },
		{ 0x3f80, 0xc0200000, 0xbf000000, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct operands x = { 0 };

		put32(x.b, cases[i].in);
		c->mxcsr = cases[i].mxcsr;
		ck_assert_int_ne(run(9, 0x82, false, false, false, i & 1, &x), CPU_EXCEPTION);
		ck_assert_uint_eq(c->v[1].d[0], cases[i].out);
		ck_assert_uint_eq(c->mxcsr, cases[i].mxcsr | cases[i].flags);
	}
}
END_TEST

/* With a map below 8 there is POP, and without the feature or AVX state #UD. */
START_TEST(what_8f_is)
{
	struct operands x = { 0 };

	c->r[RSP] = STACK;
	poke64(STACK, 0x1234);
	POKE(CODE, 0x8f, 0xc0); /* POP RAX */
	c->r[RIP] = CODE;
	ck_assert_int_ne(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->r[RAX], 0x1234);
	ck_assert_int_eq(run(9, 0xc1, false, true, false, false, &x), CPU_EXCEPTION); /* L */
	ck_assert_int_eq(run(9, 0xc1, true, false, false, false, &x), CPU_EXCEPTION); /* W */
	ck_assert_int_eq(run(9, 0xc1, false, false, true, false, &x), CPU_EXCEPTION); /* vvvv */
	c->xcr0 = 3;
	update_mode(c);
	tlb_flush(c, true);
	ck_assert_int_eq(run(9, 0xc1, false, false, false, false, &x), CPU_EXCEPTION);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("XOP");
	TCase *tc = tcase_create("instructions");

	tcase_add_checked_fixture(tc, xop_setup, bare_free);
	tcase_add_test(tc, on_integers);
	tcase_add_test(tc, fractions);
	tcase_add_test(tc, fractions_with_exceptions);
	tcase_add_test(tc, what_8f_is);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
