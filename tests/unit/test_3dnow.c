/* SPDX-License-Identifier: MIT */
/* 3DNow! against the tables of AMD's manual (21928) and, where those say "normal", against the host's doubles; SSE4a
 * against the manual (26568) and, where the host has it, against the host. */
#include <math.h>
#include "tests/unit/bare.h"
#ifdef __x86_64__
#include <cpuid.h>
#endif

enum { CODE = 0x1000, DATA = 0x8000 };

static void build(const char *name)
{
	bare_new(name, 64 * 1024);
	c->cr0 |= CR0_PE | CR0_NE;
	c->cr4 = CR4_OSFXSR;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | (i == CS ? SEG_CODE : 0) };
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
}
static void setup(void) { build("max,+3dnow,+3dnowext,+sse4a"); }

/* One instruction. A jump after it ends the block: zeros after it would be decoded, too, each time. */
static int run(const void *code, unsigned len)
{
	space_write_block(&mem, CODE + len, "\xeb\xfe", 2);
	space_write_block(&mem, CODE, code, len);
	c->r[RIP] = CODE;
	return cpu_run(c, c->icount + 1, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : -1;
}

static u64 seed = 1;
static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

/* MM1 OP MM2, or the same from memory. */
static u64 op(u8 opcode, u64 d, u64 s)
{
	c->x87.st[1].frac = d;
	c->x87.st[2].frac = s;
	put64(ram->host + DATA, s);
	c->r[RBX] = DATA - 0x40;
	if (rnd() & 1)
		ck_assert_int_eq(run((const u8[]){ 0x0f, 0x0f, 0xca, opcode }, 4), -1);
	else
		ck_assert_int_eq(run((const u8[]){ 0x0f, 0x0f, 0x4b, 0x40, opcode }, 5), -1);
	ck_assert_uint_eq(c->x87.st[1].exp, 0xffff);
	ck_assert_uint_eq(c->x87.valid, 0xff);
	ck_assert_uint_eq(c->x87.top, 0);
	return c->x87.st[1].frac;
}

/* Both lanes. */
static u32 lane(u8 opcode, u32 a, u32 b)
{
	u64 r = op(opcode, (u64)a << 32 | a, (u64)b << 32 | b);

	ck_assert_uint_eq((u32)r, r >> 32);
	return (u32)r;
}

enum { PI2FW = 0x0c, PI2FD = 0x0d, PF2IW = 0x1c, PF2ID = 0x1d, PFNACC = 0x8a, PFPNACC = 0x8e, PFCMPGE = 0x90,
	PFMIN = 0x94, PFRCP = 0x96, PFRSQRT = 0x97,
       PFSUB = 0x9a, PFADD = 0x9e, PFCMPGT = 0xa0, PFMAX = 0xa4, PFRCPIT1 = 0xa6, PFRSQIT1 = 0xa7, PFSUBR = 0xaa,
       PFACC = 0xae, PFCMPEQ = 0xb0,
       PFMUL = 0xb4, PFRCPIT2 = 0xb6, PMULHRW = 0xb7, PSWAPD = 0xbb, PAVGUSB = 0xbf };
enum { ONE = 0x3f800000, TWO = 0x40000000, THREE = 0x40400000, LARGEST = 0x7f7fffff, SMALLEST = 0x00800000 };
#define MINUS 0x80000000u

static double value(u32 v)
{
	float f;

	memcpy(&f, &v, 4);
	return f;
}

static u32 bits_of(float f)
{
	u32 v;

	memcpy(&v, &f, 4);
	return v;
}

/* The exact result (or one rounded to 53 bits, which makes no difference to the second rounding) as the manual's notes
 * have it: ZERO_SIGN is that of a result too small. */
static u32 fits(double exact, u32 zero_sign)
{
	u32 r = bits_of((float)exact);

	if ((r & 0x7fffffff) < SMALLEST)
		return zero_sign;
	return (r & 0x7fffffff) > LARGEST ? (r & MINUS) | LARGEST : r;
}

static u32 normal(void)
{
	u32 e = rnd() & 1 ? 1 + (u32)(rnd() % 254) : 100 + (u32)(rnd() % 56);

	return (u32)(rnd() << 31) | e << 23 | ((u32)rnd() & (rnd() & 1 ? 0x7fffff : 0x700001));
}

/* Tables 4, 14 and 15 (PFADD, PFSUB, PFSUBR): zeros, and notes 1 and 2. */
START_TEST(sums)
{
	static const u32 zeros[] = { 0, MINUS, 1, MINUS | 0x7fffff /* denormals are zeros */ };

	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 4; k++) {
			u32 a = zeros[i] & MINUS, b = zeros[k] & MINUS;

			ck_assert_uint_eq(lane(PFADD, zeros[i], zeros[k]), a & b);
			ck_assert_uint_eq(lane(PFSUB, zeros[i], zeros[k]), a & (b ^ MINUS));
			ck_assert_uint_eq(lane(PFSUBR, zeros[i], zeros[k]), b & (a ^ MINUS));
		}
	for (unsigned i = 0; i < 4; i++)
		for (unsigned n = 0; n < 50; n++) {
			u32 v = n ? normal() : 0x7f812345; /* unsupported comes through, too */

			ck_assert_uint_eq(lane(PFADD, zeros[i], v), v);
			ck_assert_uint_eq(lane(PFADD, v, zeros[i]), v);
			ck_assert_uint_eq(lane(PFSUB, zeros[i], v), v ^ MINUS);
			ck_assert_uint_eq(lane(PFSUBR, v, zeros[i]), v ^ MINUS);
		}
	for (unsigned n = 0; n < 100000; n++) {
		u32 a = normal(), b = rnd() % 4 ? normal() : (a ^ (u32)(rnd() << 31)) + (u32)(rnd() % 5) - 2, bigger;

		if ((b & 0x7f800000) == 0 || (b & 0x7f800000) == 0x7f800000)
			continue;
		bigger = (b & 0x7fffffff) > (a & 0x7fffffff) ? b : a;
		ck_assert_uint_eq(lane(PFADD, a, b), fits(value(a) + value(b), bigger & MINUS));
		bigger = (b & 0x7fffffff) > (a & 0x7fffffff) ? b ^ MINUS : a;
		ck_assert_uint_eq(lane(PFSUB, a, b), fits(value(a) - value(b), bigger & MINUS));
		ck_assert_uint_eq(lane(PFSUBR, b, a), fits(value(a) - value(b), bigger & MINUS));
	}
	ck_assert_uint_eq(lane(PFADD, LARGEST, LARGEST), LARGEST);
	ck_assert_uint_eq(lane(PFSUB, MINUS | LARGEST, LARGEST), MINUS | LARGEST);
	/* equal magnitudes: the sign of source 1 */
	ck_assert_uint_eq(lane(PFSUB, MINUS | THREE, MINUS | THREE), MINUS);
}
END_TEST

