/* The debugger: it finds what a plain run passes, in both directions, and leaves no trace. */
#include <check.h>
#include <stdlib.h>
#include "lib/machine.h"
#include "lib/vcpu_debug.h"

/* Timer interrupts count in [500h]; the loop counts in [bx+1000h], changes its own code, adds to [502h], and sends bytes from COM1 back. */
static const u8 sector[512] = {
	0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c,       /* cli; ds = ss = 0; sp = 7c00h */
	0xc7, 0x06, 0x20, 0x00, 0x80, 0x7c, 0xc7, 0x06, 0x22, 0x00, 0, 0, /* vector 8: 0:7c80h */
	0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe, 0xe6, 0x21,
	0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xa9, 0xe6, 0x40, 0xb0, 0x04, 0xe6, 0x40,
	0xfb, 0x31, 0xdb,                                                 /* sti; bx = 0 */
	0x43, 0x81, 0xe3, 0xff, 0x3f, 0x89, 0x9f, 0x00, 0x10,             /* 7c39 l: inc bx; bx &= 3fffh; [bx+1000h] = bx */
	0x2e, 0x89, 0x1e, 0x48, 0x7c,                                     /* the immediate of the next instruction = bx */
	0xb9, 0x00, 0x00, 0x01, 0x0e, 0x02, 0x05,                         /* 7c47: cx = imm; [502h] += cx */
	0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0x04,                   /* 7c4e: dx = 3fdh; al = [dx]; no byte: on */
	0xb2, 0xf8, 0xec, 0xee,                                           /* 7c56: dl = f8h; al = [dx]; [dx] = al */
	0xf6, 0xc3, 0x3f, 0x75, 0xda, 0xf4, 0xeb, 0xd7,                   /* 7c5a: every 64 times, hlt; jmp l */
	[0x80] = 0xff, 0x06, 0x00, 0x05, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf, /* 7c80: inc [500h]; EOI; iret */
	[510] = 0x55, 0xaa,
};
enum { LOOP = 0x7c39, BYTE_CAME = 0x7c56, TICK = 0x7c80 };

static vcpu *v;
static vcpu_debug *d;

static vcpu *machine(void)
{
	struct vcpu_config config = { .memory = 4 * MiB, .kernel_data = sector, .kernel_size = sizeof sector };
	char *error = NULL;
	vcpu *m = vcpu_new(&config, &error);

	ck_assert_msg(m != NULL, "%s", error);
	return m;
}

static void setup(void)
{
	v = machine();
	d = vcpu_debug_new(v, NULL, NULL);
	ck_assert_ptr_nonnull(d);
	vcpu_debug_limits(d, 4 * MiB, 5000);
}

static void teardown(void)
{
	vcpu_debug_free(d);
	vcpu_free(v);
}

static u64 dice(u64 *seed, u64 n)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (*seed >> 33) % n;
}

static struct vcpu_place place(u64 instructions, u32 steps)
{
	return (struct vcpu_place){ instructions, steps, 0 };
}

static void check_what(struct vcpu_debug_stop s, enum vcpu_debug_what what)
{
	ck_assert_msg(s.what == what, "stop %d, not %d, at %llu+%u: %s", s.what, what, (unsigned long long)s.place.instructions, s.place.steps,
		vcpu_error(v));
}

/* The run that has inputs, without a debugger. */
enum { RUN = 300000, CUTS = 100 };
static void inputs(vcpu *m, vcpu_debug *with, u64 hash[CUTS])
{
	for (int i = 0; i < CUTS; i++) {
		if (with)
			while (vcpu_instructions(m) < (u64)(i + 1) * (RUN / CUTS))
				vcpu_debug_run(with, (u64)(i + 1) * (RUN / CUTS) - vcpu_instructions(m));
		else
			while (vcpu_instructions(m) < (u64)(i + 1) * (RUN / CUTS))
				vcpu_run(m, (u64)(i + 1) * (RUN / CUTS) - vcpu_instructions(m));
		if (i % 7 == 3)
			vcpu_input(m, VCPU_COM1, "xyz", 1 + (size_t)i % 3);
		hash[i] = vcpu_state_hash(m);
	}
}

START_TEST(gotos)
{
	static u64 plain[CUTS], debugged[CUTS];
	vcpu *other = machine();
	u64 seed = 1;

	inputs(other, NULL, plain);
	inputs(v, d, debugged);
	for (int i = 0; i < CUTS; i++)
		ck_assert_uint_eq(plain[i], debugged[i]);
	for (int i = 0; i < 300; i++) {
		unsigned to = (unsigned)dice(&seed, CUTS);

		if (to % 7 == 3)
			continue; /* the hash was taken after an input that came there */
		check_what(vcpu_debug_seek(d, place((u64)(to + 1) * (RUN / CUTS), 0)), VCPU_DEBUG_THERE);
		ck_assert_msg(vcpu_state_hash(v) == plain[to], "goto %u", to);
		if (i % 3 == 0) {
			for (int k = 0; k < 5; k++)
				check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
			for (int k = 0; k < 10; k++)
				check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
			for (int k = 0; k < 5; k++)
				check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
			ck_assert_msg(vcpu_state_hash(v) == plain[to], "steps from %u", to);
		}
	}
	vcpu_free(other);
}
END_TEST

/* Breakpoints stop at the same places forwards and backwards, and change nothing. */
START_TEST(breakpoints)
{
	static const u64 addresses[] = { LOOP, BYTE_CAME, TICK, 0x7c47 };
	enum { MAX = 40000 };
	static struct vcpu_place hits[MAX];
	static u64 plain[CUTS], debugged[CUTS];
	vcpu *other = machine();
	struct vcpu_debug_stop s;
	int n = 0, id;

	inputs(other, NULL, plain);
	inputs(v, d, debugged);
	id = vcpu_debug_break(d, addresses[_i % 4], _i >= 4);
	ck_assert_int_gt(id, 0);
	check_what(vcpu_debug_seek(d, place(0, 0)), VCPU_DEBUG_THERE);
	while ((s = vcpu_debug_run(d, UINT64_MAX)).what == VCPU_DEBUG_BREAK && n < MAX) {
		ck_assert_int_eq(s.id, id);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), addresses[_i % 4]);
		hits[n++] = s.place;
	}
	check_what(s, VCPU_DEBUG_END);
	ck_assert_uint_eq(vcpu_state_hash(v), plain[CUTS - 1]);
	ck_assert_int_gt(n, 10);
	for (int i = n; i-- > 0 && i > n - 200;) {
		s = vcpu_debug_run_back(d);
		check_what(s, VCPU_DEBUG_BREAK);
		ck_assert_uint_eq(s.place.instructions, hits[i].instructions);
		ck_assert_uint_eq(s.place.steps, hits[i].steps);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), addresses[_i % 4]);
	}
	vcpu_debug_seek(d, hits[0]);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
	ck_assert_uint_eq(vcpu_instructions(v), 0);
	vcpu_free(other);
}
END_TEST

START_TEST(watchpoints)
{
	static u64 hash[CUTS];
	struct vcpu_debug_stop s;
	u16 ticks, then;
	int id, n = 0;

	inputs(v, d, hash);
	vcpu_read_physical(v, 0x500, &ticks, 2);
	ck_assert_uint_gt(ticks, 10);
	/* The last write of the counter is the timer's handler. */
	s = vcpu_debug_last_write(d, 0x500, 2);
	check_what(s, VCPU_DEBUG_WATCH);
	ck_assert_uint_eq(s.rip, TICK);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), TICK);
	ck_assert(s.write && !s.device);
	vcpu_read_physical(v, 0x500, &then, 2);
	ck_assert_uint_eq(then, ticks - 1);
	/* Nobody wrote there: the start. */
	check_what(vcpu_debug_last_write(d, 0x300000, 8), VCPU_DEBUG_START);
	/* All ticks, by linear and physical watchpoints. */
	for (int physical = 0; physical < 2; physical++) {
		id = vcpu_debug_watch(d, 0x501, 1, physical, false, true);
		check_what(vcpu_debug_seek(d, place(0, 0)), VCPU_DEBUG_THERE);
		for (n = 0; (s = vcpu_debug_run(d, UINT64_MAX)).what == VCPU_DEBUG_WATCH; n++)
			ck_assert_uint_eq(s.rip, TICK);
		check_what(s, VCPU_DEBUG_END);
		ck_assert_int_eq(n, ticks);
		ck_assert_uint_eq(vcpu_state_hash(v), hash[CUTS - 1]);
		for (; n; n--)
			check_what(vcpu_debug_run_back(d), VCPU_DEBUG_WATCH);
		ck_assert_int_eq(vcpu_debug_delete(d, id), 0);
	}
}
END_TEST

