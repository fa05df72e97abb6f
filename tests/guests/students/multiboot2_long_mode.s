/* SPDX-License-Identifier: MIT */
/* A jump to the higher half, in 64-bit code: the loader enters a 64-bit ELF, too, in 32-bit mode. */
/* as: --64 */
/* ld: -m elf_x86_64 -n -Ttext 0x100000 */
/* cause: no instruction of this mode .*; the kernel is a 64-bit one, and the processor is still in 32-bit mode */
	.align 8
header:	.long 0xe85250d6, 0, end - header, -(0xe85250d6 + (end - header))
	.word 0, 0
	.long 8
end:
	.globl _start
_start:	movabs $0xffffffff80100000, %rax
	jmp *%rax
