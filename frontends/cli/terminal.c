/* SPDX-License-Identifier: MIT */
/* What comes from standard input (tty.c), with the keys that are for this program. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "ending.h"
#include "standard.h"

enum { AHEAD_MAX = 1024, CTRL_A = 1 };

static struct {
	vcpu *machine;
	bool interactive;
	bool eof;
	bool held;                    /* terminal_hold */
	bool escape;                  /* Ctrl-A has been typed */
	size_t ahead_len;
	unsigned char ahead[AHEAD_MAX]; /* typed while the machine could not be given it */
} terminal = { .eof = true };

static void ask(void)
{
	if (terminal.machine)
		vcpu_stop(terminal.machine);
}

void terminal_signals(void)
{
	ending_open(ask, tty_restore);
}

void terminal_open(vcpu *machine, bool want_input)
{
	terminal.machine = machine;
	terminal.eof = !want_input;
	ending_patience(true);
	terminal.interactive = tty_open(want_input);
	if (terminal.interactive)
		atexit(terminal_close);
}

void terminal_close(void)
{
	tty_restore();
	terminal.machine = NULL;
}

const char *program = "vcpu";

int complain_lost(int status)
{
	if (status != STATUS_OK || standard_written())
		return status;
	complain("cannot write standard output: %s", strerror(errno));
	return STATUS_HOST;
}

void complain(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program);
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
	return tty_wait(ns, wanted && !terminal.eof && (terminal.interactive || !terminal.held), others, count);
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
	bool eof;
	size_t n = tty_read(buffer, size, &eof);

	terminal.eof |= eof;
	return n;
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
