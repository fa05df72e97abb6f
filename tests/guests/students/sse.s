/* SPDX-License-Identifier: MIT */
/* cause: an SSE instruction, but CR4.OSFXSR is clear.*no IDT */
	.include "start.inc"
_start:	xorps %xmm0, %xmm0
