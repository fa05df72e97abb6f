/* SPDX-License-Identifier: MIT */
/* cause: general protection.*its handler cannot be entered.*IDT entry 13 */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	movl $0, idt + 8 * 8 + 4
	movl $0, idt + 13 * 8 + 4
	movl $0x100, %eax
	movl %eax, %ds
handler: hlt
