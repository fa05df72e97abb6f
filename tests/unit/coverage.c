/* SPDX-License-Identifier: MIT */
/* Linked into the tests with --wrap=cpu_run. Every second run stitches its blocks at once, so that both engines do what
 * the tests ask for.
 *
 * And: which rows of the instruction table a test retired, and which raised a fault. If VCPU_COVERAGE names a file,
 * every run is a run of single instructions, and "row retired faulted" is appended to it at exit. (make isa-coverage)
 * */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cpu/engine/stitch.h"

enum cpu_stop __real_cpu_run(struct cpu *c, u64 icount_end, u64 idle_end);
enum cpu_stop __wrap_cpu_run(struct cpu *c, u64 icount_end, u64 idle_end);

enum { MAX_ROWS = 4096, NO_VECTOR = 0xfe };
static struct { u64 retired, faulted; } rows[MAX_ROWS];

static void append(void)
{
	int fd = open(getenv("VCPU_COVERAGE"), O_WRONLY | O_APPEND | O_CREAT, 0666);
	char line[80];

	for (unsigned i = 0; fd >= 0 && i < insn_count && i < MAX_ROWS; i++)
		if (rows[i].retired || rows[i].faulted) {
			int n = snprintf(line, sizeof line, "%u %llu %llu\n", i, (unsigned long long)rows[i].retired,
					 (unsigned long long)rows[i].faulted);

			if (write(fd, line, (size_t)n) != n)
				break;
		}
	if (fd >= 0)
		close(fd);
}

/* The row at RIP, or -1. */
static int row_here(const struct cpu *c)
{
	u8 code[15];
	struct dec d;
	struct op o;

	for (unsigned i = 0; i < sizeof code; i++) {
		u64 phys = 0, linear = (c->r[RIP] + c->cs_base + i) & c->linear_mask;

		code[i] = 0;
		if (page_peek(c, linear, &phys))
			space_peek(c->mem, phys, &code[i], 1);
	}
	return decode(c->isa, c->model, c->mode & ~(u64)MODE_SINGLE, code, sizeof code, &d, &o) == DECODE_OK
		       ? (int)(d.row->insn - insn_table)
		       : -1;
}

/* Run to ICOUNT_END, and put it down to the row that is next. */
static enum cpu_stop run_noted(struct cpu *c, u64 icount_end, u64 idle_end)
{
	u64 before = c->icount;
	int row = row_here(c);
	u8 vector = c->fault.vector;
	enum cpu_stop stop;

	c->fault.vector = NO_VECTOR;
	stop = __real_cpu_run(c, icount_end, idle_end);
	if (row >= 0 && row < MAX_ROWS && c->fault.vector != NO_VECTOR)
		rows[row].faulted++;
	else if (row >= 0 && row < MAX_ROWS && c->icount != before)
		rows[row].retired++;
	if (c->fault.vector == NO_VECTOR)
		c->fault.vector = vector;
	return stop;
}

enum cpu_stop __wrap_cpu_run(struct cpu *c, u64 icount_end, u64 idle_end)
{
	static bool asked, wanted, at_once;

	if (!asked) {
		asked = true;
		wanted = getenv("VCPU_COVERAGE");
		at_once = getenv("VCPU_STITCH_AT_ONCE");
		if (wanted)
			atexit(append);
	}
	if (!wanted) {
		static unsigned runs;

		c->all->hot_after = at_once ? 0 : (unsigned[]){ 0, 2, HOT_AFTER }[runs % 3];
		c->all->verified = runs++ % 3 != 2;
		return __real_cpu_run(c, icount_end, idle_end);
	}
	while (c->icount + 1 < icount_end) {
		u64 before = c->icount;
		enum cpu_stop stop = run_noted(c, before + 1, idle_end);

		if (stop != CPU_LIMIT || c->icount == before)
			return stop;
	}
	return run_noted(c, icount_end, idle_end);
}
