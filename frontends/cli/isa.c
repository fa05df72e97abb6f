/* SPDX-License-Identifier: MIT */
/* vcpu isa: the instruction table, for people or as JSON. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char *or_dash(const char *s)
{
	return s && *s ? s : "-";
}

static void string(const char *key, const char *s, bool *first)
{
	printf("%s\"%s\": \"", *first ? "" : ", ", key);
	for (s = s ? s : ""; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
	*first = false;
}

static void print_json(void)
{
	struct vcpu_insn i;

	puts("[");
	for (unsigned row = 0; vcpu_isa_row(row, &i); row++) {
		bool first = true;

		fputs(row ? ",\n{" : "{", stdout);
		string("mnemonic", i.mnemonic, &first);
		string("encoding", i.encoding, &first);
		string("operands", i.operands, &first);
		string("since", i.since, &first);
		string("since_256", i.since_256, &first);
		string("check", i.check, &first);
		string("modes", i.modes, &first);
		string("flags_written", i.flags_written, &first);
		string("flags_read", i.flags_read, &first);
		string("flags_undefined", i.flags_undefined, &first);
		string("reads", i.reads, &first);
		string("writes", i.writes, &first);
		string("popek", i.popek, &first);
		string("vmexit", i.vmexit, &first);
		printf(", \"lock\": %s, \"rep\": %s}", i.lock ? "true" : "false", i.rep ? "true" : "false");
	}
	puts("\n]");
}

static void print_text(void)
{
	struct vcpu_insn i;

	printf("%-14s %-26s %-14s %-10s %-10s %-10s %-10s %-10s %-10s %-12s %s\n", "mnemonic", "encoding", "operands",
		"since", "check",
	       "modes", "written", "read", "undefined", "popek", "");
	for (unsigned row = 0; vcpu_isa_row(row, &i); row++)
		printf("%-14s %-26s %-14s %-10s %-10s %-10s %-10s %-10s %-10s %-12s%s%s%s%s\n", i.mnemonic, i.encoding,
		       or_dash(i.operands), or_dash(i.since), or_dash(i.check), or_dash(i.modes),
		       or_dash(i.flags_written),
		       or_dash(i.flags_read), or_dash(i.flags_undefined), or_dash(i.popek), i.lock ? " lock" : "", i.rep
		       ? " rep" : "",
		       *i.since_256 ? " 256:" : "", i.since_256);
}

static const struct { const char *name, *text; } monitors[VCPU_MONITORS] = {
	[VCPU_MONITOR_CPL3] = { "cpl3", "at CPL 3 (IOPL 0, CR4.TSD, no VME)" },
	[VCPU_MONITOR_UMIP] = { "umip", "at CPL 3 (IOPL 0, CR4.TSD, no VME, CR4.UMIP)" },
	[VCPU_MONITOR_RING1] = { "ring1", "at CPL 1 and 3 (IOPL 0, CR4.TSD)" },
	[VCPU_MONITOR_RING1_IOPL] = { "ring1-iopl", "at CPL 1 and 3 (IOPL 1, CR4.TSD)" },
	[VCPU_MONITOR_VTX] = { "vt-x", "in VMX non-root operation" },
	[VCPU_MONITOR_SVM] = { "svm", "in SVM guest mode" },
};

static int find_monitor(const char *name)
{
	for (int i = 0; i < VCPU_MONITORS; i++)
		if (!strcmp(monitors[i].name, name))
			return i;
	return -1;
}

/* The class of ROW, if it is sensitive and does not trap. */
static const char *witness(const char *cpu, enum vcpu_monitor monitor, bool user, unsigned row)
{
	const char *class = vcpu_isa_class(cpu, monitor, user, row);

	return class && (!strcmp(class, "control") || !strcmp(class, "behaviour")) ? class : NULL;
}

/* The rows that prevent the monitors of theorems 1 and 3. */
static bool print_theorem(const char *cpu, enum vcpu_monitor monitor)
{
	struct vcpu_insn i;

	if (!vcpu_isa_class(cpu, monitor, false, 0))
		return false;
	for (int user = 0; user < 2; user++) {
		unsigned n = 0;

		for (unsigned row = 0; vcpu_isa_row(row, &i); row++)
			n += witness(cpu, monitor, user, row) != NULL;
		printf("%s, %s: %u rows are %s and do not trap %s%s\n", user ? "\nTheorem 3" : "Theorem 1", cpu, n,
		       user ? "user-sensitive" : "sensitive", monitors[monitor].text, n ? ":" : ".");
		for (unsigned row = 0; vcpu_isa_row(row, &i); row++)
			if (witness(cpu, monitor, user, row))
				printf("%-10s %-20s %-10s %s\n", i.mnemonic, i.encoding, or_dash(i.operands),
				       witness(cpu, monitor, user, row));
	}
	return true;
}

int command_isa(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "theorem", required_argument, NULL, 't' },
		{ "monitor", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char name[] = "vcpu";
	const char *theorem = NULL;
	bool json = false;
	int c, monitor = VCPU_MONITOR_CPL3;

	argv[0] = name;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 't':
			theorem = optarg;
			break;
		case 'm':
			monitor = find_monitor(optarg);
			if (monitor < 0) {
				complain("isa: there is no monitor '%s': cpl3, umip, ring1, ring1-iopl, vt-x, svm",
					 optarg);
				return STATUS_USAGE;
			}
			break;
		case 'h':
			puts("Usage: vcpu isa [--json | --theorem CPU [--monitor HOW]]\n"
			     "Print the instruction table: one row for each form of an instruction.\n\n"
			     "      --json         print an array of JSON objects, with every column\n"
			     "      --theorem CPU  print the rows that prevent a virtual machine monitor on CPU (Popek\n"
			     "                     and Goldberg's theorem 1), and a hybrid one (theorem 3)\n"
			     "      --monitor HOW  run the guest of the monitor at CPL 3: cpl3; with CR4.UMIP: umip; its\n"
			     "                     kernel at CPL 1: ring1; with IOPL 1: ring1-iopl; in VMX non-root\n"
			     "                     operation: vt-x; in SVM guest mode: svm [cpl3]\n"
			     "      --help         print this text");
			return STATUS_OK;
		default:
			return STATUS_USAGE;
		}
	}
	if (optind < argc) {
		complain("isa: unexpected argument '%s' (vcpu isa --help lists the options)", argv[optind]);
		return STATUS_USAGE;
	}
	if (theorem) {
		if (!print_theorem(theorem, (enum vcpu_monitor)monitor)) {
			complain("isa: there is no processor '%s'", theorem);
			return STATUS_USAGE;
		}
	} else if (json) {
		print_json();
	} else {
		print_text();
	}
	return STATUS_OK;
}
