/* SPDX-License-Identifier: MIT */
/* A bare processor in any mode and ring, with every table that the manual's pseudo-code looks at: for tests that take
 * its checks one by one.
 *
 * Everything lies in the first 64 KBytes, identity-mapped and dirty where there is paging. Every ring has a code and a
 * data segment of each size, flat (16-bit ones: of 64 KBytes), and a stack in the TSS; SLOT, SLOT2, SLOT3 and SYSTEM
 * are for the test, 16 bytes each; FAR_SLOT is one in the LDT. Gates of the IDT lead to handler_of(vector), which
 * halts; the IDT has no limit until a test gives it one, so that a fault ends the run where it is. */
#ifndef TESTS_MODES_H
#define TESTS_MODES_H

#include <stdarg.h>
#include <stdio.h>
#include "cpu/system/system.h"
#include "tests/unit/bare.h"

enum { IVT = 0, GDT = 0x1000, LDT_AT = 0x1400, IDT = 0x2000 /* up to 2500h */, TSS_AT = 0x3000, TSS2_AT = 0x3200,
	TSS3_AT = 0x3400, DATA = 0x5000,
       CODE = 0x8000, HANDLER = 0x9000, STACK = 0xa800, STACK0 = 0xb000 /* and of ring n, 400h n above */,
       PML4 = 0xd000, RAM_SIZE = 0x10000 };

/* Selectors: of ring N, with that RPL. */
#define CODE32(n) ((0x08 + 8 * (n)) | (n))
#define DATA32(n) ((0x28 + 8 * (n)) | (n))
#define CODE16(n) ((0x48 + 8 * (n)) | (n))
#define DATA16(n) ((0x68 + 8 * (n)) | (n))
#define CODE64(n) ((0x88 + 8 * (n)) | (n))
enum { TASK = 0xa8, SLOT = 0xb8, SLOT2 = 0xc8, SLOT3 = 0xd8, SYSTEM = 0xe8, LDT_SEL = 0xf8, GDT_END = 0x108,
	BEYOND = GDT_END, FAR_SLOT = 0x10 | 4, LDT_END = 0x20 };
static inline u32 ring_stack(unsigned n) { return STACK0 + 0x400 * n; }
static inline u32 handler_of(unsigned vector) { return HANDLER + 16 * vector; }
enum { VECTORS = 0x50 };

enum mode { REAL, V86, P16, P32, C16, C32, LONG, MODE_COUNT };
static const char *const mode_names[] = { "real", "v86", "16-bit protected", "32-bit protected", "16-bit compatibility",
	"32-bit compatibility", "64-bit" };
static inline bool is_long(enum mode m) { return m >= C16; }
static inline bool is_16(enum mode m) { return m == REAL || m == V86 || m == P16 || m == C16; }
/* Bytes of an operand without prefix. */
static inline unsigned word_of(enum mode m) { return is_16(m) ? 2 : 4; }
/* ModRM.rm of [BX], [EBX] or [RBX]. */
static inline u8 rm_bx(enum mode m) { return is_16(m) ? 7 : 3; }

/* ---- memory ---- */

static inline void poke(u64 at, const void *bytes, unsigned len) { space_poke(&mem, at, bytes, len); }
static inline void poke8(u64 at, u8 v) { poke(at, &v, 1); }
static inline void poke16(u64 at, u16 v) { poke(at, &v, 2); }
static inline void poke32(u64 at, u32 v) { poke(at, &v, 4); }
static inline void poke64(u64 at, u64 v) { poke(at, &v, 8); }
static inline u64 peek(u64 at, unsigned size) { return get_size(ram->host + at, size); }
#define POKE(at, ...) poke(at, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* A segment descriptor: ACCESS is byte 5, FLAGS the upper half of byte 6 (SDM vol. 3, figure 3-8). */
static inline u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
		(u64)flags << 52 |
	       (u64)(base >> 24) << 56;
}
/* A gate: ACCESS is byte 5, COUNT the parameters or the IST. */
static inline u64 gate(u16 sel, u32 offset, unsigned access, unsigned count)
{
	return (offset & 0xffff) | (u64)sel << 16 | (u64)count << 32 | (u64)access << 40 | (u64)(offset >> 16) << 48;
}
static inline u64 descriptor_at(u16 sel) { return (sel & 4 ? LDT_AT : GDT) + (sel & 0xfff8); }
static inline void set_descriptor(u16 sel, u64 d) { poke64(descriptor_at(sel), d); }
static inline unsigned access_of(u16 sel) { return peek(descriptor_at(sel) + 5, 1); }
/* Entry of the IDT, whose size the mode says. */
static inline void set_gate(unsigned vector, u64 g)
{
	if (in_long(c)) {
		poke64(IDT + 16 * vector, g);
		poke64(IDT + 16 * vector + 8, 0);
	} else {
		poke64(IDT + 8 * vector, g);
	}
}

