/* SPDX-License-Identifier: MIT */
/* String instructions. Repeated ones work on whole runs of host memory where nobody can tell, and otherwise element by
 * element.
 *
 * A repetition does at most CHUNK elements at a time and then, unless it is finished, stops at itself, so that
 * interrupts get in: each such part retires as one instruction. How long a part is depends on nothing but what the
 * guest sees; how it is done depends on the host. */
#include "cpu/insn/alu.h"
#include "cpu/jump.h"
#include "cpu/hook.h"
#include "cpu/system/system.h"

enum string { MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS };
enum { CHUNK = 4096 };

static inline bool uses_si(enum string what) { return what == MOVS || what == LODS || what == CMPS || what == OUTS; }
static inline bool uses_di(enum string what) { return what != LODS && what != OUTS; }
static inline bool compares(enum string what) { return what == CMPS || what == SCAS; }

/* Low part of a register as wide as addresses are; a 32-bit one clears the upper half when it is written. */
static u64 address_reg(const struct cpu *c, const struct op *o, unsigned reg)
{
	return c->r[reg] & op_amask(o);
}

static void set_address_reg(struct cpu *c, const struct op *o, unsigned reg, u64 v)
{
	reg_set(c, 8 * reg, op_asize(o), v);
}

/* ---- one element ---- */

static bool string_read(struct cpu *c, unsigned seg, u64 offset, unsigned size, u64 *v)
{
	u64 linear;

	return data_linear(c, seg, offset, size, false, &linear) && mem_read(c, linear, size, v);
}

static bool string_write(struct cpu *c, u64 offset, unsigned size, u64 v)
{
	u64 linear;

	return data_linear(c, ES, offset, size, true, &linear) && mem_write(c, linear, size, v);
}

/* The memory is known to be there before the port is read: a port may forget what it gave. */
static bool port_in(struct cpu *c, u64 di, unsigned size)
{
	u16 port = (u16)c->r[RDX];
	u64 linear, v;

	if (!io_allowed(c, port, size) || !data_linear(c, ES, di, size, true, &linear) ||
	    !mem_check_write(c, linear, size))
		return false;
	if (!io_read(c, port, size, &v) || !mem_write(c, linear, size, v))
		return false;
	observe(c, EVENT_PORT, port, v, size, false);
	return true;
}

static bool port_out(struct cpu *c, const struct op *o, u64 si, unsigned size)
{
	u16 port = (u16)c->r[RDX];
	u64 v;

	if (!io_allowed(c, port, size) || !string_read(c, o->seg, si, size, &v))
		return false;
	if (!io_write(c, port, size, &v))
		return false;
	observe(c, EVENT_PORT, port, v, size, true);
	return true;
}

/* What CMPS and SCAS compared last: A - B makes the flags. */
struct pair { u64 a, b; };

static bool element(struct cpu *c, const struct op *o, enum string what, u64 si, u64 di, struct pair *p)
{
	const unsigned size = o->osize;
	u64 v;

	switch (what) {
	case MOVS:
		return string_read(c, o->seg, si, size, &v) && string_write(c, di, size, v);
	case STOS:
		return string_write(c, di, size, reg_get(c, 8 * RAX, size));
	case LODS:
		if (!string_read(c, o->seg, si, size, &v))
			return false;
		reg_set(c, 8 * RAX, size, v);
		return true;
	case CMPS:
		return string_read(c, o->seg, si, size, &p->a) && string_read(c, ES, di, size, &p->b);
	case SCAS:
		p->a = reg_get(c, 8 * RAX, size);
		return string_read(c, ES, di, size, &p->b);
	case INS:
		return port_in(c, di, size);
	default:
		return port_out(c, o, si, size);
	}
}

static void compare_flags(struct cpu *c, const struct pair *p, unsigned size)
{
	set_flags_sum(c, p->a, p->b, p->a - p->b, size, true);
}

static u64 step_of(const struct cpu *c, const struct op *o)
{
	return c->eflags & FL_D ? (u64)0 - o->osize : o->osize;
}

static void advance(struct cpu *c, const struct op *o, enum string what, u64 by)
{
	if (uses_si(what))
		set_address_reg(c, o, RSI, c->r[RSI] + by);
	if (uses_di(what))
		set_address_reg(c, o, RDI, c->r[RDI] + by);
}

ALWAYS_INLINE bool once(struct cpu *c, const struct op *o, enum string what)
{
	struct pair p = { 0, 0 };

	if (!element(c, o, what, address_reg(c, o, RSI), address_reg(c, o, RDI), &p))
		return false;
	if (compares(what))
		compare_flags(c, &p, o->osize);
	advance(c, o, what, step_of(c, o));
	return true;
}

/* ---- runs ---- */

/* Where nothing answers, ones are read, and what is written goes nowhere. That need not be found out for every element
 * of a page: only for one, by element(), whose page walk is not to be seen earlier than it is made. Then it is among
 * these for the rest. */
struct holes { u64 from, to; /* pages (linear); NO_PAGE: none */ };
#define NO_PAGE ((u64)1)
static const u8 ones[PAGE_SIZE] = { [0 ... PAGE_SIZE - 1] = 0xff };

static bool is_ones(const u8 *host) { return (uintptr_t)host - (uintptr_t)ones < PAGE_SIZE; }

/* The page of OFFSET, which has just been accessed, if nothing answers in all of it, and nobody wants to hear of
 * accesses. */
static u64 hole(struct cpu *c, unsigned seg, u64 offset)
{
	u64 linear = linear_address(c, seg, offset) & PAGE_MASK, phys, end;

	if (c->view == &c->views[VIEW_SLOW] || c->dr[7] & 0xff || c->all->observer || hooked(c, HOOK_MEMORY | HOOK_MISSING) ||
	    c->all->missing_stops || !page_peek(c, linear, &phys))
		return NO_PAGE;
	phys &= c->mem->mask;
	return range_is_hole(space_find(c->mem, phys, &end)) && end - phys >= PAGE_SIZE ? linear : NO_PAGE;
}

/* How many elements from OFFSET on (downwards with DOWN) are within the segment, do not wrap, and have host memory that
 * may be touched directly, up to K; *host is the first one's. Where there is nothing it is among the ones, which are
 * not to be written. */
static u64 run(const struct cpu *c, const struct op *o, unsigned seg, u64 offset, bool write, bool down, u64 hole_page,
	       u64 k, u8 **host)
{
	const struct seg *s = &c->seg[seg];
	const unsigned size = o->osize;
	u64 end = in_64(c) ? ~(u64)0 : write ? s->write_end : s->read_end;
	u64 linear = linear_address(c, seg, offset), in_page = linear & (PAGE_SIZE - 1), last, n;

	if (offset + size > end || offset + size < offset || in_page + size > PAGE_SIZE)
		return 0;
	*host = fast_host(c, linear, size, write);
	/* of a page with code, only a granule may be written */
	if (write && c->view->tlb[linear >> PAGE_SHIFT & (TLB_SIZE - 1)].write != (linear & PAGE_MASK))
		*host = NULL;
	if (!*host) {
		if ((linear & PAGE_MASK) != hole_page)
			return 0;
		*host = (u8 *)ones + in_page;
	}
	last = (end - 1 < op_amask(o) ? end - 1 : op_amask(o)) - offset; /* distance to the last byte */
	if (down)
		n = (in_page < offset ? in_page : offset) / size + 1;
	else
		n = (PAGE_SIZE - 1 - in_page < last ? PAGE_SIZE - in_page : last + 1) / size;
	return n < k ? n : k;
}

