# SPDX-License-Identifier: MIT
# A guest that never does anything sensible: it programs every register of every device it can find with random values, for ever. tests/fuzz/guest.c
# runs it as firmware.
#
# Code, IDT and GDT are in ROM, where no stray DMA reaches them, in 32 copies, so that the A20 gate does not matter. Nothing is ever returned to: an
# interrupt or a fault of any kind acknowledges itself and starts the loop again. Random numbers come from EBP, which the driver may set at reset; GS
# says which of two stacks to take.
#
# Every round is one write to port FEE0h, which belongs to the driver.
#
# Build: as --32 guest.s; ld -m elf_i386 -Ttext=0xFFFF0000 -e start --oformat=binary.

	.intel_syntax noprefix
	.set APIC, 0xFEE00000
	.set IOAPIC, 0xFEC00000
	.set HPET, 0xFED00000
	.set VARS, 0xFFDF0000		# below 2 MiB of ROM: 64 KiB of flash
	.set RAM, 0x00FFFFFF		# 16 MiB of it
	.set STATE, 0x500		# where EBP is kept for a reset
	.set STACK, 0x6000
	.set ROUND, 0xFEE0

	.globl start
	.code16
start:					# F000:0000, where SIPI F0h goes
	mov bx, 0x10
	jmp enter
boot:	mov bx, 0x18
enter:	cli
	cld
	data32 lgdt cs:[gdtr - start]
	mov eax, cr0
	and eax, 0x1FFFFFFF		# caches on
	or al, 1
	mov cr0, eax
	data32 ljmp 8, offset main

	.code32
main:	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov gs, ebx
	lidt [idtr]
	mov esp, STACK + 0x1000
	mov eax, cr4
	or eax, 0x600			# SSE
	mov cr4, eax
	test ebp, ebp
	jnz 1f
	rdtsc				# not into the reset that it came from
	mov ebp, eax
	xor ebp, [STATE]
1:	xor ebp, [APIC + 0x20]
	call set_up_apic
	cmp bx, 0x18
	jne again
	call start_other
	call set_up_pic
	call set_up_pci
	jmp again

# Any interrupt, any fault.
handler:
	cld
	mov ecx, 0x10
	mov ds, ecx
	mov es, ecx
	mov ss, ecx
	mov esp, STACK + 0x1000
	mov ecx, gs
	cmp cx, 0x18
	je 1f
	sub esp, 0x800
1:	mov dword ptr [APIC + 0xB0], 0
	mov al, 0x20
	out 0x20, al
	out 0xA0, al
again:	mov dx, ROUND
	out dx, al
	cld
	mov [STATE], ebp
	mov dword ptr [0x38000], 0xE20800B9	# for an SMI: mov cx, 800h; loop to itself; rsm
	mov dword ptr [0x38004], 0x00AA0FFE
	mov ecx, 64
	call pick
	movzx edx, byte ptr [weights + edx]
	call [actions + edx * 4]
	jmp again

# ---- random numbers ----

# A number in EAX.
random:	imul ebp, ebp, 1664525
	add ebp, 1013904223
	mov eax, ebp
	shr eax, 15
	xor eax, ebp
	ret

# A number below ECX in EDX.
pick:	call random
	mul ecx
	ret

# What a register might take seriously, in EAX. All other registers are kept.
value:	push ecx
	call random
	mov ecx, eax
	shr ecx, 29
	jmp [values + ecx * 4]
v_zero:	xor eax, eax
	pop ecx
	ret
v_ones:	or eax, -1
	pop ecx
	ret
v_page:	and eax, RAM & ~0xFFF
	pop ecx
	ret
v_ram:	and eax, RAM
	pop ecx
	ret
v_byte:	movzx eax, al
	pop ecx
	ret
v_bit:	mov ecx, eax
	mov eax, 1
	shl eax, cl
	pop ecx
	ret
v_any:	call random
	pop ecx
	ret

# ---- accesses ----

# A register at port EDX, in or out, of any width.
port:	call value
	push eax
	call random
	mov ecx, eax
	pop eax
	shr ecx, 28
	jmp [port_kinds + ecx * 4]
p_in1:	in al, dx
	ret
