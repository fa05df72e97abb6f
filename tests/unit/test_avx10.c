/* SPDX-License-Identifier: MIT */
/* AVX10.2 and AMX-AVX512: every pattern of Intel's XED is a row of the table, with its columns; comparisons, moves and
 * rows of tiles, by the manual. (test_avx512.c compares the others with a second implementation.) */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include "cpu/amx.h"
#include "cpu/insn/vector/mxcsr.h"
#include "tests/unit/avx10_tables.h"
#include "tests/unit/modes.h"
#include "tests/unit/random.h"

enum { AREA = DATA + 0x100 };

static void avx10_setup(void) { vectors_setup("sapphire-rapids,+avx10.2,+amx-avx512,+movrs", RAM_SIZE, 0, 0x600e7); }

/* The vector of the fault of the instruction, or RETIRED. */
static int run(const u8 *code, unsigned len)
{
	poke(CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) == CPU_EXCEPTION ? c->fault.vector : RETIRED;
}

/* ---- encodings ---- */

/* Does the row have P's opcode, whatever its columns are? */
static bool same_opcode(const struct isa_row *row, const struct pattern *p)
{
	bool any_w = !(row->mask & KEY_W);

	return row->evex && !strcmp(row->insn->mnemonic, p->name) && row->map == p->map && row->opcode == p->opcode &&
	       (row->match >> 9 & 3) == p->pp && any_w == (p->w == ANY) && (any_w || !!(row->match & KEY_W) == p->w);
}

static void columns(const struct isa_row *row, const struct pattern *p)
{
	static const u8 tuples[] = { [NO_MEMORY] = TUPLE_NONE, [FULL] = TUPLE_FV, [HALF] = TUPLE_HV,
				     [HALFMEM] = TUPLE_HVM, [FULLMEM] = TUPLE_FVM, [ONE] = TUPLE_T1 };
	const struct insn *insn = row->insn;
	unsigned from = insn->from ? insn->from : row->match & KEY_W ? 8 : 4;

	ck_assert_msg(insn->tuple == tuples[p->memory], "%s: memory", p->name);
	ck_assert_msg(p->memory == NO_MEMORY || from == p->element, "%s: %u bytes", p->name, from);
	ck_assert_msg(insn->rounding == p->rounding, "%s: rounding", p->name);
	ck_assert_msg((insn->masking == MASKING_ANY) == p->masked, "%s: masks", p->name);
	ck_assert_msg(row->enabled, "%s is not enabled", p->name);
}

START_TEST(encodings)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < ARRAY_LEN(patterns); i++) {
		unsigned found = 0;

		for (unsigned k = 0; k < c->isa->count; k++)
			if (same_opcode(&c->isa->rows[k], &patterns[i])) {
				columns(&c->isa->rows[k], &patterns[i]);
				found++;
			}
		ck_assert_msg(found, "%s %02x is not in the table", patterns[i].name, patterns[i].opcode);
		rows += found;
	}
	for (unsigned k = 0; k < c->isa->count; k++) {
		enum feature f = c->isa->rows[k].insn->since;

		rows -= f == F_AVX10_2 || f == F_AMX_AVX512;
	}
	ck_assert_int_eq((int)rows, 0); /* and the table has no others */
}
END_TEST

/* ---- VCOMX, VUCOMX ---- */

enum { LESS_THAN = FL_O | FL_C, EQUAL_TO = FL_O | FL_S | FL_Z, GREATER_THAN = 0, NO_ORDER = FL_O | FL_S | FL_P | FL_C };

struct pair {
	u64 a, b;
	u32 flags;
	u32 vucomx, vcomx; /* of MXCSR */
};

