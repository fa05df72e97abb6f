/* SPDX-License-Identifier: MIT */
/* System management mode: where the state is saved (AMD64 APM vol. 2, table 10-1; SDM vol. 3, table 31-1), how the
 * handler begins (31.5.1), that RSM gives everything back, and what waits meanwhile (31.3.1, 31.7, 31.8, 31.10, 31.11).
 * */
#include <check.h>
#include <stdlib.h>
#include "cpu/cpu.h"

enum { RAM = 1 << 20, TABLES = 0x1000, CODE = 0x8000, BASE = 0x30000, OTHER_BASE = 0x50000, STACK = 0x7000 };

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c;
static char active[16];

static void smiact(void *owner, int n, bool level)
{
	(void)owner, (void)n;
	strcat(active, level ? "+" : "-");
}

static void build(const char *name)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk };

	ck_assert(model_parse(&model, name, NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(RAM);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, RAM, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
	c->smiact = (struct line){ smiact, NULL, 0 };
	*active = 0;
	memset(ram->host + CODE, 0x90, 0x100);
	memcpy(ram->host + BASE + 0x8000, "\x0f\xaa", 2); /* rsm */
	memcpy(ram->host + OTHER_BASE + 0x8000, "\x0f\xaa", 2);
}

static void teardown(void)
{
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

/* All registers have values of their own, in a mode of BITS. */
static void mode(unsigned bits, unsigned cpl)
{
	put64(ram->host + TABLES, (TABLES + 0x1000) | 7);
	put64(ram->host + TABLES + 0x1000, 0x87); /* 1 GiB */
	for (unsigned i = 0; i < 16; i++)
		c->r[i] = i < 8 || bits == 64 ? (bits == 64 ? 0x1111111100000000 : 0x11110000) + i * 0x101 : 0;
	c->r[RSP] = STACK;
	c->r[RIP] = bits == 16 ? CODE : CODE + 1;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .sel = (u16)(bits == 16 ? 0 : (0x10 + 8 * i) | cpl),
					  .limit = bits == 16 ? 0xffff : 0xffffffff,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A |
						  (bits == 16 ? 0 : SEG_DB | SEG_G | cpl << 5) };
	c->seg[CS].attr |= SEG_CODE;
	if (bits == 64)
		c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_DB) | SEG_L;
	if (bits == 64)
		c->seg[FS].base = 0xfffff00012345000, c->seg[GS].attr = SEG_UNUSABLE;
	c->seg[LDTR] = (struct seg){ .sel = 0x50, .base = 0x12340, .limit = 0x77, .attr = SEG_P | 2 };
	c->seg[TR] = (struct seg){ .sel = 0x58, .base = 0x56780, .limit = 0x67, .attr = SEG_P | 11 };
	c->gdtr.base = 0x4000, c->gdtr.limit = 0x7f;
	c->idtr.base = 0x5000, c->idtr.limit = 0x3ff;
	c->cpl = (u8)cpl;
	c->cr0 = bits == 16 ? CR0_ET : bits == 32 ? CR0_PE | CR0_ET | CR0_NE : CR0_PE | CR0_PG | CR0_ET | CR0_WP;
	c->cr3 = bits == 16 ? 0 : TABLES;
	c->cr4 = bits == 64 ? CR4_PAE | CR4_OSFXSR : bits == 32 ? CR4_DE : 0;
	c->efer = bits == 64 ? EFER_LME | EFER_LMA | EFER_NXE : 0;
	c->eflags = FL_1 | FL_IOPL;
	cpu_set_arith(c, FL_C | FL_Z | FL_A);
	c->dr[6] = 0xffff0ff1;
	c->dr[7] = 0x400;
	cpu_loaded(c);
}

static u8 before[16384], after[16384];
static size_t state(u8 *out)
{
	struct part part;

	cpu_parts(c, &part, 1);
	ck_assert_uint_le(part_size(&part), sizeof before);
	part_save(&part, out);
	return part_size(&part);
}

