/* SPDX-License-Identifier: MIT */
/* cause: IRET found CS 1234, EIP 0010000c.* on the stack */
	.include "start.inc"
_start:	pushl $2
	pushl $0x1234
	pushl $_start
	iret
