/* SPDX-License-Identifier: MIT */
/* Any row of the instruction table, run once on a bare processor in a chosen mode: for the tests that compare the
 * table's columns with what happens. The machine has 64 KiB, tables for every kind of descriptor, and a state that
 * sample() makes anew each time. */
#ifndef TESTS_ROWS_H
#define TESTS_ROWS_H

#include "cpu/op.h"
#include "tests/unit/bare.h"
#include "tests/unit/random.h"

enum { GDT = 0x1000, GDT_COPY = 0x1400, LDT_AT = 0x1800, IDT = 0x2000, IDT_COPY = 0x2800, TSS_AT = 0x3000,
	TSS2_AT = 0x3400, DATA = 0x5000, CODE = 0x8000,
       TARGET = 0x9000, STACK = 0xa800, STACK0 = 0xb800, PML4 = 0xc000, RAM_SIZE = 0x10000 };
/* SYSENTER wants the first four in this order. */
enum { S_CODE0 = 0x08, S_DATA0 = 0x10, S_CODE3 = 0x18, S_DATA3 = 0x20, S_TASK = 0x28 /* 16 bytes */, S_SLOT = 0x38,
	S_TASK2 = 0x40, S_GATE = 0x48, S_CODE64 = 0x50,
       S_CODE64_3 = 0x58, S_CONFORMING = 0x60, S_LDT = 0x68, S_LDT_HIGH = 0x70, S_CODE3B = 0x78, S_DATA3B = 0x80,
       S_DATA0B = 0x88, S_CODE0B = 0x90, S_CODE1 = 0x98, S_DATA1 = 0xa0, S_CODE2 = 0xa8, S_DATA2 = 0xb0,
       S_CODE64_1 = 0xb8, S_CODE64_2 = 0xc0, S_END = 0xc8 };

static u8 head[offsetof(struct cpu, blocks)]; /* the processor after RESET: everything before its caches */
static u8 wanted[RAM_SIZE];                   /* what sample() wants in memory */

static unsigned below(unsigned n) { return (unsigned)(rnd() >> 33) % n; }

/* A segment descriptor: ACCESS is byte 5, FLAGS the upper half of byte 6 (SDM vol. 3, figure 3-8). */
static u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
		(u64)flags << 52 |
	       (u64)(base >> 24) << 56;
}
static u64 gate(u16 sel, u32 offset, unsigned access)
{
	return (offset & 0xffff) | (u64)sel << 16 | (u64)access << 40 | (u64)(offset >> 16) << 48;
}

static void build(void)
{
	ck_assert(model_parse(&model, "max", NULL));
	memset(model.features, 0xff, sizeof model.features);
	model.features[F_KVM >> 6] &= ~((u64)1 << (F_KVM & 63)); /* VMCALL is the processor's own */
	bare_make(RAM_SIZE);
	memcpy(head, c, sizeof head);
}

/* Registers as after RESET, memory as wanted. */
static void restore(void)
{
	memcpy(c, head, sizeof head);
	clk.now = 0;
	for (unsigned page = 0; page < RAM_SIZE; page += 256)
		if (memcmp(ram->host + page, wanted + page, 256))
			space_poke(&mem, page, wanted + page, 256);
	tlb_flush(c, true);
}

/* ---- encodings ---- */

static u16 selector(void)
{
	static const u16 all[] = {
		0, S_CODE0, S_DATA0, S_CODE3 | 3, S_DATA3 | 3, S_DATA3, S_TASK, S_SLOT, S_SLOT | 3, S_TASK2, S_TASK2 |
			3, S_GATE | 3, S_CODE64, S_CODE64_3 | 3,
		S_CONFORMING, S_CONFORMING | 3, S_LDT, S_CODE3B | 3, S_DATA3B | 3, S_DATA0B, S_CODE0B, S_END, S_DATA3 |
		4,
		S_CODE1 | 1, S_DATA1 | 1, S_CODE2 | 2, S_DATA2 | 2,
	};

	return all[below(ARRAY_LEN(all))];
}

