/* SPDX-License-Identifier: MIT */
/* The memory of a bare machine: buffers of the caller's, rights, unmapping, dirty pages, and the page fault that a
 * caller asks for. What an access comes to is known from the code that makes it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "lib/vcpu_debug.h"
#include "lib/vcpu_hook.h"
#include "lib/vcpu_snapshot.h"

#define CODE(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
enum { AT = 0x1000, DATA = 0x100010, FAR = 0x200020 };

static vcpu *v;

static void machine(int engine, unsigned bits, const uint8_t *code, size_t len)
{
	struct vcpu_config config = { .bare = true, .engine = engine ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER };

	v = vcpu_new(&config, NULL);
	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(vcpu_map(v, 0, 0x10000), 0);
	ck_assert_int_eq(vcpu_set_mode(v, bits), 0);
	ck_assert_uint_eq(vcpu_write_physical(v, AT, code, len), len);
	vcpu_set(v, VCPU_RIP, AT);
	vcpu_set(v, VCPU_RSP, 0x8000);
	vcpu_set(v, VCPU_RDI, DATA);
	vcpu_set(v, VCPU_RSI, FAR);
}

static void stops(uint64_t rip, unsigned right, uint64_t address, unsigned size, bool there)
{
	struct vcpu_stop stop = vcpu_run(v, 100);

	ck_assert_int_eq(stop.reason, VCPU_STOP_MISSING);
	ck_assert_uint_eq(stop.code, right);
	ck_assert_uint_eq(stop.address, address);
	ck_assert_uint_eq(stop.size, size);
	ck_assert_uint_eq(stop.error, there);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), rip);
}

static void halts(void)
{
	ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_IDLE);
}

/* mov eax, [rdi]; add [rdi+8], rax; jmp rsi */
#define THREE CODE(0x8b, 0x07, 0x48, 0x01, 0x47, 0x08, 0xff, 0xe6)

/* Each access to nothing stops the machine before its instruction, which is executed when memory has come. */
START_TEST(test_nothing)
{
	machine(_i, 64, THREE);
	stops(AT, VCPU_READ, DATA, 4, false);
	stops(AT, VCPU_READ, DATA, 4, false);
	ck_assert_uint_eq(vcpu_instructions(v), 0);
	ck_assert_int_eq(vcpu_map_buffer(v, DATA & ~0xfff, 0x1000, VCPU_READ, NULL), 0);
	vcpu_write_physical(v, DATA, "\1\0\0\0", 4);
	stops(AT + 2, VCPU_WRITE, DATA + 8, 8, true);
	ck_assert_uint_eq(vcpu_instructions(v), 1);
	ck_assert_int_eq(vcpu_protect(v, DATA & ~0xfff, 0x1000, VCPU_READ | VCPU_WRITE), 0);
	stops(FAR, VCPU_EXECUTE, FAR, 1, false);
	ck_assert_int_eq(vcpu_map_buffer(v, FAR & ~0xfff, 0x1000, VCPU_READ | VCPU_WRITE, NULL), 0);
	vcpu_write_physical(v, FAR, "\xf4", 1);
	stops(FAR, VCPU_EXECUTE, FAR, 1, true);
	ck_assert_int_eq(vcpu_protect(v, FAR & ~0xfff, 0x1000, VCPU_EXECUTE), 0);
	halts();
	ck_assert_uint_eq(vcpu_instructions(v), 4);
	vcpu_free(v);
}
END_TEST

/* An instruction whose second page is missing has done nothing; flags stay, too. */
START_TEST(test_whole)
{
	uint64_t value;

	machine(_i, 64, CODE(0xf9, 0x48, 0x11, 0x07, 0xf4)); /* stc; adc [rdi], rax; hlt */
	vcpu_set(v, VCPU_RDI, 0x100ffc);
	vcpu_set(v, VCPU_RAX, 5);
	ck_assert_int_eq(vcpu_map(v, 0x100000, 0x1000), 0);
	ck_assert_int_eq(vcpu_map_buffer(v, 0x101000, 0x1000, VCPU_READ, NULL), 0);
	stops(AT + 1, VCPU_WRITE, 0x101000, 8, true);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RFLAGS) & 1, 1);
	vcpu_read_physical(v, 0x100ffc, &value, 8);
	ck_assert_uint_eq(value, 0);
	ck_assert_int_eq(vcpu_protect(v, 0x101000, 0x1000, VCPU_RIGHTS), 0);
	halts();
	vcpu_read_physical(v, 0x100ffc, &value, 8);
	ck_assert_uint_eq(value, 6);
	vcpu_free(v);
}
END_TEST