/* ---- states ---- */

static u8 images[MODE_COUNT][RAM_SIZE], *image; /* memory at the start of a case */

static void image_segments(void)
{
	for (unsigned n = 0; n < 4; n++) {
		unsigned dpl = n << 5;

		put64(image + GDT + (CODE32(n) & 0xfff8), descriptor(0, 0xfffff, 0x9b | dpl, 0xc));
		put64(image + GDT + (DATA32(n) & 0xfff8), descriptor(0, 0xfffff, 0x93 | dpl, 0xc));
		put64(image + GDT + (CODE16(n) & 0xfff8), descriptor(0, 0xffff, 0x9b | dpl, 0));
		put64(image + GDT + (DATA16(n) & 0xfff8), descriptor(0, 0xffff, 0x93 | dpl, 0));
		put64(image + GDT + (CODE64(n) & 0xfff8), descriptor(0, 0xfffff, 0x9b | dpl, 0xa));
	}
	put64(image + GDT + TASK, descriptor(TSS_AT, 0x1ff, 0x8b, 0));
	put64(image + GDT + LDT_SEL, descriptor(LDT_AT, LDT_END - 1, 0x82, 0));
}

static void image_tables(enum mode m)
{
	bool lm = is_long(m);

	image = images[m];
	if (image[CODE])
		return;
	image_segments();
	memset(image + CODE, 0xf4, 0x100);
	put16(image + TSS_AT + 102, 0x88); /* I/O map, and below it the interrupt redirection map */
	image[TSS_AT + 0x88 + 0x100] = 0xff;
	for (unsigned n = 0; n < 3; n++) {
		if (lm) {
			put64(image + TSS_AT + 4 + 8 * n, ring_stack(n));
		} else {
			put32(image + TSS_AT + 4 + 8 * n, ring_stack(n));
			put16(image + TSS_AT + 8 + 8 * n, m == P16 ? DATA16(n) : DATA32(n));
		}
	}
	for (unsigned v = 0; v < VECTORS; v++) {
		if (lm)
			put64(image + IDT + 16 * v, gate(CODE64(0), handler_of(v), 0xee, 0));
		else
			put64(image + IDT + 8 * v, gate(CODE32(0), handler_of(v), 0xee, 0));
		put16(image + IVT + 4 * v, handler_of(v));
	}
	memset(image + HANDLER, 0xf4, 16 * VECTORS);
	put64(image + PML4, (PML4 + 0x1000) | 0x67);
	put64(image + PML4 + 0x1000, 0xe7); /* 1 GByte, for users too */
}

static void settle(void)
{
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
	tlb_flush(c, true);
}

static void load_seg(unsigned reg, u16 sel) { descriptor_to_seg(&c->seg[reg], sel, peek(descriptor_at(sel), 8)); }

static inline u16 code_of(enum mode m, unsigned n)
{
	return m == LONG ? CODE64(n) : m == P32 || m == C32 ? CODE32(n) : CODE16(n);
}
static inline u16 data_of(enum mode m, unsigned n) { return m == P32 || m == C32 || m == LONG ? DATA32(n) : DATA16(n); }

