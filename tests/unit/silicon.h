/* SPDX-License-Identifier: MIT */
/* Instructions with XMM and YMM registers here and on the host's own processor (tests/silicon/host.h), from the same
 * state. The operands lie at the end of a page, behind which nothing is mapped. Where the host cannot be asked,
 * host_works is false and *host_why says why. */
#ifndef TESTS_SILICON_H
#define TESTS_SILICON_H

#include <stdio.h>
#if defined __x86_64__ && defined __linux__
#include <cpuid.h>
#include <sys/mman.h>
#endif
#include "cpu/insn/vector/vector.h"
#include "cpu/x87.h"
#include "tests/silicon/makers.h"
#include "tests/unit/bare.h"

/* ---- the guest: 64-bit mode, 2 MiB mapped where they are ---- */

enum { CODE = 0x1000, PML4 = 0x10000, RAM_SIZE = 0x200000, DATA_SIZE = 256, DATA = RAM_SIZE - DATA_SIZE };

#if defined __x86_64__ && defined __linux__
static inline bool host_has(enum feature f)
{
	static const struct { u32 leaf, sub; u8 reg, bit; } bits[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = { leaf, sub, reg, bit },
		FEATURES(X)
#undef X
	};
	u32 r[4] = { 0 };

	return bits[f].leaf && __get_cpuid_count(bits[f].leaf, bits[f].sub, &r[0], &r[1], &r[2], &r[3]) &&
	       r[bits[f].reg] >> bits[f].bit & 1;
}

#else
static inline bool host_has(enum feature f) { (void)f; return false; }
#endif

static inline void make_guest(void)
{
	char spec[40];

	snprintf(spec, sizeof spec, "max%s%s", host_has(F_SSE4A) ? ",+sse4a" : "",
		 host_has(F_AVX_VNNI) ? ",+avxvnni" : "");
	bare_new(spec, RAM_SIZE);
	put64(ram->host + PML4, (PML4 + 0x1000) | 0x63);
	put64(ram->host + PML4 + 0x1000, (PML4 + 0x2000) | 0x63);
	put64(ram->host + PML4 + 0x2000, 0xe3); /* 2 MiB */
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 7;
	c->efer = EFER_LME | EFER_LMA;
	c->cr0 = CR0_PG | CR0_PE | CR0_NE | CR0_MP;
	for (unsigned i = ES; i <= GS; i++) {
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .attr = SEG_A | SEG_W | SEG_S | SEG_P | SEG_G |
						  (i == CS ? SEG_CODE | SEG_L : SEG_DB) };
		seg_update(c, i);
	}
	c->idtr.limit = 0;
	update_mode(c);
	c->attn = 0;
}

/* ---- states ---- */

union ymm { u8 b[32]; u32 d[8]; u64 q[4]; float f[8]; };

struct vec_state {
	u64 r[16], flags;
	union ymm ymm[16];
	u32 mxcsr;
	u16 cw, sw;
	u8 tags, st[8][10]; /* tags: bit n set = physical register n is not empty; st: from the top of the stack */
	u8 data[DATA_SIZE];
	bool d;        /* FL_D */
	int exception; /* vector, or -1 */
};

/* COUNT instructions. */
static inline void guest_steps(const u8 *code, unsigned len, struct vec_state *s, unsigned count)
{
	static u8 last[16];
	enum cpu_stop stop;

	if (memcmp(last, code, len)) {
		memcpy(last, code, len);
		space_write_block(&mem, CODE, code, len);
	}
	memcpy(c->r, s->r, sizeof s->r);
	c->r[RIP] = CODE;
	cpu_set_arith(c, (u32)s->flags);
	c->eflags = FL_1 | (s->d ? FL_D : 0);
	for (unsigned i = 0; i < 16; i++)
		memcpy(&c->v[i], s->ymm[i].b, 32);
	c->mxcsr = s->mxcsr;
	c->x87.cw = s->cw;
	c->x87.valid = s->tags;
	x87_set_status(c, s->sw);
	for (unsigned i = 0; i < 8; i++)
		x87_set_reg(c, i, s->st[i]);
	space_write_block(&mem, DATA, s->data, sizeof s->data);
	c->activity = ACTIVITY_RUN;
	if (c->icount & 1)
		sse_begin(c); /* the state in which all but the first floating-point instruction run */
	stop = cpu_run(c, c->icount + count, ~(u64)0);
	s->exception = stop == CPU_EXCEPTION ? c->fault.vector : -1;
	if (stop == CPU_EXCEPTION)
		ck_assert_uint_eq(c->r[RIP], CODE);
	memcpy(s->r, c->r, sizeof s->r);
	s->flags = cpu_flags(c) & OSZAPC;
	for (unsigned i = 0; i < 16; i++)
		memcpy(s->ymm[i].b, &c->v[i], 32);
	s->mxcsr = c->mxcsr;
	s->cw = c->x87.cw;
	s->sw = x87_status(c);
	s->tags = c->x87.valid;
	for (unsigned i = 0; i < 8; i++)
		x87_get_reg(c, i, s->st[i]);
	space_read_block(&mem, DATA, s->data, sizeof s->data);
}
static inline void guest_step(const u8 *code, unsigned len, struct vec_state *s) { guest_steps(code, len, s, 1); }

/* ---- the host ---- */

#if defined __x86_64__ && defined __linux__

static bool host_works;
static const char *host_why;
static u8 *page; /* executable, below 4 GiB; the data is at the end of the second page, and the third is not there */

static void make_host(void)
{
	host_works = host_init(&host_why);
	page = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		    -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mprotect(page + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
}

static u64 host_data(void) { return (uintptr_t)page + 2 * PAGE_SIZE - DATA_SIZE; }

static void host_step(const u8 *code, unsigned len, struct vec_state *s)
{
	u8 *data = (u8 *)(uintptr_t)host_data();
	struct state h;

	memcpy(page, code, len);
	page[len] = 0xcc;
	do { /* again, if that took too long, which is somebody else's fault */
		memset(&h, 0, sizeof h);
		memcpy(h.r, s->r, sizeof h.r);
		h.rip = (uintptr_t)page;
		h.flags = (s->flags & OSZAPC) | FL_1 | FL_I | (s->d ? FL_D : 0);
		h.seg[CS] = USER_CS;
		h.seg[SS] = USER_DS;
		h.f.cw = s->cw;
		h.f.sw = s->sw;
		h.f.tags = s->tags;
		for (unsigned i = 0; i < 8; i++)
			memcpy(h.f.st[i], s->st[i], 10);
		h.f.mxcsr = s->mxcsr;
		for (unsigned i = 0; i < 16; i++) {
			memcpy(h.f.xmm[i], s->ymm[i].b, 16);
			memcpy(h.f.ymm_high[i], s->ymm[i].b + 16, 16);
		}
		memcpy(data, s->data, sizeof s->data);
		host_run(&h);
	} while (h.vector == HOST_TIMEOUT);
	s->exception = h.vector == VEC_BP ? -1 : h.vector;
	memcpy(s->r, h.r, sizeof h.r);
	s->flags = h.flags & OSZAPC;
	s->mxcsr = h.f.mxcsr;
	s->cw = h.f.cw;
	s->sw = h.f.sw;
	s->tags = h.f.tags;
	for (unsigned i = 0; i < 8; i++)
		memcpy(s->st[i], h.f.st[i], 10);
	for (unsigned i = 0; i < 16; i++) {
		memcpy(s->ymm[i].b, h.f.xmm[i], 16);
		memcpy(s->ymm[i].b + 16, h.f.ymm_high[i], 16);
	}
	memcpy(s->data, data, sizeof s->data);
}

#endif

/* What the maker of the host does not do as that of the model (tests/silicon/makers.h), and is stepped over. */
static inline bool makers_differ(const struct insn *row, const struct vec_state *host, const struct vec_state *guest)
{
	const char *name = row->mnemonic;

	if (host_same_maker(c->model))
		return false;
	return strstr(name, "dpp") /* DIFF_DP_NAN */ ||
		(strstr(name, "ldmxcsr") && host->mxcsr & 1 << 17) /* DIFF_MXCSR_MM */ ||
	       (!strcmp(name, "vcvtps2ph") && host->exception >= 0) /* DIFF_PS2PH */ ||
	       (row->vsib && host->exception >= 0) /* DIFF_GATHER_FAULT */ ||
	       (row->since == F_SHA && guest->exception == VEC_GP) /* DIFF_SHA_ALIGNMENT */;
}

/* ---- operands ---- */

static u64 seed = 1;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

static const u32 edges32[] = {
	0, 1, 0x3f800000, 0x3f000000, 0x3fc00000, 0x40200000, 0x7f800000, 0x7f7fffff, 0x00800000, 0x007fffff,
		0x7fc00001, 0x7f800001, 0x7fffffff,
	0x4f000000, 0x4effffff, 0x5f000000, 0x4b000000, 0x4affffff, 0x3effffff, 0x00000002, 0x20000000, 0x1fffffff,
	0x7e800000,
	0x477fe000, 0x477fefff, 0x477ff000, 0x38800000, 0x387fffff, 0x387fe000, 0x33800000, 0x33000000, 0x33000001,
	0x387ff000, 0x20000001, 0x1f800000,
};

static const u64 edges64[] = {
	0, 1, 0x3ff0000000000000, 0x3fe0000000000000, 0x3ff8000000000000, 0x4004000000000000, 0x7ff0000000000000,
		0x7fefffffffffffff,
	0x0010000000000000, 0x000fffffffffffff, 0x7ff8000000000001, 0x7ff0000000000001, 0x41e0000000000000,
	0x41dfffffffc00000,
	0x41dfffffffffffff, 0x43e0000000000000, 0x43dfffffffffffff, 0x4330000000000000, 0x432fffffffffffff,
	0x3fdfffffffffffff,
	0x47efffffe0000000, 0x47effffff0000000, 0x3810000000000000, 0x380fffffffffffff, 0x36a0000000000000,
	0x3690000000000000, 0x2000000000000000,
	0x1ff8000000000000, 0x1e60000000000001,
};

static u32 number32(void)
{
	switch (rnd() % 4) {
	case 0: return edges32[rnd() % ARRAY_LEN(edges32)] | (u32)(rnd() << 31);
	case 1: return (u32)rnd();
	case 2: return (u32)(edges32[rnd() % ARRAY_LEN(edges32)] + rnd() % 5 - 2) ^ (u32)(rnd() << 31);
	default: return (u32)((0x70 + rnd() % 0x30) << 23 | (rnd() & 0x807fffff));
	}
}

static u64 number64(void)
{
	switch (rnd() % 4) {
	case 0: return edges64[rnd() % ARRAY_LEN(edges64)] | rnd() << 63;
	case 1: return rnd();
	case 2: return (edges64[rnd() % ARRAY_LEN(edges64)] + rnd() % 5 - 2) ^ rnd() << 63;
	default: return (u64)(0x3e0 + rnd() % 0x60) << 52 | (rnd() & 0x800fffffffffffff);
	}
}

static void fill16(void *p)
{
	unsigned kind = rnd() % 9;

	for (unsigned i = 0; i < 2; i++) {
		u64 v = kind < 3 ? (u64)number32() << 32 | number32() : kind < 6 ? number64() : rnd();

		if (kind == 7)
			v &= rnd() & rnd() & 0x0707070707070707; /* small numbers, ends of strings */
		if (kind == 8)
			v = (rnd() % 80) << 32 | rnd() % 80; /* counts */
		put64((u8 *)p + 8 * i, v);
	}
}

static inline void random_state(struct vec_state *s, bool fp)
{
	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < 16; i++) {
		fill16(s->ymm[i].b);
		fill16(s->ymm[i].b + 16);
	}
	if (rnd() % 4 == 0)
		s->ymm[3] = s->ymm[2];
	if (rnd() % 8 == 0) { /* numbers that cancel */
		for (unsigned i = 0; i < 8; i++)
			s->ymm[1].d[i] = s->ymm[2].d[i] ^ (u32)(rnd() << 31) ^ (u32)(rnd() & 1);
	}
	for (unsigned i = 0; i < sizeof s->data; i += 16)
		fill16(s->data + i);
	for (unsigned i = 0; i < 8; i++)
		s->r[i] = rnd() % 4 ? rnd() : rnd() % 40 - 20;
	s->flags = 2 | (rnd() & OSZAPC);
	s->mxcsr = 0x1f80;
	s->cw = 0x37f;
	if (fp) {
		s->mxcsr |= rnd() & 0xe07f & (rnd() % 2 ? ~(u64)0 : 0xe040);
		if (rnd() % 4 == 0)
			s->mxcsr &= (u32)rnd() | ~0x1f80u;
	}
}

