/* SPDX-License-Identifier: MIT */
/* A program to be fuzzed in a Linux guest: it crashes on an L with a number that is too large.
 *
 *     gcc -O1 -static target.c -o target */
#include <stdlib.h>
#include <string.h>
#include "harness.h"

static char buffer[256];

static int parse(const char *p, unsigned long n)
{
	static int table[16];
	long number;

	if (n < 2 || p[0] != 'L' || p[1] != '=')
		return 0;
	number = strtol(p + 2, NULL, 10);
	if (number > 999)
		return *(volatile int *)number;
	return table[number & 15];
}

int main(void)
{
	unsigned long n;

	fuzz_signals();
	memset(buffer, 0, sizeof buffer);
	n = fuzz_begin(buffer, sizeof buffer - 1);
	parse(buffer, n);
	fuzz_end();
	return 0;
}
