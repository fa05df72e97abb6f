/* SPDX-License-Identifier: MIT */
/* AVX-512. Each EVEX row that avx512_naive.h knows is run many times with random operands, lengths, masks, zeroing,
 * broadcast and rounding, and compared with what that file computes element by element; then what it does not say:
 * faults of masked elements, gathers, mask registers, XSAVE, and that VEX clears the upper half. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include "cpu/insn/vector/vector.h"
#include "tests/unit/avx512_naive.h"
#include "tests/unit/bare.h"
#include "tests/unit/random.h"

enum { CODE = 0x1000, PML4 = 0x10000, RAM_SIZE = 0x200000, DATA = 0x8000, END = RAM_SIZE };
#define ALL_FEATURES "max," AVX512_FEATURES
#define AVX512_FEATURES \
	"+avx512f,+avx512dq,+avx512ifma,+avx512cd,+avx512bw,+avx512vl,+avx512vbmi,+avx512vbmi2,+avx512vnni," \
	"+avx512bitalg,+avx512vpopcntdq,+avx512vp2intersect,+avx512fp16,+avx512bf16,+avxvnni,+avx10.2,+movrs"

static void setup_model(const char *spec)
{
	bare_new(spec, RAM_SIZE);
	put64(ram->host + PML4, (PML4 + 0x1000) | 0x63);
	put64(ram->host + PML4 + 0x1000, (PML4 + 0x2000) | 0x63);
	put64(ram->host + PML4 + 0x2000, 0xe3); /* 2 MiB */
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 0xe7;
	c->efer = EFER_LME | EFER_LMA;
	c->cr0 = CR0_PG | CR0_PE | CR0_NE | CR0_MP;
	for (unsigned i = ES; i <= GS; i++) {
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .attr = SEG_A | SEG_W | SEG_S | SEG_P | SEG_G |
						  (i == CS ? SEG_CODE | SEG_L : SEG_DB) };
		seg_update(c, i);
	}
	c->idtr.limit = 0;
	update_mode(c);
	c->attn = 0;
}

static void setup(void) { setup_model(ALL_FEATURES); }

/* Run CODE once. The vector of the exception, or -1. */
static int run(const u8 *code, unsigned len)
{
	space_write_block(&mem, CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : -1;
}

/* ---- one encoding ---- */

struct shape {
	unsigned vl, k, rounding /* 0 none, 1 SAE, 4-7 ER */;
	bool zeroing, memory, broadcast;
	u8 dst, first, last, imm;
};

/* EVEX, with RDI as the address. */
static unsigned encode(u8 *p, const struct isa_row *row, const struct shape *f)
{
	u8 l = f->rounding & 4 ? f->rounding & 3
	       : f->vl == 64   ? 2
			       : f->vl == 32,
	   w = row->mask & KEY_W && row->match & KEY_W;
	u8 reg = f->dst, vvvv = f->first, rm = f->last;
	bool store = row->operand[0].kind == OPK_W, has_h = false;

	for (unsigned i = 0; i < row->operands; i++)
		has_h |= row->operand[i].kind == OPK_H;
	if (store)
		reg = f->last, rm = f->dst;
	if (row->operand[0].kind == OPK_H) {
		vvvv = f->dst;
		reg = (u8)(row->match >> 3 & 7);
	}
	if (!has_h)
		vvvv = 0;
	p[0] = 0x62;
	p[1] = (u8)(row->map | (reg & 8 ? 0 : 0x80) | (!f->memory && rm & 16 ? 0 : 0x40) |
		    (!f->memory && rm & 8 ? 0 : 0x20) | (reg & 16 ? 0 : 0x10));
	p[2] = (u8)(w << 7 | (~vvvv & 15) << 3 | 4 | (row->match >> 9 & 3));
	p[3] = (u8)(f->zeroing << 7 | l << 5 | (f->broadcast || f->rounding) << 4 | (vvvv & 16 ? 0 : 8) | f->k);
	p[4] = row->opcode;
	p[5] = (u8)((f->memory ? RDI : 0xc0 | (rm & 7)) | (reg & 7) << 3);
	p[6] = f->imm;
	return 7;
}

/* ---- numbers ---- */

static u64 some_float(unsigned size)
{
	static const u32 singles[] = { 0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
				       0xff800000, 0x7fc00001, 0x7f800001, 0x00000001, 0x807fffff,
				       0x7f7fffff, 0x00800000, 0x40490fdb, 0x4b000001 };
	u32 v = rnd() & 3 ? (u32)rnd() : singles[rnd() % ARRAY_LEN(singles)];

	if (rnd() & 1)
		v = (v & 0x807fffff) | (u32)(0x3f800000 + ((rnd() & 31) << 23) - (16 << 23));
	if (size == 1)
		return rnd() & 0xff;
	if (size == 2) /* FP16 and bfloat16 */
		return rnd() & 1 ? v >> 16 : rnd() & 7 ? rnd() & 0xffff : (rnd() & 0x80ff) | 0x7c00;
	if (size == 4)
		return v;
	if ((v & 0x7f800000) == 0x7f800000)
		return (u64)(v & 0x80000000) << 32 | 0x7ff0000000000000 | (u64)(v & 0x7fffff) << 29;
	return rnd() & 7 ? (u64)(v & 0x80000000) << 32 | ((u64)((v >> 23 & 255) + 896) << 52) | (rnd() >> 12)
			 : rnd() & 0x800fffffffffffff;
}

static void fill(void *to, unsigned n, const struct naive *how, bool floats)
{
	unsigned size = how->from, kind = rnd() & 3;

	for (unsigned i = 0; i < n; i += size) {
		u64 v = floats ? some_float(size) : kind == 0 ? rnd() & 0x0f0f0f0f0f0f0f0f & rnd() : rnd();

		if (!floats && kind == 1)
			v = ((u64)0 - (rnd() & 1)) ^ (rnd() & 3);
		put_size((u8 *)to + i, size, v);
	}
}

/* ---- the comparison ---- */

static bool differ;

/* The second implementation of floating point takes the rounding, the flags and the NaN from the host's SSE; and the C
 * library for Windows has functions that do not. */
#if defined __x86_64__ && !defined _WIN32
enum { HOST_FLOATS = true };
#else
enum { HOST_FLOATS = false };
#endif

static bool is_float(const struct isa_row *row) { return !row->insn->pure || strstr(row->insn->mnemonic, "fpclass"); }

static bool has_general(const struct isa_row *row)
{
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_R || row->operand[i].kind == OPK_G || row->operand[i].kind == OPK_E)
			return true;
	return false;
}