p_in2:	in ax, dx
	ret
p_in4:	in eax, dx
	ret
p_out1:	out dx, al
	ret
p_out2:	out dx, ax
	ret
p_out4:	out dx, eax
	ret
p_reps:	push eax			# string instructions, to RAM or registers, in either direction
	call random
	test al, 3
	jnz 1f
	std
1:	movzx ecx, ah
	test eax, 0x300000
	jnz 1f
	mov ecx, 0x800
1:	pop edi
	mov esi, edi
	shr eax, 29
	jmp [string_kinds + eax * 4]
s_ins1:	rep insb
	cld
	ret
s_ins2:	rep insw
	cld
	ret
s_ins4:	rep insd
	cld
	ret
s_out1:	rep outsb
	cld
	ret
s_out2:	rep outsw
	cld
	ret
s_out4:	rep outsd
	cld
	ret

# Memory at EDX, read or written, of any width.
memory:	call value
	push eax
	call random
	mov ecx, eax
	pop eax
	shr ecx, 28
	jmp [memory_kinds + ecx * 4]
m_in1:	mov al, [edx]
	ret
m_in2:	mov ax, [edx]
	ret
m_in4:	mov eax, [edx]
	ret
m_in8:	movq xmm0, [edx]
	ret
m_in16:	movups xmm0, [edx]
	ret
m_out1:	mov [edx], al
	ret
m_out2:	mov [edx], ax
	ret
m_out4:	mov [edx], eax
	ret
m_out8:	movd xmm0, eax
	movq [edx], xmm0
	ret
m_put:	movd xmm0, eax
	pshufd xmm0, xmm0, 0
	movups [edx], xmm0
	ret
m_add:	lock xadd [edx], eax
	ret
m_reps:	mov edi, edx
	mov esi, eax
	call random
	movzx ecx, ah
	test al, 1
	jz 1f
	std
1:	test al, 2
	jz 1f
	xchg esi, edi
1:	rep movsd
	cld
	ret

# A page of RAM in EAX.
ram_page:
	call random
	and eax, RAM & ~0xFFF
	ret

# The first port of a PCI device in EDX; its memory.
pci_port:
	call random
	and eax, 15
	shl eax, 8
	lea edx, [eax + 0xC000]
	ret
pci_memory:
	call random
	and eax, 15
	shl eax, 24
	lea edx, [eax + 0xE0000000]
	ret

# ---- what it does ----

act_any_port:
	call random
	movzx edx, ax
	jmp port

act_known_port:
	mov ecx, (ports_end - ports) / 2
	call pick
	movzx edx, word ptr [ports + edx * 2]
	call random
	and eax, 7
	add edx, eax
	jmp port

act_pci_port:
	call pci_port
	call random
	and eax, 127
	add edx, eax
	jmp port

act_known_memory:
	mov ecx, (places_end - places) / 8
	call pick
	lea ebx, [places + edx * 8]
	call random
	and eax, [ebx + 4]
	mov edx, [ebx]
	add edx, eax
	jmp 1f
act_pci_memory:
	call pci_memory
	call random
	mov ecx, eax
	shr ecx, 30
	mov ecx, [masks + ecx * 4]
	and eax, ecx
	add edx, eax
1:	call random
	test al, 7
	jz memory
	and edx, ~3
	jmp memory

act_any_memory:
	call random
	mov edx, eax
	jmp memory

act_config:
	call random
	test eax, 0x30000
	jz 1f
	and eax, 0x78FC			# 15..11 slot  10..8 function  7..2 register
1:	and eax, 0x7FFC
	or eax, 0x80000000
	mov dx, 0xCF8
	out dx, eax
	call random
	mov dx, 0xCFC
	test al, 7
	jz config_any
	test al, 3
	jz config_base
	test al, 1
	jz config_on
config_any:
	and eax, 3
	add edx, eax
	jmp port
config_base:				# a base address that will do
	mov dx, 0xCF8
	in eax, dx
	and eax, 0x8000FF00
	mov ebx, eax
	mov ecx, 6
	call pick
	lea eax, [ebx + edx * 4 + 0x10]
	mov dx, 0xCF8
	out dx, eax
	push edx
	call pci_memory
	call random
	test al, 1
	jz 1f
	call pci_port