static u64 number(void)
{
	static const u64 some[] = {
		0, 1, 2, 3, 7, 0xd, 0x10, 0x11, 0x60000011, 0x174, 0x175, 0x176, 0x277, 0xc0000080, 0xc0000081,
			0xc0000102, 0xc0000103, DATA, DATA + 0x40, TARGET, STACK0, 0xff,
		0x80, 0x7fffffff, 0x80000000, 0xffffffff, 0x3f800000,
	};

	switch (below(4)) {
	case 0: return rnd();
	case 1: return (u32)rnd();
	case 2: return selector();
	default: return some[below(ARRAY_LEN(some))];
	}
}

static bool has_operand(const struct isa_row *row, unsigned kind)
{
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == kind)
			return true;
	return false;
}

/* May ModRM of ROW name memory, a register? */
static bool may_be(const struct isa_row *row, bool memory)
{
	return row->modrm && (!(row->mask & KEY_MEM) || !(row->match & KEY_MEM) == !memory) &&
	       (!memory || !(has_operand(row, OPK_C) || has_operand(row, OPK_D) || has_operand(row, OPK_R)));
}

/* Only in 64-bit mode: because it says so, or for REX.W. */
static bool only_64(const struct isa_row *row)
{
	return row->insn->modes == ONLY64 || (!row->vex && row->mask & row->match & KEY_W);
}

/* EVEX for ROW of APX: ND and NF as it says; where it allows NF, test_apx.c has it. SCC and its flags are at random. */
static u8 *encode_apx(u8 *p, const struct isa_row *row, unsigned pp, unsigned w)
{
	const bool compares = row->insn->form == APX_COMPARES;
	const bool nf = row->match & KEY_NF;

	*p++ = 0x62;
	*p++ = (u8)(0xf0 | (row->map == MAP_APX ? 4 : row->map));
	*p++ = (u8)(w << 7 | (compares ? below(16) : has_operand(row, OPK_B) ? 8 + below(8) : 15u) << 3 | 4 | pp);
	*p++ = (u8)(compares ? (int)below(16) : 8 | (row->match & KEY_ND ? 0x10 : 0) | nf << 2);
	return p;
}

/* ROW as bytes for a mode of BITS, at least 24 of them, with MEMORY or register operand; memory is DATA. LOCK: with F0.
 * */
