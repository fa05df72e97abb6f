/* SPDX-License-Identifier: MIT */
/* cause: selector.*0030.*beyond the limit of the GDT */
	.include "start.inc"
_start:	movl $0x30, %eax
	movl %eax, %ds
