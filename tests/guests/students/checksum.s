/* SPDX-License-Identifier: MIT */
/* cause: checksum is e4524ffe; it must be e4524ffb */
	.code32
	.align 4
	.long 0x1badb002, 3, -0x1badb002
	.globl _start
_start:	hlt
