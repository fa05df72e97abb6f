/* SPDX-License-Identifier: MIT */
/* A program of a Linux guest that makes each kind of event and prints what it gets: system calls by SYSCALL and INT
 * 80h, exceptions with and without error codes, traps, single steps, an alarm. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int number, code, steps, ticks;
static volatile unsigned long address, trap, error;

static void caught(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	number = signal;
	code = info->si_code;
	address = signal == SIGSEGV ? (unsigned long)info->si_addr : 0;
	trap = (unsigned long)u->uc_mcontext.gregs[REG_TRAPNO];
	error = (unsigned long)u->uc_mcontext.gregs[REG_ERR];
	siglongjmp(back, 1);
}

static void stepped(int signal)
{
	(void)signal;
	steps++;
}

static void ticked(int signal)
{
	(void)signal;
	ticks++;
}

static void report(const char *what)
{
	printf("fred: %s: signal %d, code %d, trap %lu, error %lx, address %lx\n", what, number, code, trap, error,
	       address);
}

#define TRY(what, ...) \
	do { \
		if (!sigsetjmp(back, 1)) { \
			__asm__ volatile(__VA_ARGS__); \
			number = 0; \
		} \
		report(what); \
	} while (0)

static void exceptions(void)
{
	static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS };
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };

	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	TRY("ud2", "ud2");
	TRY("int3", "int3");
	TRY("int1", ".byte 0xf1");
	TRY("int 3", ".byte 0xcd, 3");
	TRY("int 66h", "int $0x66");
	TRY("hlt", "hlt");
	TRY("div", "xor %%eax, %%eax; cdq; div %%eax" : : : "eax", "edx");
	TRY("read", "mov 0x1000, %%eax" : : : "eax");
	TRY("write", "movb $1, %0" : "=m"(*(char *)0x2000));
	TRY("not canonical", "mov (%0), %%eax" : : "r"(1ul << 60) : "eax");
	TRY("mov ss", "mov %0, %%ss" : : "r"(0x103));
}

static void single_steps(void)
{
	signal(SIGTRAP, stepped);
	__asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; mov $39, %%eax; syscall; nop; int $0x80; nop; pushf; "
			 "andl $~0x100, (%%rsp); popf"
			 : : : "rax", "rcx", "r11", "memory", "cc");
	printf("fred: %d steps\n", steps);
}

int main(void)
{
	unsigned long pid = 0, old = 0, rcx = 1, r11 = 1;
	volatile unsigned long count = 0;
	int status;

	__asm__ volatile("syscall" : "=a"(pid), "+c"(rcx), "=r"(r11) : "a"(SYS_getpid) : "r11", "memory");
	__asm__ volatile("int $0x80" : "=a"(old) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	printf("fred: the same pid: %d\n", pid == old && pid == (unsigned long)getpid());
	exceptions();
	single_steps();
	signal(SIGALRM, ticked);
	ualarm(2000, 2000);
	while (ticks < 5)
		count = count + 1;
	ualarm(0, 0);
	printf("fred: %d ticks\n", ticks);
	if (!fork())
		_exit(7);
	wait(&status);
	printf("fred: child %d\n", WEXITSTATUS(status));
	return 0;
}