static void smi(void) { cpu_smi(c, 0, true); }
static void go(unsigned n) { ck_assert_int_eq(cpu_run(c, c->icount + n, CLOCK_NEVER), CPU_LIMIT); }
/* Into the handler, before its first instruction. */
static void enter(void)
{
	clk.steps_end = clock_steps(&clk, c->icount) + 1;
	ck_assert_int_eq(cpu_run(c, c->icount, CLOCK_NEVER), CPU_LIMIT);
	clk.steps_end = 0;
	ck_assert(c->smm);
}

static u64 saved(unsigned offset, unsigned size) { return get_size(ram->host + BASE + offset, size); }

START_TEST(map_of_amd64)
{
	build("max");
	mode(64, 3);
	smi();
	enter();
	for (unsigned i = ES; i <= GS; i++) {
		ck_assert_uint_eq(saved(0xfe00 + 16 * i, 2), 0x13 + 8 * i);
		ck_assert_uint_eq(saved(0xfe04 + 16 * i, 4), 0xffffffff);
	}
	ck_assert_uint_eq(saved(0xfe12, 2), 0xa0fb);
	ck_assert_uint_eq(saved(0xfe22, 2), 0xc0f3);
	ck_assert_uint_eq(saved(0xfe48, 8), 0xfffff00012345000);
	ck_assert_uint_eq(saved(0xfe52, 2) & 0x80, 0);
	ck_assert_uint_eq(saved(0xfe64, 2), 0x7f);
	ck_assert_uint_eq(saved(0xfe68, 8), 0x4000);
	ck_assert_uint_eq(saved(0xfe70, 2), 0x50);
	ck_assert_uint_eq(saved(0xfe78, 8), 0x12340);
	ck_assert_uint_eq(saved(0xfe84, 2), 0x3ff);
	ck_assert_uint_eq(saved(0xfe88, 8), 0x5000);
	ck_assert_uint_eq(saved(0xfe92, 2), 0x8b);
	ck_assert_uint_eq(saved(0xfe98, 8), 0x56780);
	ck_assert_uint_eq(saved(0xfec9, 1), 0);
	ck_assert_uint_eq(saved(0xfed0, 8), 0xd00);
	ck_assert_uint_eq(saved(0xfefc, 4), 0x20064);
	ck_assert_uint_eq(saved(0xff00, 4), BASE);
	ck_assert_uint_eq(saved(0xff48, 8), 0x220);
	ck_assert_uint_eq(saved(0xff50, 8), TABLES);
	ck_assert_uint_eq(saved(0xff58, 8), 0x80010011);
	ck_assert_uint_eq(saved(0xff60, 8), 0x400);
	ck_assert_uint_eq(saved(0xff68, 8), 0xffff0ff1);
	ck_assert_uint_eq(saved(0xff70, 8), 0x3053);
	ck_assert_uint_eq(saved(0xff78, 8), CODE + 1);
	ck_assert_uint_eq(saved(0xff80, 8), 0x1111111100000000 + 15 * 0x101);
	ck_assert_uint_eq(saved(0xffd8, 8), STACK);
	ck_assert_uint_eq(saved(0xfff0, 8), 0x1111111100000101);
	ck_assert_uint_eq(saved(0xfff8, 8), 0x1111111100000000);
}
END_TEST