/* Table 11 (PFMUL). */
START_TEST(products)
{
	for (unsigned n = 0; n < 100000; n++) {
		u32 a = normal(), b = normal(), sign = (a ^ b) & MINUS;

		ck_assert_uint_eq(lane(PFMUL, a, b), fits(value(a) * value(b), sign));
		ck_assert_uint_eq(lane(PFRCPIT2, a, b), lane(PFMUL, a, b));
		ck_assert_uint_eq(lane(PFMUL, a, b & MINUS), sign);
		ck_assert_uint_eq(lane(PFMUL, a & (MINUS | 0x7fffff), b), sign);
	}
	ck_assert_uint_eq(lane(PFMUL, 0, 0xff812345), MINUS); /* zero times unsupported */
	ck_assert_uint_eq(lane(PFMUL, LARGEST, MINUS | LARGEST), MINUS | LARGEST);
	ck_assert_uint_eq(lane(PFMUL, SMALLEST, 0x3f000000), 0);
	ck_assert_uint_eq(lane(PFMUL, SMALLEST + 1, 0x3f7fffff), SMALLEST); /* rounding brings it back */
}
END_TEST

/* Tables 6 to 10 (PFCMPEQ, PFCMPGE, PFCMPGT, PFMAX, PFMIN): zeros are equal, and positive as a result. */
START_TEST(comparisons)
{
	static const u32 some[] = {
		0, MINUS, 1, ONE, MINUS | ONE, TWO, MINUS | TWO, SMALLEST, MINUS | SMALLEST, LARGEST, MINUS | LARGEST
	};

	for (unsigned n = 0; n < 20000; n++) {
		u32 a = n < 121 ? some[n / 11] : normal(), b = n < 121 ? some[n % 11] : rnd() % 4 ? normal() : a;
		double x = (a & 0x7f800000) ? value(a) : 0, y = (b & 0x7f800000) ? value(b) : 0;
		u32 max = x > y ? a : b, min = x < y ? a : b;

		ck_assert_uint_eq(lane(PFCMPEQ, a, b), x == y ? 0xffffffff : 0);
		ck_assert_uint_eq(lane(PFCMPGE, a, b), x >= y ? 0xffffffff : 0);
		ck_assert_uint_eq(lane(PFCMPGT, a, b), x > y ? 0xffffffff : 0);
		ck_assert_uint_eq(lane(PFMAX, a, b), max & 0x7f800000 ? max : 0);
		ck_assert_uint_eq(lane(PFMIN, a, b), min & 0x7f800000 ? min : 0);
	}
}
END_TEST

