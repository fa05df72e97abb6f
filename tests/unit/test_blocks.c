/* SPDX-License-Identifier: MIT */
/* Decoded code and the memory that it came from: stores into code by every way, pages that move, instructions in two
 * pages, CS's limit; and where interrupts get in (SDM vol. 3, 6.8, 11.6). 64-bit mode with 4 KiB pages unless a test
 * says otherwise. */
#include <check.h>
#include <stdlib.h>
#include "cpu/cpu.h"

enum { RAM = 256 * 1024, TABLES = 0x1000, PT = 0x4000, IDT = 0x5000, GDT = 0x4800, STACK = 0x7000, CODE = 0x8000,
	HANDLER = 0x6000,
       DATA = 0x10000, LINEAR = 0x20000 /* pages that tests map */, OTHER = 0x30000 };

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c;
static struct event timer;

static void map(u64 linear, u64 entry)
{
	put64(ram->host + PT + (linear >> PAGE_SHIFT) * 8, entry);
	tlb_flush(c, true);
}

#define BYTES_AT(at, ...) memcpy(ram->host + (at), (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void segments(unsigned bits)
{
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = bits == 16 ? 0xffff : 0xffffffff, .sel = bits == 16 ? 0 : 0x10,
			.attr = SEG_P | SEG_S | SEG_W | SEG_A | (bits == 16 ? 0 : SEG_DB | SEG_G) };
	c->seg[CS].attr |= SEG_CODE;
	c->seg[CS].sel = bits == 16 ? 0 : 8;
	if (bits == 64)
		c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_DB) | SEG_L;
	c->cr0 = bits == 16 ? CR0_ET : bits == 32 ? CR0_PE | CR0_ET : CR0_PE | CR0_PG | CR0_ET;
	c->cr4 = bits == 64 ? CR4_PAE : 0;
	c->efer = bits == 64 ? EFER_LME | EFER_LMA : 0;
	cpu_loaded(c);
}

static unsigned acknowledged;
static u8 acknowledge(void *owner)
{
	(void)owner;
	acknowledged++;
	cpu_intr(c, 0, false);
	return 0x20;
}
static void tick(void *owner, u64 late)
{
	(void)owner;
	(void)late;
	cpu_intr(c, 0, true);
}

