/* SPDX-License-Identifier: MIT */
/* The guest on the machine's own processor, with fewer rights than it believes to have: its programs at CPL 3, its
 * kernel at CPL 3 or 1. Its descriptors are copied, with that level; at CPL 1 their limits end below the monitor,
 * since pages do not protect from CPL 1. What needs CPL 0 traps into the monitor. */
#include "monitor.h"

static unsigned ring;

static u64 shadow_descriptor(u64 descriptor)
{
	u32 low = (u32)descriptor, high = (u32)(descriptor >> 32), dpl = high >> 13 & 3;
	u32 limit = (low & 0xffff) | (high & 0xf0000);

	bool flat = !(low >> 16) && !(high & 0xff0000ff), down = (high & 0xc00) == 0x400;

	if (!(high & 0x1000)) /* system segments: the monitor does what they are for */
		return 0;
	if (ring == 1 && (!flat || down)) /* it could reach the monitor: each access traps */
		return 0;
	if (dpl < ring)
		high = (high & ~0x6000u) | ring << 13;
	if (ring == 1 && high & 0x800000 && limit > (TOP - 1) >> 12) {
		limit = (TOP - 1) >> 12;
		low = (low & 0xffff0000) | (limit & 0xffff);
		high = (high & ~0xf0000u) | (limit & 0xf0000);
	}
	return (u64)(high | 0x100) << 32 | low;
}

/* The guest's table, after an LGDT. A change in the table is not seen before. */
static void copy_gdt(void)
{
	if (!cpu.new_gdt)
		return;
	cpu.new_gdt = false;
	for (unsigned i = 1; i < GUEST_DESCRIPTORS; i++) {
		u64 descriptor = 0;
		struct page page;
		u32 error, linear = cpu.gdtr.base + i * 8;

		if (i * 8 + 7 <= cpu.gdtr.limit && walk(linear, 0, &page, &error) && page.physical < GUEST_RAM)
			descriptor = *(u64 *)(GUEST_WINDOW + page.physical + linear % PAGE);
		gdt[i] = shadow_descriptor(descriptor);
	}
}

void deprivileged_init(unsigned level)
{
	ring = level;
	gdt[1] = shadow_descriptor(0xcf9b000000ffff); /* those of the loader */
	gdt[2] = shadow_descriptor(0xcf93000000ffff);
	shadow_init(true, ring == 3);
}

/* A data segment that the processor accepts; a null selector otherwise. */
static u32 data_selector(unsigned which)
{
	u32 selector = cpu.seg[which].selector, index = selector >> 3,
	    access = index < GUEST_DESCRIPTORS ? (u32)(gdt[index] >> 40) & 0xff : 0;

	return (access & 0x90) == 0x90 && (access & 0x0a) != 8 && (access >> 5 & 3) >= (selector & 3) ? selector : 0;
}

static u32 at_ring(unsigned which)
{
	return (cpu.seg[which].selector & ~3u) | (cpl() == 3 ? 3 : ring);
}

static void to_frame(void)
{
	frame.eax = cpu.r[EAX], frame.ecx = cpu.r[ECX], frame.edx = cpu.r[EDX], frame.ebx = cpu.r[EBX];
	frame.esp = cpu.r[ESP], frame.ebp = cpu.r[EBP], frame.esi = cpu.r[ESI], frame.edi = cpu.r[EDI];
	frame.eip = cpu.eip;
	frame.eflags = (cpu.eflags & FLAGS_NATIVE) | FLAG_IF | 2;
	frame.cs = at_ring(CS);
	frame.ss = at_ring(SS);
	frame.ds = data_selector(DS), frame.es = data_selector(ES);
	frame.fs = data_selector(FS), frame.gs = data_selector(GS);
}

/* A selector that the guest has loaded without a trap. */
static void from_selector(unsigned which, u32 selector)
{
	if (selector != cpu.seg[which].selector)
		cpu.seg[which] = describe((u16)selector);
}

static void from_frame(bool translated)
{
	u32 level = ring == 3 ? cpl() : (frame.cs & 3) == 3 ? 3 : 0;

	cpu.r[EAX] = frame.eax, cpu.r[ECX] = frame.ecx, cpu.r[EDX] = frame.edx, cpu.r[EBX] = frame.ebx;
	cpu.r[ESP] = frame.esp, cpu.r[EBP] = frame.ebp, cpu.r[ESI] = frame.esi, cpu.r[EDI] = frame.edi;
	cpu.eip = frame.eip;
	cpu.eflags = (cpu.eflags & ~(u32)FLAGS_NATIVE) | (frame.eflags & FLAGS_NATIVE);
	if (!translated)
		from_selector(CS, (frame.cs & 0xfffc) | level);
	from_selector(SS, (frame.ss & 0xfffc) | level);
	if (data_selector(DS) != frame.ds)
		from_selector(DS, frame.ds & 0xffff);
	if (data_selector(ES) != frame.es)
		from_selector(ES, frame.es & 0xffff);
	if (data_selector(FS) != frame.fs)
		from_selector(FS, frame.fs & 0xffff);
	if (!translated && data_selector(GS) != frame.gs)
		from_selector(GS, frame.gs & 0xffff);
}

unsigned run_direct(void)
{
	unsigned vector;

	copy_gdt();
	to_frame();
	set_cr3(shadow_directory());
	vector = enter_guest();
	from_frame(false);
	return vector;
}

unsigned run_translated(u32 at)
{
	unsigned vector;

	copy_gdt();
	to_frame();
	frame.cs = CACHE_CODE;
	frame.gs = CACHE_DATA;
	frame.eip = at;
	set_cr3(shadow_directory());
	vector = enter_guest();
	from_frame(true);
	return vector;
}

bool handle_page_fault(void)
{
	u32 linear = get_cr2(), error, access = (frame.error & 2 ? ACCESS_WRITE : 0) | (cpl() == 3 ? ACCESS_USER : 0);
	enum shadow what = shadow_fault(linear, access, &error);

	if (what == SHADOW_FILLED) {
		count("page faults: shadow");
	} else if (what == SHADOW_FAULT) {
		count("page faults: the guest's");
		cpu.cr2 = linear;
		exception(14, error);
	} else {
		count("page faults: no page");
		interpret();
	}
	return what == SHADOW_FILLED;
}

void handle_trap(unsigned vector)
{
	struct insn insn;
	u32 code = cpu.seg[CS].base + cpu.eip;
	struct page page;
	u32 error;

	if (vector == 14) {
		handle_page_fault();
	} else if (vector >= 32 && vector < 48) {
		count("interrupts");
		interrupt_line(vector - 32);
	} else if (vector >= 11 && vector <= 13) {
		bool known = walk(code, 0, &page, &error) && page.physical < GUEST_RAM &&
			     decode(GUEST_WINDOW + page.physical + code % PAGE, PAGE - code % PAGE, &insn);

		count(known ? insn_name(&insn) : "others");
		interpret();
	} else {
		count("exceptions");
		exception(vector, frame.error);
	}
}
