/* SPDX-License-Identifier: MIT */
/* APX: its encodings against the tables of others (apx_tables.h), its integer instructions at random against a naive
 * implementation (apx_naive.h), and, step by step, what only the manual says: REX2, faults, the state. */
#include "cpu/operand.h"
#include "cpu/system/xsave.h"
#include "tests/unit/apx_naive.h"
#include "tests/unit/apx_program.h"
#include "tests/unit/apx_tables.h"
#include "tests/unit/bare.h"
#include "tests/unit/random.h"

enum { CODE = 0x1000, PML4 = 0x10000, RAM_SIZE = 0x200000, DATA = 0x8000, NOWHERE = 0x40000000, RETIRED = -1 };
#define FEATURES_OF_ROWS \
	"max,+apx,+avx512f,+avx512dq,+avx512bw,+avx512vl,+adx,+cmpccxadd,+movdiri,+movdir64b,+enqcmd,+movrs,+raoint," \
	"+usermsr,+shstk,+amx-tile,+amx-movrs"

static void setup(void)
{
	bare_new(FEATURES_OF_ROWS, RAM_SIZE);
	put64(ram->host + PML4, (PML4 + 0x1000) | 0x63);
	put64(ram->host + PML4 + 0x1000, (PML4 + 0x2000) | 0x63);
	put64(ram->host + PML4 + 0x2000, 0xe3); /* 2 MiB */
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 0xe7 | STATE_APX;
	c->efer = EFER_LME | EFER_LMA;
	c->cr0 = CR0_PG | CR0_PE | CR0_NE | CR0_MP | CR0_WP;
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

/* Run CODE once. The vector of the exception, or RETIRED. */
static int run(const u8 *code, unsigned len)
{
	space_write_block(&mem, CODE, code, len);
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	return cpu_run(c, c->icount + 1, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : RETIRED;
}
#define RUN_CODE(...) run((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static u64 *reg(unsigned n) { return n < EGPR ? &c->r[n] : &c->egpr[n - EGPR]; }

static enum decode_result decoded(const u8 *code, struct dec *d, struct op *o)
{
	return decode(c->isa, c->model, c->mode, code, 15, d, o);
}

/* ---- encodings ---- */

/* Every combination of opcode, prefix, W, ND, NF, kind of operand and ModRM.reg is an instruction where XED has one,
 * and that one. */
START_TEST(all_of_map_4)
{
	unsigned defined = 0;

	for (unsigned n = 0; n < 256 * 4 * 2 * 4 * 2 * 8; n++) {
		const unsigned op = n >> 9, pp = n >> 7 & 3, w = n >> 6 & 1, nd_nf = n >> 4 & 3, mod = n >> 3 & 1,
			       digit = n & 7;
		const u8 code[15] = { 0x62,
				      0xf4,
				      (u8)(w << 7 | 0x7c | pp),
				      (u8)((nd_nf & 2) << 3 | 8 | (nd_nf & 1) << 2),
				      (u8)op,
				      (u8)((mod ? 0 : 0xc0) | digit << 3 | 3) };
		const char *name = NULL;
		struct dec d;
		struct op o;
		bool is;

		for (unsigned i = 0; i < ARRAY_LEN(map4); i++)
			if (map4[i].opcode == op && map4[i].pp >> pp & 1 && map4[i].w >> w & 1 &&
			    map4[i].nd_nf >> nd_nf & 1 && map4[i].mod >> mod & 1 &&
			    (map4[i].reg < 0 || (unsigned)map4[i].reg == digit))
				name = map4[i].name;
		is = decoded(code, &d, &o) == DECODE_OK;
		ck_assert_msg(is == (name != NULL) && (!is || !strcmp(d.row->insn->mnemonic, name)),
			      "62 f4 %02x %02x %02x %02x: %s, not %s", code[2], code[3], op, code[5],
			      is ? d.row->insn->mnemonic : "none", name ? name : "none");
		defined += is;
	}
	ck_assert_uint_gt(defined, 10000);
}
END_TEST

/* Lengths, names, registers and addresses are those that an assembler meant. */
START_TEST(what_an_assembler_makes)
{
	for (unsigned r = 0; r < 32; r++)
		*reg(r) = rnd();
	for (unsigned i = 0; i < ARRAY_LEN(assembled); i++) {
		const char *text = assembled[i].code;
		struct location at[LOCATIONS];
		u8 code[15] = { 0 };
		struct dec d;
		struct op o;

		for (unsigned n = 0; text[2 * n]; n++)
			code[n] = (u8)strtoul((char[]){ text[2 * n], text[2 * n + 1], 0 }, NULL, 16);
		ck_assert_msg(decoded(code, &d, &o) == DECODE_OK, "%s: %s", text, assembled[i].name);
		ck_assert_msg(!strcmp(d.row->insn->mnemonic, assembled[i].name), "%s: %s, not %s", text,
			      d.row->insn->mnemonic, assembled[i].name);
		ck_assert_msg(d.len == strlen(text) / 2, "%s: %u bytes", text, d.len);
		memset(at, 0, sizeof at);
		operands(c, &d, &o, at);
		if (d.row->insn->copies && d.row->operands == 1 &&
		    at[0].kind == IN_MEMORY) /* PUSH: the stack comes first */
			at[0] = at[1];
		for (unsigned n = 0; n < 3; n++) {
			const unsigned base = assembled[i].operand[n].reg, index = assembled[i].operand[n].index;

			if (assembled[i].operand[n].kind == 'r')
				ck_assert_msg(at[n].kind == IN_GENERAL && at[n].reg == base && !at[n].first,
					      "%s: operand %u is r%u", text, n, at[n].reg);
			if (assembled[i].operand[n].kind == 'm' && at[n].kind == IN_MEMORY)
				ck_assert_msg(at[n].value ==
						      *reg(base) + (s64)assembled[i].operand[n].disp +
							      (index == NONE
								       ? 0
								       : *reg(index) * assembled[i].operand[n].scale),
					      "%s: operand %u is elsewhere", text, n);
		}
	}
}
END_TEST

/* ---- semantics ---- */

/* What is first and second source, and destination if there is no new one. */
enum pattern {
	RM_R,
	R_RM,
	RM_I8,
	RM_IZ,
	RM,
	RM_1,
	RM_CL,
	RM_R_I8,
	RM_R_CL,
	R_FROM_RM,
	R_FROM_RM_I8,
	R_FROM_RM_IZ,
	SWAP_LOAD,
	SWAP_STORE,
	SET,
	MOVE,
	MAY_LOAD,
	MAY_STORE,
	MAY_MOVE,
	COMPARES,
	COMPARES_I
};
struct encoding {
	u8 opcode, what; /* what: the naive one's number or letter */
	s8 digit;
	u8 kind;
	bool byte, nd, nf; /* ND, NF may be 1 */
};
#define ALU(n, nf) \
	{ 8 * n, n, -1, RM_R, true, true, nf }, { 8 * n + 1, n, -1, RM_R, false, true, nf }, \
		{ 8 * n + 2, n, -1, R_RM, true, true, nf }, { 8 * n + 3, n, -1, R_RM, false, true, nf }, \
		{ 0x80, n, n, RM_I8, true, true, nf }, { 0x81, n, n, RM_IZ, false, true, nf }, \
	{ \
		0x83, n, n, RM_I8, false, true, nf \
	}
#define SHIFT(n, nf) \
	{ 0xc0, n, n, RM_I8, true, true, nf }, { 0xc1, n, n, RM_I8, false, true, nf }, \
		{ 0xd0, n, n, RM_1, true, true, nf }, { 0xd1, n, n, RM_1, false, true, nf }, \
		{ 0xd2, n, n, RM_CL, true, true, nf }, \
	{ \
		0xd3, n, n, RM_CL, false, true, nf \
	}
static const struct encoding alu[] = { ALU(0, true), ALU(1, true), ALU(2, false), ALU(3, false),
				       ALU(4, true), ALU(5, true), ALU(6, true) },
			     shifts[] = { SHIFT(0, true),
					  SHIFT(1, true),
					  SHIFT(2, false),
					  SHIFT(3, false),
					  SHIFT(4, true),
					  SHIFT(5, true),
					  SHIFT(6, true),
					  SHIFT(7, true),
					  { 0x24, 'l', -1, RM_R_I8, false, true, true },
					  { 0x2c, 'r', -1, RM_R_I8, false, true, true },
					  { 0xa5, 'l', -1, RM_R_CL, false, true, true },
					  { 0xad, 'r', -1, RM_R_CL, false, true, true } },
			     others[] = { { 0xfe, 'i', 0, RM, true, true, true },
					  { 0xff, 'i', 0, RM, false, true, true },
					  { 0xfe, 'd', 1, RM, true, true, true },
					  { 0xff, 'd', 1, RM, false, true, true },
					  { 0xf6, 'n', 2, RM, true, true, false },
					  { 0xf7, 'n', 2, RM, false, true, false },
					  { 0xf6, '-', 3, RM, true, true, true },
					  { 0xf7, '-', 3, RM, false, true, true },
					  { 0xaf, '*', -1, R_RM, false, true, true },
					  { 0x69, '*', -1, R_FROM_RM_IZ, false, true, true },
					  { 0x6b, '*', -1, R_FROM_RM_I8, false, true, true },
					  { 0x88, 'p', -1, R_FROM_RM, false, false, true },
					  { 0xf4, 't', -1, R_FROM_RM, false, false, true },
					  { 0xf5, 'l', -1, R_FROM_RM, false, false, true },
					  { 0x60, 's', -1, SWAP_LOAD, false, false, false },
					  { 0x61, 's', -1, SWAP_STORE, false, false, false } },
			     conditional[] = { { 0x40, 0, -1, SET, true, true, false },
					       { 0x40, 0, -1, MOVE, false, true, false },
					       { 0x40, 0, -1, MAY_LOAD, false, false, false },
					       { 0x40, 0, -1, MAY_STORE, false, false, false },
					       { 0x40, 0, -1, MAY_MOVE, false, true, false },
					       { 0x38, 'c', -1, COMPARES, true, false, false },
					       { 0x39, 'c', -1, COMPARES, false, false, false },
					       { 0x3a, 'C', -1, COMPARES, true, false, false },
					       { 0x3b, 'C', -1, COMPARES, false, false, false },
					       { 0x80, 'c', 7, COMPARES_I, true, false, false },
					       { 0x81, 'c', 7, COMPARES_I, false, false, false },
					       { 0x84, 't', -1, COMPARES, true, false, false },
					       { 0x85, 't', -1, COMPARES, false, false, false },
					       { 0xf6, 't', 0, COMPARES_I, true, false, false },
					       { 0xf7, 't', 1, COMPARES_I, false, false, false } };

/* One case. */
struct shape {
	const struct encoding *f;
	unsigned bits, reg, rm, v, base, index, scc, dfv;
	bool nd, nf, memory;
	u8 imm[4], opcode;
	unsigned imm_len;
	s64 immediate;
	u8 code[15];
	unsigned len;
};

static void encode(struct shape *s)
{
	const bool scc = s->f->kind >= COMPARES;
	const unsigned rm = s->memory ? s->base : s->rm, x = s->memory ? s->index : 0;
	const unsigned g = s->f->digit >= 0 ? (unsigned)s->f->digit : s->reg;
	const unsigned pp = s->f->kind == SET ? 3 : s->bits == 16 && !s->f->byte;
	u8 *p = s->code;

	*p++ = 0x62;
	*p++ = (u8)((~g & 8) << 4 | (~x & 8) << 3 | (~rm & 8) << 2 | (~g & 16) | (rm & 16) >> 1 | 4);
	*p++ = (u8)((s->bits == 64) << 7 | (scc ? s->dfv : ~s->v & 15) << 3 | (x & 16 ? 0 : 4) | pp);
	*p++ = (u8)(scc ? s->scc : s->nd << 4 | (~s->v & 16) >> 1 | s->nf << 2);
	*p++ = s->opcode;
	*p++ = (u8)((s->memory ? 0x44 : 0xc0) | (g & 7) << 3 | (s->memory ? 4 : rm & 7));
	if (s->memory) {
		*p++ = (u8)(0x80 | (x & 7) << 3 | (rm & 7)); /* index * 4 */
		*p++ = 0x10;
	}
	memcpy(p, s->imm, s->imm_len);
	s->len = (unsigned)(p - s->code) + s->imm_len;
}

static void choose_immediate(struct shape *s)
{
	switch (s->f->kind) {
	case RM_I8:
	case RM_R_I8:
	case R_FROM_RM_I8: s->imm_len = 1; break;
	case RM_IZ:
	case R_FROM_RM_IZ: s->imm_len = s->bits == 16 ? 2 : 4; break;
	case COMPARES_I: s->imm_len = s->f->byte ? 1 : s->bits == 16 ? 2 : 4; break;
	default: s->imm_len = 0;
	}
	put32(s->imm, (u32)rnd());
	if (s->f->kind == RM_R_I8)
		s->imm[0] %= s->bits + 1;
	s->immediate = s->imm_len == 1 ? (s8)s->imm[0] : s->imm_len == 2 ? (s16)get16(s->imm) : (s32)get32(s->imm);
}

static void choose(struct shape *s, const struct encoding *f)
{
	const bool may = f->kind == MAY_STORE || f->kind == MAY_MOVE;

	*s = (struct shape){ .f = f,
			     .reg = rnd() % 32,
			     .rm = rnd() % 32,
			     .v = rnd() % 32,
			     .base = rnd() % 32,
			     .memory = rnd() & 1,
			     .scc = rnd() % 16,
			     .dfv = rnd() % 16 };
	s->bits = f->byte ? 8u : (unsigned[]){ 16, 32, 64 }[rnd() % 3];
	s->nd = f->kind == MOVE || f->kind == MAY_MOVE || (f->nd && rnd() & 1);
	s->nf = may || (f->nf && rnd() & 1);
	if (!s->nd || f->kind == SET || f->kind == R_FROM_RM_I8 || f->kind == R_FROM_RM_IZ)
		s->v = 0;
	do
		s->index = rnd() % 32;
	while (s->index == RSP || s->index == s->base);
	if (f->kind == RM_R_CL && s->base == RCX) /* which has the count */
		s->memory = false;
	s->opcode = f->opcode;
	if (f->kind >= SET && f->kind <= MAY_MOVE)
		s->opcode |= s->scc;
	if (f->kind == SET)
		s->reg = 0;
	choose_immediate(s);
	encode(s);
}

/* The operand in memory is at DATA. */
static void make_state(const struct shape *s)
{
	static const u64 corners[] = {
		0, 1, ~(u64)0, (u64)1 << 63, 0x7fffffffffffffff, 0x80, 0x7f, 0x8000, 0x80000000
	};

	for (unsigned r = 0; r < 32; r++)
		*reg(r) = rnd() % 4 ? rnd() : corners[rnd() % ARRAY_LEN(corners)];
	*reg(RCX) = rnd() % (s->f->kind == RM_R_CL ? s->bits + 1 : 80);
	put64(ram->host + DATA, rnd() % 4 ? rnd() : corners[rnd() % ARRAY_LEN(corners)]);
	put64(ram->host + DATA + 8, rnd());
	if (s->memory)
		*reg(s->base) = DATA - 0x10 - 4 * *reg(s->index);
	cpu_set_arith(c, (u32)rnd() & OSZAPC);
}

static u64 first_source(const struct shape *s, const u64 *r, u64 e)
{
	switch (s->f->kind) {
	case R_RM:
	case MOVE:
	case MAY_MOVE:
	case SWAP_STORE:
	case MAY_STORE: return r[s->reg];
	case COMPARES: return s->f->what == 'C' ? r[s->reg] : e;
	default: return e;
	}
}

static u64 second_source(const struct shape *s, const u64 *r, u64 e)
{
	switch (s->f->kind) {
	case RM_R:
	case RM_R_I8:
	case RM_R_CL: return r[s->reg];
	case COMPARES: return s->f->what == 'C' ? e : r[s->reg];
	case R_RM:
	case MOVE:
	case MAY_MOVE: return e;
	case RM_1: return 1;
	case RM_CL: return r[RCX];
	default: return (u64)s->immediate;
	}
}

static struct result compute(const struct shape *s, u64 a, u64 b, const u64 *r, u32 flags)
{
	const unsigned bits = s->bits, what = s->f->what, carry = flags & FL_C;
	const struct encoding *f = s->f;
	struct result x = { cut(a, bits), flags, OSZAPC };

	if (f >= alu && f < alu + ARRAY_LEN(alu)) {
		switch (what) {
		case 0: return naive_sum(a, b, 0, bits, false);
		case 1: return naive_logic(a | b, bits);
		case 2: return naive_sum(a, b, carry, bits, false);
		case 3: return naive_sum(a, b, carry, bits, true);
		case 4: return naive_logic(a & b, bits);
		case 5: return naive_sum(a, b, 0, bits, true);
		default: return naive_logic(a ^ b, bits);
		}
	}
	if (f >= shifts && f < shifts + ARRAY_LEN(shifts)) {
		if (f->kind == RM_R_I8 || f->kind == RM_R_CL)
			return naive_double(what == 'l', a, b, f->kind == RM_R_I8 ? s->imm[0] : (unsigned)r[RCX], bits,
					    flags);
		return naive_shift(what, a, (u8)b, bits, flags);
	}
	if (f >= conditional && f < conditional + ARRAY_LEN(conditional)) {
		const bool yes = f->kind >= COMPARES ? s->scc == 10 || (s->scc != 11 && naive_condition(s->scc, flags))
						     : naive_condition(s->scc, flags);

		if (f->kind < COMPARES) {
			x.value = cut(f->kind == SET                           ? yes
				      : f->kind == MOVE || f->kind == MAY_MOVE ? (yes ? b : a)
				      : yes                                    ? a
									       : 0,
				      bits);
			return x;
		}
		if (yes)
			return what == 't' ? naive_logic(a & b, bits) : naive_sum(a, b, 0, bits, true);
		x.flags = (s->dfv & 8 ? FL_O : 0) | (s->dfv & 4 ? FL_S : 0) | (s->dfv & 2 ? FL_Z : 0) |
			  (s->dfv & 1 ? FL_C | FL_P : 0);
		return x;
	}
	switch (what) {
	case 'i':
	case 'd':
		x = naive_sum(a, 1, 0, bits, what == 'd');
		x.flags = (x.flags & ~FL_C) | carry;
		return x;
	case 'n': x.value = cut(~a, bits); return x;
	case '-': return naive_sum(0, a, 0, bits, true);
	case '*': return naive_imul(a, b, bits);
	case 's': x.value = naive_swap(cut(a, bits), bits); return x;
	default: return naive_count((char)what, a, bits);
	}
}

/* Where the result goes: a register's number, or 32: to memory; 33: nowhere. */
enum { TO_MEMORY = 32, NOWHERE_AT_ALL };
static unsigned destination(const struct shape *s, u32 flags)
{
	switch (s->f->kind) {
	case COMPARES:
	case COMPARES_I: return NOWHERE_AT_ALL;
	case R_FROM_RM:
	case R_FROM_RM_I8:
	case R_FROM_RM_IZ:
	case SWAP_LOAD:
	case MAY_LOAD: return s->reg;
	case SET:
	case SWAP_STORE: return s->memory ? TO_MEMORY : s->rm;
	case MAY_STORE: return !s->memory ? s->rm : naive_condition(s->scc, flags) ? TO_MEMORY : NOWHERE_AT_ALL;
	default: break;
	}
	if (s->nd)
		return s->v;
	return s->f->kind == R_RM ? s->reg : s->memory ? TO_MEMORY : s->rm;
}

static void one_case(const struct encoding *f)
{
	struct shape s;
	u64 before[32], e, a, b;
	struct result x;
	unsigned to;
	bool whole;
	u32 flags, wrong;
	u8 memory[16];

	choose(&s, f);
	make_state(&s);
	for (unsigned r = 0; r < 32; r++)
		before[r] = *reg(r);
	memcpy(memory, ram->host + DATA, sizeof memory);
	flags = cpu_flags(c) & OSZAPC;
	e = s.memory ? get64(memory) : before[s.rm];
	a = first_source(&s, before, e);
	b = second_source(&s, before, e);
	x = compute(&s, a, b, before, flags);
	to = destination(&s, flags);
	whole = s.bits >= 32 || s.nd || f->kind == MAY_LOAD || f->kind == MAY_STORE;
	if (to < 32)
		before[to] = whole ? x.value : (before[to] & ~cut(~(u64)0, s.bits)) | x.value;
	else if (to == TO_MEMORY)
		put_size(memory, s.bits / 8, x.value);
	ck_assert_msg(run(s.code, s.len) == RETIRED, "%02x %02x %02x %02x %02x %02x: faults", s.code[0], s.code[1],
		      s.code[2], s.code[3], s.code[4], s.code[5]);
	for (unsigned r = 0; r < 32; r++)
		ck_assert_msg(*reg(r) == before[r], "%02x %02x %02x %02x %02x %02x: r%u is %llx, not %llx", s.code[0],
			      s.code[1], s.code[2], s.code[3], s.code[4], s.code[5], r, (unsigned long long)*reg(r),
			      (unsigned long long)before[r]);
	ck_assert_msg(!memcmp(ram->host + DATA, memory, sizeof memory), "%02x %02x %02x %02x %02x %02x: memory",
		      s.code[0], s.code[1], s.code[2], s.code[3], s.code[4], s.code[5]);
	wrong = (cpu_flags(c) ^ (s.nf || f->kind == MOVE ? flags : x.flags)) & (s.nf ? OSZAPC : x.defined);
	ck_assert_msg(!wrong, "%02x %02x %02x %02x %02x %02x: flags %x", s.code[0], s.code[1], s.code[2], s.code[3],
		      s.code[4], s.code[5], wrong);
}

static void cases(const struct encoding *forms, unsigned n, unsigned times)
{
	for (unsigned i = 0; i < n * times; i++)
		one_case(&forms[i % n]);
}

START_TEST(arithmetic) { cases(alu, ARRAY_LEN(alu), 400); }
END_TEST
START_TEST(shifting) { cases(shifts, ARRAY_LEN(shifts), 400); }
END_TEST
START_TEST(unary_multiply_count_swap) { cases(others, ARRAY_LEN(others), 1000); }
END_TEST
START_TEST(conditions) { cases(conditional, ARRAY_LEN(conditional), 2000); }
END_TEST

/* ---- what only the manual says ---- */

/* REX2 is #UD with the opcodes of these lines, with XSAVE and its like, and behind REX; what is no register of
 * extended number ignores its bits; and it needs XCR0. */
START_TEST(rex2)
{
	static const u8 lines[2][5] = { { 0x4, 0x7, 0xa, 0xe }, { 0x3, 0x8 } };
	static const u8 no_opcodes[] = { 0x26, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x0f, 0x62, 0xc4, 0xc5, 0xd5 };
	static const u8 save[][2] = { { 0xae, 4 }, { 0xae, 5 }, { 0xae, 6 }, { 0xc7, 3 }, { 0xc7, 4 }, { 0xc7, 5 } };
	struct dec d;
	struct op o;

	for (unsigned map = 0; map < 2; map++)
		for (unsigned i = 0; lines[map][i]; i++)
			for (unsigned op = 16 * lines[map][i]; op < 16u * lines[map][i] + 16; op++)
				if (map || op != 0xa1)
					ck_assert_msg(RUN_CODE(0xd5, (u8)(map << 7), (u8)op, 0xc0, 0, 0, 0, 0) ==
							      VEC_UD,
						      "map %u, %x", map, op);
	for (unsigned i = 0; i < ARRAY_LEN(save); i++) {
		const u8 code[15] = { 0xd5, 0x80, save[i][0], (u8)(save[i][1] << 3 | 3) },
			 plain[15] = { 0x0f, save[i][0], code[3] };

		ck_assert_int_eq(decoded(code, &d, &o), DECODE_UD);
		ck_assert_int_eq(decoded(plain, &d, &o), DECODE_OK);
	}
	ck_assert_int_eq(RUN_CODE(0x48, 0xd5, 0x08, 0x89, 0xc0), VEC_UD);
	for (unsigned i = 0; i < ARRAY_LEN(no_opcodes); i++)
		ck_assert_int_eq(RUN_CODE(0xd5, 0x00, no_opcodes[i], 0x89, 0xc0, 0, 0), VEC_UD);
	c->r[RSI] = 0x1234; /* SIL, not DH */
	ck_assert_int_eq(RUN_CODE(0xd5, 0x10, 0x88, 0xf0), RETIRED);
	ck_assert_uint_eq(c->egpr[0], 0x34);
	c->v[1].q[0] = 77; /* R4 and B4 mean nothing to XMM0 and XMM1 */
	ck_assert_int_eq(RUN_CODE(0xd5, 0xd0, 0x28, 0xc1), RETIRED);
	ck_assert_uint_eq(c->v[0].q[0], 77);
	ck_assert_int_eq(RUN_CODE(0xd5, 0xc0, 0x20, 0xc0), VEC_UD); /* there is no CR16 */
	c->xcr0 = 0xe7;
	update_mode(c);
	ck_assert_int_eq(RUN_CODE(0xd5, 0x08, 0x89, 0xc0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0x62, 0xf4, 0x7c, 0x08, 0x01, 0xc0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0x62, 0xf9, 0x7c, 0x48, 0x10, 0x00), VEC_UD); /* VMOVUPS with B4 */
}
END_TEST

/* Outside of 64-bit mode D5 is AAD, and EVEX has no map 4. */
START_TEST(other_modes)
{
	static const u8 aad[15] = { 0xd5, 0x0a }, evex[15] = { 0x62, 0xf4, 0x7c, 0x08, 0x01, 0xc0 };
	struct dec d;
	struct op o;

	c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_L) | SEG_DB;
	seg_update(c, CS);
	update_mode(c);
	ck_assert_int_eq(decoded(aad, &d, &o), DECODE_OK);
	ck_assert_str_eq(d.row->insn->mnemonic, "aad");
	ck_assert_int_eq(decoded(evex, &d, &o), DECODE_UD);
}
END_TEST

START_TEST(jmpabs)
{
	ck_assert_int_eq(RUN_CODE(0xd5, 0x00, 0xa1, 0x80, 0x40, 0, 0, 0, 0, 0, 0), RETIRED);
	ck_assert_uint_eq(c->r[RIP], 0x4080);
	ck_assert_int_eq(RUN_CODE(0xd5, 0x08, 0xa1, 0x80, 0x40, 0, 0, 0, 0, 0, 0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0x66, 0xd5, 0x00, 0xa1, 0x80, 0x40, 0, 0, 0, 0, 0, 0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0x67, 0xd5, 0x00, 0xa1, 0x80, 0x40, 0, 0, 0, 0, 0, 0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0xf2, 0xd5, 0x00, 0xa1, 0x80, 0x40, 0, 0, 0, 0, 0, 0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0xf0, 0xd5, 0x00, 0xa1, 0x80, 0x40, 0, 0, 0, 0, 0, 0), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0xd5, 0x00, 0xa1, 0, 0, 0, 0, 0, 0, 0, 0x80), VEC_GP); /* not canonical */
	ck_assert_uint_eq(c->r[RIP], CODE);
}
END_TEST

