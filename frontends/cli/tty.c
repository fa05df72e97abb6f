/* SPDX-License-Identifier: MIT */
/* Standard input by termios and poll. cli.h describes it. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "mem/base/compat/socket.h"
#include "ending.h"

enum { WAIT_MAX = 1024 };

static struct termios before;
static volatile sig_atomic_t raw; /* `before' is what to go back to */

static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

/* Safe in a signal handler. Nobody waits for output to drain, which may take for ever, or is stopped for being in the
 * background. */
static void set(const struct termios *t)
{
	sigset_t one, mask;

	sigemptyset(&one);
	sigaddset(&one, SIGTTOU);
	sigprocmask(SIG_BLOCK, &one, &mask);
	tcsetattr(STDIN_FILENO, TCSANOW, t);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

void tty_restore(void)
{
	if (raw) {
		raw = 0;
		set(&before);
	}
}

static void make_raw(void)
{
	struct termios t = before;

	/* Output processing stays: messages of our own end in a bare newline. */
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	raw = 1;
	set(&t);
}

static void on_signal(int n, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&a.sa_mask);
	sigaction(n, &a, NULL);
}

static void handle_deadly(int n)
{
	tty_restore();
	on_signal(n, SIG_DFL, 0);
	raise(n);
}

static void handle_suspend(int n)
{
	int e = errno;
	bool was = raw;
	sigset_t set;

	tty_restore();
	on_signal(n, SIG_DFL, 0);
	sigemptyset(&set);
	sigaddset(&set, n);
	raise(n);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we sleep until SIGCONT */
	on_signal(n, handle_suspend, SA_RESTART);
	if (was)
		make_raw();
	errno = e;
}

bool tty_open(bool want_input)
{
	on_signal(SIGPIPE, SIG_IGN, 0);
	on_signal(SIGXFSZ, SIG_IGN, 0); /* a limit on the size of files is for write() to tell */
	if (!want_input || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before))
		return false;
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
		on_signal(deadly[i], handle_deadly, 0);
	on_signal(SIGTSTP, handle_suspend, SA_RESTART);
	make_raw();
	return true;
}

bool tty_wait(int64_t ns, bool wanted, struct pollfd *others, unsigned count)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	struct pollfd fds[WAIT_MAX + 2];

	if (ending_signal())
		ns = t.tv_sec = t.tv_nsec = 0;
	if (count > WAIT_MAX)
		count = WAIT_MAX;
	fds[0] = (struct pollfd){ .fd = wanted ? STDIN_FILENO : -1, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = ending_signal() ? -1 : ending_fd(), .events = POLLIN };
	if (count)
		memcpy(fds + 2, others, count * sizeof *fds);
	if (ppoll(fds, count + 2, ns < 0 ? NULL : &t, NULL) < 0)
		return false;
	if (count)
		memcpy(others, fds + 2, count * sizeof *fds);
	return fds[0].revents;
}

size_t tty_read(void *buffer, size_t size, bool *eof)
{
	ssize_t n = read(STDIN_FILENO, buffer, size);

	*eof = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
	return n > 0 ? (size_t)n : 0;
}
