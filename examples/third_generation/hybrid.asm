; SPDX-License-Identifier: MIT
; A hybrid monitor (theorem 3). What the guest does in its supervisor mode is interpreted, instruction by instruction;
; only its user mode runs on the machine. An instruction like RETU may then be without a trap in user mode, if it does
; nothing there that the monitor must know.

old:    .word 0                         ; a trap stores the status word here
new:    .psw  0, dispatcher, 0, 0       ; and takes this one; R is filled in
        jmp   #start
dispatcher:                             ; every trap comes here, from the guest's user mode
        mov   vp, old                   ; P is the guest's own
        shr   vp, #40
        and   vp, #0xfffff
        jmp   #reflect

go:     jz    vm, #interpret
        jmp   #run
interpret:
        call  #fetch
        mov   a, op
        mov   t, a
        sub   t, #innocuous_end - innocuous
        jn    t, #known
        mov   t, op
        sub   t, #0x10
        jn    t, #reflect
        jmp   #privileged
known:  add   a, #innocuous
        jmp   @a
innocuous: .word reflect, mov_, add_, sub_, and_, shl_, shr_, jmp_, jz_, jn_, call_
innocuous_end:                          ; what follows is SVC

mov_:   call  #operands
        mov   @d, v
        jmp   #next
add_:   call  #operands
        add   @d, v
        jmp   #next
sub_:   call  #operands
        sub   @d, v
        jmp   #next
and_:   call  #operands
        and   @d, v
        jmp   #next
shl_:   call  #operands
        shl   @d, v
        jmp   #next
shr_:   call  #operands
        shr   @d, v
        jmp   #next
jz_:    call  #operands
        jz    @d, #jump
        jmp   #next
jn_:    call  #operands
        jn    @d, #jump
        jmp   #next
jmp_:   call  #value
jump:   mov   vp, v
        and   vp, #0xfffff
        jmp   #go
call_:  call  #value
        mov   a, v
        jn    a, #reflect               ; far beyond the bound
        call  #address
        add   vp, #1
        mov   @a, vp
        add   v, #1
        jmp   #jump

; d = the real address of operand A, v = operand B.
operands: .word 0
        call  #destination
        mov   d, a
        call  #value
        jmp   operands
d:      .word 0

.include routines.asm