static void encode(u8 *at, const struct isa_row *row, unsigned bits, bool memory, bool lock)
{
	static const u8 prefix[4] = { 0, 0x66, 0xf3, 0xf2 };
	u8 modrm = (u8)((rnd() & ~row->mask) | (row->match & 0xff)), *p = at;
	unsigned pp = row->mask & KEY_PP & ~KEY_PP_HIGH ? row->match >> 9 & 3
		      : row->mask & KEY_PP_HIGH         ? below(2)
							: 0, w = row->mask & KEY_W ? row->match >> 11 & 1
									: bits == 64      ? below(4) == 0
											  : 0;
	u64 imm = below(2) ? rnd() : number();

	if (memory)
		modrm = (u8)((modrm & 0x38) | (bits == 16 ? 6 : 4));
	else if (row->modrm)
		modrm |= 0xc0;
	if (has_operand(row, OPK_S) && row->operand[0].kind != OPK_FIXED) /* MOV from a segment register that exists */
		modrm = (u8)((modrm & 0xc7) | below(6) << 3);
	if (has_operand(row, OPK_C))
		modrm = (u8)((modrm & 0xc7) | (u8[]){ 0, 2, 3, 4 }[below(4)] << 3);
	if (row->insn->no_rsp)
		modrm = (u8)((modrm & 0xf8) | (2 + below(2)));
	else if (row->insn->distinct) /* with another in vvvv, below */
		modrm = (u8)((modrm & 0xc0) | 1 << 3 | (memory ? modrm & 7 : 2));
	if (row->insn->vsib) /* XMM4 is the index, of SIB 25h; destination and mask are others */
		modrm = (u8)((modrm & 0xc7) | 1 << 3);
	if (lock)
		*p++ = 0xf0;
	if (row->evex && row->insn->since == F_APX) {
		p = encode_apx(p, row, pp, w);
		if (row->insn->no_rsp) /* RDI */
			p[-2] = (u8)(p[-2] & ~0x78) | 8 << 3;
	} else if (row->map == MAP_REX2) {
		*p++ = 0xd5;
		*p++ = 0;
	} else if (row->evex) {
		unsigned l = row->mask & KEY_L2 ? (row->match & KEY_L ? 1 : row->match & KEY_L2 ? 2 : 0) : below(3);

		*p++ = 0x62;
		*p++ = (u8)(0xf0 | row->map);
		*p++ = (u8)(w << 7 | (row->insn->distinct ? 8 : has_operand(row, OPK_H) ? 8 + below(8) : 15) << 3 | 4 | pp);
		*p++ = (u8)(l << 5 | 8 | (row->insn->masking == MASKING_MUST ? 1 + below(7)
					  : row->insn->masking == MASKING_ANY ? below(8) : 0));
	} else if (row->vex) {
		unsigned l = row->mask & KEY_L ? row->match >> 12 & 1 : below(2);

		*p++ = row->map >= MAP_XOP ? 0x8f : 0xc4;
		*p++ = (u8)(0xe0 | row->map);
		*p++ = (u8)(w << 7 | (row->insn->vsib ? 13 : has_operand(row, OPK_B) || has_operand(row, OPK_H) ? 8 +
			below(8) : 15) << 3 | l << 2 | pp);
	} else {
		if (row->mask & KEY_O16 && !(row->match & KEY_O16) == (bits != 16) ? false : row->mask & KEY_O16)
			*p++ = 0x66;
		else if (pp)
			*p++ = prefix[pp];
		if (bits == 64 && w)
			*p++ = 0x48;
		if (row->map)
			*p++ = 0x0f;
		if (row->map >= 2)
			*p++ = row->map == 2 ? 0x38 : row->map == 3 ? 0x3a : 0x0f;
	}
	if (row->map != MAP_3DNOW)
		*p++ = (u8)(row->opcode | (row->opcode_mask == 0xf8 ? below(8) : 0));
	if (row->modrm)
		*p++ = modrm;
	if (memory && bits == 16) {
		put16(p, DATA);
		p += 2;
	} else if (memory) { /* SIB: neither base nor index */
		*p++ = 0x25;
		put32(p, DATA);
		p += 4;
	}
	if (row->map == MAP_3DNOW)
		*p++ = row->opcode;
	memset(p, 0xf4, 14);
	if (has_operand(row, OPK_A)) {
		unsigned n = bits == 16 ? 2 : 4;

		put32(p, TARGET);
		put16(p + n, selector());
	} else if (has_operand(row, OPK_O)) {
		put64(p, DATA);
	} else if (has_operand(row, OPK_I) || has_operand(row, OPK_SI) || has_operand(row, OPK_L)) {
		put64(p, imm);
		if (row->operands == 2 && row->operand[1].kind == OPK_I && row->operand[0].kind == OPK_I) /* ENTER */
			p[2] &= 3;
		if (!strcmp(row->insn->mnemonic, "ret"))
			put16(p, 0);
	} else if (has_operand(row, OPK_J)) {
		put32(p, below(64));
	}
}

/* ---- states ---- */

static void load_seg(unsigned reg, u16 sel)
{
	descriptor_to_seg(&c->seg[reg], sel, get64(wanted + GDT + (sel & 0xfff8)));
}

static void settle(void)
{
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
	tlb_flush(c, true);
}

