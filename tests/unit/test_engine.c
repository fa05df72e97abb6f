/* SPDX-License-Identifier: MIT */
/* ARCHITECTURE.md, laws 2 and 3, for the engine: however a run is cut, the same state at the same instruction. Random
 * programs run one instruction at a time (nothing fused, merged or dropped: that is the measure), in one piece, in
 * random slices, and with single steps trapped; faults end them like everything else. A clock event raises INTR in the
 * middle of others. */
#include <stdio.h>
#include "tests/unit/bare.h"

enum { RAM = 256 * 1024, TABLES = 0x1000, STACK = 0x7008, CODE = 0x8000, DATA = 0xb000, HANDLER = 0x6000, IDT = 0x5000,
	GDT = 0x4800,
       LENGTH = 300 /* instructions that are run */, TIME = 100000 /* ns, for those that only fault */,
       MAX_INSNS = 120, MAX_BYTES = 3000, STEPS = 64 };


/* The timer of some programs: INTR, and now and then NMI, after intervals that only the number of the interrupt
 * decides. */
static struct event timer;
static unsigned fired;

static void tick(void *owner, u64 late)
{
	(void)owner;
	(void)late;
	fired++;
	if (fired % 5 == 0)
		cpu_nmi(c, 0, true);
	else
		cpu_intr(c, 0, true);
	clock_arm(&clk, &timer, clk.now + 1 + fired * 2654435761u % 61);
}

static u8 acknowledge(void *owner)
{
	(void)owner;
	cpu_intr(c, 0, false);
	return 0x20;
}

static void setup(void)
{
	bare_new("max", RAM);
	c->acknowledge = acknowledge;
	clock_add(&clk, &timer, "timer", tick, NULL);
}

static u64 seed;
static u64 random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}
static unsigned below(unsigned n) { return (unsigned)(random64() >> 33) % n; }
static bool chance(unsigned percent) { return below(100) < percent; }

/* ---- programs ---- */

enum { WITH_TRAPS = 1 /* instructions that look at flags or memory which single steps change are left out */,
	WITH_INTERRUPTS = 2 };

struct program {
	unsigned bits, base, len, count, traits;
	unsigned start[MAX_INSNS + 8];
	struct { unsigned at, size; } fix[MAX_INSNS]; /* displacements to be filled in */
	unsigned fixes;
	u8 bytes[MAX_BYTES];
};

static struct program p;

static void emit(unsigned byte) { p.bytes[p.len++] = (u8)byte; }
static void emit_n(u64 v, unsigned size) { for (; size; size--, v >>= 8) emit(v & 0xff); }
/* Size of an immediate of operand size "z", or of an address. */
static unsigned wide(bool prefix) { return (p.bits == 16) != prefix ? 2 : 4; }

/* ModRM for REG and a random r/m. BX, BP and SP hold addresses and are never written; SI and DI only now and then. */
static unsigned some_reg(bool byte)
{
	static const u8 word_regs[] = { RAX, RCX, RDX, RAX, RCX, RDX, RSI, RDI }, byte_regs[] = { 0, 1, 2, 4, 5, 6 };

	return byte ? byte_regs[below(6)] : word_regs[below(8)];
}
static void modrm_mem(unsigned reg)
{
	switch (below(4)) {
	case 0:
		if (p.bits == 16) {
			emit(reg << 3 | 6);
			emit_n(DATA + below(256), 2);
		} else if (p.bits == 32) {
			emit(reg << 3 | 5);
			emit_n(DATA + below(256), 4);
		} else {
			emit(reg << 3 | 4);
			emit(0x25);
			emit_n(DATA + below(256), 4);
		}
		break;
	case 1:
		emit(0x40 | reg << 3 | (p.bits == 16 ? 6 : 5)); /* [bp + 8 bits] */
		emit(below(256));
		break;
	default:
		emit(0x40 | reg << 3 | (p.bits == 16 ? 7 : 3)); /* [bx + 8 bits] */
		emit(below(256));
	}
}
static bool modrm(unsigned reg, bool byte, unsigned memory_percent)
{
	if (chance(memory_percent)) {
		modrm_mem(reg);
		return true;
	}
	emit(0xc0 | reg << 3 | some_reg(byte));
	return false;
}

/* Prefixes; returns true if the operands are 66h-sized. In 64-bit mode a REX with only W, so that the registers stay
 * those above. */
static bool prefixes(bool byte)
{
	bool small = !byte && chance(20);

	if (small)
		emit(0x66);
	if (p.bits == 64 && !byte && !small && chance(50))
		emit(0x48);
	return small;
}

static void jump_to_somewhere(unsigned size)
{
	p.fix[p.fixes].at = p.len;
	p.fix[p.fixes++].size = size;
	emit_n(0, size);
}

static void load_constant(unsigned reg, u64 v)
{
	emit(0xb8 + reg);
	emit_n(v, p.bits == 16 ? 2 : 4);
}

static void string_instruction(void)
{
	static const u8 opcodes[] = { 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf };

	load_constant(RSI, DATA + below(200) + (chance(20) ? 0xf00 : 0));
	p.start[p.count++] = p.len;
	load_constant(RDI, chance(10) ? p.base + below(400) : DATA + below(200) + (chance(20) ? 0xf00 : 0));
	p.start[p.count++] = p.len;
	if (!(p.traits & WITH_TRAPS) && chance(60)) {
		load_constant(RCX, chance(3) ? 4096 + below(3) : below(40));
		p.start[p.count++] = p.len;
		emit(chance(50) ? 0xf3 : 0xf2);
	}
	prefixes(false);
	emit(opcodes[below(10)]);
}

/* A store into the program itself: mostly NOPs, sometimes anything. */
static void modify_program(void)
{
	u64 at = p.base + below(600), value = chance(80) ? 0x90 : random64() & 0xff;
	bool two = chance(20);

	if (two)
		emit(p.bits == 16 ? 0x90 : 0x66);
	emit(two ? 0xc7 : 0xc6);
	if (p.bits == 64) {
		emit(4);
		emit(0x25);
	} else {
		emit(p.bits == 32 ? 5 : 6);
	}
	emit_n(at, p.bits == 16 ? 2 : 4);
	emit_n(two ? 0x9090 : value, two ? 2 : 1);
}

static void float_instruction(void)
{
	static const u8 sse[] = { 0x58, 0x59, 0x5c, 0x5e, 0x51, 0x54, 0x57, 0xef, 0xfe, 0x6f };

	switch (below(6)) {
	case 0: emit(0x0f); emit(sse[below(10)]); emit(0xc0 | below(64)); break;
	case 1: emit(chance(50) ? 0xf3 : 0xf2); emit(0x0f); emit(sse[below(4)]); emit(0xc0 | below(64)); break;
	case 2: emit(0xf3); emit(0x0f); emit(0x2a); emit(0xc0 | below(8) << 3 | some_reg(false)); break;
	case 3: emit(0x0f); emit(chance(50) ? 0x10 : 0x11); modrm_mem(below(8)); break;
	case 4: emit(0xd9); emit(0xe8 + below(7)); break;
	default: emit(chance(50) ? 0xd8 : 0xdc); emit(0xc0 | below(64)); break;
	}
}

