/* SPDX-License-Identifier: MIT */
/* One run, uncut, cut into slices, and saved and loaded on its way: the same machine at its end.
 *
 *     cuts [smp=N] [seed=N] [limit=N] KERNEL [INITRD APPEND]      limit: instructions [until the guest stops] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu.h>

static struct vcpu_config config = { .memory = 256 << 20 };
static uint64_t limit = UINT64_MAX;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "cuts: %s: %s\n", what, why ? why : "?");
	exit(2);
}

static vcpu *machine(void)
{
	char *error;
	vcpu *v = vcpu_new(&config, &error);

	if (!v)
		die("vcpu_new", error);
	return v;
}

/* The machine at END; or where it stopped before. */
static struct vcpu_stop run(vcpu *v, uint64_t end, uint64_t slice)
{
	struct vcpu_stop stop;

	do {
		uint64_t left = end - vcpu_instructions(v);

		stop = vcpu_run(v, left < slice ? left : slice);
	} while ((stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE) && vcpu_instructions(v) < end);
	return stop;
}

/* A new machine with the state of V, which is gone. */
static vcpu *reborn(vcpu *v)
{
	vcpu *other = machine();
	char *error;
	void *data;
	size_t len;

	if (!vcpu_save(v, &data, &len, &error) || !vcpu_load(other, data, len, &error))
		die("saved state", error);
	if (vcpu_state_hash(v) != vcpu_state_hash(other))
		die("saved state", "the loaded one is another");
	free(data);
	vcpu_free(v);
	return other;
}

static void print_part(void *user, const char *part, uint64_t hash)
{
	fprintf(user, "%s %016" PRIx64 "\n", part, hash);
}

static uint64_t report(vcpu *v, const char *how, struct vcpu_stop stop, const char *file)
{
	uint64_t hash = vcpu_state_hash(v);
	FILE *f = getenv("CUTS_PARTS") ? fopen(file, "w") : NULL;

	printf("%s: %s, %" PRIu64 " instructions, %" PRIu64 " ns, state %016" PRIx64 "\n", how,
		vcpu_stop_name(stop.reason), vcpu_instructions(v),
		vcpu_virtual_ns(v), hash);
	if (f) {
		vcpu_state_parts(v, print_part, f);
		fclose(f);
	}
	return hash ^ vcpu_instructions(v) * 0x9e3779b97f4a7c15 ^ stop.reason;
}

int main(int argc, char **argv)
{
	const char *file[3] = { 0 };
	unsigned files = 0;
	uint64_t first, end, now;
	struct vcpu_stop stop;
	bool same = true;
	vcpu *v;

	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "smp=", 4))
			config.processors = (unsigned)atoi(argv[i] + 4);
		else if (!strncmp(argv[i], "seed=", 5))
			config.seed = strtoull(argv[i] + 5, NULL, 0);
		else if (!strncmp(argv[i], "limit=", 6))
			limit = strtoull(argv[i] + 6, NULL, 0);
		else if (files < 3)
			file[files++] = argv[i];
	config.kernel = file[0];
	config.initrd = file[1];
	config.append = file[2];

	v = machine();
	stop = run(v, limit, UINT64_MAX);
	first = report(v, "uncut", stop, "parts.uncut");
	end = vcpu_instructions(v);
	vcpu_free(v);

	v = machine();
	stop = run(v, limit, 100003);
	same &= report(v, "slices of 100003", stop, "parts.slices") == first;
	vcpu_free(v);

	/* Saved and loaded at a quarter, a half, ... */
	v = machine();
	for (unsigned i = 1; i < 8; i++) {
		now = end / 8 * i;
		run(v, now, 7777777);
		v = reborn(v);
	}
	stop = run(v, limit, 7777777);
	same &= report(v, "slices of 7777777, saved and loaded", stop, "parts.loaded") == first;
	vcpu_free(v);
	if (!same)
		printf("these differ\n");
	return !same;
}
