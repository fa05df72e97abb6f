/* SPDX-License-Identifier: MIT */
/* What a program in the guest says to examples/fuzz: CPUID with a leaf that no processor has.
 *
 *     size_t n = fuzz_begin(buffer, sizeof buffer);    each case begins here, with N bytes in the buffer
 *     parse(buffer, n);
 *     fuzz_end();
 *
 * The buffer must be in memory: write to it before. In Linux, fuzz_signals() makes crashes of signals. */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

enum { FUZZ_LEAF = 0x56435055, FUZZ_BEGIN = 1, FUZZ_END, FUZZ_CRASH };

static inline unsigned long fuzz_call(unsigned what, void *buffer, unsigned long size)
{
	unsigned long a = FUZZ_LEAF, b, c = what, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : "D"(buffer), "S"(size) : "memory");
	return a;
}

static inline unsigned long fuzz_begin(void *buffer, unsigned long size) { return fuzz_call(FUZZ_BEGIN, buffer, size); }
static inline void fuzz_end(void) { fuzz_call(FUZZ_END, 0, 0); }

#if __STDC_HOSTED__
#include <signal.h>

static inline void fuzz_crashed(int number)
{
	(void)number;
	fuzz_call(FUZZ_CRASH, 0, 0);
}

static inline void fuzz_signals(void)
{
	static const int all[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	unsigned i;

	for (i = 0; i < sizeof all / sizeof *all; i++)
		signal(all[i], fuzz_crashed);
}
#endif
#endif
