/* SPDX-License-Identifier: MIT */
/* Page faults: memory that is mapped, touched and unmapped again. */
#include <sys/mman.h>
#include "programs.h"

enum { PAGES = 512, PAGE = 4096, ROUNDS = 30 };

uint64_t run_faults(void)
{
	uint64_t sum = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return 0;
		for (int i = 0; i < PAGES; i++)
			memory[i * PAGE + (i + round) % PAGE]++;
		for (int i = 0; i < PAGES; i++)
			sum = mix(sum, memory[i * PAGE + (i + round) % PAGE] * 3u + memory[i * PAGE]);
		munmap(memory, PAGES * PAGE);
	}
	return sum;
}
