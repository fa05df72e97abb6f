/* SPDX-License-Identifier: MIT */
/* ARCHITECTURE.md, law 3: an instruction retires or faults, with nothing in between. Each instruction here is run with
 * every page that it touches missing or read-only in turn, its operands and its stack at and over the ends of pages:
 * after #PF all registers and all memory are as before, CR2 and the error code say what happened, and once the page is
 * there the instruction does what it would have done at once (SDM vol. 3, 4.7, 6.5). Then what wraps at 64 KBytes (vol.
 * 3, 5.3). */
#include "tests/unit/bare.h"

enum { RAM = 256 * 1024, TABLES = 0x1000, PT = 0x4000, GDT = 0x5000, CODE = 0x8000, STACK = 0x11000, DATA = 0x21000,
	SOURCE = 0x25000, TARGET = 0x29000 };

static u8 before[RAM], after[RAM];

static void setup(void) { bare_new("max", RAM); }

/* What is special about an instruction: FRAME: the stack holds what IRET and far RET take; MODIFIES: a read of its
 * operand faults as a write. */
enum { IN_32 = 1, IN_64 = 2, BOTH = 3, FRAME = 4, MODIFIES = 8, ALIGNED = 16 };

static const struct instruction { const char *name; u8 len, bytes[8]; unsigned traits; } list[] = {
	{ "push eax", 1, { 0x50 }, BOTH }, { "push [ebx]", 2, { 0xff, 0x33 }, BOTH },
		{ "push 1", 2, { 0x6a, 1 }, BOTH },
	{ "push ax", 2, { 0x66, 0x50 }, BOTH }, { "pop eax", 1, { 0x58 }, BOTH }, { "pop esp", 1, { 0x5c }, BOTH },
		{ "pop [ebx]", 2, { 0x8f, 0x03 }, BOTH },
	{ "pushf", 1, { 0x9c }, BOTH }, { "popf", 1, { 0x9d }, BOTH }, { "pusha", 1, { 0x60 }, IN_32 },
		{ "popa", 1, { 0x61 }, IN_32 },
	{ "pusha 16", 2, { 0x66, 0x60 }, IN_32 }, { "enter 16, 0", 4, { 0xc8, 16, 0, 0 }, BOTH },
		{ "enter 16, 3", 4, { 0xc8, 16, 0, 3 }, BOTH },
	{ "enter 64, 31", 4, { 0xc8, 64, 0, 31 }, BOTH }, { "leave", 1, { 0xc9 }, BOTH },
		{ "call", 5, { 0xe8, 0, 1, 0, 0 }, BOTH },
	{ "call [ebx]", 2, { 0xff, 0x13 }, BOTH }, { "call ecx", 2, { 0xff, 0xd1 }, BOTH },
		{ "jmp [ebx]", 2, { 0xff, 0x23 }, BOTH },
	{ "ret", 1, { 0xc3 }, BOTH }, { "ret 8", 3, { 0xc2, 8, 0 }, BOTH }, { "retf", 1, { 0xcb }, IN_32 | FRAME },
		{ "iret", 1, { 0xcf }, IN_32 | FRAME },
	{ "retfq", 2, { 0x48, 0xcb }, IN_64 | FRAME }, { "iretq", 2, { 0x48, 0xcf }, IN_64 | FRAME },
		{ "push fs", 2, { 0x0f, 0xa0 }, BOTH },
	{ "pop fs", 2, { 0x0f, 0xa1 }, IN_32 }, { "les eax, [ebx]", 2, { 0xc4, 0x03 }, IN_32 },
	{ "mov eax, [ebx]", 2, { 0x8b, 0x03 }, BOTH }, { "mov [ebx], eax", 2, { 0x89, 0x03 }, BOTH },
		{ "mov [ebx], ax", 3, { 0x66, 0x89, 0x03 }, BOTH },
	{ "add [ebx], eax", 2, { 0x01, 0x03 }, BOTH | MODIFIES }, { "add eax, [ebx]", 2, { 0x03, 0x03 }, BOTH },
		{ "adc [ebx], 1", 3, { 0x83, 0x13, 1 }, BOTH | MODIFIES },
	{ "cmp [ebx], eax", 2, { 0x39, 0x03 }, BOTH }, { "neg [ebx]", 2, { 0xf7, 0x1b }, BOTH | MODIFIES },
		{ "inc [ebx]", 2, { 0xff, 0x03 }, BOTH | MODIFIES },
	{ "shl [ebx], 3", 3, { 0xc1, 0x23, 3 }, BOTH | MODIFIES },
		{ "rcr [ebx], cl", 2, { 0xd3, 0x1b }, BOTH | MODIFIES },
	{ "shld [ebx], eax, 5", 4, { 0x0f, 0xa4, 0x03, 5 }, BOTH | MODIFIES },
		{ "bts [ebx], 3", 4, { 0x0f, 0xba, 0x2b, 3 }, BOTH | MODIFIES },
	{ "mul [ebx]", 2, { 0xf7, 0x23 }, BOTH }, { "xchg [ebx], eax", 2, { 0x87, 0x03 }, BOTH | MODIFIES },
		{ "xadd [ebx], eax", 3, { 0x0f, 0xc1, 0x03 }, BOTH | MODIFIES },
	{ "cmpxchg [ebx], ecx", 3, { 0x0f, 0xb1, 0x0b }, BOTH | MODIFIES },
		{ "cmpxchg8b [ebx]", 3, { 0x0f, 0xc7, 0x0b }, BOTH | MODIFIES },
	{ "lock add [ebx], eax", 3, { 0xf0, 0x01, 0x03 }, BOTH | MODIFIES },
		{ "setc [ebx]", 3, { 0x0f, 0x92, 0x03 }, BOTH }, { "cmovz eax, [ebx]", 3, { 0x0f, 0x44, 0x03 }, BOTH },
	{ "movsb", 1, { 0xa4 }, BOTH }, { "movsd", 1, { 0xa5 }, BOTH }, { "stosd", 1, { 0xab }, BOTH },
		{ "lodsd", 1, { 0xad }, BOTH },
	{ "cmpsd", 1, { 0xa7 }, BOTH }, { "scasd", 1, { 0xaf }, BOTH }, { "sgdt [ebx]", 3, { 0x0f, 0x01, 0x03 }, BOTH },
	{ "fld tword [ebx]", 2, { 0xdb, 0x2b }, BOTH }, { "fstp tword [ebx]", 2, { 0xdb, 0x3b }, BOTH },
		{ "fstp qword [ebx]", 2, { 0xdd, 0x1b }, BOTH },
	{ "fistp dword [ebx]", 2, { 0xdb, 0x1b }, BOTH }, { "fbstp [ebx]", 2, { 0xdf, 0x33 }, BOTH },
		{ "fnsave [ebx]", 2, { 0xdd, 0x33 }, BOTH },
	{ "fnstenv [ebx]", 2, { 0xd9, 0x33 }, BOTH }, { "fldenv [ebx]", 2, { 0xd9, 0x23 }, BOTH },
		{ "frstor [ebx]", 2, { 0xdd, 0x23 }, BOTH },
	{ "fxsave [ebx]", 3, { 0x0f, 0xae, 0x03 }, BOTH | ALIGNED }, { "fxrstor [ebx]", 3, { 0x0f, 0xae, 0x0b }, BOTH |
		ALIGNED },
	{ "movups [ebx], xmm0", 3, { 0x0f, 0x11, 0x03 }, BOTH }, { "movups xmm0, [ebx]", 3, { 0x0f, 0x10, 0x03 },
		BOTH },
	{ "movq [ebx], xmm0", 4, { 0x66, 0x0f, 0xd6, 0x03 }, BOTH },
		{ "addsd xmm0, [ebx]", 4, { 0xf2, 0x0f, 0x58, 0x03 }, BOTH },
	{ "paddb mm0, [ebx]", 3, { 0x0f, 0xfc, 0x03 }, BOTH }, { "ldmxcsr [ebx]", 3, { 0x0f, 0xae, 0x13 }, BOTH },
		{ "stmxcsr [ebx]", 3, { 0x0f, 0xae, 0x1b }, BOTH },
	{ "maskmovdqu xmm0, xmm1", 4, { 0x66, 0x0f, 0xf7, 0xc1 }, BOTH }, { "mov [ebx], fs", 2, { 0x8c, 0x23 }, BOTH },
};

