/* SPDX-License-Identifier: MIT */
/* The machine's interrupts, and when the guest gets its own. */
#include "monitor.h"

/* A trap of the monitor itself: an interrupt while it waits. */
void monitor_trap(const struct frame *f);
void monitor_trap(const struct frame *f)
{
	if (f->vector < 32 || f->vector >= 48) {
		say("monitor: vector ");
		say_hex(f->vector);
		say(" at ");
		say_hex(f->eip);
		die("");
	}
	count("interrupts");
	interrupt_line(f->vector - 32);
}

void wait_for_interrupt(void)
{
	if (!(cpu.eflags & FLAG_IF))
		die("the guest halts with interrupts off");
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

void settle(void)
{
	for (;;) {
		if (cpu.eflags & FLAG_IF && !cpu.inhibit && interrupt_pending() >= 0) {
			cpu.halted = false;
			exception((unsigned)interrupt_accept(), 0);
		}
		if (!cpu.halted)
			return;
		wait_for_interrupt();
	}
}
