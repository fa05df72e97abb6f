/* SPDX-License-Identifier: MIT */
/* vtx_enter(resume): into the guest with its general registers from `cpu' (but ESP, which the VMCS has). Returns at
 * an exit with 0, and with 1 if there was no entry. */
	.intel_syntax noprefix
	.set HOST_RSP, 0x6c14
	.globl vtx_enter, vtx_exit
vtx_enter:
	push ebp
	push ebx
	push esi
	push edi
	mov eax, [esp + 20]
	mov edx, HOST_RSP
	vmwrite edx, esp
	test eax, eax
	mov eax, [cpu]
	mov ecx, [cpu + 4]
	mov edx, [cpu + 8]
	mov ebx, [cpu + 12]
	mov ebp, [cpu + 20]
	mov esi, [cpu + 24]
	mov edi, [cpu + 28]
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	mov eax, 1
	jmp 3f
vtx_exit:
	mov [cpu], eax
	mov [cpu + 4], ecx
	mov [cpu + 8], edx
	mov [cpu + 12], ebx
	mov [cpu + 20], ebp
	mov [cpu + 24], esi
	mov [cpu + 28], edi
	xor eax, eax
3:	pop edi
	pop esi
	pop ebx
	pop ebp
	ret
	.section .note.GNU-stack, "", @progbits
