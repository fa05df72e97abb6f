/* SPDX-License-Identifier: MIT */
/* What the TLB remembers is part of the state: programs that change page tables, with and without telling, and clear
 * accessed and dirty bits, do the same and leave the same whether they run in one piece, in slices, step by step, or
 * are saved and loaded on their way; and when a page fault and INVLPG make it forget (SDM vol. 3, 4.10.4.1). */
#include "tests/unit/bare.h"

enum { RAM = 1 << 20, TABLES = 0x1000, PT = 0x4000, PT_FAR = 0x5000, STACK = 0x7000, CODE = 0x8000, CODE_END = 0xe000,
	FRAMES = 0x80000, NFRAMES = 6,
       WINDOW = 0x100000, FAR = TLB_SIZE * PAGE_SIZE /* the same slots of the TLB */,
       ENTRIES = 64 /* bytes between subroutines in a frame */ };


static u64 seed;
static u32 below(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 20) % n;
}

static void setup(void) { bare_new("max", RAM); }

/* ---- programs ---- */

static u64 window(unsigned i) { return WINDOW + i % NFRAMES * PAGE_SIZE + (i >= NFRAMES ? FAR : 0); }
static u64 entry(unsigned i) { return (i < NFRAMES ? PT + (WINDOW >> PAGE_SHIFT) * 8 : PT_FAR +
	(WINDOW >> PAGE_SHIFT) * 8) + i % NFRAMES * 8; }

static u8 *at;
static void byte(u8 b) { *at++ = b; }
static void number(u64 v) { put32(at, (u32)v), at += 4; }
static void bytes(const char *text, unsigned n) { memcpy(at, text, n), at += n; }

static u32 random_entry(void)
{
	static const u16 flags[] = { 3, 0x23, 0x63, 0x63, 0x163, 0x103, 1, 0x61 };

	return (FRAMES + below(NFRAMES) * PAGE_SIZE) | flags[below(ARRAY_LEN(flags))];
}

static void emit(void)
{
	u64 page = window(below(2 * NFRAMES)), pte = entry(below(2 * NFRAMES)), call;

	switch (below(16)) {
	case 0: case 1: case 2: /* mov [page + x], eax; data, or the number in a subroutine */
		bytes("\x89\x04\x25", 3),
			number(page + (below(3) ? 0x800 + below(0x7f8) : (1 + below(31)) * ENTRIES + 1));
		break;
	case 3: case 4: case 5: /* add eax, [page + x] */
		bytes("\x03\x04\x25", 3), number(page + below(0xffd));
		break;
	case 6: case 7: /* mov qword [entry], imm32 */
		bytes("\x48\xc7\x04\x25", 4), number(pte), number(random_entry());
		break;
	case 8: case 9: /* and byte [entry], ~(A | D) */
		bytes("\x80\x24\x25", 3), number(pte), byte(0x9f);
		break;
	case 10: /* invlpg [page] */
		bytes("\x0f\x01\x3c\x25", 4), number(page);
		break;
	case 11: /* mov cr3, rbx */
		if (!below(3))
			bytes("\x0f\x22\xdb", 3);
		break;
	case 12: /* mov edi, page + x; mov ecx, n; rep stosb */
		byte(0xbf), number(page + 0x800 + below(0x700)), byte(0xb9), number(below(0xf0)), bytes("\xf3\xaa", 2);
		break;
	default: /* call page + subroutine; the last one goes on in the next page */
		call = below(8) ? below(32) * ENTRIES : 0xffd;
		byte(0xe8), number(page + call - (u64)(at + 4 - ram->host));
	}
}

/* Frames of subroutines: add eax, imm32; ret. One crosses into whatever page is mapped behind, whose first bytes end
 * it. */
