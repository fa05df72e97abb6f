/* SPDX-License-Identifier: MIT */
/* The instruction table in words. */
#include <stdio.h>
#include "cpu/cpu.h"
#include "cpu/table/isa.h"
#include "cpu/table/popek.h"
#include "lib/vcpu.h"

struct word { u32 bit; const char *text; };

static const struct word checks[] = {
	{ CHK_PROT, "PROT" }, { CHK_NO64, "NO64" }, { CHK_UMIP, "UMIP" }, { CHK_CPL0, "CPL0" }, { CHK_FPU, "FPU" },
		{ CHK_WAIT, "WAIT" },
	{ CHK_MMX, "MMX" }, { CHK_SSE, "SSE" }, { CHK_AVX, "AVX" }, { CHK_XSAVE, "XSAVE" },
		{ CHK_FSGSBASE, "FSGSBASE" }, { CHK_IOPL, "IOPL" },
	{ CHK_V86IOPL, "V86IOPL" }, { CHK_V86INT, "V86INT" }, { CHK_TSD, "TSD" }, { CHK_PCE, "PCE" }, { CHK_MF, "MF" },
	{ CHK_RING0, "RING0" }, { CHK_SMM, "SMM" }, { CHK_SCE, "SCE" }, { CHK_SEP, "SEP" }, { CHK_LEGACY, "LEGACY" },
		{ CHK_OSXSAVE, "OSXSAVE" }, { CHK_PKE, "PKE" }, { CHK_VMX, "VMX" }, { CHK_SVM, "SVM" },
		{ CHK_AVX512, "AVX512" }, { CHK_GUEST, "GUEST" },
	{ CHK_FRED, "FRED" }, { CHK_NO_FRED, "NO_FRED" },
};

static const struct word port[] = { { 1, "IO" } };

static const struct word resources[] = {
	{ SR_CR0, "CR0" }, { SR_CR2, "CR2" }, { SR_CR3, "CR3" }, { SR_CR4, "CR4" }, { SR_CR8, "CR8" }, { SR_DR, "DR" },
		{ SR_GDTR, "GDTR" },
	{ SR_IDTR, "IDTR" }, { SR_LDTR, "LDTR" }, { SR_TR, "TR" }, { SR_MSR, "MSR" }, { SR_IF, "IF" },
		{ SR_IOPL, "IOPL" }, { SR_CPL, "CPL" },
	{ SR_SEG, "SEG" }, { SR_IO, "IO" }, { SR_TSC, "TSC" }, { SR_XCR0, "XCR0" }, { SR_TLB, "TLB" },
		{ SR_CACHE, "CACHE" },
	{ SR_ACTIVITY, "ACTIVITY" }, { SR_DESC, "DESC" }, { SR_FSGSBASE, "FSGSBASE" }, { SR_TASK, "TASK" },
		{ SR_RAND, "RAND" },
	{ SR_CPUID, "CPUID" }, { SR_AC, "AC" }, { SR_APIC, "APIC" }, { SR_VMX, "VMX" },
};

static const struct word letters[] = { { FL_O, "O" }, { FL_S, "S" }, { FL_Z, "Z" }, { FL_A, "A" }, { FL_P, "P" },
	{ FL_C, "C" } };

static const struct word flag_words[] = {
	{ FL_D, "D" }, { FL_I, "I" }, { FL_T, "T" }, { FL_IOPL, "IOPL" }, { FL_NT, "NT" }, { FL_RF, "RF" },
		{ FL_VM, "VM" }, { FL_AC, "AC" },
	{ FL_VIF, "VIF" }, { FL_VIP, "VIP" }, { FL_ID, "ID" },
};

/* Append the words whose bits are in SET, with GAP between them, to what OUT (of ROOM bytes) holds. */
static void spell(char *out, size_t room, u32 set, const struct word *words, size_t n, const char *gap)
{
	size_t len = strlen(out);

	for (size_t i = 0; i < n; i++) {
		if (!(set & words[i].bit))
			continue;
		len += (size_t)snprintf(out + len, room - len, "%s%s", len ? gap : "", words[i].text);
		if (len >= room)
			return;
	}
}