1:	mov eax, edx
	pop edx
	mov dx, 0xCFC
	out dx, eax
	ret
config_on:				# as a bus master
	mov dx, 0xCF8
	in eax, dx
	and eax, 0x8000FF00
	or al, 4
	out dx, eax
	mov dx, 0xCFC
	mov ax, 7
	out dx, ax
	ret

# A page of anything.
act_fill:
	call ram_page
	mov edi, eax
	mov ebx, 64
1:	call value
	stosd
	dec ebx
	jnz 1b
	ret

# Descriptors of virtio's: 0 address 8 length 12 flags 14 next, the ring of those to take behind them; and a device that is told of them.
act_virtio:
	call ram_page
	push eax
	mov edi, eax
	mov ebx, 16
1:	call value
	and eax, RAM
	stosd
	xor eax, eax
	stosd
	call random
	and eax, 0x7FF
	stosd
	call random
	and eax, 0xF0003
	stosd
	dec ebx
	jnz 1b
	pop eax
	lea edi, [eax + 0x1000]		# where the old interface has it for 256 descriptors
	mov ebx, 8
2:	push eax
	call random
	and eax, 0x0F000F
	stosd
	pop eax
	dec ebx
	jnz 2b
	mov ebx, eax
	call random
	test al, 1
	jz virtio_new
	call pci_port
	lea esi, [edx]
	lea edx, [esi + 18]
	mov al, 7
	out dx, al
	call random
	and eax, 3
	lea edx, [esi + 14]
	out dx, ax
	push eax
	mov eax, ebx
	shr eax, 12
	lea edx, [esi + 8]
	out dx, eax
	pop eax
	lea edx, [esi + 16]
	out dx, ax
	ret
virtio_new:
	call pci_memory
	mov esi, edx
	call random
	test al, 3
	jnz 1f
	mov byte ptr [esi + 0x14], 0
1:	mov dword ptr [esi + 8], 1
	mov dword ptr [esi + 12], 1
	mov byte ptr [esi + 0x14], 15
	call random
	and eax, 3
	mov [esi + 0x16], ax
	mov edi, eax
	mov word ptr [esi + 0x18], 64
	mov [esi + 0x20], ebx
	mov dword ptr [esi + 0x24], 0
	lea eax, [ebx + 0x1000]
	mov [esi + 0x28], eax
	mov dword ptr [esi + 0x2C], 0
	lea eax, [ebx + 0x2000]
	mov [esi + 0x30], eax
	mov dword ptr [esi + 0x34], 0
	mov word ptr [esi + 0x1C], 1
	mov [esi + edi * 4 + 0x3000], edi
	ret

# Rings of the 82540EM's.
act_rings:
	call pci_memory
	mov esi, edx
	call value
	or eax, 0x8002
	mov [esi + 0x100], eax
	call value
	or eax, 2
	mov [esi + 0x400], eax
	call value
	and eax, RAM & ~15
	mov [esi + 0x2800], eax
	mov [esi + 0x3800], eax
	call random
	and eax, 0xF80
	mov [esi + 0x2808], eax
	mov [esi + 0x3808], eax
	call random
	movzx ecx, al
	mov [esi + 0x2818], ecx
	mov [esi + 0x3818], ecx
	ret

# A command to a drive, through its ports; the packet of an ATAPI one; some of its data.
act_ata:
	call random
	mov esi, 0x1F0
	test al, 3
	jnz 1f
	mov esi, 0x170
1:	lea edx, [esi + 6]
	or al, 0xA0
	out dx, al
	lea edx, [esi + 2]
	mov edi, 4
2:	call value
	out dx, al
	inc edx
	dec edi
	jnz 2b
	mov ecx, ata_commands_end - ata_commands
	call pick
	mov al, [ata_commands + edx]
	lea edx, [esi + 7]
	out dx, al
	in al, dx
	mov edx, esi
	call random
	test al, 1
	jz 3f
	push edx
	mov ecx, packets_end - packets
	call pick
	movzx eax, byte ptr [packets + edx]
	pop edx
	out dx, ax
	mov edi, 5
