/* SPDX-License-Identifier: MIT */
/* What the paravirtual kernel asks its monitor for: INT 82h with the number in EAX and arguments in EBX, ECX, EDX. */
#ifndef HYPERCALLS_H
#define HYPERCALLS_H

#define HYPERCALL 0x82
#define HYPERCALL_IRET 0       /* on the stack: EAX, then what IRET takes */
#define HYPERCALL_TRAPS 1      /* EBX: the handlers of 256 vectors; 0: none. Programs may call that of 80h */
#define HYPERCALL_STACK 2      /* EBX: ESP at traps from user mode */
#define HYPERCALL_PAGES 3      /* EBX: the page directory; paging is on */
#define HYPERCALL_INVALIDATE 4 /* EBX: a linear address that is mapped anew */
#define HYPERCALL_SHARED 5     /* EBX: a struct shared, at its physical address */
#define HYPERCALL_INTERRUPTS 6 /* interrupts are on again, and one was pending */
#define HYPERCALL_WAIT 7       /* interrupts on, until one has been */
#define HYPERCALL_CONSOLE 8    /* EBX, ECX: bytes to print, their number */
#define HYPERCALL_DISK 9       /* EBX: sector; ECX: its 512 bytes; EDX: 1 to write. EAX: 0, or -1 */
#define HYPERCALL_TIMER 10     /* EBX: vector; ECX: interrupts per second */
#define HYPERCALL_POWER_OFF 11

#ifndef __ASSEMBLER__
struct shared { volatile unsigned interrupts, pending; }; /* interrupts: they are on */
#endif
#endif