static void compare(unsigned size, const struct pair *p)
{
	static const u8 prefix[9][4] = { [2] = { 0x62, 0xf5, 0x7e, 0x08 },
					 [4] = { 0x62, 0xf1, 0x7e, 0x08 },
					 [8] = { 0x62, 0xf1, 0xff, 0x08 } };

	for (unsigned n = 0; n < 6; n++) {
		bool signals = n & 1, memory = n >> 1 == 1, sae = n >> 1 == 2;
		u8 code[6];
		u32 want = signals ? p->vcomx : p->vucomx;

		memcpy(code, prefix[size], 4);
		code[3] |= sae ? 0x10 : 0;
		code[4] = signals ? 0x2f : 0x2e;
		code[5] = memory ? 0x0b : 0xca; /* xmm1, [rbx] or xmm2 */
		memset(&c->v[1], 0xff, 16);
		memset(&c->v[2], 0xff, 16);
		memcpy(&c->v[1], &p->a, size);
		memcpy(&c->v[2], &p->b, size);
		poke(AREA, &p->b, size);
		c->r[RBX] = AREA;
		c->mxcsr = 0x1f80;
		cpu_set_arith(c, FL_Z | FL_A);
		ck_assert_int_eq(run(code, 6), RETIRED);
		sse_park(c);
		ck_assert_msg((cpu_flags(c) & (FL_O | FL_S | FL_Z | FL_A | FL_P | FL_C)) == p->flags,
			      "%u bytes, form %u: %llx and %llx", size, n, (unsigned long long)p->a,
			      (unsigned long long)p->b);
		ck_assert_uint_eq(c->mxcsr, 0x1f80 | (sae ? 0 : want));
	}
}

START_TEST(comparisons)
{
	static const struct pair halves[] = {
		{ 0x3c00, 0x4000, LESS_THAN, 0, 0 },     { 0x4000, 0x3c00, GREATER_THAN, 0, 0 },
		{ 0x8000, 0x0000, EQUAL_TO, 0, 0 },      { 0xfc00, 0x7c00, LESS_THAN, 0, 0 },
		{ 0x7e00, 0x3c00, NO_ORDER, 0, MXCSR_IE }, { 0x3c00, 0x7d00, NO_ORDER, MXCSR_IE, MXCSR_IE },
		{ 0x0001, 0x0000, GREATER_THAN, MXCSR_DE, MXCSR_DE },
	};
	static const struct pair singles[] = {
		{ 0xbf800000, 0x3f800000, LESS_THAN, 0, 0 },
		{ 0x3f800001, 0x3f800000, GREATER_THAN, 0, 0 },
		{ 0x3f800000, 0x3f800000, EQUAL_TO, 0, 0 },
		{ 0x3f800000, 0xffc00000, NO_ORDER, 0, MXCSR_IE },
		{ 0x7f800001, 0x3f800000, NO_ORDER, MXCSR_IE, MXCSR_IE },
		{ 0x80000001, 0x00000000, LESS_THAN, MXCSR_DE, MXCSR_DE },
	};
	static const struct pair doubles[] = {
		{ 0x3ff0000000000000, 0x4000000000000000, LESS_THAN, 0, 0 },
		{ 0xbff0000000000000, 0xc000000000000000, GREATER_THAN, 0, 0 },
		{ 0x0000000000000000, 0x8000000000000000, EQUAL_TO, 0, 0 },
		{ 0x7ff8000000000000, 0x7ff8000000000000, NO_ORDER, 0, MXCSR_IE },
		{ 0x3ff0000000000000, 0xfff0000000000001, NO_ORDER, MXCSR_IE, MXCSR_IE },
	};

	for (unsigned i = 0; i < ARRAY_LEN(halves); i++)
		compare(2, &halves[i]);
	for (unsigned i = 0; i < ARRAY_LEN(singles); i++)
		compare(4, &singles[i]);
	for (unsigned i = 0; i < ARRAY_LEN(doubles); i++)
		compare(8, &doubles[i]);
}
END_TEST

