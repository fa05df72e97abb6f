# SPDX-License-Identifier: MIT
# The guest behind `vcpu demo`: a multiboot 1 image that owns a PC for a few seconds.
#
#   - from 32-bit protected mode to 64-bit long mode, 4 GiB identity-mapped
#   - COM1 for text; the 8259s and the 8254 for a clock of 1000 ticks a second
#   - a Mandelbrot set with SSE2 doubles, timed by that clock
#   - three seconds of countdown asleep in HLT
#   - off through ACPI: RSDP -> RSDT -> FADT -> PM1a control, with the sleep type from the DSDT's _S5_ package
#
# Any multiboot loader boots it: `qemu-system-x86_64 -kernel demo_guest.elf -serial stdio -display none`.
# Build: as --64 demo.s; ld -m elf_x86_64 -z noseparate-code -Ttext-segment=0x100000 -e start; objcopy -O elf32-i386.

	.intel_syntax noprefix
	.set COM1, 0x3F8
	.set HZ, 1000
	.set ROWS, 26
	.set COLUMNS, 76
	.set ITERATIONS, 1000

	.section .text
	.code32
	.balign 4
multiboot:
	.long 0x1BADB002, 2, -(0x1BADB002 + 2)	# flag 1: memory sizes, please

	.globl start
start:
	cli
	lea esp, stack_top
	mov ebp, ebx			# multiboot information

	# PML4 -> PDPT -> four page directories of 2 MiB pages.
	lea edi, pml4
	xor eax, eax
	mov ecx, 6 * 4096 / 4
	rep stosd
	lea eax, pdpt + 3
	mov dword ptr [pml4], eax
	lea eax, directories + 3
	lea edi, pdpt
	mov ecx, 4
1:	mov [edi], eax
	add eax, 4096
	add edi, 8
	loop 1b
	mov eax, 0x83			# 2 MiB, writable, present
	lea edi, directories
	mov ecx, 4 * 512
2:	mov [edi], eax
	add eax, 0x200000
	add edi, 8
	loop 2b

	mov eax, cr4
	or eax, 0x620			# PAE, OSFXSR, OSXMMEXCPT
	mov cr4, eax
	lea eax, pml4
	mov cr3, eax
	mov ecx, 0xC0000080		# EFER.LME
	rdmsr
	or eax, 0x100
	wrmsr
	mov eax, cr0
	and eax, ~4			# no EM
	or eax, 0x80000003		# PG, MP, PE
	mov cr0, eax
	lgdt gdtr
	.att_syntax
	ljmp $8, $long_mode
	.intel_syntax noprefix

	.code64
long_mode:
	mov eax, 16
	mov ds, eax
	mov es, eax
	mov ss, eax
	lea rsp, stack_top
	call serial_init
	call clock_init
	sti

	lea rsi, banner
	call puts
	call print_cpu
	call print_memory

	mov r15, ticks
	call mandelbrot
	sub r15, ticks
	neg r15
	lea rsi, picture
	call puts
	mov rax, r15
	call print_number
	lea rsi, picture_end
	call puts

	mov ebx, 3
3:	lea rsi, countdown
	call puts
	mov eax, ebx
	call print_number
	mov ecx, HZ
	call sleep
	dec ebx
	jnz 3b
	lea rsi, bye
	call puts
	jmp power_off

# --- text ---------------------------------------------------------------------------------------

serial_init:
	lea rsi, serial_setup
1:	lodsw				# al: register, ah: value
	cmp al, 0xFF
	je 2f
	movzx edx, al
	add edx, COM1
	mov al, ah
	out dx, al
	jmp 1b
2:	ret

# AL to COM1, when the transmitter is ready for it.
putc:
	push rdx
	push rax
	mov edx, COM1 + 5
1:	in al, dx
	test al, 0x20
	jz 1b
	pop rax
	mov edx, COM1
	out dx, al
	pop rdx
	ret

