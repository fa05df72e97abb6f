/* SPDX-License-Identifier: MIT */
/* cause: IRQ 0 came through vector 8, .*8259.*not been remapped */
	.include "start.inc"
	.include "idt.inc"
	.include "timer.inc"
_start:	load_idt handler, 8, 2047
	movl $0, idt + 8 * 8 + 4
	timer 8, 0xfe
	movl $0, idt + 13 * 8 + 4
	movl $0, idt + 11 * 8 + 4
	sti
1:	hlt
	jmp 1b
handler: iret
