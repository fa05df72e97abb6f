/* SPDX-License-Identifier: MIT */
/* Calls of the host's that end the program where they fail, with a line that says which: for programs that use
 * /dev/kvm. */
#ifndef TESTS_KVM_CALLS_H
#define TESTS_KVM_CALLS_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static int checked(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void *map(size_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

#endif
