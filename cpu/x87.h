/* SPDX-License-Identifier: MIT */
/* The x87 unit for the other files of cpu/: FXSAVE, XSAVE, reset, debuggers. (SDM vol. 1, chapter 8)
 *
 * Status word, as FNSTSW gives it; in struct x87, sw has 0 where TOP is:
 *    15  14 13-11 10  9  8  7  6  5  4  3  2  1  0
 *    B   C3 TOP   C2 C1 C0 ES SF PE UE OE ZE DE IE
 * Control word:
 *    11-10 RC (nearest, down, up, chop)   9-8 PC (24, reserved, 53, 64 bits)   5-0 masks of PE UE OE ZE DE IE */
#ifndef CPU_X87_H
#define CPU_X87_H

#include "cpu/cpu.h"

enum { X87_IE = 1, X87_DE = 2, X87_ZE = 4, X87_OE = 8, X87_UE = 0x10, X87_PE = 0x20, X87_SF = 0x40, X87_ES = 0x80,
	X87_C0 = 0x100,
       X87_C1 = 0x200, X87_C2 = 0x400, X87_TOP = 0x3800, X87_C3 = 0x4000, X87_B = 0x8000, X87_EXCEPTIONS = 0x3f,
       X87_CC = X87_C0 | X87_C1 | X87_C2 | X87_C3 };

void x87_init(struct cpu *c);  /* as FNINIT leaves it */
void x87_reset(struct cpu *c); /* as RESET leaves it: SDM vol. 3, table 10-1 */

/* Derive ES and B from flags and masks, and drive FERR# (while CR0.NE is 0). To be called after either changed by other
 * means than these. */
void x87_update(struct cpu *c);

/* The full tag word: two bits a register, 0 valid, 1 zero, 2 special, 3 empty. */
u16 x87_tag_word(const struct cpu *c);
void x87_set_tag_word(struct cpu *c, u16 tags);
/* The abridged tag word of FXSAVE: bit n set = physical register n is not empty. */
static inline u8 x87_tags_abridged(const struct cpu *c) { return c->x87.valid; }
static inline u16 x87_status(const struct cpu *c) { return (u16)(c->x87.sw | c->x87.top << 11); }

/* FCS and FDS as they are saved: newer processors do without (CPUID.7:EBX[13]; SDM vol. 1, 8.1.8). */
static inline u16 x87_fcs(const struct cpu *c) { return has(c->model, F_NO_FCS) ? 0 : c->x87.cs; }
static inline u16 x87_fds(const struct cpu *c) { return has(c->model, F_NO_FCS) ? 0 : c->x87.ds; }

static inline void x87_set_status(struct cpu *c, u16 sw)
{
	c->x87.top = sw >> 11 & 7;
	c->x87.sw = sw & ~X87_TOP;
	x87_update(c);
}

static inline void x87_set_control(struct cpu *c, u16 cw)
{
	c->x87.cw = (cw & 0x1f3f) | 0x40; /* bit 12, infinity control, is kept but means nothing; bit 6 reads as 1 */
	x87_update(c);
}

/* ST(I) as 10 bytes in memory. Setting does not mark it as not empty. */
static inline void x87_get_reg(const struct cpu *c, unsigned i, u8 out[10])
{
	unsigned n = (c->x87.top + i) & 7;

	put64(out, c->x87.st[n].frac);
	put16(out + 8, c->x87.st[n].exp);
}

static inline void x87_set_reg(struct cpu *c, unsigned i, const u8 in[10])
{
	unsigned n = (c->x87.top + i) & 7;

	c->x87.st[n].frac = get64(in);
	c->x87.st[n].exp = get16(in + 8);
}

/* With CR0.NE = 0 the PC's way (SDM vol. 1, 8.7.2 and D.2.1): an error asserts FERR#, and before the next waiting
 * instruction the processor stops until an interrupt comes, unless IGNNE# is asserted. An 8086 looks at neither. */
static inline bool x87_freezes(const struct cpu *c)
{
	return c->x87.sw & X87_ES && !(c->cr0 & CR0_NE) && has(c->model, F_I286) && c->ignne &&
	       !c->ignne(c->ignne_owner);
}

/* What waiting instructions do first (CHK_MF): false, with #MF raised, if an unmasked exception is pending and CR0.NE
 * is set. */
static inline bool x87_wait(struct cpu *c)
{
	return likely(!(c->x87.sw & X87_ES)) || !(c->cr0 & CR0_NE) || fault(c, VEC_MF);
}

/* What every MMX instruction does: TOP is 0 and all registers are valid (SDM vol. 1, 9.5). */
static inline void mmx_enter(struct cpu *c)
{
	c->x87.top = 0;
	c->x87.valid = 0xff;
}

static inline u64 mmx_get(const struct cpu *c, unsigned n) { return c->x87.st[n & 7].frac; }

static inline void mmx_set(struct cpu *c, unsigned n, u64 v)
{
	c->x87.st[n & 7].frac = v;
	c->x87.st[n & 7].exp = 0xffff;
}

#endif