static bool in64;

static void entry(u64 linear, unsigned flags)
{
	unsigned size = in64 ? 8 : 4;

	put_size(ram->host + PT + (linear >> PAGE_SHIFT) * size, size, (linear & PAGE_MASK) | flags);
}

/* The machine before INSN, with the operand OFFSET bytes from the page's end and the stack likewise. */
static void start(const struct instruction *insn, int offset)
{
	unsigned word = in64 ? 8 : 4;
	u64 frame[5];

	cpu_reset(c, false);
	c->icount = c->idle_ns = 0;
	memset(ram->host, 0, RAM);
	for (u64 a = 0; a < RAM; a += PAGE_SIZE)
		entry(a, 0x63); /* present, writable, accessed, dirty */
	if (in64) {
		put64(ram->host + TABLES, (TABLES + 0x1000) | 0x63);
		put64(ram->host + TABLES + 0x1000, (TABLES + 0x2000) | 0x63);
		put64(ram->host + TABLES + 0x2000, PT | 0x63);
	} else {
		put32(ram->host + TABLES, PT | 0x63);
	}
	put64(ram->host + GDT + 8, in64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	put64(ram->host + GDT + 16, 0x00cf93000000ffff);
	memcpy(ram->host + CODE, insn->bytes, insn->len);
	for (unsigned i = 0; i < 0x400; i++) {
		ram->host[SOURCE - 0x200 + i] = (u8)(i * 7);
		ram->host[TARGET - 0x200 + i] = (u8)(i * 3);
	}
	/* addresses of code, and selectors 0: also what FLDENV and FXRSTOR can take */
	for (int i = -512; i < 512; i += 4)
		put32(ram->host + DATA + offset + i, i & 4 ? 0 : CODE + 0x100);
	c->r[RSP] = STACK + offset;
	for (int i = -256; i < 256; i += (int)word)
		put_size(ram->host + STACK + offset + i, word,
			 insn->len == 2 && insn->bytes[1] == 0xa1 ? 0x10 : CODE + 0x200);
	if (insn->traits & FRAME) {
		frame[0] = CODE + 0x300, frame[1] = 8, frame[2] = FL_1 | FL_C, frame[3] = STACK, frame[4] = 0x10;
		if (insn->bytes[insn->len - 1] == 0xcb) /* far RET has no flags */
			frame[2] = STACK, frame[3] = 0x10;
		for (unsigned i = 0; i < 5; i++)
			put_size(ram->host + STACK + offset + i * word, word, frame[i]);
	}
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .sel = 0x10,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | SEG_G };
	c->seg[CS] = (struct seg){ .limit = 0xffffffff, .sel = 8, .attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A |
		SEG_G | (in64 ? SEG_L : SEG_DB) };
	c->gdtr.base = GDT;
	c->gdtr.limit = 0x17;
	c->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE;
	c->cr3 = TABLES;
	c->cr4 = CR4_OSFXSR | (in64 ? CR4_PAE : 0);
	c->efer = in64 ? EFER_LME | EFER_LMA : 0;
	c->r[RAX] = 0x12345678;
	c->r[RCX] = CODE + 0x180;
	c->r[RDX] = 0x55;
	c->r[RBX] = DATA + (insn->traits & ALIGNED ? (offset & ~15) - 256 : offset);
	if (insn->traits & ALIGNED)
		put32(ram->host + c->r[RBX] + 24, 0x1f80); /* MXCSR of FXRSTOR */
	c->r[RBP] = STACK + offset + 64;
	c->r[RSI] = SOURCE + offset;
	c->r[RDI] = TARGET + offset;
	c->r[RIP] = CODE;
	c->x87.cw = 0x37f;
	c->x87.valid = 0xff;
	for (unsigned i = 0; i < 8; i++) {
		c->x87.st[i].frac = 0xc000000000000000 + i;
		c->x87.st[i].exp = 0x3fff;
		c->v[i].q[0] = 0x4000000000000000 + i;
		c->v[i].q[1] = 0x8080808080808080;
	}
	blocks_flush(c); /* memory was written behind its back */
	cpu_loaded(c);
}

