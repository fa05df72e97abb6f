/* SPDX-License-Identifier: MIT */
/* x87 instructions against the silicon of the host: the same bytes run here and in the guest, from the same random
 * state, and status word, tags, registers, memory and EFLAGS must come out the same, bit by bit; transcendental
 * functions within one unit in the last place. Without an x86-64 host that part is left out, and what the manual says
 * remains: formats, faults, well-known values. */
#define _GNU_SOURCE
#include "tests/unit/silicon.h"

/* ---- the guest: a bare processor, flat 32-bit protected mode ---- */

enum { OPERAND = 0x8000 };
#define J_ONE ((u64)1 << 63)

static int ferr;

static void set_ferr(void *owner, int n, bool level)
{
	(void)owner;
	(void)n;
	ferr = level;
}

static void make_flat(void)
{
	bare_new("max,-no-fcs", RAM_SIZE);
	c->ferr = (struct line){ set_ferr, NULL, 0 };
	ferr = 0;
	c->cr0 = CR0_PE | CR0_NE | CR0_MP;
	for (unsigned i = ES; i <= GS; i++) {
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .attr = SEG_A | SEG_W | SEG_S | SEG_P | SEG_G | SEG_DB |
						  (i == CS ? SEG_CODE : 0) };
		seg_update(c, i);
	}
	c->idtr.limit = 0;
	update_mode(c);
	c->attn = 0;
	x87_init(c);
}

static void real_mode(void)
{
	c->cr0 &= ~(u64)CR0_PE;
	for (unsigned i = ES; i <= GS; i++)
		seg_load_real(c, i, 0);
	c->seg[CS].attr &= ~SEG_DB; /* what a far jump on the way would have loaded */
	seg_update(c, CS);
	update_mode(c);
	c->attn = 0;
}

/* Run the instruction at ADDR; the vector of its exception, or -1. */
static int step_at(u32 addr)
{
	enum cpu_stop stop;

	c->r[RIP] = addr;
	c->r[RDX] = OPERAND;
	stop = cpu_run(c, c->icount + 1, CLOCK_NEVER);
	if (stop == CPU_EXCEPTION)
		return c->fault.vector;
	ck_assert_int_eq(stop, CPU_LIMIT);
	return -1;
}

/* Put code somewhere new and run its one instruction. */
static int step(const char *code, unsigned len)
{
	static u32 at = CODE;

	at = at >= OPERAND - 32 ? CODE : at + 16;
	space_write_block(&mem, at, code, len);
	return step_at(at);
}
#define STEP(code) step(code, sizeof(code) - 1)

static void push(u16 exp, u64 frac)
{
	u8 v[10];

	put64(v, frac);
	put16(v + 8, exp);
	space_write_block(&mem, OPERAND, v, 10);
	ck_assert_int_eq(STEP("\xdb\x2a"), -1); /* fld tbyte [edx] */
}

static void expect(unsigned i, u16 exp, u64 frac)
{
	u8 v[10];

	x87_get_reg(c, i, v);
	ck_assert_uint_eq(get16(v + 8), exp);
	ck_assert_uint_eq(get64(v), frac);
}

/* ---- what the manual says ---- */