static void make(u64 number_of_program)
{
	seed = number_of_program * 0x9e3779b97f4a7c15 + 1;
	memset(ram->host, 0, RAM);
	put64(ram->host + TABLES, (TABLES + 0x1000) | 3);
	put64(ram->host + TABLES + 0x1000, (TABLES + 0x2000) | 3);
	put64(ram->host + TABLES + 0x2000, PT | 3);
	put64(ram->host + TABLES + 0x2000 + (FAR >> 21) * 8, PT_FAR | 3);
	for (u64 a = 0; a < RAM; a += PAGE_SIZE)
		put64(ram->host + PT + (a >> PAGE_SHIFT) * 8, a | 3);
	for (unsigned i = 0; i <= NFRAMES; i++) { /* one more behind, for what crosses */
		put64(ram->host + PT + ((WINDOW >> PAGE_SHIFT) + i) * 8, (FRAMES + i % NFRAMES * PAGE_SIZE) | 3);
		put64(ram->host + PT_FAR + ((WINDOW >> PAGE_SHIFT) + i) * 8, (FRAMES + i % NFRAMES * PAGE_SIZE) | 3);
	}
	for (unsigned i = 0; i < NFRAMES; i++) {
		u8 *frame = ram->host + FRAMES + i * PAGE_SIZE;

		for (unsigned k = 0; k < 32; k++) {
			at = frame + k * ENTRIES;
			byte(0x05), number(below(1 << 30)), byte(0xc3);
		}
		at = frame + 0xffd;
		bytes("\x81\xc0\x11", 3);
		at = frame;
		bytes("\x05\x05\x05\x90\x90\xc3", 6);
			/* at once the end of an instruction, 81 C0 11 05 05 05, two NOPs, and RET */
	}
	at = ram->host + CODE;
	while (at < ram->host + CODE_END - 64)
		emit();
	byte(0xf4);
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff,
					  .sel = 0x10,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | SEG_G };
	c->seg[CS].attr = (c->seg[CS].attr & ~(u32)SEG_DB) | SEG_CODE | SEG_L;
	memset(c->r, 0, sizeof c->r);
	c->r[RIP] = CODE;
	c->r[RSP] = STACK;
	c->r[RBX] = c->cr3 = TABLES;
	c->cr0 = CR0_PE | CR0_PG | CR0_ET;
	c->cr4 = CR4_PAE | CR4_PGE;
	c->efer = EFER_LME | EFER_LMA;
	c->eflags = FL_1;
	c->icount = c->idle_ns = 0;
	c->activity = ACTIVITY_RUN;
	c->rep_at = c->shadow_at = 0;
	cpu_set_arith(c, 0);
	blocks_flush(c);
	cpu_loaded(c);
}

static u64 state(void)
{
	return tlb_hash(c, hash64(bare_state(), ram->host, RAM));
}

static void save_and_load(void)
{
	static u64 words[TLB_WORDS];
	unsigned count = tlb_save(c, words);

	if (below(2))
		blocks_flush(c);
	cpu_loaded(c);
	tlb_load(c, words, count);
}

enum how { UNCUT, STEPS, SLICES, LOADED, TAGS };

static u64 run(u64 program, enum how how)
{
	make(program);
	while (how != UNCUT && c->activity == ACTIVITY_RUN) {
		if (how == LOADED)
			save_and_load();
		if (how == TAGS)
			tlb_drop_tags(c);
		if (cpu_run(c, c->icount + (how == STEPS ? 1 : how == SLICES ? 17 : 1 + below(40)),
			CLOCK_NEVER) == CPU_EXCEPTION)
			break;
	}
	if (how == UNCUT)
		cpu_run(c, 1000000, CLOCK_NEVER);
	return state();
}

START_TEST(cut)
{
	for (u64 program = 0; program < 300; program++) {
		u64 first = run(program, UNCUT), count = c->icount;

		ck_assert_uint_gt(count, 100);
		for (enum how how = STEPS; how <= TAGS; how++) {
			u64 now = run(program, how);

			ck_assert_msg(now == first, "program %llu, way %d: %llu instructions of %llu",
				      (unsigned long long)program, how, (unsigned long long)c->icount,
				      (unsigned long long)count);
		}
	}
}
END_TEST

/* ---- what makes it forget ---- */

static bool reads(u64 linear, u64 *v) { return mem_read(c, linear, 4, v); }

START_TEST(page_fault_forgets)
{
	u64 v;

	make(0);
	put32(ram->host + FRAMES, 1);
	put32(ram->host + FRAMES + PAGE_SIZE, 2);
	c->cr0 |= CR0_WP;
	put64(ram->host + entry(0), FRAMES | 1);
	ck_assert(reads(WINDOW, &v) && v == 1);
	put64(ram->host + entry(0), (FRAMES + PAGE_SIZE) | 1);
	ck_assert(reads(WINDOW, &v) && v == 1); /* nobody told it */
	ck_assert(!mem_write(c, WINDOW, 4, 0)); /* #PF: read-only */
	ck_assert(reads(WINDOW, &v) && v == 2);
}
END_TEST

/* A large page, remembered in pieces, goes as a whole; others stay. */
START_TEST(invlpg)
{
	u64 large = TABLES + 0x2000 + 8, v;

	make(0);
	put64(ram->host + large, 0 | 0x83); /* 2 MiB at 2 MiB: physical 0 */
	put32(ram->host + FRAMES, 1);
	ck_assert(reads(0x200000 + FRAMES, &v) && v == 1);
	ck_assert(reads(WINDOW, &v) && v == 1);
	put64(ram->host + large, 0);
	put64(ram->host + entry(0), 0);
	tlb_flush_page(c, 0x200000 + FRAMES + PAGE_SIZE);
	ck_assert(!reads(0x200000 + FRAMES, &v));
	ck_assert(reads(WINDOW, &v) && v == 1);
	tlb_flush_page(c, WINDOW);
	ck_assert(!reads(WINDOW, &v));
}
END_TEST

/* A load of CR3 leaves the code of global pages known, and the ways there; those of others lead to what the tables say
 * by then. With and without a supervisor who has EFLAGS.AC, for whom the ways are others. */
