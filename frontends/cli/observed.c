/* SPDX-License-Identifier: MIT */
/* --magic-break and --log: a run that the library's debugger looks at. It never goes back, so one snapshot, of the
 * start, is all that it takes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vcpu_debug.h>

#include "cli.h"

static vcpu_debug *debug;
static vcpu *machine;
static FILE *log_to;             /* NULL: there is no log */
static unsigned logged;          /* VCPU_EVENT_* and LOG_* */

/* The vectors' names: SDM volume 3, table 6-1. */
const char *vector_name(unsigned vector)
{
	static const char *const names[] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF",
			"#15",
		"#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	};

	return vector < sizeof names / sizeof *names ? names[vector] : "INT";
}

/* ---- the log: KIND, instructions, virtual ns, processor, CS:RIP, and what the kind has to say ---- */

static void begin_line(const char *kind, unsigned processor, uint64_t instructions)
{
	vcpu_select(machine, processor);
	fprintf(log_to, "%s %" PRIu64 " %" PRIu64 " %u %04" PRIx64 ":%0*" PRIx64, kind, instructions,
		vcpu_virtual_ns(machine), processor,
		vcpu_get(machine, VCPU_CS), vcpu_get(machine, VCPU_CODE_BITS) == 64 ? 16 : 8,
		vcpu_get(machine, VCPU_RIP));
}

/* The words of QEMU's -d int. */
static void log_interrupt(const struct vcpu_debug_event *e)
{
	bool software = e->cause == VCPU_CAUSE_INT || e->cause == VCPU_CAUSE_INT3_INTO || e->cause == VCPU_CAUSE_INT1;
	bool exception = e->cause == VCPU_CAUSE_FAULT || e->cause == VCPU_CAUSE_TRAP;

	begin_line("int", e->processor, e->instructions);
	fprintf(log_to, " v=%02" PRIx64 " e=%04" PRIx64 " i=%d cpl=%" PRIu64 " SP=%04" PRIx64 ":%08" PRIx64, e->address,
		e->value, software,
		vcpu_get(machine, VCPU_CPL), vcpu_get(machine, VCPU_SS), vcpu_get(machine, VCPU_RSP));
	if (exception && e->address == 14)
		fprintf(log_to, " CR2=%08" PRIx64, vcpu_get(machine, VCPU_CR2));
	if (exception)
		fprintf(log_to, " %s%s%s\n", vector_name((unsigned)e->address), e->name ? ": " : "",
			e->name ? e->name : "");
	else
		fprintf(log_to, software ? " INT instruction\n" : " external\n");
}

static void log_event(void *user, const struct vcpu_debug_event *e)
{
	(void)user;
	switch (e->kind) {
	case VCPU_EVENT_EXCEPTION:
	case VCPU_EVENT_INTERRUPT:
		log_interrupt(e);
		break;
	case VCPU_EVENT_RESET:
		begin_line("reset", e->processor, e->instructions);
		fprintf(log_to, e->address ? " INIT\n" : " machine\n");
		break;
	default:
		begin_line(e->kind == VCPU_EVENT_PORT   ? "port"
			   : e->kind == VCPU_EVENT_MMIO ? "mmio"
							: "msr",
			   e->processor, e->instructions);
		fprintf(log_to, " %s %" PRIx64 " %u %" PRIx64 "\n", e->write ? "write" : "read", e->address, e->size,
			e->value);
	}
}

void observed_guest_error(const char *text, size_t len)
{
	if (!log_to || !(logged & LOG_GUEST_ERRORS) || !machine)
		return;
	begin_line("guest-errors", vcpu_running(machine), vcpu_instructions(machine));
	fprintf(log_to, " %.*s\n", (int)len, text);
}

bool observed_outputs(const struct run_options *o)
{
	logged = o->log;
	if (logged)
		log_to = o->log_file ? fopen(o->log_file, "we") : stderr;
	if (logged && !log_to)
		complain("--log: cannot write %s: %s", o->log_file, strerror(errno));
	return !logged || log_to;
}

/* ---- the run ---- */

bool observed_open(const struct run_options *o, vcpu *m)
{
	char *error = NULL;

	machine = m;
	if (o->gdb || !(o->magic || logged & ~LOG_GUEST_ERRORS))
		return true;
	debug = vcpu_debug_new(m, NULL, &error);
	if (!debug || (o->magic && vcpu_debug_magic(debug) < 0)) {
		complain("--magic-break or --log: %s", error ? error : "out of memory");
		free(error);
		return false;
	}
	vcpu_debug_limits(debug, UINT64_MAX, (uint64_t)1 << 62);
	if (logged & ~LOG_GUEST_ERRORS)
		vcpu_debug_trace(debug, logged & ~LOG_GUEST_ERRORS, log_event, NULL);
	return true;
}

bool observed(void) { return debug; }

/* Bochs drops to its prompt here. */
static void print_magic(void)
{
	static const int shown[] = { VCPU_RAX, VCPU_RBX, VCPU_RCX, VCPU_RDX, VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_RSP,
		VCPU_R8,
		VCPU_R9, VCPU_R10, VCPU_R11,
		VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15, VCPU_RFLAGS, VCPU_CS, VCPU_SS, VCPU_DS, VCPU_ES, VCPU_FS,
		VCPU_GS, VCPU_CPL,
			VCPU_CR0, VCPU_CR2,
		VCPU_CR3, VCPU_CR4 };

	vcpu_select(machine, vcpu_running(machine));
	complain("magic breakpoint, XCHG BX,BX, at %04" PRIx64 ":%08" PRIx64 ", instruction %" PRIu64 "; "
		"vcpu-dbg --magic-break has a prompt there",
		vcpu_get(machine, VCPU_CS), vcpu_get(machine, VCPU_RIP), vcpu_instructions(machine));
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		fprintf(stderr, "  %-6s %016" PRIx64 "%s", vcpu_register_name(shown[i]), vcpu_get(machine, shown[i]),
			i % 4 == 3 ? "\n" : "");
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

struct vcpu_debug *observed_debug(vcpu *m)
{
	if (!debug)
		debug = vcpu_debug_new(m, NULL, NULL);
	return debug;
}

void observed_close(void)
{
	bool failed = log_to && log_to != stderr && (ferror(log_to) | fclose(log_to));

	log_to = NULL;
	if (failed)
		complain("the log is incomplete: a write failed");
	vcpu_debug_free(debug);
	debug = NULL;
}
