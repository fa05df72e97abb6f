/* SPDX-License-Identifier: MIT */
/* cause: the stack.*ESP 00200000.*is not mapped */
	.include "start.inc"
	.include "paging.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	paging 0, 512
	movl $0x200000, %esp
	movl $0, table + 4 * 511
	movl %cr3, %eax
	movl %eax, %cr3
	pushl %eax
handler: hlt
