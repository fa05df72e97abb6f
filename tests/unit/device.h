/* SPDX-License-Identifier: MIT */
/* What every test of a device needs: a machine of one device, wires that remember, time that passes, and the round trip
 * of its state. */
#ifndef TEST_DEVICE_H
#define TEST_DEVICE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

static struct space bus;
static struct clock test_clock;

/* Wire N: its level, and how often it rose. */
struct wire {
	bool level;
	unsigned rises;
	u64 rose_at; /* virtual ns of the last rise */
};
static struct wire wires[40];

static inline void wire_set(void *owner, int n, bool level)
{
	struct wire *wire = &wires[n];

	(void)owner;
	if (level && !wire->level) {
		wire->rises++;
		wire->rose_at = test_clock.now;
	}
	wire->level = level;
}

static inline struct line wire(int n)
{
	return (struct line){ wire_set, NULL, n };
}

/* The last line that was logged: for struct log. */
static char logged[256];

static inline void remember(void *owner, const char *text)
{
	(void)owner;
	snprintf(logged, sizeof logged, "%s", text);
}

static inline void fresh(void)
{
	space_free(&bus);
	space_init(&bus);
	test_clock = (struct clock){ 0 };
	memset(wires, 0, sizeof wires);
}

/* A test may run cut everywhere: after each access and each event the devices are saved, freed, made anew and loaded,
 * and go on as if nothing had happened, with their wires as they were. What does the four steps is the test's own; RAM
 * stays. */
enum { CUT_PARTS = 16 };
struct cut {
	void (*end)(void);                        /* free the devices */
	void (*begin)(void);                      /* make them, on the fresh bus */
	unsigned (*parts)(struct part *out);      /* at most CUT_PARTS */
	void (*refresh)(void);
	unsigned every;                           /* so many accesses, where the state is large [each] */
};
static struct cut cut; /* end NULL: the test is not cut */
static unsigned cuts; /* places where one could be */

static inline void cut_here(void)
{
	const struct cut c = cut;
	struct part parts[CUT_PARTS];
	struct wire kept[ARRAY_LEN(wires)];
	u8 *saved[CUT_PARTS];
	u64 mask = bus.mask;
	unsigned n;

	if (!c.end || (c.every && ++cuts % c.every))
		return;
	cut.end = NULL;
	n = c.parts(parts);
	for (unsigned i = 0; i < n; i++)
		part_save(&parts[i], saved[i] = malloc(part_size(&parts[i]) + 1));
	memcpy(kept, wires, sizeof wires);
	c.end();
	space_free(&bus);
	space_init(&bus);
	space_set_mask(&bus, mask);
	test_clock.first = NULL;
	c.begin();
	memcpy(wires, kept, sizeof wires);
	ck_assert_uint_eq(c.parts(parts), n);
	for (unsigned i = 0; i < n; i++) {
		ck_assert(part_load(&parts[i], saved[i], part_size(&parts[i]), NULL));
		free(saved[i]);
	}
	clock_sort(&test_clock);
	c.refresh();
	for (unsigned i = 0; i < ARRAY_LEN(wires); i++)
		ck_assert_msg(wires[i].level == kept[i].level && wires[i].rises == kept[i].rises,
			      "wire %u moves in a cut", i);
	cut = c;
}

/* From now on, with all lines driven. */
static inline void start_cutting(struct cut c)
{
	c.refresh();
	for (unsigned i = 0; i < ARRAY_LEN(wires); i++)
		wires[i].rises = 0;
	cut = c;
}

static inline u64 bus_read(u64 addr, unsigned size)
{
	u64 value = space_read(&bus, addr, size);

	cut_here();
	return value;
}

static inline void bus_write(u64 addr, unsigned size, u64 value)
{
	space_write(&bus, addr, size, value);
	cut_here();
}

