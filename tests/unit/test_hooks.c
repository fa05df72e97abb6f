/* SPDX-License-Identifier: MIT */
/* Hooks: they are called as often, and with what, the guest's code says; what they change, the guest sees; those that
 * only look change nothing. The numbers are known from the code, not from the library. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "lib/vcpu_debug.h"
#include "lib/vcpu_hook.h"
#include "lib/vcpu_snapshot.h"

#define CODE(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
enum { AT = 0x1000, OTHER = 0x3000, STACK = 0x8000, DATA = 0x9000, ROUNDS = 1000 };

static vcpu *v;

static vcpu *machine(int engine, const uint8_t *code, size_t len)
{
	struct vcpu_config config = { .bare = true,
				      .engine = engine ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER };

	v = vcpu_new(&config, NULL);
	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(vcpu_map(v, 0, 0x10000), 0);
	ck_assert_int_eq(vcpu_set_mode(v, 64), 0);
	ck_assert_uint_eq(vcpu_write_physical(v, AT, code, len), len);
	vcpu_write_physical(v, OTHER, "\xf4", 1);
	vcpu_set(v, VCPU_RIP, AT);
	vcpu_set(v, VCPU_RSP, STACK);
	vcpu_set(v, VCPU_RDI, DATA);
	return v;
}

/* ---- a log of calls, with an answer for each ---- */

enum { LOG_MAX = 8 };
static struct log {
	unsigned calls, taken;
	uint64_t sum;                  /* of what was logged, in order */
	struct vcpu_hook_event event[LOG_MAX];
	uint64_t rip, instructions;    /* at the last call */
	bool exact;                    /* RIP and count were always those of the event */
	enum vcpu_hook_answer answer;
	void (*act)(struct vcpu_hook_event *e);
} l;

static enum vcpu_hook_answer note(void *user, struct vcpu_hook_event *e)
{
	struct log *log = user;

	if (log->calls < LOG_MAX)
		log->event[log->calls] = *e;
	log->calls++;
	log->taken += e->kind == VCPU_HOOK_EDGE && e->taken;
	log->rip = vcpu_get(v, VCPU_RIP);
	log->instructions = vcpu_instructions(v);
	log->exact &= log->rip == e->address;
	log->sum = (log->sum + e->address + log->instructions) * 0x9e3779b97f4a7c15;
	if (log->act)
		log->act(e);
	return log->answer;
}

static int hook(unsigned kinds, uint64_t first, uint64_t last, bool observer)
{
	struct vcpu_hook h = { .kinds = kinds, .first = first, .last = last, .observer = observer, .call = note,
			       .user = &l };
	int id = vcpu_hook_add(v, &h);

	ck_assert_int_gt(id, 0);
	return id;
}

static void fresh(void) { l = (struct log){ .exact = true }; }

static void run_to_hlt(uint64_t step)
{
	struct vcpu_stop stop;

	do
		stop = vcpu_run(v, step);
	while (stop.reason == VCPU_STOP_LIMIT);
	ck_assert_int_eq(stop.reason, VCPU_STOP_IDLE);
}

/* mov ecx, ROUNDS; 1: dec ecx; nop; jnz 1b; hlt */
#define LOOP CODE(0xb9, ROUNDS & 0xff, ROUNDS >> 8, 0, 0, 0xff, 0xc9, 0x90, 0x75, 0xfb, 0xf4)
enum { LOOP_INSNS = 1 + 3 * ROUNDS + 1 };

static uint64_t count_loop(int engine, unsigned kind, uint64_t step, unsigned calls)
{
	uint64_t hash;

	machine(engine, LOOP);
	fresh();
	if (kind)
		hook(kind, 0, 0, true);
	run_to_hlt(step);
	ck_assert_uint_eq(l.calls, calls);
	ck_assert(l.exact);
	ck_assert_uint_eq(vcpu_instructions(v), LOOP_INSNS);
	hash = vcpu_state_hash(v);
	vcpu_free(v);
	return hash;
}

/* Every instruction, block and edge, however the run is cut; the state is that of a run without hooks. */
START_TEST(test_counts)
{
	static const uint64_t steps[] = { 100000, 1, 2, 3, 7, 997 };
	uint64_t hash = count_loop(_i, 0, 100000, 0), sum[3] = { 0 };

	for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
		static const struct { unsigned kind, calls; } of[3] = {
			{ VCPU_HOOK_INSN, LOOP_INSNS },
			{ VCPU_HOOK_BLOCK, ROUNDS + 1 },  /* the first, ROUNDS - 1 again, HLT */
			{ VCPU_HOOK_EDGE, ROUNDS },
		};

		for (unsigned k = 0; k < 3; k++) {
			ck_assert_uint_eq(count_loop(_i, of[k].kind, steps[i], of[k].calls), hash);
			if (of[k].kind == VCPU_HOOK_EDGE)
				ck_assert_uint_eq(l.taken, ROUNDS - 1);
			if (!i)
				sum[k] = l.sum;
			ck_assert_uint_eq(l.sum, sum[k]); /* the same calls at the same places in the same order */
		}
	}
}
END_TEST

START_TEST(test_range)
{
	machine(_i, LOOP);
	fresh();
	hook(VCPU_HOOK_INSN, AT + 7, AT + 7, true); /* the NOP */
	run_to_hlt(100000);
	ck_assert_uint_eq(l.calls, ROUNDS);
	ck_assert_uint_eq(l.event[0].address, AT + 7);
	ck_assert_uint_eq(l.event[0].size, 1);
	ck_assert_uint_eq(l.instructions, LOOP_INSNS - 3);
	vcpu_free(v);
}
END_TEST

START_TEST(test_edge)
{
	machine(_i, CODE(0xeb, 0x02, 0x90, 0x90, 0x75, 0x00, 0xf4)); /* jmp +2; nop; nop; jnz +0; hlt */
	fresh();
	hook(VCPU_HOOK_EDGE, 0, 0, true);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(l.event[0].from, AT);
	ck_assert_uint_eq(l.event[0].address, AT + 4);
	ck_assert(l.event[0].taken);
	ck_assert_uint_eq(l.event[1].from, AT + 4);
	ck_assert_uint_eq(l.event[1].address, AT + 6);
	vcpu_free(v);
}
END_TEST

/* mov ecx, ROUNDS; 1: dec ecx; mov edx, ecx; sub edx, 5; jz 2f; 2: test ecx, ecx; jnz 1b; hlt: each jump is one step with
 * what is before it, of which one does two instructions */
#define STEPS CODE(0xb9, ROUNDS & 0xff, ROUNDS >> 8, 0, 0, 0xff, 0xc9, 0x89, 0xca, 0x83, 0xea, 5, 0x74, 0, 0x85, 0xc9, \
		   0x75, 0xf3, 0xf4)
static unsigned told, untrue;

static enum vcpu_hook_answer each_edge(void *user, struct vcpu_hook_event *e)
{
	const unsigned round = told / 2, second = told % 2;
	const uint64_t to = !second ? AT + 14 : round == ROUNDS - 1 ? AT + 18 : AT + 5;

