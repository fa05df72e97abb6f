/* SPDX-License-Identifier: MIT */
/* ENTER, LEAVE, PUSHA, POPA, PUSH and POP on stacks of 16 and 32 bits, with operands of both sizes, round the end of a
 * 16-bit stack: against the pseudo-code of the manual (SDM vol. 2, of each; vol. 3, 6.8.3), written out here once more.
 * The upper half of ESP is never the stack's. */
#include "cpu/op.h"
#include "tests/unit/modes.h"

/* The stack and the two registers as the pseudo-code has them. */
static struct { u32 esp, ebp; bool big; u8 memory[RAM_SIZE]; } want;

static u32 stack_at(u32 r) { return want.big ? r : r & 0xffff; }
static void move(u32 *r, u32 by) { *r = want.big ? *r + by : (*r & 0xffff0000) | ((*r + by) & 0xffff); }

static void push(u32 v, unsigned size)
{
	move(&want.esp, 0 - size);
	put_size(want.memory + stack_at(want.esp), size, v);
}

static u32 pop(unsigned size)
{
	u32 v = (u32)get_size(want.memory + stack_at(want.esp), size);

	move(&want.esp, size);
	return v;
}

static void set_ebp(u32 v, unsigned size) { want.ebp = size == 2 ? (want.ebp & 0xffff0000) | (v & 0xffff) : v; }

static void do_enter(unsigned size, u16 bytes, unsigned level)
{
	u32 frame, old = want.ebp;

	push(old, size);
	frame = want.esp;
	for (unsigned i = 1; i < level; i++) {
		move(&old, 0 - size);
		push((u32)get_size(want.memory + stack_at(old), size), size);
	}
	if (level)
		push(frame, size);
	set_ebp(frame, size);
	move(&want.esp, 0 - (u32)bytes);
}

static void do_leave(unsigned size)
{
	want.esp = want.big ? want.ebp : (want.esp & 0xffff0000) | (want.ebp & 0xffff);
	set_ebp(pop(size), size);
}

static void do_pusha(unsigned size)
{
	u32 esp = want.esp;

	for (unsigned i = 0; i < 8; i++)
		push(i == RSP ? esp : (u32)c->r[i], size);
}

static const u16 sp_cases[] = { 0, 2, 4, 6, 8, 0x10, 0x1e, 0x20, 0x40, 0x8000, 0xfffc, 0xfffe };

static void begin(enum mode m, bool big, u32 esp, u32 ebp)
{
	enter(m, 0);
	load_seg(SS, big ? DATA32(0) : DATA16(0));
	settle();
	for (unsigned i = 0; i < 8; i++)
		c->r[i] = 0x11111111 * (i + 1);
	for (unsigned i = 0; i < 0x100; i += 2) { /* what old frames hold */
		poke16(0xff00 + i, (u16)(0xa500 + i));
		poke16(0xb000 + i, (u16)(0xc300 + i));
	}
	c->r[RSP] = want.esp = esp;
	c->r[RBP] = want.ebp = ebp;
	want.big = big;
}

static void as_wanted(void)
{
	memcpy(want.memory + CODE, ram->host + CODE, 0x100);
	EQ(c->r[RSP], want.esp);
	EQ(c->r[RBP], want.ebp);
	for (unsigned i = 0; memcmp(ram->host, want.memory, RAM_SIZE) && i < RAM_SIZE; i++)
		ck_assert_msg(ram->host[i] == want.memory[i], "%s: byte %x is %02x, not %02x", what, i, ram->host[i],
			      want.memory[i]);
}

/* Of each: operand size, stack size, stack pointer, its upper half, nesting level. */
START_TEST(enter_and_leave)
{
	for (unsigned n = 0; n < 2 * 2 * 2 * ARRAY_LEN(sp_cases) * 5; n++) {
		bool big = n & 1, code32 = n & 2;
		unsigned size = n & 4 ? 4 : 2, level = (u8[]){ 0, 1, 2, 5, 31 }[n / 8 % 5];
		u32 sp = sp_cases[n / 40] & ~(size - 1), esp = big ? 0xa000 + sp % 0x100 : 0x30000 | sp,
		    ebp = big ? 0xb0c0 : 0xabcdffc0;
		u8 code[] = { 0x66, 0xc8, 0x24, 0x00, (u8)(level | 0xe0), 0x66, 0xc9 },
		   *p = code + (size == (code32 ? 4 : 2));

		if (p != code) { /* without prefixes */
			code[5] = 0xc9;
			code[6] = 0x90;
		}
		begin(code32 ? P32 : P16, big, esp, ebp);
		poke(CODE, p, (unsigned)(code + sizeof code - p));
		memcpy(want.memory, ram->host, RAM_SIZE);
		name_case("ENTER 24h, %u of %u bytes, SS.B %d, ESP %x", level, size, big, esp);
		do_enter(size, 0x24, level);
		expect(RETIRED, 0);
		as_wanted();
		name_case("LEAVE of %u bytes, SS.B %d, ESP %x", size, big, esp);
		do_leave(size);
		expect(RETIRED, 0);
		as_wanted();
	}
}
END_TEST

START_TEST(pusha_and_popa)
{
	for (unsigned n = 0; n < 2 * 2 * ARRAY_LEN(sp_cases); n++) {
		bool big = n & 1;
		unsigned size = n & 2 ? 4 : 2;
		u32 esp = big ? 0xa000u + sp_cases[n / 4] % 0x100 : 0x30000 | (sp_cases[n / 4] & ~(size - 1));
		u64 before[8];

		begin(size == 4 ? P32 : P16, big, esp, 0xabcd1234);
		POKE(CODE, 0x60, 0x61);
		memcpy(want.memory, ram->host, RAM_SIZE);
		memcpy(before, c->r, sizeof before);
		name_case("PUSHA of %u bytes, SS.B %d, ESP %x", size, big, esp);
		do_pusha(size);
		expect(RETIRED, 0);
		as_wanted();
		name_case("POPA of %u bytes, SS.B %d, ESP %x", size, big, esp);
		expect(RETIRED, 0);
		for (unsigned i = 0; i < 8; i++)
			EQ(c->r[i], before[i]);
	}
}
END_TEST

/* A word by word walk round the end: SP 0 is before FFFEh, and the upper half stays. */
START_TEST(push_and_pop)
{
	for (unsigned size = 2; size <= 4; size += 2) {
		begin(size == 4 ? P32 : P16, false, 0x5678000c, 0);
		poke(CODE, (const u8[]){ 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x58, 0x59, 0x5a, 0x5b, 0x5e, 0x5f }, 12);
		memcpy(want.memory, ram->host, RAM_SIZE);
		for (unsigned i = 0; i < 6; i++) {
			name_case("PUSH %u of %u bytes", i, size);
			push(i == RSP ? want.esp : i == RBP ? want.ebp : (u32)c->r[i], size);
			expect(RETIRED, 0);
			as_wanted();
		}
		for (unsigned i = 0; i < 6; i++) {
			static const u8 to[] = { RAX, RCX, RDX, RBX, RSI, RDI };
			u32 v = pop(size);

			name_case("POP %u of %u bytes", i, size);
			expect(RETIRED, 0);
			as_wanted();
			EQ(trim(c->r[to[i]], size), v);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stack");
	TCase *t = tcase_create("stack");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, enter_and_leave);
	tcase_add_test(t, pusha_and_popa);
	tcase_add_test(t, push_and_pop);
	return bare_run(s);
}
