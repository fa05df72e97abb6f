/* The proof that a processor waits.
 *
 *     round_begin()   r[], EFLAGS, page walks, accesses to devices          A:  mov ax, [46Ch]
 *         |                                                                     cmp ax, bx
 *     each instruction is looked at before it is executed: it reads memory      je A
 *     and changes general registers, EFLAGS and RIP, nothing else
 *         |
 *     back at A with the same registers and flags, no page was walked and no device read
 *
 * Then the next round starts from the same state, reads the same bytes, and ends like this one. The TLB is a part of the state: without a page walk
 * nothing in it has changed. Memory changes by a store, a page walk (A and D), a device's event or the caller; none of them comes before the end that
 * run.c knows. */
#include "cpu/engine/wait.h"
#include "cpu/op.h"

enum {
	ROUND_MAX = 64, /* instructions; longer rounds are not found */
	WORTH = 1000,   /* instructions that pay for a look */
	DOUBT_MAX = 31, /* looks in a row that are left out where others have failed: computation without stores looks like waiting */
};

/* A read may leave a trap behind. */
static bool breakpoints(const struct cpu *c) { return c->dr[7] & 0xff; }

bool round_pays(struct cpu *c, s64 n)
{
	if (n < WORTH || c->all->no_skip_waiting || c->all->observer || breakpoints(c))
		return false;
	if (!c->doubts_left)
		return true;
	c->doubts_left--;
	return false;
}

void round_begin(struct round *round, const struct cpu *c)
{
	*round = (struct round){ .icount = c->icount, .walks = c->walks, .flags = cpu_flags(c), .labour = c->labour };
	memcpy(round->r, c->r, sizeof round->r);
}

static bool as_at_begin(const struct round *round, const struct cpu *c)
{
	return !memcmp(round->r, c->r, sizeof round->r) && round->flags == cpu_flags(c) && round->walks == c->walks && round->labour == c->labour;
}

bool quiet(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	/* What is pure in its register form reads an operand in memory that is not its first. Rows with checks have other registers. */
	return insn->quiet || insn->condition || (insn->pure && !insn->check && !dec_is_mem(d, 0));
}

/* Is the next instruction quiet? One over two pages is not, nor is one of a page that the TLB does not know: nothing may be walked for a mere look. */
static bool quiet_here(struct cpu *c)
{
	u64 rip = c->r[RIP], linear = (rip + c->cs_base) & c->linear_mask, phys, to_limit = (u64)c->seg[CS].limit - rip + 1;
	const struct tlb_code *t = &code_view(c)->code[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];
	unsigned room = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	struct dec d;
	struct op o;
	u8 *host;

	if (in_64(c) ? !canonical(rip) : rip > c->seg[CS].limit)
		return false;
	if (t->known == TLB_NONE || (t->known ^ linear) & PAGE_MASK || !tlb_fetch(c, linear, &host, &phys) || !host)
		return false;
	if (!in_64(c) && to_limit < room)
		room = (unsigned)to_limit;
	return decode(c->isa, c->model, c->mode, host, room, &d, &o) == DECODE_OK && !d.raises && quiet(&d);
}

bool round_goes_on(struct round *round, struct cpu *c)
{
	u64 length = c->icount - round->icount;

	if (length && c->r[RIP] == round->r[RIP])
		round->closed = !c->attn && as_at_begin(round, c);
	else if (!c->attn && length < ROUND_MAX && quiet_here(c))
		return true;
	if (length) { /* the look has cost something */
		c->doubts = round->closed ? 0 : c->doubts < DOUBT_MAX / 2 ? 2 * c->doubts + 1 : DOUBT_MAX;
		c->doubts_left = c->doubts;
	}
	return false;
}