	untrue += e->from != (second ? AT + 16 : AT + 12) || e->address != to || e->taken != (to == AT + 5) ||
		  vcpu_get(v, VCPU_RIP) != to || vcpu_get(v, VCPU_RCX) != ROUNDS - 1 - round ||
		  vcpu_instructions(v) != 1 + 6 * round + (second ? 6 : 4);
	told++;
	return *(enum vcpu_hook_answer *)user;
}

static uint64_t run_steps(int engine, bool hooked, uint64_t step, enum vcpu_hook_answer answer)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_EDGE, .observer = true, .call = each_edge, .user = &answer };
	struct vcpu_stop stop;
	uint64_t hash;

	machine(engine, STEPS);
	told = untrue = 0;
	if (hooked)
		ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	do
		stop = vcpu_run(v, step);
	while (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_HOOK);
	ck_assert_int_eq(stop.reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(untrue, 0);
	ck_assert_uint_eq(told, hooked ? 2 * ROUNDS : 0);
	hash = vcpu_state_hash(v);
	vcpu_free(v);
	return hash;
}

START_TEST(test_edges_of_steps)
{
	static const uint64_t steps[] = { 100000, 1, 2, 3, 7 };
	uint64_t hash = run_steps(_i, false, 100000, VCPU_HOOK_GO);

	for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
		ck_assert_uint_eq(run_steps(_i, true, steps[i], VCPU_HOOK_GO), hash);
		ck_assert_uint_eq(run_steps(_i, true, steps[i], VCPU_HOOK_STOP), hash);
	}
}
END_TEST

/* ---- maps ---- */

/* The formulas are those of vcpu_hook.h. */
static uint64_t place(uint64_t from, uint64_t to) { uint64_t x = to ^ from >> 1; return x ^ x >> 16; }
static uint8_t counted(unsigned times) { return times ? (uint8_t)((times - 1) % 255 + 1) : 0; }

enum { MAP = 0x4000 };
static const struct { uint64_t from, to; unsigned times; }
	blocks[] = { { 0, AT, 1 }, { 0, AT + 5, ROUNDS - 1 }, { 0, AT + 10, 1 } },
	loop_edges[] = { { AT + 8, AT + 5, ROUNDS - 1 }, { AT + 8, AT + 10, 1 } };

/* The map has the counts of blocks and edges that the loop has; beside another hook (BESIDE) and alone, from AT + FIRST
 * on. */
static uint64_t count_in_map(int engine, bool edges, uint64_t step, bool beside, unsigned first)
{
	static uint8_t map[MAP], expected_map[MAP];
	struct vcpu_hook h = { .kinds = edges ? VCPU_HOOK_EDGE : VCPU_HOOK_BLOCK, .first = AT + first, .last = AT + 0xfff,
			       .observer = true, .map = map, .map_size = MAP };
	uint64_t hash;
	int id;

	memset(map, 0, sizeof map);
	memset(expected_map, 0, sizeof expected_map);
	for (unsigned i = 0; i < (edges ? 2 : 3); i++) {
		uint64_t from = edges ? loop_edges[i].from : 0, to = edges ? loop_edges[i].to : blocks[i].to;

		if (to >= AT + first)
			expected_map[place(from, to) % MAP] =
				counted(edges ? loop_edges[i].times : blocks[i].times);
	}
	machine(engine, LOOP);
	fresh();
	if (beside)
		hook(VCPU_HOOK_BLOCK | VCPU_HOOK_EDGE, 0, 0, true);
	id = vcpu_hook_add(v, &h);
	ck_assert_int_gt(id, 0);
	run_to_hlt(step);
	ck_assert_mem_eq(map, expected_map, MAP);
	ck_assert_uint_eq(l.calls, beside ? ROUNDS + 1 + ROUNDS : 0);
	hash = vcpu_state_hash(v);
	ck_assert_int_eq(vcpu_hook_remove(v, id), 0);
	vcpu_set(v, VCPU_RIP, AT);
	run_to_hlt(step);
	ck_assert_mem_eq(map, expected_map, MAP);
	vcpu_free(v);
	return hash;
}

START_TEST(test_map)
{
	static const uint64_t steps[] = { 100000, 1, 7 };
	uint64_t hash = count_loop(_i, 0, 100000, 0);

	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 8; k++)
			ck_assert_uint_eq(count_in_map(_i, k & 1, steps[i], k & 2, k & 4 ? 6 : 0), hash);
}
END_TEST

/* ---- before an instruction: change, skip, go elsewhere, again, stop ---- */

static void set_rbx(struct vcpu_hook_event *e)
{
	(void)e;
	ck_assert_int_eq(vcpu_set(v, VCPU_RBX, vcpu_get(v, VCPU_RAX) + 1), 0);
}

/* inc eax; mov ecx, ebx; hlt */
START_TEST(test_set)
{
	machine(_i, CODE(0xff, 0xc0, 0x89, 0xd9, 0xf4));
	fresh();
	l.act = set_rbx;
	hook(VCPU_HOOK_INSN, AT + 2, AT + 2, false);
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 2);
	vcpu_free(v);
}
END_TEST

START_TEST(test_skip)
{
	machine(_i, LOOP);
	fresh();
	l.answer = VCPU_HOOK_SKIP;
	hook(VCPU_HOOK_INSN, AT + 7, AT + 7, false);
	run_to_hlt(100000);
	ck_assert_uint_eq(l.calls, ROUNDS);
	ck_assert_uint_eq(vcpu_instructions(v), LOOP_INSNS); /* what is skipped counts */
	ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 0);
	vcpu_free(v);
}
END_TEST

static void go_other(struct vcpu_hook_event *e)
{
	(void)e;
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, OTHER), 0);
}

START_TEST(test_go_elsewhere)
{
	machine(_i, CODE(0xff, 0xc0, 0xff, 0xc0, 0xf4)); /* inc eax; inc eax; hlt */
	fresh();
	l.act = go_other;
	hook(VCPU_HOOK_INSN, AT + 2, AT + 2, false);
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), OTHER + 1);
	ck_assert_uint_eq(vcpu_instructions(v), 3);
	vcpu_free(v);
}
END_TEST

static void new_code(struct vcpu_hook_event *e)
{
	(void)e;
	vcpu_write_physical(v, AT + 2, "\xff\xc8", 2); /* dec eax */
}

/* Code that a hook writes is what runs next. The hook is called once. */
START_TEST(test_new_code)
{
	machine(_i, CODE(0xff, 0xc0, 0xff, 0xc0, 0xf4));
	fresh();
	l.act = new_code;
	hook(VCPU_HOOK_INSN, AT + 2, AT + 2, false);
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0);
	ck_assert_uint_eq(l.calls, 1);
	vcpu_free(v);
}
END_TEST

