/* SPDX-License-Identifier: MIT */
/* cause: its multiboot 2 header (offset [0-9]*) is not valid: the checksum is 7; it must be 17adaf12 */
	.code32
	.align 8
	.long 0xe85250d6, 0, 24, 7
	.word 0, 0
	.long 8
	.globl _start
_start:	hlt
