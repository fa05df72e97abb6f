/* SPDX-License-Identifier: MIT */
/* What the hostile version of the kernel tries before its processes: memory, ports and sectors of others. On its own
 * machine there is nothing, and the output says so; so it must be in a monitor. */
#include "kernel.h"

enum { WRITABLE = 2, WINDOW = 0x50000000, PORT = 0x5000 };

/* Physical memory behind its 4 MiB: where the monitor has its own, and other guests theirs. */
static void attack_memory(void)
{
	volatile uint32_t *window = (uint32_t *)WINDOW;

	print("memory");
	for (uint32_t physical = 4 << 20; physical < 16 << 20; physical += 1 << 20) {
		uint32_t was;

		map_page(kernel_directory, WINDOW, physical, WRITABLE);
		was = *window;
		*window = 0xbad;
		if (was != 0xffffffff || *window != 0xffffffff) {
			print(" at ");
			print_hex(physical);
		}
	}
	print("\n");
}

/* Linear addresses at the top, where a monitor may hide: here they are the kernel's. */
static void attack_top(void)
{
	uint32_t page = 0x3ff000;

	print("top");
	for (uint32_t linear = 0xff800000; linear; linear += 0x100000) {
		volatile uint32_t *there = (uint32_t *)linear;
		uint32_t by_code_segment = 0;

		map_page(kernel_directory, linear, page, WRITABLE);
		*there = linear;
		__asm__ volatile("addl %%cs:(%1), %0" : "+r"(by_code_segment) : "r"(linear));
		if (*(uint32_t *)page != linear || *there != linear || by_code_segment != linear) {
			print(" at ");
			print_hex(linear);
		}
	}
	print("\n");
}

/* The same by a segment whose base and limit wrap around: are limits all that protects the monitor? */
static void attack_segment(void)
{
	uint32_t base = 0x80000000, page = 0x3ff000;
	uint16_t selector = extra_segment(base);

	print("segment");
	for (uint32_t linear = 0xff800000; selector && linear; linear += 0x100000) {
		uint32_t value;

		__asm__ volatile("mov %1, %%fs; movl %2, %%fs:(%3); movl %%fs:(%3), %0; mov %4, %%fs"
				 : "=&r"(value)
				 : "r"(selector), "r"(~linear), "r"(linear - base), "r"(0)
				 : "memory");
		if (*(volatile uint32_t *)page != ~linear || value != ~linear) {
			print(" at ");
			print_hex(linear);
		}
	}
	print("\n");
}

static void attack_ports(void)
{
	uint32_t value;

	__asm__ volatile("outl %1, %w2; inl %w2, %0" : "=a"(value) : "a"(0xbad), "d"(PORT));
	print("port ");
	print_hex(value);
}

static void attack_disk(void)
{
	static const uint32_t sectors[] = { 16, 17, 40, 63, 0xffffff0, 0xfffffff, 0xfffffe8 };
	uint32_t data[SECTOR / 4] = { 0xbad };

	print("\nsectors");
	for (unsigned i = 0; i < sizeof sectors / sizeof *sectors; i++)
		if (!disk_transfer(sectors[i], data, 1) || !disk_transfer(sectors[i], data, 0)) {
			print(" ");
			print_hex(sectors[i]);
		}
	print("\n");
}

void attack(void)
{
	attack_memory();
	attack_top();
	attack_segment();
	attack_ports();
	attack_disk();
}
