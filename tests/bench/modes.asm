; SPDX-License-Identifier: MIT
; Multiboot 1 start-up for one compute kernel of kernels/kernels.c as code of 16, 32 or 64 bits (BITS), which stands in the file CODE and runs at
; 8000h; START is the address of its function start(). Prints "START", calls start(2 MiB, WHICH, REPS), prints the 64-bit checksum in hex and
; "DONE" on COM1, and leaves through the debug-exit port. Code of 16 bits is as gcc -m16 makes it: CS has 64 KiB, data and stack are flat.
LANDING equ 0x7FF0
bits 32
section .multiboot
align 4
header:
  dd 0x1BADB002, 0, -0x1BADB002
section .start
global _mb_start
_mb_start:
  cli
  cld
  mov esp, stack_top
  lgdt [gdtr]
  jmp 8:.flat
.flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov esi, code
  mov edi, 0x8000
  mov ecx, code_end - code
  rep movsb
%if BITS = 64
%include "identity.inc"
%endif
  mov eax, cr0
  and eax, ~0x60000000
%if BITS = 64
  or eax, 0x80000000
%endif
  mov cr0, eax
  mov esi, begin
  call puts
%if BITS = 64
  jmp 24:.long
bits 64
.long:
  mov edi, 0x200000
  mov esi, WHICH
  mov edx, REPS
  mov ecx, START
  call rcx
  mov rdx, rax
  shr rdx, 32
  jmp far dword [rel .back]
.back: dd .done
  dw 8
bits 32
.done:
%else
  push dword 0                  ; start(u8 *, u64, u64) by the ABI of i386
  push dword REPS
  push dword 0
  push dword WHICH
  push dword 0x200000
%if BITS = 16
  mov eax, [leave16]
  mov [LANDING], eax
  mov eax, [leave16 + 4]
  mov [LANDING + 4], eax
  push dword LANDING
  jmp 32:START
%else
  mov eax, START
  call eax
%endif
.done:
%endif
  mov ebx, eax
  mov eax, edx
  call hex
  mov eax, ebx
  call hex
  mov al, 10
  call putc
  mov esi, done
  call puts
  xor eax, eax
  out 0xF4, al
.halt:
  hlt
  jmp .halt

hex:
  mov ecx, 8
.digit:
  rol eax, 4
  push eax
  and al, 15
  add al, '0'
  cmp al, '9'
  jbe .put
  add al, 39
.put:
  call putc
  pop eax
  loop .digit
  ret

puts:
  lodsb
  test al, al
  jz .end
  call putc
  jmp puts
.end:
  ret

putc:
  push edx
  mov dx, 0x3F8
  out dx, al
  pop edx
  ret

%if BITS = 16
bits 16
leave16:
  jmp dword 8:_mb_start.done
%endif

section .data
begin: db "START", 10, 0
done: db "DONE", 10, 0
code: incbin CODE
code_end:
align 8
gdt:
  dq 0
  dq 0x00CF9A000000FFFF         ; 8: flat code of 32 bits
  dq 0x00CF92000000FFFF         ; 16: flat data
  dq 0x00209A0000000000         ; 24: code of 64 bits
  dq 0x00009A000000FFFF         ; 32: code of 16 bits, 64 KiB from 0
gdtr:
  dw 39
  dd gdt

section .bss
alignb 4096
tables: resb 0x3000
stack: resb 65536
stack_top:
