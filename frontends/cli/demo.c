/* SPDX-License-Identifier: MIT */
/* vcpu demo: examples/guests/demo.s, which the build assembled and turned into an array. */
#include "cli.h"

#if HAVE_DEMO
extern const unsigned char demo_guest[];
extern const unsigned long demo_guest_size;

int command_demo(int argc, char **argv)
{
	struct run_options o;
	int status;

	if (!options_parse(&o, argc, argv, true, &status))
		return status;
	o.config.kernel = "demo";
	o.config.kernel_data = demo_guest;
	o.config.kernel_size = demo_guest_size;
	return run_machine(&o);
}
#else
int command_demo(int argc, char **argv)
{
	(void)argc, (void)argv;
	complain("demo: this vcpu was built without binutils for x86-64, so it has no guest");
	return STATUS_USAGE;
}
#endif
