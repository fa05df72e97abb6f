/* SPDX-License-Identifier: MIT */
/* An interpreter of a machine with 16 registers and 32-bit instructions: a switch, of which the compiler makes an
 * indirect jump. It runs Euclid's algorithm by subtraction on many pairs. */
#include "programs.h"

enum opcode { LOAD, MOVE, ADD, SUB, XOR, SHR, LESS, BRANCH, JUMP, MIX, HALT };
#define I(op, a, b, imm) ((uint32_t)(op) << 24 | (uint32_t)(a) << 20 | (uint32_t)(b) << 16 | (uint16_t)(imm))

static uint64_t interpret(const uint32_t *program)
{
	uint64_t r[16] = { 0 };

	for (unsigned pc = 0;;) {
		uint32_t word = program[pc++];
		unsigned a = word >> 20 & 15, b = word >> 16 & 15, imm = (uint16_t)word;

		switch ((enum opcode)(word >> 24)) {
		case LOAD: r[a] = imm; break;
		case MOVE: r[a] = r[b]; break;
		case ADD: r[a] += r[b] + imm; break;
		case SUB: r[a] -= r[b] + imm; break;
		case XOR: r[a] ^= r[b]; break;
		case SHR: r[a] = r[b] >> imm; break;
		case LESS: r[a] = r[a] < r[b]; break;
		case BRANCH: if (r[a]) pc = imm; break;
		case JUMP: pc = imm; break;
		case MIX: r[a] = mix(r[a], r[b]); break;
		case HALT: return r[0];
		}
	}
}

uint64_t run_registers(void)
{
	/* r1, r2: the outer numbers; r3, r4: the pair; r6: for comparisons; r7: 0 */
	static const uint32_t program[] = {
		I(LOAD, 1, 0, 400),
		I(LOAD, 2, 0, 300),       /* 1: for each r1 */
		I(MOVE, 3, 1, 0),         /* 2: for each r2 */
		I(MOVE, 4, 2, 0),
		I(MOVE, 6, 3, 0),         /* 4: while r3 != r4 */
		I(XOR, 6, 4, 0),
		I(BRANCH, 6, 0, 8),
		I(JUMP, 0, 0, 14),
		I(MOVE, 6, 3, 0),         /* 8 */
		I(LESS, 6, 4, 0),
		I(BRANCH, 6, 0, 13),
		I(SUB, 3, 4, 0),
		I(JUMP, 0, 0, 4),
		I(SUB, 4, 3, 0),          /* 13, which falls into: */
		I(MOVE, 6, 3, 0),         /* 14: still different? */
		I(XOR, 6, 4, 0),
		I(BRANCH, 6, 0, 8),
		I(MIX, 0, 3, 0),
		I(SUB, 2, 7, 1),
		I(BRANCH, 2, 0, 2),
		I(SUB, 1, 7, 1),
		I(BRANCH, 1, 0, 1),
		I(HALT, 0, 0, 0),
	};

	return interpret(program);
}
