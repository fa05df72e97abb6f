/* SPDX-License-Identifier: MIT */
/* The meaning of shifts and rotates, for the files that expand it. */
#ifndef CPU_SHIFT_H
#define CPU_SHIFT_H

#include "cpu/insn/alu.h"

enum shift { ROL, ROR, RCL, RCR, SHL, SHR, SAR };

ALWAYS_INLINE u64 bit(u64 v, unsigned n) { return v >> n & 1; }

/* CF, and CF ^ OF, where cpu.h keeps them. */
ALWAYS_INLINE u64 carry_bits(u64 cf, u64 cf_xor_of) { return cf << 63 | cf_xor_of << 62; }

/* The last bit that goes out of A to the right in K steps, in bits 63 and 62. */
ALWAYS_INLINE u64 last_out(u64 a, unsigned k) { return (u64)((s64)(a >> (k & 63) | a << (-k & 63)) >> 1); }

/* The same of A of SIZE bytes to the left; bit 62 is the sign of the result. */
ALWAYS_INLINE u64 last_out_left(u64 a, unsigned k, unsigned size)
{
	return size == 8 ? a << (k - 1) : a << k << (63 - 8 * size);
}

/* To the left. */
ALWAYS_INLINE u64 rotate(u64 a, unsigned k, unsigned size)
{
	const unsigned top = 8 * size - 1;

	if (size == 4) /* with the type's own width the compiler knows it */
		return (u32)a << (k & 31) | (u32)a >> (-k & 31);
	return trim(a << (k & top) | a >> (-k & top), size);
}

/* A by COUNT, which is masked and not 0. SDM vol. 2, SAL/SAR/SHL/SHR and RCL/RCR/ROL/ROR. OF is defined for a count
 * of 1 only; for the others it is what the same circuit gives: left: CF ^ sign; right: the two highest bits differ. */
ALWAYS_INLINE u64 shift(struct cpu *c, enum shift what, u64 a, unsigned count, unsigned size, bool flags)
{
	const unsigned width = 8 * size, top = width - 1;
	unsigned k;
	u64 r, cf, cv; /* CF and CF ^ OF in cv's bits 63 and 62 */

	switch (what) {
	case SHL:
		k = size >= 4 || count < 63 ? count : 63; /* an 8086 counts to 255 */
		r = trim(a << k, size);
		cv = last_out_left(a, k, size);
		break;
	case SHR: /* the highest bit of R is 0 */
		k = size >= 4 || count < 63 ? count : 63;
		r = a >> k;
		cv = last_out(a, k) ^ r << (63 - top);
		break;
	case SAR: /* the two highest bits are the same */
		k = size >= 4 || count < 63 ? count : 63;
		r = trim((u64)((s64)extend(a, size) >> k), size);
		cv = last_out(extend(a, size), k);
		break;
	case ROL:
		k = count & top;
		r = rotate(a, k, size);
		cv = r << 63 | (size == 8 ? r >> 1 : r << (62 - top));
		break;
	case ROR:
		k = count & top;
		r = rotate(a, width - k, size);
		cv = r << (63 - top);
		break;
	case RCL: /* CF is bit WIDTH of what turns */
		k = size < 4 ? count % (width + 1) : count;
		if (!k)
			return a;
		r = trim(a << k | (u64)flag_c(c) << (k - 1) | (k > 1 ? a >> (width + 1 - k) : 0), size);
		cv = carry_bits(bit(a, width - k), bit(r, top));
		break;
	default: /* RCR */
		k = size < 4 ? count % (width + 1) : count;
		if (!k)
			return a;
		r = trim((k == 64 ? 0 : a >> k) | (u64)flag_c(c) << (width - k) | (k > 1 ? a << (width + 1 - k) : 0),
			 size);
		cf = bit(a, k - 1);
		cv = carry_bits(cf, cf ^ bit(r, top) ^ bit(r, top - 1));
		break;
	}
	if (!flags)
		return r;
	if (what == SHL || what == SHR || what == SAR) {
		c->res = extend(r, size);
		c->cv = cv;
		c->fix = FIX_LOOSE;
	} else {
		settle_flags(c); /* rotates leave SF ZF AF PF */
		c->cv = cv & FIX_CARRIES;
	}
	return r;
}

#endif
