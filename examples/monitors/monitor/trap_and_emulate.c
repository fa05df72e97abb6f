/* SPDX-License-Identifier: MIT */
/* Trap and emulate: the guest runs at CPL RING (3, or 1: ring compression), and the monitor interprets what traps.
 * That is the construction of Popek and Goldberg's theorem 1, on a processor for which it does not hold: see which
 * instructions do not trap with `monitors --silent trap3`.
 *
 * Try: `build SOURCES DIRECTORY -DUMIP' (SGDT, SIDT, SLDT, SMSW and STR trap at CPL 3). What is still wrong? */
#include "monitor.h"

void monitor_main(void)
{
	boot_guest();
	deprivileged_init(RING);
	for (;;) {
		settle();
		handle_trap(run_direct());
	}
}