static void one_of_the_rest(void)
{
	bool small;
	unsigned op;

	switch (below(14)) {
	case 0: op = below(2); prefixes(!op); emit(0x86 | op); modrm(some_reg(!op), !op, 30); break; /* XCHG */
	case 1: prefixes(false); emit(0x0f); emit(0x40 | below(16)); modrm(some_reg(false), false, 30); break;
	case 2: emit(0x0f); emit(0x90 | below(16)); modrm(0, true, 30); break;
	case 3: prefixes(false); emit(0x0f); emit(0xa3 | below(4) << 3);
		emit(0xc0 | some_reg(false) << 3 | some_reg(false)); break;
	case 4: prefixes(false); emit(0x0f); emit(0xba); modrm(4 + below(4), false, 30); emit(below(64)); break;
	case 5: prefixes(false); emit(0x0f); emit((const u8[]){ 0xa4, 0xac }[below(2)]);
		modrm(some_reg(false), false, 30); emit(below(64)); break;
	case 6: prefixes(false); emit(0x0f); emit((const u8[]){ 0xa5, 0xad, 0xbc, 0xbd, 0xaf }[below(5)]);
		modrm(some_reg(false), false, 30); break;
	case 7: op = below(2); prefixes(!op); emit(0x0f); emit((const u8[]){ 0xb0, 0xc0 }[below(2)] | op);
		modrm(some_reg(!op), !op, 50); break;
	case 8: prefixes(false); emit(0x0f); emit((const u8[]){ 0xb6, 0xbe }[below(2)]);
		modrm(some_reg(false), true, 40); break;
	case 9: prefixes(false); emit(0x8d); modrm_mem(some_reg(false)); break;
	case 10: prefixes(false); emit(0x98 | below(2)); break;
	case 11: emit((const u8[]){ 0xf5, 0xf8, 0xf9, 0xfc, 0xfd, 0x9e, 0x9f }[below(7)]); break;
	case 12:
		small = prefixes(false);
		if (chance(50)) {
			emit(0x6b);
			modrm(some_reg(false), false, 30);
			emit(below(256));
		} else {
			emit(0x69);
			modrm(some_reg(false), false, 30);
			emit_n(random64(), wide(small));
		}
		break;
	default:
		if (p.bits != 64) {
			emit((const u8[]){ 0x27, 0x2f, 0x37, 0x3f, 0xd6, 0x40, 0x49, 0x4a }[below(8)]);
		} else {
			emit(0x48);
			emit(0x63);
			modrm(some_reg(false), false, 40);
		}
	}
}

static void stack_instruction(void)
{
	switch (below(8)) {
	case 0: case 1: emit(0x50 | below(8)); break;
	case 2: emit(0x58 | some_reg(false)); break;
	case 3: emit(0x6a); emit(below(256)); break;
	case 4: emit(0xff); modrm_mem(6); break;
	case 5: emit(0x8f); modrm_mem(0); break;
	case 6:
		if (p.traits & WITH_TRAPS)
			emit(0x90);
		else
			emit(0x9c);
		break;
	default: /* PUSH flags, POPF */
		emit(0x68);
		emit_n((random64() & (OSZAPC | FL_D)) | (p.traits & WITH_INTERRUPTS && chance(70) ? FL_I : 0),
		       p.bits == 16 ? 2 : 4);
		p.start[p.count++] = p.len;
		emit(p.traits & WITH_TRAPS ? 0x58 : 0x9d);
	}
}

static void jump_instruction(void)
{
	switch (below(10)) {
	case 0: emit(0x0f); emit(0x80 | below(16)); jump_to_somewhere(p.bits == 16 ? 2 : 4); break;
	case 1: emit(0xe0 | below(4)); jump_to_somewhere(1); break;
	case 2: emit(0xe9); jump_to_somewhere(p.bits == 16 ? 2 : 4); break;
	case 3: emit(0xe8); jump_to_somewhere(p.bits == 16 ? 2 : 4); break;
	case 4: emit(0xc3); break;
	case 5:
		load_constant(RAX, p.base + (p.count > 1 ? p.start[below(p.count)] : 0));
		p.start[p.count++] = p.len;
		emit(0xff);
		emit(chance(50) ? 0xe0 : 0xd0);
		break;
	default: emit(0x70 | below(16)); jump_to_somewhere(1); break;
	}
}

static void interrupt_instruction(void)
{
	switch (below(4)) {
	case 0: emit(0xfa); break;
	case 1: emit(0xfb); break;
	case 2: emit(0xfb); p.start[p.count++] = p.len; emit(0xf4); break; /* STI, HLT */
	default: /* MOV SS, AX with what SS has */
		emit(0x8c); emit(0xd0);
		p.start[p.count++] = p.len;
		emit(0x8e); emit(0xd0);
	}
}

