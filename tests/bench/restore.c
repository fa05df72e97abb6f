/* SPDX-License-Identifier: MIT */
/* How often a second a machine can begin again, in processor time; the best of some rounds.
 *
 *     restore KERNEL INITRD [INSTRUCTIONS]     Linux in 1 GiB, after so many instructions [6e9: at the shell of ./quickstart guest]
 *
 * A bare processor: a run of 431 instructions that writes one page, with each new edge reported, and its restore. The
 * whole PC: 64 pages are written and the snapshot is restored; machines are made from a template and freed; it is cloned,
 * and the clones are freed, at once or after a run of 431 instructions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "lib/vcpu_hook.h"
#include "lib/vcpu_snapshot.h"

enum { ROUNDS = 5, CODE = 0x1000, DATA = 0x9000, SHORT = 431, PAGES = 64 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Run ONCE for V as often as is worth a measurement: times a second, the best round. */
static double often(vcpu *v, void *with, unsigned times, void (*once)(vcpu *v, void *with))
{
	double best = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		double from = now();

		for (unsigned i = 0; i < times; i++)
			once(v, with);
		from = times / (now() - from);
		best = from > best ? from : best;
	}
	return best;
}

/* ---- 431 instructions ---- */

static uint64_t edges;

static enum vcpu_hook_answer edge(void *user, struct vcpu_hook_event *e)
{
	uint8_t *map = user;

	map[(e->from >> 1 ^ e->address) & 0xffff]++;
	edges++;
	return VCPU_HOOK_GO;
}

static void run_and_restore(vcpu *v, void *snapshot)
{
	if (vcpu_run(v, SHORT).reason != VCPU_STOP_LIMIT || vcpu_snapshot_restore(v, snapshot))
		exit(1);
}

/* mov ecx, 86; 1: add eax, ecx; mov [rdi], eax; nop; dec ecx; jnz 1b: 431 instructions */
static double short_runs(bool covered, bool by_map)
{
	static const uint8_t code[] = { 0xb9, 86, 0, 0, 0, 0x01, 0xc8, 0x89, 0x07, 0x90, 0xff, 0xc9, 0x75, 0xf7 };
	static uint8_t map[0x10000];
	struct vcpu_config config = { .bare = true };
	struct vcpu_hook hook = { .kinds = VCPU_HOOK_EDGE, .observer = true, .call = edge, .user = map };
	vcpu *v = vcpu_new(&config, NULL);
	double result;

	if (!v || vcpu_map(v, 0, 0x10000) || vcpu_set_mode(v, 64))
		exit(1);
	vcpu_write_physical(v, CODE, code, sizeof code);
	vcpu_set(v, VCPU_RIP, CODE);
	vcpu_set(v, VCPU_RDI, DATA);
	if (by_map)
		hook = (struct vcpu_hook){ .kinds = VCPU_HOOK_EDGE, .observer = true, .map = map, .map_size = sizeof map };
	if (covered && vcpu_hook_add(v, &hook) < 0)
		exit(1);
	result = often(v, vcpu_snapshot_take(v), 50000, run_and_restore);
	vcpu_free(v);
	return result;
}

/* ---- a whole PC ---- */

static void write_and_restore(vcpu *v, void *snapshot)
{
	static uint8_t byte;

	byte++;
	for (unsigned i = 0; i < PAGES; i++)
		vcpu_write_physical(v, 0x8000000 + i * 0x3000, &byte, 1);
	if (vcpu_snapshot_restore(v, snapshot))
		exit(1);
}

struct start { vcpu_template *t; const struct vcpu_config *config; };

static void make_and_free(vcpu *v, void *start)
{
	const struct start *s = start;
	vcpu *made = vcpu_template_machine(s->t, s->config, NULL);

	(void)v;
	if (!made)
		exit(1);
	vcpu_free(made);
}

static void load_template(vcpu *v, void *start)
{
	const struct start *s = start;

	if (!vcpu_template_load(v, s->t, NULL))
		exit(1);
}

static void clone_and_free(vcpu *v, void *instructions)
{
	vcpu *made = vcpu_clone(v, NULL, NULL);

	if (!made)
		exit(1);
	if (instructions)
		vcpu_run(made, *(unsigned *)instructions);
	vcpu_free(made);
}

int main(int argc, char **argv)
{
	struct vcpu_config config = { .memory = 1u << 30, .append = "console=ttyS0" };
	uint64_t instructions = argc > 3 ? strtoull(argv[3], NULL, 0) : 6000000000, hash;
	struct start start = { NULL, &config };
	unsigned run = SHORT;
	vcpu_snapshot *snapshot;
	char *error = NULL;
	vcpu *v;

	printf("%-58s%12s\n", "", "a second");
	printf("%-58s%12.0f\n", "431 instructions and a restore, bare", short_runs(false, false));
	printf("%-58s%12.0f\n", "the same, with each edge reported", short_runs(true, false));
	printf("%-58s%12.0f\n", "the same, with each edge counted in a map", short_runs(true, true));
	if (argc < 3)
		return edges == 0;
	config.kernel = argv[1];
	config.initrd = argv[2];
	v = vcpu_new(&config, &error);
	if (!v || vcpu_run(v, instructions).reason != VCPU_STOP_LIMIT || !(snapshot = vcpu_snapshot_take(v)) ||
	    !(start.t = vcpu_template_take(v))) {
		fprintf(stderr, "restore: %s\n", v ? vcpu_error(v) : error);
		return 1;
	}
	hash = vcpu_state_hash(v);
	printf("%-58s%12.0f\n", "64 pages of Linux in 1 GiB are written and restored",
	       often(v, snapshot, 2000, write_and_restore));
	if (vcpu_state_hash(v) != hash)
		return 1;
	printf("%-58s%12.0f\n", "a machine from a template of it, made and freed", often(v, &start, 20, make_and_free));
	printf("%-58s%12.0f\n", "the template, loaded into the machine again", often(v, &start, 20, load_template));
	vcpu_free(vcpu_clone(v, NULL, NULL)); /* the first one moves the machine's memory */
	printf("%-58s%12.0f\n", "a clone of it, freed", often(v, NULL, 2000, clone_and_free));
	printf("%-58s%12.0f\n", "a clone that runs 431 instructions, freed", often(v, &run, 2000, clone_and_free));
	if (vcpu_state_hash(v) != hash)
		return 1;
	vcpu_free(v);
	vcpu_template_free(start.t);
	return 0;
}
