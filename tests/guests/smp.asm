; SPDX-License-Identifier: MIT
; Several processors put to work: found in the MP table, started by INIT and SIPI, they count with LOCK XADD and under a spin lock, interrupt
; each other (fixed, by physical and logical destination, lowest priority, NMI), and run code that another one changes. A multiboot image,
; 32-bit protected mode without paging. Prints how many processors took part to port E9h; debug-exit with 0, or with the step that failed.
;
;     nasm -f bin smp.asm -o smp.bin && vcpu run --kernel smp.bin --smp 8 --debugcon stdio

	bits 32
	org 0x100000

APIC	equ 0xfee00000
ROUNDS	equ 10000
PINGS	equ 50
PATCHES	equ 50
STACKS	equ 0x200000		; 4 KiB for each processor
START	equ 0x8000		; where SIPI 08h goes

header:	dd 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
	dd header, header, 0, 0, main	; addresses: header, load, load end (all), bss end, entry

%macro check 2			; step, condition that must hold
	mov byte [step], %1
	j%2 %%ok
	jmp failed
%%ok:
%endmacro

main:	mov esp, STACKS + 0x1000
	lgdt [gdtr]
	jmp 8:.cs
.cs:	mov ax, 16
	mov ds, ax
	mov es, ax
	mov ss, ax

	mov al, 0xff		; nothing from the 8259s
	out 0x21, al
	out 0xa1, al
	mov esi, vectors	; the interrupts that matter
	mov ecx, 5
.gate:	movzx ebx, byte [esi]
	mov eax, [esi + 1]
	mov [idt + ebx * 8], ax
	mov word [idt + ebx * 8 + 2], 8
	mov word [idt + ebx * 8 + 4], 0x8e00
	shr eax, 16
	mov [idt + ebx * 8 + 6], ax
	add esi, 5
	loop .gate
	lidt [idtr]

	mov esi, 0xf0000	; how many? The MP table says
.find:	cmp dword [esi], '_MP_'
	je .found
	add esi, 16
	cmp esi, 0x100000
	jb .find
.found:	check 1, e
	mov esi, [esi + 4]
	cmp dword [esi], 'PCMP'
	check 2, e
	movzx ecx, word [esi + 34]
	add esi, 44
.entry:	cmp byte [esi], 0
	jne .other
	inc dword [count]
	add esi, 12
.other:	add esi, 8
	loop .entry
	cmp dword [count], 2
	check 3, ae

	call apic_on
	mov esi, trampoline
	mov edi, START
	mov ecx, trampoline_end - trampoline
	rep movsb
	mov dword [APIC + 0x300], 0xc4500	; INIT to all others
	mov dword [APIC + 0x300], 0xc4608	; SIPI
	mov dword [APIC + 0x300], 0xc4608	; again, which nobody may heed
	call wait_all

	; counters
	mov byte [step], 4
	inc dword [go]
	call work
	call wait_all
	mov eax, [count]
	imul eax, ROUNDS
	cmp [counter], eax
	check 5, e
	cmp [guarded], eax
	check 6, e

	; to each by its ID, and back
	xor ebx, ebx
	mov byte [step], 7
.to:	inc ebx
	cmp ebx, [count]
	jae .all
	mov ecx, PINGS
.ping:	mov eax, ebx
	shl eax, 24
	mov [APIC + 0x310], eax
	mov edx, [pongs]
	mov dword [APIC + 0x300], 0x4040
.sleep:	cli
	cmp edx, [pongs]
	jne .next
	sti
	hlt
	jmp .sleep
.next:	loop .ping
	jmp .to
.all:	mov eax, [count]
	dec eax
	imul eax, PINGS
	cmp [pongs], eax
	check 8, e
	sti

	; NMI to all others
	mov byte [step], 9
	mov dword [APIC + 0x300], 0xc4400
	mov eax, [count]
	dec eax
.nmi:	pause
	cmp [nmis], eax
	jne .nmi

	; all, by logical destination (there are eight of those in the flat model), ourselves too
	mov byte [step], 10
	mov dword [APIC + 0x310], 0xff000000
	mov dword [APIC + 0x300], 0x4842
	mov eax, [count]
.flat:	pause
	cmp [logical], eax
	jne .flat

	; lowest priority: exactly one
	mov byte [step], 11
	mov dword [logical], 0
	mov ecx, 20
