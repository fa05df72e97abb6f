/* SPDX-License-Identifier: MIT */
/* The eighteen functions that a backend of the snapshot fuzzer wtf has (its src/wtf/backend.h), of this library alone:
 * what each takes a few lines for, and that they work together. The target is a loop in user mode over a test case. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "lib/vcpu_dump.h"
#include "lib/vcpu_hook.h"
#include "lib/vcpu_snapshot.h"

enum { CODE = 0x1000, INPUT = 0x3000, ABSENT = 0x200000, TABLES = 0x10000, RAM = 0x40000, HANDLER = 0x5000, SPOTS = 64 };
enum result { OK, TIMED_OUT, CRASHED, STOPPED };

static struct backend {
	vcpu *v;
	vcpu_snapshot *start;
	uint64_t limit, random;
	enum result result;
	uint64_t new_coverage[SPOTS];
	unsigned new_count;
	uint8_t covered[0x1000];
	unsigned traced, steps, broke;
} b;

/* ---- the functions ---- */

static void stop(enum result result)
{
	b.result = result;
	vcpu_stop(b.v);
}

static enum vcpu_hook_answer on_block(void *user, struct vcpu_hook_event *e)
{
	uint8_t *seen = &b.covered[e->address & 0xfff];

	(void)user;
	if (!*seen && b.new_count < SPOTS)
		b.new_coverage[b.new_count++] = e->address;
	*seen = 1;
	return VCPU_HOOK_GO;
}

static uint64_t rdrand(void) { return b.random += 0x1111; }

static enum vcpu_hook_answer on_rdrand(void *user, struct vcpu_hook_event *e)
{
	(void)user, (void)e;
	vcpu_set(b.v, VCPU_RBX, rdrand()); /* rdrand rbx */
	return VCPU_HOOK_SKIP;
}

static enum vcpu_hook_answer on_exception(void *user, struct vcpu_hook_event *e)
{
	(void)user;
	if (e->address == 14 && vcpu_get(b.v, VCPU_CR2) >= ABSENT)
		return VCPU_HOOK_GO; /* the guest's affair */
	b.result = CRASHED;
	return VCPU_HOOK_STOP;
}

static int hook(unsigned kinds, uint64_t at, const char *instruction, bool observer,
		enum vcpu_hook_answer (*call)(void *user, struct vcpu_hook_event *e), void *user)
{
	struct vcpu_hook h = { .kinds = kinds, .first = at, .last = at, .instruction = instruction, .observer = observer,
			       .call = call, .user = user };
	int id = vcpu_hook_add(b.v, &h);

	ck_assert_msg(id > 0, "%s", vcpu_error(b.v));
	return id;
}

static void initialize(const void *dump, size_t len, const char *registers)
{
	struct vcpu_config config = { .bare = true, .cpu = "max" };
	char *error = NULL;

	b = (struct backend){ .v = vcpu_new(&config, &error), .limit = 1000000 };
	ck_assert_msg(b.v && vcpu_dump_load(b.v, dump, len, &error), "%s", error);
	ck_assert_msg(vcpu_registers_load(b.v, registers, strlen(registers), &error), "%s", error);
	hook(VCPU_HOOK_BLOCK, 0, NULL, true, on_block, NULL);
	hook(VCPU_HOOK_INSN, 0, "rdrand", false, on_rdrand, NULL);
	hook(VCPU_HOOK_EXCEPTION, 0, NULL, false, on_exception, NULL);
	b.start = vcpu_snapshot_take(b.v);
	ck_assert_ptr_nonnull(b.start);
}

static void set_limit(uint64_t limit) { b.limit = limit; }
static uint64_t get_reg(int reg) { return vcpu_get(b.v, reg); }
static void set_reg(int reg, uint64_t value) { ck_assert(!vcpu_set(b.v, reg, value)); }

static enum result run(const void *input, size_t len)
{
	struct vcpu_stop s;

	b.result = OK;
	b.new_count = 0;
	ck_assert_uint_eq(vcpu_write_linear(b.v, INPUT, input, len), len);
	set_reg(VCPU_RCX, len);
	s = vcpu_run(b.v, b.limit);
	if (s.reason == VCPU_STOP_LIMIT)
		b.result = TIMED_OUT;
	return b.result;
}

static void restore(void) { ck_assert(!vcpu_snapshot_restore(b.v, b.start)); }

static struct vcpu_memory print_run_stats(void) { return vcpu_memory_counts(b.v); }

static enum vcpu_hook_answer on_traced(void *user, struct vcpu_hook_event *e)
{
	(void)e;
	++*(unsigned *)user;
	return VCPU_HOOK_GO;
}

static int set_trace_file(void)
{
	return hook(VCPU_HOOK_INSN | VCPU_HOOK_READ | VCPU_HOOK_WRITE, 0, NULL, true, on_traced, &b.traced);
}

static int enable_single_step(void) { return hook(VCPU_HOOK_INSN, 0, NULL, true, on_traced, &b.steps); }

static enum vcpu_hook_answer on_break(void *user, struct vcpu_hook_event *e)
{
	(void)e;
	((void (*)(void))user)();
	return VCPU_HOOK_GO;
}

static int set_breakpoint(uint64_t at, void (*call)(void))
{
	return hook(VCPU_HOOK_INSN, at, NULL, false, on_break, (void *)call);
}

static bool dirty_gpa(uint64_t at) { return !vcpu_host_written(b.v, at, 1); }
static bool virt_translate(uint64_t at, uint64_t *physical) { return !vcpu_translate(b.v, at, physical); }
static uint8_t *phys_translate(uint64_t at) { return vcpu_host(b.v, at, NULL); }

static bool page_faults_memory_if_needed(uint64_t at, uint64_t len)
{
	return vcpu_page_in(b.v, at, len, false) > 0;
}

static unsigned last_new_coverage(void) { return b.new_count; }

static void revoke_last_new_coverage(void)
{
	while (b.new_count)
		b.covered[b.new_coverage[--b.new_count] & 0xfff] = 0;
}

/* ---- the target ---- */

/*  0  xor eax, eax            the sum of RCX bytes at RDI
 *  2  1: movzx edx, byte [rdi]; add eax, edx; inc rdi; loop 1b
 *  c  cmp eax, 'A'; jne 2f; ud2
 * 13  2: cmp eax, 'B'; jne 4f
 * 18  3: jmp 3b                 a hang
 * 1a  4: rdrand rbx; mov [rsi], rbx
 * 21  nop; hlt */
static const uint8_t code[] = { 0x31, 0xc0, 0x0f, 0xb6, 0x17, 0x01, 0xd0, 0x48, 0xff, 0xc7, 0xe2, 0xf6,
	0x83, 0xf8, 0x41, 0x75, 0x02, 0x0f, 0x0b, 0x83, 0xf8, 0x42, 0x75, 0x02, 0xeb, 0xfe,
	0x48, 0x0f, 0xc7, 0xf3, 0x48, 0x89, 0x1e, 0x90, 0xf4 };
enum { END = CODE + 0x21 };

static bool append(void *user, const void *data, size_t len)
{
	struct { uint8_t *data; size_t len; } *f = user;

	f->data = realloc(f->data, f->len + len);
	memcpy(f->data + f->len, data, len);
	f->len += len;
	return true;
}

static void begin(void)
{
	const uint64_t tables[] = { TABLES, TABLES + 0x1000, TABLES + 0x2000 };
	struct vcpu_config config = { .bare = true, .cpu = "max" };
	struct { uint8_t *data; size_t len; } file = { 0 };
	vcpu *v = vcpu_new(&config, NULL);
	char *registers;

	ck_assert(v && !vcpu_map(v, 0, RAM) && !vcpu_set_mode(v, 64));
	for (unsigned i = 0; i < 3; i++) {
		uint64_t entry = i < 2 ? tables[i + 1] | 0x67 : 0xe7; /* 2 MiB at 0; nothing at ABSENT */

		vcpu_write_physical(v, tables[i], &entry, 8);
	}
	vcpu_write_physical(v, CODE, code, sizeof code);
	ck_assert(!vcpu_set(v, VCPU_CR3, TABLES) && !vcpu_set(v, VCPU_RIP, CODE) && !vcpu_set(v, VCPU_RDI, INPUT) &&
		  !vcpu_set(v, VCPU_RSI, 0x6000) && !vcpu_set(v, VCPU_RSP, 0x8000));
	ck_assert(!vcpu_dump_save(v, append, &file));
	registers = vcpu_registers_json(v);
	initialize(file.data, file.len, registers);
	free(registers);
	free(file.data);
	vcpu_free(v);
}

static void at_end(void)
{
	b.broke++;
	stop(OK);
}

START_TEST(cases)
{
	begin();
	ck_assert_int_gt(set_breakpoint(END, at_end), 0);
	set_limit(5000);
	for (unsigned round = 0; round < 3; round++) {
		b.random = b.broke = 0;
		ck_assert_int_eq(run("\1\2\3", 3), OK);
		ck_assert_uint_eq(get_reg(VCPU_RAX), 6);
		ck_assert_uint_eq(get_reg(VCPU_RBX), 0x1111);
		ck_assert_uint_eq(get_reg(VCPU_RIP), END);
		ck_assert_uint_eq(b.broke, 1);
		ck_assert_int_eq(last_new_coverage() > 0, round != 1);
		restore();
		ck_assert_int_eq(run("A", 1), CRASHED);
		restore();
		ck_assert_int_eq(run("\x21\x21", 2), TIMED_OUT);
		restore();
		ck_assert_int_eq(run("\x40", 1), OK);
		ck_assert_uint_eq(b.broke, 2);
		restore();
		ck_assert_uint_eq(get_reg(VCPU_RIP), CODE);
		ck_assert_uint_eq(*phys_translate(INPUT), 0);
		if (round == 1) {
			memset(b.covered, 0, sizeof b.covered);
		} else {
			ck_assert_int_eq(run("\1\2\3", 3), OK); /* all of it was there */
			ck_assert_uint_eq(last_new_coverage(), 0);
			restore();
		}
	}
	vcpu_free(b.v);
}
END_TEST

START_TEST(memory)
{
	uint64_t physical = 0;
	unsigned covered;

	begin();
	set_breakpoint(END, at_end);
	ck_assert(virt_translate(INPUT + 5, &physical));
	ck_assert_uint_eq(physical, INPUT + 5);
	ck_assert(!virt_translate(ABSENT, &physical));
	ck_assert_ptr_null(phys_translate(RAM));
	*phys_translate(CODE + 0x21) = 0xcc; /* int3, by the host */
	ck_assert(dirty_gpa(CODE + 0x21));
	restore();
	ck_assert_uint_eq(*phys_translate(CODE + 0x21), 0x90); /* it was dirty */
	ck_assert(page_faults_memory_if_needed(ABSENT, 1));
	restore();
	ck_assert(!page_faults_memory_if_needed(CODE, 1));
	ck_assert_int_eq(run("\1", 1), OK);
	covered = last_new_coverage();
	ck_assert_uint_gt(covered, 0);
	revoke_last_new_coverage();
	restore();
	ck_assert_int_eq(run("\1", 1), OK);
	ck_assert_uint_eq(last_new_coverage(), covered);
	ck_assert_uint_gt(print_run_stats().own, 0);
	restore();
	set_reg(VCPU_RSI, 0x7000);
	enable_single_step();
	set_trace_file();
	ck_assert_int_eq(run("\1\2", 2), OK);
	ck_assert_uint_eq(b.steps, 1 + 2 * 4 + 2 + 2 + 1); /* not RDRAND, which is skipped, nor what is behind the end */
	ck_assert_uint_eq(b.traced, b.steps + 2 + 1); /* two reads, a write */
	vcpu_free(b.v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backend");
	TCase *t = tcase_create("backend");
	SRunner *r;
	int failed;

	tcase_add_test(t, cases);
	tcase_add_test(t, memory);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
