/* SPDX-License-Identifier: MIT */
/* Debug registers and the breakpoints that they describe (SDM vol. 3, 17.2).
 *    DR6: 3-0 which | 10-4 ones | 11 zero: a bus lock | 12 zero | 13 BD | 14 BS | 15 BT | 31-16 ones
 *    DR7: 7-0 L0 G0 .. L3 G3 | 8 LE | 9 GE | 10 one | 13 GD | 17-16 R/W0 | 19-18 LEN0 | .. 31-30 LEN3 */
#include "cpu/system/system.h"

enum { RW_CODE, RW_WRITE, RW_IO, RW_ACCESS };
#define DR6_ONES 0xffff0ff0u
#define DR6_BITS 0xe00fu
#define DR7_GD (1u << 13)

static unsigned dr7_rw(const struct cpu *c, unsigned n) { return c->dr[7] >> (16 + 4 * n) & 3; }

static unsigned dr7_len(const struct cpu *c, unsigned n)
{
	static const u8 lens[] = { 1, 2, 8, 4 };

	return lens[c->dr[7] >> (18 + 4 * n) & 3];
}

static bool dr7_enabled(const struct cpu *c, unsigned n) { return c->dr[7] >> (2 * n) & 3; }

/* Does breakpoint N cover a byte of [AT, AT + LEN)? Its range is aligned to its length. */
static bool covers(const struct cpu *c, unsigned n, u64 at, unsigned len)
{
	u64 own = dr7_len(c, n), from = c->dr[n] & ~(own - 1);

	return at < from + own && from < at + len;
}

/* The bits for DR6: all breakpoints that match, enabled or not, if one that is enabled matches. */
static u64 matches(const struct cpu *c, u64 at, unsigned len, unsigned kinds)
{
	u64 hit = 0;
	bool armed = false;

	if (unlikely(gif_clear(c)))
		return 0;
	for (unsigned n = 0; n < 4; n++) {
		if (!(kinds >> dr7_rw(c, n) & 1) || !covers(c, n, at, len))
			continue;
		hit |= (u64)1 << n;
		armed |= dr7_enabled(c, n);
	}
	return armed ? hit : 0;
}

void debug_report(struct cpu *c, u64 bits)
{
	c->db_bits = bits;
	if (vmx_guest(c)) {
		c->vmx->dr6 = c->dr[6];
		c->vmx->db_bits = bits;
	}
	c->dr[6] = ((c->dr[6] & ~(u64)15) | bits) & ~(bits & DR6_BUS_LOCK);
}

/* Instruction breakpoints: a fault, before the instruction at r[RIP], unless RF is set, a stack switch is being
 * completed, or the instruction is a repeated one that has begun. */
void debug_code_check(struct cpu *c)
{
	bool shadow = c->shadow_ss && in_shadow(c),
	     begun = c->rep_at && c->icount == c->rep_at;
	u64 hit;

	c->db_fault = false;
	if (!(c->dr[7] & 0xff) || c->eflags & FL_RF || shadow || begun)
		return;
	hit = matches(c, (c->cs_base + c->r[RIP]) & c->linear_mask, 1, 1 << RW_CODE);
	if (!hit)
		return;
	debug_report(c, hit);
	c->db_fault = true;
	fault(c, VEC_DB);
}

/* Data breakpoints: a trap, after the instruction that made this access. */
bool debug_watched(const struct cpu *c, u64 linear, unsigned len, bool write)
{
	u64 hit = matches(c, linear, len, 1 << RW_ACCESS | (write ? 1 << RW_WRITE : 0));

	((struct cpu *)c)->db_pending |= hit;
	return hit;
}

void debug_io(struct cpu *c, u16 port, unsigned size)
{
	u64 hit;

	if (likely(!(c->dr[7] & 0xff)) || !(c->cr4 & CR4_DE))
		return;
	hit = matches(c, port, size, 1 << RW_IO);
	if (hit) {
		c->db_pending |= hit;
		attend(c, ATTN_LINE);
	}
}

/* The end of the instruction at r[RIP]. With DEBUGCTL.BTF a single step traps only after a branch (SDM vol. 3, 17.4.3):
 * if the next instruction is not at this end. So a jump to the next instruction counts as none. */
u64 debug_next(const struct cpu *c)
{
	u64 linear = (c->cs_base + c->r[RIP]) & c->linear_mask, phys;
	u8 code[15] = { 0 }; /* bytes that cannot be read are not of the instruction, or its fetch faults */
	struct dec d = { 0 };
	struct op o;

	for (unsigned i = 0; i < sizeof code; i++)
		if (page_peek(c, (linear + i) & c->linear_mask, &phys))
			space_peek(c->mem, phys & c->mem->mask, &code[i], 1);
	decode(c->isa, c->model, c->mode & ~(u64)MODE_SINGLE, code, sizeof code, &d, &o);
	return trim_rip(c, c->r[RIP] + d.len);
}

bool write_dr(struct cpu *c, unsigned n, u64 v)
{
	if (n >= 6 && v >> 32)
		return gp_because(c, 0, "bits 63 to 32 of DR6 and DR7 must be 0 (17.2.6)");
	switch (n) {
	case 6:
		c->dr[6] = (v & DR6_BITS) | (has(c->model, F_BUS_LOCK_DETECT) ? (DR6_ONES & ~DR6_BUS_LOCK) | (v & DR6_BUS_LOCK)
									: DR6_ONES);
		return true;
	case 7:
		c->dr[7] = (v & 0xffff23ff) | 1 << 10;
		break;
	default:
		c->dr[n] = v;
	}
	/* Pages with watched data must miss in the TLB. */
	tlb_flush(c, true);
	attend(c, ATTN_LINE);
	return true;
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE is set. With DR7.GD any access traps: a debugger protects its registers
 * so. */
static bool dr_number(struct cpu *c, unsigned *n)
{
	if (*n == 4 || *n == 5) {
		if (c->cr4 & CR4_DE)
			return fault_ud(c);
		*n += 2;
	}
	if (c->dr[7] & DR7_GD) {
		u64 others = c->dr[6] & 15;

		debug_report(c, 1 << 13);
		c->dr[6] |= others;
		return fault(c, VEC_DB);
	}
	return true;
}


BODY(mov_from_dr)
{
	unsigned n = o->src;

	if (!dr_number(c, &n))
		return false;
	reg_set(c, o->dst, in_64(c) ? 8 : 4, c->dr[n]);
	return true;
}
BODY_HANDLER(mov_from_dr)

GEN(mov_from_dr)
{
	o->src = d->modrm >> 3 & 7;
	o->run = h_mov_from_dr;
}

BODY(mov_to_dr)
{
	unsigned n = o->dst;

	if (!dr_number(c, &n) || !write_dr(c, n, reg_get(c, o->src, in_64(c) ? 8 : 4)))
		return false;
	c->r[RIP] = next_rip(c, o);
	return true;
}
JUMP_HANDLER(mov_to_dr)

GEN(mov_to_dr)
{
	o->dst = d->modrm >> 3 & 7;
	o->run = h_mov_to_dr;
}
