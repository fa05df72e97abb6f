/* SPDX-License-Identifier: MIT */
/* cause: HLT with interrupts on, and no device is going to send one */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	sti
1:	hlt
	jmp 1b
handler: iret
