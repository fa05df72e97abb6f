/* SPDX-License-Identifier: MIT */
/* Stops: the reason, the place, and the displays. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

void print_where(struct session *s)
{
	struct vcpu_place at = vcpu_where(s->machine);
	struct line line;

	fprintf(s->out, "instruction %" PRIu64, at.instructions);
	if (at.steps)
		fprintf(s->out, "+%" PRIu32, at.steps);
	fprintf(s->out, ", %" PRIu64 " ns", at.ns);
	if (vcpu_processors(s->machine) > 1)
		fprintf(s->out, ", processor %u", vcpu_running(s->machine));
	if (dwarf_line(s, linear_rip(s), &line))
		fprintf(s->out, ", %s:%d", line.name, line.line);
	fputc('\n', s->out);
	disassemble_next(s);
}

/* Print the function, if it differs from the last stop's or ANYHOW, and the line. */
static void print_code(struct session *s, bool anyhow)
{
	struct frame f = frame_here(s);
	struct line line;
	uint64_t low = 0, high;
	bool known = dwarf_line(s, f.pc, &line);

	if (!dwarf_function(s, f.pc, &low, &high))
		low = 0;
	if (anyhow || (low && (low != s->last_function || !s->stepping))) {
		if (!dwarf_begins(s, f.pc))
			fprintf(s->out, "0x%0*" PRIx64 " in ", address_digits(s), f.pc);
		json_open(s, "frame", '{');
		frame_print(s, &f, true);
		json_close(s);
		fputc('\n', s->out);
	}
	else if (known && !dwarf_begins(s, f.pc))
		fprintf(s->out, "0x%0*" PRIx64 "\t", address_digits(s), f.pc);
	if (known)
		source_print_line(s, &line);
	s->last_function = low;
}

static const char *mode_text(uint64_t mode)
{
	if (!(mode & VCPU_MODE_PROTECTED))
		return "real mode";
	if (mode & VCPU_MODE_V86)
		return "virtual-8086 mode";
	if ((mode & 3) == VCPU_MODE_64)
		return "64-bit mode";
	if (mode & VCPU_MODE_LONG)
		return (mode & 3) == VCPU_MODE_32 ? "compatibility mode (32 bits)" : "compatibility mode (16 bits)";
	return (mode & 3) == VCPU_MODE_32 ? "protected mode, 32 bits" : "protected mode, 16 bits";
}

static void print_event(struct session *s, const struct vcpu_debug_stop *stop)
{
	enum { VMCS_EVENT = 0x4016 /* VM-entry interruption information */,
	       ENTRY_STATE = 33, SVM_INVALID = VCPU_SVM | 0xffff /* the name is what a field "is" or "has" */ };
	bool svm = stop->address & VCPU_SVM, failed = stop->address == ENTRY_STATE || stop->address == SVM_INVALID;
	FILE *out = s->out;
	const char *name;
	char text[160];

	switch (stop->event) {
	case VCPU_EVENT_EXCEPTION:
	case VCPU_EVENT_INTERRUPT:
		if (stop->cause == VCPU_CAUSE_INT || stop->cause == VCPU_CAUSE_INT3_INTO ||
		    stop->cause == VCPU_CAUSE_INT1)
			fprintf(out, "INT %" PRIu64 " instruction", stop->address);
		else
			fprintf(out, "%s %" PRIu64, stop->event == VCPU_EVENT_EXCEPTION ? "exception" : "interrupt",
				stop->address);
		if (stop->event == VCPU_EVENT_EXCEPTION && stop->value)
			fprintf(out, ", error code %" PRIx64, stop->value);
		break;
	case VCPU_EVENT_PORT:
	case VCPU_EVENT_MMIO:
		fprintf(out, "%s %s %" PRIx64 ", %u byte%s: %" PRIx64, stop->write ? "write to" : "read of",
			stop->event == VCPU_EVENT_PORT ? "port" :
			"a device at physical",
			stop->address, stop->size, stop->size == 1 ? "" : "s", stop->value);
		break;
	case VCPU_EVENT_MSR:
		fprintf(out, "%s MSR %" PRIx64 ": %" PRIx64, stop->write ? "write to" : "read of", stop->address,
			stop->value);
		break;
	case VCPU_EVENT_CR3:
		fprintf(out, "CR3 %" PRIx64 ", was %" PRIx64, stop->address, stop->value);
		break;
	case VCPU_EVENT_MODE:
		fprintf(out, "%s, was %s", mode_text(stop->address), mode_text(stop->value));
		break;
	case VCPU_EVENT_CLOCK:
		fprintf(out, "event of the device: %s", stop->name);
		break;
	case VCPU_EVENT_OUTPUT:
		fprintf(out, "the guest has said: %s", stop->name);
		break;
	case VCPU_EVENT_VMENTRY:
		vcpu_vmcs_text(VMCS_EVENT, stop->value, text, sizeof text);
		fprintf(out, "VM entry, guest RIP %" PRIx64 "%s%s", stop->address, *text ? ", injects " : "", text);
		break;
	case VCPU_EVENT_VMEXIT:
		name = vcpu_vmexit_name((uint32_t)stop->address);
		fprintf(out, svm ? "VM exit 0x%" PRIx64 : "VM exit %" PRIu64, stop->address & 0xffff);
		fprintf(out, " (%s): %s%s; %s %" PRIx64, name ? name : "unknown", failed ? "a field " : "", stop->name,
			svm ? "EXITINFO1" : "qualification", stop->value);
		break;
	case VCPU_EVENT_VMFAIL:
		fprintf(out, "VM-instruction error %" PRIu64 ": %s", stop->address, stop->name);
		break;
	}
	if (stop->rip && stop->event != VCPU_EVENT_CLOCK && stop->event != VCPU_EVENT_VMENTRY)
		fprintf(out, ", %s %" PRIx64, stop->event == VCPU_EVENT_VMEXIT ? "guest RIP" : "at", stop->rip);
	fputc('\n', out);
}