#define SPELL(out, set, words, gap) spell(out, sizeof (out), set, words, ARRAY_LEN(words), gap)

static const char *const classes[] = {
	[INNOCUOUS] = "innocuous", [PRIVILEGED] = "privileged", [CONTROL] = "control", [BEHAVIOUR] = "behaviour",
};

bool vcpu_isa_row(unsigned row, struct vcpu_insn *out)
{
	static const char *const features[F_COUNT] = {
#define X(id, name, leaf, sub, reg, bit) [F_##id] = name,
		FEATURES(X)
#undef X
	};
	static const char *const exits[] = {
#define X(name, reason) [reason] = #name,
		VMEXITS(X)
#undef X
	};
	const struct insn *insn;

	if (row >= insn_count || !out)
		return false;
	insn = &insn_table[row];
	*out = (struct vcpu_insn){
		.mnemonic = insn->mnemonic,
		.encoding = insn->encoding,
		.operands = insn->operands,
		.since = insn->since < F_COUNT ? features[insn->since] : "",
		.modes = insn->modes == NO64 ? "no64" : insn->modes == ONLY64 ? "only64" : "",
		.popek = insn->pg < ARRAY_LEN(classes) ? classes[insn->pg] : "",
		.vmexit = insn->vmexit ? exits[insn->vmexit] : "",
		.lock = insn->lock,
		.rep = insn->rep,
		.since_256 = insn->wide ? features[insn->wide] : "",
	};
	SPELL(out->check, insn->check, checks, " ");
	SPELL(out->check, insn->port, port, " ");
	SPELL(out->flags_written, insn->flags, letters, "");
	SPELL(out->flags_written, insn->flags, flag_words, " ");
	SPELL(out->flags_read, insn->uses, letters, "");
	SPELL(out->flags_read, insn->uses, flag_words, " ");
	SPELL(out->flags_undefined, insn->undef, letters, "");
	SPELL(out->flags_undefined, insn->undef, flag_words, " ");
	SPELL(out->reads, insn->reads, resources, " ");
	SPELL(out->writes, insn->writes, resources, " ");
	return true;
}

/* NULL: there is no such monitor. */
static const struct pg_policy *policy_of(enum vcpu_monitor monitor)
{
	static const struct pg_policy *const all[VCPU_MONITORS] = {
		[VCPU_MONITOR_CPL3] = &pg_ia32,   [VCPU_MONITOR_UMIP] = &pg_umip,
		[VCPU_MONITOR_VTX] = &pg_vtx,     [VCPU_MONITOR_SVM] = &pg_svm,
		[VCPU_MONITOR_RING1] = &pg_ring1, [VCPU_MONITOR_RING1_IOPL] = &pg_ring1_iopl,
	};

	return (unsigned)monitor < VCPU_MONITORS ? all[monitor] : NULL;
}

int vcpu_isa_theorem(const char *cpu, enum vcpu_monitor monitor, unsigned *rows, unsigned max)
{
	const struct pg_policy *policy = policy_of(monitor);
	const struct insn *found[256];
	struct model model;
	unsigned n;

	if (!policy || (max && !rows) || !model_parse(&model, cpu, NULL))
		return -1;
	n = pg_theorem(&model, policy, found, ARRAY_LEN(found));
	for (unsigned i = 0; i < n && i < max && i < ARRAY_LEN(found); i++)
		rows[i] = (unsigned)(found[i] - insn_table);
	return (int)n;
}

const char *vcpu_isa_class(const char *cpu, enum vcpu_monitor monitor, bool user, unsigned row)
{
	const struct pg_policy *policy = policy_of(monitor);
	struct model model;

	if (!policy || row >= insn_count || !model_parse(&model, cpu, NULL))
		return NULL;
	if (!insn_in(&insn_table[row], &model))
		return "";
	return classes[(user ? pg_derive_user : pg_derive)(&insn_table[row], &model, policy)];
}