static void instruction(void)
{
	unsigned op, what = below(100);
	bool small;

	p.start[p.count++] = p.len;
	if (p.traits & WITH_INTERRUPTS && chance(12)) {
		interrupt_instruction();
	} else if (what < 30) { /* ADD OR ADC SBB AND SUB XOR CMP */
		op = below(6) | below(8) << 3;
		small = prefixes(!(op & 1));
		emit(op);
		if ((op & 7) < 4)
			modrm(some_reg(!(op & 1)), !(op & 1), 40);
		else
			emit_n(random64(), op & 1 ? wide(small) : 1);
	} else if (what < 38) {
		op = (const u8[]){ 0x80, 0x81, 0x83 }[below(3)];
		small = prefixes(op == 0x80);
		emit(op);
		modrm(below(8), op == 0x80, 40);
		emit_n(random64() >> below(64), op == 0x81 ? wide(small) : 1);
	} else if (what < 52) { /* MOV, TEST */
		op = (const u8[]){ 0x88, 0x89, 0x8a, 0x8b, 0x89, 0x8b, 0x84, 0x85 }[below(8)];
		prefixes(!(op & 1));
		emit(op);
		modrm(some_reg(!(op & 1)), !(op & 1), 35);
	} else if (what < 58) { /* shifts */
		op = (const u8[]){ 0xc0, 0xc1, 0xd0, 0xd1, 0xd2, 0xd3, 0xc1, 0xd1 }[below(8)];
		prefixes(!(op & 1));
		emit(op);
		modrm(below(8), !(op & 1), 20);
		if (op < 0xd0)
			emit(below(70));
	} else if (what < 64) { /* TEST NOT NEG MUL IMUL DIV, INC DEC */
		op = below(2);
		small = prefixes(!op);
		if (chance(50)) {
			emit(0xfe | op);
			modrm(below(2), !op, 40);
		} else {
			unsigned reg = chance(3) ? 6 : below(6);

			emit(0xf6 | op);
			modrm(reg, !op, 30);
			if (reg < 2)
				emit_n(random64(), op ? wide(small) : 1);
		}
	} else if (what < 68) {
		emit(0xb8 | some_reg(false));
		emit_n(random64() >> below(64), p.bits == 16 ? 2 : 4);
	} else if (what < 75) {
		stack_instruction();
	} else if (what < 86) {
		jump_instruction();
	} else if (what < 88) {
		string_instruction();
	} else if (what < 90 && !(p.traits & WITH_TRAPS)) {
		modify_program();
	} else if (what < 92) {
		float_instruction();
	} else {
		one_of_the_rest();
	}
}

static void make_program(unsigned bits, unsigned traits)
{
	unsigned insns = 4 + below(MAX_INSNS - 40);

	p = (struct program){ .bits = bits,
			      .traits = traits,
			      .base = CODE + (chance(50) ? 0x1000 - below(200) : below(64)) };
	while (p.count < insns && p.len < MAX_BYTES - 64)
		instruction();
	p.start[p.count] = p.len;
	emit(0xe9); /* and again */
	emit_n((u64)-(s64)(p.len + (bits == 16 ? 2 : 4)), bits == 16 ? 2 : 4);
	for (unsigned i = 0; i < p.fixes; i++) {
		unsigned end = p.fix[i].at + p.fix[i].size, target = p.start[below(p.count + 1)];

		if (p.fix[i].size == 1 && (target > end + 127 || target + 128 < end)) {
			unsigned k = 0;

			while (p.start[k] < end)
				k++; /* the next one */
			target = k < p.count && chance(50) ? p.start[k + 1 <= p.count ? k + 1 : k] : end;
			if (target > end + 127)
				target = end;
		}
		for (unsigned k = 0; k < p.fix[i].size; k++)
			p.bytes[p.fix[i].at + k] = (u8)((target - end) >> (8 * k));
	}
}

/* ---- the machine at the start of a program ---- */

static u8 memory[RAM]; /* as it was at the start */

static void segments(void)
{
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = p.bits == 16 ? (struct seg){ .limit = 0xffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A }
					 : (struct seg){ .limit = 0xffffffff, .sel = 0x10, .attr = SEG_P | SEG_S |
					 	SEG_W | SEG_A | SEG_DB | SEG_G };
	c->seg[CS].attr |= SEG_CODE;
	c->seg[CS].sel = p.bits == 16 ? 0 : 8;
	if (p.bits == 64)
		c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_DB) | SEG_L;
}

