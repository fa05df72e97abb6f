/* SPDX-License-Identifier: MIT */
/* Signals: one that the process sends itself, and SIGSEGV, whose handler gives the page the right that it lacks. */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "programs.h"

enum { ROUNDS = 3000, PAGE = 4096 };

static volatile uint64_t count;
static uint8_t *page;

static void on_user(int number)
{
	count += (unsigned)number;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	count = mix(count, (unsigned)number + (uint64_t)((uint8_t *)info->si_addr - page));
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

uint64_t run_signals(void)
{
	struct sigaction user = { .sa_handler = on_user }, fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGUSR1, &user, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		kill(getpid(), SIGUSR1);
		((volatile uint8_t *)page)[i % PAGE]++;
		mprotect(page, PAGE, PROT_READ);
	}
	return count;
}
