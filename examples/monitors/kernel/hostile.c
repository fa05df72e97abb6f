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

		map_page(kernel_directory, linear, page, WRITABLE);
		*there = linear;
		if (*(uint32_t *)page != linear || *there != linear) {
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
	attack_ports();
	attack_disk();
}