START_TEST(jumps)
{
	for (unsigned ac = 0; ac < 2; ac++) {
		make(0);
		for (unsigned i = 0; i < 4; i++) { /* add eax, 1 << 4i; ret */
			at = ram->host + FRAMES + i * PAGE_SIZE;
			byte(0x05), number(1u << 4 * i), byte(0xc3);
		}
		put64(ram->host + entry(0), FRAMES | 0x103);
		put64(ram->host + entry(1), (FRAMES + PAGE_SIZE) | 3);
		at = ram->host + CODE;
		for (unsigned i = 0; i < 3; i++) {
			byte(0xbe), number(window(0)), bytes("\xff\xd6", 2); /* mov esi, page; call rsi */
			byte(0xbe), number(window(1)), bytes("\xff\xd6", 2);
			bytes("\x48\xc7\x04\x25", 4), number(entry(0)), number((FRAMES + 2 * PAGE_SIZE) | 0x103);
			bytes("\x48\xc7\x04\x25", 4), number(entry(1)), number((FRAMES + 3 * PAGE_SIZE) | 3);
			if (i < 2)
				bytes("\x0f\x22\xdb", 3); /* mov cr3, rbx */
			else
				bytes("\x0f\x01\x3c\x25", 4), number(window(0)); /* invlpg [page] */
		}
		bytes("\xff\xd6\xbe", 3), number(window(0)), bytes("\xff\xd6\xf4", 3);
		if (ac) {
			c->cr4 |= CR4_SMAP;
			c->eflags |= FL_AC;
			update_mode(c);
		}
		cpu_run(c, 1000, CLOCK_NEVER);
		ck_assert_uint_eq(c->activity, ACTIVITY_HALT);
		ck_assert_uint_eq(c->r[RAX], 3 /* page 0: frame 0 */ + (1 << 8) /* and 2 */ +
			(1 << 4) /* page 1: frame 1 */ + (3 << 12) /* and 3 */);
	}
}
END_TEST

/* The TLB does not remember a device's page: each access obeys the tables, by every instruction. */
static u64 device_reads(void *owner, u64 offset, unsigned size) { return *(u8 *)owner + offset * 0x100 + size * 0x1000; }
static u64 written;
static void device_writes(void *owner, u64 offset, unsigned size, u64 value)
{
	written = *(u8 *)owner + offset * 0x100 + size * 0x1000 + (value << 32);
}

START_TEST(device_pages)
{
	enum { DEVICES = 0x200000 };
	static const struct device_ops ops = { device_reads, device_writes, 1, 8 };
	static u8 which[] = { 1, 2 };
	u64 walks;

	make(0);
	for (unsigned i = 0; i < 2; i++)
		space_add_device(&mem, "device", DEVICES + i * PAGE_SIZE, PAGE_SIZE, &ops, &which[i]);
	at = ram->host + CODE;
	bytes("\x8b\x04\x25", 3), number(WINDOW + 8);               /* mov eax, [WINDOW + 8] */
	bytes("\x89\x0c\x25", 3), number(WINDOW + 4), byte(0xf4); /* mov [WINDOW + 4], ecx */
	c->r[RCX] = 7;
	for (unsigned i = 0; i < 12; i++) {
		put64(ram->host + entry(0), (DEVICES + (i / 3 & 1) * PAGE_SIZE) | (i & 4 ? 3 : 0x63));
		walks = c->walks;
		c->r[RIP] = CODE;
		ck_assert_int_eq(cpu_run(c, c->icount + 2, CLOCK_NEVER), CPU_LIMIT);
		ck_assert_uint_eq(c->r[RAX], 0x4801 + (i / 3 & 1));
		ck_assert_uint_eq(written, 0x700004401 + (i / 3 & 1));
		ck_assert_uint_eq(get64(ram->host + entry(0)) & 0x60, 0x60); /* accessed, dirty */
		ck_assert_uint_ge(c->walks - walks, 2);
	}
	put64(ram->host + entry(0), DEVICES | 1);
	c->cr0 |= CR0_WP;
	c->r[RIP] = CODE;
	ck_assert_int_eq(cpu_run(c, c->icount + 2, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.error, 3);
	put64(ram->host + entry(0), FRAMES | 3);
	put32(ram->host + FRAMES + 8, 5);
	c->r[RIP] = CODE;
	ck_assert_int_eq(cpu_run(c, c->icount + 2, CLOCK_NEVER), CPU_LIMIT);
	ck_assert_uint_eq(c->r[RAX], 5);
	ck_assert_uint_eq(get32(ram->host + FRAMES + 4), 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tlb");
	TCase *t = tcase_create("tlb");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, cut);
	tcase_add_test(t, page_fault_forgets);
	tcase_add_test(t, invlpg);
	tcase_add_test(t, jumps);
	tcase_add_test(t, device_pages);
	suite_add_tcase(s, t);
	return bare_run(s);
}
