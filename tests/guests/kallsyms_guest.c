/* SPDX-License-Identifier: MIT */
/* A kernel, for vcpu-dbg: mapped at 8 MiB, whose page fault handler (for that is how it is found) is there, too, with a table of symbols as Linux has it
 * since 6.4; or with one that leads out of the memory that is looked at. TABLE: 0 good, 1 without addresses behind it, 2 begins where the kernel does, 3 the
 * last token has no end. */
#define AT ((unsigned char *)0x800000)
enum { COUNT = 600, PAGES = 0x200000, IDT = 0x210000 };

__attribute__((section(".multiboot"), used)) static const unsigned header[] = { 0x1badb002, 0, -0x1badb002u };

static unsigned char *at;

static void put(unsigned v, unsigned size)
{
	for (; size--; v >>= 8)
		*at++ = (unsigned char)v;
}
static void align(void)
{
	while ((unsigned long)at & 3)
		put(0, 1);
}

static void names(void)
{
	put(COUNT, 4);
	for (unsigned i = 0; i < COUNT; i++) { /* "Tf", and "ab" for the first, in tokens of one character */
		put(i ? 2 : 3, 1);
		put('T', 1);
		put(i ? 'f' : 'a', 1);
		if (!i)
			put('b', 1);
	}
	align();
	put(0, 4);
	for (unsigned i = 256; i < COUNT; i += 256)
		put(3 * i + 1, 4);
}

static void tokens(void)
{
	for (unsigned i = 0; i < 256; i++) {
		put(i > 32 && i < 127 ? i : 'q', 1);
		put(0, TABLE != 3 || i < 255);
	}
	align();
	for (unsigned i = 0; i < 256; i++)
		put(2 * i, 2);
}

__asm__(".globl _start; _start: mov $0x300000, %esp; jmp kernel");

__attribute__((used)) void kernel(void);

__attribute__((used)) void kernel(void)
{
	struct { unsigned short limit; unsigned base; } __attribute__((packed)) idtr = { 0x7ff, IDT };

	at = AT + (TABLE == 2 ? 0 : 0x1000);
	names();
	tokens();
	for (unsigned i = 0; TABLE == 0 && i < COUNT; i++)
		put(-1u - 16 * i, 4); /* relative: base + 16 i */
	if (TABLE == 0)
		put((unsigned)AT, 4);
	for (unsigned i = 0; i < 1024; i++)
		((unsigned *)PAGES)[i] = i < 3 && i != 1 ? i << 22 | 0x83 : 0;
	((unsigned *)IDT)[2 * 14] = 0x80100;
	((unsigned *)IDT)[2 * 14 + 1] = 0x808e00;
	__asm__ volatile("lidt %0; mov %1, %%cr3; mov %%cr4, %%eax; or $0x10, %%eax; mov %%eax, %%cr4; mov %%cr0, %%eax; or $0x80000000, %%eax; mov %%eax, %%cr0; 1: jmp 1b"
		: : "m"(idtr), "r"(PAGES) : "eax");
}