static bool host_failed(const struct vcpu_debug_stop *stop)
{
	return stop->machine.reason == VCPU_STOP_DISK_FULL || stop->machine.reason == VCPU_STOP_DISK_ERROR ||
		stop->machine.reason == VCPU_STOP_HOST;
}

static void print_stop(struct session *s, const struct vcpu_debug_stop *stop)
{
	struct stop *p = stop_by_id(s, stop->id);
	bool anyhow = stop->what == VCPU_DEBUG_WATCH && p && p->watched;
	char text[128];

	switch (stop->what) {
	case VCPU_DEBUG_MACHINE:
		if (stop->machine.reason != VCPU_STOP_LIMIT && stop->machine.reason != VCPU_STOP_IDLE &&
			stop->machine.reason != VCPU_STOP_REQUEST)
			fprintf(s->out, "the machine stopped: %s%s%s\n", vcpu_stop_name(stop->machine.reason),
				host_failed(stop) ? ": " : "",
				host_failed(stop) ? vcpu_error(s->machine) : "");
		break;
	case VCPU_DEBUG_BREAK:
		if (!p || !p->hidden)
			fprintf(s->out, "%s %d, ", p && p->temporary ? "Temporary breakpoint" : "Breakpoint",
				p ? p->number : stop->id);
		anyhow = !p || !p->hidden;
		break;
	case VCPU_DEBUG_WATCH:
		if (p && p->watched)
			watch_print(s, p, s->went_back);
		fprintf(s->out, "%s%s of %u bytes at %s0x%" PRIx64, stop->device ? "a device's " : "", stop->write
			? "write" :
			"read", stop->size,
			stop->physical ? "physical " : "", stop->address);
		if (!stop->device)
			fprintf(s->out, " by the instruction at 0x%" PRIx64 "%s (%" PRIu64 ")", stop->rip,
				symbol_text(s, stop->rip, text,
				sizeof text),
				stop->when.instructions);
		fputc('\n', s->out);
		break;
	case VCPU_DEBUG_EVENT:
		fprintf(s->out, "Catchpoint %d: ", p ? p->number : stop->id);
		print_event(s, stop);
		break;
	case VCPU_DEBUG_START:
		fprintf(s->out, "the start: nothing is known before\n");
		break;
	case VCPU_DEBUG_END:
		fprintf(s->out, "the end of the known run: going on makes it longer\n");
		break;
	case VCPU_DEBUG_ERROR:
		complaint(s, "%s", error_of(s));
		break;
	case VCPU_DEBUG_THERE:
		break;
	}
	print_code(s, anyhow);
	s->stepping = false;
	print_where(s);
}

bool report(struct session *s, struct vcpu_debug_stop stop)
{
	struct stop *p = stop_by_id(s, stop.id);
	bool ok = stop.what != VCPU_DEBUG_ERROR;

	s->last = stop;
	s->stop_number = p ? p->number : 0;
	s->stopped = true;
	s->frame = 0;
	s->listed.file = NULL;
	vcpu_select(s->machine, vcpu_running(s->machine));
	print_stop(s, &stop);
	displays_show(s);
	if (p && !p->hidden && p->commands) {
		unsigned n = 0;
		char **lines;

		while (p->commands[n])
			n++;
		lines = needed(calloc(n + 1, sizeof *lines)); /* a copy, as the commands may delete the stop */
		for (unsigned i = 0; i < n; i++)
			lines[i] = needed(strdup(p->commands[i]));
		json_open(s, "commands", '[');
		for (unsigned i = 0; i < n; i++) {
			ok = (ok || s->keep_going) && nested_command(s, lines[i]) && ok;
			free(lines[i]);
		}
		json_close(s);
		free(lines);
	}
	if (stop.id && stop_by_id(s, stop.id) && stop_by_id(s, stop.id)->temporary)
		stop_delete(s, stop.id);
	return ok;
}
