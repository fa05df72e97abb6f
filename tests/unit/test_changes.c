/* SPDX-License-Identifier: MIT */
/* Changes by the caller, in hooks and between runs, are inputs of a run: its replay has them without the hooks, and so
 * has whoever goes back in it. What the guest makes of them is known from its code. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "lib/replay.h"
#include "lib/vcpu_debug.h"
#include "lib/vcpu_hook.h"
#include "lib/vcpu_replay.h"

enum { AT = 0x1000, DATA = 0x9000, ROUNDS = 500, INSNS = 1 + 6 * ROUNDS };

/* 0: mov ecx, ROUNDS; 5: add rax, rbx; 8: inc rdx; 11: mov [rdi], rax; 14: nop; 15: dec ecx; 17: jnz 5; 19: hlt */
static const uint8_t loop[] = { 0xb9, ROUNDS & 0xff, ROUNDS >> 8, 0,    0,    0x48, 0x01, 0xd8, 0x48, 0xff,
				0xc2, 0x48,          0x89,        0x07, 0x90, 0xff, 0xc9, 0x75, 0xf2, 0xf4 };
enum { ADD = AT + 5, INC = AT + 8, MOV = AT + 11, NOP = AT + 14, LOOP_END = AT + 19 };

struct tape { uint8_t *data; size_t len; };
static struct {
	vcpu *v;
	unsigned calls, adds, skipped, passed_over, edges;
	bool changed[INSNS + 2]; /* before the instruction of this number */
} run;

static bool append(void *user, const void *data, size_t len)
{
	struct tape *t = user;

	t->data = realloc(t->data, t->len + len);
	memcpy(t->data + t->len, data, len);
	t->len += len;
	return true;
}

static enum vcpu_hook_answer change(void *user, struct vcpu_hook_event *e)
{
	vcpu *v = run.v;
	uint64_t at = vcpu_instructions(v), number = run.calls++, wide[2] = { number, ~number };
	bool *changed = &run.changed[at];

	(void)user;
	ck_assert_uint_le(at, INSNS);
	if (e->kind == VCPU_HOOK_EDGE && e->taken && run.edges++ % 11 == 0)
		*changed |= !vcpu_set(v, VCPU_RSI, 0xed6e0000 + number);
	if (e->kind != VCPU_HOOK_INSN)
		return VCPU_HOOK_GO;
	if (e->address == ADD && run.adds++ % 7 == 0) {
		*changed |= !vcpu_set(v, VCPU_RAX, number);
		vcpu_write_physical(v, DATA + 8 + number % 64, &number, sizeof number);
		ck_assert_int_eq(vcpu_set_vector(v, 3, wide), 0);
		ck_assert_int_eq(vcpu_set_msr(v, 0xc0000103, number), 0); /* TSC_AUX: the block is left */
	}
	if (e->address == INC && run.adds % 5 == 0) { /* at NOP, without INC and MOV */
		run.passed_over++;
		*changed = true;
		ck_assert_int_eq(vcpu_set(v, VCPU_RIP, NOP), 0);
		ck_assert_int_eq(vcpu_set(v, VCPU_R9, at), 0);
	}
	if (e->address == NOP && at % 3 == 0) {
		run.skipped++;
		return VCPU_HOOK_SKIP;
	}
	return VCPU_HOOK_GO;
}

static void hook(vcpu *v)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .first = AT, .last = LOOP_END, .call = change };

	memset(&run, 0, sizeof run);
	run.v = v;
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	h.kinds = VCPU_HOOK_EDGE;
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
}

/* The guest, put there by hand. */
static void set_up(vcpu *v)
{
	struct vcpu_segment gs;

	ck_assert_int_eq(vcpu_set_mode(v, 64), 0);
	ck_assert_uint_eq(vcpu_write_physical(v, AT, loop, sizeof loop), sizeof loop);
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, AT), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_RDI, DATA), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_RBX, 3), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_RDX, 0), 0);
	ck_assert_int_eq(vcpu_get_segment(v, VCPU_GS, &gs), 0);
	gs.base = 0x123456;
	ck_assert_int_eq(vcpu_set_segment(v, VCPU_GS, &gs), 0);
}

