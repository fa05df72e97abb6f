/* SPDX-License-Identifier: MIT */
/* cause: no display.*--display text */
	.include "start.inc"
_start:	movw $0x0741, 0xb8000
	cli
	hlt