static inline u8 in8(u64 addr) { return (u8)bus_read(addr, 1); }
static inline u16 in16(u64 addr) { return (u16)bus_read(addr, 2); }
static inline u32 in32(u64 addr) { return (u32)bus_read(addr, 4); }
static inline void out8(u64 addr, u8 value) { bus_write(addr, 1, value); }
static inline void out16(u64 addr, u16 value) { bus_write(addr, 2, value); }
static inline void out32(u64 addr, u32 value) { bus_write(addr, 4, value); }

/* Let time pass, stopping at every event as a processor does. */
static inline void pass_until(u64 then)
{
	while (clock_next(&test_clock) <= then && clock_next(&test_clock) != CLOCK_NEVER) {
		if (clock_next(&test_clock) > test_clock.now)
			test_clock.now = clock_next(&test_clock);
		clock_fire(&test_clock);
		cut_here();
	}
	test_clock.now = then;
	cut_here();
}

static inline void pass(u64 ns)
{
	pass_until(test_clock.now + ns);
}

static inline u64 test_random(u64 *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 17 ^ *seed << 20;
}

/* The tests of a suite once more, cut everywhere as C says: ADD puts them into the case. */
static inline void cut_everywhere(Suite *suite, void (*setup)(void), void (*teardown)(void), void (*add)(TCase *tc))
{
	TCase *tc = tcase_create("cut everywhere");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	add(tc);
	suite_add_tcase(suite, tc);
}

/* The state of a device as the test sees it. Every round: random state, saved, loaded into a second one made alike,
 * same hash and same bytes; then the device lives on with random accesses to [base, base + size) and time jumps: it
 * must survive what no guest can reach. MAKE builds one on the (fresh) bus and clock, PART and REFRESH are the device's
 * own. */
static inline void round_trips(void *(*make)(void), void (*destroy)(void *), struct part (*part_of)(void *),
	void (*refresh)(void *),
		const u64 (*ranges)[2], unsigned count, unsigned widest)
{
	u64 seed = 12345;

	for (unsigned round = 0; round < 300; round++) {
		void *a, *b;
		struct part part;
		u64 hash, before;
		size_t size;
		u8 *saved, *again;

		fresh();
		a = make();
		part = part_of(a);
		before = part_hash(&part, 0);
		part_randomise(&part, &seed);
		size = part_size(&part);
		saved = malloc(size);
		again = malloc(size);
		hash = part_hash(&part, 0);
		ck_assert_uint_ne(hash, before);
		part_save(&part, saved);
		destroy(a);

		fresh();
		b = make();
		part = part_of(b);
		ck_assert(!part_load(&part, saved, size - 1, NULL));
		ck_assert_uint_eq(part_hash(&part, 0), before);
		test_clock.now = test_random(&seed) >> (test_random(&seed) % 64);
		ck_assert(part_load(&part, saved, size, NULL));
		clock_sort(&test_clock);
		refresh(b);
		ck_assert_uint_eq(part_hash(&part, 0), hash);
		part_save(&part, again);
		ck_assert_mem_eq(saved, again, size);

		for (unsigned i = 0; i < 300; i++) {
			const u64 *range = ranges[test_random(&seed) % count];
			u64 addr = range[0] + test_random(&seed) % range[1];
			unsigned width = 1u << test_random(&seed) % widest;

			switch (test_random(&seed) % 4) {
			case 0:
				space_read(&bus, addr, width);
				break;
			case 1:
			case 2:
				space_write(&bus, addr, width, test_random(&seed));
				break;
			default:
				if (test_random(&seed) % 2 && clock_next(&test_clock) != CLOCK_NEVER &&
				    clock_next(&test_clock) > test_clock.now)
					test_clock.now = clock_next(&test_clock);
				else
					test_clock.now = clock_in(&test_clock,
								  test_random(&seed) >> (20 + test_random(&seed) % 44));
				clock_fire(&test_clock);
				ck_assert(clock_next(&test_clock) > test_clock.now || test_clock.now == CLOCK_NEVER);
				break;
			}
		}
		destroy(b);
		free(saved);
		free(again);
	}
	fresh();
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
