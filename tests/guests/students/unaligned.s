/* SPDX-License-Identifier: MIT */
/* cause: which is not a multiple of 4 */
	.code32
	.byte 0x90
	.long 0x1badb002, 0, -0x1badb002
	.globl _start
_start:	hlt
