/* SPDX-License-Identifier: MIT */
/* A program of a Linux guest that asks for memory at an address of 56 bits, and runs code there. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define HIGH 0xff000000000000

/* mov ecx, 1000000; xor eax, eax; 1: inc eax; dec ecx; jnz 1b; call 2f; ret; 2: inc eax; ret */
static const unsigned char code[] = { 0xb9, 0x40, 0x42, 0x0f, 0x00, 0x31, 0xc0, 0xff, 0xc0, 0xff, 0xc9,
				      0x75, 0xfa, 0xe8, 0x01, 0x00, 0x00, 0x00, 0xc3, 0xff, 0xc0, 0xc3 };

int main(void)
{
	void *p = mmap((void *)HIGH, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	memcpy(p, code, sizeof code);
	printf("high: %s, %d\n", p == (void *)HIGH ? "there" : "elsewhere", ((int (*)(void))p)());
	return 0;
}
