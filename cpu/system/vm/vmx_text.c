/* SPDX-License-Identifier: MIT */
/* Values of the VMCS in words, for people who look at it: names of the SDM (vol. 3, 24.4 to 24.9, 30.4, appendix C). */
#include <stdarg.h>
#include <stdio.h>
#include "cpu/system/vm/vm_text.h"
#include "cpu/system/vm/vmx.h"

static const struct { u16 field; u8 number; const char *name, *set; } named_bits[] = {
#define BIT(field, number, name, kind) \
	{ VMCS_##field, number, name, "\"" name "\" is 1 (" kind ", bit " #number ")" },
#include "cpu/system/vm/vmx_bits.def"
};

/* But for those of SMM monitors and SGX. */
static const char *const exit_reasons[] = {
	[VMEXIT_EXCEPTION] = "exception or NMI", [VMEXIT_INTR] = "external interrupt",
	[VMEXIT_TRIPLE_FAULT] = "triple fault", [VMEXIT_INIT] = "INIT signal", [VMEXIT_SIPI] = "start-up IPI",
	[VMEXIT_INTR_WINDOW] = "interrupt window",
	[VMEXIT_NMI_WINDOW] = "NMI window", [VMEXIT_TASK_SWITCH] = "task switch", [VMEXIT_CPUID] = "CPUID",
	[11] = "GETSEC", [VMEXIT_HLT] = "HLT", [VMEXIT_INVD] = "INVD", [VMEXIT_INVLPG] = "INVLPG",
	[VMEXIT_RDPMC] = "RDPMC", [VMEXIT_RDTSC] = "RDTSC", [VMEXIT_RSM] = "RSM", [VMEXIT_VMCALL] = "VMCALL",
	[VMEXIT_VMCLEAR] = "VMCLEAR", [VMEXIT_VMLAUNCH] = "VMLAUNCH", [VMEXIT_VMPTRLD] = "VMPTRLD",
	[VMEXIT_VMPTRST] = "VMPTRST", [VMEXIT_VMREAD] = "VMREAD", [VMEXIT_VMRESUME] = "VMRESUME",
	[VMEXIT_VMWRITE] = "VMWRITE", [VMEXIT_VMXOFF] = "VMXOFF", [VMEXIT_VMXON] = "VMXON",
	[VMEXIT_CR_ACCESS] = "control-register access", [VMEXIT_DR_ACCESS] = "MOV DR",
	[VMEXIT_IO] = "I/O instruction", [VMEXIT_RDMSR] = "RDMSR", [VMEXIT_WRMSR] = "WRMSR",
	[VMEXIT_ENTRY_STATE] = "VM-entry failure: guest state", [VMEXIT_ENTRY_MSR] = "VM-entry failure: MSR loading",
	[VMEXIT_MWAIT] = "MWAIT", [VMEXIT_TRAP_FLAG] = "monitor trap flag", [VMEXIT_MONITOR] = "MONITOR",
	[VMEXIT_PAUSE] = "PAUSE", [41] = "VM-entry failure: machine check", [VMEXIT_TPR] = "TPR below threshold",
	[44] = "APIC access", [45] = "virtualized EOI", [VMEXIT_GDTR_IDTR] = "access to GDTR or IDTR",
	[VMEXIT_LDTR_TR] = "access to LDTR or TR", [VMEXIT_EPT_VIOLATION] = "EPT violation",
	[VMEXIT_EPT_MISCONFIGURATION] = "EPT misconfiguration", [VMEXIT_INVEPT] = "INVEPT",
	[VMEXIT_RDTSCP] = "RDTSCP", [VMEXIT_TIMER] = "VMX-preemption timer expired", [VMEXIT_INVVPID] = "INVVPID",
	[VMEXIT_WBINVD] = "WBINVD", [VMEXIT_XSETBV] = "XSETBV", [56] = "APIC write", [VMEXIT_RDRAND] = "RDRAND",
	[VMEXIT_INVPCID] = "INVPCID", [59] = "VMFUNC", [VMEXIT_RDSEED] = "RDSEED",
	[62] = "page-modification log full", [VMEXIT_XSAVES] = "XSAVES", [VMEXIT_XRSTORS] = "XRSTORS",
	[66] = "sub-page permission", [VMEXIT_UMWAIT] = "UMWAIT", [VMEXIT_TPAUSE] = "TPAUSE",
	[VMEXIT_ENQCMD] = "ENQCMD PASID translation", [VMEXIT_ENQCMDS] = "ENQCMDS PASID translation",
	[VMEXIT_BUS_LOCK] = "bus lock", [VMEXIT_TIMEOUT] = "instruction timeout",
	[VMEXIT_RDMSRLIST] = "RDMSRLIST", [VMEXIT_WRMSRLIST] = "WRMSRLIST",
	[VMEXIT_URDMSR] = "URDMSR", [VMEXIT_UWRMSR] = "UWRMSR",
};

static const char *const instruction_errors[] = {
	[0] = "there is no current VMCS", [1] = "VMCALL in root operation",
	[2] = "VMCLEAR of an address that is not valid", [3] = "VMCLEAR of the VMXON region",
	[4] = "VMLAUNCH of a VMCS that is not clear", [5] = "VMRESUME of a VMCS that is not launched",
	[6] = "VMRESUME after VMXOFF", [7] = "VM entry with an invalid control field",
	[8] = "VM entry with an invalid host-state field", [9] = "VMPTRLD of an address that is not valid",
	[10] = "VMPTRLD of the VMXON region", [11] = "VMPTRLD of another revision",
	[12] = "VMREAD or VMWRITE of a field that there is not", [13] = "VMWRITE of a read-only field",
	[15] = "VMXON in root operation", [16] = "VM entry with an invalid executive-VMCS pointer",
	[17] = "VM entry with an executive VMCS that is not launched",
	[18] = "VM entry with an executive-VMCS pointer that is not the VMXON pointer",
	[19] = "VMCALL with a VMCS that is not clear", [20] = "VMCALL with invalid VM-exit controls",
	[22] = "VMCALL with another MSEG revision", [23] = "VMXOFF under dual-monitor treatment",
	[24] = "VMCALL with invalid SMM-monitor features",
	[25] = "VM entry with invalid VM-execution controls in the executive VMCS",
	[26] = "VM entry behind MOV SS", [28] = "INVEPT or INVVPID with an invalid operand",
};

const char *vmx_exit_name(u32 reason)
{
	u32 basic = reason & 0xffff;

	return basic < ARRAY_LEN(exit_reasons) ? exit_reasons[basic] : NULL;
}

const char *vmx_error_name(u32 number)
{
	return number < ARRAY_LEN(instruction_errors) && instruction_errors[number] ? instruction_errors[number]
										    : "a number that the SDM does not list";
}

const char *vmx_cause_text(const struct vmx_cause *cause)
{
	if (cause->why)
		return cause->why;
	for (unsigned i = 0; i < ARRAY_LEN(named_bits); i++)
		if (named_bits[i].field == cause->field && cause->bit >> named_bits[i].number & 1)
			return named_bits[i].set;
	return "it exits in any case (25.1.2, 25.2)";
}

/* ---- values ---- */

void text_add(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->len < t->size ? t->at + t->len : NULL, t->len < t->size ? t->size - t->len : 0, format, ap);
	va_end(ap);
	t->len += n > 0 ? (size_t)n : 0;
}

