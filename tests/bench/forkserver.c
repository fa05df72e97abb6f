/* SPDX-License-Identifier: MIT */
/* What AFL++ does to its target, without its mutations: it starts PROGRAM as a fork server with a map, and runs cases.
 *
 *     forkserver TIMES CASE... -- PROGRAM [ARGUMENT...]     PROGRAM's last argument is the file that it reads cases from
 *
 * For each case it prints how the case ended and how many bytes of the map are not 0; then the cases a second, in
 * processor time of PROGRAM, if all are run TIMES times. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMANDS = 198, ANSWERS = 199, MAP = 1 << 16, CASES = 64, CASE_MAX = 1 << 16 };

static unsigned char *map;
static int commands, answers;
static struct { char bytes[CASE_MAX]; size_t size; } cases[CASES];

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static int word(void)
{
	int w;

	if (read(answers, &w, sizeof w) != sizeof w)
		fail("forkserver: the program has ended");
	return w;
}

/* Run what is in the file: the status of the case's process. */
static int run(const char *path, unsigned n)
{
	FILE *file = fopen(path, "wb");
	int pid, zero = 0;

	if (!file || fwrite(cases[n].bytes, 1, cases[n].size, file) != cases[n].size || fclose(file))
		fail(path);
	memset(map, 0, MAP);
	if (write(commands, &zero, sizeof zero) != sizeof zero)
		fail("forkserver: the program has ended");
	pid = word();
	(void)pid;
	return word();
}

static pid_t start(char **argv, int shm)
{
	int to[2], from[2];
	char id[16];
	pid_t pid;

	if (pipe(to) || pipe(from))
		fail("forkserver: pipe");
	snprintf(id, sizeof id, "%d", shm);
	setenv("__AFL_SHM_ID", id, 1);
	pid = fork();
	if (!pid) {
		dup2(to[0], COMMANDS);
		dup2(from[1], ANSWERS);
		close(to[1]);
		close(from[0]);
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	close(to[0]);
	close(from[1]);
	commands = to[1];
	answers = from[0];
	return pid;
}

static double now(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		fail("forkserver: clock");
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned times, count = 0;
	int i, shm = shmget(IPC_PRIVATE, MAP, IPC_CREAT | 0600);
	clockid_t clock;
	double from;
	pid_t pid;

	for (i = 2; i < argc && strcmp(argv[i], "--") && count < CASES; i++, count++) {
		FILE *file = fopen(argv[i], "rb");

		if (!file)
			fail(argv[i]);
		cases[count].size = fread(cases[count].bytes, 1, CASE_MAX, file);
		fclose(file);
	}
	if (!count || i + 2 >= argc)
		return fprintf(stderr, "usage: forkserver TIMES CASE... -- PROGRAM [ARGUMENT...]\n"), 2;
	times = (unsigned)atoi(argv[1]);
	map = shmat(shm, NULL, 0);
	if (shm < 0 || map == (void *)-1)
		fail("forkserver: shared memory");
	pid = start(argv + i + 1, shm);
	word();
	shmctl(shm, IPC_RMID, NULL);
	for (unsigned n = 0; n < count; n++) {
		int status = run(argv[argc - 1], n);
		unsigned edges = 0;

		for (unsigned k = 0; k < MAP; k++)
			edges += map[k] != 0;
		printf("%s: %s, %u edges\n", argv[2 + n], WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ended", edges);
	}
	if (times && !clock_getcpuclockid(pid, &clock)) {
		from = now(clock);
		for (unsigned k = 0; k < times; k++)
			for (unsigned n = 0; n < count; n++)
				run(argv[argc - 1], n);
		printf("%.0f cases a second\n", times * count / (now(clock) - from));
	}
	close(commands);
	waitpid(pid, NULL, 0);
	return 0;
}
