/* SPDX-License-Identifier: MIT */
/* What a caller pays: short runs, its devices' callbacks, and stores beside the guest's own code. A line for each:
 * nanoseconds of processor time (the fastest of some rounds), on the interpreter and on the best engine that there is.
 *
 *     calls [ROW [CALLS]]      only this row, without rounds: under valgrind --tool=callgrind, for instance */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/vcpu.h"

enum { CODE = 0x1000, OTHER = 0x3000, DEVICE = 0x100000, ROUNDS = 7 };

/* BYTES at CODE run for ever; RSP and RDI begin at DATA. A call executes RUN instructions, WORTH of what is counted. */
static const struct row {
	const char *name, *bytes;
	unsigned size, bits, data, run;
	double worth;
	long calls;
} rows[] = {
#define ROW(name, bits, data, run, worth, calls, bytes) { name, bytes, sizeof bytes - 1, bits, data, run, worth, calls }
#define COUNT "\x48\xff\xc0\x48\xff\xc3\x48\x01\xd8\xeb\xf5" /* inc rax; inc rbx; add rax, rbx; jmp */
	ROW("vcpu_run of 1 instruction", 64, OTHER, 1, 1, 1000000, COUNT),
	ROW("vcpu_run of 100 instructions", 64, OTHER, 100, 1, 500000, COUNT),
	/* mov eax, [rdi]; jmp */
	ROW("read of a device in memory", 64, DEVICE, 200000, 100000, 10, "\x8b\x07\xeb\xfc"),
	ROW("write to a device in memory", 64, DEVICE, 200000, 100000, 10, "\x89\x07\xeb\xfc"),
	/* in eax, dx; jmp */
	ROW("read of a device's port", 64, OTHER, 200000, 100000, 10, "\xed\xeb\xfd"),
	ROW("write to a device's port", 64, OTHER, 200000, 100000, 10, "\xef\xeb\xfd"),
#define STORES(bits, data, name) \
	/* four times MOV [RDI + n], EAX; JMP */ \
	ROW("MOV: " name, bits, data, 500000, 400000, 20, \
	    "\x89\x47\x00\x89\x47\x04\x89\x47\x08\x89\x47\x0c\xeb\xf2"), \
	/* four times ADD [RDI + n], EAX */ \
	ROW("ADD: " name, bits, data, 500000, 400000, 20, \
	    "\x01\x47\x00\x01\x47\x04\x01\x47\x08\x01\x47\x0c\xeb\xf2"), \
	/* four times PUSH, POP */ \
	ROW("PUSH, POP: " name, bits, data, 900000, 400000, 20, "\x50\x50\x50\x50\x5b\x5b\x5b\x5b\xeb\xf6"), \
	/* CALL and RET, four times */ \
	ROW("CALL, RET: " name, bits, data, 900000, 400000, 20, \
	    "\xe8\x12\0\0\0\xe8\x0d\0\0\0\xe8\x08\0\0\0\xe8\x03\0\0\0\xeb\xea\x90\xc3")
	STORES(64, OTHER, "another page, 64-bit"),
	STORES(64, CODE + 0x800, "the code's page, 64-bit"),
	STORES(32, OTHER, "another page, 32-bit"),
	STORES(32, CODE + 0x800, "the code's page, 32-bit"),
	/* four times movups [rdi + n], xmm0 */
#define VECTORS(data, name) \
	ROW("MOVUPS: " name, 64, data, 500000, 400000, 20, \
	    "\x0f\x11\x47\x00\x0f\x11\x47\x10\x0f\x11\x47\x20\x0f\x11\x47\x30\xeb\xee")
	VECTORS(OTHER, "another page, 64-bit"),
	VECTORS(CODE + 0x800, "the code's page, 64-bit"),
	/* four times MOV [DI + n], AX */
#define STORES_16(data, name) \
	ROW("MOV: " name, 16, data, 500000, 400000, 20, \
	    "\x89\x45\x00\x89\x45\x04\x89\x45\x08\x89\x45\x0c\xeb\xf2"), \
	ROW("PUSH, POP: " name, 16, data, 900000, 400000, 20, "\x50\x50\x50\x50\x5b\x5b\x5b\x5b\xeb\xf6")
	STORES_16(OTHER, "another page, 16-bit"),
	STORES_16(CODE + 0x800, "the code's page, 16-bit"),
};

static uint64_t answer(void *user, uint64_t offset, unsigned size)
{
	(void)user;
	(void)offset;
	return size;
}

static void take(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;
	*(uint64_t *)user += value;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static vcpu *machine(const struct row *row, enum vcpu_engine engine)
{
	static uint64_t sum;
	struct vcpu_config config = { .bare = true, .engine = engine, .no_skip_waiting = true };
	struct vcpu_device device = { .read = answer, .write = take, .user = &sum, .stateless = true };
	vcpu *v = vcpu_new(&config, NULL);

	if (!v)
		return NULL;
	if (vcpu_map(v, 0, 0x10000) || vcpu_map_device(v, "memory", DEVICE, 0x1000, &device) ||
	    vcpu_map_ports(v, "ports", 0x500, 8, &device) || vcpu_set_mode(v, row->bits)) {
		vcpu_free(v);
		return NULL;
	}
	vcpu_write_physical(v, CODE, row->bytes, row->size);
	vcpu_set(v, VCPU_RIP, CODE);
	vcpu_set(v, VCPU_RDX, 0x500);
	vcpu_set(v, VCPU_RDI, row->data);
	vcpu_set(v, VCPU_RSP, row->data);
	return v;
}

/* Nanoseconds; less than 0: it stopped early. */
static double measure(vcpu *v, const struct row *row, long calls)
{
	double from = now();

	for (long i = 0; i < calls; i++)
		if (vcpu_run(v, row->run).reason != VCPU_STOP_LIMIT)
			return -1;
	return (now() - from) / ((double)calls * row->worth);
}

int main(int argc, char **argv)
{
	static const enum vcpu_engine engines[] = { VCPU_ENGINE_INTERPRETER, VCPU_ENGINE_BEST };

	printf("%-40s%14s%10s\n", "ns", "interpreter", "best");
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];

		if (argc > 1 && strcmp(argv[1], row->name) != 0)
			continue;
		printf("%-40s", row->name);
		for (unsigned e = 0; e < 2; e++) {
			double best = 1e9;
			vcpu *v = machine(row, engines[e]);

			for (unsigned round = 0; v && round < (argc > 2 ? 1 : ROUNDS); round++) {
				double ns = measure(v, row, argc > 2 ? atol(argv[2]) : row->calls);

				best = ns < best ? ns : best;
			}
			vcpu_free(v);
			printf(e ? "%10.2f\n" : "%14.2f", best);
			fflush(stdout);
		}
	}
	return 0;
}