/* How the r/m operand is given: another register, the same for all operands, registers 9-11; [RDI], [RSI + RBP * 2 +
 * 8], [EDI], an odd address, and one so near the end of the page that not all of it is there. */
enum shape { SHAPE_REG, SHAPE_SAME, SHAPE_HIGH, SHAPE_BASE, SHAPE_INDEX, SHAPE_SEG, SHAPE_UNALIGNED, SHAPE_EDGE,
	SHAPES };

static inline void show(const char *who, const struct vec_state *s, char *out, size_t room)
{
	int n = snprintf(out, room, "%s: exception %d mxcsr %04x flags %03lx rcx %016lx rdx %016lx", who, s->exception,
		s->mxcsr, (unsigned long)s->flags,
			 (unsigned long)s->r[RCX], (unsigned long)s->r[RDX]);

	n += snprintf(out + n, room - (size_t)n, " cw %04x sw %04x tags %02x", s->cw, s->sw, s->tags);
	for (unsigned i = 0; i < 5; i++)
		n += snprintf(out + n, room - (size_t)n, "\n  ymm%u %016lx%016lx%016lx%016lx", i,
			      (unsigned long)s->ymm[i].q[3], (unsigned long)s->ymm[i].q[2],
			      (unsigned long)s->ymm[i].q[1], (unsigned long)s->ymm[i].q[0]);
}

#endif
