/* SPDX-License-Identifier: MIT */
/* A guest to be fuzzed, without an operating system (Multiboot, 32 bits): it crashes on FUZZ and hangs on HANG.
 *
 *     gcc -m32 -O1 -ffreestanding -fno-pie -no-pie -nostdlib -fno-stack-protector -fcf-protection=none \
 *             -Wl,-N -Wl,-Ttext=0x100000 -Wl,--build-id=none guest.c -o guest.elf */
#include "harness.h"

__asm__(".text\n"
	".globl _start\n"
	"	.long	0x1badb002, 0, -0x1badb002\n"
	"_start:	mov	$stack_top, %esp\n"
	"	jmp	fuzzed\n"
	"	.bss\n"
	"	.space	4096\n"
	"stack_top:\n"
	"	.text\n");

static char buffer[64];

void fuzzed(void);

void fuzzed(void)
{
	const char *p = buffer;
	unsigned long n;

	buffer[0] = 0;
	n = fuzz_begin(buffer, sizeof buffer);
	if (n >= 4 && p[0] == 'F' && p[1] == 'U') {
		if (p[2] == 'Z')
			if (p[3] == 'Z')
				__asm__ volatile("ud2");
	} else if (n >= 2 && p[0] == 'H') {
		while (p[1] == 'A')
			__asm__ volatile("" : : : "memory");
	}
	fuzz_end();
	for (;;)
		__asm__ volatile("hlt");
}
