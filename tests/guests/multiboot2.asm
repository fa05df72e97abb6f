; SPDX-License-Identifier: MIT
; A multiboot 2 kernel, of either ELF class, that tells port E9h what it was told, one line for a fact.
;
;     nasm -f elf32|elf64 [-DFRAMEBUFFER]; ld -m elf_i386|elf_x86_64 -n -Ttext 0x200000 -e start

	bits 32
	section .text
header:	align 8
	dd 0xe85250d6, 0, end - header, -(0xe85250d6 + end - header) & 0xffffffff
	dw 1, 0			; information: command line, modules, sections
	dd 20, 1, 3, 9
	align 8
	dw 6, 0			; modules on pages
	dd 8
%ifdef FRAMEBUFFER
	dw 5, 0
	dd 20, 640, 480, 32
	align 8
%endif
	dw 0x1234, 1		; optional, and unknown
	dd 8
	dw 0, 0
	dd 8
end:

	global start
start:	mov esp, stack
	mov edi, eax
	call put_hex
	mov al, ' '
	out 0xe9, al
	mov esi, ebx
	and esi, 7		; the information is at a multiple of 8
	mov edi, esi
	call put_hex
	mov esi, state
	mov eax, cr0		; PE without PG
	and eax, 0x80000001
	mov edi, eax
	call put_line
	lea ebp, [ebx + 8]
next_tag:
	mov eax, [ebp]
	cmp eax, 1
	je cmdline
	cmp eax, 3
	je module
	cmp eax, 4
	je memory
	cmp eax, 6
	je map
	cmp eax, 8
	je framebuffer
	cmp eax, 9
	je sections
	cmp eax, 14
	je rsdp
	test eax, eax
	jz last
skip_tag:
	mov eax, [ebp + 4]
	add eax, 7
	and eax, -8
	add ebp, eax
	jmp next_tag

cmdline:
	mov esi, cmdline_text
	call put_text
	lea esi, [ebp + 8]
	jmp put_and_skip
module:	mov esi, module_text
	mov edi, [ebp + 8]
	and edi, 0xfff
	call put_number
	mov edi, [ebp + 12]
	sub edi, [ebp + 8]
	call put_number
	mov edi, [ebp + 8]
	mov edi, [edi]
	call put_number
	lea esi, [ebp + 16]
	jmp put_and_skip
memory:	mov esi, memory_text
	mov edi, [ebp + 8]
	call put_line
	jmp skip_tag
map:	mov esi, map_text
	mov edi, [ebp + 8]
	call put_number
	mov edi, [ebp + 16 + 16]	; the first region
	call put_line
	jmp skip_tag
framebuffer:
	mov esi, framebuffer_text
	movzx edi, byte [ebp + 29]
	call put_number
	mov edi, [ebp + 20]
	call put_number
	mov edi, [ebp + 24]
	call put_number
	movzx edi, byte [ebp + 28]
	call put_number
	mov edi, [ebp + 16]
	call put_number
	cmp byte [ebp + 29], 1
	jne .text
	mov edi, [ebp + 32]	; positions and sizes of the colours
	call put_number
	mov eax, [ebp + 8]
	mov dword [eax + 4], 0x00aabbcc ; a dot
	mov edi, [eax + 4]
	call put_number
.text:	mov esi, nothing
	jmp put_and_skip
rsdp:	mov esi, rsdp_text
	call put_text
	lea esi, [ebp + 8]
	mov byte [ebp + 8 + 8], 0
	jmp put_and_skip

; A line for each section with a name: it, its type, the first bytes of its data where it has some.
sections:
	mov edx, 12		; offsets in a header: of the address; of the size
	mov ecx, 20
	cmp dword [ebp + 12], 64
	jne .narrow
	mov edx, 16
	mov ecx, 32
.narrow:
	mov eax, [ebp + 16]	; the one with the names
	imul eax, [ebp + 12]
	lea eax, [ebp + 20 + eax]
	add eax, edx
	mov eax, [eax]
	mov [names], eax
	mov ebx, [ebp + 8]
	lea esi, [ebp + 20]
.next:	push esi
	mov edi, [esi + 4]
	test edi, edi
	jz .unnamed
	push esi
	mov esi, section_text
	call put_number
	mov eax, [esp]
	mov edi, [eax + ecx]
	call put_number
	mov eax, [esp]
	mov eax, [eax + edx]
	mov edi, [eax]
	call put_number
	pop esi
	mov esi, [esi]
	add esi, [names]
	call put_text
	mov al, 10
	out 0xe9, al
.unnamed:
	pop esi
	add esi, [ebp + 12]
	dec ebx
	jnz .next
	jmp skip_tag
put_and_skip:
	call put_text
	mov al, 10
	out 0xe9, al
	jmp skip_tag
last:	mov al, 0
	out 0xf4, al
	hlt

; The text at ESI, and the number EDI. ESI becomes an empty text, for numbers behind it.
put_line:
	call put_number
	mov al, 10
	out 0xe9, al
	ret
put_number:
	call put_text
	mov esi, nothing
	call put_hex
	mov al, ' '
	out 0xe9, al
	ret
put_text:
	push esi
.next:	lodsb
	test al, al
	jz .done
	out 0xe9, al
	jmp .next
.done:	pop esi
	ret
put_hex:
	push ecx
	push edi
	mov ecx, 8
.next:	rol edi, 4
	mov eax, edi
	and eax, 15
	mov al, [digits + eax]
	out 0xe9, al
	loop .next
	pop edi
	pop ecx
	ret

	section .rodata
digits:	db "0123456789abcdef"
state:	db " state ", 0
cmdline_text: db "cmdline ", 0
module_text: db "module ", 0
memory_text: db "lower KiB ", 0
map_text: db "map ", 0
framebuffer_text: db "framebuffer ", 0
section_text: db "section ", 0
rsdp_text: db "rsdp ", 0
nothing: db 0

	section .bss
names:	resd 1
	resb 4096
stack:
