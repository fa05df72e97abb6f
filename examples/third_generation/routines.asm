; SPDX-License-Identifier: MIT
; What both monitors have: the state of the guest, the allocator, the interpreter routines of the privileged
; instructions. The guest's M and R are the cells vm, vl and vb; while the monitor runs, vp is its P. A routine ends at
; `go', which lets the guest go on.

start:  mov   t, old                    ; after a reset: (supervisor, 2, (0, size))
        and   t, #0xfffff
        add   new, t
        mov   size, t                   ; the guest's size is what is left of it
        sub   size, #guest
        mov   vb, size
        mov   vp, #2
        call  #pack
        mov   guest, t                  ; the guest finds what a reset leaves
        jmp   #allocate

; op, insn = the instruction at the guest's P.
fetch:  .word 0
        mov   a, vp
        call  #address
        mov   insn, @a
        mov   op, insn
        shr   op, #56
        jmp   fetch

; The routine of the privileged instruction insn. Unknown operations trap.
privileged:
        mov   a, op
        sub   a, #0x10
        mov   t, a
        sub   t, #routines_end - routines
        jn    t, #routine
        jmp   #reflect
routine: add  a, #routines
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
        jn    t, #go
        mov   b, vb
        jmp   #go
nothing: mov  b, #0
        mov   l, #0
        jmp   #go

; The guest goes on at vp, in user mode.
run:    mov   t, #1
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
srr:    call  #destination
        mov   t, vl
        shl   t, #20
        add   t, vb
        mov   @a, t
        jmp   #next
retu:   call  #value
        mov   vm, #1
        mov   vp, v
        and   vp, #0xfffff
        jmp   #go
next:   add   vp, #1
        and   vp, #0xfffff
        jmp   #go

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

; a = the real address of operand A of insn.
destination: .word 0
        mov   mode, insn
        shr   mode, #52
        and   mode, #3
        jz    mode, #reflect            ; immediate: it names no cell
        mov   a, insn
        shr   a, #24
        and   a, mask24
        call  #resolve
        jmp   destination

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
op:     .word 0
guest:
