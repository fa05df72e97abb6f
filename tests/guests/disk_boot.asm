; SPDX-License-Identifier: MIT
; A boot sector that works with disks through the firmware: it reads cylinder 1, head 1, sector 5 of the drive that it came from, and writes that 512
; times, from sector 64 of the first hard disk on, 64 sectors at a time; then reads the last one back. Exit value: 0 all well, else where it failed.
	org 7c00h
	bits 16
start:
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, start
	mov [drive], dl
	mov cx, 3
.again:                        ; floppy disks may need more than one try
	push cx
	mov ax, 0201h
	mov bx, 8000h
	mov cx, 0105h
	mov dh, 1
	mov dl, [drive]
	int 13h
	pop cx
	jnc .read
	mov ah, 0
	mov dl, [drive]
	int 13h
	loop .again
	mov al, 1
	jmp exit
.read:
	mov si, 8000h
	mov di, 8200h
	mov cx, 63 * 256
	rep movsw
	mov cx, 8
.write:
	push cx
	mov ax, 4300h
	mov dl, 80h
	mov si, packet
	int 13h
	pop cx
	mov al, 2
	jc exit
	add word [packet.lba], 64
	loop .write
	sub word [packet.lba], 1
	mov word [packet.count], 1
	mov word [packet.offset], 6000h
	mov ah, 42h
	mov dl, 80h
	mov si, packet
	int 13h
	mov al, 3
	jc exit
	mov si, 6000h
	mov di, 8000h
	mov cx, 256
	repe cmpsw
	mov al, 4
	jne exit
	mov al, 0
exit:
	out 0f4h, al
	hlt

drive:	db 0
	align 4
packet:	dw 16
.count:	dw 64
.offset: dw 8000h, 0
.lba:	dd 64, 0

	times 510 - ($ - $$) db 0
	dw 0aa55h
