; SPDX-License-Identifier: MIT
; A virtual machine monitor, as the proof of Popek and Goldberg's theorem 1 constructs it: a dispatcher, an allocator,
; and an interpreter routine for each privileged instruction; the latter two are in routines.asm. Its guest begins in
; the cell behind it, and has all that follows. The guest always runs in user mode.

old:    .word 0                         ; a trap stores the status word here
new:    .psw  0, dispatcher, 0, 0       ; and takes this one; R is filled in
        jmp   #start
dispatcher:                             ; every trap comes here
        mov   vp, old                   ; P is the guest's own
        shr   vp, #40
        and   vp, #0xfffff
        jz    vm, #supervisor
        jmp   #reflect                  ; traps of the guest's user mode are the guest's
supervisor:
        call  #fetch
        mov   t, op
        sub   t, #0x10
        jn    t, #reflect               ; not privileged: SVC, a memory trap, an unknown operation
        jmp   #privileged

go = run                                ; the guest runs directly, in both of its modes

.include routines.asm
