; SPDX-License-Identifier: MIT
; A boot sector that writes the digit at the beginning of the disk's second sector to COM1, and increments it there.
	org 7c00h
	bits 16
start:
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, start
	mov ah, 02h
	call sector
	mov al, [buffer]
	add al, '0'
	mov dx, 3f8h
	out dx, al
	inc byte [buffer]
	mov ah, 03h
	call sector
.end:
	hlt
	jmp .end
sector:                        ; read (AH 02h) or write (03h) it
	mov al, 1
	mov bx, buffer
	mov cx, 2
	mov dx, 80h
	int 13h
	ret
	times 510 - ($ - $$) db 0
	dw 0aa55h
buffer equ 8000h
