/* SPDX-License-Identifier: MIT */
/* ld: -m elf_i386 -Ttext 0x7c00 --oformat binary */
/* cause: the wrong way round */
	.code16
	.globl _start
_start:	cli
	hlt
	.org 510
	.byte 0xaa, 0x55
