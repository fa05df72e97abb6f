/* SPDX-License-Identifier: MIT */
/* MMX against the silicon of the host: every row of the table with an MMX operand is encoded, with a register and with
 * memory, and the same bytes run here and in the guest from the same random state. Without an x86-64 host, what the
 * manual says about the x87 state remains. */
#define _GNU_SOURCE
#include "tests/unit/silicon.h"

static void setup(void)
{
	make_guest();
	x87_init(c);
}

/* Run the instruction at ADDR; the vector of its exception, or -1. */
static int step_at(u32 addr)
{
	enum cpu_stop stop;

	c->r[RIP] = addr;
	c->r[RDX] = c->r[RDI] = DATA;
	stop = cpu_run(c, c->icount + 1, CLOCK_NEVER);
	if (stop == CPU_EXCEPTION)
		return c->fault.vector;
	ck_assert_int_eq(stop, CPU_LIMIT);
	return -1;
}

static int step(const char *code, unsigned len)
{
	static u32 at = CODE;

	at = at >= 0x8000 ? CODE : at + 16;
	space_write_block(&mem, at, code, len);
	return step_at(at);
}
#define STEP(code) step(code, sizeof(code) - 1)

/* ---- what the manual says (SDM vol. 1, 9.5.1) ---- */

START_TEST(x87_state)
{
	c->x87.top = 5;
	c->x87.valid = 0x12;
	c->x87.sw = X87_C3 | X87_PE;
	mmx_set(c, 1, 0x1122334455667788);
	c->x87.st[2].exp = 0x1234;
	ck_assert_int_eq(STEP("\x0f\x6f\xc1"), -1); /* movq mm0, mm1 */
	ck_assert_uint_eq(c->x87.top, 0);
	ck_assert_uint_eq(c->x87.valid, 0xff);
	ck_assert_uint_eq(c->x87.sw, X87_C3 | X87_PE);
	ck_assert_uint_eq(c->x87.st[0].exp, 0xffff);
	ck_assert_uint_eq(c->x87.st[2].exp, 0x1234);
	ck_assert_uint_eq(mmx_get(c, 0), 0x1122334455667788);
	ck_assert_int_eq(STEP("\x0f\x77"), -1); /* emms */
	ck_assert_uint_eq(c->x87.valid, 0);
	ck_assert_uint_eq(mmx_get(c, 0), 0x1122334455667788);
}
END_TEST

/* A load that faults leaves the x87 state alone. */
START_TEST(fault_first)
{
	c->x87.top = 5;
	c->x87.valid = 0x12;
	ck_assert_int_eq(STEP("\x0f\x6f\x04\x25\x00\x00\x30\x00"), VEC_PF); /* movq mm0, [300000h] */
	ck_assert_uint_eq(c->x87.top, 5);
	ck_assert_uint_eq(c->x87.valid, 0x12);
}
END_TEST

/* An unmasked SIMD exception is #XM, and nothing is written. */
START_TEST(unmasked)
{
	c->mxcsr = 0x1f00; /* invalid operation */
	c->v[1].d[0] = 0x7fc00000;
	mmx_set(c, 0, 42);
	ck_assert_int_eq(STEP("\x0f\x2d\xc1"), VEC_XM); /* cvtps2pi mm0, xmm1 */
	ck_assert_uint_eq(mmx_get(c, 0), 42);
	ck_assert_uint_eq(c->mxcsr, 0x1f01);
}
END_TEST

/* ---- the silicon ---- */

#if defined __x86_64__ && defined __linux__

/* Lanes at their limits, shift counts, floats and doubles near to 2^31. */
static u64 pick(void)
{
	static const u8 edges[] = { 0, 1, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x3f };
	u64 v = rnd();

	switch (rnd() % 8) {
	case 0:
		for (int i = 0; i < 8; i++)
			v = v << 8 | edges[rnd() % 8];
		return v;
	case 1: return v & 0x8000800080008000;
	case 2: return v | 0x7fff7fff7fff7fff;
	case 3: return rnd() % 80;
	case 4: {
		float f[2] = { (float)(s32)rnd() / (float)(1 << rnd() % 31), (float)(s32)rnd() * 1.5f };

		memcpy(&v, f, 8);
		return v;
	}
	case 5: {
		double d = (double)(s64)rnd() / (double)((u64)1 << (30 + rnd() % 32));

		memcpy(&v, &d, 8);
		return v;
	}
	case 6: return v & (rnd() & 1 ? 0x807fffff807fffff : 0x800fffffffffffff); /* denormals */
	default: return v;
	}
}

