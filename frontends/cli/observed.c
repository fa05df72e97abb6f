/* --magic-break and --log: a run that the library's debugger looks at. It never goes back, so one snapshot, of the start, is all that it takes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <vcpu_debug.h>

#include "cli.h"

static vcpu_debug *debug;
static vcpu *machine;

bool observed_open(const struct run_options *o, vcpu *m)
{
	char *error = NULL;

	machine = m;
	if (!o->magic || o->gdb)
		return true;
	debug = vcpu_debug_new(m, NULL, &error);
	if (!debug || vcpu_debug_magic(debug) < 0) {
		complain("--magic-break: %s", error ? error : "out of memory");
		free(error);
		return false;
	}
	vcpu_debug_limits(debug, UINT64_MAX, (uint64_t)1 << 62);
	return true;
}

bool observed(void) { return debug; }

/* Bochs drops to its prompt here. */
static void print_magic(void)
{
	static const int shown[] = { VCPU_RAX, VCPU_RBX, VCPU_RCX, VCPU_RDX, VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_RSP, VCPU_R8, VCPU_R9, VCPU_R10, VCPU_R11,
		VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15, VCPU_RFLAGS, VCPU_CS, VCPU_SS, VCPU_DS, VCPU_ES, VCPU_FS, VCPU_GS, VCPU_CPL, VCPU_CR0, VCPU_CR2,
		VCPU_CR3, VCPU_CR4 };

	vcpu_select(machine, vcpu_running(machine));
	complain("magic breakpoint, XCHG BX,BX, at %04" PRIx64 ":%08" PRIx64 ", instruction %" PRIu64 "; vcpu-dbg --magic-break has a prompt there",
		vcpu_get(machine, VCPU_CS), vcpu_get(machine, VCPU_RIP), vcpu_instructions(machine));
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		fprintf(stderr, "  %-6s %016" PRIx64 "%s", vcpu_register_name(shown[i]), vcpu_get(machine, shown[i]), i % 4 == 3 ? "\n" : "");
}

struct vcpu_stop observed_run(uint64_t instructions, bool *magic)
{
	struct vcpu_debug_stop stop = vcpu_debug_run(debug, instructions);

	*magic = stop.what == VCPU_DEBUG_BREAK;
	if (*magic)
		print_magic();
	if (stop.what == VCPU_DEBUG_MACHINE)
		return stop.machine;
	return (struct vcpu_stop){ .reason = stop.what == VCPU_DEBUG_ERROR ? VCPU_STOP_HOST : VCPU_STOP_REQUEST };
}

void observed_close(void)
{
	vcpu_debug_free(debug);
	debug = NULL;
}
