/* SPDX-License-Identifier: MIT */
/* A recorded run, gone through in random order: every place has the state that the plain replay has there, and steps
 * back lead to where it was before.
 *
 *     travel RECORDING [COUNT [SEED]]      COUNT places [100]; prints "N passed, N failed", and how long it took to get to them */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vcpu_debug.h>
#include <vcpu_replay.h>

struct point { uint64_t at, hash, before; }; /* state after AT instructions, and after AT - 1 */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "travel: %s: %s\n", what, why ? why : "?");
	exit(2);
}

static void *read_file(const char *name, size_t *len)
{
	FILE *f = fopen(name, "rb");
	char *data = NULL;

	if (!f || fseek(f, 0, SEEK_END))
		die(name, "cannot be read");
	*len = (size_t)ftell(f);
	rewind(f);
	data = malloc(*len + 1);
	if (!data || fread(data, 1, *len, f) != *len)
		die(name, "cannot be read");
	fclose(f);
	return data;
}

static uint64_t dice(uint64_t *seed, uint64_t n)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (uint64_t)((unsigned __int128)*seed * n >> 64);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_place(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return p->at < q->at ? -1 : p->at > q->at;
}

static vcpu *machine(vcpu_replay *r)
{
	char *error = NULL;
	vcpu *v = vcpu_replay_machine(r, NULL, NULL, &error);

	if (!v)
		die("the machine", error);
	return v;
}

static uint64_t hash_at(vcpu_replay *r, vcpu *v, uint64_t at)
{
	while (vcpu_instructions(v) < at) {
		struct vcpu_stop stop = vcpu_replay_run(r, v, at - vcpu_instructions(v));

		if (stop.reason != VCPU_STOP_LIMIT && stop.reason != VCPU_STOP_IDLE)
			die("the plain replay",
			    stop.reason == VCPU_STOP_HOST ? vcpu_error(v) : vcpu_stop_name(stop.reason));
	}
	return vcpu_state_hash(v);
}

static unsigned passed, failed;
static void count(bool ok, const char *what, vcpu *v)
{
	struct vcpu_place at = vcpu_where(v);

	passed += ok;
	failed += !ok;
	if (!ok)
		printf("FAILED: %s: at %" PRIu64 "+%u\n", what, at.instructions, at.steps);
}

/* The plain replay's states. Places are sorted, and shuffled by whoever uses them. */
static void learn(const void *data, size_t len, struct point *points, unsigned n, uint64_t seed)
{
	vcpu_replay *r = vcpu_replay_open(data, len, NULL);
	uint64_t end = vcpu_replay_end(r).instructions;
	vcpu *v = machine(r);

	if (end < 2)
		die("the recording", "it is empty");
	for (unsigned i = 0; i < n; i++)
		points[i].at = 2 + dice(&seed, end - 2);
	qsort(points, n, sizeof *points, by_place);
	for (unsigned i = 0; i < n; i++) {
		points[i].before = hash_at(r, v, points[i].at - 1);
		points[i].hash = hash_at(r, v, points[i].at);
		if (i && points[i].at == points[i - 1].at)
			points[i] = points[i - 1];
	}
	vcpu_free(v);
	vcpu_replay_free(r);
}

/* Back from P by a step, or a few, and on again. */
static void step_back(vcpu_debug *d, vcpu *v, const struct point *p, unsigned steps, double *longest)
{
	for (unsigned i = 0; i < steps; i++) {
		double start = now();
		struct vcpu_place at;

		vcpu_debug_step_back(d);
		if (now() - start > *longest)
			*longest = now() - start;
		at = vcpu_where(v);
		if (at.instructions == p->at - 1 && !at.steps)
			count(vcpu_state_hash(v) == p->before, "state after a step back", v);
	}
	for (unsigned i = 0; vcpu_where(v).instructions < p->at && i < 100 * steps; i++)
		vcpu_debug_step(d);
	count(vcpu_where(v).instructions == p->at && vcpu_state_hash(v) == p->hash,
	      "state after steps back and on again", v);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	struct point *points = calloc(n, sizeof *points);
	double longest = 0, all = 0, longest_step = 0, start;
	struct vcpu_debug_stop s;
	char *error = NULL;
	vcpu_replay *r;
	vcpu_debug *d;
	size_t len;
	void *data;
	vcpu *v;

	if (argc < 2 || !n || !points)
		die("usage", "travel RECORDING [COUNT [SEED]]");
	data = read_file(argv[1], &len);
	r = vcpu_replay_open(data, len, &error);
	if (!r)
		die(argv[1], error);
	learn(data, len, points, n, seed);
	v = machine(r);
	d = vcpu_debug_new(v, r, &error);
	if (!d)
		die("the debugger", error);
	vcpu_debug_seek(d, vcpu_replay_end(r));
	for (unsigned i = n; i > 0; i--) {
		unsigned k = (unsigned)dice(&seed, i);
		struct point p = points[k];

		points[k] = points[i - 1];
		start = now();
		s = vcpu_debug_seek(d, (struct vcpu_place){ .instructions = p.at });
		start = now() - start;
		all += start;
		if (start > longest)
			longest = start;
		count(s.what == VCPU_DEBUG_THERE && vcpu_state_hash(v) == p.hash, "state", v);
		if (!dice(&seed, 2))
			step_back(d, v, &p, 1 + (unsigned)dice(&seed, 3), &longest_step);
	}
	printf("%u places: a goto took %.1f ms, at most %.1f ms; a step back at most %.1f ms\n", n, all / n, longest,
	       longest_step);
	printf("%u passed, %u failed\n", passed, failed);
	vcpu_debug_free(d);
	vcpu_free(v);
	vcpu_replay_free(r);
	free(data);
	free(points);
	return failed != 0;
}
