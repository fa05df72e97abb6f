/* SPDX-License-Identifier: MIT */
/* cause: the stack.*is not mapped.*stack overflow */
	.include "start.inc"
	.include "paging.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	paging 0, 512
	movl $0x1ff000, %esp
	movl $0, table + 4 * 500
	movl %cr3, %eax
	movl %eax, %cr3
again:	call again
handler: hlt
