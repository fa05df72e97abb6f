/* SPDX-License-Identifier: MIT */
/* The terminal: raw while the machine runs, its own again in every way that the program can end. `vcpu run' gets a
 * pseudo-terminal, and the guest is examples/guests/echo.s. Called by tests/summary in the build folder; ends with "N
 * passed, N failed". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX (1u << 20) /* bytes: the disk of who writes more is full */

static int passed, failed;

static void check(bool ok, const char *what)
{
	if (ok) {
		passed++;
	} else {
		failed++;
		printf("FAILED: %s\n", what);
	}
}

/* A session: the two ends of the pseudo-terminal, the process behind it, and all that it has written. */
struct session {
	int master, slave;
	pid_t pid;
	struct termios before;
	size_t len;
	char text[65536];
};

static const char *program;

static bool begin_with(struct session *s, char *const arguments[])
{
	memset(s, 0, sizeof *s);
	s->master = posix_openpt(O_RDWR | O_NOCTTY);
	if (s->master < 0 || grantpt(s->master) || unlockpt(s->master))
		return false;
	s->slave = open(ptsname(s->master), O_RDWR | O_NOCTTY);
	if (s->slave < 0 || tcgetattr(s->slave, &s->before))
		return false;
	s->pid = fork();
	if (s->pid == 0) {
		setsid();
		ioctl(s->slave, TIOCSCTTY, 0);
		dup2(s->slave, 0);
		dup2(s->slave, 1);
		dup2(s->slave, 2);
		close(s->master);
		close(s->slave);
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ FILE_MAX, FILE_MAX });
		execv(program, arguments);
		_exit(127);
	}
	return s->pid > 0;
}

static bool begin(struct session *s)
{
	static char *const arguments[] = { "vcpu", "run", "--kernel", "echo_guest.bin", "--memory", "1M", NULL };

	return begin_with(s, arguments);
}

/* Not everywhere: a chroot may have no /dev/pts. */
static bool can_have_terminals(void)
{
	int slave, fd = posix_openpt(O_RDWR | O_NOCTTY);
	const char *name = fd < 0 || grantpt(fd) || unlockpt(fd) ? NULL : ptsname(fd);

	slave = name ? open(name, O_RDWR | O_NOCTTY) : -1;
	if (slave >= 0)
		close(slave);
	if (fd >= 0)
		close(fd);
	return slave >= 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Read until WHAT has been written, for at most ten seconds. */
static bool await(struct session *s, const char *what)
{
	double end = now() + 10;

	while (now() < end) {
		struct pollfd fd = { .fd = s->master, .events = POLLIN };
		ssize_t n;

		s->text[s->len] = 0;
		if (strstr(s->text, what))
			return true;
		if (poll(&fd, 1, 100) <= 0)
			continue;
		n = read(s->master, s->text + s->len, sizeof s->text - 1 - s->len);
		if (n > 0)
			s->len += (size_t)n;
	}
	return false;
}

static void type(struct session *s, const char *keys, size_t len)
{
	s->len = 0;
	if (write(s->master, keys, len) != (ssize_t)len)
		check(false, "typing");
}

static bool restored(const struct session *s)
{
	struct termios t;

	return !tcgetattr(s->slave, &t) && t.c_lflag == s->before.c_lflag && t.c_iflag == s->before.c_iflag &&
	       t.c_oflag == s->before.c_oflag && t.c_cflag == s->before.c_cflag;
}

/* Wait for the end, for at most ten seconds; the wait status, or -1. */
static int end(struct session *s)
{
	double limit = now() + 10;
	int status = -1;

	while (waitpid(s->pid, &status, WNOHANG) == 0) {
		struct pollfd fd = { .fd = s->master, .events = POLLIN };

		if (now() > limit) {
			kill(s->pid, SIGKILL);
			waitpid(s->pid, &status, 0);
			status = -1;
			break;
		}
		if (poll(&fd, 1, 20) > 0 && read(s->master, s->text, sizeof s->text - 1) < 0)
			break;
	}
	return status;
}

static void finish(struct session *s)
{
	close(s->master);
	close(s->slave);
}

static void keys(void)
{
	struct session s;
	struct termios t;
	int status;

	check(begin(&s), "a pseudo-terminal");
	check(await(&s, "echo: q ends it"), "the guest's banner");
	check(!tcgetattr(s.slave, &t) && !(t.c_lflag & (ICANON | ECHO | ISIG)),
	      "the terminal is raw while the machine runs");
	type(&s, "abc", 3);
	check(await(&s, "abc"), "keys reach the guest");
	type(&s, "\x03x", 2);
	check(await(&s, "\x03x"), "Ctrl-C reaches the guest");
	type(&s, "\x01\x01y", 3);
	check(await(&s, "\x01y"), "Ctrl-A Ctrl-A is a Ctrl-A");
	type(&s, "\x01h", 2);
	check(await(&s, "Ctrl-A X"), "Ctrl-A H helps");
	type(&s, "q", 1);
	status = end(&s);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 43, "the guest's own exit status");
	check(restored(&s), "restored after the guest's exit");
	finish(&s);
}

static void quit(void)
{
	struct session s;
	int status;

	check(begin(&s) && await(&s, "echo:"), "the guest's banner");
	type(&s, "\x01x", 2);
	status = end(&s);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 10, "Ctrl-A X: status 10");
	check(restored(&s), "restored after Ctrl-A X");
	finish(&s);
}

static void killed(int signal, const char *what)
{
	struct session s;
	int status;

	check(begin(&s) && await(&s, "echo:"), "the guest's banner");
	if (s.pid <= 0)
		return;
	kill(s.pid, signal);
	status = end(&s);
	/* A sanitizer may turn a deadly signal into an exit of its own. */
	check((WIFSIGNALED(status) && WTERMSIG(status) == signal) || (signal == SIGSEGV && WIFEXITED(status)), what);
	check(restored(&s), what);
	finish(&s);
}

