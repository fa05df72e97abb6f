/* SPDX-License-Identifier: MIT */
/* Without firmware, for a PC that loads a kernel: the tables and settings that firmware would make. With firmware:
 * the items of fw_cfg. */
#include "io/chipset/acpi.h"
#include "io/firmware/fwcfg.h"
#include "io/firmware/mptable.h"
#include "io/chipset/pci.h"
#include "io/chipset/piix.h"
#include "io/firmware/smbios.h"
#include "lib/pc.h"

/* ---- without firmware ---- */

#define MP_TABLE 0xf0000u
#define SMBIOS 0xfe000u
#define IRET_STUB 0xfff53u    /* where the first PC's firmware has an IRET, too */
#define RESET_STUB 0xffff0u
#define CARD_PORTS 0xc000u    /* where the registers of cards go; their memory begins behind the RAM */

static u32 config_read(struct vcpu *v, unsigned function, unsigned offset, unsigned size)
{
	space_write(&v->io, 0xcf8, 4, 0x80000000u | function << 8 | (offset & 0xfc));
	return (u32)space_read(&v->io, 0xcfc + (offset & 3), size);
}

static void config_write(struct vcpu *v, unsigned function, unsigned offset, unsigned size, u32 value)
{
	space_write(&v->io, 0xcf8, 4, 0x80000000u | function << 8 | (offset & 0xfc));
	space_write(&v->io, 0xcfc + (offset & 3), size, value);
}

/* The host bridge: RAM from C0000 to FFFFF, read-only. */
static void lock_shadow(struct vcpu *v)
{
	config_write(v, 0, 0x58, 4, 0x11111000);
	config_write(v, 0, 0x5c, 4, 0x11111111);
}

/* PIRQA# and C# are IRQ 10, B# and D# are 11, level-triggered. */
static void route_interrupts(struct vcpu *v)
{
	config_write(v, PIIX_SLOT * 8, PIIX_PIRQRC, 4, 0x0b0a0b0a);
	space_write(&v->io, 0x4d1, 1, 0x0c);
}

struct room { u32 ports, memory; };

/* Give base address register N an address, naturally aligned. */
static void assign(struct vcpu *v, unsigned function, unsigned n, struct room *room)
{
	unsigned offset = PCI_BAR0 + 4 * n;
	u32 mask, *next;
	bool io;

	config_write(v, function, offset, 4, ~(u32)0);
	mask = config_read(v, function, offset, 4);
	if (!mask)
		return;
	io = mask & 1;
	mask &= ~(io ? 3u : 15u);
	next = io ? &room->ports : &room->memory;
	*next = (*next + ~mask) & mask;
	config_write(v, function, offset, 4, *next);
	*next += ~mask + 1;
}

static void set_up_card(struct vcpu *v, unsigned function, struct room *room)
{
	u32 pin;

	if (config_read(v, function, PCI_ID, 2) == 0xffff)
		return;
	for (unsigned n = 0; n < 6; n++)
		assign(v, function, n, room);
	pin = config_read(v, function, PCI_INT_PIN, 1);
	if (pin && function / 8 != PIIX_SLOT)
		config_write(v, function, PCI_INT_LINE, 1, (function / 8 + pin) % 2 ? 11 : 10);
	config_write(v, function, PCI_COMMAND, 2,
		     config_read(v, function, PCI_COMMAND, 2) | PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
}

u32 pc_card_memory(const struct vcpu *v)
{
	return pc_low_ram(v) < 0x80000000u ? 0x80000000u : RAM_LOW_MAX;
}

static void set_up_power(struct vcpu *v)
{
	const unsigned function = ACPI_SLOT * 8 + ACPI_FUNCTION;

	config_write(v, function, ACPI_PMBASE, 4, ACPI_PM_BASE);
	config_write(v, function, ACPI_PMREGMISC, 1, 1);
}

static u16 display_interface(struct vcpu *v, u16 reg, u16 value)
{
	space_write(&v->io, 0x1ce, 2, reg);
	space_write(&v->io, 0x1cf, 2, value);
	return (u16)space_read(&v->io, 0x1cf, 2);
}

u64 pc_framebuffer(struct vcpu *v, u32 width, u32 height)
{
	enum { X = 1, Y, BITS, ENABLE, VIRTUAL_X = 6, ENABLED = 1, LINEAR = 0x40 };
	bool ok;

	if (!v->display || width > 0xffff || height > 0xffff)
		return 0;
	display_interface(v, ENABLE, 0);
	ok = display_interface(v, X, (u16)width) == width && display_interface(v, Y, (u16)height) == height &&
		display_interface(v, BITS, 32) == 32 && display_interface(v, ENABLE, ENABLED | LINEAR) & ENABLED &&
		display_interface(v, VIRTUAL_X, (u16)width) == width;
	if (ok)
		return config_read(v, DISPLAY_SLOT * 8, PCI_BAR0, 4) & ~15u;
	display_interface(v, ENABLE, 0);
	return 0;
}

/* ---- tables ---- */

static struct acpi_system acpi_system_of(const struct vcpu *v)
{
	u16 base = acpi_base(v->pc->acpi);

	return (struct acpi_system){ .cpus = v->processors,
				     .pm_base = base ? base : ACPI_PM_BASE,
				     .card_memory = pc_card_memory(v) };
}

bool pc_tables_new(struct pc *pc)
{
	struct acpi_system system = acpi_system_of(pc->v);

	return !pc->ioapic || (pc->tables = acpi_tables_new(&system));
}

static bool write_acpi(struct vcpu *v)
{
	struct acpi_system system = acpi_system_of(v);

	return acpi_tables_build(v->pc->tables, &system) &&
	       acpi_tables_place(v->pc->tables, &v->mem, ROM_TABLES, MP_TABLE - ROM_TABLES);
}

static u32 build_smbios(struct vcpu *v, bool firmware, u32 address, u8 entry[SMBIOS_ENTRY], u8 out[SMBIOS_MAX])
{
	u32 id[4]; /* eax ebx ecx edx */
	struct smbios_system system = { .cpus = v->processors, .ram = v->memory, .firmware = firmware };

	cpuid(v->cpu, 1, 0, id);
	system.signature = id[0];
	system.features = id[3];
	return smbios_build(&system, address, entry, out);
}

static void write_smbios(struct vcpu *v)
{
	u8 entry[SMBIOS_ENTRY], structures[SMBIOS_MAX];
	u32 len = build_smbios(v, true, SMBIOS + 32, entry, structures);

	space_poke(&v->mem, SMBIOS, entry, sizeof entry);
	space_poke(&v->mem, SMBIOS + 32, structures, len);
}

/* The BIOS data area, as far as systems look into it that never call a BIOS (Ralf Brown's MEMORY.LST):
 *   400 ports of COM1 to COM4   408 of LPT1   40E the extended area's segment   413 KiB below that   449 video mode   44A columns   463 CRTC's port
 * and of the extended area its size in KiB. xv6 finds the MP table by it. */
static void write_bios_data(struct vcpu *v)
{
	static const struct { u32 at; u16 value; } words[] = {
		{ 0x400, 0x3f8 }, { 0x402, 0x2f8 }, { 0x404, 0x3e8 }, { 0x406, 0x2e8 }, { 0x408, 0x378 },
			{ 0x40e, EBDA >> 4 }, { 0x413, EBDA / 1024 },
		{ 0x449, 3 | 80 << 8 }, { 0x463, 0x3d4 }, { EBDA, 1 },
	};

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		space_write(&v->mem, words[i].at, 2, words[i].value);
}

bool pc_set_up(struct vcpu *v)
{
	static const u8 iret = 0xcf;
	/* cli; hlt; jmp to the cli: no boot image, no firmware, nothing to do */
	static const u8 halt[] = { 0xfa, 0xf4, 0xeb, 0xfc };
	struct room room = { CARD_PORTS, pc_card_memory(v) };
	u32 id[4]; /* eax ebx ecx edx */

	lock_shadow(v);
	route_interrupts(v);
	set_up_power(v);
	for (unsigned function = 0; function < 32 * 8; function++)
		set_up_card(v, function, &room);
	space_poke(&v->mem, IRET_STUB, &iret, sizeof iret);
	space_poke(&v->mem, RESET_STUB, halt, sizeof halt);
	write_bios_data(v);
	if (!v->pc->ioapic)
		return true;
	write_smbios(v);
	cpuid(v->cpu, 1, 0, id);
	return write_acpi(v) && mptable_build(&v->mem, MP_TABLE, SMBIOS - MP_TABLE, v->processors, id[0], id[3]);
}

/* ---- with firmware ---- */

/* etc/e820:  0 address   8 length   16 type (1: RAM) */
static bool describe_memory(struct vcpu *v, struct fwcfg *fw)
{
	u64 low = pc_low_ram(v), above = v->memory - low;
	u8 map[2 * 20] = { 0 };

	put64(map + 8, low);
	put32(map + 16, 1);
	put64(map + 20, 4 * GiB);
	put64(map + 28, above);
	put32(map + 36, 1);
	return fwcfg_add_number(fw, FWCFG_RAM_SIZE, low, 8) && fwcfg_add_file(fw, "etc/e820", map, above ? 40 : 20);
}

/* Firmware puts the power management registers where it likes, and only then asks for the tables. */
static void power_moved(void *owner)
{
	struct pc *pc = owner;
	struct acpi_system system = acpi_system_of(pc->v);
	u32 len;

	if (acpi_tables_build(pc->tables, &system))
		fwcfg_change_file(pc->fwcfg, ACPI_TABLES_FILE, acpi_tables_bytes(pc->tables, &len) + ACPI_RSDP_ROOM);
}

static bool describe_acpi(struct pc *pc)
{
	struct fwcfg *fw = pc->fwcfg;
	u8 script[ACPI_SCRIPT_MAX];
	const u8 *bytes;
	u32 len;
	bool ok;

	bytes = acpi_tables_bytes(pc->tables, &len);
	ok = fwcfg_add_file(fw, ACPI_RSDP_FILE, bytes, ACPI_RSDP_SIZE) &&
		fwcfg_add_file(fw, ACPI_TABLES_FILE, bytes + ACPI_RSDP_ROOM, len - ACPI_RSDP_ROOM) &&
		fwcfg_add_file(fw, "etc/table-loader", script, acpi_tables_script(pc->tables, script));
	acpi_on_move(pc->acpi, power_moved, pc);
	return ok;
}

static bool describe_smbios(struct vcpu *v, struct fwcfg *fw)
{
	u8 entry[SMBIOS_ENTRY], structures[SMBIOS_MAX];
	u32 len = build_smbios(v, false, 0, entry, structures);

	return fwcfg_add_file(fw, "etc/smbios/smbios-anchor", entry, sizeof entry) &&
	       fwcfg_add_file(fw, "etc/smbios/smbios-tables", structures, len);
}

bool pc_describe(struct pc *pc)
{
	static const u8 for_ever[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct vcpu *v = pc->v;
	struct fwcfg *fw = pc->fwcfg;

	return describe_memory(v, fw) && describe_smbios(v, fw) && pc_describe_drives(pc) && pc_describe_kernel(pc) &&
		(!pc->ioapic || describe_acpi(pc)) &&
		fwcfg_add_number(fw, FWCFG_CPUS, v->processors, 2) &&
		fwcfg_add_number(fw, FWCFG_MAX_CPUS, v->processors, 2) &&
		fwcfg_add_number(fw, FWCFG_NUMA, 0, 8) && fwcfg_add_number(fw, FWCFG_BOOT_MENU, 0, 2) &&
		fwcfg_add_number(fw, FWCFG_IRQ0_OVERRIDE, 1, 4) && fwcfg_add_file(fw, "etc/boot-fail-wait", for_ever,
		sizeof for_ever);
}
