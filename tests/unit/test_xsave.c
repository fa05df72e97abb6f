/* SPDX-License-Identifier: MIT */
/* XSAVE and its relatives (SDM vol. 1, chapter 13): layout, what is left out, every #GP, and the host's own XSAVE,
 * XSAVEOPT, XSAVEC and XRSTOR. */
#include <setjmp.h>
#include <signal.h>
#include "tests/silicon/makers.h"
#include "tests/unit/bare.h"

enum { RAM_SIZE = 0x20000, CODE = 0x1000, PML4 = 0x4000, TABLES = 0x5000, IMAGE = 0x8000, OUT = 0xa000, SIZE = 2696 };
enum { HEADER = 512, LAYOUT = 520, MXCSR = 24, XMM = 160, AREA_YMM = 576, PKRU = 2688 };
#define COMPACT ((u64)1 << 63)

/* 64-bit mode, flat, with everything that XCR0 has. */
static void build(const char *name)
{
	bare_new(name, RAM_SIZE);
	put64(ram->host + PML4, TABLES | 7);
	put64(ram->host + TABLES, 0x87);
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_PKE;
	c->efer = EFER_LME | EFER_LMA;
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
	c->xcr0 = 0x207;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A |
						  (i == CS ? SEG_CODE | SEG_L : SEG_DB) | SEG_G };
	c->x87.cw = 0x37f;
	c->x87.valid = 0;
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
	tlb_flush(c, true);
}
static void setup(void) { build("max"); }

/* [RDI], with REX.W */
static const u8 xsave[] = { 0x48, 0x0f, 0xae, 0x27 }, xsaveopt[] = { 0x48, 0x0f, 0xae, 0x37 },
		xsavec[] = { 0x48, 0x0f, 0xc7, 0x27 }, xsaves[] = { 0x48, 0x0f, 0xc7, 0x2f },
		xrstor[] = { 0x48, 0x0f, 0xae, 0x2f }, xrstors[] = { 0x48, 0x0f, 0xc7, 0x1f };

/* Run one of them; -1, or the vector of its fault. */
static int run(const u8 code[4], u64 address, u64 rfbm)
{
	space_write_block(&mem, CODE, code, 4);
	c->r[RIP] = CODE;
	c->r[RDI] = address;
	c->r[RAX] = (u32)rfbm;
	c->r[RDX] = rfbm >> 32;
	return cpu_run(c, c->icount + 1, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : -1;
}

static u8 *out(unsigned at) { return ram->host + OUT + at; }
static u8 *image(unsigned at) { return ram->host + IMAGE + at; }

/* A state in which all components are in use. */
static void fill(void)
{
	for (unsigned i = 0; i < 16; i++) {
		memset(&c->v[i].b[0], 0x10 + (int)i, 16);
		memset(&c->v[i].b[16], 0x30 + (int)i, 16);
	}
	c->x87.cw = 0x27f;
	c->mxcsr = 0x3f80;
	c->pkru = 0x50;
	memset(ram->host + OUT, 0xee, SIZE + 64);
}

static bool untouched(unsigned from, unsigned to)
{
	while (from < to && *out(from) == 0xee)
		from++;
	return from == to;
}

/* ---- saving ---- */

START_TEST(standard)
{
	fill();
	put64(out(HEADER), COMPACT >> 1 | 0x10); /* bits that are not asked for stay */
	ck_assert_int_eq(run(xsave, OUT, 0x206), -1);
	ck_assert_uint_eq(get64(out(HEADER)), COMPACT >> 1 | 0x216);
	ck_assert_uint_eq(get64(out(MXCSR)), 0xffff00003f80);
	ck_assert_uint_eq(*out(XMM + 16 * 15), 0x1f);
	ck_assert_uint_eq(*out(AREA_YMM + 16 * 15), 0x3f);
	ck_assert_uint_eq(get64(out(PKRU)), 0x50);
	ck_assert(untouched(0, MXCSR) && untouched(32, XMM) && untouched(XMM + 256, HEADER));
	ck_assert(untouched(LAYOUT, AREA_YMM) && untouched(AREA_YMM + 256, PKRU) && untouched(PKRU + 8, SIZE + 64));
}
END_TEST

/* 13.10: components follow one another, those that are not in use leave their place, XCOMP_BV says which places there
 * are. */
START_TEST(compacted)
{
	static const struct { u64 rfbm; bool ymm; unsigned pkru_at; } all[] = {
		{ 0x207, true, AREA_YMM + 256 }, { 0x207, false, AREA_YMM + 256 }, { 0x203, false, AREA_YMM },
			{ 0x200, false, AREA_YMM },
	};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(all); i++) {
		u64 rfbm = all[i / 2].rfbm, bv = rfbm & (all[i / 2].ymm ? ~(u64)0 : ~(u64)4);

		fill();
		if (!all[i / 2].ymm)
			vregs_clear(c, 16, 16);
		ck_assert_int_eq(run(i & 1 ? xsaves : xsavec, OUT, rfbm | ~(u64)0x207), -1);
		ck_assert_uint_eq(get64(out(HEADER)), bv);
		ck_assert_uint_eq(get64(out(LAYOUT)), rfbm | COMPACT);
		ck_assert_uint_eq(get64(out(all[i / 2].pkru_at)), 0x50);
		ck_assert(untouched(LAYOUT + 8, AREA_YMM) && untouched(all[i / 2].pkru_at + 8, SIZE));
		if (!(bv & 4))
			ck_assert(untouched(AREA_YMM, all[i / 2].pkru_at));
	}
}
END_TEST