.low:	mov dword [APIC + 0x300], 0x4942
	loop .low
.wait:	pause
	cmp dword [logical], 20
	jb .wait
	mov ecx, 100000
.more:	loop .more
	cmp dword [logical], 20
	check 12, e

	; code that changes under the others
	mov byte [step], 13
	mov dword [APIC + 0x300], 0xc4042	; wake them
	mov ecx, PATCHES
.patch:	mov byte [step], 13
	mov [patched + 1], ecx
	mov dword [sum], 0
	inc dword [go]
	call run_patched
	call wait_all
	mov eax, [count]
	imul eax, ecx
	cmp [sum], eax
	check 14, e
	loop .patch

	mov eax, [count]	; two digits
	mov bl, 10
	div bl
	add ax, '00'
	cmp al, '0'
	je .digit
	out 0xe9, al
.digit:	mov al, ah
	out 0xe9, al
	mov esi, text
.print:	lodsb
	test al, al
	jz .done
	out 0xe9, al
	jmp .print
.done:	mov byte [step], 0
failed:	movzx eax, byte [step]
	out 0xf4, al
	cli
	hlt

; Until all others have done what they were told.
wait_all:
	mov eax, [count]
	dec eax
.wait:	pause
	cmp [done], eax
	jne .wait
	mov dword [done], 0
	ret

apic_on:
	mov dword [APIC + 0xf0], 0x1ff
	mov dword [APIC + 0x80], 0
	mov dword [APIC + 0xe0], 0xffffffff
	mov ecx, [APIC + 0x20]
	shr ecx, 24
	mov eax, 0x1000000	; logical ID: one of eight bits
	shl eax, cl
	mov [APIC + 0xd0], eax
	ret

work:	mov ecx, ROUNDS
.loop:	mov eax, 1
	lock xadd [counter], eax
.lock:	mov eax, 1
	xchg [spin], eax
	test eax, eax
	jz .mine
	test ecx, 1		; some wait politely, some do not
	jz .lock
	pause
	jmp .lock
.mine:	mov eax, [guarded]
	inc eax
	mov [guarded], eax
	mov dword [spin], 0
	loop .loop
	ret

	align 64
patched:
	mov eax, 0
	ret
	align 64
run_patched:
	call patched
	lock add [sum], eax
	ret

; The others: count up, and then obey.
other:	mov ax, 16
	mov ds, ax
	mov es, ax
	mov ss, ax
	lidt [idtr]
	mov esp, [APIC + 0x20]
	shr esp, 12
	add esp, STACKS + 0x1000
	call apic_on
	lock inc dword [done]
	xor ebx, ebx
.first:	pause
	cmp [go], ebx
	je .first
	inc ebx
	call work
	lock inc dword [done]
	sti
.wait:	hlt			; for interrupts, until there is code to run; then spin
	cmp byte [step], 13
	jne .wait
.spin:	pause
	cmp [go], ebx
	je .spin
	inc ebx
	call run_patched
	lock inc dword [done]
	jmp .spin

on_ping:
	push eax
	mov dword [APIC + 0x310], 0	; to the first
	mov dword [APIC + 0x300], 0x4041
	jmp eoi
on_pong:
	push eax
	inc dword [pongs]
	jmp eoi
on_logical:
	push eax
	lock inc dword [logical]
eoi:	mov dword [APIC + 0xb0], 0
	pop eax
	iret
on_nmi:	lock inc dword [nmis]
	iret
on_fault:
	jmp failed

trampoline:
	bits 16
	cli
	lgdt [cs:trampoline_gdtr - trampoline]
	mov eax, 0x11
	mov cr0, eax
	jmp dword 8:other
trampoline_gdtr:
	dw 23
	dd gdt
trampoline_end:
	bits 32

	align 8
gdt:	dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	dw 23
	dd gdt
idtr:	dw 0x44 * 8 - 1
	dd idt
vectors:
	db 2
	dd on_nmi
	db 13
	dd on_fault
	db 0x40
	dd on_ping
	db 0x41
	dd on_pong
	db 0x42
	dd on_logical
text:	db " processors agree", 10, 0
	align 64
idt:	times 0x44 dq 0
count:	dd 0
step:	dd 0
	align 64
go:	dd 0
done:	dd 0
counter: dd 0
guarded: dd 0
spin:	dd 0
pongs:	dd 0
nmis:	dd 0
logical: dd 0
sum:	dd 0
