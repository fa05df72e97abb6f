/* SPDX-License-Identifier: MIT */
/* lockstep SECONDS -- NAME COMMAND ARGUMENT... [-- NAME COMMAND ARGUMENT...]...: run emulators in turns of 50 ms; the
 * others are stopped. Their guests print "begin PROGRAM", "end PROGRAM RESULT" and at last "done". None goes on behind
 * a "begin" before all are there: so all are at the same program, and whatever else the host does is shared by them.
 *
 * For each program and emulator it prints "NAME PROGRAM SECONDS RESULT", in seconds of the emulator's processor time,
 * and for the way to the first program "NAME boot SECONDS -". Exit status: 0 if all were done, 1 if one ended before,
 * 124 if it took more than SECONDS. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_MS = 50, MOST = 8 };

static struct emulator {
	const char *name;
	pid_t pid;
	int fd;
	clockid_t clock;
	double begin; /* processor time at the last "begin" */
	bool started, waits, done;
	char buffer[65536]; /* what it has said, from the first line that was not looked at */
	size_t size;
} emulators[MOST];
static int count;

static double read_clock(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start(struct emulator *e, char **argv)
{
	int wires[2];

	e->name = argv[0];
	if (pipe(wires) || (e->pid = fork()) < 0)
		exit(2);
	if (e->pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(wires[1], STDOUT_FILENO);
		close(wires[0]);
		close(wires[1]);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	setpgid(e->pid, e->pid);
	close(wires[1]);
	e->fd = wires[0];
	clock_getcpuclockid(e->pid, &e->clock);
	kill(-e->pid, SIGSTOP);
}

static void look_at(struct emulator *e, const char *line)
{
	double now = read_clock(e->clock);
	char program[32], result[32];

	if (sscanf(line, "begin %31s", program) == 1) {
		if (!e->started)
			printf("%s boot %.3f -\n", e->name, now);
		e->started = e->waits = true;
		e->begin = now;
	} else if (sscanf(line, "end %31s %31s", program, result) == 2) {
		printf("%s %s %.3f %s\n", e->name, program, now - e->begin, result);
		fflush(stdout);
	} else if (!strncmp(line, "done", 4)) {
		e->done = true;
	}
}

/* Takes lines until there is no whole one or it has to wait. */
static void take_lines(struct emulator *e)
{
	char *end;

	while (!e->waits && !e->done && (end = memchr(e->buffer, '\n', e->size))) {
		size_t len = (size_t)(end - e->buffer) + 1;

		*end = 0;
		look_at(e, e->buffer);
		e->size -= len;
		memmove(e->buffer, end + 1, e->size);
	}
	if (e->size == sizeof e->buffer)
		e->size = 0;
}

/* Its turn; false if it has ended. */
static bool run(struct emulator *e)
{
	double end = read_clock(CLOCK_MONOTONIC) + SLICE_MS / 1e3, left;
	bool lives = true;

	take_lines(e);
	kill(-e->pid, SIGCONT);
	while (lives && !e->waits && !e->done && (left = end - read_clock(CLOCK_MONOTONIC)) > 0) {
		struct pollfd fd = { .fd = e->fd, .events = POLLIN };
		ssize_t n;

		if (poll(&fd, 1, (int)(left * 1000) + 1) == 0)
			break;
		n = read(e->fd, e->buffer + e->size, sizeof e->buffer - e->size);
		lives = n > 0;
		e->size += lives ? (size_t)n : 0;
		take_lines(e);
	}
	kill(-e->pid, e->done ? SIGKILL : SIGSTOP);
	return lives;
}

static int run_all(double limit)
{
	for (;;) {
		int waiting = 0, done = 0;

		for (int i = 0; i < count; i++) {
			if (!emulators[i].waits && !emulators[i].done && !run(&emulators[i])) {
				fprintf(stderr, "bench: %s ended\n", emulators[i].name);
				return 1;
			}
			done += emulators[i].done;
			waiting += emulators[i].waits;
		}
		if (done == count)
			return 0;
		if (done + waiting == count)
			for (int i = 0; i < count; i++)
				emulators[i].waits = false;
		if (read_clock(CLOCK_MONOTONIC) > limit)
			return 124;
	}
}

int main(int argc, char **argv)
{
	double limit = read_clock(CLOCK_MONOTONIC) + (argc > 1 ? atof(argv[1]) : 0);
	int status;

	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			argv[i] = NULL;
	for (int i = 2; i + 2 < argc && count < MOST; i++)
		if (!argv[i])
			start(&emulators[count++], argv + i + 1);
	status = count ? run_all(limit) : 2;
	for (int i = 0; i < count; i++) {
		kill(-emulators[i].pid, SIGKILL);
		waitpid(emulators[i].pid, NULL, 0);
	}
	return status;
}
