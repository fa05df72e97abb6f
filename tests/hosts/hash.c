/* SPDX-License-Identifier: MIT */
/* hash KERNEL: run a kernel to its end, and print the count of instructions and the state's hash. It includes the
 * public header alone, so that it runs wherever the library does. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vcpu.h>

int main(int argc, char **argv)
{
	struct vcpu_config config = { .memory = 64 << 20, .kernel = argc > 1 ? argv[1] : NULL };
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);
	struct vcpu_stop stop;

	if (!v) {
		fprintf(stderr, "hash: %s\n", error ? error : "the host has no memory");
		free(error);
		return 1;
	}
	do
		stop = vcpu_run(v, 1000000000);
	while (stop.reason == VCPU_STOP_LIMIT);
	printf("%" PRIu64 " %016" PRIx64 "\n", vcpu_instructions(v), vcpu_state_hash(v));
	vcpu_free(v);
	return 0;
}
