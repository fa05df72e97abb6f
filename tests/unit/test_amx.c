/* SPDX-License-Identifier: MIT */
/* AMX: products against a second implementation, from the pseudo-code of SDM vol. 2 and with the C library's fmaf();
 * configurations, faults in the middle of a tile, IA32_XFD, and the tiles' components of XSAVE. */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include "cpu/amx.h"
#include "cpu/system/xsave.h"
#include "tests/unit/modes.h"
#include "tests/unit/random.h"

enum { CONFIG = DATA, ROWS = DATA + 0x100 /* of a tile */, AREA = 0x10000, MEMORY = 0x20000 };

static void amx_setup(void)
{
	vectors_setup("max,+amx-tile,+amx-int8,+amx-bf16,+amx-fp16,+amx-complex,+amx-tf32,+amx-movrs,+amx-fp8,"
		      "+xfd", MEMORY, 0,
		      0x60007);
}

/* The vector of the fault of the instruction, or RETIRED. */
static int run(const u8 *code, unsigned len)
{
	poke(CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) == CPU_EXCEPTION ? c->fault.vector : RETIRED;
}
#define RUN_CODE(...) run((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* Instructions, of which RBX is the address and RCX the distance of rows. */
static int ldtilecfg(void) { return RUN_CODE(0xc4, 0xe2, 0x78, 0x49, 0x03); }
static int sttilecfg(void) { return RUN_CODE(0xc4, 0xe2, 0x79, 0x49, 0x03); }
static int tilerelease(void) { return RUN_CODE(0xc4, 0xe2, 0x78, 0x49, 0xc0); }
static int tilezero(unsigned t) { return RUN_CODE(0xc4, 0xe2, 0x7b, 0x49, (u8)(0xc0 | t << 3)); }
static int tileloadd(unsigned t) { return RUN_CODE(0xc4, 0xe2, 0x7b, 0x4b, (u8)(4 | t << 3), 0x0b); }
static int tilestored(unsigned t) { return RUN_CODE(0xc4, 0xe2, 0x7a, 0x4b, (u8)(4 | t << 3), 0x0b); }
static int product(u8 pp, u8 opcode, unsigned d, unsigned a, unsigned b)
{
	return RUN_CODE(0xc4, opcode == 0xfd ? 0xe5 : 0xe2, (u8)((~b & 15) << 3 | pp), opcode, (u8)(0xc0 | d << 3 | a));
}

struct shape {
	u8 rows, bytes;
};

static void make_config(u8 config[64], const struct shape shapes[], unsigned n)
{
	memset(config, 0, 64);
	config[0] = 1;
	for (unsigned i = 0; i < n; i++) {
		put16(config + 16 + 2 * i, shapes[i].bytes);
		config[48 + i] = shapes[i].rows;
	}
}

static void configure(const struct shape shapes[], unsigned n)
{
	u8 config[64];

	make_config(config, shapes, n);
	poke(CONFIG, config, 64);
	c->r[RBX] = CONFIG;
	ck_assert_int_eq(ldtilecfg(), RETIRED);
}

START_TEST(configurations)
{
	static const struct {
		u8 at, value;
	} wrong[] = {
		{ 0, 2 },   { 2, 1 },  { 15, 0x80 }, { 16, 65 }, { 17, 1 }, { 32, 1 }, { 47, 1 },
		{ 48, 17 }, { 48, 0 }, { 16, 0 },    { 50, 3 },  { 20, 4 }, { 56, 1 }, { 63, 1 },
	};
	u8 config[64], zeros[64] = { 0 };

	make_config(config, (const struct shape[]){ { 3, 17 }, { 16, 64 } }, 2);
	c->r[RBX] = CONFIG;
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		poke(CONFIG, config, 64);
		poke8(CONFIG + wrong[i].at, wrong[i].value);
		ck_assert_int_eq(ldtilecfg(), VEC_GP);
	}
	config[1] = 2; /* start_row */
	poke(CONFIG, config, 64);
	ck_assert_int_eq(ldtilecfg(), RETIRED);
	c->r[RBX] = ROWS;
	ck_assert_int_eq(sttilecfg(), RETIRED);
	ck_assert(!memcmp(ram->host + ROWS, config, 64));
	ck_assert_int_eq(tilezero(0), RETIRED);
	ck_assert_int_eq(sttilecfg(), RETIRED);
	ck_assert_uint_eq(peek(ROWS + 1, 1), 0);
	ck_assert_int_eq(tilezero(2), VEC_UD); /* no rows */
	ck_assert_int_eq(tilerelease(), RETIRED);
	ck_assert_int_eq(tilezero(0), VEC_UD);
	ck_assert_int_eq(sttilecfg(), RETIRED);
	ck_assert(!memcmp(ram->host + ROWS, zeros, 64));
	c->xcr0 = 7;
	ck_assert_int_eq(tilerelease(), VEC_UD);
}
END_TEST

static bool rows_of_tile_0_differ_by(unsigned stride)
{
	for (unsigned row = 0; row < tile_config(c)[48]; row++)
		if (memcmp(tile_row(c, 0, row), ram->host + ROWS + row * stride, get16(tile_config(c) + 16)))
			return true;
	return false;
}

START_TEST(rows_in_memory)
{
	for (unsigned n = 0; n < 200; n++) {
		struct shape s = { (u8)(1 + rnd() % 16), (u8)(1 + rnd() % 64) };
		unsigned stride = 64 + rnd() % 64;

		configure(&s, 1);
		for (unsigned i = 0; i < 0x800; i += 8)
			poke64(ROWS + i, rnd());
		memset(tile_row(c, 0, 0), 0xff, 1024);
		c->r[RBX] = ROWS;
		c->r[RCX] = stride;
		ck_assert_int_eq(tileloadd(0), RETIRED);
		for (unsigned row = 0; row < 16; row++)
			for (unsigned i = 0; i < 64; i++)
				ck_assert_uint_eq(tile_row(c, 0, row)[i],
						  row < s.rows && i < s.bytes ? peek(ROWS + row * stride + i, 1) : 0);
		c->r[RBX] = ROWS + 0x1000;
		ck_assert_int_eq(tilestored(0), RETIRED);
		for (unsigned row = 0; row < s.rows; row++)
			ck_assert(!memcmp(ram->host + ROWS + 0x1000 + row * stride, tile_row(c, 0, row), s.bytes));
	}
	/* RCX * 4; no index; no SIB; TILELOADDT1, TILELOADDRS */
	c->r[RBX] = ROWS;
	c->r[RCX] = 16;
	ck_assert_int_eq(RUN_CODE(0xc4, 0xe2, 0x79, 0x4b, 0x04, 0x8b), RETIRED);
	if (rows_of_tile_0_differ_by(64))
		ck_abort_msg("TILELOADDT1 [RBX + RCX * 4]");
	ck_assert_int_eq(RUN_CODE(0xc4, 0xe2, 0x7b, 0x4a, 0x04, 0x23), RETIRED);
	if (rows_of_tile_0_differ_by(0))
		ck_abort_msg("TILELOADDRS [RBX]");
	ck_assert_int_eq(RUN_CODE(0xc4, 0xe2, 0x7b, 0x4b, 0x03), VEC_UD);
}
END_TEST