START_TEST(test_stop)
{
	static const unsigned kinds[] = { VCPU_HOOK_INSN, VCPU_HOOK_BLOCK, VCPU_HOOK_EDGE };
	struct vcpu_stop stop;
	unsigned stops = 0;
	int id;

	for (unsigned k = 0; k < 3; k++, stops = 0) {
		machine(_i, LOOP);
		fresh();
		l.answer = VCPU_HOOK_STOP;
		id = hook(kinds[k], AT + 5, AT + 5, true); /* DEC */
		while ((stop = vcpu_run(v, 100000)).reason == VCPU_STOP_HOOK) {
			ck_assert_uint_eq(stop.code, (unsigned)id);
			ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 5);
			ck_assert_uint_eq(vcpu_instructions(v), (k ? 4 : 1) + 3 * stops);
			stops++;
		}
		ck_assert_int_eq(stop.reason, VCPU_STOP_IDLE);
		ck_assert_uint_eq(stops, k ? ROUNDS - 1 : ROUNDS);
		ck_assert_uint_eq(l.calls, stops);
		vcpu_free(v);
	}
}
END_TEST

static void request(struct vcpu_hook_event *e)
{
	(void)e;
	vcpu_stop(v);
}

/* A hook that has stopped the run stops it again when a snapshot from before it is restored. */
START_TEST(test_stop_after_restore)
{
	vcpu_snapshot *s;

	machine(_i, CODE(0xff, 0xc0, 0xff, 0xc0, 0xf4)); /* inc eax; inc eax; hlt */
	fresh();
	hook(VCPU_HOOK_INSN, AT + 2, AT + 2, true);
	l.answer = VCPU_HOOK_STOP;
	s = vcpu_snapshot_take(v);
	for (unsigned n = 1; n <= 3; n++) {
		ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_HOOK);
		ck_assert_uint_eq(l.calls, n);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 1);
		ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	}
	vcpu_free(v);
}
END_TEST

START_TEST(test_request)
{
	machine(_i, LOOP);
	fresh();
	l.act = request;
	hook(VCPU_HOOK_INSN, AT + 7, AT + 7, true);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(vcpu_run(v, 100000).reason, VCPU_STOP_REQUEST);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 7);
		ck_assert_uint_eq(l.calls, i + 1);
	}
	vcpu_free(v);
}
END_TEST

static void try_to_change(struct vcpu_hook_event *e)
{
	(void)e;
	ck_assert_int_eq(vcpu_set(v, VCPU_RBX, 1), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "observer"));
	ck_assert_uint_eq(vcpu_write_physical(v, DATA, "x", 1), 0);
	ck_assert_uint_eq(vcpu_write_linear(v, DATA, "x", 1), 0);
	ck_assert_int_eq(vcpu_set_vector(v, 0, "0123456789abcdef"), -1);
	ck_assert_int_eq(vcpu_set_st(v, 0, "0123456789"), -1);
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_HOST);
}

START_TEST(test_observer)
{
	machine(_i, LOOP);
	fresh();
	l.act = try_to_change;
	l.answer = VCPU_HOOK_SKIP; /* counts as VCPU_HOOK_GO */
	hook(VCPU_HOOK_INSN, AT + 5, AT + 5, true);
	run_to_hlt(100000);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RBX), 0);
	vcpu_free(v);
}
END_TEST

/* ---- while running ---- */

static int second;

static void add_one(struct vcpu_hook_event *e)
{
	if (l.calls == 1)
		second = hook(VCPU_HOOK_INSN, AT + 7, AT + 7, true);
	if (e->id == second)
		ck_assert_int_eq(vcpu_hook_remove(v, second), 0);
}

/* The first call adds a hook, which removes itself. */
START_TEST(test_add_and_remove)
{
	machine(_i, LOOP);
	fresh();
	l.act = add_one;
	hook(VCPU_HOOK_INSN, AT, AT, true);
	run_to_hlt(100000);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_int_eq(vcpu_hook_remove(v, second), -1);
	vcpu_free(v);
}
END_TEST

static void remove_me(struct vcpu_hook_event *e) { ck_assert_int_eq(vcpu_hook_remove(v, e->id), 0); }

/* Each address once: as many hooks as are removed without and with a look at all code. */
START_TEST(test_once)
{
	enum { HOOKS = 200 };
	uint8_t code[HOOKS + 3];

	memset(code, 0x90, HOOKS);
	memcpy(code + HOOKS, "\xeb\xfe", 2); /* jmp $ */
	memmove(code + HOOKS - 5, "\xe9", 1);
	memcpy(code + HOOKS - 4, &(int32_t){ -HOOKS }, 4);
	machine(_i, code, HOOKS);
	fresh();
	l.act = remove_me;
	for (unsigned i = 0; i < HOOKS - 5; i++)
		hook(VCPU_HOOK_INSN, AT + i, AT + i, true);
	ck_assert_int_eq(vcpu_run(v, 5 * HOOKS).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(l.calls, HOOKS - 5);
	vcpu_free(v);
}
END_TEST

/* ---- instructions by name ---- */

static void give_leaf(struct vcpu_hook_event *e)
{
	(void)e;
	vcpu_set(v, VCPU_RAX, 0x1234);
}

START_TEST(test_by_name)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .instruction = "cpuid", .call = note, .user = &l };

	machine(_i, CODE(0x0f, 0xa2, 0x89, 0xc1, 0x0f, 0x05, 0xf4)); /* cpuid; mov ecx, eax; syscall; hlt */
	fresh();
	l.answer = VCPU_HOOK_SKIP;
	l.act = give_leaf;
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	h.instruction = "syscall";
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 0x1234);
	h.instruction = "cpuld";
	ck_assert_int_eq(vcpu_hook_add(v, &h), -1);
	vcpu_free(v);
}
END_TEST

/* ---- memory ---- */

/* What touches 8 bytes at RDI, or the stack: bytes, reads and writes and how wide. */
static const struct access { const char *name; uint8_t code[12]; unsigned len, reads, writes, size; } accesses[] = {
	{ "mov rax, [rdi]", { 0x48, 0x8b, 0x07 }, 3, 1, 0, 8 },
	{ "mov [rdi], eax", { 0x89, 0x07 }, 2, 0, 1, 4 },
	{ "add [rdi], ax", { 0x66, 0x01, 0x07 }, 3, 1, 1, 2 },
	{ "add al, [rdi]", { 0x02, 0x07 }, 2, 1, 0, 1 },
	{ "xchg [rdi], rax", { 0x48, 0x87, 0x07 }, 3, 1, 1, 8 },
	{ "inc dword [rdi]", { 0xff, 0x07 }, 2, 1, 1, 4 },
	{ "bts [rdi], eax", { 0x0f, 0xab, 0x07 }, 3, 1, 1, 4 },
	{ "movups xmm0, [rdi]", { 0x0f, 0x10, 0x07 }, 3, 1, 0, 16 },
	{ "movups [rdi], xmm0", { 0x0f, 0x11, 0x07 }, 3, 0, 1, 16 },
	{ "fld tbyte [rdi]", { 0xdb, 0x2f }, 2, 1, 0, 10 },
	{ "stosd", { 0xab }, 1, 0, 1, 4 },
	{ "mov rsp, rdi; pop rax", { 0x48, 0x89, 0xfc, 0x58 }, 4, 1, 0, 8 },
	{ "adc [rdi], eax", { 0x11, 0x07 }, 2, 1, 1, 4 },
	{ "xadd [rdi], eax", { 0x0f, 0xc1, 0x07 }, 3, 1, 1, 4 },
	{ "cmpxchg [rdi], ecx", { 0x0f, 0xb1, 0x0f }, 3, 1, 1, 4 },
	{ "rcl dword [rdi], 1", { 0xd1, 0x17 }, 2, 1, 1, 4 },
	{ "movs", { 0x48, 0x89, 0xfe, 0x48, 0x83, 0xc7, 0x08, 0xa5 }, 8, 1, 1, 4 },
	{ "lea rsp, [rdi + 8]; push rax", { 0x48, 0x8d, 0x67, 0x08, 0x50 }, 5, 0, 1, 8 },
	{ "lea rsp, [rdi + 8]; call +0", { 0x48, 0x8d, 0x67, 0x08, 0xe8, 0, 0, 0, 0 }, 9, 0, 1, 8 },
	{ "cmp [rdi], eax; jnz +0", { 0x39, 0x07, 0x75, 0x00 }, 4, 1, 0, 4 },
	{ "mov rsi, rdi; mov ecx, 3; rep lodsb", { 0x48, 0x89, 0xfe, 0xb9, 3, 0, 0, 0, 0xf3, 0xac }, 10, 3, 0, 1 },
	{ "mov ecx, 3; rep stosw", { 0xb9, 3, 0, 0, 0, 0x66, 0xf3, 0xab }, 8, 0, 3, 2 },
};

static void run_access(const struct access *a, int engine, unsigned kind, bool physical, bool after, unsigned times)
{
	struct vcpu_hook h = { .kinds = kind, .first = DATA, .last = DATA + 15, .physical = physical, .after = after,
			       .observer = true, .call = note, .user = &l };
	uint8_t code[16];

	memcpy(code, a->code, a->len);
	code[a->len] = 0xf4;
	machine(engine, code, a->len + 1);
	fresh();
	if (kind)
		ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	for (unsigned i = 0; i < times; i++) {
		vcpu_set(v, VCPU_RIP, AT);
		vcpu_set(v, VCPU_RDI, DATA);
		while (vcpu_get(v, VCPU_RIP) != AT + a->len)
			ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	}
}

START_TEST(test_accesses)
{
	for (unsigned i = 0; i < sizeof accesses / sizeof *accesses; i++) {
		const struct access *a = &accesses[i];
		uint64_t hash;

		run_access(a, _i, 0, false, false, 40);
		hash = vcpu_state_hash(v);
		vcpu_free(v);
		for (unsigned how = 0; how < 8; how++) {
			bool write = how & 1;
			unsigned calls = write ? a->writes : a->reads;

			run_access(a, _i, write ? VCPU_HOOK_WRITE : VCPU_HOOK_READ, how & 2, how & 4, 40);
			ck_assert_msg(l.calls == 40 * calls, "%s: %u calls, not %u", a->name, l.calls, 40 * calls);
			for (unsigned k = 0; k < calls; k++) {
				uint64_t address = DATA + k * a->size + (write && !strcmp(a->name, "movs") ? 8 : 0);

				ck_assert_uint_eq(l.event[k].address, address);
				ck_assert_uint_eq(l.event[k].physical, address);
				ck_assert_uint_eq(l.event[k].size, a->size);
				ck_assert(l.event[k].write == write && l.event[k].after == !!(how & 4));
			}
			ck_assert_msg(vcpu_state_hash(v) == hash, "%s", a->name);
			vcpu_free(v);
		}
	}
}
END_TEST

static void other_value(struct vcpu_hook_event *e) { e->value = 0x77; }

/* mov eax, [rdi]; mov [rdi + 8], eax; hlt */
#define MOVE CODE(0x8b, 0x07, 0x89, 0x47, 0x08, 0xf4)

static uint32_t at(uint64_t address)
{
	uint32_t value = 0;

	vcpu_read_physical(v, address, &value, 4);
	return value;
}

static void move_with(int engine, unsigned kind, bool after, enum vcpu_hook_answer answer)
{
	struct vcpu_hook h = { .kinds = kind, .after = after, .call = note, .user = &l };

	machine(engine, MOVE);
	vcpu_write_physical(v, DATA, "\x05\0\0\0\0\0\0\0\x09", 9);
	fresh();
	l.act = other_value;
	l.answer = answer;
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 1);
}

START_TEST(test_other_value)
{
	move_with(_i, VCPU_HOOK_READ, true, VCPU_HOOK_GO);
	ck_assert_uint_eq(l.event[0].value, 5);
	ck_assert_uint_eq(at(DATA + 8), 0x77);
	ck_assert_uint_eq(at(DATA), 5);
	vcpu_free(v);
	move_with(_i, VCPU_HOOK_READ, false, VCPU_HOOK_SKIP); /* what it says is read */
	ck_assert_uint_eq(at(DATA + 8), 0x77);
	vcpu_free(v);
	move_with(_i, VCPU_HOOK_WRITE, false, VCPU_HOOK_GO);
	ck_assert_uint_eq(l.event[0].value, 5);
	ck_assert_uint_eq(at(DATA + 8), 0x77);
	vcpu_free(v);
	move_with(_i, VCPU_HOOK_WRITE, false, VCPU_HOOK_SKIP);
	ck_assert_uint_eq(at(DATA + 8), 9);
	vcpu_free(v);
}
END_TEST

/* The instruction has not begun: its other effects have not happened either. */
START_TEST(test_stop_at_access)
{
	struct vcpu_stop stop;

	machine(_i, CODE(0x48, 0x01, 0x07, 0x50, 0xf4)); /* add [rdi], rax; push rax; hlt */
	vcpu_set(v, VCPU_RAX, 3);
	fresh();
	l.answer = VCPU_HOOK_STOP;
	hook(VCPU_HOOK_WRITE, 0, 0, true);
	stop = vcpu_run(v, 100);
	ck_assert_int_eq(stop.reason, VCPU_STOP_HOOK);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT);
	ck_assert_uint_eq(vcpu_instructions(v), 0);
	ck_assert_uint_eq(at(DATA), 0);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_HOOK);
	ck_assert_uint_eq(at(DATA), 3);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RSP), STACK);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 3);
	l.answer = VCPU_HOOK_GO;
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RSP), STACK - 8);
	ck_assert_uint_eq(l.calls, 2);
	vcpu_free(v);
}
END_TEST

