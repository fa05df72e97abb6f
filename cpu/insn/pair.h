/* The simple operations that compilers emit next to each other all the time. pair.c has a handler for any two of them. */
#ifndef CPU_PAIR_H
#define CPU_PAIR_H

#include "cpu/op.h"

/* Number, and whether the first source is `last`: x2 and x2 + 1. The _n forms: their flags are dead. */
enum { STEP_NONE, MOV4, MOV8, ADDI8, ADD8, ADD4, SUBI8, XOR8, ANDI4, SHL8, SHR8, SHR4, LEA8, LEAB8, LOAD4, LOAD8, LOADZ1, LOADZ2, STEP_COUNT };

#define STEP(id, taking) ((2 * (id) + (taking)) << 8)

/* Entries of a forwarding table: the same handlers, learned again with their steps. HOW is as in the first entry. */
#define STEPS_HOW(name, id, how) { name, name##_taking, (how) | STEP(id, 0) }, { name##_taking, NULL, ((how) & GIVES) | STEP(id, 1) }
#define STEPS_OF(name, id) STEPS_HOW(name, id, GIVES | TAKES_BASE)

handler *pair(unsigned first, unsigned second);

#endif