/* As if element by element: a destination a little ahead of its source repeats what it has copied. */
static void copy_run(u8 *to, const u8 *from, unsigned size, u64 n, bool down)
{
	u64 len = n * size;

	if (down) {
		u8 *low_to = to + size - len;
		const u8 *low_from = from + size - len;

		if ((uintptr_t)low_from - (uintptr_t)low_to - 1 < len - 1) {
			for (; n; n--, to -= size, from -= size)
				put_size(to, size, get_size(from, size));
			return;
		}
		memmove(low_to, low_from, len);
		return;
	}
	if ((uintptr_t)to - (uintptr_t)from - 1 < len - 1) {
		for (; n; n--, to += size, from += size)
			put_size(to, size, get_size(from, size));
		return;
	}
	memmove(to, from, len);
}

static void fill_run(u8 *to, u64 v, unsigned size, u64 n, bool down)
{
	if (down)
		to -= (n - 1) * size;
	if (size == 1 || v == 0) {
		memset(to, (u8)v, n * size);
		return;
	}
	for (; n; n--, to += size)
		put_size(to, size, v);
}

/* Compare until the condition to go on fails. A fixed value has step 0. Returns the number of elements compared. */
ALWAYS_INLINE u64 compare_run_of(const u8 *a, s64 a_step, const u8 *b, s64 b_step, u64 n, unsigned size,
				 bool while_equal, struct pair *p)
{
	for (u64 i = 0; i < n; i++, a += a_step, b += b_step) {
		p->a = get_size(a, size);
		p->b = get_size(b, size);
		if ((p->a == p->b) != while_equal)
			return i + 1;
	}
	return n;
}

static u64 compare_run(const u8 *a, s64 a_step, const u8 *b, s64 b_step, u64 n, unsigned size, bool while_equal,
		       struct pair *p)
{
	switch (size) {
	case 1: return compare_run_of(a, a_step, b, b_step, n, 1, while_equal, p);
	case 2: return compare_run_of(a, a_step, b, b_step, n, 2, while_equal, p);
	case 4: return compare_run_of(a, a_step, b, b_step, n, 4, while_equal, p);
	default: return compare_run_of(a, a_step, b, b_step, n, 8, while_equal, p);
	}
}

/* INS from a device that gives many elements at once, where the port is allowed without a look at the TSS. */
static u64 port_run(struct cpu *c, const struct op *o, u8 *to, u64 k)
{
	if (((c->cr0 & CR0_PE) && ((c->eflags & FL_VM) || c->cpl > iopl(c))) || observes(c, EVENT_PORT) ||
	    hooked(c, HOOK_IN))
		return 0;
	cpu_ask(c);
	return space_read_string(c->io, (u16)c->r[RDX], o->osize, to, k);
}

/* Do up to K elements on host memory; how many were done, 0 if it cannot be had. */
ALWAYS_INLINE u64 do_run(struct cpu *c, const struct op *o, enum string what, const struct holes *holes, u64 k,
			 bool while_equal, struct pair *p)
{
	const unsigned size = o->osize;
	bool down = c->eflags & FL_D;
	s64 step = (s64)step_of(c, o);
	u8 *from = NULL, *to = NULL;
	u64 v = reg_get(c, 8 * RAX, size);
	bool nowhere;

	if (what == OUTS || (what == INS && down))
		return 0;
	if (uses_si(what))
		k = run(c, o, o->seg, address_reg(c, o, RSI), false, down, holes->from, k, &from);
	if (k && uses_di(what))
		k = run(c, o, ES, address_reg(c, o, RDI), !compares(what), down, holes->to, k, &to);
	if (!k)
		return 0;
	nowhere = is_ones(to);
	switch (what) {
	case INS:
		return nowhere ? 0 : port_run(c, o, to, k);
	case MOVS:
		if (is_ones(from) && !nowhere && c->cr0 & CR0_PG) /* that may be the page tables of where it reads */
			return 0;
		if (!nowhere)
			copy_run(to, from, size, k, down);
		return k;
	case STOS:
		if (!nowhere)
			fill_run(to, v, size, k, down);
		return k;
	case LODS:
		reg_set(c, 8 * RAX, size, get_size(from + (s64)(k - 1) * step, size));
		return k;
	case CMPS:
		return compare_run(from, step, to, step, k, size, while_equal, p);
	default: /* SCAS */
		return compare_run((u8 *)&v, 0, to, step, k, size, while_equal, p);
	}
}

