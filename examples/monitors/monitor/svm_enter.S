/* SPDX-License-Identifier: MIT */
/* svm_enter(guest, host): into the guest of the VMCB at physical GUEST, with its general registers from `cpu' (but
 * EAX and ESP, which the VMCB has). VMLOAD and VMSAVE exchange what VMRUN does not: FS, GS, TR, LDTR. The interrupt
 * flag is on while the guest runs, so that the machine's interrupts exit (V_INTR_MASKING). */
	.intel_syntax noprefix
	.globl svm_enter
svm_enter:
	push ebp
	push ebx
	push esi
	push edi
	mov ecx, [cpu + 4]
	mov edx, [cpu + 8]
	mov ebx, [cpu + 12]
	mov ebp, [cpu + 20]
	mov esi, [cpu + 24]
	mov edi, [cpu + 28]
	mov eax, [esp + 20]
	clgi
	sti
	vmload eax
	vmrun eax
	vmsave eax
	mov [cpu + 4], ecx
	mov [cpu + 8], edx
	mov [cpu + 12], ebx
	mov [cpu + 20], ebp
	mov [cpu + 24], esi
	mov [cpu + 28], edi
	mov eax, [esp + 24]
	vmload eax
	cli
	stgi
	pop edi
	pop esi
	pop ebx
	pop ebp
	ret
	.section .note.GNU-stack, "", @progbits
