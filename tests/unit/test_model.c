/* SPDX-License-Identifier: MIT */
/* Models: CPUID as the processors that they are named after show it (SDM vol. 2, CPUID; Intel's specification updates;
 * APM vol. 3, appendix E), and what follows from it. */
#include <check.h>
#include <stdlib.h>
#include "cpu/system/mca.h"
#include "cpu/cpu.h"

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c;

static bool with_apic = true;
static void build(const char *name)
{
	struct cpu_config config = {
		.model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true, .apic = with_apic
	};

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

/* What the silicon shows and no model here has: debug store, thermal and power management, SMX, threads. VMX is there from haswell on. */
enum { NO_EDX = 1 << 21 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29 | (int)(1u << 31), NO_ECX = 1 << 2 | 1 << 4 |
	1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 14 | 1 << 15 };

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
	{ "core2", 0x6fb, 10, 0xe3bd, 0xbfebfbff, 0, 0x1, 0x20100000, 0x3024, { 0x05b0b101, 0x005657f0, 0, 0x2cb43049 },
		{ 32, 32, 4096 }, 0x10008040,
	  "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz" },
	{ "nehalem", 0x106a5, 11, 0x98e3bd, 0xbfebfbff, 0, 0x1, 0x28100000, 0x3024,
		{ 0x55035a01, 0x00f0b2e4, 0, 0x09ca212c }, { 32, 32, 256, 8192 }, 0x01006040,
	  "Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz" },
	{ "haswell", 0x306c3, 13, 0x7ffafbff, 0xbfebfbff, 0x27ab, 0x21, 0x2c100000, 0x3027,
		{ 0x76036301, 0x00f0b5ff, 0, 0x00c10000 },
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
	ck_assert_uint_eq(leaf(1, 0, ECX), s->ecx & ~(u32)NO_ECX & ~(has(&model, F_VMX) ? 0 : 1u << 5));
	ck_assert_uint_eq(leaf(1, 0, EDX), s->edx & ~(u32)NO_EDX);
	if (s->max >= 2)
		for (unsigned i = 0; i < 4; i++)
			ck_assert_uint_eq(leaf(2, 0, i), s->leaf2[i]);
	if (s->max >= 4) {
		for (unsigned i = 0; i < 4; i++) {
			u32 b = leaf(4, i, EBX), kib = ((b >> 22) + 1) * ((b >> 12 & 0x3ff) + 1) * ((b & 0xfff) + 1) *
						       (leaf(4, i, ECX) + 1) / 1024;

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

/* AMD's, as family 25 model 1 shows them in a virtual machine of KVM with two processors, each register under a mask:
 * KVM and the machine's firmware leave out and add. */
START_TEST(as_amd)
{
	static const struct { u32 leaf, sub; u8 reg; u32 mask, value; } all[] = {
		{ 0, 0, EBX, ~0u, 0x68747541 }, { 0, 0, ECX, ~0u, 0x444d4163 }, { 0, 0, EDX, ~0u, 0x69746e65 },
		{ 1, 0, EAX, ~0u, 0x00a00f11 }, { 1, 0, EBX, 0xff00ff00, 0x00000800 },
		/* without MONITOR, the TSC deadline and OSXSAVE */
		{ 1, 0, ECX, 0x76fffff7, 0x76fa3203 }, { 1, 0, EDX, ~0u, 0x078bfbff },
		{ 2, 0, EAX, ~0u, 0 }, { 4, 0, EAX, ~0u, 0 }, { 6, 0, EAX, 4, 4 },
		{ 7, 0, EBX, 0xfffffffd, 0x219c07a9 }, { 7, 0, ECX, ~8u, 0x00400604 }, { 7, 0, EDX, 0x10, 0x10 },
		{ 0xd, 1, EAX, ~0u, 0xf }, { 0xd, 2, EAX, ~0u, 0x100 }, { 0xd, 2, EBX, ~0u, 0x240 },
		{ 0x80000000, 0, EBX, ~0u, 0x68747541 }, { 0x80000000, 0, ECX, ~0u, 0x444d4163 },
		{ 0x80000001, 0, EAX, ~0u, 0x00a00f11 }, { 0x80000001, 0, ECX, 0x00400165, 0x00400165 },
		{ 0x80000001, 0, EDX, ~0u, 0x2fd3fbff },
		{ 0x80000005, 0, EAX, ~0u, 0xff40ff40 }, { 0x80000005, 0, EBX, ~0u, 0xff40ff40 },
		{ 0x80000005, 0, ECX, ~0u, 0x20080140 }, { 0x80000005, 0, EDX, ~0u, 0x20080140 },
		{ 0x80000006, 0, EAX, ~0u, 0x48002200 }, { 0x80000006, 0, EBX, ~0u, 0x68004200 },
		{ 0x80000006, 0, ECX, ~0u, 0x02006140 }, { 0x80000006, 0, EDX, 0xffff, 0x9140 },
		{ 0x80000007, 0, EDX, ~0u, 0x100 }, { 0x80000008, 0, EAX, 0xffff, 0x3030 },
		{ 0x80000008, 0, EBX, 4, 4 },
		{ 0x8000001d, 0, EAX, ~0u, 0x121 }, { 0x8000001d, 1, EAX, ~0u, 0x122 },
		{ 0x8000001d, 2, EAX, ~0u, 0x143 }, { 0x8000001d, 3, EAX, 0x3fff, 0x163 },
		{ 0x8000001d, 0, EBX, ~0u, 0x01c0003f }, { 0x8000001d, 3, EBX, ~0u, 0x03c0003f },
		{ 0x8000001d, 2, ECX, ~0u, 0x3ff }, { 0x8000001d, 3, ECX, ~0u, 0x7fff },
		{ 0x8000001d, 4, EAX, ~0u, 0 }, { 0x80000021, 0, EAX, 4, 4 },
		/* beyond the last leaf */
		{ 0x11, 0, EAX, ~0u, 0 }, { 0x80000024, 0, EAX, ~0u, 0 }, { 0x40000000, 0, EAX, ~0u, 0 },
	};

	build("zen3");
	ck_assert_uint_eq(c->r[RDX], 0xa00f11);
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		ck_assert_msg((leaf(all[i].leaf, all[i].sub, all[i].reg) & all[i].mask) == all[i].value,
			      "leaf %x.%u, register %u: %x", all[i].leaf, all[i].sub, all[i].reg,
			      leaf(all[i].leaf, all[i].sub, all[i].reg));
	tear_down();
	build("zen");
	ck_assert_str_eq(model.name, "zen3");
	tear_down();
	build("k6-2"); /* AMD 20734, table 5 and 6 */
	ck_assert_uint_eq(leaf(1, 0, EDX), 0x008021bf);
	ck_assert_uint_eq(leaf(0x80000001, 0, EDX), 0x808029bf);
	tear_down();
}
END_TEST

/* Who has a register: MSRs of one maker are #GP(0) on the other's processors. */
START_TEST(msrs_of_makers)
{
	static const struct { u32 index; bool intel, k8, zen3; u64 reset; /* of zen3 */ } all[] = {
		{ 0x17, true, false, false, 0 }, { 0x1a0, true, false, false, 0 }, { 0xce, true, false, false, 0 },
		{ 0xe2, true, false, false, 0 }, { 0x1fc, true, false, false, 0 }, { 0x10a, true, false, false, 0 },
		{ 0x8b, true, true, true, 0x0a0011d5 }, { 0x1d9, true, true, true, 0 },
		{ 0x277, true, true, true, 0x0007040600070406 },
		{ 0xfe, true, true, true, 0x508 }, { 0xc0000080, true, true, true, 0 }, { 0x48, true, false, true, 0 },
		{ 0xc0010010, false, true, true, 0 }, { 0xc0010015, false, true, true, 1 << 24 },
		{ 0xc001001a, false, true, true, 0 }, { 0xc001001d, false, true, true, 0 },
		{ 0xc001001f, false, true, true, 0 }, { 0xc0011020, false, true, true, 0 },
		{ 0xc0011029, false, false, true, 0 }, { 0xc001102e, false, false, true, 0 },
		{ 0x6e0, true, false, false, 0 }, { 0x3b, true, false, false, 0 },
		{ 0xc0010000, false, true, true, 0 }, { 0xc0010007, false, true, true, 0 }, { 0xc0010008, false, false, false, 0 },
		{ 0xc0010200, false, false, true, 0 }, { 0xc001020b, false, false, true, 0 }, { 0xc001020c, false, false, false, 0 },
	};
	static const char *const models[] = { "max", "opteron", "zen3" };
	u64 v;

	for (unsigned n = 0; n < ARRAY_LEN(models); n++) {
		build(models[n]);
		for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
			bool there = n == 0 ? all[i].intel : n == 1 ? all[i].k8 : all[i].zen3;

			ck_assert_msg(read_msr(c, all[i].index, &v) == there, "%s: %x", models[n], all[i].index);
			ck_assert(n != 2 || v == all[i].reset);
		}
		tear_down();
	}
	build("zen3");
	ck_assert(!write_msr(c, 0x8b, 0)); /* PATCH_LEVEL, TscFreqSel, and EFER.LMSLE, which Zen 3 has no more */
	ck_assert(write_msr(c, 0xc0010015, 0) && read_msr(c, 0xc0010015, &v) && v == 1 << 24);
	ck_assert(!write_msr(c, 0xc0000080, 0x2000));
	ck_assert(write_msr(c, 0xc0000080, 0xc000) && c->efer == 0xc000); /* FFXSR, TCE */
	ck_assert(write_msr(c, 0x176, 0x123456789a) && c->sysenter_eip == 0x3456789a);
	ck_assert(!write_msr(c, 0x1d9, 0x40) && write_msr(c, 0x1d9, 0x3f));
	ck_assert_uint_eq(leaf(1, 0, ECX) & 8, 8);
	ck_assert(write_msr(c, 0xc0010015, 1 << 9)); /* MonMwaitDis */
	ck_assert_uint_eq(leaf(1, 0, ECX) & 8, 0);
	tear_down();
}
END_TEST

/* AMD's counters: the first four have two numbers each. Of controls the reserved bits stay 0, of counters those above 47. */
START_TEST(amd_counters)
{
	u64 v;

	build("zen3");
	ck_assert_uint_eq(leaf(0x80000001, 0, ECX) >> 23 & 1, 1);
	for (u32 n = 0; n < 6; n++)
		ck_assert(write_msr(c, 0xc0010200 + 2 * n, ~(u64)0) && write_msr(c, 0xc0010201 + 2 * n, ~(u64)0 - n));
	for (u32 n = 0; n < 6; n++) {
		ck_assert(read_msr(c, 0xc0010200 + 2 * n, &v) && v == 0x30fffd7ffff);
		ck_assert(read_msr(c, 0xc0010201 + 2 * n, &v) && v == 0xffffffffffffu - n);
	}
	ck_assert(read_msr(c, 0xc0010003, &v) && v == 0x30fffd7ffff);
	ck_assert(read_msr(c, 0xc0010006, &v) && v == 0xfffffffffffd);
	ck_assert(write_msr(c, 0xc0010005, 7) && read_msr(c, 0xc0010203, &v) && v == 7);
	tear_down();
}
END_TEST

/* Each generation has what the ones before it of its maker had; AMD's, but for 3DNow!, and max, but for AVX-512. */
START_TEST(generations)
{
	struct model before = { .features = { 0 } }, m;
	bool max = false;

	for (unsigned i = 0; model_names[i]; i++) {
		ck_assert(model_parse(&m, model_names[i], NULL));
		ck_assert_str_eq(m.name, model_names[i]);
		ck_assert_str_eq(m.vendor, is_amd(&m) ? "AuthenticAMD" : "GenuineIntel");
		max |= !strcmp(before.name, "max");
		ck_assert(is_amd(&m) == max);
		for (unsigned f = 0; f < F_COUNT && m.maker == before.maker; f++)
			ck_assert(has(&m, f) || !has(&before, f) || f == F_3DNOW || f == F_3DNOWEXT ||
				  !strcmp(m.name, "max"));
		before = m;
	}
	ck_assert(max);
	ck_assert(has(&m, F_SSE4A) && !has(&m, F_3DNOW) && !has(&m, F_3DNOWEXT) && !has(&m, F_TSC_DEADLINE));
}
END_TEST

/* AVX-512 in leaf 7, as these processors have it (zen5: read on one; the others: LLVM's lists for -march), and in what XCR0
 * may have. */
START_TEST(wide_models)
{
	static const struct { const char *model; u32 ebx, ecx, edx, eax_1, xcr0; } all[] = {
		{ "haswell", 0, 0, 0, 0, 7 }, { "skylake-server", 0xd0030000, 0, 0, 0, 0x2e7 },
		{ "icelake-server", 0xd0230000, 0x5842, 0, 0, 0x2e7 },
		{ "sapphire-rapids", 0xd0230000, 0x5842, 0x800000, 0x30, 0x602e7 }, { "max", 0, 0, 0, 0, 0x207 },
		{ "zen3", 0, 0, 0, 0, 0x207 }, { "zen4", 0xd0230000, 0x5842, 0, 0x20, 0x2e7 },
		{ "zen5", 0xd0230000, 0x5842, 0x100, 0x30, 0x2e7 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		build(all[i].model);
		ck_assert_uint_eq(leaf(7, 0, EBX) & 0xd0230000, all[i].ebx);
		ck_assert_uint_eq(leaf(7, 0, ECX) & 0x5842, all[i].ecx);
		ck_assert_uint_eq(leaf(7, 0, EDX) & 0x800100, all[i].edx);
		ck_assert_uint_eq(leaf(7, 1, EAX) & 0x30, all[i].eax_1);
		ck_assert_uint_eq(leaf(0xd, 0, EAX), all[i].xcr0);
		tear_down();
	}
}
END_TEST

/* Banks of machine checks: as many as IA32_MCG_CAP says, and #GP(0) beyond them. What they have recorded can be cleared
 * only (SDM vol. 3, 16.3.2.2; APM vol. 2, 9.3.2: unless HWCR.McStatusWrEn), and it outlives RESET. AMD's have the same
 * registers, and more, from C0002000h on. max has no bank. */
START_TEST(machine_check_banks)
{
	static const struct { const char *model; u32 banks; bool amd; } all[] = {
		{ "max", 0, false }, { "haswell", 0, false }, { "skylake-server", 20, false }, { "sapphire-rapids", 20, false },
		{ "zen1", 8, true }, { "zen5", 8, true }, { "zen3,-mca-banks,-scalable-mca", 0, false },
	};
	u64 v;

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		u32 last = 0x400 + 4 * (all[i].banks - 1);

		build(all[i].model);
		ck_assert(read_msr(c, 0x179, &v) && (v & 0xff) == all[i].banks);
		ck_assert(!write_msr(c, 0x179, 0));
		ck_assert_int_eq(leaf(0x80000007, 0, EBX) >> 3 & 1, all[i].amd);
		ck_assert(!read_msr(c, 0x400 + 4 * all[i].banks, &v) && !write_msr(c, 0x400 + 4 * all[i].banks, 0));
		ck_assert_int_eq(read_msr(c, 0xc0002005, &v), all[i].amd);
		if (!all[i].banks) {
			tear_down();
			continue;
		}
		ck_assert(write_msr(c, 0x17b, ~(u64)0) && read_msr(c, 0x17b, &v) && v == ~(u64)0);
		ck_assert(write_msr(c, last, ~(u64)0) && read_msr(c, last, &v) && v == ~(u64)0);
		ck_assert(write_msr(c, last + 1, 0) && !write_msr(c, last + 1, 1));
		ck_assert_int_eq(write_msr(c, last + 2, 1), all[i].amd);
		if (all[i].amd) {
			ck_assert(write_msr(c, 0xc0010015, 1 << 18) && write_msr(c, last + 1, 0xbea0000000000108));
			ck_assert(read_msr(c, 0xc0002071, &v) && v == 0xbea0000000000108);
			ck_assert(read_msr(c, 0xc0002070, &v) && v == ~(u64)0); /* MCA_CTL of bank 7 */
			ck_assert(read_msr(c, 0xc0002055, &v) && v >> 32 == 0x500b0); /* MCA_IPID: execution */
			ck_assert(read_msr(c, 0xc0002045, &v) && !v);
			ck_assert(!read_msr(c, 0xc0002080, &v));
			cpu_reset(c, false);
			ck_assert(read_msr(c, last + 1, &v) && v == 0xbea0000000000108);
		}
		cpu_reset(c, false);
		ck_assert(read_msr(c, last, &v) && !v);
		tear_down();
	}
	build("zen3,-mca-banks"); /* but the bit in CPUID is there */
	ck_assert(!read_msr(c, 0xc0002000, &v) && !write_msr(c, 0xc0002000, 0));
	tear_down();
}
END_TEST

/* Errors that the caller reports (SDM vol. 3, table 16-9): of corrected ones the last stays, one that is not corrected
 * stays before all others; #MC comes if the guest has enabled it, and shuts down without CR4.MCE. */
START_TEST(machine_checks)
{
	const u64 valid = (u64)1 << 63, over = (u64)1 << 62, uncorrected = (u64)1 << 61, enabled = (u64)1 << 60,
		  miscv = (u64)1 << 59, addrv = (u64)1 << 58;
	struct machine_check e = { .bank = 3, .status = valid | addrv | 0x151, .addr = 0x1000, .misc = 5,
				   .mcg_status = 7 };
	u64 v;

	build("max");
	ck_assert_ptr_nonnull(mca_report(c, &e, false));
	tear_down();
	build("sapphire-rapids");
	c->activity = ACTIVITY_RUN;
	e.bank = 20;
	ck_assert_ptr_nonnull(mca_report(c, &e, false));
	e.bank = 3;
	ck_assert_ptr_null(mca_report(c, &e, false));
	ck_assert(read_msr(c, 0x40d, &v) && v == e.status);
	ck_assert(read_msr(c, 0x40e, &v) && v == 0x1000);
	ck_assert(read_msr(c, 0x40f, &v) && v == 0); /* MISCV is 0 */
	e.status |= miscv;
	ck_assert_ptr_null(mca_report(c, &e, false));
	ck_assert(read_msr(c, 0x40d, &v) && v == (e.status | over));
	ck_assert(read_msr(c, 0x40f, &v) && v == 5);
	e.status = valid | uncorrected | enabled | 0x134;
	ck_assert_ptr_null(mca_report(c, &e, false)); /* MCG_CTL and MC3_CTL are 0 */
	ck_assert(read_msr(c, 0x40d, &v) && v == (e.status | over));
	ck_assert(read_msr(c, 0x17a, &v) && v == 0);
	e.status |= 1;
	ck_assert(write_msr(c, 0x17b, ~(u64)0) && write_msr(c, 0x40c, ~(u64)0));
	c->cr4 |= CR4_MCE;
	ck_assert_ptr_null(mca_report(c, &e, false));
	ck_assert(read_msr(c, 0x40d, &v) && !(v & 1)); /* the first one stays */
	ck_assert_uint_eq(c->mcg_status, MCG_DUE | 7);
	c->mcg_status = 7; /* MCIP */
	ck_assert_ptr_null(mca_report(c, &e, false));
	ck_assert_uint_eq(c->mcg_status, MCG_DUE | MCG_SHUTDOWN | 7);
	c->mcg_status = 0;
	c->cr4 &= ~(u64)CR4_MCE;
	ck_assert_ptr_null(mca_report(c, &e, false));
	ck_assert_uint_eq(c->mcg_status, MCG_DUE | MCG_SHUTDOWN | 7);
	ck_assert(!mca_deliver(c));
	tear_down();
}
END_TEST

/* AVX10: the version, and vectors of 128, 256 and 512 bits (leaf 24h). */
START_TEST(avx10)
{
	build("sapphire-rapids,+avx10.1");
	ck_assert_uint_eq(leaf(0, 0, EAX), 0x24);
	ck_assert_uint_eq(leaf(7, 1, EDX) >> 19 & 1, 1);
	ck_assert_uint_eq(leaf(0x24, 0, EAX), 0);
	ck_assert_uint_eq(leaf(0x24, 0, EBX), 0x70001);
	ck_assert_uint_eq(leaf(0x24, 1, EBX), 0);
	tear_down();
	build("sapphire-rapids,+avx10.2"); /* has what AVX10.1 has */
	ck_assert_uint_eq(leaf(0, 0, EAX), 0x24);
	ck_assert_uint_eq(leaf(7, 1, EDX) >> 19 & 1, 1);
	ck_assert_uint_eq(leaf(0x24, 0, EBX), 0x70002);
	tear_down();
	build("sapphire-rapids");
	ck_assert_uint_eq(leaf(7, 1, EDX) >> 19 & 1, 0);
	tear_down();
}
END_TEST

/* In every mode that they are in: CLFLUSHOPT, CLFLUSH, RDSEED, RDPID, PREFETCHW (vol. 2 has no restriction for them).
 * */
START_TEST(everywhere)
{
	static const u8 all[][4] = { { 0x66, 0x0f, 0xae, 0x3f }, { 0x0f, 0xae, 0x3f, 0x90 }, { 0x0f, 0xc7, 0xf8, 0x90 },
		{ 0xf3, 0x0f, 0xc7, 0xf8 }, { 0x0f, 0x0d, 0x0f, 0x90 } };

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		/* real, V86, protected at CPL 0 and 3, 64-bit at CPL 0 and 3 */
		for (unsigned mode = 0; mode < 6; mode++) {
			bool wide = mode >= 4;

			build("max");
			c->cr0 |= mode ? CR0_PE : 0;
			c->cpl = mode == 1 || mode == 3 || mode == 5 ? 3 : 0;
			c->eflags |= mode == 1 ? FL_VM : 0;
			if (wide) {
				c->cr3 = 0x8000;
				put64(ram->host + 0x8000, 0x9007);
				put64(ram->host + 0x9000, 0x87);
				c->cr4 |= CR4_PAE;
				c->efer = EFER_LME | EFER_LMA;
				c->cr0 |= CR0_PG;
			}
			for (unsigned s = ES; s <= GS; s++)
				c->seg[s] = (struct seg){ .limit = 0xffff,
							  .attr = SEG_P | SEG_S | SEG_W | SEG_A |
								  (s == CS ? SEG_CODE | (wide ? SEG_L : 0) : 0) };
			for (unsigned s = ES; s <= GS; s++)
				seg_update(c, s);
			update_mode(c);
			tlb_flush(c, true);
			space_write_block(&mem, 0x100, all[i], 4);
			c->r[RIP] = 0x100;
			c->r[RBX] = c->r[RDI] = 0x2000;
			ck_assert_msg(cpu_run(c, c->icount + 1, ~(u64)0) == CPU_LIMIT,
				      "instruction %u, mode %u: fault %u", i, mode, c->fault.vector);
			tear_down();
		}
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

/* UMOV is MOV, with what ModRM says; the Pentium does not have it any more. */
START_TEST(umov)
{
	static const struct { u8 code[4]; u64 eax; u16 memory; } all[] = {
		/* al, cl; ax, cx */
		{ { 0x0f, 0x10, 0xc8 }, 0x11112288, 0x5555 }, { { 0x0f, 0x11, 0xc8 }, 0x11116688, 0x5555 },
		/* al, [bx]; ax, [bx] */
		{ { 0x0f, 0x12, 0x07 }, 0x11112255, 0x5555 }, { { 0x0f, 0x13, 0x07 }, 0x11115555, 0x5555 },
		/* [bx], cx */
		{ { 0x0f, 0x11, 0x0f }, 0x11112222, 0x6688 },
	};
	static const char *const models[] = { "386", "486", "pentium" };

	for (unsigned n = 0; n < ARRAY_LEN(models); n++)
		for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
			build(models[n]);
			space_write_block(&mem, 0, all[i].code, sizeof all[i].code);
			put16(ram->host + 0x2000, 0x5555);
			seg_load_real(c, CS, 0);
			c->r[RIP] = 0;
			c->r[RAX] = 0x11112222;
			c->r[RCX] = 0x6688;
			c->r[RBX] = 0x2000;
			ck_assert_int_eq(cpu_run(c, c->icount + 1, ~(u64)0), n < 2 ? CPU_LIMIT : CPU_EXCEPTION);
			ck_assert_uint_eq(c->r[RAX], n < 2 ? all[i].eax : 0x11112222);
			ck_assert_uint_eq(get16(ram->host + 0x2000), n < 2 ? all[i].memory : 0x5555);
			tear_down();
		}
}
END_TEST

/* 16-bit code at the end of its segment (386 manual, 14.7, 13): an 8086 goes on at 0, also in the middle of an
 * instruction; later ones meet the limit, in front of an instruction that crosses it and behind one that ends there.
 * Three times, by links and by the jump cache. */
START_TEST(end_of_segment)
{
	static const struct { const char *model; bool crosses, wraps; } all[] = {
		{ "8086", false, true }, { "8086", true, true }, { "286", false, false }, { "286", true, false },
			{ "386", false, false }, { "max", true, false },
	};
	bool crosses = all[_i].crosses;

	build(all[_i].model);
	for (unsigned n = 0; n < 3; n++) {
		seg_load_real(c, CS, 0); /* the whole RAM is the segment */
		c->activity = ACTIVITY_RUN;
		space_write_block(&mem, 0xfff0,
				  (const u8[]){ 0x40, 0xeb, 0x00, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40,
						0x40, 0x40, 0x40, 0x40 },
				  16);
		space_write_block(&mem, 0, (const u8[]){ 0x43, 0xf4, 0xf4 }, 3); /* inc bx; hlt */
		if (crosses) {
			space_write_block(&mem, 0xffff, (const u8[]){ 0xb9 }, 1); /* mov cx, F443h */
			space_write_block(&mem, 2, (const u8[]){ 0x43, 0xf4 }, 2);
		}
		c->r[RIP] = 0xfff0;
		c->r[RAX] = c->r[RBX] = c->r[RCX] = 0;
		if (all[_i].wraps) {
			ck_assert_int_eq(cpu_run(c, c->icount + 100, ~(u64)0), CPU_IDLE);
			ck_assert_uint_eq(c->r[RIP], crosses ? 4 : 2);
			ck_assert_uint_eq(c->r[RBX], 1);
			ck_assert_uint_eq(c->r[RCX], crosses ? 0xf443 : 0);
		} else {
			ck_assert_int_eq(cpu_run(c, c->icount + 100, ~(u64)0), CPU_EXCEPTION);
			ck_assert_uint_eq(c->fault.vector, VEC_GP);
			ck_assert_uint_eq(c->r[RIP], crosses ? 0xffff : 0x10000);
			ck_assert_uint_eq(c->r[RBX], 0);
		}
		ck_assert_uint_eq(c->r[RAX], crosses ? 13 : 14);
	}
	tear_down();
}
END_TEST

/* The same bytes by another CS, whose limit is elsewhere: what is decoded and linked there does not take this one past
 * its limit. */
START_TEST(end_of_other_segment)
{
	build("386");
	for (unsigned n = 0; n < 4; n++) {
		bool low = n & 1; /* CS 0: the code is at its end; else at the start of CS 0FFDh */

		memset(ram->host, 0x90, 0x100);
		space_write_block(&mem, 0xffd0, (const u8[]){ 0x40, 0xeb, 0x00, 0x40, 0xeb, 0x00 }, 6);
		for (unsigned at = 0xffd6; at < 0xfffe; at++)
			ram->host[at] = 0x40;
		space_write_block(&mem, 0xfffe, (const u8[]){ 0x40, low ? 0x40 : 0xf4 }, 2);
		seg_load_real(c, CS, low ? 0 : 0xffd);
		c->activity = ACTIVITY_RUN;
		c->r[RIP] = low ? 0xffd0 : 0;
		c->r[RAX] = 0;
		ck_assert_int_eq(cpu_run(c, c->icount + 100, ~(u64)0), low ? CPU_EXCEPTION : CPU_IDLE);
		ck_assert_uint_eq(c->r[RIP], low ? 0x10000 : 0x30);
		ck_assert_uint_eq(c->r[RAX], low ? 44 : 43);
	}
	tear_down();
}
END_TEST

/* MOV CS and POP CS were instructions once. */
START_TEST(mov_cs)
{
	static const char *const models[] = { "8086", "186", "286", "max" };

	for (unsigned n = 0; n < 2 * ARRAY_LEN(models); n++) {
		build(models[n / 2]);
		if (has(&model, F_SSSE3) && n & 1) { /* 0F begins others now */
			tear_down();
			continue;
		}
		seg_load_real(c, CS, 0);
		seg_load_real(c, SS, 0);
		/* pop cs; mov cs, ax */
		space_write_block(&mem, 0x200, n & 1 ? (const u8[]){ 0x0f, 0xff } : (const u8[]){ 0x8e, 0xc8 }, 2);
		memset(ram->host + 0x1200, 0xf4, 16);
		ram->host[0x1201] = 0x43; /* inc bx */
		ram->host[0x1202] = n & 1 ? 0xf4 : 0x43;
		c->r[RIP] = 0x200;
		c->r[RAX] = 0x100;
		c->r[RBX] = 0;
		c->r[RSP] = 0x400;
		put16(ram->host + 0x400, 0x100);
		if (n < 2) {
			ck_assert_int_eq(cpu_run(c, c->icount + 10, ~(u64)0), CPU_IDLE);
			ck_assert_uint_eq(c->seg[CS].sel, 0x100);
			ck_assert_uint_eq(c->r[RBX], 1);
			ck_assert_uint_eq(c->r[RSP], n & 1 ? 0x402 : 0x400);
		} else {
			ck_assert_int_eq(cpu_run(c, c->icount + 10, ~(u64)0), CPU_EXCEPTION);
			ck_assert_uint_eq(c->fault.vector, VEC_UD);
		}
		tear_down();
	}
}
END_TEST

/* MONITOR and MWAIT (vol. 2): it sleeps until somebody writes to the line; or an interrupt comes that may be taken, or
 * any with ECX = 1. */
START_TEST(mwait)
{
	with_apic = false;
	build("max");
	seg_load_real(c, CS, 0);
	seg_load_real(c, DS, 0);
	for (unsigned n = 0; n < 6; n++) {
		c->r[RIP] = 0x200;
		c->r[RAX] = 0x1010;
		c->r[RBX] = c->r[RDX] = c->r[RCX] = 0;
		memset(ram->host + 0x200, 0x90, 32);
		/* monitor; mov cx, bp; mwait; inc bx; hlt */
		space_write_block(&mem, 0x200,
				  (const u8[]){ 0x0f, 0x01, 0xc8, 0x89, 0xe9, 0x0f, 0x01, 0xc9, 0x43, 0xf4 }, 10);
		c->r[RBP] = n == 4;
		c->activity = ACTIVITY_RUN;
		ck_assert_int_eq(cpu_run(c, c->icount + 2, ~(u64)0), CPU_LIMIT);
		if (n == 0) /* a store before MWAIT: it does not sleep */
			space_write(&mem, 0x103f, 1, 0);
		if (n == 1) /* one of its own */
			ck_assert(mem_write(c, 0x1000, 8, 0));
		cpu_run(c, c->icount + 100, ~(u64)0);
		if (n >= 2) {
			ck_assert_uint_eq(c->activity, ACTIVITY_MWAIT);
			space_write(&mem, 0x1040, 4, 0); /* the next line, and the one before */
			space_write(&mem, 0xffc, 4, 0);
			if (n == 2)
				space_write_block(&mem, 0xff0, (u8[32]){ 0 }, 32);
			else if (n == 5)
				cpu_nmi(c, 0, true);
			else
				c->intr = true; /* with IF = 0 */
			cpu_run(c, c->icount + 100, ~(u64)0);
			if (n == 3) {
				ck_assert_uint_eq(c->activity, ACTIVITY_MWAIT);
				space_write(&mem, 0x1000, 1, 0);
				cpu_run(c, c->icount + 100, ~(u64)0);
			}
			c->intr = false;
		}
		ck_assert_uint_eq(c->activity, n == 5 ? c->activity : ACTIVITY_HALT);
		ck_assert_uint_eq(c->r[RBX], n != 5);
		ck_assert(!c->monitor_armed);
	}
	tear_down();
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

/* MSR_PLATFORM_INFO names the frequency of the TSC (SDM vol. 4: bits 15-8), and so does CPUID leaf 15h. */
START_TEST(platform_info)
{
	u32 crystal[4];
	u64 v;

	build("nehalem"); /* its unit is 133 MHz, of which 1 GHz is no multiple */
	ck_assert(!read_msr(c, 0xce, &v));
	tear_down();
	build("max");
	ck_assert(read_msr(c, 0xce, &v));
	cpuid(c, 0x15, 0, crystal);
	ck_assert_uint_eq((v >> 8 & 0xff) * 100000000, (u64)crystal[2] * crystal[1] / crystal[0]);
	ck_assert_uint_le(v >> 40 & 0xff, v >> 8 & 0xff);
	ck_assert(!write_msr(c, 0xce, v));
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
			c->seg[i] = (struct seg){ .limit = 0xffffffff,
						  .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB |
							  (i == CS ? SEG_CODE : 0) };
		for (unsigned i = ES; i <= GS; i++)
			seg_update(c, i);
		/* fnstenv [ebx]; fxsave [esi] */
		space_write_block(&mem, 0, (const u8[]){ 0xd9, 0x33, 0x0f, 0xae, 0x06 }, 5);
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
	tcase_add_test(t, as_amd);
	tcase_add_test(t, msrs_of_makers);
	tcase_add_test(t, amd_counters);
	tcase_add_test(t, generations);
	tcase_add_test(t, wide_models);
	tcase_add_test(t, machine_check_banks);
	tcase_add_test(t, machine_checks);
	tcase_add_test(t, avx10);
	tcase_add_loop_test(t, instructions, 0, 10);
	tcase_add_test(t, umov);
	tcase_add_test(t, everywhere);
	tcase_add_loop_test(t, end_of_segment, 0, 6);
	tcase_add_test(t, end_of_other_segment);
	tcase_add_test(t, mov_cs);
	tcase_add_test(t, mwait);
	tcase_add_test(t, tsc_adjust);
	tcase_add_test(t, platform_info);
	tcase_add_test(t, no_fcs);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