/* A row that faults is the one that the instruction begins with when it comes again. */
START_TEST(restarted)
{
	const u64 end = 1 << 30; /* of what is mapped */

	configure((const struct shape[]){ { 8, 64 } }, 1);
	for (unsigned i = 0; i < 0x800; i += 8)
		poke64(ROWS + i, rnd());
	c->r[RCX] = 64;
	c->r[RBX] = end - 5 * 64;
	ck_assert_int_eq(tileloadd(0), VEC_PF);
	ck_assert_uint_eq(c->cr2, end);
	ck_assert_uint_eq(tile_config(c)[1], 5);
	ck_assert_uint_eq(tile_row(c, 0, 4)[63], 0xff); /* no memory */
	c->r[RBX] = ROWS;
	ck_assert_int_eq(tileloadd(0), RETIRED);
	ck_assert_uint_eq(tile_config(c)[1], 0);
	ck_assert_uint_eq(tile_row(c, 0, 4)[63], 0xff);
	ck_assert(!memcmp(tile_row(c, 0, 5), ram->host + ROWS + 5 * 64, 3 * 64));
	c->r[RBX] = end - 3 * 64;
	ck_assert_int_eq(tilestored(0), VEC_PF);
	ck_assert_uint_eq(tile_config(c)[1], 3);
	c->r[RBX] = ROWS + 0x1000;
	ck_assert_int_eq(tilestored(0), RETIRED);
	ck_assert_uint_eq(peek(ROWS + 0x1000 + 2 * 64, 8), 0);
	ck_assert(!memcmp(tile_row(c, 0, 3), ram->host + ROWS + 0x1000 + 3 * 64, 5 * 64));
	tile_config(c)[1] = 8;
	ck_assert_int_eq(tileloadd(0), VEC_UD);
	ck_assert_int_eq(tilestored(0), VEC_UD);
}
END_TEST

/* ---- products ---- */

static float flushed(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }
static float naive_fma(float sum, float a, float b) { return flushed(fmaf(flushed(a), flushed(b), flushed(sum))); }
static float naive_add(float a, float b) { return flushed(flushed(a) + flushed(b)); }
static float from_bits(u32 v)
{
	float f;

	memcpy(&f, &v, 4);
	return f;
}
static float half(u16 v)
{
	int exp = v >> 10 & 31, frac = v & 1023;
	float f = exp == 31 ? (frac ? NAN : INFINITY)
		  : exp     ? ldexpf((float)(1024 + frac), exp - 25)
			    : ldexpf((float)frac, -24);

	return v & 0x8000 ? -f : f;
}
static float brain(u16 v) { return from_bits((u32)v << 16); }
static float tensor(u32 v) { return from_bits(v & 0xffffe000); }

enum element { INT8, BF16, FP16, IMAGINARY, REAL_PART, TF32, FP8 };
static const struct {
	u8 pp, opcode, kind;
	bool a_signed, b_signed; /* of FP8: E4M3 */
} products[] = {
	{ 3, 0x5e, INT8, true, true },   { 2, 0x5e, INT8, true, false }, { 1, 0x5e, INT8, false, true },
	{ 0, 0x5e, INT8, false, false }, { 2, 0x5c, BF16, 0, 0 },        { 3, 0x5c, FP16, 0, 0 },
	{ 1, 0x6c, IMAGINARY, 0, 0 },    { 0, 0x6c, REAL_PART, 0, 0 },   { 1, 0x48, TF32, 0, 0 },
	{ 0, 0xfd, FP8, false, false },  { 3, 0xfd, FP8, false, true },  { 2, 0xfd, FP8, true, false },
	{ 1, 0xfd, FP8, true, true },
};

/* E5M2, or E4M3, which has no infinities. */
static float small(u8 v, bool e4m3)
{
	int frac_bits = e4m3 ? 3 : 2, bias = e4m3 ? 7 : 15, exp = (v & 0x7f) >> frac_bits,
	    frac = v & ((1 << frac_bits) - 1);
	float f = exp ? ldexpf((float)(frac + (1 << frac_bits)), exp - bias - frac_bits)
		      : ldexpf((float)frac, 1 - bias - frac_bits);

	if (e4m3 ? (v & 0x7f) == 0x7f : (v & 0x7f) > 0x7c)
		f = NAN;
	else if (!e4m3 && exp == 31)
		f = INFINITY;
	return v & 0x80 ? -f : f;
}

static u32 naive_bytes(u32 sum, const u8 *a, const u8 *b, bool a_signed, bool b_signed)
{
	for (unsigned i = 0; i < 4; i++) {
		int x = a_signed && a[i] > 127 ? a[i] - 256 : a[i], y = b_signed && b[i] > 127 ? b[i] - 256 : b[i];

		sum += (u32)(x * y);
	}
	return sum;
}

