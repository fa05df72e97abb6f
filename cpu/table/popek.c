/* SPDX-License-Identifier: MIT */
/* Which instructions a virtual machine monitor would miss: classes from the columns .check, .port, .reads and .writes. */
#include "cpu/table/popek.h"

/* Changing one of these changes what the processor is, or whom it obeys. A segment register or FS.base is not among them: a program may load what
 * its descriptor tables grant it. Accessed bits are not either, nor is the random number generator. */
static const u32 controlled = SR_CR0 | SR_CR2 | SR_CR3 | SR_CR4 | SR_CR8 | SR_DR | SR_GDTR | SR_IDTR | SR_LDTR | SR_TR |
	SR_MSR | SR_IF | SR_IOPL |
	SR_CPL | SR_IO | SR_TSC | SR_XCR0 | SR_TLB | SR_CACHE | SR_ACTIVITY | SR_TASK | SR_AC | SR_APIC;

/* Seeing one of these tells a guest what the monitor has put there in place of its own. Selectors are: their low bits are the CPL. What CPUID says
 * of the model, random numbers, and FS.base, which the guest sets itself, are not. */
static const u32 observed = controlled | SR_SEG | SR_DESC;

#define CLOSED (CHK_CPL0 | CHK_RING0 | CHK_IOPL | CHK_TSD | CHK_PCE | CHK_SMM | CHK_SCE | CHK_SEP)
const struct pg_policy pg_ia32 = { "at CPL 3 with IOPL 0, CR4.TSD, no VME", CLOSED, true, 0, false };
const struct pg_policy pg_umip = { "at CPL 3 with IOPL 0, CR4.TSD, no VME, CR4.UMIP", CLOSED | CHK_UMIP, true, 0,
	false };
/* Task switches have a VM exit of their own, whichever instruction makes them. */
const struct pg_policy pg_vtx = { "in VMX non-root operation", 0, false,
	SR_CR0 | SR_CR2 | SR_CR3 | SR_CR4 | SR_GDTR | SR_IDTR | SR_LDTR | SR_TR | SR_MSR | SR_IF | SR_IOPL | SR_CPL |
	SR_SEG | SR_DESC | SR_AC | SR_XCR0 | SR_TASK,
	true };

/* Resources that MODEL has not got. The others are as old as the instructions that name them. */
static u32 missing(const struct model *model)
{
	u32 none = 0;

	if (!model)
		return 0;
	if (!has(model, F_XSAVE))
		none |= SR_XCR0;
	if (!has(model, F_P6) || !has(model, F_APIC)) /* before, a pin decided (APICEN) */
		none |= SR_APIC;
	return none;
}

enum pg_class pg_derive(const struct insn *row, const struct model *model, const struct pg_policy *policy)
{
	u32 theirs = missing(model) | policy->own, writes = row->writes & controlled & ~theirs,
		reads = row->reads & observed & ~theirs;

	if (!writes && !reads)
		return INNOCUOUS;
	if (row->check & policy->traps || (policy->ports && row->port) || (policy->exits && row->vmexit))
		return PRIVILEGED;
	return writes ? CONTROL : BEHAVIOUR;
}

unsigned pg_theorem(const struct model *model, const struct pg_policy *policy, const struct insn **out, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < insn_count; i++) {
		enum pg_class class = pg_derive(&insn_table[i], model, policy);

		if (!insn_in(&insn_table[i], model) || class == INNOCUOUS || class == PRIVILEGED)
			continue;
		if (n < max)
			out[n] = &insn_table[i];
		n++;
	}
	return n;
}

const char *pg_witness(const struct insn *row)
{
	static const struct { const char *ours, *theirs; } same[] = {
		{ "iret", "popf" }, { "int3", "int" }, { "into", "int" }, { "int1", "int" },
		{ "les", "mov" }, { "lds", "mov" }, { "lss", "mov" }, { "lfs", "mov" }, { "lgs", "mov" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(same); i++)
		if (!strcmp(row->mnemonic, same[i].ours))
			return same[i].theirs;
	return row->mnemonic;
}
