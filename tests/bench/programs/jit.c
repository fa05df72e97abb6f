/* SPDX-License-Identifier: MIT */
/* A program that writes machine code, calls it, and writes other code over it. */
#include <string.h>
#include <sys/mman.h>
#include "programs.h"

enum { FUNCTIONS = 10000, TERMS = 12, CALLS = 300, PAGE = 4096 };

static uint8_t *emit(uint8_t *code, const char *bytes, int count, uint32_t imm)
{
	memcpy(code, bytes, (size_t)count);
	memcpy(code + count, &imm, sizeof imm);
	return code + count + sizeof imm;
}

/* x in EDI, the result in EAX. */
static void compile(uint8_t *code, uint64_t *seed)
{
	code = emit(code, "\xb8", 1, (uint32_t)next_random(seed));               /* mov eax, imm32 */
	for (int i = 0; i < TERMS; i++) {
		uint32_t r = (uint32_t)next_random(seed);

		switch (r >> 30) {
		case 0: code = emit(code, "\x05", 1, r); break;                  /* add eax, imm32 */
		case 1: code = emit(code, "\x35", 1, r); break;                  /* xor eax, imm32 */
		case 2: code = emit(code, "\x69\xd7", 2, r);                     /* imul edx, edi, imm32 */
			memcpy(code, "\x01\xd0", 2);                             /* add eax, edx */
			code += 2;
			break;
		case 3: memcpy(code, "\xc1\xc0\x05\x29\xf8", 5);                 /* rol eax, 5; sub eax, edi */
			code += 5;
			break;
		}
	}
	*code = 0xc3;
}

uint64_t run_jit(void)
{
	uint64_t sum = 0, seed = 18;
	uint8_t *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return 0;
	for (int i = 0; i < FUNCTIONS; i++) {
		uint8_t *code = pages + (i % 4) * PAGE + (i % 7) * 128;
		uint32_t (*function)(uint32_t) = (uint32_t (*)(uint32_t))code;
		uint32_t x = (uint32_t)i;

		compile(code, &seed);
		for (int k = 0; k < CALLS; k++)
			x = function(x);
		sum = mix(sum, x);
	}
	return sum;
}
