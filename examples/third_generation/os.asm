; SPDX-License-Identifier: MIT
; A tiny operating system. `init' shows that a program cannot write to the console by itself. Then two processes, copies
; of one program at two places, add the odd and the even numbers up to 100, and yield after each; the sum is printed.

old:    .word 0                         ; a trap stores the status word here
new:    .psw  0, trap, 0, 0             ; and takes this one; R is filled in
        jmp   #start

start:  mov   whole, old                ; after a reset it is in cell 0, too
        and   whole, mask40
        add   new, whole
        ; a copy of the program for each process
        mov   to, #slot0
        call  #copy
        mov   to, #slot1
        call  #copy
        mov   slot0, #1                 ; the first odd number, the first even one
        mov   slot1, #2
        retu  #init                     ; in user mode from here

init:   out   #'x'                      ; privileged: the supervisor notes it, and goes on behind it
        svc   #EXIT

; Every trap comes here, in supervisor mode. (l, p) of the old status word says where the instruction is.
YIELD = 1
EXIT = 2
trap:   mov   l, old
        shr   l, #20
        and   l, #0xfffff
        mov   insn, old
        shr   insn, #40
        and   insn, #0xfffff
        add   insn, l
        mov   insn, @insn
        mov   resume, old               ; behind the instruction
        add   resume, one_p
        mov   t, insn
        shr   t, #56
        sub   t, #0x0b
        jz    t, #svc
        add   violations, #1            ; not SVC: what a program must not do
        out   #'!'
        lpsw  resume

svc:    and   insn, #0xff
        sub   insn, #YIELD
        jz    insn, #yield
        jz    current, #init_exit
        ; A process has ended: its result is in its cell 1.
        add   l, #1
        add   sum, @l
        sub   alive, #1
        jz    alive, #finish
        lpsw  other                     ; the other one has the machine for itself
init_exit:
        mov   init_status, old
        mov   current, #1
        lpsw  first

yield:  mov   t, alive                  ; with one process left, it goes on
        sub   t, #1
        jz    t, #alone
        mov   t, other
        mov   other, resume
        lpsw  t
alone:  lpsw  resume

finish: mov   n, sum
        call  #print
        halt

; Copy the program to cell `to'.
copy:   .word 0
        mov   from, #program
_copy:  mov   @to, @from
        add   from, #1
        add   to, #1
        mov   t, from
        sub   t, #program_end
        jn    t, #_copy
        jmp   copy

; Print n in decimal, up to four digits, without leading zeroes.
print:  .word 0
        mov   power, #powers
_digit: mov   digit, #'0'
_again: mov   t, n
        sub   t, @power
        jn    t, #_out
        mov   n, t
        add   digit, #1
        mov   seen, #1
        jmp   #_again
_out:   jz    seen, #_next
        out   digit
_next:  add   power, #1
        jz    @power, #_end
        jmp   #_digit
_end:   out   #10
        jmp   print
powers: .word 1000, 100, 10, 1, 0

mask40: .word 0xffffffffff
one_p:  .psw  0, 1, 0, 0
first:  .psw  1, 2, slot0, 20           ; the status words of the processes: user mode, 20 cells each
other:  .psw  1, 2, slot1, 20
whole:  .word 0
to:     .word 0
from:   .word 0
l:      .word 0
insn:   .word 0
resume: .word 0
t:      .word 0
n:      .word 0
power:  .word 0
digit:  .word 0
seen:   .word 0
current: .word 0
alive:  .word 2
sum:    .word 0
violations: .word 0
init_status: .word 0

; The program of the processes. It counts its cells from 0.
program:
        .base 0
number: .word 0                         ; the supervisor puts the first number here
result: .word 0
loop:   add   result, number
        add   number, #2
        svc   #YIELD
        mov   left, number
        sub   left, #101
        jn    left, #loop
        svc   #EXIT
left:   .word 0
length: .base program + length
program_end:
slot0 = program_end + 2
slot1 = slot0 + 20
