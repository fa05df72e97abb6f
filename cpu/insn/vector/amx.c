/* SPDX-License-Identifier: MIT */
/* AMX: tiles, whose configuration says how many rows of how many bytes each has, and products of two of them that are
 * added to a third (SDM vol. 2, at each).
 *
 *     0 palette | 1 start_row | 2-15 zeros | 16 + 2n bytes of a row of tile n | 48 + n rows of tile n */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_soft.h"
#include "cpu/insn/vector/fp8.h"
#include "cpu/amx.h"
#include "cpu/system/xsave.h"

/* ---- state ---- */

static const struct field amx_fields[] = { FIELDS(struct amx, config, U64), FIELDS(struct amx, tiles, U64),
					   FIELD(struct amx, xfd, U64), FIELD(struct amx, xfd_err, U64), FIELD_END };

bool amx_new(struct cpu *c)
{
	if (!has(c->model, F_AMX_TILE) && !has(c->model, F_XFD))
		return true;
	c->amx = calloc(1, sizeof *c->amx);
	if (c->amx)
		snprintf(c->amx->name, sizeof c->amx->name, "amx%u", c->id);
	return c->amx;
}

void amx_reset(struct cpu *c) { memset(c->amx, 0, offsetof(struct amx, name)); }

bool tile_config_valid(const u8 config[64])
{
	static const struct {
		u8 from, to;
	} zeros[] = { { 2, 16 }, { 16 + 2 * TILES, 48 }, { 48 + TILES, 64 } };

	if (!config[0])
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(zeros); i++)
		for (unsigned at = zeros[i].from; at < zeros[i].to; at++)
			if (config[at])
				return false;
	for (unsigned n = 0; n < TILES; n++) {
		unsigned rows = config[48 + n], bytes = get16(config + 16 + 2 * n);

		if (rows > TILE_ROWS || bytes > TILE_ROW || !rows != !bytes)
			return false;
	}
	return config[0] == 1;
}

void tile_config_load(struct cpu *c, const u8 config[64])
{
	memcpy(c->amx->config, config, sizeof c->amx->config);
	if (!config[0])
		memset(c->amx->config, 0, sizeof c->amx->config);
}

bool xfd_allows(struct cpu *c, u64 states)
{
	if (!c->amx || !(c->amx->xfd & states))
		return true;
	c->amx->xfd_err = c->amx->xfd & states;
	return fault(c, VEC_NM);
}

/* A state comes from a file. */
static void amx_loaded(void *state)
{
	struct amx *a = state;

	if (!tile_config_valid((const u8 *)a->config))
		memset(a->config, 0, sizeof a->config);
}

struct part amx_part(struct cpu *c) { return (struct part){ c->amx->name, c->amx, amx_fields, amx_loaded }; }

/* ---- what instructions ask ---- */

static unsigned rows(const struct cpu *c, unsigned tile) { return tile_config(c)[48 + tile]; }
static unsigned row_bytes(const struct cpu *c, unsigned tile) { return get16(tile_config(c) + 16 + 2 * tile); }
static u8 *start_row(struct cpu *c) { return &tile_config(c)[1]; }

static bool enabled(struct cpu *c) { return (c->xcr0 & STATE_TILE) == STATE_TILE || fault_ud(c); }

/* May TILE be accessed? One without rows is not configured. */
static bool usable(struct cpu *c, unsigned tile)
{
	return enabled(c) && xfd_allows(c, STATE_TILEDATA) && (rows(c, tile) || fault_ud(c));
}

/* Nothing but the first ROWS of BYTES stays. */
static void clear_rest(struct cpu *c, unsigned tile, unsigned rows_left, unsigned bytes)
{
	for (unsigned row = 0; row < TILE_ROWS; row++)
		if (row >= rows_left)
			memset(tile_row(c, tile, row), 0, TILE_ROW);
		else
			memset(tile_row(c, tile, row) + bytes, 0, TILE_ROW - bytes);
}

/* ---- configuration ---- */

