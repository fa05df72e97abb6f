; SPDX-License-Identifier: MIT
; A multiboot guest for tests/bench/control: a loop for each kind of write to what translation, mode or rights depend on. For each it prints a line,
; "NAME WRITES" (absent on this processor: "NAME 0"), on COM1, first START and last DONE. ROUNDS: of each loop. A round with "pages" touches 32 pages, too.
bits 32
section .multiboot
align 4
  dd 0x1BADB002, 0, -0x1BADB002
section .start
global _mb_start
_mb_start:
  cli
  mov esp, stack_top
  mov edi, tables
  xor eax, eax
  mov ecx, 0x4000 / 4
  rep stosd
  mov dword [tables], tables + 0x1007
  mov dword [tables + 0x1000], tables + 0x2007
  mov dword [tables + 0x2000], tables + 0x3007 ; the first 2 MiB by 4-KiB pages, global as a kernel's
  mov edi, tables + 0x3000
  mov eax, 0x103
  mov ecx, 512
.small:
  mov [edi], eax
  add eax, 0x1000
  add edi, 8
  loop .small
  mov edi, tables + 0x2008
  mov eax, 0x200083
  mov ecx, 511
.large:
  mov [edi], eax
  add eax, 0x200000
  add edi, 8
  loop .large
  mov eax, cr4
  or eax, 0x620 ; OSXMMEXCPT OSFXSR PAE
  mov cr4, eax
  mov eax, tables
  mov cr3, eax
  mov ecx, 0xC0000080
  rdmsr
  or eax, 0x100
  wrmsr
  lgdt [gdtr]
  mov eax, cr0
  or eax, 0x80010001
  mov cr0, eax
  jmp 8:long_mode

bits 64
; HAVE leaf, register, bit: ZF if this processor lacks the feature.
%macro HAVE 3
  mov eax, %1
  xor ecx, ecx
  cpuid
  bt %2, %3
  setc al
  test al, al
%endmacro

; LOOP "name", writes a round[, fewer rounds by this factor]; what comes before the loop; %$go: the loop; END_LOOP. The loop keeps rbx, rsi, r15.
%macro LOOP 2-3 1
  mov r15d, ROUNDS / %3
  lea rsi, [rel %%name]
  mov ebx, ROUNDS / %3 * %2
  jmp %%begin
%%name: db %1, " ", 0
align 16
%%begin:
%push loop
%endmacro
%macro END_LOOP 0
  dec r15d
  jnz %$go
  call report
%pop
%endmacro
%macro ABSENT 1
  lea rsi, [rel %%name]
  xor ebx, ebx
  call report
  jmp %%end
%%name: db %1, " ", 0
%%end:
%endmacro

long_mode:
  mov ax, 16
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov rsp, stack_top
  mov rax, tss
  mov [rel gdt.tss + 2], ax
  shr rax, 16
  mov [rel gdt.tss + 4], al
  mov rax, ldt
  mov [rel gdt.ldt + 2], ax
  shr rax, 16
  mov [rel gdt.ldt + 4], al
  lea rsi, [rel begin]
  call puts

  LOOP "nothing", 1
%$go:
  nop
  END_LOOP

  LOOP "CR0", 1
  mov r8, cr0
%$go:
  mov cr0, r8
  END_LOOP

  LOOP "CR0.WP", 2
  mov r8, cr0
  mov r9, r8
  btc r9, 16
%$go:
  mov cr0, r9
  mov cr0, r8
  END_LOOP

  LOOP "CR0.WP,pages", 2, 16
  mov r8, cr0
  mov r9, r8
  btc r9, 16
%$go:
  mov cr0, r9
  call touch
  mov cr0, r8
  call touch
  END_LOOP

  LOOP "CR0.TS", 2
  mov r8, cr0
  mov r9, r8
  btc r9, 3