/* 13.6, XINUSE: what is as at reset is neither written nor named; MXCSR makes SSE used for XSAVEC, not for XSAVEOPT. */
START_TEST(initial)
{
	for (unsigned n = 0; n < 2; n++) {
		memset(ram->host + OUT, 0xee, SIZE);
		put64(out(HEADER), 0);
		c->mxcsr = 0x1f80;
		ck_assert_int_eq(run(n ? xsaveopt : xsavec, OUT, ~(u64)0), -1);
		ck_assert_uint_eq(get64(out(HEADER)), 0);
		ck_assert(untouched(0, MXCSR) && untouched(XMM, HEADER) && untouched(AREA_YMM, SIZE));
		ck_assert_uint_eq(get32(out(MXCSR)), n ? 0x1f80 : 0xeeeeeeee); /* 13.9: MXCSR goes with AVX, too */
		c->mxcsr = 0x9f80;
		ck_assert_int_eq(run(n ? xsaveopt : xsavec, OUT, ~(u64)0), -1);
		ck_assert_uint_eq(get64(out(HEADER)), n ? 0 : 2);
		ck_assert_uint_eq(get32(out(MXCSR)), 0x9f80);
	}
}
END_TEST

/* XGETBV with ECX = 1: XCR0 and XINUSE. */
START_TEST(xgetbv)
{
	static const u8 code[4] = { 0x0f, 0x01, 0xd0, 0x90 };

	for (unsigned n = 0; n < 5; n++) {
		c->mxcsr = n == 1 ? 0x1f00 : 0x1f80;
		c->v[3].q[1] = n == 2;
		c->v[15].q[3] = n == 3;
		c->pkru = n == 4;
		c->r[RCX] = 1;
		ck_assert_int_eq(run(code, 0, 0), -1);
		ck_assert_uint_eq(c->r[RAX], ((u64[]){ 0, 2, 2, 4, 0x200 })[n]);
		ck_assert_uint_eq(c->r[RDX], 0);
	}
	c->r[RCX] = 2;
	ck_assert_int_eq(run(code, 0, 0), VEC_GP);
}
END_TEST

/* Outside of 64-bit mode there are eight registers, here and in memory. */
START_TEST(eight_registers)
{
	c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_L) | SEG_DB;
	seg_update(c, CS);
	fill();
	ck_assert_int_eq(run((const u8[]){ 0x0f, 0xae, 0x27, 0x90 }, OUT, 6), -1);
	ck_assert_uint_eq(*out(XMM + 16 * 7), 0x17);
	ck_assert_uint_eq(*out(AREA_YMM + 16 * 7), 0x37);
	ck_assert(untouched(XMM + 128, HEADER) && untouched(AREA_YMM + 128, PKRU));
}
END_TEST

/* ---- restoring ---- */

START_TEST(round_trip)
{
	static const u8 *const save[] = { xsave, xsaveopt, xsavec, xsaves, xsaves }, *const restore[] = {
		xrstor, xrstor, xrstor, xrstor, xrstors
	};
	u64 rfbm = _i & 7 ? (u64)(_i & 7) | 0x200 : 0x207;
	unsigned how = (unsigned)_i >> 3;
	struct x87 x87;
	union vreg v[16];

	fill();
	memset(out(0), 0, SIZE);
	memcpy(v, c->v, sizeof v);
	x87 = c->x87;
	ck_assert_int_eq(run(save[how], OUT, rfbm), -1);
	for (unsigned i = 0; i < 16; i++)
		memset(&c->v[i], 0x77, 32);
	c->x87.cw = 0x37e;
	c->pkru = 0;
	ck_assert_int_eq(run(restore[how], OUT, ~(u64)0), -1);
	ck_assert_uint_eq(c->x87.cw, rfbm & 1 ? x87.cw : 0x37f);
	for (unsigned i = 0; i < 16; i++) { /* what the area does not hold is as at reset */
		ck_assert_uint_eq(c->v[i].q[1], rfbm & 2 ? v[i].q[1] : 0);
		ck_assert_uint_eq(c->v[i].q[3], rfbm & 4 ? v[i].q[3] : 0);
	}
	ck_assert_uint_eq(c->pkru, 0x50);
}
END_TEST

/* 13.8.1, 13.8.2, 13.12: what makes each of them refuse an area. */
START_TEST(refused)
{
	static const struct { u64 bv, layout, extra; unsigned extra_at; bool standard, xrstors; } all[] = {
		/* what must be zero, and where; does XRSTOR take it, does XRSTORS? */
		{ 0x207, 0, 0, 0, true, false },                              /* not compacted */
		{ 0x207, COMPACT | 0x207, 0, 0, true, true },
		{ 0x8, 0, 0, 0, false, false },                               /* not in XCR0 */
		{ 0, COMPACT | 8, 0, 0, false, false },
		{ 4, COMPACT | 3, 0, 0, false, false },                       /* not in XCOMP_BV */
		{ 0, 4, 0, 0, false, false },                                 /* XCOMP_BV without bit 63 */
		{ 0, 0, 1, HEADER + 16, false, false },                       /* 23-8 in the standard format */
		{ 0, 0, 1, HEADER + 24, true, false },
		{ 0, COMPACT, 1, HEADER + 16, false, false },                 /* 63-16 in the compacted one */
		{ 0, COMPACT, 1, HEADER + 56, false, false },
		{ 0, 0, 0x10000, MXCSR, false, false },                       /* MXCSR, with SSE or AVX asked for */
		{ 0, COMPACT, 0x10000, MXCSR, true, true },                   /* it is not looked at */
		{ 2, COMPACT | 2, 0x10000, MXCSR, false, false },
	};

	for (unsigned n = 0; n < ARRAY_LEN(all); n++)
		for (unsigned which = 0; which < 2; which++) {
			bool ok = which ? all[n].xrstors : all[n].standard;

			memset(image(0), 0, SIZE);
			put32(image(MXCSR), 0x1f80);
			put64(image(HEADER), all[n].bv);
			put64(image(LAYOUT), all[n].layout);
			if (all[n].extra_at)
				put32(image(all[n].extra_at), (u32)all[n].extra);
			c->v[0].q[0] = 99;
			ck_assert_msg(run(which ? xrstors : xrstor, IMAGE, ~(u64)0) == (ok ? -1 : VEC_GP),
				      "area %u, %s", n, which ? "xrstors" : "xrstor");
			ck_assert_uint_eq(c->v[0].q[0], ok ? 0 : 99);
		}
}
END_TEST

START_TEST(checks)
{
	static const u8 *const all[] = { xsave, xsaveopt, xsavec, xsaves, xrstor, xrstors };

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		bool supervisor = all[i] == xsaves || all[i] == xrstors;

		memset(image(0), 0, SIZE);
		put32(image(MXCSR), 0x1f80);
		put64(image(LAYOUT), all[i] == xrstors ? COMPACT : 0);
		for (unsigned off = 1; off < 64; off++)
			ck_assert_int_eq(run(all[i], IMAGE + off, 0), VEC_GP);
		ck_assert_int_eq(run(all[i], (u64)1 << 63, 0), VEC_GP);
		c->cpl = 3;
		update_mode(c);
		ck_assert_int_eq(run(all[i], IMAGE, 7), supervisor ? VEC_GP : -1);
		c->cpl = 0;
		c->cr0 |= CR0_TS;
		update_mode(c);
		ck_assert_int_eq(run(all[i], IMAGE, 0), VEC_NM);
		c->cr0 &= ~(u64)CR0_TS;
		c->cr4 &= ~(u64)CR4_OSXSAVE;
		update_mode(c);
		ck_assert_int_eq(run(all[i], IMAGE, 0), VEC_UD);
		c->cr4 |= CR4_OSXSAVE;
		update_mode(c);
	}
}
END_TEST

/* The second page is not writable: nothing is written to the first one. */
START_TEST(all_or_nothing)
{
	put64(ram->host + TABLES, 0x6000 | 7);
	put64(ram->host + 0x6000, 0x7000 | 7);
	for (unsigned i = 0; i < RAM_SIZE / PAGE_SIZE; i++)
		put64(ram->host + 0x7000 + 8 * i, (u64)i << PAGE_SHIFT | (i << PAGE_SHIFT == OUT + PAGE_SIZE ? 5 : 7));
	c->cr0 |= CR0_WP;
	tlb_flush(c, true);
	fill();
	for (unsigned i = 0; i < 4; i++) {
		const u8 *const all[] = { xsave, xsaveopt, xsavec, xsaves };
		unsigned at = PAGE_SIZE - 640; /* YMM crosses */

		memset(out(0), 0xee, 2 * PAGE_SIZE);
		ck_assert_int_eq(run(all[i], OUT + at, 7), VEC_PF);
		ck_assert_uint_eq(c->cr2, OUT + PAGE_SIZE);
		ck_assert(untouched(0, 2 * PAGE_SIZE));
		ck_assert_int_eq(run(all[i], OUT + at, 3), -1); /* which is not touched without it */
	}
	/* As at reset they are neither read nor written; but 13.13 lets the processor touch what is asked for, and the
	 * host's does. */
	put64(ram->host + 0x7000 + 8 * (OUT / PAGE_SIZE + 1), 0);
	vregs_clear(c, 16, 16);
	tlb_flush(c, true);
	for (unsigned i = 0; i < 4; i++) {
		const u8 *const all[] = { xsaveopt, xsavec, xrstor, xrstors };
		u64 layout = i == 3 ? COMPACT | 7 : 0;

		memset(out(PAGE_SIZE - 832), 0, 832);
		put64(out(PAGE_SIZE - 768 + LAYOUT), layout);
		ck_assert_int_eq(run(all[i], OUT + PAGE_SIZE - 768, 7), VEC_PF);
		ck_assert_uint_eq(c->cr2, OUT + PAGE_SIZE);
		ck_assert_int_eq(run(all[i], OUT + PAGE_SIZE - 768, 3), -1);
		put64(out(PAGE_SIZE - 832 + LAYOUT), layout);
		ck_assert_int_eq(run(all[i], OUT + PAGE_SIZE - 832, 7), -1);
	}
}
END_TEST

/* Legacy region and header must be inside the segment, if nothing of them is touched as well. */
START_TEST(inside_the_segment)
{
	static const u8 *const all[] = { xsave + 1, xsaveopt + 1, xsavec + 1, xrstor + 1 };

	c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_L) | SEG_DB;
	c->seg[DS].limit = IMAGE + 575;
	seg_update(c, CS);
	seg_update(c, DS);
	memset(image(0), 0, SIZE);
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		u8 code[4] = { 0x90 };

		memcpy(code + 1, all[i], 3);
		ck_assert_int_eq(run(code, IMAGE + 64, 0), -1); /* NOP */
		ck_assert_int_eq(cpu_run(c, c->icount + 1, ~(u64)0), CPU_EXCEPTION);
		ck_assert_uint_eq(c->fault.vector, VEC_GP);
		ck_assert_int_eq(run(code, IMAGE, 0), -1);
		ck_assert_int_eq(cpu_run(c, c->icount + 1, ~(u64)0), CPU_LIMIT);
	}
}
END_TEST

