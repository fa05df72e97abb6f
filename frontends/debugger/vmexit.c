/* SPDX-License-Identifier: MIT */
/* VM exits and VM entries that failed, in words: the control, the check or the EPT entry that is the cause. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { EXIT_ENTRY_STATE = 33, EXIT_ENTRY_MSR = 34, EXIT_EPT_VIOLATION = 48, EXIT_EPT_MISCONFIGURATION = 49,
       SVM_INTERCEPTS = VCPU_SVM | 0xbf /* the last that has one */, SVM_NPF = VCPU_SVM | 0x400,
       SVM_INVALID = VCPU_SVM | 0xffff };
enum { ERROR_CONTROLS = 7, ERROR_HOST = 8 };
enum { VMCS_INTERRUPTION = 0x4404, VMCB_INTINFO = VCPU_SVM | 0x88 };

/* ---- fields ---- */

struct wanted { const char *name; uint64_t value; };

static void take_field(void *user, const char *name, uint32_t encoding, uint64_t value)
{
	struct wanted *w = user;

	(void)encoding;
	if (!strcmp(name, w->name))
		w->value = value;
}

/* Of the current VMCS, or of the VMCB. */
static uint64_t field(struct session *s, bool svm, const char *name)
{
	struct wanted w = { name, 0 };

	(svm ? vcpu_debug_vmcb : vcpu_debug_vmcs)(s->debug, take_field, &w);
	return w.value;
}

/* ---- the second level of paging ---- */

static void print_second_walk(struct session *s, const struct vcpu_debug_second_walk *walk)
{
	static const char *const names[] = { "PML4E", "PDPTE", "PDE", "PTE" };

	json_open(s, walk->nested ? "nested" : "ept", '[');
	for (unsigned i = 0; i < walk->count && i < 4; i++) {
		uint64_t e = walk->entries[i].value;

		json_open(s, NULL, '{');
		SHOW_STRING(s, "name", walk->nested ? "  nested" : "  EPT %-5s", names[i]);
		SHOW_HEX(s, "at", " at %09" PRIx64, walk->entries[i].address);
		SHOW_HEX(s, "value", " = %016" PRIx64 "  ", e);
		if (walk->nested) {
			show_flag(s, "present", e & 1, "present", "NOT PRESENT");
			show_flag(s, "write", e & 2, ", writable", ", read-only");
			show_flag(s, "user", e & 4, ", user", ", supervisor");
			show_flag(s, "execute", !(e >> 63), "\n", ", no execution\n");
		} else {
			show_flag(s, "read", e & 1, "r", "-");
			show_flag(s, "write", e & 2, "w", "-");
			show_flag(s, "execute", e & 4, "x\n", "-\n");
		}
		json_close(s);
	}
	json_close(s);
}

bool explain_second_walk(struct session *s, uint64_t guest, unsigned access)
{
	struct vcpu_debug_second_walk walk;
	const char *verb = access & 4 ? "fetch" : access & 2 ? "write" : "read";

	if (!vcpu_debug_second_walk(s->debug, guest, access, &walk))
		return false;
	print_second_walk(s, &walk);
	json_open(s, "reasons", '[');
	if (!walk.why)
		say(s, "the tables allow a %s of guest-physical %" PRIx64 " now", verb, guest);
	else if (!walk.count)
		say(s, "because %s", walk.why);
	else
		say(s, "because the %s entry at %" PRIx64 " = %" PRIx64 " %s", walk.nested ? "nested" : "EPT",
		    walk.entries[walk.culprit].address, walk.entries[walk.culprit].value, walk.why);
	json_close(s);
	return true;
}

/* ---- the causes ---- */

/* The machine stands before the instruction that enters. */
static void why_entry_fails(struct session *s, const char *otherwise)
{
	struct vcpu_debug_check failed;
	char text[512];

	if (!vcpu_debug_vmentry(s->debug, &failed)) {
		if (otherwise)
			say(s, "because a field %s", otherwise);
		return;
	}
	vcpu_vmcs_text(failed.encoding, failed.value, text, sizeof text);
	say(s, "because %s = %" PRIx64 " %s", failed.field ? failed.field : "a field", failed.value, failed.rule);
	if (*text)
		say(s, "the value is: %s", text);
}

