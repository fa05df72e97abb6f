/* SPDX-License-Identifier: MIT */
/* The kernel's machine: a 386 or later, two 8259A, an 8254, an IDE disk, the debug console at port E9h. */
#include "kernel.h"

#define PACKED __attribute__((packed))
enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_CODE = 0x1b, USER_DATA = 0x23, TASK = 0x28, EXTRA = 0x30 };
const uint32_t user_code = USER_CODE, user_data = USER_DATA;

static struct task { uint32_t link, esp0, ss0, rest[22]; uint16_t trace, ports; } task;
static uint32_t gdt[7][2] = {
	{ 0, 0 }, { 0xffff, 0xcf9a00 }, { 0xffff, 0xcf9200 }, { 0xffff, 0xcffa00 }, { 0xffff, 0xcff200 }
};
static struct gate { uint16_t low, selector, attributes, high; } idt[256];
struct table { uint16_t limit; uint32_t base; } PACKED;

static void set_gate(unsigned vector, const char *handler, unsigned dpl)
{
	uint32_t to = (uint32_t)handler;

	idt[vector] = (struct gate){ (uint16_t)to, KERNEL_CODE, (uint16_t)(0x8e00 | dpl << 13), (uint16_t)(to >> 16) };
}

void processor_start(void)
{
	struct table t = { sizeof gdt - 1, (uint32_t)gdt };
	uint32_t base = (uint32_t)&task;

	task.ss0 = KERNEL_DATA;
	task.ports = sizeof task;
	gdt[TASK / 8][0] = (sizeof task - 1) | base << 16;
	gdt[TASK / 8][1] = (base >> 16 & 0xff) | 0x8900 | (base & 0xff000000);
	__asm__ volatile("lgdt %0" : : "m"(t));
	load_segments();
	for (unsigned i = 0; i < 48; i++)
		set_gate(i, entries + i * 16, 0);
	set_gate(0x80, system_call, 3);
	t = (struct table){ sizeof idt - 1, (uint32_t)idt };
	__asm__ volatile("lidt %0; ltr %w1; lldt %w2" : : "m"(t), "r"(TASK), "r"(0));
}

uint16_t extra_segment(uint32_t base)
{
	struct table t = { sizeof gdt - 1, (uint32_t)gdt };

	gdt[EXTRA / 8][0] = 0xffff | base << 16;
	gdt[EXTRA / 8][1] = (base >> 16 & 0xff) | 0xcf9200 | (base & 0xff000000);
	__asm__ volatile("lgdt %0" : : "m"(t), "m"(gdt));
	return EXTRA;
}

void set_kernel_stack(uint32_t top) { task.esp0 = top; }
void set_page_directory(uint32_t physical) { __asm__ volatile("mov %0, %%cr3" : : "r"(physical) : "memory"); }
void invalidate_page(uint32_t linear) { __asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory"); }

/* CR0: paging, write protection for the kernel too, and TS: a process that uses the FPU traps. */
void enable_paging(uint32_t physical)
{
	uint32_t cr0;

	set_page_directory(physical);
	__asm__ volatile("mov %%cr0, %0; or $0x80010008, %0; mov %0, %%cr0" : "=&r"(cr0) : : "memory");
}

uint32_t flags_now(void)
{
	uint32_t flags;

	__asm__ volatile("pushf; pop %0" : "=r"(flags));
	return flags;
}

uint32_t interrupts_save(void)
{
	uint32_t flags;

	__asm__ volatile("pushf; pop %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

void interrupts_restore(uint32_t flags) { __asm__ volatile("push %0; popf" : : "r"(flags) : "memory", "cc"); }
void interrupts_wait(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

struct view processor_view(void)
{
	struct view v = { 0 };
	struct table g, i;
	uint8_t readable, writable;

	__asm__("push %%cs; pop %0" : "=r"(v.cs));
	__asm__("mov %%ss, %0" : "=r"(v.ss));
	__asm__("str %0" : "=r"(v.task));
	__asm__("sldt %0" : "=r"(v.ldt));
	__asm__("smsw %0" : "=r"(v.status));
	__asm__("sgdt %0" : "=m"(g));
	__asm__("sidt %0" : "=m"(i));
	__asm__("lar %1, %0" : "=r"(v.access) : "r"(USER_DATA));
	__asm__("lsl %1, %0" : "=r"(v.limit) : "r"(USER_DATA));
	__asm__("verr %w1; setz %0" : "=q"(readable) : "r"(USER_DATA));
	__asm__("verw %w1; setz %0" : "=q"(writable) : "r"(USER_DATA));
	v.cs &= 0xffff, v.status &= 0xffff;
	v.gdt_is_ours = g.base == (uint32_t)gdt, v.gdt_limit = g.limit;
	v.idt_is_ours = i.base == (uint32_t)idt, v.idt_limit = i.limit;
	v.readable = readable, v.writable = writable;
	return v;
}

/* ---- devices ---- */

static void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void console_write(char c) { out8(0xe9, (uint8_t)c); }

void timer_start(void)
{
	enum { DIVISOR = 1193182 / TIMER_HZ };

	out8(0x20, 0x11), out8(0xa0, 0x11); /* 8259A: cascade, ICW4 */
	out8(0x21, TIMER_VECTOR), out8(0xa1, TIMER_VECTOR + 8);
	out8(0x21, 4), out8(0xa1, 2);
	out8(0x21, 1), out8(0xa1, 1);
	out8(0x21, 0xfe), out8(0xa1, 0xff); /* the timer alone */
	out8(0x43, 0x34);                   /* 8254: channel 0, mode 2 */
	out8(0x40, DIVISOR & 255), out8(0x40, DIVISOR >> 8);
}

void timer_acknowledge(void) { out8(0x20, 0x20); }

int disk_transfer(uint32_t sector, void *data, int write)
{
	enum { BASE = 0x1f0, STATUS = 0x1f7, BUSY = 0x80, REQUEST = 8, ERROR = 1 };
	uint32_t words = SECTOR / 2;
	uint8_t status;

	out8(0x3f6, 2); /* no interrupts */
	out8(BASE + 2, 1);
	out8(BASE + 3, (uint8_t)sector), out8(BASE + 4, (uint8_t)(sector >> 8)),
		out8(BASE + 5, (uint8_t)(sector >> 16));
	out8(BASE + 6, 0xe0 | (sector >> 24 & 15));
	out8(STATUS, write ? 0x30 : 0x20);
	while ((status = in8(STATUS)) & BUSY)
		;
	if (status & ERROR || !(status & REQUEST))
		return -1;
	if (write)
		__asm__ volatile("rep outsw" : "+S"(data), "+c"(words) : "d"(BASE) : "memory");
	else
		__asm__ volatile("rep insw" : "+D"(data), "+c"(words) : "d"(BASE) : "memory");
	while ((status = in8(STATUS)) & BUSY)
		;
	return status & ERROR ? -1 : 0;
}

void power_off(void)
{
	__asm__ volatile("outw %w0, %w1" : : "a"(0x2000), "d"(0x604)); /* ACPI: PM1a control, S5 */
	for (;;)
		__asm__ volatile("cli; hlt");
}