/* A and D bits do not count. */
static bool memory_is(const u8 *image)
{
	return !memcmp(ram->host, image, TABLES) && !memcmp(ram->host + GDT, image + GDT, RAM - GDT);
}

static unsigned fault_count;

static void try(const struct instruction *insn, int offset, u64 page, bool read_only)
{
	u64 state_before, state_after;
	enum cpu_stop stop;
	u32 error;

	start(insn, offset);
	state_before = bare_state();
	memcpy(before, ram->host, RAM);
	ck_assert_msg(cpu_run(c, 1, CLOCK_NEVER) == CPU_LIMIT, "%s: fault %u(%x)", insn->name, c->fault.vector,
		      c->fault.error);
	state_after = bare_state();
	memcpy(after, ram->host, RAM);

	start(insn, offset);
	entry(page, read_only ? 0x61 : 0x62);
	stop = cpu_run(c, 1, CLOCK_NEVER);
	if (stop == CPU_LIMIT) {
		ck_assert_msg(bare_state() == state_after && memory_is(after), "%s at %d", insn->name, offset);
		return;
	}
	fault_count++;
	ck_assert_int_eq(stop, CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, VEC_PF);
	ck_assert_msg((c->cr2 & PAGE_MASK) == page, "%s at %d: cr2 %llx", insn->name, offset,
		      (unsigned long long)c->cr2);
	error = c->fault.error;
	if (read_only)
		ck_assert_uint_eq(error, 3);
	else
		ck_assert_uint_eq(error & ~2u, 0);
	if (insn->traits & MODIFIES)
		ck_assert_uint_eq(error & 2, 2);
	if (page == (DATA & PAGE_MASK) && !(insn->traits & ALIGNED))
		ck_assert_uint_eq(c->cr2, c->r[RBX] > DATA ? c->r[RBX] : DATA); /* the first byte that is in it */
	c->cr2 = 0;
	ck_assert_msg(bare_state() == state_before, "%s at %d changed registers, page %llx", insn->name, offset,
		      (unsigned long long)page);
	ck_assert_msg(memory_is(before), "%s at %d changed memory, page %llx", insn->name, offset,
		      (unsigned long long)page);
	entry(page, 0x63);
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_msg(bare_state() == state_after && memory_is(after), "%s at %d does something else when restarted",
		      insn->name, offset);
}

