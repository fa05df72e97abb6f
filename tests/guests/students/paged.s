/* SPDX-License-Identifier: MIT */
/* 2 MiB of pages, one elsewhere and a 4 MiB page; then a magic breakpoint. */
.code32
.section .text
.align 4
.long 0x1badb002, 0, -0x1badb002
.globl _start
_start:
	movl $pd, %eax
	movl $(pt + 7), (%eax)
	movl $0x00800083, 0x4(%eax)   /* 4M at 400000 -> 800000 */
	movl $pt, %edi
	movl $3, %eax
1:	stosl
	addl $0x1000, %eax
	cmpl $0x200003, %eax
	jb 1b
	movl $0x300007, pt + 4*0x3ff
	movl %cr4, %eax
	orl $0x10, %eax
	movl %eax, %cr4
	movl $pd, %eax
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	xchg %bx, %bx
	hlt
.section .bss
.balign 4096
pd: .skip 4096
pt: .skip 4096
