/* SPDX-License-Identifier: MIT */
/* Stencils for aarch64 (stencil.h, which includes this). They keep no registers of the guest's: all are in memory, as
 * for handlers, and stencils have the handlers' convention, of whose parameters the operation and the last value carry
 * nothing. So handlers and stencils call each other as they are.
 *
 * The code model is `tiny': the address of a symbol, and with it a member of the operation, is one instruction (ADR, or
 * LDR from a table of addresses), which the copier replaces by MOVZ, MOVN, or LDR from numbers behind the block. */
#ifndef CPU_STENCIL_PLAIN_H
#define CPU_STENCIL_PLAIN_H

#define KEPT_HERE
#define KEPT NULL
#define STORE_KEPT(o)
#define RELOAD(c, o)
#define VECTORS_WRITTEN()

/* Addresses that are cut to 32 bits have stencils of their own. */
#define HANDLER_AS(name, other) HANDLER(name)

#define STENCIL_PARAMS struct cpu *c, u64 any_, s64 n, u64 last_
typedef HANDLER_CC void stencil_fn(STENCIL_PARAMS);

ALWAYS_INLINE u64 stencil_get(const struct cpu *c, u64 off, unsigned size)
{
	const char *p = (const char *)c + off;

	return size == 1 ? *(const u8 *)p : size == 2 ? *(const u16 *)p : size == 4 ? *(const u32 *)p : *(const u64 *)p;
}
ALWAYS_INLINE void stencil_set(struct cpu *c, u64 off, unsigned size, u64 v)
{
	char *p = (char *)c + off;

	if (size == 1)
		*(u8 *)p = (u8)v;
	else if (size == 2)
		*(u16 *)p = (u16)v;
	else
		*(u64 *)p = size == 4 ? (u32)v : v;
}
#define reg_get stencil_get
#define reg_set stencil_set

ALWAYS_INLINE u64 stencil_imm32(u64 imm) { return (u32)imm; }

HOLE(0, amask)
HOLE(0, ip_mask)
HOLE(1, amask)
HOLE(1, ip_mask)
#define HOLE_OF(member) ((u64)(uintptr_t)(nth ? hole_1_##member : hole_0_##member))
ALWAYS_INLINE u64 stencil_amask(unsigned nth) { return HOLE_OF(amask); }
ALWAYS_INLINE u64 stencil_ip_mask(unsigned nth) { return HOLE_OF(ip_mask); }
ALWAYS_INLINE u64 stencil_target(u64 rip, unsigned nth) { return rip + HOLE_OF(disp); }

/* The address of O in its block. */
extern const char hole_op[] __attribute__((weak));
ALWAYS_INLINE const struct stored_op *here(unsigned nth)
{
	return (const struct stored_op *)((uintptr_t)hole_op + 32 * nth);
}

/* Anything, where it is already. */
#define SPARE_OP register u64 op_ __asm__("x21"); __asm__("" : "=r"(op_));
#define SPARE_LAST register u64 value_ __asm__("x23"); __asm__("" : "=r"(value_));
#define CALL_STENCIL(fn) do { SPARE_OP SPARE_LAST (fn)(c, op_, n, value_); return; } while (0)
#define RUN_LAST(next_op, value) \
	do { \
		(void)(value); \
		if ((next_op)->nth == 1) \
			CALL_STENCIL(next_1); \
		else \
			CALL_STENCIL(next_2); \
	} while (0)
#define RUN_BLOCK(first) \
	do { const struct stored_op *first_ = (first); SPARE_LAST first_->run(c, first_, n, value_); return; } while (0)
#define RUN_LINKED(o) CALL_STENCIL(linked)

#endif
