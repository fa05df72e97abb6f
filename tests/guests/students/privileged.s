/* cause: a privileged instruction at CPL 3 */
	.include "start.inc"
_start:	lgdt pointer
	movl $0x23, %eax
	movl %eax, %ds
	pushl $0x23
	pushl $0x180000
	pushl $2
	pushl $0x1b
	pushl $user
	iret
user:	cli
	.align 8
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
pointer: .word 39
	.long gdt
