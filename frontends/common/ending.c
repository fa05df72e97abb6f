/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>
#include "ending.h"

#define PATIENCE_US 500000

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static struct {
	void (*ask)(void), (*restore)(void);
	volatile sig_atomic_t asked, patient;
	int event[2]; /* a pipe: once asked, there is a byte in it for ever */
} ending = { .event = { -1, -1 } };

static void handle(int n, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };

	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(&a.sa_mask, signals[i]);
	sigaddset(&a.sa_mask, SIGALRM);
	sigaction(n, &a, NULL);
}

/* In a handler the signal is blocked: it kills on the way out. */
static void die(int n)
{
	if (ending.restore)
		ending.restore();
	handle(n, SIG_DFL);
	raise(n);
}

void ending_ask(int n)
{
	const struct itimerval soon = { .it_value = { .tv_usec = PATIENCE_US } };
	int e = errno;

	if (ending.asked || !ending.patient) {
		ending.asked = n;
		die(n);
		return;
	}
	ending.asked = n;
	setitimer(ITIMER_REAL, &soon, NULL);
	if (ending.ask)
		ending.ask();
	if (ending.event[1] >= 0 && write(ending.event[1], "", 1) < 0)
		errno = 0; /* it is full, so readable */
	errno = e;
}

static void handle_alarm(int n)
{
	(void)n;
	die(ending.asked);
}

void ending_open(void (*ask)(void), void (*restore)(void))
{
	ending.ask = ask;
	ending.restore = restore;
	if (ending.event[0] < 0 && !pipe(ending.event))
		for (int i = 0; i < 2; i++) {
			fcntl(ending.event[i], F_SETFD, FD_CLOEXEC);
			fcntl(ending.event[i], F_SETFL, O_NONBLOCK);
		}
	handle(SIGALRM, handle_alarm);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		handle(signals[i], ending_ask);
}

void ending_patience(bool patient) { ending.patient = patient; }
int ending_signal(void) { return ending.asked; }
int ending_fd(void) { return ending.event[0]; }

void ending_die(void)
{
	if (ending.asked)
		die(ending.asked);
}