/* XCR0 (2.6) and IA32_XSS (13.3). */
START_TEST(registers)
{
	static const struct { u64 v; bool ok; } xcr0[] = {
		{ 1, true }, { 3, true }, { 7, true }, { 0x207, true }, { 0x201, true }, { 0, false }, { 2, false },
			{ 5, false }, { 9, false }, { 0x107, false },
		{ (u64)1 << 63 | 7, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(xcr0); i++) {
		c->r[RCX] = 0;
		ck_assert_int_eq(run((const u8[]){ 0x0f, 0x01, 0xd1, 0x90 }, 0, xcr0[i].v), xcr0[i].ok ? -1 : VEC_GP);
	}
	for (unsigned bit = 0; bit < 64; bit++)
		ck_assert(!write_msr(c, 0xda0, (u64)1 << bit));
	ck_assert(write_msr(c, 0xda0, 0));
}
END_TEST

/* CPUID leaf 0Dh (vol. 2): sizes and offsets are those of the above. */
START_TEST(leaf)
{
	u32 r[4];

	cpuid(c, 0xd, 0, r);
	ck_assert_uint_eq(r[0], 0x207);
	ck_assert_uint_eq(r[1], SIZE);
	ck_assert_uint_eq(r[2], SIZE);
	ck_assert_uint_eq(r[3], 0);
	cpuid(c, 0xd, 1, r);
	ck_assert_uint_eq(r[0], 0xf);
	ck_assert_uint_eq(r[1], 576 + 256 + 8);
	ck_assert_uint_eq(r[2] | r[3], 0);
	cpuid(c, 0xd, 2, r);
	ck_assert(r[0] == 256 && r[1] == AREA_YMM && !r[2] && !r[3]);
	cpuid(c, 0xd, 9, r);
	ck_assert(r[0] == 8 && r[1] == PKRU && !r[2] && !r[3]);
	cpuid(c, 0xd, 3, r);
	ck_assert(!r[0] && !r[1] && !r[2] && !r[3]);
	c->xcr0 = 3;
	cpuid(c, 0xd, 0, r);
	ck_assert_uint_eq(r[1], 576);
	ck_assert_uint_eq(r[2], SIZE);
}
END_TEST

/* ---- the host ---- */

#if defined __x86_64__ && defined __linux__
#include <cpuid.h>

static sigjmp_buf back;
static void on_signal(int number) { (void)number; siglongjmp(back, 1); }

static u64 seed = 1;
static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

#define CLOBBERS "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
	"xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
/* Restore BASE whole, then FROM, then save to TO, with these masks; the host's own state comes back behind it. */
#define HOST(save, base, from, restore_mask, to, save_mask) \
	__asm__ volatile("stmxcsr %[mxcsr]\n mov $7, %%eax\n xor %%edx, %%edx\n xrstor64 (%[b])\n mov %[rm], %%eax\n xrstor64 (%[f])\n" \
			 "mov $1, %%ecx\n xgetbv\n mov %%eax, %[xinuse]\n xor %%edx, %%edx\n mov %[sm], %%eax\n" save " (%[t])\n fninit\n vzeroall\n ldmxcsr %[mxcsr]" \
			 : [mxcsr] "+m"(mxcsr), [xinuse] "=m"(xinuse) : [b] "r"(base), [f] "r"(from), [t] "r"(to), \
			 	[rm] "m"(restore_mask), [sm] "m"(save_mask) \
			 : "rax", "rcx", "rdx", CLOBBERS)

static bool host_has(void)
{
	unsigned a, b, cx, d;

	return __builtin_cpu_supports("avx") && __get_cpuid_count(0xd, 1, &a, &b, &cx, &d) && (a & 7) == 7;
}

/* Without the x87's pointers: whether they are saved depends on the maker. */
static void random_area(u8 *p)
{
	u64 layout = rnd() & 7;

	for (unsigned i = 0; i < 832; i += 8)
		put64(p + i, rnd() % 8 ? rnd() : 0);
	memset(p, 0, 24);
	put16(p, 0x37f);
	p[4] = rnd() % 2 ? 0 : (u8)rnd();
	put64(p + 24, rnd() % 16 ? rnd() & 0xffff : rnd());
	memset(p + 512, 0, 64);
	put64(p + 512, rnd() & 7);
	if (rnd() % 2) {
		put64(p + 520, layout | COMPACT);
		if (rnd() % 8)
			put64(p + 512, layout & rnd());
	}
	if (rnd() % 16 == 0)
		p[512 + rnd() % 64] |= 0x10; /* component 4 is nobody's, now */
	for (unsigned i = 0; i < 3; i++) /* as at reset */
		if (rnd() % 4 == 0)
			memset(p + (unsigned[]){ 32, XMM, AREA_YMM }[i], 0, (unsigned[]){ 128, 256, 256 }[i]);
	if (rnd() % 4 == 0)
		put64(p + 24, 0x1f80);
}

START_TEST(as_the_host)
{
	static _Alignas(64) u8 base[832], from[832], to[832];
	static const u8 *const save[] = { xsave, xsaveopt, xsavec };
	struct sigaction action = { .sa_handler = on_signal };
	volatile unsigned same = 0, faults = 0;

	if (!host_has())
		return;
	sigaction(SIGSEGV, &action, NULL);
	bare_free();
	build("max,-pku");
	c->xcr0 = 7;
	for (unsigned n = 0; n < 6000; n++) {
		volatile unsigned how = n % 3;
		volatile bool host_faults = false;
		u32 mxcsr, xinuse = 0, restore_mask = (u32)rnd() & 7, save_mask = (u32)rnd() & 7;
		u64 host_bv, bv;

		random_area(base);
		memset(base + 512, 0, 64);
		base[512] = 7;
		put64(base + 24, rnd() & 0xffff);
		random_area(from);
		memset(to, 0xa5, sizeof to);
		memset(to + 512, 0, 8);
		memcpy(ram->host + IMAGE, from, sizeof from);
		memcpy(ram->host + OUT, base, sizeof base);
		ck_assert_int_eq(run(xrstor, OUT, 7), -1);
		memcpy(ram->host + OUT, to, sizeof to);
		if (sigsetjmp(back, 1)) {
			host_faults = true;
			__asm__ volatile("fninit\n vzeroall\n ldmxcsr %0" : : "m"((u32){ 0x1f80 }));
		} else if (how == 0) {
			HOST("xsave64", base, from, restore_mask, to, save_mask);
		} else if (how == 1) {
			HOST("xsaveopt64", base, from, restore_mask, to, save_mask);
		} else {
			HOST("xsavec64", base, from, restore_mask, to, save_mask);
		}
		faults += host_faults;
		ck_assert_int_eq(run(xrstor, IMAGE, restore_mask), host_faults ? VEC_GP : -1);
		if (host_faults)
			continue;
		c->r[RCX] = 1;
		ck_assert_int_eq(run((const u8[]){ 0x0f, 0x01, 0xd0, 0x90 }, 0, 0), -1);
		ck_assert_msg(!(c->r[RAX] & ~(u64)xinuse), "XINUSE %x, here %llx", xinuse,
			      (unsigned long long)c->r[RAX]);
		ck_assert_int_eq(run(save[how], OUT, save_mask), -1);
		host_bv = get64(to + HEADER);
		bv = get64(out(HEADER));
		ck_assert_msg(!(bv & ~host_bv), "XSTATE_BV %llx, here %llx", (unsigned long long)host_bv,
			      (unsigned long long)bv);
		if (bv != host_bv) /* silicon may call a component used that is not; the other way round never */
			continue;
		same++;
		for (unsigned i = 0; i < sizeof to; i++)
			ck_assert_msg(to[i] == *out(i) || makers_image(c->model, i),
				      "save %u, masks %x %x, byte %u: %02x, here %02x", how, restore_mask, save_mask, i,
				      to[i], *out(i));
	}
	ck_assert_uint_gt(same, 2000);
	ck_assert_uint_gt(faults, 100);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("xsave");
	TCase *t = tcase_create("xsave");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, standard);
	tcase_add_test(t, compacted);
	tcase_add_test(t, initial);
	tcase_add_test(t, xgetbv);
	tcase_add_test(t, eight_registers);
	tcase_add_loop_test(t, round_trip, 0, 5 * 8);
	tcase_add_test(t, refused);
	tcase_add_test(t, checks);
	tcase_add_test(t, all_or_nothing);
	tcase_add_test(t, inside_the_segment);
	tcase_add_test(t, registers);
	tcase_add_test(t, leaf);
#if defined __x86_64__ && defined __linux__
	tcase_add_test(t, as_the_host);
#endif
	suite_add_tcase(s, t);
	return bare_run(s);
}