/* A run that stops before each access comes to the state of one that does not. */
START_TEST(test_stop_at_accesses)
{
	for (unsigned i = 0; i < sizeof accesses / sizeof *accesses; i++) {
		const struct access *a = &accesses[i];
		uint64_t hash;
		unsigned stops = 0;

		run_access(a, _i, 0, false, false, 30);
		hash = vcpu_state_hash(v);
		vcpu_free(v);
		run_access(a, _i, 0, false, false, 0);
		fresh();
		l.answer = VCPU_HOOK_STOP;
		hook(VCPU_HOOK_READ | VCPU_HOOK_WRITE, DATA, DATA + 15, true);
		for (unsigned k = 0; k < 30; k++) {
			vcpu_set(v, VCPU_RIP, AT);
			vcpu_set(v, VCPU_RDI, DATA);
			while (vcpu_get(v, VCPU_RIP) != AT + a->len)
				stops += vcpu_run(v, 1).reason == VCPU_STOP_HOOK;
		}
		ck_assert_msg(stops == 30 * (a->reads + a->writes), "%s: %u stops", a->name, stops);
		ck_assert_msg(vcpu_state_hash(v) == hash, "%s", a->name);
		vcpu_free(v);
	}
}
END_TEST

/* ---- memory that is missing ---- */

static void map_page(struct vcpu_hook_event *e)
{
	ck_assert_int_eq(vcpu_map(v, e->physical & ~0xfffull, 0x1000), 0);
	if (e->kind == VCPU_HOOK_MISSING_FETCH)
		vcpu_write_physical(v, e->physical, "\xf4", 1);
}

/* mov [rdi], eax; add [rdi], eax; jmp rsi: to HLT, which is mapped when it is fetched */
#define FAR CODE(0x89, 0x07, 0x01, 0x07, 0xff, 0xe6)
enum { MISSING_DATA = 0x100010, MISSING_CODE = 0x200020 };

/* ---- moves ---- */

/* MOV in all its sizes: to memory from rAX, from an immediate (-2), and to rDX from memory. The immediate is 1, 2 or 4
 * bytes behind the displacement. */
static const struct move { uint8_t bytes[3], len, size, imm; bool write; } moves[] = {
	{ { 0x88, 0x47 }, 2, 1, 0, true }, { { 0x66, 0x89, 0x47 }, 3, 2, 0, true },
	{ { 0x89, 0x47 }, 2, 4, 0, true }, { { 0x48, 0x89, 0x47 }, 3, 8, 0, true },
	{ { 0xc6, 0x47 }, 2, 1, 1, true }, { { 0x66, 0xc7, 0x47 }, 3, 2, 2, true },
	{ { 0xc7, 0x47 }, 2, 4, 4, true }, { { 0x48, 0xc7, 0x47 }, 3, 8, 4, true },
	{ { 0x8a, 0x57 }, 2, 1, 0, false }, { { 0x66, 0x8b, 0x57 }, 3, 2, 0, false },
	{ { 0x8b, 0x57 }, 2, 4, 0, false }, { { 0x48, 0x8b, 0x57 }, 3, 8, 0, false },
};
enum { MOVES = sizeof moves / sizeof *moves, PLACES = 4, REPEATED = 60, FIRST = 4, LAST = 7 };
static const uint8_t places[PLACES] = { 4, 1, 8, 0 };
static const uint64_t RAX_VALUE = 0x8899aabbccddeeff;

struct expected { uint64_t rip, address, value; unsigned size; bool write; };
static struct expected expected[MOVES * PLACES];
static unsigned nexpected, next_expected, wrong;

static uint64_t cut(uint64_t value, unsigned size) { return size == 8 ? value : value & ((1ull << 8 * size) - 1); }

static enum vcpu_hook_answer compare(void *user, struct vcpu_hook_event *e)
{
	const struct expected *x = &expected[next_expected++ % nexpected];
	uint64_t data = 0;

	memcpy(&data, e->data, e->size);
	wrong += e->kind != (x->write ? VCPU_HOOK_WRITE : VCPU_HOOK_READ) || e->write != x->write ||
		 e->size != x->size || e->address != x->address || e->physical != x->address || e->value != x->value || data != x->value ||
		 e->after || e->device || vcpu_get(v, VCPU_RIP) != x->rip || vcpu_get(v, VCPU_RAX) != RAX_VALUE ||
		 vcpu_get(v, VCPU_RCX) != REPEATED - (next_expected - 1) / nexpected;
	return *(enum vcpu_hook_answer *)user;
}

static size_t put_moves(uint8_t *code, uint64_t base, unsigned kinds)
{
	size_t at = 0;

	memcpy(code, "\xb9\x3c\0\0\0", 5); /* mov ecx, REPEATED */
	at = 5;
	nexpected = 0;
	for (unsigned i = 0; i < MOVES * PLACES; i++) {
		const struct move *m = &moves[i / PLACES];
		uint8_t d = places[i % PLACES];

		if (kinds & (m->write ? VCPU_HOOK_WRITE : VCPU_HOOK_READ) && d <= LAST && d + m->size > FIRST)
			expected[nexpected++] = (struct expected){ AT + at, base + d, !m->write ? 0 :
				cut(m->imm ? (uint64_t)-2 : RAX_VALUE, m->size), m->size, m->write };
		memcpy(code + at, m->bytes, m->len);
		code[at + m->len] = d;
		at += m->len + 1;
		memcpy(code + at, "\xfe\xff\xff\xff", m->imm);
		at += m->imm;
	}
	memcpy(code + at, "\xff\xc9\x0f\x85", 4); /* dec ecx; jnz to behind the first; hlt */
	at += 8;
	memcpy(code + at - 4, &(int32_t){ 5 - (int32_t)at }, 4);
	code[at++] = 0xf4;
	return at;
}

