# SPDX-License-Identifier: MIT
# A data race for students to find: two processors count up one number, 100 times each, with no lock. It goes wrong only if the turn passes from one
# to the other between the load and the store, which few schedules do. `vcpu explore` tries one after the other until one does:
#
#     vcpu explore --seeds 1..500 --fail 'lost' --smp 2 --kernel race_guest.bin
#     vcpu replay explore-SEED.vrr
#
# Build: as --32 race.s; ld -m elf_i386 -Ttext=0x7C00 -e start --oformat=binary.

	.intel_syntax noprefix
	.code16
	.set APIC, 0xFEE00000
	.set ROUNDS, 100
	.set OTHER, 0x8000		# where the second processor starts: SIPI 08h

	.globl start
start:
	cli
	cld
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7C00
	lgdt ds:[gdtr]			# FS keeps 4 GiB from a visit to protected mode
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov bx, 8
	mov fs, bx
	and al, 0xFE
	mov cr0, eax
	mov esi, APIC
	mov dword ptr fs:[esi + 0xF0], 0x1FF
	mov dword ptr fs:[esi + 0x300], 0xC4500		# INIT to all others
	mov dword ptr fs:[esi + 0x300], 0xC4600 + (OTHER >> 12)
1:	pause
	cmp byte ptr ds:[ready], 0
	je 1b
	mov byte ptr ds:[go], 1
	call work
2:	pause
	cmp byte ptr ds:[done], 2
	jb 2b

	mov ax, 2 * ROUNDS
	sub ax, ds:[counter]
	mov si, offset right
	jz 3f
	mov si, offset wrong
	mov bl, 100			# how many, in three digits
	div bl
	add al, '0'
	mov ds:[wrong], al
	mov al, ah
	aam
	add ax, 0x3030
	xchg al, ah
	mov ds:[wrong + 1], ax
3:	lodsb
	mov dx, 0x3F8
	out dx, al
	cmp al, 10
	jne 3b
	mov al, 0			# exit status 1; 3 if it went wrong
	cmp si, offset right_end
	je 4f
	inc al
4:	out 0xF4, al
5:	hlt
	jmp 5b

work:
	mov cx, ROUNDS
1:	mov ax, ds:[counter]		# here it goes wrong: LOCK INC would do
	inc ax
	mov ds:[counter], ax
	mov dx, 150			# something else to do
2:	dec dx
	jnz 2b
	loop 1b
	lock inc byte ptr ds:[done]
	ret

	.align 8
gdt:	.quad 0, 0x00CF93000000FFFF
gdtr:	.word 15
	.long gdt
right:	.ascii "all updates are there\n"
right_end:
wrong:	.ascii "000 updates are lost\n"
counter: .word 0
ready:	.byte 0
go:	.byte 0
done:	.byte 0

	.org 510
	.word 0xAA55			# a boot sector
	.org OTHER - 0x7C00
	cli
	ljmp 0, offset other		# it came here as 0800:0000
other:	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7A00
	mov byte ptr ds:[ready], 1
1:	pause
	cmp byte ptr ds:[go], 0
	je 1b
	call work
2:	hlt
	jmp 2b
