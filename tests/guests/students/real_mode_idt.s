/* SPDX-License-Identifier: MIT */
/* ld: -m elf_i386 -Ttext 0x7c00 --oformat binary */
/* cause: the IDT is still the table of real mode at 0 */
	.code16
	.globl _start
_start:	cli
	lgdt table
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmp $8, $protected
	.code32
protected:
	movw $16, %ax
	movw %ax, %ds
	movw %ax, %ss
	ud2
	.align 8
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
table:	.word 23
	.long gdt
	.org 510
	.byte 0x55, 0xaa
