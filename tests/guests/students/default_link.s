/* SPDX-License-Identifier: MIT */
/* ld: -m elf_i386 -n */
/* cause: linked as a Linux program is */
	.include "start.inc"
_start:	hlt
