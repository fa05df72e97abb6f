/* SPDX-License-Identifier: MIT */
/* A paravirtual monitor: its guest is the kernel ported to hypercalls, at CPL 1. What a kernel keeps for its
 * processor (descriptor tables, task) the monitor keeps in its place, in the guest's low memory, so that exceptions
 * and IRET are those of segments.c. The interrupt flag is a word of the guest's.
 *
 * Try: a hypercall that maps pages, with a check, in place of shadow page tables (as in Xen). */
#include "monitor.h"
#include "hypercalls.h"

enum { GDT = 0x1000, TASK = 0x1100, IDT = 0x1800, VECTORS = 256 };
static u32 shared_at; /* physical; 0: none yet */
static u32 sector_data[128];

static void store_low(u32 at, u32 value) { *(u32 *)(GUEST_WINDOW + at) = value; }

static void make_tables(void)
{
	static const u32 high[] = { 0, 0xcf9b00, 0xcf9300, 0xcffb00, 0xcff300 };

	for (u32 i = 1; i < sizeof high / sizeof *high; i++)
		store_low(GDT + i * 8, 0xffff), store_low(GDT + i * 8 + 4, high[i]);
	store_low(TASK + 8, 0x10);
	cpu.new_gdt = true;
	cpu.gdtr = (struct table){ GDT, 5 * 8 - 1 };
	cpu.idtr = (struct table){ IDT, VECTORS * 8 - 1 };
	cpu.tr = (struct segment){ 0x28, TASK, 0x67, 0x8b };
}

static void set_traps(u32 handlers)
{
	for (u32 i = 0; i < VECTORS; i++) {
		u32 to = load(handlers + i * 4, 4, 0);

		store_low(IDT + i * 8, (to & 0xffff) | 0x80000);
		store_low(IDT + i * 8 + 4, (to & 0xffff0000) | (to ? 0x8e00 : 0) | (i == 0x80 ? 0x6000 : 0));
	}
}

static void set_pages(u32 directory)
{
	cpu.cr3 = directory;
	cpu.cr0 |= CR0_PG | CR0_WP;
	shadow_flush();
}

static void set_timer(u32 vector, u32 hz)
{
	port_write(0x20, 1, 0x11); /* the guest's 8259A: the vector, and each interrupt ends by itself */
	port_write(0x21, 1, vector & 0xf8), port_write(0x21, 1, 4), port_write(0x21, 1, 3);
	port_write(0x21, 1, 0xfe);
	if (hz >= 100 && hz <= 100000)
		timer_program(4, (u16)(1193182 / hz));
}

static u32 transfer(u32 sector, u32 data, bool write)
{
	if (write)
		for (u32 i = 0; i < 128; i++)
			sector_data[i] = load(data + i * 4, 4, 0);
	if (!disk_sector(sector, sector_data, write))
		return ~0u;
	if (!write)
		for (u32 i = 0; i < 128; i++)
			store(data + i * 4, 4, sector_data[i], 0);
	return 0;
}

static void hypercall(void)
{
	u32 number = cpu.r[EAX], b = cpu.r[EBX], c = cpu.r[ECX];

	cpu.eip += 2;
	switch (number) {
	case HYPERCALL_IRET: cpu.r[EAX] = pop(), interrupt_return(); break;
	case HYPERCALL_TRAPS: set_traps(b); break;
	case HYPERCALL_STACK: store_low(TASK + 4, b); break;
	case HYPERCALL_PAGES: set_pages(b); break;
	case HYPERCALL_INVALIDATE: shadow_invalidate(b); break;
	case HYPERCALL_SHARED: shared_at = b <= GUEST_RAM - sizeof(struct shared) ? b : 0; break;
	case HYPERCALL_INTERRUPTS: break;
	case HYPERCALL_WAIT: cpu.eflags |= FLAG_IF, cpu.halted = true; break;
	case HYPERCALL_CONSOLE:
		for (u32 i = 0; i < c; i++)
			console((char)load(b + i, 1, 0));
		break;
	case HYPERCALL_DISK: cpu.r[EAX] = transfer(b, c, cpu.r[EDX]); break;
	case HYPERCALL_TIMER: set_timer(b, c); break;
	case HYPERCALL_POWER_OFF: finish();
	default: cpu.r[EAX] = ~0u;
	}
}

static const char *hypercall_name(u32 number)
{
	static const char *const names[] = { "iret",       "traps", "stack",   "pages", "invalidate", "shared",
					     "interrupts", "wait",  "console", "disk",  "timer",      "power off" };

	return number < sizeof names / sizeof *names ? names[number] : "unknown hypercall";
}

void monitor_main(void)
{
	struct shared nowhere = { 0, 0 };

	boot_guest();
	make_tables();
	deprivileged_init(1);
	for (;;) {
		struct shared *shared = shared_at ? (struct shared *)(GUEST_WINDOW + shared_at) : &nowhere;
		unsigned vector;

		settle();
		shared->interrupts = cpu.eflags & FLAG_IF ? 1 : 0;
		shared->pending = interrupt_pending() >= 0;
		vector = run_direct();
		cpu.eflags = (cpu.eflags & ~(u32)FLAG_IF) | (shared->interrupts ? FLAG_IF : 0);
		if (vector == HYPERCALL) {
			count(hypercall_name(cpu.r[EAX]));
			cpu.eip -= 2;
			attempt(hypercall);
		} else {
			handle_trap(vector);
		}
	}
}
