/* SPDX-License-Identifier: MIT */
/* The program of each process, which the kernel maps at 40000000h. EBX is the number of the process. It reads four
 * sectors, works on their words, sleeps a tick after each, and exits with the sum. A page of its own for data and
 * stack is at 40001000h. */
	.intel_syntax noprefix
	.set EXIT, 0
	.set READ, 1
	.set SLEEP, 2
	.set DATA, 0x40001000
	.set ROUNDS, 300

	.section .user, "ax"
	.balign 4096
	.globl user_program
user_program:
#ifdef HOSTILE
	jmp [ebx * 4 + attacks - user_program + 0x40000000]
attacks:
	.long 0x40000000 + honest - user_program, 0x40000000 + look - user_program
	.long 0x40000000 + read - user_program, 0x40000000 + seize - user_program
	/* Process 1: where is the descriptor table, and what is in CR0? */
look:
	sgdt [DATA]
	mov ebx, [DATA + 2]
	smsw eax
	shl eax, 28			/* PE, MP, EM, TS */
	xor ebx, eax
	mov eax, EXIT
	int 0x80
	/* Process 2: what is in the kernel? */
read:
	mov ebx, [0x100000]
	mov eax, EXIT
	int 0x80
	/* Process 3: stop the clock. */
seize:
	cli
	mov ebx, 0xBAD
	mov eax, EXIT
	int 0x80
honest:
#endif
	mov esi, ebx			/* sector */
	xor edi, edi			/* sum */
next_sector:
	mov eax, READ
	mov ebx, esi
	mov ecx, DATA
	int 0x80
	xor edx, edx
next_word:
	mov eax, [DATA + edx * 4]
	mov ecx, ROUNDS
1:	imul eax, eax, 1664525
	rol eax, 5
	dec ecx
	jnz 1b
	add edi, eax
	push edi			/* the stack is ours alone */
	pop edi
	inc edx
	cmp edx, 128
	jb next_word
	mov eax, SLEEP
	int 0x80
	add esi, 3
	cmp esi, 12
	jb next_sector
	mov ebx, edi
	mov eax, EXIT
	int 0x80
	.globl user_program_end
user_program_end:
	.section .note.GNU-stack, "", @progbits