%$go:
  mov cr0, r9
  mov cr0, r8
  END_LOOP

  LOOP "CR0.TS,CLTS", 2
  mov r8, cr0
  bts r8, 3
%$go:
  mov cr0, r8
  clts
  END_LOOP

  LOOP "CR0.AM", 2
  mov r8, cr0
  mov r9, r8
  btc r9, 18
%$go:
  mov cr0, r9
  mov cr0, r8
  END_LOOP

  LOOP "CR3", 1
  mov r8, cr3
%$go:
  mov cr3, r8
  END_LOOP

  LOOP "CR3,pages", 1, 16
  mov r8, cr3
%$go:
  mov cr3, r8
  call touch
  END_LOOP

  LOOP "CR4", 1
  mov r8, cr4
%$go:
  mov cr4, r8
  END_LOOP

  LOOP "CR4.PGE", 2
  mov r8, cr4
  mov r9, r8
  btc r9, 7
%$go:
  mov cr4, r9
  mov cr4, r8
  END_LOOP

  LOOP "CR4.PGE,pages", 2, 16
  mov r8, cr4
  mov r9, r8
  btc r9, 7
%$go:
  mov cr4, r9
  call touch
  mov cr4, r8
  call touch
  END_LOOP

  mov rax, cr4
  bts rax, 7
  mov cr4, rax
  LOOP "CR3(global)", 1
  mov r8, cr3
%$go:
  mov cr3, r8
  END_LOOP
  LOOP "CR3(global),pages", 1, 16
  mov r8, cr3
%$go:
  mov cr3, r8
  call touch
  END_LOOP
  mov rax, cr4
  btr rax, 7
  mov cr4, rax

  HAVE 7, ebx, 7
  jz .no_smep
  LOOP "CR4.SMEP", 2
  mov r8, cr4
  mov r9, r8
  btc r9, 20
%$go:
  mov cr4, r9
  mov cr4, r8
  END_LOOP
  jmp .smap
.no_smep:
  ABSENT "CR4.SMEP"
.smap:
  HAVE 7, ebx, 20
  jz .no_smap
  mov rax, cr4
  bts rax, 21
  mov cr4, rax
  LOOP "STAC,CLAC", 2
%$go:
  stac
  clac
  END_LOOP
  LOOP "STAC,CLAC,pages", 2, 16
%$go:
  stac
  call touch
  clac
  call touch
  END_LOOP
  mov rax, cr4
  btr rax, 21
  mov cr4, rax
  jmp .pcid
.no_smap:
  ABSENT "STAC,CLAC"
  ABSENT "STAC,CLAC,pages"
.pcid:
  HAVE 1, ecx, 17
  jz .no_pcid
  LOOP "CR4.PCIDE", 2
  mov r8, cr4
  mov r9, r8
  btc r9, 17
%$go:
  mov cr4, r9
  mov cr4, r8
  END_LOOP
  mov rax, cr4
  bts rax, 17
  mov cr4, rax
  LOOP "CR3(PCID)", 2
  mov r8, cr3
  lea r9, [r8 + 1]
%$go:
  mov cr3, r9
  mov cr3, r8
  END_LOOP
  LOOP "CR3(PCID,kept)", 2
  mov r8, cr3
  lea r9, [r8 + 1]
  bts r8, 63
  bts r9, 63
%$go:
  mov cr3, r9
  mov cr3, r8
  END_LOOP
  LOOP "CR3(PCID,kept),pages", 2, 16
  mov r8, cr3
  lea r9, [r8 + 1]
  bts r8, 63
  bts r9, 63
%$go:
  mov cr3, r9
  call touch
  mov cr3, r8
  call touch
  END_LOOP
  mov rax, cr4
  btr rax, 17
  mov cr4, rax
  jmp .invpcid
.no_pcid:
  ABSENT "CR4.PCIDE"
  ABSENT "CR3(PCID)"
  ABSENT "CR3(PCID,kept)"
  ABSENT "CR3(PCID,kept),pages"
