/* What is where in the PC's physical memory, and the little ROM of a PC that loads kernels directly. */
#include "io/acpi.h"
#include "io/mptable.h"
#include "lib/pc.h"

#define LOW_END 0xa0000u      /* of conventional memory */
#define EBDA 0x9fc00u         /* firmware keeps the last KiB of it for itself */
#define ROM 0xc0000u
#define ROM_END 0x100000u
#define TABLES 0xe0000u       /* ACPI's, up to TABLES_END */
#define TABLES_END 0xff000u
#define MP_TABLE 0xf0000u
#define IRET_STUB 0xfff53u    /* where the first PC's firmware has an IRET, too */
#define RESET_STUB 0xffff0u

static const struct device_ops nothing_ops = { .max = 8 };

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
	out[n++] = (struct memory_region){ TABLES, ROM_END - TABLES, false };
	if (low > ROM_END)
		out[n++] = (struct memory_region){ ROM_END, low - ROM_END, true };
	if (v->memory > low)
		out[n++] = (struct memory_region){ 4 * GiB, v->memory - low, true };
	return n;
}

u64 pc_rsdp(const struct vcpu *v)
{
	return v->pc && v->pc->ioapic ? TABLES : 0;
}

/* The ROM: it is RAM that the firmware has filled and locked. We are the firmware. */
static bool fill_rom(struct vcpu *v)
{
	static const u8 iret = 0xcf;
	static const u8 halt[] = { 0xfa, 0xf4, 0xeb, 0xfc }; /* cli; hlt; jmp to the cli: no boot image, no firmware, nothing to do */
	u32 id[4]; /* eax ebx ecx edx */

	space_poke(&v->mem, IRET_STUB, &iret, sizeof iret);
	space_poke(&v->mem, RESET_STUB, halt, sizeof halt);
	if (!v->pc->ioapic)
		return true;
	cpuid(v->cpu, 1, 0, id);
	return acpi_tables_build(&v->mem, TABLES, MP_TABLE - TABLES, v->processors) &&
		mptable_build(&v->mem, MP_TABLE, TABLES_END - MP_TABLE, v->processors, id[0], id[3]);
}

bool pc_build_memory(struct vcpu *v)
{
	struct ram *ram = v->blocks[0].ram;
	u64 low = pc_low_ram(v), top = v->model.physical_bits < 32 ? (u64)1 << v->model.physical_bits : 4 * GiB;

	if (space_add_ram(&v->mem, "ram", 0, low, ram, 0, false) < 0)
		return false;
	if (v->memory > low && space_add_ram(&v->mem, "ram above 4 GiB", 4 * GiB, v->memory - low, ram, low, false) < 0)
		return false;
	if (!fill_rom(v))
		return false;
	if (space_add_device(&v->mem, "no display", LOW_END, ROM - LOW_END, &nothing_ops, NULL) < 0 ||
			space_add_ram(&v->mem, "rom", ROM, ROM_END - ROM, ram, ROM, true) < 0)
		return false;
	return top == ROM_END || space_add_ram(&v->mem, "rom at the top", top - 0x20000, 0x20000, ram, ROM_END - 0x20000, true) >= 0;
}

/* Both gates must hold the line low. */
void pc_drive_a20(struct pc *pc)
{
	u64 mask = ((u64)1 << pc->v->model.physical_bits) - 1;

	if (!pc->a20_keyboard && !pc->a20_fast)
		mask &= ~(u64)0x100000;
	space_set_mask(&pc->v->mem, mask);
}