/* A fault leaves everything as it was. */
START_TEST(faults)
{
	c->egpr[1] = NOWHERE; /* r17 */
	c->egpr[0] = 5;
	cpu_set_arith(c, FL_C);
	ck_assert_int_eq(RUN_CODE(0x62, 0xfc, 0xfc, 0x10, 0x29, 0x01), VEC_PF); /* sub r16, [r17], rax */
	ck_assert_uint_eq(c->egpr[0], 5);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_C);
	ck_assert_int_eq(RUN_CODE(0xd5, 0x58, 0x8b, 0x01), VEC_PF); /* mov r16, [r17] */
	ck_assert_uint_eq(c->egpr[0], 5);
	/* CMOVcc with a new destination reads memory always, CFCMOVcc if the condition holds. */
	ck_assert_int_eq(RUN_CODE(0x62, 0xfc, 0xfc, 0x18, 0x43, 0x01), VEC_PF);  /* cmovae rax, rax, [r17] */
	ck_assert_int_eq(RUN_CODE(0x62, 0xec, 0xfc, 0x08, 0x43, 0x01), RETIRED); /* cfcmovae r16, [r17] */
	ck_assert_uint_eq(c->egpr[0], 0);
	ck_assert_int_eq(RUN_CODE(0x62, 0xec, 0xfc, 0x08, 0x42, 0x01), VEC_PF);  /* cfcmovb r16, [r17] */
	ck_assert_int_eq(RUN_CODE(0x62, 0xec, 0xfc, 0x0c, 0x43, 0x01), RETIRED); /* cfcmovae [r17], r16 */
	ck_assert_int_eq(RUN_CODE(0x62, 0xec, 0xfc, 0x0c, 0x42, 0x01), VEC_PF);
	/* So do comparisons. */
	ck_assert_int_eq(RUN_CODE(0x62, 0xfc, 0x84, 0x0b, 0x39, 0x01), VEC_PF); /* ccmpf [r17], rax */
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_C);
}
END_TEST

