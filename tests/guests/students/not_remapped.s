/* cause: IRQ 0 came through vector 8, .*8259.*not been remapped */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	movl $0, idt + 8 * 8 + 4
	movb $0x11, %al
	outb %al, $0x20
	movb $8, %al
	outb %al, $0x21
	movb $4, %al
	outb %al, $0x21
	movb $1, %al
	outb %al, $0x21
	movb $0xfe, %al
	outb %al, $0x21
	movb $0x34, %al
	outb %al, $0x43
	movb $0, %al
	outb %al, $0x40
	outb %al, $0x40
	movl $0, idt + 13 * 8 + 4
	movl $0, idt + 11 * 8 + 4
	sti
1:	hlt
	jmp 1b
handler: iret
