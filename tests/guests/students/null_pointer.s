/* SPDX-License-Identifier: MIT */
/* cause: read of address 00000008, which is not mapped.*null pointer */
	.include "start.inc"
	.include "paging.inc"
_start:	paging 1, 256
	xorl %eax, %eax
	movl 8(%eax), %eax
