/* SPDX-License-Identifier: MIT */
/* System calls that do little: getppid, reads of /dev/zero, writes to /dev/null, lseek. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "programs.h"

enum { ROUNDS = 150000 };

uint64_t run_syscalls(void)
{
	int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
	uint64_t sum = 0;
	char buffer[512] = "";

	for (int i = 0; i < ROUNDS; i++) {
		sum += syscall(SYS_getppid) > 0;
		sum += (uint64_t)read(zero, buffer, (size_t)i & 511);
		sum += (uint64_t)write(null, buffer, 100);
		sum += (uint64_t)lseek(null, i, SEEK_SET);
	}
	close(zero);
	close(null);
	return sum;
}
