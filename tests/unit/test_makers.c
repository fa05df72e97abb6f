/* SPDX-License-Identifier: MIT */
/* Where AMD's processors and Intel's do not do the same: each fact on a model of either maker. Intel's are as family 6,
 * model 207 has them, AMD's as family 25, model 1 (docs/SILICON.md). What of them user mode sees, tests/silicon/native
 * compares with the host's processor. */
#include "cpu/op.h"
#include "tests/unit/modes.h"

static const char *const makers[] = { "max", "zen3" };

/* The first fault, or RETIRED; then RIP - CODE, and what the row looks at. */
struct seen { int vector; u32 rip; u64 value; };
enum look { NOTHING, LOOK_RAX, LOOK_RCX, LOOK_RSP /* bytes below STACK */, LOOK_STACK /* 4 bytes at SS:RSP */,
	LOOK_XMM1, LOOK_DATA /* 8 bytes at DATA + 8 */ };

static const struct fact {
	const char *what;
	u8 mode, cpl, code[10];
	u64 rax, rbx, rcx;
	u32 flags, mxcsr;
	u8 look;
	struct seen seen[MAKERS];
} facts[] = {
	{ "call, 66h", LONG, 0, { 0x66, 0xe8, 0x10, 0, 0, 0 }, .look = LOOK_RSP,
	  .seen = { { RETIRED, 0x16, 8 }, { RETIRED, 0x14, 2 } } },
	{ "call rax, 66h", LONG, 0, { 0x66, 0xff, 0xd0 }, .rax = 0x18100, .look = LOOK_RSP,
	  .seen = { { RETIRED, 0x10100, 8 }, { RETIRED, 0x100, 2 } } },
	{ "loopne, F3h", LONG, 0, { 0xf3, 0xe0, 0x10 }, .rcx = 2, .flags = FL_Z, .look = LOOK_RCX,
	  .seen = { { RETIRED, 3, 1 }, { RETIRED, 0x13, 1 } } },
	{ "loope, F2h", P32, 0, { 0xf2, 0xe1, 0x10 }, .rcx = 2, .flags = FL_Z, .look = LOOK_RCX,
	  .seen = { { RETIRED, 0x13, 1 }, { RETIRED, 3, 1 } } },
	{ "loope, F2h and 66h", LONG, 0, { 0x66, 0xf2, 0xe1, 0x10 }, .rcx = 2, .flags = FL_Z, .look = LOOK_RCX,
	  .seen = { { RETIRED, 0x14, 1 }, { RETIRED, 4, 1 } } },
	{ "F3 REX.B 90", LONG, 0, { 0xf3, 0x49, 0x90 }, .rax = 5, .look = LOOK_RAX,
	  .seen = { { RETIRED, 3, 5 }, { RETIRED, 3, 0 } } },
	{ "0F 0D with a register", LONG, 0, { 0x0f, 0x0d, 0xc0 }, .seen = { { RETIRED, 3, 0 }, { VEC_UD, 0, 0 } } },
	{ "vpextrd, W = 1", C32, 0, { 0xc4, 0xe3, 0xf9, 0x16, 0xc0, 0 },
	  .seen = { { RETIRED, 6, 0 }, { VEC_UD, 0, 0 } } },
	{ "vpermq, W = 0", LONG, 0, { 0xc4, 0xe3, 0x7d, 0x00, 0xc0, 0 },
	  .seen = { { VEC_UD, 0, 0 }, { RETIRED, 6, 0 } } },
	{ "sha256msg1, not aligned", LONG, 0, { 0x0f, 0x38, 0xcc, 0x03 }, .rbx = DATA + 1,
	  .seen = { { VEC_GP, 0, 0 }, { RETIRED, 4, 0 } } },
	{ "addps, not aligned, MXCSR.MM", LONG, 0, { 0x0f, 0x58, 0x03 }, .rbx = DATA + 1, .mxcsr = MXCSR_MM,
	  .seen = { { VEC_GP, 0, 0 }, { RETIRED, 3, 0 } } },
	{ "movaps, not aligned, MXCSR.MM", LONG, 0, { 0x0f, 0x28, 0x03 }, .rbx = DATA + 1, .mxcsr = MXCSR_MM,
	  .seen = { { VEC_GP, 0, 0 }, { VEC_GP, 0, 0 } } },
	{ "addps, not aligned", LONG, 0, { 0x0f, 0x58, 0x03 }, .rbx = DATA + 1,
	  .seen = { { VEC_GP, 0, 0 }, { VEC_GP, 0, 0 } } },
	{ "movups, AC", LONG, 3, { 0x0f, 0x10, 0x03 }, .rbx = DATA + 8, .flags = FL_AC,
	  .seen = { { RETIRED, 3, 0 }, { VEC_AC, 0, 0 } } },
	{ "movups, AC, aligned", LONG, 3, { 0x0f, 0x10, 0x03 }, .rbx = DATA + 16, .flags = FL_AC,
	  .seen = { { RETIRED, 3, 0 }, { RETIRED, 3, 0 } } },
	{ "vmovups of 32 bytes, AC", LONG, 3, { 0xc5, 0xfc, 0x10, 0x03 }, .rbx = DATA + 16, .flags = FL_AC,
	  .seen = { { RETIRED, 4, 0 }, { RETIRED, 4, 0 } } },
	{ "push fs", P32, 0, { 0x0f, 0xa0 }, .look = LOOK_STACK,
	  .seen = { { RETIRED, 2, 0x77770000 | DATA32(0) }, { RETIRED, 2, DATA32(0) } } },
	{ "lock verw of a register", P32, 0, { 0xf0, 0x0f, 0x00, 0xe8 },
	  .seen = { { VEC_UD, 0, 0 }, { VEC_UD, 0, 0 } } },
	{ "lss, REX.W", LONG, 0, { 0x48, 0x0f, 0xb2, 0x03 }, .rbx = DATA, .look = LOOK_RAX,
	  .seen = { { RETIRED, 4, 0x2812345678 }, { RETIRED, 4, 0x12345678 } } },
	{ "shld by 18", P32, 0, { 0x66, 0x0f, 0xa4, 0xc8, 18 }, .rax = 0x1234, .rcx = 0xabcd, .look = LOOK_RAX,
	  .seen = { { RETIRED, 5, 0xaf34 }, { RETIRED, 5, 0xaf36 } } },
	{ "shrd by 18", P32, 0, { 0x66, 0x0f, 0xac, 0xc8, 18 }, .rax = 0x1234, .rcx = 0xabcd, .look = LOOK_RAX,
	  .seen = { { RETIRED, 5, 0x2af3 }, { RETIRED, 5, 0x6af3 } } },
	{ "rep movs, 67h, nothing to move", LONG, 0, { 0x67, 0xf3, 0xa4 }, .rcx = (u64)5 << 32, .look = LOOK_RCX,
	  .seen = { { RETIRED, 3, 0 }, { RETIRED, 3, (u64)5 << 32 } } },
	{ "dpps of NaNs", LONG, 0, { 0x66, 0x0f, 0x3a, 0x40, 0xca, 0xff }, .look = LOOK_XMM1,
	  .seen = { { RETIRED, 6, 0x7fc000107fc00011 }, { RETIRED, 6, 0x7fc000107fc00010 } } },
	{ "fxsave, no exception pending", LONG, 0, { 0x0f, 0xae, 0x03 }, .rbx = DATA, .look = LOOK_DATA,
	  .seen = { { RETIRED, 3, 0x12345 }, { RETIRED, 3, 0 } } },
	{ "syscall outside 64-bit mode", C32, 3, { 0x0f, 0x05 }, .look = LOOK_RCX,
	  .seen = { { VEC_UD, 0, 0 }, { RETIRED, 0x300, CODE + 2 } } },
	{ "sysenter in long mode", LONG, 3, { 0x0f, 0x34 }, .seen = { { VEC_GP, 0, 0 }, { VEC_UD, 0, 0 } } },
	{ "lock mov eax, cr0", P32, 0, { 0xf0, 0x0f, 0x20, 0xc0 }, .rax = 7, .look = LOOK_RAX,
	  .seen = { { VEC_UD, 0, 7 }, { RETIRED, 4, 0 } } },
	{ "lock verw", P32, 0, { 0xf0, 0x0f, 0x00, 0x2b }, .rbx = DATA, .seen = { { VEC_UD, 0, 0 }, { RETIRED, 4, 0 } } },
	{ "clzero", P32, 3, { 0x0f, 0x01, 0xfc }, .rax = DATA + 13, .look = LOOK_DATA,
	  .seen = { { VEC_UD, 0, DATA32(0) }, { RETIRED, 3, 0 } } },
	{ "movsxd, 66h, AC", LONG, 3, { 0x66, 0x63, 0x03 }, .rbx = DATA + 2, .flags = FL_AC,
	  .seen = { { RETIRED, 3, 0 }, { VEC_AC, 0, 0 } } },
};

