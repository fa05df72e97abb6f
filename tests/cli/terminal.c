/* The terminal: raw while the machine runs, its own again in every way that the program can end. `vcpu run' gets a pseudo-terminal, and the
 * guest is examples/guests/echo.s. Called by tests/summary in the build folder; ends with "N passed, N failed". */
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

static bool begin(struct session *s)
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
		execl(program, program, "run", "--kernel", "echo_guest.bin", "--memory", "1M", (char *)NULL);
		_exit(127);
	}
	return s->pid > 0;
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
	check(!tcgetattr(s.slave, &t) && !(t.c_lflag & (ICANON | ECHO | ISIG)), "the terminal is raw while the machine runs");
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
	used = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
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
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
