/* SPDX-License-Identifier: MIT */
/* options: --limit-time 1s */
/* cause: IRQ 0 is requested.*masked */
	.include "start.inc"
	.include "idt.inc"
	.include "timer.inc"
_start:	load_idt handler, 8, 2047
	timer 0x20, 0xff
	sti
1:	hlt
	jmp 1b
handler: iret