static bool boot_sector(const char *name, const unsigned char *code, size_t len)
{
	unsigned char sector[512] = { [510] = 0x55, [511] = 0xaa };
	FILE *file = fopen(name, "wb");
	bool ok = file;

	memcpy(sector, code, len);
	ok = ok && fwrite(sector, 1, sizeof sector, file) == sizeof sector;
	return file && !fclose(file) && ok;
}

/* A guest that says more than anybody reads. It ends all the same. */
static void unread(int signal, const char *what)
{
	/* mov dx, 3f8h; mov al, 'x'; out dx, al; jmp back to it */
	static const unsigned char flood[] = { 0xba, 0xf8, 0x03, 0xb0, 'x', 0xee, 0xeb, 0xfd };
	static char *const arguments[] = { "vcpu", "run", "--kernel", "terminal-flood.bin", "--memory", "1M", NULL };
	struct session s;
	int status = 0, waited;
	double start;

	check(boot_sector("terminal-flood.bin", flood, sizeof flood) && begin_with(&s, arguments),
	      "a guest that floods");
	usleep(500000);
	start = now();
	if (signal)
		kill(s.pid, signal);
	else
		type(&s, "\x01x", 2);
	while ((waited = waitpid(s.pid, &status, WNOHANG)) == 0 && now() < start + 5)
		usleep(10000);
	printf("%s: %.2f s\n", what, now() - start);
	check(waited > 0 && now() < start + 2, what);
	check(signal ? WIFSIGNALED(status) && WTERMSIG(status) == signal
		     : WIFEXITED(status) && WEXITSTATUS(status) == 10,
	      what);
	check(restored(&s), what);
	if (waited <= 0)
		kill(s.pid, SIGKILL);
	finish(&s);
	unlink("terminal-flood.bin");
}

/* The host has no room for what the guest writes: the machine waits, and the terminal works. */
static void full(void)
{
	/* Sector after sector of the first IDE disk, for ever: LBA in 1F3h to 1F5h, WRITE SECTORS (30h), DRQ, REP
	 * OUTSW, BSY. */
	static const unsigned char fill[] = {
		0x66, 0x31, 0xdb, 0x66, 0x43, 0xba, 0xf6, 0x01, 0xb0, 0xe0, 0xee, 0xba, 0xf2, 0x01, 0xb0, 0x01, 0xee,
			0x42, 0x88, 0xd8, 0xee, 0x42, 0x88,
		0xf8, 0xee, 0xba, 0xf7, 0x01, 0xb0, 0x30, 0xee, 0xec, 0xa8, 0x08, 0x74, 0xfb, 0xba, 0xf0, 0x01, 0xb9,
		0x00, 0x01, 0xf3, 0x6f, 0xba, 0xf7,
		0x01, 0xec, 0xa8, 0x80, 0x75, 0xfb, 0xeb, 0xcd,
	};
	static char *const arguments[] = { "vcpu", "run", "--kernel", "terminal-fill.bin", "--memory", "1M", "--disk",
		"terminal-disk.img", "--floppy", "",
		"--medium", "echo_guest.bin", NULL };
	FILE *file = fopen("terminal-disk.img", "wb");
	struct session s;
	struct termios t;
	int status;

	check(boot_sector("terminal-fill.bin", fill, sizeof fill) && file && !ftruncate(fileno(file), 8 * FILE_MAX),
	      "a disk");
	if (file)
		fclose(file);
	check(begin_with(&s, arguments) && await(&s, "waiting for room"), "the disk is full");
	check(!tcgetattr(s.slave, &t) && !(t.c_lflag & (ICANON | ECHO | ISIG)),
	      "the terminal is raw while the machine waits for room");
	type(&s, "\x01n", 2);
	type(&s, "\x01h", 2);
	check(await(&s, "Ctrl-A X"), "Ctrl-A N and Ctrl-A H while the machine waits for room");
	type(&s, "\x01x", 2);
	status = end(&s);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 10, "Ctrl-A X while the machine waits for room: status 10");
	check(restored(&s), "restored after a full disk");
	finish(&s);
	unlink("terminal-fill.bin");
	unlink("terminal-disk.img");
}

/* Half a second asleep at the prompt costs next to no processor time. */
static void idle(void)
{
	struct session s;
	struct rusage r;
	double used;

	check(begin(&s) && await(&s, "echo:"), "the guest's banner");
	usleep(1000000);
	type(&s, "q", 1);
	end(&s);
	getrusage(RUSAGE_CHILDREN, &r);
	used = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
	printf("a second of idling: %.3f s of processor time\n", used);
	check(used < 0.5, "an idle guest leaves the host alone");
	finish(&s);
}

int main(void)
{
	program = getenv("VCPU");
	if (!program)
		program = "./vcpu";
	if (access("echo_guest.bin", R_OK)) {
		puts("there is no echo_guest.bin\n0 passed, 0 failed, 1 skipped");
		return 0;
	}
	if (!can_have_terminals()) {
		puts("there are no pseudo-terminals here\n0 passed, 0 failed, 1 skipped");
		return 0;
	}
	idle(); /* first: it asks for the time of all children */
	keys();
	quit();
	killed(SIGTERM, "SIGTERM");
	killed(SIGINT, "SIGINT");
	killed(SIGHUP, "SIGHUP");
	killed(SIGSEGV, "SIGSEGV");
	unread(SIGTERM, "SIGTERM while nobody reads");
	unread(SIGINT, "SIGINT while nobody reads");
	unread(0, "Ctrl-A X while nobody reads");
	full();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