/* Another future: a new input at a place in the past. */
START_TEST(branch)
{
	static u64 hash[CUTS];
	vcpu *other = machine();
	u64 at = 100000;

	inputs(v, d, hash);
	check_what(vcpu_debug_seek(d, place(at, 0)), VCPU_DEBUG_THERE);
	vcpu_input(v, VCPU_COM1, "!", 1);
	ck_assert_uint_eq(vcpu_debug_end(d).instructions, at);
	while (vcpu_instructions(v) < 2 * at)
		vcpu_debug_run(d, 2 * at - vcpu_instructions(v));
	for (int i = 0; vcpu_instructions(other) < at; i++) {
		while (vcpu_instructions(other) < at && vcpu_instructions(other) < (u64)(i + 1) * (RUN / CUTS)) {
			u64 to = (u64)(i + 1) * (RUN / CUTS) < at ? (u64)(i + 1) * (RUN / CUTS) : at;

			vcpu_run(other, to - vcpu_instructions(other));
		}
		if (i % 7 == 3 && vcpu_instructions(other) < at)
			vcpu_input(other, VCPU_COM1, "xyz", 1 + (size_t)i % 3);
	}
	vcpu_input(other, VCPU_COM1, "!", 1);
	while (vcpu_instructions(other) < 2 * at)
		vcpu_run(other, 2 * at - vcpu_instructions(other));
	ck_assert_uint_eq(vcpu_state_hash(v), vcpu_state_hash(other));
	vcpu_free(other);
}
END_TEST

/* Stepping, and being there at all, leaves no trace. */
START_TEST(no_trace)
{
	vcpu *other = machine();

	for (int i = 0; i < 10000; i++)
		check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
	vcpu_debug_free(d);
	d = NULL;
	while (vcpu_instructions(v) < 50000)
		vcpu_run(v, 50000 - vcpu_instructions(v));
	while (vcpu_instructions(other) < 50000)
		vcpu_run(other, 50000 - vcpu_instructions(other));
	ck_assert_uint_eq(vcpu_state_hash(v), vcpu_state_hash(other));
	vcpu_free(other);
}
END_TEST

START_TEST(exceptions)
{
	struct vcpu_debug_stop s;

	vcpu_debug_catch(d, &(struct vcpu_debug_catch){ VCPU_EVENT_INTERRUPT, 0, 255, false, true, NULL });
	s = vcpu_debug_run(d, UINT64_MAX);
	check_what(s, VCPU_DEBUG_EVENT);
	ck_assert_uint_eq(s.address, 8);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), TICK);
}
END_TEST

static int catch(unsigned kinds, u64 first, u64 last, bool read, bool write, const char *name)
{
	int id = vcpu_debug_catch(d, &(struct vcpu_debug_catch){ kinds, first, last, read, write, name });

	ck_assert_int_gt(id, 0);
	return id;
}

/* Ports: the second write to 43h and 40h in the sector's text, and the only reads are of the serial port. The same, backwards. */
START_TEST(ports)
{
	static const struct { u64 port, value, next; bool write; } seen[] = {
		{ 0x43, 0x34, 0x7c2e, true }, { 0x40, 0xa9, 0x7c32, true }, { 0x40, 0x04, 0x7c36, true }, { 0x3fd, 0x60, 0x7c52, false },
	};
	struct vcpu_debug_stop s;

	catch(VCPU_EVENT_PORT, 0x40, 0x43, true, true, NULL);
	catch(VCPU_EVENT_PORT, 0x3f8, 0x3ff, true, false, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
		s = vcpu_debug_run(d, UINT64_MAX);
		check_what(s, VCPU_DEBUG_EVENT);
		ck_assert_uint_eq(s.event, VCPU_EVENT_PORT);
		ck_assert_uint_eq(s.address, seen[i].port);
		ck_assert_uint_eq(s.value, seen[i].value);
		ck_assert_int_eq(s.write, seen[i].write);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), seen[i].next);
		ck_assert_int_eq(s.id, i < 3 ? 1 : 2);
	}
	for (unsigned i = ARRAY_LEN(seen) - 1; i-- > 0;) {
		s = vcpu_debug_run_back(d);
		check_what(s, VCPU_DEBUG_EVENT);
		ck_assert_uint_eq(s.value, seen[i].value);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), seen[i].next);
	}
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
}
END_TEST

/* The guest sends back what it is sent: a text is found, though snapshots come between its bytes, and found again from the other side. */
START_TEST(texts)
{
	struct vcpu_debug_stop s;
	struct vcpu_place place;

	vcpu_debug_limits(d, 64 * MiB, 300);
	catch(VCPU_EVENT_OUTPUT, VCPU_COM1, VCPU_COM1, false, true, "lo, w");
	catch(VCPU_EVENT_CLOCK, 0, 0, false, true, "no such thing");
	vcpu_debug_run(d, 10000);
	ck_assert_int_eq(vcpu_input(v, VCPU_COM1, "hello, world", 12), 0);
	s = vcpu_debug_run(d, 10000000);
	check_what(s, VCPU_DEBUG_EVENT);
	ck_assert_int_eq(s.event, VCPU_EVENT_OUTPUT);
	ck_assert_str_eq(s.name, "lo, w");
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX) & 0xff, 'w');
	place = s.place;
	check_what(vcpu_debug_run(d, 1000000), VCPU_DEBUG_MACHINE);
	s = vcpu_debug_run_back(d);
	check_what(s, VCPU_DEBUG_EVENT);
	ck_assert_uint_eq(s.place.instructions, place.instructions);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
}
END_TEST

/* A guest that resets itself: the stop at what asks for it is not lost in the reset, nor are those after it. */
START_TEST(resets)
{
	static const u8 code[512] = { 0xb0, 0xfe, 0xe6, 0x64, 0xf4, [510] = 0x55, 0xaa }; /* al = feh; [64h] = al; hlt */
	struct vcpu_config config = { .memory = 4 * MiB, .kernel_data = code, .kernel_size = sizeof code };
	vcpu *m = vcpu_new(&config, NULL);
	vcpu_debug *with = vcpu_debug_new(m, NULL, NULL);

	vcpu_debug_catch(with, &(struct vcpu_debug_catch){ VCPU_EVENT_PORT, 0x64, 0x64, true, true, NULL });
	for (int i = 1; i <= 3; i++) {
		struct vcpu_debug_stop s = vcpu_debug_run(with, 1000);

		check_what(s, VCPU_DEBUG_EVENT);
		ck_assert_uint_eq(s.value, 0xfe);
		ck_assert_uint_eq(s.place.instructions, 2 * i);
		ck_assert_uint_eq(vcpu_get(m, VCPU_RIP), 0x7c00);
	}
	check_what(vcpu_debug_run_back(with), VCPU_DEBUG_EVENT);
	ck_assert_uint_eq(vcpu_instructions(m), 4);
	vcpu_debug_free(with);
	vcpu_free(m);
}
END_TEST

struct counted { unsigned by_kind[32]; u64 last; };
static void count_event(void *user, const struct vcpu_debug_event *e)
{
	struct counted *n = user;

	ck_assert_uint_ge(e->instructions, n->last);
	n->last = e->instructions;
	n->by_kind[__builtin_ctz(e->kind)]++;
}
static void count_bytes(void *user, uint64_t address, unsigned size)
{
	memset((u8 *)user + (address & 0xffff), 1, size);
}

/* A trace sees everything, stops at nothing, and leaves none. */
START_TEST(traces)
{
	static u8 covered[65536 + 16];
	struct counted n = { 0 };
	vcpu *other = machine();

	vcpu_debug_trace(d, VCPU_EVENT_PORT | VCPU_EVENT_MEMORY | VCPU_EVENT_INTERRUPT | VCPU_EVENT_CLOCK, count_event, &n);
	vcpu_debug_coverage(d, count_bytes, covered);
	while (vcpu_instructions(v) < 20000)
		check_what(vcpu_debug_run(d, 20000 - vcpu_instructions(v)), VCPU_DEBUG_MACHINE);
	while (vcpu_instructions(other) < 20000)
		vcpu_run(other, 20000 - vcpu_instructions(other));
	ck_assert_uint_eq(vcpu_state_hash(v), vcpu_state_hash(other));
	ck_assert_uint_ge(n.by_kind[__builtin_ctz(VCPU_EVENT_INTERRUPT)], 3);
	ck_assert_uint_ge(n.by_kind[__builtin_ctz(VCPU_EVENT_CLOCK)], n.by_kind[__builtin_ctz(VCPU_EVENT_INTERRUPT)]);
	/* The loop has 12 instructions, or 13 with its HLT: two stores and an addition to memory, one IN. Six more accesses an interrupt takes, and two its
	 * handler's push and pop, two its INC, three its IRET. */
	ck_assert_uint_gt(n.by_kind[__builtin_ctz(VCPU_EVENT_MEMORY)], 20000 / 13 * 4);
	ck_assert_uint_gt(n.by_kind[__builtin_ctz(VCPU_EVENT_PORT)], 20000 / 13);
	ck_assert_uint_eq(covered[LOOP], 1);
	ck_assert_uint_eq(covered[TICK], 1);
	ck_assert_uint_eq(covered[BYTE_CAME], 0); /* nobody has sent one */
	vcpu_free(other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("debug");
	TCase *tc = tcase_create("debug");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, gotos);
	tcase_add_loop_test(tc, breakpoints, 0, 8);
	tcase_add_test(tc, watchpoints);
	tcase_add_test(tc, branch);
	tcase_add_test(tc, no_trace);
	tcase_add_test(tc, exceptions);
	tcase_add_test(tc, ports);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, resets);
	tcase_add_test(tc, traces);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
