/* SPDX-License-Identifier: MIT */
/* cause: HLT with interrupts off (IF is clear) */
	.include "start.inc"
_start:	cli
	hlt
