/* SPDX-License-Identifier: MIT */
/* cause: the multiboot 2 header (offset [0-9]*, 16 bytes) has no end tag (type 0, 8 bytes) */
	.code32
	.align 8
	.long 0xe85250d6, 0, 16, -(0xe85250d6 + 16)
	.globl _start
_start:	hlt
