/* SPDX-License-Identifier: MIT */
/* ld: -m elf_i386 -Ttext 0x7c00 --oformat binary */
/* cause: a boot sector has 512 bytes, the last two 55h and AAh */
	.code16
	.globl _start
_start:	cli
	hlt
