/* SPDX-License-Identifier: MIT */
/* The guest: a multiboot kernel, the monitor's first module. It is loaded into the guest's memory as the monitor
 * itself was loaded, and its processor stands at its entry, in protected mode with flat segments. */
#include "monitor.h"

struct processor cpu;

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, segments, sections, flags;
	u16 size, entry_size, count;
};
struct elf_segment { u32 type, offset, linear, physical, file_size, memory_size, flags, align; };
enum { LOADABLE = 1, MULTIBOOT_MAGIC = 0x2badb002, INFO = 0x500 };

/* Code and data at 0 to 4 GiB, as the loader of a multiboot kernel has them. */
static const struct segment flat_code = { 0x08, 0, 0xffffffff, 0xc09b }, flat_data = { 0x10, 0, 0xffffffff, 0xc093 };

void boot_guest(void)
{
	const u32 *info = (u32 *)(MONITOR_BASE + multiboot_info), *module = (u32 *)(MONITOR_BASE + info[6]);
	const u8 *image = (u8 *)(MONITOR_BASE + module[0]);
	const struct elf_header *header = (const struct elf_header *)image;
	const struct elf_segment *segments = (const struct elf_segment *)(image + header->segments);

	for (unsigned i = 0; i < header->count; i++) {
		const struct elf_segment *s = &segments[i];

		if (s->type != LOADABLE)
			continue;
		if (s->physical > GUEST_RAM || s->memory_size > GUEST_RAM - s->physical ||
		    s->file_size > s->memory_size)
			die("the guest does not fit into its memory");
		__builtin_memcpy(GUEST_WINDOW + s->physical, image + s->offset, s->file_size);
	}
	cpu.eip = header->entry;
	cpu.eflags = 2;
	cpu.cr0 = 0x11; /* PE, ET */
	cpu.r[EAX] = MULTIBOOT_MAGIC;
	cpu.r[EBX] = INFO; /* an empty one */
	cpu.seg[CS] = flat_code;
	cpu.seg[ES] = cpu.seg[SS] = cpu.seg[DS] = cpu.seg[FS] = cpu.seg[GS] = flat_data;
	cpu.tr.access = 0x8b; /* as after a reset */
	cpu.ldtr.access = 0x82;
	cpu.idtr.limit = 0x3ff;
	say("the guest starts\n");
}