static void put_tables(void)
{
	static const struct { u16 sel; u8 access, flags; } flat[] = {
		{ S_CODE0, 0x9b, 0xc }, { S_DATA0, 0x93, 0xc }, { S_CODE3, 0xfb, 0xc }, { S_DATA3, 0xf3, 0xc },
			{ S_CODE64, 0x9b, 0xa }, { S_CODE64_3, 0xfb, 0xa },
		{ S_CONFORMING, 0x9f, 0xc }, { S_CODE3B, 0xfb, 0xc }, { S_DATA3B, 0xf3, 0xc }, { S_DATA0B, 0x93, 0xc },
			{ S_CODE0B, 0x9b, 0xc },
		{ S_CODE1, 0xbb, 0xc }, { S_DATA1, 0xb3, 0xc }, { S_CODE2, 0xdb, 0xc }, { S_DATA2, 0xd3, 0xc },
		{ S_CODE64_1, 0xbb, 0xa }, { S_CODE64_2, 0xdb, 0xa },
	};
	u8 *tss = wanted + TSS2_AT;

	memset(wanted, 0, sizeof wanted);
	for (unsigned i = 0; i < ARRAY_LEN(flat); i++)
		put64(wanted + GDT + flat[i].sel, descriptor(0, 0xfffff, flat[i].access, flat[i].flags));
	put64(wanted + GDT + S_TASK, descriptor(TSS_AT, 0x67, 0x8b, 0));
	put64(wanted + GDT + S_TASK2, descriptor(TSS2_AT, 0x6b /* with SSP, for CR4.CET */, 0xe9, 0));
	put64(wanted + GDT + S_GATE, gate(S_CODE0, TARGET, 0xec));
	put64(wanted + GDT + S_LDT, descriptor(LDT_AT, 0x3f, 0x82, 0));
	put64(wanted + GDT + S_SLOT, descriptor(0, 0xfff, below(256), 4));
	memcpy(wanted + LDT_AT + (S_DATA3 & ~7), wanted + GDT + S_DATA3, 8);
	memcpy(wanted + GDT_COPY, wanted + GDT, S_END);
	for (unsigned v = 0; v < 256; v++)
		put64(wanted + IDT + 8 * v, below(8) == 0 ? gate(S_TASK2, 0, 0xe5)
			: gate(S_CODE0, TARGET, below(2) ? 0x8e : below(2) ? 0xee : 0xef));
	memcpy(wanted + IDT_COPY, wanted + IDT, 0x800);
	put32(wanted + TSS_AT + 4, STACK0);
	put16(wanted + TSS_AT + 8, S_DATA0);
	put16(wanted + TSS_AT + 102, 0x68); /* no bitmap */
	put32(tss + 4, STACK0);
	put16(tss + 8, S_DATA0);
	put32(tss + 32, TARGET);
	put32(tss + 36, 2);
	put32(tss + 56, STACK0 - 0x200);
	for (unsigned i = 0; i < 6; i++)
		put16(tss + 72 + 4 * i, i == 1 ? S_CODE0 : S_DATA0);
	put64(wanted + PML4, (PML4 + 0x1000) | 7);
	put64(wanted + PML4 + 0x1000, 0x87);
	memset(wanted + TARGET, 0xf4, 64);
}

static void put_data(void)
{
	u8 *d = wanted + DATA;
	unsigned kind = below(8);

	for (unsigned i = 0; i < 0x400; i += 8)
		put64(d + i, kind == 0 ? 0 : kind == 1 ? rnd() : number());
	if (kind == 2 || kind > 5) {
		put32(d, TARGET);
		put16(d + 4, selector());
	} else if (kind == 3) {
		put16(d, TARGET);
		put16(d + 2, selector());
	} else if (kind == 4) {
		put64(d, selector());
	} else if (kind == 5) {
		put64(d, TARGET);
		put16(d + 8, selector());
	}
	if (below(2)) { /* an image that FXRSTOR and XRSTOR take */
		put32(d + 24, 0x1f80);
		memset(d + 512, 0, 64);
		d[512] = (u8)below(8);
		if (below(2)) /* compacted */
			put64(d + 520, (u64)1 << 63 | 7);
	}
}

/* Stack: a frame for RET far and IRET, or anything. STEP bytes an item. */
static void put_stack(unsigned step)
{
	u8 *s = wanted + STACK;
	u64 frame[5] = { TARGET, selector(), (rnd() & 0x3c4ed5) | 2, STACK + 0x100, selector() };

	switch (below(5)) {
	case 0: frame[0] = selector(); break;
	case 1: frame[0] = rnd() & 0x3c4ed5; break;
	case 2: frame[1] = below(2) ? S_CODE3 | 3 : S_CODE3B | 3; frame[4] = S_DATA3 | 3; break;
	case 3: /* for RET to ring 3 */
		frame[1] = S_CODE3 | 3;
		frame[2] = STACK + 0x100;
		frame[3] = S_DATA3 | 3;
		break;
	}
	for (unsigned i = 0; i < 64; i++)
		put64(s + 8 * i, rnd());
	for (unsigned i = 0; i < 5; i++) {
		if (step == 2)
			put16(s + 2 * i, (u16)frame[i]);
		else if (step == 4)
			put32(s + 4 * i, (u32)frame[i]);
		else
			put64(s + 8 * i, frame[i]);
	}
}

/* Everything in memory but the code, anew. */
static void sample_memory(unsigned bits)
{
	put_tables();
	put_data();
	put_stack(bits / 8);
}

/* Registers that the program sees: enter() takes them from here. */
static struct { u64 r[16]; u32 arith, d; u8 x87[8][8], xmm[16][16]; u16 exp[8]; } regs;

static void sample_registers(void)
{
	for (unsigned i = 0; i < 16; i++)
		regs.r[i] = number();
	regs.r[RBX] = below(2) ? DATA : number();
	regs.r[RSI] = DATA + 8 * below(8);
	regs.r[RDI] = DATA + 0x100 + 8 * below(8);
	regs.r[RSP] = STACK;
	regs.r[RBP] = STACK + 0x40;
	if (below(2))
		regs.r[RCX] &= 0xff;
	if (below(8) == 0) { /* leaves of CPUID, values of XCR0 */
		regs.r[RAX] = below(2) ? 0xd : 1 + below(7);
		regs.r[RCX] = regs.r[RDX] = 0;
	} else if (below(3) == 0) { /* selectors; small numbers */
		bool small = below(2);

		for (unsigned i = 0; i < 16; i++)
			if (i < RSP || i > RDI)
				regs.r[i] = small ? below(4) : below(2) ? S_SLOT | 3 : selector();
	}
	regs.arith = (u32)rnd() & OSZAPC;
	regs.d = (u32)rnd() & FL_D;
	for (unsigned i = 0; i < 8; i++) {
		put64(regs.x87[i], rnd() | (u64)1 << 63);
		regs.exp[i] = (u16)(0x3fff - 8 + below(16)) | (u16)(below(2) << 15);
	}
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 0; k < 16; k += 4)
			put32(regs.xmm[i] + k, below(4) ? 0x3f800000 ^ ((u32)rnd() & 0x80ffffff) : (u32)rnd());
}

/* Modes that rows are run in. */
enum run_mode { REAL, V86, PROT0, PROT3, LONG0, LONG3 };
static unsigned bits_of(enum run_mode m) { return m <= V86 ? 16 : m <= PROT3 ? 32 : 64; }
static unsigned cpl_of(enum run_mode m) { return m == V86 || m == PROT3 || m == LONG3 ? 3 : 0; }

/* The processor, in MODE, but at CPL, at CODE, with `regs'; nothing is virtualised yet. Call settle() after further
 * changes. */
static void enter_at(enum run_mode m, unsigned cpl)
{
	static const u16 code[] = { S_CODE0, S_CODE1 | 1, S_CODE2 | 2, S_CODE3 | 3 },
			 code64[] = { S_CODE64, S_CODE64_1 | 1, S_CODE64_2 | 2, S_CODE64_3 | 3 },
			 stack[] = { S_DATA0, S_DATA1 | 1, S_DATA2 | 2, S_DATA3 | 3 };

	restore();
	memcpy(c->r, regs.r, sizeof regs.r);
	if (bits_of(m) != 64) {
		for (unsigned i = 0; i < 16; i++)
			c->r[i] = i < 8 ? (u32)c->r[i] : 0;
	}
	c->r[RIP] = CODE;
	c->eflags = FL_1 | regs.d;
	cpu_set_arith(c, regs.arith);
	c->fault.vector = 0xff;
	c->fault.error = 0;
	c->cr0 = CR0_ET | CR0_NE | CR0_WP;
	c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_PKE | CR4_CET;
	c->xcr0 = 0x800e7;
	c->misc_enable |= 1 << 18;
	c->x87.cw = 0x37f;
	c->x87.valid = (u8)~(1 << 3 | 1 << 4);
	for (unsigned i = 0; i < 8; i++) {
		c->x87.st[i].frac = get64(regs.x87[i]);
		c->x87.st[i].exp = regs.exp[i];
	}
	c->x87.top = 5;
	vregs_load(c, 0, regs.xmm, 16);
	for (unsigned i = 0; i < 16; i++)
		memcpy(&c->v[i].b[16], regs.xmm[15 - i], 16);
	c->gdtr.base = GDT;
	c->gdtr.limit = S_END - 1;
	c->idtr.base = IDT;
	c->idtr.limit = 0;
	c->sysenter_cs = S_CODE0;
	c->sysenter_esp = STACK0;
	c->sysenter_eip = TARGET;
	c->star = (u64)S_CODE0 << 32 | (u64)(S_CODE0 | 3) << 48;
	c->lstar = TARGET;
	if (m == REAL) {
		for (unsigned i = ES; i <= GS; i++)
			seg_load_real(c, i, 0);
		settle();
		return;
	}
	c->cr0 |= CR0_PE;
	descriptor_to_seg(&c->seg[TR], S_TASK, get64(wanted + GDT + S_TASK));
	descriptor_to_seg(&c->seg[LDTR], S_LDT, get64(wanted + GDT + S_LDT));
	c->cpl = (u8)cpl;
	if (bits_of(m) == 64) {
		c->cr3 = PML4;
		c->cr4 |= CR4_PAE;
		c->efer = EFER_LME | EFER_LMA | EFER_SCE;
		c->cr0 |= CR0_PG;
	}
	load_seg(CS, bits_of(m) == 64 ? code64[cpl] : code[cpl]);
	load_seg(SS, stack[cpl]);
	load_seg(DS, S_DATA3 | 3);
	load_seg(ES, S_DATA3 | 3);
	load_seg(FS, S_DATA3 | 3);
	load_seg(GS, S_DATA3 | 3);
	if (m == V86) {
		c->eflags |= FL_VM;
		for (unsigned i = ES; i <= GS; i++)
			seg_load_real(c, i, 0);
	}
	settle();
}

