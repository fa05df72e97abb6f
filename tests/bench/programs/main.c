/* SPDX-License-Identifier: MIT */
/* programs [NAME...]: runs the programs, all or these, each in a process of its own, and prints "begin NAME" and
 * "end NAME CHECKSUM". As the first process of a Linux guest it takes the names from the environment, that is from
 * "programs=NAME,NAME" on the kernel's command line, and switches off behind them. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "programs.h"

static const struct program {
	const char *name;
	uint64_t (*run)(void);
} programs[] = {
#define ROW(name) { #name, run_##name },
	PROGRAMS(ROW)
#undef ROW
};

enum { COUNT = sizeof programs / sizeof *programs };

/* A mark leaves the serial port before anything else happens: whoever reads it has the watch. */
static void flush(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

static void run(const struct program *p)
{
	uint64_t sum = 0;
	int status = 0, wires[2];
	pid_t child;

	printf("begin %s\n", p->name);
	flush();
	if (pipe(wires))
		exit(1);
	child = fork();
	if (child == 0) {
		sum = p->run();
		_exit(write(wires[1], &sum, sizeof sum) != sizeof sum);
	}
	close(wires[1]);
	if (child < 0 || read(wires[0], &sum, sizeof sum) != sizeof sum || wait(&status) != child || status)
		printf("end %s failed\n", p->name);
	else if (sum == SKIPPED)
		printf("end %s skip\n", p->name);
	else
		printf("end %s %016" PRIx64 "\n", p->name, sum);
	close(wires[0]);
	flush();
}

static void run_named(const char *name)
{
	for (int i = 0; i < COUNT; i++)
		if (!strcmp(name, programs[i].name)) {
			run(&programs[i]);
			return;
		}
	printf("end %s unknown\n", name);
}

int main(int argc, char **argv)
{
	char *list = getpid() == 1 ? getenv("programs") : NULL;

	if (getpid() == 1) {
		mount("dev", "/dev", "devtmpfs", 0, NULL);
		for (int fd = 0; fd < 3; fd++) {
			close(fd);
			open("/dev/console", O_RDWR);
		}
		argc = 1;
		puts(""); /* whatever the firmware left on this line */
	}
	if (list && *list)
		for (char *name = strtok(list, ","); name; name = strtok(NULL, ","))
			run_named(name);
	else if (argc > 1)
		for (int i = 1; i < argc; i++)
			run_named(argv[i]);
	else
		for (int i = 0; i < COUNT; i++)
			run(&programs[i]);
	puts("done");
	flush();
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