START_TEST(two_at_once)
{
	static const u8 push2[] = { 0x62, 0xfc, 0x74, 0x10, 0xff, 0xf0 },
			pop2[] = { 0x62, 0xfc, 0x74, 0x10, 0x8f, 0xc0 };

	c->r[RSP] = DATA + 0x20;
	c->egpr[0] = 16; /* r17 goes first */
	c->egpr[1] = 17;
	ck_assert_int_eq(run(push2, sizeof push2), RETIRED);
	ck_assert_uint_eq(c->r[RSP], DATA + 0x10);
	ck_assert_uint_eq(get64(ram->host + DATA + 0x18), 17);
	ck_assert_uint_eq(get64(ram->host + DATA + 0x10), 16);
	c->egpr[0] = c->egpr[1] = 0;
	ck_assert_int_eq(run(pop2, sizeof pop2), RETIRED); /* and gets what lies on top */
	ck_assert_uint_eq(c->r[RSP], DATA + 0x20);
	ck_assert_uint_eq(c->egpr[1], 16);
	ck_assert_uint_eq(c->egpr[0], 17);
	c->r[RSP] = DATA + 0x28;
	ck_assert_int_eq(run(push2, sizeof push2), VEC_GP);
	ck_assert_int_eq(run(pop2, sizeof pop2), VEC_GP);
	ck_assert_uint_eq(c->r[RSP], DATA + 0x28);
	ck_assert_int_eq(RUN_CODE(0x62, 0xf4, 0x5c, 0x18, 0xff, 0xf0), VEC_UD); /* RSP */
	ck_assert_int_eq(RUN_CODE(0x62, 0xf4, 0x7c, 0x18, 0xff, 0xf4), VEC_UD);
	ck_assert_int_eq(RUN_CODE(0x62, 0xf4, 0x7c, 0x18, 0x8f, 0xc0), VEC_UD); /* the same twice */
	c->r[RSP] = DATA + 0x20;
	ck_assert_int_eq(RUN_CODE(0x62, 0xf4, 0x7c, 0x18, 0xff, 0xf0), RETIRED);
}
END_TEST