static vcpu *machine(int engine)
{
	struct vcpu_config config = { .bare = true, .engine = engine ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER };
	vcpu *v = vcpu_new(&config, NULL);

	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(vcpu_map(v, 0, 0x10000), 0);
	return v;
}

static vcpu *replayed(vcpu_replay *r, int engine)
{
	char *error = NULL;
	vcpu *v;

	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_null(vcpu_replay_cut(r));
	vcpu_replay_engine(r, engine ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER);
	vcpu_replay_verify(r, true);
	v = vcpu_replay_machine(r, NULL, NULL, &error);
	ck_assert_msg(v != NULL, "%s", error);
	ck_assert_int_eq(vcpu_map(v, 0, 0x10000), 0);
	return v;
}

/* The run with hooks, in parts of STEP instructions, into T: its hash at the end. */
static uint64_t record(struct tape *t, int engine, uint64_t step)
{
	struct vcpu_recording recording = { .write = append, .user = t, .interval = 100 };
	vcpu *v = machine(engine);
	struct vcpu_stop stop;
	uint64_t hash;

	ck_assert_int_eq(vcpu_record(v, &recording), 0);
	set_up(v);
	hook(v);
	do {
		stop = vcpu_run(v, step);
		if (vcpu_instructions(v) < 2000)
			ck_assert_int_eq(vcpu_set(v, VCPU_R8, vcpu_instructions(v) ^ 0xff), 0);
	} while (stop.reason == VCPU_STOP_LIMIT);
	ck_assert_int_eq(stop.reason, VCPU_STOP_IDLE);
	ck_assert(vcpu_record_end(v, NULL));
	/* INC and MOV are one instruction, which was not executed, where the hook went to NOP. */
	ck_assert_uint_gt(run.passed_over, 10);
	ck_assert_uint_gt(run.skipped, 10);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RDX), ROUNDS - run.passed_over);
	ck_assert_uint_eq(vcpu_instructions(v), INSNS - run.passed_over + 1);
	hash = vcpu_state_hash(v);
	vcpu_free(v);
	return hash;
}

static void replay(const struct tape *t, int engine, uint64_t step, uint64_t hash)
{
	vcpu_replay *r = vcpu_replay_open(t->data, t->len, NULL);
	vcpu *v = replayed(r, engine);
	uint64_t before;

	while (!vcpu_replay_done(r)) {
		struct vcpu_stop stop;

		before = vcpu_instructions(v);
		stop = vcpu_replay_run(r, v, step);
		ck_assert_msg(!vcpu_replay_divergence(r), "%s", vcpu_replay_divergence(r));
		ck_assert(stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE);
		ck_assert_uint_le(vcpu_instructions(v) - before, step);
	}
	ck_assert_uint_ge(vcpu_replay_checked(r), 25);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	vcpu_free(v);
	vcpu_replay_free(r);
}

/* A replay has no hooks, and ends in the same state, however both are cut. */
START_TEST(test_replayed)
{
	static const uint64_t steps[] = { 1000000, 1, 7, 250 };

	for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct tape t = { 0 };
		uint64_t hash = record(&t, _i, steps[i]);

		for (unsigned k = 0; k < sizeof steps / sizeof *steps; k++)
			for (int engine = 0; engine < 2; engine++)
				replay(&t, engine, steps[k], hash);
		free(t.data);
	}
}
END_TEST