2:	call value
	out dx, ax
	dec edi
	jnz 2b
3:	call random
	mov ecx, eax
	and ecx, 0x1FF
	call ram_page
	mov edi, eax
	mov esi, eax
	test ecx, 0x100
	jz 4f
	rep insw
	ret
4:	rep outsw
	ret

# The IDE's bus master: a table of regions, and go.
act_ide_dma:
	call ram_page
	mov ebx, eax
	mov edi, eax
	mov ecx, 8
1:	push ecx
	call value
	stosd
	call value
	and eax, 0x80001FFE
	stosd
	pop ecx
	loop 1b
	or dword ptr [edi - 4], 0x80000000
	call pci_port
	call random
	and eax, 8
	add edx, eax
	mov esi, edx
	lea edx, [esi + 4]
	mov eax, ebx
	out dx, eax
	push esi
	mov edx, 0x1F6
	mov al, 0xE0
	out dx, al
	call random
	mov edx, 0x1F2
	out dx, al
	mov edx, 0x1F7
	mov ecx, eax
	shr ecx, 29
	mov al, [dma_commands + ecx]
	out dx, al
	pop edx
	call random
	and al, 8
	or al, 1
	out dx, al
	ret

# AHCI: a list of 32 commands, a table whose FIS says which, and go.
act_ahci:
	call ram_page
	mov ebx, eax
	mov edi, eax
	mov ecx, 32
1:	push ecx
	call random
	and eax, 0x0007007F		# flags, length of the FIS, regions
	or eax, 5
	stosd
	xor eax, eax
	stosd
	lea eax, [ebx + 0x1000]
	stosd
	xor eax, eax
	stosd
	add edi, 16
	pop ecx
	loop 1b
	lea edi, [ebx + 0x1000]
	mov ecx, ata_commands_end - ata_commands
	call pick
	movzx eax, byte ptr [ata_commands + edx]
	shl eax, 16
	or eax, 0x8027
	stosd
	mov ecx, 7
2:	push ecx
	call value
	stosd
	pop ecx
	loop 2b
	lea edi, [ebx + 0x1040]
	mov ecx, packets_end - packets
	call pick
	movzx eax, byte ptr [packets + edx]
	stosd
	lea edi, [ebx + 0x1080]
	mov ecx, 8
3:	push ecx
	call value
	stosd
	xor eax, eax
	stosd
	stosd
	call random
	and eax, 0x80003FFF
	stosd
	pop ecx
	loop 3b
	call pci_memory
	mov dword ptr [edx + 4], 0x80000002
	call random
	and eax, 0x80			# of the first two ports
	lea esi, [edx + eax + 0x100]
	call random
	test al, 7
	jz 4f
	mov [esi], ebx
	lea eax, [ebx + 0x2000]
	mov [esi + 8], eax
	mov dword ptr [esi + 0x14], -1
	mov dword ptr [esi + 0x18], 0x11
4:	call value
	mov [esi + 0x34], eax
	mov [esi + 0x38], eax
	ret

# The floppy controller: a command, its bytes, its data through the 8237 or through the port.
act_floppy:
	mov dx, 0x3F2
	mov al, 0x1C
	out dx, al
	call value
	mov dx, 0x3F7
	and al, 3
	out dx, al
	call dma_channel
	mov ecx, floppy_commands_end - floppy_commands
	call pick
	mov al, [floppy_commands + edx]
	mov dx, 0x3F5
	out dx, al
	mov ecx, 8
	call pick
	mov ebx, edx
	mov dx, 0x3F5
1:	call value
	and al, 0x1F
	out dx, al
	dec ebx
	jns 1b
	call random
	movzx ecx, al
2:	in al, dx
	loop 2b
	ret

# A channel of the 8237s, going round RAM.
dma_channel:
	call random
	out 0x0C, al
	mov edx, eax
	and edx, 6
	call value
	out dx, al
	mov al, ah
	out dx, al
	inc edx
	call value
	out dx, al
	mov al, ah
	out dx, al
	call random
	out 0x0B, al
	and al, 3
	out 0x0A, al
	call random
	out 0x81, al
	out 0xD6, al
	and al, 3
	out 0xD4, al
	ret