/* In MODE and ring CPL (V86: 3) at CODE. Change what you want; registers behind the processor's back want settle(). */
static void enter(enum mode m, unsigned cpl)
{
	u64 icount = c->icount;

	image_tables(m);
	for (unsigned page = 0; page < RAM_SIZE; page += 256)
		if (memcmp(ram->host + page, image + page, 256))
			poke(page, image + page, 256);
	cpu_reset(c, false);
	c->icount = icount;
	memset(c->chain, 0, sizeof c->chain);
	c->gdtr.base = GDT;
	c->gdtr.limit = GDT_END - 1;
	c->idtr.base = m == REAL ? IVT : IDT;
	c->idtr.limit = 0;
	c->cr4 = CR4_OSFXSR;
	c->r[RIP] = CODE;
	c->r[RSP] = STACK;
	if (m == REAL) {
		for (unsigned i = ES; i <= GS; i++)
			seg_load_real(c, i, 0);
		settle();
		return;
	}
	c->cr0 = CR0_PE | CR0_ET | CR0_NE;
	descriptor_to_seg(&c->seg[TR], TASK, peek(GDT + TASK, 8));
	descriptor_to_seg(&c->seg[LDTR], LDT_SEL, peek(GDT + LDT_SEL, 8));
	if (is_long(m)) {
		c->cr3 = PML4;
		c->cr4 |= CR4_PAE;
		c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
		c->cr0 |= CR0_PG;
	}
	c->cpl = (u8)(m == V86 ? 3 : cpl);
	if (m == V86)
		c->eflags |= FL_VM;
	for (unsigned i = ES; i <= GS; i++) {
		if (m == V86)
			seg_load_real(c, i, 0);
		else
			load_seg(i, i == CS ? code_of(m, cpl) : data_of(m, cpl));
	}
	settle();
}

/* With an IDT. */
static inline void with_idt(void) { c->idtr.limit = (u16)(VECTORS * (in_long(c) ? 16 : c->cr0 & CR0_PE ? 8 : 4) - 1); }

static inline void modes_setup(void) { bare_new("max", RAM_SIZE); }

/* Of MODEL, in 64-bit code at CPL, where the system has enabled the components XCR0 of XSAVE. */
static inline void vectors_setup(const char *name, u64 ram_size, unsigned cpl, u64 xcr0)
{
	bare_new(name, ram_size);
	enter(LONG, cpl);
	c->cr4 |= CR4_OSXSAVE;
	c->xcr0 = xcr0;
	settle();
}

/* The stack that a ring 0 of a 32-bit TSS may have (vol. 3, 5.8.5): the TSS must have it, #TS(TSS); the segment must be
 * a writable one of the new ring, #TS(SS), and be there, #SS(SS); what does not fit is #SS(SS). ROOM: words more than
 * are needed. */
static const struct stack_row { u16 ss; u8 access; u16 tss_limit; int room; int vector; u16 error; } stack_rows[] = {
	{ SLOT2, 0x93, 0x67, 0, -1, 0 }, { SLOT2, 0x93, 9, 0, -1, 0 }, { SLOT2, 0x93, 8, 0, VEC_TS, TASK },
		{ 0, 0, 0x67, 0, VEC_TS, 0 }, { 3, 0, 0x67, 0, VEC_TS, 0 },
	{ BEYOND, 0, 0x67, 0, VEC_TS, BEYOND }, { SLOT2 | 3, 0x93, 0x67, 0, VEC_TS, SLOT2 },
		{ SLOT2, 0xf3, 0x67, 0, VEC_TS, SLOT2 }, { SLOT2, 0xb3, 0x67, 0, VEC_TS, SLOT2 },
	{ SLOT2, 0x91, 0x67, 0, VEC_TS, SLOT2 }, { SLOT2, 0x9b, 0x67, 0, VEC_TS, SLOT2 },
		{ SLOT2, 0x83, 0x67, 0, VEC_TS, SLOT2 }, { SLOT2, 0x13, 0x67, 0, VEC_SS, SLOT2 },
	{ SLOT2 | 3, 0x13, 0x67, 0, VEC_TS, SLOT2 }, { SLOT2, 0x93, 0x67, -1, VEC_SS, SLOT2 },
		{ SLOT2, 0x93, 0x67, -4, VEC_SS, SLOT2 }, { SLOT2, 0x97, 0x67, 0, -1, 0 },
};
enum { INNER = DATA + 0x300 };
static inline void set_inner_stack(const struct stack_row *r, unsigned words, unsigned size)
{
	unsigned below = (words - (r->room < 0 ? (unsigned)-r->room : 0)) * size; /* bytes that are inside */

	if (r->access & 4 && r->access & 0x10) /* expand-down: the limit lies below */
		set_descriptor(SLOT2, descriptor(0, INNER - below - 1, r->access, 4));
	else if (r->access) /* the upper ones are beyond the limit */
		set_descriptor(SLOT2, descriptor(0, INNER - words * size + below - 1, r->access, 4));
	poke16(TSS_AT + 8, r->ss);
	poke32(TSS_AT + 4, INNER);
	c->seg[TR].limit = r->tss_limit;
}

/* ---- one instruction ---- */

static char what[160]; /* the case, for messages */
static inline void name_case(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
}

enum { RETIRED = -1 };

/* What the next instruction does: RETIRED, or the vector of its fault, c->fault. Then nothing else has changed but CR2.
 * */
static inline int outcome(void)
{
	static u8 before[RAM_SIZE];
	u64 was, cr2 = c->cr2;
	enum cpu_stop stop;

	memcpy(before, ram->host, RAM_SIZE);
	was = bare_state();
	stop = cpu_run(c, c->icount + 1, CLOCK_NEVER);
	if (stop != CPU_EXCEPTION) {
		ck_assert_msg(stop == CPU_LIMIT, "%s: stop %d", what, stop);
		return RETIRED;
	}
	if (c->fault.vector == VEC_PF)
		c->cr2 = cr2;
	ck_assert_msg(bare_state() == was, "%s: fault %u(%x) has changed a register", what, c->fault.vector,
		      c->fault.error);
	for (unsigned i = 0; memcmp(before, ram->host, RAM_SIZE) && i < RAM_SIZE; i++)
		ck_assert_msg(before[i] == ram->host[i], "%s: fault %u(%x) has changed memory at %x", what,
			      c->fault.vector, c->fault.error, i);
	return c->fault.vector;
}

/* The outcome must be VECTOR with ERROR (0 where there is none). */
static inline void expect(int vector, u32 error)
{
	int got = outcome();

	ck_assert_msg(got == vector && (vector == RETIRED || c->fault.error == error), "%s: %d(%x), not %d(%x)", what,
		got, got == RETIRED ? 0 : c->fault.error,
		      vector, error);
}
/* Run until a handler has halted; its vector. -1: shut down. */
static inline int taken(void)
{
	enum cpu_stop stop = cpu_run(c, c->icount + 100, CLOCK_NEVER);

	if (stop == CPU_TRIPLE_FAULT)
		return -1;
	ck_assert_msg(stop == CPU_IDLE && c->r[RIP] > HANDLER && c->r[RIP] <= handler_of(VECTORS),
		      "%s: stop %d at %llx", what, stop, (unsigned long long)c->r[RIP]);
	return (int)((c->r[RIP] - 1 - HANDLER) / 16);
}
/* The N-th fault that came before that. */
#define FAULT(n, v, e) \
	ck_assert_msg(c->chain_len > (n) && c->chain[n].vector == (v) && c->chain[n].error == (u32)(e), \
		"%s: fault %u of %u is %u(%x), not %u(%x)", what, n, \
		      c->chain_len, c->chain[n].vector, c->chain[n].error, v, (u32)(e))
#define EQ(a, b) ck_assert_msg((u64)(a) == (u64)(b), "%s: " #a " is %llx, not %llx", what, (unsigned long long)(a), \
	(unsigned long long)(b))

#endif
