/* SPDX-License-Identifier: MIT */
/* hooked KERNEL INITRD INSTRUCTIONS ENGINE: run a guest with hooks on everything, all of them observers, and without.
 * Status 0: the state is the same, and each instruction had one call. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>

static struct counts { uint64_t insns, blocks, edges, reads, writes, others; } n;

static enum vcpu_hook_answer count(void *user, struct vcpu_hook_event *e)
{
	(void)user;
	switch (e->kind) {
	case VCPU_HOOK_INSN: n.insns++; break;
	case VCPU_HOOK_BLOCK: n.blocks++; break;
	case VCPU_HOOK_EDGE: n.edges++; break;
	case VCPU_HOOK_READ: n.reads++; break;
	case VCPU_HOOK_WRITE: n.writes++; break;
	default: n.others++; break;
	}
	return VCPU_HOOK_GO;
}

static uint64_t run(char **argv, bool hooked)
{
	struct vcpu_config config = { .kernel = argv[1], .initrd = argv[2], .memory = 256u << 20,
				      .append = "console=ttyS0",
				      .engine = strcmp(argv[4], "interpreter") ? VCPU_ENGINE_BEST
									       : VCPU_ENGINE_INTERPRETER };
	const struct vcpu_hook hook = { .kinds = VCPU_HOOK_EXCEPTION | VCPU_HOOK_INTERRUPT | VCPU_HOOK_MSR |
					VCPU_HOOK_CR3 | VCPU_HOOK_MODE | VCPU_HOOK_CLOCK | VCPU_HOOK_INSN |
					VCPU_HOOK_BLOCK | VCPU_HOOK_EDGE | VCPU_HOOK_READ | VCPU_HOOK_WRITE |
					VCPU_HOOK_IN | VCPU_HOOK_OUT, .observer = true, .call = count };
	uint64_t end = strtoull(argv[3], NULL, 0), hash;
	struct vcpu_stop stop;
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	if (!v || (hooked && vcpu_hook_add(v, &hook) < 0)) {
		fprintf(stderr, "hooked: %s\n", v ? vcpu_error(v) : error);
		exit(2);
	}
	do
		stop = vcpu_run(v, end - vcpu_instructions(v));
	while (vcpu_instructions(v) < end && (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE));
	hash = vcpu_state_hash(v);
	if (hooked && n.insns < vcpu_instructions(v))
		fprintf(stderr, "hooked: %" PRIu64 " instructions and %" PRIu64 " calls\n", vcpu_instructions(v),
			n.insns);
	vcpu_free(v);
	return hash;
}

int main(int argc, char **argv)
{
	uint64_t plain, hooked;

	if (argc != 5)
		return 2;
	plain = run(argv, false);
	hooked = run(argv, true);
	printf("%016" PRIx64 " %016" PRIx64 " insns %" PRIu64 " blocks %" PRIu64 " edges %" PRIu64 " reads %" PRIu64
	       " writes %" PRIu64 " others %" PRIu64 "\n", plain, hooked, n.insns, n.blocks, n.edges, n.reads, n.writes,
	       n.others);
	return plain != hooked;
}