static void prepare(const struct fact *f)
{
	enter((enum mode)f->mode, f->cpl);
	poke(CODE, f->code, sizeof f->code);
	poke64(STACK - 8, 0x7777777777777777);
	poke32(DATA, 0x12345678);
	poke16(DATA + 4, DATA32(0)); /* selectors behind offsets of 32 and 64 bits */
	poke64(DATA + 8, DATA32(0));
	c->cr0 |= CR0_AM;
	c->cr4 |= CR4_OSXSAVE;
	c->xcr0 = 7;
	c->r[RAX] = f->rax;
	c->r[RBX] = f->rbx;
	c->r[RCX] = f->rcx;
	c->r[R8] = 0;
	c->eflags |= f->flags & FL_AC;
	cpu_set_arith(c, f->flags);
	c->mxcsr = 0x1f80 | (f->mxcsr & mxcsr_bits(c));
	c->x87.ip = 0x12345;
	c->cstar = CODE + 0x300;
	c->star = (u64)CODE64(0) << 32;
	for (unsigned i = 0; i < 4; i++) {
		c->v[1].d[i] = 0x7fc00010 + i;
		c->v[2].d[i] = 0x3f800000;
	}
	settle();
}

static u64 look_at(unsigned look)
{
	switch (look) {
	case LOOK_RAX: return c->r[RAX];
	case LOOK_RCX: return c->r[RCX];
	case LOOK_RSP: return STACK - c->r[RSP];
	case LOOK_STACK: return peek(c->r[RSP], 4);
	case LOOK_XMM1: return c->v[1].q[0];
	case LOOK_DATA: return peek(DATA + 8, 8);
	default: return 0;
	}
}

