/* SPDX-License-Identifier: MIT */
/* Waiting loops. A guest that waits for an interrupt or for another processor often reads memory or a device, calls
 * the BIOS, or just jumps, until something changes. Nothing does before the next event of the machine, or the instant
 * that the device names. A round of such a loop that leaves everything as it was is followed by another one like it;
 * run.c executes one, and counts the others. */
#ifndef CPU_WAIT_H
#define CPU_WAIT_H

#include "cpu/cpu.h"
#include "cpu/decode.h"

/* A round that is being executed, one instruction at a time. */
struct round {
	u64 r[REGISTERS], icount, walks, unsteady, most /* instructions, if it is watched */;
	u32 flags;
	bool closed;               /* it has come back to its beginning, and everything is as it was there */
	bool watched;              /* it may do anything; what it stores is watched */
};

/* Does it do nothing but read memory, or a device, and change general registers, EFLAGS and RIP, if it does not
 * fault? */
bool quiet(const struct dec *d);
/* Is it worth while to look for a round, with N instructions until the next event? No if somebody wants to see each
 * instruction. */
enum { ROUND_WORTH = 1000 };
bool round_pays_now(const struct cpu *c);
static inline bool round_pays(const struct cpu *c, s64 n) { return n >= ROUND_WORTH && round_pays_now(c); }
/* The same for a round that is watched. */
bool watch_pays(const struct cpu *c, s64 n);
/* A round begins at C, between two instructions. When it is closed, the devices that it has read give the same
 * answers up to clock->steady_until. */
void round_begin(struct round *round, struct cpu *c);
/* The same; the round is watched, and has MOST instructions, WATCHED_MAX at most. False: it cannot be. round_end must
 * follow. */
enum { WATCHED_MAX = 4096 };
bool round_watch(struct round *round, struct cpu *c, u64 most);
/* C has executed one more instruction without a fault, or none yet. True: the next one may be another of the round.
 * A round is shorter than any N that pays. */
bool round_goes_on(struct round *round, struct cpu *c);
void round_end(struct round *round, struct cpu *c);

#endif
