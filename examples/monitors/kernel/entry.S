/* SPDX-License-Identifier: MIT */
/* Where the kernel begins, where it is entered by exceptions, interrupts and system calls, and how it returns. */
	.intel_syntax noprefix
	.section .multiboot, "a"
	.balign 4
	.long 0x1BADB002, 0, -0x1BADB002

#ifdef PARAVIRTUAL
#include "hypercalls.h"
	/* IRET at CPL 1 does not load IF: the monitor does it. It takes EAX from the stack, too. */
	.macro return_from_trap
	push eax
	mov eax, HYPERCALL_IRET
	int HYPERCALL
	.endm
#else
	.macro return_from_trap
	iretd
	.endm
#endif
	.set KERNEL_DATA, 0x10

	.text
	.globl start
start:
	lea esp, boot_stack_top
	cld
	call kernel_main

	/* The frame of a trap: see struct frame. Vectors 8, 10 to 14 and 17 have an error code. */
	.macro entry vector
	.balign 16
	.if \vector != 8 && \vector != 17 && (\vector < 10 || \vector > 14)
	push 0
	.endif
	push \vector
	jmp enter
	.endm

	.balign 16
	.globl entries
entries:
	.set vector, 0
	.rept 48
	.altmacro
	entry %vector
	.noaltmacro
	.set vector, vector + 1
	.endr
	.globl system_call
system_call:
	push 0
	push 0x80

enter:
	pushad
	push ds
	push es
	mov eax, KERNEL_DATA
	mov ds, eax
	mov es, eax
	cld
	push esp
	call trap			/* returns the frame of the process that runs next */
	mov esp, eax
	pop es
	pop ds
	popad
	add esp, 8
	return_from_trap

	/* start_process(frame): the first return to a process. */
	.globl start_process
start_process:
	mov esp, [esp + 4]
	pop es
	pop ds
	popad
	add esp, 8
	return_from_trap

#ifndef PARAVIRTUAL
	/* load_segments(): CS by a far jump, the others by MOV, as after every LGDT. Then a far call and return. */
	.globl load_segments
load_segments:
	jmp 0x08:1f
1:	mov eax, KERNEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	call 0x08:2f
	ret
2:	retf
#endif

	.bss
	.balign 4096
	.space 4096
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
