/* SPDX-License-Identifier: MIT */
/* cause: it has neither a multiboot header nor a PVH note */
	.code32
	.globl _start
_start:	hlt
