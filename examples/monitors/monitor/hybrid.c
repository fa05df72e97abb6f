/* SPDX-License-Identifier: MIT */
/* A hybrid monitor (Popek and Goldberg's theorem 3): the guest's kernel is interpreted, its programs run directly.
 *
 * Try: interpret the programs, too. What does the hostile kernel print then? */
#include "monitor.h"

void monitor_main(void)
{
	boot_guest();
	deprivileged_init(3);
	for (;;) {
		__asm__ volatile("sti; nop; cli" : : : "memory");
		settle();
		if (cpl() == 3) {
			handle_trap(run_direct());
		} else {
			count("+interpreted instructions");
			interpret();
		}
	}
}
