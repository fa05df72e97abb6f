/* SPDX-License-Identifier: MIT */
/* Trials from random numbers: any encoding of a row of the instruction table, with operands that are where it hurts. */
#include <stdio.h>
#include <string.h>
#include "tests/silicon/trial.h"

/* ---- numbers ---- */

static u64 seed = 1;

void make_seed(u64 s)
{
	seed = s;
	for (unsigned i = 0; i < 2; i++) { /* splitmix64: neighbours must not look alike */
		seed += 0x9e3779b97f4a7c15;
		seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
		seed = (seed ^ seed >> 27) * 0x94d049bb133111eb;
		seed ^= seed >> 31;
	}
	seed |= 1;
}

u64 rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n) { return (unsigned)((rnd() >> 32) * n >> 32); }
static bool one_in(unsigned n) { return below(n) == 0; }

static u64 integer(void)
{
	static const u64 edges[] = { 0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000,
		0xffff, 0x10000, 0x7fffffff, 0x80000000,
				     0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
				     0x5555555555555555 };
	u64 v;

	switch (below(6)) {
	case 0: return rnd();
	case 1: return rnd() >> below(64);
	case 2: return (u64)1 << below(64);
	case 3: v = edges[below(ARRAY_LEN(edges))]; return one_in(2) ? v : ~v;
	case 4: v = edges[below(ARRAY_LEN(edges))]; return one_in(2) ? v : (u64)0 - v;
	default: return edges[below(ARRAY_LEN(edges))] ^ (rnd() & rnd() & rnd() & rnd());
	}
}

static u32 single(void)
{
	static const u32 edges[] = {
		0, 1, 2, 0x3f800000, 0x3f000000, 0x3fc00000, 0x40200000, 0x7f800000, 0x7f7fffff, 0x00800000, 0x007fffff,
			0x7fc00001, 0x7f800001, 0x7fffffff,
		0x4f000000, 0x4effffff, 0x5f000000, 0x4b000000, 0x4affffff, 0x3effffff, 0x20000000, 0x1fffffff,
		0x7e800000, 0x7fc00000, 0x7fa00000, 0x4f800000,
		0x477fe000, 0x477fefff, 0x477ff000, 0x38800000, 0x387fffff, 0x387fe000, 0x33800000, 0x33000000,
		0x33000001, 0x387ff000, 0x20000001, 0x1f800000,
	};

	switch (below(4)) {
	case 0: return edges[below(ARRAY_LEN(edges))] | (u32)(rnd() << 31);
	case 1: return (u32)rnd();
	case 2: return (edges[below(ARRAY_LEN(edges))] + below(5) - 2) ^ (u32)(rnd() << 31);
	default: return (0x70 + below(0x30)) << 23 | ((u32)rnd() & 0x807fffff);
	}
}

static u64 twice(void)
{
	static const u64 edges[] = {
		0, 1, 0x3ff0000000000000, 0x3fe0000000000000, 0x3ff8000000000000, 0x4004000000000000,
			0x7ff0000000000000, 0x7fefffffffffffff,
		0x0010000000000000, 0x000fffffffffffff, 0x7ff8000000000001, 0x7ff0000000000001, 0x41e0000000000000,
		0x41dfffffffc00000, 0x7ff8000000000000,
		0x41dfffffffffffff, 0x43e0000000000000, 0x43dfffffffffffff, 0x4330000000000000, 0x432fffffffffffff,
		0x3fdfffffffffffff, 0x7ff4000000000000,
		0x47efffffe0000000, 0x47effffff0000000, 0x3810000000000000, 0x380fffffffffffff, 0x36a0000000000000,
		0x3690000000000000, 0x2000000000000000,
		0x1ff8000000000000, 0x1e60000000000001,
	};

	switch (below(4)) {
	case 0: return edges[below(ARRAY_LEN(edges))] | rnd() << 63;
	case 1: return rnd();
	case 2: return (edges[below(ARRAY_LEN(edges))] + below(5) - 2) ^ rnd() << 63;
	default: return (u64)(0x3e0 + below(0x60)) << 52 | (rnd() & 0x800fffffffffffff);
	}
}

/* 80 bits: every class of SDM vol. 1, tables 4-3 and 8-3, and the formats that the 387 does away with. */
static void extended(u8 *p)
{
	static const u16 exponents[] = { 0, 1, 2, 0x3ffe, 0x3fff, 0x4000, 0x3fff - 63, 0x3fff + 15, 0x3fff + 31,
		0x3fff + 62, 0x3fff + 63, 0x3fff + 64, 0x7ffe, 0x7fff,
					 0x3fff - 1022, 0x3fff - 1074, 0x3fff - 126, 0x3fff - 149, 0x3fff + 127,
					 0x3fff + 1023, 0x3fff - 23, 0x3fff - 52 };
	static const u64 fractions[] = { (u64)1 << 63, ~(u64)0, (u64)3 << 62, (u64)3 << 62 | 1, (u64)1 << 63 | 1, 0, 1,
		(u64)1 << 62, ((u64)1 << 63) - 1,
					 0xffffff0000000000, 0xffffff8000000000, 0xfffffffffffff800, 0xfffffffffffffc00,
					 0xc90fdaa22168c235 };
	u16 exp = one_in(2) ? exponents[below(ARRAY_LEN(exponents))] : (u16)(0x3fff - 40 + below(80));
	u64 frac = one_in(2) ? fractions[below(ARRAY_LEN(fractions))] : rnd() | (u64)1 << 63;

	if (one_in(8))
		frac &= ~(u64)0 << below(64);
	if (one_in(24))
		frac = rnd() >> below(64);
	if (one_in(12)) { /* a class by itself */
		exp = one_in(2) ? 0x7fff : 0;
		frac = one_in(2) ? (u64)1 << 63 : 0;
	} else if (exp && exp != 0x7fff && !one_in(16)) {
		frac |= (u64)1 << 63;
	}
	put64(p, frac);
	put16(p + 8, exp | (u16)(rnd() & 0x8000));
}

