/* SPDX-License-Identifier: MIT */
/* FMA4: each operation, with both orders of the last two operands, against the C library's fma() and fmaf(). */
#define _GNU_SOURCE
#include <math.h>
#include "tests/unit/modes.h"
#include "tests/unit/random.h"

static void four_setup(void) { vectors_setup("max,+fma4", RAM_SIZE, 3, 7); }

/* A finite number of SIZE bytes whose exponent is near 0. */
static u64 number(unsigned size)
{
	return size == 8 ? (rnd() & 0x800fffffffffffff) | (u64)(1003 + rnd() % 40) << 52
			 : (rnd() & 0x807fffff) | (u64)(117 + rnd() % 20) << 23;
}

static u64 fused(u64 a, u64 b, u64 z, unsigned size, bool turn, bool minus)
{
	u64 r = 0;

	if (size == 8) {
		double x, y, s;

		memcpy(&x, &a, 8), memcpy(&y, &b, 8), memcpy(&s, &z, 8);
		x = fma(turn ? -x : x, y, minus ? -s : s);
		memcpy(&r, &x, 8);
	} else {
		float x, y, s;

		memcpy(&x, &a, 4), memcpy(&y, &b, 4), memcpy(&s, &z, 4);
		x = fmaf(turn ? -x : x, y, minus ? -s : s);
		memcpy(&r, &x, 4);
	}
	return r;
}

START_TEST(multiply_and_add)
{
	static const u8 opcodes[] = { 0x5c, 0x5d, 0x5e, 0x5f, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
				      0x6e, 0x6f, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f };

	for (unsigned n = 0; n < 8000; n++) {
		u8 opcode = opcodes[rnd() % sizeof opcodes];
		bool alternate = opcode < 0x60, scalar = !alternate && opcode & 2, swapped = rnd() & 1, l = rnd() & 1;
		bool memory = rnd() & 1;
		unsigned size = opcode & 1 ? 8 : 4, lanes = scalar ? 1 : (l ? 32 : 16) / size;
		union vreg a, x, y;

		for (unsigned i = 0; i < 32; i += size) {
			put_size(&a.b[i], size, number(size));
			put_size(&x.b[i], size, number(size));
			put_size(&y.b[i], size, number(size));
		}
		memset(&c->v[1], 0xff, 32);
		memcpy(&c->v[2], &a, 32);
		memcpy(&c->v[swapped ? 4 : 3], &x, 32); /* R/M is 3, the immediate names 4 */
		memcpy(&c->v[swapped ? 3 : 4], &y, 32);
		poke(DATA, &c->v[3], 32);
		c->r[RBX] = DATA;
		space_write_block(&mem, CODE,
				  (const u8[]){ 0xc4, 0xe3, (u8)(swapped << 7 | (~2 & 15) << 3 | l << 2 | 1), opcode,
						memory ? 0x0b : 0xcb, 4 << 4 }, 6);
		if (memory)
			memset(&c->v[3], 0, 32);
		c->r[RIP] = CODE;
		c->activity = ACTIVITY_RUN;
		ck_assert_int_ne(cpu_run(c, c->icount + 1, CLOCK_NEVER), CPU_EXCEPTION);
		for (unsigned i = 0; i < 32 / size; i++) {
			bool minus = alternate ? !(i & 1) != !!(opcode & 2) : opcode & 4;
			u64 want = i >= lanes ? 0
					      : fused(get_size(&a.b[i * size], size), get_size(&x.b[i * size], size),
						      get_size(&y.b[i * size], size), size, opcode >= 0x70, minus);

			ck_assert_msg(get_size(&c->v[1].b[i * size], size) == want, "%02x, W %u, memory %u, L %u, element %u: %llx, not %llx",
				      opcode, swapped, memory, l, i, (unsigned long long)get_size(&c->v[1].b[i * size], size),
				      (unsigned long long)want);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("four operands");
	TCase *tc = tcase_create("instructions");

	tcase_add_checked_fixture(tc, four_setup, bare_free);
	tcase_add_test(tc, multiply_and_add);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
