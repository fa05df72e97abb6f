/* SPDX-License-Identifier: MIT */
/* vcpu: the commands. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "standard.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{ "run", command_run, "boot a kernel or an image" },
	{ "demo", command_demo, "boot the guest that is built into this program" },
	{ "replay", command_replay, "repeat a recorded run" },
	{ "explore", command_explore, "run a guest under many schedules until it fails" },
	{ "isa", command_isa, "print the instruction table" },
};

static void help(FILE *f)
{
	fprintf(f, "Usage: vcpu COMMAND [OPTION]...\nRun an x86 PC, exactly and deterministically.\n\nCommands:\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].text);
	fprintf(f, "\n  --help      print this text; vcpu COMMAND --help lists the options\n"
		"  --version   print the version\n"
		"\nvcpu run --kernel vmlinuz --initrd initrd.img --append console=ttyS0 boots Linux in this terminal.\n"
		"vcpu-dbg debugs recordings and machines, vcpuctl controls runs, vcpu-sdl runs a PC in a window.\n");
}

static int command(int argc, char **argv)
{
	if (argc < 2) {
		complain("vcpu needs a command: run, demo, replay, explore or isa (vcpu --help describes them)");
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return STATUS_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("vcpu (libvcpu) %s\n", vcpu_version());
		return STATUS_OK;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	complain("there is no command '%s': run, demo, replay, explore or isa (vcpu --help describes them)", argv[1]);
	return STATUS_USAGE;
}

int main(int argc, char **argv)
{
	standard_open();
	return complain_lost(command(argc, argv));
}