static void sixteen(u8 *p)
{
	unsigned kind = below(12);

	for (unsigned i = 0; i < 2; i++) {
		u64 v = kind < 3 ? (u64)single() << 32 | single() : kind < 6 ? twice() : kind < 8 ? integer() : rnd();

		if (kind == 9)
			v &= rnd() & rnd() & 0x0707070707070707; /* small numbers, ends of strings */
		if (kind == 10)
			v = (u64)below(80) << 32 | below(80); /* counts */
		if (kind == 11)
			v |= (rnd() & 0x0101010101010101) * 0xff; /* saturation */
		put64(p + 8 * i, v);
	}
}

/* What vector registers have: as sixteen() makes them, and so many that hardly two trials have the same ones. */
static u8 values[1 << 14][16];

void make_values(u64 s)
{
	make_seed(s);
	for (unsigned i = 0; i < ARRAY_LEN(values); i++)
		sixteen(values[i]);
}

static void sixteens(void *to, unsigned count)
{
	u8 *p = to;
	u64 bits = 0;

	for (unsigned i = 0; i < count; i++, bits <<= 14) {
		if (i % 4 == 0)
			bits = rnd();
		memcpy(p + 16 * i, values[bits >> 50], 16);
	}
}

/* ---- rows ---- */

/* Rows that silicon and libvcpu need not do alike. */
bool row_usable(const struct isa_row *row, const char **why)
{
	static const struct { const char *names, *why; } not[] = {
		{ " rdtsc rdtscp rdpmc rdpid rdrand rdseed ", "its result is the host's own" },
		{ " cpuid xgetbv ", "the host has other features" },
		{ " syscall sysenter ", "goes to the host's kernel" },
		{ " rdpkru wrpkru ", "#UD or not, as the host's kernel has set CR4.PKE" },
		{ " sgdt sidt sldt str smsw ", "the host's kernel emulates it (UMIP)" },
		{ " verw ", "" },
	};
	char name[32];

	snprintf(name, sizeof name, " %.28s ", row->insn->mnemonic);
	for (unsigned i = 0; i < ARRAY_LEN(not) - 1; i++)
		if (strstr(not[i].names, name)) {
			*why = not[i].why;
			return false;
		}
	if (!row->enabled) {
		*why = host_has(row->insn->since) ? "not in the model" : "the host does not have it";
		return false;
	}
	return true;
}

bool row_in_mode(const struct isa_row *row, unsigned bits)
{
	bool only_64 = row->insn->modes == ONLY64 || (!row->vex && row->mask & row->match & KEY_W);

	return bits == 64 ? row->insn->modes != NO64 : !only_64;
}

static bool has_operand(const struct isa_row *row, unsigned kind)
{
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == kind)
			return true;
	return false;
}

static bool is(const struct isa_row *row, const char *names)
{
	char name[34];

	snprintf(name, sizeof name, " %.31s ", row->insn->mnemonic);
	return strstr(names, name);
}

/* What the words in memory should be. */
enum flavour { NUMBERS, ADDRESSES, SELECTORS, FPU_IMAGES };

static enum flavour flavour_of(const struct isa_row *row)
{
	if (is(row, " fxsave fxrstor xsave xrstor xsaveopt xsavec xsaves xrstors fldenv frstor "))
		return FPU_IMAGES;
	if (is(row, " lar lsl verr verw arpl lds les lss lfs lgs ") || has_operand(row, OPK_S) ||
	    (row->operands && row->operand[0].kind == OPK_FIXED && row->operand[0].size == 's'))
		return SELECTORS;
	if (row->insn->ends && !row->insn->rep)
		return ADDRESSES;
	return NUMBERS;
}

/* ---- encodings ---- */

struct encoded {
	u8 bytes[40];
	unsigned len, disp_at, disp_size; /* disp_size 0: none */
	struct dec d;
	struct op o;
};

static void add_prefix(u8 *list, unsigned *n, u8 b)
{
	unsigned at = below(*n + 1);

	memmove(list + at + 1, list + at, *n - at);
	list[at] = b;
	++*n;
}

static unsigned put_prefixes(u8 *out, const struct isa_row *row, unsigned bits, unsigned pp, bool legal)
{
	static const u8 which[4] = { 0, 0x66, 0xf3, 0xf2 }, segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	bool any = !(row->mask & KEY_PP);
	u8 list[12];
	unsigned n = 0;

	if (pp)
		add_prefix(list, &n, which[pp]);
	if (row->mask & KEY_O16 ? !(row->match & KEY_O16) == (bits == 16) : (any || pp >= 2) && one_in(6))
		add_prefix(list, &n, 0x66);
	if (one_in(8))
		add_prefix(list, &n, 0x67);
	if (one_in(8))
		add_prefix(list, &n, segs[below(6)]);
	if (row->insn->lock && one_in(5))
		add_prefix(list, &n, 0xf0);
	if (any && one_in(row->insn->rep ? 2 : 30))
		add_prefix(list, &n, one_in(2) ? 0xf2 : 0xf3);
	if (!legal) {
		add_prefix(list, &n, (u8[]){ 0xf0, 0x66, 0xf2, 0xf3, 0x26, 0x67 }[below(6)]);
		if (n)
			add_prefix(list, &n, list[below(n)]);
	}
	memcpy(out, list, n);
	return n;
}

/* Immediates and displacements to come. */
static void put_tail(u8 *p, unsigned len)
{
	unsigned kind = below(6);

	for (unsigned i = 0; i < len; i += 8)
		put64(p + i, kind == 0 ? 0 : kind == 1 ? ~(u64)0 : kind == 2 ? below(64) : kind == 3 ? integer()
			: rnd());
}