# The sound card: a command to the DSP or to the mixer.
act_sound:
	call dma_channel
	mov dx, 0x22C
	mov ecx, dsp_commands_end - dsp_commands
	push edx
	call pick
	mov al, [dsp_commands + edx]
	pop edx
	out dx, al
	call value
	out dx, al
	call value
	out dx, al
	call value
	out dx, al
	mov dx, 0x224
	call random
	out dx, al
	inc edx
	call value
	out dx, al
	ret

act_keyboard:
	call value
	out 0x64, al
	call value
	out 0x60, al
	in al, 0x60
	ret

# The display: an indexed register, or the interface of its own.
act_display:
	mov ecx, (indexed_end - indexed) / 2
	call pick
	movzx edx, word ptr [indexed + edx * 2]
	call random
	and al, 0x3F
	out dx, al
	mov dx, 0x1CE
	call random
	and ax, 15
	out dx, ax
	inc edx
	call value
	and ax, 0x7FF
	out dx, ax
	ret

# The flash chip, as one programs it.
act_flash:
	call random
	movzx edx, ax
	add edx, VARS
	mov ecx, eax
	shr ecx, 29
	mov al, [flash_commands + ecx]
	mov [edx], al
	call value
	and al, 0xD0
	mov [edx], al
	ret

act_msr:
	call random
	test al, 7
	jz 1f
	mov ecx, (msrs_end - msrs) / 4
	call pick
	mov ecx, [msrs + edx * 4]
	jmp 2f
1:	call random
	mov ecx, eax
	and ecx, 0xC0001FFF
2:	call random
	test al, 1
	jz 3f
	rdmsr
	call random
	test al, 1
	jnz 4f
	ret
3:	call value
	mov edx, eax
	call value
4:	wrmsr
	ret

# Sleep until a timer wakes it, if it does.
act_sleep:
	call random
	out 0x43, al
	mov al, 0x34
	out 0x43, al
	call random
	out 0x40, al
	mov al, ah
	and al, 0x0F
	out 0x40, al
	in al, 0x21
	and al, 0xFE
	out 0x21, al
	mov dword ptr [APIC + 0xF0], 0x1FF
	mov dword ptr [APIC + 0x80], 0
	mov dword ptr [APIC + 0x3E0], 0
	mov dword ptr [APIC + 0x320], 0x40
	call random
	and eax, 0x3FF
	mov [APIC + 0x380], eax
	sti
	hlt
	ret

act_interrupt:
	call random
	mov [APIC + 0x310], eax
	call value
	and eax, 0x000CFFFF
	mov [APIC + 0x300], eax
	call random
	test al, 0x1F
	jz start_other
	ret

act_sti:
	sti
	ret
act_cli:
	cli
	ret

# What else is at CPL 0.
act_processor:
	call random
	mov ecx, eax
	shr ecx, 30
	jmp [processor_kinds + ecx * 4]
c_cpuid:
	cpuid
	ret
c_wbinvd:
	wbinvd
	ret
c_tsc:	rdtsc
	ret
c_smi:	mov dword ptr [APIC + 0x300], 0x40200
	ret

# ---- the beginning ----

set_up_apic:
	mov dword ptr [APIC + 0xF0], 0x1FF
	mov dword ptr [APIC + 0x350], 0x700	# LINT0: ExtINT
	mov dword ptr [APIC + 0x360], 0x400	# LINT1: NMI
	ret

# INIT and SIPI F0h to all others.
start_other:
	mov dword ptr [APIC + 0x300], 0xC4500
	mov dword ptr [APIC + 0x300], 0xC46F0
	ret

set_up_pic:
	mov al, 0x11
	out 0x20, al
	out 0xA0, al
	mov al, 0x20
	out 0x21, al
	mov al, 0x28
	out 0xA1, al
	mov al, 4
	out 0x21, al
	mov al, 2
	out 0xA1, al
	mov al, 1
	out 0x21, al
	out 0xA1, al
	xor al, al
	out 0x21, al
	out 0xA1, al
	ret

# Base addresses for all: memory from E0000000h, ports from C000h, EDI and ESI count. The PIIX4's power management has ports at B000h.
set_up_pci:
	xor edi, edi
	xor esi, esi
	mov ebx, 0x80000000