/* Ends: count 0, the condition of CMPS and SCAS, a fault (what is done is done, and RIP stays), a data breakpoint, the
 * chunk. With TF every element is a step of its own. Flags change only at the end (SDM vol. 2, REP: a fault restores
 * them); AMD's processors leave those of the last element that was compared. */
ALWAYS_INLINE bool repeat(struct cpu *c, const struct op *o, enum string what)
{
	const bool while_equal = o->rep == 3;
	u64 count = address_reg(c, o, RCX), part = c->eflags & FL_T ? 1 : CHUNK, budget = part;
	struct pair p = { 0, 0 }, last = p;
	struct holes holes = { NO_PAGE, NO_PAGE };
	bool amd = is_amd(c->model), compared = false, over = !count;

	/* even if there is nothing to move */
	if ((what == INS || what == OUTS) && !io_allowed(c, (u16)c->r[RDX], o->osize))
		return false;
	/* With 32-bit addresses upper halves go, whether or not anything is moved: RCX's always, RSI's and RDI's as
	 * Intel's processors have it. AMD's write registers only when an element is done. */
	if (!amd)
		set_address_reg(c, o, RCX, count);
	if (!amd && (what == MOVS || what == STOS))
		advance(c, o, what, 0);
	while (!over && budget) {
		u64 n = do_run(c, o, what, &holes, count < budget ? count : budget, while_equal, &p);

		if (!n) {
			u64 si = address_reg(c, o, RSI), di = address_reg(c, o, RDI);

			if (!element(c, o, what, si, di, &p)) {
				if (amd && compares(what) && compared)
					compare_flags(c, &last, o->osize);
				return false;
			}
			if (space_missed(c->mem))
				holes = (struct holes){ uses_si(what) ? hole(c, o->seg, si) : NO_PAGE,
							uses_di(what) ? hole(c, ES, di) : NO_PAGE };
			n = 1;
		}
		advance(c, o, what, n * step_of(c, o));
		set_address_reg(c, o, RCX, count -= n);
		budget -= n;
		compared = true;
		last = p;
		over = !count || (compares(what) && (p.a == p.b) != while_equal);
		if (c->db_pending)
			break;
	}
	if (compares(what) && compared && (over || amd || c->eflags & FL_T))
		compare_flags(c, &p, o->osize);
	c->r[RIP] = over ? next_rip(c, o) : op_rip(c, o);
	labour(c, (u32)(part - budget));
	if (!over) {
		c->rep_at = icount_after(c);
		hook_checks(c);
	}
	return true;
}

/* ---- the instructions ---- */

/* The element's size is that of the operand in memory; the segment is not that of a ModRM operand. */
static void prepare(const struct dec *d, struct op *o)
{
	unsigned memory = dec_kind(d, 0) == OPK_X || dec_kind(d, 0) == OPK_Y ? 0 : 1;

	o->osize = dec_size(d, memory) & 15;
	o->seg = d->seg & 7;
}

#define STRING(name, NAME) \
	BODY(name) { return once(c, o, NAME); } \
	BODY_HANDLER(name) \
	GEN(name) { prepare(d, o); o->run = h_##name; } \
	BODY(name##_rep) { return repeat(c, o, NAME); } \
	FLOW_HANDLER(name##_rep) \
	GEN(name##_rep) { prepare(d, o); o->run = h_##name##_rep; }
STRING(movs, MOVS)
STRING(stos, STOS)
STRING(lods, LODS)
STRING(cmps, CMPS)
STRING(scas, SCAS)
STRING(ins, INS)
STRING(outs, OUTS)