/* Code that continues in a page that is not there. */
START_TEST(test_crossing)
{
	machine(_i, 64, CODE(0x90));
	vcpu_write_physical(v, 0xfffe, "\x31\xc0", 2); /* xor eax, eax */
	vcpu_write_physical(v, 0xffff, "\xb8", 1);     /* mov eax, ... */
	vcpu_set(v, VCPU_RIP, 0xffff);
	stops(0xffff, VCPU_EXECUTE, 0x10000, 1, false);
	ck_assert_int_eq(vcpu_map(v, 0x10000, 0x1000), 0);
	vcpu_write_physical(v, 0x10000, "\x78\x56\x34\x12\xf4", 5);
	halts();
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x12345678);
	vcpu_free(v);
}
END_TEST

/* Rights that are taken count at once, also for code that runs, and for pages that were accessed before. */
static enum vcpu_hook_answer take_code(void *user, struct vcpu_hook_event *e)
{
	(void)user;
	ck_assert_int_eq(vcpu_protect(v, e->address & ~0xfffull, 0x1000, VCPU_READ | VCPU_WRITE), 0);
	return VCPU_HOOK_GO;
}

START_TEST(test_taken)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .first = AT + 4, .last = AT + 4, .call = take_code };

	machine(_i, 64, CODE(0xff, 0x07, 0xff, 0x07, 0x90, 0x90, 0xf4)); /* inc dword [rdi] twice; nop; nop; hlt */
	ck_assert_int_eq(vcpu_map(v, DATA & ~0xfff, 0x1000), 0);
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	ck_assert_int_eq(vcpu_protect(v, DATA & ~0xfff, 0x1000, VCPU_READ), 0);
	stops(AT + 2, VCPU_WRITE, DATA, 4, true);
	ck_assert_int_eq(vcpu_protect(v, DATA & ~0xfff, 0x1000, VCPU_WRITE), 0);
	stops(AT + 2, VCPU_READ, DATA, 4, true);
	ck_assert_int_eq(vcpu_protect(v, DATA & ~0xfff, 0x1000, VCPU_RIGHTS), 0);
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	stops(AT + 4, VCPU_EXECUTE, AT + 4, 1, true);
	vcpu_free(v);
}
END_TEST

/* The guest and the caller see each other's bytes in a buffer, and code in it may change. */
START_TEST(test_buffer)
{
	uint8_t *buffer = calloc(1, 0x3001), *odd = buffer + 1; /* of any alignment */
	uint64_t run;

	machine(_i, 64, CODE(0xc7, 0x07, 1, 2, 3, 4, 0xff, 0xe6)); /* mov dword [rdi], 4030201h; jmp rsi */
	ck_assert_int_eq(vcpu_map_buffer(v, DATA & ~0xfff, 0x1000, VCPU_RIGHTS, odd), 0);
	ck_assert_int_eq(vcpu_map_buffer(v, FAR & ~0xfff, 0x2000, VCPU_RIGHTS, odd + 0x1000), 0);
	odd[0x1020] = 0xf4;
	halts();
	ck_assert_mem_eq(odd + 0x10, "\1\2\3\4", 4);
	ck_assert_ptr_eq(vcpu_host(v, FAR, &run), odd + 0x1020);
	ck_assert_uint_eq(run, 0x2000 - 0x20);
	ck_assert_ptr_null(vcpu_host(v, 0x900000, &run));
	memcpy(odd + 0x1020, "\xb3\x07\xf4", 3); /* mov bl, 7 */
	ck_assert_int_eq(vcpu_host_written(v, FAR, 3), 0);
	ck_assert_int_eq(vcpu_host_written(v, 0x201fff, 2), -1);
	vcpu_set(v, VCPU_RIP, FAR);
	halts();
	ck_assert_uint_eq(vcpu_get(v, VCPU_RBX), 7);
	vcpu_free(v);
	free(buffer);
}
END_TEST

