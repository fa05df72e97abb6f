/* SPDX-License-Identifier: MIT */
/* From multiboot to C. The monitor is loaded at 1 MiB and linked for FFD00000h: pages of 4 MiB map the guest's
 * memory (8 MiB) at FF800000h and the lowest 4 MiB at FFC00000h. Then: the entries of the monitor's IDT, and the
 * way into the guest and back. */
	.intel_syntax noprefix
	.set BASE, 0xffc00000
#ifdef UMIP
	.set FEATURES, 0x810				/* CR4: PSE, UMIP */
#else
	.set FEATURES, 0x10				/* CR4: PSE */
#endif

	.section .boot, "awx"
	.balign 4
	.long 0x1BADB002, 0, -0x1BADB002
	.globl boot
boot:
	mov [multiboot_info - BASE], ebx
	mov eax, 0x83
	mov [page_directory - BASE], eax		/* for the next instructions */
	mov [page_directory - BASE + 1023 * 4], eax
	mov eax, 0x800083
	mov [page_directory - BASE + 1022 * 4], eax
	mov eax, cr4
	or eax, FEATURES
	mov cr4, eax
	lea eax, page_directory - BASE
	mov cr3, eax
	mov eax, cr0
	or eax, 0x80010020				/* PG, WP, NE */
	mov cr0, eax
	lea eax, high
	jmp eax

	.text
high:
	lgdt gdt_pointer
	jmp 0x100:1f
1:	mov eax, 0x108
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov fs, eax
	mov gs, eax
	lea esp, stack_top
	cld
	mov dword ptr page_directory, 0
	mov eax, cr3
	mov cr3, eax

	/* The task: ESP0 is behind `frame', so that a trap from the guest leaves its frame there. */
	lea eax, task
	mov word ptr [gdt + 0x110 + 2], ax
	shr eax, 16
	mov byte ptr [gdt + 0x110 + 4], al
	mov byte ptr [gdt + 0x110 + 7], ah
	lea eax, frame + 76
	mov [task + 4], eax
	mov eax, 0x110
	ltr ax

	/* The IDT: 256 entries of 16 bytes each. Vectors 81h and 82h are for the guest (call-outs, hypercalls). */
	xor ecx, ecx
2:	mov eax, ecx
	shl eax, 4
	add eax, offset entries
	mov edx, eax
	and eax, 0xffff
	or eax, 0x1000000				/* selector 100h */
	mov [idt + ecx * 8], eax
	mov dx, 0x8e00
	mov [idt + ecx * 8 + 4], edx
	inc ecx
	cmp ecx, 256
	jb 2b
	or byte ptr [idt + 0x81 * 8 + 5], 0x20		/* DPL 1 */
	or byte ptr [idt + 0x82 * 8 + 5], 0x20
	lidt idt_pointer

	/* The 8259A: vectors 20h to 2Fh; the timer alone. */
	.macro port number, value
	mov al, \value
	out \number, al
	.endm
	port 0x20, 0x11
	port 0xa0, 0x11
	port 0x21, 0x20
	port 0xa1, 0x28
	port 0x21, 4
	port 0xa1, 2
	port 0x21, 1
	port 0xa1, 1
	port 0x21, 0xfe
	port 0xa1, 0xff
	call monitor_main

	.macro entry vector
	.balign 16
	.if \vector != 8 && \vector != 17 && (\vector < 10 || \vector > 14)
	push 0
	.endif
	push \vector
	jmp trap
	.endm
	.balign 16
entries:
	.set vector, 0
	.rept 256
	.altmacro
	entry %vector
	.noaltmacro
	.set vector, vector + 1
	.endr

trap:
	pushad
	push ds
	push es
	push fs
	push gs
	mov eax, 0x108
	mov ds, eax
	mov es, eax
	cld
	test byte ptr [esp + 15 * 4], 3			/* CS */
	jz 1f
	mov esp, saved_stack				/* the frame is in `frame' */
	pop edi
	pop esi
	pop ebx
	pop ebp
	mov eax, [frame + 12 * 4]
	ret
1:	push esp
	call monitor_trap
	add esp, 4
	pop gs
	pop fs
	pop es
	pop ds
	popad
	add esp, 8
	iretd

	/* enter_guest(): into the guest with `frame'. Returns at its next trap, with the vector. */
	.globl enter_guest
enter_guest:
	push ebp
	push ebx
	push esi
	push edi
	mov saved_stack, esp
	lea esp, frame
	pop gs
	pop fs
	pop es
	pop ds
	popad
	add esp, 8
	iretd

	.data
	.balign 8
	.globl gdt
gdt:	.quad 0
	.quad 0xcfba000000ffff, 0xcfb2000000ffff
	.fill 29, 8, 0
	.quad 0xcf9a000000ffff, 0xcf92000000ffff, 0x890000000067
	.fill 29, 8, 0
gdt_pointer:
	.word 64 * 8 - 1
	.long gdt
idt_pointer:
	.word 256 * 8 - 1
	.long idt
	.globl task
task:	.long 0, 0, 0x108
	.fill 22, 4, 0
	.word 0, 104
	.globl multiboot_info
multiboot_info:
	.long 0

	.bss
	.balign 4096
	.globl page_directory
page_directory:
	.space 4096
idt:	.space 2048
saved_stack:
	.space 4
	.globl frame
frame:	.space 76
	.balign 16
	.space 16384
stack_top:
	.section .note.GNU-stack, "", @progbits
