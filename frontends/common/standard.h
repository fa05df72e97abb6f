/* SPDX-License-Identifier: MIT */
/* Standard input, output and error, which the parent may have closed, and whose disk may be full. */
#ifndef COMMON_STANDARD_H
#define COMMON_STANDARD_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Call it first. A file that is opened later must not get the number of one that is closed: the guest's output would go
 * there. What takes its place is empty, and cannot be written. */
static inline void standard_open(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* False, with errno: something that was printed is lost. */
static inline bool standard_written(void) { return !fflush(stdout) && !ferror(stdout); }

#endif
