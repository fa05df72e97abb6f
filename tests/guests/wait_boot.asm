; A boot sector that waits for 10 vertical retraces of the VGA and for 91 ticks of the BIOS clock, 5 seconds, and ends the run through the debug-exit port.
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
	mov al, 0
	out 0xf4, al
stop:	jmp stop
	times 510 - ($ - $$) db 0
	dw 0xaa55