static inline void enter(enum run_mode m) { enter_at(m, cpl_of(m)); }

/* One instruction, and the delivery of its fault where there is an IDT. True: it raised one. */
static bool run_one(void)
{
	settle();
	cpu_run(c, c->icount + 1, 0);
	if (c->chain_len) /* what came first, whatever delivering it led to */
		c->fault = (struct fault){ .vector = c->chain[0].vector,
					   .has_error = c->chain[0].has_error,
					   .error = c->chain[0].error };
	return c->fault.vector != 0xff;
}

/* ---- what a program sees ---- */

struct seen {
	bool faulted;
	u8 vector;
	u32 error;
	u64 r[17];
	u32 arith;
	u8 data[0x400], stack[0x400], stack0[0x100], xmm[256], ymm_high[256];
	u64 k[8];
	u8 st[8][10];
	u16 cw, sw;
	u8 top, valid;
	u32 mxcsr;
};

/* FLAGS: which of EFLAGS count. x87's pointers to the last instruction and operand do not: they name CS and DS, whoever
 * wrote them. */
static void look(struct seen *s, u32 flags)
{
	memset(s, 0, sizeof *s);
	s->faulted = c->fault.vector != 0xff;
	if (s->faulted) {
		s->vector = c->fault.vector;
		s->error = c->fault.has_error ? c->fault.error : 0;
		if (s->vector == VEC_PF)
			s->error &= ~4u; /* it tells the CPL */
		return;
	}
	memcpy(s->r, c->r, sizeof s->r);
	s->arith = cpu_flags(c) & flags;
	memcpy(s->data, ram->host + DATA, sizeof s->data);
	memcpy(s->stack, ram->host + STACK - 0x200, sizeof s->stack);
	memcpy(s->stack0, ram->host + STACK0 - sizeof s->stack0, sizeof s->stack0);
	vregs_save(c, 0, s->xmm, 16);
	vregs_save(c, 16, s->ymm_high, 16);
	memcpy(s->k, c->k, sizeof s->k);
	for (unsigned i = 0; i < 8; i++) {
		put64(s->st[i], c->x87.st[i].frac);
		put16(s->st[i] + 8, c->x87.st[i].exp);
	}
	s->cw = c->x87.cw;
	s->sw = c->x87.sw;
	s->top = c->x87.top;
	s->valid = c->x87.valid;
	s->mxcsr = c->mxcsr;
}

static bool is_rep(const struct isa_row *row) { return row->insn->rep; }
static const char *row_name(const struct isa_row *row)
{
	static char text[64];

	snprintf(text, sizeof text, "%s \"%s\" \"%s\"", row->insn->mnemonic, row->insn->encoding, row->insn->operands);
	return text;
}

#endif
