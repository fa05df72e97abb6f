/* SPDX-License-Identifier: MIT */
/* options: --limit 1000000 */
/* cause: runs at address 0.*null */
	.include "start.inc"
_start:	xorl %eax, %eax
	movl $0x0b0f, (%eax)
	call *%eax