START_TEST(constants)
{
	static const struct { u8 modrm; u16 exp; u64 nearest, down, up; } table[] = {
		{ 0xe8, 0x3fff, 0x8000000000000000, 0x8000000000000000, 0x8000000000000000 },
		{ 0xe9, 0x4000, 0xd49a784bcd1b8afe, 0xd49a784bcd1b8afe, 0xd49a784bcd1b8aff },
		{ 0xea, 0x3fff, 0xb8aa3b295c17f0bc, 0xb8aa3b295c17f0bb, 0xb8aa3b295c17f0bc },
		{ 0xeb, 0x4000, 0xc90fdaa22168c235, 0xc90fdaa22168c234, 0xc90fdaa22168c235 },
		{ 0xec, 0x3ffd, 0x9a209a84fbcff799, 0x9a209a84fbcff798, 0x9a209a84fbcff799 },
		{ 0xed, 0x3ffe, 0xb17217f7d1cf79ac, 0xb17217f7d1cf79ab, 0xb17217f7d1cf79ac },
		{ 0xee, 0, 0, 0, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(table); i++)
		for (unsigned rc = 0; rc < 4; rc++) {
			char code[2] = { (char)0xd9, (char)table[i].modrm };

			x87_init(c);
			x87_set_control(c, (u16)(0x37f | rc << 10));
			ck_assert_int_eq(step(code, 2), -1);
			expect(0, table[i].exp, rc == 0 ? table[i].nearest : rc == 2 ? table[i].up : table[i].down);
		}
}
END_TEST

/* The chip's pi has 66 bits (SDM vol. 1, 8.3.8): sin of the 64-bit pi is what it is too much, 2^-64. */
START_TEST(pi_has_66_bits)
{
	ck_assert_int_eq(STEP("\xd9\xeb"), -1); /* fldpi */
	ck_assert_int_eq(STEP("\xd9\xfe"), -1); /* fsin */
	expect(0, 0xbfbf, 0x8000000000000000);
	push(0x403e, 0x8000000000000000); /* 2^63 is out of range */
	ck_assert_int_eq(STEP("\xd9\xfe"), -1);
	ck_assert_uint_eq(x87_status(c) & X87_C2, X87_C2);
	expect(0, 0x403e, 0x8000000000000000);
}
END_TEST

/* An unmasked exception is reported by the next waiting instruction, and not by the others (SDM vol. 1, 8.7). */
START_TEST(unmasked)
{
	x87_set_control(c, 0x37b); /* zero divide */
	push(0x3fff, J_ONE);
	push(0, 0);
	ck_assert_int_eq(STEP("\xde\xf9"), -1); /* fdivp */
	ck_assert_uint_eq(x87_status(c) & (X87_ES | X87_B | X87_ZE), X87_ES | X87_B | X87_ZE);
	expect(0, 0, 0);
	ck_assert_int_eq(STEP("\xdf\xe0"), -1); /* fnstsw ax */
	ck_assert_uint_eq((u16)c->r[RAX], x87_status(c));
	ck_assert_int_eq(STEP("\x9b"), VEC_MF);
	ck_assert_int_eq(STEP("\xd9\xe8"), VEC_MF);
	ck_assert_int_eq(STEP("\x0f\xfc\xc1"), VEC_MF); /* paddb mm0, mm1 */
	ck_assert_int_eq(STEP("\xdb\xe2"), -1); /* fnclex */
	ck_assert_int_eq(STEP("\x9b"), -1);
	ck_assert_int_eq(ferr, 0);
}
END_TEST

/* The same with CR0.NE = 0: the line tells, instructions do not. */
START_TEST(ferr_line)
{
	c->cr0 &= ~(u64)CR0_NE;
	x87_set_control(c, 0x37e); /* invalid operation */
	ck_assert_int_eq(STEP("\xd9\xfa"), -1); /* fsqrt of an empty register */
	ck_assert_int_eq(ferr, 1);
	ck_assert_int_eq(STEP("\x9b"), -1);
	ck_assert_int_eq(STEP("\xdb\xe2"), -1); /* fnclex */
	ck_assert_int_eq(ferr, 0);
}
END_TEST

START_TEST(device_not_available)
{
	c->cr0 |= CR0_TS;
	update_mode(c);
	ck_assert_int_eq(STEP("\xd9\xe8"), VEC_NM);
	ck_assert_int_eq(STEP("\xdb\xe3"), VEC_NM); /* fninit */
	ck_assert_int_eq(STEP("\x9b"), VEC_NM);     /* for MP is set */
	ck_assert_int_eq(STEP("\x0f\x77"), VEC_NM); /* emms */
	c->cr0 &= ~(u64)CR0_MP;
	update_mode(c);
	ck_assert_int_eq(STEP("\x9b"), -1);
	c->cr0 ^= CR0_TS | CR0_EM;
	update_mode(c);
	ck_assert_int_eq(STEP("\xd9\xe8"), VEC_NM);
	ck_assert_int_eq(STEP("\x0f\x77"), VEC_UD);
}
END_TEST

/* Environment: figures 8-9 to 8-12 of SDM vol. 1. */
static void remember_something(void)
{
	x87_init(c);
	c->x87.top = 7;
	c->x87.valid = 0x80;
	c->x87.cs = 0x1234;
	c->x87.ds = 0x4321;
	c->x87.ip = 0x89ab;
	c->x87.dp = 0x7654;
	c->x87.op = 0x5aa;
}

static void expect_memory(const char *bytes, unsigned len)
{
	u8 got[108];

	space_read_block(&mem, OPERAND, got, len);
	ck_assert_mem_eq(got, bytes, len);
}
#define EXPECT_MEMORY(bytes) expect_memory(bytes, sizeof(bytes) - 1)

START_TEST(environment_protected)
{
	remember_something();
	ck_assert_int_eq(STEP("\xd9\x32"), -1);
	EXPECT_MEMORY("\x7f\x03\xff\xff\x00\x38\xff\xff\xff\x7f\xff\xff\xab\x89\x00\x00\x34\x12\xaa\x05\x54\x76\x00\x00\x21\x43\xff\xff");
	remember_something();
	ck_assert_int_eq(STEP("\x66\xd9\x32"), -1);
	EXPECT_MEMORY("\x7f\x03\x00\x38\xff\x7f\xab\x89\x34\x12\x54\x76\x21\x43");
	x87_init(c);
	ck_assert_int_eq(STEP("\x66\xd9\x22"), -1); /* fldenv */
	ck_assert_uint_eq(c->x87.valid, 0x80);
	ck_assert_uint_eq(c->x87.top, 7);
	ck_assert_uint_eq(c->x87.cs, 0x1234);
	ck_assert_uint_eq(c->x87.dp, 0x7654);
}
END_TEST

START_TEST(environment_real)
{
	real_mode();
	remember_something();
	/* linear: 12340 + 89ab = 1aceb, 43210 + 7654 = 4a864 */
	ck_assert_int_eq(STEP("\x67\xd9\x32"), -1);
	EXPECT_MEMORY("\x7f\x03\x00\x38\xff\x7f\xeb\xac\xaa\x15\x64\xa8\x00\x40");
	remember_something();
	ck_assert_int_eq(STEP("\x66\x67\xd9\x32"), -1);
	EXPECT_MEMORY("\x7f\x03\xff\xff\x00\x38\xff\xff\xff\x7f\xff\xff\xeb\xac\xff\xff\xaa\x15\x00\x00\x64\xa8\xff\xff\x00\x40\x00\x00");
	x87_init(c);
	ck_assert_int_eq(STEP("\x66\x67\xd9\x22"), -1);
	ck_assert_uint_eq(c->x87.ip, 0x1aceb);
	ck_assert_uint_eq(c->x87.dp, 0x4a864);
	ck_assert_uint_eq(c->x87.op, 0x5aa);
}
END_TEST

/* FNSTENV masks everything; FNSAVE initialises; FRSTOR brings it back, and with it what is pending. */
START_TEST(save_restore)
{
	x87_set_control(c, 0x340);
	push(0x4000, 0xc90fdaa22168c235);
	ck_assert_int_eq(STEP("\xd9\xee"), -1);
	ck_assert_int_eq(STEP("\xde\xf9"), -1); /* pi / 0 */
	ck_assert_int_eq(STEP("\xdd\x32"), -1); /* fnsave [edx] */
	ck_assert_uint_eq(c->x87.cw, 0x37f);
	ck_assert_uint_eq(x87_status(c), 0);
	ck_assert_uint_eq(c->x87.valid, 0);
	ck_assert_int_eq(STEP("\xdd\x22"), -1); /* frstor [edx] */
	ck_assert_uint_eq(c->x87.cw, 0x340);
	expect(0, 0, 0);
	expect(1, 0x4000, 0xc90fdaa22168c235);
	ck_assert_int_eq(STEP("\x9b"), VEC_MF);
	ck_assert_int_eq(STEP("\xd9\x32"), -1); /* fnstenv [edx] */
	ck_assert_uint_eq(c->x87.cw, 0x37f);
	ck_assert_int_eq(STEP("\x9b"), -1);
	ck_assert_uint_eq(x87_status(c) & X87_ZE, X87_ZE);
}
END_TEST

START_TEST(pointers)
{
	space_write(&mem, OPERAND, 4, 0x3f800000);
	c->seg[CS].sel = 0x1b;
	c->seg[DS].sel = 0x23;
	space_write_block(&mem, CODE, "\xd8\x02\xd9\xd0", 4);
	ck_assert_int_eq(step_at(CODE), -1); /* fadd dword [edx] */
	ck_assert_uint_eq(c->x87.ip, CODE);
	ck_assert_uint_eq(c->x87.cs, 0x1b);
	ck_assert_uint_eq(c->x87.dp, OPERAND);
	ck_assert_uint_eq(c->x87.ds, 0x23);
	ck_assert_uint_eq(c->x87.op, 0x002);
	ck_assert_int_eq(STEP("\xdf\xe0"), -1); /* fnstsw ax: no */
	ck_assert_uint_eq(c->x87.ip, CODE);
	ck_assert_int_eq(step_at(CODE + 2), -1); /* fnop */
	ck_assert_uint_eq(c->x87.ip, CODE + 2);
	ck_assert_uint_eq(c->x87.op, 0x1d0);
	ck_assert_uint_eq(c->x87.dp, OPERAND);
}
END_TEST

/* A store that faults has done nothing. */
START_TEST(store_fault)
{
	push(0x3fff, J_ONE | 1);
	c->seg[DS].limit = OPERAND + 7;
	c->seg[DS].attr &= ~SEG_G;
	seg_update(c, DS);
	ck_assert_int_eq(STEP("\xdb\x3a"), VEC_GP); /* fstp tbyte [edx] */
	expect(0, 0x3fff, J_ONE | 1);
	ck_assert_int_eq(STEP("\xdd\x1a"), -1); /* fstp qword [edx] */
	ck_assert_uint_eq(x87_status(c) & X87_PE, X87_PE);
}
END_TEST

/* ---- the silicon ---- */

#if defined __x86_64__ && defined __linux__

static u64 pick_fraction(void)
{
	static const u64 table[] = {
		0x8000000000000000, 0x8000000000000001, 0xffffffffffffffff, 0xfffffffffffffffe, 0xc000000000000000,
			0xc000000000000001,
		0xc90fdaa22168c235, 0x8000000000000400, 0x8000000000000800, 0x8000008000000000, 0xffffff0000000000,
		0xffffff8000000000,
		0xfffffffffffff800, 0xfffffffffffffc00, 0xa000000000000000, 0x8000010000000000,
	};

	return table[rnd() % ARRAY_LEN(table)];
}

/* Numbers of every class, and near to where something happens. */
static void pick_real(u8 *p)
{
	/* of integers, floats, doubles */
	static const s16 limits[] = { 15, 31, 63, -126, -149, 127, -1022, -1074, 1023 };
	u64 frac = rnd() | J_ONE;
	u16 exp = (u16)(16383 + (int)(rnd() % 300) - 150);

	switch (rnd() % 16) {
	case 0: frac = exp = 0; break;
	case 1: frac = J_ONE, exp = 0x7fff; break;
	case 2: exp = 0x7fff; break;
	case 3: frac = rnd() >> (1 + rnd() % 63), exp = 0; break;
	case 4: exp = 0; break;
	case 5: frac = rnd() >> (1 + rnd() % 63), exp = (u16)rnd(); break;
	case 6: frac = pick_fraction(), exp = (u16)(16383 + (int)(rnd() % 5) - 2); break;
	case 7: frac = pick_fraction(), exp = (u16)rnd(); break;
	case 8: frac = pick_fraction(); /* fall through */
	case 9: exp = (u16)(rnd() & 1 ? 1 + rnd() % 70 : 0x7ffe - (rnd() % 70)); break;
	case 10: frac = J_ONE | (rnd() & rnd() & rnd()), exp = (u16)(16383 + (int)(rnd() % 140) - 70); break;
	case 11: {
		s64 v = (s64)rnd() >> rnd() % 64;
		u64 m = v < 0 ? -(u64)v : (u64)v | !v;
		int n = __builtin_clzll(m);

		frac = m << n;
		exp = (u16)(16383 + 63 - n);
		break;
	}
	case 12: exp = (u16)(16383 + (int)(rnd() % 70) - 3); break;
	case 13: frac = pick_fraction(), exp = (u16)(16383 + limits[rnd() % ARRAY_LEN(limits)] + (int)(rnd() % 3) - 1);
		break;
	}
	put64(p, frac);
	put16(p + 8, (u16)((exp & 0x7fff) | (rnd() & 0x8000)));
}

static void pick_memory(u8 *m)
{
	put64(m, rnd());
	put16(m + 8, (u16)rnd());
	switch (rnd() % 8) {
	case 0: pick_real(m); break;
	case 1: put32(m, (u32)rnd() & (rnd() % 4 ? ~0u : 0x807fffff) ); break;
	case 2: put32(m, (u32)rnd() | 0x7f800000); break;
	case 3: put64(m, rnd() & (rnd() & 1 ? 0x800fffffffffffff : ~(u64)0)); break;
	case 4: put64(m, rnd() | 0x7ff0000000000000); break;
	case 5: put64(m, (u64)((s64)rnd() >> rnd() % 64)); break;
	case 6:
		for (int i = 0; i < 10; i++)
			m[i] = (u8)(rnd() % 10 << 4 | rnd() % 10);
		break;
	case 7: {
		float f = (float)((int)(rnd() % 2001) - 1000) / (float)(1 << rnd() % 8);
		double d = f;

		if (rnd() & 1)
			memcpy(m, &f, 4);
		else
			memcpy(m, &d, 8);
		break;
	}
	}
}

static bool transcendental(u8 op, u8 modrm)
{
	return op == 0xd9 && modrm >= 0xf0 && (modrm <= 0xf3 || modrm == 0xf9 || modrm == 0xfb || modrm >= 0xfe);
}

static void pick_state(struct vec_state *s, u8 op, u8 modrm, bool with_traps)
{
	unsigned top = rnd() & 7;

	memset(s, 0, sizeof *s);
	s->mxcsr = MXCSR_RESET;
	s->flags = rnd() & OSZAPC;
	s->cw = (u16)(0x7f | (rnd() & 0xf00));
	if (with_traps)
		s->cw &= (u16)~(rnd() & 0x3f);
	s->sw = (u16)(top << 11 | (rnd() & 0x4700) | (rnd() % 4 ? 0 : rnd() & 0x3f & s->cw));
	s->tags = 0xff;
	for (unsigned n = 0; n < 8; n++)
		if (rnd() % 8 == 0 || (n == ((top + 7) & 7) && rnd() % 3))
			s->tags &= (u8)~(1 << n);
	for (unsigned i = 0; i < 8; i++)
		pick_real(s->st[i]);
	if (transcendental(op, modrm) && rnd() & 1) { /* where they are interesting */
		put64(s->st[0], rnd() | J_ONE);
		put16(s->st[0] + 8, (u16)((modrm == 0xf0 || modrm == 0xf9 ? 16382 - rnd() % 70 : 16367 + rnd() % 20) |
			(rnd() & 0x8000)));
		if (modrm == 0xf1)
			s->st[0][9] &= 0x7f;
	}
	if (rnd() % 8 == 0)
		memcpy(s->st[0], s->st[1], 10);
	if (rnd() % 8 == 0)
		put16(s->st[1] + 8, (u16)(get16(s->st[0] + 8) + rnd() % 3 - 1));
	if (rnd() % 16 == 0)
		s->st[0][9] ^= 0x80;
	if (rnd() % 16 == 0) { /* products and quotients about the smallest normal number */
		put64(s->st[0], pick_fraction());
		put16(s->st[0] + 8, (u16)(1 + rnd() % 3));
		put64(s->st[1], J_ONE);
		put16(s->st[1] + 8, (u16)(16381 + rnd() % 5));
	}
	pick_memory(s->data);
}

static unsigned compare_one(const u8 code[2], bool with_traps)
{
	bool trans = transcendental(code[0], code[1]), bad;
	struct vec_state before, host, here;
	static char text[3][1024];
	u32 differ;

	pick_state(&before, code[0], code[1], with_traps);
	host = here = before;
	host.r[RDX] = host_data();
	here.r[RDX] = DATA;
	host_step(code, 2, &host);
	guest_step(code, 2, &here);
	differ = host.sw ^ here.sw;
	if (trans)
		differ &= ~(u32)X87_C1; /* which way it was rounded */
	for (unsigned i = 0; trans && i < 2; i++)
		if (host_st_tiny(host.st[i]))
			differ &= ~(u32)X87_UE;
	bad = host.exception != here.exception || differ || host.tags != here.tags || host.cw != here.cw ||
		host.flags != here.flags ||
	      host.r[RAX] != here.r[RAX] || memcmp(host.data, here.data, DATA_SIZE);
	for (unsigned i = 0; i < 8; i++)
		bad |= memcmp(host.st[i], here.st[i], 10) && !(trans && host_st_near(host.st[i], here.st[i], 1));
	/* DIFF_FSCALE_TINY */
	if (code[0] == 0xd9 && code[1] == 0xfd && host.sw & ~here.sw & X87_UE && !host_same_maker(c->model))
		return 0;
	if (bad) {
		show("before", &before, text[0], sizeof text[0]);
		show("host  ", &host, text[1], sizeof text[1]);
		show("guest ", &here, text[2], sizeof text[2]);
		printf("%02x %02x:\n%s\n%s\n%s\n", code[0], code[1], text[0], text[1], text[2]);
		for (unsigned i = 0; i < 8; i++)
			printf("  st%u %04x:%016llx: %04x:%016llx %04x:%016llx\n", i, get16(before.st[i] + 8),
			       (unsigned long long)get64(before.st[i]), get16(host.st[i] + 8),
			       (unsigned long long)get64(host.st[i]), get16(here.st[i] + 8),
			       (unsigned long long)get64(here.st[i]));
		for (unsigned i = 0; i < 10; i++)
			printf("%s %02x %02x %02x", i ? "," : " ", before.data[i], host.data[i], here.data[i]);
		printf("\n");
	}
	return bad;
}

static bool is_x87(u8 op, u8 modrm)
{
	const struct isa_row *r;

	if (modrm < 0xc0 && (modrm & 0xc7) != 2) /* [rdx] */
		return false;
	/* control word, environment and state have tests of their own */
	if ((op == 0xd9 && modrm < 0xc0 && modrm >> 3 >= 4 && modrm >> 3 <= 6) ||
	    (op == 0xdd && modrm < 0xc0 && (modrm >> 3 == 4 || modrm >> 3 == 6)))
		return false;
	for (r = c->isa->index[0][op]; r; r = r->next) {
		u64 key = modrm | (modrm < 0xc0 ? KEY_MEM : 0);

		if ((key & r->mask) == r->match)
			return true;
	}
	return false;
}

static void compare_all(bool with_traps, unsigned times)
{
	unsigned bad = 0, forms = 0;

	for (unsigned op = 0xd8; host_works && op <= 0xdf; op++)
		for (unsigned modrm = 0; modrm < 256; modrm++) {
			u8 code[2] = { (u8)op, (u8)modrm };

			if (!is_x87(code[0], code[1]))
				continue;
			forms++;
			for (unsigned n = 0; n < times && bad < 10; n++)
				bad += compare_one(code, with_traps);
		}
	ck_assert(!host_works || forms > 400);
	ck_assert_uint_eq(bad, 0);
}

START_TEST(silicon_masked) { compare_all(false, 600); }
END_TEST
START_TEST(silicon_unmasked) { compare_all(true, 600); }
END_TEST

#endif

static Suite *suite(void)
{
	Suite *s = suite_create("x87");
	TCase *t = tcase_create("manual");

	tcase_add_checked_fixture(t, make_flat, bare_free);
	tcase_add_test(t, constants);
	tcase_add_test(t, pi_has_66_bits);
	tcase_add_test(t, unmasked);
	tcase_add_test(t, ferr_line);
	tcase_add_test(t, device_not_available);
	tcase_add_test(t, environment_protected);
	tcase_add_test(t, environment_real);
	tcase_add_test(t, save_restore);
	tcase_add_test(t, pointers);
	tcase_add_test(t, store_fault);
	suite_add_tcase(s, t);
#if defined __x86_64__ && defined __linux__
	t = tcase_create("silicon");
	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_add_checked_fixture(t, make_host, NULL);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, silicon_masked);
	tcase_add_test(t, silicon_unmasked);
	suite_add_tcase(s, t);
#endif
	return s;
}

int main(void)
{
	return bare_run(suite());
}
