/* SPDX-License-Identifier: MIT */
/* Two processes that send each other a word through pipes, and wait for it: switches between them. */
#include <sys/wait.h>
#include <unistd.h>
#include "programs.h"

enum { ROUNDS = 4000 };

uint64_t run_pipes(void)
{
	int there[2], back[2];
	uint64_t sum = 1;
	pid_t child;

	if (pipe(there) || pipe(back))
		return 0;
	child = fork();
	if (child == 0) {
		close(there[1]);
		while (read(there[0], &sum, sizeof sum) == sizeof sum) {
			sum = mix(sum, 1);
			if (write(back[1], &sum, sizeof sum) != sizeof sum)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++)
		if (write(there[1], &sum, sizeof sum) != sizeof sum || read(back[0], &sum, sizeof sum) != sizeof sum)
			return 0;
	close(there[1]);
	waitpid(child, NULL, 0);
	return sum;
}
