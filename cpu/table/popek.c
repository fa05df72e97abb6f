/* SPDX-License-Identifier: MIT */
/* Which instructions a virtual machine monitor would miss: classes from the columns .check, .port, .reads and .writes. */
#include "cpu/table/popek.h"

/* Changing one of these changes what the processor is, or whom it obeys. A segment register or FS.base is not among them: a program may load what
 * its descriptor tables grant it. Accessed bits are not either, nor is the random number generator. */
static const u32 controlled = SR_CR0 | SR_CR2 | SR_CR3 | SR_CR4 | SR_CR8 | SR_DR | SR_GDTR | SR_IDTR | SR_LDTR | SR_TR |
	SR_MSR | SR_IF | SR_IOPL |
	SR_CPL | SR_IO | SR_TSC | SR_XCR0 | SR_TLB | SR_CACHE | SR_ACTIVITY | SR_TASK | SR_AC | SR_APIC | SR_VMX;

/* Seeing one of these tells a guest what the monitor has put there in place of its own. Selectors are: their low bits are the CPL. What CPUID says
 * of the model, random numbers, and FS.base, which the guest sets itself, are not. */
static const u32 observed = controlled | SR_SEG | SR_DESC;

#define CLOSED (CHK_CPL0 | CHK_RING0 | CHK_IOPL | CHK_TSD | CHK_PCE | CHK_SMM | CHK_SCE | CHK_SEP | CHK_VMX | \
		CHK_SVM | CHK_GUEST)
const struct pg_policy pg_ia32 = {
	.name = "at CPL 3 with IOPL 0, CR4.TSD, no VME", .traps = CLOSED, .user_traps = CLOSED, .ports = true,
};
const struct pg_policy pg_umip = {
	.name = "at CPL 3 with IOPL 0, CR4.TSD, no VME, CR4.UMIP", .traps = CLOSED | CHK_UMIP,
	.user_traps = CLOSED | CHK_UMIP, .ports = true,
};
/* The checks make no difference between CPL 1 and CPL 3 but for IOPL. */
const struct pg_policy pg_ring1 = {
	.name = "at CPL 1 and 3 with IOPL 0, CR4.TSD", .traps = CLOSED, .user_traps = CLOSED, .ports = true,
};
const struct pg_policy pg_ring1_iopl = {
	.name = "at CPL 1 and 3 with IOPL 1, CR4.TSD", .traps = CLOSED & ~(u32)CHK_IOPL, .user_traps = CLOSED,
};

/* What VMCS and VMCB hold for the guest, and what a monitor loads for it (XCR0, MSRs, CR2). Task switches have an exit
 * of their own, whichever instruction makes them. */
#define GUEST_STATE (SR_CR0 | SR_CR2 | SR_CR3 | SR_CR4 | SR_GDTR | SR_IDTR | SR_LDTR | SR_TR | SR_MSR | SR_IF | \
	SR_IOPL | SR_CPL | SR_SEG | SR_DESC | SR_AC | SR_XCR0 | SR_TASK)
/* The instructions of the other one are #UD: without EFER.SVME, and outside of VMX operation. */
const struct pg_policy pg_vtx = { .name = "in VMX non-root operation", .own = GUEST_STATE, .exits = VTX_EXITS,
				  .traps = CHK_SVM, .user_traps = CHK_SVM };
const struct pg_policy pg_svm = { .name = "in SVM guest mode", .own = GUEST_STATE, .exits = SVM_EXITS,
				  .traps = CHK_VMX | CHK_GUEST, .user_traps = CHK_VMX | CHK_GUEST };

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

static bool exits(const struct insn *row, enum pg_exits kind)
{
	return kind == VTX_EXITS ? row->vmexit : kind == SVM_EXITS && row->intercept;
}

/* What the guest's user mode shares with the processor's is no matter for theorem 3. */
static enum pg_class derive(const struct insn *row, const struct model *model, const struct pg_policy *policy,
			    bool user)
{
	u32 theirs = missing(model) | policy->own, writes = row->writes & controlled & ~theirs,
		reads = row->reads & observed & ~theirs;

	if (!writes && !reads)
		return INNOCUOUS;
	if (row->check & (user ? policy->user_traps : policy->traps) || exits(row, policy->exits) ||
	    (row->port && (user ? policy->exits == NO_EXITS : policy->ports)))
		return PRIVILEGED;
	if (user) {
		writes &= ~(row->inner | SR_AC);
		reads &= ~(u32)(SR_CPL | SR_SEG | SR_AC);
	}
	return writes ? CONTROL : reads ? BEHAVIOUR : INNOCUOUS;
}

enum pg_class pg_derive(const struct insn *row, const struct model *model, const struct pg_policy *policy)
{
	return derive(row, model, policy, false);
}

enum pg_class pg_derive_user(const struct insn *row, const struct model *model, const struct pg_policy *policy)
{
	return derive(row, model, policy, true);
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
