/* SPDX-License-Identifier: MIT */
/* Invariants of the engine. A build with --enable-checks asserts them, with small caches that are always full; in
 * any other build they cost nothing. A check that fails ends the program. */
#ifndef CPU_CHECK_H
#define CPU_CHECK_H

#ifndef VCPU_CHECKS
#define VCPU_CHECKS 0
#endif

#if VCPU_CHECKS
#include <assert.h>
#define CHECK(holds) assert(holds)
#else
#define CHECK(holds) ((void)0)
#endif

#endif
