/* SPDX-License-Identifier: MIT */
/* cause: the multiboot 2 header wants a display, and there is none (--display vga) */
	.code32
	.align 8
header:	.long 0xe85250d6, 0, end - header, -(0xe85250d6 + (end - header))
	.word 5, 0
	.long 20, 1024, 768, 32
	.align 8
	.word 0, 0
	.long 8
end:
	.globl _start
_start:	hlt