/* Table 5 (PF2ID), PF2IW: truncated, saturated. PI2FD, PI2FW: truncated, too. */
START_TEST(conversions)
{
	static const struct { u32 v, dword, word; } edges[] = {
		{ 0, 0, 0 }, { MINUS, 0, 0 }, { 1, 0, 0 }, { 0x3f7fffff, 0, 0 }, { ONE, 1, 1 },
			{ MINUS | ONE, ~0u, ~0u }, { 0x3fffffff, 1, 1 },
		{ 0x46fffe00, 0x7fff, 0x7fff }, { 0x47000000, 0x8000, 0x7fff }, { 0xc7000000, 0xffff8000, 0xffff8000 },
			{ 0xc7000100, 0xffff7fff, 0xffff8000 },
		{ 0x4effffff, 0x7fffff80, 0x7fff }, { 0x4f000000, 0x7fffffff, 0x7fff },
			{ 0xcf000000, 0x80000000, 0xffff8000 }, { 0xcf000001, 0x80000000, 0xffff8000 },
		{ LARGEST, 0x7fffffff, 0x7fff }, { MINUS | LARGEST, 0x80000000, 0xffff8000 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(edges); i++) {
		ck_assert_uint_eq(lane(PF2ID, 0x1234, edges[i].v), edges[i].dword);
		ck_assert_uint_eq(lane(PF2IW, 0x1234, edges[i].v), edges[i].word);
	}
	for (unsigned n = 0; n < 50000; n++) {
		s32 i = (s32)rnd() >> rnd() % 32;
		u32 f = normal();
		double t = trunc(value(f)), d = i;

		ck_assert_uint_eq(lane(PF2ID, 0, f), t >= 2147483647.    ? 0x7fffffff
						     : t <= -2147483648. ? 0x80000000
									 : (u32)(s32)t);
		ck_assert_uint_eq(lane(PF2IW, 0, f), t >= 32767 ? 0x7fff : t <= -32768 ? 0xffff8000 : (u32)(s32)t);
		if (fabs((double)(float)d) > fabs(d)) /* rounded up */
			ck_assert_uint_eq(lane(PI2FD, 0, (u32)i), bits_of((float)d) - 1);
		else
			ck_assert_uint_eq(lane(PI2FD, 0, (u32)i), bits_of((float)d));
		ck_assert_uint_eq(lane(PI2FW, 0, (u32)i), bits_of((float)(s16)i));
	}
}
END_TEST

START_TEST(across)
{
	u64 d = (u64)THREE << 32 | ONE, s = (u64)TWO << 32 | 0x41200000; /* 1, 3 and 10, 2 */

	ck_assert_uint_eq(op(PFACC, d, s), (u64)bits_of(12) << 32 | bits_of(4));
	ck_assert_uint_eq(op(PFNACC, d, s), (u64)bits_of(8) << 32 | bits_of(-2));
	ck_assert_uint_eq(op(PFPNACC, d, s), (u64)bits_of(12) << 32 | bits_of(-2));
	ck_assert_uint_eq(op(PSWAPD, d, s), s << 32 | s >> 32);
	ck_assert_uint_eq(op(PAVGUSB, 0x00ff01fe80007f10, 0x00ff02ff81ff8011), 0x00ff02ff81808011);
	/* (3 * -8000h + 8000h) >> 16 = -1 */
	ck_assert_uint_eq(op(PMULHRW, 0x7fff8000c0000003, 0x7fff800040008000), 0x3fff4000f000ffff);
}
END_TEST

/* Within the 14 and 15 bits that AMD promises, and by the manual's sequences within one place of 24 bits. Powers of two
 * are exact. */
START_TEST(reciprocals)
{
	for (unsigned n = 0; n < 100000; n++) {
		u32 b = normal(), x, x1, half;
		double exact, error;

		if ((b >> 23 & 255) > 250 || (b >> 23 & 255) < 4)
			continue;
		exact = 1 / value(b);
		x = (u32)op(PFRCP, 0, (u64)rnd() << 32 | b);
		error = fabs(value(x) / exact - 1);
		ck_assert_msg(error < 1 / 16384., "1 / %08x: %08x", b, x);
		x1 = lane(PFRCPIT2, lane(PFRCPIT1, b, x), x);
		ck_assert_msg(fabs(value(x1) / exact - 1) < 1 / 8388608., "1 / %08x: %08x", b, x1);

		b &= ~MINUS;
		exact = 1 / sqrt(value(b));
		x = (u32)op(PFRSQRT, 0, (u64)rnd() << 32 | b);
		ck_assert_msg(fabs(value(x) / exact - 1) < 1 / 32768., "1 / sqrt %08x: %08x", b, x);
		half = lane(PFRSQIT1, b, lane(PFMUL, x, x));
		x1 = lane(PFRCPIT2, half, x);
		ck_assert_msg(fabs(value(x1) / exact - 1) < 1.5 / 8388608., "1 / sqrt %08x: %08x", b, x1);
		ck_assert_uint_eq(lane(PFRSQRT, 0, b | MINUS), x | MINUS); /* the root is of the magnitude */
	}
	for (u32 e = 1; e < 254; e++) {
		ck_assert_uint_eq(lane(PFRCP, 0, e << 23), (254 - e) << 23);
		if (e & 1)
			ck_assert_uint_eq(lane(PFRSQRT, 0, e << 23), (127 + (127 - (int)e) / 2) << 23);
	}
	ck_assert_uint_eq(lane(PFRCP, 0, 0), LARGEST);
	ck_assert_uint_eq(lane(PFRCP, 0, MINUS), MINUS | LARGEST);
	ck_assert_uint_eq(lane(PFRSQRT, 0, MINUS), MINUS | LARGEST);
	ck_assert_uint_eq(lane(PFRCP, 0, MINUS | LARGEST), MINUS); /* too small: zero with its sign */
}
END_TEST

/* Our own definition of PFRCP and PFRSQRT: the nearest number of 16 bits. Held against long doubles. */
START_TEST(definition)
{
	for (unsigned n = 0; n < 100000; n++) {
		u32 b = (u32)(64 + rnd() % 120) << 23 | ((u32)rnd() & 0x7fffff), x = lane(PFRCP, 0, b),
		    y = lane(PFRSQRT, 0, b);
		long double v = value(b);

		ck_assert_uint_eq(x & 0xff, 0);
		ck_assert_uint_eq(y & 0xff, 0);
		ck_assert(fabsl(value(x) - 1 / v) <= fabsl(value(x + 0x100) - 1 / v) &&
			  fabsl(value(x) - 1 / v) <= fabsl(value(x - 0x100) - 1 / v));
		ck_assert(fabsl(value(y) - 1 / sqrtl(v)) <= fabsl(value(y + 0x100) - 1 / sqrtl(v)) &&
			  fabsl(value(y) - 1 / sqrtl(v)) <= fabsl(value(y - 0x100) - 1 / sqrtl(v)));
	}
}
END_TEST

/* All other opcodes behind 0F 0F are #UD, and so is everything without the feature; CR0.EM and TS as for MMX. */
START_TEST(undefined)
{
	static const u8 plain[] = { 0x0d, 0x1d, 0x90, 0x94, 0x96, 0x97, 0x9a, 0x9e, 0xa0, 0xa4, 0xa6, 0xa7, 0xaa, 0xae,
		0xb0, 0xb4, 0xb6, 0xb7, 0xbf },
			extended[] = { 0x0c, 0x1c, 0x8a, 0x8e, 0xbb };
	static const char *const models[] = { "max,+3dnow,+3dnowext", "max,+3dnow", "max", "core2" };

	for (unsigned m = 0; m < ARRAY_LEN(models); m++) {
		bare_free();
		build(models[m]);
		for (unsigned i = 0; i < 256; i++) {
			bool there = (m < 2 && memchr(plain, (int)i, sizeof plain)) ||
				     (m < 1 && memchr(extended, (int)i, sizeof extended));

			ck_assert_int_eq(run((const u8[]){ 0x0f, 0x0f, 0xca, (u8)i }, 4), there ? -1 : VEC_UD);
		}
		ck_assert_int_eq(run((const u8[]){ 0x0f, 0x0e }, 2), m < 2 ? -1 : VEC_UD); /* FEMMS */
		ck_assert_uint_eq(c->x87.valid, m < 2 ? 0 : c->x87.valid);
		ck_assert_int_eq(run((const u8[]){ 0xf0, 0x0f, 0x0f, 0xca, PFADD }, 5), VEC_UD); /* LOCK */
	}
	bare_free();
	setup();
	c->cr0 |= CR0_TS;
	update_mode(c);
	ck_assert_int_eq(run((const u8[]){ 0x0f, 0x0f, 0xca, PFADD }, 4), VEC_NM);
	c->cr0 |= CR0_EM;
	update_mode(c);
	ck_assert_int_eq(run((const u8[]){ 0x0f, 0x0f, 0xca, PFADD }, 4), VEC_UD);
}
END_TEST

/* CPUID 8000_0001h (AMD 24594, E.4.2): EDX[31], EDX[30], ECX[6]. Off for every model of Intel's. */
START_TEST(leaf)
{
	u32 r[4];

	cpuid(c, 0x80000001, 0, r);
	ck_assert_uint_eq(r[3] >> 30, 3);
	ck_assert_uint_eq(r[2] >> 6 & 1, 1);
	for (unsigned i = 0; model_names[i]; i++) {
		struct model m;

		ck_assert(model_parse(&m, model_names[i], NULL));
		ck_assert(is_amd(&m) || (!has(&m, F_3DNOW) && !has(&m, F_3DNOWEXT) && !has(&m, F_SSE4A)));
	}
}
END_TEST

/* ---- SSE4a ---- */

/* Bit by bit, for fields that AMD defines. */
static u64 extracted(u64 v, unsigned length, unsigned index)
{
	u64 r = 0;

	for (unsigned i = 0; i < (length ? length : 64); i++)
		r |= (v >> (index + i) & 1) << i;
	return r;
}
static u64 inserted(u64 to, u64 from, unsigned length, unsigned index)
{
	for (unsigned i = 0; i < (length ? length : 64); i++)
		to = (to & ~((u64)1 << (index + i))) | (from >> i & 1) << (index + i);
	return to;
}

START_TEST(fields)
{
	for (unsigned n = 0; n < 20000; n++) {
		unsigned length = rnd() % 64, index = rnd() % 64;
		u64 a = rnd(), b = rnd(), junk = rnd() & 0xc0;
		union xmm one = { .q = { a, rnd() } }, two = { .q = { b, rnd() } };

		if (length + index > 64 || (!length && index))
			continue;
		memcpy(&c->v[1], &one, 16);
		ck_assert_int_eq(
			run((const u8[]){ 0x66, 0x0f, 0x78, 0xc1, (u8)(length | junk), (u8)(index | junk) }, 6), -1);
		ck_assert_uint_eq(c->v[1].q[0], extracted(a, length, index));
		memcpy(&c->v[1], &one, 16);
		c->v[2].q[0] = (rnd() & ~(u64)0x3f3f) | length | index << 8;
		ck_assert_int_eq(run((const u8[]){ 0x66, 0x0f, 0x79, 0xca }, 4), -1);
		ck_assert_uint_eq(c->v[1].q[0], extracted(a, length, index));
		memcpy(&c->v[1], &one, 16);
		memcpy(&c->v[2], &two, 16);
		ck_assert_int_eq(
			run((const u8[]){ 0xf2, 0x0f, 0x78, 0xca, (u8)(length | junk), (u8)(index | junk) }, 6), -1);
		ck_assert_uint_eq(c->v[1].q[0], inserted(a, b, length, index));
		memcpy(&c->v[1], &one, 16);
		c->v[2].q[1] = (rnd() & ~(u64)0x3f3f) | length | index << 8;
		ck_assert_int_eq(run((const u8[]){ 0xf2, 0x0f, 0x79, 0xca }, 4), -1);
		ck_assert_uint_eq(c->v[1].q[0], inserted(a, b, length, index));
		ck_assert_uint_eq(c->v[1].q[1], 0); /* AMD: undefined */
	}
	/* MOVNTSS, MOVNTSD, to any address. */
	c->v[1].q[0] = 0x1122334455667788;
	c->r[RBX] = DATA + 3;
	put64(ram->host + DATA, 0);
	put64(ram->host + DATA + 8, 0);
	ck_assert_int_eq(run((const u8[]){ 0xf3, 0x0f, 0x2b, 0x0b }, 4), -1);
	ck_assert_uint_eq(get64(ram->host + DATA + 3), 0x55667788);
	ck_assert_int_eq(run((const u8[]){ 0xf2, 0x0f, 0x2b, 0x0b }, 4), -1);
	ck_assert_uint_eq(get64(ram->host + DATA + 3), 0x1122334455667788);
	ck_assert_int_eq(run((const u8[]){ 0xf2, 0x0f, 0x2b, 0xcb }, 4), VEC_UD); /* there are no register forms */
	ck_assert_int_eq(run((const u8[]){ 0x66, 0x0f, 0x78, 0xc9, 0, 0 }, 6), VEC_UD);
	ck_assert_int_eq(run((const u8[]){ 0x66, 0x0f, 0x78, 0x03, 0, 0 }, 6), VEC_UD);
	bare_free();
	build("max");
	ck_assert_int_eq(run((const u8[]){ 0x66, 0x0f, 0x79, 0xca }, 4), VEC_UD);
	ck_assert_int_eq(run((const u8[]){ 0xf2, 0x0f, 0x2b, 0x0b }, 4), VEC_UD);
}
END_TEST

#ifdef __x86_64__
/* The forms with register operands, for all that AMD defines; those take any length and index. */
START_TEST(fields_as_the_host)
{
	unsigned a, b, cx, d;

	if (!__get_cpuid(0x80000001, &a, &b, &cx, &d) || !(cx & 1 << 6))
		return;
	for (unsigned n = 0; n < 100000; n++) {
		union xmm one = { .q = { rnd(), rnd() } }, two = { .q = { rnd(), rnd() } }, host;
		unsigned length = rnd() % 64, index = rnd() % 64;

		if (length + index > 64 || (!length && index))
			continue;
		put16(two.b, (u16)(length | index << 8));
		put16(two.b + 8, (u16)(length | index << 8));
		for (unsigned which = 0; which < 2; which++) {
			__asm__("movups %1, %%xmm1\n movups %2, %%xmm2\n test %3, %3\n jnz 1f\n .byte 0x66, 0x0f, 0x79, 0xca\n jmp 2f\n"
				"1: .byte 0xf2, 0x0f, 0x79, 0xca\n 2: movups %%xmm1, %0" : "=m"(host) : "m"(one),
					"m"(two), "r"(which) : "xmm1", "xmm2", "cc");
			memcpy(&c->v[1], &one, 16);
			memcpy(&c->v[2], &two, 16);
			ck_assert_int_eq(run((const u8[]){ which ? 0xf2 : 0x66, 0x0f, 0x79, 0xca }, 4), -1);
			ck_assert_uint_eq(c->v[1].q[0], host.q[0]);
		}
	}
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("3dnow");
	TCase *t = tcase_create("3dnow");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, sums);
	tcase_add_test(t, products);
	tcase_add_test(t, comparisons);
	tcase_add_test(t, conversions);
	tcase_add_test(t, across);
	tcase_add_test(t, reciprocals);
	tcase_add_test(t, definition);
	tcase_add_test(t, undefined);
	tcase_add_test(t, leaf);
	tcase_add_test(t, fields);
#ifdef __x86_64__
	tcase_add_test(t, fields_as_the_host);
#endif
	suite_add_tcase(s, t);
	return bare_run(s);
}
