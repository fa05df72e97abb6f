; SPDX-License-Identifier: MIT
; A virtual machine monitor, as the proof of Popek and Goldberg's theorem 1 constructs it: a dispatcher, an allocator,
; and an interpreter routine for each privileged instruction. Its guest begins in the cell behind it, and has all that
; follows. The guest always runs in user mode, at its own P; its M and R are the cells vm, vl and vb.

old:    .word 0                         ; a trap stores the status word here
new:    .psw  0, dispatcher, 0, 0       ; and takes this one; R is filled in
        mov   t, old                    ; after a reset: (supervisor, 2, (0, size))
        and   t, #0xfffff
        add   new, t
        mov   size, t                   ; the guest's size is what is left of it
        sub   size, #guest
        mov   vb, size
        mov   vp, #2
        call  #pack
        mov   guest, t                  ; the guest finds what a reset leaves
        jmp   #allocate

; Dispatcher: every trap comes here.
dispatcher:
        mov   vp, old                   ; P is the guest's own
        shr   vp, #40
        and   vp, #0xfffff
        jz    vm, #supervisor
        jmp   #reflect                  ; traps of the guest's user mode are the guest's
supervisor:
        mov   a, vp
        call  #address
        mov   insn, @a
        mov   t, insn
        shr   t, #56
        sub   t, #0x10
        jn    t, #reflect               ; not privileged: SVC, a memory trap, an unknown operation
        mov   a, t
        sub   t, #routines_end - routines
        jn    t, #privileged
        jmp   #reflect
privileged:
        add   a, #routines
        jmp   @a
routines: .word halt, out, lpsw, lrr, srr, retu
routines_end:

; A trap of the guest: what the machine does with cells 0 and 1, done with the guest's.
reflect: call #pack
        mov   guest, t
        mov   t, guest + 1
load:   mov   vm, t                     ; the guest's (M, P, R) = t
        shr   vm, #60
        and   vm, #1
        mov   vp, t
        shr   vp, #40
        and   vp, #0xfffff
bounds: mov   vl, t                     ; the guest's R = t
        shr   vl, #20
        and   vl, #0xfffff
        mov   vb, t
        and   vb, #0xfffff

; Allocator: the real R for the guest's is (guest + vl, the lesser of vb and what the guest has from there).
allocate:
        mov   l, vl
        add   l, #guest
        mov   b, size
        sub   b, vl
        jn    b, #nothing
        mov   t, b
        sub   t, vb
        jn    t, #run
        mov   b, vb
        jmp   #run
nothing: mov  b, #0
        mov   l, #0
run:    mov   t, #1                     ; user mode
        shl   t, #20
        add   t, vp
        shl   t, #20
        add   t, l
        shl   t, #20
        add   t, b
        lpsw  t

; Interpreter routines. Each does to the guest's M, P, R and storage what the instruction does to the machine's.
halt:   halt
out:    call  #value
        out   v
        jmp   #next
lpsw:   call  #value
        mov   t, v
        jmp   #load
lrr:    call  #value
        add   vp, #1
        and   vp, #0xfffff
        mov   t, v
        jmp   #bounds
srr:    mov   mode, insn                ; operand A: its form and field to where B's are
        shr   mode, #52
        and   mode, #3
        jz    mode, #reflect
        mov   a, insn
        shr   a, #24
        and   a, mask24
        call  #resolve
        mov   t, vl
        shl   t, #20
        add   t, vb
        mov   @a, t
        jmp   #next
retu:   call  #value
        mov   vm, #1
        mov   vp, v
        and   vp, #0xfffff
        jmp   #run
next:   add   vp, #1
        and   vp, #0xfffff
        jmp   #run

; t = the guest's status word.
pack:   .word 0
        mov   t, vm
        shl   t, #20
        add   t, vp
        shl   t, #20
        add   t, vl
        shl   t, #20
        add   t, vb
        jmp   pack

; a = the real address of the guest's address a; a memory trap for the guest if it has none.
address: .word 0
        mov   t, a
        sub   t, b
        jn    t, #inside
        jmp   #reflect
inside: add   a, l
        jmp   address

; The same for an operand of form `mode', not immediate, with field a.
resolve: .word 0
        call  #address
        sub   mode, #1
        jz    mode, #resolved
        mov   a, @a
        and   a, mask24
        call  #address
resolved: jmp resolve

; v = operand B of insn.
value:  .word 0
        mov   mode, insn
        shr   mode, #48
        and   mode, #3
        mov   a, insn
        and   a, mask24
        jz    mode, #immediate
        call  #resolve
        mov   v, @a
        jmp   value
immediate:
        mov   v, a
        shl   a, #40
        jn    a, #negative
        jmp   value
negative: sub v, two24
        jmp   value

mask24: .word 0xffffff
two24:  .word 0x1000000
size:   .word 0
vm:     .word 0
vp:     .word 0
vl:     .word 0
vb:     .word 0
l:      .word 0
b:      .word 0
a:      .word 0
v:      .word 0
t:      .word 0
mode:   .word 0
insn:   .word 0
guest:
