/* SPDX-License-Identifier: MIT */
/* The debugger: it finds what a plain run passes, in both directions, and leaves no trace. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/machine.h"
#include "lib/vcpu_debug.h"

/* Timer interrupts count in [500h]; the loop counts in [bx+1000h], changes its own code, adds to [502h], and sends
 * bytes from COM1 back. */
static const u8 sector[512] = {
	0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c,       /* cli; ds = ss = 0; sp = 7c00h */
	0xc7, 0x06, 0x20, 0x00, 0x80, 0x7c, 0xc7, 0x06, 0x22, 0x00, 0, 0, /* vector 8: 0:7c80h */
	0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe,
		0xe6, 0x21,
	0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xa9, 0xe6, 0x40, 0xb0, 0x04, 0xe6, 0x40,
	0xfb, 0x31, 0xdb,                                                 /* sti; bx = 0 */
	/* 7c39 l: inc bx; bx &= 3fffh; [bx+1000h] = bx */
	0x43, 0x81, 0xe3, 0xff, 0x3f, 0x89, 0x9f, 0x00, 0x10,
	/* the immediate of the next instruction = bx */
	0x2e, 0x89, 0x1e, 0x48, 0x7c,
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
	ck_assert_msg(s.what == what, "stop %d, not %d, at %llu+%u: %s", s.what, what,
		(unsigned long long)s.place.instructions, s.place.steps,
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

	vcpu_debug_catch(d, &(struct vcpu_debug_catch){ 0, VCPU_EVENT_INTERRUPT, 0, 255, false, true, NULL });
	s = vcpu_debug_run(d, UINT64_MAX);
	check_what(s, VCPU_DEBUG_EVENT);
	ck_assert_uint_eq(s.address, 8);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), TICK);
}
END_TEST

static int catch(unsigned kinds, u64 first, u64 last, bool read, bool write, const char *name)
{
	int id = vcpu_debug_catch(d, &(struct vcpu_debug_catch){ 0, kinds, first, last, read, write, name });

	ck_assert_int_gt(id, 0);
	return id;
}

/* Ports: the second write to 43h and 40h in the sector's text, and the only reads are of the serial port. The same,
 * backwards. */
START_TEST(ports)
{
	static const struct { u64 port, value, next; bool write; } seen[] = {
		{ 0x43, 0x34, 0x7c2e, true }, { 0x40, 0xa9, 0x7c32, true }, { 0x40, 0x04, 0x7c36, true },
			{ 0x3fd, 0x60, 0x7c52, false },
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

/* The guest sends back what it is sent: a text is found, though snapshots come between its bytes, and found again from
 * the other side. */
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
	/* al = feh; [64h] = al; hlt */
	static const u8 code[512] = { 0xb0, 0xfe, 0xe6, 0x64, 0xf4, [510] = 0x55, 0xaa };
	struct vcpu_config config = { .memory = 4 * MiB, .kernel_data = code, .kernel_size = sizeof code };
	vcpu *m = vcpu_new(&config, NULL);
	vcpu_debug *with = vcpu_debug_new(m, NULL, NULL);

	vcpu_debug_catch(with, &(struct vcpu_debug_catch){ 0, VCPU_EVENT_PORT, 0x64, 0x64, true, true, NULL });
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

	vcpu_debug_trace(d, VCPU_EVENT_PORT | VCPU_EVENT_MEMORY | VCPU_EVENT_INTERRUPT | VCPU_EVENT_CLOCK, count_event,
			 &n);
	vcpu_debug_coverage(d, count_bytes, covered);
	while (vcpu_instructions(v) < 20000)
		check_what(vcpu_debug_run(d, 20000 - vcpu_instructions(v)), VCPU_DEBUG_MACHINE);
	while (vcpu_instructions(other) < 20000)
		vcpu_run(other, 20000 - vcpu_instructions(other));
	ck_assert_uint_eq(vcpu_state_hash(v), vcpu_state_hash(other));
	ck_assert_uint_ge(n.by_kind[__builtin_ctz(VCPU_EVENT_INTERRUPT)], 3);
	ck_assert_uint_ge(n.by_kind[__builtin_ctz(VCPU_EVENT_CLOCK)], n.by_kind[__builtin_ctz(VCPU_EVENT_INTERRUPT)]);
	/* The loop has 12 instructions, or 13 with its HLT: two stores and an addition to memory, one IN. Six more
	 * accesses an interrupt takes, and two its handler's push and pop, two its INC, three its IRET. */
	ck_assert_uint_gt(n.by_kind[__builtin_ctz(VCPU_EVENT_MEMORY)], 20000 / 13 * 4);
	ck_assert_uint_gt(n.by_kind[__builtin_ctz(VCPU_EVENT_PORT)], 20000 / 13);
	ck_assert_uint_eq(covered[LOOP], 1);
	ck_assert_uint_eq(covered[TICK], 1);
	ck_assert_uint_eq(covered[BYTE_CAME], 0); /* nobody has sent one */
	vcpu_free(other);
}
END_TEST

/* The place where a known run ends stops whoever comes to it again, and so does one where a call of vcpu_debug_run
 * has ended. */
START_TEST(ends)
{
	struct vcpu_debug_stop s;
	int id;

	check_what(vcpu_debug_run(d, 100), VCPU_DEBUG_MACHINE);
	id = vcpu_debug_break(d, vcpu_get(v, VCPU_RIP), _i);
	check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
	for (int i = 0; i < 2; i++) { /* with and without a bound beyond it */
		s = vcpu_debug_run(d, i ? 1 : UINT64_MAX);
		check_what(s, VCPU_DEBUG_BREAK);
		ck_assert_int_eq(s.id, id);
		ck_assert_uint_eq(s.place.instructions, 100);
		check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
	}
	check_what(vcpu_debug_run(d, UINT64_MAX), VCPU_DEBUG_BREAK);
	ck_assert_uint_eq(vcpu_debug_end(d).instructions, 100);
	check_what(vcpu_debug_run(d, 5), VCPU_DEBUG_MACHINE); /* away from it */
	ck_assert_uint_eq(vcpu_instructions(v), 105);
	vcpu_debug_delete(d, id);
	/* A write that is the last thing known. */
	while (vcpu_get(v, VCPU_RIP) != LOOP + 9)
		check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
	id = vcpu_debug_watch(d, 0x1000 + vcpu_get(v, VCPU_RBX), 2, _i, false, true);
	check_what(vcpu_debug_seek(d, place(100, 0)), VCPU_DEBUG_THERE);
	s = vcpu_debug_run(d, UINT64_MAX);
	check_what(s, VCPU_DEBUG_WATCH);
	ck_assert_int_eq(s.id, id);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), LOOP + 9);
	vcpu_debug_delete(d, id);
	/* Where nothing stops, it is the end. */
	vcpu_debug_break(d, TICK, false);
	check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
	check_what(vcpu_debug_run(d, UINT64_MAX), VCPU_DEBUG_END);
}
END_TEST

/* An interrupt that comes at the last known place is taken before the instruction there: the breakpoint stops at it
 * afterwards, and once. */
START_TEST(end_at_an_interrupt)
{
	struct vcpu_debug_stop s;
	struct vcpu_place at;
	u64 hash;

	vcpu_debug_catch(d, &(struct vcpu_debug_catch){ 0, VCPU_EVENT_INTERRUPT, 0, 255, false, true, NULL });
	check_what(vcpu_debug_run(d, UINT64_MAX), VCPU_DEBUG_EVENT);
	vcpu_debug_delete(d, 1);
	check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
	at = vcpu_where(v);
	teardown();
	setup();
	check_what(vcpu_debug_run(d, at.instructions), VCPU_DEBUG_MACHINE);
	hash = vcpu_state_hash(v);
	vcpu_debug_break(d, vcpu_get(v, VCPU_RIP), false);
	check_what(vcpu_debug_seek(d, place(0, 0)), VCPU_DEBUG_THERE);
	while ((s = vcpu_debug_run(d, UINT64_MAX)).what == VCPU_DEBUG_BREAK)
		ck_assert_uint_lt(s.place.instructions, at.instructions);
	check_what(s, VCPU_DEBUG_END);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	s = vcpu_debug_run(d, UINT64_MAX);
	check_what(s, VCPU_DEBUG_BREAK);
	ck_assert_uint_gt(s.place.instructions, at.instructions);
}
END_TEST

/* 7c00: [600h] = 1; nop; 7c07: [600h] = 2; 7c0d: di = 700h; cx = 16; al = 5ah; 7c15: rep stosb; 7c17: push ax; add
 * [600h], 5; 7c1d: hlt */
static const u8 writers[512] = {
	0xc7, 0x06, 0x00, 0x06, 0x01, 0x00, 0x90, 0xc7, 0x06, 0x00, 0x06, 0x02, 0x00, 0xbf, 0x00, 0x07, 0xb9, 0x10,
		0x00, 0xb0, 0x5a, 0xf3, 0xaa,
	0x50, 0x83, 0x06, 0x00, 0x06, 0x05, 0xf4, [510] = 0x55, 0xaa,
};

static unsigned word(u64 address)
{
	u16 value = 0;

	vcpu_read_physical(v, address, &value, 2);
	return value;
}

/* Going back, the stop is before the access: the instruction that makes it is the next, and what it changed is as it
 * was. */
START_TEST(watch_back)
{
	struct vcpu_config config = { .memory = 4 * MiB, .kernel_data = writers, .kernel_size = sizeof writers };
	static const struct { u64 rip; unsigned value; } changes[] = { { 0x7c18, 2 }, { 0x7c07, 1 }, { 0x7c00, 0 } };
	struct vcpu_debug_stop s;
	int id;

	teardown();
	v = vcpu_new(&config, NULL);
	d = vcpu_debug_new(v, NULL, NULL);
	check_what(vcpu_debug_run(d, 3), VCPU_DEBUG_MACHINE);
	id = vcpu_debug_watch(d, 0x601, 1, _i, false, true);
	/* The instruction before this place is not "here". */
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7c0d);
	s = vcpu_debug_run_back(d);
	check_what(s, VCPU_DEBUG_WATCH);
	ck_assert_int_eq(s.id, id);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7c07);
	ck_assert_uint_eq(word(0x600), 1);
	check_what(vcpu_debug_run(d, UINT64_MAX), VCPU_DEBUG_WATCH);
	while (vcpu_get(v, VCPU_RIP) != 0x7c1d)
		vcpu_debug_step(d);
	for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
		s = vcpu_debug_run_back(d);
		check_what(s, VCPU_DEBUG_WATCH);
		ck_assert_uint_eq(s.rip, changes[i].rip);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), changes[i].rip);
		ck_assert_uint_eq(word(0x600), changes[i].value);
		ck_assert_uint_eq(s.place.instructions, vcpu_instructions(v));
	}
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
	/* REP STOSB, which is one place. */
	vcpu_debug_delete(d, id);
	id = vcpu_debug_watch(d, 0x708, 1, _i, false, true);
	check_what(vcpu_debug_seek(d, vcpu_debug_end(d)), VCPU_DEBUG_THERE);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_WATCH);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7c15);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RDI), 0x700);
	ck_assert_uint_eq(word(0x708), 0);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
	/* A step tells of an access that it makes, in either direction. */
	check_what(vcpu_debug_run(d, UINT64_MAX), VCPU_DEBUG_WATCH);
	check_what(vcpu_debug_step_back(d), VCPU_DEBUG_WATCH);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RDI), 0x700);
	check_what(vcpu_debug_step(d), VCPU_DEBUG_WATCH);
	check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
	check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
	/* Reads, and several at once: the nearest is first. */
	vcpu_debug_watch(d, 0x600, 2, _i, true, false);
	check_what(vcpu_debug_seek(d, vcpu_debug_end(d)), VCPU_DEBUG_THERE);
	s = vcpu_debug_run_back(d);
	check_what(s, VCPU_DEBUG_WATCH);
	ck_assert(!s.write);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7c18);
	s = vcpu_debug_run_back(d);
	ck_assert_int_eq(s.id, id);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
}
END_TEST

/* ---- a device that writes: the floppy controller's DMA ---- */

static void fdc(const u8 *bytes, unsigned len)
{
	while (len--) {
		for (unsigned i = 0; i < 100 && (space_read(&v->io, 0x3f4, 1) & 0xc0) != 0x80; i++)
			vcpu_run(v, 100000);
		space_write(&v->io, 0x3f5, 1, *bytes++);
	}
	vcpu_run(v, 1000);
}