static unsigned put_vex(u8 *p, const struct isa_row *row, unsigned bits, unsigned pp, unsigned w)
{
	bool uses_v = has_operand(row, OPK_H) || has_operand(row, OPK_B);
	unsigned l = row->mask & KEY_L ? row->match >> 12 & 1
				       : below(2) & (!row->insn->wide || host_has(row->insn->wide)),
		 v = uses_v || one_in(60) ? below(16) : 0;
	unsigned rxb = bits == 64 ? below(8) : one_in(2) ? 0 : 1;

	if (bits != 64)
		v &= 7;
	if (row->map == 1 && !w && !(rxb & 3) && one_in(2)) {
		p[0] = 0xc5;
		p[1] = (u8)((rxb & 4 ? 0 : 0x80) | (~v & 15) << 3 | l << 2 | pp);
		return 2;
	}
	p[0] = 0xc4;
	p[1] = (u8)((~rxb & 7) << 5 | row->map);
	p[2] = (u8)(w << 7 | (~v & 15) << 3 | l << 2 | pp);
	return 3;
}

/* LEGAL: nothing that the row cannot have, mostly. */
static unsigned put_evex(u8 *p, const struct isa_row *row, unsigned bits, unsigned pp, unsigned w, bool legal)
{
	const struct insn *insn = row->insn;
	unsigned l = row->mask & KEY_L2 ? (row->match & KEY_L ? 1 : 0) | (row->match & KEY_L2 ? 2 : 0) : below(3),
		 v = has_operand(row, OPK_H) || has_operand(row, OPK_B) || one_in(60) ? below(32) : 0,
		 x = (unsigned)(rnd() >> 60), b = one_in(3), z = 0, k = 0;

	if (insn->vsib)
		v = below(32) & 16;
	if (insn->masking == MASKING_MUST || (insn->masking == MASKING_ANY && !one_in(3))) {
		k = one_in(30) ? 0 : 1 + below(7);
		z = k && one_in(3);
	}
	if (b && insn->rounding)
		l = below(4);
	else if (!legal && one_in(4))
		l = 3;
	if (bits != 64) { /* R and X are what tells it from BOUND; R' and B do not count, V' must not be there */
		x = one_in(8) ? x & 3 : 0;
		v &= one_in(16) ? 31 : 7;
	}
	p[0] = 0x62;
	p[1] = (u8)((~x & 15) << 4 | row->map | (!legal && one_in(8) ? 8 : 0));
	p[2] = (u8)(w << 7 | (~v & 15) << 3 | (!legal && one_in(8) ? 0 : 4) | pp);
	p[3] = (u8)(z << 7 | l << 5 | b << 4 | (v & 16 ? 0 : 8) | k);
	return 4;
}

/* VPBROADCASTx from RSP with EVEX.X set, which does not count for a general register: behind a PUSH, family 26 of AMD's
 * takes the RSP in front of that. It is left out. */
static void spare_stack_engine(u8 *prefix, const struct isa_row *row, unsigned modrm)
{
	if ((has_operand(row, OPK_E) || has_operand(row, OPK_R)) && (modrm & 0xc7) == 0xc4)
		prefix[1] |= 0x40;
}

/* LEGAL: no prefix that does not belong. */
static void put_row(struct encoded *c, const struct isa_row *row, unsigned bits, bool legal)
{
	unsigned pp = row->mask & KEY_PP ? row->match >> 9 & 3 : 0, w = row->mask & KEY_W        ? row->match >> 11 & 1
									: bits == 64 || row->vex ? one_in(3)
												 : 0;
	u8 *p = c->bytes, modrm = (u8)((rnd() & ~row->mask) | (row->match & 0xff));
	bool asize_prefix = false, mem;
	u8 *prefix = NULL;
	unsigned at;

	if (row->vex) {
		unsigned n = 0;

		if (one_in(8))
			p[n++] = 0x67;
		if (one_in(8))
			p[n++] = (u8[]){ 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 }[below(6)];
		if (!legal)
			p[n++] = (u8[]){ 0x66, 0xf2, 0xf3, 0xf0, 0x48, 0x67 }[below(6)];
		p += n;
		prefix = row->evex ? p : NULL;
		p += row->evex ? put_evex(p, row, bits, pp, w, legal) : put_vex(p, row, bits, pp, w);
	} else {
		p += put_prefixes(p, row, bits, pp, legal);
		if (bits == 64) {
			u8 rex = (u8)(0x40 | w << 3 | (one_in(2) ? below(8) : 0));

			if (!legal && one_in(2)) { /* one before the others does not count */
				memmove(c->bytes + 1, c->bytes, (size_t)(p - c->bytes));
				*c->bytes = (u8)(0x40 | below(16));
				p++;
			}
			if (rex != 0x40 || one_in(6))
				*p++ = rex;
		}
		if (row->map)
			*p++ = 0x0f;
		if (row->map >= 2)
			*p++ = row->map == 2 ? 0x38 : 0x3a;
	}
	for (u8 *q = c->bytes; q < p; q++)
		if (*q == 0x67)
			asize_prefix = true;
	*p++ = (u8)(row->opcode | (row->opcode_mask == 0xf8 ? below(8) : 0));
	c->disp_size = 0;
	if (row->modrm) {
		unsigned asize = bits == 64 ? (asize_prefix ? 4 : 8) : (bits == 16) != asize_prefix ? 2 : 4, rm, mod;

		if (row->mask & KEY_MEM) {
			mem = row->match & KEY_MEM;
		} else {
			mem = one_in(2);
		}
		if ((row->mask & 0xc0) != 0xc0)
			modrm = (u8)(mem ? (modrm & 0x3f) | below(3) << 6 : modrm | 0xc0);
		if (has_operand(row, OPK_S) && !one_in(30))
			modrm = (u8)((modrm & 0xc7) | below(6) << 3);
		if (row->insn->vsib && mem)
			modrm = (u8)((modrm & 0xf8) | 4);
		*p++ = modrm;
		if (prefix)
			spare_stack_engine(prefix, row, modrm);
		mod = modrm >> 6;
		rm = modrm & 7;
		at = (unsigned)(p - c->bytes);
		if (mod == 3) {
			c->disp_size = 0;
		} else if (asize == 2) {
			c->disp_size = mod == 0 && rm == 6 ? 2 : mod;
			c->disp_at = at;
		} else {
			u8 sib = (u8)rnd();

			if (rm == 4) {
				*p++ = sib;
				at++;
			}
			c->disp_at = at;
			c->disp_size = mod == 1                                                             ? 1
				       : mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5))) ? 4
													    : 0;
		}
	}
	at = (unsigned)(p - c->bytes);
	put_tail(p, 16);
	if (c->disp_size == 4 && one_in(2))
		put32(p, below(256) - 128);
	if (has_operand(row, OPK_J)) /* not too far: INT3 is there */
		put64(p, one_in(12) ? integer() : (u64)(s64)((int)below(1024) - 300));
	if (has_operand(row, OPK_A)) {
		unsigned n = (bits == 16) == (memchr(c->bytes, 0x66, at - 1) == NULL) ? 2 : 4;

		put32(p, bits == 16 ? CODE + below(0x1f00) : WINDOW + CODE + below(0x1f00));
		put16(p + n, one_in(3) ? (u16)rnd() : bits == 16 ? ldt(L_CODE16) : one_in(2) ? ldt(L_CODE32)
			: USER_CS32);
	}
	if (is(row, " enter ") && !one_in(4))
		p[1] = 0;
	if (is(row, " int ") && !(p[0] >= 5 && p[0] < 0x80))
		p[0] = 0x21;
}

