/* SPDX-License-Identifier: MIT */
/* cause: vector 128 is beyond the limit ff of the IDT, which has 32 gates */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 255
	movl $0, idt + 8 * 8 + 4
	movl $0, idt + 13 * 8 + 4
	int $0x80
handler: hlt