START_TEST(map_of_p6)
{
	build("p6");
	mode(32, 0);
	smi();
	enter();
	ck_assert_uint_eq(saved(0xfffc, 4), 0x31);
	ck_assert_uint_eq(saved(0xfff8, 4), TABLES);
	ck_assert_uint_eq(saved(0xfff4, 4), 0x3053);
	ck_assert_uint_eq(saved(0xfff0, 4), CODE + 1);
	ck_assert_uint_eq(saved(0xffec, 4), 0x11110707); /* EDI ... EAX */
	ck_assert_uint_eq(saved(0xffe0, 4), STACK);
	ck_assert_uint_eq(saved(0xffd0, 4), 0x11110000);
	ck_assert_uint_eq(saved(0xffcc, 4), 0xffff0ff1);
	ck_assert_uint_eq(saved(0xffc8, 4), 0x400);
	ck_assert_uint_eq(saved(0xffc4, 4), 0x58); /* TR, LDTR, GS, FS, DS, SS, CS, ES */
	ck_assert_uint_eq(saved(0xffc0, 4), 0x50);
	ck_assert_uint_eq(saved(0xffbc, 4), 0x38);
	ck_assert_uint_eq(saved(0xffac, 4), 0x18);
	ck_assert_uint_eq(saved(0xffa8, 4), 0x10);
	ck_assert_uint_eq(saved(0xff02, 2), 0);
	ck_assert_uint_eq(saved(0xfefc, 4), 0x20000);
	ck_assert_uint_eq(saved(0xfef8, 4), BASE);
}
END_TEST

/* 31.5.1, table 31-4 */
START_TEST(handler)
{
	build("max");
	mode(64, 3);
	smi();
	ck_assert_str_eq(active, "");
	enter();
	ck_assert_str_eq(active, "+");
	ck_assert_uint_eq(c->r[RIP], 0x8000);
	ck_assert_uint_eq(c->seg[CS].sel, 0x3000);
	ck_assert_uint_eq(c->seg[CS].base, BASE);
	for (unsigned i = ES; i <= GS; i++) {
		ck_assert_uint_eq(c->seg[i].limit, 0xffffffff);
		if (i != CS)
			ck_assert_uint_eq(c->seg[i].base | c->seg[i].sel, 0);
	}
	ck_assert_uint_eq(c->cr0 & (CR0_PE | CR0_EM | CR0_TS | CR0_PG), 0);
	ck_assert_uint_eq(c->cr4 | c->efer | c->cpl, 0);
	ck_assert_uint_eq(cpu_flags(c), 2);
	ck_assert_uint_eq(c->dr[7], 0x400);
	ck_assert(!(c->mode & (MODE_PE | MODE_BITS)));
	go(1);
	ck_assert_str_eq(active, "+-");
}
END_TEST

static const struct { const char *model; unsigned bits, cpl; } modes[] = {
	{ "max", 64, 3 }, { "max", 64, 0 }, { "max", 32, 3 }, { "max", 16, 0 }, { "p6", 32, 0 }, { "p6", 32, 3 },
		{ "pentium", 16, 0 },
};

START_TEST(round_trip)
{
	size_t len;

	build(modes[_i].model);
	mode(modes[_i].bits, modes[_i].cpl);
	go(3);
	len = state(before);
	smi();
	go(1); /* rsm */
	c->icount--;
	state(after);
	for (size_t i = 0; i < len; i++)
		ck_assert_msg(before[i] == after[i], "byte %zu: %02x, was %02x", i, after[i], before[i]);
	ck_assert_str_eq(active, "+-");
	c->icount++;
	go(2);
	ck_assert_uint_eq(c->r[RIP], (modes[_i].bits == 16 ? CODE : CODE + 1) + 5);
}
END_TEST

START_TEST(moved)
{
	build("max");
	mode(32, 0);
	memcpy(ram->host + BASE + 0x8000, "\x66\x67\xc7\x05\x00\xff\x03\x00\x00\x00\x05\x00\x0f\xaa", 14);
		/* mov dword [3FF00h], 50000h; rsm */
	smi();
	go(2);
	ck_assert(!c->smm);
	ck_assert_uint_eq(c->smbase, OTHER_BASE);
	smi();
	enter();
	ck_assert_uint_eq(c->seg[CS].base, OTHER_BASE);
	ck_assert_uint_eq(get32(ram->host + OTHER_BASE + 0xff00), OTHER_BASE);
	cpu_reset(c, true);
	ck_assert_uint_eq(c->smbase, OTHER_BASE);
	cpu_reset(c, false);
	ck_assert_uint_eq(c->smbase, BASE);
	ck_assert(!c->smm);
}
END_TEST