/* VCOMISBF16 sets the flags that VCOMISS sets, and leaves MXCSR. */
START_TEST(brain_comparisons)
{
	enum { LESS_U = FL_C, EQUAL_U = FL_Z, GREATER_U = 0, UNORDERED_U = FL_Z | FL_P | FL_C };
	static const struct {
		u16 a, b;
		u32 flags;
	} all[] = {
		{ 0x3f80, 0x4000, LESS_U },      { 0x4000, 0x3f80, GREATER_U }, { 0xbf80, 0xbf80, EQUAL_U },
		{ 0x8000, 0x0000, EQUAL_U },     { 0x0001, 0x8002, EQUAL_U }, /* denormal */
		{ 0x0080, 0x007f, GREATER_U },   { 0xff80, 0xff7f, LESS_U },    { 0x7f81, 0x3f80, UNORDERED_U },
		{ 0x3f80, 0x7fc0, UNORDERED_U },
	};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(all); i++) {
		bool memory = i & 1;

		memset(&c->v[1], 0xff, 16);
		memset(&c->v[2], 0xff, 16);
		c->v[1].w[0] = all[i / 2].a;
		c->v[2].w[0] = all[i / 2].b;
		poke16(AREA, all[i / 2].b);
		c->r[RBX] = AREA;
		c->mxcsr = 0; /* nothing masked */
		cpu_set_arith(c, FL_O | FL_S | FL_A);
		ck_assert_int_eq(run((const u8[]){ 0x62, 0xf5, 0x7d, 0x08, 0x2f, memory ? 0x0b : 0xca }, 6), RETIRED);
		ck_assert_msg((cpu_flags(c) & (FL_O | FL_S | FL_Z | FL_A | FL_P | FL_C)) == all[i / 2].flags,
			      "%x and %x", all[i / 2].a, all[i / 2].b);
		ck_assert_uint_eq(c->mxcsr, 0);
	}
}
END_TEST

/* ---- VCVTTSS2SIS, VCVTTSD2SIS, VCVTTSS2USIS, VCVTTSD2USIS ---- */

START_TEST(saturated)
{
	enum { I = MXCSR_IE, P = MXCSR_PE };
	/* what the four widths of integers give: signed 32, 64, unsigned 32, 64 bits, and the flag */
	static const struct {
		double v;
		u64 want[4];
		u32 flag[4];
	} all[] = {
		{ 1.0, { 1, 1, 1, 1 }, { 0, 0, 0, 0 } },
		{ -1.0, { 0xffffffff, ~(u64)0, 0, 0 }, { 0, 0, I, I } },
		{ -0.75, { 0, 0, 0, 0 }, { P, P, P, P } },
		{ 2.5, { 2, 2, 2, 2 }, { P, P, P, P } },
		{ 0x1p31, { 0x7fffffff, 0x80000000, 0x80000000, 0x80000000 }, { I, 0, 0, 0 } },
		{ -0x1p31, { 0x80000000, 0xffffffff80000000, 0, 0 }, { 0, 0, I, I } },
		{ 0x1p32, { 0x7fffffff, 0x100000000, 0xffffffff, 0x100000000 }, { I, 0, I, 0 } },
		{ 0x1p63, { 0x7fffffff, 0x7fffffffffffffff, 0xffffffff, 0x8000000000000000 }, { I, I, I, 0 } },
		{ -0x1p63, { 0x80000000, 0x8000000000000000, 0, 0 }, { I, 0, I, I } },
		{ 0x1p64, { 0x7fffffff, 0x7fffffffffffffff, 0xffffffff, ~(u64)0 }, { I, I, I, I } },
		{ -INFINITY, { 0x80000000, 0x8000000000000000, 0, 0 }, { I, I, I, I } },
		{ NAN, { 0, 0, 0, 0 }, { I, I, I, I } },
	};

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		for (unsigned form = 0; form < 16; form++) {
			bool is_double = form & 1, wide = form & 2, is_unsigned = form & 4, sae = form & 8;
			unsigned n = wide + 2 * is_unsigned;
			float f = (float)all[i].v;
			/* rcx, xmm2 */
			u8 code[6] = { 0x62, 0xf5, (u8)(wide << 7 | 0x7c | (is_double ? 3 : 2)), sae ? 0x18 : 0x08,
				       is_unsigned ? 0x6c : 0x6d, 0xca };

			memset(&c->v[2], 0xff, 64);
			if (is_double)
				memcpy(&c->v[2], &all[i].v, 8);
			else
				memcpy(&c->v[2], &f, 4);
			c->r[RCX] = ~(u64)0;
			c->mxcsr = 0x1f80;
			ck_assert_int_eq(run(code, 6), RETIRED);
			sse_park(c);
			ck_assert_msg(c->r[RCX] == all[i].want[n], "%g, form %u: %llx", all[i].v, form,
				      (unsigned long long)c->r[RCX]);
			ck_assert_uint_eq(c->mxcsr, 0x1f80 | (sae ? 0 : all[i].flag[n]));
		}
}
END_TEST