/* HOOKED: the number of hooks, of which the second one is for other addresses. */
static uint64_t run_moves(int engine, uint64_t base, unsigned kinds, unsigned hooked, enum vcpu_hook_answer answer,
			  bool physical)
{
	static enum vcpu_hook_answer answers;
	struct vcpu_hook h = { .kinds = kinds, .first = base + FIRST, .last = base + LAST, .observer = true,
			       .physical = physical, .call = compare, .user = &answers };
	uint8_t code[1024];
	struct vcpu_stop stop;
	uint64_t hash;

	machine(engine, code, put_moves(code, base, kinds));
	vcpu_set(v, VCPU_RDI, base);
	vcpu_set(v, VCPU_RAX, RAX_VALUE);
	answers = answer;
	next_expected = wrong = 0;
	if (hooked)
		ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	h.first = h.last = 0x400;
	if (hooked > 1)
		ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	do
		stop = vcpu_run(v, 1000000);
	while (stop.reason == VCPU_STOP_HOOK);
	ck_assert_int_eq(stop.reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(next_expected, hooked ? REPEATED * nexpected : 0);
	hash = vcpu_state_hash(v);
	vcpu_free(v);
	return hash;
}

/* One hook alone has a way of its own to moves. Ranges of 4 bytes in the middle and at the beginning of a page. */
START_TEST(test_moves)
{
	static const uint64_t bases[] = { DATA, DATA - FIRST };
	static const unsigned kinds[] = { VCPU_HOOK_READ, VCPU_HOOK_WRITE, VCPU_HOOK_READ | VCPU_HOOK_WRITE };

	for (unsigned b = 0; b < 2; b++)
		for (unsigned k = 0; k < 3; k++) {
			uint64_t hash = run_moves(_i, bases[b], kinds[k], 0, VCPU_HOOK_GO, false);

			for (unsigned hooked = 1; hooked < 3; hooked++)
				for (unsigned way = 0; way < 4; way++)
					ck_assert_uint_eq(run_moves(_i, bases[b], kinds[k], hooked,
								    way & 1 ? VCPU_HOOK_STOP : VCPU_HOOK_GO, way & 2),
							  hash);
		}
}
END_TEST

START_TEST(test_missing)
{
	machine(_i, FAR);
	fresh();
	l.act = map_page;
	l.answer = VCPU_HOOK_RETRY;
	hook(VCPU_HOOK_MISSING_READ | VCPU_HOOK_MISSING_WRITE | VCPU_HOOK_MISSING_FETCH, 0, 0, false);
	vcpu_set(v, VCPU_RAX, 5);
	vcpu_set(v, VCPU_RDI, MISSING_DATA);
	vcpu_set(v, VCPU_RSI, MISSING_CODE);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(l.event[0].kind, VCPU_HOOK_MISSING_WRITE);
	ck_assert_uint_eq(l.event[0].address, MISSING_DATA);
	ck_assert_uint_eq(l.event[0].size, 4);
	ck_assert_uint_eq(l.event[0].value, 5);
	ck_assert_uint_eq(l.event[1].kind, VCPU_HOOK_MISSING_FETCH);
	ck_assert_uint_eq(l.event[1].physical, MISSING_CODE);
	ck_assert_uint_eq(at(MISSING_DATA), 10);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), MISSING_CODE + 1);
	ck_assert_uint_eq(vcpu_instructions(v), 4);
	vcpu_free(v);
}
END_TEST

START_TEST(test_stop_at_missing)
{
	struct vcpu_stop stop;

	machine(_i, FAR);
	fresh();
	l.answer = VCPU_HOOK_STOP;
	hook(VCPU_HOOK_MISSING_READ | VCPU_HOOK_MISSING_WRITE | VCPU_HOOK_MISSING_FETCH, 0, 0, true);
	vcpu_set(v, VCPU_RDI, MISSING_DATA);
	vcpu_set(v, VCPU_RSI, MISSING_CODE);
	stop = vcpu_run(v, 100);
	ck_assert_int_eq(stop.reason, VCPU_STOP_HOOK);
	ck_assert_uint_eq(stop.address, MISSING_DATA);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT);
	vcpu_set(v, VCPU_RIP, AT + 4);
	stop = vcpu_run(v, 100);
	ck_assert_int_eq(stop.reason, VCPU_STOP_HOOK);
	ck_assert_uint_eq(stop.address, MISSING_CODE);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), MISSING_CODE);
	ck_assert_uint_eq(l.calls, 2);
	vcpu_free(v);
}
END_TEST

static void skip_value(struct vcpu_hook_event *e) { e->value = 0x1234; }

START_TEST(test_skip_missing)
{
	machine(_i, CODE(0x8b, 0x0f, 0x89, 0x0f, 0xf4)); /* mov ecx, [rdi]; mov [rdi], ecx; hlt */
	fresh();
	l.act = skip_value;
	l.answer = VCPU_HOOK_SKIP;
	hook(VCPU_HOOK_MISSING_READ | VCPU_HOOK_MISSING_WRITE, 0, 0, false);
	vcpu_set(v, VCPU_RDI, MISSING_DATA);
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 0x1234);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(l.event[1].value, 0x1234);
	vcpu_free(v);
}
END_TEST

/* What an event says of another one does not stay for a move that calls its hook by itself. */
START_TEST(test_denied_before)
{
	machine(_i, CODE(0x8b, 0x16, 0x89, 0x07, 0x8b, 0x16, 0xf4)); /* mov edx, [rsi]; mov [rdi], eax; mov edx, [rsi]; hlt */
	fresh();
	l.answer = VCPU_HOOK_SKIP;
	ck_assert_int_eq(vcpu_map(v, MISSING_DATA & ~0xfffull, 0x1000), 0);
	ck_assert_int_eq(vcpu_protect(v, MISSING_DATA & ~0xfffull, 0x1000, VCPU_READ), 0);
	hook(VCPU_HOOK_MISSING_WRITE, 0, 0, false);
	hook(VCPU_HOOK_READ, 0, 0, true);
	vcpu_set(v, VCPU_RDI, MISSING_DATA);
	vcpu_set(v, VCPU_RSI, DATA);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 3);
	ck_assert_uint_eq(l.event[1].kind, VCPU_HOOK_MISSING_WRITE);
	ck_assert(l.event[1].denied);
	ck_assert_uint_eq(l.event[2].kind, VCPU_HOOK_READ);
	ck_assert(!l.event[2].denied);
	vcpu_free(v);
}
END_TEST

/* ---- ports, exceptions ---- */

START_TEST(test_ports)
{
	machine(_i, CODE(0xe4, 0x10, 0x89, 0xc1, 0xe7, 0x20, 0xf4)); /* in al, 10h; mov ecx, eax; out 20h, eax; hlt */
	fresh();
	l.act = other_value;
	l.answer = VCPU_HOOK_SKIP;
	hook(VCPU_HOOK_IN | VCPU_HOOK_OUT, 0, 0, false);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(l.event[0].address, 0x10);
	ck_assert_uint_eq(l.event[0].size, 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 0x77);
	ck_assert_uint_eq(l.event[1].address, 0x20);
	ck_assert_uint_eq(l.event[1].size, 4);
	ck_assert_uint_eq(l.event[1].value, 0x77);
	ck_assert(l.event[1].write);
	vcpu_free(v);
}
END_TEST

/* int 80h; ud2; hlt: without an IDT both would stop the machine. */
START_TEST(test_exceptions)
{
	machine(_i, CODE(0xcd, 0x80, 0x0f, 0x0b, 0xf4));
	fresh();
	l.answer = VCPU_HOOK_SKIP;
	hook(VCPU_HOOK_EXCEPTION, 0x80, 0x80, false);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_EXCEPTION);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 2);
	ck_assert_uint_eq(l.calls, 1);
	ck_assert_uint_eq(l.rip, AT);
	ck_assert_uint_eq(l.event[0].cause, VCPU_CAUSE_INT);
	l.act = go_other;
	hook(VCPU_HOOK_EXCEPTION, 6, 6, false);
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), OTHER + 1);
	ck_assert_uint_eq(l.calls, 2);
	vcpu_free(v);
}
END_TEST

START_TEST(test_stop_at_exception)
{
	machine(_i, CODE(0x90, 0x0f, 0x0b, 0xf4));
	fresh();
	l.answer = VCPU_HOOK_STOP;
	hook(VCPU_HOOK_EXCEPTION, 0, 0, true);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_HOOK);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 1);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_EXCEPTION);
	ck_assert_uint_eq(l.calls, 1);
	vcpu_free(v);
}
END_TEST

