# SPDX-License-Identifier: MIT
# A disk whose boot sector asks the video BIOS for its modes and draws in them, with a key between two: 800 x 600 with 256 colours through the window
# and its banks, where byte N of a bank has colour (N & 255) ^ (N >> 8) ^ bank, and n is red n / 4, green 63 - n / 4; then 640 x 480 with
# 16 colours, by the BIOS dot by dot: row 100 has colour x & 15. Another key ends it through the debug-exit port.
#
#     vcpu run --disk modes_guest.bin,snapshot --type x --type x
#
# Build: as --32 modes.s; ld -m elf_i386 -Ttext=0x7C00 -e start --oformat=binary.

	.intel_syntax noprefix
	.code16
	.globl start
start:
	cld
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7C00
	mov ax, 0x4F02
	mov bx, 0x0103
	int 0x10
	cmp ax, 0x004F
	jne stop
	mov dx, 0x3C8
	xor ax, ax
	out dx, al
	inc dx
1:	mov bl, al
	shr al, 2
	out dx, al
	neg al
	add al, 63
	out dx, al
	mov al, 0
	out dx, al
	mov al, bl
	inc al
	jnz 1b
	mov ax, 0xA000
	mov es, ax
	xor dx, dx			# bank
2:	mov ax, 0x4F05
	xor bx, bx
	push dx
	int 0x10
	pop dx
	xor di, di
3:	mov ax, di
	xor al, ah
	xor al, dl
	stosb
	test di, di
	jnz 3b
	inc dx
	cmp dx, 8
	jb 2b
	mov ah, 0
	int 0x16

	mov ax, 0x0012
	int 0x10
	mov dx, 100
	xor cx, cx
4:	mov al, cl
	and al, 15
	mov ah, 0x0C
	mov bh, 0
	int 0x10
	inc cx
	cmp cx, 640
	jb 4b
	mov ah, 0
	int 0x16
stop:
	mov dx, 0xF4
	mov al, 0x22
	out dx, al
5:	hlt
	jmp 5b
	.org 510
	.byte 0x55, 0xAA
	.org 0x100000			# a disk with a whole cylinder, or the BIOS cannot read it
