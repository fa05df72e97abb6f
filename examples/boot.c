/* SPDX-License-Identifier: MIT */
/* Boot a Linux kernel, and show what it writes to its serial port.
 *
 *     cc boot.c $(pkg-config --cflags --libs libvcpu) && ./a.out build/guest/vmlinuz build/guest/initrd.img "console=ttyS0 poweroff" */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vcpu.h>

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user;
	if (channel == VCPU_COM1)
		fwrite(data, 1, len, stdout);
}

int main(int argc, char **argv)
{
	struct vcpu_config config = { .memory = 256 << 20, .output = output };
	char *error = NULL;
	struct vcpu_stop stop;
	vcpu *v;

	if (argc < 2) {
		fprintf(stderr, "usage: boot KERNEL [INITRD [COMMAND-LINE]]\n");
		return 2;
	}
	config.kernel = argv[1];
	config.initrd = argc > 2 ? argv[2] : NULL;
	config.append = argc > 3 ? argv[3] : "console=ttyS0";
	v = vcpu_new(&config, &error);
	if (!v) {
		fprintf(stderr, "%s\n", error);
		free(error);
		return 2;
	}
	do {
		stop = vcpu_run(v, 10000000);
		fflush(stdout);
	} while (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE);
	printf("%s after %" PRIu64 " instructions, %" PRIu64 " ms of virtual time, %" PRIu64 " MiB touched\n",
		vcpu_stop_name(stop.reason),
	       vcpu_instructions(v), vcpu_virtual_ns(v) / 1000000, vcpu_resident(v) >> 20);
	vcpu_free(v);
	return stop.reason != VCPU_STOP_POWEROFF;
}