static void setup(void)
{
	struct cpu_config config = {
		.model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true, .acknowledge = acknowledge
	};

	ck_assert(model_parse(&model, "max", NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(RAM);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, RAM, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	clock_add(&clk, &timer, "timer", tick, NULL);
	ram->written = cpu_code_written;
	ram->owner = c;
	put64(ram->host + TABLES, (TABLES + 0x1000) | 3);
	put64(ram->host + TABLES + 0x1000, (TABLES + 0x2000) | 3);
	put64(ram->host + TABLES + 0x2000, PT | 3);
	for (u64 a = 0; a < RAM; a += PAGE_SIZE)
		put64(ram->host + PT + (a >> PAGE_SHIFT) * 8, a | 3);
	put64(ram->host + GDT + 8, 0x00af9b000000ffff);
	put64(ram->host + GDT + 16, 0x00cf93000000ffff);
	c->gdtr.base = GDT;
	c->gdtr.limit = 0x17;
	c->cr3 = TABLES;
	c->r[RSP] = STACK;
	c->r[RIP] = CODE;
	acknowledged = 0;
	segments(64);
}

static void teardown(void)
{
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

static void run_to(u64 icount) { ck_assert_int_eq(cpu_run(c, icount, CLOCK_NEVER), CPU_LIMIT); }
/* COUNT instructions from AT on. */
static void go(u64 at, unsigned count)
{
	c->r[RIP] = at;
	run_to(c->icount + count);
}
static void faults(u64 at, unsigned vector)
{
	c->r[RIP] = at;
	ck_assert_int_eq(cpu_run(c, c->icount + 10, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, vector);
}

/* ---- stores into code ---- */

/* inc eax = FF C0, dec eax = FF C8 */
START_TEST(next_instruction)
{
	BYTES_AT(CODE, 0xc6, 0x04, 0x25, 9, 0x80, 0, 0, 0xc8 /* mov byte [CODE + 9], C8h */, 0xff, 0xc0 /* inc eax */,
		0xff, 0xc0);
	c->r[RAX] = 10;
	go(CODE, 3);
	ck_assert_uint_eq(c->r[RAX], 10);
	c->r[RAX] = 10; /* the block as it is now */
	ram->host[CODE + 9] = 0xc0, blocks_flush(c);
	go(CODE, 2);
	ck_assert_uint_eq(c->r[RAX], 9);
}
END_TEST

/* A loop that turns its own increment into a decrement in the third round, through [rdi + rcx * 2]. */
START_TEST(own_block)
{
	struct block_counts counts;

	BYTES_AT(CODE, 0xff, 0xc0 /* inc eax */, 0xff, 0xc1 /* inc ecx */, 0x83, 0xf9, 3 /* cmp ecx, 3 */, 0x75,
		4 /* jne +4 */,
		 0x90, 0xc6, 0x07, 0xc8 /* mov byte [rdi], C8h */, 0xeb, 0xf1 /* jmp CODE */);
	c->r[RDI] = CODE + 1;
	c->r[RAX] = c->r[RCX] = 0;
	go(CODE, 2 * 5 + 7); /* two rounds, and the third, which stores */
	ck_assert_uint_eq(c->r[RIP], CODE);
	ck_assert_uint_eq(c->r[RAX], 3);
	/* What the cache counts: a block of all seven, one of JMP; jne to JMP and JMP to the first are linked. */
	counts = blocks_counts(c);
	ck_assert_uint_eq(counts.built[MODE_64], 2);
	ck_assert_uint_eq(counts.ops, 7 + 1);
	ck_assert_uint_eq(counts.bytes, 15 + 2);
	ck_assert_uint_eq(counts.links, 2);
	ck_assert_uint_eq(counts.stale, 1);
	ck_assert_uint_eq(counts.single, 0);
	ck_assert(blocks_stitched(c) ? counts.stitched && counts.code_bytes : !counts.stitched && !counts.code_bytes);
	run_to(c->icount + 5); /* fewer than the block has: one by one */
	ck_assert_uint_eq(c->r[RAX], 2);
	counts = blocks_counts(c);
	ck_assert_uint_eq(counts.single, 5);
	ck_assert_uint_eq(counts.built[MODE_64], 3);
}
END_TEST

/* add eax, imm32 over the page's end: a store to its last byte. */
static void crossing(void)
{
	BYTES_AT(LINEAR + 0xffd, 0x05, 1, 0, 0, 0 /* add eax, 1 */, 0xeb, 0xf9 /* jmp back */);
	c->r[RAX] = 0;
}
START_TEST(second_page)
{
	crossing();
	go(LINEAR + 0xffd, 6);
	ck_assert_uint_eq(c->r[RAX], 3);
	BYTES_AT(CODE, 0xc6, 0x04, 0x25, 1, 0x10, 2, 0, 0x80 /* mov byte [LINEAR + 1001h], 80h */);
	go(CODE, 1);
	c->r[RAX] = 0;
	go(LINEAR + 0xffd, 2);
	ck_assert_uint_eq(c->r[RAX], 0x80000001);
}
END_TEST

START_TEST(dma)
{
	BYTES_AT(CODE, 0xff, 0xc0, 0xeb, 0xfc);
	c->r[RAX] = 0;
	go(CODE, 10);
	ck_assert_uint_eq(c->r[RAX], 5);
	space_write(&mem, CODE + 1, 1, 0xc8);
	run_to(c->icount + 10);
	ck_assert_uint_eq(c->r[RAX], 0);
	space_write_block(&mem, CODE, "\xff\xc1", 2);
	c->r[RCX] = 0;
	run_to(c->icount + 10);
	ck_assert_uint_eq(c->r[RCX], 5);
}
END_TEST

/* REP MOVSB puts other code where it itself and what follows are: it is finished as it began, then the new bytes count.
 * */
START_TEST(string_over_code)
{
	BYTES_AT(CODE, 0xf3, 0xa4 /* rep movsb */, 0xff, 0xc0, 0xff, 0xc0);
	BYTES_AT(DATA, 0x90, 0x90, 0xff, 0xc8, 0xff, 0xc8);
	for (int warm = 0; warm < 2; warm++) {
		BYTES_AT(CODE, 0xf3, 0xa4, 0xff, 0xc0, 0xff, 0xc0);
		blocks_flush(c);
		c->r[RSI] = DATA;
		c->r[RDI] = warm ? CODE : OTHER;
		c->r[RCX] = 6;
		c->r[RAX] = 10;
		go(CODE, 3);
	}
	ck_assert_uint_eq(c->r[RAX], 8);
	ck_assert_uint_eq(ram->host[CODE], 0x90);
}
END_TEST

/* One physical page at two linear addresses: a store through either changes both. */
START_TEST(aliases)
{
	map(LINEAR, OTHER | 3);
	BYTES_AT(OTHER, 0xff, 0xc0, 0xeb, 0xfc);
	c->r[RAX] = 0;
	go(OTHER, 4);
	go(LINEAR, 4);
	ck_assert_uint_eq(c->r[RAX], 4);
	BYTES_AT(CODE, 0xc6, 0x04, 0x25, 1, 0, 2, 0, 0xc8 /* mov byte [LINEAR + 1], C8h */);
	go(CODE, 1);
	go(OTHER, 4);
	ck_assert_uint_eq(c->r[RAX], 2);
	go(LINEAR, 4);
	ck_assert_uint_eq(c->r[RAX], 0);
}
END_TEST

/* One page of RAM at two physical addresses, as a ROM has them, or as with A20 off: a store at either changes both,
 * also when nothing is left of what was decoded at the other. */
START_TEST(physical_aliases)
{
	if (_i)
		space_set_mask(&mem, ~(u64)MiB);
	else
		ck_assert_int_ge(space_add_ram(&mem, "again", MiB, RAM, ram, 0, false), 0);
	map(LINEAR, (MiB + OTHER) | 3);
	for (unsigned n = 0; n < 4; n++) {
		u8 minus = n & 1 ? 0xc0 : 0xc8;
		u32 by = n & 1 ? OTHER + 1 : LINEAR + 1;

		if (!n)
			BYTES_AT(OTHER, 0xff, 0xc0, 0xeb, 0xfc); /* inc eax; jmp OTHER */
		c->r[RAX] = 100;
		go(OTHER, 4);
		go(LINEAR, 4);
		ck_assert_uint_eq(c->r[RAX], n & 1 ? 96 : 104);
		space_write_block(&mem, CODE, (u8[]){ 0xc6, 0x03, minus }, 3); /* mov byte [rbx], ... */
		c->r[RBX] = by;
		go(CODE, 1);
		c->r[RAX] = 100;
		go(n & 2 ? OTHER : LINEAR, 4);
		ck_assert_uint_eq(c->r[RAX], n & 1 ? 102 : 98);
	}
	/* Only the second one is decoded: writes at the first are seen all the same, by the processor and by others. */
	blocks_flush(c);
	BYTES_AT(CODE, 0xc6, 0x03, 0xc8);
	BYTES_AT(OTHER, 0xff, 0xc0, 0xeb, 0xfc);
	c->r[RBX] = OTHER + 1;
	c->r[RAX] = 100;
	go(LINEAR, 4);
	go(CODE, 1);
	go(LINEAR, 4);
	ck_assert_uint_eq(c->r[RAX], 100);
	space_write(&mem, OTHER + 1, 1, 0xc0);
	go(LINEAR, 4);
	ck_assert_uint_eq(c->r[RAX], 102);
}
END_TEST

/* Bytes beside code are stored without the decode cache's hearing of it, which `labour' shows; but not code, and not
 * where a snapshot or MONITOR wants to know. */
START_TEST(beside_code)
{
	u8 *flags = &ram->pages[OTHER >> PAGE_SHIFT];
	u32 labour;

	BYTES_AT(OTHER + 0x80, 0xff, 0xc0, 0xeb, 0xfc); /* inc eax; jmp -4 */
	BYTES_AT(CODE, 0xc7, 0x03, 0x00, 0x00, 0x00, 0xff); /* mov dword [rbx], FF000000h */
	BYTES_AT(CODE + 0x10, 0x80, 0x03, 0x08); /* add byte [rbx], 8 */
	go(OTHER + 0x80, 2);
	c->r[RBX] = OTHER + 0x100;
	go(CODE, 1);
	labour = c->labour;
	for (u64 at = OTHER; at < OTHER + 0x200; at += 0x7c) { /* up to the code, and behind it */
		c->r[RBX] = at;
		go(CODE, 1);
		go(CODE + 0x10, 1);
		ck_assert_uint_eq(get32(ram->host + at), 0xff000008);
	}
	ck_assert_uint_eq(c->labour, labour);
	*flags &= (u8)~PAGE_SINCE;
	tlb_drop_writes(c);
	go(CODE, 1);
	ck_assert_uint_eq(*flags & PAGE_DIRTY, PAGE_DIRTY);
	c->r[RBX] = OTHER + 0x7d; /* its last byte is the first of the code, and stays */
	go(CODE, 1);
	ck_assert_uint_ne(c->labour, labour);
	c->r[RBX] = OTHER + 0x81;
	go(CODE + 0x10, 1);
	c->r[RAX] = 10;
	go(OTHER + 0x80, 4);
	ck_assert_uint_eq(c->r[RAX], 8);
	c->monitor_phys = OTHER + 0x100;
	c->monitor_armed = true;
	monitor_watch(c);
	c->r[RBX] = OTHER + 0x104;
	go(CODE, 1);
	ck_assert(!c->monitor_armed);
}
END_TEST

/* What is stored is later executed, and stored to again: beside other stores, by stitched blocks too, to every byte. */
START_TEST(data_becomes_code)
{
	BYTES_AT(OTHER, 0xff, 0xc0, 0xeb, 0xfc); /* inc eax; jmp -4 */
	BYTES_AT(CODE, 0x88, 0x0b, 0x66, 0x89, 0x55, 0x00, 0x57, 0x5f); /* mov [rbx], cl; mov [rbp], dx; push rdi; pop rdi */
	go(OTHER, 2);
	c->r[RSP] = OTHER + 0x160;
	for (unsigned i = 0; i < 200; i++) {
		u64 code = OTHER + 0x100 + i % 61;

		ram->host[code] = 0xff, ram->host[code + 1] = 0xc0; /* unseen: nothing was decoded from it */
		ram->host[code + 2] = 0xeb, ram->host[code + 3] = 0xfc;
		c->r[RBP] = code - 6;
		c->r[RBX] = code - 3;
		go(CODE, 4);
		go(CODE, 4);
		c->r[RAX] = 10;
		go(code, 4);
		ck_assert_uint_eq(c->r[RAX], 12);
		c->r[RBX] = code + 1;
		c->r[RCX] = 0xc8;
		go(CODE, 4);
		go(code, 4);
		ck_assert_uint_eq(c->r[RAX], 10);
		space_write(&mem, code, 4, 0); /* no block is left there */
	}
}
END_TEST

/* ---- pages that move ---- */

START_TEST(remapped)
{
	map(LINEAR, OTHER | 3);
	map(LINEAR + 0x1000, LINEAR | 3);
	BYTES_AT(OTHER, 0xff, 0xc0, 0xc3); /* inc eax, ret */
	BYTES_AT(LINEAR, 0xff, 0xc8, 0xc3);
	/* call LINEAR; mov [page table entry], rbx; invlpg [LINEAR]; call LINEAR */
	BYTES_AT(CODE, 0xe8, 0xfb, 0x7f, 1, 0, 0x48, 0x89, 0x1c, 0x25, 0, 0x41, 0, 0, 0x0f, 0x01, 0x3c, 0x25, 0, 0, 2,
		0, 0xe8, 0xe6, 0x7f, 1, 0);
	c->r[RBX] = LINEAR | 3;
	c->r[RAX] = 10;
	go(CODE, 3);
	ck_assert_uint_eq(c->r[RAX], 11);
	run_to(c->icount + 5);
	ck_assert_uint_eq(c->r[RAX], 10);
	ck_assert_uint_eq(c->r[RIP], CODE + 26);
}
END_TEST

/* A device puts other memory over the page that the processor is in, and takes it away: what comes next is what is
 * there then. */
static struct ram *cover;
static int covering = -1;
static void cover_or_not(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)owner, (void)offset, (void)size, (void)value;
	if (covering >= 0) {
		space_remove(&mem, covering);
		covering = -1;
	} else {
		covering = space_add_ram(&mem, "cover", CODE, PAGE_SIZE, cover, 0, true);
	}
}
static void changed(void *cpu) { cpu_map_changed(cpu); }

START_TEST(covered)
{
	static const struct device_ops ops = { .write = cover_or_not, .max = 1 };

	cover = ram_new(PAGE_SIZE);
	mem.changed = changed;
	mem.owner = c;
	ck_assert_int_ge(space_add_device(&io, "switch", 0x10, 1, &ops, NULL), 0);
	BYTES_AT(CODE, 0xe6, 0x10 /* out 10h, al */, 0xff, 0xc0 /* inc eax */, 0x90, 0xeb, 0xf9 /* jmp CODE */);
	memcpy(cover->host, (const u8[]){ 0xe6, 0x10, 0xff, 0xc1 /* inc ecx */, 0x90, 0xeb, 0xf9 }, 7);
	c->r[RAX] = c->r[RCX] = 0;
	go(CODE, 4000);
	ck_assert_uint_eq(c->r[RAX], 500);
	ck_assert_uint_eq(c->r[RCX], 500);
	mem.changed = NULL;
	ram_free(cover);
}
END_TEST

/* The second page of a crossing instruction is another one, is absent, is physical page 0, is the same page as the
 * first. */
START_TEST(second_page_moves)
{
	crossing();
	go(LINEAR + 0xffd, 4);
	ck_assert_uint_eq(c->r[RAX], 2);
	BYTES_AT(OTHER, 0, 0x40, 0xeb, 0xf9);
	map(LINEAR + 0x1000, OTHER | 3);
	go(LINEAR + 0xffd, 2);
	ck_assert_uint_eq(c->r[RAX], 0x40000003);
	map(LINEAR + 0x1000, 0);
	faults(LINEAR + 0xffd, VEC_PF);
	ck_assert_uint_eq(c->cr2, LINEAR + 0x1000);
	ck_assert_uint_eq(c->fault.error, 0);
	ck_assert_uint_eq(c->r[RIP], LINEAR + 0xffd);
	ck_assert_uint_eq(c->r[RAX], 0x40000003);
	BYTES_AT(0, 0, 0x20, 0xeb, 0xf9);
	map(LINEAR + 0x1000, 0 | 3);
	go(LINEAR + 0xffd, 4);
	ck_assert_uint_eq(c->r[RAX], 0x80000005);
	map(LINEAR + 0x1000, OTHER | 3);
	go(LINEAR + 0xffd, 2);
	ck_assert_uint_eq(c->r[RAX], 0xc0000006);
	BYTES_AT(LINEAR, 0, 0x10, 0xeb, 0xf9);
	map(LINEAR + 0x1000, LINEAR | 3);
	c->r[RAX] = 0;
	go(LINEAR + 0xffd, 4);
	ck_assert_uint_eq(c->r[RAX], 0x20000002);
	space_write(&mem, LINEAR + 1, 1, 0x11);
	go(LINEAR + 0xffd, 2);
	ck_assert_uint_eq(c->r[RAX], 0x31000003);
}
END_TEST

/* An instruction that faults on its second page when it is jumped to: the jump is done. */
START_TEST(not_present)
{
	crossing();
	map(LINEAR + 0x1000, 0);
	BYTES_AT(CODE, 0x90, 0xff, 0xe3); /* jmp rbx */
	c->r[RBX] = LINEAR + 0xffd;
	faults(CODE, VEC_PF);
	ck_assert_uint_eq(c->icount, 2);
	ck_assert_uint_eq(c->r[RIP], LINEAR + 0xffd);
	ck_assert_uint_eq(c->cr2, LINEAR + 0x1000);
	map(LINEAR, 0);
	faults(CODE, VEC_PF);
	ck_assert_uint_eq(c->cr2, LINEAR + 0xffd);
}
END_TEST

/* ---- the limit of CS ---- */

START_TEST(code_limit)
{
	segments(32);
	memset(ram->host + CODE, 0x40, 64); /* inc eax */
	BYTES_AT(CODE + 8, 0x05, 1, 0, 0, 0); /* add eax, 1 */
	for (int round = 0; round < 3; round++)
		for (unsigned limit = CODE + 5; limit < CODE + 20; limit++) {
			unsigned can = limit < CODE + 8 ? limit + 1 - CODE : limit < CODE + 12 ? 8 : limit - CODE - 3;

			c->seg[CS].limit = limit;
			seg_update(c, CS);
			c->r[RAX] = 0;
			c->r[RIP] = CODE;
			ck_assert_int_eq(cpu_run(c, c->icount + 100, CLOCK_NEVER), CPU_EXCEPTION);
			ck_assert_uint_eq(c->fault.vector, VEC_GP);
			ck_assert_uint_eq(c->fault.error, 0);
			ck_assert_uint_eq(c->r[RAX], can);
			ck_assert_uint_eq(c->r[RIP], CODE + (can <= 8 ? can : can + 4));
		}
	c->seg[CS].limit = CODE + 3;
	seg_update(c, CS);
	BYTES_AT(CODE, 0xeb, 0x10); /* a jump out: its own fault */
	blocks_flush(c);
	faults(CODE, VEC_GP);
	ck_assert_uint_eq(c->r[RIP], CODE);
}
END_TEST

/* ---- interrupts ---- */

static void interrupts(void)
{
	put64(ram->host + IDT + 16 * 0x20, (u64)8 << 16 | (u64)0x8e << 40 | HANDLER);
	put64(ram->host + IDT + 16 * 2, (u64)8 << 16 | (u64)0x8e << 40 | (HANDLER + 0x10));
	put64(ram->host + IDT + 16 * 1, (u64)8 << 16 | (u64)0x8e << 40 | (HANDLER + 0x20));
	for (int i = 0; i < 3; i++)
		BYTES_AT(HANDLER + 0x10 * i, 0x48, 0xcf);
	c->idtr.base = IDT;
	c->idtr.limit = 0xfff;
	c->bare = false;
}

/* The event 23 ns ahead comes after 23 instructions exactly. */
START_TEST(exact)
{
	for (int cut = 0; cut < 2; cut++) {
		u64 begin = c->icount;

		interrupts();
		memset(ram->host + CODE, 0x90, 0x100);
		c->eflags |= FL_I;
		c->r[RIP] = CODE;
		c->r[RSP] = STACK;
		clock_arm(&clk, &timer, cpu_now(c) + 23);
		if (cut)
			for (int i = 0; i < 23; i++)
				run_to(c->icount + 1);
		run_to(begin + 24); /* one more, which is IRET */
		ck_assert_uint_eq(acknowledged, (unsigned)cut + 1);
		ck_assert_uint_eq(get64(ram->host + STACK - 40), CODE + 23);
		ck_assert_uint_eq(c->r[RIP], CODE + 23);
	}
}
END_TEST

/* What the TLB knows does not tell where a run was cut: between STAC and CLAC neither. */
START_TEST(cut_under_ac)
{
	u64 known[2];

	for (int cut = 0; cut < 2; cut++) {
		/* stac; nop; nop; clac; inc ecx; jmp CODE */
		BYTES_AT(CODE, 0x0f, 0x01, 0xcb, 0x90, 0x90, 0x0f, 0x01, 0xca, 0xff, 0xc1, 0xeb, 0xf4);
		c->cr4 |= CR4_SMAP;
		cpu_loaded(c);
		tlb_flush(c, true);
		c->r[RIP] = CODE;
		c->r[RCX] = 0;
		for (int i = 0; cut && i < 60; i++)
			run_to(c->icount + 1);
		if (!cut)
			run_to(c->icount + 60);
		ck_assert_uint_eq(c->r[RCX], 10);
		known[cut] = tlb_hash(c, 0);
	}
	ck_assert_uint_eq(known[0], known[1]);
}
END_TEST

/* STI: the next instruction is executed first; STI CLI opens nothing; IF that was set already shades nothing (SDM vol.
 * 2, STI). */
START_TEST(sti_shadow)
{
	interrupts();
	for (unsigned round = 1; round < 4; round++) {
		BYTES_AT(CODE, 0xfb, 0xfa, 0xfb, 0x90, 0x90, 0x90, 0x90);
		c->eflags &= ~(u32)FL_I;
		c->r[RSP] = STACK;
		c->r[RIP] = CODE;
		cpu_intr(c, 0, true);
		run_to(c->icount + 4);
		ck_assert_uint_eq(c->r[RIP], CODE + 4);
		ck_assert_uint_eq(acknowledged, round - 1);
		run_to(c->icount + 1); /* taken before the next: that is IRET */
		ck_assert_uint_eq(acknowledged, round);
		ck_assert_uint_eq(c->r[RIP], CODE + 4);
	}
}
END_TEST

/* MOV SS holds INTR and NMI off for one instruction. */
START_TEST(mov_ss_shadow)
{
	interrupts();
	BYTES_AT(CODE, 0x8e, 0xd0, 0x90, 0x90);
	for (int nmi = 0; nmi < 2; nmi++) {
		u64 begin = c->icount;

		c->r[RAX] = 0x10;
		c->r[RIP] = CODE;
		c->r[RSP] = STACK;
		c->eflags |= FL_I;
		run_to(begin + 1);
		if (nmi)
			cpu_nmi(c, 0, true);
		else
			cpu_intr(c, 0, true);
		run_to(begin + 2);
		ck_assert_uint_eq(c->r[RIP], CODE + 3);
		ck_assert_uint_eq(c->r[RSP], STACK);
		run_to(begin + 3); /* the handler's IRET */
		ck_assert_uint_eq(c->r[RIP], CODE + 3);
		ck_assert_uint_eq(get64(ram->host + STACK - 40), CODE + 3);
		memset(ram->host + STACK - 40, 0, 40);
		ck_assert(!c->nmi_pending);
	}
}
END_TEST

/* HLT sleeps until the event and goes on behind it; without IF it sleeps until an NMI. */
START_TEST(hlt)
{
	u64 begin;

	interrupts();
	BYTES_AT(CODE, 0xf4, 0x90, 0x90);
	c->eflags |= FL_I;
	clock_arm(&clk, &timer, 1000);
	go(CODE, 2); /* HLT, IRET */
	ck_assert_uint_eq(c->r[RIP], CODE + 1);
	ck_assert_uint_eq(cpu_now(c), 1001);
	ck_assert_uint_eq(c->icount, 2);
	c->eflags &= ~(u32)FL_I;
	c->r[RIP] = CODE;
	begin = c->icount;
	ck_assert_int_eq(cpu_run(c, begin + 5, CLOCK_NEVER), CPU_DEAD_HALT);
	ck_assert_uint_eq(c->icount, begin + 1);
	cpu_nmi(c, 0, true);
	run_to(begin + 3);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
}
END_TEST

/* A second NMI waits until IRET. */
START_TEST(nmi_blocked)
{
	interrupts();
	BYTES_AT(CODE, 0x90, 0x90, 0x90);
	BYTES_AT(HANDLER + 0x10, 0x90, 0x90, 0x48, 0xcf);
	cpu_nmi(c, 0, true);
	go(CODE, 1);
	ck_assert_uint_eq(c->r[RIP], HANDLER + 0x11);
	cpu_nmi(c, 0, true);
	run_to(c->icount + 1);
	ck_assert_uint_eq(c->r[RIP], HANDLER + 0x12);
	run_to(c->icount + 1);
	ck_assert_uint_eq(c->r[RIP], CODE);
	run_to(c->icount + 1);
	ck_assert_uint_eq(c->r[RIP], HANDLER + 0x11);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("blocks");
	TCase *t = tcase_create("blocks");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, next_instruction);
	tcase_add_test(t, own_block);
	tcase_add_test(t, second_page);
	tcase_add_test(t, dma);
	tcase_add_test(t, string_over_code);
	tcase_add_test(t, aliases);
	tcase_add_loop_test(t, physical_aliases, 0, 2);
	tcase_add_test(t, beside_code);
	tcase_add_test(t, data_becomes_code);
	tcase_add_test(t, remapped);
	tcase_add_test(t, covered);
	tcase_add_test(t, second_page_moves);
	tcase_add_test(t, not_present);
	tcase_add_test(t, code_limit);
	tcase_add_test(t, exact);
	tcase_add_test(t, cut_under_ac);
	tcase_add_test(t, sti_shadow);
	tcase_add_test(t, mov_ss_shadow);
	tcase_add_test(t, hlt);
	tcase_add_test(t, nmi_blocked);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
