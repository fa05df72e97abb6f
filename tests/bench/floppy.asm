; SPDX-License-Identifier: MIT
; A boot sector for emulators that cannot load a multiboot image themselves. Behind it on the floppy is the image, flat (objcopy -O
; binary), SECTORS sectors of it, meant for 1 MiB; ENTRY is its entry point.
;
;   0000:7C00  this; 1000:0000  the image, as the BIOS reads it, a sector at a time; 10_0000h  where it goes
bits 16
org 0x7C00
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7C00
  sti
  mov [drive], dl
  mov ax, 0x1000
  mov es, ax

  mov si, 1                 ; logical sector
.sector:
  mov ax, si                ; 18 sectors a track, 2 heads
  xor dx, dx
  mov cx, 18
  div cx
  mov cl, dl
  inc cl                    ; sector
  mov ch, al
  shr ch, 1                 ; cylinder
  mov dh, al
  and dh, 1                 ; head
  mov dl, [drive]
  xor bx, bx
  mov ax, 0x0201
  int 0x13
  jc .sector
  mov ax, es
  add ax, 512 / 16
  mov es, ax
  inc si
  cmp si, SECTORS
  jbe .sector

  cli
  in al, 0x92               ; A20
  or al, 2
  and al, 0xFE
  out 0x92, al
  lgdt [gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 8:protected

bits 32
protected:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov esi, 0x10000
  mov edi, 0x100000
  mov ecx, SECTORS * 512 / 4
  rep movsd
  mov eax, 0x2BADB002
  xor ebx, ebx
  mov ecx, ENTRY
  jmp ecx

drive: db 0
align 8
gdt:
  dq 0
  dq 0x00CF9A000000FFFF
  dq 0x00CF92000000FFFF
gdtr:
  dw 23
  dd gdt
times 510 - ($ - $$) db 0
dw 0xAA55
