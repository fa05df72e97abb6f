; SPDX-License-Identifier: MIT
; A boot sector that waits for 10 vertical retraces of the VGA, for 91 ticks of the BIOS clock, 5 seconds, for a key in three
; ticks, for 28 ms of the ACPI timer, which SeaBIOS puts at port 608h, and for 1000 refreshes at port 61h, 30 ms. It ends the
; run through the debug-exit port.
	org 0x7c00
	xor ax, ax
	mov ds, ax
	mov dx, 0x3da
	mov cx, 10
shown:	in al, dx
	test al, 8
	jnz shown
back:	in al, dx
	test al, 8
	jz back
	loop shown

	mov cx, 91
next:	mov ax, [0x46c]
same:	cmp ax, [0x46c]
	je same
	loop next
	mov bx, [0x46c]
	add bx, 3
ask:	mov ah, 1
	int 0x16
	jnz key
	cmp bx, [0x46c]
	jne ask

key:	mov dx, 0x608
	in eax, dx
	lea ebx, [eax + 100000]
timer:	in eax, dx
	sub eax, ebx
	js timer
	mov cx, 1000
high:	in al, 0x61
	test al, 0x10
	jz high
low:	in al, 0x61
	test al, 0x10
	jnz low
	loop high
	mov al, 0
	out 0xf4, al
stop:	jmp stop
	times 510 - ($ - $$) db 0
	dw 0xaa55
