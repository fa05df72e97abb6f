/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "ending.h"

#define PATIENCE_NS 500000000

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static struct {
	void (*ask)(void), (*restore)(void);
	volatile sig_atomic_t asked, patient;
	timer_t timer;
	bool timed;
	int event;
} ending = { .event = -1 };

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
	const struct itimerspec soon = { .it_value = { .tv_nsec = PATIENCE_NS } };
	const unsigned long long one = 1;
	int e = errno;

	if (ending.asked || !ending.patient || !ending.timed) {
		ending.asked = n;
		die(n);
		return;
	}
	ending.asked = n;
	timer_settime(ending.timer, 0, &soon, NULL);
	if (ending.ask)
		ending.ask();
	if (ending.event >= 0 && write(ending.event, &one, sizeof one) < 0)
		errno = 0; /* it is readable already */
	errno = e;
}

static void handle_alarm(int n)
{
	(void)n;
	die(ending.asked);
}

void ending_open(void (*ask)(void), void (*restore)(void))
{
	struct sigevent tell = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };

	ending.ask = ask;
	ending.restore = restore;
	if (ending.event < 0) {
		ending.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ending.timed = !timer_create(CLOCK_MONOTONIC, &tell, &ending.timer);
	}
	handle(SIGALRM, handle_alarm);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		handle(signals[i], ending_ask);
}

void ending_patience(bool patient) { ending.patient = patient; }
int ending_signal(void) { return ending.asked; }
int ending_fd(void) { return ending.event; }

void ending_die(void)
{
	if (ending.asked)
		die(ending.asked);
}
