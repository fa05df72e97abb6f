/* SPDX-License-Identifier: MIT */
/* A processor and 4 KiB, no PC around them: run a piece of code and look at a register.
 *
 *     cc bare.c $(pkg-config --cflags --libs libvcpu) && ./a.out */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vcpu.h>

static const unsigned char code[] = {
	0xB9, 90, 0, 0, 0,      /*    mov ecx, 90 */
	0x31, 0xC0,             /*    xor eax, eax */
	0xBA, 1, 0, 0, 0,       /*    mov edx, 1 */
	0x48, 0x0F, 0xC1, 0xD0, /* 1: xadd rax, rdx */
	0xE2, 0xFA,             /*    loop 1b */
	0xF4,                   /*    hlt */
};

int main(void)
{
	struct vcpu_config config = { .bare = true };
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);
	struct vcpu_stop stop;

	if (!v) {
		fprintf(stderr, "%s\n", error);
		free(error);
		return 1;
	}
	if (vcpu_map(v, 0x1000, 0x1000) || vcpu_set_mode(v, 64)) {
		fprintf(stderr, "%s\n", vcpu_error(v));
		return 1;
	}
	vcpu_write_physical(v, 0x1000, code, sizeof code);
	vcpu_set(v, VCPU_RIP, 0x1000);

	stop = vcpu_run(v, 1000);
	printf("%s after %" PRIu64 " instructions; the 90th Fibonacci number is %" PRIu64 "\n",
		vcpu_stop_name(stop.reason),
	       vcpu_instructions(v), vcpu_get(v, VCPU_RAX));
	vcpu_free(v);
	return stop.reason != VCPU_STOP_IDLE;
}
