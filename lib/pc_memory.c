/* SPDX-License-Identifier: MIT */
/* The map of the PC's physical memory. */
#include "lib/pc.h"

#define ROM_TOP 0x20000u      /* of the ROM below 1 MiB, so much is at the top of memory, too */
#define LOW_END 0xa0000u      /* of conventional memory */
#define TEXT_BASE 0xb8000u    /* of a display's text screen */
#define TEXT_END 0xc0000u

/* A text that nobody will see: most who write their first kernel look for it. */
static void write_nothing(void *owner, u64 offset, unsigned size, u64 value)
{
	struct pc *pc = owner;

	(void)size, (void)value;
	if (pc->unseen || pc->vga || offset < TEXT_BASE - LOW_END || offset >= TEXT_END - LOW_END)
		return;
	pc->unseen = true;
	log_line(&pc->v->log, "display: a write to the text screen at %llxh, and there is no display adapter",
		(unsigned long long)(LOW_END + offset));
}

static const struct device_ops nothing_ops = { .write = write_nothing, .max = 8 };

u64 pc_low_ram(const struct vcpu *v)
{
	return v->memory < RAM_LOW_MAX ? v->memory : RAM_LOW_MAX;
}

unsigned pc_memory_map(const struct vcpu *v, struct memory_region out[MEMORY_REGIONS])
{
	u64 low = pc_low_ram(v);
	unsigned n = 0;

	out[n++] = (struct memory_region){ 0, EBDA, true };
	out[n++] = (struct memory_region){ EBDA, LOW_END - EBDA, false };
	out[n++] = (struct memory_region){ ROM_TABLES, ROM_END - ROM_TABLES, false };
	if (low > ROM_END)
		out[n++] = (struct memory_region){ ROM_END, low - ROM_END, true };
	if (v->memory > low)
		out[n++] = (struct memory_region){ 4 * GiB, v->memory - low, true };
	return n;
}

u64 pc_rsdp(const struct vcpu *v)
{
	return v->pc && v->pc->ioapic ? ROM_TABLES : 0;
}

/* What the host bridge lays over RAM between C0000 and FFFFF is its own business. */
bool pc_build_memory(struct vcpu *v)
{
	struct ram *ram = v->blocks[0].ram, *rom;
	const struct blob *bios = &v->boot.bios;
	u64 low = pc_low_ram(v), top = v->model.physical_bits < 32 ? (u64)1 << v->model.physical_bits : 4 * GiB,
	    size = bios->size;

	if (space_add_ram(&v->mem, "ram", 0, low, ram, 0, false) < 0 ||
			space_add_device(&v->mem, "no display", LOW_END, ROM_BASE - LOW_END, &nothing_ops, v->pc) < 0)
		return false;
	if (v->memory > low && space_add_ram(&v->mem, "ram above 4 GiB", 4 * GiB, v->memory - low, ram, low, false) < 0)
		return false;
	if (!bios->data)
		return top == ROM_END || space_add_ram(&v->mem, "rom at the top", top - ROM_TOP, ROM_TOP, ram,
						       ROM_END - ROM_TOP, true) >= 0;
	rom = ram_new(size);
	if (!rom || !machine_add_block(v, top - size, rom, false))
		return false;
	v->pc->rom = rom;
	memcpy(rom->host, bios->data, size);
	ram_flag_all(rom, 0, size >> PAGE_SHIFT, PAGE_DIRTY);
	return top == ROM_END || space_add_ram(&v->mem, "bios at the top", top - size, size, rom, 0, true) >= 0;
}

/* Both gates must hold the line low. */
void pc_drive_a20(struct pc *pc)
{
	u64 mask = ((u64)1 << pc->v->model.physical_bits) - 1;

	if (!pc->a20_keyboard && !pc->a20_fast)
		mask &= ~(u64)0x100000;
	space_set_mask(&pc->v->mem, mask);
}
