/* SPDX-License-Identifier: MIT */
/* VM exits and VM entries that failed, in words: the control, the check or the EPT entry that is the cause. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { EXIT_ENTRY_STATE = 33, EXIT_ENTRY_MSR = 34, EXIT_EPT_VIOLATION = 48, EXIT_EPT_MISCONFIGURATION = 49 };
enum { ERROR_CONTROLS = 7, ERROR_HOST = 8 };

/* ---- fields ---- */

struct wanted { const char *name; uint64_t value; };

static void take_field(void *user, const char *name, uint32_t encoding, uint64_t value)
{
	struct wanted *w = user;

	(void)encoding;
	if (!strcmp(name, w->name))
		w->value = value;
}

static uint64_t vmcs_field(struct session *s, const char *name)
{
	struct wanted w = { name, 0 };

	vcpu_debug_vmcs(s->debug, take_field, &w);
	return w.value;
}

/* ---- EPT ---- */

static void print_ept(struct session *s, const struct vcpu_debug_ept *walk)
{
	static const char *const names[] = { "PML4E", "PDPTE", "PDE", "PTE" };

	json_open(s, "ept", '[');
	for (unsigned i = 0; i < walk->count && i < 4; i++) {
		uint64_t e = walk->entries[i].value;

		json_open(s, NULL, '{');
		SHOW_STRING(s, "name", "  EPT %-5s", names[i]);
		SHOW_HEX(s, "at", " at %09" PRIx64, walk->entries[i].address);
		SHOW_HEX(s, "value", " = %016" PRIx64 "  ", e);
		show_flag(s, "read", e & 1, "r", "-");
		show_flag(s, "write", e & 2, "w", "-");
		show_flag(s, "execute", e & 4, "x\n", "-\n");
		json_close(s);
	}
	json_close(s);
}

bool explain_ept(struct session *s, uint64_t guest, unsigned access)
{
	struct vcpu_debug_ept walk;
	const char *verb = access & 4 ? "fetch" : access & 2 ? "write" : "read";

	if (!vcpu_debug_ept(s->debug, guest, access, &walk))
		return false;
	print_ept(s, &walk);
	json_open(s, "reasons", '[');
	if (!walk.why)
		say(s, "the tables allow a %s of guest-physical %" PRIx64 " now", verb, guest);
	else if (!walk.count)
		say(s, "because %s", walk.why);
	else
		say(s, "because the EPT entry at %" PRIx64 " = %" PRIx64 " %s", walk.entries[walk.culprit].address,
		    walk.entries[walk.culprit].value, walk.why);
	json_close(s);
	return true;
}

/* ---- the causes ---- */

/* The machine stands before the instruction that enters. */
static void why_entry_fails(struct session *s)
{
	struct vcpu_debug_check failed;
	char text[512];

	if (!vcpu_debug_vmentry(s->debug, &failed))
		return;
	vcpu_vmcs_text(failed.encoding, failed.value, text, sizeof text);
	say(s, "because %s = %" PRIx64 " %s", failed.field ? failed.field : "a field", failed.value, failed.rule);
	if (*text)
		say(s, "the value is: %s", text);
}

/* Entry N, from 1, of the area that a VM entry loads. */
static void which_msr(struct session *s, uint64_t n)
{
	uint64_t area = vmcs_field(s, "ENTRY_MSR_LOAD"), entry[2];

	if (vcpu_read_physical(s->machine, area + 16 * (n - 1), entry, sizeof entry) == sizeof entry)
		say(s, "because MSR %" PRIx64 " cannot be loaded with %" PRIx64 ", entry %" PRIu64 " at %" PRIx64
		       " of the MSR-load area (26.4)", entry[0] & 0xffffffff, entry[1], n, area + 16 * (n - 1));
}

static void explain_exit(struct session *s, const struct vcpu_debug_stop *stop)
{
	const char *name = vcpu_vmexit_name((uint32_t)stop->address);
	uint64_t linear = vmcs_field(s, "GUEST_LINEAR_ADDRESS"), physical = vmcs_field(s, "GUEST_PHYSICAL_ADDRESS");
	uint64_t event = vmcs_field(s, "EXIT_INTERRUPTION"), q = stop->value;
	bool violation = stop->address == EXIT_EPT_VIOLATION;
	char text[160];

	SHOW_NUMBER(s, "reason", "VM exit %" PRIu64 ", ", stop->address);
	SHOW_STRING(s, "name", "%s", name ? name : "of an unknown reason");
	SHOW_HEX(s, "qualification", ", qualification %" PRIx64, q);
	vcpu_vmcs_text(0x4404, event, text, sizeof text);
	if (*text)
		SHOW_STRING(s, "interruption", ": %s", text);
	fprintf(s->out, " (SDM vol. 3, 25.1, 27.2)\n");
	vcpu_debug_seek(s->debug, stop->when);
	vcpu_select(s->machine, vcpu_running(s->machine));
	SHOW_NUMBER(s, "instructions", "instruction %" PRIu64 ":\n", stop->when.instructions);
	disassemble_next(s);
	if (violation || stop->address == EXIT_EPT_MISCONFIGURATION) {
		if (violation && q & 0x80)
			SHOW_HEX(s, "linear", "the access to linear %" PRIx64, linear);
		else
			fprintf(s->out, "an access");
		SHOW_HEX(s, "guest_physical", violation && q & 0x80 && !(q & 0x100)
			 ? " needed a paging-structure entry at guest-physical %" PRIx64 "\n"
			 : " was to guest-physical %" PRIx64 "\n", physical);
		if (explain_ept(s, physical, violation ? q & 7 : 1))
			return;
	}
	json_open(s, "reasons", '[');
	if (stop->address == EXIT_ENTRY_STATE && !(q & 2))
		why_entry_fails(s);
	else if (stop->address == EXIT_ENTRY_MSR)
		which_msr(s, q);
	else
		say(s, "because %s", stop->name);
	json_close(s);
}

void explain_vmx(struct session *s, const struct vcpu_debug_stop *stop)
{
	json_open(s, "event", '{');
	if (stop->event == VCPU_EVENT_VMEXIT) {
		explain_exit(s, stop);
	} else {
		SHOW_NUMBER(s, "error", "VM-instruction error %" PRIu64, stop->address);
		SHOW_STRING(s, "name", ": %s (SDM vol. 3, 30.4)\n", stop->name);
		vcpu_debug_seek(s->debug, stop->when);
		vcpu_select(s->machine, vcpu_running(s->machine));
		SHOW_NUMBER(s, "instructions", "instruction %" PRIu64 ":\n", stop->when.instructions);
		disassemble_next(s);
		json_open(s, "reasons", '[');
		if (stop->address == ERROR_CONTROLS || stop->address == ERROR_HOST)
			why_entry_fails(s);
		json_close(s);
	}
	json_close(s);
}