START_TEST(differences)
{
	for (unsigned m = 0; m < MAKERS; m++) {
		bare_new(makers[m], RAM_SIZE);
		for (unsigned i = 0; i < ARRAY_LEN(facts); i++) {
			const struct fact *f = &facts[i];
			const struct seen *s = &f->seen[m];

			prepare(f);
			name_case("%s: %s", makers[m], f->what);
			expect(s->vector, s->vector == VEC_UD || s->vector == VEC_GP || s->vector == VEC_AC ? 0
										      : c->fault.error);
			EQ(c->r[RIP] - CODE, s->rip);
			EQ(look_at(f->look), s->value);
		}
		bare_free();
	}
}
END_TEST

/* What AMD's family 26 (Zen 5) no longer ignores, and family 25 (Zen 3) does. */
START_TEST(families)
{
	static const struct { const char *what; u8 code[4], len; bool strict; } cases[] = {
		{ "lock verw [rbx]", { 0xf0, 0x0f, 0x00, 0x2b }, 4, true },
		{ "repe verw [rbx]", { 0xf3, 0x0f, 0x00, 0x2b }, 4, false },
		{ "clzero, F3h", { 0xf3, 0x0f, 0x01, 0xfc }, 4, true },
		{ "clzero, F2h", { 0xf2, 0x0f, 0x01, 0xfc }, 4, true },
		{ "clzero, 66h", { 0x66, 0x0f, 0x01, 0xfc }, 4, false }, { "clzero", { 0x0f, 0x01, 0xfc }, 3, false },
	};
	static const char *const models[] = { "zen3", "zen5" };

	for (unsigned m = 0; m < ARRAY_LEN(models); m++) {
		bare_new(models[m], RAM_SIZE);
		for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
			bool raises = m && cases[i].strict;

			enter(LONG, 3);
			poke(CODE, cases[i].code, cases[i].len);
			c->r[RAX] = c->r[RBX] = DATA;
			settle();
			name_case("%s: %s", models[m], cases[i].what);
			expect(raises ? VEC_UD : RETIRED, 0);
			EQ(c->r[RIP] - CODE, raises ? 0u : cases[i].len);
		}
		bare_free();
	}
}
END_TEST

/* EVEX operands in memory with EFLAGS.AC, on AMD's family 26: 16 bytes, and with a mask the element's size, if one is
 * active. VEXTRACT* has no such mask. Intel's processors do not look at vectors of 16 bytes and more. */
START_TEST(evex_alignment)
{
	static const struct { const char *what; u8 code[7], len, at; u64 k1; bool raises; } cases[] = {
		{ "vmovdqu32 zmm0, [rbx]", { 0x62, 0xf1, 0x7e, 0x48, 0x6f, 0x03 }, 6, 8, 0, true },
		{ "vmovdqu32 zmm0, [rbx]", { 0x62, 0xf1, 0x7e, 0x48, 0x6f, 0x03 }, 6, 16, 0, false },
		{ "vmovdqu32 zmm0{k1}, [rbx]", { 0x62, 0xf1, 0x7e, 0x49, 0x6f, 0x03 }, 6, 4, 0xffff, false },
		{ "vmovdqu32 zmm0{k1}, [rbx]", { 0x62, 0xf1, 0x7e, 0x49, 0x6f, 0x03 }, 6, 2, 1, true },
		{ "vmovdqu32 zmm0{k1}, [rbx]", { 0x62, 0xf1, 0x7e, 0x49, 0x6f, 0x03 }, 6, 2, 0, false },
		{ "vmovdqu64 [rbx]{k1}, xmm0", { 0x62, 0xf1, 0xfe, 0x09, 0x7f, 0x03 }, 6, 4, 3, true },
		{ "vpcompressd [rbx], zmm0", { 0x62, 0xf2, 0x7d, 0x48, 0x8b, 0x03 }, 6, 8, 0, true },
		{ "vpcompressd [rbx]{k1}, zmm0", { 0x62, 0xf2, 0x7d, 0x49, 0x8b, 0x03 }, 6, 8, 0xff, false },
		{ "vextracti32x4 [rbx]{k1}, zmm0, 0", { 0x62, 0xf3, 0x7d, 0x49, 0x39, 0x03, 0 }, 7, 8, 0, true },
	};
	static const char *const models[] = { "max,+avx512f,+avx512vl", "zen5" };

	for (unsigned m = 0; m < ARRAY_LEN(models); m++) {
		bare_new(models[m], RAM_SIZE);
		for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
			bool raises = m && cases[i].raises;

			enter(LONG, 3);
			poke(CODE, cases[i].code, cases[i].len);
			c->cr0 |= CR0_AM;
			c->cr4 |= CR4_OSXSAVE;
			c->xcr0 = 0xe7;
			c->eflags |= FL_AC;
			c->r[RBX] = DATA + cases[i].at;
			c->k[1] = cases[i].k1;
			settle();
			name_case("%s: %s at %u", models[m], cases[i].what, cases[i].at);
			expect(raises ? VEC_AC : RETIRED, 0);
		}
		bare_free();
	}
}
END_TEST

/* The flags that REP CMPS leaves when its third element faults: Intel's, those from before; AMD's, of the second. */
START_TEST(rep_fault)
{
	for (unsigned m = 0; m < MAKERS; m++) {
		bare_new(makers[m], RAM_SIZE);
		enter(LONG, 3);
		POKE(CODE, 0xf3, 0xa6);
		c->r[RCX] = 5;
		c->r[RSI] = DATA;
		c->r[RDI] = 0x3ffffffe; /* two bytes of nothing, which reads as ones, and then no page */
		POKE(DATA, 0xff, 0xff);
		cpu_set_arith(c, FL_C);
		settle();
		ck_assert_int_eq(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_EXCEPTION);
		ck_assert_uint_eq(c->fault.vector, VEC_PF);
		ck_assert_uint_eq(c->r[RCX], 3);
		ck_assert_uint_eq(cpu_flags(c) & OSZAPC, m == MAKER_AMD ? FL_Z | FL_P : FL_C);
		bare_free();
	}
}
END_TEST

/* XSAVE, XSAVEOPT and XSAVEC that are not to save the legacy region, whose page is not there; the header's is. Seen with
 * family 26 of AMD's; where SSE is asked for, both makers' fault. */
START_TEST(xsave_begins)
{
	static const struct { const char *what; u8 code[3]; u32 rax; bool both; } cases[] = {
		{ "xsave of nothing", { 0x0f, 0xae, 0x23 }, 0, false }, { "xsaveopt of nothing", { 0x0f, 0xae, 0x33 }, 0, false },
		{ "xsavec of nothing", { 0x0f, 0xc7, 0x23 }, 0, false }, { "xsavec of AVX", { 0x0f, 0xc7, 0x23 }, 4, false },
		{ "xsave of AVX", { 0x0f, 0xae, 0x23 }, 4, true }, { "xsavec of SSE", { 0x0f, 0xc7, 0x23 }, 2, true },
	};

	for (unsigned m = 0; m < MAKERS; m++) {
		bare_new(makers[m], RAM_SIZE);
		for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
			enter(LONG, 3);
			poke64(PML4 + 0x1010, 0xe7); /* the third GByte, not the second */
			poke(CODE, cases[i].code, sizeof cases[i].code);
			c->cr4 |= CR4_OSXSAVE;
			c->xcr0 = 7;
			c->r[RAX] = cases[i].rax;
			c->r[RDX] = 0;
			c->r[RBX] = 0x7fffffc0;
			settle();
			name_case("%s: %s", makers[m], cases[i].what);
			expect(cases[i].both || m == MAKER_AMD ? VEC_PF : RETIRED, 6);
		}
		bare_free();
	}
}
END_TEST