/* Each product is exact; of four, the sums of two are added to a sum each. */
static float naive_small(const u8 *a, bool a_e4m3, u8 b[16][64], bool b_e4m3, unsigned n, unsigned count, float was)
{
	float sum[2] = { 0, 0 };

	for (unsigned k = 0; k < count; k++)
		for (unsigned i = 0; i < 2; i++) {
			const u8 *p = a + 4 * k + 2 * i, *q = b[k] + 4 * n + 2 * i;

			sum[i] = naive_add(sum[i], naive_add(small(p[0], a_e4m3) * small(q[0], b_e4m3),
							     small(p[1], a_e4m3) * small(q[1], b_e4m3)));
		}
	return naive_add(was, naive_add(sum[0], sum[1]));
}

/* Column N of row M, of float kinds. */
static float naive_element(unsigned kind, const u8 *a, u8 b[16][64], unsigned n, unsigned count, float was)
{
	float even = 0, odd = 0;

	for (unsigned k = 0; k < count; k++) {
		const u8 *p = a + 4 * k, *q = b[k] + 4 * n;
		float (*f)(u16) = kind == BF16 ? brain : half;

		if (kind == TF32) {
			even = naive_fma(even, tensor(get32(p)), tensor(get32(q)));
			continue;
		}
		float x0 = f(get16(p)), x1 = f(get16(p + 2)), y0 = f(get16(q)), y1 = f(get16(q + 2));

		even = kind == IMAGINARY ? naive_fma(even, x1, y0) : naive_fma(even, x0, y0);
		odd = kind == IMAGINARY ? naive_fma(odd, x0, y1) : naive_fma(odd, kind == REAL_PART ? -x1 : x1, y1);
	}
	return naive_add(was, kind == TF32 ? even : naive_add(even, odd));
}

/* Tiles of all kinds of numbers, or of moderate ones. */
static void fill_tile(unsigned tile, unsigned kind, bool moderate)
{
	for (unsigned row = 0; row < 16; row++)
		for (unsigned i = 0; i < 64; i += 4) {
			u32 v = (u32)(rnd() >> 16);

			if (moderate && (kind == TF32 || kind == BF16))
				v = (v & 0x807f807f) | 0x3f003f00 | (u32)(rnd() & 0x03800380);
			else if (moderate)
				v = (v & 0xbfffbfff) | (kind == INT8 ? 0 : 0x20002000);
			put32(tile_row(c, tile, row) + i,
			      row < tile_config(c)[48 + tile] && i < get16(tile_config(c) + 16 + 2 * tile) ? v : 0);
		}
}

START_TEST(all_products)
{
	unsigned numbers = 0, compared = 0;

	for (unsigned n = 0; n < 900; n++) {
		unsigned p = n % ARRAY_LEN(products), kind = products[p].kind;
		u8 m = (u8)(1 + rnd() % 16), k = (u8)(1 + rnd() % 16), columns = (u8)(1 + rnd() % 16);
		u8 a[16][64], b[16][64], d[16][64];
		bool moderate = rnd() & 3;

		configure((const struct shape[]){ { m, (u8)(4 * columns) },
						  { m, (u8)(4 * k) },
						  { k, (u8)(4 * columns) } },
			  3);
		for (unsigned t = 0; t < 3; t++)
			fill_tile(t, t || kind == INT8 ? kind : (unsigned)TF32, moderate);
		memcpy(d, tile_row(c, 0, 0), sizeof d);
		memcpy(a, tile_row(c, 1, 0), sizeof a);
		memcpy(b, tile_row(c, 2, 0), sizeof b);
		c->mxcsr = 0x7f80; /* to zero: it does not count */
		ck_assert_int_eq(product(products[p].pp, products[p].opcode, 0, 1, 2), RETIRED);
		ck_assert_uint_eq(c->mxcsr, 0x7f80);
		for (unsigned row = 0; row < 16; row++)
			for (unsigned j = 0; j < 16; j++) {
				u32 got = get32(tile_row(c, 0, row) + 4 * j), want = 0;

				if (row < m && j < columns && kind == INT8) {
					want = get32(d[row] + 4 * j);
					for (unsigned i = 0; i < k; i++)
						want = naive_bytes(want, a[row] + 4 * i, b[i] + 4 * j,
								   products[p].a_signed, products[p].b_signed);
				} else if (row < m && j < columns) {
					float was = from_bits(get32(d[row] + 4 * j)),
					      f = kind == FP8 ? naive_small(a[row], products[p].a_signed, b,
									    products[p].b_signed, j, k, was)
							      : naive_element(kind, a[row], b, j, k, was);

					memcpy(&want, &f, 4);
					if (isnan(f) && isnan(from_bits(got)))
						continue;
					numbers++;
				}
				compared++;
				ck_assert_msg(got == want, "%02x with pp %u: row %u, column %u is %x, not %x",
					      products[p].opcode, products[p].pp, row, j, got, want);
			}
	}
	printf("%u elements compared, %u of them floating-point numbers\n", compared, numbers);
}
END_TEST