BODY(ldtilecfg)
{
	u8 config[64];

	if (!enabled(c) || !op_load_block(c, o, config, sizeof config))
		return false;
	if (!tile_config_valid(config))
		return gp_because(c, 0, "no such palette, or a tile that it does not allow (vol. 2, LDTILECFG)");
	tile_config_load(c, config);
	memset(c->amx->tiles, 0, sizeof c->amx->tiles);
	return true;
}
GEN_BODY(ldtilecfg)

BODY(sttilecfg) { return enabled(c) && op_store_block(c, o, c->amx->config, sizeof c->amx->config); }
GEN_BODY(sttilecfg)

BODY(tilerelease)
{
	if (!enabled(c))
		return false;
	memset(c->amx->config, 0, sizeof c->amx->config);
	memset(c->amx->tiles, 0, sizeof c->amx->tiles);
	return true;
}
GEN_BODY(tilerelease)

BODY(tilezero)
{
	if (!usable(c, o->dst))
		return false;
	clear_rest(c, o->dst, 0, 0);
	*start_row(c) = 0;
	return true;
}
GEN_BODY(tilezero)

/* ---- rows from and to memory ---- */

/* From start_row on, which stays where a row faults: so the instruction can be restarted. The index is the distance
 * of the rows. */
static bool move_rows(struct cpu *c, const struct op *o, unsigned tile, bool store)
{
	u64 stride = REG64(o->index) << (o->scale & 3), first = op_sum(c, o, REG64(o->base)) - stride, linear;
	unsigned bytes = row_bytes(c, tile);

	for (; *start_row(c) < rows(c, tile); ++*start_row(c)) {
		unsigned row = *start_row(c);
		u8 data[TILE_ROW];

		if (!seg_linear(c, o->seg, (first + row * stride) & op_amask(o), bytes, store, &linear))
			return false;
		if (store ? !mem_write_block(c, linear, tile_row(c, tile, row), bytes)
			  : !mem_read_block(c, linear, data, bytes))
			return false;
		if (!store)
			memcpy(tile_row(c, tile, row), data, bytes);
	}
	*start_row(c) = 0;
	labour(c, TILE_ROWS);
	return true;
}

BODY(tileloadd)
{
	if (!usable(c, o->dst))
		return false;
	if (*start_row(c) >= rows(c, o->dst))
		return fault_ud(c);
	clear_rest(c, o->dst, *start_row(c), row_bytes(c, o->dst));
	return move_rows(c, o, o->dst, false);
}
GEN_BODY(tileloadd)
GEN_ALIAS(tileloaddt1, tileloadd)
GEN_ALIAS(tileloaddrs, tileloadd)
GEN_ALIAS(tileloaddrst1, tileloadd)

BODY(tilestored)
{
	if (!usable(c, o->src))
		return false;
	if (*start_row(c) >= rows(c, o->src))
		return fault_ud(c);
	return move_rows(c, o, o->src, true);
}
GEN_BODY(tilestored)

/* ---- products: rows of A by columns of B, whose elements are 4 bytes: of a number, or of 2 or 4 small ones ---- */

enum product { SSD, SUD, USD, UUD, BF16, FP16, COMPLEX_IM, COMPLEX_RL, TF32, BF8_BF8, BF8_HF8, HF8_BF8, HF8_HF8 };

/* Bytes, A's and B's with or without a sign. */
static u32 bytes_product(const u8 *a, const u8 *b, enum product kind)
{
	u32 sum = 0;

	for (unsigned i = 0; i < 4; i++)
		sum += (u32)((kind == SSD || kind == SUD ? (s8)a[i] : a[i]) *
			     (kind == SSD || kind == USD ? (s8)b[i] : b[i]));
	return sum;
}

static u32 single(struct cpu *c, const u8 *p, enum product kind)
{
	return kind == BF16 ? (u32)get16(p) << 16 : (u32)soft_convert(c, get16(p), f16, f32);
}

static u32 fused(struct cpu *c, u32 a, u32 b, u32 sum, bool minus)
{
	return (u32)soft_fma(c, a, b, sum, minus, false, f32);
}

/* Of numbers of 8 bits: the first two products, and the other two, are added to each other, and then to their sum. */
static void add_products_fp8(struct cpu *c, const u8 *a, const u8 *b, enum product kind, u32 sum[2])
{
	const enum fp8 first = kind >= HF8_BF8 ? HF8 : BF8, second = kind == BF8_HF8 || kind == HF8_HF8 ? HF8 : BF8;
	u64 product[4];

	for (unsigned i = 0; i < 4; i++)
		product[i] = soft_mul(c, soft_convert(c, fp8_to_half(a[i], first), f16, f32),
				      soft_convert(c, fp8_to_half(b[i], second), f16, f32), f32);
	for (unsigned i = 0; i < 2; i++)
		sum[i] = (u32)soft_add(c, sum[i], soft_add(c, product[2 * i], product[2 * i + 1], f32), f32);
}

/* Of pairs there are two sums: of the even products and of the odd ones, or of those that a complex product has. */
static void add_products(struct cpu *c, const u8 *a, const u8 *b, enum product kind, u32 sum[2])
{
	if (kind >= BF8_BF8) {
		add_products_fp8(c, a, b, kind, sum);
	} else if (kind == TF32) { /* 10 bits of a fraction; NaNs become quiet first */
		u32 x[2] = { get32(a), get32(b) };

		for (unsigned i = 0; i < 2; i++) {
			if ((x[i] & 0x7fffffff) > 0x7f800000)
				x[i] |= 0x400000;
			x[i] &= ~0x1fffu;
		}
		sum[0] = fused(c, x[0], x[1], sum[0], false);
	} else {
		bool cross = kind == COMPLEX_IM;

		sum[0] = fused(c, single(c, a + 2 * cross, kind), single(c, b, kind), sum[0], false);
		sum[1] = fused(c, single(c, a + 2 * !cross, kind), single(c, b + 2, kind), sum[1], kind == COMPLEX_RL);
	}
}

/* Column N of row M of the result: what was there, and the products. */
static u32 element(struct cpu *c, const struct op *o, unsigned m, unsigned n, enum product kind)
{
	unsigned count = rows(c, o->third);
	u32 sum[2] = { 0, 0 }, was = get32(tile_row(c, o->dst, m) + 4 * n);

	for (unsigned k = 0; k < count; k++) {
		const u8 *a = tile_row(c, o->src, m) + 4 * k, *b = tile_row(c, o->third, k) + 4 * n;

		if (kind <= UUD)
			was += bytes_product(a, b, kind);
		else
			add_products(c, a, b, kind, sum);
	}
	if (kind <= UUD)
		return was;
	if (kind != TF32)
		sum[0] = (u32)soft_add(c, sum[0], sum[1], f32);
	return (u32)soft_add(c, was, sum[0], f32);
}

/* Three tiles that fit: M rows of K, K rows of N, M rows of N elements. */
static bool tiles_fit(struct cpu *c, const struct op *o)
{
	unsigned d = o->dst, a = o->src, b = o->third;

	if (!enabled(c) || !xfd_allows(c, STATE_TILEDATA))
		return false;
	return (d != a && d != b && a != b && rows(c, d) && rows(c, a) && rows(c, b) && !(row_bytes(c, d) & 3) &&
		!(row_bytes(c, a) & 3) && rows(c, d) == rows(c, a) && row_bytes(c, a) == 4 * rows(c, b) &&
		row_bytes(c, d) == row_bytes(c, b)) ||
	       fault_ud(c);
}

/* Floating point rounds to nearest, takes and gives no denormal numbers, and has nothing to do with MXCSR. */
static bool multiply(struct cpu *c, const struct op *o, enum product kind)
{
	u32 saved = c->soft_mxcsr;
	unsigned columns;

	if (!tiles_fit(c, o))
		return false;
	columns = row_bytes(c, o->dst) / 4;
	for (unsigned m = 0; m < rows(c, o->dst); m++)
		for (unsigned n = 0; n < columns; n++) {
			c->soft_mxcsr = MXCSR_RESET | MXCSR_DAZ | MXCSR_FTZ;
			put32(tile_row(c, o->dst, m) + 4 * n, element(c, o, m, n, kind));
		}
	c->soft_mxcsr = saved;
	clear_rest(c, o->dst, rows(c, o->dst), 4 * columns);
	*start_row(c) = 0;
	labour(c, rows(c, o->dst) * columns * rows(c, o->third));
	return true;
}

#define MULTIPLY(name, kind) \
	BODY(name) { return multiply(c, o, kind); } \
	GEN_BODY(name)
MULTIPLY(tdpbssd, SSD)
MULTIPLY(tdpbsud, SUD)
MULTIPLY(tdpbusd, USD)
MULTIPLY(tdpbuud, UUD)
MULTIPLY(tdpbf16ps, BF16)
MULTIPLY(tdpfp16ps, FP16)
MULTIPLY(tcmmimfp16ps, COMPLEX_IM)
MULTIPLY(tcmmrlfp16ps, COMPLEX_RL)
MULTIPLY(tmmultf32ps, TF32)
MULTIPLY(tdpbf8ps, BF8_BF8)
MULTIPLY(tdpbhf8ps, BF8_HF8)
MULTIPLY(tdphbf8ps, HF8_BF8)
MULTIPLY(tdphf8ps, HF8_HF8)

/* ---- a row to a vector register ---- */

enum conversion { AS_IT_IS, TO_SINGLE, TO_HALF_HIGH, TO_HALF_LOW, TO_BF16_HIGH, TO_BF16_LOW };

static u32 converted(struct cpu *c, u32 v, enum conversion to)
{
	switch (to) {
	case TO_SINGLE: return (u32)soft_from_int(c, (s32)v, f32);
	case TO_HALF_HIGH: return (u32)soft_convert(c, v, f32, f16) << 16;
	case TO_HALF_LOW: return (u32)soft_convert(c, v, f32, f16);
	case TO_BF16_HIGH: return (u32)soft_convert(c, v, f32, bf16) << 16;
	case TO_BF16_LOW: return (u32)soft_convert(c, v, f32, bf16);
	default: return v;
	}
}

/* ROW: bits 31-16 are which 64 bytes of it. What the tile does not have are zeros. */
static bool read_row(struct cpu *c, const struct op *o, u32 row, enum conversion to)
{
	union vreg r = { { 0 } };
	u32 saved;

	if (!usable(c, o->src))
		return false;
	if (row < rows(c, o->src))
		memcpy(&r, tile_row(c, o->src, row), row_bytes(c, o->src));
	saved = soft_quiet_begin(c);
	for (unsigned i = 0; to != AS_IT_IS && i < 16; i++)
		r.d[i] = i < row_bytes(c, o->src) / 4 ? converted(c, r.d[i], to) : 0;
	c->soft_mxcsr = saved;
	evex_set(c, o, &r);
	*start_row(c) = 0;
	return true;
}

#define READ_ROW(name, to) \
	BODY(name) { return read_row(c, o, (u32)REG64(o->third), to); } \
	GEN_BODY(name) \
	BODY(name##_imm) { return read_row(c, o, (o->imm8 & 63u) | (u32)(o->imm8 >> 6) << 16, to); } \
	GEN_BODY(name##_imm)
READ_ROW(tilemovrow, AS_IT_IS)
READ_ROW(tcvtrowd2ps, TO_SINGLE)
READ_ROW(tcvtrowps2phh, TO_HALF_HIGH)
READ_ROW(tcvtrowps2phl, TO_HALF_LOW)
READ_ROW(tcvtrowps2bf16h, TO_BF16_HIGH)
READ_ROW(tcvtrowps2bf16l, TO_BF16_LOW)
