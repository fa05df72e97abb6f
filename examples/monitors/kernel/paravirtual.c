/* SPDX-License-Identifier: MIT */
/* The kernel's machine in a paravirtual monitor: no privileged instruction, no port, no device. The interrupt flag
 * is a word that the monitor reads. There is no processor to ask either: the kernel answers with what it has asked
 * the monitor for.
 *
 * Try: one hypercall for several pages; a console that does not wait for the end of the line. */
#include "hypercalls.h"
#include "kernel.h"

enum { INTERRUPT_FLAG = 0x200 };
const uint32_t user_code = 0x1b, user_data = 0x23;
static struct shared shared;

static uint32_t hypercall(uint32_t number, uint32_t b, uint32_t c, uint32_t d)
{
	__asm__ volatile("int %1" : "+a"(number) : "i"(HYPERCALL), "b"(b), "c"(c), "d"(d) : "memory");
	return number;
}

void processor_start(void)
{
	uint32_t handlers[256] = { 0 };

	for (unsigned i = 0; i < 48; i++)
		handlers[i] = (uint32_t)(entries + i * 16);
	handlers[0x80] = (uint32_t)system_call;
	hypercall(HYPERCALL_SHARED, (uint32_t)&shared, 0, 0);
	hypercall(HYPERCALL_TRAPS, (uint32_t)handlers, 0, 0);
}

uint16_t extra_segment(uint32_t base)
{
	(void)base;
	return 0;
}

void set_kernel_stack(uint32_t top) { hypercall(HYPERCALL_STACK, top, 0, 0); }
void set_page_directory(uint32_t physical) { hypercall(HYPERCALL_PAGES, physical, 0, 0); }
void enable_paging(uint32_t physical) { set_page_directory(physical); }
void invalidate_page(uint32_t linear) { hypercall(HYPERCALL_INVALIDATE, linear, 0, 0); }
uint32_t flags_now(void) { return shared.interrupts ? INTERRUPT_FLAG : 0; }

uint32_t interrupts_save(void)
{
	uint32_t flags = flags_now();

	shared.interrupts = 0;
	return flags;
}

void interrupts_restore(uint32_t flags)
{
	if (!(flags & INTERRUPT_FLAG))
		return;
	shared.interrupts = 1;
	if (shared.pending)
		hypercall(HYPERCALL_INTERRUPTS, 0, 0, 0);
}

void interrupts_wait(void)
{
	hypercall(HYPERCALL_WAIT, 0, 0, 0);
	shared.interrupts = 0;
}

struct view processor_view(void)
{
	return (struct view){ .cs = 0x08,
			      .ss = 0x10,
			      .task = 0x28,
			      .status = 0x19,
			      .gdt_limit = 0x37,
			      .idt_limit = 0x7ff,
			      .access = 0xcff200,
			      .limit = 0xffffffff,
			      .gdt_is_ours = 1,
			      .idt_is_ours = 1,
			      .readable = 1,
			      .writable = 1 };
}

void console_write(char c)
{
	static char line[128];
	static uint32_t length;

	line[length++] = c;
	if (c != '\n' && length < sizeof line)
		return;
	hypercall(HYPERCALL_CONSOLE, (uint32_t)line, length, 0);
	length = 0;
}

void timer_start(void) { hypercall(HYPERCALL_TIMER, TIMER_VECTOR, TIMER_HZ, 0); }
void timer_acknowledge(void) {}

int disk_transfer(uint32_t sector, void *data, int write)
{
	return (int)hypercall(HYPERCALL_DISK, sector, (uint32_t)data, (uint32_t)write);
}

void power_off(void)
{
	for (;;)
		hypercall(HYPERCALL_POWER_OFF, 0, 0, 0);
}