START_TEST(tiles_that_do_not_fit)
{
	static const struct shape fit[3] = { { 3, 8 }, { 3, 20 }, { 5, 8 } };

	configure(fit, 3);
	ck_assert_int_eq(product(3, 0x5e, 0, 1, 2), RETIRED);
	ck_assert_int_eq(product(3, 0x5e, 0, 0, 2), VEC_UD);
	ck_assert_int_eq(product(3, 0x5e, 0, 1, 1), VEC_UD);
	ck_assert_int_eq(product(3, 0x5e, 0, 1, 0), VEC_UD);
	ck_assert_int_eq(product(3, 0x5e, 0, 1, 3), VEC_UD);
	ck_assert_int_eq(product(3, 0x5e, 0, 1, 10), VEC_UD); /* there is no TMM10 */
	for (unsigned t = 0; t < 3; t++)
		for (unsigned what_of = 0; what_of < 2; what_of++) {
			struct shape s[3];

			memcpy(s, fit, sizeof s);
			if (what_of)
				s[t].rows++;
			else
				s[t].bytes++;
			configure(s, 3);
			ck_assert_int_eq(product(2, 0x5c, 0, 1, 2), VEC_UD);
		}
}
END_TEST

/* ---- state ---- */

enum { XTILECFG = 1 << 17, XTILEDATA = 1 << 18 };

/* XSAVE, XSAVEC, XRSTOR at RDX; RAX says what. */
static int xsave(u32 what_of)
{
	c->r[RAX] = what_of, c->r[RDX] = 0, c->r[RBX] = AREA;
	return RUN_CODE(0x0f, 0xae, 0x23);
}
static int xsavec(u32 what_of)
{
	c->r[RAX] = what_of, c->r[RDX] = 0, c->r[RBX] = AREA;
	return RUN_CODE(0x0f, 0xc7, 0x23);
}
static int xrstor(u32 what_of)
{
	c->r[RAX] = what_of, c->r[RDX] = 0, c->r[RBX] = AREA;
	return RUN_CODE(0x0f, 0xae, 0x2b);
}

START_TEST(components)
{
	static const struct {
		bool compact;
		u32 config, data;
	} layouts[] = { { false, 2752, 2816 }, { true, 832, 896 } };
	u8 saved[8192], config[64];

	for (unsigned i = 0; i < 2; i++) {
		memset(ram->host + AREA, 0, 0x4000);
		configure((const struct shape[]){ { 16, 64 }, { 4, 12 } }, 2);
		fill_tile(0, INT8, false);
		fill_tile(1, INT8, false);
		memcpy(saved, c->amx->tiles, sizeof saved);
		memcpy(config, c->amx->config, sizeof config);
		ck_assert_int_eq(layouts[i].compact ? xsavec(XTILECFG | XTILEDATA | 4)
						    : xsave(XTILECFG | XTILEDATA | 4),
				 RETIRED);
		ck_assert_uint_eq(peek(AREA + 512, 8), XTILECFG | XTILEDATA);
		ck_assert(!memcmp(ram->host + AREA + layouts[i].config, config, 64));
		ck_assert(!memcmp(ram->host + AREA + layouts[i].data, saved, 8192));
		ck_assert_int_eq(tilerelease(), RETIRED);
		ck_assert_int_eq(xrstor(XTILECFG | XTILEDATA), RETIRED);
		ck_assert(!memcmp(config, c->amx->config, 64));
		ck_assert(!memcmp(saved, c->amx->tiles, 8192));
		poke64(AREA + 512, 0); /* both as at reset */
		ck_assert_int_eq(xrstor(XTILECFG | XTILEDATA), RETIRED);
		ck_assert_int_eq(tilezero(0), VEC_UD);
		ck_assert_int_eq(layouts[i].compact ? xsavec(XTILECFG | XTILEDATA) : xsave(XTILECFG | XTILEDATA),
				 RETIRED);
		ck_assert_uint_eq(peek(AREA + 512, 8), 0);
	}
}
END_TEST