/* Registers and memory as MEMORY and the numbers in REGS have them. */
static u64 regs[16];
static void start(void)
{
	c->icount = c->idle_ns = 0;
	clk.now = clk.steps_at = clk.steps = 0;
	cpu_reset(c, false);
	memcpy(ram->host, memory, RAM);
	c->cr4 = CR4_OSFXSR;
	if (p.bits != 16)
		c->cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (p.bits == 64) {
		c->cr0 |= CR0_PG;
		c->cr3 = TABLES;
		c->cr4 |= CR4_PAE;
		c->efer = EFER_LME | EFER_LMA;
	}
	segments();
	memcpy(c->r, regs, sizeof regs);
	c->r[RIP] = p.base;
	c->x87.cw = 0x37f;
	c->x87.valid = 0;
	c->intr = false;
	if (p.traits) {
		c->idtr.base = IDT;
		c->idtr.limit = p.bits == 16 ? 0x3ff : 0xfff;
		c->gdtr.base = GDT;
		c->gdtr.limit = 0x17;
	}
	c->bare = !(p.traits & WITH_INTERRUPTS);
	fired = 0;
	clock_arm(&clk, &timer, p.traits & WITH_INTERRUPTS ? 7 : CLOCK_NEVER);
	c->eflags |= p.traits & WITH_INTERRUPTS ? FL_I : 0;
	blocks_flush(c); /* memory was written behind its back */
	cpu_loaded(c);
}

static void gate(unsigned vector)
{
	if (p.bits == 16)
		put32(memory + IDT + 4 * vector, HANDLER);
	else
		put64(memory + IDT + vector * p.bits / 4, (u64)8 << 16 | (u64)0x8e << 40 | HANDLER);
}

