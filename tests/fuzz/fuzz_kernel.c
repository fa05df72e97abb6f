/* Kernels: Linux, multiboot, ELF with PVH's note, flat.
 *
 *   0 bit 0 a command line, 1 an initrd or module, 2 16 MiB of memory, not 2   1 the file */
#include "tests/fuzz/fuzz.h"
#include <vcpu.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u8 initrd[5000] = { 1, 2, 3 };
	struct input in = { data, size };
	unsigned how = (unsigned)take(&in, 1);
	u8 *file = exact_copy(in.at, in.left);
	struct vcpu_config config = {
		.memory = how & 4 ? 16 * MiB : 2 * MiB, .kernel_data = file, .kernel_size = in.left, .append = how & 1 ? "console=ttyS0 \"a b\"" : NULL,
		.initrd_data = how & 2 ? initrd : NULL, .initrd_size = how & 2 ? sizeof initrd : 0,
	};
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	if (v)
		vcpu_run(v, 200);
	else
		check_refusal(error);
	vcpu_free(v);
	free(file);
	return 0;
}