/* Changes that no caller has made are refused or made, and do no harm. */
START_TEST(test_damaged)
{
	enum { INPUT = 4, CHANNEL = CHUNK_HEAD + 20, HEAD = 4 + 20 }; /* channel, processor, number, value */
	struct tape t = { 0 };
	unsigned seed = 1, replays = 0;

	record(&t, _i, 700);
	for (size_t at = FILE_HEAD; at < t.len; at += CHUNK_HEAD + get32(t.data + at + 4)) {
		uint8_t *chunk = t.data + at, was[CHANNEL + HEAD];
		const uint32_t len = get32(chunk + 4);
		vcpu_replay *r;
		vcpu *v;

		if (get32(chunk) != INPUT || len != get32(chunk + 8) || len < CHANNEL - CHUNK_HEAD + HEAD ||
		    replays == 200)
			continue;
		memcpy(was, chunk, sizeof was);
		chunk[CHANNEL + (seed = seed * 1103515245 + 12345) / 65536 % HEAD] ^= (uint8_t)(1 << replays++ % 8);
		put32(chunk + 12, chunk_sum(chunk, chunk + CHUNK_HEAD, len));
		r = vcpu_replay_open(t.data, t.len, NULL);
		v = replayed(r, _i);
		for (unsigned i = 0; i < 10 && !vcpu_replay_done(r); i++)
			vcpu_replay_run(r, v, 1000);
		vcpu_free(v);
		vcpu_replay_free(r);
		memcpy(chunk, was, sizeof was);
	}
	ck_assert_uint_gt(replays, 100);
	free(t.data);
}
END_TEST

static uint64_t hashes[INSNS + 2];

/* Before each instruction of the run with hooks. */
static uint64_t step_through(int engine, uint64_t *hash)
{
	vcpu *v = machine(engine);
	uint64_t end;

	set_up(v);
	hook(v);
	do
		hashes[vcpu_instructions(v)] = vcpu_state_hash(v);
	while (vcpu_run(v, 1).reason == VCPU_STOP_LIMIT);
	end = vcpu_instructions(v);
	*hash = vcpu_state_hash(v);
	vcpu_free(v);
	return end;
}

static void go_back(vcpu_debug *d, vcpu *v, unsigned steps)
{
	uint64_t at = vcpu_instructions(v);

	while (steps-- && at) {
		ck_assert_int_eq(vcpu_debug_step_back(d).what, VCPU_DEBUG_THERE);
		ck_assert_uint_eq(vcpu_instructions(v), --at);
		if (!run.changed[at])
			ck_assert_uint_eq(vcpu_state_hash(v), hashes[at]);
	}
}

/* A debugger goes back over changes, and repeats them without the hooks; beyond the place where it was, hooks are
 * called again. */
START_TEST(test_back)
{
	uint64_t hash, end = step_through(_i, &hash), middle = 1000;
	const unsigned calls = run.calls;
	unsigned before;
	vcpu *v = machine(_i);
	vcpu_debug *d;

	set_up(v);
	d = vcpu_debug_new(v, NULL, NULL);
	ck_assert_ptr_nonnull(d);
	vcpu_debug_limits(d, 64 << 20, 300);
	hook(v);
	ck_assert_int_eq(vcpu_debug_run(d, middle).machine.reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_instructions(v), middle);
	before = run.calls;
	go_back(d, v, 200);
	ck_assert_uint_eq(run.calls, before);
	ck_assert_int_eq(vcpu_debug_run(d, 100000).what, VCPU_DEBUG_END);
	ck_assert_uint_eq(vcpu_instructions(v), middle);
	ck_assert_uint_eq(run.calls, before);
	ck_assert_int_eq(vcpu_debug_run(d, 100000).what, VCPU_DEBUG_MACHINE);
	ck_assert_uint_eq(run.calls, calls);
	ck_assert_uint_eq(vcpu_instructions(v), end);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	go_back(d, v, 400);
	ck_assert_uint_eq(run.calls, calls);
	vcpu_debug_free(d);
	vcpu_free(v);
}
END_TEST

/* A point at an instruction that was skipped stops before it, in both directions. */
START_TEST(test_point)
{
	struct tape t = { 0 };
	uint64_t hash = record(&t, _i, 1000000), places[ROUNDS];
	vcpu_replay *r = vcpu_replay_open(t.data, t.len, NULL);
	vcpu *v = replayed(r, _i);
	vcpu_debug *d = vcpu_debug_new(v, r, NULL);
	struct vcpu_debug_stop stop;
	unsigned n = 0;
	int id;

	ck_assert_ptr_nonnull(d);
	id = vcpu_debug_break(d, NOP, false);
	ck_assert_int_gt(id, 0);
	while ((stop = vcpu_debug_run(d, 100000)).what == VCPU_DEBUG_BREAK && n < ROUNDS) {
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), NOP);
		places[n++] = stop.place.instructions;
	}
	ck_assert_uint_eq(n, ROUNDS);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	while (n-- > ROUNDS - 100) {
		stop = vcpu_debug_run_back(d);
		ck_assert_int_eq(stop.what, VCPU_DEBUG_BREAK);
		ck_assert_uint_eq(stop.place.instructions, places[n]);
	}
	vcpu_debug_free(d);
	vcpu_free(v);
	vcpu_replay_free(r);
	free(t.data);
}
END_TEST

static enum vcpu_hook_answer skip(void *user, struct vcpu_hook_event *e)
{
	(void)e;
	return ++*(unsigned *)user % 3 ? VCPU_HOOK_GO : VCPU_HOOK_SKIP;
}

/* A guest that sleeps and is interrupted (examples/guests/echo.s): every third HLT is skipped. */
START_TEST(test_interrupted)
{
	struct vcpu_config config = { .memory = 1 << 20, .kernel = "echo_guest.bin" };
	struct tape t = { 0 };
	struct vcpu_recording recording = { .write = append, .user = &t, .embed = true, .interval = 1000 };
	unsigned halts = 0;
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .instruction = "hlt", .call = skip, .user = &halts };
	vcpu *v = vcpu_new(&config, NULL);
	struct vcpu_place end, at;
	vcpu_replay *r;
	uint64_t hash;

	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(vcpu_record(v, &recording), 0);
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	for (unsigned i = 0; i < 20; i++) {
		vcpu_run(v, 20000000);
		ck_assert_int_eq(vcpu_input(v, VCPU_COM1, "a", 1), 0);
	}
	ck_assert_uint_gt(halts, 30);
	ck_assert(vcpu_record_end(v, NULL));
	hash = vcpu_state_hash(v);
	end = vcpu_where(v);
	vcpu_free(v);
	r = vcpu_replay_open(t.data, t.len, NULL);
	ck_assert_ptr_nonnull(r);
	vcpu_replay_verify(r, true);
	vcpu_replay_engine(r, _i ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER);
	v = vcpu_replay_machine(r, NULL, NULL, NULL);
	ck_assert_ptr_nonnull(v);
	while (!vcpu_replay_done(r))
		ck_assert_msg(vcpu_replay_run(r, v, 12345).reason == VCPU_STOP_LIMIT, "%s", vcpu_error(v));
	at = vcpu_where(v);
	ck_assert_uint_eq(at.instructions, end.instructions);
	ck_assert_uint_eq(at.ns, end.ns);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	vcpu_free(v);
	vcpu_replay_free(r);
	free(t.data);
}
END_TEST

static enum vcpu_hook_answer nothing(void *user, struct vcpu_hook_event *e)
{
	(void)user, (void)e;
	return VCPU_HOOK_GO;
}

/* In the middle of an instruction there is no place for a change. */
START_TEST(test_refused)
{
	struct tape t = { 0 };
	struct vcpu_recording recording = { .write = append, .user = &t };
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN | VCPU_HOOK_READ, .call = nothing };
	vcpu *v = machine(_i);
	int id = vcpu_hook_add(v, &h);

	ck_assert_int_gt(id, 0);
	ck_assert_int_eq(vcpu_record(v, &recording), -1);
	ck_assert_int_eq(vcpu_hook_remove(v, id), 0);
	ck_assert_int_eq(vcpu_record(v, &recording), 0);
	ck_assert_int_eq(vcpu_hook_add(v, &h), -1);
	h.kinds = VCPU_HOOK_INSN;
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	h = (struct vcpu_hook){ .kinds = VCPU_HOOK_READ, .observer = true, .call = nothing };
	ck_assert_int_gt(vcpu_hook_add(v, &h), 0);
	vcpu_free(v);
	free(t.data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("changes");
	TCase *t = tcase_create("changes");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
#define BOTH(test) tcase_add_loop_test(t, test, 0, 2)
	BOTH(test_replayed);
	BOTH(test_damaged);
	BOTH(test_back);
	BOTH(test_point);
	BOTH(test_interrupted);
	BOTH(test_refused);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
