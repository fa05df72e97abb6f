/* SPDX-License-Identifier: MIT */
/* cause: paging is on, and the page of the next instruction itself.*is not mapped */
	.include "start.inc"
	.include "paging.inc"
_start:	paging 0, 256
	hlt