# The string at RSI.
puts:
	lodsb
	test al, al
	jz 1f
	call putc
	jmp puts
1:	ret

# RAX in decimal.
print_number:
	push rbx
	push rcx
	push rdx
	mov ebx, 10
	xor ecx, ecx
1:	xor edx, edx
	div rbx
	push rdx
	inc ecx
	test rax, rax
	jnz 1b
2:	pop rax
	add al, '0'
	call putc
	dec ecx
	jnz 2b
	pop rdx
	pop rcx
	pop rbx
	ret

# --- what we run on -----------------------------------------------------------------------------

print_cpu:
	mov eax, 0x80000000
	cpuid
	cmp eax, 0x80000004
	jb 2f
	lea rdi, brand
	mov r8d, 0x80000002
1:	mov eax, r8d
	cpuid
	mov [rdi], eax
	mov [rdi + 4], ebx
	mov [rdi + 8], ecx
	mov [rdi + 12], edx
	add rdi, 16
	inc r8d
	cmp r8d, 0x80000004
	jbe 1b
	lea rsi, brand
	call puts
	lea rsi, comma
	call puts
2:	ret

print_memory:
	mov eax, [rbp + 8]		# KiB above 1 MiB
	shr eax, 10
	inc eax
	call print_number
	lea rsi, memory_end
	jmp puts

# --- the clock: 8259s, 8254, one interrupt ------------------------------------------------------

clock_init:
	lea rsi, pic_setup
1:	lodsw				# al: port, ah: value; all ports are below 256
	cmp al, 0xFF
	je 2f
	movzx edx, al
	mov al, ah
	out dx, al
	jmp 1b

	# Vector 20h is IRQ 0; all else would be a surprise, and stays not-present.
2:	lea rax, tick
	lea rdi, idt + 0x20 * 16
	mov [rdi], ax
	mov word ptr [rdi + 2], 8
	mov word ptr [rdi + 4], 0x8E00
	shr rax, 16
	mov [rdi + 6], ax
	lidt idtr
	ret

tick:
	push rax
	inc qword ptr ticks
	mov al, 0x20			# end of interrupt
	out 0x20, al
	pop rax
	iretq

# ECX ticks, asleep.
sleep:
	mov rax, ticks
	add rax, rcx
1:	hlt
	cmp ticks, rax
	jb 1b
	ret

# --- the picture --------------------------------------------------------------------------------

# xmm0, xmm1: c; xmm2, xmm3: z; both real and imaginary part
mandelbrot:
	movsd xmm1, top
	mov r12d, ROWS
row:
	movsd xmm0, left
	mov r13d, COLUMNS
point:
	xorpd xmm2, xmm2
	xorpd xmm3, xmm3
	mov ecx, ITERATIONS
1:	movapd xmm4, xmm2
	mulsd xmm4, xmm4
	movapd xmm5, xmm3
	mulsd xmm5, xmm5
	movapd xmm6, xmm4
	addsd xmm6, xmm5
	comisd xmm6, four
	ja 2f
	mulsd xmm3, xmm2
	addsd xmm3, xmm3
	addsd xmm3, xmm1
	subsd xmm4, xmm5
	addsd xmm4, xmm0
	movapd xmm2, xmm4
	loop 1b

	# Shade by the logarithm of the iterations that it took.
2:	mov eax, ITERATIONS + 1
	sub eax, ecx
	bsr eax, eax
	movzx eax, byte ptr [shades + rax]
	call putc
	addsd xmm0, step_x
	dec r13d
	jnz point
	lea rsi, newline
	call puts
	addsd xmm1, step_y
	dec r12d
	jnz row
	ret

# --- off ----------------------------------------------------------------------------------------

power_off:
	mov esi, 0xE0000
	mov rax, 0x2052545020445352	# "RSD PTR "
1:	cmp [rsi], rax
	je 2f
	add esi, 16
	cmp esi, 0x100000
	jb 1b
	jmp no_acpi

