/* SPDX-License-Identifier: MIT */
/* Vectors of 16 bytes. A wider register consists of several, an MMX register is half of one. An operation is a
 * function from vectors to a vector. It does not know registers, memory or encodings; all forms of an instruction
 * come from it (vector.h).
 *
 *   vec.h          the types                  vec_int.h      integer arithmetic (SSE2, SSSE3, SSE4)
 *   vec_shuffle.h  moving lanes about         vec_fp.h       floating point
 *   vector.h       instructions made of them  mxcsr.h        exceptions of floating point
 *   vec_int.c vec_fp.c vec_compare.c vec_convert.c vec_shuffle.c vec_move.c vec_mask.c vec_round.c    the instructions, by what they do */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include "cpu/cpu.h"

typedef u64 vec __attribute__((vector_size(16)));
typedef u64 vec_any __attribute__((vector_size(16), aligned(1), may_alias)); /* one in memory, anywhere */
typedef u8 vu8 __attribute__((vector_size(16)));
typedef s8 vs8 __attribute__((vector_size(16)));
typedef u16 vu16 __attribute__((vector_size(16)));
typedef s16 vs16 __attribute__((vector_size(16)));
typedef u32 vu32 __attribute__((vector_size(16)));
typedef s32 vs32 __attribute__((vector_size(16)));
typedef s64 vs64 __attribute__((vector_size(16)));

/* 16 bytes of a result: from those of the first source and of the second. PART says which (0: bits 127:0, 1: bits
 * 255:128). C is there for MXCSR. */
typedef vec vec_fn(struct cpu *c, vec a, vec b, u8 imm, unsigned part);

ALWAYS_INLINE vec vec_load(const void *p) { return *(const vec_any *)p; }
ALWAYS_INLINE void vec_store(void *p, vec v) { *(vec_any *)p = v; }

/* As lanes, and back. */
ALWAYS_INLINE union xmm vec_lanes(vec v)
{
	union xmm x;

	memcpy(&x, &v, sizeof x);
	return x;
}

ALWAYS_INLINE vec vec_of(union xmm x)
{
	vec v;

	memcpy(&v, &x, sizeof v);
	return v;
}

ALWAYS_INLINE u32 vec_low32(vec v) { return (u32)v[0]; }
ALWAYS_INLINE u64 vec_low64(vec v) { return v[0]; }
/* A with its low 32 or 64 bits from B: what scalar instructions leave. */
ALWAYS_INLINE vec vec_merge32(vec a, vec b) { return (vec)__builtin_shufflevector((vu32)a, (vu32)b, 4, 1, 2, 3); }
ALWAYS_INLINE vec vec_merge64(vec a, vec b) { return (vec)__builtin_shufflevector(a, b, 2, 1); }

/* Where MASK's bits are set A, else B. */
ALWAYS_INLINE vec vec_select(vec mask, vec a, vec b) { return (a & mask) | (b & ~mask); }

/* Bits of ACTIVE, of a register with elements of SIZE bytes, as ones or zeros in the elements of its 16 bytes at
 * PART. */
ALWAYS_INLINE vec vec_mask(u64 active, unsigned size, unsigned part)
{
	const u64 bits = active >> part * (16 / size);

	if (size >= 4) {
		const vu32 each = size == 8 ? (vu32){ 1, 1, 2, 2 } : (vu32){ 1, 2, 4, 8 },
			   all = { (u32)bits, (u32)bits, (u32)bits, (u32)bits };

		return (vec)((all & each) == each);
	}
	if (size == 2) {
		const vu16 each = { 1, 2, 4, 8, 16, 32, 64, 128 };
		const u64 four = (bits & 0xff) * 0x0001000100010001;

		return (vec)(((vu16)(vec){ four, four } & each) == each);
	}
	const vu8 each = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
	const u64 eight = 0x0101010101010101;

	return (vec)(((vu8)(vec){ (bits & 0xff) * eight, (bits >> 8 & 0xff) * eight } & each) == each);
}

#endif
