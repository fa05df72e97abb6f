/* SPDX-License-Identifier: MIT */
/* Two machines, side by side in one process, run the same boot sector: one in a single call, the other an instruction
 * at a time. They end in the same state, because a run depends on nothing but its configuration and its input.
 *
 *     cc twins.c $(pkg-config --cflags --libs libvcpu) && ./a.out */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vcpu.h>

static const unsigned char sector[512] = {
	0xB9, 10, 0, /*    mov cx, 10 */
	0xB0, '0',   /*    mov al, '0' */
	0xE6, 0xE9,  /* 1: out 0xE9, al     the debug console */
	0xFE, 0xC0,  /*    inc al */
	0xE2, 0xFA,  /*    loop 1b */
	0xE6, 0xF4,  /*    out 0xF4, al     the debug exit */
	[510] = 0x55, [511] = 0xAA,
};

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	if (channel == VCPU_DEBUGCON)
		printf("%s: %.*s\n", (const char *)user, (int)len, (const char *)data);
}

static vcpu *make(char *name)
{
	struct vcpu_config config = {
		.memory = 1 << 20, .kernel_data = sector, .kernel_size = sizeof sector, .output = output, .user = name,
	};
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	if (!v) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	return v;
}

int main(void)
{
	char one[] = "one", other[] = "other";
	vcpu *a = make(one), *b = make(other);
	struct vcpu_stop stop;
	bool same;

	stop = vcpu_run(a, 1000);
	while (vcpu_run(b, 1).reason == VCPU_STOP_LIMIT)
		;
	same = vcpu_state_hash(a) == vcpu_state_hash(b);
	printf("%s %" PRIu32 " after %" PRIu64 " and %" PRIu64 " instructions: %s\n", vcpu_stop_name(stop.reason),
		stop.code,
	       vcpu_instructions(a), vcpu_instructions(b), same ? "the same state" : "DIFFERENT states");
	vcpu_free(a);
	vcpu_free(b);
	return !same;
}
