/* SPDX-License-Identifier: MIT */
/* x86 CPU MONITOR: a table for `check', made of the library's own instruction table. MONITOR is how the guest runs:
 * cpl3, umip, ring1, ring1-iopl, vt-x or svm. Rows without a system resource are left out. */
#include <stdio.h>
#include <string.h>
#include "vcpu.h"

/* Selectors and descriptors show what the monitor has put there; to load them is every program's right. What CPUID says
 * of the model, random numbers and the bases that a program sets are no secret of the monitor's. */
static const char header[] =
	"mode CPL\n"
	"controls CR0 CR2 CR3 CR4 CR8 DR GDTR IDTR LDTR TR MSR IF IOPL IO XCR0 TLB CACHE ACTIVITY TASK AC APIC TSC VMX\n"
	"shows SEG DESC\n"
	"own CPUID RAND FSGSBASE\n";

/* What an instruction of CLASS does, of all that it may touch. */
static void print_effects(const char *class, const struct vcpu_insn *i)
{
	bool innocuous = !strcmp(class, "innocuous");

	if (!innocuous && strcmp(class, "behaviour") && *i->writes)
		printf(" changes %s", i->writes);
	if (!innocuous && *i->reads)
		printf(" depends %s", i->reads);
	if (innocuous)
		printf(" -");
}

int main(int argc, char **argv)
{
	static const char *const names[VCPU_MONITORS] = {
		[VCPU_MONITOR_CPL3] = "cpl3",   [VCPU_MONITOR_UMIP] = "umip", [VCPU_MONITOR_RING1] = "ring1",
		[VCPU_MONITOR_RING1_IOPL] = "ring1-iopl", [VCPU_MONITOR_VTX] = "vt-x", [VCPU_MONITOR_SVM] = "svm",
	};
	struct vcpu_insn i;
	int monitor = 0;

	while (argc == 3 && monitor < VCPU_MONITORS && strcmp(names[monitor], argv[2]))
		monitor++;
	if (argc != 3 || monitor == VCPU_MONITORS || !vcpu_isa_class(argv[1], (enum vcpu_monitor)monitor, false, 0)) {
		fputs("Usage: x86 CPU cpl3|umip|ring1|ring1-iopl|vt-x|svm\n", stderr);
		return 2;
	}
	printf("machine x86: %s, %s\n%s", argv[1], argv[2], header);
	for (unsigned row = 0; vcpu_isa_row(row, &i); row++) {
		const char *class = vcpu_isa_class(argv[1], (enum vcpu_monitor)monitor, false, row),
			   *user = vcpu_isa_class(argv[1], (enum vcpu_monitor)monitor, true, row);

		if (!class || !*class || !user || !strcmp(class, "innocuous"))
			continue;
		printf("%s %s%s%s | %s |", i.mnemonic, i.encoding, *i.operands ? "  " : "", i.operands,
		       strcmp(class, "privileged") ? "runs" : "traps");
		print_effects(class, &i);
		printf(" |");
		print_effects(strcmp(user, "privileged") ? user : "innocuous", &i);
		putchar('\n');
	}
	return fflush(stdout) != 0;
}