static unsigned encode(const struct isa_row *row, bool memory, bool swap, u8 *code)
{
	static const u8 prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned n = 0, reg = swap ? 3 : 0, rm = swap ? 0 : 3;

	if (row->mask & KEY_PP && (row->match & KEY_PP) >> 9)
		code[n++] = prefixes[(row->match & KEY_PP) >> 9];
	if (row->match & KEY_W)
		code[n++] = 0x48;
	code[n++] = 0x0f;
	if (row->map > 1)
		code[n++] = row->map == 2 ? 0x38 : 0x3a;
	code[n++] = row->opcode;
	if (!row->modrm)
		return n;
	if ((row->mask & 0x38) == 0x38)
		reg = row->match >> 3 & 7;
	code[n++] = (u8)(memory ? reg << 3 | 2 : 0xc0 | reg << 3 | rm);
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_I)
			code[n++] = (u8)(rnd() & 1 ? rnd() % 20 : rnd());
	return n;
}

static unsigned compare_one(const struct isa_row *row, const u8 *code, unsigned len)
{
	struct vec_state before, host, here;
	static char text[3][1024];

	memset(&before, 0, sizeof before);
	before.cw = 0x37f;
	before.sw = (u16)((rnd() & 7) << 11);
	before.tags = 0xff;
	for (unsigned i = 0; i < 8; i++) {
		put64(before.st[i], pick());
		put16(before.st[i] + 8, (u16)rnd());
	}
	for (unsigned i = 0; i < 2; i++) {
		before.ymm[0].q[i] = pick();
		before.ymm[3].q[i] = pick();
		put64(before.data + 8 * i, pick());
	}
	before.mxcsr = (u32)(0x1f80 | (rnd() & 0x603f));
	if (rnd() & 1) /* denormals are zeros */
		before.mxcsr |= 0x40;
	before.r[RAX] = rnd();
	before.r[RBX] = rnd();
	host = here = before;
	host.r[RDX] = host.r[RDI] = host_data();
	here.r[RDX] = here.r[RDI] = DATA;
	host_step(code, len, &host);
	guest_step(code, len, &here);
	host.r[RDX] = host.r[RDI] = DATA;
	if (host.exception == here.exception && host.sw == here.sw && host.tags == here.tags &&
	    !memcmp(host.st, here.st, sizeof host.st) && !memcmp(host.data, here.data, DATA_SIZE) &&
	    !memcmp(host.ymm, here.ymm, sizeof host.ymm) && host.mxcsr == here.mxcsr &&
	    !memcmp(host.r, here.r, sizeof host.r))
		return 0;
	show("before", &before, text[0], sizeof text[0]);
	show("host  ", &host, text[1], sizeof text[1]);
	show("guest ", &here, text[2], sizeof text[2]);
	printf("%s %s:\n%s\n%s\n%s\n", row->insn->mnemonic, row->insn->encoding, text[0], text[1], text[2]);
	for (unsigned i = 0; i < 8; i++)
		printf("  st%u %016llx: %016llx %016llx\n", i, (unsigned long long)get64(before.st[i]),
			(unsigned long long)get64(host.st[i]),
		       (unsigned long long)get64(here.st[i]));
	return 1;
}

static bool has_mmx_operand(const struct isa_row *row)
{
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_P || row->operand[i].kind == OPK_Q || row->operand[i].kind == OPK_N)
			return true;
	return !strcmp(row->insn->mnemonic, "emms");
}

START_TEST(silicon)
{
	unsigned bad = 0, rows = 0;

	for (unsigned i = 0; host_works && i < c->isa->count; i++) {
		const struct isa_row *row = &c->isa->rows[i];

		if (!has_mmx_operand(row) || row->map == MAP_3DNOW)
			continue;
		rows++;
		for (unsigned form = 0; form < 24; form++) {
			bool memory = form & 1;
			u8 code[16];
			unsigned len;

			if (row->mask & KEY_MEM && memory != !!(row->match & KEY_MEM))
				continue;
			if (memory && !row->modrm)
				continue;
			len = encode(row, memory, form & 2, code);
			for (unsigned n = 0; n < 100 && bad < 10; n++)
				bad += compare_one(row, code, len);
		}
	}
	ck_assert(!host_works || rows > 90);
	ck_assert_uint_eq(bad, 0);
}
END_TEST

#endif

static Suite *suite(void)
{
	Suite *s = suite_create("mmx");
	TCase *t = tcase_create("manual");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, x87_state);
	tcase_add_test(t, fault_first);
	tcase_add_test(t, unmasked);
	suite_add_tcase(s, t);
#if defined __x86_64__ && defined __linux__
	t = tcase_create("silicon");
	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_add_checked_fixture(t, make_host, NULL);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, silicon);
	suite_add_tcase(s, t);
#endif
	return s;
}

int main(void)
{
	return bare_run(suite());
}