/* An encoding of ROW that libvcpu decodes, mostly. False: it would not. */
static bool encode(struct encoded *c, const struct isa_row *row, unsigned bits)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		bool legal = !one_in(32);

		put_row(c, row, bits, legal);
		switch (guest_decode(bits, c->bytes, 15, &c->d, &c->o)) {
		case DECODE_OK:
			c->len = c->d.len;
			if (c->d.row == row || !legal)
				return true;
			break;
		default:
			break;
		}
	}
	return false;
}

/* ---- operands ---- */

static const struct isa_row *row_of(const struct encoded *c)
{
	return c->d.row->insn - insn_table + guest->isa->rows;
}

static unsigned code_base(unsigned bits) { return bits == 16 ? 0 : WINDOW; }

/* Where code is, as a number that jumps there, or rarely anything. */
static u64 address(unsigned bits)
{
	u64 v = code_base(bits) + CODE + below(CODE_END - CODE - 1);

	if (one_in(16))
		return integer();
	if (one_in(32))
		return v ^ (u64)1 << below(64);
	return v;
}

static u16 selector(void)
{
	static const u16 some[] = { 0, 3, USER_CS, USER_CS32, USER_DS, 0x28, 0x10, 0x18, 0x7b, 0x43, 0x53, 0x8b };

	switch (below(8)) {
	case 0: return (u16)rnd();
	case 1: case 2: return some[below(ARRAY_LEN(some))];
	case 3: return ldt(below(L_COUNT + 2)) & 0xfffc;
	default: return ldt(below(L_COUNT));
	}
}

static u16 code_selector(unsigned bits)
{
	if (one_in(8))
		return selector();
	if (bits == 16)
		return ldt(L_CODE16);
	return one_in(3) ? USER_CS : one_in(2) ? USER_CS32 : ldt(L_CODE32);
}

static struct poke *add_poke(struct trial *t, unsigned at, unsigned len)
{
	struct poke *p = &t->poke[t->pokes < POKES + 1 ? t->pokes++ : POKES];

	if (at > WINDOW_SIZE - 1)
		at = WINDOW_SIZE - 1;
	if (len > WINDOW_SIZE - at)
		len = WINDOW_SIZE - at;
	p->at = (u16)at;
	p->len = (u16)len;
	return p;
}

/* The components of XSAVE's area that the host and libvcpu have alike. */
static u32 user_components(void) { return host_avx512() ? 0xe7 : 7; }

static void fill(struct trial *t, struct poke *p, enum flavour flavour)
{
	unsigned kind = below(10), step = t->bits / 8, len = p->len < 128 || flavour == FPU_IMAGES ? p->len : 128;

	p->len = (u16)len;
	if (flavour == FPU_IMAGES && p->len > 600) {
		for (unsigned i = 0; i < p->len; i++)
			p->bytes[i] = (u8)rnd();
		put32(p->bytes + 24, 0x1f80 & (u32)(rnd() | rnd()));
		put16(p->bytes, 0x37f);
		memset(p->bytes + 512, 0, 64);
		put64(p->bytes + 512, rnd() & user_components());
		if (one_in(16))
			p->bytes[512 + below(32)] ^= (u8)(1 << below(8));
		/* components that the host may have besides: AVX-512, PKRU, AMX */
		put32(p->bytes + 512, get32(p->bytes + 512) & ~(0x602e0u & ~user_components()));
		if (one_in(4))
			memset(p->bytes + 416, 0, 96);
		return;
	}
	for (unsigned i = 0; i + 16 <= sizeof p->bytes && i < len; i += 16) {
		u8 *b = p->bytes + i;

		if (flavour == ADDRESSES && kind < 8) {
			for (unsigned k = 0; k < 16; k += step)
				put_size(b + k, step,
					 (k / step & 1) ? (kind < 4 ? code_selector(t->bits) : address(t->bits))
							: address(t->bits));
			if (kind == 0 && t->bits == 64) { /* m16:32 */
				put32(b, (u32)address(64));
				put16(b + 4, code_selector(64));
			}
		} else if (flavour == SELECTORS && kind < 8) {
			for (unsigned k = 0; k < 16; k += 2)
				put16(b + k, selector());
		} else if (kind < 3) {
			put64(b, integer());
			put64(b + 8, one_in(2) ? integer() : get64(b));
		} else if (kind < 5) {
			sixteen(b);
			extended(b);
		} else if (kind == 5) {
			for (unsigned k = 0; k < 16; k++) /* decimal digits */
				b[k] = (u8)(below(10) << 4 | below(10));
			if (one_in(2))
				memset(b + below(10), 0, 4);
			if (one_in(8))
				put16(b + 8, 0xffff);
		} else {
			sixteen(b);
		}
	}
}

