/* SPDX-License-Identifier: MIT */
/* setjmp and longjmp: a parser of numbers in brackets that gives up from within. */
#include <setjmp.h>
#include "programs.h"

enum { ROUNDS = 720000, LENGTH = 24 };

static jmp_buf failed;
static const char *at;

static unsigned parse(int depth)
{
	unsigned value = 0;

	if (*at != '(') {
		if (*at < '0' || *at > '9')
			longjmp(failed, depth + 1);
		return (unsigned)(*at++ - '0');
	}
	for (at++; *at != ')';) {
		if (!*at)
			longjmp(failed, 100 + depth);
		value = value * 3 + parse(depth + 1);
	}
	at++;
	return value;
}

uint64_t run_jumps(void)
{
	static uint64_t sum, seed = 17; /* static: they live over the jump */
	static char text[LENGTH + 1];

	for (volatile int round = 0; round < ROUNDS; round++) {
		int why;

		for (int i = 0; i < LENGTH; i++)
			text[i] = "(((0123456789)))"[next_random(&seed) % 16];
		text[0] = '(';
		at = text;
		why = setjmp(failed);
		sum = mix(sum, why ? (unsigned)why : 1000 + parse(0));
	}
	return sum;
}
