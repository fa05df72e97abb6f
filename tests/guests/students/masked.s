/* options: --limit-time 1s */
/* cause: IRQ 0 is requested.*masked */
	.include "start.inc"
	.include "idt.inc"
_start:	load_idt handler, 8, 2047
	movb $0x11, %al
	outb %al, $0x20
	movb $0x20, %al
	outb %al, $0x21
	movb $4, %al
	outb %al, $0x21
	movb $1, %al
	outb %al, $0x21
	movb $0xff, %al
	outb %al, $0x21
	movb $0x34, %al
	outb %al, $0x43
	movb $0, %al
	outb %al, $0x40
	outb %al, $0x40
	sti
1:	hlt
	jmp 1b
handler: iret