/* A place in the window, for an operand of SIZE bytes. */
static unsigned place(unsigned size)
{
	static const u16 starts[] = { DATA, STACK, DATA2, READ_ONLY, CODE + 0x1800 },
			 ends[] = { 0x3000, STACK_END, 0xffff, 0x5000, CODE_END };
	unsigned i = one_in(12) ? 3 : one_in(24) ? 4 : one_in(5) ? 2 : one_in(5) ? 1 : 0;
	unsigned room = ends[i] - starts[i];

	switch (below(8)) {
	case 0: return ends[i] - below(size + 2);        /* over the end */
	case 1: return starts[i] - below(size + 2);
	case 2: return (i == 0 ? 0x2000 : ends[i]) - size; /* just not; between two pages */
	case 3: return (i == 0 ? 0x2000 : ends[i] - size) - below(size + 1);
	case 4: return starts[i] + below(room - 64);
	default: return starts[i] + (below(room - 64) & ~63u);
	}
}

/* Make C's memory operand be at the window's AT, through registers and displacement. */
static void aim(struct trial *t, struct encoded *c, unsigned at, u64 rip)
{
	struct op *o = &c->o;
	struct state *s = &t->in;
	unsigned asize = op_asize(o), seg = c->d.seg;
	u64 mask = op_amask(o), base = 0, target, rest;

	if (t->bits != 64)
		base = segment_base(s->seg[seg]);
	else if (seg == FS || seg == GS)
		base = seg == FS ? s->fs_base : s->gs_base;
	target = WINDOW + at - base;
	if (t->bits == 64 && asize == 8 && one_in(100))
		target = one_in(2) ? (u64)1 << (40 + below(24)) : integer(); /* not canonical, the kernel's */
	if (o->base == 8 * RIP || (o->base == 8 * RZERO && o->index == 8 * RZERO && !c->d.row->insn->vsib)) {
		s64 disp = (s64)(target - (o->base == 8 * RIP ? rip + c->len : 0));

		if (c->disp_size < asize && disp != (s32)disp)
			disp = -0x5000; /* anywhere but into the code */
		if (c->disp_size)
			put_size(c->bytes + c->disp_at, c->disp_size, (u64)disp);
		return;
	}
	rest = target - (u64)(s64)o->disp;
	if (o->base == 8 * RZERO && o->index == 8 * RZERO) {
		return; /* a vector register alone */
	} else if (o->base == 8 * RZERO) {
		s->r[o->index / 8] = (rest >> (o->scale & 3)) | (asize == 8 ? 0 : rnd() & ~mask);
	} else if (o->index == 8 * RZERO || c->d.row->insn->vsib) {
		s->r[o->base / 8] = (rest & mask) | (asize < 8 ? integer() & ~mask : 0);
	} else if (o->base != o->index) {
		u64 index = one_in(2) ? below(64) : integer();

		s->r[o->index / 8] = index;
		s->r[o->base / 8] = ((rest - (index << (o->scale & 3))) & mask) | (asize < 8 ? integer() & ~mask : 0);
	} else {
		s->r[o->base / 8] = rest / (1 + (1u << (o->scale & 3)));
	}
	if (t->bits != 64)
		for (unsigned i = 0; i < 8; i++)
			s->r[i] = (u32)s->r[i];
}

/* ---- states ---- */

static void pick_wide(struct avx512_image *z)
{
	sixteens(z->zmm, 64);
	sixteens(z->zmm_high, 32);
	for (unsigned i = 0; i < 8; i++)
		z->k[i] = one_in(6) ? ~(u64)0 : one_in(4) ? integer() : one_in(3) ? rnd() & rnd() & rnd() : rnd();
}

static void pick_state(struct trial *t)
{
	struct state *s = &t->in;
	unsigned top = below(8);

	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < (t->bits == 64 ? 16 : 8); i++)
		s->r[i] = t->bits == 64 ? integer() : (u32)integer();
	s->flags = FL_1 | FL_I | (rnd() & OSZAPC) | (one_in(6) ? FL_D : 0) | (one_in(24) ? FL_AC : 0);
	s->seg[CS] = t->bits == 64 ? USER_CS : t->bits == 16 ? ldt(L_CODE16) : one_in(2) ? USER_CS32 : ldt(L_CODE32);
	s->seg[SS] = t->bits == 64 || one_in(3) ? USER_DS : one_in(2) ? ldt(L_DATA16) : ldt(L_DATA32);
	if (t->bits == 16 && !one_in(4))
		s->seg[SS] = ldt(L_DATA16);
	if (t->bits == 64) {
		s->fs_base = one_in(2) ? WINDOW + DATA : rnd() >> 17;
		s->gs_base = one_in(2) ? WINDOW : rnd() >> 17;
	} else {
		static const u8 usual[] = { L_DATA32, L_DATA16, L_ODD,  L_DATA32, L_DATA16,
					    L_SMALL,  L_DOWN,   L_READ, L_CODE32, L_DOWN16 };

		for (unsigned i = ES; i <= GS; i++)
			if (i != CS && i != SS)
				s->seg[i] = one_in(40)  ? 0
					    : one_in(4) ? USER_DS
							: ldt(usual[one_in(2) ? below(5) : below(ARRAY_LEN(usual))]);
	}
	s->f.cw = (u16)(0x7f | (rnd() & 0xf00));
	if (one_in(3))
		s->f.cw = 0x37f;
	if (one_in(4))
		s->f.cw &= (u16)~(rnd() & 0x3f);
	s->f.sw = (u16)(top << 11 | (rnd() & 0x4700) | (one_in(4) ? rnd() & 0x3f & (one_in(8) ? 0x3f : s->f.cw) : 0));
	if (s->f.sw & ~s->f.cw & 0x3f)
		s->f.sw |= 0x8080;
	for (unsigned n = 0; n < 8; n++)
		if (!(one_in(8) || (n == ((top + 7) & 7) && !one_in(3))))
			s->f.tags |= (u8)(1 << n);
	for (unsigned i = 0; i < 8; i++)
		extended(s->f.st[i]);
	if (one_in(8))
		memcpy(s->f.st[0], s->f.st[1], 10);
	if (one_in(8))
		put16(s->f.st[1] + 8, (u16)(get16(s->f.st[0] + 8) + below(3) - 1));
	s->f.mxcsr = 0x1f80;
	if (one_in(2)) {
		s->f.mxcsr |= (u32)rnd() & 0xe07f & (one_in(2) ? ~0u : 0xe040);
		if (one_in(3))
			s->f.mxcsr &= (u32)rnd() | ~0x1f80u;
	}
	sixteens(s->f.xmm, 16);
	sixteens(s->f.ymm_high, 16);
	if (host_avx512())
		pick_wide(&s->z);
	if (one_in(4)) {
		unsigned a = below(16), b = below(16);

		memcpy(s->f.xmm[a], s->f.xmm[b], 16);
		if (one_in(2)) /* numbers that cancel */
			for (unsigned i = 0; i < 4; i++)
				put32(s->f.xmm[a] + 4 * i,
					get32(s->f.xmm[a] + 4 * i) ^ (u32)(rnd() << 31) ^ (u32)(rnd() & 1));
	}
}

