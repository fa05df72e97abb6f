/* SPDX-License-Identifier: MIT */
/* Processors before the 286: offsets wrap (SDM vol. 3, "Segment Wraparound"), a division error is a trap (80286 manual,
 * D.2), nothing is undefined or too long on an 8086; a 186 has the 286's instructions. What each instruction does is
 * compared with vectors of real ones (tests/silicon/vectors). */
#include "cpu/op.h"
#include "tests/unit/modes.h"

static const char *const names[] = { "8086", "186", "286" };
enum { M8086, M186, M286, MODELS };

static void begin(unsigned m)
{
	bare_new(names[m], RAM_SIZE);
	enter(REAL, 0);
}

/* At the end of a segment. Before the 286 it retires; a 286 faults (#GP, also of the stack). */
static void run(unsigned m, const char *name)
{
	name_case("%s: %s", names[m], name);
	expect(m == M286 ? VEC_GP : RETIRED, 0);
}

/* Words at FFFFh: the second byte is at 0. */
START_TEST(offsets_wrap)
{
	static const struct { const char *name; u8 code[5]; u64 rax; u16 word; } cases[] = {
		{ "mov ax, [bx]", { 0x8b, 0x07 }, 0x1234, 0x1234 }, { "mov [bx], cx", { 0x89, 0x0f }, 0xaaaa, 0x5678 },
			{ "add [bx], cx", { 0x01, 0x0f }, 0xaaaa, 0x68ac },
		{ "mov ax, [FFFF]", { 0xa1, 0xff, 0xff }, 0x1234, 0x1234 }, { "lodsw", { 0xad }, 0x1234, 0x1234 },
			{ "stosw", { 0xab }, 0xaaaa, 0xaaaa },
		{ "push cx", { 0x51 }, 0xaaaa, 0x5678 }, { "pop ax", { 0x58 }, 0x1234, 0x1234 },
			{ "pushf", { 0x9c }, 0xaaaa, 0 }, { "mov [bx], ds", { 0x8c, 0x1f }, 0xaaaa, 0 },
		{ "pop [bx+si+1]", { 0x8f, 0x40, 0x01 }, 0xaaaa, 0x1234 },
	};

	for (unsigned n = 0; n < ARRAY_LEN(cases) * MODELS; n++) {
		unsigned m = n % MODELS, i = n / MODELS;
		bool pops = cases[i].code[0] == 0x58 || cases[i].code[0] == 0x8f;

		begin(m);
		poke(CODE, cases[i].code, 5);
		poke8(0xffff, 0x34);
		poke8(0, 0x12);
		c->r[RAX] = 0xaaaa;
		c->r[RCX] = 0x5678;
		c->r[RBX] = c->r[RSI] = c->r[RDI] = 0xffff;
		c->r[RSP] = pops ? 0xffff : 1;
		run(m, cases[i].name);
		if (m != M286) {
			u16 flags = m == M8086 || m == M186 ? 0xf002 : 2;

			EQ(c->r[RAX], cases[i].rax);
			EQ(ram->host[0xffff] | ram->host[0] << 8, cases[i].code[0] == 0x9c ? flags : cases[i].word);
			EQ(c->r[RSP], pops ? 1 : cases[i].code[0] == 0x51 || cases[i].code[0] == 0x9c ? 0xffff : 1);
		}
		bare_free();
	}
}
END_TEST

/* Two words, of which either may be the one; and the three of an interrupt. */
START_TEST(pairs_wrap)
{
	for (unsigned n = 0; n < 4 * 2; n++) {
		unsigned m = n & 1, at = 0xfffd + n / 2;

		begin(m);
		for (unsigned i = 0; i < 4; i++)
			poke8((at + i) & 0xffff, (u8)(0x11 * (i + 1)));
		POKE(CODE, 0xc4, 0x07); /* les ax, [bx] */
		c->r[RBX] = at;
		name_case("%s: les ax, [%x]", names[m], at);
		expect(RETIRED, 0);
		EQ(c->r[RAX], 0x2211);
		EQ(c->seg[ES].sel, 0x4433);
		bare_free();
	}
	for (unsigned n = 0; n < 7 * 2; n++) {
		unsigned m = n & 1, sp = n / 2;

		begin(m);
		c->idtr.limit = 0x3ff;
		POKE(CODE, 0xcd, 0x40, 0xcf);
		poke16(4 * 0x40, CODE + 2);
		c->r[RSP] = sp;
		name_case("%s: int 40h with SP %u", names[m], sp);
		expect(RETIRED, 0);
		EQ(c->r[RSP], (sp - 6) & 0xffff);
		for (unsigned i = 0; i < 6; i++)
			EQ(ram->host[(sp - 6 + i) & 0xffff],
				((const u8[]){ (CODE + 2) & 0xff, (CODE + 2) >> 8, 0, 0, 2, 0xf0 }[i]));
		expect(RETIRED, 0); /* and back by its own IRET */
		EQ(c->r[RSP], sp);
		EQ(c->r[RIP], CODE + 2);
		bare_free();
	}
}
END_TEST

/* The address that DIV and AAM push. */
START_TEST(division_error)
{
	static const u8 codes[][2] = { { 0xf6, 0xf3 }, { 0xf6, 0xfb }, { 0xf7, 0xf3 }, { 0xd4, 0x00 } };

	for (unsigned n = 0; n < ARRAY_LEN(codes) * MODELS; n++) {
		unsigned m = n % MODELS;

		begin(m);
		c->idtr.limit = 0x3ff;
		poke(CODE, codes[n / MODELS], 2);
		c->r[RBX] = 0;
		name_case("%s: division %u", names[m], n / MODELS);
		EQ(taken(), VEC_DE);
		EQ(peek(STACK - 6, 2), m == M286 ? CODE : CODE + 2);
		bare_free();
	}
}
END_TEST