1:	mov eax, ebx
	call config_read
	inc eax
	jz 9f
	lea ecx, [ebx + 0x10]		# the base address
2:	mov dx, 0xCF8
	mov eax, ecx
	out dx, eax
	mov dx, 0xCFC
	or eax, -1
	out dx, eax
	in eax, dx
	test eax, eax
	jz 8f
	test al, 1
	jnz 3f
	push eax
	mov eax, edi
	and eax, 15
	shl eax, 24
	add eax, 0xE0000000
	out dx, eax
	inc edi
	pop eax
	and al, 6
	cmp al, 4
	jne 8f
	add ecx, 4			# its upper half
	mov dx, 0xCF8
	mov eax, ecx
	out dx, eax
	mov dx, 0xCFC
	xor eax, eax
	out dx, eax
	jmp 8f
3:	mov eax, esi
	and eax, 15
	shl eax, 8
	add eax, 0xC001
	out dx, eax
	inc esi
8:	add ecx, 4
	cmp cl, 0x28
	jb 2b
	lea eax, [ebx + 4]
	mov dx, 0xCF8
	out dx, eax
	mov dx, 0xCFC
	mov ax, 7
	out dx, ax
9:	add ebx, 0x100
	cmp ebx, 0x80008000
	jb 1b
	mov eax, 0x80000B40
	mov dx, 0xCF8
	out dx, eax
	mov dx, 0xCFC
	mov eax, 0xB001
	out dx, eax
	mov eax, 0x80000B80
	mov dx, 0xCF8
	out dx, eax
	mov dx, 0xCFC
	mov al, 1
	out dx, al
	ret

config_read:
	mov dx, 0xCF8
	out dx, eax
	mov dx, 0xCFC
	in eax, dx
	ret

# ---- tables ----

	.balign 8
actions:
	.long act_any_port, act_known_port, act_pci_port, act_known_memory, act_pci_memory, act_any_memory, act_config, act_fill	# 0 to 7
	.long act_virtio, act_rings, act_ata, act_ide_dma, act_ahci, act_floppy, act_sound, act_keyboard				# 8 to 15
	.long act_display, act_flash, act_msr, act_sleep, act_interrupt, act_sti, act_cli, act_processor				# 16 to 23
weights:				# 64 of them
	.byte 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 6, 6
	.byte 6, 7, 7, 8, 8, 8, 8, 9, 10, 10, 10, 11, 12, 12, 13, 13, 14, 14, 15, 16, 16, 17, 17, 18, 19, 20, 21, 21, 21, 21, 22, 23
	.balign 4
values:	.long v_zero, v_ones, v_page, v_ram, v_byte, v_bit, v_any, v_any
port_kinds:
	.long p_in1, p_in1, p_in1, p_in2, p_in4, p_out1, p_out1, p_out1, p_out1, p_out1, p_out2, p_out2, p_out4, p_out4, p_reps, p_out1
string_kinds:
	.long s_ins1, s_ins2, s_ins4, s_out1, s_out2, s_out4, s_ins2, s_ins1
memory_kinds:
	.long m_in1, m_in2, m_in4, m_in4, m_in8, m_in16, m_out1, m_out1, m_out2, m_out4, m_out4, m_out4, m_out8, m_put, m_add, m_reps
processor_kinds:
	.long c_cpuid, c_wbinvd, c_tsc, c_smi
places:					# address, offsets
	.long APIC, 0xFFF, APIC, 0x3FF, IOAPIC, 0x1F, HPET, 0x3FF, HPET, 0x1FF
	.long 0xA0000, 0x1FFFF, 0xB8000, 0x7FFF, 0xC0000, 0x3FFFF, 0xE0000, 0xFFFF
	.long VARS, 0xFFFF, VARS, 0xFFFF, 0xFFE00000, 0x1FFFFF, RAM - 0x7F, 0xFF, 0xFFFFFFC0, 0x3F