/* ---- VCVT2PS2PHX ---- */

/* It raises exceptions of active elements, of both sources, and none with a rounding of its own; EVEX.66.0F38.W0 67. */
START_TEST(two_to_halves)
{
	static const u32 tiny = 0x33000000 /* 2^-25 */, large = 0x47800000 /* 65536 */, signaling = 0x7f800001,
			 one = 0x3f800000;
	const u32 lost = MXCSR_UE | MXCSR_PE, over = MXCSR_OE | MXCSR_PE;
	static const u8 masked[] = { 0x62, 0xf2, 0x6d, 0x49, 0x67, 0xcb }; /* zmm1{k1}, zmm2, zmm3 */
	static const u8 rounded[] = { 0x62, 0xf2, 0x6d, 0x18, 0x67, 0xcb }; /* zmm1, zmm2, zmm3, {rn-sae} */

	for (unsigned i = 0; i < 16; i++)
		c->v[2].d[i] = c->v[3].d[i] = one;
	c->v[3].d[2] = tiny;
	c->v[2].d[5] = large;
	c->v[2].d[6] = signaling;
	for (unsigned i = 0; i < 8; i++) {
		c->k[1] = (u64)(i & 1) << 2 | (u64)(i & 2) << 20 | (u64)(i & 4) << 20;
		c->mxcsr = 0x1f80;
		ck_assert_int_eq(run(masked, 6), RETIRED);
		sse_park(c);
		ck_assert_uint_eq(c->mxcsr, 0x1f80 | (i & 1 ? lost : 0) | (i & 2 ? over : 0) | (i & 4 ? MXCSR_IE : 0));
	}
	c->mxcsr = 0x1f80;
	ck_assert_int_eq(run(rounded, 6), RETIRED);
	sse_park(c);
	ck_assert_uint_eq(c->mxcsr, 0x1f80);
	ck_assert_uint_eq(c->v[1].w[21], 0x7c00);
	ck_assert_uint_eq(c->v[1].w[22], 0x7e00);
	ck_assert_uint_eq(c->v[1].w[2], 0);
	ck_assert_uint_eq(c->v[1].w[0], 0x3c00);
}
END_TEST

/* ---- numbers of 8 bits: values of the OCP's specification (table 2), and of its conversions ---- */