/* ---- registers with more than a number ---- */

START_TEST(test_hidden)
{
	struct vcpu_segment s = { .base = 0x100, .limit = 0xffff, .attributes = 0x93, .selector = 0x50 }, t;
	const int regs[] = { VCPU_RAX, VCPU_RIP, VCPU_IDTR_BASE, VCPU_IDTR_LIMIT };
	const uint64_t values[] = { 7, AT, 0x5000, 0xfff };
	uint64_t got[4], msr;

	/* mov ecx, c0000102h; rdmsr; hlt; mov eax, fs: [rdi]; hlt */
	machine(_i, CODE(0xb9, 0x02, 0x01, 0, 0xc0, 0x0f, 0x32, 0xf4, 0x64, 0x8b, 0x07, 0xf4));
	ck_assert_int_eq(vcpu_set_msr(v, 0xc0000102, 0x1234567890), 0);
	ck_assert_int_eq(vcpu_get_msr(v, 0xc0000102, &msr), 0);
	ck_assert_uint_eq(msr, 0x1234567890);
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x34567890);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RDX), 0x12);
	ck_assert_int_eq(vcpu_set_segment(v, VCPU_FS, &s), 0);
	ck_assert_int_eq(vcpu_get_segment(v, VCPU_FS, &t), 0);
	ck_assert(!memcmp(&s, &t, offsetof(struct vcpu_segment, selector)) && s.selector == t.selector);
	vcpu_write_physical(v, DATA + 0x100, "\x2a", 1);
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, AT + 8), 0); /* wakes it */
	run_to_hlt(100);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x2a);
	ck_assert_int_eq(vcpu_set_registers(v, regs, values, 4), 0);
	ck_assert_int_eq(vcpu_get_registers(v, regs, got, 4), 0);
	ck_assert(!memcmp(values, got, sizeof got));
	vcpu_free(v);
}
END_TEST

/* CS with D, and DPL 3 of SS: 32-bit code of CPL 3, in which HLT is privileged. */
START_TEST(test_segments)
{
	struct vcpu_segment cs = { .limit = ~0u, .attributes = 0xc0fb, .selector = 0x1b },
			    ss = { .limit = ~0u, .attributes = 0xc0f3, .selector = 0x23 };
	struct vcpu_stop stop;

	machine(_i, CODE(0x40, 0xf4)); /* inc eax; in 64-bit code, REX hlt */
	vcpu_set_mode(v, 32);
	ck_assert_int_eq(vcpu_set_segment(v, VCPU_CS, &cs), 0);
	ck_assert_int_eq(vcpu_set_segment(v, VCPU_SS, &ss), 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CPL), 3);
	vcpu_set(v, VCPU_RIP, AT);
	vcpu_set(v, VCPU_RAX, 1);
	stop = vcpu_run(v, 100);
	ck_assert_int_eq(stop.reason, VCPU_STOP_EXCEPTION);
	ck_assert_uint_eq(stop.code, 13);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 2);
	vcpu_free(v);
}
END_TEST

START_TEST(test_refused)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .call = note, .user = &l }, bad;
	vcpu_debug *d;

	machine(_i, LOOP);
	bad = h, bad.call = NULL;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad = h, bad.map = (uint8_t[16]){ 0 }, bad.map_size = 16, bad.kinds = VCPU_HOOK_BLOCK, bad.observer = true;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1); /* with a function */
	bad.call = NULL, bad.map_size = 15;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad.map_size = 0;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad.map_size = 16, bad.kinds = VCPU_HOOK_BLOCK | VCPU_HOOK_EDGE;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad.kinds = VCPU_HOOK_EDGE, bad.observer = false;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad = h, bad.kinds = 0;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad = h, bad.kinds = 8;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad = h, bad.first = 2, bad.last = 1;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	bad = h, bad.kinds = VCPU_HOOK_READ, bad.instruction = "mov";
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	ck_assert_int_eq(vcpu_hook_add(v, NULL), -1);
	ck_assert_int_eq(vcpu_hook_add(NULL, &h), -1);
	ck_assert_int_eq(vcpu_hook_remove(NULL, 1), -1);
	ck_assert_int_eq(vcpu_hook_remove(v, 1), -1);
	d = vcpu_debug_new(v, NULL, NULL);
	ck_assert_ptr_nonnull(d);
	bad = h, bad.kinds = VCPU_HOOK_READ;
	ck_assert_int_eq(vcpu_hook_add(v, &bad), -1);
	vcpu_debug_free(d);
	ck_assert_int_gt(vcpu_hook_add(v, &bad), 0);
	ck_assert_ptr_null(vcpu_debug_new(v, NULL, NULL));
	vcpu_free(v);
}
END_TEST

/* ---- MSRs, CR3, modes, VM exits, the clock ---- */

static enum vcpu_hook_answer answer_of(bool stop) { return stop ? VCPU_HOOK_STOP : VCPU_HOOK_GO; }

/* mov ecx, 0C0000103h (TSC_AUX); mov eax, 5; xor edx, edx; wrmsr; rdmsr; hlt. With a stop, it is behind WRMSR. */
START_TEST(test_msr)
{
	const bool stop = _i >= 2;

	machine(_i & 1, CODE(0xb9, 3, 1, 0, 0xc0, 0xb8, 5, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x30, 0x0f, 0x32, 0xf4));
	fresh();
	l.answer = answer_of(stop);
	hook(VCPU_HOOK_MSR, 0xc0000103, 0xc0000103, true);
	hook(VCPU_HOOK_MSR, 0x10, 0x20, true); /* others */
	if (stop) {
		ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_HOOK);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 14);
		ck_assert_uint_eq(l.calls, 1);
		l.answer = VCPU_HOOK_GO;
	}
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(l.event[0].address, 0xc0000103);
	ck_assert_uint_eq(l.event[0].value, 5);
	ck_assert(l.event[0].write);
	ck_assert_uint_eq(l.event[1].value, 5);
	ck_assert(!l.event[1].write);
	ck_assert_uint_eq(l.rip, AT + 14);
	ck_assert_uint_eq(l.instructions, 4);
	vcpu_free(v);
}
END_TEST

/* mov rax, cr3; or al, 8 (PWT, which means nothing here); mov cr3, rax; hlt */
START_TEST(test_cr3)
{
	uint64_t cr3;

	machine(_i, CODE(0x0f, 0x20, 0xd8, 0x0c, 0x08, 0x0f, 0x22, 0xd8, 0xf4));
	cr3 = vcpu_get(v, VCPU_CR3);
	fresh();
	hook(VCPU_HOOK_CR3, 0, 0, true);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 1);
	ck_assert_uint_eq(l.event[0].value, cr3);
	ck_assert_uint_eq(l.event[0].address, cr3 | 8);
	ck_assert_uint_eq(l.rip, AT + 5);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR3), cr3 | 8);
	vcpu_free(v);
}
END_TEST