/* A part that is unmapped is gone; the rest keeps its bytes; something else may come in its place. */
START_TEST(test_unmap)
{
	uint8_t byte = 0;

	machine(_i, 64, THREE);
	ck_assert_int_eq(vcpu_map(v, 0x100000, 0x4000), 0);
	vcpu_write_physical(v, 0x103010, "\x77", 1);
	ck_assert_int_eq(vcpu_unmap(v, 0x101000, 0x2000), 0);
	ck_assert_int_eq(vcpu_unmap(v, 0x101000, 0x1000), -1);
	ck_assert_int_eq(vcpu_protect(v, 0x100000, 0x2000, 0), -1);
	ck_assert_uint_eq(vcpu_read_physical(v, 0x103010, &byte, 1), 1);
	ck_assert_uint_eq(byte, 0x77);
	ck_assert_uint_eq(vcpu_read_physical(v, 0x101010, &byte, 1), 0);
	vcpu_set(v, VCPU_RDI, 0x101000);
	stops(AT, VCPU_READ, 0x101000, 4, false);
	ck_assert_int_eq(vcpu_map_buffer(v, 0x101000, 0x2000, VCPU_READ, NULL), 0);
	stops(AT + 2, VCPU_WRITE, 0x101008, 8, true);
	ck_assert_int_eq(vcpu_unmap(v, 0x100000, 0x4000), 0);
	ck_assert_uint_eq(vcpu_read_physical(v, 0x103010, &byte, 1), 0);
	vcpu_free(v);
}
END_TEST

/* In a hook of the access that is under way. */
static enum vcpu_hook_answer unmap_it(void *user, struct vcpu_hook_event *e)
{
	++*(unsigned *)user;
	ck_assert_int_eq(vcpu_unmap(v, e->physical & ~0xfffull, 0x1000), 0);
	return VCPU_HOOK_GO;
}

START_TEST(test_unmap_in_callback)
{
	unsigned called = 0;
	struct vcpu_hook h = { .kinds = VCPU_HOOK_READ, .call = unmap_it, .user = &called };

	machine(_i, 64, CODE(0x8b, 0x07, 0x8b, 0x07)); /* mov eax, [rdi] twice */
	ck_assert_int_eq(vcpu_map(v, DATA & ~0xfff, 0x1000), 0);
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	stops(AT + 2, VCPU_READ, DATA, 4, false);
	ck_assert_uint_eq(called, 1);
	vcpu_free(v);
}
END_TEST

/* The pages that the guest, the caller and a restored snapshot have written, and no others. */
START_TEST(test_dirty)
{
	uint64_t pages[8];
	vcpu_snapshot *s;

	/* mov [rdi], eax; mov [rdi+1000h], eax; hlt */
	machine(_i, 64, CODE(0x89, 0x07, 0x89, 0x87, 0, 0x10, 0, 0, 0xf4));
	vcpu_set(v, VCPU_RAX, 5);
	ck_assert_int_eq(vcpu_map(v, 0x100000, 0x8000), 0);
	ck_assert_uint_eq(vcpu_dirty_pages(v, NULL, 0), 1); /* the code */
	ck_assert_int_eq(vcpu_dirty_mark(v), 0);
	ck_assert_uint_eq(vcpu_dirty_pages(v, NULL, 0), 0);
	s = vcpu_snapshot_take(v);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	vcpu_write_physical(v, 0x105000, "x", 1);
	ck_assert_uint_eq(vcpu_dirty_pages(v, pages, 8), 2);
	ck_assert_uint_eq(pages[0], 0x100000);
	ck_assert_uint_eq(pages[1], 0x105000);
	vcpu_dirty_mark(v);
	halts();
	ck_assert_uint_eq(vcpu_dirty_pages(v, pages, 0), 1);
	ck_assert_uint_eq(vcpu_dirty_pages(v, pages, 8), 1);
	ck_assert_uint_eq(pages[0], 0x101000);
	vcpu_dirty_mark(v);
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	ck_assert_uint_eq(vcpu_dirty_pages(v, pages, 8), 3);
	ck_assert_uint_eq(pages[0], 0x100000);
	ck_assert_uint_eq(pages[1], 0x101000);
	ck_assert_uint_eq(pages[2], 0x105000);
	ck_assert_int_eq(vcpu_unmap(v, 0x100000, 0x1000), -1); /* it has a snapshot */
	vcpu_snapshot_free(v, s);
	ck_assert_int_eq(vcpu_unmap(v, 0x100000, 0x1000), 0);
	vcpu_free(v);
}
END_TEST

/* ---- a page fault that the caller asks for ----
 *
 * 32 bits: a page directory at 2000h, a table at 3000h for the first 4 MiB of which 16 pages are there, an IDT at
 * 4000h. The handler of #PF enters the page of CR2 into the table: mov eax, cr2; mov ecx, eax; shr eax, 12;
 * and ecx, ~FFFh; or ecx, 3; mov [3000h + 4 * eax], ecx; add esp, 4; iret */
static const uint8_t handler[] = { 0x0f, 0x20, 0xd0, 0x89, 0xc1, 0xc1, 0xe8, 0x0c, 0x81, 0xe1, 0x00, 0xf0, 0xff, 0xff,
				   0x83, 0xc9, 0x03, 0x89, 0x0c, 0x85, 0x00, 0x30, 0x00, 0x00, 0x83, 0xc4, 0x04, 0xcf };

static void put32(uint64_t address, uint32_t value) { vcpu_write_physical(v, address, &value, 4); }

static void paged(int engine)
{
	machine(engine, 32, CODE(0x90, 0xf4)); /* nop; hlt */
	vcpu_write_physical(v, 0x5000, handler, sizeof handler);
	put32(0x2000, 0x3003);
	for (unsigned i = 0; i < 16; i++)
		put32(0x3000 + 4 * i, i << 12 | 3);
	put32(0x4000 + 14 * 8, 0x5000 | 0x8 << 16);
	put32(0x4000 + 14 * 8 + 4, 0x8e00);
	put32(0x6008, 0xffff);
	put32(0x600c, 0xcf9a00);
	put32(0x6010, 0xffff);
	put32(0x6014, 0xcf9200);
	vcpu_set(v, VCPU_GDTR_BASE, 0x6000);
	vcpu_set(v, VCPU_GDTR_LIMIT, 0x17);
	ck_assert_int_eq(vcpu_set(v, VCPU_CS, 8), 0);
	vcpu_set(v, VCPU_IDTR_BASE, 0x4000);
	vcpu_set(v, VCPU_IDTR_LIMIT, 0x7ff);
	vcpu_set(v, VCPU_CR3, 0x2000);
	vcpu_set(v, VCPU_CR0, 0x80000011);
	vcpu_set(v, VCPU_RIP, AT);
}

static enum vcpu_hook_answer wants_pages(void *user, struct vcpu_hook_event *e)
{
	(void)e;
	++*(unsigned *)user;
	ck_assert_int_ge(vcpu_page_in(v, 0x20ffe, 0x1004, false), 0);
	return VCPU_HOOK_GO;
}

START_TEST(test_page_in)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .first = AT, .last = AT, .call = wants_pages };
	unsigned called = 0;
	uint64_t physical;
	vcpu_snapshot *s;

	h.user = &called;
	paged(_i);
	ck_assert_int_eq(vcpu_page_in(v, AT, 0x2000, true), 0);
	ck_assert_int_eq(vcpu_translate(v, 0x30010, &physical), -1);
	ck_assert_int_eq(vcpu_page_in(v, 0x30010, 4, true), 1);
	ck_assert_int_eq(vcpu_run(v, 8).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR2), 0x30010);
	ck_assert_int_eq(vcpu_translate(v, 0x30010, &physical), 0);
	ck_assert_uint_eq(physical, 0x30010);
	ck_assert_int_eq(vcpu_page_in(v, 0x30010, 4, true), 0);
	s = vcpu_snapshot_take(v);
	ck_assert_int_eq(vcpu_page_in(v, 0x40000, 1, false), 1);
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0); /* it is not the restored machine that was asked */
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 1);
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	vcpu_snapshot_free(v, s);
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	halts();
	ck_assert_uint_eq(called, 4); /* pages 20h, 21h and 22h came; the last call has found all of them */
	ck_assert_int_eq(vcpu_translate(v, 0x22001, &physical), 0);
	ck_assert_int_eq(vcpu_translate(v, 0x23001, &physical), -1);
	vcpu_free(v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map");
	TCase *t = tcase_create("map");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, test_nothing, 0, 2);
	tcase_add_loop_test(t, test_whole, 0, 2);
	tcase_add_loop_test(t, test_crossing, 0, 2);
	tcase_add_loop_test(t, test_taken, 0, 2);
	tcase_add_loop_test(t, test_buffer, 0, 2);
	tcase_add_loop_test(t, test_unmap, 0, 2);
	tcase_add_loop_test(t, test_unmap_in_callback, 0, 2);
	tcase_add_loop_test(t, test_dirty, 0, 2);
	tcase_add_loop_test(t, test_page_in, 0, 2);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