START_TEST(eight_bits)
{
	static const struct { u16 half; u8 bf8, bf8s, hf8, hf8s; } known[] = {
		{ 0x3c00, 0x3c, 0x3c, 0x38, 0x38 },                                     /* 1 */
		{ 0x7b00, 0x7b, 0x7b, 0x7f, 0x7e },                                     /* 57344, E5M2's largest */
		{ 0x7bff, 0x7c, 0x7b, 0x7f, 0x7e },                                     /* 65504 */
		{ 0x5f00, 0x5f, 0x5f, 0x7e, 0x7e },                                     /* 448, E4M3's largest */
		{ 0x5f40, 0x5f, 0x5f, 0x7e, 0x7e },                                     /* 464, half-way to 480 */
		{ 0x5f41, 0x5f, 0x5f, 0x7f, 0x7e },
		{ 0x2400, 0x24, 0x24, 0x08, 0x08 },                                     /* 2^-6, E4M3's least normal */
		{ 0x2300, 0x23, 0x23, 0x07, 0x07 },                                     /* 0.875 * 2^-6 */
		{ 0x1800, 0x18, 0x18, 0x01, 0x01 },                                     /* 2^-9, E4M3's least */
		{ 0x1400, 0x14, 0x14, 0x00, 0x00 },                                     /* 2^-10: half of that */
		{ 0x1401, 0x14, 0x14, 0x01, 0x01 },
		{ 0x0400, 0x04, 0x04, 0x00, 0x00 },                                     /* 2^-14, E5M2's least normal */
		{ 0x0100, 0x01, 0x01, 0x00, 0x00 },                                     /* 2^-16, E5M2's least */
		{ 0xfc00, 0xfc, 0xfb, 0xff, 0xfe },                                     /* -infinity */
		{ 0x7d00, 0x7f, 0x7f, 0x7f, 0x7f },                                     /* a signaling NaN */
		{ 0x8000, 0x80, 0x80, 0x80, 0x80 },
	};
	static const u8 codes[4][6] = { { 0x62, 0xf2, 0x7e, 0x48, 0x74, 0xca }, { 0x62, 0xf5, 0x7e, 0x48, 0x74, 0xca },
					{ 0x62, 0xf5, 0x7e, 0x48, 0x18, 0xca }, { 0x62, 0xf5, 0x7e, 0x48, 0x1b, 0xca } };

	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		c->v[2].w[i] = known[i].half;
	for (unsigned form = 0; form < 4; form++) {
		memset(&c->v[1], 0x55, 64);
		ck_assert_int_eq(run(codes[form], 6), RETIRED); /* ymm1, zmm2 */
		for (unsigned i = 0; i < ARRAY_LEN(known); i++)
			ck_assert_msg(c->v[1].b[i] == (&known[i].bf8)[form], "%04x, form %u: %02x", known[i].half, form,
				      c->v[1].b[i]);
		ck_assert_uint_eq(c->v[1].q[4], 0); /* half of the register is the result */
	}
}
END_TEST

/* ---- VMOVD, VMOVW ---- */

START_TEST(moves)
{
	static const struct {
		u8 code[6], size;
		bool load, store;
	} all[] = {
		{ { 0x62, 0xf1, 0x7e, 0x08, 0x7e, 0xca }, 4, false, false }, /* vmovd xmm1, xmm2 */
		{ { 0x62, 0xf1, 0x7e, 0x08, 0x7e, 0x0b }, 4, true, false },  /* vmovd xmm1, [rbx] */
		{ { 0x62, 0xf1, 0x7d, 0x08, 0xd6, 0xd1 }, 4, false, false }, /* vmovd xmm1, xmm2 */
		{ { 0x62, 0xf1, 0x7d, 0x08, 0xd6, 0x13 }, 4, false, true },  /* vmovd [rbx], xmm2 */
		{ { 0x62, 0xf5, 0x7e, 0x08, 0x6e, 0xca }, 2, false, false }, /* vmovw xmm1, xmm2 */
		{ { 0x62, 0xf5, 0x7e, 0x08, 0x6e, 0x0b }, 2, true, false },  /* vmovw xmm1, [rbx] */
		{ { 0x62, 0xf5, 0x7e, 0x08, 0x7e, 0xd1 }, 2, false, false }, /* vmovw xmm1, xmm2 */
		{ { 0x62, 0xf5, 0x7e, 0x08, 0x7e, 0x13 }, 2, false, true },  /* vmovw [rbx], xmm2 */
	};
	u8 zeros[64] = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		u64 in_memory = rnd(), in_register = rnd();
		unsigned size = all[i].size;

		memset(&c->v[1], 0xaa, 64);
		memset(&c->v[2], 0xbb, 64);
		c->v[2].q[0] = in_register;
		poke64(AREA, in_memory);
		c->r[RBX] = AREA;
		ck_assert_msg(run(all[i].code, 6) == RETIRED, "%u", i);
		if (all[i].store) {
			ck_assert_uint_eq(peek(AREA, size), trim(in_register, size));
			ck_assert_uint_eq(peek(AREA + size, 8 - size), in_memory >> 8 * size);
		} else {
			ck_assert_uint_eq(c->v[1].q[0], trim(all[i].load ? in_memory : in_register, size));
			ck_assert(!memcmp(c->v[1].b + 8, zeros, 56));
		}
	}
}
END_TEST