/* Any number of prefixes, across pages and round the end of a segment; they all count. */
START_TEST(prefixes)
{
	for (unsigned n = 0; n <= 300; n += n < 40 ? 1 : 20)
		for (unsigned at = 0; at < 3; at++) {
			const unsigned start = (unsigned[]){ CODE, CODE + 0x1000 - 3, 0x10000 - 20 }[at];
			u8 code[320];
			unsigned len = n;

			begin(M8086);
			memset(code, 0x26, n); /* es: */
			code[len++] = 0x8a;    /* mov al, [bx] */
			code[len++] = 0x07;
			for (unsigned i = 0; i < len; i++)
				poke8((start + i) & 0xffff, code[i]);
			seg_load_real(c, ES, 0x500);
			poke8(0x5000 + 0x700, 0x5a);
			poke8(0x700, 0xa5);
			c->r[RBX] = 0x700;
			c->r[RIP] = start;
			name_case("%u prefixes at %x", n, start);
			/* 32 that more follow are an instruction of their own */
			for (unsigned i = 0; i <= (n ? n - 1 : 0) / 32; i++)
				expect(RETIRED, 0);
			EQ(c->r[RIP], (start + len) & 0xffff);
			EQ(c->r[RAX], n ? 0x5a : 0xa5);
			bare_free();
		}
	begin(M286);
	memset(ram->host + CODE, 0x26, 20);
	name_case("286: too many prefixes");
	expect(VEC_GP, 0);
	bare_free();
}
END_TEST

/* What an 8086 makes of the opcodes that came later. */
START_TEST(aliases)
{
	begin(M8086);
	c->r[RAX] = 0x8000;
	c->r[RCX] = 0x0003;
	c->r[RBX] = 0x700;
	POKE(CODE, 0x61, 0x01, 0xf4,    /* jno +1 */
	     0xf0, 0xf1, 0xd1, 0xf0,    /* lock lock setmo ax */
	     0xff, 0xf9,                /* push cx */
	     0x8f, 0xca,                /* pop dx */
	     0xc6, 0xc8 | 3, 0x77,      /* mov bl, 77h */
	     0x8c, 0xe0,                /* mov ax, es */
	     0x8e, 0xf9,                /* mov ds, cx */
	     0xd8, 0x07,                /* esc */
	     0x0e, 0x0f,                /* push cs, pop cs */
	     0xf3, 0xf6, 0xf9);         /* rep idiv cl */
	name_case("8086: aliases");
	expect(RETIRED, 0);
	EQ(c->r[RIP], CODE + 3);
	expect(RETIRED, 0);
	EQ(c->r[RAX], 0xffff);
	expect(RETIRED, 0);
	EQ(c->r[RSP], STACK - 2);
	expect(RETIRED, 0);
	EQ(c->r[RDX], 3);
	expect(RETIRED, 0);
	EQ(c->r[RBX], 0x777);
	expect(RETIRED, 0);
	EQ(c->r[RAX], 0);
	expect(RETIRED, 0);
	EQ(c->seg[DS].sel, 3);
	for (unsigned i = 0; i < 3; i++)
		expect(RETIRED, 0);
	c->r[RAX] = 7;
	expect(RETIRED, 0);
	EQ(c->r[RAX], 0x01fe); /* -2, and 1 is left */
	bare_free();

	begin(M8086);
	poke16(STACK, 0x1234);
	POKE(CODE, 0xc0, 0x04, 0x00); /* ret 4 */
	expect(RETIRED, 0);
	EQ(c->r[RIP], 0x1234);
	EQ(c->r[RSP], STACK + 6);
	bare_free();

	for (unsigned i = 0; i < 4; i++) {
		static const u8 undefined[4] = { 0x0f, 0x63, 0x66, 0xf1 };

		begin(M186);
		memset(ram->host + CODE, undefined[i], 2);
		name_case("186: %02x", undefined[i]);
		expect(VEC_UD, 0);
		bare_free();
	}
}
END_TEST

/* Every opcode with every byte behind it is an instruction of an 8086, and but for a division none has an exception. A
 * 186 knows opcodes that are undefined, and BOUND; no segment has an end there either. */
START_TEST(nothing_faults)
{
	static const char *const models[] = { "8086", "8086,-fpu", "186" };

	for (unsigned n = 0; n < ARRAY_LEN(models) * 0x10000; n++) {
		bool is_186 = n >> 16 == 2;

		if (n % 0x10000 == 0) {
			if (n)
				bare_free();
			bare_new(models[n >> 16], RAM_SIZE);
		}
		enter(REAL, 0);
		POKE(CODE, (u8)(n >> 8), (u8)n, 0x10, 0x20);
		c->r[RCX] = c->r[RAX] = 0xff;
		c->r[RBX] = c->r[RSI] = c->r[RDI] = n & 1 ? 0xffff : 0xff;
		c->r[RSP] = n & 1 ? 1 : STACK;
		name_case("%02x %02x", n >> 8 & 0xff, n & 0xff);
		c->idtr.limit = 0x3ff;
		c->chain_len = 0;
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
		ck_assert_msg(!c->chain_len || c->chain[0].vector == VEC_DE ||
				      (is_186 && (c->chain[0].vector == VEC_UD || c->chain[0].vector == VEC_BR)),
			      "%s: exception %u", what, c->chain[0].vector);
	}
	bare_free();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("8086");
	TCase *t = tcase_create("8086");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, offsets_wrap);
	tcase_add_test(t, pairs_wrap);
	tcase_add_test(t, division_error);
	tcase_add_test(t, prefixes);
	tcase_add_test(t, aliases);
	tcase_add_test(t, nothing_faults);
	return bare_run(s);
}