/* The guest spins, or sleeps; the sector's first bytes come to 2000h. */
START_TEST(devices)
{
	static const u8 code[2][512] = { { 0xfa, 0xeb, 0xfe, [510] = 0x55, 0xaa },
					 { 0xfb, 0xf4, 0xeb, 0xfd, [510] = 0x55, 0xaa } };
	static const u8 dma[][2] = { { 0x0a, 6 }, { 0x0c, 0 }, { 0x0b, 0x46 }, { 4, 0 },   { 4, 0x20 },
				     { 0x81, 0 }, { 5, 0xff }, { 5, 1 },       { 0x0a, 2 } };
	char image[] = "/tmp/test_debug.XXXXXX";
	struct vcpu_drive drive = { .image = image, .bus = VCPU_BUS_FLOPPY };
	struct vcpu_config config = {
		.memory = 4 * MiB, .kernel_data = code[_i / 2], .kernel_size = 512, .drives = &drive, .drives_count = 1
	};
	int fd = mkstemp(image), physical = _i % 2, id;
	static u8 bytes[1474560] = "a sector";
	struct vcpu_debug_stop s, back;

	ck_assert_int_eq(write(fd, bytes, sizeof bytes), (int)sizeof bytes);
	close(fd);
	teardown();
	v = vcpu_new(&config, NULL);
	ck_assert_ptr_nonnull(v);
	unlink(image);
	vcpu_run(v, 100);
	space_write(&v->io, 0x3f2, 1, 0);
	space_write(&v->io, 0x3f2, 1, 0x1c);
	space_write(&v->io, 0x3f7, 1, 0);
	vcpu_run(v, 1000000);
	for (unsigned i = 0; i < 4; i++) {
		fdc((u8[]){ 8 }, 1);
		space_read(&v->io, 0x3f5, 1);
		space_read(&v->io, 0x3f5, 1);
	}
	fdc((u8[]){ 3, 0xdf, 2 }, 3);
	for (unsigned i = 0; i < ARRAY_LEN(dma); i++)
		space_write(&v->io, dma[i][0], 1, dma[i][1]);
	fdc((u8[]){ 0xe6, 0, 0, 0, 1, 2, 1, 0x1b, 0xff }, 9);
	d = vcpu_debug_new(v, NULL, NULL);
	id = vcpu_debug_watch(d, 0x2002, 2, physical, false, true);
	ck_assert_uint_eq(word(0x2002), 0);
	do
		s = vcpu_debug_run(d, 100000000);
	while (s.what == VCPU_DEBUG_MACHINE && vcpu_virtual_ns(v) < 2000000000);
	check_what(s, VCPU_DEBUG_WATCH);
	ck_assert(s.device);
	ck_assert_int_eq(s.id, id);
	ck_assert_int_eq(s.physical, physical);
	ck_assert_uint_eq(word(0x2002), 's' | 'e' << 8);
	for (int i = 0; i < 2; i++) {
		back = vcpu_debug_run_back(d);
		check_what(back, VCPU_DEBUG_WATCH);
		ck_assert(back.device);
		ck_assert_uint_eq(word(0x2002), 0);
		ck_assert_uint_le(s.place.ns - back.place.ns, 1);
		s = vcpu_debug_run(d, 100000000);
		check_what(s, VCPU_DEBUG_WATCH);
	}
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_WATCH);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
}
END_TEST

/* What is changed by hand is part of the run from there on, wherever one comes from; what was known after it is
 * forgotten. */
START_TEST(changes)
{
	static const u8 st[10] = { 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f };
	struct vcpu_place at = place(20000, 0);
	u64 before, changed, end, plain;
	u8 vector[16] = { 1, 2, 3 };

	while (vcpu_instructions(v) < 50000)
		vcpu_debug_run(d, 50000 - vcpu_instructions(v));
	vcpu_debug_seek(d, place(50000, 0));
	plain = vcpu_state_hash(v);
	check_what(vcpu_debug_seek(d, at), VCPU_DEBUG_THERE);
	before = vcpu_state_hash(v);
	ck_assert_int_eq(vcpu_set(v, VCPU_RBP, 0x1234), 0);
	ck_assert_uint_eq(vcpu_debug_end(d).instructions, at.instructions);
	ck_assert_int_eq(vcpu_set_vector(v, 3, vector), 0);
	ck_assert_int_eq(vcpu_set_st(v, 2, st), 0);
	ck_assert_uint_eq(vcpu_write_linear(v, 0x3ffe, "abcd", 4), 4);
	ck_assert_uint_eq(vcpu_write_physical(v, 0x502, "\0\1", 2), 2); /* the guest adds to it */
	changed = vcpu_state_hash(v);
	ck_assert_uint_ne(before, changed);
	while (vcpu_instructions(v) < 50000)
		vcpu_debug_run(d, 50000 - vcpu_instructions(v));
	end = vcpu_state_hash(v);
	ck_assert_uint_ne(end, plain);
	check_what(vcpu_debug_seek(d, place(19999, 0)), VCPU_DEBUG_THERE);
	ck_assert_uint_ne(vcpu_get(v, VCPU_RBP), 0x1234);
	check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_state_hash(v), changed);
	check_what(vcpu_debug_seek(d, place(50000, 0)), VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_state_hash(v), end);
	check_what(vcpu_debug_seek(d, at), VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_state_hash(v), changed);
	check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
	check_what(vcpu_debug_step_back(d), VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_state_hash(v), changed);
	/* Another place to be at is part of it, too. */
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, LOOP), 0);
	check_what(vcpu_debug_step(d), VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), LOOP + 1);
	check_what(vcpu_debug_seek(d, place(0, 0)), VCPU_DEBUG_THERE);
	check_what(vcpu_debug_seek(d, place(20001, 0)), VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), LOOP + 1);
}
END_TEST

/* Whoever is asked can end a search, and is asked often. */
static bool enough(void *user) { return ++*(int *)user < 3; }
START_TEST(progress)
{
	struct vcpu_debug_stop s;
	int asked = 0;

	while (vcpu_instructions(v) < 400000)
		check_what(vcpu_debug_run(d, 400000), VCPU_DEBUG_MACHINE);
	vcpu_debug_break(d, 0x12345, false);
	vcpu_debug_watch(d, 0x12345, 1, false, true, true); /* so that every piece is looked at */
	vcpu_debug_progress(d, enough, &asked);
	s = vcpu_debug_run_back(d);
	check_what(s, VCPU_DEBUG_MACHINE);
	ck_assert_int_eq(s.machine.reason, VCPU_STOP_REQUEST);
	ck_assert_int_eq(asked, 3);
	check_what(vcpu_debug_seek(d, place(0, 0)), VCPU_DEBUG_THERE);
	asked = 0;
	s = vcpu_debug_run(d, UINT64_MAX);
	check_what(s, VCPU_DEBUG_MACHINE);
	ck_assert_int_eq(s.machine.reason, VCPU_STOP_REQUEST);
	vcpu_debug_progress(d, NULL, NULL);
	check_what(vcpu_debug_run_back(d), VCPU_DEBUG_START);
}
END_TEST

/* XCHG BX,BX is a point where it is the 16-bit form, and executed: alone, in the midst of straight code, after an
 * instruction that ends in its bytes. */
START_TEST(magic)
{
	static const u8 code[512] = {
		0xb8, 0x87, 0xdb,       /* 7c00 mov ax,db87h */
		0x87, 0xdb,             /* 7c03 xchg bx,bx */
		0x40,                   /* 7c05 inc ax */
		0x66, 0x87, 0xdb,       /* 7c06 xchg ebx,ebx */
		0x87, 0xdb, 0x87, 0xdb, /* 7c09, 7c0b xchg bx,bx */
		0x81, 0xc1, 0x87, 0xdb, /* 7c0d add cx,db87h */
		0x87, 0xd2,             /* 7c11 xchg dx,dx */
		0xeb, 0xeb,             /* 7c13 jmp 7c00h */
		[510] = 0x55, 0xaa,
	};
	static const u64 stops[] = { 0x7c03, 0x7c09, 0x7c0b };
	struct vcpu_config config = { .memory = MiB, .kernel_data = code, .kernel_size = sizeof code };
	vcpu *plain = vcpu_new(&config, NULL), *m = vcpu_new(&config, NULL);
	vcpu_debug *with = vcpu_debug_new(m, NULL, NULL);
	int id = vcpu_debug_magic(with);
	struct vcpu_debug_stop s;

	ck_assert_int_gt(id, 0);
	for (unsigned i = 0; i < 300; i++) {
		check_what(s = vcpu_debug_run(with, UINT64_MAX), VCPU_DEBUG_BREAK);
		ck_assert_int_eq(s.id, id);
		ck_assert_uint_eq(vcpu_get(m, VCPU_RIP), stops[i % 3]);
	}
	for (unsigned i = 299; i-- > 200;) {
		check_what(vcpu_debug_run_back(with), VCPU_DEBUG_BREAK);
		ck_assert_uint_eq(vcpu_get(m, VCPU_RIP), stops[i % 3]);
	}
	vcpu_run(plain, vcpu_instructions(m));
	ck_assert_uint_eq(vcpu_state_hash(plain), vcpu_state_hash(m));
	check_what(vcpu_debug_run(with, 1), VCPU_DEBUG_MACHINE); /* a run that ends before the next one finds it */
	vcpu_debug_delete(with, id);
	check_what(vcpu_debug_run(with, 1000), VCPU_DEBUG_END);
	vcpu_debug_free(with);
	vcpu_free(m);
	vcpu_free(plain);
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
	tcase_add_loop_test(tc, ends, 0, 2);
	tcase_add_test(tc, end_at_an_interrupt);
	tcase_add_loop_test(tc, watch_back, 0, 2);
	tcase_add_loop_test(tc, devices, 0, 4);
	tcase_add_test(tc, magic);
	tcase_add_test(tc, progress);
	tcase_add_test(tc, changes);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