/* Implicit operands: strings, stacks, counts. */
static void pick_implicit(struct trial *t, const struct isa_row *row)
{
	struct state *s = &t->in;
	unsigned stack = STACK + 0x400 + 8 * below(0x180);
	struct { unsigned reg, seg; } pointers[] = { { RSI, DS }, { RDI, ES }, { RBX, DS }, { RBP, SS } };
	bool rep = row->insn->rep || is(row, " movs stos cmps lods scas ");

	if (one_in(16))
		stack = one_in(2) ? STACK + below(40) : STACK_END - below(40);
	if (one_in(16))
		stack ^= 1 + below(7);
	s->r[RSP] = stack + (t->bits == 64 ? WINDOW : WINDOW - segment_base(s->seg[SS]));
	if (t->bits != 64) {
		s->r[RSP] = (u32)s->r[RSP];
		if (s->seg[SS] == ldt(L_DATA16) && one_in(2))
			s->r[RSP] |= rnd() << 16 & 0xffff0000;
	}
	if (one_in(64))
		s->r[RSP] = t->bits == 64 ? integer() : (u32)integer();
	for (unsigned i = 0; i < ARRAY_LEN(pointers); i++)
		if (rep || one_in(2)) {
			unsigned at = place(8);

			/* a string over the code itself: who knows what was fetched */
			if (rep && at >= CODE && at < CODE_END)
				at = DATA;
			s->r[pointers[i].reg] = t->bits == 64
							? WINDOW + at
							: (u32)(WINDOW + at - segment_base(s->seg[pointers[i].seg]));
			if (i < 2 && rep) {
				struct poke *p = add_poke(t, at > 24 ? at - 24 : 0, 64);

				fill(t, p, NUMBERS);
				if (one_in(2))
					memset(p->bytes, 0x55, p->len);
			}
		}
	if (rep && !one_in(8))
		s->r[RCX] = below(48) | (t->bits != 64 && one_in(2) ? 0x10000 : 0);
	if (rep && one_in(2))
		s->r[RAX] = 0x5555555555555555 & (t->bits == 64 ? ~(u64)0 : 0xffffffff);
	if (is(row, " loop loope loopne jcxz ") && one_in(2))
		s->r[RCX] = below(3) | (one_in(3) ? integer() << 16 : 0);
	if (is(row, " div idiv ")) {
		s->r[RDX] = one_in(2) ? 0 : one_in(2) ? ~(u64)0 : below(300);
		if (one_in(3))
			s->r[RAX] = rnd() & 0xffff;
	}
	if (row->insn->vsib && one_in(2)) /* elements near each other, in half of the registers */
		for (unsigned i = 0; i < 16; i += 2)
			for (unsigned k = 0; k < 16; k += 4) {
				put32(s->f.xmm[i] + k, row->match & KEY_W || k & 4 ? 0 : below(100));
				put32(s->f.ymm_high[i] + k, k & 4 ? 0 : below(100));
			}
	for (unsigned i = 0; i < 16 && row->evex && row->insn->vsib; i += 2) /* the same of the wide ones */
		for (unsigned k = 0; k < 64; k += 4) {
			put32(s->z.zmm[i] + k, row->match & KEY_W || k & 4 ? 0 : below(100));
			if (k < 32)
				put32(s->z.zmm_high[i] + k, k & 4 ? 0 : below(100));
		}
	if (is(row, " xsave xrstor xsaveopt xsavec xsaves xrstors ")) { /* the host may have more components */
		s->r[RAX] = rnd() & user_components();
		s->r[RDX] = 0;
	}
	if (is(row, " cmpxchg8b cmpxchg16b cmpxchg ") && one_in(2)) {
		s->r[RAX] = get64(window_default + DATA);
		s->r[RDX] = get64(window_default + DATA) >> 32;
	}
	if (t->bits != 64)
		for (unsigned i = 0; i < 8; i++)
			s->r[i] = (u32)s->r[i];
}

static void pick_stack(struct trial *t, enum flavour flavour)
{
	u64 linear = t->in.r[RSP] + (t->bits == 64 ? 0 : segment_base(t->in.seg[SS]));

	if (t->in.seg[SS] == ldt(L_DATA16))
		linear = WINDOW + (t->in.r[RSP] & 0xffff);
	if (linear >= WINDOW && linear < WINDOW + WINDOW_SIZE) {
		struct poke *p = add_poke(t, (unsigned)(linear - WINDOW), 64);

		fill(t, p, flavour == SELECTORS ? SELECTORS : ADDRESSES);
		if (flavour == NUMBERS && one_in(2))
			put64(p->bytes, rnd() & 0x244cd5);
	}
}

/* ---- single instructions ---- */

