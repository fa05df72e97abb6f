/* SPDX-License-Identifier: MIT */
/* cause: the IDT at .* is not mapped */
	.include "start.inc"
	.include "paging.inc"
	.section .text
_start:	lidt pointer
	paging 256, 256
	ud2
pointer: .word 2047
	.long 0x800000
