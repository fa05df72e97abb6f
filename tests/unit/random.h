/* SPDX-License-Identifier: MIT */
/* The same numbers in each run of a test: xorshift64*. */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include "mem/base/bits.h"

static u64 seed = 0x9e3779b97f4a7c15;
static u64 rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1d;
}

#endif