/* Everything to 0, but for the tables, the program and random data. */
static void make_memory(void)
{
	memset(memory, 0, sizeof memory);
	put64(memory + TABLES, (TABLES + 0x1000) | 3);
	put64(memory + TABLES + 0x1000, (TABLES + 0x2000) | 3);
	put64(memory + TABLES + 0x2000, 0x83);
	put64(memory + GDT + 8, p.bits == 64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	put64(memory + GDT + 16, 0x00cf93000000ffff);
	for (unsigned i = 0; i < 0x200; i += 8)
		put64(memory + DATA - 0x80 + i, random64() & (chance(50) ? ~(u64)0 : 0xff));
	memcpy(memory + p.base, p.bytes, p.len);
	if (p.traits & WITH_TRAPS)
		gate(VEC_DB);
	if (p.traits & WITH_INTERRUPTS)
		for (unsigned i = 0; i <= 0x20; i++)
			gate(i);
	memcpy(memory + HANDLER, p.traits & WITH_INTERRUPTS ? "\x50\x58\x48\xcf" /* PUSH, POP, IRETQ */
		: "\x90\x90\x48\xcf", 4);
	if (p.bits != 64)
		memory[HANDLER + 2] = 0x90;
	if (p.traits & WITH_TRAPS)
		memcpy(memory + HANDLER, p.bits == 64 ? "\x48\xcf" : "\xcf", 2);
	for (unsigned i = 0; i < 16; i++)
		regs[i] = random64() >> below(64);
	if (p.bits != 64)
		for (unsigned i = 0; i < 16; i++)
			regs[i] = i < 8 ? (p.bits == 16 ? (u16)regs[i] : (u32)regs[i]) : 0;
	regs[RBX] = DATA + below(64);
	regs[RBP] = DATA + below(64);
	regs[RSP] = STACK;
}

static u64 state(void)
{
	struct part parts[4];
	unsigned count = cpu_parts(c, parts, 4);
	u64 h = 0;

	for (unsigned i = 0; i < count; i++)
		h = part_hash(&parts[i], h);
	return h;
}

static const char *disagreement;
static void show(const char *what, unsigned long number, u64 at)
{
	fprintf(stderr, "%s: program %lu, %u bits, base %x, %s differs at %llu:", what, number, p.bits, p.base,
		disagreement, (unsigned long long)at);
	for (unsigned i = 0; i < p.count; i++) {
		fprintf(stderr, "\n%5x ", p.base + p.start[i]);
		for (unsigned k = p.start[i]; k < p.start[i + 1]; k++)
			fprintf(stderr, " %02x", p.bytes[k]);
	}
	fputc('\n', stderr);
}

/* What the run by single instructions was like. */
static struct { u64 state[LENGTH + 1], last; unsigned length; enum cpu_stop stop; struct fault fault; u8 memory[RAM];
	} measure;

static void make_measure(unsigned length)
{
	start();
	measure.state[0] = state();
	measure.stop = CPU_LIMIT;
	for (measure.length = 0; measure.length < length; measure.length++) {
		measure.stop = cpu_run(c, c->icount + 1, TIME);
		measure.fault = c->fault;
		if (measure.stop != CPU_LIMIT)
			break;
		ck_assert_uint_eq(c->icount, measure.length + 1);
		measure.state[measure.length + 1] = state();
	}
	measure.last = state();
	memcpy(measure.memory, ram->host, RAM);
}

/* Now in slices of up to SLICE instructions. */
static bool agrees(unsigned length, unsigned slice)
{
	enum cpu_stop stop;

	start();
	do {
		u64 to = c->icount + 1 + below(slice);

		stop = cpu_run(c, to < length ? to : length, TIME);
		disagreement = stop == CPU_LIMIT || stop == measure.stop ? "state"
			       : stop == CPU_EXCEPTION                   ? "exception"
									 : "stop";
		if (c->icount > measure.length ||
		    state() != (stop == CPU_LIMIT ? measure.state[c->icount] : measure.last))
			return false;
		disagreement = "instruction count";
		if (stop == CPU_LIMIT && c->icount != (to < length ? to : length))
			return false;
	} while (stop == CPU_LIMIT && c->icount < length);
	disagreement = "end";
	if (stop != measure.stop || c->icount != measure.length)
		return false;
	disagreement = "fault";
	if (stop == CPU_EXCEPTION && (c->fault.vector != measure.fault.vector || c->fault.error != measure.fault.error))
		return false;
	disagreement = "memory";
	return !memcmp(ram->host, measure.memory, RAM);
}

/* Which fields differ from what single instructions give? */
static void explain(unsigned long number, unsigned slice)
{
	static u8 theirs[8192], ours[8192];
	struct part part;
	u64 at = c->icount;
	size_t k = 0;

	show(slice > LENGTH ? "one piece" : "slices", number, at);
	cpu_parts(c, &part, 1);
	part_save(&part, theirs);
	fprintf(stderr, "length %u, stop %u, rip %llx, fault %u(%x)", measure.length, measure.stop,
		(unsigned long long)c->r[RIP], c->fault.vector, c->fault.error);
	make_measure((unsigned)at);
	part_save(&part, ours);
	fprintf(stderr, ", by steps %u: rip %llx, fault %u(%x)\n", measure.length, (unsigned long long)c->r[RIP],
		c->fault.vector, c->fault.error);
	for (const struct field *f = part.fields; f->name; f++) {
		static const u8 sizes[] = { [FIELD_U8] = 1,  [FIELD_U16] = 2,  [FIELD_U32] = 4,
					    [FIELD_U64] = 8, [FIELD_BOOL] = 1, [FIELD_EVENT] = 8 };

		for (unsigned i = 0; i < f->count; i++, k += sizes[f->type])
			if (memcmp(theirs + k, ours + k, sizes[f->type]))
				fprintf(stderr, "%s[%u]: %llx, by steps %llx\n", f->name, i,
					(unsigned long long)get_size(theirs + k, sizes[f->type]),
					(unsigned long long)get_size(ours + k, sizes[f->type]));
	}
}

static void cut(unsigned bits, unsigned traits, unsigned programs)
{
	unsigned long instructions = 0, interrupts = 0;

	for (unsigned i = 0; i < programs; i++) {
		static const unsigned slices[] = { 1u << 30, 3, 40 };

		seed = ((u64)bits << 32 | i) * 0x9e3779b97f4a7c15 + 1;
		make_program(bits, traits);
		make_memory();
		make_measure(LENGTH);
		instructions += measure.length;
		interrupts += fired;
		for (unsigned k = 0; k < ARRAY_LEN(slices); k++)
			if (!agrees(LENGTH, slices[k])) {
				explain(i, slices[k]);
				ck_abort_msg("program %u of %u bits", i, bits);
			}
	}
	ck_assert_uint_gt(instructions, programs * 50ul);
	if (getenv("SHOW"))
		fprintf(stderr, "%u bits: %lu instructions in %u programs, %lu interrupts\n", bits, instructions,
			programs, interrupts);
}

enum { PROGRAMS = 700 };
static unsigned programs(void) { return getenv("PROGRAMS") ? (unsigned)atoi(getenv("PROGRAMS")) : PROGRAMS; }

START_TEST(cut_16) { cut(16, 0, programs()); } END_TEST
START_TEST(cut_32) { cut(32, 0, programs()); } END_TEST
START_TEST(cut_64) { cut(64, 0, programs()); } END_TEST
START_TEST(interrupts_16) { cut(16, WITH_INTERRUPTS, programs()); } END_TEST
START_TEST(interrupts_32) { cut(32, WITH_INTERRUPTS, programs()); } END_TEST
START_TEST(interrupts_64) { cut(64, WITH_INTERRUPTS, programs()); } END_TEST

/* A table of modes that starts again at every new one. */
static void one_mode(unsigned bits)
{
	c->all->modes_max = 1;
	cut(bits, WITH_INTERRUPTS, programs() / 4);
}

START_TEST(one_mode_32) { one_mode(32); } END_TEST
START_TEST(one_mode_64) { one_mode(64); } END_TEST

/* With TF, and a handler of #DB that is one IRET: after 2 k instructions, K of the program. Registers and flags are as
 * without. */
static void traps(unsigned bits)
{
	static struct { u64 r[RIP + 1]; u32 flags; } steps[STEPS + 1];

	for (unsigned i = 0; i < programs() / 4; i++) {
		unsigned length = 0;

		seed = ((u64)bits << 32 | i) * 0x9e3779b97f4a7c15 + 99;
		make_program(bits, WITH_TRAPS);
		make_memory();
		for (start(); length < STEPS; length++) {
			if (cpu_run(c, length + 1, CLOCK_NEVER) != CPU_LIMIT || c->r[RIP] < p.base ||
			    c->r[RIP] > p.base + p.len)
				break;
			memcpy(steps[length + 1].r, c->r, sizeof steps->r);
			steps[length + 1].flags = cpu_flags(c);
		}
		start();
		c->eflags |= FL_T;
		for (unsigned k = 1; k <= length; k++) {
			ck_assert_int_eq(cpu_run(c, 2 * k, CLOCK_NEVER), CPU_LIMIT);
			disagreement = "a register";
			if (memcmp(c->r, steps[k].r, sizeof steps->r) ||
			    (cpu_flags(c) & ~(u32)FL_T) != steps[k].flags) {
				show("traps", i, k);
				for (unsigned n = 0; n <= RIP; n++)
					if (c->r[n] != steps[k].r[n])
						fprintf(stderr, "r[%u]: %llx, by steps %llx\n", n,
							(unsigned long long)c->r[n], (unsigned long long)steps[k].r[n]);
				ck_abort_msg("program %u of %u bits, instruction %u", i, bits, k);
			}
		}
	}
}

START_TEST(traps_16) { traps(16); } END_TEST
START_TEST(traps_32) { traps(32); } END_TEST
START_TEST(traps_64) { traps(64); } END_TEST

int main(void)
{
	Suite *s = suite_create("engine");
	TCase *t = tcase_create("cut");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, cut_16);
	tcase_add_test(t, cut_32);
	tcase_add_test(t, cut_64);
	tcase_add_test(t, interrupts_16);
	tcase_add_test(t, interrupts_32);
	tcase_add_test(t, interrupts_64);
	tcase_add_test(t, one_mode_32);
	tcase_add_test(t, one_mode_64);
	tcase_add_test(t, traps_16);
	tcase_add_test(t, traps_32);
	tcase_add_test(t, traps_64);
	suite_add_tcase(s, t);
	return bare_run(s);
}
