/* SPDX-License-Identifier: MIT */
/* cause: its handler cannot be entered.*selector 0010.*no code segment */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 16, 2047
	ud2
handler: hlt
