/* Models: CPUID as the processors that they are named after show it (SDM vol. 2, CPUID; Intel's specification updates), and what follows from it. */
#include <check.h>
#include <stdlib.h>
#include "cpu/cpu.h"

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c;

static void build(const char *name)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true, .apic = true };

	ck_assert(model_parse(&model, name, NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(64 * 1024);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, 64 * 1024, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
}

static void tear_down(void)
{
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

static u32 leaf(u32 n, u32 sub, unsigned reg)
{
	u32 out[4];

	cpuid(c, n, sub, out);
	return out[reg];
}
enum { EAX, EBX, ECX, EDX };

/* What the silicon shows and no model here has: debug store, thermal and power management, virtualisation, threads. */
enum { NO_EDX = 1 << 21 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29 | (int)(1u << 31), NO_ECX = 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 14 | 1 << 15 };

static const struct silicon {
	const char *name;
	u32 signature, max, ecx, edx, seven_ebx, ext_ecx, ext_edx, address;
	u32 leaf2[4], cache_kib[4], second;
	const char *brand;
} silicon[] = {
	/* DX4, P54C, Deschutes */
	{ "486", 0x0480, 1, 0, 0x3, 0, 0, 0, 0, { 0 }, { 0 }, 0, "" },
	{ "pentium", 0x0525, 1, 0, 0x3bf, 0, 0, 0, 0, { 0 }, { 0 }, 0, "" },
	{ "p6", 0x0652, 2, 0, 0x0183fbff, 0, 0, 0, 0, { 0x03020101, 0, 0, 0x0c040843 }, { 0 }, 0, "" },
	/* T7700 (Merom), i7-920 (Bloomfield), i7-4770 with the microcode that takes transactions away */
	{ "core2", 0x6fb, 10, 0xe3bd, 0xbfebfbff, 0, 0x1, 0x20100000, 0x3024, { 0x05b0b101, 0x005657f0, 0, 0x2cb43049 }, { 32, 32, 4096 }, 0x10008040,
	  "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz" },
	{ "nehalem", 0x106a5, 11, 0x98e3bd, 0xbfebfbff, 0, 0x1, 0x28100000, 0x3024, { 0x55035a01, 0x00f0b2e4, 0, 0x09ca212c }, { 32, 32, 256, 8192 }, 0x01006040,
	  "Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz" },
	{ "haswell", 0x306c3, 13, 0x7ffafbff, 0xbfebfbff, 0x27ab, 0x21, 0x2c100000, 0x3027, { 0x76036301, 0x00f0b5ff, 0, 0x00c10000 },
	  { 32, 32, 256, 8192 }, 0x01006040, "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz" },
};

START_TEST(as_silicon)
{
	const struct silicon *s = &silicon[_i];
	char brand[49] = { 0 };

	build(s->name);
	ck_assert_uint_eq(c->r[RDX], s->signature);
	ck_assert_uint_eq(leaf(0, 0, EAX), s->max);
	ck_assert_uint_eq(leaf(1, 0, EAX), s->signature);
	c->cr4 |= s->ecx & 1 << 27 ? CR4_OSXSAVE : 0; /* the dumps were made under an operating system */
	ck_assert_uint_eq(leaf(1, 0, ECX), s->ecx & ~(u32)NO_ECX);
	ck_assert_uint_eq(leaf(1, 0, EDX), s->edx & ~(u32)NO_EDX);
	if (s->max >= 2)
		for (unsigned i = 0; i < 4; i++)
			ck_assert_uint_eq(leaf(2, 0, i), s->leaf2[i]);
	if (s->max >= 4) {
		for (unsigned i = 0; i < 4; i++) {
			u32 b = leaf(4, i, EBX), kib = ((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) * (leaf(4, i, ECX) + 1) / 1024;

			ck_assert_uint_eq(leaf(4, i, EAX) & 31 ? kib : 0, s->cache_kib[i]);
		}
		ck_assert_uint_eq(leaf(4, 4, EAX), 0);
		ck_assert_uint_eq(leaf(4, 0xffffffff, EAX), 0);
	}
	if (s->max >= 7)
		ck_assert_uint_eq(leaf(7, 0, EBX), s->seven_ebx);
	if (s->address) {
		ck_assert_uint_eq(leaf(0x80000000, 0, EAX), 0x80000008);
		ck_assert_uint_eq(leaf(0x80000001, 0, ECX), s->ext_ecx);
		ck_assert_uint_eq(leaf(0x80000001, 0, EDX), s->ext_edx); /* without SYSCALL outside of 64-bit mode */
		ck_assert_uint_eq(leaf(0x80000006, 0, ECX), s->second);
		ck_assert_uint_eq(leaf(0x80000008, 0, EAX), s->address);
		for (unsigned i = 0; i < 12; i++)
			put32((u8 *)brand + 4 * i, leaf(0x80000002 + i / 4, 0, i % 4));
		ck_assert_str_eq(brand, s->brand);
	}
	tear_down();
}
END_TEST

/* Each generation has what the ones before it had. */
START_TEST(generations)
{
	struct model before = { .features = { 0 } }, m;

	for (unsigned i = 0; model_names[i]; i++) {
		ck_assert(model_parse(&m, model_names[i], NULL));
		for (unsigned f = 0; f < F_COUNT; f++)
			ck_assert(has(&m, f) || !has(&before, f));
		before = m;
	}
	ck_assert_str_eq(before.name, "max");
}
END_TEST

/* An instruction is there from its generation on; before, it is #UD. */
START_TEST(instructions)
{
	static const struct { u8 code[6]; const char *last_without, *first_with; } all[] = {
		{ { 0x0f, 0x31 }, "486", "pentium" },                         /* rdtsc */
		{ { 0x0f, 0x42, 0xc1 }, "pentium", "p6" },                    /* cmovb eax, ecx */
		{ { 0x0f, 0x01, 0xc8 }, "x86-64", "core2" },                  /* monitor */
		{ { 0x0f, 0x38, 0x1c, 0xc1 }, "x86-64", "core2" },            /* pabsb mm0, mm1 */
		{ { 0xf3, 0x0f, 0xb8, 0xc1 }, "core2", "nehalem" },           /* popcnt ax, cx */
		{ { 0x0f, 0x01, 0xf9 }, "core2", "nehalem" },                 /* rdtscp */
		{ { 0x0f, 0x38, 0xf0, 0x07 }, "nehalem", "haswell" },         /* movbe ax, [bx] */
		{ { 0x0f, 0xc7, 0xf0 }, "nehalem", "haswell" },               /* rdrand ax */
		{ { 0x0f, 0xc7, 0xf8 }, "haswell", "max" },                   /* rdseed ax */
		{ { 0x66, 0x0f, 0x38, 0xf6, 0xc1 }, "haswell", "max" },       /* adcx eax, ecx */
	};
	const char *names[] = { all[_i].last_without, all[_i].first_with };

	for (unsigned n = 0; n < 2; n++) {
		build(names[n]);
		space_write_block(&mem, 0, all[_i].code, sizeof all[_i].code);
		seg_load_real(c, CS, 0);
		c->r[RIP] = 0;
		c->cr4 |= has(&model, F_FXSR) ? CR4_OSFXSR : 0;
		update_mode(c);
		ck_assert_int_eq(cpu_run(c, c->icount + 1, ~(u64)0), n ? CPU_LIMIT : CPU_EXCEPTION);
		if (!n)
			ck_assert_uint_eq(c->fault.vector, VEC_UD);
		tear_down();
	}
}
END_TEST

/* IA32_TSC_ADJUST and the counter move together (SDM vol. 3, 17.17.3). */
START_TEST(tsc_adjust)
{
	u64 v, before;

	build("nehalem");
	ck_assert(!read_msr(c, 0x3b, &v));
	tear_down();
	build("haswell");
	ck_assert(read_msr(c, 0x3b, &v));
	ck_assert_uint_eq(v, 0);
	ck_assert(read_msr(c, 0x10, &before));
	ck_assert(write_msr(c, 0x3b, 1000));
	ck_assert(read_msr(c, 0x10, &v));
	ck_assert_uint_eq(v, before + 1000);
	ck_assert(write_msr(c, 0x10, before + 500));
	ck_assert(read_msr(c, 0x3b, &v));
	ck_assert_uint_eq(v, 500);
	tear_down();
}
END_TEST

/* Without FCS and FDS (SDM vol. 1, 8.1.8) they are saved as 0. */
START_TEST(no_fcs)
{
	for (unsigned n = 0; n < 2; n++) {
		build(n ? "haswell" : "nehalem");
		c->cr0 |= CR0_PE;
		c->x87.cs = 0x1234;
		c->x87.ds = 0x5678;
		for (unsigned i = ES; i <= GS; i++)
			c->seg[i] = (struct seg){ .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | (i == CS ? SEG_CODE : 0) };
		for (unsigned i = ES; i <= GS; i++)
			seg_update(c, i);
		space_write_block(&mem, 0, (const u8[]){ 0xd9, 0x33, 0x0f, 0xae, 0x06 }, 5); /* fnstenv [ebx]; fxsave [esi] */
		c->r[RIP] = 0;
		c->r[RBX] = 0x1000;
		c->r[RSI] = 0x2000;
		ck_assert_int_eq(cpu_run(c, c->icount + 2, ~(u64)0), CPU_LIMIT);
		ck_assert_uint_eq(get16(ram->host + 0x1010), n ? 0 : 0x1234);
		ck_assert_uint_eq(get16(ram->host + 0x1018), n ? 0 : 0x5678);
		ck_assert_uint_eq(get16(ram->host + 0x200c), n ? 0 : 0x1234);
		ck_assert_uint_eq(get16(ram->host + 0x2014), n ? 0 : 0x5678);
		tear_down();
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("model");
	TCase *t = tcase_create("model");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, as_silicon, 0, ARRAY_LEN(silicon));
	tcase_add_test(t, generations);
	tcase_add_loop_test(t, instructions, 0, 10);
	tcase_add_test(t, tsc_adjust);
	tcase_add_test(t, no_fcs);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