/* Component 19 of XSAVE: at 960 in the standard format, behind the others in the compacted one. */
START_TEST(the_state)
{
	enum { AREA = DATA };
	u8 *area = ram->host + AREA;

	for (unsigned i = 0; i < EGPRS; i++)
		c->egpr[i] = 100 + i;
	ck_assert(!write_xcr0(c, STATE_APX | 2) && write_xcr0(c, 7 | STATE_APX));
	memset(area, 0xa5, 0x600);
	memset(area + 512, 0, 64);
	c->r[RBX] = AREA;
	c->r[RAX] = STATE_APX;
	c->r[RDX] = 0;
	ck_assert_int_eq(RUN_CODE(0x0f, 0xae, 0x23), RETIRED); /* xsave [rbx] */
	ck_assert_uint_eq(get64(area + 512), STATE_APX);
	for (unsigned i = 0; i < EGPRS; i++)
		ck_assert_uint_eq(get64(area + 960 + 8 * i), 100 + i);
	ck_assert_uint_eq(area[959], 0xa5);
	ck_assert_uint_eq(area[960 + 128], 0xa5);
	put64(area + 960, 7);
	ck_assert_int_eq(RUN_CODE(0x0f, 0xae, 0x2b), RETIRED); /* xrstor [rbx] */
	ck_assert_uint_eq(c->egpr[0], 7);
	put64(area + 512, 0);
	ck_assert_int_eq(RUN_CODE(0x0f, 0xae, 0x2b), RETIRED);
	for (unsigned i = 0; i < EGPRS; i++)
		ck_assert_uint_eq(c->egpr[i], 0);
	c->egpr[3] = 33;
	c->v[0].q[0] = 1;
	c->r[RAX] = STATE_APX | 6;
	ck_assert_int_eq(RUN_CODE(0x0f, 0xc7, 0x23), RETIRED); /* xsavec [rbx] */
	ck_assert_uint_eq(get64(area + 520), STATE_APX | 6 | (u64)1 << 63);
	ck_assert_uint_eq(get64(area + 576 + 256 + 8 * 3), 33);
	ck_assert_uint_eq(xsave_size(c->model, STATE_APX | 3, false), 960 + 128);
	ck_assert_uint_eq(xsave_size(c->model, STATE_APX | 7, true), 576 + 256 + 128);
}
END_TEST

