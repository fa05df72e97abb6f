/* SPDX-License-Identifier: MIT */
/* What is between a pointer and paging, and behind it: linear-address masking and separation (SDM vol. 3, 4.2),
 * addresses of 57 bits (4.5), and protection keys of the supervisor's pages (4.6.2). */
#include "tests/unit/modes.h"

enum { PT = 0x6000, PML5 = 0x7000, PD = 0xf000 };
#define HIGH 0xffffff8000000000 /* the same memory once more */

static void linear_setup(void) { bare_new("max,+lam,+lass,+pks,+la57", RAM_SIZE); }

static void arrange(unsigned cpl)
{
	enter(LONG, cpl);
	poke64(PML4 + 0xff8, (PML4 + 0x1000) | 0x67);
	poke64(PML4 + 0x1000, PD | 0x67);
	poke64(PD, PT | 0x67);
	for (unsigned i = 0; i < 16; i++)
		poke64(PT + 8 * i, i << 12 | 0x67);
	settle();
}

static int step(void)
{
	c->activity = ACTIVITY_RUN;
	c->fault.vector = 0xff;
	settle();
	return cpu_run(c, c->icount + 1, CLOCK_NEVER) == CPU_EXCEPTION ? c->fault.vector : -1;
}

START_TEST(masking)
{
	static const struct { u64 cr3, cr4, address; int vector; } cases[] = {
		{ 0, 0, DATA, -1 },
		{ 0, 0, DATA | (u64)1 << 60, VEC_GP },
		{ CR3_LAM_U57, 0, DATA | (u64)0x3f << 57, -1 },
		{ CR3_LAM_U57, 0, DATA | (u64)1 << 56, VEC_GP }, /* four levels of paging: bits 56-47 must be equal */
		{ CR3_LAM_U57, 0, DATA | (u64)1 << 50, VEC_GP },
		{ CR3_LAM_U48, 0, DATA | (u64)0x7fff << 48, -1 },
		{ CR3_LAM_U48, 0, DATA | (u64)1 << 47, VEC_GP },
		{ CR3_LAM_U48 | CR3_LAM_U57, 0, DATA | (u64)1 << 50, VEC_GP },
		{ CR3_LAM_U48, 0, (HIGH | DATA) & ~((u64)0xff << 48), VEC_GP },
		{ 0, CR4_LAM_SUP, (HIGH | DATA) & ~((u64)0x7fff << 48), -1 },
		{ 0, CR4_LAM_SUP, (HIGH | DATA) & ~((u64)1 << 47), VEC_GP },
		{ 0, CR4_LAM_SUP, DATA | (u64)1 << 60, VEC_GP },
		{ 0, 0, HIGH | DATA, -1 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		for (unsigned cpl = 0; cpl <= 3; cpl += 3)
			for (unsigned stack = 0; stack < 2; stack++) {
				arrange(cpl);
				c->cr3 |= cases[i].cr3;
				c->cr4 |= cases[i].cr4;
				poke64(DATA, 0x12345678);
				c->r[RBX] = c->r[RSP] = cases[i].address;
				if (stack)
					POKE(CODE, 0x58); /* pop rax */
				else
					POKE(CODE, 0x8b, 0x03); /* mov eax, [rbx] */
				ck_assert_int_eq(step(), cases[i].vector == VEC_GP && stack ? VEC_SS : cases[i].vector);
				if (cases[i].vector < 0)
					ck_assert_uint_eq(c->r[RAX], 0x12345678);
			}
	/* code has no tags; INVLPG of one does nothing; CR3 keeps the bits */
	arrange(3);
	c->cr3 |= CR3_LAM_U57;
	POKE(CODE, 0xff, 0xe3);
	c->r[RBX] = CODE | (u64)1 << 60;
	ck_assert_int_eq(step(), VEC_GP);
	arrange(0);
	POKE(CODE, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xd9); /* mov cr3, rax; mov rcx, cr3 */
	c->r[RAX] = PML4 | CR3_LAM_U48;
	ck_assert_int_eq(step(), -1);
	ck_assert_int_eq(step(), -1);
	ck_assert_uint_eq(c->r[RCX], PML4 | CR3_LAM_U48);
	c->r[RAX] = PML4 | (u64)1 << 60;
	c->r[RIP] = CODE;
	ck_assert_int_eq(step(), VEC_GP);
}
END_TEST

START_TEST(separation)
{
	static const struct { u8 cpl; u64 cr4; u32 flags; u64 code, address; int vector; } cases[] = {
		{ 3, 0, 0, CODE, DATA, -1 },
		{ 3, 0, 0, CODE, HIGH | DATA, VEC_GP },
		{ 3, 0, 0, HIGH | CODE, DATA, VEC_GP },
		{ 0, 0, 0, HIGH | CODE, HIGH | DATA, -1 },
		{ 0, 0, 0, HIGH | CODE, DATA, -1 },
		{ 0, 0, 0, CODE, HIGH | DATA, VEC_GP },
		{ 0, CR4_SMAP, 0, HIGH | CODE, DATA, VEC_GP },
		{ 0, CR4_SMAP, FL_AC, HIGH | CODE, DATA, -1 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		arrange(cases[i].cpl);
		if (!cases[i].cpl) /* so that SMAP has no say */
			poke64(PT + 8 * (DATA >> 12), DATA | (cases[i].flags ? 0x67 : 0x63));
		POKE(CODE, 0x8b, 0x03);
		c->r[RBX] = cases[i].address;
		c->r[RIP] = cases[i].code;
		c->eflags |= cases[i].flags;
		c->cr4 |= CR4_LASS | cases[i].cr4;
		ck_assert_msg(step() == cases[i].vector, "case %u: %u", i, c->fault.vector);
		/* without it, all go */
		c->cr4 &= ~(u64)CR4_LASS;
		c->r[RIP] = cases[i].code;
		ck_assert_int_eq(step(), -1);
	}
}
END_TEST

/* The tables of arrange() under the first, second and last entry of a fifth level. */
static void five_levels(unsigned cpl)
{
	arrange(cpl);
	poke64(PML5, PML4 | 0x67);
	poke64(PML5 + 8, PML4 | 0x67);
	poke64(PML5 + 0xff8, PML4 | 0x67);
	c->cr3 = PML5;
	c->cr4 |= CR4_LA57;
	settle();
}

#define SECOND ((u64)1 << 48)
START_TEST(wide_addresses)
{
	static const struct { u64 cr3, cr4, address; int vector; } cases[] = {
		{ 0, 0, DATA, -1 },
		{ 0, 0, DATA | SECOND, -1 },
		{ 0, 0, HIGH | DATA, -1 },
		{ 0, 0, DATA | SECOND << 1, VEC_PF },
		{ 0, 0, DATA | (u64)1 << 55, VEC_PF },
		{ 0, 0, DATA | (u64)1 << 56, VEC_GP },
		{ 0, 0, DATA | (u64)1 << 57, VEC_GP },
		{ 0, 0, (HIGH | DATA) & ~((u64)1 << 56), VEC_GP },
		{ CR3_LAM_U57, 0, DATA | SECOND | (u64)0x3f << 57, -1 },
		{ CR3_LAM_U57, 0, DATA | SECOND | (u64)1 << 56, VEC_GP },
		{ CR3_LAM_U48, 0, DATA | (u64)0x7fff << 48, -1 },
		{ 0, CR4_LAM_SUP, (HIGH | DATA) & ~((u64)0x3f << 57), -1 },
		{ 0, CR4_LAM_SUP, (HIGH | DATA) & ~((u64)1 << 56), VEC_GP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
			five_levels(cpl);
			c->cr3 |= cases[i].cr3;
			c->cr4 |= cases[i].cr4;
			poke64(DATA, 0x12345678);
			POKE(CODE, 0x8b, 0x03);
			c->r[RBX] = cases[i].address;
			ck_assert_msg(step() == cases[i].vector, "case %u: %u", i, c->fault.vector);
			if (cases[i].vector < 0)
				ck_assert_uint_eq(c->r[RAX], 0x12345678);
		}
	/* a large page cannot be in the fifth level */
	five_levels(0);
	poke64(PML5 + 8, PML4 | 0xe7);
	POKE(CODE, 0x8b, 0x03);
	c->r[RBX] = DATA | SECOND;
	ck_assert_int_eq(step(), VEC_PF);
	ck_assert_uint_eq(c->fault.error & 8, 8);
}
END_TEST

/* Rounds of five jumps, each of another kind, at addresses of more than 48 bits; then one to another page. */
START_TEST(wide_code)
{
	static const u64 bad[] = { (u64)1 << 56, (u64)1 << 57, (u64)1 << 62 };

	for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
		five_levels(cpl);
		POKE(CODE, 0xeb, 0x02, 0x90, 0x90, 0xff, 0xd0, 0xe2, 0xf8, 0xe9, 0xf3, 0x0f, 0, 0);
		POKE(CODE + 0x20, 0xff, 0xc3, 0xc3);
		POKE(CODE + 0x1000, 0xff, 0xc2, 0xeb, 0xfc);
		c->r[RIP] = CODE | SECOND;
		c->r[RAX] = (CODE + 0x20) | SECOND;
		c->r[RCX] = 1000;
		c->r[RBX] = c->r[RDX] = 0;
		ck_assert_int_eq(cpu_run(c, c->icount + 1000 * 5 + 1 + 2 * 1000, CLOCK_NEVER), CPU_LIMIT);
		ck_assert_uint_eq(c->r[RBX] & 0xffffffff, 1000);
		ck_assert_uint_eq(c->r[RCX], 0);
		ck_assert_uint_eq(c->r[RDX] & 0xffffffff, 1000);
		ck_assert_uint_eq(c->r[RIP], (CODE + 0x1000) | SECOND);
		for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
			for (unsigned ret = 0; ret < 2; ret++) {
				five_levels(cpl);
				POKE(CODE, ret ? 0xc3 : 0xff, 0xe0);
				c->r[RAX] = CODE | bad[i];
				poke64(STACK, CODE | bad[i]);
				ck_assert_int_eq(step(), VEC_GP);
				ck_assert_uint_eq(c->r[RIP], CODE);
			}
	}
}
END_TEST

/* Registers take 57 bits wherever the processor has them (vol. 1, 3.3.7.1); CR4.LA57 stays in IA-32e mode. */
START_TEST(wide_registers)
{
	static const u32 msrs[] = { 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102, 0x175, 0x176 };
	u32 leaf[4];
	u64 v;

	arrange(0);
	for (unsigned i = 0; i < ARRAY_LEN(msrs); i++) {
		ck_assert(write_msr(c, msrs[i], SECOND));
		ck_assert(read_msr(c, msrs[i], &v) && v == SECOND);
		ck_assert(!write_msr(c, msrs[i], (u64)1 << 56));
	}
	cpuid(c, 0x80000008, 0, leaf);
	ck_assert_uint_eq(leaf[0] >> 8 & 0xff, 57);
	ck_assert(!write_cr4(c, c->cr4 | CR4_LA57));
	enter(P32, 0);
	ck_assert(write_cr4(c, c->cr4 | CR4_LA57));
	ck_assert(model_parse(&model, "max", NULL));
	ck_assert(!write_cr4(c, c->cr4 & ~(u64)CR4_LA57) || !write_cr4(c, c->cr4 | CR4_LA57));
	for (unsigned i = 0; i < ARRAY_LEN(msrs); i++)
		ck_assert(!write_msr(c, msrs[i], SECOND));
}
END_TEST

START_TEST(supervisor_keys)
{
	/* bits of key 5; CR0.WP; a write? a user's page? the error code, 0: it goes */
	static const struct { u8 bits; bool wp, write, user; u32 error; } cases[] = {
		{ 0, true, true, false, 0 },    { 1, false, false, false, 0x21 }, { 1, true, true, false, 0x23 },
		{ 2, true, false, false, 0 },   { 2, true, true, false, 0x23 },   { 2, false, true, false, 0 },
		{ 3, true, true, true, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		arrange(0);
		poke64(PT + 8 * (DATA >> 12), (u64)5 << 59 | DATA | 0x63 | (cases[i].user ? 4 : 0));
		c->cr0 = (c->cr0 & ~(u64)CR0_WP) | (cases[i].wp ? CR0_WP : 0);
		c->cr4 |= CR4_PKS;
		ck_assert(write_msr(c, 0x6e1, (u64)cases[i].bits << 10));
		POKE(CODE, cases[i].write ? 0x89 : 0x8b, 0x03);
		c->r[RBX] = DATA;
		ck_assert_int_eq(step(), cases[i].error ? VEC_PF : -1);
		if (cases[i].error)
			ck_assert_uint_eq(c->fault.error, cases[i].error);
		ck_assert(!write_msr(c, 0x6e1, (u64)1 << 32));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("linear addresses");
	TCase *tc = tcase_create("masks, halves, keys");

	tcase_add_checked_fixture(tc, linear_setup, bare_free);
	tcase_add_test(tc, masking);
	tcase_add_test(tc, separation);
	tcase_add_test(tc, wide_addresses);
	tcase_add_test(tc, wide_code);
	tcase_add_test(tc, wide_registers);
	tcase_add_test(tc, supervisor_keys);
	suite_add_tcase(s, tc);
	return bare_run(s);
}