static void page_faults(unsigned mode)
{
	static const int offsets[] = { -160, -40, -24, -8, -6, -4, -3, -2, -1, 0, 1, 2, 4, 6, 8, 14, 30, 40, 200 };
	static const u64 pages[] = { STACK, DATA, SOURCE, TARGET };

	in64 = mode == IN_64;
	fault_count = 0;
	for (unsigned i = 0; i < ARRAY_LEN(list); i++) {
		unsigned faults = fault_count;

		if (!(list[i].traits & mode))
			continue;
		for (unsigned k = 0; k < ARRAY_LEN(offsets); k++)
			for (unsigned n = 0; n < 4 * ARRAY_LEN(pages); n++)
				try(&list[i], offsets[k], pages[n / 4] - (n & 1 ? PAGE_SIZE : 0), n & 2);
		ck_assert_msg(fault_count > faults || !strcmp(list[i].name, "call ecx"), "%s never faults",
			      list[i].name);
	}
	ck_assert_uint_gt(fault_count, 500);
}

START_TEST(page_faults_32) { page_faults(IN_32); } END_TEST
START_TEST(page_faults_64) { page_faults(IN_64); } END_TEST

/* ---- 16 bits ---- */

static void real_mode(const u8 *code, unsigned len)
{
	static const struct instruction none = { "", 0, { 0 }, IN_32 };

	in64 = false;
	start(&none, 0);
	c->cr0 = CR0_ET;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffff,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A | (i == CS ? SEG_CODE : 0),
					  .sel = i == CS ? 0 : 0x1000,
					  .base = i == CS ? 0 : 0x10000 };
	memcpy(ram->host + CODE, code, len);
	blocks_flush(c); /* memory was written behind its back */
	cpu_loaded(c);
}
#define REAL(...) real_mode((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* A word at FFFFh is beyond the limit; offsets wrap at 64 KBytes; SP wraps, and a push from 1 is #SS (SDM vol. 3, 22.33
 * and 21.1.1). */
START_TEST(wraps_16)
{
	REAL(0x8b, 0x07); /* mov ax, [bx] */
	c->r[RBX] = 0xffff;
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, VEC_GP);
	REAL(0x8a, 0x47, 0x10); /* mov al, [bx + 16]: FFF8h + 16 = 8 */
	c->r[RBX] = 0xfff8;
	ram->host[0x10008] = 0x77;
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RAX] & 0xff, 0x77);
	REAL(0x50, 0x58); /* push ax; pop ax, from SP = 0 */
	c->r[RSP] = 0x12340000;
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RSP], 0x1234fffe);
	ck_assert_int_eq(cpu_run(c, 2, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RSP], 0x12340000);
	REAL(0x50);
	c->r[RSP] = 1;
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, VEC_SS);
	ck_assert_uint_eq(c->r[RSP], 1);
	REAL(0xf3, 0xa4); /* rep movsb over FFFFh wraps SI and DI */
	c->r[RSI] = 0xfffe;
	c->r[RDI] = 0xfffd;
	c->r[RCX] = 8;
	for (unsigned i = 0; i < 8; i++)
		ram->host[0x10000 + ((0xfffe + i) & 0xffff)] = (u8)(0xa0 + i);
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RSI], 6);
	ck_assert_uint_eq(c->r[RDI], 5);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(ram->host[0x10000 + ((0xfffd + i) & 0xffff)], 0xa0 + i);
	REAL(0xa5); /* movsw at FFFFh */
	c->r[RSI] = 0xffff;
	c->r[RDI] = 0;
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, VEC_GP);
	ck_assert_uint_eq(c->r[RSI], 0xffff);
	REAL(0xe9, 0xfd, 0x7f); /* jmp over FFFFh: CODE + 3 + 7FFDh = 10000h */
	ck_assert_int_eq(cpu_run(c, 1, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RIP], 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("faults");
	TCase *t = tcase_create("faults");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, page_faults_32);
	tcase_add_test(t, page_faults_64);
	tcase_add_test(t, wraps_16);
	suite_add_tcase(s, t);
	return bare_run(s);
}