/* ---- denormal numbers as zeros: of all formats but FP16 ---- */

START_TEST(minmax_and_daz)
{
	/* vminmaxps, vminmaxph xmm1, xmm2, xmm3, 4: the smaller one, its own sign */
	static const u8 single[] = { 0x62, 0xf3, 0x6d, 0x08, 0x52, 0xcb, 4 };
	static const u8 half[] = { 0x62, 0xf3, 0x6c, 0x08, 0x52, 0xcb, 4 };

	for (unsigned i = 0; i < 2; i++) {
		memset(&c->v[2], 0, 64);
		memset(&c->v[3], 0, 64);
		c->v[2].d[0] = i ? 0x8001 : 0x80000001;
		c->mxcsr = 0x1fc0;
		ck_assert_int_eq(run(i ? half : single, 7), RETIRED);
		sse_park(c);
		ck_assert_uint_eq(c->v[1].d[0], i ? 0x8001 : 0x80000000);
		ck_assert_uint_eq(c->mxcsr, i ? 0x1fc0 | MXCSR_DE : 0x1fc0);
	}
}
END_TEST

/* ---- rows of tiles ---- */

enum { ROWS_OF_TILE = 5, BYTES = 52, TILE = 3 };

static void configure(void)
{
	u8 config[64] = { 1 };

	put16(config + 16 + 2 * TILE, BYTES);
	config[48 + TILE] = ROWS_OF_TILE;
	poke(AREA, config, 64);
	c->r[RBX] = AREA;
	ck_assert_int_eq(run((const u8[]){ 0xc4, 0xe2, 0x78, 0x49, 0x03 }, 5), RETIRED); /* ldtilecfg [rbx] */
}

/* Single precision to a format of 16 bits with FRAC bits of fraction, to nearest; V is moderate. */
static u32 narrow(u32 v, unsigned frac, int bias)
{
	u32 drop = 23 - frac, half = (u32)1 << (drop - 1), m = v & 0x7fffff, rest = m & (2 * half - 1);
	u32 r = (u32)((int)(v >> 23 & 255) - 127 + bias) << frac | m >> drop;

	return (v >> 31) << 15 | (r + (rest > half || (rest == half && r & 1)));
}

static u32 naive_row(unsigned kind, u32 v)
{
	float f;

	switch (kind) {
	case 1:
		f = (float)(s32)v;
		memcpy(&v, &f, 4);
		return v;
	case 2: return narrow(v, 10, 15) << 16;
	case 3: return narrow(v, 10, 15);
	case 4: return narrow(v, 7, 127) << 16;
	case 5: return narrow(v, 7, 127);
	default: return v;
	}
}

/* zmm9 from tmm3, with the row in ESI or the immediate. */
static const struct { u8 by_register[2], by_immediate[2]; } row_codes[6] = {
	{ { 0x4d, 0x4a }, { 0x7d, 0x07 } }, /* tilemovrow */
	{ { 0x4e, 0x4a }, { 0x7e, 0x07 } }, /* tcvtrowd2ps */
	{ { 0x4c, 0x6d }, { 0x7c, 0x07 } }, /* tcvtrowps2phh */
	{ { 0x4d, 0x6d }, { 0x7f, 0x77 } }, /* tcvtrowps2phl */
	{ { 0x4f, 0x6d }, { 0x7f, 0x07 } }, /* tcvtrowps2bf16h */
	{ { 0x4e, 0x6d }, { 0x7e, 0x77 } }, /* tcvtrowps2bf16l */
};

