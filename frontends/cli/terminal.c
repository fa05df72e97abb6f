/* SPDX-License-Identifier: MIT */
/* Standard input, raw if it is a terminal, and the signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <stdlib.h>

#include "cli.h"
#include "mem/base/compat/socket.h"
#include "ending.h"

enum { WAIT_MAX = 1024, AHEAD_MAX = 1024, CTRL_A = 1 };

static struct {
	vcpu *machine;
	struct termios before;
	volatile sig_atomic_t raw;    /* `before' is what to go back to */
	bool interactive;
	bool eof;
	bool held;                    /* terminal_hold */
	bool escape;                  /* Ctrl-A has been typed */
	size_t ahead_len;
	unsigned char ahead[AHEAD_MAX]; /* typed while the machine could not be given it */
} terminal = { .eof = true };

static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

/* Safe in a signal handler. Nobody waits for output to drain, which may take for ever, or is stopped for being in the
 * background. */
static void set(const struct termios *t)
{
	sigset_t one, before;

	sigemptyset(&one);
	sigaddset(&one, SIGTTOU);
	sigprocmask(SIG_BLOCK, &one, &before);
	tcsetattr(STDIN_FILENO, TCSANOW, t);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void restore(void)
{
	if (terminal.raw) {
		terminal.raw = 0;
		set(&terminal.before);
	}
}

static void make_raw(void)
{
	struct termios t = terminal.before;

	/* Output processing stays: messages of our own end in a bare newline. */
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	terminal.raw = 1;
	set(&t);
}

static void on_signal(int n, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&a.sa_mask);
	sigaction(n, &a, NULL);
}

static void ask(void)
{
	if (terminal.machine)
		vcpu_stop(terminal.machine);
}

static void handle_deadly(int n)
{
	restore();
	on_signal(n, SIG_DFL, 0);
	raise(n);
}

static void handle_suspend(int n)
{
	int e = errno;
	bool was = terminal.raw;
	sigset_t set;

	restore();
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

void terminal_signals(void)
{
	ending_open(ask, restore);
}

void terminal_open(vcpu *machine, bool want_input)
{
	terminal.machine = machine;
	terminal.eof = !want_input;
	ending_patience(true);
	on_signal(SIGPIPE, SIG_IGN, 0);
	if (!want_input || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal.before))
		return;
	terminal.interactive = true;
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
		on_signal(deadly[i], handle_deadly, 0);
	on_signal(SIGTSTP, handle_suspend, SA_RESTART);
	atexit(terminal_close);
	make_raw();
}

void terminal_close(void)
{
	restore();
	terminal.machine = NULL;
}

void complain(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vcpu: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool terminal_interactive(void)
{
	return terminal.interactive;
}

bool terminal_eof(void)
{
	return terminal.eof;
}

int terminal_signal(void)
{
	return ending_signal();
}

static void help(void)
{
	static const char text[] =
		"\r\nCtrl-A X       end the run at once: the guest does not shut down\r\n"
		"Ctrl-A N       the next --medium into its drive; after the last one the drive is empty\r\n"
		"Ctrl-A H       this text\r\n"
		"Ctrl-A Ctrl-A  a Ctrl-A for the guest\r\n";

	if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
		return; /* nobody to help */
}

/* Take the Ctrl-A sequences out of LEN bytes, in place. Returns the bytes left; *QUIT if Ctrl-A X was among them. */
static size_t escapes(unsigned char *p, size_t len, bool *quit)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		if (!terminal.escape) {
			if (p[i] == CTRL_A)
				terminal.escape = true;
			else
				p[out++] = p[i];
			continue;
		}
		terminal.escape = false;
		switch (p[i]) {
		case CTRL_A:
			p[out++] = CTRL_A;
			break;
		case 'x':
		case 'X':
			*quit = true;
			return out;
		case 'n':
		case 'N':
			vcpu_next_medium(terminal.machine);
			break;
		case 'h':
		case 'H':
		case '?':
			help();
			break;
		}
	}
	return out;
}

/* Is there a Ctrl-A X among LEN bytes? */
static bool quits(const unsigned char *p, size_t len)
{
	bool escape = terminal.escape;

	for (size_t i = 0; i < len; i++) {
		if (escape && (p[i] == 'x' || p[i] == 'X'))
			return true;
		escape = !escape && p[i] == CTRL_A;
	}
	return false;
}

/* Wait for input, if it is WANTED, for a signal that asks for the end, and for the others. True: there is input, or its
 * end. */
static bool wait_for(int64_t ns, bool wanted, struct pollfd *others, unsigned count)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	struct pollfd fds[WAIT_MAX + 2];

	if (ending_signal())
		ns = t.tv_sec = t.tv_nsec = 0;
	if (count > WAIT_MAX)
		count = WAIT_MAX;
	wanted = wanted && !terminal.eof && (terminal.interactive || !terminal.held);
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

void terminal_hold(bool hold)
{
	terminal.held = hold;
}

void terminal_wait(int64_t ns, struct pollfd *others, unsigned count)
{
	wait_for(terminal.ahead_len ? 0 : ns, true, others, count);
}

/* Up to SIZE bytes from standard input; 0: there are none, perhaps for ever. */
static size_t hear(void *buffer, size_t size)
{
	ssize_t n = read(STDIN_FILENO, buffer, size);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		terminal.eof = true;
	return n > 0 ? (size_t)n : 0;
}

bool terminal_ending(void)
{
	return ending_signal() || control_quits() || quits(terminal.ahead, terminal.ahead_len);
}

bool terminal_wait_writable(int fd, bool in_vain)
{
	for (;;) {
		struct pollfd p[1 + CONTROL_FDS] = { { .fd = fd, .events = POLLOUT } };
		unsigned controls = control_fds(p + 1);

		in_vain |= terminal_ending();
		if (wait_for(in_vain ? 0 : -1, terminal.interactive && terminal.ahead_len < AHEAD_MAX, p, 1 + controls))
			terminal.ahead_len += hear(terminal.ahead + terminal.ahead_len, AHEAD_MAX - terminal.ahead_len);
		if (p->revents)
			return true;
		if (controls)
			control_work(true);
		if (in_vain)
			return false;
	}
}

enum terminal_event terminal_read(int64_t ns, void *buffer, size_t size, size_t *len)
{
	bool quit = false;

	*len = 0;
	if (terminal.ahead_len) {
		*len = terminal.ahead_len < size ? terminal.ahead_len : size;
		memcpy(buffer, terminal.ahead, *len);
		terminal.ahead_len -= *len;
		memmove(terminal.ahead, terminal.ahead + *len, terminal.ahead_len);
	} else {
		if (ending_signal() || (terminal.eof && ns == 0) || !wait_for(ns, true, NULL, 0))
			return TERMINAL_NOTHING;
		*len = hear(buffer, size);
	}
	if (terminal.interactive)
		*len = escapes(buffer, *len, &quit);
	if (quit)
		return TERMINAL_QUIT;
	return *len ? TERMINAL_BYTES : TERMINAL_NOTHING;
}
