/* SPDX-License-Identifier: MIT. A guest to be debugged (tests/cli/debugger): data, calls, output, a triple fault. Multiboot, 32 bits. */
struct point { int x, y; };
struct task {
	char name[16];
	unsigned id : 4, state : 3;
	struct point at[3];
	struct task *next;
	enum { RED, GREEN = 5, BLUE } colour;
	union { long l; unsigned char b[8]; };
	double d;
};
struct task first, second = { "second", 3, 2, { { 1, 2 }, { 3, -4 }, { 5, 6 } }, &first, BLUE, { 0x1234 }, 2.5 };
struct task *current = &second;
volatile int counter;
unsigned short table[4] = { 1, 2, 3, 0xffff };
const char *message = "hello\n";

__asm__(".section .multiboot, \"a\"\n"
	"	.long	0x1badb002, 0, -0x1badb002\n"
	"	.text\n"
	"	.globl	_start\n"
	"_start:	mov	$stack_top, %esp\n"
	"	call	kernel_main\n"
	"	.bss\n"
	"	.space	4096\n"
	"stack_top:\n"
	"	.text\n");

static void out(unsigned short port, unsigned char value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static int fib(int n)
{
	if (n < 2)
		return n;
	return fib(n - 1) + fib(n - 2);
}

static int work(int limit)
{
	int sum = 0;

	for (int i = 0; i < limit; i++) {
		sum += fib(i);
		counter++;
	}
	return sum;
}

void kernel_main(void);

void kernel_main(void)
{
	for (const char *p = message; *p; p++)
		out(0x3f8, *p);
	first.id = 7;
	first.at[1].y = work(9);
	out(0x80, first.at[1].y);
	__asm__ volatile("mov %0, %%ds" : : "r"(0x1238));
}
