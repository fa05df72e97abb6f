/* SPDX-License-Identifier: MIT */
/* An interpreter of a machine with a tape and seven commands, character by character: > < + - [ ] and, for output, a
 * dot. */
#include "programs.h"

enum { CELLS = 256, ROUNDS = 14 };

static uint64_t interpret(const char *program)
{
	uint8_t cells[CELLS] = { 0 }, at = 0;
	int match[512], open[64], depth = 0;
	uint64_t sum = 0;

	for (int i = 0; program[i]; i++) {
		if (program[i] == '[')
			open[depth++] = i;
		if (program[i] == ']') {
			match[i] = open[--depth];
			match[match[i]] = i;
		}
	}
	for (int i = 0; program[i]; i++)
		switch (program[i]) {
		case '>': at++; break;
		case '<': at--; break;
		case '+': cells[at]++; break;
		case '-': cells[at]--; break;
		case '[': if (!cells[at]) i = match[i]; break;
		case ']': if (cells[at]) i = match[i]; break;
		case '.': sum = mix(sum, cells[at]); break;
		}
	return sum;
}

uint64_t run_tape(void)
{
	/* Nested loops, the innermost of which adds to two cells that are then copied to two others and back. */
	static const char program[] =
		"++++++++[>+++++<-]>"                     /* c1 = 40 */
		"[->"                                     /* c1 times, at c2 */
		"++++++++++++[->"                         /* c2 = 12 times, at c3 */
		"+++++++++++[->++>+++<<]"                 /* c4 += 22, c5 += 33 */
		">[->>+<<]>[->>+<<]>[-<<+>>]>[-<<+>>]"    /* c4 and c5 to c6 and c7, and back */
		"<<<.>.<<<]"                              /* c4, c5; at c2 */
		"<.]";
	uint64_t sum = 0;

	for (int round = 0; round < ROUNDS; round++)
		sum = mix(sum, interpret(program));
	return sum;
}
