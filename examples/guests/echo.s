# SPDX-License-Identifier: MIT
# A boot sector in real mode that sends back each byte that comes in on COM1, and sleeps in between: HLT, woken by the 8254 a hundred times
# a second (IRQ 0) and by the 16550A when a byte has come (IRQ 4). A "q" ends it through the debug-exit port.
#
#     vcpu run --kernel echo_guest.bin
#
# Build: as --32 echo.s; ld -m elf_i386 -Ttext=0x7C00 -e start --oformat=binary.

	.intel_syntax noprefix
	.code16
	.set COM1, 0x3F8
	.set RELOAD, 11932		# 1193182 Hz / 100

	.globl start
start:
	cli
	cld
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7C00
	mov word ptr ds:[0x20 * 4], offset tick
	mov word ptr ds:[0x20 * 4 + 2], ax
	mov word ptr ds:[0x24 * 4], offset receive
	mov word ptr ds:[0x24 * 4 + 2], ax

	mov si, offset setup		# words: port, value
1:	lodsw
	mov dx, ax
	lodsw
	out dx, al
	cmp si, offset setup_end
	jb 1b
	mov si, offset banner
2:	lodsb
	call send
	cmp si, offset banner_end
	jb 2b
	sti
3:	hlt
	jmp 3b

tick:
	push ax
	mov al, 0x20
	out 0x20, al
	pop ax
	iret

receive:
	push ax
	push dx
4:	mov dx, COM1 + 5
	in al, dx
	test al, 1
	jz 5f
	mov dx, COM1
	in al, dx
	cmp al, 'q'
	je quit
	call send
	jmp 4b
5:	mov al, 0x20
	out 0x20, al
	pop dx
	pop ax
	iret

quit:
	mov al, 21			# exit status 43
	out 0xF4, al
	hlt

# AL, when the transmitter is ready for it.
send:
	push dx
	push ax
	mov dx, COM1 + 5
6:	in al, dx
	test al, 0x20
	jz 6b
	pop ax
	mov dx, COM1
	out dx, al
	pop dx
	ret

setup:
	.word 0x20, 0x11, 0x21, 0x20, 0x21, 4, 0x21, 1	# 8259: ICW1 to ICW4, vectors from 20h
	.word 0x21, 0xEE				# IRQ 0 and IRQ 4
	.word 0x43, 0x34, 0x40, RELOAD & 255, 0x40, RELOAD >> 8
	.word COM1 + 3, 0x83, COM1, 1, COM1 + 1, 0, COM1 + 3, 3	# 115200 8N1
	.word COM1 + 4, 0x0B, COM1 + 1, 1		# OUT2 opens the way to the 8259; interrupt on received data
setup_end:
banner:
	.ascii "echo: q ends it\r\n"
banner_end:
	.org 510
	.word 0xAA55

	.section .note.GNU-stack, "", @progbits
