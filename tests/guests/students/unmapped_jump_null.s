/* SPDX-License-Identifier: MIT */
/* cause: jumped to 0, which is not mapped.*null */
	.include "start.inc"
	.include "paging.inc"
_start:	paging 1, 256
	xorl %eax, %eax
	call *%eax
