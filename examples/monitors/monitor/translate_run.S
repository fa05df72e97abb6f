/* SPDX-License-Identifier: MIT */
/* An indirect branch of translated code: to the translation of the guest's address in branch_target. It runs at CPL
 * 1, with the guest's registers, and must not change flags: LEA adds, and JECXZ compares. */
	.intel_syntax noprefix
	.globl indirect_branch
indirect_branch:
	mov gs:[saved_eax], eax
	mov gs:[saved_ecx], ecx
	mov ecx, gs:[branch_target]
	movzx eax, cl
	mov eax, gs:[branch_keys + eax * 4]	/* minus the guest's address of the translation in this place */
	lea ecx, [ecx + eax]
	jecxz 1f
	mov eax, gs:[saved_eax]
	mov ecx, gs:[saved_ecx]
	int 0x81
	.byte 'I'
1:	mov ecx, gs:[branches_found]
	lea ecx, [ecx + 1]
	mov gs:[branches_found], ecx
	movzx eax, byte ptr gs:[branch_target]
	mov eax, gs:[branch_values + eax * 4]
	mov gs:[branch_target], eax
	mov eax, gs:[saved_eax]
	mov ecx, gs:[saved_ecx]
	jmp gs:[branch_target]
	.bss
	.balign 4
saved_eax:
	.space 4
saved_ecx:
	.space 4
	.section .note.GNU-stack, "", @progbits