void make_single(struct trial *t, const struct isa_row *row, unsigned bits)
{
	enum flavour flavour;
	struct encoded c;
	unsigned at = CODE + 0x400 + below(0x400), target, before;
	bool fits;

	t->bits = (u8)bits;
	t->pokes = 1;
	t->count = 1;
	t->start[0] = 0;
	pick_state(t);
	fits = encode(&c, row, bits);
	if (!fits) {
		c.len = 15; /* whatever it is, it is not an instruction */
		c.d.row = row;
		t->poke[0].len = 0;
		t->count = 0;
		return;
	}
	row = row_of(&c);
	flavour = flavour_of(row);
	if (one_in(40))
		at = one_in(2) ? CODE_END - below(c.len + 3) : 0x7000 - below(c.len);
	t->in.rip = code_base(bits) + at;
	pick_implicit(t, row);
	if (flavour == ADDRESSES && !one_in(4))
		for (unsigned i = 0; i < (bits == 64 ? 16 : 8); i++)
			if (i != RSP && one_in(2))
				t->in.r[i] = address(bits) & (bits == 64 ? ~(u64)0 : 0xffffffff);
	if (flavour == SELECTORS && one_in(2))
		for (unsigned i = 0; i < (bits == 64 ? 16 : 8); i++)
			if (i != RSP)
				t->in.r[i] = selector() | (one_in(3) ? integer() << 16 & 0xffffffff : 0);
	if (c.d.mem || has_operand(row, OPK_O)) {
		unsigned size = dec_size(&c.d, c.d.mem && dec_is_mem(&c.d, 0) ? 0 : 1);

		target = place(size ? size : 8);
		if (target + 64 > at && target < at + 64)
			target = DATA; /* not the code itself */
		if (flavour == FPU_IMAGES)
			target = one_in(8) ? place(64) : DATA + 64 * below(40);
		if (c.d.mem) {
			bool bits_too = is(row, " bt bts btr btc ") && row->operand[1].kind == OPK_G;

			aim(t, &c, target, t->in.rip);
			if (bits_too && !one_in(4) && c.o.src != c.o.base && c.o.src != c.o.index)
				t->in.r[c.o.src / 8] = (u64)(s64)((int)below(512) - 128) & (bits == 64 ? ~(u64)0
					: 0xffffffff);
		} else {
			u64 base = bits != 64      ? segment_base(t->in.seg[c.d.seg])
				   : c.d.seg == FS ? t->in.fs_base
				   : c.d.seg == GS ? t->in.gs_base
						   : 0;

			put_size(c.bytes + c.len - c.d.asize, c.d.asize, WINDOW + target - base);
		}
		before = target > 8 ? (one_in(2) ? 8 : 0) : target;
		if (flavour == FPU_IMAGES)
			fill(t, add_poke(t, target, 832), flavour);
		else
			fill(t, add_poke(t, target - before, 96), flavour);
	}
	if (is(row, " xsave xrstor xsaveopt xsavec xsaves xrstors ") && t->in.r[RAX] & ~(u64)user_components()) {
		/* it was the address, too */
		t->count = 0;
		return;
	}
	if (is(row, " movdir64b ") && !one_in(4))
		t->in.r[c.o.dst / 8 & 15] = (WINDOW + DATA + 64 * below(100)) & (bits == 64 ? ~(u64)0 : 0xffffffff);
	if (row->insn->d64 || row->insn->ends || is(row, " popa leave "))
		pick_stack(t, flavour);
	t->row[0] = (u16)(row->insn - insn_table);
	t->undefined = t->ever = row->insn->undef;
	t->poke[0].at = (u16)at;
	t->poke[0].len = (u16)(c.len > CODE_END - at ? CODE_END - at : c.len);
	memcpy(t->poke[0].bytes, c.bytes, c.len);
	t->poke[0].bytes[t->poke[0].len] = 0xcc; /* whatever other pokes have put there */
	t->poke[0].len += at + c.len < CODE_END;
	t->through = one_in(2) || row->insn->ends || at + c.len >= CODE_END || is(row, " popf ");
	if (t->through && row->insn->ends) /* it may lead into its own bytes: who knows what they do */
		t->ever = OSZAPC;
}

/* ---- sequences ---- */

static bool is_jump(const struct isa_row *row) { return has_operand(row, OPK_J) && !is(row, " call jmp "); }

static bool may_be_in_sequence(const struct isa_row *row)
{
	const char *why;

	if (!row_usable(row, &why) || row->insn->pg == PRIVILEGED || flavour_of(row) == FPU_IMAGES ||
	    flavour_of(row) == SELECTORS)
		return false;
	if (row->insn->ends && !row->insn->rep && !is_jump(row))
		return false;
	if (row->insn->rep && is(row, " movs stos ")) /* they would run over the code */
		return false;
	return !is(
		row,
		" popf enter leave popa bound ud0 ud1 ud2 rcpps rcpss rsqrtps rsqrtss vrcpps vrcpss vrsqrtps vrsqrtss "
		"vrcp14ps vrcp14pd vrcp14ss vrcp14sd vrsqrt14ps vrsqrt14pd vrsqrt14ss vrsqrt14sd "
		"f2xm1 fyl2x fyl2xp1 fptan fpatan fsin fcos fsincos int1 movdir64b fnsave fnstenv wrfsbase wrgsbase fninit ");
}

static bool in_sequence(const struct isa_row *row)
{
	static u8 known[MAX_ROWS]; /* 1: not, 2: it may */
	u8 *k = &known[row - guest->isa->rows];

	if (!*k)
		*k = may_be_in_sequence(row) ? 2 : 1;
	return *k == 2;
}

/* What compilers write most, where the engine is at its most clever. */
static unsigned usual_rows(unsigned bits, const struct isa_row ***rows)
{
	static const struct isa_row *list[3][MAX_ROWS];
	static unsigned count[3];
	unsigned mode = bits >> 5;

	if (!count[mode])
		for (unsigned i = 0; i < insn_count; i++) {
			const struct isa_row *row = &guest->isa->rows[i];

			if (in_sequence(row) && row_in_mode(row, bits) && row->insn->pure && row->insn->since <= F_I486)
				list[mode][count[mode]++] = row;
		}
	*rows = list[mode];
	return count[mode];
}