static int read_row(unsigned kind, bool immediate, u32 row, unsigned tile)
{
	const u8 *code = immediate ? row_codes[kind].by_immediate : row_codes[kind].by_register;
	u8 bytes[7] = { 0x62, (u8)(immediate ? 0x73 : 0x72), code[0], 0x48, code[1], (u8)(0xc8 | tile),
			(u8)((row & 63) | row >> 16 << 6) };

	c->r[RSI] = row;
	return run(bytes, immediate ? 7 : 6);
}

START_TEST(rows_of_tiles)
{
	configure();
	for (unsigned n = 0; n < 1200; n++) {
		unsigned kind = n % 6, row = rnd() % 7, chunk = rnd() % 4 == 0;
		bool immediate = n / 6 & 1;

		for (unsigned i = 0; i < ROWS_OF_TILE * 16; i++) {
			u32 v = (u32)(rnd() >> 16);

			if (kind > 1) /* a normal number of FP16, too */
				v = (v & 0x807fffff) | (u32)(115 + rnd() % 26) << 23;
			put32(tile_row(c, TILE, i / 16) + i % 16 * 4, i % 16 * 4 < BYTES ? v : 0);
		}
		memset(&c->v[9], 0xff, 64);
		c->mxcsr = 0x7f80; /* to zero: it does not count */
		tile_config(c)[1] = 3;
		ck_assert_int_eq(read_row(kind, immediate, row | chunk << 16, TILE), RETIRED);
		ck_assert_uint_eq(tile_config(c)[1], 0);
		ck_assert_uint_eq(c->mxcsr, 0x7f80);
		for (unsigned i = 0; i < 16; i++) {
			bool there = row < ROWS_OF_TILE && !chunk && 4 * i < BYTES;
			u32 want = there ? naive_row(kind, get32(tile_row(c, TILE, row) + 4 * i)) : 0;

			ck_assert_msg(c->v[9].d[i] == want, "kind %u, row %u, element %u is %x, not %x", kind, row, i,
				      c->v[9].d[i], want);
		}
	}
	ck_assert_int_eq(read_row(0, false, 0, 2), VEC_UD); /* it has no rows */
	/* there are no tmm11 and tmm19, and without APX no r22 */
	ck_assert_int_eq(run((const u8[]){ 0x62, 0x52, 0x4d, 0x48, 0x4a, 0xcb }, 6), VEC_UD);
	ck_assert_int_eq(run((const u8[]){ 0x62, 0x32, 0x4d, 0x48, 0x4a, 0xcb }, 6), VEC_UD);
	ck_assert_int_eq(run((const u8[]){ 0x62, 0x72, 0x4d, 0x40, 0x4a, 0xcb }, 6), VEC_UD);
	c->xcr0 = 0xe7;
	ck_assert_int_eq(read_row(0, false, 0, TILE), VEC_UD);
}
END_TEST

/* Without the feature these are #UD. */
START_TEST(absent)
{
	static const u8 code[] = { 0x62, 0xf3, 0x6d, 0x08, 0x52, 0xcb, 4 };

	bare_free();
	vectors_setup("sapphire-rapids,+avx10.1", RAM_SIZE, 0, 0xe7);
	ck_assert_int_eq(run(code, 7), VEC_UD);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AVX10.2");
	TCase *tc = tcase_create("instructions");

	tcase_add_checked_fixture(tc, avx10_setup, bare_free);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, encodings);
	tcase_add_test(tc, comparisons);
	tcase_add_test(tc, brain_comparisons);
	tcase_add_test(tc, saturated);
	tcase_add_test(tc, two_to_halves);
	tcase_add_test(tc, eight_bits);
	tcase_add_test(tc, moves);
	tcase_add_test(tc, minmax_and_daz);
	tcase_add_test(tc, rows_of_tiles);
	tcase_add_test(tc, absent);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