START_TEST(leaves)
{
	static const struct {
		u32 leaf, sub;
		u8 reg;
		u32 bits, value;
	} shown[] = {
		{ 7, 1, RDX, 1 << 21, 1 << 21 }, { 0x29, 0, RBX, ~0u, 1 },   { 0xd, 0, RAX, STATE_APX, STATE_APX },
		{ 0xd, 19, RAX, ~0u, 128 },      { 0xd, 19, RBX, ~0u, 960 }, { 0xd, 19, RCX, ~0u, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(shown); i++) {
		c->r[RAX] = shown[i].leaf;
		c->r[RCX] = shown[i].sub;
		ck_assert_int_eq(RUN_CODE(0x0f, 0xa2), RETIRED);
		ck_assert_uint_eq(c->r[shown[i].reg] & shown[i].bits, shown[i].value);
	}
}
END_TEST

/* Fibonacci's numbers, in a loop that runs often enough to be stitched, with registers of both kinds:
 *
 *     again: {nf} add r18, r16, r17; mov r16, r17; mov r17, r18; dec r31; jnz again */
START_TEST(in_a_loop)
{
	static const u8 code[] = { 0x62, 0xec, 0xec, 0x14, 0x01, 0xc8, 0xd5, 0x58, 0x89, 0xc8, 0xd5,
				   0x58, 0x89, 0xd1, 0x62, 0xdc, 0xfc, 0x08, 0xff, 0xcf, 0x75, 0xea };
	u64 a = 0, b = 1;

	c->egpr[0] = 0;
	c->egpr[1] = 1;
	c->egpr[15] = 500;
	for (unsigned i = 0; i < 500; i++) {
		u64 sum = a + b;

		a = b;
		b = sum;
	}
	space_write_block(&mem, CODE, code, sizeof code);
	c->r[RIP] = CODE;
	ck_assert_int_eq(cpu_run(c, c->icount + 2500, ~(u64)0), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RIP], CODE + sizeof code);
	ck_assert_uint_eq(c->egpr[0], a);
	ck_assert_uint_eq(c->egpr[1], b);
}
END_TEST