.invpcid:
  HAVE 7, ebx, 10
  jz .no_invpcid
  LOOP "INVPCID(address)", 1
  xor eax, eax
  lea r8, [rel descriptor]
%$go:
  invpcid rax, [r8]
  END_LOOP
  LOOP "INVPCID(all)", 1
  mov eax, 2
  lea r8, [rel descriptor]
%$go:
  invpcid rax, [r8]
  END_LOOP
  jmp .invlpg
.no_invpcid:
  ABSENT "INVPCID(address)"
  ABSENT "INVPCID(all)"
.invlpg:
  LOOP "INVLPG", 1
  mov r8d, 0x3ff000
%$go:
  invlpg [r8]
  END_LOOP
  LOOP "INVLPG,load", 1
  mov r8d, 0x3ff000
%$go:
  invlpg [r8]
  mov rax, [r8]
  END_LOOP

  LOOP "CR8", 2
  mov r9d, 2
  xor r8d, r8d
%$go:
  mov cr8, r9
  mov cr8, r8
  END_LOOP

%macro MSR 3 ; "name", number, the bit of EFER that changes, or -1
  LOOP %1, 2
  mov ecx, %2
  rdmsr
  mov r8d, eax
  mov r9d, eax
%if %3 >= 0
  btc r9d, %3
%endif
%$go:
  mov eax, r9d
  wrmsr
  mov eax, r8d
  wrmsr
  END_LOOP
%endmacro
  MSR "EFER", 0xC0000080, -1
  MSR "EFER.NXE", 0xC0000080, 11
  MSR "EFER.SCE", 0xC0000080, 0
  MSR "FS.base(MSR)", 0xC0000100, -1
  MSR "GS.base(MSR)", 0xC0000101, -1
  LOOP "SWAPGS", 1
%$go:
  swapgs
  END_LOOP

  LOOP "LGDT", 1
%$go:
  lgdt [rel gdtr64]
  END_LOOP
  LOOP "LIDT", 1
%$go:
  lidt [rel gdtr64]
  END_LOOP
  mov r8d, 24
  LOOP "LLDT", 1
%$go:
  lldt r8w
  END_LOOP
  mov r8d, 40
  LOOP "LTR", 1
%$go:
  and byte [rel gdt.tss + 5], 0xfd ; not busy
  ltr r8w
  END_LOOP
  mov r8d, 16
  LOOP "SS", 1
%$go:
  mov ss, r8w
  END_LOOP

  lea rsi, [rel done]
  call puts
.halt:
  hlt
  jmp .halt

; A load and a store in each of 32 pages, by calls in two pages.
align 4096
touch:
  mov eax, 0x400000
.next:
  mov ecx, [rax]
  mov [rax + 8], ecx
  call other
  add eax, 4096
  cmp eax, 0x420000
  jb .next
  ret
align 4096
other:
  ret

report:
  call puts
  mov eax, ebx
  mov ecx, 10
  lea rsi, [rel number_end]
.digit:
  xor edx, edx
  div ecx
  add dl, '0'
  dec rsi
  mov [rsi], dl
  test eax, eax
  jnz .digit
puts:
  lodsb
  test al, al
  jz .end
  mov dx, 0x3F8
  out dx, al
  jmp puts
.end:
  ret

section .data
begin: db "START", 10, 0
done: db "DONE", 10, 0
  times 10 db 0
number_end: db 10, 0
align 8
gdt:
  dq 0
  dq 0x00209A0000000000
  dq 0x0000920000000000
.ldt:
  dq 0x0000820000000fff, 0
.tss:
  dq 0x0000890000000067, 0
gdtr:
  dw 55
  dd gdt
gdtr64:
  dw 55
  dq gdt
align 16
descriptor: dq 0, 0x3ff000

section .bss
alignb 4096
tables: resb 0x4000
tss: resb 0x1000
ldt: resb 0x1000
stack: resb 65536
stack_top:
