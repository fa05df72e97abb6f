/* SPDX-License-Identifier: MIT */
/* What the parts of the kernel share, and what it needs of its machine: native.c has it for a PC, paravirtual.c for a
 * monitor that offers hypercalls. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum { PAGE = 4096, SECTOR = 512, TIMER_VECTOR = 32, TIMER_HZ = 10000 };

/* What entry.S and the processor push. */
struct frame {
	uint32_t es, ds, edi, esi, ebp, unused, ebx, edx, ecx, eax, vector, error;
	uint32_t eip, cs, eflags, esp, ss; /* the last two: only from user mode */
};

/* entry.S */
extern char entries[], system_call[];
struct frame *trap(struct frame *f);
void start_process(struct frame *f) __attribute__((noreturn));
void load_segments(void);
void kernel_main(void) __attribute__((noreturn));

/* The processor. */
void processor_start(void);             /* descriptor tables, segments, task */
void set_kernel_stack(uint32_t top);    /* for the next trap from user mode */
void set_page_directory(uint32_t physical);
void enable_paging(uint32_t physical);
void invalidate_page(uint32_t linear);
uint32_t interrupts_save(void);         /* off; returns EFLAGS as they were */
void interrupts_restore(uint32_t flags);
void interrupts_wait(void);             /* on, until one has been; then off */
uint32_t flags_now(void);
extern const uint32_t user_code, user_data; /* selectors */

uint16_t extra_segment(uint32_t base);  /* the selector of a data segment for the kernel; 0: there is none */

/* What the processor says of itself: the kernel prints it. */
struct view {
	uint32_t cs, ss, task, ldt, status, gdt_limit, idt_limit, access, limit;
	int gdt_is_ours, idt_is_ours, readable, writable;
};
struct view processor_view(void);

/* The devices. */
void console_write(char c);
void timer_start(void);                 /* TIMER_HZ interrupts a second */
void timer_acknowledge(void);
int disk_transfer(uint32_t sector, void *data, int write); /* 0, or -1: there is no such sector */
void power_off(void) __attribute__((noreturn));

/* kernel.c */
void print(const char *text);
void print_hex(uint32_t value);
void panic(const char *why, uint32_t value) __attribute__((noreturn));
void map_page(uint32_t *directory, uint32_t linear, uint32_t physical, uint32_t flags);
extern uint32_t kernel_directory[1024];
void attack(void);                      /* hostile.c */

#endif
