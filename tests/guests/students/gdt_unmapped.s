/* SPDX-License-Identifier: MIT */
/* cause: the GDT at .* is not mapped */
	.include "start.inc"
	.include "paging.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	paging 256, 256
	ud2
handler: hlt