static const struct naive *find(const struct isa_row *row)
{
	const char *name = row->insn->mnemonic;
	char with[32];

	if (has_general(row)) /* VPBROADCASTB from a general register, VCVTSS2SI */
		return NULL;
	if (row->operand[0].kind == OPK_H ||
	    (strchr(row->insn->operands, 'I') &&
	     (!strncmp(name, "vpermq", 6) || !strncmp(name, "vpermpd", 7) || !strncmp(name, "vpermil", 7)))) {
		snprintf(with, sizeof with, "%s i", name);
		for (unsigned i = 0; i < ARRAY_LEN(naives); i++)
			if (!strcmp(naives[i].name, with))
				return &naives[i];
	}
	for (unsigned i = 0; i < ARRAY_LEN(naives); i++)
		if (!strcmp(naives[i].name, name))
			return &naives[i];
	return NULL;
}

/* What the instruction leaves: the destination, or the mask, or memory; and MXCSR. */
struct result {
	u8 v[64], memory[64];
	u64 k;
	u32 mxcsr;
};

static void expect(const struct naive *n, const struct shape *f, bool store, struct result *r)
{
	u8 old[64], a[64], b[64] = { 0 }, whole[64] = { 0 };
	const unsigned most = n->from > n->size ? n->from : n->size,
		       count = n->scalar ? 1 : f->vl / (n->lane ? most : n->size);
	u64 k = f->k ? c->k[f->k] : ~(u64)0, mask = 0;

	memcpy(old, &c->v[f->dst], 64);
	memcpy(a, &c->v[f->first], 64);
	memcpy(b, &c->v[f->last], 64);
	if (f->memory && !store)
		space_read_block(&mem, DATA, b, 64);
	for (unsigned i = 1; f->broadcast && i < 64 / n->from; i++)
		memcpy(b + i * n->from, b, n->from);
	memset(r->v, 0, sizeof r->v);
	space_read_block(&mem, DATA, r->memory, 64);
	if (n->scalar)
		memcpy(r->v, n->old_rest ? old : a, 16);
	if (n->whole)
		n->whole(whole, old, a, b, f->vl, n->size, f->imm);
	for (unsigned i = 0; i < count; i++) {
		struct lane l = {
			peek(old, i, n->size), peek(a, i, most), peek(b, i, n->from), n->size, n->from, f->imm
		};
		u64 x;

		if (!(k >> i & 1))
			x = f->zeroing ? 0 : l.old;
		else
			x = n->whole ? peek(whole, i, n->size) : n->lane(&l);
		if (n->to_mask)
			mask |= (k >> i & 1 && x & 1 ? (u64)1 : 0) << i;
		else if (store && f->memory) {
			if (k >> i & 1)
				poke(r->memory, i, n->size, x);
		} else {
			poke(r->v, i, n->size, x);
		}
	}
	r->k = mask;
}

/* Does the second implementation raise the instruction's exceptions, and no others? */
static bool flags_count(const struct naive *n)
{
	return n->flags || n->lane == n_fadd || n->lane == n_fsub || n->lane == n_fmul || n->lane == n_fdiv ||
	       n->lane == n_fsqrt ||
	       n->lane == n_fmax || n->lane == n_fmin || n->lane == n_minmax || n->lane == n_dpphps;
}

static void one(const struct isa_row *row, const struct naive *n)
{
	struct shape f = { .vl = 16u << rnd() % 3,
			   .k = rnd() & 1 ? 1 + rnd() % 7 : 0,
			   .dst = rnd() & 31,
			   .first = rnd() & 31,
			   .last = rnd() & 31,
			   .imm = (u8)rnd() };
	bool store = row->operand[0].kind == OPK_W, floats = is_float(row), fixed = row->mask & KEY_L2;
	struct result want, got;
	u32 control = 0x1f80 | (u32)(rnd() & 3) << 13;
	u8 code[16], before[64], data[64];
	unsigned len;
	int vector;

	f.memory = row->mask & KEY_MEM ? !!(row->match & KEY_MEM) : rnd() & 1;
	if (fixed)
		f.vl = row->match & KEY_L2 ? 64 : row->match & KEY_L ? 32 : 16;
	f.broadcast = f.memory && row->insn->tuple >= TUPLE_FV && row->insn->tuple <= TUPLE_QV && rnd() & 1;
	if (!f.memory && row->insn->rounding && rnd() & 1) {
		f.rounding = row->insn->rounding == ROUNDING_ER ? 4 | (rnd() & 3) : 1;
		if (!n->scalar)
			f.vl = 64;
	}
	if (row->insn->masking == MASKING_NONE)
		f.k = 0;
	if (n->to_mask)
		f.dst &= 7;
	f.zeroing = f.k && !n->to_mask && !(store && f.memory) && rnd() & 1;
	for (unsigned i = 0; i < 32; i++)
		fill(&c->v[i], 64, n, floats);
	fill(data, 64, n, floats);
	space_write_block(&mem, DATA, data, 64);
	for (unsigned i = 0; i < 8; i++)
		c->k[i] = rnd() & 3 ? rnd() : rnd() & 1 ? ~(u64)0 : 0;
	memcpy(before, &c->v[f.dst], 64);
#ifdef __x86_64__
	if (floats) {
		unsigned saved = _mm_getcsr();

		_mm_setcsr((f.rounding & 4 ? 0x1f80 | (f.rounding & 3) << 13 : control) & 0xffc0);
		expect(n, &f, store, &want);
		want.mxcsr = control | (f.rounding ? 0 : _mm_getcsr() & 0x3f);
		_mm_setcsr(saved);
	} else
#endif
	{
		expect(n, &f, store, &want);
		want.mxcsr = control;
	}
	c->mxcsr = control;
	c->r[RDI] = DATA;
	if (c->icount & 1)
		sse_begin(c);
	len = encode(code, row, &f);
	vector = run(code, len);
	memcpy(got.v, &c->v[f.dst], 64);
	got.k = c->k[f.dst & 7];
	got.mxcsr = c->mxcsr;
	if (!flags_count(n))
		want.mxcsr = got.mxcsr;
	space_read_block(&mem, DATA, got.memory, 64);
	if (n->to_mask || (store && f.memory))
		memcpy(want.v, before, 64);
	if (vector == -1 && !memcmp(got.memory, want.memory, 64) && !memcmp(got.v, want.v, 64) &&
	    (!n->to_mask || got.k == want.k) && got.mxcsr == want.mxcsr)
		return;
	for (unsigned i = 0; i < 64; i += 8)
		printf("%2u: old %016llx here %016llx, naive %016llx, memory %016llx %016llx\n", i,
		       (unsigned long long)get64(before + i), (unsigned long long)get64(got.v + i),
		       (unsigned long long)get64(want.v + i), (unsigned long long)get64(got.memory + i),
		       (unsigned long long)get64(want.memory + i));
	printf("%s \"%s\" %u bytes, k%u %llx%s%s%s, rounding %u, imm %02x, v%u v%u v%u: exception %d, mxcsr %x, naive %x; mask %llx, naive %llx\n",
	       row->insn->mnemonic, row->insn->encoding, f.vl, f.k, (unsigned long long)c->k[f.k],
	       f.zeroing ? " z" : "", f.memory ? " memory" : "", f.broadcast ? " broadcast" : "", f.rounding, f.imm,
	       f.dst, f.first, f.last, vector, got.mxcsr, want.mxcsr, (unsigned long long)got.k,
	       (unsigned long long)want.k);
	differ = true;
}

