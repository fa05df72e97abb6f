# SPDX-License-Identifier: MIT
# A boot sector in real mode that sets the VGA's mode 13h by its registers, as a BIOS would, and draws: the dot at (x, y) has colour x ^ y, colour
# n is red n / 4, green 63 - n / 4. Then keys: each scan code becomes a dot of row 199, from the left; Esc ends it through the debug-exit port.
#
#     vcpu run --kernel picture_guest.bin --display vga --type '\e' --screenshot picture.png
#
# Build: as --32 picture.s; ld -m elf_i386 -Ttext=0x7C00 -e start --oformat=binary.

	.intel_syntax noprefix
	.code16
	.globl start
start:
	cli
	cld
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7C00

	mov dx, 0x3C2
	mov al, 0x63
	out dx, al
	mov si, offset registers	# port, first index, count, values
1:	lodsw
	mov dx, ax
	test ax, ax
	jz attributes
	lodsw
	mov cl, ah
	mov ch, 0
	mov ah, al
2:	lodsb				# index in AH, value in AL
	xchg ah, al
	out dx, ax
	xchg ah, al
	inc ah
	loop 2b
	jmp 1b

attributes:
	mov dx, 0x3DA
	in al, dx
	mov dx, 0x3C0
	mov cx, 16
	xor ax, ax
3:	out dx, al			# palette: the index itself
	out dx, al
	inc ax
	loop 3b
	mov cl, 5
4:	out dx, al
	inc ax
	movsx bx, al
	push ax
	mov al, [modes + bx - 17]
	out dx, al
	pop ax
	loop 4b
	mov al, 0x20
	out dx, al

	mov dx, 0x3C8
	xor ax, ax
	out dx, al
	inc dx
5:	mov bl, al
	shr al, 2
	out dx, al
	neg al
	add al, 63
	out dx, al
	mov al, 0
	out dx, al
	mov al, bl
	inc al
	jnz 5b

	mov ax, 0xA000
	mov es, ax
	xor di, di
	xor dx, dx			# y
6:	xor cx, cx			# x
7:	mov al, cl
	xor al, dl
	stosb
	inc cx
	cmp cx, 320
	jb 7b
	inc dx
	cmp dx, 200
	jb 6b

	mov di, 320 * 199
8:	in al, 0x64
	test al, 1
	jz 8b
	in al, 0x60
	stosb
	cmp al, 1
	jne 8b
	mov dx, 0xF4
	mov al, 0x21
	out dx, al
9:	hlt
	jmp 9b

registers:
	.word 0x3C4
	.byte 1, 4, 0x01, 0x0F, 0x00, 0x0E
	.word 0x3D4
	.byte 17, 1, 0x0E
	.word 0x3D4
	.byte 0, 25, 0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0x00, 0x41, 0, 0, 0, 0, 0, 0
	.byte 0x9C, 0x8E, 0x8F, 0x28, 0x40, 0x96, 0xB9, 0xA3, 0xFF
	.word 0x3CE
	.byte 0, 9, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0F, 0xFF
	.word 0
modes:
	.byte 0x41, 0x00, 0x0F, 0x00, 0x00

	.org 510
	.byte 0x55, 0xAA