/* One that may be next: half of them are usual, the others are of the N rows of POOL, if those can be. */
static const struct isa_row *next_row(unsigned bits, const struct isa_row **pool, unsigned n)
{
	unsigned want = below(8);

	if (want >= 1 && want < 5) {
		const struct isa_row **rows;
		unsigned count = usual_rows(bits, &rows);

		return rows[below(count)];
	}
	for (unsigned tries = 0;; tries++) {
		const struct isa_row *row = want == 0 || tries >= 64 ? &guest->isa->rows[below(insn_count)] : pool[below(n)];

		if (in_sequence(row) && row_in_mode(row, bits) && (want || is_jump(row)))
			return row;
	}
}

/* Does C write general register REG that others count on? */
static unsigned written(const struct encoded *c)
{
	unsigned kind = dec_kind(&c->d, 0), regs = 1 << RAX | 1 << RCX | 1 << RDX;

	if (kind == OPK_G || kind == OPK_Z || kind == OPK_R || (kind == OPK_E && !c->d.mem))
		regs |= 1u << (c->o.dst / 8 & 15);
	if (kind == OPK_B)
		regs |= 1u << (c->o.third / 8 & 15);
	if (is(row_of(c), " xchg xadd cmpxchg ") && dec_kind(&c->d, 1) != OPK_NONE)
		regs |= 1u << (c->o.src / 8 & 15);
	if (is(row_of(c), " mulx "))
		regs |= 1u << (c->o.third / 8 & 15);
	return regs;
}

static unsigned jump_size(const struct encoded *c)
{
	return c->d.row->operand[0].size == 'b' ? 1 : c->d.osize == 2 ? 2 : 4;
}

void make_sequence(struct trial *t, unsigned bits, const struct isa_row **pool, unsigned size)
{
	unsigned n = 2 + below(11), at = CODE + 0x400 + below(0x400), len = 0, changed = 1 << RAX | 1 << RCX | 1 << RDX,
		 aimed = 1 << RSP, tries = 0, floor = 0;
	struct { unsigned at, size; } jumps[16], imms[16];
	unsigned njumps = 0, nimms = 0, patch = one_in(4) && bits == 64 ? 1 + below(3) : 0, patch_at = 0;
	struct poke *code = &t->poke[0];

	t->bits = (u8)bits;
	t->pokes = 1;
	t->count = 0;
	t->undefined = t->ever = 0;
	t->through = true;
	pick_state(t);
	t->in.flags &= ~(u64)FL_AC;
	pick_implicit(t, &guest->isa->rows[0]);
	if (one_in(40))
		at = 0x7000 - below(40);
	t->in.rip = code_base(bits) + at;
	while (t->count < n && len < 150 && tries++ < 60) {
		struct encoded c;
		unsigned dst;

		if (patch && patch == t->count) { /* MOV byte [RIP + ...], imm8: into an instruction to come */
			memcpy(code->bytes + len, "\xc6\x05\0\0\0\0", 6);
			code->bytes[len + 6] = (u8)rnd();
			patch_at = len;
			t->start[t->count] = (u16)len;
			guest_decode(bits, code->bytes + len, 15, &c.d, &c.o);
			t->row[t->count++] = (u16)(c.d.row->insn - insn_table);
			len += 7;
			continue;
		}
		if (!encode(&c, next_row(bits, pool, size), bits) || !in_sequence(row_of(&c)) || c.d.row->insn->uses & t->undefined)
			continue;
		dst = written(&c);
		if (dst & aimed)
			continue;
		if (c.d.mem) {
			unsigned base = c.o.base / 8, index = c.o.index / 8,
				 regs = (base < 16 ? 1u << base : 0) | (index < 16 ? 1u << index : 0);

			if (c.d.seg == FS || c.d.seg == GS || c.o.index == 8 * R2GIB || (regs & changed && !one_in(30)))
				continue;
			if (regs & aimed ? index < 16 : regs & changed)
				continue;
			if (!(regs & aimed)) {
				unsigned target = place(16);

				if (target >= CODE && target < CODE_END)
					continue;
				aim(t, &c, target, t->in.rip + len);
				if (t->pokes < 3)
					fill(t, add_poke(t, target > 8 ? target - 8 : 0, 96), NUMBERS);
				aimed |= regs;
				if (dst & aimed & ~changed)
					dst &= ~aimed;
			}
		} else if (has_operand(c.d.row, OPK_O)) {
			continue;
		}
		changed |= dst;
		memcpy(code->bytes + len, c.bytes, c.len);
		t->start[t->count] = (u16)len;
		t->row[t->count++] = (u16)(c.d.row->insn - insn_table);
		len += c.len;
		t->undefined = (t->undefined & ~c.d.row->insn->flags) | c.d.row->insn->undef | floor;
		t->ever |= t->undefined;
		if (is_jump(row_of(&c))) {
			jumps[njumps].at = len;
			jumps[njumps++].size = jump_size(&c);
			floor |= t->undefined;
		} else if (c.d.row->operands && dec_kind(&c.d, c.d.row->operands - 1u) == OPK_I && t->count > patch) {
			imms[nimms++].at = len - 1;
		}
	}
	for (unsigned i = 0; i < njumps; i++) { /* forwards, to the beginning of another */
		unsigned later = 0, to = len;

		while (later < t->count && t->start[later] < jumps[i].at)
			later++;
		if (later < t->count)
			to = t->start[later + below(t->count - later)];
		put_size(code->bytes + jumps[i].at - jumps[i].size, jumps[i].size, to - jumps[i].at);
	}
	if (patch_at && nimms)
		put32(code->bytes + patch_at + 2, imms[below(nimms)].at - (patch_at + 7));
	else if (patch_at)
		put32(code->bytes + patch_at + 2, (u32)-0x5000);
	if (t->in.flags & FL_D && one_in(2))
		t->in.flags &= ~(u64)FL_D;
	code->at = (u16)at;
	code->len = (u16)(len + 1);
	code->bytes[len] = 0xcc;
}