/* In the order of KVM's selftest of AMX: LDTILECFG is not disabled, and XSAVEC says that there is nothing. */
START_TEST(disabled)
{
	u64 v;

	configure((const struct shape[]){ { 16, 64 } }, 1);
	c->r[RBX] = ROWS;
	c->r[RCX] = 64;
	ck_assert_int_eq(tileloadd(0), RETIRED);
	poke64(ROWS, rnd());
	ck_assert_int_eq(tileloadd(0), RETIRED);
	ck_assert_int_eq(xsavec(XTILEDATA), RETIRED);
	ck_assert_uint_eq(peek(AREA + 512, 8), XTILEDATA);
	ck_assert(!write_msr(c, 0x1c4, XTILECFG));
	ck_assert(write_msr(c, 0x1c4, XTILEDATA));
	ck_assert_int_eq(xrstor(XTILEDATA), VEC_NM);
	ck_assert(read_msr(c, 0x1c5, &v) && v == XTILEDATA);
	ck_assert_int_eq(xsavec(XTILEDATA), RETIRED);
	ck_assert_uint_eq(peek(AREA + 512, 8), 0);
	ck_assert_uint_eq(peek(AREA + 520, 8), (u64)1 << 63 | XTILEDATA);
	ck_assert(write_msr(c, 0x1c5, 0));
	configure((const struct shape[]){ { 16, 64 } }, 1);
	c->r[RBX] = ROWS;
	ck_assert_int_eq(tileloadd(0), VEC_NM);
	ck_assert(read_msr(c, 0x1c5, &v) && v == XTILEDATA);
	ck_assert_int_eq(tilestored(0), VEC_NM);
	ck_assert_int_eq(tilezero(0), VEC_NM);
	ck_assert_int_eq(product(3, 0x5e, 0, 1, 2), VEC_NM);
	ck_assert(write_msr(c, 0x1c4, 0));
	ck_assert_int_eq(tileloadd(0), RETIRED);
}
END_TEST

/* As Sapphire Rapids shows it. */
START_TEST(leaves)
{
	static const u32 want[][6] = {
		{ 0xd, 17, 64, 2752, 2, 0 },  { 0xd, 18, 8192, 2816, 6, 0 },
		{ 0x1d, 0, 1, 0, 0, 0 },      { 0x1d, 1, 0x04002000, 0x00080040, 16, 0 },
		{ 0x1e, 0, 1, 0x4010, 0, 0 },
	};
	u32 out[4];

	for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
		cpuid(c, want[i][0], want[i][1], out);
		ck_assert_msg(!memcmp(out, want[i] + 2, 16), "leaf %x, %u: %x %x %x %x", want[i][0], want[i][1], out[0],
			      out[1], out[2], out[3]);
	}
	cpuid(c, 0xd, 0, out);
	ck_assert_uint_eq(out[1], 11008);
	ck_assert(!write_xcr0(c, 0x20007));
	ck_assert(!write_xcr0(c, 0x40007));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("AMX");
	TCase *tc = tcase_create("instructions");

	tcase_add_checked_fixture(tc, amx_setup, bare_free);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, configurations);
	tcase_add_test(tc, rows_in_memory);
	tcase_add_test(tc, restarted);
	tcase_add_test(tc, all_products);
	tcase_add_test(tc, tiles_that_do_not_fit);
	tcase_add_test(tc, components);
	tcase_add_test(tc, disabled);
	tcase_add_test(tc, leaves);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