/* A vector that begins below 4 GiB, where there is no page, and goes on beyond it, in 32-bit code of AMD's: #GP without a
 * mask; with one, the fault of the first active element, also if all of them are active. Seen with family 26. */
START_TEST(masked_wrap)
{
	static const struct { u8 p2; u64 k1; int vector; } cases[] = {
		{ 0x48, 0, VEC_GP }, { 0x49, 0xffff, VEC_PF }, { 0x49, 0x7fff, VEC_PF }, { 0x49, 1, VEC_PF },
		{ 0x49, 0x40, VEC_PF }, { 0x49, 0x80, VEC_GP }, { 0x49, 0x8000, VEC_GP }, { 0x49, 0, RETIRED },
	};

	bare_new("zen5", RAM_SIZE);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		enter(C32, 3);
		POKE(CODE, 0x62, 0xf2, 0x55, cases[i].p2, 0x14, 0x8e, 0xe3, 0xff, 0xff, 0xff); /* vprorvd zmm1, zmm5, [esi - 29] */
		c->cr4 |= CR4_OSXSAVE;
		c->xcr0 = 0xe7;
		c->r[RSI] = 0;
		c->k[1] = cases[i].k1;
		settle();
		name_case("mask %llx", (unsigned long long)cases[i].k1);
		expect(cases[i].vector, cases[i].vector == VEC_PF ? 4 : 0);
	}
	bare_free();
}
END_TEST

/* Where components are in XSAVE's standard format: what CPUID says, and where XSAVE puts them. Those of AVX-512 are as
 * leaf 0Dh of a Zen 5 has them (of a Zen 3: PKRU), and as Intel's have them, with room for MPX. */
