/* SPDX-License-Identifier: MIT */
/* Random steps (device_steps.h) with one machine after the other: what comes of long runs, as fuzz_devices.c finds what
 * comes of few steps.
 *
 *     devices [STEPS [SEED]]
 *
 * Run it in a build with --enable-sanitizers. A step that takes a processor a minute is a hang. */
#include "tests/fuzz/fuzz.h"
#include <sys/resource.h>
#include <sys/time.h>
#include "lib/machine.h"
#include "tests/fuzz/device_steps.h"

static const struct itimerval minute = { .it_value.tv_sec = 60 };
static u64 seed;

u64 device_choice(unsigned bytes)
{
	seed += 0x9e3779b97f4a7c15;
	return bytes ? hash64(seed, &seed, sizeof seed) : 0;
}

int main(int argc, char **argv)
{
	u64 steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000, step = 0;
	struct rusage usage;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	for (unsigned kind = 0; kind < DEVICE_MACHINES; kind++) {
		struct vcpu *v = device_machine(kind);

		for (u64 i = 0; i < steps / DEVICE_MACHINES; i++, step++) {
			setitimer(ITIMER_PROF, &minute, NULL);
			device_step(v);
		}
		vcpu_free(v);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("%llu steps, %ld MiB of memory\n%s\n", (unsigned long long)step, usage.ru_maxrss / 1024,
		usage.ru_maxrss < 1024 * 1024 ? "1 passed, 0 failed" : "0 passed, 1 failed");
	return usage.ru_maxrss >= 1024 * 1024;
}
