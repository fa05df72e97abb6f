/* SPDX-License-Identifier: MIT */
/* cause: behind the first 8192 bytes */
	.code32
	.globl _start
_start:	hlt
	.skip 9000
	.align 4
	.long 0x1badb002, 0, -0x1badb002
