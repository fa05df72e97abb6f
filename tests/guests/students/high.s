/* SPDX-License-Identifier: MIT */
/* ld: -m elf_i386 -n -Ttext 0xc0100000 */
/* cause: AT() in the linker script */
	.include "start.inc"
_start:	hlt
