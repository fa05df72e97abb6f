/* SPDX-License-Identifier: MIT */
/* Numbers of SVM in words, for people: exit codes by the names of APM vol. 2, appendix C, without "VMEXIT_". */
#include "cpu/system/vm/svm.h"
#include "cpu/system/vm/vm_text.h"

/* Codes up to BFh: those that are numbers of intercepts. */
static const char *const names[0xc0] = {
#define X(name, code) [code] = #name,
	INSTRUCTION_INTERCEPTS(X)
#undef X
#define REGISTERS(n) \
	[SVM_EXIT_CR_READ + n] = "CR" #n "_READ", [SVM_EXIT_CR_WRITE + n] = "CR" #n "_WRITE", \
	[SVM_EXIT_DR_READ + n] = "DR" #n "_READ", [SVM_EXIT_DR_WRITE + n] = "DR" #n "_WRITE",
	REGISTERS(0) REGISTERS(1) REGISTERS(2) REGISTERS(3) REGISTERS(4) REGISTERS(5) REGISTERS(6) REGISTERS(7)
	REGISTERS(8) REGISTERS(9) REGISTERS(10) REGISTERS(11) REGISTERS(12) REGISTERS(13) REGISTERS(14) REGISTERS(15)
#undef REGISTERS
#define VECTORS(a, b, c, d) \
	[SVM_EXIT_EXCEPTION + a] = "EXCP" #a, [SVM_EXIT_EXCEPTION + b] = "EXCP" #b, \
	[SVM_EXIT_EXCEPTION + c] = "EXCP" #c, [SVM_EXIT_EXCEPTION + d] = "EXCP" #d,
	VECTORS(0, 1, 2, 3) VECTORS(4, 5, 6, 7) VECTORS(8, 9, 10, 11) VECTORS(12, 13, 14, 15)
	VECTORS(16, 17, 18, 19) VECTORS(20, 21, 22, 23) VECTORS(24, 25, 26, 27) VECTORS(28, 29, 30, 31)
#undef VECTORS
	[SVM_EXIT_INTR] = "INTR", [SVM_EXIT_NMI] = "NMI", [SVM_EXIT_SMI] = "SMI", [SVM_EXIT_INIT] = "INIT",
	[SVM_EXIT_VINTR] = "VINTR", [SVM_EXIT_CR0_SEL_WRITE] = "CR0_SEL_WRITE",
	[SVM_EXIT_TASK_SWITCH] = "TASK_SWITCH", [SVM_EXIT_FERR_FREEZE] = "FERR_FREEZE",
	[SVM_EXIT_SHUTDOWN] = "SHUTDOWN", [0x86] = "SKINIT", [SVM_EXIT_MWAIT_CONDITIONAL] = "MWAIT_CONDITIONAL",
};

const char *svm_exit_name(u32 code)
{
	switch (code) {
	case SVM_EXIT_INVALID & 0xffff: return "INVALID";
	case SVM_EXIT_NPF: return "NPF";
	case SVM_EXIT_AVIC_INCOMPLETE_IPI: return "AVIC_INCOMPLETE_IPI";
	case SVM_EXIT_AVIC_NOACCEL: return "AVIC_NOACCEL";
	default: return code < ARRAY_LEN(names) ? names[code] : NULL;
	}
}

const char *svm_cause_text(const struct svm *v)
{
	switch (v->code) {
	case SVM_EXIT_NPF: return "the nested page tables do not allow the access (15.25.6)";
	case SVM_EXIT_AVIC_INCOMPLETE_IPI: return "AVIC cannot send this IPI alone (15.29)";
	case SVM_EXIT_AVIC_NOACCEL: return "AVIC does not virtualise this access (15.29, table 15-22)";
	case SVM_EXIT_IOIO: return "its intercept is 1, and so is a bit of the I/O permission map (15.10)";
	case SVM_EXIT_MSR: return "its intercept is 1, and the MSR permission map does not exempt it (15.11)";
	default: return v->why ? v->why : "its intercept is 1 (15.9, 15.12, 15.13)";
	}
}

/* 33 the walk of the guest's tables | 32 the final address | 4 fetch | 3 reserved bit | 1 write | 0 present
 * (15.25.6) */
static void nested_fault(struct text *t, u64 info)
{
	text_add(t, "%s, %s, %s", info & 0x10 ? "fetch" : info & 2 ? "write" : "read",
		 info & 8 ? "an entry with a reserved bit set" : info & 1 ? "an entry without the permission"
									    : "an entry that is not present",
		 info >> 33 & 1 ? "for an entry of the guest's own tables" : "for the final address");
}

size_t svm_exit_text(u32 code, u64 info, char *at, size_t size)
{
	struct text t = { at, size, 0 };

	if (size)
		*at = 0;
	if (code < SVM_EXIT_DR_READ) {
		if (info >> 63)
			text_add(&t, "MOV, general register %u", (unsigned)info & 15);
	} else if (code < SVM_EXIT_EXCEPTION) {
		text_add(&t, "general register %u", (unsigned)info & 15);
	} else if (code < SVM_EXIT_INTR) {
		if (info)
			text_add(&t, "error code %llx", (unsigned long long)info);
	}
	switch (code) {
	case SVM_EXIT_IOIO:
		text_port(&t, info & 1, info & 4, info & 8, info >> 4 & 7, (u16)(info >> 16));
		break;
	case SVM_EXIT_MSR: text_add(&t, "%s", info ? "WRMSR" : "RDMSR"); break;
	case SVM_EXIT_SWINT: text_add(&t, "vector %u", (unsigned)info & 0xff); break;
	case SVM_EXIT_INVLPG: case SVM_EXIT_INVLPGA: text_add(&t, "linear %llx", (unsigned long long)info); break;
	case SVM_EXIT_TASK_SWITCH: text_add(&t, "to the TSS of selector %x", (unsigned)info & 0xffff); break;
	case SVM_EXIT_NPF: nested_fault(&t, info); break;
	case SVM_EXIT_AVIC_INCOMPLETE_IPI: text_add(&t, "ICR %016llx", (unsigned long long)info); break;
	case SVM_EXIT_AVIC_NOACCEL:
		text_add(&t, "%s of the register at %03x", info >> 32 & 1 ? "write" : "read", (unsigned)info & 0xff0);
		break;
	}
	return t.len;
}

static void intercepts(struct text *t, u32 first, u64 bits)
{
	for (unsigned i = 0; i < 32; i++)
		if (bits >> i & 1 && svm_exit_name(first + i))
			text_add(t, "%s%s", t->len ? ", " : "", svm_exit_name(first + i));
}

size_t vmcb_text(u32 offset, u64 v, char *at, size_t size)
{
	struct text t = { at, size, 0 };
	const char *name;

	if (size)
		*at = 0;
	if (offset < 0x18)
		intercepts(&t, offset * 8, v);
	switch (offset) {
	case VMCB_EXITCODE & 0xfff:
		name = svm_exit_name((u32)v & 0xffff);
		text_add(&t, "%s", name ? name : "");
		break;
	case VMCB_EVENTINJ & 0xfff: case VMCB_EXITINTINFO & 0xfff: text_event(&t, (u32)v); break;
	}
	return t.len;
}