/* Out of HLT and back, or on with what follows it: bit 0 of the auto HALT restart field. */
START_TEST(halted)
{
	build("max");
	mode(32, 0);
	ram->host[CODE + 1] = 0xf4;
	go(1);
	ck_assert_int_eq(c->activity, ACTIVITY_HALT);
	smi();
	enter();
	ck_assert_uint_eq(saved(0xfec9, 1), 1);
	go(1);
	ck_assert_int_eq(c->activity, ACTIVITY_HALT);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	smi();
	enter();
	ram->host[BASE + 0xfec9] = 0;
	go(4);
	ck_assert_uint_eq(c->r[RIP], CODE + 5);
}
END_TEST

START_TEST(what_waits)
{
	build("max");
	mode(16, 0);
	put32(ram->host + 2 * 4, 0x9000); /* NMI's handler */
	c->idtr.base = 0;
	memcpy(ram->host + BASE + 0x8000, "\x90\x90\x0f\xaa", 4);
	ram->host[0x9000] = 0x90;
	smi();
	enter();
	cpu_nmi(c, 0, true);
	smi();
	go(2);
	ck_assert_uint_eq(c->r[RIP], 0x8002);
	go(1); /* rsm; the second SMI comes before the NMI */
	enter();
	ck_assert_uint_eq(saved(0xff78, 8), CODE);
	go(3);
	ck_assert(!c->smm);
	go(1);
	ck_assert_uint_eq(c->r[RIP], 0x9001);
	/* In NMI's handler NMIs are held off, and are so still when RSM has come back to it. */
	smi();
	go(3);
	ck_assert(c->nmi_blocked);
	/* INIT waits for RSM. */
	smi();
	enter();
	c->init_pending = true;
	go(2);
	ck_assert(c->smm);
	go(1);
	clk.steps_end = clock_steps(&clk, c->icount) + 1;
	ck_assert_int_eq(cpu_run(c, c->icount, CLOCK_NEVER), CPU_LIMIT);
	clk.steps_end = 0;
	ck_assert_uint_eq(c->r[RIP], 0xfff0);
}
END_TEST

START_TEST(not_possible)
{
	static const struct { unsigned offset; u64 v; } bad[] = {
		{ 0xff58, CR0_PG | CR0_ET }, { 0xff58, CR0_PE | CR0_NW }, { 0xff48, 1 << 15 }, { 0xfed0, 2 },
	};

	build("max");
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		mode(64, 0);
		smi();
		enter();
		put64(ram->host + BASE + bad[i].offset, bad[i].v);
		ck_assert_int_eq(cpu_run(c, c->icount + 2, CLOCK_NEVER), CPU_TRIPLE_FAULT);
		cpu_reset(c, false);
	}
}
END_TEST

START_TEST(outside)
{
	build("max");
	mode(16, 0);
	c->idtr.base = 0;
	put32(ram->host + VEC_UD * 4, 0x9000);
	ram->host[0x9000] = 0x90;
	memcpy(ram->host + CODE, "\x0f\xaa", 2);
	go(1);
	ck_assert_uint_eq(c->r[RIP], 0x9001);
	teardown();
	build("486");
	mode(16, 0);
	smi();
	go(3);
	ck_assert(!c->smm && !c->smi_pending);
	ck_assert_str_eq(active, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("smm");
	TCase *t = tcase_create("smm");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, map_of_amd64);
	tcase_add_test(t, map_of_p6);
	tcase_add_test(t, handler);
	tcase_add_loop_test(t, round_trip, 0, ARRAY_LEN(modes));
	tcase_add_test(t, moved);
	tcase_add_test(t, halted);
	tcase_add_test(t, what_waits);
	tcase_add_test(t, not_possible);
	tcase_add_test(t, outside);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