/* Interruption information and IDT-vectoring information (24.8.3, 24.9.2, 24.9.3); EVENTINJ and EXITINTINFO of SVM. */
void text_event(struct text *t, u32 v)
{
	static const char *const types[] = { "external interrupt", "reserved type", "NMI", "hardware exception",
					     "software interrupt", "privileged software exception",
					     "software exception", "other event" };

	if (!(v & INTERRUPTION_VALID))
		return;
	text_add(t, "%s, vector %u%s", types[v >> 8 & 7], v & 0xff, v & INTERRUPTION_ERROR ? ", error code" : "");
}

void text_port(struct text *t, bool in, bool string, bool rep, unsigned size, u16 port)
{
	text_add(t, "%s%s%s, %u byte%s, port %x", rep ? "REP " : "", in ? "IN" : "OUT", string ? "S" : "", size,
		 size == 1 ? "" : "s", port);
}

static void activity(struct text *t, u64 v)
{
	static const char *const states[] = { "active", "HLT", "shutdown", "wait-for-SIPI" };

	text_add(t, "%s", v < ARRAY_LEN(states) ? states[v] : "");
}

static void set_bits(struct text *t, u32 field, u64 v)
{
	for (unsigned i = 0; i < ARRAY_LEN(named_bits); i++)
		if (named_bits[i].field == field && v >> named_bits[i].number & 1)
			text_add(t, "%s%s", t->len ? ", " : "", named_bits[i].name);
}

