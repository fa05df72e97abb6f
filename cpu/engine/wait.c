/* The proof that a processor waits.
 *
 *     round_begin()   r[], EFLAGS, page walks, calls of devices             A:  mov ax, [46Ch]        B:  in al, dx
 *         |                                                                     cmp ax, bx                test al, 8
 *     each instruction is looked at before it is executed: it reads memory      je A                      jz B
 *     or a device and changes general registers, EFLAGS and RIP, nothing else
 *         |
 *     back at A with the same registers and flags, no page was walked, and each device that was called has said until when its answer stays
 *
 * Then the next round starts from the same state, reads the same bytes, and ends like this one. The TLB is a part of
 * the state: without a page walk nothing in it has changed. Memory changes by a store, a page walk (A and D), a
 * device's event or the caller; none of them comes before the end that run.c knows. Nor does another answer of a
 * device: only what calls clock_steady() may be polled. */
#include "cpu/engine/wait.h"
#include "cpu/op.h"

enum {
	ROUND_MAX = 64, /* instructions; longer rounds are not found */
	WORTH = 1000,   /* instructions that pay for a look */
};

/* A read may leave a trap behind. */
static bool breakpoints(const struct cpu *c) { return c->dr[7] & 0xff; }

bool round_pays(const struct cpu *c, s64 n)
{
	return n >= WORTH && !c->all->no_skip_waiting && !c->all->observer && !breakpoints(c);
}

/* Calls of devices that may have an effect, or may give another answer next time. */
static u64 unsteady(const struct cpu *c) { return c->mem->calls + c->io->calls - c->clock->steady_answers; }

void round_begin(struct round *round, struct cpu *c)
{
	*round = (struct round){ .icount = c->icount, .walks = c->walks, .flags = cpu_flags(c), .unsteady = unsteady(c) };
	memcpy(round->r, c->r, sizeof round->r);
	c->clock->steady_until = CLOCK_NEVER;
	c->labour = 0; /* else it would leave some rounds for a look at `asked' */
}

static bool as_at_begin(const struct round *round, const struct cpu *c)
{
	return !memcmp(round->r, c->r, sizeof round->r) && round->flags == cpu_flags(c) && round->walks == c->walks && round->unsteady == unsteady(c);
}

bool quiet(const struct dec *d)
{
	const struct insn *insn = d->row->insn;

	/* What is pure in its register form reads an operand in memory that is not its first. Rows with checks have other
	 * registers. */
	return insn->quiet || insn->condition || (insn->pure && !insn->check && !dec_is_mem(d, 0));
}

/* Is the next instruction quiet? One over two pages is not, nor is one of a page that the TLB does not know: nothing
 * may be walked for a mere look. */
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

	if (c->attn || length == ROUND_MAX)
		return false;
	if (!length || c->r[RIP] != round->r[RIP])
		return quiet_here(c);
	round->closed = as_at_begin(round, c);
	return false;
}
