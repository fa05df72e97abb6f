/* SPDX-License-Identifier: MIT */
/* cause: division by zero.*no IDT: LIDT has not been executed */
	.include "start.inc"
_start:	xorl %edx, %edx
	xorl %ecx, %ecx
	movl $1, %eax
	divl %ecx