/* mov eax, cr0; or al, 1; mov cr0, eax; and al, FEh; mov cr0, eax; hlt: into protected mode and back */
START_TEST(test_mode)
{
	machine(_i, CODE(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0x24, 0xfe, 0x0f, 0x22, 0xc0, 0xf4));
	ck_assert_int_eq(vcpu_set_mode(v, 16), 0);
	vcpu_set(v, VCPU_RIP, AT);
	fresh();
	hook(VCPU_HOOK_MODE, 0, 0, true);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 2);
	ck_assert_uint_eq(l.event[0].value, VCPU_MODE_16);
	ck_assert_uint_eq(l.event[0].address, VCPU_MODE_16 | VCPU_MODE_PROTECTED);
	ck_assert_uint_eq(l.event[1].value, VCPU_MODE_16 | VCPU_MODE_PROTECTED);
	ck_assert_uint_eq(l.event[1].address, VCPU_MODE_16);
	ck_assert_uint_eq(l.rip, AT + 10);
	vcpu_free(v);
}
END_TEST

static void put(uint64_t address, unsigned size, uint64_t value) { vcpu_write_physical(v, address, &value, size); }

/* A VMCB (APM vol. 2, appendix B) at VM for 64-bit code at OTHER with the host's tables. It exits for VMMCALL. */
enum { VM = 0xa000, HSAVE = 0xb000, VMMCALL_EXIT = VCPU_SVM | 0x81 };

static void put_vmcb(void)
{
	put(VM + 0x10, 4, 3);        /* intercepts: VMRUN, VMMCALL */
	put(VM + 0x58, 4, 1);        /* ASID */
	for (unsigned i = 0; i < 4; i++) { /* ES, CS, SS, DS */
		put(VM + 0x400 + 16 * i, 2, 8);
		put(VM + 0x402 + 16 * i, 2, i == 1 ? 0xa9b : 0xc93);
		put(VM + 0x404 + 16 * i, 4, 0xffffffff);
	}
	put(VM + 0x4d0, 8, vcpu_get(v, VCPU_EFER));
	put(VM + 0x548, 8, vcpu_get(v, VCPU_CR4));
	put(VM + 0x550, 8, vcpu_get(v, VCPU_CR3));
	put(VM + 0x558, 8, vcpu_get(v, VCPU_CR0));
	put(VM + 0x560, 8, 0x400);
	put(VM + 0x568, 8, 0xffff0ff0);
	put(VM + 0x570, 8, 2);
	put(VM + 0x578, 8, OTHER);
	put(VM + 0x5d8, 8, STACK);
	put(VM + 0x668, 8, 0x0007040600070406);
}

START_TEST(test_exit)
{
	struct vcpu_config config = { .bare = true, .cpu = "max,+svm",
				      .engine = _i ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER };

	v = vcpu_new(&config, NULL);
	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(vcpu_map(v, 0, 0x10000), 0);
	ck_assert_int_eq(vcpu_set_mode(v, 64), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_EFER, vcpu_get(v, VCPU_EFER) | 1 << 12), 0);
	ck_assert_int_eq(vcpu_set_msr(v, 0xc0010117, HSAVE), 0);
	put_vmcb();
	vcpu_write_physical(v, AT, "\x0f\x01\xd8\xf4", 4);        /* vmrun; hlt */
	vcpu_write_physical(v, OTHER, "\x90\x0f\x01\xd9", 4);     /* nop; vmmcall */
	vcpu_set(v, VCPU_RIP, AT);
	vcpu_set(v, VCPU_RAX, VM);
	fresh();
	hook(VCPU_HOOK_EXIT, 0, 0, true);
	run_to_hlt(100);
	ck_assert_uint_eq(l.calls, 1);
	ck_assert_uint_eq(l.event[0].address, VMMCALL_EXIT);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 4);
	vcpu_free(v);
}
END_TEST

/* mov al, 34h; out 43h, al; mov al, 0; out 40h, al; out 40h, al; jmp $: channel 0 of the PIT counts 65536 clocks */
START_TEST(test_clock)
{
	static const uint8_t code[] = { 0xb0, 0x34, 0xe6, 0x43, 0xb0, 0, 0xe6, 0x40, 0xe6, 0x40, 0xeb, 0xfe };
	uint8_t sector[512] = { [510] = 0x55, 0xaa };
	struct vcpu_config config = { .kernel_data = sector, .kernel_size = sizeof sector, .memory = 2 << 20,
				      .engine = _i ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER };
	const uint64_t period = 65536ull * 1000000000 / 1193182;
	uint64_t last = 0;
	unsigned ticks = 0;

	memcpy(sector, code, sizeof code);
	v = vcpu_new(&config, NULL);
	ck_assert_ptr_nonnull(v);
	fresh();
	hook(VCPU_HOOK_CLOCK, 0, 0, true);
	for (uint64_t i = 0; i < 5; i++) {
		unsigned before = l.calls;
		uint64_t at = vcpu_virtual_ns(v);

		while (l.calls == before && vcpu_virtual_ns(v) < at + 2 * period)
			vcpu_run(v, 1000000);
		ck_assert_uint_gt(l.calls, before);
	}
	for (unsigned i = 0; i < l.calls && i < LOG_MAX; i++) {
		ck_assert_ptr_nonnull(l.event[i].name);
		if (!strstr(l.event[i].name, "pit"))
			continue;
		if (ticks++) {
			ck_assert_uint_ge(l.event[i].value - last, period - 1000);
			ck_assert_uint_le(l.event[i].value - last, period + 1000);
		}
		last = l.event[i].value;
	}
	ck_assert_uint_ge(ticks, 2);
	vcpu_free(v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooks");
	TCase *t = tcase_create("hooks");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
#define BOTH(test) tcase_add_loop_test(t, test, 0, 2)
	tcase_add_loop_test(t, test_msr, 0, 4);
	BOTH(test_cr3);
	BOTH(test_mode);
	BOTH(test_exit);
	BOTH(test_clock);
	BOTH(test_counts);
	BOTH(test_range);
	BOTH(test_edge);
	BOTH(test_edges_of_steps);
	BOTH(test_map);
	BOTH(test_set);
	BOTH(test_skip);
	BOTH(test_go_elsewhere);
	BOTH(test_new_code);
	BOTH(test_stop);
	BOTH(test_stop_after_restore);
	BOTH(test_request);
	BOTH(test_observer);
	BOTH(test_add_and_remove);
	BOTH(test_once);
	BOTH(test_by_name);
	BOTH(test_accesses);
	BOTH(test_other_value);
	BOTH(test_stop_at_access);
	BOTH(test_stop_at_accesses);
	BOTH(test_moves);
	BOTH(test_missing);
	BOTH(test_stop_at_missing);
	BOTH(test_skip_missing);
	BOTH(test_denied_before);
	BOTH(test_ports);
	BOTH(test_exceptions);
	BOTH(test_stop_at_exception);
	BOTH(test_hidden);
	BOTH(test_segments);
	BOTH(test_refused);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