START_TEST(xsave_layout)
{
	static const struct { const char *model; u8 number; u32 at, all; } rows[] = {
		{ "zen5", 2, 0x240, 0x988 }, { "zen5", 5, 0x340, 0x988 }, { "zen5", 6, 0x380, 0x988 }, { "zen5", 7, 0x580, 0x988 },
		{ "zen5", 9, 0x980, 0x988 }, { "zen3", 9, 0x980, 0x988 }, { "skylake-server", 5, 0x440, 0xa88 },
		{ "skylake-server", 6, 0x480, 0xa88 }, { "skylake-server", 7, 0x680, 0xa88 }, { "skylake-server", 9, 0xa80, 0xa88 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u32 out[4];

		bare_new(rows[i].model, RAM_SIZE);
		enter(LONG, 0);
		POKE(CODE, 0x0f, 0xae, 0x23); /* xsave [rbx] */
		c->cr4 |= CR4_OSXSAVE | CR4_PKE;
		c->xcr0 = rows[i].number == 9 ? 0x207 : 0xe7;
		c->r[RAX] = 1u << rows[i].number;
		c->r[RDX] = 0;
		c->r[RBX] = DATA;
		c->pkru = 0x5a;
		memset(&c->v[16], 0x5a, sizeof c->v[16]);
		memset(&c->v[0].b[16], 0x5a, 48);
		memset(c->k, 0x5a, sizeof c->k);
		settle();
		name_case("%s: component %u", rows[i].model, rows[i].number);
		expect(RETIRED, 0);
		EQ(peek(DATA + 0x200, 8), 1u << rows[i].number);
		EQ(peek(DATA + rows[i].at, 1), 0x5a);
		cpuid(c, 0xd, rows[i].number, out);
		EQ(out[1], rows[i].at);
		cpuid(c, 0xd, 0, out);
		EQ(out[2], rows[i].all);
		bare_free();
	}
}
END_TEST

/* ZMM16 to ZMM31 in 32-bit code: family 26 of AMD's says that they are in use, and does not save them. */
START_TEST(xsave_high_zmm)
{
	static const char *const models[] = { "skylake-server", "zen5" };

	for (unsigned m = 0; m < MAKERS; m++) {
		bare_new(models[m], RAM_SIZE);
		enter(C32, 3);
		POKE(CODE, 0x0f, 0xc7, 0x23); /* xsavec [ebx] */
		poke64(DATA + 0x240, 0x123456789);
		c->cr4 |= CR4_OSXSAVE;
		c->xcr0 = 0xe7;
		c->r[RAX] = 0x80;
		c->r[RDX] = 0;
		c->r[RBX] = DATA;
		c->v[31].q[7] = 1;
		settle();
		name_case("%s", models[m]);
		expect(RETIRED, 0);
		EQ(peek(DATA + 0x200, 8), m == MAKER_AMD ? 0x80 : 0);
		EQ(peek(DATA + 0x240, 8), 0x123456789);
		bare_free();
	}
}
END_TEST

/* VRCP14 and VRSQRT14 of one element, as a Zen 5 has them. */
START_TEST(approximations)
{
	static const struct { u64 operand, reciprocal, root; } singles[] = {
		{ 0x3f800000, 0x3f800000, 0x3f800000 }, { 0x3f800001, 0x3f7ffe00, 0x3f7ffd00 },
		{ 0x3f81ffff, 0x3f7c0e00, 0x3f7e0980 }, { 0x3f934567, 0x3f5e8180, 0x3f6eaa00 },
		{ 0x3fa00000, 0x3f4ccb80, 0x3f64f700 }, { 0x3fb89abc, 0x3f318180, 0x3f552b80 },
		{ 0x3fd5e6f7, 0x3f193180, 0x3f460980 }, { 0x3fffffff, 0x3f000000, 0x3f350480 },
		{ 0x40000000, 0x3f000000, 0x3f350280 }, { 0x40123456, 0x3ee02000, 0x3f296180 },
		{ 0x405db975, 0x3e93ca00, 0x3f098a00 }, { 0x407fffff, 0x3e800000, 0x3f000000 },
		{ 0x00412345, 0x7efb8680, 0x5f337080 }, { 0x7e7fedcb, 0x00800900, 0x20000480 },
		{ 0xbf934567, 0xbf5e8180, 0xffc00000 }, { 0x3e123456, 0x40e02000, 0x40296180 },
	}, doubles[] = {
		{ 0x3ff123456789abcd, 0x3fede05000000000, 0x3feeeb9000000000 },
		{ 0x4008765432fedcba, 0x3fd4ee3000000000, 0x3fe24cb000000000 },
		{ 0x0008000000000001, 0x7fdfffc000000000, 0x5fe6a05000000000 },
		{ 0x7fe123456789abcd, 0x0007781400000000, 0x1ff5dd2000000000 },
	};

	bare_new("zen5", RAM_SIZE);
	for (unsigned i = 0; i < 2 * (ARRAY_LEN(singles) + ARRAY_LEN(doubles)); i++) {
		unsigned n = i / 2, opcode = i & 1 ? 0x4f : 0x4d;
		bool wide = n >= ARRAY_LEN(singles);
		u64 operand = wide ? doubles[n - ARRAY_LEN(singles)].operand : singles[n].operand;
		u64 want = wide ? (i & 1 ? doubles[n - ARRAY_LEN(singles)].root : doubles[n - ARRAY_LEN(singles)].reciprocal)
				: (i & 1 ? singles[n].root : singles[n].reciprocal);

		enter(LONG, 3);
		POKE(CODE, 0x62, 0xf2, wide ? 0xed : 0x6d, 0x08, opcode, 0xcb); /* xmm1, xmm2, xmm3 */
		c->cr4 |= CR4_OSXSAVE;
		c->xcr0 = 0xe7;
		memset(&c->v[2], 0, sizeof c->v[2]);
		c->v[3].q[0] = operand;
		settle();
		name_case("%s of %llx", i & 1 ? "vrsqrt14" : "vrcp14", (unsigned long long)operand);
		expect(RETIRED, 0);
		EQ(c->v[1].q[0], want);
	}
	bare_free();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("makers");
	TCase *t = tcase_create("makers");

	tcase_add_test(t, differences);
	tcase_add_test(t, families);
	tcase_add_test(t, evex_alignment);
	tcase_add_test(t, rep_fault);
	tcase_add_test(t, xsave_begins);
	tcase_add_test(t, masked_wrap);
	tcase_add_test(t, xsave_layout);
	tcase_add_test(t, xsave_high_zmm);
	tcase_add_test(t, approximations);
	suite_add_tcase(s, t);
	return bare_run(s);
}
