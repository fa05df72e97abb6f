/* SPDX-License-Identifier: MIT */
/* A processor with RAM from 0 on and nothing else, for the tests that look at it from inside. */
#ifndef TESTS_BARE_H
#define TESTS_BARE_H

#include <check.h>
#include <stdlib.h>
#include "cpu/cpu.h"

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c;

/* Of MODEL as it is. */
static void bare_make(u64 ram_size)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true };

	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(ram_size);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, ram_size, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
}

static inline void bare_new(const char *name, u64 ram_size)
{
	ck_assert(model_parse(&model, name, NULL));
	bare_make(ram_size);
}

static inline void bare_free(void)
{
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

/* Everything that the processor remembers but its TLB, as one number. */
static inline u64 bare_state(void)
{
	struct part part;

	cpu_parts(c, &part, 1);
	return part_hash(&part, 0);
}

/* The end of every main(). */
static inline int bare_run(Suite *s)
{
	SRunner *runner = srunner_create(s);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
