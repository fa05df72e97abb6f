/* SPDX-License-Identifier: MIT */
/* cause: write to address 00180000, which its page does not allow */
	.include "start.inc"
	.include "paging.inc"
_start:	paging 0, 512
	andl $~2, table + 4 * 384
	movl %cr0, %eax
	orl $0x10000, %eax
	movl %eax, %cr0
	movl %eax, 0x180000