/* A compiler's code does what the same text does here. */
START_TEST(a_program)
{
	enum { COUNT = 60, STACK = 0x7008, BACK = 0x100 };
	static const u8 code[] = {
#include "tests/unit/apx_program.inc"
	};

	for (unsigned k = 0; k < 20; k++) {
		number memory[2 * COUNT], result;

		for (unsigned i = 0; i < 2 * COUNT; i++)
			memory[i] = rnd() >> rnd() % 64;
		for (unsigned r = 0; r < 32; r++)
			*reg(r) = rnd();
		for (unsigned i = 0; i < 2 * COUNT; i++)
			put64(ram->host + DATA + 8 * i, memory[i]);
		result = program(memory, COUNT);
		space_write_block(&mem, CODE, code, sizeof code);
		ram->host[BACK] = 0xf4; /* HLT */
		put64(ram->host + STACK, BACK);
		c->r[RSP] = STACK;
		c->r[RDI] = DATA;
		c->r[RSI] = COUNT;
		c->r[RIP] = CODE;
		c->activity = ACTIVITY_RUN;
		while (c->activity == ACTIVITY_RUN)
			ck_assert_int_ne(cpu_run(c, c->icount + 100000, 0), CPU_EXCEPTION);
		ck_assert_uint_eq(c->r[RSP], STACK + 8);
		ck_assert_uint_eq(c->r[RAX], result);
		for (unsigned i = 0; i < 2 * COUNT; i++)
			ck_assert_uint_eq(get64(ram->host + DATA + 8 * i), memory[i]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("apx");
	TCase *tc = tcase_create("apx");

	tcase_add_checked_fixture(tc, setup, bare_free);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, all_of_map_4);
	tcase_add_test(tc, what_an_assembler_makes);
	tcase_add_test(tc, arithmetic);
	tcase_add_test(tc, shifting);
	tcase_add_test(tc, unary_multiply_count_swap);
	tcase_add_test(tc, conditions);
	tcase_add_test(tc, rex2);
	tcase_add_test(tc, other_modes);
	tcase_add_test(tc, jmpabs);
	tcase_add_test(tc, faults);
	tcase_add_test(tc, two_at_once);
	tcase_add_test(tc, the_state);
	tcase_add_test(tc, leaves);
	tcase_add_test(tc, in_a_loop);
	tcase_add_test(tc, a_program);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