START_TEST(naive)
{
	unsigned rows = 0, without = 0, bad = 0;
	const char *only = getenv("AVX512_ROW");

	for (unsigned i = 0; i < c->isa->count; i++) {
		const struct isa_row *row = &c->isa->rows[i];
		const struct naive *n = row->evex && row->enabled ? find(row) : NULL;

		if (!row->evex)
			continue;
		without += !n;
		if (only && !strcmp(only, "list") && !n)
			printf("%s\n", row->insn->mnemonic);
		if (!HOST_FLOATS && is_float(row))
			continue;
		if (!n || (only && strcmp(only, row->insn->mnemonic) && strcmp(only, "list")))
			continue;
		rows++;
		for (unsigned k = 0; k < 300 && !differ; k++)
			one(row, n);
		bad += differ;
		differ = false;
	}
	printf("%u EVEX rows compared, %u have no second implementation\n", rows, without);
	ck_assert_uint_gt(rows, HOST_FLOATS ? 300 : 150);
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* ---- elements that the mask leaves out are not accessed ---- */

#define EXECUTE(...) run((const u8[]){ __VA_ARGS__ }, sizeof(const u8[]){ __VA_ARGS__ })
static void pattern(unsigned n)
{
	for (unsigned i = 0; i < 64; i++)
		c->v[n].b[i] = (u8)(16 * n + i + 1);
}

/* zmm1, of which the first 32 bytes are the last of memory. */
START_TEST(masked_faults)
{
	enum { load, store, compress, expand, add, broadcast };
	static const u8 codes[][6] = {
		[load] = { 0x62, 0xf1, 0x7e, 0x49, 0x6f, 0x0f },      /* vmovdqu32 zmm1{k1}, [rdi] */
		[store] = { 0x62, 0xf1, 0x7e, 0x49, 0x7f, 0x0f },     /* vmovdqu32 [rdi]{k1}, zmm1 */
		[compress] = { 0x62, 0xf2, 0x7d, 0x49, 0x8b, 0x0f },  /* vpcompressd [rdi]{k1}, zmm1 */
		[expand] = { 0x62, 0xf2, 0x7d, 0x49, 0x89, 0x0f },    /* vpexpandd zmm1{k1}, [rdi] */
		[add] = { 0x62, 0xf1, 0x6d, 0x49, 0xfe, 0x0f },       /* vpaddd zmm1{k1}, zmm2, [rdi] */
		[broadcast] = { 0x62, 0xf1, 0x6d, 0x59, 0xfe, 0x0f }, /* vpaddd zmm1{k1}, zmm2, [rdi]{1to16} */
	};
	static const struct {
		u16 mask;
		bool faults[6];
	} cases[] = {
		{ 0x00ff, { false, false, false, false, false, false } },
		{ 0x0100, { true, true, false, false, true, false } },
		{ 0xff00, { true, true, false, false, true, false } },
		{ 0xffff, { true, true, true, true, true, false } },
		{ 0x5501, { true, true, false, false, true, false } },
		{ 0, { false, false, false, false, false, false } },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		for (unsigned k = 0; k < ARRAY_LEN(codes); k++) {
			u8 before[64], memory[32], after[32];

			pattern(1);
			pattern(2);
			memcpy(before, &c->v[1], 64);
			for (unsigned n = 0; n < 32; n++)
				memory[n] = (u8)rnd();
			space_write_block(&mem, END - 32, memory, 32);
			c->k[1] = cases[i].mask;
			c->r[RDI] = END - 32;
			ck_assert_msg(run(codes[k], 6) == (cases[i].faults[k] ? VEC_PF : -1), "mask %x, code %u",
				      cases[i].mask, k);
			space_read_block(&mem, END - 32, after, 32);
			if (cases[i].faults[k]) { /* nothing has happened */
				ck_assert_msg(!memcmp(before, &c->v[1], 64), "mask %x, code %u", cases[i].mask, k);
				ck_assert_msg(!memcmp(memory, after, 32), "mask %x, code %u", cases[i].mask, k);
			} else if (k == load) {
				for (unsigned n = 0; n < 16; n++)
					ck_assert(!memcmp(&c->v[1].d[n],
							  cases[i].mask >> n & 1 ? memory + 4 * n : before + 4 * n, 4));
			} else if (k == store) {
				for (unsigned n = 0; n < 8; n++)
					ck_assert(!memcmp(after + 4 * n,
							  (cases[i].mask >> n & 1 ? before : memory) + 4 * n, 4));
			} else if (k == compress) {
				unsigned to = 0;

				for (unsigned n = 0; n < 16; n++)
					if (cases[i].mask >> n & 1)
						ck_assert(!memcmp(after + 4 * to++, before + 4 * n, 4));
				ck_assert(!memcmp(after + 4 * to, memory + 4 * to, 32 - 4 * to));
			} else if (k == expand) {
				for (unsigned n = 0, from = 0; n < 16; n++)
					ck_assert(!memcmp(&c->v[1].d[n],
							  cases[i].mask >> n & 1 ? memory + 4 * from++ : before + 4 * n,
							  4));
			}
		}
	/* nothing is accessed where no element is */
	c->k[1] = 0;
	c->r[RDI] = END + 0x1000;
	ck_assert_int_eq(run(codes[broadcast], 6), -1);
	c->k[1] = 0x8000;
	ck_assert_int_eq(run(codes[broadcast], 6), VEC_PF);
}
END_TEST

/* ---- gathers and scatters: elements that are done are out of the mask ---- */

START_TEST(gathers)
{
	u32 v[16];

	for (unsigned i = 0; i < 16; i++)
		v[i] = (u32)rnd();
	space_write_block(&mem, END - 64, v, 64);
	for (unsigned i = 0; i < 16; i++)
		c->v[3].d[i] = 15 - i;
	c->v[3].d[5] = 100; /* beyond the end */
	pattern(1);
	c->k[2] = 0xfffc;
	c->r[RDI] = END - 64;
	ck_assert_int_eq(EXECUTE(0x62, 0xf2, 0x7d, 0x4a, 0x90, 0x0c, 0x9f),
			 VEC_PF); /* vpgatherdd zmm1{k2}, [rdi + zmm3 * 4] */
	ck_assert_uint_eq(c->k[2], 0xffe0);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(c->v[1].d[i], i >= 2 && i < 5 ? v[15 - i] : 0x04030201 + 0x04040404 * i + 0x10101010);
	c->v[3].d[5] = 0;
	ck_assert_int_eq(EXECUTE(0x62, 0xf2, 0x7d, 0x4a, 0x90, 0x0c, 0x9f), -1);
	ck_assert_uint_eq(c->k[2], 0);
	ck_assert_uint_eq(c->v[1].d[5], v[0]);
	ck_assert_uint_eq(c->v[1].d[15], v[0]);
	/* the same way back, with two elements for one place: the last one stays */
	for (unsigned i = 0; i < 16; i++)
		c->v[3].d[i] = i & 14;
	c->v[3].d[9] = 100;
	c->k[2] = 0xffff;
	ck_assert_int_eq(EXECUTE(0x62, 0xf2, 0x7d, 0x4a, 0xa0, 0x0c, 0x9f),
			 VEC_PF); /* vpscatterdd [rdi + zmm3 * 4]{k2}, zmm1 */
	ck_assert_uint_eq(c->k[2], 0xfe00);
	space_read_block(&mem, END - 64, v, 64);
	ck_assert_uint_eq(v[6], c->v[1].d[7]);
	ck_assert_uint_eq(v[8], c->v[1].d[8]);
	/* of a mask register there is no k0, and the index is not the destination */
	ck_assert_int_eq(EXECUTE(0x62, 0xf2, 0x7d, 0x48, 0x90, 0x0c, 0x9f), VEC_UD);
	ck_assert_int_eq(EXECUTE(0x62, 0xf2, 0x7d, 0x4a, 0x90, 0x1c, 0x9f), VEC_UD);
}
END_TEST

/* ---- mask registers ---- */

START_TEST(masks)
{
	/* VEX.L1 and L0; W and pp by size: b W0 66, w W0, d W1 66, q W1 */
	static const u8 p[4] = { 0x01, 0x00, 0x81, 0x80 };
	static const unsigned bits[4] = { 8, 16, 32, 64 };

	for (unsigned n = 0; n < 4000; n++) {
		unsigned s = n & 3;
		u64 all = bits[s] == 64 ? ~(u64)0 : ((u64)1 << bits[s]) - 1, a = rnd() & 3 ? rnd() : ~(u64)0,
		    b = rnd() & 3 ? rnd() : 0, want = 0;
		u8 kind = (u8)(rnd() % 9), op = 0;

		c->k[2] = a;
		c->k[3] = b;
		c->k[1] = rnd();
		switch (kind) {
		case 0:
			op = 0x41;
			want = a & b;
			break;
		case 1:
			op = 0x42;
			want = ~a & b;
			break;
		case 2:
			op = 0x45;
			want = a | b;
			break;
		case 3:
			op = 0x46;
			want = ~(a ^ b);
			break;
		case 4:
			op = 0x47;
			want = a ^ b;
			break;
		case 5:
			op = 0x4a;
			want = a + b;
			break;
		case 6: /* knot */
			ck_assert_int_eq(EXECUTE(0xc4, 0xe1, (u8)(p[s] | 0x78), 0x44, 0xcb), -1);
			ck_assert_uint_eq(c->k[1], ~b & all);
			continue;
		case 7: { /* kortest k2, k3 */
			u64 both = (a | b) & all;

			ck_assert_int_eq(EXECUTE(0xc4, 0xe1, (u8)(p[s] | 0x78), 0x98, 0xd3), -1);
			ck_assert_uint_eq(cpu_flags(c) & OSZAPC, (both ? 0 : FL_Z) | (both == all ? FL_C : 0));
			continue;
		}
		default: /* ktest k2, k3 */
			ck_assert_int_eq(EXECUTE(0xc4, 0xe1, (u8)(p[s] | 0x78), 0x99, 0xd3), -1);
			ck_assert_uint_eq(cpu_flags(c) & OSZAPC, (a & b & all ? 0 : FL_Z) | (~a & b & all ? 0 : FL_C));
			continue;
		}
		ck_assert_int_eq(EXECUTE(0xc4, 0xe1, (u8)(p[s] | 0x6c), op, 0xcb), -1); /* k1, k2, k3 */
		ck_assert_uint_eq(c->k[1], want & all);
	}
	c->k[2] = 0x123456789abcdef0;
	c->k[3] = 0xfedcba9876543211;
	ck_assert_int_eq(EXECUTE(0xc5, 0xed, 0x4b, 0xcb), -1); /* kunpckbw k1, k2, k3 */
	ck_assert_uint_eq(c->k[1], 0xf011);
	ck_assert_int_eq(EXECUTE(0xc4, 0xe1, 0xec, 0x4b, 0xcb), -1); /* kunpckdq */
	ck_assert_uint_eq(c->k[1], 0x9abcdef076543211);
	ck_assert_int_eq(EXECUTE(0xc4, 0xe3, 0xf9, 0x32, 0xca, 4), -1); /* kshiftlw k1, k2, 4 */
	ck_assert_uint_eq(c->k[1], 0xef00);
	ck_assert_int_eq(EXECUTE(0xc4, 0xe3, 0xf9, 0x31, 0xca, 60), -1); /* kshiftrq */
	ck_assert_uint_eq(c->k[1], 1);
	ck_assert_int_eq(EXECUTE(0xc4, 0xe3, 0xf9, 0x31, 0xca, 64), -1);
	ck_assert_uint_eq(c->k[1], 0);
	c->r[RAX] = 0xffffffff89abcdef;
	ck_assert_int_eq(EXECUTE(0xc5, 0xf8, 0x92, 0xc8), -1); /* kmovw k1, eax */
	ck_assert_uint_eq(c->k[1], 0xcdef);
	ck_assert_int_eq(EXECUTE(0xc5, 0xfb, 0x93, 0xc1), -1); /* kmovd eax, k1 */
	ck_assert_uint_eq(c->r[RAX], 0xcdef);
	c->r[RDI] = DATA;
	ck_assert_int_eq(EXECUTE(0xc4, 0xe1, 0xf8, 0x91, 0x17), -1); /* kmovq [rdi], k2 */
	ck_assert_int_eq(EXECUTE(0xc5, 0xf9, 0x90, 0x0f), -1);       /* kmovb k1, [rdi] */
	ck_assert_uint_eq(c->k[1], 0xf0);
}
END_TEST

/* ---- the state: XSAVE, and what VEX and SSE do to it ---- */

START_TEST(state)
{
	enum { AREA = 0x9000 };
	u32 out[4];
	u8 area[2696];

	cpuid(c, 0xd, 0, out);
	ck_assert_uint_eq(out[0], 0x2e7);
	ck_assert_uint_eq(out[1], 2688); /* SDM vol. 1, 13.5: 1664 + 1024 */
	cpuid(c, 0xd, 5, out);
	ck_assert(out[0] == 64 && out[1] == 1088);
	cpuid(c, 0xd, 6, out);
	ck_assert(out[0] == 512 && out[1] == 1152);
	cpuid(c, 0xd, 7, out);
	ck_assert(out[0] == 1024 && out[1] == 1664);
	for (unsigned i = 0; i < 32; i++)
		pattern(i);
	for (unsigned i = 0; i < 8; i++)
		c->k[i] = rnd();
	c->r[RDI] = AREA;
	c->r[RAX] = c->r[RDX] = 0xffffffff;
	ck_assert_int_eq(EXECUTE(0x48, 0x0f, 0xae, 0x27), -1); /* xsave64 [rdi] */
	space_read_block(&mem, AREA, area, sizeof area);
	ck_assert_uint_eq(get64(area + 512) & 0xe6, 0xe6);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(get64(area + 1088 + 8 * i), c->k[i]);
	for (unsigned i = 0; i < 16; i++) {
		ck_assert(!memcmp(area + 160 + 16 * i, &c->v[i].b[0], 16));
		ck_assert(!memcmp(area + 576 + 16 * i, &c->v[i].b[16], 16));
		ck_assert(!memcmp(area + 1152 + 32 * i, &c->v[i].b[32], 32));
		ck_assert(!memcmp(area + 1664 + 64 * i, &c->v[16 + i], 64));
	}
	ck_assert_int_eq(EXECUTE(0xc5, 0xfc, 0x77), -1); /* vzeroall */
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(c->v[i].q[0] | c->v[i].q[2] | c->v[i].q[4] | c->v[i].q[7], 0);
	ck_assert_uint_eq(c->v[16].b[0], 1);
	c->k[3] = 0;
	ck_assert_int_eq(EXECUTE(0x48, 0x0f, 0xae, 0x2f), -1); /* xrstor64 [rdi] */
	for (unsigned i = 0; i < 16; i++)
		ck_assert(!memcmp(area + 1152 + 32 * i, &c->v[i].b[32], 32));
	ck_assert_uint_eq(c->k[3], get64(area + 1088 + 24));
	ck_assert_int_eq(EXECUTE(0x0f, 0x28, 0xca), -1); /* movaps xmm1, xmm2: the rest stays */
	ck_assert_uint_eq(c->v[1].b[63], 16 + 64);
	ck_assert_int_eq(EXECUTE(0xc5, 0xf8, 0x28, 0xca), -1); /* vmovaps xmm1, xmm2 */
	ck_assert_uint_eq(c->v[1].q[0], c->v[2].q[0]);
	ck_assert_uint_eq(c->v[1].q[2] | c->v[1].q[4] | c->v[1].q[7], 0);
	ck_assert_int_eq(EXECUTE(0xc5, 0xf8, 0x77), -1); /* vzeroupper */
	ck_assert_uint_eq(c->v[2].q[2] | c->v[2].q[4] | c->v[2].q[7], 0);
	ck_assert_uint_ne(c->v[2].q[1], 0);
	ck_assert_uint_eq(c->v[31].b[63], (u8)(16 * 31 + 64));
	/* without ZMM in XCR0 there is no EVEX, and VEX leaves bits 511:256 alone (SDM vol. 2, 3.1.1, MAXVL) */
	pattern(1);
	c->xcr0 = 7;
	update_mode(c);
	ck_assert_int_eq(EXECUTE(0x62, 0xf1, 0x7c, 0x48, 0x28, 0xca), VEC_UD); /* vmovaps zmm1, zmm2 */
	ck_assert_int_eq(EXECUTE(0xc5, 0xf8, 0x28, 0xca), -1);
	ck_assert_uint_eq(c->v[1].q[2], 0);
	ck_assert_uint_eq(c->v[1].b[63], 16 + 64);
}
END_TEST

/* ---- what a Zen 5 showed (docs/SILICON.md). It is the manual's, too, or else Intel's models do otherwise: the last of
 * each row. ---- */

enum look { NO_LOOK, LOOK_V1 /* the first two singles */, LOOK_V1_HIGH, LOOK_V0_HIGH, LOOK_MXCSR };

static u64 look_at(enum look look)
{
	switch (look) {
	case LOOK_V1: return c->v[1].q[0];
	case LOOK_V1_HIGH: return c->v[1].q[4] | c->v[1].q[7];
	case LOOK_V0_HIGH: return c->v[0].q[2] | c->v[0].q[4] | c->v[0].q[7];
	case LOOK_MXCSR: return c->mxcsr & MXCSR_FLAGS;
	default: return 0;
	}
}

static const struct fact {
	const char *what;
	u8 len, code[8];
	u32 v2[2], v3[2]; /* the first singles of each */
	u64 rdi, rax, k1;
	enum look look;
	struct { int vector; u64 value; } amd, intel;
} facts[] = {
	{ "vcvtsi2ss xmm1, xmm2, rax, {rz-sae}", 6, { 0x62, 0xf1, 0xee, 0x78, 0x2a, 0xc8 }, { 0, 5 }, .rax = 0x7fffffff,
	  .look = LOOK_V1, .amd = { -1, 0x54effffff }, .intel = { -1, 0x54effffff } },
	{ "vcvtusi2ss xmm1, xmm2, rax, {rz-sae}", 6, { 0x62, 0xf1, 0xee, 0x78, 0x7b, 0xc8 }, { 0, 5 }, .rax = ~(u64)0,
	  .look = LOOK_V1, .amd = { -1, 0x55f7fffff }, .intel = { -1, 0x55f7fffff } },
	{ "vpcmpistrm xmm1, xmm2, 40h", 6, { 0xc4, 0xe3, 0x79, 0x62, 0xca, 0x40 }, .look = LOOK_V0_HIGH,
	  .amd = { -1, 0 }, .intel = { -1, 0 } },
	{ "vextracti32x4 [rdi]{k1}, zmm1, 0, the end masked", 7, { 0x62, 0xf3, 0x7d, 0x49, 0x39, 0x0f, 0 },
	  .rdi = END - 8, .k1 = 1, .amd = { VEC_PF, 0 }, .intel = { VEC_PF, 0 } },
	{ "vextracti32x4 [rdi]{k1}, zmm1, 0, all masked", 7, { 0x62, 0xf3, 0x7d, 0x49, 0x39, 0x0f, 0 }, .rdi = END - 8,
	  .amd = { VEC_PF, 0 }, .intel = { VEC_PF, 0 } },
	{ "vrangeps xmm1, xmm2, xmm3, 0bh of QNaNs", 7, { 0x62, 0xf3, 0x6d, 0x08, 0x50, 0xcb, 0x0b },
	  { 0xffc00001, 0xffc00003 }, { 0x7fc00002, 0xffc00004 }, .look = LOOK_V1, .amd = { -1, 0x7fc000037fc00001 },
	  .intel = { -1, 0x7fc000037fc00001 } },
	{ "vmovaps [rdi], zmm1, neither aligned nor there", 6, { 0x62, 0xf1, 0x7c, 0x48, 0x29, 0x0f }, .rdi = END - 31,
	  .amd = { VEC_GP, 0 }, .intel = { VEC_GP, 0 } },
	{ "vgatherdps ymm1{k1}, [rdi + ymm2], the second faults", 7, { 0x62, 0xf2, 0x7d, 0x29, 0x92, 0x0c, 0x17 },
	  { 0, 0x7f000000 }, .rdi = DATA, .k1 = 3, .look = LOOK_V1_HIGH, .amd = { VEC_PF, 0 }, .intel = { VEC_PF, 0 } },
	{ "vreduceps xmm1, xmm2, 0", 7, { 0x62, 0xf3, 0x7d, 0x08, 0x56, 0xca, 0 }, { 0x3fa00000 }, .look = LOOK_MXCSR,
	  .amd = { -1, 0 }, .intel = { -1, MXCSR_PE } },
	{ "vscalefps xmm1, xmm2, xmm3, by a denormal number", 6, { 0x62, 0xf2, 0x6d, 0x08, 0x2c, 0xcb },
	  { 0x3f800000 }, { 1 }, .look = LOOK_MXCSR, .amd = { -1, 0 }, .intel = { -1, MXCSR_DE } },
	{ "vscalefps xmm1, xmm2, xmm3, a denormal number by infinity", 6, { 0x62, 0xf2, 0x6d, 0x08, 0x2c, 0xcb },
	  { 1 }, { 0x7f800000 }, .look = LOOK_MXCSR, .amd = { -1, MXCSR_DE }, .intel = { -1, 0 } },
	{ "vpshufbitqmb k1{k1}, xmm0, [rdi], the end masked", 6, { 0x62, 0xf2, 0x7d, 0x09, 0x8f, 0x0f }, .rdi = END - 1,
	  .k1 = 1, .amd = { -1, 0 }, .intel = { VEC_PF, 0 } },
	{ "vmovdqa64 zmm1{k1}, [rdi], not aligned, all masked", 6, { 0x62, 0xf1, 0xfd, 0x49, 0x6f, 0x0f },
	  .rdi = DATA + 1, .amd = { -1, 0 }, .intel = { VEC_GP, 0 } },
	{ "vgatherdps xmm1, [rdi + xmm2], xmm3, the second faults", 6, { 0xc4, 0xe2, 0x61, 0x92, 0x0c, 0x17 },
	  { 0, 0x7f000000 }, { 0x80000000, 0x80000000 }, .rdi = DATA, .look = LOOK_V1_HIGH,
	  .amd = { VEC_PF, 0x787f7e7d7c7b7a79 /* of pattern() */ }, .intel = { VEC_PF, 0 } },
};

START_TEST(silicon)
{
	bool amd = _i;

	bare_free();
	setup_model(amd ? "zen5," AVX512_FEATURES : ALL_FEATURES);
	for (unsigned i = 0; i < ARRAY_LEN(facts); i++) {
		const struct fact *f = &facts[i];
		u64 got;

		for (unsigned n = 0; n < 4; n++)
			pattern(n);
		memset(&c->v[2], 0, 16);
		memset(&c->v[3], 0, 16);
		memcpy(&c->v[2], f->v2, sizeof f->v2);
		memcpy(&c->v[3], f->v3, sizeof f->v3);
		c->r[RDI] = f->rdi;
		c->r[RAX] = f->rax;
		c->k[1] = f->k1;
		c->mxcsr = 0x1f80;
		ck_assert_msg(run(f->code, f->len) == (amd ? f->amd.vector : f->intel.vector), "%s", f->what);
		got = look_at(f->look);
		ck_assert_msg(got == (amd ? f->amd.value : f->intel.value), "%s: %llx", f->what,
			      (unsigned long long)got);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("avx512");
	TCase *t = tcase_create("avx512");

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* Check's children end with _exit */
	tcase_set_timeout(t, 240);
	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, naive);
	tcase_add_test(t, masked_faults);
	tcase_add_test(t, gathers);
	tcase_add_test(t, masks);
	tcase_add_test(t, state);
	tcase_add_loop_test(t, silicon, 0, 2);
	suite_add_tcase(suite, t);
	return bare_run(suite);
}