/* Entry N, from 1, of the area that a VM entry loads. */
static void which_msr(struct session *s, uint64_t n)
{
	uint64_t area = field(s, false, "ENTRY_MSR_LOAD"), entry[2];

	if (vcpu_read_physical(s->machine, area + 16 * (n - 1), entry, sizeof entry) == sizeof entry)
		say(s, "because MSR %" PRIx64 " cannot be loaded with %" PRIx64 ", entry %" PRIu64 " at %" PRIx64
		       " of the MSR-load area (26.4)", entry[0] & 0xffffffff, entry[1], n, area + 16 * (n - 1));
}

/* The exit's number, name and information. */
static void print_exit(struct session *s, const struct vcpu_debug_stop *stop, bool svm)
{
	const char *name = vcpu_vmexit_name((uint32_t)stop->address);
	char text[160];

	SHOW_NUMBER(s, "reason", svm ? "VM exit 0x%" PRIx64 ", " : "VM exit %" PRIu64 ", ", stop->address & 0xffff);
	SHOW_STRING(s, "name", "%s", name ? name : "of an unknown reason");
	SHOW_HEX(s, svm ? "exitinfo1" : "qualification", svm ? ", EXITINFO1 %" PRIx64 : ", qualification %" PRIx64,
		 stop->value);
	if (svm)
		SHOW_HEX(s, "exitinfo2", ", EXITINFO2 %" PRIx64, field(s, true, "EXITINFO2"));
	vcpu_vmexit_text((uint32_t)stop->address, stop->value, text, sizeof text);
	if (*text)
		SHOW_STRING(s, "text", ": %s", text);
	vcpu_vmcs_text(svm ? VMCB_INTINFO : VMCS_INTERRUPTION,
		       field(s, svm, svm ? "EXITINTINFO" : "EXIT_INTERRUPTION"), text, sizeof text);
	if (*text)
		SHOW_STRING(s, "interruption", svm ? ", during the delivery of: %s" : ": %s", text);
	fprintf(s->out, svm ? " (APM vol. 2, appendix C)\n" : " (SDM vol. 3, 25.1, 27.2)\n");
}

/* A second level of paging has refused an access to a guest-physical address. */
struct refusal {
	bool there, linear_known, final;
	unsigned access;
	uint64_t linear, physical;
};

static struct refusal refusal(struct session *s, const struct vcpu_debug_stop *stop)
{
	uint64_t q = stop->value;
	bool violation = stop->address == EXIT_EPT_VIOLATION;

	if (stop->address == SVM_NPF)
		return (struct refusal){ true, false, q >> 32 & 1, q & 0x10 ? 4 : q & 2 ? 2 : 1, 0,
					 field(s, true, "EXITINFO2") };
	return (struct refusal){ violation || stop->address == EXIT_EPT_MISCONFIGURATION, violation && q & 0x80,
				 q & 0x100 || !(q & 0x80) || !violation, violation ? q & 7 : 1,
				 field(s, false, "GUEST_LINEAR_ADDRESS"), field(s, false, "GUEST_PHYSICAL_ADDRESS") };
}

static void explain_exit(struct session *s, const struct vcpu_debug_stop *stop)
{
	bool svm = stop->address & VCPU_SVM;
	unsigned code = stop->address & 0xffff;
	struct refusal r = refusal(s, stop);

	print_exit(s, stop, svm);
	vcpu_debug_seek(s->debug, stop->when);
	vcpu_select(s->machine, vcpu_running(s->machine));
	SHOW_NUMBER(s, "instructions", "instruction %" PRIu64 ":\n", stop->when.instructions);
	disassemble_next(s);
	if (r.there) {
		if (r.linear_known)
			SHOW_HEX(s, "linear", "the access to linear %" PRIx64, r.linear);
		else
			fprintf(s->out, "an access");
		SHOW_HEX(s, "guest_physical", r.final ? " was to guest-physical %" PRIx64 "\n"
			 : " needed a paging-structure entry at guest-physical %" PRIx64 "\n", r.physical);
		if (explain_second_walk(s, r.physical, r.access))
			return;
	}
	json_open(s, "reasons", '[');
	if (stop->address == SVM_INVALID || (stop->address == EXIT_ENTRY_STATE && !(stop->value & 2)))
		why_entry_fails(s, svm ? stop->name : NULL);
	else if (stop->address == EXIT_ENTRY_MSR)
		which_msr(s, stop->value);
	else
		say(s, "because %s", stop->name);
	if (svm && stop->address <= SVM_INTERCEPTS)
		say(s, "the intercept is bit %u of the VMCB's word at %03x", code % 32, code / 32 * 4);
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
			why_entry_fails(s, NULL);
		json_close(s);
	}
	json_close(s);
}
