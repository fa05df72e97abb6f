/* cause: INT 128 .*no TSS: LTR has not been executed */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	movw $0xee00, idt + 128 * 8 + 4
	lgdt pointer
	movl $0x23, %eax
	movl %eax, %ds
	pushl $0x23
	pushl $0x180000
	pushl $2
	pushl $0x1b
	pushl $user
	iret
user:	int $0x80
handler: hlt
	.align 8
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
pointer: .word 39
	.long gdt
