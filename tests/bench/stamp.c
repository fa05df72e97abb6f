/* SPDX-License-Identifier: MIT */
/* stamp SECONDS LAST COMMAND ARGUMENT...: run COMMAND, and print each line of its standard output behind the seconds
 * since the start. With BENCH_CLOCK=cpu in the environment they are seconds of COMMAND's processor time, for hosts that
 * have other things to do. It is killed when a line has LAST in it ("" never), or when SECONDS have passed. Exit
 * status: 0 if LAST was seen, else COMMAND's own, 124 for a timeout. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double read_clock(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int main(int argc, char **argv)
{
	static char line[4096];
	size_t len = 0;
	int wires[2], status, result = -1;
	const char *which = getenv("BENCH_CLOCK");
	bool cpu = which && !strcmp(which, "cpu");
	clockid_t busy = CLOCK_MONOTONIC;
	double start, limit;
	pid_t child;

	if (argc < 4 || pipe(wires))
		return 2;
	limit = atof(argv[1]);
	start = now();
	child = fork();
	if (child < 0)
		return 2;
	if (child == 0) {
		setpgid(0, 0);
		dup2(wires[1], STDOUT_FILENO);
		close(wires[0]);
		close(wires[1]);
		execvp(argv[3], argv + 3);
		perror(argv[3]);
		_exit(127);
	}
	close(wires[1]);
	if (cpu)
		clock_getcpuclockid(child, &busy);
	while (result < 0) {
		struct pollfd fd = { .fd = wires[0], .events = POLLIN };
		double left = start + limit - now();
		char buffer[4096];
		ssize_t n;

		if (left <= 0 || poll(&fd, 1, (int)(left * 1000) + 1) == 0) {
			result = 124;
			break;
		}
		n = read(wires[0], buffer, sizeof buffer);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n && result < 0; i++) {
			if (buffer[i] != '\n') {
				if (buffer[i] != '\r' && len < sizeof line - 1)
					line[len++] = buffer[i];
				continue;
			}
			line[len] = 0;
			len = 0;
			printf("%.6f %s\n", cpu ? read_clock(busy) : now() - start, line);
			if (*argv[2] && strstr(line, argv[2]))
				result = 0;
		}
		fflush(stdout);
	}
	if (result >= 0)
		kill(-child, SIGKILL);
	waitpid(child, &status, 0);
	if (result >= 0)
		return result;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
