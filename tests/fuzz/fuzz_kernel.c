/* SPDX-License-Identifier: MIT */
/* Kernels: Linux, multiboot, ELF with PVH's note, flat. Both engines must run what is booted to the same state.
 *
 *   0 bit 0 a command line, 1 an initrd or module, 2 16 MiB of memory, not 2   1 the file */
#include "tests/fuzz/fuzz.h"
#include <vcpu.h>
#include "lib/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u8 initrd[5000] = { 1, 2, 3 };
	struct input in = { data, size };
	unsigned how = (unsigned)take(&in, 1);
	u8 *file = exact_copy(in.at, in.left);
	struct vcpu_config config = {
		.memory = how & 4 ? 16 * MiB : 2 * MiB, .kernel_data = file, .kernel_size = in.left, .append = how & 1
			? "console=ttyS0 \"a b\"" : NULL,
		.initrd_data = how & 2 ? initrd : NULL, .initrd_size = how & 2 ? sizeof initrd : 0,
	};
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error), *other;

	if (v) {
		config.engine = VCPU_ENGINE_INTERPRETER;
		other = fuzz_memory(vcpu_new(&config, NULL));
		v->cpu->all->hot_after = 0;
		vcpu_run(v, 200);
		vcpu_run(other, 200);
		if (vcpu_state_hash(v) != vcpu_state_hash(other))
			fuzz_fail("the interpreter ends in another state");
		vcpu_free(other);
	} else {
		check_refusal(error);
	}
	vcpu_free(v);
	free(file);
	return 0;
}
