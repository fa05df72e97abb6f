/* SPDX-License-Identifier: MIT */
/* Fibonacci's numbers by recursion: calls and returns. */
#include "programs.h"

__attribute__((noinline)) static uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint64_t run_fib(void)
{
	return fib(36);
}