size_t vmcs_text(u32 field, u64 v, char *at, size_t size)
{
	struct text t = { at, size, 0 };
	const char *name;

	if (size)
		*at = 0;
	switch (field) {
	case VMCS_EXIT_REASON:
		name = vmx_exit_name((u32)v);
		text_add(&t, "%s", name ? name : "");
		break;
	case VMCS_INSTRUCTION_ERROR:
		if (v)
			text_add(&t, "%s", vmx_error_name((u32)v));
		break;
	case VMCS_ENTRY_INTERRUPTION: case VMCS_EXIT_INTERRUPTION: case VMCS_IDT_VECTORING:
		text_event(&t, (u32)v);
		break;
	case VMCS_GUEST_ACTIVITY: activity(&t, v); break;
	default: set_bits(&t, field, v);
	}
	return t.len;
}

/* Table 27-3: 11-8 general register | 5-4 access | 3-0 control register. */
static void control_register(struct text *t, u64 q)
{
	unsigned n = q & 15, reg = q >> 8 & 15;

	switch (q >> 4 & 3) {
	case 0: text_add(t, "MOV to CR%u from general register %u", n, reg); break;
	case 1: text_add(t, "MOV from CR%u to general register %u", n, reg); break;
	case 2: text_add(t, "CLTS"); break;
	default: text_add(t, "LMSW of %x", (unsigned)(q >> 16 & 0xffff));
	}
}

/* Table 27-7 */
static void violation(struct text *t, u64 q)
{
	text_add(t, "%s%s, rights %c%c%c%s", q & 4 ? "fetch" : q & 2 ? "write" : "read",
		 q & 2 && q & 1 ? " and read" : "", q & 8 ? 'r' : '-', q & 0x10 ? 'w' : '-', q & 0x20 ? 'x' : '-',
		 !(q & 0x80) ? "" : q & 0x100 ? ", for the final address" : ", for an entry of the guest's own tables");
}

size_t vmx_exit_text(u32 reason, u64 q, char *at, size_t size)
{
	struct text t = { at, size, 0 };

	if (size)
		*at = 0;
	switch (reason) {
	case VMEXIT_IO: text_port(&t, q & 8, q & 0x10, q & 0x20, (q & 7) + 1, (u16)(q >> 16)); break;
	case VMEXIT_CR_ACCESS: control_register(&t, q); break;
	case VMEXIT_DR_ACCESS:
		text_add(&t, "MOV %s DR%u, general register %u", q & 0x10 ? "from" : "to", (unsigned)q & 7,
			 (unsigned)(q >> 8 & 15));
		break;
	case VMEXIT_TASK_SWITCH: text_add(&t, "to the TSS of selector %x", (unsigned)q & 0xffff); break;
	case VMEXIT_INVLPG: text_add(&t, "linear %llx", (unsigned long long)q); break;
	case VMEXIT_EPT_VIOLATION: violation(&t, q); break;
	}
	return t.len;
}
