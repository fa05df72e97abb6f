/* SPDX-License-Identifier: MIT */
/* as: --64 */
/* ld: -m elf_x86_64 -n -Ttext 0x100000 */
/* cause: a 64-bit ELF with a multiboot 1 header, which is for 32-bit ones */
	.include "start.inc"
_start:	hlt