places_end:
masks:	.long 0x3F, 0x3FF, 0x3FFF, 0x1FFFFFF
msrs:	.long 0x10, 0x1B, 0x3B, 0x48, 0x49, 0x79, 0x8B, 0xFE, 0x10A, 0x174, 0x175, 0x176, 0x179, 0x17A, 0x1A0, 0x1D9
	.long 0x200, 0x201, 0x20F, 0x250, 0x258, 0x268, 0x277, 0x2FF, 0x400, 0x401, 0x6E0, 0x802, 0x808, 0x80B, 0x80D, 0x80F
	.long 0x830, 0x832, 0x838, 0x83F, 0xDA0, 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000084, 0xC0000102, 0xC0000103
msrs_end:
ports:	.short 0x00, 0x08, 0x20, 0x40, 0x43, 0x60, 0x61, 0x64, 0x70, 0x80, 0x88, 0x92, 0xA0, 0xB2, 0xC0, 0xC8, 0xD0, 0xD8, 0xF0, 0xE9
	.short 0x1F0, 0x1F0, 0x170, 0x170, 0x376, 0x3F6, 0x3F0, 0x3F0, 0x3F0, 0x378, 0x3B0, 0x3B8, 0x3C0, 0x3C0, 0x3C8, 0x3D0, 0x3D4, 0x1CE
	.short 0x2E8, 0x2F8, 0x3E8, 0x3F8, 0x220, 0x220, 0x228, 0x228, 0x402, 0x4D0, 0x510, 0x514, 0x518, 0xCF8, 0xCFC, 0xF4
	.short 0xB000, 0xB008, 0xB020, 0xB028
ports_end:
indexed: .short 0x3C4, 0x3CE, 0x3D4, 0x3C0, 0x3C7, 0x3C8, 0x3D4, 0x3C4
indexed_end:
ata_commands:
	.byte 0x00, 0x08, 0x10, 0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0x42, 0x60, 0x61, 0x70, 0x90, 0x91, 0xA0, 0xA0, 0xA0, 0xA1, 0xB0
	.byte 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xE0, 0xE1, 0xE5, 0xE6, 0xE7, 0xEA, 0xEC, 0xEF, 0xF8, 0x2F, 0x06, 0x3D, 0xCE
ata_commands_end:
packets: .byte 0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E, 0x23, 0x25, 0x28, 0x2B, 0x42, 0x43, 0x44, 0x46, 0x4A, 0x51, 0x52, 0x5A, 0xA8, 0xAD, 0xB9, 0xBB, 0xBD, 0xBE
packets_end:
dma_commands:
	.byte 0xC8, 0xCA, 0x25, 0x35, 0xC8, 0xCA, 0xA0, 0x20
floppy_commands:
	.byte 0x02, 0x03, 0x04, 0x45, 0x46, 0x66, 0xE6, 0xC5, 0x07, 0x08, 0x49, 0x4A, 0x0C, 0x4C, 0x4D, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13, 0x14, 0x18, 0x8F, 0xCF, 0x94, 0x16
floppy_commands_end:
dsp_commands:
	.byte 0x10, 0x14, 0x17, 0x1C, 0x1F, 0x20, 0x24, 0x2C, 0x40, 0x41, 0x42, 0x48, 0x74, 0x75, 0x76, 0x7D, 0x80, 0x90, 0x91, 0x98, 0xB0, 0xB6, 0xBE
	.byte 0xC0, 0xC6, 0xCE, 0xD0, 0xD1, 0xD3, 0xD4, 0xD5, 0xD6, 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE8, 0xF2, 0xF3
dsp_commands_end:
flash_commands:
	.byte 0x10, 0x20, 0x40, 0x50, 0x70, 0x90, 0x98, 0xFF

	.balign 8
gdt:	.quad 0
	.quad 0x00CF9B000000FFFF	# 08h code
	.quad 0x00CF93000000FFFF	# 10h data, and GS of the second processor
	.quad 0x00CF93000000FFFF	# 18h GS of the first one
gdtr:	.short 0x1F
	.long gdt
idtr:	.short 0x7FF
	.long idt
	.balign 8
idt:	.rept 256
	.short handler - start, 8, 0x8E00, 0xFFFF
	.endr

	.org 0xFFF0
	.code16
	.byte 0xE9			# jmp boot
	.short boot - start - 0xFFF3
	.org 0x10000