2:	mov esi, [rsi + 16]		# RSDT
	mov ecx, [rsi + 4]
	sub ecx, 36
	shr ecx, 2
	jz no_acpi
3:	mov edi, [rsi + 36]
	cmp dword ptr [rdi], 0x50434146	# "FACP"
	je 4f
	add esi, 4
	loop 3b
	jmp no_acpi

4:	mov edx, [rdi + 64]		# PM1a control port
	in ax, dx
	test al, 1			# SCI_EN: ACPI mode
	jnz 5f
	mov r8d, edx
	mov edx, [rdi + 48]		# SMI command port
	test edx, edx
	jz 5f
	mov al, [rdi + 52]		# "go to ACPI mode"
	out dx, al
	mov edx, r8d

5:	mov esi, [rdi + 40]		# DSDT
	mov ecx, [rsi + 4]
6:	cmp dword ptr [rsi], 0x5F35535F	# "_S5_"
	je 7f
	inc esi
	loop 6b
	jmp no_acpi

	# Name (_S5, Package { SLP_TYPa, ... }): 08 "_S5_" 12 length count [0A] value
7:	add esi, 6
	lodsb				# the count; then the first element
	lodsb
	cmp al, 0x0A			# byte prefix; without it, 0 or 1 says itself
	jne 8f
	lodsb
8:	movzx eax, al
	shl eax, 10
	or eax, 0x2000			# SLP_EN
	mov edx, [rdi + 64]
	out dx, ax
	mov ecx, HZ			# a real machine takes a while
	call sleep

no_acpi:				# the debug-exit port, where there is one
	xor eax, eax
	out 0xF4, al
	cli
9:	hlt
	jmp 9b

# ------------------------------------------------------------------------------------------------

	.section .data
	.balign 8
gdt:	.quad 0
	.quad 0x00209A0000000000	# 8: 64-bit code
	.quad 0x0000920000000000	# 16: data
gdtr:	.word . - gdt - 1
	.long gdt
idtr:	.word 0x21 * 16 - 1
	.quad idt

	.balign 8
ticks:	.quad 0
left:	.double -2.2
top:	.double -1.25
step_x:	.double 0.0425
step_y:	.double 0.1
four:	.double 4.0
shades:	.ascii " .:-=+*%#@"

# register offset, value: 115200 8N1, FIFOs on, no interrupts
serial_setup:
	.byte 3, 0x80, 0, 1, 1, 0, 3, 3, 2, 7, 4, 3, 1, 0, 0xFF, 0

	.set RELOAD, (1193182 + HZ / 2) / HZ
# port, value: ICW1 to ICW4 for both 8259s, masks: IRQ 0 only; 8254 channel 0: mode 2
pic_setup:
	.byte 0x20, 0x11, 0x21, 0x20, 0x21, 4, 0x21, 1, 0x21, 0xFE
	.byte 0xA0, 0x11, 0xA1, 0x28, 0xA1, 2, 0xA1, 1, 0xA1, 0xFF
	.byte 0x43, 0x34, 0x40, RELOAD & 255, 0x40, RELOAD >> 8, 0xFF, 0

banner:
	.ascii "\r\nThis is a PC inside a C library. Every instruction of it was interpreted,\r\n"
	.asciz "and a second run will be the same to the last one.\r\n\r\n"
comma:	.asciz ", "
memory_end:
	.asciz " MiB of memory\r\n\r\n"
picture:
	.asciz "\r\nDrawn with SSE2, in "
picture_end:
	.asciz " ms on the machine's own clock (8254, IRQ 0).\r\n"
countdown:
	.asciz "\rOff in "
bye:	.ascii "\rOff now."
newline:
	.asciz "\r\n"

	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
directories:
	.skip 4 * 4096
idt:	.skip 0x21 * 16
brand:	.skip 64
	.balign 16
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
