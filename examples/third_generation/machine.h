/* SPDX-License-Identifier: MIT */
/* The third-generation machine of Popek and Goldberg (CACM 17(7), 1974, section 2), with instructions of its own. Its
 * state is S = (E, M, P, R):
 *
 *   E  executable storage, E[0] to E[size - 1], of 64-bit words
 *   M  mode: supervisor or user
 *   P  program counter
 *   R  relocation-bounds register (l, b): address a means E[l + a], in both modes; a memory trap if a >= b or
 *      l + a >= size
 *
 * (M, P, R) is the program status word. A trap stores it in E[0] and takes the next one from E[1]. There are no other
 * registers: instructions work on storage, two addresses each. P in E[0] is the address of the instruction that
 * trapped, which has changed nothing. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t word;

/* A program status word:     63-60: M (0: supervisor)  59-40: P  39-20: l  19-0: b
 * An instruction:            63-56: operation  53-52: form of A  49-48: form of B  47-24: A  23-0: B
 * A form says what a field is. */
enum { IMMEDIATE /* the value, with a sign */, DIRECT /* its address */, INDIRECT /* the address of its address */ };
enum { MAX_SIZE = 1 << 20 };

/* Operations: of A and of B an instruction has an operand or none. Those from HALT on are privileged: they trap in user
 * mode. SVC traps in both. An unknown operation traps, too. */
#define OPERATIONS(X) \
	X(0x01, mov,  A | B)  /* A = B */ \
	X(0x02, add,  A | B)  \
	X(0x03, sub,  A | B)  \
	X(0x04, and,  A | B)  \
	X(0x05, shl,  A | B)  \
	X(0x06, shr,  A | B)  \
	X(0x07, jmp,  B)      /* P = B */ \
	X(0x08, jz,   A | B)  /* P = B if A is zero */ \
	X(0x09, jn,   A | B)  /* P = B if A is negative */ \
	X(0x0a, call, B)      /* E[B] = P + 1, P = B + 1 */ \
	X(0x0b, svc,  B)      /* a trap: B is for the supervisor */ \
	X(0x10, halt, 0)      \
	X(0x11, out,  B)      /* write the character B */ \
	X(0x12, lpsw, B)      /* (M, P, R) = B */ \
	X(0x13, lrr,  B)      /* R = B */ \
	X(0x14, srr,  A)      /* A = R */ \
	X(0x15, retu, B)      /* return to user: M = user, P = B */

enum { A = 1, B = 2 };
enum operation {
#define X(code, name, operands) OP_##name = code,
	OPERATIONS(X)
#undef X
};

struct machine {
	word *e;
	unsigned size;           /* at most MAX_SIZE */
	bool user;               /* M */
	unsigned p, l, b;        /* P, R */
	bool retu_unprivileged;  /* RETU in user mode is a jump, as JRST 1 of the PDP-10 */
	FILE *console;
	uint64_t count, traps;   /* instructions that were executed, and traps */
};

/* The state after a reset, with the program in E: supervisor mode, P = 2, R = (0, size), which is also in E[0]. */
void machine_reset(struct machine *m);
/* Execute at most LIMIT instructions. True: it has executed HALT. */
bool machine_run(struct machine *m, uint64_t limit);

/* A label of a program. */
struct label { char name[32]; word value; };
struct program { word *cells; unsigned count; struct label *labels; unsigned label_count; };

/* Translate the file PATH. False: it is not a program; the message, with the line, has been written to standard error.
 * The caller frees `cells' and `labels'. */
bool assemble(const char *path, struct program *out);

#endif
