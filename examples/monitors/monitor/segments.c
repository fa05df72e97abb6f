/* SPDX-License-Identifier: MIT */
/* Segments, far transfers, exceptions and IRET of the virtual processor (SDM vol. 3, chapters 3, 5, 6), for a guest
 * with flat segments: a base is added, limits are not checked. Not here: call gates, task switches, LDTs,
 * virtual-8086 mode. */
#include "monitor.h"

enum { VECTOR_TS = 10, VECTOR_NP = 11, VECTOR_SS = 12, VECTOR_GP = 13 };
enum { ACCESS_PRESENT = 0x80, ACCESS_S = 0x10, ACCESS_CODE = 8, ACCESS_CONFORMING = 4, ACCESS_RW = 2 };

static u32 dpl(const struct segment *s) { return s->access >> 5 & 3; }

struct segment describe(u16 selector)
{
	struct segment s = { .selector = selector };
	u32 low, high, at = selector & 0xfff8u;

	if (!at || selector & 4 || at + 7 > cpu.gdtr.limit)
		return s;
	low = load(cpu.gdtr.base + at, 4, 0);
	high = load(cpu.gdtr.base + at + 4, 4, 0);
	s.base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000);
	s.limit = (low & 0xffff) | (high & 0xf0000);
	s.access = high >> 8 & 0xf0ff;
	if (s.access & 0x8000)
		s.limit = s.limit << 12 | 0xfff;
	return s;
}

void load_segment(unsigned which, u16 selector)
{
	struct segment s = describe(selector);
	u32 error = selector & 0xfffcu, rpl = selector & 3u;

	if (which != SS && !error) {
		cpu.seg[which] = s;
		return;
	}
	if (!(s.access & ACCESS_S) ||
	    (which == SS && (rpl != cpl() || dpl(&s) != cpl() || s.access & ACCESS_CODE || !(s.access & ACCESS_RW))) ||
	    (s.access & ACCESS_CODE && !(s.access & ACCESS_RW)) ||
	    ((s.access & (ACCESS_CODE | ACCESS_CONFORMING)) != (ACCESS_CODE | ACCESS_CONFORMING) &&
	     (rpl > dpl(&s) || cpl() > dpl(&s))))
		fault(VECTOR_GP, error);
	if (!(s.access & ACCESS_PRESENT))
		fault(which == SS ? VECTOR_SS : VECTOR_NP, error);
	cpu.seg[which] = s;
	cpu.inhibit = which == SS;
}

/* A code segment that may run at LEVEL. */
static struct segment code_segment(u16 selector, u32 level)
{
	struct segment s = describe(selector);

	if ((s.access & (ACCESS_S | ACCESS_CODE)) != (ACCESS_S | ACCESS_CODE) ||
	    (s.access & ACCESS_CONFORMING ? dpl(&s) > level : dpl(&s) != level))
		fault(VECTOR_GP, selector & 0xfffcu);
	if (!(s.access & ACCESS_PRESENT))
		fault(VECTOR_NP, selector & 0xfffcu);
	s.selector = (selector & ~3u) | level;
	return s;
}

static u32 user_access(void) { return cpl() == 3 ? ACCESS_USER : 0; }

void push(u32 value)
{
	store(cpu.seg[SS].base + cpu.r[ESP] - 4, 4, value, user_access());
	cpu.r[ESP] -= 4;
}

u32 pop(void)
{
	u32 value = load(cpu.seg[SS].base + cpu.r[ESP], 4, user_access());

	cpu.r[ESP] += 4;
	return value;
}

void far_jump(u16 selector, u32 eip)
{
	cpu.seg[CS] = code_segment(selector, cpl());
	cpu.eip = eip;
}

/* To an outer level: its stack is behind CS:EIP; data segments of inner levels are lost. */
static void return_to(u32 eip, u16 selector, unsigned release)
{
	u32 level = selector & 3u;
	struct segment code;

	if (level < cpl())
		fault(VECTOR_GP, selector & 0xfffcu);
	code = code_segment(selector, level);
	cpu.r[ESP] += release;
	if (level > cpl()) {
		u32 esp = pop();
		u16 stack = (u16)pop();

		cpu.seg[CS] = code;
		cpu.r[ESP] = esp + release;
		load_segment(SS, stack);
		cpu.inhibit = false;
		for (unsigned i = 0; i < SEGMENTS; i++)
			if (i != CS && i != SS && dpl(&cpu.seg[i]) < level)
				cpu.seg[i] = (struct segment){ 0 };
	}
	cpu.seg[CS] = code;
	cpu.eip = eip;
}

void far_return(unsigned release)
{
	u32 eip = pop();

	return_to(eip, (u16)pop(), release);
}

void interrupt_return(void)
{
	u32 eip = pop(), cs = pop(), flags = pop(), level = cpl();
	u32 mask = FLAGS_NATIVE | FLAG_NT | (level == 0 ? FLAGS_IOPL : 0) |
		   (level <= (cpu.eflags >> 12 & 3) ? FLAG_IF : 0);

	return_to(eip, (u16)cs, 0);
	cpu.eflags = (cpu.eflags & ~mask) | (flags & mask) | 2;
}

void deliver(unsigned vector, bool software, bool has_error, u32 error)
{
	u32 low, high, flags = cpu.eflags, place = vector * 8 + 2, level = cpl();
	struct segment code, old_code = cpu.seg[CS];

	if (place + 5 > cpu.idtr.limit)
		fault(VECTOR_GP, place);
	low = load(cpu.idtr.base + vector * 8, 4, 0);
	high = load(cpu.idtr.base + vector * 8 + 4, 4, 0);
	if ((high >> 8 & 0x1e) != 0x0e || (software && (high >> 13 & 3) < level))
		fault(VECTOR_GP, place);
	if (!(high & 0x8000))
		fault(VECTOR_NP, place);
	code = describe((u16)(low >> 16));
	if ((code.access & (ACCESS_S | ACCESS_CODE)) != (ACCESS_S | ACCESS_CODE) || dpl(&code) > level)
		fault(VECTOR_GP, low >> 16 & 0xfffc);
	if (!(code.access & ACCESS_CONFORMING) && dpl(&code) < level) {
		u32 esp = cpu.r[ESP], ss = cpu.seg[SS].selector, inner = dpl(&code);

		cpu.r[ESP] = load(cpu.tr.base + 4 + inner * 8, 4, 0);
		cpu.seg[CS].selector = (cpu.seg[CS].selector & ~3u) | inner;
		load_segment(SS, (u16)load(cpu.tr.base + 8 + inner * 8, 2, 0));
		cpu.inhibit = false;
		level = inner;
		push(ss);
		push(esp);
	}
	push(flags);
	push(old_code.selector);
	push(cpu.eip);
	if (has_error)
		push(error);
	code.selector = (low >> 16 & ~3u) | level;
	cpu.seg[CS] = code;
	cpu.eip = (low & 0xffff) | (high & 0xffff0000);
	cpu.eflags &= ~(u32)(FLAG_NT | 0x100 | (high & 0x100 ? 0 : FLAG_IF));
}
